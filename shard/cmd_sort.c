/*
 * SORT and SORT_RO: the elements of a list, set or sorted set in another order.
 *
 * Elements are loaded into an array of borrowed texts; each gets a weight (itself, or what the BY
 * pattern leads to, as a number or, with ALPHA, as text); they are ranked by merging, cut by LIMIT,
 * and replied or stored as a list, each element as itself or as what the GET patterns lead to.
 *
 *	pattern           of the element 7 it names
 *	weight_*          the string at key weight_7
 *	object_*->field   a field of the hash at key object_7
 *	#                 (GET) 7 itself
 *	no asterisk       BY: don't sort at all; GET: nothing
 *
 * The keys that patterns name are known only here, so a request with patterns runs as the holder of
 * every slot (ROUTE_PATTERNS), one without as any other. Texts are compared byte by byte, whatever
 * the locale.
 *
 * Each phase takes turns (turn.h). What is borrowed stays where it is meanwhile: all that it stands
 * in is held.
 */
#include "proto/mem.h"
#include "shard/execute.h"
#include "shard/handlers.h"
#include "shard/hash_value.h"
#include "shard/list_value.h"
#include "shard/set.h"
#include "shard/string.h"
#include "shard/turn.h"
#include "shard/zset_value.h"

#include <ctype.h>

/* A weight that is text, with BY and ALPHA. */
struct weight {
	struct listpack_item text;
	char *scratch; /* that it stands in, or NULL */
	bool known;    /* there is such a text */
};

/* An element's place in the order. */
struct ranked {
	double number;  /* its weight, but for ALPHA */
	uint64_t index; /* among the elements */
};

struct sort {
	struct ctx *ctx;
	struct ctx other; /* for keys that patterns name */
	struct key key;
	/* the request */
	bool descending, alpha, store;
	bool as_it_is;         /* there is nothing to sort by */
	struct slice by;       /* ptr NULL: by the elements themselves */
	int64_t offset, limit; /* limit -1: none */
	struct slice *gets;
	uint32_t get_count;
	/* the value */
	const struct entry *e;        /* NULL: there is no such key */
	uint64_t first, count, room;  /* to be loaded; loaded; at most */
	struct listpack_item *items;  /* the elements */
	struct weight *weights;       /* theirs; NULL: not by text that BY leads to */
	struct ranked *order, *spare; /* NULL: as they were loaded */
	uint64_t from, to;            /* those that are wanted: below `to` */
};

/* --- arguments --- */

/* LIMIT's values at arguments i and i + 1. */
static bool arg_limit(struct sort *s, uint32_t i)
{
	return ctx_arg_int(s->ctx, i, &s->offset) && ctx_arg_int(s->ctx, i + 1, &s->limit);
}

static void take_by(struct sort *s, struct slice pattern)
{
	s->by = pattern;
	s->as_it_is |= !memchr(pattern.ptr, '*', pattern.len);
}

/* The option at argument i: how many arguments it takes, 0 after an error. */
static uint32_t take_option(struct sort *s, uint32_t i)
{
	const struct slice *argv = s->ctx->argv;
	uint32_t left = s->ctx->argc - i - 1;

	if (slice_is(argv[i], "asc") || slice_is(argv[i], "desc")) {
		s->descending = slice_is(argv[i], "desc");
		return 1;
	}
	if (slice_is(argv[i], "alpha")) {
		s->alpha = true;
		return 1;
	}
	if (slice_is(argv[i], "limit") && left >= 2)
		return arg_limit(s, i + 1) ? 3 : 0;
	if (slice_is(argv[i], "store") && left >= 1 && (s->ctx->cmd->flags & CMD_WRITE))
		s->store = true; /* the last key */
	else if (slice_is(argv[i], "by") && left >= 1)
		take_by(s, argv[i + 1]);
	else if (slice_is(argv[i], "get") && left >= 1)
		s->gets[s->get_count++] = argv[i + 1];
	else {
		reply_error(s->ctx->reply, error_syntax);
		return 0;
	}
	return 2;
}

