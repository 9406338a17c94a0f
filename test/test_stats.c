/* Counters: histograms and what is read off them, errors by their first word, sums over workers. */
#include "server/totals.h"
#include "test/check.h"

#include <string.h>

#define WORKERS 3

/* A server that is nothing but its workers' counters. */
static struct server *server_make(void)
{
	struct server *server = calloc(1, sizeof(*server));

	server->worker_count = WORKERS;
	server->ks = keyspace_new(WORKERS, 1, &(struct hash_seed){1, 2});
	server->workers = aligned_alloc(64, (sizeof(struct worker) * WORKERS + 63) & ~(size_t)63);
	memset(server->workers, 0, sizeof(struct worker) * WORKERS);
	for (uint32_t i = 0; i < WORKERS; i++)
		server->workers[i].shard = server->ks->shards[i];
	return server;
}

static void server_drop(struct server *server)
{
	keyspace_free(server->ks);
	free(server->workers);
	free(server);
}

/* --- histograms --- */

/* Bucket i is for less than 2^i microseconds, the last one for all others. */
static void test_buckets(void **state)
{
	static const struct {
		uint64_t us;
		unsigned bucket;
	} rows[] = {
		{0, 0},        {1, 1},        {2, 2},           {3, 2},
		{4, 3},        {1023, 10},    {1024, 11},       {(1 << 20) - 1, 20},
		{1 << 20, 21}, {1 << 21, 21}, {1ull << 40, 21}, {UINT64_MAX, 21},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct stats *stats = calloc(1, sizeof(*stats));
		const struct command_stats *get = &stats->commands[CMD_get];
		stats_latency(stats, &command_table[CMD_get], rows[i].us);
		for (unsigned b = 0; b < LATENCY_BUCKETS; b++)
			if (get->latency[b] != (b == rows[i].bucket))
				fail_msg("%llu us: bucket %u", (unsigned long long)rows[i].us, b);
		assert_int_equal(get->calls, 0);
		free(stats);
	}
}

static void test_percentiles(void **state)
{
	static const struct {
		const char *label;
		uint64_t latency[LATENCY_BUCKETS];
		unsigned per_mille;
		uint64_t us;
	} rows[] = {
		{"nothing was called", {0}, 500, 0},
		{"one call: the median", {0, 0, 0, 1}, 500, 8},
		{"one call: the last", {0, 0, 0, 1}, 1000, 8},
		{"one call: the first", {0, 0, 0, 1}, 1, 8},
		{"half and half: the median", {0, 5, 0, 0, 5}, 500, 2},
		{"half and half: above it", {0, 5, 0, 0, 5}, 501, 16},
		{"one of a hundred: 99 %", {0, 99, 0, 0, 0, 1}, 990, 2},
		{"one of a hundred: 99.9 %", {0, 99, 0, 0, 0, 1}, 999, 32},
		{"one of a thousand: 99.9 %", {0, 999, 0, 0, 0, 1}, 999, 2},
		{"the last bucket", {[LATENCY_BUCKETS - 1] = 7}, 500, 1 << (LATENCY_BUCKETS - 1)},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct command_totals totals = {0};
		memcpy(totals.latency, rows[i].latency, sizeof(totals.latency));
		for (unsigned b = 0; b < LATENCY_BUCKETS; b++)
			totals.timed += totals.latency[b];
		uint64_t us = totals_percentile_us(&totals, rows[i].per_mille);
		if (us != rows[i].us)
			fail_msg("%s: %u", rows[i].label, (unsigned)us);
	}
}

/* --- sums --- */

static void test_sums(void **state)
{
	struct server *server = server_make();
	struct totals totals;
	struct command_totals get;

	(void)state;
	for (uint32_t i = 0; i < WORKERS; i++) {
		struct worker *worker = &server->workers[i];
		stat_add(&worker->stats.bytes_in, 10 + i);
		stat_add(&worker->shard->stats.hits, 100 + i);
		stat_add(&worker->shard->stats.sweep_lag_ms, 50 - i);
		stats_command(&worker->stats, &command_table[CMD_get], 1u << i);
		if (i > 0) /* one was run without latency-tracking */
			stats_latency(&worker->stats, &command_table[CMD_get], 1u << i);
		stat_add(&worker->stats.commands[CMD_get].rejected, i);
		stat_add(&worker->stats.commands[CMD_get].failed, 2 * i);
	}
	totals_read(server, &totals);
	assert_int_equal(totals.bytes_in, 33);
	assert_int_equal(totals.hits, 303);
	assert_int_equal(totals.sweep_lag_ms, 50); /* the longest */
	assert_int_equal(totals.bytes_out, 0);
	totals_read_command(server, CMD_get, &get);
	assert_int_equal(get.calls, 3);
	assert_int_equal(get.cycles, 7);
	assert_int_equal(get.rejected, 3);
	assert_int_equal(get.failed, 6);
	assert_int_equal(get.timed, 2);
	assert_int_equal(get.latency[2] + get.latency[3], 2);
	totals_read_command(server, CMD_set, &get);
	assert_int_equal(get.calls + get.timed, 0);
	server_drop(server);
}

