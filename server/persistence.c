/* Persistence (persistence.h). */
#include "server/persistence.h"

#include "persist/io.h"
#include "proto/mem.h"
#include "server/log.h"
#include "server/server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- loading --- */

/* One stretch of journals being loaded. */
struct loading {
	struct persistence *persistence;
	struct replay *replay;
	struct merge_source sources[SHARDS_MAX];
	struct io_map maps[SHARDS_MAX];
	uint64_t epoch_limit;
	uint64_t epoch_last; /* of all */
};

static bool map_all(struct loading *loading, const struct manifest_item *stretch)
{
	int dir = loading->persistence->dir;
	for (uint32_t i = 0; i < stretch->files; i++) {
		char name[MANIFEST_FILE_MAX];
		manifest_file(stretch, i, name);
		int error = io_map(dir, name, &loading->maps[i]);
		if (error) {
			log_write(LOG_WARNING, "Can't read the journal %s: %s", name, strerror(-error));
			return false;
		}
		loading->sources[i] = (struct merge_source){
			.worker = i, .bytes = loading->maps[i].bytes, .len = loading->maps[i].len};
		atomic_fetch_add(&loading->persistence->loading_total, loading->maps[i].len);
	}
	return true;
}

static bool take(void *arg, const struct merge_record *record)
{
	struct loading *loading = arg;
	atomic_fetch_add_explicit(&loading->persistence->loading_done, record->len,
				  memory_order_relaxed);
	return replay_record(loading->replay, record);
}

static const char *const end_words[] = {
	[MERGE_BEYOND] = "of epochs that were not committed",
	[MERGE_TORN] = "of a record that is not whole",
	[MERGE_ORPHAN] = "that follow on what was never written",
};

/* What came of one journal: cuts off what isn't good. False: damage. */
static bool settle(struct loading *loading, const struct manifest_item *stretch, uint32_t worker)
{
	const struct merge_source *source = &loading->sources[worker];
	char name[MANIFEST_FILE_MAX];
	manifest_file(stretch, worker, name);
	if (source->epoch_last > loading->epoch_last)
		loading->epoch_last = source->epoch_last;
	if (source->end == MERGE_WHOLE)
		return true;
	if (source->end == MERGE_DAMAGED || !stretch->open) {
		log_write(LOG_WARNING, "The journal %s is damaged at byte %zu of %zu", name,
			  source->taken, source->len);
		return false;
	}
	log_write(LOG_WARNING, "Cut %zu bytes %s off the journal %s at byte %zu",
		  source->len - source->taken, end_words[source->end], name, source->taken);
	int error = io_truncate(loading->persistence->dir, name, source->taken);
	if (error)
		log_write(LOG_WARNING, "Can't cut the journal %s: %s", name, strerror(-error));
	return !error;
}

static bool load_stretch(struct loading *loading, const struct manifest_item *stretch)
{
	uint64_t limit = stretch->open ? loading->epoch_limit : EPOCH_NO_LIMIT;
	if (!map_all(loading, stretch))
		return false;
	bool good = merge(loading->sources, stretch->files, limit, take, loading);
	good &= replay_drain(loading->replay);
	if (!good)
		log_write(LOG_WARNING, "A record of the journals could not be done again: %s",
			  replay_error(loading->replay));
	for (uint32_t i = 0; i < stretch->files && good; i++)
		good = settle(loading, stretch, i);
	for (uint32_t i = 0; i < stretch->files; i++)
		io_unmap(&loading->maps[i]);
	return good;
}

/* Does all journals again; *epoch is the last one ever seen. */
static bool load_all(struct persistence *persistence, uint64_t *epoch)
{
	struct server *server = persistence->server;
	struct manifest *manifest = &persistence->manifest;
	char boot[MANIFEST_BOOT_MAX];
	struct commit last;
	int error = commits_last(persistence->dir, &last);
	if (error) {
		log_write(LOG_WARNING, "Can't read " COMMITS_NAME ": %s", strerror(-error));
		return false;
	}
	manifest_boot(boot);
	bool same_boot = strcmp(boot, manifest->boot) == 0 && strcmp(boot, "-") != 0;
	struct loading *loading = mem_zalloc(sizeof(*loading));
	loading->persistence = persistence;
	loading->epoch_limit = same_boot ? EPOCH_NO_LIMIT : last.epoch;
	loading->epoch_last = last.epoch;
	loading->replay =
		replay_begin(server->ks, server->worker_count, clock_now(&server->clock));
	bool good = true;
	for (uint32_t i = 0; i < manifest->count && good; i++)
		good = load_stretch(loading, &manifest->items[i]);
	replay_end(loading->replay);
	*epoch = loading->epoch_last;
	mem_free(loading, sizeof(*loading));
	return good;
}

