/*
 * RDB from outside: a value of any type, or a file. Whatever is read is as good as what commands
 * make: it is written and read again, and is the same.
 *
 * Input: one byte, the type of a value whose bytes follow, or more than any type: a file follows.
 */
#include "persist/rdb_file.h"
#include "shard/execute.h"
#include "shard/value.h"
#include "test/must.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Longer strings are refused: the fuzzer should not spend its time on filling memory. */
#define STRING_MAX (1 << 20)

static struct keyspace *ks;

/* A grace period passes: what was made on the way is freed. */
static void collect(void)
{
	struct retire *retire = &ks->shards[0]->retire;

	retire_stamp(retire, &ks->grace);
	atomic_fetch_add(&ks->grace.started, 1);
	atomic_store(&ks->grace.completed, atomic_load(&ks->grace.started));
	while (retire_collect(retire, &ks->grace, 1000))
		;
}

static struct entry *decode(uint8_t type, struct slice name, struct rdb_in *in)
{
	struct key key;

	key_prepare(&key, ks, name);
	struct ctx ctx = {
		.keys = &key,
		.key_count = 1,
		.now = 1000,
		.ks = ks,
		.shard = ks->shards[0],
		.holder = true,
	};
	return rdb_decode(&ctx, 0, type, EXPIRE_NEVER, in);
}

static void check_same(const struct entry *e, const struct entry *again)
{
	struct digest one = {0}, other = {0};

	MUST(again);
	value_digest(e, &one);
	value_digest(again, &other);
	MUST(memcmp(&one, &other, sizeof(one)) == 0);
	MUST(entry_encoding(e) == entry_encoding(again) || (e->flags & ENTRY_FIELD_TTL));
}

static void value_check(uint8_t type, struct slice name, struct slice bytes)
{
	struct rdb_in in = rdb_in_of(bytes, STRING_MAX), over = in;
	struct rdb_out out = {.compress = true};
	struct entry *e = decode(type, name, &in);

	MUST(!e == (in.error != NULL));
	if (!e)
		return;
	MUST(rdb_skip_value(&over, type) && over.at == in.at);
	uint8_t type_again = rdb_type_of(e);
	rdb_encode(e, type_again, &out);
	in = rdb_in_of((struct slice){out.bytes, out.len}, SIZE_MAX);
	struct entry *again = decode(type_again, name, &in);
	check_same(e, again);
	MUST(in.at == in.end);
	entry_free(e);
	entry_free(again);
	rdb_out_deinit(&out);
}

static bool key_check(void *arg, const struct rdb_key *key)
{
	value_check(key->type, key->name, key->value);
	return true;
}

static void file_check(struct slice bytes)
{
	const struct rdb_file_events events = {.key = key_check};
	struct rdb_file_result result;
	bool whole = rdb_file_read(bytes, &events, NULL, &result);

	MUST(whole == (result.error == NULL));
	MUST(result.offset <= bytes.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!ks)
		ks = keyspace_new(1, 1, &(struct hash_seed){1, 2});
	if (size == 0)
		return 0;
	struct slice bytes = {(const char *)data + 1, size - 1};
	if (data[0] < RDB_TYPE_COUNT)
		value_check(data[0], SLICE("key"), bytes);
	else
		file_check(bytes);
	collect();
	return 0;
}
