/*
 * Listpacks: exact bytes (as DUMP of a Redis server shows them), broken bytes, and random changes
 * against a plain array.
 */
#include "check.h"

#include "proto/mem.h"
#include "shard/listpack.h"

#include <string.h>

#define MODEL_STEPS 1000000
/* Elements of a model's listpack, and bytes of its longest text but for the rare long ones. */
#define MODEL_MAX  24
#define TEXT_SHORT 90
#define TEXT_LONG  5000

/* A listpack of these elements in memory of exactly its size. */
static char *listpack_of(const struct slice *texts, size_t count, size_t *bytes)
{
	struct listpack_builder builder;
	char *lp;

	*bytes = LISTPACK_BYTES_MIN;
	for (size_t i = 0; i < count; i++)
		*bytes += listpack_item_bytes(listpack_item_of(texts[i]));
	lp = mem_alloc(*bytes);
	listpack_start(&builder, lp);
	for (size_t i = 0; i < count; i++)
		listpack_append(&builder, listpack_item_of(texts[i]));
	assert_int_equal(listpack_finish(&builder), *bytes);
	return lp;
}

static void test_bytes(void **state)
{
	static const struct {
		const char *text;
		struct slice element; /* with its backlen */
	} rows[] = {
		{"0", SLICE("\x00\x01")},
		{"127", SLICE("\x7f\x01")},
		{"128", SLICE("\xc0\x80\x02")},
		{"-1", SLICE("\xdf\xff\x02")},
		{"4095", SLICE("\xcf\xff\x02")},
		{"-4096", SLICE("\xd0\x00\x02")},
		{"4096", SLICE("\xf1\x00\x10\x03")},
		{"-4097", SLICE("\xf1\xff\xef\x03")},
		{"32767", SLICE("\xf1\xff\x7f\x03")},
		{"-32768", SLICE("\xf1\x00\x80\x03")},
		{"32768", SLICE("\xf2\x00\x80\x00\x04")},
		{"-32769", SLICE("\xf2\xff\x7f\xff\x04")},
		{"8388607", SLICE("\xf2\xff\xff\x7f\x04")},
		{"-8388608", SLICE("\xf2\x00\x00\x80\x04")},
		{"8388608", SLICE("\xf3\x00\x00\x80\x00\x05")},
		{"-8388609", SLICE("\xf3\xff\xff\x7f\xff\x05")},
		{"2147483647", SLICE("\xf3\xff\xff\xff\x7f\x05")},
		{"-2147483648", SLICE("\xf3\x00\x00\x00\x80\x05")},
		{"2147483648", SLICE("\xf4\x00\x00\x00\x80\x00\x00\x00\x00\x09")},
		{"-2147483649", SLICE("\xf4\xff\xff\xff\x7f\xff\xff\xff\xff\x09")},
		{"9223372036854775807", SLICE("\xf4\xff\xff\xff\xff\xff\xff\xff\x7f\x09")},
		{"-9223372036854775808", SLICE("\xf4\x00\x00\x00\x00\x00\x00\x00\x80\x09")},
		{"9223372036854775808", SLICE("\x93"
					      "9223372036854775808\x14")},
		{"", SLICE("\x80\x01")},
		{"-0", SLICE("\x82-0\x03")},
		{"00", SLICE("\x82"
			     "00\x03")},
		{"+1", SLICE("\x82+1\x03")},
		{"-", SLICE("\x81-\x02")},
		{"1 ", SLICE("\x82\x31 \x03")},
		{"xyz", SLICE("\x83xyz\x04")},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice text = slice_of(rows[i].text);
		char room[NUMBER_TEXT_MAX];
		size_t bytes;
		char *lp = listpack_of(&text, 1, &bytes);

		print_message("# \"%s\"\n", rows[i].text);
		assert_int_equal(bytes, LISTPACK_BYTES_MIN + rows[i].element.len);
		assert_int_equal(listpack_bytes(lp), bytes);
		assert_memory_equal(lp + 4, "\1\0", 2);
		assert_memory_equal(lp + LISTPACK_HEADER, rows[i].element.ptr, rows[i].element.len);
		assert_memory_equal(lp + bytes - 1, "\xff", 1);
		assert_true(listpack_valid((struct slice){lp, bytes}));
		assert_true(slice_equal(listpack_item_text(listpack_get(lp, LISTPACK_HEADER), room),
					text));
		mem_free(lp, bytes);
	}
	assert_memory_equal(LISTPACK_EMPTY, "\7\0\0\0\0\0\xff", LISTPACK_BYTES_MIN);
}

