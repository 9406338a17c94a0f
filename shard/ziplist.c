/*
 * Reading ziplists and zipmaps (ziplist.h). One function each understands an element and checks
 * that it lies within the bytes; reading what was found valid is the same function once more.
 */
#include "shard/ziplist.h"

#include <assert.h>

#define END_BYTE             0xff
#define LONG_BYTE            254 /* a length of 4 bytes follows */

#define TAIL_AT              4
#define COUNT_AT             8
#define COUNT_UNKNOWN        UINT16_MAX

#define ZIPMAP_COUNT_UNKNOWN LONG_BYTE

/* The first bytes of a ziplist's elements that are numbers. */
enum number_byte {
	BYTE_NUMBER_16 = 0xc0,
	BYTE_NUMBER_32 = 0xd0,
	BYTE_NUMBER_64 = 0xe0,
	BYTE_NUMBER_24 = 0xf0,
	BYTE_NUMBER_0 = 0xf1,
	BYTE_NUMBER_12 = 0xfd,
	BYTE_NUMBER_8 = 0xfe,
};

static inline const unsigned char *bytes_at(const char *bytes, size_t at)
{
	return (const unsigned char *)bytes + at;
}

static uint64_t load(const unsigned char *p, size_t len)
{
	uint64_t n = 0;

	memcpy(&n, p, len);
	return n;
}

/* --- ziplists --- */

/*
 * The bytes of a number behind its first byte; 0 when the number is in that; -1 when there is no
 * such.
 */
static int number_bytes(unsigned char first)
{
	switch (first) {
	case BYTE_NUMBER_8:
		return 1;
	case BYTE_NUMBER_16:
		return 2;
	case BYTE_NUMBER_24:
		return 3;
	case BYTE_NUMBER_32:
		return 4;
	case BYTE_NUMBER_64:
		return 8;
	default:
		return first >= BYTE_NUMBER_0 && first <= BYTE_NUMBER_12 ? 0 : -1;
	}
}

static size_t read_number(const unsigned char *p, size_t room, struct listpack_item *item)
{
	int bytes = number_bytes(*p);

	if (bytes < 0 || (size_t)bytes >= room)
		return 0;
	if (bytes == 0) {
		*item = listpack_item_number(*p - BYTE_NUMBER_0);
	} else {
		unsigned spare = 64 - 8 * (unsigned)bytes;
		uint64_t n = load(p + 1, (size_t)bytes);
		*item = listpack_item_number((int64_t)(n << spare) >> spare);
	}
	return 1 + (size_t)bytes;
}

/* The head of a text: its own bytes, and the length that it tells. */
static size_t read_text_head(const unsigned char *p, size_t room, size_t *len)
{
	switch (*p >> 6) {
	case 0:
		*len = *p & 63;
		return 1;
	case 1:
		if (room < 2)
			return 0;
		*len = (size_t)(*p & 63) << 8 | p[1];
		return 2;
	default:
		if (room < 5)
			return 0;
		*len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
		return 5;
	}
}

static size_t read_text(const unsigned char *p, size_t room, struct listpack_item *item)
{
	size_t len = 0;
	size_t head = read_text_head(p, room, &len);

	if (head == 0 || len > room - head)
		return 0;
	*item = (struct listpack_item){.text = {(const char *)p + head, len}};
	return head + len;
}

/*
 * The element at p, of which `room` bytes may be read; *before becomes the length that it tells
 * of the one before. Its bytes; 0 when it is broken.
 */
static size_t element_read(const unsigned char *p, size_t room, size_t *before,
			   struct listpack_item *item)
{
	size_t head = *p < LONG_BYTE ? 1 : 5;

	if (*p == END_BYTE || room <= head)
		return 0;
	*before = head == 1 ? *p : load(p + 1, 4);
	size_t len = p[head] < BYTE_NUMBER_16 ? read_text(p + head, room - head, item)
					      : read_number(p + head, room - head, item);
	return len > 0 ? head + len : 0;
}

size_t ziplist_read(const char *zl, size_t at, struct listpack_item *item)
{
	size_t before;
	size_t len = element_read(bytes_at(zl, at), SIZE_MAX, &before, item);

	assert(len > 0);
	return at + len;
}

bool ziplist_valid(struct slice bytes)
{
	struct listpack_item item;
	size_t end = bytes.len - 1, last = 0, count = 0, before;

	if (bytes.len <= ZIPLIST_FIRST || load(bytes_at(bytes.ptr, 0), 4) != bytes.len ||
	    *bytes_at(bytes.ptr, end) != END_BYTE)
		return false;
	for (size_t at = ZIPLIST_FIRST, len; at < end; last = len, at += len, count++) {
		len = element_read(bytes_at(bytes.ptr, at), end - at, &before, &item);
		if (len == 0 || before != last)
			return false;
	}
	size_t known = load(bytes_at(bytes.ptr, COUNT_AT), 2);
	return load(bytes_at(bytes.ptr, TAIL_AT), 4) == end - last &&
	       (known == COUNT_UNKNOWN || known == count);
}

/* --- zipmaps --- */

/* The field or value at p. All of its bytes; 0 when it is broken. */
static size_t zipmap_element(const unsigned char *p, size_t room, bool value,
			     struct listpack_item *item)
{
	size_t head = *p < LONG_BYTE ? 1 : 5;

	if (*p == END_BYTE || room < head + value)
		return 0;
	size_t len = head == 1 ? *p : load(p + 1, 4);
	size_t spare = value ? p[head] : 0;
	head += value;
	if (len > room - head || spare > room - head - len)
		return 0;
	*item = (struct listpack_item){.text = {(const char *)p + head, len}};
	return head + len + spare;
}

size_t zipmap_read(const char *zm, size_t at, bool value, struct listpack_item *item)
{
	size_t len = zipmap_element(bytes_at(zm, at), SIZE_MAX, value, item);

	assert(len > 0);
	return at + len;
}

bool zipmap_valid(struct slice bytes)
{
	struct listpack_item item;
	size_t end = bytes.len - 1, count = 0;

	if (bytes.len < ZIPMAP_FIRST + 1 || *bytes_at(bytes.ptr, end) != END_BYTE)
		return false;
	for (size_t at = ZIPMAP_FIRST, len; at < end; at += len, count++) {
		len = zipmap_element(bytes_at(bytes.ptr, at), end - at, count & 1, &item);
		if (len == 0)
			return false;
	}
	size_t known = *bytes_at(bytes.ptr, 0);
	return count % 2 == 0 && (known >= ZIPMAP_COUNT_UNKNOWN || known == count / 2);
}
