/*
 * Places in sorted sets: GEOADD, GEOPOS, GEODIST, GEOHASH. Searches: cmd_geo_search.c.
 *
 * A place is a score (geo.h), so this is arithmetic on top of sorted sets.
 */
#include "shard/geo_arg.h"
#include "shard/handlers.h"

/* --- arguments --- */

bool geo_arg_place(struct ctx *ctx, uint32_t i, struct geo_place *place)
{
	if (!ctx_arg_double(ctx, i, &place->longitude, NULL) ||
	    !ctx_arg_double(ctx, i + 1, &place->latitude, NULL))
		return false;
	if (geo_place_valid(*place))
		return true;
	reply_errorf(ctx->reply, "ERR invalid longitude,latitude pair %f,%f", place->longitude,
		     place->latitude);
	return false;
}

static const struct {
	const char *word;
	double metres;
} units[] = {{"m", 1}, {"km", 1000}, {"ft", 0.3048}, {"mi", 1609.34}};

bool geo_arg_unit(struct ctx *ctx, uint32_t i, double *metres)
{
	for (size_t row = 0; row < sizeof(units) / sizeof(*units); row++)
		if (slice_is(ctx->argv[i], units[row].word)) {
			*metres = units[row].metres;
			return true;
		}
	reply_error(ctx->reply, "ERR unsupported unit provided. please use M, KM, FT, MI");
	return false;
}

/* --- replies --- */

void geo_reply_place(struct reply *r, struct geo_place place)
{
	reply_array(r, 2);
	reply_long_double(r, place.longitude);
	reply_long_double(r, place.latitude);
}

void geo_reply_distance(struct reply *r, double distance)
{
	reply_bulkf(r, "%.4f", distance);
}

/* --- GEOADD --- */

struct geoadd {
	struct ctx *ctx;
	bool nx, xx, ch;
	uint32_t first; /* argument: longitude, latitude, member, and so on */
	uint32_t count;
};

/* Notes an option; false when it is none. */
static bool geoadd_option(struct geoadd *add, struct slice word)
{
	if (slice_is(word, "nx"))
		add->nx = true;
	else if (slice_is(word, "xx"))
		add->xx = true;
	else if (slice_is(word, "ch"))
		add->ch = true;
	else
		return false;
	return true;
}

/* The options, and that all places are good. On failure replies. */
static bool geoadd_parse(struct geoadd *add)
{
	struct ctx *ctx = add->ctx;
	struct geo_place place;

	add->first = 2;
	while (add->first < ctx->argc && geoadd_option(add, ctx->argv[add->first]))
		add->first++;
	uint32_t left = ctx->argc - add->first;
	if (left == 0 || left % 3 || (add->nx && add->xx)) {
		reply_error(ctx->reply, error_syntax);
		return false;
	}
	add->count = left / 3;
	for (uint32_t i = 0; i < add->count; i++)
		if (!geo_arg_place(ctx, add->first + 3 * i, &place))
			return false;
	return true;
}

/* The score of the element at argument i, whose place is good. */
static double geoadd_score(const struct ctx *ctx, uint32_t i)
{
	struct geo_place place;

	number_parse_double(ctx->argv[i], &place.longitude);
	number_parse_double(ctx->argv[i + 1], &place.latitude);
	return geo_score(place);
}

/* Adds or moves the element at argument i; counts. */
static void geoadd_element(const struct geoadd *add, struct zset_edit *edit, uint32_t i,
			   uint64_t *added, uint64_t *changed)
{
	struct slice member = add->ctx->argv[i + 2];
	double score = geoadd_score(add->ctx, i), old;
	bool there = zset_edit_find(edit, member, &old);

	if ((there ? add->nx : add->xx) || (there && old == score))
		return;
	*added += !there;
	*changed += there;
	zset_edit_put(edit, member, score);
}

static size_t geoadd_longest(const struct geoadd *add)
{
	size_t longest = 0;

	for (uint32_t i = 0; i < add->count; i++) {
		size_t len = add->ctx->argv[add->first + 3 * i + 2].len;
		longest = len > longest ? len : longest;
	}
	return longest;
}

void cmd_geoadd(struct ctx *ctx)
{
	struct geoadd add = {.ctx = ctx};
	struct zset_edit edit;
	struct entry *e;
	uint64_t added = 0, changed = 0;

	if (!geoadd_parse(&add) || !ctx_peek_typed(ctx, 0, ENTRY_ZSET, &e))
		return;
	zset_edit_begin(&edit, ctx, 0, e);
	zset_edit_expect(&edit, add.count, e ? 0 : geoadd_longest(&add));
	for (uint32_t i = 0; i < add.count; i++)
		geoadd_element(&add, &edit, add.first + 3 * i, &added, &changed);
	zset_edit_end(&edit);
	ctx->dirty += added + changed;
	reply_int(ctx->reply, (int64_t)(added + (add.ch ? changed : 0)));
}

/* --- GEOPOS, GEOHASH, GEODIST --- */

bool geo_member_score(const struct ctx *ctx, const struct entry *e, uint32_t i, double *score)
{
	return e && zset_value_find(ctx->shard, e, ctx->argv[i], score, NULL);
}

void cmd_geopos(struct ctx *ctx)
{
	struct entry *e;
	double score;

	if (!ctx_find_typed(ctx, 0, ENTRY_ZSET, &e))
		return;
	reply_array(ctx->reply, ctx->argc - 2);
	for (uint32_t i = 2; i < ctx->argc; i++)
		if (geo_member_score(ctx, e, i, &score))
			geo_reply_place(ctx->reply, geo_place_of(score));
		else
			reply_null_array(ctx->reply);
}

void cmd_geohash(struct ctx *ctx)
{
	struct entry *e;
	double score;

	if (!ctx_find_typed(ctx, 0, ENTRY_ZSET, &e))
		return;
	reply_array(ctx->reply, ctx->argc - 2);
	for (uint32_t i = 2; i < ctx->argc; i++) {
		char text[GEO_TEXT_LENGTH];
		if (!geo_member_score(ctx, e, i, &score)) {
			reply_null(ctx->reply);
			continue;
		}
		geo_text(score, text);
		reply_bulk(ctx->reply, text, sizeof(text));
	}
}

void cmd_geodist(struct ctx *ctx)
{
	struct entry *e;
	double unit = 1, one, other;

	if (ctx->argc > 5) {
		reply_error(ctx->reply, error_syntax);
		return;
	}
	if ((ctx->argc == 5 && !geo_arg_unit(ctx, 4, &unit)) ||
	    !ctx_find_typed(ctx, 0, ENTRY_ZSET, &e))
		return;
	if (geo_member_score(ctx, e, 2, &one) && geo_member_score(ctx, e, 3, &other))
		geo_reply_distance(ctx->reply,
				   geo_distance(geo_place_of(one), geo_place_of(other)) / unit);
	else
		reply_null(ctx->reply);
}
