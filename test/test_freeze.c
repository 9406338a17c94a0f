/*
 * What a snapshot sees is the keyspace of its cut, whatever is written meanwhile; and what it has
 * passed is freed.
 *
 * The model: what is seen of a slot in a database is added up to a number, at the cut and again and
 * again until the slot is passed. Memory that is freed too early is the address sanitizer's to
 * find, what is never freed as well.
 */
#include "test/store.h"

#include "shard/hold.h"
#include "shard/scan.h"
#include "shard/sweep.h"
#include "shard/zset.h"

#define SHARDS 2

/* --- what is seen --- */

/* Of the keyspace as it is, in place of a cut's number. */
#define LIVE UINT64_MAX

/* The sum of all elements' hashes, whatever their order; how many there are. */
struct view {
	const struct hash_seed *seed;
	uint64_t cut;
	uint64_t sum;
	uint64_t count;
};

static uint64_t mix(const struct view *view, uint64_t a, uint64_t b)
{
	uint64_t both[2] = {a, b};

	return hash_bytes(view->seed, (const char *)both, sizeof(both));
}

static uint64_t hash_of(const struct view *view, struct slice bytes)
{
	return hash_bytes(view->seed, bytes.ptr, bytes.len);
}

static void view_table(struct view *view, uint64_t root);

static uint64_t hash_dict(const struct view *outer, const struct dict *dict)
{
	struct view view = {.seed = outer->seed, .cut = outer->cut};

	view_table(&view, dict_root_at(dict, outer->cut));
	return mix(&view, view.sum, view.count);
}

static uint64_t hash_value(const struct view *view, const struct entry *e)
{
	if (entry_dict(e))
		return hash_dict(view, entry_dict(e));
	if (entry_zset(e))
		return hash_dict(view, &entry_zset(e)->members);
	return hash_of(view, entry_value(e));
}

static void view_entry(void *arg, struct entry *e)
{
	struct view *view = arg;
	uint64_t hash = mix(view, hash_of(view, entry_key(e)), hash_value(view, e));

	hash = mix(view, hash, (uint64_t)entry_type(e) << 8 | entry_encoding(e));
	view->sum += mix(view, hash, (uint64_t)entry_expire(e));
	view->count++;
}

static void view_table(struct view *view, uint64_t root)
{
	struct table table = {root};

	for (uint64_t at = 0; at != TABLE_END;)
		at = table_scan_unstruck(&table, at, view_entry, view);
	assert_true(view->count <= table_count(&table)); /* what is struck out counts */
}

static void count_nothing(void *arg, struct entry *e)
{
	(void)arg;
	(void)e;
}

/* The entries of a slot that the snapshot has not seen yet. */
static size_t unstruck(struct keyspace *ks, const struct slot *slot)
{
	struct table table = {freeze_root(ks, slot, 0)};
	struct table_visits visits = {.visit = count_nothing};

	for (uint64_t at = table.root ? 0 : TABLE_END; at != TABLE_END;)
		at = table_scan_unstruck(&table, at, table_visit_counted, &visits);
	return visits.count;
}

/* `served`: what was handed over of it; NULL: nothing. */
static uint64_t view_slot(struct keyspace *ks, uint32_t slot, uint32_t db, uint64_t cut,
			  const struct view *served)
{
	struct view view = {.seed = &ks->seed, .cut = cut};
	const struct table *table = slot_table(&ks->slots[slot], db);
	uint64_t live = table ? atomic_load(&table->root) : 0;

	view_table(&view, cut == LIVE ? live : freeze_root(ks, &ks->slots[slot], db));
	if (served) {
		view.sum += served->sum;
		view.count += served->count;
	}
	return mix(&view, view.sum, view.count);
}

/* --- the model --- */

#define TAGS           6
#define ROUNDS         12
#define CUTS           4
#define REQUESTS_FIRST 60
#define BIG_BYTES      (ENTRY_BLOB_MIN + 1)

struct model {
	struct store s;
	struct check_random random;
	uint32_t slots[TAGS]; /* rising */
	char tags[TAGS][4];
	uint64_t cut; /* 0: no snapshot is going on */
	uint64_t at_cut[TAGS][STORE_DATABASES];
	struct view served[TAGS][STORE_DATABASES]; /* what was handed over */
	uint32_t passed;                           /* of the tags */
	char *big;
};

