/*
 * Freezing (freeze.h): what a unit of work has to know, notes of roots, and the snapshotter's side.
 *
 * The happy path is freeze_unit_begin() with no snapshot: two loads from one cache line.
 */
#include "shard/freeze.h"

#include "proto/mem.h"
#include "shard/keyspace.h"
#include "shard/table.h"

#include <assert.h>

#define NOTES_BYTES (SLOT_COUNT * sizeof(_Atomic uint64_t))

/* --- units --- */

static uint32_t passed_load(const struct freeze *freeze)
{
	return atomic_load_explicit(&freeze->passed, memory_order_acquire);
}

/* What the snapshot going on, if there is one, means to the unit. */
static void unit_look(struct unit *unit, const struct freeze *freeze)
{
	uint64_t cut = atomic_load_explicit(&freeze->cut, memory_order_acquire);
	unit->cut = EPOCH_NONE;
	if (__builtin_expect(cut == EPOCH_NONE, 1) || unit->epoch <= cut)
		return;
	uint32_t passed = passed_load(freeze);
	if (unit->last < passed)
		return;
	unit->cut = cut;
	unit->whole = unit->first >= passed;
}

void freeze_unit_begin(struct shard *shard, struct slot *const *slots, uint32_t count)
{
	struct keyspace *ks = shard->ks;
	struct unit *unit = &shard->retire.unit;
	unit->epoch = atomic_load_explicit(&ks->epochs.now, memory_order_acquire);
	unit->first = slots && count > 0 ? slots[0]->index : 0;
	unit->last = slots && count > 0 ? slots[count - 1]->index : SLOT_COUNT - 1;
	unit_look(unit, &ks->freeze);
}

void freeze_unit_end(struct shard *shard)
{
	shard->retire.unit = (struct unit){0};
}

void freeze_unit_go_on(struct shard *shard, const struct unit *unit)
{
	shard->retire.unit = *unit;
	unit_look(&shard->retire.unit, &shard->ks->freeze);
}

/* (Who has got the slot from a unit after a cut sees that cut.) */
bool freeze_unit_extend(struct shard *shard, const struct slot *slot)
{
	struct keyspace *ks = shard->ks;
	struct unit *unit = &shard->retire.unit;
	if (unit->epoch <= atomic_load_explicit(&ks->epochs.cut, memory_order_acquire))
		return false;
	unit->first = slot->index < unit->first ? slot->index : unit->first;
	unit->last = slot->index > unit->last ? slot->index : unit->last;
	unit_look(unit, &ks->freeze);
	return true;
}

/* --- roots --- */

/* The notes of a database; the first to need them makes them. */
static _Atomic uint64_t *notes_make(struct freeze *freeze, uint32_t db)
{
	_Atomic uint64_t *notes = atomic_load_explicit(&freeze->roots[db], memory_order_acquire);
	if (notes)
		return notes;
	_Atomic uint64_t *fresh = mem_zalloc(NOTES_BYTES);
	if (atomic_compare_exchange_strong_explicit(&freeze->roots[db], &notes, fresh,
						    memory_order_acq_rel, memory_order_acquire))
		return fresh;
	mem_free(fresh, NOTES_BYTES);
	return notes;
}

static uint64_t root_load(const struct slot *slot, uint32_t db)
{
	const struct table *table = slot_table(slot, db);
	return table ? atomic_load_explicit(&table->root, memory_order_acquire) : 0;
}

void freeze_table_slow(struct shard *shard, struct slot *slot, uint32_t db)
{
	_Atomic uint64_t *note = &notes_make(&shard->ks->freeze, db)[slot->index];
	if (atomic_load_explicit(note, memory_order_relaxed) == 0)
		atomic_store_explicit(note, root_load(slot, db) | FREEZE_NOTED,
				      memory_order_release);
}

static uint64_t note_load(const struct freeze *freeze, const struct slot *slot, uint32_t db)
{
	_Atomic uint64_t *notes = atomic_load_explicit(&freeze->roots[db], memory_order_acquire);
	return notes ? atomic_load_explicit(&notes[slot->index], memory_order_acquire) : 0;
}

uint64_t freeze_root(const struct keyspace *ks, const struct slot *slot, uint32_t db)
{
	uint64_t root = root_load(slot, db);
	uint64_t note = note_load(&ks->freeze, slot, db);
	return note ? note & ~FREEZE_NOTED : root;
}

/* Where the snapshot sees an entry of a slot that isn't passed. */
enum { SEEN_NOWHERE = -1, SEEN_PERHAPS = -2 };

/*
 * The database that it was in at the cut, which need not be the one that it was taken out of: they
 * are exchanged. Before it was taken out of a table, or that was exchanged, the table's root was
 * noted; while the slot isn't passed, all that its notes lead to is there. Of a structure it isn't
 * told: it may be older than its entry.
 */
