/* The flusher (flusher.h). */
#include "server/flusher.h"

#include "persist/io.h"
#include "proto/mem.h"
#include "server/log.h"
#include "server/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/*
 * How often the flusher looks whether something is due; between attempts after a write has failed.
 */
#define LOOK_MS 100
/* How often it looks how far a large record has come. */
#define WRITTEN_LOOK_US 1000

static struct journal *journal_of(const struct flusher *flusher, uint32_t worker)
{
	return &flusher->server->ks->shards[worker]->journal;
}

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_acquire);
}

void flusher_wake_workers(const struct flusher *flusher)
{
	for (uint32_t i = 0; i < flusher->server->worker_count; i++)
		mailbox_wake(&flusher->server->workers[i].mailbox);
}

void flusher_doubt(struct flusher *flusher, int error)
{
	int none = 0;
	atomic_store(&flusher->doubt_epoch, load(&flusher->server->ks->epochs.now));
	if (!atomic_compare_exchange_strong(&flusher->sync_error, &none, error))
		return;
	log_write(
		LOG_WARNING,
		"The journals can't be synced: %s. Writes are refused until a new snapshot is complete.",
		strerror(-error));
}

/*
 * Keeps an error that may go away by itself, and says in the log when it comes and when it has
 * gone.
 */
static void note_error(_Atomic int *kept, int error, const char *what)
{
	if (atomic_exchange(kept, error) == error)
		return;
	if (error)
		log_write(LOG_WARNING, "%s: %s. Writes are refused.", what, strerror(-error));
	else
		log_write(LOG_NOTICE, "%s: no more.", what);
}

/* Makes the journals durable up to `ends`, side by side. */
static bool sync_all(struct flusher *flusher)
{
	bool done = true;
	for (uint32_t i = 0; i < flusher->server->worker_count; i++)
		syncer_ask(&flusher->syncers[i], flusher->ends[i]);
	for (uint32_t i = 0; i < flusher->server->worker_count; i++)
		done &= syncer_wait(&flusher->syncers[i], flusher->ends[i]);
	return done;
}

/* --- epochs --- */

/*
 * Where the records of epochs up to S end. `now` is S + 1 and the flusher alone advances it, so the
 * journal's epoch is that, or not yet: looked at again, in case it began between the two loads.
 */
static uint64_t end_of_epoch(const struct journal *journal, uint64_t epoch)
{
	uint64_t end = load(&journal->appended);
	if (load(&journal->epoch) > epoch)
		end = load(&journal->epoch_start);
	return end;
}

/* Everything up to `ends` is in the files. */
static bool is_written(const struct flusher *flusher)
{
	for (uint32_t i = 0; i < flusher->server->worker_count; i++)
		if (load(&journal_of(flusher, i)->written) < flusher->ends[i])
			return false;
	return true;
}

/*
 * The same when what large records leave for later ticks has been waited for. False: a write fails,
 * or has to wait for the next generation, which may have to wait for the caller.
 */
static bool wait_written(const struct flusher *flusher)
{
	while (!is_written(flusher)) {
		for (uint32_t i = 0; i < flusher->server->worker_count; i++) {
			const struct segment *segment = &flusher->syncers[i].segment;
			if (load(&segment->arrived) > load(&segment->entered) ||
			    atomic_load_explicit(&segment->error, memory_order_relaxed))
				return false;
		}
		nanosleep(&(struct timespec){.tv_nsec = WRITTEN_LOOK_US * 1000}, NULL);
	}
	return true;
}

/* Something was journaled that doesn't belong to a committed epoch. */
static bool is_dirty(const struct flusher *flusher)
{
	uint64_t durable = load(&flusher->durable_epoch);
	for (uint32_t i = 0; i < flusher->server->worker_count; i++)
		if (load(&journal_of(flusher, i)->epoch) > durable)
			return true;
	return false;
}

/* All epochs up to this one are durable: COMMITS says so, and not less than before. Locked. */
static bool note_commit(struct flusher *flusher, uint64_t epoch)
{
	uint64_t before = load(&flusher->durable_epoch);
	struct commit line = {.epoch = epoch > before ? epoch : before,
			      .ms = clock_now(&flusher->server->clock),
			      .always = flusher->says_always};
	int error = commits_add(&flusher->commits, &line);
	atomic_store(&flusher->said, !error);
	note_error(&flusher->commit_error, error, "Error writing to " COMMITS_NAME);
	if (error)
		return false;
	atomic_store(&flusher->durable_epoch, line.epoch);
	atomic_store(&flusher->durable_ms, line.ms);
	return true;
}

