/*
 * Tables: going over all entries. Scans and samples for readers; the expiry sweep and freeing for
 * the holder.
 */
#include "proto/mem.h"
#include "shard/table_block.h"

/*
 * Ranges of hashes are named by their first TABLE_DEPTH_MAX bits here, whatever the depth of the
 * directory happens to be at the moment.
 */
#define PREFIX_COUNT (1u << TABLE_DEPTH_MAX)

/* The block whose range a prefix is in, and the range. */
struct span {
	const struct block *block;
	uint32_t buckets;
	uint32_t first; /* prefix */
	uint32_t count; /* prefixes */
};

static struct span span_at(uint64_t root, uint32_t prefix)
{
	uint64_t word = root_block(root, (uint64_t)prefix << (64 - TABLE_DEPTH_MAX));
	const struct block *block = word_ptr(word);
	uint32_t count = PREFIX_COUNT >> block->depth;

	return (struct span){block, word_top(word), prefix & ~(count - 1), count};
}

size_t table_count(const struct table *t)
{
	uint64_t root = word_load(&t->root);

	if (!root)
		return 0;
	if (!root_is_directory(root))
		return block_count(word_ptr(root));
	const struct directory *dir = word_ptr(root);
	return atomic_load_explicit(&dir->count, memory_order_relaxed);
}

size_t table_memory(const struct table *t)
{
	uint64_t root = word_load(&t->root);
	size_t size = 0;
	struct span span;

	if (!root)
		return 0;
	for (uint32_t at = 0; at < PREFIX_COUNT; at = span.first + span.count) {
		span = span_at(root, at);
		size += mem_class(block_size(span.buckets));
	}
	return root_is_directory(root) ? size + mem_class(directory_size(root_depth(root))) : size;
}

void table_visit_counted(void *visits, struct entry *e)
{
	struct table_visits *v = visits;

	v->count++;
	v->visit(v->arg, e);
}

static size_t bucket_count_expired(const struct bucket *b, int64_t now)
{
	size_t count = 0;

	for (uint32_t i = 0; i < TABLE_BUCKET_WORDS; i++) {
		const struct entry *e = word_ptr(word_load(&b->words[i]));
		count += e && entry_expired(e, now);
	}
	return count;
}

static size_t block_count_expired(const struct span *span, int64_t now)
{
	size_t count = 0;

	for (uint32_t i = 0; i < span->buckets; i++) {
		const struct bucket *b = &span->block->bucket[i];
		if (meta_expire(word_load(&b->meta)) <= now)
			count += bucket_count_expired(b, now);
	}
	return count;
}

size_t table_count_expired(const struct table *t, uint32_t *from, int64_t now)
{
	uint64_t root = word_load(&t->root);
	uint32_t prefix = *from;

	*from = 0;
	if (!root)
		return 0;
	struct span span = span_at(root, prefix);
	if (span.first + span.count < PREFIX_COUNT)
		*from = span.first + span.count;
	return block_expire_earliest(span.block) <= now ? block_count_expired(&span, now) : 0;
}

/* --- scan --- */

/*
 * A position is a mark and a tag, mark << 16 | tag. The mark names a range of hashes, as a block of
 * depth d has one: its d bits, a one, and zeros up to TABLE_DEPTH_MAX + 1 bits. It means:
 *
 *   (*) seen is every entry before the range, and in the range every one whose tag is less.
 *
 * Why nothing that is there all the time is left out: a call at (range R, tag T) keeps (*) true,
 * whatever became of the table since. It looks up the block that has R's first prefix now; let B be
 * its range. Ranges are nested or disjoint, so there are three cases.
 *   T = 0     Nothing is claimed for R yet: it may as well be any range that begins where R
 *             does. The largest one within B is taken.
 *   B < R     R was split, and B is its first part: it is taken for R, and less is claimed.
 *   B >= R    (B > R when R was merged with others since.) R stays.
 * Now R is in B, and the call visits the home of T in B, which has all tags from T on (or from
 * before it) up to the first one of the next home: homes are in the order of tags, whatever the
 * number of buckets. So (*) is true of R and that tag; after the last home of all of R, and the
 * next range begins at tag 0 where R ends.
 *
 * And why it ends: from call to call the beginning of R grows, or stays and the tag grows.
 */
