/*
 * Syncers: a thread for each journal, which makes durable what has been written to its files; why
 * and when is for the flusher to say (flusher.h), whose threads they are.
 *
 * Whoever has the turn syncs: the syncer's thread, or the journal's worker when it has nothing else
 * to do.
 *
 * Lost requests: who wants something of a syncer sets `wanted`, fence, looks at `sleeping`; the
 * syncer sets `sleeping` under its mutex, fence, looks at `wanted`. As with mail, one of the two
 * sees the other. In the same way `written` and `wanted`: who has written looks whether more is
 * wanted, who wants more looks whether it is written.
 */
#ifndef SERVER_SYNCER_H
#define SERVER_SYNCER_H

#include "persist/segment.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct flusher;

struct syncer {
	struct flusher *flusher;
	const struct journal *journal;
	struct segment segment;
	uint32_t worker;
	pthread_t thread;
	pthread_mutex_t turn;     /* of who syncs */
	pthread_mutex_t mutex;    /* guards the condition only */
	pthread_cond_t work;      /* something wanted can be made durable, or stop */
	/* bytes of the journal that somebody wants durable: any thread raises it; fences as above */
	_Atomic uint64_t wanted;
	/* who has the turn stores, after the sync; any thread loads, acquire, before it tells of them */
	_Atomic uint64_t durable;
	/* how long the last sync took: who has the turn stores, the worker reads; a hint, relaxed */
	_Atomic uint64_t sync_ns;
	/* the syncer stores under its mutex, who asks reads; fences as above */
	_Atomic bool sleeping;
};

/*
 * Opens the worker's segment in the directory and starts the thread. 0 or a negative errno: then
 * nothing is to be stopped.
 */
int syncer_start(struct syncer *syncer, struct flusher *flusher, uint32_t worker, int dir,
		 uint64_t run);
/* Ends it; nobody asks it for anything any more, and the flusher has said `stop_syncers`. */
void syncer_stop(struct syncer *syncer);

/* Somebody wants so much to be durable. Any thread. */
void syncer_ask(struct syncer *syncer, uint64_t bytes);
/* Waits until it is. False: a sync has failed, of this journal or of another. The flusher. */
bool syncer_wait(struct syncer *syncer, uint64_t bytes);

/* More has been written: asks for what is wanted of it. The worker. */
void syncer_wrote(struct syncer *syncer);
/*
 * Makes durable what is written by now, if that is quick and nobody does it; otherwise asks for it.
 * True: more is durable. The worker.
 */
bool syncer_sync_here(struct syncer *syncer);

/*
 * Files of generations before this cut are not synced any more (segment_forget). The flusher, the
 * snapshotter.
 */
void syncer_forget(struct syncer *syncer, uint64_t cut);
/*
 * The same; and all of the journal up to the cut, which is in a snapshot, counts as durable. The
 * snapshotter.
 */
void syncer_renew(struct syncer *syncer, uint64_t cut);

#endif