/* Closes the epoch and makes all up to it durable. False: a write has failed, or a sync. Locked. */
static bool close_epoch(struct flusher *flusher)
{
	struct server *server = flusher->server;
	uint64_t epoch = load(&server->ks->epochs.now);
	atomic_store(&server->ks->epochs.now, epoch + 1);
	grace_wait(server->reclaimer.grace);
	for (uint32_t i = 0; i < server->worker_count; i++)
		flusher->ends[i] = end_of_epoch(journal_of(flusher, i), epoch);
	if (!wait_written(flusher) || !sync_all(flusher))
		return false;
	return note_commit(flusher, epoch);
}

static bool commit(struct flusher *flusher)
{
	flusher_lock(flusher);
	bool done = close_epoch(flusher);
	flusher_unlock(flusher);
	return done;
}

/* --- generations --- */

static uint64_t generation(const struct flusher *flusher)
{
	return load(&flusher->server->ks->epochs.cut);
}

/* All journals have written what belongs to generations before. */
static bool all_arrived(const struct flusher *flusher, uint64_t cut)
{
	for (uint32_t i = 0; i < flusher->server->worker_count; i++)
		if (load(&flusher->syncers[i].segment.arrived) < cut)
			return false;
	return true;
}

/* All journals write the generation of now: so another may begin. */
static bool all_entered(const struct flusher *flusher)
{
	for (uint32_t i = 0; i < flusher->server->worker_count; i++)
		if (load(&flusher->syncers[i].segment.entered) < generation(flusher))
			return false;
	return true;
}

/*
 * Lets the journals go on in the generation of now, when they are ready for it. Files that are in
 * doubt are not waited for: the snapshot that comes will take their place.
 */
static void turn(struct flusher *flusher)
{
	flusher_lock(flusher);
	uint64_t cut = generation(flusher);
	bool ready = load(&flusher->turned) < cut && all_arrived(flusher, cut);
	if (ready && atomic_load(&flusher->always)) {
		for (uint32_t i = 0; i < flusher->server->worker_count; i++)
			flusher->ends[i] = load(&journal_of(flusher, i)->written);
		ready = sync_all(flusher) ? note_commit(flusher, cut)
					  : atomic_load(&flusher->sync_error) != 0;
	}
	if (ready) {
		atomic_store_explicit(&flusher->turned, cut, memory_order_release);
		flusher_wake_workers(flusher);
	}
	flusher_unlock(flusher);
}

void flusher_lock(struct flusher *flusher)
{
	pthread_mutex_lock(&flusher->epochs);
}

void flusher_unlock(struct flusher *flusher)
{
	pthread_mutex_unlock(&flusher->epochs);
}

void flusher_drop_segments(struct flusher *flusher, uint64_t cut)
{
	for (uint32_t i = 0; i < flusher->server->worker_count; i++) {
		char name[SEGMENT_NAME_MAX];
		segment_name(&(struct segment_id){flusher->run, cut, i}, name);
		io_unlink(flusher->dir, name);
	}
}

int flusher_make_segments(struct flusher *flusher, uint64_t cut)
{
	int error = 0;
	for (uint32_t i = 0; i < flusher->server->worker_count && !error; i++)
		error = segment_make(flusher->dir, &(struct segment_id){flusher->run, cut, i});
	if (!error)
		error = io_sync(flusher->dir);
	if (error)
		flusher_drop_segments(flusher, cut);
	return error;
}

/* Files of earlier generations that are in doubt, and will be: no sync can help them. */
static void forget_old(struct flusher *flusher)
{
	for (uint32_t i = 0; i < flusher->server->worker_count; i++)
		syncer_forget(&flusher->syncers[i], generation(flusher));
}

bool flusher_committed(struct flusher *flusher, uint64_t cut)
{
	if (!all_entered(flusher)) {
		flusher_wake_workers(flusher); /* who sleeps doesn't know of the cut */
		turn(flusher);
		return false;
	}
	if (atomic_load(&flusher->sync_error)) {
		forget_old(flusher);
		return true;
	}
	bool may_list = atomic_load(&flusher->listed) || atomic_load(&flusher->said);
	if (may_list && (load(&flusher->durable_epoch) >= cut || !is_dirty(flusher)))
		return true;
	atomic_store(&flusher->asked, true);
	pthread_mutex_lock(&flusher->mutex);
	pthread_cond_signal(&flusher->changed);
	pthread_mutex_unlock(&flusher->mutex);
	return false;
}

