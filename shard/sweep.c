/*
 * The expiry sweep (sweep.h).
 *
 * A slice goes on at shard->sweep_slot. In a slot with something due all databases' tables are
 * swept; what table_sweep() says of each gives the slot's new earliest expiry. A slot where the
 * slice's budget ran out stays the next one, and the next slice goes on in the table where this one
 * stopped.
 *
 * A slot with something due is held meanwhile.
 */
#include "shard/sweep.h"

#include "shard/hash_value.h"
#include "shard/hold.h"
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

static void remove_key(struct sweep *sweep, struct entry *e)
{
	struct shard *shard = sweep->shard;
	const struct hash_seed *seed = &shard->ks->seed;
	struct slice key = entry_key(e);
	uint64_t hash = hash_bytes(seed, key.ptr, key.len);

	if (slot_watchers(sweep->slot))
		watch_touch(sweep->slot, sweep->db, hash, key, true);
	changes_touch(shard, sweep->slot, sweep->db, hash);
	if (shard->journal.on)
		effect_remove(&shard->journal, sweep->db, key);
	freeze_table(shard, sweep->slot, sweep->db);
	table_remove(slot_table(sweep->slot, sweep->db), seed, hash, key, &shard->retire);
	count_down(&shard->counts[sweep->db].keys);
	if (e->flags & ENTRY_EXPIRES)
		count_down(&shard->counts[sweep->db].expires);
	freeze_retire_entry(shard, sweep->slot, hash, e);
}

static void replace_entry(struct sweep *sweep, struct entry *e)
{
	struct shard *shard = sweep->shard;
	const struct hash_seed *seed = &shard->ks->seed;
	struct slice key = entry_key(e);
	uint64_t hash = hash_bytes(seed, key.ptr, key.len);

	freeze_table(shard, sweep->slot, sweep->db);
	struct entry *old =
		table_put(slot_table(sweep->slot, sweep->db), seed, hash, e, &shard->retire);
	freeze_retire_entry(shard, sweep->slot, hash, old);
}

/* Fields of a hash have expired; the last one takes the key with it. */
static void remove_fields(struct sweep *sweep, struct entry *e)
{
	struct shard *shard = sweep->shard;
	struct slice key = entry_key(e);
	struct entry *fresh;
	size_t removed = hash_expire_fields(shard, sweep->db, e, sweep->now, sweep->left, &fresh);

	sweep->left -= removed < sweep->left ? removed : sweep->left;
	stat_add(&shard->stats.expired_fields, removed);
	uint64_t hash = hash_bytes(&shard->ks->seed, key.ptr, key.len);
	if (fresh && removed > 0 && slot_watchers(sweep->slot))
		watch_touch(sweep->slot, sweep->db, hash, key, false);
	changes_touch(shard, sweep->slot, sweep->db, hash);
	if (!fresh)
		remove_key(sweep, e);
	else if (fresh != e)
		replace_entry(sweep, fresh);
}

static void remove_expired(void *arg, struct entry *e)
{
	struct sweep *sweep = arg;
	struct shard_stats *stats = &sweep->shard->stats;
	uint64_t lag = (uint64_t)(sweep->now - entry_due(e));

	if (sweep->left == 0)
		return; /* fields of others took what there was */
	sweep->stored = true;
	stat_add(&stats->sweep_entries, 1);
	atomic_store_explicit(&stats->sweep_lag_ms, lag, memory_order_relaxed);
	if (!entry_expired(e, sweep->now)) {
		remove_fields(sweep, e);
		return;
	}
	sweep->left--;
	stat_add(&stats->expired, 1);
	remove_key(sweep, e);
}

/*
 * Sweeps the databases' tables from where the last slice stopped, and notes where this one does.
 * Returns the earliest expiry that is left, as far as it was looked for.
 */
static int64_t sweep_tables(struct sweep *sweep)
{
	struct shard *shard = sweep->shard;
	int64_t earliest = EXPIRE_NEVER;
	uint32_t from = shard->sweep_prefix;
	struct table *table;

	/* without a table here no later database has one either */
	for (sweep->db = shard->sweep_db; sweep->db < shard->ks->databases; sweep->db++) {
		if (!(table = slot_table(sweep->slot, sweep->db)))
			break;
		int64_t next = sweep->now;
		bool stops = sweep->left == 0;
		if (!stops) {
			next = table_sweep_from(table, &from, sweep->now, sweep->left,
						remove_expired, sweep);
			stops = from > 0;
		}
		if (next < earliest)
			earliest = next;
		if (stops) {
			shard->sweep_db = sweep->db;
			shard->sweep_prefix = from;
			return earliest;
		}
	}
	shard->sweep_db = shard->sweep_prefix = 0;
	return earliest;
}

/*
 * The slot is held; releases it. What is left in it is known when a round was made without a stop:
 * a slice that went on where another stopped, and has no budget for a round, can only say "look
 * again".
 */
static void sweep_slot(struct sweep *sweep, struct slot *slot)
{
	bool goes_on = sweep->shard->sweep_db > 0 || sweep->shard->sweep_prefix > 0;

	sweep->slot = slot;
	sweep->stored = false;
	int64_t earliest = sweep_tables(sweep);
	if (goes_on)
		earliest = sweep->left > 0 ? sweep_tables(sweep) : sweep->now;
	atomic_store_explicit(&slot->expire_earliest, earliest, memory_order_relaxed);
	slots_release(sweep->shard, &slot, 1, sweep->stored, sweep->now);
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
		if (slot_due(shard, slot, now) && slots_try_hold(shard, &slot, 1)) {
			sweep_slot(&sweep, slot);
			if (slot_expire_earliest(slot) <= now)
				return true;
		}
		shard->sweep_slot = (shard->sweep_slot + 1) % SLOT_COUNT;
		shard->sweep_db = shard->sweep_prefix = 0;
	}
	return false;
}
