/*
 * Values of all types and forms while a snapshot goes on: what a slot shows until it is passed is,
 * byte by byte, what would have been written of it at the cut, and what has changed from one cut to
 * the next was noted (changes.h).
 *
 * Requests of all families are made of templates, at random; TEST_ROUNDS says how long, 1 is the
 * usual time.
 */
#define STORE_ARGS_MAX 80
#include "test/store.h"

#include "shard/rdb_value.h"
#include "shard/sweep.h"
#include "shard/value.h"

#define SHARDS    2
#define TAGS      4
#define DATABASES 3 /* that are used */
#define CUTS      40
#define BURST     60 /* requests of one kind in a row, at most */
#define KEYS_MAX  4096
#define NAME_ROOM 16

/* --- requests --- */

/*
 * A word is text, or % and what it is: s b l t h m z p g a key of a kind, k of any; e an element, E
 * some; P pairs of them, Z scores with them, f one of a few fields, v a value, w a long one, B a
 * huge one, n a number, i an index, o an offset, d a database, T a time to come.
 */
static const char *const templates[] = {
	"SET %s %v",
	"SET %s %v PXAT %T",
	"SET %b %B",
	"SET %b %v KEEPTTL",
	"GETSET %b %B",
	"APPEND %s %v",
	"APPEND %b %v",
	"APPEND %b %w",
	"SETRANGE %b %o %v",
	"SETRANGE %b %o %B",
	"SETBIT %b %o 1",
	"SETBIT %b %o 0",
	"BITFIELD %b SET u16 %o %n INCRBY i8 %o %n",
	"BITOP XOR %b %b %b",
	"BITOP NOT %b %b",
	"INCRBY %s %n",
	"MSET %s %v %b %B %s %v",
	"GETDEL %b",
	"GETEX %k PXAT %T",
	"LPUSH %l %E",
	"RPUSH %l %E",
	"RPUSH %l %E",
	"LPUSH %l %e",
	"LPOP %l %n",
	"RPOP %l",
	"LSET %l %i %e",
	"LSET %l %i %e",
	"LINSERT %l BEFORE %e %e",
	"LINSERT %l AFTER %e %e",
	"LREM %l %n %e",
	"LREM %l 0 %e",
	"LTRIM %l %n -3",
	"LTRIM %l 0 %i",
	"LMOVE %l %l LEFT RIGHT",
	"LMOVE %l %l RIGHT LEFT",
	"LMPOP 2 %l %l RIGHT COUNT %n",
	"SORT %t BY nosort GET # STORE %l",
	"SADD %t %E",
	"SADD %t %E",
	"SADD %t %e",
	"SREM %t %E",
	"SPOP %t",
	"SPOP %t %n",
	"SMOVE %t %t %e",
	"SINTERSTORE %t %t %t",
	"SUNIONSTORE %t %t %t",
	"SDIFFSTORE %t %t %t",
	"HSET %h %P",
	"HSET %h %P",
	"HSET %h %e %v",
	"HDEL %h %E",
	"HINCRBY %h %e %n",
	"HPEXPIREAT %h %T FIELDS 2 %e %e",
	"HPERSIST %h FIELDS 2 %e %e",
	"HGETDEL %h FIELDS 2 %e %e",
	"HGETEX %h PXAT %T FIELDS 1 %e",
	"HSET %m %f %v %f %v",
	"HPEXPIREAT %m %T FIELDS 1 %f",
	"HSETEX %h PXAT %T FIELDS 2 %e %v %e %v",
	"ZADD %z %Z",
	"ZADD %z %Z",
	"ZADD %z GT %n %e",
	"ZINCRBY %z %n %e",
	"ZREM %z %E",
	"ZPOPMIN %z %n",
	"ZPOPMAX %z",
	"ZREMRANGEBYRANK %z %n %n",
	"ZREMRANGEBYSCORE %z %n %n",
	"ZUNIONSTORE %z 2 %z %t",
	"ZINTERSTORE %z 2 %z %z",
	"ZDIFFSTORE %z 2 %z %z",
	"ZRANGESTORE %z %z 0 %i",
	"PFADD %p %E",
	"PFMERGE %p %p",
	"GEOADD %g %n %n %e %n %n %e",
	"GEOSEARCHSTORE %g %g FROMLONLAT 10 10 BYRADIUS 3000 km",
	"RENAME %k %k",
	"RENAMENX %k %k",
	"COPY %k %k REPLACE",
	"COPY %b %b REPLACE DB %d",
	"COPY %k %k REPLACE DB %d",
	"MOVE %k %d",
	"DEL %k",
	"UNLINK %k %k",
	"PEXPIREAT %k %T",
	"PERSIST %k",
	"GET %s", /* what has expired goes */
	"HLEN %h",
	"EXISTS %k %k",
};

