/* SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE, SHUTDOWN: what asks the snapshotter (snapshotter.h). */
#include "server/due.h"
#include "server/handlers.h"
#include "server/multi.h"
#include "server/server.h"

/*
 * With a rewrite going on it waits for its turn, as everybody would if the server saved by itself.
 */
void cmd_save(struct conn *conn, struct ctx *ctx)
{
	snapshotter_save(&conn->worker->server->snapshotter, save_waiter_new(conn, "ERR"));
}

/* --- in the background --- */

static void bgsave_cancel(struct snapshotter *snapshotter, struct reply *reply)
{
	switch (snapshotter_cancel(snapshotter)) {
	case SAVE_STARTED:
		reply_status(reply, "Background saving cancelled");
		break;
	case SAVE_SCHEDULED:
		reply_status(reply, "Scheduled background saving cancelled");
		break;
	default:
		reply_error(reply,
			    "ERR Background saving is currently not in progress or scheduled");
	}
}

void cmd_bgsave(struct conn *conn, struct ctx *ctx)
{
	struct snapshotter *snapshotter = &conn->worker->server->snapshotter;
	bool schedule = ctx->argc == 2 && slice_is(ctx->argv[1], "schedule");
	bool increment = ctx->argc == 2 && slice_is(ctx->argv[1], "incremental");
	if (ctx->argc == 2 && slice_is(ctx->argv[1], "cancel")) {
		bgsave_cancel(snapshotter, ctx->reply);
		return;
	}
	if (ctx->argc > 1 && !schedule && !increment) {
		reply_error(ctx->reply, error_syntax);
		return;
	}
	switch (snapshotter_ask(snapshotter, SAVE_RDB, increment, schedule, multi_running(conn))) {
	case SAVE_STARTED:
		reply_status(ctx->reply, "Background saving started");
		break;
	case SAVE_SCHEDULED:
		reply_status(ctx->reply, "Background saving scheduled");
		break;
	case SAVE_BUSY:
		reply_error(ctx->reply, save_error_busy);
		break;
	case SAVE_BUSY_OTHER:
		reply_error(
			ctx->reply,
			"ERR Another child process is active (AOF?): can't BGSAVE right now. Use "
			"BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.");
	}
}

void cmd_bgrewriteaof(struct conn *conn, struct ctx *ctx)
{
	struct snapshotter *snapshotter = &conn->worker->server->snapshotter;
	switch (snapshotter_ask(snapshotter, SAVE_AOF, false, true, multi_running(conn))) {
	case SAVE_STARTED:
		reply_status(ctx->reply, "Background append only file rewriting started");
		break;
	case SAVE_BUSY:
		reply_error(ctx->reply,
			    "ERR Background append only file rewriting already in progress");
		break;
	default:
		reply_status(ctx->reply, "Background append only file rewriting scheduled");
	}
}

void cmd_lastsave(struct conn *conn, struct ctx *ctx)
{
	reply_int(ctx->reply, atomic_load(&conn->worker->server->snapshotter.saved_s));
}

/* --- DEBUG RELOAD, LOADAOF --- */

/*
 * NOFLUSH and MERGE would keep what is in memory under what is loaded. That is the same here, for
 * all that was written is loaded: so they change nothing.
 */
void cmd_debug_reload(struct conn *conn, struct ctx *ctx)
{
	bool save = true;
	for (uint32_t i = 2; i < ctx->argc; i++) {
		if (slice_is(ctx->argv[i], "nosave")) {
			save = false;
		} else if (!slice_is(ctx->argv[i], "noflush") && !slice_is(ctx->argv[i], "merge")) {
			reply_error(ctx->reply, "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH "
						"and NOSAVE options.");
			return;
		}
	}
	struct save_waiter *waiter =
		save_waiter_new(conn, "ERR Error trying to load the RDB dump, check server logs.");
	waiter->save = save;
	snapshotter_reload(&conn->worker->server->snapshotter, waiter);
}

void cmd_debug_loadaof(struct conn *conn, struct ctx *ctx)
{
	snapshotter_reload(
		&conn->worker->server->snapshotter,
		save_waiter_new(conn,
				"ERR Error trying to load the AOF files, check server logs."));
}

/* --- SHUTDOWN --- */

enum shutdown_option {
	SHUTDOWN_NOSAVE = 1,
	SHUTDOWN_SAVE = 2,
	SHUTDOWN_NOW = 4,
	SHUTDOWN_FORCE = 8,
	SHUTDOWN_ABORT = 16,
};

/* One option; 0 when it is none. */
static uint32_t shutdown_parse(struct slice arg)
{
	static const struct {
		const char *name;
		uint32_t option;
	} options[] = {
		{"nosave", SHUTDOWN_NOSAVE}, {"save", SHUTDOWN_SAVE},   {"now", SHUTDOWN_NOW},
		{"force", SHUTDOWN_FORCE},   {"abort", SHUTDOWN_ABORT},
	};
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (slice_is(arg, options[i].name))
			return options[i].option;
	return 0;
}

/* What is asked for; false after replying what is wrong with it. */
static bool shutdown_options(struct ctx *ctx, uint32_t *given)
{
	bool ok = true;
	*given = 0;
	for (uint32_t i = 1; i < ctx->argc; i++) {
		uint32_t option = shutdown_parse(ctx->argv[i]);
		ok &= option != 0;
		*given |= option;
	}
	ok &= !(*given & SHUTDOWN_ABORT) || *given == SHUTDOWN_ABORT;
	ok &= !(*given & SHUTDOWN_SAVE) || !(*given & SHUTDOWN_NOSAVE);
	if (!ok)
		reply_error(ctx->reply, error_syntax);
	return ok;
}

/* Without replicas there is nothing else to wait for: NOW changes nothing. */
void cmd_shutdown(struct conn *conn, struct ctx *ctx)
{
	struct server *server = conn->worker->server;
	uint32_t given;
	if (!shutdown_options(ctx, &given))
		return;
	if (given & SHUTDOWN_ABORT) {
		if (snapshotter_stay(&server->snapshotter))
			reply_ok(ctx->reply);
		else
			reply_error(ctx->reply, "ERR No shutdown in progress.");
		return;
	}
	bool saves =
		(given & SHUTDOWN_SAVE) || (!(given & SHUTDOWN_NOSAVE) && due_has_points(server));
	if (saves && !persistence_loading(&server->persistence)) {
		struct save_waiter *waiter =
			save_waiter_new(conn, "ERR Errors trying to SHUTDOWN. Check logs.");
		waiter->shutdown = true;
		snapshotter_leave(&server->snapshotter, waiter, given & SHUTDOWN_FORCE);
		return;
	}
	server_say_shutdown();
	server_stop(server);
	conn_close_after(conn);
}
