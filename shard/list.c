/*
 * The tree above the leaves of a list (list.h).
 *
 * Changes go down from the root by recursion, which corrects the counts on its way back. What an
 * insertion has to put beside the leaf that it changed comes back as `struct fresh`, at most two
 * refs to the right of it; a node that has no room for them splits and hands its own right half on, and
 * at the top a new root takes what is left. What loses its last element is taken out by its parent.
 */
#include "shard/list.h"

#include "proto/mem.h"
#include "shard/list_leaf.h"

#include <assert.h>
#include <string.h>

/* Nodes have room for as many children as fit sizes of powers of two, from this one ... */
#define NODE_BYTES_MIN 128
/* ... to this: half of it is moved when a child comes or goes, and half added up to find one. */
#define NODE_BYTES_MAX 2048
#define CHILDREN_MAX   ((NODE_BYTES_MAX - sizeof(struct list_node)) / sizeof(struct list_ref))

/* A list's next chunk at an end is this part of it, so that short lists take little memory. */
#define CHUNK_PART 8

struct list_node {
	uint64_t mark;  /* epoch of the last change */
	uint32_t bytes; /* allocated */
	uint32_t used;
	struct list_ref refs[];
};

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

/* --- memory --- */

static struct list_node *node_new(struct list *list, uint32_t children)
{
	size_t bytes = NODE_BYTES_MIN;
	while (bytes < sizeof(struct list_node) + children * sizeof(struct list_ref))
		bytes *= 2;
	assert(bytes <= NODE_BYTES_MAX);
	struct list_node *node = mem_alloc(bytes);
	*node = (struct list_node){.bytes = bytes};
	list->memory += bytes;
	return node;
}

static void node_free(struct list *list, struct list_node *node)
{
	list->memory -= node->bytes;
	mem_free(node, node->bytes);
}

static struct list_ref add_leaf(struct list *list, void *leaf)
{
	list->memory += leaf_memory(leaf);
	list->bytes += leaf_bytes(leaf);
	return (struct list_ref){leaf, leaf_count(leaf)};
}

static void drop_leaf(struct list *list, void *leaf)
{
	list->memory -= leaf_memory(leaf);
	list->bytes -= leaf_bytes(leaf);
	leaf_free(leaf);
}

/* Around a change of a leaf: takes it out of the sums, and adds it again as it is then. */
static void leaf_change_begin(struct list *list, const struct list_ref *self)
{
	list->memory -= leaf_memory(self->child);
	list->bytes -= leaf_bytes(self->child);
}

static void leaf_change_end(struct list *list, struct list_ref *self)
{
	*self = add_leaf(list, self->child);
}

struct list *list_new(void)
{
	return mem_zalloc(sizeof(struct list));
}

/* Frees from the back, up to *budget leaves; true when all of it is gone. */
static bool free_below(struct list *list, struct list_ref *self, uint32_t height, size_t *budget)
{
	if (*budget == 0)
		return false;
	if (height == 0) {
		drop_leaf(list, self->child);
		--*budget;
		return true;
	}
	struct list_node *node = self->child;
	while (node->used > 0) {
		if (!free_below(list, &node->refs[node->used - 1], height - 1, budget))
			return false;
		node->used--;
	}
	node_free(list, node);
	return true;
}

bool list_free_slice(struct list *list, size_t *budget)
{
	if (list->root.child) {
		if (!free_below(list, &list->root, list->height, budget))
			return false;
		list->root = (struct list_ref){NULL, 0};
	}
	assert(list->memory == 0 && list->bytes == 0);
	mem_free(list, sizeof(*list));
	return true;
}

void list_free(struct list *list)
{
	size_t budget = SIZE_MAX;
	if (list)
		list_free_slice(list, &budget);
}

static struct list_ref copy_below(struct list *copy, const struct list_ref *self, uint32_t height)
{
	if (height == 0)
		return add_leaf(copy, leaf_copy(self->child));
	const struct list_node *node = self->child;
	struct list_node *new = node_new(copy, node->used);
	for (; new->used < node->used; new->used++)
		new->refs[new->used] = copy_below(copy, &node->refs[new->used], height - 1);
	return (struct list_ref){new, self->count};
}

struct list *list_copy(const struct list *list)
{
	struct list *copy = list_new();
	copy->height = list->height;
	if (list->root.child)
		copy->root = copy_below(copy, &list->root, list->height);
	return copy;
}

size_t list_memory(const struct list *list)
{
	return mem_class(sizeof(*list)) + list->memory;
}

/* --- finding --- */

