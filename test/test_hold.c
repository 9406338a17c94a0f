/*
 * Holding slots: what their seqs say meanwhile and afterwards, all of them or none, and, with
 * threads, that holders exclude each other and readers never see half of a unit of work.
 */
#include "shard/hold.h"
#include "test/check.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

static struct keyspace *keyspace_make(void)
{
	return keyspace_new(1, 1, &(struct hash_seed){1, 2});
}

static uint32_t seq_of(const struct keyspace *ks, uint32_t i)
{
	return atomic_load(&ks->slots[i].seq);
}

/* --- one slot --- */

static void test_seq(void **state)
{
	static const struct {
		const char *label;
		uint32_t before;
		bool stored;
		uint32_t after;
	} rows[] = {
		{"fresh, nothing stored", 0, false, 0},
		{"fresh, stored", 0, true, 2},
		{"used, nothing stored", 4, false, 4},
		{"used, stored", 4, true, 6},
		{"at the end of the numbers, nothing stored", SLOT_QUIET - 2, false,
		 SLOT_QUIET - 2},
		{"at the end of the numbers, stored", SLOT_QUIET - 2, true, 0},
	};
	struct keyspace *ks = keyspace_make();
	struct slot *slot = &ks->slots[77];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		atomic_store(&slot->seq, rows[i].before);
		assert_true(slot_try_hold(slot));
		assert_int_equal(slot_seq_begin(slot), rows[i].before + 1);
		assert_false(slot_try_hold(slot));
		assert_int_equal(slot_seq_begin(slot), rows[i].before + 1);
		slot_release(slot, rows[i].stored);
		if (slot_seq_begin(slot) != rows[i].after)
			fail_msg("%s: %u", rows[i].label, slot_seq_begin(slot));
		assert_int_equal(slot_seq_same(slot, rows[i].before), !rows[i].stored);
	}
	keyspace_free(ks);
}

/* Who holds it quietly lets others read, but not hold it. */
static void test_quiet(void **state)
{
	static const uint32_t rows[] = {0, 4, SLOT_QUIET - 2};
	struct keyspace *ks = keyspace_make();
	struct slot *slot = &ks->slots[77];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		atomic_store(&slot->seq, rows[i]);
		assert_false(slot_seq_busy(slot_seq_begin(slot)));
		assert_true(slot_try_hold(slot));
		assert_true(slot_seq_busy(slot_seq_begin(slot)));
		slot_quiet(slot);
		uint32_t seen = slot_seq_begin(slot);
		assert_false(slot_seq_busy(seen));
		assert_false(slot_seq_same(slot, rows[i]));
		assert_false(slot_try_hold(slot));
		assert_true(slot_seq_same(slot, seen));
		slot_release(slot, false);
		assert_false(slot_seq_same(slot, seen));
		assert_int_equal(slot_seq_begin(slot), rows[i]);
	}
	keyspace_free(ks);
}

/* --- several, or all --- */

#define SLOTS_MAX 5

struct hold_row {
	const char *label;
	uint32_t count;
	uint32_t slots[SLOTS_MAX]; /* rising */
	int64_t busy;              /* another's; -1: none */
	bool held;
};

static const struct hold_row hold_rows[] = {
	{"no slot", 0, {0}, 3, true},
	{"one free", 1, {3}, -1, true},
	{"one busy", 1, {3}, 3, false},
	{"some free", 4, {0, 7, 8, 16383}, -1, true},
	{"another one is busy", 4, {0, 7, 8, 16383}, 9, true},
	{"the first is busy", 4, {0, 7, 8, 16383}, 0, false},
	{"one in the middle is busy", 4, {0, 7, 8, 16383}, 8, false},
	{"the last is busy", 4, {0, 7, 8, 16383}, 16383, false},
};

/* Every slot's seq: +1 for those that are held, the same for all others. */
static void check_held(const struct keyspace *ks, const struct hold_row *row)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < SLOT_COUNT; i++) {
		bool held = row->held && at < row->count && row->slots[at] == i;
		at += held;
		if (seq_of(ks, i) != 10u + (held || (int64_t)i == row->busy))
			fail_msg("%s: slot %u has %u", row->label, i, seq_of(ks, i));
	}
}

