/*
 * Watched keys (watch.h).
 *
 * A slot's index is a table of chains by the key's hash, twice as large whenever there are more
 * watches than chains, gone with the last watch. A set is an open-addressed table of its watches:
 * it finds a key that is watched already, however many there are.
 */
#include "shard/watch.h"

#include "proto/mem.h"
#include "shard/entry.h"

#include <assert.h>

/* Chains of an index at first, and places of a set: a few keys. A power of two. */
#define CHAINS_FIRST 4
#define SET_FIRST    8

struct watch {
	/* the slot's holder */
	struct watch *next;
	struct watch **at;  /* what points to it in its chain; NULL: it has been touched */
	_Atomic bool ghost; /* the entry under this key had expired when it came to be watched */
	/* constant */
	struct watch_set *set;
	struct slot *slot;
	uint64_t hash;
	uint32_t db;
	size_t len;
	char name[];
};

struct watch_index {
	uint32_t count;
	uint32_t size; /* a power of two */
	struct watch *chains[];
};

static bool watch_is(const struct watch *watch, uint32_t db, uint64_t hash, struct slice name)
{
	return watch->hash == hash && watch->db == db &&
	       slice_equal((struct slice){watch->name, watch->len}, name);
}

static struct entry *find_entry(const struct watch *watch, const struct table *table)
{
	return table ? table_find(table, watch->hash, (struct slice){watch->name, watch->len})
		     : NULL;
}

static bool is_ghost(const struct watch *watch)
{
	return atomic_load_explicit(&watch->ghost, memory_order_relaxed);
}

static void set_ghost(struct watch *watch, bool ghost)
{
	atomic_store_explicit(&watch->ghost, ghost, memory_order_relaxed);
}

/* --- a slot's index --- */

static size_t index_bytes(uint32_t size)
{
	return sizeof(struct watch_index) + size * sizeof(struct watch *);
}

static void chain_put(struct watch_index *index, struct watch *watch)
{
	struct watch **chain = &index->chains[watch->hash & (index->size - 1)];
	watch->next = *chain;
	watch->at = chain;
	if (watch->next)
		watch->next->at = &watch->next;
	*chain = watch;
}

/* A larger one with the same watches. */
static struct watch_index *index_grow(struct watch_index *old)
{
	uint32_t size = old ? old->size * 2 : CHAINS_FIRST;
	struct watch_index *index = mem_zalloc(index_bytes(size));
	index->size = size;
	if (!old)
		return index;
	index->count = old->count;
	for (uint32_t i = 0; i < old->size; i++) {
		struct watch *next;
		for (struct watch *watch = old->chains[i]; watch; watch = next) {
			next = watch->next;
			chain_put(index, watch);
		}
	}
	mem_free(old, index_bytes(old->size));
	return index;
}

static void set_index(struct slot *slot, struct watch_index *index)
{
	atomic_store_explicit(&slot->watchers, index, memory_order_relaxed);
}

static void index_put(struct slot *slot, struct watch *watch)
{
	struct watch_index *index = slot_watchers(slot);
	if (!index || index->count == index->size) {
		index = index_grow(index);
		set_index(slot, index);
	}
	index->count++;
	chain_put(index, watch);
}

/* The index goes with its last watch. */
static void index_remove(struct watch *watch)
{
	struct watch_index *index = slot_watchers(watch->slot);
	*watch->at = watch->next;
	if (watch->next)
		watch->next->at = watch->at;
	watch->at = NULL;
	if (--index->count > 0)
		return;
	mem_free(index, index_bytes(index->size));
	set_index(watch->slot, NULL);
}

/* --- changes --- */

static void mark_changed(struct watch *watch)
{
	atomic_store_explicit(&watch->set->dirty, true, memory_order_relaxed);
	index_remove(watch);
}

void watch_touch(struct slot *slot, uint32_t db, uint64_t hash, struct slice name, bool expired)
{
	const struct watch_index *index = slot_watchers(slot);
	struct watch *next;
	for (struct watch *watch = index->chains[hash & (index->size - 1)]; watch; watch = next) {
		next = watch->next;
		if (!watch_is(watch, db, hash, name))
			continue;
		if (expired && is_ghost(watch))
			set_ghost(watch, false);
		else
			mark_changed(watch);
	}
}

/* What the watcher sees: nothing under the key before and after is no change. */
static void replace_one(struct watch *watch, const struct table *incoming, int64_t now)
{
	const struct entry *old = find_entry(watch, slot_table(watch->slot, watch->db));
	const struct entry *new = find_entry(watch, incoming);
	bool was_there = old && !is_ghost(watch);
	bool will_be_there = new && !entry_expired(new, now);
	if (was_there || will_be_there)
		mark_changed(watch);
	else
		set_ghost(watch, new != NULL);
}

