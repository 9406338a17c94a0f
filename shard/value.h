/*
 * Values of all types: what differs from type to type, one row each.
 *
 * How Redis calls a value (its encoding) and how it is kept here (its form) are two things. The
 * encoding follows Redis' limits (keyspace.h) and goes one way, as there. The form is one of:
 *
 *	packed      The bytes in the entry are a listpack (shard/listpack.h) or an intset; every write
 *	            builds a new entry. Up to PACKED_BYTES_MAX of them. All reads run under RCU.
 *	dict        (hashes, sets) A table of elements, changed in place by the holder, readable under
 *	            RCU (shard/dict.h). ENTRY_DICT.
 *	ordered     (sorted sets) The same, with a tree beside the table for their order (shard/zset.h).
 *	            ENTRY_ORDERED.
 *	owner-only  (strings, lists) A structure that the slot's holder alone may look at,
 *	            changed in place. ENTRY_OWNER_ONLY.
 *
 * A packed value that outgrows PACKED_BYTES_MAX, or the limits of its encoding, becomes one of the
 * others by a new entry, and never goes back, unless its type says so.
 *
 * To take in a type: give its structure memory, copy and free_slice, its values a digest, and add
 * the rows in value.c; those of rdb_encode.c and rdb_decode.c make it last.
 */
#ifndef SHARD_VALUE_H
#define SHARD_VALUE_H

#include "shard/digest.h"
#include "shard/entry.h"

/*
 * A packed value that is larger becomes a structure: copying this many bytes costs some tens of ns,
 * about what the rest of a write does.
 */
#define PACKED_BYTES_MAX 1024

/* A kind of structure that hangs off entries. */
struct structure_type {
	/* Bytes of memory: exact when it is small, else an estimate within some microseconds. */
	size_t (*memory)(const void *structure);
	/*
	 * How many elements there are, or what takes as long to copy as so many.
	 */
	uint64_t (*elements)(const void *structure);
	/*
	 * The same content a second time; memory to be freed on the way goes to the shard. It takes
	 * turns (turn.h). Holder.
	 */
	void *(*copy)(const void *structure, struct shard *shard);
	/*
	 * Frees a part: goes on at *at (0 at first), takes from *budget (more than 0) about as many
	 * elements as it freed, at least one. True when all is gone. Nobody reaches it any more.
	 */
	bool (*free_slice)(void *structure, uint64_t *at, size_t *budget);
};

/* The row of what hangs off the entry, NULL when its value is bytes. */
const struct structure_type *value_structure(const struct entry *e);

/* How many elements have to be looked at to copy it, 1 when it is bytes. Holder. */
uint64_t value_elements(const struct entry *e);

/* Adds the value to a digest: equal values, whatever their form, add the same. Holder. */
void value_digest(const struct entry *e, struct digest *digest);

/*
 * Whether nothing of the value is left at that time: the entry has expired, or all that is in it
 * has. Any thread under RCU.
 */
bool value_expired_slow(const struct entry *e, int64_t now);
static inline bool value_expired(const struct entry *e, int64_t now)
{
	return (e->flags & (ENTRY_EXPIRES | ENTRY_FIELD_TTL)) && value_expired_slow(e, now);
}

#endif
