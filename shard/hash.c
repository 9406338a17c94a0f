/*
 * SipHash-1-3: one round for each 8 bytes of input, three to finish.
 *
 * The state starts as the key mixed with four constants ("somepseudorandomlygeneratedbytes"). The
 * last word holds what is left of the input, and its length in the top byte.
 */
#include "shard/hash.h"

#include <endian.h>
#include <string.h>

static inline uint64_t rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline uint64_t load_le64(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return le64toh(word);
}

/* The last 0 to 7 bytes, without reading past them. */
static inline uint64_t load_tail(const char *p, size_t len)
{
	uint64_t word = 0;
	uint32_t low, high;

	if (len >= 4) {
		memcpy(&low, p, 4);
		memcpy(&high, p + len - 4, 4);
		return le32toh(low) | (uint64_t)le32toh(high) << (8 * (len - 4));
	}
	for (size_t i = 0; i < len; i++)
		word |= (uint64_t)(uint8_t)p[i] << (8 * i);
	return word;
}

#define ROUND(v0, v1, v2, v3)                                                                      \
	do {                                                                                       \
		v0 += v1;                                                                          \
		v2 += v3;                                                                          \
		v1 = rotate(v1, 13) ^ v0;                                                          \
		v3 = rotate(v3, 16) ^ v2;                                                          \
		v0 = rotate(v0, 32) + v3;                                                          \
		v2 += v1;                                                                          \
		v3 = rotate(v3, 21) ^ v0;                                                          \
		v1 = rotate(v1, 17) ^ v2;                                                          \
		v2 = rotate(v2, 32);                                                               \
	} while (0)

uint64_t hash_bytes(const struct hash_seed *seed, const char *bytes, size_t len)
{
	uint64_t v0 = seed->k0 ^ 0x736f6d6570736575;
	uint64_t v1 = seed->k1 ^ 0x646f72616e646f6d;
	uint64_t v2 = seed->k0 ^ 0x6c7967656e657261;
	uint64_t v3 = seed->k1 ^ 0x7465646279746573;
	const char *end = bytes + (len & ~(size_t)7);
	uint64_t last = (uint64_t)len << 56;

	for (; bytes != end; bytes += 8) {
		uint64_t word = load_le64(bytes);
		v3 ^= word;
		ROUND(v0, v1, v2, v3);
		v0 ^= word;
	}
	last |= load_tail(bytes, len & 7);
	v3 ^= last;
	ROUND(v0, v1, v2, v3);
	v0 ^= last;
	v2 ^= 0xff;
	ROUND(v0, v1, v2, v3);
	ROUND(v0, v1, v2, v3);
	ROUND(v0, v1, v2, v3);
	return v0 ^ v1 ^ v2 ^ v3;
}