/* Texts of n times 'x': what stands before and behind them. */
static void test_lengths(void **state)
{
	static const struct {
		size_t len;
		struct slice head, backlen;
	} rows[] = {
		{63, SLICE("\xbf"), SLICE("\x40")},
		{64, SLICE("\xe0\x40"), SLICE("\x42")},
		{125, SLICE("\xe0\x7d"), SLICE("\x7f")},
		{126, SLICE("\xe0\x7e"), SLICE("\x01\x80")},
		{4095, SLICE("\xef\xff"), SLICE("\x20\x81")},
		{4096, SLICE("\xf0\x00\x10\x00\x00"), SLICE("\x20\x85")},
		{16377, SLICE("\xf0\xf9\x3f\x00\x00"), SLICE("\x7f\xfe")},
		{16378, SLICE("\xf0\xfa\x3f\x00\x00"), SLICE("\x00\xff\xff")},
		{16379, SLICE("\xf0\xfb\x3f\x00\x00"), SLICE("\x01\x80\x80")},
		{2097145, SLICE("\xf0\xf9\xff\x1f\x00"), SLICE("\x7f\xff\xfe")},
		{2097146, SLICE("\xf0\xfa\xff\x1f\x00"), SLICE("\x00\xff\xff\xff")},
		{2097147, SLICE("\xf0\xfb\xff\x1f\x00"), SLICE("\x01\x80\x80\x80")},
		{268435450, SLICE("\xf0\xfa\xff\xff\x0f"), SLICE("\x00\xff\xff\xff\xff")},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice text = {memset(mem_alloc(rows[i].len), 'x', rows[i].len), rows[i].len};
		size_t bytes;
		char *lp = listpack_of(&text, 1, &bytes);
		char *p = lp + LISTPACK_HEADER;

		print_message("# %zu\n", rows[i].len);
		assert_int_equal(bytes, LISTPACK_BYTES_MIN + rows[i].head.len + text.len +
						rows[i].backlen.len);
		assert_memory_equal(p, rows[i].head.ptr, rows[i].head.len);
		assert_memory_equal(p + rows[i].head.len + text.len, rows[i].backlen.ptr,
				    rows[i].backlen.len);
		assert_true(listpack_valid((struct slice){lp, bytes}));
		assert_int_equal(listpack_prev(lp, listpack_end(lp)), LISTPACK_HEADER);
		assert_int_equal(listpack_find(lp, LISTPACK_HEADER, listpack_item_of(text), 0),
				 LISTPACK_HEADER);
		mem_free((char *)text.ptr, text.len);
		mem_free(lp, bytes);
	}
}

static void test_valid(void **state)
{
	static const struct {
		const char *label;
		struct slice bytes;
		bool valid;
	} rows[] = {
		{"empty", {LISTPACK_EMPTY, LISTPACK_BYTES_MIN}, true},
		{"nothing", SLICE(""), false},
		{"shorter than the header", SLICE("\6\0\0\0\0\0"), false},
		{"no end", SLICE("\7\0\0\0\0\0\0"), false},
		{"total too large", SLICE("\10\0\0\0\0\0\xff"), false},
		{"total too small", SLICE("\7\0\0\0\0\0\xff\xff"), false},
		{"one", SLICE("\x09\0\0\0\1\0\5\1\xff"), true},
		{"count too small", SLICE("\x09\0\0\0\0\0\5\1\xff"), false},
		{"count too large", SLICE("\x09\0\0\0\2\0\5\1\xff"), false},
		{"count unknown", SLICE("\x09\0\0\0\xff\xff\5\1\xff"), true},
		{"backlen wrong", SLICE("\x09\0\0\0\1\0\5\2\xff"), false},
		{"backlen runs on", SLICE("\x09\0\0\0\1\0\5\x81\xff"), false},
		{"backlen missing", SLICE("\x08\0\0\0\1\0\5\xff"), false},
		{"backlen longer than need be", SLICE("\x0a\0\0\0\1\0\5\0\x81\xff"), false},
		{"end too early", SLICE("\x0a\0\0\0\1\0\5\1\xff\xff"), false},
		{"no such encoding", SLICE("\x09\0\0\0\1\0\xf5\1\xff"), false},
		{"text beyond the end", SLICE("\x0a\0\0\0\1\0\x82x\3\xff"), false},
		{"text up to the end", SLICE("\x0a\0\0\0\1\0\x82xy\xff"), false},
		{"text of 12 bits cut", SLICE("\x08\0\0\0\1\0\xe0\xff"), false},
		{"text of 32 bits cut", SLICE("\x0b\0\0\0\1\0\xf0\1\0\0\xff"), false},
		{"text of 4 GB", SLICE("\x0e\0\0\0\1\0\xf0\xff\xff\xff\xff x\xff"), false},
		{"text in a wider encoding", SLICE("\x0b\0\0\0\1\0\xe0\1x\3\xff"), true},
		{"number as text", SLICE("\x0a\0\0\0\1\0\x81\x37\2\xff"), true},
		{"number of 13 bits cut", SLICE("\x08\0\0\0\1\0\xc1\xff"), false},
		{"number of 64 bits cut", SLICE("\x0c\0\0\0\1\0\xf4\1\2\3\4\xff"), false},
		{"number in a wider encoding", SLICE("\x0b\0\0\0\1\0\xf1\1\0\3\xff"), true},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice bytes = rows[i].bytes;
		char *copy = mem_alloc(bytes.len + 1);

		/* Memory of exactly its size, for sanitizers. */
		copy = mem_realloc(copy, bytes.len > 0 ? bytes.len : 1);
		memcpy(copy, bytes.ptr, bytes.len);
		print_message("# %s\n", rows[i].label);
		assert_int_equal(listpack_valid((struct slice){copy, bytes.len}), rows[i].valid);
		mem_free_unsized(copy);
	}
}

