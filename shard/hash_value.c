/*
 * Reading hashes in their forms (hash_value.h): packed pairs, packed triples, dicts. Changing them:
 * hash_edit.c.
 *
 * Triples that expire stand in front, the earliest first, so when something has expired it is the
 * first ones, and what the first one says is when the next does. Readers start behind the expired.
 */
#include "shard/hash_value.h"

#include "proto/mem.h"
#include "shard/choice.h"
#include "shard/hash_packed.h"
#include "shard/turn.h"

#include <assert.h>

/* --- packed --- */

size_t packed_live(const char *lp, bool triples, int64_t now)
{
	size_t at = listpack_first(lp);
	struct packed_field field;

	for (size_t end = listpack_end(lp); triples && at < end;) {
		size_t next = packed_read(lp, at, true, &field);
		if (field.expire > now)
			break;
		at = next;
	}
	return at;
}

size_t packed_read(const char *lp, size_t at, bool triples, struct packed_field *field)
{
	struct listpack_item expire = listpack_item_number(0);

	at = listpack_read(lp, at, &field->name);
	at = listpack_read(lp, at, &field->value);
	if (triples)
		at = listpack_read(lp, at, &expire);
	field->expire = expire.number ? expire.number : EXPIRE_NEVER;
	return at;
}

void packed_show(const struct packed_field *packed, struct hash_field *field)
{
	field->name = listpack_item_text(packed->name, field->room);
	field->value = listpack_item_text(packed->value, field->room + NUMBER_TEXT_MAX);
	field->expire = packed->expire;
	field->blob = NULL;
}

bool packed_find(const char *lp, bool triples, struct slice name, int64_t now,
		 struct hash_field *field)
{
	struct packed_field packed;
	size_t at = listpack_find(lp, packed_live(lp, triples, now), listpack_item_of(name),
				  triples ? 2 : 1);

	if (!at)
		return false;
	packed_read(lp, at, triples, &packed);
	packed_show(&packed, field);
	return true;
}

static const char *entry_packed(const struct entry *e)
{
	return entry_value(e).ptr;
}

static bool entry_triples(const struct entry *e)
{
	return e->flags & ENTRY_FIELD_TTL;
}

/* --- dicts --- */

static void element_show(const struct entry *element, struct hash_field *field)
{
	field->name = entry_key(element);
	field->value = entry_value(element);
	field->expire = entry_expire(element);
	field->blob = entry_blob(element);
}

bool element_find(const struct dict *dict, const struct shard *shard, struct slice name,
		  int64_t now, struct hash_field *field)
{
	const struct entry *element = dict_find(dict, dict_hash(shard, name), name);

	if (!element || entry_expired(element, now))
		return false;
	element_show(element, field);
	return true;
}

struct element_visit {
	int64_t now;
	hash_visit *visit;
	void *arg;
};

static void element_visit(void *arg, struct entry *element)
{
	const struct element_visit *walk = arg;
	struct hash_field field;

	if (entry_expired(element, walk->now))
		return;
	element_show(element, &field);
	walk->visit(walk->arg, &field);
}

/* --- both --- */

size_t hash_length(struct shard *shard, const struct entry *e, int64_t now)
{
	const struct dict *dict = entry_dict(e);

	if (dict)
		return dict_count_live(dict, shard, now);
	const char *lp = entry_packed(e);
	if (!entry_triples(e))
		return listpack_count(lp) / 2;
	size_t live = packed_live(lp, true, now);
	return (listpack_count(lp) - listpack_range_count(lp, listpack_first(lp), live)) / 3;
}

size_t hash_length_most(const struct entry *e, int64_t now)
{
	const struct dict *dict = entry_dict(e);

	return dict && dict_count(dict) > LONG_ELEMENTS ? dict_count(dict)
							: hash_length(NULL, e, now);
}

bool hash_empty(const struct entry *e, int64_t now)
{
	const struct dict *dict = entry_dict(e);

	if (dict)
		return !dict_has_live(dict, now);
	const char *lp = entry_packed(e);
	return packed_live(lp, entry_triples(e), now) == listpack_end(lp);
}

bool hash_find(const struct shard *shard, const struct entry *e, struct slice name, int64_t now,
	       struct hash_field *field)
{
	const struct dict *dict = entry_dict(e);

	return dict ? element_find(dict, shard, name, now, field)
		    : packed_find(entry_packed(e), entry_triples(e), name, now, field);
}

