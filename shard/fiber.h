/*
 * Fibers: a function on a stack of its own, which may pause in the middle and is resumed later, on
 * the same thread.
 *
 * What a loop over millions of elements needs to let others have their turn, wherever it stands:
 * its state is its stack. A fiber that pauses and whose function owns nothing but memory on that
 * stack may be freed instead of resumed.
 *
 * The thread that made it, for all functions.
 */
#ifndef SHARD_FIBER_H
#define SHARD_FIBER_H

#include <stdbool.h>

/*
 * Bytes of a stack, of which only touched pages cost memory. Handlers keep about a kilobyte of
 * packed value on it, twice or three times, and sanitizers double everything.
 */
#define FIBER_STACK_BYTES (256 * 1024)

struct fiber;

/* A fiber that will run the function; it doesn't run yet. NULL: there is no memory for a stack. */
struct fiber *fiber_new(void (*run)(void *arg), void *arg);

/* Lets go of the stack as it is. free(NULL) is fine. Not from within. */
void fiber_free(struct fiber *fiber);

/* Runs it, or goes on with it. True when the function has returned, false when it has paused. */
bool fiber_resume(struct fiber *fiber);

/* Back to who resumed it. From within. */
void fiber_pause(struct fiber *fiber);

#endif
