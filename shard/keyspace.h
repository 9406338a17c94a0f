/*
 * The keyspace: 16384 slots, and how readers and writers of a slot agree.
 *
 * A slot is free or has one holder. Any worker becomes the holder of a free slot by one CAS on its
 * `seq`, and only the holder writes the slot. Any thread reads it under RCU, held or not.
 *
 * seq is even while the slot is free and odd while it is held:
 *	slot_try_hold():  CAS(seq, even, even + 1, acquire); fence(release)
 *	slot_release():   store(seq, odd + 1, release), or odd - 1 when the holder has stored nothing
 * Holder after holder: the CAS reads what the last slot_release stored, so its acquire makes visible
 * whatever any earlier holder did.
 * A reader loads seq (acquire; odd: somebody may be writing, but see below), reads, then fence(acquire) and loads seq
 * again: the same value means that nothing of the slot was stored meanwhile. Why: if the reader saw a
 * store of a holder, the release fence in slot_try_hold and the reader's acquire fence order the
 * odd seq before the reader's second load, so it differs. If the first load saw an even seq,
 * the acquire pairs with slot_release: all stores before it are seen. A holder that has stored nothing
 * may take its odd seq back, for there is nothing that a reader could have seen.
 * A unit of work on several slots holds all of them before its first store and releases none before
 * its last (hold.h): whoever saw one new value under an even seq will find every other slot either odd
 * or new.
 *
 * Holding is short: one command, one EXEC. Nobody waits while holding, for a slot or for anything
 * else; who finds a slot held tries a little, then comes back later (hold.h).
 *
 * A holder that will only read, and takes long, says so: slot_quiet() adds SLOT_QUIET to the odd
 * seq. Nobody else can hold the slot then, but readers read: nothing is being stored, and the
 * release store of the quiet seq lets them see what the holder saw. When it ends, it leaves the
 * even seq that was before; who read across that change finds another seq and tries again, for
 * nothing but safely.
 *
 * struct slot is one cache line. `table`, `more`, `seq`, `expire_earliest`: written by the holder,
 * read by all. The rest: holder only. Each slot belongs to a shard, whose worker does what nobody
 * asks for (the sweep).
 */
#ifndef SHARD_KEYSPACE_H
#define SHARD_KEYSPACE_H

#include "proto/crc16.h"
#include "shard/freeze.h"
#include "shard/changes.h"
#include "shard/hash.h"
#include "shard/journal.h"
#include "shard/retire.h"
#include "shard/table.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define DATABASES_MAX 1024

/* In an odd seq: the holder stores nothing. */
#define SLOT_QUIET (1u << 31)

struct watch_index;
struct blocked_index;
struct waiter;
struct turn;

struct slot {
	struct table table;            /* database 0: the common one, at hand */
	_Atomic(struct table *) more;  /* databases 1 to databases-1; NULL until one is used; freed never */
	_Atomic uint32_t seq;
	uint16_t index;                /* 0 to SLOT_COUNT-1; constant */
	_Atomic int64_t expire_earliest; /* no entry of any database expires before this (unix ms) */
	_Atomic(struct watch_index *) watchers; /* of keys here (watch.h); NULL: nobody; holder only */
	_Atomic(struct blocked_index *) blocked; /* who waits for keys here (blocked.h); NULL: nobody; holder only */
	_Atomic uint64_t last_write;   /* the end of its last record (journal.h), 0 = none */
	uint64_t journaled;            /* generation and number of its last record; holder only */
} __attribute__((aligned(64)));

/* Counters of one shard: written by its worker only (relaxed), summed by whoever shows them. */
struct shard_stats {
	_Atomic uint64_t hits;
	_Atomic uint64_t misses;
	_Atomic uint64_t expired;
	_Atomic uint64_t expired_fields;
	_Atomic uint64_t dirty;          /* changes of keys */
	_Atomic uint64_t sweep_entries;  /* looked at by the expiry sweep */
	_Atomic uint64_t sweep_lag_ms;   /* how late the last expired entry was found */
};

/*
 * Keys are counted where they are changed, on the worker that does it: sums are right, parts may be
 * negative.
 */
struct database_count {
	_Atomic int64_t keys;
	_Atomic int64_t expires;
};

