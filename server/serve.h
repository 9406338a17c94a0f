/*
 * The request path: parse, admit, route, run.
 *
 *	serve_ready()      cuts requests off the ready connections' bytes, in batches (design 4.4)
 *	serve_mail()       runs what other workers sent
 *
 * How a request on keys is run, always by the connection's worker:
 *	a read: under RCU, holding nothing                                   path_rcu
 *	a write, a read of an owner-only value, a read that met a writer
 *	time and again: as the holder of its slot                            path_held
 *	... of its slots, of all slots                   path_held_several, path_held_all
 * Where a slot is held by another worker the request stays in the read block and is tried again in
 * the next tick                                                             path_waits
 *
 * All: the worker's thread, in its tick, RCU online.
 */
#ifndef SERVER_SERVE_H
#define SERVER_SERVE_H

#include "server/worker.h"

/* The worker's scratch memory for requests. */
void serve_init(struct worker *worker);
void serve_deinit(struct worker *worker);

/* Runs the requests of all ready connections. */
void serve_ready(struct worker *worker);

/* Takes the worker's mail and does what it says. */
void serve_mail(struct worker *worker);

/* The op's reply is written: notes what it took, and hands it to its connection. */
void serve_answer(struct worker *worker, struct op *op);

/*
 * For handlers that need the connection: the request being run is answered later. Returns its op; the
 * connection runs nothing until serve_answer(). What the handler has written to its reply is dropped.
 */
struct op *serve_detach(struct conn *conn);

/* Counts error replies by their first word (INFO errorstats). */
void serve_count_errors(struct worker *worker, const struct reply *reply);

#endif
