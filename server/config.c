/*
 * Configuration: the table of options, values to and from text (config.h).
 *
 * Reading files and command lines stands in config_load.c, rewriting the file in config_rewrite.c.
 */
#include "server/config.h"

#include "proto/mem.h"
#include "proto/number.h"
#include "server/memory.h"
#include "server/server.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* --- words of a list --- */

static const char *const words_loglevel[] = {"debug", "verbose", "notice", "warning", "nothing", NULL};
static const char *const words_protected[] = {"no", "yes", "local", NULL};
static const char *const words_bool[] = {"no", "yes", NULL};
static const char *const words_fsync[] = {"everysec", "always", "no", NULL};
static const char *const words_policy[] = {
	"volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lru",
	"allkeys-lfu",  "allkeys-random", "noeviction",    NULL};

/* --- checks of strings: NULL or what is wrong --- */

/* Classes of clients in client-output-buffer-limit, as Redis shows them. */
enum output_class {
	OUTPUT_NORMAL,
	OUTPUT_REPLICA,
	OUTPUT_PUBSUB,
	OUTPUT_CLASS_COUNT
};

static const char *const output_class_names[] = {"normal", "slave", "pubsub"};

struct output_limits {
	int64_t hard, soft, seconds;
};

/* They are compared as milliseconds. */
#define OUTPUT_SECONDS_MAX (INT64_MAX / 1000)

static enum output_class output_class(struct slice word)
{
	for (enum output_class i = 0; i < OUTPUT_CLASS_COUNT; i++)
		if (slice_is(word, output_class_names[i]))
			return i;
	return slice_is(word, "replica") ? OUTPUT_REPLICA : OUTPUT_CLASS_COUNT;
}

/* Bytes that fit the signed numbers they are compared with. */
static bool parse_limit(struct slice word, int64_t *out)
{
	uint64_t bytes;
	if (!number_parse_memory(word, &bytes) || bytes > INT64_MAX)
		return false;
	*out = (int64_t)bytes;
	return true;
}

/* One class with its three numbers. */
static const char *parse_output_class(const struct slice *words, struct output_limits *limits)
{
	int64_t hard, soft, seconds;
	enum output_class class = output_class(words[0]);
	if (class == OUTPUT_CLASS_COUNT)
		return "Invalid client class specified in buffer limit configuration.";
	if (!parse_limit(words[1], &hard) || !parse_limit(words[2], &soft) ||
	    !number_parse(words[3], &seconds) || seconds < 0 || seconds > OUTPUT_SECONDS_MAX)
		return "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
	limits[class] = (struct output_limits){hard, soft, seconds};
	return NULL;
}

/* Reads "class hard soft seconds ..." into limits[class]; classes that aren't named keep theirs. */
static const char *parse_output_limits(const char *text, struct output_limits *limits)
{
	struct args args = {0};
	char *scratch;
	const char *error = NULL;
	if (!args_split(text, strlen(text), &args, &scratch))
		error = "Unbalanced quotes";
	else if (args.count % 4 != 0)
		error = "Wrong number of arguments in buffer limit configuration.";
	for (uint32_t i = 0; !error && i < args.count; i += 4)
		error = parse_output_class(args.v + i, limits);
	args_deinit(&args);
	mem_free_unsized(scratch);
	return error;
}

static const char *check_output_limits(const char *text)
{
	struct output_limits ignored[OUTPUT_CLASS_COUNT];
	return parse_output_limits(text, ignored);
}

static const char *check_dir(const char *text)
{
	return chdir(text) == 0 ? NULL : strerror(errno);
}

static const char *check_file_name(const char *text)
{
	return text[0] && !strchr(text, '/') ? NULL : "this can't be a path, just a filename";
}

/* Pairs of seconds (from 1 on) and changes (from 0 on). */
static const char *check_save(const char *text)
{
	struct args args = {0};
	char *scratch = NULL;
	int64_t n;
	bool ok = strlen(text) < CONFIG_SAVE_MAX && args_split(text, strlen(text), &args, &scratch);
	ok &= args.count % 2 == 0;
	for (uint32_t i = 0; ok && i < args.count; i++)
		ok = number_parse(args.v[i], &n) && n >= (i % 2 == 0) && n <= INT32_MAX;
	args_deinit(&args);
	mem_free_unsized(scratch);
	return ok ? NULL : "Invalid save parameters";
}

static const char *check_no_events(const char *text)
{
	return text[0] == 0 ? NULL : "keyspace notifications are not available in this version";
}

static const char *check_no_daemon(const char *text)
{
	return strcasecmp(text, "no") == 0
		       ? NULL
		       : "the server stays in the foreground: let a service manager start it";
}

/* --- the table --- */

enum option_kind {
	KIND_INT,
	KIND_MEMORY,
	KIND_WORD, /* booleans too */
	KIND_STRING,
	KIND_ALIAS,
};

