/*
 * Intsets: exact bytes (as DUMP of a Redis server shows them), and random changes against an array.
 */
#include "check.h"

#include "proto/mem.h"
#include "shard/intset.h"

#include <string.h>

#define MODEL_STEPS 1000000
#define MODEL_MAX   64

static void test_add(void **state)
{
	static const struct {
		const char *label;
		int64_t numbers[3];
		size_t count;
		struct slice bytes;
	} rows[] = {
		{"none", {0}, 0, {INTSET_EMPTY, INTSET_HEADER}},
		{"one", {1}, 1, SLICE("\2\0\0\0\1\0\0\0\1\0")},
		{"two", {1, -1}, 2, SLICE("\2\0\0\0\2\0\0\0\xff\xff\1\0")},
		{"bounds of 16 bits",
		 {32767, -32768},
		 2,
		 SLICE("\2\0\0\0\2\0\0\0\x00\x80\xff\x7f")},
		{"wider by the last", {1, 70000}, 2, SLICE("\4\0\0\0\2\0\0\0\1\0\0\0\x70\x11\1\0")},
		{"wider by the first",
		 {-1, -32769},
		 2,
		 SLICE("\4\0\0\0\2\0\0\0\xff\x7f\xff\xff\xff\xff\xff\xff")},
		{"widest",
		 {1, (int64_t)1 << 40, -5},
		 3,
		 SLICE("\10\0\0\0\3\0\0\0\xfb\xff\xff\xff\xff\xff\xff\xff\1\0\0\0\0\0\0\0"
		       "\0\0\0\0\0\1\0\0")},
		{"first beyond 32 bits",
		 {2147483648},
		 1,
		 SLICE("\10\0\0\0\1\0\0\0\0\0\0\x80\0\0\0\0")},
		{"last within 32 bits", {-2147483648}, 1, SLICE("\4\0\0\0\1\0\0\0\0\0\0\x80")},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char set[64] = INTSET_EMPTY;

		print_message("# %s\n", rows[i].label);
		for (size_t k = 0; k < rows[i].count; k++) {
			size_t index, bytes = intset_add_bytes(set, rows[i].numbers[k]);

			assert_false(intset_find(set, rows[i].numbers[k], &index));
			intset_add(set, set, index, rows[i].numbers[k]);
			assert_int_equal(intset_bytes(set), bytes);
		}
		assert_int_equal(intset_bytes(set), rows[i].bytes.len);
		assert_memory_equal(set, rows[i].bytes.ptr, rows[i].bytes.len);
		assert_true(intset_valid((struct slice){set, intset_bytes(set)}));
	}
}

static void test_valid(void **state)
{
	static const struct {
		const char *label;
		struct slice bytes;
		bool valid;
	} rows[] = {
		{"nothing", SLICE(""), false},
		{"empty", {INTSET_EMPTY, INTSET_HEADER}, true},
		{"header cut", SLICE("\2\0\0\0\0\0\0"), false},
		{"width 0", SLICE("\0\0\0\0\1\0\0\0"), false},
		{"width 3", SLICE("\3\0\0\0\1\0\0\0\1\0\0"), false},
		{"integer cut", SLICE("\2\0\0\0\1\0\0\0\1"), false},
		{"integer missing", SLICE("\2\0\0\0\2\0\0\0\1\0"), false},
		{"a byte more", SLICE("\2\0\0\0\1\0\0\0\1\0\0"), false},
		{"the largest count", SLICE("\10\0\0\0\xff\xff\xff\xff"), false},
		{"ascending", SLICE("\2\0\0\0\2\0\0\0\xff\xff\1\0"), true},
		{"descending", SLICE("\2\0\0\0\2\0\0\0\1\0\xff\xff"), false},
		{"twice the same", SLICE("\2\0\0\0\2\0\0\0\1\0\1\0"), false},
		{"wider than need be", SLICE("\4\0\0\0\1\0\0\0\1\0\0\0"), true},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice bytes = rows[i].bytes;
		char *copy = mem_alloc(bytes.len > 0 ? bytes.len : 1);

		memcpy(copy, bytes.ptr, bytes.len);
		print_message("# %s\n", rows[i].label);
		assert_int_equal(intset_valid((struct slice){copy, bytes.len}), rows[i].valid);
		mem_free_unsized(copy);
	}
}

