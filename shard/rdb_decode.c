/*
 * Building values from RDB's bytes (rdb_value.h).
 *
 * A collection comes as strings, or as one string that holds all its elements in a packed format.
 * Either is a `source` of texts, so that there is one function for each type of value, not for
 * each of RDB's.
 */
#include "proto/crc64.h"
#include "shard/hash_value.h"
#include "shard/list_value.h"
#include "shard/rdb_source.h"
#include "shard/set.h"
#include "shard/turn.h"
#include "shard/zset_value.h"

#include <assert.h>
#include <math.h>

/* Redis takes no later time for a field's. */
#define FIELD_EXPIRE_LAST ((1ull << 48) - 1)

const char rdb_error_empty[] = "a collection without elements";
const char rdb_error_unsupported[] = "values of this type are not supported";

static const char error_twice[] = "an element that is there already";

/* --- types --- */

/* How a hash's fields, a sorted set's members come with what else belongs to them. */
enum extra {
	EXTRA_NONE,
	EXTRA_TTL_THIRD,    /* the third of three elements: unix ms */
	EXTRA_TTL_BEHIND,   /* 64 bits behind the value: unix ms, -1 for none */
	EXTRA_TTL_ABSOLUTE, /* a length before the field: unix ms */
	EXTRA_TTL_RELATIVE, /* the same, one more than what lies between it and the earliest */
	EXTRA_SCORE_ELEMENT,
	EXTRA_SCORE_TEXT,
	EXTRA_SCORE_DOUBLE,
};

struct load {
	struct ctx *ctx;
	uint32_t k;
	int64_t expire;
	struct rdb_in *in;
	struct rdb_source source;
	enum extra extra;
	uint64_t earliest; /* EXTRA_TTL_RELATIVE */
};

static struct entry *load_string(struct load *l)
{
	struct rdb_string string = {0};
	struct entry *e = NULL;

	if (rdb_read_string(l->in, &string))
		e = entry_new_string(l->ctx->keys[l->k].name, string.text, l->expire,
				     ctx_access_new(l->ctx));
	rdb_string_deinit(&string);
	return e;
}

/* --- lists --- */

static void push(struct list_edit *edit, struct slice text)
{
	list_edit_expect(edit, text.len, 1);
	list_edit_push(edit, LIST_BACK, list_element_of(text));
}

static bool push_all(struct load *l, struct list_edit *edit)
{
	struct slice text;

	while (l->source.left > 0) {
		if (!rdb_source_text(&l->source, 0, &text))
			return false;
		push(edit, text);
		turn_step(l->ctx->shard);
	}
	return true;
}

static struct entry *finish_list(struct load *l, struct list_edit *edit, bool whole)
{
	if (whole && list_edit_length(edit) > 0)
		return list_edit_take(edit, l->expire);
	if (whole)
		rdb_fail(l->in, rdb_error_empty);
	list_edit_drop(edit);
	return NULL;
}

static struct entry *load_list(struct load *l)
{
	struct list_edit edit;

	list_edit_begin(&edit, l->ctx, l->k, NULL);
	return finish_list(l, &edit, rdb_source_begin(&l->source, 1) && push_all(l, &edit));
}

/* A node, which may be one element alone. */
static bool load_node(struct load *l, struct list_edit *edit)
{
	struct rdb_source *s = &l->source;
	uint64_t kind = RDB_NODE_LISTPACK;

	if (s->form == RDB_FORM_LISTPACK && !rdb_read_length(l->in, &kind))
		return false;
	if (kind != RDB_NODE_LISTPACK && kind != RDB_NODE_ELEMENT)
		return rdb_fail(l->in, "no such kind of a list's node");
	if (!rdb_read_string(l->in, &s->packed))
		return false;
	if (kind == RDB_NODE_LISTPACK)
		return rdb_source_unpack(s) && push_all(l, edit);
	push(edit, s->packed.text);
	return true;
}

static struct entry *load_quicklist(struct load *l)
{
	struct list_edit edit;
	uint64_t nodes;
	bool whole = rdb_read_length(l->in, &nodes);

