/*
 * Lists: popping, and moving from one to another, at once or when there is something.
 *
 * Arguments are checked before the keys are looked at. What happens once there is something to pop
 * is list_pop_reply() and its like (list_value.h), which those that wait for it share.
 */
#include "shard/blocked.h"
#include "shard/handlers.h"
#include "shard/list_value.h"

static void pop_one(struct ctx *ctx, enum list_side side)
{
	struct entry *e;

	if (!ctx_peek_typed(ctx, 0, ENTRY_LIST, &e))
		return;
	if (e)
		list_pop_reply_one(ctx, 0, e, side);
	else
		reply_null(ctx->reply);
}

static void pop_many(struct ctx *ctx, enum list_side side)
{
	struct entry *e;
	int64_t count;

	if (!ctx_arg_positive(ctx, 2, &count) || !ctx_peek_typed(ctx, 0, ENTRY_LIST, &e))
		return;
	if (!e)
		reply_null_array(ctx->reply);
	else if (count == 0)
		reply_array(ctx->reply, 0);
	else
		list_pop_reply(ctx, 0, e, side,
			       ctx_pop_count(ctx, list_length(e), (uint64_t)count));
}

static void pop(struct ctx *ctx, enum list_side side)
{
	if (ctx->argc > 3)
		command_error_arity(ctx->cmd, ctx->reply);
	else if (ctx->argc == 3)
		pop_many(ctx, side);
	else
		pop_one(ctx, side);
}

void cmd_lpop(struct ctx *ctx)
{
	pop(ctx, LIST_FRONT);
}

void cmd_rpop(struct ctx *ctx)
{
	pop(ctx, LIST_BACK);
}

/* LEFT or RIGHT; replies an error when it is neither. */
static bool arg_side(struct ctx *ctx, uint32_t i, enum list_side *side)
{
	bool left = slice_is(ctx->argv[i], "left");

	*side = left ? LIST_FRONT : LIST_BACK;
	if (left || slice_is(ctx->argv[i], "right"))
		return true;
	reply_error(ctx->reply, error_syntax);
	return false;
}

/* --- LMPOP --- */

/* numkeys (the argument `at`) key [key ...] side [COUNT count] */
static bool parse_lmpop(struct ctx *ctx, uint32_t at, enum list_side *side, int64_t *count)
{
	int64_t numkeys;

	*count = 1;
	if (!ctx_arg_range(ctx, at, 1, INT64_MAX, &numkeys, "ERR numkeys should be greater than 0"))
		return false;
	if (numkeys >= (int64_t)ctx->argc - at - 1) {
		reply_error(ctx->reply, error_syntax);
		return false;
	}
	at += 1 + (uint32_t)numkeys;
	if (!arg_side(ctx, at++, side))
		return false;
	if (at == ctx->argc)
		return true;
	if (at + 2 <= ctx->argc && slice_is(ctx->argv[at], "count")) {
		if (!ctx_arg_range(ctx, at + 1, 1, INT64_MAX, count,
				   "ERR count should be greater than 0"))
			return false;
		if (at + 2 == ctx->argc)
			return true;
	}
	reply_error(ctx->reply, error_syntax);
	return false;
}

/*
 * Pops from the first list that there is, 0: one and no array of it. False, after replying null,
 * without.
 */
static bool pop_first(struct ctx *ctx, enum list_side side, int64_t count)
{
	struct entry *e;

	for (uint32_t k = 0; k < ctx->key_count; k++) {
		if (!ctx_peek_typed(ctx, k, ENTRY_LIST, &e))
			return true;
		if (!e || blocked_ahead(ctx, k))
			continue;
		reply_array(ctx->reply, 2);
		reply_bulk_slice(ctx->reply, ctx->keys[k].name);
		if (count)
			list_pop_reply(ctx, k, e, side,
				       ctx_pop_count(ctx, list_length(e), (uint64_t)count));
		else
			list_pop_reply_one(ctx, k, e, side);
		return true;
	}
	reply_null_array(ctx->reply);
	return false;
}

void cmd_lmpop(struct ctx *ctx)
{
	enum list_side side;
	int64_t count;

	if (parse_lmpop(ctx, 1, &side, &count))
		pop_first(ctx, side, count);
}

void cmd_blmpop(struct ctx *ctx)
{
	enum list_side side;
	int64_t count, until;

	if (parse_lmpop(ctx, 2, &side, &count) && ctx_arg_timeout(ctx, 1, &until) &&
	    !pop_first(ctx, side, count))
		ctx_block(ctx, ENTRY_LIST, ctx->key_count, until);
}

/* BLPOP and BRPOP answer the element alone, not an array of them. */
static void pop_or_block(struct ctx *ctx, enum list_side side)
{
	int64_t until;

	if (ctx_arg_timeout(ctx, ctx->argc - 1, &until) && !pop_first(ctx, side, 0))
		ctx_block(ctx, ENTRY_LIST, ctx->key_count, until);
}

void cmd_blpop(struct ctx *ctx)
{
	pop_or_block(ctx, LIST_FRONT);
}

void cmd_brpop(struct ctx *ctx)
{
	pop_or_block(ctx, LIST_BACK);
}

/* --- moving --- */

/* False, after replying null, when there is nothing to move. */
static bool move(struct ctx *ctx, enum list_side from_side, enum list_side to_side)
{
	struct entry *source, *target;

	if (!ctx_peek_typed(ctx, 0, ENTRY_LIST, &source))
		return true;
	if (!source || blocked_ahead(ctx, 0)) {
		reply_null(ctx->reply);
		return false;
	}
	if (ctx_peek_typed(ctx, 1, ENTRY_LIST, &target))
		list_move_reply(ctx, 0, source, from_side, 1, target, to_side);
	return true;
}

static void move_or_block(struct ctx *ctx, enum list_side from_side, enum list_side to_side)
{
	int64_t until;

	if (ctx_arg_timeout(ctx, ctx->argc - 1, &until) && !move(ctx, from_side, to_side))
		ctx_block(ctx, ENTRY_LIST, 1, until);
}

void cmd_lmove(struct ctx *ctx)
{
	enum list_side from_side, to_side;

	if (arg_side(ctx, 3, &from_side) && arg_side(ctx, 4, &to_side))
		move(ctx, from_side, to_side);
}

void cmd_blmove(struct ctx *ctx)
{
	enum list_side from_side, to_side;

	if (arg_side(ctx, 3, &from_side) && arg_side(ctx, 4, &to_side))
		move_or_block(ctx, from_side, to_side);
}

void cmd_rpoplpush(struct ctx *ctx)
{
	move(ctx, LIST_BACK, LIST_FRONT);
}

void cmd_brpoplpush(struct ctx *ctx)
{
	move_or_block(ctx, LIST_BACK, LIST_FRONT);
}
