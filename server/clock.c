/* Time (clock.h). */
#include "server/clock.h"

/* How long the cycle counter is compared with CLOCK_MONOTONIC at start: 0.1 % off at the most. */
#define CALIBRATION_NS 2000000
#define OFFSET_LOOKS   3

uint64_t clock_monotonic_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int64_t clock_wall_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/*
 * How far the wall clock is ahead of CLOCK_MONOTONIC, in ms. Who is interrupted between the two
 * looks sees too much: the least of some is right.
 */
static int64_t wall_offset(void)
{
	int64_t least = INT64_MAX;
	for (int i = 0; i < OFFSET_LOOKS; i++) {
		int64_t before = (int64_t)(clock_monotonic_ns() / 1000000);
		int64_t offset = clock_wall_us() / 1000 - before;
		least = offset < least ? offset : least;
	}
	return least;
}

static int64_t now_by(int64_t offset_ms)
{
	return (int64_t)(clock_monotonic_ns() / 1000000) + offset_ms;
}

void clock_init(struct clock *clock)
{
	uint64_t ns = clock_monotonic_ns();
	uint64_t cycles = clock_cycles();
	int64_t offset_ms = wall_offset();
	atomic_store(&clock->offset_ms, offset_ms);
	while (clock_monotonic_ns() - ns < CALIBRATION_NS)
		;
	uint64_t spent_ns = clock_monotonic_ns() - ns;
	clock->us_per_cycle = (double)spent_ns / 1000.0 / (double)(clock_cycles() - cycles);
	atomic_store(&clock->now_ms, now_by(offset_ms));
}

/*
 * A tick that loaded the old offset may yet put the shared clock ahead again: the next look sees to
 * it.
 */
void clock_follow(struct clock *clock)
{
	int64_t offset_ms = wall_offset();
	int64_t step_ms = offset_ms - atomic_load_explicit(&clock->offset_ms, memory_order_relaxed);
	if (step_ms > CLOCK_STEP_MS || step_ms < -CLOCK_STEP_MS)
		atomic_store_explicit(&clock->offset_ms, offset_ms, memory_order_relaxed);
	int64_t now = now_by(offset_ms);
	if (clock_now(clock) > now + CLOCK_BACK_MS)
		atomic_store_explicit(&clock->now_ms, now, memory_order_relaxed);
}

int64_t clock_tick(struct clock *clock)
{
	int64_t now = now_by(atomic_load_explicit(&clock->offset_ms, memory_order_relaxed));
	int64_t seen = atomic_load_explicit(&clock->now_ms, memory_order_relaxed);
	while (seen < now &&
	       !atomic_compare_exchange_weak_explicit(&clock->now_ms, &seen, now,
						      memory_order_relaxed, memory_order_relaxed))
		;
	return seen > now ? seen : now;
}
