/* COMMITS (commits.h). */
#include "persist/commits.h"

#include "persist/io.h"
#include "proto/crc64.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 80
#define ALWAYS         " always"

static size_t format(const struct commit *commit, char line[LINE_MAX_BYTES])
{
	int len = snprintf(line, LINE_MAX_BYTES, "%" PRIu64 " %" PRId64 "%s", commit->epoch,
			   commit->ms, commit->always ? ALWAYS : "");
	uint64_t sum = crc64(0, line, (size_t)len);
	return (size_t)(len + snprintf(line + len, LINE_MAX_BYTES - (size_t)len, " %016" PRIx64 "\n",
				       sum));
}

static bool parse(const char *line, size_t len, struct commit *commit)
{
	char text[LINE_MAX_BYTES], again[LINE_MAX_BYTES];
	if (len >= sizeof(text))
		return false;
	memcpy(text, line, len);
	text[len] = '\0';
	commit->always = strstr(text, ALWAYS);
	return sscanf(text, "%" SCNu64 " %" SCNd64, &commit->epoch, &commit->ms) == 2 &&
	       format(commit, again) == len && memcmp(text, again, len) == 0;
}

int commits_last(int dir, struct commit *last)
{
	struct io_map map;
	struct commit commit;
	*last = (struct commit){0};
	int error = io_map(dir, COMMITS_NAME, &map);
	if (error)
		return error == -ENOENT ? 0 : error;
	for (size_t at = 0; at < map.len;) {
		const char *end = memchr(map.bytes + at, '\n', map.len - at);
		if (!end)
			break;
		size_t len = (size_t)(end + 1 - (map.bytes + at));
		if (parse(map.bytes + at, len, &commit) && commit.epoch >= last->epoch)
			*last = commit;
		at += len;
	}
	io_unmap(&map);
	return 0;
}

int commits_open(struct commits *commits, int dir, const struct commit *first)
{
	char line[LINE_MAX_BYTES];
	size_t len = first->epoch || first->always ? format(first, line) : 0;
	int error = io_replace(dir, COMMITS_NAME, line, len);
	*commits = (struct commits){.dir = dir, .fd = -1, .bytes = len};
	return error ? error : io_open_append(dir, COMMITS_NAME, false, &commits->fd);
}

void commits_close(struct commits *commits)
{
	if (commits->fd >= 0)
		close(commits->fd);
	commits->fd = -1;
}

int commits_add(struct commits *commits, const struct commit *commit)
{
	char line[LINE_MAX_BYTES];
	size_t written;
	if (commits->fd < 0 || commits->bytes > COMMITS_BYTES_MAX) {
		commits_close(commits);
		return commits_open(commits, commits->dir, commit);
	}
	int error = io_write(commits->fd, line, format(commit, line), &written);
	commits->bytes += written;
	if (!error)
		error = io_sync(commits->fd);
	if (error)
		commits_close(commits);
	return error;
}
