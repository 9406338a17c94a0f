/*
 * Writing values as RDB's bytes (rdb_value.h).
 *
 * Packed values already are in Redis' formats and go out as they are. Larger ones that Redis
 * would have packed are packed for the occasion; the others are strings one after another.
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

/* Whether all of the value are bytes in its entry. */
static bool is_packed(const struct entry *e)
{
	return !(e->flags & ENTRY_STRUCTURE);
}

static void write_packed(const struct entry *e, struct rdb_out *out)
{
	rdb_write_blob(out, entry_value(e));
}

/* --- strings --- */

static uint8_t string_type(const struct entry *e)
{
	return RDB_STRING;
}

static void string_encode(const struct entry *e, uint8_t type, struct rdb_out *out)
{
	char *scratch;

	rdb_write_string(out, string_bytes(e, &scratch));
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

static uint8_t list_type(const struct entry *e)
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

static uint64_t walk_nodes(const struct entry *e, struct rdb_out *out)
{
	struct node node = {.out = out, .bytes_max = NODE_BYTES_MAX, .bytes = LISTPACK_BYTES_MIN};
	struct list_element element;
	struct list_iter reader, before;

	if (entry_encoding(e) == ENCODING_LISTPACK)
		node.bytes_max = PACK_BYTES_MAX; /* Redis would have one node */
	list_read(&reader, e, 0, LIST_BACK);
	for (before = reader; list_iter_next(&reader, &element); before = reader) {
		size_t bytes = listpack_item_bytes(element.item);
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

static void list_encode(const struct entry *e, uint8_t type, struct rdb_out *out)
{
	if (is_packed(e)) {
		rdb_write_length(out, 1);
		rdb_write_length(out, RDB_NODE_LISTPACK);
		write_packed(e, out);
		return;
	}
	rdb_write_length(out, walk_nodes(e, NULL));
	walk_nodes(e, out);
}

/* --- sets --- */

static uint8_t set_type(const struct entry *e)
{
	struct set set = set_of(e);

	if (entry_encoding(e) != ENCODING_INTSET)
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

static void set_encode(const struct entry *e, uint8_t type, struct rdb_out *out)
{
	struct set set = set_of(e);

	if (type == RDB_SET) {
		rdb_write_length(out, set_count(&set));
		set_walk(&set, write_member, out);
	} else if (is_packed(e)) {
		write_packed(e, out);
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

/* EXPIRE_NEVER: version 10 knows all of it. */
static int64_t earliest_of(const struct entry *e)
{
	int64_t earliest = EXPIRE_NEVER;

	if (e->flags & ENTRY_FIELD_TTL)
		hash_walk(e, INT64_MIN, note_earliest, &earliest);
	return earliest;
}

static void pack_field(void *arg, const struct hash_field *field)
{
	pack(arg, listpack_item_of(field->name));
	pack(arg, listpack_item_of(field->value));
}

static bool is_small_hash(const struct entry *e)
{
	enum entry_encoding encoding = entry_encoding(e);
	struct packing packing = {.bytes = LISTPACK_BYTES_MIN};

	if (encoding != ENCODING_LISTPACK && encoding != ENCODING_LISTPACKEX)
		return false;
	if (!is_packed(e))
		hash_walk(e, INT64_MIN, pack_field, &packing);
	return packing.bytes <= PACK_BYTES_MAX;
}

static uint8_t hash_type(const struct entry *e)
{
	bool small = is_small_hash(e);

	if (earliest_of(e) == EXPIRE_NEVER)
		return small ? RDB_HASH_LISTPACK : RDB_HASH;
	return small && is_packed(e) ? RDB_HASH_LISTPACKEX : RDB_HASH_FIELDS;
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

static void write_fields(const struct entry *e, struct rdb_out *out, int64_t earliest)
{
	rdb_write_length(out, hash_length(NULL, e, INT64_MIN));
	hash_walk(e, INT64_MIN, write_field, &(struct field_writing){out, earliest});
}

static void write_pairs(const struct entry *e, struct rdb_out *out)
{
	struct packing packing = {.bytes = LISTPACK_BYTES_MIN};

	hash_walk(e, INT64_MIN, pack_field, &packing);
	packing_fill(&packing);
	hash_walk(e, INT64_MIN, pack_field, &packing);
	packing_write(&packing, out);
}

static void hash_encode(const struct entry *e, uint8_t type, struct rdb_out *out)
{
	int64_t earliest = EXPIRE_NEVER;

	if (type == RDB_HASH_LISTPACKEX || type == RDB_HASH_FIELDS) {
		earliest = earliest_of(e);
		rdb_write_u64(out, (uint64_t)earliest);
	}
	if (type == RDB_HASH || type == RDB_HASH_FIELDS)
		write_fields(e, out, earliest);
	else if (is_packed(e) && (type == RDB_HASH_LISTPACKEX || !(e->flags & ENTRY_FIELD_TTL)))
		write_packed(e, out);
	else
		write_pairs(e, out);
}

/* --- sorted sets --- */

static void pack_scored(void *arg, const struct zset_element *element)
{
	char room[NUMBER_DOUBLE_TEXT_MAX];

	pack(arg, listpack_item_of(element->member));
	pack(arg, zset_score_item(element->score, room));
}

static void walk_zset(const struct entry *e, zset_visit *visit, void *arg)
{
	zset_value_walk(e, 0, UINT64_MAX, false, visit, arg);
}

static uint8_t zset_type(const struct entry *e)
{
	struct packing packing = {.bytes = LISTPACK_BYTES_MIN};

	if (entry_encoding(e) != ENCODING_LISTPACK)
		return RDB_ZSET_2;
	if (!is_packed(e))
		walk_zset(e, pack_scored, &packing);
	return packing.bytes <= PACK_BYTES_MAX ? RDB_ZSET_LISTPACK : RDB_ZSET_2;
}

static void write_scored(void *arg, const struct zset_element *element)
{
	rdb_write_string(arg, element->member);
	rdb_write_double(arg, element->score);
}

static void zset_encode(const struct entry *e, uint8_t type, struct rdb_out *out)
{
	struct packing packing = {.bytes = LISTPACK_BYTES_MIN};

	if (type == RDB_ZSET_2) {
		rdb_write_length(out, zset_value_count(e));
		walk_zset(e, write_scored, out);
	} else if (is_packed(e)) {
		write_packed(e, out);
	} else {
		walk_zset(e, pack_scored, &packing);
		packing_fill(&packing);
		walk_zset(e, pack_scored, &packing);
		packing_write(&packing, out);
	}
}

/* --- all types --- */

static const struct {
	uint8_t (*type)(const struct entry *e);
	void (*encode)(const struct entry *e, uint8_t type, struct rdb_out *out);
} types[ENTRY_TYPE_COUNT] = {
	[ENTRY_STRING] = {string_type, string_encode}, [ENTRY_LIST] = {list_type, list_encode},
	[ENTRY_SET] = {set_type, set_encode},          [ENTRY_ZSET] = {zset_type, zset_encode},
	[ENTRY_HASH] = {hash_type, hash_encode},
};

uint8_t rdb_type_of(const struct entry *e)
{
	return types[entry_type(e)].type(e);
}

uint32_t rdb_type_version(uint8_t type)
{
	return type >= RDB_HASH_FIELDS_OLD ? RDB_VERSION_FIELDS : RDB_VERSION;
}

void rdb_encode(const struct entry *e, uint8_t type, struct rdb_out *out)
{
	types[entry_type(e)].encode(e, type, out);
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

void rdb_write_payload(struct rdb_out *out, const struct entry *e)
{
	uint8_t type = rdb_type_of(e);
	uint16_t version = (uint16_t)rdb_type_version(type);

	rdb_write_byte(out, type);
	rdb_encode(e, type, out);
	rdb_write_bytes(out, (struct slice){(const char *)&version, sizeof(version)});
	rdb_write_u64(out, crc64(0, out->bytes, out->len));
}
