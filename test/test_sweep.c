/* The expiry sweep: what it removes, when, of whose slots, and what it says then. */
#include "test/store.h"

#include "shard/sweep.h"

#define ROUND (SLOT_COUNT / SWEEP_SLOTS)

/* Slices of one shard until each slot was looked at and nothing is due; how many said "more". */
static uint32_t sweep_round(struct store *s, uint32_t shard)
{
	uint32_t more = 0;

	for (uint32_t slices = 0; slices < ROUND;) {
		if (sweep_slice(s->ks->shards[shard], s->now))
			more++;
		else
			slices++;
	}
	store_collect(s);
	store_check_closed(s);
	return more;
}

static struct slot *slot_of(const struct store *s, const char *key)
{
	return &s->ks->slots[key_slot(key, strlen(key))];
}

static uint64_t swept(const struct store *s, uint32_t shard)
{
	return atomic_load(&s->ks->shards[shard]->stats.expired);
}

/* What is due goes, in all databases; what is not, stays, and the slot knows when it will be. */
static void test_removes_what_is_due(void **state)
{
	static const struct {
		const char *label;
		int64_t now;
		int64_t keys[2]; /* left, by database */
		int64_t expires[2];
		int64_t earliest; /* of the slot */
		uint64_t expired;
		uint64_t lag_ms;
	} rows[] = {
		{"nothing is due", 1099, {3, 2}, {2, 1}, 1100, 0, 0},
		{"one is", 1100, {2, 2}, {1, 1}, 1150, 1, 0},
		{"one is, elsewhere", 1157, {2, 1}, {1, 0}, 1200, 2, 7},
		{"the last is", 1300, {1, 1}, {0, 0}, EXPIRE_NEVER, 3, 100},
		{"no more", 99999, {1, 1}, {0, 0}, EXPIRE_NEVER, 3, 100},
	};
	struct store s;

	(void)state;
	store_init(&s, 1);
	store_run(&s, "SET {t}a 1 PXAT 1100");
	store_run(&s, "SET {t}b 1 PXAT 1200");
	store_run(&s, "SET {t}c 1");
	s.db = 2;
	store_run(&s, "SET {t}a 1 PXAT 1150");
	store_run(&s, "SET {t}b 1");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct shard_stats *stats = &s.ks->shards[0]->stats;
		s.now = rows[i].now;
		if (sweep_round(&s, 0) != 0)
			fail_msg("%s: more is left", rows[i].label);
		for (int j = 0; j < 2; j++) {
			assert_int_equal(keyspace_keys(s.ks, 2 * j), rows[i].keys[j]);
			assert_int_equal(keyspace_expires(s.ks, 2 * j), rows[i].expires[j]);
		}
		if (slot_of(&s, "{t}")->expire_earliest != rows[i].earliest)
			fail_msg("%s: %ld", rows[i].label,
				 (long)slot_of(&s, "{t}")->expire_earliest);
		assert_int_equal(atomic_load(&stats->expired), rows[i].expired);
		assert_int_equal(atomic_load(&stats->sweep_lag_ms), rows[i].lag_ms);
	}
	store_deinit(&s);
}

/* Only a slot where something is removed is opened, once. */
static void test_opens_only_then(void **state)
{
	struct store s;

	(void)state;
	store_init(&s, 1);
	store_run(&s, "SET {t}a 1 PX 10");
	store_run(&s, "SET {t}b 1 PX 10");
	store_run(&s, "SET u 1 PX 10");
	store_run(&s, "PERSIST u"); /* the slot still says that something is due */
	uint32_t t = atomic_load(&slot_of(&s, "{t}")->seq);
	uint32_t u = atomic_load(&slot_of(&s, "u")->seq);
	s.now += 10;
	sweep_round(&s, 0);
	assert_int_equal(atomic_load(&slot_of(&s, "{t}")->seq), t + 2);
	assert_int_equal(atomic_load(&slot_of(&s, "u")->seq), u);
	assert_int_equal(slot_of(&s, "u")->expire_earliest, EXPIRE_NEVER);
	assert_int_equal(keyspace_keys(s.ks, 0), 1);
	store_deinit(&s);
}

/* Number i of the hash tags whose slots one slice looks at, the first. */
static uint32_t tag_in_first_slice(uint32_t i)
{
	char tag[16];

	for (uint32_t n = 0;; n++) {
		int len = snprintf(tag, sizeof(tag), "%u", n);
		if (key_slot(tag, len) < SWEEP_SLOTS && i-- == 0)
			return n;
	}
}

