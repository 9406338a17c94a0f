/*
 * Writing values as RDB's bytes (rdb_value.h).
 *
 * Packed values already are in Redis' formats and go out as they are. Larger ones that Redis
 * would have packed are packed for the occasion; the others are strings one after another.
 *
 * A value as of a cut is read from what a snapshot finds (freeze.h): views of lists and ropes, and
 * tables of elements, of sorted sets, too: their trees only know what is so now. So these go out in
 * no order, which RDB_ZSET_2 allows.
 *
 * A reader under RCU that a writer interferes with may write a count and then other than so many
 * elements: the command is run again then, and nobody sees them.
 */
#include "proto/crc64.h"
#include "proto/mem.h"
#include "shard/hash_value.h"
#include "shard/intset.h"
#include "shard/list_value.h"
#include "shard/rdb_value.h"
#include "shard/set.h"
#include "shard/string.h"
#include "shard/turn.h"
#include "shard/zset_value.h"

#include <assert.h>
#include <stdlib.h>

/*
 * A collection that would take more is not packed for the occasion: Redis' limits, left alone,
 * allow less.
 */
#define PACK_BYTES_MAX (256 * 1024)

/* Up to so many bytes of a list's elements are packed to a node, as Redis does by default. */
#define NODE_BYTES_MAX 8192

/* A value that is to be written. */
struct value {
	const struct entry *e;
	uint64_t cut; /* EPOCH_NONE: as it is */
	const struct dict
		*dict; /* its elements; NULL: it has none, or they are found by way of `e` */
	struct dict at_cut;
};

static const struct dict *entry_elements(const struct entry *e)
{
	const struct zset *zset = entry_zset(e);

	return zset ? &zset->members : entry_dict(e);
}

static void value_init(struct value *v, const struct entry *e, uint64_t cut)
{
	const struct dict *dict = entry_elements(e);

	*v = (struct value){.e = e, .cut = cut};
	if (cut == EPOCH_NONE || !dict)
		return;
	v->at_cut.table.root = dict_root_at(dict, cut);
	v->dict = &v->at_cut;
}

/* Whether all of the value are bytes in its entry. */
static bool is_packed(const struct value *v)
{
	return !(v->e->flags & ENTRY_STRUCTURE);
}

static void write_packed(const struct value *v, struct rdb_out *out)
{
	rdb_write_blob(out, entry_value(v->e));
}

/* --- strings --- */

static uint8_t string_type(const struct value *v)
{
	return RDB_STRING;
}

static void string_encode(const struct value *v, uint8_t type, struct rdb_out *out)
{
	char *scratch;

	rdb_write_string(out, string_bytes_at(v->e, v->cut, &scratch));
	mem_free_unsized(scratch);
}

/* --- packing for the occasion --- */

/* A listpack that is being made, first measured, then filled. */
struct packing {
	struct listpack_builder builder;
	size_t bytes;
	bool measured;
};

static void pack(struct packing *p, struct listpack_item item)
{
	size_t bytes = listpack_item_bytes(item);

	if (!p->measured)
		p->bytes += bytes;
	else if (p->builder.at + bytes < p->bytes)
		listpack_append(&p->builder, item);
	/* else a writer was in a reader's way */
}

static void packing_fill(struct packing *p)
{
	listpack_start(&p->builder, mem_alloc(p->bytes));
	p->measured = true;
}

/* Writes it and frees it. */
static void packing_write(struct packing *p, struct rdb_out *out)
{
	char *bytes = p->builder.bytes;

	rdb_write_blob(out, (struct slice){bytes, listpack_finish(&p->builder)});
	mem_free(bytes, p->bytes);
}

/* --- lists --- */

static uint8_t list_type(const struct value *v)
{
	return RDB_LIST_QUICKLIST_2;
}

/* A list's nodes as they come: counted first, then written. */
struct node {
	struct rdb_out *out; /* NULL: count */
	size_t bytes_max;
	uint64_t count;
	/* the node that is being made: some elements from here on */
	struct list_iter from;
	uint64_t elements;
	size_t bytes;
};

