/*
 * Listpacks (listpack.h): one reader of an element's first bytes (head_of), one writer of elements
 * (item_write), and one change (open_gap) that all others are made of.
 */
#include "shard/listpack.h"

#include <assert.h>

#define COUNT_UNKNOWN UINT16_MAX
#define END_BYTE      0xff
#define COUNT_AT      4

/* The first bytes of elements: the fixed bits of each form. */
#define NUMBER_7_MAX  127
#define TEXT_6_MAX    63
#define TEXT_12_MAX   4095
#define NUMBER_13_MAX 4095

enum element_byte {
	BYTE_TEXT_6 = 0x80,
	BYTE_NUMBER_13 = 0xc0,
	BYTE_TEXT_12 = 0xe0,
	BYTE_TEXT_32 = 0xf0,
	BYTE_NUMBER_16 = 0xf1,
	BYTE_NUMBER_24,
	BYTE_NUMBER_32,
	BYTE_NUMBER_64,
};

/* What the first bytes of an element tell: it is head + body bytes long, without its backlen. */
struct head {
	uint32_t head; /* bytes of encoding and length */
	uint32_t body; /* bytes of text, or of a number of 16 bits and more */
	bool text;
};

/* The longest head, and the longest element in front of its text: a head or a whole number. */
#define HEAD_MAX  5
#define FRONT_MAX 9

static inline const unsigned char *bytes_at(const char *lp, size_t at)
{
	return (const unsigned char *)lp + at;
}

/* Inlined with a constant length: one load. */
static inline uint64_t load_number(const unsigned char *p, size_t len)
{
	uint64_t n = 0;

	memcpy(&n, p, len);
	return n;
}

/* Of p, at least `room` > 0 bytes can be read. A head of 0 bytes: there is no such element. */
static inline struct head head_of(const unsigned char *p, size_t room)
{
	if (*p < BYTE_TEXT_6)
		return (struct head){1, 0, false};
	if (*p < BYTE_NUMBER_13)
		return (struct head){1, *p & TEXT_6_MAX, true};
	if (*p < BYTE_TEXT_12)
		return (struct head){2, 0, false};
	if (*p < BYTE_TEXT_32)
		return (struct head){2, room < 2 ? 0 : (*p & 15) << 8 | p[1], true};
	switch (*p) {
	case BYTE_TEXT_32:
		return (struct head){HEAD_MAX, room < HEAD_MAX ? 0 : load_number(p + 1, 4), true};
	case BYTE_NUMBER_16:
		return (struct head){1, 2, false};
	case BYTE_NUMBER_24:
		return (struct head){1, 3, false};
	case BYTE_NUMBER_32:
		return (struct head){1, 4, false};
	case BYTE_NUMBER_64:
		return (struct head){1, 8, false};
	default:
		return (struct head){0, 0, false};
	}
}

/* The bytes of the backlen of an element. The borders are Redis': one below what would fit. */
static inline size_t backlen_bytes(size_t len)
{
	if (len <= 127)
		return 1;
	if (len < 16383)
		return 2;
	if (len < 2097151)
		return 3;
	return len < 268435455 ? 4 : 5;
}

static size_t backlen_write(unsigned char *out, size_t len)
{
	size_t bytes = backlen_bytes(len);

	for (size_t i = bytes; i-- > 0; len >>= 7)
		out[i] = (len & 127) | (i > 0 ? 128 : 0);
	return bytes;
}

/* Reads one to the left of p, in at most `room` bytes; 0 when it is not all there. */
static size_t backlen_read(const unsigned char *p, size_t room)
{
	size_t len = 0;

	for (size_t i = 0; i < room && i < 5; i++) {
		len |= (size_t)(*--p & 127) << (7 * i);
		if (!(*p & 128))
			return len;
	}
	return 0;
}

/* The bytes of a number's encoding. */
static size_t number_width(int64_t n)
{
	if (n >= 0 && n <= NUMBER_7_MAX)
		return 1;
	if (n >= -NUMBER_13_MAX - 1 && n <= NUMBER_13_MAX)
		return 2;
	if (n == (int16_t)n)
		return 3;
	if (n >= -(1 << 23) && n < 1 << 23)
		return 4;
	return n == (int32_t)n ? 5 : 9;
}

