/*
 * Tables read by threads under RCU while one thread writes: growth, splits, merges, overwrites and
 * removals, with the memory really freed after grace periods (run it under the sanitizers).
 *
 * Stable keys are never removed, only overwritten: every lookup must find them, and every scan show
 * them, without any help by a sequence number. What is found must be an entry of the key that was
 * asked for, with all of its value from one write.
 *
 * The writer decides how long it takes: a fixed number of operations. Nothing depends on who runs
 * when.
 */
#include "shard/table.h"
#include "test/check.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <urcu/urcu-qsbr.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define WAVES 6
#else
#define WAVES 24
#endif
#define READERS     2
#define STABLE      300
#define KEYS_MAX    8000 /* about 14 blocks at the top of a wave */
#define BATCH       64   /* operations between two visits to the quiescent state */
#define VALUE_MAX   120
#define COLLECT_MAX 1000

static struct table table;
static struct hash_seed seed;
static struct grace grace;
static _Atomic bool writer_done;
static _Atomic bool readers_done;
static _Atomic uint64_t found_volatile, missed_volatile, scans_done;

static void *reclaimer_run(void *arg)
{
	while (!atomic_load(&writer_done)) {
		grace_period(&grace);
		usleep(100);
	}
	return NULL;
}

static struct slice key_name(uint32_t i, char *buffer)
{
	return (struct slice){buffer, (size_t)sprintf(buffer, "key:%u", i)};
}

static uint64_t hash_of(struct slice key)
{
	return hash_bytes(&seed, key.ptr, key.len);
}

/* A value of some length that repeats one byte, the first of which says how long it is. */
static struct slice value_make(struct check_random *random, char *buffer)
{
	size_t len = 1 + check_random_below(random, VALUE_MAX);

	memset(buffer, (int)len, len);
	return (struct slice){buffer, len};
}

static void value_check(const struct entry *e)
{
	struct slice value = entry_value(e);

	assert_in_range(value.len, 1, VALUE_MAX);
	for (size_t i = 0; i < value.len; i++)
		assert_int_equal(value.ptr[i], value.len);
}

/* --- readers --- */

struct reader {
	pthread_t thread;
	struct check_random random;
	uint32_t shown[STABLE];
};

static void read_one(struct reader *r, uint32_t i)
{
	char buffer[32];
	struct slice key = key_name(i, buffer);
	uint64_t hash = hash_of(key);

	table_prefetch_bucket(&table, hash);
	table_prefetch_entry(&table, hash);
	struct entry *e = table_find(&table, hash, key);
	if (i < STABLE)
		assert_non_null(e);
	atomic_fetch_add_explicit(e ? &found_volatile : &missed_volatile, i >= STABLE,
				  memory_order_relaxed);
	if (!e)
		return;
	assert_true(slice_equal(entry_key(e), key));
	value_check(e);
	entry_set_access(e, check_random_next(&r->random) & ENTRY_ACCESS_MASK);
}

static void read_shown(void *arg, struct entry *e)
{
	struct reader *r = arg;
	struct slice key = entry_key(e);
	uint32_t number = 0;

	for (size_t i = 4; i < key.len; i++)
		number = number * 10 + key.ptr[i] - '0';
	assert_in_range(number, 0, KEYS_MAX - 1);
	value_check(e);
	if (number < STABLE)
		r->shown[number]++;
}

/* A step of a scan; at its end every stable key has been shown. */
static uint64_t read_scan(struct reader *r, uint64_t at)
{
	at = table_scan(&table, at, read_shown, r);
	if (at != TABLE_END)
		return at;
	for (uint32_t i = 0; i < STABLE; i++)
		assert_true(r->shown[i] > 0);
	memset(r->shown, 0, sizeof(r->shown));
	atomic_fetch_add_explicit(&scans_done, 1, memory_order_relaxed);
	return 0;
}

static void *reader_run(void *arg)
{
	struct reader *r = arg;
	uint64_t position = 0;

	urcu_qsbr_register_thread();
	while (!atomic_load(&readers_done)) {
		urcu_qsbr_thread_online();
		for (uint32_t i = 0; i < BATCH; i++) {
			read_one(r, check_random_below(&r->random, STABLE));
			read_one(r, check_random_below(&r->random, KEYS_MAX));
			position = read_scan(r, position);
		}
		struct entry *e = table_random(&table, check_random_next(&r->random));
		assert_non_null(e);
		value_check(e);
		assert_in_range(table_count(&table), STABLE, KEYS_MAX);
		assert_true(table_memory(&table) > 0);
		grace_reader_offline(&grace);
	}
	grace_reader_offline(&grace);
	urcu_qsbr_unregister_thread();
	return NULL;
}

