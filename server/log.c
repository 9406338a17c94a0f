/* The log (log.h). */
#include "server/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Longer lines are cut. */
#define LOG_LINE_MAX 1024

static _Atomic int log_level = LOG_NOTICE;
static _Atomic int log_fd = STDOUT_FILENO;

void log_set_level(enum log_level level)
{
	atomic_store(&log_level, level);
}

int log_open(const char *path)
{
	int fd = STDOUT_FILENO;
	if (path[0])
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	int old = atomic_exchange(&log_fd, fd);
	if (old != STDOUT_FILENO && old != fd)
		close(old);
	return 0;
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[LOG_LINE_MAX], when[32];
	struct timeval now;
	struct tm local;
	if ((int)level < atomic_load(&log_level))
		return;
	gettimeofday(&now, NULL);
	localtime_r(&now.tv_sec, &local);
	strftime(when, sizeof(when), "%d %b %Y %H:%M:%S", &local);
	int n = snprintf(line, sizeof(line), "%d:M %s.%03d %c ", (int)getpid(), when,
			 (int)(now.tv_usec / 1000), ".-*#"[level]);
	va_list args;
	va_start(args, format);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, args);
	va_end(args);
	if (n > LOG_LINE_MAX - 2)
		n = LOG_LINE_MAX - 2;
	line[n++] = '\n';
	ssize_t written = write(atomic_load(&log_fd), line, (size_t)n);
	(void)written; /* there is nowhere to report it */
}
