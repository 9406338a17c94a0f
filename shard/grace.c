/* Grace periods (grace.h). */
#include "shard/grace.h"

#include <urcu/urcu-qsbr.h>

void grace_reader_offline(struct grace *grace)
{
#ifdef __SANITIZE_THREAD__
	atomic_fetch_add_explicit(&grace->readers_done, 1, memory_order_acq_rel);
#else
	(void)grace;
#endif
	urcu_qsbr_thread_offline();
}

void grace_wait(struct grace *grace)
{
	urcu_qsbr_synchronize_rcu();
#ifdef __SANITIZE_THREAD__
	atomic_load_explicit(&grace->readers_done, memory_order_acquire);
#else
	(void)grace;
#endif
}

void grace_period(struct grace *grace)
{
	uint64_t period = atomic_fetch_add_explicit(&grace->started, 1, memory_order_seq_cst) + 1;

	grace_wait(grace);
	atomic_store_explicit(&grace->completed, period, memory_order_release);
}
