/*
 * Active expiry: each shard's worker sweeps its slots.
 *
 * Each slot knows the earliest expiry in it and each bucket the earliest in it, so a sweep looks at
 * the slot lines (64 bytes each) and then only at buckets where something is due. It works in
 * slices under a budget of entries and goes on where it stopped. Slots that somebody holds are left
 * for the next round.
 */
#ifndef SHARD_SWEEP_H
#define SHARD_SWEEP_H

#include "shard/keyspace.h"

/* How many slot lines one slice looks at, and how many expired entries it removes, at most. */
#define SWEEP_SLOTS 1024
#define SWEEP_ENTRIES 256

/*
 * One slice over the shard's own slots. All that it removes from a slot is one unit of work, each
 * counts as expired. Returns true when entries that are due are left (call again soon). The shard's
 * worker only.
 */
bool sweep_slice(struct shard *shard, int64_t now);

#endif
