/* CRC-64: known sums, every length and alignment against bit by bit, in pieces, and joined. */
#include "proto/crc64.h"
#include "test/check.h"

#include <string.h>

#define BYTES_MAX 5000
/* Several rounds of all words that are summed side by side, and some. */
#define LEN_MAX 300
#define ALIGNS  16

static void test_known(void **state)
{
	static const struct {
		const char *label, *text;
		size_t times;
		uint64_t sum;
	} rows[] = {
		{"nothing", "", 1, 0},
		{"the check value", "123456789", 1, 0xe9c6d914c4b8d9ca},
		{"one byte", "a", 1, 0x5fb354025b277b14},
		{"64 times 255", "\xff", 64, 0x83b5475e1304e28f},
		{"the check value's text, long", "123456789", 1000, 0xc4d59242d0348dfa},
	};
	static char bytes[9000];

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		size_t text_len = strlen(rows[i].text), len = text_len * rows[i].times;

		for (size_t at = 0; at < len; at += text_len)
			memcpy(bytes + at, rows[i].text, text_len);
		print_message("# %s\n", rows[i].label);
		assert_true(crc64(0, bytes, len) == rows[i].sum);
	}
}

/* The definition, bit by bit. */
static uint64_t crc64_bitwise(uint64_t crc, const unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x95ac9329ac4bc9b5 : crc >> 1;
	}
	return crc;
}

/* The bytes end where their block ends, so that a sanitizer sees what lies behind. */
static void test_lengths(void **state)
{
	struct check_random random = check_random_start();

	for (size_t align = 0; align < ALIGNS; align++) {
		for (size_t len = 0; len <= LEN_MAX; len++) {
			unsigned char *block = malloc(align + len + 1);
			unsigned char *bytes = block + 1 + align;
			uint64_t from = (align + len) % 2 ? check_random_next(&random) : 0;

			for (size_t i = 0; i < len; i++)
				bytes[i] = (unsigned char)check_random_next(&random);
			assert_true(crc64(from, bytes, len) == crc64_bitwise(from, bytes, len));
			free(block);
		}
	}
}

/* Any cut gives the same sum: gone on with, and of both parts joined. */
static void test_pieces(void **state)
{
	struct check_random random = check_random_start();
	unsigned char bytes[BYTES_MAX];

	for (size_t i = 0; i < BYTES_MAX; i++)
		bytes[i] = (unsigned char)check_random_next(&random);
	for (int round = 0; round < 300; round++) {
		size_t len = check_random_below(&random, BYTES_MAX + 1);
		size_t cut = check_random_below(&random, len + 1);
		uint64_t whole = crc64(0, bytes, len), first = crc64(0, bytes, cut);

		assert_true(crc64(first, bytes + cut, len - cut) == whole);
		assert_true(crc64_join(first, crc64(0, bytes + cut, len - cut), len - cut) ==
			    whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
