/*
 * Workers: the loop and the tick (worker.h).
 *
 * libuv runs its I/O callbacks inside its poll phase, then worker_on_check(): the tick. Before the
 * next poll worker_on_prepare() decides whether to sleep: with work left, or mail just come, an
 * idle handle makes the poll return at once.
 */
#include "server/worker.h"

#include "proto/mem.h"
#include "server/blocked.h"
#include "server/log.h"
#include "server/memory.h"
#include "server/multi.h"
#include "server/post.h"
#include "server/run.h"
#include "server/serve.h"
#include "server/server.h"
#include "server/slowlog.h"
#include "shard/sweep.h"

#include <assert.h>
#include <sched.h>
#include <stdio.h>
#include <urcu/urcu-qsbr.h>

/* Things freed before the clock is looked at again: more than the sweep may retire meanwhile. */
#define COLLECT_STEP (2 * SWEEP_ENTRIES)
/* Idle clients, output limits and pauses are looked at so often. */
#define CRON_HZ_MIN 1

/* --- steps of the tick --- */

static void flush_replies(struct worker *worker)
{
	struct conn *conn = worker->flush_first;
	worker->flush_first = NULL;
	while (conn) {
		struct conn *next = conn->flush_next;
		conn->flags &= ~(uint32_t)CONN_FLUSH;
		conn_flush(conn);
		conn_release(conn);
		conn = next;
	}
}

/*
 * Journals have been switched off; an error of the last write goes with what could not be written.
 */
static void forget_journal(struct worker *worker)
{
	struct journal *journal = &worker->shard->journal;
	worker->writing = false;
	if (journal->buf.len == 0 && journal->segment_at == SIZE_MAX)
		return;
	journal_forget(journal);
	flusher_write(&worker->server->flusher, worker->id, SIZE_MAX);
}

/*
 * Step 4. What this tick has journaled and could not write, or has just written but not synced, its
 * own replies must not tell either: it has looked at its own records, so to speak. What earlier
 * ticks have left unwritten concerns who looks at those slots, and is noted then.
 */
static void write_journal(struct worker *worker)
{
	struct journal *journal = &worker->shard->journal;
	if (!journal->on) {
		forget_journal(worker);
		return;
	}
	journal_follow(worker->shard);
	gate_settle(worker);
	if (journal->buf.len == 0 && journal->segment_at == SIZE_MAX)
		return;
	worker->writing = flusher_write(&worker->server->flusher, worker->id, journal_due(journal));
	uint64_t end = atomic_load_explicit(&journal->appended, memory_order_relaxed);
	if (end > worker->journaled)
		journal_saw(worker->shard, (uint64_t)worker->id << JOURNAL_WORKER_SHIFT | end);
	worker->journaled = end;
}

/*
 * Stamps what the tick has retired; asks for a grace period when enough waits, or waits long
 * enough.
 */
static void stamp_retired(struct worker *worker)
{
	struct retire *retire = &worker->shard->retire;
	if (retire_stamp(retire, &worker->server->ks->grace) && !worker->retired_since_ns)
		worker->retired_since_ns = clock_monotonic_ns();
	if (!worker->retired_since_ns)
		return;
	if (!retire_waiting(retire)) {
		worker->retired_since_ns = 0;
		return;
	}
	uint64_t now = clock_monotonic_ns();
	if (retire_waiting_bytes(retire) < GRACE_BYTES &&
	    now - worker->retired_since_ns < GRACE_MS * 1000000ull)
		return;
	reclaimer_ask(&worker->server->reclaimer);
	worker->retired_since_ns = now;
}

/* A slice of freeing and one of the sweep; true when some is left that can be done now. */
static bool background_step(struct worker *worker)
{
	struct keyspace *ks = worker->server->ks;
	struct retire *retire = &worker->shard->retire;
	bool more = retire_collect(retire, &ks->grace, COLLECT_STEP);
	more |= retire_release_kept(retire, &ks->freeze);
	if (worker->sweep_slices > 0 && retire_waiting_bytes(retire) < RETIRED_BYTES_MAX / 2 &&
	    !persistence_loading(&worker->server->persistence)) {
		if (!sweep_slice(worker->shard, worker->now))
			worker->sweep_slices--;
		more |= worker->sweep_slices > 0;
	}
	return more;
}

