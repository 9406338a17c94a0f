/* What the parts of a recovery share (recovery_files.h). */
#include "persist/recovery_files.h"

#include "proto/mem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

bool recovery_fail(struct recovery *recovery, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(recovery->error, sizeof(recovery->error), format, list);
	va_end(list);
	return false;
}

bool recovery_fail_file(struct recovery *recovery, const struct recovery_file *file)
{
	if (file->state == FILE_UNREADABLE)
		return recovery_fail(recovery, "Can't read %s: %s", file->name, file->why);
	return recovery_fail(recovery, "%s is damaged at byte %" PRIu64 " of %" PRIu64 ": %s",
			     file->name, file->good, file->bytes, file->why);
}

struct recovery_file *recovery_open_file(struct recovery *recovery, uint32_t item, uint32_t number,
					 struct io_map *map)
{
	size_t size = (recovery->file_count + 1) * sizeof(*recovery->files);
	recovery->files = mem_realloc(recovery->files, size);
	struct recovery_file *file = &recovery->files[recovery->file_count++];
	*file = (struct recovery_file){.item = item};
	manifest_file(&recovery->manifest->items[item], number, file->name);
	file->error = io_map(recovery->dir, file->name, map);
	file->bytes = map->len;
	if (file->error) {
		file->state = FILE_UNREADABLE;
		file->why = strerror(-file->error);
	}
	return file;
}

void recovery_forget_files(struct recovery *recovery)
{
	mem_free_unsized(recovery->files);
	recovery->files = NULL;
	recovery->file_count = 0;
}

void recovery_begin_files(struct recovery *recovery, uint32_t first)
{
	const struct manifest *manifest = recovery->manifest;
	recovery_forget_files(recovery);
	atomic_store(&recovery->bytes_done, 0);
	atomic_store(&recovery->bytes_total, 0);
	for (uint32_t i = first; i < manifest->count; i++)
		for (uint32_t j = 0; j < manifest->items[i].files; j++) {
			char name[MANIFEST_FILE_MAX];
			struct stat stat;
			manifest_file(&manifest->items[i], j, name);
			if (fstatat(recovery->dir, name, &stat, 0) == 0)
				atomic_fetch_add(&recovery->bytes_total, (uint64_t)stat.st_size);
		}
}
