/*
 * Changing sets (set.h).
 *
 * A packed set is copied to the edit, changed there in place, and put as a new entry at the end.
 * Where it outgrows PACKED_BYTES_MAX on the way it becomes a dict, which is the edit's until the
 * end puts it. The dict of a set that has one already is changed where it is.
 */
#include "shard/set.h"

#include "shard/intset.h"

#include <assert.h>

/* Redis takes no more members into an intset than this, whatever the option says. */
#define INTSET_ENTRIES_MAX (1 << 30)

static const struct slice empty_intset = {INTSET_EMPTY, INTSET_HEADER};

void set_edit_begin(struct set_edit *edit, struct ctx *ctx, uint32_t k, const struct entry *e)
{
	edit->ctx = ctx;
	edit->k = k;
	edit->e = e;
	edit->dict = e ? entry_dict(e) : NULL;
	edit->encoding = e ? entry_encoding(e) : ENCODING_INTSET;
	edit->changed = false;
	if (edit->dict)
		return;
	struct slice bytes = e ? entry_value(e) : empty_intset;
	assert(bytes.len <= sizeof(edit->packed));
	memcpy(edit->packed, bytes.ptr, bytes.len);
}

struct set set_edit_set(const struct set_edit *edit)
{
	return (struct set){edit->dict, edit->packed, edit->encoding == ENCODING_INTSET};
}

/* Whether the dict is the one at the key, for readers to see. */
static bool edit_in_place(const struct set_edit *edit)
{
	return edit->dict && edit->e && entry_dict(edit->e) == edit->dict;
}

/* Before each change. */
static void edit_change(struct set_edit *edit)
{
	if (!edit->changed && edit_in_place(edit))
		ctx_open(edit->ctx, edit->k);
	edit->changed = true;
}

/* --- forms --- */

static void dict_add(struct set_edit *edit, uint64_t hash, struct slice text)
{
	dict_put(edit->dict, edit->ctx->shard, hash,
		 dict_element_new(text, SLICE(""), EXPIRE_NEVER));
}

static bool adopt(void *arg, struct listpack_item member)
{
	struct set_edit *edit = arg;
	char room[NUMBER_TEXT_MAX];
	struct slice text = listpack_item_text(member, room);

	dict_add(edit, dict_hash(edit->ctx->shard, text), text);
	return true;
}

static void edit_make_dict(struct set_edit *edit)
{
	struct set packed = set_edit_set(edit);

	edit->dict = dict_new();
	set_walk(&packed, adopt, edit);
}

static bool measure(void *arg, struct listpack_item member)
{
	size_t *bytes = arg;

	*bytes += listpack_item_bytes(member);
	return true;
}

static bool append(void *arg, struct listpack_item member)
{
	listpack_append(arg, member);
	return true;
}

/* The intset becomes a listpack, or a dict when it is too large for one. */
static void edit_leave_intset(struct set_edit *edit)
{
	struct set intset = set_edit_set(edit);
	struct listpack_builder builder;
	char listpack[PACKED_BYTES_MAX];
	size_t bytes = LISTPACK_BYTES_MIN;

	if (edit->dict)
		return;
	set_walk(&intset, measure, &bytes);
	if (bytes > sizeof(listpack)) {
		edit_make_dict(edit);
		return;
	}
	listpack_start(&builder, listpack);
	set_walk(&intset, append, &builder);
	listpack_finish(&builder);
	memcpy(edit->packed, listpack, bytes);
}

/* --- encodings --- */

/* By itself no change of the set: the end puts it all the same. */
static void edit_encode(struct set_edit *edit, enum entry_encoding encoding)
{
	if (encoding == edit->encoding)
		return;
	if (edit->encoding == ENCODING_INTSET)
		edit_leave_intset(edit);
	edit->encoding = encoding;
}

static size_t intset_entries(const struct encoding_limits *limits)
{
	int64_t entries = limit_load(&limits->set_intset_entries);

	return entries < INTSET_ENTRIES_MAX ? (size_t)entries : INTSET_ENTRIES_MAX;
}