static void test_find(void **state)
{
	static const struct slice texts[] = {SLICE("f"), SLICE("1"), SLICE("1"), SLICE("g"),
					     SLICE("g"), SLICE(""),  SLICE("h"), SLICE("100000")};
	static const struct {
		const char *text;
		size_t start, skip;
		int64_t found; /* index */
	} rows[] = {
		{"f", 0, 0, 0},       {"1", 0, 0, 1},   {"1", 0, 1, 2},   {"g", 0, 0, 3},
		{"g", 0, 1, 4},       {"", 0, 0, 5},    {"", 0, 1, -1},   {"h", 0, 1, 6},
		{"100000", 0, 0, 7},  {"", 0, 2, -1},   {"g", 4, 0, 4},   {"f", 1, 0, -1},
		{"100000", 0, 6, 7},  {"F", 0, 0, -1},  {"01", 0, 0, -1}, {"gg", 0, 0, -1},
		{"h", 0, 100, -1},    {"f", 0, 100, 0}, {"2", 0, 0, -1},  {"100000", 7, 1, 7},
		{"100001", 0, 0, -1},
	};
	size_t bytes;
	char *lp = listpack_of(texts, COUNT_OF(texts), &bytes);

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct listpack_item item = listpack_item_of(slice_of(rows[i].text));
		size_t at = listpack_find(lp, listpack_seek(lp, rows[i].start), item, rows[i].skip);

		print_message("# '%s' from %zu\n", rows[i].text, rows[i].start);
		assert_int_equal(at, rows[i].found < 0 ? 0 : listpack_seek(lp, rows[i].found));
	}
	assert_int_equal(listpack_find(lp, listpack_end(lp), listpack_item_of(SLICE("f")), 0), 0);
	mem_free(lp, bytes);
}

/* More elements than the header can tell. */
static void test_many(void **state)
{
	size_t count = 70000, bytes = LISTPACK_BYTES_MIN + count * 2;
	char *lp = mem_alloc(bytes + 4);
	struct listpack_builder builder;
	struct listpack_item item = listpack_item_number(3);

	listpack_start(&builder, lp);
	for (size_t i = 0; i < count; i++)
		listpack_append(&builder, listpack_item_number(i % 100));
	assert_int_equal(listpack_finish(&builder), bytes);
	assert_memory_equal(lp + 4, "\xff\xff", 2);
	assert_true(listpack_valid((struct slice){lp, bytes}));
	assert_int_equal(listpack_count(lp), count);
	assert_int_equal(listpack_seek(lp, count), 0);
	assert_int_equal(listpack_seek(lp, -(int64_t)count - 1), 0);
	assert_int_equal(listpack_get(lp, listpack_seek(lp, 65537)).number, 37);
	assert_int_equal(listpack_get(lp, listpack_seek(lp, -3)).number, 97);
	listpack_splice(lp, lp, listpack_first(lp), listpack_first(lp), &item, 1);
	assert_int_equal(listpack_count(lp), count + 1);
	listpack_splice(lp, lp, listpack_first(lp), listpack_seek(lp, 30001), NULL, 0);
	assert_int_equal(listpack_count(lp), 40000);
	assert_true(listpack_valid((struct slice){lp, listpack_bytes(lp)}));
	mem_free(lp, bytes + 4);
}

