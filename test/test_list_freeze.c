/*
 * Lists while a snapshot reads them: what list_at() shows is what they were at the cut, however
 * they are changed, whenever it is walked, and by whichever thread.
 *
 * frozen_worker.h frees as early as it may, so the sanitizers see who looks at something too late.
 */
#include "frozen_worker.h"
#include "list_model.h"

#include <pthread.h>
#include <stdatomic.h>

/* --- what the list was --- */

/* A node or chunk that was there at the cut, and whether it has been retired since. */
struct old_node {
	const void *node;
	bool retired;
};

struct snapshot {
	const struct list *list;
	uint64_t cut;
	struct list_view view;
	uint64_t *ids;
	uint64_t count;
	struct list_iter iter; /* a walk that goes on between changes */
	uint64_t walked;
	struct old_node *nodes;
	size_t node_count;
};

static int compare_nodes(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct old_node *)a)->node;
	uintptr_t y = (uintptr_t)((const struct old_node *)b)->node;

	return (x > y) - (x < y);
}

static void gather_nodes(struct snapshot *s, const struct list_ref *self, uint32_t height)
{
	if (!self->child || (height == 0 && list_leaf_is_alone(self->child)))
		return;
	s->nodes = realloc(s->nodes, (s->node_count + 1) * sizeof(*s->nodes));
	s->nodes[s->node_count++] = (struct old_node){self->child, false};
	const struct list_node *node = self->child;
	for (uint32_t i = 0; height > 0 && i < node->used; i++)
		gather_nodes(s, &node->refs[i], height - 1);
}

static void start_walk(struct snapshot *s, enum list_side towards)
{
	s->walked = 0;
	list_iter_init_view(&s->iter, list_at(s->list, s->cut),
			    towards == LIST_BACK ? 0 : s->count - 1, towards);
}

static struct snapshot snapshot_take(const struct model *m, uint64_t cut)
{
	struct list_view now = list_at(m->list, EPOCH_NONE);
	struct snapshot s = {.list = m->list, .cut = cut, .view = now, .count = m->count};

	s.ids = malloc((m->count + 1) * sizeof(*s.ids));
	if (m->count > 0)
		memcpy(s.ids, m->ids, m->count * sizeof(*s.ids));
	gather_nodes(&s, &now.root, now.height);
	if (s.node_count > 0)
		qsort(s.nodes, s.node_count, sizeof(*s.nodes), compare_nodes);
	start_walk(&s, LIST_BACK);
	return s;
}

static void snapshot_drop(struct snapshot *s)
{
	free(s->ids);
	free(s->nodes);
	*s = (struct snapshot){.cut = EPOCH_NONE};
}

/* Some elements further; at the end it begins again. */
static void snapshot_walk(struct snapshot *s, struct check_random *random, uint64_t steps)
{
	struct list_element element;

	for (; steps > 0 && list_iter_next(&s->iter, &element); steps--, s->walked++)
		check_element(element,
			      s->ids[s->iter.towards == LIST_BACK ? s->walked
								  : s->count - 1 - s->walked]);
	if (steps == 0)
		return;
	assert_int_equal(s->walked, s->count);
	start_walk(s, random_side(random));
}

/*
 * Each node of the cut was retired once at most: none was copied twice. Nothing else was retired
 * but what the model gave away as a whole: what was made after the cut is changed and freed in
 * place.
 */
static void check_kept(struct snapshot *s, const struct retire *r, uint64_t entries)
{
	const struct retire_kept *kept = &r->kept[0];
	uint64_t others = 0;

	for (size_t i = 0; i < kept->count; i++) {
		struct old_node key = {.node = kept->items[i].ptr};
		struct old_node *node = NULL;
		if (s->node_count > 0) /* there may be no array */
			node = bsearch(&key, s->nodes, s->node_count, sizeof(*s->nodes),
				       compare_nodes);
		others += node == NULL;
		if (!node)
			continue;
		assert_false(node->retired);
		node->retired = true;
	}
	assert_int_equal(others, entries);
}

/* --- one thread, step by step --- */

