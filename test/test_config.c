/*
 * Options: their text to values and back, limits, what is said of bad values, and CONFIG SET of
 * several: all or none.
 */
#include "test/check.h"

#include "server/handlers.h"
#include "server/server.h"

#include <string.h>
#include <unistd.h>

static const char *text_of(struct config *config, const char *name, struct reply *reply)
{
	const struct config_option *option = config_find(slice_of(name));

	assert_non_null(option);
	reply_reset(reply, SIZE_MAX);
	config_format(config, option, reply);
	*reply_room(reply, 1) = '\0';
	return reply->buf;
}

static struct config *config_make(void)
{
	struct config *config = calloc(1, sizeof(*config));

	config_init(config);
	return config;
}

static void config_drop(struct config *config)
{
	config_deinit(config);
	free(config);
}

/* --- the table --- */

static void test_find(void **state)
{
	static const struct {
		const char *name;
		const char *found; /* NULL: there is no such option */
	} rows[] = {
		{"port", "port"}, {"PORT", "port"},  {"MaxClients", "maxclients"},
		{"", NULL},       {"por", NULL},     {"ports", NULL},
		{"port ", NULL},  {"include", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct config_option *option = config_find(slice_of(rows[i].name));
		if ((option != NULL) != (rows[i].found != NULL))
			fail_msg("'%s'", rows[i].name);
		if (option)
			assert_string_equal(config_name(option), rows[i].found);
	}
}

/* Each is found by its own name, or by another that means it: none is there twice. */
static void test_every_name_once(void **state)
{
	const struct config_option *option;
	size_t count = 0;

	(void)state;
	for (; (option = config_option_at(count)); count++) {
		const struct config_option *found = config_find(slice_of(config_name(option)));
		assert_non_null(found);
		assert_true((found == option) != config_is_alias(option));
		assert_false(config_is_alias(found));
		assert_true(strlen(config_help(found)) > 0);
	}
	assert_true(count > 0);
	assert_null(config_option_at(count + 1));
}

static void test_fixed(void **state)
{
	static const struct {
		const char *name;
		const char *why;
	} rows[] = {
		{"timeout", NULL},
		{"requirepass", NULL},
		{"port", "can't set immutable config"},
		{"enable-debug-command", "can't set immutable config"},
		{"dir", "can't set protected config"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *why = config_fixed(config_find(slice_of(rows[i].name)));
		if (rows[i].why)
			assert_string_equal(why, rows[i].why);
		else
			assert_null(why);
	}
}

/* What is shown can be set, and is shown the same again: of every option, by default. */
static void test_shown_can_be_set(void **state)
{
	struct config *config = config_make();
	const struct config_option *option;
	struct reply before, after;
	char error[CONFIG_ERROR_MAX];

	(void)state;
	reply_init(&before, 2);
	reply_init(&after, 2);
	for (size_t i = 0; (option = config_option_at(i)); i++) {
		const char *name = config_name(option);
		struct slice value = slice_of(text_of(config, name, &before));
		if (!config_set(config, config_find(slice_of(name)), value, error))
			fail_msg("%s: %s", name, error);
		assert_string_equal(text_of(config, name, &after), before.buf);
	}
	reply_deinit(&before);
	reply_deinit(&after);
	config_drop(config);
}

/* --- values --- */

#define NOT_INT       "argument couldn't be parsed into an integer"
#define NOT_OCTAL     "argument couldn't be parsed into an octal number"
#define NOT_MEMORY    "argument must be a memory value"
#define BULK_BETWEEN  "argument must be between 1048576 and 4294967295 inclusive"
#define NOT_BOOL      "argument must be 'yes' or 'no'"
#define NOT_LEVEL     "argument(s) must be one of the following: debug, verbose, notice, warning, nothing"
#define NO_SUCH_CLASS "Invalid client class specified in buffer limit configuration."
#define BAD_LIMIT     "Error in hard, soft or soft_seconds setting in buffer limit configuration."
#define LIMIT_COUNT   "Wrong number of arguments in buffer limit configuration."
#define BAD_SAVE      "Invalid save parameters"

static const struct {
	const char *name;
	const char *value;
	const char *shown; /* NULL: it is refused */
	const char *error;
} set_rows[] = {
	/* integers */
	{"timeout", "0", "0", NULL},
	{"timeout", "2147483647", "2147483647", NULL},
	{"timeout", "2147483648", NULL, "argument must be between 0 and 2147483647 inclusive"},
	{"timeout", "-1", NULL, "argument must be between 0 and 2147483647 inclusive"},
	{"timeout", "", NULL, NOT_INT},
	{"timeout", "abc", NULL, NOT_INT},
	{"timeout", "1 ", NULL, NOT_INT},
	{"timeout", " 1", NULL, NOT_INT},
	{"timeout", "+1", NULL, NOT_INT},
	{"timeout", "01", NULL, NOT_INT},
	{"timeout", "1.5", NULL, NOT_INT},
	{"timeout", "99999999999999999999", NULL, NOT_INT},
	{"port", "0", "0", NULL},
	{"port", "65535", "65535", NULL},
	{"port", "65536", NULL, "argument must be between 0 and 65535 inclusive"},
	{"maxclients", "0", NULL, "argument must be between 1 and 4294967295 inclusive"},
	{"slowlog-log-slower-than", "-1", "-1", NULL},
	{"slowlog-log-slower-than", "-2", NULL,
	 "argument must be between -1 and 9223372036854775807 inclusive"},
	{"slowlog-log-slower-than", "9223372036854775807", "9223372036854775807", NULL},
	/* permissions */
	{"unixsocketperm", "0", "0", NULL},
	{"unixsocketperm", "700", "700", NULL},
	{"unixsocketperm", "0777", "777", NULL},
	{"unixsocketperm", "778", NULL, NOT_OCTAL},
	{"unixsocketperm", "1000", NULL, "argument must be between 0 and 777 inclusive"},
	{"unixsocketperm", "-1", NULL, NOT_OCTAL},
	{"unixsocketperm", "", NULL, NOT_OCTAL},
	{"unixsocketperm", "7777777777777777777777777", NULL, NOT_OCTAL},
	/* memory */
	{"proto-max-bulk-len", "1048576", "1048576", NULL},
	{"proto-max-bulk-len", "1mb", "1048576", NULL},
	{"proto-max-bulk-len", "2M", "2000000", NULL},
	{"proto-max-bulk-len", "1GB", "1073741824", NULL},
	{"proto-max-bulk-len", "1mb ", NULL, NOT_MEMORY},
	{"proto-max-bulk-len", "1tb", NULL, NOT_MEMORY},
	{"proto-max-bulk-len", "-1", NULL, NOT_MEMORY},
	{"proto-max-bulk-len", "1mb1", NULL, NOT_MEMORY},
	{"proto-max-bulk-len", "9223372036854775808", NULL, NOT_MEMORY},
	{"proto-max-bulk-len", "99999999999gb", NULL, NOT_MEMORY},
	{"proto-max-bulk-len", "1023kb", NULL, BULK_BETWEEN},
	{"proto-max-bulk-len", "4294967295", "4294967295", NULL},
	{"proto-max-bulk-len", "4294967297", NULL, BULK_BETWEEN},
	{"proto-max-bulk-len", "9223372036854775807", NULL, BULK_BETWEEN},
	{"client-query-buffer-limit", "2147483648", NULL,
	 "argument must be between 1048576 and 2147483647 inclusive"},
	/* yes and no */
	{"protected-mode", "no", "no", NULL},
	{"protected-mode", "YES", "yes", NULL},
	{"protected-mode", "1", NULL, NOT_BOOL},
	{"protected-mode", "", NULL, NOT_BOOL},
	{"protected-mode", "yes ", NULL, NOT_BOOL},
	/* words of a list */
	{"loglevel", "debug", "debug", NULL},
	{"loglevel", "WARNING", "warning", NULL},
	{"loglevel", "nothing", "nothing", NULL},
	{"loglevel", "none", NULL, NOT_LEVEL},
	{"loglevel", "", NULL, NOT_LEVEL},
	{"loglevel", "notic", NULL, NOT_LEVEL},
	{"enable-debug-command", "local", "local", NULL},
	{"maxmemory-policy", "allkeys-lfu", "allkeys-lfu", NULL},
	/* strings, with their checks */
	{"requirepass", "a 'b' \"c\"", "a 'b' \"c\"", NULL},
	{"requirepass", "", "", NULL},
	{"save", "", "", NULL},
	{"save", "3600 1", "3600 1", NULL},
	{"save", " 60  1 \"5\" 0", "60 1 5 0", NULL},
	{"save", "3600", NULL, BAD_SAVE},
	{"save", "0 1", NULL, BAD_SAVE},
	{"save", "1 -1", NULL, BAD_SAVE},
	{"save", "1 x", NULL, BAD_SAVE},
	{"save", "1 \"1", NULL, BAD_SAVE},
	{"appendonly", "no", "no", NULL},
	{"notify-keyspace-events", "", "", NULL},
	{"notify-keyspace-events", "Ex", NULL,
	 "keyspace notifications are not available in this version"},
	{"appendonly", "yes", "yes", NULL},
	{"maxmemory", "0", "0", NULL},
	{"maxmemory", "100mb", "104857600", NULL},
	{"maxmemory", "1", "1", NULL},
	{"maxmemory", "-1", NULL, NOT_MEMORY},
	{"maxmemory", "lots", NULL, NOT_MEMORY},
	{"dir", "/no/such/directory", NULL, "No such file or directory"},
	{"dir", "", NULL, "No such file or directory"},
	/* limits of replies: the classes that aren't named keep theirs */
	{"client-output-buffer-limit", "normal 1mb 2kb 3",
	 "normal 1048576 2048 3 slave 268435456 67108864 60 pubsub 33554432 8388608 60", NULL},
	{"client-output-buffer-limit", "replica 1 2 3 pubsub 4 5 6",
	 "normal 1048576 2048 3 slave 1 2 3 pubsub 4 5 6", NULL},
	{"client-output-buffer-limit", "SLAVE 7 8 9 normal 0 0 0",
	 "normal 0 0 0 slave 7 8 9 pubsub 4 5 6", NULL},
	{"client-output-buffer-limit", "normal 1 2 3 normal 4 5 6",
	 "normal 4 5 6 slave 7 8 9 pubsub 4 5 6", NULL},
	{"client-output-buffer-limit", "", "normal 4 5 6 slave 7 8 9 pubsub 4 5 6", NULL},
	{"client-output-buffer-limit", "normal 1 2", NULL, LIMIT_COUNT},
	{"client-output-buffer-limit", "normal 1 2 3 slave", NULL, LIMIT_COUNT},
	{"client-output-buffer-limit", "nobody 1 2 3", NULL, NO_SUCH_CLASS},
	{"client-output-buffer-limit", "normal 1 2 3 nobody 1 2 3", NULL, NO_SUCH_CLASS},
	{"client-output-buffer-limit", "normal x 2 3", NULL, BAD_LIMIT},
	{"client-output-buffer-limit", "normal 1 x 3", NULL, BAD_LIMIT},
	{"client-output-buffer-limit", "normal 1 2 -3", NULL, BAD_LIMIT},
	{"client-output-buffer-limit", "normal 1 2 3kb", NULL, BAD_LIMIT},
	{"client-output-buffer-limit", "normal 18446744073709551615 2 3", NULL, BAD_LIMIT},
	{"client-output-buffer-limit", "normal 2 9223372036854775808 3", NULL, BAD_LIMIT},
	{"client-output-buffer-limit", "normal 1 2 9223372036854775807", NULL, BAD_LIMIT},
	{"client-output-buffer-limit", "normal 1 2 9223372036854776", NULL, BAD_LIMIT},
	{"client-output-buffer-limit",
	 "normal 9223372036854775807 9223372036854775807 9223372036854775 "
	 "slave 9223372036854775807 9223372036854775807 9223372036854775 "
	 "pubsub 9223372036854775807 9223372036854775807 9223372036854775",
	 "normal 9223372036854775807 9223372036854775807 9223372036854775 "
	 "slave 9223372036854775807 9223372036854775807 9223372036854775 "
	 "pubsub 9223372036854775807 9223372036854775807 9223372036854775", NULL},
	{"client-output-buffer-limit", "normal 1 2 3 slave 4 5 6 pubsub 7 8 9",
	 "normal 1 2 3 slave 4 5 6 pubsub 7 8 9", NULL},
	{"client-output-buffer-limit", "normal 1 2 '3", NULL, "Unbalanced quotes"},
};

/* One after the other; what is refused leaves the option as it was. */
static void test_set(void **state)
{
	struct config *config = config_make();
	struct reply before, after;

	(void)state;
	reply_init(&before, 2);
	reply_init(&after, 2);
	for (size_t i = 0; i < COUNT_OF(set_rows); i++) {
		const char *name = set_rows[i].name, *shown = set_rows[i].shown;
		char error[CONFIG_ERROR_MAX] = "";
		text_of(config, name, &before);
		bool ok = config_set(config, config_find(slice_of(name)),
				     slice_of(set_rows[i].value), error);
		if (ok != (shown != NULL))
			fail_msg("%s '%s': %d %s", name, set_rows[i].value, ok, error);
		assert_string_equal(text_of(config, name, &after), ok ? shown : before.buf);
		if (!ok)
			assert_string_equal(error, set_rows[i].error);
	}
	reply_deinit(&before);
	reply_deinit(&after);
	config_drop(config);
}

/* The limits of normal clients, which replies are held against, are those of the text. */
static void test_output_limits(void **state)
{
	static const struct {
		const char *value;
		int64_t hard, soft, seconds;
	} rows[] = {
		{"normal 10 20 30", 10, 20, 30},
		{"pubsub 1 2 3", 10, 20, 30},
		{"normal 1kb 0 0", 1024, 0, 0},
		{"nobody 1 2 3", 1024, 0, 0},
	};
	struct config *config = config_make();
	char error[CONFIG_ERROR_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		config_set(config, config_find(SLICE("client-output-buffer-limit")),
			   slice_of(rows[i].value), error);
		assert_int_equal(config_int(&config->output_limit_normal_hard), rows[i].hard);
		assert_int_equal(config_int(&config->output_limit_normal_soft), rows[i].soft);
		assert_int_equal(config_int(&config->output_limit_normal_seconds), rows[i].seconds);
	}
	config_drop(config);
}

static void test_zero_bytes(void **state)
{
	struct config *config = config_make();
	char error[CONFIG_ERROR_MAX];

	(void)state;
	assert_false(config_set(config, config_find(SLICE("requirepass")), SLICE("a\0b"), error));
	assert_string_equal(error, "argument must not hold zero bytes");
	assert_true(config_string_empty(config, &config->requirepass));
	config_drop(config);
}

/* The directory is shown whole, however it was named. */
static void test_dir(void **state)
{
	struct config *config = config_make();
	char before[4096], error[CONFIG_ERROR_MAX];
	struct reply reply;

	(void)state;
	reply_init(&reply, 2);
	assert_non_null(getcwd(before, sizeof(before)));
	assert_true(config_set(config, config_find(SLICE("dir")), SLICE("/usr"), error));
	assert_string_equal(text_of(config, "dir", &reply), "/usr");
	assert_true(config_set(config, config_find(SLICE("dir")), SLICE("./bin/.."), error));
	assert_string_equal(text_of(config, "dir", &reply), "/usr");
	assert_int_equal(chdir(before), 0);
	reply_deinit(&reply);
	config_drop(config);
}

/* --- strings --- */

static void test_string_equal(void **state)
{
	static const struct {
		const char *password, *text;
		bool equal;
	} rows[] = {
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"secret", "secret", true},
		{"secret", "secre", false},
		{"secret", "secretx", false},
		{"secret", "Secret", false},
		{"secret", "secres", false},
		{"ab", "abab", false},
	};
	struct config *config = config_make();
	char error[CONFIG_ERROR_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_true(config_set(config, config_find(SLICE("requirepass")),
				       slice_of(rows[i].password), error));
		if (config_string_equal(config, &config->requirepass, slice_of(rows[i].text)) !=
		    rows[i].equal)
			fail_msg("'%s' and '%s'", rows[i].password, rows[i].text);
		assert_int_equal(config_string_empty(config, &config->requirepass),
				 !*rows[i].password);
	}
	config_drop(config);
}

static void test_string_copy(void **state)
{
	struct config *config = config_make();
	char error[CONFIG_ERROR_MAX], out[8];

	(void)state;
	config_set(config, config_find(SLICE("logfile")), SLICE("1234567"), error);
	config_string_copy(config, &config->logfile, out, sizeof(out));
	assert_string_equal(out, "1234567");
	config_set(config, config_find(SLICE("logfile")), SLICE("123456789"), error);
	config_string_copy(config, &config->logfile, out, sizeof(out));
	assert_string_equal(out, "1234567");
	config_drop(config);
}

/* --- CONFIG SET --- */

#define FAILED(name, why)                                                                          \
	"-ERR CONFIG SET failed (possibly related to argument '" name "') - " why "\r\n"
#define UNKNOWN(name) "-ERR Unknown option or number of arguments for CONFIG SET - '" name "'\r\n"

static const struct {
	const char *label;
	const char *words[8]; /* after CONFIG SET */
	const char *reply;
	const char *timeout, *policy, *hard; /* afterwards */
} several_rows[] = {
	{"one", {"timeout", "5"}, "+OK\r\n", "5", "noeviction", "0"},
	{"three",
	 {"timeout", "6", "maxmemory-policy", "allkeys-lfu", "client-output-buffer-limit",
	  "normal 1 2 3"},
	 "+OK\r\n",
	 "6",
	 "allkeys-lfu",
	 "1"},
	{"the last is bad",
	 {"timeout", "7", "client-output-buffer-limit", "normal 4 5 6", "maxmemory-policy", "x"},
	 FAILED("maxmemory-policy", "argument(s) must be one of the following: volatile-lru, "
				    "volatile-lfu, volatile-random, volatile-ttl, allkeys-lru, "
				    "allkeys-lfu, allkeys-random, noeviction"),
	 "6",
	 "allkeys-lfu",
	 "1"},
	{"the first is bad",
	 {"timeout", "-7", "maxmemory-policy", "noeviction"},
	 FAILED("timeout", "argument must be between 0 and 2147483647 inclusive"),
	 "6",
	 "allkeys-lfu",
	 "1"},
	{"one is unknown",
	 {"timeout", "8", "Nosuch", "1"},
	 UNKNOWN("Nosuch"),
	 "6",
	 "allkeys-lfu",
	 "1"},
	{"one is immutable",
	 {"timeout", "8", "port", "1"},
	 FAILED("port", "can't set immutable config"),
	 "6",
	 "allkeys-lfu",
	 "1"},
	{"one is protected",
	 {"timeout", "8", "dir", "/"},
	 FAILED("dir", "can't set protected config"),
	 "6",
	 "allkeys-lfu",
	 "1"},
	{"one comes twice",
	 {"timeout", "8", "TIMEOUT", "9"},
	 FAILED("TIMEOUT", "duplicate parameter"),
	 "6",
	 "allkeys-lfu",
	 "1"},
	{"a value is missing",
	 {"timeout", "8", "maxmemory-policy"},
	 "-ERR syntax error\r\n",
	 "6",
	 "allkeys-lfu",
	 "1"},
	{"what can't be together",
	 {"timeout", "8", "maxmemory", "1gb"},
	 FAILED("maxmemory-policy", "eviction is not available in this version: with a maxmemory, "
			   "maxmemory-policy must be noeviction"),
	 "6",
	 "allkeys-lfu",
	 "1"},
	{"all at last",
	 {"maxmemory-policy", "noeviction", "timeout", "0"},
	 "+OK\r\n",
	 "0",
	 "noeviction",
	 "1"},
};

static void check_option(struct server *server, const char *label, const char *name,
			 const char *expected)
{
	struct reply reply;

	reply_init(&reply, 2);
	if (strcmp(text_of(&server->config, name, &reply), expected) != 0)
		fail_msg("%s: %s is %s", label, name, reply.buf);
	reply_deinit(&reply);
}

static void test_set_several(void **state)
{
	static struct server server;
	static struct worker worker = {.server = &server};
	static struct conn conn = {.worker = &worker};
	struct reply reply;

	(void)state;
	config_init(&server.config);
	server.ks = keyspace_new(1, 1, &(struct hash_seed){1, 2});
	reply_init(&reply, 2);
	for (size_t i = 0; i < COUNT_OF(several_rows); i++) {
		const char *label = several_rows[i].label;
		struct slice argv[10] = {SLICE("CONFIG"), SLICE("SET")};
		struct ctx ctx = {.cmd = &command_table[CMD_config_set],
				  .argv = argv,
				  .argc = 2,
				  .ks = server.ks,
				  .reply = &reply};
		for (; several_rows[i].words[ctx.argc - 2]; ctx.argc++)
			argv[ctx.argc] = slice_of(several_rows[i].words[ctx.argc - 2]);
		reply_reset(&reply, SIZE_MAX);
		cmd_config_set(&conn, &ctx);
		*reply_room(&reply, 1) = '\0';
		assert_string_equal(reply.buf, several_rows[i].reply);
		check_option(&server, label, "timeout", several_rows[i].timeout);
		check_option(&server, label, "maxmemory-policy", several_rows[i].policy);
		assert_int_equal(config_int(&server.config.output_limit_normal_hard),
				 atoi(several_rows[i].hard));
		assert_int_equal(atomic_load(&server.ks->access_policy),
				 several_rows[i].policy[0] == 'a' ? ACCESS_LFU : ACCESS_LRU);
	}
	reply_deinit(&reply);
	keyspace_free(server.ks);
	config_deinit(&server.config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),         cmocka_unit_test(test_every_name_once),
		cmocka_unit_test(test_fixed),        cmocka_unit_test(test_shown_can_be_set),
		cmocka_unit_test(test_set),          cmocka_unit_test(test_output_limits),
		cmocka_unit_test(test_zero_bytes),   cmocka_unit_test(test_dir),
		cmocka_unit_test(test_string_equal), cmocka_unit_test(test_string_copy),
		cmocka_unit_test(test_set_several),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
