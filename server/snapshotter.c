/*
 * The snapshotter (snapshotter.h).
 *
 * The happy path: snapshotter_ask() leaves a wish; snapshotter_main() takes it; make() cuts, writes
 * and lists the snapshot; note() says what came of it, and whoever waits gets mail.
 */
#include "server/snapshotter.h"

#include "proto/mem.h"
#include "server/account.h"
#include "server/conn.h"
#include "server/due.h"
#include "server/generation.h"
#include "server/log.h"
#include "server/reload.h"
#include "server/server.h"
#include "server/totals.h"
#include "shard/freeze.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

uint64_t snapshotter_kept(const struct server *server)
{
	uint64_t kept = 0;
	for (uint32_t i = 0; i < server->worker_count; i++)
		kept += retire_kept_bytes(&server->ks->shards[i]->retire);
	return kept;
}

/* Changes of keys ever. */
static uint64_t changes(const struct server *server)
{
	struct totals totals;
	totals_read(server, &totals);
	return totals.dirty;
}

uint64_t snapshotter_changes(const struct server *server)
{
	uint64_t now = changes(server), saved = atomic_load(&server->snapshotter.saved_dirty);
	return now > saved ? now - saved : 0;
}

/* --- making one --- */

/* When eviction goes by it, the files say when keys were used. */
static enum snapshot_uses uses(const struct server *server)
{
	switch (config_int(&server->config.maxmemory_policy)) {
	case POLICY_ALLKEYS_LRU:
	case POLICY_VOLATILE_LRU:
		return SNAPSHOT_IDLE;
	case POLICY_ALLKEYS_LFU:
	case POLICY_VOLATILE_LFU:
		return SNAPSHOT_FREQUENCY;
	default:
		return SNAPSHOT_NO_USES;
	}
}

static uint64_t count_keys(const struct server *server)
{
	int64_t keys = 0;
	for (uint32_t db = 0; db < server->ks->databases; db++)
		keys += keyspace_keys(server->ks, db);
	return keys > 0 ? (uint64_t)keys : 0;
}

/* After the cut. */
static void prepare(struct snapshotter *snapshotter, uint64_t base, uint64_t cut)
{
	struct server *server = snapshotter->server;
	struct snapshot *snapshot = &snapshotter->snapshot;
	struct config *config = &server->config;
	struct mem_stats memory;
	mem_stats_read(&memory);
	snapshot->ks = server->ks;
	snapshot->dir = server->persistence.dir;
	snapshot->cut = cut;
	snapshot->base = base;
	snapshot->ms = clock_now(&server->clock);
	snapshot->clock = &server->clock.now_ms;
	snapshot->parts = server->worker_count;
	snapshot->used_memory = memory.allocated;
	snapshot->uses = uses(server);
	snapshot->compress = config_int(&config->rdbcompression);
	snapshot->checksum = config_int(&config->rdbchecksum);
	snapshot->sync_often = config_int(&config->rdb_save_incremental_fsync);
	atomic_store(&snapshotter->keys_total, count_keys(server));
}

/* What was noted is of no use: a snapshot that it would follow on isn't there. */
static void forget_changes(struct snapshotter *snapshotter)
{
	changes_since(snapshotter->server->ks, EPOCH_NONE);
	snapshotter->base = EPOCH_NONE;
}

/* The cut, and the files; with `base` an increment to it. */
static int write_files(struct snapshotter *snapshotter, uint64_t base, uint64_t *cut)
{
	struct server *server = snapshotter->server;
	struct snapshot *snapshot = &snapshotter->snapshot;
	int error = generation_begin(server, &snapshot->cancelled, snapshotter->noting, cut);
	if (error)
		return error;
	prepare(snapshotter, base, *cut);
	error = snapshot_write(snapshot);
	freeze_end(server->ks);
	changes_end_snapshot(server->ks);
	return error;
}

/* What an increment follows on; EPOCH_NONE: on nothing, or too many follow on that already. */
static uint64_t base_of(const struct snapshotter *snapshotter)
{
	const struct manifest *manifest = &snapshotter->server->persistence.manifest;
	bool full = manifest_increments(manifest) >= MANIFEST_INCREMENTS_MAX;
	return full ? EPOCH_NONE : snapshotter->base;
}

