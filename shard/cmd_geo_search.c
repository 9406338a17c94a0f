/*
 * Searches for places: GEOSEARCH, GEOSEARCHSTORE, and GEORADIUS with its variants.
 *
 * They are all one: options are read into a struct search, the set's elements in the ranges of
 * scores that cover the area are looked at one by one, and what lies inside is sorted, then replied
 * or stored. The GEORADIUS commands, which are older, say where and how far in fixed arguments
 * instead of options.
 */
#include "proto/mem.h"
#include "shard/geo_arg.h"
#include "shard/handlers.h"

#include <stdlib.h>

/* --- a search --- */

/* Which commands have an option. */
enum search_kind {
	SEARCH = 1 << 0,       /* GEOSEARCH */
	SEARCH_STORE = 1 << 1, /* GEOSEARCHSTORE */
	RADIUS = 1 << 2,       /* GEORADIUS_RO, GEORADIUSBYMEMBER_RO */
	RADIUS_STORE = 1 << 3, /* GEORADIUS, GEORADIUSBYMEMBER */
};
#define ANY_SEARCH (SEARCH | SEARCH_STORE)
#define ANY_KIND   (ANY_SEARCH | RADIUS | RADIUS_STORE)

enum search_order {
	ORDER_NONE,
	ORDER_NEAREST,
	ORDER_FARTHEST,
};

/* An element that was found. */
struct found {
	struct slice member; /* ptr NULL: in `room` */
	char room[NUMBER_TEXT_MAX];
	double score;
	double distance; /* metres */
};

struct search {
	struct ctx *ctx;
	enum search_kind kind;
	const struct entry *e; /* NULL: no such key */
	/* where */
	struct geo_area area;
	double unit; /* of distances, in metres */
	bool from_member, from_place, by_radius, by_box;
	/* what of it */
	bool with_distance, with_score, with_place;
	enum search_order order;
	int64_t count; /* 0: all */
	bool any;      /* so many will do, whichever */
	/* where to: the last key, when it is stored */
	bool store, store_distance;
	/* what was found */
	struct found *found;
	uint64_t found_count, found_room, found_max;
};

/* Options: `i` is the argument behind the word. On failure they reply. */

static bool take_distance(struct search *s, uint32_t i)
{
	s->with_distance = true;
	return true;
}

static bool take_hash(struct search *s, uint32_t i)
{
	s->with_score = true;
	return true;
}

static bool take_coord(struct search *s, uint32_t i)
{
	s->with_place = true;
	return true;
}

static bool take_any(struct search *s, uint32_t i)
{
	s->any = true;
	return true;
}

static bool take_asc(struct search *s, uint32_t i)
{
	s->order = ORDER_NEAREST;
	return true;
}

static bool take_desc(struct search *s, uint32_t i)
{
	s->order = ORDER_FARTHEST;
	return true;
}

static bool take_count(struct search *s, uint32_t i)
{
	if (!ctx_arg_int(s->ctx, i, &s->count))
		return false;
	if (s->count > 0)
		return true;
	reply_error(s->ctx->reply, "ERR COUNT must be > 0");
	return false;
}

static bool take_store(struct search *s, uint32_t i)
{
	s->store = true;
	s->store_distance = false;
	return true;
}

static bool take_store_distance(struct search *s, uint32_t i)
{
	s->store = true;
	s->store_distance = true;
	return true;
}

static bool syntax_error(struct search *s)
{
	reply_error(s->ctx->reply, error_syntax);
	return false;
}

static bool take_member(struct search *s, uint32_t i)
{
	double score;

	if (s->from_place)
		return syntax_error(s);
	s->from_member = true;
	if (!s->e)
		return true;
	if (!geo_member_score(s->ctx, s->e, i, &score)) {
		reply_error(s->ctx->reply, "ERR could not decode requested zset member");
		return false;
	}
	s->area.centre = geo_place_of(score);
	return true;
}

static bool take_place(struct search *s, uint32_t i)
{
	if (s->from_member)
		return syntax_error(s);
	s->from_place = true;
	return geo_arg_place(s->ctx, i, &s->area.centre);
}

static bool take_radius(struct search *s, uint32_t i)
{
	struct geo_area *area = &s->area;

	if (s->by_box)
		return syntax_error(s);
	s->by_radius = true;
	if (!ctx_arg_double(s->ctx, i, &area->radius, "ERR need numeric radius"))
		return false;
	if (area->radius < 0) {
		reply_error(s->ctx->reply, "ERR radius cannot be negative");
		return false;
	}
	if (!geo_arg_unit(s->ctx, i + 1, &s->unit))
		return false;
	area->radius *= s->unit;
	return true;
}

static bool take_box(struct search *s, uint32_t i)
{
	struct geo_area *area = &s->area;

	if (s->by_radius)
		return syntax_error(s);
	s->by_box = area->box = true;
	if (!ctx_arg_double(s->ctx, i, &area->width, "ERR need numeric width") ||
	    !ctx_arg_double(s->ctx, i + 1, &area->height, "ERR need numeric height"))
		return false;
	if (area->width < 0 || area->height < 0) {
		reply_error(s->ctx->reply, "ERR height or width cannot be negative");
		return false;
	}
	if (!geo_arg_unit(s->ctx, i + 2, &s->unit))
		return false;
	area->width *= s->unit;
	area->height *= s->unit;
	return true;
}

