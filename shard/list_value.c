/*
 * Reading lists in their two forms (list_value.h).
 */
#include "shard/list_value.h"

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

void list_reader_init(struct list_reader *reader, const struct entry *e, uint64_t index,
		      enum list_side towards)
{
	const struct list *list = list_structure(e);

	if (list) {
		reader->lp = NULL;
		list_iter_init(&reader->iter, list, index, towards);
		return;
	}
	const char *lp = entry_value(e).ptr;
	uint64_t count = listpack_count(lp);
	reader->lp = lp;
	reader->towards = towards;
	reader->left = index >= count ? 0 : towards == LIST_BACK ? count - index : index + 1;
	reader->at = reader->left ? listpack_seek(lp, (int64_t)index) : 0;
}

bool list_reader_next(struct list_reader *reader, struct list_element *element)
{
	if (!reader->lp)
		return list_iter_next(&reader->iter, element);
	if (reader->left == 0)
		return false;
	size_t next = listpack_read(reader->lp, reader->at, &element->item);
	element->blob = NULL;
	if (--reader->left > 0)
		reader->at =
			reader->towards == LIST_BACK ? next : listpack_prev(reader->lp, reader->at);
	return true;
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

void list_reply_range(struct reply *r, const struct entry *e, uint64_t index, uint64_t count,
		      enum list_side towards)
{
	struct list_reader reader;
	struct list_element element;

	reply_array(r, count);
	list_reader_init(&reader, e, index, towards);
	while (count-- > 0 && list_reader_next(&reader, &element))
		list_reply_element(r, element);
}

/* --- for all types --- */

void list_digest(const struct entry *e, struct digest *digest)
{
	struct list_reader reader;
	struct list_element element;
	char room[NUMBER_TEXT_MAX];

	list_reader_init(&reader, e, 0, LIST_BACK);
	while (list_reader_next(&reader, &element))
		digest_mix(digest, listpack_item_text(element.item, room));
}

size_t list_serialized(const struct entry *e)
{
	const struct list *list = list_structure(e);
	size_t size = list ? list->bytes + LISTPACK_BYTES_MIN : entry_value(e).len;

	return size + serialized_length(size);
}
