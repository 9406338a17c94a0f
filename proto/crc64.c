/*
 * CRC-64 (crc64.h) by tables, a word of eight bytes at a time.
 *
 * A sum that takes in one word after another waits for each. So the words of a long input are dealt
 * to STREAMS sums in turn, and the processor works on all of them at once: each takes in every
 * STREAMS-th word, as if zeros stood in place of the others. The words of the last round are taken
 * in one after another, each along with the sum it was dealt to, which leaves one sum of
 * everything.
 */
#include "proto/crc64.h"

#include <string.h>

/* The polynomial with its bits the other way round. */
#define POLYNOMIAL 0x95ac9329ac4bc9b5ull

/* Bytes. */
#define WORD sizeof(uint64_t)
/* More of them don't fit the registers and gain little. */
#define STREAMS 4
/* Bytes of a round: a word for each. */
#define ROUND (STREAMS * WORD)

/* later[k][b]: what byte b does to the sum k bytes later. */
static uint64_t later[ROUND][256];

__attribute__((constructor)) static void make_tables(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint64_t crc = b;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
		later[0][b] = crc;
	}
	for (uint32_t b = 0; b < 256; b++)
		for (size_t k = 1; k < ROUND; k++)
			later[k][b] = later[k - 1][b] >> 8 ^ later[0][later[k - 1][b] & 255];
}

static uint64_t load_little(const unsigned char *at)
{
	uint64_t word;
	memcpy(&word, at, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word;
}

/* What the word at `at` makes of a sum, `len` bytes from there: a word's or a round's. */
static inline uint64_t take_in(uint64_t crc, const unsigned char *at, size_t len)
{
	uint64_t word = crc ^ load_little(at);
	crc = 0;
	for (size_t k = 0; k < WORD; k++)
		crc ^= later[len - 1 - k][word >> 8 * k & 255];
	return crc;
}

uint64_t crc64(uint64_t crc, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;
	uint64_t sums[STREAMS] = {crc};
	if (len >= ROUND) {
		for (; len >= 2 * ROUND; at += ROUND, len -= ROUND)
			for (size_t i = 0; i < STREAMS; i++)
				sums[i] = take_in(sums[i], at + i * WORD, ROUND);
		crc = 0;
		for (size_t i = 0; i < STREAMS; i++, at += WORD, len -= WORD)
			crc = take_in(crc ^ sums[i], at, WORD);
	}
	for (; len >= WORD; at += WORD, len -= WORD)
		crc = take_in(crc, at, WORD);
	while (len-- > 0)
		crc = later[0][(crc ^ *at++) & 255] ^ crc >> 8;
	return crc;
}

/* What a linear change makes of a sum: matrix[i] is what it makes of bit i. */
static uint64_t apply(const uint64_t matrix[64], uint64_t sum)
{
	uint64_t result = 0;
	for (; sum; sum >>= 1, matrix++)
		result ^= sum & 1 ? *matrix : 0;
	return result;
}

/* Zero bytes change a sum linearly: so many of them are powers of two of them. */
uint64_t crc64_join(uint64_t first, uint64_t second, uint64_t second_len)
{
	uint64_t zeros[64], twice[64];
	for (int i = 0; i < 64; i++)
		zeros[i] = crc64(1ull << i, "", 1);
	for (; second_len > 0; second_len >>= 1) {
		if (second_len & 1)
			first = apply(zeros, first);
		for (int i = 0; i < 64; i++)
			twice[i] = apply(zeros, zeros[i]);
		memcpy(zeros, twice, sizeof(zeros));
	}
	return first ^ second;
}
