/* MANIFEST: what is written is read, in order; damage is told of; snapshots get their places. */
#include "persist/io.h"
#include "persist/manifest.h"
#include "proto/crc64.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/test-manifest-XXXXXX";
static int dir;

static int set_up(void **state)
{
	return !mkdtemp(path) || io_open_dir(path, &dir) ? -1 : 0;
}

static int tear_down(void **state)
{
	io_unlink(dir, MANIFEST_NAME);
	close(dir);
	return rmdir(path);
}

static struct manifest_item stretch(uint64_t run, uint64_t cut, bool open)
{
	return (struct manifest_item){
		.kind = MANIFEST_STRETCH, .run = run, .cut = cut, .files = 2, .open = open};
}

static struct manifest_item snapshot(uint64_t cut)
{
	return (struct manifest_item){.kind = MANIFEST_SNAPSHOT,
				      .cut = cut,
				      .files = 3,
				      .ms = 1700000000000};
}

/* Items as text: S7 a snapshot, I7 an increment, 2/7 a stretch, with + when it is open. */
static const char *show(const struct manifest *manifest)
{
	static char text[256];
	size_t len = 0;
	text[0] = '\0';
	for (uint32_t i = 0; i < manifest->count; i++) {
		const struct manifest_item *item = &manifest->items[i];
		const char *space = i > 0 ? " " : "";
		if (item->kind == MANIFEST_STRETCH)
			len += (size_t)sprintf(text + len, "%s%" PRIu64 "/%" PRIu64 "%s", space,
					       item->run, item->cut, item->open ? "+" : "");
		else
			len += (size_t)sprintf(text + len, "%s%c%" PRIu64, space,
					       item->kind == MANIFEST_SNAPSHOT ? 'S' : 'I',
					       item->cut);
	}
	return text;
}

static void test_round(void **state)
{
	struct manifest manifest = {.boot = "0a-1b"}, again;
	struct manifest_item items[] = {stretch(1, 0, false), snapshot(UINT64_MAX),
					stretch(2, 9, true)};
	uint32_t line;
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		manifest_add(&manifest, &items[i]);
	assert_int_equal(manifest_write(dir, &manifest), 0);
	assert_int_equal(manifest_read(dir, &again, &line), 0);
	assert_string_equal(again.boot, "0a-1b");
	assert_string_equal(show(&again), "1/0 S18446744073709551615 2/9+");
	assert_int_equal(again.items[1].files, 3);
	assert_int_equal(again.items[1].ms, 1700000000000);
	assert_int_equal(again.items[2].files, 2);
	assert_int_equal(manifest_start(&again), 1);
	assert_int_equal(manifest_last_run(&again), 2);
	assert_true(manifest_last_cut(&again) == UINT64_MAX);
	manifest_free(&manifest);
	manifest_free(&again);
}

static void write_text(const char *body)
{
	char text[1024];
	int len = snprintf(text, sizeof(text), "%s", body);
	snprintf(text + len, sizeof(text) - (size_t)len, "end %016" PRIx64 "\n",
		 crc64(0, body, (size_t)len));
	assert_int_equal(io_replace(dir, MANIFEST_NAME, text, strlen(text)), 0);
}

static const struct {
	const char *label, *text;
	uint32_t line; /* that is wrong; 0: none */
	const char *items;
} texts[] = {
	{"nothing", "sherd 1\nboot -\n", 0, ""},
	{"all kinds", "sherd 1\nboot -\nsnapshot 5 1 9\nincrement 6 2 10\nstretch 1 5 2 open\n", 0,
	 "S5 I6 1/5+"},
	{"a format to come", "sherd 2\nboot -\n", 1, NULL},
	{"an unknown word", "sherd 1\nboot -\nsnapshots 5 1 9\n", 3, NULL},
	{"no parts", "sherd 1\nboot -\nsnapshot 5 0 9\n", 3, NULL},
	{"more parts than slots", "sherd 1\nboot -\nsnapshot 5 16385 9\n", 3, NULL},
	{"more behind it", "sherd 1\nboot -\nsnapshot 5 1 9 1\n", 3, NULL},
	{"neither open nor closed", "sherd 1\nboot -\nstretch 1 5 2 ajar\n", 3, NULL},
	{"too many workers", "sherd 1\nboot -\nstretch 1 5 257 open\n", 3, NULL},
	{"a line that is too long",
	 "sherd 1\nboot -\nstretch 1 5 2 "
	 "openopenopenopenopenopenopenopenopenopenopenopenopenopenopenopenopenopenopenopenopenopenopenopenopen"
	 "openopenopenopenopen\n",
	 3, NULL},
};

static void test_texts(void **state)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct manifest manifest;
		uint32_t line;
		write_text(texts[i].text);
		int error = manifest_read(dir, &manifest, &line);
		if (error != (texts[i].line ? -EINVAL : 0) || (error && line != texts[i].line))
			fail_msg("%s: error %d at line %u", texts[i].label, error, line);
		if (texts[i].items && strcmp(show(&manifest), texts[i].items) != 0)
			fail_msg("%s: %s", texts[i].label, show(&manifest));
		manifest_free(&manifest);
	}
}

