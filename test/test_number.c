#include "test/check.h"

#include "proto/number.h"

#include <math.h>
#include <string.h>

static void parses_integers(void **state)
{
	static const struct {
		struct slice text;
		bool good;
		int64_t n;
	} rows[] = {
		{SLICE("0"), true, 0},
		{SLICE("7"), true, 7},
		{SLICE("-1"), true, -1},
		{SLICE("10"), true, 10},
		{SLICE("9223372036854775807"), true, INT64_MAX},
		{SLICE("-9223372036854775808"), true, INT64_MIN},
		{SLICE("9223372036854775808"), false, 0},
		{SLICE("-9223372036854775809"), false, 0},
		{SLICE("18446744073709551616"), false, 0},
		{SLICE("99999999999999999999"), false, 0},
		{SLICE("100000000000000000000"), false, 0},
		{SLICE(""), false, 0},
		{{NULL, 0}, false, 0},
		{SLICE("-"), false, 0},
		{SLICE("-0"), false, 0},
		{SLICE("00"), false, 0},
		{SLICE("01"), false, 0},
		{SLICE("-01"), false, 0},
		{SLICE("+1"), false, 0},
		{SLICE(" 1"), false, 0},
		{SLICE("1 "), false, 0},
		{SLICE("1\0"), false, 0},
		{SLICE("\0"), false, 0},
		{SLICE("--1"), false, 0},
		{SLICE("1a"), false, 0},
		{SLICE("1/"), false, 0},
		{SLICE("1:"), false, 0},
		{SLICE("0x1"), false, 0},
		{SLICE("1.0"), false, 0},
		{SLICE("1e3"), false, 0},
		{SLICE("\xb1"), false, 0},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		int64_t n = 0;

		if (number_parse(rows[i].text, &n) != rows[i].good || n != rows[i].n)
			fail_msg("%s", rows[i].text.ptr);
	}
}

static void parses_unsigned(void **state)
{
	static const struct {
		struct slice text;
		bool good;
		uint64_t n;
	} rows[] = {
		{SLICE("0"), true, 0},
		{SLICE("18446744073709551615"), true, UINT64_MAX},
		{SLICE("18446744073709551616"), false, 0},
		{SLICE("18446744073709551620"), false, 0},
		{SLICE("20000000000000000000"), false, 0},
		{SLICE("1844674407370955161x"), false, 0},
		{SLICE("9999999999999999999"), true, 9999999999999999999u},
		{SLICE("-1"), false, 0},
		{SLICE("-0"), false, 0},
		{SLICE("00"), false, 0},
		{SLICE(""), false, 0},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint64_t n = 0;

		if (number_parse_unsigned(rows[i].text, &n) != rows[i].good || n != rows[i].n)
			fail_msg("%s", rows[i].text.ptr);
	}
}

static void one_integer(int64_t n)
{
	char expected[32], text[NUMBER_TEXT_MAX];
	size_t expected_len = snprintf(expected, sizeof(expected), "%lld", (long long)n);
	size_t len = number_format(text, n);
	uint64_t u;
	int64_t back;

	assert_int_equal(len, expected_len);
	assert_memory_equal(text, expected, len);
	assert_true(number_parse((struct slice){text, len}, &back));
	assert_int_equal(back, n);
	expected_len = snprintf(expected, sizeof(expected), "%llu", (unsigned long long)n);
	len = number_format_unsigned(text, (uint64_t)n);
	assert_int_equal(len, expected_len);
	assert_memory_equal(text, expected, len);
	assert_true(number_parse_unsigned((struct slice){text, len}, &u));
	assert_int_equal(u, (uint64_t)n);
}

static void formats_integers(void **state)
{
	struct check_random random = check_random_start();
	uint64_t power = 1;

	for (int64_t n = -2000; n <= 2000; n++)
		one_integer(n);
	for (int i = 0; i < 20; i++, power *= 10)
		for (int64_t near = -2; near <= 2; near++) {
			one_integer((int64_t)(power + near));
			one_integer((int64_t) - (power + near));
		}
	for (int bit = 0; bit < 64; bit++)
		for (int64_t near = -2; near <= 2; near++)
			one_integer((int64_t)((UINT64_C(1) << bit) + near));
	for (int i = 0; i < 100000; i++)
		one_integer(
			(int64_t)(check_random_next(&random) >> check_random_below(&random, 64)));
}

