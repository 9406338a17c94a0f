/*
 * Lists: pushing, looking, changing in the middle. What pops stands in cmd_list_pop.c.
 *
 * What only looks goes through list_read(), what changes through a list_edit (list_value.h).
 * Numbers and options are checked in Redis' order: LINDEX and LSET look at the key first, the
 * others at their arguments.
 */
#include "shard/handlers.h"
#include "shard/list_value.h"

/* --- pushing --- */

static void push(struct ctx *ctx, enum list_side side, bool only_existing)
{
	struct list_edit edit;
	struct entry *e;
	uint64_t bytes = 0;

	if (!ctx_peek_typed(ctx, 0, ENTRY_LIST, &e))
		return;
	if (!e && only_existing) {
		reply_int(ctx->reply, 0);
		return;
	}
	for (uint32_t i = 2; i < ctx->argc; i++)
		bytes += ctx->argv[i].len;
	list_edit_begin(&edit, ctx, 0, e);
	list_edit_expect(&edit, bytes, ctx->argc - 2);
	for (uint32_t i = 2; i < ctx->argc; i++)
		list_edit_push(&edit, side, list_element_of(ctx->argv[i]));
	reply_int(ctx->reply, (int64_t)list_edit_length(&edit));
	list_edit_end(&edit);
	ctx->dirty += ctx->argc - 2;
}

void cmd_lpush(struct ctx *ctx)
{
	push(ctx, LIST_FRONT, false);
}

void cmd_rpush(struct ctx *ctx)
{
	push(ctx, LIST_BACK, false);
}

void cmd_lpushx(struct ctx *ctx)
{
	push(ctx, LIST_FRONT, true);
}

void cmd_rpushx(struct ctx *ctx)
{
	push(ctx, LIST_BACK, true);
}

/* --- looking --- */

void cmd_llen(struct ctx *ctx)
{
	struct entry *e;

	if (ctx_find_typed(ctx, 0, ENTRY_LIST, &e))
		reply_int(ctx->reply, e ? (int64_t)list_length(e) : 0);
}

/* The place that an index, which counts from the end when negative, means; false: outside. */
static bool resolve_index(int64_t index, uint64_t length, uint64_t *out)
{
	*out = index < 0 ? (uint64_t)index + length : (uint64_t)index;
	return *out < length;
}

void cmd_lindex(struct ctx *ctx)
{
	struct list_iter iter;
	struct list_element element;
	struct entry *e;
	int64_t index;
	uint64_t at;

	if (!ctx_find_typed(ctx, 0, ENTRY_LIST, &e))
		return;
	if (!e) {
		reply_null(ctx->reply);
		return;
	}
	if (!ctx_arg_int(ctx, 2, &index))
		return;
	if (!resolve_index(index, list_length(e), &at)) {
		reply_null(ctx->reply);
		return;
	}
	list_read(&iter, e, at, LIST_BACK);
	list_iter_next(&iter, &element);
	list_reply_element(ctx->reply, element);
}

/* Elements `first` to `first + count - 1`. */
struct range {
	uint64_t first;
	uint64_t count;
};

/* What start and end, both included and negative from the end, mean in a list. */
static struct range resolve_range(int64_t start, int64_t end, int64_t length)
{
	start += start < 0 ? length : 0;
	end += end < 0 ? length : 0;
	start = start < 0 ? 0 : start;
	end = end < length ? end : length - 1;
	if (start > end)
		return (struct range){0, 0};
	return (struct range){(uint64_t)start, (uint64_t)(end - start + 1)};
}

void cmd_lrange(struct ctx *ctx)
{
	struct entry *e;
	int64_t start, end;

	if (!ctx_arg_int(ctx, 2, &start) || !ctx_arg_int(ctx, 3, &end) ||
	    !ctx_find_typed(ctx, 0, ENTRY_LIST, &e))
		return;
	if (!e) {
		reply_array(ctx->reply, 0);
		return;
	}
	struct range range = resolve_range(start, end, (int64_t)list_length(e));
	if (ctx_long_read(ctx, range.count))
		list_reply_range(ctx, e, range.first, range.count, LIST_BACK);
}

