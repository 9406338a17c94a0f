/*
 * Changing the B+ tree of a sorted set (zset_tree.h).
 *
 * Every change seeks its place first: the cursor's path is then the list of nodes to correct. An
 * insert that finds its leaf full makes room, which may move anything, and seeks again; so the step
 * that adds a row never has to look up. A removal corrects the path from the leaf to the root in
 * one pass, dropping nodes that became empty and joining neighbours that fit into one.
 */
#include "proto/mem.h"
#include "shard/zset_node.h"

#include <assert.h>

/*
 * A full node shares with a neighbour that has so many free rows: fewer, and one of them stayed
 * full. More would save copying and cost memory: with 3 in place of 2 an element takes 0.2 bytes
 * more.
 */
#define SHARE_MIN 2

/*
 * Neighbours that a removal leaves with no more rows than this become one, which doesn't split
 * soon.
 */
#define JOIN_MAX (ZSET_NODE_ROWS * 3 / 4)

/* Rows are spread over at most this many nodes. */
#define SPREAD_MAX 4

/* --- rows --- */

static struct zset_node *node_new(uint32_t level)
{
	struct zset_node *node = mem_alloc(node_size(level));
	node->level = level;
	atomic_init(&node->rows, 0);
	return node;
}

static void node_set_rows(struct zset_node *node, uint32_t rows)
{
	assert(rows <= ZSET_NODE_ROWS);
	atomic_store_explicit(&node->rows, rows, memory_order_release);
}

static struct zset_row row_read(const struct zset_node *node, uint32_t at)
{
	struct zset_row row = {{0}};
	for (uint32_t column = 0; column < node_columns(node); column++)
		row.words[column] = node_word(node, column, at);
	return row;
}

static void row_write(struct zset_node *node, uint32_t at, const struct zset_row *row)
{
	for (uint32_t column = 0; column < node_columns(node); column++)
		node_set_word(node, column, at, row->words[column]);
}

static void rows_insert(struct zset_node *node, uint32_t at, const struct zset_row *row)
{
	uint32_t rows = node_rows(node);
	assert(at <= rows && rows < ZSET_NODE_ROWS);
	for (uint32_t column = 0; column < node_columns(node); column++)
		for (uint32_t i = rows; i > at; i--)
			node_set_word(node, column, i, node_word(node, column, i - 1));
	row_write(node, at, row);
	node_set_rows(node, rows + 1);
}

static void rows_remove(struct zset_node *node, uint32_t at, uint32_t n)
{
	uint32_t rows = node_rows(node);
	assert(at + n <= rows);
	for (uint32_t column = 0; column < node_columns(node); column++)
		for (uint32_t i = at + n; i < rows; i++)
			node_set_word(node, column, i - n, node_word(node, column, i));
	node_set_rows(node, rows - n);
}

static struct zset_row row_of_entry(const struct entry *e)
{
	double score = zset_entry_score(e);
	struct zset_row row = {.words[COLUMN_ENTRY] = (uintptr_t)e};
	memcpy(&row.words[COLUMN_SCORE], &score, sizeof(score));
	return row;
}

/* What stands of a node in its parent. It has rows. */
static struct zset_row row_of_node(const struct zset_node *node)
{
	struct zset_row row = row_read(node, 0);
	row.words[COLUMN_CHILD] = (uintptr_t)node;
	row.words[COLUMN_ELEMENTS] = node_elements_below(node, node_rows(node));
	return row;
}

/* --- moving rows between nodes --- */

enum lean {
	LEAN_NONE,  /* spread evenly */
	LEAN_FRONT, /* all but one stay in front: the tree grows at its end */
	LEAN_BACK,  /* all but one go behind: it grows at its beginning */
};

/* Rows for node i of n. */
static uint32_t share_of(uint32_t total, uint32_t n, uint32_t i, enum lean lean)
{
	if (lean == LEAN_NONE)
		return total / n + (i < total % n);
	return (lean == LEAN_FRONT) == (i == 0) ? total - 1 : 1;
}

