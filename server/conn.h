/*
 * Connections.
 *
 * A connection lives on one worker, from adoption to close; no other thread touches it.
 *
 * In: libuv's callback appends to the read block and puts the connection on the worker's ready
 * list, nothing else. server/serve.c cuts requests off in the tick.
 *
 * Out: replies stand in `out`, in the order of the requests, until conn_write.c sends them.
 *
 * Waiting: `wait` has a bit for each reason why no further request may be run now. Requests stay in
 * the read block meanwhile, and nothing more is read once there are too many (conn_in_max() in
 * conn.c).
 *
 * Closing: conn_close() closes the handle at once; the memory goes when the handle is closed and
 * the unanswered operation is over.
 */
#ifndef SERVER_CONN_H
#define SERVER_CONN_H

#include "proto/reply.h"
#include "proto/resp.h"
#include "server/log.h"
#include "server/op.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* A read block: what one read may bring. Only touched pages cost memory. */
#define READ_BLOCK_BYTES (16 * 1024)
/* Blocks a worker keeps for reuse. */
#define READ_BLOCKS_KEPT 64
/* With less room than this behind a request that is not whole, a larger block is taken. */
#define READ_ROOM_MIN (4 * 1024)
/* Replies waiting to be sent; above (or above client-output-buffer-limit, where that is more), the
 * connection's requests wait until it reads. */
#define CONN_OUT_MAX (1024 * 1024)
/* Requests received and not run while the connection waits for the server (not for its own reading);
 * above, nothing more is read. */
#define CONN_IN_MAX (1024 * 1024)

/* The same while it waits for the client to read its replies: a client that sends a long pipeline before it
 * reads anything must not be stuck, but may not make us keep everything either. */
#define CONN_IN_MAX_UNREAD (32 * 1024 * 1024)
/*
 * Both for who has not given the password yet: any request that it may send, and the replies to a
 * few.
 */
#define CONN_IN_MAX_STRANGER  (256 * 1024)
#define CONN_OUT_MAX_STRANGER (16 * 1024)

enum conn_wait {
	WAIT_ANSWER = 1,  /* until its operation is answered */
	WAIT_OUTPUT = 2,  /* until it has read its replies */
	WAIT_PAUSE = 4,   /* CLIENT PAUSE */
	WAIT_BLOCKED = 8, /* a blocking command */
	WAIT_TURN = 16,   /* for the next tick: a slot was held, or it was resumed */
	WAIT_GATE = 32,   /* until what its replies tell of is journaled (gate.h) */
};

/* What may last as long as other clients like: who hangs up meanwhile doesn't want it any more. */
#define WAIT_FOR_OTHERS (WAIT_PAUSE | WAIT_BLOCKED)

enum conn_flag {
	CONN_READY = 1,           /* on the ready list */
	CONN_FLUSH = 2,           /* on the flush list */
	CONN_CLOSE_AFTER = 4,     /* close when all replies are sent */
	CONN_CLOSING = 8,         /* uv_close has been called */
	CONN_CLOSED = 16,         /* ... and has called back */
	CONN_AUTHENTICATED = 32,
	CONN_REPLY_OFF = 64,      /* CLIENT REPLY OFF */
	CONN_REPLY_SKIP = 128,    /* ... SKIP: for the request being run */
	CONN_REPLY_SKIP_NEXT = 256,
	CONN_NO_EVICT = 512,
	CONN_NO_TOUCH = 1024,
	CONN_UNIX = 2048,
	CONN_EOF = 4096,          /* the client has sent all it will send */
	CONN_READING = 8192,
	CONN_PAUSED_LIST = 16384, /* on the worker's list of paused ones */
	CONN_GATE_AGAIN = 32768,  /* has got an answer while it was at the gate */
};

struct conn_link {
	struct conn *prev, *next;
};

struct blocked;
struct multi;
struct watch_set;

/* What is being sent when the socket did not take all at once. */
struct conn_write;

struct conn {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	};
	struct worker *worker;
	uint64_t id;
	uint32_t flags; /* enum conn_flag */
	uint32_t db;
	uint8_t resp;
	uint8_t wait; /* enum conn_wait */
	/* in */
	struct read_block *block;
	uint32_t at; /* the next byte to parse in it */
	struct resp_parser parser;
	struct multi *multi;        /* the transaction that is being queued or run; NULL without */
	struct watch_set *watching; /* the keys it watches; NULL without */
	/* out */
	struct op *op; /* the request that isn't answered yet; NULL without */
	struct blocked *blocked; /* the blocking command in which it waits; NULL without */
	struct reply out;
	struct conn_write *writing;
	size_t writing_bytes;
	int64_t soft_limit_since; /* ms since the soft output limit is passed, 0 = it isn't */
	/* for CLIENT LIST and timeouts */
	int64_t created_ms;
	int64_t active_ms; /* when it last sent a request, or took some of a reply */
	const struct command *last_cmd;
	char *name; /* heap, terminated; NULL without */
	char *lib_name;
	char *lib_ver;
	struct sockaddr_in6 peer, local; /* an IPv4 address is kept as struct sockaddr_in in it */
	uint64_t bytes_in, bytes_out, commands;
	struct conn_link all;
	struct conn *ready_next, *flush_next, *paused_next;
};

