/*
 * COMMITS: which epochs are on the disk, whole, in all journals.
 *
 * A line for each: "<epoch> <unix ms>[ always] <crc64 of what stands before it, 16 hex digits>". It
 * is written and synced after the journals were; so after a power loss whatever belongs to epochs
 * beyond the last valid line is not to be trusted (segments say where epochs begin). Unless that
 * line says "always": from then on nobody was told of what wasn't synced (server/flusher.h), and
 * all that is there counts.
 */
#ifndef PERSIST_COMMITS_H
#define PERSIST_COMMITS_H

#include <stdbool.h>
#include <stdint.h>

#define COMMITS_NAME "COMMITS"
/* When it has grown to this, it is begun afresh with its last line. */
#define COMMITS_BYTES_MAX (16u << 20)

struct commits {
	int dir;
	int fd; /* -1: an attempt has failed: the file is begun afresh */
	uint64_t bytes;
};

struct commit {
	uint64_t epoch; /* 0: none */
	int64_t ms;
	bool always; /* epochs beyond it count, too */
};

/*
 * The valid line with the largest epoch, of several the last; an epoch of 0, and not always, when
 * there is none. 0 or a negative errno.
 */
int commits_last(int dir, struct commit *last);

/* Begins the file with this line (none for epoch 0 that isn't always), for appending. */
int commits_open(struct commits *commits, int dir, const struct commit *first);
void commits_close(struct commits *commits);

/*
 * Appends a line and syncs it. After an error it isn't known what of the line is on the disk, so
 * the next attempt replaces the file by one of that line. The flusher.
 */
int commits_add(struct commits *commits, const struct commit *commit);

#endif
