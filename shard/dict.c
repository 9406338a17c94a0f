/*
 * Dicts: a table with elements of its own (dict.h).
 *
 * Everything that has to do with places is the table's business. Here: which memory replaced
 * elements go to, when the earliest of them expires, and what all of it weighs.
 */
#include "shard/dict.h"

#include "proto/mem.h"
#include "shard/choice.h"
#include "shard/turn.h"

#include <assert.h>

/*
 * Up to so many elements their table is measured; beyond, it is taken for what tables usually are.
 */
#define MEASURE_COUNT           10000
#define TABLE_BYTES_PER_ELEMENT 13
/* Elements that are looked at for what the others weigh: some microseconds. */
#define SAMPLE_COUNT 64

struct dict *dict_new(void)
{
	struct dict *dict = mem_alloc(sizeof(*dict));

	atomic_init(&dict->table.root, 0);
	atomic_init(&dict->expire_earliest, EXPIRE_NEVER);
	dict->sweep_from = 0;
	dict->sweep_earliest = EXPIRE_NEVER;
	atomic_init(&dict->cut, EPOCH_NONE);
	atomic_init(&dict->root_at_cut, 0);
	return dict;
}

size_t dict_count_live(const struct dict *dict, struct shard *shard, int64_t now)
{
	size_t count = dict_count(dict), expired = 0;
	uint32_t at = 0;

	if (dict_expire_earliest(dict) > now)
		return count;
	do {
		expired += table_count_expired(&dict->table, &at, now);
		turn_steps(shard, TURN_STEPS); /* a block may have hundreds */
	} while (at > 0);
	return expired < count ? count - expired : 0;
}

/* --- walks --- */

/*
 * Homes hold four or five elements on average, so one step an element is plenty, and keeps a call
 * short in a table that has just been emptied.
 */
uint64_t dict_scan(const struct dict *dict, uint64_t cursor, size_t count,
		   void (*visit)(void *arg, struct entry *e), void *arg)
{
	struct table_visits walk = {visit, arg, 0};

	for (size_t steps = 0; cursor != TABLE_END && walk.count < count && steps < count;
	     steps++)
		cursor = table_scan(&dict->table, cursor, table_visit_counted, &walk);
	return cursor == TABLE_END ? 0 : cursor;
}

void dict_walk(const struct dict *dict, void (*visit)(void *arg, struct entry *e), void *arg)
{
	for (uint64_t at = 0; at != TABLE_END;)
		at = table_scan(&dict->table, at, visit, arg);
}

struct look {
	int64_t now;
	bool live;
};

static void look_visit(void *arg, struct entry *e)
{
	struct look *look = arg;

	look->live |= !entry_expired(e, look->now);
}

bool dict_has_live(const struct dict *dict, int64_t now)
{
	struct look look = {now, false};
	struct table_visits walk = {look_visit, &look, 0};
	uint64_t at = 0;

	if (dict_expire_earliest(dict) > now)
		return dict_count(dict) > 0;
	while (at != TABLE_END && !look.live && walk.count < DICT_LOOK_MAX)
		at = table_scan(&dict->table, at, table_visit_counted, &walk);
	return look.live || at != TABLE_END;
}

/* --- samples --- */

/*
 * Draws of elements, beyond two for each that is wanted, before the whole dict is walked instead.
 */
#define SAMPLE_DRAWS_MORE 64

/* Elements that were drawn: a set of pointers, in a table with a free place for each. */
struct drawn {
	struct entry **places;
	size_t mask;
};

/* False when it is in it already. */
static bool drawn_add(struct drawn *drawn, struct entry *e)
{
	size_t at = ((uintptr_t)e >> 4) * 0x9e3779b97f4a7c15 >> 20;

	for (;; at++) {
		struct entry **place = &drawn->places[at & drawn->mask];
		if (*place == e)
			return false;
		if (!*place) {
			*place = e;
			return true;
		}
	}
}

/* Draws until there are `count` different ones; false when that takes too long. */
static bool sample_draw(const struct dict *dict, struct shard *shard, size_t count, int64_t now,
			struct drawn *drawn)
{
	size_t found = 0;

	for (size_t draws = 2 * count + SAMPLE_DRAWS_MORE; found < count && draws > 0; draws--) {
		struct entry *e = table_random(&dict->table, shard_random(shard));
		found += e && !entry_expired(e, now) && drawn_add(drawn, e);
		turn_step(shard);
	}
	return found == count;
}

struct live_choice {
	struct choice choice;
	int64_t now;
	void (*visit)(void *arg, struct entry *e);
	void *arg;
};

