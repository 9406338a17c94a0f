/*
 * Hashes whose fields expire: HEXPIRE to HPERSIST, HGETDEL, HGETEX, HSETEX.
 *
 * A field's expiry is kept as unix milliseconds up to FIELD_EXPIRE_MAX. What is set to a time that
 * is over is removed at once, the last field with its key. All but HSETEX look at the type of the
 * key before they look at their arguments.
 */
#include "shard/handlers.h"
#include "shard/hash_value.h"

/* The last time that Redis takes for a field: 46 bits of milliseconds, in the year 4199. */
#define FIELD_EXPIRE_MAX ((1ll << 46) - 1)

/* What is replied for each field. */
enum field_result {
	FIELD_ABSENT = -2,
	FIELD_FOREVER = -1, /* it has no expiry */
	FIELD_UNCHANGED = 0,
	FIELD_CHANGED = 1,
	FIELD_REMOVED = 2, /* it was given a time that is over */
};

/* --- arguments; on failure all reply --- */

static const char error_count_positive[] = "ERR Number of fields must be a positive integer";
static const char error_count_above_zero[] = "ERR Parameter `numFields` should be greater than 0";

/* FIELDS at argument i, how many, and then so many: they begin at i + 2. */
static bool parse_fields(struct ctx *ctx, uint32_t i, const char *error_count)
{
	int64_t count;
	if (!slice_is(ctx->argv[i], "fields")) {
		reply_error(ctx->reply, "ERR Mandatory argument FIELDS is missing or not at the "
					"right position");
		return false;
	}
	if (!ctx_arg_range(ctx, i + 1, 1, INT64_MAX, &count, error_count))
		return false;
	if (count != (int64_t)ctx->argc - i - 2) {
		reply_error(ctx->reply,
			    "ERR The `numfields` parameter must match the number of arguments");
		return false;
	}
	return true;
}

/* Argument i, in units of `unit` ms counted from `base`, as unix ms. */
static bool parse_when(struct ctx *ctx, uint32_t i, int64_t base, int64_t unit, int64_t *when)
{
	int64_t n;
	if (!ctx_arg_int(ctx, i, &n))
		return false;
	if (n < 0) {
		reply_error(ctx->reply, "ERR invalid expire time, must be >= 0");
		return false;
	}
	if (n > FIELD_EXPIRE_MAX / unit || n * unit > FIELD_EXPIRE_MAX - base) {
		reply_errorf(ctx->reply, "ERR invalid expire time in '%s' command", ctx->cmd->name);
		return false;
	}
	*when = n * unit + base;
	return true;
}

/* Ways to say when: of HGETEX and HSETEX. */
static const struct when_option {
	const char *name;
	int64_t unit;
	bool absolute;
} when_options[] = {
	{"ex", 1000, false},
	{"px", 1, false},
	{"exat", 1000, true},
	{"pxat", 1, true},
};

#define WHEN_OPTION_COUNT (sizeof(when_options) / sizeof(*when_options))

/* NULL: argument i is none of them. */
static const struct when_option *find_when(const struct ctx *ctx, uint32_t i)
{
	for (size_t j = 0; j < WHEN_OPTION_COUNT; j++)
		if (slice_is(ctx->argv[i], when_options[j].name))
			return &when_options[j];
	return NULL;
}

static bool parse_when_option(struct ctx *ctx, uint32_t i, const struct when_option *option,
			      int64_t *when)
{
	return parse_when(ctx, i, option->absolute ? 0 : ctx->now, option->unit, when);
}

/* --- changes --- */

/* Gives a field that is there an expiry, or removes it when that is over. */
static enum field_result set_expire(struct hash_edit *edit, struct slice name, int64_t when)
{
	edit->ctx->dirty++;
	if (when <= edit->ctx->now) {
		hash_effect_remove(edit->ctx, edit->k, name);
		hash_edit_remove(edit, name);
		return FIELD_REMOVED;
	}
	hash_effect_expire(edit->ctx, name, when);
	hash_edit_expire(edit, name, when);
	return FIELD_CHANGED;
}

static bool remove_expire(struct hash_edit *edit, const struct hash_field *field, struct slice name)
{
	if (field->expire == EXPIRE_NEVER)
		return false;
	hash_effect_expire(edit->ctx, name, EXPIRE_NEVER);
	hash_edit_expire(edit, name, EXPIRE_NEVER);
	edit->ctx->dirty++;
	return true;
}

