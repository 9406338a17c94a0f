/*
 * Large sorted sets against a plain sorted array: whatever is done to both, they say the same, and
 * the tree stays as zset_tree.h wants it. Built twice: as it is, and with nodes so small that trees
 * get deep.
 */
#include "shard/zset.h"
#include "shard/zset_node.h"
#include "test/check.h"

#include <math.h>

#define MEMBERS_MAX 6000

/*
 * What should be in the set, in order; and the score of each member number, NaN where it isn't
 * there.
 */
struct model {
	struct zset *z;
	struct hash_seed seed;
	struct retire r;
	struct grace grace;
	struct check_random random;
	uint32_t members; /* numbers below this are used */
	uint32_t count;
	uint32_t order[MEMBERS_MAX];
	double scores[MEMBERS_MAX];
	char names[MEMBERS_MAX][16];
};

static struct check_random seeds;
static struct model m;

static uint32_t below(uint32_t n)
{
	return check_random_below(&m.random, n);
}

static struct slice name(uint32_t member)
{
	return slice_of(m.names[member]);
}

/* A grace period passes: what was retired goes, so that a use of it later is found. */
static void pass_grace(void)
{
	retire_stamp(&m.r, &m.grace);
	m.grace.started++;
	m.grace.completed = m.grace.started;
	while (retire_collect(&m.r, &m.grace, 1000))
		;
}

static void model_init(uint32_t members)
{
	memset(&m, 0, sizeof(m));
	m.random.state = check_random_next(&seeds);
	m.seed = (struct hash_seed){check_random_next(&m.random), check_random_next(&m.random)};
	m.members = members;
	m.z = zset_new();
	retire_init(&m.r);
	for (uint32_t i = 0; i < MEMBERS_MAX; i++) {
		m.scores[i] = NAN;
		snprintf(m.names[i], sizeof(m.names[i]), "%.*s%u", (int)below(5), "aaaaa", i);
	}
	m.names[0][0] = '\0';
}

static void model_deinit(void)
{
	uint64_t at = 0;
	size_t budget;

	do
		budget = 1 + below(100);
	while (!zset_free_slice(m.z, &at, &budget));
	pass_grace();
	retire_deinit(&m.r);
}

/* --- the array --- */

static bool stands_before(uint32_t member, const struct zset_cut *cut)
{
	return zset_cut_passes(cut, m.scores[member], name(member));
}

