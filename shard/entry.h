/*
 * An entry: a key with its value and expiry, in one allocation that never changes once it is
 * published (but for the access bits).
 *
 *	 0        4     5     6        8            16           24
 *	+--------+-----+-----+--------+------------+------------+-----+-------+
 *	| access | kind|flags|  vlen  | [expiry]   | [lengths]  | key | value |
 *	+--------+-----+-----+--------+------------+------------+-----+-------+
 *	access   24 bits access clock, 8 bits key length
 *	expiry   8 bytes, with ENTRY_EXPIRES: unix ms
 *	lengths  8 bytes, with ENTRY_LONG: key length and value length, 32 bits each (the short fields are 0 then)
 *	value    vlen bytes; with ENTRY_BLOB a pointer to a struct blob, with ENTRY_DICT to a struct dict,
 *	         with ENTRY_ORDERED to a struct zset,
 *	         with ENTRY_OWNER_ONLY to the type's own structure
 *
 * A string value is kept as its text, integers too. A collection's value is either packed (bytes in
 * Redis' listpack or intset format) or a structure. `encoding` has nothing to do with that: it
 * remembers what Redis would call the value (value.h).
 *
 * Readers under RCU may look at everything of an entry, a dict with all that is in it too (dict.h),
 * but for what hangs off an ENTRY_OWNER_ONLY pointer: that belongs to the slot's holder alone.
 */
#ifndef SHARD_ENTRY_H
#define SHARD_ENTRY_H

#include "proto/slice.h"
#include "shard/blob.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum entry_type {
	ENTRY_STRING,
	ENTRY_LIST,
	ENTRY_SET,
	ENTRY_ZSET,
	ENTRY_HASH,
	ENTRY_STREAM,
	ENTRY_TYPE_COUNT
};

enum entry_encoding {
	ENCODING_RAW, /* string: bytes, written to in place or longer than 44 */
	ENCODING_INT, /* string: the canonical text of a 64-bit integer */
	ENCODING_EMBSTR, /* string: at most 44 bytes */
	ENCODING_LISTPACK, /* collections within the limits of their type (keyspace.h) */
	ENCODING_LISTPACKEX, /* hash: the same, some field had a time to live */
	ENCODING_INTSET,
	ENCODING_HASHTABLE,
	ENCODING_SKIPLIST,
	ENCODING_QUICKLIST,
	ENCODING_COUNT
};

enum entry_flag {
	ENTRY_EXPIRES = 1,
	ENTRY_LONG = 2,
	ENTRY_BLOB = 4,
	ENTRY_OWNER_ONLY = 8, /* value: a pointer to a structure (value.h) that only the holder may follow */
	ENTRY_DICT = 16,      /* value: a pointer to a struct dict */
	ENTRY_ORDERED = 64,   /* value: a pointer to a struct zset */
	ENTRY_FIELD_TTL = 32, /* hash: fields may have expiries of their own (hash_value.h) */
};

/* Structures are retired, freed and copied by their rows in value.c. */
#define ENTRY_STRUCTURE (ENTRY_OWNER_ONLY | ENTRY_DICT | ENTRY_ORDERED)

/* Strings up to this length are "embstr", as in Redis. */
#define EMBSTR_MAX 44
/* From this length on a string hangs off a blob: a new expiry must not copy it. */
#define ENTRY_BLOB_MIN (64 * 1024)
/*
 * "Never", where the time of expiry is asked for. Larger than every real one, so min() just works.
 */
#define EXPIRE_NEVER INT64_MAX
/*
 * The last time that can be kept. It is shown as the one after it, which may be asked for but means
 * never: of the two only one can come back as it was, and clients ask for the largest number.
 */
#define EXPIRE_LAST (EXPIRE_NEVER - 1)

#define ENTRY_ACCESS_BITS 24
#define ENTRY_ACCESS_MASK ((1u << ENTRY_ACCESS_BITS) - 1)

struct entry {
	_Atomic uint32_t access;
	uint8_t kind; /* type | encoding << 4 */
	uint8_t flags;
	uint16_t vlen;
	char rest[];
};

/* What a new entry is made of. Everything is copied. */
struct entry_spec {
	struct slice key;
	struct slice value;
	int64_t expire; /* unix ms or EXPIRE_NEVER */
	enum entry_type type;
	enum entry_encoding encoding;
	uint32_t access; /* 24 bits */
	bool field_ttl;  /* ENTRY_FIELD_TTL */
};

struct dict;
struct shard;
struct zset;

static inline enum entry_type entry_type(const struct entry *e)
{
	return e->kind & 15;
}

static inline enum entry_encoding entry_encoding(const struct entry *e)
{
	return e->kind >> 4;
}

/* "string", "list" ...: what TYPE answers. */
const char *entry_type_name(enum entry_type type);

/* "raw", "listpack" ...: what OBJECT ENCODING answers. */
const char *entry_encoding_name(enum entry_encoding encoding);

/*
 * A new entry; value.ptr may be NULL: then the caller writes value.len bytes to entry_value_room().
 */
