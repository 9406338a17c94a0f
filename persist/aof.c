/* Redis' append-only files (aof.h). */
#include "persist/aof.h"

#include "persist/rdb_file.h"
#include "persist/replay.h"
#include "proto/crc16.h"
#include "proto/mem.h"
#include "proto/number.h"
#include "proto/resp.h"
#include "shard/execute.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Arguments that there is room for at first. */
#define ARGS_FIRST 64
/* As much of a name as messages show. */
#define NAME_SHOWN_MAX 128
/* Progress is told every so many bytes. */
#define DONE_STEP (256u << 10)

/* --- the manifest --- */

/* The words of a line: name and value by turns. NULL, or what is wrong. */
static const char *read_words(const struct args *words, struct aof_part *part)
{
	struct slice name = {0};
	bool seq = false;
	for (size_t i = 0; i + 1 < words->count; i += 2) {
		struct slice word = words->v[i], value = words->v[i + 1];
		if (slice_is(word, "file"))
			name = value;
		else if (slice_is(word, "seq"))
			seq = number_parse_unsigned(value, &part->seq);
		else if (slice_is(word, "type") && value.len == 1)
			part->type = *value.ptr;
	}
	if (words->count % 2 || name.len == 0 || !seq || !part->type)
		return "it doesn't say file, seq and type";
	if (memchr(name.ptr, '/', name.len))
		return "the file's name must not be a path";
	if (!strchr("bih", part->type))
		return "there is no such type";
	part->name = mem_alloc(name.len + 1);
	memcpy(part->name, name.ptr, name.len);
	part->name[name.len] = '\0';
	return NULL;
}

static const char *read_line(struct slice line, struct aof_part *part)
{
	struct args words = {0};
	char *scratch = NULL;
	const char *error = "quotes don't balance";
	if (args_split(line.ptr, line.len, &words, &scratch))
		error = read_words(&words, part);
	args_deinit(&words);
	mem_free_unsized(scratch);
	return error;
}

/* The base comes first, the others in rising order. */
static const char *add_part(struct aof_manifest *manifest, struct aof_part *part)
{
	uint32_t count = manifest->count;
	const struct aof_part *last = count ? &manifest->parts[count - 1] : NULL;
	const char *error = NULL;
	if (part->type == 'b' && count && manifest->parts[0].type == 'b')
		error = "there is another base";
	else if (part->type == 'i' && last && last->type == 'i' && last->seq >= part->seq)
		error = "the sequence numbers don't rise";
	if (error || part->type == 'h') {
		mem_free_unsized(part->name);
		return error;
	}
	manifest->parts = mem_realloc(manifest->parts, (count + 1) * sizeof(*manifest->parts));
	uint32_t at = part->type == 'b' ? 0 : count;
	memmove(&manifest->parts[at + 1], &manifest->parts[at],
		(count - at) * sizeof(*manifest->parts));
	manifest->parts[at] = *part;
	manifest->count++;
	return NULL;
}

bool aof_manifest_parse(struct slice text, struct aof_manifest *manifest, const char **error,
			uint32_t *line)
{
	*manifest = (struct aof_manifest){0};
	*error = NULL;
	*line = 0;
	for (size_t at = 0; at < text.len && !*error;) {
		const char *end = memchr(text.ptr + at, '\n', text.len - at);
		size_t len = (end ? (size_t)(end - text.ptr) : text.len) - at;
		struct slice words = {text.ptr + at, len};
		struct aof_part part = {0};
		++*line;
		at += len + 1;
		if (len == 0 || *words.ptr == '#')
			continue;
		*error = read_line(words, &part);
		if (!*error)
			*error = add_part(manifest, &part);
	}
	if (!*error && manifest->count == 0)
		*error = "it names no file";
	return !*error;
}

void aof_manifest_free(struct aof_manifest *manifest)
{
	for (uint32_t i = 0; i < manifest->count; i++)
		mem_free_unsized(manifest->parts[i].name);
	mem_free_unsized(manifest->parts);
	*manifest = (struct aof_manifest){0};
}

/* --- a file being read --- */

struct reading {
	struct aof_load *aof;
	struct replay *replay;
	struct load_file *file;
	bool last;
	size_t at;     /* the request being looked at */
	size_t told;   /* as done */
	size_t within; /* the EXEC of the transaction around it; before `at`: there is none */
	uint32_t db;
	struct reply reply;
	struct slice *argv;
	uint32_t *positions;
	uint32_t argc, room;
};

