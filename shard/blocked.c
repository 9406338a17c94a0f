/*
 * Who waits for a key (blocked.h).
 *
 * The happy path: blocked_wait() puts a waiter into its queues. A push notes one of them;
 * serve_ready() takes it off the ready list, serve_queue() walks it, serve_one() claims and runs.
 */
#include "shard/blocked.h"

#include "proto/mem.h"
#include "shard/execute.h"
#include "shard/hold.h"

#include <assert.h>

/* Chains of an index at first: a few keys. A power of two. */
#define CHAINS_FIRST 4
/* Stalled slots that there is room for at first. */
#define STALLED_FIRST 16

struct blocked_queue {
	struct blocked_queue *next;       /* in its chain */
	struct blocked_queue *ready_next; /* in a unit's ready list */
	bool noted;                       /* it is in one */
	bool stalled;                     /* its first waiter can't be served now (blocked.h) */
	struct slot *slot;
	uint32_t db;
	uint64_t hash;
	struct waiting *first, *last;
	size_t len;
	char name[];
};

struct blocked_index {
	uint32_t count;
	uint32_t size; /* a power of two */
	struct blocked_queue *chains[];
};

/* --- a slot's index --- */

static void set_index(struct slot *slot, struct blocked_index *index)
{
	atomic_store_explicit(&slot->blocked, index, memory_order_relaxed);
}

static size_t index_bytes(uint32_t size)
{
	return sizeof(struct blocked_index) + size * sizeof(struct blocked_queue *);
}

static void chain_put(struct blocked_index *index, struct blocked_queue *queue)
{
	struct blocked_queue **chain = &index->chains[queue->hash & (index->size - 1)];
	queue->next = *chain;
	*chain = queue;
}

/* A larger one with the same queues. */
static struct blocked_index *index_grow(struct blocked_index *old)
{
	uint32_t size = old ? old->size * 2 : CHAINS_FIRST;
	struct blocked_index *index = mem_zalloc(index_bytes(size));
	index->size = size;
	if (!old)
		return index;
	index->count = old->count;
	for (uint32_t i = 0; i < old->size; i++) {
		struct blocked_queue *next;
		for (struct blocked_queue *queue = old->chains[i]; queue; queue = next) {
			next = queue->next;
			chain_put(index, queue);
		}
	}
	mem_free(old, index_bytes(old->size));
	return index;
}

static struct blocked_queue *find_queue(const struct key *key, uint32_t db)
{
	const struct blocked_index *index = slot_blocked(key->slot);
	if (!index)
		return NULL;
	struct blocked_queue *queue = index->chains[key->hash & (index->size - 1)];
	while (queue && (queue->hash != key->hash || queue->db != db ||
			 !slice_equal((struct slice){queue->name, queue->len}, key->name)))
		queue = queue->next;
	return queue;
}

static void count_queues(struct shard *shard, int64_t n)
{
	int64_t count = atomic_load_explicit(&shard->blocking_keys, memory_order_relaxed);
	atomic_store_explicit(&shard->blocking_keys, count + n, memory_order_relaxed);
}

static struct blocked_queue *make_queue(struct shard *shard, const struct key *key, uint32_t db)
{
	struct blocked_queue *queue = find_queue(key, db);
	if (queue)
		return queue;
	struct blocked_index *index = slot_blocked(key->slot);
	if (!index || index->count == index->size) {
		index = index_grow(index);
		set_index(key->slot, index);
	}
	queue = mem_zalloc(sizeof(*queue) + key->name.len);
	queue->slot = key->slot;
	queue->db = db;
	queue->hash = key->hash;
	queue->len = key->name.len;
	memcpy(queue->name, key->name.ptr, key->name.len);
	chain_put(index, queue);
	index->count++;
	count_queues(shard, 1);
	return queue;
}

