/* Operations (op.h): begun, answered, freed. */
#include "server/op.h"

#include "proto/mem.h"
#include "server/multi.h"
#include "server/slowlog.h"
#include "server/worker.h"

#include <assert.h>

struct op *op_begin(struct pending *p)
{
	struct conn *conn = p->conn;
	size_t args_bytes = p->request.argc * sizeof(struct slice);
	assert(!conn->op);
	struct op *op = mem_alloc(sizeof(*op) + args_bytes);
	*op = (struct op){
		.request = p->request,
		.conn = conn,
		.mute = (conn->flags & (CONN_REPLY_OFF | CONN_REPLY_SKIP)) != 0,
		.block = conn->block,
		.scratch = p->scratch,
	};
	p->scratch = NULL;
	memcpy(op->args, p->request.argv, args_bytes);
	op->request.argv = op->args;
	reply_init(&op->reply, p->request.resp);
	if (op->block)
		op->block->refs++;
	conn->worker->ops++;
	conn->op = op;
	conn_wait(conn, WAIT_ANSWER);
	return op;
}

void op_undo(struct pending *p)
{
	struct op *op = p->conn->op;
	p->scratch = op->scratch;
	op->scratch = NULL;
	p->conn->op = NULL;
	p->conn->wait &= (uint8_t)~WAIT_ANSWER;
	op_free(op);
}

struct op *op_detach(struct conn *conn)
{
	struct worker *worker = conn->worker;
	struct pending *p = worker->current;
	assert(p && p->conn == conn);
	worker->current = NULL;
	return op_begin(p);
}

/*
 * What administrates the server says nothing of keys, and answers when the disk gives trouble.
 * DEBUG does both.
 */
static bool tells_of_keys(const struct command *cmd)
{
	return !(cmd->flags & CMD_ADMIN) || (cmd->flags & CMD_PROTECTED);
}

void op_answer(struct worker *worker, struct op *op)
{
	if (tells_of_keys(op->request.cmd))
		journal_saw_all(worker->shard); /* whoever has worked on it, and when */
	slowlog_note(worker, op->conn, &op->request,
		     (uint64_t)clock_cycles_us(&worker->server->clock, op->cycles));
	if (multi_running(op->conn))
		multi_answered(op->conn);
	else
		conn_answer(op->conn);
}

void op_free(struct op *op)
{
	op->conn->worker->ops--;
	reply_deinit(&op->reply);
	read_block_unref(op->conn->worker, op->block);
	mem_free_unsized(op->scratch);
	mem_free(op, sizeof(*op) + op->request.argc * sizeof(struct slice));
}
