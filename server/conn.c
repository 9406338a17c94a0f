/*
 * Connections: adoption, reading, closing (conn.h).
 *
 * The callbacks of libuv in this file append bytes and put the connection on lists; they run no
 * request. Everything else is called in the tick.
 */
#include "server/conn.h"

#include "proto/mem.h"
#include "server/blocked.h"
#include "server/log.h"
#include "server/multi.h"
#include "server/server.h"
#include "server/worker.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

void conn_log(const struct conn *conn, enum log_level level, const char *what)
{
	char peer[CONN_ADDRESS_MAX];
	if (!log_wants(level))
		return;
	conn_peer_text(conn, peer);
	log_write(level, "%s %s id=%llu", what, peer, (unsigned long long)conn->id);
}

/* --- read blocks --- */

static struct read_block *read_block_new(struct worker *worker, size_t size)
{
	struct read_block *block = worker->blocks_free;
	if (size == READ_BLOCK_BYTES && block) {
		worker->blocks_free = block->next;
		worker->blocks_kept--;
	} else {
		block = mem_alloc(size);
		block->size = size;
	}
	block->refs = 1;
	block->filled = 0;
	return block;
}

void read_block_unref(struct worker *worker, struct read_block *block)
{
	if (!block || --block->refs > 0)
		return;
	if (block->size != READ_BLOCK_BYTES || worker->blocks_kept >= READ_BLOCKS_KEPT) {
		mem_free(block, block->size);
		return;
	}
	block->next = worker->blocks_free;
	worker->blocks_free = block;
	worker->blocks_kept++;
}

static size_t read_block_room(const struct read_block *block)
{
	return block->size - sizeof(*block) - block->filled;
}

/*
 * Makes room to read into: in the block at hand, or in a new one with what is not run yet copied
 * over.
 */
static void conn_make_room(struct conn *conn)
{
	struct read_block *old = conn->block;
	uint32_t left = conn_in_bytes(conn);
	if (old && left == 0 && old->refs == 1) {
		old->filled = 0;
		conn->at = 0;
		if (old->size == READ_BLOCK_BYTES)
			return;
	}
	if (old && read_block_room(old) >= READ_ROOM_MIN && left > 0)
		return;
	size_t size = READ_BLOCK_BYTES;
	while (size - sizeof(*old) < (size_t)left * 2)
		size *= 2;
	struct read_block *block = read_block_new(conn->worker, size);
	if (left > 0) {
		memcpy(block->bytes, old->bytes + conn->at, left);
		block->filled = left;
	}
	conn->block = block;
	conn->at = 0;
	read_block_unref(conn->worker, old);
}

void conn_drop_block(struct conn *conn)
{
	if (conn->block && conn_in_bytes(conn) == 0) {
		read_block_unref(conn->worker, conn->block);
		conn->block = NULL;
		conn->at = 0;
	}
}

/* --- reading --- */

static void conn_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void conn_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void conn_set_reading(struct conn *conn, bool on)
{
	bool is_on = conn->flags & CONN_READING;
	if (on == is_on || (conn->flags & CONN_CLOSING))
		return;
	if (on && (conn->flags & CONN_EOF))
		return;
	conn->flags ^= CONN_READING;
	if (on)
		uv_read_start(&conn->stream, conn_on_alloc, conn_on_read);
	else
		uv_read_stop(&conn->stream);
}

/* How many bytes of requests it may have waiting while it waits. */
static uint32_t conn_in_max(const struct conn *conn)
{
	if (!conn_authenticated(conn))
		return CONN_IN_MAX_STRANGER;
	return conn->wait == WAIT_OUTPUT ? CONN_IN_MAX_UNREAD : CONN_IN_MAX;
}

void conn_update_reading(struct conn *conn)
{
	bool full = conn->wait && conn_in_bytes(conn) > conn_in_max(conn);
	conn_set_reading(conn, !full && !(conn->flags & CONN_CLOSE_AFTER));
}

/* The room in its block; while it waits no more than takes it past its limit. */
static size_t conn_room(const struct conn *conn)
{
	size_t room = read_block_room(conn->block);
	if (!conn->wait)
		return room;
	uint32_t in = conn_in_bytes(conn), max = conn_in_max(conn);
	size_t wanted = in < max ? max + 1 - in : 1;
	return room < wanted ? room : wanted;
}