/* --- the thread --- */

static enum fsync_policy policy(const struct flusher *flusher)
{
	return (enum fsync_policy)config_int(&flusher->server->config.appendfsync);
}

/* The rule for replies. Who waits has to ask, or to look, by the new one. */
static void set_rule(struct flusher *flusher, bool always)
{
	if (atomic_exchange(&flusher->always, always) != always)
		flusher_wake_workers(flusher);
}

/* Closes an epoch whose line says whether appendfsync is always, as those after it. */
static bool say(struct flusher *flusher, bool always)
{
	flusher_lock(flusher);
	if (flusher->says_always != always)
		atomic_store(&flusher->said, false);
	flusher->says_always = always;
	bool done = close_epoch(flusher);
	flusher_unlock(flusher);
	return done;
}

/* Brings the policy that is wished in force, in the order that flusher.h has. */
static bool follow_policy(struct flusher *flusher)
{
	bool always = policy(flusher) == FSYNC_ALWAYS;
	if (always)
		set_rule(flusher, true);
	if ((always != flusher->says_always || !atomic_load(&flusher->said)) &&
	    !say(flusher, always))
		return false;
	set_rule(flusher, always);
	return true;
}

void flusher_await_policy(struct flusher *flusher, struct save_waiter *waiter)
{
	pthread_mutex_lock(&flusher->mutex);
	waiter->next = flusher->waiters;
	flusher->waiters = waiter;
	pthread_cond_signal(&flusher->changed);
	pthread_mutex_unlock(&flusher->mutex);
}

/* Whoever waits has wished before: so that the policy is looked at under the mutex. */
static void tell_policy(struct flusher *flusher)
{
	struct save_waiter *waiters = NULL;
	pthread_mutex_lock(&flusher->mutex);
	bool always = policy(flusher) == FSYNC_ALWAYS;
	bool in_force = atomic_load(&flusher->always) == always && flusher->says_always == always &&
			atomic_load(&flusher->said);
	if (in_force || flusher_off(flusher) || flusher_trouble(flusher) ||
	    atomic_load(&flusher->server->stopping)) {
		waiters = flusher->waiters;
		flusher->waiters = NULL;
	}
	pthread_mutex_unlock(&flusher->mutex);
	save_waiters_answer(flusher->server, waiters, true);
}

static void look(struct flusher *flusher)
{
	int64_t now = (int64_t)(clock_monotonic_ns() / 1000000);
	int64_t period = policy(flusher) == FSYNC_NO ? FLUSH_LAZY_S * 1000 : 1000;
	bool due = now - flusher->last_ms >= period || atomic_load(&flusher->asked);
	if (!follow_policy(flusher) || !due || !is_dirty(flusher))
		return;
	atomic_store(&flusher->asked, false);
	if (commit(flusher))
		flusher->last_ms = now;
}

/*
 * Files are in doubt, or missing: a new generation is tried, at once and then every so often.
 * Whether it helps is found out by making it.
 */
static void renew(struct flusher *flusher)
{
	int64_t now = (int64_t)(clock_monotonic_ns() / 1000000);
	if (flusher->renew_ms && now - flusher->renew_ms < RENEW_S * 1000)
		return;
	flusher->renew_ms = now;
	bool in_doubt = atomic_load(&flusher->sync_error);
	for (uint32_t i = 0; in_doubt && i < flusher->server->worker_count; i++)
		syncer_forget(&flusher->syncers[i], EPOCH_NONE); /* no sync helps */
	(void)snapshotter_ask(&flusher->server->snapshotter, SAVE_AOF, false, true, false);
}

static void sleep_a_while(struct flusher *flusher)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_MS * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&flusher->mutex);
	if (!atomic_load(&flusher->stop))
		pthread_cond_timedwait(&flusher->changed, &flusher->mutex, &until);
	pthread_mutex_unlock(&flusher->mutex);
}

/* The directory may be taken away under our hands: what is written then nobody will find. */
static void look_for_place(struct flusher *flusher)
{
	bool listed = atomic_load(&flusher->listed);
	int error = persistence_missing(&flusher->server->persistence, listed);
	if (error && !atomic_load(&flusher->place_error))
		flusher->renew_ms =
			(int64_t)(clock_monotonic_ns() / 1000000); /* time to come back */
	if (error || listed)
		note_error(&flusher->place_error, error, "The data directory is missing");
}

