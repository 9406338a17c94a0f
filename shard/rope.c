/*
 * Ropes (rope.h): the array of leaves, and loops that cut a range at the borders of leaves.
 */
#include "shard/rope.h"

#include "proto/mem.h"
#include "shard/turn.h"

#include <assert.h>

static_assert((ROPE_LEAF & (ROPE_LEAF - 1)) == 0, "the border of a leaf is a shift away");

static size_t leaves_for(size_t len)
{
	return len / ROPE_LEAF + (len % ROPE_LEAF != 0);
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Bytes from offset to the end of its leaf, `len` at most. */
static size_t piece_length(size_t offset, size_t len)
{
	return min_size(ROPE_LEAF - offset % ROPE_LEAF, len);
}

struct rope *rope_new(size_t len)
{
	struct rope *rope = mem_zalloc(sizeof(*rope));
	rope_grow(rope, len);
	return rope;
}

void rope_free(struct rope *rope)
{
	uint64_t at = 0;
	size_t budget = SIZE_MAX;

	if (rope)
		rope_free_slice(rope, &at, &budget);
}

/* *at is the next leaf. Absent ones cost nothing. */
bool rope_free_slice(struct rope *rope, uint64_t *at, size_t *budget)
{
	for (; rope->present > 0 && *budget > 0; ++*at) {
		if (!rope->leaves[*at].bytes)
			continue;
		mem_free(rope->leaves[*at].bytes, ROPE_LEAF);
		rope->present--;
		--*budget;
	}
	if (rope->present > 0)
		return false;
	if (rope->base)
		blob_unref(rope->base);
	mem_free(rope->leaves, rope->cap * sizeof(*rope->leaves));
	mem_free(rope, sizeof(*rope));
	return true;
}

struct rope *rope_copy(const struct rope *rope, struct shard *shard)
{
	struct rope *copy = rope_new(rope->len);
	size_t count = leaves_for(rope->len);
	for (size_t i = 0; i < count; i++) {
		if (!rope->leaves[i].bytes)
			continue;
		copy->leaves[i].bytes = mem_alloc(ROPE_LEAF);
		memcpy(copy->leaves[i].bytes, rope->leaves[i].bytes, ROPE_LEAF);
		copy->present++;
		turn_steps(shard, ROPE_LEAF_ELEMENTS);
	}
	assert(copy->present == rope->present);
	copy->base = rope->base ? blob_ref(rope->base) : NULL;
	copy->base_leaves = rope->base_leaves;
	copy->base_left = rope->base_left;
	copy->base_at = rope->base_at;
	return copy;
}

/* Room in the array for `count` leaves: twice what there was, when that is enough. */
static void make_room(struct rope *rope, size_t count)
{
	if (count <= rope->cap)
		return;
	size_t cap = count > 2 * rope->cap ? count : 2 * rope->cap;
	struct rope_leaf *leaves = mem_zalloc(cap * sizeof(*leaves));
	if (rope->leaves)
		memcpy(leaves, rope->leaves, rope->cap * sizeof(*leaves));
	mem_free(rope->leaves, rope->cap * sizeof(*leaves));
	rope->leaves = leaves;
	rope->cap = cap;
}

void rope_grow(struct rope *rope, size_t len)
{
	if (len <= rope->len)
		return;
	make_room(rope, leaves_for(len));
	rope->len = len;
}

static bool all_zero(const char *bytes, size_t len)
{
	return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* The base's bytes of a leaf that has none of its own; NULL: it is all zero. */
static const char *base_bytes(const struct rope *rope, size_t i)
{
	return rope->base && i < rope->base_leaves ? rope->base->bytes + i * ROPE_LEAF : NULL;
}

/* Gives an absent leaf bytes: those of the base, or zeros; none where all will be overwritten. */
static void make_leaf(struct rope *rope, size_t i, bool overwritten)
{
	const char *shared = base_bytes(rope, i);
	char *bytes = mem_alloc(ROPE_LEAF);
	if (shared && !overwritten)
		memcpy(bytes, shared, ROPE_LEAF);
	else if (!overwritten)
		memset(bytes, 0, ROPE_LEAF);
	rope->leaves[i].bytes = bytes;
	rope->present++;
	if (!shared || --rope->base_left > 0)
		return;
	blob_unref(rope->base);
	rope->base = NULL;
}

/* Writes within one leaf. Zeros don't make one. */
static void write_piece(struct rope *rope, size_t offset, const char *bytes, size_t len)
{
	size_t i = offset / ROPE_LEAF;
	if (!rope->leaves[i].bytes) {
		if (!base_bytes(rope, i) && all_zero(bytes, len))
			return;
		make_leaf(rope, i, len == ROPE_LEAF);
	}
	memcpy(rope->leaves[i].bytes + offset % ROPE_LEAF, bytes, len);
}

/* One more leaf leaves the base. */
static void move_leaf(struct rope *rope)
{
	while (rope->leaves[rope->base_at].bytes)
		rope->base_at++;
	make_leaf(rope, rope->base_at, false);
}

void rope_write(struct rope *rope, size_t offset, struct slice bytes)
{
	assert(bytes.len <= SIZE_MAX - offset);
	rope_grow(rope, offset + bytes.len);
	for (size_t done = 0; done < bytes.len;) {
		size_t n = piece_length(offset + done, bytes.len - done);
		write_piece(rope, offset + done, bytes.ptr + done, n);
		done += n;
	}
	if (rope->base)
		move_leaf(rope);
}

struct rope *rope_over(struct blob *blob, size_t len)
{
	size_t leaves = blob->len / ROPE_LEAF;
	size_t shared = leaves * ROPE_LEAF;
	struct rope *rope = rope_new(len > blob->len ? len : blob->len);
	rope_write(rope, shared, (struct slice){blob->bytes + shared, blob->len - shared});
	if (leaves > 0)
		rope->base = blob_ref(blob);
	rope->base_leaves = rope->base_left = leaves;
	return rope;
}

void rope_read(const struct rope *rope, size_t offset, size_t len, char *out)
{
	assert(offset <= rope->len && len <= rope->len - offset);
	for (size_t done = 0; done < len;) {
		struct slice piece = rope_piece(rope, offset + done);
		size_t n = min_size(piece.len, len - done);
		if (piece.ptr)
			memcpy(out + done, piece.ptr, n);
		else
			memset(out + done, 0, n);
		done += n;
	}
}

struct slice rope_piece(const struct rope *rope, size_t offset)
{
	assert(offset < rope->len);
	const char *bytes = rope->leaves[offset / ROPE_LEAF].bytes;
	if (!bytes)
		bytes = base_bytes(rope, offset / ROPE_LEAF);
	return (struct slice){bytes ? bytes + offset % ROPE_LEAF : NULL,
			      piece_length(offset, rope->len - offset)};
}

size_t rope_memory(const struct rope *rope)
{
	size_t array = rope->cap ? mem_class(rope->cap * sizeof(*rope->leaves)) : 0;
	size_t base = rope->base ? mem_class(sizeof(*rope->base) + rope->base->len) : 0;
	return mem_class(sizeof(*rope)) + array + base + rope->present * mem_class(ROPE_LEAF);
}