static uint64_t position_make(uint32_t first, uint32_t count, uint32_t tag)
{
	return (uint64_t)(2 * first + count) << 16 | tag;
}

/* `without`: words with any of these bits are left out. */
static void bucket_visit(const struct bucket *b, uint32_t home, uint32_t buckets, uint64_t without,
			 void (*visit)(void *arg, struct entry *e), void *arg)
{
	for (uint32_t i = 0; i < TABLE_BUCKET_WORDS; i++) {
		uint64_t word = word_load(&b->words[i]);
		if (word && !(word & without) && tag_home(word_top(word), buckets) == home)
			visit(arg, word_ptr(word));
	}
}

static void home_visit(const struct span *span, uint32_t home, uint64_t without,
		       void (*visit)(void *arg, struct entry *e), void *arg)
{
	uint32_t reach = meta_reach(word_load(&span->block->bucket[home].meta));

	for (uint32_t i = 0; i <= reach; i++) {
		uint32_t at = bucket_after(home, i, span->buckets);
		bucket_visit(&span->block->bucket[at], home, span->buckets, without, visit, arg);
	}
}

/* Positions come from clients: any number is a valid one. */
static uint64_t scan(const struct table *t, uint64_t position, uint64_t without,
		     void (*visit)(void *arg, struct entry *e), void *arg)
{
	uint64_t root = word_load(&t->root);
	uint32_t mark = position >> 16 & (2 * PREFIX_COUNT - 1);
	uint32_t tag = hash_tag(position);
	uint32_t count = mark & -mark; /* as many prefixes are in the range as the one says */
	uint32_t first = (mark - count) / 2;

	if (!root)
		return TABLE_END;
	struct span span = span_at(root, first);
	if (tag == 0 || count == 0) {
		tag = 0;
		count = first == span.first ? span.count : first & -first;
	} else if (span.count < count) {
		count = span.count;
	}
	uint32_t home = tag_home(tag, span.buckets);
	home_visit(&span, home, without, visit, arg);
	if (home + 1 < span.buckets) {
		uint32_t next = (((home + 1) << 16) + span.buckets - 1) / span.buckets;
		return position_make(first, count, next);
	}
	return first + count == PREFIX_COUNT ? TABLE_END : position_make(first + count, 1, 0);
}

uint64_t table_scan(const struct table *t, uint64_t position,
		    void (*visit)(void *arg, struct entry *e), void *arg)
{
	return scan(t, position, 0, visit, arg);
}

uint64_t table_scan_frozen(uint64_t root, uint64_t position,
			   void (*visit)(void *arg, struct entry *e), void *arg)
{
	const struct table table = {root};

	return scan(&table, position, WORD_STRUCK, visit, arg);
}

/* --- random --- */

/*
 * Places that are tried before the next best entry is taken: even a quarter full one is hit by
 * then.
 */
#define RANDOM_TRIES 64

/* One step of splitmix64. */
static uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/*
 * The entry at a place chosen evenly among those that blocks may have: NULL when there is no such
 * place, or nothing in it. A block that stands for several prefixes counts by the first alone, a
 * short one as if it were filled up with empty buckets: so each word of the table is as likely as
 * any other.
 */
static struct entry *random_try(uint64_t root, uint64_t *state)
{
	uint32_t depth = root_is_directory(root) ? root_depth(root) : 0;
	uint32_t place = (random_next(state) >> 32) & ((1u << depth) - 1);
	uint32_t prefix = place << (TABLE_DEPTH_MAX - depth);
	struct span span = span_at(root, prefix);
	uint32_t buckets = span.buckets;

