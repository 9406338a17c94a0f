/*
 * RDB files: keys with their values, one after another (shard/rdb.h has the bytes).
 *
 *	"REDIS" and the version in four digits; Valkey from version 80 on: "VALKEY" and three digits
 *	250 name value              auxiliary fields: who wrote it, when, ...
 *	254 database                what follows is in this one
 *	251 keys expires            ... which has so many
 *	[252 unix ms] [248 idle seconds | 249 frequency] type name value
 *	255, CRC-64 of all before (0: not summed)
 *
 * Writing: a buffer that drains to the file. The version is RDB_VERSION, unless something written
 * needs a newer one: so the header gets it, and its sum is joined to the rest, at the end. The
 * first error stays; what comes after it is thrown away.
 *
 * Reading: from memory (a mapped file), step by step, each key handed out as its name and the
 * bytes of its value, which whoever gets them decodes (rdb_decode), here or on another thread.
 * Untrusted: broken bytes are told of, with where they stand.
 *
 * Any thread.
 */
#ifndef PERSIST_RDB_FILE_H
#define PERSIST_RDB_FILE_H

#include "shard/rdb_value.h"

/* --- writing --- */

struct rdb_file {
	struct rdb_out out;
	int fd;
	bool checksum;
	uint64_t cut;     /* values are written as of this cut; EPOCH_NONE at first: as they are */
	uint32_t version; /* that what was written needs */
	uint64_t bytes;   /* in the file; without the header until it has ended */
	uint64_t sum;     /* ... of them */
	int error;        /* negative errno */
};

/* Begins at the start of an empty file, opened by io_open_new(); it stays the caller's. */
void rdb_file_begin(struct rdb_file *file, int fd, bool compress, bool checksum);
void rdb_file_aux(struct rdb_file *file, const char *name, struct slice value);
/* What follows is in this database. */
void rdb_file_database(struct rdb_file *file, uint32_t db);
/* So many keys of it are to come: a hint for who reads. */
void rdb_file_sizes(struct rdb_file *file, uint64_t keys, uint64_t expires);
/*
 * A key. When it was used last, or how often (LFU counter): -1 is left out. As rdb_encode_at()
 * says, under RCU, of owner-only values by the holder, or as of a cut by its snapshot.
 */
void rdb_file_key(struct rdb_file *file, const struct entry *e, int64_t idle_seconds,
		  int64_t frequency);
/* Ends it: the file is complete, but not synced. The error, 0 where there was none. */
int rdb_file_end(struct rdb_file *file);
/* Gives it up. Not after the end. */
void rdb_file_drop(struct rdb_file *file);

/* --- reading --- */

/*
 * A key as it was found. The value's bytes are the file's; the name is valid until the next, or
 * stands in the file's bytes, too.
 */
struct rdb_key {
	struct slice name;
	struct slice value;
	uint32_t db;
	uint8_t type;
	int64_t expire; /* EXPIRE_NEVER: none */
	int64_t idle_seconds;
	int64_t frequency; /* both -1: not known */
	uint64_t offset;   /* of the type, in the file */
};

/* What is told of while reading; each may be NULL. */
struct rdb_file_events {
	bool (*key)(void *arg, const struct rdb_key *key); /* false: stop here */
	void (*aux)(void *arg, struct slice name, struct slice value);
	void (*database)(void *arg, uint32_t db, uint64_t keys, uint64_t expires);
	/*
	 * Something that has no place here was left out: a library of functions, a module's data.
	 */
	void (*left_out)(void *arg, const char *what, uint64_t offset);
};

struct rdb_file_result {
	uint32_t version;
	const char *error; /* NULL: none, or an event stopped it */
	uint64_t offset;   /* where it ended, or which part (a key, a field) is broken */
};

/*
 * Reads until the end of the RDB file, behind which other bytes may stand (result->offset).
 * False: it is broken, or was stopped; keys that were told of before stay told.
 */
bool rdb_file_read(struct slice bytes, const struct rdb_file_events *events, void *arg,
		   struct rdb_file_result *result);

/* --- the same, one key at a time: by whichever thread has the reader --- */

struct rdb_reader {
	struct rdb_in in; /* behind the last key; its error says what is broken */
	uint32_t version;
	bool valkey;   /* the version is one of Valkey's own, not of Redis' */
	bool ended;    /* whole, the sum is right */
	bool in_value; /* what is broken is the value of the key `name` */
	struct rdb_string name;
	/* inside */
	const struct rdb_file_events *events; /* but for `key` */
	void *arg;
	struct slice bytes;
	const char *part;   /* the one that is being read begins here */
	const char *summed; /* so far the sum goes */
	uint64_t sum;
	struct rdb_key key;
	struct rdb_string value;
};

/* The error of a header that is good, but of no version that is known. */
extern const char rdb_error_version[];

/* Whether this begins as an RDB file does. */
bool rdb_file_starts(struct slice bytes);

/* The header; false: it is none that we know. */
bool rdb_reader_begin(struct rdb_reader *r, struct slice bytes,
		      const struct rdb_file_events *events, void *arg);
/* The next key. False: there is no more, or the file is broken. */
bool rdb_reader_next(struct rdb_reader *r, struct rdb_key *key);
/*
 * Where it has come to: behind the last part that was whole, or, when one is broken, where that
 * begins.
 */
uint64_t rdb_reader_offset(const struct rdb_reader *r);
void rdb_reader_deinit(struct rdb_reader *r);

#endif
