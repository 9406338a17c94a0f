/* The server's life (server.h). */
#include "server/server.h"
#include "server/due.h"

#include "persist/fault.h"
#include "proto/mem.h"
#include "server/log.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

uint32_t server_conn_count(const struct server *server)
{
	uint32_t sum = 0;
	for (uint32_t i = 0; i < server->worker_count; i++)
		sum += atomic_load_explicit(&server->workers[i].conn_count, memory_order_relaxed);
	return sum;
}

/* The process' number, for whoever started us; false: none is wanted. */
static bool pid_path(struct server *server, char *path)
{
	config_string_copy(&server->config, &server->config.pidfile, path, PATH_MAX);
	return *path;
}

static void remove_pid(struct server *server)
{
	char path[PATH_MAX];
	if (pid_path(server, path))
		unlink(path);
}

void server_stop(struct server *server)
{
	uv_async_send(&server->stop);
}

void server_say_shutdown(void)
{
	log_write(LOG_NOTICE, "User requested shutdown...");
}

static void say_bye(void)
{
	log_write(LOG_NOTICE, "Sherd is now ready to exit, bye bye...");
}

/*
 * At once: nothing is in memory yet that isn't in files, and loading may take long. What it does to
 * these may stop anywhere, as if the process had been killed.
 */
static void leave(struct server *server)
{
	remove_pid(server);
	say_bye();
	_exit(0);
}

static void stop(struct server *server)
{
	if (atomic_exchange(&server->stopping, true))
		return;
	snapshotter_cancel_all(&server->snapshotter);
	acceptor_stop(&server->acceptor);
	if (persistence_loading(&server->persistence) && !atomic_load(&server->persistence.failed))
		leave(server);
	for (uint32_t i = 0; i < server->worker_count; i++)
		worker_stop(&server->workers[i]);
	uv_stop(&server->loop);
}

static void on_stop(uv_async_t *async)
{
	stop(async->data);
}

/* Who has been asked to shut down, and what takes signals then that are not about that. */
static struct {
	const struct server *server;
	void (*usual)(int number);
} asked;

/*
 * A second SIGINT: whoever sends it doesn't want to wait for a command that takes long. Unless the
 * shutdown has failed, or was called off: then it is the first one of another.
 */
static void on_insisting(int number)
{
	if (atomic_load(&asked.server->stopping) || atomic_load(&asked.server->snapshotter.leaving))
		_exit(1);
	asked.usual(number);
}

/* From the first signal on. The handler that was there, libuv's, only tells the loop. */
static void watch_for_insisting(const struct server *server)
{
	struct sigaction usual, action = {.sa_handler = on_insisting, .sa_flags = SA_RESTART};
	if (asked.server || sigaction(SIGINT, NULL, &usual))
		return;
	asked.server = server;
	asked.usual = usual.sa_handler;
	sigfillset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct server *server = handle->data;
	watch_for_insisting(server);
	log_write(LOG_NOTICE, "Received %s scheduling shutdown...",
		  number == SIGINT ? "SIGINT" : "SIGTERM");
	if (due_has_points(server) && !persistence_loading(&server->persistence)) {
		snapshotter_leave(&server->snapshotter, NULL, false);
		return;
	}
	server_say_shutdown();
	stop(server);
}

static void random_bytes(void *out, size_t len)
{
	if (getrandom(out, len, 0) != (ssize_t)len) {
		log_write(LOG_WARNING, "No randomness from the system: %s", strerror(errno));
		abort();
	}
}

static void make_run_id(struct server *server)
{
	unsigned char bytes[20];
	random_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(server->run_id + 2 * i, 3, "%02x", bytes[i]);
}

static void write_pid(struct server *server)
{
	char path[PATH_MAX];
	if (!pid_path(server, path))
		return;
	FILE *file = fopen(path, "w");
	if (file)
		fprintf(file, "%d\n", (int)getpid());
	if (!file || fclose(file))
		log_write(LOG_WARNING, "Failed to write PID file: %s", strerror(errno));
}

static uint32_t wanted_workers(struct server *server)
{
	int64_t workers = config_int(&server->config.workers);
	if (workers <= 0)
		workers = sysconf(_SC_NPROCESSORS_ONLN);
	return workers < 1 ? 1 : workers > SHARDS_MAX ? SHARDS_MAX : (uint32_t)workers;
}