/* One slice of the first job: done, it is answered, else it is the last one from now on. */
static void step_job(struct worker *worker)
{
	struct job *job = worker->jobs;
	worker->jobs = job->next;
	if (!worker->jobs)
		worker->jobs_end = &worker->jobs;
	worker->job_count--;
	bool gone = (job->op->conn->flags & CONN_CLOSING) && !job->sees_end;
	if (!gone && !job->step(worker, job)) {
		worker_add_job(worker, job);
		return;
	}
	struct op *op = job->op;
	job->free(job);
	op_answer(worker, op);
}

static double us_since(const struct worker *worker, uint64_t start)
{
	return clock_cycles_us(&worker->server->clock, clock_cycles() - start);
}

/* Once round at most: within JOBS_US, but for the slice that passes it. */
static void step_jobs(struct worker *worker)
{
	uint64_t start = clock_cycles();
	for (uint32_t left = worker->job_count; left > 0 && worker->jobs; left--) {
		step_job(worker);
		if (us_since(worker, start) >= JOBS_US)
			break;
	}
}

/* Step 7. True when there is more to do. */
static bool background(struct worker *worker)
{
	step_jobs(worker);
	uint64_t start = clock_cycles();
	double worked_us = us_since(worker, worker->tick_start);
	double budget_us = worked_us > BACKGROUND_US ? worked_us : BACKGROUND_US;
	bool more;
	do {
		more = background_step(worker);
	} while (more && us_since(worker, start) < budget_us);
	return more || worker->jobs;
}

void worker_resume_paused(struct worker *worker)
{
	struct conn *conn = worker->paused;
	worker->paused = NULL;
	while (conn) {
		struct conn *next = conn->paused_next;
		conn->flags &= ~(uint32_t)CONN_PAUSED_LIST;
		conn_resume(conn, WAIT_PAUSE);
		conn_release(conn);
		conn = next;
	}
}

/* Those on the list that have gone meanwhile. */
static void drop_paused(struct worker *worker)
{
	struct conn **at = &worker->paused;
	while (*at) {
		struct conn *conn = *at;
		if (!(conn->flags & CONN_CLOSING)) {
			at = &conn->paused_next;
			continue;
		}
		*at = conn->paused_next;
		conn->flags &= ~(uint32_t)CONN_PAUSED_LIST;
		conn_release(conn);
	}
}

/* What connections take, for INFO. */
struct conns_sum {
	uint64_t bytes, in_max, out_max;
};

static void conns_sum_add(struct conns_sum *sum, const struct conn *conn)
{
	uint64_t in = conn_in_bytes(conn), out = conn_out_bytes(conn);
	sum->bytes += sizeof(*conn) + (conn->block ? conn->block->size : 0) + out +
		      multi_bytes(conn);
	sum->in_max = in > sum->in_max ? in : sum->in_max;
	sum->out_max = out > sum->out_max ? out : sum->out_max;
}

static void publish_conns(struct worker *worker, const struct conns_sum *sum)
{
	atomic_store_explicit(&worker->conns_bytes, sum->bytes, memory_order_relaxed);
	atomic_store_explicit(&worker->conns_in_max, sum->in_max, memory_order_relaxed);
	atomic_store_explicit(&worker->conns_out_max, sum->out_max, memory_order_relaxed);
}

/*
 * `timeout`: it neither asks for anything nor reads what it asked for. It may wait for us as long
 * as it likes.
 */
static void check_idle(struct worker *worker, struct conn *conn, int64_t timeout_ms)
{
	if (conn_has_sent(conn))
		conn->active_ms = worker->now;
	if (!timeout_ms || worker->now - conn->active_ms <= timeout_ms || conn->wait & ~WAIT_OUTPUT)
		return;
	conn_log(conn, LOG_VERBOSE, "Closing idle client");
	stat_add(&worker->stats.clients_timed_out, 1);
	conn_close(conn);
}

