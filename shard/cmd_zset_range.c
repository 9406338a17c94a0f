/*
 * Sorted sets, what goes by order: ZRANGE in all its forms, ZCOUNT, ZREMRANGEBY..., ZPOPMIN and so
 * on.
 *
 * Every range becomes ranks first (zset_range.h), whatever it goes by; LIMIT is arithmetic on them,
 * and counting needs no look at the elements between.
 */
#include "shard/blocked.h"
#include "shard/handlers.h"
#include "shard/zset_range.h"
#include "shard/zset_show.h"

/* --- ZRANGE --- */

/* What a command of the family is about, and what its options add to that. */
struct range_request {
	uint32_t key; /* its number: 1 behind a destination */
	bool store;
	bool by_given; /* by the command's name: no option may say */
	enum zset_range_by by;
	bool direction_given;
	bool reverse;
	bool scores;
	int64_t offset;
	int64_t limit; /* -1: none */
	struct zset_range range;
};

/* One option at argument *i, which goes to its last. False: it is none. */
static bool parse_option(struct ctx *ctx, uint32_t *i, struct range_request *request, bool *replied)
{
	struct slice word = ctx->argv[*i];
	uint32_t left = ctx->argc - *i - 1;

	if (!request->store && slice_is(word, "withscores")) {
		request->scores = true;
	} else if (slice_is(word, "limit") && left >= 2) {
		*replied = !ctx_arg_int(ctx, *i + 1, &request->offset) ||
			   !ctx_arg_int(ctx, *i + 2, &request->limit);
		*i += 2;
	} else if (!request->direction_given && slice_is(word, "rev")) {
		request->direction_given = request->reverse = true;
	} else if (!request->by_given && slice_is(word, "bylex")) {
		request->by_given = true;
		request->by = RANGE_BY_MEMBER;
	} else if (!request->by_given && slice_is(word, "byscore")) {
		request->by_given = true;
		request->by = RANGE_BY_SCORE;
	} else {
		return false;
	}
	return true;
}

/* The options behind the range. On failure replies. */
static bool parse_options(struct ctx *ctx, struct range_request *request)
{
	bool replied = false;

	for (uint32_t i = request->key + 4; i < ctx->argc; i++) {
		if (!parse_option(ctx, &i, request, &replied)) {
			reply_error(ctx->reply, error_syntax);
			return false;
		}
		if (replied)
			return false;
	}
	if (request->limit != -1 && request->by == RANGE_BY_RANK) {
		reply_error(ctx->reply, "ERR syntax error, LIMIT is only supported in combination "
					"with either BYSCORE or BYLEX");
		return false;
	}
	if (request->scores && request->by == RANGE_BY_MEMBER) {
		reply_error(ctx->reply, "ERR syntax error, WITHSCORES not supported in combination "
					"with BYLEX");
		return false;
	}
	return true;
}

static bool parse_request(struct ctx *ctx, struct range_request *request)
{
	request->limit = -1;
	if (!parse_options(ctx, request))
		return false;
	/* Backwards the upper border comes first, but for ranks. */
	uint32_t low = request->key + 2, high = low + 1;
	if (request->reverse && request->by != RANGE_BY_RANK) {
		low++;
		high--;
	}
	return zset_range_parse(ctx, request->by, low, high, &request->range);
}

/* The ranks asked for, LIMIT included; *from: that of the one which comes first. */
static struct zset_ranks request_ranks(const struct range_request *request, const struct entry *e,
				       uint64_t *from)
{
	struct zset_ranks ranks = zset_range_ranks(&request->range, e, request->reverse);
	uint64_t skip = (uint64_t)request->offset; /* a negative one skips everything */

	if (request->by == RANGE_BY_RANK) /* LIMIT 5 -1 may stand here, and does nothing */
		skip = 0;
	skip = skip > ranks.count ? ranks.count : skip;
	ranks.count -= skip;
	if (!request->reverse)
		ranks.first += skip;
	if (request->limit >= 0 && (uint64_t)request->limit < ranks.count) {
		if (request->reverse)
			ranks.first += ranks.count - (uint64_t)request->limit;
		ranks.count = (uint64_t)request->limit;
	}
	*from = request->reverse ? ranks.first + ranks.count - 1 : ranks.first;
	return ranks;
}

