/*
 * Changing hashes (hash_value.h).
 *
 * A packed hash is copied to the edit, changed there by splices, and put as a new entry at the end.
 * Where it outgrows PACKED_BYTES_MAX on the way it becomes a dict, which is the edit's until the
 * end puts it. The dict of a hash that has one already is changed where it is.
 */
#include "proto/mem.h"
#include "shard/hash_packed.h"

#include <assert.h>

/* Fields that have expired and are removed on the way by each change of a dict. */
#define EDIT_SWEEP_MAX 16

/* --- effects --- */

void hash_effect_remove(struct ctx *ctx, uint32_t k, struct slice field)
{
	ctx_effect(ctx, (struct slice[]){SLICE("HDEL"), ctx->keys[k].name, field}, 3);
}

void hash_effect_expire(struct ctx *ctx, struct slice field, int64_t when)
{
	char text[NUMBER_TEXT_MAX];
	struct slice at = {text, number_format(text, when)};
	struct slice key = ctx->keys[0].name;

	if (when == EXPIRE_NEVER)
		ctx_effect(ctx,
			   (struct slice[]){SLICE("HPERSIST"), key, SLICE("FIELDS"), SLICE("1"),
					    field},
			   5);
	else
		ctx_effect(ctx,
			   (struct slice[]){SLICE("HPEXPIREAT"), key, at, SLICE("FIELDS"),
					    SLICE("1"), field},
			   6);
}

/* A field that had expired goes: not the command's doing, so its own effects stay to be told. */
static void field_expired(const struct hash_edit *edit, struct slice name)
{
	const struct ctx *ctx = edit->ctx;

	effect_remove_part(&ctx->shard->journal, ctx->db, "HDEL", ctx->keys[edit->k].name, name);
}

static void element_expired(void *arg, struct slice name)
{
	field_expired(arg, name);
}

/* --- begin --- */

/* The names of the triples from one position to another. */
static void packed_each(const char *lp, size_t from, size_t to,
			void (*visit)(void *arg, struct slice name), void *arg)
{
	struct packed_field packed;
	struct hash_field field;

	while (from < to) {
		from = packed_read(lp, from, true, &packed);
		packed_show(&packed, &field);
		visit(arg, field.name);
	}
}

static void packed_drop_expired(struct hash_edit *edit)
{
	const char *lp = edit->packed;
	size_t first = listpack_first(lp), live = packed_live(lp, true, edit->ctx->now);

	packed_each(lp, first, live, element_expired, edit);
	listpack_splice(edit->packed, lp, first, live, NULL, 0);
}

void hash_edit_begin(struct hash_edit *edit, struct ctx *ctx, uint32_t k, const struct entry *e)
{
	edit->ctx = ctx;
	edit->k = k;
	edit->e = e;
	edit->dict = e ? entry_dict(e) : NULL;
	edit->encoding = e ? entry_encoding(e) : ENCODING_LISTPACK;
	edit->field_ttl = e && (e->flags & ENTRY_FIELD_TTL);
	edit->changed = false;
	edit->due = edit->dict ? dict_expire_earliest(edit->dict) : EXPIRE_NEVER;
	if (edit->dict)
		return;
	struct slice bytes = e ? entry_value(e) : SLICE(LISTPACK_EMPTY);
	assert(bytes.len <= sizeof(edit->packed));
	memcpy(edit->packed, bytes.ptr, bytes.len);
	if (edit->field_ttl)
		packed_drop_expired(edit);
}

/* Whether the dict is the one at the key, for readers to see. */
static bool edit_in_place(const struct hash_edit *edit)
{
	return edit->dict && edit->e && entry_dict(edit->e) == edit->dict;
}

/* Before each change. */
static void edit_change(struct hash_edit *edit)
{
	if (!edit->changed && edit_in_place(edit)) {
		ctx_open(edit->ctx, edit->k);
		dict_sweep(edit->dict, edit->ctx->shard, edit->ctx->now, EDIT_SWEEP_MAX,
			   element_expired, edit);
	}
	edit->changed = true;
}

