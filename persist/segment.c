/* Segments (segment.h). */
#include "persist/segment.h"

#include "persist/io.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

void segment_name(const struct segment_id *id, char out[SEGMENT_NAME_MAX])
{
	snprintf(out, SEGMENT_NAME_MAX, "journal-%" PRIu64 "-%" PRIu64 "-%" PRIu32 ".aof", id->run,
		 id->cut, id->worker);
}

static int open_file(int dir, const struct segment_id *id, int *fd, uint64_t *len)
{
	char name[SEGMENT_NAME_MAX];
	segment_name(id, name);
	return io_open_end(dir, name, fd, len);
}

/* The zeros behind what is written go. Where that fails they stay, and do no harm. */
static void trim(const struct segment *segment)
{
	if (segment->zeros_end > segment->len)
		(void)io_cut(segment->fd, segment->len);
}

/*
 * Sees to it that zeros stand behind what is written. Without space for them it goes on without
 * them, and tries again when so much more has been written.
 */
static void write_ahead(struct segment *segment)
{
	if (segment->len + SEGMENT_AHEAD_BYTES / 2 < segment->zeros_end)
		return;
	uint64_t from = segment->len > segment->zeros_end ? segment->len : segment->zeros_end;
	(void)io_write_zeros(segment->fd, from, SEGMENT_AHEAD_BYTES);
	segment->zeros_end = from + SEGMENT_AHEAD_BYTES;
}

int segment_make(int dir, const struct segment_id *id)
{
	char name[SEGMENT_NAME_MAX];
	int fd;
	segment_name(id, name);
	int error = io_open_append(dir, name, true, &fd);
	if (!error)
		close(fd);
	return error;
}

int segment_open(struct segment *segment, int dir, const struct segment_id *id,
		 struct journal *journal)
{
	*segment = (struct segment){.dir = dir, .journal = journal, .id = *id, .fd = -1};
	pthread_mutex_init(&segment->mutex, NULL);
	uint64_t len = 0;
	int error = open_file(dir, id, &segment->fd, &len);
	segment->len = len;
	return error;
}

void segment_close(struct segment *segment)
{
	for (uint32_t i = 0; i < segment->old_count; i++)
		close(segment->old[i]);
	if (segment->fd >= 0) {
		trim(segment);
		close(segment->fd);
	}
	segment->fd = -1;
	segment->old_count = 0;
	pthread_mutex_destroy(&segment->mutex);
}

/* All that was written is: nobody syncs the file, or will. */
static bool is_durable(const struct segment *segment)
{
	return segment->durable &&
	       atomic_load_explicit(segment->durable, memory_order_acquire) >=
		       atomic_load_explicit(&segment->journal->written, memory_order_relaxed);
}

/* Goes on in the file of the journal's generation. */
static int next_file(struct segment *segment)
{
	int fd, error = 0;
	uint64_t len;
	struct segment_id id = segment->id;
	id.cut = atomic_load_explicit(&segment->journal->cut, memory_order_relaxed);
	pthread_mutex_lock(&segment->mutex);
	if (segment->old_count == SEGMENT_OLD_MAX)
		error = -EAGAIN;
	else
		error = open_file(segment->dir, &id, &fd, &len);
	if (!error) {
		trim(segment);
		if (segment->stale || segment->len == 0 || is_durable(segment))
			close(segment->fd);
		else
			segment->old[segment->old_count++] = segment->fd;
		segment->fd = fd;
		segment->id = id;
		segment->len = len;
		segment->zeros_end = 0;
		segment->dropped = 0;
		segment->stale = false;
		segment->journal->segment_at = SIZE_MAX;
		atomic_store_explicit(&segment->entered, id.cut, memory_order_release);
	}
	pthread_mutex_unlock(&segment->mutex);
	return error;
}

/* The journal is at the end of a generation: may it go on? */
static bool may_turn(struct segment *segment)
{
	uint64_t cut = atomic_load_explicit(&segment->journal->cut, memory_order_relaxed);
	atomic_store_explicit(&segment->arrived, cut, memory_order_release);
	return !segment->turned ||
	       atomic_load_explicit(segment->turned, memory_order_acquire) >= cut;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

int segment_write(struct segment *segment, size_t most, bool ahead)
{
	struct journal *journal = segment->journal;
	int error = 0;
	segment->more = false;
	while (!error && (journal->buf.len > 0 || journal->segment_at == 0)) {
		if (journal->segment_at == 0) {
			if (!may_turn(segment))
				break;
			error = next_file(segment);
			continue;
		}
		segment->more = most == 0;
		if (segment->more)
			break;
		struct slice front = chain_front(&journal->buf);
		size_t written;
		error = io_write(segment->fd, front.ptr,
				 least(least(front.len, journal->segment_at), most), &written);
		segment->len += written;
		most -= written;
		journal_wrote(journal, written);
	}
	if (ahead && !error && !segment->more)
		write_ahead(segment);
	atomic_store_explicit(&segment->error, error, memory_order_relaxed);
	return error;
}

/*
 * The file is on the disk up to there. (When it is another one by now, the hint is of no use, and
 * does no harm.)
 */
static void drop(struct segment *segment, int fd, uint64_t synced)
{
	uint64_t end = synced - synced % SEGMENT_DROP_BYTES, from = end;
	pthread_mutex_lock(&segment->mutex);
	if (segment->fd == fd && segment->dropped < end) {
		from = segment->dropped;
		segment->dropped = end;
	}
	pthread_mutex_unlock(&segment->mutex);
	if (from < end)
		io_drop(fd, from, end - from);
}

int segment_sync(struct segment *segment)
{
	int fds[SEGMENT_OLD_MAX], error = 0;
	pthread_mutex_lock(&segment->mutex);
	uint32_t count = segment->old_count;
	int fd = segment->stale ? -1 : segment->fd;
	uint64_t len = segment->len;
	for (uint32_t i = 0; i < count; i++)
		fds[i] = segment->old[i];
	pthread_mutex_unlock(&segment->mutex);
	for (uint32_t i = 0; i < count && !error; i++)
		error = io_sync(fds[i]);
	if (!error && fd >= 0)
		error = io_sync(fd);
	if (error)
		return error;
	if (fd >= 0)
		drop(segment, fd, len);
	for (uint32_t i = 0; i < count; i++) {
		io_drop(fds[i], 0, 0);
		close(fds[i]);
	}
	pthread_mutex_lock(&segment->mutex);
	segment->old_count -= count;
	for (uint32_t i = 0; i < segment->old_count; i++)
		segment->old[i] = segment->old[i + count];
	pthread_mutex_unlock(&segment->mutex);
	return 0;
}

void segment_forget(struct segment *segment, uint64_t cut)
{
	pthread_mutex_lock(&segment->mutex);
	for (uint32_t i = 0; i < segment->old_count; i++)
		close(segment->old[i]);
	segment->old_count = 0;
	segment->stale = segment->id.cut < cut;
	pthread_mutex_unlock(&segment->mutex);
}