struct frozen_mix {
	struct mix mix;
	bool alone; /* some elements are large: blobs are retired, too */
};

/* Steps between cuts, and during a snapshot: twice as many at most. */
#define CALM 300
#define BUSY 700

struct run {
	struct worker worker;
	struct model model;
	struct snapshot snapshot;
	struct check_random random;
	uint64_t until; /* the next step that begins or ends a snapshot */
	uint64_t cuts;
};

static void begin_snapshot(struct run *run)
{
	worker_cut(&run->worker);
	run->snapshot = snapshot_take(&run->model, run->worker.epoch - 1);
	run->model.given = 0;
	run->cuts++;
}

static void end_snapshot(struct run *run, bool alone)
{
	/* Sometimes the key goes first. */
	if (check_random_below(&run->random, 4) == 0) {
		model_free(&run->model, run->model.list);
		run->model.list = list_new();
		run->model.count = 0;
	}
	snapshot_walk(&run->snapshot, &run->random, UINT64_MAX);
	snapshot_walk(&run->snapshot, &run->random, UINT64_MAX);
	if (!alone)
		check_kept(&run->snapshot, &run->worker.retire, run->model.given);
	snapshot_drop(&run->snapshot);
	atomic_store(&run->worker.freeze.cut, EPOCH_NONE);
}

static void run_mix(struct run *run, const struct frozen_mix *row)
{
	uint64_t last = 0;

	for (uint64_t n = 0; n < (uint64_t)row->mix.steps; n++) {
		bool during = run->snapshot.cut != EPOCH_NONE;
		if (n == run->until) {
			during ? end_snapshot(run, row->alone) : begin_snapshot(run);
			run->until += 1 + check_random_below(&run->random, during ? CALM : BUSY);
		}
		run->worker.epoch += check_random_below(&run->random, 50) == 0;
		worker_unit(&run->worker);
		step(&run->random, &row->mix, &run->model, &last);
		if (run->snapshot.cut != EPOCH_NONE)
			snapshot_walk(&run->snapshot, &run->random,
				      check_random_below(&run->random, 20));
		worker_collect(&run->worker);
		if (n % 1000 == 0)
			model_check(&run->model);
	}
	if (run->snapshot.cut != EPOCH_NONE)
		end_snapshot(run, row->alone);
	model_check(&run->model);
}

static void test_cuts(void **state)
{
	static const struct frozen_mix mixes[] = {
		{{"a few of all kinds", 64, 50, 40000, 0}, true},
		{{"a few small ones", 3, 600, 40000, 0}, false},
		{{"thousands of small ones", 3, 20000, 40000, 0}, false},
		{{"hundreds of all kinds", 200, 1000, 40000, 0}, true},
		{{"thousands of all kinds", 2000, 5000, 40000, 0}, true},
	};
	struct check_random random = check_random_start();

	for (size_t i = 0; i < COUNT_OF(mixes); i++) {
		struct run run = {.random = random};
		print_message("# %s\n", mixes[i].mix.label);
		worker_init(&run.worker);
		run.model = (struct model){.list = list_new(), .retire = &run.worker.retire};
		worker_unit(&run.worker);
		run_mix(&run, &mixes[i]);
		assert_true(run.cuts > 10);
		model_deinit(&run.model);
		worker_deinit(&run.worker);
	}
}

/*
 * Nodes with one child: what is cut off, and what is left, give way to the child, older than the
 * cut.
 */
static void test_narrow_nodes(void **state)
{
	static const enum list_side sides[] = {LIST_FRONT, LIST_BACK};

	for (size_t i = 0; i < COUNT_OF(sides); i++) {
		struct worker w;
		struct model m = {.list = list_new(), .retire = &w.retire};
		struct check_random random = check_random_start();
		worker_init(&w);
		worker_unit(&w);
		for (uint64_t n = 0; n <= LIST_CHILDREN_MAX; n++) /* each alone in its leaf */
			model_insert(&m, n, 64 * n + 4);
		assert_int_equal(list_at(m.list, EPOCH_NONE).height, 2);
		worker_cut(&w);
		struct snapshot s = snapshot_take(&m, w.epoch - 1);
		model_cut(&m, sides[i], sides[i] == LIST_FRONT ? LIST_CHILDREN_MAX : 1);
		worker_collect(&w);
		snapshot_walk(&s, &random, UINT64_MAX);
		model_check(&m);
		snapshot_drop(&s);
		model_deinit(&m);
		worker_deinit(&w);
	}
}