static uint32_t below(struct model *m, uint32_t bound)
{
	return (uint32_t)check_random_below(&m->random, bound);
}

static const char *tag(struct model *m)
{
	return m->tags[below(m, TAGS)];
}

/* Tags in the order of their slots. */
static void model_tags(struct model *m)
{
	for (uint32_t i = 0; i < TAGS; i++) {
		char name[4] = {'{', (char)('a' + i), '}', '\0'};
		uint32_t slot = key_slot(name, 3), at = i;
		for (; at > 0 && m->slots[at - 1] > slot; at--) {
			m->slots[at] = m->slots[at - 1];
			memcpy(m->tags[at], m->tags[at - 1], sizeof(name));
		}
		m->slots[at] = slot;
		memcpy(m->tags[at], name, sizeof(name));
	}
}

static void sweep(struct model *m)
{
	for (uint32_t i = 0; i < SHARDS; i++)
		for (uint32_t j = 0; j < SLOT_COUNT / SWEEP_SLOTS; j++)
			sweep_slice(m->s.ks->shards[i], m->s.now);
	store_collect(&m->s);
}

static void set_big(struct model *m)
{
	struct slice argv[3] = {SLICE("SET"), slice_of("{a}big"), {m->big, BIG_BYTES}};

	memset(m->big, 'a' + (int)below(m, 26), BIG_BYTES);
	store_run_args(&m->s, argv, 3);
}

/* Many of one kind: tables grow or shrink. */
static void run_many(struct model *m)
{
	static const char *const formats[] = {
		"SET %sx%u %u",    "DEL %sx%u",    "HSET %sh f%u %u",
		"HDEL %sh f%u",    "SADD %ss m%u", "SREM %ss m%u",
		"ZADD %sz %u m%u", "ZREM %sz m%u", "HINCRBY %sh f%u 3",
	};
	const char *format = formats[below(m, COUNT_OF(formats))], *name = tag(m);
	uint32_t count = 1 + below(m, 2000), first = below(m, 1000);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
	for (uint32_t i = first; i < first + count; i++)
		store_runf(&m->s, format, name, i, i * 7 % 3001);
#pragma GCC diagnostic pop
}

/* A large set that gets to another slot, and is changed there. */
static void run_rename(struct model *m)
{
	const char *from = tag(m), *to = tag(m);

	store_runf(&m->s, "RENAME %ss %ss", from, to);
	for (uint32_t i = below(m, 1000), end = i + 100; i < end; i++)
		store_runf(&m->s, i % 2 ? "SADD %ss m%u" : "SREM %ss m%u", to, i);
}

/* Units on two slots, one of which the snapshot may have passed. */
static void run_smove(struct model *m)
{
	const char *from = tag(m), *to = tag(m);

	for (uint32_t i = below(m, 1000), end = i + 100; i < end; i++)
		store_runf(&m->s, "SMOVE %ss %ss m%u", from, to, i);
}

