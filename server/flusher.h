/*
 * The flusher: the thread that closes epochs and makes journals durable (shard/journal.h,
 * persist/).
 *
 * Closing epoch S: now = S + 1, then a grace period. After it every tick that loaded S has ended,
 * so all records of epochs up to S are in the files, or on the way there (a large one takes some
 * ticks: it is waited for), unless a write failed: then the epoch stays open until a later attempt.
 * Where they end in a journal is known: before its first record of epoch S + 1, or at its end. The
 * flusher has all segments synced side by side (a thread for each: a syncer), appends S to COMMITS
 * and syncs that: then S is committed, and so much of each journal is durable.
 *
 * When: once a second, with appendfsync no every FLUSH_LAZY_S seconds; only if something was
 * journaled. After a power loss recovery goes back to the last committed epoch: a cut at an epoch
 * is causally closed (who had seen a write of epoch e wrote in an epoch >= e), so that is a state
 * that existed.
 *
 * With appendfsync always nobody is told of what isn't synced, so whatever was told stands in the
 * synced part of some journal, and all it follows on does, too. So recovery needs no epochs to find
 * a state that existed: it takes what is there and follows on what is there. The last line of
 * COMMITS says whether that is so, and each journal's syncer just syncs what is written, again and
 * again, while somebody waits (flusher_ask). A worker that has nothing else to do syncs its journal
 * itself (flusher_sync): to hand that over and to be woken takes as long as a good disk takes to
 * sync.
 *
 * flusher_safe() says up to which byte of a journal replies may tell: what is durable with always,
 * what is written otherwise. When the policy changes, the stricter rule for replies holds for as
 * long as COMMITS may say "always" (test/model/recovery.pml):
 *  - to always: first the rule, then an epoch is closed. What was told by the old rule belongs to
 *    it, or to one before, and is durable before the line is written that says "always". With that
 *    line always is in force.
 *  - from always: an epoch is closed whose line doesn't say it, then the rule changes.
 * (One word in COMMITS, and not a mark in each journal's epochs: with these, a record that counts
 * could follow on one of an epoch that doesn't.)
 *
 * Cuts (shard/freeze.h) are made between two epochs' closing: flusher_lock(). The new generation's
 * segments are written when all journals have written the old one's, and with always these are
 * synced, too (persist/ segment.h); for that long nobody's writes are told of, which is about a
 * tick.
 *
 * On and off (CONFIG SET appendonly; server/generation.h). When journals are off nothing of this
 * file is in anybody's way: replies wait for nothing, no trouble counts, no epoch is closed. They
 * begin with a cut; since what was written before isn't in them, the manifest gets them together
 * with the snapshot of that cut, and until then the data are what the old one lists. They end with
 * an epoch.
 *
 * Trouble. While anything of this lasts, requests that write are refused (flusher_trouble), and
 * replies that wait go on waiting; nothing that was told is lost.
 *  - A failed write(): the worker tries again in each tick, and what it could not write stays
 *    first.
 *  - A failed addition to COMMITS: the flusher tries again, with a new file.
 *  - A data directory that isn't there any more, or has lost its manifest: it may come back. If it
 *    doesn't, a new one is made and begins with a snapshot.
 *  - A failed sync can't be tried again: the system may have dropped what it could not write, and
 *    says so but once. What the files hold since the last good sync is in doubt, until a snapshot
 *    whose cut came after the failure is complete: it has all of that (flusher_renewed). New
 *    segments have begun with it. The flusher asks for one at once, and again every RENEW_S
 *    seconds.
 */
#ifndef SERVER_FLUSHER_H
#define SERVER_FLUSHER_H

#include "persist/commits.h"
#include "server/syncer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct save_waiter;
struct server;

/* Seconds between syncs with appendfsync no: about what the system would take by itself. */
#define FLUSH_LAZY_S 30
/* In the order of the words of appendfsync. */
enum fsync_policy { FSYNC_EVERYSEC, FSYNC_ALWAYS, FSYNC_NO };
/*
 * Seconds between attempts to get out of doubt by a new generation: as for a save point that has
 * failed.
 */
#define RENEW_S 5

