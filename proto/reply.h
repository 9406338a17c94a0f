/*
 * Replies: bytes on their way to a client.
 *
 * A `struct reply` is a growing buffer with the verbs of RESP2 and RESP3; where the two differ the
 * verb looks at `resp` and writes what that client understands. Command handlers know nothing else
 * of a client.
 *
 * Large values are not copied: reply_pin() notes "here, at this place in the buffer, these bytes
 * belong", with the function that lets them go. Everything else that has to be put into the stream
 * later (the reply of an operation that is still under way) is the business of the connection,
 * which remembers places (offsets) of its own.
 *
 * A reader under RCU may have to take back what it wrote: reply_mark() and reply_rollback().
 *
 * One thread at a time: that which holds it.
 */
#ifndef PROTO_REPLY_H
#define PROTO_REPLY_H

#include "proto/slice.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

/* From this size on a value is pinned in place, when it can be, rather than copied. */
#define REPLY_PIN_MIN (16 * 1024)

struct reply_pin {
	size_t at; /* offset in buf that these bytes stand before */
	struct slice bytes;
	void (*release)(void *owner);
	void *owner;
};

struct reply {
	char *buf;
	size_t len;
	size_t cap;
	struct reply_pin *pins; /* in order of `at`; NULL without any */
	uint32_t pin_count;
	uint32_t pin_cap;
	uint32_t errors;   /* error replies written so far */
	uint32_t later;    /* headers reserved and not filled in yet: the bytes can't go as they are */
	uint8_t resp;      /* 2 or 3 */
	bool borrowed;     /* buf is somebody else's and is not freed */
	char code[24];     /* the first word of the last error ("ERR", "WRONGTYPE"), terminated;
			    * also of one taken back by reply_rollback(): look at `errors` first */
};

/* An empty reply that owns no memory yet. */
void reply_init(struct reply *r, uint8_t resp);

/* The same, beginning in `storage`, which outlives it; grows out of it when it must. */
void reply_init_in(struct reply *r, uint8_t resp, char *storage, size_t size);

/* Frees the buffer and releases all pins. */
void reply_deinit(struct reply *r);

/* Forgets the content, releases all pins, keeps a buffer of up to `keep` bytes. */
void reply_reset(struct reply *r, size_t keep);

struct reply_mark {
	size_t len;
	uint32_t pin_count;
	uint32_t errors;
	uint32_t later;
};
static inline struct reply_mark reply_mark(const struct reply *r)
{
	return (struct reply_mark){r->len, r->pin_count, r->errors, r->later};
}
/* Takes back everything written since the mark, pins too. */
void reply_rollback(struct reply *r, struct reply_mark mark);

/* Room for `n` more bytes; returns where they go. The caller writes them and adds n to r->len. */
char *reply_grow(struct reply *r, size_t n);
static inline char *reply_room(struct reply *r, size_t n)
{
	return r->cap - r->len >= n ? r->buf + r->len : reply_grow(r, n);
}

/* Bytes as they are. */
void reply_raw(struct reply *r, const char *bytes, size_t len);

/* All bytes, pins included. */
static inline size_t reply_size(const struct reply *r)
{
	size_t size = r->len;

	for (uint32_t i = 0; i < r->pin_count; i++)
		size += r->pins[i].bytes.len;
	return size;
}

/*
 * So that a large reply isn't copied as it grows: when there are REPLY_SEAL_MIN bytes or more, the
 * buffer becomes a pinned piece of the reply, and a new one is begun. Marks and reserved headers
 * before this are void: only between whole elements.
 */
#define REPLY_SEAL_MIN (64 * 1024)
void reply_seal_full(struct reply *r);
static inline void reply_seal(struct reply *r)
{
	if (r->len >= REPLY_SEAL_MIN)
		reply_seal_full(r);
}

/* Moves everything of `src` to the end of `dst`; `src` is empty afterwards. */
void reply_move(struct reply *dst, struct reply *src);

/* +text */
void reply_status(struct reply *r, const char *text);
void reply_ok(struct reply *r);
/* -text: `text` with its code ("ERR no such key"). Line ends become spaces, at its end they go. */
void reply_error(struct reply *r, const char *text);
void reply_errorf(struct reply *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_int(struct reply *r, int64_t n);
/* $len bytes */
void reply_bulk(struct reply *r, const char *bytes, size_t len);
static inline void reply_bulk_slice(struct reply *r, struct slice s)
{
	reply_bulk(r, s.ptr, s.len);
}
void reply_bulk_text(struct reply *r, const char *text);
void reply_bulkf(struct reply *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_bulk_int(struct reply *r, int64_t n);
/* $len, bytes by reference: `release(owner)` is called once they are sent, dropped, rolled back. */
void reply_bulk_pin(struct reply *r, struct slice bytes, void (*release)(void *owner), void *owner);
/* Nothing: $-1 or _ */
void reply_null(struct reply *r);
/* No array: *-1 or _ */
void reply_null_array(struct reply *r);
/* Headers. RESP2: a map is an array of 2n, a set and a push are arrays. */
void reply_array(struct reply *r, size_t n);
void reply_map(struct reply *r, size_t n);
void reply_set(struct reply *r, size_t n);
void reply_push(struct reply *r, size_t n);
void reply_attribute(struct reply *r, size_t n); /* RESP3 only */
/* Scores: ,1.5 or a bulk string, 17 significant digits, "inf" */
void reply_double(struct reply *r, double d);
/* A double as a decimal without exponent (INCRBYFLOAT and the like): bulk string in both. */
void reply_bulk_long_double(struct reply *r, long double d);
/* The same as a double in RESP3 (coordinates). */
void reply_long_double(struct reply *r, long double d);
/* #t or :1 */
void reply_bool(struct reply *r, bool b);
/* (123 or a bulk string */
void reply_big_number(struct reply *r, struct slice digits);
/* =len, txt:... or a bulk string; `format` has three letters */
void reply_verbatim(struct reply *r, const char *format, struct slice text);

/*
 * A header whose count is known only after its elements: reply_later() reserves, one of the
 * reply_*_at() fills in (moving what came after when there are ten or more). They nest: the inner
 * one is filled in first.
 */
size_t reply_later(struct reply *r);
void reply_array_at(struct reply *r, size_t at, size_t n);
void reply_map_at(struct reply *r, size_t at, size_t n);
void reply_set_at(struct reply *r, size_t at, size_t n);

/* The errors that many commands share. */
/*
 * What a client sent and an error says again: the arguments of "%.*s". Cut, for it may have
 * gigabytes and no error is to be longer than what people read.
 */
#define ERROR_ECHO_MAX 4096
#define ERROR_ECHO(s) (int)((s).len < ERROR_ECHO_MAX ? (s).len : ERROR_ECHO_MAX), (s).ptr

extern const char error_syntax[];       /* "ERR syntax error" */
extern const char error_wrong_type[];   /* "WRONGTYPE Operation against a key holding ..." */
extern const char error_no_key[];       /* "ERR no such key" */
extern const char error_not_integer[];  /* "ERR value is not an integer or out of range" */
extern const char error_not_float[];    /* "ERR value is not a valid float" */
extern const char error_range[];        /* "ERR index out of range" */
extern const char error_same_object[];  /* "ERR source and destination objects are the same" */
extern const char error_string_max[];   /* "ERR string exceeds maximum allowed size ..." */

#endif