static bool parse(struct sort *s)
{
	uint32_t taken;

	for (uint32_t i = 2; i < s->ctx->argc; i += taken) {
		taken = take_option(s, i);
		if (taken == 0)
			return false;
	}
	return true;
}

/* --- what a pattern leads to --- */

struct fetched {
	bool found;
	const struct entry *string; /* its value; NULL: */
	struct hash_field field;    /* ... this one's; name.ptr NULL: ... */
	struct listpack_item item;  /* ... the element itself */
};

/* A pattern's parts: key's name before and behind the asterisk; field.len 0: there is none. */
struct pattern {
	struct slice before, behind, field;
};

/* False when it has no asterisk. */
static bool pattern_split(struct slice text, struct pattern *p)
{
	const char *end = text.ptr + text.len;
	const char *star = memchr(text.ptr, '*', text.len);

	if (!star)
		return false;
	p->before = (struct slice){text.ptr, (size_t)(star - text.ptr)};
	p->behind = (struct slice){star + 1, (size_t)(end - star - 1)};
	p->field = (struct slice){end, 0};
	const char *arrow = memmem(p->behind.ptr, p->behind.len, "->", 2);
	if (arrow && arrow + 2 < end) {
		p->field = (struct slice){arrow + 2, (size_t)(end - arrow - 2)};
		p->behind.len = (size_t)(arrow - p->behind.ptr);
	}
	return true;
}

/* The value at the key that the pattern makes of the element; NULL when there is none. */
static struct entry *find_key(struct sort *s, const struct pattern *p, struct slice element)
{
	size_t len = p->before.len + element.len + p->behind.len;
	char inline_name[256];
	char *name = len <= sizeof(inline_name) ? inline_name : mem_alloc(len);

	memcpy(name, p->before.ptr, p->before.len);
	memcpy(name + p->before.len, element.ptr, element.len);
	memcpy(name + p->before.len + element.len, p->behind.ptr, p->behind.len);
	key_prepare(&s->key, s->ctx->ks, (struct slice){name, len});
	struct entry *e = ctx_find(&s->other, 0);
	if (name != inline_name)
		mem_free(name, len);
	return e;
}

static void fetch(struct sort *s, struct slice text, struct listpack_item item, struct fetched *f)
{
	struct pattern p;
	char room[NUMBER_TEXT_MAX];

	f->found = false;
	f->string = NULL;
	f->field.name.ptr = NULL;
	if (slice_equal(text, SLICE("#"))) {
		f->item = item;
		f->found = true;
		return;
	}
	if (!pattern_split(text, &p))
		return;
	struct entry *e = find_key(s, &p, listpack_item_text(item, room));
	if (e && p.field.len == 0 && entry_type(e) == ENTRY_STRING) {
		f->string = e;
		f->found = true;
	} else if (e && p.field.len > 0 && entry_type(e) == ENTRY_HASH) {
		f->found = hash_find(s->ctx->shard, e, p.field, s->ctx->now, &f->field);
		f->field.name = p.field;
	}
}

/* Its bytes, which may stand in *f; *scratch is to be freed with mem_free_unsized. */
static struct slice fetched_text(struct fetched *f, char room[NUMBER_TEXT_MAX], char **scratch)
{
	*scratch = NULL;
	if (!f->found)
		return SLICE("");
	if (f->string)
		return string_bytes(f->string, scratch);
	return f->field.name.ptr ? f->field.value : listpack_item_text(f->item, room);
}

/* --- loading --- */

/* A reader in a writer's way may find more than there were. */
static void add(struct sort *s, struct listpack_item item)
{
	if (s->count < s->room)
		s->items[s->count++] = item;
	turn_step(s->ctx->shard);
}

static void add_range_of_list(struct sort *s, uint64_t index, uint64_t count, bool reverse)
{
	struct list_iter iter;
	struct list_element element;

	list_read(&iter, s->e, index, reverse ? LIST_FRONT : LIST_BACK);
	for (; count > 0 && list_iter_next(&iter, &element); count--)
		add(s, element.item);
}

