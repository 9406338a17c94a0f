/*
 * A chain: bytes in a queue, in pieces of moderate size.
 *
 * What is appended never moves again, however much comes behind it, and the whole content of one
 * chain goes behind another's without being copied. So hundreds of megabytes are appended to,
 * handed on and taken away at the front in steps of a piece, and take hardly more memory than they
 * have bytes.
 *
 *	chain  first --> [ from..len, next ] --> [ 0..len, next ] <-- last
 *	                   taken away before from     room behind len
 *
 * No piece but the last is without bytes. An empty chain keeps one piece for what comes next.
 *
 * Whoever owns the chain.
 */
#ifndef SHARD_CHAIN_H
#define SHARD_CHAIN_H

#include "proto/slice.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* Memory of the first piece; each has twice that of the one before it, up to the most. */
#define CHAIN_PIECE_MIN 4096
#define CHAIN_PIECE_MAX (256 * 1024)
/* So much a piece's end may be left unused for, that bytes stand together: it saves steps. */
#define CHAIN_SHORT 1024

struct chain_piece {
	struct chain_piece *next;
	size_t from, len, cap;
	char bytes[];
};

/* Begins as zeros. */
struct chain {
	struct chain_piece *first, *last;
	size_t len; /* bytes in all of them */
};

/* Frees all of it; it is empty then. */
void chain_clear(struct chain *chain);

/* Begins another piece at the end, for at least so many bytes. */
void chain_begin_piece(struct chain *chain, size_t bytes);

/*
 * Room for so many bytes together, behind the last; chain_grow() says how many have been written.
 */
static inline char *chain_room(struct chain *chain, size_t bytes)
{
	const struct chain_piece *last = chain->last;
	if (!last || last->cap - last->len < bytes)
		chain_begin_piece(chain, bytes);
	return chain->last->bytes + chain->last->len;
}

static inline void chain_grow(struct chain *chain, size_t bytes)
{
	chain->last->len += bytes;
	chain->len += bytes;
	assert(chain->last->len <= chain->last->cap);
}

/* Appends a copy. */
void chain_add(struct chain *chain, const char *bytes, size_t len);

/* All that is in `from` goes to the end of `to`; `from` is empty then. Fewer bytes are copied. */
#define CHAIN_MOVE_MIN (64 * 1024)
void chain_move(struct chain *to, struct chain *from);

/* The bytes at the front, as far as they stand together; none: it is empty. */
static inline struct slice chain_front(const struct chain *chain)
{
	const struct chain_piece *first = chain->first;
	return first ? (struct slice){first->bytes + first->from, first->len - first->from}
		     : (struct slice){NULL, 0};
}

/* Takes bytes away at the front. */
void chain_drop(struct chain *chain, size_t bytes);

/* Copies all of it to `out`. */
void chain_copy(const struct chain *chain, char *out);

#endif
