/* Generations (generation.h). */
#include "server/generation.h"

#include "persist/io.h"
#include "server/log.h"
#include "server/server.h"
#include "shard/freeze.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* How often it is looked whether the journals are so far. */
#define LOOK_NS 1000000

/* False: it was cancelled. */
static bool wait_a_little(const _Atomic bool *cancelled)
{
	nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
	return !atomic_load(cancelled);
}

/* Writes it in place of the one there is, and takes it over. */
static int replace_manifest(struct persistence *persistence, struct manifest *manifest)
{
	manifest_boot(manifest->boot);
	int error = manifest_write(persistence->dir, manifest);
	if (error) {
		log_write(LOG_WARNING, "Can't write " MANIFEST_NAME ": %s", strerror(-error));
		manifest_free(manifest);
		return error;
	}
	manifest_free(&persistence->manifest);
	persistence->manifest = *manifest;
	return 0;
}

/* --- files that aren't data --- */

/* What can't be removed now is when the next snapshot is complete, or by the next start. */
static void remove_item(struct persistence *persistence, const struct manifest_item *item)
{
	for (uint32_t i = 0; i < item->files; i++) {
		char name[MANIFEST_FILE_MAX];
		manifest_file(item, i, name);
		int error = io_unlink(persistence->dir, name);
		if (!error)
			continue;
		persistence->littered = true;
		log_write(LOG_WARNING, "Can't remove %s: %s", name, strerror(-error));
	}
}

/* Files that no generation kept needs any more. */
static void remove_files(struct persistence *persistence, const struct manifest *dropped)
{
	for (uint32_t i = 0; i < dropped->count; i++)
		remove_item(persistence, &dropped->items[i]);
}

/*
 * The manifest could not be replaced, or that may not last: does the one that is there name the
 * item?
 */
static bool is_listed(int dir, const struct manifest_item *item)
{
	struct manifest manifest;
	uint32_t line;
	bool listed = manifest_read(dir, &manifest, &line) != 0;
	for (uint32_t i = 0; i < manifest.count; i++)
		listed |= manifest.items[i].kind == item->kind &&
			  manifest.items[i].run == item->run && manifest.items[i].cut == item->cut;
	manifest_free(&manifest);
	return listed;
}

/*
 * It is a stretch of this run, not that of a snapshot, whose files are there and have nothing in
 * them.
 */
static bool is_empty(const struct server *server, const struct manifest *manifest, uint32_t at)
{
	const struct manifest_item *item = &manifest->items[at];
	if (item->kind != MANIFEST_STRETCH || item->run != server->flusher.run ||
	    (at > 0 && manifest->items[at - 1].cut == item->cut))
		return false;
	for (uint32_t i = 0; i < item->files; i++) {
		char name[MANIFEST_FILE_MAX];
		struct stat file;
		manifest_file(item, i, name);
		if (fstatat(server->persistence.dir, name, &file, 0) || file.st_size > 0)
			return false;
	}
	return true;
}

/*
 * A snapshot that failed has left a stretch, with nothing in it where nothing was written until the
 * next one. All journals write the generation of now: in those before it that stays so.
 */
static void take_empty(const struct server *server, struct manifest *manifest,
		       struct manifest *taken)
{
	uint64_t now = atomic_load(&server->ks->epochs.cut);
	for (uint32_t i = manifest->count; i-- > 0;)
		if (manifest->items[i].cut < now && is_empty(server, manifest, i))
			manifest_take(manifest, i, taken);
}

/* --- the cut --- */

/* The journals of this run in a generation. */
static struct manifest_item stretch_of(const struct server *server, uint64_t cut)
{
	return (struct manifest_item){
		.kind = MANIFEST_STRETCH,
		.run = server->flusher.run,
		.cut = cut,
		.files = server->worker_count,
		.open = true,
	};
}

/* Its files go again where that fails and nobody will look for them. */
static int add_stretch(struct server *server, uint64_t cut)
{
	struct persistence *persistence = &server->persistence;
	struct manifest_item stretch = stretch_of(server, cut);
	struct manifest manifest, taken = {0};
	manifest_copy(&persistence->manifest, &manifest);
	take_empty(server, &manifest, &taken);
	manifest_add(&manifest, &stretch);
	int error = replace_manifest(persistence, &manifest);
	if (!error)
		remove_files(persistence, &taken);
	else if (!is_listed(persistence->dir, &stretch))
		remove_item(persistence, &stretch);
	manifest_free(&taken);
	return error;
}

static void freeze(struct keyspace *ks, bool note, uint64_t cut)
{
	if (note)
		changes_since(ks, cut);
	freeze_begin(ks, cut);
}

static int cut_journals(struct server *server, bool note, uint64_t *cut)
{
	struct flusher *flusher = &server->flusher;
	flusher_lock(flusher);
	*cut = atomic_load(&server->ks->epochs.now);
	int error = flusher_make_segments(flusher, *cut);
	if (!error && atomic_load(&flusher->listed))
		error = add_stretch(server, *cut);
	if (!error)
		freeze(server->ks, note, *cut);
	flusher_unlock(flusher);
	return error;
}

/* --- journals on and off --- */

/*
 * Where somebody has taken the data directory away, another is made. Nothing that the manifest
 * lists is there, so the journals are listed with the snapshot to come.
 */
static int find_dir(struct server *server)
{
	struct persistence *persistence = &server->persistence;
	if (persistence->dir < 0)
		return persistence_open_empty(persistence);
	if (!persistence_missing(persistence, persistence->manifest.count > 0))
		return 0;
	int error = persistence_replace(persistence);
	if (!error)
		flusher_unlist(&server->flusher);
	return error;
}

