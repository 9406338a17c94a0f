/*
 * A list that is changed in place: the large form of list values.
 *
 * The elements stand in leaves (list_leaf.h): chunks of up to LIST_CHUNK bytes that hold a
 * listpack, and large elements alone, each in a blob. Above the leaves is a tree whose nodes know
 * how many elements each child has, so an index leads down in as many steps as the tree is high.
 *
 *	struct list
 *	root, count ---------> +---------------+---------------+-- ...
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
 * Snapshots (freeze.h). Chunks and nodes say when they were born. A unit of work after the cut
 * leaves those alone that are older than the cut: on its way down it puts a copy in the place of
 * whatever it is about to change, from the root on, and retires the old one, as it does with all
 * that goes and is as old. Blobs never change. Before its first change it notes in the list what
 * the root was, and only then changes the root: so list_at() finds the elements of the cut, and
 * who walks them meets nothing that anybody changes. One who notes for the next cut writes over the
 * note: nobody looks for the one before any more.
 *
 * Who may be in the way of a snapshot says so by a `struct retire`, whose unit of work it is. NULL:
 * nobody else has ever seen the list (tests).
 *
 * Slot's holder only: everything, but list_at() and what goes through its result. Readers under
 * RCU never get here.
 */
#ifndef SHARD_LIST_H
#define SHARD_LIST_H

#include "shard/blob.h"
#include "shard/listpack.h"

#include <stdatomic.h>
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

struct retire;
struct shard;

/* A leaf or node, and how many elements it has. */
struct list_ref {
	void *child;
	uint64_t count;
};

/* All elements, as they are or were at a cut. */
struct list_view {
	struct list_ref root; /* child NULL: there are none */
	uint32_t height;      /* levels of nodes; 0: the root is a leaf */
};

struct list {
	/* as it is; the holder stores (release), a snapshot loads (acquire) */
	_Atomic(void *) root;
	_Atomic uint64_t count;
	_Atomic uint32_t height;
	/*
	 * as it was at a cut: stored before the cut's number (release), and that before any change
	 */
	struct list_view at_cut;
	_Atomic uint64_t cut;
	/* the holder's */
	uint64_t bytes;  /* of the elements in one listpack, without its header and end */
	uint64_t memory; /* of leaves and nodes, as allocated */
};

/* An empty list. */
struct list *list_new(void);
/* One with the elements of a listpack, none of which is large. */
struct list *list_new_packed(const char *lp, const struct retire *r);
/* At once; free(NULL) is fine. */
void list_free(struct list *list);
/* As a structure (value.h), leaf by leaf; `at` is not needed. */
bool list_free_slice(struct list *list, uint64_t *at, size_t *budget);

/* The same elements in leaves and nodes of their own; blobs are shared. It takes turns (turn.h). */
struct list *list_copy(const struct list *list, struct shard *shard);

static inline uint64_t list_count(const struct list *list)
{
	return atomic_load_explicit(&list->count, memory_order_relaxed);
}

/*
 * The elements at the cut; EPOCH_NONE: as they are, for the holder. Of a snapshot: once its slot is
 * ready (freeze.h), until it has passed.
 */
struct list_view list_at(const struct list *list, uint64_t cut);

/* All memory, in bytes. */
size_t list_memory(const struct list *list);

/* The element as it is borrowed: until the next change of the list. index < count. */
struct list_element list_get(const struct list *list, uint64_t index);

/*
 * Puts an element before the one that has the index now; index = count: behind all. The text is
 * copied, of a large one with a blob the blob is shared. It may not stand in a chunk of this list.
 */
void list_insert(struct list *list, uint64_t index, struct list_element element, struct retire *r);
static inline void list_push(struct list *list, enum list_side side, struct list_element element,
			     struct retire *r)
{
	list_insert(list, side == LIST_FRONT ? 0 : list_count(list), element, r);
}

/* Puts it in the place of another. */
void list_replace(struct list *list, uint64_t index, struct list_element element, struct retire *r);

/* The first or the last element goes. */
void list_pop(struct list *list, enum list_side side, struct retire *r);

/*
 * The first or last `count` elements go. What takes longer to free is returned, to be freed when
 * there is time (and no snapshot has to see them): a list with some or all of them, NULL when there
 * is none.
 */
struct list *list_cut(struct list *list, enum list_side side, uint64_t count, struct retire *r);

/*
 * Up to `max` elements equal to `item` go, from that side on. Returns how many. It takes the turns
 * of a shard; NULL: none.
 */
uint64_t list_remove_equal(struct list *list, enum list_side side, struct listpack_item item,
			   uint64_t max, struct retire *r, struct shard *shard);

/*
 * Elements one after another, from an index on towards the back or the front:
 *
 *	list_iter_init(&iter, list, 0, LIST_BACK);
 *	while (list_iter_next(&iter, &element))
 *
 * The list must not change meanwhile. An index of count or more: there are none.
 */
struct list_iter {
	struct list_view view; /* without a root: all is in one listpack */
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
void list_iter_init_view(struct list_iter *iter, struct list_view view, uint64_t index,
			 enum list_side towards);
/* The same for the elements of a listpack. */
void list_iter_init_packed(struct list_iter *iter, const char *lp, uint64_t index,
			   enum list_side towards);
bool list_iter_next(struct list_iter *iter, struct list_element *element);
/* Goes past the next element that is equal to `item`: *index. False: there is none. */
bool list_iter_find(struct list_iter *iter, struct listpack_item item, uint64_t *index);

#endif
