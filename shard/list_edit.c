/*
 * Changing lists (list_value.h).
 *
 * A packed list is copied to the edit, changed there by splices, and put as a new entry at the end.
 * Where it outgrows PACKED_BYTES_MAX on the way it becomes a struct list, which is the edit's until
 * the end puts it. The struct list of a key that has one already is changed where it is.
 */
#include "shard/list_leaf.h"
#include "shard/list_value.h"

#include <assert.h>

/* A structure whose elements take no more is packed again. */
#define REPACK_BYTES_MAX (PACKED_BYTES_MAX / 4)

/* --- how Redis would call it --- */

/*
 * What list-max-listpack-size allows for a node: bytes, or elements (and bytes so that it isn't
 * absurd).
 */
struct node_limit {
	uint64_t bytes;
	uint64_t count;
	bool by_count;
};

#define NODE_BYTES_SAFE 8192

static struct node_limit node_limit(const struct keyspace *ks)
{
	static const uint64_t bytes[] = {4096, 8192, 16384, 32768, 65536}; /* -1 to -5 */
	int64_t size = limit_load(&ks->limits.list_listpack_size);

	if (size >= 0)
		return (struct node_limit){NODE_BYTES_SAFE, size > 0 ? (uint64_t)size : 1, true};
	return (struct node_limit){bytes[size < -5 ? 4 : -size - 1], UINT64_MAX, false};
}

/* The bytes of all of it in one listpack. */
static uint64_t edit_bytes(const struct list_edit *edit)
{
	return edit->list ? edit->list->bytes + LISTPACK_BYTES_MIN : listpack_bytes(edit->packed);
}

void list_edit_expect(struct list_edit *edit, uint64_t bytes, uint64_t count)
{
	struct node_limit limit = node_limit(edit->ctx->ks);

	if (edit_bytes(edit) + bytes > limit.bytes || list_edit_length(edit) + count > limit.count)
		edit->encoding = ENCODING_QUICKLIST;
}

/* After elements went. */
static void edit_shrunk(struct list_edit *edit)
{
	struct node_limit limit = node_limit(edit->ctx->ks);

	if (edit->encoding == ENCODING_QUICKLIST &&
	    (limit.by_count || edit_bytes(edit) <= limit.bytes / 2) &&
	    list_edit_length(edit) <= limit.count / 2)
		edit->encoding = ENCODING_LISTPACK;
}

/* --- begin --- */

void list_edit_begin(struct list_edit *edit, struct ctx *ctx, uint32_t k, const struct entry *e)
{
	edit->ctx = ctx;
	edit->k = k;
	edit->e = e;
	edit->list = e && (e->flags & ENTRY_OWNER_ONLY) ? entry_structure(e) : NULL;
	edit->fresh = false;
	edit->changed = false;
	edit->encoding = e ? entry_encoding(e) : ENCODING_LISTPACK;
	if (edit->list)
		return;
	struct slice bytes = e ? entry_value(e) : SLICE(LISTPACK_EMPTY);
	assert(bytes.len <= sizeof(edit->packed));
	memcpy(edit->packed, bytes.ptr, bytes.len);
}

uint64_t list_edit_length(const struct list_edit *edit)
{
	return edit->list ? list_count(edit->list) : listpack_count(edit->packed);
}

struct list_element list_edit_get(const struct list_edit *edit, uint64_t index)
{
	if (edit->list)
		return list_get(edit->list, index);
	size_t at = listpack_seek(edit->packed, (int64_t)index);
	assert(at > 0);
	return (struct list_element){.item = listpack_get(edit->packed, at)};
}

/* Before each change. */
static void edit_change(struct list_edit *edit)
{
	if (edit->list && !edit->fresh)
		ctx_open(edit->ctx, edit->k);
	edit->changed = true;
}

/* --- changes --- */

static struct retire *edit_retire(const struct list_edit *edit)
{
	return &edit->ctx->shard->retire;
}

static void edit_make_list(struct list_edit *edit)
{
	edit->list = list_new_packed(edit->packed, edit_retire(edit));
	edit->fresh = true;
}

/* Replaces the elements from one position to another by one; false when there is no room for it. */
static bool edit_splice(struct list_edit *edit, size_t from, size_t to, struct listpack_item item)
{
	if (listpack_splice_bytes(edit->packed, from, to, &item, 1) > sizeof(edit->packed))
		return false;
	listpack_splice(edit->packed, edit->packed, from, to, &item, 1);
	return true;
}

void list_edit_insert(struct list_edit *edit, uint64_t index, struct list_element element)
{
	edit_change(edit);
	if (!edit->list) {
		size_t at = listpack_seek(edit->packed, (int64_t)index);
		if (at == 0)
			at = listpack_end(edit->packed);
		if (edit_splice(edit, at, at, element.item))
			return;
		edit_make_list(edit);
	}
	list_insert(edit->list, index, element, edit_retire(edit));
}

