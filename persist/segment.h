/*
 * Segments: the files of a worker's journal (shard/journal.h has what stands in them).
 *
 * One file for each worker, start of the server ("run") and generation:
 * journal-<run>-<cut>-<worker>.aof. The worker appends to its own at the end of a tick: all there
 * is, of large records a part (journal_due). The flusher syncs them (epoch closing:
 * server/flusher.h) meanwhile; the mutex guards only which descriptors are open.
 *
 * Zeros ahead. A sync of a file that has grown makes the file system write its own notes, too,
 * which takes longer than the data. Who is synced often (appendfsync always) therefore writes zeros
 * ahead, SEGMENT_AHEAD_BYTES at a time, and records over them. They are cut off when the segment is
 * full or closed; after a crash they stand there, and mean nothing: no record ends in a zero, so
 * whoever reads takes them off (segment_trimmed).
 *
 * Generations. A journal that has written all of one stops, until all others have, too: only then
 * is anything of the next written (`turned`). So what stands in the files of a generation follows
 * on nothing that was lost with the end of the one before it.
 *
 * A write that fails: what was not written stays first in the journal's buffer, so later records
 * never overtake it, and `error` says why until a later attempt succeeds.
 */
#ifndef PERSIST_SEGMENT_H
#define PERSIST_SEGMENT_H

#include "shard/journal.h"

#include <pthread.h>

#define SEGMENT_NAME_MAX 80
/*
 * Segments of one worker that wait for their last sync: each takes at least an epoch to be closed.
 */
#define SEGMENT_OLD_MAX 4
/* At 100 bytes a record a fraction of a second's writes; little enough for one sync. */
#define SEGMENT_AHEAD_BYTES (256 * 1024)
/* The system is told to let go of so much at a time: enough that the call costs nothing. */
#define SEGMENT_DROP_BYTES (1024 * 1024)

struct segment_id {
	uint64_t run;
	uint64_t cut;
	uint32_t worker;
};

struct segment {
	/* constant */
	int dir;
	struct journal *journal;
	const _Atomic uint64_t *turned; /* generations up to this one may be written; NULL: all */
	const _Atomic uint64_t
		*durable; /* bytes of the journal that were synced; NULL: not known */
	/* the worker's; id.cut changes under the mutex */
	struct segment_id id;
	_Atomic uint64_t len; /* of fd's file, without zeros; who syncs reads it under the mutex */
	uint64_t zeros_end;   /* where the zeros end, if that is behind len */
	bool more;            /* the last segment_write() has left some for the next */
	/* the worker stores, any thread reads */
	_Atomic int error;           /* 0 or a negative errno: the last write() */
	_Atomic uint64_t longest_us; /* the longest write() */
	_Atomic uint64_t arrived;    /* all generations before this one are written, */
	_Atomic uint64_t entered;    /* ... and this one has its file */
	/* under the mutex */
	pthread_mutex_t mutex;
	int fd;
	uint64_t dropped; /* so much of fd's file the system needs not keep in memory (io_drop) */
	int old[SEGMENT_OLD_MAX]; /* full, to be synced and closed by the flusher */
	uint32_t old_count;
	bool stale; /* fd's file needs no sync any more (segment_forget) */
};

void segment_name(const struct segment_id *id, char out[SEGMENT_NAME_MAX]);

/* Makes an empty file. */
int segment_make(int dir, const struct segment_id *id);

/* Opens the first file of a run. 0 or a negative errno. */
int segment_open(struct segment *segment, int dir, const struct segment_id *id,
		 struct journal *journal);
void segment_close(struct segment *segment);

/*
 * Writes of what the journal has `most` bytes at most, and zeros `ahead`. Its worker. 0 or the
 * error, which is kept.
 */
int segment_write(struct segment *segment, size_t most, bool ahead);

/* The length of a segment without the zeros behind its records. */
static inline size_t segment_trimmed(const char *bytes, size_t len)
{
	while (len > 0 && bytes[len - 1] == '\0')
		len--;
	return len;
}

/*
 * Syncs everything written so far, and closes what is full. One thread at a time. After an error it
 * isn't known what of it is on the disk, and no later sync can tell.
 */
int segment_sync(struct segment *segment);

/* Files of generations before this cut need no sync any more. As segment_sync(). */
void segment_forget(struct segment *segment, uint64_t cut);

#endif
