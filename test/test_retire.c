/*
 * Retired memory goes when its period is over, not before, and all of it.
 *
 * Whether something was freed is seen from a blob's count of references: the test holds one, the
 * retired entry the other. What is left behind is the address sanitizer's to find.
 */
#include "proto/mem.h"
#include "shard/retire.h"
#include "shard/table.h"
#include "test/check.h"

/* An entry with a blob of which the caller has a reference. */
static struct entry *blob_entry(struct blob **blob)
{
	struct entry_spec spec = {.key = SLICE("k"),
				  .value = {NULL, ENTRY_BLOB_MIN},
				  .expire = EXPIRE_NEVER};
	struct entry *e = entry_new(&spec);

	*blob = blob_ref(entry_blob(e));
	return e;
}

static void grace_start(struct grace *grace)
{
	atomic_fetch_add(&grace->started, 1);
}

static void grace_complete(struct grace *grace)
{
	atomic_store(&grace->completed, grace->started);
}

static void test_order_of_periods(void **state)
{
	struct grace grace = {0};
	struct retire r;
	struct blob *blob;

	retire_init(&r);
	assert_false(retire_stamp(&r, &grace));
	assert_false(retire_waiting(&r));
	grace_start(&grace); /* period 1 runs when the entry is retired: it doesn't count */
	retire_entry(&r, blob_entry(&blob));
	assert_true(r.bytes >= ENTRY_BLOB_MIN);
	grace_complete(&grace);
	assert_false(retire_collect(&r, &grace, 100)); /* not stamped yet */
	assert_int_equal(blob->refs, 2);
	grace_start(&grace); /* period 2 runs when it is stamped: it doesn't count either */
	assert_true(retire_stamp(&r, &grace));
	assert_false(retire_stamp(&r, &grace));
	assert_true(retire_waiting(&r));
	grace_complete(&grace);
	assert_false(retire_collect(&r, &grace, 100));
	assert_int_equal(blob->refs, 2);
	grace_start(&grace);
	assert_false(retire_collect(&r, &grace, 100)); /* period 3 is not over */
	assert_int_equal(blob->refs, 2);
	grace_complete(&grace);
	assert_false(retire_collect(&r, &grace, 100));
	assert_int_equal(blob->refs, 1);
	assert_int_equal(r.bytes, 0);
	assert_false(retire_waiting(&r));
	blob_unref(blob);
	retire_deinit(&r);
}

static void test_budget(void **state)
{
	struct grace grace = {0};
	struct retire r;

	retire_init(&r);
	for (int i = 0; i < 10; i++)
		retire_memory(&r, mem_alloc(100), 100);
	retire_stamp(&r, &grace);
	grace_start(&grace);
	grace_complete(&grace);
	retire_memory(&r, mem_alloc(50), 50);
	retire_stamp(&r, &grace);
	assert_int_equal(r.bytes, 1050);
	assert_true(retire_collect(&r, &grace, 4));
	assert_int_equal(r.bytes, 650);
	assert_true(retire_collect(&r, &grace, 5));
	assert_int_equal(r.bytes, 150);
	assert_false(retire_collect(&r, &grace, 5)); /* the 50 bytes wait for the next period */
	assert_int_equal(r.bytes, 50);
	assert_true(retire_waiting(&r));
	retire_deinit(&r);
}

/* Many periods with things in each, both rings growing and going round. */
static void test_rings(void **state)
{
	struct grace grace = {0};
	struct retire r;
	size_t expected = 0;

	retire_init(&r);
	for (size_t round = 0; round < 500; round++) {
		size_t count = round % 37 * (round % 5);
		for (size_t i = 0; i < count; i++)
			retire_memory(&r, mem_alloc(16 + i), 16 + i);
		for (size_t i = 0; i < count; i++)
			expected += 16 + i;
		assert_int_equal(retire_stamp(&r, &grace), count > 0);
		grace_start(&grace);
		if (round % 100 == 99) {
			grace_complete(&grace);
			while (retire_collect(&r, &grace, 1000))
				;
			expected = 0;
		}
		assert_int_equal(r.bytes, expected);
	}
	assert_int_equal(r.head, r.tail);
	retire_deinit(&r);
}

static void test_one_stamp_for_one_period(void **state)
{
	struct grace grace = {0};
	struct retire r;

	retire_init(&r);
	for (int i = 0; i < 1000; i++) {
		retire_memory(&r, mem_alloc(16), 16);
		retire_stamp(&r, &grace);
	}
	assert_int_equal(r.stamps_tail - r.stamps_head, 1);
	retire_deinit(&r);
}

static void test_shallow(void **state)
{
	struct grace grace = {0};
	struct retire r;
	struct blob *blob;
	struct entry *e = blob_entry(&blob);
	struct entry *expires = entry_with_expire(e, 5);

	retire_init(&r);
	retire_entry_shallow(&r, e);
	assert_int_equal(blob->refs, 3);
	retire_stamp(&r, &grace);
	grace_start(&grace);
	grace_complete(&grace);
	retire_collect(&r, &grace, 1);
	assert_int_equal(blob->refs, 2);
	entry_free(expires);
	blob_unref(blob);
	retire_deinit(&r);
}

