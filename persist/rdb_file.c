/*
 * RDB files, written and read (rdb_file.h).
 */
#include "persist/rdb_file.h"

#include "persist/io.h"
#include "proto/crc64.h"

#include <assert.h>
#include <sched.h>
#include <stdio.h>

#define MAGIC          "REDIS"
#define VERSION_DIGITS 4
#define HEADER_BYTES   (sizeof(MAGIC) - 1 + VERSION_DIGITS)
/* ... of Valkey's own versions, with a digit less. */
#define MAGIC_VALKEY "VALKEY"

const char rdb_error_version[] = "a version of RDB that is not known";

/* Files of earlier versions end without a sum. */
#define VERSION_SUM 5

/* Bytes that are summed at a time while reading. */
#define SUM_STEP (64 * 1024)

/* What isn't the type of a value. */
enum opcode {
	OP_SLOT_IMPORT = 243, /* of a cluster, by Valkey 9: what follows may be a part of a slot */
	OP_SLOT_INFO = 244,   /* of a cluster: slot, keys, those that expire */
	OP_FUNCTIONS = 245,   /* a library */
	OP_MODULE_DATA = 247, /* beside the keys: module, when to load it, parts */
	OP_IDLE = 248,
	OP_FREQUENCY = 249,
	OP_AUX = 250,
	OP_SIZES = 251,
	OP_EXPIRE_MS = 252,
	OP_EXPIRE_S = 253,
	OP_DATABASE = 254,
	OP_END = 255,
};

/* --- writing --- */

/* Who writes much has time: others get the processor between two pieces, if they want it. */
static void drain(struct rdb_out *out)
{
	struct rdb_file *file = (struct rdb_file *)out;
	size_t written;

	if (!file->error)
		file->error = io_write(file->fd, out->bytes, out->len, &written);
	if (file->checksum)
		file->sum = crc64(file->sum, out->bytes, out->len);
	file->bytes += out->len;
	out->len = 0;
	sched_yield();
}

static struct slice header_of(uint32_t version, char room[HEADER_BYTES + 1])
{
	snprintf(room, HEADER_BYTES + 1, MAGIC "%0*u", VERSION_DIGITS, version % 10000);
	return (struct slice){room, HEADER_BYTES};
}

void rdb_file_begin(struct rdb_file *file, int fd, bool compress, bool checksum)
{
	char room[HEADER_BYTES + 1];
	struct slice header = header_of(RDB_VERSION, room);
	size_t written;

	*file = (struct rdb_file){
		.out = {.compress = compress, .drain = drain},
		.fd = fd,
		.checksum = checksum,
		.version = RDB_VERSION,
	};
	file->error = io_write(fd, header.ptr, header.len, &written);
}

void rdb_file_aux(struct rdb_file *file, const char *name, struct slice value)
{
	rdb_write_byte(&file->out, OP_AUX);
	rdb_write_string(&file->out, slice_of(name));
	rdb_write_string(&file->out, value);
}

void rdb_file_database(struct rdb_file *file, uint32_t db)
{
	rdb_write_byte(&file->out, OP_DATABASE);
	rdb_write_length(&file->out, db);
}

void rdb_file_sizes(struct rdb_file *file, uint64_t keys, uint64_t expires)
{
	rdb_write_byte(&file->out, OP_SIZES);
	rdb_write_length(&file->out, keys);
	rdb_write_length(&file->out, expires);
}

void rdb_file_key(struct rdb_file *file, const struct entry *e, int64_t idle_seconds,
		  int64_t frequency)
{
	struct rdb_out *out = &file->out;
	uint8_t type = rdb_type_at(e, file->cut);

	if (rdb_type_version(type) > file->version)
		file->version = rdb_type_version(type);
	if (entry_expire(e) != EXPIRE_NEVER) {
		rdb_write_byte(out, OP_EXPIRE_MS);
		rdb_write_u64(out, (uint64_t)entry_expire(e));
	}
	if (idle_seconds >= 0) {
		rdb_write_byte(out, OP_IDLE);
		rdb_write_length(out, (uint64_t)idle_seconds);
	}
	if (frequency >= 0) {
		rdb_write_byte(out, OP_FREQUENCY);
		rdb_write_byte(out, (uint8_t)frequency);
	}
	rdb_write_byte(out, type);
	rdb_write_string(out, entry_key(e));
	rdb_encode_at(e, file->cut, type, out);
}