/* What an executing worker owns: what a command touches lives in the slots it holds, or here. */
struct shard {
	struct keyspace *ks;
	uint16_t id;
	uint64_t random; /* state of shard_random() */
	struct retire retire;
	struct journal journal;
	struct shard_stats stats;
	struct database_count *counts; /* one for each database */
	uint32_t sweep_slot;           /* where the sweep goes on, */
	uint32_t sweep_db;             /* ... in which of the slot's tables, */
	uint32_t sweep_prefix;         /* ... and where in that (table_sweep_from) */
	bool hurried;                  /* a hold has failed since the tick began (hold.h) */
	/* blocked.h */
	struct waiter *served_first, *served_last; /* whose reply is to be sent */
	struct slot **stalled;                     /* slots with waiters to be tried again */
	uint32_t stalled_count, stalled_room;
	_Atomic int64_t blocking_keys; /* counted where they come and go: the sum is right */
	struct turn *turn;             /* of the long work that is running (turn.h); NULL: none */
	int64_t replay_ms;             /* effects are done again: now, for times of last use (ctx->now is 0) */
	bool replays; /* ... what could be done then can be, whatever the limits are by now */
};

/* How reads leave their mark in an entry's access bits. */
enum access_policy {
	ACCESS_LRU, /* seconds since start of the clock, 24 bits, wrapping */
	ACCESS_LFU, /* 16 bits minutes of the last decay, 8 bits logarithmic counter */
};

/*
 * Up to which number and length of elements Redis would call a value small, and encode it so
 * (options of the same names). Relaxed.
 */
struct encoding_limits {
	_Atomic int64_t hash_listpack_entries;
	_Atomic int64_t hash_listpack_value;
	_Atomic int64_t set_intset_entries;
	_Atomic int64_t set_listpack_entries;
	_Atomic int64_t set_listpack_value;
	_Atomic int64_t zset_listpack_entries;
	_Atomic int64_t zset_listpack_value;
	_Atomic int64_t hll_sparse_bytes;
	_Atomic int64_t list_listpack_size; /* of a list's nodes: elements, or -1 to -5: 4 to 64 KB */
};

/*
 * The most that string_max may be: SETRANGE and SETBIT make strings of any length out of a few
 * bytes, and memory that can't be had ends the process; lengths in entries and files have 32 bits.
 */
#define STRING_BYTES_MAX ((4ll << 30) - 1)

struct keyspace {
	/* constant after start */
	uint32_t databases;
	uint32_t shard_count;
	struct hash_seed seed;
	struct shard *shards[SHARDS_MAX];
	/* any thread, atomic */
	struct grace grace;
	_Atomic uint32_t access_policy;
	_Atomic uint32_t lfu_log_factor;
	_Atomic uint32_t lfu_decay_minutes;
	_Atomic bool active_expire; /* DEBUG SET-ACTIVE-EXPIRE */
	_Atomic uint64_t string_max; /* proto-max-bulk-len; see ctx_string_max() */
	_Alignas(64) struct epochs epochs;
	struct freeze freeze;
	struct journal_span journaled;
	struct change_log changes; /* for incremental snapshots */
	struct encoding_limits limits;
	/*
	 * the shard to which each slot belongs: written when slots move between shards, read by all
	 */
	_Atomic uint8_t owners[SLOT_COUNT];
	struct slot slots[SLOT_COUNT];
};

static inline uint16_t slot_owner(const struct keyspace *ks, const struct slot *slot)
{
	return atomic_load_explicit(&ks->owners[slot - ks->slots], memory_order_relaxed);
}

/* Slots go to shards in contiguous ranges. The seed is the caller's randomness. */
struct keyspace *keyspace_new(uint32_t shard_count, uint32_t databases,
			      const struct hash_seed *seed);
/* No thread uses it any more. */
void keyspace_free(struct keyspace *ks);

/*
 * A shard of its own, for a thread beside the workers that executes commands; shard_absorb() adds
 * its counts of keys to another's while nobody uses either. Freeing frees what it has retired: no
 * reader is left.
 */
struct shard *shard_new(struct keyspace *ks, uint16_t id);
void shard_absorb(struct shard *into, struct shard *from);
void shard_free(struct shard *shard);

