/*
 * Effects and records (journal.h).
 *
 * The happy path: a SET's effect is its own request, encoded into `unit`; journal_commit() puts the
 * line with the slot's number and the effect at the end of `buf`, and tells the slot.
 */
#include "shard/journal.h"

#include "proto/crc64.h"
#include "proto/mem.h"
#include "proto/number.h"
#include "shard/keyspace.h"
#include "shard/rdb_value.h"
#include "shard/string.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BUF_FIRST_BYTES 4096
/* A buffer larger than this is not kept when it is empty. */
#define BUF_KEEP_BYTES (1024 * 1024)
/* Redis' tools read comment lines of up to 1023 bytes; a slot with its number takes at most 20. */
#define LINE_SLOTS_MAX 45
/* The same for a journal's count. */
#define LINE_WORKERS_MAX 40
/* A sign, a number and the line's end. */
#define COUNT_MAX (1 + NUMBER_TEXT_MAX + 2)
/* "#V:" or ",", a slot and its number with a colon between, perhaps the line's end. */
#define SLOT_TEXT_MAX (3 + NUMBER_TEXT_MAX + 1 + NUMBER_TEXT_MAX + 2)
/* "#SUM:0123456789abcdef", the line's end, and snprintf's zero. */
#define SUM_LINE_SIZE (5 + 16 + 2 + 1)
/* journaled: which generation (the low bits of its cut), and the number. */
#define NUMBER_BITS 40
#define NUMBER_MASK ((1ull << NUMBER_BITS) - 1)

void journal_init(struct journal *journal)
{
	memset(journal, 0, sizeof(*journal));
	journal->segment_at = SIZE_MAX;
	journal->db = UINT32_MAX;
	journal->counts[1].cut = UINT64_MAX; /* no generation; the first is 0 */
}

void journal_deinit(struct journal *journal)
{
	mem_free(journal->buf, journal->cap);
	mem_free(journal->unit.buf, journal->unit.cap);
}

/* --- bytes --- */

/* Room for `more` bytes behind *len. */
static char *room(char **buf, const size_t *len, size_t *cap, size_t more)
{
	if (*len + more > *cap) {
		size_t want = *cap ? *cap : BUF_FIRST_BYTES;
		while (want < *len + more)
			want *= 2;
		*buf = mem_realloc(*buf, want);
		*cap = want;
	}
	return *buf + *len;
}

static void put(struct journal *journal, const char *bytes, size_t len)
{
	memcpy(room(&journal->buf, &journal->len, &journal->cap, len), bytes, len);
	journal->len += len;
}

static void put_text(struct journal *journal, const char *text)
{
	put(journal, text, strlen(text));
}

static void put_number(struct journal *journal, uint64_t n)
{
	char text[NUMBER_TEXT_MAX];
	put(journal, text, number_format_unsigned(text, n));
}

/* --- effects --- */

/* "*3\r\n", "$5\r\n" */
static char *put_count(char *at, char sign, size_t n)
{
	*at++ = sign;
	at += number_format_unsigned(at, n);
	return mempcpy(at, "\r\n", 2);
}

static void put_command(struct effects *unit, const struct slice *argv, uint32_t argc)
{
	char *at = room(&unit->buf, &unit->len, &unit->cap, COUNT_MAX);
	unit->len = put_count(at, '*', argc) - unit->buf;
	for (uint32_t i = 0; i < argc; i++) {
		at = room(&unit->buf, &unit->len, &unit->cap, COUNT_MAX + argv[i].len + 2);
		at = put_count(at, '$', argv[i].len);
		at = mempcpy(at, argv[i].ptr, argv[i].len);
		unit->len = (char *)mempcpy(at, "\r\n", 2) - unit->buf;
		unit->large |= argv[i].len >= JOURNAL_SUM_MIN;
	}
}

static void put_select(struct effects *unit, uint32_t db)
{
	char text[NUMBER_TEXT_MAX];
	struct slice number = {text, number_format_unsigned(text, db)};
	put_command(unit, (struct slice[]){SLICE("SELECT"), number}, 2);
}

void effect_add(struct journal *journal, uint32_t db, const struct slice *argv, uint32_t argc)
{
	struct effects *unit = &journal->unit;
	if (unit->count == 0)
		unit->db_first = db;
	else if (db != unit->db)
		put_select(unit, db);
	unit->db = db;
	unit->count++;
	put_command(unit, argv, argc);
}

void effect_remove(struct journal *journal, uint32_t db, struct slice key)
{
	effect_add(journal, db, (struct slice[]){SLICE("DEL"), key}, 2);
}

