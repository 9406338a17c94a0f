/*
 * The way out of a connection: replies put in order, and sent (conn.h).
 *
 * The happy path: the tick's replies of a connection are one buffer; uv_try_write takes all of it.
 * What the socket doesn't take is handed to uv_write with the memory it needs, and nothing more is
 * sent until that is done. Pinned values are sent from where they are.
 */
#include "server/conn.h"

#include "proto/mem.h"
#include "server/log.h"
#include "server/multi.h"
#include "server/server.h"
#include "server/worker.h"

#include <assert.h>

/* Pieces sent at once: a pinned value is one, the bytes before it another. */
#define WRITE_PIECES_MAX 64
/*
 * A reply buffer that is empty and larger than this goes back to the allocator even if it will be
 * used again.
 */
#define OUT_KEEP_BYTES 0

struct conn_write {
	uv_write_t handle;
	struct conn *conn;
	struct reply data;
	uv_buf_t *pieces;
	size_t pieces_bytes;
	size_t left; /* bytes not sent when conn_has_sent() looked last */
};

/* --- putting out --- */

void conn_set_resp(struct conn *conn, uint8_t resp)
{
	conn->resp = resp;
	conn->out.resp = resp;
}

void conn_take_answer(struct conn *conn)
{
	struct op *op = conn->op;
	assert(op);
	conn->op = NULL;
	if (!op->mute && !(conn->flags & CONN_CLOSING))
		reply_move(&conn->out, &op->reply);
	op_free(op);
}

void conn_go_on(struct conn *conn)
{
	if (conn->flags & CONN_CLOSING) {
		conn_release(conn);
		return;
	}
	conn_resume(conn, WAIT_ANSWER);
	conn_flush_later(conn);
}

void conn_answer(struct conn *conn)
{
	conn_take_answer(conn);
	conn_go_on(conn);
}

/* --- sending --- */

/*
 * The pieces of a reply (uv_buf_init can't say 4 GB): bytes and pinned values in turn. `pieces` has
 * 2 * pin_count + 1 places.
 */
static unsigned reply_pieces(const struct reply *r, uv_buf_t *pieces)
{
	unsigned n = 0;
	size_t at = 0;
	for (uint32_t i = 0; i < r->pin_count; i++) {
		const struct reply_pin *pin = &r->pins[i];
		if (pin->at > at)
			pieces[n++] = (uv_buf_t){.base = r->buf + at, .len = pin->at - at};
		pieces[n++] = (uv_buf_t){.base = (char *)pin->bytes.ptr, .len = pin->bytes.len};
		at = pin->at;
	}
	if (r->len > at)
		pieces[n++] = (uv_buf_t){.base = r->buf + at, .len = r->len - at};
	return n;
}

static void conn_write_free(struct conn_write *write)
{
	reply_deinit(&write->data);
	mem_free(write->pieces, write->pieces_bytes);
	mem_free(write, sizeof(*write));
}

static void conn_on_written(uv_write_t *handle, int status)
{
	struct conn_write *write = handle->data;
	struct conn *conn = write->conn;
	conn->writing = NULL;
	conn->writing_bytes = 0;
	conn_write_free(write);
	if (conn->flags & CONN_CLOSING)
		return;
	if (status < 0) {
		conn_close(conn);
		return;
	}
	conn->active_ms = clock_now(&conn->worker->server->clock);
	conn_flush_later(conn);
}

bool conn_has_sent(struct conn *conn)
{
	size_t left = uv_stream_get_write_queue_size(&conn->stream);
	if (!conn->writing || left == conn->writing->left)
		return false;
	conn->writing->left = left;
	return true;
}

