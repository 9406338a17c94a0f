/* Reading snapshots (recovery_snapshot.h). */
#include "persist/recovery_snapshot.h"

#include "persist/increment.h"
#include "persist/load.h"
#include "persist/rdb_file.h"
#include "persist/recovery_files.h"
#include "proto/mem.h"
#include "proto/number.h"

#include <inttypes.h>

/* --- looking --- */

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
	struct recovery_file *file = recovery_open_file(recovery, item, number, &map);
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
	recovery_done(recovery, map.len);
	io_unmap(&map);
}

void recovery_look_snapshot(struct recovery *recovery, uint32_t item)
{
	for (uint32_t i = 0; i < recovery->manifest->items[item].files; i++)
		look_part(recovery, item, i);
}

/* --- loading --- */

/* What an increment's parts replace goes first. */
static bool clear_changed(struct recovery *recovery, struct keyspace *ks,
			  const struct load_file *files, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const char *why;
		uint64_t offset;
		if (!increment_clear(ks, files[i].bytes, &why, &offset))
			return recovery_fail(recovery, "%s at byte %" PRIu64 ": %s", files[i].name,
					     offset, why);
	}
	return true;
}

bool recovery_load_snapshot(struct recovery *recovery, uint32_t item, struct keyspace *ks,
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
		const struct recovery_file *file = recovery_open_file(recovery, item, i, &maps[i]);
		files[i].bytes = (struct slice){maps[i].bytes, maps[i].len};
		good = !recovery_file_bad(file) || recovery_fail_file(recovery, file);
	}
	for (uint32_t i = 0; i < snapshot->files && good; i++)
		files[i].name = recovery->files[first + i].name;
	if (good && snapshot->kind == MANIFEST_INCREMENT)
		good = clear_changed(recovery, ks, files, snapshot->files);
	if (good && !load_files(&load, files, snapshot->files))
		good = recovery_fail(recovery, "%s", load.error);
	for (uint32_t i = 0; i < snapshot->files; i++)
		io_unmap(&maps[i]);
	mem_free(files, snapshot->files * sizeof(*files));
	mem_free(maps, snapshot->files * sizeof(*maps));
	return good;
}
