/* Sums over all workers (totals.h). */
#include "server/totals.h"

#include <stdlib.h>

static uint64_t load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void totals_read(const struct server *server, struct totals *out)
{
	memset(out, 0, sizeof(*out));
	for (uint32_t i = 0; i < server->worker_count; i++) {
		const struct stats *stats = &server->workers[i].stats;
		const struct shard_stats *shard = &server->workers[i].shard->stats;
#define STAT(name, help) out->name += load(&stats->name);
#include "server/stats.def"
#undef STAT
		out->hits += load(&shard->hits);
		out->misses += load(&shard->misses);
		out->expired += load(&shard->expired);
		out->expired_fields += load(&shard->expired_fields);
		out->dirty += load(&shard->dirty);
		out->sweep_entries += load(&shard->sweep_entries);
		const struct retire *retire = &server->workers[i].shard->retire;
		out->flushed += load(&retire->flushed);
		out->flushed_freed += load(&retire->flushed_freed);
		uint64_t lag_ms = load(&shard->sweep_lag_ms);
		if (lag_ms > out->sweep_lag_ms)
			out->sweep_lag_ms = lag_ms;
	}
}

void totals_read_command(const struct server *server, enum command_id id,
			 struct command_totals *out)
{
	memset(out, 0, sizeof(*out));
	for (uint32_t i = 0; i < server->worker_count; i++) {
		const struct command_stats *stats = &server->workers[i].stats.commands[id];
		out->calls += load(&stats->calls);
		out->cycles += load(&stats->cycles);
		out->rejected += load(&stats->rejected);
		out->failed += load(&stats->failed);
		for (unsigned b = 0; b < LATENCY_BUCKETS; b++) {
			uint64_t n = load(&stats->latency[b]);
			out->latency[b] += n;
			out->timed += n;
		}
	}
}

uint64_t totals_percentile_us(const struct command_totals *totals, unsigned per_mille)
{
	uint64_t below = 0;
	if (totals->timed == 0)
		return 0;
	unsigned bucket = 0;
	for (;; bucket++) {
		below += totals->latency[bucket];
		if (bucket == LATENCY_BUCKETS - 1 || below * 1000 >= totals->timed * per_mille)
			return totals_bucket_us(bucket);
	}
}

static int compare_codes(const void *a, const void *b)
{
	return strcmp(((const struct error_total *)a)->code, ((const struct error_total *)b)->code);
}

/*
 * Adds one worker's count; codes that no longer fit count for the last place, as in stats_error().
 */
static void add_error(struct error_total *out, uint32_t *count, const char *code, uint64_t n)
{
	uint32_t i = 0;
	while (i < *count && strcmp(out[i].code, code) != 0)
		i++;
	if (i == ERROR_KINDS_MAX)
		i = ERROR_KINDS_MAX - 1;
	if (i == *count) {
		strcpy(out[i].code, code);
		out[i].count = 0;
		++*count;
	}
	out[i].count += n;
}

uint32_t totals_read_errors(const struct server *server, struct error_total *out)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < server->worker_count; i++) {
		const struct stats *stats = &server->workers[i].stats;
		uint32_t kinds = atomic_load_explicit(&stats->error_kinds, memory_order_acquire);
		for (uint32_t k = 0; k < kinds; k++) {
			uint64_t n = load(&stats->by_code[k].count);
			if (n)
				add_error(out, &count, stats->by_code[k].code, n);
		}
	}
	qsort(out, count, sizeof(*out), compare_codes);
	return count;
}
