/*
 * sherd backup: a new data directory with copies of the last snapshot, and of the increments behind
 * it (tools.h).
 *
 * A server may be at work in DIR meanwhile. Files that the manifest lists as a snapshot's never
 * change, but they may be removed, when a later one is complete. So first all of them are mapped,
 * which keeps their bytes; if one isn't there, the manifest is read again, and names others.
 * Journals do change: they are left out.
 */
#include "server/tools/tool.h"

#include "persist/io.h"
#include "persist/recovery_files.h"
#include "proto/mem.h"
#include "server/tools/newdir.h"
#include "server/tools/undo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Between two looks at how far it is. */
#define PIECE_BYTES (1 << 20)

struct source {
	char name[MANIFEST_FILE_MAX];
	struct io_map map;
};

struct backup {
	struct tool *tool;
	struct manifest items;  /* what is copied: of the directory's manifest */
	struct source *sources; /* their files */
	uint32_t files;
	_Atomic uint64_t done, total; /* bytes */
	bool said;                    /* why it fails */
};

/* The last snapshot and the increments behind it; none: there is no snapshot. */
static void choose(struct backup *backup)
{
	const struct manifest *manifest = &backup->tool->manifest;
	uint32_t start = manifest_start(manifest);
	manifest_free(&backup->items);
	backup->files = 0;
	for (uint32_t i = start; i < manifest->count; i++) {
		const struct manifest_item *item = &manifest->items[i];
		if (item->kind == MANIFEST_STRETCH)
			continue;
		manifest_add(&backup->items, item);
		backup->files += item->files;
	}
}

static void name_all(struct backup *backup)
{
	struct source *source = backup->sources;
	for (uint32_t i = 0; i < backup->items.count; i++)
		for (uint32_t part = 0; part < backup->items.items[i].files; part++)
			manifest_file(&backup->items.items[i], part, source++->name);
}

static void unmap_all(struct backup *backup)
{
	for (uint32_t i = 0; i < backup->files; i++)
		io_unmap(&backup->sources[i].map);
	mem_free(backup->sources, backup->files * sizeof(*backup->sources));
	backup->sources = NULL;
}

/* 0, or a negative errno and the name that it is of. */
static int map_all(struct backup *backup, char name[MANIFEST_FILE_MAX])
{
	int error = 0;
	backup->sources = mem_zalloc(backup->files * sizeof(*backup->sources));
	name_all(backup);
	for (uint32_t i = 0; i < backup->files && !error; i++) {
		struct source *source = &backup->sources[i];
		error = io_map(backup->tool->dir, source->name, &source->map);
		atomic_fetch_add(&backup->total, source->map.len);
		if (error)
			strcpy(name, source->name);
	}
	if (error)
		unmap_all(backup);
	return error;
}

/*
 * Whether the manifest, read anew, begins with another snapshot than the one that was looked for.
 */
static bool moved_on(struct backup *backup)
{
	struct tool *tool = backup->tool;
	uint64_t cut = backup->items.items[0].cut;
	manifest_free(&tool->manifest);
	if (manifest_read(tool->dir, &tool->manifest, &tool->manifest_line) != 0)
		return false;
	choose(backup);
	return backup->items.count > 0 && backup->items.items[0].cut != cut;
}

/* Gets hold of all that is to be copied. False after saying why. */
static bool take(struct backup *backup)
{
	char name[MANIFEST_FILE_MAX];
	int error;
	if (!tool_knows_files(backup->tool))
		return false;
	choose(backup);
	if (backup->items.count == 0) {
		tool_fail(backup->tool, "There is no snapshot in %s yet: BGSAVE makes one",
			  backup->tool->path);
		return false;
	}
	do {
		atomic_store(&backup->total, 0);
		error = map_all(backup, name);
	} while (error == -ENOENT && moved_on(backup));
	if (error)
		tool_fail(backup->tool, "Can't read %s in %s: %s", name, backup->tool->path,
			  strerror(-error));
	return error == 0;
}

static int copy(struct backup *backup, const struct newdir *newdir, const struct source *source)
{
	const struct io_map *map = &source->map;
	int fd;
	newdir_note(newdir, source->name);
	int error = io_open_new(newdir->dir, source->name, &fd);
	if (error)
		return error;
	for (size_t at = 0, written; at < map->len && !error; at += written) {
		size_t len = map->len - at < PIECE_BYTES ? map->len - at : PIECE_BYTES;
		error = io_write(fd, map->bytes + at, len, &written);
		atomic_fetch_add_explicit(&backup->done, written, memory_order_relaxed);
	}
	if (!error)
		error = io_sync(fd);
	io_close(fd);
	return error;
}

static int copy_all(struct backup *backup, const struct newdir *newdir)
{
	int error = 0;
	for (uint32_t i = 0; i < backup->files && !error; i++)
		error = copy(backup, newdir, &backup->sources[i]);
	return error;
}

/* What was copied is what was written once: by the files' checksums. */
static bool is_whole(struct backup *backup, const struct newdir *newdir)
{
	struct recovery recovery;
	struct progress progress;
	manifest_boot(backup->items.boot);
	bool good = recovery_begin(&recovery, newdir->dir, &backup->items);
	progress_begin(&progress, backup->tool, "checking", &recovery.bytes_done,
		       &recovery.bytes_total);
	if (good)
		recovery_look(&recovery);
	progress_end(&progress);
	for (uint32_t i = 0; i < recovery.file_count && good; i++)
		if (recovery_file_bad(&recovery.files[i]))
			good = recovery_fail_file(&recovery, &recovery.files[i]);
	if (!good)
		tool_fail(backup->tool, "%s", recovery.error);
	recovery_end(&recovery);
	backup->said = !good;
	return good;
}

static int write_all(struct backup *backup, struct newdir *newdir)
{
	struct progress progress;
	int error = newdir_make(newdir, backup->tool->to);
	if (error)
		return error;
	progress_begin(&progress, backup->tool, "copying", &backup->done, &backup->total);
	error = copy_all(backup, newdir);
	progress_end(&progress);
	if (!error && !is_whole(backup, newdir))
		error = -EINVAL;
	return error ? error : newdir_finish(newdir, &backup->items);
}

static void tell(struct backup *backup)
{
	char text[RECOVERY_TIME_MAX];
	int64_t ms = backup->items.items[backup->items.count - 1].ms;
	printf("%s: the data of %s, %" PRIu64 " bytes in %" PRIu32 " files\n", backup->tool->to,
	       recovery_time_text(ms, text), atomic_load(&backup->total), backup->files);
}

int backup_run(struct tool *tool)
{
	struct backup backup = {.tool = tool};
	struct newdir newdir = {.dir = -1};
	bool done = false;
	if (take(&backup)) {
		int error = write_all(&backup, &newdir);
		done = !error;
		if (done)
			tell(&backup);
		else if (!backup.said)
			tool_fail(tool, "Can't write %s: %s", tool->to, strerror(-error));
		unmap_all(&backup);
	}
	newdir_close(&newdir);
	undo_all();
	manifest_free(&backup.items);
	return done ? TOOL_FINE : TOOL_FAILED;
}