static const struct search_option {
	const char *word;
	uint8_t values; /* arguments behind it */
	uint8_t kinds;  /* enum search_kind */
	bool (*take)(struct search *s, uint32_t i);
} search_options[] = {
	{"withdist", 0, ANY_KIND, take_distance},
	{"withhash", 0, ANY_KIND, take_hash},
	{"withcoord", 0, ANY_KIND, take_coord},
	{"any", 0, ANY_KIND, take_any},
	{"asc", 0, ANY_KIND, take_asc},
	{"desc", 0, ANY_KIND, take_desc},
	{"count", 1, ANY_KIND, take_count},
	{"store", 1, RADIUS_STORE, take_store},
	{"storedist", 1, RADIUS_STORE, take_store_distance},
	{"storedist", 0, SEARCH_STORE, take_store_distance},
	{"frommember", 1, ANY_SEARCH, take_member},
	{"fromlonlat", 2, ANY_SEARCH, take_place},
	{"byradius", 2, ANY_SEARCH, take_radius},
	{"bybox", 3, ANY_SEARCH, take_box},
};

/* The option at argument i that this command has, with all its values; NULL: none. */
static const struct search_option *option_at(const struct search *s, uint32_t i)
{
	for (size_t row = 0; row < sizeof(search_options) / sizeof(*search_options); row++) {
		const struct search_option *option = &search_options[row];
		if ((option->kinds & s->kind) && option->values < s->ctx->argc - i &&
		    slice_is(s->ctx->argv[i], option->word))
			return option;
	}
	return NULL;
}

/* What is wrong with the options together. On failure replies. */
static bool options_agree(const struct search *s)
{
	struct reply *r = s->ctx->reply;
	struct slice name = s->ctx->argv[0];

	if (s->store && (s->with_distance || s->with_score || s->with_place))
		reply_errorf(r,
			     "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD "
			     "options",
			     s->kind == SEARCH_STORE ? "GEOSEARCHSTORE"
						     : "STORE option in GEORADIUS");
	else if ((s->kind & ANY_SEARCH) && !s->from_member && !s->from_place)
		reply_errorf(r,
			     "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for "
			     "%.*s",
			     (int)name.len, name.ptr);
	else if ((s->kind & ANY_SEARCH) && !s->by_radius && !s->by_box)
		reply_errorf(r, "ERR exactly one of BYRADIUS and BYBOX can be specified for %.*s",
			     (int)name.len, name.ptr);
	else if (s->any && s->count == 0)
		reply_error(r, "ERR the ANY argument requires COUNT argument");
	else
		return true;
	return false;
}

/* The options from argument i on. On failure replies. */
static bool parse_options(struct search *s, uint32_t i)
{
	while (i < s->ctx->argc) {
		const struct search_option *option = option_at(s, i);
		if (!option)
			return syntax_error(s);
		if (!option->take(s, i + 1))
			return false;
		i += 1 + option->values;
	}
	return options_agree(s);
}

/* --- looking --- */

/* A zset_visit: keeps what is in the area, up to found_max. */
static void visit(void *arg, const struct zset_element *element)
{
	struct search *s = arg;
	double distance;

	if (s->found_count == s->found_max ||
	    !geo_area_holds(&s->area, geo_place_of(element->score), &distance))
		return;
	if (s->found_count == s->found_room) {
		s->found_room = s->found_room ? 2 * s->found_room : 16;
		s->found = mem_realloc(s->found, s->found_room * sizeof(*s->found));
	}
	struct found *found = &s->found[s->found_count++];
	found->member = element->member;
	if (element->member.ptr == element->room) {
		memcpy(found->room, element->room, element->member.len);
		found->member.ptr = NULL;
	}
	found->score = element->score;
	found->distance = distance;
}

/* Elements looked at before it is seen whether there are enough. */
#define LOOK_BATCH 64

static void look_in(struct search *s, const struct geo_range *range)
{
	struct zset_cut low = {.kind = CUT_SCORE, .score = range->low};
	struct zset_cut high = {.kind = CUT_SCORE, .score = range->high};
	uint64_t rank = zset_value_rank(s->e, &low);
	uint64_t end = zset_value_rank(s->e, &high);
	uint64_t batch = s->any ? LOOK_BATCH : UINT64_MAX;

	while (rank < end && s->found_count < s->found_max) {
		uint64_t count = end - rank < batch ? end - rank : batch;
		zset_value_walk(s->e, rank, count, false, visit, s);
		rank += count;
	}
}

static void look(struct search *s)
{
	struct geo_range ranges[GEO_RANGES_MAX];
	uint32_t count = geo_area_ranges(&s->area, ranges);

	s->found_max = s->any ? (uint64_t)s->count : UINT64_MAX;
	for (uint32_t i = 0; i < count; i++)
		look_in(s, &ranges[i]);
}

