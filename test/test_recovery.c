/* Journals read back: random commands on several workers, cut anywhere, done again. */
#include "test/store.h"

#include "persist/merge.h"
#include "persist/replay.h"
#include "proto/mem.h"
#include "shard/sweep.h"

#define WORKERS 3
#define ROUNDS 40
/* Threads are the same whichever byte it is. */
#ifdef __SANITIZE_THREAD__
#define ANY_BYTE_STEP 8
#else
#define ANY_BYTE_STEP 1
#endif
#define REQUESTS 1500

struct journals {
	char *bytes[WORKERS];
	size_t len[WORKERS];
};

static void journals_take(struct store *s, struct journals *j)
{
	for (uint32_t i = 0; i < WORKERS; i++) {
		struct journal *journal = &s->ks->shards[i]->journal;
		j->len[i] = journal->buf.len;
		j->bytes[i] = mem_alloc(journal->buf.len + 1);
		chain_copy(&journal->buf, j->bytes[i]);
	}
}

static void journals_free(struct journals *j)
{
	for (uint32_t i = 0; i < WORKERS; i++)
		mem_free_unsized(j->bytes[i]);
}

static bool take(void *arg, const struct merge_record *record)
{
	return replay_record(arg, record);
}

/* Does them again in a fresh store. */
static void recover(struct store *s, const struct journals *j, const struct commit *committed,
		    struct merge_source *sources)
{
	store_init(s, 2);
	for (uint32_t i = 0; i < WORKERS; i++)
		sources[i] = (struct merge_source){.worker = i, .bytes = j->bytes[i], .len = j->len[i]};
	struct replay *replay = replay_begin(s->ks, 2, 5000);
	assert_true(merge(sources, WORKERS, committed, take, replay));
	assert_true(replay_drain(replay));
	assert_string_equal(replay_error(replay), "");
	replay_end(replay);
}

/* Of what is alive: what has expired may be there or not. */
static void digest(struct store *s, char out[64])
{
	for (uint32_t i = 0; i < s->ks->shard_count; i++)
		for (int slices = 0; slices < 2 * SLOT_COUNT / SWEEP_SLOTS;)
			slices += !sweep_slice(s->ks->shards[i], s->now);
	snprintf(out, 64, "%s", store_run(s, "DEBUG DIGEST"));
}

static const char *const requests[] = {
	"SET %c %d", "SET %c %d PX 3", "SET %c %d KEEPTTL", "SET %c %d NX", "APPEND %c %d", "INCRBY %c %d",
	"INCRBYFLOAT %c %d.5", "MSET %c 1 %c %d", "MSETNX %c 1 %c %d", "RENAME %c %c", "RENAMENX %c %c",
	"COPY %c %c", "COPY %c %c DB 3 REPLACE", "DEL %c %c", "GETDEL %c", "GETEX %c PX %d", "PERSIST %c",
	"PEXPIRE %c %d", "BITOP XOR %c %c %c", "SETBIT %c %d 1", "SETRANGE %c %d xyz", "MOVE %c 1",
	"FLUSHDB", "SWAPDB 0 1",
};

