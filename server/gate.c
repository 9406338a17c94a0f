/* The gate (gate.h). */
#include "server/gate.h"

#include "proto/mem.h"
#include "server/server.h"
#include "server/worker.h"

#include <string.h>

void gate_init(struct gate *gate, uint32_t workers)
{
	*gate = (struct gate){0};
	gate->first.need = mem_zalloc(workers * sizeof(*gate->first.need));
	gate->second.need = mem_zalloc(workers * sizeof(*gate->second.need));
}

void gate_deinit(struct gate *gate, uint32_t workers)
{
	mem_free(gate->first.need, workers * sizeof(*gate->first.need));
	mem_free(gate->second.need, workers * sizeof(*gate->second.need));
}

/* All that the list needs is there. */
static bool is_met(const struct worker *worker, const uint64_t *need)
{
	for (uint32_t i = 0; i < worker->server->worker_count; i++)
		if (need[i] > flusher_safe(&worker->server->flusher, i))
			return false;
	return true;
}

void gate_settle(struct worker *worker)
{
	struct journal *journal = &worker->shard->journal;
	const struct flusher *flusher = &worker->server->flusher;
	if (flusher_off(flusher))
		return;
	uint64_t safe = flusher_firm(flusher, worker->id);
	if (safe <= atomic_load_explicit(&journal->settled, memory_order_relaxed))
		return;
	for (uint32_t i = 0; i < worker->server->worker_count; i++)
		if (atomic_load_explicit(&journal->rests_on[i], memory_order_relaxed) >
		    flusher_firm(flusher, i))
			return;
	atomic_store_explicit(&journal->settled, safe, memory_order_release);
}

/* Puts the connection at the end of the list. */
static void list_add(struct gate_list *list, struct conn *conn)
{
	conn->flush_next = NULL;
	if (list->first)
		list->last->flush_next = conn;
	else
		list->first = conn;
	list->last = conn;
}

/* Moves the worker's flush list to the end of this one. */
static void list_take(struct worker *worker, struct gate_list *list)
{
	struct conn *next, *conn = worker->flush_first;
	worker->flush_first = NULL;
	for (; conn; conn = next) {
		next = conn->flush_next;
		conn_wait(conn, WAIT_GATE);
		list_add(list, conn);
	}
}

/* Adds what the tick has looked at; nothing has been looked at then. */
static void need_take(struct worker *worker, uint64_t *need)
{
	uint64_t *saw = worker->shard->journal.saw;
	for (uint32_t i = 0; i < worker->server->worker_count; i++) {
		need[i] = saw[i] > need[i] ? saw[i] : need[i];
		saw[i] = 0;
	}
	worker->shard->journal.saw_any = false;
}

/* Of the others; the worker's own journal is for gate_before_sleep(). */
static void ask_for(struct worker *worker, const uint64_t *need)
{
	struct flusher *flusher = &worker->server->flusher;
	for (uint32_t i = 0; i < worker->server->worker_count; i++)
		if (i != worker->id && need[i] > flusher_safe(flusher, i))
			flusher_ask(flusher, i, need[i]);
}

bool gate_before_sleep(struct worker *worker, bool idle)
{
	struct flusher *flusher = &worker->server->flusher;
	uint64_t need = worker->gate.first.need[worker->id];
	if (!flusher_wakes(flusher) || need <= flusher_safe(flusher, worker->id))
		return false;
	if (idle)
		return flusher_sync(flusher, worker->id);
	flusher_ask(flusher, worker->id, need);
	return false;
}

bool gate_pass(struct worker *worker)
{
	struct gate *gate = &worker->gate;
	struct journal *journal = &worker->shard->journal;
	if (!journal->saw_any)
		return true;
	if (is_met(worker, journal->saw)) {
		memset(journal->saw, 0, worker->server->worker_count * sizeof(*journal->saw));
		journal->saw_any = false;
		return true;
	}
	struct gate_list *list = gate_waits(gate) ? &gate->second : &gate->first;
	need_take(worker, list->need);
	list_take(worker, list);
	ask_for(worker, list->need);
	return false;
}

/* Back to the flush list, where they came from; or once more, behind the second list. */
static void release_first(struct worker *worker)
{
	struct gate *gate = &worker->gate;
	struct conn *next, *conn = gate->first.first;
	gate->first.first = NULL;
	for (; conn; conn = next) {
		next = conn->flush_next;
		if (conn->flags & CONN_GATE_AGAIN) {
			conn->flags &= ~(uint32_t)CONN_GATE_AGAIN;
			list_add(&gate->second, conn);
			continue;
		}
		conn->flush_next = worker->flush_first;
		worker->flush_first = conn;
		conn_resume(conn, WAIT_GATE);
	}
}

void gate_open(struct worker *worker)
{
	struct gate *gate = &worker->gate;
	while (gate_waits(gate) && (worker->stopping || is_met(worker, gate->first.need))) {
		release_first(worker);
		struct gate_list emptied = gate->first;
		gate->first = gate->second;
		gate->second = emptied;
		memset(emptied.need, 0, worker->server->worker_count * sizeof(*emptied.need));
	}
	if (gate_waits(gate))
		ask_for(worker, gate->first.need);
}
