/*
 * Two rings: what was retired, in order, and up to where each stamp reaches.
 *
 *	head       ripe      stamps[0].end     stamps[1].end = stamped     tail
 *	 | may go   | may go once ... | may go once ...    | no stamp yet    |
 *
 * Places are counted from the start of time and taken modulo the ring's capacity. A whole table, or
 * an entry with a structure, stands in the ring as one thing; when its turn comes it goes to the
 * stack of large things and is freed bit by bit, whenever nothing in the ring may go.
 *
 * What a snapshot keeps has not come to the ring yet: a vector for each range of slots.
 */
#include "shard/retire.h"

#include "proto/mem.h"
#include "shard/entry.h"
#include "shard/table.h"

#include <assert.h>
#include <string.h>

/* The rings start with this many places ... */
#define RING_MIN 64
/* ... and one that has grown beyond this many (64 KB) is let go once it is empty. */
#define RING_KEEP 4096
/* So many kept things go to the ring at a time: some 10 us. */
#define RELEASE_SLICE 4096

enum retired_kind {
	RETIRED_MEMORY,
	RETIRED_ENTRY,
	RETIRED_ENTRY_SHALLOW,
	RETIRED_TABLE,
	RETIRED_BLOB,
};

#define KIND_BITS 3
#define KIND_MASK ((1u << KIND_BITS) - 1)

void retire_init(struct retire *r)
{
	memset(r, 0, sizeof(*r));
	r->kept_from = FREEZE_RANGES;
}

/* A ring of twice the capacity with the things from `head` to `tail` in it; frees the old one. */
static void *ring_grow(void *ring, size_t *cap, size_t item, uint64_t head, uint64_t tail)
{
	size_t cap_new = *cap ? *cap * 2 : RING_MIN;
	char *new = mem_alloc(cap_new * item);

	for (uint64_t at = head; at != tail; at++)
		memcpy(new + (at & (cap_new - 1)) * item, (char *)ring + (at & (*cap - 1)) * item,
		       item);
	mem_free(ring, *cap * item);
	*cap = cap_new;
	return new;
}

static struct retired retired_make(void *ptr, size_t size, enum retired_kind kind)
{
	return (struct retired){ptr, (uint64_t)size << KIND_BITS | kind};
}

static size_t retired_size(struct retired old)
{
	return old.what >> KIND_BITS;
}

static void ring_push(struct retire *r, struct retired old)
{
	if (r->tail - r->head == r->cap)
		r->ring = ring_grow(r->ring, &r->cap, sizeof(*r->ring), r->head, r->tail);
	r->ring[r->tail++ & (r->cap - 1)] = old;
	r->bytes += retired_size(old);
	r->pushed += retired_size(old);
}

static void kept_count(struct retire *r, size_t more, size_t less)
{
	atomic_store_explicit(&r->kept_bytes, retire_kept_bytes(r) + more - less,
			      memory_order_relaxed);
}

static void kept_push(struct retire *r, struct retired old)
{
	uint32_t range = r->unit.last / FREEZE_RANGE_SLOTS;
	struct retire_kept *kept = &r->kept[range];
	if (kept->count == kept->cap) {
		kept->cap = kept->cap ? kept->cap * 2 : RING_MIN;
		kept->items = mem_realloc(kept->items, kept->cap * sizeof(*kept->items));
	}
	kept->items[kept->count++] = old;
	if (range < r->kept_from)
		r->kept_from = range;
	kept_count(r, retired_size(old), 0);
}

static void retire_push(struct retire *r, void *ptr, size_t size, enum retired_kind kind)
{
	if (__builtin_expect(r->unit.cut == EPOCH_NONE, 1))
		ring_push(r, retired_make(ptr, size, kind));
	else
		kept_push(r, retired_make(ptr, size, kind));
}

/* Gives up to *budget things to the ring; true when the range has no more. */
static bool kept_release(struct retire *r, struct retire_kept *kept, size_t *budget)
{
	size_t released = 0;
	for (; kept->count > 0 && *budget > 0; --*budget) {
		struct retired old = kept->items[--kept->count];
		released += retired_size(old);
		ring_push(r, old);
	}
	kept_count(r, 0, released);
	if (kept->count > 0)
		return false;
	mem_free(kept->items, kept->cap * sizeof(*kept->items));
	*kept = (struct retire_kept){0};
	return true;
}

