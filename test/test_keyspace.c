/*
 * The keyspace: slots and their tables, and what commands on whole keys and databases do to it
 * while time passes.
 */
#include "test/store.h"

#include "shard/string.h"
#include "shard/sweep.h"

/* --- slots --- */

static void test_owners(void **state)
{
	static const uint32_t counts[] = {1, 2, 3, 5, 16, 100, SHARDS_MAX};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		struct keyspace *ks = keyspace_new(counts[i], 1, &(struct hash_seed){1, 2});
		uint32_t owned[SHARDS_MAX] = {0};
		uint16_t last = 0;
		for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
			uint16_t owner = slot_owner(ks, &ks->slots[slot]);
			assert_int_equal(ks->slots[slot].index, slot);
			assert_in_range(owner, last, last + 1);
			owned[owner]++;
			last = owner;
		}
		assert_int_equal(last, counts[i] - 1);
		for (uint32_t shard = 0; shard < counts[i]; shard++) {
			assert_in_range(owned[shard], SLOT_COUNT / counts[i],
					SLOT_COUNT / counts[i] + 1);
			assert_int_equal(ks->shards[shard]->id, shard);
		}
		keyspace_free(ks);
	}
}

static void test_tables(void **state)
{
	struct keyspace *ks = keyspace_new(1, 3, &(struct hash_seed){1, 2});
	struct slot *slot = &ks->slots[7];

	(void)state;
	assert_ptr_equal(slot_table(slot, 0), &slot->table);
	assert_null(slot_table(slot, 1));
	assert_ptr_equal(slot_table_make(ks, slot, 0), &slot->table);
	assert_null(slot_table(slot, 2));
	struct table *second = slot_table_make(ks, slot, 2);
	assert_ptr_equal(slot_table(slot, 2), second);
	assert_ptr_equal(slot_table_make(ks, slot, 2), second);
	assert_ptr_equal(slot_table(slot, 1), second - 1);
	assert_int_equal(table_count(second), 0);
	assert_null(slot_table(slot + 1, 1));
	keyspace_free(ks);
}

static void test_seq(void **state)
{
	struct slot slot = {0};

	(void)state;
	uint32_t before = slot_seq_begin(&slot);
	assert_true(slot_seq_same(&slot, before));
	assert_true(slot_try_hold(&slot));
	assert_int_equal(slot_seq_begin(&slot) & 1, 1);
	assert_false(slot_seq_same(&slot, before));
	assert_false(slot_try_hold(&slot));
	slot_release(&slot, false);
	assert_true(slot_seq_same(&slot, before));
	assert_true(slot_try_hold(&slot));
	slot_release(&slot, true);
	assert_int_equal(slot_seq_begin(&slot) & 1, 0);
	assert_false(slot_seq_same(&slot, before));
}

/* Parts may be negative; the sum counts, and for a reader who catches it half done it is not. */
static void test_sums(void **state)
{
	static const struct {
		const char *label;
		int64_t parts[3];
		int64_t sum;
	} rows[] = {
		{"nothing", {0, 0, 0}, 0},
		{"one negative", {5, -3, 0}, 2},
		{"two negative", {-1, 10, -9}, 0},
		{"caught half done", {-1, 0, 0}, 0},
	};
	struct keyspace *ks = keyspace_new(3, 2, &(struct hash_seed){1, 2});

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		for (uint32_t shard = 0; shard < 3; shard++) {
			struct database_count *count = &ks->shards[shard]->counts[1];
			atomic_store(&count->keys, rows[i].parts[shard]);
			atomic_store(&count->expires, rows[i].parts[shard]);
		}
		if (keyspace_keys(ks, 1) != rows[i].sum || keyspace_expires(ks, 1) != rows[i].sum)
			fail_msg("%s: %ld", rows[i].label, (long)keyspace_keys(ks, 1));
		assert_int_equal(keyspace_keys(ks, 0), 0);
	}
	keyspace_free(ks);
}

/* --- commands while time passes --- */

