/* What memory is used for (memory.h). */
#include "server/memory.h"

#include "proto/mem.h"

#include <stdio.h>
#include <unistd.h>

/* Resident pages of the process. */
static uint64_t rss_read(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	if (!file)
		return 0;
	if (fscanf(file, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void memory_look(struct server *server)
{
	uint64_t max = (uint64_t)config_int(&server->config.maxmemory);
	struct mem_stats stats = {0};
	if (max > 0)
		mem_stats_read(&stats);
	bool above = max > 0 && stats.allocated > max + snapshotter_kept(server);
	if (atomic_load_explicit(&server->memory_above, memory_order_relaxed) != above)
		atomic_store(&server->memory_above, above);
}

uint64_t memory_tables(const struct keyspace *ks, uint32_t db)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < SLOT_COUNT; i++) {
		const struct table *table = slot_table(&ks->slots[i], db);
		if (table)
			sum += table_memory(table);
	}
	return sum;
}

/* A database without keys may have tables about to shrink: nothing to speak of. */
static void add_databases(const struct keyspace *ks, struct memory_facts *out)
{
	for (uint32_t db = 0; db < ks->databases; db++) {
		int64_t keys = keyspace_keys(ks, db);
		if (keys <= 0)
			continue;
		out->keys += (uint64_t)keys;
		out->tables += memory_tables(ks, db);
	}
}

void memory_read(struct server *server, struct memory_facts *out)
{
	struct mem_stats stats;
	mem_stats_read(&stats);
	*out = (struct memory_facts){.used = stats.allocated,
				     .peak = sample_memory(server, stats.allocated),
				     .startup = server->samples.memory_startup,
				     .active = stats.active,
				     .resident = stats.resident,
				     .rss = rss_read()};
	for (uint32_t i = 0; i < server->worker_count; i++)
		out->clients +=
			atomic_load_explicit(&server->workers[i].conns_bytes, memory_order_relaxed);
	add_databases(server->ks, out);
	out->overhead = out->startup + out->clients + out->tables;
	out->dataset = out->used > out->overhead ? out->used - out->overhead : 0;
}