struct flusher {
	struct server *server;
	struct syncer *syncers; /* one for each worker; NULL: nothing is journaled */
	struct commits commits;
	_Atomic bool on; /* writes are journaled */
	_Atomic bool
		listed; /* the manifest has the journals; if not, it gets them with the next snapshot */
	_Atomic bool always;     /* the rule for replies; the flusher stores */
	_Atomic bool said;       /* COMMITS ends with a line that says what says_always is */
	_Atomic uint64_t turned; /* generations up to this one may be written */
	/* constant: where the segments are, and what run they belong to */
	int dir;
	uint64_t run;
	_Atomic uint64_t durable_epoch;
	_Atomic int64_t durable_ms;
	/* trouble: 0 or a negative errno each */
	_Atomic int sync_error;       /* files are in doubt; until flusher_renewed() */
	_Atomic uint64_t doubt_epoch; /* since then: stored before sync_error */
	_Atomic int place_error;      /* the data directory is missing; the flusher stores */
	_Atomic int commit_error;     /* the last addition to COMMITS; the flusher stores */
	_Atomic int write_error; /* the last one of any worker; counts while some are failing */
	_Atomic uint32_t write_failing; /* workers whose last write failed */
	pthread_t thread;
	pthread_mutex_t epochs; /* whoever advances epochs.now, or writes to COMMITS */
	bool says_always;       /* lines of COMMITS do; under that mutex */
	pthread_mutex_t mutex;  /* guards the conditions, and: */
	struct save_waiter *waiters; /* for the policy that is wished */
	pthread_cond_t changed;
	pthread_cond_t progress; /* some journal's durable has grown, or a sync of any has failed */
	_Atomic bool asked;        /* to close an epoch now */
	_Atomic bool stop;         /* the flusher */
	_Atomic bool stop_syncers; /* after it */
	/* the flusher's */
	int64_t last_ms;  /* an epoch was closed (monotonic) */
	int64_t renew_ms; /* a new generation was asked for; 0: never */
	uint64_t *ends;   /* where it ends in each journal */
};

/* --- syncers --- */

/* A sync has failed: nobody knows any longer what the file holds. Any thread. */
void flusher_doubt(struct flusher *flusher, int error);
/* Replies of any worker may wait for what has become durable. Any thread. */
void flusher_wake_workers(const struct flusher *flusher);

/* --- life --- */

/* Whether COMMITS is to begin with a line that says "always". */
bool flusher_begins_always(const struct server *server);

/*
 * Starts with a segment for each worker in `dir` and the COMMITS file (taken over), which has begun
 * with `first`. The journals' `on` is set by the caller afterwards. 0 or a negative errno.
 */
int flusher_start(struct flusher *flusher, struct server *server, int dir, uint64_t run,
		  const struct commits *commits, const struct commit *first);
/* Commits all that was written, ends. Does nothing when it wasn't started. */
void flusher_stop(struct flusher *flusher);

/* --- cuts: the snapshotter --- */

/* Nothing is journaled: the other functions are not to be called. Any thread. */
static inline bool flusher_off(const struct flusher *flusher)
{
	return !atomic_load_explicit(&flusher->on, memory_order_acquire);
}

/*
 * Starts journaling with the next cut; between the two nothing is journaled. The flusher has been
 * started.
 */
void flusher_switch_on(struct flusher *flusher);
/*
 * Nothing of the journals is in the data directory, nor COMMITS: they are listed with the next
 * snapshot, if they are on.
 */
void flusher_unlist(struct flusher *flusher);
/*
 * Ends it with an epoch of its own. True: the journals are whole, and synced; otherwise a write or
 * a sync has failed.
 */
bool flusher_switch_off(struct flusher *flusher);

/*
 * Another policy is wished: who waits is told when it is in force; or at once, when there is
 * trouble or the server stops. The flusher has been started. Any thread.
 */
void flusher_await_policy(struct flusher *flusher, struct save_waiter *waiter);

/* Until unlocked no epoch is closed. */
void flusher_lock(struct flusher *flusher);
void flusher_unlock(struct flusher *flusher);

/*
 * Makes the segments of a generation to come, and removes them again. Locked. 0 or a negative
 * errno.
 */
int flusher_make_segments(struct flusher *flusher, uint64_t cut);
void flusher_drop_segments(struct flusher *flusher, uint64_t cut);

/*
 * All journals write the generation of now, and all that was journaled up to the cut has been
 * synced, or is in doubt anyway (flusher_renewed); journals that aren't listed may be, for COMMITS
 * says what it has to. Of the last cut: before that there may be no other one. To be asked again
 * until it is so; where journals can't be written that takes until they can.
 */
bool flusher_committed(struct flusher *flusher, uint64_t cut);

/* Somebody waits until so much of a worker's journal is safe. Any thread. */
void flusher_ask(struct flusher *flusher, uint32_t worker, uint64_t bytes);

/*
 * Writes what the worker has journaled, `most` bytes at most. True: there is more, for the next
 * tick. The worker, at the end of its tick.
 */
bool flusher_write(struct flusher *flusher, uint32_t worker, size_t most);

/*
 * Makes durable what the worker has written, now, if that is quick; otherwise asks the syncer.
 * True: more is durable. With appendfsync always. The worker, when it has nothing else to do.
 */
bool flusher_sync(struct flusher *flusher, uint32_t worker);

/* Whether workers are woken when more is safe; otherwise they look for themselves. Any thread. */
bool flusher_wakes(const struct flusher *flusher);

/* Up to which byte a worker's journal may be told of. Any thread. */
uint64_t flusher_safe(const struct flusher *flusher, uint32_t worker);

/* The same, whether journals are on or not. After flusher_start(). Any thread. */
uint64_t flusher_firm(const struct flusher *flusher, uint32_t worker);

/* Why writes are refused: a negative errno, or 0. Any thread. */
int flusher_trouble(const struct flusher *flusher);

/*
 * A snapshot with this cut is complete, and the manifest begins with it. The thread that makes
 * snapshots, before another cut.
 */
void flusher_renewed(struct flusher *flusher, uint64_t cut);

#endif
