/*
 * HyperLogLogs as Redis keeps them (hll.h).
 *
 * Raising a register of a sparse one splits the run in which it lies into up to three, puts these
 * in the place of the old one, and then joins equal neighbours nearby. How far that goes is part of
 * the format as much as the opcodes are: two servers given the same elements must end up with the
 * same bytes.
 */
#include "shard/hll.h"

#include <assert.h>
#include <math.h>

#define MAGIC           "HYLL"
#define ENCODING_AT     4
#define ESTIMATE_AT     8
#define ENCODING_DENSE  0
#define ENCODING_SPARSE 1

/* The bits of a hash that choose the register, and those that remain. */
#define INDEX_BITS 14
#define RANK_BITS  (64 - INDEX_BITS)
#define HASH_SEED  0xadc83b19u
/* A register has 6 bits. */
#define VALUE_COUNT 64

/* What opcodes can say. */
#define ZERO_RUN_MAX     64
#define VALUE_RUN_MAX    4
#define SPARSE_VALUE_MAX 32
/* After a change so many opcodes are looked at for equal neighbours. */
#define JOIN_STEPS 5

/* --- hashing --- */

static uint64_t read_le(const uint8_t *p, size_t bytes)
{
	uint64_t word = 0;
	for (size_t i = 0; i < bytes; i++)
		word |= (uint64_t)p[i] << (8 * i);
	return word;
}

/* MurmurHash64A (Austin Appleby, public domain), words read as little endian. */
static uint64_t hash_element(struct slice element)
{
	const uint64_t m = 0xc6a4a7935bd1e995;
	const uint8_t *p = (const uint8_t *)element.ptr;
	uint64_t h = HASH_SEED ^ (element.len * m);
	size_t left = element.len;
	for (; left >= 8; left -= 8, p += 8) {
		uint64_t word = read_le(p, 8) * m;
		word = (word ^ word >> 47) * m;
		h = (h ^ word) * m;
	}
	if (left > 0)
		h = (h ^ read_le(p, left)) * m;
	h = (h ^ h >> 47) * m;
	return h ^ h >> 47;
}

/* The register of an element, and its rank: 1 to RANK_BITS + 1. */
static uint32_t locate(struct slice element, uint8_t *rank)
{
	uint64_t hash = hash_element(element);
	uint64_t rest = hash >> INDEX_BITS | (uint64_t)1 << RANK_BITS;
	*rank = (uint8_t)(__builtin_ctzll(rest) + 1);
	return hash & (HLL_REGISTERS - 1);
}

/* --- dense registers --- */

/* Where a register's bits begin; they may reach into the next byte. */
static unsigned dense_word(const uint8_t *registers, uint32_t index, unsigned *shift)
{
	uint32_t bit = index * 6;
	const uint8_t *p = registers + bit / 8;
	*shift = bit % 8;
	return *p | (*shift > 2 ? (unsigned)p[1] << 8 : 0);
}

static uint8_t dense_get(const uint8_t *registers, uint32_t index)
{
	unsigned shift;
	unsigned word = dense_word(registers, index, &shift);
	return word >> shift & (VALUE_COUNT - 1);
}

static void dense_set(uint8_t *registers, uint32_t index, uint8_t value)
{
	unsigned shift;
	unsigned word = dense_word(registers, index, &shift);
	uint8_t *p = registers + index * 6 / 8;
	word = (word & ~((VALUE_COUNT - 1u) << shift)) | (unsigned)value << shift;
	p[0] = (uint8_t)word;
	if (shift > 2)
		p[1] = (uint8_t)(word >> 8);
}

/* --- sparse opcodes --- */

static bool opcode_read(const uint8_t *p, size_t left, struct hll_opcode *out)
{
	if (left == 0)
		return false;
	if (p[0] & 0x80) {
		*out = (struct hll_opcode){1, (p[0] & 3) + 1u, (uint8_t)((p[0] >> 2 & 31) + 1)};
		return true;
	}
	if (p[0] & 0x40) {
		*out = (struct hll_opcode){2, 0, 0};
		if (left >= 2)
			out->run = ((p[0] & 0x3fu) << 8 | p[1]) + 1;
		return left >= 2;
	}
	*out = (struct hll_opcode){1, p[0] + 1u, 0};
	return true;
}

