/*
 * Snapshots while several threads write: what units of work write together is in a snapshot
 * together or not at all, and what is always there is in each (run it under the sanitizers).
 *
 * Each writer has three keys in slots of their own that it sets in one unit, and two hashes that it
 * changes alike. Now and then it puts a unit by and goes on with it some ticks later. Keys that
 * come and go make the slots' tables grow and shrink. Somebody walks through these slots meanwhile,
 * as SCAN does: that shows what is always there, too.
 */
#include "test/check.h"

#include "shard/dict.h"
#include "shard/execute.h"
#include "shard/hold.h"
#include "shard/scan.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#include <urcu/urcu-qsbr.h>

#define WRITERS 3
#define STRINGS 3
#define HASHES  2
#define FIELDS  1500 /* more than a listpack takes */
#define STABLE  200  /* keys of each writer that are always there */
#define CHURN   900
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SNAPSHOTS 20
#else
#define SNAPSHOTS 60
#endif
#define KEY_MAX 32

static struct keyspace *ks;
static _Atomic bool writers_stop, reclaimer_stop;
static _Atomic uint64_t units;

static void *reclaimer_run(void *arg)
{
	while (!atomic_load(&reclaimer_stop)) {
		grace_period(&ks->grace);
		usleep(100);
	}
	return arg;
}

/* --- writers --- */

struct writer {
	pthread_t thread;
	uint32_t id;
	struct shard *shard;
	struct check_random random;
	struct reply reply;
	uint64_t number; /* of its last unit */
};

/* The end of a tick and the beginning of the next. */
static void tick(struct writer *w)
{
	struct retire *retire = &w->shard->retire;

	retire_stamp(retire, &ks->grace);
	retire_release_kept(retire, &ks->freeze);
	retire_collect(retire, &ks->grace, 1000);
	grace_reader_offline(&ks->grace);
	urcu_qsbr_thread_online();
}

/* Whether the keys' slots can be held; in rising order in `slots`. */
static uint32_t hold(struct writer *w, const struct key *keys, uint32_t count, struct slot **slots)
{
	uint32_t slot_count = keys_slots(keys, count, slots);

	while (!slots_try_hold(w->shard, slots, slot_count)) {
		tick(w);
		sched_yield();
	}
	return slot_count;
}

/* Runs "NAME key [field] number" within a unit. */
static void run(struct writer *w, const struct key *key, const char *name, const char *field,
		const char *value)
{
	struct slice argv[4] = {slice_of(name), key->name};
	uint32_t argc = 2;

	if (field)
		argv[argc++] = slice_of(field);
	if (value)
		argv[argc++] = slice_of(value);
	reply_reset(&w->reply, SIZE_MAX);
	struct ctx ctx = {
		.cmd = command_resolve(argv, argc, &w->reply),
		.argv = argv,
		.argc = argc,
		.keys = key,
		.key_count = 1,
		.now = 1000,
		.reply = &w->reply,
		.ks = ks,
		.shard = w->shard,
	};
	assert_non_null(ctx.cmd);
	execute(&ctx);
}

static struct key key_of(char *text, const char *format, uint32_t id, uint32_t i)
	__attribute__((format(printf, 2, 0)));
static struct key key_of(char *text, const char *format, uint32_t id, uint32_t i)
{
	struct key key;
	int len = snprintf(text, KEY_MAX, format, id, i);

	key_prepare(&key, ks, (struct slice){text, (size_t)len});
	return key;
}

/* One command as a unit of its own. */
static void run_alone(struct writer *w, const struct key *key, const char *name, const char *field,
		      const char *value)
{
	struct slot *slot;
	uint32_t count = hold(w, key, 1, &slot);

	run(w, key, name, field, value);
	slots_release(w->shard, &slot, count, true, 1000);
}

/* In the middle of a unit: others come, then it goes on, later. */
static void pause_unit(struct writer *w)
{
	struct unit_put_by unit = {0};

	unit_put_by(w->shard, &unit);
	for (uint32_t ticks = (uint32_t)check_random_below(&w->random, 20); ticks > 0; ticks--) {
		tick(w);
		sched_yield();
	}
	unit_take_back(w->shard, &unit);
}

static void unit_strings(struct writer *w)
{
	char texts[STRINGS][KEY_MAX], number[24];
	struct key keys[STRINGS];
	struct slot *slots[STRINGS];

	snprintf(number, sizeof(number), "%llu", (unsigned long long)++w->number);
	for (uint32_t i = 0; i < STRINGS; i++)
		keys[i] = key_of(texts[i], "string:%u:%u", w->id, i);
	uint32_t count = hold(w, keys, STRINGS, slots);
	for (uint32_t i = 0; i < STRINGS; i++) {
		run(w, &keys[i], "SET", NULL, number);
		if (check_random_below(&w->random, 200) == 0)
			pause_unit(w);
	}
	slots_release(w->shard, slots, count, true, 1000);
}

