/*
 * Filling a keyspace that nobody uses yet: what a file holds goes straight into the tables, past
 * requests, handlers and replies.
 *
 * Several threads fill at once, each with a shard of its own (shard_new): each holds the slot while
 * it puts an entry, as ever. Readers there are none: nobody is told of anything (watchers,
 * journals).
 */
#ifndef SHARD_FILL_H
#define SHARD_FILL_H

#include "shard/keyspace.h"

/* An entry on its way into its table. */
struct fill {
	struct entry *entry;
	struct slot *slot;
	uint64_t hash;
	uint32_t db;
	uint64_t
		expected; /* entries that the table will have, about: room is made for the first one */
};

/*
 * Hints for a batch: the slot's line, to be written; then what of its table the entry will go to.
 */
void fill_prefetch_slot(const struct fill *fill);
void fill_prefetch_table(const struct fill *fill);

/*
 * Puts it, and counts it in `shard`. False: that key is there already; the entry stays the
 * caller's. Waits for whoever holds the slot.
 */
bool fill_put(struct shard *shard, const struct fill *fill);

#endif