/* What makes large values of all kinds. */
static const char *const large[] = {"RPUSH %l %E", "SADD %t %E", "HSET %h %P", "ZADD %z %Z",
				    "SETRANGE %b %o %B"};

static const char kinds[] = "sblthmzpg";

struct model {
	struct store s;
	struct check_random random;
	uint32_t slots[TAGS]; /* rising */
	char tags[TAGS];
	uint32_t tag, digit; /* of the first key of all requests of a burst */
	char *text;          /* the request that is being made */
	size_t len;
	struct slice argv[STORE_ARGS_MAX];
	uint32_t argc;
	struct view *now, *last,
		*before; /* as of the cut going on, and the one before; NULL: no snapshot was */
	bool going;
	uint32_t passed; /* of the tags */
};

#define TEXT_ROOM (1024 * 1024)

static uint32_t below(struct model *m, uint32_t bound)
{
	return (uint32_t)check_random_below(&m->random, bound);
}

static void add_arg(struct model *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_arg(struct model *m, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	int len = vsnprintf(m->text + m->len, TEXT_ROOM - m->len, format, list);
	va_end(list);
	assert_true(len >= 0 && (size_t)len < TEXT_ROOM - m->len && m->argc < STORE_ARGS_MAX);
	m->argv[m->argc++] = (struct slice){m->text + m->len, (size_t)len};
	m->len += (size_t)len;
}

/* Bytes of one kind, so that a request's text may be repeated from the seed. */
static void add_bytes(struct model *m, size_t len)
{
	assert_true(len < TEXT_ROOM - m->len && m->argc < STORE_ARGS_MAX);
	memset(m->text + m->len, 'a' + (int)below(m, 26), len);
	m->argv[m->argc++] = (struct slice){m->text + m->len, len};
	m->len += len;
}

static void add_key(struct model *m, char kind)
{
	bool first = m->argc == 1;
	uint32_t tag = first ? m->tag : below(m, TAGS);

	add_arg(m, "{%c}%c%u", m->tags[tag], kind, first ? m->digit : below(m, 2));
}

/* Of a burst's first kind of keys numbers alone; of the other words, too, and longer ones. */
static void add_element(struct model *m)
{
	uint32_t n = below(m, below(m, 3) ? 100 : 2000);

	if (m->digit == 0 || below(m, 4) == 0)
		add_arg(m, "%u", n);
	else if (below(m, 100) == 0)
		add_bytes(m, 1 + below(m, 3000));
	else if (below(m, 50) == 0)
		add_bytes(m, 65 + n % 100);
	else
		add_arg(m, "element:%u", n);
}

static void add_some(struct model *m, char kind)
{
	for (uint32_t i = 1 + below(m, 20); i > 0; i--) {
		if (kind == 'Z')
			add_arg(m, "%u", below(m, 500));
		add_element(m);
		if (kind == 'P')
			add_arg(m, "%u", below(m, 10000));
	}
}

static void add_made(struct model *m, char kind)
{
	if (strchr(kinds, kind))
		add_key(m, kind);
	else if (kind == 'k')
		add_key(m, kinds[below(m, sizeof(kinds) - 1)]);
	else if (kind == 'e')
		add_element(m);
	else if (kind == 'f')
		add_arg(m, "%u", below(m, 8));
	else if (strchr("EPZ", kind))
		add_some(m, kind);
	else if (kind == 'v')
		add_arg(m, "%u", below(m, 100000));
	else if (kind == 'w')
		add_bytes(m, 1 + below(m, 3000));
	else if (kind == 'B')
		add_bytes(m, ENTRY_BLOB_MIN / 2 + below(m, ENTRY_BLOB_MIN));
	else if (kind == 'n')
		add_arg(m, "%u", below(m, 40));
	else if (kind == 'i')
		add_arg(m, "%d", (int)below(m, below(m, 3) ? 100 : 1500) - 20);
	else if (kind == 'o')
		add_arg(m, "%u", below(m, 3 * ENTRY_BLOB_MIN));
	else if (kind == 'd')
		add_arg(m, "%u", below(m, DATABASES));
	else if (kind == 'T')
		add_arg(m, "%lld", (long long)m->s.now + below(m, 300));
	else
		fail_msg("%%%c?", kind);
}

static void run_template(struct model *m, const char *template)
{
	m->argc = 0;
	m->len = 0;
	for (const char *word = template; *word != '\0';) {
		size_t len = strcspn(word, " ");
		if (*word == '%')
			add_made(m, word[1]);
		else
			add_arg(m, "%.*s", (int)len, word);
		word += len + strspn(word + len, " ");
	}
	store_run_args(&m->s, m->argv, m->argc);
}

static void sweep(struct model *m)
{
	for (uint32_t i = 0; i < SHARDS; i++)
		for (uint32_t j = 0; j < SLOT_COUNT / SWEEP_SLOTS; j++)
			sweep_slice(m->s.ks->shards[i], m->s.now);
	store_collect(&m->s);
}

/* One request or more of a kind, on one key or from one key. */
static void run_burst(struct model *m)
{
	bool grow = below(m, 4) == 0;
	const char *template =
		grow ? large[below(m, COUNT_OF(large))] : templates[below(m, COUNT_OF(templates))];
	uint32_t count = 1 + below(m, grow || below(m, 8) == 0 ? BURST : 4);

	m->tag = below(m, TAGS);
	m->digit = below(m, 2);
	for (uint32_t i = 0; i < count; i++)
		run_template(m, template);
}

static void run_random(struct model *m)
{
	m->s.now += below(m, 4);
	m->s.db = below(m, 4) ? 0 : below(m, DATABASES);
	if (below(m, 150) == 0)
		store_runf(&m->s, "SWAPDB %u %u", below(m, DATABASES), below(m, DATABASES));
	else if (below(m, 400) == 0)
		store_run(&m->s, below(m, 4) ? "FLUSHDB" : "FLUSHALL");
	else if (below(m, 40) == 0)
		sweep(m);
	else
		run_burst(m);
}

/* --- what is seen --- */

/* A key as it was at a cut. */
struct seen {
	char name[NAME_ROOM];
	uint32_t slot, db;
	uint64_t bytes;       /* of what a snapshot writes */
	struct digest digest; /* of what is in it, whatever its form */
};

/* Keys in order, and such as were handed over. */
struct view {
	uint64_t cut;
	uint32_t count, served;
	struct seen keys[KEYS_MAX];
	struct seen handed[KEYS_MAX];
};

static uint64_t hash_bytes_at(const struct model *m, const struct entry *e, uint64_t cut)
{
	struct rdb_out out = {0};
	uint8_t type = rdb_type_at(e, cut);

	rdb_write_byte(&out, type);
	rdb_write_u64(&out, (uint64_t)entry_expire(e));
	rdb_encode_at(e, cut, type, &out);
	uint64_t hash = hash_bytes(&m->s.ks->seed, out.bytes, out.len);
	rdb_out_deinit(&out);
	return hash;
}

static struct seen seen_key(const struct entry *e, uint32_t slot, uint32_t db)
{
	struct seen seen = {.slot = slot, .db = db};
	struct slice key = entry_key(e);

	assert_true(key.len < sizeof(seen.name));
	memcpy(seen.name, key.ptr, key.len);
	assert_int_equal(key_slot(key.ptr, key.len), slot);
	return seen;
}

static int seen_compare(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	if (x->slot != y->slot)
		return x->slot < y->slot ? -1 : 1;
	if (x->db != y->db)
		return x->db < y->db ? -1 : 1;
	return strcmp(x->name, y->name);
}

struct gather {
	const struct model *m;
	struct view *view;
	uint64_t cut; /* EPOCH_NONE: as it is, so a digest; else the bytes */
	uint32_t slot, db;
};

static void gather_entry(void *arg, struct entry *e)
{
	struct gather *g = arg;
	struct seen *seen = &g->view->keys[g->view->count++];

	assert_true(g->view->count < KEYS_MAX);
	*seen = seen_key(e, g->slot, g->db);
	if (g->cut != EPOCH_NONE) {
		seen->bytes = hash_bytes_at(g->m, e, g->cut);
		return;
	}
	value_digest(e, &seen->digest);
	digest_mix_number(&seen->digest, (uint64_t)entry_expire(e));
	digest_mix_number(&seen->digest, entry_type(e));
}

static void gather_slot(const struct model *m, struct view *view, uint32_t slot, uint64_t cut)
{
	struct gather g = {.m = m, .view = view, .cut = cut, .slot = slot};

	for (; g.db < STORE_DATABASES; g.db++) {
		struct slot *there = &m->s.ks->slots[slot];
		const struct table *live = slot_table(there, g.db);
		struct table table = {live ? atomic_load(&live->root) : 0};
		if (cut != EPOCH_NONE)
			atomic_store(&table.root, freeze_root(m->s.ks, there, g.db));
		uint32_t count = view->count;
		for (uint64_t at = 0; at != TABLE_END;)
			at = table_scan_unstruck(&table, at, gather_entry, &g);
		assert_true(view->count - count <= table_count(&table));
	}
}

/* Of the slots from the tag's on. */
static void gather_from(const struct model *m, struct view *view, uint32_t tag, uint64_t cut)
{
	view->count = 0;
	for (; tag < TAGS; tag++)
		gather_slot(m, view, m->slots[tag], cut);
}

static void view_sort(struct view *view)
{
	qsort(view->keys, view->count, sizeof(*view->keys), seen_compare);
}

/* --- snapshots --- */

static void model_begin(struct model *m)
{
	struct keyspace *ks = m->s.ks;
	struct view *view = m->before, *bytes = m->now;
	uint64_t cut = atomic_load(&ks->epochs.now);

	gather_from(m, view, 0, EPOCH_NONE);
	changes_since(ks, cut);
	freeze_begin(ks, cut);
	gather_from(m, bytes, 0, cut);
	view_sort(view);
	view_sort(bytes);
	assert_int_equal(view->count, bytes->count);
	for (uint32_t i = 0; i < view->count; i++) {
		assert_int_equal(seen_compare(&view->keys[i], &bytes->keys[i]), 0);
		view->keys[i].bytes = bytes->keys[i].bytes;
	}
	view->cut = cut;
	view->served = 0;
	m->before = m->last;
	m->last = view;
	m->going = true;
	m->passed = 0;
}

/*
 * What isn't passed is seen, in the table or as handed over, as it was at the cut; and nothing
 * else.
 */
static void check_seen(struct model *m)
{
	struct view *view = m->now;
	uint32_t at = 0;

	gather_from(m, view, m->passed, m->last->cut);
	for (uint32_t i = 0; i < m->last->served; i++)
		if (m->last->handed[i].slot >= m->slots[m->passed])
			view->keys[view->count++] = m->last->handed[i];
	view_sort(view);
	while (at < m->last->count && m->last->keys[at].slot < m->slots[m->passed])
		at++;
	assert_int_equal(view->count, m->last->count - at);
	for (uint32_t i = 0; i < view->count; i++, at++) {
		const struct seen *was = &m->last->keys[at], *is = &view->keys[i];
		if (seen_compare(was, is) != 0)
			fail_msg("%s in %u was there, %s in %u is", was->name, was->db, is->name,
				 is->db);
		if (was->bytes != is->bytes)
			fail_msg("%s in %u has changed", was->name, was->db);
	}
}

static bool is_noted(const struct model *m, const struct seen *seen)
{
	const struct changes *changes =
		changes_at(m->s.ks, &m->s.ks->slots[seen->slot], m->before->cut, m->last->cut);
	uint64_t hash = hash_bytes(&m->s.ks->seed, seen->name, strlen(seen->name));
	bool noted = changes && changes->all;

	for (uint32_t i = 0; changes && i < changes->cap; i++)
		noted |= changes->keys[i] == changes_key(hash, seen->db);
	return noted;
}

/* Who is in one of two views alone, or in both and not the same, was noted. */
static void check_noted(const struct model *m)
{
	const struct view *a = m->before, *b = m->last;
	uint32_t i = 0, j = 0;

	while (a->cut != EPOCH_NONE && (i < a->count || j < b->count)) {
		int side = i == a->count   ? 1
			   : j == b->count ? -1
					   : seen_compare(&a->keys[i], &b->keys[j]);
		const struct seen *seen = side <= 0 ? &a->keys[i] : &b->keys[j];
		bool same = side == 0 &&
			    memcmp(&seen->digest, &b->keys[j].digest, sizeof(seen->digest)) == 0;
		if (!same && seen->slot >= m->slots[m->passed] && !is_noted(m, seen))
			fail_msg("%s in %u: a change was not noted", seen->name, seen->db);
		i += side <= 0;
		j += side >= 0;
	}
}

static void serve(void *arg, uint32_t slot, uint32_t db, struct entry *e)
{
	struct model *m = arg;
	struct seen *seen = &m->last->handed[m->last->served++];

	assert_true(m->last->served < KEYS_MAX);
	*seen = seen_key(e, slot, db);
	seen->bytes = hash_bytes_at(m, e, m->last->cut);
}

/* What the shards do in each tick. */
static void release_kept(struct model *m)
{
	for (uint32_t i = 0; i < SHARDS; i++)
		while (retire_release_kept(&m->s.ks->shards[i]->retire, &m->s.ks->freeze))
			;
	store_collect(&m->s);
}

/* The snapshot gets on by a slot, and maybe to the next; or ends. */
static void model_pass(struct model *m)
{
	struct keyspace *ks = m->s.ks;
	uint32_t seen = 0;

	check_seen(m);
	check_noted(m);
	assert_true(freeze_slot_ready(&ks->slots[m->slots[m->passed]], &seen));
	freeze_pass(ks, m->slots[m->passed] + 1);
	if (++m->passed < TAGS) {
		if (below(m, 4) > 0)
			freeze_pass(ks, m->slots[m->passed]);
		return;
	}
	freeze_end(ks);
	changes_end_snapshot(ks);
	m->going = false;
	release_kept(m);
	for (uint32_t i = 0; i < SHARDS; i++)
		assert_int_equal(retire_kept_bytes(&ks->shards[i]->retire), 0);
}

static void model_step(struct model *m)
{
	run_random(m);
	if (below(m, 4) == 0)
		atomic_fetch_add(&m->s.ks->epochs.now, 1);
	if (m->going && below(m, 4) == 0)
		freeze_serve(m->s.ks, serve, m);
	if (below(m, 3) == 0)
		release_kept(m);
	if (!m->going && below(m, 8) == 0) {
		model_begin(m);
		if (below(m, 2)) /* often the first to change a slot */
			sweep(m);
	} else if (m->going && below(m, 8) == 0) {
		model_pass(m);
	}
}

/* --- */

static void model_tags(struct model *m)
{
	for (uint32_t i = 0; i < TAGS; i++) {
		char name = (char)('a' + i);
		uint32_t slot = key_slot(&name, 1), at = i;
		for (; at > 0 && m->slots[at - 1] > slot; at--) {
			m->slots[at] = m->slots[at - 1];
			m->tags[at] = m->tags[at - 1];
		}
		m->slots[at] = slot;
		m->tags[at] = name;
	}
}

/*
 * Large values of all kinds, and many small ones: so that not all of a slot is taken for changed.
 */
static void model_fill(struct model *m)
{
	for (m->tag = 0; m->tag < TAGS; m->tag++)
		for (m->s.db = 0; m->s.db < DATABASES; m->s.db++) {
			for (uint32_t i = 0; i < 100; i++)
				store_runf(&m->s, "SET {%c}x%u x", m->tags[m->tag], i);
			for (uint32_t i = 0; i < 300; i++) {
				m->digit = i % 2;
				run_template(m, large[i % COUNT_OF(large)]);
			}
		}
}

static void run_round(struct model *m)
{
	store_init(&m->s, SHARDS);
	model_tags(m);
	model_fill(m);
	m->last->cut = m->before->cut = EPOCH_NONE;
	for (uint32_t cuts = 0; cuts < CUTS || m->going;) {
		bool before = m->going;
		model_step(m);
		cuts += m->going && !before;
	}
	store_check_closed(&m->s);
	store_deinit(&m->s);
}

static void test_all_values(void **state)
{
	const char *rounds = getenv("TEST_ROUNDS");
	struct model m = {.random = check_random_start()};
	struct view *views = calloc(3, sizeof(*views));

	(void)state;
	m.text = malloc(TEXT_ROOM);
	m.now = &views[0];
	m.last = &views[1];
	m.before = &views[2];
	for (int i = rounds ? atoi(rounds) : 1; i > 0; i--)
		run_round(&m);
	free(m.text);
	free(views);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_values)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
