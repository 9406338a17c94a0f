/*
 * Leaves (list_leaf.h): where a chunk's listpack stands in its bytes, and when the chunk grows.
 *
 * All that adds to a chunk asks make_room() for free bytes at an end first. It moves the listpack
 * or doubles the chunk rarely enough: each time, what has come since the last time is worth it.
 */
#include "shard/list_leaf.h"

#include "proto/mem.h"

#include <assert.h>
#include <string.h>

/* Free bytes beyond those needed, as a part of the room, that make moving a listpack worthwhile. */
#define SLACK_PART 8

#define ROOM_MAX   (LIST_CHUNK - sizeof(struct list_chunk))

static_assert(ROOM_MAX / 2 < UINT16_MAX, "listpacks know their counts");

static void *leaf_of_blob(struct blob *blob)
{
	return (void *)((uintptr_t)blob + LIST_LEAF_ALONE);
}

/* The size of a chunk for a listpack of so many bytes. */
static size_t size_for(size_t bytes)
{
	size_t size = LIST_CHUNK_MIN;

	while (size < sizeof(struct list_chunk) + bytes)
		size *= 2;
	return size;
}

static struct list_chunk *chunk_new(size_t size, uint64_t born)
{
	struct list_chunk *chunk = mem_alloc(size);

	*chunk = (struct list_chunk){.born = born, .room = size - sizeof(*chunk)};
	return chunk;
}

/* Where a listpack of so many bytes leaves all the free ones on that side. */
static uint32_t start_for(const struct list_chunk *chunk, size_t bytes, enum list_side side)
{
	return side == LIST_FRONT ? chunk->room - bytes : 0;
}

static size_t chunk_free_bytes(const struct list_chunk *chunk, enum list_side side)
{
	size_t start = chunk->start;

	return side == LIST_FRONT ? start
				  : chunk->room - start - listpack_bytes(chunk->bytes + start);
}

/* A chunk of that size with this listpack in it, the free bytes on that side. */
static struct list_chunk *chunk_with(const char *lp, size_t size, enum list_side side,
				     uint64_t born)
{
	struct list_chunk *chunk = chunk_new(size, born);
	size_t bytes = listpack_bytes(lp);

	chunk->start = start_for(chunk, bytes, side);
	memcpy(chunk->bytes + chunk->start, lp, bytes);
	return chunk;
}

/* The bytes for it are there. */
static void chunk_push(struct list_chunk *chunk, enum list_side side, struct listpack_item item)
{
	char *lp = list_leaf_listpack(chunk);
	size_t end = listpack_end(lp);

	if (side == LIST_FRONT)
		chunk->start = listpack_push_front(lp, item) - chunk->bytes;
	else
		listpack_splice(lp, lp, end, end, &item, 1);
}

struct list_chunk *list_chunk_copy(const struct list_chunk *chunk, uint64_t born)
{
	struct list_chunk *copy = chunk_new(list_chunk_size(chunk), born);
	const char *lp = list_leaf_listpack(chunk);

	copy->start = chunk->start;
	memcpy(copy->bytes + copy->start, lp, listpack_bytes(lp));
	return copy;
}

void *list_leaf_new(struct list_element element, size_t size, enum list_side side, uint64_t born)
{
	if (list_leaf_wants_alone(element.item)) {
		struct blob *blob = element.blob;
		struct slice text = element.item.text;
		if (blob)
			return leaf_of_blob(blob_ref(blob));
		blob = blob_new(text.len);
		memcpy(blob->bytes, text.ptr, text.len);
		return leaf_of_blob(blob);
	}
	size_t needed = size_for(LISTPACK_BYTES_MIN + listpack_item_bytes(element.item));
	struct list_chunk *chunk =
		chunk_with(LISTPACK_EMPTY, size > needed ? size : needed, side, born);
	chunk_push(chunk, side, element.item);
	return chunk;
}

void *list_leaf_packed(const char *lp, uint64_t born)
{
	return chunk_with(lp, size_for(2 * listpack_bytes(lp)), LIST_BACK, born);
}

