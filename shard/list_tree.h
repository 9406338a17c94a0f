/*
 * The tree above the leaves of a list (list.h): what the files that look after it share.
 *
 * A change begins with list_change_begin(), works on change->now, and ends with list_change_end(),
 * which makes that the list's. Nodes are opened from the root down before anything in them is
 * changed; refs (`self`) are changed in nodes that have been opened, or in change->now.
 *
 * A list's sums, `bytes` and `memory`, follow by themselves as long as all leaves and nodes come
 * and go through the functions here, and every change of a chunk stands between
 * list_chunk_change_begin() and _end().
 */
#ifndef SHARD_LIST_TREE_H
#define SHARD_LIST_TREE_H

#include "shard/list_leaf.h"
#include "shard/retire.h"

/* Nodes have room for as many children as fit sizes of powers of two, from this one ... */
#define LIST_NODE_MIN 128
/* ... to this: half of it is moved when a child comes or goes, and half added up to find one. */
#define LIST_NODE_MAX     2048
#define LIST_CHILDREN_MAX ((LIST_NODE_MAX - sizeof(struct list_node)) / sizeof(struct list_ref))

struct list_node {
	uint64_t born;  /* the epoch when it was made */
	uint32_t bytes; /* allocated */
	uint32_t used;
	struct list_ref refs[];
};

/* A change of a list that is going on. */
struct list_change {
	struct list *list;
	struct list_view now;  /* the list as it is by now */
	struct retire *retire; /* for what a snapshot may need; NULL: all is freed at once */
	uint64_t epoch;        /* what is made is born then */
};

/* In which epoch a unit makes its nodes. */
static inline uint64_t list_epoch(const struct retire *r)
{
	return r ? r->unit.epoch : EPOCH_NONE;
}

/* Notes for a snapshot what the list was. */
struct list_change list_change_begin(struct list *list, struct retire *r);
void list_change_end(const struct list_change *change);

/* A node that belongs to the list, for so many children; none yet. */
struct list_node *list_node_new(struct list_change *change, uint32_t children);
/* With these children. */
struct list_ref list_node_with(struct list_change *change, const struct list_ref *refs, uint32_t n);
/* The node at self, to be changed: it or its copy. */
struct list_node *list_node_open(struct list_change *change, struct list_ref *self);
/* It is the list's no more: freed, or retired. */
void list_node_free(struct list_change *change, struct list_node *node);

/* A leaf becomes the list's; it is the list's no more, and freed or retired. */
struct list_ref list_leaf_add(struct list_change *change, void *leaf);
void list_leaf_drop(struct list_change *change, void *leaf);

/*
 * Around a change of the chunk at self: takes it out of the sums, puts a copy in its place if it
 * must, and adds it again as it is then.
 */
void list_chunk_change_begin(struct list_change *change, struct list_ref *self);
void list_chunk_change_end(struct list_change *change, struct list_ref *self);

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
