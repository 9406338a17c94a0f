/*
 * A rope: a long string that is changed in place.
 *
 * The bytes stand in leaves of one size, found through one flat array. A leaf that was never
 * written anything but zeros to is absent: a bit set at four billion costs one leaf and the
 * array (16 bytes for 16 KB, half a megabyte for 512 MB), not the zeros before it.
 *
 *	struct rope    len, leaves --> +---------------+---------------+---------------+
 *	                               | bytes  | born | NULL   |      | bytes  |      | 16 bytes
 *	                               +---|-----------+---------------+---|-----------+
 *	                                   v             (16 KB zeros)     v
 *	                                [ 16 KB ]                       [ 16 KB ]
 *
 * Invariants: a rope never shrinks; the bytes of the last leaf beyond `len`, and the leaves of
 * the array beyond the last, are zero (absent). So growing by zeros only moves `len`.
 *
 * A rope may begin as the bytes of a blob, whose whole leaves it shares until they are written:
 * a leaf that is absent there is the blob's. So the first write to a large value copies one leaf,
 * not all of them. Each write moves one more leaf over, so that the blob goes in the end and
 * value and copy don't stand side by side for ever.
 *
 * Steps: a write touches the leaves it covers. Growing makes the array larger by factors of two
 * and never moves a leaf.
 *
 * Snapshots (freeze.h). Before its first change a unit of work after the cut notes in the rope what
 * it was, and goes on with a copy of the array: the old one is the snapshot's. A leaf born before
 * the cut is replaced by a copy when it is written to, and retired; one born after it is changed in
 * place as ever. When it was born stands in the array rather than in the leaf so that leaves stay a
 * power of two in size. Lists do the same (list.h) and say more of it.
 *
 * Slot's holder only: everything, but rope_at() and what goes through its result. Readers under
 * RCU never get here.
 */
#ifndef SHARD_ROPE_H
#define SHARD_ROPE_H

#include "proto/slice.h"
#include "shard/blob.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a leaf: a size class of the allocator; copied for a snapshot in about 1 us. */
#define ROPE_LEAF (16 * 1024)

struct retire;
struct shard;

struct rope_leaf {
	char *bytes;   /* ROPE_LEAF of them; NULL: the base's, beyond that all zero */
	uint64_t born; /* the epoch when they were made */
};

/* All bytes, as they are or were at a cut. */
struct rope_view {
	size_t len;
	struct rope_leaf *leaves;
	struct blob *base;  /* what it began as; NULL without, or when all has moved */
	size_t base_leaves; /* so many of its leaves are, or were, the base's */
};

struct rope {
	/* as it is; the holder stores (release), a snapshot loads (acquire) */
	_Atomic size_t len;
	_Atomic(struct rope_leaf *) leaves;
	_Atomic(struct blob *) base; /* a reference */
	size_t base_leaves;          /* constant */
	/*
	 * as it was at a cut: stored before the cut's number (release), and that before any change
	 */
	struct rope_view at_cut;
	_Atomic uint64_t cut;
	/* the holder's */
	size_t cap;       /* leaves that the array has room for */
	size_t present;   /* leaves that have bytes */
	size_t base_left; /* leaves that still are the base's, */
	size_t base_at;   /* ... none before this one */
};

/*
 * `len` zero bytes, and what it takes to free them. free(NULL) is fine. Here and below `r` says
 * which unit of work it is; NULL: nobody else has ever seen the rope (tests).
 */
struct rope *rope_new(size_t len, const struct retire *r);
void rope_free(struct rope *rope);
/* As a structure (value.h), leaf by leaf. */
bool rope_free_slice(struct rope *rope, uint64_t *at, size_t *budget);

/* The bytes of the blob, of which it takes a reference, and zeros up to `len` if that is more. */
struct rope *rope_over(struct blob *blob, size_t len, struct retire *r);

/*
 * The same bytes, in leaves of their own; absent ones stay absent, the base is shared. It takes
 * turns.
 */
struct rope *rope_copy(const struct rope *rope, struct shard *shard);

/* As a structure (value.h): a leaf takes as long to copy as some ten elements of a hash. */
#define ROPE_LEAF_ELEMENTS 16
static inline uint64_t rope_count(const struct rope *rope)
{
	return rope->present * ROPE_LEAF_ELEMENTS;
}

static inline size_t rope_length(const struct rope *rope)
{
	return atomic_load_explicit(&rope->len, memory_order_relaxed);
}

/*
 * The bytes at the cut; EPOCH_NONE: as they are, for the holder, until the next write. Of a
 * snapshot: once its slot is ready (freeze.h), until it has passed.
 */
struct rope_view rope_at(const struct rope *rope, uint64_t cut);

/* Makes it at least `len` long, with zero bytes. */
void rope_grow(struct rope *rope, size_t len, struct retire *r);

/* Writes bytes at an offset, which may lie beyond the end. */
void rope_write(struct rope *rope, size_t offset, struct slice bytes, struct retire *r);

/* Copies `len` bytes from `offset` on, all within the rope, to `out`. */
void rope_read(const struct rope_view *view, size_t offset, size_t len, char *out);

/*
 * The bytes from `offset` (within the rope) to the end of its leaf or of the rope, where they
 * stand. ptr is NULL where the leaf is absent: that many zeros.
 */
struct slice rope_piece(const struct rope_view *view, size_t offset);

/* The bytes of memory that it takes: only leaves that exist count, and all of the base. */
size_t rope_memory(const struct rope *rope);

#endif
