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

/* --- as it is, or was --- */

static bool is_noted(const struct rope *rope, uint64_t cut)
{
	return cut != EPOCH_NONE && atomic_load_explicit(&rope->cut, memory_order_acquire) == cut;
}

/* As in list.c: who finds no note afterwards has loaded nothing that was stored after one. */
struct rope_view rope_at(const struct rope *rope, uint64_t cut)
{
	struct rope_view now;

	now.len = atomic_load_explicit(&rope->len, memory_order_acquire);
	now.leaves = atomic_load_explicit(&rope->leaves, memory_order_acquire);
	now.base = atomic_load_explicit(&rope->base, memory_order_acquire);
	now.base_leaves = rope->base_leaves;
	return is_noted(rope, cut) ? rope->at_cut : now;
}

static struct rope_leaf *leaf_at(const struct rope *rope, size_t i)
{
	return &atomic_load_explicit(&rope->leaves, memory_order_relaxed)[i];
}

static void set_leaves(struct rope *rope, struct rope_leaf *leaves)
{
	atomic_store_explicit(&rope->leaves, leaves, memory_order_release);
}

static struct blob *rope_base(const struct rope *rope)
{
	return atomic_load_explicit(&rope->base, memory_order_relaxed);
}

static void set_base(struct rope *rope, struct blob *base)
{
	atomic_store_explicit(&rope->base, base, memory_order_release);
}

/* An array of `cap` leaves, the first of which are those of another. */
static struct rope_leaf *leaves_copy(const struct rope_leaf *leaves, size_t count, size_t cap)
{
	struct rope_leaf *copy = mem_zalloc(cap * sizeof(*copy));

	if (count > 0)
		memcpy(copy, leaves, count * sizeof(*copy));
	return copy;
}

/* Before each change. The array that was noted is the snapshot's from then on. */
static void note_cut(struct rope *rope, struct retire *r)
{
	uint64_t cut = r ? r->unit.cut : EPOCH_NONE;

	if (cut == EPOCH_NONE || is_noted(rope, cut))
		return;
	rope->at_cut = rope_at(rope, EPOCH_NONE);
	atomic_store_explicit(&rope->cut, cut, memory_order_release);
	if (rope->cap == 0)
		return;
	struct rope_leaf *old = rope->at_cut.leaves;
	set_leaves(rope, leaves_copy(old, rope->cap, rope->cap));
	retire_memory(r, old, rope->cap * sizeof(*old));
}

static uint64_t unit_epoch(const struct retire *r)
{
	return r ? r->unit.epoch : EPOCH_NONE;
}

/* --- memory --- */

/* A snapshot that is going on will not look for it. */
struct rope *rope_new(size_t len, const struct retire *r)
{
	struct rope *rope = mem_zalloc(sizeof(*rope));

	atomic_store_explicit(&rope->cut, r ? r->unit.cut : EPOCH_NONE, memory_order_relaxed);
	rope_grow(rope, len, NULL);
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
		char *bytes = leaf_at(rope, *at)->bytes;
		if (!bytes)
			continue;
		mem_free(bytes, ROPE_LEAF);
		rope->present--;
		--*budget;
	}
	if (rope->present > 0)
		return false;
	if (rope_base(rope))
		blob_unref(rope_base(rope));
	mem_free(leaf_at(rope, 0), rope->cap * sizeof(struct rope_leaf));
	mem_free(rope, sizeof(*rope));
	return true;
}

static struct rope_leaf leaf_copy(const char *bytes, uint64_t born)
{
	struct rope_leaf copy = {mem_alloc(ROPE_LEAF), born};

	memcpy(copy.bytes, bytes, ROPE_LEAF);
	return copy;
}

struct rope *rope_copy(const struct rope *rope, struct shard *shard)
{
	struct retire *r = shard ? &shard->retire : NULL;
	struct rope_view from = rope_at(rope, EPOCH_NONE);
	struct rope *copy = rope_new(from.len, r);
	uint64_t born = unit_epoch(r);
	size_t count = leaves_for(from.len);

	for (size_t i = 0; i < count; i++) {
		if (!from.leaves[i].bytes)
			continue;
		*leaf_at(copy, i) = leaf_copy(from.leaves[i].bytes, born);
		copy->present++;
		turn_steps(shard, ROPE_LEAF_ELEMENTS);
	}
	assert(copy->present == rope->present);
	set_base(copy, from.base ? blob_ref(from.base) : NULL);
	copy->base_leaves = rope->base_leaves;
	copy->base_left = rope->base_left;
	copy->base_at = rope->base_at;
	return copy;
}

size_t rope_memory(const struct rope *rope)
{
	const struct blob *blob = rope_base(rope);
	size_t array = rope->cap ? mem_class(rope->cap * sizeof(struct rope_leaf)) : 0;
	size_t base = blob ? mem_class(sizeof(*blob) + blob->len) : 0;

	return mem_class(sizeof(*rope)) + array + base + rope->present * mem_class(ROPE_LEAF);
}

/* --- writing --- */

