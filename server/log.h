/*
 * The log: lines as Redis writes them, to standard output or a file. Any thread; one write() a
 * line.
 *
 * A file that has been moved or removed is left, and one of the old name begun, at the next line:
 * whoever rotates logs moves them away and needn't tell us. While no file of that name can be had,
 * lines go on into the old one.
 */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H

#include <stdbool.h>

enum log_level {
	LOG_DEBUG,
	LOG_VERBOSE,
	LOG_NOTICE,
	LOG_WARNING,
	LOG_NOTHING, /* no line has it: a server told so is silent */
};

/* Lines below the level are dropped. */
void log_set_level(enum log_level level);

/* Whether a line of that level is written: saves the work of making its words. */
bool log_wants(enum log_level level);

/*
 * Appends to this file from now on; an empty path means standard output. 0 or a negative errno;
 * then nothing has changed. Before other threads are started.
 */
int log_open(const char *path);

/* One line. Control characters in it are shown as '?': it may repeat what clients sent. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
