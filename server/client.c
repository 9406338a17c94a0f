/* What CLIENT commands share (client.h). */
#include "server/client.h"

#include "proto/mem.h"
#include "server/multi.h"
#include "server/worker.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool client_text_ok(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < '!' || text.ptr[i] > '~')
			return false;
	return true;
}

void client_set_text(char **field, struct slice text)
{
	mem_free_unsized(*field);
	*field = NULL;
	if (text.len == 0)
		return;
	*field = mem_alloc(text.len + 1);
	memcpy(*field, text.ptr, text.len);
	(*field)[text.len] = 0;
}

static void format_flags(const struct conn *conn, char *out)
{
	if (conn->multi)
		*out++ = 'x';
	if (conn->wait & WAIT_BLOCKED)
		*out++ = 'b';
	if (conn->watching && watch_set_dirty(conn->watching))
		*out++ = 'd';
	if (conn->flags & CONN_CLOSE_AFTER)
		*out++ = 'c';
	if (conn->flags & CONN_UNIX)
		*out++ = 'U';
	if (conn->flags & CONN_NO_EVICT)
		*out++ = 'e';
	if (conn->flags & CONN_NO_TOUCH)
		*out++ = 'T';
	*out = 0;
}

/* Words of bounded length. */
__attribute__((format(printf, 2, 3))) static void put(struct reply *out, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	assert(len >= 0 && len < (int)sizeof(text));
	reply_raw(out, text, (size_t)len);
}

/* What clients gave themselves, of any length; NULL: nothing. */
static void put_text(struct reply *out, const char *text)
{
	if (text)
		reply_raw(out, text, strlen(text));
}

/* The values of a line, in Redis' order. */
void client_format(const struct conn *conn, struct reply *out)
{
	char peer[CONN_ADDRESS_MAX], local[CONN_ADDRESS_MAX], flags[16];
	uv_os_fd_t fd = -1;
	conn_peer_text(conn, peer);
	conn_local_text(conn, local);
	format_flags(conn, flags);
	uv_fileno(&conn->handle, &fd);
	uint32_t in = conn_in_bytes(conn);
	size_t block = conn->block ? conn->block->size : 0;
	size_t waiting = conn_out_bytes(conn);
	put(out, "id=%llu addr=%s laddr=%s fd=%d name=", (unsigned long long)conn->id, peer, local,
	    (int)fd);
	put_text(out, conn->name);
	put(out,
	    " age=%lld idle=%lld flags=%s db=%u sub=0 psub=0 "
	    "ssub=0 multi=%lld qbuf=%u qbuf-free=%zu argv-mem=0 multi-mem=%zu rbs=%zu rbp=%zu obl=%zu "
	    "oll=%u omem=%zu tot-mem=%zu events=%s cmd=%s user=default redir=-1 resp=%d lib-name=",
	    (long long)((conn->worker->now - conn->created_ms) / 1000),
	    (long long)((conn->worker->now - conn->active_ms) / 1000), flags[0] ? flags : "N",
	    conn->db, conn->multi ? (long long)conn->multi->count : -1, in,
	    block > in ? block - in : 0, conn->multi ? conn->multi->args_bytes : 0, conn->out.cap,
	    conn->out.cap, conn->out.len, conn->op != NULL, waiting,
	    sizeof(*conn) + block + waiting + multi_bytes(conn), conn->writing ? "rw" : "r",
	    conn->last_cmd ? conn->last_cmd->name : "NULL", conn->resp);
	put_text(out, conn->lib_name);
	put(out, " lib-ver=");
	put_text(out, conn->lib_ver);
	put(out, "\n");
}

int client_compare_ids(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static bool id_matches(const struct client_filter *filter, uint64_t id)
{
	return filter->id_count == 0 ||
	       bsearch(&id, filter->ids, filter->id_count, sizeof(id), client_compare_ids);
}

bool client_matches(const struct client_filter *filter, const struct conn *conn)
{
	char text[CONN_ADDRESS_MAX];
	if (filter->none || conn->id == filter->not_id || !id_matches(filter, conn->id))
		return false;
	conn_peer_text(conn, text);
	if (filter->addr[0] && strcmp(filter->addr, text) != 0)
		return false;
	conn_local_text(conn, text);
	return !filter->laddr[0] || strcmp(filter->laddr, text) == 0;
}
