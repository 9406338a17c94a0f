/*
 * Running one request, always by the connection's worker:
 *	a read: under RCU, holding nothing                                   path_rcu
 *	a write, a read of an owner-only value, a read that met a writer
 *	time and again: as the holder of its slot                            path_held
 *	... of its slots, of all slots                   path_held_several, path_held_all
 * What takes long: as the holder of its slots, turn by turn (long_run.h)         path_long
 * EXEC runs many requests as the holder of all their slots (multi.h).
 * Where a slot is held by another worker nothing is done, and the caller tries again in the next
 * tick                                                                      path_waits
 *
 * All: the worker's thread, in its tick, RCU online.
 */
#ifndef SERVER_RUN_H
#define SERVER_RUN_H

#include "server/worker.h"

/* The worker's scratch memory for requests on several keys: worker->keys, worker->slots. */
void run_init(struct worker *worker);
void run_deinit(struct worker *worker);

/*
 * Runs a request that has been admitted: its reply is written, or comes later, then conn->op is
 * set. False: it can't be run now, and nothing has been done.
 */
bool run_request(struct worker *worker, struct pending *p, struct reply *reply);

/* --- for those who hold slots by themselves --- */

/* What a handler gets for this request: key 0 if it has one, a reader as yet. */
struct ctx run_ctx(struct worker *worker, const struct request *request, struct reply *reply);

/*
 * The keys of a request, prepared, in worker->keys; worker->slots has room for as many. Returns how
 * many.
 */
uint32_t run_keys(struct worker *worker, const struct request *request);

/*
 * Becomes the holder of these slots (NULL: of all), or of none: false, and the request is to be put
 * off.
 */
bool run_hold(struct worker *worker, struct slot *const *slots, uint32_t count);

/*
 * A flush waits until few entries of earlier ones are left: who fills and flushes takes no more and
 * more.
 */
static inline bool is_flush(const struct command *cmd)
{
	return cmd->id == CMD_flushall || cmd->id == CMD_flushdb;
}

static inline bool flush_waits(const struct worker *worker)
{
	return worker->shard->retire.flushed > FLUSHED_MAX;
}

/*
 * Goes on with a request that takes turns, on these slots (NULL: all), which are held. False: there
 * is no room for it, and nothing is changed.
 */
bool run_long(struct worker *worker, struct pending *p, const struct ctx *ctx,
	      struct slot *const *slots, uint32_t count);

/*
 * Runs a request that is part of a larger one. The slots of its keys are held; `now` is the moment
 * of it all; *stored is set when it has stored something. Its answer is still to come if conn->op
 * is set.
 */
void run_in_place(struct pending *p, const struct key *keys, uint32_t key_count, int64_t now,
		  struct ready_list *ready, bool *stored);

#endif
