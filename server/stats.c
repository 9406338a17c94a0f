/* Counting errors by their first word (stats.h). */
#include "server/stats.h"

void stats_error(struct stats *stats, const char *code)
{
	uint32_t kinds = atomic_load_explicit(&stats->error_kinds, memory_order_relaxed);
	uint32_t i = 0;
	while (i < kinds && strcmp(stats->by_code[i].code, code) != 0)
		i++;
	if (i == ERROR_KINDS_MAX)
		i = ERROR_KINDS_MAX - 1;
	if (i == kinds) {
		strcpy(stats->by_code[i].code, code);
		atomic_store_explicit(&stats->error_kinds, kinds + 1, memory_order_release);
	}
	stat_add(&stats->by_code[i].count, 1);
}

void stats_reset(struct stats *stats)
{
	_Atomic uint64_t *counters = (_Atomic uint64_t *)stats;
	size_t plain = offsetof(struct stats, error_kinds) / sizeof(*counters);
	for (size_t i = 0; i < plain; i++)
		atomic_store_explicit(&counters[i], 0, memory_order_relaxed);
	for (size_t i = 0; i < ERROR_KINDS_MAX; i++)
		atomic_store_explicit(&stats->by_code[i].count, 0, memory_order_relaxed);
}
