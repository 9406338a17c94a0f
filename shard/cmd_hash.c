/*
 * Hashes: HSET to HSCAN. What has to do with the expiry of fields: cmd_hash_expire.c.
 *
 * Reads run under RCU whatever the hash is kept in. Writes look at the hash first, check what can
 * fail, and make their changes in one edit (hash_value.h).
 */
#include "shard/draw.h"
#include "shard/handlers.h"
#include "shard/hash_value.h"
#include "shard/scan.h"
#include "shard/turn.h"

#include <assert.h>

/* The hash at key 0 for an edit; on failure replies. */
static bool open_hash(struct ctx *ctx, struct hash_edit *edit)
{
	struct entry *e;
	if (!ctx_peek_typed(ctx, 0, ENTRY_HASH, &e))
		return false;
	hash_edit_begin(edit, ctx, 0, e);
	return true;
}

/* --- setting --- */

/* Sets all pairs of the request; false, after replying, when that can't be. */
static bool set_pairs(struct ctx *ctx, uint64_t *created)
{
	struct hash_edit edit;
	if (ctx->argc % 2) {
		command_error_arity(ctx->cmd, ctx->reply);
		return false;
	}
	if (!open_hash(ctx, &edit))
		return false;
	*created = 0;
	for (uint32_t i = 2; i < ctx->argc; i += 2)
		*created += hash_edit_set(&edit, ctx->argv[i], ctx->argv[i + 1], EXPIRE_NEVER);
	hash_edit_end(&edit);
	ctx->dirty += (ctx->argc - 2) / 2;
	return true;
}

void cmd_hset(struct ctx *ctx)
{
	uint64_t created;
	if (set_pairs(ctx, &created))
		reply_int(ctx->reply, (int64_t)created);
}

void cmd_hmset(struct ctx *ctx)
{
	uint64_t created;
	if (set_pairs(ctx, &created))
		reply_ok(ctx->reply);
}

void cmd_hsetnx(struct ctx *ctx)
{
	struct hash_edit edit;
	struct hash_field field;
	if (!open_hash(ctx, &edit))
		return;
	bool found = hash_edit_find(&edit, ctx->argv[2], &field);
	if (!found) {
		hash_edit_set(&edit, ctx->argv[2], ctx->argv[3], EXPIRE_NEVER);
		hash_edit_end(&edit);
		ctx->dirty++;
	}
	reply_int(ctx->reply, !found);
}

void cmd_hdel(struct ctx *ctx)
{
	struct hash_edit edit;
	uint64_t removed = 0;
	if (!open_hash(ctx, &edit))
		return;
	for (uint32_t i = 2; i < ctx->argc; i++)
		removed += hash_edit_remove(&edit, ctx->argv[i]);
	hash_edit_end(&edit);
	ctx->dirty += removed;
	reply_int(ctx->reply, (int64_t)removed);
}

/* --- counting --- */

/* Puts a number's text in the place of field argv[2], which keeps its expiry. */
static void put_number(struct hash_edit *edit, const struct hash_field *field, struct slice text)
{
	struct ctx *ctx = edit->ctx;
	hash_edit_set(edit, ctx->argv[2], text, field ? field->expire : EXPIRE_NEVER);
	hash_edit_end(edit);
	ctx->dirty++;
}

void cmd_hincrby(struct ctx *ctx)
{
	struct hash_edit edit;
	struct hash_field field;
	int64_t by, n = 0;
	if (!ctx_arg_int(ctx, 3, &by) || !open_hash(ctx, &edit))
		return;
	bool found = hash_edit_find(&edit, ctx->argv[2], &field);
	if (found && !number_parse(field.value, &n)) {
		reply_error(ctx->reply, "ERR hash value is not an integer");
		return;
	}
	if (__builtin_add_overflow(n, by, &n)) {
		reply_error(ctx->reply, "ERR increment or decrement would overflow");
		return;
	}
	char text[NUMBER_TEXT_MAX];
	put_number(&edit, found ? &field : NULL, (struct slice){text, number_format(text, n)});
	reply_int(ctx->reply, n);
}

void cmd_hincrbyfloat(struct ctx *ctx)
{
	struct hash_edit edit;
	struct hash_field field;
	long double by, n = 0;
	if (!number_parse_long_double(ctx->argv[3], &by)) {
		reply_error(ctx->reply, error_not_float);
		return;
	}
	if (!__builtin_isfinite(by)) {
		reply_error(ctx->reply, "ERR value is NaN or Infinity");
		return;
	}
	if (!open_hash(ctx, &edit))
		return;
	bool found = hash_edit_find(&edit, ctx->argv[2], &field);
	if (found && !number_parse_long_double(field.value, &n)) {
		reply_error(ctx->reply, "ERR hash value is not a float");
		return;
	}
	n += by;
	if (!__builtin_isfinite(n)) {
		reply_error(ctx->reply, "ERR increment would produce NaN or Infinity");
		return;
	}
	char buf[NUMBER_DOUBLE_TEXT_MAX];
	struct slice text = {buf, number_format_long_double(buf, n)};
	ctx_effect(ctx, (struct slice[]){SLICE("HSET"), ctx->keys[0].name, ctx->argv[2], text}, 4);
	put_number(&edit, found ? &field : NULL, text);
	if (found && field.expire != EXPIRE_NEVER)
		hash_effect_expire(ctx, ctx->argv[2], field.expire);
	reply_bulk_slice(ctx->reply, text);
}

