/*
 * Sets: the value of a key of that type, whatever it is kept in.
 *
 *	packed, encoding intset     the bytes are an intset
 *	packed, other encodings     a listpack of the members in the order they came
 *	dict                        elements without a value, whatever the encoding
 *
 * A member is handed about as a listpack item: a number, or text, which may spell a number all the
 * same. What is shown stands in the set: it is valid until the set is changed.
 *
 * The encoding follows Redis 7.2: integers are an intset, few short members a listpack, others a
 * hashtable; it never goes back.
 *
 * Reading: any thread under RCU, or the slot's holder. Editing: see below.
 */
#ifndef SHARD_SET_H
#define SHARD_SET_H

#include "shard/ctx.h"
#include "shard/dict.h"
#include "shard/digest.h"
#include "shard/listpack.h"
#include "shard/value.h"

/* --- reading --- */

/* Where the members are. */
struct set {
	const struct dict *dict; /* NULL: */
	const char *packed;      /* an intset or a listpack */
	bool intset;
};

/* The set in an entry; with NULL the empty one. */
struct set set_of(const struct entry *e);

size_t set_count(const struct set *set);

bool set_contains(const struct set *set, const struct shard *shard, struct listpack_item member);

/* Calls visit for each member until it returns false. */
typedef bool set_visit(void *arg, struct listpack_item member);
void set_walk(const struct set *set, set_visit *visit, void *arg);

/*
 * The same for about `count` of them from a cursor on (dict_scan), whatever visit returns; a packed
 * set shows all at once.
 */
uint64_t set_scan(const struct set *set, uint64_t cursor, size_t count, set_visit *visit,
		  void *arg);

/* One member, evenly chosen. False when there is none. */
bool set_random(const struct set *set, struct shard *shard, struct listpack_item *member);

/* Visits `count` different ones, or all when there are no more. */
void set_sample(const struct set *set, struct shard *shard, size_t count, set_visit *visit,
		void *arg);

/*
 * How a difference is worked out: each element of the first set is looked up in all others, or,
 * where these are many and small, once in what they have together, which is gathered first.
 */
struct diff_plan {
	bool gather;
	uint64_t elements; /* to be looked at, as often as that is */
};

/* For a first set with so many elements, and so many others with so many together. */
struct diff_plan diff_plan(uint64_t first, uint64_t others, uint64_t other_count);

/* As a bulk. */
void set_reply_member(struct reply *r, struct listpack_item member);

/* --- editing --- */

/*
 * Any number of changes to one set as one change: set_edit_begin, the rest, then set_edit_end,
 * which puts the set, or removes the key when no member is left. With no changes it leaves the key
 * alone, but for the encoding, where it was chosen for more: nobody who watches the key notices.
 * Nothing else is done with the key between. Members to be added don't stand in the set itself.
 *
 * By the holder; a set begun without an entry may also be made by a reader, for itself alone, and
 * dropped.
 */
struct set_edit {
	struct ctx *ctx;
	uint32_t k;
	const struct entry *e; /* what stands at the key; NULL: nothing */
	struct dict *dict;     /* NULL: the members are in `packed` */
	enum entry_encoding encoding;
	bool changed;
	char packed[PACKED_BYTES_MAX];
};

/* `e`: the set at key k that is to be changed; NULL: a new one that will be put there. */
void set_edit_begin(struct set_edit *edit, struct ctx *ctx, uint32_t k, const struct entry *e);

/*
 * Up to `count` members are about to be added, of a new set with this one first: the encoding is
 * chosen for that many, as Redis does.
 */
void set_edit_expect(struct set_edit *edit, struct slice first, size_t count);

/* The set as it is now; valid until the next change. */
struct set set_edit_set(const struct set_edit *edit);

/* False when it is in it already. */
bool set_edit_add(struct set_edit *edit, struct listpack_item member);
/* False where there is none. The member may stand in the set, and does so no more. */
bool set_edit_remove(struct set_edit *edit, struct listpack_item member);

/* Puts the set at its key. */
void set_edit_end(struct set_edit *edit);
/* A new set that has members, as an entry of the caller's: nothing is put. Ends the edit. */
struct entry *set_edit_take(struct set_edit *edit, int64_t expire);
/* Forgets a new set. */
void set_edit_drop(struct set_edit *edit);

/* --- rows of value.h --- */

void set_digest(const struct entry *e, struct digest *digest);

#endif
