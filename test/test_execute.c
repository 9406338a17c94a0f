/*
 * Running handlers: what holders and readers promise of seqs, replies and the clock. The handlers
 * are this test's own, which interfere with themselves; with threads the real MSET and MGET run.
 */
#include "test/check.h"

#include "proto/mem.h"
#include "shard/execute.h"
#include "shard/handlers.h"
#include "shard/hold.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

#define KEYS_MAX 100

/* What the handler does, and what it saw. */
static struct scene {
	uint32_t writes; /* so often a writer comes to the last key's slot while it runs */
	bool holder_wanted;
	bool opens;
	uint64_t dirty;
	_Atomic int64_t clock; /* a minute passes while it runs */
	uint32_t runs;
	int64_t seen_now;
	uint32_t seen_seq; /* of the last key's slot */
	bool seen_holder;
} scene;

static void cmd_scene(struct ctx *ctx)
{
	struct slot *slot = ctx->key_count ? ctx->keys[ctx->key_count - 1].slot : NULL;

	scene.runs++;
	scene.seen_now = ctx->now;
	scene.seen_holder = ctx->holder;
	scene.seen_seq = slot ? slot_seq_begin(slot) : 0;
	atomic_fetch_add(&scene.clock, 60000);
	if (scene.writes > 0) {
		scene.writes--;
		assert_true(slot_try_hold(slot));
		slot_release(slot, true);
	}
	ctx->need_holder |= scene.holder_wanted;
	ctx->dirty += scene.dirty;
	if (scene.opens)
		ctx_open(ctx, 0);
	stat_add(&ctx->shard->stats.hits, 1);
	reply_ok(ctx->reply);
}

void (*const key_handlers[CMD_COUNT])(struct ctx *ctx) = {
	[CMD_get] = cmd_scene,
	[CMD_sort] = cmd_scene,
	[CMD_mget] = cmd_mget,
	[CMD_mset] = cmd_mset,
};

/* A request on so many keys, in different slots. */
struct stage {
	struct keyspace *ks;
	struct reply reply;
	struct key keys[KEYS_MAX];
	struct slot *slots[KEYS_MAX];
	uint32_t slot_count;
	char names[KEYS_MAX][16];
	struct ctx ctx;
};

static void stage_init(struct stage *stage, uint32_t key_count)
{
	*stage = (struct stage){.ks = keyspace_new(1, 1, &(struct hash_seed){1, 2})};
	reply_init(&stage->reply, 2);
	reply_raw(&stage->reply, "before", 6);
	for (uint32_t i = 0; i < key_count; i++) {
		size_t len = (size_t)sprintf(stage->names[i], "key:%u", i);
		key_prepare(&stage->keys[i], stage->ks, (struct slice){stage->names[i], len});
	}
	stage->slot_count = keys_slots(stage->keys, key_count, stage->slots);
	stage->ctx = (struct ctx){.cmd = &command_table[CMD_get],
				  .now = 1000,
				  .clock = &scene.clock,
				  .keys = stage->keys,
				  .key_count = key_count,
				  .reply = &stage->reply,
				  .ks = stage->ks,
				  .shard = stage->ks->shards[0]};
}

static void stage_deinit(struct stage *stage)
{
	reply_deinit(&stage->reply);
	keyspace_free(stage->ks);
}

static void check_reply(const struct stage *stage, const char *expected)
{
	assert_int_equal(stage->reply.len, strlen(expected));
	assert_memory_equal(stage->reply.buf, expected, stage->reply.len);
}

/* --- keys --- */

static void test_key_prepare(void **state)
{
	static const char *const names[] = {"", "a", "{tag}a", "{tag}b", "{}x", "a\n\xff"};
	struct keyspace *ks = keyspace_new(1, 1, &(struct hash_seed){1, 2});
	struct key key;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct slice name = slice_of(names[i]);
		key_prepare(&key, ks, name);
		assert_true(slice_equal(key.name, name));
		assert_int_equal(key.hash, hash_bytes(&ks->seed, name.ptr, name.len));
		assert_ptr_equal(key.slot, &ks->slots[key_slot(name.ptr, name.len)]);
	}
	keyspace_free(ks);
}

