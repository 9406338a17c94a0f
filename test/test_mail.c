/*
 * Mail between workers: order, parcels and their pool, who wakes whom, and all of it under threads.
 */
#include "server/mail.h"
#include "test/check.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* What letters point to: alignment as the header asks for. */
struct note {
	uint32_t sender;
	uint32_t number;
} __attribute__((aligned(16)));

/* --- letters and parcels --- */

static void test_letter_keeps_both(void **state)
{
	struct note note;

	(void)state;
	for (enum verb verb = 0; verb < MAIL_VERB_COUNT; verb++) {
		uintptr_t letter = letter_make(&note, verb);
		assert_ptr_equal(letter_what(letter), &note);
		assert_int_equal(letter_verb(letter), verb);
	}
}

/*
 * Takes all mail; checks that it is the first `count` notes in their order. Returns how many
 * parcels.
 */
static uint32_t take_all(struct mailbox *box, struct parcel_pool *pool, const struct note *notes,
			 uint32_t count)
{
	uint32_t parcels = 0;
	uint32_t seen = 0;
	struct parcel *next;

	for (struct parcel *parcel = mailbox_take(box); parcel; parcel = next) {
		next = parcel->next;
		assert_in_range(parcel->count, 1, PARCEL_ITEMS);
		for (uint32_t i = 0; i < parcel->count; i++)
			assert_ptr_equal(letter_what(parcel->letters[i]), &notes[seen++]);
		parcel_free(pool, parcel);
		parcels++;
	}
	assert_int_equal(seen, count);
	assert_true(mailbox_empty(box));
	return parcels;
}

static void test_outbox_fills_parcels(void **state)
{
	static const struct {
		const char *label;
		uint32_t letters;
		uint32_t parcels;
	} rows[] = {
		{"none", 0, 0},
		{"one", 1, 1},
		{"a full one", PARCEL_ITEMS, 1},
		{"one more than full", PARCEL_ITEMS + 1, 2},
		{"two full ones", 2 * PARCEL_ITEMS, 2},
		{"many", 10 * PARCEL_ITEMS + 1, 11},
	};
	static struct note notes[10 * PARCEL_ITEMS + 1];
	struct parcel_pool pool = {0};
	struct outbox out = {0};
	struct mailbox box = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		for (uint32_t n = 0; n < rows[i].letters; n++)
			outbox_put(&out, &pool, &notes[n], MAIL_CALL);
		assert_false(outbox_post(&out, &box));
		assert_null(out.newest);
		uint32_t parcels = take_all(&box, &pool, notes, rows[i].letters);
		if (parcels != rows[i].parcels)
			fail_msg("%s: %u parcels", rows[i].label, parcels);
	}
	parcel_pool_deinit(&pool);
}

/* Several posts of several senders before the receiver looks: the oldest comes first. */
static void test_take_is_oldest_first(void **state)
{
	enum { POSTS = 7, EACH = PARCEL_ITEMS + 3 };
	static struct note notes[POSTS * EACH];
	struct parcel_pool pools[2] = {{0}};
	struct outbox out[2] = {{0}};
	struct mailbox box = {0};

	(void)state;
	assert_null(mailbox_take(&box));
	for (uint32_t post = 0; post < POSTS; post++) {
		uint32_t sender = post % 2;
		for (uint32_t n = 0; n < EACH; n++)
			outbox_put(&out[sender], &pools[sender], &notes[post * EACH + n],
				   MAIL_CALL);
		outbox_post(&out[sender], &box);
	}
	assert_int_equal(take_all(&box, &pools[0], notes, POSTS * EACH), POSTS * 2);
	assert_null(mailbox_take(&box));
	parcel_pool_deinit(&pools[0]);
	parcel_pool_deinit(&pools[1]);
}

/* --- the pool --- */

static uint32_t pool_length(const struct parcel_pool *pool)
{
	uint32_t n = 0;

	for (const struct parcel *parcel = pool->free; parcel; parcel = parcel->next)
		n++;
	return n;
}

static void test_pool_is_bounded(void **state)
{
	static const struct {
		const char *label;
		uint32_t used;
		uint32_t kept;
	} rows[] = {
		{"one", 1, 1},
		{"as many as are kept", PARCELS_KEPT, PARCELS_KEPT},
		{"one more", PARCELS_KEPT + 1, PARCELS_KEPT},
		{"many more", 5 * PARCELS_KEPT, PARCELS_KEPT},
	};
	static struct parcel *parcels[5 * PARCELS_KEPT];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct parcel_pool pool = {0};
		for (uint32_t n = 0; n < rows[i].used; n++)
			parcels[n] = parcel_new(&pool);
		assert_int_equal(pool.count, 0);
		for (uint32_t n = 0; n < rows[i].used; n++)
			parcel_free(&pool, parcels[n]);
		if (pool.count != rows[i].kept)
			fail_msg("%s: %u kept", rows[i].label, pool.count);
		assert_int_equal(pool_length(&pool), pool.count);
		parcel_pool_deinit(&pool);
		assert_null(pool.free);
		assert_int_equal(pool.count, 0);
	}
}