/* --- the writer --- */

struct writer {
	struct check_random random;
	struct retire retire;
};

static void write_put(struct writer *w, uint32_t i)
{
	char key_buffer[32], value_buffer[VALUE_MAX];
	struct slice key = key_name(i, key_buffer);
	struct entry *e = entry_new_string(key, value_make(&w->random, value_buffer),
					   1000 + (int64_t)check_random_below(&w->random, 1000), 0);
	struct entry *old = table_put(&table, &seed, hash_of(key), e, &w->retire);

	if (old)
		retire_entry(&w->retire, old);
}

static void write_remove(struct writer *w, uint32_t i)
{
	char buffer[32];
	struct slice key = key_name(i, buffer);
	struct entry *old = table_remove(&table, &seed, hash_of(key), key, &w->retire);

	if (old)
		retire_entry(&w->retire, old);
}

static void write_expired(void *arg, struct entry *e)
{
	struct writer *w = arg;
	struct slice key = entry_key(e);
	char buffer[32];
	uint32_t i;

	memcpy(buffer, key.ptr, key.len);
	buffer[key.len] = 0;
	i = (uint32_t)strtoul(buffer + 4, NULL, 10);
	if (i >= STABLE)
		write_remove(w, i);
}

/* As a worker's tick does: work, stamp, collect. */
static void write_tick_end(struct writer *w)
{
	retire_stamp(&w->retire, &grace);
	retire_collect(&w->retire, &grace, COLLECT_MAX);
}

/* Up and down: keys come in, are overwritten, and go, each in random order. */
static void write_wave(struct writer *w, int wave)
{
	for (uint32_t i = 0; i < 3 * KEYS_MAX; i++) {
		write_put(w, check_random_below(&w->random, KEYS_MAX));
		if (i % BATCH == 0)
			write_tick_end(w);
	}
	if (wave % 3 == 0)
		table_sweep(&table, 1500, SIZE_MAX, write_expired, w);
	for (uint32_t i = 0; i < 3 * KEYS_MAX; i++) {
		uint32_t key = check_random_below(&w->random, KEYS_MAX);
		if (key < STABLE)
			write_put(w, key);
		else
			write_remove(w, key);
		if (i % BATCH == 0)
			write_tick_end(w);
	}
	for (uint32_t i = STABLE; i < KEYS_MAX; i++)
		write_remove(w, i);
	write_tick_end(w);
}

static void test_readers_and_writer(void **state)
{
	struct check_random random = check_random_start();
	struct writer w = {.random = {check_random_next(&random)}};
	struct reader readers[READERS] = {0};
	pthread_t reclaimer;

	seed = (struct hash_seed){check_random_next(&random), check_random_next(&random)};
	retire_init(&w.retire);
	for (uint32_t i = 0; i < STABLE; i++)
		write_put(&w, i);
	pthread_create(&reclaimer, NULL, reclaimer_run, NULL);
	for (int i = 0; i < READERS; i++) {
		readers[i].random.state = check_random_next(&random);
		pthread_create(&readers[i].thread, NULL, reader_run, &readers[i]);
	}
	for (int wave = 0; wave < WAVES; wave++)
		write_wave(&w, wave);
	/* On a busy machine the readers may not have had their turn: let them see something. */
	while (!atomic_load(&scans_done) || !atomic_load(&found_volatile)) {
		write_put(&w, STABLE + (uint32_t)check_random_below(&w.random, KEYS_MAX - STABLE));
		write_tick_end(&w);
	}
	atomic_store(&readers_done, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i].thread, NULL);
	atomic_store(&writer_done, true);
	pthread_join(reclaimer, NULL);
	print_message("# %llu scans, volatile keys: %llu found, %llu missed\n",
		      (unsigned long long)scans_done, (unsigned long long)found_volatile,
		      (unsigned long long)missed_volatile);
	retire_table(&w.retire, table_take(&table));
	retire_deinit(&w.retire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readers_and_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
