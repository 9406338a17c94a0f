/*
 * Reading journals back (merge.h).
 *
 * read_head() looks at everything up to the end of a source's next record and notes what it needs;
 * may_take() compares that with what is done; merge() goes round the sources until nobody gets on.
 */
#include "persist/merge.h"

#include "persist/segment.h"
#include "proto/crc16.h"
#include "proto/crc64.h"
#include "proto/mem.h"
#include "proto/number.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* An argument count or length beyond this is no effect of ours. */
#define COUNT_MAX (1ll << 32)

/* Of a CRC-64 in hexadecimal. */
#define SUM_DIGITS 16

struct need {
	uint64_t what; /* a slot, or a worker */
	uint64_t n;
};

/* The record that a source is at. */
struct head {
	bool known;
	struct merge_record record;
	size_t end;        /* of the record in the source */
	uint64_t all_seen; /* units on all slots that its journal had seen */
	uint64_t all;      /* it is the n-th such unit itself; 0: it isn't one */
	const char *sum;   /* the digits of its sum; NULL: it has none */
	struct need *needs;
	uint32_t need_count, need_cap;
};

struct cursor {
	struct merge_source *source;
	size_t at; /* behind the last record taken */
	uint32_t db;
	uint64_t all_seen;
	uint64_t epoch;
	int64_t ms;
	struct head head;
	bool ended;
};

struct merger {
	struct cursor *cursors;
	uint32_t count;
	const struct commit *committed; /* NULL: no power loss */
	uint64_t all_done;
	uint64_t slots_done[SLOT_COUNT];
};

/* --- text --- */

/* A number that ends with `end`; moves behind it. */
static bool read_number(const char **at, const char *stop, char end, uint64_t *n)
{
	const char *last = memchr(*at, end, (size_t)(stop - *at));
	if (!last || !number_parse_unsigned((struct slice){*at, (size_t)(last - *at)}, n))
		return false;
	*at = last + 1;
	return true;
}

/* "*3\r\n" or "$5\r\n" at *at. MERGE_PART, MERGE_BAD, or 1. */
static ptrdiff_t read_count(const char *bytes, size_t len, size_t *at, char sign, uint64_t *n)
{
	if (*at >= len)
		return MERGE_PART;
	if (bytes[*at] != sign)
		return MERGE_BAD;
	const char *line = bytes + *at + 1;
	size_t room = len - *at - 1;
	const char *end = memchr(line, '\r', room < NUMBER_TEXT_MAX + 1 ? room : NUMBER_TEXT_MAX + 1);
	if (!end)
		return room > NUMBER_TEXT_MAX ? MERGE_BAD : MERGE_PART;
	if (!number_parse_unsigned((struct slice){line, (size_t)(end - line)}, n) || *n > COUNT_MAX)
		return MERGE_BAD;
	if (end + 1 == bytes + len)
		return MERGE_PART;
	*at = (size_t)(end + 2 - bytes);
	return end[1] == '\n' ? 1 : MERGE_BAD;
}

static ptrdiff_t read_arg(const char *bytes, size_t len, size_t *at, struct slice *arg)
{
	uint64_t n;
	ptrdiff_t result = read_count(bytes, len, at, '$', &n);
	if (result <= 0)
		return result;
	if (len - *at < n + 2)
		return MERGE_PART;
	*arg = (struct slice){bytes + *at, n};
	*at += n + 2;
	return memcmp(bytes + *at - 2, "\r\n", 2) == 0 ? 1 : MERGE_BAD;
}

ptrdiff_t merge_effect(const char *bytes, size_t len, struct slice *argv, uint32_t max,
		       uint32_t *argc)
{
	size_t at = 0;
	uint64_t count;
	struct slice arg;
	ptrdiff_t result = read_count(bytes, len, &at, '*', &count);
	if (result <= 0)
		return result;
	if (count == 0)
		return MERGE_BAD;
	*argc = (uint32_t)count;
	for (uint64_t i = 0; i < count; i++) {
		result = read_arg(bytes, len, &at, &arg);
		if (result <= 0)
			return result;
		if (i < max)
			argv[i] = arg;
	}
	return (ptrdiff_t)at;
}

/* --- heads --- */

static void need_add(struct head *head, uint64_t what, uint64_t n)
{
	if (head->need_count == head->need_cap) {
		head->need_cap = head->need_cap ? head->need_cap * 2 : 4;
		head->needs = mem_realloc(head->needs, head->need_cap * sizeof(*head->needs));
	}
	head->needs[head->need_count++] = (struct need){what, n};
}

