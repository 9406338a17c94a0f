/*
 * Moving in from Redis: what is loaded where there are no data of our own yet.
 *
 * With appendonly yes that is the append-only files: those of `appenddirname` that the manifest
 * there names, or else the single file of old; without these, or with appendonly no, the RDB file
 * `dbfilename`. Redis' files are left as they are. What was loaded becomes a snapshot of our own at
 * once, with which the manifest begins: from then on Redis' files are not looked at again.
 *
 * What this server has no place for (libraries of functions, data of modules) is left out with a
 * warning. Values of types that it doesn't have are a reason not to start, unless
 * import-skip-unknown is yes.
 *
 * The loader's thread, but for import_find().
 */
#ifndef SERVER_IMPORT_H
#define SERVER_IMPORT_H

#include "persist/aof.h"

#include <stdbool.h>

struct config;
struct persistence;
struct server;

enum import_kind {
	IMPORT_NOTHING,
	IMPORT_RDB,
	IMPORT_AOF,     /* one file */
	IMPORT_AOF_DIR, /* a directory with a manifest */
};

/* What there is to be loaded. */
enum import_kind import_find(struct config *config);

/*
 * Warns of files of Redis' that are not loaded, and why: because `used` is, or there are data of
 * our own, or appendonly is no.
 */
void import_tell_unused(struct config *config, enum import_kind used, bool own);

/*
 * Loads it, and makes the snapshot, of which the manifest gets an item; *epoch is its cut.
 * Progress: in persistence->recovery. False after logging: the server can't start.
 */
bool import_run(struct persistence *persistence, enum import_kind kind, uint64_t *epoch);

#endif