/* A line with a label begins anew, at time 1000 in database 0. */
static const struct {
	const char *label;
	int64_t now;
	const char *request;
	const char *reply;
} script[] = {
	{"an expired key is not there", 1000, "SET a 1 PX 100", "+OK\r\n"},
	{NULL, 1099, "EXISTS a", ":1\r\n"},
	{NULL, 1099, "PTTL a", ":1\r\n"},
	{NULL, 1100, "PTTL a", ":-2\r\n"},
	{NULL, 1100, "EXISTS a", ":0\r\n"},
	{"... nor deleted", 1000, "SET a 1 PX 100", "+OK\r\n"},
	{NULL, 1100, "DEL a", ":0\r\n"},
	{"... but counted until somebody looks", 1000, "SET a 1 PX 100", "+OK\r\n"},
	{NULL, 1100, "DBSIZE", ":1\r\n"},
	{NULL, 1100, "TYPE a", "+none\r\n"},
	{NULL, 1100, "DBSIZE", ":0\r\n"},
	{"TTL is rounded", 1000, "SET a 1 PX 2499", "+OK\r\n"},
	{NULL, 1000, "TTL a", ":2\r\n"},
	{NULL, 1000, "EXPIRETIME a", ":3\r\n"},
	{NULL, 1000, "PEXPIRETIME a", ":3499\r\n"},
	{NULL, 1999, "TTL a", ":2\r\n"},
	{NULL, 2000, "TTL a", ":1\r\n"},
	{NULL, 3000, "TTL a", ":0\r\n"},
	{"at the very moment it is over", 1000, "SET a 1", "+OK\r\n"},
	{NULL, 1000, "PEXPIREAT a 1001", ":1\r\n"},
	{NULL, 1000, "PEXPIREAT a 1000", ":1\r\n"},
	{NULL, 1000, "DBSIZE", ":0\r\n"},
	{"PERSIST comes in time or not", 1000, "SET a 1 PX 100", "+OK\r\n"},
	{NULL, 1099, "PERSIST a", ":1\r\n"},
	{NULL, 1099, "PERSIST a", ":0\r\n"},
	{NULL, 5000, "EXPIRE a 1", ":1\r\n"},
	{NULL, 6000, "PERSIST a", ":0\r\n"},
	{"EXPIRE of an expired key", 1000, "SET a 1 PX 100", "+OK\r\n"},
	{NULL, 1100, "EXPIRE a 100", ":0\r\n"},
	{"GT and LT", 1000, "SET a 1 PX 100", "+OK\r\n"},
	{NULL, 1000, "PEXPIREAT a 1100 GT", ":0\r\n"},
	{NULL, 1000, "PEXPIREAT a 1100 LT", ":0\r\n"},
	{NULL, 1000, "PEXPIREAT a 1101 GT", ":1\r\n"},
	{NULL, 1000, "PEXPIREAT a 1100 LT", ":1\r\n"},
	{NULL, 1000, "PERSIST a", ":1\r\n"},
	{NULL, 1000, "PEXPIREAT a 9999 GT", ":0\r\n"},
	{NULL, 1000, "PEXPIREAT a 9999 XX LT", ":0\r\n"},
	{NULL, 1000, "PEXPIREAT a 9999 LT", ":1\r\n"},
	{"the end of time", 1000, "SET a 1", "+OK\r\n"},
	{NULL, 1000, "PEXPIREAT a 9223372036854775807", ":1\r\n"},
	{NULL, 1000, "PEXPIRETIME a", ":9223372036854775807\r\n"},
	{NULL, 1000, "EXPIRETIME a", ":9223372036854776\r\n"},
	{NULL, 1000, "PERSIST a", ":1\r\n"},
	{NULL, 1000, "PEXPIRE a 9223372036854774807", ":1\r\n"},
	{NULL, 1000, "PEXPIRE a 9223372036854774808",
	 "-ERR invalid expire time in 'pexpire' command\r\n"},
	{"RENAME from an expired key", 1000, "SET a 1 PX 100", "+OK\r\n"},
	{NULL, 1000, "SET b 2", "+OK\r\n"},
	{NULL, 1100, "RENAME a b", "-ERR no such key\r\n"},
	{NULL, 1100, "GET b", "$1\r\n2\r\n"},
	{"RENAME to an expired key", 1000, "SET a 1 PX 100", "+OK\r\n"},
	{NULL, 1000, "SET b 2 PX 500", "+OK\r\n"},
	{NULL, 1100, "RENAMENX b a", ":1\r\n"},
	{NULL, 1100, "PTTL a", ":400\r\n"},
	{NULL, 1100, "DBSIZE", ":1\r\n"},
	{"RENAME over a key takes its own expiry along", 1000, "SET a 1 PX 100", "+OK\r\n"},
	{NULL, 1000, "SET b 2", "+OK\r\n"},
	{NULL, 1000, "RENAME b a", "+OK\r\n"},
	{NULL, 9999, "GET a", "$1\r\n2\r\n"},
	{"RENAME to itself", 1000, "SET a 1 PX 100", "+OK\r\n"},
	{NULL, 1000, "RENAME a a", "+OK\r\n"},
	{NULL, 1000, "RENAMENX a a", ":0\r\n"},
	{NULL, 1000, "PTTL a", ":100\r\n"},
	{NULL, 1100, "RENAME a a", "-ERR no such key\r\n"},
	{"COPY over an expired key", 1000, "SET a 1 PX 100", "+OK\r\n"},
	{NULL, 1000, "SET b 2", "+OK\r\n"},
	{NULL, 1099, "COPY b a", ":0\r\n"},
	{NULL, 1100, "COPY b a", ":1\r\n"},
	{NULL, 9999, "GET a", "$1\r\n2\r\n"},
	{"COPY of an expired key replaces nothing", 1000, "SET a 1 PX 100", "+OK\r\n"},
	{NULL, 1000, "SET b 2", "+OK\r\n"},
	{NULL, 1100, "COPY a b REPLACE", ":0\r\n"},
	{NULL, 1100, "GET b", "$1\r\n2\r\n"},
	{"MOVE where an expired key stands", 1000, "SET a 1 PX 100", "+OK\r\n"},
	{NULL, 1000, "COPY a a DB 1", ":1\r\n"},
	{NULL, 1000, "PERSIST a", ":1\r\n"},
	{NULL, 1099, "MOVE a 1", ":0\r\n"},
	{NULL, 1100, "MOVE a 1", ":1\r\n"},
	{NULL, 1100, "DBSIZE", ":0\r\n"},
	{"MOVE of an expired key", 1000, "SET a 1 PX 100", "+OK\r\n"},
	{NULL, 1100, "MOVE a 1", ":0\r\n"},
	{"access is noted, asking isn't", 5000, "SET a 1", "+OK\r\n"},
	{NULL, 9000, "TTL a", ":-1\r\n"},
	{NULL, 9000, "EXISTS a", ":1\r\n"},
	{NULL, 9000, "TYPE a", "+string\r\n"},
	{NULL, 9000, "OBJECT IDLETIME a", ":4\r\n"},
	{NULL, 9000, "TOUCH a", ":1\r\n"},
	{NULL, 9000, "OBJECT IDLETIME a", ":0\r\n"},
	{"a copy was used just now", 5000, "SET a 1", "+OK\r\n"},
	{NULL, 9000, "COPY a b", ":1\r\n"},
	{NULL, 9000, "OBJECT IDLETIME b", ":0\r\n"},
};

