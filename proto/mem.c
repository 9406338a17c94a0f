/*
 * The allocator behind mem.h.
 *
 * Two of them, chosen when the program is built: jemalloc by its own interface (sizes, classes,
 * statistics), or the C library's malloc, which the sanitizers replace by theirs. With
 * AddressSanitizer the second one also checks what jemalloc would believe: that the size handed to
 * mem_free is the right one.
 */
#include "proto/mem.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 64

static void *checked(void *ptr, size_t size)
{
	if (__builtin_expect(ptr == NULL, 0)) {
		fprintf(stderr, "Out of memory allocating %zu bytes\n", size);
		abort();
	}
	return ptr;
}

#ifdef ALLOCATOR_JEMALLOC

#include <jemalloc/jemalloc.h>

#define TEXT_OF(number)  #number
#define VERSION(a, b, c) "jemalloc-" TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)
#define PURGE_OF(arena)  "arena." TEXT_OF(arena) ".purge"
#define PURGE_ALL(all)   PURGE_OF(all)
#define VERSION_OF(...)  VERSION(__VA_ARGS__)

/*
 * Unlike mallocx() it has a short way for small sizes; both are jemalloc's, or neither has this
 * name.
 */
void *mem_alloc(size_t size)
{
	return checked(malloc(size), size);
}

void *mem_zalloc(size_t size)
{
	return checked(mallocx(size, MALLOCX_ZERO), size);
}

/*
 * All of jemalloc's classes from 64 bytes on that a multiple of 64 falls into are multiples of 64
 * themselves, so asking for the alignment does not change the class, and mem_free need not know.
 */
void *mem_alloc_lines(size_t size)
{
	assert(size > 0 && size % LINE_SIZE == 0);
	return checked(mallocx(size, MALLOCX_ALIGN(LINE_SIZE)), size);
}

void *mem_realloc(void *ptr, size_t size)
{
	return checked(ptr != NULL ? rallocx(ptr, size, 0) : malloc(size), size);
}

void mem_free(void *ptr, size_t size)
{
	if (ptr != NULL)
		sdallocx(ptr, size, 0);
}

void mem_free_unsized(void *ptr)
{
	if (ptr != NULL)
		dallocx(ptr, 0);
}

size_t mem_class(size_t size)
{
	return nallocx(size, 0);
}

static size_t stat_read(const char *name)
{
	size_t value = 0;
	size_t len = sizeof(value);

	/* A jemalloc built without statistics says 0. */
	mallctl(name, &value, &len, NULL, 0);
	return value;
}

void mem_stats_read(struct mem_stats *stats)
{
	uint64_t epoch = 1;

	/* The counters stand still until the epoch is advanced. */
	mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
	stats->allocated = stat_read("stats.allocated");
	stats->active = stat_read("stats.active");
	stats->resident = stat_read("stats.resident");
	stats->retained = stat_read("stats.retained");
}

void mem_purge(void)
{
	mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
	mallctl(PURGE_ALL(MALLCTL_ARENAS_ALL), NULL, NULL, NULL, 0);
}

bool mem_purge_in_background(void)
{
	bool on = true;

	return mallctl("background_thread", NULL, NULL, &on, sizeof(on)) == 0;
}

const char *mem_name(void)
{
	return VERSION_OF(JEMALLOC_VERSION_MAJOR, JEMALLOC_VERSION_MINOR, JEMALLOC_VERSION_BUGFIX);
}

#else

#include <malloc.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define MALLOC_KNOWS_SIZES
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MALLOC_KNOWS_SIZES
#endif
#endif

void *mem_alloc(size_t size)
{
	assert(size > 0);
	return checked(malloc(size), size);
}

void *mem_zalloc(size_t size)
{
	assert(size > 0);
	return checked(calloc(1, size), size);
}

void *mem_alloc_lines(size_t size)
{
	assert(size > 0 && size % LINE_SIZE == 0);
	return checked(aligned_alloc(LINE_SIZE, size), size);
}

void *mem_realloc(void *ptr, size_t size)
{
	assert(size > 0);
	return checked(realloc(ptr, size), size);
}

void mem_free(void *ptr, size_t size)
{
#ifdef MALLOC_KNOWS_SIZES
	if (ptr != NULL) {
		size_t asked = malloc_usable_size(ptr);

		assert(size == asked || size == mem_class(asked));
	}
#endif
	free(ptr);
}

void mem_free_unsized(void *ptr)
{
	free(ptr);
}

/* jemalloc's classes, four to each power of two, so that what grows by classes grows alike here. */
size_t mem_class(size_t size)
{
	size_t step = 16;

	if (size <= 8)
		return 8;
	if (size > 128)
		step = (size_t)1 << (63 - __builtin_clzl(size - 1) - 2);
	return (size + step - 1) & ~(step - 1);
}

static size_t resident_read(void)
{
	size_t pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%*u %zu", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

void mem_stats_read(struct mem_stats *stats)
{
	struct mallinfo2 info = mallinfo2();

	stats->allocated = info.uordblks + info.hblkhd;
	stats->active = info.arena + info.hblkhd;
	stats->resident = resident_read();
	stats->retained = info.fordblks;
}

void mem_purge(void)
{
	malloc_trim(0);
}

bool mem_purge_in_background(void)
{
	return false;
}

const char *mem_name(void)
{
	return "libc";
}

#endif
