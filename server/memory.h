/*
 * What memory is used for: the facts behind INFO memory and MEMORY STATS. All in bytes. And whether
 * it is more than maxmemory: then commands that may need more are refused, with Redis' policy
 * "noeviction".
 */
#ifndef SERVER_MEMORY_H
#define SERVER_MEMORY_H

#include "server/server.h"

struct memory_facts {
	uint64_t used; /* handed out by the allocator */
	uint64_t peak;
	uint64_t startup;
	uint64_t active;   /* the allocator's pages that hold something */
	uint64_t resident; /* all of the allocator's pages */
	uint64_t rss;      /* the process' */
	uint64_t
		clients; /* connections with their buffers, as of the last time that workers looked */
	uint64_t tables;   /* of all databases */
	uint64_t overhead; /* all but keys and values: startup + clients + tables */
	uint64_t dataset;  /* the rest */
	uint64_t keys;
};

/*
 * With a maxmemory workers ask the allocator so often: some 10 us each time. What is written
 * meanwhile may go beyond the limit.
 */
#define MEMORY_LOOK_MS 10

/*
 * Brings server->memory_above up to date, where it has a limit. What a snapshot keeps does not
 * count. Any thread.
 */
void memory_look(struct server *server);

/* The same, unless somebody has looked just now. */
static inline void memory_follow(struct server *server, int64_t now)
{
	if (config_int(&server->config.maxmemory) == 0)
		return;
	int64_t looked = atomic_load_explicit(&server->memory_looked, memory_order_relaxed);
	if (now - looked < MEMORY_LOOK_MS && now >= looked)
		return;
	if (atomic_compare_exchange_strong(&server->memory_looked, &looked, now))
		memory_look(server);
}

/*
 * Looks at each slot's tables: some 0.2 ms. A worker's thread, RCU online.
 */
void memory_read(struct server *server, struct memory_facts *out);

/* Bytes of the tables of one database. Likewise. */
uint64_t memory_tables(const struct keyspace *ks, uint32_t db);

/* a / b, 0 when there is no b. */
static inline double memory_ratio(uint64_t a, uint64_t b)
{
	return b ? (double)a / (double)b : 0;
}

#endif