void effect_remove_part(struct journal *journal, uint32_t db, const char *name, struct slice key,
			struct slice part)
{
	if (journal->on)
		effect_add(journal, db, (struct slice[]){slice_of(name), key, part}, 3);
}

/* SET key value [PXAT when] */
static void effect_set(struct journal *journal, uint32_t db, const struct entry *e)
{
	char *scratch, text[NUMBER_TEXT_MAX];
	bool expires = e->flags & ENTRY_EXPIRES;
	struct slice when = {text, expires ? number_format(text, entry_expire(e)) : 0};
	effect_add(journal, db,
		   (struct slice[]){SLICE("SET"), entry_key(e), string_bytes(e, &scratch),
				    SLICE("PXAT"), when},
		   expires ? 5 : 3);
	mem_free_unsized(scratch);
}

/* RESTORE key when value REPLACE ABSTTL */
static void effect_restore(struct journal *journal, uint32_t db, const struct entry *e)
{
	char text[NUMBER_TEXT_MAX];
	struct slice when = {text,
			     number_format(text, e->flags & ENTRY_EXPIRES ? entry_expire(e) : 0)};
	struct rdb_out out = {0};
	rdb_write_payload(&out, e);
	effect_add(journal, db,
		   (struct slice[]){SLICE("RESTORE"),
				    entry_key(e),
				    when,
				    {out.bytes, out.len},
				    SLICE("REPLACE"),
				    SLICE("ABSTTL")},
		   6);
	rdb_out_deinit(&out);
}

void effect_state(struct journal *journal, uint32_t db, const struct entry *e)
{
	if (entry_type(e) == ENTRY_STRING)
		effect_set(journal, db, e);
	else
		effect_restore(journal, db, e);
}

void effects_put_by(struct journal *journal, struct effects *kept)
{
	*kept = journal->unit;
	journal->unit = (struct effects){0};
}

void effects_take_back(struct journal *journal, struct effects *kept)
{
	mem_free(journal->unit.buf, journal->unit.cap);
	journal->unit = *kept;
	*kept = (struct effects){0};
}

/* --- records --- */

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
}

/* Bytes of all records ever, with those of the one being made. */
static uint64_t end_of(const struct journal *journal, size_t len_before)
{
	return load(&journal->appended) + (journal->len - len_before);
}

/* The generation that an epoch belongs to. `now` was loaded before, so `cut` isn't older. */
static uint64_t generation_of(const struct epochs *epochs, uint64_t epoch)
{
	uint64_t cut = atomic_load_explicit(&epochs->cut, memory_order_acquire);
	return epoch > cut ? cut : atomic_load_explicit(&epochs->cut_before, memory_order_relaxed);
}

/* From here on the records go to the next segment. */
static void begin_segment(struct journal *journal, uint64_t cut)
{
	assert(journal->segment_at == SIZE_MAX);
	journal->segment_at = journal->len;
	journal->db = UINT32_MAX;
	journal->all_seen = 0;
	journal->counting ^= 1;
	store(&journal->counts[journal->counting].records, 0);
	store(&journal->counts[journal->counting].cut, cut);
	store(&journal->segment_start, load(&journal->appended));
	store(&journal->cut, cut);
}

static void begin_epoch(struct journal *journal, uint64_t epoch, int64_t now)
{
	store(&journal->epoch_start, load(&journal->appended));
	store(&journal->epoch, epoch);
	put_text(journal, "#EP:");
	put_number(journal, epoch);
	put_text(journal, ":");
	put_number(journal, (uint64_t)now);
	put_text(journal, "\r\n");
}

/* Units on all slots in this generation; nobody else adds one while the caller holds a slot. */
static uint64_t all_units(const struct epochs *epochs, uint64_t cut)
{
	return load(&epochs->all_cut) == cut ? load(&epochs->all_units) : 0;
}

static void see_all_units(struct journal *journal, uint64_t units)
{
	if (units == journal->all_seen)
		return;
	journal->all_seen = units;
	put_text(journal, "#AL:");
	put_number(journal, units);
	put_text(journal, "\r\n");
}

/* The slot's next number. */
static uint64_t number_next(struct slot *slot, uint64_t cut)
{
	uint64_t generation = cut << NUMBER_BITS;
	if ((slot->journaled & ~NUMBER_MASK) != generation)
		slot->journaled = generation;
	return ++slot->journaled & NUMBER_MASK;
}

