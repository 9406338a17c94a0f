/*
 * Handovers: entries that only a snapshot still needs are given to it at once.
 *
 * Most of what a snapshot keeps while everybody writes (freeze.h) are small entries that were
 * replaced before it came to their slot. Kept until then they would pile up: a quarter of the data,
 * when all of it is being overwritten. So they are handed over: between two slots the snapshotter
 * writes those that came, and strikes them out of the table that is frozen, so that it doesn't
 * write them again when it comes to the slot. Then they go the way of all that is retired.
 *
 * A ring for each worker. The worker pushes at `tail`; the snapshotter takes what stands before it,
 * in order, and says with `served` how far it is; the worker lets go of what was served. So what
 * stands from `served` to `tail` may be in a frozen table, and what stands before isn't in any.
 * When the ring is full the worker keeps entries as it keeps everything else (retire.h).
 *
 * Order of memory. tail: release by the worker after the item, and after the note of the root that
 * the entry is in; acquire by the snapshotter. served: release by the snapshotter after its last
 * look at an entry and after striking it out; acquire by the worker. Readers under RCU may still be
 * in the frozen table, and find the entry there although it is struck out (a walk looks at no seq,
 * and must not miss a key that is there all the time): it waits for a grace period after that.
 * Nobody else looks at a word that is struck out.
 *
 * test/model/handover.pml is a model of this.
 */
#ifndef SHARD_HANDOVER_H
#define SHARD_HANDOVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct entry;

/*
 * A power of two. Some ms of one worker's writes; while the snapshotter has no processor they wait,
 * or are kept.
 */
#define HANDOVER_ITEMS 16384

struct handed {
	struct entry *entry;
	uint64_t hash;
	uint32_t weight; /* bytes, as the worker counts them */
	uint16_t slot;
	uint16_t db; /* where it was at the cut */
};

struct handover {
	struct handed *items;    /* made by the first push, and kept */
	uint64_t head;           /* the worker's: what stands before has been let go of */
	_Atomic uint64_t tail;   /* the worker stores */
	_Atomic uint64_t served; /* the snapshotter stores */
};

/* False: it is full. The worker. */
bool handover_push(struct handover *handover, const struct handed *item);

/* The next one that has been served; NULL: none has. The worker. */
const struct handed *handover_pop(struct handover *handover);

/*
 * What was pushed and isn't served: *count items in a row (not always all there are). The
 * snapshotter, which says with handover_served() that it is done with so many.
 */
const struct handed *handover_waiting(const struct handover *handover, uint32_t *count);
void handover_served(struct handover *handover, uint32_t count);

/*
 * Everything counts as served: nobody pushes any more, nobody looks at what was pushed. The
 * snapshotter.
 */
void handover_end(struct handover *handover);

/* All of it has been popped. */
void handover_deinit(struct handover *handover);

#endif
