/*
 * Running a handler (execute.h).
 *
 * The happy path of a read: seqs are even, the handler runs, the seqs are the same: its reply
 * stands. In a writer's way it waits a moment or tries again, then the caller holds the slots
 * itself.
 */
#include "shard/execute.h"

#include "proto/mem.h"
#include "shard/blocked.h"
#include "shard/hold.h"
#include "shard/turn.h"

#include <assert.h>
#include <stdlib.h>
#include <urcu/arch.h>

/* Keys whose seqs fit on the stack; requests with more ask for memory. */
#define OBSERVE_SEQS_INLINE 64
/* So many slots are sorted in less time than all possible ones are gone through. */
#define SORT_MAX 64

void key_prepare(struct key *key, struct keyspace *ks, struct slice name)
{
	key->name = name;
	key->hash = hash_bytes(&ks->seed, name.ptr, name.len);
	key->slot = &ks->slots[key_slot(name.ptr, name.len)];
}

static int compare_slots(const void *a, const void *b)
{
	const struct slot *x = *(struct slot *const *)a;
	const struct slot *y = *(struct slot *const *)b;
	return (x > y) - (x < y);
}

/* The same for many: a bit for each slot. */
static uint32_t slots_unique_many(struct slot **slots, uint32_t count)
{
	uint64_t set[SLOT_COUNT / 64] = {0};
	struct slot *first = slots[0] - slots[0]->index;
	uint32_t unique = 0;
	for (uint32_t i = 0; i < count; i++) {
		size_t index = (size_t)(slots[i] - first);
		set[index / 64] |= 1ull << index % 64;
	}
	for (uint32_t i = 0; i < SLOT_COUNT / 64; i++)
		for (uint64_t bits = set[i]; bits; bits &= bits - 1)
			slots[unique++] = first + i * 64 + (uint32_t)__builtin_ctzll(bits);
	return unique;
}

uint32_t slots_unique(struct slot **slots, uint32_t count)
{
	if (count > SORT_MAX)
		return slots_unique_many(slots, count);
	if (count > 1)
		qsort(slots, count, sizeof(*slots), compare_slots);
	uint32_t unique = 0;
	for (uint32_t i = 0; i < count; i++)
		if (unique == 0 || slots[unique - 1] != slots[i])
			slots[unique++] = slots[i];
	return unique;
}

uint32_t keys_slots(const struct key *keys, uint32_t key_count, struct slot **slots)
{
	for (uint32_t i = 0; i < key_count; i++)
		slots[i] = keys[i].slot;
	return slots_unique(slots, key_count);
}

static void load_clock(struct ctx *ctx)
{
	if (ctx->clock)
		ctx->now = atomic_load_explicit(ctx->clock, memory_order_relaxed);
}

/* Whether it may touch keys anywhere: those it names are not all, or none. */
static bool touches_any(const struct ctx *ctx)
{
	return ctx->key_count == 0 || command_route(ctx->cmd, ctx->argv, ctx->argc) == ROUTE_ALL;
}

/* Whether a key that it may touch expires. */
static bool has_expiries(const struct ctx *ctx)
{
	if (touches_any(ctx))
		return true;
	for (uint32_t i = 0; i < ctx->key_count; i++)
		if (slot_expire_earliest(ctx->keys[i].slot) != EXPIRE_NEVER)
			return true;
	return false;
}

static bool in_several_slots(const struct ctx *ctx)
{
	for (uint32_t i = 1; i < ctx->key_count; i++)
		if (ctx->keys[i].slot != ctx->keys[0].slot)
			return true;
	return false;
}

/*
 * Its effect is likely to be the request itself, or as long. False: that takes turns, so it is to
 * be run again where it may.
 */
static bool effect_may_be_long(struct ctx *ctx)
{
	uint64_t bytes = 0;
	if (!ctx->shard->journal.on || (ctx->cmd->flags & (CMD_WRITE | CMD_BLOCKING)) != CMD_WRITE)
		return true;
	for (uint32_t i = 0; i < ctx->argc; i++)
		bytes += ctx->argv[i].len;
	return ctx_long(ctx, bytes / LONG_ELEMENT_BYTES);
}

void execute(struct ctx *ctx)
{
	ctx->holder = true;
	if (has_expiries(ctx)) {
		atomic_thread_fence(memory_order_seq_cst);
		load_clock(ctx);
	}
	ctx->by_state = ctx->shard->journal.on && in_several_slots(ctx);
	if (!effect_may_be_long(ctx))
		return;
	key_handlers[ctx->cmd->id](ctx);
	assert(!(ctx->need_turns && (ctx->dirty || ctx->own_effects)));
	if (!ctx->dirty)
		return;
	stat_add(&ctx->shard->stats.dirty, ctx->dirty);
	/* What the request did is done again by the request. */
	if (ctx->shard->journal.on && !ctx->by_state && !ctx->own_effects)
		effect_add(&ctx->shard->journal, ctx->db, ctx->argv, ctx->argc);
}

