/* Prototypes of the handlers of commands on keys, one for each KEY_COMMAND row. */
#ifndef SHARD_HANDLERS_H
#define SHARD_HANDLERS_H

#include "shard/ctx.h"

#define KEY_COMMAND(symbol, ...) void cmd_##symbol(struct ctx *ctx);
#define CONN_COMMAND(symbol, ...)
#define HOLDER_COMMAND(symbol, ...)
#define CONTAINER(symbol, ...)
#include "proto/command.def"
#undef KEY_COMMAND
#undef CONN_COMMAND
#undef HOLDER_COMMAND
#undef CONTAINER

#endif
