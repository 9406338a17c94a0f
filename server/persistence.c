/* Persistence (persistence.h). */
#include "server/persistence.h"

#include "persist/io.h"
#include "server/log.h"
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- loading --- */

static bool say_recovery_error(const struct persistence *persistence)
{
	log_write(LOG_WARNING, "%s", persistence->recovery.error);
	log_write(LOG_WARNING,
		  "\"sherd check%s\" says what is wrong with " DATA_DIR ", and what can be done",
		  persistence->recovery.bad.known ? " --load" : "");
	return false;
}

/* A journal of the last run: loses what isn't good at its end. */
static int cut_journal(const struct persistence *persistence, const struct recovery_file *file)
{
	if (file->state != FILE_CUT)
		return io_sync_file(persistence->dir, file->name);
	log_write(LOG_WARNING, "Cut %" PRIu64 " bytes %s off the journal %s at byte %" PRIu64,
		  file->bytes - file->good, recovery_cut_words(file), file->name, file->good);
	return io_truncate(persistence->dir, file->name, file->good);
}

/*
 * Makes the journals of the last run whole, and makes them last: who was killed may have left them
 * to the system to write, and from now on they count as they are, whatever happens to the system.
 */
static bool cut_journals(struct persistence *persistence)
{
	const struct recovery *recovery = &persistence->recovery;
	for (uint32_t i = 0; i < recovery->file_count; i++) {
		const struct recovery_file *file = &recovery->files[i];
		if (!persistence->manifest.items[file->item].open)
			continue;
		int error = cut_journal(persistence, file);
		if (error) {
			log_write(LOG_WARNING, "Can't settle the journal %s: %s", file->name,
				  strerror(-error));
			return false;
		}
	}
	return true;
}

/* What was loaded; and that, with appendonly no, journals are not gone on with. */
static void say_loaded(const struct persistence *persistence)
{
	const struct manifest *manifest = &persistence->manifest;
	uint32_t counts[] = {
		[MANIFEST_SNAPSHOT] = 0, [MANIFEST_INCREMENT] = 0, [MANIFEST_STRETCH] = 0};
	char time[RECOVERY_TIME_MAX] = "";
	if (manifest->count == 0)
		return;
	for (uint32_t i = manifest_start(manifest); i < manifest->count; i++) {
		counts[manifest->items[i].kind]++;
		if (manifest->items[i].kind != MANIFEST_STRETCH)
			recovery_time_text(manifest->items[i].ms, time);
	}
	log_write(LOG_NOTICE,
		  "Loaded from " DATA_DIR ": %s%s; increments: %" PRIu32
		  ", stretches of journals: %" PRIu32,
		  *time ? "snapshot of " : "no snapshot", time, counts[MANIFEST_INCREMENT],
		  counts[MANIFEST_STRETCH]);
	if (counts[MANIFEST_STRETCH] > 0 && !config_int(&persistence->server->config.appendonly))
		log_write(LOG_WARNING, "appendonly is no: the journals have been loaded, but what "
				       "is written from now on is kept by snapshots only");
}

/* Brings the data back, or in; *epoch is the last one ever seen. */
static bool load_all(struct persistence *persistence, uint64_t *epoch)
{
	struct server *server = persistence->server;
	struct recovery *recovery = &persistence->recovery;
	if (persistence->import != IMPORT_NOTHING)
		return import_run(persistence, persistence->import, epoch);
	if (!recovery_load(recovery, server->ks, server->worker_count, clock_now(&server->clock)))
		return say_recovery_error(persistence);
	say_loaded(persistence);
	*epoch = recovery->epoch_last;
	return cut_journals(persistence);
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
	struct commit first = {.epoch = epoch,
			       .ms = clock_now(&server->clock),
			       .always = flusher_begins_always(server)};
	int error = make_segments(persistence, run);
	if (!error)
		error = commits_open(&commits, persistence->dir, &first);
	if (!error)
		error = write_manifest(persistence, run);
	if (!error)
		error = flusher_start(&server->flusher, server, persistence->dir, run, &commits,
				      &first);
	if (error)
		log_write(LOG_WARNING, "Can't begin to journal: %s", strerror(-error));
	return !error;
}

/* From now on what is written is journaled; with appendonly no it isn't. */
static bool go_on(struct persistence *persistence, uint64_t epoch)
{
	struct server *server = persistence->server;
	atomic_store(&server->ks->epochs.now, epoch + 1);
	uint32_t removed = manifest_tidy(persistence->dir, &persistence->manifest);
	if (removed > 0)
		log_write(
			LOG_NOTICE,
			"Removed %" PRIu32
			" files that aren't data: of snapshots and journals that failed, or older ones",
			removed);
	growth_loaded(server);
	if (!config_int(&server->config.appendonly))
		return true;
	if (!begin_run(persistence, epoch))
		return false;
	atomic_store(&server->flusher.listed, true);
	atomic_store(&server->flusher.on, true);
	for (uint32_t i = 0; i < server->worker_count; i++)
		server->ks->shards[i]->journal.on = true;
	return true;
}

int64_t persistence_note_loaded(struct persistence *persistence)
{
	const struct keyspace *ks = persistence->server->ks;
	int64_t keys = 0;
	for (uint32_t db = 0; db < ks->databases; db++)
		keys += keyspace_keys(ks, db);
	atomic_store(&persistence->loaded_keys, keys);
	return keys;
}

