/*
 * Who waits for a key: blocking commands, and how they are served.
 *
 * A command that finds nothing (BLPOP) leaves a waiter: the request, and a place in the queue of
 * each of its keys. A queue is one key in one database, in the order in which they came; it stands
 * in the index of its slot (slot->blocked, NULL while nobody waits there). Nothing is held while
 * waiting.
 *
 * Whoever puts a list or a sorted set under such a key notes its queue. At the end of the unit of
 * work (of all of EXEC, as in Redis), with all slots still held, unit_end() goes through what has
 * been noted, in that order, and serves each queue from its front while there is something for it:
 * it claims the waiter, runs its command on that key, and puts the waiter on the shard's list of
 * served ones; its reply goes by mail to the worker that made it. What that command puts (BLMOVE)
 * is noted behind the rest: chains need no recursion.
 *
 * A waiter's state is decided by one CAS away from WAITER_WAITING:
 *	SERVED  by a holder of one of its slots, before the element is taken
 *	GONE    by the worker that made it: timeout, CLIENT UNBLOCK, the connection closes
 * Why nothing is lost and nobody is served twice: the element is taken after the claim, in the same
 * hold, from a value that is there and of the right type, so a claim always brings a reply. Once
 * claimed by a holder, the waiter's worker can't let go of it: request and connection stay until
 * the letter has come. Once gone, no holder takes anything for it. So a client whose end was seen
 * before the claim is never served; one that went afterwards has been served, like one whose
 * connection breaks while the reply is being sent (test/model/blocked.pml).
 *
 * BLMOVE's destination may be in a slot that isn't held. It is tried for, as nobody waits while
 * holding; where another holds it the waiter stays at the front of its queue, unclaimed, and the
 * queue is stalled: nobody behind is served before, blocking commands that come now queue up
 * behind, and the worker that found it so tries again in each tick (blocked_retry). Slots that were
 * held for a destination are kept until all is served, and then released with the others.
 *
 * One unit serves no more than SERVE_ELEMENTS_MAX elements, for others wait as well: a client that
 * asks for more than are left of these gets fewer, and where none is left the queue is stalled in
 * the same way.
 *
 * A waiter on several keys is served by the first that was noted. Its places in other queues are
 * taken out by its worker where the slots are free, else later, and by whoever comes across them.
 *
 * Who may touch what:
 *	slot->blocked, its index, queues, places  the slot's holder
 *	waiter->state                             any thread, as above
 *	the rest of a waiter                      its worker; between claim and letter who has claimed it
 */
#ifndef SHARD_BLOCKED_H
#define SHARD_BLOCKED_H

#include "shard/ctx.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Slots held for destinations by one unit of work; more wait for the next tick. */
#define BLOCKED_ALSO_MAX 32
/* Elements that one unit of work gives to who waits: some milliseconds of popping and replying. */
#define SERVE_ELEMENTS_MAX 16384

enum waiter_state {
	WAITER_WAITING,
	WAITER_SERVED,
	WAITER_GONE,
};

/* A waiter's place in one queue. */
struct waiting {
	struct waiting *prev, *next;
	struct blocked_queue *queue; /* NULL: taken out */
	struct waiter *waiter;
	struct key key; /* its name stands in the waiter's request */
};

struct waiter {
	_Atomic uint32_t state; /* enum waiter_state */
	/* constant: the request, which its worker keeps until the waiter is served or gone */
	uint16_t worker; /* that made it */
	uint8_t resp;
	bool no_touch;
	enum entry_type type; /* of the values it waits for */
	uint32_t db;
	uint32_t argc;
	const struct command *cmd;
	const struct slice *argv;
	struct key target; /* where it moves what it takes; slot NULL: nowhere */
	uint32_t place_count;
	uint32_t clear_at; /* its worker: places before this one are taken out */
	struct waiting *places;
	/* who has claimed it */
	struct reply reply;
	struct waiter *next; /* among the served ones */
} __attribute__((aligned(16)));

/*
 * Puts it into the queues of its keys: the first `ctx->block.key_count` of the request, each once.
 * `waiter` is zeroed but for `worker`, `resp` and `places`, which has room for as many. Their slots
 * are held.
 */
void blocked_wait(struct waiter *waiter, const struct ctx *ctx, const struct slice *argv);

/* One CAS away from waiting: true when it was ours. */
static inline bool waiter_claim(struct waiter *waiter, enum waiter_state state)
{
	uint32_t waiting = WAITER_WAITING;
	return atomic_compare_exchange_strong_explicit(&waiter->state, &waiting, state,
						       memory_order_acq_rel, memory_order_relaxed);
}

/*
 * Takes a waiter, served or gone, out of its queues, but for those whose slots are held by others.
 * True when none is left. Its worker, who counts the queues in `shard`.
 */
bool blocked_clear(struct waiter *waiter, struct shard *shard);

/*
 * A value has been put under a key: who waits for it may be served. The slot's holder, while it has
 * waiters.
 */
void blocked_note(struct ctx *ctx, const struct key *key, uint32_t db);
/* The same for all keys of the slot in a database. */
void blocked_note_all(struct ctx *ctx, struct slot *slot, uint32_t db);

/*
 * Others wait at key k already, for something that is there: a blocking command goes behind them.
 * Holder.
 */
bool blocked_ahead(const struct ctx *ctx, uint32_t k);

/*
 * Ends a unit of work (hold.h): serves who waits for what it has noted, then releases its slots,
 * those that are held, in rising order; NULL: all. `now` is its moment, `stored` whether it stored
 * something in one of them. Where serving has held more, for destinations, one record is made of it
 * all.
 */
void unit_end(struct ready_list *ready, struct shard *shard, struct slot *const *slots,
	      uint32_t count, bool stored, int64_t now, const _Atomic int64_t *clock);

/*
 * Tries again where a destination was held by another, or more was there than one unit gives away.
 * True when there is more to try.
 */
bool blocked_retry(struct shard *shard, const _Atomic int64_t *clock);

#endif
