/*
 * sherd restore: a new data directory with the data as they were at a time (tools.h).
 *
 * It has a snapshot and the MANIFEST that names it, written last: before that there are no data.
 */
#include "server/tools/tool.h"

#include "persist/io.h"
#include "persist/snapshot.h"
#include "proto/mem.h"
#include "server/tools/undo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Longest name of a file in the data directory, and what comes between. */
#define NAME_ROOM 128

static int check_empty(const char *path)
{
	DIR *directory = opendir(path);
	if (!directory)
		return -errno;
	int names = 0;
	while (names <= 2 && readdir(directory))
		names++;
	closedir(directory);
	return names == 2 ? 0 : -ENOTEMPTY; /* "." and ".." */
}

/* Makes NEWDIR, unless it is there and empty, and the data directory in it. */
static int make_dirs(const struct tool *tool, char path[PATH_MAX], int *dir)
{
	if (snprintf(path, PATH_MAX, "%s/" DATA_DIR, tool->to) >= PATH_MAX - NAME_ROOM)
		return -ENAMETOOLONG;
	if (mkdir(tool->to, 0700) == 0)
		undo_note(tool->to, true);
	else if (errno != EEXIST)
		return -errno;
	int error = check_empty(tool->to);
	if (error)
		return error;
	undo_note(path, true);
	return io_open_dir(path, dir);
}

static void note_file(const char *path, const char *name, const char *suffix)
{
	char text[PATH_MAX];
	if (snprintf(text, sizeof(text), "%s/%s%s", path, name, suffix) < (int)sizeof(text))
		undo_note(text, false);
}

/* All names that there will be. */
static void note_files(const char *path, const struct manifest_item *item)
{
	char name[MANIFEST_FILE_MAX];
	for (uint32_t i = 0; i < item->files; i++) {
		manifest_file(item, i, name);
		note_file(path, name, ".tmp");
		note_file(path, name, "");
	}
	note_file(path, MANIFEST_NAME, ".tmp");
	note_file(path, MANIFEST_NAME, "");
}

static int write_snapshot(const struct tool *tool, int dir, const struct manifest_item *item)
{
	struct progress progress;
	struct mem_stats stats;
	const _Atomic int64_t clock = item->ms;
	_Atomic uint64_t total = tool_keys(tool);
	mem_stats_read(&stats);
	struct snapshot snapshot = {
		.ks = tool->ks,
		.dir = dir,
		.cut = item->cut,
		.ms = item->ms,
		.parts = item->files,
		.used_memory = stats.allocated,
		.clock = &clock,
		.compress = true,
		.checksum = true,
	};
	progress_begin(&progress, tool, "writing", &snapshot.keys, &total);
	int error = snapshot_write(&snapshot);
	progress_end(&progress);
	return error;
}

static int write_manifest(int dir, const struct manifest_item *item)
{
	struct manifest manifest = {0};
	manifest_boot(manifest.boot);
	manifest_add(&manifest, item);
	int error = manifest_write(dir, &manifest);
	manifest_free(&manifest);
	return error;
}

/* Makes the names in the new directory, and its own, last. */
static int sync_above(const struct tool *tool)
{
	int fd = open(tool->to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = io_sync(fd);
	int above = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!error && above >= 0)
		error = io_sync(above);
	if (above >= 0)
		close(above);
	close(fd);
	return error;
}

int restore_run(struct tool *tool)
{
	char path[PATH_MAX];
	int dir = -1;
	int error = make_dirs(tool, path, &dir);
	if (!error && !tool_load(tool)) {
		close(dir);
		undo_all();
		return TOOL_FAILED;
	}
	struct manifest_item item = {
		.kind = MANIFEST_SNAPSHOT,
		.cut = tool->point.epoch,
		.files = tool->threads,
		.ms = tool->point.ms,
	};
	if (!error) {
		note_files(path, &item);
		error = write_snapshot(tool, dir, &item);
	}
	if (!error)
		error = write_manifest(dir, &item);
	if (!error)
		error = sync_above(tool);
	if (dir >= 0)
		close(dir);
	if (error) {
		undo_all();
		return tool_fail(tool, "Can't write %s: %s", tool->to, strerror(-error));
	}
	undo_nothing();
	printf("%s: %" PRIu64 " keys\n", tool->to, tool_keys(tool));
	return TOOL_FINE;
}
