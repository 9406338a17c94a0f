/*
 * The request path (serve.h): from bytes to a running handler.
 *
 * A GET in one screen: serve_conn() parses it into the batch; prepare() finds its row, slot and
 * hash and fetches the slot's line; run_batch() fetches its bucket and its entry, then
 * serve_request() has it admitted and run; the reply stands in conn->out.
 *
 * A request that can't be run now (its connection has to wait for something) is left in the read
 * block: rewind_to() moves the connection's place back to its first byte.
 */
#include "server/serve.h"

#include "proto/command_info.h"
#include "proto/mem.h"
#include "server/account.h"
#include "server/admit.h"
#include "server/multi.h"
#include "server/run.h"
#include "server/server.h"
#include "shard/execute.h"

/*
 * The first piece of memory for a connection's replies of one tick: a pipeline of a hundred, and
 * what the allocator gives and takes back in no time.
 */
#define OUT_FIRST_BYTES (4 * 1024)
/* Room for more keys, or arguments, is given back when what needed it has run. */
#define SCRATCH_KEEP (64 * 1024)
/* With more arguments than this in the batch it is run before more is parsed. */
#define BATCH_ARGS_MAX 1024

/* --- waiting --- */

/* The request isn't run now: its bytes will be parsed again. */
static void rewind_to(struct conn *conn, const struct pending *p)
{
	if (conn->at > p->start)
		conn->at = p->start;
	resp_parser_deinit(&conn->parser);
}

/* A reason for the connection to wait before this request, 0 for none. */
static uint8_t reason_to_wait(const struct worker *worker, const struct conn *conn,
			      const struct command *cmd)
{
	if (server_paused(worker->server, multi_flags(conn, cmd), worker->now))
		return WAIT_PAUSE;
	if (conn_out_bytes(conn) > CONN_OUT_MAX_STRANGER &&
	    conn_out_bytes(conn) > conn_out_max(conn))
		return WAIT_OUTPUT;
	return 0;
}

static void park(struct worker *worker, struct conn *conn, uint8_t reason)
{
	conn_wait(conn, reason);
	if (reason != WAIT_PAUSE || (conn->flags & CONN_PAUSED_LIST))
		return;
	conn->flags |= CONN_PAUSED_LIST;
	conn->paused_next = worker->paused;
	worker->paused = conn;
}

/* The request can't be run now: it is tried again in the next tick, as if it hadn't come yet. */
static void put_off(struct conn *conn, const struct pending *p, bool mute)
{
	conn->commands--;
	if (mute && (conn->flags & CONN_REPLY_SKIP))
		conn->flags |= CONN_REPLY_SKIP_NEXT;
	rewind_to(conn, p);
	conn_wait(conn, WAIT_TURN);
	conn_ready_later(conn);
}

/* Whether it would retire memory while too much waits already (worker.h). */
static bool writes_wait(const struct worker *worker, const struct conn *conn,
			const struct command *cmd)
{
	return worker->writes_wait && (multi_flags(conn, cmd) & CMD_WRITE);
}

/* --- one request --- */

/* CLIENT REPLY OFF and SKIP: the reply of the next request goes nowhere. */
static bool is_mute(struct conn *conn)
{
	conn->flags &= ~CONN_REPLY_SKIP;
	if (conn->flags & CONN_REPLY_SKIP_NEXT) {
		conn->flags &= ~CONN_REPLY_SKIP_NEXT;
		conn->flags |= CONN_REPLY_SKIP;
	}
	return conn->flags & (CONN_REPLY_OFF | CONN_REPLY_SKIP);
}

static void serve_request(struct worker *worker, struct pending *p)
{
	struct conn *conn = p->conn;
	uint8_t reason = 0;
	if (conn->flags & (CONN_CLOSING | CONN_CLOSE_AFTER))
		return;
	if (!conn->wait)
		reason = reason_to_wait(worker, conn, p->request.cmd);
	if (reason)
		park(worker, conn, reason);
	if (conn->wait) {
		rewind_to(conn, p);
		return;
	}
	/* what earlier requests of the batch may have changed */
	p->request.db = conn->db;
	p->request.resp = conn->resp;
	p->request.no_touch = conn->flags & CONN_NO_TOUCH;
	conn->commands++;
	conn->last_cmd = p->request.cmd;
	struct reply *reply = &conn->out;
	bool mute = is_mute(conn);
	struct reply_mark mark = reply_mark(reply);
	if (admit(worker, conn, &p->request, &mark)) {
		if (conn->multi && multi_takes(p->request.cmd))
			multi_queue(conn, &p->request, reply);
		else if (writes_wait(worker, conn, p->request.cmd) ||
			 !run_request(worker, p, reply))
			put_off(conn, p, mute);
	}
	if (mute && (conn->flags & (CONN_REPLY_OFF | CONN_REPLY_SKIP)))
		reply_rollback(reply, mark);
}

/* --- batches --- */

/* Finds the request's row, slot and hash; fetches the slot's line. */
static void prepare(struct worker *worker, struct pending *p, const struct slice *argv)
{
	struct request *request = &p->request;
	const struct command *cmd = command_lookup(argv, request->argc);
	if (cmd && (cmd->container || !command_arity_ok(cmd, request->argc)))
		cmd = NULL;
	request->cmd = cmd;
	request->key.name.ptr = NULL;
	request->key.slot = NULL;
	if (!cmd || cmd->route != ROUTE_KEY)
		return;
	key_prepare(&request->key, worker->server->ks, argv[cmd->first_key]);
	if (cmd->flags & CMD_WRITE)
		__builtin_prefetch(request->key.slot, 1);
	else
		__builtin_prefetch(request->key.slot);
}

