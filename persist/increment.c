/*
 * Applying increments (increment.h).
 *
 * The whole file is read for its AUX fields once: values are stepped over, so that takes little.
 */
#include "persist/increment.h"

#include "persist/helper.h"
#include "persist/rdb_file.h"
#include "persist/snapshot.h"
#include "proto/mem.h"
#include "proto/number.h"
#include "shard/entry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct clearing {
	struct keyspace *ks;
	struct shard *shard;   /* a helper's */
	struct hash_seed seed; /* of the part's hashes */
	bool seeded;
	const char *error; /* of a field's text */
};

/* --- taking keys away --- */

/* What goes of one slot in one database: collected before the table is changed. */
struct going {
	const struct clearing *clearing;
	const uint64_t *keys; /* changes_key()s, in rising order; NULL: all */
	size_t key_count;
	uint32_t db;
	struct entry **entries;
	size_t count, cap;
};

static int compare_keys(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static void note_going(void *arg, struct entry *e)
{
	struct going *going = arg;
	struct slice name = entry_key(e);
	uint64_t key =
		changes_key(hash_bytes(&going->clearing->seed, name.ptr, name.len), going->db);
	if (going->keys && !bsearch(&key, going->keys, going->key_count, sizeof(key), compare_keys))
		return;
	if (going->count == going->cap) {
		going->cap = going->cap ? going->cap * 2 : 64;
		going->entries = mem_realloc(going->entries, going->cap * sizeof(*going->entries));
	}
	going->entries[going->count++] = e;
}

static void remove_entry(const struct clearing *clearing, struct table *table, uint32_t db,
			 const struct entry *e)
{
	struct shard *shard = clearing->shard;
	const struct hash_seed *seed = &clearing->ks->seed;
	struct slice name = entry_key(e);
	uint64_t hash = hash_bytes(seed, name.ptr, name.len);
	struct entry *gone = table_remove(table, seed, hash, name, &shard->retire);
	assert(gone == e);
	atomic_fetch_sub_explicit(&shard->counts[db].keys, 1, memory_order_relaxed);
	if (e->flags & ENTRY_EXPIRES)
		atomic_fetch_sub_explicit(&shard->counts[db].expires, 1, memory_order_relaxed);
	retire_entry(&shard->retire, gone);
}

static void clear_table(struct going *going, struct table *table)
{
	going->count = 0;
	for (uint64_t at = 0; at != TABLE_END;)
		at = table_scan(table, at, note_going, going);
	for (size_t i = 0; i < going->count; i++)
		remove_entry(going->clearing, table, going->db, going->entries[i]);
}

/* `keys`: as of struct going. Nothing else uses the slot. */
static void clear_slot(const struct clearing *clearing, struct slot *slot, const uint64_t *keys,
		       size_t key_count)
{
	struct going going = {.clearing = clearing, .keys = keys, .key_count = key_count};
	for (; going.db < clearing->ks->databases; going.db++) {
		struct table *table = slot_table(slot, going.db);
		if (table && atomic_load_explicit(&table->root, memory_order_relaxed))
			clear_table(&going, table);
	}
	mem_free_unsized(going.entries);
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

/* "<hash>,<hash>,...": as many as fit so much text. False: that isn't it. */
static bool parse_hashes(struct slice list, uint64_t *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!parse_hash(list.ptr + i * CHANGED_HASH_CHARS, &keys[i]) ||
		    (i > 0 && list.ptr[i * CHANGED_HASH_CHARS - 1] != ','))
			return false;
	qsort(keys, count, sizeof(*keys), compare_keys);
	return true;
}

static bool clear_keys(const struct clearing *clearing, struct slot *slot, struct slice list)
{
	size_t count = (list.len + 1) / CHANGED_HASH_CHARS;
	if (!clearing->seeded || count == 0 || count * CHANGED_HASH_CHARS != list.len + 1)
		return false;
	uint64_t *keys = mem_alloc(count * sizeof(*keys));
	bool good = parse_hashes(list, keys, count);
	if (good)
		clear_slot(clearing, slot, keys, count);
	mem_free(keys, count * sizeof(*keys));
	return good;
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
	if (!slice_equal(rest, SLICE("all")))
		return clear_keys(clearing, slot, rest);
	clear_slot(clearing, slot, NULL, 0);
	return true;
}

/* "<16 hex digits><16 hex digits>" */
static bool parse_seed(struct clearing *clearing, struct slice text)
{
	clearing->seeded = text.len == 32 && parse_hash(text.ptr, &clearing->seed.k0) &&
			   parse_hash(text.ptr + 16, &clearing->seed.k1);
	return clearing->seeded;
}

static void see_aux(void *arg, struct slice name, struct slice value)
{
	struct clearing *clearing = arg;
	if (slice_equal(name, SLICE(SNAPSHOT_SEED)) && !parse_seed(clearing, value))
		clearing->error = "a " SNAPSHOT_SEED " field that isn't one";
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