/* A used parcel comes out of the pool empty. */
static void test_pool_reuses(void **state)
{
	struct parcel_pool pool = {0};
	struct note note;

	(void)state;
	struct parcel *first = parcel_new(&pool);
	struct parcel *second = parcel_new(&pool);
	first->letters[first->count++] = letter_make(&note, MAIL_CALL);
	first->next = second;
	parcel_free(&pool, second);
	parcel_free(&pool, first);
	assert_ptr_equal(parcel_new(&pool), first);
	assert_null(first->next);
	assert_int_equal(first->count, 0);
	parcel_free(&pool, first);
	parcel_pool_deinit(&pool);
}

/* --- who wakes whom --- */

enum act {
	POST,  /* expects whether to wake */
	SLEEP, /* expects whether it may */
	AWAKE, /* 0 */
	TAKE,  /* expects how many parcels */
};

static uint32_t act(enum act what, struct mailbox *box, struct parcel_pool *pool)
{
	static struct note note;
	struct outbox out = {0};
	uint32_t parcels = 0;

	switch (what) {
	case POST:
		outbox_put(&out, pool, &note, MAIL_CALL);
		return outbox_post(&out, box);
	case SLEEP:
		return mailbox_sleep(box);
	case AWAKE:
		mailbox_awake(box);
		return 0;
	case TAKE:
		for (struct parcel *next, *parcel = mailbox_take(box); parcel; parcel = next) {
			next = parcel->next;
			parcel_free(pool, parcel);
			parcels++;
		}
		return parcels;
	}
	return UINT32_MAX;
}