static void write_node(struct node *node)
{
	struct packing packing = {.bytes = node->bytes, .measured = true};
	struct list_element element;

	rdb_write_length(node->out, RDB_NODE_LISTPACK);
	packing_fill(&packing);
	while (node->elements-- > 0 && list_iter_next(&node->from, &element))
		pack(&packing, element.item);
	packing_write(&packing, node->out);
}

static void end_node(struct node *node)
{
	if (node->elements == 0)
		return;
	node->count++;
	if (node->out)
		write_node(node);
	node->elements = 0;
	node->bytes = LISTPACK_BYTES_MIN;
}

static void add_alone(struct node *node, struct list_element element)
{
	end_node(node);
	node->count++;
	if (!node->out)
		return;
	rdb_write_length(node->out, RDB_NODE_ELEMENT);
	rdb_write_blob(node->out, element.item.text);
}

static uint64_t walk_nodes(const struct value *v, struct rdb_out *out, struct shard *shard)
{
	struct node node = {.out = out, .bytes_max = NODE_BYTES_MAX, .bytes = LISTPACK_BYTES_MIN};
	struct list_element element;
	struct list_iter reader, before;

	if (entry_encoding(v->e) == ENCODING_LISTPACK)
		node.bytes_max = PACK_BYTES_MAX; /* Redis would have one node */
	list_read_at(&reader, v->e, v->cut);
	for (before = reader; list_iter_next(&reader, &element); before = reader) {
		size_t bytes = listpack_item_bytes(element.item);
		turn_step(shard);
		if (bytes > node.bytes_max - LISTPACK_BYTES_MIN) {
			add_alone(&node, element);
			continue;
		}
		if (node.bytes + bytes > node.bytes_max)
			end_node(&node);
		if (node.elements++ == 0)
			node.from = before;
		node.bytes += bytes;
	}
	end_node(&node);
	return node.count;
}

static void list_encode(const struct value *v, uint8_t type, struct rdb_out *out)
{
	if (is_packed(v)) {
		rdb_write_length(out, 1);
		rdb_write_length(out, RDB_NODE_LISTPACK);
		write_packed(v, out);
		return;
	}
	rdb_write_length(out, walk_nodes(v, NULL, out->shard));
	walk_nodes(v, out, out->shard);
}

/* --- sets --- */

static struct set set_of_value(const struct value *v)
{
	return v->dict ? (struct set){.dict = v->dict} : set_of(v->e);
}

static uint8_t set_type(const struct value *v)
{
	struct set set = set_of_value(v);

	if (entry_encoding(v->e) != ENCODING_INTSET)
		return RDB_SET; /* listpacks are a later version's */
	return set_count(&set) <= PACK_BYTES_MAX / sizeof(int64_t) ? RDB_SET_INTSET : RDB_SET;
}

static bool write_member(void *arg, struct listpack_item member)
{
	char room[NUMBER_TEXT_MAX];

	rdb_write_string(arg, listpack_item_text(member, room));
	return true;
}

struct integers {
	int64_t *list;
	size_t count, room;
};

static bool take_integer(void *arg, struct listpack_item member)
{
	struct integers *integers = arg;

	if (!listpack_item_is_number(member))
		member = listpack_item_of(member.text);
	if (listpack_item_is_number(member) && integers->count < integers->room)
		integers->list[integers->count++] = member.number;
	return true;
}

