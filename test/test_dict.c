/* Dicts: against a plain array of what should be in them, and what they are as structures. */
#include "test/store.h"

#include "proto/mem.h"
#include "shard/dict.h"

#define MODEL_KEYS  20000
#define OPERATIONS  1000000
#define CHECK_EVERY (OPERATIONS / 20)

struct model {
	struct store s;
	struct shard *shard;
	struct dict *dict;
	int64_t now;
	struct check_random random;
	struct {
		bool present;
		uint32_t version; /* the value is this number */
		int64_t expire;
		uint32_t seen;
	} keys[MODEL_KEYS];
};

static void ignore(void *arg, struct slice key)
{
	(void)arg;
	(void)key;
}

static void model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	store_init(&m->s, 1);
	m->shard = m->s.ks->shards[0];
	m->dict = dict_new();
	m->now = 1000;
}

static void model_deinit(struct model *m)
{
	uint64_t at = 0;
	size_t budget = SIZE_MAX;

	assert_true(dict_free_slice(m->dict, &at, &budget));
	store_deinit(&m->s);
}

/* Some are longer than a table compares at once. */
static struct slice key_name(uint32_t i, char out[64])
{
	int len = snprintf(out, 64, i % 7 ? "key:%u" : "a key that is much longer than others: %u",
			   i);

	return (struct slice){out, (size_t)len};
}

static void model_put(struct model *m, uint32_t i)
{
	char name[64], value[16];
	struct slice key = key_name(i, name);
	uint32_t version = (uint32_t)check_random_below(&m->random, 1000000);
	int64_t expire = check_random_below(&m->random, 4)
				 ? EXPIRE_NEVER
				 : m->now + 1 + (int64_t)check_random_below(&m->random, 1000);
	int len = snprintf(value, sizeof(value), "%u", version);
	struct entry *e = dict_element_new(key, (struct slice){value, (size_t)len}, expire);

	assert_int_equal(dict_put(m->dict, m->shard, dict_hash(m->shard, key), e),
			 !m->keys[i].present);
	m->keys[i].present = true;
	m->keys[i].version = version;
	m->keys[i].expire = expire;
}

static void model_remove(struct model *m, uint32_t i)
{
	char name[64];
	struct slice key = key_name(i, name);

	assert_int_equal(dict_remove(m->dict, m->shard, dict_hash(m->shard, key), key),
			 m->keys[i].present);
	m->keys[i].present = false;
}

static void model_find(struct model *m, uint32_t i)
{
	char name[64], value[16];
	struct slice key = key_name(i, name);
	struct entry *e = dict_find(m->dict, dict_hash(m->shard, key), key);

	assert_int_equal(e != NULL, m->keys[i].present);
	if (!e)
		return;
	snprintf(value, sizeof(value), "%u", m->keys[i].version);
	assert_true(slice_equal(entry_value(e), slice_of(value)));
	assert_int_equal(entry_expire(e), m->keys[i].expire);
}

static size_t model_count(const struct model *m, int64_t now)
{
	size_t count = 0;

	for (uint32_t i = 0; i < MODEL_KEYS; i++)
		count += m->keys[i].present && m->keys[i].expire > now;
	return count;
}

/* Time goes on; a sweep takes what has expired, or a part of it. */
static void model_sweep(struct model *m, size_t max)
{
	size_t before = dict_count(m->dict), expired, removed = 0;

	m->now += (int64_t)check_random_below(&m->random, 300);
	expired = before - model_count(m, m->now);
	assert_int_equal(dict_count_live(m->dict, m->shard, m->now), before - expired);
	do /* it may go on in the middle, and has to begin again then */
		removed += dict_sweep(m->dict, m->shard, m->now, max - removed, ignore, NULL);
	while (removed < max && dict_expire_earliest(m->dict) <= m->now);
	assert_int_equal(removed, expired < max ? expired : max);
	if (expired < max)
		assert_true(dict_expire_earliest(m->dict) > m->now);
	for (uint32_t i = 0; i < MODEL_KEYS; i++) {
		char name[64];
		struct slice key = key_name(i, name);
		if (m->keys[i].present && m->keys[i].expire <= m->now)
			m->keys[i].present = dict_find(m->dict, dict_hash(m->shard, key), key);
	}
}

