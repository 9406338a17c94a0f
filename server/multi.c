/*
 * Transactions (multi.h).
 *
 * The happy path: cmd_multi(), multi_queue() for each command, cmd_exec(): exec_hold() takes the
 * slots, exec_go_on() runs the commands one after another, exec_end() releases the slots. In
 * between exec_go_on() may return with a command's answer still to come; multi_answered() calls it
 * again.
 */
#include "server/multi.h"

#include "proto/mem.h"
#include "server/account.h"
#include "server/handlers.h"
#include "server/run.h"
#include "server/server.h"
#include "server/slowlog.h"
#include "shard/blocked.h"
#include "shard/execute.h"
#include "shard/hold.h"

#include <assert.h>

/* --- the queue --- */

static void queued_free(struct queued *queued)
{
	if (queued->keys != &queued->request.key)
		mem_free((void *)queued->keys, queued->key_count * sizeof(*queued->keys));
	mem_free(queued, queued->bytes);
}

/* A copy of the request, arguments included. */
static struct queued *queued_new(const struct request *request)
{
	size_t bytes = sizeof(struct queued) + request->argc * sizeof(struct slice);
	for (uint32_t i = 0; i < request->argc; i++)
		bytes += request->argv[i].len;
	struct queued *queued = mem_alloc(bytes);
	*queued = (struct queued){.request = *request, .bytes = bytes};
	char *at = (char *)(queued->args + request->argc);
	for (uint32_t i = 0; i < request->argc; i++) {
		size_t len = request->argv[i].len;
		memcpy(at, request->argv[i].ptr, len);
		queued->args[i] = (struct slice){at, len};
		at += len;
	}
	queued->request.argv = queued->args;
	return queued;
}

static enum command_route route_of(const struct request *request)
{
	return command_route(request->cmd, request->argv, request->argc);
}

/* Finds the keys in the copied arguments. */
static void queued_prepare(struct worker *worker, struct queued *queued)
{
	struct request *request = &queued->request;
	enum command_route route = route_of(request);
	queued->keys = &request->key;
	if (route == ROUTE_KEY) {
		request->key.name = request->argv[request->cmd->first_key];
		queued->key_count = 1;
	} else if (route == ROUTE_KEYS || route == ROUTE_ALL) {
		uint32_t count = run_keys(worker, request);
		if (count == 0)
			return; /* malformed: the handler will say so */
		struct key *keys = mem_alloc(count * sizeof(*keys));
		memcpy(keys, worker->keys, count * sizeof(*keys));
		queued->keys = keys;
		queued->key_count = count;
	}
}

bool multi_takes(const struct command *cmd)
{
	switch (cmd->id) {
	case CMD_multi:
	case CMD_exec:
	case CMD_discard:
	case CMD_watch:
	case CMD_quit:
	case CMD_reset:
		return false;
	default:
		return true;
	}
}

/* A command that looks at the whole keyspace, and within EXEC sees it at one moment. */
static bool needs_all(const struct request *request)
{
	enum command_route route = route_of(request);
	return route == ROUTE_ALL || route == ROUTE_OBSERVE || request->cmd->id == CMD_keys;
}

static bool reads_keys(const struct request *request)
{
	enum command_route route = route_of(request);
	return (request->cmd->flags & CMD_READONLY) && (route == ROUTE_KEY || route == ROUTE_KEYS);
}

void multi_queue(struct conn *conn, const struct request *request, struct reply *reply)
{
	struct multi *multi = conn->multi;
	struct queued *queued = queued_new(request);
	queued_prepare(conn->worker, queued);
	*multi->last = queued;
	multi->last = &queued->next;
	multi->count++;
	multi->key_count += queued->key_count;
	multi->flags |= request->cmd->flags;
	multi->needs_all |= needs_all(request);
	multi->flushes |= is_flush(request->cmd);
	multi->only_reads &= reads_keys(request);
	for (uint32_t i = 0; i < request->argc; i++)
		multi->args_bytes += request->argv[i].len + sizeof(void *);
	multi->bytes += queued->bytes + queued->key_count * sizeof(struct key);
	reply_status(reply, "QUEUED");
}

static void multi_free(struct conn *conn)
{
	struct multi *multi = conn->multi;
	struct queued *next;
	for (struct queued *queued = multi->first; queued; queued = next) {
		next = queued->next;
		queued_free(queued);
	}
	mem_free(multi->slots, multi->slot_room * sizeof(struct slot *));
	mem_free(multi, sizeof(*multi));
	conn->multi = NULL;
}