/* The child that the index, in a node of `count` elements, is in; *index becomes that within the child. */
static uint32_t node_find(const struct list_node *node, uint64_t count, uint64_t *index)
{
	uint32_t i;
	if (*index < count / 2) {
		for (i = 0; *index >= node->refs[i].count; i++)
			*index -= node->refs[i].count;
		return i;
	}
	uint64_t behind = count - *index; /* elements from the one meant on: 1 at least */
	for (i = node->used - 1; behind > node->refs[i].count; i--)
		behind -= node->refs[i].count;
	*index = node->refs[i].count - behind;
	return i;
}

/* The leaf in which the index is; *index becomes that within the leaf. */
static const struct list_ref *find_leaf(const struct list *list, uint64_t *index)
{
	const struct list_ref *self = &list->root;
	assert(*index < self->count);
	for (uint32_t height = list->height; height > 0; height--) {
		const struct list_node *node = self->child;
		self = &node->refs[node_find(node, self->count, index)];
	}
	return self;
}

static size_t leaf_seek(const void *leaf, uint64_t index)
{
	return leaf_is_alone(leaf) ? 0 : listpack_seek(leaf_listpack(leaf), (int64_t)index);
}

struct list_element list_get(const struct list *list, uint64_t index)
{
	const struct list_ref *self = find_leaf(list, &index);
	return leaf_get(self->child, leaf_seek(self->child, index));
}

/* --- iterating --- */

void list_iter_init(struct list_iter *iter, const struct list *list, uint64_t index,
		    enum list_side towards)
{
	*iter = (struct list_iter){.list = list, .towards = towards, .index = index};
}

static void iter_enter_leaf(struct list_iter *iter)
{
	uint64_t index = iter->index;
	const struct list_ref *self = find_leaf(iter->list, &index);
	iter->leaf = self->child;
	iter->at = leaf_seek(self->child, index);
	iter->left = iter->towards == LIST_BACK ? self->count - index : index + 1;
}

bool list_iter_next(struct list_iter *iter, struct list_element *element)
{
	if (iter->index >= list_count(iter->list))
		return false;
	if (iter->left == 0)
		iter_enter_leaf(iter);
	*element = leaf_get(iter->leaf, iter->at);
	bool back = iter->towards == LIST_BACK;
	iter->index += back ? 1 : -1;
	if (--iter->left > 0) {
		const char *lp = leaf_listpack(iter->leaf);
		iter->at = back ? listpack_next(lp, iter->at) : listpack_prev(lp, iter->at);
	}
	return true;
}

/* --- inserting --- */

static void node_change_children(struct list_node *node, uint32_t at, uint32_t gone,
				 const struct list_ref *refs, uint32_t come)
{
	memmove(&node->refs[at + come], &node->refs[at + gone],
		(node->used - at - gone) * sizeof(*refs));
	if (come > 0)
		memcpy(&node->refs[at], refs, come * sizeof(*refs));
	node->used = node->used - gone + come;
}

static uint64_t refs_count(const struct list_ref *refs, uint32_t n)
{
	uint64_t count = 0;
	for (uint32_t i = 0; i < n; i++)
		count += refs[i].count;
	return count;
}

/* A node with these children. */
static struct list_ref node_with(struct list *list, const struct list_ref *refs, uint32_t n)
{
	struct list_node *node = node_new(list, n);
	node_change_children(node, 0, 0, refs, n);
	return (struct list_ref){node, refs_count(refs, n)};
}

/* How many of `total` children of a node that is to be split stay in it, the new ones being at `at`. */
static uint32_t split_at(const struct list_node *node, uint32_t at, uint32_t total)
{
	if (at == node->used)
		return CHILDREN_MAX;
	if (at == 1)
		return total - CHILDREN_MAX;
	return total / 2;
}

/* Puts fresh children into the node at self; what it has no room for goes to `beside`. */
static void insert_children(struct list *list, struct list_ref *self, uint32_t at,
			    const struct fresh *fresh, struct fresh *beside)
{
	struct list_node *node = self->child;
	uint32_t total = node->used + fresh->count;
	struct list_ref all[CHILDREN_MAX + 2];

	if (sizeof(*node) + total * sizeof(*all) <= node->bytes) {
		node_change_children(node, at, 0, fresh->refs, fresh->count);
		return;
	}
	memcpy(all, node->refs, at * sizeof(*all));
	memcpy(all + at, fresh->refs, fresh->count * sizeof(*all));
	memcpy(all + at + fresh->count, node->refs + at, (node->used - at) * sizeof(*all));
	uint32_t left = total <= CHILDREN_MAX ? total : split_at(node, at, total);
	node_free(list, node);
	*self = node_with(list, all, left);
	if (left < total)
		fresh_add(beside, node_with(list, all + left, total - left));
}

/* The size of a new chunk at an end of the list. */
static size_t edge_chunk_size(const struct list *list)
{
	size_t size = LIST_CHUNK_MIN;
	while (size < LIST_CHUNK && size < list->bytes / CHUNK_PART)
		size *= 2;
	return size;
}

