#include "test/check.h"

#include "test/resp_pieces.h"

#include <string.h>

#define BULK_MAX (512 * 1024 * 1024)

static const struct resp_limits usual = {BULK_MAX, true};
static const struct resp_limits stranger = {BULK_MAX, false};
static const struct resp_limits small = {10, true};

#define PROTOCOL(text) "-ERR Protocol error: " text "\r\n"

/*
 * Streams, and what comes out: each request as an array, the error if there is one. What is not
 * whole gives nothing. Checked against the reference server.
 */
static const struct {
	const char *label;
	const struct resp_limits *limits;
	struct slice stream;
	const char *expected;
} rows[] = {
	{"nothing", &usual, SLICE(""), ""},
	{"a request", &usual, SLICE("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"),
	 "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"},
	{"two", &usual, SLICE("*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPONG\r\n"),
	 "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPONG\r\n"},
	{"empty arguments", &usual, SLICE("*2\r\n$0\r\n\r\n$0\r\n\r\n"),
	 "*2\r\n$0\r\n\r\n$0\r\n\r\n"},
	{"an argument of ten bytes", &usual, SLICE("*1\r\n$10\r\n\r\n\r\n\r\n\r\n\r\n\r\n"),
	 "*1\r\n$10\r\n\r\n\r\n\r\n\r\n\r\n\r\n"},
	{"no arguments", &usual, SLICE("*0\r\n*-1\r\n*-5\r\nPING\r\n"),
	 "*0\r\n*0\r\n*0\r\n*1\r\n$4\r\nPING\r\n"},
	{"not whole: argument", &usual, SLICE("*1\r\n$5\r\nab"), ""},
	{"not whole: its end", &usual, SLICE("*1\r\n$2\r\nab\r"), ""},
	{"not whole: count", &usual, SLICE("*1"), ""},
	{"not whole: count's end", &usual, SLICE("*1\r"), ""},
	{"not whole: length's end", &usual, SLICE("*1\r\n$1\r"), ""},
	{"not whole after a whole one", &usual, SLICE("*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$"),
	 "*1\r\n$4\r\nPING\r\n"},
	{"bytes behind an argument are not read", &usual, SLICE("*1\r\n$4\r\nPINGxyPING\r\n"),
	 "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n"},
	{"nor is the '\\n' of a header", &usual, SLICE("*1\rX$4\rXPING\r\n"),
	 "*1\r\n$4\r\nPING\r\n"},

	{"count: none", &usual, SLICE("*\r\n"), PROTOCOL("invalid multibulk length")},
	{"count: '+'", &usual, SLICE("*+1\r\n"), PROTOCOL("invalid multibulk length")},
	{"count: space", &usual, SLICE("*1 \r\n"), PROTOCOL("invalid multibulk length")},
	{"count: leading zero", &usual, SLICE("*01\r\n$4\r\nPING\r\n"),
	 PROTOCOL("invalid multibulk length")},
	{"count: -0", &usual, SLICE("*-0\r\n"), PROTOCOL("invalid multibulk length")},
	{"count: letters", &usual, SLICE("*x\r\n"), PROTOCOL("invalid multibulk length")},
	{"count: '\\n' alone", &usual, SLICE("*1\n$4\r\nPING\r\n"),
	 PROTOCOL("invalid multibulk length")},
	{"count: the largest", &usual, SLICE("*2147483647\r\n"), ""},
	{"count: too large", &usual, SLICE("*2147483648\r\n"),
	 PROTOCOL("invalid multibulk length")},
	{"count: 2^63", &usual, SLICE("*9223372036854775808\r\n"),
	 PROTOCOL("invalid multibulk length")},
	{"count: 2^64 + 1", &usual, SLICE("*18446744073709551617\r\n"),
	 PROTOCOL("invalid multibulk length")},
	{"count: the smallest", &usual, SLICE("*-9223372036854775808\r\n"), "*0\r\n"},
	{"count: a zero byte", &usual, SLICE("*1\0\r\n"), ""},

	{"length: negative", &usual, SLICE("*3\r\n$-1\r\n"), PROTOCOL("invalid bulk length")},
	{"length: none", &usual, SLICE("*1\r\n$\r\n"), PROTOCOL("invalid bulk length")},
	{"length: '+'", &usual, SLICE("*1\r\n$+4\r\nPING\r\n"), PROTOCOL("invalid bulk length")},
	{"length: space", &usual, SLICE("*1\r\n$ 4\r\nPING\r\n"), PROTOCOL("invalid bulk length")},
	{"length: leading zero", &usual, SLICE("*1\r\n$04\r\nPING\r\n"),
	 PROTOCOL("invalid bulk length")},
	{"length: '\\n' alone", &usual, SLICE("*1\r\n$4\nPING\r\n"),
	 PROTOCOL("invalid bulk length")},
	{"length: the largest", &usual, SLICE("*1\r\n$536870912\r\n"), ""},
	{"length: too large", &usual, SLICE("*1\r\n$536870913\r\n"),
	 PROTOCOL("invalid bulk length")},
	{"length: as configured", &small, SLICE("*1\r\n$10\r\n0123456789\r\n"),
	 "*1\r\n$10\r\n0123456789\r\n"},
	{"length: over that", &small, SLICE("*1\r\n$11\r\n"), PROTOCOL("invalid bulk length")},
	{"length: 2^64 + 4", &usual, SLICE("*1\r\n$18446744073709551620\r\nPING\r\n"),
	 PROTOCOL("invalid bulk length")},
	{"length: a zero byte", &usual, SLICE("*1\r\n$4\0\r\nPING\r\n"), ""},
	{"length: after a good one", &usual, SLICE("PING\r\n*1\r\n$-1\r\nPING\r\n"),
	 "*1\r\n$4\r\nPING\r\n" PROTOCOL("invalid bulk length")},

	{"mark: another letter", &usual, SLICE("*1\r\nx4\r\n"), PROTOCOL("expected '$', got 'x'")},
	{"mark: a request in a request", &usual, SLICE("*2\r\n$4\r\nPING\r\n*x\r\n"),
	 PROTOCOL("expected '$', got '*'")},
	{"mark: empty line", &usual, SLICE("*1\r\n\r\n$4\r\nPING\r\n"),
	 PROTOCOL("expected '$', got ' '")},
	{"mark: '\\n'", &usual, SLICE("*1\r\n\n\r\n"), PROTOCOL("expected '$', got ' '")},
	{"mark: high byte", &usual, SLICE("*1\r\n\xff\r\n"), PROTOCOL("expected '$', got '\xff'")},
	{"mark: judged when the line is whole", &usual, SLICE("*1\r\nx4\r"), ""},
	{"mark: hidden by a zero byte", &usual, SLICE("*1\r\n\0\r\n"), ""},

	{"stranger: ten arguments", &stranger, SLICE("*10\r\n"), ""},
	{"stranger: eleven", &stranger, SLICE("*11\r\n"),
	 PROTOCOL("unauthenticated multibulk length")},
	{"stranger: far too many", &stranger, SLICE("*99999999999\r\n"),
	 PROTOCOL("invalid multibulk length")},
	{"stranger: 16384 bytes", &stranger, SLICE("*1\r\n$16384\r\n"), ""},
	{"stranger: 16385", &stranger, SLICE("*1\r\n$16385\r\n"),
	 PROTOCOL("unauthenticated bulk length")},
	{"stranger: far too long", &stranger, SLICE("*1\r\n$999999999\r\n"),
	 PROTOCOL("invalid bulk length")},
	{"stranger: AUTH", &stranger, SLICE("*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n"),
	 "*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n"},

	{"inline", &usual, SLICE("GET k\r\n"), "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"},
	{"inline: '\\n' alone", &usual, SLICE("\nPING\n"), "*0\r\n*1\r\n$4\r\nPING\r\n"},
	{"inline: blank lines", &usual, SLICE("\r\n   \r\n\r\nPING\r\n"),
	 "*0\r\n*0\r\n*0\r\n*1\r\n$4\r\nPING\r\n"},
	{"inline: not whole", &usual, SLICE("PING\r"), ""},
	{"inline: spaces of all kinds", &usual, SLICE(" \v\fa\tb\rc \r\r\n"),
	 "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"},
	{"inline: '\\v' ends no word", &usual, SLICE("a\vb\r\n"), "*1\r\n$3\r\na\vb\r\n"},
	{"inline: zero byte", &usual, SLICE("PI\0NG\r\nPING\r\n"), ""},
	{"inline: '$' and '*' inside", &usual, SLICE("$4\r\nx *\r\n"),
	 "*1\r\n$2\r\n$4\r\n*2\r\n$1\r\nx\r\n$1\r\n*\r\n"},
	{"inline: quotes", &usual, SLICE("SET k \"a b\" 'c d'\r\n"),
	 "*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\na b\r\n$3\r\nc d\r\n"},
	{"inline: quotes not closed", &usual, SLICE("ECHO \"abc\r\nPING\r\n"),
	 PROTOCOL("unbalanced quotes in request")},
	{"inline: quotes in a later word", &usual, SLICE("ECHO a b 'abc\r\n"),
	 PROTOCOL("unbalanced quotes in request")},
};

