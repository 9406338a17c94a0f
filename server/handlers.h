/*
 * Prototypes and binding of the handlers that need a connection: CONN_COMMAND and HOLDER_COMMAND
 * rows.
 */
#ifndef SERVER_HANDLERS_H
#define SERVER_HANDLERS_H

#include "server/conn.h"
#include "shard/ctx.h"

#define KEY_COMMAND(symbol, ...)
#define CONN_COMMAND(symbol, ...) void cmd_##symbol(struct conn *conn, struct ctx *ctx);
#define HOLDER_COMMAND(symbol, ...) bool cmd_##symbol(struct conn *conn, struct ctx *ctx);
#define CONTAINER(symbol, ...)
#include "proto/command.def"
#undef KEY_COMMAND
#undef CONN_COMMAND
#undef HOLDER_COMMAND
#undef CONTAINER

/* By enum command_id; NULL for all others. */
extern void (*const conn_handlers[CMD_COUNT])(struct conn *conn, struct ctx *ctx);

/*
 * The same for those that hold slots by themselves. False: one of the slots is held by another,
 * nothing has been done nor replied, and the request is to be tried again.
 */
extern bool (*const holder_handlers[CMD_COUNT])(struct conn *conn, struct ctx *ctx);

#endif
