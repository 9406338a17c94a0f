/*
 * Entries: every layout gives back what was put in, and frees what it owns.
 */
#include "proto/mem.h"
#include "shard/entry.h"
#include "shard/rope.h"
#include "test/check.h"

static struct slice filled(char *buffer, size_t len, char first)
{
	for (size_t i = 0; i < len; i++)
		buffer[i] = first + i % 23;
	return (struct slice){buffer, len};
}

static const size_t HEADER = sizeof(struct entry);

static void test_layouts(void **state)
{
	static const struct {
		const char *label;
		size_t klen, vlen;
		int64_t expire;
		unsigned flags;
		size_t extra;
	} rows[] = {
		{"empty", 0, 0, EXPIRE_NEVER, 0, 0},
		{"small", 15, 32, EXPIRE_NEVER, 0, 0},
		{"small, expires", 15, 32, 1700000000000, ENTRY_EXPIRES, 8},
		{"expired long ago", 3, 1, -5, ENTRY_EXPIRES, 8},
		{"longest short key", 255, 10, EXPIRE_NEVER, 0, 0},
		{"long key", 256, 10, EXPIRE_NEVER, ENTRY_LONG, 8},
		{"long key, expires", 70000, 10, 5, ENTRY_LONG | ENTRY_EXPIRES, 16},
		{"longest inline value", 5, ENTRY_BLOB_MIN - 1, EXPIRE_NEVER, 0, 0},
		{"blob", 5, ENTRY_BLOB_MIN, EXPIRE_NEVER, ENTRY_BLOB, 0},
		{"blob, long key, expires", 300, 100000, 7, ENTRY_BLOB | ENTRY_LONG | ENTRY_EXPIRES,
		 16},
	};
	char *key_bytes = malloc(1 << 17), *value_bytes = malloc(1 << 17);

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct entry_spec spec = {
			.key = filled(key_bytes, rows[i].klen, 'a'),
			.value = filled(value_bytes, rows[i].vlen, 'A'),
			.expire = rows[i].expire,
			.type = ENTRY_STRING,
			.encoding = ENCODING_RAW,
			.access = 0xabcdef,
		};
		bool blob = rows[i].flags & ENTRY_BLOB;
		size_t inline_len = blob ? sizeof(void *) : rows[i].vlen;
		struct entry *e = entry_new(&spec);

		print_message("# %s\n", rows[i].label);
		assert_int_equal(e->flags, rows[i].flags);
		assert_int_equal(entry_type(e), ENTRY_STRING);
		assert_int_equal(entry_encoding(e), ENCODING_RAW);
		assert_true(slice_equal(entry_key(e), spec.key));
		assert_true(slice_equal(entry_value(e), spec.value));
		assert_int_equal(entry_expire(e), rows[i].expire);
		assert_int_equal(entry_access(e), 0xabcdef);
		assert_int_equal(entry_size(e), HEADER + rows[i].extra + rows[i].klen + inline_len);
		assert_true(entry_memory(e) >= entry_size(e) + (blob ? rows[i].vlen : 0));
		assert_true(blob == (entry_blob(e) != NULL));
		entry_free(e);
	}
	free(key_bytes);
	free(value_bytes);
}

static void test_string_encodings(void **state)
{
	static const struct {
		const char *text;
		enum entry_encoding expected;
	} rows[] = {
		{"", ENCODING_EMBSTR},
		{"0", ENCODING_INT},
		{"-1", ENCODING_INT},
		{"9223372036854775807", ENCODING_INT},
		{"9223372036854775808", ENCODING_EMBSTR},
		{"-9223372036854775808", ENCODING_INT},
		{"007", ENCODING_EMBSTR},
		{"-0", ENCODING_EMBSTR},
		{"+1", ENCODING_EMBSTR},
		{" 1", ENCODING_EMBSTR},
		{"1.5", ENCODING_EMBSTR},
		{"hello", ENCODING_EMBSTR},
		{"44444444444444444444444444444444444444444444", ENCODING_EMBSTR},
		{"555555555555555555555555555555555555555555555", ENCODING_RAW},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct entry *e =
			entry_new_string(SLICE("k"), slice_of(rows[i].text), EXPIRE_NEVER, 0);
		assert_int_equal(entry_encoding(e), rows[i].expected);
		assert_true(slice_equal(entry_value(e), slice_of(rows[i].text)));
		entry_free(e);
	}
}

static void test_value_room(void **state)
{
	static const size_t lens[] = {0, 5, ENTRY_BLOB_MIN};

	for (size_t i = 0; i < COUNT_OF(lens); i++) {
		struct entry_spec spec = {.key = SLICE("key"),
					  .value = {NULL, lens[i]},
					  .expire = EXPIRE_NEVER};
		struct entry *e = entry_new(&spec);
		memset(entry_value_room(e), 'x', lens[i]);
		struct slice value = entry_value(e);
		assert_int_equal(value.len, lens[i]);
		for (size_t j = 0; j < value.len; j++)
			assert_int_equal(value.ptr[j], 'x');
		assert_true(slice_equal(entry_key(e), SLICE("key")));
		entry_free(e);
	}
}