static void show_range(struct ctx *ctx, const struct range_request *request, const struct entry *e)
{
	struct zset_show show = {.shard = ctx->shard,
				 .reply = ctx->reply,
				 .scores = request->scores};
	uint64_t from = 0;

	struct zset_ranks ranks = request_ranks(request, e, &from);
	if (!ctx_long_read(ctx, ranks.count))
		return;
	reply_array(ctx->reply, zset_show_length(&show, ranks.count));
	zset_value_walk(e, from, ranks.count, request->reverse, zset_show_element, &show);
}

static void zrange(struct ctx *ctx, struct range_request request)
{
	struct entry *e;

	if (!parse_request(ctx, &request) || !ctx_find_typed(ctx, request.key, ENTRY_ZSET, &e))
		return;
	if (e)
		show_range(ctx, &request, e);
	else
		reply_array(ctx->reply, 0);
}

void cmd_zrange(struct ctx *ctx)
{
	zrange(ctx, (struct range_request){.by = RANGE_BY_RANK});
}

/* The older commands, whose names say what ZRANGE's options do. */
static void zrange_by(struct ctx *ctx, enum zset_range_by by, bool reverse)
{
	zrange(ctx, (struct range_request){
			    .by_given = true,
			    .by = by,
			    .direction_given = true,
			    .reverse = reverse,
		    });
}

void cmd_zrevrange(struct ctx *ctx)
{
	zrange_by(ctx, RANGE_BY_RANK, true);
}

void cmd_zrangebyscore(struct ctx *ctx)
{
	zrange_by(ctx, RANGE_BY_SCORE, false);
}

void cmd_zrevrangebyscore(struct ctx *ctx)
{
	zrange_by(ctx, RANGE_BY_SCORE, true);
}

void cmd_zrangebylex(struct ctx *ctx)
{
	zrange_by(ctx, RANGE_BY_MEMBER, false);
}

void cmd_zrevrangebylex(struct ctx *ctx)
{
	zrange_by(ctx, RANGE_BY_MEMBER, true);
}

/* --- ZRANGESTORE --- */

static void store_element(void *arg, const struct zset_element *element)
{
	struct zset_edit *edit = arg;

	zset_edit_put(edit, element->member, element->score);
	turn_step(edit->ctx->shard);
}

void cmd_zrangestore(struct ctx *ctx)
{
	struct range_request request = {.key = 1, .store = true};
	struct zset_ranks ranks = {0, 0};
	struct zset_edit edit;
	struct entry *e;
	uint64_t from = 0;

	if (!parse_request(ctx, &request) || !ctx_find_typed(ctx, 1, ENTRY_ZSET, &e))
		return;
	if (e)
		ranks = request_ranks(&request, e, &from);
	if (!ctx_long(ctx, ranks.count))
		return;
	zset_edit_begin_new(&edit, ctx, 0);
	if (e) {
		zset_value_walk(e, from, ranks.count, request.reverse, store_element, &edit);
	}
	if (ranks.count > 0 || ctx_peek(ctx, 0, false))
		ctx->dirty++;
	zset_edit_end(&edit);
	reply_int(ctx->reply, (int64_t)ranks.count);
}

/* --- counting --- */

static void count_range(struct ctx *ctx, enum zset_range_by by)
{
	struct zset_range range;
	struct entry *e;

	if (!zset_range_parse(ctx, by, 2, 3, &range) || !ctx_find_typed(ctx, 0, ENTRY_ZSET, &e))
		return;
	reply_int(ctx->reply, e ? (int64_t)zset_range_ranks(&range, e, false).count : 0);
}

