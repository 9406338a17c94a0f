/*
 * The hash of a key: SipHash-1-3 with a random key of 128 bits, so that nobody who doesn't know it
 * can choose keys that collide (Aumasson and Bernstein, 2012; the 1-3 variant as in Rust and Linux'
 * HSipHash family). Its 64 bits are used so: the low 16 are the tag in a table's word and give the
 * home bucket, the high 32 the place in a directory. The slot comes from the CRC16 instead.
 */
#ifndef SHARD_HASH_H
#define SHARD_HASH_H

#include "proto/slice.h"

#include <stdint.h>

struct hash_seed {
	uint64_t k0, k1;
};

uint64_t hash_bytes(const struct hash_seed *seed, const char *bytes, size_t len);

#endif
