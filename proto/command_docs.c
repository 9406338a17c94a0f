/*
 * COMMAND DOCS: what each command is for and which arguments it takes, from command_docs.def.
 *
 * The arguments are a tree, written as a line of text much like that which one would put into a
 * manual, and taken apart here while the answer is written:
 *
 *	value                a string; value:integer, value:unix-time ... another type
 *	key#0                a key: that of the command's first key specification
 *	KEEPTTL              a word by itself; persist=PERSIST gives it another name than its own
 *	EX>seconds:integer   an argument behind a word
 *	[...]                optional
 *	name(A | b | c)      one of these
 *	name{a b c}          all of these
 *	...*  ...**          may be repeated; with its word each time
 *	name~text            shown to people as this
 *	name@6.2.0           since that version of Redis; name!2.8.12 discouraged since then
 *
 * The marks behind a name or its bracket come in any order. The lines are our own: what doesn't
 * fit stops the server in an assertion, and a test asks for each of them.
 */
#include "proto/command.h"

#include "proto/command_info.h"

#include <assert.h>

struct command_doc {
	const char *summary;
	const char *complexity; /* "" where there is nothing to say */
	const char *arguments;
	const char *deprecated; /* since this version; NULL: it isn't */
	const char *instead;    /* what to use then */
	bool internal;          /* for those who work on the server itself */
};

static const struct command_doc docs[CMD_COUNT] = {
#define DOC(symbol, ...) [CMD_##symbol] = {__VA_ARGS__},
#include "proto/command_docs.def"
#undef DOC
};

struct argument {
	struct slice name;
	struct slice type;
	struct slice token;
	struct slice display;
	struct slice since;
	struct slice deprecated;
	char spec;            /* the digit of the key specification; 0: none */
	const char *children; /* behind the opening bracket; NULL: none */
	bool optional;
	bool multiple;
	bool multiple_token;
};

static void reply_arguments(struct reply *r, const char *text);

static struct slice take_word(const char **text)
{
	struct slice word = {*text, strcspn(*text, "[](){}| >=:#~@!*")};

	assert(word.len > 0);
	*text += word.len;
	return word;
}

/* A version, or a text to display, which may hold more than a word does. */
static struct slice take_until(const char **text, const char *stop)
{
	struct slice word = {*text, strcspn(*text, stop)};

	assert(word.len > 0);
	*text += word.len;
	return word;
}

/* Steps over a bracket and all that is in it; `text` is behind the opening one. */
static void skip_bracket(const char **text)
{
	for (int depth = 1; depth > 0; (*text)++) {
		assert(**text);
		if (strchr("([{", **text))
			depth++;
		else if (strchr(")]}", **text))
			depth--;
	}
}

static bool is_upper(struct slice s)
{
	return s.ptr[0] >= 'A' && s.ptr[0] <= 'Z';
}

/* "EX>seconds", "persist=PERSIST", "KEEPTTL", "value": name, token and the type as far as known. */
static void parse_name(const char **text, struct argument *arg)
{
	arg->name = take_word(text);
	arg->type = SLICE("string");
	if (**text == '>') {
		(*text)++;
		arg->token = arg->name;
		arg->name = take_word(text);
	} else if (**text == '=') {
		(*text)++;
		arg->token = take_word(text);
		arg->type = SLICE("pure-token");
	} else if (is_upper(arg->name)) {
		arg->token = arg->name;
		arg->type = SLICE("pure-token");
	}
}

static void parse_bracket(const char **text, struct argument *arg)
{
	if (**text != '(' && **text != '{')
		return;
	arg->type = **text == '(' ? SLICE("oneof") : SLICE("block");
	arg->children = ++*text;
	skip_bracket(text);
}

/* One mark; false when there is none. */
static bool parse_mark(const char **text, struct argument *arg)
{
	const char *mark = *text;

	if (*mark == 0 || !strchr(":#~@!*", *mark))
		return false;
	++*text;
	if (*mark == ':') {
		arg->type = take_word(text);
	} else if (*mark == '#') {
		arg->type = SLICE("key");
		arg->spec = *(*text)++;
	} else if (*mark == '~') {
		arg->display = take_until(text, "@!*])}| ");
	} else if (*mark == '@') {
		arg->since = take_until(text, "!*])}| ");
	} else if (*mark == '!') {
		arg->deprecated = take_until(text, "@*])}| ");
	} else {
		arg->multiple_token = arg->multiple;
		arg->multiple = true;
	}
	return true;
}

static struct argument parse_argument(const char **text)
{
	struct argument arg = {.optional = **text == '['};

	*text += arg.optional;
	parse_name(text, &arg);
	parse_bracket(text, &arg);
	while (parse_mark(text, &arg))
		;
	assert(!arg.optional || **text == ']');
	*text += arg.optional;
	return arg;
}

static void reply_text(struct reply *r, const char *field, struct slice text)
{
	reply_bulk_text(r, field);
	reply_bulk_slice(r, text);
}

