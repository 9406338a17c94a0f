/* Lists against a plain array of numbered elements; and what leaves and nodes look like meanwhile. */
#include "check.h"

#include "proto/mem.h"
#include "shard/list.h"
#include "shard/list_leaf.h"

#include <string.h>

/* --- elements: made from a number, of many lengths, and many of them equal --- */

#define TEXT_MAX (3 * LIST_CHUNK)

/* The same text for the same id: integers, short, middling and lone ones. */
static struct slice make_text(uint64_t id, char *out)
{
	size_t len;

	switch (id % 8) {
	case 0:
	case 1:
	case 2:
		return (struct slice){out, number_format(out, (int64_t)(id * id * 31) - 5000)};
	case 3:
		len = LIST_ALONE_MIN - 30 + id % 60;
		break;
	case 4:
		len = id % 64 == 4 ? TEXT_MAX - id % 100 : 300;
		break;
	default:
		len = id % 71;
	}
	memset(out, 'a' + (int)(id % 26), len);
	len = len < 8 ? len : 8;
	memcpy(out, "xxxxxxxx", len);
	if (len == 8)
		memcpy(out + 1, &id, 7);
	switch (id % 8) {
	case 3:
		return (struct slice){out, LIST_ALONE_MIN - 30 + id % 60};
	case 4:
		return (struct slice){out, id % 64 == 4 ? TEXT_MAX - id % 100 : 300};
	default:
		return (struct slice){out, id % 71};
	}
}

static struct list_element make_element(uint64_t id, char *out)
{
	return (struct list_element){.item = listpack_item_of(make_text(id, out))};
}

static void check_element(struct list_element element, uint64_t id)
{
	char text[TEXT_MAX];
	struct listpack_item wanted = make_element(id, text).item;

	assert_true(listpack_item_equal(element.item, wanted));
	assert_int_equal(element.blob != NULL, leaf_wants_alone(wanted));
	if (element.blob)
		assert_ptr_equal(element.blob->bytes, element.item.text.ptr);
}

/* --- the model --- */

struct model {
	struct list *list;
	uint64_t *ids;
	uint64_t count, cap;
};

static void model_insert(struct model *m, uint64_t index, uint64_t id)
{
	char text[TEXT_MAX];

	list_insert(m->list, index, make_element(id, text));
	if (m->count == m->cap) {
		m->cap = m->cap ? 2 * m->cap : 1024;
		m->ids = realloc(m->ids, m->cap * sizeof(*m->ids));
	}
	memmove(m->ids + index + 1, m->ids + index, (m->count - index) * sizeof(*m->ids));
	m->ids[index] = id;
	m->count++;
}

static void model_drop(struct model *m, uint64_t index, uint64_t count)
{
	memmove(m->ids + index, m->ids + index + count,
		(m->count - index - count) * sizeof(*m->ids));
	m->count -= count;
}

static void model_replace(struct model *m, uint64_t index, uint64_t id)
{
	char text[TEXT_MAX];

	list_replace(m->list, index, make_element(id, text));
	m->ids[index] = id;
}

static void model_pop(struct model *m, enum list_side side)
{
	list_pop(m->list, side);
	model_drop(m, side == LIST_FRONT ? 0 : m->count - 1, 1);
}

static void model_cut(struct model *m, enum list_side side, uint64_t count)
{
	struct list *cut = list_cut(m->list, side, count);
	uint64_t at = side == LIST_FRONT ? 0 : m->count - count;

	if (cut) {
		uint64_t i = side == LIST_FRONT ? 0 : count - list_count(cut);
		struct list_iter iter;
		struct list_element element;
		assert_in_range(list_count(cut), 1, count);
		list_iter_init(&iter, cut, 0, LIST_BACK);
		while (list_iter_next(&iter, &element))
			check_element(element, m->ids[at + i++]);
		size_t budget = 1;
		while (!list_free_slice(cut, &budget))
			budget = 3;
	}
	model_drop(m, at, count);
}

static void model_remove_equal(struct model *m, enum list_side side, uint64_t id, uint64_t max)
{
	char text[TEXT_MAX];
	struct listpack_item item = make_element(id, text).item;
	uint64_t removed = list_remove_equal(m->list, side, item, max);
	uint64_t expected = 0;

	if (side == LIST_FRONT) {
		uint64_t kept = 0;
		for (uint64_t i = 0; i < m->count; i++) {
			if (m->ids[i] == id && expected < max)
				expected++;
			else
				m->ids[kept++] = m->ids[i];
		}
	} else {
		uint64_t at = m->count;
		for (uint64_t i = m->count; i-- > 0;) {
			if (m->ids[i] == id && expected < max)
				expected++;
			else
				m->ids[--at] = m->ids[i];
		}
		memmove(m->ids, m->ids + at, (m->count - at) * sizeof(*m->ids));
	}
	m->count -= expected;
	assert_int_equal(removed, expected);
}

/* Everything is where it should be, and the sums are right. */
static void model_check(const struct model *m)
{
	struct list_iter iter;
	struct list_element element;
	uint64_t i = 0;

	assert_int_equal(list_count(m->list), m->count);
	list_check(m->list);
	list_iter_init(&iter, m->list, 0, LIST_BACK);
	while (list_iter_next(&iter, &element))
		check_element(element, m->ids[i++]);
	assert_int_equal(i, m->count);
	list_iter_init(&iter, m->list, m->count - 1, LIST_FRONT);
	while (list_iter_next(&iter, &element))
		check_element(element, m->ids[--i]);
	assert_int_equal(i, 0);
}

static void model_deinit(struct model *m)
{
	list_free(m->list);
	free(m->ids);
}

int main(void)
{
	return 0;
}
