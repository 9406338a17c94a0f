/*
 * String values in their three forms, and their bits (bits.h), against a plain buffer: through
 * entries of a real keyspace.
 */
#include "check.h"

#include "proto/mem.h"
#include "shard/bits.h"
#include "shard/execute.h"
#include "shard/string.h"

#include <string.h>

/* Lengths of random strings: on both sides of the border between entries and ropes. */
#define MODEL_MAX   (3 * ENTRY_BLOB_MIN)
#define MODEL_STEPS 3000
#define EXPIRE      1234567

/* A keyspace with one key, held by us. */
struct fixture {
	struct ctx ctx;
	struct key key;
	struct slot *slot;
	struct reply reply;
};

static void fixture_init(struct fixture *f)
{
	struct keyspace *ks = keyspace_new(1, 1, &(struct hash_seed){1, 2});

	*f = (struct fixture){0};
	key_prepare(&f->key, ks, SLICE("key"));
	f->slot = f->key.slot;
	reply_init(&f->reply, 2);
	f->ctx = (struct ctx){
		.keys = &f->key,
		.key_count = 1,
		.now = 1000,
		.reply = &f->reply,
		.ks = ks,
		.shard = ks->shards[0],
		.holder = true,
	};
	assert_true(slot_try_hold(f->slot));
}

static void fixture_deinit(struct fixture *f)
{
	reply_deinit(&f->reply);
	keyspace_free(f->ctx.ks);
}

/* Ends a unit of work, and a grace period; begins the next. */
static void fixture_close(struct fixture *f)
{
	struct grace *grace = &f->ctx.ks->grace;
	struct retire *retire = &f->ctx.shard->retire;

	slot_release(f->slot, f->ctx.stored);
	f->ctx.stored = false;
	assert_true(slot_try_hold(f->slot));
	retire_stamp(retire, grace);
	atomic_fetch_add(&grace->started, 1);
	atomic_store(&grace->completed, atomic_load(&grace->started));
	while (retire_collect(retire, grace, 100))
		;
}

static struct entry *fixture_entry(struct fixture *f)
{
	return ctx_peek(&f->ctx, 0, false);
}

static void fixture_write(struct fixture *f, size_t offset, struct slice bytes)
{
	string_write(&f->ctx, 0, fixture_entry(f), offset, bytes);
	fixture_close(f);
}

/* As SET would: inline or a blob. */
static void fixture_set(struct fixture *f, struct slice value, int64_t expire)
{
	ctx_put(&f->ctx, 0, entry_new_string(f->key.name, value, expire, 7));
	fixture_close(f);
}

/* The reply's bytes with the pinned ones in their places; the reply is empty then. */
static char *take_reply(struct reply *r, size_t *len)
{
	size_t done = 0, at = 0;
	char *out;

	*len = reply_size(r);
	out = mem_alloc(*len + 1);
	for (uint32_t i = 0; i < r->pin_count; i++) {
		const struct reply_pin *pin = &r->pins[i];
		memcpy(out + at, r->buf + done, pin->at - done);
		at += pin->at - done;
		done = pin->at;
		memcpy(out + at, pin->bytes.ptr, pin->bytes.len);
		at += pin->bytes.len;
	}
	if (r->len > done)
		memcpy(out + at, r->buf + done, r->len - done);
	reply_reset(r, 0);
	return out;
}

static void check_reply(struct fixture *f, size_t offset, size_t len, const char *model)
{
	char header[32];
	int header_len = snprintf(header, sizeof(header), "$%zu\r\n", len);
	size_t reply_len;

	string_reply(&f->ctx, fixture_entry(f), offset, len);
	char *reply = take_reply(&f->reply, &reply_len);
	assert_int_equal(reply_len, header_len + len + 2);
	assert_memory_equal(reply, header, header_len);
	assert_memory_equal(reply + header_len, model + offset, len);
	assert_memory_equal(reply + header_len + len, "\r\n", 2);
	mem_free_unsized(reply);
}

