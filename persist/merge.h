/*
 * Reading the journals of a stretch back, in an order that is right (shard/journal.h).
 *
 * Each journal is a source with one record at its head. A head may be taken when all it needs is
 * done: for each of its slots the record with the number before it, and as many units on all slots
 * as its journal had seen; for a unit on all slots, that many records of each journal. Taking what
 * may be taken gets to the end of all sources, or to heads that wait for records that were never
 * written: then the process was killed, nobody had been told of them, and they are cut off with all
 * behind them.
 *
 * Of a source's bytes three kinds are not taken: of epochs that don't count, a torn last record,
 * and what waits for ever. Anything else that isn't a record, or not the one that its sum was made
 * of, is damage.
 *
 * A power loss leaves what was synced, and of what came later anything. Epochs that COMMITS has
 * were synced; those beyond it don't count, unless COMMITS says "always", or (as earlier versions
 * of Sherd did) their own marks do. Where the bytes of epochs that weren't synced make no record,
 * or one with a wrong sum, they end.
 *
 * One thread. Sources' bytes are the caller's, and stay until the end.
 */
#ifndef PERSIST_MERGE_H
#define PERSIST_MERGE_H

#include "persist/commits.h"
#include "proto/slice.h"
#include "shard/journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EPOCH_NO_LIMIT UINT64_MAX

enum merge_end {
	MERGE_WHOLE,   /* everything was taken */
	MERGE_BEYOND,  /* the rest belongs to epochs that were not committed, or aren't wanted */
	MERGE_TORN,    /* the last record is not whole */
	MERGE_ORPHAN,  /* the rest follows on what was never written */
	MERGE_DAMAGED, /* what stands there is no record, or its sum is wrong */
};

/* A record that is being taken. */
struct merge_record {
	const char *bytes; /* its effects one after the other, without MULTI and EXEC */
	size_t len;
	uint32_t db;       /* selected before the first */
	bool all;          /* a unit on all slots */
	uint16_t slot;     /* the only one, when `several` is not set */
	bool several;
	bool before_cut; /* #PRE: what it did is in the snapshot with which the stretch begins, if there is one */
	bool time_passes; /* not of a journal: its times to live count from now (aof.h) */
	uint32_t source;
	size_t at;         /* where it starts in its source */
	uint64_t epoch;    /* of the last mark before it; EPOCH_NONE: there was none */
	int64_t ms;        /* ... when that epoch began in this source (unix) */
};

struct merge_source {
	/* the caller's */
	uint32_t worker;
	const char *bytes;
	size_t len;
	uint64_t until; /* the last epoch that is wanted, whatever its mark says; EPOCH_NONE: all are */
	/* results */
	enum merge_end end;
	size_t taken;        /* so many bytes are good */
	uint64_t records;
	uint64_t epoch_end;  /* of what was not taken, as far as marks say */
	int64_t ms_end;
	uint64_t epoch_last; /* of any mark seen, also beyond the limit */
};

/*
 * Takes all records in order, handing each to `take`; false from it stops with false. Sources are
 * in the order of their workers. `committed`: there was a power loss, and COMMITS has this; NULL:
 * nothing that was written is lost.
 */
bool merge(struct merge_source *sources, uint32_t count, const struct commit *committed,
	   bool (*take)(void *arg, const struct merge_record *record), void *arg);

/*
 * Cuts one effect off the front. Returns how many bytes it took, MERGE_PART when they end within
 * it, MERGE_BAD when that is none. *argc is set, and the first `max` arguments are stored to argv.
 */
#define MERGE_PART 0
#define MERGE_BAD  (-1)
ptrdiff_t merge_effect(const char *bytes, size_t len, struct slice *argv, uint32_t max,
		       uint32_t *argc);

#endif
