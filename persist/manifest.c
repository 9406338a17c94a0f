/* MANIFEST (manifest.h). */
#include "persist/manifest.h"

#include "persist/io.h"
#include "persist/segment.h"
#include "proto/crc16.h"
#include "proto/crc64.h"
#include "proto/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOOT_ID_PATH   "/proc/sys/kernel/random/boot_id"
#define FIRST_LINE     "sherd 1\n"
#define LINE_MAX_BYTES 128

void manifest_boot(char out[MANIFEST_BOOT_MAX])
{
	FILE *file = fopen(BOOT_ID_PATH, "r");
	if (!file || fscanf(file, "%63[0-9a-f-]", out) != 1)
		strcpy(out, "-");
	if (file)
		fclose(file);
}

void manifest_free(struct manifest *manifest)
{
	mem_free_unsized(manifest->items);
	*manifest = (struct manifest){0};
}

/* --- the list --- */

static void insert(struct manifest *manifest, uint32_t at, const struct manifest_item *item)
{
	if (manifest->count == manifest->cap) {
		manifest->cap = manifest->cap ? manifest->cap * 2 : 8;
		manifest->items =
			mem_realloc(manifest->items, manifest->cap * sizeof(*manifest->items));
	}
	struct manifest_item *place = &manifest->items[at];
	memmove(place + 1, place, (manifest->count - at) * sizeof(*place));
	*place = *item;
	manifest->count++;
}

void manifest_add(struct manifest *manifest, const struct manifest_item *item)
{
	insert(manifest, manifest->count, item);
}

void manifest_place(struct manifest *manifest, const struct manifest_item *snapshot)
{
	uint32_t at = 0;
	while (at < manifest->count && (manifest->items[at].kind != MANIFEST_STRETCH ||
					manifest->items[at].cut != snapshot->cut))
		at++;
	insert(manifest, at, snapshot);
}

/* The `nth` last snapshot (1: the last); 0 when there aren't so many. */
static uint32_t snapshot_from_end(const struct manifest *manifest, uint32_t nth)
{
	for (uint32_t i = manifest->count; i-- > 0;)
		if (manifest->items[i].kind == MANIFEST_SNAPSHOT && --nth == 0)
			return i;
	return 0;
}

/* Where the generations begin that are kept. */
static uint32_t first_kept(const struct manifest *manifest, uint32_t keep)
{
	uint32_t first = snapshot_from_end(manifest, keep), last = manifest_start(manifest);
	if (manifest->count - first <= MANIFEST_ITEMS_MANY)
		return first;
	first = manifest->count - MANIFEST_ITEMS_MANY;
	while (first < last && manifest->items[first].kind != MANIFEST_SNAPSHOT)
		first++;
	return first < last ? first : last;
}

void manifest_drop(struct manifest *manifest, uint32_t keep, struct manifest *dropped)
{
	uint32_t first = first_kept(manifest, keep);
	*dropped = (struct manifest){0};
	for (uint32_t i = 0; i < first; i++)
		manifest_add(dropped, &manifest->items[i]);
	manifest->count -= first;
	memmove(manifest->items, manifest->items + first,
		manifest->count * sizeof(*manifest->items));
}

void manifest_take(struct manifest *manifest, uint32_t at, struct manifest *taken)
{
	manifest_add(taken, &manifest->items[at]);
	manifest->count--;
	memmove(manifest->items + at, manifest->items + at + 1,
		(manifest->count - at) * sizeof(*manifest->items));
}

void manifest_copy(const struct manifest *manifest, struct manifest *copy)
{
	size_t size = manifest->count * sizeof(*manifest->items);
	*copy = *manifest;
	copy->cap = copy->count;
	copy->items = mem_alloc(size + 1);
	if (size > 0)
		memcpy(copy->items, manifest->items, size);
}

uint32_t manifest_start(const struct manifest *manifest)
{
	return snapshot_from_end(manifest, 1);
}

