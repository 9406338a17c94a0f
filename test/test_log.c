/* The log: levels, long lines, and a file that is moved away, removed, or can't be had again. */
#include "test/check.h"

#include "persist/file.h"
#include "proto/mem.h"
#include "server/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX (64 * 1024)

static char directory[] = "/tmp/test_log.XXXXXX";

static int enter_directory(void **state)
{
	return mkdtemp(directory) ? chdir(directory) : -1;
}

static int leave_directory(void **state)
{
	unlink("log");
	unlink("log.1");
	return chdir("/") || rmdir(directory);
}

/* How often the word is in the file; -1 when there is no such file. */
static int count_in(const char *path, const char *word)
{
	char *text;
	size_t len;
	int count = 0;

	if (file_read(path, TEXT_MAX, &text, &len))
		return -1;
	for (const char *p = text; (p = strstr(p, word)); p++)
		count++;
	mem_free_unsized(text);
	return count;
}

static void test_levels(void **state)
{
	static const enum log_level levels[] = {LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING,
						  LOG_NOTHING};

	(void)state;
	assert_int_equal(log_open("log"), 0);
	for (size_t i = 0; i < COUNT_OF(levels); i++) {
		char word[16];
		log_set_level(levels[i]);
		snprintf(word, sizeof(word), "least=%zu", i);
		for (size_t j = 0; levels[j] < LOG_NOTHING; j++) {
			assert_int_equal(log_wants(levels[j]), j >= i);
			log_write(levels[j], "%s", word);
		}
		assert_int_equal(count_in("log", word), (int)(LOG_NOTHING - levels[i]));
	}
	log_set_level(LOG_NOTICE);
	assert_int_equal(count_in("log", " * least=0\n"), 1);
	assert_int_equal(count_in("log", " # least=3\n"), 1);
}

static void test_long_lines(void **state)
{
	char text[5000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	assert_int_equal(log_open("log"), 0);
	int lines = count_in("log", "\n");
	log_write(LOG_NOTICE, "%s", text);
	log_write(LOG_NOTICE, "after");
	assert_int_equal(count_in("log", "\n"), lines + 2);
	assert_int_equal(count_in("log", "xxx\n"), 1);
	assert_int_equal(count_in("log", " * after\n"), 1);
}

/* Each line is in the file that has the log's name when it is written. */
static void test_rotation(void **state)
{
	(void)state;
	assert_int_equal(log_open("log"), 0);
	log_write(LOG_NOTICE, "one;");
	assert_int_equal(rename("log", "log.1"), 0);
	log_write(LOG_NOTICE, "two;");
	log_write(LOG_NOTICE, "three;");
	assert_int_equal(count_in("log.1", "one;"), 1);
	assert_int_equal(count_in("log.1", "two;"), 0);
	assert_int_equal(count_in("log", "two;"), 1);
	assert_int_equal(count_in("log", "three;"), 1);
	assert_int_equal(unlink("log"), 0);
	log_write(LOG_NOTICE, "four;");
	assert_int_equal(count_in("log", "four;"), 1);
	assert_int_equal(count_in("log", "three;"), 0);
}

/* A directory stands where the log was: lines go on into the file that has been moved. */
static void test_no_new_file(void **state)
{
	(void)state;
	assert_int_equal(log_open("log"), 0);
	assert_int_equal(rename("log", "log.1"), 0);
	assert_int_equal(mkdir("log", 0755), 0);
	log_write(LOG_NOTICE, "five;");
	assert_int_equal(count_in("log.1", "five;"), 1);
	assert_int_equal(rmdir("log"), 0);
	log_write(LOG_NOTICE, "six;");
	assert_int_equal(count_in("log.1", "six;"), 0);
	assert_int_equal(count_in("log", "six;"), 1);
}

static void test_controls(void **state)
{
	(void)state;
	assert_int_equal(log_open("log"), 0);
	int lines = count_in("log", "\n");
	log_write(LOG_NOTICE, "key '%s'", "a\nb\r\t\x1b[2J\x7f\xc3\xa4");
	assert_int_equal(count_in("log", "\n"), lines + 1);
	assert_int_equal(count_in("log", "key 'a?b???[2J?\xc3\xa4'\n"), 1);
}

static void test_open_fails(void **state)
{
	(void)state;
	assert_int_equal(log_open("log"), 0);
	assert_int_equal(log_open("no/such/directory/log"), -ENOENT);
	log_write(LOG_NOTICE, "seven;");
	assert_int_equal(count_in("log", "seven;"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),     cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_rotation),   cmocka_unit_test(test_no_new_file),
		cmocka_unit_test(test_open_fails), cmocka_unit_test(test_controls),
	};
	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
