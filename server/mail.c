/* Mail between workers (mail.h). */
#include "server/mail.h"

#include "proto/mem.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct parcel *parcel_new(struct parcel_pool *pool)
{
	struct parcel *parcel = pool->free;
	if (parcel) {
		pool->free = parcel->next;
		pool->count--;
	} else {
		parcel = mem_alloc(sizeof(*parcel));
	}
	parcel->next = NULL;
	parcel->count = 0;
	return parcel;
}

void parcel_free(struct parcel_pool *pool, struct parcel *parcel)
{
	if (pool->count >= PARCELS_KEPT) {
		mem_free(parcel, sizeof(*parcel));
		return;
	}
	parcel->next = pool->free;
	pool->free = parcel;
	pool->count++;
}

void parcel_pool_deinit(struct parcel_pool *pool)
{
	while (pool->free) {
		struct parcel *parcel = pool->free;
		pool->free = parcel->next;
		mem_free(parcel, sizeof(*parcel));
	}
	pool->count = 0;
}

void outbox_put(struct outbox *out, struct parcel_pool *pool, void *what, enum verb verb)
{
	struct parcel *parcel = out->newest;
	if (!parcel || parcel->count == PARCEL_ITEMS) {
		parcel = parcel_new(pool);
		parcel->next = out->newest;
		if (!out->newest)
			out->oldest = parcel;
		out->newest = parcel;
	}
	parcel->letters[parcel->count++] = letter_make(what, verb);
}

bool mailbox_push(struct mailbox *box, struct parcel *newest, struct parcel *oldest)
{
	struct parcel *head = atomic_load_explicit(&box->head, memory_order_relaxed);
	do {
		oldest->next = head;
	} while (!atomic_compare_exchange_weak_explicit(
		&box->head, &head, newest, memory_order_release, memory_order_relaxed));
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(&box->sleeping, memory_order_relaxed) &&
	       atomic_exchange_explicit(&box->sleeping, false, memory_order_relaxed);
}

bool outbox_post(struct outbox *out, struct mailbox *to)
{
	if (!out->newest)
		return false;
	bool wake = mailbox_push(to, out->newest, out->oldest);
	out->newest = out->oldest = NULL;
	return wake;
}

struct parcel *mailbox_take(struct mailbox *box)
{
	if (mailbox_empty(box))
		return NULL;
	struct parcel *newest = atomic_exchange_explicit(&box->head, NULL, memory_order_acquire);
	struct parcel *oldest = NULL;
	while (newest) {
		struct parcel *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	return oldest;
}

bool mailbox_sleep(struct mailbox *box)
{
	atomic_store_explicit(&box->sleeping, true, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	if (mailbox_empty(box))
		return true;
	mailbox_awake(box);
	return false;
}

/* Takes the wake away; the tick after the poll takes the mail. */
static void mailbox_on_wake(uv_poll_t *poll, int status, int events)
{
	struct mailbox *box = poll->data;
	uint64_t wakes;
	ssize_t n = read(box->wake_fd, &wakes, sizeof(wakes));
	(void)n; /* that it was written is all there is to know */
}

int mailbox_open(struct mailbox *box, uv_loop_t *loop)
{
	box->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (box->wake_fd < 0)
		return -errno;
	box->wake.data = box;
	int error = uv_poll_init(loop, &box->wake, box->wake_fd);
	return error ? error : uv_poll_start(&box->wake, UV_READABLE, mailbox_on_wake);
}

void mailbox_close(struct mailbox *box)
{
	close(box->wake_fd);
}

void mailbox_wake(struct mailbox *box)
{
	uint64_t one = 1;
	ssize_t n = write(box->wake_fd, &one, sizeof(one));
	(void)n; /* it only fails when 2^64-1 wakes are waiting already */
}
