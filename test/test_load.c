/*
 * Loading RDB files on several threads: all keys arrive, whatever stands in one or several files;
 * what can't be held is left out or refused by name; and whatever is done to the bytes, loading
 * ends.
 */
#include "persist/io.h"
#include "persist/load.h"
#include "persist/rdb_file.h"
#include "test/store.h"

#include "proto/mem.h"
#include "shard/table_block.h"

#include <string.h>
#include <unistd.h>

#define KEYS  3000
#define PARTS 3

static char directory[64];
static int dir;

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/test_load.XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	return io_open_dir(directory, &dir);
}

static int teardown(void **state)
{
	(void)state;
	close(dir);
	return rmdir(directory);
}

/* Keys of all types in two databases; numbers and packed strings as names, too. */
static void fill(struct store *s)
{
	store_init(s, 2);
	for (int i = 0; i < KEYS; i++) {
		s->db = i % 10 == 0 ? 3 : 0;
		store_runf(s, "SET key:%d value:%d", i, i);
		store_runf(s, "SET %d %d", i, i * 7);
	}
	for (int i = 0; i < 50; i++) {
		store_runf(s, "SET volatile:%d x PXAT %d", i, i < 20 ? 2000 : 9000000);
		store_runf(s, "RPUSH list:%d a b %d", i, i);
		store_runf(s, "SADD set:%d a b %d", i, i);
		store_runf(s, "ZADD zset:%d 1 a 2.5 %d", i, i);
		store_runf(s, "HSET hash:%d a 1 b %d", i, i);
		store_runf(s, "SET aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:%d x",
			   i);
	}
	for (int i = 0; i < 300; i++) {
		store_runf(s, "RPUSH long_list element:%d", i);
		store_runf(s, "SADD large_set member:%d", i);
		store_runf(s, "ZADD large_zset %d member:%d", i * 7, i);
		store_runf(s, "HSET large_hash field:%d value:%d", i, i);
	}
	s->db = 0;
}

/* --- files of it --- */

struct files {
	struct load_file files[PARTS];
	struct io_map maps[PARTS];
	uint32_t count;
};

static void write_entry(void *arg, struct entry *e)
{
	rdb_file_key(arg, e, -1, -1);
}

static void write_part(struct store *s, struct files *files, uint32_t part, uint64_t keys)
{
	struct rdb_file file;
	char text[64];
	int fd;
	uint32_t first = SLOT_COUNT * part / files->count;
	uint32_t end = SLOT_COUNT * (part + 1) / files->count;

	assert_int_equal(io_open_new(dir, "part", &fd), 0);
	rdb_file_begin(&file, fd, true, true);
	if (files->count > 1) {
		snprintf(text, sizeof(text), "%u-%u", first, end - 1);
		rdb_file_aux(&file, "sherd-slots", slice_of(text));
	}
	for (uint32_t db = 0; db < STORE_DATABASES; db++) {
		rdb_file_database(&file, db);
		rdb_write_byte(&file.out, 251); /* so many keys, none that expires */
		rdb_write_length(&file.out, keys);
		rdb_write_length(&file.out, 0);
		for (uint32_t i = first; i < end; i++) {
			struct table *table = slot_table(&s->ks->slots[i], db);
			for (uint64_t at = table ? 0 : TABLE_END; at != TABLE_END;)
				at = table_scan(table, at, write_entry, &file);
		}
	}
	assert_int_equal(rdb_file_end(&file), 0);
	close(fd);
	assert_int_equal(io_map(dir, "part", &files->maps[part]), 0);
	assert_int_equal(io_unlink(dir, "part"), 0);
	files->files[part] =
		(struct load_file){.name = "part",
				   .bytes = {files->maps[part].bytes, files->maps[part].len}};
}

static void write_files(struct store *s, struct files *files, uint32_t count, uint64_t keys)
{
	files->count = count;
	for (uint32_t i = 0; i < count; i++)
		write_part(s, files, i, keys);
}

static void files_free(struct files *files)
{
	for (uint32_t i = 0; i < files->count; i++)
		io_unmap(&files->maps[i]);
}

/* --- loading --- */

struct warnings {
	uint32_t count;
	char last[LOAD_TEXT_MAX];
};

static void warn(void *arg, const char *text)
{
	struct warnings *warnings = arg;

	warnings->count++;
	snprintf(warnings->last, sizeof(warnings->last), "%s", text);
}