/* A snapshot from its cut to its line in the manifest. 0 or a negative errno. */
static int make(struct snapshotter *snapshotter, bool increment)
{
	struct server *server = snapshotter->server;
	struct snapshot *snapshot = &snapshotter->snapshot;
	uint64_t base = increment ? base_of(snapshotter) : EPOCH_NONE, cut;
	snapshotter->noting |= increment;
	snapshotter->base = EPOCH_NONE;
	int error = write_files(snapshotter, base, &cut);
	if (error)
		return error;
	struct manifest_item item = {
		.kind = base ? MANIFEST_INCREMENT : MANIFEST_SNAPSHOT,
		.cut = cut,
		.files = snapshot->parts,
		.ms = snapshot->ms,
	};
	error = generation_end(server, &snapshot->cancelled, &item);
	if (!error && snapshotter->noting)
		snapshotter->base = cut;
	if (!error && base)
		atomic_fetch_add(&snapshotter->increments, 1);
	if (!error)
		growth_saved(server, atomic_load(&snapshot->bytes), base != EPOCH_NONE);
	return error;
}

/*
 * Writes wait, and none is under way any more. Not locked: workers that want the mutex are in a
 * tick.
 */
static void hold_writes(struct server *server)
{
	atomic_fetch_or(&server->pause_mode, PAUSE_SHUTDOWN);
	grace_wait(&server->ks->grace);
}

/* By kind. */
static const char *const names[] = {
	[SAVE_RDB] = "Background saving",
	[SAVE_AOF] = "Background append only file rewriting",
	[SAVE_SHUTDOWN] = "Saving the final RDB snapshot before exiting",
};

static void note(struct snapshotter *snapshotter, enum save_kind kind, int error, int64_t begun_ms)
{
	struct save_results *results = kind == SAVE_AOF ? &snapshotter->aof : &snapshotter->rdb;
	int64_t ms = clock_wall_us() / 1000 - begun_ms;
	atomic_store(&results->seconds, ms / 1000);
	atomic_store(&results->kept, atomic_load(&snapshotter->kept_peak));
	if (error == -ECANCELED) {
		log_write(LOG_NOTICE, "%s: cancelled", names[kind]);
		return;
	}
	atomic_store(&results->failed, error != 0);
	atomic_store(&results->failures, error ? atomic_load(&results->failures) + 1 : 0);
	if (error) {
		log_write(LOG_WARNING, "%s: error: %s", names[kind], strerror(-error));
		return;
	}
	log_write(LOG_NOTICE,
		  "%s: terminated with success: %" PRIu64 " keys, %" PRIu64
		  " bytes in %u files, %.3f seconds%s",
		  names[kind], atomic_load(&snapshotter->snapshot.keys),
		  atomic_load(&snapshotter->snapshot.bytes), snapshotter->snapshot.parts,
		  (double)ms / 1000,
		  snapshotter->snapshot.base ? ", incremental: what has changed" : "");
}

/* Begins, makes and ends one. True when it is complete. */
static bool run(struct snapshotter *snapshotter, enum save_kind kind, bool increment)
{
	struct server *server = snapshotter->server;
	uint64_t dirty = changes(server);
	int64_t begun_ms = clock_wall_us() / 1000;
	struct save_results *results = kind == SAVE_AOF ? &snapshotter->aof : &snapshotter->rdb;
	atomic_store(&snapshotter->kept_peak, 0);
	atomic_store(&snapshotter->begun_ms, begun_ms);
	atomic_fetch_add(&results->count, 1);
	log_write(LOG_NOTICE, "%s: started", names[kind]);
	if (kind == SAVE_SHUTDOWN)
		hold_writes(server);
	int error = make(snapshotter, increment);
	if (error && snapshotter->noting)
		forget_changes(snapshotter);
	note(snapshotter, kind, error, begun_ms);
	if (!error && kind != SAVE_AOF) {
		atomic_store(&snapshotter->saved_dirty, dirty);
		atomic_store(&snapshotter->saved_s, clock_wall_s());
	}
	atomic_store(&snapshotter->begun_ms, 0);
	return !error;
}