static void expect(const struct reply *r, const char *label, const char *expected)
{
	size_t len = strlen(expected);

	if (r->len != len || (len > 0 && memcmp(r->buf, expected, len) != 0))
		fail_msg("%s: '%.*s'", label, (int)r->len, r->len > 0 ? r->buf : "");
}

/* Each row in one piece, in two at every place, and byte by byte. */
static void table(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct slice stream = rows[i].stream;
		size_t ends[256];
		struct reply r;

		assert_true(stream.len < COUNT_OF(ends));
		for (size_t split = 0; split <= stream.len; split++) {
			reply_init(&r, 2);
			pieces_feed(rows[i].limits, stream.ptr, stream.len, &split, 1, &r);
			expect(&r, rows[i].label, rows[i].expected);
			reply_deinit(&r);
			ends[split] = split;
		}
		reply_init(&r, 2);
		pieces_feed(rows[i].limits, stream.ptr, stream.len, ends, stream.len, &r);
		expect(&r, rows[i].label, rows[i].expected);
		reply_deinit(&r);
	}
}

/* `prefix`, then a line of `len` bytes that goes on for ever or ends. */
static void long_line(const char *prefix, char fill, size_t len, const char *last,
		      const char *expected)
{
	size_t size = strlen(prefix) + len + strlen(last);
	char *stream = malloc(size + 1);
	const size_t ends[] = {1, strlen(prefix) + 1, size / 2, size - 1};
	struct reply r;

	memcpy(stream, prefix, strlen(prefix));
	memset(stream + strlen(prefix), fill, len);
	strcpy(stream + strlen(prefix) + len, last);
	for (size_t count = 0; count <= COUNT_OF(ends); count++) {
		reply_init(&r, 2);
		pieces_feed(&usual, stream, size, ends, count, &r);
		expect(&r, prefix, expected);
		reply_deinit(&r);
	}
	free(stream);
}

