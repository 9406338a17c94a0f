/* Configuration files and command lines: their syntax, and what is said of what is wrong. */
#include "test/check.h"

#include "proto/mem.h"
#include "server/config.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS_MAX 80

static char directory[64];
static char path[96];      /* of the configuration file */
static char text_path[96]; /* what was written to standard error */

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/test_config.XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	sprintf(path, "%s/conf", directory);
	sprintf(text_path, "%s/errors", directory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	unlink(text_path);
	return rmdir(directory);
}

static void write_file(const char *name, const char *text, size_t len)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	fclose(file);
}

/*
 * A load with these arguments, into a fresh configuration; `said` gets what went to standard error.
 */
struct load {
	struct config config;
	int result;
	char said[32 * 1024];
};

static void load_init(struct load *load, const char *const *words)
{
	char *argv[WORDS_MAX + 2] = {"sherd"};
	int argc = 1;

	memset(load, 0, sizeof(*load));
	config_init(&load->config);
	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)words[argc - 1];
	int before = dup(STDERR_FILENO);
	assert_non_null(freopen(text_path, "w+", stderr));
	load->result = config_load(&load->config, argc, argv);
	fflush(stderr);
	dup2(before, STDERR_FILENO);
	close(before);
	FILE *file = fopen(text_path, "r");
	size_t len = fread(load->said, 1, sizeof(load->said) - 1, file);
	load->said[len] = 0;
	fclose(file);
}

static void load_deinit(struct load *load)
{
	config_deinit(&load->config);
}

static void check_value(struct load *load, const char *label, const char *name, const char *value)
{
	struct reply reply;

	reply_init(&reply, 2);
	config_format(&load->config, config_find(slice_of(name)), &reply);
	*reply_room(&reply, 1) = '\0';
	if (strcmp(reply.buf, value) != 0)
		fail_msg("%s: %s is '%s'", label, name, reply.buf);
	reply_deinit(&reply);
}

static void check_said(const struct load *load, const char *label, const char *part)
{
	if (!strstr(load->said, part))
		fail_msg("%s: %s", label, load->said);
}

/* --- the file --- */

static const struct {
	const char *label;
	const char *text;
	const char *name, *value; /* that option afterwards */
} good_rows[] = {
	{"empty", "", "timeout", "0"},
	{"empty lines", "\n\n\r\n \t\n", "timeout", "0"},
	{"a comment", "# timeout 5\n", "timeout", "0"},
	{"a comment behind spaces", " \t# timeout 5\n", "timeout", "0"},
	{"an option", "timeout 5\n", "timeout", "5"},
	{"without an end", "timeout 5", "timeout", "5"},
	{"any case", "TimeOut 5\n", "timeout", "5"},
	{"spaces and tabs", " \t timeout \t 5 \t\n", "timeout", "5"},
	{"line ends of others", "timeout 5\r\nhz 20\r\n", "timeout", "5"},
	{"the last one counts", "timeout 5\ntimeout 6\n", "timeout", "6"},
	{"quotes", "requirepass \"a b\"\n", "requirepass", "a b"},
	{"quotes around nothing", "requirepass \"\"\n", "requirepass", ""},
	{"escapes", "requirepass \"\\x41\\\"\\\\\\n\"\n", "requirepass", "A\"\\\n"},
	{"single quotes", "requirepass 'a \"b\" \\'c\\' \\x41'\n", "requirepass",
	 "a \"b\" 'c' \\x41"},
	{"a hash is no comment later", "requirepass a#b\n", "requirepass", "a#b"},
	{"a quoted name", "\"timeout\" 5\n", "timeout", "5"},
	{"several words", "bind 127.0.0.1 -::1\n", "bind", "127.0.0.1 -::1"},
	{"several words in quotes", "bind \"127.0.0.1 -::1\"\n", "bind", "127.0.0.1 -::1"},
	{"limits, by and by",
	 "client-output-buffer-limit normal 1 2 3\nclient-output-buffer-limit pubsub 4mb 5 6\n",
	 "client-output-buffer-limit",
	 "normal 1 2 3 slave 268435456 67108864 60 pubsub 4194304 5 6"},
	{"memory", "proto-max-bulk-len 2mb\n", "proto-max-bulk-len", "2097152"},
	{"fixed ones too", "port 0\ndatabases 3\n", "databases", "3"},
	{"protected ones too", "enable-debug-command local\n", "enable-debug-command", "local"},
	{"save points", "save 3600 1 300 100\n", "save", "3600 1 300 100"},
	{"save points on several lines", "save 3600 1\nsave 300 100\n", "save", "3600 1 300 100"},
	{"save points taken away", "save 3600 1\nsave \"\"\nsave 5 6\n", "save", "5 6"},
	{"no persistence", "save \"\"\nappendonly no\n", "save", ""},
};