static void fetch_bucket(const struct request *request)
{
	struct table *table = slot_table(request->key.slot, request->db);
	if (table)
		table_prefetch_bucket(table, request->key.hash);
}

static void fetch_entry(const struct request *request)
{
	struct table *table = slot_table(request->key.slot, request->db);
	if (table)
		table_prefetch_entry(table, request->key.hash);
}

/* One large request must not leave the worker large for ever. */
static void shrink_scratch(struct worker *worker)
{
	if (worker->keys_cap > SCRATCH_KEEP) {
		run_deinit(worker);
		run_init(worker);
	}
	if (worker->args.cap > SCRATCH_KEEP)
		args_deinit(&worker->args);
}

static void run_batch(struct worker *worker)
{
	struct pending *batch = worker->batch;
	uint32_t count = worker->batch_count;
	for (uint32_t i = 0; i < count; i++) {
		batch[i].request.argv = worker->args.v + batch[i].args_at;
		if (batch[i].request.key.slot)
			fetch_bucket(&batch[i].request);
	}
	for (uint32_t i = 0; i < count; i++)
		if (batch[i].request.key.slot)
			fetch_entry(&batch[i].request);
	worker->cycles = clock_cycles();
	for (uint32_t i = 0; i < count; i++) {
		serve_request(worker, &batch[i]);
		mem_free_unsized(batch[i].scratch);
	}
	worker->batch_count = 0;
	worker->args.count = 0;
	shrink_scratch(worker);
}

/* A protocol error: answered after all earlier requests, then the connection goes. */
static void protocol_error(struct worker *worker, struct conn *conn, const char *error)
{
	struct reply *reply = &conn->out;
	struct reply_mark mark = reply_mark(reply);
	conn_log(conn, LOG_VERBOSE, error);
	reply_error(reply, error);
	account_error(worker, reply);
	if (is_mute(conn))
		reply_rollback(reply, mark);
	conn_close_after(conn);
}

static bool may_serve(const struct conn *conn)
{
	return !conn->wait && !(conn->flags & (CONN_CLOSING | CONN_CLOSE_AFTER));
}

/* Cuts one request off into the batch. False when there is no whole one. */
static bool parse_one(struct worker *worker, struct conn *conn)
{
	struct resp_limits limits = {
		.bulk_max = (size_t)config_int(&worker->server->config.proto_max_bulk_len),
		.authenticated = conn_authenticated(conn),
	};
	struct resp_request out;
	uint32_t args_at = worker->args.count;
	enum resp_result result = resp_parse(&conn->parser, &limits, conn->block->bytes + conn->at,
					     conn_in_bytes(conn), &worker->args, &out);
	if (result == RESP_MORE)
		return false;
	if (result == RESP_ERROR) {
		uint32_t before = worker->batch_count;
		run_batch(worker);
		if (before == 0)
			protocol_error(worker, conn, out.error);
		return may_serve(conn) && conn_in_bytes(conn) > 0;
	}
	struct pending *p = &worker->batch[worker->batch_count];
	p->conn = conn;
	p->start = conn->at;
	p->args_at = args_at;
	p->scratch = out.scratch;
	p->request.argc = worker->args.count - args_at;
	p->request.db = conn->db;
	conn->at += (uint32_t)out.used;
	if (p->request.argc == 0)
		return true;
	prepare(worker, p, worker->args.v + args_at);
	worker->batch_count++;
	return true;
}

static void serve_conn(struct worker *worker, struct conn *conn)
{
	conn->active_ms = worker->now;
	conn->wait &= (uint8_t)~WAIT_TURN;
	reply_room(&conn->out, OUT_FIRST_BYTES);
	conn_flush_later(conn); /* whatever comes of its requests */
	while (may_serve(conn) && conn_in_bytes(conn) > 0) {
		if (worker->batch_count == BATCH_MAX || worker->args.count > BATCH_ARGS_MAX)
			run_batch(worker);
		else if (!parse_one(worker, conn))
			break;
	}
	if (!(conn->flags & CONN_EOF))
		return;
	/* the client will send no more: the connection goes when all it sent is answered */
	run_batch(worker);
	if (may_serve(conn)) {
		conn_close_after(conn);
	} else if (conn_give_up(conn)) {
		conn_flush(conn);
		conn_close(conn);
	}
}

void serve_ready(struct worker *worker)
{
	struct conn *conn;
	if (worker->ready_later.first) {
		worker->ready_later.last->ready_next = worker->ready.first;
		if (!worker->ready.first)
			worker->ready.last = worker->ready_later.last;
		worker->ready.first = worker->ready_later.first;
		worker->ready_later.first = NULL;
	}
	do {
		while ((conn = worker->ready.first)) {
			worker->ready.first = conn->ready_next;
			conn->flags &= ~(uint32_t)CONN_READY;
			if (conn->flags & CONN_CLOSING)
				conn_release(conn);
			else
				serve_conn(worker, conn);
		}
		run_batch(worker);
	} while (worker->ready.first);
}