void list_edit_push(struct list_edit *edit, enum list_side side, struct list_element element)
{
	list_edit_insert(edit, side == LIST_FRONT ? 0 : list_edit_length(edit), element);
}

void list_edit_replace(struct list_edit *edit, uint64_t index, struct list_element element)
{
	edit_change(edit);
	bool done = false;
	if (!edit->list) {
		size_t at = listpack_seek(edit->packed, (int64_t)index);
		done = edit_splice(edit, at, listpack_next(edit->packed, at), element.item);
		if (!done)
			edit_make_list(edit);
	}
	if (!done)
		list_replace(edit->list, index, element, edit_retire(edit));
	edit_shrunk(edit);
}

/* What was cut off a list, or was never put, is freed as an entry's structure is. */
static struct entry *list_entry(struct list *list)
{
	struct entry_spec spec = {.expire = EXPIRE_NEVER, .type = ENTRY_LIST};

	return entry_new_owner_only(&spec, list);
}

static void retire_cut(struct list_edit *edit, struct list *cut)
{
	if (cut)
		retire_entry(edit_retire(edit), list_entry(cut));
}

void list_edit_cut(struct list_edit *edit, enum list_side side, uint64_t count)
{
	char *lp = edit->packed;

	if (count == 0)
		return;
	edit_change(edit);
	if (edit->list && count == 1) {
		list_pop(edit->list, side, edit_retire(edit));
	} else if (edit->list) {
		retire_cut(edit, list_cut(edit->list, side, count, edit_retire(edit)));
	} else if (side == LIST_FRONT) {
		size_t to = listpack_seek(lp, (int64_t)count);
		listpack_splice(lp, lp, listpack_first(lp), to ? to : listpack_end(lp), NULL, 0);
	} else {
		size_t from = listpack_seek(lp, -(int64_t)count);
		listpack_splice(lp, lp, from, listpack_end(lp), NULL, 0);
	}
	edit_shrunk(edit);
}

uint64_t list_edit_remove_equal(struct list_edit *edit, enum list_side side,
				struct listpack_item item, uint64_t max)
{
	uint64_t removed = edit->list ? list_remove_equal(edit->list, side, item, max,
							  edit_retire(edit), edit->ctx->shard)
				      : list_packed_remove_equal(edit->packed, side, item, max);

	if (removed > 0) { /* no reader has seen it yet: the structure is the holder's */
		edit_change(edit);
		edit_shrunk(edit);
	}
	return removed;
}

/* --- end --- */

/* Packs a list that is small enough. */
static bool edit_pack(struct list_edit *edit)
{
	struct listpack_builder builder;
	struct list_iter iter;
	struct list_element element;

	if (edit_bytes(edit) > REPACK_BYTES_MAX)
		return false;
	listpack_start(&builder, edit->packed);
	list_iter_init(&iter, edit->list, 0, LIST_BACK);
	while (list_iter_next(&iter, &element))
		listpack_append(&builder, element.item);
	listpack_finish(&builder);
	return true;
}

/* What the key's entry is made of, but for the value. */
static struct entry_spec edit_spec(const struct list_edit *edit, int64_t expire)
{
	struct ctx *ctx = edit->ctx;
	struct entry_spec spec = {
		.key = ctx->keys[edit->k].name,
		.expire = expire,
		.type = ENTRY_LIST,
		.access = ctx_access_new(ctx),
	};

	if (edit->e)
		spec = entry_spec_of(edit->e);
	spec.encoding = edit->encoding;
	return spec;
}

/* A new entry, packed where that is possible. The structure is a fresh one, or has been packed. */
static struct entry *edit_entry(struct list_edit *edit, struct entry_spec *spec)
{
	if (edit->fresh && !edit_pack(edit))
		return entry_new_owner_only(spec, edit->list);
	if (edit->fresh)
		list_free(edit->list);
	spec->value = (struct slice){edit->packed, listpack_bytes(edit->packed)};
	return entry_new(spec);
}

static void edit_put(struct list_edit *edit)
{
	struct ctx *ctx = edit->ctx;
	struct entry_spec spec = edit_spec(edit, EXPIRE_NEVER);

	if (!edit->list || edit->fresh || edit_pack(edit)) {
		ctx_put(ctx, edit->k, edit_entry(edit, &spec));
	} else if (entry_encoding(edit->e) != edit->encoding) {
		ctx_put_shallow(ctx, edit->k, entry_new_owner_only(&spec, edit->list));
	}
}

void list_edit_end(struct list_edit *edit)
{
	if (!edit->changed)
		return;
	if (list_edit_length(edit) > 0) {
		edit_put(edit);
		return;
	}
	if (edit->fresh)
		list_free(edit->list);
	if (edit->e)
		ctx_remove(edit->ctx, edit->k);
}

