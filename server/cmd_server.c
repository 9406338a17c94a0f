/*
 * TIME, LOLWUT, and COMMAND with its subcommands, which the command table answers itself;
 * the HELP of commands whose other subcommands work on keys.
 */
#include "server/handlers.h"
#include "server/help.h"
#include "server/server.h"

/* --- TIME --- */

void cmd_time(struct conn *conn, struct ctx *ctx)
{
	int64_t us = clock_wall_us();
	reply_array(ctx->reply, 2);
	reply_bulk_int(ctx->reply, us / 1000000);
	reply_bulk_int(ctx->reply, us % 1000000);
}

/* --- LOLWUT --- */

/* The picture, in cells; two of them, one above the other, make a character. */
#define ART_COLUMNS 64
#define ART_ROWS    32

/* The next generation of a ring of cells: each looks at itself and its two neighbours. */
static uint64_t art_step(uint64_t cells, uint8_t rule)
{
	uint64_t left = cells << 1 | cells >> 63, right = cells >> 1 | cells << 63;
	uint64_t next = 0;
	for (unsigned i = 0; i < ART_COLUMNS; i++) {
		unsigned around =
			(unsigned)((left >> i & 1) | (cells >> i & 1) << 1 | (right >> i & 1) << 2);
		next |= (uint64_t)(rule >> around & 1) << i;
	}
	return next;
}

/* A shard of pottery: the ornament that an elementary cellular automaton paints on it. */
static void art_draw(struct reply *out, uint64_t random)
{
	static const uint8_t rules[] = {30, 45, 73, 90, 105, 110, 150, 169};
	static const char *const halves[] = {" ", "▀", "▄", "█"};
	uint8_t rule = rules[random % (sizeof(rules) / sizeof(rules[0]))];
	uint64_t above = random & 8 ? random * 0x9e3779b97f4a7c15u : 1ull << (ART_COLUMNS / 2);
	for (unsigned row = 0; row < ART_ROWS; row += 2) {
		uint64_t below = art_step(above, rule);
		for (unsigned i = ART_COLUMNS; i-- > 0;) {
			const char *half = halves[(above >> i & 1) | (below >> i & 1) << 1];
			reply_raw(out, half, strlen(half));
		}
		reply_raw(out, "\n", 1);
		above = art_step(below, rule);
	}
}

void cmd_lolwut(struct conn *conn, struct ctx *ctx)
{
	static const char version[] = "\nRedis ver. " REDIS_VERSION "\n";
	int64_t wanted;
	if (ctx->argc >= 3 && slice_is(ctx->argv[1], "version") && !ctx_arg_int(ctx, 2, &wanted))
		return;
	struct reply art;
	reply_init(&art, 2);
	art_draw(&art, shard_random(ctx->shard));
	reply_raw(&art, version, sizeof(version) - 1);
	reply_verbatim(ctx->reply, "txt", (struct slice){art.buf, art.len});
	reply_deinit(&art);
}

/* --- COMMAND --- */

void cmd_command(struct conn *conn, struct ctx *ctx)
{
	command_reply_all(ctx->reply);
}

void cmd_command_count(struct conn *conn, struct ctx *ctx)
{
	command_reply_count(ctx->reply);
}

void cmd_command_docs(struct conn *conn, struct ctx *ctx)
{
	command_reply_docs(ctx->reply, ctx->argv, ctx->argc);
}

void cmd_command_info(struct conn *conn, struct ctx *ctx)
{
	command_reply_info(ctx->reply, ctx->argv, ctx->argc);
}

void cmd_command_list(struct conn *conn, struct ctx *ctx)
{
	command_reply_list(ctx->reply, ctx->argv, ctx->argc);
}

void cmd_command_getkeys(struct conn *conn, struct ctx *ctx)
{
	command_reply_getkeys(ctx->reply, ctx->argv, ctx->argc);
}

void cmd_command_getkeysandflags(struct conn *conn, struct ctx *ctx)
{
	command_reply_getkeysandflags(ctx->reply, ctx->argv, ctx->argc);
}

void cmd_command_help(struct conn *conn, struct ctx *ctx)
{
	static const char *const lines[] = {
		"(no subcommand)",
		"    Everything about all commands.",
		"COUNT",
		"    How many commands there are.",
		"DOCS [<command> ...]",
		"    What these commands, or all, are for, and their arguments.",
		"GETKEYS <request>",
		"    The keys in a whole request.",
		"GETKEYSANDFLAGS <request>",
		"    The keys in a whole request, and what it does to each.",
		"INFO [<command> ...]",
		"    Everything about these commands, or all.",
		"LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]",
		"    The names of the commands.",
	};
	help_reply(ctx, lines, sizeof(lines) / sizeof(lines[0]));
}

/* --- OBJECT --- */

void cmd_object_help(struct conn *conn, struct ctx *ctx)
{
	static const char *const lines[] = {
		"ENCODING <key>", "    How the value is stored.",
		"FREQ <key>",     "    How often the key is used, on a logarithmic scale.",
		"IDLETIME <key>", "    The seconds since the key was last used.",
		"REFCOUNT <key>", "    How many references to the value there are.",
	};
	help_reply(ctx, lines, sizeof(lines) / sizeof(lines[0]));
}
