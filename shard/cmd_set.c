/* Commands on one set, and SMOVE. Those that put several sets together: cmd_set_ops.c. */
#include "shard/draw.h"
#include "shard/handlers.h"
#include "shard/scan.h"
#include "shard/set.h"
#include "shard/turn.h"

static struct listpack_item argument_member(const struct ctx *ctx, uint32_t i)
{
	return (struct listpack_item){.text = ctx->argv[i]};
}

/* --- adding and removing --- */

void cmd_sadd(struct ctx *ctx)
{
	struct set_edit edit;
	struct entry *e;
	size_t added = 0;

	if (!ctx_peek_typed(ctx, 0, ENTRY_SET, &e))
		return;
	set_edit_begin(&edit, ctx, 0, e);
	set_edit_expect(&edit, ctx->argv[2], ctx->argc - 2);
	for (uint32_t i = 2; i < ctx->argc; i++)
		added += set_edit_add(&edit, argument_member(ctx, i));
	set_edit_end(&edit);
	ctx->dirty += added;
	reply_int(ctx->reply, (int64_t)added);
}

void cmd_srem(struct ctx *ctx)
{
	struct set_edit edit;
	struct entry *e;
	size_t removed = 0;

	if (!ctx_peek_typed(ctx, 0, ENTRY_SET, &e))
		return;
	if (e) {
		set_edit_begin(&edit, ctx, 0, e);
		for (uint32_t i = 2; i < ctx->argc; i++)
			removed += set_edit_remove(&edit, argument_member(ctx, i));
		set_edit_end(&edit);
	}
	ctx->dirty += removed;
	reply_int(ctx->reply, (int64_t)removed);
}

/* From key 0 to key 1, two different ones. */
static bool move_member(struct ctx *ctx, const struct entry *from, const struct entry *to,
			struct listpack_item member)
{
	struct set_edit source, target;

	set_edit_begin(&source, ctx, 0, from);
	if (!set_edit_remove(&source, member))
		return false;
	ctx_effect(ctx, (struct slice[]){SLICE("SREM"), ctx->keys[0].name, ctx->argv[3]}, 3);
	ctx_effect(ctx, (struct slice[]){SLICE("SADD"), ctx->keys[1].name, ctx->argv[3]}, 3);
	set_edit_end(&source);
	set_edit_begin(&target, ctx, 1, to);
	ctx->dirty += 1 + set_edit_add(&target, member);
	set_edit_end(&target);
	return true;
}

void cmd_smove(struct ctx *ctx)
{
	struct listpack_item member = argument_member(ctx, 3);
	struct entry *from = ctx_peek(ctx, 0, true);
	struct entry *to = ctx_peek(ctx, 1, true);

	if (!from) {
		reply_int(ctx->reply, 0);
	} else if (entry_type(from) != ENTRY_SET || (to && entry_type(to) != ENTRY_SET)) {
		reply_error(ctx->reply, error_wrong_type);
	} else if (from == to) {
		struct set set = set_of(from);
		reply_int(ctx->reply, set_contains(&set, ctx->shard, member));
	} else {
		reply_int(ctx->reply, move_member(ctx, from, to, member));
	}
}

/* --- asking --- */

/* The set at key 0, empty where there is none. On failure replies. */
static bool find_set(struct ctx *ctx, struct set *set)
{
	struct entry *e;
	bool found = ctx_find_typed(ctx, 0, ENTRY_SET, &e);

	if (found)
		*set = set_of(e);
	return found;
}

void cmd_scard(struct ctx *ctx)
{
	struct set set;

	if (find_set(ctx, &set))
		reply_int(ctx->reply, (int64_t)set_count(&set));
}

void cmd_sismember(struct ctx *ctx)
{
	struct set set;

	if (find_set(ctx, &set))
		reply_int(ctx->reply, set_contains(&set, ctx->shard, argument_member(ctx, 2)));
}

void cmd_smismember(struct ctx *ctx)
{
	struct set set;

	if (!find_set(ctx, &set))
		return;
	reply_array(ctx->reply, ctx->argc - 2);
	for (uint32_t i = 2; i < ctx->argc; i++)
		reply_int(ctx->reply, set_contains(&set, ctx->shard, argument_member(ctx, i)));
}

/* The smaller one of what is asked for and what is there. */
static uint64_t at_most(const struct entry *e, uint64_t count)
{
	struct set set = set_of(e);
	size_t size = set_count(&set);

	return count < size ? count : size;
}

/* Members as they come into a reply, counted. */
struct shown {
	struct shard *shard;
	struct reply *reply;
	size_t count;
};

static bool show(void *arg, struct listpack_item member)
{
	struct shown *shown = arg;

	set_reply_member(shown->reply, member);
	shown->count++;
	turn_step(shown->shard);
	return true;
}

static void reply_members(struct ctx *ctx, const struct set *set)
{
	struct shown shown = {ctx->shard, ctx->reply, 0};

	reply_set(ctx->reply, set_count(set));
	set_walk(set, show, &shown);
}

void cmd_smembers(struct ctx *ctx)
{
	struct set set;

	if (find_set(ctx, &set) && ctx_long_read(ctx, set_count(&set)))
		reply_members(ctx, &set);
}

struct set_scan {
	struct scan_options options;
	struct shard *shard;
	struct reply members; /* apart: the cursor stands before them */
	size_t found;
};

