/* Binds each KEY_COMMAND row to its handler. */
#include "shard/handlers.h"
#include "shard/execute.h"

#define KEY_COMMAND(symbol, ...) [CMD_##symbol] = cmd_##symbol,
#define CONN_COMMAND(symbol, ...)
#define HOLDER_COMMAND(symbol, ...)
#define CONTAINER(symbol, ...)
void (*const key_handlers[CMD_COUNT])(struct ctx *ctx) = {
#include "proto/command.def"
};