/* The index goes with the last of its watches. */
void watch_replace(struct slot *slot, uint32_t db, const struct table *incoming, int64_t now)
{
	const struct watch_index *index;
	for (uint32_t i = 0; (index = slot_watchers(slot)) && i < index->size; i++) {
		struct watch *next;
		for (struct watch *watch = index->chains[i]; watch; watch = next) {
			next = watch->next;
			if (watch->db == db)
				replace_one(watch, incoming, now);
		}
	}
}

/* --- sets --- */

struct watch_set *watch_set_new(void)
{
	struct watch_set *set = mem_zalloc(sizeof(*set));
	set->bytes = sizeof(*set);
	return set;
}

void watch_set_free(struct watch_set *set)
{
	if (!set)
		return;
	assert(set->count == 0);
	mem_free(set->table, set->size * sizeof(struct watch *));
	mem_free(set, sizeof(*set));
}

/* The place of that key in the set's table: its watch, or where it would be put. */
static struct watch **set_place(const struct watch_set *set, uint32_t db, uint64_t hash,
				struct slice name)
{
	uint32_t i = (uint32_t)hash & (set->size - 1);
	while (set->table[i] && !watch_is(set->table[i], db, hash, name))
		i = (i + 1) & (set->size - 1);
	return &set->table[i];
}

/* Room for one more: at most half of the table is used. */
static void set_room(struct watch_set *set)
{
	struct watch_set old = *set;
	if (set->count * 2 < set->size)
		return;
	set->size = old.size ? old.size * 2 : SET_FIRST;
	set->table = mem_zalloc(set->size * sizeof(struct watch *));
	set->bytes += (set->size - old.size) * sizeof(struct watch *);
	for (uint32_t i = 0; i < old.size; i++) {
		struct watch *watch = old.table[i];
		if (watch)
			*set_place(set, watch->db, watch->hash,
				   (struct slice){watch->name, watch->len}) = watch;
	}
	mem_free(old.table, old.size * sizeof(struct watch *));
}

static size_t watch_bytes(size_t name_len)
{
	return sizeof(struct watch) + name_len;
}

void watch_set_add(struct watch_set *set, struct slot *slot, uint32_t db, uint64_t hash,
		   struct slice name, int64_t now)
{
	set_room(set);
	struct watch **place = set_place(set, db, hash, name);
	if (*place)
		return;
	struct watch *watch = mem_alloc(watch_bytes(name.len));
	watch->set = set;
	watch->slot = slot;
	watch->hash = hash;
	watch->db = db;
	watch->len = name.len;
	memcpy(watch->name, name.ptr, name.len);
	const struct entry *e = find_entry(watch, slot_table(slot, db));
	set_ghost(watch, e && entry_expired(e, now));
	index_put(slot, watch);
	*place = watch;
	set->count++;
	set->bytes += watch_bytes(name.len);
}

void watch_set_slots(const struct watch_set *set, struct slot **slots)
{
	for (uint32_t i = 0; i < set->size; i++)
		if (set->table[i])
			*slots++ = set->table[i]->slot;
}

bool watch_set_expired(const struct watch_set *set, int64_t now)
{
	for (uint32_t i = 0; i < set->size; i++) {
		const struct watch *watch = set->table[i];
		if (!watch || is_ghost(watch) || slot_expire_earliest(watch->slot) > now)
			continue;
		const struct entry *e = find_entry(watch, slot_table(watch->slot, watch->db));
		if (e && entry_expired(e, now))
			return true;
	}
	return false;
}

/* Ends one watch; its slot is held. */
static void end_watch(struct watch_set *set, struct watch **place)
{
	struct watch *watch = *place;
	if (watch->at)
		index_remove(watch);
	set->bytes -= watch_bytes(watch->len);
	mem_free(watch, watch_bytes(watch->len));
	set->count--;
	*place = NULL;
}

void watch_set_clear_held(struct watch_set *set)
{
	for (uint32_t i = 0; i < set->size; i++)
		if (set->table[i])
			end_watch(set, &set->table[i]);
	assert(set->count == 0);
}

bool watch_set_clear(struct watch_set *set)
{
	uint32_t round = set->size < WATCH_CLEAR_STEP ? set->size : WATCH_CLEAR_STEP;
	for (uint32_t i = 0; i < round && set->count > 0; i++) {
		struct watch **place = &set->table[set->clear_at];
		struct slot *slot = *place ? (*place)->slot : NULL;
		set->clear_at = (set->clear_at + 1) & (set->size - 1);
		if (!slot || !slot_try_hold(slot))
			continue;
		end_watch(set, place);
		slot_release(slot, false);
	}
	return set->count == 0;
}