/* An expired element goes, so that it isn't there when effects are done again. */
bool hash_edit_find(struct hash_edit *edit, struct slice name, struct hash_field *field)
{
	struct shard *shard = edit->ctx->shard;
	int64_t now = edit->ctx->now;

	if (!edit->dict)
		return packed_find(edit->packed, edit->field_ttl, name, now, field);
	if (element_find(edit->dict, shard, name, now, field))
		return true;
	if (!edit->field_ttl || !dict_find(edit->dict, dict_hash(shard, name), name))
		return false;
	edit_change(edit);
	field_expired(edit, name);
	dict_remove(edit->dict, shard, dict_hash(shard, name), name);
	return false;
}

/* --- forms --- */

static void edit_make_dict(struct hash_edit *edit)
{
	const char *lp = edit->packed;
	struct shard *shard = edit->ctx->shard;
	struct packed_field packed;
	struct hash_field field;

	edit->dict = dict_new();
	for (size_t at = listpack_first(lp), end = listpack_end(lp); at < end;) {
		at = packed_read(lp, at, edit->field_ttl, &packed);
		packed_show(&packed, &field);
		dict_put(edit->dict, shard, dict_hash(shard, field.name),
			 dict_element_new(field.name, field.value, field.expire));
	}
}

/* Replaces the elements from one position to another; false when there is no room for that. */
static bool edit_splice(struct hash_edit *edit, size_t from, size_t to,
			const struct listpack_item *items, size_t count)
{
	if (listpack_splice_bytes(edit->packed, from, to, items, count) > sizeof(edit->packed))
		return false;
	listpack_splice(edit->packed, edit->packed, from, to, items, count);
	return true;
}

/* --- changes of a packed hash; false where there is no room --- */

static size_t fields_items(const struct hash_edit *edit)
{
	return edit->field_ttl ? 3 : 2;
}

/* The position behind the field at `at`. */
static size_t packed_after(const struct hash_edit *edit, size_t at)
{
	struct packed_field field;

	return packed_read(edit->packed, at, edit->field_ttl, &field);
}

/* The position of a field, 0 where there is none. Expired ones went when the edit began. */
static size_t packed_position(const struct hash_edit *edit, struct slice name)
{
	return listpack_find(edit->packed, listpack_first(edit->packed), listpack_item_of(name),
			     fields_items(edit) - 1);
}

static void packed_remove(struct hash_edit *edit, size_t at)
{
	listpack_splice(edit->packed, edit->packed, at, packed_after(edit, at), NULL, 0);
}

/* Where a triple with this expiry belongs: before the first that expires later or never. */
static size_t packed_place(const struct hash_edit *edit, int64_t expire)
{
	size_t end = listpack_end(edit->packed);
	struct packed_field field;

	if (expire == EXPIRE_NEVER)
		return end;
	for (size_t at = listpack_first(edit->packed); at < end;) {
		size_t next = packed_read(edit->packed, at, true, &field);
		if (field.expire > expire)
			return at;
		at = next;
	}
	return end;
}

static bool packed_insert(struct hash_edit *edit, struct slice name, struct slice value,
			  int64_t expire)
{
	struct listpack_item items[3] = {
		listpack_item_of(name),
		listpack_item_of(value),
		listpack_item_number(expire == EXPIRE_NEVER ? 0 : expire),
	};
	size_t at = packed_place(edit, edit->field_ttl ? expire : EXPIRE_NEVER);

	return edit_splice(edit, at, at, items, fields_items(edit));
}

/* Another value for the field at `at`, with the same expiry. */
static bool packed_replace(struct hash_edit *edit, size_t at, struct slice value)
{
	struct listpack_item item = listpack_item_of(value);
	size_t from = listpack_next(edit->packed, at);

	return edit_splice(edit, from, listpack_next(edit->packed, from), &item, 1);
}

/* Makes pairs triples that never expire. */
static bool packed_make_triples(struct hash_edit *edit)
{
	const char *lp = edit->packed;
	struct listpack_item never = listpack_item_number(0);
	size_t fields = listpack_count(lp) / 2;
	size_t bytes = listpack_bytes(lp) + fields * listpack_item_bytes(never);
	char triples[PACKED_BYTES_MAX];
	struct listpack_builder builder;
	struct packed_field field;

	if (bytes > sizeof(triples))
		return false;
	listpack_start(&builder, triples);
	for (size_t at = listpack_first(lp), end = listpack_end(lp); at < end;) {
		at = packed_read(lp, at, false, &field);
		listpack_append(&builder, field.name);
		listpack_append(&builder, field.value);
		listpack_append(&builder, never);
	}
	listpack_finish(&builder);
	memcpy(edit->packed, triples, bytes);
	return true;
}

