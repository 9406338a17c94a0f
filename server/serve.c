/*
 * The request path (serve.h): from bytes to a running handler.
 *
 * A GET in one screen: serve_conn() parses it into the batch; prepare() finds its
 * row, slot and hash and fetches the slot's line; run_batch() fetches its bucket and its entry, then
 * serve_request() admits it and route_key() runs the handler under RCU; the reply stands in conn->out.
 *
 * A SET goes the same way, but that route_key() holds the slot while the handler runs.
 *
 * A request that can't be run now (its connection has to wait for something) is left in the read block:
 * rewind_to() moves the connection's place back to its first byte.
 */
#include "server/serve.h"

#include "proto/command_info.h"
#include "proto/mem.h"
#include "server/blocked.h"
#include "server/gather.h"
#include "server/handlers.h"
#include "server/log.h"
#include "server/long_run.h"
#include "server/multi.h"
#include "server/server.h"
#include "server/slowlog.h"
#include "shard/execute.h"
#include "shard/hold.h"
#include "shard/turn.h"

#include <assert.h>

/* The first piece of memory for a connection's replies of one tick: a pipeline of some hundred. */
#define OUT_FIRST_BYTES (8 * 1024)
/* Keys of one request that there is room for at first. */
#define KEYS_FIRST 64
/* Room for more keys, or arguments, is given back when what needed it has run. */
#define SCRATCH_KEEP (64 * 1024)
/* With more arguments than this in the batch it is run before more is parsed. */
#define BATCH_ARGS_MAX 1024

void serve_init(struct worker *worker)
{
	worker->keys_cap = KEYS_FIRST;
	worker->keys = mem_alloc(KEYS_FIRST * sizeof(*worker->keys));
	worker->slots = mem_alloc(KEYS_FIRST * sizeof(*worker->slots));
}

void serve_deinit(struct worker *worker)
{
	args_deinit(&worker->args);
	mem_free(worker->keys, worker->keys_cap * sizeof(*worker->keys));
	mem_free(worker->slots, worker->keys_cap * sizeof(*worker->slots));
}

/* --- running a handler --- */

/* Whether it is asked to when it finds much to do; others are never long, or as long as they are. */
static bool takes_turns(const struct command *cmd)
{
	return cmd->route == ROUTE_KEY || cmd->route == ROUTE_KEYS || cmd->route == ROUTE_PATTERNS;
}

struct ctx serve_ctx(struct worker *worker, const struct request *request,
			   struct reply *reply)
{
	return (struct ctx){.cmd = request->cmd,
			    .argv = request->argv,
			    .argc = request->argc,
			    .db = request->db,
			    .keys = &request->key,
			    .key_count = request->key.name.ptr ? 1 : 0,
			    .now = clock_now(&worker->server->clock),
			    .clock = &worker->server->clock.now_ms,
			    .reply = reply,
			    .ks = worker->server->ks,
			    .shard = worker->shard,
			    .long_from = takes_turns(request->cmd) ? LONG_ELEMENTS : 0,
			    .no_touch = request->no_touch};
}

void serve_count_errors(struct worker *worker, const struct reply *reply)
{
	stat_add(&worker->stats.errors, 1);
	stats_error(&worker->stats, reply->code);
}

void serve_book(struct worker *worker, const struct command *cmd, uint64_t cycles)
{
	const struct config *config = &worker->server->config;
	stats_command(&worker->stats, cmd, cycles);
	stat_add(&worker->stats.commands_run, 1);
	if (config_int(&config->latency_tracking))
		stats_latency(&worker->stats, cmd,
			      (uint64_t)clock_cycles_us(&worker->server->clock, cycles));
	if (config_int(&config->latency_monitor_threshold) > 0)
		latency_note(worker, cmd, cycles);
}