static void test_all_or_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(hold_rows); i++) {
		const struct hold_row *row = &hold_rows[i];
		struct keyspace *ks = keyspace_make();
		struct shard *shard = ks->shards[0];
		struct slot *slots[SLOTS_MAX];
		for (uint32_t s = 0; s < SLOT_COUNT; s++)
			atomic_store(&ks->slots[s].seq, 10);
		for (uint32_t s = 0; s < row->count; s++)
			slots[s] = &ks->slots[row->slots[s]];
		if (row->busy >= 0)
			assert_true(slot_try_hold(&ks->slots[row->busy]));
		if (slots_try_hold(shard, slots, row->count) != row->held)
			fail_msg("%s: %s", row->label, row->held ? "not held" : "held");
		assert_int_equal(shard->hurried, !row->held);
		assert_int_equal(hold_spins(shard), row->held ? HOLD_SPINS : 1);
		check_held(ks, row);
		if (row->held)
			slots_release(ks->shards[0], slots, row->count, i % 2, 0);
		for (uint32_t s = 0; s < row->count && row->held; s++)
			assert_int_equal(seq_of(ks, row->slots[s]), i % 2 ? 12 : 10);
		if (row->busy >= 0)
			slot_release(&ks->slots[row->busy], false);
		assert_true(slots_try_hold(shard, slots, row->count));
		keyspace_free(ks);
	}
}

static void test_every_slot(void **state)
{
	static const struct {
		const char *label;
		int64_t busy; /* -1: none */
		bool held, stored;
		uint32_t after;
	} rows[] = {
		{"nothing stored", -1, true, false, 0},
		{"stored", -1, true, true, 2},
		{"the first is busy", 0, false, false, 0},
		{"one in the middle is busy", 8000, false, false, 0},
		{"the last is busy", SLOT_COUNT - 1, false, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct keyspace *ks = keyspace_make();
		if (rows[i].busy >= 0)
			assert_true(slot_try_hold(&ks->slots[rows[i].busy]));
		if (slots_try_hold(ks->shards[0], NULL, 0) != rows[i].held)
			fail_msg("%s: %s", rows[i].label, rows[i].held ? "not held" : "held");
		for (uint32_t s = 0; s < SLOT_COUNT; s++)
			assert_int_equal(seq_of(ks, s), rows[i].held || s == rows[i].busy);
		if (rows[i].held)
			slots_release(ks->shards[0], NULL, 0, rows[i].stored, 0);
		else
			slot_release(&ks->slots[rows[i].busy], false);
		for (uint32_t s = 0; s < SLOT_COUNT; s++)
			assert_int_equal(seq_of(ks, s), rows[i].after);
		keyspace_free(ks);
	}
}

/* --- under threads --- */

/*
 * Slots in groups; each unit of work writes one number to all slots of one or more groups. So all
 * slots of a group that are read at one moment say the same.
 */
#define GROUPS      6
#define GROUP_SLOTS 4
#define WRITERS     3
#define READERS     2
#define UNITS       5000 /* of each writer */
#define UNITS_ALL   200  /* one of so many takes every slot */

struct cell {
	_Atomic uint64_t value; /* what readers read */
	uint64_t written;       /* plain: only holders may touch it */
};

static struct {
	struct keyspace *ks;
	struct cell cells[SLOT_COUNT];
	_Atomic uint32_t writers_left;
	_Atomic uint64_t stored; /* how often a slot was written */
	uint64_t seed;
} race;

/* The slots of different groups lie between each other. */
static uint32_t group_slot(uint32_t group, uint32_t i)
{
	return i * 4000 + group * 7;
}

/* All slots of the groups in the mask, in rising order. */
static uint32_t mask_slots(uint32_t mask, struct slot **slots)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < GROUP_SLOTS; i++)
		for (uint32_t group = 0; group < GROUPS; group++)
			if (mask & 1u << group)
				slots[count++] = &race.ks->slots[group_slot(group, i)];
	return count;
}