/* "3:17,5:1" up to the end of the line, each `what` below the limit. */
static bool read_needs(struct head *head, const char *at, const char *stop, uint64_t limit)
{
	for (;;) {
		uint64_t what, n;
		const char *comma = memchr(at, ',', (size_t)(stop - at));
		const char *end = comma ? comma : stop;
		if (!read_number(&at, end, ':', &what) || what >= limit ||
		    !number_parse_unsigned((struct slice){at, (size_t)(end - at)}, &n))
			return false;
		need_add(head, what, n);
		if (!comma)
			return true;
		at = comma + 1;
	}
}

static bool starts_with(const char *at, const char *stop, const char *prefix)
{
	size_t len = strlen(prefix);
	return (size_t)(stop - at) >= len && memcmp(at, prefix, len) == 0;
}

static bool ends_with(const char *at, const char *stop, const char *end)
{
	size_t len = strlen(end);
	return (size_t)(stop - at) >= len && memcmp(stop - len, end, len) == 0;
}

/*
 * A power loss has come before the epoch was committed, and COMMITS doesn't say that it counts all
 * the same.
 */
static bool is_lost(const struct merger *merger, uint64_t epoch)
{
	const struct commit *committed = merger->committed;
	return committed && !committed->always && epoch > committed->epoch;
}

/* "17:1700000000000[:always]" up to the end of the line: as a line of COMMITS has it. */
static bool read_epoch(const char *at, const char *stop, struct commit *epoch)
{
	uint64_t ms;
	epoch->always = ends_with(at, stop, ":always");
	const char *end = epoch->always ? stop - strlen(":always") : stop;
	if (!read_number(&at, stop, ':', &epoch->epoch) || at > end ||
	    !number_parse_unsigned((struct slice){at, (size_t)(end - at)}, &ms) || ms > INT64_MAX)
		return false;
	epoch->ms = (int64_t)ms;
	return true;
}

/* The epoch of the head. */
static bool enter_epoch(const struct merger *merger, struct cursor *cursor, const char *at,
			const char *stop, bool *beyond)
{
	struct merge_source *source = cursor->source;
	struct commit epoch;
	if (!read_epoch(at, stop, &epoch))
		return false;
	cursor->head.record.epoch = epoch.epoch;
	cursor->head.record.ms = epoch.ms;
	if (epoch.epoch > source->epoch_last)
		source->epoch_last = epoch.epoch;
	*beyond = (is_lost(merger, epoch.epoch) && !epoch.always) ||
		  (source->until != EPOCH_NONE && epoch.epoch > source->until);
	return true;
}

/* A comment line without its end. False: it is none that we write. */
static bool read_mark(struct merger *merger, struct cursor *cursor, const char *at,
		      const char *stop, bool *beyond)
{
	struct head *head = &cursor->head;
	if (starts_with(at, stop, "#EP:"))
		return enter_epoch(merger, cursor, at + strlen("#EP:"), stop, beyond);
	if (starts_with(at, stop, "#AL:")) {
		at += strlen("#AL:");
		return number_parse_unsigned((struct slice){at, (size_t)(stop - at)},
					     &head->all_seen);
	}
	if (starts_with(at, stop, "#PRE")) {
		head->record.before_cut = true;
		return at + strlen("#PRE") == stop;
	}
	if (starts_with(at, stop, "#V:"))
		return read_needs(head, at + strlen("#V:"), stop, SLOT_COUNT);
	if (starts_with(at, stop, "#ALL:")) {
		at += strlen("#ALL:");
		return read_number(&at, stop, ':', &head->all) &&
		       read_needs(head, at, stop, SHARDS_MAX);
	}
	if (starts_with(at, stop, "#SUM:")) {
		head->sum = at + strlen("#SUM:");
		return stop - head->sum == SUM_DIGITS;
	}
	return false;
}

/* All marks at *at. */
static enum merge_end read_marks(struct merger *merger, struct cursor *cursor, size_t *at)
{
	const struct merge_source *source = cursor->source;
	while (*at < source->len && source->bytes[*at] == '#') {
		const char *line = source->bytes + *at;
		const char *end = memchr(line, '\n', source->len - *at);
		bool beyond = false;
		if (!end)
			return MERGE_TORN;
		if (end[-1] != '\r' || !read_mark(merger, cursor, line, end - 1, &beyond))
			return MERGE_DAMAGED;
		if (beyond)
			return MERGE_BEYOND;
		*at += (size_t)(end + 1 - line);
	}
	return *at < source->len ? MERGE_WHOLE : MERGE_TORN;
}

