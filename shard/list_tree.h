/*
 * The tree above the leaves of a list (list.h): what the files that look after it share.
 *
 * A list's sums, `bytes` and `memory`, follow by themselves as long as all leaves and nodes come
 * and go through the functions here, and every change of a leaf stands between
 * list_leaf_change_begin() and _end().
 */
#ifndef SHARD_LIST_TREE_H
#define SHARD_LIST_TREE_H

#include "shard/list_leaf.h"

/* Nodes have room for as many children as fit sizes of powers of two, from this one ... */
#define LIST_NODE_MIN 128
/* ... to this: half of it is moved when a child comes or goes, and half added up to find one. */
#define LIST_NODE_MAX     2048
#define LIST_CHILDREN_MAX ((LIST_NODE_MAX - sizeof(struct list_node)) / sizeof(struct list_ref))

struct list_node {
	uint64_t mark;  /* epoch of the last change */
	uint32_t bytes; /* allocated */
	uint32_t used;
	struct list_ref refs[];
};

/* A node that belongs to the list, for so many children; none yet. */
struct list_node *list_node_new(struct list *list, uint32_t children);
void list_node_free(struct list *list, struct list_node *node);
/* The same with these children. */
struct list_ref list_node_with(struct list *list, const struct list_ref *refs, uint32_t n);

/* A leaf becomes the list's; it is the list's no more, and freed. */
struct list_ref list_leaf_add(struct list *list, void *leaf);
void list_leaf_drop(struct list *list, void *leaf);

/* Around a change of a leaf: takes it out of the sums, and adds it again as it is then. */
void list_leaf_change_begin(struct list *list, const struct list_ref *self);
void list_leaf_change_end(struct list *list, struct list_ref *self);

/*
 * The child that the index, in a node of `count` elements, is in; *index becomes that within the
 * child.
 */
uint32_t list_node_find(const struct list_node *node, uint64_t count, uint64_t *index);

/* The children from `at` on: `gone` of them go, `come` others, for which there is room, come. */
void list_node_change(struct list_node *node, uint32_t at, uint32_t gone,
		      const struct list_ref *refs, uint32_t come);

/* The elements of n refs. */
uint64_t list_refs_count(const struct list_ref *refs, uint32_t n);

#endif
