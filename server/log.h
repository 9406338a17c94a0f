/* The log: lines as Redis writes them, to standard output or a file. Any thread; one write() a line. */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H

enum log_level {
	LOG_DEBUG,
	LOG_VERBOSE,
	LOG_NOTICE,
	LOG_WARNING,
};

/* Lines below the level are dropped. */
void log_set_level(enum log_level level);

/* Appends to this file from now on; an empty path means standard output. 0 or a negative errno. */
int log_open(const char *path);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