static bool load(struct load *load, struct store *s, struct load_file *files, uint32_t count,
		 uint32_t threads)
{
	store_init(s, 2);
	load->ks = s->ks;
	load->threads = threads;
	load->now = 5000;
	bool good = load_files(load, files, count);
	assert_int_equal(good, load->error[0] == '\0');
	store_check_closed(s);
	return good;
}

static void digest(struct store *s, char out[64])
{
	snprintf(out, 64, "%s", store_run(s, "DEBUG DIGEST"));
}

/*
 * In one file or several, by fewer threads than files or more, whatever is said of how many keys
 * there are.
 */
static void test_there_and_back(void **state)
{
	static const uint64_t said[] = {0, KEYS, UINT64_MAX};
	struct store s, again;
	char before[64], after[64];

	(void)state;
	fill(&s);
	digest(&s, before);
	for (uint32_t how = 0; how < 2 * COUNT_OF(said); how++) {
		struct files files;
		write_files(&s, &files, how % 2 ? PARTS : 1, said[how / 2]);
		for (uint32_t threads = 1; threads <= 5; threads += 2) {
			_Atomic uint64_t done = 0;
			uint64_t bytes = 0;
			struct load l = {.done = &done};
			if (!load(&l, &again, files.files, files.count, threads))
				fail_msg("%s", l.error);
			for (uint32_t i = 0; i < files.count; i++) {
				assert_int_equal(files.files[i].end, files.files[i].bytes.len);
				bytes += files.files[i].bytes.len;
			}
			assert_int_equal(done, bytes);
			digest(&again, after);
			assert_string_equal(after, before);
			for (uint32_t db = 0; db < STORE_DATABASES; db++) {
				assert_int_equal(keyspace_keys(again.ks, db),
						 keyspace_keys(s.ks, db));
				assert_int_equal(keyspace_expires(again.ks, db),
						 keyspace_expires(s.ks, db));
			}
			assert_string_equal(store_run(&again, "PEXPIRETIME volatile:1"),
					    ":2000\r\n");
			store_deinit(&again);
		}
		files_free(&files);
	}
	store_deinit(&s);
}

/* Of a foreign file what has expired isn't loaded; of ours it is, and found by the sweep. */
static void test_expired(void **state)
{
	struct store s, again;
	struct files files;

	(void)state;
	fill(&s);
	write_files(&s, &files, 1, 0);
	for (int drop = 0; drop < 2; drop++) {
		struct load l = {.drop_expired = drop};
		assert_true(load(&l, &again, files.files, 1, 2));
		assert_int_equal(l.expired, drop ? 20 : 0);
		assert_int_equal(keyspace_keys(again.ks, 0) + keyspace_keys(again.ks, 3), l.keys);
		int64_t expires = keyspace_expires(again.ks, 0);
		assert_int_equal(expires, drop ? 30 : 50);
		store_deinit(&again);
	}
	files_free(&files);
	store_deinit(&s);
}

/* --- by hand --- */

#define BYTES(literal) ((struct slice){(literal), sizeof(literal) - 1})

