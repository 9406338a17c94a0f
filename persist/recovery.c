/* Recovery (recovery.h). */
#include "persist/recovery.h"

#include "persist/increment.h"
#include "persist/io.h"
#include "persist/load.h"
#include "persist/rdb_file.h"
#include "persist/replay.h"
#include "persist/segment.h"
#include "persist/verify.h"
#include "proto/mem.h"
#include "proto/number.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Epochs that there is room for at first. */
#define TIMES_FIRST 1024

static bool fail(struct recovery *recovery, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static bool fail(struct recovery *recovery, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(recovery->error, sizeof(recovery->error), format, list);
	va_end(list);
	return false;
}

static void see_epoch(struct recovery *recovery, uint64_t epoch)
{
	if (epoch > recovery->epoch_last)
		recovery->epoch_last = epoch;
}

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

bool recovery_begin(struct recovery *recovery, int dir, const struct manifest *manifest)
{
	char boot[MANIFEST_BOOT_MAX], name[NAME_MAX + 1];
	*recovery = (struct recovery){.dir = dir, .manifest = manifest, .until = EPOCH_NO_LIMIT};
	int error = commits_last(dir, &recovery->committed);
	if (error)
		return fail(recovery, "Can't read " COMMITS_NAME ": %s", strerror(-error));
	if (!manifest_exists(manifest) && find_data(dir, name))
		return fail(recovery, "There is no " MANIFEST_NAME ", but a file with data: %s",
			    name);
	manifest_boot(boot);
	recovery->power_loss = strcmp(boot, manifest->boot) != 0 || strcmp(boot, "-") == 0;
	recovery->first = manifest_start(manifest);
	see_epoch(recovery, recovery->committed.epoch);
	see_epoch(recovery, manifest_last_cut(manifest));
	return true;
}

static void forget_files(struct recovery *recovery)
{
	mem_free_unsized(recovery->files);
	recovery->files = NULL;
	recovery->file_count = 0;
}

void recovery_end(struct recovery *recovery)
{
	forget_files(recovery);
}

/* --- files --- */

/* How much there is to read from an item on. */
static void count_bytes(struct recovery *recovery, uint32_t first)
{
	const struct manifest *manifest = recovery->manifest;
	atomic_store(&recovery->bytes_done, 0);
	atomic_store(&recovery->bytes_total, 0);
	for (uint32_t i = first; i < manifest->count; i++)
		for (uint32_t j = 0; j < manifest->items[i].files; j++) {
			char name[MANIFEST_FILE_MAX];
			struct stat stat;
			manifest_file(&manifest->items[i], j, name);
			if (fstatat(recovery->dir, name, &stat, 0) == 0)
				atomic_fetch_add(&recovery->bytes_total, (uint64_t)stat.st_size);
		}
}

static void done(struct recovery *recovery, uint64_t bytes)
{
	atomic_fetch_add_explicit(&recovery->bytes_done, bytes, memory_order_relaxed);
}

/* A file of an item, mapped; or unreadable, with the map empty. Valid until the next. */
static struct recovery_file *open_file(struct recovery *recovery, uint32_t item, uint32_t number,
				       struct io_map *map)
{
	size_t size = (recovery->file_count + 1) * sizeof(*recovery->files);
	recovery->files = mem_realloc(recovery->files, size);
	struct recovery_file *file = &recovery->files[recovery->file_count++];
	*file = (struct recovery_file){.item = item};
	manifest_file(&recovery->manifest->items[item], number, file->name);
	file->error = io_map(recovery->dir, file->name, map);
	file->bytes = map->len;
	if (file->error) {
		file->state = FILE_UNREADABLE;
		file->why = strerror(-file->error);
	}
	return file;
}

static bool file_bad(const struct recovery_file *file)
{
	return file->state == FILE_DAMAGED || file->state == FILE_UNREADABLE;
}

/* What is wrong with it becomes the error. */
static bool fail_file(struct recovery *recovery, const struct recovery_file *file)
{
	if (file->state == FILE_UNREADABLE)
		return fail(recovery, "Can't read %s: %s", file->name, file->why);
	return fail(recovery, "%s is damaged at byte %" PRIu64 " of %" PRIu64 ": %s", file->name,
		    file->good, file->bytes, file->why);
}

/* --- journals --- */

/* When each epoch began, as far as is known, in no order and more than once. */
struct times {
	struct epoch_time {
		uint64_t epoch;
		int64_t ms;
	} * list;
	size_t count, room;
};

static void times_add(struct times *times, uint64_t epoch, int64_t ms)
{
	if (times->count == times->room) {
		times->room = times->room ? times->room * 2 : TIMES_FIRST;
		times->list = mem_realloc(times->list, times->room * sizeof(*times->list));
	}
	times->list[times->count++] = (struct epoch_time){epoch, ms};
}

/* A stretch being merged. */
struct merging {
	struct recovery *recovery;
	uint32_t item;
	bool snapshot_has;     /* records of before the cut are in what was loaded */
	struct replay *replay; /* NULL: nothing is done again */
	struct times *times;   /* filled; may be NULL */
	uint64_t counted;      /* bytes, as done */
	struct merge_source sources[SHARDS_MAX];
	struct io_map maps[SHARDS_MAX];
	uint64_t epochs[SHARDS_MAX]; /* of the last record of each */
	struct verifier *verifier;   /* NULL: records are what they are */
	size_t limits[SHARDS_MAX];   /* from here on a journal is wrong, by the verifier's word */
	bool wrong;                  /* one more was found */
};

/* It has the effect that could not be done again. */
static bool is_bad(const struct merging *merging, const struct merge_record *record)
{
	const struct recovery_bad *bad = &merging->recovery->bad;
	size_t begin = (size_t)(record->bytes - merging->sources[record->source].bytes);
	return bad->known && bad->item == merging->item && bad->worker == record->source &&
	       bad->at >= begin && bad->at < begin + record->len;
}

static bool take(void *arg, const struct merge_record *record)
{
	struct merging *merging = arg;
	uint64_t *epoch = &merging->epochs[record->source];
	if (merging->verifier &&
	    (is_bad(merging, record) || !verifier_likes(merging->verifier, record))) {
		merging->limits[record->source] = record->at;
		merging->wrong = true;
		return false;
	}
	merging->counted += record->len;
	done(merging->recovery, record->len);
	if (merging->times && record->epoch != *epoch)
		times_add(merging->times, record->epoch, record->ms);
	*epoch = record->epoch;
	if (record->before_cut && merging->snapshot_has)
		return true;
	return !merging->replay || replay_record(merging->replay, record);
}

/* By merge's ends: what a start cuts off, and why it is damage where nothing may be cut. */
static const struct {
	const char *cut, *why;
} ends[] = {
	[MERGE_WHOLE] = {"", ""},
	[MERGE_BEYOND] = {"of epochs that were not committed", "its epoch was not committed"},
	[MERGE_TORN] = {"of a record that is not whole", "the record is not whole"},
	[MERGE_ORPHAN] = {"that follow on what was never written",
			  "the record follows on one that isn't there"},
	[MERGE_DAMAGED] = {"", "this is no record"},
};

const char *recovery_cut_words(const struct recovery_file *file)
{
	return ends[file->end].cut;
}

/* What came of one journal. */
static void settle(const struct merging *merging, uint32_t worker, struct recovery_file *file)
{
	const struct recovery *recovery = merging->recovery;
	const struct merge_source *source = &merging->sources[worker];
	if (file->state == FILE_UNREADABLE)
		return;
	const struct io_map *map = &merging->maps[worker];
	bool wrong = source->end == MERGE_WHOLE && merging->limits[worker] != SIZE_MAX;
	file->end = wrong ? MERGE_DAMAGED : source->end;
	file->bytes = segment_trimmed(map->bytes, map->len);
	file->good = source->taken;
	file->count = source->records;
	if (file->end == MERGE_WHOLE ||
	    (file->end == MERGE_BEYOND && source->epoch_end > recovery->until))
		return;
	bool open = recovery->manifest->items[merging->item].open;
	file->state = open && file->end != MERGE_DAMAGED ? FILE_CUT : FILE_DAMAGED;
	file->why = wrong ? "this is no effect of a write" : ends[file->end].why;
	file->epoch = source->epoch_end;
	file->ms = source->ms_end;
}

/*
 * After a power loss: whether a generation's journals count at all. They follow on the end of those before, which
 * was synced if COMMITS has the cut, or on a snapshot at the cut.
 */
static bool has_beginning(const struct recovery *recovery, uint32_t item)
{
	const struct manifest_item *items = recovery->manifest->items;
	if (items[item].cut <= recovery->committed.epoch)
		return true;
	for (uint32_t i = 0; i < item; i++)
		if (items[i].kind != MANIFEST_STRETCH && items[i].cut == items[item].cut)
			return true;
	return false;
}

/* The sources from their beginning, each up to where a record was found wrong. */
static void begin_sources(struct merging *merging, uint32_t count, uint64_t until)
{
	merging->wrong = false;
	for (uint32_t i = 0; i < count; i++) {
		const struct io_map *map = &merging->maps[i];
		size_t limit = merging->limits[i];
		merging->epochs[i] = EPOCH_NONE;
		merging->sources[i] = (struct merge_source){
			.worker = i,
			.bytes = map->bytes,
			.len = map->len < limit ? map->len : limit,
			.until = until == EPOCH_NO_LIMIT ? EPOCH_NONE : until,
		};
	}
}

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

/* Its files, mapped. How many bytes they have. */
static uint64_t open_journals(struct merging *merging, uint32_t item)
{
	struct recovery *recovery = merging->recovery;
	const struct manifest_item *base = &recovery->manifest->items[last_base(recovery)];
	const struct manifest_item *stretch = &recovery->manifest->items[item];
	uint64_t bytes = 0;
	merging->item = item;
	merging->snapshot_has = base->kind != MANIFEST_STRETCH && base->cut == stretch->cut;
	merging->counted = 0;
	for (uint32_t i = 0; i < stretch->files; i++) {
		open_file(recovery, item, i, &merging->maps[i]);
		merging->limits[i] = SIZE_MAX;
		bytes += merging->maps[i].len;
	}
	return bytes;
}

/* What could not be done again, and where it stands. */
static bool fail_effect(const struct merging *merging, const struct recovery_file *files)
{
	struct recovery *recovery = merging->recovery;
	const char *at = replay_error_at(merging->replay);
	for (uint32_t i = 0; at && i < recovery->manifest->items[merging->item].files; i++) {
		const struct io_map *map = &merging->maps[i];
		if (at < map->bytes || at >= map->bytes + map->len)
			continue;
		recovery->bad =
			(struct recovery_bad){true, merging->item, i, (uint64_t)(at - map->bytes)};
		return fail(recovery, "%s at byte %" PRIu64 ": this can't be done again: %s",
			    files[i].name, recovery->bad.at, replay_error(merging->replay));
	}
	return fail(recovery, "A record of the journals could not be done again: %s",
		    replay_error(merging->replay));
}

/* Goes through a stretch. False: an effect could not be done, or a journal is bad; each is settled. */
static bool merge_stretch(struct merging *merging, uint32_t item)
{
	struct recovery *recovery = merging->recovery;
	const struct manifest_item *stretch = &recovery->manifest->items[item];
	bool limited = stretch->open && recovery->power_loss, good = true;
	uint32_t first = recovery->file_count;
	uint64_t bytes = open_journals(merging, item), until = recovery->until;
	if (limited && !has_beginning(recovery, item) && until > stretch->cut)
		until = stretch->cut;
	do {
		begin_sources(merging, stretch->files, until);
		merge(merging->sources, stretch->files,
		      limited ? recovery->committed.epoch : EPOCH_NO_LIMIT, take, merging);
	} while (merging->wrong);
	if (merging->replay && !replay_drain(merging->replay))
		good = fail_effect(merging, &recovery->files[first]);
	if (merging->counted < bytes)
		done(recovery, bytes - merging->counted);
	for (uint32_t i = 0; i < stretch->files; i++) {
		struct recovery_file *file = &recovery->files[first + i];
		settle(merging, i, file);
		see_epoch(recovery, merging->sources[i].epoch_last);
		io_unmap(&merging->maps[i]);
		if (good && file_bad(file))
			good = fail_file(recovery, file);
	}
	return good;
}

static struct merging *merging_new(struct recovery *recovery)
{
	struct merging *merging = mem_zalloc(sizeof(*merging));
	merging->recovery = recovery;
	return merging;
}

static void merging_free(struct merging *merging)
{
	verifier_free(merging->verifier);
	mem_free(merging, sizeof(*merging));
}

/* --- snapshots --- */

/* A part being looked at. */
struct part {
	uint64_t keys;
	uint64_t number, parts, cut; /* what it says of itself; UINT64_MAX: nothing */
};

static bool see_key(void *arg, const struct rdb_key *key)
{
	struct part *part = arg;
	part->keys++;
	return true;
}

static void see_aux(void *arg, struct slice name, struct slice value)
{
	struct part *part = arg;
	const struct {
		struct slice name;
		uint64_t *to;
	} fields[] = {
		{SLICE("sherd-shard"), &part->number},
		{SLICE("sherd-shards"), &part->parts},
		{SLICE("sherd-epoch"), &part->cut},
	};
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (slice_equal(name, fields[i].name) &&
		    !number_parse_unsigned(value, fields[i].to))
			*fields[i].to = UINT64_MAX;
}

static const struct rdb_file_events part_events = {.key = see_key, .aux = see_aux};

static void damaged(struct recovery_file *file, uint64_t offset, const char *why)
{
	file->state = FILE_DAMAGED;
	file->good = offset;
	file->why = why;
}

static void look_part(struct recovery *recovery, uint32_t item, uint32_t number)
{
	const struct manifest_item *snapshot = &recovery->manifest->items[item];
	struct io_map map;
	struct rdb_file_result result;
	struct part part = {.number = UINT64_MAX, .parts = UINT64_MAX, .cut = UINT64_MAX};
	struct recovery_file *file = open_file(recovery, item, number, &map);
	if (file->state == FILE_UNREADABLE)
		return;
	bool whole =
		rdb_file_read((struct slice){map.bytes, map.len}, &part_events, &part, &result);
	file->count = part.keys;
	file->good = result.offset;
	if (!whole)
		damaged(file, result.offset, result.error);
	else if (result.offset < map.len)
		damaged(file, result.offset, "there is something behind its end");
	else if (part.number != number || part.parts != snapshot->files ||
		 part.cut != snapshot->cut)
		damaged(file, 0, "it says that it is another file");
	done(recovery, map.len);
	io_unmap(&map);
}

/* What an increment's parts replace goes first. */
static bool clear_changed(struct recovery *recovery, struct keyspace *ks,
			  const struct load_file *files, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const char *why;
		uint64_t offset;
		if (!increment_clear(ks, files[i].bytes, &why, &offset))
			return fail(recovery, "%s at byte %" PRIu64 ": %s", files[i].name, offset,
				    why);
	}
	return true;
}

