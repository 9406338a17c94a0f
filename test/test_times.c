/* The state of a moment, from when epochs began. */
#include "test/check.h"

#include "persist/times.h"

#define ADDED_MAX 5

static const struct {
	const char *label;
	struct epoch_time added[ADDED_MAX]; /* up to epoch 0 */
	int64_t ms;
	struct recovery_point point;
} rows[] = {
	{"nothing", {{0, 0}}, 100, {0, 0, 0, 0}},
	{"before the first", {{1, 10}, {2, 20}}, 9, {0, 0, 1, 10}},
	{"the moment it began", {{1, 10}, {2, 20}}, 10, {1, 10, 2, 20}},
	{"between two", {{1, 10}, {2, 20}}, 19, {1, 10, 2, 20}},
	{"after the last", {{1, 10}, {2, 20}}, 99, {2, 20, 0, 0}},
	{"in no order", {{3, 30}, {1, 10}, {2, 20}}, 25, {2, 20, 3, 30}},
	{"epochs left out", {{7, 10}, {9, 20}}, 15, {7, 10, 9, 20}},
	{"of several journals the earliest",
	 {{1, 12}, {2, 22}, {1, 10}, {2, 20}},
	 21,
	 {2, 20, 0, 0}},
	{"the earliest of the next", {{1, 10}, {2, 22}, {2, 20}}, 15, {1, 10, 2, 20}},
	{"the next, not the one after", {{1, 10}, {2, 20}, {3, 30}}, 15, {1, 10, 2, 20}},
	{"a clock that went back", {{1, 30}, {2, 10}, {3, 40}}, 20, {2, 10, 3, 40}},
	{"two at once", {{1, 10}, {2, 10}}, 10, {2, 10, 0, 0}},
};

static void test_rows(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct times times = {0};
		for (size_t j = 0; j < ADDED_MAX && rows[i].added[j].epoch; j++)
			times_add(&times, rows[i].added[j].epoch, rows[i].added[j].ms);
		struct recovery_point point = times_find(&times, rows[i].ms);
		const struct recovery_point *wanted = &rows[i].point;
		if (point.epoch != wanted->epoch || point.ms != wanted->ms ||
		    point.next != wanted->next || point.next_ms != wanted->next_ms)
			fail_msg("%s", rows[i].label);
		times_deinit(&times);
	}
}

/* More than there is room for at first, the last ones first. */
static void test_many(void **state)
{
	const uint64_t count = 5000;
	struct times times = {0};
	for (uint64_t epoch = count; epoch > 0; epoch--)
		times_add(&times, epoch, (int64_t)epoch * 10);
	assert_int_equal(times.count, count);
	struct recovery_point point = times_find(&times, 40005);
	assert_int_equal(point.epoch, 4000);
	assert_int_equal(point.next_ms, 40010);
	assert_int_equal(times.list[0].epoch, 1);
	times_deinit(&times);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
