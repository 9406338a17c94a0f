/*
 * HyperLogLogs: PFADD, PFCOUNT, PFMERGE, and PFDEBUG and PFSELFTEST for those who look inside.
 *
 * They are strings; hll.h knows what is in them. A change makes a new string of at most 12 KB, and
 * most additions change nothing, which is found out before anything is copied.
 *
 * PFCOUNT of one key keeps its estimate in the string, so although it only reads it may store: a
 * reader that doesn't find one asks to be the holder.
 */
#include "shard/hll.h"

#include "proto/mem.h"
#include "shard/handlers.h"
#include "shard/string.h"

#include <math.h>
#include <stdio.h>

static const char error_not_hll[] = "WRONGTYPE Key is not a valid HyperLogLog string value.";
static const char error_corrupted[] = "INVALIDOBJ Corrupted HLL object detected";

/* --- finding --- */

/* The bytes of a key's value; `scratch` is freed by release(). */
struct found {
	const struct entry *e; /* NULL: no such key */
	struct slice value;
	char *scratch;
};

static void release(struct found *found)
{
	mem_free_unsized(found->scratch);
}

/* False, after an error and with nothing to release, when e (NULL: absent) is no HyperLogLog. */
static bool check_found(struct ctx *ctx, struct entry *e, struct found *found)
{
	*found = (struct found){.e = e};
	if (!e)
		return true;
	if (string_length(e) <= HLL_BYTES_MAX) {
		found->value = string_bytes(e, &found->scratch);
		if (hll_recognize(found->value))
			return true;
		release(found);
	}
	reply_error(ctx->reply, error_not_hll);
	return false;
}

static bool find(struct ctx *ctx, uint32_t k, struct found *found)
{
	struct entry *e;
	return ctx_find_typed(ctx, k, ENTRY_STRING, &e) && check_found(ctx, e, found);
}

static bool find_to_write(struct ctx *ctx, uint32_t k, struct found *found)
{
	struct entry *e;
	return ctx_peek_typed(ctx, k, ENTRY_STRING, &e) && check_found(ctx, e, found);
}

/* A copy to write to; of an absent key an empty one. */
static void load(const struct found *found, struct hll *h)
{
	if (found->e)
		hll_load(h, found->value);
	else
		hll_init(h);
}

/* --- storing --- */

static void put(struct ctx *ctx, uint32_t k, const struct entry *e, const struct hll *h)
{
	ctx_put(ctx, k,
		entry_new(&(struct entry_spec){
			.key = ctx->keys[k].name,
			.value = hll_slice(h),
			.expire = e ? entry_expire(e) : EXPIRE_NEVER,
			.type = ENTRY_STRING,
			.encoding = ENCODING_RAW,
			.access = e ? entry_access(e) : ctx_access_new(ctx),
		}));
}

static size_t sparse_bytes_max(const struct ctx *ctx)
{
	return (size_t)atomic_load_explicit(&ctx->ks->limits.hll_sparse_bytes,
					    memory_order_relaxed);
}

/* --- PFADD --- */

/* The first argument from `i` on that would change something; argc when there is none. */
static uint32_t first_change(const struct ctx *ctx, const struct found *found, uint32_t i)
{
	if (found->e)
		while (i < ctx->argc && hll_foresee(found->value, ctx->argv[i]) == HLL_SAME)
			i++;
	return i;
}

/* Adds the arguments from `i` on. Returns how many changed it, -1 when it is corrupted. */
static int64_t add_elements(const struct ctx *ctx, uint32_t i, struct hll *h)
{
	size_t max = sparse_bytes_max(ctx);
	int64_t changes = 0;
	for (; i < ctx->argc; i++) {
		enum hll_change change = hll_add(h, ctx->argv[i], max);
		if (change == HLL_CORRUPTED)
			return -1;
		changes += change == HLL_CHANGED;
	}
	return changes;
}

/* The same as a change of the key. */
static void add_and_put(struct ctx *ctx, const struct found *found, uint32_t i)
{
	struct hll h;
	load(found, &h);
	int64_t changes = add_elements(ctx, i, &h);
	if (changes < 0) {
		reply_error(ctx->reply, error_corrupted);
		return;
	}
	hll_uncache(&h);
	put(ctx, 0, found->e, &h);
	ctx->dirty += (uint64_t)changes + !found->e;
	reply_int(ctx->reply, 1);
}

void cmd_pfadd(struct ctx *ctx)
{
	struct found found;
	if (!find_to_write(ctx, 0, &found))
		return;
	uint32_t i = first_change(ctx, &found, 2);
	if (found.e && i == ctx->argc)
		reply_int(ctx->reply, 0);
	else
		add_and_put(ctx, &found, i);
	release(&found);
}

/* --- PFCOUNT --- */

