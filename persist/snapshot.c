/*
 * Snapshots (snapshot.h).
 *
 * The happy path: write_parts() opens a file for each part and goes through its slots; write_slot()
 * waits until the slot is frozen, walks the root that each of its tables had, and passes it.
 * Between two slots it writes what was handed over (shard/handover.h), which may be of any part:
 * all of them are open from the beginning.
 */
#include "persist/snapshot.h"

#include "persist/io.h"
#include "persist/manifest.h"
#include "persist/rdb_file.h"
#include "proto/mem.h"
#include "shard/ctx.h"
#include "shard/freeze.h"
#include "shard/hash.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

/* What files say of who wrote them: their format is that version's. */
#define REDIS_VERSION_AUX "7.2.0"
/* Entries fetched ahead: their memory comes while those before them are written. */
#define AHEAD 16
/* A small entry with its value takes two cache lines. */
#define PREFETCH_LINE 64
/*
 * With sync_often the system is told to write after so many bytes, and to let go of those that it
 * has written.
 */
#define SYNC_BYTES (4u << 20)
/*
 * A slot that is held since before the cut is looked at so often: its holder has something long to
 * do.
 */
#define SLOT_LOOK_NS 100000
/* Looks before that: most holders are done within microseconds. */
#define SLOT_LOOKS 100

/* A part that is being written. */
struct part {
	struct snapshot *snapshot;
	struct rdb_file file;
	int fd;
	uint32_t number;
	uint32_t first, end; /* its slots */
	struct ctx ctx;      /* for times of last use */
	uint32_t db;         /* selected; `databases` at first */
	uint64_t booked;     /* bytes of the file that are in `bytes` */
	uint64_t flushed;    /* ... that the system was told to write */
	uint64_t dropped;    /* ... and to let go of */
	struct entry *ahead[AHEAD];
	uint32_t ahead_count;
	bool *sized; /* databases whose size was told */
};

/* --- names --- */

static void part_name(const struct snapshot *snapshot, uint32_t part, char out[MANIFEST_FILE_MAX])
{
	struct manifest_item item = {.kind = snapshot->base ? MANIFEST_INCREMENT
							    : MANIFEST_SNAPSHOT,
				     .cut = snapshot->cut};
	manifest_file(&item, part, out);
}

static void temporary_name(const struct snapshot *snapshot, uint32_t part,
			   char out[MANIFEST_FILE_MAX + 4])
{
	part_name(snapshot, part, out);
	strcat(out, ".tmp");
}

/* --- keys --- */

/* It may be used while we look: that is later than now, and no time at all. */
static int64_t idle_seconds(const struct ctx *ctx, const struct entry *e)
{
	uint64_t idle = ctx_idle_seconds(ctx, e);
	return idle == ENTRY_ACCESS_MASK ? 0 : (int64_t)idle;
}

