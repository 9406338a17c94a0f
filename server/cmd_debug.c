/*
 * DEBUG, as far as it touches no keys (those: shard/cmd_debug.c, cmd_populate.c). Whether it is
 * allowed at all is asked where requests are admitted (serve.c).
 */
#include "persist/fault.h"
#include "proto/glob.h"
#include "proto/mem.h"
#include "server/handlers.h"
#include "server/help.h"
#include "server/server.h"

#include <stdlib.h>
#include <time.h>
#include <urcu/urcu-qsbr.h>

/* DEBUG SLEEP looks so often whether the server stops. */
#define SLEEP_SLICE_NS 50000000ull
/* STRINGMATCH-LEN: pattern times text, about a second's work at most. */
#define STRINGMATCH_WORK_MAX (256ull * 1024 * 1024)

/* Numbers as strtod reads them, 0 where it reads none. */
static double arg_double(const struct ctx *ctx, uint32_t i)
{
	char text[64];
	size_t len = ctx->argv[i].len < sizeof(text) - 1 ? ctx->argv[i].len : sizeof(text) - 1;
	memcpy(text, ctx->argv[i].ptr, len);
	text[len] = 0;
	return strtod(text, NULL);
}

/*
 * This worker does nothing meanwhile; the others go on. It is offline, so that nobody waits for it
 * to pass a grace period.
 */
void cmd_debug_sleep(struct conn *conn, struct ctx *ctx)
{
	double seconds = arg_double(ctx, 2);
	double ns = seconds * 1e9;
	uint64_t left = ns <= 0 || ns != ns ? 0 : ns > (double)INT64_MAX ? INT64_MAX : (uint64_t)ns;
	grace_reader_offline(conn->worker->server->reclaimer.grace);
	while (left > 0 && !atomic_load_explicit(&conn->worker->stop, memory_order_relaxed)) {
		uint64_t slice = left < SLEEP_SLICE_NS ? left : SLEEP_SLICE_NS;
		nanosleep(&(struct timespec){.tv_nsec = (long)slice}, NULL);
		left -= slice;
	}
	urcu_qsbr_thread_online();
	reply_ok(ctx->reply);
}

void cmd_debug_set_active_expire(struct conn *conn, struct ctx *ctx)
{
	atomic_store_explicit(&ctx->ks->active_expire, (int)arg_double(ctx, 2) != 0,
			      memory_order_relaxed);
	reply_ok(ctx->reply);
}

void cmd_debug_error(struct conn *conn, struct ctx *ctx)
{
	reply_errorf(ctx->reply, "%.*s", ERROR_ECHO(ctx->argv[2]));
}

/* Matches the pattern with so many letters 'a': what a hostile pattern costs. */
void cmd_debug_stringmatch_len(struct conn *conn, struct ctx *ctx)
{
	struct slice pattern = ctx->argv[3];
	int64_t len;
	if (!ctx_arg_int(ctx, 2, &len))
		return;
	if (len < 0 || (uint64_t)len > STRINGMATCH_WORK_MAX / (pattern.len + 1)) {
		reply_error(ctx->reply, error_range);
		return;
	}
	char *text = mem_alloc((size_t)len + 1);
	memset(text, 'a', (size_t)len);
	reply_int(ctx->reply, glob_match(pattern, (struct slice){text, (size_t)len}, false));
	mem_free(text, (size_t)len + 1);
}

/* A rule, OFF, or COUNTS: how many calls there were since the last rule. */
void cmd_debug_io_fault(struct conn *conn, struct ctx *ctx)
{
	if (ctx->argc == 3 && slice_is(ctx->argv[2], "off")) {
		fault_clear();
		reply_ok(ctx->reply);
	} else if (ctx->argc == 3 && slice_is(ctx->argv[2], "counts")) {
		reply_map(ctx->reply, IO_CALL_COUNT);
		for (uint32_t i = 0; i < IO_CALL_COUNT; i++) {
			reply_bulk_text(ctx->reply, fault_name(i));
			reply_int(ctx->reply, (int64_t)fault_calls(i));
		}
	} else if (fault_set(ctx->argv + 2, ctx->argc - 2)) {
		reply_ok(ctx->reply);
	} else {
		reply_error(ctx->reply, error_syntax);
	}
}

/* --- PROTOCOL --- */

static void protocol_string(struct reply *r)
{
	reply_bulk_text(r, "Hello World");
}

static void protocol_integer(struct reply *r)
{
	reply_int(r, 12345);
}

