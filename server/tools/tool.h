/*
 * What the tools have in common: a data directory, locked and read; messages; progress.
 *
 * One thread, and one that shows progress.
 */
#ifndef SERVER_TOOLS_TOOL_H
#define SERVER_TOOLS_TOOL_H

#include "persist/recovery.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Exit statuses; those from 1 to 3 are check's words, others know only "failed". */
enum tool_status { TOOL_FINE = 0, TOOL_WILL_CUT = 1, TOOL_DAMAGED = 2, TOOL_FAILED = 3 };

/* Threads that load: more don't help, for one merges what they do. */
#define TOOL_THREADS_MAX 64

struct tool {
	/* the command line's */
	const char *name;
	const char *path;
	const char *rdb, *to, *until; /* NULL: not given */
	int64_t until_ms;
	bool fix, load;
	bool beside; /* a server may have the directory: nothing is locked, nor made sense of */
	bool progress;
	/* the data directory, after tool_open() */
	int dir, lock; /* descriptors; -1: none */
	struct manifest manifest;
	bool manifest_damaged;
	uint32_t manifest_line;
	struct recovery recovery;
	/* loaded, after tool_load() */
	struct keyspace *ks;
	uint32_t threads;
	struct recovery_point point; /* of what is loaded; with `until` only */
};

/* The tools: exit statuses. */
int backup_run(struct tool *tool);
int check_run(struct tool *tool);
int export_run(struct tool *tool);
int restore_run(struct tool *tool);

/* "2026-11-21T10:00:00[.123][Z]", unix seconds, or unix milliseconds. */
bool tool_parse_time(const char *text, int64_t *ms);

/* Says why on stderr. Returns TOOL_FAILED. */
int tool_fail(const struct tool *tool, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Finds the directory, locks it, reads MANIFEST and COMMITS; `beside`: MANIFEST only. False after
 * saying why.
 */
bool tool_open(struct tool *tool);
void tool_close(struct tool *tool);

/* MANIFEST was whole. False after saying that it wasn't. */
bool tool_knows_files(const struct tool *tool);

/* Makes a keyspace of the data, of those until then if it is said so. False after saying why. */
bool tool_load(struct tool *tool);

/* Keys in all databases. */
uint64_t tool_keys(const struct tool *tool);

/* Shows on stderr how far something is, if that is wanted. */
struct progress {
	const char *what;
	const _Atomic uint64_t *done, *total;
	bool wanted;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool over; /* under the mutex */
};
void progress_begin(struct progress *progress, const struct tool *tool, const char *what,
		    const _Atomic uint64_t *done, const _Atomic uint64_t *total);
void progress_end(struct progress *progress);

#endif
