/*
 * The verbs on keys that handlers use (ctx.h).
 *
 * A lookup by the holder that meets an expired entry removes it on the spot; a reader under RCU
 * calls it a miss and leaves it to the sweep. All counting of keys and expiries goes through
 * put_entry() and drop_entry(), so the sums can't drift; who watches the key is told there.
 */
#include "shard/ctx.h"

#include "shard/blocked.h"
#include "shard/value.h"
#include "shard/watch.h"

#include <assert.h>
#include <math.h>

/* LFU: where new keys start, so that they aren't the first to go, and the counter's border. */
#define LFU_START 5
#define LFU_MAX 255

void ctx_store(struct ctx *ctx)
{
	assert(ctx->holder && !ctx->quiet);
	ctx->stored = true;
}

/* A store under a key; `expired`: what was stored there had expired and goes. */
static void store_under(struct ctx *ctx, const struct key *key, uint32_t db, bool expired)
{
	ctx_store(ctx);
	if (slot_watchers(key->slot))
		watch_touch(key->slot, db, key->hash, key->name, expired);
	changes_touch(ctx->shard, key->slot, db, key->hash);
}

void ctx_open(struct ctx *ctx, uint32_t k)
{
	store_under(ctx, &ctx->keys[k], ctx->db, false);
}

static void count_add(_Atomic int64_t *count, int64_t n)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static void count_entry(struct ctx *ctx, uint32_t db, const struct entry *e, int64_t n)
{
	count_add(&ctx->shard->counts[db].keys, n);
	if (e->flags & ENTRY_EXPIRES)
		count_add(&ctx->shard->counts[db].expires, n);
}

/* Takes the entry out of its table: its retiring is the caller's. */
static void drop_entry(struct ctx *ctx, const struct key *key, uint32_t db, struct table *table,
		       bool expired)
{
	store_under(ctx, key, db, expired);
	freeze_table(ctx->shard, key->slot, db);
	struct entry *e =
		table_remove(table, &ctx->ks->seed, key->hash, key->name, &ctx->shard->retire);
	assert(e);
	count_entry(ctx, db, e, -1);
}

/* --- effects --- */

void ctx_by_state(struct ctx *ctx)
{
	ctx->by_state = ctx->shard->journal.on;
}

void ctx_effect(struct ctx *ctx, const struct slice *argv, uint32_t argc)
{
	struct journal *journal = &ctx->shard->journal;
	ctx->own_effects = true;
	ctx->by_state = false;
	if (journal->on)
		effect_add(journal, ctx->db, argv, argc);
}

void ctx_effect_pop(struct ctx *ctx, const char *name, uint32_t k, uint64_t count)
{
	char text[NUMBER_TEXT_MAX];
	struct slice number = {text, number_format_unsigned(text, count)};
	ctx_effect(ctx, (struct slice[]){slice_of(name), ctx->keys[k].name, number}, 3);
}

void ctx_effect_expire(struct ctx *ctx, int64_t when)
{
	char text[NUMBER_TEXT_MAX];
	struct slice at = {text, number_format(text, when)};
	if (when == EXPIRE_NEVER)
		ctx_effect(ctx, (struct slice[]){SLICE("PERSIST"), ctx->keys[0].name}, 2);
	else
		ctx_effect(ctx, (struct slice[]){SLICE("PEXPIREAT"), ctx->keys[0].name, at}, 3);
}

/* --- finding --- */

/* The live entry of a key. The holder, if it may store, removes one that has expired. */
static struct entry *find_live(struct ctx *ctx, const struct key *key, uint32_t db)
{
	struct table *table = slot_table(key->slot, db);
	struct entry *e = table ? table_find(table, key->hash, key->name) : NULL;
	if (!e || !value_expired(e, ctx->now))
		return e;
	if (ctx->holder && !ctx->quiet) {
		if (ctx->shard->journal.on)
			effect_remove(&ctx->shard->journal, db, key->name);
		drop_entry(ctx, key, db, table, true);
		freeze_retire_entry(ctx->shard, key->slot, key->hash, e);
		stat_add(&ctx->shard->stats.expired, 1);
	}
	return NULL;
}