static void run_one(struct model *m)
{
	static const char *const kinds[] = {"h", "s", "z", "x1", "x2", "x3"};
	const char *kind = kinds[below(m, COUNT_OF(kinds))];
	const char *from = tag(m), *to = tag(m);
	uint32_t i = below(m, 3000), n = below(m, 500);

	switch (below(m, 28)) {
	case 0:
		store_runf(&m->s, "RENAME %s%s %s%s", from, kind, to, kind);
		break;
	case 1:
		store_runf(&m->s, "RENAMENX %s%s %s%s", from, kind, to, kind);
		break;
	case 2:
		store_runf(&m->s, "COPY %s%s %s%s REPLACE", from, kind, to, kind);
		break;
	case 3:
		store_runf(&m->s, "MOVE %s%s %u", from, kind, below(m, 3));
		break;
	case 4:
		store_runf(&m->s, "DEL %s%s", from, kind);
		break;
	case 5:
		store_runf(&m->s, "PEXPIREAT %s%s %lld", from, kind, (long long)m->s.now + n);
		break;
	case 6:
		store_runf(&m->s, "PERSIST %s%s", from, kind);
		break;
	case 7:
		store_runf(&m->s, "HSET %sh f%u %u", from, i, n);
		break;
	case 8:
		store_runf(&m->s, "HPEXPIRE %sh %u FIELDS 2 f%u f%u", from, n + 1, i, n);
		break;
	case 9:
		store_runf(&m->s, "SPOP %ss %u", from, n);
		break;
	case 10:
		store_runf(&m->s, "ZREMRANGEBYRANK %sz %u %u", from, i, i + n);
		break;
	case 11:
		store_runf(&m->s, "ZINCRBY %sz %u m%u", from, n, i);
		break;
	case 12:
		store_runf(&m->s, "SUNIONSTORE %ss %ss %ss", from, from, to);
		break;
	case 13:
		store_runf(&m->s, "ZUNIONSTORE %sz 2 %sz %ss", from, to, to);
		break;
	case 14:
		run_smove(m);
		break;
	case 15:
		store_runf(&m->s, "HINCRBY %sh f%u %u", from, n % 3, i);
		break;
	case 16:
		store_runf(&m->s, "MSET %sx1 %u %sx2 %u", from, i, to, n);
		break;
	case 17:
		store_runf(&m->s, "SET %sx%u %u PXAT %lld", from, i, n, (long long)m->s.now + n);
		break;
	case 18:
		run_rename(m);
		break;
	case 19:
		store_runf(&m->s, "HSET %sp f%u %u", from, n % 9, i);
		break;
	case 20:
		set_big(m);
		break;
	case 21:
		store_runf(&m->s, "COPY {a}big %sbig REPLACE", to);
		break;
	default:
		run_many(m);
		break;
	}
}

static void run_random(struct model *m)
{
	m->s.now += below(m, 3);
	m->s.db = below(m, 8) ? 0 : below(m, 3);
	if (below(m, 40) == 0)
		store_runf(&m->s, "SWAPDB %u %u", below(m, 3), below(m, 3));
	else if (below(m, 100) == 0)
		store_run(&m->s, below(m, 2) ? "FLUSHDB" : "FLUSHALL");
	else if (below(m, 20) == 0)
		sweep(m);
	else
		run_one(m);
	m->s.db = 0;
}

static void model_cut(struct model *m)
{
	struct keyspace *ks = m->s.ks;

	for (uint32_t i = 0; i < TAGS; i++)
		for (uint32_t db = 0; db < STORE_DATABASES; db++) {
			m->at_cut[i][db] = view_slot(ks, m->slots[i], db, LIVE, NULL);
			m->served[i][db] = (struct view){.seed = &ks->seed, .cut = LIVE};
		}
	m->cut = atomic_load(&ks->epochs.now);
	m->passed = 0;
	freeze_begin(ks, m->cut);
}

/* What isn't passed yet is seen as it was at the cut. */
static void model_check(struct model *m)
{
	for (uint32_t i = m->passed; i < TAGS; i++)
		for (uint32_t db = 0; db < STORE_DATABASES; db++)
			if (view_slot(m->s.ks, m->slots[i], db, m->cut, &m->served[i][db]) !=
			    m->at_cut[i][db])
				fail_msg("%s in database %u has changed", m->tags[i], db);
}

static size_t kept_bytes(const struct store *s)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < s->ks->shard_count; i++)
		bytes += retire_kept_bytes(&s->ks->shards[i]->retire);
	return bytes;
}

/* What the shards do in each tick. */
static void release_kept(struct store *s)
{
	for (uint32_t i = 0; i < s->ks->shard_count; i++)
		while (retire_release_kept(&s->ks->shards[i]->retire, &s->ks->freeze))
			;
	store_collect(s);
}

static void model_serve(void *arg, uint32_t slot, uint32_t db, struct entry *e)
{
	struct model *m = arg;
	uint32_t i = m->passed;

	while (i < TAGS && m->slots[i] != slot)
		i++;
	assert_true(i < TAGS);
	assert_int_equal(key_slot(entry_key(e).ptr, entry_key(e).len), slot);
	view_entry(&m->served[i][db], e);
}

/* The snapshot gets on by a slot, and maybe those up to the next one; or ends. */
static void model_pass(struct model *m)
{
	uint32_t seen = 0;

	model_check(m);
	assert_true(freeze_slot_ready(&m->s.ks->slots[m->slots[m->passed]], &seen));
	freeze_pass(m->s.ks, m->slots[m->passed] + 1);
	if (++m->passed < TAGS) {
		if (below(m, 4) > 0)
			freeze_pass(m->s.ks, m->slots[m->passed]);
		return;
	}
	freeze_end(m->s.ks);
	m->cut = 0;
	release_kept(&m->s);
	assert_int_equal(kept_bytes(&m->s), 0);
}

