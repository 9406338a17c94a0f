/*
 * Operations: requests that are not answered on the spot.
 *
 * A connection's worker makes an op when a request takes longer than its turn: gathered from all workers,
 * worked on slice by slice, blocked. It holds all that the request needs: the arguments stay in the
 * connection's read block, of which it holds a reference. A connection has one op at most and runs
 * nothing until it is answered; its memory outlives the op.
 *
 * The connection's worker only.
 */
#ifndef SERVER_OP_H
#define SERVER_OP_H

#include "proto/resp.h"
#include "shard/ctx.h"

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct worker;

/* A request, as it is run. */
struct request {
	const struct command *cmd;
	const struct slice *argv;
	uint32_t argc;
	uint32_t db;
	uint8_t resp;
	bool no_touch; /* CLIENT NO-TOUCH */
	struct key key; /* key 0, prepared; name.ptr NULL without */
};

/*
 * Bytes received: requests, and arguments of operations under way. Never moves. Its references are
 * counted by its worker alone.
 */
struct read_block {
	struct read_block *next; /* in the worker's pool */
	uint32_t refs;
	uint32_t filled;
	size_t size;
	char bytes[];
};

struct op {
	struct request request;
	struct conn *conn;
	struct reply reply; /* to be written before it is answered */
	uint64_t cycles;    /* what running it has taken */
	bool mute;          /* CLIENT REPLY OFF or SKIP: the reply is dropped */
	struct read_block *block;
	char *scratch;
	struct slice args[]; /* request.argv */
};

/* Makes an op of the connection's request; takes a reference of its read block, and the scratch. */
struct op *op_new(struct conn *conn, const struct request *request, char *scratch);

/* Gives back everything it holds. */
void op_free(struct op *op);

#endif
