/*
 * Writing replies.
 *
 * Every verb asks for the most room it can need, writes behind r->buf + r->len, and moves r->len.
 * Growth doubles, in steps of the allocator's classes. What RESP2 and RESP3 call differently is one
 * character of a header: the verbs hand both to aggregate() and text(), and nothing else branches.
 */
#include "proto/reply.h"

#include "proto/mem.h"
#include "proto/number.h"

#include <assert.h>
#include <stdio.h>

#define LINE_END      "\r\n"
#define LINE_END_SIZE 2
/* A type, a number, a line end. */
#define HEADER_MAX (1 + NUMBER_TEXT_MAX + LINE_END_SIZE)
/* The first buffer: a status, an integer or a small value fits. */
#define BUF_MIN  64
#define PINS_MIN 4
/* What reply_later() leaves free: the header of up to nine elements, as most turn out to have. */
#define LATER_SIZE 4
/* Formatted texts up to here are made on the stack. */
#define FORMAT_STACK 512

const char error_syntax[] = "ERR syntax error";
const char error_wrong_type[] = "WRONGTYPE Operation against a key holding the wrong kind of value";
const char error_no_key[] = "ERR no such key";
const char error_not_integer[] = "ERR value is not an integer or out of range";
const char error_not_float[] = "ERR value is not a valid float";
const char error_range[] = "ERR index out of range";
const char error_same_object[] = "ERR source and destination objects are the same";
const char error_string_max[] = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

void reply_init(struct reply *r, uint8_t resp)
{
	reply_init_in(r, resp, NULL, 0);
}

void reply_init_in(struct reply *r, uint8_t resp, char *storage, size_t size)
{
	assert(resp == 2 || resp == 3);
	*r = (struct reply){.buf = storage, .cap = size, .resp = resp, .borrowed = storage != NULL};
}

static void buf_free(struct reply *r)
{
	if (!r->borrowed)
		mem_free(r->buf, r->cap);
	r->buf = NULL;
	r->cap = 0;
	r->borrowed = false;
}

static void pins_release(struct reply *r, uint32_t keep)
{
	while (r->pin_count > keep) {
		struct reply_pin *pin = &r->pins[--r->pin_count];

		pin->release(pin->owner);
	}
}

static void pins_free(struct reply *r)
{
	mem_free(r->pins, r->pin_cap * sizeof(*r->pins));
	r->pins = NULL;
	r->pin_cap = 0;
}

void reply_deinit(struct reply *r)
{
	reply_reset(r, 0);
	buf_free(r);
}

void reply_reset(struct reply *r, size_t keep)
{
	pins_release(r, 0);
	pins_free(r);
	r->len = 0;
	r->errors = 0;
	r->later = 0;
	r->code[0] = '\0';
	if (r->cap > keep && !r->borrowed)
		buf_free(r);
}

void reply_rollback(struct reply *r, struct reply_mark mark)
{
	assert(mark.len <= r->len && mark.pin_count <= r->pin_count);
	pins_release(r, mark.pin_count);
	r->len = mark.len;
	r->errors = mark.errors;
	r->later = mark.later;
}

char *reply_grow(struct reply *r, size_t n)
{
	size_t least = r->cap * 2 > BUF_MIN ? r->cap * 2 : BUF_MIN;
	size_t cap;

	assert(n < SIZE_MAX / 2 - r->len);
	if (r->cap - r->len >= n)
		return r->buf + r->len;
	cap = mem_class(r->len + n > least ? r->len + n : least);
	if (r->borrowed) {
		char *buf = mem_alloc(cap);

		memcpy(buf, r->buf, r->len);
		r->buf = buf;
		r->borrowed = false;
	} else {
		r->buf = mem_realloc(r->buf, cap);
	}
	r->cap = cap;
	return r->buf + r->len;
}

static inline char *put(char *p, const char *bytes, size_t len)
{
	memcpy(p, bytes, len);
	return p + len;
}