static void check_value(struct fixture *f, const char *model, size_t len)
{
	struct entry *e = fixture_entry(f);
	char *scratch;

	assert_non_null(e);
	assert_int_equal(string_length(e), len);
	struct slice all = string_bytes(e, &scratch);
	assert_int_equal(all.len, len);
	assert_memory_equal(all.ptr, model, len);
	assert_int_equal(scratch != NULL, (e->flags & ENTRY_OWNER_ONLY) != 0);
	mem_free_unsized(scratch);
}

enum form { INLINE, BLOB, ROPE };

static enum form entry_form(const struct entry *e)
{
	if (e->flags & ENTRY_OWNER_ONLY)
		return ROPE;
	return e->flags & ENTRY_BLOB ? BLOB : INLINE;
}

static void test_forms(void **state)
{
	static const struct {
		const char *label;
		int64_t set; /* length of the value before; -1: absent */
		size_t offset, count;
		enum form before, after;
	} rows[] = {
		{"absent, small", -1, 0, 3, INLINE, INLINE},
		{"absent, padded", -1, 100, 3, INLINE, INLINE},
		{"absent, one less than large", -1, ENTRY_BLOB_MIN - 2, 1, INLINE, INLINE},
		{"absent, large", -1, ENTRY_BLOB_MIN - 1, 1, INLINE, ROPE},
		{"small, within", 10, 2, 3, INLINE, INLINE},
		{"small, appended", 10, 10, 3, INLINE, INLINE},
		{"empty, nothing written", 0, 0, 0, INLINE, INLINE},
		{"small, grows large", 10, ENTRY_BLOB_MIN, 3, INLINE, ROPE},
		{"blob, within", ENTRY_BLOB_MIN, 0, 1, BLOB, ROPE},
		{"blob, appended", ENTRY_BLOB_MIN + 5, ENTRY_BLOB_MIN + 5, 9, BLOB, ROPE},
	};
	static char model[2 * ENTRY_BLOB_MIN], bytes[16];

	memset(bytes, 'w', sizeof(bytes));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct fixture f;
		size_t len = rows[i].set < 0 ? 0 : rows[i].set;
		print_message("# %s\n", rows[i].label);
		fixture_init(&f);
		memset(model, 0, sizeof(model));
		memset(model, '1', len);
		if (rows[i].set >= 0) {
			fixture_set(&f, (struct slice){model, len}, EXPIRE);
			assert_int_equal(entry_form(fixture_entry(&f)), rows[i].before);
		}
		fixture_write(&f, rows[i].offset, (struct slice){bytes, rows[i].count});
		memcpy(model + rows[i].offset, bytes, rows[i].count);
		if (rows[i].offset + rows[i].count > len)
			len = rows[i].offset + rows[i].count;
		check_value(&f, model, len);
		struct entry *e = fixture_entry(&f);
		assert_int_equal(entry_form(e), rows[i].after);
		assert_int_equal(entry_encoding(e), ENCODING_RAW);
		assert_int_equal(entry_expire(e), rows[i].set < 0 ? EXPIRE_NEVER : EXPIRE);
		if (rows[i].set >= 0)
			assert_int_equal(entry_access(e), 7);
		fixture_deinit(&f);
	}
}

/* A rope stays the same entry while it is written to, and moves to a new one with its expiry. */
static void test_rope_in_place(void **state)
{
	struct fixture f;

	fixture_init(&f);
	fixture_write(&f, ENTRY_BLOB_MIN, SLICE("x"));
	struct entry *e = fixture_entry(&f);
	uint32_t seq = atomic_load(&f.slot->seq);
	fixture_write(&f, 3 * ENTRY_BLOB_MIN, SLICE("y"));
	assert_ptr_equal(fixture_entry(&f), e);
	assert_int_equal(atomic_load(&f.slot->seq), seq + 2);
	assert_int_equal(string_length(e), 3 * ENTRY_BLOB_MIN + 1);

	void *rope = entry_structure(e);
	ctx_put_shallow(&f.ctx, 0, entry_with_expire(e, EXPIRE));
	fixture_close(&f);
	e = fixture_entry(&f);
	assert_ptr_equal(entry_structure(e), rope);
	assert_int_equal(entry_expire(e), EXPIRE);
	char byte;
	string_read(e, ENTRY_BLOB_MIN, 1, &byte);
	assert_int_equal(byte, 'x');
	fixture_deinit(&f);
}

