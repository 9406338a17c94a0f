/*
 * Counting and finding bits (bits.h).
 *
 * A range of bits is one of bytes with ragged edges: counting takes whole bytes and subtracts
 * what stands outside; finding goes bit by bit to the first whole byte and from the last.
 */
#include "shard/bits.h"

#include "shard/string.h"

#include <assert.h>

/* Words whose counts fit the 8 bytes of one accumulator: each adds at most 8 to each byte. */
#define COUNT_WORDS_MAX 31

static uint64_t word_at(const char *bytes)
{
	uint64_t word;
	memcpy(&word, bytes, sizeof(word));
	return word;
}

/* The ones of each byte of a word, in that byte (Hacker's Delight, 5-1). */
static uint64_t count_in_bytes(uint64_t word)
{
	word -= word >> 1 & 0x5555555555555555ull;
	word = (word & 0x3333333333333333ull) + (word >> 2 & 0x3333333333333333ull);
	return (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0full;
}

/* The sum of the bytes of a word. */
static uint64_t sum_of_bytes(uint64_t word)
{
	word = (word & 0x00ff00ff00ff00ffull) + (word >> 8 & 0x00ff00ff00ff00ffull);
	return word * 0x0001000100010001ull >> 48;
}

/* Eight bytes a step, without a popcnt instruction, which not every machine has. */
static uint64_t count_piece(const char *bytes, size_t len)
{
	uint64_t sum = 0;
	while (len >= 8) {
		size_t words = len / 8 < COUNT_WORDS_MAX ? len / 8 : COUNT_WORDS_MAX;
		uint64_t counts = 0;
		for (size_t i = 0; i < words; i++)
			counts += count_in_bytes(word_at(bytes + 8 * i));
		sum += sum_of_bytes(counts);
		bytes += 8 * words;
		len -= 8 * words;
	}
	uint64_t rest = 0;
	memcpy(&rest, bytes, len);
	return sum + sum_of_bytes(count_in_bytes(rest));
}

/* The piece at `offset` of the string, cut off at `end`. */
static struct slice piece_until(const struct entry *e, size_t offset, size_t end)
{
	struct slice piece = string_piece(e, offset);
	if (piece.len > end - offset)
		piece.len = end - offset;
	return piece;
}

static uint8_t byte_at(const struct entry *e, size_t offset)
{
	char byte;
	string_read(e, offset, 1, &byte);
	return (uint8_t)byte;
}

uint64_t bits_count(const struct entry *e, uint64_t from, uint64_t end)
{
	if (from >= end)
		return 0;
	size_t first = from / 8, last = (end - 1) / 8;
	assert(last < string_length(e));
	unsigned before = byte_at(e, first) & ~(0xffu >> from % 8);
	unsigned after = byte_at(e, last) & (0x7fu >> (end - 1) % 8);
	uint64_t sum = 0;
	for (size_t at = first; at <= last;) {
		struct slice piece = piece_until(e, at, last + 1);
		if (piece.ptr)
			sum += count_piece(piece.ptr, piece.len);
		at += piece.len;
	}
	return sum - __builtin_popcount(before) - __builtin_popcount(after);
}

/* The first byte that isn't `skip`; `len` when all are. */
static size_t find_other(const char *bytes, size_t len, uint8_t skip)
{
	uint64_t word = skip * 0x0101010101010101ull;
	size_t at = 0;
	while (len - at >= 8 && word_at(bytes + at) == word)
		at += 8;
	while (at < len && (uint8_t)bytes[at] == skip)
		at++;
	return at;
}

/* The first byte in a range that has a bit of that value; `end` when none has. */
static size_t find_byte(const struct entry *e, bool bit, size_t from, size_t end)
{
	for (size_t at = from; at < end;) {
		struct slice piece = piece_until(e, at, end);
		if (!piece.ptr && !bit)
			return at;
		size_t n = piece.ptr ? find_other(piece.ptr, piece.len, bit ? 0 : 0xff) : piece.len;
		at += n;
		if (n < piece.len)
			return at;
	}
	return end;
}

/* Bit by bit, for the few of a ragged edge or of the byte that find_byte() found. */
static int64_t find_in_edge(const struct entry *e, bool bit, uint64_t from, uint64_t end)
{
	for (uint64_t at = from; at < end; at++)
		if ((byte_at(e, at / 8) >> (7 - at % 8) & 1) == bit)
			return (int64_t)at;
	return -1;
}

int64_t bits_find(const struct entry *e, bool bit, uint64_t from, uint64_t end)
{
	if (from >= end)
		return -1;
	assert((end - 1) / 8 < string_length(e));
	uint64_t whole = (from + 7) / 8 * 8;
	if (whole >= end)
		return find_in_edge(e, bit, from, end);
	int64_t found = find_in_edge(e, bit, from, whole);
	if (found >= 0)
		return found;
	return find_in_edge(e, bit, 8 * (uint64_t)find_byte(e, bit, whole / 8, end / 8), end);
}

/* The number of an offset argument, before it is checked against the limit. */
static bool parse_offset(struct slice arg, unsigned width, uint64_t *out)
{
	bool counts_fields = width > 0 && arg.len > 0 && arg.ptr[0] == '#';
	if (counts_fields)
		arg = (struct slice){arg.ptr + 1, arg.len - 1};
	int64_t n;
	if (!number_parse(arg, &n) || n < 0)
		return false;
	return !__builtin_mul_overflow((uint64_t)n, counts_fields ? width : 1, out);
}

bool bits_arg_offset(struct ctx *ctx, uint32_t i, unsigned width, uint64_t *out)
{
	uint64_t max = ctx_string_max(ctx);
	if (parse_offset(ctx->argv[i], width, out) && *out / 8 < max)
		return true;
	reply_error(ctx->reply, "ERR bit offset is not an integer or out of range");
	return false;
}
