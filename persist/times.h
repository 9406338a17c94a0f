/*
 * When epochs began, as far as journals and snapshots tell: to find the state of a moment.
 *
 * Several journals tell of one epoch; it began at the earliest of these times. An empty one is all
 * zero.
 *
 * One thread.
 */
#ifndef PERSIST_TIMES_H
#define PERSIST_TIMES_H

#include "persist/recovery.h"

#include <stddef.h>
#include <stdint.h>

struct epoch_time {
	uint64_t epoch;
	int64_t ms; /* unix */
};

/* In no order, and an epoch more than once, before times_find(). */
struct times {
	struct epoch_time *list;
	size_t count, room;
};

void times_add(struct times *times, uint64_t epoch, int64_t ms);

/* Puts them in order of epochs. The last one that began by then, and the one after it. */
struct recovery_point times_find(struct times *times, int64_t ms);

void times_deinit(struct times *times);

#endif