/* The number at the end of the key. */
static void see(void *arg, struct entry *e)
{
	struct model *m = arg;
	struct slice key = entry_key(e);
	uint32_t number = 0;

	for (size_t i = 0; i < key.len; i++) {
		char c = key.ptr[i];
		number = c >= '0' && c <= '9' ? 10 * number + (uint32_t)(c - '0') : 0;
	}
	m->keys[number].seen++;
}

/* The same, three times. */
static bool see_three(void *arg, struct entry *e)
{
	see(arg, e);
	return ((struct model *)arg)->keys[1].seen < 3;
}

static bool see_drawn(void *arg, struct entry *e)
{
	see(arg, e);
	return true;
}

/* Everything is as it should be, and a walk shows each element once. */
static void model_check(struct model *m)
{
	uint64_t cursor = 0;

	assert_int_equal(dict_count(m->dict), model_count(m, INT64_MIN));
	for (uint32_t i = 0; i < MODEL_KEYS; i++) {
		model_find(m, i);
		m->keys[i].seen = 0;
	}
	dict_walk(m->dict, see, m);
	for (uint32_t i = 0; i < MODEL_KEYS; i++)
		assert_int_equal(m->keys[i].seen, m->keys[i].present);
	do
		cursor = dict_scan(m->dict, cursor, 10, see, m);
	while (cursor);
	for (uint32_t i = 0; i < MODEL_KEYS; i++)
		assert_int_equal(m->keys[i].seen, 2 * m->keys[i].present);
}

/* Grows and shrinks in turn, so that blocks split and merge. */
static void test_random_operations(void **state)
{
	static struct model m;

	(void)state;
	model_init(&m);
	m.random = check_random_start();
	for (uint32_t i = 0; i < OPERATIONS; i++) {
		uint32_t key = (uint32_t)check_random_below(&m.random, MODEL_KEYS);
		uint64_t what = check_random_below(&m.random, 100);
		uint64_t puts = i / (OPERATIONS / 8) % 2 ? 10 : 60;
		if (what < puts)
			model_put(&m, key);
		else if (what < 70)
			model_remove(&m, key);
		else
			model_find(&m, key);
		if (i % 5000 == 0)
			model_sweep(&m, i % 3 ? SIZE_MAX : 20);
		if (i % 100 == 0)
			store_collect(&m.s);
		if (i % CHECK_EVERY == 0)
			model_check(&m);
	}
	model_check(&m);
	model_deinit(&m);
}

/* What is there all the time is seen, however the dict grows and shrinks meanwhile. */
static void test_scan_while_it_changes(void **state)
{
	static struct model m;
	uint64_t cursor = 0;
	uint32_t next = 1000;

	(void)state;
	model_init(&m);
	m.random = check_random_start();
	for (uint32_t i = 0; i < 1000; i++)
		model_put(&m, i);
	do {
		cursor = dict_scan(m.dict, cursor, 5, see, &m);
		for (int i = 0; i < 40 && next < 2 * MODEL_KEYS; i++, next++) {
			if (next < MODEL_KEYS)
				model_put(&m, next);
			else if (next - MODEL_KEYS >= 1000)
				model_remove(&m, next - MODEL_KEYS);
		}
	} while (cursor);
	for (uint32_t i = 0; i < 1000; i++)
		assert_true(m.keys[i].seen > 0);
	model_deinit(&m);
}

static void fill(struct model *m, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		char name[64];
		struct slice key = key_name(i, name);
		dict_put(m->dict, m->shard, dict_hash(m->shard, key),
			 dict_element_new(key, SLICE("value"), i % 2 ? EXPIRE_NEVER : 2000));
	}
}

/* So many, no two the same, none that has expired; over many samples each about as often. */
static void test_samples(void **state)
{
	static const uint32_t sizes[] = {1, 3, 10, 100, 5000};
	static struct model m;

	(void)state;
	for (size_t s = 0; s < COUNT_OF(sizes); s++) {
		uint32_t size = sizes[s];
		model_init(&m);
		fill(&m, size);
		for (int64_t now = 1999; now <= 2000; now++) {
			size_t live = now < 2000 ? size : size / 2;
			assert_int_equal(dict_count_live(m.dict, m.shard, now), live);
			for (size_t wanted = 0; wanted <= 2 * live; wanted += 1 + live / 5) {
				for (uint32_t i = 0; i < size; i++)
					m.keys[i].seen = 0;
				dict_sample(m.dict, m.shard, wanted, now, see, &m);
				size_t seen = 0;
				for (uint32_t i = 0; i < size; i++) {
					assert_in_range(m.keys[i].seen, 0, now == 2000 ? i % 2 : 1);
					seen += m.keys[i].seen;
				}
				assert_int_equal(seen, wanted < live ? wanted : live);
			}
			struct entry *e = dict_random(m.dict, m.shard, now);
			assert_int_equal(e != NULL, live > 0);
			assert_true(!e || !entry_expired(e, now));
		}
		model_deinit(&m);
	}
}

