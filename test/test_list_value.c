/* Lists as values: when they take which form and encoding, and what counts as a change. */
#include "test/store.h"

#include "shard/list_leaf.h"
#include "shard/list_value.h"

/* Elements of this many bytes in a listpack ... */
#define ELEMENT       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ELEMENT_BYTES 64
/* ... of which so many fit a packed list. */
#define PACKED_ELEMENTS ((PACKED_BYTES_MAX - LISTPACK_BYTES_MIN) / ELEMENT_BYTES)

static struct entry *find(struct store *s, const char *name)
{
	struct slice key = slice_of(name);
	struct slot *slot = &s->ks->slots[key_slot(key.ptr, key.len)];

	return table_find(slot_table(slot, 0), hash_bytes(&s->ks->seed, key.ptr, key.len), key);
}

static bool is_packed(struct store *s, const char *name)
{
	struct entry *e = find(s, name);

	assert_non_null(e);
	assert_int_equal(entry_type(e), ENTRY_LIST);
	return !(e->flags & ENTRY_OWNER_ONLY);
}

static void push(struct store *s, const char *name, int times)
{
	for (int i = 0; i < times; i++)
		store_runf(s, "RPUSH %s " ELEMENT, name);
}

/* One that gets larger becomes a structure; one that gets small again is packed again. */
static void test_forms(void **state)
{
	struct store s;

	store_init(&s, 2);
	push(&s, "l", PACKED_ELEMENTS);
	assert_true(is_packed(&s, "l"));
	push(&s, "l", 1);
	assert_false(is_packed(&s, "l"));
	for (int left = PACKED_ELEMENTS; left > 3; left--) {
		store_run(&s, "LPOP l");
		assert_false(is_packed(&s, "l"));
		assert_int_equal(list_length(find(&s, "l")), left);
	}
	store_run(&s, "LPOP l");
	assert_true(is_packed(&s, "l"));
	assert_int_equal(list_length(find(&s, "l")), 3);
	store_run(&s, "LTRIM l 1 0");
	assert_null(find(&s, "l"));
	store_deinit(&s);
}

/* Each way to become large and small. */
static void test_forms_by_command(void **state)
{
	static const struct {
		const char *grow, *shrink;
	} rows[] = {
		{"LSET l 0 %s", "LSET l 0 a"},       {"LINSERT l AFTER a %s", "RPOP l 1"},
		{"LINSERT l BEFORE a %s", "LPOP l"}, {"RPUSHX l b %s", "LTRIM l 0 1"},
		{"LPUSH l c %s", "LTRIM l 1 5"},     {"RPUSH l %s", "LMPOP 1 l RIGHT"},
		{"RPUSH l %s", "RPOPLPUSH l other"},
	};
	char large[1500];
	struct store s;

	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	store_init(&s, 1);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char request[1600];
		print_message("# %s\n", rows[i].grow);
		store_run(&s, "RPUSH l a");
		assert_true(is_packed(&s, "l"));
		snprintf(request, sizeof(request), rows[i].grow, large);
		store_run(&s, request);
		assert_false(is_packed(&s, "l"));
		assert_int_equal(entry_encoding(find(&s, "l")), ENCODING_LISTPACK);
		store_run(&s, rows[i].shrink);
		assert_true(is_packed(&s, "l"));
		store_run(&s, "DEL l");
	}
	assert_false(is_packed(&s, "other"));
	store_deinit(&s);
}

/* A large element goes from list to list as it is. */
static void test_large_elements_are_moved(void **state)
{
	char request[LIST_ALONE_MIN + 10] = "RPUSH a ";
	struct store s;

	memset(request + 8, 'x', LIST_ALONE_MIN);
	store_init(&s, 2);
	store_run(&s, request);
	const struct blob *blob = list_get(entry_structure(find(&s, "a")), 0).blob;
	assert_non_null(blob);
	store_run(&s, "RPUSH a y");
	store_run(&s, "LMOVE a b LEFT LEFT");
	assert_ptr_equal(list_get(entry_structure(find(&s, "b")), 0).blob, blob);
	store_run(&s, "LMOVE b b LEFT RIGHT");
	assert_ptr_equal(list_get(entry_structure(find(&s, "b")), 0).blob, blob);
	store_run(&s, "COPY b c");
	assert_ptr_equal(list_get(entry_structure(find(&s, "c")), 0).blob, blob);
	assert_int_equal(atomic_load(&blob->refs), 2);
	store_deinit(&s);
}

/* The same elements in the same order, whatever they are kept in, have the same digest. */
static void test_digest(void **state)
{
	struct digest packed = {{0}}, large = {{0}}, other = {{0}};
	struct store s;

	store_init(&s, 1);
	push(&s, "large", 30);
	for (int i = 1; i <= 6; i++) {
		store_runf(&s, "RPUSH packed %d " ELEMENT, i);
		store_runf(&s, "RPUSH large %d " ELEMENT, i);
		store_runf(&s, "LPUSH other %d " ELEMENT, i);
	}
	store_run(&s, "LTRIM large -12 -1");
	assert_true(is_packed(&s, "packed"));
	assert_false(is_packed(&s, "large"));
	list_digest(find(&s, "packed"), &packed);
	list_digest(find(&s, "large"), &large);
	list_digest(find(&s, "other"), &other);
	assert_memory_equal(&packed, &large, sizeof(packed));
	assert_memory_not_equal(&packed, &other, sizeof(packed));
	store_deinit(&s);
}

/* What a request changes, as Redis counts it. */
static void test_dirty(void **state)
{
	static const struct {
		const char *request;
		uint64_t dirty;
	} rows[] = {
		{"LPUSHX l a", 0},
		{"RPUSH l a b c", 3},
		{"LPUSH l d", 1},
		{"LLEN l", 0},
		{"LINSERT l AFTER a x", 1},
		{"LINSERT l AFTER nosuch x", 0},
		{"LSET l 0 y", 1},
		{"LSET l 100 y", 0},
		{"LREM l 0 nosuch", 0},
		{"LREM l 0 x", 1},
		{"LMOVE l l LEFT LEFT", 1},
		{"LMOVE l m LEFT LEFT", 1},
		{"LTRIM l 0 -1", 0},
		{"LTRIM l 1 -1", 1},
		{"RPUSH l 1 2 3 4", 4},
		{"LPOP l", 1},
		{"LPOP l 2", 2},
		{"RPOP l 0", 0},
		{"LMPOP 1 l LEFT", 1},
		{"LMPOP 1 l LEFT COUNT 9", 2},
		{"LPOP l", 0},
		{"RPOPLPUSH l m", 0},
	};
	struct store s;

	store_init(&s, 1);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		print_message("# %s\n", rows[i].request);
		store_run(&s, rows[i].request);
		assert_int_equal(s.dirty, rows[i].dirty);
		store_check_closed(&s);
	}
	store_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_forms_by_command),
		cmocka_unit_test(test_large_elements_are_moved),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_dirty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
