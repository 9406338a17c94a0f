/*
 * Entries: laying out a key, a value and what goes with them in one allocation.
 *
 * An entry is made in one of three ways: with its value inline, with its value in a blob (from
 * ENTRY_BLOB_MIN on), or around a structure. The last two differ from the first only in
 * what stands in the place of the value: a pointer. What hangs off it is let go in entry_free().
 */
#include "shard/entry.h"

#include "proto/mem.h"
#include "proto/number.h"
#include "shard/hash_value.h"
#include "shard/value.h"

#include <assert.h>
#include <string.h>

/* Lengths up to these stand in the entry's first 8 bytes. */
#define SHORT_KEY_MAX   UINT8_MAX
#define SHORT_VALUE_MAX UINT16_MAX

/* Lengths are 32 bits wide; the request parser allows far less. */
#define LENGTH_MAX UINT32_MAX

/*
 * An entry with all but the value's bytes filled in. `vlen` is the inline length: that of a
 * pointer, with ENTRY_BLOB or one of ENTRY_STRUCTURE among the flags.
 */
static struct entry *entry_make(const struct entry_spec *spec, size_t vlen, unsigned flags)
{
	size_t klen = spec->key.len;
	struct entry *e;

	assert(klen <= LENGTH_MAX && vlen <= LENGTH_MAX);
	if (spec->expire != EXPIRE_NEVER)
		flags |= ENTRY_EXPIRES;
	if (spec->field_ttl)
		flags |= ENTRY_FIELD_TTL;
	if (klen > SHORT_KEY_MAX || vlen > SHORT_VALUE_MAX)
		flags |= ENTRY_LONG;
	e = mem_alloc(sizeof(*e) + entry_extra(flags) + klen + vlen);
	e->kind = spec->type | spec->encoding << 4;
	e->flags = flags;
	if (flags & ENTRY_LONG) {
		uint32_t lengths[2] = {klen, vlen};
		memcpy(e->rest + entry_extra(flags) - sizeof(lengths), lengths, sizeof(lengths));
		klen = vlen = 0;
	}
	e->vlen = vlen;
	atomic_init(&e->access,
		    (uint32_t)klen << ENTRY_ACCESS_BITS | (spec->access & ENTRY_ACCESS_MASK));
	if (flags & ENTRY_EXPIRES)
		memcpy(e->rest, &spec->expire, sizeof(spec->expire));
	if (spec->key.len > 0)
		memcpy(e->rest + entry_extra(flags), spec->key.ptr, spec->key.len);
	return e;
}

/* Where the inline value stands: bytes, or a pointer. */
static char *entry_inline(const struct entry *e)
{
	struct slice key = entry_key(e);

	return (char *)key.ptr + key.len;
}

static size_t entry_inline_len(const struct entry *e)
{
	uint32_t vlen = e->vlen;

	if (e->flags & ENTRY_LONG)
		memcpy(&vlen, e->rest + entry_extra(e->flags) - sizeof(vlen), sizeof(vlen));
	return vlen;
}

static void *entry_pointer(const struct entry *e)
{
	void *ptr;

	memcpy(&ptr, entry_inline(e), sizeof(ptr));
	return ptr;
}

static struct entry *entry_make_pointer(const struct entry_spec *spec, enum entry_flag flag,
					void *ptr)
{
	struct entry *e = entry_make(spec, sizeof(ptr), flag);

	memcpy(entry_inline(e), &ptr, sizeof(ptr));
	return e;
}

struct entry *entry_new(const struct entry_spec *spec)
{
	size_t len = spec->value.len;
	struct entry *e;

	if (len >= ENTRY_BLOB_MIN)
		e = entry_make_pointer(spec, ENTRY_BLOB, blob_new(len));
	else
		e = entry_make(spec, len, 0);
	if (spec->value.ptr && len > 0)
		memcpy(entry_value_room(e), spec->value.ptr, len);
	return e;
}

char *entry_value_room(struct entry *e)
{
	assert(!(e->flags & ENTRY_STRUCTURE));
	return e->flags & ENTRY_BLOB ? entry_blob(e)->bytes : entry_inline(e);
}

const char *entry_encoding_name(enum entry_encoding encoding)
{
	static const char *const names[ENCODING_COUNT] = {
		[ENCODING_RAW] = "raw",
		[ENCODING_INT] = "int",
		[ENCODING_EMBSTR] = "embstr",
		[ENCODING_LISTPACK] = "listpack",
		[ENCODING_LISTPACKEX] = "listpackex",
		[ENCODING_INTSET] = "intset",
		[ENCODING_HASHTABLE] = "hashtable",
		[ENCODING_SKIPLIST] = "skiplist",
		[ENCODING_QUICKLIST] = "quicklist",
	};

	assert(encoding < ENCODING_COUNT);
	return names[encoding];
}

static enum entry_encoding string_encoding(struct slice value)
{
	int64_t n;

	if (value.len > EMBSTR_MAX)
		return ENCODING_RAW;
	return number_parse(value, &n) ? ENCODING_INT : ENCODING_EMBSTR;
}

struct entry *entry_new_string(struct slice key, struct slice value, int64_t expire,
			       uint32_t access)
{
	struct entry_spec spec = {
		.key = key,
		.value = value,
		.expire = expire,
		.type = ENTRY_STRING,
		.encoding = string_encoding(value),
		.access = access,
	};

	return entry_new(&spec);
}

