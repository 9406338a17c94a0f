/*
 * Nodes and leaves with their sums (list_tree.h).
 */
#include "shard/list_tree.h"

#include "proto/mem.h"

#include <assert.h>
#include <string.h>

struct list_node *list_node_new(struct list *list, uint32_t children)
{
	size_t bytes = LIST_NODE_MIN;
	while (bytes < sizeof(struct list_node) + children * sizeof(struct list_ref))
		bytes *= 2;
	assert(bytes <= LIST_NODE_MAX);
	struct list_node *node = mem_alloc(bytes);
	*node = (struct list_node){.bytes = bytes};
	list->memory += bytes;
	return node;
}

void list_node_free(struct list *list, struct list_node *node)
{
	list->memory -= node->bytes;
	mem_free(node, node->bytes);
}

struct list_ref list_leaf_add(struct list *list, void *leaf)
{
	list->memory += list_leaf_memory(leaf);
	list->bytes += list_leaf_bytes(leaf);
	return (struct list_ref){leaf, list_leaf_count(leaf)};
}

void list_leaf_drop(struct list *list, void *leaf)
{
	list->memory -= list_leaf_memory(leaf);
	list->bytes -= list_leaf_bytes(leaf);
	list_leaf_free(leaf);
}

void list_leaf_change_begin(struct list *list, const struct list_ref *self)
{
	list->memory -= list_leaf_memory(self->child);
	list->bytes -= list_leaf_bytes(self->child);
}

void list_leaf_change_end(struct list *list, struct list_ref *self)
{
	*self = list_leaf_add(list, self->child);
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

struct list_ref list_node_with(struct list *list, const struct list_ref *refs, uint32_t n)
{
	struct list_node *node = list_node_new(list, n);
	list_node_change(node, 0, 0, refs, n);
	return (struct list_ref){node, list_refs_count(refs, n)};
}
