/*
 * INFO: the sections, and how their lines are written.
 *
 * Each section is a function that appends its lines; cmd_info.c knows their names and order. What
 * is shown was true when it was looked up; what doesn't exist in this server shows the value that a
 * Redis shows that doesn't use it.
 *
 * A worker's thread, RCU online.
 */
#ifndef SERVER_INFO_H
#define SERVER_INFO_H

#include "server/server.h"

struct info {
	struct server *server;
	const struct conn *conn; /* who asks */
	struct reply *out;
};

/* Appends a line and its line end; it has at most INFO_LINE_MAX bytes: a path fits. */
#define INFO_LINE_MAX 4352
void info_line(const struct info *info, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Appends lines that are always the same: each of `text` ends with "\r\n". */
void info_text(const struct info *info, const char *text);

/* "name:bytes" and "name_human:1.50M". */
void info_bytes(const struct info *info, const char *name, uint64_t bytes);

/* info_stats.c */
void info_stats(const struct info *info);
void info_commandstats(const struct info *info);
void info_errorstats(const struct info *info);
void info_latencystats(const struct info *info);
void info_workers(const struct info *info);

/* info_server.c */
void info_server(const struct info *info);
void info_clients(const struct info *info);
void info_memory(const struct info *info);
void info_persistence(const struct info *info);
void info_replication(const struct info *info);
void info_cpu(const struct info *info);
void info_modules(const struct info *info);
void info_cluster(const struct info *info);
void info_keyspace(const struct info *info);

#endif