/* Appends a run, if there is one, to opcodes of `len` bytes; returns their new length. */
static size_t opcode_write(uint8_t *out, size_t len, uint8_t value, uint32_t run)
{
	if (run == 0)
		return len;
	if (value > 0) {
		assert(value <= SPARSE_VALUE_MAX && run <= VALUE_RUN_MAX);
		out[len] = (uint8_t)(0x80 | (value - 1) << 2 | (run - 1));
		return len + 1;
	}
	if (run <= ZERO_RUN_MAX) {
		out[len] = (uint8_t)(run - 1);
		return len + 1;
	}
	assert(run <= HLL_REGISTERS);
	out[len] = (uint8_t)(0x40 | (run - 1) >> 8);
	out[len + 1] = (uint8_t)(run - 1);
	return len + 2;
}

bool hll_opcode_at(struct slice value, size_t at, struct hll_opcode *out)
{
	at += HLL_HEADER_BYTES;
	return at < value.len && opcode_read((const uint8_t *)value.ptr + at, value.len - at, out);
}

/* A run of a sparse one. */
struct place {
	size_t at;      /* among all bytes */
	size_t before;  /* where the run before stands; `at` when this is the first */
	uint32_t first; /* its first register */
	uint32_t before_first;
	struct hll_opcode op;
};

/* The run in which a register lies, looking from a run on: false when it can't be found. */
static bool sparse_find_from(const uint8_t *bytes, size_t len, size_t at, uint32_t first,
			     uint32_t index, struct place *place)
{
	*place = (struct place){.at = at, .before = at, .first = first, .before_first = first};
	while (opcode_read(bytes + place->at, len - place->at, &place->op)) {
		if (index < place->first + place->op.run)
			return true;
		place->before = place->at;
		place->before_first = place->first;
		place->first += place->op.run;
		place->at += place->op.bytes;
	}
	return false;
}

static bool sparse_find(const uint8_t *bytes, size_t len, uint32_t index, struct place *place)
{
	return sparse_find_from(bytes, len, HLL_HEADER_BYTES, 0, index, place);
}

static void hint_reset(struct hll *h)
{
	h->hint_at = HLL_HEADER_BYTES;
	h->hint_first = 0;
}

/* The same in one that is being written, from the hint on if the run before can still be told. */
static bool sparse_find_hinted(struct hll *h, uint32_t index, struct place *place)
{
	if (index < h->hint_first)
		hint_reset(h);
	bool found = sparse_find_from(h->bytes, h->len, h->hint_at, h->hint_first, index, place);
	if (found && place->at == h->hint_at)
		found = sparse_find(h->bytes, h->len, index, place);
	/* Changes are made behind the run before: that stays where it is. */
	h->hint_at = place->before;
	h->hint_first = place->before_first;
	return found;
}

/* Joins runs of equal values, beginning at one, as far as Redis looks. */
static void sparse_join(struct hll *h, size_t at)
{
	for (int steps = JOIN_STEPS; steps > 0; steps--) {
		struct hll_opcode op, next;
		if (!opcode_read(h->bytes + at, h->len - at, &op))
			return;
		size_t after = at + op.bytes;
		bool join = op.value > 0 && opcode_read(h->bytes + after, h->len - after, &next) &&
			    next.value == op.value && op.run + next.run <= VALUE_RUN_MAX;
		if (!join) {
			at = after;
			continue;
		}
		opcode_write(h->bytes, at, op.value, op.run + next.run);
		memmove(h->bytes + after, h->bytes + after + 1, h->len - after - 1);
		h->len--;
	}
}

/* What a run becomes when one of its registers gets another value: 1 to 5 bytes. */
static size_t split(const struct place *place, uint32_t index, uint8_t value, uint8_t *out)
{
	uint32_t before = index - place->first;
	size_t len = opcode_write(out, 0, place->op.value, before);
	len = opcode_write(out, len, value, 1);
	return opcode_write(out, len, place->op.value, place->op.run - before - 1);
}