/* Whatever byte is another one: it is seen. */
static void test_damage(void **state)
{
	struct manifest manifest = {.boot = "-"};
	struct manifest_item items[] = {snapshot(5), stretch(1, 5, true)};
	struct io_map map;
	manifest_add(&manifest, &items[0]);
	manifest_add(&manifest, &items[1]);
	assert_int_equal(manifest_write(dir, &manifest), 0);
	manifest_free(&manifest);
	assert_int_equal(io_map(dir, MANIFEST_NAME, &map), 0);
	size_t len = map.len;
	char good[512], bad[512];
	assert_true(len < sizeof(good));
	memcpy(good, map.bytes, len);
	io_unmap(&map);
	for (size_t i = 0; i < len; i++) {
		uint32_t line;
		memcpy(bad, good, len);
		bad[i] ^= 1;
		assert_int_equal(io_replace(dir, MANIFEST_NAME, bad, len), 0);
		if (manifest_read(dir, &manifest, &line) != -EINVAL)
			fail_msg("byte %zu of %zu changed, and nobody saw it", i, len);
		manifest_free(&manifest);
	}
	for (size_t i = 0; i < len; i++) {
		uint32_t line;
		assert_int_equal(io_replace(dir, MANIFEST_NAME, good, i), 0);
		if (manifest_read(dir, &manifest, &line) != -EINVAL)
			fail_msg("cut at %zu of %zu, and nobody saw it", i, len);
		manifest_free(&manifest);
	}
}

/* A snapshot of the cut `cut` comes to what is there, so many are kept. */
static const struct {
	const char *label, *before;
	uint64_t cut;
	uint32_t keep;
	const char *after, *dropped;
} places[] = {
	{"nothing there", "", 5, 1, "S5", ""},
	{"no journals", "S3", 5, 1, "S5", "S3"},
	{"journals of before the cut", "1/0 2/0", 5, 1, "S5", "1/0 2/0"},
	{"the first of all", "1/0 2/0 2/5", 5, 1, "S5 2/5", "1/0 2/0"},
	{"the next", "S5 2/5 2/7", 7, 1, "S7 2/7", "S5 2/5"},
	{"after cuts that failed", "S5 2/5 2/6 2/7", 7, 1, "S7 2/7", "S5 2/5 2/6"},
	{"of a cut before the last", "S5 2/5 2/6 2/7", 6, 1, "S6 2/6 2/7", "S5 2/5"},
	{"two kept", "S5 2/5 2/7", 7, 2, "S5 2/5 S7 2/7", ""},
	{"two kept, a third comes", "S3 2/3 S5 2/5 2/7", 7, 2, "S5 2/5 S7 2/7", "S3 2/3"},
	{"fewer kept from now on", "1/0 S3 2/3 S5 2/5 2/7", 7, 1, "S7 2/7", "1/0 S3 2/3 S5 2/5"},
};

static struct manifest parse(const char *items)
{
	struct manifest manifest = {0};
	char text[128], *rest, *word;
	snprintf(text, sizeof(text), "%s", items);
	for (word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		struct manifest_item item = snapshot(strtoull(word + 1, NULL, 10));
		if (*word != 'S')
			item = stretch(strtoull(word, NULL, 10),
				       strtoull(strchr(word, '/') + 1, NULL, 10), false);
		manifest_add(&manifest, &item);
	}
	return manifest;
}

static void test_places(void **state)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct manifest manifest = parse(places[i].before), dropped, copy;
		struct manifest_item item = snapshot(places[i].cut);
		manifest_copy(&manifest, &copy);
		manifest_place(&manifest, &item);
		manifest_drop(&manifest, places[i].keep, &dropped);
		if (strcmp(show(&manifest), places[i].after) != 0)
			fail_msg("%s: %s", places[i].label, show(&manifest));
		if (strcmp(show(&dropped), places[i].dropped) != 0)
			fail_msg("%s: dropped %s", places[i].label, show(&dropped));
		assert_string_equal(show(&copy), places[i].before);
		manifest_free(&manifest);
		manifest_free(&dropped);
		manifest_free(&copy);
	}
}

/* Items that nobody looks at: stretches, from this run on. */
static void add_stretches(struct manifest *manifest, uint64_t run, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct manifest_item item = stretch(run + i, 1, false);
		manifest_add(manifest, &item);
	}
}

/* What is written is read again, however many there are. */
static void test_many(void **state)
{
	struct manifest manifest = {.boot = "-"}, again;
	uint32_t line;
	add_stretches(&manifest, 1, MANIFEST_ITEMS_MANY + 5);
	assert_int_equal(manifest_write(dir, &manifest), 0);
	assert_int_equal(manifest_read(dir, &again, &line), 0);
	assert_int_equal(again.count, MANIFEST_ITEMS_MANY + 5);
	assert_int_equal(manifest_last_run(&again), MANIFEST_ITEMS_MANY + 5);
	manifest_free(&manifest);
	manifest_free(&again);
}

