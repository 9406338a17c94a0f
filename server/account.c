/* What commands have taken (account.h). */
#include "server/account.h"

void account_error(struct worker *worker, const struct reply *reply)
{
	stat_add(&worker->stats.errors, 1);
	stats_error(&worker->stats, reply->code);
}
