/*
 * INFO persistence (info.h): loading, snapshots, journals. Redis' names first, then what it hasn't.
 */
#include "server/info.h"
#include "server/server.h"

#include "server/totals.h"

typedef unsigned long long ull;

/* Seconds until all is loaded, as far as anybody can tell: by Redis' formula. */
static long long loading_eta_s(const struct persistence *persistence, ull done, ull total)
{
	int64_t elapsed =
		(clock_wall_us() / 1000 - atomic_load(&persistence->loading_since)) / 1000;
	if (elapsed <= 0)
		return 1;
	return total > done ? (long long)((ull)elapsed * (total - done) / (done + 1)) : 0;
}

static void loading_lines(const struct info *info)
{
	struct persistence *persistence = &info->server->persistence;
	ull total = atomic_load(&persistence->recovery.bytes_total);
	ull done = atomic_load(&persistence->recovery.bytes_done);
	bool loading = persistence_loading(persistence);
	info_line(info, "loading:%d", loading);
	info_text(info, "async_loading:0\r\n");
	if (!loading)
		return;
	info_line(info, "loading_start_time:%lld",
		  (long long)atomic_load(&persistence->loading_since) / 1000);
	info_line(info, "loading_total_bytes:%llu", total);
	info_line(info, "loading_loaded_bytes:%llu", done);
	info_line(info, "loading_loaded_perc:%.2f",
		  total ? 100. * (double)done / (double)total : 0.);
	info_line(info, "loading_eta_seconds:%lld", loading_eta_s(persistence, done, total));
}

/* Seconds since a snapshot was begun; -1: none of that kind is being made. */
static long long running_s(const struct snapshotter *snapshotter, enum save_kind kind)
{
	int64_t begun = atomic_load(&snapshotter->begun_ms);
	if (!begun || (enum save_kind)atomic_load(&snapshotter->kind) != kind)
		return -1;
	return (clock_wall_us() / 1000 - begun) / 1000;
}

/* What the snapshot that is being made has done, keeps, and has still to do. */
static void progress_lines(const struct info *info)
{
	const struct snapshotter *snapshotter = &info->server->snapshotter;
	int64_t begun = atomic_load(&snapshotter->begun_ms);
	ull keys = begun ? atomic_load(&snapshotter->snapshot.keys) : 0;
	ull bytes = begun ? atomic_load(&snapshotter->snapshot.bytes) : 0;
	ull total = begun ? atomic_load(&snapshotter->keys_total) : 0;
	double seconds = begun ? (double)(clock_wall_us() / 1000 - begun) / 1000 : 0;
	info_line(info, "current_cow_peak:%llu",
		  begun ? (ull)atomic_load(&snapshotter->kept_peak) : 0);
	info_line(info, "current_cow_size:%llu", (ull)snapshotter_kept(info->server));
	info_text(info, "current_cow_size_age:0\r\n");
	info_line(info, "current_fork_perc:%.2f", total ? 100. * (double)keys / (double)total : 0.);
	info_line(info, "current_save_keys_processed:%llu", keys);
	info_line(info, "current_save_keys_total:%llu", total);
	info_line(info, "snapshot_backlog_keys:%llu", total > keys ? total - keys : 0);
	info_line(info, "snapshot_bytes:%llu", bytes);
	info_line(info, "snapshot_bytes_per_sec:%.0f", seconds > 0 ? (double)bytes / seconds : 0.);
}

static void rdb_lines(const struct info *info)
{
	const struct snapshotter *snapshotter = &info->server->snapshotter;
	const struct save_results *rdb = &snapshotter->rdb;
	bool running =
		atomic_load(&snapshotter->kind) == SAVE_RDB || atomic_load(&snapshotter->leaving);
	info_line(info, "rdb_changes_since_last_save:%llu", (ull)snapshotter_changes(info->server));
	info_line(info, "rdb_bgsave_in_progress:%d", running);
	info_line(info, "rdb_last_save_time:%lld", (long long)atomic_load(&snapshotter->saved_s));
	info_line(info, "rdb_last_bgsave_status:%s", atomic_load(&rdb->failed) ? "err" : "ok");
	info_line(info, "rdb_last_bgsave_time_sec:%lld", (long long)atomic_load(&rdb->seconds));
	info_line(info, "rdb_current_bgsave_time_sec:%lld", running_s(snapshotter, SAVE_RDB));
	info_line(info, "rdb_saves:%llu", (ull)atomic_load(&rdb->count));
	info_line(info, "rdb_increments:%llu", (ull)atomic_load(&snapshotter->increments));
	info_line(info, "rdb_changes_noted_bytes:%llu",
		  (ull)atomic_load(&info->server->ks->changes.memory));
	info_line(info, "rdb_last_cow_size:%llu", (ull)atomic_load(&rdb->kept));
	info_line(info, "rdb_last_load_keys_expired:%llu",
		  (ull)atomic_load(&info->server->persistence.expired_keys));
	info_line(info, "rdb_last_load_keys_loaded:%lld",
		  (long long)atomic_load(&info->server->persistence.loaded_keys));
}

