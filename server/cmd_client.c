/*
 * CLIENT and its subcommands.
 *
 * What concerns other connections than the caller's (LIST, KILL, UNPAUSE, UNBLOCK) is gathered:
 * each worker looks at its own connections.
 */
#include "proto/mem.h"
#include "server/blocked.h"
#include "server/client.h"
#include "server/gather.h"
#include "server/handlers.h"
#include "server/help.h"
#include "server/server.h"

#include <stdlib.h>

/* --- the caller's own --- */

void cmd_client_id(struct conn *conn, struct ctx *ctx)
{
	reply_int(ctx->reply, (int64_t)conn->id);
}

void cmd_client_info(struct conn *conn, struct ctx *ctx)
{
	struct reply line;
	reply_init(&line, 2);
	client_format(conn, &line);
	reply_verbatim(ctx->reply, "txt", (struct slice){line.buf, line.len});
	reply_deinit(&line);
}

void cmd_client_setname(struct conn *conn, struct ctx *ctx)
{
	if (!client_text_ok(ctx->argv[2])) {
		reply_error(ctx->reply, "ERR Client names cannot contain spaces, newlines or special "
					"characters.");
		return;
	}
	client_set_text(&conn->name, ctx->argv[2]);
	reply_ok(ctx->reply);
}

void cmd_client_getname(struct conn *conn, struct ctx *ctx)
{
	if (conn->name)
		reply_bulk_text(ctx->reply, conn->name);
	else
		reply_null(ctx->reply);
}

void cmd_client_setinfo(struct conn *conn, struct ctx *ctx)
{
	struct slice attribute = ctx->argv[2], value = ctx->argv[3];
	bool is_name = slice_is(attribute, "lib-name");
	if (!is_name && !slice_is(attribute, "lib-ver")) {
		reply_errorf(ctx->reply, "ERR Unrecognized option '%.*s'", ERROR_ECHO(attribute));
		return;
	}
	if (!client_text_ok(value)) {
		reply_errorf(ctx->reply,
			     "ERR %s cannot contain spaces, newlines or special characters.",
			     is_name ? "lib-name" : "lib-ver");
		return;
	}
	client_set_text(is_name ? &conn->lib_name : &conn->lib_ver, value);
	reply_ok(ctx->reply);
}

void cmd_client_reply(struct conn *conn, struct ctx *ctx)
{
	const uint32_t all = CONN_REPLY_OFF | CONN_REPLY_SKIP | CONN_REPLY_SKIP_NEXT;
	if (slice_is(ctx->argv[2], "on")) {
		conn->flags &= ~all;
		reply_ok(ctx->reply);
	} else if (slice_is(ctx->argv[2], "off")) {
		conn->flags |= CONN_REPLY_OFF;
	} else if (slice_is(ctx->argv[2], "skip")) {
		if (!(conn->flags & CONN_REPLY_OFF))
			conn->flags |= CONN_REPLY_SKIP_NEXT;
	} else {
		reply_error(ctx->reply, error_syntax);
	}
}

/* ON or OFF for a flag of the connection. */
static void set_flag(struct conn *conn, struct ctx *ctx, uint32_t flag)
{
	if (slice_is(ctx->argv[2], "on"))
		conn->flags |= flag;
	else if (slice_is(ctx->argv[2], "off"))
		conn->flags &= ~flag;
	else {
		reply_error(ctx->reply, error_syntax);
		return;
	}
	reply_ok(ctx->reply);
}

void cmd_client_no_evict(struct conn *conn, struct ctx *ctx)
{
	set_flag(conn, ctx, CONN_NO_EVICT);
}

void cmd_client_no_touch(struct conn *conn, struct ctx *ctx)
{
	set_flag(conn, ctx, CONN_NO_TOUCH);
}

/* --- LIST and KILL --- */

enum client_type {
	TYPE_UNKNOWN,
	TYPE_NORMAL,
	TYPE_OTHER, /* known to Redis; no connection is of it */
};

static enum client_type parse_type(struct slice text)
{
	static const char *const others[] = {"master", "replica", "slave", "pubsub"};
	if (slice_is(text, "normal"))
		return TYPE_NORMAL;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (slice_is(text, others[i]))
			return TYPE_OTHER;
	return TYPE_UNKNOWN;
}

static bool filter_type(struct ctx *ctx, uint32_t arg, struct client_filter *filter)
{
	enum client_type type = parse_type(ctx->argv[arg]);
	if (type == TYPE_UNKNOWN) {
		reply_errorf(ctx->reply, "ERR Unknown client type '%.*s'",
			     ERROR_ECHO(ctx->argv[arg]));
		return false;
	}
	filter->none |= type == TYPE_OTHER;
	return true;
}

