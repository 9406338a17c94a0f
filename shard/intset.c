/*
 * Intsets (intset.h): integers are loaded and stored at any width, so a change is one loop where
 * the width changes and one memmove where it doesn't.
 */
#include "shard/intset.h"

#include <assert.h>

#define COUNT_AT 4

static size_t header_read(const char *set, size_t at)
{
	uint32_t n;

	memcpy(&n, set + at, sizeof(n));
	return n;
}

static void header_write(char *set, size_t width, size_t count)
{
	assert(count <= UINT32_MAX);
	memcpy(set, &(uint32_t){width}, 4);
	memcpy(set + COUNT_AT, &(uint32_t){count}, 4);
}

static size_t width_of(const char *set)
{
	return header_read(set, 0);
}

static size_t width_needed(int64_t n)
{
	return n == (int16_t)n ? 2 : n == (int32_t)n ? 4 : 8;
}

/* The width of the set with n in it. */
static size_t width_with(const char *set, int64_t n)
{
	size_t width = width_of(set), needed = width_needed(n);

	return needed > width ? needed : width;
}

static int64_t load(const char *set, size_t width, size_t index)
{
	const char *p = set + INTSET_HEADER + index * width;
	int64_t n64;
	int32_t n32;
	int16_t n16;

	switch (width) {
	case 2:
		memcpy(&n16, p, sizeof(n16));
		return n16;
	case 4:
		memcpy(&n32, p, sizeof(n32));
		return n32;
	default:
		memcpy(&n64, p, sizeof(n64));
		return n64;
	}
}

static void store(char *set, size_t width, size_t index, int64_t n)
{
	memcpy(set + INTSET_HEADER + index * width, &n, width);
}

size_t intset_bytes(const char *set)
{
	return INTSET_HEADER + intset_count(set) * width_of(set);
}

size_t intset_count(const char *set)
{
	return header_read(set, COUNT_AT);
}

int64_t intset_get(const char *set, size_t index)
{
	assert(index < intset_count(set));
	return load(set, width_of(set), index);
}

bool intset_find(const char *set, int64_t n, size_t *index)
{
	size_t width = width_of(set), count = intset_count(set);
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (load(set, width, middle) < n)
			low = middle + 1;
		else
			high = middle;
	}
	if (index != NULL)
		*index = low;
	return low < count && load(set, width, low) == n;
}

size_t intset_add_bytes(const char *set, int64_t n)
{
	return INTSET_HEADER + (intset_count(set) + 1) * width_with(set, n);
}

/* Copies the bytes up to an offset, and those from `rest` on to their new place. */
static void move_around(char *out, const char *set, size_t offset, size_t to, size_t rest)
{
	memmove(out + to, set + rest, intset_bytes(set) - rest);
	if (out != set)
		memcpy(out, set, offset);
}

/* From the last to the first, so that in place none is overwritten before it is read. */
static void widen(char *out, const char *set, size_t index, size_t to_width)
{
	size_t width = width_of(set);

	for (size_t i = intset_count(set); i-- > 0;)
		store(out, to_width, i < index ? i : i + 1, load(set, width, i));
}

void intset_add(char *out, const char *set, size_t index, int64_t n)
{
	size_t count = intset_count(set), width = width_with(set, n);
	size_t offset = INTSET_HEADER + index * width;

	assert(index <= count);
	if (width > width_of(set))
		widen(out, set, index, width);
	else
		move_around(out, set, offset, offset + width, offset);
	store(out, width, index, n);
	header_write(out, width, count + 1);
}

size_t intset_remove_bytes(const char *set)
{
	return intset_bytes(set) - width_of(set);
}

void intset_remove(char *out, const char *set, size_t index)
{
	size_t count = intset_count(set), width = width_of(set);
	size_t offset = INTSET_HEADER + index * width;

	assert(index < count);
	move_around(out, set, offset, offset, offset + width);
	header_write(out, width, count - 1);
}

bool intset_valid(struct slice bytes)
{
	size_t width;

	if (bytes.len < INTSET_HEADER)
		return false;
	width = width_of(bytes.ptr);
	if ((width != 2 && width != 4 && width != 8) || intset_bytes(bytes.ptr) != bytes.len)
		return false;
	for (size_t i = 1; i < intset_count(bytes.ptr); i++)
		if (load(bytes.ptr, width, i - 1) >= load(bytes.ptr, width, i))
			return false;
	return true;
}
