/*
 * Tables against a plain array: whatever is done to both, they say the same, and the inside of the
 * table stays as table_block.h wants it. Built twice: once as it is, once with TABLE_DEPTH_MAX
 * small, so that blocks which cannot split are seen, too.
 */
#include "shard/table_block.h"
#include "test/check.h"

/* What should be in the table under key number i; `seen` is for whoever walks. */
struct expected {
	struct entry *e; /* NULL: nothing */
	uint32_t seen;
};

struct model {
	struct table t;
	struct hash_seed seed;
	struct retire r;
	struct grace grace;
	struct check_random random;
	int64_t now;
	uint32_t keys; /* numbers below this */
	size_t count;
	struct expected *expected;
};

/* Started once: each model has its own numbers from it. */
static struct check_random seeds;

static uint32_t below(struct model *m, uint32_t n)
{
	return check_random_below(&m->random, n);
}

static void model_init(struct model *m, uint32_t keys)
{
	memset(m, 0, sizeof(*m));
	m->random.state = check_random_next(&seeds);
	m->seed = (struct hash_seed){check_random_next(&m->random), check_random_next(&m->random)};
	m->now = 1000000;
	m->keys = keys;
	m->expected = calloc(keys, sizeof(*m->expected));
	retire_init(&m->r);
}

/* A grace period passes: what was retired goes, so that a use of it later is found. */
static void model_grace(struct model *m)
{
	retire_stamp(&m->r, &m->grace);
	m->grace.started++;
	m->grace.completed = m->grace.started;
	while (retire_collect(&m->r, &m->grace, 1000))
		;
}

static void model_deinit(struct model *m)
{
	retire_table(&m->r, table_take(&m->t));
	model_grace(m);
	retire_deinit(&m->r);
	free(m->expected);
}

static struct slice key_name(uint32_t i, char *buffer)
{
	return (struct slice){buffer, sprintf(buffer, "key:%u", i)};
}

static uint32_t key_number(const struct entry *e)
{
	struct slice key = entry_key(e);
	uint32_t n = 0;

	for (size_t i = 4; i < key.len; i++)
		n = n * 10 + key.ptr[i] - '0';
	return n;
}

static uint64_t hash_of(const struct hash_seed *seed, struct slice key)
{
	return hash_bytes(seed, key.ptr, key.len);
}

/* --- what must always be true inside --- */

struct checked {
	size_t count;
	size_t blocks;
	uint32_t deepest;
};

/* What a meta can say of an entry's expiry: nothing before 1970. */
static int64_t expire_bound(const struct entry *e)
{
	return entry_expire(e) < 0 ? 0 : entry_expire(e);
}

static void check_word(const struct model *m, const struct block *block, uint32_t at, uint64_t word,
		       uint64_t prefix)
{
	const struct entry *e = word_ptr(word);
	uint64_t hash = hash_of(&m->seed, entry_key(e));
	const struct bucket *b = &block->bucket[at];
	uint32_t home = tag_home(word_top(word), block->buckets);
	uint32_t distance = (at + block->buckets - home) % block->buckets;

	assert_int_equal(word_top(word), hash_tag(hash));
	if (block->depth > 0)
		assert_int_equal(hash >> (64 - block->depth), prefix);
	assert_true(distance <= meta_reach(word_load(&block->bucket[home].meta)));
	if (entry_expire(e) < META_EXPIRE_NEVER)
		assert_true(meta_expire(word_load(&b->meta)) <= expire_bound(e));
}

static void check_block(const struct model *m, const struct block *block, uint64_t prefix,
			struct checked *sum)
{
	uint32_t count = 0;
	uint32_t *reached = calloc(block->buckets, sizeof(*reached));

	for (uint32_t i = 0; i < block->buckets; i++) {
		int64_t earliest = meta_expire(word_load(&block->bucket[i].meta));
		assert_true(block_expire_earliest(block) <= earliest);
		for (uint32_t j = 0; j < TABLE_BUCKET_WORDS; j++) {
			uint64_t word = word_load(&block->bucket[i].words[j]);
			if (!word)
				continue;
			uint32_t home = tag_home(word_top(word), block->buckets);
			uint32_t distance = (i + block->buckets - home) % block->buckets;
			if (distance > reached[home])
				reached[home] = distance;
			count++;
			check_word(m, block, i, word, prefix);
		}
	}
	for (uint32_t i = 0; i < block->buckets; i++)
		assert_int_equal(meta_reach(word_load(&block->bucket[i].meta)), reached[i]);
	free(reached);
	assert_int_equal(count, block_count(block));
	assert_true(count <= block_limit(block->buckets));
	assert_true(count >= block_floor(block->buckets));
	sum->count += count;
	sum->blocks++;
}

