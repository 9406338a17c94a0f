/*
 * Cutting requests out of a byte stream.
 *
 *	*3\r\n  $3\r\nSET\r\n  $1\r\nk\r\n  $5\r\nvalue\r\n
 *
 * The straight path: one pass over the header lines, digit by digit, without a call; the bytes of
 * the arguments are stepped over unread. Whatever is not a plain header line that is all there goes
 * to header_parse(), which knows the rules in full:
 *	- a header line ends at its '\r'; the byte behind it is taken for the '\n' unread, and so
 *	  are the two bytes behind an argument;
 *	- a line is judged only when it is whole, and may take RESP_INLINE_MAX bytes;
 *	- a zero byte hides the end of the line it stands in, so that such a line is never whole.
 *
 * A request that is not whole costs no memory here. The parser remembers how far its arguments
 * were all there; the next call goes on at that place, and when the last one has arrived the
 * request is cut in one pass from its start. So each byte of a header is looked at twice at most,
 * however many pieces a request comes in. (Only a single line in pieces is searched again.)
 */
#include "proto/resp.h"

#include "proto/mem.h"
#include "proto/number.h"

#include <assert.h>

/* The shortest argument, "$0\r\n\r\n". */
#define BULK_MIN 6
/* Behind each argument. */
#define BULK_END 2
/* Numbers of so many digits need no care. */
#define DIGITS_FAST_MAX 18
#define ARGS_MIN        64

/* A request being cut. */
struct cut {
	const char *start; /* its first byte */
	const char *p;     /* the byte to look at next */
	const char *end;   /* behind the bytes received */
	const struct resp_limits *limits;
	struct resp_request *request;
};

/* What tells the two kinds of header lines apart. */
struct header {
	char mark;
	const char *too_long;
	const char *invalid;
	const char *stranger;
	int64_t min;
	int64_t stranger_max;
};

static const struct header multibulk = {
	.mark = '*',
	.too_long = "ERR Protocol error: too big mbulk count string",
	.invalid = "ERR Protocol error: invalid multibulk length",
	.stranger = "ERR Protocol error: unauthenticated multibulk length",
	.min = INT64_MIN,
	.stranger_max = RESP_ARGS_MAX_UNAUTHENTICATED,
};

static const struct header bulk = {
	.mark = '$',
	.too_long = "ERR Protocol error: too big bulk count string",
	.invalid = "ERR Protocol error: invalid bulk length",
	.stranger = "ERR Protocol error: unauthenticated bulk length",
	.min = 0,
	.stranger_max = RESP_BULK_MAX_UNAUTHENTICATED,
};

void args_deinit(struct args *args)
{
	mem_free(args->v, args->cap * sizeof(*args->v));
	*args = (struct args){0};
}

/* Room for `more` slices behind the last one. */
static inline struct slice *args_reserve(struct args *args, uint32_t more)
{
	if (args->cap - args->count < more) {
		uint32_t cap = args->cap < ARGS_MIN / 2 ? ARGS_MIN : args->cap * 2;

		assert(more <= UINT32_MAX / 2 - args->count);
		if (cap < args->count + more)
			cap = args->count + more;
		args->v = mem_realloc(args->v, cap * sizeof(*args->v));
		args->cap = cap;
	}
	return args->v + args->count;
}

void args_push(struct args *args, struct slice arg)
{
	*args_reserve(args, 1) = arg;
	args->count++;
}

void resp_parser_deinit(struct resp_parser *parser)
{
	*parser = (struct resp_parser){0};
}

static enum resp_result fail(struct cut *cut, const char *error)
{
	cut->request->error = error;
	return RESP_ERROR;
}

/* Nothing else can be said before there are `need` bytes behind cut->p. */
static enum resp_result more(struct cut *cut, size_t need)
{
	cut->request->need = cut->p - cut->start + need;
	return RESP_MORE;
}

/* Finds the `last` byte of the line at cut->p. */
static enum resp_result line_find(struct cut *cut, char last, const char *too_long,
				  const char **found)
{
	size_t len = cut->end - cut->p;
	size_t window = len <= RESP_INLINE_MAX ? len : RESP_INLINE_MAX + 1;
	const char *zero;

	*found = memchr(cut->p, last, window);
	zero = memchr(cut->p, '\0', *found != NULL ? (size_t)(*found - cut->p) : window);
	if (*found != NULL && zero == NULL)
		return RESP_REQUEST;
	if (len > RESP_INLINE_MAX)
		return fail(cut, too_long);
	return more(cut, zero != NULL ? RESP_INLINE_MAX + 1 : len + 1);
}