struct entry *entry_new_owner_only(const struct entry_spec *spec, void *structure)
{
	assert(structure);
	return entry_make_pointer(spec, ENTRY_OWNER_ONLY, structure);
}

struct entry *entry_new_dict(const struct entry_spec *spec, struct dict *dict)
{
	assert(dict);
	return entry_make_pointer(spec, ENTRY_DICT, dict);
}

struct entry *entry_new_ordered(const struct entry_spec *spec, struct zset *zset)
{
	assert(zset);
	return entry_make_pointer(spec, ENTRY_ORDERED, zset);
}

struct entry_spec entry_spec_of(const struct entry *e)
{
	return (struct entry_spec){
		.key = entry_key(e),
		.expire = entry_expire(e),
		.type = entry_type(e),
		.encoding = entry_encoding(e),
		.access = entry_access(e),
		.field_ttl = e->flags & ENTRY_FIELD_TTL,
	};
}

/* The value of `e` in an entry made of `spec`. */
static struct entry *entry_again(const struct entry *e, struct entry_spec *spec)
{
	if (e->flags & ENTRY_STRUCTURE)
		return entry_make_pointer(spec, e->flags & ENTRY_STRUCTURE, entry_pointer(e));
	if (e->flags & ENTRY_BLOB)
		return entry_make_pointer(spec, ENTRY_BLOB, blob_ref(entry_pointer(e)));
	spec->value = entry_value(e);
	return entry_new(spec);
}

struct entry *entry_with_expire(const struct entry *e, int64_t expire)
{
	struct entry_spec spec = entry_spec_of(e);

	spec.expire = expire;
	return entry_again(e, &spec);
}

struct entry *entry_with_key(const struct entry *e, struct slice key, int64_t expire)
{
	struct entry_spec spec = entry_spec_of(e);

	spec.key = key;
	spec.expire = expire;
	return entry_again(e, &spec);
}

struct entry *entry_with_encoding(const struct entry *e, enum entry_encoding encoding,
				  bool field_ttl)
{
	struct entry_spec spec = entry_spec_of(e);

	spec.encoding = encoding;
	spec.field_ttl = field_ttl;
	return entry_again(e, &spec);
}

struct entry *entry_copy(const struct entry *e, struct slice key, struct shard *shard)
{
	const struct structure_type *structure = value_structure(e);
	struct entry_spec spec = entry_spec_of(e);

	spec.key = key;
	if (!structure)
		return entry_again(e, &spec);
	return entry_make_pointer(&spec, e->flags & ENTRY_STRUCTURE,
				  structure->copy(entry_pointer(e), shard));
}

struct slice entry_value(const struct entry *e)
{
	assert(!(e->flags & ENTRY_STRUCTURE));
	if (e->flags & ENTRY_BLOB) {
		const struct blob *blob = entry_pointer(e);
		return (struct slice){blob->bytes, blob->len};
	}
	return (struct slice){entry_inline(e), entry_inline_len(e)};
}

struct blob *entry_blob(const struct entry *e)
{
	return e->flags & ENTRY_BLOB ? entry_pointer(e) : NULL;
}

void *entry_structure(const struct entry *e)
{
	assert(e->flags & ENTRY_STRUCTURE);
	return entry_pointer(e);
}

int64_t entry_fields_due(const struct entry *e)
{
	assert(entry_type(e) == ENTRY_HASH && (e->flags & ENTRY_FIELD_TTL));
	return hash_fields_due(e);
}

/*
 * Relaxed, and lost updates do no harm: the bits are a hint, the key's length beside them is
 * constant.
 */
void entry_set_access(struct entry *e, uint32_t access)
{
	uint32_t old = atomic_load_explicit(&e->access, memory_order_relaxed);
	uint32_t new = (old & ~ENTRY_ACCESS_MASK) | (access & ENTRY_ACCESS_MASK);

	if (new != old)
		atomic_store_explicit(&e->access, new, memory_order_relaxed);
}

size_t entry_size(const struct entry *e)
{
	return sizeof(*e) + entry_extra(e->flags) + entry_key(e).len + entry_inline_len(e);
}

size_t entry_memory(const struct entry *e)
{
	size_t size = mem_class(entry_size(e));
	const struct structure_type *structure = value_structure(e);

	if (e->flags & ENTRY_BLOB)
		size += mem_class(sizeof(struct blob) + entry_blob(e)->len);
	if (structure)
		size += structure->memory(entry_pointer(e));
	return size;
}

void entry_free(struct entry *e)
{
	uint64_t at = 0;
	size_t budget = SIZE_MAX;

	if (e && !entry_free_slice(e, &at, &budget))
		assert(!"a structure that isn't freed by all the budget there is");
}

bool entry_free_slice(struct entry *e, uint64_t *at, size_t *budget)
{
	const struct structure_type *structure = value_structure(e);

	if (structure && !structure->free_slice(entry_pointer(e), at, budget))
		return false;
	*budget -= *budget > 0;
	entry_free_shallow(e);
	return true;
}

void entry_free_shallow(struct entry *e)
{
	if (!e)
		return;
	if (e->flags & ENTRY_BLOB)
		blob_unref(entry_pointer(e));
	mem_free(e, entry_size(e));
}
