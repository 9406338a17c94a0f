/*
 * The elements of a collection in RDB, however they are kept: as strings one after another, or as
 * one string that holds them all in a packed format of Redis'. For rdb_decode.c, which so needs
 * one function for each type of value, not for each of RDB's.
 *
 * Any thread, its own source.
 */
#ifndef SHARD_RDB_SOURCE_H
#define SHARD_RDB_SOURCE_H

#include "shard/rdb_value.h"

enum rdb_form {
	RDB_FORM_STRINGS,
	RDB_FORM_LISTPACK,
	RDB_FORM_ZIPLIST,
	RDB_FORM_ZIPMAP,
	RDB_FORM_INTSET,
	RDB_FORM_COUNT
};

struct rdb_source {
	struct rdb_in *in;
	enum rdb_form form;
	uint64_t left; /* elements to come, of whatever strings they are */
	/* where packed elements stand */
	struct rdb_string packed;
	size_t at;
	/* what was read last: texts of different `place` don't get in each other's way */
	struct rdb_string strings[3];
};

/*
 * Begins to read elements, each of so many parts (a field and its value): strings are counted by
 * elements, packed formats by parts. Fails where there is none (rdb_error_empty), and where the
 * packed format isn't valid.
 */
bool rdb_source_begin(struct rdb_source *s, unsigned parts);
/* The same for packed elements that were read already, into s->packed; there may be none. */
bool rdb_source_unpack(struct rdb_source *s);

/* The next part, while s->left is more than 0. */
bool rdb_source_text(struct rdb_source *s, unsigned place, struct slice *text);

void rdb_source_deinit(struct rdb_source *s);

/* Why a packed format was refused. */
extern const char rdb_error_packed[];

#endif
