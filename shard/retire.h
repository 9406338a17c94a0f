/*
 * Retired memory: unlinked from the tables, but readers may still look at it.
 *
 * Each worker has one `struct retire`. What a writer takes out of a table it pushes here. At the
 * end of its tick's work retire_stamp() marks all that came since the last stamp with the number of
 * a grace period that has not started yet; what has a stamp <= completed may be freed.
 *
 * Why that is right: grace_period() does
 *	started++ (seq_cst);  synchronize_rcu();  completed = started (release)
 * and retire_stamp() does
 *	fence(seq_cst);  stamp = load(started) + 1
 * after the words that unlinked the memory were stored. The period numbered `stamp` starts after
 * the fence, so a reader that comes online during it or later sees the memory unlinked, and
 * synchronize_rcu waits for all that were online before.
 *
 * So what is retired first waits for its grace period, then may go. The two are counted apart:
 * retire_waiting_bytes() is what only the reclaimer can set free (a long command on another worker
 * keeps it waiting), and that alone is a reason to retire no more; what may go already is freed
 * with patience.
 *
 * retire_collect() frees on the worker that retired, in slices: the arenas and caches of the
 * allocator stay the worker's own. What is large (a table, a structure) goes behind all that is
 * small, bit by bit: a flushed database of millions of keys holds nobody up, and nothing waits
 * behind it.
 *
 * What the unit of work going on retires while it has a cut (freeze.h) is kept instead, until the
 * snapshot has passed the unit's slots, or handed over to it (handover.h). Then it goes the usual
 * way: readers may still look at it.
 *
 * All functions: the worker that owns the struct.
 */
#ifndef SHARD_RETIRE_H
#define SHARD_RETIRE_H

#include "shard/freeze.h"
#include "shard/grace.h"
#include "shard/handover.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blob;
struct entry;

struct retired {
	void *ptr;
	uint64_t what; /* size << 3 | kind */
};

struct retire_large {
	uint64_t table; /* a root word, or 0: */
	struct entry *entry;
	uint64_t at; /* how far it is */
};

/* What is kept until the snapshot has passed a range of slots. */
struct retire_kept {
	struct retired *items;
	size_t count, cap;
};

struct retire {
	struct unit unit;     /* the one going on; without: no epoch, no cut */
	struct retired *ring; /* a power of two, grows */
	size_t cap;
	uint64_t head; /* next to free */
	uint64_t ripe; /* everything before this place may go */
	uint64_t tail; /* next free place */
	struct retire_stamp {
		uint64_t end;    /* everything before this place ... */
		uint64_t stamp;  /* ... may go when this period has completed */
		uint64_t pushed; /* bytes up to there, from the start of time */
	} * stamps;              /* a ring as well */
	size_t stamps_cap;
	uint64_t stamps_head, stamps_tail;
	uint64_t stamped; /* the place up to which everything has a stamp */
	size_t bytes;     /* in the ring: retired and not freed */
	/* bytes from the start of time: */
	uint64_t pushed;      /* ever retired */
	uint64_t pushed_ripe; /* ... of these before the place `ripe` */
	/*
	 * What takes more than one slice to free: whole tables, and entries with structures. A
	 * stack, for a table's entries may have structures: the last one goes first, so it stays
	 * low.
	 */
	struct retire_large *large;
	size_t large_count, large_cap;
	/* entries of whole tables; the owner stores, any thread reads */
	_Atomic uint64_t flushed;       /* retired and not freed */
	_Atomic uint64_t flushed_freed; /* freed so far */
	/* for snapshots; the owner stores kept_bytes, any thread reads it */
	_Atomic size_t kept_bytes;
	uint32_t kept_from; /* nothing is kept for ranges before; FREEZE_RANGES: nothing at all */
	struct retire_kept kept[FREEZE_RANGES];
	struct handover handover;
};

void retire_init(struct retire *r);
/* Frees everything at once: no reader is left. */
void retire_deinit(struct retire *r);

/* Plain memory, for mem_free(ptr, size). */
void retire_memory(struct retire *r, void *ptr, size_t size);
/* The same of a node that was born then: one made after the cut is nothing to a snapshot. */
void retire_node(struct retire *r, void *ptr, size_t size, uint64_t born);
/* A reference to a blob. */
void retire_blob(struct retire *r, struct blob *blob);
/* The same of what no snapshot looks at. */
void retire_memory_unseen(struct retire *r, void *ptr, size_t size);
/* An entry with all that hangs off it. */
void retire_entry(struct retire *r, struct entry *e);
/* An entry without its structure, which lives on in another one. */
void retire_entry_shallow(struct retire *r, struct entry *e);
/* An entry with all that hangs off it, none of which the snapshot going on looks at (any more). */
void retire_entry_unseen(struct retire *r, struct entry *e);
/*
 * An entry without anything that hangs off it, which is in the table that the snapshot going on has
 * of a slot that isn't passed: handed over, or kept.
 */
void retire_entry_handed(struct retire *r, const struct handed *item);
/*
 * The content of a table (table.h: a root word), with all of its entries: nobody looks how large
 * they are, each counts as RETIRED_KEY_BYTES, about what the smallest ones take. How many they are
 * the caller may tell: retire_flushed() says how many are in all the tables retired since it was
 * called last.
 */
#define RETIRED_KEY_BYTES 64
void retire_table(struct retire *r, uint64_t root);
void retire_flushed(struct retire *r, uint64_t entries);

/* Stamps what has come since the last time. False when there was nothing. */
bool retire_stamp(struct retire *r, const struct grace *grace);

/*
 * Finds out what may go, and frees of it at most about `budget` things (entries, blocks). True when
 * something that may go already is left for the next slice.
 */
bool retire_collect(struct retire *r, const struct grace *grace, size_t budget);

/*
 * What the snapshot has passed goes the usual way from here on: some thousands of things at a time.
 * True when more may go already. To be called often: it is cheap. Outside of units.
 */
bool retire_release_kept(struct retire *r, const struct freeze *freeze);

/* Bytes that only the snapshot keeps. Any thread. */
static inline size_t retire_kept_bytes(const struct retire *r)
{
	return atomic_load_explicit(&r->kept_bytes, memory_order_relaxed);
}

/* True when something waits for a grace period (stamped, not known to be completed). */
bool retire_waiting(const struct retire *r);

/* How much waits, stamped or not, as of the last retire_collect() and what came since. */
static inline size_t retire_waiting_bytes(const struct retire *r)
{
	return (size_t)(r->pushed - r->pushed_ripe);
}

#endif
