/*
 * Freezing: how a snapshot gets the keyspace as it was at one moment while everybody goes on
 * writing.
 *
 * The cut. A snapshot has a number S, an epoch. freeze_begin() publishes `cut` = S, then epochs.now
 * = S + 1. Each unit of work loads epochs.now once, when it holds its slots (freeze_unit_begin): it
 * is before the cut if that is <= S, else after it. Along the units on one slot that number never
 * falls: who gets a slot after another has released it sees at least what the other saw. So each
 * slot has a last unit before the cut, a unit on several slots is on one side with all of them, and
 * who has seen a unit after the cut is after it, too: what the snapshot shows, slot by slot, is one
 * state that existed.
 *
 * What is frozen. Nodes that writes change in place (blocks and directories of tables, chunks and
 * nodes of lists, leaves of ropes) say in `born` in which epoch they were made. A unit after the
 * cut doesn't change a node with born <= S: it makes a copy (born = its epoch), puts that in the
 * node's place and retires the old one. To put it there changes the node above, for which the same
 * holds, up to the root. So at most one copy of each node on the way is made for a snapshot, each
 * some KB. With no snapshot going on, or when it has passed the unit's slots, nodes are changed in
 * place whatever their age.
 *
 * Roots. Before its first change of a root after the cut a unit notes what it was:
 *  - a slot's table in a database: in roots[db][slot], by freeze_table();
 *  - a structure that hangs off an entry (dict, list, rope): in the structure itself (`at_cut`,
 *    with the number of the cut), stored before anything of it is changed.
 * So the snapshotter takes what was noted, or else what stands there: it loads the root, then the
 * note (acquire); where there is none, the root it has loaded is the one of the cut, and whoever
 * changes it from then on leaves its nodes alone.
 *
 * What is kept. What a unit after the cut retires may be what the snapshot still has to read. So it
 * isn't given to the grace periods but kept until the snapshotter has passed the last of the unit's
 * slots (retire.h). `passed` only rises: all slots before it are in the snapshot. Slots are taken
 * in rising order. What was made after the cut the snapshot can't reach; where that is easily told
 * it isn't kept. Small entries, most of what is overwritten, aren't kept so long either: they are
 * handed over, and written ahead of their slot's turn (handover.h).
 *
 * A structure must not get from one slot to another that is passed earlier, or it would be changed
 * in place under the snapshotter's eyes: RENAME to another slot copies structures while a snapshot
 * goes on.
 *
 * The snapshotter: publishes the cut, waits for a grace period: all units of ticks that may have
 * loaded an older epoch have ended, but for those that hold their slots beyond a tick (long runs,
 * EXEC that waits for an answer). Before it reads a slot it waits until nobody has it who may have
 * had it since before the cut: freeze_slot_ready(). Then it reads without holding anything,
 * whatever happens to the slot.
 *
 * Order of memory. cut is stored before epochs.now (release); a unit loads now (acquire), then cut:
 * who loads S + 1 sees the cut S. The notes are stored (release) before what they are about is
 * changed (release), so who sees the change sees the note. passed: release by the snapshotter after
 * its last look at a slot, acquire by who frees what was kept.
 *
 * Journals. Segments change at the same cut. A unit before the cut whose record is made after the
 * new segment began says so in the record (#PRE, journal.h): whoever starts from the snapshot
 * leaves it out, for the snapshot has it.
 *
 * test/model/freeze.pml is a model of this: cut, copies, notes, keeping and passing; handover.pml
 * is one of what is handed over.
 */
#ifndef SHARD_FREEZE_H
#define SHARD_FREEZE_H

#include "proto/crc16.h"
#include "shard/journal.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct entry;
struct keyspace;
struct retire;
struct shard;
struct slot;

/*
 * In a note of a root, so that it isn't 0 (no note: the root was not changed since the cut), even
 * when the table was empty. Roots are even.
 */
#define FREEZE_NOTED 1ull

/* What is retired is kept by ranges of so many slots: the snapshot gives memory back bit by bit. */
#define FREEZE_RANGE_SLOTS 256
#define FREEZE_RANGES      (SLOT_COUNT / FREEZE_RANGE_SLOTS)

