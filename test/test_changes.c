/*
 * Changes: what a log says at a cut, whoever wrote before and after it, and how large it gets.
 */
#include "shard/changes.h"

#include "shard/hold.h"
#include "test/check.h"

#include <pthread.h>
#include <stdlib.h>

static struct keyspace *ks;

static int setup(void **state)
{
	(void)state;
	ks = keyspace_new(1, 4, &(struct hash_seed){1, 2});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	keyspace_free(ks);
	return 0;
}

static struct slot *slot_of(uint32_t i)
{
	return &ks->slots[i];
}

/* One unit that writes this key. */
static void write_key(uint32_t slot, uint32_t db, uint64_t hash)
{
	struct slot *held = slot_of(slot);
	assert_true(slots_try_hold(ks->shards[0], &held, 1));
	changes_note(ks->shards[0], held, db, hash);
	slots_release(ks->shards[0], &held, 1, true, 0);
}

static uint64_t now(void)
{
	return atomic_load(&ks->epochs.now);
}

/* A cut from which on changes are noted; freeze_end() is the caller's. Returns it. */
static uint64_t cut(void)
{
	uint64_t epoch = now();
	changes_since(ks, epoch);
	freeze_begin(ks, epoch);
	return epoch;
}

static void end(void)
{
	freeze_end(ks);
	changes_end_snapshot(ks);
}

static uint64_t cut_alone(void)
{
	uint64_t epoch = cut();
	end();
	return epoch;
}

static bool has(const struct changes *changes, uint64_t key)
{
	for (uint32_t i = 0; changes && i < changes->cap; i++)
		if (changes->keys[i] == key)
			return true;
	return changes && changes->all;
}

static void test_key(void **state)
{
	static const struct {
		const char *label;
		uint64_t hash;
		uint32_t db;
	} rows[] = {
		{"zeros", 0, 0},
		{"tag", 0xffff, 1},
		{"place", 0xfffff00000000000ull, 1023},
		{"all", UINT64_MAX, 512},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t key = changes_key(rows[i].hash, rows[i].db);
		print_message("# %s\n", rows[i].label);
		assert_int_equal(changes_db(key), rows[i].db);
		assert_int_equal(key & 0xffff, rows[i].hash & 0xffff);
		assert_int_equal(key >> 32, rows[i].hash >> 32);
	}
}

static void test_nothing_before(void **state)
{
	(void)state;
	assert_false(changes_noted(&ks->changes));
	uint64_t base = cut_alone();
	assert_true(changes_noted(&ks->changes));
	uint64_t next = cut();
	assert_null(changes_at(ks, slot_of(1), base, next));
	end();
}

static void test_sides_of_the_cut(void **state)
{
	(void)state;
	uint64_t base = cut_alone();
	write_key(1, 0, 0x10001);
	write_key(2, 3, 0x20002);
	uint64_t next = cut();
	/* slot 1 is written after the cut, slot 2 is not, slot 3 for the first time */
	write_key(1, 0, 0x50005);
	write_key(3, 0, 0x60006);
	const struct changes *changes = changes_at(ks, slot_of(1), base, next);
	assert_true(has(changes, changes_key(0x10001, 0)));
	assert_false(has(changes, changes_key(0x50005, 0)));
	assert_int_equal(changes->count, 1);
	assert_true(has(changes_at(ks, slot_of(2), base, next), changes_key(0x20002, 3)));
	assert_null(changes_at(ks, slot_of(3), base, next));
	/* passed: what is written now is of the next increment alone */
	freeze_pass(ks, 3);
	write_key(2, 0, 0x70007);
	end();
	uint64_t last = cut();
	assert_true(has(changes_at(ks, slot_of(1), next, last), changes_key(0x50005, 0)));
	assert_false(has(changes_at(ks, slot_of(1), next, last), changes_key(0x10001, 0)));
	assert_true(has(changes_at(ks, slot_of(2), next, last), changes_key(0x70007, 0)));
	assert_false(has(changes_at(ks, slot_of(2), next, last), changes_key(0x20002, 3)));
	assert_true(has(changes_at(ks, slot_of(3), next, last), changes_key(0x60006, 0)));
	end();
}

static void test_older_ones_are_nothing(void **state)
{
	(void)state;
	uint64_t base = cut_alone();
	write_key(1, 0, 0x10001);
	uint64_t next = cut_alone();
	uint64_t last = cut();
	assert_null(changes_at(ks, slot_of(1), next, last));
	end();
	assert_true(base < next);
}

