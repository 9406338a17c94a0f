#include "test/check.h"

#include "proto/reply.h"

#include <math.h>
#include <string.h>

static void expect(const struct reply *r, const char *label, const char *expected)
{
	size_t len = strlen(expected);

	if (r->len != len || memcmp(r->buf, expected, len) != 0)
		fail_msg("%s: '%.*s'", label, (int)r->len, r->buf);
}

static void do_status(struct reply *r)
{
	reply_status(r, "PONG");
}
static void do_error(struct reply *r)
{
	reply_error(r, "ERR line\r\nends\r\n");
}
static void do_errorf(struct reply *r)
{
	reply_errorf(r, "WRONGPASS %s %d", "no\n", 7);
}
static void do_int(struct reply *r)
{
	reply_int(r, INT64_MIN);
}
static void do_bulk(struct reply *r)
{
	reply_bulk(r, "hello world", 11);
}
static void do_bulk_empty(struct reply *r)
{
	reply_bulk(r, NULL, 0);
}
static void do_bulk_text(struct reply *r)
{
	reply_bulk_text(r, "x");
}
static void do_bulkf(struct reply *r)
{
	reply_bulkf(r, "%s=%d", "a", 1);
}
static void do_bulk_int(struct reply *r)
{
	reply_bulk_int(r, -12);
}
static void do_array(struct reply *r)
{
	reply_array(r, 1000);
}
static void do_map(struct reply *r)
{
	reply_map(r, 2);
}
static void do_set(struct reply *r)
{
	reply_set(r, 2);
}
static void do_push(struct reply *r)
{
	reply_push(r, 3);
}
static void do_double(struct reply *r)
{
	reply_double(r, 1.5);
}
static void do_double_inf(struct reply *r)
{
	reply_double(r, -INFINITY);
}
static void do_long_double(struct reply *r)
{
	reply_bulk_long_double(r, 10.5L);
}
static void do_true(struct reply *r)
{
	reply_bool(r, true);
}
static void do_false(struct reply *r)
{
	reply_bool(r, false);
}
static void do_big_number(struct reply *r)
{
	reply_big_number(r, SLICE("123456789012345678901234567890"));
}
static void do_verbatim(struct reply *r)
{
	reply_verbatim(r, "txt", SLICE("some text"));
}

/* The verbs, and what clients of either protocol see. */
static const struct {
	const char *label;
	void (*run)(struct reply *r);
	const char *resp2;
	const char *resp3; /* NULL: the same */
} verbs[] = {
	{"status", do_status, "+PONG\r\n", NULL},
	{"ok", reply_ok, "+OK\r\n", NULL},
	{"error", do_error, "-ERR line  ends\r\n", NULL},
	{"errorf", do_errorf, "-WRONGPASS no  7\r\n", NULL},
	{"int", do_int, ":-9223372036854775808\r\n", NULL},
	{"bulk", do_bulk, "$11\r\nhello world\r\n", NULL},
	{"empty bulk", do_bulk_empty, "$0\r\n\r\n", NULL},
	{"bulk text", do_bulk_text, "$1\r\nx\r\n", NULL},
	{"bulkf", do_bulkf, "$3\r\na=1\r\n", NULL},
	{"bulk int", do_bulk_int, "$3\r\n-12\r\n", NULL},
	{"null", reply_null, "$-1\r\n", "_\r\n"},
	{"null array", reply_null_array, "*-1\r\n", "_\r\n"},
	{"array", do_array, "*1000\r\n", NULL},
	{"map", do_map, "*4\r\n", "%2\r\n"},
	{"set", do_set, "*2\r\n", "~2\r\n"},
	{"push", do_push, "*3\r\n", ">3\r\n"},
	{"double", do_double, "$3\r\n1.5\r\n", ",1.5\r\n"},
	{"double inf", do_double_inf, "$4\r\n-inf\r\n", ",-inf\r\n"},
	{"long double", do_long_double, "$4\r\n10.5\r\n", NULL},
	{"true", do_true, ":1\r\n", "#t\r\n"},
	{"false", do_false, ":0\r\n", "#f\r\n"},
	{"big number", do_big_number, "$30\r\n123456789012345678901234567890\r\n",
	 "(123456789012345678901234567890\r\n"},
	{"verbatim", do_verbatim, "$9\r\nsome text\r\n", "=13\r\ntxt:some text\r\n"},
};

