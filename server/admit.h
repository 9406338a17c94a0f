/*
 * Admission: what is refused before it is run, whoever would run it.
 *
 * In this order, which clients see: HTTP ends the connection; DEBUG where it may not be run; a
 * command that there isn't, or with the wrong number of arguments; no password given (NOAUTH); not
 * in a transaction; what may need memory while more than maxmemory is used (OOM); writes while the
 * disk gives trouble (MISCONF); a keyspace that is being loaded (LOADING).
 *
 * The worker's thread.
 */
#ifndef SERVER_ADMIT_H
#define SERVER_ADMIT_H

#include "server/worker.h"

/*
 * Whether the request may be run. If not, the error is replied behind the mark (the end of
 * conn->out) and counted, and a transaction that is being queued is broken by it.
 */
bool admit(struct worker *worker, struct conn *conn, const struct request *request,
	   const struct reply_mark *mark);

#endif