/*
 * What a gather of LIST or KILL carries: a filter, the ids it names as they came, and behind them
 * in order.
 */
struct client_query {
	struct client_filter filter;
	uint64_t self;
	uint64_t ids[];
};

static struct gather *query_new(struct conn *conn, const struct client_filter *filter,
				void (*run)(struct worker *, struct gather_part *),
				void (*finish)(struct gather *, struct reply *))
{
	size_t ids_bytes = filter->id_count * sizeof(uint64_t);
	struct gather *gather =
		gather_new(conn, sizeof(struct client_query) + 2 * ids_bytes, run, finish);
	struct client_query *query = gather->args;
	query->filter = *filter;
	query->self = conn->id;
	uint64_t *sorted = query->ids + filter->id_count;
	query->filter.ids = sorted;
	if (ids_bytes) {
		memcpy(query->ids, filter->ids, ids_bytes);
		memcpy(sorted, filter->ids, ids_bytes);
		qsort(sorted, filter->id_count, sizeof(*sorted), client_compare_ids);
	}
	return gather;
}

static void list_run(struct worker *worker, struct gather_part *part)
{
	const struct client_query *query = part->gather->args;
	for (struct conn *conn = worker->conns; conn; conn = conn->all.next)
		if (client_matches(&query->filter, conn))
			client_format(conn, &part->reply);
}

struct list_line {
	uint64_t id;
	struct slice text;
};

static int compare_lines(const void *a, const void *b)
{
	uint64_t x = ((const struct list_line *)a)->id, y = ((const struct list_line *)b)->id;
	return (x > y) - (x < y);
}

/* Lines in the order in which their ids were asked for, or of all connections by id. */
static void append_lines(const struct client_query *query, const struct list_line *lines,
			 size_t count, struct reply *out)
{
	for (size_t i = 0; i < count && query->filter.id_count == 0; i++)
		reply_raw(out, lines[i].text.ptr, lines[i].text.len);
	for (uint32_t i = 0; i < query->filter.id_count; i++) {
		struct list_line wanted = {.id = query->ids[i]};
		const struct list_line *line =
			bsearch(&wanted, lines, count, sizeof(*lines), compare_lines);
		if (line)
			reply_raw(out, line->text.ptr, line->text.len);
	}
}

/* Puts the lines of all parts in order. */
static void list_finish(struct gather *gather, struct reply *reply)
{
	struct reply all;
	reply_init(&all, 2);
	for (uint32_t i = 0; i < gather->part_count; i++)
		reply_move(&all, &gather->parts[i].reply);
	size_t count = 0, n = 0;
	for (size_t i = 0; i < all.len; i++)
		count += all.buf[i] == '\n';
	struct list_line *lines = mem_alloc((count + 1) * sizeof(*lines));
	for (size_t at = 0; at < all.len; n++) {
		const char *end = memchr(all.buf + at, '\n', all.len - at);
		lines[n].text = (struct slice){all.buf + at, (size_t)(end + 1 - (all.buf + at))};
		lines[n].id = strtoull(all.buf + at + strlen("id="), NULL, 10);
		at += lines[n].text.len;
	}
	qsort(lines, count, sizeof(*lines), compare_lines);
	struct reply sorted;
	reply_init(&sorted, 2);
	const struct client_query *query = gather->args;
	append_lines(query, lines, count, &sorted);
	reply_verbatim(reply, "txt", (struct slice){sorted.buf, sorted.len});
	reply_deinit(&sorted);
	reply_deinit(&all);
	mem_free(lines, (count + 1) * sizeof(*lines));
}

void cmd_client_list(struct conn *conn, struct ctx *ctx)
{
	struct client_filter filter = {0};
	uint64_t *ids = NULL;
	size_t ids_bytes = ctx->argc * sizeof(*ids);
	if (ctx->argc == 4 && slice_is(ctx->argv[2], "type")) {
		if (!filter_type(ctx, 3, &filter))
			return;
	} else if (ctx->argc > 3 && slice_is(ctx->argv[2], "id")) {
		ids = mem_alloc(ids_bytes);
		for (uint32_t i = 3; i < ctx->argc; i++) {
			int64_t id;
			if (!number_parse(ctx->argv[i], &id)) {
				reply_error(ctx->reply, "ERR Invalid client ID");
				mem_free(ids, ids_bytes);
				return;
			}
			ids[filter.id_count++] = (uint64_t)id;
		}
		filter.ids = ids;
	} else if (ctx->argc != 2) {
		reply_error(ctx->reply, error_syntax);
		return;
	}
	gather_start(query_new(conn, &filter, list_run, list_finish));
	mem_free(ids, ids_bytes);
}

