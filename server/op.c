/* Operations (op.h): made and freed. */
#include "server/op.h"

#include "proto/mem.h"
#include "server/worker.h"

struct op *op_new(struct conn *conn, const struct request *request, char *scratch)
{
	size_t args_bytes = request->argc * sizeof(struct slice);
	struct op *op = mem_alloc(sizeof(*op) + args_bytes);
	*op = (struct op){
		.request = *request,
		.conn = conn,
		.mute = (conn->flags & (CONN_REPLY_OFF | CONN_REPLY_SKIP)) != 0,
		.block = conn->block,
		.scratch = scratch,
	};
	memcpy(op->args, request->argv, args_bytes);
	op->request.argv = op->args;
	reply_init(&op->reply, request->resp);
	if (op->block)
		op->block->refs++;
	conn->worker->ops++;
	return op;
}

void op_free(struct op *op)
{
	op->conn->worker->ops--;
	reply_deinit(&op->reply);
	read_block_unref(op->conn->worker, op->block);
	mem_free_unsized(op->scratch);
	mem_free(op, sizeof(*op) + op->request.argc * sizeof(struct slice));
}
