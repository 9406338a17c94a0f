/*
 * Putting elements into a list (list.h), which includes putting one in another's place.
 *
 * An insertion goes down from the root by recursion and corrects the counts on its way back. What
 * it has to put beside the leaf that it changed comes back as `struct fresh`, at most two refs to
 * the right of it; a node that has no room for them splits and hands its own right half on, and
 * above the root a new one takes what is left.
 */
#include "shard/list_tree.h"

#include <assert.h>
#include <string.h>

/* A chunk beside a full one is this part of the list, so that short lists take little memory. */
#define CHUNK_PART 8

/* What stands to the right of the child that an insertion changed. */
struct fresh {
	struct list_ref refs[2];
	uint32_t count;
};

static void fresh_add(struct fresh *fresh, struct list_ref ref)
{
	assert(fresh->count < 2);
	fresh->refs[fresh->count++] = ref;
}

/*
 * How many of `total` children of a node that is to be split stay in it, the new ones being at
 * `at`.
 */
static uint32_t split_at(const struct list_node *node, uint32_t at, uint32_t total)
{
	if (at == node->used)
		return LIST_CHILDREN_MAX;
	if (at == 1)
		return total - LIST_CHILDREN_MAX;
	return total / 2;
}

/* Puts fresh children into the node at self; what it has no room for goes to `beside`. */
static void insert_children(struct list_change *change, struct list_ref *self, uint32_t at,
			    const struct fresh *fresh, struct fresh *beside)
{
	struct list_node *node = self->child;
	uint32_t total = node->used + fresh->count;
	struct list_ref all[LIST_CHILDREN_MAX + 2];

	if (sizeof(*node) + total * sizeof(*all) <= node->bytes) {
		list_node_change(node, at, 0, fresh->refs, fresh->count);
		return;
	}
	memcpy(all, node->refs, at * sizeof(*all));
	memcpy(all + at, fresh->refs, fresh->count * sizeof(*all));
	memcpy(all + at + fresh->count, node->refs + at, (node->used - at) * sizeof(*all));
	uint32_t left = total <= LIST_CHILDREN_MAX ? total : split_at(node, at, total);
	list_node_free(change, node);
	*self = list_node_with(change, all, left);
	if (left < total)
		fresh_add(beside, list_node_with(change, all + left, total - left));
}

/* The size of a new chunk beside a leaf. Next to large elements few others may come. */
static size_t next_chunk_size(const struct list_change *change, const void *leaf)
{
	size_t size = LIST_CHUNK_MIN;
	if (list_leaf_is_alone(leaf))
		return size;
	while (size < LIST_CHUNK && size < change->list->bytes / CHUNK_PART)
		size *= 2;
	return size;
}

/*
 * A new leaf at an end of the leaf at self, which is full, or beside which the element stands
 * alone.
 */
static void insert_at_edge(struct list_change *change, struct list_ref *self, enum list_side side,
			   struct list_element element, struct fresh *beside)
{
	size_t size = next_chunk_size(change, self->child);
	struct list_ref new =
		list_leaf_add(change, list_leaf_new(element, size, side, change->epoch));
	if (side == LIST_FRONT) {
		fresh_add(beside, *self);
		*self = new;
	} else {
		fresh_add(beside, new);
	}
}

/* The same in the middle of a chunk, which is split: the smaller half has room. */
static void insert_splitting(struct list_change *change, struct list_ref *self, uint64_t index,
			     struct list_element element, struct fresh *beside)
{
	list_chunk_change_begin(change, self);
	void *right = list_chunk_split(self->child, index);
	if (list_leaf_wants_alone(element.item)) {
		list_chunk_change_end(change, self);
		fresh_add(beside, list_leaf_add(change, list_leaf_new(element, 0, LIST_BACK,
								      change->epoch)));
	} else {
		bool to_left = list_leaf_bytes(self->child) < list_leaf_bytes(right);
		bool fits = to_left ? list_chunk_insert(&self->child, index, element.item)
				    : list_chunk_insert(&right, 0, element.item);
		assert(fits);
		list_chunk_change_end(change, self);
	}
	fresh_add(beside, list_leaf_add(change, right));
}

static void insert_in_leaf(struct list_change *change, struct list_ref *self, uint64_t index,
			   struct list_element element, struct fresh *beside)
{
	if (!list_leaf_is_alone(self->child) && !list_leaf_wants_alone(element.item)) {
		list_chunk_change_begin(change, self);
		bool done = list_chunk_insert(&self->child, index, element.item);
		list_chunk_change_end(change, self);
		if (done)
			return;
	}
	if (index == 0 || index == self->count)
		insert_at_edge(change, self, index == 0 ? LIST_FRONT : LIST_BACK, element, beside);
	else
		insert_splitting(change, self, index, element, beside);
}