void cmd_zcount(struct ctx *ctx)
{
	count_range(ctx, RANGE_BY_SCORE);
}

void cmd_zlexcount(struct ctx *ctx)
{
	count_range(ctx, RANGE_BY_MEMBER);
}

/* --- removing --- */

static void remove_ranks(struct ctx *ctx, uint32_t k, const struct entry *e,
			 struct zset_ranks ranks)
{
	struct zset_edit edit;

	zset_edit_begin(&edit, ctx, k, e);
	zset_edit_remove_ranks(&edit, ranks.first, ranks.count);
	zset_edit_end(&edit);
	ctx->dirty += ranks.count;
}

static void remove_range(struct ctx *ctx, enum zset_range_by by)
{
	struct zset_ranks ranks = {0, 0};
	struct zset_range range;
	struct entry *e;

	if (!zset_range_parse(ctx, by, 2, 3, &range) || !ctx_peek_typed(ctx, 0, ENTRY_ZSET, &e))
		return;
	if (e) {
		ranks = zset_range_ranks(&range, e, false);
		if (!ctx_long(ctx, ranks.count))
			return;
		remove_ranks(ctx, 0, e, ranks);
	}
	reply_int(ctx->reply, (int64_t)ranks.count);
}

void cmd_zremrangebyrank(struct ctx *ctx)
{
	remove_range(ctx, RANGE_BY_RANK);
}

void cmd_zremrangebyscore(struct ctx *ctx)
{
	remove_range(ctx, RANGE_BY_SCORE);
}

void cmd_zremrangebylex(struct ctx *ctx)
{
	remove_range(ctx, RANGE_BY_MEMBER);
}

/* --- popping --- */

/* Shows and removes `count` elements of key k, which there are, from one end. */
static void take(struct ctx *ctx, uint32_t k, const struct entry *e, bool greatest, uint64_t count,
		 struct zset_show *show)
{
	uint64_t length = zset_value_count(e);

	ctx_effect_pop(ctx, greatest ? "ZPOPMAX" : "ZPOPMIN", k, count);
	zset_value_walk(e, greatest ? length - 1 : 0, count, greatest, zset_show_element, show);
	remove_ranks(ctx, k, e, (struct zset_ranks){greatest ? length - count : 0, count});
}

/* The same for up to `count`, as an array. */
static void pop(struct ctx *ctx, uint32_t k, const struct entry *e, bool greatest, uint64_t count,
		struct zset_show show)
{
	count = ctx_pop_count(ctx, zset_value_count(e), count);
	if (!ctx_long(ctx, count))
		return;
	reply_array(ctx->reply, zset_show_length(&show, count));
	take(ctx, k, e, greatest, count, &show);
}

static void zpop(struct ctx *ctx, bool greatest)
{
	struct zset_show show = {
		.shard = ctx->shard,
		.reply = ctx->reply,
		.scores = true,
		.pairs = ctx->argc == 2 ? PAIRS_FLAT : PAIRS_BY_PROTOCOL,
	};
	int64_t count = 1;
	struct entry *e;

	if (ctx->argc > 3) {
		reply_error(ctx->reply, error_syntax);
		return;
	}
	if (ctx->argc == 3 && !ctx_arg_positive(ctx, 2, &count))
		return;
	if (!ctx_peek_typed(ctx, 0, ENTRY_ZSET, &e))
		return;
	if (e && count > 0)
		pop(ctx, 0, e, greatest, (uint64_t)count, show);
	else
		reply_array(ctx->reply, 0);
}

void cmd_zpopmin(struct ctx *ctx)
{
	zpop(ctx, false);
}

void cmd_zpopmax(struct ctx *ctx)
{
	zpop(ctx, true);
}