static uint64_t table_of(size_t count, const struct hash_seed *seed, struct retire *r)
{
	struct table t = {0};
	char key[32];

	for (size_t i = 0; i < count; i++) {
		struct slice name = {key, snprintf(key, sizeof(key), "key:%zu", i)};
		struct entry *e = entry_new_string(name, name, EXPIRE_NEVER, 0);
		table_put(&t, seed, hash_bytes(seed, name.ptr, name.len), e, r);
	}
	return table_take(&t);
}

static void test_tables_in_slices(void **state)
{
	static const size_t counts[] = {0, 1, 5, 61, 700, 20000, 3};
	struct hash_seed seed = {11, 12};
	struct grace grace = {0};
	struct retire r;
	size_t slices = 1;

	retire_init(&r);
	for (size_t i = 0; i < COUNT_OF(counts); i++)
		retire_table(&r, table_of(counts[i], &seed, &r));
	retire_stamp(&r, &grace);
	grace_start(&grace);
	assert_false(retire_collect(&r, &grace, 100));
	grace_complete(&grace);
	while (retire_collect(&r, &grace, 100))
		slices++;
	assert_true(slices > 150 && slices < 1000);
	assert_int_equal(r.bytes, 0);
	assert_int_equal(r.head, r.tail);
	retire_deinit(&r);
}

/* What waits and what is gone adds up, all the time. */
static void test_flushed_entries_are_counted(void **state)
{
	static const size_t counts[] = {3000, 0, 700, 1};
	struct hash_seed seed = {11, 12};
	struct grace grace = {0};
	struct retire r;
	uint64_t sum = 0;

	(void)state;
	retire_init(&r);
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		retire_table(&r, table_of(counts[i], &seed, &r));
		retire_flushed(&r, counts[i]);
		sum += counts[i];
		assert_int_equal(r.flushed, sum);
	}
	retire_stamp(&r, &grace);
	grace_start(&grace);
	grace_complete(&grace);
	for (uint64_t left = sum; retire_collect(&r, &grace, 100); left = r.flushed) {
		assert_true(r.flushed <= left);
		assert_int_equal(r.flushed + r.flushed_freed, sum);
	}
	assert_int_equal(r.flushed, 0);
	assert_int_equal(r.flushed_freed, sum);
	retire_deinit(&r);
}

/*
 * What is small goes first, however many tables were retired before it, and while they are being
 * freed.
 */
static void test_nothing_waits_behind_a_table(void **state)
{
	struct hash_seed seed = {11, 12};
	struct grace grace = {0};
	struct retire r;
	struct blob *blob;

	retire_init(&r);
	for (int i = 0; i < 4; i++)
		retire_table(&r, table_of(5000, &seed, &r));
	for (int round = 0; round < 10; round++) {
		retire_entry(&r, blob_entry(&blob));
		retire_stamp(&r, &grace);
		grace_start(&grace);
		grace_complete(&grace);
		while (r.head != r.tail)
			assert_true(retire_collect(&r, &grace, 100));
		assert_int_equal(blob->refs, 1);
		blob_unref(blob);
	}
	assert_true(retire_collect(&r, &grace, 1));
	retire_deinit(&r);
}

/* Only what the reclaimer keeps back is waiting; a table counts by its keys. */
static void test_waiting_bytes(void **state)
{
	struct hash_seed seed = {11, 12};
	struct grace grace = {0};
	struct retire r;

	retire_init(&r);
	for (int i = 0; i < 10; i++)
		retire_memory(&r, mem_alloc(100), 100);
	assert_int_equal(retire_waiting_bytes(&r), 1000);
	retire_stamp(&r, &grace);
	grace_start(&grace);
	retire_memory(&r, mem_alloc(10), 10);
	retire_stamp(&r, &grace);
	retire_memory(&r, mem_alloc(5), 5);
	retire_collect(&r, &grace, 100);
	assert_int_equal(retire_waiting_bytes(&r), 1015);
	grace_complete(&grace);
	assert_true(retire_collect(&r, &grace, 1));
	assert_int_equal(r.bytes, 915);
	assert_int_equal(retire_waiting_bytes(&r), 15);
	grace_start(&grace);
	grace_complete(&grace);
	retire_collect(&r, &grace, 100);
	assert_int_equal(retire_waiting_bytes(&r), 5);
	uint64_t table = table_of(300, &seed, &r);
	size_t before = retire_waiting_bytes(&r);
	retire_table(&r, table);
	assert_int_equal(retire_waiting_bytes(&r) - before, 300 * RETIRED_KEY_BYTES);
	retire_deinit(&r);
}

static void test_deinit_in_the_middle(void **state)
{
	struct hash_seed seed = {11, 12};
	struct grace grace = {0};
	struct retire r;

	retire_init(&r);
	retire_table(&r, table_of(5000, &seed, &r));
	retire_stamp(&r, &grace);
	grace_start(&grace);
	grace_complete(&grace);
	assert_true(retire_collect(&r, &grace, 200));
	retire_table(&r, table_of(10, &seed, &r));
	retire_memory(&r, mem_alloc(10), 10);
	retire_deinit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_of_periods),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_rings),
		cmocka_unit_test(test_one_stamp_for_one_period),
		cmocka_unit_test(test_shallow),
		cmocka_unit_test(test_tables_in_slices),
		cmocka_unit_test(test_flushed_entries_are_counted),
		cmocka_unit_test(test_nothing_waits_behind_a_table),
		cmocka_unit_test(test_waiting_bytes),
		cmocka_unit_test(test_deinit_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