void cmd_multi(struct conn *conn, struct ctx *ctx)
{
	if (conn->multi) {
		reply_error(ctx->reply, "ERR MULTI calls can not be nested");
		return;
	}
	conn->multi = mem_zalloc(sizeof(*conn->multi));
	conn->multi->last = &conn->multi->first;
	conn->multi->only_reads = true;
	conn->multi->bytes = sizeof(*conn->multi);
	reply_ok(ctx->reply);
}

void cmd_discard(struct conn *conn, struct ctx *ctx)
{
	if (!conn->multi) {
		reply_error(ctx->reply, "ERR DISCARD without MULTI");
		return;
	}
	multi_discard(conn);
	reply_ok(ctx->reply);
}

/* --- watching --- */

/* The watches end: here, or step by step where a slot is held by another. */
static void unwatch(struct conn *conn)
{
	struct watch_set *set = conn->watching;
	if (!set)
		return;
	conn->watching = NULL;
	if (watch_set_clear(set)) {
		watch_set_free(set);
		return;
	}
	set->next = conn->worker->unwatching;
	conn->worker->unwatching = set;
}

void multi_unwatch_step(struct worker *worker)
{
	struct watch_set **at = &worker->unwatching;
	while (*at) {
		struct watch_set *set = *at;
		if (!watch_set_clear(set)) {
			at = &set->next;
			continue;
		}
		*at = set->next;
		watch_set_free(set);
	}
}

void multi_discard(struct conn *conn)
{
	if (multi_running(conn))
		return; /* nothing stops it; it watches nothing any more */
	if (conn->multi)
		multi_free(conn);
	unwatch(conn);
}

/* The moment of who holds its slots: see execute() for why the fence. */
static int64_t moment(struct worker *worker)
{
	atomic_thread_fence(memory_order_seq_cst);
	return clock_now(&worker->server->clock);
}

bool cmd_watch(struct conn *conn, struct ctx *ctx)
{
	struct worker *worker = conn->worker;
	if (conn->multi) {
		reply_error(ctx->reply, "ERR WATCH inside MULTI is not allowed");
		return true;
	}
	if (conn->watching && watch_set_dirty(conn->watching)) {
		reply_ok(ctx->reply); /* EXEC is lost already */
		return true;
	}
	uint32_t key_count = run_keys(worker, &(struct request){.cmd = ctx->cmd,
								.argv = ctx->argv,
								.argc = ctx->argc,
								.db = ctx->db});
	uint32_t slot_count = keys_slots(worker->keys, key_count, worker->slots);
	if (!run_hold(worker, worker->slots, slot_count))
		return false;
	int64_t now = moment(worker);
	if (!conn->watching)
		conn->watching = watch_set_new();
	for (uint32_t i = 0; i < key_count; i++) {
		const struct key *key = &worker->keys[i];
		watch_set_add(conn->watching, key->slot, ctx->db, key->hash, key->name, now);
	}
	slots_release(worker->shard, worker->slots, slot_count, false, now);
	reply_ok(ctx->reply);
	return true;
}

void cmd_unwatch(struct conn *conn, struct ctx *ctx)
{
	unwatch(conn);
	reply_ok(ctx->reply);
}

/* --- refused requests --- */

/* The longest error that an EXEC which was refused repeats. */
#define REFUSAL_MAX 256

void multi_refused(struct conn *conn, const struct command *cmd, struct reply *reply,
		   struct reply_mark mark)
{
	if (!cmd || cmd->id != CMD_exec) {
		if (conn->multi)
			conn->multi->broken = true;
		return;
	}
	char text[REFUSAL_MAX];
	const char *error = reply->buf + mark.len;
	size_t prefix = strncmp(error, "-ERR ", 5) == 0 ? 5 : 1;
	size_t len = reply->len - mark.len - prefix - strlen("\r\n");
	len = len < sizeof(text) ? len : sizeof(text);
	memcpy(text, error + prefix, len);
	reply_rollback(reply, mark);
	reply_errorf(reply, "EXECABORT Transaction discarded because of: %.*s", (int)len, text);
	multi_discard(conn);
}

/* --- EXEC: its slots --- */