static void step(struct flusher *flusher)
{
	look_for_place(flusher);
	if (atomic_load(&flusher->sync_error) || atomic_load(&flusher->place_error))
		renew(flusher);
	if (!atomic_load(&flusher->sync_error))
		look(flusher);
}

static void *flusher_main(void *arg)
{
	struct flusher *flusher = arg;
	pthread_setname_np(pthread_self(), "flusher");
	while (!atomic_load(&flusher->stop)) {
		if (load(&flusher->turned) < generation(flusher))
			turn(flusher);
		if (!flusher_off(flusher))
			step(flusher);
		tell_policy(flusher);
		sleep_a_while(flusher);
	}
	if (!flusher_off(flusher) && is_dirty(flusher) && !atomic_load(&flusher->sync_error))
		commit(flusher);
	return NULL;
}

/* --- on and off --- */

static void journals_collect(struct flusher *flusher, bool on)
{
	for (uint32_t i = 0; i < flusher->server->worker_count; i++)
		atomic_store(&journal_of(flusher, i)->on, on);
}

void flusher_switch_on(struct flusher *flusher)
{
	struct journal_span *span = &flusher->server->ks->journaled;
	atomic_store(&span->from, UINT64_MAX);
	atomic_store(&span->until, UINT64_MAX);
	atomic_store(&flusher->listed, false);
	atomic_store(&flusher->turned, generation(flusher));
	for (uint32_t i = 0; i < flusher->server->worker_count; i++)
		atomic_store(&flusher->syncers[i].segment.entered, generation(flusher));
	atomic_store(&flusher->on, true);
	journals_collect(flusher, true);
	grace_wait(flusher->server->reclaimer.grace);
}

void flusher_unlist(struct flusher *flusher)
{
	if (!flusher->syncers)
		return;
	flusher_lock(flusher);
	commits_close(&flusher->commits); /* the next one begins the file */
	atomic_store(&flusher->said, false);
	atomic_store(&flusher->listed, false);
	flusher_unlock(flusher);
}

bool flusher_switch_off(struct flusher *flusher)
{
	struct keyspace *ks = flusher->server->ks;
	flusher_lock(flusher);
	atomic_store(&ks->journaled.until, load(&ks->epochs.now));
	bool whole = close_epoch(flusher);
	flusher_unlock(flusher);
	journals_collect(flusher, false);
	atomic_store(&flusher->on, false);
	grace_wait(flusher->server->reclaimer.grace);
	flusher_wake_workers(flusher);
	return whole;
}

/* --- life --- */

/* Ends the first `count` syncers; nobody asks them for anything any more. */
static void close_all(struct flusher *flusher, uint32_t count)
{
	uint32_t all = flusher->server->worker_count;
	atomic_store(&flusher->stop_syncers, true);
	for (uint32_t i = 0; i < count; i++)
		syncer_stop(&flusher->syncers[i]);
	commits_close(&flusher->commits);
	mem_free(flusher->syncers, all * sizeof(*flusher->syncers));
	mem_free(flusher->ends, all * sizeof(*flusher->ends));
	flusher->syncers = NULL;
}

bool flusher_begins_always(const struct server *server)
{
	return config_int(&server->config.appendfsync) == FSYNC_ALWAYS;
}

int flusher_start(struct flusher *flusher, struct server *server, int dir, uint64_t run,
		  const struct commits *commits, const struct commit *first)
{
	pthread_condattr_t monotonic;
	uint32_t started = 0;
	int error = 0;
	flusher->server = server;
	flusher->commits = *commits;
	flusher->turned = generation(flusher);
	flusher->dir = dir;
	flusher->run = run;
	flusher->durable_epoch = server->ks->epochs.now - 1;
	flusher->always = flusher->says_always = first->always; /* nothing was told yet */
	flusher->said = true;
	flusher->ends = mem_zalloc(server->worker_count * sizeof(*flusher->ends));
	flusher->syncers = mem_zalloc(server->worker_count * sizeof(*flusher->syncers));
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&flusher->epochs, NULL);
	pthread_mutex_init(&flusher->mutex, NULL);
	pthread_cond_init(&flusher->changed, &monotonic);
	pthread_cond_init(&flusher->progress, NULL);
	pthread_condattr_destroy(&monotonic);
	while (!error && started < server->worker_count) {
		error = syncer_start(&flusher->syncers[started], flusher, started, dir, run);
		started += !error;
	}
	if (!error)
		error = -pthread_create(&flusher->thread, NULL, flusher_main, flusher);
	if (error)
		close_all(flusher, started);
	return error;
}