static void says_it_in_both(void **state)
{
	for (size_t i = 0; i < COUNT_OF(verbs); i++)
		for (uint8_t resp = 2; resp <= 3; resp++) {
			struct reply r;

			reply_init(&r, resp);
			verbs[i].run(&r);
			expect(&r, verbs[i].label,
			       resp == 3 && verbs[i].resp3 != NULL ? verbs[i].resp3
								   : verbs[i].resp2);
			reply_deinit(&r);
		}
}

static void attribute(void **state)
{
	struct reply r;

	reply_init(&r, 3);
	reply_attribute(&r, 1);
	expect(&r, "attribute", "|1\r\n");
	reply_deinit(&r);
}

static void notes_errors(void **state)
{
	static const struct {
		const char *text;
		const char *code;
	} rows[] = {
		{"ERR no such key", "ERR"},
		{"WRONGTYPE Operation", "WRONGTYPE"},
		{"AN_ERROR_CODE_23_LETTER it fits", "AN_ERROR_CODE_23_LETTER"},
		{"AN_ERROR_CODE_24_LETTERS it does not", "ERR"},
		{"NOSPACE", "ERR"},
	};
	struct reply r;

	reply_init(&r, 2);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		reply_error(&r, rows[i].text);
		assert_string_equal(r.code, rows[i].code);
		assert_int_equal(r.errors, i + 1);
	}
	reply_errorf(&r, "ERR %0600d", 0);
	assert_int_equal(r.errors, COUNT_OF(rows) + 1);
	assert_memory_equal(r.buf + r.len - 4, "00\r\n", 4);
	reply_reset(&r, 0);
	assert_int_equal(r.errors, 0);
	assert_string_equal(r.code, "");
	reply_deinit(&r);
}

/* Grows out of storage of every size, which stays as it is behind its end. */
static void grows_out_of_storage(void **state)
{
	static const char expected[] = "+OK\r\n:12345\r\n$10\r\nabcdefghij\r\n*-1\r\n";

	for (size_t size = 0; size <= 64; size++) {
		char *storage = malloc(size > 0 ? size : 1);
		struct reply r;

		reply_init_in(&r, 2, storage, size);
		reply_ok(&r);
		reply_int(&r, 12345);
		reply_bulk(&r, "abcdefghij", 10);
		reply_null_array(&r);
		expect(&r, "storage", expected);
		reply_deinit(&r);
		free(storage);
	}
}

static void grows_large(void **state)
{
	struct reply r;
	size_t size = 0;

	reply_init(&r, 2);
	for (int i = 0; i < 20000; i++) {
		reply_bulk_int(&r, i);
		size += 6 + (i >= 10) + (i >= 100) + (i >= 1000) + (i >= 10000);
	}
	/* "$n\r\n...\r\n" */
	assert_int_equal(r.len, size + 20000);
	assert_memory_equal(r.buf, "$1\r\n0\r\n$1\r\n1\r\n", 14);
	assert_memory_equal(r.buf + r.len - 11, "$5\r\n19999\r\n", 11);
	reply_reset(&r, 10);
	assert_int_equal(r.cap, 0);
	reply_ok(&r);
	reply_reset(&r, 4096);
	assert_true(r.cap > 0);
	assert_int_equal(r.len, 0);
	reply_deinit(&r);
}

static void count_release(void *owner)
{
	++*(int *)owner;
}

/* The reply as a client sees it. */
static char *sent(const struct reply *r)
{
	char *text = malloc(reply_size(r) + 1);
	char *p = text;
	size_t at = 0;

	for (uint32_t i = 0; i < r->pin_count; i++) {
		const struct reply_pin *pin = &r->pins[i];

		assert_true(pin->at >= at && pin->at <= r->len);
		p = mempcpy(p, r->buf + at, pin->at - at);
		p = mempcpy(p, pin->bytes.ptr, pin->bytes.len);
		at = pin->at;
	}
	p = mempcpy(p, r->buf + at, r->len - at);
	*p = '\0';
	assert_int_equal(p - text, reply_size(r));
	return text;
}

static void expect_sent(const struct reply *r, const char *expected)
{
	char *text = sent(r);

	assert_string_equal(text, expected);
	free(text);
}

