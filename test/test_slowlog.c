/*
 * The slow log of a worker: what an entry says and hides, how many are kept, what counts as slow.
 */
#include "test/check.h"

#include "server/slowlog.h"

#include <arpa/inet.h>
#include <string.h>

#define WORDS_MAX 40

static struct server server;
static struct worker worker = {.server = &server};
static struct conn conn = {.worker = &worker};

static int setup(void **state)
{
	struct sockaddr_in *peer = (struct sockaddr_in *)&conn.peer;

	(void)state;
	config_init(&server.config);
	atomic_store(&server.clock.now_ms, 1234567);
	peer->sin_family = AF_INET;
	peer->sin_addr.s_addr = htonl(0x7f000001);
	peer->sin_port = htons(4321);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	config_deinit(&server.config);
	return 0;
}

static int log_open_new(void **state)
{
	(void)state;
	worker.slowlog = slowlog_new();
	atomic_store(&server.next_slowlog_id, 0);
	atomic_store(&server.config.slowlog_max_len, 128);
	atomic_store(&server.config.slowlog_log_slower_than, 10000);
	return 0;
}

static int log_close(void **state)
{
	(void)state;
	slowlog_free(worker.slowlog);
	return 0;
}

static void add_words(const struct slice *argv, uint32_t argc, uint64_t us)
{
	struct reply error;

	reply_init(&error, 2);
	struct request request = {.cmd = command_resolve(argv, argc, &error),
				  .argv = argv,
				  .argc = argc};
	assert_non_null(request.cmd);
	slowlog_add(&worker, &conn, &request, us);
	reply_deinit(&error);
}

/* The same for words with a space between. */
static void add(const char *text, uint64_t us)
{
	struct slice argv[WORDS_MAX];
	uint32_t argc = 0;

	for (const char *word = text; *word != '\0';) {
		size_t len = strcspn(word, " ");
		assert_true(argc < WORDS_MAX);
		argv[argc++] = (struct slice){word, len};
		word += len + strspn(word + len, " ");
	}
	add_words(argv, argc, us);
}

static void check_entry(const char *label, const char *expected)
{
	const struct slowlog_entry *entry = slowlog_newest(worker.slowlog);

	assert_non_null(entry);
	if (entry->len != strlen(expected) || memcmp(entry->bytes, expected, entry->len) != 0)
		fail_msg("%s: %.*s", label, (int)entry->len, entry->bytes);
}

/* --- an entry --- */

static void test_entry(void **state)
{
	static const struct {
		const char *label;
		char *name;
		uint32_t flags;
		const char *end; /* address and name */
	} rows[] = {
		{"without a name", NULL, 0, "$14\r\n127.0.0.1:4321\r\n$0\r\n\r\n"},
		{"with a name", "me", 0, "$14\r\n127.0.0.1:4321\r\n$2\r\nme\r\n"},
		{"by the Unix socket", NULL, CONN_UNIX, "$11\r\n/tmp/sock:0\r\n$0\r\n\r\n"},
	};
	char error[CONFIG_ERROR_MAX], expected[256];

	(void)state;
	config_set(&server.config, config_find(SLICE("unixsocket")), SLICE("/tmp/sock"), error);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		conn.name = rows[i].name;
		conn.flags = rows[i].flags;
		add("GET key", 77);
		sprintf(expected,
			"*6\r\n:%zu\r\n:1234\r\n:77\r\n*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n%s", i,
			rows[i].end);
		check_entry(rows[i].label, expected);
	}
	conn.name = NULL;
	conn.flags = 0;
}

static void check_args(const char *label, const char *args)
{
	char expected[8192];

	sprintf(expected, "*6\r\n:%llu\r\n:1234\r\n:1\r\n%s$14\r\n127.0.0.1:4321\r\n$0\r\n\r\n",
		(unsigned long long)atomic_load(&server.next_slowlog_id) - 1, args);
	check_entry(label, expected);
}

#define REDACTED "$10\r\n(redacted)\r\n"