static void aof_lines(const struct info *info)
{
	const struct snapshotter *snapshotter = &info->server->snapshotter;
	const struct save_results *aof = &snapshotter->aof;
	info_line(info, "aof_enabled:%d", (int)config_int(&info->server->config.appendonly));
	bool scheduled = atomic_load(&snapshotter->scheduled_aof); /* first: it may begin just now */
	info_line(info, "aof_rewrite_in_progress:%d", atomic_load(&snapshotter->kind) == SAVE_AOF);
	info_line(info, "aof_rewrite_scheduled:%d", scheduled);
	info_line(info, "aof_last_rewrite_time_sec:%lld", (long long)atomic_load(&aof->seconds));
	info_line(info, "aof_current_rewrite_time_sec:%lld", running_s(snapshotter, SAVE_AOF));
	info_line(info, "aof_last_bgrewrite_status:%s", atomic_load(&aof->failed) ? "err" : "ok");
	info_line(info, "aof_rewrites:%llu", (ull)atomic_load(&aof->count));
	info_line(info, "aof_rewrites_consecutive_failures:%llu", (ull)atomic_load(&aof->failures));
	info_line(info, "aof_last_write_status:%s",
		  flusher_trouble(&info->server->flusher) ? "err" : "ok");
	info_line(info, "aof_last_cow_size:%llu", (ull)atomic_load(&aof->kept));
	info_text(info, "module_fork_in_progress:0\r\nmodule_fork_last_cow_size:0\r\n");
}

/* One worker's: bytes since the start, and where of them the generation that it writes begins. */
static void journal_line(const struct info *info, uint32_t i)
{
	const struct journal *journal = &info->server->ks->shards[i]->journal;
	const struct syncer *syncer = &info->server->flusher.syncers[i];
	ull durable = atomic_load(&syncer->durable);
	info_line(info, "journal_%u:generation=%llu,begin=%llu,written=%llu,durable=%llu", i,
		  (ull)atomic_load(&syncer->segment.entered),
		  (ull)atomic_load(&journal->segment_start), (ull)atomic_load(&journal->written),
		  durable);
}

/*
 * So much of it a power loss leaves: what is synced, but for the last epoch, where that isn't
 * committed and appendfsync isn't always.
 */
static ull bytes_left(const struct info *info, uint32_t i)
{
	const struct flusher *flusher = &info->server->flusher;
	const struct journal *journal = &info->server->ks->shards[i]->journal;
	ull durable = atomic_load(&flusher->syncers[i].durable);
	ull start = atomic_load(&journal->epoch_start);
	if (atomic_load(&flusher->always) ||
	    atomic_load(&journal->epoch) <= atomic_load(&flusher->durable_epoch))
		return durable;
	return start < durable ? start : durable;
}

/* What the journals hold, and how far they are safe. */
static void journal_lines(const struct info *info)
{
	const struct flusher *flusher = &info->server->flusher;
	ull appended = 0, durable = 0;
	if (persistence_loading(&info->server->persistence) || flusher_off(flusher))
		return;
	info_line(info, "aof_current_size:%llu", (ull)growth_size(info->server));
	info_line(info, "aof_base_size:%llu", (ull)atomic_load(&info->server->growth.base));
	for (uint32_t i = 0; i < info->server->worker_count; i++) {
		appended += atomic_load(&info->server->ks->shards[i]->journal.appended);
		durable += bytes_left(info, i);
	}
	info_line(info, "journal_appended_bytes:%llu", appended);
	info_line(info, "journal_lag_bytes:%llu", appended > durable ? appended - durable : 0);
	info_line(info, "durable_epoch:%llu", (ull)atomic_load(&flusher->durable_epoch));
	info_line(info, "durable_time_ms:%lld", (long long)atomic_load(&flusher->durable_ms));
	for (uint32_t i = 0; i < info->server->worker_count; i++)
		journal_line(info, i);
}

void info_persistence(const struct info *info)
{
	loading_lines(info);
	progress_lines(info);
	rdb_lines(info);
	aof_lines(info);
	journal_lines(info);
}
