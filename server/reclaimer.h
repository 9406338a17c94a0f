/*
 * The reclaimer: the one thread that waits for grace periods (design, section 3). It frees nothing.
 *
 * Workers ask for a period; all that ask while one is under way share the next. The sequence
 * started++, synchronize, completed = started is what shard/retire.h relies on.
 */
#ifndef SERVER_RECLAIMER_H
#define SERVER_RECLAIMER_H

#include "shard/retire.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct reclaimer {
	struct grace *grace;
	pthread_t thread;
	pthread_mutex_t mutex; /* guards the condition only */
	pthread_cond_t asked_for;
	_Atomic bool asked;   /* workers set it; the reclaimer clears it before a period starts */
	_Atomic bool waiting; /* the reclaimer sleeps, or is about to */
	_Atomic bool stop;
	_Atomic uint32_t readers_done; /* for ThreadSanitizer only: see reclaimer_reader_done() */
};

/*
 * ThreadSanitizer doesn't see that a grace period orders what a reader did before what happens after the
 * period: liburcu's barriers are inline assembly. In its builds each reader leaves a mark here before it goes
 * offline, and the reclaimer looks at it after the period. Elsewhere this is nothing.
 */
static inline void reclaimer_reader_done(struct reclaimer *reclaimer)
{
#ifdef __SANITIZE_THREAD__
	atomic_fetch_add_explicit(&reclaimer->readers_done, 1, memory_order_acq_rel);
#endif
}

int reclaimer_start(struct reclaimer *reclaimer, struct grace *grace);
void reclaimer_stop(struct reclaimer *reclaimer);

/* Waits for a grace period that starts now. Threads that may wait: not workers. */
void reclaimer_wait(struct reclaimer *reclaimer);

/* Asks for a grace period that starts after now. Any thread; costs a load and a store when the reclaimer is busy. */
void reclaimer_ask(struct reclaimer *reclaimer);

#endif
