/*
 * Requests out of a byte stream: RESP arrays of bulk strings, and inline commands.
 *
 * resp_parse() is handed the bytes received so far from the start of a request and cuts one request
 * off their front. Between calls the parser keeps nothing but how far a request that has not
 * arrived whole was understood, so that a million arguments in small pieces, or one huge argument,
 * cost what they cost in one. The caller may move the bytes between calls, not change or drop them.
 *
 * Arguments are slices into the caller's bytes. Only an inline request with quotes or escapes needs
 * memory of its own for the unescaped arguments: that is `scratch`.
 *
 * The limits and error texts are Redis' (networking.c's behaviour as seen on the wire).
 */
#ifndef PROTO_RESP_H
#define PROTO_RESP_H

#include "proto/slice.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * A header line "*N" or "$N" and an inline request may take so many bytes in front of their end:
 * Redis' PROTO_INLINE_MAX_SIZE, whatever the pieces that they arrive in.
 */
#define RESP_INLINE_MAX (64 * 1024)
/* Arguments of one request: as in Redis, what fits an int. */
#define RESP_ARGS_MAX INT32_MAX
/* Before AUTH a stranger may not make us hold much: Redis' limits. */
#define RESP_ARGS_MAX_UNAUTHENTICATED 10
#define RESP_BULK_MAX_UNAUTHENTICATED 16384

enum resp_result {
	RESP_REQUEST, /* one request; no arguments for an empty one ("\r\n", "*0\r\n", "*-1\r\n") */
	RESP_MORE,    /* not whole yet */
	RESP_ERROR,   /* a protocol error: answer `error`, then close the connection */
};

/* The arguments of a request, growing as needed. Zeroed = empty. */
struct args {
	struct slice *v;
	uint32_t count;
	uint32_t cap;
};

/* One for each connection; zeroed at its start. Owns no memory. */
struct resp_parser {
	size_t at;     /* of a request that is not whole: its bytes up to here are understood, */
	uint32_t left; /* and so many arguments come from there on; 0: parse from the start */
};

struct resp_limits {
	size_t bulk_max;    /* proto-max-bulk-len */
	bool authenticated; /* false: the limits for strangers hold */
};

struct resp_request {
	size_t used;       /* RESP_REQUEST: bytes that the request took */
	size_t need;       /* RESP_MORE: the answer stays the same until so many bytes are there, from
			    * the request's start on; no promise that they will do */
	char *scratch;     /* owner: caller, mem_free_unsized(); NULL nearly always */
	const char *error; /* RESP_ERROR: the reply's text without '-' and line end; static, or in
			    * `text`; reply_error() replaces a line end within it */
	char text[64];
};

/*
 * Cuts one request off the front of buf[0..len). Its arguments are *appended* to `args`
 * (args->count grows by the number of arguments; nothing is appended unless RESP_REQUEST). Slices
 * in `args` stay valid as long as `buf` and `request->scratch` do; args->v may be reallocated.
 * The result does not depend on the pieces in which the bytes came. Because AUTH changes the
 * limits, what is an error of a stranger's may be none once the requests before it are executed: it
 * is to be cut again then.
 *
 * A straight small request takes some 5 ns an argument.
 *
 * Errors (RESP_ERROR), as Redis words them: "ERR Protocol error: invalid multibulk length",
 * "... invalid bulk length", "... expected '$', got 'x'", "... too big mbulk count string",
 * "... too big bulk count string", "... too big inline request", "... unbalanced quotes in
 * request", "... unauthenticated multibulk length", "... unauthenticated bulk length".
 */
enum resp_result resp_parse(struct resp_parser *parser, const struct resp_limits *limits,
			    const char *buf, size_t len, struct args *args,
			    struct resp_request *request);

/* Forgets a request that is not whole. */
void resp_parser_deinit(struct resp_parser *parser);

void args_deinit(struct args *args);

/* Appends one slice. */
void args_push(struct args *args, struct slice arg);

/*
 * Splits a line into words by the rules of inline requests and of configuration files: "..." with
 * \n \r \t \b \a \xHH and \c escapes, '...' with \' only; a closing quote must be followed by a
 * space or the end. The line ends at a zero byte. Appends slices into *scratch (mem_free_unsized by
 * the caller; NULL for an empty line). False when the quotes don't balance (nothing appended,
 * *scratch NULL).
 */
bool args_split(const char *line, size_t len, struct args *args, char **scratch);

#endif
