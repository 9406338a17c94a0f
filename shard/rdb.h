/*
 * RDB as bytes: what files (persist/rdb_file.h), DUMP and the journal are made of. Described, but
 * for the later types, in https://rdb.fnordig.de/file_format.html.
 *
 *	length   00llllll                     6 bits
 *	         01llllll +1                  14 bits, high bits first
 *	         10000000 +4, 10000001 +8     32 and 64 bits, high bytes first
 *	string   length, bytes
 *	         11000000 +1, 11000001 +2, 11000010 +4
 *	                                      a number of so many bytes, low bytes first: its text
 *	         11000011 length length bytes LZF: so many bytes packed, so many when unpacked
 *	others   low bytes first
 *
 * Writing never fails. What is written piles up in memory; a `drain` may take it away now and then.
 *
 * Reading trusts nothing: each read checks that the bytes are there, and no memory is asked for
 * that the bytes could not fill. The first failure stays in `error`, and every read after it
 * fails too.
 *
 * Any thread, its own rdb_out and rdb_in.
 */
#ifndef SHARD_RDB_H
#define SHARD_RDB_H

#include "proto/number.h"
#include "proto/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What we write where nothing newer is needed; what added fields with a time to live; what is read:
 * Redis' up to this, and that with which Valkey (9.0) began to count and to number types on its
 * own.
 */
#define RDB_VERSION          10
#define RDB_VERSION_FIELDS   12
#define RDB_VERSION_READ_MAX 12
#define RDB_VERSION_VALKEY   80

/* The types of values. */
enum rdb_type {
	RDB_STRING,
	RDB_LIST,
	RDB_SET,
	RDB_ZSET, /* scores as text */
	RDB_HASH,
	RDB_ZSET_2, /* scores as doubles */
	RDB_MODULE_OLD,
	RDB_MODULE_2,
	RDB_HASH_ZIPMAP = 9,
	RDB_LIST_ZIPLIST,
	RDB_SET_INTSET,
	RDB_ZSET_ZIPLIST,
	RDB_HASH_ZIPLIST,
	RDB_LIST_QUICKLIST, /* nodes that are ziplists */
	RDB_STREAM,
	RDB_HASH_LISTPACK,
	RDB_ZSET_LISTPACK,
	RDB_LIST_QUICKLIST_2, /* nodes that are listpacks, or one element */
	RDB_STREAM_2,
	RDB_SET_LISTPACK,
	RDB_STREAM_3,
	RDB_HASH_FIELDS_OLD, /* of 7.4's release candidates: without the earliest expiry in front */
	RDB_HASH_LISTPACKEX_OLD,
	RDB_HASH_FIELDS, /* fields with expiries */
	RDB_HASH_LISTPACKEX,
	RDB_HASH_VALKEY, /* fields with expiries, which Valkey numbers otherwise: rdb_type_read() */
	RDB_TYPE_COUNT
};

/* What a node of RDB_LIST_QUICKLIST_2 is: one element alone, or a listpack. */
enum rdb_node { RDB_NODE_ELEMENT = 1, RDB_NODE_LISTPACK = 2 };

/* --- writing --- */

/* Where it piles up to this a drain is called. */
#define RDB_DRAIN_BYTES (64 * 1024)

struct shard;

struct rdb_out {
	char *bytes; /* mem_free_unsized */
	size_t len;
	size_t cap;
	bool compress;     /* strings, as Redis does with rdbcompression, but see `hopeless` */
	uint32_t hopeless; /* strings in a row that did not get shorter */
	uint32_t untried;  /* bytes that are not tried for that, before one is again */
	/*
	 * Takes what is there (len = 0). May be called within any write. NULL: all of it is kept.
	 */
	void (*drain)(struct rdb_out *out);
	struct shard *shard; /* whose turns a walk that doesn't write takes (turn.h); NULL: none */
};

/* All of it may begin as zeros. */
void rdb_out_deinit(struct rdb_out *out);

void rdb_write_bytes(struct rdb_out *out, struct slice bytes);
void rdb_write_byte(struct rdb_out *out, uint8_t byte);
void rdb_write_length(struct rdb_out *out, uint64_t n);
void rdb_write_u64(struct rdb_out *out, uint64_t n);
void rdb_write_double(struct rdb_out *out, double d);
/* A string in its shortest form, that of a number too. */
void rdb_write_string(struct rdb_out *out, struct slice text);
/* A string that is bytes of a format of its own. */
void rdb_write_blob(struct rdb_out *out, struct slice bytes);

/* --- reading --- */

struct rdb_in {
	const char *at;
	const char *end;
	size_t string_max; /* longer strings are refused */
	const char *error; /* what was wrong first */
};

static inline struct rdb_in rdb_in_of(struct slice bytes, size_t string_max)
{
	return (struct rdb_in){.at = bytes.ptr,
			       .end = bytes.ptr + bytes.len,
			       .string_max = string_max};
}

/* Notes what is wrong; false, to be returned. */
bool rdb_fail(struct rdb_in *in, const char *error);

bool rdb_read_bytes(struct rdb_in *in, size_t len, struct slice *bytes);
bool rdb_read_byte(struct rdb_in *in, uint8_t *byte);
bool rdb_read_length(struct rdb_in *in, uint64_t *n);
bool rdb_read_u64(struct rdb_in *in, uint64_t *n);
bool rdb_read_double(struct rdb_in *in, double *d);
/* The older form: a byte of length and text, or one byte for what isn't a number of that kind. */
bool rdb_read_double_text(struct rdb_in *in, double *d);

/*
 * A string as it was read: `text` stands in the bytes read from, in `room`, or in `scratch`,
 * until the next read into it. Begins as zeros.
 */
struct rdb_string {
	struct slice text;
	char room[NUMBER_TEXT_MAX];
	char *scratch;
	size_t cap;
};

bool rdb_read_string(struct rdb_in *in, struct rdb_string *string);
void rdb_string_deinit(struct rdb_string *string);

bool rdb_version_known(uint32_t version);
/* The type that has this number in a version that is known; RDB_TYPE_COUNT: none. */
uint8_t rdb_type_read(uint32_t version, uint8_t number);

/*
 * Steps over a value of a type, streams and values of modules included. No further than to see
 * how long it is.
 */
bool rdb_skip_value(struct rdb_in *in, uint8_t type);

/*
 * The same for anything, given as its parts: s a string, l a length, 4 8 6 so many bytes (6:
 * sixteen), d a double of the older form, m the parts of a module's value, *(...) a length and so
 * many times what stands in the brackets.
 */
bool rdb_skip(struct rdb_in *in, const char *parts);

#endif
