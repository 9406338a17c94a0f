/*
 * The command table.
 *
 * proto/command.def holds one row for each command and subcommand; everything that knows about
 * commands is expanded from it: this enum, the table, the handlers' prototypes and their binding
 * (shard/handlers.c for commands on keys, server/handlers.c for those that need a connection), the
 * counters of INFO commandstats and the answers of COMMAND. A row without a handler does not link.
 *
 * A row is one of
 *	KEY_COMMAND(symbol, name, arity, flags, first, last, step, route, ...)    on keys: cmd_<symbol>(ctx)
 *	CONN_COMMAND(symbol, name, arity, flags, ...)                             needs the connection: cmd_<symbol>(conn, ctx)
 *	HOLDER_COMMAND(symbol, name, arity, flags, first, last, step, ...)               needs both: bool cmd_<symbol>(conn, ctx)
 *	CONTAINER(symbol, name, arity, flags, ...)                                       has subcommands only (CLIENT, CONFIG, OBJECT ...)
 * and a subcommand is a row whose name is "parent|child". (The file itself says the columns.)
 *
 * Immutable after start; any thread.
 */
#ifndef PROTO_COMMAND_H
#define PROTO_COMMAND_H

#include "proto/reply.h"
#include "proto/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* Flags: Redis' names in COMMAND INFO (the row expands to both). */
enum command_flag {
	CMD_WRITE = 1 << 0,
	CMD_READONLY = 1 << 1,
	CMD_DENYOOM = 1 << 2,
	CMD_ADMIN = 1 << 3,
	CMD_NOSCRIPT = 1 << 4,
	CMD_BLOCKING = 1 << 5,
	CMD_LOADING = 1 << 6,
	CMD_STALE = 1 << 7,
	CMD_FAST = 1 << 8,
	CMD_NO_AUTH = 1 << 9,
	CMD_NO_MULTI = 1 << 10,
	CMD_MOVABLEKEYS = 1 << 11,
	CMD_ALLOW_BUSY = 1 << 12,
	CMD_SKIP_SLOWLOG = 1 << 13,
	CMD_SKIP_MONITOR = 1 << 14,
	CMD_NO_ASYNC_LOADING = 1 << 15,
	CMD_NO_MANDATORY_KEYS = 1 << 16,
	CMD_PUBSUB = 1 << 17,
	CMD_MAY_REPLICATE = 1 << 18,
	CMD_PROTECTED = 1 << 19,
};

/* Where a command runs. */
enum command_route {
	ROUTE_NONE,    /* on the connection's worker; touches no keys */
	ROUTE_KEY,     /* one key (or several that must hash to slots of one shard to run at once) */
	ROUTE_KEYS,    /* several keys in any slots: all or nothing */
	ROUTE_PATTERNS, /* ROUTE_ALL when patterns in the arguments name keys (SORT), else ROUTE_KEYS */
	ROUTE_OBSERVE, /* looks over all shards by RCU where it is, promising what SCAN promises */
	ROUTE_ALL,     /* every slot of every shard at one moment */
	ROUTE_HOLDER,  /* on the connection's worker, which holds what slots it needs by itself */
};

/* Every command and subcommand: CMD_get, CMD_client_id; CMD_COUNT at the end. */
enum command_id {
#define KEY_COMMAND(symbol, ...) CMD_##symbol,
#define CONN_COMMAND(symbol, ...) CMD_##symbol,
#define HOLDER_COMMAND(symbol, ...) CMD_##symbol,
#define CONTAINER(symbol, ...) CMD_##symbol,
#include "proto/command.def"
#undef KEY_COMMAND
#undef CONN_COMMAND
#undef HOLDER_COMMAND
#undef CONTAINER
	CMD_COUNT
};

struct command {
	const char *name;     /* "get", "client|id": lower case */
	enum command_id id;
	int16_t arity;        /* as in Redis: the command's name counts; negative = at least */
	uint8_t route;        /* enum command_route */
	uint32_t flags;       /* enum command_flag */
	int16_t first_key;    /* 0: none */
	int16_t last_key;     /* negative: counted from the end, -1 = the last argument */
	int16_t step;
	int16_t numkeys;      /* position of the argument that says how many keys follow it; 0: none */
	int16_t store_from;   /* from here on a key may follow STORE or STOREDIST; 0: none does */
	const struct command *parent; /* NULL but for subcommands */
	bool container;
	/* what only COMMAND shows stands in the .c file's own table */
};