/* Three generations to be kept: how many stretches are in each, how many items go. */
static const struct {
	const char *label;
	uint32_t stretches[3], dropped;
} many[] = {
	{"just enough", {10, MANIFEST_ITEMS_MANY - 15, 2}, 0},
	{"one too many", {10, MANIFEST_ITEMS_MANY - 14, 2}, 11},
	{"the first alone has many", {MANIFEST_ITEMS_MANY, 1, 0}, MANIFEST_ITEMS_MANY + 1},
	{"two go", {10, MANIFEST_ITEMS_MANY, 0}, MANIFEST_ITEMS_MANY + 12},
	{"the last one stays", {10, 20, MANIFEST_ITEMS_MANY + 3}, 32},
};

static void test_too_many_to_keep(void **state)
{
	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
		struct manifest manifest = {0}, dropped;
		uint32_t count = 3;
		for (uint32_t j = 0; j < 3; j++) {
			struct manifest_item item = snapshot(j + 1);
			manifest_add(&manifest, &item);
			add_stretches(&manifest, 1, many[i].stretches[j]);
			count += many[i].stretches[j];
		}
		print_message("# %s\n", many[i].label);
		manifest_drop(&manifest, 3, &dropped);
		assert_int_equal(dropped.count, many[i].dropped);
		assert_int_equal(manifest.count, count - many[i].dropped);
		assert_int_equal(manifest.items[0].kind, MANIFEST_SNAPSHOT);
		manifest_free(&manifest);
		manifest_free(&dropped);
	}
}

static void test_increments(void **state)
{
	struct manifest manifest = {0};
	struct manifest_item item = snapshot(1);
	assert_int_equal(manifest_increments(&manifest), 0);
	for (uint32_t i = 0; i < 7; i++) {
		item.kind = i == 0 || i == 3 ? MANIFEST_SNAPSHOT : MANIFEST_INCREMENT;
		manifest_add(&manifest, &item);
		add_stretches(&manifest, 1, 2);
	}
	assert_int_equal(manifest_increments(&manifest), 3);
	manifest_free(&manifest);
}

static void test_take(void **state)
{
	struct manifest manifest = {0}, taken = {0};
	struct manifest_item items[] = {snapshot(1), stretch(1, 2, true), stretch(1, 3, true)};
	for (uint32_t i = 0; i < 3; i++)
		manifest_add(&manifest, &items[i]);
	manifest_take(&manifest, 1, &taken);
	manifest_take(&manifest, 1, &taken);
	assert_int_equal(manifest.count, 1);
	assert_int_equal(manifest.items[0].kind, MANIFEST_SNAPSHOT);
	assert_int_equal(taken.count, 2);
	assert_int_equal(taken.items[0].cut, 2);
	assert_int_equal(taken.items[1].cut, 3);
	manifest_free(&manifest);
	manifest_free(&taken);
}

static void test_files(void **state)
{
	char name[MANIFEST_FILE_MAX];
	struct manifest_item item = snapshot(UINT64_MAX);
	manifest_file(&item, 2, name);
	assert_string_equal(name, "snapshot-18446744073709551615-2.rdb");
	item.kind = MANIFEST_INCREMENT;
	manifest_file(&item, 0, name);
	assert_string_equal(name, "increment-18446744073709551615-0.rdb");
	item = stretch(3, 9, true);
	manifest_file(&item, 1, name);
	assert_string_equal(name, "journal-3-9-1.aof");
}

/* What is named as items' files are, and what isn't. */
static void test_tidy(void **state)
{
	static const struct {
		const char *name;
		bool stays;
	} files[] = {
		{"snapshot-5-0.rdb", true},
		{"snapshot-5-2.rdb", true},
		{"snapshot-5-3.rdb", false},
		{"snapshot-5-1.rdb.tmp", false},
		{"snapshot-6-0.rdb", false},
		{"snapshot-05-0.rdb", true},
		{"snapshot-6-0.rdb.old", true},
		{"journal-1-5-0.aof", true},
		{"journal-1-4-0.aof", false},
		{"journal-2-5-0.aof", false},
		{"journal-1-5-2.aof", false},
		{"increment-5-0.rdb", false},
		{"increment-5-x.rdb", true},
		{"journal-1-5-0.aof.bad", true},
		{"dump.rdb", true},
		{"snapshot", true},
	};
	struct manifest manifest = {.boot = "-"};
	struct manifest_item items[] = {snapshot(5), stretch(1, 5, true)};
	uint32_t gone = 0;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		assert_int_equal(io_replace(dir, files[i].name, "x", 1), 0);
		gone += !files[i].stays;
	}
	manifest_add(&manifest, &items[0]);
	manifest_add(&manifest, &items[1]);
	assert_int_equal(manifest_tidy(dir, &manifest), gone);
	manifest_free(&manifest);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		bool there = faccessat(dir, files[i].name, F_OK, 0) == 0;
		if (there != files[i].stays)
			fail_msg("%s %s", files[i].name, there ? "stays" : "is gone");
		io_unlink(dir, files[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_too_many_to_keep),
		cmocka_unit_test(test_increments),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_tidy),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
