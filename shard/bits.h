/*
 * Bits of string values, in any of their forms, without copying them.
 *
 * Bit 0 is the highest of byte 0, as SETBIT counts. Ranges are half open: from <= bit < end,
 * within the string. Pieces are looked at where they stand; leaves that a rope doesn't have are
 * skipped.
 *
 * On the executing worker; of an owner-only value that is the slot's holder.
 */
#ifndef SHARD_BITS_H
#define SHARD_BITS_H

#include "shard/ctx.h"

/* Ones in a range. Some 14 bytes a ns. */
uint64_t bits_count(const struct entry *e, uint64_t from, uint64_t end);

/* The first bit of that value in a range; -1: there is none. */
int64_t bits_find(const struct entry *e, bool bit, uint64_t from, uint64_t end);

/*
 * Argument i as the position of a bit in a string that may be: below string_max * 8. With `width`
 * (else 0) "#n" is understood too: the n-th field of so many bits. On failure replies
 * "ERR bit offset is not an integer or out of range".
 */
bool bits_arg_offset(struct ctx *ctx, uint32_t i, unsigned width, uint64_t *out);

#endif