/* All slots that EXEC has to do with; found once, for it may have to try more than once. */
static void exec_find_slots(struct conn *conn)
{
	struct multi *multi = conn->multi;
	if (multi->slots)
		return;
	uint32_t count = 0;
	multi->slot_room = multi->key_count + (conn->watching ? conn->watching->count : 0) + 1;
	multi->slots = mem_alloc(multi->slot_room * sizeof(struct slot *));
	for (const struct queued *queued = multi->first; queued; queued = queued->next)
		for (uint32_t i = 0; i < queued->key_count; i++)
			multi->slots[count++] = queued->keys[i].slot;
	if (conn->watching) {
		watch_set_slots(conn->watching, multi->slots + count);
		count += conn->watching->count;
	}
	multi->slot_count = slots_unique(multi->slots, count);
}

/* What is held: NULL for every slot. */
static struct slot *const *held_slots(const struct multi *multi)
{
	return multi->needs_all ? NULL : multi->slots;
}

/* Whether a watched key has changed; as the holder of its slot or between two looks at the seqs. */
static bool has_changed(const struct conn *conn, int64_t now)
{
	return conn->watching &&
	       (watch_set_dirty(conn->watching) || watch_set_expired(conn->watching, now));
}

/* The request as of now: earlier commands of the transaction may have changed the connection. */
static void request_renew(struct request *request, const struct conn *conn)
{
	request->db = conn->db;
	request->resp = conn->resp;
	request->no_touch = conn->flags & CONN_NO_TOUCH;
}

/* --- EXEC of reads, holding nothing --- */

/* Reads everything once; false when a holder has to do it, or it doesn't go smoothly. */
static bool read_all(struct conn *conn, int64_t now)
{
	struct worker *worker = conn->worker;
	uint64_t before = clock_cycles();
	reply_array(&conn->out, conn->multi->count);
	for (struct queued *queued = conn->multi->first; queued; queued = queued->next) {
		struct ctx ctx = run_ctx(worker, &queued->request, &conn->out);
		uint32_t errors = conn->out.errors;
		ctx.keys = queued->keys;
		ctx.key_count = queued->key_count;
		ctx.now = now;
		key_handlers[ctx.cmd->id](&ctx);
		if (ctx.need_holder || ctx.need_turns || conn->out.errors != errors)
			return false;
		uint64_t after = clock_cycles();
		queued->cycles = after - before;
		before = after;
	}
	return true;
}

enum attempt {
	ATTEMPT_FAILED, /* there is no use in trying again */
	ATTEMPT_AGAIN,  /* a writer was in the way */
	ATTEMPT_NULL,   /* a watched key has changed */
	ATTEMPT_READ,
};

/* One try; on failure it may have written to the reply. */
static enum attempt exec_observe_once(struct conn *conn, uint32_t *seqs)
{
	const struct multi *multi = conn->multi;
	if (!slots_note(conn->worker->shard, multi->slots, multi->slot_count, seqs))
		return ATTEMPT_AGAIN;
	int64_t now = clock_now(&conn->worker->server->clock);
	bool changed = has_changed(conn, now);
	if (!changed && !read_all(conn, now))
		return ATTEMPT_FAILED;
	if (!slots_unchanged(multi->slots, multi->slot_count, seqs))
		return ATTEMPT_AGAIN;
	return changed ? ATTEMPT_NULL : ATTEMPT_READ;
}

/* Counts the commands as if each had come alone. */
static void book_reads(struct conn *conn)
{
	for (struct queued *queued = conn->multi->first; queued; queued = queued->next) {
		uint64_t us = account_command(conn->worker, queued->request.cmd, queued->cycles);
		slowlog_note(conn->worker, conn, &queued->request, us);
	}
}

/* Tries to read the whole transaction under RCU; false when it has to hold its slots. */
static bool exec_observe(struct conn *conn)
{
	struct multi *multi = conn->multi;
	struct stats *stats = &conn->worker->stats;
	size_t seqs_bytes = multi->slot_room * sizeof(uint32_t);
	uint32_t *seqs = mem_alloc(seqs_bytes);
	enum attempt attempt = ATTEMPT_AGAIN;
	for (struct queued *queued = multi->first; queued; queued = queued->next)
		request_renew(&queued->request, conn);
	int tries = observe_tries(multi->key_count);
	while (attempt == ATTEMPT_AGAIN && tries-- > 0) {
		struct reply_mark mark = reply_mark(&conn->out);
		attempt = exec_observe_once(conn, seqs);
		if (attempt != ATTEMPT_READ)
			reply_rollback(&conn->out, mark);
		if (attempt == ATTEMPT_AGAIN)
			stat_add(&stats->path_retries, 1);
	}
	mem_free(seqs, seqs_bytes);
	if (attempt == ATTEMPT_FAILED || attempt == ATTEMPT_AGAIN)
		return false;
	if (attempt == ATTEMPT_READ)
		book_reads(conn);
	else
		reply_null_array(&conn->out);
	stat_add(&stats->path_rcu, 1);
	multi_discard(conn);
	return true;
}

