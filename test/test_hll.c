/*
 * HyperLogLogs: the bytes that Redis makes of some additions, random ones against an array of
 * registers, and values that are damaged.
 */
#include "check.h"

#include "shard/hll.h"

#include <math.h>
#include <string.h>

#define MODEL_ROUNDS   40
#define MODEL_STEPS    4000
#define DAMAGED_ROUNDS 20000

#define HEADER         "HYLL\1\0\0\0\0\0\0\0\0\0\0\0"

static const struct {
	const char *label;
	const char *elements[6]; /* ends with NULL */
	struct slice bytes;
} exact[] = {
	{"none", {NULL}, SLICE(HEADER "\x7f\xff")},
	{"1 2 3", {"1", "2", "3"}, SLICE(HEADER "\x5d\x66\x80\x4d\x74\x80\x51\x2c\x8c\x43\xf3")},
	{"a b c d",
	 {"a", "b", "c", "d"},
	 SLICE(HEADER "\x5c\x7b\x80\x44\x76\x80\x50\xb1\x84\x4b\xfb\x80\x42\x5a")},
};

static void test_exact(void **state)
{
	for (size_t i = 0; i < COUNT_OF(exact); i++) {
		struct hll h;
		print_message("# %s\n", exact[i].label);
		hll_init(&h);
		for (size_t k = 0; exact[i].elements[k]; k++)
			assert_int_equal(hll_add(&h, slice_of(exact[i].elements[k]), 3000),
					 HLL_CHANGED);
		assert_int_equal(h.len, exact[i].bytes.len);
		assert_memory_equal(h.bytes, exact[i].bytes.ptr, h.len);
	}
}

static void test_recognize(void **state)
{
	static char dense[HLL_DENSE_BYTES + 1] = "HYLL";
	static char sparse[HLL_BYTES_MAX + 1] = HEADER;
	static const struct {
		const char *label;
		struct slice value;
		bool expected;
	} rows[] = {
		{"empty", SLICE(""), false},
		{"header", SLICE(HEADER), true},
		{"short header", {HEADER, 15}, false},
		{"other magic", SLICE("HYLK\1\0\0\0\0\0\0\0\0\0\0\0"), false},
		{"other encoding", SLICE("HYLL\2\0\0\0\0\0\0\0\0\0\0\0"), false},
		{"dense", {dense, HLL_DENSE_BYTES}, true},
		{"dense and long", {dense, HLL_DENSE_BYTES + 1}, false},
		{"dense and short", {dense, HLL_DENSE_BYTES - 1}, false},
		{"sparse and long", {sparse, HLL_BYTES_MAX}, true},
		{"sparse and too long", {sparse, HLL_BYTES_MAX + 1}, false},
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		print_message("# %s\n", rows[i].label);
		assert_true(hll_recognize(rows[i].value) == rows[i].expected);
	}
}

static void check_registers(const struct hll *h, const uint8_t *model)
{
	uint8_t found[HLL_REGISTERS] = {0};
	assert_true(hll_recognize(hll_slice(h)));
	assert_true(hll_merge(found, hll_slice(h)));
	assert_memory_equal(found, model, sizeof(found));
}

/* Random raises against an array of registers; sparse ones stay within their size. */
static void test_model(void **state)
{
	struct check_random random = check_random_start();
	for (int round = 0; round < MODEL_ROUNDS; round++) {
		uint8_t model[HLL_REGISTERS] = {0};
		size_t bytes_max = check_random_below(&random, 20000);
		uint32_t range = 1 + (uint32_t)check_random_below(&random, HLL_REGISTERS);
		uint8_t value_max = check_random_below(&random, 2) ? 3 : 33;
		struct hll h;
		hll_init(&h);
		for (int step = 0; step < MODEL_STEPS; step++) {
			uint32_t i = (uint32_t)check_random_below(&random, range);
			uint8_t value = 1 + (uint8_t)check_random_below(&random, value_max);
			bool was_dense = hll_dense(hll_slice(&h));
			enum hll_change change = hll_raise(&h, i, value, bytes_max);
			assert_int_equal(change, value > model[i] ? HLL_CHANGED : HLL_SAME);
			model[i] = value > model[i] ? value : model[i];
			assert_false(was_dense && !hll_dense(hll_slice(&h)));
			assert_true(hll_dense(hll_slice(&h)) || h.len <= bytes_max ||
				    h.len <= HLL_HEADER_BYTES + 2);
			if (step % 97 == 0)
				check_registers(&h, model);
		}
		check_registers(&h, model);
		assert_true(hll_make_dense(&h));
		check_registers(&h, model);
	}
}