static void model_round(struct model *m)
{
	for (int i = 0; i < REQUESTS_FIRST; i++)
		run_random(m);
	for (uint32_t cuts = 0; cuts < CUTS;) {
		run_random(m);
		if (below(m, 4) == 0)
			atomic_fetch_add(&m->s.ks->epochs.now, 1);
		if (m->cut && below(m, 4) == 0)
			freeze_serve(m->s.ks, model_serve, m);
		if (below(m, 3) == 0)
			release_kept(&m->s);
		if (m->cut == 0 && below(m, 10) == 0) {
			cuts++;
			model_cut(m);
		} else if (m->cut && below(m, 20) == 0) {
			model_pass(m);
		} else if (m->cut && below(m, 10) == 0) {
			model_check(m);
		}
	}
	while (m->cut)
		model_pass(m);
}

static void test_model(void **state)
{
	struct model m = {.random = check_random_start(), .big = malloc(BIG_BYTES)};

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		store_init(&m.s, SHARDS);
		model_tags(&m);
		model_round(&m);
		store_deinit(&m.s);
	}
	free(m.big);
}

/* --- units --- */

static struct shard *shard_of(const struct store *s, uint32_t i)
{
	return s->ks->shards[i];
}

static struct slot *slot_of(const struct store *s, const char *key)
{
	return &s->ks->slots[key_slot(key, strlen(key))];
}

/* A unit that held its slot before the cut changes it in place, and the snapshot waits for it. */
static void test_unit_before(void **state)
{
	struct store s;
	uint32_t seen = 0;

	(void)state;
	store_init(&s, SHARDS);
	store_run(&s, "SET a 1");
	struct slot *slot = slot_of(&s, "a"), *other = slot_of(&s, "b");
	struct shard *shard = shard_of(&s, 0);
	uint64_t root = atomic_load(&slot->table.root);
	assert_true(slots_try_hold(shard, &slot, 1));
	struct unit_put_by put_by = {0};
	unit_put_by(shard, &put_by);
	assert_int_equal(shard->retire.unit.epoch, EPOCH_NONE);
	freeze_begin(s.ks, 1);
	assert_false(freeze_slot_ready(slot, &seen));
	store_run(&s, "SET b 1"); /* others go on, behind the cut */
	assert_int_equal(freeze_root(s.ks, other, 0), 0);

	unit_take_back(shard, &put_by);
	assert_int_equal(shard->retire.unit.epoch, 1);
	assert_int_equal(shard->retire.unit.cut, EPOCH_NONE);
	assert_false(slots_try_hold_also(shard, other)); /* it is behind the cut */
	assert_int_equal(atomic_load(&other->seq) & 1, 0);
	assert_false(freeze_slot_ready(slot, &seen));
	slots_release(shard, &slot, 1, true, s.now);
	assert_true(freeze_slot_ready(slot, &seen));
	assert_int_equal(freeze_root(s.ks, slot, 0), root);
	freeze_end(s.ks);
	release_kept(&s);
	store_deinit(&s);
}

/* One behind the cut that outlives the snapshot: nothing is frozen for it any more. */
static void test_unit_outlives(void **state)
{
	struct store s;
	struct unit_put_by put_by = {0};

	(void)state;
	store_init(&s, SHARDS);
	store_run(&s, "SET a 1");
	struct slot *slot = slot_of(&s, "a");
	struct shard *shard = shard_of(&s, 0);
	freeze_begin(s.ks, 1);
	assert_true(slots_try_hold(shard, &slot, 1));
	assert_int_equal(shard->retire.unit.cut, 1);
	unit_put_by(shard, &put_by);
	freeze_end(s.ks);
	freeze_begin(s.ks, 2);
	unit_take_back(shard, &put_by);
	assert_int_equal(shard->retire.unit.epoch, 2);
	assert_int_equal(shard->retire.unit.cut, EPOCH_NONE);
	slots_release(shard, &slot, 1, false, s.now);
	freeze_end(s.ks);
	store_deinit(&s);
}

