/*
 * Loading RDB files (load.h).
 *
 * A batch goes through three passes, so that what one pass fetches has come from memory when the
 * next needs it: hashes (fetching slots), entries (fetching tables), tables.
 */
#include "persist/load.h"

#include "persist/helper.h"
#include "persist/rdb_file.h"
#include "proto/crc16.h"
#include "proto/mem.h"
#include "shard/execute.h"
#include "shard/fill.h"
#include "shard/value.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * Keys in a batch, and bytes of values after which it is full: what stays in the caches meanwhile.
 */
#define BATCH_KEYS  256
#define BATCH_BYTES (256u << 10)
/*
 * Names that don't stand in the file (numbers, packed ones) are kept with the batch while there is
 * room.
 */
#define BATCH_NAMES (16u << 10)
/*
 * What a key takes in a file at least, when a file's word on how many there are is to be believed.
 */
#define KEY_BYTES_MIN 16
/* As much of a key as messages show. */
#define KEY_SHOWN_MAX 128

/* A file and who reads it. */
struct source {
	struct load_file *file;
	struct loading *loading;
	bool begun; /* by some thread; under the loading's mutex */
	_Atomic bool ended;
	pthread_mutex_t mutex; /* guards what follows */
	struct rdb_reader reader;
	uint32_t first, slots; /* that it has keys of; stand once a size was told */
	uint64_t keys_left;    /* that may still be believed in */
	uint64_t expected;     /* keys of each of the slots in the database ... */
	uint32_t expected_db;  /* ... with this number */
	bool sized;            /* the size of some database was told */
};

struct item {
	struct fill fill;
	struct key key;
	struct rdb_key found;
};

struct loader {
	struct loading *loading;
	struct helper helper;
	pthread_t thread;
	struct source *source; /* being read by this one */
	uint32_t count;
	uint32_t names_len;
	char *name_alone; /* a name too long for `names`, the last one of the batch */
	uint64_t expired;
	struct item items[BATCH_KEYS];
	char names[BATCH_NAMES];
};

struct loading {
	struct load *load;
	struct source *sources;
	uint32_t count;
	_Atomic bool failed;
	pthread_mutex_t mutex; /* guards results, error, warn, sources' `begun` */
};

/* --- telling --- */

/* "dump.rdb at byte 17: what is wrong, key 'name'" */
static void describe(char text[LOAD_TEXT_MAX], const struct source *source, uint64_t offset,
		     const char *what, const struct slice *name)
{
	int len = snprintf(text, LOAD_TEXT_MAX, "%s at byte %llu: %s", source->file->name,
			   (unsigned long long)offset, what);
	if (!name || len >= LOAD_TEXT_MAX)
		return;
	bool cut = name->len > KEY_SHOWN_MAX;
	snprintf(text + len, (size_t)(LOAD_TEXT_MAX - len), ", key '%.*s'%s",
		 (int)(cut ? KEY_SHOWN_MAX : name->len), name->ptr, cut ? "..." : "");
}

/* The first error stays. */
static void fail(const struct source *source, uint64_t offset, const char *what,
		 const struct slice *name)
{
	struct loading *loading = source->loading;
	pthread_mutex_lock(&loading->mutex);
	if (!atomic_load(&loading->failed))
		describe(loading->load->error, source, offset, what, name);
	atomic_store(&loading->failed, true);
	pthread_mutex_unlock(&loading->mutex);
}

/* Something is left out: it counts, and who wants to know is told. */
static void leave_out(const struct source *source, uint64_t *counter, uint64_t offset,
		      const char *what, const struct slice *name)
{
	struct loading *loading = source->loading;
	char text[LOAD_TEXT_MAX];
	describe(text, source, offset, what, name);
	pthread_mutex_lock(&loading->mutex);
	if (counter)
		++*counter;
	if (loading->load->warn)
		loading->load->warn(loading->load->arg, text);
	pthread_mutex_unlock(&loading->mutex);
}