	if (span.first != prefix)
		return NULL;
	if (depth > 0 && buckets < TABLE_BLOCK_BUCKETS_MAX)
		buckets = TABLE_BLOCK_BUCKETS_MAX;
	uint32_t at = (random_next(state) >> 32) * (buckets * TABLE_BUCKET_WORDS) >> 32;
	if (at / TABLE_BUCKET_WORDS >= span.buckets)
		return NULL;
	const struct bucket *b = &span.block->bucket[at / TABLE_BUCKET_WORDS];
	return word_ptr(word_load(&b->words[at % TABLE_BUCKET_WORDS]));
}

static void last_visit(void *arg, struct entry *e)
{
	*(struct entry **)arg = e;
}

/* The next entry after a random position, round the end. */
static struct entry *random_next_best(const struct table *t, uint64_t random)
{
	uint64_t position = random;
	struct entry *e = NULL;

	while (!e && position != TABLE_END)
		position = table_scan(t, position, last_visit, &e);
	for (position = 0; !e && position != TABLE_END;)
		position = table_scan(t, position, last_visit, &e);
	return e;
}

struct entry *table_random(const struct table *t, uint64_t random)
{
	uint64_t root = word_load(&t->root);

	if (!root)
		return NULL;
	for (int i = 0; i < RANDOM_TRIES; i++) {
		struct entry *e = random_try(root, &random);
		if (e)
			return e;
	}
	return random_next_best(t, random_next(&random));
}

/* --- sweep --- */

struct sweep {
	struct table *t;
	int64_t now;
	size_t left;
	void (*expired)(void *arg, struct entry *e);
	void *arg;
};

/* What really expires first in a bucket. */
static int64_t bucket_earliest(const struct bucket *b)
{
	int64_t earliest = META_EXPIRE_NEVER;

	for (uint32_t i = 0; i < TABLE_BUCKET_WORDS; i++) {
		const struct entry *e = word_ptr(word_load(&b->words[i]));
		if (e && entry_due(e) < earliest)
			earliest = entry_due(e);
	}
	return earliest;
}

/*
 * Sweeps one bucket that is due, and corrects what it says. False when the block is no longer the
 * table's: a removal replaced it. (The old version is still there to be read: nothing that the
 * holder retires goes away under it.)
 */
static bool sweep_bucket(struct sweep *s, struct block *block, struct bucket *b, uint32_t prefix)
{
	struct entry *due[TABLE_BUCKET_WORDS];
	size_t count = 0;

	for (uint32_t i = 0; i < TABLE_BUCKET_WORDS && count < s->left; i++) {
		struct entry *e = word_ptr(word_load(&b->words[i]));
		if (e && entry_due(e) <= s->now)
			due[count++] = e;
	}
	s->left -= count;
	for (size_t i = 0; i < count; i++)
		s->expired(s->arg, due[i]);
	uint64_t root = word_load(&s->t->root);
	if (!root || span_at(root, prefix).block != block)
		return false;
	word_store(&b->meta, meta_make(meta_reach(word_load(&b->meta)), bucket_earliest(b)));
	return true;
}

/* Sweeps the block of a prefix; false when it was replaced and has to be looked at again. */
static bool sweep_block(struct sweep *s, struct block *block, uint32_t prefix)
{
	int64_t earliest = META_EXPIRE_NEVER;

	if (block_expire_earliest(block) > s->now)
		return true;
	for (uint32_t i = 0; i < block->buckets; i++) {
		struct bucket *b = &block->bucket[i];
		if (meta_expire(word_load(&b->meta)) <= s->now && s->left > 0 &&
		    !sweep_bucket(s, block, b, prefix))
			return false;
		if (meta_expire(word_load(&b->meta)) < earliest)
			earliest = meta_expire(word_load(&b->meta));
	}
	block_set_expire_earliest(block, earliest);
	return true;
}