/* The same reply for each field of a hash that isn't there; the fields begin at argument i. */
static void reply_absent(struct ctx *ctx, uint32_t i)
{
	reply_array(ctx->reply, ctx->argc - i);
	for (; i < ctx->argc; i++)
		reply_int(ctx->reply, FIELD_ABSENT);
}

/* --- HEXPIRE and its kin --- */

enum condition {
	IF_ANY,
	IF_NX, /* only without an expiry */
	IF_XX, /* only with one */
	IF_GT, /* only to a later one */
	IF_LT, /* only to an earlier one */
};

static enum condition find_condition(struct slice word)
{
	static const char *const names[] = {
		[IF_NX] = "nx", [IF_XX] = "xx", [IF_GT] = "gt", [IF_LT] = "lt"};
	for (enum condition c = IF_NX; c <= IF_LT; c++)
		if (slice_is(word, names[c]))
			return c;
	return IF_ANY;
}

/* No expiry counts as one in infinity. */
static bool condition_allows(enum condition condition, int64_t current, int64_t when)
{
	switch (condition) {
	case IF_NX:
		return current == EXPIRE_NEVER;
	case IF_XX:
		return current != EXPIRE_NEVER;
	case IF_GT:
		return when > current;
	case IF_LT:
		return when < current;
	case IF_ANY:
		break;
	}
	return true;
}

static enum field_result expire_field(struct hash_edit *edit, struct slice name,
				      enum condition condition, int64_t when)
{
	struct hash_field field;
	if (!hash_edit_find(edit, name, &field))
		return FIELD_ABSENT;
	if (!condition_allows(condition, field.expire, when))
		return FIELD_UNCHANGED;
	return set_expire(edit, name, when);
}

static void expire_fields(struct ctx *ctx, int64_t base, int64_t unit)
{
	struct entry *e;
	struct hash_edit edit;
	int64_t when;
	if (!ctx_peek_typed(ctx, 0, ENTRY_HASH, &e) || !parse_when(ctx, 2, base, unit, &when))
		return;
	enum condition condition = find_condition(ctx->argv[3]);
	uint32_t i = condition == IF_ANY ? 3 : 4;
	if (!parse_fields(ctx, i, error_count_above_zero))
		return;
	i += 2;
	if (!e) {
		reply_absent(ctx, i);
		return;
	}
	hash_edit_begin(&edit, ctx, 0, e);
	reply_array(ctx->reply, ctx->argc - i);
	for (; i < ctx->argc; i++)
		reply_int(ctx->reply, expire_field(&edit, ctx->argv[i], condition, when));
	hash_edit_end(&edit);
}

void cmd_hexpire(struct ctx *ctx)
{
	expire_fields(ctx, ctx->now, 1000);
}

void cmd_hpexpire(struct ctx *ctx)
{
	expire_fields(ctx, ctx->now, 1);
}

void cmd_hexpireat(struct ctx *ctx)
{
	expire_fields(ctx, 0, 1000);
}

void cmd_hpexpireat(struct ctx *ctx)
{
	expire_fields(ctx, 0, 1);
}

void cmd_hpersist(struct ctx *ctx)
{
	struct entry *e;
	struct hash_edit edit;
	struct hash_field field;
	if (!ctx_peek_typed(ctx, 0, ENTRY_HASH, &e) || !parse_fields(ctx, 2, error_count_positive))
		return;
	if (!e) {
		reply_absent(ctx, 4);
		return;
	}
	hash_edit_begin(&edit, ctx, 0, e);
	reply_array(ctx->reply, ctx->argc - 4);
	for (uint32_t i = 4; i < ctx->argc; i++) {
		enum field_result result = FIELD_ABSENT;
		if (hash_edit_find(&edit, ctx->argv[i], &field))
			result = remove_expire(&edit, &field, ctx->argv[i]) ? FIELD_CHANGED
									    : FIELD_FOREVER;
		reply_int(ctx->reply, result);
	}
	hash_edit_end(&edit);
}

/* --- HTTL and its kin --- */