static void test_script(void **state)
{
	struct store s;

	(void)state;
	store_init(&s, 2);
	for (size_t i = 0; i < COUNT_OF(script); i++) {
		if (script[i].label != NULL) {
			store_deinit(&s);
			store_init(&s, 2);
		}
		s.now = script[i].now;
		const char *reply = store_run(&s, script[i].request);
		if (strcmp(reply, script[i].reply) != 0)
			fail_msg("line %zu, %s: %s", i, script[i].request, reply);
		store_check_closed(&s);
	}
	store_deinit(&s);
}

/* A copy begins anew where accesses are counted; what is renamed keeps its count. */
static void test_frequency(void **state)
{
	struct store s;

	(void)state;
	store_init(&s, 1);
	atomic_store(&s.ks->access_policy, ACCESS_LFU);
	atomic_store(&s.ks->lfu_log_factor, 0);
	store_run(&s, "SET a 1");
	assert_string_equal(store_run(&s, "OBJECT FREQ a"), ":5\r\n");
	for (int i = 0; i < 10; i++)
		store_run(&s, "TOUCH a");
	assert_string_equal(store_run(&s, "OBJECT FREQ a"), ":15\r\n");
	store_run(&s, "COPY a b");
	assert_string_equal(store_run(&s, "OBJECT FREQ b"), ":5\r\n");
	store_run(&s, "RENAME a b");
	assert_string_equal(store_run(&s, "OBJECT FREQ b"), ":17\r\n");
	assert_memory_equal(store_run(&s, "OBJECT IDLETIME b"), "-ERR An LFU", 11);
	assert_string_equal(store_run(&s, "OBJECT IDLETIME a"), "$-1\r\n");
	atomic_store(&s.ks->access_policy, ACCESS_LRU);
	assert_memory_equal(store_run(&s, "OBJECT FREQ b"), "-ERR An LFU", 11);
	store_deinit(&s);
}