/* The same for all ranges before this one. */
static bool ranges_release(struct retire *r, uint32_t end, size_t budget)
{
	while (r->kept_from < end && kept_release(r, &r->kept[r->kept_from], &budget))
		r->kept_from++;
	return r->kept_from >= end;
}

/* What was served. */
static void handed_release(struct retire *r)
{
	const struct handed *item;

	while ((item = handover_pop(&r->handover))) {
		ring_push(r, retired_make(item->entry, item->weight, RETIRED_ENTRY));
		kept_count(r, 0, item->weight);
	}
}

bool retire_release_kept(struct retire *r, const struct freeze *freeze)
{
	handed_release(r);
	if (r->kept_from == FREEZE_RANGES)
		return false;
	uint32_t end = FREEZE_RANGES;
	if (atomic_load_explicit(&freeze->cut, memory_order_acquire) != EPOCH_NONE)
		end = atomic_load_explicit(&freeze->passed, memory_order_acquire) /
		      FREEZE_RANGE_SLOTS;
	return !ranges_release(r, end, RELEASE_SLICE);
}

void retire_memory(struct retire *r, void *ptr, size_t size)
{
	retire_push(r, ptr, size, RETIRED_MEMORY);
}

void retire_memory_unseen(struct retire *r, void *ptr, size_t size)
{
	ring_push(r, retired_make(ptr, size, RETIRED_MEMORY));
}

void retire_node(struct retire *r, void *ptr, size_t size, uint64_t born)
{
	if (unit_frozen(&r->unit, born))
		retire_memory(r, ptr, size);
	else
		retire_memory_unseen(r, ptr, size);
}

void retire_blob(struct retire *r, struct blob *blob)
{
	retire_push(r, blob, blob->len, RETIRED_BLOB);
}

/* With all that hangs off it. */
static size_t entry_weight(const struct entry *e)
{
	bool plain = !(e->flags & (ENTRY_BLOB | ENTRY_STRUCTURE));

	return plain ? entry_size(e) : entry_memory(e);
}

void retire_entry(struct retire *r, struct entry *e)
{
	retire_push(r, e, entry_weight(e), RETIRED_ENTRY);
}

void retire_entry_unseen(struct retire *r, struct entry *e)
{
	ring_push(r, retired_make(e, entry_weight(e), RETIRED_ENTRY));
}

void retire_entry_handed(struct retire *r, const struct handed *item)
{
	struct handed weighed = *item;

	weighed.weight = (uint32_t)entry_weight(item->entry);
	if (!handover_push(&r->handover, &weighed))
		retire_entry(r, item->entry);
	else
		kept_count(r, weighed.weight, 0);
}

void retire_entry_shallow(struct retire *r, struct entry *e)
{
	retire_push(r, e, entry_size(e), RETIRED_ENTRY_SHALLOW);
}

void retire_table(struct retire *r, uint64_t root)
{
	struct table table = {root};

	if (root)
		retire_push(r, (void *)(uintptr_t)root, table_count(&table) * RETIRED_KEY_BYTES,
			    RETIRED_TABLE);
}

static void counter_set(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, n, memory_order_relaxed);
}

void retire_flushed(struct retire *r, uint64_t entries)
{
	counter_set(&r->flushed, r->flushed + entries);
}

/* So many of them are gone. Who didn't say how many there are is not counted. */
static void count_freed(struct retire *r, uint64_t entries)
{
	counter_set(&r->flushed, r->flushed > entries ? r->flushed - entries : 0);
	counter_set(&r->flushed_freed, r->flushed_freed + entries);
}

bool retire_stamp(struct retire *r, const struct grace *grace)
{
	struct retire_stamp *last;
	uint64_t stamp;

	if (r->stamped == r->tail)
		return false;
	r->stamped = r->tail;
	atomic_thread_fence(memory_order_seq_cst);
	stamp = atomic_load_explicit(&grace->started, memory_order_relaxed) + 1;
	if (r->stamps_head != r->stamps_tail) {
		last = &r->stamps[(r->stamps_tail - 1) & (r->stamps_cap - 1)];
		if (last->stamp == stamp) {
			last->end = r->tail;
			last->pushed = r->pushed;
			return true;
		}
	}
	if (r->stamps_tail - r->stamps_head == r->stamps_cap)
		r->stamps = ring_grow(r->stamps, &r->stamps_cap, sizeof(*r->stamps), r->stamps_head,
				      r->stamps_tail);
	r->stamps[r->stamps_tail++ & (r->stamps_cap - 1)] =
		(struct retire_stamp){r->tail, stamp, r->pushed};
	return true;
}

