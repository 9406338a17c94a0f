/*
 * Digests of values: 160 bits for DEBUG DIGEST and DEBUG DIGEST-VALUE.
 *
 * What has an order is mixed in one after another; what has none (the elements of a set, the keys
 * of a database) is digested one by one, each from zero, and put together by digest_join(). So
 * equal contents give equal digests on every server, whatever the layout of its memory.
 */
#ifndef SHARD_DIGEST_H
#define SHARD_DIGEST_H

#include "proto/slice.h"

#include <stdint.h>

#define DIGEST_WORDS 3
/* Hexadecimal digits of a digest. */
#define DIGEST_TEXT 40

/* All zero to begin with. */
struct digest {
	uint64_t words[DIGEST_WORDS];
};

/* The next bytes, of a sequence. */
void digest_mix(struct digest *digest, struct slice bytes);
void digest_mix_number(struct digest *digest, uint64_t n);

/* Another member of what has no order: in any order the same. */
void digest_join(struct digest *digest, const struct digest *member);

/* Writes DIGEST_TEXT digits and a zero. */
void digest_format(const struct digest *digest, char out[DIGEST_TEXT + 1]);

#endif
