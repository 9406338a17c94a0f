/*
 * Redis' append-only files: manifests of all kinds, commands in order whatever the number of
 * threads, torn ends; and whatever is done to the bytes, loading ends.
 */
#include "persist/aof.h"
#include "test/store.h"

#include <string.h>

/* --- manifests --- */

static const struct {
	const char *label;
	const char *text;
	const char *names; /* in order, each with a space behind; NULL: it is none */
	const char *error;
	uint32_t line;
} manifests[] = {
	{"base and increments",
	 "file a.rdb seq 1 type b\nfile b.aof seq 1 type i\nfile c.aof seq 2 type i\n",
	 "a.rdb b.aof c.aof ", NULL, 0},
	{"the base comes first", "file b.aof seq 7 type i\nfile a.rdb seq 2 type b\n",
	 "a.rdb b.aof ", NULL, 0},
	{"in any order, without an end", "seq 1 type i file x", "x ", NULL, 0},
	{"comments, history, what is unknown",
	 "# hello\nfile old seq 1 type h\nfile x seq 1 type i mood good\n\n", "x ", NULL, 0},
	{"quotes", "file \"a b\\x41\" seq 1 type i\n", "a bA ", NULL, 0},
	{"line ends of others", "file x seq 1 type i\r\n", "x ", NULL, 0},
	{"empty", "", NULL, "it names no file", 0},
	{"history only", "file x seq 1 type h\n", NULL, "it names no file", 1},
	{"no file", "seq 1 type i\n", NULL, "it doesn't say file, seq and type", 1},
	{"an empty name", "file \"\" seq 1 type i\n", NULL, "it doesn't say file, seq and type", 1},
	{"no number", "file x seq y type i\n", NULL, "it doesn't say file, seq and type", 1},
	{"no type", "file x seq 1\n", NULL, "it doesn't say file, seq and type", 1},
	{"no pairs", "file x seq 1 type i more\n", NULL, "it doesn't say file, seq and type", 1},
	{"no such type", "\nfile x seq 1 type z\n", NULL, "there is no such type", 2},
	{"a path", "file x/y seq 1 type i\n", NULL, "the file's name must not be a path", 1},
	{"quotes that don't balance", "file \"x seq 1 type i\n", NULL, "quotes don't balance", 1},
	{"two bases", "file x seq 1 type b\nfile y seq 2 type b\n", NULL, "there is another base",
	 2},
	{"twice the same number", "file x seq 1 type i\nfile y seq 1 type i\n", NULL,
	 "the sequence numbers don't rise", 2},
};

static void test_manifests(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(manifests); i++) {
		struct aof_manifest manifest;
		const char *error;
		char names[100] = "";
		uint32_t line;
		bool good =
			aof_manifest_parse(slice_of(manifests[i].text), &manifest, &error, &line);
		for (uint32_t j = 0; j < manifest.count; j++)
			strcat(strcat(names, manifest.parts[j].name), " ");
		if (good != (manifests[i].names != NULL) ||
		    (good ? strcmp(names, manifests[i].names) != 0
			  : strcmp(error, manifests[i].error) != 0 || line != manifests[i].line))
			fail_msg("%s: \"%s\", %s, line %u", manifests[i].label, names,
				 good ? "no error" : error, line);
		aof_manifest_free(&manifest);
	}
}

/* --- commands --- */

/* A request of words, appended. */
static void add(char *text, const char *words)
{
	char copy[200], *at = copy, *word, *save = NULL;
	int argc = 0;
	snprintf(copy, sizeof(copy), "%s", words);
	for (const char *c = words; *c; c++)
		argc += *c == ' ';
	sprintf(text + strlen(text), "*%d\r\n", argc + 1);
	while ((word = strtok_r(at, " ", &save))) {
		at = NULL;
		sprintf(text + strlen(text), "$%zu\r\n%s\r\n", strlen(word), word);
	}
}

static void make_text(char *text)
{
	text[0] = '\0';
	add(text, "SELECT 0");
	add(text, "SET a 1 PXAT 4102444800000");
	strcat(text, "#TS:1700000000\r\n");
	add(text, "RPUSH list x y z");
	add(text, "MULTI");
	add(text, "MSET b 2 c 3 d 4");
	add(text, "select 2");
	add(text, "HSET hash f v");
	add(text, "EXEC");
	add(text, "SET e 5");
	add(text, "SELECT 0");
	add(text, "RENAME b other");
	add(text, "SUNIONSTORE s none1 none2");
	add(text, "SWAPDB 0 2");
}

static bool load_with(struct aof_load *aof, struct store *s, const char *bytes, size_t len,
		      uint32_t threads)
{
	struct load_file file = {.name = "file", .bytes = {bytes, len}};
	store_init(s, 2);
	aof->load.ks = s->ks;
	aof->load.threads = threads;
	aof->load.now = 5000;
	bool good = aof_load(aof, &file, 1);
	assert_int_equal(good, aof->load.error[0] == '\0');
	store_check_closed(s);
	return good;
}