static uint32_t gather(const struct zset_node *parent, uint32_t first, uint32_t n,
		       struct zset_row *rows, struct zset_node **nodes)
{
	uint32_t total = 0;
	for (uint32_t i = 0; i < n; i++) {
		nodes[i] = node_child(parent, first + i);
		for (uint32_t at = 0; at < node_rows(nodes[i]); at++)
			rows[total++] = row_read(nodes[i], at);
	}
	return total;
}

/*
 * The rows of `before` children of a parent, from the row `first` on, are spread over `after` ones:
 * as many, or one more (the parent has room), or one less, which is retired.
 */
static void spread(struct zset_node *parent, uint32_t first, uint32_t before, uint32_t after,
		   enum lean lean, struct retire *r)
{
	struct zset_node *nodes[SPREAD_MAX];
	struct zset_row rows[SPREAD_MAX * ZSET_NODE_ROWS];
	assert(before <= SPREAD_MAX && after <= SPREAD_MAX && after > 0);
	uint32_t level = parent->level - 1;
	uint32_t total = gather(parent, first, before, rows, nodes);
	if (after > before)
		nodes[before] = node_new(level);
	struct zset_row *next = rows;
	for (uint32_t i = 0; i < after; i++) {
		uint32_t share = share_of(total, after, i, lean);
		for (uint32_t at = 0; at < share; at++)
			row_write(nodes[i], at, next++);
		node_set_rows(nodes[i], share);
		struct zset_row row = row_of_node(nodes[i]);
		if (i < before)
			row_write(parent, first + i, &row);
		else
			rows_insert(parent, first + i, &row);
	}
	if (after < before) {
		rows_remove(parent, first + after, 1);
		retire_memory_unseen(r, nodes[after], node_size(level));
	}
}

/* --- inserting --- */

static void root_set(struct zset_tree *t, struct zset_node *root)
{
	atomic_store_explicit(&t->root, root, memory_order_release);
}

static void count_set(struct zset_tree *t, uint64_t count)
{
	atomic_store_explicit(&t->count, count, memory_order_relaxed);
}

/* A new root above the old one. */
static void grow_root(struct zset_tree *t, struct zset_cursor *c)
{
	struct zset_node *old = c->path[c->height - 1].node;
	struct zset_node *root = node_new(c->height);
	struct zset_row row = row_of_node(old);
	assert(c->height < ZSET_HEIGHT_MAX);
	rows_insert(root, 0, &row);
	root_set(t, root);
	c->path[c->height].node = root;
	c->path[c->height].row = 0;
	c->height++;
}

/*
 * Where an insert at the cursor lies: at an end of the whole tree, which will go on growing there?
 */
static enum lean cursor_lean(const struct zset_cursor *c)
{
	bool front = true, back = true;
	for (uint32_t level = 0; level < c->height; level++) {
		back &= c->path[level].row == 0;
		front &= c->path[level].row + (level > 0) == node_rows(c->path[level].node);
	}
	return front ? LEAN_FRONT : back ? LEAN_BACK : LEAN_NONE;
}

/* The child at a row and its neighbours are full: of two or three nodes one more is made. */
static void split(struct zset_node *parent, uint32_t row, struct retire *r)
{
	uint32_t first = row > 0 ? row - 1 : row;
	uint32_t left = node_rows(parent) - first;
	uint32_t nodes = left < SPREAD_MAX ? left : SPREAD_MAX - 1;

	spread(parent, first, nodes, nodes + 1, LEAN_NONE, r);
}

