/*
 * Elements out of strings, listpacks, ziplists, zipmaps and intsets (rdb_source.h). A packed
 * format is checked as a whole before its first element is read.
 */
#include "shard/rdb_source.h"

#include "shard/intset.h"
#include "shard/ziplist.h"

const char rdb_error_packed[] = "a packed collection is damaged";

/* The element at s->at, of which s->left are to come. */
static void read_item(struct rdb_source *s, struct listpack_item *item)
{
	const char *bytes = s->packed.text.ptr;

	switch (s->form) {
	case RDB_FORM_LISTPACK:
		s->at = listpack_read(bytes, s->at, item);
		break;
	case RDB_FORM_ZIPLIST:
		s->at = ziplist_read(bytes, s->at, item);
		break;
	case RDB_FORM_ZIPMAP:
		s->at = zipmap_read(bytes, s->at, s->left % 2, item);
		break;
	default:
		*item = listpack_item_number(intset_get(bytes, s->at++));
	}
}

bool rdb_source_text(struct rdb_source *s, unsigned place, struct slice *text)
{
	struct rdb_string *string = &s->strings[place];
	struct listpack_item item;

	if (s->form != RDB_FORM_STRINGS) {
		read_item(s, &item);
		*text = listpack_item_text(item, string->room);
	} else {
		if (!rdb_read_string(s->in, string))
			return false;
		*text = string->text;
	}
	s->left--;
	return true;
}

static uint64_t count_ziplist(struct slice bytes)
{
	struct listpack_item item;
	uint64_t count = 0;

	for (size_t at = ZIPLIST_FIRST; at < bytes.len - 1; count++)
		at = ziplist_read(bytes.ptr, at, &item);
	return count;
}

static uint64_t count_zipmap(struct slice bytes)
{
	struct listpack_item item;
	uint64_t count = 0;

	for (size_t at = ZIPMAP_FIRST; at < bytes.len - 1; count++)
		at = zipmap_read(bytes.ptr, at, count % 2, &item);
	return count;
}

static uint64_t count_listpack(struct slice bytes)
{
	return listpack_count(bytes.ptr);
}

static uint64_t count_intset(struct slice bytes)
{
	return intset_count(bytes.ptr);
}

bool rdb_source_unpack(struct rdb_source *s)
{
	static const struct {
		bool (*valid)(struct slice bytes);
		uint64_t (*count)(struct slice bytes);
		size_t first;
	} forms[RDB_FORM_COUNT] = {
		[RDB_FORM_LISTPACK] = {listpack_valid, count_listpack, LISTPACK_HEADER},
		[RDB_FORM_ZIPLIST] = {ziplist_valid, count_ziplist, ZIPLIST_FIRST},
		[RDB_FORM_ZIPMAP] = {zipmap_valid, count_zipmap, ZIPMAP_FIRST},
		[RDB_FORM_INTSET] = {intset_valid, count_intset, 0},
	};
	struct slice bytes = s->packed.text;

	if (!forms[s->form].valid(bytes))
		return rdb_fail(s->in, rdb_error_packed);
	s->at = forms[s->form].first;
	s->left = forms[s->form].count(bytes);
	return true;
}

bool rdb_source_begin(struct rdb_source *s, unsigned parts)
{
	if (s->form != RDB_FORM_STRINGS) {
		if (!rdb_read_string(s->in, &s->packed) || !rdb_source_unpack(s))
			return false;
		if (s->left % parts != 0)
			return rdb_fail(s->in, rdb_error_packed);
	} else {
		if (!rdb_read_length(s->in, &s->left))
			return false;
		/* Each takes a byte at least: so no sum of them runs over. */
		if (s->left > (size_t)(s->in->end - s->in->at))
			return rdb_fail(s->in, "more elements than there are bytes");
		s->left *= parts;
	}
	return s->left > 0 || rdb_fail(s->in, rdb_error_empty);
}

void rdb_source_deinit(struct rdb_source *s)
{
	rdb_string_deinit(&s->packed);
	for (size_t i = 0; i < sizeof(s->strings) / sizeof(*s->strings); i++)
		rdb_string_deinit(&s->strings[i]);
}
