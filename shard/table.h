/*
 * The hash table of one slot in one database: read by any thread under RCU, written by the slot's
 * holder.
 *
 * A table is one root word: 0 when empty, else a pointer with 16 bits on top: the number of buckets
 * of a single block, or TABLE_DIRECTORY + the depth of a directory.
 *
 *	block      a header line (64 bytes), then 1 to TABLE_BLOCK_BUCKETS_MAX buckets of 64 bytes
 *	bucket     7 words of 8 bytes, and 8 bytes `meta`: 48 bits earliest expiry of what is
 *	           stored in this bucket (a lower bound), 16 bits reach of what overflowed from it
 *	word       tag16 << 48 | pointer to an entry; 0 = free
 *	directory  2^depth places with a block each (buckets << 48 | pointer), chosen by the top
 *	           bits of the hash; a block of local depth d stands in 2^(depth-d) places
 *	           (extendible hashing)
 *
 * The home bucket of a tag is (tag * buckets) >> 16. What does not fit there goes to the next
 * bucket with a free word, round the end, and the home bucket's reach says how many buckets on the
 * farthest one stands.
 *
 * Rules (design, section 3):
 *  1. Within one version of a block an entry never changes its place: insert stores a free word,
 *     overwrite stores the same word, delete stores 0, each with release.
 *  2. To grow, shrink or split, new blocks are built, published by one release store (of the
 *     root, or of each directory word that named the old one), and from then on only they are
 *     written. The old version is frozen and retired. A reader in it reads the state at the switch.
 *  3. Only the holder writes. Nobody keeps a pointer from one command to the next.
 *  4. A block or directory that was there when a snapshot's cut came, and that it still has to
 *     read, is left as it was (freeze.h): a copy takes its place, and is changed. But for expiries
 *     in metas and headers, which are bounds and mean nothing to the snapshot.
 *
 * A reader may meet any state between two stores of the holder; it is safe (never leaves a block,
 * always ends, finds only whole entries, and every entry that is there all the time). That what it
 * found was true at one moment, together with the rest of the slot, only `seq` tells (keyspace.h).
 *
 * A small table grows by copying its words into the next size class of the allocator (x1.14 to
 * x1.5): no entry is touched. A block that cannot grow becomes, or splits within, a directory; its
 * entries' keys are hashed again for that. Tables shrink when less than a quarter full.
 */
#ifndef SHARD_TABLE_H
#define SHARD_TABLE_H

#include "shard/entry.h"
#include "shard/hash.h"
#include "shard/retire.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TABLE_BUCKET_WORDS 7
/* A block stays within 8 KB: copying one is the longest stall that growth costs. */
#define TABLE_BLOCK_BUCKETS_MAX 127
/*
 * A directory doesn't get deeper than this: 2^20 blocks of some 600 entries. (Beyond that, or
 * should hashes be that unlucky, blocks grow larger instead.)
 */
#ifndef TABLE_DEPTH_MAX /* tests make it small */
#define TABLE_DEPTH_MAX 20
#endif
/*
 * Fill, in 1/128 of the words, above which a block grows. With 61 keys to a table (a million in
 * all):
 *	109 (85%)  12.9 bytes a key,  7% of the entries stand beyond their home bucket
 *	113 (88%)  12.5 bytes a key; pipelined GETs are 5% faster than with
 *	120 (94%)  11.8 bytes a key, 11% do (on average, with blocks 85% full)
 *	124 (97%)  11.5 bytes a key, 12% do
 */
#define TABLE_FILL_MAX  113
#define TABLE_DIRECTORY 0xff00ull

struct table {
	_Atomic uint64_t root;
};

/* --- any thread under RCU, or the holder --- */

/* The entry of that key, or NULL. Expired ones are found like others. */
struct entry *table_find(const struct table *t, uint64_t hash, struct slice key);

/*
 * Hints for a batch: fetch the home bucket; then the first entry whose tag matches. They never
 * fail.
 */
void table_prefetch_bucket(const struct table *t, uint64_t hash);
void table_prefetch_entry(const struct table *t, uint64_t hash);

size_t table_count(const struct table *t);
/*
 * How many have expired, block by block: those of the block at *from, 0 at first and after the last
 * one. Looks only into buckets that may hold one.
 */
size_t table_count_expired(const struct table *t, uint32_t *from, int64_t now);

/*
 * Walks the table in order of home buckets, one home bucket at a call. `position` starts at 0 and
 * is what the last call returned; TABLE_END when the walk is done. Growth, splits and shrinking
 * between calls may show an entry again, never leave one out that was there all the time. A
 * position has TABLE_POSITION_BITS bits.
 */
