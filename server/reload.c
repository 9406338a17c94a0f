/* Loading everything again (reload.h). */
#include "server/reload.h"

#include "persist/helper.h"
#include "persist/recovery.h"
#include "server/log.h"
#include "server/server.h"
#include "shard/execute.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

/* How often it is looked whether slots are free, and journals written. */
#define LOOK_NS 1000000

static bool wait_a_little(const _Atomic bool *cancelled)
{
	nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
	return !atomic_load(cancelled);
}

/*
 * Nothing is written any more: all of it gets into the journals' files. False after logging why
 * not.
 */
static bool write_journals(struct server *server, const _Atomic bool *cancelled)
{
	struct flusher *flusher = &server->flusher;
	while (!flusher_off(flusher)) {
		bool written = flusher_committed(flusher, atomic_load(&server->ks->epochs.now));
		int error = flusher_trouble(flusher); /* then nobody knows what the files have */
		if (error)
			log_write(LOG_WARNING, "Can't load " DATA_DIR " again: %s",
				  strerror(-error));
		if (error || written)
			return !error;
		if (!wait_a_little(cancelled))
			return false;
	}
	return true;
}

/* FLUSHALL that is nobody's: it isn't journaled. */
static bool forget_all(struct server *server, const _Atomic bool *cancelled)
{
	struct slice word = SLICE("flushall");
	struct helper helper;
	struct reply reply;
	bool done = true;
	helper_init(&helper, server->ks, 0, 0);
	reply_init(&reply, 2);
	struct ctx ctx = {
		.cmd = command_find(word),
		.argv = &word,
		.argc = 1,
		.now = clock_now(&server->clock),
		.clock = &server->clock.now_ms,
		.reply = &reply,
		.ks = server->ks,
		.shard = helper.shard,
	};
	while (done && !execute_holding(&ctx, NULL, SLOT_COUNT))
		done = wait_a_little(cancelled);
	reply_deinit(&reply);
	grace_wait(&server->ks->grace);
	helper_deinit(&helper);
	return done;
}

static bool load_again(struct server *server, const struct manifest *manifest)
{
	struct recovery recovery = {0};
	bool done = recovery_begin(&recovery, server->persistence.dir, manifest) &&
		    recovery_load(&recovery, server->ks, server->worker_count,
				  clock_now(&server->clock));
	if (!done)
		log_write(LOG_WARNING, "%s", recovery.error);
	recovery_end(&recovery);
	return done;
}

/*
 * What is in memory is a part of the data: it must be neither served nor saved. The files have all
 * of it.
 */
static bool give_up(struct server *server, struct manifest *manifest)
{
	manifest_free(manifest);
	log_write(LOG_WARNING, "What was in memory is gone, and could not be loaded again: ending");
	atomic_store(&server->persistence.failed, true);
	server_stop(server);
	return false;
}

bool reload(struct server *server, const _Atomic bool *cancelled)
{
	struct persistence *persistence = &server->persistence;
	struct manifest manifest = {0};
	uint32_t line;
	int error =
		persistence->dir < 0 ? -ENOENT : manifest_read(persistence->dir, &manifest, &line);
	if (!error && manifest.count == 0)
		error = -ENODATA; /* a first snapshot has failed */
	bool done = !error && write_journals(server, cancelled);
	if (error)
		log_write(LOG_WARNING, "Can't load " DATA_DIR " again: %s", strerror(-error));
	if (done) {
		atomic_store_explicit(&persistence->loading_since, clock_now(&server->clock),
				      memory_order_relaxed);
		atomic_store_explicit(&persistence->loading, true, memory_order_release);
		grace_wait(&server->ks->grace);
		done = forget_all(server, cancelled);
		if (done && !load_again(server, &manifest))
			return give_up(server, &manifest);
		if (done) {
			atomic_store(&persistence->expired_keys, 0);
			persistence_note_loaded(persistence);
		}
		atomic_store_explicit(&persistence->loading, false, memory_order_release);
	}
	manifest_free(&manifest);
	return done;
}