static void check_directory(const struct model *m, const struct directory *dir, struct checked *sum)
{
	for (uint64_t place = 0; place < 1ull << dir->depth;) {
		uint64_t word = word_load(&dir->places[place]);
		const struct block *block = word_ptr(word);
		uint64_t places = 1ull << (dir->depth - block->depth);
		assert_true(block->depth >= 1 && block->depth <= dir->depth);
		assert_int_equal(block->buckets, word_top(word));
		assert_int_equal(place % places, 0);
		for (uint64_t i = 1; i < places; i++)
			assert_int_equal(word_load(&dir->places[place + i]), word);
		check_block(m, block, place >> (dir->depth - block->depth), sum);
		sum->deepest += block->depth == dir->depth;
		const struct block *buddy = word_ptr(word_load(&dir->places[place ^ places]));
		if (buddy->depth == block->depth)
			assert_true(block_count(block) + block_count(buddy) >= BLOCK_MERGE_COUNT);
		place += places;
	}
	assert_int_equal(sum->deepest, dir->deepest);
	assert_true(dir->deepest > 0);
	assert_int_equal(sum->count, dir->count);
}

static void check_inside(const struct model *m)
{
	struct checked sum = {0};
	uint64_t root = word_load(&m->t.root);

	if (root && root_is_directory(root)) {
		assert_int_equal(root_depth(root), ((struct directory *)word_ptr(root))->depth);
		check_directory(m, word_ptr(root), &sum);
	} else if (root) {
		assert_int_equal(((struct block *)word_ptr(root))->depth, 0);
		assert_int_equal(((struct block *)word_ptr(root))->buckets, word_top(root));
		check_block(m, word_ptr(root), 0, &sum);
		assert_true(sum.count > 0);
	}
	assert_int_equal(sum.count, m->count);
	assert_int_equal(table_count(&m->t), m->count);
	assert_true(root ? table_memory(&m->t) > 0 : table_memory(&m->t) == 0);
}

/* --- operations --- */

static void model_find(struct model *m, uint32_t i)
{
	char buffer[32];
	struct slice key = key_name(i, buffer);
	uint64_t hash = hash_of(&m->seed, key);

	table_prefetch_bucket(&m->t, hash);
	table_prefetch_entry(&m->t, hash);
	assert_ptr_equal(table_find(&m->t, hash, key), m->expected[i].e);
}

static void model_put(struct model *m, uint32_t i, int64_t expire)
{
	char buffer[32];
	struct slice key = key_name(i, buffer);
	struct entry *e = entry_new_string(key, SLICE("value"), expire, 0);
	struct entry *old = table_put(&m->t, &m->seed, hash_of(&m->seed, key), e, &m->r);

	assert_ptr_equal(old, m->expected[i].e);
	if (old)
		retire_entry(&m->r, old);
	else
		m->count++;
	m->expected[i].e = e;
}

static void model_remove(struct model *m, uint32_t i)
{
	char buffer[32];
	struct slice key = key_name(i, buffer);
	struct entry *old = table_remove(&m->t, &m->seed, hash_of(&m->seed, key), key, &m->r);

	assert_ptr_equal(old, m->expected[i].e);
	if (!old)
		return;
	retire_entry(&m->r, old);
	m->count--;
	m->expected[i].e = NULL;
}

static int64_t some_expire(struct model *m)
{
	static const int64_t odd[] = {-1,           0, (1ll << 48) - 2, (1ll << 48) - 1, 1ll << 48,
				      INT64_MAX - 1};
	uint32_t kind = below(m, 100);

	if (kind < 50)
		return EXPIRE_NEVER;
	if (kind < 52)
		return odd[below(m, 6)];
	return m->now + below(m, 1000);
}

static void remove_expired(void *arg, struct entry *e)
{
	struct model *m = arg;

	assert_true(entry_expired(e, m->now));
	model_remove(m, key_number(e));
}

