/* sherd check --fix (fix.h). */
#include "server/tools/fix.h"

#include "persist/io.h"
#include "server/tools/undo.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* For ".cut-<n>" behind a name. */
#define SIDE_NAME_MAX (MANIFEST_FILE_MAX + 16)

/* The first <file>.cut-<n> that isn't there yet. */
static void side_name(int dir, const char *name, char out[SIDE_NAME_MAX])
{
	struct stat stat;
	unsigned n = 0;
	do
		snprintf(out, SIDE_NAME_MAX, "%s.cut-%u", name, ++n);
	while (fstatat(dir, out, &stat, AT_SYMLINK_NOFOLLOW) == 0);
}

/* What stands in the file from `at` on, lastingly in another. */
static int copy_tail(int dir, const char *name, uint64_t at, const char *side)
{
	struct io_map map;
	size_t written;
	int fd;
	int error = io_map(dir, name, &map);
	if (error)
		return error;
	error = io_open_new(dir, side, &fd);
	if (!error) {
		error = io_write(fd, map.bytes + at, map.len - at, &written);
		if (!error)
			error = io_sync(fd);
		close(fd);
		if (!error)
			error = io_sync(dir);
		if (error)
			io_unlink(dir, side);
	}
	io_unmap(&map);
	return error;
}

static int make_empty(int dir, const char *name)
{
	int fd;
	int error = io_open_append(dir, name, false, &fd);
	if (error)
		return error;
	close(fd);
	return io_sync(dir);
}

/* Leaves so much of a journal; one that is missing is made. */
static bool cut(const struct tool *tool, const struct recovery_file *file, uint64_t at)
{
	char side[SIDE_NAME_MAX];
	int error;
	if (file->error == -ENOENT) {
		error = make_empty(tool->dir, file->name);
		if (!error)
			printf("Made an empty %s\n", file->name);
	} else if (file->error) {
		error = file->error;
	} else if (at == file->bytes) {
		return true;
	} else {
		side_name(tool->dir, file->name, side);
		error = copy_tail(tool->dir, file->name, at, side);
		if (!error)
			error = io_truncate(tool->dir, file->name, at);
		if (!error)
			printf("Cut %s at byte %" PRIu64 ": %" PRIu64 " bytes are in %s now\n",
			       file->name, at, file->bytes - at, side);
	}
	if (error)
		tool_fail(tool, "Can't cut %s: %s", file->name, strerror(-error));
	return !error;
}

/* --- snapshots --- */

/*
 * The run that wrote journals up to a snapshot, and from it on: what it holds is in the journals,
 * too.
 */
static bool journaled(const struct manifest *manifest, uint32_t item)
{
	if (item == 0 || item + 1 >= manifest->count)
		return false;
	const struct manifest_item *before = &manifest->items[item - 1];
	const struct manifest_item *after = &manifest->items[item + 1];
	return before->kind == MANIFEST_STRETCH && after->kind == MANIFEST_STRETCH &&
	       before->run == after->run;
}

/* The same data by another way: journals up to a snapshot, and nothing bad in front of it. */
static bool way_round(const struct recovery *recovery, uint32_t item)
{
	for (uint32_t i = 0; i < recovery->file_count; i++)
		if (recovery->files[i].item < item && recovery_file_bad(&recovery->files[i]))
			return false;
	return journaled(recovery->manifest, item);
}

/* Takes a snapshot out of the manifest, and its files out of the way. */
static bool put_aside(struct tool *tool, uint32_t item)
{
	struct manifest *manifest = &tool->manifest;
	char side[SIDE_NAME_MAX], name[MANIFEST_FILE_MAX];
	const struct manifest_item snapshot = manifest->items[item];
	manifest->count--;
	memmove(&manifest->items[item], &manifest->items[item + 1],
		(manifest->count - item) * sizeof(*manifest->items));
	int error = manifest_write(tool->dir, manifest);
	for (uint32_t i = 0; i < snapshot.files && !error; i++) {
		manifest_file(&snapshot, i, name);
		side_name(tool->dir, name, side);
		error = io_rename(tool->dir, name, side);
		error = error == -ENOENT ? 0 : error;
	}
	if (!error)
		error = io_sync(tool->dir);
	if (error) {
		tool_fail(tool, "Can't put a snapshot aside: %s", strerror(-error));
		return false;
	}
	printf("Left out the snapshot of epoch %" PRIu64
	       ": with its journals, the one before it has the same data\n",
	       snapshot.cut);
	tool->recovery.first = manifest_start(manifest);
	return true;
}

/* Snapshots that are damaged and not needed, last first: the places of those before them stay. */
static bool fix_snapshots(struct tool *tool)
{
	const struct recovery *recovery = &tool->recovery;
	uint32_t last = UINT32_MAX;
	for (uint32_t i = recovery->file_count; i-- > 0;) {
		const struct recovery_file *file = &recovery->files[i];
		if (file->item == last || !recovery_file_bad(file) ||
		    tool->manifest.items[file->item].kind == MANIFEST_STRETCH ||
		    !way_round(recovery, file->item))
			continue;
		last = file->item;
		if (!put_aside(tool, last))
			return false;
	}
	return true;
}

/* --- journals --- */

/* Whether an item has a bad file. */
static bool item_bad(const struct recovery *recovery, uint32_t item)
{
	for (uint32_t i = 0; i < recovery->file_count; i++)
		if (recovery->files[i].item == item && recovery_file_bad(&recovery->files[i]))
			return true;
	return false;
}

static bool fix_journals(const struct tool *tool)
{
	const struct recovery *recovery = &tool->recovery;
	uint32_t broken = UINT32_MAX; /* the stretch from which on something is missing */
	for (uint32_t i = 0; i < recovery->file_count; i++) {
		const struct recovery_file *file = &recovery->files[i];
		if (tool->manifest.items[file->item].kind != MANIFEST_STRETCH) {
			broken = UINT32_MAX;
			continue;
		}
		if (broken == UINT32_MAX && item_bad(recovery, file->item))
			broken = file->item;
		if (!cut(tool, file, file->item > broken ? 0 : file->good))
			return false;
	}
	return true;
}

bool fix_has_way_round(const struct recovery *recovery)
{
	const struct manifest *manifest = recovery->manifest;
	for (uint32_t i = recovery->first; i < manifest->count; i++)
		if (manifest->items[i].kind != MANIFEST_STRETCH && item_bad(recovery, i))
			return way_round(recovery, i);
	return true;
}

bool fix(struct tool *tool)
{
	/* anything cut would be for nothing */
	if (!fix_has_way_round(&tool->recovery)) {
		tool_fail(
			tool,
			"A snapshot is damaged, and what is before it doesn't have the same data: "
			"nothing was changed");
		return false;
	}
	undo_hold_signals();
	bool good = fix_journals(tool) && fix_snapshots(tool);
	undo_take_signals();
	return good;
}
