/*
 * RDB files: what is written is read again, Redis' tool finds nothing wrong with it, and whatever
 * is done to the bytes, reading ends with an error or with keys.
 */
#include "persist/io.h"
#include "persist/rdb_file.h"
#include "test/store.h"

#include "proto/crc64.h"
#include "proto/mem.h"
#include "shard/value.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TOOL "/usr/bin/redis-check-rdb"

static char directory[64];
static int dir;

static int setup(void **state)
{
	strcpy(directory, "/tmp/test_rdb_file.XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	return io_open_dir(directory, &dir);
}

static int teardown(void **state)
{
	io_unlink(dir, "dump.rdb");
	close(dir);
	return rmdir(directory);
}

/* A key of each type, in two databases. */
static void fill(struct store *s)
{
	store_init(s, 2);
	store_run(s, "SET string value");
	store_run(s, "SET number 12345");
	store_run(s, "SET volatile x PXAT 4102444800000");
	store_run(s, "RPUSH list a b 3");
	store_run(s, "SADD intset 1 2 3");
	store_run(s, "SADD set a b c");
	store_run(s, "ZADD zset 1 a 2.5 b");
	store_run(s, "HSET hash a 1 b 2");
	for (int i = 0; i < 300; i++) {
		store_runf(s, "RPUSH long_list element:%d", i);
		store_runf(s, "SADD large_set member:%d", i);
		store_runf(s, "ZADD large_zset %d member:%d", i * 7, i);
		store_runf(s, "HSET large_hash field:%d value:%d", i, i);
	}
	s->db = 3;
	store_run(s, "SET string another");
	s->db = 0;
}

struct writing {
	struct rdb_file file;
	uint64_t keys;
};

static void write_entry(void *arg, struct entry *e)
{
	struct writing *w = arg;

	rdb_file_key(&w->file, e, w->keys % 3 == 0 ? (int64_t)w->keys * 100 : -1,
		     w->keys % 3 == 1 ? (int64_t)w->keys : -1);
	w->keys++;
}

static int write_file(struct store *s, bool compress, bool checksum)
{
	struct writing w = {0};
	int fd;

	assert_int_equal(io_open_new(dir, "dump.rdb", &fd), 0);
	rdb_file_begin(&w.file, fd, compress, checksum);
	rdb_file_aux(&w.file, "redis-ver", SLICE("7.2.0"));
	for (uint32_t db = 0; db < STORE_DATABASES; db++) {
		rdb_file_database(&w.file, db);
		rdb_file_sizes(&w.file, 12, 1);
		for (uint32_t i = 0; i < SLOT_COUNT; i++) {
			struct table *table = slot_table(&s->ks->slots[i], db);
			for (uint64_t at = table ? 0 : TABLE_END; at != TABLE_END;)
				at = table_scan(table, at, write_entry, &w);
		}
	}
	int error = rdb_file_end(&w.file);
	close(fd);
	return error;
}

/* --- reading into another store --- */

struct loading {
	struct store s;
	uint64_t keys, unknown, idle, frequent;
	bool aux, database;
};

static bool load_key(void *arg, const struct rdb_key *found)
{
	struct loading *l = arg;
	struct key key;
	struct rdb_in in = rdb_in_of(found->value, UINT32_MAX);

	if (found->db >= STORE_DATABASES)
		return false;
	key_prepare(&key, l->s.ks, found->name);
	struct ctx ctx = {
		.db = found->db,
		.keys = &key,
		.key_count = 1,
		.now = 1000,
		.ks = l->s.ks,
		.shard = l->s.ks->shards[0],
		.holder = true,
	};
	struct entry *e = rdb_decode(&ctx, 0, found->type, found->expire, &in);
	if (e) {
		assert_ptr_equal(in.at, in.end);
		ctx_put(&ctx, 0, e);
		l->keys++;
	} else {
		l->unknown++;
	}
	l->idle += found->idle_seconds >= 0;
	l->frequent += found->frequency >= 0;
	return true;
}

static void see_aux(void *arg, struct slice name, struct slice value)
{
	struct loading *l = arg;

	l->aux |= slice_equal(name, SLICE("redis-ver")) && slice_equal(value, SLICE("7.2.0"));
}

static void see_database(void *arg, uint32_t db, uint64_t keys, uint64_t expires)
{
	struct loading *l = arg;

	l->database |= db == 3 && keys == 12 && expires == 1;
}

static const struct rdb_file_events events = {
	.key = load_key,
	.aux = see_aux,
	.database = see_database,
};

static bool load(struct loading *l, struct slice bytes, struct rdb_file_result *result)
{
	*l = (struct loading){0};
	store_init(&l->s, 1);
	return rdb_file_read(bytes, &events, l, result);
}

static void load_end(struct loading *l)
{
	store_collect(&l->s);
	store_deinit(&l->s);
}

static void check_same(struct store *a, struct store *b)
{
	for (uint32_t db = 0; db < STORE_DATABASES; db++)
		for (uint32_t i = 0; i < SLOT_COUNT; i++) {
			struct table *one = slot_table(&a->ks->slots[i], db);
			struct table *other = slot_table(&b->ks->slots[i], db);
			size_t count = one ? table_count(one) : 0;
			assert_int_equal(other ? table_count(other) : 0, count);
		}
	assert_string_equal(store_run(b, "PEXPIRETIME volatile"), ":4102444800000\r\n");
	static const char *const keys[] = {"string",     "list",      "intset",    "set",
					   "zset",       "hash",      "long_list", "large_set",
					   "large_zset", "large_hash"};
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		char one[64];
		snprintf(one, sizeof(one), "%s", store_runf(a, "DEBUG DIGEST-VALUE %s", keys[i]));
		assert_string_equal(store_runf(b, "DEBUG DIGEST-VALUE %s", keys[i]), one);
	}
}