/* A reply of a large part of a blob outlives the key. */
static void test_reply_outlives_key(void **state)
{
	static char value[2 * ENTRY_BLOB_MIN];
	struct fixture f;
	size_t len;

	fixture_init(&f);
	memset(value, 'v', sizeof(value));
	fixture_set(&f, (struct slice){value, sizeof(value)}, EXPIRE_NEVER);
	string_reply(&f.ctx, fixture_entry(&f), 1, sizeof(value) - 1);
	assert_int_equal(f.reply.pin_count, 1);
	assert_true(ctx_remove(&f.ctx, 0));
	fixture_close(&f);
	char *reply = take_reply(&f.reply, &len);
	assert_memory_equal(reply, "$131071\r\nvvv", 12);
	mem_free_unsized(reply);
	fixture_deinit(&f);
}

static void test_edit_drop(void **state)
{
	struct fixture f;
	struct string_edit edit;
	char out[3];

	fixture_init(&f);
	fixture_set(&f, SLICE("abc"), EXPIRE_NEVER);
	struct entry *e = fixture_entry(&f);
	string_edit_begin(&f.ctx, 0, e, 2, &edit);
	string_edit_read(&edit, 0, 3, out);
	assert_memory_equal(out, "abc", 3);
	string_edit_drop(&edit);
	assert_ptr_equal(fixture_entry(&f), e);
	fixture_deinit(&f);
}

/* Leaves that are absent count as zeros, wherever a range begins and ends. */
static void test_bits_of_sparse(void **state)
{
	const uint64_t last = UINT32_MAX;
	struct fixture f;

	fixture_init(&f);
	fixture_write(&f, last / 8, SLICE("\1"));
	struct entry *e = fixture_entry(&f);
	assert_true(entry_memory(e) < 1 << 20);
	assert_int_equal(bits_count(e, 0, last + 1), 1);
	assert_int_equal(bits_count(e, 3, last), 0);
	assert_int_equal(bits_find(e, true, 0, last + 1), last);
	assert_int_equal(bits_find(e, true, 1, last), -1);
	assert_int_equal(bits_find(e, false, 12345, last), 12345);
	assert_int_equal(bits_find(e, false, last, last + 1), -1);
	fixture_deinit(&f);
}

static void test_check_length(void **state)
{
	static const struct {
		const char *label;
		uint64_t max;
		size_t offset, len;
		bool ok;
	} rows[] = {
		{"empty", 100, 0, 0, true},
		{"the longest", 100, 60, 40, true},
		{"one more", 100, 60, 41, false},
		{"the offset alone", 100, 101, 0, false},
		{"the bytes alone", 100, 0, 101, false},
		{"the sum overflows", 100, SIZE_MAX, 2, false},
		{"both overflow", UINT64_MAX, SIZE_MAX, 1, false},
	};
	struct fixture f;

	fixture_init(&f);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		size_t len;
		print_message("# %s\n", rows[i].label);
		atomic_store(&f.ctx.ks->string_max, rows[i].max);
		assert_int_equal(string_check_length(&f.ctx, rows[i].offset, rows[i].len),
				 rows[i].ok);
		char *reply = take_reply(&f.reply, &len);
		assert_int_equal(len > 0, !rows[i].ok);
		mem_free_unsized(reply);
	}
	fixture_deinit(&f);
}

/* --- random operations on a string, in all forms --- */

struct model {
	struct fixture f;
	struct check_random random;
	char bytes[MODEL_MAX];
	size_t len;
};

static uint64_t below(struct model *m, uint64_t bound)
{
	return check_random_below(&m->random, bound);
}