/*
 * The slot's seq once it is even: true. A holder is soon done, and to become one oneself would only
 * turn the next reader away: it is waited for, while spins are left.
 */
static bool seq_even(const struct slot *slot, uint32_t *seq, int *spins)
{
	while (slot_seq_busy(*seq = slot_seq_begin(slot))) {
		if (--*spins <= 0)
			return false;
		caa_cpu_relax();
	}
	return true;
}

/* One pass: false when some slot was written, or still is when no spins are left. */
static bool observe_once(struct ctx *ctx, uint32_t *seqs, int *spins)
{
	for (uint32_t i = 0; i < ctx->key_count; i++)
		if (!seq_even(ctx->keys[i].slot, &seqs[i], spins))
			return false;
	load_clock(ctx);
	key_handlers[ctx->cmd->id](ctx);
	if (ctx->shard->journal.on)
		for (uint32_t i = 0; i < ctx->key_count; i++)
			journal_saw(ctx->shard, slot_last_write(ctx->keys[i].slot));
	atomic_thread_fence(memory_order_acquire);
	for (uint32_t i = 0; i < ctx->key_count; i++)
		if (!slot_seq_same(ctx->keys[i].slot, seqs[i]))
			return false;
	return true;
}

/* What a try has written and counted, before it is known to stand. */
struct attempt {
	struct reply_mark reply;
	uint64_t hits, misses;
};

static struct attempt attempt_begin(const struct ctx *ctx)
{
	const struct shard_stats *stats = &ctx->shard->stats;
	return (struct attempt){.reply = reply_mark(ctx->reply),
				.hits = atomic_load_explicit(&stats->hits, memory_order_relaxed),
				.misses =
					atomic_load_explicit(&stats->misses, memory_order_relaxed)};
}

/* Takes it back: who tries three times has still looked each key up once. */
static void attempt_undo(struct ctx *ctx, const struct attempt *attempt)
{
	struct shard_stats *stats = &ctx->shard->stats;
	reply_rollback(ctx->reply, attempt->reply);
	atomic_store_explicit(&stats->hits, attempt->hits, memory_order_relaxed);
	atomic_store_explicit(&stats->misses, attempt->misses, memory_order_relaxed);
}

int observe_tries(uint32_t key_count)
{
	if (key_count > OBSERVE_KEYS_FEW)
		return OBSERVE_TRIES_LARGE;
	return key_count > 1 ? OBSERVE_TRIES_MANY : OBSERVE_TRIES_ONE;
}

bool execute_holding(struct ctx *ctx, struct slot *const *slots, uint32_t count)
{
	struct ready_list ready = {0};
	if (!slots_try_hold(ctx->shard, slots, count))
		return false;
	struct attempt attempt = attempt_begin(ctx);
	ctx->ready = &ready;
	execute(ctx);
	if (ctx->need_turns)
		attempt_undo(ctx, &attempt);
	ctx->ready = NULL;
	unit_end(&ready, ctx->shard, slots, count, ctx->stored, ctx->now, ctx->clock);
	return true;
}

enum observed execute_observed(struct ctx *ctx, uint64_t *retries)
{
	assert(!ctx->holder);
	uint32_t inline_seqs[OBSERVE_SEQS_INLINE];
	uint32_t *seqs = inline_seqs;
	size_t bytes = ctx->key_count * sizeof(*seqs);
	if (ctx->key_count > OBSERVE_SEQS_INLINE)
		seqs = mem_alloc(bytes);
	struct attempt attempt = attempt_begin(ctx);
	enum observed result = OBSERVED_BUSY;
	int tries = observe_tries(ctx->key_count);
	int spins = hold_spins(ctx->shard);
	while (result == OBSERVED_BUSY && spins > 0 && tries-- > 0) {
		ctx->need_holder = ctx->need_turns = false;
		if (observe_once(ctx, seqs, &spins))
			result = OBSERVED;
		if (ctx->need_holder || ctx->need_turns)
			result = OBSERVED_HOLDER;
		if (result != OBSERVED)
			attempt_undo(ctx, &attempt);
		if (result == OBSERVED_BUSY)
			++*retries;
	}
	if (seqs != inline_seqs)
		mem_free(seqs, bytes);
	return result;
}