static void check_with_tool(void)
{
	char command[256];

	if (access(TOOL, X_OK) != 0)
		return;
	snprintf(command, sizeof(command), TOOL " %s/dump.rdb >%s/log 2>&1", directory, directory);
	int status = system(command);
	snprintf(command, sizeof(command), "%s/log", directory);
	unlink(command);
	assert_int_equal(status, 0);
}

static void test_there_and_back(void **state)
{
	for (int how = 0; how < 4; how++) {
		struct store s;
		struct loading l;
		struct io_map map;
		struct rdb_file_result result;

		fill(&s);
		assert_int_equal(write_file(&s, how & 1, how & 2), 0);
		check_with_tool();
		assert_int_equal(io_map(dir, "dump.rdb", &map), 0);
		struct slice bytes = {map.bytes, map.len};
		if (!load(&l, bytes, &result))
			fail_msg("%s at %lu", result.error, (unsigned long)result.offset);
		assert_int_equal(result.version, RDB_VERSION);
		assert_int_equal(result.offset, map.len);
		assert_int_equal(l.keys, 13);
		assert_int_equal(l.idle, 5);
		assert_int_equal(l.frequent, 4);
		assert_true(l.aux && l.database);
		check_same(&s, &l.s);
		load_end(&l);
		io_unmap(&map);
		store_deinit(&s);
	}
}

/* A field's time to live takes a newer version: the header says so, and the sum is right. */
static void test_version(void **state)
{
	struct store s;
	struct loading l;
	struct io_map map;
	struct rdb_file_result result;

	fill(&s);
	store_run(&s, "HPEXPIREAT large_hash 4102444800000 FIELDS 1 field:7");
	assert_int_equal(write_file(&s, true, true), 0);
	assert_int_equal(io_map(dir, "dump.rdb", &map), 0);
	assert_memory_equal(map.bytes, "REDIS0012", 9);
	assert_true(load(&l, (struct slice){map.bytes, map.len}, &result));
	check_same(&s, &l.s);
	load_end(&l);
	io_unmap(&map);
	store_deinit(&s);
}

static int writes_left;

static int full_disk(enum io_call call, size_t *len)
{
	if (call != IO_WRITE || writes_left-- > 0)
		return 0;
	*len = *len / 2;
	return -ENOSPC;
}

static void test_full_disk(void **state)
{
	struct store s;

	fill(&s);
	for (int left = 0; left < 3; left++) {
		writes_left = left;
		io_fault = full_disk;
		assert_int_equal(write_file(&s, true, true), -ENOSPC);
	}
	io_fault = NULL;
	store_deinit(&s);
}

/* --- by hand --- */

#define BYTES(literal) ((struct slice){(literal), sizeof(literal) - 1})