/* --- what a file says beside its keys: whoever has the reader --- */

/* "sherd-slots": of a part of a snapshot. In front of all sizes. */
static void see_aux(void *arg, struct slice name, struct slice value)
{
	struct source *source = arg;
	const char *dash = memchr(value.ptr, '-', value.len);
	uint64_t first, last;
	if (!slice_equal(name, SLICE("sherd-slots")) || !dash || source->sized)
		return;
	size_t at = (size_t)(dash - value.ptr);
	if (number_parse_unsigned((struct slice){value.ptr, at}, &first) &&
	    number_parse_unsigned((struct slice){dash + 1, value.len - at - 1}, &last) &&
	    first <= last && last < SLOT_COUNT) {
		source->first = (uint32_t)first;
		source->slots = (uint32_t)(last - first + 1);
	}
}

static void see_database(void *arg, uint32_t db, uint64_t keys, uint64_t expires)
{
	struct source *source = arg;
	if (keys > source->keys_left)
		keys = source->keys_left;
	source->keys_left -= keys;
	source->expected = keys / source->slots;
	source->expected_db = db;
	source->sized = true;
}

static void see_left_out(void *arg, const char *what, uint64_t offset)
{
	char text[LOAD_TEXT_MAX / 2];
	snprintf(text, sizeof(text), "left out %s", what);
	leave_out(arg, NULL, offset, text, NULL);
}

static const struct rdb_file_events events = {
	.aux = see_aux,
	.database = see_database,
	.left_out = see_left_out,
};

/* --- reading a batch --- */

/* The name where it lasts as long as the batch does. False: the batch must end with this key. */
static bool keep_name(struct loader *loader, struct slice bytes, struct slice *name)
{
	if (name->ptr >= bytes.ptr && name->ptr < bytes.ptr + bytes.len)
		return true;
	bool fits = name->len <= BATCH_NAMES - loader->names_len;
	char *room = loader->names + loader->names_len;
	if (fits)
		loader->names_len += (uint32_t)name->len;
	else
		room = loader->name_alone = mem_alloc(name->len);
	memcpy(room, name->ptr, name->len);
	name->ptr = room;
	return fits;
}

/* The next keys of its file; the file has ended when there are no more. */
static void read_keys(struct loader *loader, struct source *source)
{
	struct rdb_reader *reader = &source->reader;
	size_t bytes = 0;
	for (bool more = true; more && loader->count < BATCH_KEYS && bytes < BATCH_BYTES;) {
		struct item *item = &loader->items[loader->count];
		if (!rdb_reader_next(reader, &item->found)) {
			atomic_store(&source->ended, true);
			return;
		}
		item->fill.expected =
			item->found.db == source->expected_db ? source->expected : 0;
		bytes += item->found.value.len;
		loader->count++;
		more = keep_name(loader, reader->bytes, &item->found.name);
	}
}

/* What a file says that isn't whole. */
static void end_broken(struct source *source)
{
	const struct rdb_reader *reader = &source->reader;
	char version[LOAD_TEXT_MAX];
	snprintf(
		version, sizeof(version),
		"RDB version %u of %s, which is not known here: of Redis' versions 1 to %d are, of "
		"Valkey's %d",
		reader->version, reader->valkey ? "Valkey" : "Redis", RDB_VERSION_READ_MAX,
		RDB_VERSION_VALKEY);
	fail(source, rdb_reader_offset(reader),
	     reader->in.error == rdb_error_version ? version : reader->in.error,
	     reader->in_value ? &reader->name.text : NULL);
}

/* So far the file is read, from where it was before. */
static void advance(struct source *source, uint64_t before)
{
	_Atomic uint64_t *done = source->loading->load->done;
	source->file->end = rdb_reader_offset(&source->reader);
	if (done && source->file->end > before)
		atomic_fetch_add(done, source->file->end - before);
}

