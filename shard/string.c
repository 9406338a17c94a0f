/*
 * String values in their three forms (string.h).
 *
 * Reading asks string_rope() once and goes to the rope or to the entry's bytes. Writing is an
 * edit: a small string is copied to a fresh entry and worked on there; one that is large enough
 * becomes a rope in a fresh entry, once, over its blob if it has one, so that little is copied; a
 * rope is changed where it stands.
 */
#include "shard/string.h"

#include "proto/mem.h"
#include "shard/value.h"

#include <assert.h>

/* The rope of a string that is one. */
static struct rope *string_rope(const struct entry *e)
{
	assert(entry_type(e) == ENTRY_STRING);
	return e->flags & ENTRY_OWNER_ONLY ? entry_structure(e) : NULL;
}

size_t string_length(const struct entry *e)
{
	const struct rope *rope = string_rope(e);
	return rope ? rope_length(rope) : entry_value(e).len;
}

struct slice string_bytes(const struct entry *e, char **scratch)
{
	return string_bytes_at(e, EPOCH_NONE, scratch);
}

struct slice string_bytes_at(const struct entry *e, uint64_t cut, char **scratch)
{
	const struct rope *rope = string_rope(e);
	*scratch = NULL;
	if (!rope)
		return entry_value(e);
	struct rope_view view = rope_at(rope, cut);
	*scratch = mem_alloc(view.len);
	rope_read(&view, 0, view.len, *scratch);
	return (struct slice){*scratch, view.len};
}

struct slice string_piece(const struct entry *e, size_t offset)
{
	const struct rope *rope = string_rope(e);
	if (rope) {
		struct rope_view now = rope_at(rope, EPOCH_NONE);
		return rope_piece(&now, offset);
	}
	struct slice all = entry_value(e);
	assert(offset < all.len);
	return (struct slice){all.ptr + offset, all.len - offset};
}

static void read_now(const struct rope *rope, size_t offset, size_t len, char *out)
{
	struct rope_view now = rope_at(rope, EPOCH_NONE);
	rope_read(&now, offset, len, out);
}

void string_read(const struct entry *e, size_t offset, size_t len, char *out)
{
	const struct rope *rope = string_rope(e);
	if (rope) {
		read_now(rope, offset, len, out);
		return;
	}
	struct slice all = entry_value(e);
	assert(offset <= all.len && len <= all.len - offset);
	memcpy(out, all.ptr + offset, len);
}

/*
 * A rope's leaves change while a reply waits, so it gets a copy: of a large part one that is
 * pinned.
 */
static void reply_rope(struct reply *r, const struct rope *rope, size_t offset, size_t len)
{
	if (len < REPLY_PIN_MIN) {
		char part[REPLY_PIN_MIN];
		read_now(rope, offset, len, part);
		reply_bulk(r, part, len);
		return;
	}
	struct blob *copy = blob_new(len);
	read_now(rope, offset, len, copy->bytes);
	reply_bulk_pin(r, (struct slice){copy->bytes, len}, blob_unref, copy);
}

void string_reply(struct ctx *ctx, const struct entry *e, size_t offset, size_t len)
{
	const struct rope *rope = string_rope(e);
	if (rope) {
		reply_rope(ctx->reply, rope, offset, len);
		return;
	}
	struct slice all = entry_value(e);
	assert(offset <= all.len && len <= all.len - offset);
	struct slice part = {all.ptr + offset, len};
	struct blob *blob = entry_blob(e);
	if (blob && len >= REPLY_PIN_MIN)
		reply_bulk_pin(ctx->reply, part, blob_unref, blob_ref(blob));
	else
		reply_bulk_slice(ctx->reply, part);
}

/* What the entry that takes e's place keeps of it. */
static struct entry_spec spec_after(const struct ctx *ctx, uint32_t k, const struct entry *e,
				    size_t len)
{
	return (struct entry_spec){
		.key = ctx->keys[k].name,
		.value = {NULL, len},
		.expire = e ? entry_expire(e) : EXPIRE_NEVER,
		.type = ENTRY_STRING,
		.encoding = ENCODING_RAW,
		.access = e ? entry_access(e) : ctx_access_new(ctx),
	};
}

void string_edit_begin(struct ctx *ctx, uint32_t k, struct entry *e, size_t len,
		       struct string_edit *edit)
{
	struct retire *r = &ctx->shard->retire;
	*edit = (struct string_edit){.rope = e ? string_rope(e) : NULL, .retire = r};
	if (edit->rope) {
		ctx_open(ctx, k);
		rope_grow(edit->rope, len, r);
		return;
	}
	struct slice old = e ? entry_value(e) : (struct slice){NULL, 0};
	if (len < old.len)
		len = old.len;
	struct entry_spec spec = spec_after(ctx, k, e, len);
	struct blob *blob = e ? entry_blob(e) : NULL;
	if (len >= ENTRY_BLOB_MIN) {
		edit->rope = blob ? rope_over(blob, len, r) : rope_new(len, r);
		edit->fresh = entry_new_owner_only(&spec, edit->rope);
	} else {
		edit->fresh = entry_new(&spec);
		edit->bytes = entry_value_room(edit->fresh);
		memset(edit->bytes + old.len, 0, len - old.len);
	}
	if (!blob)
		string_edit_write(edit, 0, old);
}

void string_edit_read(const struct string_edit *edit, size_t offset, size_t len, char *out)
{
	if (edit->rope)
		read_now(edit->rope, offset, len, out);
	else
		memcpy(out, edit->bytes + offset, len);
}

void string_edit_write(struct string_edit *edit, size_t offset, struct slice bytes)
{
	if (bytes.len == 0)
		return;
	if (edit->rope)
		rope_write(edit->rope, offset, bytes, edit->retire);
	else
		memcpy(edit->bytes + offset, bytes.ptr, bytes.len);
}

void string_edit_end(struct ctx *ctx, uint32_t k, struct string_edit *edit)
{
	if (edit->fresh)
		ctx_put(ctx, k, edit->fresh);
	*edit = (struct string_edit){0};
}

void string_edit_drop(struct string_edit *edit)
{
	entry_free(edit->fresh);
	*edit = (struct string_edit){0};
}

void string_write(struct ctx *ctx, uint32_t k, struct entry *e, size_t offset, struct slice bytes)
{
	struct string_edit edit;
	string_edit_begin(ctx, k, e, offset + bytes.len, &edit);
	string_edit_write(&edit, offset, bytes);
	string_edit_end(ctx, k, &edit);
}

void string_digest(const struct entry *e, struct digest *digest)
{
	char *scratch;
	digest_mix(digest, string_bytes(e, &scratch));
	mem_free_unsized(scratch);
}

bool string_check_length(struct ctx *ctx, size_t offset, size_t len)
{
	uint64_t max = ctx_string_max(ctx);
	if (len <= max && offset <= max - len)
		return true;
	reply_error(ctx->reply, error_string_max);
	return false;
}
