/*
 * Sorted sets: ZADD to ZSCAN, what goes by members. Ranges: cmd_zset_range.c; several sets
 * together: cmd_zset_ops.c.
 *
 * Reads run under RCU whatever the set is kept in. Writes check what can fail, and make their
 * changes in one edit (zset_value.h).
 */
#include "proto/mem.h"
#include "shard/draw.h"
#include "shard/handlers.h"
#include "shard/scan.h"
#include "shard/zset_show.h"

#include <math.h>

/* --- ZADD, ZINCRBY --- */

enum zadd_option {
	ZADD_NX = 1 << 0, /* only new members */
	ZADD_XX = 1 << 1, /* only those that are there */
	ZADD_GT = 1 << 2, /* other scores only when greater ... */
	ZADD_LT = 1 << 3, /* ... or less */
	ZADD_CH = 1 << 4, /* counts changed ones, too */
	ZADD_INCR = 1 << 5,
};

static const struct {
	const char *word;
	enum zadd_option option;
} zadd_words[] = {
	{"nx", ZADD_NX}, {"xx", ZADD_XX}, {"gt", ZADD_GT},
	{"lt", ZADD_LT}, {"ch", ZADD_CH}, {"incr", ZADD_INCR},
};

/* Scores of so many elements stand on the stack; for more memory is asked. */
#define ZADD_SCORES_INLINE 16

struct zadd {
	struct ctx *ctx;
	unsigned options;
	uint32_t first; /* argument: a score, with the member behind it, and so on */
	uint32_t count;
	const double *scores;
	struct zset_edit edit;
	uint64_t added;
	uint64_t changed;
	bool done;    /* INCR: something was set */
	double score; /* INCR: to what */
};

static unsigned zadd_option_of(struct slice word)
{
	for (size_t i = 0; i < sizeof(zadd_words) / sizeof(*zadd_words); i++)
		if (slice_is(word, zadd_words[i].word))
			return zadd_words[i].option;
	return 0;
}

/* What is wrong with these options; NULL: nothing. */
static const char *zadd_conflict(unsigned options, uint32_t count)
{
	unsigned sides = options & (ZADD_NX | ZADD_GT | ZADD_LT);

	if ((options & ZADD_NX) && (options & ZADD_XX))
		return "ERR XX and NX options at the same time are not compatible";
	if (sides & (sides - 1))
		return "ERR GT, LT, and/or NX options at the same time are not compatible";
	if ((options & ZADD_INCR) && count > 1)
		return "ERR INCR option supports a single increment-element pair";
	return NULL;
}

/* The options and where the elements stand. On failure replies. */
static bool zadd_parse(struct zadd *add)
{
	struct ctx *ctx = add->ctx;
	unsigned option;

	add->first = 2;
	while (add->first < ctx->argc && (option = zadd_option_of(ctx->argv[add->first])) != 0) {
		add->options |= option;
		add->first++;
	}
	uint32_t left = ctx->argc - add->first;
	if (left == 0 || left % 2) {
		reply_error(ctx->reply, error_syntax);
		return false;
	}
	add->count = left / 2;
	const char *conflict = zadd_conflict(add->options, add->count);
	if (conflict)
		reply_error(ctx->reply, conflict);
	return !conflict;
}

/* What the options make of a score for a member that has `old`; false: they leave it alone. */
static bool zadd_score(const struct zadd *add, double old, double *score)
{
	if (add->options & ZADD_NX)
		return false;
	if (add->options & ZADD_INCR)
		*score += old;
	if ((add->options & ZADD_GT) && *score <= old)
		return false;
	return !((add->options & ZADD_LT) && *score >= old);
}

/* Sets one element. False, after replying, when its score would be NaN. */
static bool zadd_element(struct zadd *add, struct slice member, double score)
{
	double old;
	bool there = zset_edit_find(&add->edit, member, &old);

	if (there ? !zadd_score(add, old, &score) : (add->options & ZADD_XX) != 0)
		return true;
	if (isnan(score)) {
		reply_error(add->ctx->reply, "ERR resulting score is not a number (NaN)");
		return false;
	}
	add->done = true;
	add->score = score;
	add->added += !there;
	add->changed += there && score != old;
	if (!there || score != old)
		zset_edit_put(&add->edit, member, score);
	return true;
}

static void zadd_reply(const struct zadd *add)
{
	struct reply *r = add->ctx->reply;

	if ((add->options & ZADD_INCR) && add->done)
		reply_double(r, add->score);
	else if (add->options & ZADD_INCR)
		reply_null(r);
	else
		reply_int(r, (int64_t)(add->added + (add->options & ZADD_CH ? add->changed : 0)));
}