/* What hll_foresee says is what hll_add then does. */
static void test_foresee(void **state)
{
	struct check_random random = check_random_start();
	struct hll h;
	hll_init(&h);
	for (int i = 0; i < 20000; i++) {
		uint64_t element = check_random_below(&random, 30000);
		struct slice bytes = {(const char *)&element, 1 + element % 8};
		enum hll_change foreseen = hll_foresee(hll_slice(&h), bytes);
		assert_int_equal(hll_add(&h, bytes, 3000), foreseen);
		assert_int_equal(hll_foresee(hll_slice(&h), bytes), HLL_SAME);
	}
	assert_true(hll_dense(hll_slice(&h)));
}

static void test_estimate(void **state)
{
	struct hll h;
	uint64_t next = 1;
	hll_init(&h);
	for (uint64_t i = 1; i <= 1000000; i++) {
		hll_add(&h, (struct slice){(const char *)&i, sizeof(i)}, 3000);
		if (i < next)
			continue;
		uint8_t registers[HLL_REGISTERS] = {0};
		assert_true(hll_merge(registers, hll_slice(&h)));
		double error = fabs((double)hll_estimate(registers) - (double)i);
		assert_true(error <= ceil(6 * 1.04 / 128 * (double)i));
		next *= 10;
	}
}

static void test_estimate_ends(void **state)
{
	uint8_t registers[HLL_REGISTERS];
	memset(registers, 0, sizeof(registers));
	assert_int_equal(hll_estimate(registers), 0);
	memset(registers, 51, sizeof(registers));
	assert_int_equal(hll_estimate(registers), (uint64_t)1 << 63);
	memset(registers, 63, sizeof(registers));
	assert_int_equal(hll_estimate(registers), (uint64_t)1 << 63);
}

static void test_cache(void **state)
{
	struct hll h;
	uint64_t estimate;
	hll_init(&h);
	assert_true(hll_cached(hll_slice(&h), &estimate));
	assert_int_equal(estimate, 0);
	hll_cache(&h, 0x0123456789abcdef);
	assert_true(hll_cached(hll_slice(&h), &estimate));
	assert_int_equal(estimate, 0x0123456789abcdef);
	hll_uncache(&h);
	assert_false(hll_cached(hll_slice(&h), &estimate));
}

/*
 * Whatever is in it, it is read to its end and written to within its bounds (the sanitizers look).
 */
static void test_damaged(void **state)
{
	struct check_random random = check_random_start();
	for (int round = 0; round < DAMAGED_ROUNDS; round++) {
		uint8_t registers[HLL_REGISTERS] = {0};
		struct hll h;
		hll_init(&h);
		size_t extra = check_random_below(&random, 40);
		for (size_t i = 0; i < extra; i++)
			h.bytes[h.len++] = (uint8_t)check_random_next(&random);
		if (check_random_below(&random, 2))
			h.bytes[HLL_HEADER_BYTES] = (uint8_t)check_random_next(&random);
		/* in memory of just its size, so that a step beyond it is noticed */
		char *copy = test_malloc(h.len);
		memcpy(copy, h.bytes, h.len);
		struct slice value = {copy, h.len};
		bool good = hll_merge(registers, value);
		for (int i = 0; i < 20; i++) {
			uint64_t element = check_random_next(&random);
			struct slice bytes = {(const char *)&element, sizeof(element)};
			assert_true(!good || hll_foresee(value, bytes) != HLL_CORRUPTED);
			assert_true(!good || hll_add(&h, bytes, 60) != HLL_CORRUPTED);
			hll_foresee(value, bytes);
			hll_add(&h, bytes, 60);
		}
		assert_true(!hll_dense(hll_slice(&h)) || good);
		test_free(copy);
	}
	/* the longest there may be: it can't get longer */
	static char zeros[HLL_BYTES_MAX] = HEADER "\x40\x00\x40\x00\x40\x01";
	struct hll h;
	hll_load(&h, (struct slice){zeros, sizeof(zeros)});
	assert_int_equal(hll_raise(&h, 2, 2, INT64_MAX), HLL_CHANGED);
	assert_int_equal(hll_raise(&h, 12, 2, INT64_MAX), HLL_CHANGED);
	assert_true(h.len <= HLL_BYTES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact),    cmocka_unit_test(test_recognize),
		cmocka_unit_test(test_model),    cmocka_unit_test(test_foresee),
		cmocka_unit_test(test_estimate), cmocka_unit_test(test_estimate_ends),
		cmocka_unit_test(test_cache),    cmocka_unit_test(test_damaged),
	};
	return cmocka_run_group_tests_name("hll", tests, NULL, NULL);
}