static void test_good_files(void **state)
{
	static struct load load;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good_rows); i++) {
		write_file(path, good_rows[i].text, strlen(good_rows[i].text));
		load_init(&load, (const char *[]){path, NULL});
		if (load.result != 0)
			fail_msg("%s: %s", good_rows[i].label, load.said);
		assert_string_equal(load.said, "");
		check_value(&load, good_rows[i].label, good_rows[i].name, good_rows[i].value);
		assert_string_equal(load.config.file, path);
		load_deinit(&load);
	}
}

#define BAD_LINE   "Bad directive or wrong number of arguments"
#define UNBALANCED "Unbalanced quotes in configuration line"

static const struct {
	const char *label;
	const char *text;
	unsigned line;
	const char *shown, *reason;
} bad_rows[] = {
	{"unknown", "nosuch 1\n", 1, ">>> 'nosuch 1'\n", BAD_LINE},
	{"later", "# c\n\ntimeout 1\n  timeout x \r\n", 4, ">>> 'timeout x'\n", "an integer"},
	{"the last line, without an end", "timeout 1\nnosuch", 2, ">>> 'nosuch'\n", BAD_LINE},
	{"no value", "timeout\n", 1, ">>> 'timeout'\n", BAD_LINE},
	{"two values", "timeout 1 2\n", 1, ">>> 'timeout 1 2'\n", BAD_LINE},
	{"a comment behind", "timeout 1 # seconds\n", 1, "# seconds'\n", BAD_LINE},
	{"out of range", "port 65536\n", 1, ">>> 'port 65536'\n", "between 0 and 65535 inclusive"},
	{"an open quote", "requirepass \"abc\n", 1, ">>> 'requirepass \"abc'\n", UNBALANCED},
	{"an open single quote", "requirepass 'abc\n", 1, "'abc'\n", UNBALANCED},
	{"text behind a quote", "requirepass \"a\"b\n", 1, "\"a\"b'\n", UNBALANCED},
	{"no words", "\"\"\n", 1, ">>> '\"\"'\n", BAD_LINE},
	{"include of nothing", "include\n", 1, ">>> 'include'\n", BAD_LINE},
	{"include of two", "include a b\n", 1, ">>> 'include a b'\n", BAD_LINE},
	{"save points", "save 3600 1 300\n", 1, "save 3600 1 300'\n", "Invalid save parameters"},
};

/* File, line, what is in it, reason. */
static void test_bad_files(void **state)
{
	static struct load load;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad_rows); i++) {
		char text[256], where[160];
		sprintf(text, "%s%s", bad_rows[i].text,
			strchr(bad_rows[i].text, '\n') == NULL ||
					bad_rows[i].text[strlen(bad_rows[i].text) - 1] != '\n'
				? ""
				: "hz 77\n");
		write_file(path, text, strlen(text));
		load_init(&load, (const char *[]){path, NULL});
		if (load.result != -1)
			fail_msg("%s: %d", bad_rows[i].label, load.result);
		sprintf(where, "at line %u (%s)\n", bad_rows[i].line, path);
		check_said(&load, bad_rows[i].label, where);
		check_said(&load, bad_rows[i].label, bad_rows[i].shown);
		check_said(&load, bad_rows[i].label, bad_rows[i].reason);
		load_deinit(&load);
	}
}

static unsigned count_said(const struct load *load, const char *part)
{
	unsigned count = 0;

	for (const char *p = load->said; (p = strstr(p, part)); p++)
		count++;
	return count;
}

/* All lines that are wrong are told of, in their order; but not without end. */
static void test_many_bad_lines(void **state)
{
	static struct load load;
	static const char two[] = "nosuch 1\ntimeout 1\ntimeout x\n";
	char many[1024] = "";

	(void)state;
	write_file(path, two, strlen(two));
	load_init(&load, (const char *[]){path, NULL});
	assert_int_equal(load.result, -1);
	assert_int_equal(count_said(&load, "FATAL CONFIG FILE ERROR"), 1);
	const char *first = strstr(load.said, "at line 1 (");
	const char *second = strstr(load.said, "at line 3 (");
	if (!first || !second || second < first || count_said(&load, ">>>") != 2)
		fail_msg("%s", load.said);
	load_deinit(&load);
	load_init(&load, (const char *[]){"--nosuch", "1", "--timeout", "x", NULL});
	assert_int_equal(load.result, -1);
	assert_int_equal(count_said(&load, ">>>"), 2);
	load_deinit(&load);
	for (unsigned i = 0; i < 400; i++)
		strcat(many, "x\n");
	write_file(path, many, strlen(many));
	load_init(&load, (const char *[]){path, NULL});
	assert_int_equal(load.result, -1);
	check_said(&load, "many", "at line 1 (");
	assert_null(strstr(load.said, "at line 101 ("));
	load_deinit(&load);
}

