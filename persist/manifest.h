/*
 * MANIFEST: which files make up the data, as text, replaced as a whole.
 *
 *	sherd 1
 *	boot <the system's boot id, or "-">     whose memory the last bytes may have stood in
 *	stretch <run> <cut> <workers> <open|closed>
 *	                                        one line each, in the order in which they are applied
 *	end <crc64 of all before, 16 hex digits>
 *
 * A stretch is the journals of one run in one generation. A closed one is whole: recovery has cut it
 * and synced it. Only stretches of the last run are open.
 */
#ifndef PERSIST_MANIFEST_H
#define PERSIST_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#define MANIFEST_NAME      "MANIFEST"
#define MANIFEST_BOOT_MAX  64
/* Each start and each snapshot adds one, each snapshot takes away those before it. */
#define MANIFEST_STRETCHES_MAX 100000

struct stretch {
	uint64_t run;
	uint64_t cut;
	uint32_t workers;
	bool open;
};

struct manifest {
	char boot[MANIFEST_BOOT_MAX];
	struct stretch *stretches;
	uint32_t count;
};

/* The running system's boot id. */
void manifest_boot(char out[MANIFEST_BOOT_MAX]);

/*
 * Reads it. -ENOENT: there is none; -EINVAL: it is not one, or damaged, and *line says where. The
 * caller frees (manifest_free), after errors too.
 */
int manifest_read(int dir, struct manifest *manifest, uint32_t *line);
int manifest_write(int dir, const struct manifest *manifest);
void manifest_add(struct manifest *manifest, const struct stretch *stretch);
void manifest_free(struct manifest *manifest);

#endif