static enum resp_result fail_mark(struct cut *cut)
{
	static const char text[] = "ERR Protocol error: expected '$', got '?'";
	char *out = cut->request->text;

	_Static_assert(sizeof(text) <= sizeof(cut->request->text), "the text fits");
	memcpy(out, text, sizeof(text));
	out[sizeof(text) - 3] = *cut->p;
	return fail(cut, out);
}

/* Any header line; cut->p moves behind it when it is good. */
static enum resp_result header_parse(struct cut *cut, const struct header *header, uint64_t max,
				     int64_t *n)
{
	const char *cr;
	enum resp_result result = line_find(cut, '\r', header->too_long, &cr);

	if (result != RESP_REQUEST)
		return result;
	if (cut->end - cr < 2)
		return more(cut, cr - cut->p + 2);
	if (*cut->p != header->mark)
		return fail_mark(cut);
	if (!number_parse((struct slice){cut->p + 1, cr - cut->p - 1}, n) || *n < header->min ||
	    (*n > 0 && (uint64_t)*n > max))
		return fail(cut, header->invalid);
	if (*n > header->stranger_max && !cut->limits->authenticated)
		return fail(cut, header->stranger);
	cut->p = cr + 2;
	return RESP_REQUEST;
}

/*
 * The usual header line, behind its mark: the number, and where the next line begins. NULL when it
 * is anything else, be it that it is wrong or that it isn't whole.
 */
static inline const char *header_fast(const char *p, const char *end, int64_t *n)
{
	const char *first = p;
	uint64_t digit, value = 0;

	for (; p < end && (digit = (uint64_t)(unsigned char)*p - '0') <= 9; p++)
		value = value * 10 + digit;
	*n = (int64_t)value;
	if (end - p < 2 || *p != '\r' || p == first || p - first > DIGITS_FAST_MAX ||
	    (*first == '0' && p - first > 1))
		return NULL;
	return p + 2;
}

/*
 * Steps over `*left` arguments and writes them down, unless `out` is NULL. When it stops early,
 * cut->p stands at the first argument that is not whole and *left counts from it.
 */
static inline __attribute__((always_inline)) enum resp_result
bulks_cut(struct cut *cut, uint32_t *left, struct slice *out)
{
	const char *p = cut->p;
	const char *end = cut->end;
	size_t max = cut->limits->bulk_max;

	if (!cut->limits->authenticated && max > RESP_BULK_MAX_UNAUTHENTICATED)
		max = RESP_BULK_MAX_UNAUTHENTICATED;
	for (; *left > 0; --*left) {
		const char *body = NULL;
		int64_t n;

		if (p < end && *p == '$')
			body = header_fast(p + 1, end, &n);
		if (__builtin_expect(body == NULL || (size_t)n > max, 0)) {
			enum resp_result result;

			cut->p = p;
			result = header_parse(cut, &bulk, cut->limits->bulk_max, &n);
			if (result != RESP_REQUEST)
				return result;
			body = cut->p;
		}
		if (__builtin_expect((size_t)(end - body) < (size_t)n + BULK_END, 0)) {
			cut->p = p;
			return more(cut, body - p + (size_t)n + BULK_END);
		}
		if (out != NULL)
			*out++ = (struct slice){body, n};
		p = body + n + BULK_END;
	}
	cut->p = p;
	return RESP_REQUEST;
}

/* Notes where a request that isn't whole breaks off, for array_resume(). */
static enum resp_result array_leave(struct resp_parser *parser, const struct cut *cut,
				    enum resp_result result, uint32_t left)
{
	parser->at = cut->p - cut->start;
	parser->left = result == RESP_MORE ? left : 0;
	return result;
}

/* RESP_REQUEST: the arguments are all there now. */
static __attribute__((noinline)) enum resp_result array_resume(struct resp_parser *parser,
							       struct cut *cut)
{
	uint32_t left = parser->left;
	enum resp_result result;

	assert(parser->at <= (size_t)(cut->end - cut->start));
	cut->p = cut->start + parser->at;
	result = bulks_cut(cut, &left, NULL);
	return array_leave(parser, cut, result, left);
}

static enum resp_result array_cut(struct resp_parser *parser, struct cut *cut, struct args *args)
{
	int64_t max = cut->limits->authenticated ? RESP_ARGS_MAX : RESP_ARGS_MAX_UNAUTHENTICATED;
	enum resp_result result;
	const char *first;
	struct slice *out;
	uint32_t left;
	int64_t count;

