/*
 * RDB's bytes, written and read (rdb.h).
 */
#include "shard/rdb.h"

#include "proto/mem.h"

#include <assert.h>
#include <liblzf/lzf.h>
#include <math.h>

/* The first byte of a length or string: two bits say how it goes on. */
#define LENGTH_6      0x00
#define LENGTH_14     0x40
#define LENGTH_32     0x80
#define LENGTH_64     0x81
#define STRING_NUMBER 0xc0 /* + 0, 1, 2: of 1, 2, 4 bytes */
#define STRING_LZF    0xc3

/* Only texts up to this length can be one of those numbers. */
#define NUMBER_LENGTH_MAX 11
/* Shorter strings are not worth packing: Redis' border. */
#define COMPRESS_MIN 21
/* What packing has to save at least. */
#define COMPRESS_SAVES 4
/*
 * After so many strings in a row that did not get shorter: chance alone hardly brings them when one
 * in some would.
 */
#define HOPELESS_MIN 32
/* ... about so many are not tried after each that still doesn't, but never more bytes than that. */
#define UNTRIED_STRINGS 15
#define UNTRIED_MAX     (16u * 1024)
/* The longest run that LZF says in so many bytes: what is packed never grows more than that. */
#define LZF_RUN       264
#define LZF_RUN_BYTES 3

/* The older doubles: from here on the byte of length means something else. */
#define DOUBLE_NAN       253
#define DOUBLE_INFINITY  254
#define DOUBLE_NEGATIVE  255

#define MODULE_PARTS_END 0

static const char error_short[] = "the bytes end too early";

/* --- writing --- */

void rdb_out_deinit(struct rdb_out *out)
{
	mem_free_unsized(out->bytes);
	*out = (struct rdb_out){0};
}

static char *room_for(struct rdb_out *out, size_t len)
{
	if (out->drain && out->len >= RDB_DRAIN_BYTES) {
		out->drain(out);
		assert(out->len == 0);
	}
	if (out->cap - out->len < len) {
		size_t wanted = out->len + len > 2 * out->cap ? out->len + len : 2 * out->cap;
		out->cap = mem_class(wanted < 64 ? 64 : wanted);
		out->bytes = mem_realloc(out->bytes, out->cap);
	}
	return out->bytes + out->len;
}

/* In parts, so that a drain keeps up. */
void rdb_write_bytes(struct rdb_out *out, struct slice bytes)
{
	while (bytes.len > 0) {
		size_t part = bytes.len;
		if (out->drain && part > RDB_DRAIN_BYTES)
			part = RDB_DRAIN_BYTES;
		memcpy(room_for(out, part), bytes.ptr, part);
		out->len += part;
		bytes.ptr += part;
		bytes.len -= part;
	}
}

void rdb_write_byte(struct rdb_out *out, uint8_t byte)
{
	*room_for(out, 1) = (char)byte;
	out->len++;
}

static void write_high_first(struct rdb_out *out, uint64_t n, unsigned bytes)
{
	while (bytes-- > 0)
		rdb_write_byte(out, (uint8_t)(n >> 8 * bytes));
}

static void write_low_first(struct rdb_out *out, uint64_t n, unsigned bytes)
{
	memcpy(room_for(out, bytes), &n, bytes);
	out->len += bytes;
}

void rdb_write_length(struct rdb_out *out, uint64_t n)
{
	if (n < 1 << 6) {
		rdb_write_byte(out, (uint8_t)(LENGTH_6 | n));
	} else if (n < 1 << 14) {
		write_high_first(out, LENGTH_14 << 8 | n, 2);
	} else if (n <= UINT32_MAX) {
		rdb_write_byte(out, LENGTH_32);
		write_high_first(out, n, 4);
	} else {
		rdb_write_byte(out, LENGTH_64);
		write_high_first(out, n, 8);
	}
}

void rdb_write_u64(struct rdb_out *out, uint64_t n)
{
	write_low_first(out, n, sizeof(n));
}

void rdb_write_double(struct rdb_out *out, double d)
{
	uint64_t bits;

	memcpy(&bits, &d, sizeof(bits));
	rdb_write_u64(out, bits);
}

