/*
 * DEBUG POPULATE: many keys, some in each tick.
 *
 * A job holds one key's slot at a time, as if a client had sent so many SETs, so that nobody else
 * waits for the hundred million that may be asked for. A key that exists is left as it is. Not
 * within transactions: these hold slots until all of their commands are done.
 */
#include "proto/mem.h"
#include "server/handlers.h"
#include "server/server.h"
#include "shard/execute.h"
#include "shard/hold.h"
#include "shard/string.h"

/* Keys of one request: some ten gigabytes. */
#define POPULATE_KEYS_MAX 100000000
/* What one tick makes: about 100 us of small keys, or a few large ones. */
#define POPULATE_SLICE_KEYS  128
#define POPULATE_SLICE_BYTES (256 * 1024)

struct populate {
	int64_t count;
	int64_t size; /* of a value; 0: that of its text */
	struct slice prefix;
};

struct populate_job {
	struct job job;
	struct populate what;
	int64_t next;
	char *name, *value; /* of the key being made */
	size_t name_size, value_size;
};

/* A number that isn't negative; on failure replies. */
static bool arg_positive(struct ctx *ctx, uint32_t i, int64_t *out)
{
	if (number_parse(ctx->argv[i], out) && *out >= 0)
		return true;
	reply_error(ctx->reply, "ERR value is out of range, must be positive");
	return false;
}

static bool populate_parse(struct ctx *ctx, struct populate *p)
{
	*p = (struct populate){.prefix = SLICE("key")};
	if (ctx->argc > 5) {
		command_error_subcommand(ctx->cmd, ctx->argv[1], ctx->reply);
		return false;
	}
	if (!arg_positive(ctx, 2, &p->count))
		return false;
	if (ctx->argc >= 5 && !arg_positive(ctx, 4, &p->size))
		return false;
	if (p->count > POPULATE_KEYS_MAX) {
		reply_errorf(ctx->reply, "ERR no more than %d keys at a time", POPULATE_KEYS_MAX);
		return false;
	}
	return string_check_length(ctx, 0, (size_t)p->size);
}

/* The next key's name. */
static struct slice next_name(struct populate_job *job)
{
	size_t len = job->what.prefix.len;
	job->name[len] = ':';
	len += 1 + number_format(job->name + len + 1, job->next);
	return (struct slice){job->name, len};
}

/* Its value. The numbers grow, so what one leaves in the buffer the next covers. */
static struct slice next_value(struct populate_job *job)
{
	char text[6 + NUMBER_TEXT_MAX] = "value:";
	size_t len = 6 + number_format(text + 6, job->next);
	size_t size = job->what.size ? (size_t)job->what.size : len;
	memcpy(job->value, text, len < size ? len : size);
	return (struct slice){job->value, size};
}

/*
 * Puts the next key; false when another worker holds its slot. The clock is loaded as execute()
 * does.
 */
static bool put_next(struct worker *worker, struct populate_job *job)
{
	struct op *op = job->job.op;
	struct key key;
	struct ctx ctx = {.cmd = op->request.cmd,
			  .db = op->request.db,
			  .keys = &key,
			  .key_count = 1,
			  .reply = &op->reply,
			  .ks = worker->server->ks,
			  .shard = worker->shard,
			  .holder = true};
	key_prepare(&key, ctx.ks, next_name(job));
	if (!slots_try_hold(worker->shard, &key.slot, 1))
		return false;
	atomic_thread_fence(memory_order_seq_cst);
	ctx.now = clock_now(&worker->server->clock);
	ctx_by_state(&ctx);
	if (!ctx_peek(&ctx, 0, false))
		ctx_put(&ctx, 0,
			entry_new_string(key.name, next_value(job), EXPIRE_NEVER,
					 ctx_access_new(&ctx)));
	slots_release(worker->shard, &key.slot, 1, ctx.stored, ctx.now);
	job->next++;
	return true;
}

static bool populate_step(struct worker *worker, struct job *job)
{
	struct populate_job *populate = (struct populate_job *)job;
	uint64_t start = clock_cycles();
	int64_t keys = POPULATE_SLICE_BYTES / (int64_t)populate->value_size + 1;
	if (keys > POPULATE_SLICE_KEYS)
		keys = POPULATE_SLICE_KEYS;
	while (keys-- > 0 && populate->next < populate->what.count)
		if (!put_next(worker, populate))
			break;
	bool done = populate->next == populate->what.count;
	if (done)
		reply_ok(&job->op->reply);
	uint64_t cycles = clock_cycles() - start;
	job->op->cycles += cycles;
	stat_add(&worker->stats.commands[CMD_debug_populate].cycles, cycles);
	return done;
}

static void populate_free(struct job *job)
{
	struct populate_job *populate = (struct populate_job *)job;
	mem_free(populate->name, populate->name_size);
	mem_free(populate->value, populate->value_size);
	mem_free(populate, sizeof(*populate));
}

void cmd_debug_populate(struct conn *conn, struct ctx *ctx)
{
	struct populate what;
	if (!populate_parse(ctx, &what))
		return;
	struct populate_job *job = mem_zalloc(sizeof(*job));
	struct op *op = op_detach(conn);
	job->job = (struct job){.op = op, .step = populate_step, .free = populate_free};
	job->what = what;
	if (op->request.argc >= 4)
		job->what.prefix = op->request.argv[3];
	job->name_size = job->what.prefix.len + 1 + NUMBER_TEXT_MAX;
	job->name = mem_alloc(job->name_size);
	memcpy(job->name, job->what.prefix.ptr, job->what.prefix.len);
	job->value_size = (size_t)what.size + 6 + NUMBER_TEXT_MAX;
	job->value = mem_zalloc(job->value_size);
	worker_add_job(conn->worker, &job->job);
}