/* What each command says of the changes that it made. */
static void test_dirty(void **state)
{
	static const struct {
		const char *request;
		uint64_t dirty;
	} rows[] = {
		{"SET a 1", 1},          {"DEL a b", 1},      {"DEL a", 0},
		{"SET a 1", 1},          {"SET b 1", 1},      {"RENAME a a", 0},
		{"RENAME a c", 1},       {"RENAMENX b c", 0}, {"COPY b c", 0},
		{"COPY b c REPLACE", 1}, {"EXPIRE b 10", 1},  {"EXPIRE b 10 NX", 0},
		{"PERSIST b", 1},        {"PERSIST b", 0},    {"EXPIRE b -1", 1},
		{"MOVE c 1", 1},         {"MOVE c 1", 0},     {"SWAPDB 0 1", 1},
		{"SWAPDB 0 0", 1},       {"UNLINK x y", 0},   {"SET d 1", 1},
		{"TOUCH c d", 0},        {"FLUSHDB", 2},      {"FLUSHALL", 0},
	};
	struct store s;

	(void)state;
	store_init(&s, 1);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		store_run(&s, rows[i].request);
		if (s.dirty != rows[i].dirty)
			fail_msg("line %zu, %s: %lu", i, rows[i].request, (unsigned long)s.dirty);
	}
	store_deinit(&s);
}

/* --- values that are large or owner-only --- */

static struct entry *find_entry(const struct store *s, uint32_t db, const char *name)
{
	struct key key;

	key_prepare(&key, s->ks, slice_of(name));
	const struct table *table = slot_table(key.slot, db);
	return table ? table_find(table, key.hash, key.name) : NULL;
}

/*
 * Their content is neither lost nor copied nor freed twice as their key is renamed, moved, given a
 * time.
 */
static void test_large_values(void **state)
{
	static const char *const kinds[] = {"blob", "rope"};
	struct store s;

	(void)state;
	store_init(&s, 2);
	for (size_t rope = 0; rope < COUNT_OF(kinds); rope++) {
		char value[ENTRY_BLOB_MIN];
		memset(value, 'v', sizeof(value));
		s.db = 0;
		store_run_args(&s,
			       (struct slice[]){SLICE("SET"), SLICE("a"), {value, sizeof(value)}},
			       3);
		if (rope)
			store_run(&s, "SETRANGE a 100000 end");
		size_t len = string_length(find_entry(&s, 0, "a"));
		bool owner_only = find_entry(&s, 0, "a")->flags & ENTRY_OWNER_ONLY;
		assert_int_equal(owner_only, rope);
		const char *bytes = string_piece(find_entry(&s, 0, "a"), 0).ptr;

		assert_string_equal(store_run(&s, "EXPIRE a 100"), ":1\r\n");
		assert_string_equal(store_run(&s, "RENAME a b"), "+OK\r\n");
		assert_string_equal(store_run(&s, "MOVE b 2"), ":1\r\n");
		assert_string_equal(store_run(&s, "SWAPDB 2 3"), "+OK\r\n");
		s.db = 3;
		assert_string_equal(store_run(&s, "PERSIST b"), ":1\r\n");
		assert_null(find_entry(&s, 0, "a"));
		assert_null(find_entry(&s, 0, "b"));
		struct entry *e = find_entry(&s, 3, "b");
		assert_int_equal(string_length(e), len);
		assert_ptr_equal(string_piece(e, 0).ptr, bytes);

		assert_string_equal(store_run(&s, "COPY b c DB 1"), ":1\r\n");
		assert_string_equal(store_run(&s, "SETRANGE b 0 x"),
				    rope ? ":100003\r\n" : ":65536\r\n");
		assert_string_equal(store_run(&s, "DEL b"), ":1\r\n");
		e = find_entry(&s, 1, "c");
		assert_int_equal(string_length(e), len);
		assert_memory_equal(string_piece(e, 0).ptr, value, ROPE_LEAF);
		s.db = 1;
		assert_string_equal(store_run(&s, "SET d 1"), "+OK\r\n");
		assert_string_equal(store_run(&s, "RENAME d c"), "+OK\r\n");
		assert_string_equal(store_run(&s, "FLUSHDB"), "+OK\r\n");
	}
	store_deinit(&s);
}

