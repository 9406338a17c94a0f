/* Reading sets in their forms (set.h): intsets, listpacks, dicts. Changing them: set_edit.c. */
#include "shard/set.h"

#include "shard/choice.h"
#include "shard/intset.h"

struct set set_of(const struct entry *e)
{
	if (!e)
		return (struct set){NULL, LISTPACK_EMPTY, false};
	if (e->flags & ENTRY_DICT)
		return (struct set){entry_dict(e), NULL, false};
	return (struct set){NULL, entry_value(e).ptr, entry_encoding(e) == ENCODING_INTSET};
}

size_t set_count(const struct set *set)
{
	if (set->dict)
		return dict_count(set->dict);
	return set->intset ? intset_count(set->packed) : listpack_count(set->packed);
}

static bool dict_contains(const struct dict *dict, const struct shard *shard,
			  struct listpack_item member)
{
	char room[NUMBER_TEXT_MAX];
	struct slice text = listpack_item_text(member, room);

	return dict_find(dict, dict_hash(shard, text), text);
}

bool set_contains(const struct set *set, const struct shard *shard, struct listpack_item member)
{
	if (set->dict)
		return dict_contains(set->dict, shard, member);
	if (!listpack_item_is_number(member))
		member = listpack_item_of(member.text);
	if (set->intset)
		return listpack_item_is_number(member) &&
		       intset_find(set->packed, member.number, NULL);
	return listpack_find(set->packed, listpack_first(set->packed), member, 0);
}

/* --- walks --- */

static bool walk_intset(const char *intset, set_visit *visit, void *arg)
{
	for (size_t i = 0, count = intset_count(intset); i < count; i++)
		if (!visit(arg, listpack_item_number(intset_get(intset, i))))
			return false;
	return true;
}

static bool walk_listpack(const char *lp, set_visit *visit, void *arg)
{
	struct listpack_item member;

	for (size_t at = listpack_first(lp), end = listpack_end(lp); at < end;) {
		at = listpack_read(lp, at, &member);
		if (!visit(arg, member))
			return false;
	}
	return true;
}

static bool walk_packed(const struct set *set, set_visit *visit, void *arg)
{
	return set->intset ? walk_intset(set->packed, visit, arg)
			   : walk_listpack(set->packed, visit, arg);
}

struct dict_visit {
	set_visit *visit;
	void *arg;
	bool stopped;
};

static struct listpack_item element_member(const struct entry *element)
{
	return (struct listpack_item){.text = entry_key(element)};
}

static void visit_element(void *arg, struct entry *element)
{
	struct dict_visit *walk = arg;

	walk->visit(walk->arg, element_member(element));
}

static void visit_until_stopped(void *arg, struct entry *element)
{
	struct dict_visit *walk = arg;

	if (!walk->stopped)
		walk->stopped = !walk->visit(walk->arg, element_member(element));
}

void set_walk(const struct set *set, set_visit *visit, void *arg)
{
	struct dict_visit walk = {visit, arg, false};

	if (!set->dict) {
		walk_packed(set, visit, arg);
		return;
	}
	for (uint64_t at = 0; at != TABLE_END && !walk.stopped;)
		at = table_scan(&set->dict->table, at, visit_until_stopped, &walk);
}

uint64_t set_scan(const struct set *set, uint64_t cursor, size_t count, set_visit *visit, void *arg)
{
	struct dict_visit walk = {visit, arg, false};

	if (set->dict)
		return dict_scan(set->dict, cursor, count, visit_element, &walk);
	walk_packed(set, visit, arg);
	return 0;
}

/* --- random members --- */

static struct listpack_item packed_get(const struct set *set, size_t index)
{
	if (set->intset)
		return listpack_item_number(intset_get(set->packed, index));
	return listpack_get(set->packed, listpack_seek(set->packed, (int64_t)index));
}

bool set_random(const struct set *set, struct shard *shard, struct listpack_item *member)
{
	if (set->dict) {
		const struct entry *element = dict_random(set->dict, shard, INT64_MIN);
		if (element)
			*member = element_member(element);
		return element;
	}
	size_t count = set_count(set);
	if (count > 0)
		*member = packed_get(set, shard_random(shard) % count);
	return count > 0;
}

struct packed_choice {
	struct choice choice;
	set_visit *visit;
	void *arg;
};

static bool packed_choose(void *arg, struct listpack_item member)
{
	struct packed_choice *packed = arg;

	if (choose(&packed->choice))
		packed->visit(packed->arg, member);
	return packed->choice.wanted > 0;
}

void set_sample(const struct set *set, struct shard *shard, size_t count, set_visit *visit,
		void *arg)
{
	struct packed_choice packed = {choice_of(shard, count, set_count(set)), visit, arg};
	struct dict_visit walk = {visit, arg, false};

	if (set->dict)
		dict_sample(set->dict, shard, count, INT64_MIN, visit_element, &walk);
	else if (count > 0)
		walk_packed(set, packed_choose, &packed);
}

/* To put an element into a set takes as long as about so many lookups. */
#define GATHER_LOOKUPS 4

struct diff_plan diff_plan(uint64_t first, uint64_t others, uint64_t other_count)
{
	uint64_t one_by_one = first * (1 + other_count);
	uint64_t together = 2 * first + GATHER_LOOKUPS * others;

	if (together < one_by_one)
		return (struct diff_plan){true, together};
	return (struct diff_plan){false, one_by_one};
}

void set_reply_member(struct reply *r, struct listpack_item member)
{
	if (listpack_item_is_number(member))
		reply_bulk_int(r, member.number);
	else
		reply_bulk_slice(r, member.text);
}

/* --- rows of value.h --- */

static bool digest_visit(void *arg, struct listpack_item member)
{
	char room[NUMBER_TEXT_MAX];
	struct digest digest = {0};

	digest_mix(&digest, listpack_item_text(member, room));
	digest_join(arg, &digest);
	return true;
}

void set_digest(const struct entry *e, struct digest *digest)
{
	struct set set = set_of(e);

	set_walk(&set, digest_visit, digest);
}
