/*
 * Nodes and leaves with their sums (list_tree.h).
 */
#include "shard/list_tree.h"

#include "proto/mem.h"

#include <assert.h>
#include <string.h>

/* --- changes --- */

static bool is_frozen(const struct list_change *change, uint64_t born)
{
	return change->retire && unit_frozen(&change->retire->unit, born);
}

/* Only the first change after a cut notes, and before it stores anything of the list. */
static void note_cut(struct list *list, uint64_t cut)
{
	if (atomic_load_explicit(&list->cut, memory_order_relaxed) == cut)
		return;
	list->at_cut = list_at(list, EPOCH_NONE);
	atomic_store_explicit(&list->cut, cut, memory_order_release);
}

struct list_change list_change_begin(struct list *list, struct retire *r)
{
	if (r && r->unit.cut != EPOCH_NONE)
		note_cut(list, r->unit.cut);
	return (struct list_change){
		.list = list,
		.now = list_at(list, EPOCH_NONE),
		.retire = r,
		.epoch = list_epoch(r),
	};
}

void list_change_end(const struct list_change *change)
{
	struct list *list = change->list;
	const struct list_view *now = &change->now;

	atomic_store_explicit(&list->root, now->root.child, memory_order_release);
	atomic_store_explicit(&list->count, now->root.count, memory_order_release);
	atomic_store_explicit(&list->height, now->height, memory_order_release);
}

/* --- nodes and leaves --- */

struct list_node *list_node_new(struct list_change *change, uint32_t children)
{
	size_t bytes = LIST_NODE_MIN;
	while (bytes < sizeof(struct list_node) + children * sizeof(struct list_ref))
		bytes *= 2;
	assert(bytes <= LIST_NODE_MAX);
	struct list_node *node = mem_alloc(bytes);
	*node = (struct list_node){.born = change->epoch, .bytes = bytes};
	change->list->memory += bytes;
	return node;
}

struct list_node *list_node_open(struct list_change *change, struct list_ref *self)
{
	struct list_node *old = self->child;
	if (!is_frozen(change, old->born))
		return old;
	struct list_node *node = mem_alloc(old->bytes);
	memcpy(node, old, sizeof(*old) + old->used * sizeof(*old->refs));
	node->born = change->epoch;
	retire_memory(change->retire, old, old->bytes);
	self->child = node;
	return node;
}

void list_node_free(struct list_change *change, struct list_node *node)
{
	change->list->memory -= node->bytes;
	if (is_frozen(change, node->born))
		retire_memory(change->retire, node, node->bytes);
	else
		mem_free(node, node->bytes);
}

struct list_ref list_leaf_add(struct list_change *change, void *leaf)
{
	change->list->memory += list_leaf_memory(leaf);
	change->list->bytes += list_leaf_bytes(leaf);
	return (struct list_ref){leaf, list_leaf_count(leaf)};
}

static void sums_subtract(struct list_change *change, const void *leaf)
{
	change->list->memory -= list_leaf_memory(leaf);
	change->list->bytes -= list_leaf_bytes(leaf);
}

/* A blob doesn't tell when it came to the list: it may always have been before the cut. */
void list_leaf_drop(struct list_change *change, void *leaf)
{
	bool alone = list_leaf_is_alone(leaf);

	sums_subtract(change, leaf);
	if (!is_frozen(change, alone ? EPOCH_NONE : ((struct list_chunk *)leaf)->born))
		list_leaf_free(leaf);
	else if (alone)
		retire_blob(change->retire, list_leaf_blob(leaf));
	else
		retire_memory(change->retire, leaf, list_chunk_size(leaf));
}

void list_chunk_change_begin(struct list_change *change, struct list_ref *self)
{
	struct list_chunk *old = self->child;

	assert(!list_leaf_is_alone(old));
	sums_subtract(change, old);
	if (!is_frozen(change, old->born))
		return;
	self->child = list_chunk_copy(old, change->epoch);
	retire_memory(change->retire, old, list_chunk_size(old));
}

void list_chunk_change_end(struct list_change *change, struct list_ref *self)
{
	*self = list_leaf_add(change, self->child);
}

uint32_t list_node_find(const struct list_node *node, uint64_t count, uint64_t *index)
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

void list_node_change(struct list_node *node, uint32_t at, uint32_t gone,
		      const struct list_ref *refs, uint32_t come)
{
	memmove(&node->refs[at + come], &node->refs[at + gone],
		(node->used - at - gone) * sizeof(*refs));
	if (come > 0)
		memcpy(&node->refs[at], refs, come * sizeof(*refs));
	node->used = node->used - gone + come;
}

uint64_t list_refs_count(const struct list_ref *refs, uint32_t n)
{
	uint64_t count = 0;
	for (uint32_t i = 0; i < n; i++)
		count += refs[i].count;
	return count;
}

struct list_ref list_node_with(struct list_change *change, const struct list_ref *refs, uint32_t n)
{
	struct list_node *node = list_node_new(change, n);
	list_node_change(node, 0, 0, refs, n);
	return (struct list_ref){node, list_refs_count(refs, n)};
}