void list_leaf_free(void *leaf)
{
	if (list_leaf_is_alone(leaf))
		blob_unref(list_leaf_blob(leaf));
	else
		mem_free(leaf, list_chunk_size(leaf));
}

void *list_leaf_copy(const void *leaf, uint64_t born)
{
	if (list_leaf_is_alone(leaf))
		return leaf_of_blob(blob_ref(list_leaf_blob(leaf)));
	const char *lp = list_leaf_listpack(leaf);
	return chunk_with(lp, size_for(listpack_bytes(lp)), LIST_BACK, born);
}

uint64_t list_leaf_count(const void *leaf)
{
	return list_leaf_is_alone(leaf) ? 1 : listpack_count(list_leaf_listpack(leaf));
}

size_t list_leaf_bytes(const void *leaf)
{
	if (list_leaf_is_alone(leaf))
		return listpack_item_bytes(list_leaf_get(leaf, 0).item);
	return listpack_bytes(list_leaf_listpack(leaf)) - LISTPACK_BYTES_MIN;
}

size_t list_leaf_memory(const void *leaf)
{
	if (list_leaf_is_alone(leaf))
		return mem_class(sizeof(struct blob) + list_leaf_blob(leaf)->len);
	return list_chunk_size(leaf);
}

/* What make_room() will do for so many bytes. */
enum room { ROOM_THERE, ROOM_MOVE, ROOM_GROW, ROOM_NONE };

static enum room chunk_room(const struct list_chunk *chunk, enum list_side side, size_t needed)
{
	size_t bytes = listpack_bytes(list_leaf_listpack(chunk));

	if (chunk_free_bytes(chunk, side) >= needed)
		return ROOM_THERE;
	if (chunk->room - bytes >= needed + chunk->room / SLACK_PART)
		return ROOM_MOVE;
	if (chunk->room < ROOM_MAX && bytes + needed <= ROOM_MAX)
		return ROOM_GROW;
	return ROOM_NONE;
}

bool list_leaf_accepts(const void *leaf, enum list_side side, size_t bytes)
{
	return !list_leaf_is_alone(leaf) && chunk_room(leaf, side, bytes) != ROOM_NONE;
}

/* Sees to it that so many bytes are free on that side of the listpack; false: the chunk is full. */
static bool make_room(void **leaf, enum list_side side, size_t needed)
{
	struct list_chunk *chunk = *leaf;
	char *lp = list_leaf_listpack(chunk);
	size_t bytes = listpack_bytes(lp);

	switch (chunk_room(chunk, side, needed)) {
	case ROOM_THERE:
		return true;
	case ROOM_MOVE:
		chunk->start = start_for(chunk, bytes, side);
		memmove(chunk->bytes + chunk->start, lp, bytes);
		return true;
	case ROOM_GROW:
		*leaf = chunk_with(lp, size_for(bytes + needed), side, chunk->born);
		list_leaf_free(chunk);
		return true;
	default:
		return false;
	}
}

bool list_chunk_insert(void **leaf, uint64_t index, struct listpack_item item)
{
	enum list_side side = index == 0 ? LIST_FRONT : LIST_BACK;

	if (!make_room(leaf, side, listpack_item_bytes(item)))
		return false;
	char *lp = list_leaf_listpack(*leaf);
	if (index == 0 || index == listpack_count(lp)) {
		chunk_push(*leaf, side, item);
		return true;
	}
	size_t at = listpack_seek(lp, index);
	listpack_splice(lp, lp, at, at, &item, 1);
	return true;
}

bool list_chunk_replace(void **leaf, uint64_t index, struct listpack_item item)
{
	char *lp = list_leaf_listpack(*leaf);
	size_t at = listpack_seek(lp, index);
	size_t old = listpack_next(lp, at) - at;
	size_t new = listpack_item_bytes(item);

	if (new > old && !make_room(leaf, LIST_BACK, new - old))
		return false;
	lp = list_leaf_listpack(*leaf);
	listpack_splice(lp, lp, at, at + old, &item, 1);
	return true;
}