/* --- whole databases --- */

/* Nothing is opened, and no tables are made, where there is nothing to change. */
static void test_empty_databases(void **state)
{
	static const char *const requests[] = {"FLUSHDB", "FLUSHALL", "SWAPDB 0 1", "SWAPDB 2 1"};
	struct store s;

	(void)state;
	store_init(&s, 2);
	for (size_t i = 0; i < COUNT_OF(requests); i++)
		assert_string_equal(store_run(&s, requests[i]), "+OK\r\n");
	store_run(&s, "SET a 1");
	store_run(&s, "SWAPDB 1 2");
	s.db = 1;
	store_run(&s, "FLUSHDB");
	struct slot *slot = &s.ks->slots[key_slot("a", 1)];
	for (uint32_t i = 0; i < SLOT_COUNT; i++) {
		assert_int_equal(atomic_load(&s.ks->slots[i].seq), &s.ks->slots[i] == slot ? 2 : 0);
		assert_null(atomic_load(&s.ks->slots[i].more));
	}
	store_deinit(&s);
}

/*
 * Readers may still be in a flushed table: it is retired whole, and freed after the grace period.
 */
static void test_flush_retires(void **state)
{
	struct store s;

	(void)state;
	store_init(&s, 1);
	for (int i = 0; i < 3000; i++)
		store_runf(&s, "SET key:%d v", i);
	struct ctx ctx = {
		.argv = (struct slice[]){SLICE("FLUSHALL")},
		.argc = 1,
		.cmd = &command_table[CMD_flushall],
		.ks = s.ks,
		.shard = s.ks->shards[0],
		.reply = &s.reply,
	};
	struct entry *e = find_entry(&s, 0, "key:7");
	assert_true(execute_holding(&ctx, NULL, 0));
	struct retire *retire = &s.ks->shards[0]->retire;
	assert_int_equal(ctx.dirty, 3000);
	assert_null(find_entry(&s, 0, "key:7"));
	retire_stamp(retire, &s.ks->grace);
	assert_false(retire_collect(retire, &s.ks->grace, SIZE_MAX));
	assert_true(retire_waiting(retire));
	assert_true(slice_equal(entry_key(e), SLICE("key:7")));
	store_collect(&s);
	assert_false(retire_waiting(retire));
	store_deinit(&s);
}

/* --- against a model --- */

#define MODEL_KEYS  12
#define MODEL_STEPS 6000

/* What should be under key number k of a database; `value` 0: nothing. */
struct model_key {
	int64_t value;
	int64_t expire;
};

struct model {
	struct store store;
	struct check_random random;
	struct model_key keys[STORE_DATABASES][MODEL_KEYS];
};

static struct model_key *model_at(struct model *m, uint32_t db, uint32_t k)
{
	struct model_key *key = &m->keys[db][k];

	if (key->expire <= m->store.now)
		key->value = 0;
	return key;
}

static void model_rename(struct model *m, uint32_t a, uint32_t b)
{
	struct model_key *from = model_at(m, m->store.db, a);

	store_runf(&m->store, "RENAME k%u k%u", a, b);
	if (from->value && a != b) {
		*model_at(m, m->store.db, b) = *from;
		from->value = 0;
	}
}

static void model_copy(struct model *m, uint32_t a, uint32_t b, uint32_t db)
{
	struct model_key *from = model_at(m, m->store.db, a);

	store_runf(&m->store, "COPY k%u k%u REPLACE DB %u", a, b, db);
	if (from->value)
		*model_at(m, db, b) = *from;
}

static void model_move(struct model *m, uint32_t a, uint32_t db)
{
	struct model_key *from = model_at(m, m->store.db, a);
	struct model_key *to = model_at(m, db, a);

	store_runf(&m->store, "MOVE k%u %u", a, db);
	if (from->value && !to->value && db != m->store.db) {
		*to = *from;
		from->value = 0;
	}
}

static void model_expire(struct model *m, uint32_t a, int64_t when)
{
	struct model_key *key = model_at(m, m->store.db, a);

	store_runf(&m->store, "PEXPIREAT k%u %ld", a, (long)when);
	key->expire = when;
}

