/*
 * The reclaimer (reclaimer.h).
 *
 * Lost requests: reclaimer_ask() sets `asked`, fence, looks at `waiting`; the reclaimer sets
 * `waiting` under the mutex, fence, looks at `asked`. As with mail, one of the two sees the other.
 */
#include "server/reclaimer.h"

static void wait_for_work(struct reclaimer *r)
{
	pthread_mutex_lock(&r->mutex);
	atomic_store_explicit(&r->waiting, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	while (!atomic_load_explicit(&r->asked, memory_order_relaxed) &&
	       !atomic_load_explicit(&r->stop, memory_order_relaxed))
		pthread_cond_wait(&r->asked_for, &r->mutex);
	atomic_store_explicit(&r->waiting, false, memory_order_relaxed);
	pthread_mutex_unlock(&r->mutex);
}

static void *reclaimer_main(void *arg)
{
	struct reclaimer *r = arg;
	pthread_setname_np(pthread_self(), "reclaimer");
	while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
		wait_for_work(r);
		atomic_store_explicit(&r->asked, false, memory_order_relaxed);
		grace_period(r->grace);
	}
	return NULL;
}

int reclaimer_start(struct reclaimer *r, struct grace *grace)
{
	r->grace = grace;
	pthread_mutex_init(&r->mutex, NULL);
	pthread_cond_init(&r->asked_for, NULL);
	return -pthread_create(&r->thread, NULL, reclaimer_main, r);
}

static void reclaimer_wake(struct reclaimer *r)
{
	pthread_mutex_lock(&r->mutex);
	pthread_cond_signal(&r->asked_for);
	pthread_mutex_unlock(&r->mutex);
}

void reclaimer_stop(struct reclaimer *r)
{
	atomic_store(&r->stop, true);
	reclaimer_wake(r);
	pthread_join(r->thread, NULL);
	pthread_cond_destroy(&r->asked_for);
	pthread_mutex_destroy(&r->mutex);
}

void reclaimer_ask(struct reclaimer *r)
{
	if (atomic_exchange_explicit(&r->asked, true, memory_order_relaxed))
		return;
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&r->waiting, memory_order_relaxed))
		reclaimer_wake(r);
}