static void model_sweep(struct model *m, size_t max)
{
	size_t before = m->count;
	int64_t earliest = table_sweep(&m->t, m->now, max, remove_expired, m);
	int64_t expected = EXPIRE_NEVER;

	for (uint32_t i = 0; i < m->keys; i++) {
		struct entry *e = m->expected[i].e;
		if (e && expire_bound(e) < expected && expire_bound(e) < META_EXPIRE_NEVER)
			expected = expire_bound(e);
	}
	assert_true(before - m->count <= max);
	if (before - m->count < max)
		assert_true(earliest > m->now);
	assert_true(earliest <= expected || (earliest <= m->now && expected <= m->now));
}

static void count_seen(void *arg, struct entry *e)
{
	struct model *m = arg;
	uint32_t i = key_number(e);

	assert_ptr_equal(m->expected[i].e, e);
	m->expected[i].seen++;
}

static void model_scan(struct model *m)
{
	size_t steps = 0;

	for (uint32_t i = 0; i < m->keys; i++)
		m->expected[i].seen = 0;
	for (uint64_t at = 0; at != TABLE_END; steps++) {
		assert_int_equal(at >> TABLE_POSITION_BITS, 0);
		at = table_scan(&m->t, at, count_seen, m);
	}
	for (uint32_t i = 0; i < m->keys; i++)
		assert_int_equal(m->expected[i].seen, m->expected[i].e != NULL);
	assert_true(steps <= m->count + 10);
}

static void model_random(struct model *m)
{
	struct entry *e = table_random(&m->t, check_random_next(&m->random));

	assert_true((e == NULL) == (m->count == 0));
	if (e)
		assert_ptr_equal(m->expected[key_number(e)].e, e);
}

static void model_take(struct model *m)
{
	retire_table(&m->r, table_take(&m->t));
	for (uint32_t i = 0; i < m->keys; i++)
		m->expected[i].e = NULL;
	m->count = 0;
}

/* One operation, with a bias to putting (0 to 100). */
static void model_step(struct model *m, uint32_t bias)
{
	uint32_t kind = below(m, 1000);
	uint32_t i = below(m, m->keys);

	m->now += below(m, 100) == 0;
	if (kind < 200)
		model_find(m, i);
	else if (kind < 250)
		model_random(m);
	else if (below(m, 100) < bias)
		model_put(m, i, some_expire(m));
	else
		model_remove(m, i);
	if (below(m, 200) == 0)
		model_grace(m);
	if (below(m, 4 * m->keys) == 0)
		model_take(m);
	if (below(m, 2 * m->keys) == 0)
		model_sweep(m, below(m, 10) ? SIZE_MAX : below(m, 20));
	if (below(m, 2 * m->keys) == 0)
		model_scan(m);
	if (below(m, m->keys) == 0)
		check_inside(m);
}

/* Sizes from a few words to many blocks; each grows, stays, and shrinks to nothing. */
static void test_random_operations(void **state)
{
	static const struct {
		uint32_t keys;
		size_t steps;
	} rows[] = {
		{1, 1000},     {5, 20000},     {20, 50000},     {100, 200000},
		{700, 200000}, {3000, 300000}, {20000, 400000},
	};
	static const uint32_t biases[] = {90, 55, 20};

	for (size_t row = 0; row < COUNT_OF(rows); row++) {
		struct model m;
		model_init(&m, rows[row].keys);
		for (size_t step = 0; step < rows[row].steps; step++)
			model_step(&m, biases[step * 3 / rows[row].steps]);
		for (uint32_t i = 0; i < m.keys; i++)
			model_remove(&m, i);
		check_inside(&m);
		assert_int_equal(m.t.root, 0);
		model_deinit(&m);
	}
}

/* One table of many keys, up and down; everything checked at each tenth of the way. */
static void test_large(void **state)
{
	enum { KEYS = 200000 };
	struct model m;

	model_init(&m, KEYS);
	for (uint32_t i = 0; i < KEYS; i++) {
		model_put(&m, i, i % 10 ? EXPIRE_NEVER : m.now + i);
		if (i % (KEYS / 10) == 0) {
			check_inside(&m);
			model_grace(&m);
		}
	}
	check_inside(&m);
	model_scan(&m);
	assert_true(table_memory(&m.t) < KEYS * 14);
	m.now += KEYS / 2;
	model_sweep(&m, 100);
	model_sweep(&m, SIZE_MAX);
	check_inside(&m);
	for (uint32_t i = 0; i < KEYS; i++) {
		model_find(&m, i);
		model_remove(&m, i);
		if (i % (KEYS / 10) == 0) {
			check_inside(&m);
			model_grace(&m);
		}
	}
	assert_int_equal(m.t.root, 0);
	model_deinit(&m);
}

