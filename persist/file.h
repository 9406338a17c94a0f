/*
 * Files: the one place where the server reads and writes them whole.
 *
 * Errors are negative errno values. Any thread.
 */
#ifndef PERSIST_FILE_H
#define PERSIST_FILE_H

#include <stddef.h>

/*
 * Reads a whole file of at most `max` bytes, or what a pipe gives until its end. On success *out is
 * the caller's (mem_free_unsized), with a zero behind its last byte, and *len its length. More
 * bytes than that: -EFBIG.
 */
int file_read(const char *path, size_t max, char **out, size_t *len);

/*
 * Replaces a file, so that a crash at any moment leaves the old content or the new one: a temporary
 * file beside it, synced, renamed over it, the directory synced. Keeps the old file's permissions,
 * and its owner if that can be had; a new one gets 0644, less what the process' umask takes away.
 * Not for two threads at once with the same path.
 */
int file_replace(const char *path, const char *bytes, size_t len);

#endif
