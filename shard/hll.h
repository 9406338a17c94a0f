/*
 * HyperLogLog: how many different elements were added, within about 0.8 %, in 12 KB at most.
 *
 * Each element is hashed to 64 bits. The lowest 14 choose one of 16384 registers; in the 50 bits
 * above them, 1 + the number of zeros before the first one is the element's rank, and a register
 * keeps the highest rank that it has met. The estimate follows from how many registers have which
 * value (Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017,
 * section 4).
 *
 * The value is a string in Redis' format, byte for byte what Redis would have made of the same
 * calls:
 *
 *	 0     4        5     8          16
 *	+------+--------+-----+----------+-----------
 *	| HYLL | 0 or 1 | 000 | estimate | registers
 *	+------+--------+-----+----------+-----------
 *	estimate   little endian, what was last worked out; the highest bit is set while it isn't known
 *	0 dense    6 bits for each register, from the lowest bit of each byte on: 12288 bytes
 *	1 sparse   runs of equal registers:
 *		00llllll           l + 1 zeros
 *		01llllll llllllll  l + 1 zeros
 *		1vvvvvll           l + 1 registers of value v + 1
 *
 * A sparse one that would outgrow a given size, or hold a value above 32, becomes dense, for good.
 * Anybody can SET such a string: what is in it is not trusted.
 *
 * Plain functions on bytes; any thread.
 */
#ifndef SHARD_HLL_H
#define SHARD_HLL_H

#include "proto/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define HLL_REGISTERS    16384
#define HLL_HEADER_BYTES 16
#define HLL_DENSE_BYTES  (HLL_HEADER_BYTES + HLL_REGISTERS * 6 / 8)
/* A sparse one that is longer can't be right: an opcode of two bytes for each register. */
#define HLL_BYTES_MAX (HLL_HEADER_BYTES + 2 * HLL_REGISTERS)

/* One that is being written. */
struct hll {
	size_t len;
	/*
	 * Of a sparse one: where a run stands, and its first register. So rising changes find the
	 * next soon.
	 */
	size_t hint_at;
	uint32_t hint_first;
	uint8_t bytes[HLL_BYTES_MAX];
};

/* What an addition did. */
enum hll_change {
	HLL_SAME,
	HLL_CHANGED,
	HLL_CORRUPTED, /* the value can't be read as registers */
};

/* --- reading --- */

/* Whether it looks like one: by its header and its length. The rest ask for that. */
bool hll_recognize(struct slice value);

bool hll_dense(struct slice value);

/* The estimate that is kept in it: false when it must be worked out. */
bool hll_cached(struct slice value, uint64_t *estimate);

/*
 * Raises registers[HLL_REGISTERS] to those of the value, where these are higher. False: corrupted.
 */
bool hll_merge(uint8_t *registers, struct slice value);

/* What these registers say. About 20 us. */
uint64_t hll_estimate(const uint8_t *registers);

/* HLL_SAME: adding the element would change nothing. */
enum hll_change hll_foresee(struct slice value, struct slice element);

/* A sparse one's opcodes by position, from 0: false at the end, or where nothing can be read. */
struct hll_opcode {
	uint32_t bytes; /* 1 or 2 */
	uint32_t run;   /* so many registers ... */
	uint8_t value;  /* ... have this value */
};
bool hll_opcode_at(struct slice value, size_t at, struct hll_opcode *out);

/* --- writing --- */

/* An empty one: sparse. */
void hll_init(struct hll *h);
/* A copy of a value. */
void hll_load(struct hll *h, struct slice value);
static inline struct slice hll_slice(const struct hll *h)
{
	return (struct slice){(const char *)h->bytes, h->len};
}

/* Keeps an estimate, or forgets it. Whoever changes registers does the latter. */
void hll_cache(struct hll *h, uint64_t estimate);
void hll_uncache(struct hll *h);

/* Adds an element; one that is sparse becomes dense rather than longer than sparse_bytes_max. */
enum hll_change hll_add(struct hll *h, struct slice element, size_t sparse_bytes_max);

/* Raises one register to `value`, 1 to 63. */
enum hll_change hll_raise(struct hll *h, uint32_t index, uint8_t value, size_t sparse_bytes_max);

/* False: corrupted, and unchanged. */
bool hll_make_dense(struct hll *h);

#endif