static void zadd_run(struct zadd *add)
{
	struct ctx *ctx = add->ctx;
	struct entry *e;
	size_t longest = 0;

	if (!ctx_peek_typed(ctx, 0, ENTRY_ZSET, &e))
		return;
	for (uint32_t i = 0; i < add->count && !e; i++) {
		size_t len = ctx->argv[add->first + 2 * i + 1].len;
		longest = len > longest ? len : longest;
	}
	zset_edit_begin(&add->edit, ctx, 0, e);
	zset_edit_expect(&add->edit, add->count, longest);
	for (uint32_t i = 0; i < add->count; i++)
		if (!zadd_element(add, ctx->argv[add->first + 2 * i + 1], add->scores[i]))
			return;
	zset_edit_end(&add->edit);
	ctx->dirty += add->added + add->changed;
	zadd_reply(add);
}

/* All scores are looked at before anything is changed. */
static void zadd(struct ctx *ctx, unsigned options)
{
	struct zadd add;
	double inline_scores[ZADD_SCORES_INLINE], *scores = inline_scores;
	uint32_t good = 0;

	add.ctx = ctx;
	add.options = options;
	add.added = add.changed = 0;
	add.done = false;
	if (!zadd_parse(&add))
		return;
	if (add.count > ZADD_SCORES_INLINE)
		scores = mem_alloc(add.count * sizeof(*scores));
	while (good < add.count && ctx_arg_double(ctx, add.first + 2 * good, &scores[good], NULL))
		good++;
	add.scores = scores;
	if (good == add.count)
		zadd_run(&add);
	if (scores != inline_scores)
		mem_free(scores, add.count * sizeof(*scores));
}

void cmd_zadd(struct ctx *ctx)
{
	zadd(ctx, 0);
}

void cmd_zincrby(struct ctx *ctx)
{
	zadd(ctx, ZADD_INCR);
}

/* --- one member or several --- */

void cmd_zrem(struct ctx *ctx)
{
	struct entry *e;
	struct zset_edit edit;
	uint64_t removed = 0;

	if (!ctx_peek_typed(ctx, 0, ENTRY_ZSET, &e))
		return;
	zset_edit_begin(&edit, ctx, 0, e);
	for (uint32_t i = 2; i < ctx->argc; i++)
		removed += zset_edit_remove(&edit, ctx->argv[i]);
	zset_edit_end(&edit);
	ctx->dirty += removed;
	reply_int(ctx->reply, (int64_t)removed);
}

static void reply_score(struct ctx *ctx, const struct entry *e, uint32_t i)
{
	double score;

	if (e && zset_value_find(ctx->shard, e, ctx->argv[i], &score, NULL))
		reply_double(ctx->reply, score);
	else
		reply_null(ctx->reply);
}

void cmd_zscore(struct ctx *ctx)
{
	struct entry *e;

	if (ctx_find_typed(ctx, 0, ENTRY_ZSET, &e))
		reply_score(ctx, e, 2);
}

void cmd_zmscore(struct ctx *ctx)
{
	struct entry *e;

	if (!ctx_find_typed(ctx, 0, ENTRY_ZSET, &e))
		return;
	reply_array(ctx->reply, ctx->argc - 2);
	for (uint32_t i = 2; i < ctx->argc; i++)
		reply_score(ctx, e, i);
}

void cmd_zcard(struct ctx *ctx)
{
	struct entry *e;

	if (ctx_find_typed(ctx, 0, ENTRY_ZSET, &e))
		reply_int(ctx->reply, e ? (int64_t)zset_value_count(e) : 0);
}

static void reply_rank(struct ctx *ctx, bool reverse)
{
	bool with_score = ctx->argc == 4 && slice_is(ctx->argv[3], "withscore");
	struct entry *e;
	uint64_t rank;
	double score;

	if (ctx->argc > 4) {
		command_error_arity(ctx->cmd, ctx->reply);
		return;
	}
	if (ctx->argc == 4 && !with_score) {
		reply_error(ctx->reply, error_syntax);
		return;
	}
	if (!ctx_find_typed(ctx, 0, ENTRY_ZSET, &e))
		return;
	if (!e || !zset_value_find(ctx->shard, e, ctx->argv[2], &score, &rank)) {
		with_score ? reply_null_array(ctx->reply) : reply_null(ctx->reply);
		return;
	}
	if (with_score)
		reply_array(ctx->reply, 2);
	reply_int(ctx->reply, (int64_t)(reverse ? zset_value_count(e) - 1 - rank : rank));
	if (with_score)
		reply_double(ctx->reply, score);
}

