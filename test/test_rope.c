/* Ropes against a plain buffer; and that what was never written takes no memory. */
#include "check.h"

#include "proto/mem.h"
#include "shard/rope.h"

#include <string.h>

/* What a random test's ropes grow to: some leaves and a piece. */
#define MODEL_MAX   (5 * ROPE_LEAF + 123)
#define MODEL_STEPS 4000

static void check_equal(const struct rope *rope, const char *model, size_t len)
{
	char *copy = mem_alloc(len + 1);

	assert_int_equal(rope_length(rope), len);
	rope_read(rope, 0, len, copy);
	assert_memory_equal(copy, model, len);
	mem_free(copy, len + 1);
}

static void test_writes(void **state)
{
	static const struct {
		const char *label;
		size_t len, offset, count;
		size_t len_after, leaves_after;
	} rows[] = {
		{"nothing into nothing", 0, 0, 0, 0, 0},
		{"one byte", 0, 0, 1, 1, 1},
		{"a whole leaf", 0, 0, ROPE_LEAF, ROPE_LEAF, 1},
		{"a byte more than a leaf", 0, 0, ROPE_LEAF + 1, ROPE_LEAF + 1, 2},
		{"the last byte of a leaf", 0, ROPE_LEAF - 1, 1, ROPE_LEAF, 1},
		{"the first of the next", 0, ROPE_LEAF, 1, ROPE_LEAF + 1, 1},
		{"across a border", 0, ROPE_LEAF - 1, 2, ROPE_LEAF + 1, 2},
		{"within", 10 * ROPE_LEAF, 5 * ROPE_LEAF + 7, 9, 10 * ROPE_LEAF, 1},
		{"beyond the end", 100, 3 * ROPE_LEAF, 4, 3 * ROPE_LEAF + 4, 1},
		{"nothing beyond the end", 100, 3 * ROPE_LEAF, 0, 3 * ROPE_LEAF, 0},
		{"over three leaves", 0, 5, 2 * ROPE_LEAF, 2 * ROPE_LEAF + 5, 3},
	};
	static char bytes[2 * ROPE_LEAF];
	static char model[11 * ROPE_LEAF];

	memset(bytes, 'x', sizeof(bytes));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct rope *rope = rope_new(rows[i].len);
		memset(model, 0, sizeof(model));
		memcpy(model + rows[i].offset, bytes, rows[i].count);
		print_message("# %s\n", rows[i].label);
		rope_write(rope, rows[i].offset, (struct slice){bytes, rows[i].count});
		check_equal(rope, model, rows[i].len_after);
		assert_int_equal(rope->present, rows[i].leaves_after);
		rope_free(rope);
	}
}

static void test_zeros_take_no_leaf(void **state)
{
	static const char zeros[3 * ROPE_LEAF];
	struct rope *rope = rope_new(0);

	rope_write(rope, 100, (struct slice){zeros, sizeof(zeros)});
	assert_int_equal(rope_length(rope), 100 + sizeof(zeros));
	assert_int_equal(rope->present, 0);
	rope_write(rope, 200, SLICE("ab"));
	rope_write(rope, 200, (struct slice){zeros, 1});
	char out[3];
	rope_read(rope, 199, 3, out);
	assert_memory_equal(out, "\0\0b", 3);
	assert_int_equal(rope->present, 1);
	rope_free(rope);
}

/* A bit at 2^32-1: one leaf and the array, and absent pieces for all the rest. */
static void test_sparse(void **state)
{
	size_t len = (size_t)512 << 20;
	struct rope *rope = rope_new(0);
	size_t absent = 0;

	rope_write(rope, len - 1, SLICE("\1"));
	assert_int_equal(rope_length(rope), len);
	assert_true(rope_memory(rope) < 1 << 20);
	for (size_t at = 0; at < len;) {
		struct slice piece = rope_piece(rope, at);
		assert_int_equal(piece.len, ROPE_LEAF);
		absent += piece.ptr == NULL;
		at += piece.len;
	}
	assert_int_equal(absent, len / ROPE_LEAF - 1);
	rope_free(rope);
	rope_free(NULL);
}

static void test_memory_follows_leaves(void **state)
{
	struct rope *rope = rope_new(8 * ROPE_LEAF);
	size_t before = rope_memory(rope);

	for (size_t i = 0; i < 8; i += 2)
		rope_write(rope, i * ROPE_LEAF + 1, SLICE("x"));
	assert_int_equal(rope_memory(rope), before + 4 * mem_class(ROPE_LEAF));
	rope_free(rope);
}

/* An offset likely to stand at a border of leaves. */
static size_t random_offset(struct check_random *random, size_t max)
{
	size_t offset = check_random_below(random, max + 1);

	if (check_random_below(random, 2))
		offset = offset / ROPE_LEAF * ROPE_LEAF + check_random_below(random, 5) - 2;
	return offset > max ? max : offset;
}

static void step_write(struct check_random *random, struct rope *rope, char *model, size_t *len)
{
	static char bytes[2 * ROPE_LEAF];
	size_t max = *len + 3 * ROPE_LEAF > MODEL_MAX ? MODEL_MAX : *len + 3 * ROPE_LEAF;
	size_t offset = random_offset(random, max);
	size_t count =
		check_random_below(random, check_random_below(random, 2) ? 20 : sizeof(bytes));

	if (count > MODEL_MAX - offset)
		count = MODEL_MAX - offset;
	memset(bytes, check_random_below(random, 4) ? (int)check_random_next(random) : 0, count);
	rope_write(rope, offset, (struct slice){bytes, count});
	memcpy(model + offset, bytes, count);
	if (offset + count > *len)
		*len = offset + count;
}

static void step_read(struct check_random *random, const struct rope *rope, const char *model,
		      size_t len)
{
	static char out[MODEL_MAX];
	size_t offset = random_offset(random, len);
	size_t count = check_random_below(random, len - offset + 1);

	rope_read(rope, offset, count, out);
	assert_memory_equal(out, model + offset, count);
	if (offset == len)
		return;
	struct slice piece = rope_piece(rope, offset);
	assert_true(piece.len > 0 && piece.len <= len - offset);
	for (size_t i = 0; i < piece.len; i++)
		assert_int_equal(piece.ptr ? piece.ptr[i] : 0, model[offset + i]);
}

static void test_model(void **state)
{
	struct check_random random = check_random_start();
	static char model[MODEL_MAX];
	struct rope *rope = rope_new(0);
	size_t len = 0;

	for (int i = 0; i < MODEL_STEPS; i++) {
		switch (check_random_below(&random, i % 400 == 399 ? 1 : 8)) {
		case 0:
			rope_free(rope);
			len = check_random_below(&random, MODEL_MAX / 2);
			rope = rope_new(len);
			memset(model, 0, sizeof(model));
			break;
		case 1: {
			size_t to = check_random_below(&random, MODEL_MAX);
			rope_grow(rope, to);
			len = to > len ? to : len;
			break;
		}
		case 2: {
			struct rope *copy = rope_copy(rope);
			assert_int_equal(copy->present, rope->present);
			rope_free(rope);
			rope = copy;
			break;
		}
		case 3:
		case 4:
			step_read(&random, rope, model, len);
			break;
		default:
			step_write(&random, rope, model, &len);
		}
	}
	check_equal(rope, model, len);
	rope_free(rope);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writes), cmocka_unit_test(test_zeros_take_no_leaf),
		cmocka_unit_test(test_sparse), cmocka_unit_test(test_memory_follows_leaves),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
