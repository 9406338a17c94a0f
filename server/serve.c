/*
 * The request path (serve.h): from bytes to a running handler.
 *
 * A GET of another shard's key in one screen: serve_conn() parses it into the batch; prepare() finds its
 * row, slot and hash and fetches the slot's line; run_batch() fetches its bucket and its entry, then
 * serve_request() admits it and route_key() runs the handler under RCU; the reply goes to conn_reply().
 *
 * A SET of another shard's key: route_key() makes an op and mails it; the owner's serve_mail() fetches
 * what it needs, receive_op() runs the handler and mails it back; the origin's serve_mail() hands it to
 * conn_answer(), which puts the reply in its place.
 *
 * A request that can't be run now (its connection has to wait for something) is left in the read block:
 * rewind() moves the connection's place back to its first byte.
 */
#include "server/serve.h"

#include "proto/command_info.h"
#include "proto/mem.h"
#include "server/gather.h"
#include "server/handlers.h"
#include "server/log.h"
#include "server/server.h"
#include "server/slowlog.h"
#include "server/txn.h"
#include "shard/execute.h"

#include <assert.h>

/* The first piece of memory for a connection's replies of one tick: a pipeline of some hundred. */
#define OUT_FIRST_BYTES (8 * 1024)
/* With more arguments than this in the batch it is run before more is parsed. */
#define BATCH_ARGS_MAX 1024

/* --- running a handler --- */

static struct ctx ctx_make(struct worker *worker, const struct request *request,
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
			    .no_touch = request->no_touch};
}

void serve_count_errors(struct worker *worker, const struct reply *reply)
{
	stat_add(&worker->stats.errors, 1);
	stats_error(&worker->stats, reply->code);
}

/* Takes the time since the last command and books it on this one. */
static uint64_t account(struct worker *worker, const struct command *cmd, const struct reply *reply,
			uint32_t errors_before)
{
	uint64_t now = clock_cycles();
	uint64_t cycles = now - worker->cycles;
	worker->cycles = now;
	stats_command(&worker->stats, cmd, cycles, worker->server->clock.us_per_cycle);
	stat_add(&worker->stats.commands_run, 1);
	if (config_int(&worker->server->config.latency_monitor_threshold) > 0)
		latency_note(worker, cmd, cycles);
	if (reply->errors != errors_before) {
		stat_add(&worker->stats.commands[cmd->id].failed, 1);
		serve_count_errors(worker, reply);
	}
	return cycles;
}

/* Runs the handler as the holder of these slots (NULL: all). */
static void run_held(struct ctx *ctx, struct slot *const *slots, uint32_t count)
{
	ctx->holder = true;
	ctx->slots = slots;
	ctx->slot_count = count;
	execute(ctx);
}

/* Runs a read under RCU; false when it has to be done by the holder. */
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

/* --- requests that run later --- */

static struct op *detach(struct worker *worker, struct pending *p)
{
	struct op *op = op_new(worker, p->conn, &p->request, p->scratch);
	p->scratch = NULL;
	conn_push_op(p->conn, op);
	return op;
}

struct op *serve_detach(struct conn *conn)
{
	struct worker *worker = conn->worker;
	assert(worker->current && worker->current->conn == conn);
	struct op *op = detach(worker, worker->current);
	conn_wait(conn, WAIT_ANSWERS);
	worker->current = NULL;
	return op;
}

void serve_answer_op(struct worker *worker, struct op *op)
{
	if (op->origin != worker) {
		worker_mail(worker, op->origin->id, op, MAIL_ANSWER);
		return;
	}
	slowlog_note(worker, op->conn, &op->request, op->cycles);
	conn_answer(op->conn, op);
}

/* The keys of a request, prepared, in the worker's scratch. Returns how many. */
static uint32_t prepare_keys(struct worker *worker, const struct request *request)
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
	if ((uint32_t)count > worker->keys_cap) {
		worker->keys_cap = (uint32_t)count * 2;
		worker->keys = mem_realloc(worker->keys,
					   worker->keys_cap * sizeof(*worker->keys));
		worker->slots = mem_realloc(worker->slots,
					    worker->keys_cap * sizeof(*worker->slots));
	}
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

