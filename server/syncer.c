/* The syncers (syncer.h). */
#include "server/syncer.h"

#include "server/flusher.h"
#include "server/server.h"

#include <stdio.h>

/* A disk that takes longer keeps no worker from its clients: syncers sync. */
#define SYNC_HERE_NS 2000000

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_acquire);
}

static bool has_work(const struct syncer *syncer)
{
	uint64_t durable = load(&syncer->durable);
	return load(&syncer->wanted) > durable && load(&syncer->journal->written) > durable &&
	       !atomic_load(&syncer->flusher->sync_error);
}

/*
 * Makes durable what is written by now. Whoever has the turn. Wakes whom that may help: all
 * workers, when one has asked.
 */
static void sync_written(struct syncer *syncer)
{
	struct flusher *flusher = syncer->flusher;
	uint64_t written = load(&syncer->journal->written);
	uint64_t before = load(&syncer->durable);
	if (written == before || atomic_load(&flusher->sync_error))
		return;
	uint64_t start = clock_monotonic_ns();
	int error = segment_sync(&syncer->segment);
	uint64_t took = clock_monotonic_ns() - start;
	atomic_store_explicit(&syncer->sync_ns, took, memory_order_relaxed);
	if (error)
		flusher_doubt(flusher, error);
	else
		atomic_store(&syncer->durable, written);
	pthread_mutex_lock(&flusher->mutex);
	pthread_cond_broadcast(&flusher->progress);
	pthread_mutex_unlock(&flusher->mutex);
	if (load(&syncer->wanted) > before && atomic_load(&flusher->always))
		flusher_wake_workers(flusher);
}

static void syncer_sleep(struct syncer *syncer)
{
	pthread_mutex_lock(&syncer->mutex);
	atomic_store(&syncer->sleeping, true);
	atomic_thread_fence(memory_order_seq_cst);
	while (!has_work(syncer) && !atomic_load(&syncer->flusher->stop_syncers))
		pthread_cond_wait(&syncer->work, &syncer->mutex);
	atomic_store(&syncer->sleeping, false);
	pthread_mutex_unlock(&syncer->mutex);
}

static void *syncer_main(void *arg)
{
	struct syncer *syncer = arg;
	struct flusher *flusher = syncer->flusher;
	char name[16];
	snprintf(name, sizeof(name), "sync%u", syncer->worker);
	pthread_setname_np(pthread_self(), name);
	for (;;) {
		syncer_sleep(syncer);
		if (atomic_load(&flusher->stop_syncers))
			return NULL;
		pthread_mutex_lock(&syncer->turn);
		sync_written(syncer);
		pthread_mutex_unlock(&syncer->turn);
	}
}

void syncer_ask(struct syncer *syncer, uint64_t bytes)
{
	uint64_t wanted = atomic_load_explicit(&syncer->wanted, memory_order_relaxed);
	while (wanted < bytes &&
	       !atomic_compare_exchange_weak_explicit(&syncer->wanted, &wanted, bytes,
						      memory_order_relaxed, memory_order_relaxed))
		;
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&syncer->sleeping, memory_order_relaxed))
		return;
	pthread_mutex_lock(&syncer->mutex);
	pthread_cond_signal(&syncer->work);
	pthread_mutex_unlock(&syncer->mutex);
}

bool syncer_wait(struct syncer *syncer, uint64_t bytes)
{
	struct flusher *flusher = syncer->flusher;
	pthread_mutex_lock(&flusher->mutex);
	while (load(&syncer->durable) < bytes && !atomic_load(&flusher->sync_error))
		pthread_cond_wait(&flusher->progress, &flusher->mutex);
	pthread_mutex_unlock(&flusher->mutex);
	return load(&syncer->durable) >= bytes;
}

void syncer_wrote(struct syncer *syncer)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (has_work(syncer))
		syncer_ask(syncer, 0);
}

bool syncer_sync_here(struct syncer *syncer)
{
	if (atomic_load_explicit(&syncer->sync_ns, memory_order_relaxed) > SYNC_HERE_NS ||
	    pthread_mutex_trylock(&syncer->turn) != 0) {
		syncer_ask(syncer, load(&syncer->journal->written));
		return false;
	}
	uint64_t before = load(&syncer->durable);
	sync_written(syncer);
	bool more = load(&syncer->durable) > before;
	pthread_mutex_unlock(&syncer->turn);
	return more;
}

/* --- doubt --- */

void syncer_forget(struct syncer *syncer, uint64_t cut)
{
	pthread_mutex_lock(&syncer->turn);
	segment_forget(&syncer->segment, cut);
	pthread_mutex_unlock(&syncer->turn);
}

void syncer_renew(struct syncer *syncer, uint64_t cut)
{
	uint64_t end = load(&syncer->journal->appended);
	if (load(&syncer->journal->cut) >= cut)
		end = load(&syncer->journal->segment_start);
	pthread_mutex_lock(&syncer->turn);
	segment_forget(&syncer->segment, cut);
	if (load(&syncer->durable) < end)
		atomic_store(&syncer->durable, end);
	pthread_mutex_unlock(&syncer->turn);
}

/* --- life --- */

int syncer_start(struct syncer *syncer, struct flusher *flusher, uint32_t worker, int dir,
		 uint64_t run)
{
	struct journal *journal = &flusher->server->ks->shards[worker]->journal;
	struct segment_id id = {run, 0, worker};
	syncer->flusher = flusher;
	syncer->journal = journal;
	syncer->worker = worker;
	pthread_mutex_init(&syncer->turn, NULL);
	pthread_mutex_init(&syncer->mutex, NULL);
	pthread_cond_init(&syncer->work, NULL);
	int error = segment_open(&syncer->segment, dir, &id, journal);
	syncer->segment.turned = &flusher->turned;
	syncer->segment.durable = &syncer->durable;
	syncer->segment.entered = flusher->turned;
	if (!error)
		error = -pthread_create(&syncer->thread, NULL, syncer_main, syncer);
	if (error)
		segment_close(&syncer->segment);
	return error;
}

void syncer_stop(struct syncer *syncer)
{
	pthread_mutex_lock(&syncer->mutex);
	pthread_cond_broadcast(&syncer->work);
	pthread_mutex_unlock(&syncer->mutex);
	pthread_join(syncer->thread, NULL);
	segment_close(&syncer->segment);
	pthread_cond_destroy(&syncer->work);
	pthread_mutex_destroy(&syncer->mutex);
	pthread_mutex_destroy(&syncer->turn);
}