/* What is due a few times a second. */
static void cron(struct worker *worker)
{
	struct server *server = worker->server;
	int64_t timeout_ms = config_int(&server->config.timeout) * 1000;
	worker->cron_due = false;
	worker->sweep_slices = SLOT_COUNT / SWEEP_SLOTS;
	drop_paused(worker);
	if (worker->paused && !server_paused(server, CMD_WRITE, worker->now))
		worker_resume_paused(worker);
	struct conns_sum sum = {0};
	struct conn *next;
	for (struct conn *conn = worker->conns; conn; conn = next) {
		next = conn->all.next;
		conns_sum_add(&sum, conn);
		if (conn->writing)
			conn_flush_later(conn);
		check_idle(worker, conn, timeout_ms);
		blocked_look(conn);
	}
	publish_conns(worker, &sum);
}

static void close_connections(struct worker *worker)
{
	worker->stopping = true;
	struct conn *next;
	for (struct conn *conn = worker->conns; conn; conn = next) {
		next = conn->all.next;
		conn_close(conn);
	}
	worker_resume_paused(worker); /* the list lets them go */
}

/* --- the tick --- */

static void worker_tick(struct worker *worker)
{
	/* before the mail: all connections there will ever be are in it then */
	bool stop = atomic_load_explicit(&worker->stop, memory_order_acquire);
	worker->tick++;
	worker->tick_start = clock_cycles();
	worker->shard->hurried = false;
	worker->writes_wait = retire_waiting_bytes(&worker->shard->retire) >= RETIRED_BYTES_MAX;
	worker->now = clock_tick(&worker->server->clock);
	memory_follow(worker->server, worker->now);
	stat_add(&worker->stats.ticks, 1);
	urcu_qsbr_thread_online();
	gate_open(worker);
	flush_replies(worker);
	post_take(worker);
	if (worker->unwatching)
		multi_unwatch_step(worker);
	serve_ready(worker);
	blocked_step(worker);
	if (worker->cron_due)
		cron(worker);
	write_journal(worker);
	post_send(worker);
	if (gate_pass(worker))
		flush_replies(worker);
	stamp_retired(worker);
	worker->busy = background(worker);
	write_journal(worker);
	post_send(worker);
	gate_pass(worker); /* what stays on the flush list may go, first thing in the next tick */
	if (stop && !worker->stopping)
		close_connections(worker);
	grace_reader_offline(worker->server->reclaimer.grace);
}

static void worker_on_check(uv_check_t *check)
{
	struct worker *worker = check->data;
	mailbox_awake(&worker->mailbox);
	worker_tick(worker);
}

/* Whether a stopping worker may end: it has nothing to wait for, and nobody waits for it. */
static bool worker_done(struct worker *worker)
{
	struct server *server = worker->server;
	bool quiet = worker->stopping && !worker->conns && !worker->ops && !worker->unwatching &&
		     !blocked_busy(worker) && !worker->writing;
	if (quiet && !worker->quiet) {
		worker->quiet = true;
		if (atomic_fetch_add(&server->quiet, 1) + 1 == server->worker_count)
			for (uint32_t i = 0; i < server->worker_count; i++)
				mailbox_wake(&server->workers[i].mailbox);
	}
	return worker->quiet && !worker->writing &&
	       atomic_load(&server->quiet) == server->worker_count;
}

static void worker_on_idle(uv_idle_t *idle)
{
	/* its being active is what counts: the poll doesn't wait */
}

