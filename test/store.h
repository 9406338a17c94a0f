/*
 * A keyspace that obeys requests written as text, at times that the test says: for unit tests of
 * what stands behind the commands. Each request is run by another shard in turn, as the holder of
 * its slots; what it retired is freed before the next.
 */
#ifndef TEST_STORE_H
#define TEST_STORE_H

#include "test/check.h"

#include "shard/execute.h"

#ifndef STORE_ARGS_MAX
#define STORE_ARGS_MAX 16
#endif
#ifndef STORE_DATABASES
#define STORE_DATABASES 4
#endif

struct store {
	struct keyspace *ks;
	int64_t now;
	_Atomic int64_t clock; /* now, as units of work load it */
	uint32_t db;
	uint64_t requests;
	uint64_t dirty; /* of the last request */
	struct reply reply;
};

static inline void store_init(struct store *s, uint32_t shards)
{
	*s = (struct store){.now = 1000};
	s->ks = keyspace_new(shards, STORE_DATABASES, &(struct hash_seed){1, 2});
	reply_init(&s->reply, 2);
}

/* What a journal holds, in one piece; free(). */
static inline char *store_journal(const struct journal *journal)
{
	char *bytes = malloc(journal->buf.len + 1);
	chain_copy(&journal->buf, bytes);
	return bytes;
}

static inline void store_deinit(struct store *s)
{
	reply_deinit(&s->reply);
	keyspace_free(s->ks);
}

/* A grace period passes: all that was retired is freed. */
static inline void store_collect(struct store *s)
{
	struct grace *grace = &s->ks->grace;

	for (uint32_t i = 0; i < s->ks->shard_count; i++)
		retire_stamp(&s->ks->shards[i]->retire, grace);
	atomic_fetch_add(&grace->started, 1);
	atomic_store(&grace->completed, atomic_load(&grace->started));
	for (uint32_t i = 0; i < s->ks->shard_count; i++)
		while (retire_collect(&s->ks->shards[i]->retire, grace, 100))
			;
}

/* All slots are even: no unit of work was left open. */
static inline void store_check_closed(const struct store *s)
{
	for (uint32_t i = 0; i < SLOT_COUNT; i++)
		assert_int_equal(atomic_load(&s->ks->slots[i].seq) & 1, 0);
}

/* Runs a request; its reply as bytes with a zero after them, until the next. */
static inline const char *store_run_args(struct store *s, const struct slice *argv, uint32_t argc)
{
	uint32_t at[STORE_ARGS_MAX];
	struct key keys[STORE_ARGS_MAX];
	struct slot *slots[STORE_ARGS_MAX];
	const struct command *cmd;

	reply_reset(&s->reply, SIZE_MAX);
	atomic_store(&s->clock, s->now);
	cmd = command_resolve(argv, argc, &s->reply);
	assert_non_null(cmd);
	assert_non_null(key_handlers[cmd->id]);
	int32_t count = command_keys(cmd, argv, argc, at, STORE_ARGS_MAX);
	assert_in_range(count, 0, STORE_ARGS_MAX);
	for (int32_t i = 0; i < count; i++)
		key_prepare(&keys[i], s->ks, argv[at[i]]);
	uint32_t slot_count = keys_slots(keys, (uint32_t)count, slots);
	bool all = cmd->route == ROUTE_ALL;
	struct ctx ctx = {
		.cmd = cmd,
		.argv = argv,
		.argc = argc,
		.db = s->db,
		.keys = keys,
		.key_count = (uint32_t)count,
		.now = s->now,
		.clock = &s->clock,
		.reply = &s->reply,
		.ks = s->ks,
		.shard = s->ks->shards[s->requests++ % s->ks->shard_count],
	};
	assert_true(execute_holding(&ctx, all ? NULL : slots, slot_count));
	s->dirty = ctx.dirty;
	store_collect(s);
	*reply_room(&s->reply, 1) = '\0';
	return s->reply.buf;
}

/* The same for words with a space between; a word "%" is the value. */
static inline const char *store_run_value(struct store *s, const char *request, struct slice value)
{
	struct slice argv[STORE_ARGS_MAX];
	uint32_t argc = 0;

	for (const char *word = request; *word != '\0';) {
		size_t len = strcspn(word, " ");
		assert_true(argc < STORE_ARGS_MAX);
		argv[argc++] = len == 1 && *word == '%' ? value : (struct slice){word, len};
		word += len + strspn(word + len, " ");
	}
	return store_run_args(s, argv, argc);
}

static inline const char *store_run(struct store *s, const char *request)
{
	return store_run_value(s, request, SLICE("%"));
}

static inline const char *store_runf(struct store *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static inline const char *store_runf(struct store *s, const char *format, ...)
{
	char request[256];
	va_list list;

	va_start(list, format);
	int len = vsnprintf(request, sizeof(request), format, list);
	va_end(list);
	assert_in_range(len, 1, sizeof(request) - 1);
	return store_run(s, request);
}

#endif