enum mutability {
	FIXED = false,
	MUTABLE = true,
	PROTECTED,
};

struct config_option {
	const char *name;
	enum option_kind kind;
	enum mutability mutability;
	size_t offset; /* of the field */
	int64_t def, min, max;
	const char *const *words;
	const char *text; /* a string's default */
	const char *(*check)(const char *text);
	const char *help;
};

static const struct config_option options[] = {
#define CONFIG_INT(field, name, def, min, max, mutable, help)                                      \
	{name, KIND_INT, mutable, offsetof(struct config, field), def, min, max,                   \
	 NULL, NULL, NULL, help},
#define CONFIG_MEMORY(field, name, def, min, max, mutable, help)                                   \
	{name, KIND_MEMORY, mutable, offsetof(struct config, field), def, min, max,                \
	 NULL, NULL, NULL, help},
#define CONFIG_BOOL(field, name, def, mutable, help)                                               \
	{name, KIND_WORD, mutable, offsetof(struct config, field), def, 0, 1,                      \
	 words_bool, NULL, NULL, help},
#define CONFIG_ENUM(field, name, words, def, mutable, help)                                        \
	{name, KIND_WORD, mutable, offsetof(struct config, field), def, 0, 0,                      \
	 words, NULL, NULL, help},
#define CONFIG_STRING(field, name, def, check, mutable, help)                                      \
	{name, KIND_STRING, mutable, offsetof(struct config, field), 0, 0, 0,                      \
	 NULL, def, check, help},
#define CONFIG_ALIAS(field, alias)                                                                 \
	{.name = alias, .kind = KIND_ALIAS, .offset = offsetof(struct config, field)},
#include "server/config.def"
};

#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))
_Static_assert(OPTION_COUNT <= CONFIG_OPTIONS_MAX, "all have a place");

const struct config_option *config_option_at(size_t i)
{
	return i < OPTION_COUNT ? &options[i] : NULL;
}

bool config_is_alias(const struct config_option *option)
{
	return option->kind == KIND_ALIAS;
}

bool config_is_memory(const struct config_option *option)
{
	return option->kind == KIND_MEMORY;
}

/* The option itself, where this is another name of it. */
static const struct config_option *option_itself(const struct config_option *o)
{
	const struct config_option *it = options;
	if (o->kind != KIND_ALIAS)
		return o;
	while (it->kind == KIND_ALIAS || it->offset != o->offset)
		it++;
	return it;
}

const struct config_option *config_find(struct slice name)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (slice_is(name, options[i].name))
			return option_itself(&options[i]);
	return NULL;
}

const char *config_name(const struct config_option *option)
{
	return option->name;
}

const char *config_help(const struct config_option *option)
{
	return option->help;
}

const char *config_fixed(const struct config_option *option)
{
	switch (option->mutability) {
	case MUTABLE:
		return NULL;
	case PROTECTED:
		return "can't set protected config";
	case FIXED:
		break;
	}
	return "can't set immutable config";
}

static _Atomic int64_t *number_field(const struct config *config, const struct config_option *o)
{
	return (_Atomic int64_t *)((char *)config + o->offset);
}

static struct config_string *string_field(const struct config *config,
					  const struct config_option *o)
{
	return (struct config_string *)((char *)config + o->offset);
}

/* --- strings --- */

bool config_string_empty(struct config *config, const struct config_string *field)
{
	pthread_mutex_lock(&config->mutex);
	bool empty = field->text[0] == 0;
	pthread_mutex_unlock(&config->mutex);
	return empty;
}

bool config_string_equal(struct config *config, const struct config_string *field,
			 struct slice text)
{
	pthread_mutex_lock(&config->mutex);
	size_t len = strlen(field->text);
	unsigned char differs = len != text.len;
	for (size_t i = 0; i < text.len; i++)
		differs |= (unsigned char)(text.ptr[i] ^ field->text[len ? i % len : 0]);
	pthread_mutex_unlock(&config->mutex);
	return !differs;
}

void config_string_copy(struct config *config, const struct config_string *field, char *out,
			size_t size)
{
	pthread_mutex_lock(&config->mutex);
	snprintf(out, size, "%s", field->text);
	pthread_mutex_unlock(&config->mutex);
}

static char *copy_text(struct slice text)
{
	char *copy = mem_alloc(text.len + 1);
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	return copy;
}

char *config_string_dup(struct config *config, const struct config_string *field)
{
	pthread_mutex_lock(&config->mutex);
	char *copy = copy_text(slice_of(field->text));
	pthread_mutex_unlock(&config->mutex);
	return copy;
}

/* Takes the text over. */
static void store_string(struct config *config, struct config_string *field, char *text)
{
	pthread_mutex_lock(&config->mutex);
	mem_free_unsized(field->text);
	field->text = text;
	pthread_mutex_unlock(&config->mutex);
}