/* Keys of one type each, all in one slot. */
static const char *const collections[] = {
	"HSET {t}h%c f%d %d g%d 1", "HSETNX {t}h%c f%d %d", "HDEL {t}h%c f%d", "HINCRBY {t}h%c f%d %d",
	"HINCRBYFLOAT {t}h%c f%d %d.25", "HPEXPIRE {t}h%c %d FIELDS 2 f%d g%d",
	"HPEXPIRE {t}h%c %d NX FIELDS 1 f%d", "HPERSIST {t}h%c FIELDS 2 f%d g%d",
	"HGETEX {t}h%c PX %d FIELDS 1 f%d", "HGETEX {t}h%c PERSIST FIELDS 1 f%d",
	"HGETDEL {t}h%c FIELDS 2 f%d g%d", "HSETEX {t}h%c FNX PX %d FIELDS 1 f%d %d",
	"HSETEX {t}h%c KEEPTTL FIELDS 1 f%d %d", "HSETEX {t}h%c FXX FIELDS 2 f%d 1 f%d %d",
	"LPUSH {t}l%c %d x%d", "RPUSH {t}l%c %d y%d %d", "LPOP {t}l%c", "RPOP {t}l%c 2", "LSET {t}l%c %d z",
	"LMPOP 2 {t}l%c {t}l%c LEFT COUNT 2", "LMOVE {t}l%c {t}l%c LEFT RIGHT", "LTRIM {t}l%c 0 %d",
	"RPOPLPUSH {t}l%c {t}l%c", "LINSERT {t}l%c BEFORE x%d new", "LREM {t}l%c 0 x%d",
	"SADD {t}s%c %d m%d %d", "SREM {t}s%c %d", "SPOP {t}s%c", "SPOP {t}s%c %d", "SMOVE {t}s%c {t}s%c m%d",
	"SUNIONSTORE {t}s%c {t}s%c {t}s%c", "SINTERSTORE {t}s%c {t}s%c {t}s%c",
	"ZADD {t}z%c %d m%d %d.5 n%d", "ZADD {t}z%c GT %d m%d", "ZINCRBY {t}z%c 0.1 m%d", "ZREM {t}z%c m%d",
	"ZPOPMIN {t}z%c", "ZPOPMAX {t}z%c 2", "ZMPOP 2 {t}z%c {t}z%c MAX COUNT 3",
	"ZUNIONSTORE {t}z%c 2 {t}z%c {t}z%c", "ZREMRANGEBYRANK {t}z%c 0 %d", "ZRANGESTORE {t}z%c {t}z%c 0 %d",
	"RENAME h%c h%c", "COPY s%c l%c", "COPY {t}h%c h%c", "COPY {t}z%c z%c REPLACE", "COPY {t}l%c l%c REPLACE",
	"COPY {t}s%c s%c", "SMOVE s%c {t}s%c m%d", "SMOVE {t}s%c s%c m%d", "LMOVE {t}l%c l%c LEFT RIGHT", "LMOVE l%c {t}l%c RIGHT LEFT",
	"RPOPLPUSH l%c l%c", "LMPOP 2 l%c {t}l%c RIGHT COUNT 3", "ZMPOP 2 z%c {t}z%c MIN", "SDIFFSTORE s%c s%c {t}s%c",
	"ZUNIONSTORE z%c 2 {t}z%c z%c", "RENAME {t}z%c z%c", "RENAME s%c s%c", "ZRANGESTORE z%c {t}z%c 0 %d",
	"GEOADD {t}g%c %d.5 %d.25 m%d %d 3.5 m%d", "GEOSEARCHSTORE {t}g%c {t}g%c FROMLONLAT 15 37 BYRADIUS 4000 km",
	"GEOSEARCHSTORE g%c {t}g%c FROMLONLAT 15 37 BYRADIUS 4000 km STOREDIST",
	"PFADD {t}p%c %d m%d", "PFADD p%c %d", "PFMERGE {t}p%c {t}p%c", "PFMERGE p%c {t}p%c p%c", "PFCOUNT {t}p%c",
	"SORT {t}s%c ALPHA STORE {t}l%c", "SORT {t}s%c BY nosort STORE l%c", "SORT {t}l%c BY w%c* ALPHA GET # STORE {t}l%c",
	"RENAME {t}h%c {t}h%c", "COPY {t}s%c {t}s%c REPLACE", "PEXPIRE {t}h%c %d", "DEL {t}z%c", "EXPIRE {t}l%c 1",
};

#define STRING_REQUESTS (sizeof(requests) / sizeof(requests[0]))
#define COLLECTION_REQUESTS (sizeof(collections) / sizeof(collections[0]))

/* One random request; letters are keys. Unsuitable ones fail, and that is as good as any. */
static void run_random(struct store *s, struct check_random *random)
{
	char text[128], *at = text;
	uint64_t which = check_random_below(random, STRING_REQUESTS + COLLECTION_REQUESTS);
	if (which >= 22 && which < STRING_REQUESTS && check_random_below(random, 8) > 0)
		which = 0;
	for (const char *c = which < STRING_REQUESTS ? requests[which]
						     : collections[which - STRING_REQUESTS];
	     *c; c++) {
		if (c[0] == '%' && c[1] == 'c')
			*at++ = (char)('a' + check_random_below(random, 6));
		else if (c[0] == '%')
			at += sprintf(at, "%d", (int)check_random_below(random, 80));
		else
			*at++ = *c;
		c += c[0] == '%';
	}
	*at = '\0';
	s->db = (uint32_t)check_random_below(random, 2);
	store_run(s, text);
	s->db = 0;
}