void list_chunk_remove(void *leaf, uint64_t index)
{
	char *lp = list_leaf_listpack(leaf);
	size_t at = listpack_seek(lp, index);

	listpack_splice(lp, lp, at, listpack_next(lp, at), NULL, 0);
}

void list_chunk_drop(void *leaf, enum list_side side, uint64_t count)
{
	struct list_chunk *chunk = leaf;
	char *lp = list_leaf_listpack(chunk);

	assert(count < listpack_count(lp));
	if (side == LIST_FRONT) {
		char *start = listpack_drop_front(lp, listpack_seek(lp, count));
		chunk->start = start - chunk->bytes;
	} else {
		listpack_splice(lp, lp, listpack_seek(lp, -(int64_t)count), listpack_end(lp), NULL,
				0);
	}
}

void *list_chunk_split(void *leaf, uint64_t index)
{
	char *lp = list_leaf_listpack(leaf);
	size_t at = listpack_seek(lp, index), end = listpack_end(lp);

	assert(at > listpack_first(lp) && at < end);
	struct list_chunk *right = chunk_new(size_for(LISTPACK_BYTES_MIN + end - at),
					     ((struct list_chunk *)leaf)->born);
	listpack_insert_range(right->bytes, LISTPACK_EMPTY, LISTPACK_HEADER, lp, at, end);
	listpack_splice(lp, lp, at, end, NULL, 0);
	return right;
}

bool list_leaf_merges(const void *leaf, const void *other)
{
	return !list_leaf_is_alone(leaf) && !list_leaf_is_alone(other) &&
	       list_leaf_bytes(leaf) + list_leaf_bytes(other) <=
		       LIST_CHUNK / 2 - LISTPACK_BYTES_MIN;
}

void list_chunk_merge(void **leaf, const void *other)
{
	const char *right = list_leaf_listpack(other);
	bool fits = make_room(leaf, LIST_BACK, list_leaf_bytes(other));
	char *lp = list_leaf_listpack(*leaf);

	assert(fits);
	listpack_insert_range(lp, lp, listpack_end(lp), right, listpack_first(right),
			      listpack_end(right));
}

bool list_chunk_has(const void *leaf, struct listpack_item item)
{
	const char *lp = list_leaf_listpack(leaf);

	return listpack_find(lp, listpack_first(lp), item, 0) > 0;
}

static uint64_t count_equal(const char *lp, struct listpack_item item)
{
	uint64_t count = 0;

	for (size_t at = listpack_find(lp, listpack_first(lp), item, 0); at > 0; count++)
		at = listpack_find(lp, listpack_next(lp, at), item, 0);
	return count;
}

static void append_range(char *out, const char *lp, size_t from, size_t to)
{
	listpack_insert_range(out, out, listpack_end(out), lp, from, to);
}

/* What stays is gathered apart and then takes the place of all. */
uint64_t list_packed_remove_equal(char *lp, enum list_side side, struct listpack_item item,
				  uint64_t max)
{
	uint64_t equal = count_equal(lp, item);
	uint64_t removed = equal < max ? equal : max;
	uint64_t spared = side == LIST_BACK ? equal - removed : 0;
	size_t from = listpack_first(lp), at = from;

	if (removed == 0)
		return 0;
	char kept[LIST_CHUNK];
	memcpy(kept, LISTPACK_EMPTY, LISTPACK_BYTES_MIN);
	for (uint64_t i = 0; i < spared + removed; i++) {
		size_t found = listpack_find(lp, at, item, 0);
		at = listpack_next(lp, found);
		if (i < spared)
			continue;
		append_range(kept, lp, from, found);
		from = at;
	}
	append_range(kept, lp, from, listpack_end(lp));
	memcpy(lp, kept, listpack_bytes(kept));
	return removed;
}

uint64_t list_chunk_remove_equal(void *leaf, enum list_side side, struct listpack_item item,
				 uint64_t max)
{
	return list_packed_remove_equal(list_leaf_listpack(leaf), side, item, max);
}
