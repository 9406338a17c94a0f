/* A worker's mail (post.h). */
#include "server/post.h"

#include "proto/mem.h"
#include "server/blocked.h"
#include "server/gather.h"
#include "server/server.h"
#include "server/snapshotter.h"

#include <assert.h>

void post_letter(struct worker *worker, uint16_t to, void *what, enum verb verb)
{
	outbox_put(&worker->outboxes[to], &worker->parcels, what, verb);
	stat_add(&worker->stats.mail_sent, 1);
}

void post_send(struct worker *worker)
{
	struct server *server = worker->server;
	blocked_post(worker);
	for (uint32_t i = 0; i < server->worker_count; i++) {
		if (outbox_post(&worker->outboxes[i], &server->workers[i].mailbox)) {
			mailbox_wake(&server->workers[i].mailbox);
			stat_add(&worker->stats.mail_wakes, 1);
		}
	}
}

static void open_letter(struct worker *worker, uintptr_t letter)
{
	void *what = letter_what(letter);
	switch (letter_verb(letter)) {
	case MAIL_CALL:
		gather_run(worker, what);
		break;
	case MAIL_RETURN:
		gather_returned(worker, what);
		break;
	case MAIL_ADOPT: {
		struct arrival *arrival = what;
		conn_adopt(worker, arrival);
		mem_free(arrival, sizeof(*arrival));
		break;
	}
	case MAIL_SAVED:
		snapshotter_answer(worker, what);
		break;
	case MAIL_SERVED:
		blocked_served(worker, what);
		break;
	case MAIL_VERB_COUNT:
		assert(!"no such verb");
	}
}

void post_take(struct worker *worker)
{
	struct parcel *parcel = mailbox_take(&worker->mailbox);
	while (parcel) {
		struct parcel *next = parcel->next;
		for (uint32_t i = 0; i < parcel->count; i++)
			open_letter(worker, parcel->letters[i]);
		parcel_free(&worker->parcels, parcel);
		parcel = next;
	}
}

void post_drop(struct worker *worker)
{
	struct parcel *parcel = mailbox_take(&worker->mailbox);
	while (parcel) {
		struct parcel *next = parcel->next;
		parcel_free(&worker->parcels, parcel);
		parcel = next;
	}
}