/* The array that a listpack is compared with; its texts lie in the pool. */
struct model {
	struct slice texts[MODEL_MAX];
	size_t count;
};

/* Texts that stay where they are: short and long, numbers around each border, and near misses. */
static struct slice pool[400];
static char pool_bytes[COUNT_OF(pool)][TEXT_SHORT];
static char pool_long[4][TEXT_LONG];

static void pool_fill(struct check_random *random)
{
	for (size_t i = 0; i < COUNT_OF(pool); i++) {
		int64_t n = check_random_next(random) >> check_random_below(random, 64);
		size_t len = check_random_below(random, TEXT_SHORT);

		if (i % 3 == 0) {
			len = number_format(pool_bytes[i], check_random_below(random, 2) ? n : -n);
		} else {
			for (size_t k = 0; k < len; k++)
				pool_bytes[i][k] = "0123-ab\xff"[check_random_below(random, 8)];
			len = i % 3 == 1 && len > 3 ? 3 : len;
		}
		pool[i] = (struct slice){pool_bytes[i], len};
	}
	for (size_t i = 0; i < COUNT_OF(pool_long); i++) {
		memset(pool_long[i], 'a' + (int)i, TEXT_LONG);
		pool[i * 100] = (struct slice){pool_long[i], i % 2 ? 4094 + i : TEXT_LONG};
	}
}

static struct slice pool_pick(struct check_random *random)
{
	size_t i = check_random_below(random, COUNT_OF(pool));

	return i % 100 == 0 && check_random_below(random, 10) ? pool[i + 1] : pool[i];
}

static void check_same(const char *lp, const struct model *model)
{
	size_t at = listpack_first(lp), end = listpack_end(lp), i = 0;
	struct listpack_item item;

	assert_true(listpack_valid((struct slice){lp, listpack_bytes(lp)}));
	assert_int_equal(listpack_count(lp), model->count);
	for (; at < end; i++) {
		assert_true(i < model->count);
		at = listpack_read(lp, at, &item);
		assert_true(listpack_item_equal(item, listpack_item_of(model->texts[i])));
	}
	assert_int_equal(i, model->count);
	while ((at = listpack_prev(lp, at)) != 0) {
		char room[NUMBER_TEXT_MAX];

		assert_true(i > 0);
		assert_true(slice_equal(listpack_item_text(listpack_get(lp, at), room),
					model->texts[--i]));
	}
	assert_int_equal(i, 0);
}

static size_t position(const char *lp, size_t index)
{
	size_t at = listpack_seek(lp, index);

	return at > 0 ? at : listpack_end(lp);
}

static void model_splice(struct model *model, size_t from, size_t to, const struct slice *texts,
			 size_t count)
{
	memmove(&model->texts[from + count], &model->texts[to],
		(model->count - to) * sizeof(*model->texts));
	for (size_t i = 0; i < count; i++)
		model->texts[from + i] = texts[i];
	model->count = model->count - (to - from) + count;
}

/* Replaces a range by some elements, in place or elsewhere; returns the listpack. */
static char *step_splice(struct check_random *random, char *lp, struct model *model)
{
	size_t from = check_random_below(random, model->count + 1);
	size_t to = from;
	size_t count = check_random_below(random, 3), bytes, old = listpack_bytes(lp);
	struct slice texts[2];
	struct listpack_item items[2];
	size_t from_at = position(lp, from), to_at;
	char *out;

	if (check_random_below(random, 2))
		to += check_random_below(random, 3);
	if (to > model->count)
		to = model->count;
	if (model->count - (to - from) + count > MODEL_MAX)
		count = 0;
	for (size_t i = 0; i < count; i++) {
		texts[i] = pool_pick(random);
		items[i] = listpack_item_of(texts[i]);
	}
	to_at = position(lp, to);
	assert_int_equal(listpack_range_count(lp, from_at, to_at), to - from);
	bytes = listpack_splice_bytes(lp, from_at, to_at, items, count);
	if (check_random_below(random, 2)) {
		out = mem_alloc(bytes);
		listpack_splice(out, lp, from_at, to_at, items, count);
		mem_free(lp, old);
	} else {
		out = mem_realloc(lp, bytes > old ? bytes : old);
		listpack_splice(out, out, from_at, to_at, items, count);
		out = mem_realloc(out, bytes);
	}
	assert_int_equal(listpack_bytes(out), bytes);
	model_splice(model, from, to, texts, count);
	return out;
}

