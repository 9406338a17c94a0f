#include "test/check.h"

#include "proto/glob.h"

#include <string.h>

static const struct {
	const char *label;
	struct slice pattern;
	struct slice text;
	bool ignore_case;
	bool expected;
} rows[] = {
	{"literal", SLICE("abc"), SLICE("abc"), false, true},
	{"shorter text", SLICE("abc"), SLICE("ab"), false, false},
	{"longer text", SLICE("abc"), SLICE("abcd"), false, false},
	{"case counts", SLICE("abc"), SLICE("aBc"), false, false},
	{"or not", SLICE("abC"), SLICE("aBc"), true, true},
	{"? takes one", SLICE("h?llo"), SLICE("hallo"), false, true},
	{"? takes not none", SLICE("h?llo"), SLICE("hllo"), false, false},
	{"* takes none", SLICE("h*llo"), SLICE("hllo"), false, true},
	{"* takes many", SLICE("h*llo"), SLICE("heeeello"), false, true},
	{"* at the end", SLICE("he*"), SLICE("he"), false, true},
	{"*** in the middle", SLICE("a***b"), SLICE("axxb"), false, true},
	{"two stars go back", SLICE("*ab*ac"), SLICE("abxabac"), false, true},
	{"zero bytes", SLICE("a\0*"), SLICE("a\0b"), false, true},
	{"zero bytes differ", SLICE("a\0*"), SLICE("ab\0"), false, false},
	{"empty fits empty", SLICE(""), SLICE(""), false, true},
	{"* does not fit empty", SLICE("*"), SLICE(""), false, false},
	{"nor does **", SLICE("**"), SLICE(""), false, false},
	{"empty fits nothing else", SLICE(""), SLICE("a"), false, false},
	{"class", SLICE("h[ae]llo"), SLICE("hello"), false, true},
	{"class: not in it", SLICE("h[ae]llo"), SLICE("hillo"), false, false},
	{"class: negated", SLICE("h[^e]llo"), SLICE("hallo"), false, true},
	{"class: negated, in it", SLICE("h[^e]llo"), SLICE("hello"), false, false},
	{"class: '!' is itself", SLICE("[!a]"), SLICE("a"), false, true},
	{"class: range", SLICE("h[a-b]llo"), SLICE("hbllo"), false, true},
	{"class: outside a range", SLICE("h[a-b]llo"), SLICE("hcllo"), false, false},
	{"class: range the wrong way", SLICE("[z-a]"), SLICE("m"), false, true},
	{"class: range up to ']'", SLICE("[a-]"), SLICE("^"), false, true},
	{"class: range up to '\\'", SLICE("[a-\\]]"), SLICE("^]"), false, true},
	{"class: range cut off", SLICE("[a-"), SLICE("-"), false, true},
	{"class: '-' first", SLICE("[-a]"), SLICE("-"), false, true},
	{"class: escaped ']'", SLICE("[\\]]"), SLICE("]"), false, true},
	{"class: an escape starts no range", SLICE("[\\a-z]"), SLICE("m"), false, false},
	{"class: '\\' at the end", SLICE("[a\\"), SLICE("\\"), false, true},
	{"class: not closed", SLICE("[ab"), SLICE("b"), false, true},
	{"class: not closed, text goes on", SLICE("[ab"), SLICE("bb"), false, false},
	{"class: empty", SLICE("[]"), SLICE("]"), false, false},
	{"class: ']' first closes it", SLICE("[]a]"), SLICE("a"), false, false},
	{"class: [^] takes any", SLICE("[^]"), SLICE("x"), false, true},
	{"class: [^ takes any", SLICE("[^"), SLICE("^"), false, true},
	{"class: [ takes none", SLICE("["), SLICE("["), false, false},
	{"class: bytes are signed", SLICE("[\x01-\xff]"), SLICE("a"), false, false},
	{"class: signed, wrong way round", SLICE("[\x01-\xff]"), SLICE("\xff"), false, true},
	{"class: high bytes", SLICE("[\x80-\xff]"), SLICE("\x90"), false, true},
	{"class: case ignored", SLICE("[a-c]"), SLICE("B"), true, true},
	{"class: case ignored, single", SLICE("[B]"), SLICE("b"), true, true},
	{"class: ends swap before they fold", SLICE("[Z-a]"), SLICE("m"), true, false},
	{"class: an escape keeps its case", SLICE("[\\B]"), SLICE("b"), true, false},
	{"'\\' escapes", SLICE("a\\*b"), SLICE("a*b"), false, true},
	{"'\\' escapes only", SLICE("a\\*b"), SLICE("axb"), false, false},
	{"'\\' at the end", SLICE("a\\"), SLICE("a\\"), false, true},
	{"'\\' and case", SLICE("\\A"), SLICE("a"), true, true},
};

