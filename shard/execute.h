/*
 * Running a handler: as the holder of its slots, or as a reader under RCU.
 *
 * The caller (server/) has prepared the ctx: request, keys, time, reply, and says who it is.
 */
#ifndef SHARD_EXECUTE_H
#define SHARD_EXECUTE_H

#include "shard/ctx.h"

/* Handlers of commands on keys, by enum command_id; NULL for rows that need a connection. */
extern void (*const key_handlers[CMD_COUNT])(struct ctx *ctx);

/* Prepares a key: slot and hash. */
void key_prepare(struct key *key, struct keyspace *ks, struct slice name);

/* The slots of the keys, each once, in rising order; `slots` has room for key_count. Returns how many. */
uint32_t keys_slots(const struct key *keys, uint32_t key_count, struct slot **slots);

/*
 * Runs the handler as the holder of ctx->slots. Whatever it stores is one unit of work: all slots are
 * opened at the first store and closed when the handler returns.
 *
 * The clock: a writer must not treat a key as alive that some reader has already found expired. So where
 * keys expire it first opens its slots, then (after a full fence) loads the clock: a reader with a later
 * time now meets an odd seq, and one that had its answer under the even seq had an earlier time.
 */
void execute(struct ctx *ctx);

enum observed {
	OBSERVED,        /* the reply stands: all of it was true at one moment */
	OBSERVED_BUSY,   /* a writer was in the way each time: let the holder do it */
	OBSERVED_HOLDER, /* it met a value that only the holder may read */
};

/* Attempts of a reader before it leaves the work to the holder: for one key, and for several. */
#define OBSERVE_TRIES_ONE 3
#define OBSERVE_TRIES_MANY 8

/*
 * Runs a read-only handler under RCU on whatever slots its keys are in: notes the even seq of each
 * key's slot, runs it, then checks that none has changed. When all are the same there was a moment,
 * between the two passes, at which every answer was true. Counts the tries that failed in *retries.
 * On anything but OBSERVED the reply is as it was.
 */
enum observed execute_observed(struct ctx *ctx, uint64_t *retries);

#endif