static void test_access_keeps_key_length(void **state)
{
	struct entry *e = entry_new_string(SLICE("a key"), SLICE("v"), EXPIRE_NEVER, 1);

	entry_set_access(e, 0xffffffff);
	assert_int_equal(entry_access(e), 0xffffff);
	assert_true(slice_equal(entry_key(e), SLICE("a key")));
	entry_set_access(e, 0);
	assert_int_equal(entry_access(e), 0);
	assert_true(slice_equal(entry_key(e), SLICE("a key")));
	entry_free(e);
}

static void test_expired(void **state)
{
	struct entry *e = entry_new_string(SLICE("k"), SLICE("v"), 1000, 0);
	struct entry *never = entry_new_string(SLICE("k"), SLICE("v"), EXPIRE_NEVER, 0);

	assert_false(entry_expired(e, 999));
	assert_true(entry_expired(e, 1000));
	assert_false(entry_expired(never, INT64_MAX));
	entry_free(e);
	entry_free(never);
}

static void test_with_expire_and_key(void **state)
{
	struct entry *e = entry_new_string(SLICE("k"), SLICE("42"), EXPIRE_NEVER, 77);
	struct entry *expires = entry_with_expire(e, 5);
	struct entry *renamed = entry_with_key(expires, SLICE("another key"), EXPIRE_NEVER);

	entry_free(e);
	assert_true(slice_equal(entry_key(expires), SLICE("k")));
	assert_true(slice_equal(entry_value(expires), SLICE("42")));
	assert_int_equal(entry_expire(expires), 5);
	assert_int_equal(entry_access(expires), 77);
	entry_free(expires);
	assert_true(slice_equal(entry_key(renamed), SLICE("another key")));
	assert_true(slice_equal(entry_value(renamed), SLICE("42")));
	assert_int_equal(entry_encoding(renamed), ENCODING_INT);
	assert_int_equal(entry_expire(renamed), EXPIRE_NEVER);
	assert_int_equal(entry_access(renamed), 77);
	entry_free(renamed);
}

/* Each entry has a reference of its own, and drops it whether it is freed whole or shallow. */
static void test_blob_is_shared(void **state)
{
	struct entry_spec spec = {.key = SLICE("k"),
				  .value = {NULL, ENTRY_BLOB_MIN},
				  .expire = EXPIRE_NEVER};
	struct entry *e = entry_new(&spec);
	struct blob *blob = blob_ref(entry_blob(e));

	memset(entry_value_room(e), 'b', ENTRY_BLOB_MIN);
	struct entry *expires = entry_with_expire(e, 9);
	struct entry *renamed = entry_with_key(e, SLICE("other"), 9);
	assert_ptr_equal(entry_blob(expires), blob);
	assert_ptr_equal(entry_blob(renamed), blob);
	assert_int_equal(blob->refs, 4);
	entry_free(e);
	assert_int_equal(blob->refs, 3);
	entry_free_shallow(expires);
	assert_int_equal(blob->refs, 2);
	assert_int_equal(entry_value(renamed).ptr[ENTRY_BLOB_MIN - 1], 'b');
	entry_free(renamed);
	assert_int_equal(blob->refs, 1);
	blob_unref(blob);
}

/* The structure moves to the new entry: the old one must leave it alone. */
static void test_owner_only_moves(void **state)
{
	struct rope *rope = rope_new(100000, NULL);
	struct entry_spec spec = {.key = SLICE("k"),
				  .expire = EXPIRE_NEVER,
				  .type = ENTRY_STRING,
				  .encoding = ENCODING_RAW};
	struct entry *e = entry_new_owner_only(&spec, rope);

	assert_int_equal(e->flags, ENTRY_OWNER_ONLY);
	assert_ptr_equal(entry_structure(e), rope);
	assert_true(entry_memory(e) >= entry_size(e) + rope_memory(rope));
	assert_null(entry_blob(e));
	struct entry *expires = entry_with_expire(e, 5);
	entry_free_shallow(e);
	assert_ptr_equal(entry_structure(expires), rope);
	assert_int_equal(rope_length(rope), 100000);
	entry_free(expires);
	entry_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts),
		cmocka_unit_test(test_string_encodings),
		cmocka_unit_test(test_value_room),
		cmocka_unit_test(test_access_keeps_key_length),
		cmocka_unit_test(test_expired),
		cmocka_unit_test(test_with_expire_and_key),
		cmocka_unit_test(test_blob_is_shared),
		cmocka_unit_test(test_owner_only_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
