/*
 * Sums over all workers: what INFO and LATENCY show.
 *
 * The workers go on counting meanwhile; each sum is made of values that were true while it was
 * made. Any thread.
 */
#ifndef SERVER_TOTALS_H
#define SERVER_TOTALS_H

#include "server/server.h"

struct totals {
#define STAT(name, help) uint64_t name;
#include "server/stats.def"
#undef STAT
	/* struct shard_stats */
	uint64_t hits;
	uint64_t misses;
	uint64_t expired;
	uint64_t expired_fields;
	uint64_t dirty;
	uint64_t sweep_entries;
	uint64_t sweep_lag_ms; /* the longest */
	/* struct retire */
	uint64_t flushed;
	uint64_t flushed_freed;
};
void totals_read(const struct server *server, struct totals *out);

struct command_totals {
	uint64_t calls;
	uint64_t cycles;
	uint64_t rejected;
	uint64_t failed;
	uint64_t latency[LATENCY_BUCKETS]; /* as in struct command_stats */
	uint64_t timed;                    /* the sum of these */
};
void totals_read_command(const struct server *server, enum command_id id,
			 struct command_totals *out);

/* The bucket's upper bound in microseconds. */
static inline uint64_t totals_bucket_us(unsigned bucket)
{
	return 1ull << bucket;
}

/* Microseconds that so many per mille of the calls (0 to 1000) took at most; 0 without any call. */
uint64_t totals_percentile_us(const struct command_totals *totals, unsigned per_mille);

struct error_total {
	char code[24];
	uint64_t count;
};
/*
 * Errors by their first word, in order of it; `out` has ERROR_KINDS_MAX places. Returns how many.
 */
uint32_t totals_read_errors(const struct server *server, struct error_total *out);

#endif
