/* Files (file.h). */
#include "persist/file.h"

#include "proto/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_MAX_BYTES 4096
/* Most files fit at once into twice this. */
#define ROOM_FIRST 4096

/* Reads on from *len, up to `max` bytes in all or the end. */
static int read_until(int fd, char *out, size_t max, size_t *len)
{
	while (*len < max) {
		ssize_t n = read(fd, out + *len, max - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		*len += (size_t)n;
	}
	return 0;
}

/* The room doubles until the end fits: it may be a pipe, whose length nobody knows. */
int file_read(const char *path, size_t max, char **out, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t room = ROOM_FIRST;
	char *bytes = NULL;
	int error;
	*len = 0;
	do {
		room *= 2;
		bytes = mem_realloc(bytes, room + 1);
		error = read_until(fd, bytes, room, len);
	} while (!error && *len == room && room <= max);
	close(fd);
	if (!error && *len > max)
		error = -EFBIG;
	if (error) {
		mem_free_unsized(bytes);
		return error;
	}
	bytes[*len] = 0;
	*out = bytes;
	return 0;
}

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Makes a rename in the path's directory last. */
static int sync_directory(const char *path)
{
	char directory[PATH_MAX_BYTES];
	const char *slash = strrchr(path, '/');
	if (slash)
		snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path + 1), path);
	else
		strcpy(directory, ".");
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = fsync(fd) ? -errno : 0;
	close(fd);
	return error;
}

/* Gives it the owner, where this process may do so, and the permissions of the old file. */
static int become(int fd, const struct stat *old)
{
	if ((old->st_uid != geteuid() || old->st_gid != getegid()) &&
	    fchown(fd, old->st_uid, old->st_gid) && errno != EPERM)
		return -errno;
	return fchmod(fd, old->st_mode & 07777) ? -errno : 0;
}

int file_replace(const char *path, const char *bytes, size_t len)
{
	char temporary[PATH_MAX_BYTES];
	struct stat old;
	bool exists = stat(path, &old) == 0;
	if (snprintf(temporary, sizeof(temporary), "%s.%d.tmp", path, (int)getpid()) >=
	    (int)sizeof(temporary))
		return -ENAMETOOLONG;
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, exists ? 0600 : 0644);
	if (fd < 0)
		return -errno;
	int error = write_all(fd, bytes, len);
	if (!error && exists)
		error = become(fd, &old);
	if (!error && fsync(fd))
		error = -errno;
	close(fd);
	if (!error && rename(temporary, path))
		error = -errno;
	if (error)
		unlink(temporary);
	return error ? error : sync_directory(path);
}
