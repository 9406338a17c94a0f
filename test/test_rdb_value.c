/*
 * Values as RDB's bytes and back: of all types and sizes, so in all forms. What comes back has
 * the same digest and the same encoding, whatever was compressed, and the bytes are stepped over
 * as they are read. As of a cut they are what the value was then, whatever became of it.
 */
#include "test/store.h"

#include "shard/rdb_value.h"
#include "shard/value.h"

#define ROUNDS 400
#define CUTS   100
/* Elements of the largest; some take all forms on the way there. */
#define SIZES_MAX 700

struct fixture {
	struct store s;
	struct check_random random;
};

static struct entry *find(struct store *s, const char *name)
{
	uint64_t hash = hash_bytes(&s->ks->seed, name, strlen(name));
	struct slot *slot = &s->ks->slots[key_slot(name, strlen(name))];

	return table_find(slot_table(slot, 0), hash, slice_of(name));
}

/* An element: a number, a word, or a longer text now and then. */
static const char *element(struct fixture *f, uint32_t i, char room[200])
{
	switch (check_random_below(&f->random, 20)) {
	case 0:
		memset(room, 'x', 150);
		snprintf(room + 150, 20, "%u", i);
		break;
	case 1:
	case 2:
	case 3:
		snprintf(room, 200, "%ld", (long)check_random_next(&f->random) >> i % 64);
		break;
	default:
		snprintf(room, 200, "element:%u", i);
	}
	return room;
}

static void add(struct fixture *f, enum entry_type type, bool numbers, uint32_t i)
{
	char room[200], more[200];

	if (numbers)
		snprintf(room, sizeof(room), "%u", i * 31);
	else
		element(f, i, room);
	switch (type) {
	case ENTRY_STRING:
		store_runf(&f->s, "APPEND k %s", room);
		break;
	case ENTRY_LIST:
		store_runf(&f->s, "RPUSH k %s", room);
		break;
	case ENTRY_SET:
		store_runf(&f->s, "SADD k %s", room);
		break;
	case ENTRY_ZSET:
		store_runf(&f->s, "ZADD k %.17g %s",
			   (double)(int32_t)check_random_next(&f->random) / 8, room);
		break;
	default:
		store_runf(&f->s, "HSET k %.90s %.90s", room, element(f, i + 1, more));
		if (i % 7 == 6 && check_random_below(&f->random, 4) == 0)
			store_runf(&f->s, "HPEXPIREAT k %u FIELDS 1 %.90s", 5000 + i, room);
	}
}

static struct entry *decode(struct fixture *f, uint8_t type, struct rdb_in *in)
{
	struct key key;

	key_prepare(&key, f->s.ks, SLICE("k"));
	struct ctx ctx = {
		.keys = &key,
		.key_count = 1,
		.now = f->s.now,
		.ks = f->s.ks,
		.shard = f->s.ks->shards[0],
		.holder = true,
	};
	return rdb_decode(&ctx, 0, type, 123456789, in);
}

static void check_same(const struct entry *e, const struct entry *back)
{
	struct digest one = {0}, other = {0};

	value_digest(e, &one);
	value_digest(back, &other);
	assert_memory_equal(&one, &other, sizeof(one));
	assert_int_equal(entry_type(e), entry_type(back));
	assert_true(slice_equal(entry_key(back), SLICE("k")));
	assert_int_equal(entry_expire(back), 123456789);
}

static void check_there_and_back(struct fixture *f, bool compress)
{
	struct entry *e = find(&f->s, "k");
	struct rdb_out out = {.compress = compress};
	uint8_t type = rdb_type_of(e);

	rdb_encode(e, type, &out);
	if (compress)
		assert_int_equal(rdb_size(e), out.len);
	struct rdb_in in = rdb_in_of((struct slice){out.bytes, out.len}, SIZE_MAX), over = in;
	assert_true(rdb_skip_value(&over, type));
	assert_ptr_equal(over.at, over.end);
	struct entry *back = decode(f, type, &in);
	if (!back)
		fail_msg("type %u: %s", type, in.error);
	assert_ptr_equal(in.at, in.end);
	check_same(e, back);
	entry_free(back);
	rdb_out_deinit(&out);
}

/* A value grows, and is looked at now and then. */
static void grow(struct fixture *f, enum entry_type type)
{
	uint32_t size = 1 + (uint32_t)check_random_below(&f->random, SIZES_MAX);
	bool numbers = check_random_below(&f->random, 3) == 0;

	store_run(&f->s, "DEL k");
	for (uint32_t i = 0; i < size; i++) {
		add(f, type, numbers, i);
		if (check_random_below(&f->random, size) < 4 || i == size - 1)
			check_there_and_back(f, i % 2);
	}
	store_collect(&f->s);
}

static void test_there_and_back(void **state)
{
	static const enum entry_type types[] = {ENTRY_STRING, ENTRY_LIST, ENTRY_SET, ENTRY_ZSET,
						ENTRY_HASH};
	struct fixture f = {.random = check_random_start()};

	store_init(&f.s, 1);
	for (int round = 0; round < ROUNDS; round++)
		grow(&f, types[round % COUNT_OF(types)]);
	store_deinit(&f.s);
}

/* --- as of a cut --- */

static const char *const changes[ENTRY_TYPE_COUNT][4] = {
	[ENTRY_STRING] = {"SETRANGE k 3 abc", "SETRANGE k 20000 abc", "SETBIT k 70 1",
			  "APPEND k x"},
	[ENTRY_LIST] = {"LPOP k 3", "LSET k 0 other", "LINSERT k BEFORE element:9 more", "RPOP k"},
	[ENTRY_SET] = {"SPOP k 5", "SREM k element:3", "SADD k another", "SADD k one 2 three"},
	[ENTRY_ZSET] = {"ZPOPMIN k 3", "ZADD k 17 element:4", "ZREMRANGEBYRANK k 5 9",
			"ZADD k 1 z"},
	[ENTRY_HASH] = {"HDEL k element:3", "HSET k element:4 other", "HSET k another 1",
			"HPEXPIREAT k 70000 FIELDS 1 element:5"},
};

