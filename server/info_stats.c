/* INFO's counters: stats, commandstats, errorstats, latencystats, workers. */
#include "server/info.h"
#include "server/totals.h"

#include <time.h>

typedef unsigned long long ull;

static ull load(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

/* --- stats --- */

static const char stats_replication[] =
	"sync_full:0\r\nsync_partial_ok:0\r\nsync_partial_err:0\r\n";
static const char stats_eviction[] =
	"evicted_keys:0\r\nevicted_clients:0\r\nevicted_scripts:0\r\n"
	"total_eviction_exceeded_time:0\r\ncurrent_eviction_exceeded_time:0\r\n";
static const char stats_others[] =
	"pubsub_channels:0\r\npubsub_patterns:0\r\npubsubshard_channels:0\r\n"
	"latest_fork_usec:0\r\ntotal_forks:0\r\nmigrate_cached_sockets:0\r\n"
	"slave_expires_tracked_keys:0\r\nactive_defrag_hits:0\r\nactive_defrag_misses:0\r\n"
	"active_defrag_key_hits:0\r\nactive_defrag_key_misses:0\r\ntotal_active_defrag_time:0\r\n"
	"current_active_defrag_time:0\r\ntracking_total_keys:0\r\ntracking_total_items:0\r\n"
	"tracking_total_prefixes:0\r\n";

static void stats_traffic(const struct info *info, const struct totals *t)
{
	const struct server *server = info->server;
	const struct samples *samples = &server->samples;
	info_line(info, "total_connections_received:%llu", (ull)t->connections);
	info_line(info, "total_commands_processed:%llu", (ull)t->commands_run);
	info_line(info, "instantaneous_ops_per_sec:%llu", load(&samples->commands_per_sec));
	info_line(info, "total_net_input_bytes:%llu", (ull)t->bytes_in);
	info_line(info, "total_net_output_bytes:%llu", (ull)t->bytes_out);
	info_text(info, "total_net_repl_input_bytes:0\r\ntotal_net_repl_output_bytes:0\r\n");
	info_line(info, "instantaneous_input_kbps:%.2f",
		  (double)load(&samples->bytes_in_per_sec) / 1024);
	info_line(info, "instantaneous_output_kbps:%.2f",
		  (double)load(&samples->bytes_out_per_sec) / 1024);
	info_text(info, "instantaneous_input_repl_kbps:0.00\r\n"
			"instantaneous_output_repl_kbps:0.00\r\n");
	info_line(info, "rejected_connections:%llu", load(&server->rejected));
}

static void stats_keys(const struct info *info, const struct totals *t)
{
	info_line(info, "expired_keys:%llu", (ull)t->expired);
	info_line(info, "expired_subkeys:%llu", (ull)t->expired_fields);
	info_text(info, "expired_stale_perc:0.00\r\nexpired_time_cap_reached_count:0\r\n");
	info_line(info, "expire_sweep_entries:%llu", (ull)t->sweep_entries);
	info_line(info, "expire_sweep_lag_ms:%llu", (ull)t->sweep_lag_ms);
	info_text(info, stats_eviction);
	info_line(info, "keyspace_hits:%llu", (ull)t->hits);
	info_line(info, "keyspace_misses:%llu", (ull)t->misses);
}

/* The paths that requests took, and the mail between workers. */
static void stats_paths(const struct info *info, const struct totals *t)
{
#define STAT(name, help)                                                                           \
	if (strncmp(#name, "path_", 5) == 0 || strncmp(#name, "mail_", 5) == 0)                    \
		info_line(info, #name ":%llu", (ull)t->name);
#include "server/stats.def"
#undef STAT
}

void info_stats(const struct info *info)
{
	struct totals t;
	totals_read(info->server, &t);
	stats_traffic(info, &t);
	info_text(info, stats_replication);
	stats_keys(info, &t);
	info_text(info, stats_others);
	info_text(info, "unexpected_error_replies:0\r\n");
	info_line(info, "total_error_replies:%llu", (ull)t.errors);
	info_text(info, "dump_payload_sanitizations:0\r\n");
	info_line(info, "total_reads_processed:%llu", (ull)t.reads);
	info_line(info, "total_writes_processed:%llu", (ull)t.writes);
	info_text(info, "io_threaded_reads_processed:0\r\nio_threaded_writes_processed:0\r\n");
	info_line(info, "clients_timed_out:%llu", (ull)t.clients_timed_out);
	info_line(info, "client_query_buffer_limit_disconnections:%llu",
		  (ull)t.clients_query_limit);
	info_line(info, "client_output_buffer_limit_disconnections:%llu",
		  (ull)t.clients_output_limit);
	info_text(info, "reply_buffer_shrinks:0\r\nreply_buffer_expands:0\r\n");
	stats_paths(info, &t);
}

/* --- by command, by error --- */

void info_commandstats(const struct info *info)
{
	for (uint32_t id = 0; id < CMD_COUNT; id++) {
		struct command_totals t;
		totals_read_command(info->server, id, &t);
		if (t.calls == 0 && t.rejected == 0 && t.failed == 0)
			continue;
		double us = clock_cycles_us(&info->server->clock, t.cycles);
		info_line(info,
			  "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,"
			  "failed_calls=%llu",
			  command_table[id].name, (ull)t.calls, (ull)us,
			  t.calls ? us / (double)t.calls : 0, (ull)t.rejected, (ull)t.failed);
	}
}

void info_errorstats(const struct info *info)
{
	struct error_total errors[ERROR_KINDS_MAX];
	uint32_t count = totals_read_errors(info->server, errors);
	for (uint32_t i = 0; i < count; i++)
		info_line(info, "errorstat_%s:count=%llu", errors[i].code, (ull)errors[i].count);
}

/* The percentiles are upper bounds: those of their histogram's buckets. */
void info_latencystats(const struct info *info)
{
	if (!config_int(&info->server->config.latency_tracking))
		return;
	for (uint32_t id = 0; id < CMD_COUNT; id++) {
		struct command_totals t;
		totals_read_command(info->server, id, &t);
		if (t.timed == 0)
			continue;
		info_line(info, "latency_percentiles_usec_%s:p50=%.3f,p99=%.3f,p99.9=%.3f",
			  command_table[id].name, (double)totals_percentile_us(&t, 500),
			  (double)totals_percentile_us(&t, 990),
			  (double)totals_percentile_us(&t, 999));
	}
}

/* --- workers --- */

/* CPU seconds of its thread. */
static double worker_cpu_seconds(const struct worker *worker)
{
	clockid_t id;
	struct timespec ts;
	if (pthread_getcpuclockid(worker->thread, &id) || clock_gettime(id, &ts))
		return 0;
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void worker_line(const struct info *info, const struct worker *worker)
{
	const struct stats *s = &worker->stats;
	uint32_t conns = atomic_load_explicit(&worker->conn_count, memory_order_relaxed);
	info_line(info,
		  "worker%u:connections=%u,commands=%llu,cpu_seconds=%.6f,ticks=%llu,"
		  "path_rcu=%llu,path_held=%llu,path_held_several=%llu,path_held_all=%llu,"
		  "path_long=%llu,path_retries=%llu,path_waits=%llu,mail_sent=%llu,mail_wakes=%llu",
		  worker->id, conns, load(&s->commands_run), worker_cpu_seconds(worker),
		  load(&s->ticks), load(&s->path_rcu), load(&s->path_held),
		  load(&s->path_held_several), load(&s->path_held_all), load(&s->path_long),
		  load(&s->path_retries), load(&s->path_waits), load(&s->mail_sent), load(&s->mail_wakes));
}

/* Slots that are held at this moment, slots with watched keys. */
static void slots_lines(const struct info *info)
{
	unsigned held = 0, watched = 0;
	for (uint32_t i = 0; i < SLOT_COUNT; i++) {
		const struct slot *slot = &info->server->ks->slots[i];
		held += slot_seq_begin(slot) & 1;
		watched += slot_watchers(slot) != NULL;
	}
	info_line(info, "slots_held:%u", held);
	info_line(info, "slots_watched:%u", watched);
}

void info_workers(const struct info *info)
{
	info_line(info, "workers:%u", info->server->worker_count);
	slots_lines(info);
	for (uint32_t i = 0; i < info->server->worker_count; i++)
		worker_line(info, &info->server->workers[i]);
}
