/*
 * The time at which a key expires: set, asked for, taken away.
 *
 * It is kept as unix milliseconds; the four ways to set it differ in unit and in what they count
 * from. What is set to a time that is over is deleted at once.
 */
#include "shard/handlers.h"

#include <assert.h>

/* What EXPIRE and its kin may be told to look at first. */
enum expire_option {
	EXPIRE_NX = 1, /* only without an expiry */
	EXPIRE_XX = 2, /* only with one */
	EXPIRE_GT = 4, /* only to a later one */
	EXPIRE_LT = 8, /* only to an earlier one */
};

static const struct {
	const char *name;
	enum expire_option option;
} expire_options[] = {
	{"nx", EXPIRE_NX},
	{"xx", EXPIRE_XX},
	{"gt", EXPIRE_GT},
	{"lt", EXPIRE_LT},
};

#define EXPIRE_OPTION_COUNT (sizeof(expire_options) / sizeof(*expire_options))

/* 0: there is none of that name. */
static unsigned find_option(struct slice name)
{
	for (size_t i = 0; i < EXPIRE_OPTION_COUNT; i++)
		if (slice_is(name, expire_options[i].name))
			return expire_options[i].option;
	return 0;
}

/* On failure replies. */
static bool parse_options(struct ctx *ctx, unsigned *options)
{
	*options = 0;
	for (uint32_t i = 3; i < ctx->argc; i++) {
		unsigned option = find_option(ctx->argv[i]);
		if (!option) {
			reply_errorf(ctx->reply, "ERR Unsupported option %.*s",
				     ERROR_ECHO(ctx->argv[i]));
			return false;
		}
		*options |= option;
	}
	if ((*options & EXPIRE_NX) && (*options & ~EXPIRE_NX)) {
		reply_error(ctx->reply, "ERR NX and XX, GT or LT options at the same time are not "
					"compatible");
		return false;
	}
	if ((*options & EXPIRE_GT) && (*options & EXPIRE_LT)) {
		reply_error(ctx->reply,
			    "ERR GT and LT options at the same time are not compatible");
		return false;
	}
	return true;
}

/* Argument 2, in units of `unit` ms counted from `base`, as unix ms; on failure replies. */
static bool parse_when(struct ctx *ctx, int64_t base, int64_t unit, int64_t *when)
{
	int64_t n;
	if (!ctx_arg_int(ctx, 2, &n))
		return false;
	if (__builtin_mul_overflow(n, unit, &n) || __builtin_add_overflow(n, base, &n)) {
		reply_errorf(ctx->reply, "ERR invalid expire time in '%s' command", ctx->cmd->name);
		return false;
	}
	*when = n < EXPIRE_LAST ? n : EXPIRE_LAST;
	return true;
}

/* Whether the options allow it. No expiry counts as one in infinity. */
static bool options_allow(unsigned options, const struct entry *e, int64_t when)
{
	int64_t current = entry_expire(e);
	if ((options & EXPIRE_NX) && current != EXPIRE_NEVER)
		return false;
	if ((options & EXPIRE_XX) && current == EXPIRE_NEVER)
		return false;
	if ((options & EXPIRE_GT) && when <= current)
		return false;
	return !(options & EXPIRE_LT) || when < current;
}

static void expire_key(struct ctx *ctx, int64_t base, int64_t unit)
{
	unsigned options;
	int64_t when;
	if (!parse_options(ctx, &options) || !parse_when(ctx, base, unit, &when))
		return;
	const struct entry *e = ctx_peek(ctx, 0, true);
	if (!e || !options_allow(options, e, when)) {
		reply_int(ctx->reply, 0);
		return;
	}
	if (when <= ctx->now) {
		ctx_by_state(ctx);
		ctx_remove(ctx, 0);
	} else {
		ctx_put_shallow(ctx, 0, entry_with_expire(e, when));
		ctx_effect_expire(ctx, when);
	}
	ctx->dirty++;
	reply_int(ctx->reply, 1);
}

void cmd_expire(struct ctx *ctx)
{
	expire_key(ctx, ctx->now, 1000);
}

void cmd_pexpire(struct ctx *ctx)
{
	expire_key(ctx, ctx->now, 1);
}

void cmd_expireat(struct ctx *ctx)
{
	expire_key(ctx, 0, 1000);
}

void cmd_pexpireat(struct ctx *ctx)
{
	expire_key(ctx, 0, 1);
}

/*
 * Replies -2 for no key, -1 for no expiry, else the time from `base` on in units of `unit` ms,
 * rounded.
 */
static void reply_expire(struct ctx *ctx, int64_t base, int64_t unit)
{
	const struct entry *e = ctx_find_untouched(ctx, 0);
	if (!e) {
		reply_int(ctx->reply, -2);
		return;
	}
	int64_t when = entry_expire(e);
	if (when == EXPIRE_NEVER) {
		reply_int(ctx->reply, -1);
		return;
	}
	if (when == EXPIRE_LAST)
		when++;
	int64_t left = when - base;
	assert(left > 0);
	reply_int(ctx->reply, left / unit + (left % unit * 2 >= unit));
}

void cmd_ttl(struct ctx *ctx)
{
	reply_expire(ctx, ctx->now, 1000);
}

void cmd_pttl(struct ctx *ctx)
{
	reply_expire(ctx, ctx->now, 1);
}

void cmd_expiretime(struct ctx *ctx)
{
	reply_expire(ctx, 0, 1000);
}

void cmd_pexpiretime(struct ctx *ctx)
{
	reply_expire(ctx, 0, 1);
}

void cmd_persist(struct ctx *ctx)
{
	const struct entry *e = ctx_peek(ctx, 0, true);
	bool had = e && entry_expire(e) != EXPIRE_NEVER;
	if (had) {
		ctx_put_shallow(ctx, 0, entry_with_expire(e, EXPIRE_NEVER));
		ctx->dirty++;
	}
	reply_int(ctx->reply, had);
}