/* An empty queue goes, unless it is still to be looked at; the index goes with its last queue. */
static void tidy_queue(struct shard *shard, struct blocked_queue *queue)
{
	struct slot *slot = queue->slot;
	struct blocked_index *index = slot_blocked(slot);
	if (queue->first || queue->noted)
		return;
	struct blocked_queue **at = &index->chains[queue->hash & (index->size - 1)];
	while (*at != queue)
		at = &(*at)->next;
	*at = queue->next;
	mem_free(queue, sizeof(*queue) + queue->len);
	count_queues(shard, -1);
	if (--index->count > 0)
		return;
	mem_free(index, index_bytes(index->size));
	set_index(slot, NULL);
}

/* --- places --- */

static void place_put(struct waiting *place, struct blocked_queue *queue)
{
	place->queue = queue;
	place->next = NULL;
	place->prev = queue->last;
	if (queue->last)
		queue->last->next = place;
	else
		queue->first = place;
	queue->last = place;
}

static void place_remove(struct waiting *place)
{
	struct blocked_queue *queue = place->queue;
	if (place->prev)
		place->prev->next = place->next;
	else
		queue->first = place->next;
	if (place->next)
		place->next->prev = place->prev;
	else
		queue->last = place->prev;
	place->queue = NULL;
}

void blocked_wait(struct waiter *waiter, const struct ctx *ctx, const struct slice *argv)
{
	waiter->no_touch = ctx->no_touch;
	waiter->type = ctx->block.type;
	waiter->db = ctx->db;
	waiter->argc = ctx->argc;
	waiter->argv = argv;
	waiter->cmd = ctx->cmd;
	if (ctx->block.key_count < ctx->key_count)
		waiter->target = ctx->keys[ctx->block.key_count];
	for (uint32_t k = 0; k < ctx->block.key_count; k++) {
		struct blocked_queue *queue = make_queue(ctx->shard, &ctx->keys[k], ctx->db);
		if (queue->last && queue->last->waiter == waiter)
			continue; /* the same key again */
		struct waiting *place = &waiter->places[waiter->place_count++];
		place->waiter = waiter;
		place->key = ctx->keys[k];
		place_put(place, queue);
	}
}

bool blocked_clear(struct waiter *waiter, struct shard *shard)
{
	bool done = true;
	for (uint32_t i = waiter->clear_at; i < waiter->place_count; i++) {
		struct waiting *place = &waiter->places[i];
		struct slot *slot = place->key.slot;
		if (!slot_try_hold(slot)) {
			done = false;
			continue;
		}
		struct blocked_queue *queue = place->queue;
		if (queue) {
			place_remove(place);
			tidy_queue(shard, queue);
		}
		slot_release(slot, false);
		if (done)
			waiter->clear_at = i + 1;
	}
	return done;
}

/* --- what is ready --- */

static void note_queue(struct ready_list *ready, struct blocked_queue *queue)
{
	if (queue->noted)
		return;
	queue->noted = true;
	queue->ready_next = NULL;
	if (ready->first)
		ready->last->ready_next = queue;
	else
		ready->first = queue;
	ready->last = queue;
}

void blocked_note(struct ctx *ctx, const struct key *key, uint32_t db)
{
	struct blocked_queue *queue = find_queue(key, db);
	if (queue)
		note_queue(ctx->ready, queue);
}

void blocked_note_all(struct ctx *ctx, struct slot *slot, uint32_t db)
{
	const struct blocked_index *index = slot_blocked(slot);
	for (uint32_t i = 0; i < index->size; i++)
		for (struct blocked_queue *queue = index->chains[i]; queue; queue = queue->next)
			if (queue->db == db)
				note_queue(ctx->ready, queue);
}

bool blocked_ahead(const struct ctx *ctx, uint32_t k)
{
	const struct blocked_queue *queue = NULL;
	if (ctx->may_block && slot_blocked(ctx->keys[k].slot))
		queue = find_queue(&ctx->keys[k], ctx->db);
	return queue && queue->stalled;
}

/* --- serving --- */

