/* Threads that fill the keyspace (helper.h). */
#include "persist/helper.h"

#include <urcu/urcu-qsbr.h>

/* Bytes replaced and not freed yet. */
#define RETIRED_MAX (4u << 20)

void helper_init(struct helper *helper, struct keyspace *ks, uint32_t id, int64_t now)
{
	*helper = (struct helper){.shard = shard_new(ks, (uint16_t)id)};
	helper->shard->replay_ms = now;
	helper->shard->replays = true;
}

void helper_collect(struct helper *helper)
{
	struct retire *retire = &helper->shard->retire;
	if (retire->bytes < RETIRED_MAX)
		return;
	retire_stamp(retire, &helper->grace);
	atomic_fetch_add(&helper->grace.started, 1);
	urcu_qsbr_synchronize_rcu();
	atomic_store(&helper->grace.completed, atomic_load(&helper->grace.started));
	while (retire_collect(retire, &helper->grace, SIZE_MAX))
		;
}

void helper_absorb(struct helper *helper)
{
	shard_absorb(helper->shard->ks->shards[0], helper->shard);
}

void helper_deinit(struct helper *helper)
{
	helper_absorb(helper);
	shard_free(helper->shard);
}