/* The table of a slot in a database; NULL when that database has none there yet. */
static inline struct table *slot_table(const struct slot *slot, uint32_t db)
{
	if (db == 0)
		return (struct table *)&slot->table;
	struct table *more = atomic_load_explicit(&slot->more, memory_order_acquire);
	return more ? &more[db - 1] : NULL;
}

/* The same for the holder, who gets one made. */
struct table *slot_table_make(struct keyspace *ks, struct slot *slot, uint32_t db);

/*
 * Who watches keys of the slot, NULL without. The holder; to anybody else not more than a yes or
 * no.
 */
static inline struct watch_index *slot_watchers(const struct slot *slot)
{
	return atomic_load_explicit(&slot->watchers, memory_order_relaxed);
}

/* Who waits for keys of the slot, NULL without. The same. */
static inline struct blocked_index *slot_blocked(const struct slot *slot)
{
	return atomic_load_explicit(&slot->blocked, memory_order_relaxed);
}

/* One attempt to become the slot's holder. */
static inline bool slot_try_hold(struct slot *slot)
{
	uint32_t seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);
	if (seq & 1 ||
	    !atomic_compare_exchange_strong_explicit(&slot->seq, &seq, seq + 1,
						     memory_order_acquire, memory_order_relaxed))
		return false;
	atomic_thread_fence(memory_order_release);
	return true;
}

/* By the holder, who has stored nothing and won't: others may read. */
static inline void slot_quiet(struct slot *slot)
{
	uint32_t seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);
	atomic_store_explicit(&slot->seq, seq | SLOT_QUIET, memory_order_release);
}

/* By the holder; `stored`: something that readers can see. */
static inline void slot_release(struct slot *slot, bool stored)
{
	uint32_t seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);
	seq = stored ? seq + 1 : seq - 1;
	atomic_store_explicit(&slot->seq, seq & ~SLOT_QUIET, memory_order_release);
}

/* The earliest expiry in the slot: a hint for anybody, exact for the holder. */
static inline int64_t slot_expire_earliest(const struct slot *slot)
{
	return atomic_load_explicit(&slot->expire_earliest, memory_order_relaxed);
}

static inline uint64_t slot_last_write(const struct slot *slot)
{
	return atomic_load_explicit(&slot->last_write, memory_order_acquire);
}

static inline uint32_t slot_seq_begin(const struct slot *slot)
{
	return atomic_load_explicit(&slot->seq, memory_order_acquire);
}

/* Whether somebody may be storing under that seq. */
static inline bool slot_seq_busy(uint32_t seq)
{
	return (seq & 1) && !(seq & SLOT_QUIET);
}

static inline bool slot_seq_same(const struct slot *slot, uint32_t seq)
{
	return atomic_load_explicit(&slot->seq, memory_order_relaxed) == seq;
}

static inline int64_t limit_load(const _Atomic int64_t *limit)
{
	return atomic_load_explicit(limit, memory_order_relaxed);
}

/* A counter that one thread writes and any may read. */
static inline void stat_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/*
 * Before the holder changes a slot's table in that database: the root is noted for a snapshot, if
 * one is going on that needs it.
 */
static inline void freeze_table(struct shard *shard, struct slot *slot, uint32_t db)
{
	if (__builtin_expect(shard->retire.unit.cut != EPOCH_NONE, 0))
		freeze_table_slow(shard, slot, db);
}

/*
 * The unit is about to change this key, or the slot in all databases: for incremental snapshots
 * (changes.h).
 */
static inline void changes_touch(struct shard *shard, struct slot *slot, uint32_t db, uint64_t hash)
{
	if (__builtin_expect(changes_noted(&shard->ks->changes), 0))
		changes_note(shard, slot, db, hash);
}
static inline void changes_touch_all(struct shard *shard, struct slot *slot)
{
	if (__builtin_expect(changes_noted(&shard->ks->changes), 0))
		changes_note_all(shard, slot);
}

/* Pseudo-random numbers of the shard (splitmix64); seeded at start. Its worker only. */
uint64_t shard_random(struct shard *shard);

/* Sums over all shards; any thread. */
int64_t keyspace_keys(const struct keyspace *ks, uint32_t db);
int64_t keyspace_expires(const struct keyspace *ks, uint32_t db);

#endif