static bool add_member(void *arg, struct listpack_item member)
{
	add(arg, member);
	return true;
}

static void add_scored(void *arg, const struct zset_element *element)
{
	add(arg, listpack_item_of(element->member)); /* what isn't in the set is a number */
}

static uint64_t length(const struct entry *e)
{
	if (!e)
		return 0;
	if (entry_type(e) == ENTRY_LIST)
		return list_length(e);
	if (entry_type(e) == ENTRY_ZSET)
		return zset_value_count(e);
	struct set set = set_of(e);
	return set_count(&set);
}

/* Elements from `first` on, of a list or sorted set counted from the end that comes first. */
static void load(struct sort *s)
{
	bool reverse = s->as_it_is && s->descending;
	uint64_t index = reverse ? length(s->e) - 1 - s->first : s->first;

	if (s->room == 0)
		return;
	s->items = mem_alloc(s->room * sizeof(*s->items));
	if (entry_type(s->e) == ENTRY_LIST) {
		add_range_of_list(s, index, s->room, reverse);
	} else if (entry_type(s->e) == ENTRY_ZSET) {
		zset_value_walk(s->e, index, s->room, reverse, add_scored, s);
	} else {
		struct set set = set_of(s->e);
		set_walk(&set, add_member, s);
	}
}

static uint64_t clamp(int64_t n, uint64_t max)
{
	return n < 0 ? 0 : (uint64_t)n < max ? (uint64_t)n : max;
}

/*
 * What is wanted and loaded: all elements, or, where their order stays and is known, those within
 * the limit.
 */
static void plan(struct sort *s)
{
	uint64_t all = length(s->e);

	s->from = clamp(s->offset, all);
	s->to = s->limit < 0 ? all : s->from + clamp(s->limit, all - s->from);
	s->room = all;
	if (s->as_it_is && s->e && entry_type(s->e) != ENTRY_SET) {
		s->first = s->from;
		s->room = s->to - s->from;
		s->from = 0;
		s->to = s->room;
	}
}

/* --- weights --- */

/* As strtod reads it: up to a zero byte, space before it; nothing at all is 0. */
static bool weight_of(struct slice text, double *out)
{
	*out = 0;
	text.len = strnlen(text.ptr, text.len);
	if (text.len == 0)
		return true;
	while (text.len > 0 && isspace((unsigned char)text.ptr[0])) {
		text.ptr++;
		text.len--;
	}
	return number_parse_double(text, out);
}

static bool weigh_by_number(struct sort *s, uint64_t i)
{
	struct fetched f = {.found = true, .item = s->items[i]};
	char room[NUMBER_TEXT_MAX];
	char *scratch;

	if (s->by.ptr)
		fetch(s, s->by, s->items[i], &f);
	bool good = weight_of(fetched_text(&f, room, &scratch), &s->order[i].number);
	mem_free_unsized(scratch);
	return good;
}

static void weigh_by_text(struct sort *s, uint64_t i)
{
	struct weight *weight = &s->weights[i];
	struct fetched f;
	char room[NUMBER_TEXT_MAX];

	fetch(s, s->by, s->items[i], &f);
	weight->known = f.found;
	/* what stands here and not in a value is a number */
	weight->text = listpack_item_of(fetched_text(&f, room, &weight->scratch));
}

/* Makes the places, with weights. False when some weight is no number. */
static bool weigh(struct sort *s)
{
	bool good = true;

	s->order = mem_alloc(s->count * sizeof(*s->order));
	if (s->alpha && s->by.ptr)
		s->weights = mem_alloc(s->count * sizeof(*s->weights));
	for (uint64_t i = 0; i < s->count; i++) {
		s->order[i] = (struct ranked){.index = i};
		if (!s->alpha)
			good &= weigh_by_number(s, i);
		else if (s->by.ptr)
			weigh_by_text(s, i);
		turn_step(s->ctx->shard);
	}
	return good;
}