/* A reader may not follow an owner-only value. */
static bool reader_stops(struct ctx *ctx, const struct entry *e)
{
	if (ctx->holder || !(e->flags & ENTRY_OWNER_ONLY))
		return false;
	ctx->need_holder = true;
	return true;
}

/* --- limits --- */

uint64_t ctx_string_max(const struct ctx *ctx)
{
	if (ctx->shard->replays)
		return STRING_BYTES_MAX;
	return atomic_load_explicit(&ctx->ks->string_max, memory_order_relaxed);
}

/* --- access bits --- */

static uint32_t lru_clock(const struct ctx *ctx)
{
	return (uint32_t)((ctx->now + ctx->shard->replay_ms) / 1000) & ENTRY_ACCESS_MASK;
}

static uint32_t lfu_minutes(const struct ctx *ctx)
{
	return (uint32_t)((ctx->now + ctx->shard->replay_ms) / 60000) & 0xffff;
}

static bool uses_lfu(const struct ctx *ctx)
{
	return atomic_load_explicit(&ctx->ks->access_policy, memory_order_relaxed) == ACCESS_LFU;
}

uint32_t ctx_frequency(const struct ctx *ctx, const struct entry *e)
{
	uint32_t access = entry_access(e);
	uint32_t counter = access & LFU_MAX;
	uint32_t decay = atomic_load_explicit(&ctx->ks->lfu_decay_minutes, memory_order_relaxed);
	if (!decay)
		return counter;
	uint32_t periods = ((lfu_minutes(ctx) - (access >> 8)) & 0xffff) / decay;
	return periods > counter ? 0 : counter - periods;
}

/* Increments the counter with a probability that falls as it rises. */
static uint32_t lfu_increment(const struct ctx *ctx, uint32_t counter)
{
	if (counter == LFU_MAX)
		return counter;
	uint32_t factor = atomic_load_explicit(&ctx->ks->lfu_log_factor, memory_order_relaxed);
	uint64_t base = counter > LFU_START ? counter - LFU_START : 0;
	return shard_random(ctx->shard) % (base * factor + 1) == 0 ? counter + 1 : counter;
}

static void mark_access(struct ctx *ctx, struct entry *e)
{
	if (ctx->no_touch)
		return;
	if (uses_lfu(ctx))
		entry_set_access(e,
				 lfu_minutes(ctx) << 8 | lfu_increment(ctx, ctx_frequency(ctx, e)));
	else
		entry_set_access(e, lru_clock(ctx));
}

uint32_t ctx_access_new(const struct ctx *ctx)
{
	return uses_lfu(ctx) ? lfu_minutes(ctx) << 8 | LFU_START : lru_clock(ctx);
}

uint32_t ctx_access_past(const struct ctx *ctx, int64_t idle_seconds, int64_t frequency)
{
	if (uses_lfu(ctx))
		return frequency < 0 ? ctx_access_new(ctx)
				     : lfu_minutes(ctx) << 8 | (uint32_t)frequency;
	if (idle_seconds < 0)
		return ctx_access_new(ctx);
	/* The clock wraps: what was longer ago is as long ago as it can tell. */
	if (idle_seconds > ENTRY_ACCESS_MASK)
		idle_seconds = ENTRY_ACCESS_MASK;
	return (lru_clock(ctx) - (uint32_t)idle_seconds) & ENTRY_ACCESS_MASK;
}

uint64_t ctx_idle_seconds(const struct ctx *ctx, const struct entry *e)
{
	return (lru_clock(ctx) - entry_access(e)) & ENTRY_ACCESS_MASK;
}

/* --- lookups --- */