/* A snapshot, or an increment to what has been loaded before. */
static bool load_snapshot(struct recovery *recovery, uint32_t item, struct keyspace *ks,
			  uint32_t threads, int64_t now)
{
	const struct manifest_item *snapshot = &recovery->manifest->items[item];
	struct load_file *files = mem_zalloc(snapshot->files * sizeof(*files));
	struct io_map *maps = mem_zalloc(snapshot->files * sizeof(*maps));
	struct load load = {.ks = ks,
			    .threads = threads,
			    .now = now,
			    .done = &recovery->bytes_done};
	bool good = true;
	uint32_t first = recovery->file_count;
	for (uint32_t i = 0; i < snapshot->files && good; i++) {
		const struct recovery_file *file = open_file(recovery, item, i, &maps[i]);
		files[i].bytes = (struct slice){maps[i].bytes, maps[i].len};
		good = !file_bad(file) || fail_file(recovery, file);
	}
	for (uint32_t i = 0; i < snapshot->files && good; i++)
		files[i].name = recovery->files[first + i].name;
	if (good && snapshot->kind == MANIFEST_INCREMENT)
		good = clear_changed(recovery, ks, files, snapshot->files);
	if (good && !load_files(&load, files, snapshot->files))
		good = fail(recovery, "%s", load.error);
	for (uint32_t i = 0; i < snapshot->files; i++)
		io_unmap(&maps[i]);
	mem_free(files, snapshot->files * sizeof(*files));
	mem_free(maps, snapshot->files * sizeof(*maps));
	return good;
}

