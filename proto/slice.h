/*
 * A slice: bytes somewhere else.
 *
 * Arguments of requests, keys and values are handed about as (pointer, length); nothing is
 * terminated by a zero, any byte may occur. A slice owns nothing: who hands one on says how long
 * its bytes live.
 */
#ifndef PROTO_SLICE_H
#define PROTO_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *ptr;
	size_t len;
};

/* A slice of a string literal. */
#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})

static inline struct slice slice_of(const char *text)
{
	return (struct slice){text, strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* True when `s` spells `word`, of the same length, in any case (ASCII). `word` is lower case. */
bool slice_spells(struct slice s, const char *word);
/*
 * The same for any lengths: options and subcommands. Most words differ in length, which needs no
 * call.
 */
static inline bool slice_is(struct slice s, const char *word)
{
	return s.len == strlen(word) && slice_spells(s, word);
}

/* Compares as memcmp does, the shorter one first when it is a prefix: <0, 0, >0. */
int slice_compare(struct slice a, struct slice b);

#endif
