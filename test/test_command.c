#include "test/check.h"

#include "proto/command.h"
#include "proto/command_info.h"

#include <ctype.h>

#define WORDS_MAX 64

/* A request written as words with one space between them. */
struct request {
	struct slice argv[WORDS_MAX];
	uint32_t argc;
};

static struct request split(const char *text)
{
	struct request request = {.argc = 0};

	do {
		size_t len = strcspn(text, " ");

		assert_true(request.argc < WORDS_MAX);
		request.argv[request.argc++] = (struct slice){text, len};
		text += len;
	} while (*text++);
	return request;
}

/* What COMMAND answers, as text with \r\n made '|'; the caller frees it. */
static char *answer(uint8_t resp, const char *text)
{
	struct request req = split(text);
	struct reply r;

	reply_init(&r, resp);
	const struct command *cmd = command_resolve(req.argv, req.argc, &r);
	switch (cmd ? cmd->id : CMD_COUNT) {
	case CMD_command:
		command_reply_all(&r);
		break;
	case CMD_command_count:
		command_reply_count(&r);
		break;
	case CMD_command_docs:
		command_reply_docs(&r, req.argv, req.argc);
		break;
	case CMD_command_info:
		command_reply_info(&r, req.argv, req.argc);
		break;
	case CMD_command_list:
		command_reply_list(&r, req.argv, req.argc);
		break;
	case CMD_command_getkeys:
		command_reply_getkeys(&r, req.argv, req.argc);
		break;
	case CMD_command_getkeysandflags:
		command_reply_getkeysandflags(&r, req.argv, req.argc);
		break;
	default:
		break;
	}
	char *out = malloc(r.len + 1);
	size_t len = 0;
	for (size_t i = 0; i < r.len; i++)
		if (r.buf[i] != '\n')
			out[len++] = r.buf[i] == '\r' ? '|' : r.buf[i];
	out[len] = 0;
	reply_deinit(&r);
	return out;
}

static void check_answer(uint8_t resp, const char *request, const char *expected)
{
	char *got = answer(resp, request);

	if (strcmp(got, expected) != 0)
		fail_msg("%s (RESP%d)\n  expected %s\n  got      %s", request, resp, expected, got);
	free(got);
}

static const struct command *find_row(const char *name)
{
	return command_find_full(slice_of(name));
}

static void finds_every_row_in_any_case(void **state)
{
	struct check_random random = check_random_start();

	for (uint32_t id = 0; id < CMD_COUNT; id++) {
		const struct command *cmd = &command_table[id];
		size_t len = strlen(cmd->name);
		char name[64];

		assert_int_equal(cmd->id, id);
		for (int round = 0; round < 20; round++) {
			for (size_t i = 0; i <= len; i++)
				name[i] = check_random_below(&random, 2) ? toupper(cmd->name[i])
									 : cmd->name[i];
			if (find_row(name) != cmd)
				fail_msg("%s as %s", cmd->name, name);
		}
	}
}

/* A name with one byte changed, added or missing is found only if it is another row's name. */
static void finds_nothing_else(void **state)
{
	struct check_random random = check_random_start();

	for (uint32_t id = 0; id < CMD_COUNT; id++) {
		for (int round = 0; round < 500; round++) {
			struct slice name = slice_of(command_table[id].name);
			char text[64] = "";

			memcpy(text, name.ptr, name.len);
			text[check_random_below(&random, name.len)] = check_random_next(&random);
			name = (struct slice){text, name.len - 1 + check_random_below(&random, 3)};
			const struct command *cmd = command_find_full(name);
			if (cmd && !slice_is(name, cmd->name))
				fail_msg("'%.*s' found %s", (int)name.len, text, cmd->name);
		}
	}
	assert_null(find_row(""));
	assert_null(find_row("|"));
	assert_null(find_row("get|"));
	assert_null(find_row("client|"));
	assert_null(find_row("client|id|x"));
	assert_null(command_find(SLICE("client|id")));
	assert_null(command_find_sub(find_row("get"), SLICE("id")));
	assert_null(command_find_sub(find_row("client"), SLICE("encoding")));
}

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static void check_parent(const struct command *cmd)
{
	const char *bar = strchr(cmd->name, '|');

	assert_true((cmd->parent != NULL) == (bar != NULL));
	if (bar) {
		assert_true(starts_with(cmd->name, cmd->parent->name));
		assert_int_equal(bar - cmd->name, strlen(cmd->parent->name));
		assert_true(command_has_subcommands(cmd->parent));
		assert_null(cmd->parent->parent);
	}
}

