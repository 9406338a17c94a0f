/* Admission (admit.h). */
#include "server/admit.h"

#include "proto/command_info.h"
#include "server/account.h"
#include "server/log.h"
#include "server/multi.h"
#include "server/server.h"

/* Whether the connection may run protected commands (DEBUG). */
static bool may_debug(const struct worker *worker, const struct conn *conn)
{
	int64_t setting = config_int(&worker->server->config.enable_debug_command);
	return setting == PROTECTED_YES || (setting == PROTECTED_LOCAL && conn_is_local(conn));
}

static const char error_debug[] =
	"ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you "
	"can run it from a local connection, otherwise you need to set this option in the "
	"configuration file, and then restart the server.";

/*
 * DEBUG, where it may not be run: that is said before what is wrong with the words behind it. NULL
 * for anything else.
 */
static const struct command *denied_debug(const struct worker *worker, const struct conn *conn,
					  const struct request *request)
{
	const struct command *cmd = command_find(request->argv[0]);
	bool denied = cmd && request->argc > 1 && (cmd->flags & CMD_PROTECTED) &&
		      !may_debug(worker, conn);
	return denied ? cmd : NULL;
}

/* A web page may make a browser post requests to us: HTTP ends the connection, as in Redis. */
static bool is_http(const struct slice *argv)
{
	return slice_is(argv[0], "post") || slice_is(argv[0], "host:");
}

/* Once: clients must not fill the log. */
static void warn_of_http(struct server *server, const struct conn *conn)
{
	if (!atomic_exchange(&server->warned_of_http, true))
		conn_log(
			conn, LOG_WARNING,
			"Possible security attack: a client speaks HTTP. Closing such connections.");
}

/*
 * What is refused while the disk gives trouble: writes, and PING, for it asks whether all is well.
 */
static bool needs_disk(const struct conn *conn, const struct command *cmd)
{
	if (cmd->id == CMD_exec && conn->multi)
		return conn->multi->flags & CMD_WRITE;
	return (cmd->flags & CMD_WRITE) || cmd->id == CMD_ping;
}

static const char error_bgsave[] =
	"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to "
	"disk. Commands that may modify the data set are disabled, because this instance is "
	"configured to report errors during writes if RDB snapshotting fails "
	"(stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB "
	"error.";

static const char error_memory[] = "OOM command not allowed when used memory > 'maxmemory'.";

/* What is refused while too much memory is used. What is queued needs some, too. */
static bool needs_memory(const struct conn *conn, const struct command *cmd)
{
	return (multi_flags(conn, cmd) & CMD_DENYOOM) || (conn->multi && multi_takes(cmd));
}

bool admit(struct worker *worker, struct conn *conn, const struct request *request,
	   const struct reply_mark *mark)
{
	const struct command *cmd = request->cmd;
	struct reply *reply = &conn->out;
	if (!cmd && is_http(request->argv)) {
		warn_of_http(worker->server, conn);
		conn_close_after(conn);
		return false;
	}
	if (!cmd)
		cmd = denied_debug(worker, conn, request);
	if (!cmd)
		cmd = command_resolve(request->argv, request->argc, reply);
	if (!cmd)
		cmd = command_lookup(request->argv, request->argc);
	else if ((cmd->flags & CMD_PROTECTED) && !may_debug(worker, conn))
		reply_error(reply, error_debug);
	else if (!conn_authenticated(conn) && !(cmd->flags & CMD_NO_AUTH))
		reply_error(reply, "NOAUTH Authentication required.");
	else if (conn->multi && (cmd->flags & CMD_NO_MULTI))
		reply_error(reply, "ERR Command not allowed inside a transaction");
	else if (atomic_load_explicit(&worker->server->memory_above, memory_order_relaxed) &&
		 needs_memory(conn, cmd))
		reply_error(reply, error_memory);
	else if (needs_disk(conn, cmd) && snapshotter_stops_writes(worker->server))
		reply_error(reply, error_bgsave);
	else if (needs_disk(conn, cmd) && flusher_trouble(&worker->server->flusher))
		reply_errorf(reply, "MISCONF Errors writing to the AOF file: %s",
			     strerror(-flusher_trouble(&worker->server->flusher)));
	else if (!(cmd->flags & CMD_LOADING) && persistence_loading(&worker->server->persistence))
		reply_error(reply, "LOADING Redis is loading the dataset in memory");
	else
		return true;
	multi_refused(conn, cmd, reply, *mark);
	if (cmd)
		stat_add(&worker->stats.commands[cmd->id].rejected, 1);
	account_error(worker, reply);
	return false;
}
