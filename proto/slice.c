/*
 * Comparing slices.
 */
#include "proto/slice.h"

bool slice_is(struct slice s, const char *word)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		/* A zero in `s` must not pass for the end of `word`. */
		if (word[i] == '\0' || c != word[i])
			return false;
	}
	return word[s.len] == '\0';
}

int slice_compare(struct slice a, struct slice b)
{
	size_t both = a.len < b.len ? a.len : b.len;
	int order = both > 0 ? memcmp(a.ptr, b.ptr, both) : 0;

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}