static void check_route(const struct command *cmd)
{
	bool keyed = cmd->route == ROUTE_KEY || cmd->route == ROUTE_KEYS ||
		     cmd->route == ROUTE_PATTERNS ||
		     (cmd->route == ROUTE_HOLDER && cmd->first_key > 0);

	assert_true(keyed == (cmd->first_key > 0));
	assert_true(keyed == (*command_info_table[cmd->id].keys != 0));
	assert_true((cmd->step > 0) == keyed);
	if (cmd->route == ROUTE_KEY)
		assert_int_equal(cmd->first_key, cmd->last_key);
	if (cmd->route == ROUTE_KEYS)
		assert_true(cmd->first_key != cmd->last_key || cmd->numkeys > 0 ||
			    cmd->store_from > 0);
	bool movable = cmd->numkeys > 0 || cmd->store_from > 0 || cmd->route == ROUTE_PATTERNS;
	assert_true(movable == !!(cmd->flags & CMD_MOVABLEKEYS));
	if (cmd->numkeys > 0)
		assert_true(cmd->first_key == cmd->numkeys + 1 || cmd->first_key < cmd->numkeys);
	if (cmd->route == ROUTE_OBSERVE) /* some look at no keys at all: PFSELFTEST */
		assert_false(cmd->flags & CMD_WRITE);
	if (cmd->route == ROUTE_KEY)
		assert_true(!(cmd->flags & CMD_WRITE) != !(cmd->flags & CMD_READONLY));
	if (keyed) /* every request of the right arity has its first key */
		assert_true(abs(cmd->arity) > cmd->first_key);
}

static void columns_agree(void **state)
{
	for (uint32_t id = 0; id < CMD_COUNT; id++) {
		const struct command *cmd = &command_table[id];

		check_parent(cmd);
		check_route(cmd);
		assert_int_not_equal(cmd->arity, 0);
		assert_true(cmd->arity < 0 || cmd->arity > (cmd->parent != NULL));
		assert_non_null(command_group_name(cmd));
		if (cmd->container) {
			assert_true(command_has_subcommands(cmd));
			assert_int_equal(cmd->arity, -2);
		}
	}
}

/* Each subcommand is what its parent's name and its own lead to; with too few words, an error. */
static void resolves_subcommands(void **state)
{
	for (uint32_t id = 0; id < CMD_COUNT; id++) {
		const struct command *cmd = &command_table[id];
		struct slice argv[WORDS_MAX];
		char expected[128];
		struct reply r;

		if (!cmd->parent)
			continue;
		for (size_t i = 0; i < WORDS_MAX; i++)
			argv[i] = SLICE("x");
		argv[0] = slice_of(cmd->parent->name);
		argv[1] = slice_of(cmd->name + strlen(cmd->parent->name) + 1);
		reply_init(&r, 2);
		assert_ptr_equal(command_resolve(argv, abs(cmd->arity), &r), cmd);
		assert_int_equal(r.len, 0);
		if (cmd->arity > 0 || cmd->arity < -2) {
			uint32_t wrong = cmd->arity > 0 ? cmd->arity + 1 : -cmd->arity - 1;

			assert_null(command_resolve(argv, wrong, &r));
			if (cmd->parent->id == CMD_debug)
				snprintf(expected, sizeof(expected),
					 "-ERR unknown subcommand or wrong number of arguments for "
					 "'%s'. Try DEBUG HELP.\r\n",
					 argv[1].ptr);
			else
				snprintf(expected, sizeof(expected),
					 "-ERR wrong number of arguments for '%s' command\r\n",
					 cmd->name);
			assert_int_equal(r.len, strlen(expected));
			assert_memory_equal(r.buf, expected, r.len);
		}
		reply_deinit(&r);
	}
}

