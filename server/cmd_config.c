/* CONFIG and its subcommands. */
#include "proto/glob.h"
#include "proto/mem.h"
#include "server/gather.h"
#include "server/handlers.h"
#include "server/help.h"
#include "server/multi.h"
#include "server/server.h"

#include <stdio.h>

/* --- GET --- */

/* A word without wildcards is shown as it was written; NULL ptr when nothing matches. */
static struct slice matched_name(struct ctx *ctx, const char *name)
{
	for (uint32_t i = 2; i < ctx->argc; i++) {
		struct slice pattern = ctx->argv[i];
		if (slice_is(pattern, name))
			return pattern;
		if (glob_match(pattern, slice_of(name), true))
			return slice_of(name);
	}
	return (struct slice){0};
}

void cmd_config_get(struct conn *conn, struct ctx *ctx)
{
	struct config *config = &conn->worker->server->config;
	const struct config_option *option;
	size_t at = reply_later(ctx->reply), count = 0;
	for (size_t i = 0; (option = config_option_at(i)); i++) {
		struct slice name = matched_name(ctx, config_name(option));
		if (!name.ptr)
			continue;
		struct reply value;
		reply_init(&value, 2);
		config_format(config, option, &value);
		reply_bulk_slice(ctx->reply, name);
		reply_bulk(ctx->reply, value.buf, value.len);
		reply_deinit(&value);
		count++;
	}
	reply_map_at(ctx->reply, at, count);
}

/* --- SET --- */

/* One pair of CONFIG SET, and what the option was before. */
struct change {
	const struct config_option *option;
	struct reply before;
};

static bool same_name(struct slice a, struct slice b)
{
	return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

static void reply_failed(struct ctx *ctx, struct slice name, const char *why)
{
	reply_errorf(ctx->reply, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
		     ERROR_ECHO(name), why);
}

/* Finds all options first: nothing is changed when one of them can't be. */
static bool find_options(struct ctx *ctx, struct change *changes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct slice name = ctx->argv[2 + 2 * i];
		changes[i].option = config_find(name);
		if (!changes[i].option) {
			reply_errorf(ctx->reply,
				     "ERR Unknown option or number of arguments for CONFIG SET - "
				     "'%.*s'",
				     ERROR_ECHO(name));
			return false;
		}
		const char *wrong = config_fixed(changes[i].option);
		for (uint32_t j = 0; j < i && !wrong; j++)
			if (same_name(ctx->argv[2 + 2 * j], name))
				wrong = "duplicate parameter";
		if (wrong) {
			reply_failed(ctx, name, wrong);
			return false;
		}
	}
	return true;
}

static void undo(struct config *config, struct change *changes, uint32_t count)
{
	char ignored[CONFIG_ERROR_MAX];
	while (count-- > 0)
		config_set(config, changes[count].option,
			   (struct slice){changes[count].before.len ? changes[count].before.buf : "",
					  changes[count].before.len},
			   ignored);
}

/* Whether the system has what the new value asks it for. */
static bool system_allows(struct config *config, const struct config_option *option,
			  uint32_t workers, char error[CONFIG_ERROR_MAX])
{
	if (option != config_find(SLICE("maxclients")))
		return true;
	int64_t wanted = config_int(&config->maxclients);
	int64_t enough = acceptor_raise_fd_limit(wanted, workers);
	snprintf(error, CONFIG_ERROR_MAX,
		 "The operating system is not able to handle the specified number of clients, try "
		 "with %lld",
		 (long long)enough);
	return enough == wanted;
}

static bool make_changes(struct config *config, struct ctx *ctx, struct change *changes,
			 uint32_t count)
{
	char error[CONFIG_ERROR_MAX];
	for (uint32_t i = 0; i < count; i++) {
		const struct config_option *option = changes[i].option;
		config_format(config, option, &changes[i].before);
		if (config_set(config, option, ctx->argv[3 + 2 * i], error) &&
		    system_allows(config, option, ctx->ks->shard_count, error))
			continue;
		undo(config, changes, i + 1);
		reply_failed(ctx, ctx->argv[2 + 2 * i], error);
		return false;
	}
	const char *conflict = config_conflict(config);
	if (conflict) {
		undo(config, changes, count);
		reply_failed(ctx, SLICE("maxmemory-policy"), conflict);
	}
	return !conflict;
}

/* A promise is given when it is in force. (Not within EXEC, which would keep its slots so long.) */
static void reply_changed(struct conn *conn, struct ctx *ctx, const struct change *changes,
			  uint32_t count)
{
	struct flusher *flusher = &conn->worker->server->flusher;
	bool waits = false;
	for (uint32_t i = 0; i < count; i++)
		waits |= changes[i].option == config_find(SLICE("appendfsync"));
	if (waits && !flusher_off(flusher) && !multi_running(conn))
		flusher_await_policy(flusher, save_waiter_new(conn, "ERR"));
	else
		reply_ok(ctx->reply);
}

void cmd_config_set(struct conn *conn, struct ctx *ctx)
{
	struct server *server = conn->worker->server;
	if (ctx->argc % 2) {
		reply_error(ctx->reply, error_syntax);
		return;
	}
	uint32_t count = (ctx->argc - 2) / 2;
	struct change *changes = mem_zalloc(count * sizeof(*changes));
	for (uint32_t i = 0; i < count; i++)
		reply_init(&changes[i].before, 2);
	config_begin_change(&server->config);
	if (find_options(ctx, changes, count) &&
	    make_changes(&server->config, ctx, changes, count)) {
		config_apply(server);
		reply_changed(conn, ctx, changes, count);
	}
	config_end_change(&server->config);
	for (uint32_t i = 0; i < count; i++)
		reply_deinit(&changes[i].before);
	mem_free(changes, count * sizeof(*changes));
}

/* --- RESETSTAT, REWRITE, HELP --- */

static void resetstat_run(struct worker *worker, struct gather_part *part)
{
	stats_reset(&worker->stats);
	struct shard_stats *shard = &worker->shard->stats;
	_Atomic uint64_t *counters[] = {&shard->hits, &shard->misses, &shard->expired,
					&shard->expired_fields, &shard->sweep_entries,
					&worker->shard->retire.flushed_freed};
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		atomic_store_explicit(counters[i], 0, memory_order_relaxed);
}

static void resetstat_finish(struct gather *gather, struct reply *reply)
{
	atomic_store(&gather->origin->server->rejected, 0);
	reply_ok(reply);
}

void cmd_config_resetstat(struct conn *conn, struct ctx *ctx)
{
	gather_start(gather_new(conn, 0, resetstat_run, resetstat_finish));
}

void cmd_config_rewrite(struct conn *conn, struct ctx *ctx)
{
	struct config *config = &conn->worker->server->config;
	if (!config->file) {
		reply_error(ctx->reply, "ERR The server is running without a config file");
		return;
	}
	config_begin_change(config);
	int error = config_rewrite(config);
	config_end_change(config);
	if (error)
		reply_errorf(ctx->reply, "ERR Rewriting config file: %s", strerror(-error));
	else
		reply_ok(ctx->reply);
}

void cmd_config_help(struct conn *conn, struct ctx *ctx)
{
	static const char *const lines[] = {
		"GET <pattern> [...]", "    The options whose names match, with their values.",
		"SET <option> <value> [...]", "    Change options, all of them or none.",
		"RESETSTAT", "    Set the counters that INFO shows to zero.",
		"REWRITE", "    Write the configuration file anew, with the values of now.",
	};
	help_reply(ctx, lines, sizeof(lines) / sizeof(lines[0]));
}
