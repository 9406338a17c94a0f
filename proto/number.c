/*
 * Numbers as text.
 *
 * Integers are read and written by hand, because every INCR, every header line and every reply does
 * it; a written integer's length is counted first, so that its digits go straight to their place,
 * two at a time. Floating point is the C library's, but for decimals of few digits: those, most of
 * all in practice, are a whole number divided by a power of ten, both exact, which rounds once.
 */
#include "proto/number.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Any number of so many digits fits 64 bits; of one digit more, some do. */
#define DIGITS_SAFE 19
/* Whole doubles below it are written as integers. */
#define WHOLE_MAX 4503599627370496.0
/* Of larger ones zeros stand for digits that aren't known, up to so many; then an exponent. */
#define ZEROS_AFTER_MAX 7
/*
 * Others have a point while up to so many digits stand behind it, or the exponent would be this
 * small.
 */
#define DIGITS_AFTER_MAX   6
#define EXPONENT_SMALL_MAX 3
/*
 * So many digits tell every double from all others. Up to so many are the same for all that read
 * so, but for the tiny doubles that have fewer bits.
 */
#define DIGITS_ENOUGH 17
#define DIGITS_EXACT  15
/* Whole numbers up to here are doubles exactly. */
#define EXACT_MAX ((int64_t)1 << 53)

/* The powers of ten that are doubles exactly. */
#define POWER_EXACT_MAX 22
static const double powers_of_ten[POWER_EXACT_MAX + 1] = {
	1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

static const char pairs[] = "00010203040506070809"
			    "10111213141516171819"
			    "20212223242526272829"
			    "30313233343536373839"
			    "40414243444546474849"
			    "50515253545556575859"
			    "60616263646566676869"
			    "70717273747576777879"
			    "80818283848586878889"
			    "90919293949596979899";

/* The smallest number of n + 1 digits stands at [n], but 0 at [0]. */
static const uint64_t powers[] = {
	0,
	10,
	100,
	1000,
	10000,
	100000,
	1000000,
	10000000,
	100000000,
	1000000000,
	10000000000,
	100000000000,
	1000000000000,
	10000000000000,
	100000000000000,
	1000000000000000,
	10000000000000000,
	100000000000000000,
	1000000000000000000,
	10000000000000000000u,
};

/* Digits only, no zero in front of others. */
static bool digits_parse(const char *p, size_t len, uint64_t *out)
{
	size_t safe = len < DIGITS_SAFE ? len : DIGITS_SAFE;
	uint64_t n = 0;

	if (len == 0 || len > DIGITS_SAFE + 1 || (*p == '0' && len > 1))
		return false;
	for (size_t i = 0; i < safe; i++) {
		uint32_t digit = (unsigned char)p[i] - '0';

		if (digit > 9)
			return false;
		n = n * 10 + digit;
	}
	if (len > DIGITS_SAFE) {
		uint32_t digit = (unsigned char)p[DIGITS_SAFE] - '0';

		if (digit > 9 || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, digit, &n))
			return false;
	}
	*out = n;
	return true;
}

bool number_parse(struct slice text, int64_t *out)
{
	bool negative;
	uint64_t n;

	if (text.len == 0)
		return false;
	negative = *text.ptr == '-';
	if (!digits_parse(text.ptr + negative, text.len - negative, &n))
		return false;
	if (negative ? n == 0 || n > (uint64_t)INT64_MAX + 1 : n > INT64_MAX)
		return false;
	*out = (int64_t)(negative ? -n : n);
	return true;
}

bool number_parse_unsigned(struct slice text, uint64_t *out)
{
	return digits_parse(text.ptr, text.len, out);
}

static inline uint32_t digits_count(uint64_t n)
{
	/* The bits of n times log10(2), which is one too few or right. */
	uint32_t guess = (64 - __builtin_clzl(n | 1)) * 1233 >> 12;

	return guess + (n >= powers[guess]);
}

