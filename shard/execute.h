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

/*
 * The slots of the keys, each once, in rising order; `slots` has room for key_count. Returns how
 * many.
 */
uint32_t keys_slots(const struct key *keys, uint32_t key_count, struct slot **slots);

/* Puts slots in rising order, each once. Returns how many are left. */
uint32_t slots_unique(struct slot **slots, uint32_t count);

/*
 * Runs the handler; the caller holds the slots of its keys, and releases them when its unit of work
 * is done (ctx->stored says how).
 *
 * The clock: a holder must not treat a key as alive that some reader has already found expired. So
 * where keys expire it loads the clock (after a full fence) when it holds the slots: a reader with
 * a later time now meets an odd seq, and one that had its answer under the even seq had an earlier
 * time. (A reader loads it between its two looks at the seqs: that is the moment its answer was
 * true.)
 */
void execute(struct ctx *ctx);

/*
 * Holds these slots (hold.h), runs the handler, releases them. False: one of them is held by
 * another. With ctx->need_turns nothing has been done, and the reply is as it was.
 */
bool execute_holding(struct ctx *ctx, struct slot *const *slots, uint32_t count);

enum observed {
	OBSERVED,        /* the reply stands: all of it was true at one moment */
	OBSERVED_BUSY,   /* a writer was in the way each time, or for long: hold the slots */
	OBSERVED_HOLDER, /* only the holder may do it, or it needs turns (ctx->need_turns) */
};

/*
 * Attempts of a reader before it holds the slots itself: for one key, for several, and for more
 * than OBSERVE_KEYS_FEW: the more there are the more likely the next one fails too, and the more
 * work is lost. To meet a slot that is held costs none, as long as that lasts no longer than
 * HOLD_SPINS.
 */
#define OBSERVE_TRIES_ONE 3
#define OBSERVE_TRIES_MANY 8
#define OBSERVE_TRIES_LARGE 1
/* Which of them is for a read of so many keys. */
int observe_tries(uint32_t key_count);
#define OBSERVE_KEYS_FEW    64

/*
 * Runs a read-only handler under RCU on whatever slots its keys are in: notes the even seq of each
 * key's slot, runs it, then checks that none has changed. When all are the same there was a moment,
 * between the two passes, at which every answer was true. Counts the tries that failed in *retries.
 * On anything but OBSERVED the reply is as it was; hits and misses count for the try that stands.
 */
enum observed execute_observed(struct ctx *ctx, uint64_t *retries);

#endif