/* A socket on its way from the acceptor to its worker. */
struct arrival {
	uint64_t id; /* in the order of accept */
	int fd;
	bool is_unix;
} __attribute__((aligned(16)));

/*
 * Logs what happens to it, with its address and id; nothing of that is made when the level isn't
 * wanted.
 */
void conn_log(const struct conn *conn, enum log_level level, const char *what);

/* Takes over the socket, starts reading. Closes the socket when that fails. Its worker's thread. */
void conn_adopt(struct worker *worker, const struct arrival *arrival);

/* Closes now; replies that were not sent are lost. Idempotent. */
void conn_close(struct conn *conn);

/* There is no password now. */
bool conn_needs_no_password(const struct conn *conn);

/* It gave the password, or there was none when it came, or there is none now. */
static inline bool conn_authenticated(const struct conn *conn)
{
	return (conn->flags & CONN_AUTHENTICATED) || conn_needs_no_password(conn);
}

/*
 * The client will send no more: true when it waits for what others do, and needs it no longer.
 * False when it waits for nothing of that kind, or the answer is on its way (blocked.h).
 */
bool conn_give_up(struct conn *conn);

/* Closes when everything is answered and sent; runs no further request. */
void conn_close_after(struct conn *conn);

/* Changes the protocol version of all replies from now on. */
void conn_set_resp(struct conn *conn, uint8_t resp);

/* Bytes of replies that have not been sent. */
static inline size_t conn_out_bytes(const struct conn *conn)
{
	return conn->writing_bytes + reply_size(&conn->out);
}

/* Bytes received and not yet run. */
static inline uint32_t conn_in_bytes(const struct conn *conn)
{
	return conn->block ? conn->block->filled - conn->at : 0;
}

/* Above so many bytes of replies its requests wait; any limit is above CONN_OUT_MAX_STRANGER. */
size_t conn_out_max(const struct conn *conn);

/* Puts it on the ready list: its requests are looked at in the next tick, or in this one. */
void conn_ready(struct conn *conn);
/* The same, but not before the next tick. */
void conn_ready_later(struct conn *conn);

/*
 * Frees it when it is closed and nothing refers to it any more: called by whoever takes it off a
 * list.
 */
void conn_release(struct conn *conn);

/* Puts it on the flush list of this tick. */
void conn_flush_later(struct conn *conn);

/* The connection's operation is over: its reply is put out, its requests go on. May free conn. */
void conn_answer(struct conn *conn);
/* The two halves of it: */
void conn_take_answer(struct conn *conn);
void conn_go_on(struct conn *conn);

/* Sets a reason to wait. */
static inline void conn_wait(struct conn *conn, enum conn_wait reason)
{
	conn->wait |= (uint8_t)reason;
}
/*
 * The reason is gone: if it was the last one, the connection has its turn in the next tick, or in
 * this one.
 */
void conn_resume(struct conn *conn, enum conn_wait reason);

/* Stops or goes on reading from the socket, by what it has waiting. */
void conn_update_reading(struct conn *conn);

/* Sends what it can; step 6 of the tick. May close. */
void conn_flush(struct conn *conn);

/* Whether the client has taken some of what it is being sent since this was asked last. */
bool conn_has_sent(struct conn *conn);

/* Lets the read block go when everything in it has been run: an idle connection has none. */
void conn_drop_block(struct conn *conn);

/* Drops a reference of a read block. */
void read_block_unref(struct worker *worker, struct read_block *block);

/* "127.0.0.1:6379", "[::1]:6379" or the Unix socket's "path:0"; out has CONN_ADDRESS_MAX bytes. */
#define CONN_ADDRESS_MAX 128
void conn_peer_text(const struct conn *conn, char *out);
void conn_local_text(const struct conn *conn, char *out);

/* An IPv4 or IPv6 address of this machine's loopback interface. Any thread. */
bool address_is_loopback(const struct sockaddr *address);

/* From this machine: by the Unix socket or a loopback address. */
bool conn_is_local(const struct conn *conn);

#endif