/* Room in the array for `count` leaves: twice what there was, when that is enough. */
static void make_room(struct rope *rope, size_t count)
{
	if (count <= rope->cap)
		return;
	size_t cap = count > 2 * rope->cap ? count : 2 * rope->cap;
	struct rope_leaf *old = leaf_at(rope, 0);
	set_leaves(rope, leaves_copy(old, rope->cap, cap));
	mem_free(old, rope->cap * sizeof(*old));
	rope->cap = cap;
}

void rope_grow(struct rope *rope, size_t len, struct retire *r)
{
	if (len <= rope_length(rope))
		return;
	note_cut(rope, r);
	make_room(rope, leaves_for(len));
	atomic_store_explicit(&rope->len, len, memory_order_release);
}

static bool all_zero(const char *bytes, size_t len)
{
	return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* The base's bytes of a leaf that has none of its own; NULL: it is all zero. */
static const char *base_bytes(const struct blob *base, size_t base_leaves, size_t i)
{
	return base && i < base_leaves ? base->bytes + i * ROPE_LEAF : NULL;
}

/* One of its leaves less is the base's; without any it goes. */
static void leave_base(struct rope *rope, struct retire *r)
{
	struct blob *base = rope_base(rope);

	if (--rope->base_left > 0)
		return;
	set_base(rope, NULL);
	if (r && r->unit.cut != EPOCH_NONE)
		retire_blob(r, base);
	else
		blob_unref(base);
}

/* Gives an absent leaf bytes: those of the base, or zeros; none where all will be overwritten. */
static void make_leaf(struct rope *rope, size_t i, bool overwritten, struct retire *r)
{
	const char *shared = base_bytes(rope_base(rope), rope->base_leaves, i);
	char *bytes = mem_alloc(ROPE_LEAF);

	if (shared && !overwritten)
		memcpy(bytes, shared, ROPE_LEAF);
	else if (!overwritten)
		memset(bytes, 0, ROPE_LEAF);
	*leaf_at(rope, i) = (struct rope_leaf){bytes, unit_epoch(r)};
	rope->present++;
	if (shared)
		leave_base(rope, r);
}

/* Puts a copy in the place of a leaf that a snapshot may need. */
static void own_leaf(struct rope_leaf *leaf, struct retire *r)
{
	char *old = leaf->bytes;

	if (!r || !unit_frozen(&r->unit, leaf->born))
		return;
	*leaf = leaf_copy(old, r->unit.epoch);
	retire_memory(r, old, ROPE_LEAF);
}

/* Writes within one leaf. Zeros don't make one. */
static void write_piece(struct rope *rope, size_t offset, const char *bytes, size_t len,
			struct retire *r)
{
	size_t i = offset / ROPE_LEAF;

	if (leaf_at(rope, i)->bytes)
		own_leaf(leaf_at(rope, i), r);
	else if (base_bytes(rope_base(rope), rope->base_leaves, i) || !all_zero(bytes, len))
		make_leaf(rope, i, len == ROPE_LEAF, r);
	else
		return;
	memcpy(leaf_at(rope, i)->bytes + offset % ROPE_LEAF, bytes, len);
}

/* One more leaf leaves the base. */
static void move_leaf(struct rope *rope, struct retire *r)
{
	while (leaf_at(rope, rope->base_at)->bytes)
		rope->base_at++;
	make_leaf(rope, rope->base_at, false, r);
}

void rope_write(struct rope *rope, size_t offset, struct slice bytes, struct retire *r)
{
	assert(bytes.len <= SIZE_MAX - offset);
	note_cut(rope, r);
	rope_grow(rope, offset + bytes.len, r);
	for (size_t done = 0; done < bytes.len;) {
		size_t n = piece_length(offset + done, bytes.len - done);
		write_piece(rope, offset + done, bytes.ptr + done, n, r);
		done += n;
	}
	if (rope_base(rope))
		move_leaf(rope, r);
}

struct rope *rope_over(struct blob *blob, size_t len, struct retire *r)
{
	size_t leaves = blob->len / ROPE_LEAF;
	size_t shared = leaves * ROPE_LEAF;
	struct rope *rope = rope_new(len > blob->len ? len : blob->len, r);

	rope_write(rope, shared, (struct slice){blob->bytes + shared, blob->len - shared}, r);
	if (leaves > 0)
		set_base(rope, blob_ref(blob));
	rope->base_leaves = rope->base_left = leaves;
	return rope;
}

/* --- reading --- */

void rope_read(const struct rope_view *view, size_t offset, size_t len, char *out)
{
	assert(offset <= view->len && len <= view->len - offset);
	for (size_t done = 0; done < len;) {
		struct slice piece = rope_piece(view, offset + done);
		size_t n = min_size(piece.len, len - done);
		if (piece.ptr)
			memcpy(out + done, piece.ptr, n);
		else
			memset(out + done, 0, n);
		done += n;
	}
}

struct slice rope_piece(const struct rope_view *view, size_t offset)
{
	size_t i = offset / ROPE_LEAF;

	assert(offset < view->len);
	const char *bytes = view->leaves[i].bytes;
	if (!bytes)
		bytes = base_bytes(view->base, view->base_leaves, i);
	return (struct slice){bytes ? bytes + offset % ROPE_LEAF : NULL,
			      piece_length(offset, view->len - offset)};
}
