/*
 * MANIFEST: which files make up the data, as text, replaced as a whole.
 *
 *	sherd 1
 *	boot <the system's boot id, or "-">     whose memory the last bytes may have stood in
 *	snapshot <cut> <parts> <unix ms>        files snapshot-<cut>-<part>.rdb: everything at the cut
 *	increment <cut> <parts> <unix ms>       files increment-<cut>-<part>.rdb: what changed since the one before
 *	stretch <run> <cut> <workers> <open|closed>
 *	                                        the journals of one run in one generation (segment.h)
 *	end <crc64 of all before, 16 hex digits>
 *
 * After `boot` there is one line for each item, oldest first. The data are the last snapshot, and
 * all that stands behind it, in that order; what stands before it are older generations, kept for
 * who wants to go back.
 *
 * A snapshot gets its line when its files are complete: before the first stretch of its cut, which
 * is there since the cut was made. So one that fails, or is never finished, changes nothing. A
 * manifest that lists nothing is there before the first file with data: files that no line names
 * are no data, and without a manifest nobody knows.
 *
 * A closed stretch is whole: all of it is synced, and if its run ended badly, recovery has cut it.
 * Only stretches of the last run are open.
 *
 * Not for several threads at once.
 */
#ifndef PERSIST_MANIFEST_H
#define PERSIST_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

/* The data directory, in the one that the server runs in. */
#define DATA_DIR "sherd-data"
/* Locked by who has the data directory open (io_lock): a server alone, tools together. */
#define LOCK_NAME "LOCK"

#define MANIFEST_NAME     "MANIFEST"
#define MANIFEST_BOOT_MAX 64
/*
 * Each start and each snapshot adds one or two, and a whole one takes away those before it. Where
 * there are more than so many, which a replacement writes in a few ms, it takes away older
 * generations that were to be kept, too.
 */
#define MANIFEST_ITEMS_MANY 100000
/*
 * Increments that follow on one snapshot: a start reads them all. The next one is to be a whole
 * snapshot.
 */
#define MANIFEST_INCREMENTS_MAX 256
/* Of a file's name, with the zero at its end. */
#define MANIFEST_FILE_MAX 80

enum manifest_kind { MANIFEST_SNAPSHOT, MANIFEST_INCREMENT, MANIFEST_STRETCH };

struct manifest_item {
	enum manifest_kind kind;
	uint64_t cut;
	uint64_t run;   /* stretch */
	uint32_t files; /* how many: parts, or one for each worker */
	int64_t ms;     /* not of a stretch: when the cut was made */
	bool open;      /* stretch */
};

struct manifest {
	char boot[MANIFEST_BOOT_MAX];
	struct manifest_item *items;
	uint32_t count, cap;
};

/* The running system's boot id. */
void manifest_boot(char out[MANIFEST_BOOT_MAX]);

/*
 * Reads it. -ENOENT: there is none; -EINVAL: it is not one, or damaged, and *line says where. The
 * caller frees (manifest_free), after errors too.
 */
int manifest_read(int dir, struct manifest *manifest, uint32_t *line);
int manifest_write(int dir, const struct manifest *manifest);
void manifest_free(struct manifest *manifest);

/* It was read, or written; otherwise there is none, and it lists nothing. */
static inline bool manifest_exists(const struct manifest *manifest)
{
	return manifest->boot[0] != '\0';
}

/* At the end. */
void manifest_add(struct manifest *manifest, const struct manifest_item *item);
/* A complete snapshot: before the first stretch of its cut, or else at the end. */
void manifest_place(struct manifest *manifest, const struct manifest_item *snapshot);
/*
 * Moves what stands before the `keep`-th last snapshot to *dropped, which the caller frees; `keep`
 * is at least 1. With fewer snapshots nothing is. With more items than MANIFEST_ITEMS_MANY fewer
 * generations are kept, at least one.
 */
void manifest_drop(struct manifest *manifest, uint32_t keep, struct manifest *dropped);
/* Moves one item to the end of *taken. */
void manifest_take(struct manifest *manifest, uint32_t at, struct manifest *taken);
void manifest_copy(const struct manifest *manifest, struct manifest *copy);

/* Where the data begin: the last snapshot; 0 without. */
uint32_t manifest_start(const struct manifest *manifest);
/* How many follow on the last snapshot. */
uint32_t manifest_increments(const struct manifest *manifest);
/* The largest of all items; 0: none has one. */
uint64_t manifest_last_run(const struct manifest *manifest);
uint64_t manifest_last_cut(const struct manifest *manifest);

/*
 * Removes files of items that aren't listed, and unfinished ones: what a crash has left. Not what
 * is named in any other way. How many.
 */
uint32_t manifest_tidy(int dir, const struct manifest *manifest);

/* The name of an item's file, counted from 0. */
void manifest_file(const struct manifest_item *item, uint32_t number, char out[MANIFEST_FILE_MAX]);

#endif
