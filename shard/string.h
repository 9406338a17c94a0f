/*
 * String values, whatever they are kept in: bytes in the entry, a blob, or a rope.
 *
 * Up to ENTRY_BLOB_MIN a string lives in its entry and every write makes a new one. A larger
 * one hangs off an immutable blob. One that is written to in place (APPEND, SETRANGE, SETBIT,
 * BITFIELD) while it is as large as that becomes a rope: leaves of fixed size, changed in place
 * by the holder; its entry is owner-only. It stays one until the key is overwritten.
 *
 * On the executing worker; of an owner-only value that is the slot's holder.
 */
#ifndef SHARD_STRING_H
#define SHARD_STRING_H

#include "shard/ctx.h"
#include "shard/digest.h"
#include "shard/rope.h"

size_t string_length(const struct entry *e);

/*
 * The bytes in one piece. Of a rope that is a copy: *scratch then owns it (mem_free_unsized),
 * else it is NULL. Valid as long as the entry.
 */
struct slice string_bytes(const struct entry *e, char **scratch);
/* The same as of a cut: for a snapshot (rope.h). */
struct slice string_bytes_at(const struct entry *e, uint64_t cut, char **scratch);

/*
 * The bytes from `offset` (within the string) on, where they stand: all of them, of a rope
 * those in one leaf. ptr NULL: that many zeros. What walks a string without copying it asks for
 * piece after piece.
 */
struct slice string_piece(const struct entry *e, size_t offset);

/* Copies `len` bytes from `offset` (all within the string) to `out`. */
void string_read(const struct entry *e, size_t offset, size_t len, char *out);

/* Replies a part of the string as a bulk: copied, pinned when it is a large part of a blob. */
void string_reply(struct ctx *ctx, const struct entry *e, size_t offset, size_t len);

/*
 * Writes `bytes` at `offset` into the string at key k, which may be absent (e NULL), growing it
 * with zero bytes; keeps the expiry, leaves the encoding raw. In place where it is a rope. The
 * caller has checked the limits; string_max is one of them.
 */
void string_write(struct ctx *ctx, uint32_t k, struct entry *e, size_t offset, struct slice bytes);

/*
 * The same for any number of reads and writes that are one change: string_edit_begin() makes
 * the string at key k (e, NULL: absent) at least `len` long, then the bytes below that are read
 * and written, then string_edit_end() puts it. Nothing else is done with the key between.
 */
struct string_edit {
	struct rope *rope; /* NULL: it is `bytes` */
	struct retire *retire;
	char *bytes;
	struct entry *fresh; /* not put yet; NULL: the rope at the key is changed in place */
};
void string_edit_begin(struct ctx *ctx, uint32_t k, struct entry *e, size_t len,
		       struct string_edit *edit);
void string_edit_read(const struct string_edit *edit, size_t offset, size_t len, char *out);
void string_edit_write(struct string_edit *edit, size_t offset, struct slice bytes);
void string_edit_end(struct ctx *ctx, uint32_t k, struct string_edit *edit);
/* Ends one that neither grew the string nor changed a byte: the key stays as it was. */
void string_edit_drop(struct string_edit *edit);

/* Rows of value.h. */
void string_digest(const struct entry *e, struct digest *digest);

/* Replies error_string_max and returns false when a string of that length may not be. */
bool string_check_length(struct ctx *ctx, size_t offset, size_t len);

#endif
