/*
 * Lists (list.h): life, finding and iterating. What changes them stands in list_insert.c and
 * list_remove.c.
 */
#include "shard/list.h"

#include "proto/mem.h"
#include "shard/list_tree.h"
#include "shard/turn.h"

#include <assert.h>

/* --- as it is, or was --- */

static bool is_noted(const struct list *list, uint64_t cut)
{
	return cut != EPOCH_NONE && atomic_load_explicit(&list->cut, memory_order_acquire) == cut;
}

/*
 * Who finds no note after it has loaded what is there has not loaded anything that was stored
 * after one: for that it would see the note as well.
 */
struct list_view list_at(const struct list *list, uint64_t cut)
{
	struct list_view now;

	now.root.child = atomic_load_explicit(&list->root, memory_order_acquire);
	now.root.count = atomic_load_explicit(&list->count, memory_order_acquire);
	now.height = atomic_load_explicit(&list->height, memory_order_acquire);
	return is_noted(list, cut) ? list->at_cut : now;
}

/* --- memory --- */

struct list *list_new(void)
{
	return mem_zalloc(sizeof(struct list));
}

struct list *list_new_packed(const char *lp, const struct retire *r)
{
	struct list *list = list_new();
	struct list_change change = {.list = list, .epoch = list_epoch(r)};
	if (listpack_count(lp) > 0)
		change.now.root = list_leaf_add(&change, list_leaf_packed(lp, change.epoch));
	list_change_end(&change);
	return list;
}

/* Frees from the back, up to *budget leaves; true when all of it is gone. */
static bool free_below(struct list_change *change, struct list_ref *self, uint32_t height,
		       size_t *budget)
{
	if (*budget == 0)
		return false;
	if (height == 0) {
		list_leaf_drop(change, self->child);
		--*budget;
		return true;
	}
	struct list_node *node = self->child;
	while (node->used > 0) {
		if (!free_below(change, &node->refs[node->used - 1], height - 1, budget))
			return false;
		node->used--;
	}
	list_node_free(change, node);
	return true;
}

bool list_free_slice(struct list *list, uint64_t *at, size_t *budget)
{
	struct list_change change = {.list = list, .now = list_at(list, EPOCH_NONE)};
	if (change.now.root.child &&
	    !free_below(&change, &change.now.root, change.now.height, budget))
		return false;
	assert(list->memory == 0 && list->bytes == 0);
	mem_free(list, sizeof(*list));
	return true;
}

void list_free(struct list *list)
{
	uint64_t at = 0;
	size_t budget = SIZE_MAX;
	if (list)
		list_free_slice(list, &at, &budget);
}

static struct list_ref copy_below(struct list_change *copy, const struct list_ref *self,
				  uint32_t height, struct shard *shard)
{
	if (height == 0) {
		turn_step(shard);
		return list_leaf_add(copy, list_leaf_copy(self->child, copy->epoch));
	}
	const struct list_node *node = self->child;
	struct list_node *new = list_node_new(copy, node->used);
	for (; new->used < node->used; new->used++)
		new->refs[new->used] = copy_below(copy, &node->refs[new->used], height - 1, shard);
	return (struct list_ref){new, self->count};
}

struct list *list_copy(const struct list *list, struct shard *shard)
{
	struct list_view from = list_at(list, EPOCH_NONE);
	struct list_change copy = {
		.list = list_new(),
		.now.height = from.height,
		.epoch = list_epoch(shard ? &shard->retire : NULL),
	};
	if (from.root.child)
		copy.now.root = copy_below(&copy, &from.root, from.height, shard);
	list_change_end(&copy);
	return copy.list;
}

size_t list_memory(const struct list *list)
{
	return mem_class(sizeof(*list)) + list->memory;
}

/* --- finding --- */

/* The leaf in which the index is; *index becomes that within the leaf. */
static const struct list_ref *find_leaf(const struct list_view *view, uint64_t *index)
{
	const struct list_ref *self = &view->root;
	assert(*index < self->count);
	for (uint32_t height = view->height; height > 0; height--) {
		const struct list_node *node = self->child;
		self = &node->refs[list_node_find(node, self->count, index)];
	}
	return self;
}

