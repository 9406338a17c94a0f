/*
 * A list that is changed in place: the large form of list values.
 *
 * The elements stand in leaves (list_leaf.h): chunks of up to LIST_CHUNK bytes that hold a
 * listpack, and large elements alone, each in a blob. Above the leaves is a tree whose nodes know
 * how many elements each child has, so an index leads down in as many steps as the tree is high.
 *
 *	struct list
 *	{ child, count } ----> +---------------+---------------+-- ...
 *	height                 | child | count | child | count |     up to 127 children a node
 *	bytes, memory          +---|-----------+---|-----------+-- ...
 *	                           v               v
 *	                      [ chunk ]        [ blob ]              leaves
 *
 * With one leaf there is no node; 127 chunks of 4 KB have one, 10 million elements of 10 bytes have
 * some 240.
 *
 * Invariants: no leaf and no node is empty, and the root node has two children at least; a child's
 * `count` is the number of elements below it. Nodes are not kept half full: where elements went
 * a node may have few children left, down to one. That makes no tree high, for it grows
 * only when 127 children stand side by side: LIST_HEIGHT_MAX takes 64^LIST_HEIGHT_MAX insertions.
 *
 * Steps: a push or pop at an end touches one chunk, moves no other element, and adds to one count a
 * level; elsewhere it also moves up to a chunk's bytes. Nodes that fill up at an end stay full:
 * only those in the middle are halved.
 *
 * How snapshots will fit: chunks and nodes carry a `mark`, the epoch of their last change, which
 * nothing sets or reads yet. While a snapshot with cut S runs, the first write to a list whose
 * entry is frozen makes a new entry with a new struct list. Whatever is about to change on the way
 * down and has a mark <= S is replaced in its parent (which was replaced before it) by a copy
 * marked with the write's epoch, and retired for the snapshotter; what has a later mark is the new
 * list's alone. Blobs never change and need no mark.
 *
 * Slot's holder only: everything. Readers under RCU never get here.
 */
#ifndef SHARD_LIST_H
#define SHARD_LIST_H

#include "shard/blob.h"
#include "shard/listpack.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Levels of nodes above the leaves; see the invariants. */
#define LIST_HEIGHT_MAX 8

enum list_side { LIST_FRONT, LIST_BACK };

/* An element. `blob`, if there is one, is where its text stands, which is all of the blob. */
struct list_element {
	struct listpack_item item;
	struct blob *blob;
};

struct shard;

/* A leaf or node, and how many elements it has. */
struct list_ref {
	void *child;
	uint64_t count;
};

struct list {
	struct list_ref root;
	uint32_t height; /* levels of nodes; 0: the root is a leaf */
	uint64_t bytes;  /* of the elements in one listpack, without its header and end */
	uint64_t memory; /* of leaves and nodes, as allocated */
};

/* An empty list. */
struct list *list_new(void);
/* One with the elements of a listpack, none of which is large. */
struct list *list_new_packed(const char *lp);
/* At once; free(NULL) is fine. */
void list_free(struct list *list);
/* As a structure (value.h), leaf by leaf; `at` is not needed. */
bool list_free_slice(struct list *list, uint64_t *at, size_t *budget);

/* The same elements in leaves and nodes of their own; blobs are shared. It takes turns (turn.h). */
struct list *list_copy(const struct list *list, struct shard *shard);

static inline uint64_t list_count(const struct list *list)
{
	return list->root.count;
}

/* All memory, in bytes. */
size_t list_memory(const struct list *list);

/* The element as it is borrowed: until the next change of the list. index < count. */
struct list_element list_get(const struct list *list, uint64_t index);

/*
 * Puts an element before the one that has the index now; index = count: behind all. The text is
 * copied, of a large one with a blob the blob is shared. It may not stand in a chunk of this list.
 */
void list_insert(struct list *list, uint64_t index, struct list_element element);
static inline void list_push(struct list *list, enum list_side side, struct list_element element)
{
	list_insert(list, side == LIST_FRONT ? 0 : list_count(list), element);
}

/* Puts it in the place of another. */
void list_replace(struct list *list, uint64_t index, struct list_element element);

/* The first or the last element goes. */
void list_pop(struct list *list, enum list_side side);

/*
 * The first or last `count` elements go. What takes longer to free is returned, to be freed when
 * there is time: a list with some or all of them, NULL when there is none.
 */
struct list *list_cut(struct list *list, enum list_side side, uint64_t count);

/* Up to `max` elements equal to `item` go, from that side on. Returns how many. It takes turns. */
uint64_t list_remove_equal(struct list *list, enum list_side side, struct listpack_item item,
			   uint64_t max, struct shard *shard);

/*
 * Elements one after another, from an index on towards the back or the front:
 *
 *	list_iter_init(&iter, list, 0, LIST_BACK);
 *	while (list_iter_next(&iter, &element))
 *
 * The list must not change meanwhile. An index of count or more: there are none.
 */
struct list_iter {
	const struct list *list; /* NULL: all is in one listpack */
	enum list_side towards;
	uint64_t first; /* the first and */
	uint64_t count; /* the one after the last that it comes to: of all, unless made less */
	uint64_t index; /* of the next element; out of these: none */
	uint64_t left;  /* elements in the leaf from here on, this one included */
	const char *lp; /* of the leaf; NULL: an element alone, in `blob` */
	struct blob *blob;
	size_t at;           /* the next element's position in lp */
	struct shard *shard; /* whose turns list_iter_find() takes; NULL: none */
};
void list_iter_init(struct list_iter *iter, const struct list *list, uint64_t index,
		    enum list_side towards);
/* The same for the elements of a listpack. */
void list_iter_init_packed(struct list_iter *iter, const char *lp, uint64_t index,
			   enum list_side towards);
bool list_iter_next(struct list_iter *iter, struct list_element *element);
/* Goes past the next element that is equal to `item`: *index. False: there is none. */
bool list_iter_find(struct list_iter *iter, struct listpack_item item, uint64_t *index);

#endif