static void test_keys_slots(void **state)
{
	static const struct {
		const char *label;
		uint32_t count;
		const char *names[6];
		uint32_t slots;
	} rows[] = {
		{"none", 0, {0}, 0},
		{"one", 1, {"a"}, 1},
		{"the same twice", 2, {"a", "a"}, 1},
		{"two of one tag", 2, {"{t}a", "{t}b"}, 1},
		{"two slots", 2, {"a", "b"}, 2},
		{"mixed", 6, {"c", "{c}1", "b", "a", "{a}1", "{b}1"}, 3},
	};
	struct keyspace *ks = keyspace_new(1, 1, &(struct hash_seed){1, 2});

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct key keys[6];
		struct slot *slots[6];
		for (uint32_t k = 0; k < rows[i].count; k++)
			key_prepare(&keys[k], ks, slice_of(rows[i].names[k]));
		uint32_t count = keys_slots(keys, rows[i].count, slots);
		if (count != rows[i].slots)
			fail_msg("%s: %u", rows[i].label, count);
		for (uint32_t s = 1; s < count; s++)
			assert_true(slots[s - 1] < slots[s]);
		for (uint32_t k = 0; k < rows[i].count; k++) {
			uint32_t found = 0;
			for (uint32_t s = 0; s < count; s++)
				found += slots[s] == keys[k].slot;
			assert_int_equal(found, 1);
		}
	}
	keyspace_free(ks);
}

/* Both ways to put slots in order, by numbers of slots on either side of the border. */
static void test_slots_unique(void **state)
{
	static const uint32_t counts[] = {2, 63, 64, 65, 66, 1000, 100000};
	struct keyspace *ks = keyspace_new(1, 1, &(struct hash_seed){1, 2});
	struct slot **slots = mem_alloc(100000 * sizeof(struct slot *));

	(void)state;
	for (size_t c = 0; c < COUNT_OF(counts); c++) {
		bool wanted[SLOT_COUNT] = {false};
		uint32_t expected = 0;
		for (uint32_t i = 0; i < counts[c]; i++) {
			uint32_t index =
				(uint32_t)((i * i * 2654435761u + i / 3) >> 7) % SLOT_COUNT;
			index = i == 1 ? SLOT_COUNT - 1 : i == 0 ? 0 : index;
			slots[i] = &ks->slots[index];
			expected += !wanted[index];
			wanted[index] = true;
		}
		assert_int_equal(slots_unique(slots, counts[c]), expected);
		for (uint32_t i = 0; i < expected; i++) {
			assert_true(i == 0 || slots[i - 1] < slots[i]);
			assert_true(wanted[slots[i]->index]);
		}
	}
	mem_free(slots, 100000 * sizeof(struct slot *));
	keyspace_free(ks);
}

/* --- holders --- */

static void test_holding(void **state)
{
	static const struct {
		const char *label;
		uint32_t keys;
		bool opens;
		uint64_t dirty;
		uint32_t seq_after;
	} rows[] = {
		{"one slot, nothing stored", 1, false, 0, 0},
		{"one slot, stored", 1, true, 1, 2},
		{"stored, nothing changed", 1, true, 0, 2},
		{"several slots, nothing stored", 5, false, 0, 0},
		{"several slots, stored", 5, true, 7, 2},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct stage stage;
		stage_init(&stage, rows[i].keys);
		scene = (struct scene){.opens = rows[i].opens, .dirty = rows[i].dirty};
		assert_true(execute_holding(&stage.ctx, stage.slots, stage.slot_count));
		assert_int_equal(scene.runs, 1);
		assert_true(scene.seen_holder);
		assert_int_equal(scene.seen_seq, 1);
		for (uint32_t s = 0; s < stage.slot_count; s++)
			if (slot_seq_begin(stage.slots[s]) != rows[i].seq_after)
				fail_msg("%s: %u", rows[i].label, slot_seq_begin(stage.slots[s]));
		check_reply(&stage, "before+OK\r\n");
		assert_int_equal(atomic_load(&stage.ctx.shard->stats.dirty), rows[i].dirty);
		stage_deinit(&stage);
	}
}

static void test_holding_busy(void **state)
{
	struct stage stage;

	(void)state;
	for (uint32_t busy = 0; busy < 3; busy++) {
		stage_init(&stage, 3);
		scene = (struct scene){.opens = true};
		assert_true(slot_try_hold(stage.slots[busy]));
		assert_false(execute_holding(&stage.ctx, stage.slots, stage.slot_count));
		assert_false(execute_holding(&stage.ctx, NULL, 0));
		assert_int_equal(scene.runs, 0);
		check_reply(&stage, "before");
		for (uint32_t s = 0; s < stage.slot_count; s++)
			assert_int_equal(slot_seq_begin(stage.slots[s]), s == busy);
		stage_deinit(&stage);
	}
}

