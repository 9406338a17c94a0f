/* Doing effects again (replay.h). */
#include "persist/replay.h"

#include "persist/helper.h"
#include "proto/crc16.h"
#include "proto/mem.h"
#include "shard/execute.h"
#include "shard/hold.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

/* Pieces handed to a thread at a time, and how many such handfuls may wait for it. */
#define HANDFUL 256
#define HANDFULS_MAX 32
/* As much of a command's name as an error shows. */
#define REPLAY_NAME_MAX 64
/* ... and of a reply. */
#define REPLAY_REPLY_MAX 150
/* Arguments of an effect that there is room for at first. */
#define ARGS_FIRST 64

struct piece {
	const char *bytes; /* effects */
	size_t len;
	uint32_t db;
	bool time_passes; /* of commands that are none of ours */
};

struct handful {
	struct handful *next;
	uint32_t count;
	struct piece pieces[HANDFUL];
};

/* What does effects: a thread, or the caller for units on all slots. */
struct actor {
	struct replay *replay;
	struct helper helper;
	struct reply reply;
	const char *at; /* the effect being done */
	struct slice *argv;
	struct key *keys;
	struct slot **slots;
	uint32_t *positions;
	uint32_t room; /* in each of them */
	_Atomic uint64_t effects;
	/* threads only */
	pthread_t thread;
	struct handful *filling; /* the caller's */
	pthread_mutex_t mutex;   /* guards all below */
	pthread_cond_t changed;
	struct handful *first, *last;
	uint32_t waiting; /* handfuls that are in the list, or being done */
	bool stop;
};

struct replay {
	struct keyspace *ks;
	uint32_t count;
	struct actor *actors; /* the last one is the caller's */
	_Atomic bool failed;
	pthread_mutex_t error_mutex;
	char error[REPLAY_ERROR_MAX];
	const char *error_at;
};

/* --- doing one effect --- */

/* The effect that the actor is at could not be done. */
static void fail(struct actor *actor, struct slice reason)
{
	struct replay *replay = actor->replay;
	struct slice name = actor->argv[0];
	pthread_mutex_lock(&replay->error_mutex);
	if (!atomic_load(&replay->failed)) {
		snprintf(replay->error, sizeof(replay->error), "%.*s: %.*s",
			 (int)(name.len < REPLAY_NAME_MAX ? name.len : REPLAY_NAME_MAX), name.ptr,
			 (int)reason.len, reason.ptr);
		replay->error_at = actor->at;
	}
	atomic_store(&replay->failed, true);
	pthread_mutex_unlock(&replay->error_mutex);
}

static void make_room(struct actor *actor, uint32_t argc)
{
	if (argc <= actor->room)
		return;
	actor->room = argc > ARGS_FIRST ? argc : ARGS_FIRST;
	actor->argv = mem_realloc(actor->argv, actor->room * sizeof(*actor->argv));
	actor->keys = mem_realloc(actor->keys, actor->room * sizeof(*actor->keys));
	actor->slots = mem_realloc(actor->slots, actor->room * sizeof(*actor->slots));
	actor->positions = mem_realloc(actor->positions, actor->room * sizeof(*actor->positions));
}

/* The first line of a reply, or what an error shows of it. */
static struct slice reply_line(const struct reply *reply)
{
	size_t len = reply->len < REPLAY_REPLY_MAX ? reply->len : REPLAY_REPLY_MAX;
	const char *end = memchr(reply->buf, '\r', len);
	return (struct slice){reply->buf, end ? (size_t)(end - reply->buf) : len};
}

/* The command of the effect in argv; NULL after failing. */
static const struct command *resolve(struct actor *actor, uint32_t argc)
{
	const struct command *cmd = command_resolve(actor->argv, argc, &actor->reply);
	if (cmd && key_handlers[cmd->id])
		return cmd;
	fail(actor, SLICE("no such command on keys"));
	return NULL;
}

static void run(struct actor *actor, const struct command *cmd, uint32_t argc, uint32_t db,
		int64_t now)
{
	struct keyspace *ks = actor->replay->ks;
	int32_t count = command_keys(cmd, actor->argv, argc, actor->positions, actor->room);
	for (int32_t i = 0; i < count; i++)
		key_prepare(&actor->keys[i], ks, actor->argv[actor->positions[i]]);
	uint32_t slots = count > 0 ? keys_slots(actor->keys, (uint32_t)count, actor->slots) : 0;
	struct ctx ctx = {
		.cmd = cmd,
		.argv = actor->argv,
		.argc = argc,
		.db = db,
		.keys = actor->keys,
		.key_count = count > 0 ? (uint32_t)count : 0,
		.now = now,
		.reply = &actor->reply,
		.ks = ks,
		.shard = actor->helper.shard,
	};
	while (!execute_holding(&ctx, slots ? actor->slots : NULL, slots))
		; /* a holder that only looks */
	if (actor->reply.errors)
		fail(actor, reply_line(&actor->reply));
	reply_reset(&actor->reply, SIZE_MAX);
	actor->reply.errors = 0;
}