static void choice_visit(void *arg, struct entry *e)
{
	struct live_choice *live = arg;

	turn_step(live->choice.shard);
	if (!entry_expired(e, live->now) && choose(&live->choice))
		live->visit(live->arg, e);
}

/* A sample of few elements is drawn, one of many chosen on a walk over all. */
void dict_sample(const struct dict *dict, struct shard *shard, size_t count, int64_t now,
		 void (*visit)(void *arg, struct entry *e), void *arg)
{
	struct drawn drawn = {NULL, 3};

	if (count < dict_count(dict) / 3) {
		while (drawn.mask < 2 * count)
			drawn.mask = 2 * drawn.mask + 1;
		size_t bytes = (drawn.mask + 1) * sizeof(*drawn.places);
		drawn.places = mem_zalloc(bytes);
		bool enough = sample_draw(dict, shard, count, now, &drawn);
		for (size_t i = 0; enough && i <= drawn.mask; i++)
			if (drawn.places[i])
				visit(arg, drawn.places[i]);
		mem_free(drawn.places, bytes);
		if (enough)
			return;
	}
	struct live_choice live = {
		choice_of(shard, count, dict_count_live(dict, shard, now)), now, visit, arg};
	dict_walk(dict, choice_visit, &live);
}

/* NULL where draws meet none that has not expired. */
static struct entry *random_live(const struct dict *dict, struct shard *shard, int64_t now)
{
	for (int draws = 0; draws < SAMPLE_DRAWS_MORE; draws++) {
		struct entry *e = table_random(&dict->table, shard_random(shard));
		if (!e || !entry_expired(e, now))
			return e;
	}
	return NULL;
}

struct gathered {
	struct entry **entries;
	size_t count;
	size_t cap;
};

static void gather_visit(void *arg, struct entry *e)
{
	struct gathered *gathered = arg;

	if (gathered->count < gathered->cap)
		gathered->entries[gathered->count++] = e;
}

/* Draws from those that have not expired, gathered first: most have. */
static void draw_gathered(const struct dict *dict, struct shard *shard, size_t count, int64_t now,
			  bool (*visit)(void *arg, struct entry *e), void *arg)
{
	struct gathered gathered = {.cap = dict_count_live(dict, shard, now)};
	size_t bytes = gathered.cap * sizeof(*gathered.entries);

	if (gathered.cap == 0)
		return;
	gathered.entries = mem_alloc(bytes);
	dict_sample(dict, shard, gathered.cap, now, gather_visit, &gathered);
	for (; gathered.count > 0 && count > 0; count--)
		if (!visit(arg, gathered.entries[shard_random(shard) % gathered.count]))
			break;
	mem_free(gathered.entries, bytes);
}

void dict_draw(const struct dict *dict, struct shard *shard, size_t count, int64_t now,
	       bool (*visit)(void *arg, struct entry *e), void *arg)
{
	for (; count > 0; count--) {
		struct entry *e = random_live(dict, shard, now);
		if (!e) {
			draw_gathered(dict, shard, count, now, visit, arg);
			return;
		}
		if (!visit(arg, e))
			return;
	}
}

static bool random_visit(void *arg, struct entry *e)
{
	*(struct entry **)arg = e;
	return false;
}

struct entry *dict_random(const struct dict *dict, struct shard *shard, int64_t now)
{
	struct entry *e = NULL;

	dict_draw(dict, shard, 1, now, random_visit, &e);
	return e;
}

/* --- changes --- */

struct entry *dict_element_new(struct slice key, struct slice value, int64_t expire)
{
	return entry_new(&(struct entry_spec){
		.key = key,
		.value = value,
		.expire = expire,
		.type = ENTRY_STRING,
		.encoding = ENCODING_RAW,
	});
}

void dict_open_slow(struct dict *dict, uint64_t cut)
{
	if (atomic_load_explicit(&dict->cut, memory_order_relaxed) == cut)
		return;
	uint64_t root = atomic_load_explicit(&dict->table.root, memory_order_relaxed);
	atomic_store_explicit(&dict->root_at_cut, root, memory_order_release);
	atomic_store_explicit(&dict->cut, cut, memory_order_release);
}

void dict_retire(struct dict *dict, struct retire *r, uint64_t hash, struct entry *element)
{
	uint64_t root = atomic_load_explicit(&dict->root_at_cut, memory_order_relaxed);

	if (r->unit.cut != EPOCH_NONE && r->unit.whole && table_is_later(root, hash, element))
		retire_entry_unseen(r, element);
	else
		retire_entry(r, element);
}