static void kill_run(struct worker *worker, struct gather_part *part)
{
	const struct client_query *query = part->gather->args;
	struct conn *next;
	for (struct conn *conn = worker->conns; conn; conn = next) {
		next = conn->all.next;
		if (!client_matches(&query->filter, conn))
			continue;
		part->number++;
		if (conn->id == query->self)
			conn_close_after(conn); /* it gets its reply first */
		else
			conn_close(conn);
	}
}

static int64_t gather_sum(const struct gather *gather)
{
	int64_t sum = 0;
	for (uint32_t i = 0; i < gather->part_count; i++)
		sum += gather->parts[i].number;
	return sum;
}

static void sum_finish(struct gather *gather, struct reply *reply)
{
	reply_int(reply, gather_sum(gather));
}

static void kill_one_finish(struct gather *gather, struct reply *reply)
{
	if (gather_sum(gather) > 0)
		reply_ok(reply);
	else
		reply_error(reply, "ERR No such client");
}

/* Copies an address to compare with; one that is too long fits nobody. */
static void filter_address(char *field, struct slice text, struct client_filter *filter)
{
	if (text.len == 0 || text.len >= CONN_ADDRESS_MAX) {
		filter->none = true;
		return;
	}
	memcpy(field, text.ptr, text.len);
	field[text.len] = 0;
}

/* One pair of CLIENT KILL's new form. */
static bool kill_option(struct conn *conn, struct ctx *ctx, uint32_t i,
			struct client_filter *filter, uint64_t *id)
{
	struct slice name = ctx->argv[i], value = ctx->argv[i + 1];
	if (slice_is(name, "id")) {
		int64_t n;
		if (!number_parse(value, &n) || n < 1) {
			reply_error(ctx->reply, "ERR client-id should be greater than 0");
			return false;
		}
		*id = (uint64_t)n;
		filter->ids = id;
		filter->id_count = 1;
	} else if (slice_is(name, "type")) {
		return filter_type(ctx, i + 1, filter);
	} else if (slice_is(name, "addr")) {
		filter_address(filter->addr, value, filter);
	} else if (slice_is(name, "laddr")) {
		filter_address(filter->laddr, value, filter);
	} else if (slice_is(name, "user")) {
		if (!slice_equal(value, SLICE("default"))) {
			reply_errorf(ctx->reply, "ERR No such user '%.*s'", ERROR_ECHO(value));
			return false;
		}
	} else if (slice_is(name, "skipme") && slice_is(value, "yes")) {
		filter->not_id = conn->id;
	} else if (slice_is(name, "skipme") && slice_is(value, "no")) {
		filter->not_id = 0;
	} else {
		reply_error(ctx->reply, error_syntax);
		return false;
	}
	return true;
}

void cmd_client_kill(struct conn *conn, struct ctx *ctx)
{
	struct client_filter filter = {0};
	uint64_t id;
	if (ctx->argc == 3) {
		filter_address(filter.addr, ctx->argv[2], &filter);
		gather_start(query_new(conn, &filter, kill_run, kill_one_finish));
		return;
	}
	filter.not_id = conn->id;
	for (uint32_t i = 2; i < ctx->argc; i += 2) {
		if (i + 1 == ctx->argc) {
			reply_error(ctx->reply, error_syntax);
			return;
		}
		if (!kill_option(conn, ctx, i, &filter, &id))
			return;
	}
	gather_start(query_new(conn, &filter, kill_run, sum_finish));
}

/* --- PAUSE --- */