/* Puts what the text says of some classes into the whole, which it makes text again. */
static void store_output_limits(struct config *config, const char *text)
{
	struct output_limits limits[OUTPUT_CLASS_COUNT];
	char whole[256];
	size_t n = 0;
	config_string_copy(config, &config->output_limits, whole, sizeof(whole));
	const char *wrong = parse_output_limits(whole, limits);
	assert(!wrong); /* it was written below, or is the default */
	wrong = parse_output_limits(text, limits);
	assert(!wrong); /* it has been checked */
	for (enum output_class i = 0; i < OUTPUT_CLASS_COUNT; i++)
		n += (size_t)snprintf(whole + n, sizeof(whole) - n, "%s%s %lld %lld %lld",
				      i ? " " : "", output_class_names[i],
				      (long long)limits[i].hard, (long long)limits[i].soft,
				      (long long)limits[i].seconds);
	store_string(config, &config->output_limits, copy_text(slice_of(whole)));
	atomic_store(&config->output_limit_normal_hard, limits[OUTPUT_NORMAL].hard);
	atomic_store(&config->output_limit_normal_soft, limits[OUTPUT_NORMAL].soft);
	atomic_store(&config->output_limit_normal_seconds, limits[OUTPUT_NORMAL].seconds);
}

/* The numbers alone. */
static void store_save(struct config *config, const char *text)
{
	struct args args = {0};
	char *scratch = NULL, whole[CONFIG_SAVE_MAX] = "";
	size_t n = 0;
	args_split(text, strlen(text), &args, &scratch);
	for (uint32_t i = 0; i < args.count; i++)
		n += (size_t)snprintf(whole + n, sizeof(whole) - n, "%s%.*s", i ? " " : "",
				      (int)args.v[i].len, args.v[i].ptr);
	args_deinit(&args);
	mem_free_unsized(scratch);
	store_string(config, &config->save, copy_text(slice_of(whole)));
}

/* `dir` is the working directory's path, however it was named. */
static void store_dir(struct config *config)
{
	char path[PATH_MAX];
	if (getcwd(path, sizeof(path)))
		store_string(config, &config->dir, copy_text(slice_of(path)));
}

void config_init(struct config *config)
{
	pthread_mutex_init(&config->mutex, NULL);
	pthread_mutex_init(&config->change, NULL);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct config_option *o = &options[i];
		if (o->kind == KIND_STRING)
			store_string(config, string_field(config, o), copy_text(slice_of(o->text)));
		else if (o->kind != KIND_ALIAS)
			atomic_store(number_field(config, o), o->def);
	}
	store_dir(config);
}

void config_deinit(struct config *config)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (options[i].kind == KIND_STRING)
			mem_free_unsized(string_field(config, &options[i])->text);
	mem_free_unsized(config->file);
	pthread_mutex_destroy(&config->mutex);
	pthread_mutex_destroy(&config->change);
}

void config_begin_change(struct config *config)
{
	pthread_mutex_lock(&config->change);
}

void config_end_change(struct config *config)
{
	pthread_mutex_unlock(&config->change);
}

const char *config_conflict(const struct config *config)
{
	bool evicts = config_int(&config->maxmemory_policy) != POLICY_NOEVICTION;
	return evicts && config_int(&config->maxmemory) > 0
		       ? "eviction is not available in this version: with a maxmemory, "
			 "maxmemory-policy must be noeviction"
		       : NULL;
}

/* --- values --- */

void config_format(struct config *config, const struct config_option *o, struct reply *out)
{
	char number[32];
	o = option_itself(o);
	int64_t n = o->kind == KIND_STRING ? 0 : config_int(number_field(config, o));
	switch (o->kind) {
	case KIND_STRING:
		pthread_mutex_lock(&config->mutex);
		reply_raw(out, string_field(config, o)->text,
			  strlen(string_field(config, o)->text));
		pthread_mutex_unlock(&config->mutex);
		break;
	case KIND_WORD:
		reply_raw(out, o->words[n], strlen(o->words[n]));
		break;
	case KIND_INT:
	case KIND_MEMORY:
		reply_raw(out, number,
			  (size_t)snprintf(number, sizeof(number),
					   o->offset == offsetof(struct config, unixsocketperm)
						   ? "%llo"
						   : "%lld",
					   (long long)n));
		break;
	case KIND_ALIAS:
		break;
	}
}

/* Permissions: octal digits, no more than fit into mode_t. */
static bool parse_octal(struct slice text, int64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '7' || *out > 0777777)
			return false;
		*out = *out * 8 + (text.ptr[i] - '0');
	}
	return text.len > 0;
}

