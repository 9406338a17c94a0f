/*
 * Reading the configuration: command line, file, includes (config.h).
 *
 * What is wrong is said as Redis says it: the file, the line's number, the line, the reason; of all
 * lines, so that somebody who comes with a file made for another server sees at once which of its
 * lines have to go.
 */
#include "server/config.h"

#include "persist/file.h"
#include "proto/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Then the rest isn't read: the file is no configuration, or it includes itself. */
#define ERRORS_MAX 100

/* Where a line comes from. */
struct source {
	const char *file; /* "command line" */
	unsigned line;
	unsigned depth;
};

static int fail(struct config *config, const struct source *source, struct slice line,
		const char *reason)
{
	if (config->errors++ == 0)
		fprintf(stderr, "\n*** FATAL CONFIG FILE ERROR (Sherd %s) ***\n", SHERD_VERSION);
	fprintf(stderr, "Reading the configuration file, at line %u (%s)\n", source->line,
		source->file);
	fprintf(stderr, ">>> '%.*s'\n%s\n", (int)line.len, line.ptr, reason);
	return -1;
}

static int load_file(struct config *config, const char *path, unsigned depth);

/*
 * The first line with save points takes the default's place, the next ones add to it; "" takes all
 * away.
 */
static void add_save(struct config *config, struct reply *value)
{
	char before[CONFIG_SAVE_MAX];
	config_string_copy(config, &config->save, before, sizeof(before));
	if (config->save_given && value->len > 0 && before[0]) {
		struct reply whole;
		reply_init(&whole, 2);
		reply_raw(&whole, before, strlen(before));
		reply_raw(&whole, " ", 1);
		reply_raw(&whole, value->buf, value->len);
		reply_deinit(value);
		*value = whole;
	}
	config->save_given = true;
}

/* Sets one option from the words of a line. */
static int load_words(struct config *config, const struct source *source, struct slice line,
		      const struct slice *words, uint32_t count)
{
	char error[CONFIG_ERROR_MAX], path[4096];
	if (slice_is(words[0], "include") && count == 2) {
		if (source->depth >= CONFIG_INCLUDE_MAX)
			return fail(config, source, line, "too many nested includes");
		snprintf(path, sizeof(path), "%.*s", (int)words[1].len, words[1].ptr);
		return load_file(config, path, source->depth + 1);
	}
	const struct config_option *option = config_find(words[0]);
	bool many = option && (option == config_find(SLICE("bind")) ||
			       option == config_find(SLICE("client-output-buffer-limit")) ||
			       option == config_find(SLICE("save")));
	if (!option || count < 2 || (count > 2 && !many))
		return fail(config, source, line, "Bad directive or wrong number of arguments");
	struct reply value;
	reply_init(&value, 2);
	for (uint32_t i = 1; i < count; i++) {
		if (i > 1)
			reply_raw(&value, " ", 1);
		reply_raw(&value, words[i].ptr, words[i].len);
	}
	if (option == config_find(SLICE("save")))
		add_save(config, &value);
	struct slice text = {value.len ? value.buf : "", value.len};
	bool ok = config_set(config, option, text, error);
	reply_deinit(&value);
	return ok ? 0 : fail(config, source, line, error);
}

static int load_line(struct config *config, const struct source *source, struct slice line)
{
	struct args args = {0};
	char *scratch;
	while (line.len > 0 && strchr(" \t\r", line.ptr[line.len - 1]))
		line.len--;
	while (line.len > 0 && strchr(" \t", line.ptr[0])) {
		line.ptr++;
		line.len--;
	}
	if (line.len == 0 || line.ptr[0] == '#')
		return 0;
	int result = 0;
	if (!args_split(line.ptr, line.len, &args, &scratch))
		result = fail(config, source, line, "Unbalanced quotes in configuration line");
	else if (args.count)
		result = load_words(config, source, line, args.v, args.count);
	args_deinit(&args);
	mem_free_unsized(scratch);
	return result;
}

static int load_text(struct config *config, const char *name, unsigned depth, const char *text,
		     size_t len)
{
	struct source source = {name, 0, depth};
	size_t at = 0;
	int result = 0;
	while (at < len && config->errors < ERRORS_MAX) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t line_len = end ? (size_t)(end - (text + at)) : len - at;
		source.line++;
		if (load_line(config, &source, (struct slice){text + at, line_len}))
			result = -1;
		at += line_len + 1;
	}
	return result;
}

