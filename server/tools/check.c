/*
 * sherd check: what of a data directory is as it should be (tools.h).
 *
 * A line for each file on stdout, and what it comes to at the end. The exit status says the same.
 */
#include "server/tools/fix.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* " in epoch 17, which began at ..." */
static void print_epoch(const struct recovery_file *file)
{
	char text[RECOVERY_TIME_MAX];
	if (file->epoch != EPOCH_NONE)
		printf("; written in epoch %" PRIu64 " (%s) or later", file->epoch,
		       recovery_time_text(file->ms, text));
}

static void print_file(const struct recovery *recovery, const struct recovery_file *file)
{
	bool journal = recovery->manifest->items[file->item].kind == MANIFEST_STRETCH;
	uint64_t rest = file->bytes - file->good;
	printf("%s: ", file->name);
	switch (file->state) {
	case FILE_WHOLE:
		printf("fine, %" PRIu64 " bytes, %" PRIu64 " %s", file->bytes, file->count,
		       journal ? "records" : "keys");
		break;
	case FILE_CUT:
		printf("a start will cut off %" PRIu64 " of %" PRIu64 " bytes, from byte %" PRIu64
		       " on: %s",
		       rest, file->bytes, file->good, file->why);
		print_epoch(file);
		break;
	case FILE_DAMAGED:
		printf("damaged at byte %" PRIu64 " of %" PRIu64 ": %s", file->good, file->bytes,
		       file->why);
		print_epoch(file);
		break;
	case FILE_UNREADABLE:
		printf("can't be read: %s", file->why);
		break;
	}
	printf(file->item < recovery->first ? " (of an older generation)\n" : "\n");
}

static void look(struct tool *tool, const char *what)
{
	struct progress progress;
	struct recovery *recovery = &tool->recovery;
	progress_begin(&progress, tool, what, &recovery->bytes_done, &recovery->bytes_total);
	recovery_look(recovery);
	progress_end(&progress);
}

static void print_all(const struct tool *tool)
{
	char text[RECOVERY_TIME_MAX];
	const struct recovery *recovery = &tool->recovery;
	printf(MANIFEST_NAME ": fine, %" PRIu32 " %s\n", tool->manifest.count,
	       tool->manifest.count == 1 ? "item" : "items");
	if (recovery->committed.epoch == EPOCH_NONE)
		printf(COMMITS_NAME ": none\n");
	else
		printf(COMMITS_NAME ": on the disk up to epoch %" PRIu64 ", %s\n",
		       recovery->committed.epoch, recovery_time_text(recovery->committed.ms, text));
	for (uint32_t i = 0; i < recovery->file_count; i++)
		print_file(recovery, &recovery->files[i]);
}

static enum tool_status status_of(const struct recovery *recovery)
{
	enum tool_status status = TOOL_FINE;
	for (uint32_t i = 0; i < recovery->file_count; i++) {
		if (recovery_file_bad(&recovery->files[i]))
			return TOOL_DAMAGED;
		if (recovery->files[i].state == FILE_CUT)
			status = TOOL_WILL_CUT;
	}
	return status;
}

/* --- what it comes to, and what to do --- */

/*
 * Whether one of the files that a start loads is bad, of this kind or (`journals` false) any other.
 */
static bool bad_data(const struct recovery *recovery, bool journals)
{
	for (uint32_t i = 0; i < recovery->file_count; i++) {
		const struct recovery_file *file = &recovery->files[i];
		bool journal = recovery->manifest->items[file->item].kind == MANIFEST_STRETCH;
		if (file->item >= recovery->first && journal == journals && recovery_file_bad(file))
			return true;
	}
	return false;
}

static void conclude_damage(const struct tool *tool)
{
	const struct recovery *recovery = &tool->recovery;
	const char *path = tool->path;
	bool snapshots = bad_data(recovery, false);
	if (!snapshots && !bad_data(recovery, true)) {
		printf("What a start loads is fine. What is damaged belongs to an older generation: only "
		       "going back to that one fails.\n");
		return;
	}
	puts("There is damage: a server doesn't start with these data.");
	if (snapshots && !fix_has_way_round(recovery))
		printf("--fix can't help: what is before the damaged snapshot doesn't have the same data. "
		       "Go back to a backup;\nor to an older state, if there is one: \"sherd restore %s "
		       "--until TIME --to NEWDIR\".\n",
		       path);
	else if (snapshots)
		printf("\"sherd check %s --fix\" puts the damaged snapshot aside: with its journals, what "
		       "is before it has the same data.\n",
		       path);
	else
		printf("\"sherd check %s --fix\" cuts journals at it. What was written later is not "
		       "loaded then; it is kept in\nfiles beside. Make a copy of the directory first.\n",
		       path);
}

static void conclude(const struct tool *tool, enum tool_status status)
{
	if (status == TOOL_FINE)
		puts("All is fine.");
	else if (status == TOOL_WILL_CUT)
		puts("All is fine but for what was just being written: a start cuts that off, and nobody "
		     "had been promised it.\nThere is nothing to do.");
	else
		conclude_damage(tool);
}

static enum tool_status examine(struct tool *tool, const char *what)
{
	tool->recovery.bad.known = false;
	look(tool, what);
	return status_of(&tool->recovery);
}

/* With --load: whether what looks right can be loaded, too. Loading forgets what was counted. */
static enum tool_status try_load(struct tool *tool, enum tool_status status)
{
	if (status == TOOL_DAMAGED || !tool->load)
		return status;
	if (tool_load(tool)) {
		printf("Loaded: %" PRIu64 " keys\n", tool_keys(tool));
		return status;
	}
	look(tool, "reading again");
	puts("Loading fails:");
	print_all(tool);
	return TOOL_DAMAGED;
}

int check_run(struct tool *tool)
{
	if (tool->manifest_damaged) {
		printf(MANIFEST_NAME
		       ": damaged at line %" PRIu32 "\n"
		       "Without it nobody can tell which files are the data: go back to a "
		       "backup.\n",
		       tool->manifest_line);
		return TOOL_DAMAGED;
	}
	enum tool_status status = examine(tool, "reading");
	print_all(tool);
	status = try_load(tool, status);
	if (!tool->fix || status == TOOL_FINE) {
		conclude(tool, status);
		return status;
	}
	if (!fix(tool))
		return status;
	status = try_load(tool, examine(tool, "reading again"));
	if (status != TOOL_FINE) {
		puts("There is damage left:");
		print_all(tool);
		conclude(tool, status);
		return status;
	}
	puts("All is fine now.");
	return TOOL_FINE;
}