/* The effect at *at, with its name and second argument. */
static enum merge_end read_effect(const struct cursor *cursor, size_t *at, struct slice argv[2],
				  uint32_t *argc)
{
	const struct merge_source *source = cursor->source;
	ptrdiff_t taken = merge_effect(source->bytes + *at, source->len - *at, argv, 2, argc);
	if (taken <= 0)
		return taken == MERGE_PART ? MERGE_TORN : MERGE_DAMAGED;
	*at += (size_t)taken;
	return MERGE_WHOLE;
}

/*
 * The effects from *at on: one, or those between MULTI and EXEC; SELECT before them counts already.
 */
static enum merge_end read_effects(struct cursor *cursor, size_t *at)
{
	struct merge_record *record = &cursor->head.record;
	struct slice argv[2];
	uint32_t argc;
	int64_t db;
	bool multi = false;
	for (;;) {
		size_t start = *at;
		enum merge_end end = read_effect(cursor, at, argv, &argc);
		if (end != MERGE_WHOLE)
			return end;
		if (multi && slice_is(argv[0], "exec")) {
			record->len = (size_t)(cursor->source->bytes + start - record->bytes);
			return MERGE_WHOLE;
		}
		if (argc == 2 && slice_is(argv[0], "select")) {
			if (!number_parse(argv[1], &db) || db < 0 || db > UINT32_MAX)
				return MERGE_DAMAGED;
			cursor->db = (uint32_t)db;
			record->db = multi ? record->db : cursor->db;
			continue;
		}
		if (multi)
			continue;
		multi = argc == 1 && slice_is(argv[0], "multi");
		record->bytes = cursor->source->bytes + (multi ? *at : start);
		record->len = *at - start;
		if (!multi)
			return MERGE_WHOLE;
	}
}

/* The record, which ends here, is the one that its sum was made of, if it has one. */
static bool sum_is_right(const struct head *head, const char *end)
{
	char digits[SUM_DIGITS + 1];
	if (!head->sum)
		return true;
	const char *at = head->sum + SUM_DIGITS + strlen("\r\n");
	snprintf(digits, sizeof(digits), "%016" PRIx64, crc64(0, at, (size_t)(end - at)));
	return memcmp(head->sum, digits, SUM_DIGITS) == 0;
}

/* Looks at the next record. MERGE_WHOLE: it is there, or the source is at its end. */
static enum merge_end read_head(struct merger *merger, struct cursor *cursor)
{
	struct head *head = &cursor->head;
	size_t at = cursor->at;
	if (at == cursor->source->len)
		return MERGE_WHOLE;
	head->need_count = 0;
	head->all = 0;
	head->sum = NULL;
	head->all_seen = cursor->all_seen;
	head->record = (struct merge_record){
		.db = cursor->db, .at = at, .epoch = cursor->epoch, .ms = cursor->ms};
	enum merge_end end = read_marks(merger, cursor, &at);
	if (end == MERGE_WHOLE)
		end = head->need_count > 0 ? read_effects(cursor, &at) : MERGE_DAMAGED;
	if (end == MERGE_WHOLE && !sum_is_right(head, cursor->source->bytes + at))
		end = MERGE_DAMAGED;
	if (end != MERGE_WHOLE)
		return end;
	head->record.source = (uint32_t)(cursor - merger->cursors);
	head->record.all = head->all > 0;
	head->record.several = head->need_count > 1 || head->all;
	head->record.slot = (uint16_t)head->needs[0].what;
	head->end = at;
	head->known = true;
	return MERGE_WHOLE;
}

/* --- order --- */

static bool may_take_all(const struct merger *merger, const struct head *head)
{
	if (merger->all_done + 1 != head->all)
		return false;
	for (uint32_t i = 0; i < head->need_count; i++) {
		const struct need *need = &head->needs[i];
		if (need->n > 0 && (need->what >= merger->count ||
				    merger->cursors[need->what].source->records < need->n))
			return false;
	}
	return true;
}

static bool may_take(const struct merger *merger, const struct head *head)
{
	if (head->all)
		return may_take_all(merger, head);
	if (merger->all_done < head->all_seen)
		return false;
	for (uint32_t i = 0; i < head->need_count; i++)
		if (merger->slots_done[head->needs[i].what] + 1 != head->needs[i].n)
			return false;
	return true;
}

