/*
 * Ranges of sorted sets as commands name them: by rank, by score, by member.
 *
 *	rank     0 is the first, -1 the last
 *	score    "1.5", "(1.5" without it, "-inf", "+inf"
 *	member   "[abc", "(abc" without it, "-" from the beginning, "+" to the end
 *
 * A range is parsed first, without the set; then it becomes ranks of one.
 */
#ifndef SHARD_ZSET_RANGE_H
#define SHARD_ZSET_RANGE_H

#include "shard/zset_value.h"

enum zset_range_by {
	RANGE_BY_RANK,
	RANGE_BY_SCORE,
	RANGE_BY_MEMBER,
};

struct zset_range {
	enum zset_range_by by;
	int64_t first, last;       /* by rank */
	struct zset_cut low, high; /* otherwise */
};

/* Argument `low` and argument `high` as borders; on failure replies. */
bool zset_range_parse(struct ctx *ctx, enum zset_range_by by, uint32_t low, uint32_t high,
		      struct zset_range *range);

/*
 * The elements of a set that are in the range: so many, from that rank on. With `reverse` ranks
 * count from the last element down.
 */
struct zset_ranks {
	uint64_t first;
	uint64_t count;
};
struct zset_ranks zset_range_ranks(const struct zset_range *range, const struct entry *e,
				   bool reverse);

#endif