static void test_commands(void **state)
{
	char text[2000];

	(void)state;
	make_text(text);
	for (uint32_t threads = 1; threads <= 4; threads++) {
		struct store s;
		_Atomic uint64_t done = 0;
		struct aof_load aof = {.load = {.done = &done}};
		if (!load_with(&aof, &s, text, strlen(text), threads))
			fail_msg("%s", aof.load.error);
		assert_int_equal(done, strlen(text));
		assert_int_equal(aof.commands, 8);
		assert_int_equal(aof.torn, 0);
		assert_string_equal(store_run(&s, "EXISTS hash"), ":1\r\n");
		assert_string_equal(store_run(&s, "GET e"), "$1\r\n5\r\n");
		s.db = 2;
		assert_string_equal(store_run(&s, "MGET a other c d"),
				    "*4\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n");
		assert_string_equal(store_run(&s, "PEXPIRETIME a"), ":4102444800000\r\n");
		assert_string_equal(store_run(&s, "LLEN list"), ":3\r\n");
		store_deinit(&s);
	}
}

/* An RDB file in front of commands. */
static void test_preamble(void **state)
{
	static const char rdb[] = "REDIS0010\0\1k\1v\377\0\0\0\0\0\0\0\0";
	char text[200] = "";
	struct store s;
	struct aof_load aof = {0};

	(void)state;
	add(text, "APPEND k w");
	size_t len = strlen(text);
	memmove(text + sizeof(rdb) - 1, text, len + 1);
	memcpy(text, rdb, sizeof(rdb) - 1);
	assert_true(load_with(&aof, &s, text, sizeof(rdb) - 1 + len, 2));
	assert_string_equal(store_run(&s, "GET k"), "$2\r\nvw\r\n");
	store_deinit(&s);
}

/* Times to live as Redis doesn't write them count from the start of the load. */
static void test_relative_times(void **state)
{
	static const struct {
		const char *words, *expected;
	} rows[] = {
		{"SETEX k 10 v", ":15000\r\n"},
		{"PSETEX k 10 v", ":5010\r\n"},
		{"SET k v EX 10", ":15000\r\n"},
		{"SET k v px 10", ":5010\r\n"},
		{"SET k v PXAT 4000", ":4000\r\n"},
		{"SET k v", ":-1\r\n"},
		{"SET k ex", ":-1\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct store s;
		struct aof_load aof = {0};
		char text[200] = "";
		add(text, rows[i].words);
		assert_true(load_with(&aof, &s, text, strlen(text), 2));
		assert_string_equal(store_run(&s, "PEXPIRETIME k"), rows[i].expected);
		store_deinit(&s);
	}
}

static void test_errors(void **state)
{
	static const struct {
		const char *words, *error;
	} rows[] = {
		{"XADD s 1-1 a b", "file at byte 23: XADD is not supported, key 's'"},
		{"SET k", "file at byte 23: ERR wrong number of arguments for 'set' command"},
		{"SELECT 4", "file at byte 23: there are more databases in it than here"},
		{"SELECT x", "file at byte 23: there are more databases in it than here"},
		{"INCRBY k x",
		 "file at byte 23: INCRBY: -ERR value is not an integer or out of range"},
		{"CLIENT ID", "file at byte 23: CLIENT is not supported, key 'ID'"},
		{"PING", "file at byte 23: PING is not supported, key ''"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct store s;
		struct aof_load aof = {0};
		char text[300] = "";
		add(text, "SELECT 0");
		add(text, rows[i].words);
		add(text, "SET k v");
		assert_false(load_with(&aof, &s, text, strlen(text), 2));
		assert_string_equal(aof.load.error, rows[i].error);
		store_deinit(&s);
	}
}

/* --- damage --- */

static bool load_copy(const char *bytes, size_t len, size_t at, int change, bool may_be_torn)
{
	struct store s;
	struct aof_load aof = {.load = {.skip_unknown = true}, .may_be_torn = may_be_torn};
	char *copy = malloc(len + 1);

	/* Of exactly that length, so that a sanitizer sees a read beyond them. */
	copy = realloc(memcpy(copy, bytes, len), len ? len : 1);
	if (at < len)
		copy[at] = (char)(copy[at] ^ change);
	bool good = load_with(&aof, &s, copy, len, 2);
	assert_true(aof.torn <= len);
	store_deinit(&s);
	free(copy);
	return good;
}

/* Every prefix loads where it may, every byte changed is an error or a load. */
static void test_damaged(void **state)
{
	char text[2000];

	(void)state;
	make_text(text);
	size_t len = strlen(text);
	for (size_t at = 0; at < len; at++) {
		assert_true(load_copy(text, at, len, 0, true));
		load_copy(text, at, len, 0, false);
		load_copy(text, len, at, 1 << at % 8, true);
		load_copy(text, len, at, 0xff, true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manifests),      cmocka_unit_test(test_commands),
		cmocka_unit_test(test_relative_times), cmocka_unit_test(test_preamble),
		cmocka_unit_test(test_errors),         cmocka_unit_test(test_damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
