/*
 * Loading RDB files into an empty keyspace, on several threads.
 *
 * All threads do the same: one reads the next keys of a file (names and bytes of values, a batch at
 * a time; whoever wants to read the same file waits), makes entries of them and puts them into
 * their tables (shard/fill.h), while others read on. Each thread has a file of its own as long as
 * there are enough (parts of a snapshot: their slots are disjoint, and stay in one core's cache); a
 * single file is read by turns. Tables get their size from what the file says of its keys.
 *
 * Nothing in a file is trusted. What is broken ends the load with an error that says where; keys
 * that were read before stay.
 */
#ifndef PERSIST_LOAD_H
#define PERSIST_LOAD_H

#include "proto/slice.h"
#include "shard/keyspace.h"

#define LOAD_TEXT_MAX 512

struct load_file {
	const char *name; /* for messages */
	struct slice bytes;
	size_t end; /* result: where the RDB file ended, behind which other bytes may stand */
};

struct load {
	/* the caller's */
	struct keyspace *ks;
	uint32_t threads;
	int64_t now; /* unix ms, what keys' times of last use count from */
	bool drop_expired; /* keys that have expired by now are left out, as by a master of its own file */
	bool skip_unknown; /* so are values that this server can't hold, instead of refusing the file */
	/* Told what was left out; by any of the threads, one at a time. May be NULL. */
	void (*warn)(void *arg, const char *text);
	void *arg;
	_Atomic uint64_t *done; /* bytes are added as they are read; may be NULL */
	/* results */
	uint64_t keys;
	uint64_t expired; /* dropped */
	uint64_t empty;   /* collections without elements: dropped */
	uint64_t unknown; /* skipped */
	char error[LOAD_TEXT_MAX];
};

/* Loads them all; false: error says what is wrong, where, with which key. */
bool load_files(struct load *load, struct load_file *files, uint32_t count);

#endif