static bool write_number(struct rdb_out *out, struct slice text)
{
	int64_t n;

	if (text.len > NUMBER_LENGTH_MAX || !number_parse(text, &n) || n != (int32_t)n)
		return false;
	unsigned power = n == (int8_t)n ? 0 : n == (int16_t)n ? 1 : 2;
	rdb_write_byte(out, (uint8_t)(STRING_NUMBER + power));
	write_low_first(out, (uint64_t)n, 1u << power);
	return true;
}

/*
 * What doesn't get shorter costs most of the time of a snapshot. So after a while of only such
 * strings no more than one in some is tried, until one does. A string longer than that is always
 * tried.
 */
static bool is_tried(struct rdb_out *out, size_t len)
{
	if (len > out->untried)
		return true;
	out->untried -= (uint32_t)len;
	return false;
}

static void note_compression(struct rdb_out *out, size_t len, bool shorter)
{
	out->untried = 0;
	out->hopeless = shorter ? 0 : out->hopeless + 1;
	if (out->hopeless < HOPELESS_MIN)
		return;
	out->hopeless = HOPELESS_MIN;
	out->untried =
		len < UNTRIED_MAX / UNTRIED_STRINGS ? (uint32_t)len * UNTRIED_STRINGS : UNTRIED_MAX;
}

static bool write_compressed(struct rdb_out *out, struct slice bytes)
{
	if (!out->compress || bytes.len < COMPRESS_MIN || bytes.len > UINT32_MAX ||
	    !is_tried(out, bytes.len))
		return false;
	char small[1024];
	size_t room = bytes.len - COMPRESS_SAVES;
	char *packed = room <= sizeof(small) ? small : mem_alloc(room);
	unsigned len = lzf_compress(bytes.ptr, (unsigned)bytes.len, packed, (unsigned)room);
	note_compression(out, bytes.len, len > 0);
	if (len > 0) {
		rdb_write_byte(out, STRING_LZF);
		rdb_write_length(out, len);
		rdb_write_length(out, bytes.len);
		rdb_write_bytes(out, (struct slice){packed, len});
	}
	if (packed != small)
		mem_free(packed, room);
	return len > 0;
}

void rdb_write_blob(struct rdb_out *out, struct slice bytes)
{
	if (write_compressed(out, bytes))
		return;
	rdb_write_length(out, bytes.len);
	rdb_write_bytes(out, bytes);
}

void rdb_write_string(struct rdb_out *out, struct slice text)
{
	if (!write_number(out, text))
		rdb_write_blob(out, text);
}

/* --- reading --- */

bool rdb_fail(struct rdb_in *in, const char *error)
{
	if (!in->error)
		in->error = error;
	return false;
}

bool rdb_read_bytes(struct rdb_in *in, size_t len, struct slice *bytes)
{
	if (in->error || (size_t)(in->end - in->at) < len)
		return rdb_fail(in, error_short);
	*bytes = (struct slice){in->at, len};
	in->at += len;
	return true;
}

bool rdb_read_byte(struct rdb_in *in, uint8_t *byte)
{
	struct slice one;

	if (!rdb_read_bytes(in, 1, &one))
		return false;
	*byte = (uint8_t)*one.ptr;
	return true;
}

static bool read_low_first(struct rdb_in *in, unsigned bytes, uint64_t *n)
{
	struct slice all;

	*n = 0;
	if (!rdb_read_bytes(in, bytes, &all))
		return false;
	memcpy(n, all.ptr, bytes);
	return true;
}

static bool read_high_first(struct rdb_in *in, unsigned bytes, uint64_t *n)
{
	struct slice all;

	*n = 0;
	if (!rdb_read_bytes(in, bytes, &all))
		return false;
	for (unsigned i = 0; i < bytes; i++)
		*n = *n << 8 | (uint8_t)all.ptr[i];
	return true;
}

/* A length of which the first byte has been read. */
static bool read_length_after(struct rdb_in *in, uint8_t first, uint64_t *n)
{
	if (first < LENGTH_14) {
		*n = first;
		return true;
	}
	if (first < LENGTH_32) {
		bool whole = read_high_first(in, 1, n);
		*n |= (uint64_t)(first & 63) << 8;
		return whole;
	}
	if (first == LENGTH_32)
		return read_high_first(in, 4, n);
	if (first == LENGTH_64)
		return read_high_first(in, 8, n);
	return rdb_fail(in, "no such form of a length");
}

bool rdb_read_length(struct rdb_in *in, uint64_t *n)
{
	uint8_t first;

	return rdb_read_byte(in, &first) && read_length_after(in, first, n);
}