/* A unit that began before a cut is before it, whenever it writes. */
static void write_across_a_cut(uint64_t base)
{
	struct slot *held = slot_of(7);
	assert_true(slots_try_hold(ks->shards[0], &held, 1));
	uint64_t next = cut();
	changes_note(ks->shards[0], held, 0, 0x10001);
	slots_release(ks->shards[0], &held, 1, true, 0);
	write_key(7, 0, 0x20002);
	const struct changes *changes = changes_at(ks, held, base, next);
	assert_true(has(changes, changes_key(0x10001, 0)));
	assert_int_equal(changes->count, 1);
	end();
}

static void test_unit_across_the_cut(void **state)
{
	(void)state;
	write_across_a_cut(cut_alone());
}

/* So it is when the slot's log is of before the snapshot that the increment follows on. */
static void test_unit_across_the_cut_with_an_old_log(void **state)
{
	(void)state;
	cut_alone();
	write_key(7, 0, 0x30003);
	write_across_a_cut(cut_alone());
}

static void test_many_become_all(void **state)
{
	(void)state;
	uint64_t base = cut_alone();
	for (uint64_t i = 1; i <= CHANGES_KEYS_FEW; i++)
		write_key(1, 0, i << 32 | i);
	uint64_t some = atomic_load(&ks->changes.memory);
	write_key(1, 0, 0x99);
	assert_true(atomic_load(&ks->changes.memory) < some);
	struct slot *held = slot_of(2);
	assert_true(slots_try_hold(ks->shards[0], &held, 1));
	changes_note_all(ks->shards[0], held);
	slots_release(ks->shards[0], &held, 1, true, 0);
	uint64_t next = cut();
	assert_true(changes_at(ks, slot_of(1), base, next)->all);
	assert_true(changes_at(ks, slot_of(2), base, next)->all);
	end();
}

/*
 * Random keys in a few slots, cuts in between, the snapshot passing at random: beside plain arrays.
 */
#define MODEL_SLOTS 5
#define MODEL_KEYS  14

static void test_model(void **state)
{
	bool written[2][MODEL_SLOTS][MODEL_KEYS] = {
		0}; /* since the last cut; between the two before */
	const char *text = getenv("SEED");
	unsigned seed = text ? (unsigned)atoi(text) : 1;
	uint64_t base = 0, last = 0;
	bool going = false;

	(void)state;
	print_message("SEED=%u\n", seed);
	srand(seed);
	cut_alone();
	base = last = now() - 1;
	for (int i = 0; i < 20000; i++) {
		uint32_t slot = (uint32_t)(rand() % MODEL_SLOTS),
			 key = (uint32_t)(rand() % MODEL_KEYS);
		switch (rand() % 16) {
		case 0:
			if (going)
				end();
			base = last;
			last = cut();
			going = true;
			memcpy(written[1], written[0], sizeof(written[0]));
			memset(written[0], 0, sizeof(written[0]));
			break;
		case 1:
			if (!going)
				break;
			for (uint32_t s = 0; s < MODEL_SLOTS; s++) {
				const struct changes *changes =
					changes_at(ks, slot_of(s), base, last);
				for (uint32_t k = 0; k < MODEL_KEYS; k++)
					assert_int_equal(has(changes, changes_key(k + 1, k % 4)),
							 written[1][s][k]);
			}
			break;
		default:
			write_key(slot, key % 4, key + 1);
			written[0][slot][key] = true;
		}
	}
	if (going)
		end();
	changes_free(ks);
	assert_int_equal(atomic_load(&ks->changes.memory), 0);
	ks->changes = (struct change_log){0};
}

/* Writes key after key until one has been noted. */
static void *write_until_noted(void *arg)
{
	struct slot *held = slot_of(1);

	(void)arg;
	for (uint64_t key = 1; !atomic_load(&ks->changes.memory); key++) {
		if (!slots_try_hold(ks->shards[0], &held, 1))
			return (void *)"held by somebody";
		changes_touch(ks->shards[0], held, 0, key << 32 | key);
		slots_release(ks->shards[0], &held, 1, true, 0);
	}
	return NULL;
}

/*
 * Noting begins while others write: who sees that it has finds the arrays (the thread sanitizer
 * looks).
 */
static void test_first_one_among_writers(void **state)
{
	pthread_t writer;
	void *trouble;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, write_until_noted, NULL), 0);
	changes_since(ks, now());
	assert_int_equal(pthread_join(writer, &trouble), 0);
	assert_null(trouble);
	assert_non_null(atomic_load(&ks->changes.logs[1]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_before, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sides_of_the_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_older_ones_are_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unit_across_the_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unit_across_the_cut_with_an_old_log, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_many_become_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_one_among_writers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_model, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
