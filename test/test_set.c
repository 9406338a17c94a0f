/*
 * Sets against a plain array of flags: any number of additions and removals as one change, from
 * intset to listpack to dict, with the encoding that Redis would give.
 */
#include "check.h"

#include "shard/execute.h"
#include "shard/set.h"

#include <string.h>

#define MODEL_STEPS 1000000 /* additions and removals */
/* Members that there may be: the first half are numbers. */
#define UNIVERSE 1600
/* Changes after which a set is begun anew. */
#define LIFE 4000

struct model {
	bool in[UNIVERSE];
	size_t count;
	enum entry_encoding encoding;
};

static struct slice universe[UNIVERSE];
static char universe_bytes[UNIVERSE][100];

static struct keyspace *ks;
static struct key key;

static struct ctx ctx_holding(void)
{
	return (struct ctx){.keys = &key,
			    .key_count = 1,
			    .now = 1000,
			    .ks = ks,
			    .shard = ks->shards[0],
			    .holder = true};
}

static void universe_fill(struct check_random *random)
{
	for (size_t i = 0; i < UNIVERSE; i++) {
		char *out = universe_bytes[i];
		size_t len;

		if (i < UNIVERSE / 2) {
			int64_t n = (int64_t)i - UNIVERSE / 4;
			unsigned shift = i % 3 == 0 ? 0 : i % 3 == 1 ? 12 : 40;
			len = number_format(out, (int64_t)((uint64_t)n << shift) + (i % 3));
		} else {
			size_t more = i % 50 == 0 ? 62 : check_random_below(random, 30);
			len = snprintf(out, sizeof(universe_bytes[i]), "m%zu", i);
			memset(out + len, 'x', more);
			len += more;
		}
		universe[i] = (struct slice){out, len};
	}
}

static int64_t universe_find(struct slice text)
{
	for (size_t i = 0; i < UNIVERSE; i++)
		if (slice_equal(universe[i], text))
			return (int64_t)i;
	return -1;
}

/* --- Redis' rules once more, in one function --- */

static void model_encode(struct model *model, size_t member)
{
	bool number = member < UNIVERSE / 2;
	size_t count_max = (size_t)limit_load(&ks->limits.set_listpack_entries);
	size_t length_max = (size_t)limit_load(&ks->limits.set_listpack_value);

	if (model->encoding == ENCODING_HASHTABLE)
		return;
	if (model->encoding == ENCODING_INTSET && number) {
		if (model->count >= (size_t)limit_load(&ks->limits.set_intset_entries))
			model->encoding = ENCODING_HASHTABLE;
		return;
	}
	model->encoding = model->count < count_max && universe[member].len <= length_max
				  ? ENCODING_LISTPACK
				  : ENCODING_HASHTABLE;
}

static bool model_add(struct model *model, size_t member)
{
	if (model->in[member])
		return false;
	model_encode(model, member);
	model->in[member] = true;
	model->count++;
	return true;
}

static bool model_remove(struct model *model, size_t member)
{
	bool was = model->in[member];

	model->in[member] = false;
	model->count -= was;
	return was;
}

/* --- comparing --- */

struct seen {
	const struct model *model;
	bool in[UNIVERSE];
	size_t count;
};

static bool see(void *arg, struct listpack_item member)
{
	struct seen *seen = arg;
	char room[NUMBER_TEXT_MAX];
	int64_t i = universe_find(listpack_item_text(member, room));

	assert_true(i >= 0);
	assert_true(seen->model->in[i] && !seen->in[i]);
	seen->in[i] = true;
	seen->count++;
	return true;
}

static void check_same(const struct set *set, const struct model *model)
{
	struct seen seen = {.model = model};

	assert_int_equal(set_count(set), model->count);
	set_walk(set, see, &seen);
	assert_int_equal(seen.count, model->count);
	for (size_t i = 0; i < UNIVERSE; i++)
		assert_int_equal(set_contains(set, ks->shards[0],
					      (struct listpack_item){.text = universe[i]}),
				 model->in[i]);
}

/* Scans from cursor 0 on until it is 0 again: everything, at least once. */
static bool see_again(void *arg, struct listpack_item member)
{
	struct seen *seen = arg;
	char room[NUMBER_TEXT_MAX];
	int64_t i = universe_find(listpack_item_text(member, room));

	assert_true(i >= 0 && seen->model->in[i]);
	seen->count += !seen->in[i];
	seen->in[i] = true;
	return true;
}

