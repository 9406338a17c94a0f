/*
 * Operations: requests that are not answered on the spot.
 *
 * A connection's worker makes an op when a request takes longer than its turn: gathered from all
 * workers, worked on slice by slice, blocked. It holds all that the request needs: the arguments
 * stay in the connection's read block, of which it holds a reference. A connection has one op at
 * most and runs nothing until it is answered; its memory outlives the op.
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
struct pending;
struct worker;

/* A request, as it is run. */
struct request {
	const struct command *cmd;
	const struct slice *argv;
	uint32_t argc;
	uint32_t db;
	uint8_t resp;
	bool no_touch;  /* CLIENT NO-TOUCH */
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

/*
 * Makes an op of a request that is being run: its connection waits for the answer, and the op has a
 * reference of its read block, and its scratch.
 */
struct op *op_begin(struct pending *p);

/* As if it had never been: the request is run on the spot, or later. */
void op_undo(struct pending *p);

/*
 * For handlers that need the connection: the request being run is answered later. Returns its op;
 * the connection runs nothing until op_answer(). What the handler has written to its reply is
 * dropped.
 */
struct op *op_detach(struct conn *conn);

/* The op's reply is written: notes what it took, and hands it to its connection. */
void op_answer(struct worker *worker, struct op *op);

/* Gives back everything it holds. */
void op_free(struct op *op);

#endif
