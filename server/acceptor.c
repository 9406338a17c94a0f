/* The acceptor (acceptor.h). */
#include "server/acceptor.h"

#include "proto/mem.h"
#include "server/log.h"
#include "server/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char too_many[] = "-ERR max number of clients reached\r\n";
static const char protected_text[] =
	"-DENIED Redis is running in protected mode because protected mode is enabled and no password "
	"is set for the default user. In this mode connections are only accepted from the loopback "
	"interface. To accept others, do one of these: 1) on the server's own machine send 'CONFIG SET "
	"requirepass <password>', so that clients must AUTH; 2) where nobody who isn't trusted can reach "
	"the server, send 'CONFIG SET protected-mode no' there; 'CONFIG REWRITE' keeps either; 3) start "
	"it with '--requirepass <password>' or '--protected-mode no'. Then connect again.\r\n";

/* --- handing over --- */

static struct worker *least_loaded(struct server *server)
{
	struct worker *best = &server->workers[0];
	uint32_t fewest = UINT32_MAX;
	for (uint32_t i = 0; i < server->worker_count; i++) {
		uint32_t count = atomic_load_explicit(&server->workers[i].conn_count,
						      memory_order_relaxed);
		if (count < fewest) {
			fewest = count;
			best = &server->workers[i];
		}
	}
	return best;
}

static void hand_over(struct server *server, int fd, bool is_unix)
{
	struct worker *worker = least_loaded(server);
	struct arrival *arrival = mem_alloc(sizeof(*arrival));
	struct parcel *parcel = mem_alloc(sizeof(*parcel));
	*arrival = (struct arrival){server->next_conn_id++, fd, is_unix};
	parcel->count = 0;
	parcel->letters[parcel->count++] = letter_make(arrival, MAIL_ADOPT);
	/* counted here, so that the next one accepted in the same wake-up goes elsewhere */
	atomic_fetch_add_explicit(&worker->conn_count, 1, memory_order_relaxed);
	if (mailbox_push(&worker->mailbox, parcel, parcel))
		mailbox_wake(&worker->mailbox);
}

static void refuse(int fd, const char *text, size_t len)
{
	ssize_t written = send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)written; /* it goes whether it has read this or not */
	close(fd);
}

static bool is_full(const struct server *server)
{
	return server_conn_count(server) >= (uint64_t)config_int(&server->config.maxclients);
}

static void refuse_full(struct server *server, int fd)
{
	stat_add(&server->rejected, 1);
	refuse(fd, too_many, sizeof(too_many) - 1);
}

/* Those who have waited get a place, or are refused. */
static void on_full(uv_timer_t *timer)
{
	struct acceptor *acceptor = timer->data;
	for (unsigned i = 0; i < acceptor->waiting_count; i++) {
		const struct waiting_client *client = &acceptor->waiting[i];
		if (is_full(acceptor->server))
			refuse_full(acceptor->server, client->fd);
		else
			hand_over(acceptor->server, client->fd, client->is_unix);
	}
	acceptor->waiting_count = 0;
}

static void wait_for_place(struct acceptor *acceptor, int fd, bool is_unix)
{
	if (acceptor->waiting_count == FULL_WAIT_MAX) {
		refuse_full(acceptor->server, fd);
		return;
	}
	acceptor->waiting[acceptor->waiting_count++] = (struct waiting_client){fd, is_unix};
	if (!uv_is_active((uv_handle_t *)&acceptor->full))
		uv_timer_start(&acceptor->full, on_full, FULL_WAIT_MS, 0);
}

static void admit(struct acceptor *acceptor, int fd, bool is_unix,
		  const struct sockaddr_storage *address)
{
	struct server *server = acceptor->server;
	if (!is_unix && config_int(&server->config.protected_mode) &&
	    config_string_empty(&server->config, &server->config.requirepass) &&
	    !address_is_loopback((const struct sockaddr *)address)) {
		stat_add(&server->rejected, 1);
		refuse(fd, protected_text, sizeof(protected_text) - 1);
		return;
	}
	if (is_full(server))
		wait_for_place(acceptor, fd, is_unix);
	else
		hand_over(server, fd, is_unix);
}