/* Makes room in the full node of a level, or above it first; either way the caller seeks again. */
static void make_room(struct zset_tree *t, struct zset_cursor *c, uint32_t level, enum lean lean,
		      struct retire *r)
{
	if (level + 1 == c->height)
		grow_root(t, c);
	struct zset_node *parent = c->path[level + 1].node;
	uint32_t row = c->path[level + 1].row, rows = node_rows(parent);
	uint32_t left = row > 0 ? node_rows(node_child(parent, row - 1)) : ZSET_NODE_ROWS;
	uint32_t right = row + 1 < rows ? node_rows(node_child(parent, row + 1)) : ZSET_NODE_ROWS;
	uint32_t least = left < right ? left : right;
	if (lean == LEAN_NONE && least + SHARE_MIN <= ZSET_NODE_ROWS)
		spread(parent, left <= right ? row - 1 : row, 2, 2, LEAN_NONE, r);
	else if (rows == ZSET_NODE_ROWS)
		make_room(t, c, level + 1, lean, r);
	else if (lean != LEAN_NONE || rows == 1)
		spread(parent, row, 1, 2, lean, r);
	else
		split(parent, row, r);
}

/* The first element of the leaf is another: so it is of all nodes that begin with it. */
static void refresh_firsts(struct zset_cursor *c)
{
	for (uint32_t level = 1; level < c->height && c->path[level - 1].row == 0; level++) {
		const struct zset_node *child = c->path[level - 1].node;
		for (uint32_t column = 0; column < LEAF_COLUMNS; column++)
			node_set_word(c->path[level].node, column, c->path[level].row,
				      node_word(child, column, 0));
	}
}

static void elements_add(struct zset_node *node, uint32_t row, uint64_t n)
{
	node_set_word(node, COLUMN_ELEMENTS, row, node_elements(node, row) + n);
}

static struct zset_cut cut_before(const struct entry *e)
{
	return (struct zset_cut){.kind = CUT_ELEMENT,
				 .score = zset_entry_score(e),
				 .member = entry_key(e)};
}

void zset_tree_insert(struct zset_tree *t, struct entry *e, struct retire *r)
{
	struct zset_cursor c;
	struct zset_cut cut = cut_before(e);
	assert(cut.score == cut.score);
	if (!atomic_load_explicit(&t->root, memory_order_relaxed))
		root_set(t, node_new(0));
	for (;;) {
		zset_seek_path(t, &cut, &c);
		if (node_rows(c.path[0].node) < ZSET_NODE_ROWS)
			break;
		make_room(t, &c, 0, cursor_lean(&c), r);
	}
	struct zset_row row = row_of_entry(e);
	rows_insert(c.path[0].node, c.path[0].row, &row);
	for (uint32_t level = 1; level < c.height; level++)
		elements_add(c.path[level].node, c.path[level].row, 1);
	refresh_firsts(&c);
	count_set(t, zset_tree_count(t) + 1);
}

/* --- removing --- */

/* Joins the child at a row with the one behind it when they fit into one. */
static bool join(struct zset_node *parent, uint32_t row, struct retire *r)
{
	if (row + 1 >= node_rows(parent))
		return false;
	const struct zset_node *child = node_child(parent, row);
	uint32_t total = child->level == 0
				 ? node_elements(parent, row) + node_elements(parent, row + 1)
				 : node_rows(child) + node_rows(node_child(parent, row + 1));
	if (total > JOIN_MAX)
		return false;
	spread(parent, row, 2, 1, LEAN_NONE, r);
	return true;
}

/*
 * One level of the path after `n` elements have gone below it: corrects the parent's row, or drops
 * it with its empty node; joins what has become small. `structure`: the child itself has lost rows.
 * True when the parent has.
 */
static bool tidy(struct zset_cursor *c, uint32_t level, uint64_t n, bool structure,
		 struct retire *r)
{
	struct zset_node *node = c->path[level].node, *parent = c->path[level + 1].node;
	uint32_t row = c->path[level + 1].row;
	if (node_rows(node) == 0) {
		rows_remove(parent, row, 1);
		retire_memory_unseen(r, node, node_size(level));
		if (row > 0)
			join(parent, row - 1, r);
		return true;
	}
	for (uint32_t column = 0; column < LEAF_COLUMNS; column++)
		node_set_word(parent, column, row, node_word(node, column, 0));
	elements_add(parent, row, -n);
	if (!structure || node_rows(node) >= JOIN_MAX)
		return false;
	bool joined = join(parent, row, r);
	if (row > 0)
		joined |= join(parent, row - 1, r);
	return joined;
}

