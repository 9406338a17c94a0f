/*
 * The snapshotter: the thread that makes snapshots (persist/snapshot.h, server/generation.h), and
 * when it does.
 *
 * Asked for by BGSAVE, SAVE, BGREWRITEAOF, SHUTDOWN and signals, by the `save` points, by
 * save-on-memory, and when the journals have grown (growth.h). One snapshot is made at a time; what
 * is asked for meanwhile is refused, or scheduled, as Redis does.
 *
 * SAVE differs from Redis' in one thing: only its own client waits, the others are served
 * meanwhile. What the snapshot holds is the state at one moment after the request came.
 *
 * Shutting down with a snapshot: writes wait from before the cut on (PAUSE_SHUTDOWN), so nobody is
 * told of a write that isn't in it. When it is complete the server stops; when it fails, goes on,
 * unless FORCE was said.
 *
 * BGREWRITEAOF makes the same snapshot: it is the journals' new beginning. Its results are told
 * apart, as Redis tells its two kinds of children apart.
 *
 * BGSAVE INCREMENTAL writes only what was written since the last snapshot (shard/changes.h). That
 * has to be known: so the first one that is asked for is a whole one, and the next one after a
 * start, or after a snapshot that failed. So is one that would be behind MANIFEST_INCREMENTS_MAX
 * others.
 *
 * Who asks and waits has an op (op.h), which comes back as mail (MAIL_SAVED) when the snapshot has
 * ended.
 */
#ifndef SERVER_SNAPSHOTTER_H
#define SERVER_SNAPSHOTTER_H

#include "persist/snapshot.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct conn;
struct op;
struct server;
struct worker;

/* What a snapshot is made for. */
enum save_kind {
	SAVE_NONE,
	SAVE_RDB,      /* SAVE, BGSAVE, save points */
	SAVE_AOF,      /* BGREWRITEAOF */
	SAVE_SHUTDOWN, /* before the server stops */
};

/*
 * Who waits for the end of a snapshot, or for the flusher: mail to the worker of the op. 16-byte
 * aligned.
 */
struct save_waiter {
	struct save_waiter *next;
	struct op *op;
	uint16_t worker;
	bool shutdown;     /* asked by SHUTDOWN: hears of a failure only */
	bool save;         /* asked by DEBUG RELOAD: a snapshot first */
	const char *error; /* what it hears of a failure */
	bool ok;           /* the snapshotter stores it before the mail */
};

/* The request that is being run is answered later: OK, or this error. Its worker. */
struct save_waiter *save_waiter_new(struct conn *conn, const char *error);
/* All of the list are, and may be gone then. Any thread. */
void save_waiters_answer(struct server *server, struct save_waiter *waiters, bool ok);

/* What is heard of a save that isn't begun, for another one is being made. */
extern const char save_error_busy[];

/* What is known of the snapshots of one kind. The snapshotter stores, any thread reads. */
struct save_results {
	_Atomic uint64_t count;    /* begun */
	_Atomic bool failed;       /* the last one */
	_Atomic uint64_t failures; /* since the last one that was complete */
	_Atomic int64_t seconds;   /* the last one took; -1: there was none */
	_Atomic uint64_t kept;     /* bytes that it kept at most */
};

