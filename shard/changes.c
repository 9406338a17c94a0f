/*
 * Changes (changes.h).
 *
 * A log is an open hash table with linear probing, at most half full. It is replaced as a whole
 * when it grows, and when a unit after a newer cut comes.
 */
#include "shard/changes.h"

#include "proto/mem.h"
#include "shard/keyspace.h"

#include <assert.h>

#define CAP_MIN 16

static size_t changes_bytes(uint32_t cap)
{
	return sizeof(struct changes) + cap * sizeof(uint64_t);
}

static struct changes *changes_new(struct change_log *log, uint64_t cut, uint32_t cap)
{
	struct changes *changes = mem_zalloc(changes_bytes(cap));
	changes->cut = cut;
	changes->cap = cap;
	atomic_fetch_add_explicit(&log->memory, changes_bytes(cap), memory_order_relaxed);
	return changes;
}

static void changes_drop(struct change_log *log, struct changes *changes)
{
	if (!changes || changes == CHANGES_NONE)
		return;
	atomic_fetch_sub_explicit(&log->memory, changes_bytes(changes->cap), memory_order_relaxed);
	mem_free(changes, changes_bytes(changes->cap));
}

/* Where the key is, or the free place where it would be. */
static uint64_t *changes_place(struct changes *changes, uint64_t key)
{
	/*
	 * the low bits are the home bucket's, the high ones the directory's: all of them differ
	 * within a slot
	 */
	uint32_t at = (uint32_t)(key ^ key >> 32) & (changes->cap - 1);
	while (changes->keys[at] && changes->keys[at] != key)
		at = (at + 1) & (changes->cap - 1);
	return &changes->keys[at];
}

/* --- the holder --- */

/* Puts another log, or none, in the slot's place. */
static void log_store(struct change_log *log, const struct slot *slot, struct changes *changes)
{
	atomic_store_explicit(&log->logs[slot->index], changes, memory_order_release);
}

/*
 * A unit of before the newest cut, that comes to a log of before the last one: nobody needs that
 * any more, and the next increment would take it for an old one, with what the unit writes.
 */
static struct changes *drop_outdated(struct change_log *log, const struct slot *slot,
				     struct changes *changes)
{
	uint64_t before = atomic_load_explicit(&log->since_before, memory_order_relaxed);
	if (!changes || changes->cut >= before)
		return changes;
	log_store(log, slot, NULL);
	changes_drop(log, changes);
	return NULL;
}

/*
 * The log that a unit writes to; NULL without one. After a cut that it doesn't know an older one is
 * put by for the snapshot, or dropped if that has passed the slot or was another one.
 */
static struct changes *log_of_unit(struct shard *shard, struct slot *slot)
{
	struct change_log *log = &shard->ks->changes;
	const struct unit *unit = &shard->retire.unit;
	struct changes *changes =
		atomic_load_explicit(&log->logs[slot->index], memory_order_relaxed);
	uint64_t since = atomic_load_explicit(&log->since, memory_order_acquire);
	if (changes && changes->cut == since)
		return changes;
	if (unit->epoch <= since)
		return drop_outdated(log, slot, changes);
	if (unit->cut == since &&
	    !atomic_load_explicit(&log->put_by[slot->index], memory_order_relaxed)) {
		atomic_store_explicit(&log->put_by[slot->index], changes ? changes : CHANGES_NONE,
				      memory_order_release);
		changes = NULL;
	}
	log_store(log, slot, NULL);
	changes_drop(log, changes);
	return NULL;
}

/* Everything of the slot. */
static void log_all(struct change_log *log, struct slot *slot, struct changes *old, uint64_t cut)
{
	struct changes *changes = changes_new(log, cut, 0);
	changes->all = true;
	log_store(log, slot, changes);
	changes_drop(log, old);
}

/* A log with room for one more. */
static struct changes *log_grow(struct change_log *log, struct slot *slot, struct changes *old,
				uint64_t cut)
{
	if (old && old->count < old->cap / 2)
		return old;
	struct changes *changes = changes_new(log, cut, old ? old->cap * 2 : CAP_MIN);
	for (uint32_t i = 0; old && i < old->cap; i++)
		if (old->keys[i])
			*changes_place(changes, old->keys[i]) = old->keys[i];
	changes->count = old ? old->count : 0;
	log_store(log, slot, changes);
	changes_drop(log, old);
	return changes;
}

