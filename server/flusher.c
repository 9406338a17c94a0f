/* The flusher (flusher.h). */
#include "server/flusher.h"

#include "proto/mem.h"
#include "server/log.h"
#include "server/server.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* Between attempts at an epoch that can't be closed, for a write has failed. */
#define RETRY_MS 100

/* --- syncing side by side --- */

/* Syncs segments until none is left. The sync_mutex is held. */
static void sync_some(struct flusher *flusher)
{
	while (flusher->sync_next < flusher->server->worker_count) {
		uint32_t i = flusher->sync_next++;
		bool clean = flusher->ends[i] <= atomic_load(&flusher->durable[i]);
		pthread_mutex_unlock(&flusher->sync_mutex);
		int error = clean ? 0 : segment_sync(&flusher->segments[i]);
		pthread_mutex_lock(&flusher->sync_mutex);
		if (error)
			flusher->sync_result = error;
		if (--flusher->sync_left == 0)
			pthread_cond_broadcast(&flusher->sync_changed);
	}
}

static void *helper_main(void *arg)
{
	struct flusher *flusher = arg;
	pthread_setname_np(pthread_self(), "sync");
	pthread_mutex_lock(&flusher->sync_mutex);
	while (!atomic_load(&flusher->stop)) {
		sync_some(flusher);
		pthread_cond_wait(&flusher->sync_changed, &flusher->sync_mutex);
	}
	pthread_mutex_unlock(&flusher->sync_mutex);
	return NULL;
}

/* Makes the journals durable up to `ends`. */
static int sync_all(struct flusher *flusher)
{
	uint32_t count = flusher->server->worker_count;
	pthread_mutex_lock(&flusher->sync_mutex);
	flusher->sync_result = 0;
	flusher->sync_next = 0;
	flusher->sync_left = count;
	pthread_cond_broadcast(&flusher->sync_changed);
	sync_some(flusher);
	while (flusher->sync_left > 0)
		pthread_cond_wait(&flusher->sync_changed, &flusher->sync_mutex);
	int error = flusher->sync_result;
	pthread_mutex_unlock(&flusher->sync_mutex);
	for (uint32_t i = 0; i < count && !error; i++)
		if (flusher->ends[i] > atomic_load(&flusher->durable[i]))
			atomic_store_explicit(&flusher->durable[i], flusher->ends[i],
					      memory_order_release);
	return error;
}

/* --- epochs --- */

static struct journal *journal_of(const struct flusher *flusher, uint32_t worker)
{
	return &flusher->server->ks->shards[worker]->journal;
}

/*
 * Where the records of epochs up to S end. `now` is S + 1 and the flusher alone advances it, so the
 * journal's epoch is that, or not yet: looked at again, in case it began between the two loads.
 */
static uint64_t end_of_epoch(const struct journal *journal, uint64_t epoch)
{
	uint64_t end = atomic_load_explicit(&journal->appended, memory_order_acquire);
	if (atomic_load_explicit(&journal->epoch, memory_order_acquire) > epoch)
		end = atomic_load_explicit(&journal->epoch_start, memory_order_acquire);
	return end;
}

/* Something was journaled that isn't durable. */
static bool has_work(const struct flusher *flusher)
{
	for (uint32_t i = 0; i < flusher->server->worker_count; i++)
		if (atomic_load(&journal_of(flusher, i)->appended) != atomic_load(&flusher->durable[i]))
			return true;
	return false;
}

/* Something was journaled since the last epoch was closed. */
static bool journaled_since(const struct flusher *flusher)
{
	uint64_t now = atomic_load(&flusher->server->ks->epochs.now);
	for (uint32_t i = 0; i < flusher->server->worker_count; i++)
		if (atomic_load(&journal_of(flusher, i)->epoch) == now)
			return true;
	return has_work(flusher);
}

static uint64_t written(const struct flusher *flusher, uint32_t worker)
{
	return atomic_load_explicit(&journal_of(flusher, worker)->written, memory_order_acquire);
}

/* Everything up to `ends` is in the files. */
static bool is_written(const struct flusher *flusher)
{
	for (uint32_t i = 0; i < flusher->server->worker_count; i++)
		if (written(flusher, i) < flusher->ends[i])
			return false;
	return true;
}

