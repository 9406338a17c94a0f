/*
 * Inside a table: blocks, buckets, the directory. For table*.c (and their test) alone.
 *
 * A block word is what stands in the root of a small table and in the places of a directory: the
 * number of buckets on top, below it the address of the block. A reader that has the word has all
 * it needs to go straight to the home bucket; it never looks at the block's header.
 *
 * Order of memory. Readers load the root, places, words and metas with acquire, the holder stores
 * them with release, after whatever they lead to is complete. The fields without _Atomic are
 * constant in one version of a block or directory, or belong to the holder.
 */
#ifndef SHARD_TABLE_BLOCK_H
#define SHARD_TABLE_BLOCK_H

#include "shard/table.h"

#include <assert.h>

#if defined(__has_feature)
#define TABLE_HAS_FEATURE(feature) __has_feature(feature)
#else
#define TABLE_HAS_FEATURE(feature) 0
#endif
/* The vector version reads words without atomics, which ThreadSanitizer rightly dislikes. */
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__) && !TABLE_HAS_FEATURE(thread_sanitizer)
#define TABLE_SSE2
#include <emmintrin.h>
#endif

/*
 * In a word: the tag on top. In a block word: the number of buckets. In the root of a directory:
 * its depth.
 */
#define WORD_TOP_SHIFT 48
/* The lowest bit of a pointer to an entry: it is struck out (table_strike). */
#define WORD_STRUCK   1ull
#define WORD_PTR_MASK (((1ull << WORD_TOP_SHIFT) - 1) & ~WORD_STRUCK)

/* In a meta: how far the home bucket's overflow reaches, then the earliest expiry. */
#define META_REACH_MASK   0xffffull
#define META_EXPIRE_SHIFT 16
#define META_EXPIRE_NEVER ((1ll << (64 - META_EXPIRE_SHIFT)) - 1)
#define META_EMPTY        ((uint64_t)META_EXPIRE_NEVER << META_EXPIRE_SHIFT)

struct bucket {
	_Atomic uint64_t words[TABLE_BUCKET_WORDS];
	_Atomic uint64_t meta;
} __attribute__((aligned(64)));

struct block {
	_Atomic uint32_t count;  /* words in use; written by the holder */
	uint32_t buckets;        /* constant */
	uint32_t depth;          /* top bits of the hash that all of its entries share; constant */
	uint64_t born;           /* the epoch in which it was made (freeze.h); constant */
	_Atomic int64_t expire_earliest; /* no bucket has an earlier one; written by the holder, relaxed */
	struct bucket bucket[];
} __attribute__((aligned(64)));

struct directory {
	_Atomic uint64_t count; /* entries in all blocks; written by the holder */
	uint32_t depth;         /* constant */
	uint32_t deepest;       /* blocks of this very depth; holder only */
	uint64_t born;          /* as of blocks */
	_Atomic uint64_t places[];
};

_Static_assert(sizeof(struct bucket) == 64 && sizeof(struct block) == 64, "one line each");

/* --- words --- */

static inline uint64_t word_load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_acquire);
}

static inline void word_store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
}

static inline uint64_t word_make(uint64_t top, const void *ptr)
{
	assert(((uintptr_t)ptr & ~WORD_PTR_MASK) == 0);
	return top << WORD_TOP_SHIFT | (uintptr_t)ptr;
}

static inline uint64_t word_top(uint64_t word)
{
	return word >> WORD_TOP_SHIFT;
}

static inline void *word_ptr(uint64_t word)
{
	return (void *)(uintptr_t)(word & WORD_PTR_MASK);
}

static inline uint64_t hash_tag(uint64_t hash)
{
	return hash & 0xffff;
}

static inline uint32_t tag_home(uint64_t tag, uint32_t buckets)
{
	return tag * buckets >> 16;
}

/* --- metas --- */

static inline uint32_t meta_reach(uint64_t meta)
{
	return meta & META_REACH_MASK;
}

static inline int64_t meta_expire(uint64_t meta)
{
	return meta >> META_EXPIRE_SHIFT;
}

static inline uint64_t meta_make(uint32_t reach, int64_t expire)
{
	if (expire < 0)
		expire = 0;
	if (expire > META_EXPIRE_NEVER)
		expire = META_EXPIRE_NEVER;
	return (uint64_t)expire << META_EXPIRE_SHIFT | reach;
}

/* --- buckets --- */

/*
 * Bit i is set when word i has this tag. (With tag 0 free words match as well.)
 *
 * The vector loads are not atomic as C knows it, but on x86 each aligned half of them is, and loads
 * are not reordered: it reads the words as seven acquire loads would.
 */
