/*
 * Several sorted sets put together: ZUNION, ZINTER, ZDIFF, with and without STORE, and ZINTERCARD.
 * Plain sets take part with a score of 1 for each member.
 *
 * What comes out is collected in an edit of its own (zset_value.h), which is then shown or put.
 */
#include "proto/mem.h"
#include "shard/handlers.h"
#include "shard/set.h"
#include "shard/zset_show.h"

#include <math.h>
#include <stdlib.h>

enum zset_operation {
	ZSET_UNION,
	ZSET_INTER,
	ZSET_DIFF,
};

enum aggregate {
	AGGREGATE_SUM,
	AGGREGATE_MIN,
	AGGREGATE_MAX,
};

struct source {
	const struct entry *e; /* a set or sorted set; NULL: empty */
	uint64_t count;
	uint32_t index; /* in the request */
	double weight;
};

struct job {
	struct ctx *ctx;
	enum zset_operation operation;
	uint32_t numkeys_at; /* the argument that says how many keys follow */
	bool store;
	bool count_only;
	/* parsed */
	enum aggregate aggregate;
	bool scores;
	uint64_t limit; /* of what is counted */
	/* at work */
	struct source *sources;
	uint32_t count;
	const struct source *walked;
	struct zset_edit *edit;  /* NULL: what is found is only counted */
	struct set_edit *others; /* what ZDIFF takes away, gathered (diff_plan); NULL: it isn't */
	uint64_t found;
};

/* --- sources --- */

/* A walk goes on in pieces of so many elements while it is wanted. */
#define WALK_PIECE 256

static bool job_done(const struct job *job)
{
	return job->count_only && job->found >= job->limit;
}

struct set_walk {
	struct job *job;
	zset_visit *visit;
};

static bool set_member(void *arg, struct listpack_item item)
{
	const struct set_walk *walk = arg;
	struct zset_element element = {.score = 1};

	element.member = listpack_item_text(item, element.room);
	walk->visit(walk->job, &element);
	return !job_done(walk->job);
}

static void source_walk(struct job *job, const struct source *source, zset_visit *visit)
{
	job->walked = source;
	if (!source->e)
		return;
	if (entry_type(source->e) == ENTRY_SET) {
		struct set set = set_of(source->e);
		set_walk(&set, set_member, &(struct set_walk){job, visit});
		return;
	}
	for (uint64_t at = 0; at < source->count && !job_done(job); at += WALK_PIECE)
		zset_value_walk(source->e, at, WALK_PIECE, false, visit, job);
}

static bool source_find(const struct job *job, const struct source *source, struct slice member,
			double *score)
{
	if (!source->e)
		return false;
	if (entry_type(source->e) == ENTRY_ZSET)
		return zset_value_find(job->ctx->shard, source->e, member, score, NULL);
	struct set set = set_of(source->e);
	*score = 1;
	return set_contains(&set, job->ctx->shard, listpack_item_of(member));
}