/* In a slot with very many keys a slice goes on where the last one stopped, round after round. */
static void test_goes_on_in_a_slot(void **state)
{
	enum { SLICES = 8, KEYS = SLICES * SWEEP_ENTRIES };
	struct store s;

	(void)state;
	store_init(&s, 1);
	struct shard *shard = s.ks->shards[0];
	for (s.db = 0; s.db < 2; s.db++)
		for (uint32_t k = 0; k < KEYS; k++)
			store_runf(&s, "SET {%u}:%u v PX 10", tag_in_first_slice(0), k);
	s.db = 0;
	store_runf(&s, "SET {%u}:stays v PX 1000", tag_in_first_slice(0));
	s.now += 10;
	uint64_t place = 0;
	uint32_t moved = 0;
	for (uint32_t slice = 1; slice < 2 * SLICES; slice++) {
		assert_true(sweep_slice(shard, s.now));
		uint64_t at = (uint64_t)shard->sweep_db << 32 | shard->sweep_prefix;
		moved += at > place;
		place = at;
	}
	assert_true(moved > SLICES);
	while (sweep_slice(shard, s.now))
		;
	assert_int_equal(shard->sweep_db | shard->sweep_prefix, 0);
	assert_int_equal(keyspace_keys(s.ks, 0), 1);
	assert_int_equal(keyspace_keys(s.ks, 1), 0);
	assert_int_equal(atomic_load(&shard->stats.expired), 2 * KEYS);
	s.now += 1000;
	while (sweep_slice(shard, s.now))
		;
	for (uint32_t i = 0; i < SLOT_COUNT / SWEEP_SLOTS; i++)
		sweep_slice(shard, s.now);
	assert_int_equal(keyspace_keys(s.ks, 0), 0);
	store_deinit(&s);
}

/*
 * A slice whose budget ends with the last table, and that has begun in a later one than the first,
 * hasn't seen all: what is in the tables before still counts.
 */
static void test_ends_with_the_last_table(void **state)
{
	struct store s;

	(void)state;
	store_init(&s, 1);
	struct slot *slot = slot_of(&s, "{t}");
	uint32_t last = s.ks->databases - 1;
	for (s.db = 0; s.db <= last; s.db += last)
		for (uint32_t k = 0; k < SWEEP_ENTRIES; k++)
			store_runf(&s, "SET {t}:%u v PX 10", k);
	s.db = 0;
	store_run(&s, "SET {t}:stays v PX 1000");
	int64_t due = s.now + 1000;
	s.now += 10;
	s.ks->shards[0]->sweep_slot = slot->index;
	for (uint32_t i = 1; i <= 2; i++) {
		sweep_slice(s.ks->shards[0], s.now);
		assert_int_equal(swept(&s, 0), i * SWEEP_ENTRIES);
		assert_true(slot_expire_earliest(slot) <= due);
	}
	sweep_round(&s, 0);
	assert_int_equal(slot_expire_earliest(slot), due);
	s.now = due;
	sweep_round(&s, 0);
	assert_int_equal(keyspace_keys(s.ks, 0), 0);
	store_deinit(&s);
}

/* A slice stays within its budget and says that more is left, be it in one slot or in many. */
static void test_budget(void **state)
{
	static const uint32_t slots[] = {1, 2, 50};
	enum { FULL = 5, KEYS = FULL * SWEEP_ENTRIES + 7 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(slots); i++) {
		struct store s;
		store_init(&s, 1);
		for (uint32_t k = 0; k < KEYS; k++)
			store_runf(&s, "SET {%u}:%u v PX 10", tag_in_first_slice(k % slots[i]), k);
		s.now += 10;
		for (uint32_t slice = 1; slice <= FULL; slice++) {
			assert_true(sweep_slice(s.ks->shards[0], s.now));
			assert_int_equal(swept(&s, 0), slice * SWEEP_ENTRIES);
		}
		assert_int_equal(keyspace_keys(s.ks, 0), KEYS - FULL * SWEEP_ENTRIES);
		assert_int_equal(sweep_round(&s, 0), 0);
		assert_int_equal(swept(&s, 0), KEYS);
		store_deinit(&s);
	}
}