static const struct {
	const char *label;
	struct slice bytes;
	bool skip;
	const char *error;   /* NULL: none */
	const char *warning; /* the last one */
	uint64_t keys;
} files_by_hand[] = {
	{"a key", BYTES("REDIS0010\0\1k\1v\377\0\0\0\0\0\0\0\0"), false, NULL, NULL, 1},
	{"a stream", BYTES("REDIS0010\0\1k\1v\23\1s\0\0\0\0\0\0\0\0\0\0\377\0\0\0\0\0\0\0\0"),
	 false, "file at byte 14: values of this type are not supported, key 's'", NULL, 1},
	{"a stream skipped",
	 BYTES("REDIS0010\23\1s\0\0\0\0\0\0\0\0\0\0\0\1k\1v\377\0\0\0\0\0\0\0\0"), true, NULL,
	 "file at byte 9: left out a value of a type that is not supported, key 's'", 1},
	{"a module's value", BYTES("REDIS0010\7\1m\1\0\0\1k\1v\377\0\0\0\0\0\0\0\0"), false,
	 "file at byte 9: values of this type are not supported, key 'm'", NULL, 1},
	{"a module's value skipped", BYTES("REDIS0010\7\1m\1\0\0\1k\1v\377\0\0\0\0\0\0\0\0"), true,
	 NULL, "file at byte 9: left out a value of a type that is not supported, key 'm'", 1},
	{"a module's value of old", BYTES("REDIS0010\6\1m\1\0\377\0\0\0\0\0\0\0\0"), true,
	 "file at byte 9: no such type of a value, key 'm'", NULL, 0},
	{"an empty list", BYTES("REDIS0010\1\1l\0\0\1k\1v\377\0\0\0\0\0\0\0\0"), false, NULL,
	 "file at byte 9: left out a collection without elements, key 'l'", 1},
	{"a library", BYTES("REDIS0010\365\3lib\377\0\0\0\0\0\0\0\0"), false, NULL,
	 "file at byte 9: left out a library of functions", 0},
	{"twice", BYTES("REDIS0010\0\1k\1v\0\1k\1w\377\0\0\0\0\0\0\0\0"), false,
	 "file at byte 14: a key that is there twice, key 'k'", NULL, 1},
	{"a broken value", BYTES("REDIS0010\13\1k\1v\377\0\0\0\0\0\0\0\0"), false,
	 "file at byte 9: a packed collection is damaged, key 'k'", NULL, 0},
	{"no such database", BYTES("REDIS0010\376\4\0\1k\1v\377\0\0\0\0\0\0\0\0"), false,
	 "file at byte 11: there are more databases in it than here, key 'k'", NULL, 0},
	{"another sum", BYTES("REDIS0010\0\1k\1v\37712345678"), false,
	 "file at byte 14: the checksum is another: bytes have changed", NULL, 1},
	{"no RDB", BYTES("*1\r\n$4\r\nPING\r\n"), false, "file at byte 0: this is no RDB file",
	 NULL, 0},
	{"nothing", BYTES(""), false, "file at byte 0: the bytes end too early", NULL, 0},
};

static void test_by_hand(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(files_by_hand); i++) {
		struct store s;
		struct warnings warnings = {0};
		struct load l = {.skip_unknown = files_by_hand[i].skip,
				 .warn = warn,
				 .arg = &warnings};
		struct load_file file = {.name = "file", .bytes = files_by_hand[i].bytes};
		const char *error = files_by_hand[i].error ? files_by_hand[i].error : "";
		const char *warning = files_by_hand[i].warning ? files_by_hand[i].warning : "";

		load(&l, &s, &file, 1, 2);
		if (strcmp(l.error, error) != 0 || strcmp(warnings.last, warning) != 0 ||
		    l.keys != files_by_hand[i].keys)
			fail_msg("%s: \"%s\", \"%s\", %lu keys", files_by_hand[i].label, l.error,
				 warnings.last, (unsigned long)l.keys);
		store_deinit(&s);
	}
}

/* Several files, one of them broken: its name is told. */
static void test_one_of_several(void **state)
{
	struct store s;
	struct load l = {0};
	struct load_file files[] = {
		{.name = "good", .bytes = BYTES("REDIS0010\0\1a\1v\377\0\0\0\0\0\0\0\0")},
		{.name = "bad", .bytes = BYTES("REDIS0010\0\1b\1v\0\1c")},
		{.name = "fine", .bytes = BYTES("REDIS0010\0\1d\1v\377\0\0\0\0\0\0\0\0")},
	};

	(void)state;
	assert_false(load(&l, &s, files, COUNT_OF(files), 2));
	assert_string_equal(l.error, "bad at byte 14: the bytes end too early, key 'c'");
	store_deinit(&s);
}

/* --- damage --- */

static bool load_copy(const char *bytes, size_t len, size_t at, int change)
{
	struct store s;
	struct load l = {.skip_unknown = true};
	char *copy = malloc(len + 1);

	/* Of exactly that length, so that a sanitizer sees a read beyond them. */
	copy = realloc(memcpy(copy, bytes, len), len ? len : 1);
	if (at < len)
		copy[at] = (char)(copy[at] ^ change);
	struct load_file file = {.name = "file", .bytes = {copy, len}};
	bool good = load(&l, &s, &file, 1, 2);
	assert_true(file.end <= len);
	store_deinit(&s);
	free(copy);
	return good;
}