/* More is written than is durable, and somebody may wait for it. */
static bool has_unsynced(const struct flusher *flusher)
{
	if (!atomic_load(&flusher->always))
		return false;
	for (uint32_t i = 0; i < flusher->server->worker_count; i++)
		if (written(flusher, i) > atomic_load(&flusher->durable[i]))
			return true;
	return false;
}

static void wake_workers(const struct flusher *flusher)
{
	for (uint32_t i = 0; i < flusher->server->worker_count; i++)
		mailbox_wake(&flusher->server->workers[i].mailbox);
}

static void trouble(struct flusher *flusher, int error)
{
	if (atomic_exchange(&flusher->sync_error, error) == 0)
		log_write(LOG_WARNING,
			  "The journals can't be synced: %s. Writes are refused until the server is "
			  "started again.",
			  strerror(-error));
}

/* Closes the epoch and makes all up to it durable. False: a write has failed, or a sync. */
static bool commit(struct flusher *flusher)
{
	struct server *server = flusher->server;
	uint64_t epoch = atomic_load(&server->ks->epochs.now);
	atomic_store(&server->ks->epochs.now, epoch + 1);
	reclaimer_wait(&server->reclaimer);
	for (uint32_t i = 0; i < server->worker_count; i++)
		flusher->ends[i] = end_of_epoch(journal_of(flusher, i), epoch);
	if (!is_written(flusher))
		return false;
	struct commit line = {epoch, clock_now(&server->clock)};
	int error = sync_all(flusher);
	if (!error)
		error = commits_add(&flusher->commits, &line);
	if (error) {
		trouble(flusher, error);
		return false;
	}
	atomic_store(&flusher->durable_epoch, epoch);
	atomic_store(&flusher->durable_ms, line.ms);
	wake_workers(flusher);
	return true;
}

/* Makes durable what is written. False: a sync has failed. */
static bool sync_written(struct flusher *flusher)
{
	for (uint32_t i = 0; i < flusher->server->worker_count; i++)
		flusher->ends[i] = written(flusher, i);
	int error = sync_all(flusher);
	if (error)
		trouble(flusher, error);
	wake_workers(flusher);
	return !error;
}

/* --- the thread --- */

static enum fsync_policy policy(const struct flusher *flusher)
{
	return (enum fsync_policy)config_int(&flusher->server->config.appendfsync);
}

/* Brings the policy that is wished in force. */
static bool follow_policy(struct flusher *flusher)
{
	bool always = policy(flusher) == FSYNC_ALWAYS;
	if (always == atomic_load(&flusher->always))
		return true;
	atomic_store(&flusher->server->ks->epochs.always, always);
	if (!commit(flusher))
		return false;
	atomic_store_explicit(&flusher->always, always, memory_order_release);
	return true;
}

/* What is due now. False: it could not be done. */
static bool work(struct flusher *flusher, int64_t now)
{
	int64_t period = policy(flusher) == FSYNC_NO ? FLUSH_LAZY_S * 1000 : 1000;
	bool due = now - flusher->last_ms >= period && journaled_since(flusher);
	if (due)
		flusher->last_ms = now;
	return follow_policy(flusher) && (!due || commit(flusher)) &&
	       (!atomic_load(&flusher->always) || sync_written(flusher));
}

static void sleep_ms(struct flusher *flusher, int64_t ms, bool until_asked)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&flusher->mutex);
	atomic_store(&flusher->waiting, true);
	atomic_thread_fence(memory_order_seq_cst);
	int result = 0;
	while (result == 0 && !atomic_load(&flusher->stop) &&
	       !(until_asked && atomic_load(&flusher->asked)))
		result = pthread_cond_timedwait(&flusher->changed, &flusher->mutex, &until);
	atomic_store(&flusher->waiting, false);
	pthread_mutex_unlock(&flusher->mutex);
}

static void *flusher_main(void *arg)
{
	struct flusher *flusher = arg;
	pthread_setname_np(pthread_self(), "flusher");
	while (!atomic_load(&flusher->stop)) {
		int64_t now = (int64_t)(clock_monotonic_ns() / 1000000);
		atomic_store(&flusher->asked, false);
		atomic_thread_fence(memory_order_seq_cst);
		bool broken = atomic_load(&flusher->sync_error);
		bool done = !broken && work(flusher, now);
		if (!done || !has_unsynced(flusher))
			sleep_ms(flusher, RETRY_MS, done);
	}
	if (has_work(flusher) && !atomic_load(&flusher->sync_error))
		commit(flusher);
	return NULL;
}

