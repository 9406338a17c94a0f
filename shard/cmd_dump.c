/*
 * DUMP and RESTORE: a value as bytes that Redis understands, and back (rdb_value.h).
 */
#include "proto/mem.h"
#include "shard/handlers.h"
#include "shard/rdb_value.h"
#include "shard/value.h"

#define FREQUENCY_MAX 255
/* Of a payload at least so many are an element, or take as long as one to be summed and copied. */
#define PAYLOAD_ELEMENT_BYTES 16

void cmd_dump(struct ctx *ctx)
{
	const struct entry *e = ctx_find(ctx, 0);
	struct rdb_out out = {.compress = true};

	if (!e) {
		reply_null(ctx->reply);
		return;
	}
	rdb_write_payload(&out, e);
	if (out.len >= REPLY_PIN_MIN) {
		reply_bulk_pin(ctx->reply, (struct slice){out.bytes, out.len}, mem_free_unsized,
			       out.bytes);
		return;
	}
	reply_bulk(ctx->reply, out.bytes, out.len);
	rdb_out_deinit(&out);
}

/* --- RESTORE --- */

struct restore {
	bool replace;
	bool absolute;
	int64_t idle_seconds; /* -1: not given */
	int64_t frequency;    /* -1: not given */
	int64_t expire;
};

/* Option i and what follows it; the position of the next, 0 after replying an error. */
static uint32_t parse_option(struct ctx *ctx, uint32_t i, struct restore *restore)
{
	struct slice option = ctx->argv[i];
	bool more = i + 1 < ctx->argc;

	if (slice_is(option, "replace")) {
		restore->replace = true;
		return i + 1;
	}
	if (slice_is(option, "absttl")) {
		restore->absolute = true;
		return i + 1;
	}
	if (slice_is(option, "idletime") && more && restore->frequency < 0) {
		if (!ctx_arg_int(ctx, i + 1, &restore->idle_seconds))
			return 0;
		if (restore->idle_seconds >= 0)
			return i + 2;
		reply_error(ctx->reply, "ERR Invalid IDLETIME value, must be >= 0");
		return 0;
	}
	if (slice_is(option, "freq") && more && restore->idle_seconds < 0) {
		if (!ctx_arg_int(ctx, i + 1, &restore->frequency))
			return 0;
		if (restore->frequency >= 0 && restore->frequency <= FREQUENCY_MAX)
			return i + 2;
		reply_error(ctx->reply, "ERR Invalid FREQ value, must be >= 0 and <= 255");
		return 0;
	}
	reply_error(ctx->reply, error_syntax);
	return 0;
}

/* The time to live, of which 0 is none. */
static bool parse_expire(struct ctx *ctx, struct restore *restore)
{
	int64_t ttl;

	if (!ctx_arg_int(ctx, 2, &ttl))
		return false;
	if (ttl < 0) {
		reply_error(ctx->reply, "ERR Invalid TTL value, must be >= 0");
		return false;
	}
	int64_t base = restore->absolute ? 0 : ctx->now;
	if (ttl == 0)
		restore->expire = EXPIRE_NEVER;
	else
		restore->expire = ttl > EXPIRE_LAST - base ? EXPIRE_LAST : base + ttl;
	return true;
}

/* All that is asked before the payload is looked at. */
static bool parse_restore(struct ctx *ctx, struct restore *restore)
{
	*restore = (struct restore){.idle_seconds = -1, .frequency = -1};
	for (uint32_t i = 4; i < ctx->argc;) {
		i = parse_option(ctx, i, restore);
		if (!i)
			return false;
	}
	if (!restore->replace && ctx_peek(ctx, 0, true)) {
		reply_error(ctx->reply, "BUSYKEY Target key name already exists.");
		return false;
	}
	return parse_expire(ctx, restore);
}

static struct entry *decode_payload(struct ctx *ctx, int64_t expire)
{
	struct rdb_in in;
	struct entry *e = NULL;
	uint16_t version;
	uint8_t number;

	if (!rdb_open_payload(ctx->argv[3], ctx_string_max(ctx), ctx->shard, &in, &version)) {
		reply_error(ctx->reply, "ERR DUMP payload version or checksum are wrong");
		return NULL;
	}
	if (rdb_read_byte(&in, &number))
		e = rdb_decode(ctx, 0, rdb_type_read(version, number), expire, &in);
	if (!e)
		reply_error(ctx->reply, "ERR Bad data format");
	return e;
}

/* One that has expired already only takes away what it would replace. */
void cmd_restore(struct ctx *ctx)
{
	struct restore restore;

	ctx_by_state(ctx);
	if (!parse_restore(ctx, &restore) ||
	    !ctx_long(ctx, ctx->argv[3].len / PAYLOAD_ELEMENT_BYTES))
		return;
	struct entry *e = decode_payload(ctx, restore.expire);
	if (!e)
		return;
	entry_set_access(e, ctx_access_past(ctx, restore.idle_seconds, restore.frequency));
	if (value_expired(e, ctx->now)) {
		retire_entry_unseen(&ctx->shard->retire, e);
		ctx->dirty += ctx_remove(ctx, 0);
	} else {
		ctx_put(ctx, 0, e);
		ctx->dirty++;
	}
	reply_ok(ctx->reply);
}
