/*
 * The null server: the floor under every measurement.
 *
 * It does what a worker does around the work: a loop for each thread, callbacks that only append, a
 * tick in the check phase that cuts requests with proto/resp.h and collects the replies of a
 * connection for one uv_try_write. But it keeps nothing: GET answers a constant of 32 bytes, PING
 * "PONG", all others "OK".
 *
 *	null_server --port N --threads N
 *
 * Ends on SIGTERM.
 */
#include "proto/mem.h"
#include "proto/reply.h"
#include "proto/resp.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define IN_BYTES    (64 * 1024)
#define THREADS_MAX 64

static const char value[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

struct client {
	uv_tcp_t tcp;
	struct looper *looper;
	struct client *ready_next;
	bool is_ready;
	struct resp_parser parser;
	struct reply out;
	size_t filled;
	char in[IN_BYTES];
};

struct looper {
	uv_loop_t loop;
	uv_poll_t listener;
	uv_check_t check;
	pthread_t thread;
	struct client *ready;
	struct args args;
};

static void on_closed(uv_handle_t *handle)
{
	struct client *client = (struct client *)handle;
	reply_deinit(&client->out);
	mem_free(client, sizeof(*client));
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct client *client = (struct client *)handle;
	*buf = uv_buf_init(client->in + client->filled, (unsigned)(IN_BYTES - client->filled));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct client *client = (struct client *)stream;
	if (n < 0) {
		if (!client->is_ready)
			uv_close((uv_handle_t *)client, on_closed);
		return;
	}
	client->filled += (size_t)n;
	if (n > 0 && !client->is_ready) {
		client->is_ready = true;
		client->ready_next = client->looper->ready;
		client->looper->ready = client;
	}
}

static void answer(struct client *client, const struct slice *argv)
{
	if (slice_is(argv[0], "get"))
		reply_bulk(&client->out, value, sizeof(value) - 1);
	else if (slice_is(argv[0], "ping"))
		reply_status(&client->out, "PONG");
	else if (slice_is(argv[0], "config") || slice_is(argv[0], "command"))
		reply_array(&client->out, 0);
	else
		reply_ok(&client->out);
}

static void serve(struct looper *looper, struct client *client)
{
	const struct resp_limits limits = {.bulk_max = IN_BYTES, .authenticated = true};
	struct resp_request request;
	size_t at = 0;
	looper->args.count = 0;
	while (resp_parse(&client->parser, &limits, client->in + at, client->filled - at,
			  &looper->args, &request) == RESP_REQUEST) {
		at += request.used;
		if (looper->args.count > 0)
			answer(client, looper->args.v);
		looper->args.count = 0;
		mem_free_unsized(request.scratch);
	}
	memmove(client->in, client->in + at, client->filled - at);
	client->filled -= at;
	if (client->out.len == 0)
		return;
	uv_buf_t buf = uv_buf_init(client->out.buf, (unsigned)client->out.len);
	if (uv_try_write((uv_stream_t *)client, &buf, 1) != (int)client->out.len)
		uv_close((uv_handle_t *)client, on_closed); /* it does not read: no client of a bench */
	else
		reply_reset(&client->out, 0);
}

static void on_check(uv_check_t *check)
{
	struct looper *looper = check->data;
	while (looper->ready) {
		struct client *client = looper->ready;
		looper->ready = client->ready_next;
		client->is_ready = false;
		serve(looper, client);
	}
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct looper *looper = poll->data;
	uv_os_fd_t listener;
	uv_fileno((uv_handle_t *)poll, &listener);
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	struct client *client = mem_zalloc(sizeof(*client));
	client->looper = looper;
	reply_init(&client->out, 2);
	uv_tcp_init(&looper->loop, &client->tcp);
	uv_tcp_open(&client->tcp, fd);
	uv_tcp_nodelay(&client->tcp, 1);
	uv_read_start((uv_stream_t *)client, on_alloc, on_read);
}

/* A socket of its own for each thread: the kernel spreads the connections. */
static int listen_on(int port)
{
	int on = 1;
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 511)) {
		perror("null_server");
		exit(1);
	}
	return fd;
}

static void *looper_main(void *arg)
{
	struct looper *looper = arg;
	uv_run(&looper->loop, UV_RUN_DEFAULT);
	return NULL;
}

static void looper_start(struct looper *looper, int port)
{
	uv_loop_init(&looper->loop);
	uv_poll_init(&looper->loop, &looper->listener, listen_on(port));
	uv_check_init(&looper->loop, &looper->check);
	looper->listener.data = looper->check.data = looper;
	uv_poll_start(&looper->listener, UV_READABLE, on_connection);
	uv_check_start(&looper->check, on_check);
	pthread_create(&looper->thread, NULL, looper_main, looper);
}

int main(int argc, char **argv)
{
	static struct looper loopers[THREADS_MAX];
	int port = 0, threads = 2;
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--port") == 0)
			port = atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--threads") == 0)
			threads = atoi(argv[i + 1]);
	}
	if (port <= 0 || threads <= 0 || threads > THREADS_MAX) {
		fprintf(stderr, "usage: null_server --port N --threads N\n");
		return 1;
	}
	for (int i = 0; i < threads; i++)
		looper_start(&loopers[i], port);
	for (int i = 0; i < threads; i++)
		pthread_join(loopers[i].thread, NULL);
	return 0;
}
