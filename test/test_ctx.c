/*
 * The verbs on keys: what a lookup finds as a reader and as the holder, what it counts and marks,
 * what stores leave in the counts, and arguments.
 */
#include "test/store.h"

/* A context on up to three keys of a store; what `now` is, is the store's. */
struct view {
	struct store *store;
	struct key keys[3];
	struct ctx ctx;
};

static void view_init(struct view *view, struct store *store, const char *a, const char *b)
{
	const char *names[] = {a, b};

	*view = (struct view){.store = store};
	view->ctx = (struct ctx){.now = store->now,
				 .keys = view->keys,
				 .reply = &store->reply,
				 .ks = store->ks,
				 .shard = store->ks->shards[0]};
	for (int i = 0; i < 2 && names[i]; i++)
		key_prepare(&view->keys[view->ctx.key_count++], store->ks, slice_of(names[i]));
	reply_reset(&store->reply, SIZE_MAX);
}

static const char *reply_text(struct store *s)
{
	*reply_room(&s->reply, 1) = '\0';
	return s->reply.buf;
}

static struct slot *slot_of(const struct store *s, const char *key)
{
	return &s->ks->slots[key_slot(key, strlen(key))];
}

/* The entry as it is in its table, whatever the time. */
static struct entry *stored(const struct store *s, uint32_t db, const char *name)
{
	struct key key;

	key_prepare(&key, s->ks, slice_of(name));
	struct table *table = slot_table(key.slot, db);
	return table ? table_find(table, key.hash, key.name) : NULL;
}

static struct entry *entry_of(const char *key, const char *value, int64_t expire)
{
	return entry_new_string(slice_of(key), slice_of(value), expire, 0);
}

static uint64_t counted(const _Atomic uint64_t *counter)
{
	return atomic_load(counter);
}

/* --- lookups --- */

enum lookup {
	FIND,
	FIND_UNTOUCHED,
	PEEK,
	PEEK_TOUCH,
	PEEK_IN,
};

static struct entry *look(struct ctx *ctx, enum lookup lookup)
{
	switch (lookup) {
	case FIND:
		return ctx_find(ctx, 0);
	case FIND_UNTOUCHED:
		return ctx_find_untouched(ctx, 0);
	case PEEK:
		return ctx_peek(ctx, 0, false);
	case PEEK_TOUCH:
		return ctx_peek(ctx, 0, true);
	case PEEK_IN:
		return ctx_peek_in(ctx, 0, 0);
	}
	return NULL;
}

/* What is counted and marked; "k" was last used 50 seconds ago. */
static void test_lookups_count_and_mark(void **state)
{
	static const struct {
		const char *label;
		const char *key;
		enum lookup lookup;
		bool no_touch;
		uint64_t hits, misses;
		bool marked;
	} rows[] = {
		{"find", "k", FIND, false, 1, 0, true},
		{"find, NO-TOUCH", "k", FIND, true, 1, 0, false},
		{"find untouched", "k", FIND_UNTOUCHED, false, 1, 0, false},
		{"find nothing", "x", FIND, false, 0, 1, false},
		{"find nothing untouched", "x", FIND_UNTOUCHED, false, 0, 1, false},
		{"peek", "k", PEEK, false, 0, 0, false},
		{"peek and touch", "k", PEEK_TOUCH, false, 0, 0, true},
		{"peek and touch, NO-TOUCH", "k", PEEK_TOUCH, true, 0, 0, false},
		{"peek at nothing", "x", PEEK_TOUCH, false, 0, 0, false},
		{"peek in a database", "k", PEEK_IN, false, 0, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows) * 2; i++) {
		bool holder = i >= COUNT_OF(rows);
		size_t row = i % COUNT_OF(rows);
		struct store s;
		struct view view;
		store_init(&s, 1);
		store_run(&s, "SET k v");
		s.now += 50000;
		view_init(&view, &s, rows[row].key, NULL);
		view.ctx.holder = holder;
		view.ctx.no_touch = rows[row].no_touch;
		struct entry *e = look(&view.ctx, rows[row].lookup);
		assert_int_equal(e != NULL, rows[row].key[0] == 'k');
		assert_int_equal(view.ctx.no_touch, rows[row].no_touch);
		const struct shard_stats *stats = &view.ctx.shard->stats;
		if (counted(&stats->hits) != rows[row].hits ||
		    counted(&stats->misses) != rows[row].misses)
			fail_msg("%s: %u hits, %u misses", rows[row].label,
				 (unsigned)counted(&stats->hits),
				 (unsigned)counted(&stats->misses));
		if (e && (ctx_idle_seconds(&view.ctx, e) == 0) != rows[row].marked)
			fail_msg("%s: marked or not", rows[row].label);
		assert_false(view.ctx.stored);
		store_deinit(&s);
	}
}

