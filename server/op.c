/* Operations (op.h): made, filled with a reply, freed. */
#include "server/op.h"

#include "proto/mem.h"
#include "server/worker.h"

#include <assert.h>

static struct op *op_take(struct worker *worker)
{
	struct op *op = worker->ops_free;
	if (!op)
		return mem_alloc_lines((sizeof(*op) + 63) & ~(size_t)63);
	worker->ops_free = op->next;
	worker->ops_kept--;
	return op;
}

/* The arguments' slices must outlive the batch's. */
static void op_copy_args(struct op *op)
{
	struct request *request = &op->request;
	struct slice *args = op->args_inline;
	op->args_heap = NULL;
	if (request->argc > OP_ARGS_INLINE)
		args = op->args_heap = mem_alloc(request->argc * sizeof(*args));
	memcpy(args, request->argv, request->argc * sizeof(*args));
	request->argv = args;
}

struct op *op_new(struct worker *worker, struct conn *conn, const struct request *request,
		  char *scratch)
{
	struct op *op = op_take(worker);
	op->request = *request;
	op_copy_args(op);
	op->conn = conn;
	op->origin = worker;
	op->cycles = 0;
	op->reply_len = 0;
	op->reply_big = false;
	op->answered = false;
	op->mute = (conn->flags & (CONN_REPLY_OFF | CONN_REPLY_SKIP)) != 0;
	op->next = NULL;
	reply_init_in(&op->after, conn->resp, op->after_inline, sizeof(op->after_inline));
	op->block = conn->block;
	if (op->block)
		op->block->refs++;
	op->scratch = scratch;
	op->txn = NULL;
	return op;
}

void op_free(struct worker *worker, struct op *op)
{
	assert(op->origin == worker);
	if (op->reply_big)
		reply_deinit(&op->big);
	reply_deinit(&op->after);
	read_block_unref(worker, op->block);
	mem_free_unsized(op->scratch);
	if (op->args_heap)
		mem_free(op->args_heap, op->request.argc * sizeof(struct slice));
	if (worker->ops_kept >= OPS_KEPT) {
		mem_free(op, (sizeof(*op) + 63) & ~(size_t)63);
		return;
	}
	op->next = worker->ops_free;
	worker->ops_free = op;
	worker->ops_kept++;
}

void op_set_reply(struct op *op, struct reply *reply)
{
	if (reply->len <= OP_REPLY_INLINE && reply->pin_count == 0) {
		memcpy(op->small, reply->buf, reply->len);
		op->reply_len = (uint32_t)reply->len;
		reply->len = 0;
		return;
	}
	reply_init(&op->big, reply->resp);
	reply_move(&op->big, reply);
	op->reply_big = true;
}

void op_take_reply(struct op *op, struct reply *out)
{
	if (op->reply_big) {
		reply_move(out, &op->big);
		reply_deinit(&op->big);
		op->reply_big = false;
	} else if (op->reply_len) {
		reply_raw(out, op->small, op->reply_len);
	}
}