static void put_slots(struct journal *journal, struct slot *const *slots, uint32_t count,
		      uint64_t cut)
{
	char *at = room(&journal->buf, &journal->len, &journal->cap, count * SLOT_TEXT_MAX);
	for (uint32_t i = 0; i < count; i++) {
		at = i % LINE_SLOTS_MAX == 0 ? mempcpy(at, "#V:", 3) : mempcpy(at, ",", 1);
		at += number_format_unsigned(at, slots[i]->index);
		*at++ = ':';
		at += number_format_unsigned(at, number_next(slots[i], cut));
		if (i + 1 == count || (i + 1) % LINE_SLOTS_MAX == 0)
			at = mempcpy(at, "\r\n", 2);
	}
	journal->len = at - journal->buf;
}

/* A journal's records of this generation. */
static uint64_t records_of(const struct journal *journal, uint64_t cut)
{
	for (int i = 0; i < 2; i++)
		if (atomic_load_explicit(&journal->counts[i].cut, memory_order_acquire) == cut)
			return load(&journal->counts[i].records);
	return 0;
}

/* A unit on all slots: nobody else is in a unit, so the others' counts stand still. */
static void put_all(struct shard *shard, uint64_t cut)
{
	struct keyspace *ks = shard->ks;
	struct journal *journal = &shard->journal;
	uint64_t units = all_units(&ks->epochs, cut) + 1;
	store(&ks->epochs.all_cut, cut);
	store(&ks->epochs.all_units, units);
	for (uint32_t i = 0; i < ks->shard_count; i++) {
		if (i % LINE_WORKERS_MAX == 0) {
			put_text(journal, "#ALL:");
			put_number(journal, units);
		}
		put_text(journal, i % LINE_WORKERS_MAX == 0 ? ":" : ",");
		put_number(journal, i);
		put_text(journal, ":");
		put_number(journal, records_of(&ks->shards[i]->journal, cut));
		if (i + 1 == ks->shard_count || (i + 1) % LINE_WORKERS_MAX == 0)
			put_text(journal, "\r\n");
	}
	journal->all_seen = units;
}

/* The effects, and what they need to stand in the file: their database, and that they are one. */
static void put_effects(struct journal *journal)
{
	static const char multi[] = "*1\r\n$5\r\nMULTI\r\n";
	static const char exec[] = "*1\r\n$4\r\nEXEC\r\n";
	bool several = journal->unit.count > 1;
	if (journal->unit.db_first != journal->db) {
		char text[NUMBER_TEXT_MAX];
		size_t len = number_format_unsigned(text, journal->unit.db_first);
		put_text(journal, "*2\r\n$6\r\nSELECT\r\n$");
		put_number(journal, len);
		put_text(journal, "\r\n");
		put(journal, text, len);
		put_text(journal, "\r\n");
	}
	if (several)
		put_text(journal, multi);
	put(journal, journal->unit.buf, journal->unit.len);
	if (several)
		put_text(journal, exec);
	journal->db = journal->unit.db;
}

/* The same behind the line with their sum, whose place is kept until they are there. */
static void put_summed_effects(struct journal *journal)
{
	char line[SUM_LINE_SIZE] = {0};
	size_t line_at = journal->len;
	put(journal, line, sizeof(line) - 1);
	size_t at = journal->len;
	put_effects(journal);
	uint64_t sum = crc64(0, journal->buf + at, journal->len - at);
	snprintf(line, sizeof(line), "#SUM:%016" PRIx64 "\r\n", sum);
	memcpy(journal->buf + line_at, line, sizeof(line) - 1);
}

static void unit_reset(struct journal *journal)
{
	journal->unit.len = 0;
	journal->unit.count = 0;
	journal->unit.large = false;
	if (journal->unit.cap <= BUF_KEEP_BYTES)
		return;
	mem_free(journal->unit.buf, journal->unit.cap);
	journal->unit.buf = NULL;
	journal->unit.cap = 0;
}

static void tell_slots(struct shard *shard, struct slot *const *slots, uint32_t count, uint64_t end)
{
	uint64_t last_write = (uint64_t)shard->id << JOURNAL_WORKER_SHIFT | end;
	for (uint32_t i = 0; i < count; i++) {
		struct slot *slot = slots ? slots[i] : &shard->ks->slots[i];
		atomic_store_explicit(&slot->last_write, last_write, memory_order_release);
	}
}

