/* The shared clock goes only forward, whoever advances it; cycles become microseconds. */
#include "server/clock.h"
#include "test/check.h"

#include <pthread.h>
#include <stdbool.h>

/* clock_tick() at a moment of CLOCK_MONOTONIC that lies between two looks at it. */
static void test_tick(void **state)
{
	enum { HOUR_MS = 3600000 };
	static const struct {
		const char *label;
		int64_t offset_ms;
		int64_t ahead_ms; /* of what it would be: the shared clock before */
		bool stays;
	} rows[] = {
		{"it lags behind", 0, -HOUR_MS, false},
		{"far behind", 1700000000000, -1700000000000, false},
		{"it is ahead", 0, HOUR_MS, true},
		{"a negative offset", -HOUR_MS, -5, false},
		{"a negative offset, ahead", -HOUR_MS, HOUR_MS, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct clock clock = {.offset_ms = rows[i].offset_ms};
		int64_t before = (int64_t)(clock_monotonic_ns() / 1000000) + clock.offset_ms;
		int64_t shared = before + rows[i].ahead_ms;
		atomic_store(&clock.now_ms, shared);
		int64_t now = clock_tick(&clock);
		int64_t after = (int64_t)(clock_monotonic_ns() / 1000000) + clock.offset_ms;
		assert_int_equal(clock_now(&clock), now);
		if (rows[i].stays ? now != shared : now < before || now > after)
			fail_msg("%s: %ld", rows[i].label, (long)now);
	}
}

/* The wall clock has been set since the clock was made: by so much the clock is wrong. */
static void test_follow(void **state)
{
	enum { MINUTE_MS = 60000, DAY_MS = 86400000 };
	static const struct {
		const char *label;
		int64_t wrong_ms;
		bool stays; /* it neither jumps nor goes back */
	} rows[] = {
		{"right", 0, true},
		{"set forward by a day", -DAY_MS, false},
		{"set forward by half a minute", -MINUTE_MS / 2, false},
		{"set back by a day", DAY_MS, false},
		{"set back by half a minute", MINUTE_MS / 2, false},
		{"set back by hardly anything", CLOCK_BACK_MS / 2, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct clock clock = {0};
		clock_init(&clock);
		clock.offset_ms += rows[i].wrong_ms;
		atomic_store(&clock.now_ms, clock_now(&clock) + rows[i].wrong_ms);
		int64_t before = clock_now(&clock);
		clock_follow(&clock);
		int64_t now = clock_tick(&clock);
		assert_int_equal(now, clock_now(&clock));
		/* seconds: the wall clock isn't ours, and the machine may be busy */
		int64_t apart = now - clock_wall_us() / 1000;
		if (apart > MINUTE_MS / 4 || apart < -MINUTE_MS / 4)
			fail_msg("%s: %ld ms off", rows[i].label, (long)apart);
		if (rows[i].stays && now < before)
			fail_msg("%s: went back", rows[i].label);
	}
}

/* What is put ahead by a tick under way is put right at the next look. */
static void test_follow_again(void **state)
{
	struct clock clock = {0};

	(void)state;
	clock_init(&clock);
	int64_t ahead = clock_now(&clock) + 3600000;
	atomic_store(&clock.now_ms, ahead);
	assert_int_equal(clock_tick(&clock), ahead);
	clock_follow(&clock);
	assert_true(clock_tick(&clock) < ahead);
}

/* The wall clock, and a counter that counts. */
static void test_init(void **state)
{
	struct clock clock = {0};

	(void)state;
	clock_init(&clock);
	assert_true(clock.us_per_cycle > 0);
	/* a day off at the most, whatever somebody does to the wall clock meanwhile */
	int64_t apart = clock_now(&clock) - clock_wall_us() / 1000;
	assert_true(apart < 86400000 && apart > -86400000);
}

static void test_cycles(void **state)
{
	static const struct {
		double us_per_cycle;
		uint64_t cycles;
		double us;
	} rows[] = {
		{0.5, 0, 0},
		{0.5, 1, 0.5},
		{0.25, 4000000000, 1e9},
		{2, 3, 6},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct clock clock = {.us_per_cycle = rows[i].us_per_cycle};
		assert_float_equal(clock_cycles_us(&clock, rows[i].cycles), rows[i].us, 1e-6);
	}
}

static void test_counters_go_forward(void **state)
{
	uint64_t ns = clock_monotonic_ns();
	uint64_t cycles = clock_cycles();

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t ns_now = clock_monotonic_ns(), cycles_now = clock_cycles();
		assert_true(ns_now >= ns);
		assert_true(cycles_now >= cycles);
		ns = ns_now;
		cycles = cycles_now;
	}
}

/* --- under threads --- */

#define THREADS 4
#define TICKS   20000

static struct clock shared;

/* What is returned never goes back, nor behind what anybody can see. */
static void *ticker_run(void *arg)
{
	int64_t last = 0;

	for (int i = 0; i < TICKS; i++) {
		int64_t seen = clock_now(&shared);
		int64_t now = clock_tick(&shared);
		assert_true(seen >= last);
		assert_true(now >= seen);
		assert_true(clock_now(&shared) >= now);
		last = now;
	}
	return arg;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	clock_init(&shared);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ticker_run, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tick),         cmocka_unit_test(test_init),
		cmocka_unit_test(test_cycles),       cmocka_unit_test(test_counters_go_forward),
		cmocka_unit_test(test_threads),      cmocka_unit_test(test_follow),
		cmocka_unit_test(test_follow_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