/* The times of the fields from `base` on in units of `unit` ms, rounded up. */
static void reply_times(struct ctx *ctx, int64_t base, int64_t unit)
{
	struct entry *e;
	struct hash_field field;
	if (!ctx_find_typed(ctx, 0, ENTRY_HASH, &e) || !parse_fields(ctx, 2, error_count_positive))
		return;
	if (!e) {
		reply_absent(ctx, 4);
		return;
	}
	reply_array(ctx->reply, ctx->argc - 4);
	for (uint32_t i = 4; i < ctx->argc; i++) {
		if (!hash_find(ctx->shard, e, ctx->argv[i], ctx->now, &field))
			reply_int(ctx->reply, FIELD_ABSENT);
		else if (field.expire == EXPIRE_NEVER)
			reply_int(ctx->reply, FIELD_FOREVER);
		else
			reply_int(ctx->reply, (field.expire - base + unit - 1) / unit);
	}
}

void cmd_httl(struct ctx *ctx)
{
	reply_times(ctx, ctx->now, 1000);
}

void cmd_hpttl(struct ctx *ctx)
{
	reply_times(ctx, ctx->now, 1);
}

void cmd_hexpiretime(struct ctx *ctx)
{
	reply_times(ctx, 0, 1000);
}

void cmd_hpexpiretime(struct ctx *ctx)
{
	reply_times(ctx, 0, 1);
}

/* --- HGETDEL, HGETEX --- */

/* What becomes of a field that was read. */
struct after {
	bool remove;
	bool persist;
	bool expire; /* at `when` */
	int64_t when;
};

/* Replies a field's value and changes it. */
static void take_field(struct hash_edit *edit, struct slice name, const struct after *after)
{
	struct ctx *ctx = edit->ctx;
	struct hash_field field;
	if (!hash_edit_find(edit, name, &field)) {
		reply_null(ctx->reply);
		return;
	}
	hash_reply_value(ctx->reply, &field);
	if (after->remove) {
		hash_effect_remove(ctx, edit->k, name);
		ctx->dirty += hash_edit_remove(edit, name);
	} else if (after->persist) {
		remove_expire(edit, &field, name);
	} else if (after->expire) {
		set_expire(edit, name, after->when);
	}
}

/* The fields begin at argument i. */
static void take_fields(struct ctx *ctx, const struct entry *e, uint32_t i,
			const struct after *after)
{
	struct hash_edit edit;
	hash_edit_begin(&edit, ctx, 0, e);
	reply_array(ctx->reply, ctx->argc - i);
	for (; i < ctx->argc; i++)
		take_field(&edit, ctx->argv[i], after);
	hash_edit_end(&edit);
}

void cmd_hgetdel(struct ctx *ctx)
{
	struct entry *e;
	if (ctx_peek_typed(ctx, 0, ENTRY_HASH, &e) && parse_fields(ctx, 2, error_count_positive))
		take_fields(ctx, e, 4, &(struct after){.remove = true});
}

/* HGETEX's option, if there is one; *i is the argument behind it. */
static bool parse_getex(struct ctx *ctx, uint32_t *i, struct after *after)
{
	const struct when_option *option = find_when(ctx, 2);
	*after = (struct after){.persist = slice_is(ctx->argv[2], "persist"), .expire = option};
	*i = option ? 4 : after->persist ? 3 : 2;
	if (option && !parse_when_option(ctx, 3, option, &after->when))
		return false;
	if (*i + 1 >= ctx->argc) {
		command_error_arity(ctx->cmd, ctx->reply);
		return false;
	}
	return true;
}

void cmd_hgetex(struct ctx *ctx)
{
	struct entry *e;
	struct after after;
	uint32_t i;
	if (ctx_peek_typed(ctx, 0, ENTRY_HASH, &e) && parse_getex(ctx, &i, &after) &&
	    parse_fields(ctx, i, error_count_positive))
		take_fields(ctx, e, i + 2, &after);
}

/* --- HSETEX --- */

struct setex {
	bool only_new;
	bool only_old;
	bool keep;
	bool expire; /* at `when` */
	int64_t when;
	uint32_t first; /* argument: field, value, field, value ... up to the last */
};

/* FIELDS at argument i, how many pairs, and then so many. */
static bool parse_pairs(struct ctx *ctx, uint32_t i, struct setex *set)
{
	int64_t count;
	if (i + 3 >= ctx->argc) {
		command_error_arity(ctx->cmd, ctx->reply);
		return false;
	}
	if (!ctx_arg_range(ctx, i + 1, 1, INT32_MAX, &count, "ERR invalid number of fields"))
		return false;
	if (2 * count != (int64_t)ctx->argc - i - 2) {
		command_error_arity(ctx->cmd, ctx->reply);
		return false;
	}
	set->first = i + 2;
	return true;
}