/* --- sorting --- */

static int compare_items(struct listpack_item a, struct listpack_item b)
{
	char room_a[NUMBER_TEXT_MAX], room_b[NUMBER_TEXT_MAX];

	return slice_compare(listpack_item_text(a, room_a), listpack_item_text(b, room_b));
}

static int compare_weights(const struct sort *s, const struct ranked *a, const struct ranked *b)
{
	if (!s->alpha && a->number != b->number)
		return a->number < b->number ? -1 : 1;
	if (!s->weights)
		return compare_items(s->items[a->index], s->items[b->index]);
	const struct weight *x = &s->weights[a->index], *y = &s->weights[b->index];
	if (!x->known || !y->known)
		return x->known - y->known;
	return compare_items(x->text, y->text);
}

/* Whether a, which came before b, stays before it. */
static bool stays_before(const struct sort *s, const struct ranked *a, const struct ranked *b)
{
	int order = compare_weights(s, a, b);

	return s->descending ? order >= 0 : order <= 0;
}

/* Merges two sorted runs, one behind the other, into one. */
static void merge(const struct sort *s, const struct ranked *a, uint64_t a_count, uint64_t b_count,
		  struct ranked *to)
{
	const struct ranked *b = a + a_count, *a_end = b, *b_end = b + b_count;

	while (a < a_end || b < b_end) {
		bool take_a = b == b_end || (a < a_end && stays_before(s, a, b));
		*to++ = take_a ? *a++ : *b++;
		turn_step(s->ctx->shard);
	}
}

/* Runs of twice the length each time, to and fro between the two arrays. */
static void rank(struct sort *s)
{
	s->spare = mem_alloc(s->count * sizeof(*s->spare));
	for (uint64_t run = 1; run < s->count; run *= 2) {
		for (uint64_t at = 0; at < s->count; at += 2 * run) {
			uint64_t left = s->count - at;
			uint64_t a = run < left ? run : left;
			uint64_t b = run < left - a ? run : left - a;
			merge(s, s->order + at, a, b, s->spare + at);
		}
		struct ranked *sorted = s->spare;
		s->spare = s->order;
		s->order = sorted;
	}
}

/* --- what becomes of it --- */

static void reply_item(struct reply *r, struct listpack_item item)
{
	char room[NUMBER_TEXT_MAX];

	reply_bulk_slice(r, listpack_item_text(item, room));
}

static void reply_fetched(struct ctx *ctx, const struct fetched *f)
{
	if (!f->found)
		reply_null(ctx->reply);
	else if (f->string)
		string_reply(ctx, f->string, 0, string_length(f->string));
	else if (f->field.name.ptr)
		hash_reply_value(ctx->reply, &f->field);
	else
		reply_item(ctx->reply, f->item);
}

static uint64_t output_count(const struct sort *s)
{
	return (s->to - s->from) * (s->get_count ? s->get_count : 1);
}

static struct listpack_item item_at(const struct sort *s, uint64_t i)
{
	return s->items[s->order ? s->order[i].index : i];
}

static void reply_sorted(struct sort *s)
{
	struct fetched f;

	reply_array(s->ctx->reply, output_count(s));
	for (uint64_t i = s->from; i < s->to; i++) {
		struct listpack_item item = item_at(s, i);
		if (s->get_count == 0)
			reply_item(s->ctx->reply, item);
		turn_steps(s->ctx->shard, 1 + s->get_count);
		for (uint32_t g = 0; g < s->get_count; g++) {
			fetch(s, s->gets[g], item, &f);
			reply_fetched(s->ctx, &f);
		}
	}
}

static void push_fetched(struct sort *s, struct list_edit *edit, struct slice pattern,
			 struct listpack_item item)
{
	struct fetched f;
	char room[NUMBER_TEXT_MAX];
	char *scratch;

	fetch(s, pattern, item, &f);
	list_edit_push(edit, LIST_BACK, list_element_of(fetched_text(&f, room, &scratch)));
	mem_free_unsized(scratch);
}