uint64_t serve_account(struct worker *worker, const struct command *cmd, const struct reply *reply,
			uint32_t errors_before)
{
	uint64_t now = clock_cycles();
	uint64_t cycles = now - worker->cycles;
	worker->cycles = now;
	serve_book(worker, cmd, cycles);
	if (reply->errors != errors_before) {
		stat_add(&worker->stats.commands[cmd->id].failed, 1);
		serve_count_errors(worker, reply);
	}
	return cycles;
}

/* By which path a request has come to be run, or that it has to wait. */
static void count_path(struct worker *worker, struct slot *const *slots, uint32_t count, bool held)
{
	struct stats *stats = &worker->stats;
	_Atomic uint64_t *path = !slots	     ? &stats->path_held_all
				 : count > 1 ? &stats->path_held_several
					     : &stats->path_held;
	stat_add(held ? path : &stats->path_waits, 1);
}

bool serve_hold(struct worker *worker, struct slot *const *slots, uint32_t count)
{
	bool held = slots_try_hold(worker->shard, slots, count);
	count_path(worker, slots, count, held);
	return held;
}

/* Runs the handler as the holder of these slots (NULL: all); false when one is held by another. */
static bool run_held(struct worker *worker, struct ctx *ctx, struct slot *const *slots,
		     uint32_t count)
{
	bool held = execute_holding(ctx, slots, count);
	count_path(worker, slots, count, held);
	return held;
}

/* Runs a read under RCU; false when it has to be done by a holder. */
static bool run_observed(struct worker *worker, struct ctx *ctx)
{
	uint64_t retries = 0;
	enum observed observed = execute_observed(ctx, &retries);
	if (retries)
		stat_add(&worker->stats.path_retries, retries);
	if (observed != OBSERVED)
		return false;
	stat_add(&worker->stats.path_rcu, 1);
	return true;
}

static void finish_here(struct worker *worker, struct pending *p, const struct ctx *ctx,
			uint32_t errors_before)
{
	uint64_t cycles = serve_account(worker, p->request.cmd, ctx->reply, errors_before);
	slowlog_note(worker, p->conn, &p->request, cycles);
}

/* --- requests that are answered later --- */

static struct op *detach(struct pending *p)
{
	struct conn *conn = p->conn;
	assert(!conn->op);
	conn->op = op_new(conn, &p->request, p->scratch);
	p->scratch = NULL;
	conn_wait(conn, WAIT_ANSWER);
	return conn->op;
}

/* As if it had never been. */
static void attach_again(struct pending *p)
{
	struct op *op = p->conn->op;
	p->scratch = op->scratch;
	op->scratch = NULL;
	p->conn->op = NULL;
	p->conn->wait &= (uint8_t)~WAIT_ANSWER;
	op_free(op);
}

struct op *serve_detach(struct conn *conn)
{
	struct worker *worker = conn->worker;
	struct pending *p = worker->current;
	assert(p && p->conn == conn);
	worker->current = NULL;
	return detach(p);
}

void serve_answer(struct worker *worker, struct op *op)
{
	journal_saw_all(worker->shard); /* whoever has worked on it, and when */
	slowlog_note(worker, op->conn, &op->request, op->cycles);
	if (multi_running(op->conn))
		multi_answered(op->conn);
	else
		conn_answer(op->conn);
}

/* --- routes: false when a slot is held by another worker, and nothing has been done --- */

/* The time up to now is the op's: what it took to find out that it takes long. */
static void begin_op_time(struct worker *worker, struct op *op)
{
	uint64_t now = clock_cycles();
	op->cycles = now - worker->cycles;
	worker->cycles = now;
}

bool serve_long(struct worker *worker, struct pending *p, const struct ctx *ctx,
		struct slot *const *slots, uint32_t count)
{
	struct op *op = detach(p);
	if (!long_run_begin(worker, op, ctx, slots, count)) {
		attach_again(p);
		return false;
	}
	begin_op_time(worker, op);
	return true;
}

