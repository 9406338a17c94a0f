/*
 * Replies of elements that are drawn, so that the same one may come any number of times (a negative
 * count of SRANDMEMBER, HRANDFIELD and ZRANDMEMBER): a short request for a reply of any length,
 * which is bounded here. They are written apart: the length of an array stands before them, or an
 * error in their place.
 *
 *	if (!draw_begin(&draw, ctx, count))
 *		return;
 *	do
 *		... one element to &draw.elements ...
 *	while (draw_more(&draw));
 *	draw_end(&draw, count);
 *
 * While it is under way it owns memory.
 */
#ifndef SHARD_DRAW_H
#define SHARD_DRAW_H

#include "shard/ctx.h"

/*
 * What the elements may take, and no more than the largest string (proto-max-bulk-len): millions of
 * short ones. The last one may go beyond, so that any one can be had.
 */
#define DRAW_BYTES_MAX (64 << 20)

struct draw {
	struct ctx *ctx;
	struct reply elements;
	struct reply_mark counted; /* up to here */
	uint64_t left;             /* to be drawn */
	size_t bytes;              /* that those before took: of pinned values the pins */
	size_t max;
};

/*
 * For `count` elements, 1 or more. False, after replying, when the shortest ones would be too many.
 */
bool draw_begin(struct draw *draw, struct ctx *ctx, uint64_t count);

/* One is written. Whether to draw the next: more are wanted, and there is room. */
bool draw_more(struct draw *draw);

/* Replies an array of that length, or that it would have been too long a one. */
void draw_end(struct draw *draw, uint64_t length);

#endif
