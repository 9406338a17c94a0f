/*
 * Long runs (long_run.h).
 *
 * The happy path: long_run_begin() makes a job; each tick step() resumes the fiber, in which run()
 * executes the handler; turn_over() brings it back when the slice is over; hand_out() puts what has
 * been written into the connection's replies. When run() has returned, the job is over.
 */
#include "server/long_run.h"

#include "proto/mem.h"
#include "server/account.h"
#include "server/server.h"
#include "shard/blocked.h"
#include "shard/execute.h"
#include "shard/fiber.h"
#include "shard/hold.h"
#include "shard/turn.h"

#include <assert.h>
#include <stddef.h>

struct long_run {
	struct job job;
	struct turn turn;
	struct worker *worker;
	struct fiber *fiber;
	struct ctx ctx;
	uint64_t slice_end;      /* clock_cycles() */
	bool failed;             /* it has replied an error */
	struct ready_list ready; /* keys that it has made ready; EXEC has its own */
	struct unit_put_by own_unit;
	struct unit_put_by *unit; /* of work, while others run; EXEC has its own */
	bool *stored;     /* EXEC's, or NULL: */
	uint32_t slot_count;
	struct slot **slots; /* behind this; NULL: all */
	struct key keys[];   /* of the ctx */
};

static struct long_run *long_run_of_turn(struct turn *turn)
{
	return (struct long_run *)((char *)turn - offsetof(struct long_run, turn));
}

/* --- in the fiber --- */

static void turn_over(struct turn *turn)
{
	struct long_run *run = long_run_of_turn(turn);

	if (clock_cycles() >= run->slice_end)
		fiber_pause(run->fiber);
	turn->steps = TURN_STEPS;
}

static void run_fiber(void *arg)
{
	struct long_run *run = arg;

	execute(&run->ctx);
	assert(!run->ctx.block.wanted);
}

/* --- around it --- */

/* Counts the command once, with the time of all its slices. */
static void account(struct long_run *run)
{
	struct op *op = run->job.op;

	account_command(run->worker, op->request.cmd, op->cycles);
	if (run->failed)
		stat_add(&run->worker->stats.commands[op->request.cmd->id].failed, 1);
}

/*
 * What has been written goes to the connection, but for a header that isn't complete; what tells of
 * a write only with its record. What nobody will get is dropped.
 */
static void hand_out(struct long_run *run, bool done)
{
	struct op *op = run->job.op;
	struct reply *reply = &op->reply;

	if (reply->errors > 0) {
		run->failed = true;
		account_error(run->worker, reply);
		reply->errors = 0;
	}
	if (reply->later > 0)
		return;
	if (op->mute || (op->conn->flags & CONN_CLOSING)) {
		reply_reset(reply, REPLY_SEAL_MIN);
		return;
	}
	if (!done && !run->ctx.quiet && run->worker->shard->journal.on)
		return;
	reply_seal(reply);
	reply_move(&op->conn->out, reply);
	journal_saw_all(run->worker->shard);
	conn_flush_later(op->conn);
}

/* True when the fiber is done. */
static bool resume(struct long_run *run)
{
	struct worker *worker = run->worker;
	uint64_t start = clock_cycles();

	run->slice_end = start + (uint64_t)(LONG_SLICE_US / worker->server->clock.us_per_cycle);
	run->turn.steps = TURN_STEPS;
	worker->shard->turn = &run->turn;
	unit_take_back(worker->shard, run->unit);
	bool done = fiber_resume(run->fiber);
	unit_put_by(worker->shard, run->unit);
	worker->shard->turn = NULL;
	run->job.op->cycles += clock_cycles() - start;
	return done;
}

static bool long_run_step(struct worker *worker, struct job *job)
{
	struct long_run *run = (struct long_run *)job;
	bool gone = job->op->conn->flags & CONN_CLOSING;
	bool done = gone && run->ctx.droppable;

	if (!done) {
		if (retire_waiting_bytes(&worker->shard->retire) > LONG_RETIRED_MAX)
			return false;
		done = resume(run);
		hand_out(run, done);
	}
	if (done)
		account(run);
	return done;
}

/* --- beginning and end --- */

/* `slot_count`: of those that stand behind it. */
static size_t long_run_bytes(uint32_t key_count, uint32_t slot_count)
{
	return sizeof(struct long_run) + key_count * sizeof(struct key) +
	       slot_count * sizeof(struct slot *);
}

static void long_run_free(struct job *job)
{
	struct long_run *run = (struct long_run *)job;

	if (run->stored) {
		*run->stored |= run->ctx.stored;
	} else {
		unit_take_back(run->worker->shard, run->unit);
		unit_end(&run->ready, run->ctx.shard, run->slots, run->slot_count, run->ctx.stored,
			 run->ctx.now, &run->worker->server->clock.now_ms);
	}
	fiber_free(run->fiber);
	run->worker->long_runs--;
	mem_free(run, long_run_bytes(run->ctx.key_count, run->slots ? run->slot_count : 0));
}

/* The request again, as the op has it. */
static void take_over(struct long_run *run, struct op *op, const struct ctx *ctx)
{
	run->ctx = *ctx;
	run->ctx.argv = op->request.argv;
	run->ctx.reply = &op->reply;
	run->ctx.keys = run->keys;
	run->ctx.long_from = 0;
	run->ctx.need_holder = run->ctx.need_turns = run->ctx.droppable = false;
	memcpy(run->keys, ctx->keys, ctx->key_count * sizeof(*run->keys));
}

static struct long_run *long_run_new(struct worker *worker, struct op *op, const struct ctx *ctx,
				     uint32_t slot_count)
{
	struct long_run *run = mem_zalloc(long_run_bytes(ctx->key_count, slot_count));

	run->fiber = fiber_new(run_fiber, run);
	if (!run->fiber) {
		mem_free(run, long_run_bytes(ctx->key_count, slot_count));
		return NULL;
	}
	take_over(run, op, ctx);
	run->job = (struct job){.op = op,
				.sees_end = true,
				.step = long_run_step,
				.free = long_run_free};
	run->turn = (struct turn){.over = turn_over};
	run->worker = worker;
	run->unit = &run->own_unit;
	run->slot_count = slot_count;
	run->slots = (struct slot **)(run->keys + ctx->key_count);
	worker->long_runs++;
	worker_add_job(worker, &run->job);
	stat_add(&worker->stats.path_long, 1);
	return run;
}

bool long_run_begin(struct worker *worker, struct op *op, const struct ctx *ctx,
		    struct slot *const *slots, uint32_t count)
{
	struct long_run *run = long_run_new(worker, op, ctx, slots ? count : 0);

	if (!run)
		return false;
	if (slots)
		memcpy(run->slots, slots, count * sizeof(*slots));
	else
		run->slots = NULL;
	run->slot_count = count;
	run->ctx.ready = &run->ready;
	run->ctx.quiet = (op->request.cmd->flags & CMD_READONLY) || ctx->only_reads;
	for (uint32_t i = 0; run->ctx.quiet && i < count; i++)
		slot_quiet(slots ? slots[i] : &ctx->ks->slots[i]);
	unit_put_by(worker->shard, run->unit);
	return true;
}

bool long_run_begin_within(struct worker *worker, struct op *op, const struct ctx *ctx,
			   struct unit_put_by *unit, bool *stored)
{
	struct long_run *run = long_run_new(worker, op, ctx, 0);

	if (!run)
		return false;
	run->unit = unit;
	run->stored = stored;
	return true;
}
