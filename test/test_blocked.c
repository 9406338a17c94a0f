/* Who waits for keys: who is served, with what, in which order, and what stays behind (nothing). */
#include "test/store.h"

#include "shard/blocked.h"
#include "shard/hold.h"

#include <stdlib.h>

#define WAITERS_MAX 8

/* Those that wait, in the order in which they came. */
struct waiters {
	uint32_t count;
	struct blocker {
		struct waiter waiter;
		struct waiting places[STORE_ARGS_MAX];
		struct slice argv[STORE_ARGS_MAX];
	} of[WAITERS_MAX];
};

static struct slot *slot_of(struct store *s, const char *name)
{
	struct key key;
	key_prepare(&key, s->ks, slice_of(name));
	return key.slot;
}

/* A client comes with a blocking command, which finds nothing. */
static struct waiter *block(struct store *s, struct waiters *waiters, const char *request)
{
	struct blocker *blocker = &waiters->of[waiters->count++];
	uint32_t at[STORE_ARGS_MAX], argc = 0;
	struct key keys[STORE_ARGS_MAX];
	struct slot *slots[STORE_ARGS_MAX];
	struct ready_list ready = {0};

	memset(blocker, 0, sizeof(*blocker));
	blocker->waiter.resp = 2;
	blocker->waiter.places = blocker->places;
	for (const char *word = request; *word != '\0';) {
		size_t len = strcspn(word, " ");
		blocker->argv[argc++] = (struct slice){word, len};
		word += len + strspn(word + len, " ");
	}
	reply_reset(&s->reply, SIZE_MAX);
	const struct command *cmd = command_resolve(blocker->argv, argc, &s->reply);
	uint32_t count = (uint32_t)command_keys(cmd, blocker->argv, argc, at, STORE_ARGS_MAX);
	for (uint32_t i = 0; i < count; i++)
		key_prepare(&keys[i], s->ks, blocker->argv[at[i]]);
	uint32_t slot_count = keys_slots(keys, count, slots);
	struct ctx ctx = {
		.cmd = cmd,
		.argv = blocker->argv,
		.argc = argc,
		.db = s->db,
		.keys = keys,
		.key_count = count,
		.now = s->now,
		.reply = &s->reply,
		.ks = s->ks,
		.shard = s->ks->shards[0],
		.may_block = true,
		.ready = &ready,
	};
	assert_true(slots_try_hold(ctx.shard, slots, slot_count));
	execute(&ctx);
	assert_true(ctx.block.wanted);
	blocked_wait(&blocker->waiter, &ctx, blocker->argv);
	slots_release(ctx.shard, slots, slot_count, false, 0);
	return &blocker->waiter;
}

/*
 * Writes the replies of those that have been served since, in that order, with '|' for a line's
 * end.
 */
static void collect_served(struct store *s, struct waiters *waiters, char *out)
{
	for (uint32_t i = 0; i < s->ks->shard_count; i++) {
		struct shard *shard = s->ks->shards[i];
		for (struct waiter *waiter = shard->served_first; waiter; waiter = waiter->next) {
			assert_int_equal(atomic_load(&waiter->state), WAITER_SERVED);
			out += sprintf(out, "%d:", (int)((struct blocker *)waiter - waiters->of));
			for (size_t at = 0; at < waiter->reply.len; at++)
				if (waiter->reply.buf[at] != '\r')
					*out++ = waiter->reply.buf[at] == '\n'
							 ? '|'
							 : waiter->reply.buf[at];
			reply_deinit(&waiter->reply);
		}
		shard->served_first = shard->served_last = NULL;
	}
	*out = 0;
}

/* Those that wait yet go; nothing of anybody is left. */
static void end(struct store *s, struct waiters *waiters)
{
	int64_t keys = 0;
	for (uint32_t i = 0; i < waiters->count; i++) {
		waiter_claim(&waiters->of[i].waiter, WAITER_GONE);
		assert_true(blocked_clear(&waiters->of[i].waiter, s->ks->shards[0]));
	}
	for (uint32_t i = 0; i < SLOT_COUNT; i++)
		assert_null(slot_blocked(&s->ks->slots[i]));
	for (uint32_t i = 0; i < s->ks->shard_count; i++)
		keys += atomic_load(&s->ks->shards[i]->blocking_keys);
	assert_int_equal(keys, 0);
	store_check_closed(s);
	store_deinit(s);
}