static void *loader_main(void *arg)
{
	struct persistence *persistence = arg;
	struct server *server = persistence->server;
	uint64_t epoch;
	pthread_setname_np(pthread_self(), "loader");
	int64_t start = clock_wall_us();
	if (!load_all(persistence, &epoch) || !go_on(persistence, epoch)) {
		atomic_store(&persistence->failed, true);
		server_stop(server);
		return NULL;
	}
	int64_t keys = persistence_note_loaded(persistence);
	log_write(LOG_NOTICE, "DB loaded: %.3f seconds, %" PRId64 " keys",
		  (double)(clock_wall_us() - start) / 1e6, keys);
	atomic_store_explicit(&persistence->loading, false, memory_order_release);
	snapshotter_follow(&server->snapshotter);
	server_ready(server);
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

static void close_dir(struct persistence *persistence)
{
	if (persistence->lock >= 0)
		close(persistence->lock);
	if (persistence->dir >= 0)
		close(persistence->dir);
	persistence->lock = persistence->dir = -1;
}

int persistence_open(struct persistence *persistence)
{
	int error = io_open_dir(DATA_DIR, &persistence->dir);
	if (error) {
		log_write(LOG_WARNING, "Can't open the directory " DATA_DIR ": %s",
			  strerror(-error));
		return error;
	}
	error = io_lock(persistence->dir, LOCK_NAME, true, &persistence->lock);
	if (error == -EWOULDBLOCK)
		log_write(LOG_WARNING, "Another process uses the directory " DATA_DIR
				       ": a server, or one of sherd's tools");
	else if (error)
		log_write(LOG_WARNING, "Can't lock the directory " DATA_DIR ": %s",
			  strerror(-error));
	if (error)
		close_dir(persistence);
	return error;
}

/*
 * A manifest that lists nothing: files that are written before they are listed are no data.
 * -EEXIST: there are data here.
 */
static int claim_empty(int dir)
{
	struct manifest nothing = {0};
	if (recovery_finds_data(dir))
		return -EEXIST;
	manifest_boot(nothing.boot);
	int error = manifest_write(dir, &nothing);
	if (error)
		io_unlink(dir, MANIFEST_NAME); /* who tries again must not find it */
	return error;
}

int persistence_open_empty(struct persistence *persistence)
{
	int error = persistence_open(persistence);
	if (error)
		return error;
	error = claim_empty(persistence->dir);
	if (!error)
		return 0;
	if (error == -EEXIST)
		log_write(LOG_WARNING, "In " DATA_DIR " are data now that weren't there at start: "
				       "they are another server's, and are not replaced");
	close_dir(persistence);
	return error;
}

/* The path leads to the directory that is open. */
static int find_dir(const struct persistence *persistence)
{
	struct stat open, there;
	if (fstat(persistence->dir, &open) || stat(DATA_DIR, &there))
		return -errno;
	return open.st_dev == there.st_dev && open.st_ino == there.st_ino ? 0 : -ENOENT;
}

int persistence_missing(const struct persistence *persistence, bool manifest)
{
	int error = find_dir(persistence);
	if (!error && manifest && faccessat(persistence->dir, MANIFEST_NAME, F_OK, 0))
		error = -errno;
	return error;
}

static int open_another(struct persistence *persistence)
{
	struct persistence another = {.dir = -1, .lock = -1};
	int error = persistence_open(&another);
	if (error)
		return error;
	error = claim_empty(another.dir);
	if (!error && dup3(another.dir, persistence->dir, O_CLOEXEC) < 0)
		error = -errno;
	close(another.dir);
	close(error ? another.lock : persistence->lock);
	if (!error)
		persistence->lock = another.lock;
	return error;
}

int persistence_replace(struct persistence *persistence)
{
	int error = find_dir(persistence) ? open_another(persistence) : 0;
	if (error == -EEXIST)
		log_write(LOG_WARNING,
			  DATA_DIR " isn't the directory that it was, and has data in it");
	if (error)
		return error;
	log_write(LOG_NOTICE, "The directory " DATA_DIR " is begun anew");
	manifest_free(&persistence->manifest);
	return 0;
}

/* Whether there are data of our own, or something that only opening it can tell. */
static bool finds_data(void)
{
	int dir = open(DATA_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno != ENOENT;
	bool found = recovery_finds_data(dir);
	close(dir);
	return found;
}

int persistence_start(struct persistence *persistence, struct server *server)
{
	persistence->server = server;
	persistence->dir = persistence->lock = -1;
	bool own = finds_data();
	enum import_kind import = import_find(&server->config);
	if (!own && import == IMPORT_NOTHING && !config_int(&server->config.appendonly)) {
		import_tell_unused(&server->config, IMPORT_NOTHING, false);
		server_ready(server);
		return 0;
	}
	int error = persistence_open(persistence);
	if (!error)
		error = open_manifest(persistence);
	if (error)
		return error;
	if (persistence->manifest.count == 0) {
		persistence->import = import;
		if (manifest_exists(&persistence->manifest))
			/* a first snapshot that was interrupted isn't the data yet */
			manifest_tidy(persistence->dir, &persistence->manifest);
	}
	if (!recovery_begin(&persistence->recovery, persistence->dir, &persistence->manifest)) {
		say_recovery_error(persistence);
		return -EIO;
	}
	import_tell_unused(&server->config, persistence->manifest.count ? IMPORT_NOTHING : import,
			   persistence->manifest.count > 0);
	atomic_store(&persistence->loading_since, clock_now(&server->clock));
	atomic_store(&persistence->loading, true);
	persistence->started = true;
	return -pthread_create(&persistence->loader, NULL, loader_main, persistence);
}

void persistence_join(struct persistence *persistence)
{
	if (persistence->started)
		pthread_join(persistence->loader, NULL);
}

void persistence_stop(struct persistence *persistence)
{
	flusher_stop(&persistence->server->flusher);
	recovery_end(&persistence->recovery);
	manifest_free(&persistence->manifest);
	close_dir(persistence);
}