static void packed_walk(const struct entry *e, int64_t now, hash_visit *visit, void *arg)
{
	const char *lp = entry_packed(e);
	bool triples = entry_triples(e);
	struct packed_field packed;
	struct hash_field field;

	for (size_t at = packed_live(lp, triples, now), end = listpack_end(lp); at < end;) {
		at = packed_read(lp, at, triples, &packed);
		packed_show(&packed, &field);
		visit(arg, &field);
	}
}

void hash_dict_walk(const struct dict *dict, int64_t now, hash_visit *visit, void *arg)
{
	dict_walk(dict, element_visit, &(struct element_visit){now, visit, arg});
}

void hash_walk(const struct entry *e, int64_t now, hash_visit *visit, void *arg)
{
	const struct dict *dict = entry_dict(e);

	if (dict)
		hash_dict_walk(dict, now, visit, arg);
	else
		packed_walk(e, now, visit, arg);
}

uint64_t hash_scan(const struct entry *e, uint64_t cursor, size_t count, int64_t now,
		   hash_visit *visit, void *arg)
{
	const struct dict *dict = entry_dict(e);

	if (dict)
		return dict_scan(dict, cursor, count, element_visit,
				 &(struct element_visit){now, visit, arg});
	packed_walk(e, now, visit, arg);
	return 0;
}

/* --- random --- */

struct packed_choice {
	struct choice choice;
	hash_visit *visit;
	void *arg;
};

static void packed_choose(void *arg, const struct hash_field *field)
{
	struct packed_choice *packed = arg;

	if (choose(&packed->choice))
		packed->visit(packed->arg, field);
}

void hash_sample(struct shard *shard, const struct entry *e, size_t count, int64_t now,
		 hash_visit *visit, void *arg)
{
	const struct dict *dict = entry_dict(e);
	size_t length;

	if (dict) {
		dict_sample(dict, shard, count, now, element_visit,
			    &(struct element_visit){now, visit, arg});
		return;
	}
	length = hash_length(shard, e, now);
	packed_walk(e, now, packed_choose,
		    &(struct packed_choice){choice_of(shard, count, length), visit, arg});
}

static void packed_random(struct shard *shard, const struct entry *e, size_t count, int64_t now,
			  hash_draw *visit, void *arg)
{
	const char *lp = entry_packed(e);
	uint16_t positions[PACKED_FIELDS_MAX];
	struct packed_field packed;
	struct hash_field field;
	size_t length = 0;

	for (size_t at = packed_live(lp, entry_triples(e), now), end = listpack_end(lp);
	     at < end;) {
		assert(length < PACKED_FIELDS_MAX);
		positions[length++] = (uint16_t)at;
		at = packed_read(lp, at, entry_triples(e), &packed);
	}
	for (; length > 0 && count > 0; count--) {
		packed_read(lp, positions[shard_random(shard) % length], entry_triples(e), &packed);
		packed_show(&packed, &field);
		if (!visit(arg, &field))
			break;
	}
}

struct element_draw {
	hash_draw *visit;
	void *arg;
};

static bool element_draw(void *arg, struct entry *element)
{
	const struct element_draw *draw = arg;
	struct hash_field field;

	element_show(element, &field);
	return draw->visit(draw->arg, &field);
}

void hash_random(struct shard *shard, const struct entry *e, size_t count, int64_t now,
		 hash_draw *visit, void *arg)
{
	const struct dict *dict = entry_dict(e);

	if (dict)
		dict_draw(dict, shard, count, now, element_draw,
			  &(struct element_draw){visit, arg});
	else
		packed_random(shard, e, count, now, visit, arg);
}

/* --- replies --- */

void hash_reply_value(struct reply *r, const struct hash_field *field)
{
	if (field->blob && field->value.len >= REPLY_PIN_MIN)
		reply_bulk_pin(r, field->value, blob_unref, blob_ref(field->blob));
	else
		reply_bulk_slice(r, field->value);
}

/* --- for all types --- */

int64_t hash_fields_due(const struct entry *e)
{
	const struct dict *dict = entry_dict(e);
	struct packed_field field;

	if (dict)
		return dict_expire_earliest(dict);
	const char *lp = entry_packed(e);
	if (!entry_triples(e) || listpack_count(lp) == 0)
		return EXPIRE_NEVER;
	packed_read(lp, listpack_first(lp), true, &field);
	return field.expire;
}

static void digest_visit(void *arg, const struct hash_field *field)
{
	struct digest member = {0};

	digest_mix(&member, field->name);
	digest_mix(&member, field->value);
	if (field->expire != EXPIRE_NEVER)
		digest_mix_number(&member, (uint64_t)field->expire);
	digest_join(arg, &member);
}

void hash_digest(const struct entry *e, struct digest *digest)
{
	hash_walk(e, INT64_MIN, digest_visit, digest);
}
