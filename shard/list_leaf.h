/*
 * The leaves of a list (list.h): chunks of elements, and large elements alone.
 *
 * A chunk holds a listpack somewhere in its bytes, so it grows and shrinks at both ends without
 * moving the elements between:
 *
 *	+------+------+-------+------------+----------------------+-----------+
 *	| born | room | start |    free    |       listpack       |   free    |
 *	+------+------+-------+------------+----------------------+-----------+
 *	                      |<-- start ->|                                  |
 *	                      |<-------------------- room ------------------->|
 *
 * Chunks have sizes of powers of two. One that is full becomes twice as large until LIST_CHUNK;
 * when that is full, elements stand in another. An element of LIST_ALONE_MIN bytes or more would
 * leave too much of a chunk unused: it stands alone in a blob, which replies may pin.
 *
 * A leaf is handed about as one pointer, whose lowest bit says that it is a blob. Chunks of a list
 * are never empty, but for one moment: those who take elements away say how many were left.
 */
#ifndef SHARD_LIST_LEAF_H
#define SHARD_LIST_LEAF_H

#include "shard/list.h"

/*
 * The largest chunk, in bytes with its header. Twice as many save 1 % of memory (small elements)
 * and double what a search by index costs; half as many cost 1 % (small ones) to 3 % and save a
 * third of a search.
 */
#define LIST_CHUNK 4096
/* The smallest one, for the few small elements between large ones. */
#define LIST_CHUNK_MIN 64
/*
 * Encoded bytes from which on an element stands alone: a chunk has room for three that are smaller.
 */
#define LIST_ALONE_MIN (LIST_CHUNK / 4)

struct list_chunk {
	uint64_t born; /* the epoch when it was made (list.h) */
	uint32_t room;
	uint32_t start;
	char bytes[];
};

#define LIST_LEAF_ALONE 1

static inline bool list_leaf_is_alone(const void *leaf)
{
	return (uintptr_t)leaf & LIST_LEAF_ALONE;
}

static inline struct blob *list_leaf_blob(const void *leaf)
{
	return (struct blob *)((uintptr_t)leaf - LIST_LEAF_ALONE);
}

/* The listpack of a chunk. */
static inline char *list_leaf_listpack(const void *leaf)
{
	struct list_chunk *chunk = (struct list_chunk *)leaf;
	return chunk->bytes + chunk->start;
}

/* Whether such an element stands alone. */
static inline bool list_leaf_wants_alone(struct listpack_item item)
{
	return listpack_item_bytes(item) >= LIST_ALONE_MIN;
}

/*
 * A leaf with one element; a chunk is `size` bytes large if it can be, and expects more elements on
 * that side.
 */
void *list_leaf_new(struct list_element element, size_t size, enum list_side side, uint64_t born);
/* A chunk with the elements of a listpack, all small, and room for as many more. */
void *list_leaf_packed(const char *lp, uint64_t born);
void list_leaf_free(void *leaf);
/* The same elements; a blob is shared, a chunk no larger than it must be. */
void *list_leaf_copy(const void *leaf, uint64_t born);

uint64_t list_leaf_count(const void *leaf);
/* What its elements take in a listpack. */
size_t list_leaf_bytes(const void *leaf);
/* The memory of the chunk or the blob. */
size_t list_leaf_memory(const void *leaf);

static inline struct list_element list_element_of_blob(struct blob *blob)
{
	return (struct list_element){{.text = {blob->bytes, blob->len}}, blob};
}

/* The element at a position in a chunk's listpack, or the one that stands alone. */
static inline struct list_element list_leaf_get(const void *leaf, size_t at)
{
	if (list_leaf_is_alone(leaf))
		return list_element_of_blob(list_leaf_blob(leaf));
	return (struct list_element){listpack_get(list_leaf_listpack(leaf), at), NULL};
}

/* Whether list_chunk_insert() would take `bytes` more at that end of the leaf. */
bool list_leaf_accepts(const void *leaf, enum list_side side, size_t bytes);

/*
 * --- chunks; those that grow may move: the pointer is changed. What comes of one is born with it
 * ---
 */

/* The same chunk once more, just as it is. */
struct list_chunk *list_chunk_copy(const struct list_chunk *chunk, uint64_t born);
/* Its bytes of memory. */
static inline size_t list_chunk_size(const struct list_chunk *chunk)
{
	return sizeof(*chunk) + chunk->room;
}

/* Puts an element, which doesn't want to be alone, in; false: it is full. */
bool list_chunk_insert(void **chunk, uint64_t index, struct listpack_item item);
/* Another in its place; false: it is full. */
bool list_chunk_replace(void **chunk, uint64_t index, struct listpack_item item);
void list_chunk_remove(void *chunk, uint64_t index);
/* The first or last `count` go. */
void list_chunk_drop(void *chunk, enum list_side side, uint64_t count);
/* The elements from the index on move to a new chunk, which is returned. 0 < index < count. */
void *list_chunk_split(void *chunk, uint64_t index);
/* Whether one of its elements is equal to it. */
bool list_chunk_has(const void *chunk, struct listpack_item item);
/* Whether two leaves are chunks whose elements take no more than half of one. */
bool list_leaf_merges(const void *leaf, const void *other);
/* Appends the elements of such another one. */
void list_chunk_merge(void **chunk, const void *other);
/*
 * Up to `max` elements equal to `item` go, from that side on; returns how many. May be left empty.
 */
uint64_t list_chunk_remove_equal(void *chunk, enum list_side side, struct listpack_item item,
				 uint64_t max);
/* The same for a listpack of at most LIST_CHUNK bytes, in place. */
uint64_t list_packed_remove_equal(char *lp, enum list_side side, struct listpack_item item,
				  uint64_t max);

#endif
