/*
 * Clients in blocking commands (blocked.h).
 *
 * The happy path: blocked_run() finds nothing and blocked_begin() leaves a waiter; blocked_served()
 * opens the letter and answers.
 */
#include "server/blocked.h"

#include "proto/mem.h"
#include "server/account.h"
#include "server/long_run.h"
#include "server/post.h"
#include "server/run.h"
#include "server/server.h"
#include "shard/execute.h"
#include "shard/hold.h"

#include <assert.h>
#include <poll.h>

/* Timeouts that there is room for at first. */
#define HEAP_FIRST 16

/* --- timeouts: a heap, the earliest first --- */

static void heap_put_at(struct worker *worker, uint32_t at, struct blocked *blocked)
{
	worker->timeouts[at] = blocked;
	blocked->heap_at = at;
}

static void heap_rise(struct worker *worker, uint32_t at, struct blocked *blocked)
{
	for (; at > 0 && worker->timeouts[(at - 1) / 2]->until > blocked->until; at = (at - 1) / 2)
		heap_put_at(worker, at, worker->timeouts[(at - 1) / 2]);
	heap_put_at(worker, at, blocked);
}

static void heap_sink(struct worker *worker, uint32_t at, struct blocked *blocked)
{
	uint32_t child;
	while ((child = 2 * at + 1) < worker->timeout_count) {
		if (child + 1 < worker->timeout_count &&
		    worker->timeouts[child + 1]->until < worker->timeouts[child]->until)
			child++;
		if (worker->timeouts[child]->until >= blocked->until)
			break;
		heap_put_at(worker, at, worker->timeouts[child]);
		at = child;
	}
	heap_put_at(worker, at, blocked);
}

static void heap_resize(struct worker *worker, uint32_t count)
{
	worker->timeout_count = count;
	atomic_store_explicit(&worker->conns_timed, count, memory_order_relaxed);
}

static void heap_put(struct worker *worker, struct blocked *blocked)
{
	if (worker->timeout_count == worker->timeout_room) {
		worker->timeout_room = worker->timeout_room ? 2 * worker->timeout_room : HEAP_FIRST;
		worker->timeouts = mem_realloc(worker->timeouts,
					       worker->timeout_room * sizeof(struct blocked *));
	}
	heap_resize(worker, worker->timeout_count + 1);
	heap_rise(worker, worker->timeout_count - 1, blocked);
}

static void heap_remove(struct worker *worker, struct blocked *blocked)
{
	uint32_t at = blocked->heap_at;
	assert(worker->timeouts[at] == blocked);
	heap_resize(worker, worker->timeout_count - 1);
	struct blocked *last = worker->timeouts[worker->timeout_count];
	if (last == blocked)
		return;
	if (at > 0 && worker->timeouts[(at - 1) / 2]->until > last->until)
		heap_rise(worker, at, last);
	else
		heap_sink(worker, at, last);
}

/* --- beginning --- */

static void count_blocked(struct worker *worker, int32_t n)
{
	uint32_t count = atomic_load_explicit(&worker->conns_blocked, memory_order_relaxed);
	atomic_store_explicit(&worker->conns_blocked, count + (uint32_t)n, memory_order_relaxed);
}

/* The request that is being run waits from now on; the slots of its keys are held. */
static void blocked_begin(struct worker *worker, struct pending *p, const struct ctx *ctx)
{
	struct conn *conn = p->conn;
	size_t bytes = sizeof(struct blocked) + ctx->block.key_count * sizeof(struct waiting);
	struct blocked *blocked = mem_zalloc(bytes);
	blocked->bytes = bytes;
	blocked->op = op_begin(p);
	blocked->op->cycles = clock_cycles() - worker->cycles;
	blocked->until = ctx->block.until;
	blocked->waiter.worker = worker->id;
	blocked->waiter.resp = conn->resp;
	blocked->waiter.places = blocked->places;
	blocked_wait(&blocked->waiter, ctx, blocked->op->request.argv);
	if (blocked->until != INT64_MAX)
		heap_put(worker, blocked);
	conn->blocked = blocked;
	conn_wait(conn, WAIT_BLOCKED);
	count_blocked(worker, 1);
	worker->cycles += blocked->op->cycles;
}

/*
 * There is much to pop. It will be there yet, for its slots stay held, and the clock stands. False
 * when there is no room for that: it is to be done at once.
 */
static bool pop_in_turns(struct worker *worker, struct pending *p, struct ctx *ctx,
			 uint32_t slot_count)
{
	ctx->clock = NULL;
	if (long_run_room(worker) && run_long(worker, p, ctx, worker->slots, slot_count))
		return true;
	ctx->need_turns = false;
	ctx->long_from = 0;
	return false;
}