bool rdb_read_u64(struct rdb_in *in, uint64_t *n)
{
	return read_low_first(in, sizeof(*n), n);
}

bool rdb_read_double(struct rdb_in *in, double *d)
{
	uint64_t bits;

	if (!rdb_read_u64(in, &bits))
		return false;
	memcpy(d, &bits, sizeof(bits));
	return true;
}

bool rdb_read_double_text(struct rdb_in *in, double *d)
{
	struct slice text;
	uint8_t len;

	if (!rdb_read_byte(in, &len))
		return false;
	if (len >= DOUBLE_NAN) {
		*d = len == DOUBLE_NAN ? NAN : len == DOUBLE_INFINITY ? INFINITY : -INFINITY;
		return true;
	}
	if (!rdb_read_bytes(in, len, &text))
		return false;
	return number_parse_double(text, d) || rdb_fail(in, "a score that is no number");
}

static bool read_number(struct rdb_in *in, unsigned bytes, struct rdb_string *string)
{
	unsigned spare = 64 - 8 * bytes;
	uint64_t n;

	if (!read_low_first(in, bytes, &n))
		return false;
	string->text.ptr = string->room;
	string->text.len = number_format(string->room, (int64_t)(n << spare) >> spare);
	return true;
}

/* Both lengths, and the packed bytes. */
static bool read_packed(struct rdb_in *in, struct slice *packed, uint64_t *len)
{
	uint64_t packed_len;

	if (!rdb_read_length(in, &packed_len) || !rdb_read_length(in, len) ||
	    !rdb_read_bytes(in, packed_len, packed))
		return false;
	if (*len == 0 || packed_len > UINT32_MAX || *len > UINT32_MAX ||
	    *len / LZF_RUN > packed_len / LZF_RUN_BYTES)
		return rdb_fail(in, "the length of a packed string can't be right");
	return true;
}

static bool read_compressed(struct rdb_in *in, struct rdb_string *string)
{
	struct slice packed;
	uint64_t len;

	if (!read_packed(in, &packed, &len))
		return false;
	if (len > in->string_max)
		return rdb_fail(in, "a string is too long");
	if (string->cap < len) {
		mem_free_unsized(string->scratch);
		string->cap = mem_class(len);
		string->scratch = mem_alloc(string->cap);
	}
	if (lzf_decompress(packed.ptr, (unsigned)packed.len, string->scratch, (unsigned)len) != len)
		return rdb_fail(in, "a packed string is damaged");
	string->text = (struct slice){string->scratch, len};
	return true;
}

bool rdb_read_string(struct rdb_in *in, struct rdb_string *string)
{
	uint64_t len;
	uint8_t first;

	if (!rdb_read_byte(in, &first))
		return false;
	if (first == STRING_LZF)
		return read_compressed(in, string);
	if (first >= STRING_NUMBER && first < STRING_LZF)
		return read_number(in, 1u << (first - STRING_NUMBER), string);
	if (!read_length_after(in, first, &len))
		return false;
	if (len > in->string_max)
		return rdb_fail(in, "a string is too long");
	return rdb_read_bytes(in, len, &string->text);
}

void rdb_string_deinit(struct rdb_string *string)
{
	mem_free_unsized(string->scratch);
	*string = (struct rdb_string){0};
}

/* --- stepping over --- */

static bool skip_string(struct rdb_in *in)
{
	struct slice bytes;
	uint64_t len;
	uint8_t first;

	if (!rdb_read_byte(in, &first))
		return false;
	if (first == STRING_LZF)
		return read_packed(in, &bytes, &len);
	if (first >= STRING_NUMBER && first < STRING_LZF)
		return rdb_read_bytes(in, (size_t)1 << (first - STRING_NUMBER), &bytes);
	return read_length_after(in, first, &len) && rdb_read_bytes(in, len, &bytes);
}

static bool skip_double(struct rdb_in *in)
{
	struct slice text;
	uint8_t len;

	return rdb_read_byte(in, &len) && rdb_read_bytes(in, len >= DOUBLE_NAN ? 0 : len, &text);
}

/*
 * A module's value tells of each part what it is: signed and unsigned number, float, double,
 * string.
 */