/* Whether the last leaf below has room for the element behind what it has. */
static bool edge_accepts(const struct list_ref *self, uint32_t height, struct listpack_item item)
{
	for (; height > 0; height--) {
		const struct list_node *node = self->child;
		self = &node->refs[node->used - 1];
	}
	return list_leaf_accepts(self->child, LIST_BACK, listpack_item_bytes(item));
}

/*
 * The child in which to insert. Between two, the left one has to have room: else element after
 * element at the same place would each get a leaf.
 */
static uint32_t find_place(const struct list_ref *self, uint32_t height, uint64_t *index,
			   struct listpack_item item)
{
	const struct list_node *node = self->child;
	uint32_t i;

	if (*index == self->count) {
		i = node->used - 1;
		*index = node->refs[i].count;
		return i;
	}
	i = list_node_find(node, self->count, index);
	if (*index == 0 && i > 0 && edge_accepts(&node->refs[i - 1], height - 1, item))
		*index = node->refs[--i].count;
	return i;
}

static void insert_below(struct list_change *change, struct list_ref *self, uint32_t height,
			 uint64_t index, struct list_element element, struct fresh *beside)
{
	if (height == 0) {
		insert_in_leaf(change, self, index, element, beside);
		return;
	}
	struct list_node *node = list_node_open(change, self);
	uint32_t i = find_place(self, height, &index, element.item);
	struct fresh fresh = {.count = 0};
	insert_below(change, &node->refs[i], height - 1, index, element, &fresh);
	self->count++;
	if (fresh.count > 0)
		insert_children(change, self, i + 1, &fresh, beside);
}

/* A node above the root for what came to stand beside it. */
static void grow_root(struct list_change *change, const struct fresh *fresh)
{
	struct list_view *now = &change->now;
	struct list_ref old = now->root;

	assert(now->height < LIST_HEIGHT_MAX);
	now->root = list_node_with(change, &old, 1);
	struct fresh none = {.count = 0};
	insert_children(change, &now->root, 1, fresh, &none);
	now->root.count += list_refs_count(fresh->refs, fresh->count);
	now->height++;
	assert(none.count == 0);
}

void list_insert(struct list *list, uint64_t index, struct list_element element, struct retire *r)
{
	struct list_change change = list_change_begin(list, r);
	struct list_view *now = &change.now;
	struct fresh fresh = {.count = 0};

	assert(index <= now->root.count);
	if (now->root.child)
		insert_below(&change, &now->root, now->height, index, element, &fresh);
	else
		now->root =
			list_leaf_add(&change, list_leaf_new(element, 0, LIST_BACK, change.epoch));
	if (fresh.count > 0)
		grow_root(&change, &fresh);
	list_change_end(&change);
}

/* --- replacing --- */

static void replace_in_leaf(struct list_change *change, struct list_ref *self, uint64_t index,
			    struct list_element element, struct fresh *beside)
{
	if (self->count == 1) {
		struct list_ref new =
			list_leaf_add(change, list_leaf_new(element, 0, LIST_BACK, change->epoch));
		list_leaf_drop(change, self->child);
		*self = new;
		return;
	}
	list_chunk_change_begin(change, self);
	bool done = !list_leaf_wants_alone(element.item) &&
		    list_chunk_replace(&self->child, index, element.item);
	if (!done)
		list_chunk_remove(self->child, index);
	list_chunk_change_end(change, self);
	if (!done)
		insert_in_leaf(change, self, index, element, beside);
}

static void replace_below(struct list_change *change, struct list_ref *self, uint32_t height,
			  uint64_t index, struct list_element element, struct fresh *beside)
{
	if (height == 0) {
		replace_in_leaf(change, self, index, element, beside);
		return;
	}
	struct list_node *node = list_node_open(change, self);
	uint32_t i = list_node_find(node, self->count, &index);
	struct fresh fresh = {.count = 0};
	replace_below(change, &node->refs[i], height - 1, index, element, &fresh);
	if (fresh.count > 0)
		insert_children(change, self, i + 1, &fresh, beside);
}

void list_replace(struct list *list, uint64_t index, struct list_element element, struct retire *r)
{
	struct list_change change = list_change_begin(list, r);
	struct list_view *now = &change.now;
	struct fresh fresh = {.count = 0};

	assert(index < now->root.count);
	replace_below(&change, &now->root, now->height, index, element, &fresh);
	if (fresh.count > 0)
		grow_root(&change, &fresh);
	list_change_end(&change);
}