static int seen_in(const struct keyspace *ks, const struct slot *slot, uint64_t hash,
		   const struct entry *e)
{
	if (e->flags & ENTRY_STRUCTURE)
		return SEEN_PERHAPS;
	for (uint32_t db = 0; db < ks->databases; db++) {
		uint64_t note = note_load(&ks->freeze, slot, db);
		if (note && !table_is_later(note & ~FREEZE_NOTED, hash, e))
			return (int)db;
	}
	return SEEN_NOWHERE;
}

/* The unit has a cut. */
static void retire_seen(struct shard *shard, const struct slot *slot, uint64_t hash,
			struct entry *e)
{
	struct retire *retire = &shard->retire;
	int db = seen_in(shard->ks, slot, hash, e);
	if (db == SEEN_NOWHERE)
		retire_entry_unseen(retire, e);
	else if (db == SEEN_PERHAPS || (e->flags & ENTRY_BLOB))
		retire_entry(retire, e);
	else
		retire_entry_handed(retire, &(struct handed){.entry = e,
							     .hash = hash,
							     .slot = slot->index,
							     .db = (uint16_t)db});
}

void freeze_retire_entry(struct shard *shard, const struct slot *slot, uint64_t hash,
			 struct entry *e)
{
	struct retire *retire = &shard->retire;
	if (retire->unit.cut == EPOCH_NONE)
		retire_entry(retire, e);
	else if (slot->index < passed_load(&shard->ks->freeze))
		retire_entry_unseen(retire, e);
	else
		retire_seen(shard, slot, hash, e);
}

/* --- the snapshotter --- */

void freeze_begin(struct keyspace *ks, uint64_t epoch)
{
	struct epochs *epochs = &ks->epochs;
	assert(atomic_load(&ks->freeze.cut) == EPOCH_NONE);
	assert(atomic_load(&epochs->now) == epoch);
	atomic_store(&epochs->cut_before, atomic_load(&epochs->cut));
	atomic_store(&epochs->cut, epoch);
	atomic_store(&ks->freeze.passed, 0);
	atomic_store(&ks->freeze.cut, epoch);
	atomic_store(&epochs->now, epoch + 1);
	grace_wait(&ks->grace);
}

/*
 * A holder that stores nothing is in nobody's way. Another than was seen began after the grace
 * period, so after the cut.
 */
bool freeze_slot_ready(const struct slot *slot, uint32_t *seq_seen)
{
	uint32_t seq = slot_seq_begin(slot);
	if (!slot_seq_busy(seq) || (*seq_seen != 0 && seq != *seq_seen))
		return true;
	*seq_seen = seq;
	return false;
}

void freeze_pass(struct keyspace *ks, uint32_t slot)
{
	atomic_store_explicit(&ks->freeze.passed, slot, memory_order_release);
}

/* Items served at a time: the memory of the next ones comes meanwhile. */
#define SERVE_AHEAD 16

static uint64_t handed_root(const struct keyspace *ks, const struct handed *item)
{
	return note_load(&ks->freeze, &ks->slots[item->slot], item->db) & ~FREEZE_NOTED;
}

/* What a passed slot's note leads to may be gone. */
static void serve_fetch(const struct keyspace *ks, const struct handed *items, uint32_t count,
			uint32_t passed)
{
	for (uint32_t i = 0; i < count; i++) {
		if (items[i].slot < passed)
			continue;
		const struct table table = {handed_root(ks, &items[i])};
		table_prefetch_bucket(&table, items[i].hash);
		__builtin_prefetch(items[i].entry);
	}
}

void freeze_serve(struct keyspace *ks,
		  void (*show)(void *arg, uint32_t slot, uint32_t db, struct entry *e), void *arg)
{
	uint32_t passed = passed_load(&ks->freeze), count;
	for (uint32_t s = 0; s < ks->shard_count; s++) {
		struct handover *handover = &ks->shards[s]->retire.handover;
		const struct handed *items = handover_waiting(handover, &count);
		for (uint32_t i = 0; i < count; i++) {
			if (i % SERVE_AHEAD == 0)
				serve_fetch(ks, items + i,
					    count - i < SERVE_AHEAD ? count - i : SERVE_AHEAD,
					    passed);
			if (items[i].slot < passed)
				continue;
			table_strike(handed_root(ks, &items[i]), items[i].hash, items[i].entry);
			show(arg, items[i].slot, items[i].db, items[i].entry);
		}
		handover_served(handover, count);
	}
}

void freeze_end(struct keyspace *ks)
{
	freeze_pass(ks, SLOT_COUNT);
	atomic_store(&ks->freeze.cut, EPOCH_NONE);
	grace_wait(&ks->grace);
	for (uint32_t s = 0; s < ks->shard_count; s++)
		handover_end(&ks->shards[s]->retire.handover);
	for (uint32_t db = 0; db < ks->databases; db++) {
		_Atomic uint64_t *notes = atomic_exchange(&ks->freeze.roots[db], NULL);
		if (notes)
			mem_free(notes, NOTES_BYTES);
	}
}
