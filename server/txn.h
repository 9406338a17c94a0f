/*
 * Transactions: one command on slots of several shards, or on all slots.
 *
 * The origin's worker borrows the slots (loan.h), runs the command on them as if it were alone, and gives
 * them back (design 4.5):
 *  1. under the server's ticket mutex it takes the next ticket and pushes a LOCK into the mailbox of every
 *     participant, its own too if it is one. So all shards see all transactions in the same order.
 *  2. each owner enters the loan and reports GRANTED when all its slots are lent.
 *  3. after the last GRANTED the origin runs the command: all seqs odd, work, all seqs even.
 *  4. it sends UNLOCK with this tick's mail; the owners take the slots back and let in who waits.
 * From LOCK on a transaction always reaches UNLOCK; when its connection goes away only the reply is lost.
 *
 * The mutex is held for one push per participant; wakes are done after it.
 */
#ifndef SERVER_TXN_H
#define SERVER_TXN_H

#include "server/worker.h"

struct loan;
struct txn;

/*
 * Starts a transaction for `op` (of this worker, in its connection's queue) on the given keys; with
 * key_count 0 on all slots. The keys are copied.
 */
void txn_start(struct worker *worker, struct op *op, const struct key *keys, uint32_t key_count);

/* Whose it is: constant. Any thread that holds one of its loans. */
struct worker *txn_origin(const struct txn *txn);

/* One participant's slots are lent. Origin's worker. */
void txn_granted(struct worker *worker, struct loan *loan);

#endif
