/* The journal's records: which lines, which effects, and what slots and readers are told. */
#define STORE_DATABASES 16  /* numbers of one digit and of two */
#define STORE_ARGS_MAX  256 /* an MSET of more slots than fit a line */
#include "test/store.h"

#include "proto/crc64.h"
#include "shard/sweep.h"

#include <inttypes.h>

#define RECORD_MAX 8192

static struct journal *journal_of(const struct store *s, uint32_t shard)
{
	return &s->ks->shards[shard]->journal;
}

static void journals_on(struct store *s)
{
	for (uint32_t i = 0; i < s->ks->shard_count; i++)
		journal_of(s, i)->on = true;
}

/* What a journal holds, CR LF shown as '|', and as if it were written now. */
static const char *taken(struct journal *journal)
{
	static char text[RECORD_MAX];
	size_t n = 0;
	assert_true(journal->buf.len < sizeof(text));
	char *bytes = store_journal(journal);
	for (size_t i = 0; i < journal->buf.len; i++)
		if (bytes[i] != '\n')
			text[n++] = (char)(bytes[i] == '\r' ? '|' : bytes[i]);
	free(bytes);
	text[n] = '\0';
	journal_wrote(journal, journal->buf.len);
	return text;
}

/* One worker, one request after another: what stands in the journal after each. */
static void test_records(void **state)
{
	static const struct {
		const char *label;
		const char *request;
		const char *record;
	} rows[] = {
		{"the first record opens segment and epoch", "SET {t}1 x",
		 "#EP:1:1000|#V:15891:1|*2|$6|SELECT|$1|0|*3|$3|SET|$4|{t}1|$1|x|"},
		{"the request itself", "APPEND {t}1 yz", "#V:15891:2|*3|$6|APPEND|$4|{t}1|$2|yz|"},
		{"a read has no effect", "GET {t}1", ""},
		{"a write that changes nothing has none", "SETNX {t}1 no", ""},
		{"nor has one that fails", "INCR {t}1", ""},
		{"times are absolute", "SET {t}2 v PX 50",
		 "#V:15891:3|*5|$3|SET|$4|{t}2|$1|v|$4|PXAT|$4|1050|"},
		{"SETEX is SET", "SETEX {t}2 1 w",
		 "#V:15891:4|*5|$3|SET|$4|{t}2|$1|w|$4|PXAT|$4|2000|"},
		{"KEEPTTL too", "SET {t}2 u KEEPTTL",
		 "#V:15891:5|*5|$3|SET|$4|{t}2|$1|u|$4|PXAT|$4|2000|"},
		{"EXPIRE is PEXPIREAT", "EXPIRE {t}1 7",
		 "#V:15891:6|*3|$9|PEXPIREAT|$4|{t}1|$4|8000|"},
		{"in the past it is DEL", "EXPIRE {t}1 -1", "#V:15891:7|*2|$3|DEL|$4|{t}1|"},
		{"GETEX is PERSIST", "GETEX {t}2 PERSIST", "#V:15891:8|*2|$7|PERSIST|$4|{t}2|"},
		{"sums of fractions are written out", "INCRBYFLOAT {t}3 0.5",
		 "#V:15891:9|*3|$3|SET|$4|{t}3|$3|0.5|"},
		{"one slot: the request", "RENAME {t}3 {t}4",
		 "#V:15891:10|*3|$6|RENAME|$4|{t}3|$4|{t}4|"},
		{"several slots: what the keys are now", "RENAME {t}4 b",
		 "#V:3300:1,15891:11|*1|$5|MULTI|*2|$3|DEL|$4|{t}4|*3|$3|SET|$1|b|$3|0.5|*1|$4|EXEC|"},
		{"each key of them", "MSET a 1 b 2",
		 "#V:3300:2,15495:1|*1|$5|MULTI|*3|$3|SET|$1|a|$1|1|*3|$3|SET|$1|b|$1|2|*1|$4|EXEC|"},
		{"all slots", "FLUSHALL", "#ALL:1:0:12|*1|$8|FLUSHALL|"},
		{"numbers go on", "SET b 1", "#V:3300:3|*3|$3|SET|$1|b|$1|1|"},
		{"one that expires", "SETEX {t}5 1 w",
		 "#V:15891:12|*5|$3|SET|$4|{t}5|$1|w|$4|PXAT|$4|2000|"},
		{"among several slots", "RENAME {t}5 b",
		 "#V:3300:4,15891:13|*1|$5|MULTI|*2|$3|DEL|$4|{t}5|"
		 "*5|$3|SET|$1|b|$1|w|$4|PXAT|$4|2000|*1|$4|EXEC|"},
	};
	struct store s;

	(void)state;
	store_init(&s, 1);
	s.now = 1000;
	journals_on(&s);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		store_run(&s, rows[i].request);
		print_message("# %s\n", rows[i].label);
		assert_string_equal(taken(journal_of(&s, 0)), rows[i].record);
	}
	store_deinit(&s);
}

