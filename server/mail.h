/*
 * Mail between workers.
 *
 * One mailbox for each worker: a lock-free stack of parcels. A parcel carries up to PARCEL_ITEMS
 * letters (a pointer with a verb in its low bits), so the receiver reads a row of pointers and can
 * prefetch what they point to, instead of walking a chain of cold memory. Senders push a chain with
 * one CAS; the receiver takes everything with one exchange and turns it round, which keeps each
 * sender's order.
 *
 * Wake-up: `sleeping` says that the receiver is about to poll, or polls.
 *	sender:    push; fence(seq_cst); if (load(sleeping) && exchange(sleeping, 0)) write the eventfd
 *	receiver:  sleeping = 1 (release); fence(seq_cst); if (mailbox not empty) { sleeping = 0; go on }; poll; sleeping = 0
 * Either the receiver's look after its fence sees the parcel, or the sender's load after its fence
 * sees sleeping = 1: with both fences they can't both miss (test/model/wakeup.pml). An awake
 * receiver is never woken.
 *
 * The wake is an eventfd that the receiver's loop polls, not a uv_async_t: libuv's receiver spins
 * while the sender is still inside uv_async_send, which took a fifth of the user time under load.
 */
#ifndef SERVER_MAIL_H
#define SERVER_MAIL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* A parcel is eight cache lines. */
#define PARCEL_ITEMS 62
/* Empty parcels a worker keeps; more are freed. */
#define PARCELS_KEPT 64

/*
 * What the receiver is to do with what a letter points to. Fits the low bits of 16-byte alignment.
 */
enum verb {
	MAIL_CALL,   /* struct gather_part: run its function here, send it back */
	MAIL_RETURN, /* struct gather_part: has been run */
	MAIL_ADOPT,  /* struct arrival: a connection accepted for you */
	MAIL_SAVED,  /* struct save_waiter: what it waits for has come (snapshotter.h) */
	MAIL_SERVED, /* struct waiter: somebody has served it (blocked.h) */
	MAIL_VERB_COUNT
};

struct parcel {
	struct parcel *next;
	uint32_t count;
	uintptr_t letters[PARCEL_ITEMS];
};

struct mailbox {
	_Alignas(64) _Atomic(struct parcel *) head; /* newest first; senders CAS, receiver exchanges */
	_Alignas(64) _Atomic bool sleeping;         /* receiver stores 1 and 0; senders exchange it to 0 */
	int wake_fd;                                /* constant after start; senders write it */
	uv_poll_t wake;                             /* the receiver's loop polls it */
};

/* Empty parcels of one worker. */
struct parcel_pool {
	struct parcel *free;
	uint32_t count;
};
void parcel_pool_deinit(struct parcel_pool *pool);
struct parcel *parcel_new(struct parcel_pool *pool);
void parcel_free(struct parcel_pool *pool, struct parcel *parcel);

/* What one worker has for one other in this tick. */
struct outbox {
	struct parcel *newest; /* linked to the older ones, as in the mailbox */
	struct parcel *oldest;
};

static inline uintptr_t letter_make(void *what, enum verb verb)
{
	return (uintptr_t)what | (uintptr_t)verb;
}
static inline void *letter_what(uintptr_t letter)
{
	return (void *)(letter & ~(uintptr_t)15);
}
static inline enum verb letter_verb(uintptr_t letter)
{
	return (enum verb)(letter & 15);
}

/* Adds a letter. Sender's thread. */
void outbox_put(struct outbox *out, struct parcel_pool *pool, void *what, enum verb verb);

/*
 * Pushes all to the mailbox. True when the receiver has to be woken (mailbox_wake). Sender's
 * thread.
 */
bool outbox_post(struct outbox *out, struct mailbox *to);

/* Pushes one parcel and says whether to wake. Any thread. */
bool mailbox_push(struct mailbox *box, struct parcel *newest, struct parcel *oldest);

/*
 * The receiver's loop will poll the mailbox's eventfd. 0 or a negative uv error. Receiver, before
 * it runs.
 */
int mailbox_open(struct mailbox *box, uv_loop_t *loop);
/* After the loop has closed. */
void mailbox_close(struct mailbox *box);

/* Any thread. */
void mailbox_wake(struct mailbox *box);

/* Everything that is there, oldest first; NULL when empty. Receiver's thread. */
struct parcel *mailbox_take(struct mailbox *box);

static inline bool mailbox_empty(const struct mailbox *box)
{
	return atomic_load_explicit(&box->head, memory_order_relaxed) == NULL;
}

/* Before polling: false when mail has come and there is no time to sleep. Receiver's thread. */
bool mailbox_sleep(struct mailbox *box);
/* After polling. */
static inline void mailbox_awake(struct mailbox *box)
{
	atomic_store_explicit(&box->sleeping, false, memory_order_relaxed);
}

#endif