/* --- who waits --- */

const char save_error_busy[] = "ERR Background save already in progress";

/* The waiter is its worker's again. */
static void mail(struct server *server, struct save_waiter *waiter)
{
	struct mailbox *mailbox = &server->workers[waiter->worker].mailbox;
	struct parcel *parcel = mem_alloc(sizeof(*parcel));
	parcel->count = 0;
	parcel->letters[parcel->count++] = letter_make(waiter, MAIL_SAVED);
	if (mailbox_push(mailbox, parcel, parcel))
		mailbox_wake(mailbox);
}

struct save_waiter *save_waiter_new(struct conn *conn, const char *error)
{
	struct save_waiter *waiter = mem_zalloc(sizeof(*waiter));
	waiter->worker = conn->worker->id;
	waiter->error = error;
	waiter->op = op_detach(conn);
	return waiter;
}

void save_waiters_answer(struct server *server, struct save_waiter *waiters, bool ok)
{
	struct save_waiter *next;
	for (struct save_waiter *waiter = waiters; waiter; waiter = next) {
		next = waiter->next;
		waiter->ok = ok;
		mail(server, waiter);
	}
}

void snapshotter_answer(struct worker *worker, struct save_waiter *waiter)
{
	struct op *op = waiter->op;
	if (!waiter->ok)
		reply_error(&op->reply, waiter->error);
	else if (waiter->shutdown)
		conn_close_after(op->conn);
	else
		reply_ok(&op->reply);
	if (op->reply.errors)
		account_error(worker, &op->reply);
	op_answer(worker, op);
	mem_free(waiter, sizeof(*waiter));
}

/* --- the thread --- */

static struct save_waiter *take_waiters(struct save_waiter **list)
{
	struct save_waiter *waiters = *list;
	*list = NULL;
	return waiters;
}

/* What was wished and isn't begun: it won't be. Locked. */
static void drop_wish(struct snapshotter *snapshotter)
{
	snapshotter->wish = SAVE_NONE;
	snapshotter->increment = false;
	atomic_store(&snapshotter->kind, SAVE_NONE);
	save_waiters_answer(snapshotter->server, take_waiters(&snapshotter->waiters), false);
}

/*
 * The mutex is free meanwhile. Nothing is begun when the server stops: a snapshot of no keys would
 * be complete before anybody looks whether it is cancelled.
 */
static bool run_unlocked(struct snapshotter *snapshotter, enum save_kind kind)
{
	bool increment = snapshotter->increment && kind == SAVE_RDB;
	if (kind == SAVE_RDB)
		snapshotter->increment = false;
	if (snapshotter->stop)
		return false;
	atomic_store(&snapshotter->snapshot.cancelled, false);
	atomic_store(&snapshotter->tried_s, clock_wall_s());
	pthread_mutex_unlock(&snapshotter->mutex);
	bool done = run(snapshotter, kind, increment);
	pthread_mutex_lock(&snapshotter->mutex);
	return done;
}

static void save(struct snapshotter *snapshotter)
{
	enum save_kind kind = snapshotter->wish;
	bool failed = atomic_load(&snapshotter->rdb.failed);
	snapshotter->wish = SAVE_NONE;
	bool done = run_unlocked(snapshotter, kind);
	struct save_waiter *waiters = NULL;
	if (kind == SAVE_RDB) /* who waits during a rewrite waits for what comes after it */
		waiters = take_waiters(&snapshotter->waiters);
	if (waiters && !done) /* as in Redis, only background saving changes that */
		atomic_store(&snapshotter->rdb.failed, failed);
	if (done && due_journals(snapshotter->server)) /* with the next one (generation.h) */
		snapshotter->scheduled_aof = true;
	atomic_store(&snapshotter->kind, snapshotter->wish);
	save_waiters_answer(snapshotter->server, waiters, done);
}