/* --- changes of either form --- */

/* Before a field gets an expiry. */
static void edit_need_ttl(struct hash_edit *edit)
{
	if (edit->field_ttl)
		return;
	if (!edit->dict && !packed_make_triples(edit))
		edit_make_dict(edit);
	edit->field_ttl = true;
	if (edit->encoding == ENCODING_LISTPACK)
		edit->encoding = ENCODING_LISTPACKEX;
}

static size_t edit_count(const struct hash_edit *edit)
{
	return edit->dict ? dict_count(edit->dict)
			  : listpack_count(edit->packed) / fields_items(edit);
}

/* After a field was set: what is too long, or one too many, is called a hashtable from then on. */
static void edit_check_limits(struct hash_edit *edit, struct slice name, struct slice value)
{
	const struct encoding_limits *limits = &edit->ctx->ks->limits;
	size_t length_max = (size_t)limit_load(&limits->hash_listpack_value);

	if (name.len > length_max || value.len > length_max ||
	    edit_count(edit) > (size_t)limit_load(&limits->hash_listpack_entries))
		edit->encoding = ENCODING_HASHTABLE;
}

/* False where there is no room: then the field is not there any more, or has its old value. */
static bool packed_set(struct hash_edit *edit, struct slice name, struct slice value,
		       int64_t expire, bool *new)
{
	size_t at = packed_position(edit, name);
	struct packed_field field;

	*new = !at;
	if (!at)
		return packed_insert(edit, name, value, expire);
	packed_read(edit->packed, at, edit->field_ttl, &field);
	if (field.expire == expire)
		return packed_replace(edit, at, value);
	packed_remove(edit, at);
	return packed_insert(edit, name, value, expire);
}

static bool element_set(struct hash_edit *edit, struct slice name, struct slice value,
			int64_t expire)
{
	struct shard *shard = edit->ctx->shard;
	uint64_t hash = dict_hash(shard, name);
	const struct entry *old = dict_find(edit->dict, hash, name);
	bool new = !old || entry_expired(old, edit->ctx->now);

	dict_put(edit->dict, shard, hash, dict_element_new(name, value, expire));
	return new;
}

/* Sets a field in whatever form there is room for. True when it is new. */
static bool edit_put(struct hash_edit *edit, struct slice name, struct slice value, int64_t expire)
{
	bool new;

	if (edit->dict)
		return element_set(edit, name, value, expire);
	if (!packed_set(edit, name, value, expire, &new)) {
		edit_make_dict(edit);
		element_set(edit, name, value, expire);
	}
	return new;
}

bool hash_edit_set(struct hash_edit *edit, struct slice name, struct slice value, int64_t expire)
{
	bool new;

	edit_change(edit);
	if (expire != EXPIRE_NEVER)
		edit_need_ttl(edit);
	new = edit_put(edit, name, value, expire);
	edit_check_limits(edit, name, value);
	return new;
}

static void element_expire(struct hash_edit *edit, struct slice name, int64_t expire)
{
	struct shard *shard = edit->ctx->shard;
	uint64_t hash = dict_hash(shard, name);
	const struct entry *old = dict_find(edit->dict, hash, name);

	assert(old);
	dict_put(edit->dict, shard, hash, entry_with_expire(old, expire));
}

/* Puts it again, so the value must stand elsewhere meanwhile. */
static void packed_expire(struct hash_edit *edit, struct slice name, int64_t expire)
{
	char copy[PACKED_BYTES_MAX];
	struct hash_field field;

	if (!hash_edit_find(edit, name, &field))
		assert(!"a field that isn't there");
	memcpy(copy, field.value.ptr, field.value.len);
	edit_put(edit, name, (struct slice){copy, field.value.len}, expire);
}

void hash_edit_expire(struct hash_edit *edit, struct slice name, int64_t expire)
{
	edit_change(edit);
	if (expire != EXPIRE_NEVER)
		edit_need_ttl(edit);
	if (edit->dict)
		element_expire(edit, name, expire);
	else
		packed_expire(edit, name, expire);
}

