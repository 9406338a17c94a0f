/* Looking at records without doing them (verify.h). */
#include "persist/verify.h"

#include "proto/command.h"
#include "proto/crc16.h"
#include "proto/mem.h"
#include "proto/reply.h"
#include "shard/execute.h"

#include <stdint.h>

/* Arguments of an effect that there is room for at first. */
#define ARGS_FIRST 64

struct verifier {
	struct reply reply; /* what command_resolve() has against a command */
	struct slice *argv;
	uint32_t *positions;
	uint32_t room; /* in each */
};

static void make_room(struct verifier *verifier, uint32_t argc)
{
	verifier->room = argc;
	verifier->argv = mem_realloc(verifier->argv, argc * sizeof(*verifier->argv));
	verifier->positions = mem_realloc(verifier->positions, argc * sizeof(*verifier->positions));
}

struct verifier *verifier_new(void)
{
	struct verifier *verifier = mem_zalloc(sizeof(*verifier));
	reply_init(&verifier->reply, 2);
	make_room(verifier, ARGS_FIRST);
	return verifier;
}

void verifier_free(struct verifier *verifier)
{
	if (!verifier)
		return;
	reply_deinit(&verifier->reply);
	mem_free_unsized(verifier->argv);
	mem_free_unsized(verifier->positions);
	mem_free(verifier, sizeof(*verifier));
}

/* The effect in argv. */
static bool likes_effect(struct verifier *verifier, uint32_t argc,
			 const struct merge_record *record)
{
	const struct slice *argv = verifier->argv;
	if (argc == 2 && slice_is(argv[0], "select"))
		return true;
	const struct command *cmd = command_resolve(argv, argc, &verifier->reply);
	reply_reset(&verifier->reply, SIZE_MAX);
	if (!cmd || !key_handlers[cmd->id])
		return false;
	if (record->all)
		return true;
	int32_t keys = command_keys(cmd, argv, argc, verifier->positions, verifier->room);
	for (int32_t i = 0; i < keys; i++) {
		struct slice key = argv[verifier->positions[i]];
		if (!record->several && key_slot(key.ptr, key.len) != record->slot)
			return false;
	}
	return keys > 0;
}

bool verifier_likes(struct verifier *verifier, const struct merge_record *record)
{
	uint32_t argc;
	for (size_t at = 0; at < record->len;) {
		ptrdiff_t taken = merge_effect(record->bytes + at, record->len - at, verifier->argv,
					       verifier->room, &argc);
		if (taken <= 0)
			return false;
		if (argc > verifier->room) {
			make_room(verifier, argc);
			continue;
		}
		if (!likes_effect(verifier, argc, record))
			return false;
		at += (size_t)taken;
	}
	return true;
}