struct entry *list_edit_take(struct list_edit *edit, int64_t expire)
{
	struct entry_spec spec = edit_spec(edit, expire);
	struct entry *e = edit_entry(edit, &spec);

	assert(!edit->e);
	edit->list = NULL;
	return e;
}

void list_edit_drop(struct list_edit *edit)
{
	assert(!edit->e);
	if (edit->list)
		retire_entry_unseen(edit_retire(edit), list_entry(edit->list));
	edit->list = NULL;
}

/* --- what LPOP and its like have in common with those that wait --- */

static const char *const pop_names[] = {[LIST_FRONT] = "LPOP", [LIST_BACK] = "RPOP"};
static const struct slice side_names[] = {[LIST_FRONT] = {"LEFT", 4}, [LIST_BACK] = {"RIGHT", 5}};
static const struct slice push_names[] = {[LIST_FRONT] = {"LPUSH", 5}, [LIST_BACK] = {"RPUSH", 5}};

void list_pop_reply_one(struct ctx *ctx, uint32_t k, const struct entry *e, enum list_side side)
{
	struct list_edit edit;

	ctx_effect_pop(ctx, pop_names[side], k, 1);
	list_edit_begin(&edit, ctx, k, e);
	uint64_t last = list_edit_length(&edit) - 1;
	list_reply_element(ctx->reply, list_edit_get(&edit, side == LIST_FRONT ? 0 : last));
	list_edit_cut(&edit, side, 1);
	list_edit_end(&edit);
	ctx->dirty++;
}

void list_pop_reply(struct ctx *ctx, uint32_t k, const struct entry *e, enum list_side side,
		    uint64_t count)
{
	struct list_edit edit;
	bool front = side == LIST_FRONT;

	if (!ctx_long(ctx, count))
		return;
	ctx_effect_pop(ctx, pop_names[side], k, count);
	list_reply_range(ctx, e, front ? 0 : list_length(e) - 1, count,
			 front ? LIST_BACK : LIST_FRONT);
	list_edit_begin(&edit, ctx, k, e);
	list_edit_cut(&edit, side, count);
	list_edit_end(&edit);
	ctx->dirty += count;
}

static struct list_element edit_edge(const struct list_edit *edit, enum list_side side)
{
	return list_edit_get(edit, side == LIST_FRONT ? 0 : list_edit_length(edit) - 1);
}

/* An element that comes from another list, or from this one: then its text was copied. */
static void edit_take_in(struct list_edit *edit, enum list_side side, struct list_element element)
{
	char room[NUMBER_TEXT_MAX];

	list_edit_expect(edit, listpack_item_text(element.item, room).len, 1);
	list_edit_push(edit, side, element);
}

static void list_rotate_reply(struct ctx *ctx, uint32_t k, const struct entry *e,
			      enum list_side from_side, enum list_side to_side)
{
	struct list_edit edit;
	char text[LIST_ALONE_MIN];
	struct slice name = ctx->keys[k].name;

	ctx_effect(ctx,
		   (struct slice[]){SLICE("LMOVE"), name, name, side_names[from_side],
				    side_names[to_side]},
		   5);
	list_edit_begin(&edit, ctx, k, e);
	struct list_element element = edit_edge(&edit, from_side);
	list_reply_element(ctx->reply, element);
	if (element.blob) {
		blob_ref(element.blob);
	} else if (!listpack_item_is_number(element.item)) {
		memcpy(text, element.item.text.ptr, element.item.text.len);
		element.item.text.ptr = text;
	}
	list_edit_cut(&edit, from_side, 1);
	edit_take_in(&edit, to_side, element);
	list_edit_end(&edit);
	if (element.blob)
		blob_unref(element.blob);
}

static void effect_move(struct ctx *ctx, uint32_t from, enum list_side from_side, uint32_t to,
			enum list_side to_side, struct list_element element)
{
	char room[NUMBER_TEXT_MAX];
	struct slice text = listpack_item_text(element.item, room);

	ctx_effect_pop(ctx, pop_names[from_side], from, 1);
	ctx_effect(ctx, (struct slice[]){push_names[to_side], ctx->keys[to].name, text}, 3);
}

void list_move_reply(struct ctx *ctx, uint32_t from, const struct entry *source,
		     enum list_side from_side, uint32_t to, const struct entry *target,
		     enum list_side to_side)
{
	ctx->dirty++;
	if (source == target) {
		list_rotate_reply(ctx, from, source, from_side, to_side);
		return;
	}
	struct list_edit out, in;
	list_edit_begin(&out, ctx, from, source);
	struct list_element element = edit_edge(&out, from_side);
	effect_move(ctx, from, from_side, to, to_side, element);
	list_reply_element(ctx->reply, element);
	list_edit_begin(&in, ctx, to, target);
	edit_take_in(&in, to_side, element);
	list_edit_end(&in);
	list_edit_cut(&out, from_side, 1);
	list_edit_end(&out);
}
