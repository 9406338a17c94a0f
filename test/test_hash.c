/*
 * SipHash-1-3 against values that CPython 3.11 gives for bytes (its hash() is SipHash-1-3; with
 * PYTHONHASHSEED=0 the key is all zero), and what the keyspace needs of it.
 */
#include "shard/hash.h"
#include "test/check.h"

static void test_known_values(void **state)
{
	static const struct {
		const char *input;
		uint64_t expected;
	} rows[] = {
		{"a", 0x407448d2b89b1813},
		{"ab", 0x555508cbc6add439},
		{"abc", 0xc03bc3a0042630f2},
		{"abcdefg", 0x6db12aae9070f506},
		{"abcdefgh", 0x3f7b849c0b8e35ea},
		{"abcdefghi", 0xf89b34a3d11eb6e5},
		{"0123456789abcdefghijklmnopqrstuvwxyz", 0x80028cf7ca2dbe8f},
	};
	struct hash_seed zero = {0, 0};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice input = slice_of(rows[i].input);
		assert_int_equal(hash_bytes(&zero, input.ptr, input.len), rows[i].expected);
	}
}

/*
 * The key 00 01 .. 0f and the inputs "", 00, 00 01, ...: the reference set of the SipHash family.
 */
static void test_reference_key(void **state)
{

	struct hash_seed seed = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

	assert_int_equal(hash_bytes(&seed, "", 0), 0xabac0158050fc4dc);
}

static void test_every_length_and_place(void **state)
{
	struct hash_seed seed = {1, 2};
	char buffer[128] = {0};

	/* the same bytes hash the same wherever they stand; each length of zeros is different */
	for (size_t len = 0; len < 40; len++) {
		uint64_t hash = hash_bytes(&seed, buffer, len);
		for (size_t at = 1; at < 16; at++)
			assert_int_equal(hash_bytes(&seed, buffer + at, len), hash);
		for (size_t other = 0; other < len; other++)
			assert_int_not_equal(hash_bytes(&seed, buffer, other), hash);
	}
	/* every byte counts */
	for (size_t at = 0; at < 40; at++) {
		uint64_t hash = hash_bytes(&seed, buffer, 40);
		buffer[at] ^= 0x80;
		assert_int_not_equal(hash_bytes(&seed, buffer, 40), hash);
		buffer[at] ^= 0x80;
	}
}

static void test_seed_matters(void **state)
{
	struct hash_seed a = {1, 2}, b = {1, 3}, c = {2, 2};

	assert_int_not_equal(hash_bytes(&a, "key", 3), hash_bytes(&b, "key", 3));
	assert_int_not_equal(hash_bytes(&a, "key", 3), hash_bytes(&c, "key", 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_values),
		cmocka_unit_test(test_reference_key),
		cmocka_unit_test(test_every_length_and_place),
		cmocka_unit_test(test_seed_matters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
