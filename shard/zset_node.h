/*
 * The nodes of a sorted set's tree, for zset_tree.c, zset_tree_change.c and their test: words, rows
 * and columns.
 *
 * Words are written with release and read with acquire: who meets a pointer also sees what it
 * points to. Writers store words first and a larger number of rows after them, so that rows below
 * the number are always good.
 */
#ifndef SHARD_ZSET_NODE_H
#define SHARD_ZSET_NODE_H

#include "shard/zset_tree.h"

#include <string.h>

enum zset_column {
	COLUMN_SCORE,
	COLUMN_ENTRY,
	LEAF_COLUMNS,
	COLUMN_CHILD = LEAF_COLUMNS,
	COLUMN_ELEMENTS,
	INNER_COLUMNS,
};

/* A row by itself. Of a leaf only the first two words count. */
struct zset_row {
	uint64_t words[INNER_COLUMNS];
};

static inline uint32_t node_columns(const struct zset_node *node)
{
	return node->level ? INNER_COLUMNS : LEAF_COLUMNS;
}

static inline uint32_t node_rows(const struct zset_node *node)
{
	return atomic_load_explicit(&node->rows, memory_order_acquire);
}

static inline uint64_t node_word(const struct zset_node *node, enum zset_column column,
				 uint32_t row)
{
	return atomic_load_explicit(&node->words[column * ZSET_NODE_ROWS + row],
				    memory_order_acquire);
}

static inline void node_set_word(struct zset_node *node, enum zset_column column, uint32_t row,
				 uint64_t word)
{
	atomic_store_explicit(&node->words[column * ZSET_NODE_ROWS + row], word,
			      memory_order_release);
}

static inline double node_score(const struct zset_node *node, uint32_t row)
{
	uint64_t word = node_word(node, COLUMN_SCORE, row);
	double score;

	memcpy(&score, &word, sizeof(score));
	return score;
}

static inline struct entry *node_entry(const struct zset_node *node, uint32_t row)
{
	return (struct entry *)(uintptr_t)node_word(node, COLUMN_ENTRY, row);
}

static inline struct zset_node *node_child(const struct zset_node *node, uint32_t row)
{
	return (struct zset_node *)(uintptr_t)node_word(node, COLUMN_CHILD, row);
}

static inline uint64_t node_elements(const struct zset_node *node, uint32_t row)
{
	return node_word(node, COLUMN_ELEMENTS, row);
}

/* How many elements stand below a node's first rows. */
uint64_t node_elements_below(const struct zset_node *node, uint32_t rows);

/* Whether a row stands before the cut: looks at the member only when its score doesn't tell. */
bool node_row_passes(const struct zset_node *node, uint32_t at, const struct zset_cut *cut);

/* The path to the leaf that the cut falls into, possibly behind its last row. */
void zset_seek_path(const struct zset_tree *t, const struct zset_cut *cut, struct zset_cursor *c);

static inline size_t node_size(uint32_t level)
{
	return sizeof(struct zset_node) +
	       (level ? INNER_COLUMNS : LEAF_COLUMNS) * ZSET_NODE_ROWS * sizeof(uint64_t);
}

#endif
