/* The rows of all types of values (value.h). */
#include "shard/value.h"

#include "shard/dict.h"
#include "shard/hash_value.h"
#include "shard/list_value.h"
#include "shard/rope.h"
#include "shard/set.h"
#include "shard/string.h"
#include "shard/zset_value.h"

#include <assert.h>

/* --- structures --- */

/*
 * The row of a structure whose functions are noun_memory, noun_count and noun_free_slice; `copy`
 * makes a copy.
 */
#define STRUCTURE(noun, copy)                                                                      \
	static size_t noun##_memory_any(const void *structure)                                     \
	{                                                                                          \
		return noun##_memory(structure);                                                   \
	}                                                                                          \
	static uint64_t noun##_elements_any(const void *structure)                                 \
	{                                                                                          \
		return noun##_count(structure);                                                    \
	}                                                                                          \
	static void *noun##_copy_any(const void *structure, struct shard *shard)                   \
	{                                                                                          \
		return copy;                                                                       \
	}                                                                                          \
	static bool noun##_free_slice_any(void *structure, uint64_t *at, size_t *budget)           \
	{                                                                                          \
		return noun##_free_slice(structure, at, budget);                                   \
	}                                                                                          \
	static const struct structure_type noun##_structure = {noun##_memory_any,                  \
							       noun##_elements_any,                \
							       noun##_copy_any,                    \
							       noun##_free_slice_any}

STRUCTURE(dict, dict_copy(structure, shard));
STRUCTURE(list, list_copy(structure, shard));
STRUCTURE(rope, rope_copy(structure, shard));
STRUCTURE(zset, zset_copy(structure, &shard->ks->seed, &shard->retire, shard));

/* --- types --- */

static const struct value_type {
	const char *name;
	const struct structure_type *owner_only; /* NULL: the type has none */
	void (*digest)(const struct entry *e, struct digest *digest);
} types[ENTRY_TYPE_COUNT] = {
	[ENTRY_STRING] = {"string", &rope_structure, string_digest},
	[ENTRY_LIST] = {"list", &list_structure, list_digest},
	[ENTRY_SET] = {"set", NULL, set_digest},
	[ENTRY_ZSET] = {"zset", NULL, zset_value_digest},
	[ENTRY_HASH] = {"hash", NULL, hash_digest},
	[ENTRY_STREAM] = {"stream"},
};

const char *entry_type_name(enum entry_type type)
{
	assert(type < ENTRY_TYPE_COUNT);
	return types[type].name;
}

const struct structure_type *value_structure(const struct entry *e)
{
	if (e->flags & ENTRY_DICT)
		return &dict_structure;
	if (e->flags & ENTRY_ORDERED)
		return &zset_structure;
	return e->flags & ENTRY_OWNER_ONLY ? types[entry_type(e)].owner_only : NULL;
}

uint64_t value_elements(const struct entry *e)
{
	const struct structure_type *structure = value_structure(e);

	return structure ? structure->elements(entry_structure(e)) : 1;
}

void value_digest(const struct entry *e, struct digest *digest)
{
	types[entry_type(e)].digest(e, digest);
}

bool value_expired_slow(const struct entry *e, int64_t now)
{
	if (entry_expired(e, now))
		return true;
	return (e->flags & ENTRY_FIELD_TTL) && hash_fields_due(e) <= now && hash_empty(e, now);
}