/* Every prefix is an error; so is every changed byte, for there is a sum. */
static void test_damaged(void **state)
{
	struct store s;
	struct files files;

	(void)state;
	store_init(&s, 1);
	store_run(&s, "SET a value PXAT 4102444800000");
	store_run(&s, "SET 12345 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	store_run(&s, "RPUSH c a b 3");
	store_run(&s, "SADD d 1 2 3");
	store_run(&s, "ZADD f 1 a 2.5 b");
	store_run(&s, "HSET h a 1 b 2");
	write_files(&s, &files, 1, 6);
	const char *bytes = files.maps[0].bytes;
	size_t len = files.maps[0].len;
	assert_true(load_copy(bytes, len, len, 0));
	for (size_t at = 0; at < len; at++) {
		assert_false(load_copy(bytes, at, len, 0));
		assert_false(load_copy(bytes, len, at, 1 << at % 8));
		assert_false(load_copy(bytes, len, at, 0xff));
	}
	files_free(&files);
	store_deinit(&s);
}

/* --- room made beforehand --- */

/* Whatever is expected, the table is right; as much as came, it hasn't grown. */
static void test_reserve(void **state)
{
	static const uint64_t expected[] = {0, 1, 10, 300, 770, 850, 2000, 100000};
	const struct hash_seed seed = {1, 2};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(expected); i++) {
		struct table table = {0};
		struct retire retire;
		char name[32];
		retire_init(&retire);
		table_reserve(&table, expected[i], &retire);
		size_t memory = table_memory(&table);
		assert_true(memory <= 1024 + expected[i] * 20);
		for (uint64_t n = 0; n < 5000; n++) {
			int len = snprintf(name, sizeof(name), "key:%lu", (unsigned long)n);
			struct slice key = {name, (size_t)len};
			struct entry *e = entry_new_string(key, SLICE("v"), EXPIRE_NEVER, 0);
			assert_null(table_put(&table, &seed, hash_bytes(&seed, key.ptr, key.len), e,
					      &retire));
			if (expected[i] <= 300 && n + 1 == expected[i] && n > 1)
				assert_int_equal(table_memory(&table), memory);
		}
		assert_int_equal(table_count(&table), 5000);
		for (uint64_t n = 0; n < 5000; n++) {
			int len = snprintf(name, sizeof(name), "key:%lu", (unsigned long)n);
			struct slice key = {name, (size_t)len};
			struct entry *e =
				table_remove(&table, &seed, hash_bytes(&seed, key.ptr, key.len),
					     key, &retire);
			assert_non_null(e);
			entry_free(e);
		}
		assert_int_equal(table_count(&table), 0);
		assert_int_equal(table.root, 0);
		retire_deinit(&retire);
	}
}

/*
 * What says that it has more keys than it has, or elsewhere, gets no more room than for as many as
 * fit the file.
 */
static void test_no_room_for_lies(void **state)
{
	static const struct slice fronts[] = {
		BYTES("\372\13sherd-slots\0030-0\373\200\177\377\377\377\0"),
		BYTES("\373\200\177\377\377\377\0\372\13sherd-slots\0030-0"),
		BYTES("\372\13sherd-slots\0050-999\373\200\177\377\377\377\0"),
	};
	enum { ROOM = 400000, NAMES = 12000 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(fronts); i++) {
		struct store s;
		struct load l = {0};
		size_t memory = 0, len = 9 + fronts[i].len;
		char *bytes = malloc(ROOM);
		memcpy(mempcpy(bytes, "REDIS0010", 9), fronts[i].ptr, fronts[i].len);
		for (uint32_t n = 0; n < NAMES; n++) {
			if (n % (NAMES / STORE_DATABASES) == 0) {
				bytes[len++] = (char)254;
				bytes[len++] = (char)(n / (NAMES / STORE_DATABASES));
			}
			len += (size_t)sprintf(bytes + len, "%c%ckey:%08u%cv", 0, 12, n, 1);
		}
		memcpy(bytes + len, "\377\0\0\0\0\0\0\0\0", 9);
		struct load_file file = {.name = "file", .bytes = {bytes, len + 9}};
		if (!load(&l, &s, &file, 1, 2))
			fail_msg("%zu: %s", i, l.error);
		assert_int_equal(l.keys, NAMES);
		for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
			for (uint32_t db = 0; db < STORE_DATABASES; db++) {
				const struct table *table = slot_table(&s.ks->slots[slot], db);
				memory += table ? table_memory(table) : 0;
			}
		if (memory > NAMES * 300)
			fail_msg("%zu: %zu bytes of tables", i, memory);
		store_deinit(&s);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_expired),
		cmocka_unit_test(test_by_hand),        cmocka_unit_test(test_one_of_several),
		cmocka_unit_test(test_damaged),        cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_no_room_for_lies),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