/* --- accepting --- */

static void on_connection(uv_poll_t *poll, int status, int events);

static void set_polling(struct acceptor *acceptor, bool on)
{
	for (unsigned i = 0; i < acceptor->count; i++) {
		if (on)
			uv_poll_start(&acceptor->listeners[i].poll, UV_READABLE, on_connection);
		else
			uv_poll_stop(&acceptor->listeners[i].poll);
	}
}

static void on_resume(uv_timer_t *timer)
{
	struct acceptor *acceptor = timer->data;
	acceptor->paused = false;
	set_polling(acceptor, true);
}

static void pause_accepting(struct acceptor *acceptor, int error)
{
	if (!acceptor->pause_said)
		log_write(LOG_WARNING, "Accepting pauses: %s", strerror(error));
	acceptor->pause_said = true;
	acceptor->paused = true;
	set_polling(acceptor, false);
	uv_timer_start(&acceptor->resume, on_resume, ACCEPT_PAUSE_MS, 0);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = poll->data;
	struct acceptor *acceptor = listener->acceptor;
	for (int i = 0; i < ACCEPT_BATCH && !acceptor->paused; i++) {
		struct sockaddr_storage address = {0};
		socklen_t len = sizeof(address);
		int fd = accept4(listener->fd, (struct sockaddr *)&address, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			admit(acceptor, fd, listener->is_unix, &address);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			   errno == ENOMEM) {
			pause_accepting(acceptor, errno);
		} else if (errno != EINTR && errno != ECONNABORTED) {
			acceptor->pause_said = false; /* nobody waits any more */
			return;
		}
	}
}

/* --- opening --- */

/* Says why the socket can't be had, and returns that as a negative errno. */
static int listen_fail(int fd, const char *what)
{
	int error = errno;
	log_write(LOG_WARNING, "Warning: Could not create server TCP listening socket %s: %s", what,
		  strerror(error));
	if (fd >= 0)
		close(fd);
	return -error;
}

/* A listening socket, or a negative errno. */
static int open_address(const struct addrinfo *info, const char *what, int backlog)
{
	int on = 1;
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return listen_fail(fd, what);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (info->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, info->ai_addr, info->ai_addrlen) || listen(fd, backlog))
		return listen_fail(fd, what);
	return fd;
}

/* A listening socket, or a negative errno; EINVAL for a name that isn't an address. */
static int open_tcp(const char *host, int port, int backlog)
{
	char service[16], what[128];
	const char *node = strcmp(host, "*") == 0      ? "0.0.0.0"
			   : strcmp(host, "::*") == 0 ? "::"
						      : host;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *info;
	snprintf(service, sizeof(service), "%d", port);
	snprintf(what, sizeof(what), "%s:%d", host, port);
	int error = getaddrinfo(node, service, &hints, &info);
	if (error) {
		log_write(LOG_WARNING,
			  "Warning: Could not create server TCP listening socket %s: %s", what,
			  gai_strerror(error));
		return -EINVAL;
	}
	int fd = open_address(info, what, backlog);
	freeaddrinfo(info);
	return fd;
}