static void conn_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct conn *conn = (struct conn *)handle;
	conn_make_room(conn);
	size_t room = conn_room(conn);
	*buf = uv_buf_init(conn->block->bytes + conn->block->filled, (unsigned)room);
}

/*
 * client-query-buffer-limit is about one request, or transaction, that isn't whole. Whole ones that
 * wait to be run are no reason to close the connection, however many: reading stops for them.
 */
static bool query_too_long(const struct conn *conn)
{
	int64_t limit = config_int(&conn->worker->server->config.client_query_buffer_limit);
	bool is_part = !conn->wait && conn->parser.left > 0;
	return (is_part ? conn_in_bytes(conn) : 0) + multi_bytes(conn) > (uint64_t)limit;
}

static void conn_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn *conn = (struct conn *)stream;
	struct stats *stats = &conn->worker->stats;
	if (n == 0 || n == UV_ENOBUFS) {
		conn_drop_block(conn);
		return;
	}
	if (n == UV_EOF)
		conn_log(conn, LOG_VERBOSE, "Client closed connection");
	if (n == UV_EOF && conn_give_up(conn)) {
		conn_close(conn); /* nobody is there any more to get what it waits for */
		return;
	}
	if (n == UV_EOF) {
		conn->flags |= CONN_EOF;
		conn_set_reading(conn, false);
		conn_ready(conn);
		return;
	}
	if (n < 0) {
		conn_log(conn, LOG_VERBOSE, uv_strerror((int)n));
		conn_close(conn);
		return;
	}
	conn->block->filled += (uint32_t)n;
	conn->bytes_in += (uint64_t)n;
	stat_add(&stats->bytes_in, (uint64_t)n);
	stat_add(&stats->reads, 1);
	if (query_too_long(conn)) {
		conn_log(conn, LOG_WARNING, "Closing client that reached max query buffer length");
		stat_add(&stats->clients_query_limit, 1);
		conn_close(conn);
		return;
	}
	conn_update_reading(conn);
	conn_ready(conn);
}

/* --- life --- */

static void conn_link(struct conn *conn)
{
	struct worker *worker = conn->worker;
	conn->all.next = worker->conns;
	if (worker->conns)
		worker->conns->all.prev = conn;
	worker->conns = conn;
}

static void conn_unlink(struct conn *conn)
{
	struct worker *worker = conn->worker;
	if (conn->all.next)
		conn->all.next->all.prev = conn->all.prev;
	if (conn->all.prev)
		conn->all.prev->all.next = conn->all.next;
	else
		worker->conns = conn->all.next;
	atomic_fetch_sub_explicit(&worker->conn_count, 1, memory_order_relaxed);
}

static int conn_open_handle(struct conn *conn, int fd, bool is_unix)
{
	uv_loop_t *loop = &conn->worker->loop;
	if (is_unix) {
		uv_pipe_init(loop, &conn->pipe, 0);
		return uv_pipe_open(&conn->pipe, fd);
	}
	uv_tcp_init(loop, &conn->tcp);
	int error = uv_tcp_open(&conn->tcp, fd);
	if (error)
		return error;
	unsigned keepalive = (unsigned)config_int(&conn->worker->server->config.tcp_keepalive);
	uv_tcp_nodelay(&conn->tcp, 1);
	uv_tcp_keepalive(&conn->tcp, keepalive > 0, keepalive);
	socklen_t len = sizeof(conn->peer);
	getpeername(fd, (struct sockaddr *)&conn->peer, &len);
	len = sizeof(conn->local);
	getsockname(fd, (struct sockaddr *)&conn->local, &len);
	return 0;
}

void conn_adopt(struct worker *worker, const struct arrival *arrival)
{
	struct conn *conn = mem_zalloc(sizeof(*conn));
	conn->worker = worker;
	conn->id = arrival->id;
	conn->resp = 2;
	reply_init(&conn->out, 2);
	conn->created_ms = conn->active_ms = worker->now;
	if (arrival->is_unix)
		conn->flags |= CONN_UNIX;
	if (config_string_empty(&worker->server->config, &worker->server->config.requirepass))
		conn->flags |= CONN_AUTHENTICATED;
	conn_link(conn);
	stat_add(&worker->stats.connections, 1);
	if (conn_open_handle(conn, arrival->fd, arrival->is_unix)) {
		close(arrival->fd);
		conn_close(conn);
		return;
	}
	conn_log(conn, LOG_VERBOSE, "Accepted");
	conn_set_reading(conn, true);
}

