/* INFO's sections on the server itself and on what it holds. */
#include "server/info.h"

#include "proto/mem.h"
#include "server/memory.h"
#include "server/totals.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

typedef unsigned long long ull;

#define SECONDS_A_DAY (24 * 3600)

/* --- server --- */

/* However long `bind` is: it may name many addresses that this machine doesn't have. */
static void server_listener_tcp(const struct info *info, int64_t port)
{
	struct config *config = &info->server->config;
	char *words = config_string_dup(config, &config->bind), *rest;
	info_text(info, "listener0:name=tcp");
	for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		info_text(info, ",bind=");
		info_text(info, word);
	}
	info_line(info, ",port=%lld", (long long)port);
	mem_free_unsized(words);
}

static void server_listeners(const struct info *info)
{
	struct config *config = &info->server->config;
	char path[UNIX_PATH_MAX];
	int64_t port = config_int(&config->port);
	if (port != 0)
		server_listener_tcp(info, port);
	config_string_copy(config, &config->unixsocket, path, sizeof(path));
	if (path[0])
		info_line(info, "listener%d:name=unix,bind=%s", port != 0, path);
}

static void server_process(const struct info *info)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = 0;
	info_line(info, "executable:%s", path);
	const char *file = info->server->config.file;
	info_line(info, "config_file:%s", file ? file : "");
}

static void server_clock(const struct info *info)
{
	const struct server *server = info->server;
	int64_t now = clock_now(&server->clock);
	int64_t uptime = (now - server->start_ms) / 1000;
	int64_t hz = config_int(&server->config.hz);
	info_line(info, "server_time_usec:%lld", (long long)clock_wall_us());
	info_line(info, "uptime_in_seconds:%lld", (long long)uptime);
	info_line(info, "uptime_in_days:%lld", (long long)uptime / SECONDS_A_DAY);
	info_line(info, "hz:%lld", (long long)hz);
	info_line(info, "configured_hz:%lld", (long long)hz);
	info_line(info, "lru_clock:%lld", (long long)(now / 1000 & ENTRY_ACCESS_MASK));
}

/* Tells builds of different versions and compilers apart. */
static unsigned long long build_id(void)
{
	static const char text[] = SHERD_VERSION " " REDIS_VERSION " " __VERSION__;
	static const struct hash_seed seed = {0x6275696c64206964, 0x7368657264};
	return hash_bytes(&seed, text, sizeof(text) - 1);
}