static size_t number_write(unsigned char *out, int64_t n)
{
	static const uint8_t first[] = {[3] = BYTE_NUMBER_16,
					[4] = BYTE_NUMBER_24,
					[5] = BYTE_NUMBER_32,
					[9] = BYTE_NUMBER_64};
	size_t width = number_width(n);

	if (width == 1) {
		out[0] = n;
	} else if (width == 2) {
		out[0] = BYTE_NUMBER_13 | (n >> 8 & 31);
		out[1] = n;
	} else {
		out[0] = first[width];
		memcpy(out + 1, &n, width - 1);
	}
	return width;
}

/* The signed number in the lowest `bits` bits. */
static inline int64_t sign_extend(uint64_t n, unsigned bits)
{
	return (int64_t)(n << (64 - bits)) >> (64 - bits);
}

static inline int64_t number_read(const unsigned char *p, struct head head)
{
	switch (head.body) {
	case 0:
		return head.head == 1 ? *p : sign_extend((*p & 31) << 8 | p[1], 13);
	case 2:
		return sign_extend(load_number(p + 1, 2), 16);
	case 3:
		return sign_extend(load_number(p + 1, 3), 24);
	case 4:
		return sign_extend(load_number(p + 1, 4), 32);
	default:
		return load_number(p + 1, 8);
	}
}

static size_t text_head_bytes(size_t len)
{
	return len <= TEXT_6_MAX ? 1 : len <= TEXT_12_MAX ? 2 : HEAD_MAX;
}

static size_t text_head_write(unsigned char *out, size_t len)
{
	if (len <= TEXT_6_MAX) {
		out[0] = BYTE_TEXT_6 | len;
	} else if (len <= TEXT_12_MAX) {
		out[0] = BYTE_TEXT_12 | len >> 8;
		out[1] = len;
	} else {
		assert(len <= UINT32_MAX);
		out[0] = BYTE_TEXT_32;
		memcpy(out + 1, &(uint32_t){len}, 4);
	}
	return text_head_bytes(len);
}

/* What stands before the text of an element, or all of a number. */
static size_t front_write(unsigned char *out, struct listpack_item item)
{
	return listpack_item_is_number(item) ? number_write(out, item.number)
					     : text_head_write(out, item.text.len);
}

/* Without its backlen. */
static size_t item_length(struct listpack_item item)
{
	return listpack_item_is_number(item) ? number_width(item.number)
					     : text_head_bytes(item.text.len) + item.text.len;
}

static size_t item_write(unsigned char *out, struct listpack_item item)
{
	size_t len = front_write(out, item);

	if (!listpack_item_is_number(item)) {
		memcpy(out + len, item.text.ptr, item.text.len);
		len += item.text.len;
	}
	return len + backlen_write(out + len, len);
}

struct listpack_item listpack_item_of(struct slice text)
{
	struct listpack_item item = {.text = text};

	if (text.len <= NUMBER_TEXT_MAX && number_parse(text, &item.number))
		item.text = (struct slice){NULL, 0};
	else if (text.ptr == NULL)
		item.text.ptr = "";
	return item;
}

struct slice listpack_item_text(struct listpack_item item, char room[NUMBER_TEXT_MAX])
{
	if (listpack_item_is_number(item))
		return (struct slice){room, number_format(room, item.number)};
	return item.text;
}

bool listpack_item_equal(struct listpack_item a, struct listpack_item b)
{
	if (listpack_item_is_number(a) || listpack_item_is_number(b))
		return listpack_item_is_number(a) && listpack_item_is_number(b) &&
		       a.number == b.number;
	return slice_equal(a.text, b.text);
}

size_t listpack_item_bytes(struct listpack_item item)
{
	size_t len = item_length(item);

	return len + backlen_bytes(len);
}

size_t listpack_bytes(const char *lp)
{
	return load_number(bytes_at(lp, 0), 4);
}

static size_t header_count(const char *lp)
{
	return load_number(bytes_at(lp, COUNT_AT), 2);
}

