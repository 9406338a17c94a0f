/*
 * What a large sorted set costs: bytes an element, and nanoseconds an operation, for a million
 * members with random, rising and falling scores. Prints; asserts nothing about time.
 */
#include "proto/mem.h"
#include "shard/zset.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MEMBERS 1000000

static const struct hash_seed seed = {1, 2};
static struct retire retire;
static struct grace grace;

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static uint64_t next_random(void)
{
	static uint64_t state = 7;
	state = state * 6364136223846793005 + 1442695040888963407;
	return state >> 16;
}

/* What was retired goes, as it does in a server between commands. */
static void collect(void)
{
	retire_stamp(&retire, &grace);
	grace.started++;
	grace.completed = grace.started;
	retire_collect(&retire, &grace, SIZE_MAX);
}

static struct slice member_name(uint64_t i, char *buffer)
{
	return (struct slice){buffer, sprintf(buffer, "member:%07u", (unsigned)i)};
}

static double random_score(uint64_t i)
{
	return (double)(next_random() % (1ull << 40)) / 1024;
}

static double rising_score(uint64_t i)
{
	return (double)i;
}

static double falling_score(uint64_t i)
{
	return -(double)i;
}

static struct zset *fill(const char *order, double (*score)(uint64_t i))
{
	char buffer[32];
	struct mem_stats before, after;
	mem_stats_read(&before);
	struct zset *z = zset_new();
	double start = now_ns();
	for (uint64_t i = 0; i < MEMBERS; i++) {
		zset_put(z, &seed, member_name(i, buffer), score(i), &retire);
		if (i % 1024 == 0)
			collect();
	}
	double took = now_ns() - start;
	collect();
	mem_stats_read(&after);
	printf("%-8s %6.1f ns an insert; bytes a member: %5.1f, active %5.1f, nodes %5.1f\n", order,
	       took / MEMBERS, (double)(after.allocated - before.allocated) / MEMBERS,
	       (double)(after.active - before.active) / MEMBERS,
	       (double)zset_tree_memory(&z->tree) / MEMBERS);
	return z;
}

static void report(const char *what, double start)
{
	printf("  %-36s %6.1f ns\n", what, (now_ns() - start) / MEMBERS);
}

static void use(struct zset *z)
{
	char buffer[32];
	struct zset_cursor c;
	double start = now_ns();
	uint64_t sum = 0;
	for (int i = 0; i < MEMBERS; i++)
		sum += zset_find(z, &seed, member_name(next_random() % MEMBERS, buffer)) != NULL;
	report("score of a member", start);
	start = now_ns();
	for (int i = 0; i < MEMBERS; i++) {
		const struct entry *e =
			zset_find(z, &seed, member_name(next_random() % MEMBERS, buffer));
		sum += zset_rank(z, &(struct zset_cut){.kind = CUT_ELEMENT,
						       .score = zset_entry_score(e),
						       .member = entry_key(e)});
	}
	report("rank of a member", start);
	start = now_ns();
	for (int i = 0; i < MEMBERS / 10; i++) {
		zset_tree_seek_rank(&z->tree, next_random() % MEMBERS, &c);
		for (int k = 0; k < 10; k++, zset_cursor_next(&c)) {
			const struct entry *e = zset_cursor_entry(&c);
			sum += e ? entry_key(e).ptr[3] : 0;
		}
	}
	report("ten in a row by rank: each", start);
	start = now_ns();
	for (int i = 0; i < MEMBERS; i++) {
		zset_put(z, &seed, member_name(next_random() % MEMBERS, buffer), random_score(i),
			 &retire);
		if (i % 1024 == 0)
			collect();
	}
	report("another score for a member", start);
	start = now_ns();
	for (int i = 0; i < MEMBERS; i++) {
		zset_remove(z, &seed, member_name(i, buffer), &retire);
		if (i % 1024 == 0)
			collect();
	}
	report("remove", start);
	printf("  (%llu)\n", (unsigned long long)sum);
	zset_free(z);
}

int main(void)
{
	retire_init(&retire);
	printf("%s, nodes of %d rows\n", mem_name(), ZSET_NODE_ROWS);
	use(fill("random", random_score));
	use(fill("rising", rising_score));
	use(fill("falling", falling_score));
	collect();
	retire_deinit(&retire);
	return 0;
}