bool blocked_run(struct worker *worker, struct pending *p, struct ctx *ctx, uint32_t slot_count)
{
	struct ready_list ready = {0};
	struct reply_mark mark = reply_mark(ctx->reply);
	if (!run_hold(worker, worker->slots, slot_count))
		return false;
	ctx->ready = &ready;
	ctx->may_block = true;
	execute(ctx);
	if (ctx->need_turns) {
		reply_rollback(ctx->reply, mark);
		if (pop_in_turns(worker, p, ctx, slot_count))
			return true;
		execute(ctx);
	}
	if (ctx->block.wanted) {
		reply_rollback(ctx->reply, mark);
		blocked_begin(worker, p, ctx);
	}
	unit_end(&ready, ctx->shard, worker->slots, slot_count, ctx->stored, ctx->now,
		 &worker->server->clock.now_ms);
	return true;
}

/* --- ending --- */

/* It waits no longer, served or gone: its places are taken out, here or in the next ticks. */
static struct op *blocked_over(struct worker *worker, struct blocked *blocked)
{
	struct op *op = blocked->op;
	op->conn->blocked = NULL;
	op->conn->wait &= (uint8_t)~WAIT_BLOCKED;
	blocked->op = NULL;
	if (blocked->until != INT64_MAX)
		heap_remove(worker, blocked);
	count_blocked(worker, -1);
	blocked->next = worker->unblocking;
	worker->unblocking = blocked;
	return op;
}

/* Counts the command, and answers. */
static void blocked_answer(struct worker *worker, struct op *op)
{
	account_command(worker, op->request.cmd, op->cycles);
	if (op->reply.errors > 0) {
		stat_add(&worker->stats.commands[op->request.cmd->id].failed, 1);
		account_error(worker, &op->reply);
	}
	op_answer(worker, op);
}

void blocked_served(struct worker *worker, struct waiter *waiter)
{
	struct op *op = blocked_over(worker, (struct blocked *)waiter);
	uint32_t errors = waiter->reply.errors;
	memcpy(op->reply.code, waiter->reply.code, sizeof(op->reply.code));
	reply_move(&op->reply, &waiter->reply);
	op->reply.errors = errors;
	reply_deinit(&waiter->reply);
	blocked_answer(worker, op);
}

bool blocked_end(struct conn *conn, enum blocked_end how)
{
	struct blocked *blocked = conn->blocked;
	if (!blocked || !waiter_claim(&blocked->waiter, WAITER_GONE))
		return false;
	struct op *op = blocked_over(conn->worker, blocked);
	if (how == BLOCKED_ERROR)
		reply_error(&op->reply, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
	else
		reply_null_array(&op->reply);
	blocked_answer(conn->worker, op);
	return true;
}

bool blocked_leave(struct conn *conn)
{
	struct blocked *blocked = conn->blocked;
	if (!blocked || !waiter_claim(&blocked->waiter, WAITER_GONE))
		return false;
	op_free(blocked_over(conn->worker, blocked));
	conn->op = NULL;
	return true;
}

/* --- each tick --- */

static void end_late(struct worker *worker)
{
	while (worker->timeout_count > 0 && worker->timeouts[0]->until <= worker->now) {
		struct blocked *blocked = worker->timeouts[0];
		if (blocked_end(blocked->op->conn, BLOCKED_TIMEOUT))
			continue;
		/* it is being served: too late to be late */
		heap_remove(worker, blocked);
		blocked->until = INT64_MAX;
	}
}

static void clear_places(struct worker *worker)
{
	struct blocked **at = &worker->unblocking;
	while (*at) {
		struct blocked *blocked = *at;
		if (!blocked_clear(&blocked->waiter, worker->shard)) {
			at = &blocked->next;
			continue;
		}
		*at = blocked->next;
		mem_free(blocked, blocked->bytes);
	}
}

void blocked_step(struct worker *worker)
{
	end_late(worker);
	if (worker->unblocking)
		clear_places(worker);
	if (worker->shard->stalled_count > 0)
		blocked_retry(worker->shard, &worker->server->clock.now_ms);
}

void blocked_post(struct worker *worker)
{
	struct shard *shard = worker->shard;
	struct waiter *next;
	for (struct waiter *waiter = shard->served_first; waiter; waiter = next) {
		next = waiter->next;
		post_letter(worker, waiter->worker, waiter, MAIL_SERVED);
	}
	shard->served_first = shard->served_last = NULL;
}

/* The tick does the rest. */
static void blocked_on_timer(uv_timer_t *timer)
{
	struct worker *worker = timer->data;
	worker->armed_for = 0;
}

void blocked_arm(struct worker *worker)
{
	int64_t until = worker->timeout_count > 0 ? worker->timeouts[0]->until : 0;
	if (until == worker->armed_for)
		return;
	worker->armed_for = until;
	if (until == 0) {
		uv_timer_stop(&worker->timeout);
		return;
	}
	int64_t left = until - clock_now(&worker->server->clock);
	uv_timer_start(&worker->timeout, blocked_on_timer, left > 0 ? (uint64_t)left : 0, 0);
}

void blocked_look(struct conn *conn)
{
	struct pollfd look = {.events = POLLRDHUP};
	if (!conn->blocked || (conn->flags & CONN_READING) || uv_fileno(&conn->handle, &look.fd))
		return;
	if (poll(&look, 1, 0) > 0 && look.revents && blocked_leave(conn))
		conn_close(conn);
}