static void leave(struct snapshotter *snapshotter)
{
	struct server *server = snapshotter->server;
	uint64_t stays = snapshotter->stays;
	bool done = run_unlocked(snapshotter, SAVE_SHUTDOWN);
	if (snapshotter->stays != stays) { /* `leaving` and who waits are another shutdown's */
		atomic_fetch_and(&server->pause_mode, ~(uint32_t)PAUSE_SHUTDOWN);
		return;
	}
	if (done || snapshotter->force) {
		server_stop(server);
		done = true;
	} else {
		atomic_fetch_and(&server->pause_mode, ~(uint32_t)PAUSE_SHUTDOWN);
		log_write(LOG_WARNING,
			  "Errors trying to shut down the server. Check the logs for more "
			  "information.");
	}
	atomic_store(&snapshotter->leaving, false);
	save_waiters_answer(snapshotter->server, take_waiters(&snapshotter->leavers), done);
}

/* For one of those who want it. */
static void load_again(struct snapshotter *snapshotter)
{
	struct server *server = snapshotter->server;
	struct save_waiter *waiter = snapshotter->reloads;
	snapshotter->reloads = waiter->next;
	waiter->next = NULL;
	snapshotter->waiters = waiter;
	atomic_store(&snapshotter->kind, SAVE_RDB);
	atomic_store(&snapshotter->snapshot.cancelled, snapshotter->stop);
	pthread_mutex_unlock(&snapshotter->mutex);
	hold_writes(server);
	pthread_mutex_lock(&snapshotter->mutex);
	bool done = !waiter->save || run_unlocked(snapshotter, SAVE_RDB);
	pthread_mutex_unlock(&snapshotter->mutex);
	done = done && reload(server, &snapshotter->snapshot.cancelled);
	pthread_mutex_lock(&snapshotter->mutex);
	/* a part of the data is in memory: whatever is wished already, it must not be saved */
	snapshotter->stop |= atomic_load(&server->persistence.failed);
	atomic_fetch_and(&server->pause_mode, ~(uint32_t)PAUSE_SHUTDOWN);
	atomic_store(&snapshotter->kind, SAVE_NONE);
	save_waiters_answer(snapshotter->server, take_waiters(&snapshotter->waiters), done);
}

/* Journals are switched off here; on by the next snapshot, which is due then (due.h). */
static void follow(struct snapshotter *snapshotter)
{
	struct server *server = snapshotter->server;
	snapshotter->follow = false;
	pthread_mutex_unlock(&snapshotter->mutex);
	bool begin = !persistence_loading(&server->persistence) && generation_follow(server);
	pthread_mutex_lock(&snapshotter->mutex);
	snapshotter->scheduled_aof |= begin;
}

/*
 * Two thirds of a worker's weight (setpriority(2) changes this thread's alone). With less a
 * snapshot under full load can't keep pace with what is handed over (shard/handover.h): at 5 the
 * peak of memory was 1.23 times the data.
 */
#define SNAPSHOTTER_NICE 2

/* Where processors are scarce clients' work comes first. */
static void give_way(void)
{
	const struct sched_param none = {0};
	(void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), SNAPSHOTTER_NICE);
}

static void *snapshotter_main(void *arg)
{
	struct snapshotter *snapshotter = arg;
	pthread_setname_np(pthread_self(), "snapshotter");
	give_way();
	pthread_mutex_lock(&snapshotter->mutex);
	for (;;) {
		bool leaving = atomic_load(&snapshotter->leaving);
		if (snapshotter->wish && (leaving || snapshotter->stop))
			drop_wish(snapshotter);
		else if (snapshotter->wish)
			save(snapshotter);
		else if (snapshotter->follow && !snapshotter->stop)
			follow(snapshotter);
		else if (leaving)
			leave(snapshotter);
		else if (snapshotter->reloads && snapshotter->stop)
			save_waiters_answer(snapshotter->server,
					    take_waiters(&snapshotter->reloads), false);
		else if (snapshotter->reloads)
			load_again(snapshotter);
		else if (snapshotter->stop)
			break;
		else
			pthread_cond_wait(&snapshotter->wanted, &snapshotter->mutex);
	}
	pthread_mutex_unlock(&snapshotter->mutex);
	return NULL;
}

