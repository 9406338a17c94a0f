#include "test/check.h"

#include "proto/slice.h"

static void equals(void **state)
{
	assert_true(slice_equal(SLICE(""), (struct slice){NULL, 0}));
	assert_true(slice_equal(SLICE("a\0b"), SLICE("a\0b")));
	assert_false(slice_equal(SLICE("a\0b"), SLICE("a\0c")));
	assert_false(slice_equal(SLICE("a"), SLICE("ab")));
	assert_true(slice_equal(slice_of("word"), SLICE("word")));
}

static void is_word(void **state)
{
	static const struct {
		const char *label;
		struct slice text;
		const char *word;
		bool expected;
	} rows[] = {
		{"same", SLICE("match"), "match", true},
		{"upper case", SLICE("MATCH"), "match", true},
		{"mixed case", SLICE("mAtCh"), "match", true},
		{"too short", SLICE("matc"), "match", false},
		{"too long", SLICE("matchx"), "match", false},
		{"a zero behind it", SLICE("match\0"), "match", false},
		{"a zero for a letter", SLICE("ma\0ch"), "match", false},
		{"empty text", SLICE(""), "match", false},
		{"both empty", SLICE(""), "", true},
		{"no pointer", {NULL, 0}, "", true},
		{"only letters have a case", SLICE("a\rb"), "a-b", false},
		{"nor '@' and '`'", SLICE("@"), "`", false},
		{"nor '[' and '{'", SLICE("["), "{", false},
		{"not a letter", SLICE("NO-EVICT"), "no-evict", true},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (slice_is(rows[i].text, rows[i].word) != rows[i].expected)
			fail_msg("%s", rows[i].label);
}

static void compares(void **state)
{
	/* In ascending order. */
	static const struct slice rows[] = {
		SLICE(""),   SLICE("\0"), SLICE("\0\0"), SLICE("a"),    SLICE("a\0"),
		SLICE("ab"), SLICE("b"),  SLICE("\x7f"), SLICE("\x80"), SLICE("\xff"),
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		for (size_t k = 0; k < COUNT_OF(rows); k++) {
			int order = slice_compare(rows[i], rows[k]);

			assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals),
		cmocka_unit_test(is_word),
		cmocka_unit_test(compares),
	};

	return cmocka_run_group_tests_name("slice", tests, NULL, NULL);
}
