/*
 * Snapshots: the parts are RDB files that hold what there was at the cut, whatever happened since;
 * whichever call on files fails, no file is left.
 */
#include "persist/io.h"
#include "persist/manifest.h"
#include "persist/rdb_file.h"
#include "persist/snapshot.h"
#include "test/store.h"

#include "shard/freeze.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define TOOL "/usr/bin/redis-check-rdb"
#define KEYS 500
#define MS   1700000000000

static char directory[64];
static int dir;

static int setup(void **state)
{
	strcpy(directory, "/tmp/test_snapshot.XXXXXX");
	return !mkdtemp(directory) || io_open_dir(directory, &dir) ? -1 : 0;
}

static int teardown(void **state)
{
	close(dir);
	return rmdir(directory);
}

/* How many files there are whose names hold that. */
static uint32_t files(const char *part)
{
	uint32_t count = 0;
	DIR *list = opendir(directory);
	for (struct dirent *d = readdir(list); d; d = readdir(list))
		count += d->d_name[0] != '.' && strstr(d->d_name, part);
	closedir(list);
	return count;
}

static void fill(struct store *s)
{
	store_init(s, 2);
	for (int i = 0; i < KEYS; i++) {
		s->db = i % 7 == 0 ? 2 : 0;
		store_runf(s, "SET string:%d value:%d", i, i);
		store_runf(s, "SET volatile:%d x PXAT %d", i, 2000 + i);
		store_runf(s, "RPUSH list:%d a b %d", i, i);
		store_runf(s, "HSET hash:%d a 1 b %d", i, i);
	}
	for (int i = 0; i < 2000; i++) {
		store_runf(s, "RPUSH long_list element:%d", i);
		store_runf(s, "SADD large_set member:%d", i);
		store_runf(s, "ZADD large_zset %d member:%d", i * 7, i);
		store_runf(s, "HSET large_hash field:%d value:%d", i, i);
	}
	s->db = 0;
}

static void digest(struct store *s, char out[64])
{
	snprintf(out, 64, "%s", store_run(s, "DEBUG DIGEST"));
}

/* --- what the files say --- */

struct loading {
	struct store s;
	uint32_t part, first, last;
	uint64_t keys;
	char aux[512];
};

static bool load_key(void *arg, const struct rdb_key *found)
{
	struct loading *l = arg;
	struct key key;
	struct rdb_in in = rdb_in_of(found->value, UINT32_MAX);
	key_prepare(&key, l->s.ks, found->name);
	assert_in_range(key.slot->index, l->first, l->last);
	struct ctx ctx = {
		.db = found->db,
		.keys = &key,
		.key_count = 1,
		.now = 1000,
		.ks = l->s.ks,
		.shard = l->s.ks->shards[0],
		.holder = true,
	};
	struct entry *e = rdb_decode(&ctx, 0, found->type, found->expire, &in);
	assert_non_null(e);
	ctx_put(&ctx, 0, e);
	l->keys++;
	return true;
}

static void see_aux(void *arg, struct slice name, struct slice value)
{
	struct loading *l = arg;
	size_t len = strlen(l->aux);
	snprintf(l->aux + len, sizeof(l->aux) - len, "%.*s=%.*s ", (int)name.len, name.ptr,
		 (int)value.len, value.ptr);
}

static void load_part(struct loading *l, const struct snapshot *snapshot, uint32_t part)
{
	static const struct rdb_file_events events = {.key = load_key, .aux = see_aux};
	struct manifest_item item = {.kind = MANIFEST_SNAPSHOT, .cut = snapshot->cut};
	struct rdb_file_result result;
	struct io_map map;
	char name[MANIFEST_FILE_MAX], expected[512], command[256];
	l->aux[0] = '\0';
	l->first = part * SLOT_COUNT / snapshot->parts;
	l->last = (part + 1) * SLOT_COUNT / snapshot->parts - 1;
	snprintf(expected, sizeof(expected),
		 "redis-ver=7.2.0 redis-bits=64 ctime=1700000000 used-mem=123456 sherd-shard=%u "
		 "sherd-shards=%u sherd-epoch=1 sherd-slots=%u-%u ",
		 part, snapshot->parts, l->first, l->last);
	manifest_file(&item, part, name);
	assert_int_equal(io_map(dir, name, &map), 0);
	bool good = rdb_file_read((struct slice){map.bytes, map.len}, &events, l, &result);
	if (!good || result.offset != map.len)
		fail_msg("%s at %lu", result.error, (unsigned long)result.offset);
	io_unmap(&map);
	assert_string_equal(l->aux, expected);
	if (access(TOOL, X_OK) != 0)
		return;
	snprintf(command, sizeof(command), TOOL " %s/%s >/dev/null 2>&1", directory, name);
	assert_int_equal(system(command), 0);
}

static void check_content(const struct snapshot *snapshot, const char *expected)
{
	struct loading l = {0};
	char got[64];
	store_init(&l.s, 1);
	for (uint32_t i = 0; i < snapshot->parts; i++)
		load_part(&l, snapshot, i);
	digest(&l.s, got);
	assert_string_equal(got, expected);
	assert_int_equal(atomic_load(&snapshot->keys), l.keys);
	assert_int_equal(l.keys, 4 * KEYS + 4);
	store_collect(&l.s);
	store_deinit(&l.s);
}

/* --- tests --- */

