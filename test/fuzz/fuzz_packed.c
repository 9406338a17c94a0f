/*
 * Listpacks and intsets from outside: what passes the check can be walked both ways, built anew
 * element by element, and changed; nothing else matters, but that no byte outside is read.
 *
 * Input: one byte that says what it is, then the bytes.
 */
#include "proto/mem.h"
#include "shard/intset.h"
#include "shard/listpack.h"
#include "test/must.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same elements as we write them. */
static char *rebuilt(const char *lp, size_t *bytes)
{
	struct listpack_builder builder;
	struct listpack_item item;
	/* No element gets longer: numbers are shorter than their texts. */
	char *out = mem_alloc(listpack_bytes(lp));

	listpack_start(&builder, out);
	for (size_t at = listpack_first(lp); at < listpack_end(lp);) {
		char room[NUMBER_TEXT_MAX];

		at = listpack_read(lp, at, &item);
		listpack_append(&builder, listpack_item_of(listpack_item_text(item, room)));
	}
	*bytes = listpack_finish(&builder);
	return out;
}

/* Each element is found from its own place on, and backwards the walk meets the same places. */
static void listpack_walk(const char *lp)
{
	size_t count = 0, at, end = listpack_end(lp), next;
	struct listpack_item item;

	for (at = listpack_first(lp); at < end; at = next) {
		next = listpack_read(lp, at, &item);
		MUST(next == listpack_next(lp, at) && listpack_prev(lp, next) == at);
		MUST(listpack_item_bytes(item) == next - at);
		MUST(listpack_find(lp, at, item, 0) == at);
		count++;
	}
	MUST(at == end && count == listpack_count(lp));
	while ((at = listpack_prev(lp, at)) != 0)
		count--;
	MUST(count == 0);
}

static void listpack_check(struct slice bytes)
{
	size_t rebuilt_bytes, again_bytes;
	char *lp, *again;

	if (!listpack_valid(bytes))
		return;
	lp = rebuilt(bytes.ptr, &rebuilt_bytes);
	MUST(listpack_valid((struct slice){lp, rebuilt_bytes}));
	MUST(listpack_count(lp) == listpack_count(bytes.ptr));
	listpack_walk(lp);
	again = rebuilt(lp, &again_bytes);
	MUST(slice_equal((struct slice){lp, rebuilt_bytes}, (struct slice){again, again_bytes}));
	/* Without its first half. */
	listpack_splice(again, again, listpack_first(again),
			listpack_count(lp) > 0 ? listpack_seek(again, listpack_count(lp) / 2)
					       : listpack_end(again),
			NULL, 0);
	MUST(listpack_valid((struct slice){again, listpack_bytes(again)}));
	MUST(listpack_count(again) == listpack_count(lp) - listpack_count(lp) / 2);
	mem_free(again, rebuilt_bytes);
	mem_free(lp, bytes.len);
}

static void intset_check(struct slice bytes)
{
	char *set;
	size_t index;

	if (!intset_valid(bytes))
		return;
	for (size_t i = 0; i < intset_count(bytes.ptr); i++)
		MUST(intset_find(bytes.ptr, intset_get(bytes.ptr, i), &index) && index == i);
	if (intset_find(bytes.ptr, INT64_MIN, &index))
		return;
	set = mem_alloc(intset_add_bytes(bytes.ptr, INT64_MIN));
	intset_add(set, bytes.ptr, index, INT64_MIN);
	MUST(index == 0 && intset_valid((struct slice){set, intset_bytes(set)}));
	for (size_t i = 0; i < intset_count(bytes.ptr); i++)
		MUST(intset_get(bytes.ptr, i) == intset_get(set, i + 1));
	mem_free(set, intset_bytes(set));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = {(const char *)data + 1, size - 1};

	if (size == 0)
		return 0;
	if (data[0] & 1)
		intset_check(bytes);
	else
		listpack_check(bytes);
	return 0;
}