static inline char *put_line_end(char *p)
{
	return put(p, LINE_END, LINE_END_SIZE);
}

/* "$12\r\n"; at most HEADER_MAX bytes. */
static inline char *put_header(char *p, char type, uint64_t n)
{
	*p++ = type;
	return put_line_end(p + number_format_unsigned(p, n));
}

/* "<type>text\r\n" */
static inline void line(struct reply *r, char type, const char *text, size_t len)
{
	char *p = reply_room(r, 1 + len + LINE_END_SIZE);

	*p++ = type;
	put_line_end(put(p, text, len));
	r->len += 1 + len + LINE_END_SIZE;
}

/* A header of RESP3, and what RESP2 has instead. */
static inline void aggregate(struct reply *r, char type3, char type2, size_t n)
{
	char *p = reply_room(r, HEADER_MAX);

	r->len += put_header(p, r->resp == 3 ? type3 : type2, n) - p;
}

/* A line of text in RESP3, a bulk string in RESP2. */
static void text_or_bulk(struct reply *r, char type3, const char *text, size_t len)
{
	if (r->resp == 3)
		line(r, type3, text, len);
	else
		reply_bulk(r, text, len);
}

void reply_raw(struct reply *r, const char *bytes, size_t len)
{
	if (len > 0)
		put(reply_room(r, len), bytes, len);
	r->len += len;
}

static void pins_reserve(struct reply *r, uint32_t more)
{
	uint32_t cap = r->pin_cap * 2 > PINS_MIN ? r->pin_cap * 2 : PINS_MIN;

	assert(more <= UINT32_MAX / 2 - r->pin_count);
	if (r->pin_cap - r->pin_count >= more)
		return;
	if (cap < r->pin_count + more)
		cap = r->pin_count + more;
	r->pins = mem_realloc(r->pins, cap * sizeof(*r->pins));
	r->pin_cap = cap;
}

static void pins_move(struct reply *dst, struct reply *src)
{
	if (src->pin_count > 0)
		pins_reserve(dst, src->pin_count);
	for (uint32_t i = 0; i < src->pin_count; i++) {
		struct reply_pin *pin = &dst->pins[dst->pin_count++];

		*pin = src->pins[i];
		pin->at += dst->len;
	}
	src->pin_count = 0;
}

void reply_move(struct reply *dst, struct reply *src)
{
	assert(dst != src);
	pins_move(dst, src);
	if (dst->len == 0 && !dst->borrowed && !src->borrowed) {
		struct reply was = *dst;

		dst->buf = src->buf;
		dst->len = src->len;
		dst->cap = src->cap;
		src->buf = was.buf;
		src->cap = was.cap;
	} else {
		reply_raw(dst, src->buf, src->len);
	}
	if (src->errors > 0)
		memcpy(dst->code, src->code, sizeof(dst->code));
	dst->errors += src->errors;
	reply_reset(src, src->cap);
}

/* A buffer that several pinned pieces stand in. */
struct sealed {
	uint32_t refs;
	char *buf;
	size_t cap;
};

static void sealed_unref(void *owner)
{
	struct sealed *sealed = owner;

	if (--sealed->refs > 0)
		return;
	mem_free(sealed->buf, sealed->cap);
	mem_free(sealed, sizeof(*sealed));
}

static void sealed_pin(struct reply *r, struct sealed *sealed, size_t from, size_t to)
{
	struct slice bytes = {sealed->buf + from, to - from};

	if (from == to)
		return;
	sealed->refs++;
	r->pins[r->pin_count++] = (struct reply_pin){0, bytes, sealed_unref, sealed};
}

/*
 * The pins that stand behind bytes of the buffer are put in again, with pieces of it before each.
 */