/* What isn't the shard's, is held, or may not be swept now, is left alone. */
static void test_leaves_alone(void **state)
{
	struct store s;

	(void)state;
	store_init(&s, 2);
	store_run(&s, "SET k v PX 10");
	s.now += 10;
	struct slot *slot = slot_of(&s, "k");
	uint32_t owner = slot_owner(s.ks, slot);
	sweep_round(&s, 1 - owner);
	assert_int_equal(keyspace_keys(s.ks, 0), 1);
	assert_true(slot_try_hold(slot));
	for (int i = 0; i < SLOT_COUNT / SWEEP_SLOTS; i++)
		assert_false(sweep_slice(s.ks->shards[owner], s.now));
	assert_int_equal(keyspace_keys(s.ks, 0), 1);
	slot_release(slot, false);
	atomic_store(&s.ks->active_expire, false);
	sweep_round(&s, owner);
	assert_int_equal(keyspace_keys(s.ks, 0), 1);
	atomic_store(&s.ks->active_expire, true);
	sweep_round(&s, owner);
	assert_int_equal(keyspace_keys(s.ks, 0), 0);
	assert_int_equal(swept(&s, owner), 1);
	store_deinit(&s);
}

/* SWAPDB and flushing leave slots that say too early a time, never too late a one. */
static void test_after_swap_and_flush(void **state)
{
	struct store s;

	(void)state;
	store_init(&s, 1);
	store_run(&s, "SET k v PXAT 1100");
	store_run(&s, "SET l v PXAT 1100");
	store_run(&s, "SWAPDB 0 3");
	store_run(&s, "SET l v PXAT 2000");
	store_run(&s, "FLUSHDB");
	assert_int_equal(keyspace_expires(s.ks, 0), 0);
	assert_int_equal(keyspace_expires(s.ks, 3), 2);
	s.now = 1100;
	sweep_round(&s, 0);
	assert_int_equal(keyspace_keys(s.ks, 3), 0);
	assert_int_equal(slot_of(&s, "l")->expire_earliest, EXPIRE_NEVER);
	store_deinit(&s);
}

/* --- against a model --- */

#define MODEL_KEYS    400
#define MODEL_SPAN_MS 2000

struct model {
	struct store store;
	struct check_random random;
	int64_t expire[MODEL_KEYS]; /* 0: not there */
};

/* A random key goes, comes for ever, or for a while. */
static void model_step(struct model *m)
{
	uint32_t k = check_random_below(&m->random, MODEL_KEYS);
	int64_t when = m->store.now + 1 + check_random_below(&m->random, 300);
	const char *tag = k % 2 ? "{t}" : "k";

	switch (check_random_below(&m->random, 4)) {
	case 0:
		store_runf(&m->store, "DEL %s:%u", tag, k);
		m->expire[k] = 0;
		break;
	case 1:
		store_runf(&m->store, "SET %s:%u v", tag, k);
		m->expire[k] = EXPIRE_NEVER;
		break;
	default:
		store_runf(&m->store, "SET %s:%u v PXAT %ld", tag, k, (long)when);
		m->expire[k] = when;
	}
}

static void model_check(struct model *m)
{
	int64_t keys = 0;
	int64_t expires = 0;

	for (int k = 0; k < MODEL_KEYS; k++) {
		if (m->expire[k] <= m->store.now)
			m->expire[k] = 0;
		keys += m->expire[k] != 0;
		expires += m->expire[k] != 0 && m->expire[k] != EXPIRE_NEVER;
	}
	assert_int_equal(keyspace_keys(m->store.ks, 0), keys);
	assert_int_equal(keyspace_expires(m->store.ks, 0), expires);
}

/* Each is swept at its time and not before. */
static void test_random(void **state)
{
	struct model m = {.random = check_random_start()};

	(void)state;
	store_init(&m.store, 2);
	for (int64_t end = m.store.now + MODEL_SPAN_MS; m.store.now < end;) {
		for (int i = 0; i < 10; i++)
			model_step(&m);
		m.store.now += check_random_below(&m.random, 10);
		sweep_round(&m.store, 0);
		sweep_round(&m.store, 1);
		model_check(&m);
	}
	store_deinit(&m.store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_removes_what_is_due),
		cmocka_unit_test(test_opens_only_then),
		cmocka_unit_test(test_goes_on_in_a_slot),
		cmocka_unit_test(test_ends_with_the_last_table),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_leaves_alone),
		cmocka_unit_test(test_after_swap_and_flush),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
