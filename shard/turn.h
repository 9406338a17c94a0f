/*
 * Turns: how work on millions of elements lets everybody else go on in between.
 *
 * Who starts such work sets shard->turn for as long as it runs, and the loops over the elements
 * call turn_step() for each, wherever they are. `over` decides: it returns at once while there is
 * time left, or only when the next turn has come. Others have run meanwhile: the slots were held
 * all the time and nothing in them has changed, but what this work itself has retired before may be
 * gone (retire.h), and scratch memory of the worker is somebody else's.
 *
 * Its worker only.
 */
#ifndef SHARD_TURN_H
#define SHARD_TURN_H

#include "shard/keyspace.h"

/*
 * With more elements than this a command takes turns: those of a hash cost some 0.1 us each to find
 * and write, so who takes none takes less than half a millisecond.
 */
#define LONG_ELEMENTS 4096

/* So many bytes copied and summed count as an element. */
#define LONG_ELEMENT_BYTES 128

/*
 * Steps before the clock is looked at: some microseconds, or half a megabyte of unusually long
 * elements.
 */
#define TURN_STEPS 32

struct turn {
	uint32_t steps; /* before over() is asked; it sets them again */
	void (*over)(struct turn *turn);
};

/* So many steps of the work, which may be long or not, are done. NULL: nobody waits. */
static inline void turn_steps(struct shard *shard, uint32_t steps)
{
	struct turn *turn = shard ? shard->turn : NULL;

	if (!turn)
		return;
	turn->steps = steps < turn->steps ? turn->steps - steps : 0;
	if (turn->steps == 0)
		turn->over(turn);
}

static inline void turn_step(struct shard *shard)
{
	turn_steps(shard, 1);
}

#endif
