/*
 * CRC16 eight bytes a step.
 *
 * table[k][b] is the CRC of the byte b followed by k zero bytes. A CRC is linear, so that of eight
 * bytes is the exclusive or of eight look-ups which do not wait for each other; the CRC so far goes
 * into the first two of them. Because it starts at 0, zero bytes in front change nothing: the odd
 * bytes of a text are taken first, as a step of their own filled up with zeros from the left, and
 * there is no slow tail.
 *
 * The tables are made once, before main(), and only read afterwards.
 */
#include "proto/crc16.h"

#include <endian.h>
#include <string.h>

#define POLYNOMIAL 0x1021
#define STEP       8

static uint16_t table[STEP][256];

__attribute__((constructor)) static void table_init(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint16_t crc = b << 8;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 0x8000 ? crc << 1 ^ POLYNOMIAL : crc << 1;
		table[0][b] = crc;
	}
	for (int k = 1; k < STEP; k++)
		for (uint32_t b = 0; b < 256; b++) {
			uint16_t crc = table[k - 1][b];

			table[k][b] = crc << 8 ^ table[0][crc >> 8];
		}
}

static inline uint64_t load(const char *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return be64toh(word);
}

/* The first byte of the text is the highest of `word`. */
static inline uint16_t step(uint16_t crc, uint64_t word)
{
	word ^= (uint64_t)crc << 48;
	return table[7][word >> 56] ^ table[6][word >> 48 & 255] ^ table[5][word >> 40 & 255] ^
	       table[4][word >> 32 & 255] ^ table[3][word >> 24 & 255] ^
	       table[2][word >> 16 & 255] ^ table[1][word >> 8 & 255] ^ table[0][word & 255];
}

uint16_t crc16(const char *bytes, size_t len)
{
	const char *end = bytes + len;
	size_t odd = len % STEP;
	uint16_t crc = 0;

	if (len < STEP) {
		for (; bytes < end; bytes++)
			crc = crc << 8 ^ table[0][crc >> 8 ^ (uint8_t)*bytes];
		return crc;
	}
	if (odd > 0)
		crc = step(0, load(bytes) >> 8 * (STEP - odd));
	for (bytes += odd; bytes < end; bytes += STEP)
		crc = step(crc, load(bytes));
	return crc;
}

uint16_t key_slot(const char *key, size_t len)
{
	const char *open = len > 0 ? memchr(key, '{', len) : NULL;
	const char *close = open ? memchr(open + 1, '}', key + len - (open + 1)) : NULL;

	if (close && close > open + 1) {
		key = open + 1;
		len = close - key;
	}
	return crc16(key, len) % SLOT_COUNT;
}
