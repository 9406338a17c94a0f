/*
 * Hashes: against a plain array of what should be in them, in all forms and with expiring fields.
 */
#include "test/store.h"

#include "shard/digest.h"
#include "shard/hash_value.h"
#include "shard/listpack.h"
#include "shard/sweep.h"
#include "shard/value.h"

#define MODEL_FIELDS 400
#define VALUE_MAX    100
/* Some 30 of them a hash. */
#define OPERATIONS 600000

struct field {
	bool present;
	char value[VALUE_MAX + 1];
	int64_t expire;
	uint32_t seen;
};

struct model {
	struct store s;
	struct check_random random;
	uint32_t names; /* that are used of the fields: decides on the form */
	uint32_t value_max;
	struct field fields[MODEL_FIELDS];
};

static struct slot *hash_slot(struct model *m)
{
	return &m->s.ks->slots[key_slot("h", 1)];
}

/* The entry of the key, whether it has expired or not. */
static struct entry *hash_entry(struct model *m)
{
	uint64_t hash = hash_bytes(&m->s.ks->seed, "h", 1);

	return table_find(slot_table(hash_slot(m), 0), hash, SLICE("h"));
}

static bool live(const struct model *m, uint32_t i)
{
	return m->fields[i].present && m->fields[i].expire > m->s.now;
}

static uint32_t live_count(const struct model *m)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < MODEL_FIELDS; i++)
		count += live(m, i);
	return count;
}

/* Numbers and text, as a listpack tells them apart. */
static struct slice field_name(uint32_t i, char out[16])
{
	return (struct slice){out, (size_t)snprintf(out, 16, i % 3 ? "field:%u" : "%u", i)};
}

static const char *run(struct model *m, const char *command, uint32_t i, const char *more)
{
	char request[256], name[16];

	field_name(i, name);
	snprintf(request, sizeof(request), command, name, more);
	return store_run(&m->s, request);
}

static void make_value(struct model *m, char *out)
{
	size_t len = 1 + check_random_below(&m->random, m->value_max);

	if (check_random_below(&m->random, 3) == 0) {
		snprintf(out, VALUE_MAX, "%ld",
			 (long)check_random_next(&m->random) >> check_random_below(&m->random, 64));
		return;
	}
	memset(out, 'a' + (int)check_random_below(&m->random, 26), len);
	out[len] = '\0';
}

static void check_int(const char *reply, int64_t n)
{
	char text[32];

	snprintf(text, sizeof(text), ":%ld\r\n", (long)n);
	assert_string_equal(reply, text);
}

/* --- operations --- */

static void op_set(struct model *m, uint32_t i)
{
	char value[VALUE_MAX + 1];
	bool was = live(m, i);

	make_value(m, value);
	check_int(run(m, "HSET h %s %s", i, value), !was);
	m->fields[i].present = true;
	m->fields[i].expire = EXPIRE_NEVER;
	strcpy(m->fields[i].value, value);
}

static void op_set_expiring(struct model *m, uint32_t i)
{
	char value[VALUE_MAX + 1], request[256];
	int64_t expire = m->s.now + (int64_t)check_random_below(&m->random, 500);

	make_value(m, value);
	snprintf(request, sizeof(request), "HSETEX h PXAT %ld FIELDS 1 %%s %%s", (long)expire);
	check_int(run(m, request, i, value), 1);
	m->fields[i].present = expire > m->s.now;
	m->fields[i].expire = expire;
	strcpy(m->fields[i].value, value);
}

static void op_remove(struct model *m, uint32_t i)
{
	check_int(run(m, "HDEL h %s", i, ""), live(m, i));
	m->fields[i].present = false;
}

static void op_get(struct model *m, uint32_t i)
{
	char expected[VALUE_MAX + 32] = "$-1\r\n";

	if (live(m, i))
		snprintf(expected, sizeof(expected), "$%zu\r\n%s\r\n", strlen(m->fields[i].value),
			 m->fields[i].value);
	assert_string_equal(run(m, "HGET h %s", i, ""), expected);
}

static void op_expire(struct model *m, uint32_t i)
{
	char request[256];
	int64_t expire = m->s.now + (int64_t)check_random_below(&m->random, 1000) - 100;

	snprintf(request, sizeof(request), "HPEXPIREAT h %ld FIELDS 1 %%s", (long)expire);
	const char *expected = !live(m, i)         ? "*1\r\n:-2\r\n"
			       : expire > m->s.now ? "*1\r\n:1\r\n"
						   : "*1\r\n:2\r\n";
	assert_string_equal(run(m, request, i, ""), expected);
	if (!live(m, i))
		return;
	m->fields[i].expire = expire;
	m->fields[i].present = expire > m->s.now;
}

