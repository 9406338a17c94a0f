/*
 * The request parser: a stream gives the same requests, and the same error, in one piece and in
 * many.
 *
 * Input: one byte of options, one byte that seeds the sizes of the pieces, then the stream.
 */
#include "test/resp_pieces.h"

#include <stdint.h>

#define OPTION_STRANGER  1
#define OPTION_SMALL_MAX 2 /* a small proto-max-bulk-len */
#define PIECES_MAX       4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static size_t ends[PIECES_MAX];
	struct resp_limits limits;
	struct reply whole, pieces;
	size_t count = 0;
	uint32_t seed;
	const char *stream;
	size_t taken;

	if (size < 2)
		return 0;
	limits.authenticated = !(data[0] & OPTION_STRANGER);
	limits.bulk_max = data[0] & OPTION_SMALL_MAX ? 20 : 512 * 1024 * 1024;
	seed = data[1];
	stream = (const char *)data + 2;
	size -= 2;
	for (size_t at = 0; count < PIECES_MAX; count++) {
		seed = seed * 1103515245 + 12345;
		at += 1 + (seed >> 16) % (1 + data[1] % 32);
		if (at >= size)
			break;
		ends[count] = at;
	}
	reply_init(&whole, 2);
	reply_init(&pieces, 2);
	taken = pieces_feed(&limits, stream, size, NULL, 0, &whole);
	MUST(taken == pieces_feed(&limits, stream, size, ends, count, &pieces));
	MUST(whole.errors == pieces.errors && whole.len == pieces.len);
	MUST(whole.len == 0 || memcmp(whole.buf, pieces.buf, whole.len) == 0);
	reply_deinit(&whole);
	reply_deinit(&pieces);
	return 0;
}