uint32_t manifest_increments(const struct manifest *manifest)
{
	uint32_t increments = 0;
	for (uint32_t i = manifest_start(manifest); i < manifest->count; i++)
		increments += manifest->items[i].kind == MANIFEST_INCREMENT;
	return increments;
}

uint64_t manifest_last_run(const struct manifest *manifest)
{
	uint64_t run = 0;
	for (uint32_t i = 0; i < manifest->count; i++)
		if (manifest->items[i].run > run)
			run = manifest->items[i].run;
	return run;
}

uint64_t manifest_last_cut(const struct manifest *manifest)
{
	uint64_t cut = 0;
	for (uint32_t i = 0; i < manifest->count; i++)
		if (manifest->items[i].cut > cut)
			cut = manifest->items[i].cut;
	return cut;
}

/* By kind. */
static const char *const kind_names[] = {
	[MANIFEST_SNAPSHOT] = "snapshot",
	[MANIFEST_INCREMENT] = "increment",
	[MANIFEST_STRETCH] = "stretch",
};

void manifest_file(const struct manifest_item *item, uint32_t number, char out[MANIFEST_FILE_MAX])
{
	struct segment_id id = {item->run, item->cut, number};
	_Static_assert(MANIFEST_FILE_MAX >= SEGMENT_NAME_MAX, "room for the names of segments");
	if (item->kind == MANIFEST_STRETCH)
		segment_name(&id, out);
	else
		snprintf(out, MANIFEST_FILE_MAX, "%s-%" PRIu64 "-%" PRIu32 ".rdb",
			 kind_names[item->kind], item->cut, number);
}

/* --- what isn't listed --- */

/* The item whose file has that name, with the file's number; false where it is something else. */
static bool item_of(const char *name, struct manifest_item *item, uint32_t *number)
{
	char same[MANIFEST_FILE_MAX];
	*item = (struct manifest_item){.kind = MANIFEST_STRETCH};
	if (sscanf(name, "journal-%" SCNu64 "-%" SCNu64 "-%" SCNu32 ".aof", &item->run, &item->cut,
		   number) != 3) {
		item->kind = MANIFEST_SNAPSHOT;
		if (sscanf(name, "snapshot-%" SCNu64 "-%" SCNu32 ".rdb", &item->cut, number) != 2)
			item->kind = MANIFEST_INCREMENT;
		if (item->kind == MANIFEST_INCREMENT &&
		    sscanf(name, "increment-%" SCNu64 "-%" SCNu32 ".rdb", &item->cut, number) != 2)
			return false;
	}
	manifest_file(item, *number, same);
	return strncmp(name, same, strlen(same)) == 0 &&
	       (!name[strlen(same)] || strcmp(name + strlen(same), ".tmp") == 0);
}

static bool is_wanted(const struct manifest *manifest, const char *name)
{
	struct manifest_item item;
	uint32_t number;
	if (!item_of(name, &item, &number))
		return true;
	if (name[strlen(name) - 1] == 'p') /* ".tmp" */
		return false;
	for (uint32_t i = 0; i < manifest->count; i++) {
		const struct manifest_item *other = &manifest->items[i];
		if (other->kind == item.kind && other->cut == item.cut && other->run == item.run &&
		    number < other->files)
			return true;
	}
	return false;
}

uint32_t manifest_tidy(int dir, const struct manifest *manifest)
{
	uint32_t removed = 0;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	if (!list)
		return 0;
	for (struct dirent *file = readdir(list); file; file = readdir(list))
		if (!is_wanted(manifest, file->d_name))
			removed += io_unlink(dir, file->d_name) == 0;
	closedir(list);
	return removed;
}

/* --- text --- */

/* "stretch <run> <cut> <workers> <open|closed>" */
static bool read_stretch(const char *line, struct manifest_item *item)
{
	char state[8];
	int end = 0;
	item->kind = MANIFEST_STRETCH;
	if (sscanf(line, "stretch %" SCNu64 " %" SCNu64 " %" SCNu32 " %7[a-z]%n", &item->run,
		   &item->cut, &item->files, state, &end) != 4 ||
	    line[end] || item->files > SHARDS_MAX)
		return false;
	item->open = strcmp(state, "open") == 0;
	return item->open || strcmp(state, "closed") == 0;
}

