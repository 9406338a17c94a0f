/*
 * Memory, with sizes.
 *
 * All memory of keys, values, requests and replies comes from here: jemalloc in a normal build, the
 * C library under a sanitizer (meson option `allocator`). There is no failure to handle: a server
 * that cannot allocate stops with a message.
 *
 * Who frees says how much (mem_free): jemalloc then need not look it up. The size handed to
 * mem_free is the one asked for, or the one that mem_class gave for it.
 *
 * Any thread.
 */
#ifndef PROTO_MEM_H
#define PROTO_MEM_H

#include <stdbool.h>
#include <stddef.h>

/* Uninitialised memory of `size` > 0 bytes, aligned to 16 (to 8 below 16 bytes). Never NULL. */
void *mem_alloc(size_t size) __attribute__((malloc, alloc_size(1)));

/* The same, all zero. */
void *mem_zalloc(size_t size) __attribute__((malloc, alloc_size(1)));

/*
 * `size` bytes (a multiple of 64) on a 64-byte boundary: whole cache lines. Freed by mem_free with
 * the plain size, for these have the same classes; not for mem_realloc, which forgets the boundary.
 */
void *mem_alloc_lines(size_t size) __attribute__((malloc, alloc_size(1)));

/* Grows or shrinks, keeping the content; `ptr` may be NULL. */
void *mem_realloc(void *ptr, size_t size);

/* Frees what any of these gave; `ptr` may be NULL; `size` as in the introduction. */
void mem_free(void *ptr, size_t size);

/* The same where the size is not at hand. */
void mem_free_unsized(void *ptr);

/*
 * The bytes that an allocation of `size` > 0 really takes: the allocator's size class. Who wants
 * to use them all asks mem_alloc for that many.
 */
size_t mem_class(size_t size);

/* What the allocator says of the process. Takes some microseconds. Bytes. */
struct mem_stats {
	size_t allocated; /* handed out to us */
	size_t active;    /* pages that hold them */
	size_t resident;  /* pages mapped and touched, the allocator's own too */
	size_t retained;
};
void mem_stats_read(struct mem_stats *stats);

/* Gives pages that hold nothing back to the system (MEMORY PURGE). */
void mem_purge(void);

/*
 * From now on pages that hold nothing go back by themselves some 10 s later, from threads of the
 * allocator's own: otherwise they would only when more is allocated or freed. True when it does
 * that.
 */
bool mem_purge_in_background(void);

/* The allocator's name and version, as INFO shows it: "jemalloc-5.3.0", "libc". */
const char *mem_name(void);

#endif
