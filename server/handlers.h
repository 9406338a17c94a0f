/* Prototypes and binding of the handlers that need a connection: one for each CONN_COMMAND row. */
#ifndef SERVER_HANDLERS_H
#define SERVER_HANDLERS_H

#include "server/conn.h"
#include "shard/ctx.h"

#define KEY_COMMAND(symbol, ...)
#define CONN_COMMAND(symbol, ...) void cmd_##symbol(struct conn *conn, struct ctx *ctx);
#define CONTAINER(symbol, ...)
#include "proto/command.def"
#undef KEY_COMMAND
#undef CONN_COMMAND
#undef CONTAINER

/* By enum command_id; NULL for commands on keys. */
extern void (*const conn_handlers[CMD_COUNT])(struct conn *conn, struct ctx *ctx);

#endif
