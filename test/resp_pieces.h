/*
 * A stream of requests, cut as it arrives in pieces, written down as bytes that can be compared.
 * Used by test_resp.c and by the fuzz target.
 *
 * Each piece moves the bytes received so far into a new block of exactly their size, as a
 * connection may, so that a sanitizer sees a look beyond them and slices into the old place.
 */
#ifndef TEST_RESP_PIECES_H
#define TEST_RESP_PIECES_H

#include "proto/mem.h"
#include "proto/reply.h"
#include "proto/resp.h"
#include "test/must.h"

/* One request as an array of bulk strings. */
static inline void pieces_write(struct reply *out, const struct args *args)
{
	reply_array(out, args->count);
	for (uint32_t i = 0; i < args->count; i++)
		reply_bulk_slice(out, args->v[i]);
}

/* Cuts what it can off bytes[0..len); returns how much. *result: RESP_MORE or RESP_ERROR. */
static inline size_t pieces_cut(struct resp_parser *parser, const struct resp_limits *limits,
				const char *bytes, size_t len, size_t *need, struct reply *out,
				enum resp_result *result)
{
	struct resp_request request;
	struct args args = {0};
	size_t at = 0;

	for (;;) {
		args.count = 0;
		*result = resp_parse(parser, limits, bytes + at, len - at, &args, &request);
		if (*result != RESP_REQUEST)
			break;
		/* Nothing else than RESP_MORE was to come before so many bytes. */
		MUST(len - at >= *need);
		MUST(request.used > 0 && request.used <= len - at);
		for (uint32_t i = 0; i < args.count && request.scratch == NULL; i++)
			MUST(args.v[i].ptr >= bytes + at &&
			     args.v[i].ptr + args.v[i].len <= bytes + at + request.used);
		pieces_write(out, &args);
		mem_free_unsized(request.scratch);
		at += request.used;
		*need = 0;
	}
	MUST(args.count == 0 && request.scratch == NULL);
	if (*result == RESP_ERROR) {
		MUST(len - at >= *need);
		reply_error(out, request.error);
	} else {
		MUST(request.need > len - at && request.need >= *need);
		*need = request.need;
	}
	args_deinit(&args);
	return at;
}

/*
 * The stream arrives up to ends[0], then up to ends[1] and so on (ascending), at last up to `len`.
 * Writes requests and the error, if any, to `out`; returns how many bytes the requests took.
 */
static inline size_t pieces_feed(const struct resp_limits *limits, const char *stream, size_t len,
				 const size_t *ends, size_t end_count, struct reply *out)
{
	struct resp_parser parser = {0};
	size_t taken = 0;
	size_t need = 0;

	for (size_t i = 0; i <= end_count; i++) {
		size_t size = (i < end_count ? ends[i] : len) - taken;
		char *block = size > 0 ? mem_alloc(size) : NULL;
		enum resp_result result;

		if (size > 0)
			memcpy(block, stream + taken, size);
		taken += pieces_cut(&parser, limits, block != NULL ? block : "", size, &need, out,
				    &result);
		mem_free(block, size);
		if (result == RESP_ERROR)
			break;
	}
	resp_parser_deinit(&parser);
	return taken;
}

#endif
