/*
 * Strings: SET and GET with their relatives, parts of strings, and numbers in them.
 *
 * The happy path: GET finds an entry and replies its bytes; SET without options makes an entry and
 * puts it, whatever was there before. All else is done by those who need it: set_with_options() is
 * SET's slow way, SETNX's and SETEX's too.
 *
 * Options and times are checked in Redis' order: syntax, then the time (GETEX: after the key), then
 * the type. A time of expiry is relative or absolute, in seconds or ms; EXPIRE and its like have
 * rules of their own. LCS has a file of its own.
 */
#include "shard/handlers.h"
#include "shard/string.h"

/* --- storing --- */

/* Under LFU a key's counter outlives its value; a new value is otherwise as good as just used. */
static uint32_t access_of_next(struct ctx *ctx, uint32_t k)
{
	if (atomic_load_explicit(&ctx->ks->access_policy, memory_order_relaxed) == ACCESS_LFU) {
		struct entry *e = ctx_peek(ctx, k, true);
		if (e)
			return entry_access(e);
	}
	return ctx_access_new(ctx);
}

/* Makes `value` what key k holds, with the encoding that its text asks for. One change. */
static void put_value(struct ctx *ctx, uint32_t k, struct slice value, int64_t expire)
{
	ctx_put(ctx, k, entry_new_string(ctx->keys[k].name, value, expire, access_of_next(ctx, k)));
	ctx->dirty++;
}

/* Puts the text of a number in e's place (NULL: absent), which keeps its expiry. One change. */
static void put_number(struct ctx *ctx, const struct entry *e, struct slice text,
		       enum entry_encoding encoding)
{
	ctx_put(ctx, 0,
		entry_new(&(struct entry_spec){
			.key = ctx->keys[0].name,
			.value = text,
			.expire = e ? entry_expire(e) : EXPIRE_NEVER,
			.type = ENTRY_STRING,
			.encoding = encoding,
			.access = e ? entry_access(e) : ctx_access_new(ctx),
		}));
	ctx->dirty++;
}

/* --- replying --- */

static void reply_value(struct ctx *ctx, const struct entry *e)
{
	if (__builtin_expect(e->flags & (ENTRY_BLOB | ENTRY_OWNER_ONLY), 0))
		string_reply(ctx, e, 0, string_length(e));
	else
		reply_bulk_slice(ctx->reply, entry_value(e));
}

/* Replies key 0's value or null. False after an error; *out is NULL when the key is absent. */
static bool reply_found(struct ctx *ctx, struct entry **out)
{
	if (!ctx_find_typed(ctx, 0, ENTRY_STRING, out))
		return false;
	if (*out)
		reply_value(ctx, *out);
	else
		reply_null(ctx->reply);
	return true;
}

/* --- options of SET and GETEX --- */

enum option_flag {
	OPTION_NX = 1 << 0,
	OPTION_XX = 1 << 1,
	OPTION_GET = 1 << 2,
	OPTION_KEEPTTL = 1 << 3,
	OPTION_PERSIST = 1 << 4,
	OPTION_EX = 1 << 5,
	OPTION_PX = 1 << 6,
	OPTION_EXAT = 1 << 7,
	OPTION_PXAT = 1 << 8,
};

#define OPTIONS_CONDITION (OPTION_NX | OPTION_XX)
#define OPTIONS_SECONDS   (OPTION_EX | OPTION_EXAT)
#define OPTIONS_ABSOLUTE  (OPTION_EXAT | OPTION_PXAT)
#define OPTIONS_TIME      (OPTION_EX | OPTION_PX | OPTIONS_ABSOLUTE)
#define OPTIONS_LIFE      (OPTION_KEEPTTL | OPTION_PERSIST | OPTIONS_TIME)
#define OPTIONS_SET       (OPTIONS_CONDITION | OPTION_GET | OPTION_KEEPTTL | OPTIONS_TIME)
#define OPTIONS_GETEX     (OPTION_PERSIST | OPTIONS_TIME)