/* All of it gives the same content, whatever expired meanwhile. */
static void test_whole(void **state)
{
	struct check_random random = check_random_start();

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct store s, again;
		struct journals j;
		struct merge_source sources[WORKERS];
		char before[64], after[64];

		store_init(&s, WORKERS);
		s.now = 1000;
		for (uint32_t i = 0; i < WORKERS; i++)
			s.ks->shards[i]->journal.on = true;
		for (int i = 0; i < REQUESTS; i++) {
			s.now += (int64_t)check_random_below(&random, 2);
			if (check_random_below(&random, 50) == 0)
				atomic_fetch_add(&s.ks->epochs.now, 1);
			run_random(&s, &random);
		}
		journals_take(&s, &j);
		recover(&again, &j, NULL, sources);
		for (uint32_t i = 0; i < WORKERS; i++) {
			assert_int_equal(sources[i].end, MERGE_WHOLE);
			assert_int_equal(sources[i].taken, j.len[i]);
		}
		again.now = s.now;
		digest(&s, before);
		digest(&again, after);
		assert_string_equal(before, after);
		for (uint32_t db = 0; db < 4; db++)
			assert_true(keyspace_keys(again.ks, db) >= keyspace_keys(s.ks, db));
		journals_free(&j);
		store_deinit(&s);
		store_deinit(&again);
	}
}

/*
 * A killed process: each journal ends anywhere. Requests count up in one key by turns, and write
 * their number to another in the same unit: what comes back is one of the states that existed.
 */
static void test_cut_anywhere(void **state)
{
	struct check_random random = check_random_start();

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct store s, again;
		struct journals j;
		struct merge_source sources[WORKERS];
		char text[64], expected[64];
		size_t ends[WORKERS][101];

		store_init(&s, WORKERS);
		for (uint32_t i = 0; i < WORKERS; i++)
			s.ks->shards[i]->journal.on = true;
		for (int i = 1; i <= 100; i++) {
			snprintf(text, sizeof(text), "MSET counter %d copy %d other%d 1", i, i, i % 7);
			store_run(&s, text);
			for (uint32_t w = 0; w < WORKERS; w++)
				ends[w][i] = s.ks->shards[w]->journal.buf.len;
		}
		journals_take(&s, &j);
		for (uint32_t i = 0; i < WORKERS; i++)
			j.len[i] = check_random_below(&random, j.len[i] + 1);
		int last = 0;
		for (bool whole = true; last < 100 && whole;) {
			for (uint32_t w = 0; w < WORKERS; w++)
				whole &= ends[w][last + 1] <= j.len[w] ||
					 (last > 0 && ends[w][last + 1] == ends[w][last]) ||
					 (last == 0 && ends[w][1] == 0);
			last += whole;
		}
		recover(&again, &j, NULL, sources);
		for (uint32_t i = 0; i < WORKERS; i++) {
			assert_true(sources[i].taken <= j.len[i]);
			assert_int_not_equal(sources[i].end, MERGE_DAMAGED);
		}
		if (last > 0) {
			int len = snprintf(expected, sizeof(expected), "%d", last);
			snprintf(text, sizeof(text), "*2\r\n$%d\r\n%d\r\n$%d\r\n%d\r\n", len, last, len,
				 last);
			assert_string_equal(store_run(&again, "MGET counter copy"), text);
		} else {
			assert_int_equal(keyspace_keys(again.ks, 0), 0);
		}
		journals_free(&j);
		store_deinit(&s);
		store_deinit(&again);
	}
}