static void protocol_double(struct reply *r)
{
	reply_double(r, 3.141);
}

static void protocol_bignum(struct reply *r)
{
	reply_big_number(r, SLICE("1234567999999999999999999999999999999"));
}

static void protocol_array(struct reply *r)
{
	reply_array(r, 3);
	for (int i = 0; i < 3; i++)
		reply_int(r, i);
}

static void protocol_set(struct reply *r)
{
	reply_set(r, 3);
	for (int i = 0; i < 3; i++)
		reply_int(r, i);
}

static void protocol_map(struct reply *r)
{
	reply_map(r, 3);
	for (int i = 0; i < 3; i++) {
		reply_int(r, i);
		reply_bool(r, i == 1);
	}
}

/* An attribute is dropped where it can't be shown. */
static void protocol_attrib(struct reply *r)
{
	if (r->resp >= 3) {
		reply_attribute(r, 1);
		reply_bulk_text(r, "key-popularity");
		reply_array(r, 2);
		reply_bulk_text(r, "key:123");
		reply_int(r, 90);
	}
	reply_bulk_text(r, "Some real reply following the attribute");
}

static void protocol_push(struct reply *r)
{
	if (r->resp < 3) {
		reply_error(r, "ERR RESP2 is not supported by this command");
		return;
	}
	reply_push(r, 2);
	reply_bulk_text(r, "server-cpu-usage");
	reply_int(r, 42);
	reply_bulk_text(r, "Some real reply following the push reply");
}

static void protocol_verbatim(struct reply *r)
{
	reply_verbatim(r, "txt", SLICE("This is a verbatim\nstring"));
}

static void protocol_true(struct reply *r)
{
	reply_bool(r, true);
}

static void protocol_false(struct reply *r)
{
	reply_bool(r, false);
}

void cmd_debug_protocol(struct conn *conn, struct ctx *ctx)
{
	static const struct {
		const char *name;
		void (*write)(struct reply *r);
	} types[] = {
		{"string", protocol_string},
		{"integer", protocol_integer},
		{"double", protocol_double},
		{"bignum", protocol_bignum},
		{"null", reply_null},
		{"array", protocol_array},
		{"set", protocol_set},
		{"map", protocol_map},
		{"attrib", protocol_attrib},
		{"push", protocol_push},
		{"verbatim", protocol_verbatim},
		{"true", protocol_true},
		{"false", protocol_false},
	};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (slice_is(ctx->argv[2], types[i].name)) {
			types[i].write(ctx->reply);
			return;
		}
	}
	reply_error(ctx->reply, "ERR Wrong protocol type name. Please use one of the following: "
				"string|integer|double|bignum|null|array|set|map|attrib|push|"
				"verbatim|true|false");
}

void cmd_debug_help(struct conn *conn, struct ctx *ctx)
{
	static const char *const lines[] = {
		"DIGEST",
		"    A checksum of all keys and values.",
		"DIGEST-VALUE <key> [<key> ...]",
		"    A checksum of each key's value.",
		"ERROR <text>",
		"    Reply this error.",
		"IO-FAULT (<call> <error> [<skip> [<count>]]|OFF|COUNTS)",
		"    Make calls on files of the data directory fail: <call> is open, write, short, sync,",
		"    rename, truncate, unlink or any, <error> a name like EIO. The first <skip> calls go well,",
		"    then <count> fail (0: all). COUNTS: how many calls there were since.",
		"LOADAOF",
		"    Forget everything and load it again, as a start would.",
		"OBJECT <key>",
		"    How the key's value is kept.",
		"POPULATE <count> [<prefix>] [<size>]",
		"    Create that many strings (of that size) with keys <prefix>:0, <prefix>:1, ...; the",
		"    prefix is \"key\" unless told.",
		"PROTOCOL <type>",
		"    Reply a value of this type: string, integer, double, bignum, null, array, set, map,",
		"    attrib, push, verbatim, true, false.",
		"RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
		"    Make a snapshot (unless NOSAVE), forget everything and load it again.",
		"SET-ACTIVE-EXPIRE (0|1)",
		"    Whether expired keys are removed before somebody asks for them.",
		"SLEEP <seconds>",
		"    Stop the worker of this connection for that long.",
		"STRINGMATCH-LEN <length> <pattern>",
		"    Whether so many letters 'a' match the pattern.",
	};
	help_reply(ctx, lines, sizeof(lines) / sizeof(lines[0]));
}
