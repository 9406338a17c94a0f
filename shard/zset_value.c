/*
 * Reading sorted sets in their two forms (zset_value.h). Changing them: zset_edit.c.
 *
 * A packed set is walked from its beginning: it is short. Of a large one a cursor finds the place.
 */
#include "shard/zset_value.h"

#include "shard/choice.h"
#include "shard/listpack.h"

#include <assert.h>

/* --- packed --- */

static const char *entry_packed(const struct entry *e)
{
	return entry_value(e).ptr;
}

size_t zset_packed_read(const char *lp, size_t at, struct zset_element *element)
{
	struct listpack_item member, score;

	at = listpack_read(lp, at, &member);
	at = listpack_read(lp, at, &score);
	element->member = listpack_item_text(member, element->room);
	if (listpack_item_is_number(score))
		element->score = (double)score.number;
	else if (!number_parse_double(score.text, &element->score))
		assert(!"a score that is no number");
	return at;
}

size_t zset_packed_seek(const char *lp, const struct zset_cut *cut)
{
	size_t at = listpack_first(lp);
	struct zset_element element;

	for (size_t end = listpack_end(lp); at < end;) {
		size_t next = zset_packed_read(lp, at, &element);
		if (!zset_cut_passes(cut, element.score, element.member))
			break;
		at = next;
	}
	return at;
}

size_t zset_packed_find(const char *lp, struct slice member)
{
	return listpack_find(lp, listpack_first(lp), listpack_item_of(member), 1);
}

static uint64_t packed_rank(const char *lp, size_t at)
{
	return listpack_range_count(lp, listpack_first(lp), at) / 2;
}

void zset_packed_walk(const char *lp, uint64_t rank, uint64_t count, bool reverse,
		      zset_visit *visit, void *arg)
{
	size_t at = listpack_seek(lp, (int64_t)rank * 2);
	struct zset_element element;

	for (size_t end = listpack_end(lp); count > 0 && at != 0 && at < end; count--) {
		size_t next = zset_packed_read(lp, at, &element);
		visit(arg, &element);
		at = reverse ? listpack_prev(lp, at) : next;
		if (reverse && at != 0)
			at = listpack_prev(lp, at);
	}
}

/* --- large --- */

static void show(const struct entry *e, struct zset_element *element)
{
	element->member = entry_key(e);
	element->score = zset_entry_score(e);
}

void zset_ordered_walk(const struct zset *z, uint64_t rank, uint64_t count, bool reverse,
		       zset_visit *visit, void *arg)
{
	struct zset_cursor c;
	struct zset_element element;
	bool more = zset_tree_seek_rank(&z->tree, rank, &c);
	uint32_t fetched = 0;

	for (; more && count > 0; count--) {
		if (fetched == 0)
			fetched = zset_cursor_fetch(&c, count, reverse);
		fetched--;
		const struct entry *e = zset_cursor_entry(&c);
		if (!e)
			break; /* in a writer's way */
		show(e, &element);
		visit(arg, &element);
		more = reverse ? zset_cursor_prev(&c) : zset_cursor_next(&c);
	}
}

struct element_visit {
	zset_visit *visit;
	void *arg;
};

static void element_visit(void *arg, struct entry *e)
{
	const struct element_visit *each = arg;
	struct zset_element element;

	show(e, &element);
	each->visit(each->arg, &element);
}

/* --- both --- */

uint64_t zset_value_count(const struct entry *e)
{
	const struct zset *z = entry_zset(e);

	return z ? zset_count(z) : listpack_count(entry_packed(e)) / 2;
}

bool zset_value_find(const struct shard *shard, const struct entry *e, struct slice member,
		     double *score, uint64_t *rank)
{
	const struct zset *z = entry_zset(e);
	struct zset_element element;

	if (z) {
		const struct entry *found = zset_find(z, &shard->ks->seed, member);
		if (!found)
			return false;
		show(found, &element);
		if (rank)
			*rank = zset_rank(z, &(struct zset_cut){.kind = CUT_ELEMENT,
								.score = element.score,
								.member = element.member});
	} else {
		const char *lp = entry_packed(e);
		size_t at = zset_packed_find(lp, member);
		if (!at)
			return false;
		zset_packed_read(lp, at, &element);
		if (rank)
			*rank = packed_rank(lp, at);
	}
	*score = element.score;
	return true;
}

uint64_t zset_value_rank(const struct entry *e, const struct zset_cut *cut)
{
	const struct zset *z = entry_zset(e);

	if (cut->kind == CUT_START)
		return 0;
	if (cut->kind == CUT_END)
		return zset_value_count(e);
	if (z)
		return zset_rank(z, cut);
	return packed_rank(entry_packed(e), zset_packed_seek(entry_packed(e), cut));
}

void zset_value_walk(const struct entry *e, uint64_t rank, uint64_t count, bool reverse,
		     zset_visit *visit, void *arg)
{
	const struct zset *z = entry_zset(e);

	if (z)
		zset_ordered_walk(z, rank, count, reverse, visit, arg);
	else
		zset_packed_walk(entry_packed(e), rank, count, reverse, visit, arg);
}

uint64_t zset_value_scan(const struct entry *e, uint64_t cursor, size_t count, zset_visit *visit,
			 void *arg)
{
	const struct zset *z = entry_zset(e);

	if (z)
		return dict_scan(&z->members, cursor, count, element_visit,
				 &(struct element_visit){visit, arg});
	zset_packed_walk(entry_packed(e), 0, UINT64_MAX, false, visit, arg);
	return 0;
}

struct packed_choice {
	struct choice choice;
	zset_visit *visit;
	void *arg;
};

static void packed_choose(void *arg, const struct zset_element *element)
{
	struct packed_choice *packed = arg;

	if (choose(&packed->choice))
		packed->visit(packed->arg, element);
}

void zset_value_sample(struct shard *shard, const struct entry *e, size_t count, zset_visit *visit,
		       void *arg)
{
	const struct zset *z = entry_zset(e);
	uint64_t length = zset_value_count(e);
	struct packed_choice packed = {choice_of(shard, count, length), visit, arg};

	if (z)
		dict_sample(&z->members, shard, count, 0, element_visit,
			    &(struct element_visit){visit, arg});
	else
		zset_packed_walk(entry_packed(e), 0, length, false, packed_choose, &packed);
}

/* --- for all types --- */

static void digest_visit(void *arg, const struct zset_element *element)
{
	struct digest member = {0};
	uint64_t bits;
	double score = element->score + 0.0; /* -0 is 0 */

	memcpy(&bits, &score, sizeof(bits));
	digest_mix(&member, element->member);
	digest_mix_number(&member, bits);
	digest_join(arg, &member);
}

void zset_value_digest(const struct entry *e, struct digest *digest)
{
	zset_value_walk(e, 0, UINT64_MAX, false, digest_visit, digest);
}
