/*
 * Applying increments (increment.h).
 *
 * The whole file is read for its AUX fields once: values are stepped over, so that takes little.
 */
#include "persist/increment.h"

#include "persist/helper.h"
#include "persist/rdb_file.h"
#include "persist/snapshot.h"
#include "proto/number.h"
#include "shard/entry.h"
#include "shard/hold.h"

#include <assert.h>
#include <string.h>

struct clearing {
	struct keyspace *ks;
	struct shard *shard; /* a helper's */
	const char *error;   /* of a field's text */
};

/* --- taking keys away --- */

static void count_gone(struct shard *shard, uint32_t db, const struct entry *e)
{
	struct database_count *count = &shard->counts[db];
	atomic_fetch_sub_explicit(&count->keys, 1, memory_order_relaxed);
	if (e->flags & ENTRY_EXPIRES)
		atomic_fetch_sub_explicit(&count->expires, 1, memory_order_relaxed);
}

/* Entries of one hash: they are collected before the table is changed. */
#define FOUND_MAX 64
struct found {
	const struct clearing *clearing;
	uint64_t key;
	uint32_t db;
	uint32_t count;
	struct entry *entries[FOUND_MAX];
};

static void note_found(void *arg, struct entry *e)
{
	struct found *found = arg;
	struct slice name = entry_key(e);
	uint64_t hash = hash_bytes(&found->clearing->ks->seed, name.ptr, name.len);
	if (changes_key(hash, found->db) == found->key && found->count < FOUND_MAX)
		found->entries[found->count++] = e;
}

static void clear_key(const struct clearing *clearing, struct slot *slot, uint64_t key)
{
	struct shard *shard = clearing->shard;
	struct found found = {clearing, key, changes_db(key), 0, {0}};
	struct table *table =
		found.db < clearing->ks->databases ? slot_table(slot, found.db) : NULL;
	if (!table)
		return;
	table_visit_hash(table, key, note_found, &found);
	for (uint32_t i = 0; i < found.count; i++) {
		struct slice name = entry_key(found.entries[i]);
		uint64_t hash = hash_bytes(&clearing->ks->seed, name.ptr, name.len);
		struct entry *e =
			table_remove(table, &clearing->ks->seed, hash, name, &shard->retire);
		assert(e == found.entries[i]);
		count_gone(shard, found.db, e);
		retire_entry(&shard->retire, e);
	}
}

struct counted {
	struct shard *shard;
	uint32_t db;
};

static void count_one(void *arg, struct entry *e)
{
	const struct counted *counted = arg;
	count_gone(counted->shard, counted->db, e);
}

static void clear_slot(const struct clearing *clearing, struct slot *slot)
{
	for (uint32_t db = 0; db < clearing->ks->databases; db++) {
		struct table *table = slot_table(slot, db);
		struct counted counted = {clearing->shard, db};
		for (uint64_t at = table ? 0 : TABLE_END; at != TABLE_END;)
			at = table_scan(table, at, count_one, &counted);
		if (table)
			retire_table(&clearing->shard->retire, table_take(table));
	}
}

/* --- fields --- */

/* 16 hex digits. */
static bool parse_hash(const char *text, uint64_t *hash)
{
	*hash = 0;
	for (int i = 0; i < 16; i++) {
		const char *digits = "0123456789abcdef", *digit = memchr(digits, text[i], 16);
		if (!digit)
			return false;
		*hash = *hash << 4 | (uint64_t)(digit - digits);
	}
	return true;
}

/* "<hash>,<hash>,..." */
static bool clear_keys(const struct clearing *clearing, struct slot *slot, struct slice list)
{
	for (;;) {
		uint64_t key;
		if (list.len < 16 || !parse_hash(list.ptr, &key))
			return false;
		clear_key(clearing, slot, key);
		if (list.len == 16)
			return true;
		if (list.ptr[16] != ',')
			return false;
		list = (struct slice){list.ptr + 17, list.len - 17};
	}
}

static bool clear_changed(const struct clearing *clearing, struct slice text)
{
	const char *space = memchr(text.ptr, ' ', text.len);
	uint64_t index;
	if (!space)
		return false;
	size_t at = (size_t)(space - text.ptr);
	struct slice rest = {space + 1, text.len - at - 1};
	if (!number_parse_unsigned((struct slice){text.ptr, at}, &index) || index >= SLOT_COUNT)
		return false;
	struct slot *slot = &clearing->ks->slots[index];
	while (!slots_try_hold(clearing->shard, &slot, 1))
		;
	bool good = true;
	if (slice_equal(rest, SLICE("all")))
		clear_slot(clearing, slot);
	else
		good = clear_keys(clearing, slot, rest);
	slots_release(clearing->shard, &slot, 1, true, 0);
	return good;
}

static void see_aux(void *arg, struct slice name, struct slice value)
{
	struct clearing *clearing = arg;
	if (slice_equal(name, SLICE(SNAPSHOT_CHANGED)) && !clearing->error &&
	    !clear_changed(clearing, value))
		clearing->error = "a " SNAPSHOT_CHANGED " field that isn't one";
}

bool increment_clear(struct keyspace *ks, struct slice bytes, const char **error, uint64_t *offset)
{
	static const struct rdb_file_events events = {.aux = see_aux};
	struct helper helper;
	helper_init(&helper, ks, 0, 0);
	struct clearing clearing = {.ks = ks, .shard = helper.shard};
	struct rdb_file_result result;
	bool good = rdb_file_read(bytes, &events, &clearing, &result);
	*error = good ? clearing.error : result.error;
	*offset = result.offset;
	helper_absorb(&helper);
	helper_deinit(&helper);
	return good && !clearing.error;
}
