/*
 * Reading lists in their two forms (list_value.h).
 */
#include "shard/list_value.h"

#include "shard/turn.h"

#include <assert.h>

/* The structure of a list that is one. */
static const struct list *list_structure(const struct entry *e)
{
	assert(entry_type(e) == ENTRY_LIST);
	return e->flags & ENTRY_OWNER_ONLY ? entry_structure(e) : NULL;
}

uint64_t list_length(const struct entry *e)
{
	const struct list *list = list_structure(e);

	return list ? list_count(list) : listpack_count(entry_value(e).ptr);
}

void list_read(struct list_iter *iter, const struct entry *e, uint64_t index,
	       enum list_side towards)
{
	const struct list *list = list_structure(e);

	if (list)
		list_iter_init(iter, list, index, towards);
	else
		list_iter_init_packed(iter, entry_value(e).ptr, index, towards);
}

void list_read_at(struct list_iter *iter, const struct entry *e, uint64_t cut)
{
	const struct list *list = list_structure(e);

	if (list)
		list_iter_init_view(iter, list_at(list, cut), 0, LIST_BACK);
	else
		list_iter_init_packed(iter, entry_value(e).ptr, 0, LIST_BACK);
}

void list_reply_element(struct reply *r, struct list_element element)
{
	struct slice text = element.item.text;

	if (listpack_item_is_number(element.item))
		reply_bulk_int(r, element.item.number);
	else if (element.blob && text.len >= REPLY_PIN_MIN)
		reply_bulk_pin(r, text, blob_unref, blob_ref(element.blob));
	else
		reply_bulk_slice(r, text);
}

void list_reply_range(struct ctx *ctx, const struct entry *e, uint64_t index, uint64_t count,
		      enum list_side towards)
{
	struct list_iter iter;
	struct list_element element;

	reply_array(ctx->reply, count);
	list_read(&iter, e, index, towards);
	while (count-- > 0 && list_iter_next(&iter, &element)) {
		list_reply_element(ctx->reply, element);
		turn_step(ctx->shard);
	}
}

/* --- for all types --- */

void list_digest(const struct entry *e, struct digest *digest)
{
	struct list_iter iter;
	struct list_element element;
	char room[NUMBER_TEXT_MAX];

	list_read(&iter, e, 0, LIST_BACK);
	while (list_iter_next(&iter, &element))
		digest_mix(digest, listpack_item_text(element.item, room));
}
