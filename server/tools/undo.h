/*
 * What a tool has begun to write, to be removed if it doesn't come to its end: after a failure, and
 * when SIGINT or SIGTERM ends the process (exit status 130).
 *
 * One thread, and the signal handler.
 */
#ifndef SERVER_TOOLS_UNDO_H
#define SERVER_TOOLS_UNDO_H

#include <stdbool.h>

/* A file or directory that is going to be made. Directories before what is in them. */
void undo_note(const char *path, bool directory);

/* Removes what was noted, last first; what isn't there is no matter. */
void undo_all(void);

/* It has come to its end: what was noted stays. */
void undo_nothing(void);

void undo_watch_signals(void);

/*
 * Between these two signals to this thread wait. Before the step with which the work is done they
 * are held, and if it succeeds for good: who is told that it was interrupted finds nothing.
 */
void undo_hold_signals(void);
void undo_take_signals(void);

#endif