/* Draws repeat elements; where most have expired they hold the others. Whether any has not. */
static void test_draws(void **state)
{
	static struct model m;
	char name[64];
	struct slice key = key_name(1, name);

	(void)state;
	model_init(&m);
	assert_false(dict_has_live(m.dict, 0));
	dict_draw(m.dict, m.shard, 10, 0, see_drawn, &m);
	for (uint32_t i = 0; i < 2000; i += 2) {
		struct slice other = key_name(i, name);
		dict_put(m.dict, m.shard, dict_hash(m.shard, other),
			 dict_element_new(other, SLICE(""), 2000));
	}
	assert_true(dict_has_live(m.dict, 1999));
	assert_true(dict_has_live(m.dict, 2000)); /* too many to tell */
	assert_null(dict_random(m.dict, m.shard, 2000));
	key = key_name(1, name);
	dict_put(m.dict, m.shard, dict_hash(m.shard, key),
		 dict_element_new(key, SLICE(""), EXPIRE_NEVER));
	dict_draw(m.dict, m.shard, 50, 2000, see_three, &m);
	assert_int_equal(m.keys[1].seen, 3);
	m.keys[1].seen = 0;
	dict_draw(m.dict, m.shard, 50, 2000, see_drawn, &m);
	assert_int_equal(m.keys[1].seen, 50);
	while (dict_expire_earliest(m.dict) <= 2000)
		dict_sweep(m.dict, m.shard, 2000, 100, ignore, NULL);
	assert_true(dict_has_live(m.dict, 2000));
	assert_true(dict_remove(m.dict, m.shard, dict_hash(m.shard, key), key));
	assert_false(dict_has_live(m.dict, 2000));
	model_deinit(&m);
}

static void test_samples_are_even(void **state)
{
	enum { SIZE = 200, SAMPLES = 4000 };
	static const size_t wanted[] = {1, 10, 150};
	static struct model m;

	(void)state;
	model_init(&m);
	fill(&m, SIZE);
	for (size_t w = 0; w < COUNT_OF(wanted); w++) {
		uint32_t samples = SAMPLES * 10 / (wanted[w] < 10 ? 1 : 10);
		double expected = (double)samples * wanted[w] / SIZE;
		for (uint32_t i = 0; i < SIZE; i++)
			m.keys[i].seen = 0;
		for (uint32_t i = 0; i < samples; i++)
			dict_sample(m.dict, m.shard, wanted[w], 0, see, &m);
		for (uint32_t i = 0; i < SIZE; i++)
			assert_in_range(m.keys[i].seen, (uint32_t)(expected * .6),
					(uint32_t)(expected * 1.4));
	}
	model_deinit(&m);
}

static void test_copies(void **state)
{
	static struct model m;
	struct dict *original;

	(void)state;
	model_init(&m);
	m.random = check_random_start();
	for (uint32_t i = 0; i < 5000; i++)
		model_put(&m, i * 3);
	original = m.dict;
	m.dict = dict_copy(original, m.shard);
	assert_int_equal(dict_expire_earliest(m.dict), dict_expire_earliest(original));
	model_check(&m);
	for (uint32_t i = 0; i < 5000; i++)
		model_remove(&m, i * 3);
	assert_int_equal(dict_count(original), 5000);
	model_deinit(&m);
	m.dict = original;
	uint64_t at = 0;
	size_t budget = SIZE_MAX;
	assert_true(dict_free_slice(original, &at, &budget));
}

/* Bytes of a dict by the allocator's classes; exact for few of one size, near for many. */
static void test_memory(void **state)
{
	static const uint32_t sizes[] = {0, 1, 20, 2000, 30000};
	static struct model m;

	(void)state;
	for (size_t s = 0; s < COUNT_OF(sizes); s++) {
		char name[64];
		model_init(&m);
		size_t bytes = mem_class(sizeof(*m.dict));
		for (uint32_t i = 0; i < sizes[s]; i++) {
			struct slice key = {name, (size_t)snprintf(name, sizeof(name), "%08u", i)};
			struct entry *e = dict_element_new(key, SLICE("value"), EXPIRE_NEVER);
			bytes += entry_memory(e);
			dict_put(m.dict, m.shard, dict_hash(m.shard, key), e);
		}
		bytes += table_memory(&m.dict->table);
		assert_in_range(dict_memory(m.dict), bytes - bytes / 20, bytes + bytes / 20);
		model_deinit(&m);
	}
}

