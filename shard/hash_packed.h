/*
 * Inside packed hashes: for hash_value.c and hash_edit.c alone.
 *
 * A listpack of pairs (field, value) or triples (field, value, expiry in unix ms or 0). Triples
 * that expire stand in front, the earliest first.
 */
#ifndef SHARD_HASH_PACKED_H
#define SHARD_HASH_PACKED_H

#include "shard/hash_value.h"
#include "shard/listpack.h"

/* An element takes at least two bytes. */
#define PACKED_FIELDS_MAX (PACKED_BYTES_MAX / 4)

struct packed_field {
	struct listpack_item name;
	struct listpack_item value;
	int64_t expire; /* EXPIRE_NEVER: none */
};

/* The field at a position; returns the position of the next. */
size_t packed_read(const char *lp, size_t at, bool triples, struct packed_field *field);

/* The same with its numbers as text in field->room. */
void packed_show(const struct packed_field *packed, struct hash_field *field);

/* The position of the first field that has not expired. */
size_t packed_live(const char *lp, bool triples, int64_t now);

/* hash_find() in a listpack, and in a dict. */
bool packed_find(const char *lp, bool triples, struct slice name, int64_t now,
		 struct hash_field *field);
bool element_find(const struct dict *dict, const struct shard *shard, struct slice name,
		  int64_t now, struct hash_field *field);

#endif