static void header_write(char *lp, size_t bytes, size_t count)
{
	uint16_t known = count < COUNT_UNKNOWN ? count : COUNT_UNKNOWN;

	assert(bytes <= UINT32_MAX);
	memcpy(lp, &(uint32_t){bytes}, 4);
	memcpy(lp + COUNT_AT, &known, 2);
	lp[bytes - 1] = (char)END_BYTE;
}

size_t listpack_range_count(const char *lp, size_t from, size_t to)
{
	size_t count = 0;

	for (; from < to; from = listpack_next(lp, from))
		count++;
	return count;
}

size_t listpack_count(const char *lp)
{
	size_t count = header_count(lp);

	if (count < COUNT_UNKNOWN)
		return count;
	return listpack_range_count(lp, listpack_first(lp), listpack_end(lp));
}

size_t listpack_next(const char *lp, size_t at)
{
	struct head head = head_of(bytes_at(lp, at), HEAD_MAX);
	size_t len = (size_t)head.head + head.body;

	assert(len > 0);
	return at + len + backlen_bytes(len);
}

size_t listpack_prev(const char *lp, size_t at)
{
	size_t len;

	if (at <= LISTPACK_HEADER)
		return 0;
	len = backlen_read(bytes_at(lp, at), at - LISTPACK_HEADER);
	assert(len > 0 && len + backlen_bytes(len) <= at - LISTPACK_HEADER);
	return at - len - backlen_bytes(len);
}

static size_t seek_forward(const char *lp, size_t steps)
{
	size_t at = listpack_first(lp), end = listpack_end(lp);

	for (; steps > 0 && at < end; steps--)
		at = listpack_next(lp, at);
	return at < end ? at : 0;
}

static size_t seek_backward(const char *lp, size_t steps)
{
	size_t at = listpack_prev(lp, listpack_end(lp));

	for (; steps > 0 && at > 0; steps--)
		at = listpack_prev(lp, at);
	return at;
}

size_t listpack_seek(const char *lp, int64_t index)
{
	size_t count = header_count(lp);
	size_t steps = index >= 0 ? (uint64_t)index : ~(uint64_t)index;
	bool forward = index >= 0;

	if (count < COUNT_UNKNOWN) {
		if (steps >= count)
			return 0;
		if (steps > count / 2) {
			steps = count - 1 - steps;
			forward = !forward;
		}
	}
	return forward ? seek_forward(lp, steps) : seek_backward(lp, steps);
}

size_t listpack_read(const char *lp, size_t at, struct listpack_item *item)
{
	const unsigned char *p = bytes_at(lp, at);
	struct head head = head_of(p, HEAD_MAX);
	size_t len = (size_t)head.head + head.body;

	assert(len > 0);
	if (head.text)
		*item = (struct listpack_item){.text = {(const char *)p + head.head, head.body}};
	else
		*item = listpack_item_number(number_read(p, head));
	return at + len + backlen_bytes(len);
}

struct listpack_item listpack_get(const char *lp, size_t at)
{
	struct listpack_item item;

	listpack_read(lp, at, &item);
	return item;
}

/* Equal elements have equal bytes: the front is made once and compared where the length fits. */
size_t listpack_find(const char *lp, size_t at, struct listpack_item item, size_t skip)
{
	size_t end = listpack_end(lp);
	size_t wanted = item_length(item);
	unsigned char front[FRONT_MAX];
	size_t front_bytes = front_write(front, item);

	while (at < end) {
		const unsigned char *p = bytes_at(lp, at);
		struct head head = head_of(p, HEAD_MAX);
		size_t len = (size_t)head.head + head.body;

		assert(len > 0);
		if (len == wanted && *p == *front && memcmp(p, front, front_bytes) == 0 &&
		    memcmp(p + front_bytes, item.text.ptr ? item.text.ptr : "", item.text.len) == 0)
			return at;
		at += len + backlen_bytes(len);
		for (size_t i = 0; i < skip && at < end; i++)
			at = listpack_next(lp, at);
	}
	return 0;
}