	cut->p = cut->start;
	first = header_fast(cut->p + 1, cut->end, &count);
	if (first != NULL && count <= max) {
		cut->p = first;
	} else {
		result = header_parse(cut, &multibulk, RESP_ARGS_MAX, &count);
		if (result != RESP_REQUEST)
			return result;
	}
	left = count > 0 ? count : 0;
	/* No room for arguments that were announced and cannot be there yet. */
	out = NULL;
	if (left > 0 && (size_t)left * BULK_MIN <= (size_t)(cut->end - cut->p))
		out = args_reserve(args, left);
	result = bulks_cut(cut, &left, out);
	if (result == RESP_REQUEST && count > 0)
		args->count += count;
	return array_leave(parser, cut, result, left);
}

static inline bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* '\v' and '\f' stand between words, but do not end one. */
static inline bool ends_word(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 'a' - 'A';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static inline char escaped(char c)
{
	static const char names[] = "nrtba";
	static const char meant[] = "\n\r\t\b\a";
	const char *name = memchr(names, c, sizeof(names) - 1);

	return name != NULL ? meant[name - names] : c;
}

/* Unescapes what stands in quotes at `p`. Returns the place behind them; NULL: they are wrong. */
static const char *quoted_copy(const char *p, const char *end, char **out)
{
	char quote = *p++;
	char *o = *out;

	while (p < end && *p != quote) {
		if (*p != '\\' || end - p < 2) {
			*o++ = *p++;
		} else if (quote == '"' && end - p >= 4 && p[1] == 'x' && hex_digit(p[2]) >= 0 &&
			   hex_digit(p[3]) >= 0) {
			*o++ = (char)(hex_digit(p[2]) << 4 | hex_digit(p[3]));
			p += 4;
		} else if (quote == '"' || p[1] == '\'') {
			*o++ = quote == '"' ? escaped(p[1]) : '\'';
			p += 2;
		} else {
			*o++ = *p++;
		}
	}
	*out = o;
	return p < end && (p + 1 == end || is_space(p[1])) ? p + 1 : NULL;
}

/* Unescapes the word at `p`. A word ends with its first closing quote. */
static const char *word_copy(const char *p, const char *end, char **out)
{
	while (p < end && !ends_word(*p)) {
		if (*p == '"' || *p == '\'')
			return quoted_copy(p, end, out);
		*(*out)++ = *p++;
	}
	return p;
}

/* Words go to `out`, which has room for the line; NULL: no quotes, they stay where they are. */
static bool words_split(const char *p, const char *end, struct args *args, char *out)
{
	uint32_t before = args->count;

	for (;;) {
		const char *word;

		while (p < end && is_space(*p))
			p++;
		if (p == end)
			return true;
		word = out != NULL ? out : p;
		if (out != NULL) {
			p = word_copy(p, end, &out);
			if (p == NULL) {
				args->count = before;
				return false;
			}
		} else {
			while (p < end && !ends_word(*p))
				p++;
		}
		args_push(args, (struct slice){word, (out != NULL ? out : p) - word});
	}
}

bool args_split(const char *line, size_t len, struct args *args, char **scratch)
{
	*scratch = NULL;
	if (len > 0)
		len = strnlen(line, len);
	if (len == 0)
		return true;
	*scratch = mem_alloc(len);
	if (words_split(line, line + len, args, *scratch))
		return true;
	mem_free(*scratch, len);
	*scratch = NULL;
	return false;
}

static __attribute__((noinline)) enum resp_result inline_cut(struct cut *cut, struct args *args)
{
	const char *line = cut->start;
	const char *end;
	enum resp_result result =
		line_find(cut, '\n', "ERR Protocol error: too big inline request", &end);
	bool good;

	if (result != RESP_REQUEST)
		return result;
	cut->p = end + 1;
	if (end > line && end[-1] == '\r')
		end--;
	if (memchr(line, '"', end - line) != NULL || memchr(line, '\'', end - line) != NULL)
		good = args_split(line, end - line, args, &cut->request->scratch);
	else
		good = words_split(line, end, args, NULL);
	return good ? RESP_REQUEST : fail(cut, "ERR Protocol error: unbalanced quotes in request");
}

enum resp_result resp_parse(struct resp_parser *parser, const struct resp_limits *limits,
			    const char *buf, size_t len, struct args *args,
			    struct resp_request *request)
{
	struct cut cut = {buf, buf, buf + len, limits, request};
	enum resp_result result = RESP_REQUEST;

	request->scratch = NULL;
	if (len == 0)
		return more(&cut, 1);
	if (parser->left > 0)
		result = array_resume(parser, &cut);
	if (result != RESP_REQUEST)
		return result;
	result = *buf == '*' ? array_cut(parser, &cut, args) : inline_cut(&cut, args);
	request->used = cut.p - buf;
	return result;
}