/* A line may take RESP_INLINE_MAX bytes in front of its end, its mark included. */
static void line_limits(void **state)
{
	const size_t max = RESP_INLINE_MAX;

	long_line("*", '1', max - 1, "", "");
	long_line("*", '1', max, "", PROTOCOL("too big mbulk count string"));
	long_line("*", '1', max - 1, "\r\n", PROTOCOL("invalid multibulk length"));
	long_line("*", '1', max, "\r\n", PROTOCOL("too big mbulk count string"));
	long_line("*1\r\n$", '1', max - 1, "", "");
	long_line("*1\r\n$", '1', max, "", PROTOCOL("too big bulk count string"));
	long_line("*1\r\nx", '1', max, "", PROTOCOL("too big bulk count string"));
	long_line("", 'P', max, "", "");
	long_line("", 'P', max + 1, "", PROTOCOL("too big inline request"));
	long_line("", ' ', max, "\n", "*0\r\n");
	long_line("", ' ', max + 1, "\n", PROTOCOL("too big inline request"));
	/* Zero bytes hide the end of the line, but not for ever. */
	long_line("", '\0', max, "\r", PROTOCOL("too big inline request"));
	long_line("*", '\0', max - 1, "\r", PROTOCOL("too big mbulk count string"));
}

/* Arguments with any bytes, requests of any length, inline ones between them. */
static size_t stream_make(struct check_random *random, struct reply *stream, int requests)
{
	for (int i = 0; i < requests; i++) {
		uint32_t count = check_random_below(random, 20) == 0
					 ? check_random_below(random, 300)
					 : check_random_below(random, 5);

		if (check_random_below(random, 8) == 0) {
			reply_raw(stream, "SET \"a\\x00\" b\r\n", 15);
			continue;
		}
		reply_array(stream, count);
		for (uint32_t k = 0; k < count; k++) {
			char bytes[300];
			size_t len = check_random_below(random, count > 10 ? 8 : sizeof(bytes));

			for (size_t n = 0; n < len; n++)
				bytes[n] = "\r\n*$1a\0\xff"[check_random_below(random, 8)];
			reply_bulk(stream, bytes, len);
		}
	}
	return stream->len;
}