void reply_seal_full(struct reply *r)
{
	assert(r->later == 0);
	if (r->len == 0 || r->borrowed)
		return;
	struct sealed *sealed = mem_alloc(sizeof(*sealed));
	uint32_t first = r->pin_count, count = r->pin_count;
	while (first > 0 && r->pins[first - 1].at > 0)
		first--;
	count -= first;
	pins_reserve(r, 2 * count + 1);
	struct reply_pin *old = r->pins + first + count + 1;
	memmove(old, r->pins + first, count * sizeof(*old));
	*sealed = (struct sealed){.buf = r->buf, .cap = r->cap};
	r->pin_count = first;
	size_t at = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct reply_pin pin = old[i];
		sealed_pin(r, sealed, at, pin.at);
		at = pin.at;
		pin.at = 0;
		r->pins[r->pin_count++] = pin;
	}
	sealed_pin(r, sealed, at, r->len);
	r->buf = NULL;
	r->len = r->cap = 0;
}

void reply_status(struct reply *r, const char *text)
{
	line(r, '+', text, strlen(text));
}

void reply_ok(struct reply *r)
{
	memcpy(reply_room(r, 5), "+OK\r\n", 5);
	r->len += 5;
}

/* Notes the first word of an error; "ERR" when it is no code. */
static void code_note(struct reply *r, const char *text, size_t len)
{
	const char *space = memchr(text, ' ', len < sizeof(r->code) ? len : sizeof(r->code));
	struct slice code = space != NULL ? (struct slice){text, space - text} : SLICE("ERR");

	memcpy(r->code, code.ptr, code.len);
	r->code[code.len] = '\0';
	r->errors++;
}

static inline bool ends_line(char c)
{
	return c == '\r' || c == '\n';
}

static void error(struct reply *r, const char *text, size_t len)
{
	char *p;

	while (len > 0 && ends_line(text[len - 1]))
		len--;
	code_note(r, text, len);
	line(r, '-', text, len);
	p = r->buf + r->len - LINE_END_SIZE - len;
	for (size_t i = 0; i < len; i++)
		if (ends_line(p[i]))
			p[i] = ' ';
}

void reply_error(struct reply *r, const char *text)
{
	error(r, text, strlen(text));
}

/* Formats and hands the text to `verb`; the heap is for long ones. */
static void formatted(struct reply *r, void (*verb)(struct reply *, const char *, size_t),
		      const char *format, va_list list)
{
	char stack[FORMAT_STACK];
	char *text = stack;
	va_list again;
	int len;

	va_copy(again, list);
	len = vsnprintf(stack, sizeof(stack), format, list);
	assert(len >= 0);
	if ((size_t)len >= sizeof(stack)) {
		text = mem_alloc((size_t)len + 1);
		vsnprintf(text, (size_t)len + 1, format, again);
	}
	va_end(again);
	verb(r, text, len);
	if (text != stack)
		mem_free(text, (size_t)len + 1);
}

void reply_errorf(struct reply *r, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	formatted(r, error, format, list);
	va_end(list);
}

void reply_int(struct reply *r, int64_t n)
{
	char *p = reply_room(r, HEADER_MAX);

	*p = ':';
	r->len += put_line_end(p + 1 + number_format(p + 1, n)) - p;
}

void reply_bulk(struct reply *r, const char *bytes, size_t len)
{
	char *start = reply_room(r, HEADER_MAX + len + LINE_END_SIZE);
	char *p = put_header(start, '$', len);

	if (len > 0)
		p = put(p, bytes, len);
	r->len += put_line_end(p) - start;
}

void reply_bulk_text(struct reply *r, const char *text)
{
	reply_bulk(r, text, strlen(text));
}

void reply_bulkf(struct reply *r, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	formatted(r, reply_bulk, format, list);
	va_end(list);
}

void reply_bulk_int(struct reply *r, int64_t n)
{
	char text[NUMBER_TEXT_MAX];

	reply_bulk(r, text, number_format(text, n));
}

void reply_bulk_pin(struct reply *r, struct slice bytes, void (*release)(void *owner), void *owner)
{
	aggregate(r, '$', '$', bytes.len);
	pins_reserve(r, 1);
	r->pins[r->pin_count++] = (struct reply_pin){r->len, bytes, release, owner};
	reply_raw(r, LINE_END, LINE_END_SIZE);
}