static const struct {
	const char *label;
	struct slice bytes;
	bool whole;
	uint64_t keys, unknown;
} files[] = {
	{"empty, of an old version", BYTES("REDIS0001\377"), true, 0, 0},
	{"a key of an old version", BYTES("REDIS0003\376\0\375\377\377\377\177\0\1k\1v\377"), true,
	 1, 0},
	{"without sum", BYTES("REDIS0010\0\1k\1v\377\0\0\0\0\0\0\0\0"), true, 1, 0},
	{"more behind it", BYTES("REDIS0010\0\1k\1v\377\0\0\0\0\0\0\0\0*1\r\n"), true, 1, 0},
	{"left out",
	 BYTES("REDIS0011\364\1\2\3\365\3lib\367\201"
	       "12345678"
	       "\2\1\5\3abc\0\0\1k\1v\377\0\0\0\0\0\0\0\0"),
	 true, 1, 0},
	{"a stream and a module's value",
	 BYTES("REDIS0010\23\1s\0\0\0\0\0\0\0\0\0\0\7\1m\1\0\0\1k\1v\377\0\0\0\0\0\0\0\0"), true, 1,
	 2},
	{"an empty list", BYTES("REDIS0010\1\1l\0\0\1k\1v\377\0\0\0\0\0\0\0\0"), true, 1, 1},
	{"nothing", BYTES(""), false, 0, 0},
	{"something else", BYTES("*1\r\n$4\r\nPING\r\n"), false, 0, 0},
	{"another's", BYTES("OTHER0010\377"), false, 0, 0},
	{"Valkey's", BYTES("VALKEY080\0\1k\1v\377\0\0\0\0\0\0\0\0"), true, 1, 0},
	{"Valkey's fields",
	 BYTES("VALKEY080\26\1h\1\1a\1b\377\377\377\377\377\377\377\377\377\0\0\0\0\0\0\0\0"), true,
	 1, 0},
	{"Redis' fields among Valkey's",
	 BYTES("VALKEY080\30\1h"
	       "12345678"
	       "\1\1\1a\1b\377\0\0\0\0\0\0\0\0"),
	 false, 0, 0},
	{"Valkey's fields, by no number of a type",
	 BYTES("REDIS0012\32\1h\1\1a\1b\377\377\377\377\377\377\377\377\377\0\0\0\0\0\0\0\0"),
	 false, 0, 0},
	{"a slot that is moving", BYTES("VALKEY080\363\1j\1\0\0\0\1k\1v\377\0\0\0\0\0\0\0\0"),
	 false, 0, 0},
	{"Valkey's to come", BYTES("VALKEY081\377\0\0\0\0\0\0\0\0"), false, 0, 0},
	{"Valkey's of Redis' version", BYTES("VALKEY010\377\0\0\0\0\0\0\0\0"), false, 0, 0},
	{"Redis' of Valkey's version", BYTES("REDIS0080\377\0\0\0\0\0\0\0\0"), false, 0, 0},
	{"version 0", BYTES("REDIS0000\377"), false, 0, 0},
	{"a version to come", BYTES("REDIS0013\377\0\0\0\0\0\0\0\0"), false, 0, 0},
	{"no number", BYTES("REDIS00x0\377\0\0\0\0\0\0\0\0"), false, 0, 0},
	{"no end", BYTES("REDIS0010\0\1k\1v"), false, 1, 0},
	{"no sum", BYTES("REDIS0010\0\1k\1v\377"), false, 1, 0},
	{"another sum",
	 BYTES("REDIS0010\0\1k\1v\377"
	       "12345678"),
	 false, 1, 0},
	{"no such type", BYTES("REDIS0010\52\1k\1v\377\0\0\0\0\0\0\0\0"), false, 0, 0},
	{"no such database",
	 BYTES("REDIS0010\376\201\377\377\377\377\377\377\377\377\377\0\0\0\0\0\0\0\0"), false, 0,
	 0},
};

static void test_by_hand(void **state)
{
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		struct rdb_file_result result;
		struct loading l;

		if (load(&l, files[i].bytes, &result) != files[i].whole ||
		    (result.error == NULL) != files[i].whole || l.keys != files[i].keys ||
		    l.unknown != files[i].unknown)
			fail_msg("%s: %s at %lu, %lu and %lu keys", files[i].label,
				 result.error ? result.error : "no error",
				 (unsigned long)result.offset, (unsigned long)l.keys,
				 (unsigned long)l.unknown);
		load_end(&l);
	}
}

