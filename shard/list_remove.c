/*
 * Taking elements out of a list (list.h): one at an end, many at an end, equal ones.
 *
 * Each goes down from the root by recursion and corrects the counts on its way back. Whatever loses
 * its last element is taken out by its parent; a root with one child gives way to it.
 */
#include "shard/list_tree.h"

#include "proto/mem.h"
#include "shard/turn.h"

#include <assert.h>
#include <string.h>

/* A root with one child is none. */
static void shrink_root(struct list_change *change)
{
	struct list_view *now = &change->now;

	while (now->height > 0) {
		struct list_node *node = now->root.child;
		if (node->used > 1)
			return;
		now->root = node->refs[0];
		now->height--;
		list_node_free(change, node);
	}
}

/* Frees what is at self, which has no elements any more. */
static void free_emptied(struct list_change *change, struct list_ref *self, uint32_t height)
{
	if (height == 0)
		list_leaf_drop(change, self->child);
	else
		list_node_free(change, self->child);
}

static uint32_t edge_child(const struct list_node *node, enum list_side side, uint32_t nth)
{
	return side == LIST_FRONT ? nth : node->used - 1 - nth;
}

static void pop_below(struct list_change *change, struct list_ref *self, uint32_t height,
		      enum list_side side)
{
	if (height > 0) {
		struct list_node *node = list_node_open(change, self);
		uint32_t i = edge_child(node, side, 0);
		pop_below(change, &node->refs[i], height - 1, side);
		self->count--;
		if (node->refs[i].count == 0) {
			free_emptied(change, &node->refs[i], height - 1);
			list_node_change(node, i, 1, NULL, 0);
		}
	} else if (self->count > 1) {
		list_chunk_change_begin(change, self);
		list_chunk_drop(self->child, side, 1);
		list_chunk_change_end(change, self);
	} else {
		self->count = 0;
	}
}

/* After elements were taken away. */
static void settle_root(struct list_change *change)
{
	struct list_view *now = &change->now;

	if (now->root.count > 0) {
		shrink_root(change);
		return;
	}
	free_emptied(change, &now->root, now->height);
	now->root.child = NULL;
	now->height = 0;
}

void list_pop(struct list *list, enum list_side side, struct retire *r)
{
	struct list_change change = list_change_begin(list, r);

	assert(change.now.root.count > 0);
	pop_below(&change, &change.now.root, change.now.height, side);
	settle_root(&change);
	list_change_end(&change);
}

/*
 * The first or last `count` elements, not all, go: leaves and nodes as a whole to a tree of the
 * same height, which is returned.
 */
static struct list_ref cut_below(struct list_change *change, struct list_ref *self, uint32_t height,
				 enum list_side side, uint64_t count)
{
	struct list_ref cut[LIST_CHILDREN_MAX + 1];
	struct list_ref part = {NULL, 0};
	uint32_t whole = 0;

	assert(count < self->count);
	if (height == 0) {
		list_chunk_change_begin(change, self);
		list_chunk_drop(self->child, side, count);
		list_chunk_change_end(change, self);
		return part;
	}
	struct list_node *node = list_node_open(change, self);
	self->count -= count;
	for (;; whole++) {
		struct list_ref *child = &node->refs[edge_child(node, side, whole)];
		if (child->count > count) {
			if (count > 0)
				part = cut_below(change, child, height - 1, side, count);
			break;
		}
		count -= child->count;
	}
	uint32_t first = side == LIST_FRONT ? 0 : node->used - whole;
	uint32_t parts = part.child != NULL;
	if (whole + parts == 0)
		return part;
	memcpy(cut + (side == LIST_BACK ? parts : 0), node->refs + first, whole * sizeof(*cut));
	if (parts)
		cut[side == LIST_BACK ? 0 : whole] = part;
	list_node_change(node, first, whole, NULL, 0);
	return list_node_with(change, cut, whole + parts);
}

/* Adds up what is below. */
static void measure(const struct list_ref *self, uint32_t height, struct list *sums)
{
	if (height == 0) {
		sums->memory += list_leaf_memory(self->child);
		sums->bytes += list_leaf_bytes(self->child);
		return;
	}
	const struct list_node *node = self->child;
	sums->memory += node->bytes;
	for (uint32_t i = 0; i < node->used; i++)
		measure(&node->refs[i], height - 1, sums);
}

/*
 * Takes the first or last `count` elements out of the tree: all, or what goes of them as a whole.
 */