/* --- all of it --- */

bool recovery_load(struct recovery *recovery, struct keyspace *ks, uint32_t threads, int64_t now)
{
	const struct manifest *manifest = recovery->manifest;
	struct merging *merging = merging_new(recovery);
	bool good = true;
	forget_files(recovery);
	count_bytes(recovery, recovery->first);
	uint32_t base = last_base(recovery);
	for (uint32_t i = recovery->first; i < manifest->count && good; i++) {
		const struct manifest_item *item = &manifest->items[i];
		if (item->kind == MANIFEST_STRETCH) {
			if (i < base)
				continue; /* the increment has it */
			if (!merging->replay)
				merging->replay = replay_begin(ks, threads, now);
			good = merge_stretch(merging, i);
		} else if (i == recovery->first ||
			   (item->kind == MANIFEST_INCREMENT && i <= base)) {
			good = load_snapshot(recovery, i, ks, threads, now);
		}
	}
	if (merging->replay)
		replay_end(merging->replay);
	merging_free(merging);
	return good;
}

void recovery_look(struct recovery *recovery)
{
	const struct manifest *manifest = recovery->manifest;
	struct merging *merging = merging_new(recovery);
	merging->verifier = verifier_new();
	forget_files(recovery);
	count_bytes(recovery, 0);
	for (uint32_t i = 0; i < manifest->count; i++) {
		if (manifest->items[i].kind == MANIFEST_STRETCH)
			merge_stretch(merging, i);
		else
			for (uint32_t j = 0; j < manifest->items[i].files; j++)
				look_part(recovery, i, j);
	}
	merging_free(merging);
	recovery->error[0] = '\0';
}

