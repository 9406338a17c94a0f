/*
 * Hashes: the value of a key of that type, whatever it is kept in.
 *
 *	packed             a listpack of field, value, field, value, ... in the order they came
 *	packed with        a listpack of field, value, expiry, ... (unix ms, 0: none), those that expire
 *	 ENTRY_FIELD_TTL   first, the earliest in front: as Redis' listpackex has them
 *	dict               elements with an expiry or without; with ENTRY_FIELD_TTL some may have one
 *
 * A hash has ENTRY_FIELD_TTL from the first expiry that one of its fields gets. A field that has
 * expired is not there for anybody from that moment on; its memory goes with the next write, or
 * with the sweep. A hash all of whose fields have expired is no key any more (value_expired); of a
 * large one the sweep may have to find that out, and it is there and empty till then.
 *
 * Reading: any thread under RCU, or the slot's holder. Editing: the holder.
 */
#ifndef SHARD_HASH_VALUE_H
#define SHARD_HASH_VALUE_H

#include "shard/ctx.h"
#include "shard/dict.h"
#include "shard/digest.h"
#include "shard/value.h"

/* --- reading --- */

/* A field as it was found. The slices stand in the entry, the dict or `room`. */
struct hash_field {
	struct slice name;
	struct slice value;
	int64_t expire;                 /* EXPIRE_NEVER: none */
	struct blob *blob;              /* that the value stands in, or NULL */
	char room[2 * NUMBER_TEXT_MAX]; /* numbers of a listpack as text */
};

/*
 * Fields that have not expired. Of a large hash where some have, that takes turns (shard NULL: it
 * doesn't).
 */
size_t hash_length(struct shard *shard, const struct entry *e, int64_t now);
/*
 * The same at once: of a large hash those that have expired, and haven't been swept, are counted as
 * well.
 */
size_t hash_length_most(const struct entry *e, int64_t now);

/* Whether all fields have expired, as far as a short look tells (dict_has_live). */
bool hash_empty(const struct entry *e, int64_t now);

/* False where there is none that has not expired. */
bool hash_find(const struct shard *shard, const struct entry *e, struct slice name, int64_t now,
	       struct hash_field *field);

/* Calls visit for each field that has not expired. */
typedef void hash_visit(void *arg, const struct hash_field *field);
void hash_walk(const struct entry *e, int64_t now, hash_visit *visit, void *arg);

/* The same for the fields of a large hash, wherever its dict is from. */
void hash_dict_walk(const struct dict *dict, int64_t now, hash_visit *visit, void *arg);

/*
 * The same for about `count` of them from a cursor on (dict_scan); a packed hash shows all at once.
 */
uint64_t hash_scan(const struct entry *e, uint64_t cursor, size_t count, int64_t now,
		   hash_visit *visit, void *arg);

/* Calls visit up to `count` times, for any field each time, while it returns true. */
typedef bool hash_draw(void *arg, const struct hash_field *field);
void hash_random(struct shard *shard, const struct entry *e, size_t count, int64_t now,
		 hash_draw *visit, void *arg);
/* Calls visit for `count` different fields, or for all when there are no more. */
void hash_sample(struct shard *shard, const struct entry *e, size_t count, int64_t now,
		 hash_visit *visit, void *arg);

/* Writes the value as a bulk: copied, pinned when it is a large one. */
void hash_reply_value(struct reply *r, const struct hash_field *field);

/* --- editing --- */

/*
 * Any number of changes to one hash as one change: hash_edit_begin, the rest, hash_edit_end, which
 * puts the hash, or removes the key when no field is left. With no changes it leaves the key alone.
 * Nothing else is done with the key between. Names and values are not in the hash itself.
 */
struct hash_edit {
	struct ctx *ctx;
	uint32_t k;
	const struct entry *e; /* what stands at the key; NULL: nothing */
	struct dict *dict;     /* NULL: the fields are in `packed` */
	enum entry_encoding encoding;
	bool field_ttl;
	bool changed;
	int64_t due; /* of the dict, when it began */
	char packed[PACKED_BYTES_MAX];
};

/*
 * Effects (ctx.h) of commands whose outcome depends on the time: "HDEL key field" of key k;
 * "HPEXPIREAT key when FIELDS 1 field" or, for EXPIRE_NEVER, "HPERSIST key FIELDS 1 field" of key
 * 0. The edit itself makes those of fields that had expired.
 */
void hash_effect_remove(struct ctx *ctx, uint32_t k, struct slice field);
void hash_effect_expire(struct ctx *ctx, struct slice field, int64_t when);

/* `e`: the hash at key k, or NULL where there is none. */
void hash_edit_begin(struct hash_edit *edit, struct ctx *ctx, uint32_t k, const struct entry *e);
bool hash_edit_find(struct hash_edit *edit, struct slice name, struct hash_field *field);
/* Sets a field, whose expiry becomes `expire`. True when it is new. */
bool hash_edit_set(struct hash_edit *edit, struct slice name, struct slice value, int64_t expire);
/* Another expiry for a field that is there. */
void hash_edit_expire(struct hash_edit *edit, struct slice name, int64_t expire);
/* False where there is none. */
bool hash_edit_remove(struct hash_edit *edit, struct slice name);
/* True when the hash is empty, so that hash_edit_end will remove the key. */
bool hash_edit_empty(const struct hash_edit *edit);
void hash_edit_end(struct hash_edit *edit);
/* A new hash that has fields, as an entry of the caller's: nothing is put. Ends the edit. */
struct entry *hash_edit_take(struct hash_edit *edit, int64_t expire);
/* Forgets a new hash. */
void hash_edit_drop(struct hash_edit *edit);

/* --- for all types (entry.h, value.h) and the sweep --- */

/* A lower bound of the fields' expiries; with ENTRY_FIELD_TTL only. Exact for packed ones. */
int64_t hash_fields_due(const struct entry *e);

/*
 * Removes fields that have expired, at most about `max`, from the hash; returns how many. Where
 * that takes a new entry it is *fresh, to be put in the place of `e`, else *fresh is `e`; NULL when
 * nothing is left, and the key is to be removed. Each field removed is an effect. Holder.
 */
size_t hash_expire_fields(struct shard *shard, uint32_t db, struct entry *e, int64_t now, size_t max,
			  struct entry **fresh);

void hash_digest(const struct entry *e, struct digest *digest);

#endif
