/*
 * Blobs: one allocation each, freed by whoever drops the last reference.
 */
#include "shard/blob.h"

#include "proto/mem.h"

#include <assert.h>

struct blob *blob_new(size_t len)
{
	struct blob *blob = mem_alloc(sizeof(*blob) + len);

	atomic_init(&blob->refs, 1);
	blob->len = len;
	return blob;
}

struct blob *blob_ref(struct blob *blob)
{
	uint32_t refs = atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);

	assert(refs > 0 && refs < UINT32_MAX);
	return blob;
}

void blob_unref(void *arg)
{
	struct blob *blob = arg;
	uint32_t refs = atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel);

	assert(refs > 0);
	if (refs == 1)
		mem_free(blob, sizeof(*blob) + blob->len);
}
