/*
 * Bitmaps: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP.
 *
 * They work on strings of any form where they stand (string.h, bits.h). BITFIELD has a file of
 * its own.
 */
#include "proto/mem.h"
#include "shard/bits.h"
#include "shard/handlers.h"
#include "shard/string.h"
#include "shard/turn.h"

/*
 * BITOP goes over all sources in steps of this size, so that the result's bytes stay in the L1
 * cache.
 */
#define BITOP_STEP (16 * 1024)

/* Argument i as a bit's value; on failure replies `error`. */
static bool arg_bit(struct ctx *ctx, uint32_t i, const char *error, bool *out)
{
	int64_t n;
	if (!number_parse(ctx->argv[i], &n) || (n & ~(int64_t)1)) {
		reply_error(ctx->reply, error);
		return false;
	}
	*out = n;
	return true;
}

static uint8_t byte_or_zero(const struct entry *e, size_t offset)
{
	char byte = 0;
	if (e && offset < string_length(e))
		string_read(e, offset, 1, &byte);
	return (uint8_t)byte;
}

void cmd_setbit(struct ctx *ctx)
{
	uint64_t offset;
	bool bit;
	struct entry *e;
	if (!bits_arg_offset(ctx, 2, 0, &offset) ||
	    !arg_bit(ctx, 3, "ERR bit is not an integer or out of range", &bit) ||
	    !ctx_peek_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	size_t at = offset / 8;
	uint8_t mask = 0x80 >> offset % 8;
	uint8_t old = byte_or_zero(e, at);
	char new = (char)(bit ? old | mask : old & ~mask);
	bool changed = !e || at >= string_length(e) || (uint8_t) new != old;
	/* A write that changes nothing still leaves the encoding raw, as in Redis. */
	if (changed || entry_encoding(e) != ENCODING_RAW)
		string_write(ctx, 0, e, at, (struct slice){&new, 1});
	ctx->dirty += changed;
	reply_int(ctx->reply, (old & mask) != 0);
}

void cmd_getbit(struct ctx *ctx)
{
	uint64_t offset;
	struct entry *e;
	if (!bits_arg_offset(ctx, 2, 0, &offset) || !ctx_find_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	reply_int(ctx->reply, byte_or_zero(e, offset / 8) >> (7 - offset % 8) & 1);
}

/* --- ranges of BITCOUNT and BITPOS --- */

struct range {
	int64_t start, end; /* both inclusive; negative: from the end */
	bool bits;          /* they count bits, not bytes */
};

/* Argument i: BYTE or BIT. */
static bool arg_unit(struct ctx *ctx, uint32_t i, struct range *range)
{
	range->bits = slice_is(ctx->argv[i], "bit");
	if (range->bits || slice_is(ctx->argv[i], "byte"))
		return true;
	reply_error(ctx->reply, error_syntax);
	return false;
}

/* Resolves it against a string of `len` bytes: half open, in bits; false when it is empty. */
static bool range_bits(const struct range *range, size_t len, uint64_t *from, uint64_t *end)
{
	int64_t total = (int64_t)(range->bits ? len * 8 : len);
	int64_t first = range->start < 0 ? range->start + total : range->start;
	int64_t last = range->end < 0 ? range->end + total : range->end;
	first = first < 0 ? 0 : first;
	last = last < 0 ? 0 : last;
	last = last >= total ? total - 1 : last;
	if (first > last)
		return false;
	unsigned width = range->bits ? 1 : 8;
	*from = (uint64_t)first * width;
	*end = ((uint64_t)last + 1) * width;
	return true;
}

static bool reply_nothing_counted(struct ctx *ctx)
{
	reply_int(ctx->reply, 0);
	return false;
}

/* BITCOUNT key [start end [BYTE|BIT]]. False: it has replied. */
static bool bitcount_range(struct ctx *ctx, struct range *range)
{
	*range = (struct range){0, -1, false};
	if (ctx->argc == 2)
		return true;
	if (ctx->argc == 3 || ctx->argc > 5) {
		reply_error(ctx->reply, error_syntax);
		return false;
	}
	if (!ctx_arg_int(ctx, 2, &range->start) || !ctx_arg_int(ctx, 3, &range->end))
		return false;
	/* Before the unit is looked at; both may lie before the string, where they'd be clamped. */
	if (range->end < 0 && range->start < 0 && range->start > range->end)
		return reply_nothing_counted(ctx);
	return ctx->argc == 4 || arg_unit(ctx, 4, range);
}

void cmd_bitcount(struct ctx *ctx)
{
	struct entry *e;
	struct range range;
	uint64_t from, end;
	if (!ctx_find_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	/* An absent key has no bits, whatever the other arguments: as in Redis 7. */
	if (!e)
		reply_nothing_counted(ctx);
	else if (bitcount_range(ctx, &range))
		reply_int(ctx->reply, range_bits(&range, string_length(e), &from, &end)
					      ? (int64_t)bits_count(e, from, end)
					      : 0);
}

/* BITPOS key bit [start [end [BYTE|BIT]]] */
static bool bitpos_range(struct ctx *ctx, struct range *range)
{
	*range = (struct range){0, -1, false};
	if (ctx->argc > 6) {
		reply_error(ctx->reply, error_syntax);
		return false;
	}
	return (ctx->argc < 4 || ctx_arg_int(ctx, 3, &range->start)) &&
	       (ctx->argc < 6 || arg_unit(ctx, 5, range)) &&
	       (ctx->argc < 5 || ctx_arg_int(ctx, 4, &range->end));
}

static int64_t bitpos(const struct ctx *ctx, const struct entry *e, const struct range *range,
		      bool bit)
{
	uint64_t from, end;
	size_t len = string_length(e);
	if (!range_bits(range, len, &from, &end))
		return -1;
	int64_t found = bits_find(e, bit, from, end);
	/* Without an end the string goes on with zeros. */
	return found < 0 && !bit && ctx->argc < 5 ? (int64_t)(len * 8) : found;
}

void cmd_bitpos(struct ctx *ctx)
{
	int64_t value;
	bool bit;
	struct entry *e;
	struct range range;
	if (!ctx_arg_int(ctx, 2, &value) ||
	    !arg_bit(ctx, 2, "ERR The bit argument must be 1 or 0.", &bit) ||
	    !ctx_find_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	if (!e) { /* before the other arguments, as in Redis 7; a string of zeros without end */
		reply_int(ctx->reply, bit ? -1 : 0);
		return;
	}
	if (bitpos_range(ctx, &range))
		reply_int(ctx->reply, bitpos(ctx, e, &range, bit));
}

/* --- BITOP --- */

enum bitop { BITOP_AND, BITOP_OR, BITOP_XOR, BITOP_NOT, BITOP_COUNT };

static const char *const bitop_names[BITOP_COUNT] = {"and", "or", "xor", "not"};

/* out = out op in. The compiler makes vectors of these loops. */
static void combine(enum bitop op, char *restrict out, const char *restrict in, size_t len)
{
	switch (op) {
	case BITOP_AND:
		for (size_t i = 0; i < len; i++)
			out[i] &= in[i];
		break;
	case BITOP_XOR:
		for (size_t i = 0; i < len; i++)
			out[i] ^= in[i];
		break;
	default:
		for (size_t i = 0; i < len; i++)
			out[i] |= in[i];
	}
}

/* The source's bytes [at, at + len) into out, zeros beyond its end; e NULL: all beyond. */
static void combine_source(enum bitop op, char *out, const struct entry *e, size_t at, size_t len)
{
	size_t source_len = e ? string_length(e) : 0;
	for (size_t done = 0; done < len;) {
		struct slice piece = {NULL, len - done};
		if (at + done < source_len)
			piece = string_piece(e, at + done);
		size_t n = piece.len < len - done ? piece.len : len - done;
		if (piece.ptr)
			combine(op, out + done, piece.ptr, n);
		else if (op == BITOP_AND)
			memset(out + done, 0, n);
		done += n;
	}
}

static void bitop_step(enum bitop op, char *out, struct entry *const *sources, uint32_t count,
		       size_t at, size_t len)
{
	memset(out, 0, len);
	combine_source(BITOP_OR, out, sources[0], at, len);
	for (uint32_t i = 1; i < count; i++)
		combine_source(op, out, sources[i], at, len);
	if (op == BITOP_NOT)
		for (size_t i = 0; i < len; i++)
			out[i] = ~out[i];
}

static struct entry *bitop_entry(struct ctx *ctx, enum bitop op, struct entry *const *sources,
				 uint32_t count, size_t len)
{
	struct entry *e = entry_new(&(struct entry_spec){
		.key = ctx->keys[0].name,
		.value = {NULL, len},
		.expire = EXPIRE_NEVER,
		.type = ENTRY_STRING,
		.encoding = ENCODING_RAW,
		.access = ctx_access_new(ctx),
	});
	char *out = entry_value_room(e);
	for (size_t at = 0; at < len; at += BITOP_STEP) {
		size_t n = len - at < BITOP_STEP ? len - at : BITOP_STEP;
		bitop_step(op, out + at, sources, count, at, n);
		turn_step(ctx->shard);
	}
	return e;
}

/* Finds the sources, keys 1 and up; false after WRONGTYPE. */
static bool find_sources(struct ctx *ctx, struct entry **sources, uint32_t count, size_t *len_max)
{
	*len_max = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (!ctx_find_typed(ctx, i + 1, ENTRY_STRING, &sources[i]))
			return false;
		size_t len = sources[i] ? string_length(sources[i]) : 0;
		*len_max = len > *len_max ? len : *len_max;
	}
	return true;
}

static void bitop_store(struct ctx *ctx, enum bitop op, struct entry *const *sources,
			uint32_t count, size_t len)
{
	if (len == 0) {
		ctx->dirty += ctx_remove(ctx, 0);
	} else {
		ctx_put(ctx, 0, bitop_entry(ctx, op, sources, count, len));
		ctx->dirty++;
	}
	reply_int(ctx->reply, (int64_t)len);
}

void cmd_bitop(struct ctx *ctx)
{
	enum bitop op = BITOP_AND;
	while (op < BITOP_COUNT && !slice_is(ctx->argv[1], bitop_names[op]))
		op++;
	if (op == BITOP_COUNT) {
		reply_error(ctx->reply, error_syntax);
		return;
	}
	if (op == BITOP_NOT && ctx->argc != 4) {
		reply_error(ctx->reply, "ERR BITOP NOT must be called with a single source key.");
		return;
	}
	uint32_t count = ctx->argc - 3;
	struct entry **sources = mem_alloc(count * sizeof(struct entry *));
	size_t len;
	if (find_sources(ctx, sources, count, &len) && ctx_long(ctx, len / LONG_ELEMENT_BYTES))
		bitop_store(ctx, op, sources, count, len);
	mem_free(sources, count * sizeof(struct entry *));
}