/*
 * What had expired is deleted before the request finds nothing; the sweep's deletions are records.
 */
static void test_expired(void **state)
{
	struct store s;

	(void)state;
	store_init(&s, 1);
	s.now = 1000;
	journals_on(&s);
	store_run(&s, "SET b 5 PXAT 1001");
	taken(journal_of(&s, 0));
	s.now = 2000;
	store_run(&s, "INCR b");
	assert_string_equal(taken(journal_of(&s, 0)),
			    "#V:3300:2|*1|$5|MULTI|*2|$3|DEL|$1|b|*2|$4|INCR|$1|b|*1|$4|EXEC|");
	store_run(&s, "PEXPIREAT b 2001");
	taken(journal_of(&s, 0));
	s.now = 3000;
	while (sweep_slice(s.ks->shards[0], s.now) || keyspace_keys(s.ks, 0) > 0)
		;
	assert_string_equal(taken(journal_of(&s, 0)), "#V:3300:4|*2|$3|DEL|$1|b|");
	store_deinit(&s);
}

static uint32_t count(const char *text, const char *what)
{
	uint32_t n = 0;
	while ((text = strstr(text, what))) {
		n++;
		text++;
	}
	return n;
}

/* More slots than fit a comment line. */
static void test_many_slots(void **state)
{
	enum { KEYS = 100 };
	char request[RECORD_MAX] = "MSET";
	struct store s;

	(void)state;
	store_init(&s, 1);
	s.now = 1000;
	journals_on(&s);
	for (int i = 0; i < KEYS; i++)
		sprintf(request + strlen(request), " k%d v", i);
	store_run(&s, request);
	const char *text = taken(journal_of(&s, 0));
	assert_int_equal(count(text, "|#V:"), 3);
	assert_int_equal(count(text, ":1,") + count(text, ":1|"), KEYS);
	assert_int_equal(count(text, "|*3|$3|SET|"), KEYS);
	assert_int_equal(count(text, "|k99|$1|v|"), 1);
	store_deinit(&s);
}

/* Arguments larger than any buffer at first. */
static void test_large(void **state)
{
	enum { BYTES = 100000 };
	char *request = malloc(BYTES + 7);
	struct store s;

	(void)state;
	store_init(&s, 1);
	s.now = 1000;
	journals_on(&s);
	memcpy(request, "SET b ", 6);
	memset(request + 6, 'v', BYTES);
	request[6 + BYTES] = '\0';
	store_run(&s, request);
	struct journal *journal = journal_of(&s, 0);
	assert_true(journal->buf.len > BYTES + 2);
	char *bytes = store_journal(journal);
	assert_memory_equal(bytes + journal->buf.len - BYTES - 2, request + 6, BYTES);
	assert_memory_equal(bytes + journal->buf.len - 2, "\r\n", 2);
	free(bytes);
	journal_wrote(journal, journal->buf.len);
	store_run(&s, "SET b 1");
	assert_string_equal(taken(journal), "#V:3300:2|*3|$3|SET|$1|b|$1|1|");
	store_deinit(&s);
	free(request);
}