/* Nobody reads passwords there. */
static void test_secrets(void **state)
{
	static const struct {
		const char *request;
		const char *args;
	} rows[] = {
		{"AUTH secret", "*2\r\n$4\r\nAUTH\r\n" REDACTED},
		{"auth user secret", "*3\r\n$4\r\nauth\r\n" REDACTED REDACTED},
		{"HELLO 3", "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"},
		{"HELLO 3 AUTH user secret",
		 "*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n" REDACTED REDACTED},
		{"HELLO 3 SETNAME me auth user secret",
		 "*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$7\r\nSETNAME\r\n$2\r\nme\r\n$4\r\nauth\r\n" REDACTED
			 REDACTED},
		{"CONFIG SET requirepass secret",
		 "*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$11\r\nrequirepass\r\n" REDACTED},
		{"CONFIG SET hz 10 REQUIREPASS secret",
		 "*6\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$2\r\nhz\r\n$2\r\n10\r\n"
		 "$11\r\nREQUIREPASS\r\n" REDACTED},
		{"CONFIG SET logfile requirepass hz 10",
		 "*6\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$7\r\nlogfile\r\n$11\r\nrequirepass\r\n"
		 "$2\r\nhz\r\n$2\r\n10\r\n"},
		{"SET auth value", "*3\r\n$3\r\nSET\r\n$4\r\nauth\r\n$5\r\nvalue\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		add(rows[i].request, 1);
		check_args(rows[i].request, rows[i].args);
	}
}

/* Long arguments are cut, and say how much is missing. */
static void test_long_args(void **state)
{
	static const struct {
		size_t len;
		const char *tail; /* behind 128 bytes */
	} rows[] = {
		{SLOWLOG_ARG_BYTES_MAX, ""},
		{SLOWLOG_ARG_BYTES_MAX + 1, "... (1 more bytes)"},
		{1000000, "... (999872 more bytes)"},
	};
	char *value = malloc(1000000);
	char shown[256], args[512];

	(void)state;
	memset(value, 'v', 1000000);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice argv[] = {SLICE("SET"), SLICE("k"), {value, rows[i].len}};
		add_words(argv, 3, 1);
		sprintf(shown, "%.128s%s", value, rows[i].tail);
		sprintf(args, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n%s\r\n", strlen(shown), shown);
		check_args("SET", args);
	}
	free(value);
}

/* So are many of them. */
static void test_many_args(void **state)
{
	static const uint32_t counts[] = {2, SLOWLOG_ARGS_MAX, SLOWLOG_ARGS_MAX + 1, WORDS_MAX};
	struct slice argv[WORDS_MAX] = {SLICE("MGET")};
	char args[4096];

	(void)state;
	for (uint32_t i = 1; i < WORDS_MAX; i++)
		argv[i] = SLICE("k");
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		bool cut = counts[i] > SLOWLOG_ARGS_MAX;
		uint32_t whole = cut ? SLOWLOG_ARGS_MAX - 1 : counts[i];
		add_words(argv, counts[i], 1);
		int n = sprintf(args, "*%u\r\n$4\r\nMGET\r\n", cut ? SLOWLOG_ARGS_MAX : whole);
		for (uint32_t k = 1; k < whole; k++)
			n += sprintf(args + n, "$1\r\nk\r\n");
		if (cut) {
			char more[32];
			sprintf(more, "... (%u more arguments)", counts[i] - whole);
			sprintf(args + n, "$%zu\r\n%s\r\n", strlen(more), more);
		}
		check_args("MGET", args);
	}
}

/* --- the log --- */

