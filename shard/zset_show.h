/*
 * Elements of sorted sets in replies: members alone, or with their scores, which RESP2 puts after
 * them and RESP3 with them into an array of two.
 */
#ifndef SHARD_ZSET_SHOW_H
#define SHARD_ZSET_SHOW_H

#include "shard/turn.h"
#include "shard/zset_value.h"

enum zset_pairs {
	PAIRS_BY_PROTOCOL, /* flat in RESP2, arrays of two in RESP3 */
	PAIRS_FLAT,
	PAIRS_ARRAYS,
};

struct zset_show {
	struct shard *shard;
	struct reply *reply;
	bool scores;
	enum zset_pairs pairs;
	uint64_t count;
};

static inline bool zset_show_arrays(const struct zset_show *show)
{
	return show->scores && (show->pairs == PAIRS_ARRAYS ||
				(show->pairs == PAIRS_BY_PROTOCOL && show->reply->resp == 3));
}

/* Writes an element, and counts it: a zset_visit. */
static inline void zset_show_element(void *arg, const struct zset_element *element)
{
	struct zset_show *show = arg;

	if (zset_show_arrays(show))
		reply_array(show->reply, 2);
	reply_bulk_slice(show->reply, element->member);
	if (show->scores)
		reply_double(show->reply, element->score);
	show->count++;
	turn_step(show->shard);
}

/* How long an array of so many elements is. */
static inline uint64_t zset_show_length(const struct zset_show *show, uint64_t count)
{
	return show->scores && !zset_show_arrays(show) ? 2 * count : count;
}

#endif