static void worker_on_prepare(uv_prepare_t *prepare)
{
	struct worker *worker = prepare->data;
	if (worker_done(worker))
		uv_stop(&worker->loop);
	/* who holds the slot, or writes what is waited for, may be waiting for this core */
	bool gated = gate_waits(&worker->gate) && !flusher_wakes(&worker->server->flusher) &&
		     !flusher_trouble(&worker->server->flusher);
	bool patient = worker->unwatching || blocked_busy(worker) || gated;
	if (worker->ready_later.first || patient)
		sched_yield();
	blocked_arm(worker);
	bool work = worker->busy || worker->writing || patient || worker->ready.first ||
		    worker->ready_later.first || worker->flush_first || worker->cron_due;
	if (gate_waits(&worker->gate))
		work |= gate_before_sleep(worker, !work);
	work = work || !mailbox_sleep(&worker->mailbox);
	if (work) {
		mailbox_awake(&worker->mailbox);
		uv_idle_start(&worker->idle, worker_on_idle);
	} else {
		uv_idle_stop(&worker->idle);
	}
}

static void worker_on_cron(uv_timer_t *timer)
{
	struct worker *worker = timer->data;
	worker->cron_due = true;
}

/* --- life --- */

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	char name[16];
	snprintf(name, sizeof(name), "worker%u", worker->id);
	pthread_setname_np(pthread_self(), name);
	urcu_qsbr_register_thread();
	urcu_qsbr_thread_offline();
	int64_t hz = config_int(&worker->server->config.hz);
	uint64_t period_ms = 1000 / (uint64_t)(hz < CRON_HZ_MIN ? CRON_HZ_MIN : hz);
	uv_timer_start(&worker->cron, worker_on_cron, period_ms, period_ms);
	uv_run(&worker->loop, UV_RUN_DEFAULT);
	urcu_qsbr_unregister_thread();
	return NULL;
}

int worker_init(struct worker *worker, struct server *server, uint16_t id)
{
	worker->server = server;
	worker->id = id;
	worker->shard = server->ks->shards[id];
	worker->now = clock_now(&server->clock);
	worker->outboxes = mem_zalloc(server->worker_count * sizeof(*worker->outboxes));
	worker->jobs_end = &worker->jobs;
	worker->slowlog = slowlog_new();
	run_init(worker);
	gate_init(&worker->gate, server->worker_count);
	int error = uv_loop_init(&worker->loop);
	if (error)
		return error;
	uv_check_init(&worker->loop, &worker->check);
	uv_prepare_init(&worker->loop, &worker->prepare);
	uv_idle_init(&worker->loop, &worker->idle);
	uv_timer_init(&worker->loop, &worker->cron);
	uv_timer_init(&worker->loop, &worker->timeout);
	error = mailbox_open(&worker->mailbox, &worker->loop);
	if (error)
		return error;
	worker->check.data = worker->prepare.data = worker->cron.data = worker->timeout.data = worker;
	uv_check_start(&worker->check, worker_on_check);
	uv_prepare_start(&worker->prepare, worker_on_prepare);
	return 0;
}

int worker_start(struct worker *worker)
{
	return -pthread_create(&worker->thread, NULL, worker_main, worker);
}

void worker_stop(struct worker *worker)
{
	atomic_store_explicit(&worker->stop, true, memory_order_release);
	mailbox_wake(&worker->mailbox);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void worker_deinit(struct worker *worker)
{
	uv_walk(&worker->loop, close_handle, NULL);
	uv_run(&worker->loop, UV_RUN_DEFAULT);
	uv_loop_close(&worker->loop);
	mailbox_close(&worker->mailbox);
	post_drop(worker);
	parcel_pool_deinit(&worker->parcels);
	while (worker->blocks_free) {
		struct read_block *block = worker->blocks_free;
		worker->blocks_free = block->next;
		mem_free(block, block->size);
	}
	run_deinit(worker);
	args_deinit(&worker->args);
	gate_deinit(&worker->gate, worker->server->worker_count);
	mem_free(worker->timeouts, worker->timeout_room * sizeof(struct blocked *));
	mem_free(worker->outboxes, worker->server->worker_count * sizeof(*worker->outboxes));
	slowlog_free(worker->slowlog);
}

void worker_add_job(struct worker *worker, struct job *job)
{
	job->next = NULL;
	*worker->jobs_end = job;
	worker->jobs_end = &job->next;
	worker->job_count++;
}
