/*
 * Whole databases: emptied, exchanged.
 *
 * These hold every slot, so the sums of all shards' counts are exact and nobody else changes them:
 * the executing shard puts them right in its own part.
 *
 * Flushing unlinks each slot's table and retires it; its entries are freed later, in slices. So
 * SYNC and ASYNC are the same, and cost a millisecond however many keys there were.
 */
#include "shard/blocked.h"
#include "shard/handlers.h"
#include "shard/watch.h"

static void count_add(_Atomic int64_t *count, int64_t n)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* A database has gained (or lost) so many keys and expiries. */
static void database_add(struct ctx *ctx, uint32_t db, int64_t keys, int64_t expires)
{
	count_add(&ctx->shard->counts[db].keys, keys);
	count_add(&ctx->shard->counts[db].expires, expires);
}

/* The word; 0: it is empty. */
static uint64_t table_root(const struct table *table)
{
	return table ? atomic_load_explicit(&table->root, memory_order_relaxed) : 0;
}

/* --- FLUSHDB, FLUSHALL --- */

static bool check_flush(struct ctx *ctx)
{
	bool fine = ctx->argc == 1 || (ctx->argc == 2 && (slice_is(ctx->argv[1], "sync") ||
							  slice_is(ctx->argv[1], "async")));
	if (!fine)
		reply_error(ctx->reply, error_syntax);
	return fine;
}

/* The earliest expiry that the slots know is left to the sweep: it may be too early. */
static void flush_database(struct ctx *ctx, uint32_t db)
{
	int64_t keys = keyspace_keys(ctx->ks, db);
	if (keys == 0)
		return;
	ctx_store(ctx);
	for (uint32_t i = 0; i < SLOT_COUNT; i++) {
		struct slot *slot = &ctx->ks->slots[i];
		struct table *table = slot_table(slot, db);
		if (slot_watchers(slot))
			watch_replace(slot, db, NULL, ctx->now);
		freeze_table(ctx->shard, slot, db);
		if (table_root(table))
			changes_touch_all(ctx->shard, slot);
		if (table)
			retire_table(&ctx->shard->retire, table_take(table));
	}
	retire_flushed(&ctx->shard->retire, (uint64_t)keys);
	database_add(ctx, db, -keys, -keyspace_expires(ctx->ks, db));
	ctx->dirty += (uint64_t)keys;
}

void cmd_flushdb(struct ctx *ctx)
{
	if (!check_flush(ctx))
		return;
	flush_database(ctx, ctx->db);
	reply_ok(ctx->reply);
}

void cmd_flushall(struct ctx *ctx)
{
	if (!check_flush(ctx))
		return;
	for (uint32_t db = 0; db < ctx->ks->databases; db++)
		flush_database(ctx, db);
	reply_ok(ctx->reply);
}

/* --- SWAPDB --- */

/* Argument i as a number that an index may be, within range or not; on failure replies. */
static bool parse_index(struct ctx *ctx, uint32_t i, int64_t *index, const char *error)
{
	if (number_parse(ctx->argv[i], index) && *index >= INT32_MIN && *index <= INT32_MAX)
		return true;
	reply_error(ctx->reply, error);
	return false;
}

/* On failure replies. */
static bool parse_swap(struct ctx *ctx, uint32_t *a, uint32_t *b)
{
	int64_t first, second;
	if (!parse_index(ctx, 1, &first, "ERR invalid first DB index") ||
	    !parse_index(ctx, 2, &second, "ERR invalid second DB index"))
		return false;
	if (first < 0 || first >= ctx->ks->databases || second < 0 ||
	    second >= ctx->ks->databases) {
		reply_error(ctx->reply, "ERR DB index is out of range");
		return false;
	}
	*a = (uint32_t)first;
	*b = (uint32_t)second;
	return true;
}

/* A table is its root word. */
static void slot_swap(struct ctx *ctx, struct slot *slot, uint32_t a, uint32_t b)
{
	uint64_t root_a = table_root(slot_table(slot, a));
	uint64_t root_b = table_root(slot_table(slot, b));
	if (root_a == root_b)
		return; /* both are empty */
	struct table *table_a = slot_table_make(ctx->ks, slot, a);
	struct table *table_b = slot_table_make(ctx->ks, slot, b);
	freeze_table(ctx->shard, slot, a);
	freeze_table(ctx->shard, slot, b);
	changes_touch_all(ctx->shard, slot);
	if (slot_watchers(slot)) {
		watch_replace(slot, a, table_b, ctx->now);
		watch_replace(slot, b, table_a, ctx->now);
	}
	atomic_store_explicit(&table_a->root, root_b, memory_order_release);
	atomic_store_explicit(&table_b->root, root_a, memory_order_release);
	if (slot_blocked(slot)) {
		blocked_note_all(ctx, slot, a);
		blocked_note_all(ctx, slot, b);
	}
}

void cmd_swapdb(struct ctx *ctx)
{
	uint32_t a, b;
	if (!parse_swap(ctx, &a, &b))
		return;
	int64_t keys = keyspace_keys(ctx->ks, b) - keyspace_keys(ctx->ks, a);
	int64_t expires = keyspace_expires(ctx->ks, b) - keyspace_expires(ctx->ks, a);
	if (a != b && (keyspace_keys(ctx->ks, a) || keyspace_keys(ctx->ks, b))) {
		ctx_store(ctx);
		for (uint32_t i = 0; i < SLOT_COUNT; i++)
			slot_swap(ctx, &ctx->ks->slots[i], a, b);
		database_add(ctx, a, keys, expires);
		database_add(ctx, b, -keys, -expires);
	}
	ctx->dirty++;
	reply_ok(ctx->reply);
}
