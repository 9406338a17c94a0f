/*
 * sherd restore: a new data directory with the data as they were at a time (tools.h): one snapshot.
 */
#include "server/tools/tool.h"

#include "persist/snapshot.h"
#include "proto/mem.h"
#include "server/tools/newdir.h"
#include "server/tools/undo.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

/* The data stand in the keyspace. */
static int write_all(const struct tool *tool, const struct newdir *newdir)
{
	struct manifest manifest = {0};
	struct manifest_item item = {
		.kind = MANIFEST_SNAPSHOT,
		.cut = tool->point.epoch,
		.files = tool->threads,
		.ms = tool->point.ms,
	};
	newdir_note_item(newdir, &item);
	int error = write_snapshot(tool, newdir->dir, &item);
	if (error)
		return error;
	manifest_add(&manifest, &item);
	error = newdir_finish(newdir, &manifest);
	manifest_free(&manifest);
	return error;
}

int restore_run(struct tool *tool)
{
	struct newdir newdir;
	int error = newdir_make(&newdir, tool->to);
	bool loaded = !error && tool_load(tool);
	if (loaded)
		error = write_all(tool, &newdir);
	newdir_close(&newdir);
	if (loaded && !error) {
		printf("%s: %" PRIu64 " keys\n", tool->to, tool_keys(tool));
		return TOOL_FINE;
	}
	undo_all();
	if (!error)
		return TOOL_FAILED; /* it has been said */
	return tool_fail(tool, "Can't write %s: %s", tool->to, strerror(-error));
}
