/* Asking every worker (gather.h). */
#include "server/gather.h"

#include "proto/mem.h"
#include "server/post.h"
#include "server/server.h"

static size_t gather_bytes(uint32_t part_count)
{
	return sizeof(struct gather) + part_count * sizeof(struct gather_part);
}

struct gather *gather_new(struct conn *conn, size_t args_bytes,
			  void (*run)(struct worker *worker, struct gather_part *part),
			  void (*finish)(struct gather *gather, struct reply *reply))
{
	struct worker *worker = conn->worker;
	uint32_t count = worker->server->worker_count;
	struct gather *gather = mem_zalloc(gather_bytes(count));
	gather->op = op_detach(conn);
	gather->origin = worker;
	gather->run = run;
	gather->finish = finish;
	gather->part_count = gather->awaited = count;
	gather->args_bytes = args_bytes;
	gather->args = args_bytes ? mem_zalloc(args_bytes) : NULL;
	for (uint32_t i = 0; i < count; i++) {
		gather->parts[i].gather = gather;
		reply_init(&gather->parts[i].reply, conn->resp);
	}
	return gather;
}

void gather_start(struct gather *gather)
{
	for (uint32_t i = 0; i < gather->part_count; i++)
		post_letter(gather->origin, (uint16_t)i, &gather->parts[i], MAIL_CALL);
}

void gather_run(struct worker *worker, struct gather_part *part)
{
	part->gather->run(worker, part);
	post_letter(worker, part->gather->origin->id, part, MAIL_RETURN);
}

void gather_returned(struct worker *worker, struct gather_part *part)
{
	struct gather *gather = part->gather;
	if (--gather->awaited > 0)
		return;
	gather->finish(gather, &gather->op->reply);
	op_answer(worker, gather->op);
	for (uint32_t i = 0; i < gather->part_count; i++)
		reply_deinit(&gather->parts[i].reply);
	mem_free(gather->args, gather->args_bytes);
	mem_free(gather, gather_bytes(gather->part_count));
}
