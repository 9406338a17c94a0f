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
 * What takes long: as the holder of its slots, turn by turn (long_run.h)         path_long
 * EXEC runs many requests as the holder of all their slots (multi.h).
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

/* --- for those who hold slots by themselves --- */

/* What a handler gets for this request: key 0 if it has one, a reader as yet. */
struct ctx serve_ctx(struct worker *worker, const struct request *request, struct reply *reply);

/* The keys of a request, prepared, in worker->keys; worker->slots has room for as many. Returns how many. */
uint32_t serve_keys(struct worker *worker, const struct request *request);

/* Becomes the holder of these slots (NULL: of all), or of none: false, and the request is to be put off. */
bool serve_hold(struct worker *worker, struct slot *const *slots, uint32_t count);

/* A flush waits until few entries of earlier ones are left: who fills and flushes takes no more and more. */
static inline bool is_flush(const struct command *cmd)
{
	return cmd->id == CMD_flushall || cmd->id == CMD_flushdb;
}

static inline bool flush_waits(const struct worker *worker)
{
	return worker->shard->retire.flushed > FLUSHED_MAX;
}

/*
 * Goes on with a request that takes turns, on these slots (NULL: all), which are held. False: there is no
 * room for it, and nothing is changed.
 */
bool serve_long(struct worker *worker, struct pending *p, const struct ctx *ctx,
		struct slot *const *slots, uint32_t count);

/*
 * Runs a request that is part of a larger one. The slots of its keys are held; `now` is the moment of it
 * all; *stored is set when it has stored something. Its answer is still to come if conn->op is set.
 */
void serve_in_place(struct pending *p, const struct key *keys, uint32_t key_count, int64_t now,
		    struct ready_list *ready, bool *stored);

/* Counts a command that has taken so long. */
void serve_book(struct worker *worker, const struct command *cmd, uint64_t cycles);

/* Counts a command that has taken all the time since the last one, and its error. Returns the cycles. */
uint64_t serve_account(struct worker *worker, const struct command *cmd, const struct reply *reply,
		       uint32_t errors_before);

#endif