struct entry *ctx_find(struct ctx *ctx, uint32_t k)
{
	assert(k < ctx->key_count);
	struct entry *e = find_live(ctx, &ctx->keys[k], ctx->db);
	if (!e) {
		stat_add(&ctx->shard->stats.misses, 1);
		return NULL;
	}
	if (reader_stops(ctx, e))
		return NULL;
	stat_add(&ctx->shard->stats.hits, 1);
	mark_access(ctx, e);
	return e;
}

struct entry *ctx_peek(struct ctx *ctx, uint32_t k, bool touch)
{
	struct entry *e = ctx_peek_in(ctx, k, ctx->db);
	if (e && touch)
		mark_access(ctx, e);
	return e;
}

struct entry *ctx_peek_in(struct ctx *ctx, uint32_t k, uint32_t db)
{
	assert(k < ctx->key_count);
	struct entry *e = find_live(ctx, &ctx->keys[k], db);
	return e && reader_stops(ctx, e) ? NULL : e;
}

static bool check_type(struct ctx *ctx, const struct entry *e, enum entry_type type)
{
	if (!e || entry_type(e) == type)
		return true;
	reply_error(ctx->reply, error_wrong_type);
	return false;
}

bool ctx_find_typed(struct ctx *ctx, uint32_t k, enum entry_type type, struct entry **out)
{
	*out = ctx_find(ctx, k);
	return check_type(ctx, *out, type);
}

bool ctx_peek_typed(struct ctx *ctx, uint32_t k, enum entry_type type, struct entry **out)
{
	*out = ctx_peek(ctx, k, true);
	return check_type(ctx, *out, type);
}

/* --- stores --- */

static void slot_note_due(struct slot *slot, int64_t due)
{
	if (due < slot_expire_earliest(slot))
		atomic_store_explicit(&slot->expire_earliest, due, memory_order_relaxed);
}

/* Blocking commands wait for values of these types. */
static bool may_be_awaited(const struct entry *e)
{
	return entry_type(e) == ENTRY_LIST || entry_type(e) == ENTRY_ZSET;
}

/* Publishes the entry; returns the one it replaced. */
static struct entry *replace_entry(struct ctx *ctx, uint32_t k, uint32_t db, struct entry *e)
{
	const struct key *key = &ctx->keys[k];
	struct table *table = slot_table_make(ctx->ks, key->slot, db);
	freeze_table(ctx->shard, key->slot, db);
	struct entry *old = table_put(table, &ctx->ks->seed, key->hash, e, &ctx->shard->retire);
	count_entry(ctx, db, e, 1);
	if (old)
		count_entry(ctx, db, old, -1);
	slot_note_due(key->slot, entry_due(e));
	if (slot_blocked(key->slot) && may_be_awaited(e))
		blocked_note(ctx, key, db);
	return old;
}

static struct entry *put_entry(struct ctx *ctx, uint32_t k, uint32_t db, struct entry *e)
{
	if (ctx->by_state)
		effect_state(&ctx->shard->journal, db, e);
	store_under(ctx, &ctx->keys[k], db, false);
	return replace_entry(ctx, k, db, e);
}

void ctx_note_due(struct ctx *ctx, uint32_t k, int64_t due)
{
	const struct key *key = &ctx->keys[k];
	ctx_store(ctx);
	table_note_due(slot_table(key->slot, ctx->db), key->hash, key->name, due);
	slot_note_due(key->slot, due);
}

/* What was under key k and isn't any more. */
static void retire_old(struct ctx *ctx, uint32_t k, struct entry *old)
{
	const struct key *key = &ctx->keys[k];
	freeze_retire_entry(ctx->shard, key->slot, key->hash, old);
}

void ctx_put_in(struct ctx *ctx, uint32_t k, uint32_t db, struct entry *e)
{
	struct entry *old = put_entry(ctx, k, db, e);
	if (old)
		retire_old(ctx, k, old);
}

void ctx_put(struct ctx *ctx, uint32_t k, struct entry *e)
{
	ctx_put_in(ctx, k, ctx->db, e);
}