/* A unit of work that serves: what it holds. */
struct serving {
	struct shard *shard;
	struct ready_list *ready;
	struct slot *const *slots; /* NULL: all */
	uint32_t count;
	const _Atomic int64_t *clock;
	struct slot *also[BLOCKED_ALSO_MAX]; /* and these, for destinations */
	uint32_t also_count;
	bool stored;
	uint64_t left; /* elements that it may still give away */
};

static bool is_held(const struct serving *serving, const struct slot *slot)
{
	if (!serving->slots)
		return true;
	for (uint32_t i = 0; i < serving->also_count; i++)
		if (serving->also[i] == slot)
			return true;
	uint32_t low = 0, high = serving->count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (serving->slots[middle] == slot)
			return true;
		if (serving->slots[middle] < slot)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* False when the slot is held by another. */
static bool hold_also(struct serving *serving, struct slot *slot)
{
	if (is_held(serving, slot))
		return true;
	if (serving->also_count == BLOCKED_ALSO_MAX || !slots_try_hold_also(serving->shard, slot))
		return false;
	serving->also[serving->also_count++] = slot;
	return true;
}

/* The clock, after all that is held came to be held: see execute() for why the fence. */
static int64_t moment(const struct serving *serving)
{
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(serving->clock, memory_order_relaxed);
}

/* The waiter's command, on the key of that place alone. */
static struct ctx place_ctx(const struct serving *serving, const struct waiting *place,
			    struct key keys[2])
{
	struct waiter *waiter = place->waiter;
	keys[0] = place->key;
	keys[1] = waiter->target;
	return (struct ctx){.cmd = waiter->cmd,
			    .argv = waiter->argv,
			    .argc = waiter->argc,
			    .db = waiter->db,
			    .keys = keys,
			    .key_count = waiter->target.slot ? 2 : 1,
			    .now = moment(serving),
			    .reply = &waiter->reply,
			    .ks = serving->shard->ks,
			    .shard = serving->shard,
			    .holder = true,
			    .no_touch = waiter->no_touch,
			    .pop_max = serving->left,
			    .ready = serving->ready};
}

/* The live value under a queue's name; NULL: none. */
static const struct entry *find_value(struct serving *serving, const struct blocked_queue *queue)
{
	struct key key = {.name = {queue->name, queue->len},
			  .hash = queue->hash,
			  .slot = queue->slot};
	struct ctx ctx = {.db = queue->db,
			  .keys = &key,
			  .key_count = 1,
			  .now = moment(serving),
			  .ks = serving->shard->ks,
			  .shard = serving->shard,
			  .holder = true,
			  .ready = serving->ready};
	const struct entry *e = ctx_peek(&ctx, 0, false);
	serving->stored |= ctx.stored;
	return e;
}

static void push_served(struct shard *shard, struct waiter *waiter)
{
	waiter->next = NULL;
	if (shard->served_first)
		shard->served_last->next = waiter;
	else
		shard->served_first = waiter;
	shard->served_last = waiter;
}

/* Serves it, if it still waits. */
static void serve_one(struct serving *serving, struct waiting *place)
{
	struct waiter *waiter = place->waiter;
	struct key keys[2];
	bool ours = waiter_claim(waiter, WAITER_SERVED);
	place_remove(place);
	if (!ours)
		return;
	reply_init(&waiter->reply, waiter->resp);
	struct ctx ctx = place_ctx(serving, place, keys);
	execute(&ctx);
	assert(!ctx.block.wanted);
	serving->stored |= ctx.stored;
	serving->left -= ctx.dirty < serving->left ? ctx.dirty : serving->left;
	push_served(serving->shard, waiter);
}

static bool waits(const struct waiter *waiter)
{
	return atomic_load_explicit(&waiter->state, memory_order_acquire) == WAITER_WAITING;
}

/* Remembers a slot that has a stalled queue; twice does no harm. */
static void stall(struct shard *shard, struct slot *slot)
{
	if (shard->stalled_count == shard->stalled_room) {
		shard->stalled_room = shard->stalled_room ? 2 * shard->stalled_room : STALLED_FIRST;
		shard->stalled =
			mem_realloc(shard->stalled, shard->stalled_room * sizeof(struct slot *));
	}
	shard->stalled[shard->stalled_count++] = slot;
}

/*
 * Serves who waits in a queue, from its front, while there is something of the type that it wants.
 */
static void serve_queue(struct serving *serving, struct blocked_queue *queue)
{
	struct waiting *next;
	queue->stalled = false;
	for (struct waiting *place = queue->first; place; place = next) {
		next = place->next;
		if (!waits(place->waiter)) {
			place_remove(place);
			continue;
		}
		const struct entry *e = find_value(serving, queue);
		if (!e)
			break;
		if (entry_type(e) != place->waiter->type)
			continue;
		struct slot *target = place->waiter->target.slot;
		if (serving->left == 0 || (target && !hold_also(serving, target))) {
			queue->stalled = true;
			stall(serving->shard, queue->slot);
			break;
		}
		serve_one(serving, place);
	}
	tidy_queue(serving->shard, queue);
}

/*
 * The record of all that the unit has done is made while everything that it wrote to is still held.
 */
static void release_also(struct serving *serving)
{
	uint32_t count = serving->count + serving->also_count;
	struct slot **slots = mem_alloc(count * sizeof(*slots));
	memcpy(slots, serving->slots, serving->count * sizeof(*slots));
	memcpy(slots + serving->count, serving->also, serving->also_count * sizeof(*slots));
	journal_commit(serving->shard, slots, count, moment(serving));
	mem_free(slots, count * sizeof(*slots));
	for (uint32_t i = 0; i < serving->also_count; i++)
		slot_release(serving->also[i], true);
}

/* True when something was stored. */
static bool serve_ready(struct ready_list *ready, struct shard *shard, struct slot *const *slots,
			uint32_t count, const _Atomic int64_t *clock)
{
	struct serving serving = {.shard = shard,
				  .ready = ready,
				  .slots = slots,
				  .count = count,
				  .clock = clock,
				  .left = SERVE_ELEMENTS_MAX};
	struct blocked_queue *queue;
	while ((queue = ready->first)) {
		ready->first = queue->ready_next;
		queue->noted = false;
		serve_queue(&serving, queue);
	}
	if (serving.also_count > 0)
		release_also(&serving);
	return serving.stored;
}

void unit_end(struct ready_list *ready, struct shard *shard, struct slot *const *slots,
	      uint32_t count, bool stored, int64_t now, const _Atomic int64_t *clock)
{
	if (ready->first)
		stored |= serve_ready(ready, shard, slots, count, clock);
	slots_release(shard, slots, count, stored, now);
}

/* Serves the stalled queues of a slot; false when it is held by another. */
static bool retry_slot(struct shard *shard, struct slot *slot, const _Atomic int64_t *clock)
{
	struct ready_list ready = {0};
	if (!slot_try_hold(slot))
		return false;
	freeze_unit_begin(shard, &slot, 1);
	const struct blocked_index *index = slot_blocked(slot);
	for (uint32_t i = 0; index && i < index->size; i++)
		for (struct blocked_queue *queue = index->chains[i]; queue; queue = queue->next)
			if (queue->stalled)
				note_queue(&ready, queue);
	int64_t now = atomic_load_explicit(clock, memory_order_relaxed);
	unit_end(&ready, shard, &slot, 1, false, now, clock);
	return true;
}

bool blocked_retry(struct shard *shard, const _Atomic int64_t *clock)
{
	uint32_t count = shard->stalled_count;
	struct slot **old = shard->stalled;
	size_t old_bytes = shard->stalled_room * sizeof(struct slot *);
	shard->stalled = NULL;
	shard->stalled_count = shard->stalled_room = 0;
	for (uint32_t i = 0; i < count; i++)
		if (!retry_slot(shard, old[i], clock))
			stall(shard, old[i]);
	mem_free(old, old_bytes);
	return shard->stalled_count > 0;
}
