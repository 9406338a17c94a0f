/*
 * Walking the keyspace by RCU: SCAN, KEYS, RANDOMKEY and what looks over everything.
 *
 * A cursor is slot << TABLE_POSITION_BITS | position in the slot's table; 0 begins, and 0 ends. What
 * was there all the time is shown at least once.
 */
#ifndef SHARD_SCAN_H
#define SHARD_SCAN_H

#include "shard/keyspace.h"

/*
 * Visits entries of a database from the cursor on, about `count` of them or `steps` home buckets and
 * empty slots, whichever comes first. Returns the next cursor, 0 at the end. Reader under RCU.
 */
uint64_t keyspace_scan(const struct keyspace *ks, uint32_t db, uint64_t cursor, size_t count,
		       size_t steps, void (*visit)(void *arg, struct entry *e), void *arg);

/* Some entry that has not expired, about evenly chosen; NULL when there is none. Reader under RCU. */
struct entry *keyspace_random(const struct keyspace *ks, uint32_t db, uint64_t random, int64_t now);

#endif