/* No slice frees much more than it may, and all of them free everything. */
static void test_frees_in_slices(void **state)
{
	static const size_t budgets[] = {1, 10, 1000, 100000};
	static struct model m;

	(void)state;
	for (size_t b = 0; b < COUNT_OF(budgets); b++) {
		uint64_t at = 0;
		size_t slices = 0, budget;
		bool gone;
		model_init(&m);
		fill(&m, 10000);
		do {
			budget = budgets[b];
			gone = dict_free_slice(m.dict, &at, &budget);
			slices++;
			assert_true(gone || budget < budgets[b]);
		} while (!gone);
		assert_true(slices >= 10000 / (budgets[b] + TABLE_BUCKET_WORDS));
		store_deinit(&m.s);
	}
}

/*
 * The same of dicts that hang off entries, of which one is in a table that is retired as a whole.
 */
static void test_retired_in_slices(void **state)
{
	static struct model m;
	struct table table = {0};
	struct entry_spec spec = {
		.key = SLICE("alone"),
		.expire = EXPIRE_NEVER,
		.type = ENTRY_HASH,
		.encoding = ENCODING_HASHTABLE,
	};

	(void)state;
	model_init(&m);
	struct retire *r = &m.shard->retire;
	const struct hash_seed *seed = &m.s.ks->seed;
	for (int i = 0; i < 3; i++) {
		char name[2] = {(char)('a' + i), '\0'};
		fill(&m, 5000);
		struct entry *e = entry_new_dict(&spec, m.dict);
		m.dict = dict_new();
		if (i == 0) {
			retire_entry(r, e);
			continue;
		}
		struct entry *named = entry_with_key(e, slice_of(name), EXPIRE_NEVER);
		entry_free_shallow(e);
		table_put(&table, seed, hash_bytes(seed, name, 1), named, r);
	}
	retire_table(r, table_take(&table));
	assert_true(retire_stamp(r, &m.s.ks->grace));
	atomic_store(&m.s.ks->grace.completed, 1);
	size_t slices = 1;
	while (retire_collect(r, &m.s.ks->grace, 100))
		slices++;
	assert_in_range(slices, 15000 / (100 + TABLE_BUCKET_WORDS), 300);
	assert_int_equal(r->large_count, 0);
	model_deinit(&m);
}

/*
 * A sweep looks at a part of a large dict, goes on where it was, and knows after a round what
 * expires next, whatever was put behind it meanwhile.
 */
static void test_sweep_in_parts(void **state)
{
	static struct model m;
	enum { COUNT = 100000 };
	uint32_t calls = 0;

	(void)state;
	model_init(&m);
	for (uint32_t i = 0; i < COUNT; i++) {
		char name[64];
		struct slice key = key_name(i, name);
		int64_t expire = i % 1000 == 0 ? 2000 : 4000;
		dict_put(m.dict, m.shard, dict_hash(m.shard, key),
			 dict_element_new(key, SLICE(""), expire));
	}
	for (; dict_expire_earliest(m.dict) <= 2000; calls++) {
		char name[64];
		struct slice key = key_name(COUNT + calls, name);
		size_t before = dict_count(m.dict);
		size_t removed = dict_sweep(m.dict, m.shard, 2000, SIZE_MAX, ignore, NULL);
		assert_int_equal(before - removed, dict_count(m.dict));
		dict_put(m.dict, m.shard, dict_hash(m.shard, key),
			 dict_element_new(key, SLICE(""), 3000));
	}
	assert_in_range(calls, 3, 100); /* a hundred thousand are a few hundred blocks */
	assert_int_equal(dict_expire_earliest(m.dict), 3000);
	assert_int_equal(dict_count(m.dict), COUNT - COUNT / 1000 + calls);
	model_deinit(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations),
		cmocka_unit_test(test_scan_while_it_changes),
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_samples_are_even),
		cmocka_unit_test(test_draws),
		cmocka_unit_test(test_sweep_in_parts),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_frees_in_slices),
		cmocka_unit_test(test_retired_in_slices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