/*
 * Requests with a value of so many bytes: the last comment is the sum of what follows, or there is
 * none.
 */
static void test_sums(void **state)
{
	static const struct {
		const char *label;
		const char *request;
		size_t bytes;
		uint32_t db;
		bool summed;
		const char *effects; /* how they begin */
	} rows[] = {
		{"shorter than a sector", "SET b %", JOURNAL_SUM_MIN - 1, 0, false,
		 "*2\r\n$6\r\nSELECT"},
		{"a sector", "SET b %", JOURNAL_SUM_MIN, 0, true, "*3\r\n$3\r\nSET"},
		{"that is in the effect as it is done", "SETEX b 10 %", JOURNAL_SUM_MIN, 0, true,
		 "*5\r\n$3\r\nSET"},
		{"the record after it has none", "SET b 1", 0, 0, false, "*3\r\n$3\r\nSET"},
		{"a key", "SET % 1", 20000, 0, true, "*3\r\n$3\r\nSET"},
		{"one of several effects", "MSET a 1 b % c 1", 20000, 0, true, "*1\r\n$5\r\nMULTI"},
		{"many small arguments", "RPUSH l 1 2 3 4 5 6 7 8 9", 0, 0, false,
		 "*11\r\n$5\r\nRPUSH"},
		{"with its database", "SET b %", 600, 3, true, "*2\r\n$6\r\nSELECT"},
		{"a large value that is passed on", "COPY b a", 0, 3, true, "*3\r\n$3\r\nSET"},
		{"a large argument of a write that changes nothing", "SET b % NX", 600, 3, false,
		 ""},
		{"leaves nothing behind", "SET b 1", 0, 3, false, "*3\r\n$3\r\nSET"},
		{"in pieces", "SET b %", 2000000, 3, true, "*3\r\n$3\r\nSET"},
		{"in pieces behind others", "MSET c 1 a % b %", 1000000, 0, true,
		 "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*1\r\n$5\r\nMULTI"},
		{"a string with room for more", "APPEND b %", 2000, 0, true, "*3\r\n$6\r\nAPPEND"},
		{"... and zeros", "SETBIT b 24000000 1", 0, 0, false, "*4\r\n$6\r\nSETBIT"},
		{"... in pieces", "COPY b a REPLACE", 0, 0, true, "*3\r\n$3\r\nSET"},
		{"a collection", "HSET h field %", 1000000, 0, true, "*4\r\n$4\r\nHSET"},
		{"... as a payload", "COPY h {a}h", 0, 0, true, "*6\r\n$7\r\nRESTORE"},
		{"... among others", "RENAME h {b}h", 0, 0, true, "*1\r\n$5\r\nMULTI"},
		{"small ones go on", "SET b 1", 0, 0, false, "*3\r\n$3\r\nSET"},
	};
	static char large[2000000];
	struct store s;

	(void)state;
	store_init(&s, 1);
	journals_on(&s);
	struct journal *journal = journal_of(&s, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char line[32];

		print_message("# %s\n", rows[i].label);
		memset(large, 'a' + (int)i, sizeof(large));
		s.db = rows[i].db;
		store_run_value(&s, rows[i].request, (struct slice){large, rows[i].bytes});
		char *bytes = store_journal(journal);
		const char *stop = bytes + journal->buf.len;
		const char *effects =
			journal->buf.len ? memchr(bytes, '*', journal->buf.len) : stop;
		assert_true((size_t)(stop - effects) >= strlen(rows[i].effects));
		assert_memory_equal(effects, rows[i].effects, strlen(rows[i].effects));
		int len = sprintf(line, "\r\n#SUM:%016" PRIx64 "\r\n",
				  crc64(0, effects, (size_t)(stop - effects)));
		if (rows[i].summed)
			assert_memory_equal(effects - len, line, (size_t)len);
		else if (journal->buf.len)
			assert_null(memmem(bytes, journal->buf.len, "#SUM", 4));
		free(bytes);
		journal_wrote(journal, journal->buf.len);
	}
	store_deinit(&s);
}

