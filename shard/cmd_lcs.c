/*
 * LCS: the longest common subsequence of two strings, its length, or where its pieces match.
 *
 * The textbook's table has a number for each pair (i, j) of prefixes of a and b. Along a row the
 * numbers rise by 0 or 1 from one column to the next, so a row is kept as bits, and a whole word of
 * 64 columns follows from the row above in a few instructions (Allison and Dix, 1986; the
 * recurrence in the form of Hyyro, 2004). A set bit j says that column j + 1 is no larger than
 * column j:
 *
 *	row' = (row + (row & match)) | (row & ~match)     match: where b has the row's byte of a
 *
 * The length is the number of zeros in the last row. To find the subsequence itself all rows are
 * kept, and the way back from the last corner needs nothing else: where the bytes differ, the
 * number above is the larger one exactly if the bit is zero, and Redis, whose choice among equals
 * we must make, goes up then and left otherwise.
 *
 * For the largest strings that are allowed this takes some ms and MB where the table takes seconds
 * and half a gigabyte. What is allowed still goes by the size of the table, as in Redis.
 */
#include "proto/mem.h"
#include "shard/handlers.h"
#include "shard/string.h"

/* Bytes of one number in the table whose size is limited. */
#define TABLE_NUMBER sizeof(uint32_t)
#define ROW_BITS     64

struct lcs {
	struct slice a, b;
	size_t words;           /* in a row, which has a bit for each byte of b */
	size_t row_bytes;       /* of them as many as have such bits are kept */
	uint64_t *row;          /* the last one */
	uint64_t *matches[256]; /* for each byte that a has: where b has it */
	char *rows; /* all of them, b.len bits each; NULL when only the length is asked for */
};

static void lcs_init(struct lcs *lcs, struct slice a, struct slice b, bool keep_rows)
{
	*lcs = (struct lcs){
		.a = a,
		.b = b,
		.words = (b.len + ROW_BITS - 1) / ROW_BITS,
		.row_bytes = (b.len + 7) / 8,
	};
	if (a.len == 0 || b.len == 0)
		return;
	size_t size = lcs->words * sizeof(uint64_t);
	lcs->row = mem_alloc(size);
	memset(lcs->row, 0xff, size);
	if (keep_rows)
		lcs->rows = mem_alloc(a.len * lcs->row_bytes);
	for (size_t i = 0; i < a.len; i++) {
		uint64_t **match = &lcs->matches[(uint8_t)a.ptr[i]];
		if (!*match)
			*match = mem_zalloc(size);
	}
	for (size_t j = 0; j < b.len; j++) {
		uint64_t *match = lcs->matches[(uint8_t)b.ptr[j]];
		if (match)
			match[j / ROW_BITS] |= 1ull << j % ROW_BITS;
	}
}

static void lcs_deinit(struct lcs *lcs)
{
	size_t size = lcs->words * sizeof(uint64_t);
	for (size_t i = 0; i < 256; i++)
		mem_free(lcs->matches[i], size);
	mem_free(lcs->rows, lcs->a.len * lcs->row_bytes);
	mem_free(lcs->row, size);
}

/* The row follows from the one above and the places of one byte of a. */
static void row_advance(uint64_t *row, const uint64_t *match, size_t words)
{
	uint64_t carry = 0;
	for (size_t w = 0; w < words; w++) {
		uint64_t sum;
		uint64_t hit = row[w] & match[w];
		bool over = __builtin_add_overflow(row[w], hit, &sum);
		over |= __builtin_add_overflow(sum, carry, &sum);
		carry = over;
		row[w] = sum | (row[w] & ~match[w]);
	}
}

/* Goes through all rows; returns the length of the subsequence. */
static size_t lcs_run(struct lcs *lcs)
{
	if (!lcs->row)
		return 0;
	for (size_t i = 0; i < lcs->a.len; i++) {
		row_advance(lcs->row, lcs->matches[(uint8_t)lcs->a.ptr[i]], lcs->words);
		if (lcs->rows)
			memcpy(lcs->rows + i * lcs->row_bytes, lcs->row, lcs->row_bytes);
	}
	size_t len = 0;
	for (size_t w = 0; w < lcs->words; w++)
		len += (size_t)__builtin_popcountll(~lcs->row[w]);
	return len;
}

/*
 * One step back of *i and *j, which count bytes of a and b; true when it went over bytes that
 * match. (A row is read byte by byte: bit j stands in byte j / 8 on this side of the endian
 * divide.)
 */
