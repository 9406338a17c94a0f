/* Growth (growth.h). */
#include "server/growth.h"

#include "server/log.h"
#include "server/server.h"

#include <sys/stat.h>

/* What a missing file would take, nobody will load. */
static uint64_t item_bytes(int dir, const struct manifest_item *item)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < item->files; i++) {
		char name[MANIFEST_FILE_MAX];
		struct stat file;
		manifest_file(item, i, name);
		if (fstatat(dir, name, &file, 0) == 0)
			bytes += (uint64_t)file.st_size;
	}
	return bytes;
}

void growth_loaded(struct server *server)
{
	const struct persistence *persistence = &server->persistence;
	const struct manifest *manifest = &persistence->manifest;
	struct growth *growth = &server->growth;
	uint64_t kept = 0, base = 0;
	for (uint32_t i = manifest_start(manifest); i < manifest->count; i++) {
		uint64_t bytes = item_bytes(persistence->dir, &manifest->items[i]);
		kept += bytes;
		if (manifest->items[i].kind == MANIFEST_SNAPSHOT)
			base = bytes;
	}
	atomic_store(&growth->kept, kept);
	atomic_store(&growth->base, base);
}

static uint64_t appended(const struct server *server)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < server->worker_count; i++)
		bytes += atomic_load(&server->ks->shards[i]->journal.appended);
	return bytes;
}

/* What all journals had appended when the generation of now began. */
static uint64_t appended_before(const struct server *server)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < server->worker_count; i++)
		bytes += atomic_load(&server->ks->shards[i]->journal.segment_start);
	return bytes;
}

void growth_saved(struct server *server, uint64_t bytes, bool increment)
{
	struct growth *growth = &server->growth;
	if (increment) {
		atomic_fetch_add(&growth->kept, bytes);
		return;
	}
	atomic_store(&growth->from,
		     flusher_off(&server->flusher) ? appended(server) : appended_before(server));
	atomic_store(&growth->kept, bytes);
	atomic_store(&growth->base, growth_size(server));
}

uint64_t growth_size(const struct server *server)
{
	uint64_t from = atomic_load(&server->growth.from);
	return atomic_load(&server->growth.kept) + appended(server) - from;
}

bool growth_due(const struct server *server)
{
	int64_t percent = config_int(&server->config.auto_aof_rewrite_percentage);
	uint64_t least = (uint64_t)config_int(&server->config.auto_aof_rewrite_min_size);
	uint64_t size = growth_size(server), base = atomic_load(&server->growth.base);
	if (percent == 0 || size <= least || flusher_off(&server->flusher) ||
	    !atomic_load(&server->flusher.listed))
		return false;
	int64_t grown = (int64_t)(size * 100 / (base ? base : 1)) - 100;
	if (grown < percent)
		return false;
	log_write(LOG_NOTICE, "Starting automatic rewriting of AOF on %lld%% growth",
		  (long long)grown);
	return true;
}
