/*
 * RDB's bytes: lengths, strings, doubles as they are written, read and stepped over; what is
 * broken.
 */
#include "shard/rdb.h"
#include "test/check.h"

#include "proto/mem.h"

#include <math.h>
#include <string.h>

#define BYTES(literal) ((struct slice){(literal), sizeof(literal) - 1})

static struct slice written(const struct rdb_out *out)
{
	return (struct slice){out->bytes, out->len};
}

static void check_bytes(const char *label, struct slice got, struct slice expected)
{
	if (!slice_equal(got, expected))
		fail_msg("%s: %zu bytes, not the %zu expected", label, got.len, expected.len);
}

static const struct {
	uint64_t n;
	struct slice bytes;
} lengths[] = {
	{0, BYTES("\0")},
	{63, BYTES("\77")},
	{64, BYTES("\100\100")},
	{16383, BYTES("\177\377")},
	{16384, BYTES("\200\0\0\100\0")},
	{UINT32_MAX, BYTES("\200\377\377\377\377")},
	{1ull << 32, BYTES("\201\0\0\0\1\0\0\0\0")},
	{UINT64_MAX, BYTES("\201\377\377\377\377\377\377\377\377")},
};

static void test_lengths(void **state)
{
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		struct rdb_out out = {0};
		struct rdb_in in = rdb_in_of(lengths[i].bytes, SIZE_MAX);
		uint64_t n;

		rdb_write_length(&out, lengths[i].n);
		check_bytes("length", written(&out), lengths[i].bytes);
		assert_true(rdb_read_length(&in, &n));
		assert_true(n == lengths[i].n);
		assert_ptr_equal(in.at, in.end);
		rdb_out_deinit(&out);
	}
}

static const struct {
	const char *text;
	struct slice bytes;
} strings[] = {
	{"", BYTES("\0")},
	{"a", BYTES("\1a")},
	{"0", BYTES("\300\0")},
	{"127", BYTES("\300\177")},
	{"-128", BYTES("\300\200")},
	{"128", BYTES("\301\200\0")},
	{"-32768", BYTES("\301\0\200")},
	{"32768", BYTES("\302\0\200\0\0")},
	{"-2147483648", BYTES("\302\0\0\0\200")},
	{"2147483648", BYTES("\12"
			     "2147483648")},
	{"007", BYTES("\3"
		      "007")},
	{"-0", BYTES("\2-0")},
	{"+1", BYTES("\2+1")},
	{"aaaaaaaaaaaaaaaaaaaa", BYTES("\24aaaaaaaaaaaaaaaaaaaa")}, /* not worth packing */
};

static void check_read(const char *label, struct slice bytes, struct slice expected)
{
	struct rdb_in in = rdb_in_of(bytes, SIZE_MAX), over = in;
	struct rdb_string string = {0};

	assert_true(rdb_read_string(&in, &string));
	check_bytes(label, string.text, expected);
	assert_ptr_equal(in.at, in.end);
	assert_true(rdb_skip(&over, "s"));
	assert_ptr_equal(over.at, over.end);
	rdb_string_deinit(&string);
}

static void test_strings(void **state)
{
	for (size_t i = 0; i < COUNT_OF(strings); i++) {
		struct rdb_out out = {.compress = true};

		rdb_write_string(&out, slice_of(strings[i].text));
		check_bytes(strings[i].text, written(&out), strings[i].bytes);
		check_read(strings[i].text, strings[i].bytes, slice_of(strings[i].text));
		rdb_out_deinit(&out);
	}
}

/* Text that repeats itself is packed, where that is wanted; other text isn't. */
static void test_compression(void **state)
{
	struct check_random random = check_random_start();
	static char text[70000];

	for (int round = 0; round < 200; round++) {
		size_t len = check_random_below(&random, sizeof(text));
		bool repeats = round % 2;
		for (size_t i = 0; i < len; i++)
			text[i] = repeats ? "abcdefg"[i % 7] : (char)check_random_next(&random);
		struct rdb_out out = {.compress = round % 4 < 3};
		rdb_write_blob(&out, (struct slice){text, len});
		if (repeats && out.compress && len > 1000)
			assert_true(out.len < len / 10);
		else if (!repeats)
			assert_true(out.len >= len);
		check_read("random", written(&out), (struct slice){text, len});
		rdb_out_deinit(&out);
	}
}

static void test_doubles(void **state)
{
	static const double doubles[] = {0, -0.0, 1.5, -1e300, INFINITY, -INFINITY};
	static const struct {
		struct slice bytes;
		double d;
	} texts[] = {
		{BYTES("\1"
		       "0"),
		 0},
		{BYTES("\4"
		       "-1.5"),
		 -1.5},
		{BYTES("\376"), INFINITY},
		{BYTES("\377"), -INFINITY},
		{BYTES("\5"
		       "1e300"),
		 1e300},
	};
	double d;

	for (size_t i = 0; i < COUNT_OF(doubles); i++) {
		struct rdb_out out = {0};
		rdb_write_double(&out, doubles[i]);
		struct rdb_in in = rdb_in_of(written(&out), SIZE_MAX);
		assert_true(rdb_read_double(&in, &d));
		assert_memory_equal(&d, &doubles[i], sizeof(d));
		rdb_out_deinit(&out);
	}
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct rdb_in in = rdb_in_of(texts[i].bytes, SIZE_MAX), over = in;
		assert_true(rdb_read_double_text(&in, &d) && d == texts[i].d);
		assert_true(rdb_skip(&over, "d") && over.at == over.end);
	}
	struct rdb_in in = rdb_in_of(BYTES("\375"), SIZE_MAX);
	assert_true(rdb_read_double_text(&in, &d) && isnan(d));
}