static void step_set(struct model *m)
{
	memset(m->bytes, 0, sizeof(m->bytes));
	m->len = below(m, below(m, 2) ? 100 : MODEL_MAX);
	for (size_t i = 0; i < m->len; i += 1 + below(m, 50))
		m->bytes[i] = (char)below(m, 256);
	fixture_set(&m->f, (struct slice){m->bytes, m->len}, EXPIRE_NEVER);
}

static void step_write(struct model *m)
{
	static char bytes[ROPE_LEAF + 100];
	size_t offset = below(m, below(m, 8) ? m->len + 1 : MODEL_MAX);
	size_t count = below(m, below(m, 3) ? 20 : sizeof(bytes));

	if (count > MODEL_MAX - offset)
		count = MODEL_MAX - offset;
	for (size_t i = 0; i < count; i++)
		bytes[i] = (char)below(m, 256);
	fixture_write(&m->f, offset, (struct slice){bytes, count});
	memcpy(m->bytes + offset, bytes, count);
	if (offset + count > m->len)
		m->len = offset + count;
}

/* Several reads and writes as one change. */
static void step_edit(struct model *m)
{
	struct string_edit edit;
	size_t len = below(m, below(m, 4) ? m->len + 10 : MODEL_MAX);

	if (len > MODEL_MAX)
		len = MODEL_MAX;
	string_edit_begin(&m->f.ctx, 0, fixture_entry(&m->f), len, &edit);
	m->len = len > m->len ? len : m->len;
	for (int i = 0; i < 10 && m->len > 9; i++) {
		char out[9];
		size_t offset = below(m, m->len - 9);
		string_edit_read(&edit, offset, 9, out);
		assert_memory_equal(out, m->bytes + offset, 9);
		out[below(m, 9)]++;
		string_edit_write(&edit, offset, (struct slice){out, 9});
		memcpy(m->bytes + offset, out, 9);
	}
	string_edit_end(&m->f.ctx, 0, &edit);
	fixture_close(&m->f);
}

static void step_read(struct model *m)
{
	size_t offset = below(m, m->len + 1);
	size_t count = below(m, m->len - offset + 1);
	char *out = mem_alloc(count + 1);

	string_read(fixture_entry(&m->f), offset, count, out);
	assert_memory_equal(out, m->bytes + offset, count);
	mem_free(out, count + 1);
	check_reply(&m->f, offset, count, m->bytes);
}

static bool model_bit(const struct model *m, uint64_t at)
{
	return (uint8_t)m->bytes[at / 8] >> (7 - at % 8) & 1;
}

/* Counting and finding, against a loop over the bits. */
static void step_bits(struct model *m)
{
	uint64_t from = below(m, m->len * 8 + 1);
	uint64_t end = from + below(m, below(m, 2) ? 100 : 20000);
	bool bit = below(m, 2);
	uint64_t count = 0;
	int64_t found = -1;

	if (end > m->len * 8)
		end = m->len * 8;
	for (uint64_t at = from; at < end; at++) {
		count += model_bit(m, at);
		if (found < 0 && model_bit(m, at) == bit)
			found = (int64_t)at;
	}
	assert_int_equal(bits_count(fixture_entry(&m->f), from, end), count);
	assert_int_equal(bits_find(fixture_entry(&m->f), bit, from, end), found);
}

static void test_model(void **state)
{
	static struct model m;
	static void (*const steps[])(struct model *) = {step_write, step_write, step_edit,
							step_read,  step_bits,  step_bits};

	m.random = check_random_start();
	fixture_init(&m.f);
	step_set(&m);
	for (int i = 0; i < MODEL_STEPS; i++) {
		if (i % 50 == 49)
			step_set(&m);
		else
			steps[below(&m, COUNT_OF(steps))](&m);
		if (i % 10 == 0)
			check_value(&m.f, m.bytes, m.len);
	}
	check_value(&m.f, m.bytes, m.len);
	fixture_deinit(&m.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_rope_in_place),
		cmocka_unit_test(test_reply_outlives_key),
		cmocka_unit_test(test_edit_drop),
		cmocka_unit_test(test_bits_of_sparse),
		cmocka_unit_test(test_check_length),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
