/* What every unit test includes: cmocka with what it needs, random numbers that can be repeated. */
#ifndef TEST_CHECK_H
#define TEST_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A random test's numbers (splitmix64); TEST_SEED in the environment repeats a run. */
struct check_random {
	uint64_t state;
};

static inline uint64_t check_random_next(struct check_random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* 0 to bound-1. */
static inline uint64_t check_random_below(struct check_random *random, uint64_t bound)
{
	return check_random_next(random) % bound;
}

/* Prints the seed. */
static inline struct check_random check_random_start(void)
{
	const char *given = getenv("TEST_SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)now.tv_nsec << 20 ^ now.tv_sec;
	printf("# TEST_SEED=%llu\n", (unsigned long long)seed);
	return (struct check_random){seed};
}

#endif