static inline uint32_t bucket_match(const struct bucket *b, uint64_t tag)
{
#ifdef TABLE_SSE2
	const __m128 *words = (const __m128 *)b;
	__m128i low = _mm_castps_si128(_mm_shuffle_ps(words[0], words[1], _MM_SHUFFLE(3, 1, 3, 1)));
	__m128i high =
		_mm_castps_si128(_mm_shuffle_ps(words[2], words[3], _MM_SHUFFLE(3, 1, 3, 1)));
	__m128i tags = _mm_packs_epi32(_mm_srai_epi32(low, 16), _mm_srai_epi32(high, 16));
	__m128i same = _mm_cmpeq_epi16(tags, _mm_set1_epi16((short)tag));
	return _mm_movemask_epi8(_mm_packs_epi16(same, same)) & ((1u << TABLE_BUCKET_WORDS) - 1);
#else
	uint32_t mask = 0;
	for (uint32_t i = 0; i < TABLE_BUCKET_WORDS; i++)
		mask |= (uint32_t)(word_top(word_load(&b->words[i])) == tag) << i;
	return mask;
#endif
}

/* The index of a free word, or -1. Holder. */
static inline int bucket_free_word(const struct bucket *b)
{
	for (int i = 0; i < TABLE_BUCKET_WORDS; i++) {
		if (atomic_load_explicit(&b->words[i], memory_order_relaxed) == 0)
			return i;
	}
	return -1;
}

/* --- blocks --- */

static inline size_t block_size(uint32_t buckets)
{
	return sizeof(struct block) + buckets * sizeof(struct bucket);
}

static inline uint32_t block_count(const struct block *block)
{
	return atomic_load_explicit(&block->count, memory_order_relaxed);
}

static inline int64_t block_expire_earliest(const struct block *block)
{
	return atomic_load_explicit(&block->expire_earliest, memory_order_relaxed);
}

static inline void block_set_expire_earliest(struct block *block, int64_t expire)
{
	atomic_store_explicit(&block->expire_earliest, expire, memory_order_relaxed);
}

/* How many entries a block takes before it grows; a tiny one may fill up. */
static inline uint32_t block_limit(uint32_t buckets)
{
	uint32_t words = buckets * TABLE_BUCKET_WORDS;

	return buckets <= 2 ? words : words * TABLE_FILL_MAX / 128;
}

/* With fewer entries than this a block is made smaller. */
static inline uint32_t block_floor(uint32_t buckets)
{
	return buckets > 1 ? buckets * TABLE_BUCKET_WORDS / 4 : 0;
}

/* Two buddies that have fewer entries than this together become one block. */
#define BLOCK_MERGE_COUNT (TABLE_BLOCK_BUCKETS_MAX * TABLE_BUCKET_WORDS / 4)

/* The home bucket of a hash in the block of a block word. */
static inline struct bucket *block_home(uint64_t block_word, uint64_t hash)
{
	struct block *block = word_ptr(block_word);

	return &block->bucket[tag_home(hash_tag(hash), word_top(block_word))];
}

/* The bucket `distance` after `home`, round the end. */
static inline uint32_t bucket_after(uint32_t home, uint32_t distance, uint32_t buckets)
{
	uint32_t i = home + distance;

	return i < buckets ? i : i - buckets;
}

/* --- roots and directories --- */

static inline bool root_is_directory(uint64_t root)
{
	return root >= TABLE_DIRECTORY << WORD_TOP_SHIFT;
}

static inline uint32_t root_depth(uint64_t root)
{
	return word_top(root) - TABLE_DIRECTORY;
}

static inline size_t directory_size(uint32_t depth)
{
	return sizeof(struct directory) + (sizeof(uint64_t) << depth);
}

/* The place in a directory; depth is at least 1. */
static inline uint64_t hash_place(uint64_t hash, uint32_t depth)
{
	return hash >> (64 - depth);
}

/* The block word for a hash; `root` is not 0. */
static inline uint64_t root_block(uint64_t root, uint64_t hash)
{
	if (__builtin_expect(!root_is_directory(root), 1))
		return root;
	const struct directory *dir = word_ptr(root);
	return word_load(&dir->places[hash_place(hash, root_depth(root))]);
}

/* --- table_grow.c; holder only; old versions go to `r` --- */

/* A new block of one bucket for an empty table, published. */
void table_begin(struct table *t, const struct retire *r);

/*
 * The hash's block, to be changed: where it is frozen a copy, whose words have the same places,
 * stands in for it from here on.
 */
struct block *block_thaw_slow(struct table *t, uint64_t hash, struct block *block,
			      struct retire *r);

static inline struct block *block_thaw(struct table *t, uint64_t hash, struct block *block,
				       struct retire *r)
{
	return unit_frozen(&r->unit, block->born) ? block_thaw_slow(t, hash, block, r) : block;
}

/* The same for the table's directory; NULL where it has none. */
struct directory *directory_thaw(struct table *t, struct retire *r);

/* The hash's block is full: makes it larger or splits it. (It may have to be done again.) */
void table_grow(struct table *t, const struct hash_seed *seed, uint64_t hash, struct retire *r);

/* An entry was removed from the hash's block: makes it smaller, merges it, or gives it back. */
void table_shrink(struct table *t, uint64_t hash, struct retire *r);

/* An entry with this expiry is about to stand in bucket `at`. */
void bucket_note_expire(struct block *block, uint32_t at, int64_t expire);

/* Stores a word in a block that has room for it: the home bucket, or the next one that has. */
void block_insert(struct block *block, uint64_t word, int64_t expire);

#endif