static void unit_hashes(struct writer *w)
{
	char texts[HASHES][KEY_MAX], field[24];
	struct key keys[HASHES];
	struct slot *slots[HASHES];
	bool remove = check_random_below(&w->random, 4) == 0;

	snprintf(field, sizeof(field), "%u", (uint32_t)check_random_below(&w->random, FIELDS));
	for (uint32_t i = 0; i < HASHES; i++)
		keys[i] = key_of(texts[i], "hash:%u:%u", w->id, i);
	uint32_t count = hold(w, keys, HASHES, slots);
	for (uint32_t i = 0; i < HASHES; i++) {
		if (remove)
			run(w, &keys[i], "HDEL", field, NULL);
		else
			run(w, &keys[i], "HINCRBY", field, "1");
		if (check_random_below(&w->random, 200) == 0)
			pause_unit(w);
	}
	slots_release(w->shard, slots, count, true, 1000);
}

static void unit_churn(struct writer *w)
{
	char text[KEY_MAX];
	uint32_t i = (uint32_t)check_random_below(&w->random, CHURN);
	struct key key = key_of(text, "{string:%u:0}%u", w->id, i);

	if (i < STABLE || check_random_below(&w->random, 2))
		run_alone(w, &key, "SET", NULL, "x");
	else
		run_alone(w, &key, "DEL", NULL, NULL);
}

/* Everything that is always there. */
static void fill(struct writer *w)
{
	char text[KEY_MAX], field[24];

	for (uint32_t i = 0; i < STABLE; i++) {
		struct key key = key_of(text, "{string:%u:0}%u", w->id, i);
		run_alone(w, &key, "SET", NULL, "x");
	}
	for (uint32_t i = 0; i < HASHES; i++) {
		struct key key = key_of(text, "hash:%u:%u", w->id, i);
		for (uint32_t j = 0; j < FIELDS; j++) {
			snprintf(field, sizeof(field), "%u", j);
			run_alone(w, &key, "HINCRBY", field, "1");
		}
	}
	unit_strings(w);
}

static void *writer_run(void *arg)
{
	struct writer *w = arg;

	urcu_qsbr_register_thread();
	urcu_qsbr_thread_online();
	while (!atomic_load(&writers_stop)) {
		for (int i = 0; i < 20; i++) {
			unit_strings(w);
			unit_hashes(w);
			unit_churn(w);
		}
		atomic_fetch_add_explicit(&units, 60, memory_order_relaxed);
		tick(w);
	}
	grace_reader_offline(&ks->grace);
	urcu_qsbr_unregister_thread();
	return NULL;
}

/* --- the walk --- */

struct walk {
	bool seen[WRITERS][STABLE];
};

static void walk_visit(void *arg, struct entry *e)
{
	struct walk *walk = arg;
	char text[KEY_MAX] = "";
	unsigned id, i;

	assert_true(entry_key(e).len < sizeof(text));
	memcpy(text, entry_key(e).ptr, entry_key(e).len);
	if (sscanf(text, "{string:%u:0}%u", &id, &i) == 2 && i < STABLE)
		walk->seen[id][i] = true;
}

/* Through the slot of that writer's keys. Returns how many of them it didn't see. */
static uint64_t walk_slot(struct walk *walk, uint32_t id)
{
	char text[KEY_MAX];
	struct key key = key_of(text, "{string:%u:0}%u", id, 0);
	uint64_t slot = key.slot->index, cursor = slot << TABLE_POSITION_BITS, missed = 0;

	urcu_qsbr_thread_online();
	while (cursor >> TABLE_POSITION_BITS == slot)
		cursor = keyspace_scan(ks, 0, cursor, 1, 1, walk_visit, walk);
	grace_reader_offline(&ks->grace);
	for (uint32_t i = 0; i < STABLE; i++)
		missed += !walk->seen[id][i];
	return missed;
}

/* Says how many keys it missed in all its walks. */
static void *walk_run(void *arg)
{
	uint64_t *missed = arg;

	urcu_qsbr_register_thread();
	while (!atomic_load(&writers_stop)) {
		struct walk walk = {0};
		for (uint32_t id = 0; id < WRITERS; id++)
			*missed += walk_slot(&walk, id);
	}
	urcu_qsbr_unregister_thread();
	return NULL;
}

/* --- the snapshotter --- */

struct seen {
	uint64_t cut;
	uint64_t strings[WRITERS][STRINGS];
	uint64_t sums[WRITERS][HASHES]; /* of all fields with their values */
	uint32_t fields[WRITERS][HASHES];
	uint32_t stable[WRITERS];
	uint64_t *sum;
	uint32_t *count;
};

static void see_field(void *arg, struct entry *e)
{
	struct seen *seen = arg;
	struct slice field = entry_key(e), value = entry_value(e);

	*seen->sum += hash_bytes(&ks->seed, field.ptr, field.len) *
		      (hash_bytes(&ks->seed, value.ptr, value.len) | 1);
	++*seen->count;
}