/* The header with the version that it took. */
static void end_header(struct rdb_file *file)
{
	char room[HEADER_BYTES + 1];
	struct slice header = header_of(file->version, room);

	if (file->version != RDB_VERSION && !file->error)
		file->error = io_write_at(file->fd, header.ptr, header.len, 0);
	if (file->checksum)
		file->sum = crc64_join(crc64(0, header.ptr, header.len), file->sum, file->bytes);
	file->bytes += header.len;
}

int rdb_file_end(struct rdb_file *file)
{
	rdb_write_byte(&file->out, OP_END);
	drain(&file->out);
	end_header(file);
	rdb_write_u64(&file->out, file->sum);
	drain(&file->out);
	rdb_out_deinit(&file->out);
	return file->error;
}

void rdb_file_drop(struct rdb_file *file)
{
	rdb_out_deinit(&file->out);
}

/* --- reading --- */

static uint64_t part_offset(const struct rdb_reader *r)
{
	return (uint64_t)(r->part - r->bytes.ptr);
}

/* What an opcode says of a key is said of the next one only. */
static void forget_key(struct rdb_reader *r)
{
	r->key.expire = EXPIRE_NEVER;
	r->key.idle_seconds = -1;
	r->key.frequency = -1;
}

static bool read_key(struct rdb_reader *r, uint8_t type)
{
	const char *from;

	if (!rdb_read_string(&r->in, &r->name))
		return false;
	from = r->in.at;
	r->in_value = true;
	if (!rdb_skip_value(&r->in, type))
		return false;
	r->in_value = false;
	r->key.type = type;
	r->key.name = r->name.text;
	r->key.value = (struct slice){from, (size_t)(r->in.at - from)};
	r->key.offset = part_offset(r);
	return true;
}

static bool read_aux(struct rdb_reader *r)
{
	if (!rdb_read_string(&r->in, &r->name) || !rdb_read_string(&r->in, &r->value))
		return false;
	if (r->events->aux)
		r->events->aux(r->arg, r->name.text, r->value.text);
	return true;
}

static bool read_database(struct rdb_reader *r)
{
	uint64_t db;

	if (!rdb_read_length(&r->in, &db))
		return false;
	if (db > UINT32_MAX)
		return rdb_fail(&r->in, "no such database");
	r->key.db = (uint32_t)db;
	return true;
}

static bool read_sizes(struct rdb_reader *r)
{
	uint64_t keys, expires;

	if (!rdb_read_length(&r->in, &keys) || !rdb_read_length(&r->in, &expires))
		return false;
	if (r->events->database)
		r->events->database(r->arg, r->key.db, keys, expires);
	return true;
}

/* A time before 1970 has passed, as one at its begin has. */
static bool read_expire_ms(struct rdb_reader *r)
{
	uint64_t ms;

	if (!rdb_read_u64(&r->in, &ms))
		return false;
	r->key.expire = (int64_t)ms < 0 ? 0 : (int64_t)ms > EXPIRE_LAST ? EXPIRE_LAST : (int64_t)ms;
	return true;
}

static bool read_expire_s(struct rdb_reader *r)
{
	struct slice bytes;
	int32_t seconds;

	if (!rdb_read_bytes(&r->in, sizeof(seconds), &bytes))
		return false;
	memcpy(&seconds, bytes.ptr, sizeof(seconds));
	r->key.expire = seconds < 0 ? 0 : (int64_t)seconds * 1000;
	return true;
}

static bool read_idle(struct rdb_reader *r)
{
	uint64_t seconds;

	if (!rdb_read_length(&r->in, &seconds))
		return false;
	r->key.idle_seconds = seconds > INT64_MAX ? INT64_MAX : (int64_t)seconds;
	return true;
}

static bool read_frequency(struct rdb_reader *r)
{
	uint8_t frequency;

	if (!rdb_read_byte(&r->in, &frequency))
		return false;
	r->key.frequency = frequency;
	return true;
}

static bool leave_out(struct rdb_reader *r, const char *parts, const char *what)
{
	if (!rdb_skip(&r->in, parts))
		return false;
	if (what && r->events->left_out)
		r->events->left_out(r->arg, what, part_offset(r));
	return true;
}

/* Adds up what has been read, while it is in the processor's cache. */
static void sum_up(struct rdb_reader *r)
{
	r->sum = crc64(r->sum, r->summed, (size_t)(r->in.at - r->summed));
	r->summed = r->in.at;
}

