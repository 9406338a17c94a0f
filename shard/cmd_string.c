/*
 * Commands on strings: SET GET and their relatives, MSET MGET, APPEND, ranges, counters.
 *
 * Bitmaps stand in cmd_bitmap.c and cmd_bitfield.c, LCS in cmd_lcs.c. A value changed as a whole is a
 * new entry; one changed in part goes through string.h, which knows ropes.
 */
#include "proto/mem.h"
#include "shard/handlers.h"
#include "shard/string.h"

#include <math.h>

/* --- expiry options --- */

enum expire_unit {
	EXPIRE_NONE,
	EXPIRE_SECONDS,    /* EX: from now */
	EXPIRE_MS,         /* PX */
	EXPIRE_AT_SECONDS, /* EXAT */
	EXPIRE_AT_MS,      /* PXAT */
};


/* Makes unix ms of an expiry argument; false, after replying the error, when it is none. */
static bool expire_at(struct ctx *ctx, enum expire_unit unit, struct slice text, int64_t *at)
{
	int64_t n;
	if (!number_parse(text, &n)) {
		reply_error(ctx->reply, error_not_integer);
		return false;
	}
	bool seconds = unit == EXPIRE_SECONDS || unit == EXPIRE_AT_SECONDS;
	bool relative = unit == EXPIRE_SECONDS || unit == EXPIRE_MS;
	bool bad = n <= 0 || (seconds && n > INT64_MAX / 1000);
	if (!bad && seconds)
		n *= 1000;
	if (!bad && relative)
		bad = __builtin_add_overflow(n, ctx->now, &n);
	if (bad) {
		reply_errorf(ctx->reply, "ERR invalid expire time in '%s' command",
			     ctx->cmd->name);
		return false;
	}
	*at = n;
	return true;
}

static enum expire_unit expire_option(struct slice word)
{
	if (slice_is(word, "ex"))
		return EXPIRE_SECONDS;
	if (slice_is(word, "px"))
		return EXPIRE_MS;
	if (slice_is(word, "exat"))
		return EXPIRE_AT_SECONDS;
	if (slice_is(word, "pxat"))
		return EXPIRE_AT_MS;
	return EXPIRE_NONE;
}

/* --- SET --- */

struct set_options {
	bool nx, xx, get, keepttl;
	enum expire_unit unit;
	struct slice expire;
};

static bool set_parse(struct ctx *ctx, struct set_options *o)
{
	for (uint32_t i = 3; i < ctx->argc; i++) {
		struct slice word = ctx->argv[i];
		enum expire_unit unit = expire_option(word);
		if (slice_is(word, "nx") && !o->xx) {
			o->nx = true;
		} else if (slice_is(word, "xx") && !o->nx) {
			o->xx = true;
		} else if (slice_is(word, "get")) {
			o->get = true;
		} else if (slice_is(word, "keepttl") && !o->unit) {
			o->keepttl = true;
		} else if (unit && (!o->unit || o->unit == unit) && !o->keepttl &&
			   i + 1 < ctx->argc) {
			o->unit = unit;
			o->expire = ctx->argv[++i];
		} else {
			reply_error(ctx->reply, error_syntax);
			return false;
		}
	}
	return true;
}

static void put_string(struct ctx *ctx, uint32_t k, struct slice value, int64_t expire)
{
	ctx_put(ctx, k,
		entry_new_string(ctx->keys[k].name, value, expire, ctx_access_new(ctx)));
	ctx->dirty++;
}

static void reply_value(struct ctx *ctx, const struct entry *e)
{
	if (e)
		string_reply(ctx, e, 0, string_length(e));
	else
		reply_null(ctx->reply);
}

/* A moment that has passed already: the key is gone as soon as it is set. */
static void put_or_remove(struct ctx *ctx, struct slice value, int64_t expire)
{
	if (expire > ctx->now) {
		put_string(ctx, 0, value, expire);
		return;
	}
	ctx_remove(ctx, 0);
	ctx->dirty++;
}

static void set_with_options(struct ctx *ctx)
{
	struct set_options o = {0};
	int64_t expire = EXPIRE_NEVER;
	struct entry *old = NULL;
	if (!set_parse(ctx, &o) || (o.unit && !expire_at(ctx, o.unit, o.expire, &expire)))
		return;
	if (o.get) {
		if (!ctx_find_typed(ctx, 0, ENTRY_STRING, &old))
			return;
		reply_value(ctx, old);
	} else if (o.nx || o.xx || o.keepttl) {
		old = ctx_peek(ctx, 0, false);
	}
	if ((o.nx && old) || (o.xx && !old)) {
		if (!o.get)
			reply_null(ctx->reply);
		return;
	}
	if (o.keepttl && old)
		expire = entry_expire(old);
	put_or_remove(ctx, ctx->argv[2], expire);
	if (!o.get)
		reply_ok(ctx->reply);
}

void cmd_set(struct ctx *ctx)
{
	if (ctx->argc > 3) {
		set_with_options(ctx);
		return;
	}
	put_string(ctx, 0, ctx->argv[2], EXPIRE_NEVER);
	reply_ok(ctx->reply);
}

