/*
 * Keys as such: whether they are there, of what type, under which name, in which database.
 *
 * An entry stands in one table only, so what moves gets a new entry: its blob is shared, its
 * structure passes on to it, and the old entry goes without them (ctx_remove_shallow). Only while a
 * snapshot is going on a structure may not get to another slot, and is copied (freeze.h).
 */
#include "shard/handlers.h"
#include "shard/string.h"
#include "shard/turn.h"
#include "shard/value.h"

static void remove_keys(struct ctx *ctx)
{
	uint64_t removed = 0;
	for (uint32_t k = 0; k < ctx->key_count; k++)
		removed += ctx_remove(ctx, k);
	ctx->dirty += removed;
	reply_int(ctx->reply, (int64_t)removed);
}

void cmd_del(struct ctx *ctx)
{
	remove_keys(ctx);
}

/* DEL frees nothing on the spot either: what it removes is retired. */
void cmd_unlink(struct ctx *ctx)
{
	remove_keys(ctx);
}

void cmd_exists(struct ctx *ctx)
{
	int64_t found = 0;
	for (uint32_t k = 0; k < ctx->key_count; k++)
		found += ctx_find_untouched(ctx, k) != NULL;
	reply_int(ctx->reply, found);
}

/* Touches even for a client that asked for NO-TOUCH. */
void cmd_touch(struct ctx *ctx)
{
	int64_t found = 0;
	ctx->no_touch = false;
	for (uint32_t k = 0; k < ctx->key_count; k++)
		found += ctx_find(ctx, k) != NULL;
	reply_int(ctx->reply, found);
}

void cmd_type(struct ctx *ctx)
{
	const struct entry *e = ctx_find_untouched(ctx, 0);
	reply_status(ctx->reply, e ? entry_type_name(entry_type(e)) : "none");
}

/* --- rename, move, copy --- */

/* A structure that goes to another slot, while a snapshot has yet to read one of the two. */
static bool must_copy(const struct ctx *ctx, const struct entry *e)
{
	return ctx->shard->retire.unit.cut != EPOCH_NONE && e->flags & ENTRY_STRUCTURE &&
	       ctx->keys[0].slot != ctx->keys[1].slot;
}

/* How many elements' time it takes to say in the journal what the value is; 0: that isn't done. */
static uint64_t state_elements(const struct ctx *ctx, const struct entry *e)
{
	if (!ctx->by_state)
		return 0;
	return entry_type(e) == ENTRY_STRING ? string_length(e) / LONG_ELEMENT_BYTES
					     : value_elements(e);
}

/* False: it is to be run again as long work. */
static bool rename_entry(struct ctx *ctx, const struct entry *e)
{
	struct slice name = ctx->keys[1].name;
	struct entry *moved;
	bool copies = must_copy(ctx, e);
	if (!ctx_long(ctx, (copies ? value_elements(e) : 0) + state_elements(ctx, e)))
		return false;
	if (copies) {
		moved = entry_copy(e, name, ctx->shard);
		ctx_remove(ctx, 0);
	} else {
		moved = entry_with_key(e, name, entry_expire(e));
		ctx_remove_shallow(ctx, 0);
	}
	ctx_put(ctx, 1, moved);
	ctx->dirty++;
	return true;
}

static void rename_key(struct ctx *ctx, bool only_new)
{
	const struct entry *e = ctx_peek(ctx, 0, true);
	if (!e) {
		reply_error(ctx->reply, error_no_key);
		return;
	}
	bool same = slice_equal(ctx->keys[0].name, ctx->keys[1].name);
	if (only_new && (same || ctx_peek(ctx, 1, true))) {
		reply_int(ctx->reply, 0);
		return;
	}
	if (!same && !rename_entry(ctx, e))
		return;
	if (only_new)
		reply_int(ctx->reply, 1);
	else
		reply_ok(ctx->reply);
}

void cmd_rename(struct ctx *ctx)
{
	rename_key(ctx, false);
}

void cmd_renamenx(struct ctx *ctx)
{
	rename_key(ctx, true);
}

void cmd_move(struct ctx *ctx)
{
	uint32_t db;
	if (!ctx_arg_db(ctx, 2, &db, NULL))
		return;
	if (db == ctx->db) {
		reply_error(ctx->reply, error_same_object);
		return;
	}
	const struct entry *e = ctx_peek(ctx, 0, true);
	if (!e || ctx_peek_in(ctx, 0, db)) {
		reply_int(ctx->reply, 0);
		return;
	}
	struct entry *moved = entry_with_key(e, ctx->keys[0].name, entry_expire(e));
	ctx_remove_shallow(ctx, 0);
	ctx_put_in(ctx, 0, db, moved);
	ctx->dirty++;
	reply_int(ctx->reply, 1);
}

/* COPY's options; on failure replies. */
static bool parse_copy(struct ctx *ctx, uint32_t *db, bool *replace)
{
	*db = ctx->db;
	*replace = false;
	for (uint32_t i = 3; i < ctx->argc; i++) {
		if (slice_is(ctx->argv[i], "replace")) {
			*replace = true;
		} else if (slice_is(ctx->argv[i], "db") && i + 1 < ctx->argc) {
			if (!ctx_arg_db(ctx, ++i, db, NULL))
				return false;
		} else {
			reply_error(ctx->reply, error_syntax);
			return false;
		}
	}
	return true;
}

void cmd_copy(struct ctx *ctx)
{
	uint32_t db;
	bool replace;
	if (!parse_copy(ctx, &db, &replace))
		return;
	if (db == ctx->db && slice_equal(ctx->keys[0].name, ctx->keys[1].name)) {
		reply_error(ctx->reply, error_same_object);
		return;
	}
	const struct entry *e = ctx_find(ctx, 0);
	if (!e || (ctx_peek_in(ctx, 1, db) && !replace)) {
		reply_int(ctx->reply, 0);
		return;
	}
	if (!ctx_long(ctx, value_elements(e) + state_elements(ctx, e)))
		return;
	struct entry *copy = entry_copy(e, ctx->keys[1].name, ctx->shard);
	entry_set_access(copy, ctx_access_new(ctx));
	ctx_put_in(ctx, 1, db, copy);
	ctx->dirty++;
	reply_int(ctx->reply, 1);
}