static void op_persist(struct model *m, uint32_t i)
{
	bool has = live(m, i) && m->fields[i].expire != EXPIRE_NEVER;

	assert_string_equal(run(m, "HPERSIST h FIELDS 1 %s", i, ""), !live(m, i) ? "*1\r\n:-2\r\n"
								     : has       ? "*1\r\n:1\r\n"
										 : "*1\r\n:-1\r\n");
	if (has)
		m->fields[i].expire = EXPIRE_NEVER;
}

static void op_time(struct model *m, uint32_t i)
{
	char expected[64];
	int64_t expire = !live(m, i)                           ? -2
			 : m->fields[i].expire == EXPIRE_NEVER ? -1
							       : m->fields[i].expire;

	snprintf(expected, sizeof(expected), "*1\r\n:%ld\r\n", (long)expire);
	assert_string_equal(run(m, "HPEXPIRETIME h FIELDS 1 %s", i, ""), expected);
}

static void op_length(struct model *m, uint32_t i)
{
	check_int(store_run(&m->s, "HLEN h"), live_count(m));
	check_int(store_run(&m->s, "EXISTS h"), live_count(m) > 0);
}

/* Other entries for the same value. */
static void op_key(struct model *m, uint32_t i)
{
	if (live_count(m) == 0)
		return;
	store_run(&m->s, "EXPIRE h 100000");
	assert_string_equal(store_run(&m->s, "RENAME h other"), "+OK\r\n");
	assert_string_equal(store_run(&m->s, "COPY other h"), ":1\r\n");
	assert_string_equal(store_run(&m->s, "PERSIST h"), ":1\r\n");
	assert_string_equal(store_run(&m->s, "DEL other"), ":1\r\n");
}

/* What is due is gone afterwards; only then the slot says that nothing is. */
static void op_sweep(struct model *m, uint32_t i)
{
	struct shard *shard = m->s.ks->shards[slot_owner(m->s.ks, hash_slot(m))];

	shard->sweep_slot = hash_slot(m)->index;
	while (sweep_slice(shard, m->s.now))
		;
	shard->sweep_slot = hash_slot(m)->index;
	assert_true(slot_expire_earliest(hash_slot(m)) > m->s.now);
	struct entry *e = hash_entry(m);
	assert_int_equal(e ? hash_length(NULL, e, INT64_MIN) : 0, live_count(m));
	for (uint32_t j = 0; e && j < MODEL_FIELDS; j++)
		if (live(m, j))
			assert_true(m->fields[j].expire >= slot_expire_earliest(hash_slot(m)));
}

static void op_clock(struct model *m, uint32_t i)
{
	m->s.now += (int64_t)check_random_below(&m->random, 100);
}

static const struct {
	void (*run)(struct model *m, uint32_t i);
	uint32_t weight;
} operations[] = {
	{op_set, 30},   {op_set_expiring, 10}, {op_remove, 15}, {op_get, 20},
	{op_expire, 8}, {op_persist, 3},       {op_time, 5},    {op_length, 2},
	{op_key, 1},    {op_sweep, 2},         {op_clock, 4},
};

/* --- checks --- */

static void see(void *arg, const struct hash_field *field)
{
	struct model *m = arg;
	bool digits = field->name.ptr[0] >= '0' && field->name.ptr[0] <= '9';
	char name[32];

	memcpy(name, field->name.ptr, field->name.len);
	name[field->name.len] = '\0';
	uint32_t i = (uint32_t)strtoul(digits ? name : name + strlen("field:"), NULL, 10);
	assert_true(i < MODEL_FIELDS && live(m, i));
	assert_true(slice_equal(field->value, slice_of(m->fields[i].value)));
	assert_int_equal(field->expire, m->fields[i].expire);
	m->fields[i].seen++;
}

static bool see_drawn(void *arg, const struct hash_field *field)
{
	see(arg, field);
	return true;
}

/* Packed ones are sound listpacks, whose fields stand in the order of their expiry. */
static void check_form(const struct entry *e)
{
	struct listpack_item item;
	int64_t last = 0;

	if (entry_dict(e))
		return;
	struct slice bytes = entry_value(e);
	assert_true(bytes.len <= PACKED_BYTES_MAX);
	assert_true(listpack_valid(bytes));
	if (!(e->flags & ENTRY_FIELD_TTL))
		return;
	for (size_t at = listpack_first(bytes.ptr); at < listpack_end(bytes.ptr);) {
		at = listpack_next(bytes.ptr, listpack_next(bytes.ptr, at));
		at = listpack_read(bytes.ptr, at, &item);
		int64_t expire = item.number ? item.number : EXPIRE_NEVER;
		assert_true(expire >= last);
		last = expire;
	}
}

