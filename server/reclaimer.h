/*
 * The reclaimer: the one thread that waits for grace periods (design, section 3). It frees nothing.
 *
 * Workers ask for a period; all that ask while one is under way share the next.
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
};

int reclaimer_start(struct reclaimer *reclaimer, struct grace *grace);
void reclaimer_stop(struct reclaimer *reclaimer);

/*
 * Asks for a grace period that starts after now. Any thread; costs a load and a store when the
 * reclaimer is busy.
 */
void reclaimer_ask(struct reclaimer *reclaimer);

#endif
