/* CRC-64 (crc64.h), eight bytes at a time by eight tables. */
#include "proto/crc64.h"

#include <string.h>

/* The polynomial with its bits the other way round. */
#define POLYNOMIAL 0x95ac9329ac4bc9b5ull

/* tables[k][b]: what byte b does to the sum k bytes later. */
static uint64_t tables[8][256];

__attribute__((constructor)) static void make_tables(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint64_t crc = b;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
		tables[0][b] = crc;
	}
	for (uint32_t b = 0; b < 256; b++)
		for (int k = 1; k < 8; k++)
			tables[k][b] = tables[k - 1][b] >> 8 ^ tables[0][tables[k - 1][b] & 255];
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

uint64_t crc64(uint64_t crc, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;
	for (; len >= 8; at += 8, len -= 8) {
		uint64_t word = crc ^ load_little(at);
		crc = 0;
		for (int k = 0; k < 8; k++)
			crc ^= tables[7 - k][word >> 8 * k & 255];
	}
	while (len-- > 0)
		crc = tables[0][(crc ^ *at++) & 255] ^ crc >> 8;
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
