/* The command line of the tools (tools.h). */
#include "server/tools/tools.h"

#include "server/tools/tool.h"
#include "server/tools/undo.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Numbers up to this are seconds, larger ones milliseconds: the year 5138, or 1973. */
#define SECONDS_MAX 100000000000ll

static const struct {
	const char *name;
	int (*run)(struct tool *tool);
	const char *usage, *what;
	bool beside; /* a server */
} rows[] = {
	{"backup", backup_run, "DIR --to NEWDIR",
	 "copies the last snapshot, also while a server runs", true},
	{"check", check_run, "DIR [--load] [--fix]",
	 "says of each file whether it is as it should be", false},
	{"export", export_run, "DIR --rdb FILE [--until TIME]",
	 "writes all data to one dump.rdb, as Redis reads it", false},
	{"restore", restore_run, "DIR --until TIME --to NEWDIR",
	 "makes a directory for a server that has the data of then", false},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static size_t find_row(const char *name)
{
	size_t i = 0;
	while (i < ROWS && strcmp(rows[i].name, name) != 0)
		i++;
	return i;
}

bool tools_wanted(int argc, char **argv)
{
	return argc > 1 && find_row(argv[1]) < ROWS;
}

void tools_print_help(void)
{
	printf("\nTools, for a data directory that no server uses, but for backup:\n");
	for (size_t i = 0; i < ROWS; i++) {
		char call[64];
		snprintf(call, sizeof(call), "%s %s", rows[i].name, rows[i].usage);
		printf("  sherd %-38s %s\n", call, rows[i].what);
	}
	printf("\nDIR is the data directory (sherd-data), or the one that it is in. TIME: unix seconds, unix\n"
	       "milliseconds, or UTC as in 2026-11-21T10:00:00. --progress: shows it without a terminal, too.\n"
	       "check ends with 0: all is fine; 1: a start will cut off what isn't whole; 2: damage; 3: can't tell.\n"
	       "--load: loads the data as well, as a start would: that takes as much memory as a server does.\n"
	       "--fix cuts journals where they are damaged; what it cuts off it keeps in <file>.cut-<n>.\n");
}

/* "1795255200", "1795255200000" */
static bool parse_number(const char *text, int64_t *ms)
{
	char *end;
	if (*text < '0' || *text > '9' || strlen(text) > 15)
		return false;
	long long n = strtoll(text, &end, 10);
	*ms = n < SECONDS_MAX ? n * 1000 : n;
	return *end == '\0';
}

/* ".25" is 250; *at moves behind it. */
static int64_t parse_fraction(const char **at)
{
	int64_t ms = 0;
	if (**at != '.')
		return 0;
	++*at;
	for (int64_t unit = 100; **at >= '0' && **at <= '9'; unit /= 10)
		ms += unit * (*(*at)++ - '0');
	return ms;
}

bool tool_parse_time(const char *text, int64_t *ms)
{
	struct tm tm = {0};
	if (parse_number(text, ms))
		return true;
	const char *at = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!at)
		return false;
	struct tm normal = tm;
	*ms = (int64_t)timegm(&normal) * 1000 + parse_fraction(&at);
	at += *at == 'Z';
	return *at == '\0' && normal.tm_mday == tm.tm_mday && *ms >= 0;
}

/* Takes an option with its value; how many words that were, 0: it is none, or has no value. */
static int take_option(struct tool *tool, int argc, char **argv)
{
	const struct {
		const char *name;
		bool *flag;
		const char **value;
	} options[] = {
		{"--fix", &tool->fix, NULL},
		{"--load", &tool->load, NULL},
		{"--progress", &tool->progress, NULL},
		{"--rdb", NULL, &tool->rdb},
		{"--to", NULL, &tool->to},
		{"--until", NULL, &tool->until},
	};
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (strcmp(argv[0], options[i].name) != 0)
			continue;
		if (options[i].flag) {
			*options[i].flag = true;
			return 1;
		}
		if (argc < 2)
			return 0;
		*options[i].value = argv[1];
		return 2;
	}
	return 0;
}

static bool take_arguments(struct tool *tool, int argc, char **argv)
{
	for (int i = 0; i < argc;) {
		int taken = 1;
		if (strncmp(argv[i], "--", 2) == 0)
			taken = take_option(tool, argc - i, argv + i);
		else if (tool->path)
			taken = 0;
		else
			tool->path = argv[i];
		if (taken == 0)
			return false;
		i += taken;
	}
	return tool->path != NULL;
}

/* What that tool needs, and nothing that it doesn't know. */
static bool fits(const struct tool *tool)
{
	if ((tool->fix || tool->load) && strcmp(tool->name, "check") != 0)
		return false;
	if (strcmp(tool->name, "check") == 0)
		return !tool->rdb && !tool->to && !tool->until;
	if (strcmp(tool->name, "export") == 0)
		return tool->rdb && !tool->to;
	if (strcmp(tool->name, "backup") == 0)
		return tool->to && !tool->rdb && !tool->until;
	return tool->to && tool->until && !tool->rdb;
}

int tools_run(int argc, char **argv)
{
	size_t row = find_row(argv[1]);
	struct tool tool = {
		.name = argv[1],
		.beside = rows[row].beside,
		.progress = isatty(STDERR_FILENO),
	};
	if (!take_arguments(&tool, argc - 2, argv + 2) || !fits(&tool)) {
		fprintf(stderr, "Usage: sherd %s %s\n", rows[row].name, rows[row].usage);
		return TOOL_FAILED;
	}
	if (tool.until && !tool_parse_time(tool.until, &tool.until_ms))
		return tool_fail(&tool, "'%s' is no time", tool.until);
	undo_watch_signals();
	int status = tool_open(&tool) ? rows[row].run(&tool) : TOOL_FAILED;
	tool_close(&tool);
	return status;
}