/* --- fields one by one --- */

/* Finds field argv[i] of the hash e, which may be NULL. */
static bool find_field(struct ctx *ctx, const struct entry *e, uint32_t i, struct hash_field *field)
{
	return e && hash_find(ctx->shard, e, ctx->argv[i], ctx->now, field);
}

static void reply_field(struct ctx *ctx, const struct entry *e, uint32_t i)
{
	struct hash_field field;
	if (find_field(ctx, e, i, &field))
		hash_reply_value(ctx->reply, &field);
	else
		reply_null(ctx->reply);
}

void cmd_hget(struct ctx *ctx)
{
	struct entry *e;
	if (ctx_find_typed(ctx, 0, ENTRY_HASH, &e))
		reply_field(ctx, e, 2);
}

void cmd_hmget(struct ctx *ctx)
{
	struct entry *e;
	if (!ctx_find_typed(ctx, 0, ENTRY_HASH, &e))
		return;
	reply_array(ctx->reply, ctx->argc - 2);
	for (uint32_t i = 2; i < ctx->argc; i++)
		reply_field(ctx, e, i);
}

void cmd_hexists(struct ctx *ctx)
{
	struct entry *e;
	struct hash_field field;
	if (ctx_find_typed(ctx, 0, ENTRY_HASH, &e))
		reply_int(ctx->reply, find_field(ctx, e, 2, &field));
}

void cmd_hstrlen(struct ctx *ctx)
{
	struct entry *e;
	struct hash_field field;
	if (ctx_find_typed(ctx, 0, ENTRY_HASH, &e))
		reply_int(ctx->reply, find_field(ctx, e, 2, &field) ? (int64_t)field.value.len : 0);
}

/* As Redis does, it may count fields that have expired a moment ago, of large hashes. */
void cmd_hlen(struct ctx *ctx)
{
	struct entry *e;
	if (ctx_find_typed(ctx, 0, ENTRY_HASH, &e))
		reply_int(ctx->reply, e ? (int64_t)hash_length_most(e, ctx->now) : 0);
}

/* --- all of them --- */

enum shown {
	SHOW_NAMES = 1,
	SHOW_VALUES = 2,
	SHOW_BOTH = SHOW_NAMES | SHOW_VALUES,
	SHOW_PAIRS = 4 | SHOW_BOTH, /* RESP3: an array of arrays of two */
};

struct show {
	struct shard *shard;
	struct reply *reply;
	enum shown shown;
	size_t count;
};

static void show_field(void *arg, const struct hash_field *field)
{
	struct show *show = arg;
	if (show->shown == SHOW_PAIRS && show->reply->resp == 3)
		reply_array(show->reply, 2);
	if (show->shown & SHOW_NAMES)
		reply_bulk_slice(show->reply, field->name);
	if (show->shown & SHOW_VALUES)
		hash_reply_value(show->reply, field);
	show->count++;
	turn_step(show->shard);
}

/* How many elements an array has with that many fields in it. */
static size_t shown_elements(const struct show *show, size_t count)
{
	bool flat =
		show->shown == SHOW_BOTH || (show->shown == SHOW_PAIRS && show->reply->resp == 2);
	return flat ? 2 * count : count;
}

static void reply_all(struct ctx *ctx, enum shown shown)
{
	struct entry *e;
	struct show show = {ctx->shard, ctx->reply, shown, 0};
	if (!ctx_find_typed(ctx, 0, ENTRY_HASH, &e))
		return;
	if (!ctx_long_read(ctx, e ? hash_length_most(e, ctx->now) : 0))
		return;
	size_t count = e ? hash_length(ctx->shard, e, ctx->now) : 0;
	if (shown == SHOW_BOTH)
		reply_map(ctx->reply, count);
	else
		reply_array(ctx->reply, count);
	if (e)
		hash_walk(e, ctx->now, show_field, &show);
	assert(show.count == count || !ctx->holder); /* in a writer's way the reply doesn't count */
}

void cmd_hgetall(struct ctx *ctx)
{
	reply_all(ctx, SHOW_BOTH);
}

void cmd_hkeys(struct ctx *ctx)
{
	reply_all(ctx, SHOW_NAMES);
}

void cmd_hvals(struct ctx *ctx)
{
	reply_all(ctx, SHOW_VALUES);
}

/* --- some of them --- */