void cmd_client_pause(struct conn *conn, struct ctx *ctx)
{
	struct server *server = conn->worker->server;
	enum pause_mode mode = PAUSE_ALL;
	int64_t ms;
	if (ctx->argc > 4) {
		command_error_subcommand(ctx->cmd, ctx->argv[1], ctx->reply);
		return;
	}
	if (ctx->argc == 4) {
		if (slice_is(ctx->argv[3], "write")) {
			mode = PAUSE_WRITE;
		} else if (!slice_is(ctx->argv[3], "all")) {
			reply_error(ctx->reply, "ERR CLIENT PAUSE mode must be WRITE or ALL");
			return;
		}
	}
	if (!number_parse(ctx->argv[2], &ms)) {
		reply_error(ctx->reply, "ERR timeout is not an integer or out of range");
		return;
	}
	if (ms < 0) {
		reply_error(ctx->reply, "ERR timeout is negative");
		return;
	}
	if (ms > INT64_MAX - ctx->now) {
		reply_error(ctx->reply, "ERR timeout is out of range");
		return;
	}
	/* a pause that is going on is only ever made longer and stricter */
	int64_t until = ctx->now + ms;
	bool going_on = atomic_load(&server->pause_until) > ctx->now;
	if (going_on && atomic_load(&server->pause_until) > until)
		until = atomic_load(&server->pause_until);
	if (going_on && (atomic_load(&server->pause_mode) & PAUSE_ALL))
		mode = PAUSE_ALL;
	atomic_store(&server->pause_until, until);
	atomic_fetch_or(&server->pause_mode, mode);
	if (mode == PAUSE_WRITE)
		atomic_fetch_and(&server->pause_mode, ~(uint32_t)PAUSE_ALL);
	reply_ok(ctx->reply);
}

static void unpause_run(struct worker *worker, struct gather_part *part)
{
	worker_resume_paused(worker);
}

static void ok_finish(struct gather *gather, struct reply *reply)
{
	reply_ok(reply);
}

void cmd_client_unpause(struct conn *conn, struct ctx *ctx)
{
	struct server *server = conn->worker->server;
	atomic_store(&server->pause_until, 0);
	atomic_fetch_and(&server->pause_mode, ~(uint32_t)(PAUSE_WRITE | PAUSE_ALL));
	gather_start(gather_new(conn, 0, unpause_run, ok_finish));
}

/* --- UNBLOCK --- */

struct unblock {
	uint64_t id;
	enum blocked_end how;
};

static void unblock_run(struct worker *worker, struct gather_part *part)
{
	const struct unblock *unblock = part->gather->args;
	struct conn *conn = worker->conns;
	while (conn && conn->id != unblock->id)
		conn = conn->all.next;
	part->number = conn && blocked_end(conn, unblock->how);
}

void cmd_client_unblock(struct conn *conn, struct ctx *ctx)
{
	struct unblock unblock = {.how = BLOCKED_TIMEOUT};
	int64_t id;
	if (ctx->argc > 4) {
		command_error_subcommand(ctx->cmd, ctx->argv[1], ctx->reply);
		return;
	}
	if (ctx->argc == 4 && slice_is(ctx->argv[3], "error")) {
		unblock.how = BLOCKED_ERROR;
	} else if (ctx->argc == 4 && !slice_is(ctx->argv[3], "timeout")) {
		reply_error(ctx->reply,
			    "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
		return;
	}
	if (!ctx_arg_int(ctx, 2, &id))
		return;
	unblock.id = (uint64_t)id;
	struct gather *gather = gather_new(conn, sizeof(unblock), unblock_run, sum_finish);
	*(struct unblock *)gather->args = unblock;
	gather_start(gather);
}

void cmd_client_help(struct conn *conn, struct ctx *ctx)
{
	static const char *const lines[] = {
		"GETNAME", "    The name of this connection.",
		"ID", "    The id of this connection.",
		"INFO", "    This connection's line of CLIENT LIST.",
		"KILL <ip:port>", "    Close the connection from that address.",
		"KILL <option> <value> [...]",
		"    Close connections. Options: ID, ADDR, LADDR, TYPE (NORMAL|MASTER|REPLICA|PUBSUB), USER,",
		"    SKIPME (YES|NO).",
		"LIST [TYPE <type>] [ID <id> ...]", "    One line for each connection.",
		"NO-EVICT (ON|OFF)", "    Keep this connection when memory for clients runs short.",
		"NO-TOUCH (ON|OFF)", "    Don't count this connection's reads as uses of the keys.",
		"PAUSE <milliseconds> [WRITE|ALL]", "    Hold back commands of all clients for that time.",
		"REPLY (ON|OFF|SKIP)", "    Which replies this connection gets.",
		"SETINFO (LIB-NAME|LIB-VER) <text>", "    What the client's library is called.",
		"SETNAME <name>", "    Give this connection a name.",
		"UNBLOCK <id> [TIMEOUT|ERROR]", "    Wake a client that waits in a blocking command.",
		"UNPAUSE", "    End a pause.",
	};
	help_reply(ctx, lines, sizeof(lines) / sizeof(lines[0]));
}