static void conn_free(struct conn *conn)
{
	assert(!conn->op && !conn->multi && !conn->watching);
	resp_parser_deinit(&conn->parser);
	reply_deinit(&conn->out);
	read_block_unref(conn->worker, conn->block);
	mem_free_unsized(conn->name);
	mem_free_unsized(conn->lib_name);
	mem_free_unsized(conn->lib_ver);
	mem_free(conn, sizeof(*conn));
}

void conn_release(struct conn *conn)
{
	const uint32_t held = CONN_READY | CONN_FLUSH | CONN_PAUSED_LIST;
	if ((conn->flags & CONN_CLOSED) && !(conn->flags & held) && !conn->op)
		conn_free(conn);
}

static void conn_on_close(uv_handle_t *handle)
{
	struct conn *conn = (struct conn *)handle;
	conn->flags |= CONN_CLOSED;
	conn_release(conn);
}

bool conn_needs_no_password(const struct conn *conn)
{
	struct config *config = &conn->worker->server->config;
	return config_string_empty(config, &config->requirepass);
}

void conn_close(struct conn *conn)
{
	if (conn->flags & CONN_CLOSING)
		return;
	conn_set_reading(conn, false);
	conn->flags |= CONN_CLOSING;
	conn_unlink(conn);
	multi_discard(conn);
	blocked_leave(conn);
	uv_close(&conn->handle, conn_on_close);
}

bool conn_give_up(struct conn *conn)
{
	return conn->blocked ? blocked_leave(conn) : (conn->wait & WAIT_FOR_OTHERS) != 0;
}

void conn_close_after(struct conn *conn)
{
	conn->flags |= CONN_CLOSE_AFTER;
	conn_update_reading(conn);
	conn_flush_later(conn);
}

/* --- lists and waiting --- */

static void make_ready(struct conn *conn, struct conn_list *list)
{
	if (conn->flags & (CONN_READY | CONN_CLOSING))
		return;
	conn->flags |= CONN_READY;
	conn->ready_next = NULL;
	if (list->first)
		list->last->ready_next = conn;
	else
		list->first = conn;
	list->last = conn;
}

void conn_ready(struct conn *conn)
{
	make_ready(conn, &conn->worker->ready);
}

void conn_ready_later(struct conn *conn)
{
	make_ready(conn, &conn->worker->ready_later);
}

void conn_flush_later(struct conn *conn)
{
	struct worker *worker = conn->worker;
	if (conn->wait & WAIT_GATE)
		conn->flags |= CONN_GATE_AGAIN;
	if (conn->flags & (CONN_FLUSH | CONN_CLOSING))
		return;
	conn->flags |= CONN_FLUSH;
	conn->flush_next = worker->flush_first;
	worker->flush_first = conn;
}

void conn_resume(struct conn *conn, enum conn_wait reason)
{
	if (!(conn->wait & reason))
		return;
	conn->wait &= (uint8_t)~reason;
	if (conn->wait)
		return;
	conn_wait(conn, WAIT_TURN);
	conn_ready(conn);
}

/* --- addresses --- */

static void address_text(const struct conn *conn, const struct sockaddr_in6 *address, char *out)
{
	char ip[INET6_ADDRSTRLEN] = "?";
	if (conn->flags & CONN_UNIX) {
		config_string_copy(&conn->worker->server->config,
				   &conn->worker->server->config.unixsocket, out,
				   CONN_ADDRESS_MAX - 2);
		strcat(out, ":0");
		return;
	}
	if (address->sin6_family == AF_INET6) {
		inet_ntop(AF_INET6, &address->sin6_addr, ip, sizeof(ip));
		snprintf(out, CONN_ADDRESS_MAX, "[%s]:%d", ip, ntohs(address->sin6_port));
		return;
	}
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip));
	snprintf(out, CONN_ADDRESS_MAX, "%s:%d", ip, ntohs(v4->sin_port));
}

void conn_peer_text(const struct conn *conn, char *out)
{
	address_text(conn, &conn->peer, out);
}

void conn_local_text(const struct conn *conn, char *out)
{
	address_text(conn, &conn->local, out);
}

bool address_is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	}
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
	return IN6_IS_ADDR_V4MAPPED(v6) ? v6->s6_addr[12] == 127 : IN6_IS_ADDR_LOOPBACK(v6);
}

bool conn_is_local(const struct conn *conn)
{
	return (conn->flags & CONN_UNIX) ||
	       address_is_loopback((const struct sockaddr *)&conn->peer);
}
