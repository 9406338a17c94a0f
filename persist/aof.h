/*
 * Redis' append-only files, loaded into an empty keyspace.
 *
 * A manifest names them, in a directory of their own (Redis 7):
 *
 *	file appendonly.aof.1.base.rdb seq 1 type b     everything at its beginning; at most one
 *	file appendonly.aof.1.incr.aof seq 1 type i     what was written since, in rising order of seq
 *	file appendonly.aof.1.incr.aof seq 1 type h     history: to be deleted
 *
 * Before Redis 7 there was one file. Any file may begin with an RDB file instead of commands. Then
 * follow requests as clients send them, lines that begin with '#' between them. They are done again
 * as effects of our own journals are (replay.h): in order in each slot, those on several slots when
 * all before them are done. Time doesn't pass meanwhile. Redis writes no times to live that count
 * from now; where somebody else did, they count from the start of the load.
 *
 * The last file may end in the middle of a request or a transaction, which then is left out.
 * Anything else that is no request ends the load with an error.
 */
#ifndef PERSIST_AOF_H
#define PERSIST_AOF_H

#include "persist/load.h"

/* --- the manifest --- */

struct aof_part {
	char *name; /* mem_free_unsized */
	uint64_t seq;
	char type; /* b or i */
};

struct aof_manifest {
	struct aof_part *parts; /* in the order in which they are loaded */
	uint32_t count;
};

/* False: *error says what is wrong with line *line. To be freed in any case. */
bool aof_manifest_parse(struct slice text, struct aof_manifest *manifest, const char **error,
			uint32_t *line);
void aof_manifest_free(struct aof_manifest *manifest);

/* --- the files --- */

struct aof_load {
	struct load load;  /* as for RDB files; `drop_expired` is not looked at */
	bool may_be_torn;  /* the last file (aof-load-truncated) */
	uint64_t commands; /* result: done */
	uint64_t torn;     /* result: bytes left out at the end of the last file */
};

/* Loads them in this order; false: aof->load.error says what is wrong, and where. */
bool aof_load(struct aof_load *aof, struct load_file *files, uint32_t count);

#endif
