/*
 * Tables: making blocks larger and smaller, splitting and merging them.
 *
 * All of it works alike: build the new version aside, publish it, retire the old one. What is
 * published with one store each (the root, or the places of a directory that named the old block)
 * holds the very words of the old version, so a reader may have either.
 *
 * The same is done with a block or directory that a snapshot still has to read (freeze.h), before
 * it is changed the first time: its new version is a copy.
 *
 * When sizes change (C: entries of a block, W: its words):
 *	insert   C = 94% of W        the next size of block; past the largest, a split in two
 *	remove   C < 25% of W        the size of which C is some 55%
 *	         both buddies < 25%  of the largest block: one block
 * so that between growing and shrinking of a block there are always operations for a good part of
 * the words that the change copies.
 */
#include "proto/mem.h"
#include "shard/table_block.h"

#include <string.h>

/* A block word has the buckets in 16 bits, below those of a directory. */
#define BLOCK_BUCKETS_LIMIT (TABLE_DIRECTORY - 1)

/*
 * The next larger block: the allocator's size classes, four to each power of two, but multiples of
 * 64 bytes. A header and its buckets fill a class exactly.
 */
static uint32_t buckets_up(uint32_t buckets)
{
	size_t size = block_size(buckets);
	size_t step = (1ull << (63 - __builtin_clzll(size))) / 4;

	return buckets + (step < 64 ? 64 : step) / 64;
}

/* The smallest block with room for `count` entries in `percent` of its limit. */
static uint32_t buckets_for(uint32_t count, uint32_t percent)
{
	uint32_t buckets = 1;

	while ((uint64_t)block_limit(buckets) * percent < (uint64_t)count * 100)
		buckets = buckets_up(buckets);
	return buckets;
}

static struct block *block_new(uint32_t buckets, uint32_t depth, const struct retire *r)
{
	struct block *block = mem_alloc_lines(block_size(buckets));

	assert(buckets >= 1 && buckets <= BLOCK_BUCKETS_LIMIT);
	memset(block, 0, block_size(buckets));
	block->buckets = buckets;
	block->depth = depth;
	block->born = r->unit.epoch;
	block_set_expire_earliest(block, META_EXPIRE_NEVER);
	for (uint32_t i = 0; i < buckets; i++)
		atomic_init(&block->bucket[i].meta, META_EMPTY);
	return block;
}

static uint64_t block_word(const struct block *block)
{
	return word_make(block->buckets, block);
}

static void block_retire(struct block *block, struct retire *r)
{
	retire_node(r, block, block_size(block->buckets), block->born);
}

void bucket_note_expire(struct block *block, uint32_t at, int64_t expire)
{
	struct bucket *b = &block->bucket[at];
	uint64_t meta = word_load(&b->meta);

	if (expire >= meta_expire(meta))
		return;
	meta = meta_make(meta_reach(meta), expire);
	word_store(&b->meta, meta);
	if (meta_expire(meta) < block_expire_earliest(block))
		block_set_expire_earliest(block, meta_expire(meta));
}

void block_insert(struct block *block, uint64_t word, int64_t expire)
{
	uint32_t home = tag_home(word_top(word), block->buckets);
	uint32_t distance = 0;
	uint32_t at = home;
	int i;

	while ((i = bucket_free_word(&block->bucket[at])) < 0) {
		assert(distance < block->buckets);
		at = bucket_after(home, ++distance, block->buckets);
	}
	uint64_t meta = word_load(&block->bucket[home].meta);
	if (distance > meta_reach(meta))
		word_store(&block->bucket[home].meta, (meta & ~META_REACH_MASK) | distance);
	bucket_note_expire(block, at, expire);
	word_store(&block->bucket[at].words[i], word);
}

/*
 * Puts a word of bucket `from` into a block under construction. Which entry of the old bucket
 * expires first is not known without looking, so each is taken for it: a bound that is too low
 * costs the sweep one look.
 */
