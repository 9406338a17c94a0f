/*
 * Changing sorted sets (zset_value.h).
 *
 * A packed set is copied to the edit, changed there by splices, and put as a new entry at the end.
 * Where it outgrows PACKED_BYTES_MAX on the way it becomes a struct zset, which is the edit's until
 * the end puts it. One that is large already is changed where it is.
 */
#include "proto/mem.h"
#include "shard/listpack.h"
#include "shard/turn.h"
#include "shard/zset_value.h"

#include <assert.h>
#include <math.h>

/* Redis takes scores up to this for integers, where they are. */
#define SCORE_WHOLE_MAX 0x1p62

/* --- begin --- */

void zset_edit_begin_new(struct zset_edit *edit, struct ctx *ctx, uint32_t k)
{
	edit->ctx = ctx;
	edit->k = k;
	edit->e = NULL;
	edit->zset = NULL;
	edit->encoding = ENCODING_LISTPACK;
	edit->changed = true;
	memcpy(edit->packed, LISTPACK_EMPTY, LISTPACK_BYTES_MIN);
}

void zset_edit_begin(struct zset_edit *edit, struct ctx *ctx, uint32_t k, const struct entry *e)
{
	zset_edit_begin_new(edit, ctx, k);
	edit->changed = false;
	if (!e)
		return;
	edit->e = e;
	edit->encoding = entry_encoding(e);
	edit->zset = entry_zset(e);
	if (!edit->zset) {
		struct slice bytes = entry_value(e);
		assert(bytes.len <= sizeof(edit->packed));
		memcpy(edit->packed, bytes.ptr, bytes.len);
	}
}

static const struct encoding_limits *limits_of(const struct zset_edit *edit)
{
	return &edit->ctx->ks->limits;
}

static bool too_many(const struct zset_edit *edit, uint64_t count)
{
	return count > (uint64_t)limit_load(&limits_of(edit)->zset_listpack_entries);
}

static bool too_long(const struct zset_edit *edit, size_t length)
{
	return length > (uint64_t)limit_load(&limits_of(edit)->zset_listpack_value);
}

void zset_edit_expect(struct zset_edit *edit, uint64_t count, size_t longest)
{
	if (too_many(edit, count) || too_long(edit, longest))
		edit->encoding = ENCODING_SKIPLIST;
}

/* Whether the struct zset is the one at the key, for readers to see. */
static bool edit_in_place(const struct zset_edit *edit)
{
	return edit->zset && edit->e && entry_zset(edit->e) == edit->zset;
}

/* Before each change. */
static void edit_change(struct zset_edit *edit)
{
	edit->changed = true;
	if (edit_in_place(edit))
		ctx_open(edit->ctx, edit->k);
}

bool zset_edit_find(const struct zset_edit *edit, struct slice member, double *score)
{
	if (edit->zset) {
		const struct entry *e = zset_find(edit->zset, &edit->ctx->ks->seed, member);
		if (e)
			*score = zset_entry_score(e);
		return e;
	}
	size_t at = zset_packed_find(edit->packed, member);
	struct zset_element element;
	if (!at)
		return false;
	zset_packed_read(edit->packed, at, &element);
	*score = element.score;
	return true;
}

uint64_t zset_edit_count(const struct zset_edit *edit)
{
	return edit->zset ? zset_count(edit->zset) : listpack_count(edit->packed) / 2;
}

void zset_edit_walk(const struct zset_edit *edit, zset_visit *visit, void *arg)
{
	if (edit->zset)
		zset_ordered_walk(edit->zset, 0, UINT64_MAX, false, visit, arg);
	else
		zset_packed_walk(edit->packed, 0, UINT64_MAX, false, visit, arg);
}

/* --- changes --- */

static void zset_put_element(struct zset_edit *edit, struct slice member, double score)
{
	struct ctx *ctx = edit->ctx;

	zset_put(edit->zset, &ctx->ks->seed, member, score, &ctx->shard->retire);
}

static void make_large(struct zset_edit *edit)
{
	const char *lp = edit->packed;
	struct zset_element element;

	edit->zset = zset_new();
	for (size_t at = listpack_first(lp), end = listpack_end(lp); at < end;) {
		at = zset_packed_read(lp, at, &element);
		zset_put_element(edit, element.member, element.score);
	}
}

struct listpack_item zset_score_item(double score, char room[NUMBER_DOUBLE_TEXT_MAX])
{
	if (fabs(score) <= SCORE_WHOLE_MAX && score == trunc(score) &&
	    !(score == 0 && signbit(score)))
		return listpack_item_number((int64_t)score);
	return listpack_item_of((struct slice){room, number_format_double(room, score)});
}

static void packed_remove(struct zset_edit *edit, size_t at)
{
	size_t to = listpack_next(edit->packed, listpack_next(edit->packed, at));

	listpack_splice(edit->packed, edit->packed, at, to, NULL, 0);
}

/* False where there is no room. */
static bool packed_insert(struct zset_edit *edit, struct slice member, double score)
{
	char room[NUMBER_DOUBLE_TEXT_MAX];
	struct zset_cut cut = {.kind = CUT_ELEMENT, .score = score, .member = member};
	struct listpack_item items[2] = {listpack_item_of(member), zset_score_item(score, room)};
	size_t bytes = listpack_bytes(edit->packed) + listpack_item_bytes(items[0]) +
		       listpack_item_bytes(items[1]);

	if (bytes > sizeof(edit->packed))
		return false;
	size_t at = zset_packed_seek(edit->packed, &cut);
	listpack_splice(edit->packed, edit->packed, at, at, items, 2);
	return true;
}

