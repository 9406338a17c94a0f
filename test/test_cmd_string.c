/* Commands on strings: what the wire doesn't show. Blobs, access bits, what counts as a change. */
#include "test/store.h"

#include "shard/string.h"

#define BIG (ENTRY_BLOB_MIN + 100)

static struct entry *entry_of(const struct store *s, const char *name)
{
	struct slice key = slice_of(name);
	struct table *t = slot_table(&s->ks->slots[key_slot(name, key.len)], s->db);
	return t ? table_find(t, hash_bytes(&s->ks->seed, name, key.len), key) : NULL;
}

static void set_big(struct store *s)
{
	static char big[BIG];
	memset(big, 'x', sizeof(big));
	struct slice argv[] = {SLICE("SET"), SLICE("k"), {big, sizeof(big)}};
	assert_string_equal(store_run_args(s, argv, 3), "+OK\r\n");
	assert_non_null(entry_blob(entry_of(s, "k")));
}

/* What a command leaves at the key that `before` made. */
static void test_encodings(void **state)
{
	static const struct {
		const char *before, *request;
		int encoding; /* -1: no key */
		int64_t expire;
		uint64_t dirty;
	} rows[] = {
		{"DEL k", "SET k 12", ENCODING_INT, EXPIRE_NEVER, 1},
		{"DEL k", "SET k -9223372036854775808", ENCODING_INT, EXPIRE_NEVER, 1},
		{"DEL k", "SET k 9223372036854775808", ENCODING_EMBSTR, EXPIRE_NEVER, 1},
		{"DEL k", "SET k 012", ENCODING_EMBSTR, EXPIRE_NEVER, 1},
		{"SET k 1 PX 50", "SET k 2 KEEPTTL", ENCODING_INT, 1050, 1},
		{"SET k 1 PX 50", "SET k 2", ENCODING_INT, EXPIRE_NEVER, 1},
		{"SET k 1 PX 50", "SET k 2 NX", ENCODING_INT, 1050, 0},
		{"DEL k", "SET k 2 XX", -1, 0, 0},
		{"SET k 1 PX 50", "GETSET k v", ENCODING_EMBSTR, EXPIRE_NEVER, 1},
		{"SET k 1 PX 50", "INCR k", ENCODING_INT, 1050, 1},
		{"SET k v", "INCR k", ENCODING_EMBSTR, EXPIRE_NEVER, 0},
		{"SET k 1 PX 50", "INCRBYFLOAT k 1", ENCODING_EMBSTR, 1050, 1},
		{"SET k 1 PX 50", "APPEND k 2", ENCODING_RAW, 1050, 1},
		{"DEL k", "APPEND k 2", ENCODING_INT, EXPIRE_NEVER, 1},
		{"SET k 1", "SETRANGE k 0 2", ENCODING_RAW, EXPIRE_NEVER, 1},
		{"SET k 1 PX 50", "GETEX k", ENCODING_INT, 1050, 0},
		{"SET k 1 PX 50", "GETEX k PERSIST", ENCODING_INT, EXPIRE_NEVER, 1},
		{"SET k 1", "GETEX k PERSIST", ENCODING_INT, EXPIRE_NEVER, 0},
		{"SET k 1", "GETEX k EX 2", ENCODING_INT, 3000, 1},
		{"SET k 1", "GETEX k PXAT 1000", -1, 0, 1},
		{"SET k 1", "GETDEL k", -1, 0, 1},
		{"DEL k", "GETDEL k", -1, 0, 0},
		{"SET k 1", "MSETNX j 1 k 2", ENCODING_INT, EXPIRE_NEVER, 0},
		{"DEL k", "MSET k 1 k v", ENCODING_EMBSTR, EXPIRE_NEVER, 2},
	};
	struct store s;

	(void)state;
	store_init(&s, 2);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		print_message("# %s, %s\n", rows[i].before, rows[i].request);
		store_run(&s, rows[i].before);
		store_run(&s, rows[i].request);
		assert_int_equal(s.dirty, rows[i].dirty);
		store_check_closed(&s);
		const struct entry *e = entry_of(&s, "k");
		assert_int_equal(e ? (int)entry_encoding(e) : -1, rows[i].encoding);
		if (e)
			assert_int_equal(entry_expire(e), rows[i].expire);
	}
	store_deinit(&s);
}

/* A new expiry shares a large value; only what changes its bytes copies them. */
static void test_expiry_shares_blob(void **state)
{
	struct store s;

	(void)state;
	store_init(&s, 1);
	set_big(&s);
	struct blob *blob = entry_blob(entry_of(&s, "k"));
	store_run(&s, "GETEX k EX 10");
	assert_int_equal(s.reply.pin_count, 1);
	assert_ptr_equal(entry_blob(entry_of(&s, "k")), blob);
	assert_int_equal(entry_expire(entry_of(&s, "k")), 11000);
	store_run(&s, "GETEX k PERSIST");
	assert_ptr_equal(entry_blob(entry_of(&s, "k")), blob);
	store_run(&s, "STRLEN k"); /* lets the pinned reply go */
	assert_int_equal(atomic_load(&blob->refs), 1);
	store_run(&s, "APPEND k y");
	assert_true(entry_of(&s, "k")->flags & ENTRY_OWNER_ONLY);
	store_deinit(&s);
}

/* A reply by reference outlives the value, however that goes. */
static void test_reply_outlives_value(void **state)
{
	static const char *const requests[] = {"GETDEL k", "GETSET k v", "SET k v GET",
					       "GETEX k PXAT 1"};
	struct store s;

	(void)state;
	store_init(&s, 1);
	for (size_t i = 0; i < COUNT_OF(requests); i++) {
		print_message("# %s\n", requests[i]);
		set_big(&s);
		store_run(&s, requests[i]); /* frees what was retired */
		assert_int_equal(s.reply.pin_count, 1);
		struct slice bytes = s.reply.pins[0].bytes;
		assert_int_equal(bytes.len, BIG);
		assert_int_equal(bytes.ptr[BIG - 1], 'x');
	}
	store_deinit(&s);
}

/* Numbers are not looked for in values that are too long, whatever holds them. */
static void test_no_number_in_large_values(void **state)
{
	static const char *const forms[] = {"STRLEN k", "APPEND k 1"};
	struct store s;

	(void)state;
	store_init(&s, 1);
	set_big(&s);
	for (size_t i = 0; i < COUNT_OF(forms); i++) {
		store_run(&s, forms[i]);
		assert_string_equal(store_run(&s, "INCR k"),
				    "-ERR value is not an integer or out of range\r\n");
		assert_string_equal(store_run(&s, "INCRBYFLOAT k 1"),
				    "-ERR value is not a valid float\r\n");
	}
	store_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_expiry_shares_blob),
		cmocka_unit_test(test_reply_outlives_value),
		cmocka_unit_test(test_no_number_in_large_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