static void check(struct model *m)
{
	struct shard *shard = m->s.ks->shards[0];
	struct entry *e;

	op_length(m, 0);
	e = hash_entry(m); /* gone by now, if all of it has expired */
	if (!e)
		return;
	check_form(e);
	assert_true(entry_memory(e) >= entry_size(e));
	for (uint32_t i = 0; i < MODEL_FIELDS; i++)
		m->fields[i].seen = 0;
	hash_walk(e, m->s.now, see, m);
	uint64_t cursor = 0;
	do
		cursor = hash_scan(e, cursor, 10, m->s.now, see, m);
	while (cursor);
	hash_sample(shard, e, SIZE_MAX, m->s.now, see, m);
	for (uint32_t i = 0; i < MODEL_FIELDS; i++)
		assert_int_equal(m->fields[i].seen, live(m, i) ? 3 : 0);
	hash_random(shard, e, 20, m->s.now, see_drawn, m);
	hash_sample(shard, e, 5, m->s.now, see, m);
}

/* One after another, hashes of few fields and of many, of short values and of long ones. */
static void test_random_operations(void **state)
{
	static struct model m;
	uint32_t weights = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(operations); i++)
		weights += operations[i].weight;
	m.random = check_random_start();
	store_init(&m.s, 3);
	for (uint32_t n = 0; n < OPERATIONS; n++) {
		if (n % 5000 == 0) {
			m.names = 1 + (uint32_t)check_random_below(&m.random,
								   n % 2 ? MODEL_FIELDS : 40);
			m.value_max = check_random_below(&m.random, 3) ? 10 : VALUE_MAX;
		}
		if (check_random_below(&m.random, 2000) == 0) {
			store_run(&m.s, "DEL h");
			memset(m.fields, 0, sizeof(m.fields));
		}
		uint64_t draw = check_random_below(&m.random, weights);
		size_t op = 0;
		while (draw >= operations[op].weight)
			draw -= operations[op++].weight;
		operations[op].run(&m, (uint32_t)check_random_below(&m.random, m.names));
		if (n % 50 == 0)
			check(&m);
	}
	check(&m);
	store_deinit(&m.s);
}

/* --- by hand --- */

/* What OBJECT ENCODING says, and whether there is a dict, after a request. */
static void test_forms(void **state)
{
	static const struct {
		const char *label;
		const char *request;
		const char *encoding; /* NULL: no key */
		bool dict;
	} rows[] = {
		{"few and short", "HSET h a 1 b 2", "listpack", false},
		{"one long value, packed all the same", "HSET h c %064d", "listpack", false},
		{"one that is too long for the name", "HSET h c %065d", "hashtable", false},
		{"and never back", "HDEL h c", "hashtable", false},
		{"all of it gone", "HDEL h a b", NULL, false},
		{"too large to be packed", "HSET h a %01500d", "hashtable", true},
		{"and never back", "HSET h a 1", "hashtable", true},
		{"an expiry", "HPEXPIREAT h 5000 FIELDS 1 a", "hashtable", true},
		{"gone", "DEL h", NULL, false},
		{"an expiry from the start", "HSETEX h PX 100 FIELDS 1 a 1", "listpackex", false},
		{"then too large", "HSET h b %01020d", "hashtable", true},
		{"removed", "DEL h", NULL, false},
		{"nearly full of short values", "HSET h a %064d b %064d", "listpack", false},
		{"an expiry that fits", "HPEXPIREAT h 5000 FIELDS 1 a", "listpackex", false},
	};
	static struct model m;

	(void)state;
	store_init(&m.s, 1);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char request[4096];
		snprintf(request, sizeof(request), rows[i].request, 0, 0);
		store_run(&m.s, request);
		struct entry *e = slot_table(hash_slot(&m), 0) ? hash_entry(&m) : NULL;
		const char *encoding = e ? entry_encoding_name(entry_encoding(e)) : "";
		if (strcmp(encoding, rows[i].encoding ? rows[i].encoding : "") ||
		    (e && entry_dict(e)) != rows[i].dict)
			fail_msg("%s: %s", rows[i].label, encoding);
	}
	store_deinit(&m.s);
}

static struct digest digest_of(struct model *m)
{
	struct digest digest = {0};

	value_digest(hash_entry(m), &digest);
	return digest;
}

/* The same content has the same digest in any form and order. */
static void test_digests(void **state)
{
	static struct model m;
	struct digest packed, dict;

	(void)state;
	store_init(&m.s, 1);
	store_run(&m.s, "HSET h a 1 b 2 c 3");
	packed = digest_of(&m);
	store_run(&m.s, "HSET h c 3 b 2 a 4");
	dict = digest_of(&m);
	assert_memory_not_equal(&packed, &dict, sizeof(packed));
	store_run(&m.s, "DEL h");
	store_runf(&m.s, "HSET h large %0200d c 3 b 2", 0);
	for (int i = 0; i < 20; i++)
		store_runf(&m.s, "HSET h large:%d %0200d", i, 0);
	assert_non_null(entry_dict(hash_entry(&m)));
	store_run(&m.s, "HSET h a 1");
	store_run(&m.s, "HDEL h large");
	for (int i = 0; i < 20; i++)
		store_runf(&m.s, "HDEL h large:%d", i);
	dict = digest_of(&m);
	assert_memory_equal(&packed, &dict, sizeof(packed));
	store_deinit(&m.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_digests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