static void test_unreadable_files(void **state)
{
	static struct load load;
	char *large = calloc(1, CONFIG_FILE_MAX + 1);

	(void)state;
	load_init(&load, (const char *[]){"/no/such/file", NULL});
	assert_int_equal(load.result, -1);
	check_said(&load, "missing", "'/no/such/file': No such file or directory");
	load_deinit(&load);
	load_init(&load, (const char *[]){directory, NULL});
	assert_int_equal(load.result, -1);
	check_said(&load, "a directory", "Is a directory");
	load_deinit(&load);
	memset(large, '\n', CONFIG_FILE_MAX + 1);
	write_file(path, large, CONFIG_FILE_MAX + 1);
	load_init(&load, (const char *[]){path, NULL});
	assert_int_equal(load.result, -1);
	check_said(&load, "too large", "File too large");
	load_deinit(&load);
	write_file(path, large, CONFIG_FILE_MAX);
	load_init(&load, (const char *[]){path, NULL});
	assert_int_equal(load.result, 0);
	load_deinit(&load);
	free(large);
}

/* --- includes --- */

/* conf includes 1, that 2, ... ; the last one sets the timeout. */
static void write_chain(unsigned length)
{
	char name[160], text[160];

	for (unsigned i = 0; i <= length; i++) {
		sprintf(name, i ? "%s.%u" : "%s", path, i);
		if (i < length)
			sprintf(text, "hz %u\ninclude %s.%u\n", i + 1, path, i + 1);
		else
			sprintf(text, "timeout 5\n");
		write_file(name, text, strlen(text));
	}
}

static void remove_chain(unsigned length)
{
	char name[160];

	for (unsigned i = 1; i <= length; i++) {
		sprintf(name, "%s.%u", path, i);
		unlink(name);
	}
}

static void test_includes(void **state)
{
	static const struct {
		const char *label;
		unsigned length;
		int result;
	} rows[] = {
		{"one", 1, 0},
		{"as deep as may be", CONFIG_INCLUDE_MAX, 0},
		{"deeper", CONFIG_INCLUDE_MAX + 1, -1},
	};
	static struct load load;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		write_chain(rows[i].length);
		load_init(&load, (const char *[]){path, NULL});
		if (load.result != rows[i].result)
			fail_msg("%s: %d %s", rows[i].label, load.result, load.said);
		check_value(&load, rows[i].label, "timeout", load.result ? "0" : "5");
		if (load.result)
			check_said(&load, rows[i].label, "too many nested includes");
		load_deinit(&load);
		remove_chain(rows[i].length);
	}
}

/*
 * At its place: what follows in the including file counts more. What is wrong names the included
 * one.
 */
static void test_include_order_and_errors(void **state)
{
	static struct load load;
	char included[128], text[256], where[160];

	(void)state;
	sprintf(included, "%s.1", path);
	sprintf(text, "timeout 1\nhz 1\ninclude \"%s\"\nhz 3\n", included);
	write_file(path, text, strlen(text));
	write_file(included, "timeout 2\nhz 2\n", 15);
	load_init(&load, (const char *[]){path, NULL});
	assert_int_equal(load.result, 0);
	check_value(&load, "included", "timeout", "2");
	check_value(&load, "behind it", "hz", "3");
	load_deinit(&load);
	write_file(included, "timeout 2\nnosuch 2\n", 19);
	load_init(&load, (const char *[]){path, NULL});
	assert_int_equal(load.result, -1);
	sprintf(where, "at line 2 (%s)\n", included);
	check_said(&load, "an error in it", where);
	load_deinit(&load);
	unlink(included);
	load_init(&load, (const char *[]){path, NULL});
	assert_int_equal(load.result, -1);
	check_said(&load, "a missing one", included);
	check_said(&load, "a missing one", "No such file");
	load_deinit(&load);
	sprintf(text, "include %s\n", path);
	write_file(path, text, strlen(text));
	load_init(&load, (const char *[]){path, NULL});
	assert_int_equal(load.result, -1);
	check_said(&load, "itself", "too many nested includes");
	load_deinit(&load);
}

/* --- the command line --- */

static char long_word[3001];