static bool set_number(struct config *config, const struct config_option *o, struct slice value,
		       char error[CONFIG_ERROR_MAX])
{
	int64_t n = 0;
	uint64_t bytes = 0;
	bool octal = o->offset == offsetof(struct config, unixsocketperm);
	bool ok = true;
	if (octal) {
		ok = parse_octal(value, &n);
	} else if (o->kind == KIND_MEMORY) {
		ok = number_parse_memory(value, &bytes) && bytes <= INT64_MAX;
		n = (int64_t)bytes;
	} else {
		ok = number_parse(value, &n);
	}
	if (!ok) {
		snprintf(error, CONFIG_ERROR_MAX, "%s",
			 o->kind == KIND_MEMORY ? "argument must be a memory value"
			 : octal               ? "argument couldn't be parsed into an octal number"
					       : "argument couldn't be parsed into an integer");
		return false;
	}
	if (n < o->min || n > o->max) {
		snprintf(error, CONFIG_ERROR_MAX,
			 octal ? "argument must be between %llo and %llo inclusive"
			       : "argument must be between %lld and %lld inclusive",
			 (long long)o->min, (long long)o->max);
		return false;
	}
	atomic_store(number_field(config, o), n);
	return true;
}

static bool set_word(struct config *config, const struct config_option *o, struct slice value,
		     char error[CONFIG_ERROR_MAX])
{
	for (int64_t i = 0; o->words[i]; i++) {
		if (slice_is(value, o->words[i])) {
			atomic_store(number_field(config, o), i);
			return true;
		}
	}
	if (o->words == words_bool) {
		strcpy(error, "argument must be 'yes' or 'no'");
		return false;
	}
	size_t n = (size_t)snprintf(error, CONFIG_ERROR_MAX,
				    "argument(s) must be one of the following: ");
	for (int64_t i = 0; o->words[i] && n < CONFIG_ERROR_MAX; i++)
		n += (size_t)snprintf(error + n, CONFIG_ERROR_MAX - n, "%s%s", i ? ", " : "",
				      o->words[i]);
	return false;
}

bool config_set(struct config *config, const struct config_option *o, struct slice value,
		char error[CONFIG_ERROR_MAX])
{
	if (o->kind == KIND_WORD)
		return set_word(config, o, value, error);
	if (o->kind != KIND_STRING)
		return set_number(config, o, value, error);
	char *text = copy_text(value);
	const char *wrong = strlen(text) != value.len ? "argument must not hold zero bytes"
			    : o->check		      ? o->check(text)
						      : NULL;
	if (wrong) {
		snprintf(error, CONFIG_ERROR_MAX, "%s", wrong);
		mem_free_unsized(text);
		return false;
	}
	struct config_string *field = string_field(config, o);
	if (field == &config->output_limits)
		store_output_limits(config, text);
	else if (field == &config->dir)
		store_dir(config);
	else if (field == &config->save)
		store_save(config, text);
	else {
		store_string(config, field, text);
		return true;
	}
	mem_free_unsized(text);
	return true;
}

/* --- bringing it to the server --- */

void config_apply(struct server *server)
{
	struct config *config = &server->config;
	struct keyspace *ks = server->ks;
	int64_t policy = config_int(&config->maxmemory_policy);
	bool lfu = policy == POLICY_ALLKEYS_LFU || policy == POLICY_VOLATILE_LFU;
	log_set_level((enum log_level)config_int(&config->loglevel));
	atomic_store(&ks->access_policy, lfu ? ACCESS_LFU : ACCESS_LRU);
	atomic_store(&ks->lfu_log_factor, (uint32_t)config_int(&config->lfu_log_factor));
	atomic_store(&ks->lfu_decay_minutes, (uint32_t)config_int(&config->lfu_decay_time));
	atomic_store(&ks->string_max, (uint64_t)config_int(&config->proto_max_bulk_len));
	atomic_store(&ks->limits.hash_listpack_entries,
		     config_int(&config->hash_max_listpack_entries));
	atomic_store(&ks->limits.hash_listpack_value, config_int(&config->hash_max_listpack_value));
	atomic_store(&ks->limits.set_intset_entries, config_int(&config->set_max_intset_entries));
	atomic_store(&ks->limits.set_listpack_entries,
		     config_int(&config->set_max_listpack_entries));
	atomic_store(&ks->limits.set_listpack_value, config_int(&config->set_max_listpack_value));
	atomic_store(&ks->limits.zset_listpack_entries,
		     config_int(&config->zset_max_listpack_entries));
	atomic_store(&ks->limits.zset_listpack_value, config_int(&config->zset_max_listpack_value));
	atomic_store(&ks->limits.hll_sparse_bytes, config_int(&config->hll_sparse_max_bytes));
	atomic_store(&ks->limits.list_listpack_size, config_int(&config->list_max_listpack_size));
	memory_look(server);
	snapshotter_follow(&server->snapshotter);
}