void cmd_zrank(struct ctx *ctx)
{
	reply_rank(ctx, false);
}

void cmd_zrevrank(struct ctx *ctx)
{
	reply_rank(ctx, true);
}

/* --- by chance --- */

/* The count and WITHSCORES; on failure replies. */
static bool parse_random(struct ctx *ctx, int64_t *count, bool *scores)
{
	if (!ctx_arg_range(ctx, 2, -INT64_MAX, INT64_MAX, count, NULL))
		return false;
	*scores = ctx->argc == 4 && slice_is(ctx->argv[3], "withscores");
	if (ctx->argc > 4 || (ctx->argc == 4 && !*scores)) {
		reply_error(ctx->reply, error_syntax);
		return false;
	}
	if (*scores && (*count < -(INT64_MAX / 2) || *count > INT64_MAX / 2)) {
		reply_error(ctx->reply, "ERR value is out of range");
		return false;
	}
	return true;
}

/* None only in a writer's way, where the reply doesn't count. */
static void show_any(struct ctx *ctx, const struct entry *e, struct zset_show *show)
{
	uint64_t length = zset_value_count(e);

	if (length > 0)
		zset_value_walk(e, shard_random(ctx->shard) % length, 1, false, zset_show_element,
				show);
}

/* `count` elements, each of them any. */
static void reply_drawn(struct ctx *ctx, const struct entry *e, uint64_t count, bool scores)
{
	struct draw draw;

	if (!draw_begin(&draw, ctx, count) || !ctx_long(ctx, count))
		return;
	struct zset_show show = {.shard = ctx->shard, .reply = &draw.elements, .scores = scores};
	do
		show_any(ctx, e, &show);
	while (draw_more(&draw));
	draw_end(&draw, zset_show_length(&show, count));
}

static void reply_sampled(struct ctx *ctx, const struct entry *e, uint64_t count, bool scores)
{
	struct zset_show show = {.shard = ctx->shard, .reply = ctx->reply, .scores = scores};
	uint64_t length = e ? zset_value_count(e) : 0;

	if (count > length)
		count = length;
	if (count > 0 && !ctx_long(ctx, length))
		return;
	reply_array(ctx->reply, zset_show_length(&show, count));
	if (count > 0)
		zset_value_sample(ctx->shard, e, count, zset_show_element, &show);
}

void cmd_zrandmember(struct ctx *ctx)
{
	struct zset_show show = {.shard = ctx->shard, .reply = ctx->reply};
	struct entry *e;
	int64_t count = 1;

	if (ctx->argc > 2 && !parse_random(ctx, &count, &show.scores))
		return;
	if (!ctx_find_typed(ctx, 0, ENTRY_ZSET, &e))
		return;
	if (ctx->argc > 2 && (!e || count >= 0))
		reply_sampled(ctx, e, count < 0 ? 0 : (uint64_t)count, show.scores);
	else if (ctx->argc > 2)
		reply_drawn(ctx, e, (uint64_t)-count, show.scores);
	else if (e)
		show_any(ctx, e, &show);
	else
		reply_null(ctx->reply);
}

/* --- ZSCAN --- */

struct scan {
	struct scan_options options;
	struct shard *shard;
	struct reply bulks;
	size_t count;
};

/* Scores are bulks here in RESP3, too. */
static void scan_element(void *arg, const struct zset_element *element)
{
	struct scan *scan = arg;
	char text[NUMBER_DOUBLE_TEXT_MAX];

	turn_step(scan->shard);
	if (!scan_match(&scan->options, element->member))
		return;
	reply_bulk_slice(&scan->bulks, element->member);
	reply_bulk(&scan->bulks, text, number_format_double(text, element->score));
	reply_seal(&scan->bulks);
	scan->count += 2;
}

void cmd_zscan(struct ctx *ctx)
{
	struct scan scan;
	struct entry *e;
	uint64_t cursor;

	if (!scan_parse_cursor(ctx, 2, &cursor) || !ctx_find_typed(ctx, 0, ENTRY_ZSET, &e))
		return;
	if (!e) {
		scan_reply_empty(ctx);
		return;
	}
	if (!scan_parse_options(ctx, 3, 0, &scan.options))
		return;
	uint64_t length = zset_value_count(e);
	if (!ctx_long(ctx, length < scan.options.count ? length : scan.options.count))
		return;
	scan.shard = ctx->shard;
	reply_init(&scan.bulks, ctx->reply->resp);
	scan.count = 0;
	cursor = zset_value_scan(e, cursor, scan.options.count, scan_element, &scan);
	scan_reply(ctx, cursor, &scan.bulks, scan.count);
	reply_deinit(&scan.bulks);
}