static const struct {
	const char *label;
	const char
		*words[8]; /* "FILE": the configuration file, which says "timeout 5" and "hz 50" */
	int result;
	const char *name, *value; /* afterwards; or what is said */
} line_rows[] = {
	{"nothing", {NULL}, 0, "timeout", "0"},
	{"an option", {"--timeout", "6"}, 0, "timeout", "6"},
	{"two", {"--hz", "30", "--TimeOut", "6"}, 0, "timeout", "6"},
	{"the last counts", {"--timeout", "6", "--timeout", "7"}, 0, "timeout", "7"},
	{"the file", {"FILE"}, 0, "timeout", "5"},
	{"more than the file", {"FILE", "--timeout", "6"}, 0, "timeout", "6"},
	{"other than the file", {"FILE", "--port", "6"}, 0, "hz", "50"},
	{"several words", {"--bind", "127.0.0.1", "::1"}, 0, "bind", "127.0.0.1 ::1"},
	{"a word with spaces", {"--requirepass", "a b"}, 0, "requirepass", "a b"},
	{"a word with quotes", {"--requirepass", "\"a"}, 0, "requirepass", "\"a"},
	{"an empty word", {"--save", ""}, 0, "save", ""},
	{"a negative number",
	 {"--slowlog-log-slower-than", "-1"},
	 0,
	 "slowlog-log-slower-than",
	 "-1"},
	{"a value with dashes", {"--requirepass", "--x"}, 0, "requirepass", "--x"},
	{"a long word", {"--requirepass", long_word}, 0, "requirepass", long_word},
	{"a long word that is wrong",
	 {"--timeout", long_word},
	 -1,
	 ">>> 'timeout \"xxx",
	 "integer"},
	{"unknown", {"--nosuch", "1"}, -1, ">>> 'nosuch \"1\"'", BAD_LINE},
	{"no value", {"--timeout"}, -1, ">>> 'timeout'", BAD_LINE},
	{"no name", {"--", "1"}, -1, ">>> '", BAD_LINE},
	{"too many values", {"--timeout", "1", "2"}, -1, ">>> 'timeout \"1\" \"2\"'", BAD_LINE},
	{"a bad value", {"--timeout", "x"}, -1, "(command line)", "an integer"},
	{"the second is bad",
	 {"--hz", "30", "--timeout", "x"},
	 -1,
	 "at line 2 (command line)",
	 "integer"},
	{"no dashes", {"FILE", "timeout", "1"}, -1, ">>> 'timeout'", BAD_LINE},
};

static void test_command_lines(void **state)
{
	static struct load load;

	(void)state;
	memset(long_word, 'x', sizeof(long_word) - 1);
	write_file(path, "timeout 5\nhz 50\n", 16);
	for (size_t i = 0; i < COUNT_OF(line_rows); i++) {
		const char *words[9] = {NULL};
		for (size_t w = 0; line_rows[i].words[w]; w++)
			words[w] = strcmp(line_rows[i].words[w], "FILE") == 0
					   ? path
					   : line_rows[i].words[w];
		load_init(&load, words);
		if (load.result != line_rows[i].result)
			fail_msg("%s: %d %s", line_rows[i].label, load.result, load.said);
		if (load.result == 0) {
			check_value(&load, line_rows[i].label, line_rows[i].name,
				    line_rows[i].value);
		} else {
			check_said(&load, line_rows[i].label, line_rows[i].name);
			check_said(&load, line_rows[i].label, line_rows[i].value);
		}
		load_deinit(&load);
	}
}

/* Many words of one option are all taken. */
static void test_many_words(void **state)
{
	static struct load load;
	const char *words[WORDS_MAX + 1] = {"--bind"};
	char expected[WORDS_MAX * 10] = "";

	(void)state;
	for (size_t i = 1; i < WORDS_MAX; i++) {
		words[i] = "127.0.0.1";
		strcat(expected, i > 1 ? " 127.0.0.1" : "127.0.0.1");
	}
	load_init(&load, words);
	assert_int_equal(load.result, 0);
	check_value(&load, "many addresses", "bind", expected);
	load_deinit(&load);
}

/* The log is opened once everything is read; what can't be opened is said. */
static void test_logfile(void **state)
{
	static struct load load;

	(void)state;
	load_init(&load, (const char *[]){"--logfile", "/no/such/directory/log", NULL});
	assert_int_equal(load.result, -1);
	check_said(&load, "logfile", "/no/such/directory/log");
	check_said(&load, "logfile", "No such file");
	load_deinit(&load);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_files),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_many_bad_lines),
		cmocka_unit_test(test_unreadable_files),
		cmocka_unit_test(test_includes),
		cmocka_unit_test(test_include_order_and_errors),
		cmocka_unit_test(test_command_lines),
		cmocka_unit_test(test_many_words),
		cmocka_unit_test(test_logfile),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
