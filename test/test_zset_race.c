/*
 * A large sorted set read by threads under RCU while one thread changes it, with the memory really
 * freed after grace periods (run it under the sanitizers).
 *
 * The writer holds a sequence number odd as slots do (keyspace.h). A reader may meet any state: it
 * must come to an end and touch no freed memory. What it found under one even number is the whole
 * truth: as many elements as the set says, in order, each at its rank and in the table.
 *
 * The writer decides how long it takes: a fixed number of operations, and more until the readers
 * have had their turn.
 */
#include "shard/zset.h"
#include "test/check.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <urcu/urcu-qsbr.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define WAVES 6
#else
#define WAVES 30
#endif
#define READERS     2
#define MEMBERS     3000
#define BATCH       32  /* operations between two visits to the quiescent state */
#define WHOLE_MIN   100 /* walks over the whole set that must have been undisturbed */
#define COLLECT_MAX 1000

static struct zset *set;
static struct hash_seed seed;
static struct grace grace;
static _Atomic uint32_t seq;
static _Atomic bool writer_done;
static _Atomic bool readers_done;
static _Atomic uint64_t whole, disturbed;

static void *reclaimer_run(void *arg)
{
	while (!atomic_load(&writer_done)) {
		grace_period(&grace);
		usleep(100);
	}
	return NULL;
}

static struct slice member_name(uint64_t i, char *buffer)
{
	return (struct slice){buffer, (size_t)sprintf(buffer, "member:%u", (unsigned)i)};
}

/* --- readers --- */

/*
 * What a walk found. Everything in it may be nonsense until the sequence number has been checked.
 */
struct walk {
	uint64_t count;
	uint64_t elements;
	uint64_t disorder;
	uint64_t wrong_rank;
	uint64_t not_found;
	double last;
};

static void look_at(struct walk *walk, const struct zset_cursor *c, const struct entry *e)
{
	double score = zset_entry_score(e);
	struct zset_cut cut = {.kind = CUT_ELEMENT, .score = score, .member = entry_key(e)};

	walk->disorder += walk->elements > 0 && score < walk->last;
	walk->last = score;
	if (walk->elements % 97 == 0) {
		walk->wrong_rank += zset_rank(set, &cut) != walk->elements ||
				    zset_cursor_rank(c) != walk->elements;
		walk->not_found += zset_find(set, &seed, entry_key(e)) != e;
	}
	walk->elements++;
}

static struct walk walk_set(bool backwards)
{
	struct walk walk = {.count = zset_count(set)};
	struct zset_cursor c;
	bool more = zset_tree_seek_rank(&set->tree, 0, &c);

	for (uint64_t left = MEMBERS; more && left > 0; left--) {
		const struct entry *e = zset_cursor_entry(&c);
		if (!e)
			break;
		look_at(&walk, &c, e);
		more = zset_cursor_next(&c);
	}
	more = backwards && zset_tree_seek_rank(&set->tree, walk.count / 2, &c);
	for (uint64_t left = MEMBERS; more && left > 0 && zset_cursor_entry(&c); left--)
		more = zset_cursor_prev(&c);
	return walk;
}

static void read_whole(struct check_random *random)
{
	uint32_t before = atomic_load_explicit(&seq, memory_order_acquire);
	struct walk walk = walk_set(check_random_below(random, 2));

	atomic_thread_fence(memory_order_acquire);
	if (before % 2 == 1 || atomic_load_explicit(&seq, memory_order_relaxed) != before) {
		atomic_fetch_add(&disturbed, 1);
		return;
	}
	assert_int_equal(walk.elements, walk.count);
	assert_int_equal(walk.disorder, 0);
	assert_int_equal(walk.wrong_rank, 0);
	assert_int_equal(walk.not_found, 0);
	atomic_fetch_add(&whole, 1);
}

struct reader {
	pthread_t thread;
	struct check_random random;
};

static void *reader_run(void *arg)
{
	struct reader *r = arg;

	urcu_qsbr_register_thread();
	while (!atomic_load(&readers_done)) {
		urcu_qsbr_thread_online();
		read_whole(&r->random);
		for (uint32_t i = 0; i < BATCH; i++) {
			const struct entry *e = zset_random(set, check_random_next(&r->random));
			if (e)
				assert_in_range(entry_key(e).len, 8, 11);
		}
		assert_true(zset_memory(set) > 0);
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

static void write_some(struct writer *w, uint32_t growth)
{
	char buffer[32];

	atomic_store_explicit(&seq, atomic_load(&seq) + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	for (uint32_t i = 0; i < BATCH; i++) {
		struct slice member = member_name(check_random_below(&w->random, MEMBERS), buffer);
		if (check_random_below(&w->random, 100) < growth)
			zset_put(set, &seed, member, (double)check_random_below(&w->random, 500),
				 &w->retire);
		else
			zset_remove(set, &seed, member, &w->retire);
	}
	if (check_random_below(&w->random, 20) == 0)
		zset_remove_run(set, &seed, check_random_below(&w->random, MEMBERS), MEMBERS,
				&w->retire);
	atomic_store_explicit(&seq, atomic_load(&seq) + 1, memory_order_release);
	retire_stamp(&w->retire, &grace);
	retire_collect(&w->retire, &grace, COLLECT_MAX);
}

static void write_waves(struct writer *w)
{
	for (int wave = 0; wave < WAVES || atomic_load(&whole) < WHOLE_MIN; wave++) {
		for (uint32_t i = 0; i < 10 * MEMBERS / BATCH; i++)
			write_some(w, wave % 2 ? 15 : 85);
		if (wave >= WAVES)
			usleep(20000);
	}
}

static void test_readers_and_writer(void **state)
{
	struct check_random random = check_random_start();
	struct writer w = {.random = {check_random_next(&random)}};
	struct reader readers[READERS] = {0};
	pthread_t reclaimer;

	seed = (struct hash_seed){check_random_next(&random), check_random_next(&random)};
	set = zset_new();
	retire_init(&w.retire);
	pthread_create(&reclaimer, NULL, reclaimer_run, NULL);
	for (int i = 0; i < READERS; i++) {
		readers[i].random.state = check_random_next(&random);
		pthread_create(&readers[i].thread, NULL, reader_run, &readers[i]);
	}
	write_waves(&w);
	atomic_store(&readers_done, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i].thread, NULL);
	atomic_store(&writer_done, true);
	pthread_join(reclaimer, NULL);
	print_message("# %llu walks undisturbed, %llu disturbed\n", (unsigned long long)whole,
		      (unsigned long long)disturbed);
	zset_free(set);
	retire_deinit(&w.retire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readers_and_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
