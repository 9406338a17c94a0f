/*
 * Glob patterns.
 *
 * A pattern is a row of elements: '*' takes any number of bytes, every other element exactly one.
 * So when something does not fit, only the last '*' need take one byte more: what an earlier one
 * could do about it, the last one can do too. That bounds the work by pattern times text.
 *
 * The odd corners are Redis', as seen on the wire:
 *	- a class without its ']' ends with the pattern; "[^" alone takes any byte;
 *	- ']' directly after '[' closes an empty class, which takes nothing;
 *	- a range may stand the wrong way round, its end may be ']' or '\', its bytes are signed;
 *	- ignoring case, the ends of a range are turned to lower case after they were put in
 *	  order, and an escaped byte in a class keeps its case;
 *	- '\' at the very end stands for itself;
 *	- nothing but the empty pattern fits the empty text, not even "*".
 */
#include "proto/glob.h"

static inline int fold(int c, bool ignore_case)
{
	return ignore_case && c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static bool range_has(int first, int last, int c, bool ignore_case)
{
	if (first > last) {
		int swap = first;

		first = last;
		last = swap;
	}
	c = fold(c, ignore_case);
	return c >= fold(first, ignore_case) && c <= fold(last, ignore_case);
}

/* A class; *p stands behind its '[' and is moved behind its end. */
static bool class_has(const char **p, const char *end, char c, bool ignore_case)
{
	const char *q = *p;
	bool negated = q < end && *q == '^';
	bool found = false;

	for (q += negated; q < end && *q != ']';) {
		if (*q == '\\' && end - q >= 2) {
			found |= q[1] == c;
			q += 2;
		} else if (end - q >= 3 && q[1] == '-') {
			found |= range_has(q[0], q[2], c, ignore_case);
			q += 3;
		} else {
			found |= fold(*q, ignore_case) == fold(c, ignore_case);
			q++;
		}
	}
	*p = q < end ? q + 1 : end;
	return found != negated;
}

/* Whether the element at *p, not a '*', takes the byte `c`; *p is moved behind it. */
static bool element_takes(const char **p, const char *end, char c, bool ignore_case)
{
	char e = *(*p)++;

	if (e == '?')
		return true;
	if (e == '[')
		return class_has(p, end, c, ignore_case);
	if (e == '\\' && *p < end)
		e = *(*p)++;
	return fold(e, ignore_case) == fold(c, ignore_case);
}

bool glob_match(struct slice pattern, struct slice text, bool ignore_case)
{
	const char *p = pattern.ptr;
	const char *p_end = p + pattern.len;
	const char *t = text.ptr;
	const char *t_end = t + text.len;
	const char *after_star = NULL; /* the pattern behind the last '*' */
	const char *star_end = NULL;   /* the text behind what that '*' takes */

	if (text.len == 0)
		return pattern.len == 0;
	while (t < t_end) {
		if (p < p_end && *p == '*') {
			after_star = ++p;
			star_end = t;
			if (p == p_end)
				return true;
		} else if (p < p_end && element_takes(&p, p_end, *t, ignore_case)) {
			t++;
		} else if (after_star != NULL) {
			p = after_star;
			t = ++star_end;
		} else {
			return false;
		}
	}
	while (p < p_end && *p == '*')
		p++;
	return p == p_end;
}
