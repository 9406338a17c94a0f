/*
 * BITFIELD and BITFIELD_RO: a string seen as integers of any width at any bit.
 *
 * First all operations are parsed, so that an error anywhere has no effect. Only GETs: the
 * string is read as it is. Else it is opened for changes once, as long as the farthest write
 * needs it, and all operations work on that; they are one change.
 *
 * A field of up to 64 bits at any bit of a byte touches at most nine bytes: those are loaded as
 * one big-endian number of 72 bits, in which the field is a matter of shifts.
 */
#include "proto/mem.h"
#include "shard/bits.h"
#include "shard/handlers.h"
#include "shard/string.h"

/* Bytes that a field can touch. */
#define FIELD_BYTES_MAX 9
/* An operation takes at least three arguments: GET type offset. */
#define OP_ARGS_MIN 3

enum field_op { FIELD_GET, FIELD_SET, FIELD_INCRBY };
enum field_overflow { OVERFLOW_WRAP, OVERFLOW_SAT, OVERFLOW_FAIL, OVERFLOW_COUNT };

static const char *const overflow_names[OVERFLOW_COUNT] = {"wrap", "sat", "fail"};

static const struct {
	const char *name;
	enum field_op op;
	uint32_t args; /* after the name */
} op_names[] = {
	{"get", FIELD_GET, 2},
	{"set", FIELD_SET, 3},
	{"incrby", FIELD_INCRBY, 3},
};
#define OP_NAMES (sizeof(op_names) / sizeof(op_names[0]))

struct op {
	uint64_t offset; /* of its first bit */
	int64_t number;  /* the third argument of SET and INCRBY */
	uint8_t bits;    /* 1 to 64, unsigned to 63 */
	bool is_signed;
	uint8_t op;       /* enum field_op */
	uint8_t overflow; /* enum field_overflow */
};

struct request {
	struct op *ops;
	uint32_t count;
	size_t len; /* bytes that the string must have for all writes */
	bool writes;
};

/* --- parsing --- */

static bool fail(struct ctx *ctx, const char *error)
{
	reply_error(ctx->reply, error);
	return false;
}

/* "i1" to "i64", "u1" to "u63". */
static bool arg_type(struct ctx *ctx, uint32_t i, struct op *op)
{
	struct slice arg = ctx->argv[i];
	int64_t bits;
	op->is_signed = arg.len > 0 && arg.ptr[0] == 'i';
	if (arg.len < 2 || (!op->is_signed && arg.ptr[0] != 'u') ||
	    !number_parse((struct slice){arg.ptr + 1, arg.len - 1}, &bits) || bits < 1 ||
	    bits > (op->is_signed ? 64 : 63))
		return fail(ctx, "ERR Invalid bitfield type. Use something like i16 u8. "
				 "Note that u64 is not supported but i64 is.");
	op->bits = (uint8_t)bits;
	return true;
}

static bool arg_overflow(struct ctx *ctx, uint32_t i, uint8_t *out)
{
	for (uint8_t n = 0; n < OVERFLOW_COUNT; n++) {
		if (!slice_is(ctx->argv[i], overflow_names[n]))
			continue;
		*out = n;
		return true;
	}
	return fail(ctx, "ERR Invalid OVERFLOW type specified");
}

/* The operation whose name is argument *i, which goes on to the next. */
static bool parse_op(struct ctx *ctx, uint32_t *i, struct op *op)
{
	size_t n = 0;
	while (n < OP_NAMES && !slice_is(ctx->argv[*i], op_names[n].name))
		n++;
	if (n == OP_NAMES || ctx->argc - *i - 1 < op_names[n].args)
		return fail(ctx, error_syntax);
	op->op = op_names[n].op;
	if (!arg_type(ctx, *i + 1, op) || !bits_arg_offset(ctx, *i + 2, op->bits, &op->offset) ||
	    (op->op != FIELD_GET && !ctx_arg_int(ctx, *i + 3, &op->number)))
		return false;
	*i += 1 + op_names[n].args;
	return true;
}

static bool parse_ops(struct ctx *ctx, struct request *request)
{
	uint8_t overflow = OVERFLOW_WRAP;
	for (uint32_t i = 2; i < ctx->argc;) {
		if (slice_is(ctx->argv[i], "overflow") && i + 1 < ctx->argc) {
			if (!arg_overflow(ctx, i + 1, &overflow))
				return false;
			i += 2;
			continue;
		}
		struct op *op = &request->ops[request->count];
		*op = (struct op){.overflow = overflow};
		if (!parse_op(ctx, &i, op))
			return false;
		request->count++;
		if (op->op == FIELD_GET)
			continue;
		size_t len = (op->offset + op->bits + 7) / 8;
		request->len = len > request->len ? len : request->len;
		request->writes = true;
	}
	return true;
}

/* --- fields --- */

/* What the operations read from: an edit, or the entry as it is (NULL: absent). */
struct source {
	struct string_edit *edit;
	const struct entry *e;
	size_t len;
};

/* Where a field lies: the bytes it touches, and the bits of the last that come after it. */
struct place {
	size_t at;
	size_t len;
	unsigned after;
};

static struct place op_place(const struct op *op)
{
	size_t first = op->offset / 8, end = (op->offset + op->bits + 7) / 8;
	return (struct place){first, end - first, (unsigned)(end * 8 - op->offset - op->bits)};
}

static uint64_t op_mask(const struct op *op)
{
	return ~0ull >> (64 - op->bits);
}