/* Of those that exclude each other one may be given, even several times: the last one counts. */
static const struct {
	const char *word;
	unsigned flag;
	unsigned excludes;
} option_table[] = {
	{"nx", OPTION_NX, OPTIONS_CONDITION},
	{"xx", OPTION_XX, OPTIONS_CONDITION},
	{"get", OPTION_GET, 0},
	{"keepttl", OPTION_KEEPTTL, OPTIONS_LIFE},
	{"persist", OPTION_PERSIST, OPTIONS_LIFE},
	{"ex", OPTION_EX, OPTIONS_LIFE},
	{"px", OPTION_PX, OPTIONS_LIFE},
	{"exat", OPTION_EXAT, OPTIONS_LIFE},
	{"pxat", OPTION_PXAT, OPTIONS_LIFE},
};

#define OPTION_COUNT (sizeof(option_table) / sizeof(option_table[0]))

struct options {
	unsigned flags;
	uint32_t time; /* the argument with the time, when one of OPTIONS_TIME is given */
};

/* Adds the option at argument *i, and steps over it and its value. */
static bool options_add(struct options *o, const struct ctx *ctx, uint32_t *i, unsigned allowed)
{
	size_t row = 0;
	while (row < OPTION_COUNT && !slice_is(ctx->argv[*i], option_table[row].word))
		row++;
	if (row == OPTION_COUNT)
		return false;
	unsigned flag = option_table[row].flag;
	if (!(flag & allowed) || (o->flags & option_table[row].excludes & ~flag))
		return false;
	o->flags |= flag;
	++*i;
	if (flag & OPTIONS_TIME)
		o->time = (*i)++;
	return *i <= ctx->argc;
}

/* Reads the arguments from `first` on; false after a syntax error. */
static bool options_parse(struct ctx *ctx, uint32_t first, unsigned allowed, struct options *o)
{
	*o = (struct options){0};
	for (uint32_t i = first; i < ctx->argc;) {
		if (!options_add(o, ctx, &i, allowed)) {
			reply_error(ctx->reply, error_syntax);
			return false;
		}
	}
	return true;
}

/* An amount of time, as one of OPTIONS_TIME means it, as unix ms: false when that doesn't fit. */
static bool expire_from(int64_t n, unsigned how, int64_t now, int64_t *out)
{
	if (n <= 0)
		return false;
	if ((how & OPTIONS_SECONDS) && __builtin_mul_overflow(n, 1000, &n))
		return false;
	if (!(how & OPTIONS_ABSOLUTE) && __builtin_add_overflow(n, now, &n))
		return false;
	*out = n < EXPIRE_LAST ? n : EXPIRE_LAST;
	return true;
}

/* The time that the options ask for, EXPIRE_NEVER without one; false after an error. */
static bool options_expire(struct ctx *ctx, const struct options *o, int64_t *expire)
{
	int64_t n;
	*expire = EXPIRE_NEVER;
	if (!(o->flags & OPTIONS_TIME))
		return true;
	if (!ctx_arg_int(ctx, o->time, &n))
		return false;
	if (expire_from(n, o->flags, ctx->now, expire))
		return true;
	reply_errorf(ctx->reply, "ERR invalid expire time in '%s' command", ctx->cmd->name);
	return false;
}

/* --- SET and its relatives --- */

enum set_result { SET_FAILED, SET_REFUSED, SET_DONE };

/*
 * SET_FAILED after an error, SET_REFUSED when the condition doesn't hold. GET replies the old
 * value.
 */
static enum set_result set_with_options(struct ctx *ctx, const struct options *o,
					struct slice value)
{
	int64_t expire;
	struct entry *e;
	ctx_by_state(ctx);
	if (!options_expire(ctx, o, &expire))
		return SET_FAILED;
	if (!(o->flags & OPTION_GET))
		e = ctx_peek(ctx, 0, true);
	else if (!reply_found(ctx, &e))
		return SET_FAILED;
	if (o->flags & (e ? OPTION_NX : OPTION_XX))
		return SET_REFUSED;
	if (e && (o->flags & OPTION_KEEPTTL))
		expire = entry_expire(e);
	put_value(ctx, 0, value, expire);
	return SET_DONE;
}

