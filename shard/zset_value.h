/*
 * Sorted sets: the value of a key of that type, whatever it is kept in.
 *
 *	packed    a listpack of member, score, member, score, ... in order, as Redis has it: scores
 *	          that are whole numbers as numbers, others as their shortest text
 *	ordered   a struct zset (zset.h)
 *
 * Elements are numbered by rank from 0 in order of (score, member), and every range, by rank, by
 * score or by member, is worked out as ranks first: zset_value_rank() of the cuts at its two ends.
 *
 * Reading: any thread under RCU, or the slot's holder. Editing: the holder.
 */
#ifndef SHARD_ZSET_VALUE_H
#define SHARD_ZSET_VALUE_H

#include "shard/ctx.h"
#include "shard/value.h"
#include "shard/zset.h"

/* --- reading --- */

/* An element as it was found: the member stands in the entry, the set or `room`. */
struct zset_element {
	struct slice member;
	double score;
	char room[NUMBER_TEXT_MAX]; /* a number of a listpack as text */
};

typedef void zset_visit(void *arg, const struct zset_element *element);

uint64_t zset_value_count(const struct entry *e);

/* The member's score, and its rank where `rank` isn't NULL. False when it isn't there. */
bool zset_value_find(const struct shard *shard, const struct entry *e, struct slice member,
		     double *score, uint64_t *rank);

/* How many elements stand before the cut. */
uint64_t zset_value_rank(const struct entry *e, const struct zset_cut *cut);

/*
 * Visits `count` elements from that of a rank on, upwards or in `reverse`; fewer where there are
 * not so many (and where a reader is in a writer's way).
 */
void zset_value_walk(const struct entry *e, uint64_t rank, uint64_t count, bool reverse,
		     zset_visit *visit, void *arg);

/* Visits about `count` elements from a cursor on (dict_scan); a packed set shows all at once. */
uint64_t zset_value_scan(const struct entry *e, uint64_t cursor, size_t count, zset_visit *visit,
			 void *arg);

/* Visits `count` different elements by chance, or all when there are no more. */
void zset_value_sample(struct shard *shard, const struct entry *e, size_t count, zset_visit *visit,
		       void *arg);

/* --- editing --- */

/*
 * Any number of changes to one sorted set as one change, as for hashes (hash_value.h):
 * zset_edit_begin, the rest, zset_edit_end, which puts the set, or removes the key when no element
 * is left. Members given are not in the set itself. Scores are never NaN.
 */
struct zset_edit {
	struct ctx *ctx;
	uint32_t k;
	const struct entry
		*e;        /* what stands at the key; NULL: nothing, or what is to be replaced */
	struct zset *zset; /* NULL: the elements are in `packed` */
	enum entry_encoding encoding;
	bool changed;
	char packed[PACKED_BYTES_MAX];
};

/* `e`: the sorted set at key k, or NULL where there is none. */
void zset_edit_begin(struct zset_edit *edit, struct ctx *ctx, uint32_t k, const struct entry *e);
/* A set that starts empty and in the end takes the place of whatever stands at key k. */
void zset_edit_begin_new(struct zset_edit *edit, struct ctx *ctx, uint32_t k);
/*
 * So many elements are to come, the longest of that length: what will be too large begins as that.
 */
void zset_edit_expect(struct zset_edit *edit, uint64_t count, size_t longest);
bool zset_edit_find(const struct zset_edit *edit, struct slice member, double *score);
uint64_t zset_edit_count(const struct zset_edit *edit);
/* Gives a member, new or not, this score. */
void zset_edit_put(struct zset_edit *edit, struct slice member, double score);
/* False where there is none. */
bool zset_edit_remove(struct zset_edit *edit, struct slice member);
/* Removes `count` elements, which are there, from a rank on. */
void zset_edit_remove_ranks(struct zset_edit *edit, uint64_t rank, uint64_t count);
/* Visits all elements as they are now, in order. */
void zset_edit_walk(const struct zset_edit *edit, zset_visit *visit, void *arg);
void zset_edit_end(struct zset_edit *edit);
/* A new set that has elements, as an entry of the caller's: nothing is put. Ends the edit. */
struct entry *zset_edit_take(struct zset_edit *edit, int64_t expire);
/* Forgets a new set; a reader may begin one for itself and end it so. It is freed in slices. */
void zset_edit_drop(struct zset_edit *edit);

/* A score as it stands in a listpack. Text is written to `room`. */
struct listpack_item zset_score_item(double score, char room[NUMBER_DOUBLE_TEXT_MAX]);

/* --- inside the forms: for zset_value.c and zset_edit.c alone --- */

/* zset_value_walk() in a listpack and in a struct zset. */
void zset_packed_walk(const char *lp, uint64_t rank, uint64_t count, bool reverse,
		      zset_visit *visit, void *arg);
void zset_ordered_walk(const struct zset *z, uint64_t rank, uint64_t count, bool reverse,
		       zset_visit *visit, void *arg);
/* The element at a position; returns the position of the next. */
size_t zset_packed_read(const char *lp, size_t at, struct zset_element *element);
/* The position of the first element behind the cut. */
size_t zset_packed_seek(const char *lp, const struct zset_cut *cut);
/* The position of a member, 0 where there is none. */
size_t zset_packed_find(const char *lp, struct slice member);

/* --- for all types (value.h) --- */

void zset_value_digest(const struct entry *e, struct digest *digest);

#endif