static void block_adopt(struct block *block, uint64_t word, const struct bucket *from)
{
	block_insert(block, word, meta_expire(word_load(&from->meta)));
	atomic_store_explicit(&block->count, block_count(block) + 1, memory_order_relaxed);
}

static void block_adopt_all(struct block *block, const struct block *from)
{
	for (uint32_t i = 0; i < from->buckets; i++) {
		for (uint32_t j = 0; j < TABLE_BUCKET_WORDS; j++) {
			uint64_t word = word_load(&from->bucket[i].words[j]);
			if (word)
				block_adopt(block, word, &from->bucket[i]);
		}
	}
}

/* --- directories --- */

static struct directory *table_directory(const struct table *t)
{
	uint64_t root = word_load(&t->root);

	return root && root_is_directory(root) ? word_ptr(root) : NULL;
}

static struct directory *directory_new(uint32_t depth, uint64_t count, const struct retire *r)
{
	struct directory *dir = mem_alloc(directory_size(depth));

	assert(depth >= 1 && depth <= TABLE_DEPTH_MAX);
	atomic_init(&dir->count, count);
	dir->depth = depth;
	dir->deepest = 0;
	dir->born = r->unit.epoch;
	return dir;
}

static void directory_retire(struct directory *dir, struct retire *r)
{
	retire_node(r, dir, directory_size(dir->depth), dir->born);
}

static void directory_publish(struct table *t, struct directory *dir)
{
	word_store(&t->root, word_make(TABLE_DIRECTORY + dir->depth, dir));
}

struct directory *directory_thaw(struct table *t, struct retire *r)
{
	struct directory *old = table_directory(t);

	if (!old || !unit_frozen(&r->unit, old->born))
		return old;
	struct directory *dir = mem_alloc(directory_size(old->depth));
	memcpy(dir, old, directory_size(old->depth));
	dir->born = r->unit.epoch;
	directory_publish(t, dir);
	directory_retire(old, r);
	return dir;
}

/* Lets a block stand in all places of its range of hashes, in which `hash` is. */
static void block_publish(struct table *t, uint64_t hash, struct block *block, struct retire *r)
{
	struct directory *dir = directory_thaw(t, r);

	if (!dir) {
		word_store(&t->root, block_word(block));
		return;
	}
	uint64_t places = 1ull << (dir->depth - block->depth);
	uint64_t first = hash_place(hash, dir->depth) & ~(places - 1);
	for (uint64_t i = 0; i < places; i++)
		word_store(&dir->places[first + i], block_word(block));
}

struct block *block_thaw_slow(struct table *t, uint64_t hash, struct block *block, struct retire *r)
{
	struct block *copy = mem_alloc_lines(block_size(block->buckets));

	memcpy(copy, block, block_size(block->buckets));
	copy->born = r->unit.epoch;
	block_publish(t, hash, copy, r);
	block_retire(block, r);
	return copy;
}

/* One more bit of depth: a directory of twice the places, or the first one. */
static struct directory *directory_double(struct table *t, struct retire *r)
{
	uint64_t root = word_load(&t->root);
	struct directory *old = table_directory(t);
	struct directory *dir;

	if (old)
		dir = directory_new(old->depth + 1,
				    atomic_load_explicit(&old->count, memory_order_relaxed), r);
	else
		dir = directory_new(1, block_count(word_ptr(root)), r);
	for (uint64_t i = 0; i < 1ull << dir->depth; i++)
		atomic_init(&dir->places[i], old ? word_load(&old->places[i / 2]) : root);
	directory_publish(t, dir);
	if (old)
		directory_retire(old, r);
	return dir;
}