/* A request that takes turns, on these slots (NULL: all). */
static bool route_long(struct worker *worker, struct pending *p, const struct ctx *ctx,
		       struct slot *const *slots, uint32_t count)
{
	if (!long_run_room(worker) || !serve_hold(worker, slots, count))
		return false;
	if (serve_long(worker, p, ctx, slots, count))
		return true;
	slots_release(worker->shard, slots, count, false, ctx->now);
	return false;
}

/* A request on one slot. */
static bool route_key(struct worker *worker, struct pending *p, struct reply *reply)
{
	struct slot *slot = p->request.key.slot;
	struct ctx ctx = serve_ctx(worker, &p->request, reply);
	uint32_t errors = reply->errors;
	bool read = p->request.cmd->flags & CMD_READONLY;
	if (!(read && run_observed(worker, &ctx)) && !ctx.need_turns &&
	    !run_held(worker, &ctx, &slot, 1))
		return false;
	if (ctx.need_turns)
		return route_long(worker, p, &ctx, &slot, 1);
	finish_here(worker, p, &ctx, errors);
	return true;
}

/* Room for that many keys, and their slots, in the worker's scratch. */
static void keys_room(struct worker *worker, uint32_t count)
{
	if (count <= worker->keys_cap)
		return;
	worker->keys_cap = count;
	worker->keys = mem_realloc(worker->keys, worker->keys_cap * sizeof(*worker->keys));
	worker->slots = mem_realloc(worker->slots, worker->keys_cap * sizeof(*worker->slots));
}

/* The keys of a request, prepared, in the worker's scratch. Returns how many. */
uint32_t serve_keys(struct worker *worker, const struct request *request)
{
	uint32_t inline_positions[64];
	uint32_t *positions = inline_positions;
	size_t bytes = request->argc * sizeof(*positions);
	if (request->argc > 64)
		positions = mem_alloc(bytes);
	int32_t count = command_keys(request->cmd, request->argv, request->argc, positions,
				     request->argc);
	if (count < 0)
		count = 0;
	keys_room(worker, (uint32_t)count + 1); /* not NULL, which stands for every slot */
	for (int32_t i = 0; i < count; i++) {
		key_prepare(&worker->keys[i], worker->server->ks, request->argv[positions[i]]);
		__builtin_prefetch(worker->keys[i].slot);
	}
	if (positions != inline_positions)
		mem_free(positions, bytes);
	for (int32_t i = 0; i < count; i++) {
		struct table *table = slot_table(worker->keys[i].slot, request->db);
		if (table)
			table_prefetch_bucket(table, worker->keys[i].hash);
	}
	return (uint32_t)count;
}

/* A request on several keys. */
static bool route_keys(struct worker *worker, struct pending *p, struct reply *reply)
{
	struct ctx ctx = serve_ctx(worker, &p->request, reply);
	uint32_t errors = reply->errors;
	bool read = p->request.cmd->flags & CMD_READONLY;
	ctx.key_count = serve_keys(worker, &p->request);
	ctx.keys = worker->keys;
	if (!(read && run_observed(worker, &ctx))) {
		uint32_t slots = keys_slots(worker->keys, ctx.key_count, worker->slots);
		if (!ctx.need_turns && !run_held(worker, &ctx, worker->slots, slots))
			return false;
		if (ctx.need_turns)
			return route_long(worker, p, &ctx, worker->slots, slots);
	}
	finish_here(worker, p, &ctx, errors);
	return true;
}

/* A blocking command: it may have its connection wait. */
static bool route_blocking(struct worker *worker, struct pending *p, struct reply *reply)
{
	struct ctx ctx = serve_ctx(worker, &p->request, reply);
	uint32_t errors = reply->errors;
	ctx.key_count = serve_keys(worker, &p->request);
	ctx.keys = worker->keys;
	uint32_t slots = keys_slots(worker->keys, ctx.key_count, worker->slots);
	if (!blocked_run(worker, p, &ctx, slots))
		return false;
	if (!p->conn->op)
		finish_here(worker, p, &ctx, errors);
	return true;
}

