/*
 * Recovery (recovery.h): what is to be read, in which order.
 *
 * The parts: recovery_snapshot.c, recovery_stretch.c; what they share: recovery_files.c.
 */
#include "persist/recovery.h"

#include "persist/recovery_files.h"
#include "persist/recovery_snapshot.h"
#include "persist/recovery_stretch.h"
#include "persist/replay.h"
#include "persist/times.h"
#include "persist/verify.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* --- begin and end --- */

static bool ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);
	return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

/* A journal or a snapshot that holds something; NULL: there is none. *name is the result's room. */
static const char *find_data(int dir, char name[NAME_MAX + 1])
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	const char *found = NULL;
	struct stat stat;
	while (directory && !found && (entry = readdir(directory)))
		if ((ends_with(entry->d_name, ".aof") || ends_with(entry->d_name, ".rdb")) &&
		    fstatat(dir, entry->d_name, &stat, 0) == 0 && stat.st_size > 0)
			found = strcpy(name, entry->d_name);
	if (directory)
		closedir(directory);
	else if (fd >= 0)
		close(fd);
	return found;
}

bool recovery_finds_data(int dir)
{
	char name[NAME_MAX + 1];
	return faccessat(dir, MANIFEST_NAME, F_OK, 0) == 0 || find_data(dir, name);
}

bool recovery_begin(struct recovery *recovery, int dir, const struct manifest *manifest)
{
	char boot[MANIFEST_BOOT_MAX], name[NAME_MAX + 1];
	*recovery = (struct recovery){.dir = dir, .manifest = manifest, .until = EPOCH_NO_LIMIT};
	int error = commits_last(dir, &recovery->committed);
	if (error)
		return recovery_fail(recovery, "Can't read " COMMITS_NAME ": %s", strerror(-error));
	if (!manifest_exists(manifest) && find_data(dir, name))
		return recovery_fail(recovery,
				     "There is no " MANIFEST_NAME ", but a file with data: %s. "
				     "Without it nobody can tell which files are the data: go back "
				     "to a backup",
				     name);
	manifest_boot(boot);
	recovery->power_loss = strcmp(boot, manifest->boot) != 0 || strcmp(boot, "-") == 0;
	recovery->first = manifest_start(manifest);
	recovery_see_epoch(recovery, recovery->committed.epoch);
	recovery_see_epoch(recovery, manifest_last_cut(manifest));
	return true;
}

void recovery_end(struct recovery *recovery)
{
	recovery_forget_files(recovery);
}

/* --- all of it --- */

/* The snapshot that the journals follow on: the last increment to the first one, or that itself. */
static uint32_t last_base(const struct recovery *recovery)
{
	const struct manifest *manifest = recovery->manifest;
	uint32_t base = recovery->first;
	for (uint32_t i = base + 1; i < manifest->count; i++) {
		const struct manifest_item *item = &manifest->items[i];
		if (item->kind == MANIFEST_SNAPSHOT)
			break;
		if (item->kind == MANIFEST_INCREMENT && item->cut <= recovery->until)
			base = i;
	}
	return base;
}

bool recovery_load(struct recovery *recovery, struct keyspace *ks, uint32_t threads, int64_t now)
{
	const struct manifest *manifest = recovery->manifest;
	struct stretch_use use = {0};
	bool good = true;
	recovery_begin_files(recovery, recovery->first);
	uint32_t base = last_base(recovery);
	for (uint32_t i = recovery->first; i < manifest->count && good; i++) {
		const struct manifest_item *item = &manifest->items[i];
		if (item->kind == MANIFEST_STRETCH) {
			if (i < base)
				continue; /* the increment has it */
			if (!use.replay)
				use.replay = replay_begin(ks, threads, now);
			good = recovery_stretch(recovery, i, base, &use);
		} else if (i == recovery->first ||
			   (item->kind == MANIFEST_INCREMENT && i <= base)) {
			good = recovery_load_snapshot(recovery, i, ks, threads, now);
		}
	}
	if (use.replay)
		replay_end(use.replay);
	return good;
}

void recovery_look(struct recovery *recovery)
{
	const struct manifest *manifest = recovery->manifest;
	struct stretch_use use = {.verifier = verifier_new()};
	uint32_t base = last_base(recovery);
	recovery_begin_files(recovery, 0);
	for (uint32_t i = 0; i < manifest->count; i++) {
		if (manifest->items[i].kind == MANIFEST_STRETCH)
			recovery_stretch(recovery, i, base, &use);
		else
			recovery_look_snapshot(recovery, i);
	}
	verifier_free(use.verifier);
	recovery->error[0] = '\0';
}

/* --- going back --- */

const char *recovery_time_text(int64_t ms, char text[RECOVERY_TIME_MAX])
{
	struct tm tm;
	time_t seconds = (time_t)(ms / 1000);
	gmtime_r(&seconds, &tm);
	size_t len = strftime(text, RECOVERY_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + len, RECOVERY_TIME_MAX - len, ".%03dZ", (int)(ms % 1000));
	return text;
}

/* All that the manifest has. */
static void collect_times(struct recovery *recovery, struct times *times)
{
	const struct manifest *manifest = recovery->manifest;
	struct stretch_use use = {.times = times};
	uint32_t base = last_base(recovery);
	recovery_begin_files(recovery, 0);
	for (uint32_t i = 0; i < manifest->count; i++) {
		const struct manifest_item *item = &manifest->items[i];
		if (item->kind == MANIFEST_STRETCH)
			recovery_stretch(recovery, i, base, &use);
		else
			times_add(times, item->cut, item->ms);
	}
}

/* The last snapshot that has nothing beyond the epoch; 0 without. */
static uint32_t base_of(const struct manifest *manifest, uint64_t epoch)
{
	for (uint32_t i = manifest->count; i-- > 0;)
		if (manifest->items[i].kind == MANIFEST_SNAPSHOT && manifest->items[i].cut <= epoch)
			return i;
	return 0;
}

bool recovery_until(struct recovery *recovery, int64_t ms, struct recovery_point *point)
{
	const struct manifest *manifest = recovery->manifest;
	struct times times = {0};
	collect_times(recovery, &times);
	recovery->error[0] = '\0';
	*point = times_find(&times, ms);
	int64_t earliest = times.count > 0 ? times.list[0].ms : INT64_MAX;
	times_deinit(&times);
	if (earliest == INT64_MAX)
		return recovery_fail(recovery, "There are no data");
	uint32_t first = base_of(manifest, point->epoch);
	bool begins = manifest->items[first].kind == MANIFEST_STRETCH ||
		      manifest->items[first].cut <= point->epoch;
	if (point->epoch == EPOCH_NONE || !begins)
		return recovery_fail(recovery, "The data go back to %s only",
				     recovery_time_text(earliest, (char[RECOVERY_TIME_MAX]){0}));
	recovery->first = first;
	recovery->until = point->epoch;
	return true;
}