/* The memory of tables of the usual size, as many keys to a slot as a Poisson distribution says. */
static void test_memory_of_small_tables(void **state)
{
	enum { TABLES = 1000, PER_TABLE = 61 };
	struct table *tables = calloc(TABLES, sizeof(*tables));
	struct model m;
	size_t bytes = 0;

	model_init(&m, 1);
	for (uint32_t i = 0; i < TABLES * PER_TABLE; i++) {
		char buffer[32];
		struct slice key = key_name(i, buffer);
		table_put(&tables[below(&m, TABLES)], &m.seed, hash_of(&m.seed, key),
			  entry_new_string(key, key, EXPIRE_NEVER, 0), &m.r);
	}
	for (uint32_t i = 0; i < TABLES; i++) {
		bytes += table_memory(&tables[i]);
		retire_table(&m.r, table_take(&tables[i]));
	}
	print_message("# %.2f bytes a key\n", (double)bytes / (TABLES * PER_TABLE));
	assert_true(bytes < TABLES * PER_TABLE * 13);
	free(tables);
	model_deinit(&m);
}

/* --- hashes that somebody chose --- */

/* Keys for which (hash & mask) is the same, searched for. */
static size_t similar_keys(struct model *m, uint64_t mask, uint32_t *keys, size_t count)
{
	uint64_t wanted = 0;
	size_t found = 0;

	for (uint32_t i = 0; found < count; i++) {
		char buffer[32];
		uint64_t hash = hash_of(&m->seed, key_name(i, buffer)) & mask;
		if (found == 0)
			wanted = hash;
		if (hash == wanted)
			keys[found++] = i;
	}
	return keys[count - 1] + 1;
}

static void test_similar_hashes(void **state)
{
	static const struct {
		const char *label;
		uint64_t mask;
		size_t count;
	} rows[] = {
		{"same tag", 0xffff, 60},
		{"same home bucket", 0xff00, 3000},
		{"same first bits: one side of each split stays empty", 0xfffull << 52, 1500},
	};

	for (size_t row = 0; row < COUNT_OF(rows); row++) {
		size_t count = rows[row].count;
		uint32_t *keys = malloc(count * sizeof(*keys));
		struct model m, probe;
		print_message("# %s\n", rows[row].label);
		model_init(&probe, 1);
		uint32_t range = similar_keys(&probe, rows[row].mask, keys, count);
		model_init(&m, range);
		m.seed = probe.seed;
		for (size_t i = 0; i < count; i++) {
			model_put(&m, keys[i], EXPIRE_NEVER);
			if (i % (count / 10) == 0)
				check_inside(&m);
		}
		for (size_t i = 0; i < 2 * count; i++) {
			model_find(&m, keys[below(&m, count)]);
			model_find(&m, below(&m, range));
			model_remove(&m, keys[below(&m, count)]);
			model_put(&m, keys[below(&m, count)], EXPIRE_NEVER);
		}
		check_inside(&m);
		model_scan(&m);
		for (size_t i = 0; i < count; i++)
			model_remove(&m, keys[i]);
		assert_int_equal(m.t.root, 0);
		model_deinit(&m);
		model_deinit(&probe);
		free(keys);
	}
}

/* The hash is the caller's: here all keys have the same one, up to what one block holds. */
static void test_equal_hashes(void **state)
{
	enum { KEYS = 700 };
	struct table t = {0};
	struct model m;
	struct entry *entries[KEYS];
	char buffer[32];

	model_init(&m, 1);
	for (uint32_t i = 0; i < KEYS; i++) {
		struct slice key = key_name(i, buffer);
		entries[i] = entry_new_string(key, key, EXPIRE_NEVER, 0);
		assert_null(table_put(&t, &m.seed, 0, entries[i], &m.r));
	}
	for (uint32_t i = 0; i < KEYS; i++)
		assert_ptr_equal(table_find(&t, 0, key_name(i, buffer)), entries[i]);
	assert_null(table_find(&t, 0, SLICE("key:nobody")));
	for (uint32_t i = 0; i < KEYS; i++) {
		assert_ptr_equal(table_remove(&t, &m.seed, 0, key_name(i, buffer), &m.r),
				 entries[i]);
		assert_null(table_find(&t, 0, key_name(i, buffer)));
		entry_free(entries[i]);
	}
	assert_int_equal(t.root, 0);
	model_deinit(&m);
}

