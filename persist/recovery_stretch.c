/* Going through a stretch (recovery_stretch.h). */
#include "persist/recovery_stretch.h"

#include "persist/recovery_files.h"
#include "persist/segment.h"
#include "proto/mem.h"

#include <inttypes.h>

/* A stretch being merged. */
struct merging {
	struct recovery *recovery;
	uint32_t item;
	struct stretch_use use;
	bool snapshot_has; /* records of before the cut are in what was loaded */
	uint64_t counted;  /* bytes, as done */
	struct merge_source sources[SHARDS_MAX];
	struct io_map maps[SHARDS_MAX];
	uint64_t epochs[SHARDS_MAX]; /* of the last record of each */
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
	if (merging->use.verifier &&
	    (is_bad(merging, record) || !verifier_likes(merging->use.verifier, record))) {
		merging->limits[record->source] = record->at;
		merging->wrong = true;
		return false;
	}
	merging->counted += record->len;
	recovery_done(merging->recovery, record->len);
	if (merging->use.times && record->epoch != *epoch)
		times_add(merging->use.times, record->epoch, record->ms);
	*epoch = record->epoch;
	if (record->before_cut && merging->snapshot_has)
		return true;
	return !merging->use.replay || replay_record(merging->use.replay, record);
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
	[MERGE_DAMAGED] = {"", "this is no record as it was written"},
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
 * After a power loss: whether a generation's journals count at all. They follow on the end of those
 * before, which was synced if COMMITS has the cut, or on a snapshot at the cut.
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

/* Its files, mapped. How many bytes they have. */
static uint64_t open_journals(struct merging *merging)
{
	struct recovery *recovery = merging->recovery;
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < recovery->manifest->items[merging->item].files; i++) {
		recovery_open_file(recovery, merging->item, i, &merging->maps[i]);
		merging->limits[i] = SIZE_MAX;
		bytes += merging->maps[i].len;
	}
	return bytes;
}

/* What could not be done again, and where it stands. */
static bool fail_effect(const struct merging *merging, const struct recovery_file *files)
{
	struct recovery *recovery = merging->recovery;
	const char *at = replay_error_at(merging->use.replay);
	for (uint32_t i = 0; at && i < recovery->manifest->items[merging->item].files; i++) {
		const struct io_map *map = &merging->maps[i];
		if (at < map->bytes || at >= map->bytes + map->len)
			continue;
		recovery->bad =
			(struct recovery_bad){true, merging->item, i, (uint64_t)(at - map->bytes)};
		return recovery_fail(recovery,
				     "%s at byte %" PRIu64 ": this can't be done again: %s",
				     files[i].name, recovery->bad.at,
				     replay_error(merging->use.replay));
	}
	return recovery_fail(recovery, "A record of the journals could not be done again: %s",
			     replay_error(merging->use.replay));
}

/* The journals, from the beginning again as often as one more record is found wrong. */
static void merge_all(struct merging *merging)
{
	const struct recovery *recovery = merging->recovery;
	const struct manifest_item *stretch = &recovery->manifest->items[merging->item];
	bool limited = stretch->open && recovery->power_loss;
	uint64_t until = recovery->until;
	if (limited && !has_beginning(recovery, merging->item) && until > stretch->cut)
		until = stretch->cut;
	do {
		begin_sources(merging, stretch->files, until);
		merge(merging->sources, stretch->files, limited ? &recovery->committed : NULL, take,
		      merging);
	} while (merging->wrong);
}

/*
 * What came of each, which are unmapped. False: one is bad (the first becomes the error), or
 * nothing was `good`.
 */
static bool settle_all(struct merging *merging, uint32_t first, bool good)
{
	struct recovery *recovery = merging->recovery;
	for (uint32_t i = 0; i < recovery->manifest->items[merging->item].files; i++) {
		struct recovery_file *file = &recovery->files[first + i];
		settle(merging, i, file);
		recovery_see_epoch(recovery, merging->sources[i].epoch_last);
		io_unmap(&merging->maps[i]);
		if (good && recovery_file_bad(file))
			good = recovery_fail_file(recovery, file);
	}
	return good;
}

/* A snapshot of the stretch's cut: it has what was written before. */
static bool has_before_cut(const struct recovery *recovery, uint32_t item, uint32_t base)
{
	const struct manifest_item *items = recovery->manifest->items;
	return items[base].kind != MANIFEST_STRETCH && items[base].cut == items[item].cut;
}

bool recovery_stretch(struct recovery *recovery, uint32_t item, uint32_t base,
		      const struct stretch_use *use)
{
	struct merging *merging = mem_zalloc(sizeof(*merging));
	uint32_t first = recovery->file_count;
	bool good = true;
	merging->recovery = recovery;
	merging->item = item;
	merging->use = *use;
	merging->snapshot_has = has_before_cut(recovery, item, base);
	uint64_t bytes = open_journals(merging);
	merge_all(merging);
	if (use->replay && !replay_drain(use->replay))
		good = fail_effect(merging, &recovery->files[first]);
	if (merging->counted < bytes)
		recovery_done(recovery, bytes - merging->counted);
	good = settle_all(merging, first, good);
	mem_free(merging, sizeof(*merging));
	return good;
}