/* Puts it into a packed set: false where there is no room, and the member is gone then. */
static bool packed_put(struct zset_edit *edit, struct slice member, double score)
{
	size_t at = zset_packed_find(edit->packed, member);

	if (at)
		packed_remove(edit, at);
	return packed_insert(edit, member, score);
}

/* Before a member is put: what is too long, or one too many, is called a skiplist from then on. */
static void choose_encoding(struct zset_edit *edit, struct slice member)
{
	double score;

	if (edit->encoding == ENCODING_LISTPACK &&
	    (too_long(edit, member.len) || too_many(edit, zset_edit_count(edit) + 1)) &&
	    !zset_edit_find(edit, member, &score))
		edit->encoding = ENCODING_SKIPLIST;
}

void zset_edit_put(struct zset_edit *edit, struct slice member, double score)
{
	assert(!isnan(score));
	choose_encoding(edit, member);
	if (score == 0 && edit->encoding == ENCODING_LISTPACK)
		score = 0; /* not -0: listpacks have no such number */
	edit_change(edit);
	if (!edit->zset && !packed_put(edit, member, score))
		make_large(edit);
	if (edit->zset)
		zset_put_element(edit, member, score);
}

bool zset_edit_remove(struct zset_edit *edit, struct slice member)
{
	struct ctx *ctx = edit->ctx;

	if (edit->zset) {
		const struct entry *e = zset_find(edit->zset, &ctx->ks->seed, member);
		if (!e)
			return false;
		edit_change(edit);
		return zset_remove(edit->zset, &ctx->ks->seed, member, &ctx->shard->retire);
	}
	size_t at = zset_packed_find(edit->packed, member);
	if (!at)
		return false;
	edit_change(edit);
	packed_remove(edit, at);
	return true;
}

static void keep_element(void *arg, const struct zset_element *element)
{
	struct zset_edit *edit = arg;

	zset_put_element(edit, element->member, element->score);
	turn_step(edit->ctx->shard);
}

/*
 * Elements of a large set, but not all of them, go: one by one, or when they are the greater part
 * of it the others move to a new set, and the old one is freed by and by.
 */
static void ordered_remove_ranks(struct zset_edit *edit, uint64_t rank, uint64_t count)
{
	struct ctx *ctx = edit->ctx;
	struct zset *old = edit->zset;
	uint64_t left = zset_count(old) - count;

	if (count > left && edit_in_place(edit)) {
		edit->zset = zset_new();
		zset_ordered_walk(old, 0, rank, false, keep_element, edit);
		zset_ordered_walk(old, rank + count, left - rank, false, keep_element, edit);
		return;
	}
	while (count > 0) {
		uint32_t removed =
			zset_remove_run(old, &ctx->ks->seed, rank, count, &ctx->shard->retire);
		count -= removed;
		turn_steps(ctx->shard, removed);
	}
}

void zset_edit_remove_ranks(struct zset_edit *edit, uint64_t rank, uint64_t count)
{
	if (count == 0)
		return;
	assert(rank + count <= zset_edit_count(edit));
	edit_change(edit);
	if (!edit->zset) {
		const char *lp = edit->packed;
		size_t from = listpack_seek(lp, (int64_t)rank * 2);
		size_t to = rank + count == zset_edit_count(edit)
				    ? listpack_end(lp)
				    : listpack_seek(lp, (int64_t)(rank + count) * 2);
		listpack_splice(edit->packed, lp, from, to, NULL, 0);
	} else if (count < zset_count(edit->zset)) {
		ordered_remove_ranks(edit, rank, count);
	} else {
		/* All of it: the key goes with the set as it is, to be freed by and by. */
		edit->zset = NULL;
		memcpy(edit->packed, LISTPACK_EMPTY, LISTPACK_BYTES_MIN);
	}
}

/* --- end --- */

/* The set anew: a packed one, or one that has become large. */
static struct entry *edit_entry(const struct zset_edit *edit, int64_t expire)
{
	struct entry_spec spec = {
		.key = edit->ctx->keys[edit->k].name,
		.expire = edit->e ? entry_expire(edit->e) : expire,
		.type = ENTRY_ZSET,
		.encoding = edit->encoding,
		.access = edit->e ? entry_access(edit->e) : ctx_access_new(edit->ctx),
	};

	if (edit->zset)
		return entry_new_ordered(&spec, edit->zset);
	spec.value = (struct slice){edit->packed, listpack_bytes(edit->packed)};
	return entry_new(&spec);
}

static void edit_end_empty(struct zset_edit *edit)
{
	if (!edit_in_place(edit))
		zset_free(edit->zset);
	ctx_remove(edit->ctx, edit->k);
}

void zset_edit_end(struct zset_edit *edit)
{
	if (!edit->changed)
		return;
	if (zset_edit_count(edit) == 0)
		edit_end_empty(edit);
	else if (!edit_in_place(edit))
		ctx_put(edit->ctx, edit->k, edit_entry(edit, EXPIRE_NEVER));
	else if (entry_encoding(edit->e) != edit->encoding)
		ctx_put_shallow(edit->ctx, edit->k,
				entry_with_encoding(edit->e, edit->encoding, false));
}

struct entry *zset_edit_take(struct zset_edit *edit, int64_t expire)
{
	struct entry *e = edit_entry(edit, expire);

	assert(!edit->e);
	edit->zset = NULL;
	return e;
}

void zset_edit_drop(struct zset_edit *edit)
{
	assert(!edit->e);
	if (edit->zset)
		retire_entry_unseen(&edit->ctx->shard->retire, edit_entry(edit, EXPIRE_NEVER));
	edit->zset = NULL;
}