uint64_t dict_root_at(const struct dict *dict, uint64_t cut)
{
	uint64_t root = atomic_load_explicit(&dict->table.root, memory_order_acquire);

	if (atomic_load_explicit(&dict->cut, memory_order_acquire) == cut)
		root = atomic_load_explicit(&dict->root_at_cut, memory_order_relaxed);
	return root;
}

static void note_expire(struct dict *dict, int64_t expire)
{
	if (expire < dict_expire_earliest(dict))
		atomic_store_explicit(&dict->expire_earliest, expire, memory_order_relaxed);
	if (expire < dict->sweep_earliest)
		dict->sweep_earliest = expire;
}

bool dict_put(struct dict *dict, struct shard *shard, uint64_t hash, struct entry *element)
{
	dict_open(dict, &shard->retire);
	struct entry *old =
		table_put(&dict->table, &shard->ks->seed, hash, element, &shard->retire);

	note_expire(dict, entry_expire(element));
	if (old)
		dict_retire(dict, &shard->retire, hash, old);
	return !old;
}

bool dict_remove(struct dict *dict, struct shard *shard, uint64_t hash, struct slice key)
{
	dict_open(dict, &shard->retire);
	struct entry *e = table_remove(&dict->table, &shard->ks->seed, hash, key, &shard->retire);

	if (e)
		dict_retire(dict, &shard->retire, hash, e);
	return e;
}

struct sweep {
	struct dict *dict;
	struct shard *shard;
	void (*gone)(void *arg, struct slice key);
	void *arg;
	size_t removed;
};

static void remove_expired(void *arg, struct entry *e)
{
	struct sweep *sweep = arg;
	struct slice key = entry_key(e);

	sweep->gone(sweep->arg, key);
	sweep->removed += dict_remove(sweep->dict, sweep->shard, dict_hash(sweep->shard, key), key);
}

size_t dict_sweep(struct dict *dict, struct shard *shard, int64_t now, size_t max,
		  void (*gone)(void *arg, struct slice key), void *arg)
{
	struct sweep sweep = {dict, shard, gone, arg, 0};

	if (dict_expire_earliest(dict) > now)
		return 0;
	if (dict->sweep_from == 0)
		dict->sweep_earliest = EXPIRE_NEVER;
	if (table_sweep_blocks(&dict->table, &dict->sweep_from, DICT_SWEEP_BLOCKS, now, max,
			       remove_expired, &sweep, &dict->sweep_earliest))
		atomic_store_explicit(&dict->expire_earliest, dict->sweep_earliest,
				      memory_order_relaxed);
	return sweep.removed;
}

/* --- as a structure --- */

struct sample {
	size_t count;
	size_t bytes;
};

static void sample_visit(void *arg, struct entry *e)
{
	struct sample *sample = arg;

	sample->count++;
	sample->bytes += entry_memory(e);
}

size_t dict_memory(const struct dict *dict)
{
	size_t count = dict_count(dict);
	struct sample sample = {0};
	uint64_t at = 0;

	while (at != TABLE_END && sample.count < SAMPLE_COUNT)
		at = table_scan(&dict->table, at, sample_visit, &sample);
	size_t table = count <= MEASURE_COUNT ? table_memory(&dict->table)
					      : count * TABLE_BYTES_PER_ELEMENT;
	size_t elements = sample.count ? (size_t)((double)sample.bytes / sample.count * count) : 0;
	return mem_class(sizeof(*dict)) + table + elements;
}

struct copy {
	struct dict *dict;
	struct shard *shard;
};

static void copy_visit(void *arg, struct entry *e)
{
	struct copy *copy = arg;
	struct slice key = entry_key(e);

	dict_put(copy->dict, copy->shard, dict_hash(copy->shard, key),
		 entry_with_expire(e, entry_expire(e)));
	turn_step(copy->shard);
}

struct dict *dict_copy(const struct dict *dict, struct shard *shard)
{
	struct copy copy = {dict_new(), shard};

	dict_walk(dict, copy_visit, &copy);
	assert(dict_count(copy.dict) == dict_count(dict));
	return copy.dict;
}

bool dict_free_slice(struct dict *dict, uint64_t *at, size_t *budget)
{
	uint64_t root = atomic_load_explicit(&dict->table.root, memory_order_relaxed);

	table_free_slice(root, at, budget, NULL, NULL);
	if (*at != TABLE_END)
		return false;
	mem_free(dict, sizeof(*dict));
	return true;
}