/* Takes a part out into a listpack of its own and puts it in elsewhere. */
static char *step_move(struct check_random *random, char *lp, struct model *model)
{
	size_t from = check_random_below(random, model->count + 1);
	size_t to = from + check_random_below(random, model->count - from + 1);
	size_t from_at = position(lp, from), to_at = position(lp, to);
	size_t bytes = listpack_bytes(lp), part_bytes = LISTPACK_BYTES_MIN + to_at - from_at, at;
	char *part = mem_alloc(part_bytes);
	struct slice texts[MODEL_MAX];

	listpack_insert_range(part, LISTPACK_EMPTY, LISTPACK_HEADER, lp, from_at, to_at);
	assert_int_equal(listpack_bytes(part), part_bytes);
	listpack_splice(lp, lp, from_at, to_at, NULL, 0);
	memcpy(texts, &model->texts[from], (to - from) * sizeof(*texts));
	model_splice(model, from, to, NULL, 0);
	at = check_random_below(random, model->count + 1);
	listpack_insert_range(lp, lp, position(lp, at), part, LISTPACK_HEADER, listpack_end(part));
	model_splice(model, at, at, texts, to - from);
	assert_int_equal(listpack_bytes(lp), bytes);
	mem_free(part, part_bytes);
	return lp;
}

static void step_find(struct check_random *random, const char *lp, const struct model *model)
{
	size_t start = check_random_below(random, model->count + 1);
	size_t skip = check_random_below(random, 3), i;
	struct slice text = pool_pick(random);

	if (model->count > 0 && check_random_below(random, 2))
		text = model->texts[check_random_below(random, model->count)];
	for (i = start; i < model->count && !slice_equal(model->texts[i], text);)
		i += 1 + skip;
	assert_int_equal(listpack_find(lp, position(lp, start), listpack_item_of(text), skip),
			 i < model->count ? listpack_seek(lp, i) : 0);
}

static void step_seek(struct check_random *random, const char *lp, const struct model *model)
{
	int64_t count = model->count;
	int64_t index = (int64_t)check_random_below(random, 2 * count + 5) - count - 2;
	size_t at = listpack_seek(lp, index);

	if (index >= count || index < -count)
		assert_int_equal(at, 0);
	else
		assert_true(listpack_item_equal(
			listpack_get(lp, at),
			listpack_item_of(model->texts[index < 0 ? index + count : index])));
}

static void test_model(void **state)
{
	struct check_random random = check_random_start();
	char *lp = mem_alloc(LISTPACK_BYTES_MIN);
	struct model model = {.count = 0};

	pool_fill(&random);
	memcpy(lp, LISTPACK_EMPTY, LISTPACK_BYTES_MIN);
	for (int i = 0; i < MODEL_STEPS; i++) {
		switch (check_random_below(&random, 10)) {
		case 0:
			lp = step_move(&random, lp, &model);
			break;
		case 1:
		case 2:
			step_seek(&random, lp, &model);
			break;
		case 3:
		case 4:
		case 5:
			step_find(&random, lp, &model);
			break;
		default:
			lp = step_splice(&random, lp, &model);
		}
		if (i % 16 == 0)
			check_same(lp, &model);
	}
	mem_free(lp, listpack_bytes(lp));
}

/* Elements come and go in front without the others moving. */
static void test_front(void **state)
{
	static const char *const texts[] = {"1", "", "text", "-70000", "9223372036854775807"};
	char room[200];
	char *lp = room + sizeof(room) - LISTPACK_BYTES_MIN;

	memcpy(lp, LISTPACK_EMPTY, LISTPACK_BYTES_MIN);
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct listpack_item item = listpack_item_of(slice_of(texts[i]));
		lp = listpack_push_front(lp, item);
		assert_true(listpack_valid((struct slice){lp, listpack_bytes(lp)}));
		assert_int_equal(listpack_count(lp), i + 1);
		assert_true(listpack_item_equal(listpack_get(lp, LISTPACK_HEADER), item));
		assert_ptr_equal(lp + listpack_bytes(lp), room + sizeof(room));
	}
	static const size_t drops[] = {0, 1, 3, 1};
	size_t left = COUNT_OF(texts);
	for (size_t i = 0; i < COUNT_OF(drops); i++) {
		size_t to = listpack_seek(lp, (int64_t)drops[i]);
		lp = listpack_drop_front(lp, to ? to : listpack_end(lp));
		left -= drops[i];
		assert_true(listpack_valid((struct slice){lp, listpack_bytes(lp)}));
		assert_int_equal(listpack_count(lp), left);
		assert_ptr_equal(lp + listpack_bytes(lp), room + sizeof(room));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes), cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_valid), cmocka_unit_test(test_find),
		cmocka_unit_test(test_many),  cmocka_unit_test(test_front),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