static void write_unit(uint32_t mask, uint64_t number, struct check_random *random)
{
	uint64_t stores = 0;

	for (uint32_t group = 0; group < GROUPS; group++) {
		for (uint32_t i = 0; (mask & 1u << group) && i < GROUP_SLOTS; i++) {
			struct cell *cell = &race.cells[group_slot(group, i)];
			atomic_store_explicit(&cell->value, number, memory_order_relaxed);
			cell->written++;
			stores++;
			if (check_random_below(random, 500) == 0)
				sched_yield();
		}
	}
	atomic_fetch_add(&race.stored, stores);
}

static void *writer_run(void *arg)
{
	uint64_t id = (uintptr_t)arg;
	struct check_random random = {race.seed + id};
	struct slot *slots[GROUPS * GROUP_SLOTS];
	struct shard shard = {.ks = race.ks};

	for (uint64_t unit = 1; unit <= UNITS; unit++) {
		bool all = check_random_below(&random, UNITS_ALL) == 0;
		bool stores = check_random_below(&random, 8) != 0;
		uint32_t mask = 1 + check_random_below(&random, (1u << GROUPS) - 1);
		uint32_t count = mask_slots(mask, slots);
		shard.hurried = false;
		while (!slots_try_hold(&shard, all ? NULL : slots, count))
			sched_yield();
		if (stores)
			write_unit(mask, unit * WRITERS + id, &random);
		slots_release(&shard, all ? NULL : slots, count, stores, 0);
	}
	atomic_fetch_sub(&race.writers_left, 1);
	return NULL;
}

/* Reads a group as readers do; true when it was read at one moment. Then all is of one unit. */
static bool read_group(uint32_t group)
{
	uint32_t seqs[GROUP_SLOTS];
	uint64_t values[GROUP_SLOTS];

	for (uint32_t i = 0; i < GROUP_SLOTS; i++) {
		seqs[i] = slot_seq_begin(&race.ks->slots[group_slot(group, i)]);
		if (seqs[i] & 1)
			return false;
	}
	for (uint32_t i = 0; i < GROUP_SLOTS; i++)
		values[i] = atomic_load_explicit(&race.cells[group_slot(group, i)].value,
						 memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	for (uint32_t i = 0; i < GROUP_SLOTS; i++)
		if (!slot_seq_same(&race.ks->slots[group_slot(group, i)], seqs[i]))
			return false;
	for (uint32_t i = 1; i < GROUP_SLOTS; i++)
		assert_int_equal(values[i], values[0]);
	return true;
}

static void *reader_run(void *arg)
{
	struct check_random random = {race.seed - 1 - (uintptr_t)arg};

	while (atomic_load(&race.writers_left) > 0)
		read_group(check_random_below(&random, GROUPS));
	for (uint32_t group = 0; group < GROUPS; group++)
		assert_true(read_group(group));
	return NULL;
}

static void test_holders_and_readers(void **state)
{
	pthread_t threads[WRITERS + READERS];
	uint64_t written = 0;

	(void)state;
	race.seed = check_random_start().state;
	race.ks = keyspace_make();
	atomic_store(&race.writers_left, WRITERS);
	for (uintptr_t i = 0; i < WRITERS + READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						i < WRITERS ? writer_run : reader_run, (void *)i),
				 0);
	for (uint32_t i = 0; i < WRITERS + READERS; i++)
		pthread_join(threads[i], NULL);
	for (uint32_t i = 0; i < SLOT_COUNT; i++) {
		assert_int_equal(seq_of(race.ks, i) & 1, 0);
		written += race.cells[i].written;
	}
	assert_int_equal(written, atomic_load(&race.stored));
	keyspace_free(race.ks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seq),
		cmocka_unit_test(test_quiet),
		cmocka_unit_test(test_all_or_none),
		cmocka_unit_test(test_every_slot),
		cmocka_unit_test(test_holders_and_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
