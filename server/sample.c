/* Samples of the workers' counters (sample.h). */
#include "server/sample.h"

#include "proto/mem.h"
#include "server/server.h"
#include "server/totals.h"

#include <sys/resource.h>

uint64_t sample_memory(struct server *server, uint64_t used)
{
	_Atomic uint64_t *peak = &server->samples.memory_peak;
	uint64_t known = atomic_load_explicit(peak, memory_order_relaxed);
	while (used > known &&
	       !atomic_compare_exchange_weak_explicit(peak, &known, used, memory_order_relaxed,
						      memory_order_relaxed))
		;
	return used > known ? used : known;
}

static uint64_t rate(uint64_t from, uint64_t to, uint64_t ns)
{
	/* CONFIG RESETSTAT sets counters back */
	return to <= from ? 0 : (uint64_t)((double)(to - from) * 1e9 / (double)ns);
}

static void publish_rates(struct samples *samples, const struct sample *from,
			  const struct sample *to)
{
	uint64_t ns = to->at_ns - from->at_ns;
	if (ns == 0)
		return;
	atomic_store_explicit(&samples->commands_per_sec, rate(from->commands, to->commands, ns),
			      memory_order_relaxed);
	atomic_store_explicit(&samples->bytes_in_per_sec, rate(from->bytes_in, to->bytes_in, ns),
			      memory_order_relaxed);
	atomic_store_explicit(&samples->bytes_out_per_sec, rate(from->bytes_out, to->bytes_out, ns),
			      memory_order_relaxed);
}

static int64_t time_us(struct timeval t)
{
	return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

static void publish_cpu(struct samples *samples)
{
	struct rusage usage;
	getrusage(RUSAGE_THREAD, &usage);
	atomic_store_explicit(&samples->main_sys_us, time_us(usage.ru_stime), memory_order_relaxed);
	atomic_store_explicit(&samples->main_user_us, time_us(usage.ru_utime),
			      memory_order_relaxed);
}

static void take(struct server *server)
{
	struct samples *samples = &server->samples;
	struct sample *newest = &samples->ring[samples->count % SAMPLES];
	struct totals totals;
	struct mem_stats memory;
	totals_read(server, &totals);
	mem_stats_read(&memory);
	sample_memory(server, memory.allocated);
	*newest = (struct sample){.at_ns = clock_monotonic_ns(),
				  .commands = totals.commands_run,
				  .bytes_in = totals.bytes_in,
				  .bytes_out = totals.bytes_out};
	samples->count++;
	uint32_t oldest = samples->count < SAMPLES ? 0 : samples->count % SAMPLES;
	publish_cpu(samples);
	publish_rates(samples, &samples->ring[oldest], newest);
}

static void sample_on_timer(uv_timer_t *timer)
{
	struct server *server = timer->data;
	clock_follow(&server->clock);
	take(server);
	snapshotter_cron(&server->snapshotter);
}

void sample_start(struct server *server)
{
	struct mem_stats memory;
	mem_stats_read(&memory);
	server->samples.memory_startup = memory.allocated;
	take(server);
	uv_timer_init(&server->loop, &server->cron);
	server->cron.data = server;
	uv_timer_start(&server->cron, sample_on_timer, SAMPLE_MS, SAMPLE_MS);
}

void sample_stop(struct server *server)
{
	uv_timer_stop(&server->cron);
}