/* Requests separated by ';', "=db" selects a database for what follows, "@ms" sets the clock. */
static void play(struct store *s, struct waiters *waiters, const char *requests, char **texts,
		 uint32_t *text_count)
{
	char *rest = strdup(requests), *one;
	texts[(*text_count)++] = rest; /* waiters keep their words */
	while ((one = strsep(&rest, ";"))) {
		if (*one == '=')
			s->db = (uint32_t)strtoul(one + 1, NULL, 10);
		else if (*one == '@')
			s->now = strtoll(one + 1, NULL, 10);
		else if (*one == 'B' && waiters)
			block(s, waiters, one);
		else if (*one)
			store_run(s, one);
	}
}

static const struct {
	const char *label;
	const char *waits, *then;
	const char *served; /* number of the waiter, ':', its reply */
	const char *look, *seen;
} services[] = {
	{"a push", "BLPOP k 0", "RPUSH k a b", "0:*2|$1|k|$1|a|", "LLEN k", ":1\r\n"},
	{"the first who came", "BLPOP k 0;BRPOP j k 0", "RPUSH k a", "0:*2|$1|k|$1|a|", "EXISTS k",
	 ":0\r\n"},
	{"as many as there are elements", "BLPOP k 0;BRPOP j k 0", "RPUSH k a b c",
	 "0:*2|$1|k|$1|a|1:*2|$1|k|$1|c|", "LLEN k", ":1\r\n"},
	{"another key", "BLPOP k 0", "RPUSH j a;ZADD z 1 a", "", "LLEN j", ":1\r\n"},
	{"another database", "BLPOP k 0", "=1;RPUSH k a", "", "LLEN k", ":1\r\n"},
	{"another type", "BLPOP k 0", "ZADD k 1 a", "", "ZCARD k", ":1\r\n"},
	{"those of the type, past others", "BZPOPMIN k 0;BLPOP k 0", "RPUSH k a", "1:*2|$1|k|$1|a|",
	 "EXISTS k", ":0\r\n"},
	{"a string is nothing", "BLPOP k 0", "SET k a", "", "GET k", "$1\r\na\r\n"},
	{"the same key twice", "BLPOP k k 0", "RPUSH k a b", "0:*2|$1|k|$1|a|", "LLEN k", ":1\r\n"},
	{"a name that comes", "BLPOP k 0", "RPUSH j a;RENAME j k", "0:*2|$1|k|$1|a|", "EXISTS k",
	 ":0\r\n"},
	{"a key that is moved", "=1;BLPOP k 0;=0", "RPUSH k a;MOVE k 1", "0:*2|$1|k|$1|a|",
	 "EXISTS k", ":0\r\n"},
	{"databases that are swapped", "=1;BLPOP k 0;=0;BLPOP k 0",
	 "=1;SET k x;=0;RPUSH j a;"
	 "COPY j k DB 2;SWAPDB 2 0",
	 "1:*2|$1|k|$1|a|", "EXISTS k", ":0\r\n"},
	{"one that has expired", "BLPOP k 0", "RPUSH j a;PEXPIRE j 10;@2000;RENAME j k", "",
	 "EXISTS k", ":0\r\n"},
	{"a move", "BLMOVE k l LEFT LEFT 0", "RPUSH k a", "0:$1|a|", "LLEN l", ":1\r\n"},
	{"a move to itself", "BRPOPLPUSH k k 0", "RPUSH k a", "0:$1|a|", "LLEN k", ":1\r\n"},
	{"a chain", "BLMOVE b c LEFT LEFT 0;BLPOP c 0;BLMOVE a b LEFT LEFT 0", "RPUSH a x",
	 "2:$1|x|0:$1|x|1:*2|$1|c|$1|x|", "EXISTS a", ":0\r\n"},
	{"a circle", "BLMOVE a b LEFT LEFT 0;BLMOVE b a LEFT LEFT 0", "RPUSH a x", "0:$1|x|1:$1|x|",
	 "LLEN a", ":1\r\n"},
	{"a move to what is no list", "SET s x;BLMOVE k s LEFT LEFT 0;BLPOP k 0", "RPUSH k a",
	 "0:-WRONGTYPE Operation against a key holding the wrong kind of value|"
	 "1:*2|$1|k|$1|a|",
	 "EXISTS k", ":0\r\n"},
	{"several at once", "BLMPOP 0 2 j k LEFT COUNT 2;BLPOP k 0", "RPUSH k a b c",
	 "0:*2|$1|k|*2|$1|a|$1|b|1:*2|$1|k|$1|c|", "EXISTS k", ":0\r\n"},
	{"sorted sets", "BZPOPMAX z 0;BZMPOP 0 1 z MIN", "ZADD z 1 a 2 b",
	 "0:*3|$1|z|$1|b|$1|2|1:*2|$1|z|*1|*2|$1|a|$1|1|", "EXISTS z", ":0\r\n"},
};