/* FNX, FXX; true when argument i is one of them. *ok: false after replying that it may not be. */
static bool parse_only(struct ctx *ctx, uint32_t i, struct setex *set, bool *ok)
{
	bool only_new = slice_is(ctx->argv[i], "fnx");
	if (!only_new && !slice_is(ctx->argv[i], "fxx"))
		return false;
	*ok = !set->only_new && !set->only_old;
	if (!*ok)
		reply_error(ctx->reply, "ERR Only one of FXX or FNX arguments can be specified");
	set->only_new |= only_new;
	set->only_old |= !only_new;
	return true;
}

/* EX, PX, EXAT, PXAT, KEEPTTL in the same way; *i is then the last argument of it. */
static bool parse_expiry(struct ctx *ctx, uint32_t *i, struct setex *set, bool *ok)
{
	const struct when_option *option = find_when(ctx, *i);
	if (!option && !slice_is(ctx->argv[*i], "keepttl"))
		return false;
	*ok = false;
	if (set->expire || set->keep) {
		reply_error(ctx->reply, "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments "
					"can be specified");
		return true;
	}
	set->keep = !option;
	set->expire = option;
	if (option && *i + 1 >= ctx->argc)
		reply_error(ctx->reply, "ERR missing expire time");
	else
		*ok = !option || parse_when_option(ctx, ++*i, option, &set->when);
	return true;
}

static bool parse_setex(struct ctx *ctx, struct setex *set)
{
	bool ok = true;
	*set = (struct setex){.when = EXPIRE_NEVER};
	for (uint32_t i = 2; i < ctx->argc && ok; i++) {
		struct slice word = ctx->argv[i];
		if (slice_is(word, "fields"))
			return parse_pairs(ctx, i, set);
		if (parse_only(ctx, i, set, &ok) || parse_expiry(ctx, &i, set, &ok))
			continue;
		reply_errorf(ctx->reply, "ERR unknown argument: %.*s", ERROR_ECHO(word));
		return false;
	}
	if (ok)
		command_error_arity(ctx->cmd, ctx->reply);
	return false;
}

/* Whether FNX or FXX let the fields be set. */
static bool setex_allowed(struct hash_edit *edit, const struct setex *set)
{
	const struct ctx *ctx = edit->ctx;
	struct hash_field field;
	if (!set->only_new && !set->only_old)
		return true;
	for (uint32_t i = set->first; i < ctx->argc; i += 2)
		if (hash_edit_find(edit, ctx->argv[i], &field) == set->only_new)
			return false;
	return true;
}

static void setex_field(struct hash_edit *edit, const struct setex *set, uint32_t i)
{
	struct ctx *ctx = edit->ctx;
	struct hash_field field;
	int64_t expire = set->when;
	if (set->keep && hash_edit_find(edit, ctx->argv[i], &field))
		expire = field.expire;
	if (expire <= ctx->now) {
		hash_effect_remove(ctx, edit->k, ctx->argv[i]);
		hash_edit_remove(edit, ctx->argv[i]);
	} else {
		ctx_effect(ctx,
			   (struct slice[]){SLICE("HSET"), ctx->keys[0].name, ctx->argv[i],
					    ctx->argv[i + 1]},
			   4);
		if (expire != EXPIRE_NEVER)
			hash_effect_expire(ctx, ctx->argv[i], expire);
		hash_edit_set(edit, ctx->argv[i], ctx->argv[i + 1], expire);
	}
	ctx->dirty++;
}

void cmd_hsetex(struct ctx *ctx)
{
	struct entry *e;
	struct hash_edit edit;
	struct setex set;
	if (!parse_setex(ctx, &set) || !ctx_peek_typed(ctx, 0, ENTRY_HASH, &e))
		return;
	hash_edit_begin(&edit, ctx, 0, e);
	bool allowed = setex_allowed(&edit, &set);
	for (uint32_t i = set.first; allowed && i < ctx->argc; i += 2)
		setex_field(&edit, &set, i);
	hash_edit_end(&edit);
	reply_int(ctx->reply, allowed);
}