/* A request on every slot; it may have keys all the same. */
static bool route_all(struct worker *worker, struct pending *p, struct reply *reply)
{
	struct ctx ctx = serve_ctx(worker, &p->request, reply);
	uint32_t errors = reply->errors;
	ctx.key_count = serve_keys(worker, &p->request);
	ctx.keys = worker->keys;
	if ((is_flush(p->request.cmd) && flush_waits(worker)) ||
	    !run_held(worker, &ctx, NULL, SLOT_COUNT))
		return false;
	if (ctx.need_turns)
		return route_long(worker, p, &ctx, NULL, SLOT_COUNT);
	finish_here(worker, p, &ctx, errors);
	return true;
}

static void route_observe(struct worker *worker, struct pending *p, struct reply *reply)
{
	uint32_t errors = reply->errors;
	struct ctx ctx = serve_ctx(worker, &p->request, reply);
	run_observed(worker, &ctx);
	journal_saw_all(worker->shard);
	finish_here(worker, p, &ctx, errors);
}

static void route_none(struct worker *worker, struct pending *p, struct reply *reply)
{
	uint32_t errors = reply->errors;
	struct reply_mark mark = reply_mark(reply);
	struct ctx ctx = serve_ctx(worker, &p->request, reply);
	worker->current = p;
	conn_handlers[p->request.cmd->id](p->conn, &ctx);
	if (!worker->current) {
		reply_rollback(reply, mark);
		serve_account(worker, p->request.cmd, reply, reply->errors);
		return;
	}
	worker->current = NULL;
	finish_here(worker, p, &ctx, errors);
}

/* A request that holds its slots by itself; EXEC may be answered later. */
static bool route_holder(struct worker *worker, struct pending *p, struct reply *reply)
{
	uint32_t errors = reply->errors;
	struct ctx ctx = serve_ctx(worker, &p->request, reply);
	if (!holder_handlers[p->request.cmd->id](p->conn, &ctx))
		return false;
	if (!p->conn->op)
		finish_here(worker, p, &ctx, errors);
	return true;
}

/* True when the request takes turns. Where there is no room for that it is done at once. */
static bool long_in_place(struct pending *p, struct ctx *ctx, bool *stored)
{
	struct worker *worker = p->conn->worker;
	*stored |= ctx->stored; /* what had expired */
	struct op *op = detach(p);
	if (long_run_begin_within(worker, op, ctx, &op->conn->multi->unit, stored)) {
		begin_op_time(worker, op);
		return true;
	}
	attach_again(p);
	ctx->need_turns = false;
	ctx->long_from = 0;
	execute(ctx);
	return false;
}

void serve_in_place(struct pending *p, const struct key *keys, uint32_t key_count, int64_t now,
		    struct ready_list *ready, bool *stored)
{
	struct worker *worker = p->conn->worker;
	struct reply *reply = &p->conn->out;
	uint32_t errors = reply->errors;
	if (p->request.cmd->route == ROUTE_NONE) {
		route_none(worker, p, reply);
		reply->errors = errors;
		return;
	}
	assert(p->request.cmd->route != ROUTE_HOLDER);
	struct ctx ctx = serve_ctx(worker, &p->request, reply);
	ctx.keys = keys;
	ctx.key_count = key_count;
	ctx.now = now;
	ctx.clock = NULL;
	ctx.ready = ready;
	struct reply_mark mark = reply_mark(reply);
	execute(&ctx);
	if (ctx.need_turns) {
		reply_rollback(reply, mark);
		if (long_in_place(p, &ctx, stored))
			return;
	}
	*stored |= ctx.stored;
	finish_here(worker, p, &ctx, errors);
	reply->errors = errors; /* counted: it is no error of the larger request */
}

