/*
 * Values as RDB's bytes (rdb.h), and back: for DUMP and RESTORE, files and the journal.
 *
 * Written are the types that version 10 has, so that Redis 7.0 reads them; hashes of which a
 * field has a time to live need version 12. Small collections are written in Redis' packed
 * formats where Redis would have them so, whatever form they have here.
 *
 * Read is whatever Redis and Valkey write up to version 12, and version 80 of Valkey 9. A value is
 * built anew, element by element, so what comes out is as valid as if commands had made it, called
 * as the limits of encodings want it here.
 */
#ifndef SHARD_RDB_VALUE_H
#define SHARD_RDB_VALUE_H

#include "shard/ctx.h"
#include "shard/rdb.h"

/*
 * --- writing: any thread under RCU; of owner-only values the holder ---
 *
 * Each also for a value as of a cut: a snapshot, once the slot is ready and until it has passed
 * (freeze.h); the entry is the one that stood there then.
 */

/* As which type the value is written. */
uint8_t rdb_type_at(const struct entry *e, uint64_t cut);
static inline uint8_t rdb_type_of(const struct entry *e)
{
	return rdb_type_at(e, EPOCH_NONE);
}
/* The version of RDB that has it. */
uint32_t rdb_type_version(uint8_t type);
/*
 * The value as that type, the one that it was said to be written as. The type itself is not
 * written.
 */
void rdb_encode_at(const struct entry *e, uint64_t cut, uint8_t type, struct rdb_out *out);
static inline void rdb_encode(const struct entry *e, uint8_t type, struct rdb_out *out)
{
	rdb_encode_at(e, EPOCH_NONE, type, out);
}

/* The bytes that takes, strings compressed. */
size_t rdb_size(const struct entry *e);

/* --- reading: the holder, or the only one who knows the keyspace --- */

/* Why rdb_decode() made nothing, beyond bytes that are broken. */
extern const char rdb_error_empty[];       /* a collection without elements */
extern const char rdb_error_unsupported[]; /* streams, modules' values */

/*
 * The value of key k as an entry of its own that expires at `expire`; nothing is put. NULL:
 * in->error says why. All fields of a hash may have expired (value_expired).
 */
struct entry *rdb_decode(struct ctx *ctx, uint32_t k, uint8_t type, int64_t expire,
			 struct rdb_in *in);

/* --- payloads: a type, a value, the version (16 bits), the CRC-64 of all before --- */

void rdb_write_payload(struct rdb_out *out, const struct entry *e);
/* The same without the sum. */
void rdb_write_unsummed(struct rdb_out *out, const struct entry *e);
/*
 * Checks version and sum, taking turns (as rdb_decode() does); `in` then begins with the number of
 * the type in that version.
 */
bool rdb_open_payload(struct slice payload, size_t string_max, struct shard *shard,
		      struct rdb_in *in, uint16_t *version);

#endif
