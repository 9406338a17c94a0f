/*
 * The request path: parse, admit, route, run.
 *
 *	serve_ready()      cuts requests off the ready connections' bytes, in batches (design 4.4)
 *	serve_mail()       runs what other workers sent
 *
 * Where a request is run (design 4.1):
 *	on this worker's own slot, when it isn't lent              path_local
 *	a read of any other slot: here, by RCU                     path_rcu
 *	a write, or a read that met a writer: sent to the owner    path_forwarded
 *	several slots of several shards: borrowed (txn.h)          path_borrowed
 *	a slot of our own that is lent: when it comes back         path_lent_waits
 *
 * All: the worker's thread, in its tick, RCU online.
 */
#ifndef SERVER_SERVE_H
#define SERVER_SERVE_H

#include "server/worker.h"

/* Runs the requests of all ready connections. */
void serve_ready(struct worker *worker);

/* Takes the worker's mail and does what it says. */
void serve_mail(struct worker *worker);

/*
 * Runs an op of this worker on slots that it has borrowed (NULL: all of them), and answers it. The keys
 * are prepared.
 */
void serve_run_borrowed(struct worker *worker, struct op *op, const struct key *keys,
			uint32_t key_count, struct slot *const *slots, uint32_t slot_count);

/* An op of this or another worker has its reply: on to its origin. */
void serve_answer_op(struct worker *worker, struct op *op);

/* Runs or forwards the loans that have been granted on this worker's shard. */
void serve_granted(struct worker *worker);

/*
 * For handlers that need the connection: the request being run is answered later. Returns its op, which
 * stands in the connection's queue; the connection runs nothing until conn_answer(). What the handler
 * has written to its reply is dropped.
 */
struct op *serve_detach(struct conn *conn);

/* Counts error replies by their first word (INFO errorstats). */
void serve_count_errors(struct worker *worker, const struct reply *reply);

#endif
