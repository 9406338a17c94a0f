/*
 * Walking the keyspace by RCU: SCAN, KEYS, RANDOMKEY and what looks over everything.
 *
 * A cursor is slot << TABLE_POSITION_BITS | position in the slot's table; 0 begins, and 0 ends.
 * What was there all the time is shown at least once.
 */
#ifndef SHARD_SCAN_H
#define SHARD_SCAN_H

#include "shard/ctx.h"

/*
 * Visits entries of a database from the cursor on, about `count` of them or `steps` home buckets
 * and empty slots, whichever comes first. Returns the next cursor, 0 at the end. Reader under RCU.
 */
uint64_t keyspace_scan(const struct keyspace *ks, uint32_t db, uint64_t cursor, size_t count,
		       size_t steps, void (*visit)(void *arg, struct entry *e), void *arg);

/*
 * Some entry that has not expired, about evenly chosen; NULL when there is none. Reader under RCU.
 */
struct entry *keyspace_random(const struct keyspace *ks, uint32_t db, uint64_t random, int64_t now);

/* --- SCAN, HSCAN, SSCAN, ZSCAN --- */

enum scan_option {
	SCAN_TYPE = 1,     /* SCAN's TYPE */
	SCAN_NOVALUES = 2, /* HSCAN's NOVALUES */
};

struct scan_options {
	size_t count;
	struct slice pattern;
	bool any_name; /* no pattern, or one that fits all */
	struct slice type;
	bool any_type;
	bool no_values;
};

/* Argument i as a cursor; on failure replies. */
bool scan_parse_cursor(struct ctx *ctx, uint32_t i, uint64_t *cursor);
/* The options from argument i on; `allowed`: those that not all have. On failure replies. */
bool scan_parse_options(struct ctx *ctx, uint32_t i, unsigned allowed, struct scan_options *options);
/*
 * Matching takes up to pattern times name steps: how many times what it takes with a pattern that
 * is as long as they usually are. Who looks at many names looks at fewer at a time for it, so that
 * nobody waits.
 */
size_t scan_match_cost(struct slice pattern);
/* Whether a key or an element of that name is asked for. */
bool scan_match(const struct scan_options *options, struct slice name);
/* Replies the cursor and `count` bulks, which are moved. */
void scan_reply(struct ctx *ctx, uint64_t cursor, struct reply *bulks, size_t count);
/* The same of a key that isn't there. */
void scan_reply_empty(struct ctx *ctx);

#endif