static enum hll_change raise_dense(struct hll *h, uint32_t index, uint8_t value)
{
	uint8_t *registers = h->bytes + HLL_HEADER_BYTES;
	if (dense_get(registers, index) >= value)
		return HLL_SAME;
	dense_set(registers, index, value);
	return HLL_CHANGED;
}

static enum hll_change raise_by_dense(struct hll *h, uint32_t index, uint8_t value)
{
	return hll_make_dense(h) ? raise_dense(h, index, value) : HLL_CORRUPTED;
}

static enum hll_change raise_sparse(struct hll *h, uint32_t index, uint8_t value, size_t bytes_max)
{
	struct place place;
	uint8_t fresh[5];
	if (value > SPARSE_VALUE_MAX)
		return raise_by_dense(h, index, value);
	if (!sparse_find_hinted(h, index, &place))
		return HLL_CORRUPTED;
	if (place.op.value >= value)
		return HLL_SAME;
	size_t fresh_len = split(&place, index, value, fresh);
	size_t len = h->len - place.op.bytes + fresh_len;
	if (len > h->len && len > bytes_max)
		return raise_by_dense(h, index, value);
	if (len > HLL_BYTES_MAX)
		return HLL_CORRUPTED;
	size_t after = place.at + place.op.bytes;
	memmove(h->bytes + place.at + fresh_len, h->bytes + after, h->len - after);
	memcpy(h->bytes + place.at, fresh, fresh_len);
	h->len = len;
	sparse_join(h, place.before);
	return HLL_CHANGED;
}

/* --- reading --- */

bool hll_recognize(struct slice value)
{
	if (value.len < HLL_HEADER_BYTES || value.len > HLL_BYTES_MAX ||
	    memcmp(value.ptr, MAGIC, sizeof(MAGIC) - 1) != 0)
		return false;
	uint8_t encoding = (uint8_t)value.ptr[ENCODING_AT];
	return encoding == ENCODING_SPARSE ||
	       (encoding == ENCODING_DENSE && value.len == HLL_DENSE_BYTES);
}

bool hll_dense(struct slice value)
{
	return value.ptr[ENCODING_AT] == ENCODING_DENSE;
}

bool hll_cached(struct slice value, uint64_t *estimate)
{
	*estimate = read_le((const uint8_t *)value.ptr + ESTIMATE_AT, 8);
	return !(*estimate >> 63);
}

static void raise_one(uint8_t *reg, uint8_t value)
{
	*reg = *reg < value ? value : *reg;
}

/* Four registers stand in three bytes. */
static void merge_dense(uint8_t *registers, const uint8_t *dense)
{
	for (uint32_t i = 0; i < HLL_REGISTERS; i += 4, dense += 3) {
		uint32_t four = (uint32_t)read_le(dense, 3);
		for (uint32_t j = 0; j < 4; j++)
			raise_one(&registers[i + j], four >> (6 * j) & (VALUE_COUNT - 1));
	}
}

static bool merge_sparse(uint8_t *registers, struct slice value)
{
	struct hll_opcode op;
	uint32_t index = 0;
	for (size_t at = 0; hll_opcode_at(value, at, &op); at += op.bytes) {
		if (op.run > HLL_REGISTERS - index)
			return false;
		uint32_t end = index + op.run;
		if (op.value == 0)
			index = end;
		for (; index < end; index++)
			raise_one(&registers[index], op.value);
	}
	return index == HLL_REGISTERS;
}

bool hll_merge(uint8_t *registers, struct slice value)
{
	if (!hll_dense(value))
		return merge_sparse(registers, value);
	merge_dense(registers, (const uint8_t *)value.ptr + HLL_HEADER_BYTES);
	return true;
}

enum hll_change hll_foresee(struct slice value, struct slice element)
{
	const uint8_t *bytes = (const uint8_t *)value.ptr;
	struct place place;
	uint8_t rank;
	uint32_t index = locate(element, &rank);
	if (hll_dense(value))
		return dense_get(bytes + HLL_HEADER_BYTES, index) >= rank ? HLL_SAME : HLL_CHANGED;
	if (!sparse_find(bytes, value.len, index, &place))
		return HLL_CORRUPTED;
	return place.op.value >= rank ? HLL_SAME : HLL_CHANGED;
}