/* For where nothing is to be served. */
static void serve_nobody(void *arg, uint32_t slot, uint32_t db, struct entry *e)
{
	fail_msg("entry %p of slot %u, database %u, for %p", (void *)e, slot, db, arg);
}

/* A unit takes the latest of its slots for all; what is passed is changed in place and not kept. */
static void test_passed(void **state)
{
	struct store s;

	(void)state;
	store_init(&s, 1);
	store_run(&s, "SET a 1"); /* slot 15495, behind that of b, 3300 */
	for (int i = 0; i < 3000; i++)
		store_runf(&s, "SET {a}%d x", i); /* its table has a directory */
	store_run(&s, "SET b 1");
	struct slot *a = slot_of(&s, "a"), *b = slot_of(&s, "b");
	struct shard *shard = shard_of(&s, 0);
	freeze_begin(s.ks, 1);
	freeze_pass(s.ks, b->index + 1);
	assert_true(slots_try_hold(shard, &b, 1));
	assert_int_equal(shard->retire.unit.cut, EPOCH_NONE);
	assert_true(slots_try_hold_also(shard, a));
	assert_int_equal(shard->retire.unit.cut, 1);
	assert_false(shard->retire.unit.whole);
	assert_int_equal(shard->retire.unit.last, a->index);
	slot_release(a, false);
	slots_release(shard, &b, 1, false, s.now);

	store_run(&s, "SET b 2");
	assert_int_equal(kept_bytes(&s), 0);
	store_run(&s, "SET a 2");
	size_t kept = kept_bytes(&s);
	assert_true(kept > 0);
	for (int i = 0; i < 100; i++)
		store_run(&s, "SET a 3"); /* what came after the cut isn't kept */
	assert_int_equal(kept_bytes(&s), kept);
	release_kept(&s);
	assert_int_equal(kept_bytes(&s), kept);
	freeze_pass(s.ks, (a->index / FREEZE_RANGE_SLOTS + 1) * FREEZE_RANGE_SLOTS);
	release_kept(&s); /* the table is gone that what waits was in */
	freeze_serve(s.ks, serve_nobody, NULL);
	release_kept(&s);
	assert_int_equal(kept_bytes(&s), 0);
	freeze_end(s.ks);
	store_deinit(&s);
}

/* --- what is handed over --- */

struct served {
	uint32_t count;
	uint32_t slot, db;
	char value[24];
};

static void serve(void *arg, uint32_t slot, uint32_t db, struct entry *e)
{
	struct served *served = arg;

	served->count++;
	served->slot = slot;
	served->db = db;
	assert_true(entry_value(e).len < sizeof(served->value));
	memcpy(served->value, entry_value(e).ptr, entry_value(e).len);
	served->value[entry_value(e).len] = '\0';
}

/*
 * The first version is served, once, in the database of the cut; it isn't in the slot's table any
 * more then.
 */
static void test_handed_over(void **state)
{
	struct store s;
	struct served served = {0};

	(void)state;
	store_init(&s, 1);
	store_run(&s, "SET a first");
	store_run(&s, "SET {a}other x");
	struct slot *a = slot_of(&s, "a");
	freeze_begin(s.ks, 1);
	store_run(&s, "SWAPDB 0 1");
	s.db = 1;
	store_run(&s, "SET a second");
	store_run(&s, "SET a third");
	size_t kept = kept_bytes(&s);
	release_kept(&s);
	assert_int_equal(kept_bytes(&s), kept);
	freeze_serve(s.ks, serve, &served);
	assert_int_equal(served.count, 1);
	assert_int_equal(served.slot, a->index);
	assert_int_equal(served.db, 0);
	assert_string_equal(served.value, "first");
	release_kept(&s);
	assert_true(kept_bytes(&s) < kept);
	assert_int_equal(unstruck(s.ks, a), 1);
	store_run(&s, "DEL {a}other");
	store_run(&s, "DEL a");
	freeze_serve(s.ks, serve, &served);
	assert_int_equal(served.count, 2);
	assert_string_equal(served.value, "x");
	assert_int_equal(unstruck(s.ks, a), 0);
	freeze_end(s.ks);
	release_kept(&s);
	assert_int_equal(kept_bytes(&s), 0);
	store_deinit(&s);
}

struct overtaken {
	struct store *s;
	uint32_t keys, seen;
};