static size_t listpack_entries(const struct encoding_limits *limits)
{
	return (size_t)limit_load(&limits->set_listpack_entries);
}

void set_edit_expect(struct set_edit *edit, struct slice first, size_t count)
{
	const struct encoding_limits *limits = &edit->ctx->ks->limits;
	bool listpack_fits = count <= listpack_entries(limits);
	bool intset_fits = count <= intset_entries(limits);

	if (!edit->e && intset_fits)
		intset_fits = listpack_item_is_number(listpack_item_of(first));
	if (edit->encoding == ENCODING_INTSET && !intset_fits)
		edit_encode(edit,
			    !edit->e && listpack_fits ? ENCODING_LISTPACK : ENCODING_HASHTABLE);
	else if (edit->encoding == ENCODING_LISTPACK && !listpack_fits)
		edit_encode(edit, ENCODING_HASHTABLE);
}

/* Stops at a number whose text is longer. */
static bool is_short(void *arg, struct listpack_item member)
{
	char room[NUMBER_TEXT_MAX];
	size_t *length_max = arg;

	if (listpack_item_text(member, room).len <= *length_max)
		return true;
	*length_max = 0;
	return false;
}

/*
 * Whether all members of an intset are short enough for a listpack. They are, but for odd limits.
 */
static bool numbers_short(const struct set_edit *edit, size_t length_max)
{
	struct set set = set_edit_set(edit);

	if (length_max < NUMBER_TEXT_MAX)
		set_walk(&set, is_short, &length_max);
	return length_max > 0 || set_count(&set) == 0;
}

/* What Redis calls the set with one member more. */
static enum entry_encoding encoding_with(const struct set_edit *edit, struct listpack_item member)
{
	const struct encoding_limits *limits = &edit->ctx->ks->limits;
	size_t length_max = (size_t)limit_load(&limits->set_listpack_value);
	struct set set = set_edit_set(edit);
	size_t count = set_count(&set);
	bool intset = edit->encoding == ENCODING_INTSET;
	char room[NUMBER_TEXT_MAX];

	if (edit->encoding == ENCODING_HASHTABLE)
		return ENCODING_HASHTABLE;
	if (intset && listpack_item_is_number(member))
		return count < intset_entries(limits) ? ENCODING_INTSET : ENCODING_HASHTABLE;
	if (count >= listpack_entries(limits) ||
	    listpack_item_text(member, room).len > length_max ||
	    (intset && !numbers_short(edit, length_max)))
		return ENCODING_HASHTABLE;
	return ENCODING_LISTPACK;
}

/* --- changes --- */

/* False when there is no room: nothing has changed then. */
static bool packed_add(struct set_edit *edit, struct listpack_item member)
{
	char *packed = edit->packed;
	size_t index, end;

	if (edit->encoding == ENCODING_INTSET) {
		if (intset_add_bytes(packed, member.number) > sizeof(edit->packed))
			return false;
		intset_find(packed, member.number, &index);
		intset_add(packed, packed, index, member.number);
		return true;
	}
	end = listpack_end(packed);
	if (listpack_splice_bytes(packed, end, end, &member, 1) > sizeof(edit->packed))
		return false;
	listpack_splice(packed, packed, end, end, &member, 1);
	return true;
}

static bool element_add(struct set_edit *edit, struct slice text)
{
	uint64_t hash = dict_hash(edit->ctx->shard, text);

	if (dict_find(edit->dict, hash, text))
		return false;
	edit_change(edit);
	if (edit->encoding != ENCODING_HASHTABLE)
		edit_encode(edit, encoding_with(edit, listpack_item_of(text)));
	dict_add(edit, hash, text);
	return true;
}

bool set_edit_add(struct set_edit *edit, struct listpack_item member)
{
	struct set set = set_edit_set(edit);
	char room[NUMBER_TEXT_MAX];

	if (edit->dict)
		return element_add(edit, listpack_item_text(member, room));
	if (!listpack_item_is_number(member))
		member = listpack_item_of(member.text);
	if (set_contains(&set, edit->ctx->shard, member))
		return false;
	edit_change(edit);
	edit_encode(edit, encoding_with(edit, member));
	if (!edit->dict && packed_add(edit, member))
		return true;
	if (!edit->dict)
		edit_make_dict(edit);
	return adopt(edit, member);
}

