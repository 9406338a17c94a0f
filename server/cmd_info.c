/* INFO: which sections are asked for (info.h). */
#include "server/info.h"

#include "server/handlers.h"

#include <stdarg.h>
#include <stdio.h>

/* --- lines --- */

void info_line(const struct info *info, const char *format, ...)
{
	char line[INFO_LINE_MAX];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	reply_raw(info->out, line, n < (int)sizeof(line) ? (size_t)n : sizeof(line) - 1);
	reply_raw(info->out, "\r\n", 2);
}

void info_text(const struct info *info, const char *text)
{
	reply_raw(info->out, text, strlen(text));
}

void info_bytes(const struct info *info, const char *name, uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	double n = (double)bytes;
	unsigned unit = 0;
	for (; n >= 1024 && units[unit + 1]; unit++)
		n /= 1024;
	info_line(info, "%s:%llu", name, (unsigned long long)bytes);
	info_line(info, "%s_human:%.*f%c", name, unit ? 2 : 0, n, units[unit]);
}

/* --- sections --- */

enum section_set {
	SET_NAMED,   /* shown when asked for by name, */
	SET_ALL,     /* ... or with `all` and `everything`, */
	SET_DEFAULT, /* ... or without any name */
};

static const struct section {
	const char *name;
	const char *title;
	enum section_set set;
	void (*write)(const struct info *info);
} sections[] = {
	{"server", "Server", SET_DEFAULT, info_server},
	{"clients", "Clients", SET_DEFAULT, info_clients},
	{"memory", "Memory", SET_DEFAULT, info_memory},
	{"persistence", "Persistence", SET_DEFAULT, info_persistence},
	{"stats", "Stats", SET_DEFAULT, info_stats},
	{"replication", "Replication", SET_DEFAULT, info_replication},
	{"cpu", "CPU", SET_DEFAULT, info_cpu},
	{"modules", "Modules", SET_DEFAULT, info_modules},
	{"commandstats", "Commandstats", SET_ALL, info_commandstats},
	{"errorstats", "Errorstats", SET_DEFAULT, info_errorstats},
	{"latencystats", "Latencystats", SET_ALL, info_latencystats},
	{"cluster", "Cluster", SET_DEFAULT, info_cluster},
	{"keyspace", "Keyspace", SET_DEFAULT, info_keyspace},
	{"workers", "Workers", SET_ALL, info_workers},
};

#define SECTION_COUNT (sizeof(sections) / sizeof(sections[0]))

/* The sections of a set, a bit for each. */
static uint32_t mask_of_set(enum section_set least)
{
	uint32_t mask = 0;
	for (size_t i = 0; i < SECTION_COUNT; i++)
		if (sections[i].set >= least)
			mask |= 1u << i;
	return mask;
}

/* What one argument asks for; nothing when it is unknown. */
static uint32_t mask_of(struct slice name)
{
	if (slice_is(name, "default"))
		return mask_of_set(SET_DEFAULT);
	if (slice_is(name, "all") || slice_is(name, "everything"))
		return mask_of_set(SET_ALL);
	for (size_t i = 0; i < SECTION_COUNT; i++)
		if (slice_is(name, sections[i].name))
			return 1u << i;
	return 0;
}

void cmd_info(struct conn *conn, struct ctx *ctx)
{
	uint32_t mask = ctx->argc == 1 ? mask_of_set(SET_DEFAULT) : 0;
	for (uint32_t i = 1; i < ctx->argc; i++)
		mask |= mask_of(ctx->argv[i]);
	struct reply text;
	reply_init(&text, 2);
	struct info info = {.server = conn->worker->server, .conn = conn, .out = &text};
	for (size_t i = 0; i < SECTION_COUNT; i++) {
		if (!(mask & 1u << i))
			continue;
		if (text.len)
			info_text(&info, "\r\n");
		info_line(&info, "# %s", sections[i].title);
		sections[i].write(&info);
	}
	reply_verbatim(ctx->reply, "txt", (struct slice){text.buf, text.len});
	reply_deinit(&text);
}