/* A new leaf at an end of the leaf at self, which is full, or beside which the element stands alone. */
static void insert_at_edge(struct list *list, struct list_ref *self, enum list_side side,
			   struct list_element element, struct fresh *beside)
{
	struct list_ref new = add_leaf(list, leaf_new(element, edge_chunk_size(list), side));
	if (side == LIST_FRONT) {
		fresh_add(beside, *self);
		*self = new;
	} else {
		fresh_add(beside, new);
	}
}

/* The same in the middle of a chunk, which is split: the smaller half has room. */
static void insert_splitting(struct list *list, struct list_ref *self, uint64_t index,
			     struct list_element element, struct fresh *beside)
{
	leaf_change_begin(list, self);
	void *right = chunk_split(self->child, index);
	if (leaf_wants_alone(element.item)) {
		leaf_change_end(list, self);
		fresh_add(beside, add_leaf(list, leaf_new(element, 0, LIST_BACK)));
	} else {
		bool to_left = leaf_bytes(self->child) < leaf_bytes(right);
		bool fits = to_left ? chunk_insert(&self->child, index, element.item)
				    : chunk_insert(&right, 0, element.item);
		assert(fits);
		leaf_change_end(list, self);
	}
	fresh_add(beside, add_leaf(list, right));
}

static void insert_in_leaf(struct list *list, struct list_ref *self, uint64_t index,
			   struct list_element element, struct fresh *beside)
{
	if (!leaf_is_alone(self->child) && !leaf_wants_alone(element.item)) {
		leaf_change_begin(list, self);
		bool done = chunk_insert(&self->child, index, element.item);
		leaf_change_end(list, self);
		if (done)
			return;
	}
	if (index == 0 || index == self->count)
		insert_at_edge(list, self, index == 0 ? LIST_FRONT : LIST_BACK, element, beside);
	else
		insert_splitting(list, self, index, element, beside);
}

/* Whether the last leaf below has room for the element behind what it has. */
static bool edge_accepts(const struct list_ref *self, uint32_t height, struct listpack_item item)
{
	for (; height > 0; height--) {
		const struct list_node *node = self->child;
		self = &node->refs[node->used - 1];
	}
	return leaf_accepts(self->child, LIST_BACK, listpack_item_bytes(item));
}

/*
 * The child in which to insert. Between two, the left one has to have room: else element after element
 * at the same place would each get a leaf.
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
	i = node_find(node, self->count, index);
	if (*index == 0 && i > 0 && edge_accepts(&node->refs[i - 1], height - 1, item))
		*index = node->refs[--i].count;
	return i;
}

static void insert_below(struct list *list, struct list_ref *self, uint32_t height, uint64_t index,
			 struct list_element element, struct fresh *beside)
{
	if (height == 0) {
		insert_in_leaf(list, self, index, element, beside);
		return;
	}
	struct list_node *node = self->child;
	uint32_t i = find_place(self, height, &index, element.item);
	struct fresh fresh = {.count = 0};
	insert_below(list, &node->refs[i], height - 1, index, element, &fresh);
	self->count++;
	if (fresh.count > 0)
		insert_children(list, self, i + 1, &fresh, beside);
}

/* A node above the root for what came to stand beside it. */
static void grow_root(struct list *list, const struct fresh *fresh)
{
	struct list_ref old = list->root;

	assert(list->height < LIST_HEIGHT_MAX);
	list->root = node_with(list, &old, 1);
	struct fresh none = {.count = 0};
	insert_children(list, &list->root, 1, fresh, &none);
	list->root.count += refs_count(fresh->refs, fresh->count);
	list->height++;
	assert(none.count == 0);
}

void list_insert(struct list *list, uint64_t index, struct list_element element)
{
	assert(index <= list->root.count);
	if (!list->root.child) {
		list->root = add_leaf(list, leaf_new(element, 0, LIST_BACK));
		return;
	}
	struct fresh fresh = {.count = 0};
	insert_below(list, &list->root, list->height, index, element, &fresh);
	if (fresh.count > 0)
		grow_root(list, &fresh);
}

/* --- replacing --- */

static void replace_in_leaf(struct list *list, struct list_ref *self, uint64_t index,
			    struct list_element element, struct fresh *beside)
{
	if (self->count == 1) {
		struct list_ref new = add_leaf(list, leaf_new(element, 0, LIST_BACK));
		drop_leaf(list, self->child);
		*self = new;
		return;
	}
	leaf_change_begin(list, self);
	bool done =
		!leaf_wants_alone(element.item) && chunk_replace(&self->child, index, element.item);
	if (!done)
		chunk_remove(self->child, index);
	leaf_change_end(list, self);
	if (!done)
		insert_in_leaf(list, self, index, element, beside);
}

