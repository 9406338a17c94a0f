/*
 * The order of a large sorted set: a B+ tree over (score, member) that knows ranks.
 *
 * The tree holds pointers to the set's member entries, which belong to zset.h; it owns its nodes
 * only. A node is a header and columns of words, ZSET_NODE_ROWS rows each:
 *
 *	level 0 (leaf)   score | entry                           a row is an element
 *	level 1 and up   score | entry | child | elements        a row is a child: its first
 *	                                                         element, its node, how many are below
 *
 * So leaves and inner nodes are searched, filled and emptied by the same code. Scores stand beside
 * the pointers: a search looks at members only where scores tie, and a leaf is read in its own
 * cache lines. The counts give an element's rank, and the element of a rank, on the way down. There
 * are no links between leaves: a cursor keeps the path from the root.
 *
 * Invariants: no node is empty; all leaves are at level 0; the score and entry of a row are those
 * of its child's row 0; a root that is not a leaf has at least two rows. Full nodes first share
 * with a neighbour, then of three of them four are made; at either end of the tree a full node
 * stays full and an almost empty one comes beside it. Where a removal leaves neighbours that fit
 * into one they are joined.
 *
 * Readers: the holder changes nodes in place, word by word, so any thread may read under RCU what
 * it likes: each word that it can meet is a number or points to a node or entry that isn't freed
 * yet, rows never exceed a node, levels fall by one on each step down. What such a reader finds may
 * be nonsense while the holder is at work; the slot's seq tells (keyspace.h). What leaves the tree
 * is retired.
 *
 * Snapshots read a set's members from its table: the tree is nothing to them.
 */
#ifndef SHARD_ZSET_TREE_H
#define SHARD_ZSET_TREE_H

#include "shard/entry.h"
#include "shard/retire.h"
#include "shard/zset_cut.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Leaves fill 512 bytes, inner nodes 1 KB (header included). */
#ifndef ZSET_NODE_ROWS /* tests make it small */
#define ZSET_NODE_ROWS 31
#endif
/* Enough for any memory, with nodes a quarter full. */
#define ZSET_HEIGHT_MAX 20

struct zset_node {
	_Atomic uint32_t rows;
	uint32_t level; /* constant */
	_Atomic uint64_t words[];
};

struct zset_tree {
	_Atomic(struct zset_node *) root; /* NULL: empty */
	_Atomic uint64_t count;
};

/* A place in the tree: at an element, or at the end. Dead once the tree is changed. */
struct zset_cursor {
	uint32_t height; /* levels of the tree: 0 when it is empty */
	struct {
		struct zset_node *node;
		uint32_t row;
	} path[ZSET_HEIGHT_MAX]; /* by level */
};

/* The score that a member entry carries as its value. */
static inline double zset_entry_score(const struct entry *e)
{
	struct slice member = entry_key(e);
	double score;

	memcpy(&score, member.ptr + member.len, sizeof(score));
	return score;
}

/* --- any thread under RCU, or the holder --- */

static inline uint64_t zset_tree_count(const struct zset_tree *t)
{
	return atomic_load_explicit(&t->count, memory_order_relaxed);
}

/* To the first element behind the cut; false, at the end, when there is none. */
bool zset_tree_seek(const struct zset_tree *t, const struct zset_cut *cut, struct zset_cursor *c);
/* To the element of a rank (from 0); false, at the end, when there are not so many. */
bool zset_tree_seek_rank(const struct zset_tree *t, uint64_t rank, struct zset_cursor *c);

/* How many elements stand before the cursor: at the end all of them. */
uint64_t zset_cursor_rank(const struct zset_cursor *c);
/* The element at the cursor; NULL at the end. */
struct entry *zset_cursor_entry(const struct zset_cursor *c);
/*
 * To the next or previous element: false when there is none; a failed prev leaves it where it was.
 */
bool zset_cursor_next(struct zset_cursor *c);
bool zset_cursor_prev(struct zset_cursor *c);
/*
 * A hint: fetches the elements from the cursor on that stand in its leaf, up to `max`, in the
 * direction of next or of prev (`reverse`). Returns how many that are, the one at the cursor among
 * them.
 */
uint32_t zset_cursor_fetch(const struct zset_cursor *c, uint64_t max, bool reverse);

/* Bytes that the nodes take. O(n / ZSET_NODE_ROWS). */
size_t zset_tree_memory(const struct zset_tree *t);

/* --- the holder --- */

/* Puts an entry in, which is not there yet. */
void zset_tree_insert(struct zset_tree *t, struct entry *e, struct retire *r);

/* Puts `e` in the place of `old`: as remove and insert, in place where the order allows. */
void zset_tree_replace(struct zset_tree *t, const struct entry *old, struct entry *e,
		       struct retire *r);

/* Takes the element of that score and member out; it must be there. */
void zset_tree_remove(struct zset_tree *t, const struct entry *e, struct retire *r);

/*
 * Takes up to `max` elements out, from that rank on, as many as stand in one leaf, and hands them
 * to `visit` before. Returns how many.
 */
uint32_t zset_tree_remove_run(struct zset_tree *t, uint64_t rank, uint64_t max, struct retire *r,
			      void (*visit)(void *arg, struct entry *e), void *arg);

/*
 * Frees nodes of a tree that nobody can reach any more, as long as there is a *budget, from which
 * it takes one for each. True when they are all gone.
 */
bool zset_tree_free_slice(struct zset_tree *t, size_t *budget);

#endif