static void pins(void **state)
{
	int released[10] = {0};
	struct reply_mark mark;
	struct reply r;

	reply_init(&r, 2);
	reply_ok(&r);
	reply_bulk_pin(&r, SLICE("first"), count_release, &released[0]);
	mark = reply_mark(&r);
	for (int i = 1; i < 10; i++)
		reply_bulk_pin(&r, SLICE("x"), count_release, &released[i]);
	reply_error(&r, "ERR no");
	reply_rollback(&r, mark);
	assert_int_equal(r.errors, 0);
	assert_int_equal(released[0], 0);
	for (int i = 1; i < 10; i++)
		assert_int_equal(released[i], 1);
	reply_bulk_pin(&r, SLICE("second"), count_release, &released[1]);
	expect_sent(&r, "+OK\r\n$5\r\nfirst\r\n$6\r\nsecond\r\n");
	reply_reset(&r, 100);
	assert_int_equal(released[0], 1);
	assert_int_equal(released[1], 2);
	reply_bulk_pin(&r, SLICE("third"), count_release, &released[2]);
	reply_deinit(&r);
	assert_int_equal(released[2], 2);
}

/* Into an empty reply, into one with content, out of storage and into it. */
static void moves(void **state)
{
	for (int row = 0; row < 8; row++) {
		char dst_storage[8], src_storage[8];
		struct reply dst, src;
		int released = 0;

		reply_init_in(&dst, 2, row & 1 ? dst_storage : NULL, row & 1 ? 8 : 0);
		reply_init_in(&src, 2, row & 2 ? src_storage : NULL, row & 2 ? 8 : 0);
		if (row & 4)
			reply_bulk_pin(&dst, SLICE("before"), count_release, &released);
		reply_ok(&src);
		reply_bulk_pin(&src, SLICE("pin"), count_release, &released);
		reply_error(&src, "NO way");
		reply_move(&dst, &src);
		expect_sent(&dst, row & 4 ? "$6\r\nbefore\r\n+OK\r\n$3\r\npin\r\n-NO way\r\n"
					  : "+OK\r\n$3\r\npin\r\n-NO way\r\n");
		assert_int_equal(dst.errors, 1);
		assert_string_equal(dst.code, "NO");
		assert_int_equal(src.len, 0);
		assert_int_equal(src.pin_count, 0);
		assert_int_equal(src.errors, 0);
		assert_int_equal(released, 0);
		/* Both go on being of use. */
		reply_ok(&src);
		expect(&src, "source", "+OK\r\n");
		reply_move(&dst, &src);
		reply_move(&dst, &src);
		reply_deinit(&src);
		reply_deinit(&dst);
		assert_int_equal(released, row & 4 ? 2 : 1);
	}
}

static void later(void **state)
{
	for (uint8_t resp = 2; resp <= 3; resp++) {
		int released = 0;
		size_t outer, inner;
		struct reply r;

		reply_init(&r, resp);
		reply_bulk_pin(&r, SLICE("before"), count_release, &released);
		outer = reply_later(&r);
		reply_int(&r, 1);
		inner = reply_later(&r);
		reply_map_at(&r, inner, 0);
		inner = reply_later(&r);
		reply_bulk_pin(&r, SLICE("inside"), count_release, &released);
		reply_set_at(&r, inner, 12345);
		reply_ok(&r);
		reply_array_at(&r, outer, 10);
		expect_sent(&r, resp == 2 ? "$6\r\nbefore\r\n*10\r\n:1\r\n*0\r\n*12345\r\n"
					    "$6\r\ninside\r\n+OK\r\n"
					  : "$6\r\nbefore\r\n*10\r\n:1\r\n%0\r\n~12345\r\n"
					    "$6\r\ninside\r\n+OK\r\n");
		reply_deinit(&r);
	}
}

/* Every number of digits that a header can have. */
static void later_sizes(void **state)
{
	size_t n = 0;

	for (int digits = 1; digits <= 19; digits++, n = n * 10 + 9) {
		char expected[64];
		struct reply r;
		size_t at;

		reply_init(&r, 2);
		at = reply_later(&r);
		reply_ok(&r);
		reply_array_at(&r, at, n);
		snprintf(expected, sizeof(expected), "*%zu\r\n+OK\r\n", n);
		expect(&r, "header", expected);
		reply_deinit(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_it_in_both), cmocka_unit_test(attribute),
		cmocka_unit_test(notes_errors),    cmocka_unit_test(grows_out_of_storage),
		cmocka_unit_test(grows_large),     cmocka_unit_test(pins),
		cmocka_unit_test(moves),           cmocka_unit_test(later),
		cmocka_unit_test(later_sizes),
	};

	return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