/*
 * Writes lp to out with `gap` bytes, which the caller fills with `added` elements, in place of the
 * elements from..to. What stands behind is moved first: out may be lp.
 */
static void open_gap(char *out, const char *lp, size_t from, size_t to, size_t gap, size_t added)
{
	size_t bytes = listpack_bytes(lp);
	size_t count = header_count(lp);

	assert(LISTPACK_HEADER <= from && from <= to && to < bytes);
	if (count < COUNT_UNKNOWN)
		count = count - listpack_range_count(lp, from, to) + added;
	memmove(out + from + gap, lp + to, bytes - to);
	if (out != lp)
		memcpy(out, lp, from);
	header_write(out, bytes - (to - from) + gap, count);
}

static size_t items_bytes(const struct listpack_item *items, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += listpack_item_bytes(items[i]);
	return bytes;
}

size_t listpack_splice_bytes(const char *lp, size_t from, size_t to,
			     const struct listpack_item *items, size_t count)
{
	return listpack_bytes(lp) - (to - from) + items_bytes(items, count);
}

void listpack_splice(char *out, const char *lp, size_t from, size_t to,
		     const struct listpack_item *items, size_t count)
{
	open_gap(out, lp, from, to, items_bytes(items, count), count);
	for (size_t i = 0; i < count; i++)
		from += item_write((unsigned char *)out + from, items[i]);
}

/* Makes `to`, which stands before lp or behind, its start, with that many elements. */
static char *move_start(char *lp, char *to, size_t count)
{
	header_write(to, listpack_bytes(lp) + lp - to, count);
	return to;
}

char *listpack_push_front(char *lp, struct listpack_item item)
{
	size_t count = header_count(lp);
	char *start = lp - listpack_item_bytes(item);

	move_start(lp, start, count < COUNT_UNKNOWN ? count + 1 : count);
	item_write((unsigned char *)start + LISTPACK_HEADER, item);
	return start;
}

char *listpack_drop_front(char *lp, size_t to)
{
	size_t count = header_count(lp);

	assert(LISTPACK_HEADER <= to && to < listpack_bytes(lp));
	if (count < COUNT_UNKNOWN)
		count -= listpack_range_count(lp, LISTPACK_HEADER, to);
	return move_start(lp, lp + to - LISTPACK_HEADER, count);
}

void listpack_insert_range(char *out, const char *lp, size_t at, const char *other, size_t from,
			   size_t to)
{
	open_gap(out, lp, at, at, to - from, listpack_range_count(other, from, to));
	memcpy(out + at, other + from, to - from);
}

void listpack_start(struct listpack_builder *builder, char *out)
{
	*builder = (struct listpack_builder){out, LISTPACK_HEADER, 0};
}

void listpack_append(struct listpack_builder *builder, struct listpack_item item)
{
	builder->at += item_write((unsigned char *)builder->bytes + builder->at, item);
	builder->count++;
}

size_t listpack_finish(struct listpack_builder *builder)
{
	header_write(builder->bytes, builder->at + 1, builder->count);
	return builder->at + 1;
}

/* The bytes of the element at p, of which `room` > 0 may be read, all told; 0 when it is broken. */
static size_t element_check(const unsigned char *p, size_t room)
{
	struct head head = head_of(p, room);
	size_t len = (size_t)head.head + head.body;
	size_t backlen = backlen_bytes(len);

	if (len == 0 || len + backlen > room || backlen_read(p + len + backlen, backlen) != len)
		return 0;
	return len + backlen;
}

bool listpack_valid(struct slice bytes)
{
	size_t count = 0, end = bytes.len - 1, at = LISTPACK_HEADER;

	if (bytes.len < LISTPACK_BYTES_MIN || listpack_bytes(bytes.ptr) != bytes.len ||
	    *bytes_at(bytes.ptr, end) != END_BYTE)
		return false;
	for (size_t len; at < end; at += len, count++) {
		len = element_check(bytes_at(bytes.ptr, at), end - at);
		if (len == 0)
			return false;
	}
	return header_count(bytes.ptr) == COUNT_UNKNOWN || header_count(bytes.ptr) == count;
}