static void set_parsing_options(struct ctx *ctx)
{
	struct options o;
	if (!options_parse(ctx, 3, OPTIONS_SET, &o))
		return;
	enum set_result result = set_with_options(ctx, &o, ctx->argv[2]);
	if (result == SET_FAILED || (o.flags & OPTION_GET))
		return;
	if (result == SET_DONE)
		reply_ok(ctx->reply);
	else
		reply_null(ctx->reply);
}

void cmd_set(struct ctx *ctx)
{
	if (__builtin_expect(ctx->argc > 3, 0)) {
		set_parsing_options(ctx);
		return;
	}
	put_value(ctx, 0, ctx->argv[2], EXPIRE_NEVER);
	reply_ok(ctx->reply);
}

void cmd_setnx(struct ctx *ctx)
{
	struct options o = {.flags = OPTION_NX};
	reply_int(ctx->reply, set_with_options(ctx, &o, ctx->argv[2]) == SET_DONE);
}

/* key time value */
static void set_expiring(struct ctx *ctx, enum option_flag how)
{
	struct options o = {.flags = how, .time = 2};
	if (set_with_options(ctx, &o, ctx->argv[3]) == SET_DONE)
		reply_ok(ctx->reply);
}

void cmd_setex(struct ctx *ctx)
{
	set_expiring(ctx, OPTION_EX);
}

void cmd_psetex(struct ctx *ctx)
{
	set_expiring(ctx, OPTION_PX);
}

void cmd_getset(struct ctx *ctx)
{
	struct options o = {.flags = OPTION_GET};
	set_with_options(ctx, &o, ctx->argv[2]);
}

/* MSET and MSETNX take whole pairs; false after the error. */
static bool check_pairs(struct ctx *ctx)
{
	if (ctx->argc % 2 == 1)
		return true;
	command_error_arity(ctx->cmd, ctx->reply);
	return false;
}

static void put_pairs(struct ctx *ctx)
{
	for (uint32_t k = 0; k < ctx->key_count; k++)
		put_value(ctx, k, ctx->argv[2 + 2 * k], EXPIRE_NEVER);
}

void cmd_mset(struct ctx *ctx)
{
	if (!check_pairs(ctx))
		return;
	put_pairs(ctx);
	reply_ok(ctx->reply);
}

void cmd_msetnx(struct ctx *ctx)
{
	if (!check_pairs(ctx))
		return;
	for (uint32_t k = 0; k < ctx->key_count; k++) {
		if (ctx_peek(ctx, k, true)) {
			reply_int(ctx->reply, 0);
			return;
		}
	}
	put_pairs(ctx);
	reply_int(ctx->reply, 1);
}

/* --- GET and its relatives --- */

void cmd_get(struct ctx *ctx)
{
	struct entry *e;
	reply_found(ctx, &e);
}

void cmd_mget(struct ctx *ctx)
{
	reply_array(ctx->reply, ctx->key_count);
	for (uint32_t k = 0; k < ctx->key_count; k++) {
		struct entry *e = ctx_find(ctx, k);
		if (e && entry_type(e) == ENTRY_STRING)
			reply_value(ctx, e);
		else
			reply_null(ctx->reply);
	}
}

void cmd_getdel(struct ctx *ctx)
{
	struct entry *e;
	if (reply_found(ctx, &e) && e)
		ctx->dirty += ctx_remove(ctx, 0);
}

