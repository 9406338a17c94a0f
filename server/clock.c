/* Time (clock.h). */
#include "server/clock.h"

/* How long the cycle counter is compared with CLOCK_MONOTONIC at start: 0.1 % off at the most. */
#define CALIBRATION_NS 2000000

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

void clock_init(struct clock *clock)
{
	uint64_t ns = clock_monotonic_ns();
	uint64_t cycles = clock_cycles();
	clock->offset_ms = clock_wall_us() / 1000 - (int64_t)(ns / 1000000);
	while (clock_monotonic_ns() - ns < CALIBRATION_NS)
		;
	uint64_t spent_ns = clock_monotonic_ns() - ns;
	clock->us_per_cycle = (double)spent_ns / 1000.0 / (double)(clock_cycles() - cycles);
	atomic_store(&clock->now_ms, (int64_t)(ns / 1000000) + clock->offset_ms);
}

int64_t clock_tick(struct clock *clock)
{
	int64_t now = (int64_t)(clock_monotonic_ns() / 1000000) + clock->offset_ms;
	int64_t seen = atomic_load_explicit(&clock->now_ms, memory_order_relaxed);
	while (seen < now && !atomic_compare_exchange_weak_explicit(&clock->now_ms, &seen, now,
								     memory_order_relaxed,
								     memory_order_relaxed))
		;
	return seen > now ? seen : now;
}