	list_edit_begin(&edit, l->ctx, l->k, NULL);
	for (; whole && nodes > 0; nodes--)
		whole = load_node(l, &edit);
	return finish_list(l, &edit, whole);
}

/* --- sets --- */

static bool add_all(struct load *l, struct set_edit *edit)
{
	struct rdb_source *s = &l->source;
	struct slice text;

	for (bool first = true; s->left > 0; first = false) {
		uint64_t count = s->left;
		if (!rdb_source_text(s, 0, &text))
			return false;
		if (first)
			set_edit_expect(edit, text, count);
		if (!set_edit_add(edit, listpack_item_of(text)))
			return rdb_fail(l->in, error_twice);
		turn_step(l->ctx->shard);
	}
	return true;
}

static struct entry *load_set(struct load *l)
{
	struct set_edit edit;

	set_edit_begin(&edit, l->ctx, l->k, NULL);
	if (rdb_source_begin(&l->source, 1) && add_all(l, &edit))
		return set_edit_take(&edit, l->expire);
	set_edit_drop(&edit);
	return NULL;
}

/* --- hashes --- */

/* A time as it is written, 0: none. */
static bool field_expire(struct load *l, uint64_t at, int64_t *expire)
{
	if (at > FIELD_EXPIRE_LAST)
		return rdb_fail(l->in, "a field's time to live is out of range");
	*expire = at == 0 ? EXPIRE_NEVER : (int64_t)at;
	return true;
}

/* The time that stands before a field. */
static bool expire_before(struct load *l, int64_t *expire)
{
	uint64_t at;

	*expire = EXPIRE_NEVER;
	if (l->extra != EXTRA_TTL_ABSOLUTE && l->extra != EXTRA_TTL_RELATIVE)
		return true;
	if (!rdb_read_length(l->in, &at))
		return false;
	if (l->extra == EXTRA_TTL_RELATIVE && at != 0) {
		if (at > FIELD_EXPIRE_LAST || l->earliest > FIELD_EXPIRE_LAST)
			return field_expire(l, UINT64_MAX, expire);
		at += l->earliest - 1;
	}
	return field_expire(l, at, expire);
}

static bool expire_third(struct load *l, int64_t *expire)
{
	struct slice text;
	uint64_t at;

	if (l->extra != EXTRA_TTL_THIRD)
		return true;
	if (!rdb_source_text(&l->source, 2, &text))
		return false;
	if (!number_parse_unsigned(text, &at))
		return rdb_fail(l->in, rdb_error_packed);
	return field_expire(l, at, expire);
}

/* What is later than any field of Redis' can be is so late that it makes no difference. */
static bool expire_behind(struct load *l, int64_t *expire)
{
	uint64_t bits;

	if (l->extra != EXTRA_TTL_BEHIND)
		return true;
	if (!rdb_read_u64(l->in, &bits))
		return false;
	int64_t at = (int64_t)bits;
	if (at == -1)
		*expire = EXPIRE_NEVER;
	else
		*expire = at < 1                            ? 1
			  : at > (int64_t)FIELD_EXPIRE_LAST ? (int64_t)FIELD_EXPIRE_LAST
							    : at;
	return true;
}

static bool set_all(struct load *l, struct hash_edit *edit)
{
	struct rdb_source *s = &l->source;
	struct slice name, value;
	int64_t expire;

	while (s->left > 0) {
		if (!expire_before(l, &expire) || !rdb_source_text(s, 0, &name) ||
		    !rdb_source_text(s, 1, &value) || !expire_third(l, &expire) ||
		    !expire_behind(l, &expire))
			return false;
		if (!hash_edit_set(edit, name, value, expire))
			return rdb_fail(l->in, error_twice);
		turn_step(l->ctx->shard);
	}
	return true;
}

static struct entry *load_hash(struct load *l)
{
	struct hash_edit edit;
	unsigned parts = l->extra == EXTRA_TTL_THIRD ? 3 : 2;

