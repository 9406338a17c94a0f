/*
 * Ropes while a snapshot reads them: what rope_at() shows is what they were at the cut, however
 * they are written to, whenever it is read, and by whichever thread.
 */
#include "frozen_worker.h"
#include "rope_model.h"

#include "shard/entry.h"

#include <pthread.h>

struct live {
	struct rope *rope;
	char bytes[MODEL_MAX];
	size_t len;
};

/* What it was at a cut, and which leaves have been retired since. */
struct snapshot {
	const struct rope *rope;
	uint64_t cut;
	struct rope_view view;
	char bytes[MODEL_MAX];
	size_t len;
	const char *leaves[MODEL_MAX / ROPE_LEAF + 1];
	bool retired[MODEL_MAX / ROPE_LEAF + 1];
};

static void snapshot_take(struct snapshot *s, const struct live *live, uint64_t cut)
{
	struct rope_view now = rope_at(live->rope, EPOCH_NONE);

	*s = (struct snapshot){.rope = live->rope, .cut = cut, .view = now, .len = live->len};
	memcpy(s->bytes, live->bytes, live->len);
	for (size_t i = 0; i * ROPE_LEAF < now.len; i++)
		s->leaves[i] = now.leaves[i].bytes;
}

/* Bytes of the view from an offset on, one leaf or all, that are not those of the cut. */
static size_t count_wrong(const struct snapshot *s, size_t offset, bool all)
{
	struct rope_view view = rope_at(s->rope, s->cut);
	size_t wrong = view.len != s->len;

	while (offset < s->len && wrong == 0) {
		struct slice piece = rope_piece(&view, offset);
		for (size_t i = 0; i < piece.len; i++)
			wrong += (piece.ptr ? piece.ptr[i] : 0) != s->bytes[offset + i];
		offset = all ? offset + piece.len : s->len;
	}
	return wrong;
}

/*
 * A leaf of the cut was retired once at most, and besides only the array, the base and the rope
 * itself.
 */
static void check_kept(struct snapshot *s, const struct retire *r)
{
	const struct retire_kept *kept = &r->kept[0];
	size_t others = 0;

	for (size_t i = 0; i < kept->count; i++) {
		size_t leaf = 0;
		while (leaf < COUNT_OF(s->leaves) && s->leaves[leaf] != kept->items[i].ptr)
			leaf++;
		if (leaf == COUNT_OF(s->leaves)) {
			others++;
			continue;
		}
		assert_false(s->retired[leaf]);
		s->retired[leaf] = true;
	}
	assert_in_range(others, 0, 3);
}

static void live_step(struct live *live, struct check_random *random, struct retire *r)
{
	size_t to = check_random_below(random, live->len + ROPE_LEAF);

	if (check_random_below(random, 8) > 0) {
		step_write(random, live->rope, live->bytes, &live->len, r);
	} else if (to < MODEL_MAX) {
		rope_grow(live->rope, to, r);
		live->len = to > live->len ? to : live->len;
	}
}

static void live_start(struct live *live, struct check_random *random, struct retire *r)
{
	live->len = check_random_below(random, 4) ? check_random_below(random, MODEL_MAX / 2) : 0;
	live->rope = start_rope(random, live->bytes, live->len, r);
}

/* The key goes, and another comes. */
static void live_restart(struct live *live, struct check_random *random, struct retire *r)
{
	struct entry_spec spec = {.key = SLICE("k"), .expire = EXPIRE_NEVER, .type = ENTRY_STRING};

	retire_entry(r, entry_new_owner_only(&spec, live->rope));
	live_start(live, random, r);
}

/* --- one thread, step by step --- */

#define CUTS  400
#define STEPS 60 /* at most, before a cut and during a snapshot */

static void run_calm(struct worker *w, struct live *live, struct check_random *random)
{
	for (uint64_t i = check_random_below(random, STEPS); i > 0; i--) {
		worker_unit(w);
		live_step(live, random, &w->retire);
		worker_collect(w);
	}
}

