/*
 * What stands in the command table beside the columns that running a command needs: for COMMAND,
 * and for whoever has to know a command's group and categories.
 *
 * Immutable after start; any thread.
 */
#ifndef PROTO_COMMAND_INFO_H
#define PROTO_COMMAND_INFO_H

#include "proto/command.h"

/* ROW(symbol, text): the categories of access control, in the order in which COMMAND shows them. */
#define COMMAND_CATEGORIES(ROW)                                                                    \
	ROW(KEYSPACE, "keyspace")                                                                  \
	ROW(READ, "read")                                                                          \
	ROW(WRITE, "write")                                                                        \
	ROW(SET, "set")                                                                            \
	ROW(SORTEDSET, "sortedset")                                                                \
	ROW(LIST, "list")                                                                          \
	ROW(HASH, "hash")                                                                          \
	ROW(STRING, "string")                                                                      \
	ROW(BITMAP, "bitmap")                                                                      \
	ROW(HYPERLOGLOG, "hyperloglog")                                                            \
	ROW(GEO, "geo")                                                                            \
	ROW(PUBSUB, "pubsub")                                                                      \
	ROW(ADMIN, "admin")                                                                        \
	ROW(FAST, "fast")                                                                          \
	ROW(SLOW, "slow")                                                                          \
	ROW(BLOCKING, "blocking")                                                                  \
	ROW(DANGEROUS, "dangerous")                                                                \
	ROW(CONNECTION, "connection")                                                              \
	ROW(TRANSACTION, "transaction")

/* ROW(symbol, text, category of its commands): the groups of the documentation. */
#define COMMAND_GROUPS(ROW)                                                                        \
	ROW(generic, "generic", CATEGORY_KEYSPACE)                                                 \
	ROW(string, "string", CATEGORY_STRING)                                                     \
	ROW(bitmap, "bitmap", CATEGORY_BITMAP)                                                     \
	ROW(hash, "hash", CATEGORY_HASH)                                                           \
	ROW(list, "list", CATEGORY_LIST)                                                           \
	ROW(set, "set", CATEGORY_SET)                                                              \
	ROW(sorted_set, "sorted-set", CATEGORY_SORTEDSET)                                          \
	ROW(hyperloglog, "hyperloglog", CATEGORY_HYPERLOGLOG)                                      \
	ROW(geo, "geo", CATEGORY_GEO)                                                              \
	ROW(connection, "connection", CATEGORY_CONNECTION)                                         \
	ROW(transactions, "transactions", CATEGORY_TRANSACTION)                                    \
	ROW(server, "server", 0)

enum command_category_bit {
#define ROW(symbol, text) CATEGORY_BIT_##symbol,
	COMMAND_CATEGORIES(ROW)
#undef ROW
		CATEGORY_COUNT
};

enum command_category {
#define ROW(symbol, text) CATEGORY_##symbol = 1 << CATEGORY_BIT_##symbol,
	COMMAND_CATEGORIES(ROW)
#undef ROW
};

enum command_group {
	GROUP_PARENT, /* a subcommand: its parent's */
#define ROW(symbol, text, category) GROUP_##symbol,
	COMMAND_GROUPS(ROW)
#undef ROW
		GROUP_COUNT
};

/* The columns of command.def as they are. */
struct command_info {
	uint8_t group; /* enum command_group */
	const char *since;
	uint32_t categories; /* enum command_category, the explicit ones */
	const char *keys;
	const char *tips;
};

/* Indexed by enum command_id. */
extern const struct command_info command_info_table[CMD_COUNT];

/* The name of a command's group. */
const char *command_group_name(const struct command *cmd);

/* All categories of a command: from flags, group and the row itself. */
uint32_t command_categories(const struct command *cmd);

/* True when rows of subcommands follow. */
static inline bool command_has_subcommands(const struct command *cmd)
{
	return cmd->id + 1 < CMD_COUNT && cmd[1].parent == cmd;
}

/* Finds "get" or "client|id" in any case; NULL when there is none. */
const struct command *command_find_full(struct slice name);

/* The row that a request means, be its arity right or not; NULL when there is none. argc >= 1. */
static inline const struct command *command_lookup(const struct slice *argv, uint32_t argc)
{
	const struct command *cmd = command_find(argv[0]);

	if (!cmd || argc == 1 || !command_has_subcommands(cmd))
		return cmd;
	return command_find_sub(cmd, argv[1]);
}

#endif
