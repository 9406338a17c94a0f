/* Ranges of sorted sets (zset_range.h): their text, and the ranks between their borders. */
#include "shard/zset_range.h"

#include <math.h>
#include <stdlib.h>

/*
 * A score as a border: what strtod reads, up to the end or a zero byte; nothing at all is 0. So
 * more goes here than in ZADD, as in Redis.
 */
static bool parse_score(struct slice text, double *score)
{
	char copy[NUMBER_DOUBLE_TEXT_MAX];
	char *end;

	if (text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	*score = strtod(copy, &end);
	return *end == '\0' && !isnan(*score);
}

/* `high`: it is the upper border, so the cut lies behind what belongs to the range. */
static bool parse_score_cut(struct slice text, bool high, struct zset_cut *cut)
{
	bool excluded = text.len > 0 && text.ptr[0] == '(';

	if (excluded)
		text = (struct slice){text.ptr + 1, text.len - 1};
	*cut = (struct zset_cut){.kind = CUT_SCORE, .after = excluded != high};
	return parse_score(text, &cut->score);
}

static bool parse_member_cut(struct slice text, bool high, struct zset_cut *cut)
{
	*cut = (struct zset_cut){0};
	if (text.len == 0)
		return false;
	struct slice rest = {text.ptr + 1, text.len - 1};
	switch (text.ptr[0]) {
	case '-':
	case '+':
		cut->kind = text.ptr[0] == '-' ? CUT_START : CUT_END;
		return rest.len == 0 || rest.ptr[0] == '\0';
	case '[':
	case '(':
		cut->kind = CUT_MEMBER;
		cut->after = (text.ptr[0] == '(') != high;
		cut->member = rest;
		return true;
	default:
		return false;
	}
}

bool zset_range_parse(struct ctx *ctx, enum zset_range_by by, uint32_t low, uint32_t high,
		      struct zset_range *range)
{
	range->by = by;
	if (by == RANGE_BY_RANK)
		return ctx_arg_int(ctx, low, &range->first) && ctx_arg_int(ctx, high, &range->last);
	if (by == RANGE_BY_SCORE) {
		if (parse_score_cut(ctx->argv[low], false, &range->low) &&
		    parse_score_cut(ctx->argv[high], true, &range->high))
			return true;
		reply_error(ctx->reply, "ERR min or max is not a float");
		return false;
	}
	if (parse_member_cut(ctx->argv[low], false, &range->low) &&
	    parse_member_cut(ctx->argv[high], true, &range->high))
		return true;
	reply_error(ctx->reply, "ERR min or max not valid string range item");
	return false;
}

static struct zset_ranks ranks_between(uint64_t first, uint64_t end)
{
	return (struct zset_ranks){first, end > first ? end - first : 0};
}

struct zset_ranks zset_range_ranks(const struct zset_range *range, const struct entry *e,
				   bool reverse)
{
	int64_t count = (int64_t)zset_value_count(e);

	if (range->by != RANGE_BY_RANK)
		return ranks_between(zset_value_rank(e, &range->low),
				     zset_value_rank(e, &range->high));
	int64_t first = range->first < 0 ? range->first + count : range->first;
	int64_t last = range->last < 0 ? range->last + count : range->last;
	first = first < 0 ? 0 : first;
	last = last >= count ? count - 1 : last;
	if (first > last)
		return (struct zset_ranks){0, 0};
	return reverse ? ranks_between((uint64_t)(count - 1 - last), (uint64_t)(count - first))
		       : ranks_between((uint64_t)first, (uint64_t)(last + 1));
}