int flusher_start(struct flusher *flusher, struct server *server, struct segment *segments,
		  const struct commits *commits)
{
	pthread_condattr_t monotonic;
	flusher->server = server;
	flusher->commits = *commits;
	flusher->durable = mem_zalloc(server->worker_count * sizeof(*flusher->durable));
	flusher->ends = mem_zalloc(server->worker_count * sizeof(*flusher->ends));
	flusher->segments = segments;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&flusher->mutex, NULL);
	pthread_cond_init(&flusher->changed, &monotonic);
	pthread_mutex_init(&flusher->sync_mutex, NULL);
	pthread_cond_init(&flusher->sync_changed, NULL);
	pthread_condattr_destroy(&monotonic);
	flusher->sync_next = server->worker_count;
	uint32_t helpers = server->worker_count - 1;
	if (helpers > SYNC_HELPERS_MAX)
		helpers = SYNC_HELPERS_MAX;
	for (uint32_t i = 0; i < helpers; i++)
		if (pthread_create(&flusher->helpers[flusher->helper_count], NULL, helper_main,
				   flusher) == 0)
			flusher->helper_count++;
	return -pthread_create(&flusher->thread, NULL, flusher_main, flusher);
}

static void wake(struct flusher *flusher)
{
	pthread_mutex_lock(&flusher->mutex);
	pthread_cond_broadcast(&flusher->changed);
	pthread_mutex_unlock(&flusher->mutex);
}

void flusher_stop(struct flusher *flusher)
{
	if (!flusher->segments)
		return;
	atomic_store(&flusher->stop, true);
	wake(flusher);
	pthread_join(flusher->thread, NULL);
	pthread_mutex_lock(&flusher->sync_mutex);
	pthread_cond_broadcast(&flusher->sync_changed);
	pthread_mutex_unlock(&flusher->sync_mutex);
	for (uint32_t i = 0; i < flusher->helper_count; i++)
		pthread_join(flusher->helpers[i], NULL);
	uint32_t count = flusher->server->worker_count;
	for (uint32_t i = 0; i < count; i++)
		segment_close(&flusher->segments[i]);
	commits_close(&flusher->commits);
	mem_free(flusher->segments, count * sizeof(*flusher->segments));
	mem_free(flusher->durable, count * sizeof(*flusher->durable));
	mem_free(flusher->ends, count * sizeof(*flusher->ends));
	flusher->segments = NULL;
}

void flusher_ask(struct flusher *flusher)
{
	if (!atomic_load_explicit(&flusher->always, memory_order_relaxed) ||
	    atomic_exchange_explicit(&flusher->asked, true, memory_order_relaxed))
		return;
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&flusher->waiting, memory_order_relaxed))
		wake(flusher);
}

/* Any worker that can write again says so for all: those that can't will say otherwise in their next tick. */
void flusher_write(struct flusher *flusher, uint32_t worker)
{
	int error = segment_write(&flusher->segments[worker]);
	int before = atomic_load_explicit(&flusher->write_error, memory_order_relaxed);
	if (error == before)
		return;
	atomic_store_explicit(&flusher->write_error, error, memory_order_relaxed);
	if (error)
		log_write(LOG_WARNING, "Error writing to the journals: %s", strerror(-error));
	else
		log_write(LOG_NOTICE, "The journals can be written again");
}

bool flusher_wakes(const struct flusher *flusher)
{
	return atomic_load_explicit(&flusher->always, memory_order_relaxed);
}

uint64_t flusher_safe(const struct flusher *flusher, uint32_t worker)
{
	if (atomic_load_explicit(&flusher->always, memory_order_acquire))
		return atomic_load_explicit(&flusher->durable[worker], memory_order_acquire);
	return atomic_load_explicit(&journal_of(flusher, worker)->written, memory_order_acquire);
}

int flusher_trouble(const struct flusher *flusher)
{
	int error = atomic_load_explicit(&flusher->sync_error, memory_order_relaxed);
	return error ? error : atomic_load_explicit(&flusher->write_error, memory_order_relaxed);
}