static const struct {
	const char *label;
	uint32_t parts;
	bool compress, checksum, sync_often;
	enum snapshot_uses uses;
} ways[] = {
	{"one part", 1, true, true, true, SNAPSHOT_NO_USES},
	{"not compressed", 1, false, true, false, SNAPSHOT_IDLE},
	{"several parts", 3, true, true, true, SNAPSHOT_FREQUENCY},
	{"without sums", 5, true, false, false, SNAPSHOT_IDLE},
};

static void begin(struct snapshot *snapshot, struct store *s)
{
	static _Atomic int64_t clock = MS;
	*snapshot = (struct snapshot){
		.ks = s->ks,
		.dir = dir,
		.cut = atomic_load(&s->ks->epochs.now),
		.ms = MS,
		.clock = &clock,
		.parts = 1,
		.used_memory = 123456,
		.compress = true,
		.checksum = true,
	};
	freeze_begin(s->ks, snapshot->cut);
}

static void test_ways(void **state)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		struct store s;
		struct snapshot snapshot;
		char before[64];
		fill(&s);
		digest(&s, before);
		begin(&snapshot, &s);
		snapshot.parts = ways[i].parts;
		snapshot.compress = ways[i].compress;
		snapshot.checksum = ways[i].checksum;
		snapshot.sync_often = ways[i].sync_often;
		snapshot.uses = ways[i].uses;
		int error = snapshot_write(&snapshot);
		freeze_end(s.ks);
		if (error || files("") != ways[i].parts || files(".tmp") > 0)
			fail_msg("%s: error %d, %u files", ways[i].label, error, files(""));
		assert_true(atomic_load(&snapshot.bytes) > 0);
		check_content(&snapshot, before);
		snapshot_remove(&snapshot);
		assert_int_equal(files(""), 0);
		store_deinit(&s);
	}
}

/* What comes after the cut isn't in it. */
static void test_cut(void **state)
{
	struct store s;
	struct snapshot snapshot;
	char before[64];
	fill(&s);
	digest(&s, before);
	begin(&snapshot, &s);
	snapshot.parts = 2;
	for (int i = 0; i < KEYS; i++) {
		store_runf(&s, "SET string:%d other", i);
		store_runf(&s, "DEL volatile:%d", i);
		store_runf(&s, "SET new:%d x", i);
		store_runf(&s, "HSET hash:%d a other", i);
		store_runf(&s, "HDEL large_hash field:%d", i);
		store_runf(&s, "SADD large_set other:%d", i);
		store_runf(&s, "ZREM large_zset member:%d", i);
		store_runf(&s, "LSET long_list %d other", i);
	}
	store_run(&s, "FLUSHALL");
	assert_int_equal(snapshot_write(&snapshot), 0);
	freeze_end(s.ks);
	check_content(&snapshot, before);
	snapshot_remove(&snapshot);
	store_deinit(&s);
}

/* One call after the other fails. */
static uint32_t calls_left;
static enum io_call failed_call;

static int fail_one(enum io_call call, size_t *len)
{
	if (calls_left == 0 || --calls_left > 0)
		return 0;
	failed_call = call;
	if (len)
		*len /= 2;
	return -ENOSPC;
}

static void test_trouble(void **state)
{
	struct store s;
	struct snapshot snapshot;
	bool seen[IO_UNLINK + 1] = {false};
	uint32_t nth = 1;
	fill(&s);
	for (;; nth++) {
		begin(&snapshot, &s);
		snapshot.parts = 3;
		calls_left = nth;
		io_fault = fail_one;
		int error = snapshot_write(&snapshot);
		io_fault = NULL;
		freeze_end(s.ks);
		if (calls_left > 0) {
			assert_int_equal(error, 0);
			break;
		}
		seen[failed_call] = true;
		if (error != -ENOSPC || files("") > 0)
			fail_msg("call %u (kind %d) failed: error %d, %u files left", nth,
				 failed_call, error, files(""));
	}
	assert_true(nth > 12);
	assert_true(seen[IO_OPEN] && seen[IO_WRITE] && seen[IO_SYNC] && seen[IO_RENAME]);
	snapshot_remove(&snapshot);
	store_deinit(&s);
}

static void test_cancelled(void **state)
{
	struct store s;
	struct snapshot snapshot;
	fill(&s);
	begin(&snapshot, &s);
	atomic_store(&snapshot.cancelled, true);
	assert_int_equal(snapshot_write(&snapshot), -ECANCELED);
	freeze_end(s.ks);
	assert_int_equal(files(""), 0);
	store_deinit(&s);
}

/* Somebody holds a slot since before the cut, and doesn't let go: that can be cancelled, too. */
static void *cancel(void *arg)
{
	struct snapshot *snapshot = arg;
	while (files(".tmp") == 0)
		sched_yield();
	atomic_store(&snapshot->cancelled, true);
	return NULL;
}

static void test_held(void **state)
{
	struct store s;
	struct snapshot snapshot;
	pthread_t canceller;
	fill(&s);
	struct slot *slot = &s.ks->slots[SLOT_COUNT - 1];
	assert_true(slot_try_hold(slot));
	begin(&snapshot, &s);
	assert_int_equal(pthread_create(&canceller, NULL, cancel, &snapshot), 0);
	assert_int_equal(snapshot_write(&snapshot), -ECANCELED);
	pthread_join(canceller, NULL);
	slot_release(slot, false);
	freeze_end(s.ks);
	assert_int_equal(files(""), 0);
	store_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways),    cmocka_unit_test(test_cut),
		cmocka_unit_test(test_trouble), cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_held),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