static int compare_sources(const void *a, const void *b)
{
	const struct source *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

/* --- scores --- */

/* What is no number, infinity times 0 or less infinity, counts as 0. */
static double number_or_zero(double score)
{
	return isnan(score) ? 0 : score;
}

static double aggregate(const struct job *job, double a, double b)
{
	switch (job->aggregate) {
	case AGGREGATE_SUM:
		return number_or_zero(a + b);
	case AGGREGATE_MIN:
		return b < a ? b : a;
	case AGGREGATE_MAX:
		return b > a ? b : a;
	}
	__builtin_unreachable();
}

/* --- operations: each visits the elements of one source --- */

static void found(struct job *job, struct slice member, double score)
{
	if (job->edit)
		zset_edit_put(job->edit, member, score);
	job->found++;
}

static void union_visit(void *arg, const struct zset_element *element)
{
	struct job *job = arg;
	double score = number_or_zero(element->score * job->walked->weight);
	double old;

	turn_step(job->ctx->shard);
	if (zset_edit_find(job->edit, element->member, &old))
		score = aggregate(job, old, score);
	zset_edit_put(job->edit, element->member, score);
}

static void inter_visit(void *arg, const struct zset_element *element)
{
	struct job *job = arg;
	double score = number_or_zero(element->score * job->walked->weight);

	if (job_done(job))
		return;
	turn_steps(job->ctx->shard, job->count);
	for (uint32_t i = 1; i < job->count; i++) {
		double other;
		if (!source_find(job, &job->sources[i], element->member, &other))
			return;
		score = aggregate(job, score, other * job->sources[i].weight);
	}
	found(job, element->member, score);
}

static bool is_taken_away(const struct job *job, struct slice member)
{
	double score;

	if (job->others) {
		struct set others = set_edit_set(job->others);
		return set_contains(&others, job->ctx->shard, listpack_item_of(member));
	}
	turn_steps(job->ctx->shard, job->count);
	for (uint32_t i = 1; i < job->count; i++)
		if (source_find(job, &job->sources[i], member, &score))
			return true;
	return false;
}

static void diff_visit(void *arg, const struct zset_element *element)
{
	struct job *job = arg;

	turn_step(job->ctx->shard);
	if (!is_taken_away(job, element->member))
		found(job, element->member, element->score);
}

static void gather_visit(void *arg, const struct zset_element *element)
{
	struct job *job = arg;

	turn_step(job->ctx->shard);
	set_edit_add(job->others, listpack_item_of(element->member));
}

static uint64_t elements_from(const struct job *job, uint32_t first)
{
	uint64_t elements = 0;

	for (uint32_t i = first; i < job->count; i++)
		elements += job->sources[i].count;
	return elements;
}

static struct diff_plan job_diff_plan(const struct job *job)
{
	return diff_plan(job->sources[0].count, elements_from(job, 1), job->count - 1);
}

static void work_diff(struct job *job)
{
	struct set_edit others;

	if (!job_diff_plan(job).gather) {
		source_walk(job, &job->sources[0], diff_visit);
		return;
	}
	set_edit_begin(&others, job->ctx, 0, NULL);
	job->others = &others;
	for (uint32_t i = 1; i < job->count; i++)
		source_walk(job, &job->sources[i], gather_visit);
	source_walk(job, &job->sources[0], diff_visit);
	set_edit_drop(&others);
}

static void work_union(struct job *job)
{
	qsort(job->sources, job->count, sizeof(*job->sources), compare_sources);
	for (uint32_t i = 0; i < job->count; i++)
		source_walk(job, &job->sources[i], union_visit);
}

static void work_inter(struct job *job)
{
	qsort(job->sources, job->count, sizeof(*job->sources), compare_sources);
	source_walk(job, &job->sources[0], inter_visit);
}

/* Scores are put together from the smallest source to the largest, as Redis does: sums round. */
static void job_work(struct job *job)
{
	static void (*const works[])(struct job * job) = {
		[ZSET_UNION] = work_union, [ZSET_INTER] = work_inter, [ZSET_DIFF] = work_diff};

	works[job->operation](job);
}

/* --- arguments; all reply on failure --- */

static bool parse_count(struct job *job)
{
	struct ctx *ctx = job->ctx;
	int64_t count;

	if (!ctx_arg_int(ctx, job->numkeys_at, &count))
		return false;
	if (count < 1) {
		reply_errorf(ctx->reply, "ERR at least 1 input key is needed for '%s' command",
			     ctx->cmd->name);
		return false;
	}
	if (count > ctx->argc - job->numkeys_at - 1) {
		reply_error(ctx->reply, error_syntax);
		return false;
	}
	job->count = (uint32_t)count;
	return true;
}

static bool find_sources(struct job *job)
{
	struct ctx *ctx = job->ctx;

	for (uint32_t i = 0; i < job->count; i++) {
		struct entry *e = ctx_find(ctx, i + job->store);
		if (e && entry_type(e) != ENTRY_ZSET && entry_type(e) != ENTRY_SET) {
			reply_error(ctx->reply, error_wrong_type);
			return false;
		}
		uint64_t count = 0;
		if (e && entry_type(e) == ENTRY_ZSET) {
			count = zset_value_count(e);
		} else if (e) {
			struct set set = set_of(e);
			count = set_count(&set);
		}
		job->sources[i] = (struct source){e, count, i, 1};
	}
	return true;
}

static bool parse_weights(struct job *job, uint32_t at)
{
	for (uint32_t i = 0; i < job->count; i++)
		if (!ctx_arg_double(job->ctx, at + i, &job->sources[i].weight,
				    "ERR weight value is not a float"))
			return false;
	return true;
}

static bool parse_aggregate(struct job *job, uint32_t at)
{
	static const char *const words[] = {
		[AGGREGATE_SUM] = "sum", [AGGREGATE_MIN] = "min", [AGGREGATE_MAX] = "max"};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (slice_is(job->ctx->argv[at], words[i])) {
			job->aggregate = (enum aggregate)i;
			return true;
		}
	}
	reply_error(job->ctx->reply, error_syntax);
	return false;
}