/* What is taken for a score or an increment, and what is then replied. */
static const struct {
	struct slice text;
	const char *score;     /* NULL: refused */
	const char *increment; /* NULL: refused */
} doubles[] = {
	{SLICE("0.1"), "0.1", "0.1"},
	{SLICE("3"), "3", "3"},
	{SLICE("3.0"), "3", "3"},
	{SLICE("+1"), "1", "1"},
	{SLICE(".5"), "0.5", "0.5"},
	{SLICE("5."), "5", "5"},
	{SLICE("0x10"), "16", "16"},
	{SLICE("-0"), "-0", "0"},
	{SLICE("1e15"), "1000000000000000", "1000000000000000"},
	{SLICE("1e16"), "1e+16", "10000000000000000"},
	{SLICE("1e17"), "1e+17", "100000000000000000"},
	{SLICE("-1e17"), "-1e+17", "-100000000000000000"},
	{SLICE("99999999999999984"), "99999999999999980", "99999999999999984"},
	{SLICE("1e21"), "1e+21", "1000000000000000000000"},
	{SLICE("9007199254740992"), "9007199254740992", "9007199254740992"},
	{SLICE("9007199254740993"), "9007199254740992", "9007199254740993"},
	{SLICE("123456789012345678"), "123456789012345680", "123456789012345678"},
	{SLICE("9223372036854775807"), "9223372036854776000", "9223372036854775807"},
	{SLICE("-4503599627370497"), "-4503599627370497", "-4503599627370497"},
	{SLICE("123456.789"), "123456.789", "123456.78900000000000148"},
	{SLICE("0.30000000000000004"), "0.30000000000000004", "0.30000000000000004"},
	{SLICE("1e-5"), "0.00001", "0.00001"},
	{SLICE("1e-7"), "1e-7", "0.0000001"},
	{SLICE("1e-17"), "1e-17", "0.00000000000000001"},
	{SLICE("-1e-19"), "-1e-19", "0"},
	{SLICE("1.7976931348623157e308"), "1.7976931348623157e+308", ""},
	{SLICE("1e-320"), "1e-320", "0"},
	{SLICE("0.000123"), "0.000123", "0.000123"},
	{SLICE("0.00012345"), "1.2345e-4", "0.00012345"},
	{SLICE("0.0012345678901"), "0.0012345678901", "0.0012345678901"},
	{SLICE("-1234567.125"), "-1234567.125", "-1234567.125"},
	{SLICE("12345.1234567"), "1.23451234567e+4", "12345.1234567000000002"},
	{SLICE("1234.1234567"), "1234.1234567", "1234.12345669999999997"},
	{SLICE("4503599627370496"), "4503599627370496", "4503599627370496"},
	{SLICE("1234e20"), "1.234e+23", "123400000000000000000000"},
	{SLICE("inf"), "inf", "inf"},
	{SLICE("-inf"), "-inf", "-inf"},
	{SLICE("Infinity"), "inf", "inf"},
	{SLICE("nan"), NULL, NULL},
	{SLICE("nan(1)"), NULL, NULL},
	{SLICE("1e400"), NULL, ""},
	{SLICE("1e-400"), NULL, "0"},
	{SLICE("1e5000"), NULL, NULL},
	{SLICE("1e-5000"), NULL, NULL},
	{SLICE("1e-4940"), NULL, "0"},
	{SLICE(""), NULL, NULL},
	{SLICE(" 1"), NULL, NULL},
	{SLICE("\t1"), NULL, NULL},
	{SLICE("1 "), NULL, NULL},
	{SLICE("1e"), NULL, NULL},
	{SLICE("1\0"), NULL, NULL},
	{SLICE("\0"), NULL, NULL},
	{SLICE("1.2.3"), NULL, NULL},
};

static void reads_and_writes_doubles(void **state)
{
	char text[NUMBER_DOUBLE_TEXT_MAX];

	for (size_t i = 0; i < COUNT_OF(doubles); i++) {
		const char *label = doubles[i].text.ptr;
		long double ld;
		size_t len;
		double d;

		if (number_parse_double(doubles[i].text, &d) != (doubles[i].score != NULL))
			fail_msg("%s", label);
		if (doubles[i].score != NULL) {
			len = number_format_double(text, d);
			assert_string_equal(text, doubles[i].score);
			assert_int_equal(len, strlen(text));
		}
		if (number_parse_long_double(doubles[i].text, &ld) !=
		    (doubles[i].increment != NULL))
			fail_msg("%s", label);
		if (doubles[i].increment != NULL && *doubles[i].increment != '\0') {
			len = number_format_long_double(text, ld);
			assert_string_equal(text, doubles[i].increment);
			assert_int_equal(len, strlen(text));
		}
	}
}

