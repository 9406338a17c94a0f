/*
 * Loans: who may write a shard's slots while transactions over several shards are about.
 *
 * A worker lends slots of its shard; what wants a slot that is lent waits in that slot's queue, first
 * come, first served. A `struct loan` is one request for some slots of one shard (or all of them). It
 * enters the queues of all its slots in the same moment, and is granted when it stands first in each.
 *
 * No deadlock: on one shard loans enter their queues whole, one after the other; over several shards
 * the transactions' tickets make that order the same everywhere (txn.h). So of all loans that wait, the
 * one with the lowest ticket waits only for such as have been granted.
 *
 * The whole shard (`all`) is one gate instead of 16384 queue entries: it is granted when no slot is lent
 * or waited for. While it waits or is granted everything that comes later waits behind it at the gate.
 *
 * Slots that nobody wants have queue == NULL: the common case costs one compare.
 *
 * Everything here belongs to the owner's worker.
 */
#ifndef SERVER_LOAN_H
#define SERVER_LOAN_H

#include "shard/keyspace.h"

#include <stdbool.h>
#include <stdint.h>

struct loan;

/* A loan's place in the queue of one slot. */
struct loan_place {
	struct loan *loan;
	struct loan_place *next;
	struct slot *slot;
};

struct loan {
	struct loan *next;     /* at the gate, or among the granted ones */
	void *owner;           /* the operation or transaction that wants it */
	bool for_txn;          /* `owner` is a struct txn, else a struct op */
	bool all;              /* the whole shard: no places */
	uint16_t shard;        /* whose slots */
	uint32_t missing;      /* places where it is not first yet */
	uint32_t place_count;
	struct loan_place places[];
} __attribute__((aligned(16)));

/* The loans of one shard. */
struct loans {
	uint32_t busy;            /* slots with a queue */
	struct loan *all_holder;  /* has the whole shard */
	struct loan *gate_first;  /* wait for the whole shard, or behind one that does */
	struct loan *gate_last;
	struct loan *granted_first; /* granted, to be run: loans_next_granted */
	struct loan *granted_last;
};

/* A loan of `slot_count` slots (each once), or of the whole shard when `slots` is NULL. */
struct loan *loan_new(uint16_t shard, void *owner, bool for_txn, struct slot *const *slots,
		      uint32_t slot_count);
void loan_free(struct loan *loan);

static inline bool loans_gated(const struct loans *loans)
{
	return loans->all_holder || loans->gate_first;
}

/* True when the slot may be written at once by its owner. */
static inline bool loans_slot_free(const struct loans *loans, const struct slot *slot)
{
	return !slot->queue && !loans_gated(loans);
}

/* Enters the loan; when it is granted at once or later it comes out of loans_next_granted. */
void loans_request(struct loans *loans, struct loan *loan);

/* The next loan that has been granted, to be run by the caller; NULL when there is none. */
struct loan *loans_next_granted(struct loans *loans);

/* Gives the slots back: those who wait next may be granted. The loan itself is the caller's to free. */
void loans_return(struct loans *loans, struct loan *loan);

#endif
