/* MEMORY STATS, PURGE, DOCTOR, HELP. (MEMORY USAGE works on a key: shard/cmd_object.c.) */
#include "proto/mem.h"
#include "server/handlers.h"
#include "server/help.h"
#include "server/memory.h"

/* Below this there is nothing that would need advice. */
#define DOCTOR_USED_MIN (5 * 1024 * 1024)
/* What DOCTOR speaks of, as in Redis: the peak above 1.5 times what is used now; ... */
#define DOCTOR_PEAK_RATIO 1.5
/* ... pages half empty, or held in reserve, above these ratios and that many bytes. */
#define DOCTOR_FRAGMENTATION_RATIO 1.1
#define DOCTOR_RSS_RATIO           1.1
#define DOCTOR_BYTES_MIN           (10 * 1024 * 1024)

/* --- STATS --- */

static void stat_int(struct reply *r, const char *name, uint64_t n)
{
	reply_bulk_text(r, name);
	reply_int(r, (int64_t)n);
}

static void stat_double(struct reply *r, const char *name, double d)
{
	reply_bulk_text(r, name);
	reply_double(r, d);
}

/* A ratio and what it amounts to, of which the first is the larger as a rule. */
static void stat_ratio(struct reply *r, const char *ratio, const char *bytes, uint64_t a,
		       uint64_t b)
{
	stat_double(r, ratio, memory_ratio(a, b));
	reply_bulk_text(r, bytes);
	reply_int(r, (int64_t)a - (int64_t)b);
}

/* One map for each database that holds keys. Returns how many. */
static size_t stat_databases(struct reply *r, const struct keyspace *ks)
{
	size_t n = 0;
	for (uint32_t db = 0; db < ks->databases; db++) {
		if (keyspace_keys(ks, db) <= 0)
			continue;
		reply_bulkf(r, "db.%u", db);
		reply_map(r, 2);
		stat_int(r, "overhead.hashtable.main", memory_tables(ks, db));
		/* expiries stand in the entries */
		stat_int(r, "overhead.hashtable.expires", 0);
		n++;
	}
	return n;
}

/*
 * Fields of what doesn't exist here (replicas, cluster, scripts) are 0, as in a Redis that doesn't
 * use it.
 */
void cmd_memory_stats(struct conn *conn, struct ctx *ctx)
{
	struct reply *r = ctx->reply;
	struct memory_facts m;
	memory_read(conn->worker->server, &m);
	size_t header = reply_later(r);
	stat_int(r, "peak.allocated", m.peak);
	stat_int(r, "total.allocated", m.used);
	stat_int(r, "startup.allocated", m.startup);
	stat_int(r, "replication.backlog", 0);
	stat_int(r, "clients.slaves", 0);
	stat_int(r, "clients.normal", m.clients);
	stat_int(r, "cluster.links", 0);
	stat_int(r, "aof.buffer", 0);
	stat_int(r, "lua.caches", 0);
	stat_int(r, "functions.caches", 0);
	size_t databases = stat_databases(r, ctx->ks);
	uint64_t net = m.used > m.startup ? m.used - m.startup : 0;
	stat_int(r, "overhead.total", m.overhead);
	stat_int(r, "keys.count", m.keys);
	stat_int(r, "keys.bytes-per-key", m.keys ? net / m.keys : 0);
	stat_int(r, "dataset.bytes", m.dataset);
	stat_double(r, "dataset.percentage", memory_ratio(m.dataset, net) * 100);
	stat_double(r, "peak.percentage", memory_ratio(m.used, m.peak) * 100);
	stat_int(r, "allocator.allocated", m.used);
	stat_int(r, "allocator.active", m.active);
	stat_int(r, "allocator.resident", m.resident);
	stat_ratio(r, "allocator-fragmentation.ratio", "allocator-fragmentation.bytes", m.active,
		   m.used);
	stat_ratio(r, "allocator-rss.ratio", "allocator-rss.bytes", m.resident, m.active);
	stat_ratio(r, "rss-overhead.ratio", "rss-overhead.bytes", m.rss, m.resident);
	stat_ratio(r, "fragmentation", "fragmentation.bytes", m.rss, m.used);
	reply_map_at(r, header, 27 + databases);
}

void cmd_memory_purge(struct conn *conn, struct ctx *ctx)
{
	mem_purge();
	reply_ok(ctx->reply);
}

/* --- DOCTOR --- */

static bool much_more(uint64_t a, uint64_t b, double ratio)
{
	return memory_ratio(a, b) > ratio && a - b > DOCTOR_BYTES_MIN;
}

static void say(struct reply *out, const char *text)
{
	reply_raw(out, text, strlen(text));
}

/* One piece of advice for each thing that is out of the ordinary. */
static void advise(struct reply *out, const struct memory_facts *m)
{
	if (memory_ratio(m->peak, m->used) > DOCTOR_PEAK_RATIO)
		say(out, " * Once much more memory was in use than now. What the "
			 "allocator kept of it makes the fragmentation look worse than "
			 "it is; MEMORY PURGE gives it back.\n");
	if (much_more(m->active, m->used, DOCTOR_FRAGMENTATION_RATIO))
		say(out, " * Many of the allocator's pages are partly empty, mostly "
			 "after many keys of one size were deleted. New keys will fill "
			 "them again.\n");
	if (much_more(m->resident, m->active, DOCTOR_RSS_RATIO))
		say(out, " * The allocator holds many empty pages. It returns them by "
			 "and by; MEMORY PURGE does it now.\n");
	if (m->clients > m->dataset && m->clients > DOCTOR_BYTES_MIN)
		say(out, " * Connections take more memory than the data. See CLIENT LIST "
			 "for those with large buffers.\n");
}

void cmd_memory_doctor(struct conn *conn, struct ctx *ctx)
{
	struct memory_facts m;
	struct reply report;
	memory_read(conn->worker->server, &m);
	reply_init(&report, 2);
	if (m.used < DOCTOR_USED_MIN)
		say(&report, "So little memory is in use that there is nothing to say "
			     "about it.\n");
	else
		advise(&report, &m);
	if (report.len == 0)
		say(&report, "Memory is in order: nothing stands out.\n");
	reply_verbatim(ctx->reply, "txt", (struct slice){report.buf, report.len});
	reply_deinit(&report);
}

void cmd_memory_help(struct conn *conn, struct ctx *ctx)
{
	static const char *const lines[] = {
		"DOCTOR",
		"    Advice about the use of memory.",
		"PURGE",
		"    Have the allocator give back what it holds in reserve.",
		"STATS",
		"    What memory is used for.",
		"USAGE <key> [SAMPLES <count>]",
		"    The bytes that the key and its value take. Values of many elements are estimated",
		"    from so many of them (0: all).",
	};
	help_reply(ctx, lines, sizeof(lines) / sizeof(lines[0]));
}
