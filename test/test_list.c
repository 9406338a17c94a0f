/*
 * Lists against a plain array of numbered elements; and what leaves and nodes look like meanwhile.
 * test_list_freeze.c does it with snapshots.
 */
#include "list_model.h"

static void test_model(void **state)
{
	static const struct mix mixes[] = {
		{"a few of all kinds", 64, 50, 200000, 1000},
		{"small ones only", 3, 10000, 400000, 40},
		{"hundreds of all kinds", 200, 1000, 200000, 50},
		{"thousands of all kinds", 2000, 5000, 200000, 20},
	};
	struct check_random random = check_random_start();

	for (size_t i = 0; i < COUNT_OF(mixes); i++) {
		struct model m = {.list = list_new()};
		uint64_t last = 0;
		print_message("# %s\n", mixes[i].label);
		for (int n = 0; n < mixes[i].steps; n++) {
			step(&random, &mixes[i], &m, &last);
			if (n % (mixes[i].steps / mixes[i].checks) == 0)
				model_check(&m);
		}
		model_check(&m);
		struct list *copy = list_copy(m.list, NULL);
		list_free(m.list);
		m.list = copy;
		model_check(&m);
		model_deinit(&m);
	}
}

/* --- shapes --- */

static struct list_element number(int64_t n)
{
	return (struct list_element){.item = listpack_item_number(n)};
}

static int64_t number_at(const struct list *list, uint64_t index)
{
	return list_get(list, index).item.number;
}

#define MANY 100000

/* Leaves pushed to at an end fill up, nodes too; those that split stay half full at least. */
static void test_leaves_fill_up(void **state)
{
	static const struct {
		const char *label;
		uint64_t from_front, from_back; /* where each goes; one of them is 0 */
		double memory_max;              /* bytes of memory per byte of elements */
	} rows[] = {
		{"pushed in front", 0, UINT64_MAX, 1.1},
		{"pushed behind", UINT64_MAX, 0, 1.1},
		{"behind the same one", 1000, UINT64_MAX, 2.2},
		{"before the same one", UINT64_MAX, 1000, 2.2},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct list *list = list_new();
		print_message("# %s\n", rows[i].label);
		for (int n = 0; n < MANY; n++) {
			uint64_t count = list_count(list);
			uint64_t index = rows[i].from_front;
			if (index == UINT64_MAX)
				index = count -
					(rows[i].from_back < count ? rows[i].from_back : count);
			list_insert(list, index < count ? index : count, number(1000000 + n), NULL);
		}
		check_list(list);
		assert_true((double)list_memory(list) < rows[i].memory_max * (double)list->bytes);
		assert_true(list->height <= 2);
		list_free(list);
	}
}

/* Small elements between large ones don't take a whole chunk. */
static void test_mixed_sizes(void **state)
{
	static char text[2 * LIST_ALONE_MIN - 100];
	struct list_element large = {.item = {.text = {text, sizeof(text)}}};
	struct list *list = list_new();

	for (int i = 0; i < 2000; i++) {
		list_push(list, LIST_FRONT, i % 2 ? large : number(1000000 + i), NULL);
		list_push(list, LIST_BACK, i % 2 ? large : number(1000000 + i), NULL);
	}
	check_list(list);
	assert_true((double)list_memory(list) < 1.2 * (double)list->bytes);
	list_free(list);
}

/* A queue of a steady length takes steady memory, whatever has gone through it. */
static void test_queue(void **state)
{
	static const enum list_side sides[] = {LIST_FRONT, LIST_BACK};

	for (size_t i = 0; i < COUNT_OF(sides); i++) {
		struct list *list = list_new();
		for (int64_t n = 0; n < MANY; n++) {
			list_push(list, sides[i], number(n), NULL);
			if (n < 1000)
				continue;
			uint64_t last = sides[i] == LIST_FRONT ? list_count(list) - 1 : 0;
			assert_int_equal(number_at(list, last), n - 1000);
			list_pop(list, sides[1 - i], NULL);
		}
		assert_int_equal(list_count(list), 1000);
		assert_true(list_memory(list) < 4 * LIST_CHUNK);
		assert_true(list->height <= 1);
		check_list(list);
		list_free(list);
	}
}

/* Where all but a few elements go, their leaves become few. */
static void test_thinned_out(void **state)
{
	struct list *list = list_new();

	for (int64_t n = 0; n < MANY; n++)
		list_push(list, LIST_BACK, number(n % 100 ? 7 : n), NULL);
	size_t before = list_memory(list);
	assert_int_equal(list_remove_equal(list, LIST_BACK, number(7).item, UINT64_MAX, NULL, NULL),
			 MANY - MANY / 100);
	check_list(list);
	assert_int_equal(list_count(list), MANY / 100);
	for (uint64_t i = 0; i < MANY / 100; i++)
		assert_int_equal(number_at(list, i), i * 100);
	assert_true(list_memory(list) < before / 10);
	list_free(list);
}

/* What is cut off is freed bit by bit: no piece touches more leaves than it may. */
static void test_cut_is_freed_in_slices(void **state)
{
	struct list *list = list_new();

	for (int64_t n = 0; n < MANY; n++)
		list_push(list, LIST_BACK, number(1000000 + n), NULL);
	struct list *cut = list_cut(list, LIST_FRONT, MANY - 10, NULL);
	assert_non_null(cut);
	check_list(cut);
	check_list(list);
	assert_int_equal(list_count(list), 10);
	assert_int_equal(number_at(list, 0), 1000000 + MANY - 10);
	int slices = 1;
	uint64_t none = 0;
	for (size_t budget = 5; !list_free_slice(cut, &none, &budget); budget = 5, slices++)
		assert_int_equal(budget, 0);
	assert_in_range(slices, MANY * 5 / LIST_CHUNK / 5, MANY * 8 / LIST_CHUNK / 5 + 1);
	assert_null(list_cut(list, LIST_BACK, 0, NULL));
	list_free(list_cut(list, LIST_BACK, 10, NULL));
	assert_int_equal(list_count(list), 0);
	assert_int_equal(list_memory(list), mem_class(sizeof(*list)));
	list_free(list);
	list_free(NULL);
}

/* A blob that is handed in is shared, as it is by copies. */
static void test_blobs_are_shared(void **state)
{
	struct blob *blob = blob_new(LIST_ALONE_MIN);
	struct list_element element = {{.text = {blob->bytes, blob->len}}, blob};
	struct list *list = list_new();

	memset(blob->bytes, 'b', blob->len);
	list_push(list, LIST_BACK, element, NULL);
	list_push(list, LIST_FRONT, number(1), NULL);
	list_replace(list, 0, element, NULL);
	struct list *copy = list_copy(list, NULL);
	assert_int_equal(atomic_load(&blob->refs), 5);
	assert_ptr_equal(list_get(copy, 0).blob, blob);
	list_free(list);
	list_free(copy);
	assert_int_equal(atomic_load(&blob->refs), 1);
	blob_unref(blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaves_fill_up),
		cmocka_unit_test(test_mixed_sizes),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_thinned_out),
		cmocka_unit_test(test_cut_is_freed_in_slices),
		cmocka_unit_test(test_blobs_are_shared),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