/* Works the estimate of key 0 out and keeps it there. */
static void count_and_keep(struct ctx *ctx, const struct found *found)
{
	uint8_t registers[HLL_REGISTERS] = {0};
	struct hll h;
	load(found, &h);
	if (!hll_merge(registers, found->value)) {
		reply_error(ctx->reply, error_corrupted);
		return;
	}
	uint64_t estimate = hll_estimate(registers);
	hll_cache(&h, estimate);
	put(ctx, 0, found->e, &h);
	ctx->dirty++;
	reply_int(ctx->reply, (int64_t)estimate);
}

static void count_one(struct ctx *ctx)
{
	struct found found;
	uint64_t estimate;
	if (!find(ctx, 0, &found))
		return;
	if (!found.e)
		reply_int(ctx->reply, 0);
	else if (hll_cached(found.value, &estimate))
		reply_int(ctx->reply, (int64_t)estimate);
	else if (ctx->holder)
		count_and_keep(ctx, &found);
	else
		ctx->need_holder = true;
	release(&found);
}

/* Merges key k into registers; notes whether it is dense. False after an error. */
static bool merge_key(struct ctx *ctx, uint32_t k, uint8_t *registers, bool *dense)
{
	struct found found;
	if (!find(ctx, k, &found))
		return false;
	bool merged = !found.e || hll_merge(registers, found.value);
	*dense |= found.e && hll_dense(found.value);
	release(&found);
	if (!merged)
		reply_error(ctx->reply, error_corrupted);
	return merged;
}

void cmd_pfcount(struct ctx *ctx)
{
	uint8_t registers[HLL_REGISTERS] = {0};
	bool dense = false;
	if (ctx->key_count == 1) {
		count_one(ctx);
		return;
	}
	for (uint32_t k = 0; k < ctx->key_count; k++)
		if (!merge_key(ctx, k, registers, &dense))
			return;
	reply_int(ctx->reply, (int64_t)hll_estimate(registers));
}

/* --- PFMERGE --- */

/* Raises all registers of h to these. False: it is corrupted. */
static bool raise_all(const struct ctx *ctx, struct hll *h, const uint8_t *registers)
{
	size_t max = sparse_bytes_max(ctx);
	for (uint32_t i = 0; i < HLL_REGISTERS; i++)
		if (registers[i] > 0 && hll_raise(h, i, registers[i], max) == HLL_CORRUPTED)
			return false;
	return true;
}

static void merge_and_put(struct ctx *ctx, const struct found *found, const uint8_t *registers,
			  bool dense)
{
	struct hll h;
	load(found, &h);
	if ((dense && !hll_make_dense(&h)) || !raise_all(ctx, &h, registers)) {
		reply_error(ctx->reply, error_corrupted);
		return;
	}
	hll_uncache(&h);
	put(ctx, 0, found->e, &h);
	ctx->dirty++;
	reply_ok(ctx->reply);
}

/* The target is one of the sources. */
void cmd_pfmerge(struct ctx *ctx)
{
	uint8_t registers[HLL_REGISTERS] = {0};
	bool dense = false;
	struct found found;
	for (uint32_t k = 0; k < ctx->key_count; k++)
		if (!merge_key(ctx, k, registers, &dense))
			return;
	if (!find_to_write(ctx, 0, &found))
		return;
	merge_and_put(ctx, &found, registers, dense);
	release(&found);
}

/* --- PFDEBUG --- */

/* Puts it as a dense one in the place of a sparse one. False after an error. */
static bool make_dense_and_put(struct ctx *ctx, const struct found *found)
{
	struct hll h;
	load(found, &h);
	if (!hll_make_dense(&h)) {
		reply_error(ctx->reply, error_corrupted);
		return false;
	}
	put(ctx, 0, found->e, &h);
	ctx->dirty++;
	return true;
}

static void debug_getreg(struct ctx *ctx, const struct found *found)
{
	uint8_t registers[HLL_REGISTERS] = {0};
	if (!hll_merge(registers, found->value)) {
		reply_error(ctx->reply, error_corrupted);
		return;
	}
	if (!hll_dense(found->value) && !make_dense_and_put(ctx, found))
		return;
	reply_array(ctx->reply, HLL_REGISTERS);
	for (uint32_t i = 0; i < HLL_REGISTERS; i++)
		reply_int(ctx->reply, registers[i]);
}

