/*
 * Running one request (run.h).
 *
 * A GET: run_request() finds its route; route_key() runs the handler under RCU; finish_here() looks
 * at the clock. The reply stands in conn->out. A SET goes the same way, but that route_key() holds
 * the slot while the handler runs.
 */
#include "server/run.h"

#include "proto/command_info.h"
#include "proto/mem.h"
#include "server/account.h"
#include "server/blocked.h"
#include "server/handlers.h"
#include "server/long_run.h"
#include "server/multi.h"
#include "server/server.h"
#include "server/slowlog.h"
#include "shard/execute.h"
#include "shard/hold.h"
#include "shard/turn.h"

#include <assert.h>

/* Keys of one request that there is room for at first. */
#define KEYS_FIRST 64

void run_init(struct worker *worker)
{
	worker->keys_cap = KEYS_FIRST;
	worker->keys = mem_alloc(KEYS_FIRST * sizeof(*worker->keys));
	worker->slots = mem_alloc(KEYS_FIRST * sizeof(*worker->slots));
}

void run_deinit(struct worker *worker)
{
	mem_free(worker->keys, worker->keys_cap * sizeof(*worker->keys));
	mem_free(worker->slots, worker->keys_cap * sizeof(*worker->slots));
}

/* --- what a handler gets --- */

/*
 * Whether it is asked to when it finds much to do; others are never long, or as long as they are.
 */
static bool takes_turns(const struct command *cmd)
{
	return cmd->route == ROUTE_KEY || cmd->route == ROUTE_KEYS || cmd->route == ROUTE_PATTERNS;
}

struct ctx run_ctx(struct worker *worker, const struct request *request, struct reply *reply)
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

/* Room for that many keys, and their slots, in the worker's scratch. */
static void keys_room(struct worker *worker, uint32_t count)
{
	if (count <= worker->keys_cap)
		return;
	worker->keys_cap = count;
	worker->keys = mem_realloc(worker->keys, worker->keys_cap * sizeof(*worker->keys));
	worker->slots = mem_realloc(worker->slots, worker->keys_cap * sizeof(*worker->slots));
}