/* The count and WITHVALUES; on failure replies. */
static bool parse_random(struct ctx *ctx, int64_t *count, enum shown *shown)
{
	*shown = SHOW_NAMES;
	if (!ctx_arg_range(ctx, 2, -INT64_MAX, INT64_MAX, count, NULL))
		return false;
	if (ctx->argc > 4 || (ctx->argc == 4 && !slice_is(ctx->argv[3], "withvalues"))) {
		reply_error(ctx->reply, error_syntax);
		return false;
	}
	if (ctx->argc == 4)
		*shown = SHOW_PAIRS;
	if (ctx->argc == 4 && (*count < -(INT64_MAX / 2) || *count > INT64_MAX / 2)) {
		reply_error(ctx->reply, "ERR value is out of range");
		return false;
	}
	return true;
}

/* Fields on their way into a reply, each of them any. */
struct drawn {
	struct draw draw;
	struct show show;
};

static bool show_drawn(void *arg, const struct hash_field *field)
{
	struct drawn *drawn = arg;
	show_field(&drawn->show, field);
	return draw_more(&drawn->draw);
}

static void reply_drawn(struct ctx *ctx, const struct entry *e, uint64_t count, enum shown shown)
{
	struct drawn drawn;
	if (!draw_begin(&drawn.draw, ctx, count) || !ctx_long(ctx, count))
		return;
	drawn.show = (struct show){ctx->shard, &drawn.draw.elements, shown, 0};
	hash_random(ctx->shard, e, count, ctx->now, show_drawn, &drawn);
	draw_end(&drawn.draw, shown_elements(&drawn.show, count));
}

/*
 * Whether it has to do with more fields than it draws: many different ones, or those that have
 * expired.
 */
static bool must_walk(const struct ctx *ctx, const struct entry *e, int64_t count)
{
	return (ctx->argc > 2 && count > 0) || hash_fields_due(e) <= ctx->now;
}

static bool show_one(void *arg, const struct hash_field *field)
{
	show_field(arg, field);
	return false;
}

void cmd_hrandfield(struct ctx *ctx)
{
	struct entry *e;
	struct show show = {ctx->shard, ctx->reply, SHOW_NAMES, 0};
	int64_t count = 1;
	if (ctx->argc > 2 && !parse_random(ctx, &count, &show.shown))
		return;
	if (!ctx_find_typed(ctx, 0, ENTRY_HASH, &e))
		return;
	if (e && must_walk(ctx, e, count) && !ctx_long(ctx, hash_length_most(e, ctx->now)))
		return;
	size_t length = e ? hash_length(ctx->shard, e, ctx->now) : 0;
	if (length > 0 && count < 0) {
		reply_drawn(ctx, e, (uint64_t)-count, show.shown);
		return;
	}
	if (ctx->argc == 2) {
		if (length > 0)
			hash_random(ctx->shard, e, 1, ctx->now, show_one, &show);
		if (show.count == 0) /* nothing, or a reader in a writer's way */
			reply_null(ctx->reply);
		return;
	}
	size_t shown = (uint64_t)count < length ? (size_t)count : length;
	reply_array(ctx->reply, shown_elements(&show, shown));
	if (shown > 0)
		hash_sample(ctx->shard, e, shown, ctx->now, show_field, &show);
}

/* --- HSCAN --- */

struct scan {
	struct scan_options options;
	struct show show;
};

static void scan_field(void *arg, const struct hash_field *field)
{
	struct scan *scan = arg;
	turn_step(scan->show.shard);
	if (!scan_match(&scan->options, field->name))
		return;
	show_field(&scan->show, field);
	reply_seal(scan->show.reply);
}

static void scan_hash(struct ctx *ctx, const struct entry *e, uint64_t cursor, struct scan *scan)
{
	struct reply fields;
	size_t length = hash_length_most(e, ctx->now);
	if (!ctx_long(ctx, length < scan->options.count ? length : scan->options.count))
		return;
	reply_init(&fields, ctx->reply->resp);
	scan->show = (struct show){
		.shard = ctx->shard,
		.reply = &fields,
		.shown = scan->options.no_values ? SHOW_NAMES : SHOW_BOTH,
	};
	cursor = hash_scan(e, cursor, scan->options.count, ctx->now, scan_field, scan);
	scan_reply(ctx, cursor, &fields, shown_elements(&scan->show, scan->show.count));
	reply_deinit(&fields);
}

void cmd_hscan(struct ctx *ctx)
{
	struct entry *e;
	struct scan scan;
	uint64_t cursor;
	if (!scan_parse_cursor(ctx, 2, &cursor) || !ctx_find_typed(ctx, 0, ENTRY_HASH, &e))
		return;
	if (!e)
		scan_reply_empty(ctx);
	else if (scan_parse_options(ctx, 3, SCAN_NOVALUES, &scan.options))
		scan_hash(ctx, e, cursor, &scan);
}
