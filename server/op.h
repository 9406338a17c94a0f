/*
 * Operations: requests that are not answered on the spot.
 *
 * An op is made by a connection's worker (its origin) when the request has to be run elsewhere or later:
 * sent to the slot's owner, queued behind a loan, run as a transaction, gathered from all workers, or
 * worked on slice by slice. It holds all that the request needs: the arguments stay in the origin's read
 * block, of which it holds a reference. It travels to the owner, is run there, and comes back with the
 * reply's bytes; only the origin makes and frees it.
 *
 * Ownership moves with the mail: whoever has been sent the op may touch it, nobody else, but for the
 * fields marked (origin), which stay the origin's.
 *
 * An op stands in its connection's queue of unanswered requests until its reply is put out, in the
 * order of the requests. The connection's memory outlives all of its ops.
 */
#ifndef SERVER_OP_H
#define SERVER_OP_H

#include "proto/resp.h"
#include "shard/ctx.h"

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct worker;
struct txn;

/* Arguments that fit an op itself: SET with an option. */
#define OP_ARGS_INLINE 5
/* Replies up to this length travel inside the op. */
#define OP_REPLY_INLINE 56
/* Replies behind an op, up to this length, stand in it: some "+OK"s. */
#define OP_AFTER_INLINE 40
/* Ops a worker keeps for reuse. */
#define OPS_KEPT 4096

/* A request, as it is run: by its connection's worker at once, or as part of an op. */
struct request {
	const struct command *cmd;
	const struct slice *argv;
	uint32_t argc;
	uint32_t db;
	uint8_t resp;
	bool no_touch; /* CLIENT NO-TOUCH */
	bool local;    /* run or read here: not sent away */
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
	struct worker *origin;
	uint64_t cycles; /* what running it took */
	uint32_t reply_len;
	bool reply_big;     /* the reply is in `big`, else reply_len bytes in `small` */
	bool answered;      /* (origin) */
	bool mute;          /* (origin) CLIENT REPLY OFF or SKIP: the reply is dropped */
	char small[OP_REPLY_INLINE];
	struct slice args_inline[OP_ARGS_INLINE];
	struct reply big;
	struct op *next;    /* (origin) in the connection's queue, or the pool */
	struct reply after; /* (origin) replies of later requests that must wait behind this one */
	char after_inline[OP_AFTER_INLINE];
	struct read_block *block; /* (origin) */
	char *scratch;            /* (origin) */
	struct slice *args_heap;  /* (origin) */
	struct txn *txn;          /* (origin) */
} __attribute__((aligned(64)));

/* Makes an op of a request; takes a reference of the connection's read block, and the scratch. */
struct op *op_new(struct worker *worker, struct conn *conn, const struct request *request,
		  char *scratch);

/* Origin's worker. Gives back everything it holds. */
void op_free(struct worker *worker, struct op *op);

/* Moves a reply into the op: bytes inside when they fit. Leaves `reply` empty. */
void op_set_reply(struct op *op, struct reply *reply);

/* Appends the op's reply to `out` and leaves the op without. */
void op_take_reply(struct op *op, struct reply *out);

#endif