/* --- readers --- */

static void test_observed(void **state)
{
	static const struct {
		const char *label;
		uint32_t keys;
		uint32_t writes;
		int32_t held; /* this key's slot throughout; -1: none */
		bool holder_wanted;
		enum observed result;
		uint64_t retries;
		uint32_t runs;
	} rows[] = {
		{"nobody interferes", 1, 0, -1, false, OBSERVED, 0, 1},
		{"no key", 0, 0, -1, false, OBSERVED, 0, 1},
		{"several keys", 5, 0, -1, false, OBSERVED, 0, 1},
		{"one writer", 1, 1, -1, false, OBSERVED, 1, 2},
		{"one key's last try", 1, OBSERVE_TRIES_ONE - 1, -1, false, OBSERVED,
		 OBSERVE_TRIES_ONE - 1, OBSERVE_TRIES_ONE},
		{"too many writers for one key", 1, 100, -1, false, OBSERVED_BUSY,
		 OBSERVE_TRIES_ONE, OBSERVE_TRIES_ONE},
		{"several keys' last try", 2, OBSERVE_TRIES_MANY - 1, -1, false, OBSERVED,
		 OBSERVE_TRIES_MANY - 1, OBSERVE_TRIES_MANY},
		{"too many writers for several keys", 2, 100, -1, false, OBSERVED_BUSY,
		 OBSERVE_TRIES_MANY, OBSERVE_TRIES_MANY},
		{"held", 1, 0, 0, false, OBSERVED_BUSY, 1, 0},
		{"the last of several is held", 4, 0, 3, false, OBSERVED_BUSY, 1, 0},
		{"more keys than fit inline", KEYS_MAX, 0, -1, false, OBSERVED, 0, 1},
		{"a writer in many keys' way", KEYS_MAX, 1, -1, false, OBSERVED_BUSY, 1, 1},
		{"... and in a few's", OBSERVE_KEYS_FEW, 1, -1, false, OBSERVED, 1, 2},
		{"only the holder may", 1, 0, -1, true, OBSERVED_HOLDER, 0, 1},
		{"... of many", KEYS_MAX, 0, -1, true, OBSERVED_HOLDER, 0, 1},
		{"... and a writer", 1, 1, -1, true, OBSERVED_HOLDER, 0, 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct stage stage;
		uint64_t retries = 0;
		stage_init(&stage, rows[i].keys);
		scene = (struct scene){.writes = rows[i].writes,
				       .holder_wanted = rows[i].holder_wanted};
		if (rows[i].held >= 0)
			assert_true(slot_try_hold(stage.keys[rows[i].held].slot));
		enum observed result = execute_observed(&stage.ctx, &retries);
		if (result != rows[i].result || retries != rows[i].retries ||
		    scene.runs != rows[i].runs)
			fail_msg("%s: %d, %u retries, %u runs", rows[i].label, result,
				 (unsigned)retries, scene.runs);
		assert_false(scene.seen_holder);
		check_reply(&stage, result == OBSERVED ? "before+OK\r\n" : "before");
		stage_deinit(&stage);
	}
}

/* What was thrown away isn't counted: a key that is looked up once is one hit. */
static void test_observed_counts_once(void **state)
{
	static const struct {
		const char *label;
		uint32_t writes;
		bool holder_wanted;
		uint64_t hits;
	} rows[] = {
		{"nobody interferes", 0, false, 1},
		{"a writer", 1, false, 1},
		{"too many writers", 100, false, 0},
		{"only the holder may", 0, true, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct stage stage;
		uint64_t retries = 0;
		stage_init(&stage, 2);
		scene = (struct scene){.writes = rows[i].writes,
				       .holder_wanted = rows[i].holder_wanted};
		execute_observed(&stage.ctx, &retries);
		uint64_t hits = atomic_load(&stage.ctx.shard->stats.hits);
		if (hits != rows[i].hits)
			fail_msg("%s: %u hits", rows[i].label, (unsigned)hits);
		stage_deinit(&stage);
	}
}

/* --- the clock --- */

static void test_clock(void **state)
{
	static const struct {
		const char *label;
		uint32_t keys; /* 0: it holds every slot */
		bool clock, holder;
		int32_t expires; /* something in this key's slot does; -1: nowhere */
		int64_t now;
	} rows[] = {
		{"a reader loads it", 1, true, false, -1, 2000},
		{"a reader without one", 1, false, false, -1, 1000},
		{"a holder, nothing expires", 1, true, true, -1, 1000},
		{"a holder, something expires", 1, true, true, 0, 2000},
		{"a holder without one", 1, false, true, 0, 1000},
		{"the last of several", 4, true, true, 3, 2000},
		{"every slot", 0, true, true, -1, 2000},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct stage stage;
		uint64_t retries = 0;
		stage_init(&stage, rows[i].keys);
		scene = (struct scene){.clock = 2000};
		if (!rows[i].clock)
			stage.ctx.clock = NULL;
		if (rows[i].expires >= 0)
			atomic_store(&stage.keys[rows[i].expires].slot->expire_earliest, 5000);
		if (rows[i].holder)
			execute_holding(&stage.ctx, rows[i].keys ? stage.slots : NULL,
					stage.slot_count);
		else
			execute_observed(&stage.ctx, &retries);
		if (scene.seen_now != rows[i].now)
			fail_msg("%s: %ld", rows[i].label, (long)scene.seen_now);
		stage_deinit(&stage);
	}
}

/* SORT names one key, and looks at others where it has patterns: at those of any slot. */
static void test_clock_of_patterns(void **state)
{
	static const struct {
		const char *label;
		struct slice argv[4];
		int64_t now;
	} rows[] = {
		{"its key alone", {SLICE("sort"), SLICE("key:0"), SLICE("by"), SLICE("x")}, 1000},
		{"others, by", {SLICE("sort"), SLICE("key:0"), SLICE("by"), SLICE("w_*")}, 2000},
		{"others, get", {SLICE("sort"), SLICE("key:0"), SLICE("get"), SLICE("w_*")}, 2000},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct stage stage;
		stage_init(&stage, 1);
		scene = (struct scene){.clock = 2000};
		stage.ctx.cmd = &command_table[CMD_sort];
		stage.ctx.argv = rows[i].argv;
		stage.ctx.argc = COUNT_OF(rows[i].argv);
		execute_holding(&stage.ctx, stage.slots, stage.slot_count);
		if (scene.seen_now != rows[i].now)
			fail_msg("%s: %ld", rows[i].label, (long)scene.seen_now);
		stage_deinit(&stage);
	}
}

/* A reader that tries again answers with the time of the try that counts. */
static void test_clock_of_retries(void **state)
{
	struct stage stage;
	uint64_t retries = 0;

	(void)state;
	stage_init(&stage, 1);
	scene = (struct scene){.clock = 2000, .writes = 2};
	assert_int_equal(execute_observed(&stage.ctx, &retries), OBSERVED);
	assert_int_equal(scene.seen_now, 2000 + 2 * 60000);
	stage_deinit(&stage);
}

/* --- under threads --- */

#define RACE_KEYS    5
#define RACE_WRITERS 2
#define RACE_READERS 2
#define RACE_THREADS (RACE_WRITERS + RACE_READERS)
#define RACE_UNITS   20000 /* of each writer */
#define RACE_BATCH   32    /* requests between two visits to the quiescent state */

static struct {
	struct keyspace *ks;
	_Atomic uint32_t writers_left;
	_Atomic uint32_t threads_left;
	_Atomic uint64_t observed;
} race;

struct racer {
	pthread_t thread;
	uint32_t id;
	struct reply reply;
	struct slice argv[1 + 2 * RACE_KEYS];
	char names[RACE_KEYS][16];
	char value[16];
	struct key keys[RACE_KEYS];
	struct slot *slots[RACE_KEYS];
	uint32_t slot_count;
	struct ctx ctx;
};

static void racer_init(struct racer *racer, uint32_t id, enum command_id cmd)
{
	uint32_t step = cmd == CMD_mset ? 2 : 1;

	*racer = (struct racer){.id = id};
	reply_init(&racer->reply, 2);
	for (uint32_t k = 0; k < RACE_KEYS; k++) {
		struct slice name = {racer->names[k], (size_t)sprintf(racer->names[k], "k%u", k)};
		key_prepare(&racer->keys[k], race.ks, name);
		racer->argv[1 + k * step] = name;
	}
	racer->slot_count = keys_slots(racer->keys, RACE_KEYS, racer->slots);
	racer->ctx = (struct ctx){.cmd = &command_table[cmd],
				  .argv = racer->argv,
				  .argc = 1 + RACE_KEYS * step,
				  .now = 1000,
				  .keys = racer->keys,
				  .key_count = RACE_KEYS,
				  .reply = &racer->reply,
				  .ks = race.ks,
				  .shard = race.ks->shards[id]};
}

static void racer_hold(struct racer *racer)
{
	while (!execute_holding(&racer->ctx, racer->slots, racer->slot_count))
		sched_yield();
	racer->ctx.holder = racer->ctx.stored = false;
}

/* Every value that a reader gets is of the same MSET. */
static void check_same(const struct racer *racer)
{
	const struct reply *r = &racer->reply;
	size_t head = 4; /* "*5\r\n" */
	size_t each = (r->len - head) / RACE_KEYS;

	assert_int_equal(each * RACE_KEYS + head, r->len);
	for (uint32_t k = 1; k < RACE_KEYS; k++)
		assert_memory_equal(r->buf + head + k * each, r->buf + head, each);
}

static void write_once(struct racer *racer, uint64_t unit)
{
	int len = sprintf(racer->value, "%08u:%u", (unsigned)unit, racer->id);

	for (uint32_t k = 0; k < RACE_KEYS; k++)
		racer->argv[2 + 2 * k] = (struct slice){racer->value, (size_t)len};
	reply_reset(&racer->reply, SIZE_MAX);
	racer_hold(racer);
}

static void read_once(struct racer *racer)
{
	uint64_t retries = 0;

	reply_reset(&racer->reply, SIZE_MAX);
	if (execute_observed(&racer->ctx, &retries) == OBSERVED)
		atomic_fetch_add(&race.observed, 1);
	else
		racer_hold(racer);
	check_same(racer);
}

static void *racer_run(void *arg)
{
	struct racer *racer = arg;
	struct retire *retire = &racer->ctx.shard->retire;
	bool writes = racer->id < RACE_WRITERS;

	urcu_qsbr_register_thread();
	for (uint64_t unit = 0; writes ? unit < RACE_UNITS : atomic_load(&race.writers_left) > 0;) {
		urcu_qsbr_thread_online();
		for (int i = 0; i < RACE_BATCH; i++, unit++) {
			if (writes)
				write_once(racer, unit);
			else
				read_once(racer);
		}
		retire_stamp(retire, &race.ks->grace);
		while (retire_collect(retire, &race.ks->grace, 64))
			;
		grace_reader_offline(&race.ks->grace);
	}
	urcu_qsbr_unregister_thread();
	if (writes)
		atomic_fetch_sub(&race.writers_left, 1);
	atomic_fetch_sub(&race.threads_left, 1);
	return NULL;
}

/* Grace periods as long as anybody reads. */
static void reclaim(struct grace *grace)
{
	while (atomic_load(&race.threads_left) > 0) {
		grace_period(grace);
		sched_yield();
	}
}

/* MGET sees all of an MSET or nothing of it, while memory is really freed. */
static void test_race(void **state)
{
	static struct racer racers[RACE_THREADS];

	(void)state;
	race.ks = keyspace_new(RACE_THREADS, 1, &(struct hash_seed){1, 2});
	atomic_store(&race.writers_left, RACE_WRITERS);
	atomic_store(&race.threads_left, RACE_THREADS);
	for (uint32_t i = 0; i < RACE_THREADS; i++)
		racer_init(&racers[i], i, i < RACE_WRITERS ? CMD_mset : CMD_mget);
	write_once(&racers[0], 0);
	for (uint32_t i = 0; i < RACE_THREADS; i++)
		assert_int_equal(pthread_create(&racers[i].thread, NULL, racer_run, &racers[i]), 0);
	reclaim(&race.ks->grace);
	for (uint32_t i = 0; i < RACE_THREADS; i++) {
		pthread_join(racers[i].thread, NULL);
		reply_deinit(&racers[i].reply);
	}
	assert_int_equal(keyspace_keys(race.ks, 0), RACE_KEYS);
	for (uint32_t i = 0; i < SLOT_COUNT; i++)
		assert_int_equal(atomic_load(&race.ks->slots[i].seq) & 1, 0);
	printf("# %u reads without holding\n", (unsigned)atomic_load(&race.observed));
	keyspace_free(race.ks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_prepare),
		cmocka_unit_test(test_keys_slots),
		cmocka_unit_test(test_slots_unique),
		cmocka_unit_test(test_holding),
		cmocka_unit_test(test_holding_busy),
		cmocka_unit_test(test_observed),
		cmocka_unit_test(test_observed_counts_once),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_clock_of_patterns),
		cmocka_unit_test(test_clock_of_retries),
		cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
