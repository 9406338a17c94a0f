/*
 * A listpack: elements one after another in one piece of memory, in Redis' byte format (its
 * specification: https://github.com/antirez/listpack), so that RDB files and DUMP take it as it is.
 *
 *	 0       4        6                                                     bytes-1
 *	+-------+--------+-----------------------------------+-- ... --+-----------+------+
 *	| bytes | count  | encoding | (length, text) or number | backlen |   ...     | 0xff |
 *	+-------+--------+-----------------------------------+-- ... --+-----------+------+
 *	bytes    of the whole, 32 bits, little-endian as all else
 *	count    of the elements, 16 bits; 65535: more than the field can tell, walk
 *	backlen  1 to 5 bytes: how long the element is without it, to be read from the right, 7 bits a
 *	         byte, the top bit set in all but the leftmost
 *
 *	0nnnnnnn                    number 0 to 127
 *	10llllll                    text of 0 to 63 bytes
 *	110nnnnn +1                 number of 13 bits, signed (high bits first)
 *	1110llll +1                 text of up to 4095 bytes (high bits first)
 *	11110000 +4                 text of up to 2^32-1 bytes
 *	11110001 to 11110100        number of 16, 24, 32, 64 bits
 *
 * Text that spells an integer as number_parse() takes it is always kept as a number, in the
 * smallest encoding: so equal elements have equal bytes, and what we write is what Redis would.
 * Bytes from outside must pass listpack_valid(), and are then built anew element by element
 * (listpack_item_of, listpack_append): others may have spelled a number as text.
 *
 * A position is the offset of an element from the listpack's start; 0 is none; listpack_end() is
 * the one behind the last element. No function allocates. Changes either write a new listpack to
 * other memory (values of entries, which readers may be looking at) or work in place.
 *
 * Any thread, for bytes that don't change meanwhile.
 */
#ifndef SHARD_LISTPACK_H
#define SHARD_LISTPACK_H

#include "proto/number.h"
#include "proto/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LISTPACK_HEADER 6
/* The bytes of a listpack without elements: its header and its end. */
#define LISTPACK_BYTES_MIN (LISTPACK_HEADER + 1)
/* What a new one starts from. */
#define LISTPACK_EMPTY "\7\0\0\0\0\0\377"

/* An element: text, or a number where text.ptr is NULL. Text read from a listpack stands in it. */
struct listpack_item {
	struct slice text;
	int64_t number;
};

/*
 * The element that stands for these bytes: a number where they spell one. Keeps pointing to them.
 */
struct listpack_item listpack_item_of(struct slice text);
static inline struct listpack_item listpack_item_number(int64_t n)
{
	return (struct listpack_item){.number = n};
}
static inline bool listpack_item_is_number(struct listpack_item item)
{
	return item.text.ptr == NULL;
}
/* Its bytes; those of a number are written to `room`. */
struct slice listpack_item_text(struct listpack_item item, char room[NUMBER_TEXT_MAX]);
bool listpack_item_equal(struct listpack_item a, struct listpack_item b);
/* The bytes that it takes in a listpack, backlen included. */
size_t listpack_item_bytes(struct listpack_item item);

/* Bytes of the whole. */
size_t listpack_bytes(const char *lp);
/* Elements. Walks only where the header cannot tell: never below 65535. */
size_t listpack_count(const char *lp);

/* Positions: of the first element (the end when there is none), and behind the last. */
static inline size_t listpack_first(const char *lp)
{
	return LISTPACK_HEADER;
}
static inline size_t listpack_end(const char *lp)
{
	return listpack_bytes(lp) - 1;
}
/* The position after that of an element. */
size_t listpack_next(const char *lp, size_t at);
/* The position before that of an element or the end; 0 before the first. */
size_t listpack_prev(const char *lp, size_t at);
/*
 * The element's position: 0, 1... from the front, -1, -2... from the back; 0 where there is none.
 */
size_t listpack_seek(const char *lp, int64_t index);

/*
 * The element at a position; returns the next position:
 *
 *	for (size_t at = listpack_first(lp), end = listpack_end(lp); at < end;)
 *		at = listpack_read(lp, at, &item);
 */
size_t listpack_read(const char *lp, size_t at, struct listpack_item *item);
struct listpack_item listpack_get(const char *lp, size_t at);

/*
 * The first element equal to `item` from a position (or the end) on; after one that differs, `skip`
 * others are left out: 1 looks at the fields of field-value pairs only. 0 where there is none.
 */
size_t listpack_find(const char *lp, size_t at, struct listpack_item item, size_t skip);

/*
 * Every change is a splice: the elements from position `from` up to `to` (not included) go, `count`
 * items come in their place. Append: both the end; insert: both the place; delete: no items;
 * replace: one item, to = next(from).
 *
 * _bytes: the size of the result. listpack_splice writes it to `out`, which has that much room and
 * either is apart from lp, or is lp itself: then no item's text may stand in it.
 */
size_t listpack_splice_bytes(const char *lp, size_t from, size_t to,
			     const struct listpack_item *items, size_t count);
void listpack_splice(char *out, const char *lp, size_t from, size_t to,
		     const struct listpack_item *items, size_t count);

/*
 * Changes at the front of a listpack before which there is memory of the caller's: its start moves
 * and everything else stays. Before lp: listpack_item_bytes(item) bytes. Return the new start.
 */
char *listpack_push_front(char *lp, struct listpack_item item);
/* The elements before position `to` go. */
char *listpack_drop_front(char *lp, size_t to);

/* How many elements stand from one position up to another. Walks. */
size_t listpack_range_count(const char *lp, size_t from, size_t to);
/*
 * The elements of other from `from` up to `to`, as they are, put into lp at position `at`; out as
 * above, of listpack_bytes(lp) + to - from bytes. Into LISTPACK_EMPTY: a part of a listpack alone.
 */
void listpack_insert_range(char *out, const char *lp, size_t at, const char *other, size_t from,
			   size_t to);

/*
 * Building one from nothing, element by element: LISTPACK_BYTES_MIN and listpack_item_bytes of each
 * are the room it takes. finish returns the size; between start and finish it is no listpack yet.
 */
struct listpack_builder {
	char *bytes;
	size_t at;
	size_t count;
};
void listpack_start(struct listpack_builder *builder, char *out);
void listpack_append(struct listpack_builder *builder, struct listpack_item item);
size_t listpack_finish(struct listpack_builder *builder);

/*
 * Whether untrusted bytes are one listpack, no byte more or less: each element within, backlens and
 * count right. Reads all of it, and nothing outside.
 */
bool listpack_valid(struct slice bytes);

#endif
