/*
 * Lists against a plain array of numbered elements: what the tests of lists share. Random
 * operations change both, and model_check() compares them.
 */
#ifndef TEST_LIST_MODEL_H
#define TEST_LIST_MODEL_H

#include "check.h"

#include "proto/mem.h"
#include "shard/entry.h"
#include "shard/list.h"
#include "shard/list_tree.h"

#include <string.h>

/* --- elements: made from a number, of many lengths, and many of them equal --- */

#define TEXT_MAX (3 * LIST_CHUNK)

/* How long the text of an id is, when it is no number. */
static inline size_t text_length(uint64_t id)
{
	switch (id % 8) {
	case 3:
		return LIST_ALONE_MIN - 30 + id % 60;
	case 4:
		return id % 64 == 4 ? TEXT_MAX - id % 100 : 300;
	default:
		return 4 + id % 71;
	}
}

/* Another text for each id, always the same. */
static inline struct slice make_text(uint64_t id, char out[TEXT_MAX])
{
	if (id % 8 < 3)
		return (struct slice){out, number_format(out, (int64_t)(id * id * 31) - 5000)};
	size_t len = text_length(id);
	memset(out, 'a' + (int)(id % 26), len);
	memcpy(out, &(uint32_t){id}, 4);
	return (struct slice){out, len};
}

static inline struct list_element make_element(uint64_t id, char *out)
{
	return (struct list_element){.item = listpack_item_of(make_text(id, out))};
}

static inline void check_element(struct list_element element, uint64_t id)
{
	char text[TEXT_MAX];
	struct listpack_item wanted = make_element(id, text).item;

	assert_true(listpack_item_equal(element.item, wanted));
	assert_int_equal(element.blob != NULL, list_leaf_wants_alone(wanted));
	if (element.blob)
		assert_ptr_equal(element.blob->bytes, element.item.text.ptr);
}

/* --- the model --- */

struct model {
	struct list *list;
	struct retire *retire; /* of the one unit of work; NULL: nobody else sees the list */
	uint64_t given;        /* lists given to it as a whole */
	uint64_t *ids;
	uint64_t count, cap;
};

static inline void model_insert(struct model *m, uint64_t index, uint64_t id)
{
	char text[TEXT_MAX];

	list_insert(m->list, index, make_element(id, text), m->retire);
	if (m->count == m->cap) {
		m->cap = m->cap ? 2 * m->cap : 1024;
		m->ids = realloc(m->ids, m->cap * sizeof(*m->ids));
	}
	memmove(m->ids + index + 1, m->ids + index, (m->count - index) * sizeof(*m->ids));
	m->ids[index] = id;
	m->count++;
}

static inline void model_drop(struct model *m, uint64_t index, uint64_t count)
{
	memmove(m->ids + index, m->ids + index + count,
		(m->count - index - count) * sizeof(*m->ids));
	m->count -= count;
}

static inline void model_replace(struct model *m, uint64_t index, uint64_t id)
{
	char text[TEXT_MAX];

	list_replace(m->list, index, make_element(id, text), m->retire);
	m->ids[index] = id;
}

static inline void model_pop(struct model *m, enum list_side side)
{
	list_pop(m->list, side, m->retire);
	model_drop(m, side == LIST_FRONT ? 0 : m->count - 1, 1);
}

/* At once, or when no snapshot needs it any more. */
static inline void model_free(struct model *m, struct list *list)
{
	struct entry_spec spec = {.key = SLICE("k"), .expire = EXPIRE_NEVER, .type = ENTRY_LIST};
	size_t budget = 1;
	uint64_t at = 0;

	if (m->retire) {
		retire_entry(m->retire, entry_new_owner_only(&spec, list));
		m->given++;
		return;
	}
	while (!list_free_slice(list, &at, &budget))
		budget = 3;
}