/* One whose times count from now: as at the start of the replay. */
static void run_now(struct actor *actor, const struct command *cmd, uint32_t argc, uint32_t db)
{
	struct shard *shard = actor->helper.shard;
	int64_t now = shard->replay_ms;
	shard->replay_ms = 0;
	run(actor, cmd, argc, db, now);
	shard->replay_ms = now;
}

/* All effects of a piece, unless something has failed. */
static void act(struct actor *actor, const struct piece *piece)
{
	uint32_t db = piece->db, argc;
	for (size_t at = 0; at < piece->len && !atomic_load(&actor->replay->failed);) {
		const char *bytes = actor->at = piece->bytes + at;
		ptrdiff_t taken = merge_effect(bytes, piece->len - at, actor->argv, actor->room, &argc);
		assert(taken > 0);
		if (argc > actor->room) {
			make_room(actor, argc);
			continue;
		}
		int64_t number;
		if (slice_is(actor->argv[0], "select") && argc == 2 &&
		    number_parse(actor->argv[1], &number) && number < actor->replay->ks->databases) {
			db = (uint32_t)number;
		} else if (db >= actor->replay->ks->databases) {
			fail(actor, SLICE("there are more databases in it than here"));
		} else {
			const struct command *cmd = resolve(actor, argc);
			if (cmd && piece->time_passes)
				run_now(actor, cmd, argc, db);
			else if (cmd)
				run(actor, cmd, argc, db, 0);
		}
		atomic_fetch_add_explicit(&actor->effects, 1, memory_order_relaxed);
		at += (size_t)taken;
	}
}

/* --- threads --- */

static void *actor_main(void *arg)
{
	struct actor *actor = arg;
	pthread_mutex_lock(&actor->mutex);
	for (;;) {
		while (!actor->first && !actor->stop)
			pthread_cond_wait(&actor->changed, &actor->mutex);
		struct handful *handful = actor->first;
		if (!handful)
			break;
		actor->first = handful->next;
		pthread_mutex_unlock(&actor->mutex);
		for (uint32_t i = 0; i < handful->count; i++)
			act(actor, &handful->pieces[i]);
		helper_collect(&actor->helper);
		mem_free(handful, sizeof(*handful));
		pthread_mutex_lock(&actor->mutex);
		actor->waiting--;
		pthread_cond_broadcast(&actor->changed);
	}
	pthread_mutex_unlock(&actor->mutex);
	return NULL;
}

static void hand_over(struct actor *actor)
{
	struct handful *handful = actor->filling;
	if (!handful)
		return;
	actor->filling = NULL;
	pthread_mutex_lock(&actor->mutex);
	while (actor->waiting >= HANDFULS_MAX)
		pthread_cond_wait(&actor->changed, &actor->mutex);
	if (actor->first)
		actor->last->next = handful;
	else
		actor->first = handful;
	actor->last = handful;
	actor->waiting++;
	pthread_cond_broadcast(&actor->changed);
	pthread_mutex_unlock(&actor->mutex);
}

static void give(struct actor *actor, const struct piece *piece)
{
	if (!actor->filling) {
		actor->filling = mem_alloc(sizeof(*actor->filling));
		actor->filling->next = NULL;
		actor->filling->count = 0;
	}
	actor->filling->pieces[actor->filling->count++] = *piece;
	if (actor->filling->count == HANDFUL)
		hand_over(actor);
}

static struct actor *actor_of(struct replay *replay, uint16_t slot)
{
	return &replay->actors[slot % replay->count];
}

/* --- the caller --- */

static void actor_init(struct replay *replay, struct actor *actor, uint32_t i, int64_t now)
{
	actor->replay = replay;
	helper_init(&actor->helper, replay->ks, i, now);
	reply_init(&actor->reply, 2);
	make_room(actor, ARGS_FIRST);
	pthread_mutex_init(&actor->mutex, NULL);
	pthread_cond_init(&actor->changed, NULL);
}