static bool route(struct worker *worker, struct pending *p, struct reply *reply)
{
	const struct request *request = &p->request;
	switch (command_route(request->cmd, request->argv, request->argc)) {
	case ROUTE_KEY:
		return route_key(worker, p, reply);
	case ROUTE_KEYS:
		return p->request.cmd->flags & CMD_BLOCKING ? route_blocking(worker, p, reply)
							    : route_keys(worker, p, reply);
	case ROUTE_ALL:
		return route_all(worker, p, reply);
	case ROUTE_HOLDER:
		return route_holder(worker, p, reply);
	case ROUTE_OBSERVE:
		route_observe(worker, p, reply);
		break;
	case ROUTE_NONE:
		route_none(worker, p, reply);
		break;
	case ROUTE_PATTERNS:
		assert(false);
	}
	return true;
}

/* --- admission --- */

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

/* Whether the connection may run protected commands (DEBUG). */
static bool may_debug(const struct worker *worker, const struct conn *conn)
{
	int64_t setting = config_int(&worker->server->config.enable_debug_command);
	return setting == PROTECTED_YES || (setting == PROTECTED_LOCAL && conn_is_local(conn));
}

static const char error_debug[] =
	"ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you "
	"can run it from a local connection, otherwise you need to set this option in the "
	"configuration file, and then restart the server.";

/*
 * DEBUG, where it may not be run: that is said before what is wrong with the words behind it. NULL for
 * anything else.
 */
static const struct command *denied_debug(const struct worker *worker, const struct conn *conn,
					  const struct request *request)
{
	const struct command *cmd = command_find(request->argv[0]);
	bool denied = cmd && request->argc > 1 && (cmd->flags & CMD_PROTECTED) &&
		      !may_debug(worker, conn);
	return denied ? cmd : NULL;
}

/* A web page may make a browser post requests to us: HTTP ends the connection, as in Redis. */
static bool is_http(const struct slice *argv)
{
	return slice_is(argv[0], "post") || slice_is(argv[0], "host:");
}

/* Once: clients must not fill the log. */
static void warn_of_http(struct server *server, const struct conn *conn)
{
	if (!atomic_exchange(&server->warned_of_http, true))
		conn_log(conn, LOG_WARNING,
			 "Possible security attack: a client speaks HTTP. Closing such connections.");
}

/* What is refused while the disk gives trouble: writes, and PING, for it asks whether all is well. */
static bool needs_disk(const struct conn *conn, const struct command *cmd)
{
	if (cmd->id == CMD_exec && conn->multi)
		return conn->multi->flags & CMD_WRITE;
	return (cmd->flags & CMD_WRITE) || cmd->id == CMD_ping;
}

static const char error_bgsave[] =
	"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to "
	"disk. Commands that may modify the data set are disabled, because this instance is "
	"configured to report errors during writes if RDB snapshotting fails "
	"(stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB "
	"error.";

static const char error_memory[] = "OOM command not allowed when used memory > 'maxmemory'.";

/* What is refused while too much memory is used. What is queued needs some, too. */
static bool needs_memory(const struct conn *conn, const struct command *cmd)
{
	return (multi_flags(conn, cmd) & CMD_DENYOOM) || multi_takes(conn, cmd);
}

