/*
 * The server: what all its threads share, and its life.
 *
 * Start: configuration, log, keyspace, reclaimer, workers, listening sockets, then the main loop.
 * Stop (SIGTERM, SIGINT, SHUTDOWN): the main loop closes the listening sockets, asks the workers to
 * end, waits for them, and frees everything.
 *
 * The fields say who may touch them.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "server/acceptor.h"
#include "server/clock.h"
#include "server/config.h"
#include "server/flusher.h"
#include "server/growth.h"
#include "server/persistence.h"
#include "server/reclaimer.h"
#include "server/sample.h"
#include "server/snapshotter.h"
#include "server/worker.h"
#include "shard/keyspace.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

/* Redis' version whose behaviour we follow: what clients look at. */
#define REDIS_VERSION "7.2.5"

enum pause_mode {
	PAUSE_NONE,
	PAUSE_WRITE = 1,    /* commands that write wait until pause_until */
	PAUSE_ALL = 2,      /* all wait until then */
	PAUSE_SHUTDOWN = 4, /* commands that write wait for the end of the server, or of its plan */
};

struct server {
	/* atomic fields of their own */
	struct config config;
	struct clock clock;
	/* constant after start */
	struct keyspace *ks;
	uint32_t worker_count;
	struct worker *workers;
	int64_t start_ms;
	char run_id[41];
	/* any thread */
	_Atomic uint64_t next_slowlog_id;
	_Atomic uint64_t rejected; /* connections refused for maxclients; the acceptor stores */
	_Atomic uint32_t
		pause_mode; /* of enum pause_mode, all that hold; stored after pause_until */
	_Atomic int64_t pause_until; /* ms */
	_Atomic bool memory_above; /* more than maxmemory is used (memory.h) */
	_Atomic int64_t memory_looked; /* ... as of then, ms */
	_Atomic bool warned_of_http; /* the log has its line about it */
	_Atomic bool stopping;       /* the main thread stores */
	_Atomic uint32_t quiet;      /* workers that have stopped and wait for the others */
	struct reclaimer reclaimer;
	struct flusher flusher;
	struct persistence persistence;
	struct snapshotter snapshotter;
	struct growth growth;
	struct samples samples;
	/* main thread only */
	uint64_t next_conn_id;
	uv_loop_t loop;
	uv_async_t stop; /* any thread sends */
	uv_signal_t signals[2];
	uv_timer_t cron;
	struct acceptor acceptor;
};

/*
 * Runs a server with this configuration (taken over) until it is told to stop. Returns the process'
 * exit status; what failed has been logged. Main thread.
 */
int server_run(struct server *server);

/* The data are there: says so, unless the server stops already. Any thread. */
void server_ready(struct server *server);

/* Asks the server to stop. Any thread. */
void server_stop(struct server *server);
/* A client or a signal wants it to: said in the log before anything is done for it. Any thread. */
void server_say_shutdown(void);

/* True when CLIENT PAUSE holds commands with these flags back now. Any thread. */
static inline bool server_paused(const struct server *server, uint32_t cmd_flags, int64_t now)
{
	uint32_t mode = atomic_load_explicit(&server->pause_mode, memory_order_acquire);
	if (mode == PAUSE_NONE)
		return false;
	bool write = cmd_flags & (CMD_WRITE | CMD_MAY_REPLICATE);
	if (write && (mode & PAUSE_SHUTDOWN))
		return true;
	if (atomic_load_explicit(&server->pause_until, memory_order_relaxed) <= now)
		return false;
	return (mode & PAUSE_ALL) || (write && (mode & PAUSE_WRITE));
}

/* Clients connected now, over all workers. Any thread. */
uint32_t server_conn_count(const struct server *server);

#endif