static void table(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (glob_match(rows[i].pattern, rows[i].text, rows[i].ignore_case) !=
		    rows[i].expected)
			fail_msg("%s", rows[i].label);
}

/*
 * The definition, by trying everything: '*' tries every length, an element takes one byte. Works on
 * any text but the empty one.
 */
static bool naive_class(const char **p, const char *end, signed char c)
{
	bool in = false;
	bool negated = *p < end && **p == '^';

	if (negated)
		++*p;
	while (*p < end && **p != ']') {
		signed char a = **p;

		if (a == '\\' && *p + 1 < end) {
			in = in || (*p)[1] == c;
			*p += 2;
		} else if (*p + 2 < end && (*p)[1] == '-') {
			signed char b = (*p)[2];

			in = in || (a <= c && c <= b) || (b <= c && c <= a);
			*p += 3;
		} else {
			in = in || a == c;
			++*p;
		}
	}
	if (*p < end)
		++*p;
	return in != negated;
}

static bool naive(const char *p, const char *p_end, const char *t, const char *t_end)
{
	bool fits;

	if (p == p_end)
		return t == t_end;
	if (*p == '*') {
		for (; t <= t_end; t++)
			if (naive(p + 1, p_end, t, t_end))
				return true;
		return false;
	}
	if (t == t_end)
		return false;
	if (*p == '[') {
		p++;
		fits = naive_class(&p, p_end, *t);
	} else if (*p == '?') {
		p++;
		fits = true;
	} else {
		if (*p == '\\' && p + 1 < p_end)
			p++;
		fits = *p++ == *t;
	}
	return fits && naive(p, p_end, t + 1, t_end);
}

static void random_patterns(void **state)
{
	static const char pattern_bytes[] = "aabbc**?[]^-\\\xff";
	static const char text_bytes[] = "aaabbbc]^-\\[\xff";
	struct check_random random = check_random_start();
	int fitting = 0;

	for (int round = 0; round < 200000; round++) {
		char pattern[12], text[12];
		size_t p_len = check_random_below(&random, sizeof(pattern) + 1);
		size_t t_len = 1 + check_random_below(&random, sizeof(text));
		bool expected;

		for (size_t i = 0; i < p_len; i++)
			pattern[i] = pattern_bytes[check_random_below(&random,
								      sizeof(pattern_bytes) - 1)];
		for (size_t i = 0; i < t_len; i++)
			text[i] = text_bytes[check_random_below(&random, sizeof(text_bytes) - 1)];
		expected = naive(pattern, pattern + p_len, text, text + t_len);
		fitting += expected;
		if (glob_match((struct slice){pattern, p_len}, (struct slice){text, t_len},
			       false) != expected)
			fail_msg("pattern '%.*s', text '%.*s'", (int)p_len, pattern, (int)t_len,
				 text);
	}
	/* Otherwise this shows nothing. */
	assert_true(fitting > 1000);
}

/* A pattern that takes the naive way for ever. */
static void many_stars(void **state)
{
	char pattern[4000], text[20000];

	for (size_t i = 0; i < sizeof(pattern); i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[sizeof(pattern) - 1] = 'b';
	memset(text, 'a', sizeof(text));
	assert_false(glob_match((struct slice){pattern, sizeof(pattern)},
				(struct slice){text, sizeof(text)}, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(random_patterns),
		cmocka_unit_test(many_stars),
	};

	return cmocka_run_group_tests_name("glob", tests, NULL, NULL);
}