/* "Z:16384 v:3,1 z:5": the opcodes, small letters for those of one byte. */
static void debug_decode(struct ctx *ctx, const struct found *found)
{
	struct hll_opcode op;
	struct reply text;
	if (hll_dense(found->value)) {
		reply_error(ctx->reply, "ERR HLL encoding is not sparse");
		return;
	}
	reply_init(&text, 2);
	for (size_t at = 0; hll_opcode_at(found->value, at, &op); at += op.bytes) {
		char piece[32];
		int len = op.value > 0
				  ? snprintf(piece, sizeof(piece), " v:%u,%u", op.value, op.run)
				  : snprintf(piece, sizeof(piece), " %c:%u",
					     op.bytes == 2 ? 'Z' : 'z', op.run);
		reply_raw(&text, piece, (size_t)len);
	}
	reply_bulk(ctx->reply, text.len ? text.buf + 1 : "", text.len ? text.len - 1 : 0);
	reply_deinit(&text);
}

static void debug_encoding(struct ctx *ctx, const struct found *found)
{
	reply_status(ctx->reply, hll_dense(found->value) ? "dense" : "sparse");
}

static void debug_todense(struct ctx *ctx, const struct found *found)
{
	bool convert = !hll_dense(found->value);
	if (!convert || make_dense_and_put(ctx, found))
		reply_int(ctx->reply, convert);
}

static const struct {
	const char *name;
	void (*run)(struct ctx *ctx, const struct found *found);
} debug_commands[] = {
	{"getreg", debug_getreg},
	{"decode", debug_decode},
	{"encoding", debug_encoding},
	{"todense", debug_todense},
};

static void debug_run(struct ctx *ctx, const struct found *found)
{
	for (size_t i = 0; i < sizeof(debug_commands) / sizeof(debug_commands[0]); i++)
		if (slice_is(ctx->argv[1], debug_commands[i].name)) {
			debug_commands[i].run(ctx, found);
			return;
		}
	reply_errorf(ctx->reply, "ERR Unknown PFDEBUG subcommand '%.*s'", ERROR_ECHO(ctx->argv[1]));
}

void cmd_pfdebug(struct ctx *ctx)
{
	struct found found;
	if (!find_to_write(ctx, 0, &found))
		return;
	if (found.e)
		debug_run(ctx, &found);
	else
		reply_error(ctx->reply, "ERR The specified key does not exist");
	release(&found);
}

/* --- PFSELFTEST --- */

/* Few enough to take about a millisecond. */
#define SELFTEST_ROUNDS   8
#define SELFTEST_ELEMENTS 1000
/* The estimate's standard deviation, and how many of them are suspicious. */
#define SELFTEST_ERROR  (1.04 / 128)
#define SELFTEST_ERRORS 6

/* Registers are written as they are read back. */
static bool test_registers(struct shard *shard)
{
	uint8_t expected[HLL_REGISTERS] = {0}, found[HLL_REGISTERS] = {0};
	struct hll h;
	hll_init(&h);
	if (!hll_make_dense(&h))
		return false;
	for (int round = 0; round < SELFTEST_ROUNDS; round++) {
		for (uint32_t i = 0; i < HLL_REGISTERS; i++) {
			uint8_t value = 1 + shard_random(shard) % 63;
			bool raised = hll_raise(&h, i, value, 0) == HLL_CHANGED;
			if (raised != (value > expected[i]))
				return false;
			expected[i] = raised ? value : expected[i];
		}
	}
	return hll_merge(found, hll_slice(&h)) && memcmp(found, expected, sizeof(found)) == 0;
}

/* Both forms say the same, and about what they should. */
static bool test_estimate(const struct hll *sparse, const struct hll *dense, uint64_t count)
{
	uint8_t one[HLL_REGISTERS] = {0}, other[HLL_REGISTERS] = {0};
	double error_max = ceil(SELFTEST_ERROR * SELFTEST_ERRORS * (double)count);
	if (!hll_merge(one, hll_slice(sparse)) || !hll_merge(other, hll_slice(dense)) ||
	    memcmp(one, other, sizeof(one)) != 0)
		return false;
	return fabs((double)hll_estimate(one) - (double)count) <= error_max;
}

static bool test_estimates(struct shard *shard)
{
	struct hll sparse, dense;
	uint64_t seed = shard_random(shard), next = 1;
	hll_init(&sparse);
	hll_init(&dense);
	if (!hll_make_dense(&dense))
		return false;
	for (uint64_t i = 1; i <= SELFTEST_ELEMENTS; i++) {
		uint64_t element = seed + i;
		struct slice bytes = {(const char *)&element, sizeof(element)};
		hll_add(&sparse, bytes, HLL_BYTES_MAX);
		hll_add(&dense, bytes, 0);
		if (i < next)
			continue;
		if (!test_estimate(&sparse, &dense, i))
			return false;
		next *= 10;
	}
	return true;
}

void cmd_pfselftest(struct ctx *ctx)
{
	if (!test_registers(ctx->shard))
		reply_error(ctx->reply, "TESTFAILED Registers are not what was written to them");
	else if (!test_estimates(ctx->shard))
		reply_error(ctx->reply, "TESTFAILED Too high error, or dense and sparse disagree");
	else
		reply_ok(ctx->reply);
}