static bool stop(void *arg, const struct rdb_key *key)
{
	return ++*(int *)arg < 2;
}

static void test_stop(void **state)
{
	const struct rdb_file_events stopping = {.key = stop};
	struct slice bytes = BYTES("REDIS0010\0\1a\1v\0\1b\1v\0\1c\1v\377\0\0\0\0\0\0\0\0");
	struct rdb_file_result result;
	int keys = 0;

	assert_false(rdb_file_read(bytes, &stopping, &keys, &result));
	assert_null(result.error);
	assert_int_equal(keys, 2);
	assert_int_equal(result.offset, 14);
}

/* --- damage --- */

/* Nothing but decodes: a store for each of thousands of files would take long. */
static bool decode_key(void *arg, const struct rdb_key *found)
{
	struct store *s = arg;
	struct key key;
	struct rdb_in in = rdb_in_of(found->value, UINT32_MAX);

	key_prepare(&key, s->ks, found->name);
	struct ctx ctx = {.keys = &key,
			  .key_count = 1,
			  .now = 1000,
			  .ks = s->ks,
			  .shard = s->ks->shards[0],
			  .holder = true};
	struct entry *e = rdb_decode(&ctx, 0, found->type, found->expire, &in);
	if (e) {
		struct digest digest = {0};
		value_digest(e, &digest);
		entry_free(e);
	}
	return true;
}

/* Bytes of exactly that length, so that a sanitizer sees a read beyond them. */
static bool read_copy(struct store *s, const char *bytes, size_t len, size_t at, int change)
{
	const struct rdb_file_events decoding = {.key = decode_key};
	struct rdb_file_result result;
	char *copy = malloc(len + 1);

	copy = realloc(memcpy(copy, bytes, len), len ? len : 1);
	if (at < len)
		copy[at] = (char)(copy[at] ^ change);
	bool whole = rdb_file_read((struct slice){copy, len}, &decoding, s, &result);
	assert_true(whole == (result.error == NULL));
	assert_true(result.offset <= len);
	free(copy);
	return whole;
}

/* A small key of each kind. */
static void fill_small(struct store *s)
{
	store_init(s, 1);
	store_run(s, "SET a value PXAT 4102444800000");
	store_run(s, "SET b aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	store_run(s, "RPUSH c a b 3");
	store_run(s, "SADD d 1 2 3");
	store_run(s, "SADD e a b 7");
	store_run(s, "ZADD f 1 a 2.5 b");
	store_run(s, "ZADD g 1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	store_run(s, "HSET h a 1 b 2");
	store_run(s,
		  "HSET i a 1 b aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	store_run(s, "HSET j a 1 b 2");
	store_run(s, "HPEXPIREAT j 4102444800000 FIELDS 1 a");
	store_run(s,
		  "HSET k a 1 b aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	store_run(s, "HPEXPIREAT k 4102444800000 FIELDS 1 a");
}

/* Every prefix, every byte changed in every bit and to the ends of its range. */
static void test_damaged(void **state)
{
	for (int checksum = 0; checksum < 2; checksum++) {
		struct store s;
		struct io_map map;

		fill_small(&s);
		assert_int_equal(write_file(&s, true, checksum), 0);
		assert_int_equal(io_map(dir, "dump.rdb", &map), 0);
		assert_true(read_copy(&s, map.bytes, map.len, SIZE_MAX, 0));
		for (size_t len = 0; len < map.len; len++)
			assert_false(read_copy(&s, map.bytes, len, SIZE_MAX, 0));
		for (size_t at = 0; at < map.len; at++) {
			static const int changes[] = {1, 2, 4, 8, 16, 32, 64, 128, 255};
			for (size_t i = 0; i < COUNT_OF(changes); i++)
				if (read_copy(&s, map.bytes, map.len, at, changes[i]) && checksum)
					/* old versions have no sum */
					assert_in_range(at, 5, 8);
			store_collect(&s);
		}
		io_unmap(&map);
		store_deinit(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_version),
		cmocka_unit_test(test_full_disk),      cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_stop),           cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
