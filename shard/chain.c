/* Bytes in pieces (chain.h). */
#include "shard/chain.h"

#include "proto/mem.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

static size_t piece_size(const struct chain_piece *piece)
{
	return sizeof(*piece) + piece->cap;
}

static void piece_free(struct chain_piece *piece)
{
	mem_free(piece, piece_size(piece));
}

/* The only piece, and without bytes. */
static bool is_spare(const struct chain *chain)
{
	return chain->len == 0 && chain->first;
}

void chain_clear(struct chain *chain)
{
	struct chain_piece *next, *piece = chain->first;
	for (; piece; piece = next) {
		next = piece->next;
		piece_free(piece);
	}
	*chain = (struct chain){0};
}

void chain_begin_piece(struct chain *chain, size_t bytes)
{
	struct chain_piece *piece;
	size_t size = chain->last ? 2 * piece_size(chain->last) : CHAIN_PIECE_MIN;
	if (is_spare(chain))
		chain_clear(chain);
	size = size > CHAIN_PIECE_MAX ? CHAIN_PIECE_MAX : size;
	size = size < sizeof(*piece) + bytes ? sizeof(*piece) + bytes : size;
	piece = mem_alloc(size);
	*piece = (struct chain_piece){.cap = size - sizeof(*piece)};
	if (chain->last)
		chain->last->next = piece;
	else
		chain->first = piece;
	chain->last = piece;
}

void chain_add(struct chain *chain, const char *bytes, size_t len)
{
	while (len > 0) {
		size_t left = chain->last ? chain->last->cap - chain->last->len : 0;
		if (left == 0) {
			chain_begin_piece(chain, 1);
			continue;
		}
		size_t part = len < left ? len : left;
		memcpy(chain->last->bytes + chain->last->len, bytes, part);
		chain_grow(chain, part);
		bytes += part;
		len -= part;
	}
}

/* What is short, and in one piece, as most is. */
static void move_short(struct chain *to, struct chain *from)
{
	struct chain_piece *piece = from->first;
	memcpy(chain_room(to, from->len), piece->bytes + piece->from, from->len);
	chain_grow(to, from->len);
	piece->from = piece->len = 0;
	from->len = 0;
}

void chain_move(struct chain *to, struct chain *from)
{
	if (from->len == 0)
		return;
	if (from->len <= CHAIN_SHORT && from->first == from->last) {
		move_short(to, from);
		return;
	}
	if (from->len < CHAIN_MOVE_MIN) {
		for (const struct chain_piece *piece = from->first; piece; piece = piece->next)
			chain_add(to, piece->bytes + piece->from, piece->len - piece->from);
		chain_drop(from, from->len);
		return;
	}
	if (to->len == 0)
		chain_clear(to);
	if (to->last)
		to->last->next = from->first;
	else
		to->first = from->first;
	to->last = from->last;
	to->len += from->len;
	*from = (struct chain){0};
}

/* The first piece has no bytes any more: it goes, or is kept for what comes next. */
static void drop_first(struct chain *chain)
{
	struct chain_piece *piece = chain->first;
	if (!piece->next && piece_size(piece) <= CHAIN_PIECE_MAX) {
		piece->from = piece->len = 0;
		return;
	}
	chain->first = piece->next;
	if (!chain->first)
		chain->last = NULL;
	piece_free(piece);
}

void chain_drop(struct chain *chain, size_t bytes)
{
	assert(bytes <= chain->len);
	chain->len -= bytes;
	while (bytes > 0) {
		struct chain_piece *piece = chain->first;
		size_t part = piece->len - piece->from;
		part = bytes < part ? bytes : part;
		piece->from += part;
		bytes -= part;
		if (piece->from == piece->len)
			drop_first(chain);
	}
}

void chain_copy(const struct chain *chain, char *out)
{
	for (const struct chain_piece *piece = chain->first; piece; piece = piece->next)
		out = mempcpy(out, piece->bytes + piece->from, piece->len - piece->from);
}
