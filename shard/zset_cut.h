/*
 * Cuts: places between the elements of a sorted set.
 *
 * Elements are ordered by score, then by member (as memcmp orders bytes, the shorter first when it
 * is a prefix). A cut says of each element whether it stands before it. So every range of scores,
 * members or ranks is what stands between two cuts, and its borders are inclusive or exclusive by
 * where the cut falls:
 *
 *	(1.5   CUT_SCORE 1.5, after     the first element beyond all of score 1.5
 *	[abc   CUT_MEMBER "abc"         the first element whose member is not less than "abc"
 *
 * CUT_MEMBER makes sense where all elements have one score; elsewhere it falls somewhere. Scores
 * are never NaN; 0 and -0 are equal.
 */
#ifndef SHARD_ZSET_CUT_H
#define SHARD_ZSET_CUT_H

#include "proto/slice.h"

#include <stdbool.h>

enum zset_cut_kind {
	CUT_START,   /* before everything */
	CUT_SCORE,   /* before the elements of a score; with `after` behind them */
	CUT_MEMBER,  /* before the member, whatever its score; with `after` behind it */
	CUT_ELEMENT, /* before score and member; with `after` behind them */
	CUT_END,     /* behind everything */
};

struct zset_cut {
	enum zset_cut_kind kind;
	bool after;
	double score;
	struct slice member;
};

static inline bool zset_cut_passes_member(const struct zset_cut *cut, struct slice member)
{
	int order = slice_compare(member, cut->member);

	return order < 0 || (order == 0 && cut->after);
}

/* True when the element stands before the cut. */
static inline bool zset_cut_passes(const struct zset_cut *cut, double score, struct slice member)
{
	switch (cut->kind) {
	case CUT_START:
		return false;
	case CUT_SCORE:
		return score < cut->score || (cut->after && score == cut->score);
	case CUT_MEMBER:
		return zset_cut_passes_member(cut, member);
	case CUT_ELEMENT:
		if (score != cut->score)
			return score < cut->score;
		return zset_cut_passes_member(cut, member);
	case CUT_END:
		return true;
	}
	__builtin_unreachable();
}

#endif