/* Lets an op wait for slots of this worker's own shard. */
static void wait_for_slots(struct worker *worker, struct op *op, struct slot *const *slots,
			   uint32_t count)
{
	stat_add(&worker->stats.path_lent_waits, 1);
	loans_request(&worker->loans, loan_new(worker->id, op, false, slots, count));
	serve_granted(worker);
}

/* --- running ops --- */

/* Runs an op as the holder of these slots (NULL: all) and puts its reply into it. */
static void run_op_held(struct worker *worker, struct op *op, const struct key *keys,
			uint32_t key_count, struct slot *const *slots, uint32_t slot_count)
{
	struct reply reply;
	reply_init_in(&reply, op->request.resp, worker->reply_space, sizeof(worker->reply_space));
	struct ctx ctx = ctx_make(worker, &op->request, &reply);
	ctx.keys = keys;
	ctx.key_count = key_count;
	run_held(&ctx, slots, slot_count);
	op->cycles = account(worker, op->request.cmd, &reply, 0);
	op_set_reply(op, &reply);
	reply_deinit(&reply);
}

void serve_run_borrowed(struct worker *worker, struct op *op, const struct key *keys,
			uint32_t key_count, struct slot *const *slots, uint32_t slot_count)
{
	run_op_held(worker, op, keys, key_count, slots, slot_count);
	serve_answer_op(worker, op);
}

/* Runs an op whose slots, all of this shard, are held. */
static void run_op(struct worker *worker, struct op *op)
{
	uint32_t keys = prepare_keys(worker, &op->request);
	uint32_t slots = keys_slots(worker->keys, keys, worker->slots);
	run_op_held(worker, op, worker->keys, keys, worker->slots, slots);
	serve_answer_op(worker, op);
}

/* An op from another worker, on slots of ours: runs it now, or when they are all free. */
static void receive_op(struct worker *worker, struct op *op)
{
	const struct request *request = &op->request;
	if (request->cmd->route == ROUTE_KEY) {
		struct slot *slot = request->key.slot;
		if (!loans_slot_free(&worker->loans, slot)) {
			wait_for_slots(worker, op, &slot, 1);
			return;
		}
		run_op_held(worker, op, &request->key, 1, &slot, 1);
		serve_answer_op(worker, op);
		return;
	}
	uint32_t keys = prepare_keys(worker, request);
	uint32_t slots = keys_slots(worker->keys, keys, worker->slots);
	for (uint32_t i = 0; i < slots; i++) {
		if (!loans_slot_free(&worker->loans, worker->slots[i])) {
			wait_for_slots(worker, op, worker->slots, slots);
			return;
		}
	}
	run_op_held(worker, op, worker->keys, keys, worker->slots, slots);
	serve_answer_op(worker, op);
}

void serve_granted(struct worker *worker)
{
	struct loan *loan;
	while ((loan = loans_next_granted(&worker->loans))) {
		if (!loan->for_txn) {
			run_op(worker, loan->owner);
			loans_return(&worker->loans, loan);
			loan_free(loan);
			continue;
		}
		struct worker *origin = txn_origin(loan->owner);
		if (origin == worker)
			txn_granted(worker, loan);
		else
			worker_mail(worker, origin->id, loan, MAIL_GRANTED);
	}
}

/* --- routes --- */

static void finish_here(struct worker *worker, struct pending *p, const struct ctx *ctx,
			uint32_t errors_before)
{
	uint64_t cycles = account(worker, p->request.cmd, ctx->reply, errors_before);
	slowlog_note(worker, p->conn, &p->request, cycles);
}

static void forward(struct worker *worker, struct pending *p, const struct slot *slot)
{
	stat_add(&worker->stats.path_forwarded, 1);
	uint16_t owner = slot_owner(worker->server->ks, slot);
	worker_mail(worker, owner, detach(worker, p), MAIL_REQUEST);
	if (config_int(&worker->server->config.pipeline_order) == PIPELINE_ORDER_STRICT)
		conn_wait(p->conn, WAIT_ANSWERS);
}