struct entry *entry_new(const struct entry_spec *spec);

/* Where the value's bytes stand, before the entry is published. */
char *entry_value_room(struct entry *e);

/* A string entry whose encoding follows from its text as SET does it: int, embstr or raw. */
struct entry *entry_new_string(struct slice key, struct slice value, int64_t expire,
			       uint32_t access);

/*
 * An entry of the given type around an owner-only structure or a dict, which it owns from now on.
 */
struct entry *entry_new_owner_only(const struct entry_spec *spec, void *structure);
struct entry *entry_new_dict(const struct entry_spec *spec, struct dict *dict);
struct entry *entry_new_ordered(const struct entry_spec *spec, struct zset *zset);

/* What an entry is made of, but for its value. */
struct entry_spec entry_spec_of(const struct entry *e);

/*
 * The same value with another expiry, under another key (RENAME, MOVE), or called otherwise. A blob
 * is shared (each entry has a reference of its own). A structure passes on to the new entry: the
 * old one is then to be freed or retired shallow (which is right for all others, too).
 */
struct entry *entry_with_expire(const struct entry *e, int64_t expire);
struct entry *entry_with_key(const struct entry *e, struct slice key, int64_t expire);
struct entry *entry_with_encoding(const struct entry *e, enum entry_encoding encoding,
				  bool field_ttl);

/*
 * The same value a second time under another key (COPY): shares the blob, copies the structure
 * (memory that this frees on the way goes to `shard`). Holder.
 */
struct entry *entry_copy(const struct entry *e, struct slice key, struct shard *shard);

/* The bytes between the header and the key: expiry and lengths, 8 each. */
static inline size_t entry_extra(unsigned flags)
{
	return ((flags & ENTRY_EXPIRES) + (flags & ENTRY_LONG) / ENTRY_LONG) * (size_t)8;
}

static inline struct slice entry_key(const struct entry *e)
{
	size_t extra = entry_extra(e->flags);
	uint32_t len = atomic_load_explicit(&e->access, memory_order_relaxed) >> ENTRY_ACCESS_BITS;

	if (__builtin_expect(e->flags & ENTRY_LONG, 0))
		memcpy(&len, e->rest + extra - 8, sizeof(len));
	return (struct slice){e->rest + extra, len};
}

/* The bytes of a value, inline or in its blob. Not for structures. */
struct slice entry_value(const struct entry *e);
/* The blob, or NULL. */
struct blob *entry_blob(const struct entry *e);
/* The structure that hangs off it. Of an owner-only value: holder only. */
void *entry_structure(const struct entry *e);
/* The dict, or NULL when the value is something else. */
static inline struct dict *entry_dict(const struct entry *e)
{
	return e->flags & ENTRY_DICT ? entry_structure(e) : NULL;
}
/* The large sorted set, or NULL when the value is something else. */
static inline struct zset *entry_zset(const struct entry *e)
{
	return e->flags & ENTRY_ORDERED ? entry_structure(e) : NULL;
}
/* A lower bound of the expiries of a hash's fields. With ENTRY_FIELD_TTL only. */
int64_t entry_fields_due(const struct entry *e);
/* EXPIRE_NEVER where there is none. */
static inline int64_t entry_expire(const struct entry *e)
{
	int64_t expire = EXPIRE_NEVER;

	if (e->flags & ENTRY_EXPIRES)
		memcpy(&expire, e->rest, sizeof(expire));
	return expire;
}
/*
 * When something in it expires first: the entry, or a field of it. EXPIRE_NEVER where there is
 * none.
 */
static inline int64_t entry_due(const struct entry *e)
{
	int64_t expire = entry_expire(e);

	if (__builtin_expect(e->flags & ENTRY_FIELD_TTL, 0)) {
		int64_t fields = entry_fields_due(e);
		if (fields < expire)
			return fields;
	}
	return expire;
}
static inline bool entry_expired(const struct entry *e, int64_t now)
{
	return (e->flags & ENTRY_EXPIRES) && entry_expire(e) <= now;
}

static inline uint32_t entry_access(const struct entry *e)
{
	return atomic_load_explicit(&e->access, memory_order_relaxed) & ENTRY_ACCESS_MASK;
}
/* Any thread under RCU; stores only when it changes something. */
void entry_set_access(struct entry *e, uint32_t access);

/* The bytes of the entry's own allocation (not of its blob or structure). */
size_t entry_size(const struct entry *e);
/*
 * All bytes that it takes, blob and structure included (MEMORY USAGE); of large structures an
 * estimate from samples, within some microseconds. Holder only for owner-only values.
 */
size_t entry_memory(const struct entry *e);

/* Frees the entry; drops its blob; frees its structure. free(NULL) is fine. */
void entry_free(struct entry *e);
/*
 * The same in slices: goes on at *at (0 at first), takes from *budget (more than 0) about as many
 * elements as it freed. True when the entry is gone.
 */
bool entry_free_slice(struct entry *e, uint64_t *at, size_t *budget);
/* The same but for the structure, which lives on in another entry. */
void entry_free_shallow(struct entry *e);

#endif
