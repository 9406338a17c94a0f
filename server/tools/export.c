/*
 * sherd export: all data as one RDB file (tools.h).
 *
 * The file is written beside its place, synced, and renamed: it is there whole or not at all. That
 * would take away what has the name, so only a regular file may have it.
 */
#include "server/tools/tool.h"

#include "persist/io.h"
#include "persist/rdb_file.h"
#include "proto/mem.h"
#include "server/tools/undo.h"
#include "shard/rdb.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What files say of who wrote them: their format is that version's. */
#define REDIS_VERSION_AUX "7.2.0"

struct exporting {
	struct tool *tool;
	struct rdb_file file;
	char temporary[PATH_MAX];
	_Atomic uint64_t keys_done;
	_Atomic uint64_t keys_total;
};

static void write_key(void *arg, struct entry *e)
{
	struct exporting *exporting = arg;
	rdb_file_key(&exporting->file, e, -1, -1);
	atomic_fetch_add_explicit(&exporting->keys_done, 1, memory_order_relaxed);
}

static void write_database(struct exporting *exporting, uint32_t db)
{
	const struct keyspace *ks = exporting->tool->ks;
	int64_t keys = keyspace_keys(ks, db), expires = keyspace_expires(ks, db);
	if (keys == 0)
		return;
	rdb_file_database(&exporting->file, db);
	rdb_file_sizes(&exporting->file, (uint64_t)keys, (uint64_t)expires);
	for (uint32_t i = 0; i < SLOT_COUNT && !exporting->file.error; i++) {
		const struct table *table = slot_table(&ks->slots[i], db);
		for (uint64_t at = table ? 0 : TABLE_END; at != TABLE_END;)
			at = table_scan(table, at, write_key, exporting);
	}
}

static void write_aux_int(struct rdb_file *file, const char *name, uint64_t n)
{
	char text[NUMBER_TEXT_MAX];
	snprintf(text, sizeof(text), "%" PRIu64, n);
	rdb_file_aux(file, name, slice_of(text));
}

/* Makes the temporary file complete, on the disk. 0 or a negative errno. */
static int write_file(struct exporting *exporting)
{
	const struct tool *tool = exporting->tool;
	struct rdb_file *file = &exporting->file;
	struct mem_stats stats;
	int fd;
	undo_note(exporting->temporary, false);
	int error = io_open_new(AT_FDCWD, exporting->temporary, &fd);
	if (error)
		return error;
	mem_stats_read(&stats);
	rdb_file_begin(file, fd, true, true);
	rdb_file_aux(file, "redis-ver", SLICE(REDIS_VERSION_AUX));
	write_aux_int(file, "redis-bits", sizeof(void *) * 8);
	write_aux_int(file, "ctime",
		      tool->until ? (uint64_t)tool->point.ms / 1000 : (uint64_t)time(NULL));
	write_aux_int(file, "used-mem", stats.allocated);
	for (uint32_t db = 0; db < tool->ks->databases; db++)
		write_database(exporting, db);
	error = rdb_file_end(file);
	if (!error)
		error = io_sync(fd);
	close(fd);
	return error;
}

/* Why the name can't be had, or NULL: a device, say, would be gone, and a link no longer be one. */
static const char *refusal(const char *path)
{
	struct stat there;
	if (strcmp(path, "-") == 0)
		return "it takes a file's name; nothing is written to standard output";
	if (lstat(path, &there) || S_ISREG(there.st_mode))
		return NULL;
	if (S_ISLNK(there.st_mode))
		return "it is a symbolic link, name the file itself";
	if (S_ISDIR(there.st_mode))
		return "it is a directory";
	return "it is not a regular file";
}

/* The name gets the new content for good. */
static int put_in_place(const struct exporting *exporting)
{
	const char *path = exporting->tool->rdb, *slash = strrchr(path, '/');
	char directory[PATH_MAX] = ".";
	if (slash)
		snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path + 1), path);
	if (refusal(path)) /* somebody has put it there meanwhile */
		return -EEXIST;
	undo_hold_signals();
	int error = io_rename(AT_FDCWD, exporting->temporary, path);
	if (error)
		return error;
	undo_nothing();
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = io_sync(fd);
	close(fd);
	return error;
}

int export_run(struct tool *tool)
{
	struct exporting exporting = {.tool = tool};
	struct progress progress;
	const char *refused = refusal(tool->rdb);
	if (refused)
		return tool_fail(tool, "Can't write %s: %s", tool->rdb, refused);
	if (snprintf(exporting.temporary, PATH_MAX, "%s.%d.tmp", tool->rdb, (int)getpid()) >=
	    PATH_MAX)
		return tool_fail(tool, "The name %s is too long", tool->rdb);
	if (!tool_load(tool))
		return TOOL_FAILED;
	atomic_store(&exporting.keys_total, tool_keys(tool));
	progress_begin(&progress, tool, "writing", &exporting.keys_done, &exporting.keys_total);
	int error = write_file(&exporting);
	if (!error)
		error = put_in_place(&exporting);
	progress_end(&progress);
	undo_all();
	if (error)
		return tool_fail(tool, "Can't write %s: %s", tool->rdb, strerror(-error));
	printf("%s: %" PRIu64 " keys\n", tool->rdb, atomic_load(&exporting.keys_done));
	if (exporting.file.version == RDB_VERSION_FIELDS)
		printf("Hashes have fields that expire: of Redis, 7.4 and later read it.\n");
	return TOOL_FINE;
}