/* A power loss: only epochs up to the limit count, and garbage behind them is no damage. */
static void test_epoch_limit(void **state)
{
	struct store s, again;
	struct journals j;
	struct merge_source sources[WORKERS];

	(void)state;
	store_init(&s, WORKERS);
	for (uint32_t i = 0; i < WORKERS; i++)
		s.ks->shards[i]->journal.on = true;
	for (int i = 0; i < 3; i++)
		store_run(&s, "INCR b");
	atomic_store(&s.ks->epochs.now, 2);
	size_t good = s.ks->shards[0]->journal.buf.len;
	for (int i = 0; i < 3; i++)
		store_run(&s, "INCR b");
	journals_take(&s, &j);
	recover(&again, &j, &(struct commit){.epoch = 1}, sources);
	assert_string_equal(store_run(&again, "GET b"), "$1\r\n3\r\n");
	assert_int_equal(sources[0].end, MERGE_BEYOND);
	assert_int_equal(sources[0].taken, good);
	assert_int_equal(sources[0].epoch_last, 2);
	store_deinit(&again);

	memset(j.bytes[0] + good, 0, j.len[0] - good);
	recover(&again, &j, NULL, sources); /* zeros ahead */
	assert_string_equal(store_run(&again, "GET b"), "$1\r\n3\r\n");
	assert_int_equal(sources[0].end, MERGE_WHOLE);
	store_deinit(&again);

	j.bytes[0][j.len[0] - 1] = '\n'; /* a hole */
	recover(&again, &j, &(struct commit){.epoch = 1}, sources);
	assert_string_equal(store_run(&again, "GET b"), "$1\r\n3\r\n");
	assert_int_equal(sources[0].end, MERGE_BEYOND);
	store_deinit(&again);

	recover(&again, &j, NULL, sources);
	assert_int_equal(sources[0].end, MERGE_DAMAGED);
	assert_int_equal(sources[0].taken, good);
	store_deinit(&again);
	journals_free(&j);
	store_deinit(&s);
}

/* Writes to "b" in three epochs; where each begins in the journal. */
static void write_epochs(struct store *s, struct journals *j, size_t begins[3])
{
	store_init(s, WORKERS);
	for (uint32_t i = 0; i < WORKERS; i++)
		s->ks->shards[i]->journal.on = true;
	for (int epoch = 1; epoch <= 3; epoch++) {
		atomic_store(&s->ks->epochs.now, (uint64_t)epoch);
		begins[epoch - 1] = s->ks->shards[0]->journal.buf.len;
		for (uint32_t i = 0; i < WORKERS; i++)
			store_run(s, "INCR b");
	}
	journals_take(s, j);
}