/* The workers have ended: what they could not write, because a generation was just beginning. */
static void write_rest(struct flusher *flusher)
{
	uint32_t count = flusher->server->worker_count;
	for (uint32_t i = 0; i < count; i++)
		flusher_write(flusher, i, SIZE_MAX);
	atomic_store(&flusher->turned, generation(flusher));
	for (uint32_t i = 0; i < count; i++)
		flusher_write(flusher, i, SIZE_MAX);
}

void flusher_stop(struct flusher *flusher)
{
	if (!flusher->syncers)
		return;
	write_rest(flusher);
	pthread_mutex_lock(&flusher->mutex);
	atomic_store(&flusher->stop, true);
	pthread_cond_broadcast(&flusher->changed);
	pthread_mutex_unlock(&flusher->mutex);
	pthread_join(flusher->thread, NULL);
	close_all(flusher, flusher->server->worker_count);
}

/* --- for workers --- */

void flusher_ask(struct flusher *flusher, uint32_t worker, uint64_t bytes)
{
	if (flusher_wakes(flusher))
		syncer_ask(&flusher->syncers[worker], bytes);
}

/* Who fails is counted, so that one worker's success doesn't hide another's failure. */
static void note_write(struct flusher *flusher, int before, int error)
{
	if (error)
		atomic_store(&flusher->write_error, error);
	if (!before && error && atomic_fetch_add(&flusher->write_failing, 1) == 0)
		log_write(LOG_WARNING, "Error writing to the journals: %s. Writes are refused.",
			  strerror(-error));
	if (before && !error && atomic_fetch_sub(&flusher->write_failing, 1) == 1)
		log_write(LOG_NOTICE, "The journals can be written again.");
}

bool flusher_write(struct flusher *flusher, uint32_t worker, size_t most)
{
	struct syncer *syncer = &flusher->syncers[worker];
	int before = atomic_load_explicit(&syncer->segment.error, memory_order_relaxed);
	int error = segment_write(&syncer->segment, most, flusher_wakes(flusher));
	if (error != before)
		note_write(flusher, before, error);
	if (flusher_wakes(flusher))
		syncer_wrote(syncer);
	return syncer->segment.more;
}

bool flusher_sync(struct flusher *flusher, uint32_t worker)
{
	return syncer_sync_here(&flusher->syncers[worker]);
}

bool flusher_wakes(const struct flusher *flusher)
{
	return atomic_load_explicit(&flusher->always, memory_order_relaxed);
}

uint64_t flusher_firm(const struct flusher *flusher, uint32_t worker)
{
	return atomic_load_explicit(&flusher->always, memory_order_acquire)
		       ? load(&flusher->syncers[worker].durable)
		       : load(&journal_of(flusher, worker)->written);
}

uint64_t flusher_safe(const struct flusher *flusher, uint32_t worker)
{
	return flusher_off(flusher) ? UINT64_MAX : flusher_firm(flusher, worker);
}

int flusher_trouble(const struct flusher *flusher)
{
	if (flusher_off(flusher))
		return 0;
	int error = atomic_load_explicit(&flusher->sync_error, memory_order_relaxed);
	if (!error && atomic_load_explicit(&flusher->write_failing, memory_order_relaxed))
		error = atomic_load_explicit(&flusher->write_error, memory_order_relaxed);
	if (!error)
		error = atomic_load_explicit(&flusher->place_error, memory_order_relaxed);
	return error ? error : atomic_load_explicit(&flusher->commit_error, memory_order_relaxed);
}

/* --- a new generation --- */

void flusher_renewed(struct flusher *flusher, uint64_t cut)
{
	if (!atomic_load(&flusher->sync_error))
		return;
	for (uint32_t i = 0; i < flusher->server->worker_count; i++)
		syncer_renew(&flusher->syncers[i], cut);
	if (cut < load(&flusher->doubt_epoch))
		return;
	atomic_store(&flusher->sync_error, 0);
	log_write(LOG_NOTICE, "A new snapshot is complete: the journals begin anew.");
	flusher_wake_workers(flusher);
}
