/*
 * Large sorted sets (zset.h): every change is made in the table and in the tree, one after the
 * other.
 */
#include "shard/zset.h"

#include "shard/turn.h"

#include "proto/mem.h"

#include <assert.h>

/*
 * Up to so many elements the tree's memory is counted, which takes some microseconds; for more ...
 */
#define MEASURE_COUNT 10000
/*
 * ... it is taken for this: a score and a pointer in leaves five sixths full, and what is above
 * them.
 */
#define TREE_BYTES_PER_ELEMENT 21

struct zset *zset_new(void)
{
	struct zset *z = mem_zalloc(sizeof(*z));
	atomic_init(&z->members.expire_earliest, EXPIRE_NEVER);
	return z;
}

bool zset_free_slice(struct zset *z, uint64_t *at, size_t *budget)
{
	uint64_t root = atomic_load_explicit(&z->members.table.root, memory_order_relaxed);
	if (root) {
		table_free_slice(root, at, budget, NULL, NULL);
		if (*at != TABLE_END)
			return false;
		table_take(&z->members.table);
	}
	if (!zset_tree_free_slice(&z->tree, budget))
		return false;
	mem_free(z, sizeof(*z));
	return true;
}

void zset_free(struct zset *z)
{
	uint64_t at = 0;
	size_t budget;
	if (!z)
		return;
	do
		budget = SIZE_MAX;
	while (!zset_free_slice(z, &at, &budget));
}

static uint64_t member_hash(const struct hash_seed *seed, struct slice member)
{
	return hash_bytes(seed, member.ptr, member.len);
}

static struct entry *element_new(struct slice member, double score)
{
	assert(score == score);
	struct entry_spec spec = {
		.key = member,
		.value = {(const char *)&score, sizeof(score)},
		.expire = EXPIRE_NEVER,
		.type = ENTRY_ZSET,
	};
	return entry_new(&spec);
}

const struct entry *zset_find(const struct zset *z, const struct hash_seed *seed,
			      struct slice member)
{
	return table_find(&z->members.table, member_hash(seed, member), member);
}

uint64_t zset_rank(const struct zset *z, const struct zset_cut *cut)
{
	struct zset_cursor c;
	zset_tree_seek(&z->tree, cut, &c);
	return zset_cursor_rank(&c);
}

const struct entry *zset_random(const struct zset *z, uint64_t random)
{
	uint64_t count = zset_count(z);
	struct zset_cursor c;
	if (count == 0 || !zset_tree_seek_rank(&z->tree, random % count, &c))
		return NULL;
	return zset_cursor_entry(&c);
}

bool zset_put(struct zset *z, const struct hash_seed *seed, struct slice member, double score,
	      struct retire *r)
{
	struct entry *e = element_new(member, score);
	uint64_t hash = member_hash(seed, member);
	dict_open(&z->members, r);
	struct entry *old = table_put(&z->members.table, seed, hash, e, r);
	if (!old) {
		zset_tree_insert(&z->tree, e, r);
		return true;
	}
	zset_tree_replace(&z->tree, old, e, r);
	dict_retire(&z->members, r, hash, old);
	return false;
}

bool zset_remove(struct zset *z, const struct hash_seed *seed, struct slice member,
		 struct retire *r)
{
	uint64_t hash = member_hash(seed, member);
	dict_open(&z->members, r);
	struct entry *old = table_remove(&z->members.table, seed, hash, member, r);
	if (!old)
		return false;
	zset_tree_remove(&z->tree, old, r);
	dict_retire(&z->members, r, hash, old);
	return true;
}

struct removal {
	struct zset *z;
	const struct hash_seed *seed;
	struct retire *r;
};

static void remove_member(void *arg, struct entry *e)
{
	struct removal *removal = arg;
	struct dict *members = &removal->z->members;
	struct slice member = entry_key(e);
	uint64_t hash = member_hash(removal->seed, member);
	struct entry *old = table_remove(&members->table, removal->seed, hash, member, removal->r);
	assert(old == e);
	dict_retire(members, removal->r, hash, old);
}

uint32_t zset_remove_run(struct zset *z, const struct hash_seed *seed, uint64_t rank, uint64_t max,
			 struct retire *r)
{
	struct removal removal = {z, seed, r};
	dict_open(&z->members, r);
	return zset_tree_remove_run(&z->tree, rank, max, r, remove_member, &removal);
}

struct zset *zset_copy(const struct zset *z, const struct hash_seed *seed, struct retire *r,
		       struct shard *shard)
{
	struct zset *copy = zset_new();
	struct zset_cursor c;
	bool more = zset_tree_seek(&z->tree, &(struct zset_cut){.kind = CUT_START}, &c);
	for (; more; more = zset_cursor_next(&c)) {
		const struct entry *e = zset_cursor_entry(&c);
		zset_put(copy, seed, entry_key(e), zset_entry_score(e), r);
		turn_step(shard);
	}
	return copy;
}

size_t zset_memory(const struct zset *z)
{
	uint64_t count = zset_count(z);
	size_t tree = count <= MEASURE_COUNT ? zset_tree_memory(&z->tree)
					     : count * TREE_BYTES_PER_ELEMENT;

	return mem_class(sizeof(*z)) + dict_memory(&z->members) - mem_class(sizeof(z->members)) +
	       tree;
}
