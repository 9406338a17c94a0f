/*
 * Samples: what INFO shows as "per second", and the peak of memory.
 *
 * A timer on the main loop notes the workers' counters some times a second; the rates are those
 * between the oldest note and the newest, so they follow the load within SAMPLES * SAMPLE_MS.
 */
#ifndef SERVER_SAMPLE_H
#define SERVER_SAMPLE_H

#include <stdatomic.h>
#include <stdint.h>

struct server;

/* As in Redis. */
#define SAMPLES   16
#define SAMPLE_MS 100

struct sample {
	uint64_t at_ns;
	uint64_t commands;
	uint64_t bytes_in;
	uint64_t bytes_out;
};

struct samples {
	/* main thread only */
	struct sample ring[SAMPLES];
	uint32_t count; /* taken so far */
	/* the main thread stores, any reads */
	_Atomic uint64_t commands_per_sec;
	_Atomic uint64_t bytes_in_per_sec;
	_Atomic uint64_t bytes_out_per_sec;
	_Atomic int64_t main_sys_us; /* the main thread's CPU time */
	_Atomic int64_t main_user_us;
	/* constant after start */
	uint64_t memory_startup;
	/* any thread: raised */
	_Atomic uint64_t memory_peak;
};

/* Takes a first sample and starts server->cron. Main thread, once the workers have been made. */
void sample_start(struct server *server);
void sample_stop(struct server *server);

/* So many bytes are in use: returns the peak. Any thread. */
uint64_t sample_memory(struct server *server, uint64_t used);

#endif