int snapshotter_start(struct snapshotter *snapshotter, struct server *server)
{
	snapshotter->server = server;
	pthread_mutex_init(&snapshotter->mutex, NULL);
	pthread_cond_init(&snapshotter->wanted, NULL);
	atomic_store(&snapshotter->saved_s, clock_wall_s());
	atomic_store(&snapshotter->rdb.seconds, -1);
	atomic_store(&snapshotter->aof.seconds, -1);
	int error = -pthread_create(&snapshotter->thread, NULL, snapshotter_main, snapshotter);
	snapshotter->started = !error;
	return error;
}

void snapshotter_cancel_all(struct snapshotter *snapshotter)
{
	if (!snapshotter->started)
		return;
	pthread_mutex_lock(&snapshotter->mutex);
	snapshotter->stop = true;
	atomic_store(&snapshotter->snapshot.cancelled, true);
	pthread_cond_signal(&snapshotter->wanted);
	pthread_mutex_unlock(&snapshotter->mutex);
}

void snapshotter_stop(struct snapshotter *snapshotter)
{
	if (!snapshotter->started)
		return;
	snapshotter_cancel_all(snapshotter);
	pthread_join(snapshotter->thread, NULL);
	pthread_cond_destroy(&snapshotter->wanted);
	pthread_mutex_destroy(&snapshotter->mutex);
}

/* --- asking --- */

/* Locked; nothing is being made. */
static void wish(struct snapshotter *snapshotter, enum save_kind kind)
{
	snapshotter->wish = kind;
	atomic_store(&snapshotter->kind, kind);
	pthread_cond_signal(&snapshotter->wanted);
}

static enum save_answer ask(struct snapshotter *snapshotter, enum save_kind kind, bool increment,
			    bool schedule, bool later)
{
	enum save_kind now = (enum save_kind)atomic_load(&snapshotter->kind);
	bool busy = now != SAVE_NONE || atomic_load(&snapshotter->leaving);
	if (now == kind)
		return SAVE_BUSY;
	if (later || (busy && schedule)) {
		_Atomic bool *scheduled = kind == SAVE_AOF ? &snapshotter->scheduled_aof
							   : &snapshotter->scheduled_rdb;
		if (kind == SAVE_RDB) /* of two wishes for one, the whole one counts */
			snapshotter->increment =
				increment && (!*scheduled || snapshotter->increment);
		*scheduled = true;
		return SAVE_SCHEDULED;
	}
	if (busy)
		return SAVE_BUSY_OTHER;
	if (kind == SAVE_RDB)
		snapshotter->increment = increment;
	wish(snapshotter, kind);
	return SAVE_STARTED;
}

enum save_answer snapshotter_ask(struct snapshotter *snapshotter, enum save_kind kind,
				 bool increment, bool schedule, bool later)
{
	pthread_mutex_lock(&snapshotter->mutex);
	enum save_answer answer = ask(snapshotter, kind, increment, schedule, later);
	pthread_mutex_unlock(&snapshotter->mutex);
	return answer;
}

void snapshotter_follow(struct snapshotter *snapshotter)
{
	if (!snapshotter->started)
		return;
	pthread_mutex_lock(&snapshotter->mutex);
	snapshotter->follow = true;
	pthread_cond_signal(&snapshotter->wanted);
	pthread_mutex_unlock(&snapshotter->mutex);
}

void snapshotter_save(struct snapshotter *snapshotter, struct save_waiter *waiter)
{
	pthread_mutex_lock(&snapshotter->mutex);
	enum save_kind now = (enum save_kind)atomic_load(&snapshotter->kind);
	if (now == SAVE_RDB || snapshotter->stop || atomic_load(&snapshotter->leaving)) {
		waiter->error = save_error_busy;
		save_waiters_answer(snapshotter->server, waiter, false);
	} else {
		bool begun = now == SAVE_AOF && snapshotter->wish != SAVE_AOF;
		snapshotter->scheduled_rdb = false;
		snapshotter->increment = false;
		if (snapshotter->wish == SAVE_AOF) /* not begun: it is the one that waits */
			snapshotter->scheduled_aof = true;
		waiter->next = snapshotter->waiters;
		snapshotter->waiters = waiter;
		if (begun) /* the rewrite's end looks at it */
			snapshotter->wish = SAVE_RDB;
		else
			wish(snapshotter, SAVE_RDB);
	}
	pthread_mutex_unlock(&snapshotter->mutex);
}