static uint32_t model_rank(const struct zset_cut *cut)
{
	uint32_t low = 0, high = m.count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (stands_before(m.order[middle], cut))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct zset_cut element_cut(uint32_t member)
{
	return (struct zset_cut){.kind = CUT_ELEMENT,
				 .score = m.scores[member],
				 .member = name(member)};
}

static void model_remove_at(uint32_t rank, uint32_t n)
{
	for (uint32_t i = rank; i < rank + n; i++)
		m.scores[m.order[i]] = NAN;
	memmove(&m.order[rank], &m.order[rank + n], (m.count - rank - n) * sizeof(m.order[0]));
	m.count -= n;
}

static void model_put(uint32_t member, double score)
{
	struct zset_cut cut;

	if (!isnan(m.scores[member])) {
		cut = element_cut(member);
		model_remove_at(model_rank(&cut), 1);
	}
	m.scores[member] = score;
	cut = element_cut(member);
	uint32_t rank = model_rank(&cut);
	memmove(&m.order[rank + 1], &m.order[rank], (m.count - rank) * sizeof(m.order[0]));
	m.order[rank] = member;
	m.count++;
}

/* --- the tree's inside --- */

struct found {
	uint64_t elements;
	uint64_t leaves;
	uint64_t leaf_rows;
};

static void check_element(const struct entry *e, double score, uint64_t rank)
{
	assert_true(rank < m.count);
	assert_true(slice_equal(entry_key(e), name(m.order[rank])));
	assert_true(score == m.scores[m.order[rank]]);
	assert_true(zset_entry_score(e) == score);
}

static void check_node(const struct zset_node *node, struct found *found)
{
	uint32_t rows = node_rows(node);

	assert_in_range(rows, 1, ZSET_NODE_ROWS);
	for (uint32_t i = 0; i < rows; i++) {
		if (node->level == 0) {
			check_element(node_entry(node, i), node_score(node, i), found->elements++);
			continue;
		}
		const struct zset_node *child = node_child(node, i);
		uint64_t at = found->elements;
		assert_int_equal(child->level, node->level - 1);
		assert_ptr_equal(node_entry(node, i), node_entry(child, 0));
		assert_true(node_score(node, i) == node_score(child, 0));
		check_node(child, found);
		assert_int_equal(node_elements(node, i), found->elements - at);
	}
	found->leaves += node->level == 0;
	found->leaf_rows += node->level == 0 ? rows : 0;
}

static struct found check_tree(void)
{
	const struct zset_node *root = atomic_load(&m.z->tree.root);
	struct found found = {0};

	if (root) {
		check_node(root, &found);
		assert_true(root->level == 0 || node_rows(root) > 1);
	}
	assert_true(found.leaf_rows * 3 + 4 * ZSET_NODE_ROWS >= found.leaves * ZSET_NODE_ROWS);
	assert_int_equal(found.elements, m.count);
	assert_int_equal(zset_count(m.z), m.count);
	assert_int_equal(table_count(&m.z->members.table), m.count);
	assert_true(zset_memory(m.z) >= found.leaves * sizeof(struct zset_node));
	return found;
}

/* --- the same to both --- */

static void put(uint32_t member, double score)
{
	bool new = isnan(m.scores[member]);

	assert_int_equal(zset_put(m.z, &m.seed, name(member), score, &m.r), new);
	model_put(member, score);
}

static void drop(uint32_t member)
{
	bool there = !isnan(m.scores[member]);

	assert_int_equal(zset_remove(m.z, &m.seed, name(member), &m.r), there);
	if (there) {
		struct zset_cut cut = element_cut(member);
		model_remove_at(model_rank(&cut), 1);
	}
}

static void drop_range(uint32_t rank, uint32_t n)
{
	uint32_t left = n;

	while (left > 0) {
		uint32_t some = zset_remove_run(m.z, &m.seed, rank, left, &m.r);
		if (some == 0)
			break;
		assert_true(some <= left);
		left -= some;
	}
	uint32_t there = rank >= m.count ? 0 : m.count - rank;
	assert_int_equal(n - left, n < there ? n : there);
	if (n - left > 0)
		model_remove_at(rank, n - left);
}

static double some_score(void)
{
	static const double special[] = {INFINITY, -INFINITY, 0.0, -0.0, 1e300, 0.1};

	switch (below(8)) {
	case 0:
		return special[below(COUNT_OF(special))];
	case 1:
		return below(5);
	default:
		return (double)below(100000) / 16 - 1000;
	}
}

static struct zset_cut some_cut(void)
{
	uint32_t member = below(m.members);
	struct zset_cut cut = {.after = below(2), .score = some_score(), .member = name(member)};

	switch (below(6)) {
	case 0:
		cut.kind = CUT_START;
		break;
	case 1:
		cut.kind = CUT_END;
		break;
	case 2:
		cut.kind = CUT_ELEMENT;
		if (!isnan(m.scores[member]))
			cut.score = m.scores[member];
		break;
	default:
		cut.kind = CUT_SCORE;
	}
	return cut;
}

static void check_cursor(const struct zset_cursor *c, uint32_t rank)
{
	const struct entry *e = zset_cursor_entry(c);

	assert_int_equal(zset_cursor_rank(c), rank);
	if (rank == m.count)
		assert_null(e);
	else
		assert_true(slice_equal(entry_key(e), name(m.order[rank])));
}

static void look(void)
{
	struct zset_cut cut = some_cut();
	struct zset_cursor c;
	uint32_t rank = model_rank(&cut);

	assert_int_equal(zset_rank(m.z, &cut), rank);
	assert_int_equal(zset_tree_seek(&m.z->tree, &cut, &c), rank < m.count);
	check_cursor(&c, rank);
	rank = below(m.count + 2);
	assert_int_equal(zset_tree_seek_rank(&m.z->tree, rank, &c), rank < m.count);
	rank = rank < m.count ? rank : m.count;
	check_cursor(&c, rank);
	for (int i = 0; i < 3; i++) {
		bool moved =
			below(2) ? zset_cursor_next(&c) && ++rank : zset_cursor_prev(&c) && rank--;
		if (!moved)
			rank = zset_cursor_entry(&c) ? rank : m.count;
		check_cursor(&c, rank);
	}
	uint32_t member = below(m.members);
	const struct entry *e = zset_find(m.z, &m.seed, name(member));
	assert_int_equal(e == NULL, isnan(m.scores[member]));
	if (e)
		assert_true(zset_entry_score(e) == m.scores[member]);
	assert_int_equal(zset_random(m.z, check_random_next(&m.random)) == NULL, m.count == 0);
}

/* One step; `growth` of 100 puts in rather than takes out. */
static void step(uint32_t growth)
{
	look();
	if (below(100) >= growth)
		drop(below(m.members));
	else if (below(3))
		put(below(m.members), some_score());
	else /* near where it is */
		put(below(m.members), (double)below(50) / 50 + below(3));
	if (below(2000) == 0)
		drop_range(below(m.count + 2), below(m.members / 3));
}

#define STEPS 330000

static void run(uint32_t members)
{
	model_init(members);
	for (uint32_t i = 0, growth = 50; i < STEPS; i++) {
		if (i % 5000 == 0)
			growth = 20 + below(70);
		step(growth);
		if (i % 64 == 0)
			pass_grace();
		if (i % 1000 == 0)
			check_tree();
	}
	drop_range(0, m.count);
	check_tree();
	model_deinit();
}

static void test_like_an_array(void **state)
{
	run(40);
	run(800);
	run(MEMBERS_MAX);
}

/* Members whose scores are all the same are in the order of their bytes. */
static void test_lex(void **state)
{
	model_init(2000);
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t member = below(m.members);
		struct zset_cut cut = {.kind = CUT_MEMBER,
				       .after = below(2),
				       .member = name(member)};
		put(below(m.members), below(2) ? 0.0 : -0.0);
		assert_int_equal(zset_rank(m.z, &cut), model_rank(&cut));
		if (below(3) == 0)
			drop(below(m.members));
	}
	check_tree();
	model_deinit();
}