	hash_edit_begin(&edit, l->ctx, l->k, NULL);
	if (rdb_source_begin(&l->source, parts) && set_all(l, &edit))
		return hash_edit_take(&edit, l->expire);
	hash_edit_drop(&edit);
	return NULL;
}

static struct entry *load_hash_earliest(struct load *l)
{
	return rdb_read_u64(l->in, &l->earliest) ? load_hash(l) : NULL;
}

/* --- sorted sets --- */

static bool read_score(struct load *l, double *score)
{
	struct slice text;

	switch (l->extra) {
	case EXTRA_SCORE_DOUBLE:
		return rdb_read_double(l->in, score);
	case EXTRA_SCORE_TEXT:
		return rdb_read_double_text(l->in, score);
	default:
		return rdb_source_text(&l->source, 1, &text) &&
		       (number_parse_double(text, score) || rdb_fail(l->in, rdb_error_packed));
	}
}

static bool put_all(struct load *l, struct zset_edit *edit)
{
	struct slice member;
	double score, other;

	while (l->source.left > 0) {
		if (!rdb_source_text(&l->source, 0, &member) || !read_score(l, &score))
			return false;
		if (isnan(score))
			return rdb_fail(l->in, "a score that is no number");
		if (zset_edit_find(edit, member, &other))
			return rdb_fail(l->in, error_twice);
		zset_edit_put(edit, member, score);
		turn_step(l->ctx->shard);
	}
	return true;
}

/* The longest member of those to come as strings; what is broken is for put_all() to find. */
static size_t longest_member(const struct load *l)
{
	struct rdb_in ahead = *l->in;
	struct rdb_string string = {0};
	size_t longest = 0;

	for (uint64_t left = l->source.left; left > 0; left--) {
		if (!rdb_read_string(&ahead, &string) ||
		    !rdb_skip(&ahead, l->extra == EXTRA_SCORE_TEXT ? "d" : "8"))
			break;
		if (string.text.len > longest)
			longest = string.text.len;
		turn_step(l->ctx->shard);
	}
	rdb_string_deinit(&string);
	return longest;
}

/*
 * Redis makes it of the large kind and turns it into a small one at the end, where it can: so -0,
 * which only the large one has, depends on the whole.
 */
static void expect_zset(struct load *l, struct zset_edit *edit, uint64_t count)
{
	zset_edit_expect(edit, count, 0);
	if (edit->encoding == ENCODING_LISTPACK && l->source.form == RDB_FORM_STRINGS)
		zset_edit_expect(edit, count, longest_member(l));
}

static struct entry *load_zset(struct load *l)
{
	struct zset_edit edit;
	unsigned parts = l->extra == EXTRA_SCORE_ELEMENT ? 2 : 1;
	bool whole = rdb_source_begin(&l->source, parts);

	zset_edit_begin(&edit, l->ctx, l->k, NULL);
	if (whole)
		expect_zset(l, &edit, l->source.left / parts);
	if (whole && put_all(l, &edit))
		return zset_edit_take(&edit, l->expire);
	zset_edit_drop(&edit);
	return NULL;
}

/* --- all types --- */

