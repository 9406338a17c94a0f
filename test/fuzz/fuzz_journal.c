/*
 * Journals from outside: whatever bytes stand in them, they are merged and done again up to where
 * something is wrong; the keyspace is in order then.
 *
 * Input: one byte, whose lowest bits say how many journals there are (1 to 4) and whether an epoch
 * limit counts; then as many lengths of two bytes (low one first), but for the last journal, which
 * gets the rest.
 */
#include "persist/merge.h"
#include "persist/replay.h"
#include "shard/value.h"
#include "test/must.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DATABASES   2
#define SOURCES_MAX 4
#define LIMIT_BIT   4
#define ALWAYS_BIT  8
#define LIMIT_EPOCH 2

static bool take(void *arg, const struct merge_record *record)
{
	return replay_record(arg, record);
}

static void digest_entry(void *arg, struct entry *e)
{
	value_digest(e, arg);
}

/* All that is there can be looked at, and is as much as was counted. */
static void check(struct keyspace *ks)
{
	for (uint32_t db = 0; db < DATABASES; db++) {
		int64_t count = 0;
		for (uint32_t i = 0; i < SLOT_COUNT; i++) {
			struct table *table = slot_table(&ks->slots[i], db);
			struct digest digest = {0};
			MUST((atomic_load(&ks->slots[i].seq) & 1) == 0);
			if (!table)
				continue;
			count += (int64_t)table_count(table);
			for (uint64_t at = 0; at != TABLE_END;)
				at = table_scan(table, at, digest_entry, &digest);
		}
		MUST(count == keyspace_keys(ks, db));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct merge_source sources[SOURCES_MAX] = {0};
	if (size == 0)
		return 0;
	uint32_t count = 1 + data[0] % SOURCES_MAX;
	struct commit committed = {.epoch = LIMIT_EPOCH, .always = data[0] & ALWAYS_BIT};
	size_t at = 1;
	for (uint32_t i = 0; i < count; i++) {
		size_t len = size - at;
		if (i + 1 < count && len >= 2) {
			size_t wanted = data[at] | (size_t)data[at + 1] << 8;
			at += 2;
			len = wanted < len - 2 ? wanted : len - 2;
		}
		sources[i] = (struct merge_source){.worker = i,
						   .bytes = (const char *)data + at,
						   .len = len};
		at += len;
	}
	struct keyspace *ks = keyspace_new(1, DATABASES, &(struct hash_seed){1, 2});
	/* Longer strings are refused: the fuzzer should not spend its time on filling memory. */
	atomic_store(&ks->string_max, 1 << 20);
	struct replay *replay = replay_begin(ks, 1, 1000);
	bool good = merge(sources, count, data[0] & LIMIT_BIT ? &committed : NULL, take, replay);
	good &= replay_drain(replay);
	MUST(good == (replay_error(replay)[0] == '\0'));
	for (uint32_t i = 0; i < count; i++)
		MUST(sources[i].taken <= sources[i].len);
	replay_end(replay);
	check(ks);
	keyspace_free(ks);
	return 0;
}