/* The name of a word by itself is the word in lower case. */
static void reply_name(struct reply *r, struct slice name)
{
	char lower[32];

	assert(name.len <= sizeof(lower));
	for (size_t i = 0; i < name.len; i++)
		lower[i] =
			name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] | 0x20 : name.ptr[i];
	reply_bulk(r, lower, name.len);
}

static void reply_argument_flags(struct reply *r, const struct argument *arg)
{
	reply_bulk_text(r, "flags");
	reply_set(r, arg->optional + arg->multiple + arg->multiple_token);
	if (arg->optional)
		reply_status(r, "optional");
	if (arg->multiple)
		reply_status(r, "multiple");
	if (arg->multiple_token)
		reply_status(r, "multiple_token");
}

static void reply_argument(struct reply *r, const struct argument *arg)
{
	bool flags = arg->optional || arg->multiple;

	reply_map(r, 3 + (arg->spec != 0) + (arg->token.len > 0) + (arg->since.len > 0) +
			     (arg->deprecated.len > 0) + flags);
	reply_bulk_text(r, "name");
	reply_name(r, arg->name);
	reply_text(r, "type", arg->type);
	if (!arg->children) {
		reply_bulk_text(r, "display_text");
		reply_name(r, arg->display.len ? arg->display : arg->name);
	}
	if (arg->spec) {
		reply_bulk_text(r, "key_spec_index");
		reply_int(r, arg->spec - '0');
	}
	if (arg->token.len)
		reply_text(r, "token", arg->token);
	if (arg->since.len)
		reply_text(r, "since", arg->since);
	if (arg->deprecated.len)
		reply_text(r, "deprecated_since", arg->deprecated);
	if (flags)
		reply_argument_flags(r, arg);
	if (arg->children) {
		reply_bulk_text(r, "arguments");
		reply_arguments(r, arg->children);
	}
}

/* All arguments up to the end of the text or of the bracket that they are in. */
static void reply_arguments(struct reply *r, const char *text)
{
	size_t at = reply_later(r);
	size_t n = 0;

	while (*text && !strchr(")}", *text)) {
		struct argument arg = parse_argument(&text);

		reply_argument(r, &arg);
		n++;
		text += strspn(text, " |");
	}
	reply_array_at(r, at, n);
}

static void reply_subcommand_docs(struct reply *r, const struct command *parent);

/* The map of one command, its subcommands in it. */
static void reply_doc(struct reply *r, const struct command *cmd)
{
	const struct command_doc *doc = &docs[cmd->id];
	size_t at = reply_later(r);
	size_t n = 3;

	assert(doc->summary);
	reply_text(r, "summary", slice_of(doc->summary));
	reply_text(r, "since", slice_of(command_info_table[cmd->id].since));
	reply_text(r, "group", slice_of(command_group_name(cmd)));
	if (*doc->complexity) {
		reply_text(r, "complexity", slice_of(doc->complexity));
		n++;
	}
	if (doc->deprecated || doc->internal) {
		reply_bulk_text(r, "doc_flags");
		reply_set(r, 1);
		reply_status(r, doc->deprecated ? "deprecated" : "syscmd");
		n++;
	}
	if (doc->deprecated) {
		reply_text(r, "deprecated_since", slice_of(doc->deprecated));
		reply_text(r, "replaced_by", slice_of(doc->instead));
		n += 2;
	}
	if (*doc->arguments) {
		reply_bulk_text(r, "arguments");
		reply_arguments(r, doc->arguments);
		n++;
	}
	if (command_has_subcommands(cmd)) {
		reply_bulk_text(r, "subcommands");
		reply_subcommand_docs(r, cmd);
		n++;
	}
	reply_map_at(r, at, n);
}

static void reply_named_doc(struct reply *r, const struct command *cmd)
{
	reply_bulk_text(r, cmd->name);
	reply_doc(r, cmd);
}

static void reply_subcommand_docs(struct reply *r, const struct command *parent)
{
	const struct command *end = command_table + CMD_COUNT;
	size_t at = reply_later(r);
	size_t n = 0;

	for (const struct command *cmd = parent + 1; cmd < end && cmd->parent == parent; cmd++) {
		reply_named_doc(r, cmd);
		n++;
	}
	reply_map_at(r, at, n);
}

static void reply_all_docs(struct reply *r)
{
	size_t at = reply_later(r);
	size_t n = 0;

	for (uint32_t id = 0; id < CMD_COUNT; id++) {
		if (!command_table[id].parent) {
			reply_named_doc(r, &command_table[id]);
			n++;
		}
	}
	reply_map_at(r, at, n);
}

void command_reply_docs(struct reply *r, const struct slice *argv, uint32_t argc)
{
	if (argc == 2) {
		reply_all_docs(r);
		return;
	}
	size_t at = reply_later(r);
	size_t n = 0;
	for (uint32_t i = 2; i < argc; i++) {
		const struct command *cmd = command_find_full(argv[i]);

		if (cmd) {
			reply_named_doc(r, cmd);
			n++;
		}
	}
	reply_map_at(r, at, n);
}
