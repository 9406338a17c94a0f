/* Ziplists and zipmaps: read, and refused when a byte isn't right. */
#include "shard/ziplist.h"
#include "test/check.h"

#include <string.h>

#define BYTES(literal) ((struct slice){(literal), sizeof(literal) - 1})

/* "a", 0, 12, -1, 1000, -8388608, 2^30, -2^62, "bc" */
static const char ziplist[] = "\62\0\0\0\55\0\0\0\11\0"
			      "\0\1a"
			      "\3\361"
			      "\2\375"
			      "\2\376\377"
			      "\3\300\350\3"
			      "\4\360\0\0\200"
			      "\5\320\0\0\0\100"
			      "\6\340\0\0\0\0\0\0\0\300"
			      "\12\2bc"
			      "\377";

static void test_ziplist(void **state)
{
	static const struct listpack_item expected[] = {
		{.text = {"a", 1}},  {.number = 0},
		{.number = 12},      {.number = -1},
		{.number = 1000},    {.number = -8388608},
		{.number = 1 << 30}, {.number = -(1ll << 62)},
		{.text = {"bc", 2}},
	};
	size_t at = ZIPLIST_FIRST, end = sizeof(ziplist) - 2;
	struct listpack_item item;

	assert_true(ziplist_valid(BYTES(ziplist)));
	for (size_t i = 0; i < COUNT_OF(expected); i++) {
		at = ziplist_read(ziplist, at, &item);
		assert_true(listpack_item_equal(item, expected[i]));
	}
	assert_int_equal(at, end);
}

static const char zipmap[] = "\2\1a\0\0\1b\1\2cxx\377";

static void test_zipmap(void **state)
{
	static const char *const expected[] = {"a", "", "b", "c"};
	size_t at = ZIPMAP_FIRST;
	struct listpack_item item;

	assert_true(zipmap_valid(BYTES(zipmap)));
	for (size_t i = 0; i < COUNT_OF(expected); i++) {
		at = zipmap_read(zipmap, at, i % 2, &item);
		assert_int_equal(item.text.len, strlen(expected[i]));
	}
	assert_int_equal(at, sizeof(zipmap) - 2);
}

static const struct {
	const char *label;
	struct slice bytes;
	bool (*valid)(struct slice);
	bool expected;
} borders[] = {
	{"empty", BYTES("\13\0\0\0\12\0\0\0\0\0\377"), ziplist_valid, true},
	{"count unknown", BYTES("\16\0\0\0\12\0\0\0\377\377\0\1a\377"), ziplist_valid, true},
	{"long length before", BYTES("\25\0\0\0\15\0\0\0\2\0\0\1a\376\3\0\0\0\1b\377"),
	 ziplist_valid, true},
	{"no bytes", BYTES(""), ziplist_valid, false},
	{"other size", BYTES("\14\0\0\0\12\0\0\0\0\0\377"), ziplist_valid, false},
	{"other tail", BYTES("\13\0\0\0\11\0\0\0\0\0\377"), ziplist_valid, false},
	{"other count", BYTES("\13\0\0\0\12\0\0\0\1\0\377"), ziplist_valid, false},
	{"no end", BYTES("\13\0\0\0\12\0\0\0\0\0\376"), ziplist_valid, false},
	{"end within", BYTES("\16\0\0\0\12\0\0\0\1\0\377\1a\377"), ziplist_valid, false},
	{"text beyond the end", BYTES("\16\0\0\0\12\0\0\0\1\0\0\2a\377"), ziplist_valid, false},
	{"no such number", BYTES("\15\0\0\0\12\0\0\0\1\0\0\377\377"), ziplist_valid, false},
	{"no pairs", BYTES("\0\377"), zipmap_valid, true},
	{"pairs not counted", BYTES("\376\1a\0\0\377"), zipmap_valid, true},
	{"no bytes of a zipmap", BYTES(""), zipmap_valid, false},
	{"other count of pairs", BYTES("\2\1a\0\0\377"), zipmap_valid, false},
	{"a field alone", BYTES("\376\1a\377"), zipmap_valid, false},
	{"spare bytes beyond the end", BYTES("\1\1a\0\1\377"), zipmap_valid, false},
};

static void test_borders(void **state)
{
	for (size_t i = 0; i < COUNT_OF(borders); i++)
		if (borders[i].valid(borders[i].bytes) != borders[i].expected)
			fail_msg("%s: not as expected", borders[i].label);
}

/* Every prefix, every byte changed: nothing is read that isn't there (a sanitizer would tell). */
static void check_damaged(struct slice bytes, bool (*valid)(struct slice))
{
	for (size_t len = 0; len < bytes.len; len++) {
		char *copy = malloc(len + 1);
		memcpy(copy, bytes.ptr, len);
		assert_false(valid((struct slice){copy, len}));
		free(copy);
	}
	for (size_t i = 0; i < bytes.len; i++)
		for (int change = 1; change < 256; change++) {
			char *copy = malloc(bytes.len);
			memcpy(copy, bytes.ptr, bytes.len);
			copy[i] = (char)(copy[i] ^ change);
			valid((struct slice){copy, bytes.len});
			free(copy);
		}
}

static void test_damaged(void **state)
{
	check_damaged(BYTES(ziplist), ziplist_valid);
	check_damaged(BYTES(zipmap), zipmap_valid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ziplist),
		cmocka_unit_test(test_zipmap),
		cmocka_unit_test(test_borders),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