static void took(struct merger *merger, struct cursor *cursor)
{
	struct head *head = &cursor->head;
	if (head->all)
		merger->all_done = head->all;
	else
		for (uint32_t i = 0; i < head->need_count; i++)
			merger->slots_done[head->needs[i].what]++;
	cursor->all_seen = head->all ? head->all : head->all_seen;
	cursor->epoch = head->record.epoch;
	cursor->ms = head->record.ms;
	cursor->at = cursor->source->taken = head->end;
	cursor->source->records++;
	head->known = false;
}

/*
 * A committed epoch begins behind this place. A value may have text in it that looks like that; but
 * epochs rise along a journal: so what doesn't come after the head's own, or after the last one
 * committed, begins nothing that was synced, and behind a head of an epoch that wasn't committed
 * there is nothing to be found.
 */
static bool synced_behind(const struct merger *merger, const struct cursor *cursor)
{
	const struct merge_source *source = cursor->source;
	const char *at = source->bytes + cursor->at, *stop = source->bytes + source->len;
	struct commit epoch;
	while ((at = memmem(at, (size_t)(stop - at), "\n#EP:", 5))) {
		at += 5;
		const char *end = memchr(at, '\n', (size_t)(stop - at));
		if (end && starts_with(end, stop, "\n#") && end[-1] == '\r' &&
		    read_epoch(at, end - 1, &epoch) && epoch.epoch > cursor->head.record.epoch &&
		    epoch.epoch <= merger->committed->epoch)
			return true;
	}
	return false;
}

/*
 * What stands here was synced: its own epoch was committed (of a record that doesn't just end, with
 * marks up to its slots), or one that begins behind it.
 */
static bool was_synced(const struct merger *merger, const struct cursor *cursor, enum merge_end end)
{
	const struct head *head = &cursor->head;
	if (end == MERGE_DAMAGED && head->need_count > 0 &&
	    head->record.epoch <= merger->committed->epoch)
		return true;
	return synced_behind(merger, cursor);
}

static void end_source(struct merger *merger, struct cursor *cursor, enum merge_end end)
{
	if (merger->committed && (end == MERGE_TORN || end == MERGE_DAMAGED))
		end = was_synced(merger, cursor, end) ? MERGE_DAMAGED : MERGE_BEYOND;
	cursor->source->end = end;
	cursor->ended = true;
}

/* Takes what may be taken of one source. Returns how many records, -1 when `take` said no. */
static int64_t merge_source(struct merger *merger, struct cursor *cursor,
			    bool (*take)(void *arg, const struct merge_record *record), void *arg)
{
	int64_t taken = 0;
	while (!cursor->ended) {
		if (!cursor->head.known) {
			enum merge_end end = read_head(merger, cursor);
			if (end != MERGE_WHOLE || !cursor->head.known) {
				end_source(merger, cursor, end);
				break;
			}
		}
		if (!may_take(merger, &cursor->head))
			break;
		if (!take(arg, &cursor->head.record))
			return -1;
		took(merger, cursor);
		taken++;
	}
	return taken;
}

bool merge(struct merge_source *sources, uint32_t count, const struct commit *committed,
	   bool (*take)(void *arg, const struct merge_record *record), void *arg)
{
	struct merger *merger = mem_zalloc(sizeof(*merger));
	merger->cursors = mem_zalloc(count * sizeof(*merger->cursors));
	merger->count = count;
	merger->committed = committed;
	for (uint32_t i = 0; i < count; i++) {
		assert(sources[i].worker == i);
		sources[i].len = segment_trimmed(sources[i].bytes, sources[i].len);
		merger->cursors[i].source = &sources[i];
	}
	int64_t taken, round = 1;
	bool stopped = false;
	while (round > 0 && !stopped) {
		round = 0;
		for (uint32_t i = 0; i < count && !stopped; i++) {
			taken = merge_source(merger, &merger->cursors[i], take, arg);
			stopped = taken < 0;
			round += taken;
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		if (!merger->cursors[i].ended)
			sources[i].end = MERGE_ORPHAN;
		sources[i].epoch_end = merger->cursors[i].head.record.epoch;
		sources[i].ms_end = merger->cursors[i].head.record.ms;
		mem_free_unsized(merger->cursors[i].head.needs);
	}
	mem_free(merger->cursors, count * sizeof(*merger->cursors));
	mem_free(merger, sizeof(*merger));
	return !stopped;
}