/* No block needs the last bit: half of the places, or no directory. */
static void directory_halve(struct table *t, struct retire *r)
{
	struct directory *old = table_directory(t);

	assert(old->deepest == 0);
	if (old->depth == 1) {
		word_store(&t->root, word_load(&old->places[0]));
	} else {
		uint64_t count = atomic_load_explicit(&old->count, memory_order_relaxed);
		struct directory *dir = directory_new(old->depth - 1, count, r);
		for (uint64_t i = 0; i < 1ull << dir->depth; i++) {
			uint64_t word = word_load(&old->places[2 * i]);
			struct block *block = word_ptr(word);
			atomic_init(&dir->places[i], word);
			dir->deepest += block->depth == dir->depth;
		}
		directory_publish(t, dir);
	}
	directory_retire(old, r);
}

/* --- growing --- */

void table_begin(struct table *t, const struct retire *r)
{
	assert(!word_load(&t->root));
	word_store(&t->root, block_word(block_new(1, 0, r)));
}

/* Another version of a block, with this many buckets. */
static void block_resize(struct table *t, uint64_t hash, struct block *block, uint32_t buckets,
			 struct retire *r)
{
	struct block *new = block_new(buckets, block->depth, r);

	block_adopt_all(new, block);
	block_publish(t, hash, new, r);
	block_retire(block, r);
}

static void bucket_prefetch_entries(const struct bucket *b)
{
	for (uint32_t i = 0; i < TABLE_BUCKET_WORDS; i++)
		__builtin_prefetch(word_ptr(word_load(&b->words[i])));
}

/*
 * For each word of the block, in order, whether it belongs to the upper half; returns how many do.
 */
static uint32_t block_sides(const struct block *block, const struct hash_seed *seed, uint8_t *sides)
{
	uint32_t upper = 0;

	bucket_prefetch_entries(&block->bucket[0]);
	for (uint32_t i = 0; i < block->buckets; i++) {
		if (i + 1 < block->buckets)
			bucket_prefetch_entries(&block->bucket[i + 1]);
		sides[i] = 0;
		for (uint32_t j = 0; j < TABLE_BUCKET_WORDS; j++) {
			struct entry *e = word_ptr(word_load(&block->bucket[i].words[j]));
			if (!e)
				continue;
			struct slice key = entry_key(e);
			uint64_t hash = hash_bytes(seed, key.ptr, key.len);
			uint32_t side = hash >> (63 - block->depth) & 1;
			sides[i] |= side << j;
			upper += side;
		}
	}
	return upper;
}

/*
 * Splits a block by the next bit of the hash. The longest stall of a table: some 830 entries are
 * read, from memory if need be (hence the prefetches).
 */
static void block_split(struct table *t, const struct hash_seed *seed, uint64_t hash,
			struct block *block, struct retire *r)
{
	struct directory *dir = directory_thaw(t, r);
	uint8_t *sides = mem_alloc(block->buckets);
	uint32_t upper = block_sides(block, seed, sides);
	uint32_t lower = block_count(block) - upper;
	struct block *halves[2] = {
		block_new(buckets_for(lower, 100), block->depth + 1, r),
		block_new(buckets_for(upper, 100), block->depth + 1, r),
	};
	uint64_t bit = 1ull << (63 - block->depth);

	for (uint32_t i = 0; i < block->buckets; i++) {
		for (uint32_t j = 0; j < TABLE_BUCKET_WORDS; j++) {
			uint64_t word = word_load(&block->bucket[i].words[j]);
			if (word)
				block_adopt(halves[sides[i] >> j & 1], word, &block->bucket[i]);
		}
	}
	mem_free(sides, block->buckets);
	if (!dir || dir->depth == block->depth)
		dir = directory_double(t, r);
	if (dir->depth == block->depth + 1)
		dir->deepest += 2;
	block_publish(t, hash & ~bit, halves[0], r);
	block_publish(t, hash | bit, halves[1], r);
	block_retire(block, r);
}

void table_grow(struct table *t, const struct hash_seed *seed, uint64_t hash, struct retire *r)
{
	struct block *block = word_ptr(root_block(word_load(&t->root), hash));
	uint32_t buckets = buckets_up(block->buckets);

	if (buckets <= TABLE_BLOCK_BUCKETS_MAX || block->depth == TABLE_DEPTH_MAX)
		block_resize(t, hash, block, buckets, r);
	else
		block_split(t, seed, hash, block, r);
}

