/*
 * Walking the keyspace: nothing that stays is left out, one call is bounded, and random keys are
 * evenly chosen whichever way keys lie.
 */
#include "test/store.h"

#include "shard/scan.h"

/* --- SCAN's requests --- */

static void test_requests(void **state)
{
	static const struct {
		const char *request;
		const char *reply;
	} rows[] = {
		{"SCAN 0", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"},
		{"SCAN 0000", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"},
		{"SCAN +0", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"},
		{"SCAN -0", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"},
		{"SCAN -1", "*2\r\n$1\r\n0\r\n*0\r\n"},
		{"SCAN 18446744073709551615", "*2\r\n$1\r\n0\r\n*0\r\n"},
		{"SCAN 18446744073709551616", "-ERR invalid cursor\r\n"},
		{"SCAN 99999999999999999999", "-ERR invalid cursor\r\n"},
		{"SCAN 0x", "-ERR invalid cursor\r\n"},
		{"SCAN -", "-ERR invalid cursor\r\n"},
		{"SCAN +-1", "-ERR invalid cursor\r\n"},
		{"SCAN x COUNT 0", "-ERR invalid cursor\r\n"},
		{"SCAN 0 COUNT 0", "-ERR syntax error\r\n"},
		{"SCAN 0 COUNT x BAD", "-ERR value is not an integer or out of range\r\n"},
		{"SCAN 0 COUNT 9223372036854775807", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"},
		{"SCAN 0 MATCH", "-ERR syntax error\r\n"},
		{"SCAN 0 MATCH x TYPE", "-ERR syntax error\r\n"},
		{"SCAN 0 MATCH x MATCH k", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"},
		{"SCAN 0 MATCH x", "*2\r\n$1\r\n0\r\n*0\r\n"},
		{"SCAN 0 TYPE String", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"},
		{"SCAN 0 TYPE list", "*2\r\n$1\r\n0\r\n*0\r\n"},
		{"SCAN 0 TYPE nosuch", "*2\r\n$1\r\n0\r\n*0\r\n"},
		{"RANDOMKEY", "$1\r\nk\r\n"},
		{"DBSIZE", ":1\r\n"},
	};
	struct store s;

	(void)state;
	store_init(&s, 1);
	assert_string_equal(store_run(&s, "SCAN 0"), "*2\r\n$1\r\n0\r\n*0\r\n");
	assert_string_equal(store_run(&s, "RANDOMKEY"), "$-1\r\n");
	store_run(&s, "SET k v PX 100");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *reply = store_run(&s, rows[i].request);
		if (strcmp(reply, rows[i].reply) != 0)
			fail_msg("%s: %s", rows[i].request, reply);
	}
	s.now += 100;
	assert_string_equal(store_run(&s, "SCAN 0"), "*2\r\n$1\r\n0\r\n*0\r\n");
	assert_string_equal(store_run(&s, "RANDOMKEY"), "$-1\r\n");
	assert_string_equal(store_run(&s, "DBSIZE"), ":1\r\n");
	store_deinit(&s);
}

/* --- the walk --- */

/* Marks keys named ...:<number>. */
struct seen {
	uint32_t *times;
	uint32_t count;
	size_t visited;
};

static void seen_visit(void *arg, struct entry *e)
{
	struct seen *seen = arg;
	struct slice name = entry_key(e);
	int64_t number;

	seen->visited++;
	const char *colon = memrchr(name.ptr, ':', name.len);
	assert_non_null(colon);
	size_t at = (size_t)(colon + 1 - name.ptr);
	assert_true(number_parse((struct slice){name.ptr + at, name.len - at}, &number));
	if (number >= 0 && number < seen->count)
		seen->times[number]++;
}

/* All keys exactly once, however large the slices, while nobody writes. */
static void test_every_key_once(void **state)
{
	static const struct {
		const char *label;
		const char *name;
		uint32_t keys;
		size_t count;
		size_t steps;
	} rows[] = {
		{"one by one", "k:%u", 500, 1, SIZE_MAX},
		{"step by step", "k:%u", 500, SIZE_MAX, 1},
		{"at once", "k:%u", 500, SIZE_MAX, SIZE_MAX},
		{"one slot", "{t}:%u", 5000, 10, 10},
		{"one slot, step by step", "{t}:%u", 5000, SIZE_MAX, 1},
		{"many", "k:%u", 50000, 100, 1000},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct store s;
		struct seen seen = {test_calloc(rows[i].keys, sizeof(uint32_t)), rows[i].keys, 0};
		store_init(&s, 1);
		s.db = i % 2;
		for (uint32_t k = 0; k < rows[i].keys; k++) {
			char request[64] = "SET ";
			snprintf(request + 4, 32, rows[i].name, k);
			store_run(&s, strcat(request, " v"));
		}
		uint64_t cursor = 0;
		do {
			cursor = keyspace_scan(s.ks, s.db, cursor, rows[i].count, rows[i].steps,
					       seen_visit, &seen);
		} while (cursor);
		for (uint32_t k = 0; k < rows[i].keys; k++)
			if (seen.times[k] != 1)
				fail_msg("%s: key %u seen %u times", rows[i].label, k,
					 seen.times[k]);
		assert_int_equal(keyspace_scan(s.ks, 3, 0, 1, SIZE_MAX, seen_visit, &seen), 0);
		test_free(seen.times);
		store_deinit(&s);
	}
}

/* A call stops at `count` keys, but for the rest of a bucket's, and at `steps` slots. */
static void test_bounds(void **state)
{
	struct seen seen = {NULL, 0, 0};
	struct store s;

	(void)state;
	store_init(&s, 1);
	assert_int_equal(keyspace_scan(s.ks, 0, 0, 10, 100, seen_visit, &seen),
			 100ull << TABLE_POSITION_BITS);
	assert_int_equal(keyspace_scan(s.ks, 0, 0, 10, SLOT_COUNT, seen_visit, &seen), 0);
	assert_int_equal(keyspace_scan(s.ks, 0, (uint64_t)SLOT_COUNT << TABLE_POSITION_BITS, 10, 10,
				       seen_visit, &seen),
			 0);
	assert_int_equal(keyspace_scan(s.ks, 0, 77, 10, 0, seen_visit, &seen), 77);
	store_run(&s, "SET a:1 v");
	store_run(&s, "SET b:2 v");
	assert_int_not_equal(keyspace_scan(s.ks, 0, 0, 1, SIZE_MAX, seen_visit, &seen), 0);
	assert_int_equal(seen.visited, 1);
	for (uint32_t k = 0; k < 20000; k++)
		store_runf(&s, "SET {t}:%u v", k);
	uint64_t cursor = 0;
	do {
		seen.visited = 0;
		cursor = keyspace_scan(s.ks, 0, cursor, 100, SIZE_MAX, seen_visit, &seen);
		assert_true(seen.visited < 100 + 8 * TABLE_BUCKET_WORDS);
		assert_true(seen.visited >= 100 || cursor == 0);
	} while (cursor);
	store_deinit(&s);
}

/* Any cursor leads to the end. */
static void test_any_cursor(void **state)
{
	struct check_random random = check_random_start();
	struct seen seen = {NULL, 0, 0};
	struct store s;

	(void)state;
	store_init(&s, 1);
	for (uint32_t k = 0; k < 3000; k++)
		store_runf(&s, "SET %s:%u v", k % 3 ? "{t}" : "k", k);
	for (int i = 0; i < 300; i++) {
		uint64_t cursor = check_random_next(&random) >> check_random_below(&random, 64);
		uint32_t calls = 0;
		for (; cursor; calls++) {
			assert_true(calls < 2 * SLOT_COUNT);
			cursor = keyspace_scan(s.ks, 0, cursor, 50, 500, seen_visit, &seen);
		}
	}
	store_deinit(&s);
}

/* --- the walk while others write --- */

#define STAY  1500
#define OTHER 4000

/* Sets or deletes some of the keys that needn't stay. */
static void churn(struct store *s, struct check_random *random, const char *tag, bool grow)
{
	for (uint64_t n = check_random_below(random, 60); n > 0; n--) {
		uint32_t k = STAY + check_random_below(random, OTHER);
		if (check_random_below(random, 4) != 0 ? grow : !grow)
			store_runf(s, "SET %s:%u v", tag, k);
		else
			store_runf(s, "DEL %s:%u", tag, k);
	}
	store_runf(s, "SET %s:%lu again", tag, (unsigned long)check_random_below(random, STAY));
}

static void test_what_stays(void **state)
{
	struct check_random random = check_random_start();

	(void)state;
	for (int round = 0; round < 8; round++) {
		const char *tag = round % 2 ? "{t}" : "k";
		uint32_t times[STAY] = {0};
		struct seen seen = {times, STAY, 0};
		struct store s;
		store_init(&s, 2);
		for (uint32_t k = 0; k < STAY; k++)
			store_runf(&s, "SET %s:%u v", tag, k);
		for (int i = 0; i < 100; i++)
			churn(&s, &random, tag, round % 4 < 2);
		uint64_t cursor = 0;
		do {
			cursor = keyspace_scan(s.ks, 0, cursor, 1 + check_random_below(&random, 40),
					       200, seen_visit, &seen);
			churn(&s, &random, tag, round % 4 >= 2);
		} while (cursor);
		for (uint32_t k = 0; k < STAY; k++)
			if (times[k] == 0)
				fail_msg("round %d: key %u was left out", round, k);
		store_deinit(&s);
	}
}

/* --- random keys --- */

/* How often the keys are drawn; all are named ...:<number>. */
static void draw(const struct store *s, uint32_t *times, uint32_t keys, uint32_t draws)
{
	struct seen seen = {times, keys, 0};

	for (uint32_t i = 0; i < draws; i++) {
		struct entry *e = keyspace_random(s->ks, s->db, 12345 + i, s->now);
		assert_non_null(e);
		seen_visit(&seen, e);
	}
}

/*
 * Each third of the keys is drawn about as often as the others. (Fixed random numbers: this doesn't
 * fail now and then. With them even draws would stay within 4%.)
 */
static void test_random_even(void **state)
{
	static const struct {
		const char *label;
		const char *names[3];
		uint32_t keys;
		uint32_t percent; /* how far a third may be from its share */
	} rows[] = {
		{"few", {"a:%u", "b:%u", "c:%u"}, 30, 15},
		{"in pairs", {"a:%u", "{1}:%u", "{2}:%u"}, 60, 15},
		{"some", {"a:%u", "b:%u", "c:%u"}, 3000, 15},
		{"many", {"a:%u", "b:%u", "c:%u"}, 30000, 15},
		{"most in one slot", {"a:%u", "{1}:%u", "{1}:%u"}, 9000, 15},
		{"many in three slots", {"{1}:%u", "{2}:%u", "{3}:%u"}, 9000, 15},
	};
	enum { DRAWS = 6000 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct store s;
		uint32_t *times = test_calloc(rows[i].keys, sizeof(*times));
		uint32_t thirds[3] = {0};
		store_init(&s, 1);
		s.db = i % 2;
		for (uint32_t k = 0; k < rows[i].keys; k++) {
			char request[64] = "SET ";
			snprintf(request + 4, 32, rows[i].names[k % 3], k);
			store_run(&s, strcat(request, " v"));
		}
		draw(&s, times, rows[i].keys, DRAWS);
		for (uint32_t k = 0; k < rows[i].keys; k++)
			thirds[k % 3] += times[k];
		for (int j = 0; j < 3; j++)
			if (thirds[j] * 100 < DRAWS / 3 * (100 - rows[i].percent) ||
			    thirds[j] * 100 > DRAWS / 3 * (100 + rows[i].percent))
				fail_msg("%s: %u %u %u", rows[i].label, thirds[0], thirds[1],
					 thirds[2]);
		test_free(times);
		store_deinit(&s);
	}
}

/* Among many that have expired the one that hasn't is found; when it goes, nothing. */
static void test_random_expired(void **state)
{
	static const char *const tags[] = {"k", "{t}"};
	struct store s;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(tags); i++) {
		uint32_t times[1] = {0};
		store_init(&s, 1);
		for (uint32_t k = 1; k <= 5000; k++)
			store_runf(&s, "SET %s:%u v PX 10", tags[i], k);
		store_runf(&s, "SET %s:0 v PX 20", tags[i]);
		s.now += 10;
		draw(&s, times, 1, 20);
		assert_int_equal(times[0], 20);
		s.now += 10;
		assert_null(keyspace_random(s.ks, 0, 1, s.now));
		store_deinit(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),       cmocka_unit_test(test_every_key_once),
		cmocka_unit_test(test_bounds),         cmocka_unit_test(test_any_cursor),
		cmocka_unit_test(test_what_stays),     cmocka_unit_test(test_random_even),
		cmocka_unit_test(test_random_expired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
