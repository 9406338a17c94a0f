/*
 * The gate: replies wait until what they tell of is in the journals' files.
 *
 * A reply may tell of writes of other workers whose bytes are not written yet (shard/journal.h:
 * journal_saw() notes whose, and up to where), and with appendfsync always all that it tells of
 * must be synced. So at the end of a tick the connections with replies go to the gate when
 * something is missing, and are flushed when it has come. A connection at the gate runs no further
 * request.
 *
 * Two lists: those of the `first` list wait for what they need; who comes later waits on the
 * `second`, whose needs grow until it becomes the first. So nobody waits for what others saw later,
 * but for one round.
 *
 * A connection that gets an answer while it is at the gate (a job's, another worker's) goes through
 * once more, for that answer has looked at later things.
 *
 * Nothing can be missing for ever: the journal of a worker is written at the end of its tick, and
 * ticks end; a write or sync that fails is tried again (server/flusher.h), and until then the gate
 * stays closed.
 *
 * The worker's thread.
 */
#ifndef SERVER_GATE_H
#define SERVER_GATE_H

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct worker;

struct gate_list {
	struct conn *first, *last; /* linked by flush_next */
	uint64_t *need;            /* a byte of each worker's journal */
};

struct gate {
	struct gate_list first, second;
};

void gate_init(struct gate *gate, uint32_t workers);
void gate_deinit(struct gate *gate, uint32_t workers);

/*
 * The end of a tick: may what the worker has on its flush list go out now? If not, it goes to the
 * gate.
 */
bool gate_pass(struct worker *worker);

/* Puts whom the gate lets go back on the flush list. Before the tick's flushing. */
void gate_open(struct worker *worker);

/*
 * The end of an iteration of the loop while somebody waits with appendfsync always: sees to it that
 * what they need of the worker's own journal gets synced, here and now if the worker is idle. True:
 * look again who may go.
 */
bool gate_before_sleep(struct worker *worker, bool idle);

/*
 * Notes how much of the worker's journal is safe with all it rests on: who looks at that asks no
 * further.
 */
void gate_settle(struct worker *worker);

/* Somebody waits. */
static inline bool gate_waits(const struct gate *gate)
{
	return gate->first.first;
}

#endif
