/* When a snapshot is due (due.h). */
#include "server/due.h"

#include "proto/mem.h"
#include "server/log.h"
#include "server/server.h"

#include <stdlib.h>

bool due_has_points(struct server *server)
{
	return !config_string_empty(&server->config, &server->config.save);
}

bool due_journals(const struct server *server)
{
	return config_int(&server->config.appendonly) &&
	       (flusher_off(&server->flusher) || !atomic_load(&server->flusher.listed));
}

/*
 * Whether so many changes in so many seconds are a point; logs it. The text was checked when it was
 * set.
 */
static bool point_reached(struct server *server, uint64_t dirty, int64_t seconds)
{
	char text[CONFIG_SAVE_MAX];
	char *at = text, *end;
	config_string_copy(&server->config, &server->config.save, text, sizeof(text));
	for (;;) {
		long long after = strtoll(at, &end, 10);
		if (end == at)
			return false;
		long long wanted = strtoll(end, &at, 10);
		if (dirty < (uint64_t)wanted || seconds <= after)
			continue;
		log_write(LOG_NOTICE, "%lld changes in %lld seconds. Saving...", wanted, after);
		return true;
	}
}

/*
 * save-on-memory: memory has come to its limit, for the first time since it was below, or the last
 * snapshot failed.
 */
static bool memory_reached(struct snapshotter *snapshotter)
{
	struct server *server = snapshotter->server;
	int64_t percent = config_int(&server->config.save_on_memory);
	uint64_t maxmemory = (uint64_t)config_int(&server->config.maxmemory);
	if (percent == 0 || maxmemory == 0) {
		snapshotter->memory_above = false;
		return false;
	}
	struct mem_stats memory;
	mem_stats_read(&memory);
	bool above = memory.allocated / 100 >= maxmemory / 10000 * (uint64_t)percent;
	bool reached =
		above && (!snapshotter->memory_above || atomic_load(&snapshotter->rdb.failed));
	if (!above)
		snapshotter->memory_above = false;
	if (reached)
		log_write(LOG_NOTICE, "Memory has come to %lld%% of maxmemory. Saving...",
			  (long long)percent);
	return reached;
}

/* A failure is not repeated at once. */
static bool may_try(const struct snapshotter *snapshotter, const struct save_results *results)
{
	return !atomic_load(&results->failed) ||
	       clock_wall_s() - atomic_load(&snapshotter->tried_s) > SAVE_RETRY_S;
}

enum save_kind due_find(struct snapshotter *snapshotter)
{
	struct server *server = snapshotter->server;
	if (snapshotter->scheduled_aof)
		return SAVE_AOF;
	if (due_journals(server) &&
	    clock_wall_s() - atomic_load(&snapshotter->tried_s) > SAVE_RETRY_S)
		return SAVE_AOF;
	if (!may_try(snapshotter, &snapshotter->rdb))
		return SAVE_NONE;
	if (snapshotter->scheduled_rdb)
		return SAVE_RDB;
	if (memory_reached(snapshotter)) {
		snapshotter->memory_above = true;
		return SAVE_RDB;
	}
	int64_t seconds = clock_wall_s() - atomic_load(&snapshotter->saved_s);
	if (point_reached(server, snapshotter_changes(server), seconds))
		return SAVE_RDB;
	return may_try(snapshotter, &snapshotter->aof) && growth_due(server) ? SAVE_AOF : SAVE_NONE;
}
