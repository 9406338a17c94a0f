/*
 * A worker's mail: the letters that it gathers through its tick and sends at the end of it, and
 * what it does with those that came. How they travel: mail.h.
 *
 * The worker's thread.
 */
#ifndef SERVER_POST_H
#define SERVER_POST_H

#include "server/worker.h"

/* A letter to another worker, or to itself, with this tick's mail. */
void post_letter(struct worker *worker, uint16_t to, void *what, enum verb verb);

/* Sends everything this tick has for others, with one wake for each of them that sleeps. */
void post_send(struct worker *worker);

/* Takes what has come, and does what it says. */
void post_take(struct worker *worker);

/*
 * Throws away what came after the worker had ended; nobody waits for any of it. The threads have
 * ended.
 */
void post_drop(struct worker *worker);

#endif
