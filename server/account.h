/*
 * What commands have taken: their times and errors go to the counters that INFO commandstats,
 * latencystats and errorstats sum up, and to the latency monitor.
 *
 * A batch reads the clock once a request: each one has taken all the time since the last reading
 * (worker->cycles).
 *
 * The worker's thread.
 */
#ifndef SERVER_ACCOUNT_H
#define SERVER_ACCOUNT_H

#include "server/server.h"

/* Counts a command that has taken so long. Returns the microseconds. */
static inline uint64_t account_command(struct worker *worker, const struct command *cmd,
				       uint64_t cycles)
{
	const struct config *config = &worker->server->config;
	uint64_t us = (uint64_t)(int64_t)clock_cycles_us(&worker->server->clock, cycles);
	stats_command(&worker->stats, cmd, cycles);
	stat_add(&worker->stats.commands_run, 1);
	if (config_int(&config->latency_tracking))
		stats_latency(&worker->stats, cmd, us);
	if (config_int(&config->latency_monitor_threshold) > 0)
		latency_note(worker, cmd, us);
	return us;
}

/* Counts error replies by their first word. */
void account_error(struct worker *worker, const struct reply *reply);

/* The same of one that has taken all the time since the last one; and counts its error. */
static inline uint64_t account_request(struct worker *worker, const struct command *cmd,
				       const struct reply *reply, uint32_t errors_before)
{
	uint64_t now = clock_cycles();
	uint64_t cycles = now - worker->cycles;
	worker->cycles = now;
	uint64_t us = account_command(worker, cmd, cycles);
	if (reply->errors != errors_before) {
		stat_add(&worker->stats.commands[cmd->id].failed, 1);
		account_error(worker, reply);
	}
	return us;
}

#endif