/* A power loss when COMMITS said always: what is there counts, up to where it makes no record. */
static void test_always(void **state)
{
	static const struct {
		const char *label;
		struct commit committed;
		uint32_t cut, zeros; /* the first journal ends before this epoch, or has a hole there; 0: not */
		const char *found;
		enum merge_end end;
	} rows[] = {
		{"not said", {.epoch = 1}, 0, 0, "$1\r\n3\r\n", MERGE_BEYOND},
		{"said", {.epoch = 1, .always = true}, 0, 0, "$1\r\n9\r\n", MERGE_WHOLE},
		{"from the beginning", {.always = true}, 0, 0, "$1\r\n9\r\n", MERGE_WHOLE},
		{"the others follow on what is lost", {.epoch = 1, .always = true}, 3, 0, "$1\r\n6\r\n",
		 MERGE_WHOLE},
		{"a hole in what wasn't synced", {.epoch = 1, .always = true}, 0, 2, "$1\r\n3\r\n",
		 MERGE_BEYOND},
		{"a hole in what was", {.epoch = 3, .always = true}, 0, 2, "$1\r\n3\r\n", MERGE_DAMAGED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct store s, again;
		struct journals j;
		struct merge_source sources[WORKERS];
		size_t begins[3];

		print_message("# %s\n", rows[i].label);
		write_epochs(&s, &j, begins);
		if (rows[i].cut)
			j.len[0] = begins[rows[i].cut - 1];
		if (rows[i].zeros)
			memset(j.bytes[0] + begins[rows[i].zeros - 1], 0, 8);
		recover(&again, &j, &rows[i].committed, sources);
		assert_string_equal(store_run(&again, "GET b"), rows[i].found);
		assert_int_equal(sources[0].end, rows[i].end);
		store_deinit(&again);
		journals_free(&j);
		store_deinit(&s);
	}
}

#define LARGE_BYTES 10000
#define SECTOR      512
#define PAGE        4096

/*
 * Three epochs in one journal: an old value of "b", a large one of so many bytes, and a record
 * behind that. `large` begins and ends its record.
 */
static void write_large(struct store *s, struct journals *j, const char *request, size_t bytes,
			uint32_t db, size_t large[2])
{
	static char value[LARGE_BYTES];
	const struct journal *journal;

	store_init(s, WORKERS);
	for (uint32_t i = 0; i < WORKERS; i++)
		s->ks->shards[i]->journal.on = true;
	journal = &s->ks->shards[0]->journal;
	memset(value, 'v', sizeof(value));
	store_run(s, "SET b old");
	atomic_store(&s->ks->epochs.now, 2);
	large[0] = journal->buf.len;
	s->requests = 0;
	s->db = db;
	store_run_value(s, request, (struct slice){value, bytes});
	large[1] = journal->buf.len;
	atomic_store(&s->ks->epochs.now, 3);
	s->requests = 0;
	s->db = 0;
	store_run(s, "SET d new");
	journals_take(s, j);
}

/* What is there when the large record isn't: "b" as it was, and nothing behind it. */
static void check_before_large(const struct journals *j, const struct commit *committed,
			       size_t good, enum merge_end end)
{
	struct store again;
	struct merge_source sources[WORKERS];

	recover(&again, j, committed, sources);
	assert_string_equal(store_run(&again, "GET b"), "$3\r\nold\r\n");
	assert_int_equal(keyspace_keys(again.ks, 0), 1);
	assert_int_equal(keyspace_keys(again.ks, 1), 0);
	assert_int_equal(sources[0].end, end);
	assert_int_equal(sources[0].taken, good);
	store_deinit(&again);
}

static const struct {
	const char *label;
	const char *request;
	uint32_t db;
} large_rows[] = {
	{"one effect", "SET b %", 0},
	{"several", "MSET a 1 b % c 1", 0},
	{"several, two large ones", "MSET a % b %", 0},
	{"another database", "SET b %", 1},
};

/*
 * Sectors and pages of what wasn't synced are lost: it ends there. Where all was synced that is
 * damage.
 */
static void test_holes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(large_rows) / sizeof(large_rows[0]); i++) {
		struct store s;
		struct journals j;
		size_t large[2], len;

		print_message("# %s\n", large_rows[i].label);
		write_large(&s, &j, large_rows[i].request, LARGE_BYTES, large_rows[i].db, large);
		len = j.len[0];
		char *whole = mem_alloc(len);
		memcpy(whole, j.bytes[0], len);
		for (size_t size = SECTOR; size <= PAGE; size += PAGE - SECTOR) {
			for (size_t at = 0; at < large[1]; at += size) {
				size_t first = at > large[0] ? at : large[0];
				size_t end = at + size < len ? at + size : len;
				memset(j.bytes[0] + first, 0, end - first);
				check_before_large(&j, &(struct commit){.epoch = 1, .always = true},
						   large[0], MERGE_BEYOND);
				if (end < len) {
					check_before_large(&j,
							   &(struct commit){.epoch = 3,
									    .always = true},
							   large[0], MERGE_DAMAGED);
					check_before_large(&j, NULL, large[0], MERGE_DAMAGED);
				}
				memcpy(j.bytes[0], whole, len);
			}
		}
		mem_free_unsized(whole);
		journals_free(&j);
		store_deinit(&s);
	}
}

/* Without a large argument a hole shows wherever it is. */
static void test_small_holes(void **state)
{
	struct store s;
	struct journals j;
	size_t large[2];
	char kept[SECTOR];

	(void)state;
	write_large(&s, &j, "MSET a % b % c %", JOURNAL_SUM_MIN - 1, 0, large);
	assert_null(memmem(j.bytes[0], j.len[0], "#SUM", 4));
	for (size_t at = large[0]; at < large[1] - SECTOR; at += 7 * ANY_BYTE_STEP) {
		memcpy(kept, j.bytes[0] + at, SECTOR);
		memset(j.bytes[0] + at, 0, SECTOR);
		check_before_large(&j, &(struct commit){.epoch = 1, .always = true}, large[0],
				   MERGE_BEYOND);
		memcpy(j.bytes[0] + at, kept, SECTOR);
	}
	journals_free(&j);
	store_deinit(&s);
}