/* --- a new run --- */

/* Old stretches are whole now; this run's is added. */
static int write_manifest(struct persistence *persistence, uint64_t run)
{
	struct manifest *manifest = &persistence->manifest;
	struct manifest_item stretch = {
		.kind = MANIFEST_STRETCH,
		.run = run,
		.files = persistence->server->worker_count,
		.open = true,
	};
	for (uint32_t i = 0; i < manifest->count; i++)
		manifest->items[i].open = false;
	manifest_add(manifest, &stretch);
	manifest_boot(manifest->boot);
	return manifest_write(persistence->dir, manifest);
}

/* Makes the files of a run that are not there yet: the manifest names them from the beginning. */
static int make_segments(struct persistence *persistence, uint64_t run)
{
	int error = 0;
	for (uint32_t i = 0; i < persistence->server->worker_count && !error; i++) {
		struct segment_id id = {run, 0, i};
		error = segment_make(persistence->dir, &id);
	}
	return error ? error : io_sync(persistence->dir);
}

/* Segments, COMMITS, the manifest, then the flusher; false after logging. */
static bool begin_run(struct persistence *persistence, uint64_t epoch)
{
	struct server *server = persistence->server;
	uint64_t run = manifest_last_run(&persistence->manifest) + 1;
	struct commits commits;
	struct commit first = {epoch, clock_now(&server->clock)};
	int error = make_segments(persistence, run);
	if (!error)
		error = commits_open(&commits, persistence->dir, &first);
	if (!error)
		error = write_manifest(persistence, run);
	atomic_store(&server->ks->epochs.now, epoch + 1);
	if (!error)
		error = flusher_start(&server->flusher, server, persistence->dir, run, &commits);
	if (error)
		log_write(LOG_WARNING, "Can't begin to journal: %s", strerror(-error));
	return !error;
}

static void *loader_main(void *arg)
{
	struct persistence *persistence = arg;
	struct server *server = persistence->server;
	uint64_t epoch;
	pthread_setname_np(pthread_self(), "loader");
	int64_t start = clock_wall_us();
	if (!load_all(persistence, &epoch) || !begin_run(persistence, epoch)) {
		atomic_store(&persistence->failed, true);
		server_stop(server);
		return NULL;
	}
	int64_t keys = 0;
	for (uint32_t db = 0; db < server->ks->databases; db++)
		keys += keyspace_keys(server->ks, db);
	log_write(LOG_NOTICE, "DB loaded from append only file: %.3f seconds, %" PRId64 " keys",
		  (double)(clock_wall_us() - start) / 1e6, keys);
	for (uint32_t i = 0; i < server->worker_count; i++)
		server->ks->shards[i]->journal.on = true;
	atomic_store_explicit(&persistence->loading, false, memory_order_release);
	return NULL;
}

/* --- life --- */

/* The manifest, or an empty one where there is none. */
static int open_manifest(struct persistence *persistence)
{
	uint32_t line;
	int error = manifest_read(persistence->dir, &persistence->manifest, &line);
	if (error == -ENOENT)
		return 0;
	if (error == -EINVAL)
		log_write(LOG_WARNING, MANIFEST_NAME " is damaged at line %" PRIu32, line);
	else if (error)
		log_write(LOG_WARNING, "Can't read " MANIFEST_NAME ": %s", strerror(-error));
	return error;
}

int persistence_start(struct persistence *persistence, struct server *server)
{
	persistence->server = server;
	persistence->dir = -1;
	if (!config_int(&server->config.appendonly))
		return 0;
	int error = io_open_dir(DATA_DIR, &persistence->dir);
	if (error) {
		log_write(LOG_WARNING, "Can't open the directory " DATA_DIR ": %s", strerror(-error));
		return error;
	}
	error = open_manifest(persistence);
	if (error)
		return error;
	atomic_store(&persistence->loading_since, clock_now(&server->clock));
	atomic_store(&persistence->loading, true);
	persistence->started = true;
	return -pthread_create(&persistence->loader, NULL, loader_main, persistence);
}

void persistence_stop(struct persistence *persistence)
{
	if (persistence->started)
		pthread_join(persistence->loader, NULL);
	flusher_stop(&persistence->server->flusher);
	manifest_free(&persistence->manifest);
	if (persistence->dir >= 0)
		close(persistence->dir);
}