size_t number_format_unsigned(char *out, uint64_t n)
{
	size_t len;
	char *p;

	if (n < 10) {
		*out = '0' + n;
		return 1;
	}
	len = digits_count(n);
	for (p = out + len; n >= 100; n /= 100)
		memcpy(p -= 2, pairs + n % 100 * 2, 2);
	if (n >= 10)
		memcpy(p - 2, pairs + n * 2, 2);
	else
		p[-1] = '0' + n;
	return len;
}

size_t number_format(char *out, int64_t n)
{
	if (n >= 0)
		return number_format_unsigned(out, n);
	*out = '-';
	return 1 + number_format_unsigned(out + 1, -(uint64_t)n);
}

/* A terminated copy for strtod; false for what it must not see. */
static bool double_text(struct slice text, char *out)
{
	if (text.len == 0 || text.len >= NUMBER_DOUBLE_TEXT_MAX ||
	    isspace((unsigned char)*text.ptr))
		return false;
	memcpy(out, text.ptr, text.len);
	out[text.len] = '\0';
	return true;
}

/* Digits with a point among them, and perhaps a sign: "-1.25". False for more than that. */
static bool parse_decimal(struct slice text, double *out)
{
	size_t at = text.len > 0 && text.ptr[0] == '-', digits = 0, point = 0;
	uint64_t n = 0;

	if (text.len > DIGITS_EXACT + 2)
		return false;
	for (; at < text.len; at++) {
		if (text.ptr[at] == '.' && digits > 0 && point == 0) {
			point = digits;
		} else if (text.ptr[at] >= '0' && text.ptr[at] <= '9') {
			n = n * 10 + (uint64_t)(text.ptr[at] - '0');
			digits++;
		} else {
			return false;
		}
	}
	if (point == 0 || digits > DIGITS_EXACT)
		return false;
	*out = (double)n / powers_of_ten[digits - point];
	if (text.ptr[0] == '-')
		*out = -*out;
	return true;
}

bool number_parse_double(struct slice text, double *out)
{
	char copy[NUMBER_DOUBLE_TEXT_MAX];
	char *end;
	int64_t whole;
	double d;

	if (number_parse(text, &whole) && whole >= -EXACT_MAX && whole <= EXACT_MAX) {
		*out = (double)whole;
		return true;
	}
	if (parse_decimal(text, out))
		return true;
	if (!double_text(text, copy))
		return false;
	errno = 0;
	d = strtod(copy, &end);
	if (end != copy + text.len || isnan(d) || (errno == ERANGE && (isinf(d) || d == 0)))
		return false;
	*out = d;
	return true;
}

bool number_parse_long_double(struct slice text, long double *out)
{
	char copy[NUMBER_DOUBLE_TEXT_MAX];
	char *end;
	long double d;

	if (!double_text(text, copy))
		return false;
	errno = 0;
	d = strtold(copy, &end);
	if (end != copy + text.len || isnan(d) || (errno == ERANGE && (isinf(d) || d == 0)))
		return false;
	*out = d;
	return true;
}

