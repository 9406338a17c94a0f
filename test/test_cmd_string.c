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

/* Under LFU a key's counter goes on counting when its value is replaced. */
static void test_frequency_outlives_value(void **state)
{
	static const char *const requests[] = {"SET k 2",         "SET k 2 KEEPTTL",
					       "GETSET k 2",      "SETEX k 9 2",
					       "MSET k 2",        "INCR k",
					       "INCRBYFLOAT k 1", "APPEND k 2",
					       "GETEX k EX 9"};
	struct store s;

	(void)state;
	store_init(&s, 1);
	atomic_store(&s.ks->access_policy, ACCESS_LFU);
	atomic_store(&s.ks->lfu_log_factor, 0); /* each access counts */
	for (size_t i = 0; i < COUNT_OF(requests); i++) {
		print_message("# %s\n", requests[i]);
		store_run(&s, "DEL k");
		store_run(&s, "SET k 1");
		for (int n = 0; n < 10; n++)
			store_run(&s, "GET k");
		uint32_t before = entry_access(entry_of(&s, "k"));
		store_run(&s, requests[i]);
		assert_true(entry_access(entry_of(&s, "k")) > before);
	}
	store_deinit(&s);
}

/* The last millisecond of all is not "never". */
static void test_last_expiry(void **state)
{
	struct store s;

	(void)state;
	store_init(&s, 1);
	assert_string_equal(store_run(&s, "SET k v PXAT 9223372036854775807"), "+OK\r\n");
	assert_int_equal(entry_expire(entry_of(&s, "k")), EXPIRE_NEVER - 1);
	assert_string_equal(store_run(&s, "GETEX k PX 9223372036854774807"), "$1\r\nv\r\n");
	assert_int_equal(entry_expire(entry_of(&s, "k")), EXPIRE_NEVER - 1);
	store_deinit(&s);
}

/* --- LCS against the textbook's table, over the borders of words --- */

#define LCS_MAX 200

static uint32_t lcs_length(struct slice a, struct slice b)
{
	static uint32_t table[LCS_MAX + 1][LCS_MAX + 1];
	for (size_t i = 1; i <= a.len; i++)
		for (size_t j = 1; j <= b.len; j++) {
			uint32_t up = table[i - 1][j], left = table[i][j - 1];
			table[i][j] = a.ptr[i - 1] == b.ptr[j - 1] ? table[i - 1][j - 1] + 1
				      : up > left                  ? up
								   : left;
		}
	return table[a.len][b.len];
}

static bool is_subsequence(struct slice part, struct slice of)
{
	size_t found = 0;
	for (size_t i = 0; i < of.len && found < part.len; i++)
		found += of.ptr[i] == part.ptr[found];
	return found == part.len;
}

static struct slice set_random(struct store *s, struct check_random *random, const char *key,
			       char *text)
{
	struct slice value = {text, check_random_below(random, LCS_MAX + 1)};
	uint64_t letters = 1 + check_random_below(random, 6);
	for (size_t i = 0; i < value.len; i++)
		text[i] = (char)('a' + check_random_below(random, letters));
	struct slice argv[] = {SLICE("SET"), slice_of(key), value};
	store_run_args(s, argv, 3);
	return value;
}

static void test_lcs_model(void **state)
{
	struct check_random random = check_random_start();
	char texts[2][LCS_MAX];
	struct store s;

	(void)state;
	store_init(&s, 1);
	for (int i = 0; i < 500; i++) {
		struct slice a = set_random(&s, &random, "a", texts[0]);
		struct slice b = set_random(&s, &random, "b", texts[1]);
		uint32_t len = lcs_length(a, b);
		assert_int_equal(atoi(store_run(&s, "LCS a b LEN") + 1), len);
		const char *reply = store_run(&s, "LCS a b");
		assert_int_equal(atoi(reply + 1), len);
		struct slice part = {strchr(reply, '\n') + 1, len};
		assert_true(is_subsequence(part, a) && is_subsequence(part, b));
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
		cmocka_unit_test(test_frequency_outlives_value),
		cmocka_unit_test(test_last_expiry),
		cmocka_unit_test(test_lcs_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
