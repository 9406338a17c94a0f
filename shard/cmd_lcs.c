/*
 * LCS: the longest common subsequence of two strings, by the classic table of lengths.
 *
 * The table takes (a+1) * (b+1) * 4 bytes; like Redis we refuse one that would be larger than
 * proto-max-bulk-len. The matching ranges are found walking back from the table's end.
 */
#include "proto/mem.h"
#include "shard/handlers.h"
#include "shard/string.h"

struct lcs_options {
	bool len, idx, with_match_len;
	int64_t min_match_len;
};

struct lcs {
	struct slice a, b;
	uint32_t *table; /* (a.len + 1) rows of (b.len + 1) lengths */
};

static bool lcs_parse(struct ctx *ctx, struct lcs_options *o)
{
	for (uint32_t i = 3; i < ctx->argc; i++) {
		struct slice word = ctx->argv[i];
		if (slice_is(word, "idx")) {
			o->idx = true;
		} else if (slice_is(word, "len")) {
			o->len = true;
		} else if (slice_is(word, "withmatchlen")) {
			o->with_match_len = true;
		} else if (slice_is(word, "minmatchlen") && i + 1 < ctx->argc) {
			if (!ctx_arg_int(ctx, ++i, &o->min_match_len))
				return false;
			if (o->min_match_len < 0)
				o->min_match_len = 0;
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

static uint32_t *cell(const struct lcs *l, size_t i, size_t j)
{
	return &l->table[i * (l->b.len + 1) + j];
}

static void fill_table(const struct lcs *l)
{
	for (size_t j = 0; j <= l->b.len; j++)
		*cell(l, 0, j) = 0;
	for (size_t i = 1; i <= l->a.len; i++) {
		*cell(l, i, 0) = 0;
		for (size_t j = 1; j <= l->b.len; j++) {
			uint32_t up = *cell(l, i - 1, j), left = *cell(l, i, j - 1);
			if (l->a.ptr[i - 1] == l->b.ptr[j - 1])
				*cell(l, i, j) = *cell(l, i - 1, j - 1) + 1;
			else
				*cell(l, i, j) = up > left ? up : left;
		}
	}
}

/* A run of equal bytes, found from its end backwards: a[a_start..a_start+len), b likewise. */
struct run {
	size_t a_start, b_start, len;
};

static void reply_run(struct ctx *ctx, const struct run *run, const struct lcs_options *o)
{
	reply_array(ctx->reply, o->with_match_len ? 3 : 2);
	reply_array(ctx->reply, 2);
	reply_int(ctx->reply, (int64_t)run->a_start);
	reply_int(ctx->reply, (int64_t)(run->a_start + run->len - 1));
	reply_array(ctx->reply, 2);
	reply_int(ctx->reply, (int64_t)run->b_start);
	reply_int(ctx->reply, (int64_t)(run->b_start + run->len - 1));
	if (o->with_match_len)
		reply_int(ctx->reply, (int64_t)run->len);
}

/*
 * Walks back from the end. Writes the subsequence to `out` (when not NULL) and replies each run of at
 * least the minimal length (when `o` is not NULL); returns how many runs it replied.
 */
static size_t walk_back(struct ctx *ctx, const struct lcs *l, char *out,
			const struct lcs_options *o)
{
	size_t i = l->a.len, j = l->b.len, at = *cell(l, i, j), replied = 0;
	struct run run = {0};
	while (i > 0 && j > 0) {
		bool equal = l->a.ptr[i - 1] == l->b.ptr[j - 1];
		if (equal) {
			if (out)
				out[--at] = l->a.ptr[i - 1];
			run = (struct run){i - 1, j - 1, run.len + 1};
			i--;
			j--;
		} else if (*cell(l, i - 1, j) > *cell(l, i, j - 1)) {
			i--;
		} else {
			j--;
		}
		bool ends = !equal || i == 0 || j == 0;
		if (ends && run.len > 0) {
			if (o && run.len >= (size_t)o->min_match_len) {
				reply_run(ctx, &run, o);
				replied++;
			}
			run.len = 0;
		}
	}
	return replied;
}

static void lcs_reply(struct ctx *ctx, const struct lcs *l, const struct lcs_options *o)
{
	uint32_t length = *cell(l, l->a.len, l->b.len);
	if (o->len) {
		reply_int(ctx->reply, length);
	} else if (o->idx) {
		reply_map(ctx->reply, 2);
		reply_bulk_text(ctx->reply, "matches");
		size_t at = reply_later(ctx->reply);
		reply_array_at(ctx->reply, at, walk_back(ctx, l, NULL, o));
		reply_bulk_text(ctx->reply, "len");
		reply_int(ctx->reply, length);
	} else {
		char *text = mem_alloc(length + 1);
		walk_back(ctx, l, text, NULL);
		reply_bulk(ctx->reply, text, length);
		mem_free(text, length + 1);
	}
}

static void lcs_run(struct ctx *ctx, struct lcs *l, const struct lcs_options *o)
{
	uint64_t max = atomic_load_explicit(&ctx->ks->string_max, memory_order_relaxed);
	unsigned __int128 bytes = (unsigned __int128)(l->a.len + 1) * (l->b.len + 1) * 4;
	if (l->a.len >= UINT32_MAX - 1 || l->b.len >= UINT32_MAX - 1) {
		reply_error(ctx->reply, "ERR String too long for LCS");
		return;
	}
	if (bytes > max) {
		reply_error(ctx->reply, "ERR Insufficient memory, transient memory for LCS exceeds "
					"proto-max-bulk-len");
		return;
	}
	l->table = mem_alloc((size_t)bytes);
	fill_table(l);
	lcs_reply(ctx, l, o);
	mem_free(l->table, (size_t)bytes);
}

void cmd_lcs(struct ctx *ctx)
{
	struct lcs_options o = {0};
	struct entry *a = ctx_find(ctx, 0);
	struct entry *b = ctx_find(ctx, 1);
	if (ctx->need_holder)
		return;
	if ((a && entry_type(a) != ENTRY_STRING) || (b && entry_type(b) != ENTRY_STRING)) {
		reply_error(ctx->reply, "ERR The specified keys must contain string values");
		return;
	}
	if (!lcs_parse(ctx, &o))
		return;
	char *a_scratch = NULL, *b_scratch = NULL;
	struct lcs l = {.a = a ? string_bytes(a, &a_scratch) : SLICE(""),
			.b = b ? string_bytes(b, &b_scratch) : SLICE("")};
	lcs_run(ctx, &l, &o);
	mem_free_unsized(a_scratch);
	mem_free_unsized(b_scratch);
}
