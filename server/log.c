/* The log (log.h). */
#include "server/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Longer lines are cut. */
#define LOG_LINE_MAX 1024

static _Atomic int log_level = LOG_NOTICE;
/* Constant after start; the file behind the descriptor isn't. */
static int log_fd = STDOUT_FILENO;
static char log_path[PATH_MAX];

void log_set_level(enum log_level level)
{
	atomic_store(&log_level, level);
}

bool log_wants(enum log_level level)
{
	return (int)level >= atomic_load(&log_level);
}

static int open_file(const char *path)
{
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

int log_open(const char *path)
{
	int fd = STDOUT_FILENO;
	if (strlen(path) >= sizeof(log_path))
		return -ENAMETOOLONG;
	if (path[0])
		fd = open_file(path);
	if (fd < 0)
		return -errno;
	if (log_fd != STDOUT_FILENO)
		close(log_fd);
	log_fd = fd;
	strcpy(log_path, path);
	return 0;
}

static bool has_moved(void)
{
	struct stat named, opened;
	if (!log_path[0])
		return false;
	return stat(log_path, &named) || fstat(log_fd, &opened) || named.st_ino != opened.st_ino ||
	       named.st_dev != opened.st_dev;
}

/* Puts a file of that name behind the descriptor; others may be writing, or doing the same. */
static void follow(void)
{
	int fd = open_file(log_path);
	if (fd < 0)
		return;
	dup3(fd, log_fd, O_CLOEXEC);
	close(fd);
}

/*
 * What a line tells of (the name of a key) must not look like other lines, nor do anything to a
 * terminal.
 */
static void blank_controls(char *text, int len)
{
	for (int i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[LOG_LINE_MAX], when[32];
	struct timeval now;
	struct tm local;
	if (!log_wants(level))
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
	blank_controls(line, n);
	line[n++] = '\n';
	if (has_moved())
		follow();
	ssize_t written = write(log_fd, line, (size_t)n);
	(void)written; /* there is nowhere to report it */
}