/* While the first key is shown all are replaced, and what they were is served. */
static void overtake(void *arg, struct entry *e)
{
	struct overtaken *o = arg;
	struct served served = {0};

	(void)e;
	if (o->seen++ > 0)
		return;
	for (uint32_t i = 0; i < o->keys; i++)
		store_runf(o->s, "SET {a}%u second", i);
	freeze_serve(o->s->ks, serve, &served);
	assert_int_equal(served.count, o->keys);
	freeze_serve(o->s->ks, serve_nobody, NULL);
}

/*
 * A walk that began in the table of the cut finds all keys there, though they are struck out
 * meanwhile.
 */
static void test_handed_while_scanned(void **state)
{
	enum { KEYS = 7 }; /* one bucket */
	struct store s;

	(void)state;
	store_init(&s, 1);
	for (uint32_t i = 0; i < KEYS; i++)
		store_runf(&s, "SET {a}%u first", i);
	struct overtaken o = {.s = &s, .keys = KEYS};
	freeze_begin(s.ks, 1);
	keyspace_scan(s.ks, 0, 0, KEYS, SLOT_COUNT * 2, overtake, &o);
	assert_int_equal(o.seen, KEYS);
	freeze_end(s.ks);
	release_kept(&s);
	store_deinit(&s);
}

/* More than there is room for is kept till the slot is passed; the end sets all of it free. */
static void test_handed_too_many(void **state)
{
	enum { KEYS = HANDOVER_ITEMS + 1000, FEW = 500 };
	struct store s;
	struct served served = {0};

	(void)state;
	store_init(&s, 1);
	for (int i = 0; i < KEYS; i++)
		store_runf(&s, "SET {a}%d x", i);
	struct slot *a = slot_of(&s, "a");
	for (uint64_t cut = 1; cut <= 3; cut++) {
		int written =
			cut == 1 ? FEW : KEYS; /* then what waits goes on at the ring's start */
		served.count = 0;
		freeze_begin(s.ks, cut);
		for (int i = 0; i < written; i++)
			store_runf(&s, "SET {a}%d y", i);
		freeze_serve(s.ks, serve, &served);
		assert_true(served.count > 0 && served.count <= HANDOVER_ITEMS);
		assert_int_equal(served.count + unstruck(s.ks, a), KEYS);
		release_kept(&s);
		assert_true(kept_bytes(&s) > 0);
		freeze_end(s.ks);
		release_kept(&s);
		assert_int_equal(kept_bytes(&s), 0);
	}
	store_deinit(&s);
}

/*
 * What was handed over is served after its slot was passed: its table, a large one, may be gone
 * then.
 */
static void test_handed_and_passed(void **state)
{
	enum { KEYS = 2000 }; /* a directory */
	struct store s;

	(void)state;
	store_init(&s, 1);
	for (int i = 0; i < KEYS; i++)
		store_runf(&s, "SET {a}%d x", i);
	freeze_begin(s.ks, 1);
	for (int i = 0; i < KEYS; i++)
		store_runf(&s, "SET {a}%d y", i);
	freeze_pass(s.ks, SLOT_COUNT);
	release_kept(&s);
	freeze_serve(s.ks, serve_nobody, NULL);
	release_kept(&s);
	assert_int_equal(kept_bytes(&s), 0);
	freeze_end(s.ks);
	store_deinit(&s);
}

/* What the note in a dict leads to is gone when its slot is passed, though the unit isn't yet. */
static void test_passed_dict(void **state)
{
	struct store s;

	(void)state;
	store_init(&s, 1);
	for (int i = 0; i < 1000; i++)
		store_runf(&s, "SADD b m%d", i);
	store_run(&s, "SADD a m");
	freeze_begin(s.ks, 1);
	store_run(&s, "SREM b m0"); /* notes the root, and keeps what was there */
	assert_true(kept_bytes(&s) > 0);
	freeze_pass(s.ks, slot_of(&s, "a")->index);
	release_kept(&s);
	assert_int_equal(kept_bytes(&s), 0);
	for (int i = 1; i < 1000; i++)
		store_runf(&s, "SMOVE b a m%d", i);
	freeze_end(s.ks);
	release_kept(&s);
	store_deinit(&s);
}

