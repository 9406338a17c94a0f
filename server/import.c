/* Moving in from Redis (import.h). */
#include "server/import.h"

#include "persist/file.h"
#include "persist/io.h"
#include "persist/snapshot.h"
#include "proto/mem.h"
#include "server/log.h"
#include "server/server.h"
#include "shard/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH_ROOM 1024
/* Lines of a hundred bytes, for as many files as nobody has. */
#define AOF_MANIFEST_MAX (64u << 20)

/* --- what there is --- */

static void manifest_path(struct config *config, char path[PATH_ROOM])
{
	char dir[PATH_ROOM / 2], name[PATH_ROOM / 2 - sizeof("/.manifest")];
	config_string_copy(config, &config->appenddirname, dir, sizeof(dir));
	config_string_copy(config, &config->appendfilename, name, sizeof(name));
	snprintf(path, PATH_ROOM, "%s/%s.manifest", dir, name);
}

/* Whether there is something of this kind, and under which path. */
static bool find_kind(struct config *config, enum import_kind kind, char path[PATH_ROOM])
{
	if (kind == IMPORT_AOF_DIR)
		manifest_path(config, path);
	else
		config_string_copy(config,
				   kind == IMPORT_AOF ? &config->appendfilename
						      : &config->dbfilename,
				   path, PATH_ROOM);
	return access(path, F_OK) == 0;
}

enum import_kind import_find(struct config *config)
{
	char path[PATH_ROOM];
	bool aof = config_int(&config->appendonly);
	if (aof && find_kind(config, IMPORT_AOF_DIR, path))
		return IMPORT_AOF_DIR;
	if (aof && find_kind(config, IMPORT_AOF, path))
		return IMPORT_AOF;
	return find_kind(config, IMPORT_RDB, path) ? IMPORT_RDB : IMPORT_NOTHING;
}

void import_tell_unused(struct config *config, enum import_kind used, bool own)
{
	static const enum import_kind kinds[] = {IMPORT_AOF_DIR, IMPORT_AOF, IMPORT_RDB};
	char path[PATH_ROOM], other[PATH_ROOM];
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i] == used || !find_kind(config, kinds[i], path))
			continue;
		if (own)
			log_write(LOG_WARNING,
				  "%s is not loaded: the data are those of " DATA_DIR
				  ". To import it, move " DATA_DIR " away and start again%s",
				  path, kinds[i] == IMPORT_RDB ? "" : " with appendonly yes");
		else if (kinds[i] != IMPORT_RDB && !config_int(&config->appendonly))
			log_write(LOG_WARNING,
				  "%s is not loaded, for appendonly is no: it may be newer than "
				  "what is. To import it, start with appendonly yes%s",
				  path, used == IMPORT_NOTHING ? "" : ", and without " DATA_DIR);
		else if (find_kind(config, used, other))
			log_write(LOG_WARNING, "%s is not loaded: %s is instead", path, other);
	}
}

/* --- its files --- */

struct importing {
	struct persistence *persistence;
	struct load_file *files;
	struct io_map *maps;
	uint32_t count;
};

/* Adds a file; false after logging. */
static bool open_file(struct importing *importing, const char *path)
{
	struct io_map map;
	int error = io_map(AT_FDCWD, path, &map);
	if (error) {
		log_write(LOG_WARNING, "Can't read %s: %s", path, strerror(-error));
		return false;
	}
	uint32_t at = importing->count++;
	size_t name_size = strlen(path) + 1;
	importing->files = mem_realloc(importing->files, (at + 1) * sizeof(*importing->files));
	importing->maps = mem_realloc(importing->maps, (at + 1) * sizeof(*importing->maps));
	importing->maps[at] = map;
	importing->files[at] = (struct load_file){
		.name = memcpy(mem_alloc(name_size), path, name_size),
		.bytes = {map.bytes, map.len},
	};
	atomic_fetch_add(&importing->persistence->recovery.bytes_total, map.len);
	return true;
}

static void close_files(struct importing *importing)
{
	for (uint32_t i = 0; i < importing->count; i++) {
		io_unmap(&importing->maps[i]);
		mem_free_unsized((char *)importing->files[i].name);
	}
	mem_free_unsized(importing->files);
	mem_free_unsized(importing->maps);
}

/*
 * A file that the manifest names stands beside it. But Redis, when it takes over the file of an
 * older one, first names it and then moves it there.
 */
