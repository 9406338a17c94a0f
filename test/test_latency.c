/* Latency: which events are kept, by kind, and histograms as LATENCY HISTOGRAM shows them. */
#include "test/check.h"

#include "server/handlers.h"
#include "server/server.h"

#include <string.h>

#define WORKERS 2

static struct server server;
static struct conn conn;

static int setup(void **state)
{
	(void)state;
	config_init(&server.config);
	server.worker_count = WORKERS;
	server.workers = aligned_alloc(64, (sizeof(struct worker) * WORKERS + 63) & ~(size_t)63);
	memset(server.workers, 0, sizeof(struct worker) * WORKERS);
	for (uint32_t i = 0; i < WORKERS; i++)
		server.workers[i].server = &server;
	conn.worker = &server.workers[0];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(server.workers);
	config_deinit(&server.config);
	return 0;
}

/* --- events --- */

/* One after the other on one worker. */
static void test_note(void **state)
{
	static const struct {
		const char *label;
		int64_t threshold, now, ms;
		enum command_id cmd;
		struct latency_event events[LATENCY_KIND_COUNT]; /* afterwards */
	} rows[] = {
		{"below the threshold", 10, 1000, 9, CMD_keys, {{0}, {0}}},
		{"at the threshold", 10, 2000, 10, CMD_keys, {{2000, 10, 10}, {0}}},
		{"longer", 10, 3000, 50, CMD_keys, {{3000, 50, 50}, {0}}},
		{"shorter again: the longest stays", 10, 4000, 20, CMD_keys, {{4000, 20, 50}, {0}}},
		{"a fast one", 10, 5000, 30, CMD_get, {{4000, 20, 50}, {5000, 30, 30}}},
		{"too short for a new threshold",
		 100,
		 6000,
		 99,
		 CMD_get,
		 {{4000, 20, 50}, {5000, 30, 30}}},
		{"enough for it", 100, 7000, 100, CMD_get, {{4000, 20, 50}, {7000, 100, 100}}},
	};
	struct worker *worker = &server.workers[1];

	(void)state;
	assert_true(command_table[CMD_get].flags & CMD_FAST);
	assert_false(command_table[CMD_keys].flags & CMD_FAST);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		atomic_store(&server.config.latency_monitor_threshold, rows[i].threshold);
		atomic_store(&server.clock.now_ms, rows[i].now);
		latency_note(worker, &command_table[rows[i].cmd], (uint64_t)rows[i].ms * 1000);
		for (int kind = 0; kind < LATENCY_KIND_COUNT; kind++) {
			const struct latency_event *event = &worker->latency[kind];
			const struct latency_event *expected = &rows[i].events[kind];
			if (event->at_ms != expected->at_ms ||
			    event->latest_ms != expected->latest_ms ||
			    event->max_ms != expected->max_ms)
				fail_msg("%s: kind %d", rows[i].label, kind);
		}
		assert_int_equal(server.workers[0].latency[0].at_ms, 0);
	}
}

/* --- histograms --- */

static void run(uint32_t worker, enum command_id cmd, uint64_t us)
{
	stats_latency(&server.workers[worker].stats, &command_table[cmd], us);
}

/* Over all workers; each pair says how many calls took at most so long. */
static void test_histogram(void **state)
{
	static const struct {
		const char *words[4]; /* after LATENCY HISTOGRAM */
		const char *reply;
	} rows[] = {
		{{"get"},
		 "*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:4\r\n$14\r\nhistogram_usec\r\n"
		 "*6\r\n:1\r\n:1\r\n:4\r\n:3\r\n:1024\r\n:4\r\n"},
		{{"GET", "nosuch", "mget"},
		 "*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:4\r\n$14\r\nhistogram_usec\r\n"
		 "*6\r\n:1\r\n:1\r\n:4\r\n:3\r\n:1024\r\n:4\r\n"},
		{{"config|set"},
		 "*2\r\n$10\r\nconfig|set\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n"
		 "*2\r\n:8\r\n:1\r\n"},
		{{"config"},
		 "*4\r\n$10\r\nconfig|get\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n"
		 "*2\r\n:2\r\n:1\r\n"
		 "$10\r\nconfig|set\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n"
		 "*2\r\n:8\r\n:1\r\n"},
		{{"mget"}, "*0\r\n"},
		{{"nosuch"}, "*0\r\n"},
	};
	struct reply reply;

	(void)state;
	run(0, CMD_get, 0);
	run(0, CMD_get, 3);
	run(1, CMD_get, 2);
	run(1, CMD_get, 1000);
	run(1, CMD_config_set, 5);
	run(0, CMD_config_get, 1);
	reply_init(&reply, 2);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice argv[6] = {SLICE("LATENCY"), SLICE("HISTOGRAM")};
		struct ctx ctx = {.argv = argv, .argc = 2, .reply = &reply};
		for (; rows[i].words[ctx.argc - 2]; ctx.argc++)
			argv[ctx.argc] = slice_of(rows[i].words[ctx.argc - 2]);
		reply_reset(&reply, SIZE_MAX);
		cmd_latency_histogram(&conn, &ctx);
		*reply_room(&reply, 1) = '\0';
		assert_string_equal(reply.buf, rows[i].reply);
	}
	reply_deinit(&reply);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_note),
		cmocka_unit_test(test_histogram),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
