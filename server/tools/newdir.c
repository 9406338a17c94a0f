/* A new data directory (newdir.h). */
#include "server/tools/newdir.h"

#include "persist/io.h"
#include "server/tools/undo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Longest name of a file in the data directory, and what comes between. */
#define NAME_ROOM 128

static int check_empty(const char *path)
{
	DIR *directory = opendir(path);
	if (!directory)
		return -errno;
	int names = 0;
	while (names <= 2 && readdir(directory))
		names++;
	closedir(directory);
	return names == 2 ? 0 : -ENOTEMPTY; /* "." and ".." */
}

int newdir_make(struct newdir *newdir, const char *parent)
{
	newdir->parent = parent;
	newdir->dir = -1;
	if (snprintf(newdir->path, PATH_MAX, "%s/" DATA_DIR, parent) >= PATH_MAX - NAME_ROOM)
		return -ENAMETOOLONG;
	if (mkdir(parent, 0700) == 0)
		undo_note(parent, true);
	else if (errno != EEXIST)
		return -errno;
	int error = check_empty(parent);
	if (error)
		return error;
	undo_note(newdir->path, true);
	return io_open_dir(newdir->path, &newdir->dir);
}

static void note_file(const struct newdir *newdir, const char *name, const char *suffix)
{
	char text[PATH_MAX];
	if (snprintf(text, sizeof(text), "%s/%s%s", newdir->path, name, suffix) < PATH_MAX)
		undo_note(text, false);
}

void newdir_note(const struct newdir *newdir, const char *name)
{
	note_file(newdir, name, ".tmp");
	note_file(newdir, name, "");
}

void newdir_note_item(const struct newdir *newdir, const struct manifest_item *item)
{
	char name[MANIFEST_FILE_MAX];
	for (uint32_t i = 0; i < item->files; i++) {
		manifest_file(item, i, name);
		newdir_note(newdir, name);
	}
}

/* Makes the directory's name, and that of the one that it is in, last. */
static int sync_above(const struct newdir *newdir)
{
	int fd = open(newdir->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = io_sync(fd);
	int above = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!error && above >= 0)
		error = io_sync(above);
	if (above >= 0)
		close(above);
	close(fd);
	return error;
}

int newdir_finish(const struct newdir *newdir, struct manifest *manifest)
{
	newdir_note(newdir, MANIFEST_NAME);
	manifest_boot(manifest->boot);
	undo_hold_signals();
	int error = manifest_write(newdir->dir, manifest);
	if (!error)
		error = sync_above(newdir);
	if (!error)
		undo_nothing();
	return error;
}

void newdir_close(struct newdir *newdir)
{
	if (newdir->dir >= 0)
		close(newdir->dir);
	newdir->dir = -1;
}