/* An expired key is nobody's; the holder removes it, a reader leaves it to others. */
static void test_lookups_of_expired(void **state)
{
	static const struct {
		const char *label;
		enum lookup lookup;
		bool holder;
		int64_t now;
		bool found, there;
		uint64_t misses;
	} rows[] = {
		{"a reader, in time", FIND, false, 1099, true, true, 0},
		{"a reader, at its time", FIND, false, 1100, false, true, 1},
		{"a reader who peeks", PEEK, false, 1100, false, true, 0},
		{"the holder, in time", FIND, true, 1099, true, true, 0},
		{"the holder, at its time", FIND, true, 1100, false, false, 1},
		{"the holder who peeks", PEEK, true, 1100, false, false, 0},
		{"the holder who peeks in a database", PEEK_IN, true, 1100, false, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct store s;
		struct view view;
		store_init(&s, 1);
		store_run(&s, "SET k v PXAT 1100");
		s.now = rows[i].now;
		view_init(&view, &s, "k", NULL);
		view.ctx.holder = rows[i].holder;
		bool found = look(&view.ctx, rows[i].lookup) != NULL;
		bool there = stored(&s, 0, "k") != NULL;
		if (found != rows[i].found || there != rows[i].there)
			fail_msg("%s: found %d, there %d", rows[i].label, found, there);
		assert_int_equal(view.ctx.stored, !there);
		assert_int_equal(keyspace_keys(s.ks, 0), there);
		assert_int_equal(keyspace_expires(s.ks, 0), there);
		assert_int_equal(counted(&view.ctx.shard->stats.expired), !there);
		assert_int_equal(counted(&view.ctx.shard->stats.misses), rows[i].misses);
		assert_int_equal(view.ctx.dirty, 0);
		store_deinit(&s);
	}
}

static void test_lookups_of_a_type(void **state)
{
	static const struct {
		const char *label;
		const char *key;
		enum entry_type type;
		bool fits, found;
	} rows[] = {
		{"it is", "k", ENTRY_STRING, true, true},
		{"it is another", "k", ENTRY_HASH, false, true},
		{"nothing fits every type", "x", ENTRY_HASH, true, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows) * 2; i++) {
		size_t row = i % COUNT_OF(rows);
		struct store s;
		struct view view;
		struct entry *e;
		store_init(&s, 1);
		store_run(&s, "SET k v");
		view_init(&view, &s, rows[row].key, NULL);
		bool fits = i < COUNT_OF(rows) ? ctx_find_typed(&view.ctx, 0, rows[row].type, &e)
					       : ctx_peek_typed(&view.ctx, 0, rows[row].type, &e);
		if (fits != rows[row].fits)
			fail_msg("%s: %d", rows[row].label, fits);
		assert_int_equal(e != NULL, rows[row].found);
		assert_string_equal(reply_text(&s), fits ? ""
							 : "-WRONGTYPE Operation against a key "
							   "holding the wrong kind of value\r\n");
		store_deinit(&s);
	}
}

/* A value that only the holder may follow: a reader gets nothing and is told why. */
static void test_owner_only(void **state)
{
	static char big[ENTRY_BLOB_MIN];
	static const enum lookup lookups[] = {FIND, FIND_UNTOUCHED, PEEK, PEEK_TOUCH, PEEK_IN};
	struct slice set[] = {SLICE("SET"), SLICE("k"), {big, sizeof(big)}};
	struct store s;
	struct view view;

	(void)state;
	store_init(&s, 1);
	store_run_args(&s, set, 3);
	store_run(&s, "APPEND k x");
	assert_true(stored(&s, 0, "k")->flags & ENTRY_OWNER_ONLY);
	for (size_t i = 0; i < COUNT_OF(lookups); i++) {
		view_init(&view, &s, "k", NULL);
		assert_null(look(&view.ctx, lookups[i]));
		assert_true(view.ctx.need_holder);
		assert_int_equal(counted(&view.ctx.shard->stats.hits), i * (i < 2) + 2 * (i >= 2));
		view_init(&view, &s, "k", NULL);
		view.ctx.holder = true;
		assert_ptr_equal(look(&view.ctx, lookups[i]), stored(&s, 0, "k"));
		assert_false(view.ctx.need_holder);
	}
	store_deinit(&s);
}

/* --- stores --- */

/* What counts say after each store; all of one slot. */
static void test_put(void **state)
{
	static const struct {
		const char *label;
		const char *key;
		uint32_t db;
		int64_t expire;
		int64_t keys[2], expires[2]; /* of databases 0 and 1 */
		int64_t earliest;
	} rows[] = {
		{"a new one", "{t}a", 0, EXPIRE_NEVER, {1, 0}, {0, 0}, EXPIRE_NEVER},
		{"a new one that expires", "{t}b", 0, 5000, {2, 0}, {1, 0}, 5000},
		{"one that expires later", "{t}c", 0, 6000, {3, 0}, {2, 0}, 5000},
		{"one gets an expiry", "{t}a", 0, 4000, {3, 0}, {3, 0}, 4000},
		{"it gets a later one", "{t}a", 0, 9000, {3, 0}, {3, 0}, 4000},
		{"it loses it", "{t}a", 0, EXPIRE_NEVER, {3, 0}, {2, 0}, 4000},
		{"in another database", "{t}a", 1, 3000, {3, 1}, {2, 1}, 3000},
		{"the same again", "{t}a", 1, 3000, {3, 1}, {2, 1}, 3000},
	};
	struct store s;

	(void)state;
	store_init(&s, 1);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct view view;
		char value[16];
		view_init(&view, &s, rows[i].key, NULL);
		view.ctx.holder = true;
		view.ctx.db = rows[i].db;
		sprintf(value, "value %zu", i);
		struct entry *e = entry_of(rows[i].key, value, rows[i].expire);
		if (i % 2)
			ctx_put_in(&view.ctx, 0, rows[i].db, e);
		else
			ctx_put(&view.ctx, 0, e);
		assert_ptr_equal(stored(&s, rows[i].db, rows[i].key), e);
		assert_true(view.ctx.stored);
		assert_int_equal(view.ctx.dirty, 0);
		for (uint32_t db = 0; db < 2; db++)
			if (keyspace_keys(s.ks, db) != rows[i].keys[db] ||
			    keyspace_expires(s.ks, db) != rows[i].expires[db])
				fail_msg("%s: database %u", rows[i].label, db);
		if (slot_expire_earliest(slot_of(&s, "{t}")) != rows[i].earliest)
			fail_msg("%s: earliest", rows[i].label);
		store_collect(&s);
		assert_int_equal(s.ks->shards[0]->retire.bytes, 0);
	}
	store_deinit(&s);
}