/* Hands what is left of `out` (all but the first `sent` bytes) to libuv. */
static void conn_write_rest(struct conn *conn, size_t sent)
{
	struct worker *worker = conn->worker;
	struct conn_write *write = mem_alloc(sizeof(*write));
	write->conn = conn;
	write->handle.data = write;
	reply_init(&write->data, conn->resp);
	reply_move(&write->data, &conn->out);
	write->pieces_bytes = (2 * write->data.pin_count + 1) * sizeof(uv_buf_t);
	write->pieces = mem_alloc(write->pieces_bytes);
	unsigned count = reply_pieces(&write->data, write->pieces);
	unsigned first = 0;
	while (first < count && sent >= write->pieces[first].len)
		sent -= write->pieces[first++].len;
	assert(first < count);
	write->pieces[first].base += sent;
	write->pieces[first].len -= sent;
	conn->writing_bytes = 0;
	for (unsigned i = first; i < count; i++)
		conn->writing_bytes += write->pieces[i].len;
	conn->writing = write;
	write->left = conn->writing_bytes;
	if (uv_write(&write->handle, &conn->stream, write->pieces + first, count - first,
		     conn_on_written)) {
		conn->writing = NULL;
		conn_write_free(write);
		conn_close(conn);
	}
	stat_add(&worker->stats.writes, 1);
}

/* Sends `out`; false when the connection had to be closed. */
static bool conn_send(struct conn *conn)
{
	struct worker *worker = conn->worker;
	size_t size = reply_size(&conn->out);
	conn->bytes_out += size;
	stat_add(&worker->stats.bytes_out, size);
	ssize_t sent = 0;
	if (conn->out.pin_count < WRITE_PIECES_MAX / 2) {
		uv_buf_t pieces[WRITE_PIECES_MAX];
		unsigned count = reply_pieces(&conn->out, pieces);
		sent = uv_try_write(&conn->stream, pieces, count);
		stat_add(&worker->stats.writes, 1);
	}
	if (sent == UV_EAGAIN)
		sent = 0;
	if (sent < 0) {
		conn_close(conn);
		return false;
	}
	if ((size_t)sent == size)
		reply_reset(&conn->out, OUT_KEEP_BYTES);
	else
		conn_write_rest(conn, (size_t)sent);
	return !(conn->flags & CONN_CLOSING);
}

/* Without the settings. */
static size_t out_max(const struct conn *conn)
{
	return conn_authenticated(conn) ? CONN_OUT_MAX : CONN_OUT_MAX_STRANGER;
}

size_t conn_out_max(const struct conn *conn)
{
	if (!conn_authenticated(conn))
		return CONN_OUT_MAX_STRANGER;
	const struct config *config = &conn->worker->server->config;
	size_t hard = (size_t)config_int(&config->output_limit_normal_hard);
	size_t soft = (size_t)config_int(&config->output_limit_normal_soft);
	size_t limit = hard > soft ? hard : soft;
	return limit > CONN_OUT_MAX ? limit : CONN_OUT_MAX;
}

/* client-output-buffer-limit normal: false when the connection was closed for it. */
static bool conn_check_output_limit(struct conn *conn)
{
	struct server *server = conn->worker->server;
	size_t bytes = conn_out_bytes(conn);
	int64_t hard = config_int(&server->config.output_limit_normal_hard);
	int64_t soft = config_int(&server->config.output_limit_normal_soft);
	int64_t soft_ms = config_int(&server->config.output_limit_normal_seconds) * 1000;
	bool over = hard && bytes >= (size_t)hard;
	if (!soft || bytes < (size_t)soft)
		conn->soft_limit_since = 0;
	else if (!conn->soft_limit_since)
		conn->soft_limit_since = conn->worker->now;
	else if (conn->worker->now - conn->soft_limit_since >= soft_ms)
		over = true;
	if (!over)
		return true;
	conn_log(conn, LOG_WARNING, "Closing client for overcoming of output buffer limits");
	stat_add(&conn->worker->stats.clients_output_limit, 1);
	conn_close(conn);
	return false;
}

void conn_flush(struct conn *conn)
{
	/* what EXEC has done is told when all of it is done */
	if ((conn->flags & CONN_CLOSING) || multi_running(conn))
		return;
	conn_drop_block(conn);
	if (!conn->writing && reply_size(&conn->out) == 0)
		reply_reset(&conn->out, OUT_KEEP_BYTES);
	else if (!conn->writing && !conn_send(conn))
		return;
	if ((conn->writing || conn->op) && !conn_check_output_limit(conn))
		return;
	if (conn->wait & WAIT_OUTPUT && conn_out_bytes(conn) < out_max(conn) / 2)
		conn_resume(conn, WAIT_OUTPUT);
	if ((conn->flags & CONN_CLOSE_AFTER) && !conn->writing && !conn->op)
		conn_close(conn);
	conn_update_reading(conn);
}