void cmd_getex(struct ctx *ctx)
{
	struct options o;
	struct entry *e;
	int64_t expire;
	if (!options_parse(ctx, 2, OPTIONS_GETEX, &o) || !ctx_find_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	if (!e) { /* before the time is looked at */
		reply_null(ctx->reply);
		return;
	}
	if (!options_expire(ctx, &o, &expire))
		return;
	reply_value(ctx, e);
	if (expire <= ctx->now) {
		ctx_by_state(ctx);
		ctx->dirty += ctx_remove(ctx, 0);
	} else if ((o.flags & OPTIONS_TIME) || (o.flags && (e->flags & ENTRY_EXPIRES))) {
		ctx_put_shallow(ctx, 0, entry_with_expire(e, expire));
		ctx_effect_expire(ctx, expire);
		ctx->dirty++;
	}
}

/* --- parts of strings --- */

void cmd_strlen(struct ctx *ctx)
{
	struct entry *e;
	if (ctx_find_typed(ctx, 0, ENTRY_STRING, &e))
		reply_int(ctx->reply, e ? (int64_t)string_length(e) : 0);
}

void cmd_append(struct ctx *ctx)
{
	struct slice tail = ctx->argv[2];
	struct entry *e;
	if (!ctx_peek_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	size_t len = e ? string_length(e) : 0;
	if (!e) {
		put_value(ctx, 0, tail, EXPIRE_NEVER);
	} else if (string_check_length(ctx, len, tail.len)) {
		string_write(ctx, 0, e, len, tail);
		ctx->dirty++;
	} else {
		return;
	}
	reply_int(ctx->reply, (int64_t)(len + tail.len));
}

void cmd_setrange(struct ctx *ctx)
{
	struct slice bytes = ctx->argv[3];
	int64_t offset;
	struct entry *e;
	if (!ctx_arg_int(ctx, 2, &offset))
		return;
	if (offset < 0) {
		reply_error(ctx->reply, "ERR offset is out of range");
		return;
	}
	if (!ctx_peek_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	size_t len = e ? string_length(e) : 0;
	if (bytes.len > 0) {
		if (!string_check_length(ctx, offset, bytes.len))
			return;
		string_write(ctx, 0, e, offset, bytes);
		ctx->dirty++;
		size_t end = (size_t)offset + bytes.len;
		len = end > len ? end : len;
	}
	reply_int(ctx->reply, (int64_t)len);
}

/*
 * Resolves start and end (inclusive, negative: from the end) against a string of `len` bytes:
 * returns how many bytes from *start on are meant.
 */
static size_t range_resolve(int64_t *start, int64_t end, int64_t len)
{
	if (*start < 0 && end < 0 && *start > end)
		return 0; /* else both before the string would mean its first byte */
	*start += *start < 0 ? len : 0;
	end += end < 0 ? len : 0;
	*start = *start < 0 ? 0 : *start;
	end = end < 0 ? 0 : end;
	end = end < len ? end : len - 1;
	return *start <= end ? (size_t)(end - *start + 1) : 0;
}

void cmd_getrange(struct ctx *ctx)
{
	int64_t start, end;
	struct entry *e;
	if (!ctx_arg_int(ctx, 2, &start) || !ctx_arg_int(ctx, 3, &end) ||
	    !ctx_find_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	size_t count = e ? range_resolve(&start, end, (int64_t)string_length(e)) : 0;
	if (count > 0)
		string_reply(ctx, e, start, count);
	else
		reply_bulk(ctx->reply, "", 0);
}

void cmd_substr(struct ctx *ctx)
{
	cmd_getrange(ctx);
}

/* --- numbers --- */

/* The text of an entry that may be a number: of one in a rope, which is far too long, nothing. */
static struct slice number_text(const struct entry *e)
{
	return e->flags & ENTRY_OWNER_ONLY ? SLICE("") : entry_value(e);
}

static void increment(struct ctx *ctx, int64_t by)
{
	struct entry *e;
	int64_t n = 0;
	if (!ctx_peek_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	if (e && !number_parse(number_text(e), &n)) {
		reply_error(ctx->reply, error_not_integer);
		return;
	}
	if (__builtin_add_overflow(n, by, &n)) {
		reply_error(ctx->reply, "ERR increment or decrement would overflow");
		return;
	}
	char text[NUMBER_TEXT_MAX];
	put_number(ctx, e, (struct slice){text, number_format(text, n)}, ENCODING_INT);
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
	long double n = 0, by;
	if (!ctx_peek_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	if ((e && !number_parse_long_double(number_text(e), &n)) ||
	    !number_parse_long_double(ctx->argv[2], &by)) {
		reply_error(ctx->reply, error_not_float);
		return;
	}
	n += by;
	if (!__builtin_isfinite(n)) {
		reply_error(ctx->reply, "ERR increment would produce NaN or Infinity");
		return;
	}
	char buf[NUMBER_DOUBLE_TEXT_MAX];
	struct slice text = {buf, number_format_long_double(buf, n)};
	ctx_by_state(ctx);
	put_number(ctx, e, text, text.len <= EMBSTR_MAX ? ENCODING_EMBSTR : ENCODING_RAW);
	reply_bulk_slice(ctx->reply, text);
}