/* In pieces of random sizes; sometimes with a byte that is wrong. */
static void random_pieces(void **state)
{
	struct check_random random = check_random_start();
	int errors = 0;

	for (int round = 0; round < 2000; round++) {
		static size_t ends[20000];
		struct reply stream, whole, pieces;
		size_t len, count = 0, taken;

		reply_init(&stream, 2);
		reply_init(&whole, 2);
		reply_init(&pieces, 2);
		len = stream_make(&random, &stream, 1 + check_random_below(&random, 8));
		if (round % 2 == 0)
			stream.buf[check_random_below(&random, len)] =
				"\r\n*$0x\0"[check_random_below(&random, 7)];
		for (size_t at = 0, most = 1 + check_random_below(&random, 200);;) {
			at += 1 + check_random_below(&random, most);
			if (at >= len || count == COUNT_OF(ends))
				break;
			ends[count++] = at;
		}
		taken = pieces_feed(&usual, stream.buf, len, NULL, 0, &whole);
		assert_int_equal(pieces_feed(&usual, stream.buf, len, ends, count, &pieces), taken);
		assert_int_equal(pieces.len, whole.len);
		if (whole.len > 0)
			assert_memory_equal(pieces.buf, whole.buf, whole.len);
		if (round % 2 == 1)
			assert_int_equal(taken, len);
		errors += whole.errors;
		reply_deinit(&stream);
		reply_deinit(&whole);
		reply_deinit(&pieces);
	}
	assert_true(errors > 10);
}

/* What was understood once is not gone through again: the work is that of the new bytes. */
static void long_request_in_pieces(void **state)
{
	const uint32_t count = 100000;
	const size_t piece = 100;
	struct resp_parser parser = {0};
	struct resp_request request;
	enum resp_result result;
	struct args args = {0};
	struct reply stream;
	size_t arrived = 0;

	reply_init(&stream, 2);
	reply_array(&stream, count);
	for (uint32_t i = 0; i < count; i++)
		reply_bulk_int(&stream, i);
	do {
		arrived = arrived + piece < stream.len ? arrived + piece : stream.len;
		result = resp_parse(&parser, &usual, stream.buf, arrived, &args, &request);
		if (result == RESP_MORE) {
			/* All but one argument at most, and no memory for those to come. */
			assert_true(arrived - parser.at < sizeof("$5\r\n12345\r\n"));
			assert_true(parser.left > 0);
			assert_int_equal(args.count, 0);
			assert_true(args.cap <= count);
		}
	} while (result == RESP_MORE);
	assert_int_equal(result, RESP_REQUEST);
	assert_int_equal(request.used, stream.len);
	assert_int_equal(args.count, count);
	assert_true(slice_equal(args.v[0], SLICE("0")));
	assert_true(slice_equal(args.v[count - 1], SLICE("99999")));
	args_deinit(&args);
	reply_deinit(&stream);
}

/* The caller learns how much to wait for, so that one huge argument costs a call or two. */
static void says_what_it_needs(void **state)
{
	static const struct {
		const char *stream;
		size_t need;
	} needs[] = {
		{"", 1},
		{"*", 2},
		{"*3\r", 4},
		{"*3\r\n", 5},
		{"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$400000000\r\n", 32 + 400000000 + 2},
		{"*1\r\n$10\r\nabc", 9 + 10 + 2},
		{"PIN", 4},
	};

	for (size_t i = 0; i < COUNT_OF(needs); i++) {
		struct resp_parser parser = {0};
		struct resp_request request;
		struct args args = {0};

		assert_int_equal(resp_parse(&parser, &usual, needs[i].stream,
					    strlen(needs[i].stream), &args, &request),
				 RESP_MORE);
		assert_int_equal(request.need, needs[i].need);
		assert_null(request.scratch);
		resp_parser_deinit(&parser);
		args_deinit(&args);
	}
}

/* A count of two thousand million costs nothing before the arguments are there. */
static void announced_is_not_allocated(void **state)
{
	static const char *const streams[] = {
		"*2147483647\r\n$1\r\na\r\n",
		/* 18 bytes cannot be four arguments. */
		"*4\r\n$1\r\na\r\n$9\r\n1234567",
	};

	for (size_t i = 0; i < COUNT_OF(streams); i++) {
		struct resp_parser parser = {0};
		struct resp_request request;
		struct args args = {0};

		assert_int_equal(resp_parse(&parser, &usual, streams[i], strlen(streams[i]), &args,
					    &request),
				 RESP_MORE);
		assert_int_equal(args.cap, 0);
		args_deinit(&args);
	}
}