static inline void nothing(struct reply *r, const char *resp2)
{
	reply_raw(r, r->resp == 3 ? "_\r\n" : resp2, r->resp == 3 ? 3 : 5);
}

void reply_null(struct reply *r)
{
	nothing(r, "$-1\r\n");
}

void reply_null_array(struct reply *r)
{
	nothing(r, "*-1\r\n");
}

/* A map in RESP2 is an array of keys and values in turn. */
static inline size_t map_count(const struct reply *r, size_t n)
{
	return r->resp == 3 ? n : n * 2;
}

void reply_array(struct reply *r, size_t n)
{
	aggregate(r, '*', '*', n);
}

void reply_map(struct reply *r, size_t n)
{
	aggregate(r, '%', '*', map_count(r, n));
}

void reply_set(struct reply *r, size_t n)
{
	aggregate(r, '~', '*', n);
}

void reply_push(struct reply *r, size_t n)
{
	aggregate(r, '>', '*', n);
}

void reply_attribute(struct reply *r, size_t n)
{
	assert(r->resp == 3);
	aggregate(r, '|', '|', n);
}

void reply_double(struct reply *r, double d)
{
	char text[NUMBER_DOUBLE_TEXT_MAX];

	text_or_bulk(r, ',', text, number_format_double(text, d));
}

void reply_bulk_long_double(struct reply *r, long double d)
{
	char text[NUMBER_DOUBLE_TEXT_MAX];

	reply_bulk(r, text, number_format_long_double(text, d));
}

void reply_long_double(struct reply *r, long double d)
{
	char text[NUMBER_DOUBLE_TEXT_MAX];

	text_or_bulk(r, ',', text, number_format_long_double(text, d));
}

void reply_bool(struct reply *r, bool b)
{
	if (r->resp == 3)
		line(r, '#', b ? "t" : "f", 1);
	else
		reply_int(r, b);
}

void reply_big_number(struct reply *r, struct slice digits)
{
	text_or_bulk(r, '(', digits.ptr, digits.len);
}

void reply_verbatim(struct reply *r, const char *format, struct slice text)
{
	assert(strlen(format) == 3);
	if (r->resp == 2) {
		reply_bulk_slice(r, text);
		return;
	}
	aggregate(r, '=', '=', strlen("txt:") + text.len);
	reply_raw(r, format, 3);
	reply_raw(r, ":", 1);
	reply_raw(r, text.ptr, text.len);
	reply_raw(r, LINE_END, LINE_END_SIZE);
}

size_t reply_later(struct reply *r)
{
	size_t at = r->len;

	memset(reply_room(r, LATER_SIZE), '?', LATER_SIZE);
	r->len += LATER_SIZE;
	r->later++;
	return at;
}

/* Moves what stands behind the reserved room so that the header fits, and writes it. */
static void later_fill(struct reply *r, size_t at, char type, size_t n)
{
	char header[HEADER_MAX];
	size_t size = put_header(header, type, n) - header;
	size_t more = size - LATER_SIZE;

	assert(at + LATER_SIZE <= r->len && r->buf[at] == '?' && r->later > 0);
	r->later--;
	if (more > 0) {
		reply_room(r, more);
		memmove(r->buf + at + size, r->buf + at + LATER_SIZE, r->len - at - LATER_SIZE);
		r->len += more;
		for (uint32_t i = r->pin_count; i > 0 && r->pins[i - 1].at > at; i--)
			r->pins[i - 1].at += more;
	}
	memcpy(r->buf + at, header, size);
}

void reply_array_at(struct reply *r, size_t at, size_t n)
{
	later_fill(r, at, '*', n);
}

void reply_map_at(struct reply *r, size_t at, size_t n)
{
	later_fill(r, at, r->resp == 3 ? '%' : '*', map_count(r, n));
}

void reply_set_at(struct reply *r, size_t at, size_t n)
{
	later_fill(r, at, r->resp == 3 ? '~' : '*', n);
}