static bool fail(struct reading *r, size_t at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static bool fail(struct reading *r, size_t at, const char *format, ...)
{
	char text[LOAD_TEXT_MAX / 2];
	va_list list;
	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	snprintf(r->aof->load.error, LOAD_TEXT_MAX, "%s at byte %zu: %s", r->file->name, at, text);
	return false;
}

/* How many bytes of a name are shown. */
static int shown(struct slice name)
{
	return name.len < NAME_SHOWN_MAX ? (int)name.len : NAME_SHOWN_MAX;
}

static void warn(struct reading *r, const char *what, struct slice name)
{
	char text[LOAD_TEXT_MAX];
	const struct load *load = &r->aof->load;
	snprintf(text, sizeof(text), "%s at byte %zu: %s %.*s", r->file->name, r->at, what,
		 shown(name), name.ptr);
	if (load->warn)
		load->warn(load->arg, text);
}

static void tell_done(struct reading *r, size_t at)
{
	if (r->aof->load.done)
		atomic_fetch_add(r->aof->load.done, at - r->told);
	r->told = at;
}

/* The file ends within what begins at this place. */
static bool torn(struct reading *r, size_t at)
{
	if (!r->last)
		return fail(r, at, "the file ends too early, and it isn't the last one");
	if (!r->aof->may_be_torn)
		return fail(
			r, at,
			"the file ends too early: with aof-load-truncated yes the rest is left out");
	r->aof->torn = r->file->bytes.len - at;
	r->at = r->file->bytes.len;
	return true;
}

/* --- requests --- */

static void make_room(struct reading *r, uint32_t argc)
{
	r->room = argc > ARGS_FIRST ? argc : ARGS_FIRST;
	r->argv = mem_realloc(r->argv, r->room * sizeof(*r->argv));
	r->positions = mem_realloc(r->positions, r->room * sizeof(*r->positions));
}

/* The request at r->at: the bytes it takes, or as merge_effect() says. */
static ptrdiff_t read_request(struct reading *r)
{
	struct slice bytes = r->file->bytes;
	ptrdiff_t taken =
		merge_effect(bytes.ptr + r->at, bytes.len - r->at, r->argv, r->room, &r->argc);
	if (taken <= 0 || r->argc <= r->room)
		return taken;
	make_room(r, r->argc);
	return merge_effect(bytes.ptr + r->at, bytes.len - r->at, r->argv, r->room, &r->argc);
}

/*
 * Looks for the EXEC of a MULTI from `at` on, or for what is no request. False: the file ends
 * before.
 */
static bool find_exec(struct reading *r, size_t at)
{
	struct slice bytes = r->file->bytes, name = {0};
	ptrdiff_t taken = 1;
	uint32_t argc;
	while (taken > 0 && !slice_is(name, "exec")) {
		r->within = at;
		taken = merge_effect(bytes.ptr + at, bytes.len - at, &name, 1, &argc);
		at += (size_t)taken;
	}
	return taken != MERGE_PART;
}

/* All of its keys in one slot: which. */
static bool one_slot(const struct reading *r, int32_t count, uint16_t *slot)
{
	for (int32_t i = 0; i < count; i++) {
		struct slice name = r->argv[r->positions[i]];
		uint16_t own = key_slot(name.ptr, name.len);
		if (i > 0 && own != *slot)
			return false;
		*slot = own;
	}
	return count > 0;
}

/* Whether it gives a time to live that counts from now; a yes too many does no harm. */
static bool counts_from_now(const struct reading *r)
{
	static const char *const names[] = {"expire", "pexpire", "setex",
					    "psetex", "hexpire", "hpexpire"};
	static const char *const with_options[] = {"set", "getex", "hgetex", "hsetex"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_is(r->argv[0], names[i]))
			return true;
	bool options = false;
	for (size_t i = 0; i < sizeof(with_options) / sizeof(with_options[0]); i++)
		options |= slice_is(r->argv[0], with_options[i]);
	for (uint32_t i = 2; i < r->argc && options; i++)
		if (slice_is(r->argv[i], "ex") || slice_is(r->argv[i], "px"))
			return true;
	return false;
}

/* What isn't for keys, but for the server beside them. */
static bool is_beside_keys(struct slice name)
{
	return slice_is(name, "function") || slice_is(name, "script");
}

/* A request that this server doesn't know, or not as one on keys. */
static bool unknown(struct reading *r)
{
	struct slice name = r->argv[0], key = r->argc > 1 ? r->argv[1] : (struct slice){"", 0};
	char what[NAME_SHOWN_MAX + 64];
	if (is_beside_keys(name)) {
		warn(r, "left out", name);
		return true;
	}
	if (!r->aof->load.skip_unknown)
		return fail(r, r->at, "%.*s is not supported, key '%.*s'", shown(name), name.ptr,
			    shown(key), key.ptr);
	r->aof->load.unknown++;
	snprintf(what, sizeof(what), "left out %.*s, which is not supported, key", shown(name),
		 name.ptr);
	warn(r, what, key);
	return true;
}

/* Has the request done, by the thread that has its slot, or when all others are done. */
static bool give(struct reading *r, size_t len)
{
	struct merge_record record = {.bytes = r->file->bytes.ptr + r->at,
				      .len = len,
				      .db = r->db,
				      .at = r->at};
	const struct command *cmd = command_find(r->argv[0]);
	if (!cmd || (!cmd->container && !key_handlers[cmd->id]))
		return unknown(r);
	cmd = command_resolve(r->argv, r->argc, &r->reply);
	if (!cmd) {
		int shown = (int)(r->reply.len > 3 ? r->reply.len - 3 : 0);
		return fail(r, r->at, "%.*s", shown, r->reply.buf + 1);
	}
	if (!key_handlers[cmd->id])
		return unknown(r);
	int32_t count = command_keys(cmd, r->argv, r->argc, r->positions, r->room);
	record.all = cmd->route == ROUTE_ALL || cmd->route == ROUTE_PATTERNS ||
		     !one_slot(r, count, &record.slot);
	record.time_passes = counts_from_now(r);
	r->aof->commands++;
	return replay_record(r->replay, &record);
}

/* What a request asks for. False: it failed, r->aof->load.error says why, or else the replay's. */
static bool take_request(struct reading *r, size_t len)
{
	int64_t db;
	if (slice_is(r->argv[0], "select") && r->argc == 2) {
		if (!number_parse(r->argv[1], &db) || db < 0 || db >= r->aof->load.ks->databases)
			return fail(r, r->at, "there are more databases in it than here");
		r->db = (uint32_t)db;
	} else if (slice_is(r->argv[0], "multi")) {
		if (r->at >= r->within && !find_exec(r, r->at + len))
			return torn(r, r->at);
	} else if (!slice_is(r->argv[0], "exec")) {
		return give(r, len);
	}
	return true;
}

/* The line or the request at r->at. */
static bool take_next(struct reading *r)
{
	struct slice bytes = r->file->bytes;
	size_t at = r->at;
	if (bytes.ptr[at] == '#') {
		const char *end = memchr(bytes.ptr + at, '\n', bytes.len - at);
		if (!end)
			return torn(r, at);
		r->at = (size_t)(end + 1 - bytes.ptr);
		return true;
	}
	ptrdiff_t taken = read_request(r);
	if (taken == MERGE_PART)
		return torn(r, at);
	if (taken < 0)
		return fail(r, at, "this is no request");
	if (!take_request(r, (size_t)taken))
		return false;
	if (r->at == at)
		r->at += (size_t)taken;
	return true;
}

/* An effect could not be done: its place becomes that of the error. */
static bool fail_replay(struct reading *r)
{
	const char *at = replay_error_at(r->replay);
	return fail(r, at ? (size_t)(at - r->file->bytes.ptr) : r->at, "%s",
		    replay_error(r->replay));
}

static bool read_commands(struct reading *r)
{
	bool good = true;
	while (good && r->at < r->file->bytes.len) {
		good = take_next(r);
		if (r->at - r->told >= DONE_STEP)
			tell_done(r, r->at);
	}
	tell_done(r, r->file->bytes.len);
	if (!replay_drain(r->replay) && r->aof->load.error[0] == '\0')
		good = fail_replay(r);
	return good;
}

/* A file: what of it is an RDB file, as no request begins, then the commands. */
static bool read_file(struct reading *r)
{
	struct aof_load *aof = r->aof;
	r->at = r->told = r->within = 0;
	if (rdb_file_starts(r->file->bytes)) {
		aof->load.drop_expired = false;
		if (!load_files(&aof->load, r->file, 1))
			return false;
		r->at = r->told = r->file->end;
	}
	r->db = 0;
	return read_commands(r);
}

bool aof_load(struct aof_load *aof, struct load_file *files, uint32_t count)
{
	struct reading r = {.aof = aof};
	bool good = true;
	reply_init(&r.reply, 2);
	make_room(&r, ARGS_FIRST);
	r.replay = replay_begin(aof->load.ks, aof->load.threads, aof->load.now);
	for (uint32_t i = 0; i < count && good; i++) {
		r.file = &files[i];
		r.last = i + 1 == count;
		good = read_file(&r);
	}
	replay_end(r.replay);
	reply_deinit(&r.reply);
	mem_free_unsized(r.argv);
	mem_free_unsized(r.positions);
	return good;
}