static void extreme_doubles(void **state)
{
	char text[NUMBER_DOUBLE_TEXT_MAX];
	char digits[NUMBER_DOUBLE_TEXT_MAX];
	long double ld;
	double d;

	number_format_double(text, NAN);
	assert_string_equal(text, "nan");
	number_format_double(text, -NAN);
	assert_string_equal(text, "nan");
	number_format_long_double(text, -NAN);
	assert_string_equal(text, "nan");
	number_format_long_double(text, -0.0L);
	assert_string_equal(text, "0");
	/* 4933 digits before the point. */
	assert_int_equal(number_format_long_double(text, -1.18e4932L), 4934);
	memset(digits, '1', sizeof(digits));
	assert_false(number_parse_double((struct slice){digits, sizeof(digits)}, &d));
	assert_false(number_parse_long_double((struct slice){digits, sizeof(digits)}, &ld));
	digits[1] = '.';
	assert_true(number_parse_double((struct slice){digits, sizeof(digits) - 1}, &d));
	assert_true(number_parse_long_double((struct slice){digits, sizeof(digits) - 1}, &ld));
}

/* Digits without the zeros around them and the exponent; as many as there may be for 0. */
static int digit_count(const char *text, double d)
{
	int count = 0, zeros = 0;

	for (; *text != '\0' && *text != 'e'; text++) {
		if (*text == '0')
			zeros += count > 0;
		else if (*text >= '1' && *text <= '9')
			count += zeros + 1, zeros = 0;
	}
	return d == 0 ? 1 : count;
}

/* What is written reads back as the same double, and one digit less does not. */
static void random_doubles(void **state)
{
	struct check_random random = check_random_start();

	for (int i = 0; i < 100000; i++) {
		char text[NUMBER_DOUBLE_TEXT_MAX], digits[64];
		int precision = 17;
		uint64_t bits = check_random_next(&random);
		double d, back;
		size_t len;

		memcpy(&d, &bits, sizeof(d));
		if (i % 4 == 0)
			d = (double)((int64_t)bits >> check_random_below(&random, 64));
		else if (i % 4 == 1) /* few digits, some before the point and some behind it */
			d = (double)((int64_t)bits >> (14 + check_random_below(&random, 40))) /
			    pow(10, check_random_below(&random, 18));
		if (!isfinite(d))
			continue;
		len = number_format_double(text, d);
		do
			snprintf(digits, sizeof(digits), "%.*g", --precision, d);
		while (precision > 0 && strtod(digits, NULL) == d);
		assert_int_equal(digit_count(text, d), precision + 1);
		assert_true(number_parse_double((struct slice){text, len}, &back));
		assert_memory_equal(&back, &d, sizeof(d));
		assert_true(strtod(text, NULL) == d);
	}
}

static void parses_memory(void **state)
{
	static const struct {
		struct slice text;
		bool good;
		uint64_t bytes;
	} rows[] = {
		{SLICE("0"), true, 0},
		{SLICE("512"), true, 512},
		{SLICE("512b"), true, 512},
		{SLICE("5k"), true, 5000},
		{SLICE("5K"), true, 5000},
		{SLICE("5kb"), true, 5120},
		{SLICE("5Kb"), true, 5120},
		{SLICE("2m"), true, 2000000},
		{SLICE("2MB"), true, 2097152},
		{SLICE("1g"), true, 1000000000},
		{SLICE("1gb"), true, 1073741824},
		{SLICE("007"), true, 7},
		{SLICE(""), true, 0},
		{SLICE("k"), true, 0},
		{SLICE("18446744073709551615"), true, UINT64_MAX},
		{SLICE("18446744073709551616"), false, 0},
		{SLICE("17179869183gb"), true, UINT64_C(17179869183) << 30},
		{SLICE("17179869184gb"), false, 0},
		{SLICE("-1"), false, 0},
		{SLICE("+1"), false, 0},
		{SLICE(" 1"), false, 0},
		{SLICE("1 k"), false, 0},
		{SLICE("1.5g"), false, 0},
		{SLICE("1t"), false, 0},
		{SLICE("1kbb"), false, 0},
		{SLICE("1\0"), false, 0},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint64_t bytes = 0;
		bool good = number_parse_memory(rows[i].text, &bytes);

		if (good != rows[i].good || (good && bytes != rows[i].bytes))
			fail_msg("%s", rows[i].text.ptr);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_integers),  cmocka_unit_test(parses_unsigned),
		cmocka_unit_test(formats_integers), cmocka_unit_test(reads_and_writes_doubles),
		cmocka_unit_test(extreme_doubles),  cmocka_unit_test(random_doubles),
		cmocka_unit_test(parses_memory),
	};

	return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
