/*
 * Watched keys: what WATCH promises, that EXEC does nothing once one of them has changed.
 *
 * A watch is one key in one database, watched by one connection. It stands in the index of its slot
 * (slot->watchers, NULL while nobody watches there) and in the set of its connection. Whoever
 * changes the key touches it: that marks the whole set and takes the watch out of the index, so an
 * idle watcher costs one store and not all of them.
 *
 * An expired key is none. One that is still in its table when it is watched is remembered as a
 * ghost: that it goes is no change. One that expires later is a change, whether or not somebody has
 * removed it.
 *
 * Who may touch what:
 *	slot->watchers, its index, and each watch's places in it    the slot's holder
 *	set->dirty                      set by the holder of the slot of whichever key has changed
 *	watch->ghost                    stored by the slot's holder
 *	all the rest of a set           the worker that made it
 * A slot whose seq changes whenever something under it is touched: touching belongs to a store that
 * readers can see.
 *
 * Why EXEC never misses a change: the store and `dirty` are both written while the slot is held.
 * EXEC looks at `dirty` while it holds every slot of the set: its CAS on a slot's seq has read what
 * the last slot_release() stored, so it sees what any earlier holder wrote, and there is no later
 * one before it releases. A reader that looks at `dirty` between noting the even seqs and finding
 * them unchanged (hold.h) may rely on it likewise: what was touched before is seen, what is touched
 * meanwhile changes a seq. Seen without any of this, true is true for good and false says nothing.
 * (test/model/watch.pml)
 */
#ifndef SHARD_WATCH_H
#define SHARD_WATCH_H

#include "shard/keyspace.h"

#include <stdbool.h>
#include <stdint.h>

struct watch;
struct watch_index;

/* The keys that one connection watches. */
struct watch_set {
	_Atomic bool dirty; /* one of them has changed */
	/* the worker that made it */
	uint32_t count;
	uint32_t size;          /* of the table: a power of two, 0 at first */
	uint32_t clear_at;      /* where watch_set_clear() goes on */
	struct watch **table;   /* by hash; NULL where there is none */
	size_t bytes;           /* of it all */
	struct watch_set *next; /* in whatever list it is put */
};

struct watch_set *watch_set_new(void);
/* It must be empty; NULL is fine. */
void watch_set_free(struct watch_set *set);

/* Watches a key from now on, if it doesn't yet. The caller holds its slot. */
void watch_set_add(struct watch_set *set, struct slot *slot, uint32_t db, uint64_t hash,
		   struct slice name, int64_t now);

/* Writes the slot of each watch, some perhaps twice: `slots` has room for set->count. */
void watch_set_slots(const struct watch_set *set, struct slot **slots);

/* Whether one has changed; see above for who may believe it. */
static inline bool watch_set_dirty(const struct watch_set *set)
{
	return atomic_load_explicit(&set->dirty, memory_order_relaxed);
}

/* Whether one has expired that hadn't when it was watched. Holder of its slots, or reader. */
bool watch_set_expired(const struct watch_set *set, int64_t now);

/* Ends all its watches; the caller holds their slots. */
void watch_set_clear_held(struct watch_set *set);

/*
 * The same for who holds none of them: some WATCH_CLEAR_STEP of them, but for those whose slots are
 * held by others. True when none is left. From the first call on nothing else may be done with the
 * set.
 */
#define WATCH_CLEAR_STEP 4096 /* some 100 us */
bool watch_set_clear(struct watch_set *set);

/*
 * A key has been stored or removed, or (`expired`) removed because it had expired. The slot's
 * holder, while the slot has watchers.
 */
void watch_touch(struct slot *slot, uint32_t db, uint64_t hash, struct slice name, bool expired);

/*
 * Before all keys of the slot in a database make way for those in `incoming` (NULL: none), which
 * will be its table there. The slot's holder, while the slot has watchers.
 */
void watch_replace(struct slot *slot, uint32_t db, const struct table *incoming, int64_t now);

#endif