/* What was replaced or removed is retired: its blob goes with it, or lives on in the new entry. */
static void test_retires(void **state)
{
	enum { PUT, PUT_SHALLOW, REMOVE, REMOVE_SHALLOW };
	static const struct {
		const char *label;
		int how;
		uint32_t refs; /* of the blob afterwards, the test's own included */
	} rows[] = {
		{"put", PUT, 1},
		{"put shallow", PUT_SHALLOW, 2},
		{"remove", REMOVE, 1},
		{"remove shallow", REMOVE_SHALLOW, 1},
	};
	static char big[ENTRY_BLOB_MIN];
	struct slice set[] = {SLICE("SET"), SLICE("k"), {big, sizeof(big)}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct store s;
		struct view view;
		store_init(&s, 1);
		store_run_args(&s, set, 3);
		struct entry *e = stored(&s, 0, "k");
		struct blob *blob = blob_ref(entry_blob(e));
		view_init(&view, &s, "k", NULL);
		view.ctx.holder = true;
		switch (rows[i].how) {
		case PUT:
			ctx_put(&view.ctx, 0, entry_of("k", "v", EXPIRE_NEVER));
			break;
		case PUT_SHALLOW:
			ctx_put_shallow(&view.ctx, 0, entry_with_expire(e, 5000));
			break;
		case REMOVE:
			assert_true(ctx_remove(&view.ctx, 0));
			break;
		case REMOVE_SHALLOW:
			assert_true(ctx_remove_shallow(&view.ctx, 0));
			break;
		}
		assert_true(s.ks->shards[0]->retire.bytes > 0);
		store_collect(&s);
		if (blob->refs != rows[i].refs)
			fail_msg("%s: %u references", rows[i].label, (unsigned)blob->refs);
		blob_unref(blob);
		store_deinit(&s);
	}
}

