/*
 * What a command handler gets: the request, a reply to write, the time, and verbs on keys.
 *
 * A handler is written once, as if the server had one thread. It doesn't know whether it runs as
 * the holder of its slots or as a reader under RCU: the verbs below do.
 *
 *	void cmd_strlen(struct ctx *ctx)
 *	{
 *		struct entry *e;
 *		if (ctx_find_typed(ctx, 0, ENTRY_STRING, &e))
 *			reply_int(ctx->reply, e ? string_length(e) : 0);
 *	}
 *
 * Keys are prepared before the handler runs (hash and slot worked out, memory prefetched) and are
 * numbered in the order of their positions in the request: GET's key is 0; MGET's are 0, 1, 2...;
 * MSET's i-th pair is key i with the value argv[2 + 2*i]; BITOP's destination is 0, its sources 1,
 * 2...
 *
 * Rules for handlers:
 *  - Check everything that can fail before the first store.
 *  - An entry is a borrowed pointer, valid until the handler stores under the same key or returns.
 *    Never change one: build a new entry and ctx_put() it. (Owner-only values are changed in place,
 *    after ctx_open().)
 *  - A handler of a read-only command may run twice, or for nothing, and what it found is thrown
 *    away when a writer interfered: it has no effects but its reply, hits and misses (they are
 *    taken back), and access bits.
 *  - What visits or writes any number of elements asks ctx_long() before its first store, and
 *    calls turn_step() for each (turn.h).
 *  - Time is ctx->now, randomness shard_random(ctx->shard). No system calls, no globals.
 */
#ifndef SHARD_CTX_H
#define SHARD_CTX_H

#include "proto/command.h"
#include "proto/number.h"
#include "proto/reply.h"
#include "shard/entry.h"
#include "shard/keyspace.h"

#include <stdbool.h>
#include <stdint.h>

struct key {
	struct slice name;
	uint64_t hash;
	struct slot *slot;
};

struct blocked_queue;

/*
 * Keys that others wait for, and that have been put: the holder serves them at the end of its unit
 * of work.
 */
struct ready_list {
	struct blocked_queue *first, *last;
};

/* A blocking command has found nothing: what its client waits for. */
struct ctx_block {
	bool wanted;
	enum entry_type type; /* of the values */
	uint32_t key_count;   /* which it waits for: the first ones of the request's */
	int64_t until;        /* unix ms; INT64_MAX: for ever */
};

struct ctx {
	/* the request; argv[0] is the command's name */
	const struct command *cmd;
	const struct slice *argv;
	uint32_t argc;
	uint32_t db;
	const struct key *keys;
	uint32_t key_count;
	int64_t now; /* unix ms */
	const _Atomic int64_t *clock; /* where a writer loads `now` again; NULL: it stands (execute.h) */
	struct reply *reply;
	/* where it runs */
	struct keyspace *ks;
	struct shard *shard; /* the executing worker's */
	bool holder;         /* all slots of the request are held: may store */
	bool by_state;       /* its effects are what each key is after it (effects below) */
	bool may_block;      /* not inside a transaction */
	bool quiet;          /* ... but may not: readers read what it reads (slot_quiet) */
	bool no_touch;       /* CLIENT NO-TOUCH: leave the access bits alone */
	uint64_t pop_max;    /* at most so many elements for who has waited (blocked.h); 0: any number */
	uint64_t long_from;  /* with more elements than this it is to take turns; 0: it runs as it is */
	/* results */
	bool stored;      /* something that readers can see */
	bool need_holder; /* a reader met a value that only the holder may look at: run again there */
	bool need_turns;  /* it has refused to do so much in one go: run again as long work (turn.h) */
	bool droppable;   /* while it takes turns: it owns nothing, and may be ended by forgetting it */
	bool only_reads;  /* ... it stores nothing, though its command may (SORT) */
	bool own_effects; /* the handler has said what its effects are */
	uint64_t dirty;   /* changes made */
	struct ctx_block block;
	struct ready_list *ready; /* of the unit of work */
};

/*
 * Looks key number `k` up for reading: counts a hit or miss and marks the access. NULL: not there,
 * or expired. As a reader an owner-only value gives NULL as well, with need_holder set: whatever
 * the handler answers then is thrown away.
 */
struct entry *ctx_find(struct ctx *ctx, uint32_t k);

/* The same for a value of one type: false, after replying WRONGTYPE, when it is of another. */
bool ctx_find_typed(struct ctx *ctx, uint32_t k, enum entry_type type, struct entry **out);

/* The same without marking the access: for what asks about a key, not for its value. */
static inline struct entry *ctx_find_untouched(struct ctx *ctx, uint32_t k)
{
	bool no_touch = ctx->no_touch;
	ctx->no_touch = true;
	struct entry *e = ctx_find(ctx, k);
	ctx->no_touch = no_touch;
	return e;
}

/* Looks up without counting hit or miss (before a write); with `touch` the access is marked. */
struct entry *ctx_peek(struct ctx *ctx, uint32_t k, bool touch);
bool ctx_peek_typed(struct ctx *ctx, uint32_t k, enum entry_type type, struct entry **out);

/* Lookups in another database (COPY, MOVE): like ctx_peek without touch. */
struct entry *ctx_peek_in(struct ctx *ctx, uint32_t k, uint32_t db);

/*
 * Puts an entry (fresh, its key equal to key k's name) into the key's slot: inserts or replaces,
 * retires what it replaced, counts. The handler adds to ctx->dirty itself, as Redis counts. Holder
 * only.
 */
