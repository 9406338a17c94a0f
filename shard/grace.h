/*
 * Grace periods (design, section 3): who reads shared memory under RCU, and who waits until nobody
 * does.
 *
 * A grace period that starts after something was unlinked and has ended is one after which no
 * reader can have a pointer to it. The reclaimer (server/reclaimer.h) runs them, one after the
 * other; shard/retire.h goes by their numbers.
 */
#ifndef SHARD_GRACE_H
#define SHARD_GRACE_H

#include <stdatomic.h>
#include <stdint.h>

/* Numbers of periods. The thread that runs them writes, everybody reads. */
struct grace {
	_Alignas(64) _Atomic uint64_t started;
	_Alignas(64) _Atomic uint64_t completed;
	_Atomic uint32_t readers_done; /* for ThreadSanitizer only: see grace_reader_offline() */
};

/*
 * A reader's thread keeps no pointer from here on, until urcu_qsbr_thread_online(). ThreadSanitizer
 * doesn't see that a grace period orders what a reader did before what happens after the period:
 * liburcu's barriers are inline assembly. In its builds each reader leaves a mark here, and who has
 * waited looks at it.
 */
void grace_reader_offline(struct grace *grace);

/* Waits until all that read now are done. Any thread that isn't a reader online; never a worker. */
void grace_wait(struct grace *grace);

/*
 * Runs one period: started + 1, waits, completed = started (release). Only one thread, not a reader
 * online.
 */
void grace_period(struct grace *grace);

#endif
