/*
 * Recovery: from the files of a data directory to the keyspace that they mean, or to what is wrong
 * with them.
 *
 * The manifest lists what there is. The data are its last snapshot and the journals behind it; with
 * recovery_until() an older one and less of its journals. How much of each journal is good:
 *  - of a closed stretch all, or it is damaged;
 *  - of an open one (the last run's) what merge() takes. In the boot that wrote it nothing written
 *    is lost; after another boot epochs beyond the last of COMMITS don't count, unless it says
 *    "always". What is left at the end is what a start cuts off.
 *
 * recovery_load() brings that into a keyspace and stops at the first damage; recovery_look() goes
 * through everything that the manifest lists, older generations too, and loads nothing. Neither
 * changes a file: what they found of each is in `files`, and the server's start or `sherd check
 * --fix` cut.
 *
 * One thread, but for what is atomic.
 */
#ifndef PERSIST_RECOVERY_H
#define PERSIST_RECOVERY_H

#include "persist/commits.h"
#include "persist/manifest.h"
#include "persist/merge.h"
#include "shard/keyspace.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RECOVERY_ERROR_MAX 640

enum file_state {
	FILE_WHOLE,
	FILE_CUT, /* a start cuts off its end */
	FILE_DAMAGED,
	FILE_UNREADABLE, /* missing, or the system says no */
};

struct recovery_file {
	char name[MANIFEST_FILE_MAX];
	uint32_t item; /* of the manifest */
	enum file_state state;
	const char *why;    /* not of a whole one */
	int error;          /* negative errno, of an unreadable one */
	enum merge_end end; /* of a journal */
	uint64_t bytes;
	uint64_t good;  /* so many of them, from the front */
	uint64_t count; /* of keys, or records, in these */
	uint64_t epoch; /* when what is not good was written, of a journal; EPOCH_NONE: not known */
	int64_t ms;     /* ... unix ms */
};

/* A state that the journals know: at the end of an epoch. */
struct recovery_point {
	uint64_t epoch;
	int64_t ms;      /* its first record was written, or the snapshot cut */
	uint64_t next;   /* the epoch after it; EPOCH_NONE: there is none */
	int64_t next_ms; /* ... when that began */
};

/* An effect that recovery_load() could not do again, though its record looks right. */
struct recovery_bad {
	bool known;
	uint32_t item, worker; /* the journal */
	uint64_t at;           /* ... where in it */
};

struct recovery {
	/* the caller's */
	int dir;
	const struct manifest *manifest;
	/* after recovery_begin() */
	struct commit committed;
	bool power_loss; /* another boot: of open stretches only that counts */
	uint32_t first;  /* item with which the data begin */
	uint64_t until;  /* what belongs to later epochs is left alone */
	/* any thread reads */
	_Atomic uint64_t bytes_total;
	_Atomic uint64_t bytes_done;
	/* results */
	struct recovery_file *files; /* in the manifest's order */
	uint32_t file_count;
	uint64_t
		epoch_last; /* the largest ever seen, also in what is not good and in the manifest */
	struct recovery_bad bad; /* recovery_look() calls it damage */
	char error[RECOVERY_ERROR_MAX];
};

/* Whether the directory has a manifest, or without one a file that looks like data. */
bool recovery_finds_data(int dir);

/*
 * Reads COMMITS. The manifest stays the caller's, unchanged until the end; an empty one where there
 * is none. False: error says why: also when there are files with data, and no manifest to say which
 * of them count.
 */
bool recovery_begin(struct recovery *recovery, int dir, const struct manifest *manifest);
void recovery_end(struct recovery *recovery);

/*
 * From now on only the newest state counts whose epoch began at or before `ms` (unix). False: error
 * says how far back the data go.
 */
bool recovery_until(struct recovery *recovery, int64_t ms, struct recovery_point *point);

/*
 * Loads into an empty keyspace on so many threads; `now`: unix ms, what keys' times of last use
 * count from. False: error says what is wrong, and where.
 */
bool recovery_load(struct recovery *recovery, struct keyspace *ks, uint32_t threads, int64_t now);

/* Looks at everything; the files say what came of it. */
void recovery_look(struct recovery *recovery);

/* "2026-11-21T10:00:00.123Z". Returns `text`. */
#define RECOVERY_TIME_MAX 64
const char *recovery_time_text(int64_t ms, char text[RECOVERY_TIME_MAX]);

/* A start fails with it. */
static inline bool recovery_file_bad(const struct recovery_file *file)
{
	return file->state == FILE_DAMAGED || file->state == FILE_UNREADABLE;
}

/*
 * What stands behind the good part of a journal that a start cuts: "of a record that is not whole".
 */
const char *recovery_cut_words(const struct recovery_file *file);

#endif