static void test_fill(void **state)
{
	static const struct {
		const char *label;
		double first, step;
		uint32_t percent;
	} rows[] = {{"rising", 0, 1, 90}, {"falling", 0, -1, 90}, {"random", 0, 0, 75}};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		print_message("# %s\n", rows[i].label);
		model_init(MEMBERS_MAX);
		for (uint32_t k = 0; k < MEMBERS_MAX; k++)
			put(k, rows[i].step ? rows[i].first + k * rows[i].step
					    : (double)check_random_next(&m.random));
		struct found found = check_tree();
		assert_true(found.leaf_rows * 100 >=
			    found.leaves * ZSET_NODE_ROWS * rows[i].percent);
		model_deinit();
	}
}

static void test_copy(void **state)
{
	model_init(MEMBERS_MAX);
	for (uint32_t i = 0; i < 3000; i++)
		put(below(m.members), some_score());
	struct zset *copy = zset_copy(m.z, &m.seed, &m.r, NULL);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(zset_remove(m.z, &m.seed, name(m.order[i]), &m.r), 1);
	zset_free(m.z);
	m.z = copy;
	check_tree();
	model_deinit();
	zset_free(NULL);
}

static struct entry *as_value(void)
{
	struct entry_spec spec = {.key = SLICE("key"), .expire = EXPIRE_NEVER, .type = ENTRY_ZSET};
	struct entry *e = entry_new_ordered(&spec, m.z);

	m.z = zset_new();
	return e;
}

/* As the value of a key it goes at once when that is asked for, else bit by bit. */
static void test_freed_with_its_entry(void **state)
{
	model_init(MEMBERS_MAX);
	for (uint32_t i = 0; i < 3000; i++)
		put(i, some_score());
	entry_free(as_value());
	for (uint32_t i = 0; i < 3000; i++)
		zset_put(m.z, &m.seed, name(i), i, &m.r);
	pass_grace();
	retire_entry(&m.r, as_value());
	retire_stamp(&m.r, &m.grace);
	m.grace.completed = ++m.grace.started;
	uint32_t slices = 1;
	while (retire_collect(&m.r, &m.grace, 100))
		slices++;
	assert_in_range(slices, 25, 60);
	model_deinit();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_like_an_array),
		cmocka_unit_test(test_lex),
		cmocka_unit_test(test_fill),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_freed_with_its_entry),
	};

	seeds = check_random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
