#include "test/check.h"

#include "proto/crc16.h"

#include <string.h>

/* Bit by bit, as the polynomial is defined. */
static uint16_t crc16_naive(const char *bytes, size_t len)
{
	uint16_t crc = 0;

	for (size_t i = 0; i < len; i++)
		for (int bit = 7; bit >= 0; bit--) {
			int out = crc >> 15 ^ ((unsigned char)bytes[i] >> bit & 1);

			crc = (uint16_t)(crc << 1) ^ (out ? 0x1021 : 0);
		}
	return crc;
}

static uint16_t slot_naive(const char *key, size_t len)
{
	size_t open = 0;
	size_t close;

	while (open < len && key[open] != '{')
		open++;
	close = open + 1;
	while (close < len && key[close] != '}')
		close++;
	if (open < len && close < len && close > open + 1)
		return crc16_naive(key + open + 1, close - open - 1) % SLOT_COUNT;
	return crc16_naive(key, len) % SLOT_COUNT;
}

static void known_sums(void **state)
{
	assert_int_equal(crc16("123456789", 9), 0x31c3);
	assert_int_equal(crc16("", 0), 0);
	assert_int_equal(crc16_naive("123456789", 9), 0x31c3);
}

/* As CLUSTER KEYSLOT answers. */
static void known_slots(void **state)
{
	static const struct {
		struct slice key;
		uint16_t slot;
	} rows[] = {
		{SLICE(""), 0},
		{SLICE("foo"), 12182},
		{SLICE("bar"), 5061},
		{SLICE("hello"), 866},
		{SLICE("foo{hash_tag}"), 2515},
		{SLICE("{hash_tag}bar"), 2515},
		{SLICE("hash_tag"), 2515},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(key_slot(rows[i].key.ptr, rows[i].key.len), rows[i].slot);
}

static void tags(void **state)
{
	static const struct {
		const char *label;
		struct slice key;
		struct slice hashed;
	} rows[] = {
		{"a tag", SLICE("{user1000}.following"), SLICE("user1000")},
		{"an empty tag is none", SLICE("foo{}{bar}"), SLICE("foo{}{bar}")},
		{"the first '{' to the next '}'", SLICE("foo{{bar}}zap"), SLICE("{bar")},
		{"only the first tag", SLICE("foo{bar}{zap}"), SLICE("bar")},
		{"not closed", SLICE("foo{bar"), SLICE("foo{bar")},
		{"closed before it opens", SLICE("}foo{bar"), SLICE("}foo{bar")},
		{"'{' at the very end", SLICE("foofoofoofoo{"), SLICE("foofoofoofoo{")},
		{"far behind", SLICE("0123456789abcdefghi{x}"), SLICE("x")},
		{"a zero in it", SLICE("{a\0b}c"), SLICE("a\0b")},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (key_slot(rows[i].key.ptr, rows[i].key.len) !=
		    crc16_naive(rows[i].hashed.ptr, rows[i].hashed.len) % SLOT_COUNT)
			fail_msg("%s", rows[i].label);
}

static void random_keys(void **state)
{
	struct check_random random = check_random_start();

	for (int round = 0; round < 20000; round++) {
		size_t len = check_random_below(&random, 70);
		char *key = malloc(len + 1);

		for (size_t i = 0; i < len; i++) {
			uint64_t r = check_random_next(&random);

			key[i] = r % 16 == 0 ? "{}"[r >> 8 & 1] : (char)(r >> 16);
		}
		/* Exactly so long, for a sanitizer to see a read beyond it. */
		key = realloc(key, len > 0 ? len : 1);
		assert_int_equal(crc16(key, len), crc16_naive(key, len));
		assert_int_equal(key_slot(key, len), slot_naive(key, len));
		free(key);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_sums),
		cmocka_unit_test(known_slots),
		cmocka_unit_test(tags),
		cmocka_unit_test(random_keys),
	};

	return cmocka_run_group_tests_name("crc16", tests, NULL, NULL);
}
