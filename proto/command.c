/*
 * The table of commands, how a name is found in it, and where a request's keys are.
 *
 * Names are found in an open-addressed hash table of row numbers that is filled before main(). Its
 * key is made of at most 8 bytes of the name, lower-cased in a register, so for most commands one
 * compare settles it; the bytes in the middle of longer names are compared one by one. A parent's
 * subcommands stand in the rows after it and are few: they are looked through.
 */
#include "proto/command.h"

#include "proto/command_info.h"
#include "proto/number.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define GROUP(group)   NULL
#define PARENT(symbol) &command_table[CMD_##symbol]

const struct command command_table[CMD_COUNT] = {
#define KEY_COMMAND(symbol, name_, arity_, flags_, first, last, step_, route_, home, ...)          \
	[CMD_##symbol] = {.name = name_,                                                           \
			  .id = CMD_##symbol,                                                      \
			  .arity = arity_,                                                         \
			  .route = route_,                                                         \
			  .flags = flags_,                                                         \
			  .first_key = first,                                                      \
			  .last_key =                                                              \
				  NUMKEYS_POSITION(last) || STORE_POSITION(last) ? first : last,   \
			  .step = step_,                                                           \
			  .numkeys = NUMKEYS_POSITION(last),                                       \
			  .store_from = STORE_POSITION(last),                                      \
			  .parent = home},
#define CONN_COMMAND(symbol, name_, arity_, flags_, home, ...)                                     \
	[CMD_##symbol] = {.name = name_,                                                           \
			  .id = CMD_##symbol,                                                      \
			  .arity = arity_,                                                         \
			  .route = ROUTE_NONE,                                                     \
			  .flags = flags_,                                                         \
			  .parent = home},
#define HOLDER_COMMAND(symbol, name_, arity_, flags_, first, last, step_, home, ...)               \
	KEY_COMMAND(symbol, name_, arity_, flags_, first, last, step_, ROUTE_HOLDER, home, )
#define CONTAINER(symbol, name_, arity_, flags_, home, ...)                                        \
	[CMD_##symbol] = {.name = name_,                                                           \
			  .id = CMD_##symbol,                                                      \
			  .arity = arity_,                                                         \
			  .route = ROUTE_NONE,                                                     \
			  .flags = flags_,                                                         \
			  .parent = home,                                                          \
			  .container = true},
#include "proto/command.def"
#undef KEY_COMMAND
#undef CONN_COMMAND
#undef HOLDER_COMMAND
#undef CONTAINER
};

/* Longest part of a client's words that an error repeats, as in Redis; longer than any name. */
#define NAME_ECHO_MAX 128

/* At least twice as many as there will be commands: one or two probes. A power of two. */
#define HASH_BITS 10
#define HASH_SIZE (1 << HASH_BITS)

struct hash_slot {
	uint64_t word; /* name_word() of the name */
	uint16_t len;  /* 0: free */
	uint16_t id;
};

static struct hash_slot hash_slots[HASH_SIZE];

static_assert(CMD_COUNT * 2 <= HASH_SIZE, "the table of names is too full");

/* Lower-cases the letters A to Z among eight bytes. */
static uint64_t word_lower(uint64_t word)
{
	const uint64_t each = 0x0101010101010101;
	uint64_t low = word & (each * 0x7f);
	uint64_t from_a = low + each * (0x80 - 'A');
	uint64_t above_z = low + each * (0x7f - 'Z');
	uint64_t upper = (from_a ^ above_z) & ~word & (each * 0x80);

	return word | upper >> 2;
}

static char char_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* The first eight bytes of a name; of a shorter one all, some of them twice. len > 0. */
static uint64_t name_word(const char *name, size_t len)
{
	uint64_t word;
	uint32_t head, tail;

	if (len >= 8) {
		memcpy(&word, name, 8);
	} else if (len >= 4) {
		memcpy(&head, name, 4);
		memcpy(&tail, name + len - 4, 4);
		word = (uint64_t)tail << 32 | head;
	} else {
		word = (uint64_t)(uint8_t)name[0] << 16 | (uint64_t)(uint8_t)name[len / 2] << 8 |
		       (uint8_t)name[len - 1];
	}
	return word_lower(word);
}

