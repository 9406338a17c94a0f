/* What the tools have in common (tool.h). */
#include "server/tools/tool.h"

#include "persist/io.h"
#include "server/tools/undo.h"
#include "shard/keyspace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* Between two lines of progress; on a terminal it is one line, written over. */
#define PROGRESS_MS 200

/* --- messages --- */

int tool_fail(const struct tool *tool, const char *format, ...)
{
	va_list list;
	fflush(stdout); /* in the order that it was said in */
	va_start(list, format);
	fprintf(stderr, "sherd %s: ", tool->name);
	vfprintf(stderr, format, list);
	fputc('\n', stderr);
	va_end(list);
	return TOOL_FAILED;
}

static void show(const struct progress *progress)
{
	uint64_t done = atomic_load(progress->done), total = atomic_load(progress->total);
	double part = total > 0 ? (double)done / (double)total : 1;
	fprintf(stderr, isatty(STDERR_FILENO) ? "\r%s: %.0f %%   " : "%s: %.0f %%\n",
		progress->what, 100 * (part < 1 ? part : 1));
}

static void *progress_main(void *arg)
{
	struct progress *progress = arg;
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	pthread_mutex_lock(&progress->mutex);
	while (!progress->over) {
		show(progress);
		until.tv_nsec += PROGRESS_MS * 1000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&progress->changed, &progress->mutex, &until);
	}
	show(progress);
	pthread_mutex_unlock(&progress->mutex);
	if (isatty(STDERR_FILENO))
		fputc('\n', stderr);
	return NULL;
}

void progress_begin(struct progress *progress, const struct tool *tool, const char *what,
		    const _Atomic uint64_t *done, const _Atomic uint64_t *total)
{
	*progress = (struct progress){.what = what,
				      .done = done,
				      .total = total,
				      .wanted = tool->progress};
	if (!progress->wanted)
		return;
	pthread_mutex_init(&progress->mutex, NULL);
	pthread_cond_init(&progress->changed, NULL);
	undo_hold_signals(); /* the new thread never takes them */
	pthread_create(&progress->thread, NULL, progress_main, progress);
	undo_take_signals();
}

void progress_end(struct progress *progress)
{
	if (!progress->wanted)
		return;
	pthread_mutex_lock(&progress->mutex);
	progress->over = true;
	pthread_cond_signal(&progress->changed);
	pthread_mutex_unlock(&progress->mutex);
	pthread_join(progress->thread, NULL);
	pthread_mutex_destroy(&progress->mutex);
	pthread_cond_destroy(&progress->changed);
}

/* --- the directory --- */

/* It is the data directory, or has it in it. */
static int open_dir(struct tool *tool)
{
	char inner[PATH_MAX];
	if (snprintf(inner, sizeof(inner), "%s/" DATA_DIR, tool->path) >= (int)sizeof(inner))
		return -ENAMETOOLONG;
	tool->dir = open(inner, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tool->dir < 0)
		tool->dir = open(tool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return tool->dir < 0 ? -errno : 0;
}

/* False after saying why. */
static bool lock_dir(struct tool *tool)
{
	int error = io_lock(tool->dir, LOCK_NAME, tool->fix, &tool->lock);
	if (error)
		tool_fail(tool,
			  error == -EWOULDBLOCK ? "%s is in use by a server, or by another tool"
						: "Can't lock %s: %s",
			  tool->path, strerror(-error));
	return !error;
}

bool tool_open(struct tool *tool)
{
	tool->dir = tool->lock = -1;
	int error = open_dir(tool);
	if (error) {
		tool_fail(tool, "Can't open the directory %s: %s", tool->path, strerror(-error));
		return false;
	}
	if (!tool->beside && !lock_dir(tool))
		return false;
	error = manifest_read(tool->dir, &tool->manifest, &tool->manifest_line);
	tool->manifest_damaged = error == -EINVAL;
	if (error && error != -EINVAL && error != -ENOENT) {
		tool_fail(tool, "Can't read " MANIFEST_NAME " in %s: %s", tool->path,
			  strerror(-error));
		return false;
	}
	if (tool->manifest_damaged)
		return true;
	if (!tool->beside && !recovery_begin(&tool->recovery, tool->dir, &tool->manifest)) {
		tool_fail(tool, "%s", tool->recovery.error);
		return false;
	}
	if (error)
		tool_fail(tool, "There are no data in %s: no " MANIFEST_NAME, tool->path);
	return !error;
}

bool tool_knows_files(const struct tool *tool)
{
	if (tool->manifest_damaged)
		tool_fail(tool, MANIFEST_NAME " is damaged at line %" PRIu32, tool->manifest_line);
	return !tool->manifest_damaged;
}

void tool_close(struct tool *tool)
{
	keyspace_free(tool->ks);
	recovery_end(&tool->recovery);
	manifest_free(&tool->manifest);
	if (tool->lock >= 0)
		close(tool->lock);
	if (tool->dir >= 0)
		close(tool->dir);
}

/* --- loading --- */

/* What is damaged, where nothing later is known: there may have been more. */
static void warn_of_damage(const struct tool *tool)
{
	const struct recovery *recovery = &tool->recovery;
	for (uint32_t i = 0; i < recovery->file_count; i++) {
		const struct recovery_file *file = &recovery->files[i];
		if (recovery_file_bad(file))
			tool_fail(tool,
				  "%s is damaged at byte %" PRIu64
				  ", %s: what was written after that is not in this state",
				  file->name, file->good, file->why);
	}
}

static bool go_back(struct tool *tool)
{
	struct progress progress;
	struct recovery *recovery = &tool->recovery;
	char text[RECOVERY_TIME_MAX], next[RECOVERY_TIME_MAX];
	progress_begin(&progress, tool, "reading times", &recovery->bytes_done,
		       &recovery->bytes_total);
	bool found = recovery_until(recovery, tool->until_ms, &tool->point);
	progress_end(&progress);
	if (!found) {
		tool_fail(tool, "%s", recovery->error);
		return false;
	}
	fprintf(stderr, "The state of epoch %" PRIu64 ", which began at %s", tool->point.epoch,
		recovery_time_text(tool->point.ms, text));
	if (tool->point.next != EPOCH_NONE)
		fprintf(stderr, "; the next one began at %s",
			recovery_time_text(tool->point.next_ms, next));
	fputc('\n', stderr);
	if (tool->point.next == EPOCH_NONE)
		warn_of_damage(tool);
	return true;
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool tool_load(struct tool *tool)
{
	struct progress progress;
	struct recovery *recovery = &tool->recovery;
	struct hash_seed seed;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	if (!tool_knows_files(tool) || (tool->until && !go_back(tool)))
		return false;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
		tool_fail(tool, "No randomness from the system: %s", strerror(errno));
		return false;
	}
	tool->threads = cores < 1                  ? 1
			: cores > TOOL_THREADS_MAX ? TOOL_THREADS_MAX
						   : (uint32_t)cores;
	/* As many databases as there can be: nobody says how many the data have. */
	keyspace_free(tool->ks);
	tool->ks = keyspace_new(tool->threads, DATABASES_MAX, &seed);
	progress_begin(&progress, tool, "loading", &recovery->bytes_done, &recovery->bytes_total);
	bool good = recovery_load(recovery, tool->ks, tool->threads, now_ms());
	progress_end(&progress);
	if (!good)
		tool_fail(tool, "%s", recovery->error);
	return good;
}

uint64_t tool_keys(const struct tool *tool)
{
	int64_t keys = 0;
	for (uint32_t db = 0; db < tool->ks->databases; db++)
		keys += keyspace_keys(tool->ks, db);
	return (uint64_t)keys;
}