/* A request on one slot. */
static void route_key(struct worker *worker, struct pending *p, struct reply *reply)
{
	struct slot *slot = p->request.key.slot;
	bool read = p->request.cmd->flags & CMD_READONLY;
	bool own = slot_owner(worker->server->ks, slot) == worker->id;
	uint32_t errors = reply->errors;
	struct ctx ctx = ctx_make(worker, &p->request, reply);
	if (own && loans_slot_free(&worker->loans, slot)) {
		stat_add(&worker->stats.path_local, 1);
		run_held(&ctx, &slot, 1);
		finish_here(worker, p, &ctx, errors);
		return;
	}
	if (read && !conn_has_op_on(p->conn, slot) && run_observed(worker, &ctx)) {
		finish_here(worker, p, &ctx, errors);
		return;
	}
	if (own)
		wait_for_slots(worker, detach(worker, p), &slot, 1);
	else
		forward(worker, p, slot);
}

/* Where several slots are: on one shard (its number), or on several (-1). */
static int32_t common_owner(const struct keyspace *ks, struct slot *const *slots, uint32_t count)
{
	uint16_t owner = slot_owner(ks, slots[0]);
	for (uint32_t i = 1; i < count; i++)
		if (slot_owner(ks, slots[i]) != owner)
			return -1;
	return owner;
}

static bool all_free(const struct worker *worker, struct slot *const *slots, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (!loans_slot_free(&worker->loans, slots[i]))
			return false;
	return true;
}

/* A request on several keys. Its connection has no unanswered operations. */
static void route_keys(struct worker *worker, struct pending *p, struct reply *reply)
{
	uint32_t errors = reply->errors;
	struct ctx ctx = ctx_make(worker, &p->request, reply);
	ctx.key_count = prepare_keys(worker, &p->request);
	ctx.keys = worker->keys;
	uint32_t slots = keys_slots(worker->keys, ctx.key_count, worker->slots);
	int32_t owner = slots ? common_owner(worker->server->ks, worker->slots, slots) : worker->id;
	if (owner == worker->id && all_free(worker, worker->slots, slots)) {
		stat_add(&worker->stats.path_local, 1);
		run_held(&ctx, worker->slots, slots);
		finish_here(worker, p, &ctx, errors);
		return;
	}
	if ((p->request.cmd->flags & CMD_READONLY) && run_observed(worker, &ctx)) {
		finish_here(worker, p, &ctx, errors);
		return;
	}
	if (owner == worker->id) {
		conn_wait(p->conn, WAIT_ANSWERS);
		wait_for_slots(worker, detach(worker, p), worker->slots, slots);
	} else if (owner >= 0) {
		conn_wait(p->conn, WAIT_ANSWERS);
		forward(worker, p, worker->slots[0]);
	} else {
		conn_wait(p->conn, WAIT_ANSWERS);
		txn_start(worker, detach(worker, p), worker->keys, ctx.key_count);
	}
}

/* A request on every slot. Its connection has no unanswered operations. */
static void route_all(struct worker *worker, struct pending *p, struct reply *reply)
{
	uint32_t errors = reply->errors;
	if (worker->server->ks->shard_count == 1 && worker->loans.busy == 0 &&
	    !loans_gated(&worker->loans)) {
		struct ctx ctx = ctx_make(worker, &p->request, reply);
		stat_add(&worker->stats.path_local, 1);
		run_held(&ctx, NULL, SLOT_COUNT);
		finish_here(worker, p, &ctx, errors);
		return;
	}
	conn_wait(p->conn, WAIT_ANSWERS);
	txn_start(worker, detach(worker, p), NULL, 0);
}

static void route_observe(struct worker *worker, struct pending *p, struct reply *reply)
{
	uint32_t errors = reply->errors;
	struct ctx ctx = ctx_make(worker, &p->request, reply);
	run_observed(worker, &ctx);
	finish_here(worker, p, &ctx, errors);
}

static void route_none(struct worker *worker, struct pending *p, struct reply *reply)
{
	uint32_t errors = reply->errors;
	struct reply_mark mark = reply_mark(reply);
	struct ctx ctx = ctx_make(worker, &p->request, reply);
	worker->current = p;
	conn_handlers[p->request.cmd->id](p->conn, &ctx);
	if (!worker->current) {
		reply_rollback(reply, mark);
		account(worker, p->request.cmd, reply, reply->errors);
		return;
	}
	worker->current = NULL;
	finish_here(worker, p, &ctx, errors);
}

