/* Watched keys: what counts as a change, and what stays behind (nothing). */
#include "test/store.h"

#include "shard/hold.h"
#include "shard/watch.h"

#include <stdlib.h>

static struct key key_of(struct store *s, const char *name)
{
	struct key key;
	key_prepare(&key, s->ks, slice_of(name));
	return key;
}

static void watch(struct store *s, struct watch_set *set, const char *name)
{
	struct key key = key_of(s, name);
	assert_true(slot_try_hold(key.slot));
	watch_set_add(set, key.slot, s->db, key.hash, key.name, s->now);
	slot_release(key.slot, false);
}

/* What EXEC would say, and ends the set. */
static bool has_changed(struct store *s, struct watch_set *set)
{
	bool changed = watch_set_dirty(set) || watch_set_expired(set, s->now);
	while (!watch_set_clear(set))
		;
	watch_set_free(set);
	return changed;
}

static void check_nobody_watches(const struct store *s)
{
	for (uint32_t i = 0; i < SLOT_COUNT; i++)
		assert_null(slot_watchers(&s->ks->slots[i]));
	store_check_closed(s);
}

/*
 * Requests before and after WATCH k, separated by ';'. "@ms" moves the clock, "=db" selects a
 * database for what follows, WATCH included.
 */
static const struct {
	const char *label;
	const char *before, *after;
	bool changed;
} changes[] = {
	{"nothing happens", "SET k 1", "", false},
	{"read", "SET k 1", "GET k", false},
	{"set", "SET k 1", "SET k 1", true},
	{"made", "", "SET k 1", true},
	{"deleted", "SET k 1", "DEL k", true},
	{"made and deleted", "", "SET k 1;DEL k", true},
	{"deleted, there was none", "", "DEL k", false},
	{"another key of the slot", "SET k 1", "SET {k}2 1;DEL {k}2", false},
	{"the name in another database", "SET k 1", "=1;SET k 1", false},
	{"its expiry set", "SET k 1", "EXPIRE k 100", true},
	{"its expiry removed", "SET k 1 EX 100", "PERSIST k", true},
	{"expired", "SET k 1 PX 10", "@2000", true},
	{"expired and removed", "SET k 1 PX 10", "@2000;DEL k", true},
	{"not expired", "SET k 1 PX 10", "@1009", false},
	{"had expired", "SET k 1 PX 10;@2000", "", false},
	{"had expired, is removed", "SET k 1 PX 10;@2000", "DEL k", false},
	{"had expired, is removed and made", "SET k 1 PX 10;@2000", "DEL k;SET k 1", true},
	{"had expired, is set", "SET k 1 PX 10;@2000", "SET k 1", true},
	{"had expired, is set, expires", "SET k 1 PX 10;@2000", "SET k 1 PX 10;@3000", true},
	{"flushed", "SET k 1", "FLUSHDB", true},
	{"flushed, there was none", "SET {k}2 1", "FLUSHALL", false},
	{"flushed, had expired", "SET k 1 PX 10;@2000", "FLUSHALL", false},
	{"flushed, had expired, is made", "SET k 1 PX 10;@2000", "FLUSHALL;SET k 1", true},
	{"flushed, has expired", "SET k 1 PX 10", "@2000;FLUSHALL", true},
	{"another database flushed", "SET k 1;=1;SET k 1;=0", "=1;FLUSHDB", false},
	{"swapped away", "SET k 1", "SWAPDB 0 1", true},
	{"swapped in", "=1;SET k 1;=0", "SWAPDB 0 1", true},
	{"swapped for another", "SET k 1;=1;SET k 1;=0", "SWAPDB 1 0", true},
	{"swapped, in neither", "SET {k}2 1;=1;SET {k}3 1;=0", "SWAPDB 0 1", false},
	{"swapped twice", "SET k 1", "SWAPDB 0 1;SWAPDB 0 1", true},
	{"others swapped", "SET k 1;=1;SET k 1;=0", "SWAPDB 1 2", false},
	{"an expired one swapped in", "=1;SET k 1 PX 10;=0;SET j 1;@2000", "SWAPDB 0 1", false},
	{"... and removed", "=1;SET k 1 PX 10;=0;SET j 1;@2000", "SWAPDB 0 1;DEL k", false},
	{"... and swapped out", "=1;SET k 1 PX 10;=0;SET j 1;@2000", "SWAPDB 0 1;SWAPDB 0 1",
	 false},
	{"... and set", "=1;SET k 1 PX 10;=0;SET j 1;@2000", "SWAPDB 0 1;SET k 1", true},
	{"an expired one for an expired one", "SET k 1 PX 10;=1;SET k 1 PX 10;=0;@2000",
	 "SWAPDB 0 1", false},
	{"one for an expired one", "SET k 1 PX 10;=1;SET k 1;=0;@2000", "SWAPDB 0 1", true},
	{"renamed away", "SET k 1", "RENAME k j", true},
	{"renamed to", "SET j 1", "RENAME j k", true},
	{"renamed to itself", "SET k 1", "RENAME k k", false},
	{"copied from", "SET k 1", "COPY k j", false},
	{"moved away", "SET k 1", "MOVE k 1", true},
	{"moved here", "=1;SET k 1;=0", "=1;MOVE k 0", true},
};

