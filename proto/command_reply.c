/*
 * The answers of COMMAND: what there is, what each needs, and where its keys are.
 *
 * Everything is expanded from command.def when it is asked for. The key specifications of a row are
 * its first, last and step cut up by the parts of its `keys` column: every part but the last stands
 * for one key, the last for all the rest.
 */
#include "proto/command.h"

#include "proto/command_info.h"
#include "proto/glob.h"
#include "proto/mem.h"

#define GROUP(group_)  GROUP_##group_
#define PARENT(symbol) GROUP_PARENT

const struct command_info command_info_table[CMD_COUNT] = {
#define KEY_COMMAND(symbol, name, arity, flags, first, last, step, route, ...)                     \
	[CMD_##symbol] = {__VA_ARGS__},
#define CONN_COMMAND(symbol, name, arity, flags, home, since_, categories_, tips_)                 \
	[CMD_##symbol] = {home, since_, categories_, "", tips_},
#define HOLDER_COMMAND(symbol, name, arity, flags, first, last, step, ...)                         \
	[CMD_##symbol] = {__VA_ARGS__},
#define CONTAINER(symbol, name, arity, flags, home, since_) [CMD_##symbol] = {home, since_, 0, "", ""},
#include "proto/command.def"
#undef KEY_COMMAND
#undef CONN_COMMAND
#undef HOLDER_COMMAND
#undef CONTAINER
};

struct named_bit {
	uint32_t bit;
	const char *name;
};

/* Those that clients are told of, in Redis' order. */
static const struct named_bit flag_names[] = {
	{CMD_WRITE, "write"},
	{CMD_READONLY, "readonly"},
	{CMD_DENYOOM, "denyoom"},
	{CMD_ADMIN, "admin"},
	{CMD_PUBSUB, "pubsub"},
	{CMD_NOSCRIPT, "noscript"},
	{CMD_BLOCKING, "blocking"},
	{CMD_LOADING, "loading"},
	{CMD_STALE, "stale"},
	{CMD_SKIP_MONITOR, "skip_monitor"},
	{CMD_SKIP_SLOWLOG, "skip_slowlog"},
	{CMD_FAST, "fast"},
	{CMD_NO_AUTH, "no_auth"},
	{CMD_NO_MANDATORY_KEYS, "no_mandatory_keys"},
	{CMD_NO_ASYNC_LOADING, "no_async_loading"},
	{CMD_NO_MULTI, "no_multi"},
	{CMD_MOVABLEKEYS, "movablekeys"},
	{CMD_ALLOW_BUSY, "allow_busy"},
};
#define FLAG_NAME_COUNT (sizeof(flag_names) / sizeof(flag_names[0]))

static const struct named_bit category_names[] = {
#define ROW(symbol, text) {CATEGORY_##symbol, "@" text},
	COMMAND_CATEGORIES(ROW)
#undef ROW
};

static const struct {
	const char *name;
	uint32_t category;
} groups[GROUP_COUNT] = {
#define ROW(symbol, text, category) [GROUP_##symbol] = {text, category},
	COMMAND_GROUPS(ROW)
#undef ROW
};

static uint8_t group_of(const struct command *cmd)
{
	return command_info_table[cmd->parent ? cmd->parent->id : cmd->id].group;
}

const char *command_group_name(const struct command *cmd)
{
	return groups[group_of(cmd)].name;
}

/* Of values: what rows name that don't go by their group's. */
#define CATEGORIES_OF_TYPES (CATEGORY_SET | CATEGORY_SORTEDSET | CATEGORY_LIST)

/* A container belongs to no category of its group: only its subcommands run. */
uint32_t command_categories(const struct command *cmd)
{
	uint32_t categories = command_info_table[cmd->id].categories;

	if (!cmd->container && !(categories & CATEGORIES_OF_TYPES))
		categories |= groups[group_of(cmd)].category;
	if (cmd->flags & CMD_WRITE)
		categories |= CATEGORY_WRITE;
	if (cmd->flags & CMD_READONLY)
		categories |= CATEGORY_READ;
	if (cmd->flags & CMD_ADMIN)
		categories |= CATEGORY_ADMIN | CATEGORY_DANGEROUS;
	if (cmd->flags & CMD_PUBSUB)
		categories |= CATEGORY_PUBSUB;
	if (cmd->flags & CMD_BLOCKING)
		categories |= CATEGORY_BLOCKING;
	return categories | (cmd->flags & CMD_FAST ? CATEGORY_FAST : CATEGORY_SLOW);
}

static void reply_bits(struct reply *r, uint32_t bits, const struct named_bit *names, size_t count)
{
	size_t at = reply_later(r);
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		if (bits & names[i].bit) {
			reply_status(r, names[i].name);
			n++;
		}
	}
	reply_set_at(r, at, n);
}

/* The next word of `text` that ends at a space or at `end`; an empty one when there is none. */
static struct slice next_word(const char **text, const char *end)
{
	while (*text < end && **text == ' ')
		(*text)++;
	const char *start = *text;
	while (*text < end && **text != ' ')
		(*text)++;
	return (struct slice){start, *text - start};
}

static void reply_tips(struct reply *r, const char *tips)
{
	const char *end = tips + strlen(tips);
	size_t at = reply_later(r);
	size_t n = 0;

	for (struct slice word; (word = next_word(&tips, end)).len; n++)
		reply_bulk_slice(r, word);
	reply_set_at(r, at, n);
}

/* A part of the column `keys`. */
struct key_part {
	struct slice flags;  /* "RW access" */
	struct slice remark; /* without its parentheses; empty when there is none */
	struct slice word;   /* "@STORE": the key stands behind it; "@": nobody can say where */
};

static struct slice trim(const char *start, const char *end)
{
	while (end > start && end[-1] == ' ')
		end--;
	return (struct slice){start, end - start};
}

/* Takes a part off the column; false when nothing is left. */
static bool key_part_next(const char **keys, struct key_part *part)
{
	const char *start = *keys;
	const char *end = start + strcspn(start, "|(");

	if (*start == 0)
		return false;
	const char *at = memchr(start, '@', end - start);
	part->flags = trim(start, at ? at : end);
	part->word = at ? trim(at, end) : (struct slice){end, 0};
	part->remark = (struct slice){end, 0};
	if (*end == '(') {
		part->remark = (struct slice){end + 1, strcspn(end + 1, ")")};
		end = part->remark.ptr + part->remark.len;
		end += strcspn(end, "|");
	}
	*keys = end + (*end == '|');
	*keys += strspn(*keys, " ");
	return true;
}

static void reply_key_flags(struct reply *r, struct slice flags)
{
	const char *text = flags.ptr;
	size_t at = reply_later(r);
	size_t n = 0;

	for (struct slice word; (word = next_word(&text, flags.ptr + flags.len)).len; n++) {
		reply_raw(r, "+", 1);
		reply_raw(r, word.ptr, word.len);
		reply_raw(r, "\r\n", 2);
	}
	reply_set_at(r, at, n);
}

struct named_int {
	const char *name;
	int64_t n;
};

/* How to find something: a type, and numbers with their names. */
static void reply_search(struct reply *r, const char *what, const char *type,
			 const struct named_int *spec, size_t count)
{
	reply_bulk_text(r, what);
	reply_map(r, 2);
	reply_bulk_text(r, "type");
	reply_bulk_text(r, type);
	reply_bulk_text(r, "spec");
	reply_map(r, count);
	for (size_t i = 0; i < count; i++) {
		reply_bulk_text(r, spec[i].name);
		reply_int(r, spec[i].n);
	}
}

static void reply_unknown(struct reply *r, const char *what)
{
	reply_bulk_text(r, what);
	reply_map(r, 2);
	reply_bulk_text(r, "type");
	reply_bulk_text(r, "unknown");
	reply_bulk_text(r, "spec");
	reply_map(r, 0);
}

/* The key behind a word, anywhere from a position on. */
static void reply_keyword(struct reply *r, struct slice word, int from)
{
	reply_bulk_text(r, "begin_search");
	reply_map(r, 2);
	reply_bulk_text(r, "type");
	reply_bulk_text(r, "keyword");
	reply_bulk_text(r, "spec");
	reply_map(r, 2);
	reply_bulk_text(r, "keyword");
	reply_bulk_slice(r, word);
	reply_bulk_text(r, "startfrom");
	reply_int(r, from);
}

/* A key specification: keys from `first` to `last` (counted from first, or negative from the end);
 * with numkeys, as many as the argument there says. */
static void reply_key_spec(struct reply *r, const struct key_part *part, int first, int last,
			   int step, int numkeys)
{
	struct named_int range[] = {{"lastkey", last}, {"keystep", step}, {"limit", 0}};
	struct named_int counted[] = {{"keynumidx", 0}, {"firstkey", 1}, {"keystep", step}};
	struct named_int begin = {"index", numkeys ? numkeys : first};

	reply_map(r, part->remark.len ? 4 : 3);
	if (part->remark.len) {
		reply_bulk_text(r, "notes");
		reply_bulk_slice(r, part->remark);
	}
	reply_bulk_text(r, "flags");
	reply_key_flags(r, part->flags);
	if (part->word.len == 1) {
		reply_unknown(r, "begin_search");
		reply_unknown(r, "find_keys");
		return;
	}
	if (part->word.len > 1)
		reply_keyword(r, (struct slice){part->word.ptr + 1, part->word.len - 1}, first);
	else
		reply_search(r, "begin_search", "index", &begin, 1);
	if (numkeys)
		reply_search(r, "find_keys", "keynum", counted, 3);
	else
		reply_search(r, "find_keys", "range", range, 3);
}

static void reply_key_specs(struct reply *r, const struct command *cmd)
{
	const char *keys = command_info_table[cmd->id].keys;
	size_t at = reply_later(r);
	int first = cmd->first_key;
	size_t n = 0;

	for (struct key_part part; key_part_next(&keys, &part); n++) {
		int last = *keys ? 0 : cmd->last_key < 0 ? cmd->last_key : cmd->last_key - first;

		if (part.word.len) {
			reply_key_spec(r, &part, cmd->store_from, 0, 1, 0);
			continue;
		}
		reply_key_spec(r, &part, first, last, cmd->step, *keys ? 0 : cmd->numkeys);
		first += cmd->step;
	}
	reply_set_at(r, at, n);
}

/* The first, last and step of old: keys behind a number of keys they cannot tell. */
static void reply_key_range(struct reply *r, const struct command *cmd)
{
	bool untold = cmd->numkeys > 0 && cmd->first_key > cmd->numkeys;

	reply_int(r, untold ? 0 : cmd->first_key);
	reply_int(r, untold ? 0 : cmd->last_key);
	reply_int(r, untold ? 0 : cmd->step);
}

static void reply_info(struct reply *r, const struct command *cmd);

/* The subcommands; where there are none Redis says so with an empty set. */
static void reply_infos(struct reply *r, const struct command *parent)
{
	const struct command *end = command_table + CMD_COUNT;
	size_t n = 0;

	if (!command_has_subcommands(parent)) {
		reply_set(r, 0);
		return;
	}
	size_t at = reply_later(r);
	for (const struct command *cmd = parent + 1; cmd < end && cmd->parent == parent; cmd++) {
		reply_info(r, cmd);
		n++;
	}
	reply_array_at(r, at, n);
}

static void reply_info(struct reply *r, const struct command *cmd)
{
	reply_array(r, 10);
	reply_bulk_text(r, cmd->name);
	reply_int(r, cmd->arity);
	reply_bits(r, cmd->flags, flag_names, FLAG_NAME_COUNT);
	reply_key_range(r, cmd);
	reply_bits(r, command_categories(cmd), category_names, CATEGORY_COUNT);
	reply_tips(r, command_info_table[cmd->id].tips);
	reply_key_specs(r, cmd);
	reply_infos(r, cmd);
}

static uint32_t count_commands(void)
{
	uint32_t count = 0;

	for (uint32_t id = 0; id < CMD_COUNT; id++)
		count += !command_table[id].parent;
	return count;
}

void command_reply_count(struct reply *r)
{
	reply_int(r, count_commands());
}

void command_reply_all(struct reply *r)
{
	reply_array(r, count_commands());
	for (uint32_t id = 0; id < CMD_COUNT; id++)
		if (!command_table[id].parent)
			reply_info(r, &command_table[id]);
}

void command_reply_info(struct reply *r, const struct slice *argv, uint32_t argc)
{
	if (argc == 2) {
		command_reply_all(r);
		return;
	}
	reply_array(r, argc - 2);
	for (uint32_t i = 2; i < argc; i++) {
		const struct command *cmd = command_find_full(argv[i]);

		if (cmd)
			reply_info(r, cmd);
		else
			reply_null(r);
	}
}

/* What FILTERBY lets pass. There are no modules, so nothing is of one. */
static bool list_category(const struct command *cmd, struct slice category)
{
	uint32_t categories = command_categories(cmd);

	for (size_t i = 0; i < CATEGORY_COUNT; i++)
		if (slice_is(category, category_names[i].name + 1))
			return categories & category_names[i].bit;
	return false;
}

static bool list_pattern(const struct command *cmd, struct slice pattern)
{
	return glob_match(pattern, slice_of(cmd->name), true);
}

static bool list_module(const struct command *cmd, struct slice module)
{
	return false;
}

static bool list_everything(const struct command *cmd, struct slice none)
{
	return true;
}

static const struct {
	const char *name;
	bool (*pass)(const struct command *cmd, struct slice arg);
} list_filters[] = {
	{"module", list_module},
	{"aclcat", list_category},
	{"pattern", list_pattern},
};

void command_reply_list(struct reply *r, const struct slice *argv, uint32_t argc)
{
	bool (*pass)(const struct command *, struct slice) = argc == 2 ? list_everything : NULL;
	struct slice arg = argc == 5 ? argv[4] : (struct slice){NULL, 0};
	size_t n = 0;

	if (argc == 5 && slice_is(argv[2], "filterby"))
		for (size_t i = 0; i < sizeof(list_filters) / sizeof(list_filters[0]); i++)
			if (slice_is(argv[3], list_filters[i].name))
				pass = list_filters[i].pass;
	if (!pass) {
		reply_error(r, error_syntax);
		return;
	}
	size_t at = reply_later(r);
	for (uint32_t id = 0; id < CMD_COUNT; id++) {
		if (pass(&command_table[id], arg)) {
			reply_bulk_text(r, command_table[id].name);
			n++;
		}
	}
	reply_array_at(r, at, n);
}

/* What SET does to its key depends on whether GET is among its options. */
static struct slice set_flags(const struct slice *argv, uint32_t argc)
{
	for (uint32_t i = 3; i < argc; i++)
		if (slice_is(argv[i], "get"))
			return SLICE("RW access update");
	return SLICE("OW update");
}

/* BITFIELD only reads when there is nothing but GET and OVERFLOW. */
static struct slice bitfield_flags(const struct slice *argv, uint32_t argc)
{
	uint32_t i = 2;

	while (i < argc) {
		if (slice_is(argv[i], "get") && argc - i > 2)
			i += 3;
		else if (slice_is(argv[i], "overflow") && argc - i > 1)
			i += 2;
		else
			return SLICE("RW access update");
	}
	return SLICE("RO access");
}

/* What the command does to its n-th key, counted from 0. */
static struct slice key_flags(const struct command *cmd, const struct slice *argv, uint32_t argc,
			      uint32_t n)
{
	const char *keys = command_info_table[cmd->id].keys;
	struct key_part part = {{"", 0}, {"", 0}, {"", 0}};

	if (cmd->id == CMD_set)
		return set_flags(argv, argc);
	if (cmd->id == CMD_bitfield)
		return bitfield_flags(argv, argc);
	bool last = cmd->store_from > 0 && n > 0; /* STORE's */
	for (uint32_t i = 0; (i <= n || last) && key_part_next(&keys, &part); i++)
		;
	return part.flags;
}

/* The command that GETKEYS is asked about; NULL after an error. */
static const struct command *getkeys_command(struct reply *r, const struct slice *argv,
					     uint32_t argc)
{
	const struct command *cmd = command_lookup(argv, argc);

	if (!cmd)
		reply_error(r, "ERR Invalid command specified");
	else if (cmd->first_key == 0 && !(cmd->flags & CMD_MOVABLEKEYS))
		reply_error(r, "ERR The command has no key arguments");
	else if (!command_arity_ok(cmd, argc))
		reply_error(r, "ERR Invalid number of arguments specified for command");
	else
		return cmd;
	return NULL;
}

/* `request` and `words` are the request without COMMAND GETKEYS. */
static void getkeys(struct reply *r, const struct slice *request, uint32_t words, bool with_flags)
{
	const struct command *cmd = getkeys_command(r, request, words);

	if (!cmd)
		return;
	int32_t count = command_keys(cmd, request, words, NULL, 0);
	if (count < 0 || (count == 0 && !(cmd->flags & CMD_NO_MANDATORY_KEYS))) {
		reply_error(r, "ERR Invalid arguments specified for command");
		return;
	}
	size_t size = (count + 1) * sizeof(uint32_t);
	uint32_t *keys = mem_alloc(size);
	command_keys(cmd, request, words, keys, count);
	reply_array(r, count);
	for (int32_t n = 0; n < count; n++) {
		if (with_flags)
			reply_array(r, 2);
		reply_bulk_slice(r, request[keys[n]]);
		if (with_flags)
			reply_key_flags(r, key_flags(cmd, request, words, n));
	}
	mem_free(keys, size);
}

void command_reply_getkeys(struct reply *r, const struct slice *argv, uint32_t argc)
{
	getkeys(r, argv + 2, argc - 2, false);
}

void command_reply_getkeysandflags(struct reply *r, const struct slice *argv, uint32_t argc)
{
	getkeys(r, argv + 2, argc - 2, true);
}
