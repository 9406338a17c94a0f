/*
 * Long runs: commands on so many elements that others must have their turn in between (HGETALL of a
 * million fields, ZUNIONSTORE, LREM through a long list).
 *
 * Such a handler has refused to run in one go (ctx_long). It is run again as the holder of its
 * slots, on a fiber (shard/fiber.h): it goes on for LONG_SLICE_US a tick, until its turn is over
 * (shard/turn.h), and keeps its slots held until it is done. So what it sees and does is of one
 * moment, and it waits for nobody: its reply goes out as far as it is written, and what the client
 * doesn't read is kept as any reply is, up to client-output-buffer-limit. All other slots are
 * served meanwhile; of its own, all reads under RCU when it doesn't write (slot_quiet); the rest
 * comes back later.
 *
 * When its connection goes: a read that owns nothing is dropped where it stands, anything else goes
 * on to its end. Within EXEC the slots are EXEC's, and no reply is sent before all of it is done.
 *
 * The connection's worker only.
 */
#ifndef SERVER_LONG_RUN_H
#define SERVER_LONG_RUN_H

#include "server/worker.h"
#include "shard/hold.h"

/* What one of them may do in a tick. */
#define LONG_SLICE_US 500
/*
 * At once on one worker: bounds what their stacks take. Further ones wait as if their slots were
 * held.
 */
#define LONG_RUNS_MAX 64
/* A long run waits while more than this is retired and not freed, long before nobody is served. */
#define LONG_RETIRED_MAX (RETIRED_BYTES_MAX / 4)

/*
 * Begins to run the request of an op of the connection (what `ctx` says of it is copied), whose
 * slots (NULL: all) are held; they will be released. What the unit of work has done so far is part
 * of it. The answer comes by op_answer(). False: there is no room for another one, nothing is
 * changed.
 */
bool long_run_begin(struct worker *worker, struct op *op, const struct ctx *ctx,
		    struct slot *const *slots, uint32_t count);

/*
 * The same within EXEC, which holds its slots: *stored is set when it has stored something. EXEC
 * puts its unit of work by in *unit before the first turn, and takes it back when it goes on; what
 * the run has done is in it.
 */
bool long_run_begin_within(struct worker *worker, struct op *op, const struct ctx *ctx,
			   struct unit_put_by *unit, bool *stored);

/* Whether there is room for another one. */
static inline bool long_run_room(const struct worker *worker)
{
	return worker->long_runs < LONG_RUNS_MAX;
}

#endif
