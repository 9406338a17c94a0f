/* MANIFEST (manifest.h). */
#include "persist/manifest.h"

#include "persist/io.h"
#include "proto/crc64.h"
#include "proto/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define FIRST_LINE   "sherd 1\n"
#define LINE_MAX_BYTES 128

void manifest_boot(char out[MANIFEST_BOOT_MAX])
{
	FILE *file = fopen(BOOT_ID_PATH, "r");
	if (!file || fscanf(file, "%63[0-9a-f-]", out) != 1)
		strcpy(out, "-");
	if (file)
		fclose(file);
}

void manifest_add(struct manifest *manifest, const struct stretch *stretch)
{
	size_t size = (manifest->count + 1) * sizeof(*stretch);
	manifest->stretches = mem_realloc(manifest->stretches, size);
	manifest->stretches[manifest->count++] = *stretch;
}

void manifest_free(struct manifest *manifest)
{
	mem_free_unsized(manifest->stretches);
	*manifest = (struct manifest){0};
}

/* One line without its end. False: it makes no sense. */
static bool read_line(struct manifest *manifest, const char *line)
{
	struct stretch stretch;
	char state[8];
	int end = 0;
	if (sscanf(line, "boot %63[0-9a-f-]%n", manifest->boot, &end) == 1 && !line[end])
		return true;
	if (sscanf(line, "stretch %" SCNu64 " %" SCNu64 " %" SCNu32 " %7[a-z]%n", &stretch.run,
		   &stretch.cut, &stretch.workers, state, &end) != 4 ||
	    line[end] || manifest->count == MANIFEST_STRETCHES_MAX)
		return false;
	stretch.open = strcmp(state, "open") == 0;
	if (!stretch.open && strcmp(state, "closed") != 0)
		return false;
	manifest_add(manifest, &stretch);
	return true;
}

/* The last line holds the sum of those before. */
static bool sum_right(const char *last, const char *bytes)
{
	uint64_t sum;
	int end = 0;
	return sscanf(last, "end %16" SCNx64 "\n%n", &sum, &end) == 1 && last[end] == '\0' &&
	       crc64(0, bytes, (size_t)(last - bytes)) == sum;
}

static int parse(struct manifest *manifest, const char *bytes, uint32_t *number)
{
	const char *at = bytes + strlen(FIRST_LINE);
	*number = 1;
	if (strncmp(bytes, FIRST_LINE, strlen(FIRST_LINE)) != 0)
		return -EINVAL;
	for (*number = 2;; ++*number) {
		char line[LINE_MAX_BYTES];
		const char *end = strchr(at, '\n');
		if (!end || end - at >= LINE_MAX_BYTES)
			return -EINVAL;
		if (strncmp(at, "end ", 4) == 0)
			return sum_right(at, bytes) ? 0 : -EINVAL;
		memcpy(line, at, (size_t)(end - at));
		line[end - at] = '\0';
		if (!read_line(manifest, line))
			return -EINVAL;
		at = end + 1;
	}
}

int manifest_read(int dir, struct manifest *manifest, uint32_t *line)
{
	struct io_map map;
	*line = 0;
	*manifest = (struct manifest){0};
	int error = io_map(dir, MANIFEST_NAME, &map);
	if (error)
		return error;
	char *text = mem_alloc(map.len + 1);
	if (map.len > 0)
		memcpy(text, map.bytes, map.len);
	text[map.len] = '\0';
	io_unmap(&map);
	error = parse(manifest, text, line);
	mem_free_unsized(text);
	return error;
}

int manifest_write(int dir, const struct manifest *manifest)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return -errno;
	fputs(FIRST_LINE, out);
	fprintf(out, "boot %s\n", manifest->boot);
	for (uint32_t i = 0; i < manifest->count; i++) {
		const struct stretch *stretch = &manifest->stretches[i];
		fprintf(out, "stretch %" PRIu64 " %" PRIu64 " %" PRIu32 " %s\n", stretch->run,
			stretch->cut, stretch->workers, stretch->open ? "open" : "closed");
	}
	fflush(out);
	fprintf(out, "end %016" PRIx64 "\n", crc64(0, text, len));
	int error = fclose(out) ? -errno : io_replace(dir, MANIFEST_NAME, text, len);
	free(text);
	return error;
}