static void test_wake_decision(void **state)
{
	static const struct {
		const char *label;
		uint32_t count;
		struct {
			enum act act;
			uint32_t expected;
		} acts[6];
	} rows[] = {
		{"an awake receiver is not woken", 2, {{POST, 0}, {POST, 0}}},
		{"nothing there: sleep", 1, {{SLEEP, 1}}},
		{"mail there: no sleep", 2, {{POST, 0}, {SLEEP, 0}}},
		{"who may not sleep is awake", 3, {{POST, 0}, {SLEEP, 0}, {POST, 0}}},
		{"a sleeping one is woken", 2, {{SLEEP, 1}, {POST, 1}}},
		{"once only", 4, {{SLEEP, 1}, {POST, 1}, {POST, 0}, {POST, 0}}},
		{"not after waking up by itself", 3, {{SLEEP, 1}, {AWAKE, 0}, {POST, 0}}},
		{"again after sleeping again",
		 6,
		 {{SLEEP, 1}, {POST, 1}, {TAKE, 1}, {SLEEP, 1}, {POST, 1}, {TAKE, 1}}},
		{"taken mail keeps nobody awake", 4, {{POST, 0}, {POST, 0}, {TAKE, 2}, {SLEEP, 1}}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct mailbox box = {0};
		struct parcel_pool pool = {0};
		for (uint32_t n = 0; n < rows[i].count; n++) {
			uint32_t got = act(rows[i].acts[n].act, &box, &pool);
			if (got != rows[i].acts[n].expected)
				fail_msg("%s: act %u gives %u", rows[i].label, n, got);
		}
		act(TAKE, &box, &pool);
		parcel_pool_deinit(&pool);
	}
}

/* An outbox with nothing in it disturbs nobody. */
static void test_nothing_to_post(void **state)
{
	struct mailbox box = {0};
	struct outbox out = {0};

	(void)state;
	assert_true(mailbox_sleep(&box));
	assert_false(outbox_post(&out, &box));
	assert_true(atomic_load(&box.sleeping));
	assert_true(mailbox_empty(&box));
}

static void loop_close(uv_loop_t *loop, struct mailbox *box)
{
	uv_close((uv_handle_t *)&box->wake, NULL);
	uv_run(loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(loop), 0);
	mailbox_close(box);
}

/* However many wakes: the loop's poll ends, and the next one waits again. */
static void test_wake_ends_the_poll(void **state)
{
	uv_loop_t loop;
	struct mailbox box = {0};

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(mailbox_open(&box, &loop), 0);
	for (int wakes = 1; wakes < 4; wakes++) {
		uint64_t left;
		for (int i = 0; i < wakes; i++)
			mailbox_wake(&box);
		uv_run(&loop, UV_RUN_ONCE);
		assert_int_equal(read(box.wake_fd, &left, sizeof(left)), -1);
	}
	loop_close(&loop, &box);
}

/* --- under threads --- */

#define SENDERS 3
#define LETTERS 30000

struct post_office {
	struct mailbox box;
	uv_loop_t loop;
	struct parcel_pool pool;
	uint32_t next[SENDERS]; /* number of the next letter of each */
	uint64_t sleeps; /* and attempts at it */
	uint64_t seed;
};

struct sender {
	pthread_t thread;
	struct post_office *office;
	struct note *notes;
	uint32_t id;
	uint64_t wakes;
};

/* Posts its letters in lots of random size. */
static void *sender_run(void *arg)
{
	struct sender *sender = arg;
	struct check_random random = {sender->office->seed + sender->id};
	struct parcel_pool pool = {0};
	struct outbox out = {0};

	for (uint32_t n = 0; n < LETTERS;) {
		uint32_t lot = 1 + check_random_below(&random, n % 7 ? 8 : 3 * PARCEL_ITEMS);
		for (; lot > 0 && n < LETTERS; lot--, n++)
			outbox_put(&out, &pool, &sender->notes[n], n % MAIL_VERB_COUNT);
		if (!outbox_post(&out, &sender->office->box))
			continue;
		mailbox_wake(&sender->office->box);
		sender->wakes++;
	}
	parcel_pool_deinit(&pool);
	return NULL;
}

static uint32_t receive(struct post_office *office)
{
	uint32_t letters = 0;
	struct parcel *next;

	for (struct parcel *parcel = mailbox_take(&office->box); parcel; parcel = next) {
		next = parcel->next;
		for (uint32_t i = 0; i < parcel->count; i++) {
			const struct note *note = letter_what(parcel->letters[i]);
			assert_int_equal(note->number, office->next[note->sender]);
			assert_int_equal(letter_verb(parcel->letters[i]),
					 note->number % MAIL_VERB_COUNT);
			office->next[note->sender]++;
		}
		letters += parcel->count;
		parcel_free(&office->pool, parcel);
		assert_true(office->pool.count <= PARCELS_KEPT);
	}
	return letters;
}

static void start_senders(struct post_office *office, struct sender *senders)
{
	for (uint32_t s = 0; s < SENDERS; s++) {
		senders[s] = (struct sender){.office = office, .id = s};
		senders[s].notes = aligned_alloc(16, LETTERS * sizeof(struct note));
		for (uint32_t n = 0; n < LETTERS; n++)
			senders[s].notes[n] = (struct note){s, n};
	}
	for (uint32_t s = 0; s < SENDERS; s++)
		assert_int_equal(pthread_create(&senders[s].thread, NULL, sender_run, &senders[s]),
				 0);
}

/*
 * Everything arrives, each sender's letters in their order, although the receiver sleeps whenever
 * it may: were a wake lost, this would never end.
 */
static void test_senders_and_a_sleeper(void **state)
{
	static struct post_office office;
	struct sender senders[SENDERS];
	uint64_t wakes = 0;

	(void)state;
	office.seed = check_random_start().state;
	assert_int_equal(uv_loop_init(&office.loop), 0);
	assert_int_equal(mailbox_open(&office.box, &office.loop), 0);
	start_senders(&office, senders);
	for (uint32_t got = 0; got < SENDERS * LETTERS;) {
		office.sleeps++;
		if (mailbox_sleep(&office.box)) {
			uv_run(&office.loop, UV_RUN_ONCE);
			mailbox_awake(&office.box);
		}
		got += receive(&office);
	}
	for (uint32_t s = 0; s < SENDERS; s++) {
		pthread_join(senders[s].thread, NULL);
		assert_int_equal(office.next[s], LETTERS);
		wakes += senders[s].wakes;
		free(senders[s].notes);
	}
	assert_null(mailbox_take(&office.box));
	assert_true(wakes <= office.sleeps); /* an awake receiver is never woken */
	parcel_pool_deinit(&office.pool);
	loop_close(&office.loop, &office.box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_letter_keeps_both),
		cmocka_unit_test(test_outbox_fills_parcels),
		cmocka_unit_test(test_take_is_oldest_first),
		cmocka_unit_test(test_pool_is_bounded),
		cmocka_unit_test(test_pool_reuses),
		cmocka_unit_test(test_wake_decision),
		cmocka_unit_test(test_nothing_to_post),
		cmocka_unit_test(test_wake_ends_the_poll),
		cmocka_unit_test(test_senders_and_a_sleeper),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
