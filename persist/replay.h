/*
 * Doing the effects of records again, on several threads.
 *
 * replay_record() is called by one thread, in an order that merge() found right; each record goes
 * to the thread that has its slot, one with several slots in parts. Records of one slot stay in
 * order, and that is all that counts, for an effect has its keys in one slot. A unit on all slots
 * waits until all before it are done, and is done by the calling thread.
 *
 * Time doesn't pass while effects are done again: nothing expires (ctx->now is 0), but for records
 * that say otherwise.
 *
 * Nobody else touches keys meanwhile. The threads have shards of their own (memory to retire,
 * counts of keys), which replay_drain() adds to the first shard of the keyspace.
 */
#ifndef PERSIST_REPLAY_H
#define PERSIST_REPLAY_H

#include "persist/merge.h"
#include "shard/keyspace.h"

#define REPLAY_ERROR_MAX 256

struct replay;

/* `now`: unix ms, what keys' times of last use say. */
struct replay *replay_begin(struct keyspace *ks, uint32_t threads, int64_t now);

/* False when an earlier effect could not be done. */
bool replay_record(struct replay *replay, const struct merge_record *record);

/* Waits until all is done; the bytes of the records may go then. */
bool replay_drain(struct replay *replay);

/* The effect that could not be done, as text; "" without. After replay_drain(). */
const char *replay_error(const struct replay *replay);

/* ... and where it stands in the records' bytes. */
const char *replay_error_at(const struct replay *replay);

/* Effects done so far. Any thread. */
uint64_t replay_effects(const struct replay *replay);

/* Ends the threads, frees everything. */
void replay_end(struct replay *replay);

#endif