static void route(struct worker *worker, struct pending *p, struct reply *reply)
{
	switch ((enum command_route)p->request.cmd->route) {
	case ROUTE_KEY:
		route_key(worker, p, reply);
		break;
	case ROUTE_KEYS:
		route_keys(worker, p, reply);
		break;
	case ROUTE_ALL:
		route_all(worker, p, reply);
		break;
	case ROUTE_OBSERVE:
		route_observe(worker, p, reply);
		break;
	case ROUTE_NONE:
		route_none(worker, p, reply);
		break;
	}
}

/* --- admission --- */

/* The request isn't run now: its bytes will be parsed again. */
static void rewind_to(struct conn *conn, const struct pending *p)
{
	if (conn->at > p->start)
		conn->at = p->start;
	resp_parser_deinit(&conn->parser);
}

/* True when the command looks at more than one slot, so that earlier operations must be through. */
static bool looks_round(const struct command *cmd)
{
	return cmd->route != ROUTE_KEY && (cmd->route != ROUTE_NONE || !(cmd->flags & CMD_FAST));
}

/* A reason for the connection to wait before this request, 0 for none. */
static uint8_t reason_to_wait(const struct worker *worker, const struct conn *conn,
			      const struct command *cmd)
{
	if (server_paused(worker->server, cmd, worker->now))
		return WAIT_PAUSE;
	if (conn->op_count >= CONN_OPS_MAX)
		return WAIT_ROOM;
	if (conn->op_first && cmd && looks_round(cmd))
		return WAIT_ANSWERS;
	if (conn_out_bytes(conn) > CONN_OUT_MAX && conn_out_bytes(conn) > conn_out_max(conn))
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

/* A web page may make a browser post requests to us: HTTP ends the connection, as in Redis. */
static bool is_http(const struct slice *argv)
{
	return slice_is(argv[0], "post") || slice_is(argv[0], "host:");
}

/* Once: clients must not fill the log. */
static void warn_of_http(struct server *server, const struct conn *conn)
{
	char peer[CONN_ADDRESS_MAX];
	if (atomic_exchange(&server->warned_of_http, true))
		return;
	conn_peer_text(conn, peer);
	log_write(LOG_WARNING, "Possible security attack: %s speaks HTTP. Closing such connections.",
		  peer);
}

/* What is wrong with the request, if anything: replies the error. */
static bool refused(struct worker *worker, struct conn *conn, const struct request *request,
		    struct reply *reply)
{
	const struct command *cmd = request->cmd;
	if (!cmd && is_http(request->argv)) {
		warn_of_http(worker->server, conn);
		conn_close_after(conn);
		return true;
	}
	if (!cmd)
		cmd = command_resolve(request->argv, request->argc, reply);
	if (!cmd) {
		const struct command *row = command_lookup(request->argv, request->argc);
		if (row)
			stat_add(&worker->stats.commands[row->id].rejected, 1);
		serve_count_errors(worker, reply);
		return true;
	}
	if (!(conn->flags & CONN_AUTHENTICATED) && !(cmd->flags & CMD_NO_AUTH))
		reply_error(reply, "NOAUTH Authentication required.");
	else if ((cmd->flags & CMD_PROTECTED) && !may_debug(worker, conn))
		reply_error(reply, error_debug);
	else
		return false;
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
	struct reply *reply = conn_reply(conn);
	bool mute = is_mute(conn);
	struct reply_mark mark = reply_mark(reply);
	if (!refused(worker, conn, &p->request, reply))
		route(worker, p, reply);
	if (mute && (conn->flags & (CONN_REPLY_OFF | CONN_REPLY_SKIP)))
		reply_rollback(reply, mark);
	conn_flush_later(conn);
}

/* --- batches --- */

/* Finds the request's row, slot and hash; fetches the slot's line where it will be run here. */
static void prepare(struct worker *worker, struct pending *p, const struct slice *argv)
{
	struct request *request = &p->request;
	const struct command *cmd = command_find(argv[0]);
	if (cmd && cmd->route == ROUTE_NONE)
		cmd = command_lookup(argv, request->argc);
	if (cmd && (cmd->container || !command_arity_ok(cmd, request->argc)))
		cmd = NULL;
	request->cmd = cmd;
	request->local = false;
	request->key.name.ptr = NULL;
	request->key.slot = NULL;
	if (!cmd || cmd->route != ROUTE_KEY)
		return;
	key_prepare(&request->key, worker->server->ks, argv[cmd->first_key]);
	struct slot *slot = request->key.slot;
	request->local = (cmd->flags & CMD_READONLY) ||
			 slot_owner(worker->server->ks, slot) == worker->id;
	if (request->local)
		__builtin_prefetch(slot);
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

static void run_batch(struct worker *worker)
{
	struct pending *batch = worker->batch;
	uint32_t count = worker->batch_count;
	for (uint32_t i = 0; i < count; i++) {
		batch[i].request.argv = worker->args.v + batch[i].args_at;
		if (batch[i].request.local)
			fetch_bucket(&batch[i].request);
	}
	for (uint32_t i = 0; i < count; i++)
		if (batch[i].request.local)
			fetch_entry(&batch[i].request);
	worker->cycles = clock_cycles();
	for (uint32_t i = 0; i < count; i++) {
		serve_request(worker, &batch[i]);
		mem_free_unsized(batch[i].scratch);
	}
	worker->batch_count = 0;
	worker->args.count = 0;
}

/* A protocol error: answered after all earlier requests, then the connection goes. */
static void protocol_error(struct worker *worker, struct conn *conn, const char *error)
{
	struct reply *reply = conn_reply(conn);
	reply_error(reply, error);
	serve_count_errors(worker, reply);
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
		.authenticated = conn->flags & CONN_AUTHENTICATED,
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
	if (may_serve(conn))
		conn_close_after(conn);
}

void serve_ready(struct worker *worker)
{
	struct conn *conn;
	do {
		while ((conn = worker->ready_first)) {
			worker->ready_first = conn->ready_next;
			conn->flags &= ~(uint32_t)CONN_READY;
			if (conn->flags & CONN_CLOSING)
				conn_release(conn);
			else
				serve_conn(worker, conn);
		}
		run_batch(worker);
	} while (worker->ready_first);
}

/* --- mail --- */

/* Prefetches for the requests in a parcel, as for a batch. */
static void fetch_parcel(const struct parcel *parcel)
{
	struct op *ops[PARCEL_ITEMS];
	uint32_t count = 0;
	for (uint32_t i = 0; i < parcel->count; i++) {
		uintptr_t letter = parcel->letters[i];
		char *line = letter_what(letter);
		__builtin_prefetch(line);
		if (letter_verb(letter) == MAIL_ANSWER || letter_verb(letter) == MAIL_REQUEST) {
			__builtin_prefetch(line + 64);
			__builtin_prefetch(line + 128);
			__builtin_prefetch(line + 192);
		}
		if (letter_verb(letter) == MAIL_REQUEST)
			ops[count++] = (struct op *)line;
	}
	for (uint32_t i = 0; i < count; i++) {
		const struct request *request = &ops[i]->request;
		if (request->key.slot)
			__builtin_prefetch(request->key.slot);
		__builtin_prefetch(request->argv[request->argc - 1].ptr);
		__builtin_prefetch(request->key.name.ptr);
	}
	for (uint32_t i = 0; i < count; i++)
		if (ops[i]->request.key.slot)
			fetch_bucket(&ops[i]->request);
	for (uint32_t i = 0; i < count; i++)
		if (ops[i]->request.key.slot)
			fetch_entry(&ops[i]->request);
}

static void open_letter(struct worker *worker, uintptr_t letter)
{
	void *what = letter_what(letter);
	switch (letter_verb(letter)) {
	case MAIL_REQUEST:
		receive_op(worker, what);
		break;
	case MAIL_ANSWER:
		serve_answer_op(worker, what);
		break;
	case MAIL_LOCK:
		loans_request(&worker->loans, what);
		serve_granted(worker);
		break;
	case MAIL_GRANTED:
		txn_granted(worker, what);
		break;
	case MAIL_UNLOCK:
		loans_return(&worker->loans, what);
		loan_free(what);
		serve_granted(worker);
		break;
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
	case MAIL_VERB_COUNT:
		assert(!"no such verb");
	}
}

void serve_mail(struct worker *worker)
{
	struct parcel *parcel = mailbox_take(&worker->mailbox);
	worker->cycles = clock_cycles();
	while (parcel) {
		struct parcel *next = parcel->next;
		fetch_parcel(parcel);
		for (uint32_t i = 0; i < parcel->count; i++)
			open_letter(worker, parcel->letters[i]);
		parcel_free(&worker->parcels, parcel);
		parcel = next;
	}
}