static void run_snapshot(struct worker *w, struct live *live, struct check_random *random)
{
	static struct snapshot s;

	worker_cut(w);
	snapshot_take(&s, live, w->epoch - 1);
	for (uint64_t i = check_random_below(random, STEPS); i > 0; i--) {
		w->epoch += check_random_below(random, 10) == 0;
		worker_unit(w);
		live_step(live, random, &w->retire);
		worker_collect(w);
		assert_int_equal(count_wrong(&s, random_offset(random, s.len), false), 0);
	}
	assert_int_equal(count_wrong(&s, 0, true), 0);
	if (check_random_below(random, 4) == 0)
		live_restart(live, random, &w->retire);
	assert_int_equal(count_wrong(&s, 0, true), 0);
	check_kept(&s, &w->retire);
	atomic_store(&w->freeze.cut, EPOCH_NONE);
	worker_collect(w);
}

static void check_live(const struct live *live)
{
	char *copy = mem_alloc(live->len + 1);

	assert_int_equal(rope_length(live->rope), live->len);
	read_now(live->rope, 0, live->len, copy);
	assert_memory_equal(copy, live->bytes, live->len);
	mem_free(copy, live->len + 1);
}

static void test_cuts(void **state)
{
	struct check_random random = check_random_start();
	static struct live live;
	static struct worker w;

	worker_init(&w);
	worker_unit(&w);
	live_start(&live, &random, &w.retire);
	for (int i = 0; i < CUTS; i++) {
		run_calm(&w, &live, &random);
		run_snapshot(&w, &live, &random);
		check_live(&live);
	}
	rope_free(live.rope);
	worker_deinit(&w);
}

/* --- the snapshot in a thread of its own --- */

#define SNAPSHOTS 100
#define WALKS     3
#define LOOKS     5000

/* Units of work hold the rope one after another; the snapshot only to cut. */
struct shared {
	pthread_mutex_t hold;
	struct worker worker;
	struct live live;
	struct snapshot snapshot;
	_Atomic uint64_t wrong;
	_Atomic bool done;
};

/* Looks at the header again and again while the first change after the cut comes. */
static uint64_t count_wrong_views(const struct snapshot *s)
{
	uint64_t wrong = 0;

	for (int i = 0; i < LOOKS; i++) {
		struct rope_view view = rope_at(s->rope, s->cut);
		wrong += view.len != s->view.len || view.leaves != s->view.leaves ||
			 view.base != s->view.base || view.base_leaves != s->view.base_leaves;
	}
	return wrong;
}

static void *snapshots_run(void *arg)
{
	struct shared *shared = arg;

	for (int i = 0; i < SNAPSHOTS; i++) {
		pthread_mutex_lock(&shared->hold);
		worker_cut(&shared->worker);
		snapshot_take(&shared->snapshot, &shared->live, shared->worker.epoch - 1);
		pthread_mutex_unlock(&shared->hold);
		atomic_fetch_add(&shared->wrong, count_wrong_views(&shared->snapshot));
		for (int walk = 0; walk < WALKS; walk++)
			atomic_fetch_add(&shared->wrong, count_wrong(&shared->snapshot, 0, true));
		atomic_store_explicit(&shared->worker.freeze.cut, EPOCH_NONE, memory_order_release);
	}
	atomic_store(&shared->done, true);
	return NULL;
}

static void test_threads(void **state)
{
	static struct shared shared;
	struct check_random random = check_random_start();
	struct retire *r = &shared.worker.retire;
	pthread_t thread;

	pthread_mutex_init(&shared.hold, NULL);
	worker_init(&shared.worker);
	worker_unit(&shared.worker);
	live_start(&shared.live, &random, r);
	assert_int_equal(pthread_create(&thread, NULL, snapshots_run, &shared), 0);
	while (!atomic_load(&shared.done)) {
		pthread_mutex_lock(&shared.hold);
		worker_unit(&shared.worker);
		if (check_random_below(&random, 100) == 0)
			live_restart(&shared.live, &random, r);
		else
			live_step(&shared.live, &random, r);
		pthread_mutex_unlock(&shared.hold);
		worker_collect(&shared.worker);
	}
	pthread_join(thread, NULL);
	assert_int_equal(shared.wrong, 0);
	check_live(&shared.live);
	rope_free(shared.live.rope);
	worker_deinit(&shared.worker);
	pthread_mutex_destroy(&shared.hold);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
