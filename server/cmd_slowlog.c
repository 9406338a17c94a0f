/*
 * SLOWLOG: each worker contributes its entries; put together they are ordered by id, and no more of
 * them count than slowlog-max-len allows.
 */
#include "proto/mem.h"
#include "server/gather.h"
#include "server/handlers.h"
#include "server/help.h"
#include "server/slowlog.h"

#include <stdlib.h>

/* What GET shows unless told. */
#define SLOWLOG_GET_DEFAULT 10

/* --- GET --- */

/* In a part's reply each entry follows one of these. */
struct piece_head {
	uint64_t id;
	size_t len;
};

struct piece {
	uint64_t id;
	struct slice bytes;
};

/* The part gets this worker's newest entries; their number is at most that asked for. */
static void get_run(struct worker *worker, struct gather_part *part)
{
	int64_t max = *(const int64_t *)part->gather->args;
	const struct slowlog_entry *entry = slowlog_newest(worker->slowlog);
	for (; entry && part->number < max; entry = entry->older, part->number++) {
		struct piece_head head = {.id = entry->id, .len = entry->len};
		reply_raw(&part->reply, (const char *)&head, sizeof(head));
		reply_raw(&part->reply, entry->bytes, entry->len);
	}
}

static int compare_pieces(const void *a, const void *b)
{
	uint64_t x = ((const struct piece *)a)->id, y = ((const struct piece *)b)->id;
	return (x < y) - (x > y);
}

static size_t split_part(const struct gather_part *part, struct piece *out)
{
	const char *at = part->reply.buf;
	for (int64_t i = 0; i < part->number; i++) {
		struct piece_head head;
		memcpy(&head, at, sizeof(head));
		at += sizeof(head);
		out[i] = (struct piece){.id = head.id, .bytes = {at, head.len}};
		at += head.len;
	}
	return (size_t)part->number;
}

static void get_finish(struct gather *gather, struct reply *reply)
{
	size_t max = (size_t) * (const int64_t *)gather->args;
	size_t count = 0, n = 0;
	for (uint32_t i = 0; i < gather->part_count; i++)
		count += (size_t)gather->parts[i].number;
	struct piece *pieces = mem_alloc((count + 1) * sizeof(*pieces));
	for (uint32_t i = 0; i < gather->part_count; i++)
		n += split_part(&gather->parts[i], pieces + n);
	qsort(pieces, count, sizeof(*pieces), compare_pieces);
	size_t shown = count < max ? count : max;
	reply_array(reply, shown);
	for (size_t i = 0; i < shown; i++)
		reply_raw(reply, pieces[i].bytes.ptr, pieces[i].bytes.len);
	mem_free(pieces, (count + 1) * sizeof(*pieces));
}

static int64_t configured_max(const struct conn *conn)
{
	return config_int(&conn->worker->server->config.slowlog_max_len);
}

void cmd_slowlog_get(struct conn *conn, struct ctx *ctx)
{
	int64_t count = SLOWLOG_GET_DEFAULT;
	if (ctx->argc > 3) {
		command_error_subcommand(ctx->cmd, ctx->argv[1], ctx->reply);
		return;
	}
	if (ctx->argc == 3 && (!number_parse(ctx->argv[2], &count) || count < -1)) {
		reply_error(ctx->reply, "ERR count should be greater than or equal to -1");
		return;
	}
	int64_t max = configured_max(conn);
	struct gather *gather = gather_new(conn, sizeof(count), get_run, get_finish);
	*(int64_t *)gather->args = count == -1 || count > max ? max : count;
	gather_start(gather);
}

/* --- LEN and RESET --- */

static void len_run(struct worker *worker, struct gather_part *part)
{
	part->number = slowlog_len(worker->slowlog);
}

static void len_finish(struct gather *gather, struct reply *reply)
{
	int64_t max = *(const int64_t *)gather->args;
	int64_t sum = 0;
	for (uint32_t i = 0; i < gather->part_count; i++)
		sum += gather->parts[i].number;
	reply_int(reply, sum < max ? sum : max);
}

void cmd_slowlog_len(struct conn *conn, struct ctx *ctx)
{
	struct gather *gather = gather_new(conn, sizeof(int64_t), len_run, len_finish);
	*(int64_t *)gather->args = configured_max(conn);
	gather_start(gather);
}

static void reset_run(struct worker *worker, struct gather_part *part)
{
	slowlog_reset(worker->slowlog);
}

static void reset_finish(struct gather *gather, struct reply *reply)
{
	reply_ok(reply);
}

void cmd_slowlog_reset(struct conn *conn, struct ctx *ctx)
{
	gather_start(gather_new(conn, 0, reset_run, reset_finish));
}

void cmd_slowlog_help(struct conn *conn, struct ctx *ctx)
{
	static const char *const lines[] = {
		"GET [<count>]",
		"    The newest slow requests, 10 of them unless told (-1: all). For each: id, time,",
		"    microseconds, arguments, the client's address, the client's name.",
		"LEN",
		"    How many requests are in the log.",
		"RESET",
		"    Empty the log.",
	};
	help_reply(ctx, lines, sizeof(lines) / sizeof(lines[0]));
}