/*
 * Instead of last_key in a row: the argument at this position says how many keys follow it. The
 * row's first key then is the first of these, or stands before (ZUNIONSTORE's destination).
 */
#define NUMKEYS(position) (INT16_MIN + (position))
#define NUMKEYS_POSITION(last) ((last) < INT16_MIN / 2 ? (last) - INT16_MIN : 0)

/*
 * Instead of last_key in a row: one key, and from this position on another one may stand behind the
 * word STORE or STOREDIST, the last of them.
 */
#define STORE_FROM(position) (INT16_MIN / 2 + (position))
#define STORE_POSITION(last)                                                                       \
	((last) > INT16_MIN / 2 && (last) < INT16_MIN / 4 ? (last) - INT16_MIN / 2 : 0)

/* Indexed by enum command_id. */
extern const struct command command_table[CMD_COUNT];

/*
 * Finds a command by its name, any case; NULL when there is none. Subcommands are not found here.
 * Some 5 ns: one hash of at most 8 bytes, one compare.
 */
const struct command *command_find(struct slice name);

/* Finds "parent|child"; NULL when there is none. */
const struct command *command_find_sub(const struct command *parent, struct slice child);

/*
 * Resolves a request to its row: container commands to their subcommand. On failure returns NULL
 * and writes Redis' error to `r`: unknown command ('...', with args beginning with: ...), unknown
 * subcommand, wrong number of arguments. argc >= 1.
 */
const struct command *command_resolve(const struct slice *argv, uint32_t argc, struct reply *r);

/* True when argc fits the row's arity. */
static inline bool command_arity_ok(const struct command *cmd, uint32_t argc)
{
	return cmd->arity > 0 ? argc == (uint32_t)cmd->arity : argc >= (uint32_t)-cmd->arity;
}

/* Writes Redis' "ERR wrong number of arguments for 'name' command". */
void command_error_arity(const struct command *cmd, struct reply *r);

/*
 * Writes Redis' "ERR unknown subcommand or wrong number of arguments for 'get'. Try SLOWLOG HELP.",
 * which some commands say when a subcommand has too many arguments. `cmd` is the subcommand or its
 * parent.
 */
void command_error_subcommand(const struct command *cmd, struct slice child, struct reply *r);

/*
 * Positions of the keys in argv. Returns how many there are, at most `max` of them written to
 * `out` (call again with more room when it returns more), or -1 when the request is malformed
 * (a numkeys that isn't a number): the handler will say so itself.
 */
int32_t command_keys(const struct command *cmd, const struct slice *argv, uint32_t argc,
		     uint32_t *out, uint32_t max);

/* Whether BY or GET name keys. With ROUTE_PATTERNS only. */
bool command_has_patterns(const struct slice *argv, uint32_t argc);

/*
 * Where this request runs: the row's route, but for ROUTE_PATTERNS one of the two that it stands
 * for.
 */
static inline enum command_route command_route(const struct command *cmd, const struct slice *argv,
					       uint32_t argc)
{
	if (cmd->route != ROUTE_PATTERNS)
		return cmd->route;
	return command_has_patterns(argv, argc) ? ROUTE_ALL : ROUTE_KEYS;
}

/* COMMAND and its subcommands: the arguments are the whole request. */
void command_reply_all(struct reply *r);
void command_reply_count(struct reply *r);
void command_reply_info(struct reply *r, const struct slice *argv, uint32_t argc);
void command_reply_docs(struct reply *r, const struct slice *argv, uint32_t argc);
void command_reply_list(struct reply *r, const struct slice *argv, uint32_t argc);
void command_reply_getkeys(struct reply *r, const struct slice *argv, uint32_t argc);
void command_reply_getkeysandflags(struct reply *r, const struct slice *argv, uint32_t argc);

#endif
