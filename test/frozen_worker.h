/*
 * A worker without a keyspace, for tests of structures that a snapshot reads: its units of work,
 * the cuts between them, and what it has retired. What a unit after the cut retires is kept until
 * the snapshot is over; everything else goes at once.
 */
#ifndef TEST_FROZEN_WORKER_H
#define TEST_FROZEN_WORKER_H

#include "check.h"

#include "shard/journal.h"
#include "shard/retire.h"

/* A worker's clock and what it has retired. */
struct worker {
	struct retire retire;
	struct grace grace;
	struct freeze freeze;
	uint64_t epoch;
};

static inline void worker_init(struct worker *w)
{
	*w = (struct worker){.epoch = 1};
	retire_init(&w->retire);
}

/* A unit of work begins. */
static inline void worker_unit(struct worker *w)
{
	w->retire.unit = (struct unit){.epoch = w->epoch, .cut = atomic_load(&w->freeze.cut)};
}

static inline void worker_cut(struct worker *w)
{
	atomic_store(&w->freeze.cut, w->epoch++);
	worker_unit(w);
}

/* Frees what need not be kept. */
static inline void worker_collect(struct worker *w)
{
	while (retire_release_kept(&w->retire, &w->freeze))
		;
	retire_stamp(&w->retire, &w->grace);
	atomic_fetch_add(&w->grace.started, 1);
	atomic_store(&w->grace.completed, atomic_load(&w->grace.started));
	while (retire_collect(&w->retire, &w->grace, 100))
		;
}

static inline void worker_deinit(struct worker *w)
{
	atomic_store(&w->freeze.cut, EPOCH_NONE);
	worker_collect(w);
	assert_int_equal(retire_kept_bytes(&w->retire), 0);
	retire_deinit(&w->retire);
}

#endif