/* What a string may not be. */
static const struct {
	const char *label;
	struct slice bytes;
} broken[] = {
	{"nothing", BYTES("")},
	{"no such form", BYTES("\202\0\0\0\0")},
	{"no such number", BYTES("\304\0\0\0\0")},
	{"cut length", BYTES("\200\0\0\0")},
	{"cut text", BYTES("\3ab")},
	{"cut number", BYTES("\302\0\0\0")},
	{"much more than there is", BYTES("\201\377\377\377\377\377\377\377\377a")},
	{"packed, of no length", BYTES("\303\1\0a")},
	{"packed, longer than can be", BYTES("\303\3\200\377\377\377\377abc")},
	{"packed, damaged", BYTES("\303\3\10\377\377\377")},
	{"packed, other length", BYTES("\303\3\10\1ab")},
};

static void test_broken(void **state)
{
	for (size_t i = 0; i < COUNT_OF(broken); i++) {
		struct rdb_in in = rdb_in_of(broken[i].bytes, SIZE_MAX);
		struct rdb_string string = {0};
		uint8_t byte;

		if (rdb_read_string(&in, &string))
			fail_msg("%s: was read", broken[i].label);
		assert_non_null(in.error);
		assert_false(rdb_read_byte(&in, &byte)); /* it stays broken */
		rdb_string_deinit(&string);
	}
	struct rdb_in in = rdb_in_of(BYTES("\5abcde"), 4);
	struct rdb_string string = {0};
	assert_false(rdb_read_string(&in, &string));
}

/* Values that are only stepped over: the whole of it, and nothing less. */
static const struct {
	const char *label;
	uint8_t type;
	struct slice bytes;
} skipped[] = {
	{"string", RDB_STRING, BYTES("\3abc")},
	{"list", RDB_LIST, BYTES("\2\1a\300\1")},
	{"sorted set", RDB_ZSET, BYTES("\2\1a\0031.5\1b\376")},
	{"sorted set of doubles", RDB_ZSET_2, BYTES("\1\1a12345678")},
	{"hash with times", RDB_HASH_FIELDS, BYTES("12345678\2\0\1a\1b\5\1c\1d")},
	{"quicklist", RDB_LIST_QUICKLIST_2, BYTES("\2\1\1a\2\3abc")},
	{"module", RDB_MODULE_2,
	 BYTES("\201"
	       "12345678"
	       "\1\5\2\6\3abcd\4abcdefgh\5\3abc\0")},
	{"stream", RDB_STREAM,
	 BYTES("\1\1k\3abc"
	       "\1\2\3"
	       "\1\1g\4\5"
	       "\1"
	       "0123456789abcdef"
	       "01234567"
	       "\1"
	       "\1"
	       "\1c"
	       "01234567"
	       "\1"
	       "0123456789abcdef")},
	{"stream of 7.0", RDB_STREAM_2,
	 BYTES("\1\1k\3abc"
	       "\1\2\3\1\1\0\0\1"
	       "\1\1g\4\5\1"
	       "\1"
	       "0123456789abcdef"
	       "01234567"
	       "\1"
	       "\1"
	       "\1c"
	       "01234567"
	       "\1"
	       "0123456789abcdef")},
	{"stream of 7.2", RDB_STREAM_3,
	 BYTES("\1\1k\3abc"
	       "\1\2\3\1\1\0\0\1"
	       "\1\1g\4\5\1"
	       "\1"
	       "0123456789abcdef"
	       "01234567"
	       "\1"
	       "\1"
	       "\1c"
	       "0123456789abcdef"
	       "\1"
	       "0123456789abcdef")},
};

static void test_skip(void **state)
{
	for (size_t i = 0; i < COUNT_OF(skipped); i++) {
		struct slice bytes = skipped[i].bytes;

		for (size_t len = 0; len <= bytes.len; len++) {
			struct rdb_in in = rdb_in_of((struct slice){bytes.ptr, len}, SIZE_MAX);
			bool whole = rdb_skip_value(&in, skipped[i].type);
			if (whole != (len == bytes.len) || (whole && in.at != in.end))
				fail_msg("%s: wrong at %zu bytes", skipped[i].label, len);
		}
	}
	struct rdb_in in = rdb_in_of(BYTES("\1a"), SIZE_MAX);
	assert_false(rdb_skip_value(&in, RDB_MODULE_OLD));
	in = rdb_in_of(BYTES("\1a"), SIZE_MAX);
	assert_false(rdb_skip_value(&in, RDB_TYPE_COUNT));
}

static size_t drained;

static void drain(struct rdb_out *out)
{
	drained += out->len;
	out->len = 0;
}

/* With a drain little piles up, however much is written at once. */
static void test_drain(void **state)
{
	struct rdb_out out = {.drain = drain};
	size_t len = 40 * RDB_DRAIN_BYTES;
	char *bytes = mem_zalloc(len);

	drained = 0;
	rdb_write_blob(&out, (struct slice){bytes, len});
	assert_true(out.cap <= 4 * RDB_DRAIN_BYTES);
	assert_int_equal(drained + out.len, len + 5);
	mem_free(bytes, len);
	rdb_out_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),     cmocka_unit_test(test_strings),
		cmocka_unit_test(test_compression), cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_broken),      cmocka_unit_test(test_skip),
		cmocka_unit_test(test_drain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