static void appends(void **state)
{
	static const char stream[] = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\nSET a b\r\n*1\r\n$-1\r\n";
	struct resp_parser parser = {0};
	struct resp_request request;
	struct args args = {0};
	size_t at;

	args_push(&args, SLICE("mine"));
	resp_parse(&parser, &usual, stream, sizeof(stream) - 1, &args, &request);
	at = request.used;
	resp_parse(&parser, &usual, stream + at, sizeof(stream) - 1 - at, &args, &request);
	at += request.used;
	assert_int_equal(resp_parse(&parser, &usual, stream + at, sizeof(stream) - 1 - at, &args,
				    &request),
			 RESP_ERROR);
	assert_int_equal(args.count, 6);
	assert_true(slice_equal(args.v[0], SLICE("mine")));
	assert_true(slice_equal(args.v[1], SLICE("GET")));
	assert_true(slice_equal(args.v[5], SLICE("b")));
	/* Plain words stay where they are. */
	assert_true(args.v[5].ptr > stream && args.v[5].ptr < stream + sizeof(stream));
	args_deinit(&args);
}

/* The words of a line; NULL when its quotes don't balance. */
static const struct {
	const char *label;
	struct slice line;
	const char *expected;
} lines[] = {
	{"empty", SLICE(""), "*0\r\n"},
	{"blank", SLICE(" \t\r\n"), "*0\r\n"},
	{"words", SLICE("save 900 1"), "*3\r\n$4\r\nsave\r\n$3\r\n900\r\n$1\r\n1\r\n"},
	{"empty word", SLICE("save \"\""), "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"},
	{"empty word, single", SLICE("''"), "*1\r\n$0\r\n\r\n"},
	{"escapes", SLICE("\"\\n\\r\\t\\b\\a\\\"\\\\\\q\""), "*1\r\n$8\r\n\n\r\t\b\a\"\\q\r\n"},
	{"hex", SLICE("\"\\x41\\xfF\""), "*1\r\n$2\r\nA\xff\r\n"},
	{"not quite hex", SLICE("\"\\x4g\\x4\""), "*1\r\n$5\r\nx4gx4\r\n"},
	{"hex cut off", SLICE("\"\\x4"), NULL},
	{"single quotes", SLICE("'a\\'b\\n\\\\\"'"), "*1\r\n$8\r\na'b\\n\\\\\"\r\n"},
	{"quote in a word", SLICE("a\"b c\" d"), "*2\r\n$4\r\nab c\r\n$1\r\nd\r\n"},
	{"word behind a quote", SLICE("\"a\"b"), NULL},
	{"quote behind a quote", SLICE("'a''b'"), NULL},
	{"space behind a quote", SLICE("\"a\"\vb"), "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
	{"escape outside quotes", SLICE("a\\nb"), "*1\r\n$4\r\na\\nb\r\n"},
	{"escaped quote outside quotes", SLICE("\\\"a"), NULL},
	{"not closed", SLICE("x \"abc"), NULL},
	{"not closed, single", SLICE("x 'abc"), NULL},
	{"'\\' at the end", SLICE("\"a\\"), NULL},
	{"escaped closing quote", SLICE("\"a\\\""), NULL},
	{"the line ends at a zero", SLICE("a b\0 \"c"), "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
	{"a zero in quotes", SLICE("\"a\0\""), NULL},
};

static void splits_lines(void **state)
{
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		struct args args = {0};
		char *scratch;
		struct reply r;
		bool good;

		reply_init(&r, 2);
		good = args_split(lines[i].line.ptr, lines[i].line.len, &args, &scratch);
		if (good != (lines[i].expected != NULL))
			fail_msg("%s", lines[i].label);
		if (good) {
			pieces_write(&r, &args);
			expect(&r, lines[i].label, lines[i].expected);
		} else {
			assert_int_equal(args.count, 0);
			assert_null(scratch);
		}
		mem_free_unsized(scratch);
		args_deinit(&args);
		reply_deinit(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(line_limits),
		cmocka_unit_test(random_pieces),
		cmocka_unit_test(long_request_in_pieces),
		cmocka_unit_test(says_what_it_needs),
		cmocka_unit_test(announced_is_not_allocated),
		cmocka_unit_test(appends),
		cmocka_unit_test(splits_lines),
	};

	return cmocka_run_group_tests_name("resp", tests, NULL, NULL);
}