static void large_push(struct retire *r, struct retire_large large)
{
	if (r->large_count == r->large_cap) {
		r->large_cap = r->large_cap ? r->large_cap * 2 : RING_MIN;
		r->large = mem_realloc(r->large, r->large_cap * sizeof(*r->large));
	}
	r->large[r->large_count++] = large;
}

static void entry_later(void *arg, struct entry *e)
{
	large_push(arg, (struct retire_large){.entry = e});
}

/* Frees a part of the last large thing, which may put others on top of itself. */
static void large_free_slice(struct retire *r, size_t *budget)
{
	size_t i = r->large_count - 1;
	struct retire_large large = r->large[i];
	bool gone;

	if (large.table) {
		count_freed(r, table_free_slice(large.table, &large.at, budget, entry_later, r));
		gone = large.at == TABLE_END;
	} else {
		gone = entry_free_slice(large.entry, &large.at, budget);
	}
	r->large[i] = gone ? r->large[--r->large_count] : large;
}

/* Frees the oldest thing; a large one only gets its turn. */
static void retire_free_one(struct retire *r)
{
	struct retired old = r->ring[r->head++ & (r->cap - 1)];
	size_t size = retired_size(old);

	assert(r->bytes >= size);
	r->bytes -= size;
	switch ((enum retired_kind)(old.what & KIND_MASK)) {
	case RETIRED_MEMORY:
		mem_free(old.ptr, size);
		break;
	case RETIRED_ENTRY:
		if (((struct entry *)old.ptr)->flags & ENTRY_STRUCTURE)
			entry_later(r, old.ptr);
		else
			entry_free(old.ptr);
		break;
	case RETIRED_BLOB:
		blob_unref(old.ptr);
		break;
	case RETIRED_ENTRY_SHALLOW:
		entry_free_shallow(old.ptr);
		break;
	case RETIRED_TABLE:
		large_push(r, (struct retire_large){.table = (uintptr_t)old.ptr});
		break;
	}
}

/* Takes off the stamps whose periods have completed. */
static void retire_ripen(struct retire *r, const struct grace *grace)
{
	uint64_t completed = atomic_load_explicit(&grace->completed, memory_order_acquire);

	for (; r->stamps_head != r->stamps_tail; r->stamps_head++) {
		struct retire_stamp stamp = r->stamps[r->stamps_head & (r->stamps_cap - 1)];
		if (stamp.stamp > completed)
			break;
		r->ripe = stamp.end;
		r->pushed_ripe = stamp.pushed;
	}
}

/* Frees of what may go: small things first, so that none waits behind a large one. */
static void retire_free(struct retire *r, size_t budget)
{
	for (; budget > 0 && r->head != r->ripe; budget--)
		retire_free_one(r);
	while (budget > 0 && r->large_count > 0)
		large_free_slice(r, &budget);
}

bool retire_collect(struct retire *r, const struct grace *grace, size_t budget)
{
	retire_ripen(r, grace);
	retire_free(r, budget);
	if (r->head == r->tail && r->cap > RING_KEEP) {
		mem_free(r->ring, r->cap * sizeof(*r->ring));
		r->ring = NULL;
		r->cap = 0;
	}
	return r->large_count > 0 || r->head != r->ripe;
}

bool retire_waiting(const struct retire *r)
{
	return r->stamps_head != r->stamps_tail;
}

void retire_deinit(struct retire *r)
{
	ranges_release(r, FREEZE_RANGES, SIZE_MAX);
	handover_end(&r->handover);
	handed_release(r);
	handover_deinit(&r->handover);
	r->ripe = r->tail;
	retire_free(r, SIZE_MAX);
	assert(r->head == r->tail && r->bytes == 0);
	mem_free(r->ring, r->cap * sizeof(*r->ring));
	mem_free(r->stamps, r->stamps_cap * sizeof(*r->stamps));
	mem_free_unsized(r->large);
	retire_init(r);
}