/* --- EXEC as the holder of its slots --- */

/* Nothing of what is written now is for the client. */
static bool is_silent(const struct conn *conn)
{
	return conn->flags & (CONN_REPLY_OFF | CONN_REPLY_SKIP);
}

static void exec_reply_header(struct conn *conn)
{
	struct reply_mark mark = reply_mark(&conn->out);
	reply_array(&conn->out, conn->multi->count);
	if (is_silent(conn))
		reply_rollback(&conn->out, mark);
}

/*
 * Runs one command; false when its answer is still to come. After CLIENT KILL of the connection
 * itself nothing is replied any more.
 */
static bool exec_one(struct conn *conn, struct queued *queued)
{
	struct multi *multi = conn->multi;
	struct reply_mark mark = reply_mark(&conn->out);
	bool deaf = conn->flags & CONN_CLOSE_AFTER;
	struct pending p = {.conn = conn};
	request_renew(&queued->request, conn);
	p.request = queued->request;
	run_in_place(&p, queued->keys, queued->key_count, multi->now, &multi->ready,
		     &multi->stored);
	if (conn->op) {
		conn->op->mute |= deaf;
		return false;
	}
	if (deaf || is_silent(conn))
		reply_rollback(&conn->out, mark);
	return true;
}

/* Its time is that of all its commands. */
static void exec_end(struct conn *conn)
{
	struct multi *multi = conn->multi;
	struct worker *worker = conn->worker;
	unit_end(&multi->ready, worker->shard, held_slots(multi), multi->slot_count, multi->stored,
		 multi->now, &worker->server->clock.now_ms);
	worker->cycles = multi->started - multi->spent;
	multi_free(conn);
}

/* Runs what is left; false when an answer is still to come. */
static bool exec_go_on(struct conn *conn)
{
	struct multi *multi = conn->multi;
	struct worker *worker = conn->worker;
	while (multi->at) {
		struct queued *queued = multi->at;
		multi->at = queued->next;
		if (!exec_one(conn, queued)) {
			multi->spent += clock_cycles() - multi->started;
			unit_put_by(worker->shard, &multi->unit);
			return false;
		}
	}
	exec_end(conn);
	return true;
}

void multi_answered(struct conn *conn)
{
	struct worker *worker = conn->worker;
	conn_take_answer(conn);
	conn->multi->started = worker->cycles = clock_cycles();
	unit_take_back(worker->shard, &conn->multi->unit);
	if (!exec_go_on(conn))
		return;
	account_request(worker, &command_table[CMD_exec], &conn->out, conn->out.errors);
	conn_go_on(conn);
}

/* False when a slot is held by another, or a flush has to wait. */
static bool exec_hold(struct conn *conn)
{
	struct multi *multi = conn->multi;
	struct worker *worker = conn->worker;
	struct slot *const *slots = held_slots(multi);
	if ((multi->flushes && flush_waits(worker)) || !run_hold(worker, slots, multi->slot_count))
		return false;
	multi->now = moment(worker);
	bool changed = has_changed(conn, multi->now);
	if (conn->watching) {
		watch_set_clear_held(conn->watching);
		watch_set_free(conn->watching);
		conn->watching = NULL;
	}
	if (changed) {
		slots_release(worker->shard, slots, multi->slot_count, false, multi->now);
		reply_null_array(&conn->out);
		multi_free(conn);
		return true;
	}
	multi->running = true;
	multi->at = multi->first;
	multi->started = worker->cycles;
	exec_reply_header(conn);
	exec_go_on(conn);
	return true;
}

bool cmd_exec(struct conn *conn, struct ctx *ctx)
{
	struct multi *multi = conn->multi;
	assert(ctx->reply == &conn->out);
	if (!multi) {
		reply_error(ctx->reply, "ERR EXEC without MULTI");
		return true;
	}
	if (multi->broken) {
		reply_error(ctx->reply,
			    "EXECABORT Transaction discarded because of previous errors.");
		multi_discard(conn);
		return true;
	}
	exec_find_slots(conn);
	if (multi->only_reads && exec_observe(conn))
		return true;
	return exec_hold(conn);
}
