/*
 * A blob: immutable bytes with a count of references, for values too large to copy.
 *
 * Whoever holds a reference may read. A reader under RCU that found a blob in an entry may take a
 * reference of its own: the entry's is dropped only after a grace period.
 * Any thread; the count is atomic (add relaxed; drop acq_rel, as the last one frees).
 */
#ifndef SHARD_BLOB_H
#define SHARD_BLOB_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct blob {
	_Atomic uint32_t refs;
	size_t len;
	char bytes[];
};

/* A blob of `len` bytes with one reference; the caller fills in the bytes before it shares it. */
struct blob *blob_new(size_t len);
struct blob *blob_ref(struct blob *blob);
/* Drops one; the last frees. Takes void * so that it can stand as a reply's release function. */
void blob_unref(void *blob);

#endif
