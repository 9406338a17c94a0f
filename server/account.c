/* What commands have taken (account.h). */
#include "server/account.h"

#include "server/server.h"

void account_error(struct worker *worker, const struct reply *reply)
{
	stat_add(&worker->stats.errors, 1);
	stats_error(&worker->stats, reply->code);
}

uint64_t account_command(struct worker *worker, const struct command *cmd, uint64_t cycles)
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