static void check_scan(const struct set *set, const struct model *model, size_t count)
{
	struct seen seen = {.model = model};
	uint64_t cursor = 0;

	do
		cursor = set_scan(set, cursor, count, see_again, &seen);
	while (cursor);
	assert_int_equal(seen.count, model->count);
}

static void check_samples(const struct set *set, const struct model *model, size_t count)
{
	struct seen seen = {.model = model};
	struct listpack_item member;

	set_sample(set, ks->shards[0], count, see, &seen);
	assert_int_equal(seen.count, count < model->count ? count : model->count);
	assert_int_equal(set_random(set, ks->shards[0], &member), model->count > 0);
	if (model->count > 0) {
		char room[NUMBER_TEXT_MAX];
		assert_true(model->in[universe_find(listpack_item_text(member, room))]);
	}
}

static void check_entry(const struct entry *e, const struct model *model)
{
	assert_int_equal(e != NULL, model->count > 0);
	if (!e)
		return;
	assert_int_equal(entry_type(e), ENTRY_SET);
	assert_int_equal(entry_encoding(e), model->encoding);
	/* Packed up to a size, and once a dict always a dict. */
	if (!(e->flags & ENTRY_DICT))
		assert_true(entry_value(e).len <= PACKED_BYTES_MAX);
}

static struct digest digest_of(const struct entry *e)
{
	struct digest digest = {0};

	set_digest(e, &digest);
	return digest;
}

/* A copy made at once, in whatever form, has the same digest. */
static void check_digest(struct ctx *ctx, const struct entry *e, const struct model *model)
{
	struct set_edit edit;
	struct digest one = digest_of(e), two;
	struct entry_spec spec = {.type = ENTRY_SET, .expire = EXPIRE_NEVER};
	struct entry *copy;

	set_edit_begin(&edit, ctx, 0, NULL);
	for (size_t i = UNIVERSE; i-- > 0;)
		if (model->in[i])
			set_edit_add(&edit, (struct listpack_item){.text = universe[i]});
	spec.encoding = ENCODING_HASHTABLE;
	if (!edit.dict) {
		set_edit_drop(&edit);
		return;
	}
	copy = entry_new_dict(&spec, edit.dict);
	two = digest_of(copy);
	assert_memory_equal(&one, &two, sizeof(one));
	entry_free(copy);
}

/* --- the test --- */

static size_t pick(struct check_random *random, size_t width, bool numbers)
{
	size_t i = check_random_below(random, width);

	return numbers || check_random_below(random, 2) ? i % (UNIVERSE / 2)
							: UNIVERSE / 2 + i % (UNIVERSE / 2);
}

/* Some changes as one. Adds more often than not while the set is to grow. */
static size_t step(struct check_random *random, struct model *model, size_t width, bool numbers,
		   unsigned adds)
{
	struct ctx ctx = ctx_holding();
	struct entry *e = ctx_peek(&ctx, 0, false);
	size_t changes = 1 + check_random_below(random, check_random_below(random, 8) ? 4 : 60);
	struct set_edit edit;
	struct set set;

	set_edit_begin(&edit, &ctx, 0, e);
	if (!e)
		model->encoding = ENCODING_INTSET;
	for (size_t i = 0; i < changes; i++) {
		size_t member = pick(random, width, numbers);
		struct listpack_item item = {.text = universe[member]};

		if (check_random_below(random, 8) < adds)
			assert_int_equal(set_edit_add(&edit, item), model_add(model, member));
		else
			assert_int_equal(set_edit_remove(&edit, item), model_remove(model, member));
	}
	set = set_edit_set(&edit);
	assert_int_equal(set_count(&set), model->count);
	set_edit_end(&edit);
	check_entry(ctx_peek(&ctx, 0, false), model);
	return changes;
}

static void collect(void)
{
	retire_stamp(&ks->shards[0]->retire, &ks->grace);
	atomic_fetch_add(&ks->grace.started, 1);
	atomic_store(&ks->grace.completed, atomic_load(&ks->grace.started));
	while (retire_collect(&ks->shards[0]->retire, &ks->grace, 1000))
		;
}