/* ZMPOP's arguments from the number of keys (argument `at`) on. On failure replies. */
static bool parse_zmpop(struct ctx *ctx, uint32_t at, bool *greatest, int64_t *count)
{
	int64_t keys;

	*count = 1;
	if (!ctx_arg_range(ctx, at, 1, INT64_MAX, &keys, "ERR numkeys should be greater than 0"))
		return false;
	uint32_t where = keys < ctx->argc - at - 1 ? (uint32_t)keys + at + 1 : 0;
	*greatest = where > 0 && slice_is(ctx->argv[where], "max");
	bool good = where > 0 && (*greatest || slice_is(ctx->argv[where], "min")) &&
		    (ctx->argc == where + 1 ||
		     (ctx->argc >= where + 3 && slice_is(ctx->argv[where + 1], "count")));
	if (good && ctx->argc > where + 1 &&
	    !ctx_arg_range(ctx, where + 2, 1, INT64_MAX, count,
			   "ERR count should be greater than 0"))
		return false;
	if (good && ctx->argc <= where + 3)
		return true;
	reply_error(ctx->reply, error_syntax);
	return false;
}

/*
 * The first sorted set there is, NULL for none. False, after replying, when a key holds something
 * else.
 */
static bool find_first(struct ctx *ctx, uint32_t *k, struct entry **e)
{
	for (*k = 0; *k < ctx->key_count; ++*k) {
		if (!ctx_peek_typed(ctx, *k, ENTRY_ZSET, e))
			return false;
		if (*e && !blocked_ahead(ctx, *k))
			return true;
	}
	*e = NULL;
	return true;
}

/* Key and elements; false, after replying null, when there is nothing. */
static bool pop_many(struct ctx *ctx, bool greatest, int64_t count)
{
	struct zset_show show = {
		.shard = ctx->shard,
		.reply = ctx->reply,
		.scores = true,
		.pairs = PAIRS_ARRAYS,
	};
	struct entry *e;
	uint32_t k;

	if (!find_first(ctx, &k, &e))
		return true;
	if (!e) {
		reply_null_array(ctx->reply);
		return false;
	}
	reply_array(ctx->reply, 2);
	reply_bulk_slice(ctx->reply, ctx->keys[k].name);
	pop(ctx, k, e, greatest, (uint64_t)count, show);
	return true;
}

void cmd_zmpop(struct ctx *ctx)
{
	bool greatest;
	int64_t count;

	if (parse_zmpop(ctx, 1, &greatest, &count))
		pop_many(ctx, greatest, count);
}

void cmd_bzmpop(struct ctx *ctx)
{
	bool greatest;
	int64_t count, until;

	if (parse_zmpop(ctx, 2, &greatest, &count) && ctx_arg_timeout(ctx, 1, &until) &&
	    !pop_many(ctx, greatest, count))
		ctx_block(ctx, ENTRY_ZSET, ctx->key_count, until);
}

/* Key, member and score of one element; false, after replying null, when there is nothing. */
static bool pop_one(struct ctx *ctx, bool greatest)
{
	struct zset_show show = {.reply = ctx->reply, .scores = true, .pairs = PAIRS_FLAT};
	struct entry *e;
	uint32_t k;

	if (!find_first(ctx, &k, &e))
		return true;
	if (!e) {
		reply_null_array(ctx->reply);
		return false;
	}
	reply_array(ctx->reply, 3);
	reply_bulk_slice(ctx->reply, ctx->keys[k].name);
	take(ctx, k, e, greatest, 1, &show);
	return true;
}

static void pop_or_block(struct ctx *ctx, bool greatest)
{
	int64_t until;

	if (ctx_arg_timeout(ctx, ctx->argc - 1, &until) && !pop_one(ctx, greatest))
		ctx_block(ctx, ENTRY_ZSET, ctx->key_count, until);
}

void cmd_bzpopmin(struct ctx *ctx)
{
	pop_or_block(ctx, false);
}

void cmd_bzpopmax(struct ctx *ctx)
{
	pop_or_block(ctx, true);
}