/* --- LPOS --- */

struct lpos {
	enum list_side towards;
	uint64_t rank;   /* of the first match that counts: 1, 2 ... */
	int64_t count;   /* 0: all; -1: not given, one and no array */
	int64_t max_len; /* elements to compare; 0: all */
};

static bool parse_rank(struct ctx *ctx, uint32_t i, struct lpos *o)
{
	int64_t rank;

	if (!ctx_arg_range(ctx, i, -INT64_MAX, INT64_MAX, &rank, NULL))
		return false;
	if (rank == 0) {
		reply_error(
			ctx->reply,
			"ERR RANK can't be zero: use 1 to start from the first match, 2 from the "
			"second ... or use negative to start from the end of the list");
		return false;
	}
	o->towards = rank < 0 ? LIST_FRONT : LIST_BACK;
	o->rank = rank < 0 ? (uint64_t)-rank : (uint64_t)rank;
	return true;
}

static bool parse_lpos(struct ctx *ctx, struct lpos *o)
{
	*o = (struct lpos){.towards = LIST_BACK, .rank = 1, .count = -1};
	for (uint32_t i = 3; i < ctx->argc; i += 2) {
		struct slice word = i + 1 < ctx->argc ? ctx->argv[i] : SLICE("");
		if (slice_is(word, "rank")) {
			if (!parse_rank(ctx, i + 1, o))
				return false;
		} else if (slice_is(word, "count")) {
			if (!ctx_arg_range(ctx, i + 1, 0, INT64_MAX, &o->count,
					   "ERR COUNT can't be negative"))
				return false;
		} else if (slice_is(word, "maxlen")) {
			if (!ctx_arg_range(ctx, i + 1, 0, INT64_MAX, &o->max_len,
					   "ERR MAXLEN can't be negative"))
				return false;
		} else {
			reply_error(ctx->reply, error_syntax);
			return false;
		}
	}
	return true;
}

/* How many elements of a list with so many it compares. */
static uint64_t lpos_steps(const struct lpos *o, uint64_t length)
{
	return o->max_len && (uint64_t)o->max_len < length ? (uint64_t)o->max_len : length;
}

/* Replies the places of the matches that count, at most `max`; returns how many there were. */
static uint64_t reply_matches(struct ctx *ctx, const struct entry *e, const struct lpos *o,
			      uint64_t max, struct reply *reply)
{
	struct listpack_item wanted = listpack_item_of(ctx->argv[2]);
	uint64_t length = list_length(e), found = 0, matches = 0, at;
	uint64_t steps = lpos_steps(o, length);
	bool back = o->towards == LIST_BACK;
	struct list_iter iter;

	list_read(&iter, e, back ? 0 : length - 1, o->towards);
	iter.shard = ctx->shard;
	if (back)
		iter.count = steps;
	else
		iter.first = length - steps;
	while (found < max && list_iter_find(&iter, wanted, &at)) {
		if (++matches < o->rank)
			continue;
		reply_int(reply, (int64_t)at);
		reply_seal(reply);
		found++;
	}
	return found;
}

void cmd_lpos(struct ctx *ctx)
{
	struct lpos o;
	struct entry *e;

	if (!parse_lpos(ctx, &o) || !ctx_find_typed(ctx, 0, ENTRY_LIST, &e) ||
	    !ctx_long(ctx, e ? lpos_steps(&o, list_length(e)) : 0))
		return;
	uint64_t max = o.count < 0 ? 1 : o.count == 0 ? UINT64_MAX : (uint64_t)o.count;
	struct reply places;
	reply_init(&places, ctx->reply->resp);
	uint64_t found = e ? reply_matches(ctx, e, &o, max, &places) : 0;
	if (o.count >= 0)
		reply_array(ctx->reply, found);
	else if (found == 0)
		reply_null(ctx->reply);
	reply_move(ctx->reply, &places);
	reply_deinit(&places);
}

/* --- changing --- */