static inline void model_cut(struct model *m, enum list_side side, uint64_t count)
{
	struct list *cut = list_cut(m->list, side, count, m->retire);
	uint64_t at = side == LIST_FRONT ? 0 : m->count - count;

	if (cut) {
		uint64_t i = side == LIST_FRONT ? 0 : count - list_count(cut);
		struct list_iter iter;
		struct list_element element;
		assert_in_range(list_count(cut), 1, count);
		list_iter_init(&iter, cut, 0, LIST_BACK);
		while (list_iter_next(&iter, &element))
			check_element(element, m->ids[at + i++]);
		model_free(m, cut);
	}
	model_drop(m, at, count);
}

static inline void model_remove_equal(struct model *m, enum list_side side, uint64_t id,
				      uint64_t max)
{
	char text[TEXT_MAX];
	struct listpack_item item = make_element(id, text).item;
	uint64_t removed = list_remove_equal(m->list, side, item, max, m->retire, NULL);
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

/* Adds up what is below self, whose invariants hold. */
static inline void check_tree(const struct list_ref *self, uint32_t height, struct list *sums)
{
	assert_true(self->count > 0);
	if (height == 0) {
		assert_int_equal(list_leaf_count(self->child), self->count);
		sums->memory += list_leaf_memory(self->child);
		sums->bytes += list_leaf_bytes(self->child);
		if (!list_leaf_is_alone(self->child)) {
			const char *lp = list_leaf_listpack(self->child);
			assert_true(listpack_valid((struct slice){lp, listpack_bytes(lp)}));
		}
		return;
	}
	const struct list_node *node = self->child;
	assert_in_range(node->used, 1, LIST_CHILDREN_MAX);
	assert_int_equal(list_refs_count(node->refs, node->used), self->count);
	sums->memory += node->bytes;
	for (uint32_t i = 0; i < node->used; i++)
		check_tree(&node->refs[i], height - 1, sums);
}

static inline void check_list(const struct list *list)
{
	struct list_view now = list_at(list, EPOCH_NONE);
	struct list sums = {.bytes = 0};

	if (now.root.child)
		check_tree(&now.root, now.height, &sums);
	else
		assert_int_equal(now.root.count + now.height, 0);
	assert_int_equal(sums.memory, list->memory);
	assert_int_equal(sums.bytes, list->bytes);
	if (now.height > 0)
		assert_true(((const struct list_node *)now.root.child)->used > 1);
}

/* Everything is where it should be, and the sums are right. */
static inline void model_check(const struct model *m)
{
	struct list_iter iter;
	struct list_element element;
	uint64_t i = 0;

	assert_int_equal(list_count(m->list), m->count);
	check_list(m->list);
	list_iter_init(&iter, m->list, 0, LIST_BACK);
	while (list_iter_next(&iter, &element))
		check_element(element, m->ids[i++]);
	assert_int_equal(i, m->count);
	list_iter_init(&iter, m->list, m->count - 1, LIST_FRONT);
	while (list_iter_next(&iter, &element))
		check_element(element, m->ids[--i]);
	assert_int_equal(i, 0);
}

static inline void model_deinit(struct model *m)
{
	list_free(m->list);
	free(m->ids);
}

/* --- random operations --- */

/* The model's work is linear: lists of thousands get a few hundred thousand steps in all. */
struct mix {
	const char *label;
	uint64_t ids;       /* elements are made from so many numbers */
	uint64_t count_max; /* beyond, elements go */
	int steps;
	int checks; /* how often all is compared */
};

static inline uint64_t random_id(struct check_random *random, const struct mix *mix)
{
	return check_random_below(random, mix->ids);
}

/* A place for an insertion: often at an end, or where the last one was. */
static inline uint64_t random_place(struct check_random *random, const struct model *m,
				    uint64_t last)
{
	switch (check_random_below(random, 8)) {
	case 0:
	case 1:
	case 2:
		return 0;
	case 3:
	case 4:
		return m->count;
	case 5:
		return last <= m->count ? last : m->count;
	default:
		return check_random_below(random, m->count + 1);
	}
}

static inline enum list_side random_side(struct check_random *random)
{
	return check_random_below(random, 2) ? LIST_FRONT : LIST_BACK;
}

static inline void step_take(struct check_random *random, const struct mix *mix, struct model *m)
{
	enum list_side side = random_side(random);

	switch (check_random_below(random, mix->count_max)) {
	case 0:
		model_cut(m, side, check_random_below(random, m->count + 1));
		break;
	case 1:
	case 2:
	case 3:
		model_cut(m, side, check_random_below(random, m->count / 8 + 1));
		break;
	case 4:
		model_remove_equal(m, side, random_id(random, mix),
				   check_random_below(random, 2) ? UINT64_MAX
								 : check_random_below(random, 9));
		break;
	default:
		model_pop(m, side);
	}
}

static inline void step_read(struct check_random *random, const struct model *m)
{
	uint64_t index = check_random_below(random, m->count);
	enum list_side towards = random_side(random);
	struct list_iter iter;
	struct list_element element;

	check_element(list_get(m->list, index), m->ids[index]);
	list_iter_init(&iter, m->list, index, towards);
	for (int i = 0; i < 5 && index < m->count; i++) {
		assert_true(list_iter_next(&iter, &element));
		check_element(element, m->ids[index]);
		index += towards == LIST_BACK ? 1 : -1;
	}
}

/* All that are equal to one, from a random place on. */
static inline void step_find(struct check_random *random, const struct mix *mix,
			     const struct model *m)
{
	uint64_t id = random_id(random, mix), index = check_random_below(random, m->count), found;
	enum list_side towards = random_side(random);
	char text[TEXT_MAX];
	struct list_iter iter;

	list_iter_init(&iter, m->list, index, towards);
	while (list_iter_find(&iter, make_element(id, text).item, &found)) {
		for (; index != found; index += towards == LIST_BACK ? 1 : -1)
			assert_true(m->ids[index] != id);
		assert_int_equal(m->ids[index], id);
		index += towards == LIST_BACK ? 1 : -1;
	}
	for (; index < m->count; index += towards == LIST_BACK ? 1 : -1)
		assert_true(m->ids[index] != id);
}

/* The same among those between two places only. */
static inline void step_find_within(struct check_random *random, const struct mix *mix,
				    const struct model *m)
{
	uint64_t id = random_id(random, mix), found;
	uint64_t first = check_random_below(random, m->count);
	uint64_t end = first + check_random_below(random, m->count - first) + 1;
	enum list_side towards = random_side(random);
	int64_t by = towards == LIST_BACK ? 1 : -1;
	char text[TEXT_MAX];
	struct list_iter iter;

	uint64_t index = towards == LIST_BACK ? first : end - 1;
	list_iter_init(&iter, m->list, index, towards);
	iter.first = first;
	iter.count = end;
	while (list_iter_find(&iter, make_element(id, text).item, &found)) {
		assert_true(found >= first && found < end);
		for (; index != found; index += by)
			assert_true(m->ids[index] != id);
		index += by;
	}
	for (; index >= first && index < end; index += by)
		assert_true(m->ids[index] != id);
}

static inline void step(struct check_random *random, const struct mix *mix, struct model *m,
			uint64_t *last)
{
	bool growing = m->count < mix->count_max && check_random_below(random, 8) > 0;

	if (m->count == 0 || (growing && check_random_below(random, 3) > 0)) {
		*last = random_place(random, m, *last);
		model_insert(m, *last, random_id(random, mix));
		*last += check_random_below(random, 2);
	} else if (check_random_below(random, 4) == 0) {
		model_replace(m, check_random_below(random, m->count), random_id(random, mix));
	} else if (check_random_below(random, 4) == 0) {
		step_read(random, m);
	} else if (check_random_below(random, 50) == 0) {
		step_find(random, mix, m);
		step_find_within(random, mix, m);
	} else {
		step_take(random, mix, m);
	}
}

#endif