bool hash_edit_remove(struct hash_edit *edit, struct slice name)
{
	struct hash_field field;

	if (!hash_edit_find(edit, name, &field))
		return false;
	edit_change(edit);
	if (edit->dict)
		return dict_remove(edit->dict, edit->ctx->shard, dict_hash(edit->ctx->shard, name),
				   name);
	packed_remove(edit, packed_position(edit, name));
	return true;
}

/* --- end --- */

bool hash_edit_empty(const struct hash_edit *edit)
{
	return edit_count(edit) == 0;
}

/* The hash anew: a packed one, or one that has become a dict. */
static struct entry *edit_entry(const struct hash_edit *edit, int64_t expire)
{
	struct entry_spec spec = {
		.key = edit->ctx->keys[edit->k].name,
		.expire = edit->e ? entry_expire(edit->e) : expire,
		.type = ENTRY_HASH,
		.encoding = edit->encoding,
		.access = edit->e ? entry_access(edit->e) : ctx_access_new(edit->ctx),
		.field_ttl = edit->field_ttl,
	};

	if (edit->dict)
		return entry_new_dict(&spec, edit->dict);
	spec.value = (struct slice){edit->packed, listpack_bytes(edit->packed)};
	return entry_new(&spec);
}

/* The dict has changed where it is; the entry may have to tell. */
static void edit_end_in_place(struct hash_edit *edit)
{
	bool had_ttl = edit->e->flags & ENTRY_FIELD_TTL;

	if (entry_encoding(edit->e) != edit->encoding || had_ttl != edit->field_ttl)
		ctx_put_shallow(edit->ctx, edit->k,
				entry_with_encoding(edit->e, edit->encoding, edit->field_ttl));
	else if (dict_expire_earliest(edit->dict) < edit->due)
		ctx_note_due(edit->ctx, edit->k, dict_expire_earliest(edit->dict));
}

static void edit_end_empty(struct hash_edit *edit)
{
	if (edit->dict && !edit_in_place(edit)) {
		uint64_t at = 0;
		size_t budget = SIZE_MAX;
		dict_free_slice(edit->dict, &at, &budget);
	}
	if (edit->e)
		ctx_remove(edit->ctx, edit->k);
}

void hash_edit_end(struct hash_edit *edit)
{
	if (!edit->changed)
		return;
	if (hash_edit_empty(edit))
		edit_end_empty(edit);
	else if (edit_in_place(edit))
		edit_end_in_place(edit);
	else
		ctx_put(edit->ctx, edit->k, edit_entry(edit, EXPIRE_NEVER));
}

struct entry *hash_edit_take(struct hash_edit *edit, int64_t expire)
{
	struct entry *e = edit_entry(edit, expire);

	assert(!edit->e);
	edit->dict = NULL;
	return e;
}

void hash_edit_drop(struct hash_edit *edit)
{
	assert(!edit->e);
	if (edit->dict)
		retire_entry_unseen(&edit->ctx->shard->retire, edit_entry(edit, EXPIRE_NEVER));
	edit->dict = NULL;
}

/* --- the sweep --- */

/* A field of the key goes. */
struct gone {
	struct journal *journal;
	struct slice key;
	uint32_t db;
};

static void field_gone(void *arg, struct slice name)
{
	struct gone *gone = arg;

	effect_remove_part(gone->journal, gone->db, "HDEL", gone->key, name);
}

size_t hash_expire_fields(struct shard *shard, uint32_t db, struct entry *e, int64_t now,
			  size_t max, struct entry **fresh)
{
	struct dict *dict = entry_dict(e);
	struct gone gone = {&shard->journal, entry_key(e), db};

	*fresh = e;
	if (dict) {
		size_t removed = dict_sweep(dict, shard, now, max, field_gone, &gone);
		if (dict_count(dict) == 0)
			*fresh = NULL;
		return removed;
	}
	const char *lp = entry_value(e).ptr;
	size_t first = listpack_first(lp);
	size_t live = packed_live(lp, e->flags & ENTRY_FIELD_TTL, now);
	if (live == first)
		return 0;
	packed_each(lp, first, live, field_gone, &gone);
	struct entry_spec spec = entry_spec_of(e);
	spec.value.len = listpack_splice_bytes(lp, first, live, NULL, 0);
	*fresh = NULL;
	if (live < listpack_end(lp)) {
		*fresh = entry_new(&spec);
		listpack_splice(entry_value_room(*fresh), lp, first, live, NULL, 0);
	}
	return listpack_range_count(lp, first, live) / 3;
}