/* The threads, for journals of a new run. They stay, whether anything is journaled or not. */
static int start_flusher(struct server *server)
{
	struct persistence *persistence = &server->persistence;
	struct commits commits;
	struct commit first = {.epoch = atomic_load(&server->ks->epochs.now) - 1,
			       .ms = clock_now(&server->clock),
			       .always = flusher_begins_always(server)};
	if (server->flusher.syncers)
		return 0;
	int error = commits_open(&commits, persistence->dir, &first);
	if (error)
		return error;
	uint64_t run = manifest_last_run(&persistence->manifest) + 1;
	error = flusher_start(&server->flusher, server, persistence->dir, run, &commits, &first);
	if (!error)
		flusher_drop_segments(&server->flusher, 0); /* the cut brings others */
	return error;
}

/* The cut with which journals begin. */
static int begin_journals(struct server *server, bool note, uint64_t *cut)
{
	struct flusher *flusher = &server->flusher;
	int error = start_flusher(server);
	if (error)
		return error;
	flusher_switch_on(flusher);
	flusher_lock(flusher);
	*cut = atomic_load(&server->ks->epochs.now);
	error = flusher_make_segments(flusher, *cut);
	if (!error) {
		atomic_store(&server->ks->journaled.from, *cut);
		freeze(server->ks, note, *cut);
	}
	flusher_unlock(flusher);
	if (error)
		flusher_switch_off(flusher);
	return error;
}

/* The journals have ended: their stretches are whole, so far as they could be synced. */
static void end_journals(struct server *server)
{
	struct persistence *persistence = &server->persistence;
	struct manifest manifest;
	if (!flusher_switch_off(&server->flusher)) {
		persistence->unsynced = true;
		log_write(LOG_WARNING,
			  "The end of the journals could not be synced: a power loss may take what "
			  "was written last. A snapshot makes up for that");
		return;
	}
	manifest_copy(&persistence->manifest, &manifest);
	for (uint32_t i = 0; i < manifest.count; i++)
		manifest.items[i].open = false;
	replace_manifest(persistence, &manifest);
}

bool generation_follow(struct server *server)
{
	bool wanted = config_int(&server->config.appendonly);
	bool off = flusher_off(&server->flusher);
	if (!wanted && !off)
		end_journals(server);
	return wanted && (off || !atomic_load(&server->flusher.listed));
}

int generation_begin(struct server *server, const _Atomic bool *cancelled, bool note, uint64_t *cut)
{
	struct flusher *flusher = &server->flusher;
	server->persistence.littered |= server->persistence.making; /* the last one has failed */
	server->persistence.making = true;
	int error = find_dir(server);
	if (error)
		return error;
	if (flusher_off(flusher) && config_int(&server->config.appendonly) &&
	    !server->persistence.unsynced)
		return begin_journals(server, note, cut);
	if (flusher_off(flusher)) {
		*cut = atomic_load(&server->ks->epochs.now);
		freeze(server->ks, note, *cut);
		return 0;
	}
	while (!flusher_committed(flusher, atomic_load(&server->ks->epochs.cut)))
		if (!wait_a_little(cancelled))
			return -ECANCELED;
	return cut_journals(server, note, cut);
}

/* --- its end --- */

/* This run's stretches before the cut are whole, unless a sync has failed. */
static void close_stretches(const struct server *server, struct manifest *manifest, uint64_t cut)
{
	if (atomic_load(&server->flusher.sync_error))
		return;
	for (uint32_t i = 0; i < manifest->count; i++)
		if (manifest->items[i].cut < cut)
			manifest->items[i].open = false;
}

/*
 * Another manifest is there for good. Files that it doesn't list are gone with it: also what
 * failures have left.
 */
static void remove_rest(struct persistence *persistence, const struct manifest *dropped)
{
	bool littered = persistence->littered;
	persistence->littered = persistence->making = persistence->unsynced = false;
	remove_files(persistence, dropped);
	if (littered)
		manifest_tidy(persistence->dir, &persistence->manifest);
}

static int list_snapshot(struct server *server, const struct manifest_item *snapshot)
{
	struct persistence *persistence = &server->persistence;
	struct flusher *flusher = &server->flusher;
	bool begins = !flusher_off(flusher) && !atomic_load(&flusher->listed);
	struct manifest_item stretch = stretch_of(server, snapshot->cut);
	struct manifest manifest, dropped;
	manifest_copy(&persistence->manifest, &manifest);
	close_stretches(server, &manifest, snapshot->cut);
	manifest_place(&manifest, snapshot);
	if (begins)
		manifest_add(&manifest, &stretch);
	manifest_drop(&manifest, (uint32_t)config_int(&server->config.generations_to_keep),
		      &dropped);
	int error = replace_manifest(persistence, &manifest);
	if (!error && begins)
		atomic_store(&flusher->listed, true);
	if (!error)
		remove_rest(persistence, &dropped);
	else if (!is_listed(persistence->dir, snapshot))
		remove_item(persistence, snapshot);
	manifest_free(&dropped);
	return error;
}

int generation_end(struct server *server, const _Atomic bool *cancelled,
		   const struct manifest_item *snapshot)
{
	struct flusher *flusher = &server->flusher;
	while (!flusher_off(flusher) && !flusher_committed(flusher, snapshot->cut))
		if (!wait_a_little(cancelled)) {
			remove_item(&server->persistence, snapshot);
			return -ECANCELED;
		}
	int error = list_snapshot(server, snapshot);
	if (!error && !flusher_off(flusher))
		flusher_renewed(flusher, snapshot->cut);
	return error;
}