/* What is wrong with the request, if anything: replies the error. */
static bool refused(struct worker *worker, struct conn *conn, const struct request *request,
		    struct reply *reply)
{
	const struct command *cmd = request->cmd;
	struct reply_mark mark = reply_mark(reply);
	if (!cmd && is_http(request->argv)) {
		warn_of_http(worker->server, conn);
		conn_close_after(conn);
		return true;
	}
	if (!cmd)
		cmd = denied_debug(worker, conn, request);
	if (!cmd)
		cmd = command_resolve(request->argv, request->argc, reply);
	if (!cmd)
		cmd = command_lookup(request->argv, request->argc);
	else if ((cmd->flags & CMD_PROTECTED) && !may_debug(worker, conn))
		reply_error(reply, error_debug);
	else if (!conn_authenticated(conn) && !(cmd->flags & CMD_NO_AUTH))
		reply_error(reply, "NOAUTH Authentication required.");
	else if (conn->multi && (cmd->flags & CMD_NO_MULTI))
		reply_error(reply, "ERR Command not allowed inside a transaction");
	else if (atomic_load_explicit(&worker->server->memory_above, memory_order_relaxed) &&
		 needs_memory(conn, cmd))
		reply_error(reply, error_memory);
	else if (snapshotter_stops_writes(worker->server) && needs_disk(conn, cmd))
		reply_error(reply, error_bgsave);
	else if (needs_disk(conn, cmd) && flusher_trouble(&worker->server->flusher))
		reply_errorf(reply, "MISCONF Errors writing to the AOF file: %s",
			     strerror(-flusher_trouble(&worker->server->flusher)));
	else if (!(cmd->flags & CMD_LOADING) && persistence_loading(&worker->server->persistence))
		reply_error(reply, "LOADING Redis is loading the dataset in memory");
	else
		return false;
	multi_refused(conn, cmd, reply, mark);
	if (cmd)
		stat_add(&worker->stats.commands[cmd->id].rejected, 1);
	serve_count_errors(worker, reply);
	return true;
}

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
	if (!refused(worker, conn, &p->request, reply)) {
		if (multi_takes(conn, p->request.cmd))
			multi_queue(conn, &p->request, reply);
		else if (writes_wait(worker, conn, p->request.cmd) || !route(worker, p, reply))
			put_off(conn, p, mute);
	}
	if (mute && (conn->flags & (CONN_REPLY_OFF | CONN_REPLY_SKIP)))
		reply_rollback(reply, mark);
	conn_flush_later(conn);
}

/* --- batches --- */

/* Finds the request's row, slot and hash; fetches the slot's line. */
static void prepare(struct worker *worker, struct pending *p, const struct slice *argv)
{
	struct request *request = &p->request;
	const struct command *cmd = command_find(argv[0]);
	if (cmd && cmd->route == ROUTE_NONE)
		cmd = command_lookup(argv, request->argc);
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
		mem_free(worker->keys, worker->keys_cap * sizeof(*worker->keys));
		mem_free(worker->slots, worker->keys_cap * sizeof(*worker->slots));
		serve_init(worker);
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
	serve_count_errors(worker, reply);
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
	enum resp_result result = resp_parse(&conn->parser, &limits,
					     conn->block->bytes + conn->at, conn_in_bytes(conn),
					     &worker->args, &out);
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
	conn_flush_later(conn);
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

/* --- mail --- */

static void open_letter(struct worker *worker, uintptr_t letter)
{
	void *what = letter_what(letter);
	switch (letter_verb(letter)) {
	case MAIL_CALL:
		gather_run(worker, what);
		break;
	case MAIL_RETURN:
		gather_returned(worker, what);
		break;
	case MAIL_ADOPT: {
		struct arrival *arrival = what;
		conn_adopt(worker, arrival);
		mem_free(arrival, sizeof(*arrival));
		break;
	}
	case MAIL_SAVED:
		snapshotter_answer(worker, what);
		break;
	case MAIL_SERVED:
		blocked_served(worker, what);
		break;
	case MAIL_VERB_COUNT:
		assert(!"no such verb");
	}
}

void serve_mail(struct worker *worker)
{
	struct parcel *parcel = mailbox_take(&worker->mailbox);
	while (parcel) {
		struct parcel *next = parcel->next;
		for (uint32_t i = 0; i < parcel->count; i++)
			open_letter(worker, parcel->letters[i]);
		parcel_free(&worker->parcels, parcel);
		parcel = next;
	}
}