struct snapshotter {
	struct server *server;
	pthread_t thread;
	bool started;
	/* under the mutex */
	pthread_mutex_t mutex;
	pthread_cond_t wanted;
	enum save_kind wish;                       /* to be begun now */
	_Atomic bool scheduled_rdb, scheduled_aof; /* any thread reads */
	bool increment;                            /* ... as an increment, if that can be */
	bool force;                                /* of SAVE_SHUTDOWN */
	uint64_t stays;                            /* so often a shutdown was called off */
	bool follow;                               /* CONFIG SET appendonly */
	bool stop; /* nothing is begun any more; who asks is told at once */
	struct save_waiter *waiters; /* for what is wished or being made */
	struct save_waiter *leavers; /* ... for the shutdown */
	struct save_waiter *reloads; /* want everything to be loaded again */
	/* stored under the mutex, any thread reads */
	_Atomic int kind;     /* enum save_kind: wished or being made; not of a shutdown to come */
	_Atomic bool leaving; /* a shutdown waits for its snapshot */
	_Atomic int64_t tried_s; /* unix: the last one began */
	/* the snapshotter stores, any thread reads */
	_Atomic int64_t begun_ms;     /* unix: the one being made; 0: none is */
	_Atomic int64_t saved_s;      /* unix: the last complete one of SAVE_RDB, or the start */
	_Atomic uint64_t saved_dirty; /* changes of keys before its cut */
	_Atomic uint64_t keys_total;  /* at the cut of the one being made */
	_Atomic uint64_t kept_peak;   /* ... bytes kept at most; the main thread stores */
	struct save_results rdb, aof;
	_Atomic uint64_t increments; /* complete ones */
	/* the snapshotter's */
	bool noting; /* an increment was asked for once: changes are noted from each cut on */
	uint64_t
		base; /* the last complete snapshot's cut, since which they are; EPOCH_NONE: none is */
	struct snapshot snapshot; /* its atomic fields: any thread */
	/* main thread only */
	bool memory_above; /* save-on-memory has fired, and memory not fallen since */
};

/* Starts the thread. 0 or a negative errno. Main thread. */
int snapshotter_start(struct snapshotter *snapshotter, struct server *server);
/* The server stops: what is being made is given up, whoever waits is told. Any thread. */
void snapshotter_cancel_all(struct snapshotter *snapshotter);
/* Ends the thread. The workers have ended. */
void snapshotter_stop(struct snapshotter *snapshotter);

/* --- any thread --- */

/* How a request to begin ended. */
enum save_answer {
	SAVE_STARTED,
	SAVE_SCHEDULED,
	SAVE_BUSY,       /* one of the same kind is being made */
	SAVE_BUSY_OTHER, /* one of the other kind is */
};

/*
 * BGSAVE and BGREWRITEAOF; `schedule`: when another one is in the way, after it; `later`: in any
 * case. `increment`: of SAVE_RDB.
 */
enum save_answer snapshotter_ask(struct snapshotter *snapshotter, enum save_kind kind,
				 bool increment, bool schedule, bool later);
/*
 * SAVE: the waiter gets mail when it has ended; a rewrite that is going on ends first. At once,
 * with save_error_busy, when one is being made or the server stops.
 */
void snapshotter_save(struct snapshotter *snapshotter, struct save_waiter *waiter);
/* BGSAVE CANCEL: of what is made in the background, for nobody that waits. */
enum save_answer snapshotter_cancel(struct snapshotter *snapshotter);

/* Makes a snapshot, and stops the server then. `waiter` may be NULL (a signal). */
void snapshotter_leave(struct snapshotter *snapshotter, struct save_waiter *waiter, bool force);
/* The configuration says something else of journals than before, or may: appendonly. */
void snapshotter_follow(struct snapshotter *snapshotter);

/* Gives that up. False: there was nothing to give up. */
bool snapshotter_stay(struct snapshotter *snapshotter);

/*
 * DEBUG RELOAD and LOADAOF: the waiter gets mail when everything has been loaded again (reload.h).
 */
void snapshotter_reload(struct snapshotter *snapshotter, struct save_waiter *waiter);

/* Mail has come. Its worker. */
void snapshotter_answer(struct worker *worker, struct save_waiter *waiter);

/* stop-writes-on-bgsave-error: writes are refused. Any thread; cheap. */
bool snapshotter_stops_writes(struct server *server);

/* Bytes that are kept for the snapshot being made. */
uint64_t snapshotter_kept(const struct server *server);

/* Changes of keys since the last snapshot. */
uint64_t snapshotter_changes(const struct server *server);

/* --- main thread --- */

/* Begins what is due (due.h). Some times a second. */
void snapshotter_cron(struct snapshotter *snapshotter);

#endif