/* Bytes made from the entry as it was at the cut are a value of this digest. */
static void check_at(struct fixture *f, const struct entry *e, uint64_t cut,
		     const struct digest *wanted)
{
	uint8_t type = rdb_type_at(e, cut);
	struct rdb_out out = {.compress = true};
	struct digest digest = {0};

	rdb_encode_at(e, cut, type, &out);
	struct rdb_in in = rdb_in_of((struct slice){out.bytes, out.len}, SIZE_MAX);
	struct entry *back = decode(f, type, &in);
	if (!back)
		fail_msg("type %u: %s", type, in.error);
	assert_ptr_equal(in.at, in.end);
	value_digest(back, &digest);
	assert_memory_equal(&digest, wanted, sizeof(digest));
	entry_free(back);
	rdb_out_deinit(&out);
}

static void change(struct fixture *f, enum entry_type type, uint32_t i)
{
	if (check_random_below(&f->random, 2))
		add(f, type, false, i);
	else
		store_run(&f->s, changes[type][check_random_below(&f->random, 4)]);
}

static void check_cut(struct fixture *f, enum entry_type type, uint64_t cut)
{
	const struct entry *e = find(&f->s, "k");
	struct retire *r = &f->s.ks->shards[0]->retire;
	struct digest digest = {0};

	value_digest(e, &digest);
	freeze_begin(f->s.ks, cut);
	check_at(f, e, cut, &digest);
	for (uint32_t i = 0; i < 30; i++) {
		change(f, type, SIZES_MAX + i);
		check_at(f, e, cut, &digest);
	}
	store_run(&f->s, "DEL k");
	check_at(f, e, cut, &digest);
	freeze_end(f->s.ks);
	while (retire_release_kept(r, &f->s.ks->freeze))
		;
	store_collect(&f->s);
	assert_int_equal(retire_kept_bytes(r), 0);
}

static void test_at_a_cut(void **state)
{
	static const enum entry_type types[] = {ENTRY_STRING, ENTRY_LIST, ENTRY_SET, ENTRY_ZSET,
						ENTRY_HASH};
	struct fixture f = {.random = check_random_start()};

	store_init(&f.s, 1);
	for (uint64_t cut = 1; cut <= CUTS; cut++) {
		enum entry_type type = types[cut % COUNT_OF(types)];
		uint32_t size = 1 + (uint32_t)check_random_below(&f.random, SIZES_MAX);
		bool numbers = check_random_below(&f.random, 3) == 0;
		if (type == ENTRY_STRING && cut % 2)
			store_run(&f.s, "SETRANGE k 100000 long");
		for (uint32_t i = 0; i < size; i++)
			add(&f, type, numbers, i);
		check_cut(&f, type, cut);
	}
	store_deinit(&f.s);
}

/* --- types --- */

/* Which type and version each form and encoding goes out as. */
static const struct {
	const char *label;
	const char *commands[4];
	uint8_t type;
	uint32_t version;
} types[] = {
	{"string", {"SET k 5"}, RDB_STRING, 10},
	{"list", {"RPUSH k a b"}, RDB_LIST_QUICKLIST_2, 10},
	{"integers", {"SADD k 1 2"}, RDB_SET_INTSET, 10},
	{"words", {"SADD k a b"}, RDB_SET, 10},
	{"scores", {"ZADD k 1 a"}, RDB_ZSET_LISTPACK, 10},
	{"hash", {"HSET k a 1"}, RDB_HASH_LISTPACK, 10},
	{"times", {"HSET k a 1 b 2", "HPEXPIREAT k 5000 FIELDS 1 a"}, RDB_HASH_LISTPACKEX, 12},
	{"no time left",
	 {"HSET k a 1 b 2", "HPEXPIREAT k 5000 FIELDS 1 a", "HPERSIST k FIELDS 1 a"},
	 RDB_HASH_LISTPACK,
	 10},
};

static void test_types(void **state)
{
	struct fixture f = {0};

	store_init(&f.s, 1);
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		store_run(&f.s, "DEL k");
		for (size_t c = 0; c < COUNT_OF(types[i].commands) && types[i].commands[c]; c++)
			store_run(&f.s, types[i].commands[c]);
		uint8_t type = rdb_type_of(find(&f.s, "k"));
		if (type != types[i].type || rdb_type_version(type) != types[i].version)
			fail_msg("%s: type %u", types[i].label, type);
		check_there_and_back(&f, true);
	}
	store_deinit(&f.s);
}

/* Other limits here than where it was written: called as they want it. */
static void test_limits(void **state)
{
	struct fixture f = {0};
	struct rdb_out out = {0};
	struct entry *back;

	store_init(&f.s, 1);
	store_run(&f.s, "HSET k a 1 b 2 c 3");
	rdb_encode(find(&f.s, "k"), RDB_HASH_LISTPACK, &out);
	atomic_store(&f.s.ks->limits.hash_listpack_entries, 2);
	struct rdb_in in = rdb_in_of((struct slice){out.bytes, out.len}, SIZE_MAX);
	back = decode(&f, RDB_HASH_LISTPACK, &in);
	assert_non_null(back);
	assert_int_equal(entry_encoding(back), ENCODING_HASHTABLE);
	entry_free(back);
	rdb_out_deinit(&out);
	store_deinit(&f.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_at_a_cut),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
