/*
 * KEYS: the whole keyspace by RCU, slice by slice.
 *
 * A job walks over all slots, a little in each tick, so that no other client waits for it; its
 * connection does, as always. It promises what SCAN promises: a key that was there all the time is
 * in the reply; one that comes or goes meanwhile may be.
 */
#include "proto/glob.h"
#include "proto/mem.h"
#include "server/handlers.h"
#include "server/server.h"
#include "shard/scan.h"
#include "shard/value.h"

/*
 * What one tick looks at: so many entries (some 0.2 us each; fewer with a long pattern), buckets
 * and empty slots: about 50 us.
 */
#define KEYS_SLICE_ENTRIES 256
#define KEYS_SLICE_STEPS   1024

struct keys_job {
	struct job job;
	struct slice pattern; /* in the op's arguments */
	bool every;           /* the pattern is "*" */
	size_t slice;         /* entries that one tick looks at */
	int64_t now;
	uint64_t cursor;
	size_t header; /* the array's, in the reply */
	size_t found;
};

static void keys_visit(void *arg, struct entry *e)
{
	struct keys_job *keys = arg;
	struct slice key = entry_key(e);
	if (value_expired(e, keys->now))
		return;
	if (!keys->every && !glob_match(keys->pattern, key, false))
		return;
	reply_bulk_slice(&keys->job.op->reply, key);
	keys->found++;
}

static bool keys_step(struct worker *worker, struct job *job)
{
	struct keys_job *keys = (struct keys_job *)job;
	uint64_t start = clock_cycles();
	keys->now = clock_now(&worker->server->clock);
	keys->cursor = keyspace_scan(worker->server->ks, job->op->request.db, keys->cursor,
				     keys->slice, KEYS_SLICE_STEPS, keys_visit, keys);
	if (keys->cursor == 0)
		reply_array_at(&job->op->reply, keys->header, keys->found);
	uint64_t cycles = clock_cycles() - start;
	job->op->cycles += cycles;
	stat_add(&worker->stats.commands[CMD_keys].cycles, cycles);
	return keys->cursor == 0;
}

static void keys_free(struct job *job)
{
	mem_free(job, sizeof(struct keys_job));
}

void cmd_keys(struct conn *conn, struct ctx *ctx)
{
	struct keys_job *keys = mem_zalloc(sizeof(*keys));
	struct op *op = op_detach(conn);
	keys->job.op = op;
	keys->job.step = keys_step;
	keys->job.free = keys_free;
	keys->pattern = op->request.argv[1];
	keys->every = slice_equal(keys->pattern, SLICE("*"));
	keys->slice = KEYS_SLICE_ENTRIES / scan_match_cost(keys->pattern);
	if (keys->slice == 0)
		keys->slice = 1;
	keys->header = reply_later(&keys->job.op->reply);
	worker_add_job(conn->worker, &keys->job);
}