static void play(struct store *s, const char *requests)
{
	char *copy = strdup(requests), *rest = copy, *one;
	while ((one = strsep(&rest, ";"))) {
		if (*one == '@')
			s->now = strtoll(one + 1, NULL, 10);
		else if (*one == '=')
			s->db = (uint32_t)strtoul(one + 1, NULL, 10);
		else if (*one)
			store_run(s, one);
	}
	free(copy);
}

static void tells_changes(void **state)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct store s;
		store_init(&s, 2);
		play(&s, changes[i].before);
		struct watch_set *set = watch_set_new();
		watch(&s, set, "k");
		play(&s, changes[i].after);
		if (has_changed(&s, set) != changes[i].changed)
			fail_msg("%s: %s", changes[i].label,
				 changes[i].changed ? "not told" : "told for nothing");
		check_nobody_watches(&s);
		store_deinit(&s);
	}
}

/* Each of many sets hears of its own keys, and of no others. */
static void many_sets(void **state)
{
	enum { SETS = 100, KEYS = 40 };
	struct watch_set *sets[SETS];
	char name[32];
	struct store s;
	store_init(&s, 2);
	for (int i = 0; i < SETS; i++) {
		sets[i] = watch_set_new();
		for (int k = 0; k < KEYS; k++) {
			snprintf(name, sizeof(name), k % 2 ? "{t}%d" : "%d", (i + k) % SETS);
			watch(&s, sets[i], name);
			watch(&s, sets[i], name);
		}
		assert_int_equal(sets[i]->count, KEYS);
	}
	store_run(&s, "SET {t}50 1");
	store_run(&s, "SET 77 1");
	for (int i = 0; i < SETS; i++) {
		bool expected = false;
		for (int k = 0; k < KEYS; k++)
			expected |= (i + k) % SETS == (k % 2 ? 50 : 77);
		assert_int_equal(watch_set_dirty(sets[i]), expected);
	}
	for (int i = 0; i < SETS; i++)
		has_changed(&s, sets[i]);
	check_nobody_watches(&s);
	store_deinit(&s);
}

/* What is watched in a slot that somebody holds stays until that is free. */
static void clearing_waits_for_held_slots(void **state)
{
	struct store s;
	store_init(&s, 1);
	struct watch_set *set = watch_set_new();
	struct key key = key_of(&s, "k");
	watch(&s, set, "k");
	watch(&s, set, "other");
	assert_true(slot_try_hold(key.slot));
	assert_false(watch_set_clear(set));
	assert_int_equal(set->count, 1);
	assert_non_null(slot_watchers(key.slot));
	slot_release(key.slot, false);
	assert_true(watch_set_clear(set));
	watch_set_free(set);
	check_nobody_watches(&s);
	store_deinit(&s);
}

/* Clearing a large set takes several steps. */
static void clears_in_steps(void **state)
{
	struct store s;
	store_init(&s, 1);
	struct watch_set *set = watch_set_new();
	char name[32];
	for (int i = 0; i < 5 * WATCH_CLEAR_STEP; i++) {
		snprintf(name, sizeof(name), "%d", i);
		watch(&s, set, name);
	}
	int steps = 1;
	while (!watch_set_clear(set))
		steps++;
	assert_true(steps >= 5);
	assert_int_equal(set->bytes, sizeof(*set) + set->size * sizeof(struct watch *));
	watch_set_free(set);
	check_nobody_watches(&s);
	store_deinit(&s);
}

static void slots_of_a_set(void **state)
{
	struct store s;
	struct slot *slots[3];
	store_init(&s, 1);
	struct watch_set *set = watch_set_new();
	watch(&s, set, "{a}1");
	watch(&s, set, "{a}2");
	watch(&s, set, "b");
	watch_set_slots(set, slots);
	assert_int_equal(slots_unique(slots, 3), 2);
	assert_true(slots[0] < slots[1]);
	assert_true(slots_try_hold(s.ks->shards[0], slots, 2));
	watch_set_clear_held(set);
	slots_release(s.ks->shards[0], slots, 2, false, 0);
	watch_set_free(set);
	watch_set_free(NULL);
	check_nobody_watches(&s);
	store_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_changes),
		cmocka_unit_test(many_sets),
		cmocka_unit_test(clearing_waits_for_held_slots),
		cmocka_unit_test(clears_in_steps),
		cmocka_unit_test(slots_of_a_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