/* --- errors --- */

static uint64_t errors_total(const struct error_total *errors, uint32_t count)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < count; i++)
		sum += errors[i].count;
	return sum;
}

/* Counted by name, in order of the name, over all workers. */
static void test_errors(void **state)
{
	static const struct {
		const char *code;
		uint32_t worker;
	} said[] = {
		{"WRONGTYPE", 0}, {"ERR", 0},       {"ERR", 0}, {"ERR", 1},
		{"NOAUTH", 2},    {"WRONGTYPE", 2}, {"ERR", 2},
	};
	static const struct error_total expected[] = {
		{"ERR", 4},
		{"NOAUTH", 1},
		{"WRONGTYPE", 2},
	};
	struct server *server = server_make();
	struct error_total errors[ERROR_KINDS_MAX];

	(void)state;
	assert_int_equal(totals_read_errors(server, errors), 0);
	for (size_t i = 0; i < COUNT_OF(said); i++)
		stats_error(&server->workers[said[i].worker].stats, said[i].code);
	uint32_t count = totals_read_errors(server, errors);
	assert_int_equal(count, COUNT_OF(expected));
	for (uint32_t i = 0; i < count; i++) {
		assert_string_equal(errors[i].code, expected[i].code);
		assert_int_equal(errors[i].count, expected[i].count);
	}
	server_drop(server);
}

/* A client that makes errors of any name can't fill memory: what is too much counts together. */
static void test_errors_are_bounded(void **state)
{
	static const struct {
		const char *label;
		uint32_t kinds; /* of each worker, each its own */
		uint32_t shown;
	} rows[] = {
		{"few", 10, 30},
		{"as many as there are places", ERROR_KINDS_MAX, ERROR_KINDS_MAX},
		{"more", ERROR_KINDS_MAX + 1, ERROR_KINDS_MAX},
		{"many more", 1000, ERROR_KINDS_MAX},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct server *server = server_make();
		struct error_total errors[ERROR_KINDS_MAX];
		for (uint32_t n = 0; n < rows[i].kinds * WORKERS; n++) {
			char code[24];
			sprintf(code, "E%u", n);
			stats_error(&server->workers[n % WORKERS].stats, code);
			stats_error(&server->workers[n % WORKERS].stats, code);
		}
		for (uint32_t w = 0; w < WORKERS; w++)
			assert_in_range(server->workers[w].stats.error_kinds, 0, ERROR_KINDS_MAX);
		uint32_t count = totals_read_errors(server, errors);
		if (count != rows[i].shown)
			fail_msg("%s: %u", rows[i].label, count);
		assert_int_equal(errors_total(errors, count), 2 * rows[i].kinds * WORKERS);
		server_drop(server);
	}
}

/* --- reset --- */

static void test_reset(void **state)
{
	struct server *server = server_make();
	struct stats *stats = &server->workers[0].stats;
	_Atomic uint64_t *counters = (_Atomic uint64_t *)stats;
	struct error_total errors[ERROR_KINDS_MAX];

	(void)state;
	for (size_t i = 0; i < offsetof(struct stats, error_kinds) / sizeof(*counters); i++)
		atomic_store(&counters[i], 7);
	stats_error(stats, "ERR");
	stats_reset(stats);
	for (size_t i = 0; i < offsetof(struct stats, error_kinds) / sizeof(*counters); i++)
		assert_int_equal(atomic_load(&counters[i]), 0);
	assert_int_equal(totals_read_errors(server, errors), 0);
	stats_error(stats, "ERR");
	assert_int_equal(totals_read_errors(server, errors), 1);
	assert_int_equal(errors[0].count, 1);
	server_drop(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_percentiles),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_errors_are_bounded),
		cmocka_unit_test(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