/* What the slots' records before this one are, and what else this tick has looked at, it rests on. */
static void rest_on(struct shard *shard, struct slot *const *slots, uint32_t count)
{
	struct journal *journal = &shard->journal;
	if (!slots)
		journal_saw_all(shard);
	for (uint32_t i = 0; slots && i < count; i++)
		journal_saw(shard, slot_last_write(slots[i]));
	for (uint32_t i = 0; i < shard->ks->shard_count && journal->saw_any; i++)
		if (i != shard->id && journal->saw[i] > load(&journal->rests_on[i]))
			store(&journal->rests_on[i], journal->saw[i]);
}

static bool is_journaled(const struct journal_span *span, uint64_t epoch)
{
	return epoch > load(&span->from) && epoch <= load(&span->until);
}

void journal_commit(struct shard *shard, struct slot *const *slots, uint32_t count, int64_t now)
{
	struct journal *journal = &shard->journal;
	const struct epochs *epochs = &shard->ks->epochs;
	size_t len_before = journal->len;
	if (journal->unit.count == 0)
		return;
	uint64_t epoch = atomic_load_explicit(&epochs->now, memory_order_acquire);
	if (!is_journaled(&shard->ks->journaled, epoch)) {
		unit_reset(journal);
		return;
	}
	uint64_t cut = generation_of(epochs, epoch);
	if (cut != load(&journal->cut))
		begin_segment(journal, cut);
	if (epoch != load(&journal->epoch))
		begin_epoch(journal, epoch, now);
	if (shard->retire.unit.epoch != EPOCH_NONE && shard->retire.unit.epoch <= cut)
		put_text(journal, "#PRE\r\n");
	if (slots) {
		see_all_units(journal, all_units(epochs, cut));
		put_slots(journal, slots, count, cut);
	} else {
		put_all(shard, cut);
	}
	if (journal->unit.large)
		put_summed_effects(journal);
	else
		put_effects(journal);
	unit_reset(journal);
	uint64_t end = end_of(journal, len_before);
	rest_on(shard, slots, count);
	store(&journal->appended, end);
	_Atomic uint64_t *records = &journal->counts[journal->counting].records;
	store(records, load(records) + 1);
	tell_slots(shard, slots, slots ? count : SLOT_COUNT, end);
}

void journal_follow(struct shard *shard)
{
	const struct epochs *epochs = &shard->ks->epochs;
	uint64_t epoch = atomic_load_explicit(&epochs->now, memory_order_acquire);
	uint64_t cut = generation_of(epochs, epoch);
	if (cut != load(&shard->journal.cut) && is_journaled(&shard->ks->journaled, epoch))
		begin_segment(&shard->journal, cut);
}

void journal_wrote(struct journal *journal, size_t bytes)
{
	assert(bytes <= journal->len);
	journal->len -= bytes;
	memmove(journal->buf, journal->buf + bytes, journal->len);
	if (journal->segment_at != SIZE_MAX)
		journal->segment_at -= bytes;
	if (journal->len == 0 && journal->cap > BUF_KEEP_BYTES) {
		mem_free(journal->buf, journal->cap);
		journal->buf = NULL;
		journal->cap = 0;
	}
	store(&journal->written, load(&journal->written) + bytes);
}

static void saw(struct journal *journal, uint32_t worker, uint64_t end)
{
	if (end <= journal->saw[worker])
		return;
	journal->saw[worker] = end;
	journal->saw_any = true;
}

void journal_saw(struct shard *shard, uint64_t last_write)
{
	const struct keyspace *ks = shard->ks;
	struct journal *journal = &shard->journal;
	uint32_t worker = (uint32_t)(last_write >> JOURNAL_WORKER_SHIFT);
	uint64_t end = last_write & JOURNAL_BYTES_MASK;
	if (end <= journal->saw[worker])
		return;
	saw(journal, worker, end);
	const struct journal *other = &ks->shards[worker]->journal;
	if (end <= atomic_load_explicit(&other->settled, memory_order_acquire))
		return;
	for (uint32_t i = 0; i < ks->shard_count; i++)
		saw(journal, i, load(&other->rests_on[i]));
}

void journal_forget(struct journal *journal)
{
	journal_wrote(journal, journal->len);
	journal->segment_at = SIZE_MAX;
}

void journal_saw_all(struct shard *shard)
{
	const struct keyspace *ks = shard->ks;
	for (uint32_t i = 0; i < ks->shard_count && shard->journal.on; i++)
		journal_saw(shard, (uint64_t)i << JOURNAL_WORKER_SHIFT |
					   atomic_load_explicit(&ks->shards[i]->journal.appended,
								memory_order_acquire));
}
