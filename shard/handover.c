/* Handovers (handover.h). */
#include "shard/handover.h"

#include "proto/mem.h"

#define BYTES (HANDOVER_ITEMS * sizeof(struct handed))

static struct handed *item_at(const struct handover *handover, uint64_t place)
{
	return &handover->items[place % HANDOVER_ITEMS];
}

bool handover_push(struct handover *handover, const struct handed *item)
{
	uint64_t tail = atomic_load_explicit(&handover->tail, memory_order_relaxed);
	if (tail - handover->head == HANDOVER_ITEMS)
		return false;
	if (!handover->items)
		handover->items = mem_alloc(BYTES);
	*item_at(handover, tail) = *item;
	atomic_store_explicit(&handover->tail, tail + 1, memory_order_release);
	return true;
}

const struct handed *handover_pop(struct handover *handover)
{
	uint64_t served = atomic_load_explicit(&handover->served, memory_order_acquire);
	return handover->head == served ? NULL : item_at(handover, handover->head++);
}

const struct handed *handover_waiting(const struct handover *handover, uint32_t *count)
{
	uint64_t served = atomic_load_explicit(&handover->served, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&handover->tail, memory_order_acquire);
	uint64_t round_end = (served / HANDOVER_ITEMS + 1) * HANDOVER_ITEMS;
	*count = (uint32_t)((tail < round_end ? tail : round_end) - served);
	return *count > 0 ? item_at(handover, served) : NULL;
}

void handover_served(struct handover *handover, uint32_t count)
{
	uint64_t served = atomic_load_explicit(&handover->served, memory_order_relaxed);
	atomic_store_explicit(&handover->served, served + count, memory_order_release);
}

void handover_end(struct handover *handover)
{
	uint64_t tail = atomic_load_explicit(&handover->tail, memory_order_acquire);
	atomic_store_explicit(&handover->served, tail, memory_order_release);
}

void handover_deinit(struct handover *handover)
{
	mem_free(handover->items, BYTES);
	handover->items = NULL;
}