static uint32_t name_hash(uint64_t word, size_t len)
{
	return (word ^ len) * 0x9e3779b97f4a7c15 >> (64 - HASH_BITS);
}

/* Whether what name_word() leaves out is the same; `name` is lower case. */
static bool name_rest_equal(const char *name, struct slice s)
{
	for (size_t i = 8; i < s.len; i++)
		if (char_lower(s.ptr[i]) != name[i])
			return false;
	return true;
}

/* Whether `s` spells `name`, of the same length, in any case. */
static bool name_equal(const char *name, struct slice s)
{
	return name_word(name, s.len) == name_word(s.ptr, s.len) && name_rest_equal(name, s);
}

__attribute__((constructor)) static void hash_fill(void)
{
	for (uint32_t id = 0; id < CMD_COUNT; id++) {
		const struct command *cmd = &command_table[id];
		size_t len = strlen(cmd->name);

		if (cmd->parent) {
			assert(cmd[-1].parent == cmd->parent || &cmd[-1] == cmd->parent);
			continue;
		}
		uint64_t word = name_word(cmd->name, len);
		uint32_t at = name_hash(word, len);
		while (hash_slots[at].len)
			at = (at + 1) % HASH_SIZE;
		hash_slots[at] = (struct hash_slot){word, len, id};
	}
}

const struct command *command_find(struct slice name)
{
	if (name.len == 0)
		return NULL;
	uint64_t word = name_word(name.ptr, name.len);
	for (uint32_t at = name_hash(word, name.len); hash_slots[at].len;
	     at = (at + 1) % HASH_SIZE) {
		const struct hash_slot *slot = &hash_slots[at];

		if (slot->word == word && slot->len == name.len &&
		    name_rest_equal(command_table[slot->id].name, name))
			return &command_table[slot->id];
	}
	return NULL;
}

const struct command *command_find_sub(const struct command *parent, struct slice child)
{
	const struct command *end = command_table + CMD_COUNT;
	size_t prefix = strlen(parent->name) + 1;

	if (child.len == 0)
		return NULL;
	for (const struct command *cmd = parent + 1; cmd < end && cmd->parent == parent; cmd++) {
		const char *name = cmd->name + prefix;

		if (strlen(name) == child.len && name_equal(name, child))
			return cmd;
	}
	return NULL;
}

const struct command *command_find_full(struct slice name)
{
	const char *bar = name.len ? memchr(name.ptr, '|', name.len) : NULL;

	if (!bar)
		return command_find(name);
	const struct command *parent = command_find((struct slice){name.ptr, bar - name.ptr});
	struct slice child = {bar + 1, name.ptr + name.len - (bar + 1)};
	return parent ? command_find_sub(parent, child) : NULL;
}

static int echo_len(struct slice s, size_t max)
{
	return s.len < max ? s.len : max;
}

/* The arguments in quotes, as many as fit. Bytes after a zero are left out, as in Redis. */
static void error_unknown(const struct slice *argv, uint32_t argc, struct reply *r)
{
	char args[NAME_ECHO_MAX + sizeof("'' ")] = "";
	size_t len = 0;

	for (uint32_t i = 1; i < argc && len < NAME_ECHO_MAX; i++)
		len += snprintf(args + len, sizeof(args) - len, "'%.*s' ",
				echo_len(argv[i], NAME_ECHO_MAX - len), argv[i].ptr);
	reply_errorf(r, "ERR unknown command '%.*s', with args beginning with: %s",
		     echo_len(argv[0], NAME_ECHO_MAX), argv[0].ptr, args);
}

static void error_sub(const char *problem, const struct command *cmd, struct slice child,
		      struct reply *r)
{
	const struct command *parent = cmd->parent ? cmd->parent : cmd;
	char name[NAME_ECHO_MAX];
	int len = 0;

	for (const char *p = parent->name; *p; p++)
		name[len++] = *p >= 'a' && *p <= 'z' ? *p & ~0x20 : *p;
	reply_errorf(r, "ERR unknown subcommand %s'%.*s'. Try %.*s HELP.", problem,
		     echo_len(child, NAME_ECHO_MAX), child.ptr, len, name);
}

