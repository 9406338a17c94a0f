/*
 * Latency events: commands that took at least latency-monitor-threshold milliseconds. Each worker
 * notes those that it ran; LATENCY LATEST and RESET gather them.
 */
#ifndef SERVER_LATENCY_H
#define SERVER_LATENCY_H

#include <stdint.h>

struct command;
struct worker;

enum latency_kind {
	LATENCY_COMMAND,
	LATENCY_FAST_COMMAND, /* of those that should never take long: flag `fast` */
	LATENCY_KIND_COUNT
};

/* All zero: nothing has happened. */
struct latency_event {
	int64_t at_ms; /* the latest one */
	int64_t latest_ms;
	int64_t max_ms;
};

/* A command has run for so many microseconds; the monitor is on. The worker's thread. */
void latency_note(struct worker *worker, const struct command *cmd, uint64_t us);

#endif
