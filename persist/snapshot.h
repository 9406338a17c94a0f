/*
 * Snapshots: RDB files of the whole keyspace as it was at a cut (shard/freeze.h).
 *
 * A snapshot has one or more parts. Part p holds a contiguous range of slots, all databases of
 * each: so parts can be loaded by several threads. Slots stand in rising order but for keys that
 * were written ahead of their turn (shard/handover.h). Each is a complete RDB file
 * (persist/rdb_file.h) that Redis' tools and servers read, snapshot-<cut>-<part>.rdb
 * (persist/manifest.h), and says what it is in AUX fields:
 *
 *	redis-ver, redis-bits, ctime, used-mem      as Redis' files do
 *	sherd-shard, sherd-shards                   which part of how many
 *	sherd-epoch                                 the cut
 *	sherd-slots                                 <first>-<last>
 *
 * Parts are written under names with ".tmp" behind, synced, and renamed when all are complete; then
 * the directory is synced. That they are the data is said by the manifest alone. A snapshot that
 * fails, or is cancelled, leaves no file.
 *
 * An increment is the same with the keys of some hashes only (shard/changes.h),
 * increment-<cut>-<part>.rdb. Before a slot's keys stands what they take the place of, in an AUX
 * field:
 *
 *	sherd-seed         what the hashes are made with, 32 hex digits (once, before all)
 *	sherd-changed      <slot> <hash>,<hash>,...    keys with these hashes, 16 hex digits each
 *	                   <slot> all                  all keys of the slot, in all databases
 *
 * Who applies it takes those away first (persist/increment.h): so deleted keys go, too.
 *
 * Keys that have expired and are not swept yet are written with their time, as Redis does.
 */
#ifndef PERSIST_SNAPSHOT_H
#define PERSIST_SNAPSHOT_H

#include "shard/keyspace.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The AUX fields of increments. */
#define SNAPSHOT_SEED    "sherd-seed"
#define SNAPSHOT_CHANGED "sherd-changed"
/* A hash there, with what separates it. */
#define CHANGED_HASH_CHARS 17

/* What is written of when keys were used. */
enum snapshot_uses {
	SNAPSHOT_NO_USES,
	SNAPSHOT_IDLE,      /* seconds since: where eviction goes by that */
	SNAPSHOT_FREQUENCY, /* LFU counters: the same */
};

struct snapshot {
	/* the caller's */
	struct keyspace *ks; /* frozen at the cut */
	int dir;
	uint64_t cut;
	uint64_t
		base; /* an increment: only what was written since this cut; EPOCH_NONE: everything */
	int64_t ms;   /* unix, of the cut */
	uint32_t parts; /* 1 to SLOT_COUNT */
	uint64_t used_memory;
	const _Atomic int64_t *clock; /* unix ms, goes on: what times of last use go by */
	enum snapshot_uses uses;
	bool compress, checksum;
	bool sync_often; /* have the system write what is there all along, not all of it at the end */
	/* any thread: */
	_Atomic bool cancelled; /* stores: it is to end soon, with -ECANCELED */
	_Atomic uint64_t keys;  /* loads: written so far */
	_Atomic uint64_t bytes;
};

/*
 * Writes the snapshot, passing the slots (freeze_pass) as it goes, and syncs it. 0 or a negative
 * errno. A thread that is no reader under RCU; it waits for slots whose holders have them since
 * before the cut.
 */
int snapshot_write(struct snapshot *snapshot);

/* Removes the files of a complete one. */
void snapshot_remove(const struct snapshot *snapshot);

#endif