/* Sorted, different; the width only grows until the set is begun anew. */
struct model {
	int64_t numbers[MODEL_MAX];
	size_t count;
	size_t width;
};

static void check_same(const char *set, const struct model *model)
{
	assert_int_equal(intset_count(set), model->count);
	assert_int_equal(intset_bytes(set), INTSET_HEADER + model->count * model->width);
	assert_true(intset_valid((struct slice){set, intset_bytes(set)}));
	for (size_t i = 0; i < model->count; i++)
		assert_int_equal(intset_get(set, i), model->numbers[i]);
}

static bool model_find(const struct model *model, int64_t n, size_t *index)
{
	for (*index = 0; *index < model->count && model->numbers[*index] < n;)
		++*index;
	return *index < model->count && model->numbers[*index] == n;
}

static void model_add(struct model *model, size_t index, int64_t n)
{
	size_t width = n == (int16_t)n ? 2 : n == (int32_t)n ? 4 : 8;

	memmove(&model->numbers[index + 1], &model->numbers[index],
		(model->count - index) * sizeof(n));
	model->numbers[index] = n;
	model->count++;
	model->width = width > model->width ? width : model->width;
}

static void model_remove(struct model *model, size_t index)
{
	model->count--;
	memmove(&model->numbers[index], &model->numbers[index + 1],
		(model->count - index) * sizeof(int64_t));
}

/* Adds or removes n, to memory of exactly its size or in place; returns the set. */
static char *step(struct check_random *random, char *set, struct model *model, int64_t n)
{
	bool elsewhere = check_random_below(random, 2);
	size_t old = intset_bytes(set), index, found, bytes;
	bool present = model_find(model, n, &index);
	char *out;

	assert_int_equal(intset_find(set, n, &found), present);
	assert_int_equal(found, index);
	if (!present && model->count == MODEL_MAX)
		return set;
	bytes = present ? intset_remove_bytes(set) : intset_add_bytes(set, n);
	out = elsewhere ? mem_alloc(bytes) : mem_realloc(set, bytes > old ? bytes : old);
	if (present)
		intset_remove(out, elsewhere ? set : out, index);
	else
		intset_add(out, elsewhere ? set : out, index, n);
	if (elsewhere)
		mem_free(set, old);
	else
		out = mem_realloc(out, bytes);
	if (present)
		model_remove(model, index);
	else
		model_add(model, index, n);
	return out;
}

static void test_model(void **state)
{
	struct check_random random = check_random_start();
	struct model model = {.width = 2};
	char *set = mem_alloc(INTSET_HEADER);
	unsigned bits = 7;

	memcpy(set, INTSET_EMPTY, INTSET_HEADER);
	for (int i = 0; i < MODEL_STEPS; i++) {
		int64_t n = check_random_next(&random);

		if (i % 500 == 0) {
			mem_free(set, intset_bytes(set));
			set = mem_alloc(INTSET_HEADER);
			memcpy(set, INTSET_EMPTY, INTSET_HEADER);
			model = (struct model){.width = 2};
		}
		if (i % 100 == 0)
			bits = 1 + check_random_below(&random, 64);
		if (model.count > 0 && check_random_below(&random, 4) == 0)
			n = model.numbers[check_random_below(&random, model.count)];
		else
			n >>= 64 - bits;
		set = step(&random, set, &model, n);
		if (i % 32 == 0)
			check_same(set, &model);
	}
	mem_free(set, intset_bytes(set));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