/* --- reserving --- */

/*
 * Hashes spread unevenly: a block gets so many entries more than the mean, in percent, before most
 * blocks would have to grow all the same.
 */
#define RESERVE_SPREAD 8

/* A directory of that depth, each place with a block of its own, in an empty table. */
static void directory_begin(struct table *t, uint32_t depth, uint32_t buckets,
			    const struct retire *r)
{
	struct directory *dir = directory_new(depth, 0, r);

	dir->deepest = 1u << depth;
	for (uint64_t i = 0; i < 1ull << depth; i++)
		atomic_init(&dir->places[i], block_word(block_new(buckets, depth, r)));
	directory_publish(t, dir);
}

void table_reserve(struct table *t, uint64_t entries, const struct retire *r)
{
	uint64_t wanted = entries + entries / 100 * RESERVE_SPREAD;
	uint32_t depth = 0;

	if (word_load(&t->root))
		return;
	while (depth < TABLE_DEPTH_MAX && wanted >> depth > block_limit(TABLE_BLOCK_BUCKETS_MAX))
		depth++;
	uint64_t each = wanted >> depth;
	if (each > block_limit(TABLE_BLOCK_BUCKETS_MAX))
		each = block_limit(TABLE_BLOCK_BUCKETS_MAX);
	uint32_t buckets = buckets_for((uint32_t)each, 100);
	if (buckets > TABLE_BLOCK_BUCKETS_MAX)
		buckets = TABLE_BLOCK_BUCKETS_MAX;
	if (depth > 0)
		directory_begin(t, depth, buckets, r);
	else
		word_store(&t->root, block_word(block_new(buckets, 0, r)));
}

/* --- shrinking --- */

/* The block that shares all but the last bit of this one's range; NULL when that range is split. */
static struct block *block_buddy(const struct directory *dir, uint64_t hash,
				 const struct block *block)
{
	uint64_t places = 1ull << (dir->depth - block->depth);
	uint64_t place = hash_place(hash, dir->depth) ^ places;
	struct block *buddy = word_ptr(word_load(&dir->places[place]));

	return buddy->depth == block->depth ? buddy : NULL;
}

/* Merges a block with its buddy when both are nearly empty. True when that was done. */
static bool block_merge(struct table *t, uint64_t hash, struct block *block, struct retire *r)
{
	if (!table_directory(t) || block_count(block) >= BLOCK_MERGE_COUNT)
		return false;
	struct directory *dir = directory_thaw(t, r);
	struct block *buddy = block_buddy(dir, hash, block);
	if (!buddy || block_count(block) + block_count(buddy) >= BLOCK_MERGE_COUNT)
		return false;
	uint32_t count = block_count(block) + block_count(buddy);
	struct block *merged = block_new(buckets_for(count, 60), block->depth - 1, r);
	block_adopt_all(merged, block);
	block_adopt_all(merged, buddy);
	block_publish(t, hash, merged, r);
	block_retire(block, r);
	block_retire(buddy, r);
	if (dir->depth == block->depth) {
		dir->deepest -= 2;
		if (dir->deepest == 0)
			directory_halve(t, r);
	}
	return true;
}

void table_shrink(struct table *t, uint64_t hash, struct retire *r)
{
	struct block *block = word_ptr(root_block(word_load(&t->root), hash));

	while (block_merge(t, hash, block, r))
		block = word_ptr(root_block(word_load(&t->root), hash));
	if (block_count(block) == 0 && !table_directory(t)) {
		word_store(&t->root, 0);
		block_retire(block, r);
	} else if (block_count(block) < block_floor(block->buckets)) {
		block_resize(t, hash, block, buckets_for(block_count(block), 60), r);
	}
}