struct replay *replay_begin(struct keyspace *ks, uint32_t threads, int64_t now)
{
	struct replay *replay = mem_zalloc(sizeof(*replay));
	replay->ks = ks;
	replay->count = threads;
	replay->actors = mem_zalloc((threads + 1) * sizeof(*replay->actors));
	pthread_mutex_init(&replay->error_mutex, NULL);
	for (uint32_t i = 0; i <= threads; i++) {
		actor_init(replay, &replay->actors[i], i, now);
		if (i < threads)
			pthread_create(&replay->actors[i].thread, NULL, actor_main,
				       &replay->actors[i]);
	}
	return replay;
}

bool replay_drain(struct replay *replay)
{
	for (uint32_t i = 0; i < replay->count; i++)
		hand_over(&replay->actors[i]);
	for (uint32_t i = 0; i < replay->count; i++) {
		struct actor *actor = &replay->actors[i];
		pthread_mutex_lock(&actor->mutex);
		while (actor->waiting > 0)
			pthread_cond_wait(&actor->changed, &actor->mutex);
		pthread_mutex_unlock(&actor->mutex);
		helper_absorb(&actor->helper);
	}
	helper_absorb(&replay->actors[replay->count].helper);
	return !atomic_load(&replay->failed);
}

/* Each effect to the thread that has its slot. */
static void give_parts(struct replay *replay, const struct merge_record *record)
{
	struct piece piece = {.db = record->db};
	struct actor *own = &replay->actors[replay->count];
	uint32_t argc, key;
	for (size_t at = 0; at < record->len;) {
		piece.bytes = own->at = record->bytes + at;
		ptrdiff_t taken = merge_effect(piece.bytes, record->len - at, own->argv, own->room, &argc);
		assert(taken > 0);
		if (argc > own->room) {
			make_room(own, argc);
			continue;
		}
		piece.len = (size_t)taken;
		at += piece.len;
		int64_t db;
		if (slice_is(own->argv[0], "select") && argc == 2 && number_parse(own->argv[1], &db)) {
			piece.db = (uint32_t)db;
			continue;
		}
		const struct command *cmd = resolve(own, argc);
		if (!cmd)
			return;
		if (command_keys(cmd, own->argv, argc, &key, 1) < 1) {
			fail(own, SLICE("an effect without a key"));
			return;
		}
		struct slice name = own->argv[key];
		give(actor_of(replay, key_slot(name.ptr, name.len)), &piece);
	}
}

bool replay_record(struct replay *replay, const struct merge_record *record)
{
	struct piece piece = {record->bytes, record->len, record->db, record->time_passes};
	if (record->all) {
		replay_drain(replay);
		act(&replay->actors[replay->count], &piece);
	} else if (record->several) {
		give_parts(replay, record);
	} else {
		give(actor_of(replay, record->slot), &piece);
	}
	return !atomic_load_explicit(&replay->failed, memory_order_relaxed);
}

const char *replay_error(const struct replay *replay)
{
	return replay->error;
}

const char *replay_error_at(const struct replay *replay)
{
	return replay->error_at;
}

uint64_t replay_effects(const struct replay *replay)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i <= replay->count; i++)
		sum += atomic_load_explicit(&replay->actors[i].effects, memory_order_relaxed);
	return sum;
}

static void actor_deinit(struct replay *replay, struct actor *actor)
{
	helper_deinit(&actor->helper);
	reply_deinit(&actor->reply);
	mem_free_unsized(actor->argv);
	mem_free_unsized(actor->keys);
	mem_free_unsized(actor->slots);
	mem_free_unsized(actor->positions);
	pthread_mutex_destroy(&actor->mutex);
	pthread_cond_destroy(&actor->changed);
}

void replay_end(struct replay *replay)
{
	replay_drain(replay);
	for (uint32_t i = 0; i < replay->count; i++) {
		struct actor *actor = &replay->actors[i];
		pthread_mutex_lock(&actor->mutex);
		actor->stop = true;
		pthread_cond_broadcast(&actor->changed);
		pthread_mutex_unlock(&actor->mutex);
		pthread_join(actor->thread, NULL);
	}
	urcu_qsbr_synchronize_rcu();
	for (uint32_t i = 0; i <= replay->count; i++)
		actor_deinit(replay, &replay->actors[i]);
	pthread_mutex_destroy(&replay->error_mutex);
	mem_free(replay->actors, (replay->count + 1) * sizeof(*replay->actors));
	mem_free(replay, sizeof(*replay));
}
