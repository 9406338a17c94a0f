/* Commands on the connection itself: PING ECHO HELLO AUTH SELECT QUIT RESET. */
#include "server/client.h"
#include "server/handlers.h"
#include "server/multi.h"
#include "server/server.h"

#include <stdio.h>

/* The one user there is. */
#define USER_DEFAULT "default"

void cmd_ping(struct conn *conn, struct ctx *ctx)
{
	if (ctx->argc > 2)
		command_error_arity(ctx->cmd, ctx->reply);
	else if (ctx->argc == 2)
		reply_bulk_slice(ctx->reply, ctx->argv[1]);
	else
		reply_status(ctx->reply, "PONG");
}

void cmd_echo(struct conn *conn, struct ctx *ctx)
{
	reply_bulk_slice(ctx->reply, ctx->argv[1]);
}

void cmd_select(struct conn *conn, struct ctx *ctx)
{
	if (!ctx_arg_db(ctx, 1, &conn->db, NULL))
		return;
	reply_ok(ctx->reply);
}

void cmd_quit(struct conn *conn, struct ctx *ctx)
{
	reply_ok(ctx->reply);
	conn_close_after(conn);
}

/* --- AUTH --- */

/* Checks user and password; replies the error. */
static bool authenticate(struct conn *conn, struct ctx *ctx, struct slice user,
			 struct slice password)
{
	struct config *config = &conn->worker->server->config;
	bool known = slice_equal(user, SLICE(USER_DEFAULT));
	bool open = config_string_empty(config, &config->requirepass);
	if (known && (open || config_string_equal(config, &config->requirepass, password))) {
		conn->flags |= CONN_AUTHENTICATED;
		return true;
	}
	reply_error(ctx->reply,
		    "WRONGPASS invalid username-password pair or user is disabled.");
	return false;
}

void cmd_auth(struct conn *conn, struct ctx *ctx)
{
	struct config *config = &conn->worker->server->config;
	if (ctx->argc > 3) {
		reply_error(ctx->reply, error_syntax);
		return;
	}
	if (ctx->argc == 2 && config_string_empty(config, &config->requirepass)) {
		reply_error(ctx->reply,
			    "ERR AUTH <password> called without any password configured for the "
			    "default user. Are you sure your configuration is correct?");
		return;
	}
	struct slice user = ctx->argc == 3 ? ctx->argv[1] : SLICE(USER_DEFAULT);
	if (authenticate(conn, ctx, user, ctx->argv[ctx->argc - 1]))
		reply_ok(ctx->reply);
}

/* --- HELLO --- */

struct hello {
	int64_t version;
	struct slice user, password, name;
	bool auth, setname;
};

static bool hello_parse_options(struct ctx *ctx, struct hello *hello)
{
	for (uint32_t i = 2; i < ctx->argc; i++) {
		uint32_t left = ctx->argc - 1 - i;
		if (slice_is(ctx->argv[i], "auth") && left >= 2) {
			hello->auth = true;
			hello->user = ctx->argv[i + 1];
			hello->password = ctx->argv[i + 2];
			i += 2;
		} else if (slice_is(ctx->argv[i], "setname") && left >= 1) {
			hello->setname = true;
			hello->name = ctx->argv[++i];
			if (!client_text_ok(hello->name)) {
				reply_error(ctx->reply,
					    "ERR Client names cannot contain spaces, newlines or "
					    "special characters.");
				return false;
			}
		} else {
			reply_errorf(ctx->reply, "ERR Syntax error in HELLO option '%.*s'",
				     ERROR_ECHO(ctx->argv[i]));
			return false;
		}
	}
	return true;
}

static bool hello_parse(struct ctx *ctx, struct hello *hello)
{
	if (ctx->argc < 2)
		return true;
	if (!number_parse(ctx->argv[1], &hello->version)) {
		reply_error(ctx->reply, "ERR Protocol version is not an integer or out of range");
		return false;
	}
	if (hello->version < 2 || hello->version > 3) {
		reply_error(ctx->reply, "NOPROTO unsupported protocol version");
		return false;
	}
	return hello_parse_options(ctx, hello);
}

static void hello_reply(const struct conn *conn, struct reply *r)
{
	reply_map(r, 7);
	reply_bulk_text(r, "server");
	reply_bulk_text(r, "redis");
	reply_bulk_text(r, "version");
	reply_bulk_text(r, REDIS_VERSION);
	reply_bulk_text(r, "proto");
	reply_int(r, conn->resp);
	reply_bulk_text(r, "id");
	reply_int(r, (int64_t)conn->id);
	reply_bulk_text(r, "mode");
	reply_bulk_text(r, "standalone");
	reply_bulk_text(r, "role");
	reply_bulk_text(r, "master");
	reply_bulk_text(r, "modules");
	reply_array(r, 0);
}

void cmd_hello(struct conn *conn, struct ctx *ctx)
{
	struct hello hello = {.version = conn->resp};
	if (!hello_parse(ctx, &hello))
		return;
	if (hello.auth && !authenticate(conn, ctx, hello.user, hello.password))
		return;
	if (!(conn->flags & CONN_AUTHENTICATED)) {
		reply_error(ctx->reply,
			    "NOAUTH HELLO must be called with the client already authenticated, "
			    "otherwise the HELLO <proto> AUTH <user> <pass> option can be used to "
			    "authenticate the client and select the RESP protocol version at the "
			    "same time");
		return;
	}
	if (hello.setname)
		client_set_text(&conn->name, hello.name);
	conn_set_resp(conn, (uint8_t)hello.version);
	hello_reply(conn, ctx->reply);
}

void cmd_reset(struct conn *conn, struct ctx *ctx)
{
	struct config *config = &conn->worker->server->config;
	/* not CONN_REPLY_SKIP: that is about this very reply */
	const uint32_t cleared = CONN_REPLY_OFF | CONN_REPLY_SKIP_NEXT | CONN_NO_EVICT |
				 CONN_NO_TOUCH | CONN_AUTHENTICATED;
	conn->flags &= ~cleared;
	if (config_string_empty(config, &config->requirepass))
		conn->flags |= CONN_AUTHENTICATED;
	multi_discard(conn);
	conn->db = 0;
	client_set_text(&conn->name, SLICE(""));
	conn_set_resp(conn, 2);
	reply_status(ctx->reply, "RESET");
}
