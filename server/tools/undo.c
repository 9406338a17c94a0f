/* Removing what was begun (undo.h). */
#include "server/tools/undo.h"

#include "proto/mem.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define EXIT_INTERRUPTED 130

struct note {
	struct note *next;
	bool directory;
	char path[];
};
/*
 * The last one; stored when it is whole, for the handler reads it at any moment. They are never
 * freed.
 */
static _Atomic(struct note *) last;
/* This one stays, and those before it. */
static _Atomic(struct note *) stays;

void undo_note(const char *path, bool directory)
{
	struct note *note = mem_alloc(sizeof(*note) + strlen(path) + 1);
	note->next = atomic_load(&last);
	note->directory = directory;
	strcpy(note->path, path);
	atomic_store(&last, note);
}

void undo_all(void)
{
	const struct note *end = atomic_load(&stays);
	for (const struct note *note = atomic_load(&last); note != end; note = note->next) {
		if (note->directory)
			rmdir(note->path);
		else
			unlink(note->path);
	}
	undo_nothing();
}

void undo_nothing(void)
{
	atomic_store(&stays, atomic_load(&last));
}

/* Everything it calls may be called by a handler. */
static void on_signal(int number)
{
	undo_all();
	_exit(EXIT_INTERRUPTED);
}

static sigset_t both(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	return set;
}

void undo_watch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_mask = both()};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

void undo_hold_signals(void)
{
	sigset_t set = both();
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void undo_take_signals(void)
{
	sigset_t set = both();
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