/* "snapshot <cut> <parts> <unix ms>", or "increment" */
static bool read_snapshot(const char *line, struct manifest_item *item)
{
	char word[16];
	int end = 0;
	if (sscanf(line, "%15[a-z] %" SCNu64 " %" SCNu32 " %" SCNd64 "%n", word, &item->cut,
		   &item->files, &item->ms, &end) != 4 ||
	    line[end] || item->files == 0 || item->files > SLOT_COUNT)
		return false;
	item->kind = strcmp(word, kind_names[MANIFEST_SNAPSHOT]) == 0 ? MANIFEST_SNAPSHOT
								      : MANIFEST_INCREMENT;
	return strcmp(word, kind_names[item->kind]) == 0;
}

/* One line without its end. False: it makes no sense. */
static bool read_line(struct manifest *manifest, const char *line)
{
	struct manifest_item item = {0};
	int end = 0;
	if (sscanf(line, "boot %63[0-9a-f-]%n", manifest->boot, &end) == 1 && !line[end])
		return true;
	if (!read_stretch(line, &item)) {
		item = (struct manifest_item){0};
		if (!read_snapshot(line, &item))
			return false;
	}
	manifest_add(manifest, &item);
	return true;
}

/* The last line holds the sum of those before. */
static bool sum_right(const char *last, const char *bytes)
{
	uint64_t sum;
	int end = 0;
	return sscanf(last, "end %16" SCNx64 "\n%n", &sum, &end) == 1 && last[end] == '\0' &&
	       crc64(0, bytes, (size_t)(last - bytes)) == sum;
}

static int parse(struct manifest *manifest, const char *bytes, uint32_t *number)
{
	const char *at = bytes + strlen(FIRST_LINE);
	*number = 1;
	if (strncmp(bytes, FIRST_LINE, strlen(FIRST_LINE)) != 0)
		return -EINVAL;
	for (*number = 2;; ++*number) {
		char line[LINE_MAX_BYTES];
		const char *end = strchr(at, '\n');
		if (!end || end - at >= LINE_MAX_BYTES)
			return -EINVAL;
		if (strncmp(at, "end ", 4) == 0)
			return sum_right(at, bytes) ? 0 : -EINVAL;
		memcpy(line, at, (size_t)(end - at));
		line[end - at] = '\0';
		if (!read_line(manifest, line))
			return -EINVAL;
		at = end + 1;
	}
}

int manifest_read(int dir, struct manifest *manifest, uint32_t *line)
{
	struct io_map map;
	*line = 0;
	*manifest = (struct manifest){0};
	int error = io_map(dir, MANIFEST_NAME, &map);
	if (error)
		return error;
	char *text = mem_alloc(map.len + 1);
	if (map.len > 0)
		memcpy(text, map.bytes, map.len);
	text[map.len] = '\0';
	io_unmap(&map);
	error = parse(manifest, text, line);
	mem_free_unsized(text);
	return error;
}

static void write_item(FILE *out, const struct manifest_item *item)
{
	const char *name = kind_names[item->kind];
	if (item->kind == MANIFEST_STRETCH)
		fprintf(out, "%s %" PRIu64 " %" PRIu64 " %" PRIu32 " %s\n", name, item->run,
			item->cut, item->files, item->open ? "open" : "closed");
	else
		fprintf(out, "%s %" PRIu64 " %" PRIu32 " %" PRId64 "\n", name, item->cut,
			item->files, item->ms);
}

int manifest_write(int dir, const struct manifest *manifest)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return -errno;
	fputs(FIRST_LINE, out);
	fprintf(out, "boot %s\n", manifest->boot);
	for (uint32_t i = 0; i < manifest->count; i++)
		write_item(out, &manifest->items[i]);
	fflush(out);
	fprintf(out, "end %016" PRIx64 "\n", crc64(0, text, len));
	int error = fclose(out) ? -errno : io_replace(dir, MANIFEST_NAME, text, len);
	free(text);
	return error;
}
