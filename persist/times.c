/* When epochs began (times.h). */
#include "persist/times.h"

#include "proto/mem.h"

#include <stdlib.h>

/* Epochs that there is room for at first. */
#define TIMES_FIRST 1024

void times_add(struct times *times, uint64_t epoch, int64_t ms)
{
	if (times->count == times->room) {
		times->room = times->room ? times->room * 2 : TIMES_FIRST;
		times->list = mem_realloc(times->list, times->room * sizeof(*times->list));
	}
	times->list[times->count++] = (struct epoch_time){epoch, ms};
}

static int times_order(const void *x, const void *y)
{
	const struct epoch_time *a = x, *b = y;
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	return (a->ms > b->ms) - (a->ms < b->ms);
}

struct recovery_point times_find(struct times *times, int64_t ms)
{
	struct recovery_point point = {0};
	if (times->count > 0)
		qsort(times->list, times->count, sizeof(*times->list), times_order);
	for (size_t i = 0; i < times->count; i++) {
		const struct epoch_time *time = &times->list[i];
		if (i > 0 && time->epoch == times->list[i - 1].epoch)
			continue; /* it began earlier in another journal */
		if (time->ms <= ms)
			point = (struct recovery_point){.epoch = time->epoch, .ms = time->ms};
		else if (point.next <= point.epoch)
			point = (struct recovery_point){point.epoch, point.ms, time->epoch,
							time->ms};
	}
	return point;
}

void times_deinit(struct times *times)
{
	mem_free_unsized(times->list);
}
