/*
 * The keyspace's life: made before the first thread, freed after the last.
 *
 * The 1 MB of slot lines is one allocation with the rest; tables of databases other than 0 are made
 * when they are first written.
 */
#include "shard/keyspace.h"

#include "proto/mem.h"

#include <assert.h>

static_assert(sizeof(struct slot) == 64, "a slot is one cache line");
static_assert(offsetof(struct keyspace, freeze.passed) < offsetof(struct keyspace, epochs) + 64,
	      "units look at one cache line");

static size_t keyspace_bytes(void)
{
	return (sizeof(struct keyspace) + 63) & ~(size_t)63;
}

#define SHARD_BYTES ((sizeof(struct shard) + 63) & ~(size_t)63)

struct shard *shard_new(struct keyspace *ks, uint16_t id)
{
	struct shard *shard = mem_alloc_lines(SHARD_BYTES);
	memset(shard, 0, SHARD_BYTES);
	shard->ks = ks;
	shard->id = id;
	shard->random = ks->seed.k0 ^ (ks->seed.k1 + id * 0x9e3779b97f4a7c15ull);
	shard->counts = mem_zalloc(ks->databases * sizeof(*shard->counts));
	retire_init(&shard->retire);
	journal_init(&shard->journal);
	return shard;
}

void shard_absorb(struct shard *into, struct shard *from)
{
	for (uint32_t db = 0; db < into->ks->databases; db++) {
		atomic_fetch_add(&into->counts[db].keys, atomic_exchange(&from->counts[db].keys, 0));
		atomic_fetch_add(&into->counts[db].expires,
				 atomic_exchange(&from->counts[db].expires, 0));
	}
}

void shard_free(struct shard *shard)
{
	retire_deinit(&shard->retire);
	journal_deinit(&shard->journal);
	mem_free(shard->stalled, shard->stalled_room * sizeof(struct slot *));
	mem_free(shard->counts, shard->ks->databases * sizeof(*shard->counts));
	mem_free(shard, SHARD_BYTES);
}

struct keyspace *keyspace_new(uint32_t shard_count, uint32_t databases,
			      const struct hash_seed *seed)
{
	assert(shard_count > 0 && shard_count <= SHARDS_MAX);
	assert(databases > 0 && databases <= DATABASES_MAX);
	struct keyspace *ks = mem_alloc_lines(keyspace_bytes());
	memset(ks, 0, keyspace_bytes());
	ks->databases = databases;
	ks->freeze.roots = mem_zalloc(databases * sizeof(*ks->freeze.roots));
	ks->shard_count = shard_count;
	ks->seed = *seed;
	atomic_store(&ks->active_expire, true);
	atomic_store(&ks->epochs.now, 1);
	atomic_store(&ks->journaled.until, UINT64_MAX);
	atomic_store(&ks->string_max, 512ull << 20);
	atomic_store(&ks->limits.hash_listpack_entries, 512);
	atomic_store(&ks->limits.hash_listpack_value, 64);
	atomic_store(&ks->limits.set_intset_entries, 512);
	atomic_store(&ks->limits.set_listpack_entries, 128);
	atomic_store(&ks->limits.set_listpack_value, 64);
	atomic_store(&ks->limits.zset_listpack_entries, 128);
	atomic_store(&ks->limits.zset_listpack_value, 64);
	atomic_store(&ks->limits.hll_sparse_bytes, 3000);
	atomic_store(&ks->limits.list_listpack_size, -2);
	atomic_store(&ks->lfu_log_factor, 10);
	atomic_store(&ks->lfu_decay_minutes, 1);
	for (uint32_t i = 0; i < SLOT_COUNT; i++) {
		ks->slots[i].index = (uint16_t)i;
		atomic_store(&ks->owners[i], (uint8_t)(i * shard_count / SLOT_COUNT));
		atomic_init(&ks->slots[i].expire_earliest, EXPIRE_NEVER);
	}
	for (uint32_t i = 0; i < shard_count; i++)
		ks->shards[i] = shard_new(ks, (uint16_t)i);
	return ks;
}

static void slot_free_tables(struct keyspace *ks, struct slot *slot)
{
	for (uint32_t db = 0; db < ks->databases; db++) {
		struct table *table = slot_table(slot, db);
		uint64_t at = 0;
		size_t budget = SIZE_MAX;
		uint64_t root = table ? table_take(table) : 0;
		if (root)
			table_free_slice(root, &at, &budget, NULL, NULL);
	}
	struct table *more = atomic_load(&slot->more);
	if (more)
		mem_free(more, (ks->databases - 1) * sizeof(*more));
}

void keyspace_free(struct keyspace *ks)
{
	if (!ks)
		return;
	for (uint32_t i = 0; i < ks->shard_count; i++)
		shard_free(ks->shards[i]);
	for (uint32_t i = 0; i < SLOT_COUNT; i++)
		slot_free_tables(ks, &ks->slots[i]);
	for (uint32_t db = 0; db < ks->databases; db++)
		assert(!ks->freeze.roots[db]); /* freeze_end() */
	changes_free(ks);
	mem_free(ks->freeze.roots, ks->databases * sizeof(*ks->freeze.roots));
	mem_free(ks, keyspace_bytes());
}

struct table *slot_table_make(struct keyspace *ks, struct slot *slot, uint32_t db)
{
	struct table *table = slot_table(slot, db);
	if (table)
		return table;
	struct table *more = mem_zalloc((ks->databases - 1) * sizeof(*more));
	atomic_store_explicit(&slot->more, more, memory_order_release);
	return &more[db - 1];
}

uint64_t shard_random(struct shard *shard)
{
	uint64_t z = shard->random += 0x9e3779b97f4a7c15ull;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

int64_t keyspace_keys(const struct keyspace *ks, uint32_t db)
{
	int64_t sum = 0;
	for (uint32_t i = 0; i < ks->shard_count; i++)
		sum += atomic_load_explicit(&ks->shards[i]->counts[db].keys, memory_order_relaxed);
	return sum < 0 ? 0 : sum;
}

int64_t keyspace_expires(const struct keyspace *ks, uint32_t db)
{
	int64_t sum = 0;
	for (uint32_t i = 0; i < ks->shard_count; i++)
		sum += atomic_load_explicit(&ks->shards[i]->counts[db].expires,
					    memory_order_relaxed);
	return sum < 0 ? 0 : sum;
}