static bool element_remove(struct set_edit *edit, struct slice text)
{
	uint64_t hash = dict_hash(edit->ctx->shard, text);

	if (!dict_find(edit->dict, hash, text))
		return false;
	edit_change(edit);
	return dict_remove(edit->dict, edit->ctx->shard, hash, text);
}

static bool intset_drop(char *intset, struct listpack_item member)
{
	size_t index;

	if (!listpack_item_is_number(member) || !intset_find(intset, member.number, &index))
		return false;
	intset_remove(intset, intset, index);
	return true;
}

static bool listpack_drop(char *lp, struct listpack_item member)
{
	size_t at = listpack_find(lp, listpack_first(lp), member, 0);

	if (at)
		listpack_splice(lp, lp, at, listpack_next(lp, at), NULL, 0);
	return at;
}

bool set_edit_remove(struct set_edit *edit, struct listpack_item member)
{
	char room[NUMBER_TEXT_MAX];
	bool removed;

	if (edit->dict)
		return element_remove(edit, listpack_item_text(member, room));
	if (!listpack_item_is_number(member))
		member = listpack_item_of(member.text);
	removed = edit->encoding == ENCODING_INTSET ? intset_drop(edit->packed, member)
						    : listpack_drop(edit->packed, member);
	edit->changed |= removed;
	return removed;
}

/* --- end --- */

/* The set anew: a packed one, or one that has become a dict. */
static struct entry *edit_entry(const struct set_edit *edit, struct slice key, int64_t expire)
{
	struct entry_spec spec = {.expire = expire,
				  .type = ENTRY_SET,
				  .access = ctx_access_new(edit->ctx)};

	if (edit->e)
		spec = entry_spec_of(edit->e);
	spec.key = key;
	spec.encoding = edit->encoding;
	if (edit->dict)
		return entry_new_dict(&spec, edit->dict);
	spec.value.ptr = edit->packed;
	spec.value.len = edit->encoding == ENCODING_INTSET ? intset_bytes(edit->packed)
							   : listpack_bytes(edit->packed);
	return entry_new(&spec);
}

/* The members are the same; the encoding may have been chosen for more, which didn't come. */
static void put_encoding(const struct set_edit *edit)
{
	bool in_place = edit_in_place(edit);

	if (edit->encoding == entry_encoding(edit->e))
		return;
	ctx_put_form(edit->ctx, edit->k,
		     in_place ? entry_with_encoding(edit->e, edit->encoding, false)
			      : edit_entry(edit, edit->ctx->keys[edit->k].name, EXPIRE_NEVER),
		     in_place);
}

void set_edit_end(struct set_edit *edit)
{
	struct ctx *ctx = edit->ctx;
	uint32_t k = edit->k;
	struct set set = set_edit_set(edit);

	if (edit->e && !edit->changed) {
		put_encoding(edit);
		return;
	}
	if (set_count(&set) == 0) {
		ctx_remove(ctx, k);
		if (!edit_in_place(edit))
			set_edit_drop(edit);
	} else if (!edit_in_place(edit)) {
		ctx_put(ctx, k, edit_entry(edit, ctx->keys[k].name, EXPIRE_NEVER));
	} else if (entry_encoding(edit->e) != edit->encoding) {
		ctx_put_shallow(ctx, k, entry_with_encoding(edit->e, edit->encoding, false));
	}
}

struct entry *set_edit_take(struct set_edit *edit, int64_t expire)
{
	struct entry *e = edit_entry(edit, edit->ctx->keys[edit->k].name, expire);

	assert(!edit->e);
	edit->dict = NULL;
	return e;
}

/* A dict is freed in slices, as any other. */
void set_edit_drop(struct set_edit *edit)
{
	if (edit->dict)
		retire_entry_unseen(&edit->ctx->shard->retire,
				    edit_entry(edit, SLICE(""), EXPIRE_NEVER));
	edit->dict = NULL;
}
