/*
 * Effects and records (journal.h).
 *
 * The happy path: a SET's effect is its own request, encoded into `unit`; journal_commit() puts the
 * line with the slot's number and the effect at the end of `buf`, and tells the slot.
 */
#include "shard/journal.h"

#include "proto/crc64.h"
#include "proto/number.h"
#include "shard/keyspace.h"
#include "shard/rdb_value.h"
#include "shard/string.h"
#include "shard/turn.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Bytes copied and summed before others may have their turn: some hundred microseconds. */
#define STEP_BYTES (64 * 1024)
/*
 * So much is summed as it comes; for less it isn't worth joining its sum with that of what goes
 * before.
 */
#define SUM_AHEAD_BYTES (256 * 1024)
/* SELECT with a number, and MULTI. */
#define PREAMBLE_MAX (64 + NUMBER_TEXT_MAX)
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
	chain_clear(&journal->buf);
	chain_clear(&journal->unit.bytes);
}

/* --- bytes --- */

static void put(struct journal *journal, const char *bytes, size_t len)
{
	chain_add(&journal->buf, bytes, len);
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

/* Who has its turns takes them here. */
static struct shard *shard_of(struct effects *unit)
{
	return (struct shard *)((char *)unit - offsetof(struct shard, journal.unit));
}

/* Sums up what isn't yet. */
static void sum_up(struct effects *unit)
{
	struct chain_piece *piece = unit->sum_piece ? unit->sum_piece : unit->bytes.first;
	while (unit->summed < unit->bytes.len) {
		size_t part = piece->len - unit->sum_at;
		if (part == 0) {
			piece = piece->next;
			unit->sum_at = 0;
			continue;
		}
		part = part < STEP_BYTES ? part : STEP_BYTES;
		unit->sum = crc64(unit->sum, piece->bytes + unit->sum_at, part);
		unit->sum_piece = piece;
		unit->sum_at += part;
		unit->summed += part;
		turn_steps(shard_of(unit), TURN_STEPS);
	}
}

static void put_header(struct effects *unit, char sign, size_t n)
{
	char *at = chain_room(&unit->bytes, COUNT_MAX);
	chain_grow(&unit->bytes, (size_t)(put_count(at, sign, n) - at));
}

static void put_line_end(struct effects *unit)
{
	chain_add(&unit->bytes, "\r\n", 2);
}

/* What is added now may be summed already, when the sum is. */
static void note_argument(struct effects *unit, size_t len)
{
	unit->large |= len >= JOURNAL_SUM_MIN;
	if (unit->large && unit->bytes.len - unit->summed >= SUM_AHEAD_BYTES)
		sum_up(unit);
}

static void put_long_argument(struct effects *unit, struct slice arg)
{
	put_header(unit, '$', arg.len);
	for (size_t at = 0; at < arg.len; at += STEP_BYTES) {
		size_t left = arg.len - at;
		chain_add(&unit->bytes, arg.ptr + at, left < STEP_BYTES ? left : STEP_BYTES);
		turn_steps(shard_of(unit), TURN_STEPS);
	}
	put_line_end(unit);
	note_argument(unit, arg.len);
}

static void put_argument(struct effects *unit, struct slice arg)
{
	if (arg.len > CHAIN_SHORT) {
		put_long_argument(unit, arg);
		return;
	}
	char *begin = chain_room(&unit->bytes, COUNT_MAX + arg.len + 2);
	char *at = put_count(begin, '$', arg.len);
	at = mempcpy(at, arg.ptr, arg.len);
	at = mempcpy(at, "\r\n", 2);
	chain_grow(&unit->bytes, (size_t)(at - begin));
	note_argument(unit, arg.len);
}

/* Room for all of it; more than CHAIN_SHORT: it isn't put together. */
static size_t room_together(const struct slice *argv, uint32_t argc)
{
	size_t room = COUNT_MAX;
	for (uint32_t i = 0; i < argc && room <= CHAIN_SHORT; i++)
		room += COUNT_MAX + argv[i].len + 2;
	return room;
}

/* A short one, as most are. */
static void put_together(struct effects *unit, const struct slice *argv, uint32_t argc, size_t room)
{
	char *begin = chain_room(&unit->bytes, room), *at = put_count(begin, '*', argc);
	size_t longest = 0;
	for (uint32_t i = 0; i < argc; i++) {
		at = put_count(at, '$', argv[i].len);
		at = mempcpy(at, argv[i].ptr, argv[i].len);
		at = mempcpy(at, "\r\n", 2);
		longest = argv[i].len > longest ? argv[i].len : longest;
	}
	chain_grow(&unit->bytes, (size_t)(at - begin));
	note_argument(unit, longest);
}

static void put_command(struct effects *unit, const struct slice *argv, uint32_t argc)
{
	size_t room = room_together(argv, argc);
	if (room <= CHAIN_SHORT) {
		put_together(unit, argv, argc, room);
		return;
	}
	put_header(unit, '*', argc);
	for (uint32_t i = 0; i < argc; i++)
		put_argument(unit, argv[i]);
}

static void put_select(struct effects *unit, uint32_t db)
{
	char text[NUMBER_TEXT_MAX];
	struct slice number = {text, number_format_unsigned(text, db)};
	put_command(unit, (struct slice[]){SLICE("SELECT"), number}, 2);
}

static struct effects *effect_begin(struct journal *journal, uint32_t db)
{
	struct effects *unit = &journal->unit;
	if (unit->count == 0)
		unit->db_first = db;
	else if (db != unit->db)
		put_select(unit, db);
	unit->db = db;
	unit->count++;
	return unit;
}

void effect_add(struct journal *journal, uint32_t db, const struct slice *argv, uint32_t argc)
{
	put_command(effect_begin(journal, db), argv, argc);
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

/* --- what keys are --- */

/* A string's bytes, from where they stand. */
static void put_string(struct effects *unit, const struct entry *e)
{
	static const char zeros[STEP_BYTES];
	size_t len = string_length(e);
	put_header(unit, '$', len);
	for (size_t at = 0; at < len;) {
		struct slice piece = string_piece(e, at);
		size_t part = piece.len < STEP_BYTES ? piece.len : STEP_BYTES;
		chain_add(&unit->bytes, piece.ptr ? piece.ptr : zeros, part);
		at += part;
		turn_steps(shard_of(unit), TURN_STEPS);
	}
	put_line_end(unit);
	note_argument(unit, len);
}

/* SET key value [PXAT when] */
static void effect_set(struct journal *journal, uint32_t db, const struct entry *e)
{
	struct effects *unit = effect_begin(journal, db);
	char text[NUMBER_TEXT_MAX];
	bool expires = e->flags & ENTRY_EXPIRES;
	put_header(unit, '*', expires ? 5 : 3);
	put_argument(unit, SLICE("SET"));
	put_argument(unit, entry_key(e));
	put_string(unit, e);
	if (!expires)
		return;
	put_argument(unit, SLICE("PXAT"));
	put_argument(unit, (struct slice){text, number_format(text, entry_expire(e))});
}

/* RESTORE's argument in the making: what has been written of it, and the sum of that. */
struct payload {
	struct rdb_out out;
	struct chain bytes;
	uint64_t sum;
};

static void payload_drain(struct rdb_out *out)
{
	struct payload *payload = (struct payload *)out;
	for (size_t at = 0, part; at < out->len; at += part) {
		part = out->len - at < STEP_BYTES ? out->len - at : STEP_BYTES;
		payload->sum = crc64(payload->sum, out->bytes + at, part);
		chain_add(&payload->bytes, out->bytes + at, part);
		turn_steps(out->shard, TURN_STEPS);
	}
	out->len = 0;
}

static void payload_make(struct payload *payload, const struct entry *e, struct shard *shard)
{
	*payload = (struct payload){.out = {.drain = payload_drain, .shard = shard}};
	rdb_write_unsummed(&payload->out, e);
	payload_drain(&payload->out);
	rdb_write_u64(&payload->out, payload->sum);
	payload_drain(&payload->out);
	rdb_out_deinit(&payload->out);
}

/* Its sum is known, and so that of all the effects up to here. */
static void put_payload(struct effects *unit, struct payload *payload)
{
	size_t len = payload->bytes.len;
	bool ahead = len >= SUM_AHEAD_BYTES;
	put_header(unit, '$', len);
	if (ahead)
		sum_up(unit);
	chain_move(&unit->bytes, &payload->bytes);
	chain_clear(&payload->bytes);
	if (ahead) {
		unit->sum = crc64_join(unit->sum, payload->sum, len);
		unit->summed += len;
		unit->sum_piece = unit->bytes.last;
		unit->sum_at = unit->bytes.last->len;
	}
	put_line_end(unit);
	note_argument(unit, len);
}

/* RESTORE key when value REPLACE ABSTTL */
static void effect_restore(struct journal *journal, uint32_t db, const struct entry *e)
{
	struct effects *unit = effect_begin(journal, db);
	struct payload payload;
	char text[NUMBER_TEXT_MAX];
	int64_t when = e->flags & ENTRY_EXPIRES ? entry_expire(e) : 0;
	payload_make(&payload, e, shard_of(unit));
	put_header(unit, '*', 6);
	put_argument(unit, SLICE("RESTORE"));
	put_argument(unit, entry_key(e));
	put_argument(unit, (struct slice){text, number_format(text, when)});
	put_payload(unit, &payload);
	put_argument(unit, SLICE("REPLACE"));
	put_argument(unit, SLICE("ABSTTL"));
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
	chain_clear(&journal->unit.bytes);
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
	return load(&journal->appended) + (journal->buf.len - len_before);
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
	journal->segment_at = journal->buf.len;
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
	char *begin = chain_room(&journal->buf, count * SLOT_TEXT_MAX), *at = begin;
	for (uint32_t i = 0; i < count; i++) {
		at = i % LINE_SLOTS_MAX == 0 ? mempcpy(at, "#V:", 3) : mempcpy(at, ",", 1);
		at += number_format_unsigned(at, slots[i]->index);
		*at++ = ':';
		at += number_format_unsigned(at, number_next(slots[i], cut));
		if (i + 1 == count || (i + 1) % LINE_SLOTS_MAX == 0)
			at = mempcpy(at, "\r\n", 2);
	}
	chain_grow(&journal->buf, (size_t)(at - begin));
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

static const char exec[] = "*1\r\n$4\r\nEXEC\r\n";

/* What stands before the effects: their database, and that they are one. */
static size_t format_preamble(const struct journal *journal, char out[PREAMBLE_MAX])
{
	char *at = out;
	if (journal->unit.db_first != journal->db) {
		char text[NUMBER_TEXT_MAX];
		size_t len = number_format_unsigned(text, journal->unit.db_first);
		at = mempcpy(at, "*2\r\n$6\r\nSELECT\r\n", 16);
		at = put_count(at, '$', len);
		at = mempcpy(at, text, len);
		at = mempcpy(at, "\r\n", 2);
	}
	if (journal->unit.count > 1)
		at = mempcpy(at, "*1\r\n$5\r\nMULTI\r\n", 15);
	return (size_t)(at - out);
}

/* Of all that comes behind the line that has it. */
static uint64_t sum_of(struct effects *unit, const char *preamble, size_t len)
{
	uint64_t sum = crc64(0, preamble, len);
	if (unit->summed > 0) {
		sum_up(unit);
		sum = crc64_join(sum, unit->sum, unit->summed);
	} else {
		for (struct chain_piece *piece = unit->bytes.first; piece; piece = piece->next)
			sum = crc64(sum, piece->bytes, piece->len);
	}
	return unit->count > 1 ? crc64(sum, exec, sizeof(exec) - 1) : sum;
}

/* The effects, and what they need to stand in the file. */
static void put_effects(struct journal *journal)
{
	struct effects *unit = &journal->unit;
	char preamble[PREAMBLE_MAX], line[SUM_LINE_SIZE];
	size_t len = format_preamble(journal, preamble);
	if (unit->large) {
		snprintf(line, sizeof(line), "#SUM:%016" PRIx64 "\r\n",
			 sum_of(unit, preamble, len));
		put(journal, line, sizeof(line) - 1);
	}
	if (len > 0)
		put(journal, preamble, len);
	if (unit->bytes.len >= CHAIN_MOVE_MIN)
		journal->large += unit->bytes.len;
	chain_move(&journal->buf, &unit->bytes);
	if (unit->count > 1)
		put(journal, exec, sizeof(exec) - 1);
	journal->db = unit->db;
}

static void unit_reset(struct journal *journal)
{
	struct chain bytes = journal->unit.bytes;
	if (bytes.len > 0)
		chain_drop(&bytes, bytes.len);
	journal->unit = (struct effects){.bytes = bytes};
}

static void tell_slots(struct shard *shard, struct slot *const *slots, uint32_t count, uint64_t end)
{
	uint64_t last_write = (uint64_t)shard->id << JOURNAL_WORKER_SHIFT | end;
	for (uint32_t i = 0; i < count; i++) {
		struct slot *slot = slots ? slots[i] : &shard->ks->slots[i];
		atomic_store_explicit(&slot->last_write, last_write, memory_order_release);
	}
}

/*
 * What the slots' records before this one are, and what else this tick has looked at, it rests on.
 */
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
	size_t len_before = journal->buf.len;
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

size_t journal_due(const struct journal *journal)
{
	size_t part = journal->large / JOURNAL_PIECE_PART;
	part = part > JOURNAL_PIECE_BYTES ? part : JOURNAL_PIECE_BYTES;
	part = part < journal->large ? part : journal->large;
	return journal->buf.len - journal->large + part;
}

void journal_wrote(struct journal *journal, size_t bytes)
{
	chain_drop(&journal->buf, bytes);
	if (journal->large > journal->buf.len)
		journal->large = journal->buf.len;
	if (journal->segment_at != SIZE_MAX)
		journal->segment_at -= bytes;
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
	journal_wrote(journal, journal->buf.len);
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
