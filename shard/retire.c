/*
 * Two rings: what was retired, in order, and up to where each stamp reaches.
 *
 *	head            stamps[0].end     stamps[1].end = stamped     tail
 *	 | may go once ... | may go once ...    | no stamp yet          |
 *
 * Places are counted from the start of time and taken modulo the ring's capacity. A whole table
 * stands in the ring as one thing; when its turn comes it becomes `lazy_root` and is freed bit by
 * bit.
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
/* A table is freed in pieces of this size, each charged in full to the budget. */
#define TABLE_PIECE 64

enum retired_kind {
	RETIRED_MEMORY,
	RETIRED_ENTRY,
	RETIRED_ENTRY_SHALLOW,
	RETIRED_TABLE,
};

#define KIND_BITS 3
#define KIND_MASK ((1u << KIND_BITS) - 1)

void retire_init(struct retire *r)
{
	memset(r, 0, sizeof(*r));
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

static void retire_push(struct retire *r, void *ptr, size_t size, enum retired_kind kind)
{
	if (r->tail - r->head == r->cap)
		r->ring = ring_grow(r->ring, &r->cap, sizeof(*r->ring), r->head, r->tail);
	r->ring[r->tail++ & (r->cap - 1)] =
		(struct retired){ptr, (uint64_t)size << KIND_BITS | kind};
	r->bytes += size;
}

void retire_memory(struct retire *r, void *ptr, size_t size)
{
	retire_push(r, ptr, size, RETIRED_MEMORY);
}

void retire_entry(struct retire *r, struct entry *e)
{
	bool plain = !(e->flags & (ENTRY_BLOB | ENTRY_OWNER_ONLY));

	retire_push(r, e, plain ? entry_size(e) : entry_memory(e), RETIRED_ENTRY);
}

void retire_entry_shallow(struct retire *r, struct entry *e)
{
	retire_push(r, e, entry_size(e), RETIRED_ENTRY_SHALLOW);
}

void retire_table(struct retire *r, uint64_t root)
{
	if (root)
		retire_push(r, (void *)(uintptr_t)root, 0, RETIRED_TABLE);
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
			return true;
		}
	}
	if (r->stamps_tail - r->stamps_head == r->stamps_cap)
		r->stamps = ring_grow(r->stamps, &r->stamps_cap, sizeof(*r->stamps), r->stamps_head,
				      r->stamps_tail);
	r->stamps[r->stamps_tail++ & (r->stamps_cap - 1)] = (struct retire_stamp){r->tail, stamp};
	return true;
}

/* Frees the oldest thing; a table only gets its turn. */
static void retire_free_one(struct retire *r)
{
	struct retired old = r->ring[r->head++ & (r->cap - 1)];
	size_t size = old.what >> KIND_BITS;

	assert(r->bytes >= size);
	r->bytes -= size;
	switch ((enum retired_kind)(old.what & KIND_MASK)) {
	case RETIRED_MEMORY:
		mem_free(old.ptr, size);
		break;
	case RETIRED_ENTRY:
		entry_free(old.ptr);
		break;
	case RETIRED_ENTRY_SHALLOW:
		entry_free_shallow(old.ptr);
		break;
	case RETIRED_TABLE:
		r->lazy_root = (uintptr_t)old.ptr;
		r->lazy_at = 0;
		break;
	}
}

/* Frees up to the place `end`; what of the budget is left. */
static size_t retire_free_until(struct retire *r, uint64_t end, size_t budget)
{
	while (budget > 0 && (r->lazy_root || r->head != end)) {
		size_t charge = 1;
		if (r->lazy_root) {
			charge = budget < TABLE_PIECE ? budget : TABLE_PIECE;
			if (table_free_slice(r->lazy_root, &r->lazy_at, charge))
				r->lazy_root = 0;
		} else {
			retire_free_one(r);
		}
		budget -= charge;
	}
	return budget;
}

/* The place up to which all may go; stamps whose things are all gone are dropped. */
static uint64_t retire_free_end(struct retire *r, const struct grace *grace)
{
	uint64_t completed = atomic_load_explicit(&grace->completed, memory_order_acquire);
	uint64_t end = r->head;

	for (uint64_t at = r->stamps_head; at != r->stamps_tail; at++) {
		struct retire_stamp stamp = r->stamps[at & (r->stamps_cap - 1)];
		if (stamp.stamp > completed)
			break;
		end = stamp.end;
	}
	return end;
}

static void retire_drop_stamps(struct retire *r)
{
	while (r->stamps_head != r->stamps_tail &&
	       r->stamps[r->stamps_head & (r->stamps_cap - 1)].end <= r->head)
		r->stamps_head++;
	if (r->head == r->tail && r->cap > RING_KEEP) {
		mem_free(r->ring, r->cap * sizeof(*r->ring));
		r->ring = NULL;
		r->cap = 0;
	}
}

bool retire_collect(struct retire *r, const struct grace *grace, size_t budget)
{
	uint64_t end;

	if (r->stamps_head == r->stamps_tail && !r->lazy_root)
		return false;
	end = retire_free_end(r, grace);
	retire_free_until(r, end, budget);
	retire_drop_stamps(r);
	return r->lazy_root || r->head != end;
}

bool retire_waiting(const struct retire *r)
{
	return r->stamps_head != r->stamps_tail;
}

void retire_deinit(struct retire *r)
{
	retire_free_until(r, r->tail, SIZE_MAX);
	assert(r->head == r->tail && r->bytes == 0);
	mem_free(r->ring, r->cap * sizeof(*r->ring));
	mem_free(r->stamps, r->stamps_cap * sizeof(*r->stamps));
	retire_init(r);
}
