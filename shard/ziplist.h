/*
 * Ziplists and zipmaps: how Redis packed small collections before version 7 and 2.6. Only read
 * here.
 *
 *	ziplist  bytes, offset of the last element (32 bits each), count (16 bits, 65535: unknown),
 *	         elements, 0xff. An element: the length of the one before (1 byte, or 254 and 4),
 *	         then
 *	           00llllll, 01llllll +1, 10...... +4    text, its length high bits first
 *	           11000000, 11010000, 11100000          number of 16, 32, 64 bits
 *	           11110000, 11111110                    number of 24, 8 bits
 *	           1111nnnn                              number n - 1, 0 to 12
 *	zipmap   count of pairs (1 byte, 254: unknown), pairs, 0xff. A pair: length, field, length,
 *	         how many spare bytes stand behind the value (1 byte), value, spare bytes. A length:
 *	         one byte, or 254 and 4
 *
 * All low bytes first, unless it says otherwise. The format of record is described in
 * https://rdb.fnordig.de/file_format.html.
 *
 * Any thread.
 */
#ifndef SHARD_ZIPLIST_H
#define SHARD_ZIPLIST_H

#include "shard/listpack.h"

/*
 * Whether untrusted bytes are one ziplist, or zipmap, no byte more or less. Nothing outside is
 * read.
 */
bool ziplist_valid(struct slice bytes);
bool zipmap_valid(struct slice bytes);

/* The position of the first element. The last ends at the last byte of all. */
#define ZIPLIST_FIRST 10
#define ZIPMAP_FIRST  1

/*
 * The element at a position; returns the next position. Text stands in the ziplist, and may spell a
 * number. Of a zipmap fields and values take turns.
 */
size_t ziplist_read(const char *zl, size_t at, struct listpack_item *item);
size_t zipmap_read(const char *zm, size_t at, bool value, struct listpack_item *item);

#endif