static void test_databases(void **state)
{
	struct store s;

	(void)state;
	store_init(&s, 1);
	s.now = 1000;
	journals_on(&s);
	s.db = 3;
	store_run(&s, "SET b 1");
	assert_string_equal(taken(journal_of(&s, 0)),
			    "#EP:1:1000|#V:3300:1|*2|$6|SELECT|$1|3|*3|$3|SET|$1|b|$1|1|");
	s.db = 12;
	store_run(&s, "SET b 1");
	assert_string_equal(taken(journal_of(&s, 0)),
			    "#V:3300:2|*2|$6|SELECT|$2|12|*3|$3|SET|$1|b|$1|1|");
	store_deinit(&s);
}

/*
 * Two workers in turn (store.h): numbers count over both, a unit on all slots says who stands
 * where.
 */
static void test_two_workers(void **state)
{
	struct store s;

	(void)state;
	store_init(&s, 2);
	s.now = 1000;
	journals_on(&s);
	struct journal *first = journal_of(&s, 0), *second = journal_of(&s, 1);
	store_run(&s, "SET b 1");
	store_run(&s, "SET b 2");
	store_run(&s, "SET b 3");
	store_run(&s, "FLUSHALL");
	store_run(&s, "SET b 4");
	assert_string_equal(taken(first),
			    "#EP:1:1000|#V:3300:1|*2|$6|SELECT|$1|0|*3|$3|SET|$1|b|$1|1|"
			    "#V:3300:3|*3|$3|SET|$1|b|$1|3|"
			    "#AL:1|#V:3300:4|*3|$3|SET|$1|b|$1|4|");
	assert_string_equal(taken(second),
			    "#EP:1:1000|#V:3300:2|*2|$6|SELECT|$1|0|*3|$3|SET|$1|b|$1|2|"
			    "#ALL:1:0:2,1:1|*1|$8|FLUSHALL|");
	store_deinit(&s);
}

/* Epochs and generations begin where the flusher says. */
static void test_cut(void **state)
{
	struct store s;

	(void)state;
	store_init(&s, 1);
	s.now = 1000;
	journals_on(&s);
	struct journal *journal = journal_of(&s, 0);
	store_run(&s, "SET b 1");
	taken(journal);
	atomic_store(&s.ks->epochs.now, 2);
	store_run(&s, "SET b 2");
	assert_string_equal(taken(journal), "#EP:2:1000|#V:3300:2|*3|$3|SET|$1|b|$1|2|");
	atomic_store(&s.ks->epochs.cut, 2);
	store_run(&s, "SET b 3");
	assert_int_equal(journal->segment_at, SIZE_MAX);
	size_t before = journal->buf.len;
	atomic_store(&s.ks->epochs.now, 3);
	store_run(&s, "SET b 4");
	assert_int_equal(journal->segment_at, before);
	journal_wrote(journal, before);
	assert_int_equal(journal->segment_at, 0);
	assert_string_equal(taken(journal),
			    "#EP:3:1000|#V:3300:1|*2|$6|SELECT|$1|0|*3|$3|SET|$1|b|$1|4|");
	assert_int_equal(atomic_load(&journal->counts[journal->counting].records), 1);
	store_deinit(&s);
}