/* So many keys of this table are noted that all might be. */
static bool is_large_share(const struct changes *changes, const struct slot *slot, uint32_t db)
{
	const struct table *table = slot_table(slot, db);
	size_t keys = table ? table_count(table) : 0;
	return changes->count >= CHANGES_KEYS_MAX ||
	       (changes->count >= CHANGES_KEYS_FEW && changes->count * CHANGES_SHARE > keys);
}

/*
 * What a log says that this unit begins or goes on with: of before the newest cut, if the unit is.
 */
static uint64_t cut_of(const struct shard *shard, const struct changes *changes)
{
	uint64_t since = atomic_load_explicit(&shard->ks->changes.since, memory_order_relaxed);
	if (changes)
		return changes->cut;
	return shard->retire.unit.epoch <= since ? shard->retire.unit.epoch - 1 : since;
}

void changes_note(struct shard *shard, struct slot *slot, uint32_t db, uint64_t hash)
{
	struct change_log *log = &shard->ks->changes;
	struct changes *changes = log_of_unit(shard, slot);
	uint64_t cut = cut_of(shard, changes);
	uint64_t key = changes_key(hash, db);
	if (changes && changes->all)
		return;
	if (changes && *changes_place(changes, key) == key && key)
		return;
	if (!key || (changes && is_large_share(changes, slot, db))) {
		log_all(log, slot, changes, cut);
		return;
	}
	changes = log_grow(log, slot, changes, cut);
	*changes_place(changes, key) = key;
	changes->count++;
}

void changes_note_all(struct shard *shard, struct slot *slot)
{
	struct change_log *log = &shard->ks->changes;
	struct changes *changes = log_of_unit(shard, slot);
	if (!changes || !changes->all)
		log_all(log, slot, changes, cut_of(shard, changes));
}

/* --- the snapshotter --- */

void changes_since(struct keyspace *ks, uint64_t cut)
{
	struct change_log *log = &ks->changes;
	if (cut != EPOCH_NONE && !log->logs) {
		log->logs = mem_zalloc(SLOT_COUNT * sizeof(*log->logs));
		log->put_by = mem_zalloc(SLOT_COUNT * sizeof(*log->put_by));
	}
	atomic_store_explicit(&log->since_before,
			      atomic_load_explicit(&log->since, memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(&log->since, cut, memory_order_release);
}

static struct changes *look(_Atomic(struct changes *) *logs, const struct slot *slot)
{
	return atomic_load_explicit(&logs[slot->index], memory_order_acquire);
}

const struct changes *changes_at(struct keyspace *ks, const struct slot *slot, uint64_t base,
				 uint64_t cut)
{
	struct change_log *log = &ks->changes;
	struct changes *changes = look(log->put_by, slot);
	if (!changes) {
		struct changes *there = look(log->logs, slot);
		changes = look(log->put_by, slot);
		if (!changes)
			changes = there;
	}
	if (!changes || changes == CHANGES_NONE || changes->cut < base || changes->cut >= cut)
		return NULL;
	return changes;
}

void changes_end_snapshot(struct keyspace *ks)
{
	struct change_log *log = &ks->changes;
	for (uint32_t i = 0; i < SLOT_COUNT && log->put_by; i++) {
		changes_drop(log, atomic_load_explicit(&log->put_by[i], memory_order_acquire));
		atomic_store_explicit(&log->put_by[i], NULL, memory_order_relaxed);
	}
}

void changes_free(struct keyspace *ks)
{
	struct change_log *log = &ks->changes;
	changes_end_snapshot(ks);
	for (uint32_t i = 0; i < SLOT_COUNT && log->logs; i++)
		changes_drop(log, log->logs[i]);
	mem_free(log->logs, log->logs ? SLOT_COUNT * sizeof(*log->logs) : 0);
	mem_free(log->put_by, log->put_by ? SLOT_COUNT * sizeof(*log->put_by) : 0);
}
