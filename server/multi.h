/*
 * Transactions: MULTI EXEC DISCARD WATCH UNWATCH.
 *
 * After MULTI requests are admitted as always, but queued instead of run: copied, their keys
 * prepared. One that is refused breaks the transaction: EXEC will say so and run nothing.
 *
 * EXEC holds the slots of all queued commands' keys and of all watched keys (hold.h), finds out
 * whether a watched key has changed (watch.h), runs the commands in a row at one moment of the
 * clock, and releases the slots: nobody sees half of it. Commands that look at the whole keyspace
 * (FLUSHALL, SCAN, KEYS) hold every slot. A transaction that only reads holds nothing: it is read
 * like MGET, by noting the seqs of all slots before and comparing them after.
 *
 * A queued command that asks other workers (CLIENT LIST, SLOWLOG GET), or takes turns (long_run.h),
 * suspends EXEC in the middle: its slots stay held until the answer is there and the rest has run,
 * and no reply is sent meanwhile. Others who want those slots come back tick after tick; whoever
 * has to answer does so without holding any. From the first command on EXEC runs to its end, even
 * when its connection has gone.
 *
 * The watches of a connection that doesn't need them any more are taken out of their slots at once
 * where these are free; what is left is kept in a list of the worker and tried again in each tick.
 *
 * The connection's worker only.
 */
#ifndef SERVER_MULTI_H
#define SERVER_MULTI_H

#include "server/conn.h"
#include "shard/hold.h"
#include "shard/watch.h"

/* One request of a transaction, with a copy of its arguments behind it. */
struct queued {
	struct queued *next;
	struct request request;
	const struct key *keys; /* all of them, prepared; &request.key when that is the only one */
	uint32_t key_count;
	size_t bytes;    /* of this allocation */
	uint64_t cycles; /* what it took to read under RCU */
	struct slice args[];
};

struct multi {
	/* the queue */
	struct queued *first, **last;
	uint32_t count;
	uint32_t key_count; /* of all commands */
	uint32_t flags;     /* enum command_flag: those that any of the commands has */
	struct unit_put_by unit; /* while a command waits for its answer */
	size_t args_bytes;  /* of the arguments alone, as CLIENT LIST counts them */
	size_t bytes;       /* of all that is held for the queue */
	bool broken;        /* a request was refused: EXEC will not run */
	bool needs_all;     /* a command looks at the whole keyspace */
	bool only_reads;    /* all commands are reads of keys */
	bool flushes;       /* one is FLUSHALL or FLUSHDB */
	/* EXEC */
	bool running; /* its slots are held */
	bool stored;
	struct ready_list ready; /* what others wait for: served at the end */
	struct slot **slots; /* each once, in rising order; NULL before EXEC */
	uint32_t slot_count;
	uint32_t slot_room;
	struct queued *at; /* the next to be run */
	int64_t now;       /* its moment */
	uint64_t started;  /* clock_cycles() when it began, or went on */
	uint64_t spent;    /* cycles before that */
};

/* In a transaction: whether the request is to be queued rather than run. */
bool multi_takes(const struct command *cmd);

/* Queues the request and replies so. */
void multi_queue(struct conn *conn, const struct request *request, struct reply *reply);

/*
 * A request (its row, NULL if there is none) has been refused, the error stands behind the mark:
 * that breaks a transaction, and an EXEC that was refused has ended it, and says so instead.
 */
void multi_refused(struct conn *conn, const struct command *cmd, struct reply *reply,
		   struct reply_mark mark);

/* Forgets the transaction and the watches: DISCARD, RESET, the connection closes. Idempotent. */
void multi_discard(struct conn *conn);

/* True while EXEC waits for an answer with its slots held. */
static inline bool multi_running(const struct conn *conn)
{
	return conn->multi && conn->multi->running;
}

/* The answer to EXEC's command has come (its op is the connection's): EXEC goes on. */
void multi_answered(struct conn *conn);

/*
 * What CLIENT PAUSE looks at: the flags of the request's row, for EXEC those of the queue as well.
 */
static inline uint32_t multi_flags(const struct conn *conn, const struct command *cmd)
{
	if (!cmd)
		return 0;
	return cmd->flags | (cmd->id == CMD_exec && conn->multi ? conn->multi->flags : 0);
}

/* Bytes kept for the connection: queued requests, watched keys. */
static inline size_t multi_bytes(const struct conn *conn)
{
	return (conn->multi ? conn->multi->bytes : 0) +
	       (conn->watching ? conn->watching->bytes : 0);
}

/* Goes on taking out the watches of connections that don't need them any more. Once a tick. */
void multi_unwatch_step(struct worker *worker);

#endif