void command_error_subcommand(const struct command *cmd, struct slice child, struct reply *r)
{
	error_sub("or wrong number of arguments for ", cmd, child, r);
}

/* DEBUG says the same for whatever is wrong. */
static bool is_debug(const struct command *cmd)
{
	return cmd->id == CMD_debug || (cmd->parent && cmd->parent->id == CMD_debug);
}

static void error_unknown_sub(const struct command *parent, struct slice child, struct reply *r)
{
	if (is_debug(parent))
		command_error_subcommand(parent, child, r);
	else
		error_sub("", parent, child, r);
}

void command_error_arity(const struct command *cmd, struct reply *r)
{
	reply_errorf(r, "ERR wrong number of arguments for '%s' command", cmd->name);
}

const struct command *command_resolve(const struct slice *argv, uint32_t argc, struct reply *r)
{
	assert(argc >= 1);
	const struct command *cmd = command_lookup(argv, argc);
	if (!cmd) {
		const struct command *parent = command_find(argv[0]);

		if (parent)
			error_unknown_sub(parent, argv[1], r);
		else
			error_unknown(argv, argc, r);
		return NULL;
	}
	if (!command_arity_ok(cmd, argc)) {
		if (is_debug(cmd) && argc > 1)
			command_error_subcommand(cmd, argv[1], r);
		else
			command_error_arity(cmd, r);
		return NULL;
	}
	assert(!cmd->container);
	return cmd;
}

/* Those that a number stands before, after the one that may stand before it. */
static int32_t counted_keys(const struct command *cmd, const struct slice *argv, uint32_t argc,
			    uint32_t *out, uint32_t max)
{
	bool before = cmd->first_key < cmd->numkeys;
	uint32_t at = cmd->numkeys;
	int64_t n;

	if (at >= argc || !number_parse(argv[at], &n) || n < 1 || n >= argc - at)
		return -1;
	if (before && max > 0)
		out[0] = cmd->first_key;
	for (uint32_t i = 0; i < n && i + before < max; i++)
		out[i + before] = at + 1 + i;
	return before + n;
}

/* The values of options that may stand before STORE, and could look like it. */
static uint32_t values_of_option(struct slice word)
{
	if (slice_is(word, "limit"))
		return 2;
	return slice_is(word, "by") || slice_is(word, "get");
}

/* The first key, and the one behind the last STORE. */
static int32_t stored_keys(const struct command *cmd, const struct slice *argv, uint32_t argc,
			   uint32_t *out, uint32_t max)
{
	uint32_t store = 0;

	for (uint32_t i = cmd->store_from; i + 1 < argc; i++) {
		if (slice_is(argv[i], "store") || slice_is(argv[i], "storedist"))
			store = ++i;
		else
			i += values_of_option(argv[i]);
	}
	if (max > 0)
		out[0] = cmd->first_key;
	if (max > 1 && store)
		out[1] = store;
	return store ? 2 : 1;
}

bool command_has_patterns(const struct slice *argv, uint32_t argc)
{
	for (uint32_t i = 2; i + 1 < argc; i++) {
		uint32_t values = values_of_option(argv[i]);

		if (values == 1 && memchr(argv[i + 1].ptr, '*', argv[i + 1].len))
			return true;
		i += values + slice_is(argv[i], "store");
	}
	return false;
}

int32_t command_keys(const struct command *cmd, const struct slice *argv, uint32_t argc,
		     uint32_t *out, uint32_t max)
{
	int32_t last = cmd->last_key < 0 ? (int32_t)argc + cmd->last_key : cmd->last_key;
	uint32_t count = 0;

	if (cmd->first_key == 0)
		return 0;
	if (cmd->numkeys > 0)
		return counted_keys(cmd, argv, argc, out, max);
	if (cmd->store_from > 0)
		return stored_keys(cmd, argv, argc, out, max);
	for (int32_t at = cmd->first_key; at <= last && at < (int32_t)argc; at += cmd->step) {
		if (count < max)
			out[count] = at;
		count++;
	}
	return count;
}
