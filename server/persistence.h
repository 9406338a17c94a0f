/*
 * Persistence: what stands in the data directory, at start and while the server runs.
 *
 * The data directory is DATA_DIR in `dir`: MANIFEST, COMMITS, snapshots and segments (persist/).
 * What its manifest lists is loaded at start, whatever appendonly says; without a manifest, what a
 * Redis left (import.h). As long as the server runs it holds a lock on LOCK there, so that no
 * second server and no tool comes between.
 *
 * Start: a thread of its own brings the data back (persist/recovery.h) while the workers answer
 * -LOADING. Then, in this order: open journals are cut where the good part ends, and synced; a new
 * run is added to the manifest, with its segments; the journals are switched on; `loading` becomes
 * false. Damage that isn't just a tail ends the server with a message that says where. Who ends the
 * server meanwhile doesn't wait, and nothing is saved.
 */
#ifndef SERVER_PERSISTENCE_H
#define SERVER_PERSISTENCE_H

#include "persist/manifest.h"
#include "persist/recovery.h"
#include "server/import.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct server;

struct persistence {
	struct server *server;
	int dir;  /* a descriptor; -1: nothing is persisted */
	int lock; /* ... of LOCK in it */
	struct manifest manifest;
	/* the snapshotter's */
	bool making;   /* a snapshot was begun, and isn't complete */
	bool littered; /* there may be files that aren't listed */
	bool unsynced; /* journals have ended that could not be synced: the data, until a snapshot is complete */
	struct recovery recovery; /* the loader's, but for what is atomic */
	enum import_kind import;  /* what to load instead */
	pthread_t loader;
	bool started;
	/* the loader stores, any thread reads */
	_Atomic bool loading;
	_Atomic bool failed;             /* the data could not be loaded: the server ends with an error */
	_Atomic int64_t loading_since;   /* unix ms */
	_Atomic int64_t loaded_keys;     /* the last time all was loaded */
	_Atomic uint64_t expired_keys;   /* ... and left out, for they had expired */
};

/*
 * Opens the data directory and begins to load. 0, or a negative errno after logging. Main thread.
 */
int persistence_start(struct persistence *persistence, struct server *server);

/*
 * Opens the data directory, making it when there is none, and locks it until the process ends. The
 * same results. The thread that loads, or makes snapshots.
 */
int persistence_open(struct persistence *persistence);

/*
 * The same for a server that found no data at start. -EEXIST: now there are some, which it must not
 * replace.
 */
int persistence_open_empty(struct persistence *persistence);

/*
 * Whether the data directory is still where it was, and (`manifest`) has its manifest. 0 or a
 * negative errno. Any thread.
 */
int persistence_missing(const struct persistence *persistence, bool manifest);

/*
 * It is missing: makes it anew, empty, and goes on there: `dir` stays the same number. Data that
 * are in its place by now are let alone (-EEXIST). 0 or a negative errno. The thread that makes
 * snapshots.
 */
int persistence_replace(struct persistence *persistence);

/* All is loaded: so many keys, which INFO shows. The thread that did it. */
int64_t persistence_note_loaded(struct persistence *persistence);

/*
 * Waits for the thread that loads. Before the snapshotter is stopped, which it tells in the end;
 * once.
 */
void persistence_join(struct persistence *persistence);
/* Closes. The loader and the workers have ended. */
void persistence_stop(struct persistence *persistence);

/* Keys can't be used yet. Any thread. */
static inline bool persistence_loading(const struct persistence *persistence)
{
	return atomic_load_explicit(&persistence->loading, memory_order_acquire);
}

#endif
