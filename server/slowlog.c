/* The slow log of a worker (slowlog.h): a list, the newest first. */
#include "server/slowlog.h"

#include "proto/mem.h"

#include <stdio.h>

/* Entries of ordinary requests are put together here. */
#define ENTRY_SPACE 1024

struct slowlog {
	struct slowlog_entry *newest, *oldest;
	uint32_t count;
};

struct slowlog *slowlog_new(void)
{
	return mem_zalloc(sizeof(struct slowlog));
}

void slowlog_free(struct slowlog *log)
{
	if (!log)
		return;
	slowlog_reset(log);
	mem_free(log, sizeof(*log));
}

static void remove_oldest(struct slowlog *log)
{
	struct slowlog_entry *entry = log->oldest;
	log->oldest = entry->newer;
	if (log->oldest)
		log->oldest->older = NULL;
	else
		log->newest = NULL;
	log->count--;
	mem_free(entry, sizeof(*entry) + entry->len);
}

void slowlog_reset(struct slowlog *log)
{
	while (log->oldest)
		remove_oldest(log);
}

const struct slowlog_entry *slowlog_newest(const struct slowlog *log)
{
	return log->newest;
}

uint32_t slowlog_len(const struct slowlog *log)
{
	return log->count;
}

static void push(struct slowlog *log, uint64_t id, struct slice bytes)
{
	struct slowlog_entry *entry = mem_alloc(sizeof(*entry) + bytes.len);
	entry->id = id;
	entry->len = bytes.len;
	memcpy(entry->bytes, bytes.ptr, bytes.len);
	entry->newer = NULL;
	entry->older = log->newest;
	if (log->newest)
		log->newest->newer = entry;
	else
		log->oldest = entry;
	log->newest = entry;
	log->count++;
}

/* Nobody is to read passwords in the log. */
static bool is_secret(const struct request *request, uint32_t i)
{
	const struct slice *argv = request->argv;
	switch (request->cmd->id) {
	case CMD_auth:
		return i >= 1;
	case CMD_hello:
		return (i >= 3 && slice_is(argv[i - 1], "auth")) ||
		       (i >= 4 && slice_is(argv[i - 2], "auth"));
	case CMD_config_set:
		return i >= 3 && i % 2 == 1 && slice_is(argv[i - 1], "requirepass");
	default:
		return false;
	}
}

static void format_arg(struct reply *r, const struct request *request, uint32_t i)
{
	struct slice arg = request->argv[i];
	if (is_secret(request, i))
		reply_bulk_text(r, "(redacted)");
	else if (arg.len <= SLOWLOG_ARG_BYTES_MAX)
		reply_bulk_slice(r, arg);
	else {
		char text[SLOWLOG_ARG_BYTES_MAX + 48];
		memcpy(text, arg.ptr, SLOWLOG_ARG_BYTES_MAX);
		int n = snprintf(text + SLOWLOG_ARG_BYTES_MAX, sizeof(text) - SLOWLOG_ARG_BYTES_MAX,
				 "... (%zu more bytes)", arg.len - SLOWLOG_ARG_BYTES_MAX);
		reply_bulk(r, text, SLOWLOG_ARG_BYTES_MAX + (size_t)n);
	}
}

static void format_args(struct reply *r, const struct request *request)
{
	uint32_t shown = request->argc;
	if (request->argc > SLOWLOG_ARGS_MAX) {
		shown = SLOWLOG_ARGS_MAX - 1;
		reply_array(r, SLOWLOG_ARGS_MAX);
	} else {
		reply_array(r, shown);
	}
	for (uint32_t i = 0; i < shown; i++)
		format_arg(r, request, i);
	if (shown < request->argc)
		reply_bulkf(r, "... (%u more arguments)", request->argc - shown);
}

void slowlog_add(struct worker *worker, const struct conn *conn, const struct request *request,
		 uint64_t us)
{
	struct server *server = worker->server;
	struct slowlog *log = worker->slowlog;
	uint64_t max = (uint64_t)config_int(&server->config.slowlog_max_len);
	if (max == 0 || (request->cmd->flags & CMD_SKIP_SLOWLOG))
		return;
	uint64_t id = atomic_fetch_add_explicit(&server->next_slowlog_id, 1, memory_order_relaxed);
	char space[ENTRY_SPACE], peer[CONN_ADDRESS_MAX];
	conn_peer_text(conn, peer);
	struct reply r;
	reply_init_in(&r, 2, space, sizeof(space));
	reply_array(&r, 6);
	reply_int(&r, (int64_t)id);
	reply_int(&r, clock_now(&server->clock) / 1000);
	reply_int(&r, (int64_t)us);
	format_args(&r, request);
	reply_bulk_text(&r, peer);
	reply_bulk_text(&r, conn->name ? conn->name : "");
	push(log, id, (struct slice){r.buf, r.len});
	reply_deinit(&r);
	while (log->count > max)
		remove_oldest(log);
}