static int open_unix(const char *path, mode_t mode, int backlog)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address.sun_path)) {
		log_write(LOG_WARNING, "Failed opening Unix socket: path too long: %s", path);
		return -1;
	}
	strcpy(address.sun_path, path);
	unlink(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    (mode && chmod(path, mode)) || listen(fd, backlog)) {
		log_write(LOG_WARNING, "Failed opening Unix socket: %s: %s", path,
			  strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static int add_listener(struct acceptor *acceptor, int fd, bool is_unix)
{
	struct listener *listener = &acceptor->listeners[acceptor->count];
	int error = uv_poll_init(&acceptor->server->loop, &listener->poll, fd);
	if (error) {
		log_write(LOG_WARNING, "Can't poll a listening socket: %s", uv_strerror(error));
		close(fd);
		return -1;
	}
	listener->acceptor = acceptor;
	listener->fd = fd;
	listener->is_unix = is_unix;
	listener->poll.data = listener;
	acceptor->count++;
	return 0;
}

/* One word of `bind`: a leading '-' says that the address may be missing on this machine. */
static int listen_on(struct acceptor *acceptor, const char *word, int port, int backlog)
{
	bool optional = word[0] == '-';
	if (acceptor->count == LISTENERS_MAX - 1) {
		log_write(LOG_WARNING, "Too many bind addresses");
		return -1;
	}
	int fd = open_tcp(word + optional, port, backlog);
	if (fd < 0)
		return optional && (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT) ? 0 : -1;
	log_write(LOG_NOTICE, "Listening on %s, port %d", word + optional, port);
	return add_listener(acceptor, fd, false);
}

static int listen_tcp(struct acceptor *acceptor)
{
	struct config *config = &acceptor->server->config;
	int port = (int)config_int(&config->port);
	int backlog = (int)config_int(&config->tcp_backlog);
	int result = 0;
	char *rest;
	if (port == 0)
		return 0;
	char *words = config_string_dup(config, &config->bind);
	for (char *word = strtok_r(words, " ", &rest); word && !result;
	     word = strtok_r(NULL, " ", &rest))
		result = listen_on(acceptor, word, port, backlog);
	mem_free_unsized(words);
	if (result)
		log_write(LOG_WARNING, "Failed listening on port %d (TCP), aborting.", port);
	return result;
}

static int listen_unix(struct acceptor *acceptor)
{
	struct config *config = &acceptor->server->config;
	char path[256];
	config_string_copy(config, &config->unixsocket, path, sizeof(path));
	if (!path[0])
		return 0;
	int fd = open_unix(path, (mode_t)config_int(&config->unixsocketperm),
			   (int)config_int(&config->tcp_backlog));
	if (fd < 0)
		return -1;
	log_write(LOG_NOTICE, "Listening on the Unix socket %s", path);
	strcpy(acceptor->unix_path, path);
	return add_listener(acceptor, fd, true);
}

int acceptor_start(struct acceptor *acceptor, struct server *server)
{
	acceptor->server = server;
	uv_timer_init(&server->loop, &acceptor->resume);
	uv_timer_init(&server->loop, &acceptor->full);
	acceptor->resume.data = acceptor->full.data = acceptor;
	if (listen_tcp(acceptor) || listen_unix(acceptor))
		return -1;
	if (acceptor->count == 0) {
		log_write(LOG_WARNING, "Configured to not listen anywhere, exiting.");
		return -1;
	}
	set_polling(acceptor, true);
	return 0;
}

void acceptor_stop(struct acceptor *acceptor)
{
	for (unsigned i = 0; i < acceptor->count; i++) {
		uv_close((uv_handle_t *)&acceptor->listeners[i].poll, NULL);
		close(acceptor->listeners[i].fd);
	}
	acceptor->count = 0;
	while (acceptor->waiting_count > 0)
		close(acceptor->waiting[--acceptor->waiting_count].fd);
	uv_close((uv_handle_t *)&acceptor->resume, NULL);
	uv_close((uv_handle_t *)&acceptor->full, NULL);
	if (acceptor->unix_path[0])
		unlink(acceptor->unix_path);
}

int64_t acceptor_raise_fd_limit(int64_t clients, uint32_t workers)
{
	struct rlimit limit;
	rlim_t reserved = RESERVED_FDS + (rlim_t)workers * RESERVED_FDS_WORKER;
	rlim_t wanted = (rlim_t)clients + reserved;
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted)
		return clients;
	struct rlimit raised = {wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
	if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
		return clients;
	raised = (struct rlimit){limit.rlim_max, limit.rlim_max};
	setrlimit(RLIMIT_NOFILE, &raised);
	getrlimit(RLIMIT_NOFILE, &limit);
	int64_t enough = limit.rlim_cur > reserved ? (int64_t)(limit.rlim_cur - reserved) : 1;
	return enough < clients ? enough : clients;
}
