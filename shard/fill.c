/* Filling an empty keyspace (fill.h). */
#include "shard/fill.h"

#include "shard/hold.h"

#include <sched.h>

void fill_prefetch_slot(const struct fill *fill)
{
	__builtin_prefetch(fill->slot, 1);
}

void fill_prefetch_table(const struct fill *fill)
{
	const struct table *table = slot_table(fill->slot, fill->db);
	if (table)
		table_prefetch_bucket(table, fill->hash);
}

/* Others hold a slot for one entry only, unless they lose their core meanwhile. */
static void hold(struct slot *slot)
{
	for (int tries = 1; !slot_try_hold(slot); tries++)
		if (tries % HOLD_SPINS == 0)
			sched_yield();
}

/* Only the shard's thread writes its counts. */
static void count(struct shard *shard, uint32_t db, const struct entry *e)
{
	struct database_count *counts = &shard->counts[db];
	int64_t keys = atomic_load_explicit(&counts->keys, memory_order_relaxed);
	int64_t expires = atomic_load_explicit(&counts->expires, memory_order_relaxed);
	atomic_store_explicit(&counts->keys, keys + 1, memory_order_relaxed);
	if (e->flags & ENTRY_EXPIRES)
		atomic_store_explicit(&counts->expires, expires + 1, memory_order_relaxed);
}

/* The slot's holder. */
static bool put(struct shard *shard, const struct fill *fill)
{
	struct keyspace *ks = shard->ks;
	struct table *table = slot_table_make(ks, fill->slot, fill->db);
	if (table_find(table, fill->hash, entry_key(fill->entry)))
		return false;
	table_reserve(table, fill->expected, &shard->retire);
	table_put(table, &ks->seed, fill->hash, fill->entry, &shard->retire);
	int64_t due = entry_due(fill->entry);
	if (due < slot_expire_earliest(fill->slot))
		atomic_store_explicit(&fill->slot->expire_earliest, due, memory_order_relaxed);
	return true;
}

bool fill_put(struct shard *shard, const struct fill *fill)
{
	hold(fill->slot);
	bool fresh = put(shard, fill);
	slot_release(fill->slot, fresh);
	if (fresh)
		count(shard, fill->db, fill->entry);
	return fresh;
}
