/* Transactions (txn.h). */
#include "server/txn.h"

#include "proto/mem.h"
#include "server/serve.h"
#include "server/server.h"
#include "shard/execute.h"

#include <assert.h>

struct txn {
	struct op *op;
	struct worker *origin;
	uint64_t ticket;
	uint32_t participants;
	uint32_t awaited; /* loans not granted yet */
	uint32_t key_count;
	uint32_t slot_count;
	struct key *keys;
	struct slot **slots;  /* each once, by shard; NULL: all */
	struct loan *loans[]; /* one for each participant */
};

struct worker *txn_origin(const struct txn *txn)
{
	return txn->origin;
}

static void txn_free(struct txn *txn, uint32_t worker_count)
{
	mem_free(txn->keys, txn->key_count * sizeof(*txn->keys));
	mem_free(txn->slots, txn->key_count * sizeof(*txn->slots));
	mem_free(txn, sizeof(*txn) + worker_count * sizeof(txn->loans[0]));
}

/* A loan for each shard that has some of the slots. */
static void make_loans(struct txn *txn, uint32_t worker_count)
{
	if (!txn->slots) {
		for (uint32_t i = 0; i < worker_count; i++)
			txn->loans[i] = loan_new((uint16_t)i, txn, true, NULL, 0);
		txn->participants = worker_count;
		return;
	}
	struct slot **mine = mem_alloc(txn->slot_count * sizeof(*mine));
	for (uint32_t shard = 0; shard < worker_count; shard++) {
		uint32_t count = 0;
		for (uint32_t i = 0; i < txn->slot_count; i++)
			if (slot_owner(txn->origin->server->ks, txn->slots[i]) == shard)
				mine[count++] = txn->slots[i];
		if (count)
			txn->loans[txn->participants++] =
				loan_new((uint16_t)shard, txn, true, mine, count);
	}
	mem_free(mine, txn->slot_count * sizeof(*mine));
}

/* Step 1: the same order in all mailboxes. */
static void send_locks(struct worker *worker, struct txn *txn)
{
	struct server *server = worker->server;
	struct parcel *parcels[SHARDS_MAX];
	bool wake[SHARDS_MAX];
	for (uint32_t i = 0; i < txn->participants; i++) {
		parcels[i] = parcel_new(&worker->parcels);
		parcels[i]->letters[parcels[i]->count++] = letter_make(txn->loans[i], MAIL_LOCK);
	}
	/* from the last push on the participants work on the txn: no look at it after the unlock */
	uint32_t participants = txn->participants;
	uint16_t shards[SHARDS_MAX];
	for (uint32_t i = 0; i < participants; i++)
		shards[i] = txn->loans[i]->shard;
	uv_mutex_lock(&server->ticket_mutex);
	txn->ticket = ++server->ticket;
	for (uint32_t i = 0; i < participants; i++)
		wake[i] = mailbox_push(&server->workers[shards[i]].mailbox, parcels[i],
				       parcels[i]);
	uv_mutex_unlock(&server->ticket_mutex);
	for (uint32_t i = 0; i < participants; i++)
		if (wake[i])
			mailbox_wake(&server->workers[shards[i]].mailbox);
}

void txn_start(struct worker *worker, struct op *op, const struct key *keys, uint32_t key_count)
{
	uint32_t workers = worker->server->worker_count;
	struct txn *txn = mem_zalloc(sizeof(*txn) + workers * sizeof(txn->loans[0]));
	txn->op = op;
	txn->origin = worker;
	txn->key_count = key_count;
	op->txn = txn;
	if (key_count) {
		txn->keys = mem_alloc(key_count * sizeof(*keys));
		memcpy(txn->keys, keys, key_count * sizeof(*keys));
		txn->slots = mem_alloc(key_count * sizeof(*txn->slots));
		txn->slot_count = keys_slots(keys, key_count, txn->slots);
	} else {
		txn->slot_count = SLOT_COUNT;
	}
	make_loans(txn, workers);
	txn->awaited = txn->participants;
	send_locks(worker, txn);
}

/* Steps 3 and 4. */
static void txn_run(struct worker *worker, struct txn *txn)
{
	stat_add(&worker->stats.path_borrowed, 1);
	serve_run_borrowed(worker, txn->op, txn->keys, txn->key_count, txn->slots,
			   txn->slot_count);
	for (uint32_t i = 0; i < txn->participants; i++)
		worker_mail(worker, txn->loans[i]->shard, txn->loans[i], MAIL_UNLOCK);
	txn_free(txn, worker->server->worker_count);
}

void txn_granted(struct worker *worker, struct loan *loan)
{
	struct txn *txn = loan->owner;
	assert(txn->origin == worker && txn->awaited > 0);
	if (--txn->awaited == 0)
		txn_run(worker, txn);
}