uint32_t run_keys(struct worker *worker, const struct request *request)
{
	uint32_t inline_positions[KEYS_FIRST];
	uint32_t *positions = inline_positions;
	size_t bytes = request->argc * sizeof(*positions);
	if (request->argc > KEYS_FIRST)
		positions = mem_alloc(bytes);
	int32_t count =
		command_keys(request->cmd, request->argv, request->argc, positions, request->argc);
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

/* --- paths --- */

/* By which path a request has come to be run, or that it has to wait. */
static void count_path(struct worker *worker, struct slot *const *slots, uint32_t count, bool held)
{
	struct stats *stats = &worker->stats;
	_Atomic uint64_t *path = !slots      ? &stats->path_held_all
				 : count > 1 ? &stats->path_held_several
					     : &stats->path_held;
	stat_add(held ? path : &stats->path_waits, 1);
}

bool run_hold(struct worker *worker, struct slot *const *slots, uint32_t count)
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

/* It has been run, and has its answer. */
static void finish_here(struct worker *worker, struct pending *p, const struct ctx *ctx,
			uint32_t errors_before)
{
	uint64_t us = account_request(worker, p->request.cmd, ctx->reply, errors_before);
	slowlog_note(worker, p->conn, &p->request, us);
}

/* --- in turns --- */

/* The time up to now is the op's: what it took to find out that it takes long. */
static void begin_op_time(struct worker *worker, struct op *op)
{
	uint64_t now = clock_cycles();
	op->cycles = now - worker->cycles;
	worker->cycles = now;
}

bool run_long(struct worker *worker, struct pending *p, const struct ctx *ctx,
	      struct slot *const *slots, uint32_t count)
{
	struct op *op = op_begin(p);
	if (!long_run_begin(worker, op, ctx, slots, count)) {
		op_undo(p);
		return false;
	}
	begin_op_time(worker, op);
	return true;
}

/* A request that takes turns, on these slots (NULL: all). */
static bool route_long(struct worker *worker, struct pending *p, const struct ctx *ctx,
		       struct slot *const *slots, uint32_t count)
{
	if (!long_run_room(worker) || !run_hold(worker, slots, count))
		return false;
	if (run_long(worker, p, ctx, slots, count))
		return true;
	slots_release(worker->shard, slots, count, false, ctx->now);
	return false;
}

/* --- routes: false when a slot is held by another worker, and nothing has been done --- */

/* A request on one slot. */
static bool route_key(struct worker *worker, struct pending *p, struct reply *reply)
{
	struct slot *slot = p->request.key.slot;
	struct ctx ctx = run_ctx(worker, &p->request, reply);
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

/* A request on several keys. */
static bool route_keys(struct worker *worker, struct pending *p, struct reply *reply)
{
	struct ctx ctx = run_ctx(worker, &p->request, reply);
	uint32_t errors = reply->errors;
	bool read = p->request.cmd->flags & CMD_READONLY;
	ctx.key_count = run_keys(worker, &p->request);
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
	struct ctx ctx = run_ctx(worker, &p->request, reply);
	uint32_t errors = reply->errors;
	ctx.key_count = run_keys(worker, &p->request);
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
	struct ctx ctx = run_ctx(worker, &p->request, reply);
	uint32_t errors = reply->errors;
	ctx.key_count = run_keys(worker, &p->request);
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
	struct ctx ctx = run_ctx(worker, &p->request, reply);
	run_observed(worker, &ctx);
	journal_saw_all(worker->shard);
	finish_here(worker, p, &ctx, errors);
}

static void route_none(struct worker *worker, struct pending *p, struct reply *reply)
{
	uint32_t errors = reply->errors;
	struct reply_mark mark = reply_mark(reply);
	struct ctx ctx = run_ctx(worker, &p->request, reply);
	worker->current = p;
	conn_handlers[p->request.cmd->id](p->conn, &ctx);
	if (!worker->current) {
		reply_rollback(reply, mark);
		account_request(worker, p->request.cmd, reply, reply->errors);
		return;
	}
	worker->current = NULL;
	finish_here(worker, p, &ctx, errors);
}

/* A request that holds its slots by itself; EXEC may be answered later. */
static bool route_holder(struct worker *worker, struct pending *p, struct reply *reply)
{
	uint32_t errors = reply->errors;
	struct ctx ctx = run_ctx(worker, &p->request, reply);
	if (!holder_handlers[p->request.cmd->id](p->conn, &ctx))
		return false;
	if (!p->conn->op)
		finish_here(worker, p, &ctx, errors);
	return true;
}

bool run_request(struct worker *worker, struct pending *p, struct reply *reply)
{
	const struct command *cmd = p->request.cmd;
	switch (cmd->route) {
	case ROUTE_KEY:
		return route_key(worker, p, reply);
	case ROUTE_KEYS:
		return cmd->flags & CMD_BLOCKING ? route_blocking(worker, p, reply)
						 : route_keys(worker, p, reply);
	case ROUTE_PATTERNS:
		return command_route(cmd, p->request.argv, p->request.argc) == ROUTE_ALL
			       ? route_all(worker, p, reply)
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
	}
	return true;
}

/* --- as a part of another --- */

/* True when the request takes turns. Where there is no room for that it is done at once. */
static bool long_in_place(struct pending *p, struct ctx *ctx, bool *stored)
{
	struct worker *worker = p->conn->worker;
	*stored |= ctx->stored; /* what had expired */
	struct op *op = op_begin(p);
	if (long_run_begin_within(worker, op, ctx, &op->conn->multi->unit, stored)) {
		begin_op_time(worker, op);
		return true;
	}
	op_undo(p);
	ctx->need_turns = false;
	ctx->long_from = 0;
	execute(ctx);
	return false;
}

void run_in_place(struct pending *p, const struct key *keys, uint32_t key_count, int64_t now,
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
	struct ctx ctx = run_ctx(worker, &p->request, reply);
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