void info_server(const struct info *info)
{
	struct server *server = info->server;
	struct utsname name;
	uname(&name);
	info_line(info, "redis_version:%s", REDIS_VERSION);
	info_line(info, "sherd_version:%s", SHERD_VERSION);
	info_text(info, "redis_git_sha1:00000000\r\nredis_git_dirty:0\r\n");
	info_line(info, "redis_build_id:%llx", build_id());
	info_text(info, "redis_mode:standalone\r\n");
	info_line(info, "os:%s %s %s", name.sysname, name.release, name.machine);
	info_line(info, "arch_bits:%zu", sizeof(void *) * 8);
	info_text(info, "monotonic_clock:POSIX clock_gettime\r\nmultiplexing_api:epoll\r\n"
			"atomicvar_api:c11-builtin\r\n");
	info_line(info, "gcc_version:%d.%d.%d", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
	info_line(info, "process_id:%d", (int)getpid());
	info_text(info, "process_supervised:no\r\n");
	info_line(info, "run_id:%s", server->run_id);
	info_line(info, "tcp_port:%lld", (long long)config_int(&server->config.port));
	server_clock(info);
	server_process(info);
	info_text(info, "io_threads_active:0\r\n");
	server_listeners(info);
}

/* --- clients --- */

void info_clients(const struct info *info)
{
	const struct server *server = info->server;
	ull in_max = 0, out_max = 0;
	uint32_t blocked = 0, timeouts = 0;
	int64_t keys = 0;
	for (uint32_t i = 0; i < server->worker_count; i++) {
		const struct worker *worker = &server->workers[i];
		ull in = atomic_load_explicit(&worker->conns_in_max, memory_order_relaxed);
		ull out = atomic_load_explicit(&worker->conns_out_max, memory_order_relaxed);
		in_max = in > in_max ? in : in_max;
		out_max = out > out_max ? out : out_max;
		blocked += atomic_load_explicit(&worker->conns_blocked, memory_order_relaxed);
		timeouts += atomic_load_explicit(&worker->conns_timed, memory_order_relaxed);
		keys += atomic_load_explicit(&worker->shard->blocking_keys, memory_order_relaxed);
	}
	info_line(info, "connected_clients:%u", server_conn_count(server));
	info_text(info, "cluster_connections:0\r\n");
	info_line(info, "maxclients:%lld", (long long)config_int(&server->config.maxclients));
	info_line(info, "client_recent_max_input_buffer:%llu", in_max);
	info_line(info, "client_recent_max_output_buffer:%llu", out_max);
	info_line(info, "blocked_clients:%u", blocked);
	info_text(info, "tracking_clients:0\r\npubsub_clients:0\r\nwatching_clients:0\r\n");
	info_line(info, "clients_in_timeout_table:%u", timeouts);
	info_text(info, "total_watched_keys:0\r\n");
	info_line(info, "total_blocking_keys:%lld", (long long)keys);
	info_text(info, "total_blocking_keys_on_nokey:0\r\n");
}

/* --- memory --- */

static const char memory_scripts[] =
	"used_memory_lua:0\r\nused_memory_vm_eval:0\r\nused_memory_lua_human:0B\r\n"
	"used_memory_scripts_eval:0\r\nnumber_of_cached_scripts:0\r\nnumber_of_functions:0\r\n"
	"number_of_libraries:0\r\nused_memory_vm_functions:0\r\nused_memory_vm_total:0\r\n"
	"used_memory_vm_total_human:0B\r\nused_memory_functions:0\r\nused_memory_scripts:0\r\n"
	"used_memory_scripts_human:0B\r\n";
static const char memory_others[] = "mem_not_counted_for_evict:0\r\nmem_replication_backlog:0\r\n"
				    "mem_total_replication_buffers:0\r\nmem_clients_slaves:0\r\n";

static void memory_ratio_lines(const struct info *info, const char *ratio, const char *bytes,
			       uint64_t a, uint64_t b)
{
	info_line(info, "%s:%.2f", ratio, memory_ratio(a, b));
	info_line(info, "%s:%lld", bytes, (long long)a - (long long)b);
}

static void memory_used(const struct info *info, const struct memory_facts *m)
{
	uint64_t net = m->used > m->startup ? m->used - m->startup : 0;
	info_bytes(info, "used_memory", m->used);
	info_bytes(info, "used_memory_rss", m->rss);
	info_bytes(info, "used_memory_peak", m->peak);
	info_line(info, "used_memory_peak_perc:%.2f%%", memory_ratio(m->used, m->peak) * 100);
	info_line(info, "used_memory_overhead:%llu", (ull)m->overhead);
	info_line(info, "used_memory_startup:%llu", (ull)m->startup);
	info_line(info, "used_memory_dataset:%llu", (ull)m->dataset);
	info_line(info, "used_memory_dataset_perc:%.2f%%", memory_ratio(m->dataset, net) * 100);
	info_line(info, "allocator_allocated:%llu", (ull)m->used);
	info_line(info, "allocator_active:%llu", (ull)m->active);
	info_line(info, "allocator_resident:%llu", (ull)m->resident);
}

static void memory_limit(const struct info *info)
{
	struct reply policy;
	reply_init(&policy, 2);
	config_format(&info->server->config, config_find(SLICE("maxmemory-policy")), &policy);
	info_bytes(info, "maxmemory", (uint64_t)config_int(&info->server->config.maxmemory));
	info_line(info, "maxmemory_policy:%.*s", (int)policy.len, policy.buf);
	reply_deinit(&policy);
}

void info_memory(const struct info *info)
{
	struct memory_facts m;
	struct totals t;
	memory_read(info->server, &m);
	totals_read(info->server, &t);
	memory_used(info, &m);
	info_bytes(info, "total_system_memory",
		   (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
	info_text(info, memory_scripts);
	memory_limit(info);
	memory_ratio_lines(info, "allocator_frag_ratio", "allocator_frag_bytes", m.active, m.used);
	memory_ratio_lines(info, "allocator_rss_ratio", "allocator_rss_bytes", m.resident,
			   m.active);
	memory_ratio_lines(info, "rss_overhead_ratio", "rss_overhead_bytes", m.rss, m.resident);
	memory_ratio_lines(info, "mem_fragmentation_ratio", "mem_fragmentation_bytes", m.rss,
			   m.used);
	info_text(info, memory_others);
	info_line(info, "mem_clients_normal:%llu", (ull)m.clients);
	info_line(info, "mem_tables:%llu", (ull)m.tables);
	info_text(info, "mem_cluster_links:0\r\nmem_aof_buffer:0\r\n");
	info_line(info, "mem_allocator:%s", mem_name());
	info_text(info, "active_defrag_running:0\r\n");
	info_line(info, "lazyfree_pending_objects:%llu", (ull)t.flushed);
	info_line(info, "lazyfreed_objects:%llu", (ull)t.flushed_freed);
}

/* --- what there isn't --- */

/* The history of changes begins with the process: its id is the run's. */
void info_replication(const struct info *info)
{
	info_text(info, "role:master\r\nconnected_slaves:0\r\n"
			"master_failover_state:no-failover\r\n");
	info_line(info, "master_replid:%s", info->server->run_id);
	info_text(info, "master_replid2:0000000000000000000000000000000000000000\r\n"
			"master_repl_offset:0\r\nsecond_repl_offset:-1\r\nrepl_backlog_active:0\r\n"
			"repl_backlog_size:0\r\nrepl_backlog_first_byte_offset:0\r\n"
			"repl_backlog_histlen:0\r\n");
}

void info_modules(const struct info *info)
{
	/* none */
}

void info_cluster(const struct info *info)
{
	info_text(info, "cluster_enabled:0\r\n");
}

/* --- cpu --- */

static void cpu_lines(const struct info *info, const char *suffix, const struct rusage *usage)
{
	info_line(info, "used_cpu_sys%s:%ld.%06ld", suffix, (long)usage->ru_stime.tv_sec,
		  (long)usage->ru_stime.tv_usec);
	info_line(info, "used_cpu_user%s:%ld.%06ld", suffix, (long)usage->ru_utime.tv_sec,
		  (long)usage->ru_utime.tv_usec);
}

/* The main thread's time is as of its last sample. */
void info_cpu(const struct info *info)
{
	const struct samples *samples = &info->server->samples;
	int64_t sys_us = atomic_load_explicit(&samples->main_sys_us, memory_order_relaxed);
	int64_t user_us = atomic_load_explicit(&samples->main_user_us, memory_order_relaxed);
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	cpu_lines(info, "", &usage);
	getrusage(RUSAGE_CHILDREN, &usage);
	cpu_lines(info, "_children", &usage);
	usage.ru_stime = (struct timeval){sys_us / 1000000, sys_us % 1000000};
	usage.ru_utime = (struct timeval){user_us / 1000000, user_us % 1000000};
	cpu_lines(info, "_main_thread", &usage);
}

/* --- keyspace --- */

/* The average TTL is an estimate, as in Redis: that of so many keys, from some slot on ... */
#define TTL_SAMPLES 64
/*
 * ... or fewer, where few of the keys expire: no more than these are looked at, about a
 * millisecond.
 */
#define TTL_VISITS 8192

struct ttl_sample {
	int64_t now;
	int64_t mean; /* ms */
	int64_t count;
	uint32_t visits;
};

static bool ttl_sampled(const struct ttl_sample *sample)
{
	return sample->count >= TTL_SAMPLES || sample->visits >= TTL_VISITS;
}

static void ttl_visit(void *arg, struct entry *e)
{
	struct ttl_sample *sample = arg;
	int64_t expire = entry_expire(e);
	sample->visits++;
	if (expire == EXPIRE_NEVER || expire <= sample->now)
		return;
	sample->count++;
	sample->mean += (expire - sample->now - sample->mean) / sample->count;
}

static int64_t average_ttl(const struct info *info, uint32_t db)
{
	const struct keyspace *ks = info->server->ks;
	struct ttl_sample sample = {.now = clock_now(&info->server->clock)};
	uint64_t first = shard_random(info->conn->worker->shard);
	for (uint32_t i = 0; i < SLOT_COUNT && !ttl_sampled(&sample); i++) {
		const struct slot *slot = &ks->slots[(first + i) % SLOT_COUNT];
		if (slot_expire_earliest(slot) == EXPIRE_NEVER)
			continue;
		const struct table *table = slot_table(slot, db);
		uint64_t at = table ? 0 : TABLE_END;
		while (at != TABLE_END && !ttl_sampled(&sample))
			at = table_scan(table, at, ttl_visit, &sample);
	}
	return sample.mean;
}

void info_keyspace(const struct info *info)
{
	const struct keyspace *ks = info->server->ks;
	for (uint32_t db = 0; db < ks->databases; db++) {
		int64_t keys = keyspace_keys(ks, db), expires = keyspace_expires(ks, db);
		if (keys > 0 || expires > 0)
			info_line(info, "db%u:keys=%lld,expires=%lld,avg_ttl=%lld", db,
				  (long long)keys, (long long)expires,
				  (long long)(expires > 0 ? average_ttl(info, db) : 0));
	}
}