/*
 * A byte within a large value, or of its sum, has changed: that is damage, but where it may be what
 * a power loss left.
 */
static void test_changed_value(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(large_rows) / sizeof(large_rows[0]); i++) {
		struct store s;
		struct journals j;
		size_t large[2];

		print_message("# %s\n", large_rows[i].label);
		write_large(&s, &j, large_rows[i].request, LARGE_BYTES, large_rows[i].db, large);
		const char *sum = memmem(j.bytes[0], j.len[0], "#SUM:", 5);
		assert_non_null(sum);
		for (size_t at = (size_t)(sum + 5 - j.bytes[0]); at < large[1]; at += 331) {
			j.bytes[0][at] ^= 1;
			check_before_large(&j, NULL, large[0], MERGE_DAMAGED);
			check_before_large(&j, &(struct commit){.epoch = 2}, large[0],
					   MERGE_DAMAGED);
			check_before_large(&j, &(struct commit){.epoch = 1, .always = true},
					   large[0], MERGE_BEYOND);
			j.bytes[0][at] ^= 1;
		}
		journals_free(&j);
		store_deinit(&s);
	}
}

/* Journals of earlier versions have none. */
static void test_no_sums(void **state)
{
	struct store s, again;
	struct journals j;
	struct merge_source sources[WORKERS];
	size_t large[2], line = strlen("#SUM:0123456789abcdef\r\n");

	(void)state;
	write_large(&s, &j, "SET b %", LARGE_BYTES, 0, large);
	char *sum = memmem(j.bytes[0], j.len[0], "#SUM:", 5);
	assert_non_null(sum);
	j.len[0] -= line;
	memmove(sum, sum + line, (size_t)(j.bytes[0] + j.len[0] - sum));
	recover(&again, &j, NULL, sources);
	assert_string_equal(store_run(&again, "STRLEN b"), ":10000\r\n");
	assert_string_equal(store_run(&again, "GET d"), "$3\r\nnew\r\n");
	assert_int_equal(sources[0].end, MERGE_WHOLE);
	store_deinit(&again);
	journals_free(&j);
	store_deinit(&s);
}

/* Journals of earlier versions said it themselves, each epoch for itself. */
static void test_marked_epochs(void **state)
{
	static const char text[] = "#EP:2:1000:always\r\n#V:3300:1\r\n"
				   "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n1\r\n"
				   "#EP:3:1000\r\n#V:3300:2\r\n"
				   "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n";
	struct store again;
	struct merge_source sources[WORKERS];
	struct journals j = {.bytes = {(char *)text, (char *)text, (char *)text},
			     .len = {sizeof(text) - 1}};

	(void)state;
	recover(&again, &j, &(struct commit){.epoch = 1}, sources);
	assert_string_equal(store_run(&again, "GET b"), "$1\r\n1\r\n");
	assert_int_equal(sources[0].end, MERGE_BEYOND);
	assert_int_equal(sources[0].epoch_end, 3);
	store_deinit(&again);
}

#define OF_EPOCH_5 "#EP:5:1000\r\n#V:3300:1\r\n*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n1\r\n"
#define OF_EPOCH_7 "#EP:7:1000\r\n#V:3300:2\r\n*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1000\r\n"
#define HOLE_IN_7  "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1000\r\n"
#define HOLE_IN_5  "#V:\1\1\1\1\1\1\1*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n"
#define REST       "#V:3300:9\r\n*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n3\r\n"

/*
 * A power loss, epochs up to 6 were committed: what was synced has no end before the mark of 6. A
 * value may look like such marks, where the end of what wasn't synced is torn, or has a hole.
 */
