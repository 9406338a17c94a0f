/*
 * The keyspace: 16384 slots, and how readers and writers of a slot agree.
 *
 * A slot has exactly one holder at any moment: the worker of the shard that owns it, or the transaction
 * to which that worker has lent it. Only the holder writes the slot. Any thread reads it under RCU.
 *
 * seq. The holder makes it odd before the first store of a unit of work and even after the last:
 *	slot_open():   store(seq, seq + 1, relaxed); fence(release)
 *	slot_close():  store(seq, seq + 1, release)
 * A reader loads seq (acquire; odd: somebody is writing), reads, then fence(acquire) and loads seq
 * again: the same value means that nothing of the slot was stored meanwhile. Why: if the reader saw a
 * store of a unit of work, the release fence in slot_open and the reader's acquire fence order that
 * unit's odd seq before the reader's second load, so it differs. If the first load saw an even seq,
 * the acquire pairs with slot_close's release: all stores of that unit are seen.
 * A unit of work on several slots opens all of them before its first store and closes none before its
 * last: whoever saw one new value under an even seq will find every other slot either odd or new.
 *
 * struct slot is one cache line. `table`, `more` and `seq`: written by the holder, read by all.
 * The rest: holder only. Which shard owns a slot stands in a table of its own (slot_owner): each request
 * asks for it, and must not wait for a line that another core is writing.
 */
#ifndef SHARD_KEYSPACE_H
#define SHARD_KEYSPACE_H

#include "proto/crc16.h"
#include "shard/hash.h"
#include "shard/retire.h"
#include "shard/table.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* More shards than this nobody runs; a shard's number fits a byte. */
#define SHARDS_MAX 256
#define DATABASES_MAX 1024

struct slot {
	struct table table;            /* database 0: the common one, at hand */
	_Atomic(struct table *) more;  /* databases 1 to databases-1; NULL until one is used; freed never */
	_Atomic uint32_t seq;
	uint16_t index;                /* 0 to SLOT_COUNT-1; constant */
	int64_t expire_earliest;       /* no entry of any database expires before this (unix ms) */
	void *queue;                   /* server/loan.c: lent, or operations wait; owner's worker only */
	void *watchers;                /* for optimistic transactions; owner's worker only */
	uint64_t spare[2];
} __attribute__((aligned(64)));

/* Counters of one shard: written by its worker only (relaxed), summed by whoever shows them. */
struct shard_stats {
	_Atomic uint64_t hits;
	_Atomic uint64_t misses;
	_Atomic uint64_t expired;
	_Atomic uint64_t dirty;          /* changes of keys */
	_Atomic uint64_t sweep_entries;  /* looked at by the expiry sweep */
	_Atomic uint64_t sweep_lag_ms;   /* how late the last expired entry was found */
};

/* Keys are counted where they are changed, on the worker that does it: sums are right, parts may be negative. */
struct database_count {
	_Atomic int64_t keys;
	_Atomic int64_t expires;
};

/* What an executing worker owns. The same code runs on a slot's owner and on one that borrowed it. */
struct shard {
	struct keyspace *ks;
	uint16_t id;
	uint64_t random; /* state of shard_random() */
	struct retire retire;
	struct shard_stats stats;
	struct database_count *counts; /* one for each database */
	uint32_t sweep_slot;           /* where the sweep goes on */
};

/* How reads leave their mark in an entry's access bits. */
enum access_policy {
	ACCESS_LRU, /* seconds since start of the clock, 24 bits, wrapping */
	ACCESS_LFU, /* 16 bits minutes of the last decay, 8 bits logarithmic counter */
};

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
	_Atomic uint64_t string_max; /* proto-max-bulk-len */
	/* the shard that owns each slot: written when slots move between shards, read by all */
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

static inline void slot_open(struct slot *slot)
{
	uint32_t seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);
	atomic_store_explicit(&slot->seq, seq + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

static inline void slot_close(struct slot *slot)
{
	uint32_t seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);
	atomic_store_explicit(&slot->seq, seq + 1, memory_order_release);
}

static inline uint32_t slot_seq_begin(const struct slot *slot)
{
	return atomic_load_explicit(&slot->seq, memory_order_acquire);
}

static inline bool slot_seq_same(const struct slot *slot, uint32_t seq)
{
	return atomic_load_explicit(&slot->seq, memory_order_relaxed) == seq;
}

/* A counter that one thread writes and any may read. */
static inline void stat_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* Pseudo-random numbers of the shard (splitmix64); seeded at start. Its worker only. */
uint64_t shard_random(struct shard *shard);

/* Sums over all shards; any thread. */
int64_t keyspace_keys(const struct keyspace *ks, uint32_t db);
int64_t keyspace_expires(const struct keyspace *ks, uint32_t db);

#endif