/* A root with a single child gives way to it, an empty leaf to nothing. */
static void shrink_root(struct zset_tree *t, struct retire *r)
{
	for (;;) {
		struct zset_node *root = atomic_load_explicit(&t->root, memory_order_relaxed);
		uint32_t rows = node_rows(root);
		if (rows > 1 || (rows == 1 && root->level == 0))
			return;
		root_set(t, rows == 1 ? node_child(root, 0) : NULL);
		retire_memory_unseen(r, root, node_size(root->level));
		if (rows == 0)
			return;
	}
}

/* Takes `n` rows from the cursor on out of its leaf. */
static void remove_rows(struct zset_tree *t, struct zset_cursor *c, uint32_t n, struct retire *r)
{
	bool structure = true;
	rows_remove(c->path[0].node, c->path[0].row, n);
	for (uint32_t level = 0; level + 1 < c->height; level++)
		structure = tidy(c, level, n, structure, r);
	shrink_root(t, r);
	count_set(t, zset_tree_count(t) - n);
}

static void seek_entry(const struct zset_tree *t, const struct entry *e, struct zset_cursor *c)
{
	struct zset_cut cut = cut_before(e);
	bool found = zset_tree_seek(t, &cut, c);
	assert(found && zset_cursor_entry(c) == e);
}

void zset_tree_remove(struct zset_tree *t, const struct entry *e, struct retire *r)
{
	struct zset_cursor c;
	seek_entry(t, e, &c);
	remove_rows(t, &c, 1, r);
}

uint32_t zset_tree_remove_run(struct zset_tree *t, uint64_t rank, uint64_t max, struct retire *r,
			      void (*visit)(void *arg, struct entry *e), void *arg)
{
	struct zset_cursor c;
	if (max == 0 || !zset_tree_seek_rank(t, rank, &c))
		return 0;
	uint64_t n = node_rows(c.path[0].node) - c.path[0].row;
	if (n > max)
		n = max;
	zset_cursor_fetch(&c, n, false);
	for (uint32_t i = 0; i < n; i++)
		visit(arg, node_entry(c.path[0].node, c.path[0].row + i));
	remove_rows(t, &c, n, r);
	return n;
}

/* True when `e` may stand at the cursor, as far as its leaf tells. */
static bool fits(const struct zset_cursor *c, const struct entry *old, const struct entry *e)
{
	const struct zset_node *leaf = c->path[0].node;
	uint32_t row = c->path[0].row;
	struct zset_cut cut = cut_before(e);
	if (zset_entry_score(e) == zset_entry_score(old))
		return true;
	if (zset_entry_score(e) < zset_entry_score(old))
		return row > 0 && node_row_passes(leaf, row - 1, &cut);
	return row + 1 < node_rows(leaf) && !node_row_passes(leaf, row + 1, &cut);
}

void zset_tree_replace(struct zset_tree *t, const struct entry *old, struct entry *e,
		       struct retire *r)
{
	struct zset_cursor c;
	seek_entry(t, old, &c);
	if (fits(&c, old, e)) {
		struct zset_row row = row_of_entry(e);
		row_write(c.path[0].node, c.path[0].row, &row);
		refresh_firsts(&c);
		return;
	}
	remove_rows(t, &c, 1, r);
	zset_tree_insert(t, e, r);
}

/* --- freeing --- */

bool zset_tree_free_slice(struct zset_tree *t, size_t *budget)
{
	struct zset_node *root;
	while ((root = atomic_load_explicit(&t->root, memory_order_relaxed)) && *budget > 0) {
		struct zset_node *parent = NULL, *node = root;
		while (node->level && node_rows(node) > 0) {
			parent = node;
			node = node_child(node, node_rows(node) - 1);
		}
		mem_free(node, node_size(node->level));
		--*budget;
		if (parent)
			node_set_rows(parent, node_rows(parent) - 1);
		else
			root_set(t, NULL);
	}
	return !root;
}