/* --- going back --- */

static int times_order(const void *x, const void *y)
{
	const struct epoch_time *a = x, *b = y;
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	return (a->ms > b->ms) - (a->ms < b->ms);
}

const char *recovery_time_text(int64_t ms, char text[RECOVERY_TIME_MAX])
{
	struct tm tm;
	time_t seconds = (time_t)(ms / 1000);
	gmtime_r(&seconds, &tm);
	size_t len = strftime(text, RECOVERY_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + len, RECOVERY_TIME_MAX - len, ".%03dZ", (int)(ms % 1000));
	return text;
}

/* The last epoch that began by then, and the one after it. */
static struct recovery_point times_find(struct times *times, int64_t ms)
{
	struct recovery_point point = {0};
	qsort(times->list, times->count, sizeof(*times->list), times_order);
	for (size_t i = 0; i < times->count; i++) {
		const struct epoch_time *time = &times->list[i];
		if (i > 0 && time->epoch == times->list[i - 1].epoch)
			continue; /* it began earlier in another journal */
		if (time->ms <= ms)
			point = (struct recovery_point){.epoch = time->epoch, .ms = time->ms};
		else if (point.next <= point.epoch)
			point = (struct recovery_point){point.epoch, point.ms, time->epoch,
							time->ms};
	}
	return point;
}

