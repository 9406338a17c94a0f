/*
 * Configuration: redis.conf's syntax and names; config.def has a row for each option.
 *
 * Numbers, booleans and words of a list are atomic fields: any thread reads them (config_int),
 * CONFIG SET on any worker stores them. Strings are kept under a mutex and copied out or compared.
 *
 * Sources in their order: defaults, the file (first argument, "-" for standard input), `--name
 * value` on the command line.
 */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "proto/reply.h"
#include "proto/resp.h"
#include "proto/slice.h"
#include "server/log.h"
#include "shard/keyspace.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct server;

enum protected_setting {
	PROTECTED_NO,
	PROTECTED_YES,
	PROTECTED_LOCAL,
};

enum maxmemory_policy {
	POLICY_VOLATILE_LRU,
	POLICY_VOLATILE_LFU,
	POLICY_VOLATILE_RANDOM,
	POLICY_VOLATILE_TTL,
	POLICY_ALLKEYS_LRU,
	POLICY_ALLKEYS_LFU,
	POLICY_ALLKEYS_RANDOM,
	POLICY_NOEVICTION,
};

/* A configuration file may be so large, and includes so deep. */
#define CONFIG_FILE_MAX (1024 * 1024)
#define CONFIG_INCLUDE_MAX 16
/* Rows of config.def at most. */
#define CONFIG_OPTIONS_MAX 128
/* Save points as text: the longest. */
#define CONFIG_SAVE_MAX 1024
/* What is wrong with a value, in words. */
#define CONFIG_ERROR_MAX 256

struct config_string {
	char *text; /* heap, under the mutex; never NULL after config_init */
};

struct config {
#define CONFIG_INT(field, ...) _Atomic int64_t field;
#define CONFIG_MEMORY(field, ...) _Atomic int64_t field;
#define CONFIG_BOOL(field, ...) _Atomic int64_t field;
#define CONFIG_ENUM(field, ...) _Atomic int64_t field;
#define CONFIG_STRING(field, ...) struct config_string field;
#define CONFIG_ALIAS(field, name)
#include "server/config.def"
#undef CONFIG_INT
#undef CONFIG_MEMORY
#undef CONFIG_BOOL
#undef CONFIG_ENUM
#undef CONFIG_STRING
#undef CONFIG_ALIAS
	/* what client-output-buffer-limit says of normal clients */
	_Atomic int64_t output_limit_normal_hard;
	_Atomic int64_t output_limit_normal_soft;
	_Atomic int64_t output_limit_normal_seconds;
	bool save_given; /* a line has said `save`: the next ones add to it. While loading only */
	unsigned errors; /* lines that were refused. While loading only */
	char *file; /* absolute path of the configuration file; NULL without; constant after start */
	pthread_mutex_t mutex;
	pthread_mutex_t change; /* held by CONFIG SET and REWRITE: one at a time reads and writes it all */
};

static inline int64_t config_int(const _Atomic int64_t *field)
{
	return atomic_load_explicit(field, memory_order_relaxed);
}

/* Any thread. The field is one of the same configuration. */
bool config_string_empty(struct config *config, const struct config_string *field);
/* In a time that doesn't depend on where they differ. */
bool config_string_equal(struct config *config, const struct config_string *field,
			 struct slice text);
/* A copy of any length on the heap, for mem_free_unsized(). */
char *config_string_dup(struct config *config, const struct config_string *field);
/* Terminated; cut to fit. */
void config_string_copy(struct config *config, const struct config_string *field, char *out,
			size_t size);

void config_init(struct config *config);
void config_deinit(struct config *config);

/*
 * Reads the command line and the file it names. 0; 1 when all is done (--help, --version); -1 after
 * writing to standard error what is wrong, with file and line.
 */
int config_load(struct config *config, int argc, char **argv);

/*
 * Brings to the server what is kept elsewhere too: log, keyspace, limits. After start and each
 * change.
 */
void config_apply(struct server *server);

/* --- for CONFIG --- */

struct config_option;

/* Finds an option by one of its names, any case. */
const struct config_option *config_find(struct slice name);
/* All of them, in the order of the rows, and once more for each alias; NULL at the end. */
const struct config_option *config_option_at(size_t i);
bool config_is_alias(const struct config_option *option);
/* A number of bytes. */
bool config_is_memory(const struct config_option *option);
const char *config_name(const struct config_option *option);
const char *config_help(const struct config_option *option);
/* NULL when CONFIG SET may change it, else why it may not. */
const char *config_fixed(const struct config_option *option);

/* The value as text, appended to `out`. */
void config_format(struct config *config, const struct config_option *option, struct reply *out);

/* Why the values as they are now can't be together; NULL: they can. Any thread, within a change. */
const char *config_conflict(const struct config *config);

/*
 * Sets a value (the words of a line joined by a space); false with `error` filled in. Any thread.
 */
bool config_set(struct config *config, const struct config_option *option, struct slice value,
		char error[CONFIG_ERROR_MAX]);

/*
 * One thread changes several options, or writes the file, at a time: others wait. Not needed before
 * other threads are started.
 */
void config_begin_change(struct config *config);
void config_end_change(struct config *config);

/*
 * Writes the file anew: its comments and order kept, values as they are now. 0 or a negative errno.
 * Within a change.
 */
int config_rewrite(struct config *config);

#endif
