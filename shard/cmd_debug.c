/*
 * DEBUG on keys: OBJECT, DIGEST, DIGEST-VALUE, POPULATE.
 */
#include "proto/mem.h"
#include "shard/execute.h"
#include "shard/handlers.h"
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

/* Holds every slot: tables don't change, so the walk shows each entry once. */
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
		 (const void *)e, entry_encoding_name(entry_encoding(e)), value_serialized(e),
		 entry_access(e), (unsigned long long)ctx_idle_seconds(ctx, e));
	reply_status(ctx->reply, text);
}

/* --- POPULATE --- */

/* Keys of one request: it holds all slots meanwhile. */
#define POPULATE_KEYS_MAX 100000000

struct populate {
	int64_t count;
	int64_t size; /* 0: that of the text */
	struct slice prefix;
};

static bool populate_parse(struct ctx *ctx, struct populate *p)
{
	*p = (struct populate){.prefix = SLICE("key")};
	if (ctx->argc > 5) {
		command_error_subcommand(ctx->cmd, ctx->argv[1], ctx->reply);
		return false;
	}
	if (!ctx_arg_positive(ctx, 2, &p->count))
		return false;
	if (ctx->argc >= 4)
		p->prefix = ctx->argv[3];
	if (ctx->argc >= 5 && !ctx_arg_positive(ctx, 4, &p->size))
		return false;
	if (p->count > POPULATE_KEYS_MAX) {
		reply_errorf(ctx->reply, "ERR no more than %d keys at a time", POPULATE_KEYS_MAX);
		return false;
	}
	return string_check_length(ctx, 0, (size_t)p->size);
}

/* Puts one key unless it exists. `value` has room for the size. */
static void populate_one(struct ctx *ctx, const struct populate *p, int64_t i, char *name,
			 char *value)
{
	struct key key;
	size_t len = p->prefix.len;
	name[len] = ':';
	len += 1 + number_format(name + len + 1, i);
	key_prepare(&key, ctx->ks, (struct slice){name, len});
	ctx->keys = &key;
	ctx->key_count = 1;
	if (ctx_peek(ctx, 0, false))
		return;
	char text[6 + NUMBER_TEXT_MAX] = "value:";
	size_t text_len = 6 + number_format(text + 6, i);
	size_t size = p->size ? (size_t)p->size : text_len;
	memcpy(value, text, text_len < size ? text_len : size);
	ctx_put(ctx, 0,
		entry_new_string(key.name, (struct slice){value, size}, EXPIRE_NEVER,
				 ctx_access_new(ctx)));
}

/* The numbers of the values grow, so what one leaves in `value` the next covers. */
void cmd_debug_populate(struct ctx *ctx)
{
	struct populate p;
	if (!populate_parse(ctx, &p))
		return;
	size_t name_size = p.prefix.len + 1 + NUMBER_TEXT_MAX;
	size_t value_size = (size_t)p.size + 6 + NUMBER_TEXT_MAX;
	char *name = mem_alloc(name_size), *value = mem_zalloc(value_size);
	const struct key *keys = ctx->keys;
	memcpy(name, p.prefix.ptr, p.prefix.len);
	for (int64_t i = 0; i < p.count; i++)
		populate_one(ctx, &p, i, name, value);
	ctx->keys = keys;
	ctx->key_count = 0;
	mem_free(value, value_size);
	mem_free(name, name_size);
	reply_ok(ctx->reply);
}