static bool skip_module_parts(struct rdb_in *in)
{
	static const char *const parts[] = {[1] = "l", "l", "4", "8", "s"};
	uint64_t part;

	for (;;) {
		if (!rdb_read_length(in, &part))
			return false;
		if (part == MODULE_PARTS_END)
			return true;
		if (part >= sizeof(parts) / sizeof(*parts))
			return rdb_fail(in, "no such part of a module's value");
		if (!rdb_skip(in, parts[part]))
			return false;
	}
}

static bool skip_part(struct rdb_in *in, char part)
{
	struct slice bytes;
	uint64_t n;

	switch (part) {
	case 's':
		return skip_string(in);
	case 'l':
		return rdb_read_length(in, &n);
	case 'd':
		return skip_double(in);
	case 'm':
		return skip_module_parts(in);
	default:
		return rdb_read_bytes(in, part == '6' ? 16 : (size_t)(part - '0'), &bytes);
	}
}

/* Behind the bracket that belongs to the one at `parts`. */
static const char *bracket_end(const char *parts)
{
	int depth = 0;

	do {
		depth += (*parts == '(') - (*parts == ')');
		parts++;
	} while (depth > 0);
	return parts;
}

/* As many times as there are bytes for, for no part is empty. */
static bool skip_repeated(struct rdb_in *in, const char *parts)
{
	uint64_t count;

	if (!rdb_read_length(in, &count))
		return false;
	for (; count > 0; count--)
		if (!rdb_skip(in, parts + 1))
			return false;
	return true;
}

bool rdb_skip(struct rdb_in *in, const char *parts)
{
	while (*parts && *parts != ')') {
		if (*parts == '*') {
			if (!skip_repeated(in, parts + 1))
				return false;
			parts = bracket_end(parts + 1);
		} else if (!skip_part(in, *parts++)) {
			return false;
		}
	}
	return true;
}

/* --- types --- */

/*
 * Valkey's number of hashes with expiries of fields, the first that means something else in Redis.
 */
#define VALKEY_HASH_FIELDS 22

bool rdb_version_known(uint32_t version)
{
	return version <= RDB_VERSION_READ_MAX || version == RDB_VERSION_VALKEY;
}

uint8_t rdb_type_read(uint32_t version, uint8_t number)
{
	if (version != RDB_VERSION_VALKEY)
		return number < RDB_HASH_VALKEY ? number : RDB_TYPE_COUNT;
	if (number < VALKEY_HASH_FIELDS)
		return number;
	return number == VALKEY_HASH_FIELDS ? RDB_HASH_VALKEY : RDB_TYPE_COUNT;
}

bool rdb_skip_value(struct rdb_in *in, uint8_t type)
{
	/* A stream: its listpacks; length and ids; groups, each with what waits and consumers. */
	static const char *const parts[RDB_TYPE_COUNT] = {
		[RDB_STRING] = "s",
		[RDB_LIST] = "*(s)",
		[RDB_SET] = "*(s)",
		[RDB_ZSET] = "*(sd)",
		[RDB_HASH] = "*(ss)",
		[RDB_ZSET_2] = "*(s8)",
		[RDB_MODULE_2] = "lm",
		[RDB_HASH_ZIPMAP] = "s",
		[RDB_LIST_ZIPLIST] = "s",
		[RDB_SET_INTSET] = "s",
		[RDB_ZSET_ZIPLIST] = "s",
		[RDB_HASH_ZIPLIST] = "s",
		[RDB_LIST_QUICKLIST] = "*(s)",
		[RDB_STREAM] = "*(ss)lll*(sll*(68l)*(s8*(6)))",
		[RDB_HASH_LISTPACK] = "s",
		[RDB_ZSET_LISTPACK] = "s",
		[RDB_LIST_QUICKLIST_2] = "*(ls)",
		[RDB_STREAM_2] = "*(ss)llllllll*(slll*(68l)*(s8*(6)))",
		[RDB_SET_LISTPACK] = "s",
		[RDB_STREAM_3] = "*(ss)llllllll*(slll*(68l)*(s88*(6)))",
		[RDB_HASH_FIELDS_OLD] = "*(lss)",
		[RDB_HASH_LISTPACKEX_OLD] = "s",
		[RDB_HASH_FIELDS] = "8*(lss)",
		[RDB_HASH_LISTPACKEX] = "8s",
		[RDB_HASH_VALKEY] = "*(ss8)",
	};

	if (type >= RDB_TYPE_COUNT || !parts[type])
		return rdb_fail(in, "no such type of a value");
	return rdb_skip(in, parts[type]);
}