/*
 * Block by block, in the order of prefixes. Removals may merge blocks and change the directory on
 * the way: then the block that has the prefix now is swept from its start (what was swept before is
 * not due any more, and passed over).
 */
bool table_sweep_blocks(struct table *t, uint32_t *from, uint32_t blocks, int64_t now, size_t max,
			void (*expired)(void *arg, struct entry *e), void *arg, int64_t *earliest)
{
	struct sweep s = {t, now, max, expired, arg};
	uint32_t prefix = *from;
	uint64_t root;

	while (prefix < PREFIX_COUNT && (root = word_load(&t->root))) {
		if (s.left == 0 || blocks == 0) {
			*from = prefix;
			return false;
		}
		struct span span = span_at(root, prefix);
		struct block *block = (struct block *)span.block;
		if (!sweep_block(&s, block, prefix))
			continue;
		int64_t left = block_expire_earliest(block);
		if (left < *earliest && left != META_EXPIRE_NEVER)
			*earliest = left;
		prefix = span.first + span.count;
		blocks--;
	}
	*from = 0;
	return true;
}

int64_t table_sweep_from(struct table *t, uint32_t *from, int64_t now, size_t max,
			 void (*expired)(void *arg, struct entry *e), void *arg)
{
	int64_t earliest = *from > 0 ? now : EXPIRE_NEVER;
	bool all = table_sweep_blocks(t, from, UINT32_MAX, now, max, expired, arg, &earliest);

	return all ? earliest : now;
}

int64_t table_sweep(struct table *t, int64_t now, size_t max,
		    void (*expired)(void *arg, struct entry *e), void *arg)
{
	uint32_t from = 0;

	return table_sweep_from(t, &from, now, max, expired, arg);
}

/* --- taking and freeing --- */

uint64_t table_take(struct table *t)
{
	uint64_t root = word_load(&t->root);

	word_store(&t->root, 0);
	return root;
}

/* A table that is being freed. */
struct freeing {
	size_t *budget;
	void (*later)(void *arg, struct entry *e);
	void *arg;
	size_t taken;
};

static void freeing_take(struct freeing *f, struct entry *e)
{
	f->taken++;
	*f->budget -= *f->budget > 0;
	if (f->later && (e->flags & ENTRY_STRUCTURE))
		f->later(f->arg, e);
	else
		entry_free(e);
}

/* Frees entries of a block from bucket *at on, and it when that was the last. */
static bool block_free_slice(struct freeing *f, struct block *block, uint32_t *at)
{
	while (*at<block->buckets && * f->budget> 0) {
		const struct bucket *b = &block->bucket[(*at)++];
		for (uint32_t i = 0; i < TABLE_BUCKET_WORDS; i++) {
			struct entry *e = word_ptr(word_load(&b->words[i]));
			if (e)
				freeing_take(f, e);
		}
	}
	if (*at < block->buckets)
		return false;
	mem_free(block, block_size(block->buckets));
	return true;
}

/*
 * *at is the next prefix << 16 | the next bucket. A block's places are read only before it is
 * freed.
 */
size_t table_free_slice(uint64_t root, uint64_t *at, size_t *budget,
			void (*later)(void *arg, struct entry *e), void *arg)
{
	struct freeing freeing = {budget, later, arg, 0};
	uint32_t prefix = *at >> 16;
	uint32_t bucket = *at & 0xffff;

	while (root && prefix<PREFIX_COUNT && * budget> 0) {
		struct span span = span_at(root, prefix);
		if (!block_free_slice(&freeing, (struct block *)span.block, &bucket))
			break;
		*budget -= *budget > 0; /* empty blocks cost as well */
		prefix = span.first + span.count;
		bucket = 0;
	}
	*at = (uint64_t)prefix << 16 | bucket;
	if (root && prefix < PREFIX_COUNT)
		return freeing.taken;
	if (root && root_is_directory(root))
		mem_free(word_ptr(root), directory_size(root_depth(root)));
	*at = TABLE_END;
	return freeing.taken;
}
