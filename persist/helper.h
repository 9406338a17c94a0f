/*
 * What a thread has that fills the keyspace at start, beside the workers: a shard of its own
 * (memory to retire, counts of keys), and grace periods of its own, which don't wait for others
 * that fill.
 *
 * Each one thread's; init and deinit by whoever starts and joins the threads.
 */
#ifndef PERSIST_HELPER_H
#define PERSIST_HELPER_H

#include "shard/keyspace.h"

struct helper {
	struct shard *shard;
	struct grace grace;
};

/* `now`: unix ms, what keys' times of last use say. */
void helper_init(struct helper *helper, struct keyspace *ks, uint32_t id, int64_t now);

/* Frees what was replaced, when it has become much. */
void helper_collect(struct helper *helper);

/* Its counts of keys go to the first shard of the keyspace. While nobody else counts there. */
void helper_absorb(struct helper *helper);

/* Nobody reads what it has retired any more. */
void helper_deinit(struct helper *helper);

#endif