static int load_file(struct config *config, const char *path, unsigned depth)
{
	char *text;
	size_t len;
	const char *real = strcmp(path, "-") == 0 ? "/dev/stdin" : path;
	int error = file_read(real, CONFIG_FILE_MAX, &text, &len);
	if (error) {
		config->errors++;
		fprintf(stderr, "Fatal error, can't open config file '%s': %s\n", path,
			strerror(-error));
		return -1;
	}
	int result = load_text(config, path, depth, text, len);
	mem_free_unsized(text);
	return result;
}

/* The words as a line, to be shown when something is wrong with it; cut to fit. */
static struct slice line_of(const struct args *words, char *text, size_t size)
{
	size_t len = 0;
	for (uint32_t i = 0; i < words->count && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, i ? " \"%s\"" : "%s",
					words->v[i].ptr);
	return (struct slice){text, len < size ? len : size - 1};
}

/*
 * Takes an option's name and its values off: the words up to the next that begins with two dashes.
 */
static int take_option(char **argv, int argc, struct args *words)
{
	int taken = 1;
	words->count = 0;
	args_push(words, slice_of(argv[0] + 2));
	while (taken < argc && (taken == 1 || strncmp(argv[taken], "--", 2) != 0))
		args_push(words, slice_of(argv[taken++]));
	return taken;
}

/* `--name value...` is what a line of a file is. */
static int load_arguments(struct config *config, int argc, char **argv)
{
	struct source source = {"command line", 0, 0};
	struct args words = {0};
	char text[1024];
	int result = 0;
	for (int i = 0; i < argc && config->errors < ERRORS_MAX;) {
		source.line++;
		if (strncmp(argv[i], "--", 2) != 0) {
			result = fail(config, &source, slice_of(argv[i]),
				      "Bad directive or wrong number of arguments");
			break;
		}
		i += take_option(argv + i, argc - i, &words);
		if (load_words(config, &source, line_of(&words, text, sizeof(text)), words.v,
			       words.count))
			result = -1;
	}
	args_deinit(&words);
	return result;
}

static void print_help(void)
{
	printf("Usage: sherd [file | -] [--option value ...]\n\n"
	       "Options, as in the file (redis.conf's syntax) or with two dashes before them:\n");
	const struct config_option *option;
	for (size_t i = 0; (option = config_option_at(i)); i++)
		if (!config_is_alias(option))
			printf("  %-28s %s\n", config_name(option), config_help(option));
	printf("  %-28s %s\n", "include", "read another file at this place");
}

/* Says so at once when nothing can be written into the directory. */
static void check_writable(struct config *config)
{
	char dir[4096];
	config_string_copy(config, &config->dir, dir, sizeof(dir));
	if (access(".", W_OK))
		log_write(LOG_WARNING, "The directory %s is not writable: %s", dir, strerror(errno));
}

int config_load(struct config *config, int argc, char **argv)
{
	int first = 1;
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		print_help();
		return 1;
	}
	if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-v") == 0)) {
		printf("Sherd server v=%s\n", SHERD_VERSION);
		return 1;
	}
	if (argc > 1 && strncmp(argv[1], "--", 2) != 0) {
		config->file = strcmp(argv[1], "-") ? realpath(argv[1], NULL) : NULL;
		if (load_file(config, argv[1], 0))
			return -1;
		first = 2;
	}
	if (load_arguments(config, argc - first, argv + first))
		return -1;
	const char *conflict = config_conflict(config);
	if (conflict) {
		fprintf(stderr, "\n*** FATAL CONFIG FILE ERROR (Sherd %s) ***\n%s\n", SHERD_VERSION,
			conflict);
		return -1;
	}
	check_writable(config);
	char log[4096];
	config_string_copy(config, &config->logfile, log, sizeof(log));
	int error = log_open(log);
	if (error) {
		fprintf(stderr, "Can't open the log file '%s': %s\n", log, strerror(-error));
		return -1;
	}
	return 0;
}
