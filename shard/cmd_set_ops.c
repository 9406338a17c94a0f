/*
 * Several sets put together: SINTER, SUNION, SDIFF, with and without STORE, and SINTERCARD.
 *
 * What is in all sets, or in the first alone, is found by walking one set and asking the others:
 * the members go straight to the reply or into the new set. A union is made as a set first, because
 * a member may come from several; so is, where that is cheaper, what a difference takes away
 * (diff_plan).
 */
#include "proto/mem.h"
#include "shard/handlers.h"
#include "shard/set.h"
#include "shard/turn.h"

enum set_operation {
	SET_INTER,
	SET_UNION,
	SET_DIFF,
};

/* The sets of a request, some of them empty, and where what is found goes. */
struct set_job {
	struct ctx *ctx;
	struct set *sets;
	uint32_t count;
	uint32_t walked;       /* the set that is walked: the others are asked */
	bool wanted;           /* what the others are to answer */
	struct reply *reply;   /* or: */
	struct set_edit *edit; /* or, both NULL: only counted */
	uint64_t found;
	uint64_t max; /* stops when so many were found */
};

/* Looks up the keys from number `first` on. On failure replies, and there is nothing to free. */
static bool job_begin(struct set_job *job, struct ctx *ctx, uint32_t first)
{
	uint32_t count = ctx->key_count - first;

	*job = (struct set_job){.ctx = ctx, .count = count, .max = UINT64_MAX};
	job->sets = mem_alloc(count * sizeof(*job->sets));
	for (uint32_t i = 0; i < count; i++) {
		struct entry *e;
		if (!ctx_find_typed(ctx, first + i, ENTRY_SET, &e)) {
			mem_free(job->sets, count * sizeof(*job->sets));
			return false;
		}
		job->sets[i] = set_of(e);
	}
	return true;
}

static void job_end(struct set_job *job)
{
	mem_free(job->sets, job->count * sizeof(*job->sets));
}

static bool job_found(void *arg, struct listpack_item member)
{
	struct set_job *job = arg;

	if (job->edit) {
		job->found += set_edit_add(job->edit, member);
	} else {
		if (job->reply)
			set_reply_member(job->reply, member);
		if (job->reply && job->reply != job->ctx->reply)
			reply_seal(job->reply);
		job->found++;
	}
	turn_step(job->ctx->shard);
	return job->found < job->max;
}

static bool ask_others(void *arg, struct listpack_item member)
{
	struct set_job *job = arg;

	turn_steps(job->ctx->shard, job->count);
	for (uint32_t i = 0; i < job->count; i++)
		if (i != job->walked &&
		    set_contains(&job->sets[i], job->ctx->shard, member) != job->wanted)
			return true;
	return job_found(job, member);
}

static uint32_t smallest(const struct set_job *job)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < job->count; i++)
		if (set_count(&job->sets[i]) < set_count(&job->sets[best]))
			best = i;
	return best;
}

/* Those of all sets from one on. */
static uint64_t members_from(const struct set_job *job, uint32_t first)
{
	uint64_t members = 0;

	for (uint32_t i = first; i < job->count; i++)
		members += set_count(&job->sets[i]);
	return members;
}

static struct diff_plan job_diff_plan(const struct set_job *job)
{
	return diff_plan(set_count(&job->sets[0]), members_from(job, 1), job->count - 1);
}

/* The members to be looked at, as often as that is. */
static uint64_t job_members(const struct set_job *job, enum set_operation operation)
{
	switch (operation) {
	case SET_INTER:
		return job->count * set_count(&job->sets[smallest(job)]);
	case SET_UNION:
		return members_from(job, 0);
	case SET_DIFF:
		return job_diff_plan(job).elements;
	}
	__builtin_unreachable();
}

/* False when it takes turns, and not yet does: there is nothing to free then. */
static bool job_may_run(struct set_job *job, enum set_operation operation)
{
	if (ctx_long(job->ctx, job_members(job, operation)))
		return true;
	job_end(job);
	return false;
}

static void run_union(struct set_job *job)
{
	for (uint32_t i = 0; i < job->count; i++)
		set_walk(&job->sets[i], job_found, job);
}

static void run_inter(struct set_job *job)
{
	job->wanted = true;
	job->walked = smallest(job);
	set_walk(&job->sets[job->walked], ask_others, job);
}

static bool gather(void *arg, struct listpack_item member)
{
	struct set_edit *others = arg;

	set_edit_add(others, member);
	turn_step(others->ctx->shard);
	return true;
}

