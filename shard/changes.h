/*
 * Changes: which keys were written since the last snapshot, slot by slot, for incremental ones.
 *
 * Noted are hashes of keys, not names: a deleted key has none any more, and all that an increment
 * needs to know of it is what to take away when it is applied. Keys that share a hash go together.
 * A slot in which many keys were written is noted as a whole: so the log never takes more than some
 * bytes a key, and less than the data that it saves from being written.
 *
 * Nothing is noted, and nothing costs, until somebody asks for an increment for the first time
 * (server/ snapshotter.h): `since` is EPOCH_NONE till then.
 *
 * Cuts (freeze.h). A log belongs to the cut after which its keys were written. A unit after a cut
 * that finds a log of before it begins a new one; the old one goes to the snapshot that is being
 * taken, if that has not passed the slot, else it is of no use any more. So the snapshotter finds
 * the log of a slot as it was at the cut in the same way as a table's root: what was put by for it,
 * or else what stands there, and looked for what was put by once more.
 *
 * Who may touch what: logs[slot] and its log belong to the slot's holder; the snapshotter reads the
 * log that stands there at its cut, which no unit after the cut changes. put_by[slot] is stored by
 * the holder (release), before logs[slot] is replaced (release), and read and freed by the
 * snapshotter.
 */
#ifndef SHARD_CHANGES_H
#define SHARD_CHANGES_H

#include "proto/crc16.h"
#include "shard/journal.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keyspace;
struct shard;
struct slot;

/* More keys of a slot than this, or than a share of those that are in it, are noted as "all". */
#define CHANGES_KEYS_MAX 4096
#define CHANGES_KEYS_FEW 16
#define CHANGES_SHARE    4

/* What was written in a slot. */
struct changes {
	uint64_t cut; /* since this one */
	bool all;     /* everything may have been */
	uint32_t count;
	uint32_t cap;    /* a power of two; 0 with `all` */
	uint64_t keys[]; /* an open hash table; 0: free. See changes_key() */
};

/* One for the keyspace. */
struct change_log {
	_Atomic uint64_t since_before; /* what `since` was before it: stored before it */
	_Atomic uint64_t
		since; /* a cut; EPOCH_NONE: nothing is noted. Stored with the cut, before epochs.now */
	_Atomic(struct changes *) *
		logs; /* by slot; NULL: nothing. Made when noting begins, never freed before the end */
	_Atomic(struct changes *)
		*put_by; /* by slot; NULL: nothing was put by; CHANGES_NONE: a slot without a log */
	_Atomic uint64_t memory; /* of all logs */
};
#define CHANGES_NONE ((struct changes *)1)

/*
 * A key as it is noted: its hash with the database in bits that neither say the place in a
 * directory nor the home bucket (shard/table.h).
 */
#define CHANGES_DB_SHIFT 16
#define CHANGES_DB_MASK  ((uint64_t)0x3ff << CHANGES_DB_SHIFT)
static inline uint64_t changes_key(uint64_t hash, uint32_t db)
{
	return (hash & ~CHANGES_DB_MASK) | (uint64_t)db << CHANGES_DB_SHIFT;
}
static inline uint32_t changes_db(uint64_t key)
{
	return (uint32_t)((key & CHANGES_DB_MASK) >> CHANGES_DB_SHIFT);
}

/* Whether anything is to be noted: looked at once a store. (Who sees that sees the arrays, too.) */
static inline bool changes_noted(const struct change_log *log)
{
	return atomic_load_explicit(&log->since, memory_order_acquire) != EPOCH_NONE;
}

/* --- the executing worker, within a unit of work: before a key is stored, removed or opened --- */

void changes_note(struct shard *shard, struct slot *slot, uint32_t db, uint64_t hash);
/* All of the slot, in all databases. */
void changes_note_all(struct shard *shard, struct slot *slot);

/* --- the snapshotter --- */

/*
 * What is written after this cut is noted: before the cut is published (freeze_begin). With every
 * snapshot once increments are wanted; EPOCH_NONE: no longer, and logs of before are of no use.
 */
void changes_since(struct keyspace *ks, uint64_t cut);
/*
 * What was written in the slot after the cut `base`, the last that was noted from, and before
 * `cut`; NULL: nothing. Once freeze_slot_ready(), until freeze_pass().
 */
const struct changes *changes_at(struct keyspace *ks, const struct slot *slot, uint64_t base,
				 uint64_t cut);
/* Frees what was put by. After freeze_end(): no unit knows of the cut any more. */
void changes_end_snapshot(struct keyspace *ks);
/* No thread uses the keyspace any more. */
void changes_free(struct keyspace *ks);

#endif
