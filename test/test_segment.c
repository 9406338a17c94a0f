/* Segments and COMMITS when calls on files fail: nothing is lost, nothing is out of order. */
#include "persist/commits.h"
#include "persist/fault.h"
#include "persist/segment.h"
#include "test/check.h"

#include "proto/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define RECORDS 40
/* A new generation begins with each of these records. */
#define GENERATION_RECORDS 10
/* Attempts until something must have gone well. */
#define ATTEMPTS 4

static char directory[64];
static int dir;

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/test_segment.XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	return io_open_dir(directory, &dir);
}

static void test_directory_lasts(void **state)
{
	(void)state;
	int another = -1;
	assert_true(fault_set_text("sync EIO"));
	assert_int_equal(io_open_dir(directory, &another), -EIO);
	assert_int_equal(another, -1);
	assert_int_equal(fault_calls(IO_SYNC), 1);
	assert_int_equal(io_open_dir(directory, &another), 0);
	fault_clear();
	close(another);
}

static void remove_segments(void)
{
	for (uint64_t cut = 0; cut < RECORDS / GENERATION_RECORDS; cut++) {
		char name[SEGMENT_NAME_MAX];
		segment_name(&(struct segment_id){1, cut, 0}, name);
		unlinkat(dir, name, 0);
	}
}

static int teardown(void **state)
{
	(void)state;
	fault_clear();
	remove_segments();
	unlinkat(dir, COMMITS_NAME, 0);
	close(dir);
	return rmdir(directory);
}

/* The n-th record; they differ in length. */
static size_t record(uint32_t n, char out[64])
{
	return (size_t)sprintf(out, "<%" PRIu32 ":%.*s>\n", n, (int)(n % 7), "abcdefg");
}

/* As shard/journal.c does it. */
static void append(struct journal *journal, uint32_t n)
{
	char text[64];
	size_t len = record(n, text);
	if (n > 0 && n % GENERATION_RECORDS == 0) {
		journal->segment_at = journal->buf.len;
		atomic_store(&journal->cut, n / GENERATION_RECORDS);
	}
	chain_add(&journal->buf, text, len);
	atomic_fetch_add(&journal->appended, len);
}

/*
 * The files hold the records in order, each generation its own, and no more than `written` bytes.
 */
static void check_files(uint64_t written, uint32_t generations)
{
	uint64_t found = 0;
	for (uint32_t cut = 0; cut < generations; cut++) {
		char name[SEGMENT_NAME_MAX], expected[GENERATION_RECORDS * 64];
		size_t len = 0;
		struct io_map map;
		segment_name(&(struct segment_id){1, cut, 0}, name);
		for (uint32_t i = 0; i < GENERATION_RECORDS; i++)
			len += record(cut * GENERATION_RECORDS + i, expected + len);
		if (io_map(dir, name, &map) == -ENOENT)
			continue;
		map.len = segment_trimmed(map.bytes, map.len);
		assert_true(map.len <= len);
		if (map.len > 0)
			assert_memory_equal(map.bytes, expected, map.len);
		if (map.len < len)
			generations = cut + 1; /* nothing stands in a later one */
		found += map.len;
		io_unmap(&map);
	}
	assert_int_equal(found, written);
}

/* Calls since the last rule was set. */
static uint64_t calls(void)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < IO_CALL_COUNT; i++)
		sum += fault_calls((enum io_call)i);
	return sum;
}

/* Appends, writes `most` bytes at a time, and syncs; every failure is tried again. */
static void run_scenario(bool ahead, size_t most)
{
	struct journal journal;
	struct segment segment;
	int attempts = 0, error;
	journal_init(&journal);
	while ((error = segment_open(&segment, dir, &(struct segment_id){1, 0, 0}, &journal))) {
		segment_close(&segment);
		assert_true(++attempts < ATTEMPTS);
	}
	for (uint32_t n = 0; n < RECORDS; n++) {
		append(&journal, n);
		for (attempts = 0;
		     (error = segment_write(&segment, most, ahead)) || segment.more;) {
			attempts += error != 0;
			assert_int_equal(atomic_load(&segment.error), error);
			check_files(atomic_load(&journal.written), RECORDS / GENERATION_RECORDS);
			assert_true(attempts < ATTEMPTS);
		}
		assert_int_equal(atomic_load(&segment.error), 0);
		assert_int_equal(atomic_load(&journal.written), atomic_load(&journal.appended));
		for (attempts = 0; n % 3 == 0 && segment_sync(&segment); attempts++)
			assert_true(attempts < ATTEMPTS);
	}
	fault_clear();
	assert_int_equal(segment_sync(&segment), 0);
	assert_int_equal(segment.old_count, 0);
	check_files(atomic_load(&journal.appended), RECORDS / GENERATION_RECORDS);
	segment_close(&segment);
	journal_deinit(&journal);
	remove_segments();
}

