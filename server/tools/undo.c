/* Removing what was begun (undo.h). */
#include "server/tools/undo.h"

#include <assert.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

/* A snapshot's parts under two names each, and some around them. */
#define NOTES_MAX        160
#define EXIT_INTERRUPTED 130

static struct {
	char path[PATH_MAX];
	bool directory;
} notes[NOTES_MAX];
/* Raised when a note is whole, for the handler reads it at any moment. */
static _Atomic unsigned count;

void undo_note(const char *path, bool directory)
{
	unsigned i = atomic_load(&count);
	assert(i < NOTES_MAX);
	snprintf(notes[i].path, sizeof(notes[i].path), "%s", path);
	notes[i].directory = directory;
	atomic_store(&count, i + 1);
}

void undo_all(void)
{
	for (unsigned i = atomic_load(&count); i-- > 0;) {
		if (notes[i].directory)
			rmdir(notes[i].path);
		else
			unlink(notes[i].path);
	}
	undo_nothing();
}

void undo_nothing(void)
{
	atomic_store(&count, 0);
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
