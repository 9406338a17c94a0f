/*
 * Fibers (fiber.h) by the C library's contexts, with a page below the stack that nobody may touch.
 *
 * Sanitizers have to be told of each switch: `annotate_*` are empty without them.
 */
#include "shard/fiber.h"

#include "proto/mem.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN
#endif
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define FIBER_ASAN
#endif
#ifdef __SANITIZE_THREAD__
#define FIBER_TSAN
#endif
#ifdef FIBER_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

struct fiber {
	ucontext_t self;
	ucontext_t resumer;
	void (*run)(void *arg);
	void *arg;
	char *map; /* the guard page, then the stack */
	size_t map_bytes;
	bool done;
	/* what the sanitizers want to have kept */
	void *own_state, *resumer_state;
	const void *resumer_stack;
	size_t resumer_stack_bytes;
};

/* --- sanitizers --- */

static void annotate_new(struct fiber *fiber)
{
#ifdef FIBER_TSAN
	fiber->own_state = __tsan_create_fiber(0);
#endif
}

static void annotate_free(struct fiber *fiber)
{
#ifdef FIBER_TSAN
	__tsan_destroy_fiber(fiber->own_state);
#endif
}

static void annotate_resume(struct fiber *fiber)
{
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(&fiber->resumer_state, fiber->self.uc_stack.ss_sp,
				       fiber->self.uc_stack.ss_size);
#endif
#ifdef FIBER_TSAN
	fiber->resumer_state = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(fiber->own_state, 0);
#endif
}

static void annotate_resumed(struct fiber *fiber)
{
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(fiber->own_state, &fiber->resumer_stack,
					&fiber->resumer_stack_bytes);
#endif
}

static void annotate_pause(struct fiber *fiber)
{
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(fiber->done ? NULL : &fiber->own_state, fiber->resumer_stack,
				       fiber->resumer_stack_bytes);
#endif
#ifdef FIBER_TSAN
	__tsan_switch_to_fiber(fiber->resumer_state, 0);
#endif
}

static void annotate_paused(struct fiber *fiber)
{
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(fiber->resumer_state, NULL, NULL);
#endif
}

/* --- fibers --- */

/* makecontext() hands on nothing but ints: the pointer comes in halves. */
static void fiber_main(unsigned high, unsigned low)
{
	struct fiber *fiber = (struct fiber *)((uintptr_t)high << 32 | low);

	annotate_resumed(fiber);
	fiber->run(fiber->arg);
	fiber->done = true;
	fiber_pause(fiber);
	assert(!"a fiber that is done is not resumed");
}

struct fiber *fiber_new(void (*run)(void *arg), void *arg)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = FIBER_STACK_BYTES + page;
	char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (map == MAP_FAILED)
		return NULL;
	mprotect(map, page, PROT_NONE);
	struct fiber *fiber = mem_zalloc(sizeof(*fiber));
	fiber->run = run;
	fiber->arg = arg;
	fiber->map = map;
	fiber->map_bytes = bytes;
	getcontext(&fiber->self);
	fiber->self.uc_stack.ss_sp = map + page;
	fiber->self.uc_stack.ss_size = FIBER_STACK_BYTES;
	makecontext(&fiber->self, (void (*)(void))fiber_main, 2, (unsigned)((uintptr_t)fiber >> 32),
		    (unsigned)(uintptr_t)fiber);
	annotate_new(fiber);
	return fiber;
}

void fiber_free(struct fiber *fiber)
{
	if (!fiber)
		return;
	annotate_free(fiber);
	munmap(fiber->map, fiber->map_bytes);
	mem_free(fiber, sizeof(*fiber));
}

bool fiber_resume(struct fiber *fiber)
{
	assert(!fiber->done);
	annotate_resume(fiber);
	swapcontext(&fiber->resumer, &fiber->self);
	annotate_paused(fiber);
	return fiber->done;
}

void fiber_pause(struct fiber *fiber)
{
	annotate_pause(fiber);
	swapcontext(&fiber->self, &fiber->resumer);
	annotate_resumed(fiber);
}