/* The bytes of a place as a big-endian number; beyond the string's end they are zero. */
static unsigned __int128 place_load(const struct source *source, struct place place)
{
	char bytes[FIELD_BYTES_MAX] = {0};
	if (place.at < source->len) {
		size_t have = source->len - place.at;
		have = have < place.len ? have : place.len;
		if (source->edit)
			string_edit_read(source->edit, place.at, have, bytes);
		else
			string_read(source->e, place.at, have, bytes);
	}
	unsigned __int128 number = 0;
	for (size_t i = 0; i < place.len; i++)
		number = number << 8 | (uint8_t)bytes[i];
	return number;
}

/* The field's bits: an unsigned number, or the two's complement of a signed one. */
static uint64_t field_get(const struct source *source, const struct op *op)
{
	struct place place = op_place(op);
	return (uint64_t)(place_load(source, place) >> place.after) & op_mask(op);
}

static void field_set(const struct source *source, const struct op *op, uint64_t value)
{
	struct place place = op_place(op);
	unsigned __int128 number = place_load(source, place);
	number &= ~((unsigned __int128)op_mask(op) << place.after);
	number |= (unsigned __int128)value << place.after;
	char bytes[FIELD_BYTES_MAX];
	for (size_t i = place.len; i > 0; i--, number >>= 8)
		bytes[i - 1] = (char)number;
	string_edit_write(source->edit, place.at, (struct slice){bytes, place.len});
}

/* What the bits mean: sign-extended for signed fields. */
static int64_t op_value(const struct op *op, uint64_t bits)
{
	unsigned unused = 64 - op->bits;
	return op->is_signed ? (int64_t)(bits << unused) >> unused : (int64_t)bits;
}

/*
 * Makes a number fit the field by the operation's rule; gives the field's bits, false when it
 * overflows and the rule says FAIL. SET with SAT has a corner of Redis' own: a number so far
 * below the field that the distance to its top doesn't fit 64 bits, and any negative one for an
 * unsigned field, saturates at the top.
 */
static bool op_fit(const struct op *op, __int128 number, uint64_t *bits)
{
	__int128 max = op->is_signed ? op_mask(op) >> 1 : op_mask(op);
	__int128 min = op->is_signed ? -max - 1 : 0;
	bool overflows = number > max || number < min;
	bool too_far = op->op == FIELD_SET && (!op->is_signed || max - number > INT64_MAX);
	if (overflows && op->overflow == OVERFLOW_SAT)
		number = number > max || too_far ? max : min;
	*bits = (uint64_t)number & op_mask(op);
	return !overflows || op->overflow != OVERFLOW_FAIL;
}

/* --- running --- */

static void run_get(struct ctx *ctx, const struct source *source, const struct op *op)
{
	reply_int(ctx->reply, op_value(op, field_get(source, op)));
}

/*
 * SET answers the old value, INCRBY the new one. True when it counts as a change: any write to a
 * string that the request has made or made longer (`fresh`), else one that changed the field.
 */
static bool run_write(struct ctx *ctx, const struct source *source, const struct op *op, bool fresh)
{
	uint64_t old = field_get(source, op), new;
	__int128 number = op->number;
	if (op->op == FIELD_INCRBY)
		number += op_value(op, old);
	if (!op_fit(op, number, &new)) {
		reply_null(ctx->reply);
		return false;
	}
	reply_int(ctx->reply, op_value(op, op->op == FIELD_INCRBY ? new : old));
	field_set(source, op, new);
	return fresh || new != old;
}

static void run_reads(struct ctx *ctx, const struct request *request)
{
	struct entry *e;
	if (!ctx_find_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	struct source source = {NULL, e, e ? string_length(e) : 0};
	reply_array(ctx->reply, request->count);
	for (uint32_t i = 0; i < request->count; i++)
		run_get(ctx, &source, &request->ops[i]);
}

static void run_writes(struct ctx *ctx, const struct request *request)
{
	struct entry *e;
	struct string_edit edit;
	uint64_t changes = 0;
	if (!ctx_peek_typed(ctx, 0, ENTRY_STRING, &e))
		return;
	size_t len = e ? string_length(e) : 0;
	bool grows = !e || len < request->len;
	bool raw = e && entry_encoding(e) == ENCODING_RAW;
	string_edit_begin(ctx, 0, e, request->len, &edit);
	struct source source = {&edit, NULL, grows ? request->len : len};
	reply_array(ctx->reply, request->count);
	for (uint32_t i = 0; i < request->count; i++) {
		const struct op *op = &request->ops[i];
		if (op->op == FIELD_GET)
			run_get(ctx, &source, op);
		else
			changes += run_write(ctx, &source, op, grows);
	}
	if (grows || changes || !raw)
		string_edit_end(ctx, 0, &edit);
	else
		string_edit_drop(&edit);
	ctx->dirty += changes;
}

static void bitfield(struct ctx *ctx, bool read_only)
{
	struct request request = {0};
	size_t room = (ctx->argc / OP_ARGS_MIN + 1) * sizeof(*request.ops);
	request.ops = mem_alloc(room);
	if (parse_ops(ctx, &request)) {
		if (!request.writes)
			run_reads(ctx, &request);
		else if (read_only)
			reply_error(ctx->reply, "ERR BITFIELD_RO only supports the GET subcommand");
		else
			run_writes(ctx, &request);
	}
	mem_free(request.ops, room);
}

void cmd_bitfield(struct ctx *ctx)
{
	bitfield(ctx, false);
}

void cmd_bitfield_ro(struct ctx *ctx)
{
	bitfield(ctx, true);
}