/* Keys of all lengths, told apart at each of their bytes. */
static void test_keys_of_all_lengths(void **state)
{
	enum { LENGTHS = 40 };
	struct table t = {0};
	struct model m;
	char buffer[300];
	struct entry *entries[LENGTHS];

	model_init(&m, 1);
	memset(buffer, 'k', sizeof(buffer));
	for (size_t len = 0; len < LENGTHS; len++) {
		struct slice key = {buffer, len};
		entries[len] = entry_new_string(key, key, EXPIRE_NEVER, 0);
		table_put(&t, &m.seed, 1, entries[len], &m.r);
	}
	for (size_t len = 0; len < LENGTHS; len++) {
		struct slice key = {buffer, len};
		assert_ptr_equal(table_find(&t, 1, key), entries[len]);
		for (size_t i = 0; i < len; i++) {
			buffer[i] = 'x';
			assert_null(table_find(&t, 1, key));
			buffer[i] = 'k';
		}
	}
	struct slice long_key = {buffer, sizeof(buffer)};
	struct entry *e = entry_new_string(long_key, long_key, 5, 0);
	table_put(&t, &m.seed, 1, e, &m.r);
	assert_ptr_equal(table_find(&t, 1, long_key), e);
	buffer[299] = 'x';
	assert_null(table_find(&t, 1, long_key));
	m.t.root = table_take(&t);
	model_deinit(&m);
}

/* --- scans --- */

/*
 * Stable keys are there all the time; others come and go in waves between the calls, so that the
 * table grows, splits, merges and shrinks under the scan.
 */
static void scan_under_waves(struct model *m, uint32_t stable, uint32_t speed)
{
	uint32_t bias = 90;
	size_t steps = 0;

	for (uint32_t i = 0; i < stable; i++)
		m->expected[i].seen = 0;
	for (uint64_t at = 0; at != TABLE_END;) {
		at = table_scan(&m->t, at, count_seen, m);
		for (uint32_t i = below(m, speed + 1); i > 0; i--) {
			uint32_t key = below(m, m->keys);
			if (key < stable || below(m, 100) < bias)
				model_put(m, key, EXPIRE_NEVER);
			else
				model_remove(m, key);
		}
		if (below(m, 4 * m->keys / (speed + 1) + 1) == 0)
			bias = bias > 50 ? 2 : 98;
		model_grace(m);
		assert_true(++steps < 1000000);
	}
	for (uint32_t i = 0; i < stable; i++)
		assert_true(m->expected[i].seen > 0);
}

static void test_scan_guarantee(void **state)
{
	static const struct {
		uint32_t keys, stable, speed;
		int scans;
	} rows[] = {
		{100, 10, 10, 200},
		{1000, 50, 100, 50},
		{6000, 200, 200, 5},
		{6000, 200, 1500, 2},
	};

	for (size_t row = 0; row < COUNT_OF(rows); row++) {
		struct model m;
		model_init(&m, rows[row].keys);
		for (uint32_t i = 0; i < rows[row].stable; i++)
			model_put(&m, i, EXPIRE_NEVER);
		for (int i = 0; i < rows[row].scans; i++)
			scan_under_waves(&m, rows[row].stable, rows[row].speed);
		check_inside(&m);
		model_deinit(&m);
	}
}

/* Positions come from clients. */
static void test_scan_from_anywhere(void **state)
{
	static const uint32_t sizes[] = {0, 1, 61, 5000};

	for (size_t row = 0; row < COUNT_OF(sizes); row++) {
		struct model m;
		model_init(&m, sizes[row] + 1);
		for (uint32_t i = 0; i < sizes[row]; i++)
			model_put(&m, i, EXPIRE_NEVER);
		for (int i = 0; i < 20000; i++) {
			uint64_t at = check_random_next(&m.random) >> below(&m, 64);
			uint64_t next = table_scan(&m.t, at, count_seen, &m);
			assert_true(next == TABLE_END || next >> TABLE_POSITION_BITS == 0);
		}
		model_deinit(&m);
	}
}

/* --- random entries --- */

static void never_called(void *arg, struct entry *e)
{
	fail();
}

/* --- by hash --- */

struct visited {
	struct model *m;
	uint64_t hash;
	const struct entry *wanted;
	uint32_t found, all;
};

