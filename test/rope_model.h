/* Ropes against a plain buffer: what the tests of ropes share. */
#ifndef TEST_ROPE_MODEL_H
#define TEST_ROPE_MODEL_H

#include "check.h"

#include "proto/mem.h"
#include "shard/retire.h"
#include "shard/rope.h"

#include <string.h>

/* What a random test's ropes grow to: some leaves and a piece. */
#define MODEL_MAX (5 * ROPE_LEAF + 123)

static inline void read_now(const struct rope *rope, size_t offset, size_t len, char *out)
{
	struct rope_view now = rope_at(rope, EPOCH_NONE);

	rope_read(&now, offset, len, out);
}

static inline struct slice piece_now(const struct rope *rope, size_t offset)
{
	struct rope_view now = rope_at(rope, EPOCH_NONE);

	return rope_piece(&now, offset);
}

/* A blob of which the caller has a reference, with bytes that differ from leaf to leaf. */
static inline struct blob *some_blob(size_t len)
{
	struct blob *blob = blob_new(len);

	for (size_t i = 0; i < len; i++)
		blob->bytes[i] = (char)(1 + i / 7 % 250 + i / ROPE_LEAF);
	return blob;
}

/* An offset likely to stand at a border of leaves. */
static inline size_t random_offset(struct check_random *random, size_t max)
{
	size_t offset = check_random_below(random, max + 1);

	if (check_random_below(random, 2))
		offset = offset / ROPE_LEAF * ROPE_LEAF + check_random_below(random, 5) - 2;
	return offset > max ? max : offset;
}

static inline void step_write(struct check_random *random, struct rope *rope, char *model,
			      size_t *len, struct retire *r)
{
	static char bytes[2 * ROPE_LEAF];
	size_t max = *len + 3 * ROPE_LEAF > MODEL_MAX ? MODEL_MAX : *len + 3 * ROPE_LEAF;
	size_t offset = random_offset(random, max);
	size_t count =
		check_random_below(random, check_random_below(random, 2) ? 20 : sizeof(bytes));

	if (count > MODEL_MAX - offset)
		count = MODEL_MAX - offset;
	memset(bytes, check_random_below(random, 4) ? (int)check_random_next(random) : 0, count);
	rope_write(rope, offset, (struct slice){bytes, count}, r);
	memcpy(model + offset, bytes, count);
	if (offset + count > *len)
		*len = offset + count;
}

static inline void step_read(struct check_random *random, const struct rope *rope,
			     const char *model, size_t len)
{
	static char out[MODEL_MAX];
	size_t offset = random_offset(random, len);
	size_t count = check_random_below(random, len - offset + 1);

	read_now(rope, offset, count, out);
	assert_memory_equal(out, model + offset, count);
	if (offset == len)
		return;
	struct slice piece = piece_now(rope, offset);
	assert_true(piece.len > 0 && piece.len <= len - offset);
	for (size_t i = 0; i < piece.len; i++)
		assert_int_equal(piece.ptr ? piece.ptr[i] : 0, model[offset + i]);
}

/* Zeros, or over a blob that nobody else holds. */
static inline struct rope *start_rope(struct check_random *random, char *model, size_t len,
				      struct retire *r)
{
	memset(model, 0, MODEL_MAX);
	if (check_random_below(random, 2))
		return rope_new(len, r);
	struct blob *blob = some_blob(check_random_below(random, len + 1));
	struct rope *rope = rope_over(blob, len, r);
	memcpy(model, blob->bytes, blob->len);
	blob_unref(blob);
	return rope;
}

#endif