static void check_all(struct check_random *random, const struct model *model)
{
	struct ctx ctx = ctx_holding();
	struct entry *e = ctx_peek(&ctx, 0, false);
	struct set set = set_of(e);

	check_same(&set, model);
	check_scan(&set, model, 1 + check_random_below(random, 300));
	check_samples(&set, model, check_random_below(random, 2 * model->count + 2));
	if (e)
		check_digest(&ctx, e, model);
}

static void test_model(void **state)
{
	struct check_random random = check_random_start();
	struct model model = {.encoding = ENCODING_INTSET};
	size_t life = 0, width = UNIVERSE;
	bool numbers = false;

	universe_fill(&random);
	for (size_t done = 0, n, checked = 0; done < MODEL_STEPS; done += n, life += n) {
		if (life > LIFE) {
			struct ctx ctx = ctx_holding();
			ctx_remove(&ctx, 0);
			model = (struct model){.encoding = ENCODING_INTSET};
			life = 0;
		}
		if (life == 0) {
			width = 1 + check_random_below(&random, UNIVERSE);
			numbers = check_random_below(&random, 2);
		}
		n = step(&random, &model, width, numbers, life < LIFE / 2 ? 6 : 3);
		collect();
		if (done - checked > LIFE / 4) {
			check_all(&random, &model);
			checked = done;
		}
	}
}

static void test_expect(void **state)
{
	static const struct {
		const char *label;
		const char *first;
		size_t count;
		enum entry_encoding encoding;
	} rows[] = {
		{"a number", "1", 1, ENCODING_INTSET},
		{"as many numbers as fit an intset", "1", 512, ENCODING_INTSET},
		{"a number too many", "1", 513, ENCODING_HASHTABLE},
		{"text", "x", 1, ENCODING_LISTPACK},
		{"as many texts as fit a listpack", "x", 128, ENCODING_LISTPACK},
		{"a text too many", "x", 129, ENCODING_HASHTABLE},
		{"what only looks like a number", "01", 1, ENCODING_LISTPACK},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct ctx ctx = ctx_holding();
		struct slice first = slice_of(rows[i].first);
		struct set_edit edit;

		print_message("# %s\n", rows[i].label);
		set_edit_begin(&edit, &ctx, 0, NULL);
		set_edit_expect(&edit, first, rows[i].count);
		assert_int_equal(edit.encoding, rows[i].encoding);
		assert_true(set_edit_add(&edit, (struct listpack_item){.text = first}));
		assert_int_equal(edit.encoding, rows[i].encoding);
		set_edit_end(&edit);
		assert_true(ctx_remove(&ctx, 0));
	}
}

/*
 * Intsets that become listpacks of about PACKED_BYTES_MAX bytes: `small` numbers of two bytes each
 * there, the others of three.
 */
static void test_leave_intset(void **state)
{
	for (size_t small = 0; small < 3; small++) {
		for (size_t count = 330; count < 350; count++) {
			struct ctx ctx = ctx_holding();
			struct set_edit edit;
			struct set set;

			set_edit_begin(&edit, &ctx, 0, NULL);
			for (size_t i = 0; i < count; i++)
				set_edit_add(&edit, listpack_item_number(i < small ? i : 200 + i));
			assert_int_equal(edit.encoding, ENCODING_INTSET);
			set_edit_add(&edit, (struct listpack_item){.text = SLICE("x")});
			assert_int_equal(edit.encoding, ENCODING_HASHTABLE);
			set = set_edit_set(&edit);
			assert_int_equal(set_count(&set), count + 1);
			for (size_t i = 0; i < count; i++)
				assert_true(set_contains(&set, ctx.shard,
							 listpack_item_number(
								 i < small ? i : 200 + i)));
			/* The text takes three bytes, too. */
			size_t bytes = LISTPACK_BYTES_MIN + 3 * (count + 1) - small;
			assert_int_equal(edit.dict == NULL, bytes <= PACKED_BYTES_MAX);
			set_edit_drop(&edit);
			collect();
		}
	}
}

static int setup(void **state)
{
	ks = keyspace_new(1, 1, &(struct hash_seed){1, 2});
	key_prepare(&key, ks, SLICE("key"));
	return 0;
}

static int teardown(void **state)
{
	keyspace_free(ks);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expect),
		cmocka_unit_test(test_leave_intset),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