static void visit_one(void *arg, struct entry *e)
{
	struct visited *visited = arg;

	assert_int_equal(hash_of(&visited->m->seed, entry_key(e)) & 0xffff, visited->hash & 0xffff);
	visited->found += e == visited->wanted;
	visited->all++;
}

/* Each entry is among the few of its hash, once; the others there have the same tag. */
static void test_visit_hash(void **state)
{
	struct model m;
	uint32_t all = 0;
	char buffer[32];

	(void)state;
	model_init(&m, 100000);
	table_visit_hash(&m.t, 1, never_called, NULL);
	for (uint32_t i = 0; i < m.keys; i += 2)
		model_put(&m, i, EXPIRE_NEVER);
	for (uint32_t i = 0; i < m.keys; i++) {
		uint64_t hash = hash_of(&m.seed, key_name(i, buffer));
		struct visited visited = {&m, hash, m.expected[i].e, 0, 0};
		table_visit_hash(&m.t, hash ^ 0xffff0000, visit_one, &visited);
		assert_int_equal(visited.found, i % 2 == 0);
		all += visited.all;
	}
	assert_in_range(all, m.keys / 2, m.keys);
	model_deinit(&m);
}

static void test_random_is_even(void **state)
{
	static const uint32_t sizes[] = {1, 5, 61, 700, 3000};
	enum { EACH = 300 };

	for (size_t row = 0; row < COUNT_OF(sizes); row++) {
		struct model m;
		model_init(&m, sizes[row]);
		for (uint32_t i = 0; i < m.keys; i++)
			model_put(&m, i, EXPIRE_NEVER);
		for (uint32_t i = 0; i < EACH * m.keys; i++)
			count_seen(&m, table_random(&m.t, check_random_next(&m.random)));
		for (uint32_t i = 0; i < m.keys; i++) /* the standard deviation is 17 */
			assert_in_range(m.expected[i].seen, EACH / 2, EACH * 3 / 2);
		model_deinit(&m);
	}
}

/* --- expiry --- */

static void test_sweep_bounds(void **state)
{
	struct model m;

	model_init(&m, 1000);
	assert_int_equal(table_sweep(&m.t, m.now, 10, never_called, NULL), EXPIRE_NEVER);
	for (uint32_t i = 0; i < m.keys; i++)
		model_put(&m, i, EXPIRE_NEVER);
	assert_int_equal(table_sweep(&m.t, m.now, 10, never_called, NULL), EXPIRE_NEVER);
	model_put(&m, 7, m.now + 50);
	model_put(&m, 8, m.now + 60);
	model_put(&m, 9, INT64_MAX - 1); /* beyond 48 bits: for the sweep, never */
	assert_int_equal(table_sweep(&m.t, m.now + 49, 10, never_called, NULL), m.now + 50);
	model_put(&m, 7, EXPIRE_NEVER); /* what the bucket says is corrected when it is due */
	assert_int_equal(table_sweep(&m.t, m.now + 50, 10, never_called, NULL), m.now + 60);
	m.now += 60;
	assert_int_equal(table_sweep(&m.t, m.now, 0, never_called, NULL), m.now);
	assert_int_equal(table_sweep(&m.t, m.now, 10, remove_expired, &m), EXPIRE_NEVER);
	assert_int_equal(m.count, 999);
	check_inside(&m);
	model_deinit(&m);
}

/* All of a large table expires at once: blocks shrink and merge under the sweep. */
static void test_sweep_all(void **state)
{
	struct model m;
	int rounds = 0;

	model_init(&m, 5000);
	for (uint32_t i = 0; i < m.keys; i++)
		model_put(&m, i, m.now + 1 + i % 3);
	m.now += 3;
	while (m.count > 0) {
		model_sweep(&m, 70);
		check_inside(&m);
		model_grace(&m);
		rounds++;
	}
	assert_in_range(rounds, 5000 / 70, 5000 / 70 + 1);
	assert_int_equal(m.t.root, 0);
	model_deinit(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_memory_of_small_tables),
		cmocka_unit_test(test_similar_hashes),
		cmocka_unit_test(test_equal_hashes),
		cmocka_unit_test(test_keys_of_all_lengths),
		cmocka_unit_test(test_scan_guarantee),
		cmocka_unit_test(test_scan_from_anywhere),
		cmocka_unit_test(test_visit_hash),
		cmocka_unit_test(test_random_is_even),
		cmocka_unit_test(test_sweep_bounds),
		cmocka_unit_test(test_sweep_all),
	};

	seeds = check_random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
