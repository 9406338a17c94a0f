/*
 * Asking every worker: a function is run on each of them, by mail, and the results are put together
 * on the worker that asked. CLIENT LIST and KILL, CONFIG RESETSTAT, SLOWLOG GET work so: nobody
 * looks at another worker's connections.
 *
 *	struct gather *g = gather_new(conn, sizeof(struct my_args), run, finish);
 *	*(struct my_args *)g->args = ...;
 *	gather_start(g);
 *
 * `run` is called once on each worker's thread, in its tick, with its part; it reads g->args and
 * fills in the part. `finish` is called on the origin when all parts are back; it writes the reply,
 * even when the connection has gone meanwhile (it must not look at it).
 */
#ifndef SERVER_GATHER_H
#define SERVER_GATHER_H

#include "server/worker.h"

struct gather;

struct gather_part {
	struct gather *gather;
	int64_t number;     /* run's result, as it likes; 0 at first */
	struct reply reply; /* likewise: bytes; empty at first; in the gather's RESP version */
} __attribute__((aligned(16)));

struct gather {
	struct op *op;
	struct worker *origin;
	void (*run)(struct worker *worker, struct gather_part *part);
	void (*finish)(struct gather *gather, struct reply *reply);
	uint32_t awaited;
	uint32_t part_count;
	size_t args_bytes;
	void *args; /* zeroed; constant once started; freed with the gather */
	struct gather_part parts[];
};

/* Detaches the request that `conn` is running and makes a gather of it. */
struct gather *gather_new(struct conn *conn, size_t args_bytes,
			  void (*run)(struct worker *worker, struct gather_part *part),
			  void (*finish)(struct gather *gather, struct reply *reply));

void gather_start(struct gather *gather);

/* The mail's business (serve.c). */
void gather_run(struct worker *worker, struct gather_part *part);
void gather_returned(struct worker *worker, struct gather_part *part);

#endif