/* --- the snapshot in a thread of its own --- */

#define SNAPSHOTS 100
#define WALKS     2
#define LOOKS     5000

/* Units of work hold the list one after another; the snapshot only to cut. */
struct shared {
	pthread_mutex_t hold;
	struct worker worker;
	struct model model;
	struct snapshot snapshot;
	_Atomic uint64_t wrong;
	_Atomic bool done;
};

/* Elements of the view that are not those of the cut. */
static uint64_t count_wrong(const struct snapshot *s, enum list_side towards)
{
	struct list_view view = list_at(s->list, s->cut);
	struct list_iter iter;
	struct list_element element;
	uint64_t walked = 0, wrong = 0;
	char text[TEXT_MAX];

	list_iter_init_view(&iter, view, towards == LIST_BACK ? 0 : s->count - 1, towards);
	for (; walked < s->count && list_iter_next(&iter, &element); walked++) {
		uint64_t id = s->ids[towards == LIST_BACK ? walked : s->count - 1 - walked];
		wrong += !listpack_item_equal(element.item, make_element(id, text).item);
	}
	return wrong + (view.root.count != s->count) + s->count - walked;
}

/* Looks at the header again and again while the first change after the cut comes. */
static uint64_t count_wrong_views(const struct snapshot *s)
{
	uint64_t wrong = 0;

	for (int i = 0; i < LOOKS; i++) {
		struct list_view view = list_at(s->list, s->cut);
		wrong += view.root.child != s->view.root.child ||
			 view.root.count != s->view.root.count || view.height != s->view.height;
	}
	return wrong;
}

static void *snapshots_run(void *arg)
{
	struct shared *shared = arg;

	for (int i = 0; i < SNAPSHOTS; i++) {
		pthread_mutex_lock(&shared->hold);
		worker_cut(&shared->worker);
		struct snapshot s = snapshot_take(&shared->model, shared->worker.epoch - 1);
		pthread_mutex_unlock(&shared->hold);
		atomic_fetch_add(&shared->wrong, count_wrong_views(&s));
		for (int walk = 0; walk < WALKS; walk++)
			atomic_fetch_add(&shared->wrong,
					 count_wrong(&s, walk % 2 ? LIST_FRONT : LIST_BACK));
		snapshot_drop(&s);
		atomic_store_explicit(&shared->worker.freeze.cut, EPOCH_NONE, memory_order_release);
	}
	atomic_store(&shared->done, true);
	return NULL;
}

static void test_threads(void **state)
{
	static const struct mix mix = {"thousands of all kinds", 2000, 5000, 0, 0};
	static struct shared shared;
	struct check_random random = check_random_start();
	uint64_t last = 0;
	pthread_t thread;

	pthread_mutex_init(&shared.hold, NULL);
	worker_init(&shared.worker);
	shared.model = (struct model){.list = list_new(), .retire = &shared.worker.retire};
	for (int i = 0; i < 5000; i++)
		model_insert(&shared.model, shared.model.count, random_id(&random, &mix));
	assert_int_equal(pthread_create(&thread, NULL, snapshots_run, &shared), 0);
	while (!atomic_load(&shared.done)) {
		pthread_mutex_lock(&shared.hold);
		worker_unit(&shared.worker);
		step(&random, &mix, &shared.model, &last);
		pthread_mutex_unlock(&shared.hold);
		worker_collect(&shared.worker);
	}
	pthread_join(thread, NULL);
	assert_int_equal(shared.wrong, 0);
	model_check(&shared.model);
	model_deinit(&shared.model);
	worker_deinit(&shared.worker);
	pthread_mutex_destroy(&shared.hold);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_narrow_nodes),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
