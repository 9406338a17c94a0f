/*
 * A dict: the elements of a large hash or set, in a table of their own (shard/table.h) that hangs
 * off the key's entry.
 *
 * An element is a `struct entry`: its key is the field or member, its value the field's value
 * (empty in sets), its expiry the field's. So a dict grows, splits, is scanned and sampled as a
 * slot's table is.
 *
 * Readable by any thread under RCU, changed in place by the holder of the key's slot after
 * ctx_open(). What a reader may follow: the entry -> the dict (one and the same for as long as any
 * entry leads to it) -> the table's root, blocks and words (release stores, acquire loads, table.h)
 * -> elements, which are immutable. An element or block that was replaced goes to the shard's
 * `retire`, and so does the dict with its entry. `expire_earliest` and the count are relaxed: like
 * all that a reader finds, they stand only when the slot's seq is the same afterwards (keyspace.h).
 *
 * Snapshots (freeze.h): before a unit after the cut changes the table the first time, what its root
 * was is noted here. So a snapshotter finds all elements of the cut behind dict_root_at(), whoever
 * changes the dict.
 *
 * All elements are hashed with the keyspace's seed: dict_hash(). Expired ones are found and counted
 * like others until they are swept.
 */
#ifndef SHARD_DICT_H
#define SHARD_DICT_H

#include "shard/keyspace.h"

struct dict {
	struct table table;
	_Atomic int64_t expire_earliest; /* no element expires before this (unix ms) */
	uint32_t sweep_from;             /* where the next sweep goes on; holder only */
	int64_t sweep_earliest;          /* ... and what it has left behind so far, or was put since */
	_Atomic uint64_t cut;            /* the last one since which it was changed; 0: none */
	_Atomic uint64_t root_at_cut;    /* what the table's root was then; stored before `cut` */
};

struct dict *dict_new(void);

/* --- any thread under RCU, or the holder --- */

static inline uint64_t dict_hash(const struct shard *shard, struct slice key)
{
	return hash_bytes(&shard->ks->seed, key.ptr, key.len);
}

static inline struct entry *dict_find(const struct dict *dict, uint64_t hash, struct slice key)
{
	return table_find(&dict->table, hash, key);
}

static inline size_t dict_count(const struct dict *dict)
{
	return table_count(&dict->table);
}

/*
 * Elements that have not expired. As quick as dict_count, unless some are to be swept; then it
 * takes turns (shard NULL: it doesn't).
 */
size_t dict_count_live(const struct dict *dict, struct shard *shard, int64_t now);

/*
 * Whether some element has not expired. Looks at DICT_LOOK_MAX of them: where all of those have
 * expired, and there are more, it is taken for granted until the sweep knows better.
 */
#define DICT_LOOK_MAX 256
bool dict_has_live(const struct dict *dict, int64_t now);

/* EXPIRE_NEVER where no element expires. */
static inline int64_t dict_expire_earliest(const struct dict *dict)
{
	return atomic_load_explicit(&dict->expire_earliest, memory_order_relaxed);
}

/* The table's root word at the cut. By the snapshotter, while the dict's slot isn't passed. */
uint64_t dict_root_at(const struct dict *dict, uint64_t cut);

/* Some element that has not expired, about evenly chosen; NULL when there is none. */
struct entry *dict_random(const struct dict *dict, struct shard *shard, int64_t now);
/* Visits so many of those, each time any of them, while visit returns true. */
void dict_draw(const struct dict *dict, struct shard *shard, size_t count, int64_t now,
	       bool (*visit)(void *arg, struct entry *e), void *arg);

/*
 * Visits about `count` elements from a cursor on; returns the next cursor. 0 begins, and 0 ends.
 * What was there all the time is visited at least once. Any number is a valid cursor.
 */
uint64_t dict_scan(const struct dict *dict, uint64_t cursor, size_t count,
		   void (*visit)(void *arg, struct entry *e), void *arg);

/* Visits every element: once each, when nothing changes meanwhile. */
void dict_walk(const struct dict *dict, void (*visit)(void *arg, struct entry *e), void *arg);

/*
 * Visits `count` different elements, or all when there are no more: any so many are as likely as
 * any others. Expired ones are left out. In no order that means anything.
 */
void dict_sample(const struct dict *dict, struct shard *shard, size_t count, int64_t now,
		 void (*visit)(void *arg, struct entry *e), void *arg);

/* --- the holder --- */

/*
 * Before each change of the table, whose old nodes go to `r`. (dict_put() and dict_remove() see to
 * it.)
 */
void dict_open_slow(struct dict *dict, uint64_t cut);

static inline void dict_open(struct dict *dict, const struct retire *r)
{
	if (__builtin_expect(r->unit.cut != EPOCH_NONE, 0))
		dict_open_slow(dict, r->unit.cut);
}

/* Retires an element that was taken out: keeps it if a snapshot sees it. After dict_open(). */
void dict_retire(struct dict *dict, struct retire *r, uint64_t hash, struct entry *element);

/* An element to be put. `value` may be empty. */
struct entry *dict_element_new(struct slice key, struct slice value, int64_t expire);

/*
 * Puts an element, fresh and the dict's own from now on, in place of that of the same key if there
 * is one. True when there was none.
 */
bool dict_put(struct dict *dict, struct shard *shard, uint64_t hash, struct entry *element);

/* Removes the element of that key. False when there is none. */
bool dict_remove(struct dict *dict, struct shard *shard, uint64_t hash, struct slice key);

/*
 * Removes expired elements, at most `max`, telling of each before; returns how many. It goes on
 * from where it was last, and looks at no more than DICT_SWEEP_BLOCKS of the table, whatever it
 * finds: while a round isn't done, dict_expire_earliest() stays what it was.
 */
#define DICT_SWEEP_BLOCKS 64
size_t dict_sweep(struct dict *dict, struct shard *shard, int64_t now, size_t max,
		  void (*gone)(void *arg, struct slice key), void *arg);

/* --- as a structure (value.h) --- */

size_t dict_memory(const struct dict *dict);
struct dict *dict_copy(const struct dict *dict, struct shard *shard);
bool dict_free_slice(struct dict *dict, uint64_t *at, size_t *budget);

#endif