static struct list_view cut_off(struct list_change *change, enum list_side side, uint64_t count)
{
	struct list_view cut = change->now;

	if (count == cut.root.count)
		change->now = (struct list_view){.height = 0};
	else
		cut.root = cut_below(change, &change->now.root, change->now.height, side, count);
	return cut;
}

/* The sums of what was one list are shared out: the smaller part is looked through. */
static void share_sums(const struct list_change *change, const struct list_change *cut)
{
	bool cut_is_less = cut->now.root.count < change->now.root.count;
	const struct list_change *less = cut_is_less ? cut : change;
	const struct list_change *more = cut_is_less ? change : cut;
	struct list sums = {.bytes = 0};

	if (less->now.root.child)
		measure(&less->now.root, less->now.height, &sums);
	more->list->bytes = change->list->bytes - sums.bytes;
	more->list->memory = change->list->memory - sums.memory;
	less->list->bytes = sums.bytes;
	less->list->memory = sums.memory;
}

struct list *list_cut(struct list *list, enum list_side side, uint64_t count, struct retire *r)
{
	assert(count <= list_count(list));
	if (count == 0)
		return NULL;
	struct list_change change = list_change_begin(list, r);
	struct list_change cut = change;
	cut.now = cut_off(&change, side, count);
	cut.list = cut.now.root.child ? list_new() : NULL;
	if (cut.list) {
		share_sums(&change, &cut);
		shrink_root(&cut);
		shrink_root(&change);
		list_change_end(&cut);
	}
	list_change_end(&change);
	return cut.list;
}

/* Makes one leaf of child `left` and the next, if they are small chunks. */
static void merge_children(struct list_change *change, struct list_node *node, uint32_t left)
{
	struct list_ref *ref = &node->refs[left];
	if (!list_leaf_merges(ref[0].child, ref[1].child))
		return;
	list_chunk_change_begin(change, ref);
	list_chunk_merge(&ref->child, ref[1].child);
	list_chunk_change_end(change, ref);
	list_leaf_drop(change, ref[1].child);
	list_node_change(node, left + 1, 1, NULL, 0);
}

static uint64_t remove_equal_in_leaf(struct list_change *change, struct list_ref *self,
				     enum list_side side, struct listpack_item item, uint64_t max)
{
	if (list_leaf_is_alone(self->child)) {
		bool equal = listpack_item_equal(list_leaf_get(self->child, 0).item, item);
		self->count -= equal;
		return equal;
	}
	if (!list_chunk_has(self->child, item))
		return 0;
	list_chunk_change_begin(change, self);
	uint64_t removed = list_chunk_remove_equal(self->child, side, item, max);
	list_chunk_change_end(change, self);
	return removed;
}

/* After elements of child i were removed: it is freed, or made one with a neighbour. */
static void settle_child(struct list_change *change, struct list_node *node, uint32_t i,
			 uint32_t height)
{
	if (node->refs[i].count == 0) {
		free_emptied(change, &node->refs[i], height);
		list_node_change(node, i, 1, NULL, 0);
	} else if (height == 0) {
		if (i + 1 < node->used)
			merge_children(change, node, i);
		if (i > 0)
			merge_children(change, node, i - 1);
	}
}

static uint64_t remove_equal_below(struct list_change *change, struct list_ref *self,
				   uint32_t height, enum list_side side, struct listpack_item item,
				   uint64_t max, struct shard *shard)
{
	if (height == 0) {
		turn_step(shard);
		return remove_equal_in_leaf(change, self, side, item, max);
	}
	struct list_node *node = list_node_open(change, self);
	uint64_t removed = 0;
	uint32_t behind = 0; /* children done that are still there */
	while (removed < max && behind < node->used) {
		uint32_t used = node->used;
		uint32_t i = edge_child(node, side, behind);
		uint64_t n = remove_equal_below(change, &node->refs[i], height - 1, side, item,
						max - removed, shard);
		removed += n;
		if (n > 0)
			settle_child(change, node, i, height - 1);
		behind += 1;
		behind -= used - node->used;
	}
	self->count -= removed;
	return removed;
}

uint64_t list_remove_equal(struct list *list, enum list_side side, struct listpack_item item,
			   uint64_t max, struct retire *r, struct shard *shard)
{
	struct list_change change = list_change_begin(list, r);
	struct list_view *now = &change.now;

	if (!now->root.child)
		return 0;
	uint64_t removed =
		remove_equal_below(&change, &now->root, now->height, side, item, max, shard);
	settle_root(&change);
	list_change_end(&change);
	return removed;
}