static bool open_part(struct importing *importing, const struct aof_part *part)
{
	struct config *config = &importing->persistence->server->config;
	char dir[PATH_ROOM / 2], path[PATH_ROOM];
	config_string_copy(config, &config->appenddirname, dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/%s", dir, part->name);
	if (part->type == 'b' && access(path, F_OK) != 0 &&
	    config_string_equal(config, &config->appendfilename, slice_of(part->name)))
		return open_file(importing, part->name);
	return open_file(importing, path);
}

static bool open_dir_files(struct importing *importing)
{
	char path[PATH_ROOM], *text;
	size_t len;
	uint32_t line;
	const char *wrong;
	struct aof_manifest manifest;
	manifest_path(&importing->persistence->server->config, path);
	int error = file_read(path, AOF_MANIFEST_MAX, &text, &len);
	if (error) {
		log_write(LOG_WARNING, "Can't read %s: %s", path, strerror(-error));
		return false;
	}
	bool good = aof_manifest_parse((struct slice){text, len}, &manifest, &wrong, &line);
	if (!good)
		log_write(LOG_WARNING, "%s at line %" PRIu32 ": %s", path, line, wrong);
	for (uint32_t i = 0; i < manifest.count && good; i++)
		good = open_part(importing, &manifest.parts[i]);
	aof_manifest_free(&manifest);
	mem_free_unsized(text);
	return good;
}

static bool open_files(struct importing *importing, enum import_kind kind)
{
	char path[PATH_ROOM];
	if (kind == IMPORT_AOF_DIR)
		return open_dir_files(importing);
	find_kind(&importing->persistence->server->config, kind, path);
	return open_file(importing, path);
}

/* --- loading them --- */

/*
 * What is left out has a line each, up to here: a file may hold a million commands for one stream.
 */
#define TOLD_MAX 100

static void warn(void *arg, const char *text)
{
	unsigned *told = arg;
	if (*told == TOLD_MAX)
		return;
	log_write(LOG_WARNING, "Import: %s", text);
	if (++*told == TOLD_MAX)
		log_write(LOG_WARNING, "Import: what else is left out is only counted");
}

static bool load(struct importing *importing, enum import_kind kind)
{
	struct server *server = importing->persistence->server;
	unsigned told = 0;
	struct aof_load aof = {
		.load = {.ks = server->ks,
			 .threads = server->worker_count,
			 .now = clock_now(&server->clock),
			 .drop_expired = kind == IMPORT_RDB,
			 .skip_unknown = config_int(&server->config.import_skip_unknown),
			 .warn = warn,
			 .arg = &told,
			 .done = &importing->persistence->recovery.bytes_done},
		.may_be_torn = config_int(&server->config.aof_load_truncated),
	};
	int64_t start = clock_wall_us();
	bool good = kind == IMPORT_RDB ? load_files(&aof.load, importing->files, importing->count)
				       : aof_load(&aof, importing->files, importing->count);
	if (!good) {
		log_write(LOG_WARNING, "Can't import: %s", aof.load.error);
		return false;
	}
	if (aof.torn)
		log_write(LOG_WARNING,
			  "Import: left out the last %" PRIu64 " bytes of %s, which aren't whole",
			  aof.torn, importing->files[importing->count - 1].name);
	atomic_store(&importing->persistence->expired_keys, aof.load.expired);
	log_write(LOG_NOTICE,
		  "Imported %s%s%s in %.3f seconds: %" PRIu64 " keys and %" PRIu64
		  " commands; left out: %" PRIu64 " keys that had expired, %" PRIu64
		  " empty, %" PRIu64 " not supported",
		  importing->files[0].name, importing->count > 1 ? " to " : "",
		  importing->count > 1 ? importing->files[importing->count - 1].name : "",
		  (double)(clock_wall_us() - start) / 1e6, aof.load.keys, aof.commands,
		  aof.load.expired, aof.load.empty, aof.load.unknown);
	return true;
}

/* --- the snapshot --- */

/*
 * Of all that was imported, before anybody can change it. The journals that begin afterwards are
 * those of a start: no cut of this run is behind them.
 */
static int write_snapshot(struct persistence *persistence, uint64_t cut, int64_t now)
{
	struct server *server = persistence->server;
	struct epochs *epochs = &server->ks->epochs;
	struct mem_stats memory;
	mem_stats_read(&memory);
	struct snapshot snapshot = {
		.ks = server->ks,
		.dir = persistence->dir,
		.cut = cut,
		.ms = now,
		.parts = server->worker_count,
		.used_memory = memory.allocated,
		.clock = &server->clock.now_ms,
		.compress = config_int(&server->config.rdbcompression),
		.checksum = config_int(&server->config.rdbchecksum),
		.sync_often = config_int(&server->config.rdb_save_incremental_fsync),
	};
	freeze_begin(server->ks, cut);
	int error = snapshot_write(&snapshot);
	freeze_end(server->ks);
	atomic_store(&epochs->cut, EPOCH_NONE);
	atomic_store(&epochs->cut_before, EPOCH_NONE);
	return error;
}

/*
 * A manifest that lists nothing stands there before: it says that files without a line are no data.
 */
static bool begin_manifest(struct persistence *persistence, uint64_t *epoch)
{
	int64_t now = clock_now(&persistence->server->clock);
	struct manifest *manifest = &persistence->manifest;
	*epoch = atomic_load(&persistence->server->ks->epochs.now);
	manifest_boot(manifest->boot);
	int error = manifest_write(persistence->dir, manifest);
	if (!error)
		error = write_snapshot(persistence, *epoch, now);
	if (!error) {
		manifest_add(manifest, &(struct manifest_item){
					       .kind = MANIFEST_SNAPSHOT,
					       .cut = *epoch,
					       .files = persistence->server->worker_count,
					       .ms = now,
				       });
		error = manifest_write(persistence->dir, manifest);
	}
	if (error)
		log_write(LOG_WARNING, "Can't write what was imported to " DATA_DIR ": %s",
			  strerror(-error));
	return !error;
}

bool import_run(struct persistence *persistence, enum import_kind kind, uint64_t *epoch)
{
	struct importing importing = {.persistence = persistence};
	bool good = open_files(&importing, kind) && load(&importing, kind);
	close_files(&importing);
	return good && begin_manifest(persistence, epoch);
}