static int compare_nearest(const void *one, const void *other)
{
	double a = ((const struct found *)one)->distance;
	double b = ((const struct found *)other)->distance;

	return a < b ? -1 : a > b;
}

static int compare_farthest(const void *one, const void *other)
{
	return compare_nearest(other, one);
}

/* How many of those found are wanted: the first ones, after sorting. */
static uint64_t choose(struct search *s)
{
	enum search_order order = s->order;

	if (order == ORDER_NONE && s->count > 0 && !s->any)
		order = ORDER_NEAREST;
	if (order != ORDER_NONE && s->found_count > 1)
		qsort(s->found, s->found_count, sizeof(*s->found),
		      order == ORDER_NEAREST ? compare_nearest : compare_farthest);
	return s->count > 0 && (uint64_t)s->count < s->found_count ? (uint64_t)s->count
								   : s->found_count;
}

/* --- what becomes of it --- */

static struct slice found_member(const struct found *found)
{
	return (struct slice){found->member.ptr ? found->member.ptr : found->room,
			      found->member.len};
}

static void reply_found(const struct search *s, uint64_t count)
{
	struct reply *r = s->ctx->reply;
	unsigned with = s->with_distance + s->with_score + s->with_place;

	reply_array(r, count);
	for (uint64_t i = 0; i < count; i++) {
		const struct found *found = &s->found[i];
		if (with > 0)
			reply_array(r, 1 + with);
		reply_bulk_slice(r, found_member(found));
		if (s->with_distance)
			geo_reply_distance(r, found->distance / s->unit);
		if (s->with_score)
			reply_int(r, (int64_t)found->score);
		if (s->with_place)
			geo_reply_place(r, geo_place_of(found->score));
	}
}

/* Key k becomes a sorted set of those found, or nothing. */
static void store_found(const struct search *s, uint32_t k, uint64_t count)
{
	struct ctx *ctx = s->ctx;
	struct zset_edit edit;
	size_t longest = 0;

	for (uint64_t i = 0; i < count; i++)
		longest = s->found[i].member.len > longest ? s->found[i].member.len : longest;
	ctx_by_state(ctx);
	zset_edit_begin_new(&edit, ctx, k);
	zset_edit_expect(&edit, count, longest);
	for (uint64_t i = 0; i < count; i++) {
		const struct found *found = &s->found[i];
		zset_edit_put(&edit, found_member(found),
			      s->store_distance ? found->distance / s->unit : found->score);
	}
	if (count > 0 || ctx_peek(ctx, k, false))
		ctx->dirty += count > 0 ? count : 1;
	zset_edit_end(&edit);
	reply_int(ctx->reply, (int64_t)count);
}

/* Everything after the options are read. */
static void search_run(struct search *s)
{
	uint64_t count = 0;

	if (s->e) {
		look(s);
		count = choose(s);
	}
	if (s->store)
		store_found(s, s->kind == SEARCH_STORE ? 0 : s->ctx->key_count - 1, count);
	else
		reply_found(s, count);
	mem_free_unsized(s->found);
}

/* --- the commands --- */

/* Finds key k, and reads options from argument i on. */
static void search(struct ctx *ctx, enum search_kind kind, uint32_t k, uint32_t i)
{
	struct search s = {.ctx = ctx, .kind = kind, .store = kind == SEARCH_STORE};
	struct entry *e;

	if (!ctx_find_typed(ctx, k, ENTRY_ZSET, &e))
		return;
	s.e = e;
	if (parse_options(&s, i))
		search_run(&s);
}

void cmd_geosearch(struct ctx *ctx)
{
	search(ctx, SEARCH, 0, 2);
}

void cmd_geosearchstore(struct ctx *ctx)
{
	search(ctx, SEARCH_STORE, 1, 3);
}

/*
 * key longitude latitude radius unit, or key member radius unit; where there is no key the latter
 * are not read.
 */
static void search_radius(struct ctx *ctx, enum search_kind kind, bool member)
{
	struct search s = {.ctx = ctx, .kind = kind};
	struct entry *e;

	if (!ctx_find_typed(ctx, 0, ENTRY_ZSET, &e))
		return;
	s.e = e;
	if (member ? !e || (take_member(&s, 2) && take_radius(&s, 3))
		   : take_place(&s, 2) && take_radius(&s, 4))
		if (parse_options(&s, member ? 5 : 6))
			search_run(&s);
}

void cmd_georadius(struct ctx *ctx)
{
	search_radius(ctx, RADIUS_STORE, false);
}

void cmd_georadius_ro(struct ctx *ctx)
{
	search_radius(ctx, RADIUS, false);
}

void cmd_georadiusbymember(struct ctx *ctx)
{
	search_radius(ctx, RADIUS_STORE, true);
}

void cmd_georadiusbymember_ro(struct ctx *ctx)
{
	search_radius(ctx, RADIUS, true);
}
