/* Calls on files (io.h). */
#include "persist/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Zeros that are written at once. */
#define ZEROS_BYTES (64 * 1024)

_Atomic(io_fault_fn) io_fault;

/* `len`: of a write. */
static int fault_of(enum io_call call, size_t *len)
{
	io_fault_fn ask = atomic_load_explicit(&io_fault, memory_order_relaxed);
	return ask ? ask(call, len) : 0;
}

static int fault(enum io_call call)
{
	return fault_of(call, NULL);
}

/* Makes the name of a directory last. */
static int sync_parent(int dir)
{
	int parent = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return -errno;
	int error = io_sync(parent);
	close(parent);
	return error;
}

int io_open_dir(const char *path, int *dir)
{
	int error = fault(IO_OPEN);
	if (error)
		return error;
	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	*dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*dir < 0)
		return -errno;
	error = sync_parent(*dir);
	if (error) {
		close(*dir);
		*dir = -1;
	}
	return error;
}

int io_lock(int dir, const char *name, bool alone, int *fd)
{
	*fd = openat(dir, name, alone ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600);
	if (*fd < 0)
		return errno == ENOENT && !alone ? 0 : -errno;
	if (flock(*fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
		return 0;
	int error = -errno;
	close(*fd);
	*fd = -1;
	return error;
}

int io_open_append(int dir, const char *name, bool fresh, int *fd)
{
	int error = fault(IO_OPEN);
	if (error)
		return error;
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | (fresh ? O_TRUNC : 0);
	*fd = openat(dir, name, flags, 0600);
	return *fd < 0 ? -errno : 0;
}

int io_write(int fd, const char *bytes, size_t len, size_t *written)
{
	*written = 0;
	while (*written < len) {
		size_t part = len - *written;
		int error = fault_of(IO_WRITE, &part);
		ssize_t n = part > 0 ? write(fd, bytes + *written, part) : 0;
		if (n > 0)
			*written += (size_t)n;
		if (error)
			return error;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
	return 0;
}

int io_open_new(int dir, const char *name, int *fd)
{
	int error = fault(IO_OPEN);
	if (error)
		return error;
	*fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return *fd < 0 ? -errno : 0;
}

void io_close(int fd)
{
	close(fd);
}

int io_open_end(int dir, const char *name, int *fd, uint64_t *len)
{
	int error = fault(IO_OPEN);
	if (error)
		return error;
	*fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	off_t end = *fd < 0 ? -1 : lseek(*fd, 0, SEEK_END);
	if (end >= 0) {
		*len = (uint64_t)end;
		return 0;
	}
	error = -errno;
	if (*fd >= 0)
		close(*fd);
	return error;
}

int io_write_zeros(int fd, uint64_t offset, size_t len)
{
	static const char zeros[ZEROS_BYTES];
	while (len > 0) {
		size_t part = len < sizeof(zeros) ? len : sizeof(zeros);
		int error = fault_of(IO_WRITE, &part);
		ssize_t n = error ? 0 : pwrite(fd, zeros, part, (off_t)offset);
		if (error || (n < 0 && errno != EINTR))
			return error ? error : -errno;
		if (n > 0) {
			offset += (uint64_t)n;
			len -= (size_t)n;
		}
	}
	return 0;
}

int io_write_at(int fd, const char *bytes, size_t len, uint64_t offset)
{
	size_t written;
	off_t end = lseek(fd, 0, SEEK_CUR);
	if (end < 0 || lseek(fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	int error = io_write(fd, bytes, len, &written);
	return lseek(fd, end, SEEK_SET) < 0 && !error ? -errno : error;
}

int io_sync(int fd)
{
	int error = fault(IO_SYNC);
	if (error)
		return error;
	return fdatasync(fd) ? -errno : 0;
}

int io_sync_file(int dir, const char *name)
{
	int error = fault(IO_OPEN);
	if (error)
		return error;
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = io_sync(fd);
	close(fd);
	return error;
}

int io_unlink(int dir, const char *name)
{
	int error = fault(IO_UNLINK);
	if (error)
		return error;
	return unlinkat(dir, name, 0) && errno != ENOENT ? -errno : 0;
}

void io_sync_begin(int fd, uint64_t offset, uint64_t len)
{
	sync_file_range(fd, (off_t)offset, (off_t)len, SYNC_FILE_RANGE_WRITE);
}

void io_drop(int fd, uint64_t offset, uint64_t len)
{
	posix_fadvise(fd, (off_t)offset, (off_t)len, POSIX_FADV_DONTNEED);
}

int io_rename(int dir, const char *from, const char *to)
{
	int error = fault(IO_RENAME);
	if (error)
		return error;
	return renameat(dir, from, dir, to) ? -errno : 0;
}

static int rename_lastingly(int dir, const char *from, const char *to)
{
	int error = io_rename(dir, from, to);
	return error ? error : io_sync(dir);
}

int io_replace(int dir, const char *name, const char *bytes, size_t len)
{
	char temporary[NAME_MAX + 1];
	int fd;
	size_t written;
	if (snprintf(temporary, sizeof(temporary), "%s.tmp", name) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	int error = io_open_append(dir, temporary, true, &fd);
	if (error)
		return error;
	error = io_write(fd, bytes, len, &written);
	if (!error)
		error = io_sync(fd);
	close(fd);
	if (!error)
		error = rename_lastingly(dir, temporary, name);
	if (error)
		unlinkat(dir, temporary, 0);
	return error;
}

int io_cut(int fd, uint64_t len)
{
	int error = fault(IO_TRUNCATE);
	if (error)
		return error;
	return ftruncate(fd, (off_t)len) ? -errno : 0;
}

int io_truncate(int dir, const char *name, uint64_t len)
{
	int error = fault(IO_TRUNCATE);
	if (error)
		return error;
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = ftruncate(fd, (off_t)len) ? -errno : io_sync(fd);
	close(fd);
	return error;
}

int io_map(int dir, const char *name, struct io_map *map)
{
	struct stat stat;
	*map = (struct io_map){0};
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = fstat(fd, &stat) ? -errno : 0;
	if (!error && stat.st_size > 0) {
		void *bytes = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (bytes == MAP_FAILED)
			error = -errno;
		else
			*map = (struct io_map){bytes, (size_t)stat.st_size};
	}
	close(fd);
	return error;
}

void io_unmap(struct io_map *map)
{
	if (map->bytes)
		munmap((void *)map->bytes, map->len);
	*map = (struct io_map){0};
}