static void test_remove(void **state)
{
	static const struct {
		const char *label;
		const char *key;
		int64_t now;
		bool removed, stored;
		uint64_t expired;
		int64_t keys;
	} rows[] = {
		{"not there", "x", 1000, false, false, 0, 2},
		{"there", "a", 1000, true, true, 0, 1},
		{"expires later", "b", 1000, true, true, 0, 1},
		{"has expired", "b", 2000, false, true, 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows) * 2; i++) {
		size_t row = i % COUNT_OF(rows);
		struct store s;
		struct view view;
		store_init(&s, 1);
		store_run(&s, "SET a v");
		store_run(&s, "SET b v PXAT 2000");
		s.now = rows[row].now;
		view_init(&view, &s, rows[row].key, NULL);
		view.ctx.holder = true;
		bool removed = i < COUNT_OF(rows) ? ctx_remove(&view.ctx, 0)
						  : ctx_remove_shallow(&view.ctx, 0);
		if (removed != rows[row].removed)
			fail_msg("%s: %d", rows[row].label, removed);
		assert_int_equal(view.ctx.stored, rows[row].stored);
		assert_int_equal(keyspace_keys(s.ks, 0), rows[row].keys);
		assert_int_equal(counted(&view.ctx.shard->stats.expired), rows[row].expired);
		store_collect(&s);
		store_deinit(&s);
	}
}

/* --- access bits --- */

static void test_idle(void **state)
{
	static const struct {
		const char *label;
		int64_t made, now;
		uint64_t seconds;
	} rows[] = {
		{"at once", 5000, 5000, 0},
		{"within the second", 5000, 5999, 0},
		{"a second", 5000, 6000, 1},
		{"a day", 5000, 5000 + 86400000, 86400},
		{"the clock has gone round", 0xffffffll * 1000, 0x1000001ll * 1000, 2},
	};
	struct store s;

	(void)state;
	store_init(&s, 1);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct view view;
		s.now = rows[i].made;
		view_init(&view, &s, "k", NULL);
		struct entry *e = entry_new_string(SLICE("k"), SLICE("v"), EXPIRE_NEVER,
						   ctx_access_new(&view.ctx));
		view.ctx.now = rows[i].now;
		if (ctx_idle_seconds(&view.ctx, e) != rows[i].seconds)
			fail_msg("%s: %u", rows[i].label, (unsigned)ctx_idle_seconds(&view.ctx, e));
		entry_free(e);
	}
	store_deinit(&s);
}

/* A counter that starts at 5 loses one each period that it isn't used in. */
static void test_frequency(void **state)
{
	static const struct {
		const char *label;
		uint32_t decay_minutes;
		int64_t minutes; /* later */
		uint32_t counter;
	} rows[] = {
		{"at once", 1, 0, 5},       {"a minute", 1, 1, 4},
		{"three minutes", 1, 3, 2}, {"five minutes", 1, 5, 0},
		{"a day", 1, 1440, 0},      {"slower", 10, 29, 3},
		{"never", 0, 60000, 5},     {"the clock has gone round", 1, 65536 + 2, 3},
	};
	struct store s;

	(void)state;
	store_init(&s, 1);
	atomic_store(&s.ks->access_policy, ACCESS_LFU);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct view view;
		s.now = 65530ll * 60000;
		view_init(&view, &s, "k", NULL);
		struct entry *e = entry_new_string(SLICE("k"), SLICE("v"), EXPIRE_NEVER,
						   ctx_access_new(&view.ctx));
		atomic_store(&s.ks->lfu_decay_minutes, rows[i].decay_minutes);
		view.ctx.now += rows[i].minutes * 60000;
		if (ctx_frequency(&view.ctx, e) != rows[i].counter)
			fail_msg("%s: %u", rows[i].label, ctx_frequency(&view.ctx, e));
		entry_free(e);
	}
	store_deinit(&s);
}

