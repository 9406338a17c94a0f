/* Binds each CONN_COMMAND and HOLDER_COMMAND row to its handler. */
#include "server/handlers.h"

#define KEY_COMMAND(symbol, ...)
#define CONTAINER(symbol, ...)

#define CONN_COMMAND(symbol, ...) [CMD_##symbol] = cmd_##symbol,
#define HOLDER_COMMAND(symbol, ...)
void (*const conn_handlers[CMD_COUNT])(struct conn *conn, struct ctx *ctx) = {
#include "proto/command.def"
};
#undef CONN_COMMAND
#undef HOLDER_COMMAND

#define CONN_COMMAND(symbol, ...)
#define HOLDER_COMMAND(symbol, ...) [CMD_##symbol] = cmd_##symbol,
bool (*const holder_handlers[CMD_COUNT])(struct conn *conn, struct ctx *ctx) = {
#include "proto/command.def"
};