static bool parse_limit(struct job *job, uint32_t at)
{
	int64_t limit;

	if (!ctx_arg_range(job->ctx, at, 0, INT64_MAX, &limit, "ERR LIMIT can't be negative"))
		return false;
	job->limit = limit ? (uint64_t)limit : UINT64_MAX;
	return true;
}

static bool parse_options(struct job *job)
{
	struct ctx *ctx = job->ctx;
	bool scored = job->operation != ZSET_DIFF && !job->count_only;

	for (uint32_t i = job->numkeys_at + 1 + job->count; i < ctx->argc; i++) {
		struct slice word = ctx->argv[i];
		uint32_t left = ctx->argc - i - 1;
		if (scored && left >= job->count && slice_is(word, "weights")) {
			if (!parse_weights(job, i + 1))
				return false;
			i += job->count;
		} else if (scored && left >= 1 && slice_is(word, "aggregate")) {
			if (!parse_aggregate(job, ++i))
				return false;
		} else if (!job->store && !job->count_only && slice_is(word, "withscores")) {
			job->scores = true;
		} else if (job->count_only && left >= 1 && slice_is(word, "limit")) {
			if (!parse_limit(job, ++i))
				return false;
		} else {
			reply_error(ctx->reply, error_syntax);
			return false;
		}
	}
	return true;
}

/* --- what becomes of it --- */

static void job_show(struct job *job)
{
	struct zset_show show = {
		.shard = job->ctx->shard,
		.reply = job->ctx->reply,
		.scores = job->scores,
	};

	reply_array(show.reply, zset_show_length(&show, zset_edit_count(job->edit)));
	zset_edit_walk(job->edit, zset_show_element, &show);
	zset_edit_drop(job->edit);
}

static void job_put(struct job *job)
{
	struct ctx *ctx = job->ctx;
	uint64_t count = zset_edit_count(job->edit);

	if (count > 0 || ctx_peek(ctx, 0, false))
		ctx->dirty++;
	zset_edit_end(job->edit);
	reply_int(ctx->reply, (int64_t)count);
}

/* The elements to be looked at, as often as that is. */
static uint64_t job_elements(const struct job *job)
{
	uint64_t least = UINT64_MAX;

	if (job->operation == ZSET_UNION)
		return elements_from(job, 0);
	if (job->operation == ZSET_DIFF)
		return job_diff_plan(job).elements;
	for (uint32_t i = 0; i < job->count; i++)
		least = job->sources[i].count < least ? job->sources[i].count : least;
	return least * job->count;
}

static void job_finish(struct job *job)
{
	struct zset_edit edit;

	if (!job->count_only) {
		zset_edit_begin_new(&edit, job->ctx, 0);
		if (!job->store)
			zset_edit_expect(&edit, UINT64_MAX, 0); /* scores as they are, -0 too */
		job->edit = &edit;
	}
	job_work(job);
	if (job->count_only)
		reply_int(job->ctx->reply, (int64_t)job->found);
	else if (job->store)
		job_put(job);
	else
		job_show(job);
}

static void job_run(struct job job)
{
	job.limit = UINT64_MAX;
	if (!parse_count(&job))
		return;
	size_t bytes = job.count * sizeof(*job.sources);
	job.sources = mem_alloc(bytes);
	if (find_sources(&job) && parse_options(&job) && ctx_long(job.ctx, job_elements(&job)))
		job_finish(&job);
	mem_free(job.sources, bytes);
}

static void show(struct ctx *ctx, enum zset_operation operation)
{
	job_run((struct job){.ctx = ctx, .operation = operation, .numkeys_at = 1});
}

void cmd_zunion(struct ctx *ctx)
{
	show(ctx, ZSET_UNION);
}

void cmd_zinter(struct ctx *ctx)
{
	show(ctx, ZSET_INTER);
}

void cmd_zdiff(struct ctx *ctx)
{
	show(ctx, ZSET_DIFF);
}

static void store(struct ctx *ctx, enum zset_operation operation)
{
	job_run((struct job){.ctx = ctx, .operation = operation, .numkeys_at = 2, .store = true});
}

void cmd_zunionstore(struct ctx *ctx)
{
	store(ctx, ZSET_UNION);
}

void cmd_zinterstore(struct ctx *ctx)
{
	store(ctx, ZSET_INTER);
}

void cmd_zdiffstore(struct ctx *ctx)
{
	store(ctx, ZSET_DIFF);
}

void cmd_zintercard(struct ctx *ctx)
{
	job_run((struct job){
		.ctx = ctx, .operation = ZSET_INTER, .numkeys_at = 1, .count_only = true});
}