static void read_batch(struct loader *loader)
{
	struct source *source = loader->source;
	mem_free_unsized(loader->name_alone);
	loader->name_alone = NULL;
	loader->count = 0;
	loader->names_len = 0;
	pthread_mutex_lock(&source->mutex);
	if (!atomic_load(&source->ended)) {
		uint64_t before = rdb_reader_offset(&source->reader);
		read_keys(loader, source);
		advance(source, before);
		if (source->reader.in.error)
			end_broken(source);
	}
	pthread_mutex_unlock(&source->mutex);
}

/* --- storing a batch --- */

/*
 * Room is made in the slots that the file is about: in others it would be made of the same keys
 * once more.
 */
static bool is_expected(const struct source *source, const struct slot *slot)
{
	return slot->index >= source->first && slot->index - source->first < source->slots;
}

static void hash_all(struct loader *loader)
{
	for (uint32_t i = 0; i < loader->count; i++) {
		struct item *item = &loader->items[i];
		key_prepare(&item->key, loader->loading->load->ks, item->found.name);
		item->fill.slot = item->key.slot;
		item->fill.hash = item->key.hash;
		item->fill.db = item->found.db;
		if (item->fill.expected > 0 && !is_expected(loader->source, item->fill.slot))
			item->fill.expected = 0;
		fill_prefetch_slot(&item->fill);
	}
}

/* Of a key for which no entry came out: it is left out, or all ends here. */
static void decode_failed(struct loader *loader, const struct item *item, const char *error)
{
	struct load *load = loader->loading->load;
	const struct slice *name = &item->found.name;
	if (error == rdb_error_empty)
		leave_out(loader->source, &load->empty, item->found.offset,
			  "left out a collection without elements", name);
	else if (error == rdb_error_unsupported && load->skip_unknown)
		leave_out(loader->source, &load->unknown, item->found.offset,
			  "left out a value of a type that is not supported", name);
	else
		fail(loader->source, item->found.offset, error, name);
}

static struct entry *decode(struct loader *loader, struct item *item)
{
	const struct rdb_key *found = &item->found;
	struct rdb_in in = rdb_in_of(found->value, UINT32_MAX);
	struct ctx ctx = {
		.db = found->db,
		.keys = &item->key,
		.key_count = 1,
		.ks = loader->loading->load->ks,
		.shard = loader->helper.shard,
		.holder = true,
	};
	struct entry *e = rdb_decode(&ctx, 0, found->type, found->expire, &in);
	if (!e)
		decode_failed(loader, item, in.error);
	else if (found->idle_seconds >= 0 || found->frequency >= 0)
		entry_set_access(e, ctx_access_past(&ctx, found->idle_seconds, found->frequency));
	return e;
}

/* NULL: it isn't to be put. */
static struct entry *make_entry(struct loader *loader, struct item *item)
{
	struct load *load = loader->loading->load;
	if (item->found.db >= load->ks->databases) {
		fail(loader->source, item->found.offset, "there are more databases in it than here",
		     &item->found.name);
		return NULL;
	}
	struct entry *e = decode(loader, item);
	if (!e || !load->drop_expired || !value_expired(e, load->now))
		return e;
	entry_free(e);
	loader->expired++;
	return NULL;
}

static void make_all(struct loader *loader)
{
	for (uint32_t i = 0; i < loader->count; i++) {
		struct item *item = &loader->items[i];
		item->fill.entry = make_entry(loader, item);
		if (item->fill.entry)
			fill_prefetch_table(&item->fill);
	}
}

static void put_all(struct loader *loader)
{
	for (uint32_t i = 0; i < loader->count; i++) {
		struct item *item = &loader->items[i];
		if (!item->fill.entry || fill_put(loader->helper.shard, &item->fill))
			continue;
		entry_free(item->fill.entry);
		fail(loader->source, item->found.offset, "a key that is there twice",
		     &item->found.name);
	}
}

/* --- threads --- */

