/* HELP subcommands: the frame around the lines that say what a command's subcommands do. */
#ifndef SERVER_HELP_H
#define SERVER_HELP_H

#include "shard/ctx.h"

/*
 * Replies the lines with the usual first and last ones; the command's name is that before the '|'.
 */
static inline void help_reply(struct ctx *ctx, const char *const *lines, size_t count)
{
	char first[96];
	size_t n = 0;
	for (const char *c = ctx->cmd->name; *c && *c != '|'; c++)
		first[n++] = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
	strcpy(first + n, " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
	reply_array(ctx->reply, count + 3);
	reply_status(ctx->reply, first);
	for (size_t i = 0; i < count; i++)
		reply_status(ctx->reply, lines[i]);
	reply_status(ctx->reply, "HELP");
	reply_status(ctx->reply, "    Prints this help.");
}

#endif
