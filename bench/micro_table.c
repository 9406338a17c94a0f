/*
 * What a table costs: a million keys in 16384 tables, as a keyspace has them, far more than the
 * caches hold; and the memory for it. ns/op of a loop over all keys in random order, one line each.
 *
 * The rows "in batches" first fetch, for BATCH keys at a time, the slot lines, then the buckets,
 * then the entries, as a worker does for pipelined requests. All rows hash the key and work out its
 * slot.
 *
 *	micro_table [keys]
 */
#include "proto/crc16.h"
#include "proto/mem.h"
#include "shard/table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define KEYS_DEFAULT 1000000
#define KEY_LEN      15
#define VALUE_LEN    32
#define BATCH        16
#define COLLECT_EACH 1024 /* operations between two visits to the retired memory */

/* One line each, like a slot of the keyspace. */
struct line {
	struct table table;
} __attribute__((aligned(64)));

struct key {
	struct slice name;
	uint64_t hash;
	struct table *table;
};

static struct line *lines;
static size_t count;
static char *names; /* in the order of requests, KEY_LEN bytes each */
static struct hash_seed seed = {0x0123456789abcdef, 0xfedcba9876543210};
static struct retire retire;
static struct grace grace;
static volatile uint64_t sink; /* results go here, so that none is optimised away */

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

/* The i-th request's key. */
static inline struct key key_at(size_t i)
{
	struct slice name = {names + i * KEY_LEN, KEY_LEN};

	return (struct key){name, hash_bytes(&seed, name.ptr, name.len),
			    &lines[key_slot(name.ptr, name.len)].table};
}

/* New names in a random order; those of the keys in the tables, or others. */
static void names_make(char first)
{
	uint64_t random = 42;

	for (size_t i = 0; i < count; i++) {
		char text[32];
		snprintf(text, sizeof(text), "%ckey:%010zu", first, i);
		memcpy(names + i * KEY_LEN, text, KEY_LEN);
	}
	for (size_t i = count - 1; i > 0; i--) {
		char tmp[KEY_LEN];
		random = random * 6364136223846793005 + 1442695040888963407;
		char *a = names + i * KEY_LEN, *b = names + (random >> 33) % (i + 1) * KEY_LEN;
		memcpy(tmp, a, KEY_LEN);
		memcpy(a, b, KEY_LEN);
		memcpy(b, tmp, KEY_LEN);
	}
}

/* Retired memory goes at once: no reader is here. */
static void collect(void)
{
	retire_stamp(&retire, &grace);
	grace.started++;
	grace.completed = grace.started;
	while (retire_collect(&retire, &grace, COLLECT_EACH))
		;
}

/* --- what a row does with a key --- */

static void op_hash(const struct key *key)
{
	sink += key->hash;
}

static void op_hit(const struct key *key)
{
	struct entry *e = table_find(key->table, key->hash, key->name);

	assert(e);
	sink += e->vlen;
}

static void op_miss(const struct key *key)
{
	assert(!table_find(key->table, key->hash, key->name));
}

static struct entry *put(const struct key *key)
{
	static char value[VALUE_LEN];
	struct entry *e =
		entry_new_string(key->name, (struct slice){value, VALUE_LEN}, EXPIRE_NEVER, 0);

	return table_put(key->table, &seed, key->hash, e, &retire);
}

static void op_insert(const struct key *key)
{
	struct entry *old = put(key);

	assert(!old);
}

static void op_overwrite(const struct key *key)
{
	retire_entry(&retire, put(key));
}

static void op_remove(const struct key *key)
{
	struct entry *old = table_remove(key->table, &seed, key->hash, key->name, &retire);

	assert(old);
	retire_entry(&retire, old);
}

/* --- rows --- */

static void run_single(void (*op)(const struct key *key))
{
	for (size_t i = 0; i < count; i++) {
		struct key key = key_at(i);
		op(&key);
		if (i % COLLECT_EACH == 0)
			collect();
	}
}

static void run_batches(void (*op)(const struct key *key))
{
	for (size_t i = 0; i < count; i += BATCH) {
		struct key keys[BATCH];
		for (size_t j = 0; j < BATCH; j++) {
			keys[j] = key_at(i + j);
			__builtin_prefetch(keys[j].table);
		}
		for (size_t j = 0; j < BATCH; j++)
			table_prefetch_bucket(keys[j].table, keys[j].hash);
		for (size_t j = 0; j < BATCH; j++)
			table_prefetch_entry(keys[j].table, keys[j].hash);
		for (size_t j = 0; j < BATCH; j++)
			op(&keys[j]);
		if (i % COLLECT_EACH == 0)
			collect();
	}
}

static void row(const char *label, void (*run)(void (*op)(const struct key *)),
		void (*op)(const struct key *key))
{
	double start = now_ns();

	run(op);
	printf("%-40s %7.1f ns/op\n", label, (now_ns() - start) / count);
}

static size_t tables_memory(void)
{
	size_t bytes = 0;

	for (size_t i = 0; i < SLOT_COUNT; i++)
		bytes += table_memory(&lines[i].table);
	return bytes;
}

int main(int argc, char **argv)
{
	count = argc > 1 ? strtoull(argv[1], NULL, 10) : KEYS_DEFAULT;
	assert(count > 0 && count % BATCH == 0);
	lines = mem_alloc_lines(SLOT_COUNT * sizeof(*lines));
	memset(lines, 0, SLOT_COUNT * sizeof(*lines));
	names = mem_alloc(count * KEY_LEN);
	retire_init(&retire);
	names_make('a');
	row("hash and slot alone", run_single, op_hash);
	row("insert into empty tables (with growth)", run_single, op_insert);
	printf("%-40s %7.2f bytes a key\n", "memory of the tables",
	       (double)tables_memory() / count);
	row("hit", run_single, op_hit);
	row("hit, in batches", run_batches, op_hit);
	row("overwrite", run_single, op_overwrite);
	row("overwrite, in batches", run_batches, op_overwrite);
	names_make('b');
	row("miss", run_single, op_miss);
	row("miss, in batches", run_batches, op_miss);
	row("insert into full tables, in batches", run_batches, op_insert);
	row("remove", run_single, op_remove);
	names_make('a');
	row("remove, in batches", run_batches, op_remove);
	collect();
	retire_deinit(&retire);
	mem_free(names, count * KEY_LEN);
	mem_free(lines, SLOT_COUNT * sizeof(*lines));
	return 0;
}
