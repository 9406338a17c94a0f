/*
 * Time.
 *
 * The server's clock is unix milliseconds: CLOCK_MONOTONIC plus the offset to the wall clock,
 * shared by all workers and moving only forward. Each tick advances it; each command loads it once
 * as it starts. So no two workers ever disagree about "expired" in the wrong order.
 *
 * Somebody may set the wall clock, and it goes on while the machine is suspended: the main thread
 * looks at both clocks now and then, and follows a step. After one back of more than CLOCK_BACK_MS
 * the shared clock goes back too, this once: standing still for so long would be worse.
 *
 * Durations of commands are measured in clock_cycles(): the cheapest counter there is.
 */
#ifndef SERVER_CLOCK_H
#define SERVER_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

struct clock {
	_Alignas(64) _Atomic int64_t now_ms; /* any thread: advanced by maximum */
	_Atomic int64_t offset_ms;           /* the main thread stores, any loads */
	double us_per_cycle;                 /* constant after start */
};

/* Reads both clocks and measures the cycle counter; takes some 2 ms. */
void clock_init(struct clock *clock);

/* Two looks at the clocks differ by less without any step. */
#define CLOCK_STEP_MS 20
/* So long the shared clock may stand still rather than go back. */
#define CLOCK_BACK_MS 1000

/* Follows the wall clock, if it has been set. Main thread. */
void clock_follow(struct clock *clock);

/* Advances the shared clock to now and returns it. */
int64_t clock_tick(struct clock *clock);

static inline int64_t clock_now(const struct clock *clock)
{
	return atomic_load_explicit(&clock->now_ms, memory_order_relaxed);
}

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t clock_monotonic_ns(void);

/* The wall clock in microseconds (TIME). */
int64_t clock_wall_us(void);

/* The same in seconds. */
static inline int64_t clock_wall_s(void)
{
	return clock_wall_us() / 1000000;
}

static inline uint64_t clock_cycles(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t cycles;
	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(cycles));
	return cycles;
#else
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
#endif
}

/* Of less than 2^63 cycles: signed numbers are converted by one instruction. */
static inline double clock_cycles_us(const struct clock *clock, uint64_t cycles)
{
	return (double)(int64_t)cycles * clock->us_per_cycle;
}

#endif
