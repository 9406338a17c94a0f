/*
 * What a key is made of: OBJECT's answers and MEMORY USAGE.
 *
 * They say what Redis would of the same value: integers of up to four digits pass as objects that
 * everybody shares, which is how clients know them.
 */
#include "shard/handlers.h"

/* Redis keeps the integers below this as shared objects ... */
#define SHARED_INTEGERS 10000
/* ... and says of them that they have this many references. */
#define SHARED_REFCOUNT INT32_MAX

static const char error_lfu_off[] =
	"ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that "
	"when switching between policies at runtime LRU and LFU data will take some time to adjust.";
static const char error_lfu_on[] =
	"ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when "
	"switching between policies at runtime LRU and LFU data will take some time to adjust.";

/* The entry of key 0; NULL, after replying nothing, when it isn't there. */
static const struct entry *find_object(struct ctx *ctx)
{
	const struct entry *e = ctx_find_untouched(ctx, 0);
	if (!e)
		reply_null(ctx->reply);
	return e;
}

void cmd_object_encoding(struct ctx *ctx)
{
	const struct entry *e = find_object(ctx);
	if (e)
		reply_bulk_text(ctx->reply, entry_encoding_name(entry_encoding(e)));
}

static bool is_shared(const struct entry *e)
{
	int64_t n;
	return entry_encoding(e) == ENCODING_INT && number_parse(entry_value(e), &n) && n >= 0 &&
	       n < SHARED_INTEGERS;
}

void cmd_object_refcount(struct ctx *ctx)
{
	const struct entry *e = find_object(ctx);
	if (e)
		reply_int(ctx->reply, is_shared(e) ? SHARED_REFCOUNT : 1);
}

static bool uses_lfu(const struct ctx *ctx)
{
	return atomic_load_explicit(&ctx->ks->access_policy, memory_order_relaxed) == ACCESS_LFU;
}

void cmd_object_idletime(struct ctx *ctx)
{
	const struct entry *e = find_object(ctx);
	if (!e)
		return;
	if (uses_lfu(ctx))
		reply_error(ctx->reply, error_lfu_on);
	else
		reply_int(ctx->reply, (int64_t)ctx_idle_seconds(ctx, e));
}

void cmd_object_freq(struct ctx *ctx)
{
	const struct entry *e = find_object(ctx);
	if (!e)
		return;
	if (uses_lfu(ctx))
		reply_int(ctx->reply, ctx_frequency(ctx, e));
	else
		reply_error(ctx->reply, error_lfu_off);
}

/* --- MEMORY USAGE --- */

/*
 * The only option is how many elements to look at: nothing is estimated here, so it is only
 * checked.
 */
static bool check_usage(struct ctx *ctx)
{
	for (uint32_t i = 3; i < ctx->argc; i += 2) {
		int64_t samples = -1;
		if (slice_is(ctx->argv[i], "samples") && i + 1 < ctx->argc &&
		    !ctx_arg_int(ctx, i + 1, &samples))
			return false;
		if (samples < 0) {
			reply_error(ctx->reply, error_syntax);
			return false;
		}
	}
	return true;
}

/* A key's share of its slot's table: the table's bytes over its keys, rounded up. */
static size_t table_share(const struct table *table)
{
	size_t keys = table_count(table);
	if (keys == 0)
		keys = 1; /* a reader may have come too late */
	return (table_memory(table) + keys - 1) / keys;
}

/*
 * All of the entry, key and expiry too, in bytes as the allocator hands them out, and its share
 * above.
 */
void cmd_memory_usage(struct ctx *ctx)
{
	if (!check_usage(ctx))
		return;
	const struct entry *e = ctx_peek(ctx, 0, false);
	if (!e) {
		reply_null(ctx->reply);
		return;
	}
	size_t bytes = entry_memory(e) + table_share(slot_table(ctx->keys[0].slot, ctx->db));
	reply_int(ctx->reply, (int64_t)bytes);
}
