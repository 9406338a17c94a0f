/*
 * What it costs to cut a pipelined request out of the stream, to turn its key into a slot and to
 * write its reply: ns/op, the best of several rounds, one line each.
 */
#include "proto/crc16.h"
#include "proto/mem.h"
#include "proto/reply.h"
#include "proto/resp.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#define PIPELINE 64
#define BATCHES  20000
#define ROUNDS   7

static volatile uint64_t sink; /* results go here, so that none is optimised away */

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

/* What a row measures: one batch of PIPELINE operations. */
struct batch {
	struct slice stream; /* PIPELINE requests */
	struct args args;
	struct reply reply;
	const char *value;
	size_t value_len;
};

static void batch_parse(struct batch *b)
{
	const struct resp_limits limits = {512 * 1024 * 1024, true};
	struct resp_parser parser = {0};
	struct resp_request request;
	size_t at = 0;

	b->args.count = 0;
	while (at < b->stream.len) {
		enum resp_result result = resp_parse(&parser, &limits, b->stream.ptr + at,
						     b->stream.len - at, &b->args, &request);

		assert(result == RESP_REQUEST);
		at += request.used;
	}
	sink += b->args.count;
}

static void batch_slot(struct batch *b)
{
	for (uint32_t i = 1; i < b->args.count; i += b->args.count / PIPELINE)
		sink += key_slot(b->args.v[i].ptr, b->args.v[i].len);
}

static void batch_ok(struct batch *b)
{
	reply_reset(&b->reply, SIZE_MAX);
	for (int i = 0; i < PIPELINE; i++)
		reply_ok(&b->reply);
	sink += b->reply.len;
}

static void batch_bulk(struct batch *b)
{
	reply_reset(&b->reply, SIZE_MAX);
	for (int i = 0; i < PIPELINE; i++)
		reply_bulk(&b->reply, b->value, b->value_len);
	sink += b->reply.len;
}

static void measure(const char *label, void (*run)(struct batch *), struct batch *b)
{
	double best = 1e18;

	for (int round = 0; round < ROUNDS; round++) {
		double start = now_ns();

		for (int i = 0; i < BATCHES; i++)
			run(b);
		if (now_ns() - start < best)
			best = now_ns() - start;
	}
	printf("%-24s %7.1f ns/op\n", label, best / BATCHES / PIPELINE);
}

/* PIPELINE requests, whose "%012d" becomes a key's number. */
static void stream_make(struct batch *b, char *buf, size_t size, const char *format)
{
	size_t len = 0;

	for (int i = 0; i < PIPELINE; i++)
		len += snprintf(buf + len, size - len, format, i * 7919 % 1000000);
	assert(len < size);
	b->stream = (struct slice){buf, len};
}

int main(void)
{
	static const char value[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	static char gets[PIPELINE * 64], sets[PIPELINE * 128], inlines[PIPELINE * 64];
	struct batch b = {.value = value, .value_len = sizeof(value) - 1};

	reply_init(&b.reply, 2);
	stream_make(&b, inlines, sizeof(inlines), "GET key%012d\r\n");
	measure("parse inline GET", batch_parse, &b);
	stream_make(&b, sets, sizeof(sets),
		    "*3\r\n$3\r\nSET\r\n$15\r\nkey%012d\r\n"
		    "$32\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n");
	measure("parse SET", batch_parse, &b);
	stream_make(&b, gets, sizeof(gets), "*2\r\n$3\r\nGET\r\n$15\r\nkey%012d\r\n");
	measure("parse GET", batch_parse, &b);
	measure("slot of a 15-byte key", batch_slot, &b);
	measure("reply +OK", batch_ok, &b);
	measure("reply 32-byte bulk", batch_bulk, &b);
	reply_deinit(&b.reply);
	args_deinit(&b.args);
	return 0;
}