void ctx_put_shallow(struct ctx *ctx, uint32_t k, struct entry *e)
{
	struct entry *old = put_entry(ctx, k, ctx->db, e);
	assert(old);
	retire_entry_shallow(&ctx->shard->retire, old);
}

void ctx_put_form(struct ctx *ctx, uint32_t k, struct entry *e, bool shallow)
{
	ctx_store(ctx);
	struct entry *old = replace_entry(ctx, k, ctx->db, e);
	assert(old);
	if (shallow)
		retire_entry_shallow(&ctx->shard->retire, old);
	else
		retire_old(ctx, k, old);
}

/* Takes the live entry out; NULL: there is none. */
static struct entry *take_entry(struct ctx *ctx, uint32_t k)
{
	const struct key *key = &ctx->keys[k];
	struct entry *e = find_live(ctx, key, ctx->db);
	if (!e)
		return NULL;
	if (ctx->by_state)
		effect_remove(&ctx->shard->journal, ctx->db, key->name);
	drop_entry(ctx, key, ctx->db, slot_table(key->slot, ctx->db), false);
	return e;
}

bool ctx_remove(struct ctx *ctx, uint32_t k)
{
	struct entry *e = take_entry(ctx, k);
	if (e)
		retire_old(ctx, k, e);
	return e;
}

bool ctx_remove_shallow(struct ctx *ctx, uint32_t k)
{
	struct entry *e = take_entry(ctx, k);
	if (e)
		retire_entry_shallow(&ctx->shard->retire, e);
	return e;
}

/* --- arguments --- */

bool ctx_arg_int(struct ctx *ctx, uint32_t i, int64_t *out)
{
	if (number_parse(ctx->argv[i], out))
		return true;
	reply_error(ctx->reply, error_not_integer);
	return false;
}

bool ctx_arg_range(struct ctx *ctx, uint32_t i, int64_t min, int64_t max, int64_t *out,
		   const char *error)
{
	if (!number_parse(ctx->argv[i], out)) {
		reply_error(ctx->reply, error ? error : error_not_integer);
		return false;
	}
	if (*out >= min && *out <= max)
		return true;
	if (error)
		reply_error(ctx->reply, error);
	else
		reply_errorf(ctx->reply,
			     "ERR value is out of range, value must between %lld and %lld",
			     (long long)min, (long long)max);
	return false;
}

bool ctx_arg_positive(struct ctx *ctx, uint32_t i, int64_t *out)
{
	return ctx_arg_range(ctx, i, 0, INT64_MAX, out,
			     "ERR value is out of range, must be positive");
}

bool ctx_arg_double(struct ctx *ctx, uint32_t i, double *out, const char *error)
{
	if (number_parse_double(ctx->argv[i], out))
		return true;
	reply_error(ctx->reply, error ? error : error_not_float);
	return false;
}

bool ctx_arg_db(struct ctx *ctx, uint32_t i, uint32_t *out, const char *error)
{
	int64_t n;
	if (!ctx_arg_range(ctx, i, INT32_MIN, INT32_MAX, &n, error))
		return false;
	if (n < 0 || n >= ctx->ks->databases) {
		reply_error(ctx->reply, "ERR DB index is out of range");
		return false;
	}
	*out = (uint32_t)n;
	return true;
}

bool ctx_arg_timeout(struct ctx *ctx, uint32_t i, int64_t *until)
{
	long double seconds;
	if (!number_parse_long_double(ctx->argv[i], &seconds)) {
		reply_error(ctx->reply, "ERR timeout is not a float or out of range");
		return false;
	}
	long double ms = ceill(seconds * 1000);
	const char *error = ms < 0 ? "ERR timeout is negative"
			    : ms > (long double)(INT64_MAX - ctx->now)
				    ? "ERR timeout is out of range"
				    : NULL;
	if (error)
		reply_error(ctx->reply, error);
	else
		*until = ms == 0 ? INT64_MAX : ctx->now + (int64_t)ms;
	return !error;
}
