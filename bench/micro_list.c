/*
 * What a large list costs: ns/op of pushing, popping, looking up and changing, one line each, and
 * the memory an element. Elements are texts of two lengths.
 *
 *	micro_list [elements]
 */
#include "proto/mem.h"
#include "shard/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ELEMENTS_DEFAULT 1000000
/* Operations of the rows that take longer than a push. */
#define PLACES 100000

static const size_t lengths[] = {3, 10, 100};

static volatile uint64_t sink; /* results go here, so that none is optimised away */

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static void row(const char *what, double start, uint64_t times)
{
	printf("    %-28s %8.1f ns/op\n", what, (now_ns() - start) / times);
}

static uint64_t random_next(void)
{
	static uint64_t state = 42;

	state = state * 6364136223846793005 + 1442695040888963407;
	return state >> 33;
}

static struct list_element element_of(size_t length, uint64_t i)
{
	static char text[128];

	snprintf(text, sizeof(text), "x%0*llu", (int)length, (unsigned long long)i);
	return (struct list_element){
		.item = listpack_item_of((struct slice){text + (length < 4), length})};
}

static void measure_ends(struct list *list, size_t length, uint64_t count)
{
	struct list_element element = element_of(length, 123);
	double start = now_ns();

	for (uint64_t i = 0; i < count; i++)
		list_push(list, LIST_FRONT, element, NULL);
	row("push in front", start, count);
	printf("    %-28s %8.2f bytes\n", "memory an element", (double)list_memory(list) / count);
	start = now_ns();
	for (uint64_t i = 0; i < count; i++) {
		sink += list_get(list, list_count(list) - 1).item.text.len;
		list_pop(list, LIST_BACK, NULL);
		list_push(list, LIST_FRONT, element, NULL);
	}
	row("look at back, pop, push", start, count);
}

static void measure_middle(struct list *list, size_t length, uint64_t count)
{
	struct list_element element = element_of(length, 7);
	struct list_iter iter;
	double start = now_ns();

	for (int i = 0; i < PLACES; i++)
		sink += list_get(list, random_next() % count).item.text.len;
	row("look anywhere", start, PLACES);
	start = now_ns();
	for (int i = 0; i < PLACES; i++)
		list_replace(list, random_next() % count, element, NULL);
	row("replace anywhere", start, PLACES);
	start = now_ns();
	for (int i = 0; i < PLACES; i++)
		list_insert(list, random_next() % count, element, NULL);
	row("insert anywhere", start, PLACES);
	start = now_ns();
	list_iter_init(&iter, list, 0, LIST_BACK);
	for (struct list_element each; list_iter_next(&iter, &each);)
		sink += each.item.text.len;
	row("read all", start, list_count(list));
	start = now_ns();
	uint64_t removed = list_remove_equal(list, LIST_FRONT, element.item, UINT64_MAX, NULL, NULL);
	row("remove those (of all read)", start, list_count(list) + removed);
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : ELEMENTS_DEFAULT;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct list *list = list_new();
		printf("%llu elements of %zu bytes\n", (unsigned long long)count, lengths[i]);
		measure_ends(list, lengths[i], count);
		measure_middle(list, lengths[i], count);
		list_free(list);
	}
}