static void see_hash(struct seen *seen, uint32_t id, uint32_t i, const struct entry *e)
{
	assert_non_null(entry_dict(e));
	struct table table = {dict_root_at(entry_dict(e), seen->cut)};

	seen->sum = &seen->sums[id][i];
	seen->count = &seen->fields[id][i];
	for (uint64_t at = 0; at != TABLE_END;)
		at = table_scan(&table, at, see_field, seen);
	assert_int_equal(*seen->count, table_count(&table));
}

static void see_entry(void *arg, struct entry *e)
{
	struct seen *seen = arg;
	char text[KEY_MAX] = "";
	unsigned id, i;

	assert_true(entry_key(e).len < sizeof(text));
	memcpy(text, entry_key(e).ptr, entry_key(e).len);
	if (sscanf(text, "string:%u:%u", &id, &i) == 2) {
		int64_t number;
		assert_true(number_parse(entry_value(e), &number));
		seen->strings[id][i] = (uint64_t)number;
	} else if (sscanf(text, "hash:%u:%u", &id, &i) == 2) {
		see_hash(seen, id, i, e);
	} else {
		assert_int_equal(sscanf(text, "{string:%u:0}%u", &id, &i), 2);
		seen->stable[id] += i < STABLE;
	}
}

static uint64_t handed_over;

static void see_handed(void *arg, uint32_t slot, uint32_t db, struct entry *e)
{
	assert_int_equal(slot, key_slot(entry_key(e).ptr, entry_key(e).len));
	assert_int_equal(db, 0);
	see_entry(arg, e);
	handed_over++;
}

static void snapshot(struct seen *seen)
{
	*seen = (struct seen){.cut = atomic_load(&ks->epochs.now)};
	freeze_begin(ks, seen->cut);
	for (uint32_t i = 0; i < SLOT_COUNT; i++) {
		uint32_t seq = 0;
		while (!freeze_slot_ready(&ks->slots[i], &seq))
			sched_yield();
		struct table table = {freeze_root(ks, &ks->slots[i], 0)};
		for (uint64_t at = 0; at != TABLE_END;)
			at = table_scan_unstruck(&table, at, see_entry, seen);
		freeze_pass(ks, i + 1);
		freeze_serve(ks, see_handed, seen);
	}
	freeze_end(ks);
}

static void check(const struct seen *seen, const struct seen *before)
{
	for (uint32_t w = 0; w < WRITERS; w++) {
		assert_int_equal(seen->stable[w], STABLE);
		assert_true(seen->strings[w][0] >= before->strings[w][0]);
		assert_true(seen->strings[w][0] > 0);
		for (uint32_t i = 1; i < STRINGS; i++)
			assert_int_equal(seen->strings[w][i], seen->strings[w][0]);
		for (uint32_t i = 1; i < HASHES; i++) {
			assert_int_equal(seen->fields[w][i], seen->fields[w][0]);
			assert_int_equal(seen->sums[w][i], seen->sums[w][0]);
		}
	}
}

static void test_snapshots(void **state)
{
	struct check_random random = check_random_start();
	struct writer writers[WRITERS] = {0};
	struct seen seen = {0}, before;
	pthread_t reclaimer, walker;
	uint64_t missed = 0;

	(void)state;
	ks = keyspace_new(WRITERS, 1, &(struct hash_seed){1, 2});
	for (uint32_t i = 0; i < WRITERS; i++) {
		writers[i].id = i;
		writers[i].shard = ks->shards[i];
		writers[i].random.state = check_random_next(&random);
		reply_init(&writers[i].reply, 2);
		fill(&writers[i]);
	}
	pthread_create(&reclaimer, NULL, reclaimer_run, NULL);
	for (uint32_t i = 0; i < WRITERS; i++)
		pthread_create(&writers[i].thread, NULL, writer_run, &writers[i]);
	pthread_create(&walker, NULL, walk_run, &missed);
	for (int i = 0; i < SNAPSHOTS; i++) {
		before = seen;
		snapshot(&seen);
		check(&seen, &before);
	}
	print_message("# %llu units of work, %llu entries handed over\n",
		      (unsigned long long)atomic_load(&units), (unsigned long long)handed_over);
	assert_true(handed_over > 0);
	atomic_store(&writers_stop, true);
	for (uint32_t i = 0; i < WRITERS; i++)
		pthread_join(writers[i].thread, NULL);
	pthread_join(walker, NULL);
	assert_int_equal(missed, 0);
	atomic_store(&reclaimer_stop, true);
	pthread_join(reclaimer, NULL);
	for (uint32_t i = 0; i < WRITERS; i++) {
		retire_release_kept(&ks->shards[i]->retire, &ks->freeze);
		reply_deinit(&writers[i].reply);
	}
	keyspace_free(ks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_snapshots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