static void model_swap(struct model *m, uint32_t a, uint32_t b)
{
	struct model_key keys[MODEL_KEYS];

	store_runf(&m->store, "SWAPDB %u %u", a, b);
	memcpy(keys, m->keys[a], sizeof(keys));
	memcpy(m->keys[a], m->keys[b], sizeof(keys));
	memcpy(m->keys[b], keys, sizeof(keys));
}

static void model_step(struct model *m)
{
	uint32_t a = check_random_below(&m->random, MODEL_KEYS);
	uint32_t b = check_random_below(&m->random, MODEL_KEYS);
	uint32_t db = check_random_below(&m->random, STORE_DATABASES);
	uint32_t what = check_random_below(&m->random, 1000);
	int64_t value = 1 + check_random_below(&m->random, 1000000);

	m->store.now += check_random_below(&m->random, 3);
	m->store.db = check_random_below(&m->random, STORE_DATABASES);
	if (what < 400) {
		store_runf(&m->store, "SET k%u %ld", a, (long)value);
		m->keys[m->store.db][a] = (struct model_key){value, EXPIRE_NEVER};
	} else if (what < 500) {
		model_rename(m, a, b);
	} else if (what < 600) {
		model_copy(m, a, b, db);
	} else if (what < 700) {
		model_move(m, a, db);
	} else if (what < 900) {
		model_expire(m, a, m->store.now - 2 + check_random_below(&m->random, 200));
	} else if (what < 950) {
		store_runf(&m->store, "DEL k%u", a);
		m->keys[m->store.db][a].value = 0;
	} else if (what < 990) {
		model_swap(m, db, m->store.db);
	} else if (what < 996) {
		store_run(&m->store, "FLUSHDB");
		memset(m->keys[m->store.db], 0, sizeof(m->keys[m->store.db]));
	} else if (what < 998) {
		store_run(&m->store, "FLUSHALL");
		memset(m->keys, 0, sizeof(m->keys));
	}
}

static void model_check_key(struct model *m, uint32_t db, uint32_t k)
{
	char name[16];
	int64_t value = 0;
	const struct model_key *expected = model_at(m, db, k);

	snprintf(name, sizeof(name), "k%u", k);
	const struct entry *e = find_entry(&m->store, db, name);
	if (e && entry_expired(e, m->store.now))
		e = NULL;
	if (e)
		assert_true(number_parse(entry_value(e), &value));
	assert_int_equal(value, expected->value);
	if (e)
		assert_int_equal(entry_expire(e), expected->expire);
}

/* Sums count what has expired and wasn't removed, so the sweep comes first. */
static void model_check_sums(struct model *m)
{
	struct keyspace *ks = m->store.ks;

	for (uint32_t i = 0; i < ks->shard_count * (SLOT_COUNT / SWEEP_SLOTS); i++)
		sweep_slice(ks->shards[i % ks->shard_count], m->store.now);
	for (uint32_t db = 0; db < STORE_DATABASES; db++) {
		int64_t keys = 0;
		int64_t expires = 0;
		for (uint32_t k = 0; k < MODEL_KEYS; k++) {
			const struct model_key *key = model_at(m, db, k);
			keys += key->value != 0;
			expires += key->value && key->expire != EXPIRE_NEVER;
		}
		assert_int_equal(keyspace_keys(ks, db), keys);
		assert_int_equal(keyspace_expires(ks, db), expires);
	}
}

static void test_random(void **state)
{
	struct model m = {.random = check_random_start()};

	(void)state;
	store_init(&m.store, 3);
	for (int i = 0; i < MODEL_STEPS; i++) {
		model_step(&m);
		for (uint32_t db = 0; db < STORE_DATABASES; db++)
			for (uint32_t k = 0; k < MODEL_KEYS; k++)
				model_check_key(&m, db, k);
		if (i % 16 == 0)
			model_check_sums(&m);
	}
	model_check_sums(&m);
	store_check_closed(&m.store);
	store_deinit(&m.store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_seq),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_script),
		cmocka_unit_test(test_dirty),
		cmocka_unit_test(test_frequency),
		cmocka_unit_test(test_large_values),
		cmocka_unit_test(test_empty_databases),
		cmocka_unit_test(test_flush_retires),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