/* All that the manifest has. */
static void times_collect(struct times *times, struct recovery *recovery)
{
	const struct manifest *manifest = recovery->manifest;
	struct merging *merging = merging_new(recovery);
	merging->times = times;
	forget_files(recovery);
	count_bytes(recovery, 0);
	for (uint32_t i = 0; i < manifest->count; i++) {
		const struct manifest_item *item = &manifest->items[i];
		if (item->kind == MANIFEST_STRETCH)
			merge_stretch(merging, i);
		else
			times_add(times, item->cut, item->ms);
	}
	merging_free(merging);
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
	times_collect(&times, recovery);
	recovery->error[0] = '\0';
	*point = times_find(&times, ms);
	int64_t earliest = times.count > 0 ? times.list[0].ms : INT64_MAX;
	mem_free_unsized(times.list);
	if (earliest == INT64_MAX)
		return fail(recovery, "There are no data");
	uint32_t first = base_of(manifest, point->epoch);
	bool begins = manifest->items[first].kind == MANIFEST_STRETCH ||
		      manifest->items[first].cut <= point->epoch;
	if (point->epoch == EPOCH_NONE || !begins)
		return fail(recovery, "The data go back to %s only",
			    recovery_time_text(earliest, (char[RECOVERY_TIME_MAX]){0}));
	recovery->first = first;
	recovery->until = point->epoch;
	return true;
}
