/*
 * Ropes against a plain buffer; and that what was never written takes no memory. test_rope_freeze.c
 * does it with snapshots.
 */
#include "rope_model.h"

#define MODEL_STEPS 4000

static void check_equal(const struct rope *rope, const char *model, size_t len)
{
	char *copy = mem_alloc(len + 1);

	assert_int_equal(rope_length(rope), len);
	read_now(rope, 0, len, copy);
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
		struct rope *rope = rope_new(rows[i].len, NULL);
		memset(model, 0, sizeof(model));
		memcpy(model + rows[i].offset, bytes, rows[i].count);
		print_message("# %s\n", rows[i].label);
		rope_write(rope, rows[i].offset, (struct slice){bytes, rows[i].count}, NULL);
		check_equal(rope, model, rows[i].len_after);
		assert_int_equal(rope->present, rows[i].leaves_after);
		rope_free(rope);
	}
}

static void test_zeros_take_no_leaf(void **state)
{
	static const char zeros[3 * ROPE_LEAF];
	struct rope *rope = rope_new(0, NULL);

	rope_write(rope, 100, (struct slice){zeros, sizeof(zeros)}, NULL);
	assert_int_equal(rope_length(rope), 100 + sizeof(zeros));
	assert_int_equal(rope->present, 0);
	rope_write(rope, 200, SLICE("ab"), NULL);
	rope_write(rope, 200, (struct slice){zeros, 1}, NULL);
	char out[3];
	read_now(rope, 199, 3, out);
	assert_memory_equal(out, "\0\0b", 3);
	assert_int_equal(rope->present, 1);
	rope_free(rope);
}

/* A bit at 2^32-1: one leaf and the array, and absent pieces for all the rest. */
static void test_sparse(void **state)
{
	size_t len = (size_t)512 << 20;
	struct rope *rope = rope_new(0, NULL);
	size_t absent = 0;

	rope_write(rope, len - 1, SLICE("\1"), NULL);
	assert_int_equal(rope_length(rope), len);
	assert_true(rope_memory(rope) < 1 << 20);
	for (size_t at = 0; at < len;) {
		struct slice piece = piece_now(rope, at);
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
	struct rope *rope = rope_new(8 * ROPE_LEAF, NULL);
	size_t before = rope_memory(rope);

	for (size_t i = 0; i < 8; i += 2)
		rope_write(rope, i * ROPE_LEAF + 1, SLICE("x"), NULL);
	assert_int_equal(rope_memory(rope), before + 4 * mem_class(ROPE_LEAF));
	rope_free(rope);
}

/* Over a blob only what is written, one leaf more, and the piece at its end are copied. */
static void test_over_a_blob(void **state)
{
	static const struct {
		const char *label;
		size_t blob, len, offset, count;
		size_t leaves; /* afterwards */
	} rows[] = {
		{"nothing", 4 * ROPE_LEAF, 0, 0, 0, 1},
		{"a byte at the start", 4 * ROPE_LEAF, 0, 0, 1, 2},
		{"a byte in the last leaf", 4 * ROPE_LEAF, 0, 4 * ROPE_LEAF - 1, 1, 2},
		{"across a border", 4 * ROPE_LEAF, 0, 2 * ROPE_LEAF - 1, 2, 3},
		{"a whole leaf", 4 * ROPE_LEAF, 0, 2 * ROPE_LEAF, ROPE_LEAF, 2},
		{"behind its end", 4 * ROPE_LEAF, 0, 4 * ROPE_LEAF, 1, 2},
		{"behind its end, within the leaf", 4 * ROPE_LEAF + 5, 0, 4 * ROPE_LEAF + 5, 1, 2},
		{"far behind its end", 4 * ROPE_LEAF, 9 * ROPE_LEAF, 8 * ROPE_LEAF, 1, 2},
		{"all of it", 4 * ROPE_LEAF, 0, 0, 4 * ROPE_LEAF, 4},
		{"less than a leaf", 5, 100, 50, 1, 1},
	};
	static char bytes[4 * ROPE_LEAF];
	static char model[11 * ROPE_LEAF];

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct blob *blob = some_blob(rows[i].blob);
		struct rope *rope = rope_over(blob, rows[i].len, NULL);
		size_t len = rows[i].len > rows[i].blob ? rows[i].len : rows[i].blob;
		memset(model, 0, sizeof(model));
		memcpy(model, blob->bytes, rows[i].blob);
		check_equal(rope, model, len);
		memcpy(model + rows[i].offset, bytes, rows[i].count);
		if (rows[i].offset + rows[i].count > len)
			len = rows[i].offset + rows[i].count;
		rope_write(rope, rows[i].offset, (struct slice){bytes, rows[i].count}, NULL);
		check_equal(rope, model, len);
		if (rope->present != rows[i].leaves)
			fail_msg("%s: %zu leaves", rows[i].label, rope->present);
		rope_free(rope);
		assert_int_equal(blob->refs, 1);
		blob_unref(blob);
	}
}

/* Whatever is written: after as many writes as it has leaves the blob is gone. */
static void test_blob_goes(void **state)
{
	enum { LEAVES = 50 };
	struct blob *blob = some_blob(LEAVES * ROPE_LEAF + 3);
	struct rope *rope = rope_over(blob, 0, NULL);
	char *model = mem_alloc(blob->len);

	(void)state;
	memcpy(model, blob->bytes, blob->len);
	assert_int_equal(blob->refs, 2);
	size_t with_base = rope_memory(rope);
	for (int i = 0; i < LEAVES; i++) {
		assert_int_equal(blob->refs, 2);
		rope_write(rope, 3 * ROPE_LEAF + i, SLICE("y"), NULL);
		model[3 * ROPE_LEAF + i] = 'y';
		if (rope->present == LEAVES + 1)
			break;
	}
	assert_int_equal(blob->refs, 1);
	assert_true(rope_memory(rope) < with_base + ROPE_LEAF * 2);
	check_equal(rope, model, blob->len);
	mem_free(model, blob->len);
	rope_free(rope);
	blob_unref(blob);
}

static void test_model(void **state)
{
	struct check_random random = check_random_start();
	static char model[MODEL_MAX];
	struct rope *rope = rope_new(0, NULL);
	size_t len = 0;

	for (int i = 0; i < MODEL_STEPS; i++) {
		switch (check_random_below(&random, i % 400 == 399 ? 1 : 8)) {
		case 0:
			rope_free(rope);
			len = check_random_below(&random, MODEL_MAX / 2);
			rope = start_rope(&random, model, len, NULL);
			break;
		case 1: {
			size_t to = check_random_below(&random, MODEL_MAX);
			rope_grow(rope, to, NULL);
			len = to > len ? to : len;
			break;
		}
		case 2: {
			struct rope *copy = rope_copy(rope, NULL);
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
			step_write(&random, rope, model, &len, NULL);
		}
	}
	check_equal(rope, model, len);
	rope_free(rope);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writes),      cmocka_unit_test(test_zeros_take_no_leaf),
		cmocka_unit_test(test_sparse),      cmocka_unit_test(test_memory_follows_leaves),
		cmocka_unit_test(test_over_a_blob), cmocka_unit_test(test_blob_goes),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