static int compare_integers(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* An intset of the members, in order. */
static void write_intset(const struct set *set, struct rdb_out *out)
{
	struct integers integers = {.room = set_count(set)};
	size_t room = integers.room * sizeof(int64_t) + INTSET_HEADER;

	integers.list = mem_alloc(room);
	set_walk(set, take_integer, &integers);
	qsort(integers.list, integers.count, sizeof(int64_t), compare_integers);
	char *intset = mem_alloc(room);
	memcpy(intset, INTSET_EMPTY, INTSET_HEADER);
	for (size_t i = 0; i < integers.count; i++)
		intset_add(intset, intset, i, integers.list[i]);
	rdb_write_blob(out, (struct slice){intset, intset_bytes(intset)});
	mem_free(intset, room);
	mem_free(integers.list, room);
}

static void set_encode(const struct value *v, uint8_t type, struct rdb_out *out)
{
	struct set set = set_of_value(v);

	if (type == RDB_SET) {
		rdb_write_length(out, set_count(&set));
		set_walk(&set, write_member, out);
	} else if (is_packed(v)) {
		write_packed(v, out);
	} else {
		write_intset(&set, out);
	}
}

/* --- hashes --- */

static void note_earliest(void *arg, const struct hash_field *field)
{
	int64_t *earliest = arg;

	if (field->expire < *earliest)
		*earliest = field->expire;
}

static void walk_fields(const struct value *v, hash_visit *visit, void *arg)
{
	if (v->dict)
		hash_dict_walk(v->dict, INT64_MIN, visit, arg);
	else
		hash_walk(v->e, INT64_MIN, visit, arg);
}

/* EXPIRE_NEVER: version 10 knows all of it. */
static int64_t earliest_of(const struct value *v)
{
	int64_t earliest = EXPIRE_NEVER;

	if (v->e->flags & ENTRY_FIELD_TTL)
		walk_fields(v, note_earliest, &earliest);
	return earliest;
}

static void pack_field(void *arg, const struct hash_field *field)
{
	pack(arg, listpack_item_of(field->name));
	pack(arg, listpack_item_of(field->value));
}

static bool is_small_hash(const struct value *v)
{
	enum entry_encoding encoding = entry_encoding(v->e);
	struct packing packing = {.bytes = LISTPACK_BYTES_MIN};

	if (encoding != ENCODING_LISTPACK && encoding != ENCODING_LISTPACKEX)
		return false;
	if (!is_packed(v))
		walk_fields(v, pack_field, &packing);
	return packing.bytes <= PACK_BYTES_MAX;
}

static uint8_t hash_type(const struct value *v)
{
	bool small = is_small_hash(v);

	if (earliest_of(v) == EXPIRE_NEVER)
		return small ? RDB_HASH_LISTPACK : RDB_HASH;
	return small && is_packed(v) ? RDB_HASH_LISTPACKEX : RDB_HASH_FIELDS;
}

struct field_writing {
	struct rdb_out *out;
	int64_t earliest; /* EXPIRE_NEVER: no field has a time */
};

static void write_field(void *arg, const struct hash_field *field)
{
	const struct field_writing *w = arg;
	bool never = field->expire == EXPIRE_NEVER;

	if (w->earliest != EXPIRE_NEVER)
		rdb_write_length(w->out, never ? 0 : (uint64_t)(field->expire - w->earliest) + 1);
	rdb_write_string(w->out, field->name);
	rdb_write_string(w->out, field->value);
}

static void write_fields(const struct value *v, struct rdb_out *out, int64_t earliest)
{
	rdb_write_length(out, v->dict ? dict_count(v->dict) : hash_length(NULL, v->e, INT64_MIN));
	walk_fields(v, write_field, &(struct field_writing){out, earliest});
}

static void write_pairs(const struct value *v, struct rdb_out *out)
{
	struct packing packing = {.bytes = LISTPACK_BYTES_MIN};

	walk_fields(v, pack_field, &packing);
	packing_fill(&packing);
	walk_fields(v, pack_field, &packing);
	packing_write(&packing, out);
}

static void hash_encode(const struct value *v, uint8_t type, struct rdb_out *out)
{
	int64_t earliest = EXPIRE_NEVER;

	if (type == RDB_HASH_LISTPACKEX || type == RDB_HASH_FIELDS) {
		earliest = earliest_of(v);
		rdb_write_u64(out, (uint64_t)earliest);
	}
	if (type == RDB_HASH || type == RDB_HASH_FIELDS)
		write_fields(v, out, earliest);
	else if (is_packed(v) && (type == RDB_HASH_LISTPACKEX || !(v->e->flags & ENTRY_FIELD_TTL)))
		write_packed(v, out);
	else
		write_pairs(v, out);
}

/* --- sorted sets --- */

static void pack_scored(void *arg, const struct zset_element *element)
{
	char room[NUMBER_DOUBLE_TEXT_MAX];

	pack(arg, listpack_item_of(element->member));
	pack(arg, zset_score_item(element->score, room));
}

static void walk_zset(const struct value *v, zset_visit *visit, void *arg)
{
	zset_value_walk(v->e, 0, UINT64_MAX, false, visit, arg);
}

static uint8_t zset_type(const struct value *v)
{
	struct packing packing = {.bytes = LISTPACK_BYTES_MIN};

	if (entry_encoding(v->e) != ENCODING_LISTPACK || v->dict)
		return RDB_ZSET_2;
	if (!is_packed(v))
		walk_zset(v, pack_scored, &packing);
	return packing.bytes <= PACK_BYTES_MAX ? RDB_ZSET_LISTPACK : RDB_ZSET_2;
}

static void write_scored(void *arg, const struct zset_element *element)
{
	rdb_write_string(arg, element->member);
	rdb_write_double(arg, element->score);
}

static void write_element(void *arg, struct entry *element)
{
	rdb_write_string(arg, entry_key(element));
	rdb_write_double(arg, zset_entry_score(element));
}

static void write_scores(const struct value *v, struct rdb_out *out)
{
	rdb_write_length(out, v->dict ? dict_count(v->dict) : zset_value_count(v->e));
	if (v->dict)
		dict_walk(v->dict, write_element, out);
	else
		walk_zset(v, write_scored, out);
}

static void zset_encode(const struct value *v, uint8_t type, struct rdb_out *out)
{
	struct packing packing = {.bytes = LISTPACK_BYTES_MIN};

	if (type == RDB_ZSET_2) {
		write_scores(v, out);
	} else if (is_packed(v)) {
		write_packed(v, out);
	} else {
		walk_zset(v, pack_scored, &packing);
		packing_fill(&packing);
		walk_zset(v, pack_scored, &packing);
		packing_write(&packing, out);
	}
}

/* --- all types --- */

static const struct {
	uint8_t (*type)(const struct value *v);
	void (*encode)(const struct value *v, uint8_t type, struct rdb_out *out);
} types[ENTRY_TYPE_COUNT] = {
	[ENTRY_STRING] = {string_type, string_encode}, [ENTRY_LIST] = {list_type, list_encode},
	[ENTRY_SET] = {set_type, set_encode},          [ENTRY_ZSET] = {zset_type, zset_encode},
	[ENTRY_HASH] = {hash_type, hash_encode},
};

uint8_t rdb_type_at(const struct entry *e, uint64_t cut)
{
	struct value v;

	value_init(&v, e, cut);
	return types[entry_type(e)].type(&v);
}

uint32_t rdb_type_version(uint8_t type)
{
	return type >= RDB_HASH_FIELDS_OLD ? RDB_VERSION_FIELDS : RDB_VERSION;
}

void rdb_encode_at(const struct entry *e, uint64_t cut, uint8_t type, struct rdb_out *out)
{
	struct value v;

	value_init(&v, e, cut);
	types[entry_type(e)].encode(&v, type, out);
}

struct counting {
	struct rdb_out out;
	size_t bytes;
};

static void count_bytes(struct rdb_out *out)
{
	((struct counting *)out)->bytes += out->len;
	out->len = 0;
}

size_t rdb_size(const struct entry *e)
{
	struct counting counting = {.out = {.compress = true, .drain = count_bytes}};

	rdb_encode(e, rdb_type_of(e), &counting.out);
	count_bytes(&counting.out);
	rdb_out_deinit(&counting.out);
	return counting.bytes;
}

void rdb_write_unsummed(struct rdb_out *out, const struct entry *e)
{
	uint8_t type = rdb_type_of(e);
	uint16_t version = (uint16_t)rdb_type_version(type);

	rdb_write_byte(out, type);
	rdb_encode(e, type, out);
	rdb_write_bytes(out, (struct slice){(const char *)&version, sizeof(version)});
}

void rdb_write_payload(struct rdb_out *out, const struct entry *e)
{
	rdb_write_unsummed(out, e);
	rdb_write_u64(out, crc64(0, out->bytes, out->len));
}
