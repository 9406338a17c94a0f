/*
 * The slow log: each worker keeps the slow requests of its own connections; SLOWLOG gathers them.
 * Entries have ids from one counter of the server, so that they can be put in order.
 *
 * Each worker keeps as many as slowlog-max-len allows the whole server: the newest of all are among
 * them.
 */
#ifndef SERVER_SLOWLOG_H
#define SERVER_SLOWLOG_H

#include "server/server.h"
#include "server/worker.h"

/* An entry keeps this many arguments, and this many bytes of each, as in Redis. */
#define SLOWLOG_ARGS_MAX      32
#define SLOWLOG_ARG_BYTES_MAX 128

struct slowlog_entry {
	struct slowlog_entry *older, *newer;
	uint64_t id;
	size_t len;
	char bytes[]; /* the entry as SLOWLOG GET replies it, the same in RESP2 and RESP3 */
};

struct slowlog;

struct slowlog *slowlog_new(void);
void slowlog_free(struct slowlog *log);

/* Keeps the request; called when it was slow. The connection's worker. */
void slowlog_add(struct worker *worker, const struct conn *conn, const struct request *request,
		 uint64_t us);

/*
 * The newest entry, NULL when there is none; `older` leads on from there. The log's worker, as
 * below.
 */
const struct slowlog_entry *slowlog_newest(const struct slowlog *log);

uint32_t slowlog_len(const struct slowlog *log);

void slowlog_reset(struct slowlog *log);

/* A request has run for so many microseconds. */
static inline void slowlog_note(struct worker *worker, const struct conn *conn,
				const struct request *request, uint64_t us)
{
	int64_t limit = config_int(&worker->server->config.slowlog_log_slower_than);
	if (limit >= 0 && us >= (uint64_t)limit)
		slowlog_add(worker, conn, request, us);
}

#endif
