/*
 * DEBUG on keys: OBJECT, DIGEST, DIGEST-VALUE.
 */
#include "proto/mem.h"
#include "shard/execute.h"
#include "shard/handlers.h"
#include "shard/rdb_value.h"
#include "shard/string.h"
#include "shard/value.h"

#include <stdio.h>

/* --- digests --- */

/* The digest of a value, without its key. */
static struct digest digest_value(const struct entry *e)
{
	struct digest digest = {0};

	digest_mix_number(&digest, entry_type(e));
	value_digest(e, &digest);
	digest_mix_number(&digest, entry_expire(e) != EXPIRE_NEVER);
	return digest;
}

static void digest_reply(struct reply *r, const struct digest *digest)
{
	char text[DIGEST_TEXT + 1];
	digest_format(digest, text);
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
	if (value_expired(e, walk->now))
		return;
	struct digest digest = digest_value(e);
	digest_mix_number(&digest, walk->db);
	digest_mix(&digest, entry_key(e));
	digest_join(&walk->digest, &digest);
}

/*
 * Holds every slot: a digest is one of all keys at one moment, and as tables don't change the walk
 * shows each entry once. So it makes everybody wait, as it does in Redis.
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
			digest = digest_value(e);
		digest_reply(ctx->reply, &digest);
	}
}

/* --- OBJECT --- */

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
		 (const void *)e, entry_encoding_name(entry_encoding(e)), rdb_size(e),
		 entry_access(e), (unsigned long long)ctx_idle_seconds(ctx, e));
	reply_status(ctx->reply, text);
}
