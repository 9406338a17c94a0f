/*
 * Counters of one worker: it alone stores them (relaxed), INFO sums them over all workers.
 *
 * server/stats.def holds a row for each plain counter; counters of commands and errors follow.
 */
#ifndef SERVER_STATS_H
#define SERVER_STATS_H

#include "proto/command.h"
#include "shard/keyspace.h"

#include <stdatomic.h>
#include <stdint.h>

/* Buckets of a command's latency histogram: powers of two of microseconds, up to some 2 s. */
#define LATENCY_BUCKETS 22

struct command_stats {
	_Atomic uint64_t calls;
	_Atomic uint64_t cycles;
	_Atomic uint64_t rejected;
	_Atomic uint64_t failed;
	_Atomic uint64_t latency[LATENCY_BUCKETS]; /* bucket i: less than 2^i us, the last: all others */
};

/* Kinds of errors that are counted by name; more are counted together. */
#define ERROR_KINDS_MAX 128

struct stats {
#define STAT(name, help) _Atomic uint64_t name;
#include "server/stats.def"
#undef STAT
	struct command_stats commands[CMD_COUNT];
	/*
	 * errors by their first word: the first error_kinds are there; a code never changes once
	 * published
	 */
	_Atomic uint32_t error_kinds;
	struct error_stats {
		char code[24];
		_Atomic uint64_t count;
	} by_code[ERROR_KINDS_MAX];
};

/* Counts an error reply by its first word. The worker's thread. */
void stats_error(struct stats *stats, const char *code);

/* Sets all counters to zero. The worker's thread. */
void stats_reset(struct stats *stats);

/* A command has run in so many cycles. The worker's thread. */
static inline void stats_command(struct stats *stats, const struct command *cmd, uint64_t cycles)
{
	struct command_stats *c = &stats->commands[cmd->id];
	stat_add(&c->calls, 1);
	stat_add(&c->cycles, cycles);
}

/* ... which was so long; with latency-tracking. The worker's thread. */
static inline void stats_latency(struct stats *stats, const struct command *cmd, uint64_t us)
{
	int bucket = us ? 64 - __builtin_clzll(us) : 0;
	if (bucket >= LATENCY_BUCKETS)
		bucket = LATENCY_BUCKETS - 1;
	stat_add(&stats->commands[cmd->id].latency[bucket], 1);
}

#endif
