/* Records that can be what a server has written, and others. */
#include "test/check.h"

#include "persist/verify.h"
#include "proto/crc16.h"

#define SET_K  "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"
#define DEL_J  "*2\r\n$3\r\nDEL\r\n$1\r\nj\r\n"
#define SELECT "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"

static const struct {
	const char *label, *bytes;
	const char *key; /* in whose slot it is; NULL: in several, */
	bool all;        /* ... or all */
	bool likes;
} rows[] = {
	{"a write", SET_K, "k", false, true},
	{"two", SELECT SET_K SET_K, "k", false, true},
	{"of another slot", SET_K, "j", false, false},
	{"the second of another slot", SET_K DEL_J, "k", false, false},
	{"of several slots", SET_K DEL_J, NULL, false, true},
	{"no such command", "*3\r\n$3\r\nSXT\r\n$1\r\nk\r\n$1\r\nv\r\n", "k", false, false},
	{"too few arguments", "*2\r\n$3\r\nSET\r\n$1\r\nk\r\n", "k", false, false},
	{"not on keys", "*1\r\n$4\r\nPING\r\n", NULL, false, false},
	{"of everything", "*1\r\n$8\r\nFLUSHALL\r\n", NULL, true, true},
	{"of everything, but not all slots", "*1\r\n$8\r\nFLUSHALL\r\n", NULL, false, false},
	{"cut", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n", "k", false, false},
};

static void test_rows(void **state)
{
	struct verifier *verifier = verifier_new();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct merge_record record = {
			.bytes = rows[i].bytes,
			.len = strlen(rows[i].bytes),
			.all = rows[i].all,
			.several = !rows[i].key,
			.slot = rows[i].key ? key_slot(rows[i].key, strlen(rows[i].key)) : 0,
		};
		if (verifier_likes(verifier, &record) != rows[i].likes)
			fail_msg("%s", rows[i].label);
	}
	verifier_free(verifier);
}

/* More arguments than there is room for at first. */
static void test_many(void **state)
{
	char bytes[4096] = "*202\r\n$5\r\nRPUSH\r\n$1\r\nk\r\n";
	struct verifier *verifier = verifier_new();

	(void)state;
	for (int i = 0; i < 200; i++)
		strcat(bytes, "$1\r\nx\r\n");
	struct merge_record record = {.bytes = bytes,
				      .len = strlen(bytes),
				      .slot = key_slot("k", 1)};
	assert_true(verifier_likes(verifier, &record));
	record.len--;
	assert_false(verifier_likes(verifier, &record));
	verifier_free(verifier);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