void cmd_setnx(struct ctx *ctx)
{
	bool absent = !ctx_peek(ctx, 0, false);
	if (absent)
		put_string(ctx, 0, ctx->argv[2], EXPIRE_NEVER);
	reply_int(ctx->reply, absent);
}

static void set_expiring(struct ctx *ctx, enum expire_unit unit)
{
	int64_t expire;
	if (!expire_at(ctx, unit, ctx->argv[2], &expire))
		return;
	put_string(ctx, 0, ctx->argv[3], expire);
	reply_ok(ctx->reply);
}

void cmd_setex(struct ctx *ctx)
{
	set_expiring(ctx, EXPIRE_SECONDS);
}

void cmd_psetex(struct ctx *ctx)
{
	set_expiring(ctx, EXPIRE_MS);
}

/* --- GET --- */

void cmd_get(struct ctx *ctx)
{
	struct entry *e;
	if (ctx_find_typed(ctx, 0, ENTRY_STRING, &e))
		reply_value(ctx, e);
}

void cmd_getset(struct ctx *ctx)
{
	struct entry *e;
	if (!ctx_find_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	reply_value(ctx, e);
	put_string(ctx, 0, ctx->argv[2], EXPIRE_NEVER);
}

void cmd_getdel(struct ctx *ctx)
{
	struct entry *e;
	if (!ctx_find_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	reply_value(ctx, e);
	if (e && ctx_remove(ctx, 0))
		ctx->dirty++;
}

/* GETEX's one option: a new expiry, PERSIST, or none. */
static bool getex_parse(struct ctx *ctx, struct set_options *o, bool *persist)
{
	for (uint32_t i = 2; i < ctx->argc; i++) {
		enum expire_unit unit = expire_option(ctx->argv[i]);
		if (slice_is(ctx->argv[i], "persist") && !o->unit) {
			*persist = true;
		} else if (unit && (!o->unit || o->unit == unit) && !*persist &&
			   i + 1 < ctx->argc) {
			o->unit = unit;
			o->expire = ctx->argv[++i];
		} else {
			reply_error(ctx->reply, error_syntax);
			return false;
		}
	}
	return true;
}

void cmd_getex(struct ctx *ctx)
{
	struct set_options o = {0};
	bool persist = false;
	int64_t expire = EXPIRE_NEVER;
	struct entry *e;
	if (!getex_parse(ctx, &o, &persist))
		return;
	if (!ctx_find_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	if (!e) {
		reply_null(ctx->reply);
		return;
	}
	if (o.unit && !expire_at(ctx, o.unit, o.expire, &expire))
		return;
	reply_value(ctx, e);
	if (o.unit && expire <= ctx->now) {
		ctx_remove(ctx, 0);
		ctx->dirty++;
	} else if (o.unit || (persist && entry_expire(e) != EXPIRE_NEVER)) {
		ctx_put_shallow(ctx, 0, entry_with_expire(e, expire));
		ctx->dirty++;
	}
}

/* --- several keys --- */

void cmd_mget(struct ctx *ctx)
{
	reply_array(ctx->reply, ctx->key_count);
	for (uint32_t k = 0; k < ctx->key_count; k++) {
		struct entry *e = ctx_find(ctx, k);
		reply_value(ctx, e && entry_type(e) == ENTRY_STRING ? e : NULL);
	}
}

/* MSET and MSETNX: false, after replying the error, for half a pair. */
static bool whole_pairs(struct ctx *ctx)
{
	if (ctx->argc % 2 == 1)
		return true;
	command_error_arity(ctx->cmd, ctx->reply);
	return false;
}

static void put_pairs(struct ctx *ctx)
{
	for (uint32_t k = 0; k < ctx->key_count; k++)
		put_string(ctx, k, ctx->argv[2 + 2 * k], EXPIRE_NEVER);
}

void cmd_mset(struct ctx *ctx)
{
	if (!whole_pairs(ctx))
		return;
	put_pairs(ctx);
	reply_ok(ctx->reply);
}

void cmd_msetnx(struct ctx *ctx)
{
	if (!whole_pairs(ctx))
		return;
	for (uint32_t k = 0; k < ctx->key_count; k++) {
		if (ctx_peek(ctx, k, false)) {
			reply_int(ctx->reply, 0);
			return;
		}
	}
	put_pairs(ctx);
	reply_int(ctx->reply, 1);
}

/* --- parts --- */

void cmd_strlen(struct ctx *ctx)
{
	struct entry *e;
	if (ctx_find_typed(ctx, 0, ENTRY_STRING, &e))
		reply_int(ctx->reply, e ? (int64_t)string_length(e) : 0);
}

void cmd_append(struct ctx *ctx)
{
	struct entry *e;
	struct slice more = ctx->argv[2];
	if (!ctx_peek_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	if (!e) {
		put_string(ctx, 0, more, EXPIRE_NEVER);
		reply_int(ctx->reply, (int64_t)more.len);
		return;
	}
	size_t length = string_length(e);
	if (!string_check_length(ctx, length, more.len))
		return;
	string_write(ctx, 0, e, length, more);
	ctx->dirty++;
	reply_int(ctx->reply, (int64_t)(length + more.len));
}

void cmd_setrange(struct ctx *ctx)
{
	struct entry *e;
	int64_t offset;
	struct slice bytes = ctx->argv[3];
	if (!ctx_arg_int(ctx, 2, &offset))
		return;
	if (offset < 0) {
		reply_error(ctx->reply, "ERR offset is out of range");
		return;
	}
	if (!ctx_peek_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	size_t length = e ? string_length(e) : 0;
	if (bytes.len == 0) {
		reply_int(ctx->reply, (int64_t)length);
		return;
	}
	if (!string_check_length(ctx, (size_t)offset, bytes.len))
		return;
	string_write(ctx, 0, e, (size_t)offset, bytes);
	ctx->dirty++;
	size_t end = (size_t)offset + bytes.len;
	reply_int(ctx->reply, (int64_t)(end > length ? end : length));
}

void cmd_getrange(struct ctx *ctx)
{
	struct entry *e;
	int64_t start, end;
	if (!ctx_arg_int(ctx, 2, &start) || !ctx_arg_int(ctx, 3, &end) ||
	    !ctx_find_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	int64_t length = e ? (int64_t)string_length(e) : 0;
	bool empty = start < 0 && end < 0 && start > end;
	if (start < 0)
		start = start + length < 0 ? 0 : start + length;
	if (end < 0)
		end = end + length < 0 ? 0 : end + length;
	if (end >= length)
		end = length - 1;
	if (empty || start > end || length == 0)
		reply_bulk(ctx->reply, "", 0);
	else
		string_reply(ctx, e, (size_t)start, (size_t)(end - start + 1));
}

void cmd_substr(struct ctx *ctx)
{
	cmd_getrange(ctx);
}

/* --- counters --- */

/* Replaces key 0's value, keeping its expiry. */
static void put_kept(struct ctx *ctx, const struct entry *old, struct slice value,
		     enum entry_encoding encoding)
{
	struct entry_spec spec = {.key = ctx->keys[0].name,
				  .value = value,
				  .expire = old ? entry_expire(old) : EXPIRE_NEVER,
				  .type = ENTRY_STRING,
				  .encoding = encoding,
				  .access = ctx_access_new(ctx)};
	ctx_put(ctx, 0, entry_new(&spec));
	ctx->dirty++;
}

/* The value as a number's text, when it is short enough to be one. */
static bool number_text(const struct entry *e, char *out, size_t max, struct slice *text)
{
	size_t length = string_length(e);
	if (length > max)
		return false;
	string_read(e, 0, length, out);
	*text = (struct slice){out, length};
	return true;
}

static void increment(struct ctx *ctx, int64_t by)
{
	struct entry *e;
	struct slice text;
	char digits[NUMBER_TEXT_MAX + 1];
	int64_t n = 0;
	if (!ctx_peek_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	if (e && (!number_text(e, digits, NUMBER_TEXT_MAX, &text) || !number_parse(text, &n))) {
		reply_error(ctx->reply, error_not_integer);
		return;
	}
	if (__builtin_add_overflow(n, by, &n)) {
		reply_error(ctx->reply, "ERR increment or decrement would overflow");
		return;
	}
	put_kept(ctx, e, (struct slice){digits, number_format(digits, n)}, ENCODING_INT);
	reply_int(ctx->reply, n);
}

void cmd_incr(struct ctx *ctx)
{
	increment(ctx, 1);
}

void cmd_decr(struct ctx *ctx)
{
	increment(ctx, -1);
}

void cmd_incrby(struct ctx *ctx)
{
	int64_t by;
	if (ctx_arg_int(ctx, 2, &by))
		increment(ctx, by);
}

void cmd_decrby(struct ctx *ctx)
{
	int64_t by;
	if (!ctx_arg_int(ctx, 2, &by))
		return;
	if (by == INT64_MIN)
		reply_error(ctx->reply, "ERR decrement would overflow");
	else
		increment(ctx, -by);
}

void cmd_incrbyfloat(struct ctx *ctx)
{
	struct entry *e;
	struct slice text;
	char digits[NUMBER_DOUBLE_TEXT_MAX];
	long double value = 0, by;
	if (!ctx_peek_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	if ((e && (!number_text(e, digits, sizeof(digits), &text) ||
		   !number_parse_long_double(text, &value))) ||
	    !number_parse_long_double(ctx->argv[2], &by)) {
		reply_error(ctx->reply, error_not_float);
		return;
	}
	value += by;
	if (isnan(value) || isinf(value)) {
		reply_error(ctx->reply, "ERR increment would produce NaN or Infinity");
		return;
	}
	text = (struct slice){digits, number_format_long_double(digits, value)};
	put_kept(ctx, e, text, text.len <= EMBSTR_MAX ? ENCODING_EMBSTR : ENCODING_RAW);
	reply_bulk_slice(ctx->reply, text);
}
