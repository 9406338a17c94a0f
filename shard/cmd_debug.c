/*
 * DEBUG on keys: OBJECT, DIGEST, DIGEST-VALUE.
 *
 * A digest is 160 bits. Those of all keys are put together by exclusive or, so that they may come in
 * any order: equal contents give equal digests on every server, whatever the layout of its tables.
 */
#include "proto/mem.h"
#include "shard/execute.h"
#include "shard/handlers.h"
#include "shard/string.h"

#include <stdio.h>

/* --- digests --- */

#define DIGEST_WORDS 5

struct digest {
	uint32_t words[DIGEST_WORDS];
};

/* What is hashed of a key or a value, by each of the fixed seeds. */
struct digest_parts {
	uint64_t key; /* 0 for a value alone */
	uint64_t value;
	uint32_t db;
	uint16_t type;
	uint16_t expires;
};

static const struct hash_seed digest_seeds[] = {
	{0x736865726420312d, 0x6469676573742061},
	{0x736865726420322d, 0x6469676573742062},
	{0x736865726420332d, 0x6469676573742063},
};

/* Adds a value (ctx NULL: of no key, else with its key and database) to the digest. */
static void digest_add(struct digest *digest, const struct entry *e, bool with_key, uint32_t db)
{
	char *scratch;
	struct slice key = entry_key(e), value = string_bytes(e, &scratch);
	struct digest_parts parts = {.db = with_key ? db : 0,
				     .type = (uint16_t)entry_type(e),
				     .expires = entry_expire(e) != EXPIRE_NEVER};
	uint32_t words[6];
	for (size_t i = 0; i < 3; i++) {
		const struct hash_seed *seed = &digest_seeds[i];
		parts.key = with_key ? hash_bytes(seed, key.ptr, key.len) : 0;
		parts.value = hash_bytes(seed, value.ptr, value.len);
		uint64_t hash = hash_bytes(seed, (const char *)&parts, sizeof(parts));
		memcpy(words + 2 * i, &hash, sizeof(hash));
	}
	for (size_t i = 0; i < DIGEST_WORDS; i++)
		digest->words[i] ^= words[i];
	mem_free_unsized(scratch);
}

static void digest_reply(struct reply *r, const struct digest *digest)
{
	char text[DIGEST_WORDS * 8 + 1];
	for (size_t i = 0; i < DIGEST_WORDS; i++)
		snprintf(text + 8 * i, 9, "%08x", digest->words[i]);
	reply_status(r, text);
}

struct digest_walk {
	struct digest digest;
	uint32_t db;
	int64_t now;
};

static void digest_visit(void *arg, struct entry *e)
{
	struct digest_walk *walk = arg;
	if (!entry_expired(e, walk->now))
		digest_add(&walk->digest, e, true, walk->db);
}

/*
 * Holds every slot: a digest is one of all keys at one moment, and as tables don't change the walk shows
 * each entry once. So it makes everybody wait, as it does in Redis.
 */
void cmd_debug_digest(struct ctx *ctx)
{
	struct digest_walk walk = {.now = ctx->now};
	for (walk.db = 0; walk.db < ctx->ks->databases; walk.db++) {
		if (keyspace_keys(ctx->ks, walk.db) == 0)
			continue;
		for (uint32_t i = 0; i < SLOT_COUNT; i++) {
			const struct table *table = slot_table(&ctx->ks->slots[i], walk.db);
			uint64_t at = table ? 0 : TABLE_END;
			while (at != TABLE_END)
				at = table_scan(table, at, digest_visit, &walk);
		}
	}
	digest_reply(ctx->reply, &walk.digest);
}

void cmd_debug_digest_value(struct ctx *ctx)
{
	reply_array(ctx->reply, ctx->key_count);
	for (uint32_t k = 0; k < ctx->key_count; k++) {
		struct digest digest = {0};
		const struct entry *e = ctx_peek(ctx, k, false);
		if (e)
			digest_add(&digest, e, false, 0);
		digest_reply(ctx->reply, &digest);
	}
}

/* --- OBJECT --- */

/* The bytes of a string in an RDB file, not compressed: an integer of 1, 2 or 4 bytes behind one, or a length. */
static size_t serialized_length(const struct entry *e)
{
	size_t len = string_length(e);
	int64_t n;
	if (entry_encoding(e) == ENCODING_INT && number_parse(entry_value(e), &n) &&
	    n >= INT32_MIN && n <= INT32_MAX)
		return n >= INT8_MIN && n <= INT8_MAX     ? 2
		       : n >= INT16_MIN && n <= INT16_MAX ? 3
							  : 5;
	return len + (len < 64 ? 1 : len < 16384 ? 2 : 5);
}

void cmd_debug_object(struct ctx *ctx)
{
	const struct entry *e = ctx_peek(ctx, 0, false);
	if (!e) {
		reply_error(ctx->reply, error_no_key);
		return;
	}
	char text[256];
	snprintf(text, sizeof(text),
		 "Value at:%p refcount:1 encoding:%s serializedlength:%zu lru:%u "
		 "lru_seconds_idle:%llu",
		 (const void *)e, entry_encoding_name(entry_encoding(e)), serialized_length(e),
		 entry_access(e), (unsigned long long)ctx_idle_seconds(ctx, e));
	reply_status(ctx->reply, text);
}
