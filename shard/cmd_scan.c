/*
 * Looking over the whole keyspace, by RCU: SCAN, RANDOMKEY, DBSIZE, and the walk that KEYS slices.
 *
 * A walk goes through the slots in their order and through each slot's table as table_scan() does.
 * What was there all the time is in one slot all the time, and table_scan() doesn't leave it out,
 * so neither does the walk. No slot's seq is looked at: nothing is promised about one moment.
 *
 * RANDOMKEY weighs slots by the number of their keys. A sample of them will do as long as it holds
 * about its share of the database; it doesn't when keys are few, or most of them in a few slots
 * (hash tags): then all slots are weighed.
 */
#include "shard/scan.h"

#include "proto/glob.h"
#include "shard/handlers.h"
#include "shard/value.h"

/* --- the walk --- */

#define POSITION_MASK ((1ull << TABLE_POSITION_BITS) - 1)

/* Cursors come from clients: one beyond the last slot is at the end. */
uint64_t keyspace_scan(const struct keyspace *ks, uint32_t db, uint64_t cursor, size_t count,
		       size_t steps, void (*visit)(void *arg, struct entry *e), void *arg)
{
	struct table_visits walk = {visit, arg, 0};
	uint64_t slot = cursor >> TABLE_POSITION_BITS;
	uint64_t position = cursor & POSITION_MASK;

	for (; slot < SLOT_COUNT && walk.count < count && steps > 0; steps--) {
		const struct table *table = slot_table(&ks->slots[slot], db);
		position = table ? table_scan(table, position, table_visit_counted, &walk) : TABLE_END;
		if (position == TABLE_END) {
			slot++;
			position = 0;
		}
	}
	return slot < SLOT_COUNT ? slot << TABLE_POSITION_BITS | position : 0;
}

/* --- SCAN --- */

/* Keys when the client doesn't say. */
#define SCAN_COUNT_DEFAULT 10
/* Keys that one call looks at, whatever the client says: some 5 ms; fewer with a long pattern. */
#define SCAN_COUNT_MAX (64 * 1024)
/* Patterns are seldom longer. */
#define PATTERN_USUAL_MAX 32
/*
 * Slots and buckets that one call looks at beyond one bucket a key: all slots, so that a database
 * with hardly a key in it takes one call. 1 MB of slot lines, some 100 us.
 */
#define SCAN_STEPS_MIN SLOT_COUNT

/*
 * As strtoul reads it, for so does Redis: a sign, leading zeros and an empty text are fine, a
 * negative number wraps, a zero byte ends it.
 */
static bool parse_cursor(struct slice text, uint64_t *cursor)
{
	const char *end = memchr(text.ptr, '\0', text.len);
	size_t len = end ? (size_t)(end - text.ptr) : text.len;
	bool sign = len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+');

	*cursor = 0;
	if (sign && len == 1)
		return false;
	for (size_t i = sign; i < len; i++) {
		unsigned digit = (unsigned char)text.ptr[i] - (unsigned)'0';
		if (digit > 9 || __builtin_mul_overflow(*cursor, 10, cursor) ||
		    __builtin_add_overflow(*cursor, digit, cursor))
			return false;
	}
	if (sign && text.ptr[0] == '-')
		*cursor = -*cursor;
	return true;
}

/* COUNT's argument; on failure replies. */
static bool parse_count(struct ctx *ctx, uint32_t i, size_t *count)
{
	int64_t n;
	if (!ctx_arg_int(ctx, i, &n))
		return false;
	if (n < 1) {
		reply_error(ctx->reply, error_syntax);
		return false;
	}
	*count = (size_t)n;
	return true;
}

bool scan_parse_cursor(struct ctx *ctx, uint32_t i, uint64_t *cursor)
{
	if (parse_cursor(ctx->argv[i], cursor))
		return true;
	reply_error(ctx->reply, "ERR invalid cursor");
	return false;
}

static void limit_count(struct scan_options *options)
{
	size_t most = SCAN_COUNT_MAX / scan_match_cost(options->pattern);
	if (options->count > most)
		options->count = most ? most : 1;
}

bool scan_parse_options(struct ctx *ctx, uint32_t i, unsigned allowed, struct scan_options *options)
{
	*options = (struct scan_options){
		.count = SCAN_COUNT_DEFAULT,
		.any_name = true,
		.any_type = true,
	};
	while (i < ctx->argc) {
		struct slice option = ctx->argv[i];
		bool has_value = i + 1 < ctx->argc;
		if ((allowed & SCAN_NOVALUES) && slice_is(option, "novalues")) {
			options->no_values = true;
			i++;
			continue;
		}
		if (has_value && slice_is(option, "count")) {
			if (!parse_count(ctx, i + 1, &options->count))
				return false;
		} else if (has_value && slice_is(option, "match")) {
			options->pattern = ctx->argv[i + 1];
			options->any_name = slice_equal(options->pattern, SLICE("*"));
		} else if (has_value && (allowed & SCAN_TYPE) && slice_is(option, "type")) {
			options->type = ctx->argv[i + 1];
			options->any_type = false;
		} else {
			reply_error(ctx->reply, error_syntax);
			return false;
		}
		i += 2;
	}
	limit_count(options);
	return true;
}

size_t scan_match_cost(struct slice pattern)
{
	return 1 + pattern.len / PATTERN_USUAL_MAX;
}

bool scan_match(const struct scan_options *options, struct slice name)
{
	return options->any_name || glob_match(options->pattern, name, false);
}