/* So many are added under this limit: so many are kept, the newest ones. */
static void test_bound(void **state)
{
	static const struct {
		const char *label;
		int64_t max;
		uint32_t added, kept;
	} rows[] = {
		{"none may be", 0, 5, 0}, {"one", 1, 5, 1},    {"fewer than may be", 10, 5, 5},
		{"as many", 5, 5, 5},     {"more", 5, 200, 5}, {"no limit", INT64_MAX, 200, 200},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint64_t first = atomic_load(&server.next_slowlog_id);
		uint64_t id = first + rows[i].added;
		uint32_t count = 0;
		atomic_store(&server.config.slowlog_max_len, rows[i].max);
		slowlog_reset(worker.slowlog);
		for (uint32_t n = 0; n < rows[i].added; n++)
			add("GET k", n);
		if (slowlog_len(worker.slowlog) != rows[i].kept)
			fail_msg("%s: %u", rows[i].label, slowlog_len(worker.slowlog));
		for (const struct slowlog_entry *e = slowlog_newest(worker.slowlog); e;
		     e = e->older) {
			assert_int_equal(e->id, --id);
			if (e->older)
				assert_ptr_equal(e->older->newer, e);
			count++;
		}
		assert_int_equal(count, rows[i].kept);
	}
}

/* A smaller limit holds from the next entry on. */
static void test_bound_shrinks(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		add("GET k", 1);
	assert_int_equal(slowlog_len(worker.slowlog), 20);
	atomic_store(&server.config.slowlog_max_len, 3);
	add("GET k", 1);
	assert_int_equal(slowlog_len(worker.slowlog), 3);
	assert_int_equal(slowlog_newest(worker.slowlog)->id, 20);
}

static void test_reset(void **state)
{
	(void)state;
	slowlog_reset(worker.slowlog);
	add("GET k", 1);
	add("GET k", 1);
	slowlog_reset(worker.slowlog);
	assert_int_equal(slowlog_len(worker.slowlog), 0);
	assert_null(slowlog_newest(worker.slowlog));
	add("GET k", 1); /* ids go on */
	assert_int_equal(slowlog_len(worker.slowlog), 1);
	assert_int_equal(slowlog_newest(worker.slowlog)->id, 2);
	slowlog_free(NULL);
}

/* --- what is slow --- */

static void test_note(void **state)
{
	static const struct {
		const char *label;
		int64_t slower_than;
		uint64_t us;
		bool kept;
	} rows[] = {
		{"off", -1, 1000000, false}, {"everything is", 0, 0, true},
		{"faster", 10, 9, false},    {"at the limit", 10, 10, true},
		{"slower", 10, 2000, true},  {"nothing is so slow", INT64_MAX, 1000000, false},
	};
	const struct slice argv[] = {SLICE("GET"), SLICE("k")};
	struct request request = {.cmd = &command_table[CMD_get], .argv = argv, .argc = 2};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		atomic_store(&server.config.slowlog_log_slower_than, rows[i].slower_than);
		slowlog_reset(worker.slowlog);
		slowlog_note(&worker, &conn, &request, rows[i].us);
		if (slowlog_len(worker.slowlog) != rows[i].kept)
			fail_msg("%s: %u", rows[i].label, slowlog_len(worker.slowlog));
	}
}

/* Commands that say so are never kept. */
static void test_skipped(void **state)
{
	const struct slice argv[] = {SLICE("EXEC")};

	(void)state;
	for (uint32_t id = 0; id < CMD_COUNT; id++) {
		struct request request = {.cmd = &command_table[id], .argv = argv, .argc = 1};
		bool skipped = command_table[id].flags & CMD_SKIP_SLOWLOG;
		slowlog_reset(worker.slowlog);
		slowlog_add(&worker, &conn, &request, 1);
		if (slowlog_len(worker.slowlog) == skipped)
			fail_msg("%s", command_table[id].name);
	}
}

#define LOG_TEST(function) cmocka_unit_test_setup_teardown(function, log_open_new, log_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(test_entry),     LOG_TEST(test_secrets), LOG_TEST(test_long_args),
		LOG_TEST(test_many_args), LOG_TEST(test_bound),   LOG_TEST(test_bound_shrinks),
		LOG_TEST(test_reset),     LOG_TEST(test_note),    LOG_TEST(test_skipped),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
