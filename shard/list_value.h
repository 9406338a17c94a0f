/*
 * Lists: the value of a key of that type, whatever it is kept in.
 *
 *	packed      a listpack in the entry, up to PACKED_BYTES_MAX
 *	owner-only  a struct list (list.h)
 *
 * A list that shrinks to a quarter of PACKED_BYTES_MAX is packed again: so one that swings around
 * the limit isn't turned over each time.
 *
 * Its encoding is "listpack" while all of it would fit one of Redis' nodes
 * (list-max-listpack-size), whatever we keep it in, else "quicklist"; that becomes a "listpack"
 * again at half the limit. (Redis waits until what is left also stands in one node, which depends
 * on the list's past.)
 *
 * Reading: any thread under RCU, or the slot's holder. The rest: the holder.
 */
#ifndef SHARD_LIST_VALUE_H
#define SHARD_LIST_VALUE_H

#include "shard/ctx.h"
#include "shard/digest.h"
#include "shard/list.h"
#include "shard/value.h"

/* --- reading --- */

uint64_t list_length(const struct entry *e);

/* Goes through the elements as list_iter_init (list.h) does; they are borrowed from the entry. */
void list_read(struct list_iter *iter, const struct entry *e, uint64_t index,
	       enum list_side towards);

/* All elements as of a cut, from the first on: for a snapshot (list.h). */
void list_read_at(struct list_iter *iter, const struct entry *e, uint64_t cut);

/* Writes an element as a bulk: copied, pinned when it is a large one. */
void list_reply_element(struct reply *r, struct list_element element);

/*
 * Writes `count` elements from an index on, towards an end, as an array; there are that many. It
 * takes turns.
 */
void list_reply_range(struct ctx *ctx, const struct entry *e, uint64_t index, uint64_t count,
		      enum list_side towards);

/* --- editing --- */

/*
 * Any number of changes to one list as one change: list_edit_begin, the rest, list_edit_end, which
 * puts the list, or removes the key when no element is left. With no changes it leaves the key
 * alone. Nothing else is done with the key between.
 */
struct list_edit {
	struct ctx *ctx;
	uint32_t k;
	const struct entry *e; /* what stands at the key; NULL: nothing */
	struct list *list;     /* NULL: the elements are in `packed` */
	bool fresh;            /* the list isn't the one at the key */
	bool changed;
	enum entry_encoding encoding;
	char packed[PACKED_BYTES_MAX];
};

/* `e`: the list at key k, or NULL where there is none. */
void list_edit_begin(struct list_edit *edit, struct ctx *ctx, uint32_t k, const struct entry *e);
uint64_t list_edit_length(const struct list_edit *edit);
struct list_element list_edit_get(const struct list_edit *edit, uint64_t index);

/* The element whose text the argument is. */
static inline struct list_element list_element_of(struct slice text)
{
	return (struct list_element){.item = listpack_item_of(text)};
}

/*
 * Before elements come, of so many bytes in all (of their text): the encoding follows, as it does
 * in Redis before the fact.
 */
void list_edit_expect(struct list_edit *edit, uint64_t bytes, uint64_t count);

/* These as in list.h. No element's text stands in the list itself, but that of a blob may. */
void list_edit_insert(struct list_edit *edit, uint64_t index, struct list_element element);
void list_edit_push(struct list_edit *edit, enum list_side side, struct list_element element);
void list_edit_replace(struct list_edit *edit, uint64_t index, struct list_element element);
void list_edit_cut(struct list_edit *edit, enum list_side side, uint64_t count);
uint64_t list_edit_remove_equal(struct list_edit *edit, enum list_side side,
				struct listpack_item item, uint64_t max);

void list_edit_end(struct list_edit *edit);
/* A new list that has elements, as an entry of the caller's: nothing is put. Ends the edit. */
struct entry *list_edit_take(struct list_edit *edit, int64_t expire);
/* Forgets a new list. */
void list_edit_drop(struct list_edit *edit);

/* --- what LPOP and its like have in common with those that wait --- */

/*
 * Takes the first or last `count` elements, which there are, off the list at key k and replies
 * them.
 */
void list_pop_reply_one(struct ctx *ctx, uint32_t k, const struct entry *e, enum list_side side);
void list_pop_reply(struct ctx *ctx, uint32_t k, const struct entry *e, enum list_side side,
		    uint64_t count);

/*
 * Moves an element from the list at key `from` to that at `to` (NULL: there is none), which may be
 * the same, and replies it.
 */
void list_move_reply(struct ctx *ctx, uint32_t from, const struct entry *source,
		     enum list_side from_side, uint32_t to, const struct entry *target,
		     enum list_side to_side);

/* --- for all types (value.h) --- */

void list_digest(const struct entry *e, struct digest *digest);

#endif