static bool scan_visit(void *arg, struct listpack_item member)
{
	struct set_scan *scan = arg;
	char room[NUMBER_TEXT_MAX];
	struct slice text = listpack_item_text(member, room);

	turn_step(scan->shard);
	if (scan_match(&scan->options, text)) {
		reply_bulk_slice(&scan->members, text);
		reply_seal(&scan->members);
		scan->found++;
	}
	return true;
}

/* Redis looks at the options only where there is a set. */
void cmd_sscan(struct ctx *ctx)
{
	struct set_scan scan = {.shard = ctx->shard, .found = 0};
	struct entry *e;
	uint64_t cursor;

	if (!scan_parse_cursor(ctx, 2, &cursor) || !ctx_find_typed(ctx, 0, ENTRY_SET, &e))
		return;
	reply_init(&scan.members, ctx->reply->resp);
	if (!e) {
		scan_reply(ctx, 0, &scan.members, 0);
	} else if (scan_parse_options(ctx, 3, 0, &scan.options)) {
		struct set set = set_of(e);
		if (ctx_long(ctx, at_most(e, scan.options.count))) {
			cursor = set_scan(&set, cursor, scan.options.count, scan_visit, &scan);
			scan_reply(ctx, cursor, &scan.members, scan.found);
		}
	}
	reply_deinit(&scan.members);
}

/* --- random members --- */

/* `count` members, each of them any. The set isn't empty. */
static void reply_drawn(struct ctx *ctx, const struct set *set, uint64_t count)
{
	struct listpack_item member;
	struct draw draw;

	if (!draw_begin(&draw, ctx, count) || !ctx_long(ctx, count))
		return;
	while (set_random(set, ctx->shard, &member)) {
		set_reply_member(&draw.elements, member);
		turn_step(ctx->shard);
		if (!draw_more(&draw))
			break;
	}
	draw_end(&draw, count);
}

static void random_members(struct ctx *ctx)
{
	struct entry *e;
	int64_t count;

	if (!ctx_arg_range(ctx, 2, -INT64_MAX, INT64_MAX, &count, NULL) ||
	    !ctx_find_typed(ctx, 0, ENTRY_SET, &e))
		return;
	struct set set = set_of(e);
	if (e && count < 0) {
		reply_drawn(ctx, &set, (uint64_t)-count);
		return;
	}
	if (e && !ctx_long(ctx, set_count(&set)))
		return;
	struct shown shown = {ctx->shard, ctx->reply, 0};
	reply_array(ctx->reply, e ? at_most(e, (uint64_t)count) : 0);
	if (e && count > 0)
		set_sample(&set, ctx->shard, (size_t)count, show, &shown);
}

void cmd_srandmember(struct ctx *ctx)
{
	struct listpack_item member;
	struct set set;

	if (ctx->argc > 3) {
		reply_error(ctx->reply, error_syntax);
	} else if (ctx->argc == 3) {
		random_members(ctx);
	} else if (find_set(ctx, &set)) {
		if (set_random(&set, ctx->shard, &member))
			set_reply_member(ctx->reply, member);
		else
			reply_null(ctx->reply);
	}
}

static void effect_pop(struct ctx *ctx, struct listpack_item member)
{
	char room[NUMBER_TEXT_MAX];
	struct slice text = listpack_item_text(member, room);

	ctx_effect(ctx, (struct slice[]){SLICE("SREM"), ctx->keys[0].name, text}, 3);
}

/* Removes one member after writing it. The set isn't empty. */
static void pop_member(struct set_edit *edit)
{
	struct set set = set_edit_set(edit);
	struct ctx *ctx = edit->ctx;
	struct listpack_item member;

	if (!set_random(&set, ctx->shard, &member))
		return;
	set_reply_member(ctx->reply, member);
	effect_pop(ctx, member);
	set_edit_remove(edit, member);
	ctx->dirty++;
}

static void pop_members(struct ctx *ctx, const struct entry *e, uint64_t count)
{
	struct set set = set_of(e);
	size_t size = set_count(&set);
	struct set_edit edit;

	if (count >= size) {
		reply_members(ctx, &set);
		ctx_by_state(ctx);
		ctx_remove(ctx, 0);
		ctx->dirty += size;
		return;
	}
	reply_set(ctx->reply, count);
	set_edit_begin(&edit, ctx, 0, e);
	for (uint64_t i = 0; i < count; i++) {
		pop_member(&edit);
		turn_step(ctx->shard);
	}
	set_edit_end(&edit);
}

void cmd_spop(struct ctx *ctx)
{
	struct set_edit edit;
	struct entry *e;
	int64_t count;

	if (ctx->argc > 3) {
		reply_error(ctx->reply, error_syntax);
		return;
	}
	if (ctx->argc == 3 && !ctx_arg_positive(ctx, 2, &count))
		return;
	if (!ctx_peek_typed(ctx, 0, ENTRY_SET, &e))
		return;
	if (ctx->argc == 3) {
		if (e && count > 0 && ctx_long(ctx, at_most(e, (uint64_t)count)))
			pop_members(ctx, e, (uint64_t)count);
		else if (!e || count == 0)
			reply_set(ctx->reply, 0);
	} else if (e) {
		set_edit_begin(&edit, ctx, 0, e);
		pop_member(&edit);
		set_edit_end(&edit);
	} else {
		reply_null(ctx->reply);
	}
}