/* What printf words differently from one C library to the next; 0 for all other numbers. */
static size_t format_not_finite(char *out, long double d)
{
	if (isfinite(d))
		return 0;
	strcpy(out, isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
	return strlen(out);
}

/*
 * The same as shortest_digits() for a d of at most DIGITS_EXACT digits, none too far behind the
 * point; 0 for others. No two decimals of so few digits read as the same double, so one that does
 * is the one.
 */
static int short_decimal(double d, char digits[DIGITS_ENOUGH], int *point)
{
	char text[NUMBER_TEXT_MAX];

	for (int places = 1; places <= POWER_EXACT_MAX; places++) {
		double n = d * powers_of_ten[places];
		if (n >= powers_of_ten[DIGITS_EXACT])
			break;
		if (n != (double)(int64_t)n || n / powers_of_ten[places] != d)
			continue;
		int count = (int)number_format(text, (int64_t)n);
		*point = count - places;
		while (count > 1 && text[count - 1] == '0')
			count--;
		memcpy(digits, text, (size_t)count);
		return count;
	}
	return 0;
}

/*
 * The fewest digits that read back as d, which is finite and positive, without zeros at the end;
 * returns how many. d is about 0.digits * 10^*point.
 */
static int shortest_digits(double d, char digits[DIGITS_ENOUGH], int *point)
{
	char text[32];
	int count = short_decimal(d, digits, point);

	if (count > 0)
		return count;
	count = d < DBL_MIN ? 1 : DIGITS_EXACT;
	for (;; count++) {
		snprintf(text, sizeof(text), "%.*e", count - 1, d);
		if (count == DIGITS_ENOUGH || strtod(text, NULL) == d)
			break;
	}
	digits[0] = text[0];
	memcpy(digits + 1, text + 2, count - 1);
	*point = atoi(strchr(text, 'e') + 1) + 1;
	while (count > 1 && digits[count - 1] == '0')
		count--;
	return count;
}

/* Digits with an exponent: d, d.ddd, then e+n or e-n. */
static size_t format_exponent(char *out, const char *digits, int count, int point)
{
	return snprintf(out, NUMBER_DOUBLE_TEXT_MAX, count > 1 ? "%c.%.*se%c%d" : "%c%.*se%c%d",
			digits[0], count - 1, digits + 1, point > 0 ? '+' : '-', abs(point - 1));
}

static size_t format_digits(char *out, const char *digits, int count, int point)
{
	static const char zeros[] = "000000000000000000000000";
	int last = point - count; /* exponent of the last digit */

	if (last >= 0 && last <= ZEROS_AFTER_MAX)
		return snprintf(out, NUMBER_DOUBLE_TEXT_MAX, "%.*s%.*s", count, digits, last,
				zeros);
	if (last >= 0 || (-last > DIGITS_AFTER_MAX && abs(point - 1) > EXPONENT_SMALL_MAX))
		return format_exponent(out, digits, count, point);
	if (point <= 0)
		return snprintf(out, NUMBER_DOUBLE_TEXT_MAX, "0.%.*s%.*s", -point, zeros, count,
				digits);
	memcpy(out, digits, (size_t)point);
	out[point] = '.';
	memcpy(out + point + 1, digits + point, (size_t)(count - point));
	out[count + 1] = '\0';
	return (size_t)count + 1;
}

size_t number_format_double(char *out, double d)
{
	char digits[DIGITS_ENOUGH];
	size_t sign = signbit(d) ? 1 : 0;
	int point, count;

	size_t len = format_not_finite(out, d);

	if (len > 0)
		return len;
	if (fabs(d) < WHOLE_MAX && d == (double)(int64_t)d && !(d == 0 && signbit(d))) {
		len = number_format(out, (int64_t)d);
		out[len] = '\0';
		return len;
	}
	out[0] = '-';
	if (d == 0) {
		strcpy(out + sign, "0");
		return sign + 1;
	}
	count = shortest_digits(fabs(d), digits, &point);
	return sign + format_digits(out + sign, digits, count, point);
}

size_t number_format_long_double(char *out, long double d)
{
	size_t len = format_not_finite(out, d);

	if (len > 0)
		return len;
	len = snprintf(out, NUMBER_DOUBLE_TEXT_MAX, "%.17Lf", d);
	assert(len < NUMBER_DOUBLE_TEXT_MAX);
	while (out[len - 1] == '0')
		len--;
	if (out[len - 1] == '.')
		len--;
	if (len == 2 && memcmp(out, "-0", 2) == 0)
		memmove(out, out + 1, len--);
	out[len] = '\0';
	return len;
}

/* One row per unit of redis.conf. */
static const struct unit {
	const char *name;
	uint64_t bytes;
} units[] = {
	{"", 1},
	{"b", 1},
	{"k", 1000},
	{"kb", 1 << 10},
	{"m", 1000 * 1000},
	{"mb", 1 << 20},
	{"g", 1000 * 1000 * 1000},
	{"gb", 1 << 30},
};

bool number_parse_memory(struct slice text, uint64_t *out)
{
	struct slice unit = text;
	uint64_t n = 0;

	for (; unit.len > 0 && *unit.ptr >= '0' && *unit.ptr <= '9'; unit.ptr++, unit.len--)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*unit.ptr - '0'), &n))
			return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (slice_is(unit, units[i].name))
			return !__builtin_mul_overflow(n, units[i].bytes, out);
	return false;
}
