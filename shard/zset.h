/*
 * The large form of a sorted set: its members in a table, and in order in a tree.
 *
 *	struct zset   members --> table of entries by member     score of a member
 *	              tree -----> B+ tree of the same entries    ranks, ranges, order
 *
 * An element is one entry (entry.h): its key is the member, its value the score's 8 bytes. It never
 * changes: another score is another entry. It stands in the table's word and in one leaf of the
 * tree.
 *
 * The holder changes both in place; any thread may read under RCU what the slot's seq then vouches
 * for (table.h, zset_tree.h). What is replaced goes to the retire list given.
 *
 * Scores are never NaN.
 */
#ifndef SHARD_ZSET_H
#define SHARD_ZSET_H

#include "shard/dict.h"
#include "shard/zset_tree.h"

struct zset {
	struct dict members; /* none of them expires */
	struct zset_tree tree;
};

struct zset *zset_new(void);

/* Frees all of it at once, for sets that no reader has seen. free(NULL) is fine. */
void zset_free(struct zset *z);

/*
 * Frees a part: goes on at *at (0 at first), takes from *budget (more than 0) about as many
 * elements as it freed. True when all is gone, `z` too. Nobody reaches it any more.
 */
bool zset_free_slice(struct zset *z, uint64_t *at, size_t *budget);

/* The same elements in a set of its own. It takes the turns of a shard (turn.h); NULL: none. */
struct zset *zset_copy(const struct zset *z, const struct hash_seed *seed, struct retire *r,
		       struct shard *shard);

/* --- any thread under RCU, or the holder --- */

static inline uint64_t zset_count(const struct zset *z)
{
	return zset_tree_count(&z->tree);
}

/* The element of a member, or NULL. */
const struct entry *zset_find(const struct zset *z, const struct hash_seed *seed,
			      struct slice member);

/* How many elements stand before the cut. */
uint64_t zset_rank(const struct zset *z, const struct zset_cut *cut);

/* Some element chosen by `random`, evenly; NULL when there is none. */
const struct entry *zset_random(const struct zset *z, uint64_t random);

/* All bytes that it takes: of large sets an estimate, within some microseconds. */
size_t zset_memory(const struct zset *z);

/* --- the holder --- */

/* Gives the member this score: as a new element, or in place of the one it has. True: it is new. */
bool zset_put(struct zset *z, const struct hash_seed *seed, struct slice member, double score,
	      struct retire *r);

/* Takes the member out: false when it isn't there. */
bool zset_remove(struct zset *z, const struct hash_seed *seed, struct slice member,
		 struct retire *r);

/*
 * Takes up to `max` elements out, from that rank on. A slice of the work: one leaf at most, so the
 * caller goes on until it has what it wants or 0 comes back. Returns how many.
 */
uint32_t zset_remove_run(struct zset *z, const struct hash_seed *seed, uint64_t rank, uint64_t max,
			 struct retire *r);

#endif