/* As many clients as the system has file descriptors for. */
static void fit_clients(struct config *config, uint32_t workers)
{
	int64_t wanted = config_int(&config->maxclients);
	int64_t enough = acceptor_raise_fd_limit(wanted, workers);
	if (enough == wanted)
		return;
	log_write(LOG_WARNING, "Too few open files are allowed: maxclients is %lld, not %lld",
		  (long long)enough, (long long)wanted);
	atomic_store(&config->maxclients, enough);
}

static int open_loop(struct server *server)
{
	const int numbers[] = {SIGTERM, SIGINT};
	int error = uv_loop_init(&server->loop);
	if (error)
		return error;
	uv_async_init(&server->loop, &server->stop, on_stop);
	server->stop.data = server;
	for (int i = 0; i < 2; i++) {
		uv_signal_init(&server->loop, &server->signals[i]);
		server->signals[i].data = server;
		uv_signal_start(&server->signals[i], on_signal, numbers[i]);
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	return 0;
}

static int open_workers(struct server *server)
{
	for (uint32_t i = 0; i < server->worker_count; i++) {
		int error = worker_init(&server->workers[i], server, (uint16_t)i);
		if (error)
			return error;
	}
	for (uint32_t i = 0; i < server->worker_count; i++) {
		int error = worker_start(&server->workers[i]);
		if (error)
			return error;
	}
	return 0;
}

/* Ends the workers, then what they share; nothing of them runs any more. */
static void close_all(struct server *server)
{
	for (uint32_t i = 0; i < server->worker_count; i++)
		pthread_join(server->workers[i].thread, NULL);
	persistence_join(&server->persistence);
	snapshotter_stop(&server->snapshotter);
	persistence_stop(&server->persistence);
	reclaimer_stop(&server->reclaimer);
	for (uint32_t i = 0; i < server->worker_count; i++)
		worker_deinit(&server->workers[i]);
	keyspace_free(server->ks);
	mem_free(server->workers, server->worker_count * sizeof(*server->workers));
}

static void say_start(const struct server *server)
{
	const char *file = server->config.file;
	log_write(LOG_NOTICE, "Sherd %s starts: %u workers, process %d, configuration file %s",
		  SHERD_VERSION, server->worker_count, (int)getpid(), file ? file : "none");
}

void server_ready(struct server *server)
{
	if (!atomic_load(&server->stopping))
		log_write(LOG_NOTICE, "Ready to accept connections: port %lld",
			  (long long)config_int(&server->config.port));
}

/* What the start does with files can be made to fail, too, where DEBUG is enabled. */
static void inject_faults(const struct config *config)
{
	const char *rule = getenv(FAULT_VARIABLE);
	if (!rule || config_int(&config->enable_debug_command) == PROTECTED_NO)
		return;
	if (fault_set_text(rule))
		log_write(LOG_WARNING, "Calls on files will fail: " FAULT_VARIABLE "=%s", rule);
	else
		log_write(LOG_WARNING, FAULT_VARIABLE " is not a rule: %s", rule);
}

int server_run(struct server *server)
{
	struct hash_seed seed;
	inject_faults(&server->config);
	clock_init(&server->clock);
	random_bytes(&seed, sizeof(seed));
	make_run_id(server);
	server->start_ms = clock_now(&server->clock);
	server->next_conn_id = 1;
	server->worker_count = wanted_workers(server);
	say_start(server);
	fit_clients(&server->config, server->worker_count);
	server->ks = keyspace_new(server->worker_count,
				  (uint32_t)config_int(&server->config.databases), &seed);
	config_apply(server);
	size_t bytes = server->worker_count * sizeof(*server->workers);
	server->workers = mem_alloc_lines((bytes + 63) & ~(size_t)63);
	memset(server->workers, 0, bytes);
	if (open_loop(server) || acceptor_start(&server->acceptor, server))
		return 1;
	if (reclaimer_start(&server->reclaimer, &server->ks->grace) || open_workers(server)) {
		log_write(LOG_WARNING, "Can't start the threads");
		return 1;
	}
	if (snapshotter_start(&server->snapshotter, server) ||
	    persistence_start(&server->persistence, server)) {
		atomic_store(&server->persistence.failed, true);
		server_stop(server);
	}
	mem_purge_in_background();
	sample_start(server);
	write_pid(server);
	uv_run(&server->loop, UV_RUN_DEFAULT);
	close_all(server);
	remove_pid(server);
	say_bye();
	return atomic_load(&server->persistence.failed) ? 1 : 0;
}