/* The first element equal to `item`; false: there is none. */
static bool find_equal(struct ctx *ctx, const struct entry *e, struct listpack_item item,
		       uint64_t *index)
{
	struct list_iter iter;

	list_read(&iter, e, 0, LIST_BACK);
	iter.shard = ctx->shard;
	return list_iter_find(&iter, item, index);
}

void cmd_linsert(struct ctx *ctx)
{
	struct slice text = ctx->argv[4];
	struct list_edit edit;
	struct entry *e;
	uint64_t index;
	bool after = slice_is(ctx->argv[2], "after");

	if (!after && !slice_is(ctx->argv[2], "before")) {
		reply_error(ctx->reply, error_syntax);
		return;
	}
	if (!ctx_peek_typed(ctx, 0, ENTRY_LIST, &e) || !ctx_long(ctx, e ? list_length(e) : 0))
		return;
	if (!e || !find_equal(ctx, e, listpack_item_of(ctx->argv[3]), &index)) {
		reply_int(ctx->reply, e ? -1 : 0);
		return;
	}
	list_edit_begin(&edit, ctx, 0, e);
	list_edit_expect(&edit, text.len, 1);
	list_edit_insert(&edit, index + after, list_element_of(text));
	reply_int(ctx->reply, (int64_t)list_edit_length(&edit));
	list_edit_end(&edit);
	ctx->dirty++;
}

void cmd_lset(struct ctx *ctx)
{
	struct slice text = ctx->argv[3];
	struct list_edit edit;
	struct entry *e;
	int64_t index;
	uint64_t at;

	if (!ctx_peek_typed(ctx, 0, ENTRY_LIST, &e))
		return;
	if (!e) {
		reply_error(ctx->reply, error_no_key);
		return;
	}
	if (!ctx_arg_int(ctx, 2, &index))
		return;
	if (!resolve_index(index, list_length(e), &at)) {
		reply_error(ctx->reply, error_range);
		return;
	}
	list_edit_begin(&edit, ctx, 0, e);
	list_edit_expect(&edit, text.len, 1);
	list_edit_replace(&edit, at, list_element_of(text));
	list_edit_end(&edit);
	ctx->dirty++;
	reply_ok(ctx->reply);
}

void cmd_lrem(struct ctx *ctx)
{
	struct list_edit edit;
	struct entry *e;
	int64_t count;

	if (!ctx_arg_int(ctx, 2, &count) || !ctx_peek_typed(ctx, 0, ENTRY_LIST, &e))
		return;
	if (!e) {
		reply_int(ctx->reply, 0);
		return;
	}
	if (!ctx_long(ctx, list_length(e)))
		return;
	enum list_side side = count < 0 ? LIST_BACK : LIST_FRONT;
	uint64_t max = count < 0 ? -(uint64_t)count : count ? (uint64_t)count : UINT64_MAX;
	list_edit_begin(&edit, ctx, 0, e);
	uint64_t removed = list_edit_remove_equal(&edit, side, listpack_item_of(ctx->argv[3]), max);
	list_edit_end(&edit);
	ctx->dirty += removed;
	reply_int(ctx->reply, (int64_t)removed);
}

void cmd_ltrim(struct ctx *ctx)
{
	struct list_edit edit;
	struct entry *e;
	int64_t start, end;

	if (!ctx_arg_int(ctx, 2, &start) || !ctx_arg_int(ctx, 3, &end) ||
	    !ctx_peek_typed(ctx, 0, ENTRY_LIST, &e))
		return;
	if (e) {
		uint64_t length = list_length(e);
		struct range keep = resolve_range(start, end, (int64_t)length);
		ctx_open(ctx, 0); /* a change for those who watch, even when nothing goes */
		list_edit_begin(&edit, ctx, 0, e);
		list_edit_cut(&edit, LIST_BACK, length - keep.first - keep.count);
		list_edit_cut(&edit, LIST_FRONT, keep.first);
		list_edit_end(&edit);
		ctx->dirty += length - keep.count;
	}
	reply_ok(ctx->reply);
}
