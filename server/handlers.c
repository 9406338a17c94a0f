/* Binds each CONN_COMMAND row to its handler. */
#include "server/handlers.h"

#define KEY_COMMAND(symbol, ...)
#define CONN_COMMAND(symbol, ...) [CMD_##symbol] = cmd_##symbol,
#define CONTAINER(symbol, ...)
void (*const conn_handlers[CMD_COUNT])(struct conn *conn, struct ctx *ctx) = {
#include "proto/command.def"
};
