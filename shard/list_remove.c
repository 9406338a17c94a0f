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
static void shrink_root(struct list *list)
{
	while (list->height > 0) {
		struct list_node *node = list->root.child;
		if (node->used > 1)
			return;
		list->root = node->refs[0];
		list->height--;
		list_node_free(list, node);
	}
}

/* Frees what is at self, which has no elements any more. */
static void free_emptied(struct list *list, struct list_ref *self, uint32_t height)
{
	if (height == 0)
		list_leaf_drop(list, self->child);
	else
		list_node_free(list, self->child);
}

static uint32_t edge_child(const struct list_node *node, enum list_side side, uint32_t nth)
{
	return side == LIST_FRONT ? nth : node->used - 1 - nth;
}

static void pop_below(struct list *list, struct list_ref *self, uint32_t height,
		      enum list_side side)
{
	if (height > 0) {
		struct list_node *node = self->child;
		uint32_t i = edge_child(node, side, 0);
		pop_below(list, &node->refs[i], height - 1, side);
		self->count--;
		if (node->refs[i].count == 0) {
			free_emptied(list, &node->refs[i], height - 1);
			list_node_change(node, i, 1, NULL, 0);
		}
	} else if (self->count > 1) {
		list_leaf_change_begin(list, self);
		list_chunk_drop(self->child, side, 1);
		list_leaf_change_end(list, self);
	} else {
		self->count = 0;
	}
}

/* After elements were taken away. */
static void settle_root(struct list *list)
{
	if (list->root.count > 0) {
		shrink_root(list);
		return;
	}
	if (list->root.child)
		free_emptied(list, &list->root, list->height);
	list->root.child = NULL;
	list->height = 0;
}

void list_pop(struct list *list, enum list_side side)
{
	assert(list->root.count > 0);
	pop_below(list, &list->root, list->height, side);
	settle_root(list);
}

/*
 * The first or last `count` elements, not all, go: leaves and nodes as a whole to a tree of the
 * same height, which is returned.
 */
static struct list_ref cut_below(struct list *list, struct list_ref *self, uint32_t height,
				 enum list_side side, uint64_t count)
{
	struct list_ref cut[LIST_CHILDREN_MAX + 1];
	struct list_ref part = {NULL, 0};
	uint32_t whole = 0;

	assert(count < self->count);
	if (height == 0) {
		list_leaf_change_begin(list, self);
		list_chunk_drop(self->child, side, count);
		list_leaf_change_end(list, self);
		return part;
	}
	struct list_node *node = self->child;
	self->count -= count;
	for (;; whole++) {
		struct list_ref *child = &node->refs[edge_child(node, side, whole)];
		if (child->count > count) {
			if (count > 0)
				part = cut_below(list, child, height - 1, side, count);
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
	return list_node_with(list, cut, whole + parts);
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

/* The sums of what was one list are shared out: the smaller part is looked through. */
static void share_sums(struct list *list, struct list *cut)
{
	bool cut_is_less = cut->root.count < list->root.count;
	struct list *less = cut_is_less ? cut : list;
	struct list *more = cut_is_less ? list : cut;
	struct list sums = {.height = 0};

	measure(&less->root, less->height, &sums);
	more->memory = list->memory - sums.memory;
	more->bytes = list->bytes - sums.bytes;
	less->memory = sums.memory;
	less->bytes = sums.bytes;
}

struct list *list_cut(struct list *list, enum list_side side, uint64_t count)
{
	assert(count <= list->root.count);
	if (count == 0)
		return NULL;
	struct list cut = *list;
	if (count < list->root.count) {
		cut.root = cut_below(list, &list->root, list->height, side, count);
		if (!cut.root.child)
			return NULL;
		share_sums(list, &cut);
		shrink_root(&cut);
		shrink_root(list);
	} else {
		*list = (struct list){.height = 0};
	}
	struct list *result = list_new();
	*result = cut;
	return result;
}

/* Makes one leaf of child `left` and the next, if they are small chunks. */
static bool merge_children(struct list *list, struct list_node *node, uint32_t left)
{
	struct list_ref *ref = &node->refs[left];
	if (list_leaf_is_alone(ref[0].child) || list_leaf_is_alone(ref[1].child))
		return false;
	list_leaf_change_begin(list, ref);
	bool merged = list_chunk_merge(&ref->child, ref[1].child);
	list_leaf_change_end(list, ref);
	if (!merged)
		return false;
	list_leaf_drop(list, ref[1].child);
	list_node_change(node, left + 1, 1, NULL, 0);
	return true;
}

static uint64_t remove_equal_in_leaf(struct list *list, struct list_ref *self, enum list_side side,
				     struct listpack_item item, uint64_t max)
{
	if (list_leaf_is_alone(self->child)) {
		bool equal = listpack_item_equal(list_leaf_get(self->child, 0).item, item);
		self->count -= equal;
		return equal;
	}
	list_leaf_change_begin(list, self);
	uint64_t removed = list_chunk_remove_equal(self->child, side, item, max);
	list_leaf_change_end(list, self);
	return removed;
}

/* After elements of child i were removed: it is freed, or made one with a neighbour. */
static void settle_child(struct list *list, struct list_node *node, uint32_t i, uint32_t height)
{
	if (node->refs[i].count == 0) {
		free_emptied(list, &node->refs[i], height);
		list_node_change(node, i, 1, NULL, 0);
	} else if (height == 0) {
		if (i + 1 < node->used)
			merge_children(list, node, i);
		if (i > 0)
			merge_children(list, node, i - 1);
	}
}

static uint64_t remove_equal_below(struct list *list, struct list_ref *self, uint32_t height,
				   enum list_side side, struct listpack_item item, uint64_t max,
				   struct shard *shard)
{
	if (height == 0) {
		turn_step(shard);
		return remove_equal_in_leaf(list, self, side, item, max);
	}
	struct list_node *node = self->child;
	uint64_t removed = 0;
	uint32_t behind = 0; /* children done that are still there */
	while (removed < max && behind < node->used) {
		uint32_t used = node->used;
		uint32_t i = edge_child(node, side, behind);
		uint64_t n = remove_equal_below(list, &node->refs[i], height - 1, side, item,
						max - removed, shard);
		removed += n;
		if (n > 0)
			settle_child(list, node, i, height - 1);
		behind += 1;
		behind -= used - node->used;
	}
	self->count -= removed;
	return removed;
}

uint64_t list_remove_equal(struct list *list, enum list_side side, struct listpack_item item,
			   uint64_t max, struct shard *shard)
{
	if (!list->root.child)
		return 0;
	uint64_t removed =
		remove_equal_below(list, &list->root, list->height, side, item, max, shard);
	settle_root(list);
	return removed;
}