static bool read_end(struct rdb_reader *r)
{
	uint64_t expected = 0;

	sum_up(r);
	if (r->version >= VERSION_SUM && !rdb_read_u64(&r->in, &expected))
		return false;
	if (expected != 0 && expected != r->sum)
		return rdb_fail(&r->in, "the checksum is another: bytes have changed");
	r->ended = true;
	return true;
}

/* *key: the part was one. */
static bool read_part(struct rdb_reader *r, bool *key)
{
	uint8_t opcode;

	r->part = r->in.at;
	if (r->part - r->summed >= SUM_STEP)
		sum_up(r);
	if (!rdb_read_byte(&r->in, &opcode))
		return false;
	switch (opcode) {
	case OP_SLOT_IMPORT:
		return rdb_fail(&r->in, "a slot that was just moving to this node of a cluster");
	case OP_SLOT_INFO:
		return leave_out(r, "lll", NULL);
	case OP_FUNCTIONS:
		return leave_out(r, "s", "a library of functions");
	case OP_MODULE_DATA:
		return leave_out(r, "lllm", "a module's data");
	case OP_IDLE:
		return read_idle(r);
	case OP_FREQUENCY:
		return read_frequency(r);
	case OP_AUX:
		return read_aux(r);
	case OP_SIZES:
		return read_sizes(r);
	case OP_EXPIRE_MS:
		return read_expire_ms(r);
	case OP_EXPIRE_S:
		return read_expire_s(r);
	case OP_DATABASE:
		return read_database(r);
	case OP_END:
		return read_end(r);
	default:
		*key = true;
		return read_key(r, rdb_type_read(r->version, opcode));
	}
}

static bool starts_with(struct slice bytes, const char *text)
{
	return bytes.len >= strlen(text) && memcmp(bytes.ptr, text, strlen(text)) == 0;
}

bool rdb_file_starts(struct slice bytes)
{
	return starts_with(bytes, MAGIC) || starts_with(bytes, MAGIC_VALKEY);
}

static bool read_header(struct rdb_reader *r)
{
	struct slice header;

	if (!rdb_read_bytes(&r->in, HEADER_BYTES, &header) || !rdb_file_starts(header))
		return rdb_fail(&r->in, "this is no RDB file");
	r->valkey = starts_with(header, MAGIC_VALKEY);
	for (size_t i = strlen(r->valkey ? MAGIC_VALKEY : MAGIC); i < HEADER_BYTES; i++) {
		unsigned digit = (unsigned char)header.ptr[i] - '0';
		if (digit > 9)
			return rdb_fail(&r->in, "this is no RDB file");
		r->version = r->version * 10 + digit;
	}
	bool known = r->version >= 1 && rdb_version_known(r->version) &&
		     r->valkey == (r->version == RDB_VERSION_VALKEY);
	return known || rdb_fail(&r->in, rdb_error_version);
}

bool rdb_reader_begin(struct rdb_reader *r, struct slice bytes,
		      const struct rdb_file_events *events, void *arg)
{
	*r = (struct rdb_reader){
		.in = rdb_in_of(bytes, UINT32_MAX),
		.events = events,
		.arg = arg,
		.bytes = bytes,
		.part = bytes.ptr,
		.summed = bytes.ptr,
	};
	forget_key(r);
	return read_header(r);
}

bool rdb_reader_next(struct rdb_reader *r, struct rdb_key *key)
{
	bool found = false;

	while (!r->ended && !r->in.error && !found)
		if (!read_part(r, &found))
			return false;
	if (!found)
		return false;
	*key = r->key;
	forget_key(r);
	return true;
}

uint64_t rdb_reader_offset(const struct rdb_reader *r)
{
	return r->in.error ? part_offset(r) : (uint64_t)(r->in.at - r->bytes.ptr);
}

void rdb_reader_deinit(struct rdb_reader *r)
{
	rdb_string_deinit(&r->name);
	rdb_string_deinit(&r->value);
}

bool rdb_file_read(struct slice bytes, const struct rdb_file_events *events, void *arg,
		   struct rdb_file_result *result)
{
	struct rdb_reader r;
	struct rdb_key key;
	bool stopped = false;

	if (rdb_reader_begin(&r, bytes, events, arg))
		while (!stopped && rdb_reader_next(&r, &key))
			stopped = events->key && !events->key(arg, &key);
	*result = (struct rdb_file_result){r.version, r.in.error,
					   stopped ? part_offset(&r) : rdb_reader_offset(&r)};
	rdb_reader_deinit(&r);
	return r.ended && !stopped;
}
