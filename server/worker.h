/*
 * Workers.
 *
 * A worker is one thread with one uv_loop: its connections, and one shard. libuv's callbacks never
 * touch a slot: they append bytes, set flags, put connections on lists. All work is done in
 * worker_tick(), called from the loop's uv_check handle, in this order:
 *	1. RCU online            pointers found from here to 8 stay valid
 *	2. take the mail
 *	3. serve the ready connections
 *	4. write the journal
 *	5. post the outgoing mail, one wake for each sleeping receiver
 *	6. flush replies
 *	7. free retired memory, sweep expired entries, step long jobs
 *	8. RCU offline
 * A worker never waits for another thread, but for a moment for who changes the configuration. What
 * waits for the disk is a command's business (CONFIG REWRITE), or a line of the log.
 *
 * Retired memory (shard/retire.h). Step 7 takes BACKGROUND_US, or as long as the tick's requests
 * have taken when that is more: to free a thing is quicker than to make it, so however fast clients
 * make garbage (by filling and flushing a database, say) it is freed as fast, and a flood of it
 * costs them no more than half of their time. The sweep retires half as many things in a step as
 * that frees. Nothing helps while a grace period lasts: above RETIRED_BYTES_MAX of what waits for
 * one, requests that write are put off, above half of that the sweep is. Reads go on, and from who
 * has its write put off no more than CONN_IN_MAX is read.
 */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include "proto/resp.h"
#include "server/conn.h"
#include "server/gate.h"
#include "server/latency.h"
#include "server/mail.h"
#include "server/op.h"
#include "server/stats.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

struct server;
struct slowlog;
struct blocked;

/* Requests prefetched and run together: enough to hide a cache miss behind the others. */
#define BATCH_MAX 64
/* Background work in one tick, freeing and sweeping, if its requests took less. */
#define BACKGROUND_US 200
/* Jobs in one tick: at least one slice, and no more once this is over. */
#define JOBS_US 500
/* Retired memory that waits longer, or is more, asks for a grace period. */
#define GRACE_MS 10
#define GRACE_BYTES (1024 * 1024)
/* Retired and still waiting for a grace period: above this a worker runs nothing that writes. */
#define RETIRED_BYTES_MAX (64ull * 1024 * 1024)
/* Entries of flushed databases: while more wait here to be freed, the next flush does, too. */
#define FLUSHED_MAX (1024 * 1024)

/* One request of a batch, not yet run. */
struct pending {
	struct request request;
	struct conn *conn;
	uint32_t args_at; /* its first argument in the worker's args */
	uint32_t start;   /* where it starts in the connection's read block */
	char *scratch;
};

/* Connections linked by ready_next. */
struct conn_list {
	struct conn *first, *last;
};

/*
 * Work done slice by slice over ticks on behalf of one op: KEYS, and all that is long (long_run.h).
 */
struct job {
	struct job *next;
	struct op *op;
	bool sees_end; /* step() is called though the connection has gone, and says what becomes of it */
	/* Does about one slice; true when done: the reply is in op->reply. */
	bool (*step)(struct worker *worker, struct job *job);
	void (*free)(struct job *job);
};

struct worker {
	/* constant after start */
	struct server *server;
	struct shard *shard;
	uint16_t id;
	pthread_t thread;
	/* any thread */
	struct mailbox mailbox;
	_Atomic uint32_t conn_count; /* this worker stores, the acceptor reads */
	_Atomic bool stop;           /* the main thread stores */
	_Atomic uint32_t conns_blocked; /* in blocking commands; this worker stores, any reads */
	_Atomic uint32_t conns_timed;   /* ... that have a timeout; the same */
	/* this worker stores at each cron, any reads */
	_Atomic uint64_t conns_bytes;   /* of all its connections with their buffers */
	_Atomic uint64_t conns_in_max;  /* the most bytes of requests that one has waiting, */
	_Atomic uint64_t conns_out_max; /* ... and of replies */
	struct stats stats;          /* this worker stores, any reads */
	/* this worker only */
	uv_loop_t loop;
	uv_check_t check;
	uv_prepare_t prepare;
	uv_idle_t idle;
	uv_timer_t cron;
	uv_timer_t timeout; /* for the first of the timeouts */
	int64_t armed_for;  /* which it runs for, 0: none */
	bool busy;      /* more to do: don't sleep */
	bool writing;   /* more of the journal to write: the same */
	bool cron_due;
	bool stopping;  /* no connection any more */
	bool quiet;     /* ... and nothing unanswered: counted in server->quiet */
	int64_t now;    /* ms, of this tick */
	uint64_t tick;
	uint64_t tick_start;       /* cycles */
	struct conn *conns;        /* all, newest first */
	struct conn_list ready;       /* to be looked at in this tick */
	struct conn_list ready_later; /* ... in the next one */
	struct conn *flush_first;
	struct gate gate;
	uint64_t journaled; /* the journal's `appended` when it was last written */
	struct conn *paused;
	struct outbox *outboxes; /* one for each worker */
	struct parcel_pool parcels;
	struct read_block *blocks_free;
	uint32_t blocks_kept;
	struct args args; /* of the batch */
	struct pending batch[BATCH_MAX];
	uint32_t batch_count;
	struct pending *current; /* the request a handler with connection is running; NULL once detached */
	struct key *keys; /* scratch for requests with several keys */
	uint32_t keys_cap;
	struct slot **slots; /* the same */
	uint32_t ops;   /* requests that are answered later */
	struct job *jobs, **jobs_end; /* stepped in turn */
	uint32_t job_count;
	uint32_t long_runs;
	struct watch_set *unwatching; /* watches of who doesn't need them any more (multi.h) */
	struct blocked **timeouts;     /* a heap of those that wait and have one (blocked.h) */
	uint32_t timeout_count, timeout_room;
	struct blocked *unblocking; /* those that wait no longer and have places to be taken out */
	struct slowlog *slowlog;
	struct latency_event latency[LATENCY_KIND_COUNT];
	bool writes_wait;          /* in this tick: too much waits for a grace period */
	uint64_t retired_since_ns; /* when the oldest that waits was stamped, 0 = nothing waits */
	uint32_t sweep_slices;     /* left of the sweep going on */
	uint64_t cycles;           /* where the last command's time ended */
};

/* Makes the worker and its loop; the thread starts with worker_start. 0 or a negative uv error. */
int worker_init(struct worker *worker, struct server *server, uint16_t id);
int worker_start(struct worker *worker);
/* After its thread has ended. */
void worker_deinit(struct worker *worker);

/*
 * Asks the worker to close its connections and end. It ends when every worker has nothing
 * unanswered: until then it answers what others ask. Any thread; nobody sends it connections any
 * more.
 */
void worker_stop(struct worker *worker);

/* Lets the connections go on that CLIENT PAUSE has held back. Its thread. */
void worker_resume_paused(struct worker *worker);

/* Puts a job at the end of the worker's list. */
void worker_add_job(struct worker *worker, struct job *job);

#endif