static void run_diff(struct set_job *job)
{
	struct set *sets = job->sets, two[2];
	uint32_t count = job->count;
	struct set_edit others;

	job->wanted = false;
	job->walked = 0;
	if (!job_diff_plan(job).gather) {
		set_walk(&sets[0], ask_others, job);
		return;
	}
	set_edit_begin(&others, job->ctx, 0, NULL);
	for (uint32_t i = 1; i < count; i++)
		set_walk(&sets[i], gather, &others);
	two[0] = sets[0];
	two[1] = set_edit_set(&others);
	job->sets = two;
	job->count = 2;
	set_walk(&two[0], ask_others, job);
	job->sets = sets;
	job->count = count;
	set_edit_drop(&others);
}

static void job_run(struct set_job *job, enum set_operation operation)
{
	static void (*const runs[])(
		struct set_job *
		job) = {[SET_INTER] = run_inter, [SET_UNION] = run_union, [SET_DIFF] = run_diff};

	runs[operation](job);
}

/* --- to a reply --- */

/* A union in a set of its own, which is then shown. */
static void show_union(struct set_job *job)
{
	struct set_edit edit;

	set_edit_begin(&edit, job->ctx, 0, NULL);
	job->edit = &edit;
	job_run(job, SET_UNION);
	struct set all = set_edit_set(&edit);
	job->edit = NULL;
	job->reply = job->ctx->reply;
	reply_set(job->reply, set_count(&all));
	set_walk(&all, job_found, job);
	set_edit_drop(&edit);
}

/* Members as they are found, apart: how many they are is known after them. */
static void show_found(struct set_job *job, enum set_operation operation)
{
	struct reply members;

	reply_init(&members, job->ctx->reply->resp);
	job->reply = &members;
	job_run(job, operation);
	reply_set(job->ctx->reply, job->found);
	reply_move(job->ctx->reply, &members);
	reply_deinit(&members);
}

static void show(struct ctx *ctx, enum set_operation operation)
{
	struct set_job job;

	if (!job_begin(&job, ctx, 0) || !job_may_run(&job, operation))
		return;
	if (operation == SET_UNION && job.count > 1)
		show_union(&job);
	else
		show_found(&job, operation);
	job_end(&job);
}

void cmd_sinter(struct ctx *ctx)
{
	show(ctx, SET_INTER);
}

void cmd_sunion(struct ctx *ctx)
{
	show(ctx, SET_UNION);
}

void cmd_sdiff(struct ctx *ctx)
{
	show(ctx, SET_DIFF);
}

/* --- to a key --- */

/* Key 0 gets the result, whatever it was; with none it goes. */
static void store(struct ctx *ctx, enum set_operation operation)
{
	struct set_edit edit;
	struct set_job job;

	if (!job_begin(&job, ctx, 1) || !job_may_run(&job, operation))
		return;
	set_edit_begin(&edit, ctx, 0, NULL);
	job.edit = &edit;
	job_run(&job, operation);
	if (job.found > 0 || ctx_peek(ctx, 0, false))
		ctx->dirty++;
	set_edit_end(&edit);
	reply_int(ctx->reply, (int64_t)job.found);
	job_end(&job);
}

void cmd_sinterstore(struct ctx *ctx)
{
	store(ctx, SET_INTER);
}

void cmd_sunionstore(struct ctx *ctx)
{
	store(ctx, SET_UNION);
}

void cmd_sdiffstore(struct ctx *ctx)
{
	store(ctx, SET_DIFF);
}

/* --- SINTERCARD --- */

/* The number of keys and LIMIT (0: none). On failure replies. */
static bool parse_intercard(struct ctx *ctx, int64_t *limit)
{
	int64_t count;

	*limit = 0;
	if (!ctx_arg_range(ctx, 1, 1, INT64_MAX, &count, "ERR numkeys should be greater than 0"))
		return false;
	if (count > ctx->argc - 2) {
		reply_error(ctx->reply, "ERR Number of keys can't be greater than number of args");
		return false;
	}
	for (uint32_t i = 2 + (uint32_t)count; i < ctx->argc; i += 2) {
		if (i + 1 == ctx->argc || !slice_is(ctx->argv[i], "limit")) {
			reply_error(ctx->reply, error_syntax);
			return false;
		}
		if (!ctx_arg_range(ctx, i + 1, 0, INT64_MAX, limit, "ERR LIMIT can't be negative"))
			return false;
	}
	return true;
}

void cmd_sintercard(struct ctx *ctx)
{
	struct set_job job;
	int64_t limit;

	if (!parse_intercard(ctx, &limit) || !job_begin(&job, ctx, 0) ||
	    !job_may_run(&job, SET_INTER))
		return;
	if (limit > 0)
		job.max = (uint64_t)limit;
	job_run(&job, SET_INTER);
	reply_int(ctx->reply, (int64_t)job.found);
	job_end(&job);
}
