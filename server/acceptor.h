/*
 * The acceptor: listening sockets on the main loop; what they accept is mailed to the worker with
 * the fewest connections.
 *
 * uv_poll tells when a socket has connections; up to ACCEPT_BATCH of them are accepted with accept4
 * at a time. Refused with Redis' error texts: clients over maxclients; clients from elsewhere in
 * protected mode. Who comes while maxclients are connected waits FULL_WAIT_MS for an answer: the
 * workers may not have seen yet that another has gone. When file descriptors run out, accepting
 * pauses (the log says so once) and goes on at the next timer.
 *
 * Main thread only, but for acceptor_raise_fd_limit().
 */
#ifndef SERVER_ACCEPTOR_H
#define SERVER_ACCEPTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct server;
struct acceptor;

/* Connections accepted at one wake-up: others than new clients want the main loop too. */
#define ACCEPT_BATCH 64
/* Addresses in `bind`, and the Unix socket. */
#define LISTENERS_MAX 17
/* A Unix socket's path and its end: more the system doesn't take. */
#define UNIX_PATH_MAX 108
/* How long accepting pauses when there are no file descriptors left. */
#define ACCEPT_PAUSE_MS 100
/* Who comes when all places are taken waits so long before it is refused, and so many may wait. */
#define FULL_WAIT_MS 10
#define FULL_WAIT_MAX 64
/*
 * Descriptors that are not for clients: listeners, the log, the data directory and what is looked
 * at there.
 */
#define RESERVED_FDS 48
/*
 * ... and of each worker: its loop and mailbox (5), its journal, the ones before and after, its
 * part of a snapshot.
 */
#define RESERVED_FDS_WORKER 10

struct listener {
	uv_poll_t poll;
	struct acceptor *acceptor;
	int fd;
	bool is_unix;
};

struct acceptor {
	struct server *server;
	struct listener listeners[LISTENERS_MAX];
	unsigned count;
	uv_timer_t resume;
	bool paused;      /* out of descriptors */
	bool pause_said;  /* ... and the log says so */
	char unix_path[UNIX_PATH_MAX];
	uv_timer_t full;  /* runs while somebody waits for a place */
	struct waiting_client {
		int fd;
		bool is_unix;
	} waiting[FULL_WAIT_MAX];
	unsigned waiting_count;
};

/* Opens and binds all sockets, starts polling. 0, or -1 when one can't be had (logged). */
int acceptor_start(struct acceptor *acceptor, struct server *server);

/* Closes all sockets; removes the Unix socket's file. The handles close with the loop. */
void acceptor_stop(struct acceptor *acceptor);

/*
 * Raises the limit of file descriptors for so many clients and workers; returns how many clients it
 * is enough for.
 */
int64_t acceptor_raise_fd_limit(int64_t clients, uint32_t workers);

#endif
