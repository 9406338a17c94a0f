/*
 * An intset: different integers in ascending order in one piece of memory, in Redis' byte format,
 * so that RDB files and DUMP take it as it is.
 *
 *	 0       4        8
 *	+-------+--------+----+----+-- ... --+
 *	| width | count  | n0 | n1 |         |    all little-endian, the header 32 bits each
 *	+-------+--------+----+----+-- ... --+
 *	width    2, 4 or 8: the bytes of each integer
 *
 * The width is what the widest integer ever added needs: adding widens all, removing never makes
 * them narrower (as in Redis).
 *
 * No function allocates. Changes either write a new intset to other memory (values of entries,
 * which readers may be looking at) or work in place.
 *
 * Any thread, for bytes that don't change meanwhile.
 */
#ifndef SHARD_INTSET_H
#define SHARD_INTSET_H

#include "proto/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INTSET_HEADER 8
/* What a new one starts from. */
#define INTSET_EMPTY "\2\0\0\0\0\0\0\0"

/* Bytes of the whole. */
size_t intset_bytes(const char *set);
size_t intset_count(const char *set);

/* The integer at an index below the count: the smallest is 0. */
int64_t intset_get(const char *set, size_t index);

/* Whether n is in it; *index (may be NULL) becomes its index, or the one that it would get. */
bool intset_find(const char *set, int64_t n, size_t *index);

/*
 * With one integer more, which is not in it, at the index that intset_find gave. _bytes: the size
 * of the result. intset_add writes it to `out`, which has that much room and either is apart from
 * `set` or is `set` itself.
 */
size_t intset_add_bytes(const char *set, int64_t n);
void intset_add(char *out, const char *set, size_t index, int64_t n);

/* The same with the integer at an index less. */
size_t intset_remove_bytes(const char *set);
void intset_remove(char *out, const char *set, size_t index);

/*
 * Whether untrusted bytes are one intset, no byte more or less: a width that exists, integers in
 * ascending order. Reads nothing outside.
 */
bool intset_valid(struct slice bytes);

#endif