enum save_answer snapshotter_cancel(struct snapshotter *snapshotter)
{
	enum save_answer answer = SAVE_BUSY_OTHER;
	pthread_mutex_lock(&snapshotter->mutex);
	if (atomic_load(&snapshotter->kind) == SAVE_RDB && !snapshotter->waiters) {
		answer = SAVE_STARTED;
		if (snapshotter->wish)
			drop_wish(snapshotter);
		else
			atomic_store(&snapshotter->snapshot.cancelled, true);
	} else if (snapshotter->scheduled_rdb) {
		answer = SAVE_SCHEDULED;
		snapshotter->scheduled_rdb = false;
		snapshotter->increment = false;
	}
	pthread_mutex_unlock(&snapshotter->mutex);
	return answer;
}

void snapshotter_leave(struct snapshotter *snapshotter, struct save_waiter *waiter, bool force)
{
	pthread_mutex_lock(&snapshotter->mutex);
	if (snapshotter->stop) { /* the server ends anyway, and the thread may have */
		save_waiters_answer(snapshotter->server, waiter, true);
		pthread_mutex_unlock(&snapshotter->mutex);
		return;
	}
	if (!atomic_load(&snapshotter->leaving)) {
		server_say_shutdown();
		snapshotter->force = false;
		atomic_store(&snapshotter->leaving, true);
		atomic_store(&snapshotter->snapshot.cancelled, true); /* what is being made */
	}
	snapshotter->force |= force;
	if (waiter) {
		waiter->next = snapshotter->leavers;
		snapshotter->leavers = waiter;
	}
	pthread_cond_signal(&snapshotter->wanted);
	pthread_mutex_unlock(&snapshotter->mutex);
}

void snapshotter_reload(struct snapshotter *snapshotter, struct save_waiter *waiter)
{
	pthread_mutex_lock(&snapshotter->mutex);
	if (snapshotter->stop) {
		save_waiters_answer(snapshotter->server, waiter, false);
	} else {
		waiter->next = snapshotter->reloads;
		snapshotter->reloads = waiter;
	}
	pthread_cond_signal(&snapshotter->wanted);
	pthread_mutex_unlock(&snapshotter->mutex);
}

bool snapshotter_stay(struct snapshotter *snapshotter)
{
	pthread_mutex_lock(&snapshotter->mutex);
	bool leaving = atomic_exchange(&snapshotter->leaving, false);
	if (leaving) {
		log_write(LOG_WARNING, "Shutdown manually aborted.");
		snapshotter->stays++;
		atomic_store(&snapshotter->snapshot.cancelled, true);
		save_waiters_answer(snapshotter->server, take_waiters(&snapshotter->leavers),
				    false);
	}
	pthread_mutex_unlock(&snapshotter->mutex);
	return leaving;
}

bool snapshotter_stops_writes(struct server *server)
{
	return atomic_load_explicit(&server->snapshotter.rdb.failed, memory_order_relaxed) &&
	       config_int(&server->config.stop_writes_on_bgsave_error) && due_has_points(server);
}

/* --- main thread --- */

/*
 * What is scheduled is in progress before it isn't scheduled any more: INFO, which doesn't lock,
 * shows either.
 */
static void wish_due(struct snapshotter *snapshotter)
{
	enum save_kind due = due_find(snapshotter);
	if (due == SAVE_NONE)
		return;
	wish(snapshotter, due);
	if (due == SAVE_AOF)
		snapshotter->scheduled_aof = false;
	else
		snapshotter->scheduled_rdb = false;
}

void snapshotter_cron(struct snapshotter *snapshotter)
{
	uint64_t kept = snapshotter_kept(snapshotter->server);
	if (!snapshotter->started || persistence_loading(&snapshotter->server->persistence))
		return;
	if (kept > atomic_load(&snapshotter->kept_peak))
		atomic_store(&snapshotter->kept_peak, kept);
	pthread_mutex_lock(&snapshotter->mutex);
	if (atomic_load(&snapshotter->kind) == SAVE_NONE && !atomic_load(&snapshotter->leaving) &&
	    !snapshotter->stop)
		wish_due(snapshotter);
	pthread_mutex_unlock(&snapshotter->mutex);
}