static void test_text_like_marks(void **state)
{
	static const struct {
		const char *label, *behind; /* what stands behind the record of epoch 5 */
		enum merge_end end;
	} rows[] = {
		{"torn", OF_EPOCH_7 "x\n#EP:1:1000\r\n" REST, MERGE_BEYOND},
		{"torn, CRLF before", OF_EPOCH_7 "x\r\n#EP:1:1000\r\n" REST, MERGE_BEYOND},
		{"torn, an epoch that was synced", OF_EPOCH_7 "\r\n#EP:6:1000\r\n" REST,
		 MERGE_BEYOND},
		{"torn, part of a mark", OF_EPOCH_7 "\r\n#EP:6:10", MERGE_BEYOND},
		{"a hole", HOLE_IN_7 "x\n#EP:1:1000\r\n" REST, MERGE_BEYOND},
		{"a hole, CRLF before", HOLE_IN_7 "x\r\n#EP:5:1000\r\n" REST, MERGE_BEYOND},
		{"a hole, no mark", HOLE_IN_7 "\n#EP:6:\n#EP:6:x\r\n#EP:6:10\n#", MERGE_BEYOND},
		{"a hole, a mark that begins nothing", HOLE_IN_7 "\r\n#EP:6:10\r\nx", MERGE_BEYOND},
		{"damage before a mark", HOLE_IN_5 "#EP:6:1000\r\n" REST, MERGE_DAMAGED},
		{"... as earlier versions wrote it", HOLE_IN_5 "#EP:6:1000:always\r\n" REST,
		 MERGE_DAMAGED},
		{"damage that ends in the middle of a line",
		 HOLE_IN_5 "#EP:6:1\1\1\n#EP:6:1000\r\n" REST, MERGE_DAMAGED},
		{"damage before a mark of later", HOLE_IN_5 "#EP:7:1000\r\n" REST, MERGE_BEYOND},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];
		struct store again;
		struct merge_source sources[WORKERS];
		struct journals j = {.bytes = {text, text, text}};

		print_message("# %s\n", rows[i].label);
		j.len[0] = (size_t)snprintf(text, sizeof(text), OF_EPOCH_5 "%s", rows[i].behind);
		for (size_t at = 0; at < j.len[0]; at++)
			text[at] = text[at] == '\1' ? '\0' : text[at];
		recover(&again, &j, &(struct commit){.epoch = 6, .always = true}, sources);
		assert_string_equal(store_run(&again, "GET b"), "$1\r\n1\r\n");
		assert_int_equal(sources[0].end, rows[i].end);
		assert_int_equal(sources[0].taken, strlen(OF_EPOCH_5));
		store_deinit(&again);
	}
}

/* One byte changed anywhere: an error or a load, never more than that. */
static void test_any_byte(void **state)
{
	struct check_random random = check_random_start();
	struct store s, again;
	struct journals j;
	struct merge_source sources[WORKERS];

	(void)state;
	store_init(&s, WORKERS);
	for (uint32_t i = 0; i < WORKERS; i++)
		s.ks->shards[i]->journal.on = true;
	for (int i = 0; i < 12; i++)
		run_random(&s, &random);
	store_run(&s, "MSET a 1 b 2 c 3");
	store_run(&s, "FLUSHALL");
	store_run(&s, "SET a 1 PXAT 99999");
	journals_take(&s, &j);
	for (uint32_t w = 0; w < WORKERS; w++) {
		for (size_t at = 0; at < j.len[w]; at += ANY_BYTE_STEP) {
			char old = j.bytes[w][at];
			j.bytes[w][at] = (char)(old ^ (1 << check_random_below(&random, 8)));
			store_init(&again, 1);
			for (uint32_t i = 0; i < WORKERS; i++)
				sources[i] = (struct merge_source){
					.worker = i, .bytes = j.bytes[i], .len = j.len[i]};
			struct replay *replay = replay_begin(again.ks, 1, 1);
			merge(sources, WORKERS, NULL, take, replay);
			replay_end(replay);
			store_deinit(&again);
			j.bytes[w][at] = old;
		}
	}
	journals_free(&j);
	store_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),         cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_epoch_limit),   cmocka_unit_test(test_always),
		cmocka_unit_test(test_holes),         cmocka_unit_test(test_small_holes),
		cmocka_unit_test(test_changed_value), cmocka_unit_test(test_no_sums),
		cmocka_unit_test(test_marked_epochs), cmocka_unit_test(test_text_like_marks),
		cmocka_unit_test(test_any_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
