/*
 * Holding the slots of one unit of work (keyspace.h says what a holder is).
 *
 * No deadlock: slots are taken in rising order, and whoever finds one held tries it HOLD_SPINS
 * times, then gives back what it has and comes back later. So nobody ever waits while holding, not
 * even for a thread that was taken off its core in the middle of a unit of work; and of several who
 * want the same slots, the one that has the highest of those in dispute goes on
 * (test/model/hold.pml).
 *
 * The executing worker's thread, for all functions.
 */
#ifndef SHARD_HOLD_H
#define SHARD_HOLD_H

#include "shard/keyspace.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Attempts at a held slot: about 2 us, the length of some dozen short commands. A holder that takes
 * longer is in a long command, or doesn't run: looking on is of no use then.
 */
#define HOLD_SPINS 64

/*
 * How often this worker tries now: once, when it has found out in this tick that a holder takes
 * long. With many clients at one slot the first to try waits for all.
 */
static inline int hold_spins(const struct shard *shard)
{
	return shard->hurried ? 1 : HOLD_SPINS;
}

/*
 * Becomes the holder of all these slots (each once, in rising order; NULL: of every slot), or of
 * none: false, and the shard is hurried. `shard` is the executing worker's.
 */
bool slots_try_hold(struct shard *shard, struct slot *const *slots, uint32_t count);

/*
 * A unit of work takes one more slot, wherever it stands in the order: tries, and doesn't wait.
 * False when it is held, or can't be one of the unit's any more (freeze_unit_extend).
 */
bool slots_try_hold_also(struct shard *shard, struct slot *slot);

/*
 * A reader's look at several slots: notes their seqs (`seqs` has room for them); false when one is
 * held. If all are unchanged after it has read, all of it was true at one moment between the two.
 */
bool slots_note(struct shard *shard, struct slot *const *slots, uint32_t count, uint32_t *seqs);
bool slots_unchanged(struct slot *const *slots, uint32_t count, const uint32_t *seqs);

/*
 * Ends a unit of work: its effects become a record of the shard's journal, then the slots are free
 * again. `stored`: something was stored in at least one of them; `now`: unix ms, for the record.
 */
void slots_release(struct shard *shard, struct slot *const *slots, uint32_t count, bool stored,
		   int64_t now);

/*
 * A unit that can't go on now (a long run, EXEC while one of its commands waits for an answer) is
 * put by: its effects, and its place in time. Others may come between. `unit` is all 0 before, and
 * after the second.
 */
struct unit_put_by {
	struct effects effects;
	struct unit unit;
};
void unit_put_by(struct shard *shard, struct unit_put_by *unit);
void unit_take_back(struct shard *shard, struct unit_put_by *unit);

#endif
