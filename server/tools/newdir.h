/*
 * A new data directory that a tool writes: snapshots, and the MANIFEST that names them, written
 * last: before that there are no data. Until newdir_finish() everything is noted to be undone
 * (undo.h).
 *
 * One thread.
 */
#ifndef SERVER_TOOLS_NEWDIR_H
#define SERVER_TOOLS_NEWDIR_H

#include "persist/manifest.h"

#include <limits.h>

struct newdir {
	const char *parent; /* the directory that a server is given */
	char path[PATH_MAX];
	int dir; /* descriptor; -1: none */
};

/*
 * Makes both directories; the upper one may be there, and empty. 0 or a negative errno; closed by
 * the caller in any case.
 */
int newdir_make(struct newdir *newdir, const char *parent);

/* A file of that name is going to be written, under a temporary name first. */
void newdir_note(const struct newdir *newdir, const char *name);
/* The same for all files of an item. */
void newdir_note_item(const struct newdir *newdir, const struct manifest_item *item);

/* Writes the manifest of these items, and makes all names last. 0 or a negative errno. */
int newdir_finish(const struct newdir *newdir, struct manifest *manifest);

void newdir_close(struct newdir *newdir);

#endif