static const struct {
	struct entry *(*load)(struct load *l);
	enum rdb_form form;
	enum extra extra;
} types[RDB_TYPE_COUNT] = {
	[RDB_STRING] = {load_string, RDB_FORM_STRINGS, EXTRA_NONE},
	[RDB_LIST] = {load_list, RDB_FORM_STRINGS, EXTRA_NONE},
	[RDB_LIST_ZIPLIST] = {load_list, RDB_FORM_ZIPLIST, EXTRA_NONE},
	[RDB_LIST_QUICKLIST] = {load_quicklist, RDB_FORM_ZIPLIST, EXTRA_NONE},
	[RDB_LIST_QUICKLIST_2] = {load_quicklist, RDB_FORM_LISTPACK, EXTRA_NONE},
	[RDB_SET] = {load_set, RDB_FORM_STRINGS, EXTRA_NONE},
	[RDB_SET_INTSET] = {load_set, RDB_FORM_INTSET, EXTRA_NONE},
	[RDB_SET_LISTPACK] = {load_set, RDB_FORM_LISTPACK, EXTRA_NONE},
	[RDB_ZSET] = {load_zset, RDB_FORM_STRINGS, EXTRA_SCORE_TEXT},
	[RDB_ZSET_2] = {load_zset, RDB_FORM_STRINGS, EXTRA_SCORE_DOUBLE},
	[RDB_ZSET_ZIPLIST] = {load_zset, RDB_FORM_ZIPLIST, EXTRA_SCORE_ELEMENT},
	[RDB_ZSET_LISTPACK] = {load_zset, RDB_FORM_LISTPACK, EXTRA_SCORE_ELEMENT},
	[RDB_HASH] = {load_hash, RDB_FORM_STRINGS, EXTRA_NONE},
	[RDB_HASH_ZIPMAP] = {load_hash, RDB_FORM_ZIPMAP, EXTRA_NONE},
	[RDB_HASH_ZIPLIST] = {load_hash, RDB_FORM_ZIPLIST, EXTRA_NONE},
	[RDB_HASH_LISTPACK] = {load_hash, RDB_FORM_LISTPACK, EXTRA_NONE},
	[RDB_HASH_FIELDS_OLD] = {load_hash, RDB_FORM_STRINGS, EXTRA_TTL_ABSOLUTE},
	[RDB_HASH_LISTPACKEX_OLD] = {load_hash, RDB_FORM_LISTPACK, EXTRA_TTL_THIRD},
	[RDB_HASH_FIELDS] = {load_hash_earliest, RDB_FORM_STRINGS, EXTRA_TTL_RELATIVE},
	[RDB_HASH_LISTPACKEX] = {load_hash_earliest, RDB_FORM_LISTPACK, EXTRA_TTL_THIRD},
	[RDB_HASH_VALKEY] = {load_hash, RDB_FORM_STRINGS, EXTRA_TTL_BEHIND},
};

struct entry *rdb_decode(struct ctx *ctx, uint32_t k, uint8_t type, int64_t expire,
			 struct rdb_in *in)
{
	struct entry *e;

	if (type >= RDB_TYPE_COUNT || !types[type].load) {
		rdb_fail(in, rdb_error_unsupported);
		return NULL;
	}
	struct load l = {
		.ctx = ctx,
		.k = k,
		.expire = expire,
		.in = in,
		.source = {.in = in, .form = types[type].form},
		.extra = types[type].extra,
	};
	e = types[type].load(&l);
	rdb_source_deinit(&l.source);
	assert(!e == (in->error != NULL));
	return e;
}

/* --- payloads --- */

#define PAYLOAD_END 10 /* version and sum */

#define SUM_STEP_BYTES (64 * 1024)

static uint64_t sum_of(struct slice bytes, struct shard *shard)
{
	uint64_t sum = 0;

	while (bytes.len > 0) {
		size_t part = bytes.len < SUM_STEP_BYTES ? bytes.len : SUM_STEP_BYTES;
		sum = crc64(sum, bytes.ptr, part);
		bytes.ptr += part;
		bytes.len -= part;
		turn_steps(shard, TURN_STEPS);
	}
	return sum;
}

bool rdb_open_payload(struct slice payload, size_t string_max, struct shard *shard,
		      struct rdb_in *in, uint16_t *version)
{
	uint64_t sum;

	if (payload.len < PAYLOAD_END)
		return false;
	const char *end = payload.ptr + payload.len - PAYLOAD_END;
	memcpy(version, end, sizeof(*version));
	memcpy(&sum, end + sizeof(*version), sizeof(sum));
	if (!rdb_version_known(*version) ||
	    sum_of((struct slice){payload.ptr, payload.len - sizeof(sum)}, shard) != sum)
		return false;
	*in = rdb_in_of((struct slice){payload.ptr, payload.len - PAYLOAD_END}, string_max);
	return true;
}