/* What a unit makes for itself alone is nothing to the snapshot: it isn't kept. */
static void test_never_put(void **state)
{
	static const char *const requests[] = {
		"SUNION a b",   "SDIFF a b",        "ZUNION 2 c d",
		"ZINTER 2 c d", "ZINTERCARD 2 c d", "ZDIFF 2 c d",
	};
	struct store s;

	(void)state;
	store_init(&s, SHARDS);
	for (int i = 0; i < 1000; i++) {
		store_runf(&s, "SADD a a%d", i);
		store_runf(&s, "SADD b b%d", i);
		store_runf(&s, "ZADD c %d c%d", i, i);
		store_runf(&s, "ZADD d %d d%d", i, i);
	}
	freeze_begin(s.ks, 1);
	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		store_run(&s, requests[i]);
		assert_int_equal(kept_bytes(&s), 0);
	}
	freeze_end(s.ks);
	store_deinit(&s);
}

static void run_all(struct store *s, const char *const *formats, size_t count)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	for (size_t f = 0; f < count; f++)
		for (int i = 0; i < 1000; i++)
			store_runf(s, formats[f], i, i);
#pragma GCC diagnostic pop
}

/*
 * Nor is what came to structures after the cut, once all that was there has been replaced or
 * copied.
 */
static void test_later_not_kept(void **state)
{
	static const char *const fill[] = {"ZADD z %d m%d", "SADD s m%d", "HSET h f%d %d"};
	static const char *const empty[] = {"ZREM z m%d", "SREM s m%d", "HDEL h f%d"};
	static const char *const stay[] = {"ZADD z 0 x", "SADD s x", "HSET h x x"};
	struct store s;

	(void)state;
	store_init(&s, SHARDS);
	run_all(&s, fill, COUNT_OF(fill));
	freeze_begin(s.ks, 1);
	for (size_t i = 0; i < COUNT_OF(stay); i++)
		store_run(&s, stay[i]);
	run_all(&s, empty, COUNT_OF(empty));
	size_t kept = kept_bytes(&s);
	for (int round = 0; round < 2; round++) {
		run_all(&s, fill, COUNT_OF(fill));
		run_all(&s, empty, COUNT_OF(empty));
	}
	store_run(&s, "SETRANGE b 100000 x");
	store_run(&s, "SETRANGE b 50000 x");
	assert_int_equal(kept_bytes(&s), kept);
	freeze_end(s.ks);
	release_kept(&s);
	store_deinit(&s);
}

/* The record of a unit before the cut that is made after it says so. */
static void test_journal(void **state)
{
	struct store s;
	char text[512] = "";

	(void)state;
	store_init(&s, 1);
	s.now = 1000;
	struct shard *shard = shard_of(&s, 0);
	struct journal *journal = &shard->journal;
	struct slot *slot = slot_of(&s, "b");
	journal->on = true;
	store_run(&s, "SET b 1");
	assert_true(slots_try_hold(shard, &slot, 1));
	effect_remove(journal, 0, SLICE("b"));
	freeze_begin(s.ks, 1);
	slots_release(shard, &slot, 1, true, s.now);
	store_run(&s, "SET b 2");
	char *bytes = store_journal(journal);
	for (size_t i = 0, len = 0; i < journal->buf.len && len + 1 < sizeof(text); i++)
		if (bytes[i] != '\n')
			text[len++] = bytes[i] == '\r' ? '|' : bytes[i];
	free(bytes);
	assert_string_equal(text, "#EP:1:1000|#V:3300:1|*2|$6|SELECT|$1|0|*3|$3|SET|$1|b|$1|1|"
				  "#EP:2:1000|#PRE|#V:3300:1|*2|$6|SELECT|$1|0|*2|$3|DEL|$1|b|"
				  "#V:3300:2|*3|$3|SET|$1|b|$1|2|");
	freeze_end(s.ks);
	store_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unit_before),     cmocka_unit_test(test_unit_outlives),
		cmocka_unit_test(test_passed),          cmocka_unit_test(test_passed_dict),
		cmocka_unit_test(test_handed_over),     cmocka_unit_test(test_handed_while_scanned),
		cmocka_unit_test(test_handed_too_many), cmocka_unit_test(test_handed_and_passed),
		cmocka_unit_test(test_never_put),       cmocka_unit_test(test_journal),
		cmocka_unit_test(test_model),           cmocka_unit_test(test_later_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
