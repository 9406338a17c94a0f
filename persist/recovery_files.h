/*
 * What the parts of a recovery (recovery.h) share: its files, its error, its progress.
 *
 * One thread.
 */
#ifndef PERSIST_RECOVERY_FILES_H
#define PERSIST_RECOVERY_FILES_H

#include "persist/io.h"
#include "persist/recovery.h"

/* This becomes the error. False. */
bool recovery_fail(struct recovery *recovery, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* What is wrong with the file becomes the error. False. */
bool recovery_fail_file(struct recovery *recovery, const struct recovery_file *file);

/*
 * File `number` of an item, mapped; or unreadable, with the map empty. It stands behind those in
 * `files`, and may move when the next one comes. The map is the caller's.
 */
struct recovery_file *recovery_open_file(struct recovery *recovery, uint32_t item, uint32_t number,
					 struct io_map *map);

/* Begins anew: no file yet, and how much there is to read from this item on. */
void recovery_begin_files(struct recovery *recovery, uint32_t first);
void recovery_forget_files(struct recovery *recovery);

/* So many bytes have been read. */
static inline void recovery_done(struct recovery *recovery, uint64_t bytes)
{
	atomic_fetch_add_explicit(&recovery->bytes_done, bytes, memory_order_relaxed);
}

static inline void recovery_see_epoch(struct recovery *recovery, uint64_t epoch)
{
	if (epoch > recovery->epoch_last)
		recovery->epoch_last = epoch;
}

#endif
