/*
 * The expiry sweep (sweep.h).
 *
 * A slice goes on at shard->sweep_slot. In a slot with something due all databases' tables are swept;
 * what table_sweep() says of each gives the slot's new earliest expiry. A slot where the slice's budget
 * ran out stays the next one.
 *
 * A slot with something due is held meanwhile.
 */
#include "shard/sweep.h"

#include "shard/watch.h"

struct sweep {
	struct shard *shard;
	int64_t now;
	size_t left; /* removals that this slice may still make */
	/* the one that is being swept */
	struct slot *slot;
	uint32_t db;
	bool stored;
};

static void count_down(_Atomic int64_t *count)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) - 1,
			      memory_order_relaxed);
}

static void remove_expired(void *arg, struct entry *e)
{
	struct sweep *sweep = arg;
	struct shard *shard = sweep->shard;
	const struct hash_seed *seed = &shard->ks->seed;
	struct slice key = entry_key(e);
	uint64_t hash = hash_bytes(seed, key.ptr, key.len);

	sweep->stored = true;
	if (slot_watchers(sweep->slot))
		watch_touch(sweep->slot, sweep->db, hash, key, true);
	table_remove(slot_table(sweep->slot, sweep->db), seed, hash, key, &shard->retire);
	sweep->left--;
	count_down(&shard->counts[sweep->db].keys);
	count_down(&shard->counts[sweep->db].expires);
	stat_add(&shard->stats.expired, 1);
	stat_add(&shard->stats.sweep_entries, 1);
	atomic_store_explicit(&shard->stats.sweep_lag_ms, (uint64_t)(sweep->now - entry_expire(e)),
			      memory_order_relaxed);
	retire_entry(&shard->retire, e);
}

/* The slot is held; releases it. */
static void sweep_slot(struct sweep *sweep, struct slot *slot)
{
	int64_t earliest = EXPIRE_NEVER;

	sweep->slot = slot;
	sweep->stored = false;
	for (sweep->db = 0; sweep->db < sweep->shard->ks->databases; sweep->db++) {
		struct table *table = slot_table(slot, sweep->db);
		if (!table)
			break; /* nor has any later database one */
		int64_t next = table_sweep(table, sweep->now, sweep->left, remove_expired, sweep);
		if (next < earliest)
			earliest = next;
	}
	atomic_store_explicit(&slot->expire_earliest, earliest, memory_order_relaxed);
	slot_release(slot, sweep->stored);
}

static bool slot_due(const struct shard *shard, const struct slot *slot, int64_t now)
{
	return slot_owner(shard->ks, slot) == shard->id && slot_expire_earliest(slot) <= now;
}

bool sweep_slice(struct shard *shard, int64_t now)
{
	struct sweep sweep = {.shard = shard, .now = now, .left = SWEEP_ENTRIES};

	if (!atomic_load_explicit(&shard->ks->active_expire, memory_order_relaxed))
		return false;
	for (uint32_t i = 0; i < SWEEP_SLOTS; i++) {
		struct slot *slot = &shard->ks->slots[shard->sweep_slot];
		if (slot_due(shard, slot, now) && slot_try_hold(slot)) {
			sweep_slot(&sweep, slot);
			if (slot_expire_earliest(slot) <= now)
				return true;
		}
		shard->sweep_slot = (shard->sweep_slot + 1) % SLOT_COUNT;
	}
	return false;
}
