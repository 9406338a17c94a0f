/* CRC-64: the check value, in pieces, and joined. */
#include "proto/crc64.h"
#include "test/check.h"

#define BYTES_MAX 5000

static void test_check_value(void **state)
{
	assert_true(crc64(0, "123456789", 9) == 0xe9c6d914c4b8d9ca);
	assert_true(crc64(0, "", 0) == 0);
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
		cmocka_unit_test(test_check_value),
		cmocka_unit_test(test_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