static const char *const segment_rules[] = {"any EIO", "short ENOSPC", "write ENOSPC",
					    "open EMFILE"};

static void test_segment_each_call(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * COUNT_OF(segment_rules); i++) {
		uint32_t skip = 0;
		size_t most = i < COUNT_OF(segment_rules) ? SIZE_MAX : 5; /* several a record */
		do {
			char rule[64];
			snprintf(rule, sizeof(rule), "%s %" PRIu32,
				 segment_rules[i % COUNT_OF(segment_rules)], skip);
			assert_true(fault_set_text(rule));
			run_scenario(i % 2 == 0, most);
		} while (++skip < calls());
		assert_true(skip > RECORDS);
	}
}

/* --- COMMITS --- */

static bool run_commits(void)
{
	struct commits commits;
	struct commit last;
	bool failed = false;
	int attempts = 0;
	while (commits_open(&commits, dir, &(struct commit){.epoch = 1, .ms = 1000})) {
		failed = true;
		assert_true(++attempts < ATTEMPTS);
	}
	for (uint64_t epoch = 2; epoch < 12; epoch++) {
		struct commit commit = {.epoch = epoch,
					.ms = 1000 + (int64_t)epoch,
					.always = epoch % 3 == 0};
		for (attempts = 0; commits_add(&commits, &commit); attempts++) {
			failed = true;
			assert_true(attempts < ATTEMPTS);
			/* what was committed stays so, whatever became of this one */
			assert_int_equal(commits_last(dir, &last), 0);
			assert_in_range(last.epoch, epoch - 1, epoch);
		}
		assert_int_equal(commits_last(dir, &last), 0);
		assert_int_equal(last.epoch, epoch);
		assert_int_equal(last.ms, commit.ms);
	}
	fault_clear();
	commits_close(&commits);
	unlinkat(dir, COMMITS_NAME, 0);
	return failed;
}

static void test_commits_each_call(void **state)
{
	static const char *const rules[] = {"any EIO", "short ENOSPC", "sync EIO", "rename EROFS"};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rules); i++) {
		uint32_t skip = 0;
		for (bool failed = true; failed; skip++) {
			char rule[64];
			snprintf(rule, sizeof(rule), "%s %" PRIu32, rules[i], skip);
			assert_true(fault_set_text(rule));
			failed = run_commits();
		}
		assert_true(skip > 1);
	}
}

/* --- io_replace: the manifest and whatever else is replaced --- */

static void check_content(const char *const *possible, size_t count)
{
	struct io_map map;
	bool found = false;
	assert_int_equal(io_map(dir, "file", &map), 0);
	for (size_t i = 0; i < count; i++)
		found |= map.len == strlen(possible[i]) && !memcmp(map.bytes, possible[i], map.len);
	io_unmap(&map);
	assert_true(found);
}

static void test_replace_each_call(void **state)
{
	static const char *const texts[] = {"the old text", "the new and longer text"};
	int error = -1;
	(void)state;
	for (uint32_t skip = 0; error; skip++) {
		char rule[64];
		assert_int_equal(io_replace(dir, "file", texts[0], strlen(texts[0])), 0);
		snprintf(rule, sizeof(rule), "any ENOSPC %" PRIu32, skip);
		assert_true(fault_set_text(rule));
		error = io_replace(dir, "file", texts[1], strlen(texts[1]));
		fault_clear();
		check_content(texts + !error, error ? 2 : 1);
		assert_int_equal(faccessat(dir, "file.tmp", F_OK, 0), -1);
	}
	unlinkat(dir, "file", 0);
}

/* --- rules --- */

static const struct {
	const char *text;
	bool right;
} rules[] = {
	{"any EIO", true},
	{"SYNC eio 3", true},
	{"short ENOSPC 3 0", true},
	{"open EIO 1 1 1", false},
	{"", false},
	{"open", false},
	{"open EWHAT", false},
	{"shut EIO", false},
	{"open EIO x", false},
	{"open EIO 1 -1", false},
	{"rename EROFS 0 2", true},
	{"any KILL 3", true},
};

static void test_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rules); i++)
		assert_int_equal(fault_set_text(rules[i].text), rules[i].right);
	fault_clear();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_segment_each_call, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commits_each_call, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace_each_call, setup, teardown),
		cmocka_unit_test_setup_teardown(test_directory_lasts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rules, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
