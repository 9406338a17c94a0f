/*
 * Reading the B+ tree of a sorted set (zset_tree.h): finding places, going on from them. Changes:
 * zset_tree_change.c.
 */
#include "proto/mem.h"
#include "shard/zset_node.h"

/* --- seeking --- */

uint64_t node_elements_below(const struct zset_node *node, uint32_t rows)
{
	uint64_t sum = 0;
	if (!node->level)
		return rows;
	for (uint32_t i = 0; i < rows; i++)
		sum += node_elements(node, i);
	return sum;
}

bool node_row_passes(const struct zset_node *node, uint32_t at, const struct zset_cut *cut)
{
	double score = node_score(node, at);
	if (cut->kind == CUT_SCORE || (cut->kind == CUT_ELEMENT && score != cut->score))
		return zset_cut_passes(cut, score, (struct slice){NULL, 0});
	return zset_cut_passes(cut, score, entry_key(node_entry(node, at)));
}

/*
 * How many rows stand before the cut. Scores are counted without a branch to guess wrong; members
 * are looked at only where those don't tell.
 */
static uint32_t rows_before(const struct zset_node *node, const struct zset_cut *cut)
{
	uint32_t low = 0, high = node_rows(node);
	if (cut->kind == CUT_SCORE || cut->kind == CUT_ELEMENT) {
		uint32_t rows = high;
		double border = cut->score;
		high = 0;
		for (uint32_t i = 0; i < rows; i++) {
			double score = node_score(node, i);
			low += score < border;
			high += score <= border;
		}
	}
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (node_row_passes(node, middle, cut))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct zset_node *cursor_start(const struct zset_tree *t, struct zset_cursor *c)
{
	struct zset_node *root = atomic_load_explicit(&t->root, memory_order_acquire);
	c->height = root ? root->level + 1 : 0;
	return root;
}

void zset_seek_path(const struct zset_tree *t, const struct zset_cut *cut, struct zset_cursor *c)
{
	struct zset_node *node = cursor_start(t, c);
	while (node) {
		uint32_t row = rows_before(node, cut);
		if (node->level && row > 0)
			row--;
		c->path[node->level].node = node;
		c->path[node->level].row = row;
		node = node->level ? node_child(node, row) : NULL;
	}
}

/* Behind the last row of a leaf comes the first of the next one. */
static bool settle(struct zset_cursor *c)
{
	if (c->height == 0)
		return false;
	if (c->path[0].row < node_rows(c->path[0].node))
		return true;
	c->path[0].row--;
	return zset_cursor_next(c);
}

bool zset_tree_seek(const struct zset_tree *t, const struct zset_cut *cut, struct zset_cursor *c)
{
	zset_seek_path(t, cut, c);
	return settle(c);
}

bool zset_tree_seek_rank(const struct zset_tree *t, uint64_t rank, struct zset_cursor *c)
{
	struct zset_node *node = cursor_start(t, c);
	while (node) {
		uint32_t row = 0, rows = node_rows(node);
		if (!node->level) {
			row = rank < rows ? rank : rows;
		} else {
			for (; row + 1 < rows && rank >= node_elements(node, row); row++)
				rank -= node_elements(node, row);
		}
		c->path[node->level].node = node;
		c->path[node->level].row = row;
		node = node->level ? node_child(node, row) : NULL;
	}
	return settle(c);
}

uint64_t zset_cursor_rank(const struct zset_cursor *c)
{
	uint64_t rank = 0;
	for (uint32_t level = 0; level < c->height; level++)
		rank += node_elements_below(c->path[level].node, c->path[level].row);
	return rank;
}

struct entry *zset_cursor_entry(const struct zset_cursor *c)
{
	if (c->height == 0 || c->path[0].row >= node_rows(c->path[0].node))
		return NULL;
	return node_entry(c->path[0].node, c->path[0].row);
}

/* From a row of an inner node down to the first or last element below it. */
static bool descend(struct zset_cursor *c, uint32_t level, bool last)
{
	for (; level > 0; level--) {
		struct zset_node *child = node_child(c->path[level].node, c->path[level].row);
		uint32_t rows = node_rows(child);
		if (rows == 0)
			return false; /* a reader met a node on its way out */
		c->path[level - 1].node = child;
		c->path[level - 1].row = last ? rows - 1 : 0;
	}
	return true;
}

bool zset_cursor_next(struct zset_cursor *c)
{
	for (uint32_t level = 0; level < c->height; level++) {
		if (c->path[level].row + 1 < node_rows(c->path[level].node)) {
			c->path[level].row++;
			return descend(c, level, false);
		}
	}
	if (c->height > 0)
		c->path[0].row = node_rows(c->path[0].node);
	return false;
}

bool zset_cursor_prev(struct zset_cursor *c)
{
	for (uint32_t level = 0; level < c->height; level++) {
		if (c->path[level].row > 0) {
			c->path[level].row--;
			return descend(c, level, true);
		}
	}
	return false;
}

uint32_t zset_cursor_fetch(const struct zset_cursor *c, uint64_t max, bool reverse)
{
	const struct zset_node *leaf = c->path[0].node;
	uint32_t row = c->path[0].row, rows = node_rows(leaf);
	uint32_t left = reverse ? row + 1 : rows - row;
	if (row >= rows)
		return 1; /* a reader in a writer's way */
	uint32_t count = left < max ? left : (uint32_t)max;
	for (uint32_t i = 0; i < count; i++)
		__builtin_prefetch(node_entry(leaf, reverse ? row - i : row + i));
	return count;
}

/* --- the whole --- */

static size_t memory_below(const struct zset_node *node)
{
	size_t size = mem_class(node_size(node->level));
	if (node->level == 0)
		return size;
	if (node->level == 1)
		return size + node_rows(node) * mem_class(node_size(0));
	for (uint32_t i = 0; i < node_rows(node); i++)
		size += memory_below(node_child(node, i));
	return size;
}

size_t zset_tree_memory(const struct zset_tree *t)
{
	const struct zset_node *root = atomic_load_explicit(&t->root, memory_order_acquire);
	return root ? memory_below(root) : 0;
}
