/*
 * Comparing slices.
 */
#include "proto/slice.h"

bool slice_spells(struct slice s, const char *word)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		if (c != word[i])
			return false;
	}
	return true;
}

int slice_compare(struct slice a, struct slice b)
{
	size_t both = a.len < b.len ? a.len : b.len;
	int order = both > 0 ? memcmp(a.ptr, b.ptr, both) : 0;

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}
