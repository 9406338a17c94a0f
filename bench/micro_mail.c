/*
 * What a letter costs from one worker to another and back: outbox, mailbox, parcels; no waking
 * (both threads poll). Prints nanoseconds for each round trip of a letter, in batches of different
 * sizes.
 */
#include "server/mail.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define ROUNDS 20000

static struct mailbox boxes[2];
static _Atomic bool stop;

static double now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* Takes what is there and puts it into the outbox; returns how many letters. */
static unsigned take(struct mailbox *box, struct parcel_pool *pool, struct outbox *out)
{
	unsigned count = 0;
	struct parcel *parcel = mailbox_take(box);
	while (parcel) {
		struct parcel *next = parcel->next;
		for (uint32_t i = 0; i < parcel->count; i++, count++)
			if (out)
				outbox_put(out, pool, letter_what(parcel->letters[i]), MAIL_RETURN);
		parcel_free(pool, parcel);
		parcel = next;
	}
	return count;
}

static void *echo_main(void *arg)
{
	struct parcel_pool pool = {0};
	struct outbox out = {0};
	while (!atomic_load(&stop)) {
		take(&boxes[1], &pool, &out);
		outbox_post(&out, &boxes[0]);
	}
	parcel_pool_deinit(&pool);
	return NULL;
}

static void run(unsigned batch)
{
	static _Alignas(16) char letter[16];
	struct parcel_pool pool = {0};
	struct outbox out = {0};
	double start = now_ns();
	for (int i = 0; i < ROUNDS; i++) {
		for (unsigned j = 0; j < batch; j++)
			outbox_put(&out, &pool, letter, MAIL_CALL);
		outbox_post(&out, &boxes[1]);
		for (unsigned back = 0; back < batch;)
			back += take(&boxes[0], &pool, NULL);
	}
	printf("mail round trip, batches of %3u: %8.1f ns a letter\n", batch,
	       (now_ns() - start) / ROUNDS / batch);
	parcel_pool_deinit(&pool);
}

int main(void)
{
	pthread_t echo;
	pthread_create(&echo, NULL, echo_main, NULL);
	run(1);
	run(16);
	run(256);
	atomic_store(&stop, true);
	pthread_join(echo, NULL);
	return 0;
}
