/*
 * Calls on the files of the data directory, all in one place, so that tests can make any of them
 * fail.
 *
 * Results are 0 or a negative errno. Names are relative to the directory `dir` (a descriptor).
 * Files are made with permissions 0600. Any thread.
 */
#ifndef PERSIST_IO_H
#define PERSIST_IO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What can fail. */
enum io_call { IO_OPEN, IO_WRITE, IO_SYNC, IO_RENAME, IO_TRUNCATE, IO_UNLINK, IO_CALL_COUNT };

/*
 * For tests (fault.h): asked before each call; a negative errno makes it fail. Of a write (`len`
 * isn't NULL) it may also lower *len: so much is written before it fails, or is all that this write
 * takes. NULL: nothing fails. Any thread may call it; whoever sets it does so atomically.
 */
typedef int (*io_fault_fn)(enum io_call call, size_t *len);
extern _Atomic(io_fault_fn) io_fault;

/*
 * Opens the directory, making it (0700) when it isn't there. From then on a power loss leaves it
 * there.
 */
int io_open_dir(const char *path, int *dir);

/*
 * Locks a file of that name for as long as *fd stays open, or this process lives. Alone: the file
 * is made when it isn't there. Otherwise together with others that don't want to be alone; where
 * there is no file nobody is, and *fd is -1. -EWOULDBLOCK: somebody else has it.
 */
int io_lock(int dir, const char *name, bool alone, int *fd);

/* Opens for appending; `fresh`: makes a new file, an old one of that name is emptied. */
int io_open_append(int dir, const char *name, bool fresh, int *fd);

/* Writes all of it unless something fails; *written says how much is in the file. */
int io_write(int fd, const char *bytes, size_t len, size_t *written);

/* The same for a new file that is not only appended to, and a write anywhere in it. */
int io_open_new(int dir, const char *name, int *fd);
void io_close(int fd);
int io_write_at(int fd, const char *bytes, size_t len, uint64_t offset);

/* Opens for writing behind what stands in the file, *len bytes; makes it when it isn't there. */
int io_open_end(int dir, const char *name, int *fd, uint64_t *len);

/* Writes zeros anywhere in a file. Where the next io_write() goes doesn't change. */
int io_write_zeros(int fd, uint64_t offset, size_t len);

/* Makes a file's content last; of a directory its names. */
int io_sync(int fd);

/* Has the system begin to write what of a file isn't on the disk yet: a hint. */
void io_sync_begin(int fd, uint64_t offset, uint64_t len);

/*
 * Has the system let go of its own copy of what is on the disk already, up to the end with `len` 0:
 * a hint. Nobody reads these files before the next start, and memory that is written to again and
 * again costs less than memory that is new.
 */
void io_drop(int fd, uint64_t offset, uint64_t len);

/* Renames; it lasts when the directory is synced. */
int io_rename(int dir, const char *from, const char *to);

/*
 * Replaces a file as a whole, lastingly: temporary file, sync, rename, sync of the directory. After
 * an error the old file is there or (when it was the last step that failed) the new one, and either
 * may be after a power loss: what both of them name must be kept until a later replacement
 * succeeds.
 */
int io_replace(int dir, const char *name, const char *bytes, size_t len);

/* Cuts a file. */
int io_truncate(int dir, const char *name, uint64_t len);
int io_cut(int fd, uint64_t len);

int io_unlink(int dir, const char *name);

/* Makes last what processes have written to a file. */
int io_sync_file(int dir, const char *name);

/* A file's bytes, mapped; io_unmap() ends it. An empty file: bytes NULL, len 0. */
struct io_map {
	const char *bytes;
	size_t len;
};
int io_map(int dir, const char *name, struct io_map *map);
void io_unmap(struct io_map *map);

#endif
