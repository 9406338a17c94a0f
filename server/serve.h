/*
 * The request path: from bytes to requests that run.
 *
 * In each tick the ready connections' bytes are cut into requests, in batches (design 4.4). Each is
 * admitted (admit.h), queued when its connection is in a transaction (multi.h), or else run
 * (run.h).
 *
 * The worker's thread, in its tick, RCU online.
 */
#ifndef SERVER_SERVE_H
#define SERVER_SERVE_H

#include "server/worker.h"

/* Runs the requests of all ready connections. */
void serve_ready(struct worker *worker);

#endif
