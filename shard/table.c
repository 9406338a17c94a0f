/*
 * Tables: finding, putting, removing. (Changing the size of blocks: table_grow.c. Going over all
 * entries: table_walk.c.)
 *
 * The way of a lookup: the root word names the block and its size, the tag the home bucket, whose
 * seven tags are compared at once; for each equal one (a wrong one every 10,000 lookups) the key is
 * compared. Three cache misses on a cold table: root, bucket, entry. Where the home bucket was
 * full, its meta says how many of the following buckets its entries reach into.
 *
 * Why a reader never misses an entry that is there all the time, whatever the holder does
 * meanwhile: within the version of the block that it loaded the entry doesn't move; an overwrite
 * stores the same word; and at no moment is the home bucket's reach less than the distance of any
 * of its words: insert raises it before it stores the word, remove clears its word and then lowers
 * the reach to what the others need. A newer version, if there is one by now, was made from this
 * one, which has not changed since.
 */
#include "shard/table.h"

#include "shard/table_block.h"

#define unlikely(x) __builtin_expect(!!(x), 0)

/* Where the holder found something: a word in a bucket of a block. */
struct found {
	struct block *block;
	_Atomic uint64_t *word;
	uint32_t bucket;
	uint32_t home;
};

static inline uint64_t load_64(const char *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

static inline uint32_t load_32(const char *p)
{
	uint32_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

/*
 * Whether two keys of one length from 4 to KEY_INLINE_MAX are the same: two or four words that may
 * overlap, and no call, so that table_find() needs no stack. False for other lengths.
 */
#define KEY_INLINE_MAX 32

static inline bool inline_equal(const char *a, const char *b, size_t len)
{
	if (len < 8)
		return len >= 4 && load_32(a) == load_32(b) &&
		       load_32(a + len - 4) == load_32(b + len - 4);
	if (len > KEY_INLINE_MAX || load_64(a) != load_64(b) ||
	    load_64(a + len - 8) != load_64(b + len - 8))
		return false;
	return len <= 16 ||
	       (load_64(a + 8) == load_64(b + 8) && load_64(a + len - 16) == load_64(b + len - 16));
}

/* The entry of that key in this bucket, and (unless NULL) the word that leads to it; or NULL. */
static inline struct entry *bucket_find(const struct bucket *b, uint64_t tag, struct slice key,
					const _Atomic uint64_t **word)
{
	for (uint32_t mask = bucket_match(b, tag); mask; mask &= mask - 1) {
		const _Atomic uint64_t *at = &b->words[__builtin_ctz(mask)];
		/* It may have been cleared or replaced since: the key decides. */
		struct entry *e = word_ptr(word_load(at));
		if (e && slice_equal(entry_key(e), key)) {
			if (word)
				*word = at;
			return e;
		}
	}
	return NULL;
}

/* The same over the buckets that the home bucket reaches into. */
static __attribute__((noinline)) struct entry *
overflow_find(uint64_t block_word, uint64_t hash, struct slice key, const _Atomic uint64_t **word)
{
	const struct block *block = word_ptr(block_word);
	uint32_t home = tag_home(hash_tag(hash), word_top(block_word));
	uint32_t reach = meta_reach(word_load(&block->bucket[home].meta));

	for (uint32_t i = 1; i <= reach; i++) {
		uint32_t next = bucket_after(home, i, word_top(block_word));
		struct entry *e = bucket_find(&block->bucket[next], hash_tag(hash), key, word);
		if (e)
			return e;
	}
	return NULL;
}

/*
 * The whole of a lookup: the first equal tag was not the key's, or the key is not of the usual
 * length.
 */
static __attribute__((noinline)) struct entry *block_find(uint64_t block_word, uint64_t hash,
							  struct slice key)
{
	const struct bucket *b = block_home(block_word, hash);
	struct entry *e = bucket_find(b, hash_tag(hash), key, NULL);

	return e ? e : overflow_find(block_word, hash, key, NULL);
}

struct entry *table_find(const struct table *t, uint64_t hash, struct slice key)
{
	uint64_t root = word_load(&t->root);

	if (unlikely(!root))
		return NULL;
	uint64_t word = root_block(root, hash);
	const struct bucket *b = block_home(word, hash);
	uint32_t mask = bucket_match(b, hash_tag(hash));
	if (mask) {
		struct entry *e = word_ptr(word_load(&b->words[__builtin_ctz(mask)]));
		struct slice own = e ? entry_key(e) : (struct slice){0};
		if (own.len == key.len && inline_equal(own.ptr, key.ptr, key.len))
			return e;
		return block_find(word, hash, key);
	}
	if (meta_reach(word_load(&b->meta)))
		return overflow_find(word, hash, key, NULL);
	return NULL;
}

/*
 * The word of an entry in this block; by its address, for what was struck out beside it may be
 * gone. NULL: none.
 */
static _Atomic uint64_t *word_of(uint64_t block_word, uint64_t hash, const struct entry *e)
{
	struct block *block = word_ptr(block_word);
	uint64_t word = word_make(hash_tag(hash), e);
	uint32_t home = tag_home(hash_tag(hash), word_top(block_word));
	uint32_t reach = meta_reach(word_load(&block->bucket[home].meta));

	for (uint32_t i = 0; i <= reach; i++) {
		struct bucket *b = &block->bucket[bucket_after(home, i, word_top(block_word))];
		for (uint32_t mask = bucket_match(b, hash_tag(hash)); mask; mask &= mask - 1)
			if (word_load(&b->words[__builtin_ctz(mask)]) == word)
				return &b->words[__builtin_ctz(mask)];
	}
	return NULL;
}

bool table_is_later(uint64_t root, uint64_t hash, const struct entry *e)
{
	return !(e->flags & ENTRY_STRUCTURE) && !(root && word_of(root_block(root, hash), hash, e));
}

void table_strike(uint64_t root, uint64_t hash, const struct entry *e)
{
	_Atomic uint64_t *word = word_of(root_block(root, hash), hash, e);

	assert(word);
	word_store(word, word_load(word) | WORD_STRUCK);
}

void table_prefetch_bucket(const struct table *t, uint64_t hash)
{
	uint64_t root = word_load(&t->root);

	if (root)
		__builtin_prefetch(block_home(root_block(root, hash), hash));
}

/*
 * Most entries fit one line but may begin anywhere in it: fetches the lines of their first 64
 * bytes. Nothing that matches, but an overflow: most likely it is in the next bucket.
 */
void table_prefetch_entry(const struct table *t, uint64_t hash)
{
	uint64_t root = word_load(&t->root);

	if (!root)
		return;
	uint64_t word = root_block(root, hash);
	const struct bucket *b = block_home(word, hash);
	uint32_t mask = bucket_match(b, hash_tag(hash));
	if (mask) {
		const char *e = word_ptr(word_load(&b->words[__builtin_ctz(mask)]));
		__builtin_prefetch(e);
		__builtin_prefetch(e + 63);
	} else if (meta_reach(word_load(&b->meta))) {
		__builtin_prefetch(
			b + 1); /* or the first one: then this is the block's end, no matter */
	}
}

void table_visit_hash(const struct table *t, uint64_t hash,
		      void (*visit)(void *arg, struct entry *e), void *arg)
{
	uint64_t root = word_load(&t->root);

	if (!root)
		return;
	uint64_t block_word = root_block(root, hash);
	const struct block *block = word_ptr(block_word);
	uint32_t home = tag_home(hash_tag(hash), word_top(block_word));
	uint32_t reach = meta_reach(word_load(&block->bucket[home].meta));
	for (uint32_t i = 0; i <= reach; i++) {
		const struct bucket *b =
			&block->bucket[bucket_after(home, i, word_top(block_word))];
		for (uint32_t mask = bucket_match(b, hash_tag(hash)); mask; mask &= mask - 1) {
			struct entry *e = word_ptr(word_load(&b->words[__builtin_ctz(mask)]));
			if (e)
				visit(arg, e);
		}
	}
}

/* Holder. NULL: not there; found->block is where it belongs. The table is not empty. */
static struct entry *table_locate(struct table *t, uint64_t hash, struct slice key,
				  struct found *found)
{
	uint64_t word = root_block(word_load(&t->root), hash);
	const _Atomic uint64_t *at;
	struct bucket *b;
	struct entry *e;

	found->block = word_ptr(word);
	found->home = tag_home(hash_tag(hash), word_top(word));
	b = &found->block->bucket[found->home];
	e = bucket_find(b, hash_tag(hash), key, &at);
	if (!e && meta_reach(word_load(&b->meta)))
		e = overflow_find(word, hash, key, &at);
	if (e) {
		found->word = (_Atomic uint64_t *)at;
		found->bucket = ((char *)at - (char *)found->block->bucket) / sizeof(*b);
	}
	return e;
}

/* What was found is about to be changed: in the block that may be. */
static inline void found_thaw(struct table *t, uint64_t hash, struct found *found, struct retire *r)
{
	struct block *block = block_thaw(t, hash, found->block, r);

	if (block == found->block)
		return;
	found->word =
		(_Atomic uint64_t *)((char *)block + ((char *)found->word - (char *)found->block));
	found->block = block;
}

static void table_count_add(struct table *t, struct block *block, int n, struct retire *r)
{
	atomic_store_explicit(&block->count, block_count(block) + n, memory_order_relaxed);
	if (root_is_directory(word_load(&t->root))) {
		struct directory *dir = directory_thaw(t, r);
		uint64_t count = atomic_load_explicit(&dir->count, memory_order_relaxed);
		atomic_store_explicit(&dir->count, count + n, memory_order_relaxed);
	}
}

struct entry *table_put(struct table *t, const struct hash_seed *seed, uint64_t hash,
			struct entry *e, struct retire *r)
{
	uint64_t word = word_make(hash_tag(hash), e);
	struct entry *old;
	struct found found;

	if (!word_load(&t->root))
		table_begin(t, r);
	old = table_locate(t, hash, entry_key(e), &found);
	if (old) {
		found_thaw(t, hash, &found, r);
		bucket_note_expire(found.block, found.bucket, entry_due(e));
		word_store(found.word, word);
		return old;
	}
	while (block_count(found.block) >= block_limit(found.block->buckets)) {
		table_grow(t, seed, hash, r);
		found.block = word_ptr(root_block(word_load(&t->root), hash));
	}
	found.block = block_thaw(t, hash, found.block, r);
	block_insert(found.block, word, entry_due(e));
	table_count_add(t, found.block, 1, r);
	return NULL;
}

void table_note_due(struct table *t, uint64_t hash, struct slice key, int64_t due)
{
	struct found found;

	if (!word_load(&t->root) || !table_locate(t, hash, key, &found))
		assert(!"there is no entry of that key");
	bucket_note_expire(found.block, found.bucket, due);
}

/*
 * How far the words of a home bucket really reach, which was `reach` before one of them was
 * removed.
 */
static uint32_t block_reach(const struct block *block, uint32_t home, uint32_t reach)
{
	for (; reach > 0; reach--) {
		const struct bucket *b = &block->bucket[bucket_after(home, reach, block->buckets)];
		for (int i = 0; i < TABLE_BUCKET_WORDS; i++) {
			uint64_t word = atomic_load_explicit(&b->words[i], memory_order_relaxed);
			if (word && tag_home(word_top(word), block->buckets) == home)
				return reach;
		}
	}
	return 0;
}

struct entry *table_remove(struct table *t, const struct hash_seed *seed, uint64_t hash,
			   struct slice key, struct retire *r)
{
	struct entry *e;
	struct found found;

	if (!word_load(&t->root))
		return NULL;
	e = table_locate(t, hash, key, &found);
	if (!e)
		return NULL;
	found_thaw(t, hash, &found, r);
	word_store(found.word, 0);
	if (found.bucket != found.home) {
		struct bucket *home = &found.block->bucket[found.home];
		uint64_t meta = word_load(&home->meta);
		uint32_t reach = block_reach(found.block, found.home, meta_reach(meta));
		word_store(&home->meta, (meta & ~META_REACH_MASK) | reach);
	}
	table_count_add(t, found.block, -1, r);
	table_shrink(t, hash, r);
	return e;
}