/* A file that nobody has begun, or else one that isn't at its end; NULL: there is none. */
static struct source *choose(struct loading *loading)
{
	struct source *chosen = NULL;
	pthread_mutex_lock(&loading->mutex);
	for (uint32_t i = 0; i < loading->count && !(chosen && !chosen->begun); i++) {
		struct source *source = &loading->sources[i];
		if (!atomic_load(&source->ended) && (!chosen || !source->begun))
			chosen = source;
	}
	if (chosen)
		chosen->begun = true;
	pthread_mutex_unlock(&loading->mutex);
	return chosen;
}

static void *loader_main(void *arg)
{
	struct loader *loader = arg;
	struct loading *loading = loader->loading;
	while (!atomic_load_explicit(&loading->failed, memory_order_relaxed) &&
	       (loader->source = choose(loading))) {
		while (!atomic_load(&loader->source->ended) &&
		       !atomic_load_explicit(&loading->failed, memory_order_relaxed)) {
			read_batch(loader);
			hash_all(loader);
			make_all(loader);
			put_all(loader);
			helper_collect(&loader->helper);
		}
	}
	return NULL;
}

static struct loader *loader_new(struct loading *loading, uint32_t i)
{
	struct loader *loader = mem_alloc(sizeof(*loader));
	loader->loading = loading;
	loader->name_alone = NULL;
	loader->expired = 0;
	helper_init(&loader->helper, loading->load->ks, i, loading->load->now);
	return loader;
}

static void loader_free(struct loader *loader)
{
	struct load *load = loader->loading->load;
	for (uint32_t db = 0; db < load->ks->databases; db++)
		load->keys += (uint64_t)loader->helper.shard->counts[db].keys;
	load->expired += loader->expired;
	helper_deinit(&loader->helper);
	mem_free_unsized(loader->name_alone);
	mem_free(loader, sizeof(*loader));
}

static void source_init(struct source *source, struct loading *loading, struct load_file *file)
{
	*source = (struct source){.file = file, .loading = loading, .slots = SLOT_COUNT};
	source->keys_left = file->bytes.len / KEY_BYTES_MIN;
	pthread_mutex_init(&source->mutex, NULL);
	if (!rdb_reader_begin(&source->reader, file->bytes, &events, source))
		end_broken(source);
	advance(source, 0);
}

/* This thread is the last of them. */
static void load_all(struct loading *loading)
{
	uint32_t last = loading->load->threads - 1;
	struct loader **loaders = mem_alloc((last + 1) * sizeof(*loaders));
	for (uint32_t i = 0; i <= last; i++)
		loaders[i] = loader_new(loading, i);
	for (uint32_t i = 0; i < last; i++)
		pthread_create(&loaders[i]->thread, NULL, loader_main, loaders[i]);
	loader_main(loaders[last]);
	for (uint32_t i = 0; i < last; i++)
		pthread_join(loaders[i]->thread, NULL);
	for (uint32_t i = 0; i <= last; i++)
		loader_free(loaders[i]);
	mem_free(loaders, (last + 1) * sizeof(*loaders));
}

bool load_files(struct load *load, struct load_file *files, uint32_t count)
{
	struct loading loading = {.load = load, .count = count};
	loading.sources = mem_alloc(count * sizeof(*loading.sources));
	pthread_mutex_init(&loading.mutex, NULL);
	for (uint32_t i = 0; i < count; i++)
		source_init(&loading.sources[i], &loading, &files[i]);
	if (!atomic_load(&loading.failed))
		load_all(&loading);
	for (uint32_t i = 0; i < count; i++) {
		rdb_reader_deinit(&loading.sources[i].reader);
		pthread_mutex_destroy(&loading.sources[i].mutex);
	}
	pthread_mutex_destroy(&loading.mutex);
	mem_free(loading.sources, count * sizeof(*loading.sources));
	return !atomic_load(&loading.failed);
}