#define TABLE_POSITION_BITS (TABLE_DEPTH_MAX + 17)
#define TABLE_END           UINT64_MAX
uint64_t table_scan(const struct table *t, uint64_t position,
		    void (*visit)(void *arg, struct entry *e), void *arg);
/* The same without what was struck out of the table (table_strike), which may have been freed. */
uint64_t table_scan_unstruck(const struct table *t, uint64_t position,
			     void (*visit)(void *arg, struct entry *e), void *arg);

/* A visitor that counts for another: table_visit_counted() with one of these. */
struct table_visits {
	void (*visit)(void *arg, struct entry *e);
	void *arg;
	size_t count;
};
void table_visit_counted(void *visits, struct entry *e);

/*
 * Visits the few entries among which all of a hash are: the bits between its tag and its place in a
 * directory may differ, and aren't looked at.
 */
void table_visit_hash(const struct table *t, uint64_t hash,
		      void (*visit)(void *arg, struct entry *e), void *arg);

/* Some entry chosen by `random`, about evenly; NULL when the table is empty. */
struct entry *table_random(const struct table *t, uint64_t random);

/* Bytes that the table's blocks and directory take. */
size_t table_memory(const struct table *t);

/* --- the holder --- */

/*
 * Puts an entry under its key: a new one, or in place of the entry of the same key, which is
 * returned (unlinked: to be retired by the caller). `seed` is needed to split. Old blocks go to
 * `r`.
 */
struct entry *table_put(struct table *t, const struct hash_seed *seed, uint64_t hash,
			struct entry *e, struct retire *r);

/*
 * Makes room for about so many entries in a table that is empty; does nothing to another. Whoever
 * loads knows how many are to come, and spares the growing.
 */
void table_reserve(struct table *t, uint64_t entries, const struct retire *r);

/* Takes the key's entry out and returns it (to be retired by the caller), or NULL. */
struct entry *table_remove(struct table *t, const struct hash_seed *seed, uint64_t hash,
			   struct slice key, struct retire *r);

/*
 * What is in the entry of that key expires at `due` from now on, though the entry is the same: its
 * bucket takes note.
 */
void table_note_due(struct table *t, uint64_t hash, struct slice key, int64_t due);

/*
 * Looks for what has expired: calls `expired(arg, e)` for each entry with entry_due() <= now (the
 * callee removes it with table_remove, or what in it has expired) in the buckets whose earliest
 * expiry says so, at most `max` of them, and corrects what the buckets say. Returns the earliest
 * expiry that is left (EXPIRE_NEVER: none; <= now: not all was done).
 */
int64_t table_sweep(struct table *t, int64_t now, size_t max,
		    void (*expired)(void *arg, struct entry *e), void *arg);
/* The same for large tables: goes on at *from (0 at first), where the last call left off. */
int64_t table_sweep_from(struct table *t, uint32_t *from, int64_t now, size_t max,
			 void (*expired)(void *arg, struct entry *e), void *arg);
/*
 * The same in so many blocks at most. Lowers *earliest to what is left in these; true, and *from is
 * 0 again, when the last one was among them.
 */
bool table_sweep_blocks(struct table *t, uint32_t *from, uint32_t blocks, int64_t now, size_t max,
			void (*expired)(void *arg, struct entry *e), void *arg, int64_t *earliest);

/*
 * Whether an entry that was taken out, of that hash, is not in the table that this root word led to
 * once. Nor is what hangs off it, then: only a structure may be older than its entry, so false is
 * said of those.
 */
bool table_is_later(uint64_t root, uint64_t hash, const struct entry *e);

/*
 * Strikes an entry that is there, of that hash, out of a table that this root word led to once and
 * that nobody changes any more: a snapshot's (handover.h). Readers who are in it still find the
 * entry: its key may be there all the time, in newer versions, and who walks the table must not
 * miss it. table_scan_unstruck() and table_is_later() don't. It still counts.
 */
void table_strike(uint64_t root, uint64_t hash, const struct entry *e);

/* Empties the table and returns what it was (for retire_table), 0 when it was empty. */
uint64_t table_take(struct table *t);

/*
 * Frees a table that nobody can reach any more, in slices: goes on at *at (0 at first; TABLE_END
 * when the table is gone), takes from *budget (more than 0) about as many entries as it freed. An
 * entry with a structure is given to `later`, whose business it is from then on; with NULL it is
 * freed here, whatever that takes. Returns how many entries it took out.
 */
size_t table_free_slice(uint64_t root, uint64_t *at, size_t *budget,
			void (*later)(void *arg, struct entry *e), void *arg);

#endif