static bool lcs_back(const struct lcs *lcs, size_t *i, size_t *j)
{
	if (lcs->a.ptr[*i - 1] == lcs->b.ptr[*j - 1]) {
		--*i;
		--*j;
		return true;
	}
	const char *row = lcs->rows + (*i - 1) * lcs->row_bytes;
	size_t bit = *j - 1;
	if ((uint8_t)row[bit / 8] >> bit % 8 & 1)
		--*j;
	else
		--*i;
	return false;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows are read by the byte");

/* --- replies --- */

static void reply_subsequence(struct reply *r, const struct lcs *lcs, size_t len)
{
	char *text = mem_alloc(len + 1);
	size_t left = len;
	for (size_t i = lcs->a.len, j = lcs->b.len; left > 0;)
		if (lcs_back(lcs, &i, &j))
			text[--left] = lcs->a.ptr[i];
	reply_bulk(r, text, len);
	mem_free(text, len + 1);
}

struct options {
	bool len;
	bool idx;
	bool with_match_len;
	int64_t match_len_min;
};

static void reply_range(struct reply *r, size_t start, size_t len)
{
	reply_array(r, 2);
	reply_int(r, (int64_t)start);
	reply_int(r, (int64_t)(start + len - 1));
}

/* A run of matching bytes that starts at a[i] and b[j]; returns how many were replied, 0 or 1. */
static size_t reply_match(struct reply *r, const struct options *o, size_t i, size_t j, size_t len)
{
	if (len == 0 || (int64_t)len < o->match_len_min)
		return 0;
	reply_array(r, 2 + o->with_match_len);
	reply_range(r, i, len);
	reply_range(r, j, len);
	if (o->with_match_len)
		reply_int(r, (int64_t)len);
	return 1;
}

/* All runs, from the last to the first. */
static void reply_matches(struct reply *r, const struct options *o, const struct lcs *lcs,
			  size_t len)
{
	size_t header = reply_later(r);
	size_t count = 0, run = 0;
	size_t i = lcs->a.len, j = lcs->b.len;
	for (size_t left = len; left > 0;) {
		size_t run_i = i, run_j = j;
		if (lcs_back(lcs, &i, &j)) {
			run++;
			left--;
		} else {
			count += reply_match(r, o, run_i, run_j, run);
			run = 0;
		}
	}
	count += reply_match(r, o, i, j, run);
	reply_array_at(r, header, count);
}

/* --- the command --- */

static bool options_parse(struct ctx *ctx, struct options *o)
{
	*o = (struct options){0};
	for (uint32_t i = 3; i < ctx->argc; i++) {
		if (slice_is(ctx->argv[i], "idx")) {
			o->idx = true;
		} else if (slice_is(ctx->argv[i], "len")) {
			o->len = true;
		} else if (slice_is(ctx->argv[i], "withmatchlen")) {
			o->with_match_len = true;
		} else if (slice_is(ctx->argv[i], "minmatchlen") && i + 1 < ctx->argc) {
			if (!ctx_arg_int(ctx, ++i, &o->match_len_min))
				return false;
		} else {
			reply_error(ctx->reply, error_syntax);
			return false;
		}
	}
	if (!o->idx || !o->len)
		return true;
	reply_error(ctx->reply,
		    "ERR If you want both the length and indexes, please just use IDX.");
	return false;
}

/* The table must not be larger than a string may be. */
static bool check_size(struct ctx *ctx, size_t a, size_t b)
{
	uint64_t max = atomic_load_explicit(&ctx->ks->string_max, memory_order_relaxed);
	uint64_t size;
	if (!__builtin_mul_overflow(a + 1, (b + 1) * TABLE_NUMBER, &size) && size <= max)
		return true;
	reply_error(ctx->reply, "ERR Insufficient memory, transient memory for LCS exceeds "
				"proto-max-bulk-len");
	return false;
}

static void lcs_reply(struct reply *r, const struct options *o, struct slice a, struct slice b)
{
	struct lcs lcs;
	lcs_init(&lcs, a, b, o->idx || !o->len);
	size_t len = lcs_run(&lcs);
	if (o->idx) {
		reply_map(r, 2);
		reply_bulk_text(r, "matches");
		reply_matches(r, o, &lcs, len);
		reply_bulk_text(r, "len");
		reply_int(r, (int64_t)len);
	} else if (o->len) {
		reply_int(r, (int64_t)len);
	} else {
		reply_subsequence(r, &lcs, len);
	}
	lcs_deinit(&lcs);
}

void cmd_lcs(struct ctx *ctx)
{
	struct options o;
	struct entry *e[2] = {ctx_find(ctx, 0), ctx_find(ctx, 1)};
	size_t len[2] = {0, 0};
	for (int i = 0; i < 2; i++) {
		if (e[i] && entry_type(e[i]) != ENTRY_STRING) {
			reply_error(ctx->reply,
				    "ERR The specified keys must contain string values");
			return;
		}
		len[i] = e[i] ? string_length(e[i]) : 0;
	}
	if (!options_parse(ctx, &o) || !check_size(ctx, len[0], len[1]))
		return;
	struct slice text[2] = {{"", 0}, {"", 0}};
	char *scratch[2] = {NULL, NULL};
	for (int i = 0; i < 2; i++)
		if (e[i])
			text[i] = string_bytes(e[i], &scratch[i]);
	lcs_reply(ctx->reply, &o, text[0], text[1]);
	for (int i = 0; i < 2; i++)
		mem_free_unsized(scratch[i]);
}