static void write_key(struct part *part, const struct entry *e)
{
	struct snapshot *snapshot = part->snapshot;
	int64_t idle = -1, frequency = -1;
	part->ctx.now = atomic_load_explicit(snapshot->clock, memory_order_relaxed);
	if (snapshot->uses == SNAPSHOT_IDLE)
		idle = idle_seconds(&part->ctx, e);
	else if (snapshot->uses == SNAPSHOT_FREQUENCY)
		frequency = ctx_frequency(&part->ctx, e);
	rdb_file_key(&part->file, e, idle, frequency);
	atomic_store_explicit(&snapshot->keys,
			      atomic_load_explicit(&snapshot->keys, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static void write_ahead(struct part *part)
{
	for (uint32_t i = 0; i < part->ahead_count; i++)
		write_key(part, part->ahead[i]);
	part->ahead_count = 0;
}

static void take_entry(void *arg, struct entry *e)
{
	struct part *part = arg;
	__builtin_prefetch(e);
	__builtin_prefetch((const char *)e + PREFETCH_LINE);
	part->ahead[part->ahead_count++] = e;
	if (part->ahead_count == AHEAD)
		write_ahead(part);
}

/* What follows is in that database. Its size is told once: of the whole, divided by the parts. */
static void select_database(struct part *part, uint32_t db)
{
	const struct keyspace *ks = part->snapshot->ks;
	if (part->db == db)
		return;
	part->db = db;
	rdb_file_database(&part->file, db);
	if (part->snapshot->base || part->sized[db])
		return;
	part->sized[db] = true;
	int64_t keys = keyspace_keys(ks, db), expires = keyspace_expires(ks, db);
	rdb_file_sizes(&part->file, keys > 0 ? (uint64_t)keys / part->snapshot->parts + 1 : 1,
		       expires > 0 ? (uint64_t)expires / part->snapshot->parts + 1 : 0);
}

/* --- slots --- */

/* Brings the counters, and the system, up to what has been written. */
static void book(struct part *part)
{
	struct snapshot *snapshot = part->snapshot;
	uint64_t bytes = part->file.bytes;
	atomic_fetch_add_explicit(&snapshot->bytes, bytes - part->booked, memory_order_relaxed);
	part->booked = bytes;
	if (snapshot->sync_often && bytes - part->flushed >= SYNC_BYTES) {
		io_sync_begin(part->fd, part->flushed, bytes - part->flushed);
		io_drop(part->fd, part->dropped, part->flushed - part->dropped);
		part->dropped = part->flushed;
		part->flushed = bytes;
	}
}

/* An error of the file, or a wish to end. */
static int trouble(const struct part *part)
{
	if (part->file.error)
		return part->file.error;
	return atomic_load_explicit(&part->snapshot->cancelled, memory_order_relaxed) ? -ECANCELED
										      : 0;
}

/* Until nobody changes what of the slot was before the cut. */
static int wait_slot(const struct part *part, const struct slot *slot)
{
	uint32_t seen = 0;
	for (uint32_t looks = 0; !freeze_slot_ready(slot, &seen); looks++) {
		if (looks < SLOT_LOOKS)
			sched_yield();
		else
			nanosleep(&(struct timespec){.tv_nsec = SLOT_LOOK_NS}, NULL);
		if (trouble(part))
			return trouble(part);
	}
	return 0;
}

/* One table as it was. Nothing changes it, so the walk shows each entry once. */
static int write_table(struct part *part, uint64_t root, uint32_t db)
{
	const struct table table = {root};
	int error = 0;
	if (root)
		select_database(part, db);
	for (uint64_t at = root ? 0 : TABLE_END; at != TABLE_END && !error;) {
		at = table_scan_unstruck(&table, at, take_entry, part);
		error = trouble(part);
	}
	if (!error)
		write_ahead(part);
	part->ahead_count = 0;
	return error;
}

static int write_tables(struct part *part, const struct slot *slot)
{
	struct keyspace *ks = part->snapshot->ks;
	int error = 0;
	for (uint32_t db = 0; db < ks->databases && !error; db++)
		error = write_table(part, freeze_root(ks, slot, db), db);
	return error;
}

/* --- increments --- */

/* "sherd-changed" */
static void write_changed(struct part *part, const struct slot *slot, const struct changes *changes)
{
	size_t room =
		NUMBER_TEXT_MAX + sizeof(" all") + changes->count * (size_t)CHANGED_HASH_CHARS;
	char *text = mem_alloc(room);
	size_t len = number_format_unsigned(text, slot->index);
	if (changes->all)
		len += (size_t)snprintf(text + len, room - len, " all");
	for (uint32_t i = 0, n = 0; i < changes->cap; i++)
		if (changes->keys[i])
			len += (size_t)snprintf(text + len, room - len, "%c%016" PRIx64,
						n++ ? ',' : ' ', changes->keys[i]);
	rdb_file_aux(&part->file, SNAPSHOT_CHANGED, (struct slice){text, len});
	mem_free(text, room);
}

/* An entry that may be of a hash. */
struct chosen {
	struct part *part;
	uint64_t key; /* changes_key() */
	uint32_t db;
};

static void take_chosen(void *arg, struct entry *e)
{
	const struct chosen *chosen = arg;
	struct slice name = entry_key(e);
	uint64_t hash = hash_bytes(&chosen->part->snapshot->ks->seed, name.ptr, name.len);
	if (changes_key(hash, chosen->db) != chosen->key)
		return;
	select_database(chosen->part, chosen->db);
	write_key(chosen->part, e);
}

static int write_changes(struct part *part, const struct slot *slot)
{
	struct snapshot *snapshot = part->snapshot;
	struct keyspace *ks = snapshot->ks;
	const struct changes *changes = changes_at(ks, slot, snapshot->base, snapshot->cut);
	if (!changes)
		return 0;
	write_changed(part, slot, changes);
	if (changes->all)
		return write_tables(part, slot);
	for (uint32_t i = 0; i < changes->cap && !trouble(part); i++) {
		if (!changes->keys[i])
			continue;
		struct chosen chosen = {part, changes->keys[i], changes_db(changes->keys[i])};
		const struct table table = {freeze_root(ks, slot, chosen.db)};
		table_visit_hash(&table, chosen.key, take_chosen, &chosen);
	}
	return trouble(part);
}

static int write_slot(struct part *part, const struct slot *slot)
{
	int error = wait_slot(part, slot);
	if (!error)
		error = part->snapshot->base ? write_changes(part, slot) : write_tables(part, slot);
	book(part);
	return error;
}

/* --- parts --- */

static void write_aux_int(struct part *part, const char *name, uint64_t n)
{
	char text[NUMBER_TEXT_MAX];
	snprintf(text, sizeof(text), "%" PRIu64, n);
	rdb_file_aux(&part->file, name, slice_of(text));
}

static void write_aux_seed(struct part *part)
{
	const struct hash_seed *seed = &part->snapshot->ks->seed;
	char text[33];
	snprintf(text, sizeof(text), "%016" PRIx64 "%016" PRIx64, seed->k0, seed->k1);
	rdb_file_aux(&part->file, SNAPSHOT_SEED, slice_of(text));
}

static void write_aux(struct part *part)
{
	const struct snapshot *snapshot = part->snapshot;
	char slots[NUMBER_TEXT_MAX];
	snprintf(slots, sizeof(slots), "%" PRIu32 "-%" PRIu32, part->first, part->end - 1);
	rdb_file_aux(&part->file, "redis-ver", SLICE(REDIS_VERSION_AUX));
	write_aux_int(part, "redis-bits", sizeof(void *) * 8);
	write_aux_int(part, "ctime", (uint64_t)snapshot->ms / 1000);
	write_aux_int(part, "used-mem", snapshot->used_memory);
	write_aux_int(part, "sherd-shard", part->number);
	write_aux_int(part, "sherd-shards", snapshot->parts);
	write_aux_int(part, "sherd-epoch", snapshot->cut);
	rdb_file_aux(&part->file, "sherd-slots", slice_of(slots));
	if (snapshot->base)
		write_aux_seed(part);
}

static uint32_t part_begin(const struct snapshot *snapshot, uint32_t number)
{
	return (uint32_t)((uint64_t)number * SLOT_COUNT / snapshot->parts);
}

static struct part *part_of(struct part *parts, uint32_t slot)
{
	uint32_t number = (uint32_t)((uint64_t)slot * parts->snapshot->parts / SLOT_COUNT);
	while (slot >= parts[number].end)
		number++;
	return &parts[number];
}

/* freeze_serve(): `arg` are the parts. */
static void take_handed(void *arg, uint32_t slot, uint32_t db, struct entry *e)
{
	struct part *part = part_of(arg, slot);
	select_database(part, db);
	write_key(part, e);
}

/* An increment has few keys of a slot, and doesn't look for those that were handed over. */
static void serve(struct part *parts)
{
	struct snapshot *snapshot = parts->snapshot;
	if (!snapshot->base)
		freeze_serve(snapshot->ks, take_handed, parts);
}

static int write_slots(struct part *parts, struct part *part)
{
	struct snapshot *snapshot = part->snapshot;
	int error = 0;
	for (uint32_t i = part->first; i < part->end && !error; i++) {
		error = write_slot(part, &snapshot->ks->slots[i]);
		freeze_pass(snapshot->ks, i + 1);
		serve(parts);
	}
	return error;
}

static int part_open(struct part *part)
{
	struct snapshot *snapshot = part->snapshot;
	char name[MANIFEST_FILE_MAX + 4];
	temporary_name(snapshot, part->number, name);
	int error = io_open_new(snapshot->dir, name, &part->fd);
	if (error) {
		part->fd = -1;
		return error;
	}
	rdb_file_begin(&part->file, part->fd, snapshot->compress, snapshot->checksum);
	part->file.cut = snapshot->cut;
	write_aux(part);
	return 0;
}

/* All of its slots are written. */
static int part_end(struct part *part)
{
	int error = rdb_file_end(&part->file);
	book(part);
	if (!error)
		error = io_sync(part->fd);
	if (!error)
		io_drop(part->fd, 0, 0);
	io_close(part->fd);
	part->fd = -1;
	return error;
}

static void part_drop(struct part *part)
{
	if (part->fd < 0)
		return;
	rdb_file_drop(&part->file);
	io_close(part->fd);
}

static struct part *parts_new(struct snapshot *snapshot)
{
	struct keyspace *ks = snapshot->ks;
	struct part *parts = mem_zalloc(snapshot->parts * sizeof(*parts));
	for (uint32_t i = 0; i < snapshot->parts; i++)
		parts[i] = (struct part){
			.snapshot = snapshot,
			.fd = -1,
			.number = i,
			.first = part_begin(snapshot, i),
			.end = part_begin(snapshot, i + 1),
			.ctx = {.ks = ks, .shard = ks->shards[0]},
			.db = ks->databases,
			.sized = mem_zalloc(ks->databases * sizeof(bool)),
		};
	return parts;
}

static void parts_free(struct part *parts)
{
	const struct snapshot *snapshot = parts->snapshot;
	for (uint32_t i = 0; i < snapshot->parts; i++) {
		part_drop(&parts[i]);
		mem_free(parts[i].sized, snapshot->ks->databases * sizeof(bool));
	}
	mem_free(parts, snapshot->parts * sizeof(*parts));
}

static int write_parts(struct snapshot *snapshot)
{
	struct part *parts = parts_new(snapshot);
	int error = 0;
	for (uint32_t i = 0; i < snapshot->parts && !error; i++)
		error = part_open(&parts[i]);
	for (uint32_t i = 0; i < snapshot->parts && !error; i++) {
		error = write_slots(parts, &parts[i]);
		if (!error)
			error = part_end(&parts[i]);
	}
	parts_free(parts);
	return error;
}

/* --- all --- */

static int rename_all(const struct snapshot *snapshot)
{
	int error = 0;
	for (uint32_t i = 0; i < snapshot->parts && !error; i++) {
		char from[MANIFEST_FILE_MAX + 4], to[MANIFEST_FILE_MAX];
		temporary_name(snapshot, i, from);
		part_name(snapshot, i, to);
		error = io_rename(snapshot->dir, from, to);
	}
	return error ? error : io_sync(snapshot->dir);
}

void snapshot_remove(const struct snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->parts; i++) {
		char name[MANIFEST_FILE_MAX + 4];
		temporary_name(snapshot, i, name);
		io_unlink(snapshot->dir, name);
		part_name(snapshot, i, name);
		io_unlink(snapshot->dir, name);
	}
}

int snapshot_write(struct snapshot *snapshot)
{
	atomic_store(&snapshot->keys, 0);
	atomic_store(&snapshot->bytes, 0);
	int error = write_parts(snapshot);
	if (!error)
		error = rename_all(snapshot);
	if (error)
		snapshot_remove(snapshot);
	return error;
}
