/*
 * LATENCY: histograms out of the counters of INFO commandstats, and the events of latency.h.
 */
#include "proto/command_info.h"
#include "server/gather.h"
#include "server/handlers.h"
#include "server/help.h"
#include "server/latency.h"
#include "server/totals.h"

static const char *const kind_names[LATENCY_KIND_COUNT] = {
	[LATENCY_COMMAND] = "command",
	[LATENCY_FAST_COMMAND] = "fast-command",
};

void latency_note(struct worker *worker, const struct command *cmd, uint64_t us)
{
	struct server *server = worker->server;
	int64_t ms = (int64_t)(us / 1000);
	if (ms < config_int(&server->config.latency_monitor_threshold))
		return;
	struct latency_event *event =
		&worker->latency[cmd->flags & CMD_FAST ? LATENCY_FAST_COMMAND : LATENCY_COMMAND];
	event->at_ms = clock_now(&server->clock);
	event->latest_ms = ms;
	if (ms > event->max_ms)
		event->max_ms = ms;
}

/* --- HISTOGRAM --- */

/* One command's histogram: how many calls took at most so many microseconds, where that grows. */
static void reply_histogram(struct reply *r, const struct command *cmd,
			    const struct command_totals *totals)
{
	reply_bulk_text(r, cmd->name);
	reply_map(r, 2);
	reply_bulk_text(r, "calls");
	reply_int(r, (int64_t)totals->timed);
	reply_bulk_text(r, "histogram_usec");
	size_t header = reply_later(r);
	size_t pairs = 0;
	uint64_t below = 0;
	for (unsigned b = 0; b < LATENCY_BUCKETS; b++) {
		if (totals->latency[b] == 0)
			continue;
		below += totals->latency[b];
		reply_int(r, (int64_t)totals_bucket_us(b));
		reply_int(r, (int64_t)below);
		pairs++;
	}
	reply_map_at(r, header, pairs);
}

/* The command's, if it has been called. Returns how many were replied. */
static size_t histogram_of(const struct server *server, struct reply *r, const struct command *cmd)
{
	struct command_totals totals;
	totals_read_command(server, cmd->id, &totals);
	if (totals.timed == 0)
		return 0;
	reply_histogram(r, cmd, &totals);
	return 1;
}

/* The command's and those of its subcommands. */
static size_t histograms_of(const struct server *server, struct reply *r, const struct command *cmd)
{
	const struct command *end = command_table + CMD_COUNT;
	size_t n = histogram_of(server, r, cmd);
	for (const struct command *sub = cmd + 1; sub < end && sub->parent == cmd; sub++)
		n += histogram_of(server, r, sub);
	return n;
}

void cmd_latency_histogram(struct conn *conn, struct ctx *ctx)
{
	const struct server *server = conn->worker->server;
	size_t header = reply_later(ctx->reply);
	size_t n = 0;
	if (ctx->argc == 2)
		for (uint32_t id = 0; id < CMD_COUNT; id++)
			n += histogram_of(server, ctx->reply, &command_table[id]);
	for (uint32_t i = 2; i < ctx->argc; i++) {
		const struct command *cmd = command_find_full(ctx->argv[i]);
		if (cmd)
			n += histograms_of(server, ctx->reply, cmd);
	}
	reply_map_at(ctx->reply, header, n);
}

/* --- LATEST and RESET --- */

/* What a worker reports of its events: as they are, one after the other. */
static void latest_run(struct worker *worker, struct gather_part *part)
{
	reply_raw(&part->reply, (const char *)worker->latency, sizeof(worker->latency));
}

static void merge_event(struct latency_event *into, const struct latency_event *event)
{
	if (event->max_ms > into->max_ms)
		into->max_ms = event->max_ms;
	if (event->at_ms <= into->at_ms)
		return;
	into->at_ms = event->at_ms;
	into->latest_ms = event->latest_ms;
}

static void latest_finish(struct gather *gather, struct reply *reply)
{
	struct latency_event all[LATENCY_KIND_COUNT] = {0}, part[LATENCY_KIND_COUNT];
	for (uint32_t i = 0; i < gather->part_count; i++) {
		memcpy(part, gather->parts[i].reply.buf, sizeof(part));
		for (int kind = 0; kind < LATENCY_KIND_COUNT; kind++)
			merge_event(&all[kind], &part[kind]);
	}
	size_t header = reply_later(reply);
	size_t n = 0;
	for (int kind = 0; kind < LATENCY_KIND_COUNT; kind++) {
		if (all[kind].at_ms == 0)
			continue;
		reply_array(reply, 4);
		reply_bulk_text(reply, kind_names[kind]);
		reply_int(reply, all[kind].at_ms / 1000);
		reply_int(reply, all[kind].latest_ms);
		reply_int(reply, all[kind].max_ms);
		n++;
	}
	reply_array_at(reply, header, n);
}

void cmd_latency_latest(struct conn *conn, struct ctx *ctx)
{
	gather_start(gather_new(conn, 0, latest_run, latest_finish));
}

/* The part's number: which of the kinds asked for this worker had, a bit for each. */
static void reset_run(struct worker *worker, struct gather_part *part)
{
	uint32_t kinds = *(const uint32_t *)part->gather->args;
	for (int kind = 0; kind < LATENCY_KIND_COUNT; kind++) {
		struct latency_event *event = &worker->latency[kind];
		if (!(kinds & 1u << kind) || event->at_ms == 0)
			continue;
		part->number |= 1 << kind;
		*event = (struct latency_event){0};
	}
}

static void reset_finish(struct gather *gather, struct reply *reply)
{
	uint32_t had = 0;
	for (uint32_t i = 0; i < gather->part_count; i++)
		had |= (uint32_t)gather->parts[i].number;
	reply_int(reply, __builtin_popcount(had));
}

void cmd_latency_reset(struct conn *conn, struct ctx *ctx)
{
	uint32_t kinds = ctx->argc == 2 ? (1u << LATENCY_KIND_COUNT) - 1 : 0;
	for (uint32_t i = 2; i < ctx->argc; i++)
		for (int kind = 0; kind < LATENCY_KIND_COUNT; kind++)
			if (slice_equal(ctx->argv[i], slice_of(kind_names[kind])))
				kinds |= 1u << kind;
	struct gather *gather = gather_new(conn, sizeof(kinds), reset_run, reset_finish);
	*(uint32_t *)gather->args = kinds;
	gather_start(gather);
}

void cmd_latency_help(struct conn *conn, struct ctx *ctx)
{
	static const char *const lines[] = {
		"HISTOGRAM [<command> ...]",
		"    How many calls of these commands, or all, took at most so many microseconds.",
		"LATEST",
		"    For each kind of delay: when the latest was, how long it was, the longest (in ms).",
		"RESET [<event> ...]",
		"    Forget the delays of these kinds, or all.",
	};
	help_reply(ctx, lines, sizeof(lines) / sizeof(lines[0]));
}