static size_t leaf_seek(const void *leaf, uint64_t index)
{
	return list_leaf_is_alone(leaf) ? 0
					: listpack_seek(list_leaf_listpack(leaf), (int64_t)index);
}

struct list_element list_get(const struct list *list, uint64_t index)
{
	struct list_view now = list_at(list, EPOCH_NONE);
	const struct list_ref *self = find_leaf(&now, &index);
	return list_leaf_get(self->child, leaf_seek(self->child, index));
}

/* --- iterating --- */

void list_iter_init_view(struct list_iter *iter, struct list_view view, uint64_t index,
			 enum list_side towards)
{
	*iter = (struct list_iter){.view = view,
				   .towards = towards,
				   .count = view.root.count,
				   .index = index};
}

void list_iter_init(struct list_iter *iter, const struct list *list, uint64_t index,
		    enum list_side towards)
{
	list_iter_init_view(iter, list_at(list, EPOCH_NONE), index, towards);
}

/* The next element is number `index` of the listpack's `count`. */
static void iter_enter(struct list_iter *iter, const char *lp, uint64_t index, uint64_t count)
{
	iter->lp = lp;
	iter->at = listpack_seek(lp, (int64_t)index);
	iter->left = iter->towards == LIST_BACK ? count - index : index + 1;
}

void list_iter_init_packed(struct list_iter *iter, const char *lp, uint64_t index,
			   enum list_side towards)
{
	*iter = (struct list_iter){.towards = towards, .count = listpack_count(lp), .index = index};
	if (index < iter->count)
		iter_enter(iter, lp, index, iter->count);
}

static void iter_enter_leaf(struct list_iter *iter)
{
	uint64_t index = iter->index;
	const struct list_ref *self = find_leaf(&iter->view, &index);

	if (list_leaf_is_alone(self->child)) {
		iter->lp = NULL;
		iter->blob = list_leaf_blob(self->child);
		iter->left = 1;
	} else {
		iter_enter(iter, list_leaf_listpack(self->child), index, self->count);
	}
}

/* Is there another element? Then it is within the leaf. */
static bool iter_ready(struct list_iter *iter)
{
	if (iter->index < iter->first || iter->index >= iter->count)
		return false;
	if (iter->left == 0)
		iter_enter_leaf(iter);
	return true;
}

bool list_iter_next(struct list_iter *iter, struct list_element *element)
{
	bool back = iter->towards == LIST_BACK;
	size_t next = 0;

	if (!iter_ready(iter))
		return false;
	if (iter->lp) {
		next = listpack_read(iter->lp, iter->at, &element->item);
		element->blob = NULL;
	} else {
		*element = list_element_of_blob(iter->blob);
	}
	iter->index += back ? 1 : -1;
	if (--iter->left > 0)
		iter->at = back ? next : listpack_prev(iter->lp, iter->at);
	return true;
}

/* Goes on within a listpack to an element equal to `item`, or to the end. */
static void iter_skip_to(struct list_iter *iter, struct listpack_item item)
{
	size_t at = listpack_find(iter->lp, iter->at, item, 0);
	uint64_t passed = at ? listpack_range_count(iter->lp, iter->at, at) : iter->left;

	iter->index += passed;
	iter->left -= passed;
	iter->at = at;
}

bool list_iter_find(struct list_iter *iter, struct listpack_item item, uint64_t *index)
{
	struct list_element element;

	while (iter_ready(iter)) {
		turn_step(iter->shard);
		if (iter->lp && iter->towards == LIST_BACK)
			iter_skip_to(iter, item);
		if (iter->left == 0 || iter->index >= iter->count)
			continue; /* the leaf is done with, or all are */
		*index = iter->index;
		list_iter_next(iter, &element);
		if (listpack_item_equal(element.item, item))
			return true;
	}
	return false;
}
