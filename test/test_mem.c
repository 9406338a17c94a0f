#include "test/check.h"

#include "proto/mem.h"

#include <string.h>
#ifdef ALLOCATOR_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

static const size_t sizes[] = {1,   7,   8,   9,   15,   16,   17,    24,    48,      64,     80,
			       100, 128, 129, 160, 1000, 4096, 14336, 16384, 1 << 20, 5000001};

static void aligned(const void *ptr, size_t to)
{
	assert_non_null(ptr);
	assert_int_equal((uintptr_t)ptr % to, 0);
}

static void allocates(void **state)
{
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		size_t size = sizes[i];
		char *a = mem_alloc(size);
		char *b = mem_zalloc(size);

		aligned(a, size < 16 ? 8 : 16);
		aligned(b, size < 16 ? 8 : 16);
		memset(a, 'a', size);
		for (size_t k = 0; k < size; k++)
			assert_int_equal(b[k], 0);
		mem_free(a, size);
		mem_free_unsized(b);
	}
	mem_free(NULL, 10);
	mem_free_unsized(NULL);
}

/* Memory that was dirty before comes back as zeros. */
static void zeroes_used_memory(void **state)
{
	for (int i = 0; i < 100; i++) {
		unsigned char *p = mem_alloc(200);

		memset(p, 0xff, 200);
		mem_free(p, 200);
		p = mem_zalloc(200);
		for (int k = 0; k < 200; k++)
			assert_int_equal(p[k], 0);
		memset(p, 0xff, 200);
		mem_free(p, 200);
	}
}

static void classes(void **state)
{
	for (size_t size = 1; size < 70000; size += size < 600 ? 1 : 61) {
		size_t class = mem_class(size);

		assert_true(class >= size);
		assert_int_equal(mem_class(class), class);
		/* Growing by classes wastes at most a quarter, as the tables expect. */
		if (size > 64)
			assert_true(class - size <= size / 4);
	}
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		mem_free(mem_alloc(mem_class(sizes[i])), mem_class(sizes[i]));
}

static void frees_by_class(void **state)
{
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		mem_free(mem_alloc(sizes[i]), mem_class(sizes[i]));
}

static void lines(void **state)
{
	for (size_t size = 64; size <= 40000; size += 64) {
		/* Several at once, so that they cannot all stand at the beginning of something. */
		void *p[3];

		for (int i = 0; i < 3; i++) {
			p[i] = mem_alloc_lines(size);
			aligned(p[i], 64);
			memset(p[i], i, size);
		}
		for (int i = 0; i < 3; i++)
			mem_free(p[i], size);
		/* Why mem_free may take the plain size. */
		assert_int_equal(mem_class(size) % 64, 0);
	}
}

static void reallocates(void **state)
{
	size_t size = 1;
	char *p = mem_realloc(NULL, size);

	p[0] = 'x';
	for (size_t next = 2; next < 3000000; next *= 3) {
		p = mem_realloc(p, next);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 'x');
		memset(p, 'x', next);
		size = next;
	}
	p = mem_realloc(p, 10);
	assert_memory_equal(p, "xxxxxxxxxx", 10);
	mem_free(p, 10);
}

static void says_what_it_holds(void **state)
{
	struct mem_stats before, after;
	const size_t size = 64 << 20;
	char *p;

	mem_stats_read(&before);
	p = mem_alloc(size);
	memset(p, 1, size);
	mem_stats_read(&after);
	assert_true(after.resident >= before.resident + size / 2);
#ifdef ALLOCATOR_JEMALLOC
	assert_true(after.allocated >= before.allocated + size);
	assert_true(after.active >= after.allocated);
	assert_true(after.resident >= after.active);
#endif
	mem_free(p, size);
	mem_purge();
#ifdef ALLOCATOR_JEMALLOC
	mem_stats_read(&after);
	assert_true(after.allocated < before.allocated + size / 2);
	assert_true(after.resident < before.resident + size / 2);
	assert_memory_equal(mem_name(), "jemalloc-", 9);
#else
	assert_string_equal(mem_name(), "libc");
#endif
}

static void purges_in_background(void **state)
{
#ifdef ALLOCATOR_JEMALLOC
	bool on = false;
	size_t len = sizeof(on);

	assert_true(mem_purge_in_background());
	assert_int_equal(mallctl("background_thread", &on, &len, NULL, 0), 0);
	assert_true(on);
#else
	assert_false(mem_purge_in_background());
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocates),
		cmocka_unit_test(zeroes_used_memory),
		cmocka_unit_test(classes),
		cmocka_unit_test(frees_by_class),
		cmocka_unit_test(lines),
		cmocka_unit_test(reallocates),
		cmocka_unit_test(says_what_it_holds),
		cmocka_unit_test(purges_in_background),
	};

	return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