static void replace_below(struct list *list, struct list_ref *self, uint32_t height, uint64_t index,
			  struct list_element element, struct fresh *beside)
{
	if (height == 0) {
		replace_in_leaf(list, self, index, element, beside);
		return;
	}
	struct list_node *node = self->child;
	uint32_t i = node_find(node, self->count, &index);
	struct fresh fresh = {.count = 0};
	replace_below(list, &node->refs[i], height - 1, index, element, &fresh);
	if (fresh.count > 0)
		insert_children(list, self, i + 1, &fresh, beside);
}

void list_replace(struct list *list, uint64_t index, struct list_element element)
{
	assert(index < list->root.count);
	struct fresh fresh = {.count = 0};
	replace_below(list, &list->root, list->height, index, element, &fresh);
	if (fresh.count > 0)
		grow_root(list, &fresh);
}

/* --- taking away --- */

/* A root with one child is none. */
static void shrink_root(struct list *list)
{
	while (list->height > 0) {
		struct list_node *node = list->root.child;
		if (node->used > 1)
			return;
		list->root = node->refs[0];
		list->height--;
		node_free(list, node);
	}
}

/* Frees what is at self, which has no elements any more. */
static void free_emptied(struct list *list, struct list_ref *self, uint32_t height)
{
	if (height == 0)
		drop_leaf(list, self->child);
	else
		node_free(list, self->child);
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
			node_change_children(node, i, 1, NULL, 0);
		}
	} else if (self->count > 1) {
		leaf_change_begin(list, self);
		chunk_drop(self->child, side, 1);
		leaf_change_end(list, self);
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
 * The first or last `count` elements, not all, go: leaves and nodes as a whole to a tree of the same height,
 * which is returned.
 */
static struct list_ref cut_below(struct list *list, struct list_ref *self, uint32_t height,
				 enum list_side side, uint64_t count)
{
	struct list_ref cut[CHILDREN_MAX + 1];
	struct list_ref part = {NULL, 0};
	uint32_t whole = 0;

	assert(count < self->count);
	if (height == 0) {
		leaf_change_begin(list, self);
		chunk_drop(self->child, side, count);
		leaf_change_end(list, self);
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
	node_change_children(node, first, whole, NULL, 0);
	return node_with(list, cut, whole + parts);
}

/* Adds up what is below. */
static void measure(const struct list_ref *self, uint32_t height, struct list *sums)
{
	if (height == 0) {
		sums->memory += leaf_memory(self->child);
		sums->bytes += leaf_bytes(self->child);
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
	if (leaf_is_alone(ref[0].child) || leaf_is_alone(ref[1].child))
		return false;
	leaf_change_begin(list, ref);
	bool merged = chunk_merge(&ref->child, ref[1].child);
	leaf_change_end(list, ref);
	if (!merged)
		return false;
	drop_leaf(list, ref[1].child);
	node_change_children(node, left + 1, 1, NULL, 0);
	return true;
}

static uint64_t remove_equal_in_leaf(struct list *list, struct list_ref *self, enum list_side side,
				     struct listpack_item item, uint64_t max)
{
	if (leaf_is_alone(self->child)) {
		bool equal = listpack_item_equal(leaf_get(self->child, 0).item, item);
		self->count -= equal;
		return equal;
	}
	leaf_change_begin(list, self);
	uint64_t removed = chunk_remove_equal(self->child, side, item, max);
	leaf_change_end(list, self);
	return removed;
}

/* After elements of child i were removed: it is freed, or made one with a neighbour. */
static void settle_child(struct list *list, struct list_node *node, uint32_t i, uint32_t height)
{
	if (node->refs[i].count == 0) {
		free_emptied(list, &node->refs[i], height);
		node_change_children(node, i, 1, NULL, 0);
	} else if (height == 0) {
		if (i + 1 < node->used)
			merge_children(list, node, i);
		if (i > 0)
			merge_children(list, node, i - 1);
	}
}

static uint64_t remove_equal_below(struct list *list, struct list_ref *self, uint32_t height,
				   enum list_side side, struct listpack_item item, uint64_t max)
{
	if (height == 0)
		return remove_equal_in_leaf(list, self, side, item, max);
	struct list_node *node = self->child;
	uint64_t removed = 0;
	uint32_t behind = 0; /* children done that are still there */
	while (removed < max && behind < node->used) {
		uint32_t used = node->used;
		uint32_t i = edge_child(node, side, behind);
		uint64_t n = remove_equal_below(list, &node->refs[i], height - 1, side, item,
						max - removed);
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
			   uint64_t max)
{
	if (!list->root.child)
		return 0;
	uint64_t removed = remove_equal_below(list, &list->root, list->height, side, item, max);
	settle_root(list);
	return removed;
}
