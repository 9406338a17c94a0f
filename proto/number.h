/*
 * Numbers as text, exactly as Redis reads and writes them.
 *
 * number_parse() takes only the canonical form of a 64-bit integer: no space, no '+', no leading
 * zeros, "-0" is not a number. That is what makes a string value "an integer".
 */
#ifndef PROTO_NUMBER_H
#define PROTO_NUMBER_H

#include "proto/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* Longest text that number_format writes ("-9223372036854775808"). */
#define NUMBER_TEXT_MAX 20
/* Longest text that number_format_long_double and number_format_double write, with its zero. */
#define NUMBER_DOUBLE_TEXT_MAX (5 * 1024)

bool number_parse(struct slice text, int64_t *out);
/* The same for 0 to 2^64-1. */
bool number_parse_unsigned(struct slice text, uint64_t *out);
/* Writes at most NUMBER_TEXT_MAX bytes, no terminator; returns how many. */
size_t number_format(char *out, int64_t n);
size_t number_format_unsigned(char *out, uint64_t n);

/*
 * A double as strtod reads it ("1e3", "0x10", "-inf"), all of the text; not empty, no leading
 * space, no NaN; neither too large nor so small that it becomes 0. Shorter than
 * NUMBER_DOUBLE_TEXT_MAX.
 */
bool number_parse_double(struct slice text, double *out);
bool number_parse_long_double(struct slice text, long double *out);
/*
 * The shortest decimal that reads back as the same double, as scores are replied: "3", "0.1",
 * "1e+21", "1.5e-7", "-0", "inf", "-inf", "nan". Where an exponent stands instead of zeros:
 * number.c. This and the next write a terminator, not counted, into NUMBER_DOUBLE_TEXT_MAX bytes.
 */
size_t number_format_double(char *out, double d);
/* "%.17Lf" with trailing zeros cut off, never "-0": INCRBYFLOAT. */
size_t number_format_long_double(char *out, long double d);

/*
 * "1gb", "100mb", "5k", "512": bytes, units as in redis.conf (k=1000, kb=1024, ...), any case. No
 * digits mean 0, as in Redis; what does not fit 64 bits is refused.
 */
bool number_parse_memory(struct slice text, uint64_t *out);

#endif