/* A unit on all slots that is still before the cut, when another journal has gone on behind it. */
static void test_all_at_cut(void **state)
{
	struct store s;

	(void)state;
	store_init(&s, 2);
	s.now = 1000;
	journals_on(&s);
	store_run(&s, "SET b 1");
	store_run(&s, "SET b 2");
	store_run(&s, "SET b 3");
	taken(journal_of(&s, 0));
	taken(journal_of(&s, 1));
	atomic_store(&s.ks->epochs.cut, 1);
	atomic_store(&s.ks->epochs.now, 2);
	journal_follow(s.ks->shards[0]);
	atomic_store(&s.ks->epochs.now, 1); /* as the unit has loaded it */
	store_run(&s, "FLUSHALL");
	assert_string_equal(taken(journal_of(&s, 1)), "#ALL:1:0:2,1:1|*1|$8|FLUSHALL|");
	store_deinit(&s);
}

/* Ordinary records are written in their tick; of large ones a part, but never less than a piece. */
static void test_due(void **state)
{
	static char large[100 * 1024 * 1024];
	struct store s;

	(void)state;
	store_init(&s, 1);
	journals_on(&s);
	struct journal *journal = journal_of(&s, 0);
	store_run(&s, "SET b 1");
	assert_int_equal(journal_due(journal), journal->buf.len);
	size_t ordinary = journal->buf.len;
	store_run_value(&s, "SET b %", (struct slice){large, sizeof(large)});
	size_t ticks = 0;
	assert_in_range(journal_due(journal), ordinary + JOURNAL_PIECE_BYTES,
			ordinary + journal->buf.len / JOURNAL_PIECE_PART + 100);
	for (; journal->buf.len > 0; ticks++) {
		size_t before = journal->buf.len;
		store_run(&s, "SET b 1");
		size_t more = journal->buf.len - before, due = journal_due(journal);
		assert_true(due == journal->buf.len || due >= more + JOURNAL_PIECE_BYTES);
		journal_wrote(journal, due);
		assert_true(journal->buf.len + JOURNAL_PIECE_BYTES <= before || !journal->buf.len);
	}
	assert_in_range(ticks, JOURNAL_PIECE_PART, 3 * JOURNAL_PIECE_PART);
	assert_int_equal(journal->large, 0);
	store_deinit(&s);
}

/* Who reads or changes what another wrote has to wait for that one's bytes. */
static void test_saw(void **state)
{
	static const char *const looks[] = {"GET b", "GET absent{b}", "INCR b", "MGET a b"};
	struct store s;

	(void)state;
	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		store_init(&s, 2);
		journals_on(&s);
		struct journal *first = journal_of(&s, 0), *second = journal_of(&s, 1);
		store_run(&s, "SET b 1");
		assert_int_equal(second->saw[0], 0);
		store_run(&s, looks[i]);
		print_message("# %s\n", looks[i]);
		assert_int_equal(second->saw[0], atomic_load(&first->appended));
		assert_true(second->saw_any);
		store_deinit(&s);
	}
}

/* ... and for those of a third worker that the second one's record came after. */
static void test_rests_on(void **state)
{
	static const char *const looks[] = {"GET b", "GET {b}c", "INCR b"};
	struct store s;

	(void)state;
	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		store_init(&s, 3);
		journals_on(&s);
		struct journal *first = journal_of(&s, 0), *second = journal_of(&s, 1);
		struct journal *third = journal_of(&s, 2);
		store_run(&s, "SET b 1");
		store_run(&s, "INCR b");
		journal_wrote(second, second->buf.len);
		store_run(&s, looks[i]);
		print_message("# %s\n", looks[i]);
		assert_int_equal(third->saw[1], atomic_load(&second->appended));
		assert_int_equal(third->saw[0], atomic_load(&first->appended));
		store_deinit(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),    cmocka_unit_test(test_expired),
		cmocka_unit_test(test_databases),  cmocka_unit_test(test_two_workers),
		cmocka_unit_test(test_cut),        cmocka_unit_test(test_all_at_cut),
		cmocka_unit_test(test_saw),        cmocka_unit_test(test_rests_on),
		cmocka_unit_test(test_many_slots), cmocka_unit_test(test_large),
		cmocka_unit_test(test_sums),       cmocka_unit_test(test_due),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