static void push_sorted(struct sort *s, struct list_edit *edit)
{
	char room[NUMBER_TEXT_MAX];

	for (uint64_t i = s->from; i < s->to; i++) {
		struct listpack_item item = item_at(s, i);
		turn_steps(s->ctx->shard, 1 + s->get_count);
		if (s->get_count == 0) /* sets may have numbers as text, lists never */
			list_edit_push(edit, LIST_BACK,
				       list_element_of(listpack_item_text(item, room)));
		for (uint32_t g = 0; g < s->get_count; g++)
			push_fetched(s, edit, s->gets[g], item);
	}
	list_edit_expect(edit, 0, 0); /* the encoding of what has come */
}

static void store_sorted(struct sort *s)
{
	struct ctx *ctx = s->ctx;
	uint64_t count = output_count(s);
	uint32_t k = ctx->key_count - 1;
	struct list_edit edit;

	ctx_by_state(ctx);
	if (count > 0) {
		list_edit_begin(&edit, ctx, k, NULL);
		push_sorted(s, &edit);
		list_edit_end(&edit);
		ctx->dirty += count;
	} else if (ctx_remove(ctx, k)) {
		ctx->dirty++;
	}
	reply_int(ctx->reply, (int64_t)count);
}

/* --- the whole --- */

/* Finds the value; false after an error. */
static bool find(struct sort *s)
{
	s->e = ctx_find(s->ctx, 0);
	if (!s->e || entry_type(s->e) == ENTRY_LIST || entry_type(s->e) == ENTRY_SET ||
	    entry_type(s->e) == ENTRY_ZSET)
		return true;
	reply_error(s->ctx->reply, error_wrong_type);
	return false;
}

/* False when it takes turns, and not yet does. */
static bool may_run(struct sort *s)
{
	uint64_t output = output_count(s);

	s->ctx->only_reads = !s->store;
	return ctx_long(s->ctx, output > s->room ? output : s->room);
}

/* Loads and ranks the elements; false after an error. */
static bool prepare(struct sort *s)
{
	load(s);
	/* a reader in a writer's way may have found fewer */
	s->from = s->from < s->count ? s->from : s->count;
	s->to = s->to < s->count ? s->to : s->count;
	if (s->as_it_is || s->count == 0)
		return true;
	if (!weigh(s)) {
		reply_error(s->ctx->reply, "ERR One or more scores can't be converted into double");
		return false;
	}
	rank(s);
	return true;
}

static void free_all(struct sort *s)
{
	for (uint64_t i = 0; s->weights && i < s->count; i++) {
		mem_free_unsized(s->weights[i].scratch);
		turn_step(s->ctx->shard);
	}
	mem_free_unsized(s->weights);
	mem_free_unsized(s->spare);
	mem_free_unsized(s->order);
	mem_free_unsized(s->items);
}

static void run(struct sort *s)
{
	/* What is stored shall not depend on how sets are kept. */
	if (s->as_it_is && s->store && s->e && entry_type(s->e) == ENTRY_SET) {
		s->as_it_is = false;
		s->alpha = true;
		s->by.ptr = NULL;
	}
	plan(s);
	if (!may_run(s))
		return;
	if (prepare(s)) {
		if (s->store)
			store_sorted(s);
		else
			reply_sorted(s);
	}
	free_all(s);
}

static void sort(struct ctx *ctx)
{
	size_t bytes = ctx->argc * sizeof(struct slice);
	struct sort s = {.ctx = ctx, .other = *ctx, .limit = -1, .gets = mem_alloc(bytes)};

	s.other.keys = &s.key;
	s.other.key_count = 1;
	if (parse(&s) && find(&s))
		run(&s);
	ctx->stored |= s.other.stored;
	ctx->need_holder |= s.other.need_holder;
	mem_free(s.gets, bytes);
}

void cmd_sort(struct ctx *ctx)
{
	sort(ctx);
}

void cmd_sort_ro(struct ctx *ctx)
{
	sort(ctx);
}