/* Used again and again it rises, never above its border; with a factor of 0 each use counts. */
static void test_frequency_rises(void **state)
{
	static const struct {
		const char *label;
		uint32_t factor, uses, least, most;
	} rows[] = {
		{"each use counts", 0, 100, 105, 105},
		{"up to the border", 0, 1000, 255, 255},
		{"the usual factor: a hundred uses", 10, 100, 8, 30},
		{"... and a thousand times as many", 10, 100000, 100, 255},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct store s;
		struct view view;
		store_init(&s, 1);
		atomic_store(&s.ks->access_policy, ACCESS_LFU);
		atomic_store(&s.ks->lfu_log_factor, rows[i].factor);
		store_run(&s, "SET k v");
		view_init(&view, &s, "k", NULL);
		for (uint32_t n = 0; n < rows[i].uses; n++)
			ctx_find(&view.ctx, 0);
		uint32_t counter = ctx_frequency(&view.ctx, stored(&s, 0, "k"));
		if (counter < rows[i].least || counter > rows[i].most)
			fail_msg("%s: %u", rows[i].label, counter);
		store_deinit(&s);
	}
}

/* --- arguments --- */

static const char not_integer[] = "-ERR value is not an integer or out of range\r\n";

static void test_arg_int(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t n;
	} rows[] = {
		{"0", true, 0},
		{"-1", true, -1},
		{"9223372036854775807", true, INT64_MAX},
		{"-9223372036854775808", true, INT64_MIN},
		{"9223372036854775808", false, 0},
		{"", false, 0},
		{"1 ", false, 0},
		{"abc", false, 0},
	};
	struct store s;

	(void)state;
	store_init(&s, 1);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice argv[] = {SLICE("NAME"), slice_of(rows[i].text)};
		struct view view;
		int64_t n = 0;
		view_init(&view, &s, NULL, NULL);
		view.ctx.argv = argv;
		if (ctx_arg_int(&view.ctx, 1, &n) != rows[i].ok || n != rows[i].n)
			fail_msg("'%s': %ld", rows[i].text, (long)n);
		assert_string_equal(reply_text(&s), rows[i].ok ? "" : not_integer);
	}
	store_deinit(&s);
}

static void test_arg_db(void **state)
{
	static const char own[] = "ERR invalid DB index";
	static const char range[] = "-ERR DB index is out of range\r\n";
	static const char wide[] = "-ERR value is out of range, value must between -2147483648 and "
				   "2147483647\r\n";
	static const struct {
		const char *text;
		const char *error; /* the caller's */
		const char *reply; /* "" when it is a database */
		uint32_t db;
	} rows[] = {
		{"0", NULL, "", 0},
		{"3", own, "", 3},
		{"4", NULL, range, 0},
		{"4", own, range, 0},
		{"-1", NULL, range, 0},
		{"2147483647", own, range, 0},
		{"2147483648", NULL, wide, 0},
		{"-2147483649", NULL, wide, 0},
		{"2147483648", own, "-ERR invalid DB index\r\n", 0},
		{"x", NULL, not_integer, 0},
		{"x", own, "-ERR invalid DB index\r\n", 0},
		{"", NULL, not_integer, 0},
	};
	struct store s;

	(void)state;
	store_init(&s, 1);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice argv[] = {SLICE("SELECT"), slice_of(rows[i].text)};
		struct view view;
		uint32_t db = 0;
		view_init(&view, &s, NULL, NULL);
		view.ctx.argv = argv;
		bool ok = ctx_arg_db(&view.ctx, 1, &db, rows[i].error);
		if (ok != !*rows[i].reply || db != rows[i].db)
			fail_msg("'%s': %d, %u", rows[i].text, ok, db);
		assert_string_equal(reply_text(&s), rows[i].reply);
	}
	store_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookups_count_and_mark),
		cmocka_unit_test(test_lookups_of_expired),
		cmocka_unit_test(test_lookups_of_a_type),
		cmocka_unit_test(test_owner_only),
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_retires),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_frequency),
		cmocka_unit_test(test_frequency_rises),
		cmocka_unit_test(test_arg_int),
		cmocka_unit_test(test_arg_db),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