void scan_reply(struct ctx *ctx, uint64_t cursor, struct reply *bulks, size_t count)
{
	char text[NUMBER_TEXT_MAX];
	reply_array(ctx->reply, 2);
	reply_bulk(ctx->reply, text, number_format_unsigned(text, cursor));
	reply_array(ctx->reply, count);
	reply_move(ctx->reply, bulks);
}

void scan_reply_empty(struct ctx *ctx)
{
	reply_array(ctx->reply, 2);
	reply_bulk_text(ctx->reply, "0");
	reply_array(ctx->reply, 0);
}

struct scan {
	struct scan_options options;
	int64_t now;
	size_t found;
	struct reply keys; /* apart, as the cursor known after them stands before them */
};

static void scan_visit(void *arg, struct entry *e)
{
	struct scan *scan = arg;
	const struct scan_options *options = &scan->options;
	struct slice name = entry_key(e);

	if (!scan_match(options, name))
		return;
	if (!options->any_type && !slice_is(options->type, entry_type_name(entry_type(e))))
		return;
	if (value_expired(e, scan->now))
		return;
	reply_bulk_slice(&scan->keys, name);
	scan->found++;
}

void cmd_scan(struct ctx *ctx)
{
	struct scan scan = {.now = ctx->now};
	uint64_t cursor;
	if (!scan_parse_cursor(ctx, 1, &cursor) ||
	    !scan_parse_options(ctx, 2, SCAN_TYPE, &scan.options))
		return;
	size_t count = scan.options.count;
	reply_init(&scan.keys, ctx->reply->resp);
	cursor = keyspace_scan(ctx->ks, ctx->db, cursor, count, SCAN_STEPS_MIN + count, scan_visit,
			       &scan);
	scan_reply(ctx, cursor, &scan.keys, scan.found);
	reply_deinit(&scan.keys);
}

/* --- RANDOMKEY --- */

/* Slots in a sample: some 130 cache misses, of which many are under way together. */
#define SAMPLE_SLOTS 64
/* A sample with fewer keys says too little about how they lie. */
#define SAMPLE_KEYS_MIN 8
/* Draws that may meet an expired key before the walk looks for one that isn't. */
#define RANDOM_DRAWS 16
/* Steps of that walk, some 10 ms at worst; if all they meet has expired, there is nothing. */
#define WALK_STEPS (128 * 1024)
/* ... of which so many are made at once. */
#define WALK_SLICE 64

/* A table chosen among some, each as likely as it has keys. */
struct choice {
	uint64_t random;
	uint64_t keys; /* in all tables so far */
	const struct table *table;
};

/* splitmix64 */
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static void choice_offer(struct choice *choice, const struct table *table)
{
	size_t keys = table ? table_count(table) : 0;
	if (!keys)
		return;
	choice->keys += keys;
	if (random_next(&choice->random) % choice->keys < keys)
		choice->table = table;
}

/* Offers some slots; false when what is in them is no fair picture of the database. */
static bool choose_sampled(const struct keyspace *ks, uint32_t db, struct choice *choice)
{
	uint64_t all = (uint64_t)keyspace_keys(ks, db);
	for (uint32_t i = 0; i < SAMPLE_SLOTS; i++) {
		uint32_t slot = random_next(&choice->random) % SLOT_COUNT;
		choice_offer(choice, slot_table(&ks->slots[slot], db));
	}
	/* At least three quarters of the share that SAMPLE_SLOTS should have. */
	return choice->keys >= SAMPLE_KEYS_MIN &&
	       choice->keys >= all * SAMPLE_SLOTS / SLOT_COUNT / 4 * 3;
}

/* NULL: no key in any table. */
static const struct table *choose_table(const struct keyspace *ks, uint32_t db, uint64_t *random)
{
	struct choice choice = {.random = random_next(random)};
	if (choose_sampled(ks, db, &choice))
		return choice.table;
	choice = (struct choice){.random = random_next(random)};
	for (uint32_t i = 0; i < SLOT_COUNT; i++)
		choice_offer(&choice, slot_table(&ks->slots[i], db));
	return choice.table;
}

struct live {
	int64_t now;
	struct entry *e;
};

static void live_visit(void *arg, struct entry *e)
{
	struct live *live = arg;
	if (!live->e && !value_expired(e, live->now))
		live->e = e;
}

/* The first one after a random slot, round the end. */
static struct entry *next_live(const struct keyspace *ks, uint32_t db, uint64_t random, int64_t now)
{
	struct live live = {now, NULL};
	uint64_t cursor = random % SLOT_COUNT << TABLE_POSITION_BITS;

	for (size_t i = 0; !live.e && i < WALK_STEPS; i += WALK_SLICE)
		cursor = keyspace_scan(ks, db, cursor, WALK_SLICE, WALK_SLICE, live_visit, &live);
	return live.e;
}

struct entry *keyspace_random(const struct keyspace *ks, uint32_t db, uint64_t random, int64_t now)
{
	for (uint32_t i = 0; i < RANDOM_DRAWS; i++) {
		const struct table *table = choose_table(ks, db, &random);
		if (!table)
			return NULL;
		struct entry *e = table_random(table, random_next(&random));
		if (e && !value_expired(e, now))
			return e;
	}
	return next_live(ks, db, random, now);
}

void cmd_randomkey(struct ctx *ctx)
{
	const struct entry *e =
		keyspace_random(ctx->ks, ctx->db, shard_random(ctx->shard), ctx->now);
	if (e)
		reply_bulk_slice(ctx->reply, entry_key(e));
	else
		reply_null(ctx->reply);
}

/* --- DBSIZE --- */

void cmd_dbsize(struct ctx *ctx)
{
	reply_int(ctx->reply, keyspace_keys(ctx->ks, ctx->db));
}