static void serves(void **state)
{
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		struct store s;
		struct waiters waiters = {0};
		char served[512], *texts[2];
		uint32_t text_count = 0;
		store_init(&s, 1);
		play(&s, &waiters, services[i].waits, texts, &text_count);
		play(&s, NULL, services[i].then, texts, &text_count);
		collect_served(&s, &waiters, served);
		if (strcmp(served, services[i].served) != 0)
			fail_msg("%s: served %s", services[i].label, served);
		const char *seen = store_run(&s, services[i].look);
		if (strcmp(seen, services[i].seen) != 0)
			fail_msg("%s: left %s", services[i].label, seen);
		end(&s, &waiters);
		while (text_count > 0)
			free(texts[--text_count]);
	}
}

/* Who has given up isn't served, whether or not it still stands in queues. */
static void not_those_that_have_gone(void **state)
{
	struct store s;
	struct waiters waiters = {0};
	char served[64];
	store_init(&s, 2);
	struct waiter *gone = block(&s, &waiters, "BLPOP j k 0");
	block(&s, &waiters, "BLPOP k 0");
	assert_true(waiter_claim(gone, WAITER_GONE));
	assert_false(waiter_claim(gone, WAITER_SERVED));
	store_run(&s, "RPUSH k a b");
	store_run(&s, "RPUSH j c");
	collect_served(&s, &waiters, served);
	assert_string_equal(served, "1:*2|$1|k|$1|a|");
	assert_string_equal(store_run(&s, "LLEN k"), ":1\r\n");
	assert_string_equal(store_run(&s, "LLEN j"), ":1\r\n");
	end(&s, &waiters);
}

/* A destination that another holds: everybody stays in his place until it is free. */
static void waits_for_a_destination(void **state)
{
	struct store s;
	struct waiters waiters = {0};
	char served[128];
	store_init(&s, 1);
	struct shard *shard = s.ks->shards[0];
	struct slot *target = slot_of(&s, "l");
	block(&s, &waiters, "BLMOVE k l LEFT LEFT 0");
	block(&s, &waiters, "BLPOP k 0");
	assert_true(slot_try_hold(target));
	store_run(&s, "RPUSH k a b c");
	assert_true(blocked_retry(shard, &s.clock));
	block(&s, &waiters, "BLPOP k 0");
	collect_served(&s, &waiters, served);
	assert_string_equal(served, "");
	slot_release(target, false);
	assert_false(blocked_retry(shard, &s.clock));
	collect_served(&s, &waiters, served);
	assert_string_equal(served, "0:$1|a|1:*2|$1|k|$1|b|2:*2|$1|k|$1|c|");
	assert_string_equal(store_run(&s, "LLEN l"), ":1\r\n");
	end(&s, &waiters);
}

/* Places in a slot that another holds are taken out later. */
static void clearing_waits_for_held_slots(void **state)
{
	struct store s;
	struct waiters waiters = {0};
	store_init(&s, 1);
	struct slot *slot = slot_of(&s, "b");
	struct waiter *waiter = block(&s, &waiters, "BLPOP a b c 0");
	assert_true(waiter_claim(waiter, WAITER_GONE));
	assert_true(slot_try_hold(slot));
	assert_false(blocked_clear(waiter, s.ks->shards[0]));
	assert_null(slot_blocked(slot_of(&s, "a")));
	assert_non_null(slot_blocked(slot));
	assert_null(slot_blocked(slot_of(&s, "c")));
	slot_release(slot, false);
	assert_true(blocked_clear(waiter, s.ks->shards[0]));
	end(&s, &waiters);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves),
		cmocka_unit_test(not_those_that_have_gone),
		cmocka_unit_test(waits_for_a_destination),
		cmocka_unit_test(clearing_waits_for_held_slots),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