/*
 * One for the keyspace, in one cache line with epochs.now. The snapshotter writes cut and passed,
 * anybody reads.
 */
struct freeze {
	_Atomic uint64_t cut;    /* of the snapshot going on; EPOCH_NONE: none is */
	_Atomic uint32_t passed; /* slots before this one are done with */
	/*
	 * notes of each database, by slot; NULL: none. Slots' holders make and write them, the
	 * snapshotter frees
	 */
	_Atomic(_Atomic uint64_t *) *roots;
};

/*
 * What a unit of work has to know: part of its shard's `retire`; put by when the unit is (long
 * runs, EXEC).
 */
struct unit {
	uint64_t epoch; /* when it held its slots: what it makes is born then */
	uint64_t cut;   /* nodes born up to here are frozen for it; EPOCH_NONE: none are */
	uint16_t first,
		last; /* of its slots; what it retires is kept until the range of the last is passed */
	bool whole; /* with a cut: none of the slots was passed when it began, so what roots were is all there */
};

/* Whether the unit must leave a node alone that was born then: copy it, and change the copy. */
static inline bool unit_frozen(const struct unit *unit, uint64_t born)
{
	return __builtin_expect(unit->cut != EPOCH_NONE, 0) && born <= unit->cut;
}

/* --- units: the executing worker --- */

/*
 * Begins a unit that holds these slots (rising; NULL: all): shard->retire.unit. By slots_try_hold()
 * and whoever else holds. Ends with its slots' release: freeze_unit_end(), so that what is retired
 * without a unit isn't kept. Who lets other units run before the end (long runs, EXEC that waits)
 * puts the struct by meanwhile, and lets it go on then: when its snapshot is over, nothing is
 * frozen for it any more (a newer one waits for it).
 */
void freeze_unit_begin(struct shard *shard, struct slot *const *slots, uint32_t count);
void freeze_unit_end(struct shard *shard);
void freeze_unit_go_on(struct shard *shard, const struct unit *unit);

/*
 * The unit has taken one more slot. False: a cut has come since the unit began, so the slot may be
 * on its other side; it must be released again, nothing stored.
 */
bool freeze_unit_extend(struct shard *shard, const struct slot *slot);

/*
 * Before a unit with a cut changes a slot's table in that database: freeze_table() in keyspace.h.
 * (The unit's cut is the snapshot's that is going on, or that ends and waits for the unit before it
 * frees the notes.)
 */
void freeze_table_slow(struct shard *shard, struct slot *slot, uint32_t db);

/*
 * Retires an entry that a unit has taken out of a slot's table: keeps it, or hands it over to the
 * snapshotter (handover.h), if the snapshot sees it there. What came after the cut, a hot key that
 * is written again and again, isn't kept.
 */
void freeze_retire_entry(struct shard *shard, const struct slot *slot, uint64_t hash,
			 struct entry *e);

/* --- the snapshotter --- */

/*
 * Publishes a cut at `epoch`, which is epochs.now (nobody else advances it meanwhile): a generation
 * of the journals begins, now becomes epoch + 1. Waits for a grace period. No other freeze is going
 * on.
 */
void freeze_begin(struct keyspace *ks, uint64_t epoch);
/*
 * Nobody changes any longer what of the slot was before the cut. To be asked again until it is so,
 * with the same *seq_seen, 0 at first.
 */
bool freeze_slot_ready(const struct slot *slot, uint32_t *seq_seen);
/* The root of the slot's table in that database at the cut; 0: it was empty. */
uint64_t freeze_root(const struct keyspace *ks, const struct slot *slot, uint32_t db);
/*
 * Shows the entries that were handed over (handover.h) and were at the cut in a slot that isn't
 * passed, with that slot and their database; they are struck out of its table then. Between two
 * slots. Who doesn't call it: what is handed over is kept to the end.
 */
void freeze_serve(struct keyspace *ks,
		  void (*show)(void *arg, uint32_t slot, uint32_t db, struct entry *e), void *arg);
/* All slots before this one are done with. */
void freeze_pass(struct keyspace *ks, uint32_t slot);
/*
 * It is over, complete or not: everything is passed, the notes are freed. Waits for a grace period.
 */
void freeze_end(struct keyspace *ks);

#endif