static void arity(void **state)
{
	static const struct {
		const char *name;
		uint32_t argc;
		bool expected;
	} rows[] = {
		{"get", 1, false},        {"get", 2, true},        {"get", 3, false},
		{"mget", 1, false},       {"mget", 2, true},       {"mget", 1000000, true},
		{"command", 1, true},     {"command", 5, true},    {"ping", 1, true},
		{"client|id", 2, true},   {"client|id", 1, false}, {"client|id", 3, false},
		{"config|set", 3, false}, {"config|set", 4, true}, {"client", 1, false},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (command_arity_ok(find_row(rows[i].name), rows[i].argc) != rows[i].expected)
			fail_msg("%s with %u", rows[i].name, rows[i].argc);
}

static void key_positions(void **state)
{
	static const struct {
		const char *request;
		const char *expected;
	} rows[] = {
		{"ping x", ""},
		{"dbsize", ""},
		{"scan 0", ""},
		{"get a", "1"},
		{"set a b ex 5", "1"},
		{"mget a", "1"},
		{"mget a b c", "1 2 3"},
		{"del a a", "1 2"},
		{"mset a 1", "1"},
		{"mset a 1 b 2 c 3", "1 3 5"},
		{"mset a 1 b", "1 3"},
		{"msetnx a 1 b 2", "1 3"},
		{"rename a b", "1 2"},
		{"copy a b db 3 replace", "1 2"},
		{"move a 3", "1"},
		{"lcs a b len", "1 2"},
		{"bitop and d a", "2 3"},
		{"bitop and d a b c", "2 3 4 5"},
		{"bitfield a get u8 0", "1"},
		{"sinterstore d a b", "1 2 3"},
		{"sintercard 1 a", "2"},
		{"sintercard 2 a b limit 1", "2 3"},
		{"object encoding a", "2"},
		{"memory usage a samples 5", "2"},
		{"client kill a", ""},
		{"command getkeys get a", ""},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct request req = split(rows[i].request);
		const struct command *cmd = command_lookup(req.argv, req.argc);
		uint32_t keys[WORDS_MAX];
		char got[WORDS_MAX * 4] = "";
		size_t len = 0;

		int32_t count = command_keys(cmd, req.argv, req.argc, keys, WORDS_MAX);
		assert_int_equal(command_keys(cmd, req.argv, req.argc, NULL, 0), count);
		for (int32_t k = 0; k < count; k++)
			len += sprintf(got + len, k ? " %u" : "%u", keys[k]);
		if (strcmp(got, rows[i].expected) != 0)
			fail_msg("%s: %s", rows[i].request, got);
	}
}

/* No more than asked for is written, all are counted. */
static void key_positions_in_little_room(void **state)
{
	struct request req = split("mget a b c d");
	uint32_t keys[3] = {0, 0, 99};

	assert_int_equal(command_keys(&command_table[CMD_mget], req.argv, req.argc, keys, 2), 4);
	assert_int_equal(keys[0], 1);
	assert_int_equal(keys[1], 2);
	assert_int_equal(keys[2], 99);
}

/* What says how many keys follow: behind the command's name, or behind a key of another kind. */
static void counted_key_positions(void **state)
{
	static const struct {
		const char *request;
		int16_t first, numkeys;
		int32_t count;
		uint32_t keys[3];
	} rows[] = {
		{"x 1 a", 2, 1, 1, {2}},
		{"x 2 a b limit", 2, 1, 2, {2, 3}},
		{"x d 1 a", 1, 2, 2, {1, 3}},
		{"x d 2 a b weights", 1, 2, 3, {1, 3, 4}},
		{"x timeout 2 a b left", 3, 2, 2, {3, 4}},
		{"x 2 a", 2, 1, -1, {0}},
		{"x 0 a", 2, 1, -1, {0}},
		{"x -1 a", 2, 1, -1, {0}},
		{"x a a", 2, 1, -1, {0}},
		{"x 4294967297 a", 2, 1, -1, {0}},
		{"x 9223372036854775807 a", 2, 1, -1, {0}},
		{"x d 2 a", 1, 2, -1, {0}},
		{"x d", 1, 2, -1, {0}},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct request req = split(rows[i].request);
		struct command cmd = {.first_key = rows[i].first,
				      .last_key = rows[i].first,
				      .step = 1,
				      .numkeys = rows[i].numkeys};
		uint32_t keys[3] = {0}, one = 0;

		print_message("# %s\n", rows[i].request);
		assert_int_equal(command_keys(&cmd, req.argv, req.argc, keys, 3), rows[i].count);
		assert_int_equal(command_keys(&cmd, req.argv, req.argc, &one, 1), rows[i].count);
		assert_memory_equal(keys, rows[i].keys, sizeof(keys));
		assert_int_equal(one, rows[i].keys[0]);
	}
}

/* A key may stand behind STORE, the last one; not where that word is another option's value. */
static void stored_key_positions(void **state)
{
	static const struct {
		const char *request;
		enum command_route route;
		int32_t count;
		uint32_t keys[2];
	} rows[] = {
		{"sort k", ROUTE_KEYS, 1, {1}},
		{"sort k store d", ROUTE_KEYS, 2, {1, 3}},
		{"sort k STORE d desc Store e", ROUTE_KEYS, 2, {1, 6}},
		{"sort k by store limit store store store d", ROUTE_KEYS, 2, {1, 8}},
		{"sort k get store", ROUTE_KEYS, 1, {1}},
		{"sort k store", ROUTE_KEYS, 1, {1}},
		{"sort k by w_* store d", ROUTE_ALL, 2, {1, 5}},
		{"sort k get # get x", ROUTE_KEYS, 1, {1}},
		{"sort k limit 0 1 get x_*->f", ROUTE_ALL, 1, {1}},
		{"sort k* store d*", ROUTE_KEYS, 2, {1, 3}},
		{"sort_ro k by w_*", ROUTE_ALL, 1, {1}},
		{"sort_ro k alpha", ROUTE_KEYS, 1, {1}},
		{"georadius k 1 2 3 km", ROUTE_KEYS, 1, {1}},
		{"georadius k 1 2 3 km withdist store d", ROUTE_KEYS, 2, {1, 8}},
		{"georadiusbymember k m 3 km storedist d asc", ROUTE_KEYS, 2, {1, 6}},
		{"geosearchstore d k frommember", ROUTE_KEYS, 2, {1, 2}},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct request req = split(rows[i].request);
		const struct command *cmd = command_find(req.argv[0]);
		uint32_t keys[2] = {0};

		print_message("# %s\n", rows[i].request);
		assert_int_equal(command_route(cmd, req.argv, req.argc), rows[i].route);
		assert_int_equal(command_keys(cmd, req.argv, req.argc, keys, 2), rows[i].count);
		assert_memory_equal(keys, rows[i].keys, sizeof(keys));
	}
}

#define A50  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A100 A50 A50
#define A126 A100 "aaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A128 A126 "aa"

static void errors(void **state)
{
#define UNKNOWN "-ERR unknown command "
#define BEGIN   ", with args beginning with: "
	static const struct {
		const char *label;
		const char *request;
		const char *expected;
	} rows[] = {
		{"unknown", "foo", UNKNOWN "'foo'" BEGIN "|"},
		{"with arguments", "fOo a bc", UNKNOWN "'fOo'" BEGIN "'a' 'bc' |"},
		{"an empty name", "", UNKNOWN "''" BEGIN "|"},
		{"empty arguments", "foo  x", UNKNOWN "'foo'" BEGIN "'' 'x' |"},
		{"a long name", A128 "b x", UNKNOWN "'" A128 "'" BEGIN "'x' |"},
		{"a long argument", "foo " A128 "b x", UNKNOWN "'foo'" BEGIN "'" A128 "' |"},
		{"nearly full", "foo " A126 " x", UNKNOWN "'foo'" BEGIN "'" A126 "' |"},
		{"cut", "foo " A100 " " A50,
		 UNKNOWN "'foo'" BEGIN "'" A100 "' 'aaaaaaaaaaaaaaaaaaaaaaaaa' |"},
		{"line ends", "foo\r\nbar a\nb", UNKNOWN "'foo  bar'" BEGIN "'a b' |"},
		{"arity", "get", "-ERR wrong number of arguments for 'get' command|"},
		{"arity, any case", "GET a b", "-ERR wrong number of arguments for 'get' command|"},
		{"a container", "CLIENT", "-ERR wrong number of arguments for 'client' command|"},
		{"a subcommand", "client kill",
		 "-ERR wrong number of arguments for 'client|kill' command|"},
		{"unknown subcommand", "cLient Foo x",
		 "-ERR unknown subcommand 'Foo'. Try CLIENT HELP.|"},
		{"of a real command", "command foo",
		 "-ERR unknown subcommand 'foo'. Try COMMAND HELP.|"},
		{"a long subcommand", "client " A128 "b",
		 "-ERR unknown subcommand '" A128 "'. Try CLIENT HELP.|"},
		{"an empty subcommand", "client ", "-ERR unknown subcommand ''. Try CLIENT HELP.|"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_answer(2, rows[i].request, rows[i].expected);
}

static void zero_bytes_end_what_an_error_repeats(void **state)
{
	static const struct slice argv[] = {SLICE("a\0b"), SLICE("c\0d"), SLICE("e")};
	static const char expected[] =
		"-ERR unknown command 'a', with args beginning with: 'c' 'e' \r\n";
	struct reply r;

	reply_init(&r, 2);
	assert_null(command_resolve(argv, 3, &r));
	assert_int_equal(r.len, sizeof(expected) - 1);
	assert_memory_equal(r.buf, expected, r.len);
	reply_deinit(&r);
}

/* Steps over one value of a reply whose line ends are '|'; checks its form. */
static const char *skip_value(const char *p, uint8_t resp)
{
	char type = *p;
	char *end;
	long n;

	assert_true(type && strchr(resp == 3 ? "+:$*%~" : "+:$*", type));
	if (type == '+')
		return strchr(p, '|') + 1;
	n = strtol(p + 1, &end, 10);
	assert_true(end > p + 1 && *end == '|');
	p = end + 1;
	if (type == '$') {
		assert_true(n >= 0 && strlen(p) > (size_t)n && p[n] == '|');
		return p + n + 1;
	}
	for (long i = 0; type != ':' && i < (type == '%' ? 2 * n : n); i++)
		p = skip_value(p, resp);
	return p;
}

static void check_form(uint8_t resp, const char *request)
{
	char *got = answer(resp, request);

	assert_string_equal(skip_value(got, resp), "");
	free(got);
}

static void every_row_is_described(void **state)
{
	for (uint32_t id = 0; id < CMD_COUNT; id++) {
		char request[64];

		for (uint8_t resp = 2; resp <= 3; resp++) {
			sprintf(request, "command info %s", command_table[id].name);
			check_form(resp, request);
			sprintf(request, "command docs %s", command_table[id].name);
			check_form(resp, request);
		}
	}
	for (uint8_t resp = 2; resp <= 3; resp++) {
		check_form(resp, "command");
		check_form(resp, "command info");
		check_form(resp, "command docs");
		check_form(resp, "command list");
	}
}

static void info(void **state)
{
	static const struct {
		uint8_t resp;
		const char *request;
		const char *expected;
	} rows[] = {
		{2, "command info GET nosuch",
		 "*2|*10|$3|get|:2|*2|+readonly|+fast|:1|:1|:1|*3|+@read|+@string|+@fast|*0|"
		 "*1|*6|$5|flags|*2|+RO|+access|$12|begin_search|*4|$4|type|$5|index|$4|spec|"
		 "*2|$5|index|:1|$9|find_keys|*4|$4|type|$5|range|$4|spec|*6|$7|lastkey|:0|"
		 "$7|keystep|:1|$5|limit|:0|*0|$-1|"},
		{3, "command info bitop",
		 "*1|*10|$5|bitop|:-4|~2|+write|+denyoom|:2|:-1|:1|~3|+@write|+@bitmap|+@slow|~0|"
		 "~2|%3|$5|flags|~2|+OW|+update|$12|begin_search|%2|$4|type|$5|index|$4|spec|"
		 "%1|$5|index|:2|$9|find_keys|%2|$4|type|$5|range|$4|spec|%3|$7|lastkey|:0|"
		 "$7|keystep|:1|$5|limit|:0|"
		 "%3|$5|flags|~2|+RO|+access|$12|begin_search|%2|$4|type|$5|index|$4|spec|"
		 "%1|$5|index|:3|$9|find_keys|%2|$4|type|$5|range|$4|spec|%3|$7|lastkey|:-1|"
		 "$7|keystep|:1|$5|limit|:0|~0|"},
		{3, "command info nosuch client|nosuch", "*2|_|_|"},
		{2, "command info config|SET",
		 "*1|*10|$10|config|set|:-4|*4|+admin|+noscript|+loading|+stale|:0|:0|:0|"
		 "*3|+@admin|+@slow|+@dangerous|*2|$24|request_policy:all_nodes|"
		 "$29|response_policy:all_succeeded|*0|*0|"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_answer(rows[i].resp, rows[i].request, rows[i].expected);
}

/* What stands behind the summary, in RESP3. */
static void docs(void **state)
{
#define NAMED(name_len, name, type_len, type)                                                      \
	"$4|name|$" #name_len "|" name "|$4|type|$" #type_len "|" type "|"
#define SHOWN(name_len, name) "$12|display_text|$" #name_len "|" name "|"
#define WORD(name_len, name, token)                                                                \
	NAMED(name_len, name, 10, "pure-token")                                                    \
	SHOWN(name_len, name) "$5|token|$" #name_len "|" token "|"
#define SINCE(len, version, group_len, group)                                                      \
	"$5|since|$" #len "|" version "|$5|group|$" #group_len "|" group "|"
	static const struct {
		const char *label;
		const char *request;
		const char *expected;
	} rows[] = {
		{"no arguments", "command docs time",
		 SINCE(5, "2.6.0", 6, "server") "$10|complexity|$4|O(1)|"},
		{"a key", "command docs strlen",
		 SINCE(5, "2.2.0", 6, "string") "$10|complexity|$4|O(1)|$9|arguments|*1|"
						"%4|" NAMED(3, "key", 3, "key")
							SHOWN(3, "key") "$14|key_spec_index|:0|"},
		{"deprecated", "command docs quit",
		 SINCE(5, "1.0.0", 10,
		       "connection") "$10|complexity|$4|O(1)|"
				     "$9|doc_flags|~1|+deprecated|$16|deprecated_since|$5|7.2.0|"
				     "$11|replaced_by|$27|just closing the connection|"},
		{"internal, no arguments", "command docs debug",
		 SINCE(5, "1.0.0", 6, "server") "$10|complexity|$22|Depends on subcommand.|"
						"$9|doc_flags|~1|+syscmd|"},
		{"no complexity; a token and a type", "command docs lolwut",
		 SINCE(5, "5.0.0", 6, "server") "$9|arguments|*1|%5|" NAMED(7, "version", 7,
									    "integer")
			 SHOWN(7, "version") "$5|token|$7|VERSION|$5|flags|~1|+optional|"},
		{"one of", "command docs client|no-touch",
		 SINCE(5, "7.2.0", 10,
		       "connection") "$10|complexity|$4|O(1)|$9|arguments|*1|"
				     "%3|" NAMED(7, "enabled", 5,
						 "oneof") "$9|arguments|*2|"
							  "%4|" WORD(2, "on",
								     "ON") "%4|" WORD(3, "off",
										      "OFF")},
		{"optional, since", "command docs flushdb",
		 "$9|arguments|*1|"
		 "%4|" NAMED(10, "flush-type", 5,
			     "oneof") "$5|flags|~1|+optional|$9|arguments|*2|"
				      "%5|" WORD(5, "async",
						 "ASYNC") "$5|since|$5|4.0.0|"
							  "%5|" WORD(4, "sync",
								     "SYNC") "$5|since|$5|6.2.0|"},
		{"a block, its token repeated", "command docs bitfield_ro",
		 "%5|" NAMED(
			 9, "get-block", 5,
			 "block") "$5|token|$3|GET|"
				  "$5|flags|~3|+optional|+multiple|+multiple_token|$9|arguments|*2|"
				  "%3|" NAMED(8, "encoding", 6, "string")
					  SHOWN(8, "encoding") "%3|" NAMED(6, "offset", 7,
									   "integer")
						  SHOWN(6, "offset")},
		{"shown differently, discouraged", "command docs client|kill",
		 "%4|" NAMED(10, "old-format", 6, "string")
			 SHOWN(7, "ip:port") "$16|deprecated_since|$6|2.8.12|"
					     "%4|" NAMED(10, "new-format", 5,
							 "oneof") "$5|flags|~1|+multiple|"},
		{"a word of another case", "command docs client|list", WORD(6, "normal", "normal")},
		{"subcommands", "command docs slowlog",
		 "$11|subcommands|%4|$11|slowlog|get|%5|$7|summary|"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char *got = answer(3, rows[i].request);

		if (!strstr(got, rows[i].expected))
			fail_msg("%s\n  expected %s\n  in       %s", rows[i].label,
				 rows[i].expected, got);
		free(got);
	}
	check_answer(3, "command docs nosuch", "%0|");
	check_answer(2, "command docs nosuch", "*0|");
}

static void list(void **state)
{
	static const struct {
		const char *request;
		const char *expected;
	} rows[] = {
		{"command list filterby pattern GET", "*1|$3|get|"},
		{"command list FILTERBY Pattern bitfield*", "*2|$8|bitfield|$11|bitfield_ro|"},
		{"command list filterby pattern slowlog|??t", "*1|$11|slowlog|get|"},
		{"command list filterby pattern nosuch", "*0|"},
		{"command list filterby aclcat nosuch", "*0|"},
		{"command list filterby aclcat @string", "*0|"},
		{"command list filterby ACLCAT Bitmap",
		 "*7|$6|setbit|$6|getbit|$8|bitcount|$6|bitpos|$5|bitop|$8|bitfield|"
		 "$11|bitfield_ro|"},
		{"command list filterby module any", "*0|"},
		{"command list filterby", "-ERR syntax error|"},
		{"command list filterby pattern", "-ERR syntax error|"},
		{"command list filterby nosuch x", "-ERR syntax error|"},
		{"command list nosuch pattern x", "-ERR syntax error|"},
		{"command list filterby pattern x y", "-ERR syntax error|"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_answer(2, rows[i].request, rows[i].expected);
}

/* COMMAND counts commands, COMMAND LIST subcommands too. */
static void counts(void **state)
{
	char expected[32];
	uint32_t commands = 0;

	for (uint32_t id = 0; id < CMD_COUNT; id++)
		commands += strchr(command_table[id].name, '|') == NULL;
	sprintf(expected, ":%u|", commands);
	check_answer(2, "command count", expected);
	for (size_t i = 0; i < 3; i++) {
		static const char *const requests[] = {"command", "command info", "command list"};
		char *got = answer(2, requests[i]);

		assert_int_equal(strtol(got + 1, NULL, 10), i == 2 ? CMD_COUNT : commands);
		free(got);
	}
}

static void getkeys(void **state)
{
#define NO_SUCH   "-ERR Invalid command specified|"
#define NO_KEYS   "-ERR The command has no key arguments|"
#define BAD_COUNT "-ERR Invalid number of arguments specified for command|"
#define BAD_ARGS  "-ERR Invalid arguments specified for command|"
	static const struct {
		const char *request;
		const char *expected;
	} rows[] = {
		{"command getkeys get a", "*1|$1|a|"},
		{"command getkeys MSET a 1 b 2", "*2|$1|a|$1|b|"},
		{"command getkeys object encoding a", "*1|$1|a|"},
		{"command getkeys nosuch a", NO_SUCH},
		{"command getkeys client nosuch", NO_SUCH},
		{"command getkeys client|id x", NO_SUCH},
		{"command getkeys ping", NO_KEYS},
		{"command getkeys client", NO_KEYS},
		{"command getkeys client id x", NO_KEYS},
		{"command getkeys get", BAD_COUNT},
		{"command getkeys get a b", BAD_COUNT},
		{"command getkeys sintercard 2 a b", "*2|$1|a|$1|b|"},
		{"command getkeys sintercard 2 a", BAD_ARGS},
		{"command getkeys object encoding", BAD_COUNT},
		{"command getkeysandflags nosuch a", NO_SUCH},
		{"command getkeysandflags get a", "*1|*2|$1|a|*2|+RO|+access|"},
		{"command getkeysandflags rename a b",
		 "*2|*2|$1|a|*3|+RW|+access|+delete|*2|$1|b|*2|+OW|+update|"},
		{"command getkeysandflags bitop not a b",
		 "*2|*2|$1|a|*2|+OW|+update|*2|$1|b|*2|+RO|+access|"},
		{"command getkeysandflags mget a b",
		 "*2|*2|$1|a|*2|+RO|+access|*2|$1|b|*2|+RO|+access|"},
		{"command getkeysandflags strlen a", "*1|*2|$1|a|*1|+RO|"},
		{"command getkeysandflags getex a", "*1|*2|$1|a|*3|+RW|+access|+update|"},
		{"command getkeysandflags set get v", "*1|*2|$3|get|*2|+OW|+update|"},
		{"command getkeysandflags set a get", "*1|*2|$1|a|*2|+OW|+update|"},
		{"command getkeysandflags set a v nx GET", "*1|*2|$1|a|*3|+RW|+access|+update|"},
		{"command getkeysandflags bitfield a", "*1|*2|$1|a|*2|+RO|+access|"},
		{"command getkeysandflags bitfield a get u8 0 overflow sat get u8 1",
		 "*1|*2|$1|a|*2|+RO|+access|"},
		{"command getkeysandflags bitfield a get u8 0 set u8 1 2",
		 "*1|*2|$1|a|*3|+RW|+access|+update|"},
		{"command getkeysandflags bitfield a get u8", "*1|*2|$1|a|*3|+RW|+access|+update|"},
		{"command getkeysandflags bitfield_ro a get u8 0", "*1|*2|$1|a|*2|+RO|+access|"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_answer(2, rows[i].request, rows[i].expected);
	check_answer(3, "command getkeysandflags get a", "*1|*2|$1|a|~2|+RO|+access|");
}

/* What follows from flags and group, and what a row adds. */
static void categories(void **state)
{
	static const struct {
		const char *name;
		uint32_t expected;
	} rows[] = {
		{"get", CATEGORY_READ | CATEGORY_STRING | CATEGORY_FAST},
		{"set", CATEGORY_WRITE | CATEGORY_STRING | CATEGORY_SLOW},
		{"keys", CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_SLOW | CATEGORY_DANGEROUS},
		{"flushall",
		 CATEGORY_KEYSPACE | CATEGORY_WRITE | CATEGORY_SLOW | CATEGORY_DANGEROUS},
		{"client", CATEGORY_SLOW},
		{"client|id", CATEGORY_SLOW | CATEGORY_CONNECTION},
		{"client|kill",
		 CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS | CATEGORY_CONNECTION},
		{"object|freq", CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_SLOW},
		{"memory|usage", CATEGORY_READ | CATEGORY_SLOW},
		{"time", CATEGORY_FAST},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (command_categories(find_row(rows[i].name)) != rows[i].expected)
			fail_msg("%s: %x", rows[i].name,
				 command_categories(find_row(rows[i].name)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_every_row_in_any_case),
		cmocka_unit_test(finds_nothing_else),
		cmocka_unit_test(columns_agree),
		cmocka_unit_test(resolves_subcommands),
		cmocka_unit_test(arity),
		cmocka_unit_test(key_positions),
		cmocka_unit_test(key_positions_in_little_room),
		cmocka_unit_test(counted_key_positions),
		cmocka_unit_test(stored_key_positions),
		cmocka_unit_test(errors),
		cmocka_unit_test(zero_bytes_end_what_an_error_repeats),
		cmocka_unit_test(every_row_is_described),
		cmocka_unit_test(info),
		cmocka_unit_test(docs),
		cmocka_unit_test(list),
		cmocka_unit_test(counts),
		cmocka_unit_test(getkeys),
		cmocka_unit_test(categories),
	};

	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
