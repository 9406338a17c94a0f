/* Chains against a plain buffer: what was appended comes out in order, whole, and only once. */
#include "shard/chain.h"
#include "test/check.h"

#include "proto/mem.h"

#include <string.h>

#define STEPS     4000
#define BYTES_MAX (8 * CHAIN_PIECE_MAX)

struct model {
	char *bytes;
	size_t len;
};

static void check_equal(const struct chain *chain, const struct model *model)
{
	static char copy[BYTES_MAX];
	size_t len = 0;
	assert_int_equal(chain->len, model->len);
	for (const struct chain_piece *piece = chain->first; piece; piece = piece->next) {
		assert_true(piece->len > piece->from || (!piece->next && chain->len == 0));
		len += piece->len - piece->from;
		assert_true(piece->next || piece == chain->last);
	}
	assert_int_equal(len, model->len);
	chain_copy(chain, copy);
	assert_memory_equal(copy, model->bytes, model->len);
}

static size_t any_length(struct check_random *random)
{
	static const size_t most[] = {4, 100, CHAIN_PIECE_MIN, CHAIN_MOVE_MIN, CHAIN_PIECE_MAX + 2};
	size_t i = check_random_below(random, COUNT_OF(most));
	return check_random_below(random, most[i]);
}

static void append(struct chain *chain, struct model *model, struct check_random *random)
{
	size_t len = any_length(random);
	if (model->len + len > BYTES_MAX)
		return;
	char *bytes = model->bytes + model->len;
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(check_random_next(random) >> 32);
	if (check_random_below(random, 2)) {
		chain_add(chain, bytes, len);
	} else if (len > 0) {
		memcpy(chain_room(chain, len + 3), bytes, len);
		chain_grow(chain, len);
	}
	model->len += len;
}

static void drop(struct chain *chain, struct model *model, struct check_random *random)
{
	size_t len = check_random_below(random, 4) ? any_length(random) : model->len;
	len = len < model->len ? len : model->len;
	struct slice front = chain_front(chain);
	assert_true(front.len > 0 || model->len == 0);
	assert_memory_equal(front.ptr ? front.ptr : "", model->bytes, front.len);
	chain_drop(chain, len);
	model->len -= len;
	memmove(model->bytes, model->bytes + len, model->len);
}

/* Through one chain everything goes to another's end. */
static void test_model(void **state)
{
	struct check_random random = check_random_start();
	struct chain chains[2] = {0};
	struct model models[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		models[i] = (struct model){.bytes = mem_alloc(BYTES_MAX)};
	for (int step = 0; step < STEPS; step++) {
		int i = (int)check_random_below(&random, 2);
		uint64_t what = check_random_below(&random, 8);
		if (what < 4) {
			append(&chains[i], &models[i], &random);
		} else if (what < 7) {
			drop(&chains[i], &models[i], &random);
		} else if (models[0].len + models[1].len <= BYTES_MAX) {
			chain_move(&chains[i], &chains[!i]);
			memcpy(models[i].bytes + models[i].len, models[!i].bytes, models[!i].len);
			models[i].len += models[!i].len;
			models[!i].len = 0;
		}
		check_equal(&chains[i], &models[i]);
		check_equal(&chains[!i], &models[!i]);
	}
	for (int i = 0; i < 2; i++) {
		chain_clear(&chains[i]);
		assert_int_equal(chains[i].len, 0);
		assert_null(chains[i].first);
		mem_free(models[i].bytes, BYTES_MAX);
	}
}

/* Many bytes go over as they are; few are copied, so that no chain gets many short pieces. */
static void test_moves(void **state)
{
	static char bytes[CHAIN_MOVE_MIN];
	struct chain from = {0}, to = {0};

	(void)state;
	chain_add(&to, "begin", 5);
	chain_add(&from, bytes, CHAIN_MOVE_MIN);
	const struct chain_piece *piece = from.first;
	chain_move(&to, &from);
	assert_ptr_equal(to.first->next, piece);
	assert_null(from.first);
	chain_add(&from, bytes, CHAIN_MOVE_MIN - 1);
	piece = from.last;
	chain_move(&to, &from);
	assert_ptr_not_equal(to.last, piece);
	assert_int_equal(from.len, 0);
	assert_int_equal(to.len, 5 + 2 * CHAIN_MOVE_MIN - 1);
	chain_clear(&from);
	chain_clear(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_moves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