/* --- the estimate --- */

/* The share of the registers that are full: Ertl's tau. */
static double tau(double x)
{
	if (x == 0 || x == 1)
		return 0;
	double y = 1, z = 1 - x, last;
	do {
		x = sqrt(x);
		last = z;
		y *= 0.5;
		z -= (1 - x) * (1 - x) * y;
	} while (z != last);
	return z / 3;
}

/* The share of the registers that are empty: Ertl's sigma. */
static double sigma(double x)
{
	if (x == 1)
		return INFINITY;
	double y = 1, z = x, last;
	do {
		x *= x;
		last = z;
		z += x * y;
		y += y;
	} while (z != last);
	return z;
}

uint64_t hll_estimate(const uint8_t *registers)
{
	const double alpha = 0.721347520444481703680; /* 1 / (2 ln 2) */
	const double m = HLL_REGISTERS;
	uint32_t counts[VALUE_COUNT] = {0};
	for (uint32_t i = 0; i < HLL_REGISTERS; i++)
		counts[registers[i] & (VALUE_COUNT - 1)]++;
	double z = m * tau((m - counts[RANK_BITS + 1]) / m);
	for (int value = RANK_BITS; value >= 1; value--)
		z = (z + counts[value]) * 0.5;
	z += m * sigma(counts[0] / m);
	double estimate = alpha * m * m / z;
	/* No set of elements leaves registers so full, but a string may: without end. */
	return estimate < 0x1p63 ? (uint64_t)llround(estimate) : (uint64_t)1 << 63;
}

/* --- writing --- */

void hll_init(struct hll *h)
{
	memset(h->bytes, 0, HLL_HEADER_BYTES);
	memcpy(h->bytes, MAGIC, sizeof(MAGIC) - 1);
	h->bytes[ENCODING_AT] = ENCODING_SPARSE;
	h->len = opcode_write(h->bytes, HLL_HEADER_BYTES, 0, HLL_REGISTERS);
	hint_reset(h);
}

void hll_load(struct hll *h, struct slice value)
{
	assert(hll_recognize(value));
	memcpy(h->bytes, value.ptr, value.len);
	h->len = value.len;
	hint_reset(h);
}

void hll_cache(struct hll *h, uint64_t estimate)
{
	for (int i = 0; i < 8; i++)
		h->bytes[ESTIMATE_AT + i] = (uint8_t)(estimate >> (8 * i));
}

void hll_uncache(struct hll *h)
{
	h->bytes[ESTIMATE_AT + 7] |= 0x80;
}

enum hll_change hll_add(struct hll *h, struct slice element, size_t sparse_bytes_max)
{
	uint8_t rank;
	uint32_t index = locate(element, &rank);
	return hll_raise(h, index, rank, sparse_bytes_max);
}

enum hll_change hll_raise(struct hll *h, uint32_t index, uint8_t value, size_t sparse_bytes_max)
{
	assert(index < HLL_REGISTERS && value > 0 && value < VALUE_COUNT);
	return hll_dense(hll_slice(h)) ? raise_dense(h, index, value)
				       : raise_sparse(h, index, value, sparse_bytes_max);
}

bool hll_make_dense(struct hll *h)
{
	uint8_t registers[HLL_REGISTERS] = {0};
	if (hll_dense(hll_slice(h)))
		return true;
	if (!merge_sparse(registers, hll_slice(h)))
		return false;
	h->len = HLL_DENSE_BYTES;
	h->bytes[ENCODING_AT] = ENCODING_DENSE;
	memset(h->bytes + HLL_HEADER_BYTES, 0, HLL_DENSE_BYTES - HLL_HEADER_BYTES);
	for (uint32_t i = 0; i < HLL_REGISTERS; i++)
		dense_set(h->bytes + HLL_HEADER_BYTES, i, registers[i]);
	return true;
}