void ctx_put(struct ctx *ctx, uint32_t k, struct entry *e);
void ctx_put_in(struct ctx *ctx, uint32_t k, uint32_t db, struct entry *e);

/*
 * The same, but the replaced entry is retired shallow: its blob or structure lives on in the new
 * entry (entry_with_expire).
 */
void ctx_put_shallow(struct ctx *ctx, uint32_t k, struct entry *e);

/*
 * The value that is there in another form: no change for who watches the key. `shallow`: as
 * ctx_put_shallow().
 */
void ctx_put_form(struct ctx *ctx, uint32_t k, struct entry *e, bool shallow);

/* Removes key k: true when it was there (and not expired). Holder only. */
bool ctx_remove(struct ctx *ctx, uint32_t k);
/*
 * Takes the entry out without retiring what hangs off it: the caller has moved its structure
 * (RENAME, MOVE).
 */
bool ctx_remove_shallow(struct ctx *ctx, uint32_t k);

/*
 * What is in key k, changed in place, expires at `due` for the first time: slot and table take
 * note.
 */
void ctx_note_due(struct ctx *ctx, uint32_t k, int64_t due);

/* Before the value of key k is changed in place (an owner-only one). Holder only. Idempotent. */
void ctx_open(struct ctx *ctx, uint32_t k);
/*
 * Something is stored that is no matter of one key; touching who watches it is the caller's
 * (watch.h).
 */
void ctx_store(struct ctx *ctx);

/*
 * Whether the handler may go on to do something with so many elements. False: it returns at once,
 * having stored nothing, and will be run again where it may; whatever it has replied is thrown
 * away. (Where nobody waits, as in tests, it always may.)
 */
static inline bool ctx_long(struct ctx *ctx, uint64_t elements)
{
	if (ctx->long_from == 0 || elements <= ctx->long_from)
		return true;
	ctx->need_turns = true;
	return false;
}

/*
 * The same for one that from here on only reads and replies, and owns no memory: see `droppable`.
 */
static inline bool ctx_long_read(struct ctx *ctx, uint64_t elements)
{
	ctx->droppable = true;
	return ctx_long(ctx, elements);
}

/* How many of `length` elements who asks for `count` may pop. */
static inline uint64_t ctx_pop_count(const struct ctx *ctx, uint64_t length, uint64_t count)
{
	if (ctx->pop_max > 0 && count > ctx->pop_max)
		count = ctx->pop_max;
	return count < length ? count : length;
}

/*
 * Effects (journal.h): what does again what a write did. Unless the handler says otherwise that is
 * the request itself. So who depends on the time, on luck or on floating point says otherwise,
 * before its first store, and after ctx_long() has let it go on:
 *  - ctx_by_state(): each entry put is an effect "make the key so", each key removed one "DEL".
 *    Wrong for what is changed in place. Commands with keys in several slots are always done so,
 *    unless
 *  - ctx_effect() says it: a command of one key, given as its arguments; as often as needed.
 */
void ctx_by_state(struct ctx *ctx);
void ctx_effect(struct ctx *ctx, const struct slice *argv, uint32_t argc);
/* "LPOP key count" and its like, of key k. */
void ctx_effect_pop(struct ctx *ctx, const char *name, uint32_t k, uint64_t count);
/* "PEXPIREAT key when", or "PERSIST key" with EXPIRE_NEVER. Key 0. */
void ctx_effect_expire(struct ctx *ctx, int64_t when);

/* The access bits for an entry made now. */
uint32_t ctx_access_new(const struct ctx *ctx);
/*
 * Those for one that was used so many seconds ago, or so often (LFU counter), whichever the policy
 * asks for; -1 is not known, so new.
 */
uint32_t ctx_access_past(const struct ctx *ctx, int64_t idle_seconds, int64_t frequency);
/* Seconds since the entry was last used (LRU), and its LFU counter decayed to now. */
uint64_t ctx_idle_seconds(const struct ctx *ctx, const struct entry *e);
uint32_t ctx_frequency(const struct ctx *ctx, const struct entry *e);

/* As long as a string may be. */
uint64_t ctx_string_max(const struct ctx *ctx);

/* Argument i as an integer; on failure replies "ERR value is not an integer or out of range". */
bool ctx_arg_int(struct ctx *ctx, uint32_t i, int64_t *out);
/*
 * The same within a range, and not negative. `error`: what to say of anything else; NULL: the
 * usual, which names the limits.
 */
bool ctx_arg_range(struct ctx *ctx, uint32_t i, int64_t min, int64_t max, int64_t *out,
		   const char *error);
bool ctx_arg_positive(struct ctx *ctx, uint32_t i, int64_t *out);
/*
 * Argument i as a double; `error`: what to say when it isn't one; NULL: "ERR value is not a valid
 * float".
 */
bool ctx_arg_double(struct ctx *ctx, uint32_t i, double *out, const char *error);
/*
 * Argument i as a database index within range; on failure replies as Redis does. `error`: what to
 * say of a number that isn't one or doesn't fit 32 bits; NULL: the usual.
 */
bool ctx_arg_db(struct ctx *ctx, uint32_t i, uint32_t *out, const char *error);

/*
 * Argument i as a time to wait in seconds: `until` is what ctx_block() takes. On failure replies as
 * Redis does.
 */
bool ctx_arg_timeout(struct ctx *ctx, uint32_t i, int64_t *until);

/*
 * Nothing is there; a null is replied for the case that it can't wait. Waits for the first
 * `key_count` keys.
 */
static inline void ctx_block(struct ctx *ctx, enum entry_type type, uint32_t key_count,
			     int64_t until)
{
	ctx->block = (struct ctx_block){true, type, key_count, until};
}

#endif
