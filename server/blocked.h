/*
 * Clients in blocking commands (BLPOP ...): their side of shard/blocked.h.
 *
 * blocked_run() holds the slots of all keys and runs the command. If it finds nothing the
 * connection gets an op and a waiter, and runs nothing until one of these ends it:
 *	a letter      somebody has served the waiter: its reply is the answer
 *	its timeout   the worker keeps those that have one in a heap, and a timer for the first
 *	UNBLOCK       like the timeout, or with an error
 *	it closes     also when the client has sent all it will send; nobody is answered
 * The last three are decided by the worker's claim; where a holder's came first the letter is on
 * its way and decides.
 *
 * Reading goes on meanwhile, so that a client that leaves is noticed. One that sends more than
 * CONN_IN_MAX behind a command that blocks is not read from any more: for it the hang-up is looked
 * for a few times a second.
 *
 * The time in which it waited isn't the command's; it is counted when it is over.
 *
 * The connection's worker only.
 */
#ifndef SERVER_BLOCKED_H
#define SERVER_BLOCKED_H

#include "server/worker.h"
#include "shard/blocked.h"

enum blocked_end {
	BLOCKED_TIMEOUT,
	BLOCKED_ERROR, /* CLIENT UNBLOCK ... ERROR */
};

/* A connection in a blocking command. */
struct blocked {
	struct waiter waiter; /* first: a letter brings it */
	struct op *op;        /* NULL once that is over */
	int64_t until;        /* unix ms; INT64_MAX: no timeout */
	uint32_t heap_at;     /* where in the heap, if it has one */
	struct blocked *next; /* among those that are over */
	size_t bytes;         /* of it all */
	struct waiting places[];
};

/*
 * Runs a blocking command, at once or taking turns, or has its connection wait. False: a slot is
 * held by another, and nothing has been done.
 */
bool blocked_run(struct worker *worker, struct pending *p, struct ctx *ctx, uint32_t slot_count);

/* A letter: the waiter has been served. */
void blocked_served(struct worker *worker, struct waiter *waiter);

/* Ends the waiting; false when the connection waits for nothing, or is being served. */
bool blocked_end(struct conn *conn, enum blocked_end how);

/*
 * The client goes: nobody answers it. False when there is nothing to leave, or it is being served:
 * the answer is on its way, and finds the connection there or closed.
 */
bool blocked_leave(struct conn *conn);

/* Each tick: timeouts, places to be taken out, waiters to be tried again. */
void blocked_step(struct worker *worker);

/* Before the mail is posted: letters to those that were served. */
void blocked_post(struct worker *worker);

/* Before polling: starts the timer for the next timeout. */
void blocked_arm(struct worker *worker);

/* Has more to do before it sleeps. */
static inline bool blocked_busy(const struct worker *worker)
{
	return worker->unblocking || worker->shard->stalled_count > 0;
}

/* Closes it if its client has hung up and nobody reads. A few times a second. */
void blocked_look(struct conn *conn);

#endif
