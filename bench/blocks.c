/*
 * The load for requests on several keys and for transactions, which memtier_benchmark can't
 * pipeline: blocks of requests that belong together, on random keys.
 *
 *	blocks --port N [--kind mget] [--threads 2] [--connections 50] [--pipeline 16] [--seconds 5]
 *	       [--keys 1000000] [--rate 0]
 *
 *	mget, mset   8 keys
 *	multi        MULTI, 4 SETs, EXEC
 *	tagged       the same, the keys with one hash tag: one slot
 *	few          as multi, all keys in 1 % of the slots
 *	single       10 GETs to one SET, all keys in the other slots
 *	incr         INCR of one key
 *	same         MSET of the same 8 keys
 *
 * Each connection sends `pipeline` blocks in one write, waits for all replies, and begins again: at
 * once, or with --rate so that all connections together send so many blocks a second. All blocks
 * are made beforehand. Prints one JSON object: blocks a second, their number, percentiles in ms of
 * the time between a write and its last reply and the longest such time, and the blocks of the
 * connection that got the fewest, and the most. An error reply ends it with status 1.
 */
#include "proto/crc16.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Blocks made beforehand, for each thread: together they name most of a million keys. */
#define BLOCKS_MADE     65536
#define BLOCK_BYTES_MAX 1024
#define KEYS_OF_BLOCK   8
#define SETS_OF_BLOCK   4
#define IN_BYTES        (256 * 1024)
/* Latencies are counted to the microsecond up to here. */
#define LATENCY_US_MAX 200000
/* One slot in so many is for `few`; so many names of keys there are looked for. */
#define FEW_ONE_IN 100
#define FEW_NAMES  4096
#define SET_ONE_IN 11

static const char value[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

enum kind {
	KIND_MGET,
	KIND_MSET,
	KIND_MULTI,
	KIND_TAGGED,
	KIND_FEW,
	KIND_SINGLE,
	KIND_INCR,
	KIND_SAME,
	KIND_COUNT
};
static const char *const kind_names[KIND_COUNT] = {"mget", "mset",   "multi", "tagged",
						   "few",  "single", "incr",  "same"};

static struct {
	int port, threads, connections, pipeline, seconds, rate;
	enum kind kind;
	uint64_t keys;
} options = {.threads = 2, .connections = 50, .pipeline = 16, .seconds = 5, .keys = 1000000};

struct connection {
	int fd;
	uint32_t awaited; /* replies */
	uint64_t sent_ns;
	uint64_t due_ns; /* when it may send again */
	uint64_t blocks;
	size_t filled;
	char in[IN_BYTES];
};

struct thread {
	pthread_t thread;
	uint64_t random;
	char *bytes; /* all blocks, one after another */
	size_t starts[BLOCKS_MADE + 1];
	struct connection *connections;
	int connection_count;
	uint64_t longest_ns;
	uint64_t few[FEW_NAMES];
	uint32_t latencies[LATENCY_US_MAX];
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* splitmix64 */
static uint64_t random_next(struct thread *t)
{
	uint64_t z = t->random += 0x9e3779b97f4a7c15ull;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* --- blocks --- */

static char *put_bulk(char *at, const char *text)
{
	return at + sprintf(at, "$%zu\r\n%s\r\n", strlen(text), text);
}

#define NAME_BYTES 32

/* A key as memtier_benchmark names them. */
static void key_name(char *name, uint64_t number)
{
	sprintf(name, "memtier-%llu", (unsigned long long)number);
}

static bool is_few(uint64_t number)
{
	char name[NAME_BYTES];
	key_name(name, number);
	return key_slot(name, strlen(name)) % FEW_ONE_IN == 0;
}

/* A random key, of those that are few or of those that are not. */
static uint64_t random_key(struct thread *t, bool few)
{
	uint64_t number;
	do
		number = random_next(t) % options.keys;
	while (is_few(number) != few);
	return number;
}

static uint64_t choose_key(struct thread *t)
{
	switch (options.kind) {
	case KIND_FEW:
		return t->few[random_next(t) % FEW_NAMES];
	case KIND_SINGLE:
		return random_key(t, false);
	default:
		return random_next(t) % options.keys;
	}
}

static char *put_key(struct thread *t, char *at)
{
	char name[NAME_BYTES];
	key_name(name, choose_key(t));
	return put_bulk(at, name);
}

static char *put_several(struct thread *t, char *at, const char *command, bool with_values)
{
	at += sprintf(at, "*%d\r\n", 1 + KEYS_OF_BLOCK * (with_values ? 2 : 1));
	at = put_bulk(at, command);
	for (int i = 0; i < KEYS_OF_BLOCK; i++) {
		at = put_key(t, at);
		if (with_values)
			at = put_bulk(at, value);
	}
	return at;
}

static char *put_transaction(struct thread *t, char *at, bool tagged)
{
	unsigned long long user = random_next(t) % options.keys;
	at = put_bulk(at + sprintf(at, "*1\r\n"), "MULTI");
	for (int i = 0; i < SETS_OF_BLOCK; i++) {
		char name[48];
		at = put_bulk(at + sprintf(at, "*3\r\n"), "SET");
		sprintf(name, "{user:%llu}:%d", user, i);
		at = tagged ? put_bulk(at, name) : put_key(t, at);
		at = put_bulk(at, value);
	}
	return put_bulk(at + sprintf(at, "*1\r\n"), "EXEC");
}

static char *put_single(struct thread *t, char *at)
{
	bool set = random_next(t) % SET_ONE_IN == 0;
	at = put_bulk(at + sprintf(at, "*%d\r\n", set ? 3 : 2), set ? "SET" : "GET");
	at = put_key(t, at);
	return set ? put_bulk(at, value) : at;
}

static char *put_same(char *at)
{
	at = put_bulk(at + sprintf(at, "*%d\r\n", 1 + KEYS_OF_BLOCK * 2), "MSET");
	for (int i = 0; i < KEYS_OF_BLOCK; i++) {
		char name[NAME_BYTES];
		sprintf(name, "same:%d", i);
		at = put_bulk(put_bulk(at, name), value);
	}
	return at;
}

static char *put_block(struct thread *t, char *at)
{
	switch (options.kind) {
	case KIND_MGET:
		return put_several(t, at, "MGET", false);
	case KIND_MSET:
		return put_several(t, at, "MSET", true);
	case KIND_SINGLE:
		return put_single(t, at);
	case KIND_INCR:
		return put_bulk(put_bulk(at + sprintf(at, "*2\r\n"), "INCR"), "hot");
	case KIND_SAME:
		return put_same(at);
	default:
		return put_transaction(t, at, options.kind == KIND_TAGGED);
	}
}

static uint32_t replies_of_block(void)
{
	switch (options.kind) {
	case KIND_MULTI:
	case KIND_TAGGED:
	case KIND_FEW:
		return SETS_OF_BLOCK + 2;
	default:
		return 1;
	}
}

static void make_blocks(struct thread *t)
{
	t->bytes = malloc((size_t)BLOCKS_MADE * BLOCK_BYTES_MAX);
	for (int i = 0; options.kind == KIND_FEW && i < FEW_NAMES; i++)
		t->few[i] = random_key(t, true);
	char *at = t->bytes;
	for (int i = 0; i < BLOCKS_MADE; i++) {
		t->starts[i] = (size_t)(at - t->bytes);
		at = put_block(t, at);
	}
	t->starts[BLOCKS_MADE] = (size_t)(at - t->bytes);
}

/* --- replies --- */

/* Where the reply at `at` ends, NULL when it isn't whole. */
static const char *reply_end(const char *at, const char *end)
{
	const char *line = memchr(at, '\n', (size_t)(end - at));
	if (!line)
		return NULL;
	long n = strtol(at + 1, NULL, 10);
	if (*at == '-') {
		fprintf(stderr, "%.*s\n", (int)(line - at), at);
		exit(1);
	}
	const char *next = line + 1;
	if (*at == '$' && n >= 0)
		return end - next >= n + 2 ? next + n + 2 : NULL;
	for (long i = 0; *at == '*' && i < n && next; i++)
		next = reply_end(next, end);
	return next;
}

/* --- a connection --- */

static void send_blocks(struct thread *t, struct connection *c)
{
	uint64_t first = random_next(t) % (uint64_t)(BLOCKS_MADE - options.pipeline + 1);
	const char *at = t->bytes + t->starts[first];
	const char *end = t->bytes + t->starts[first + (uint64_t)options.pipeline];
	c->awaited = replies_of_block() * (uint32_t)options.pipeline;
	c->sent_ns = now_ns();
	if (options.rate)
		c->due_ns += 1000000000u * (uint64_t)options.pipeline *
			     (uint64_t)options.connections / (uint64_t)options.rate;
	while (at < end) {
		ssize_t n = send(c->fd, at, (size_t)(end - at), MSG_NOSIGNAL);
		if (n < 0)
			fail("send");
		at += n;
	}
}

static void note_latency(struct thread *t, uint64_t ns)
{
	uint64_t us = ns / 1000;
	t->latencies[us < LATENCY_US_MAX ? us : LATENCY_US_MAX - 1]++;
	if (ns > t->longest_ns)
		t->longest_ns = ns;
}

/* Takes what has arrived; sends again when it was all and the time has come. */
static void receive(struct thread *t, struct connection *c)
{
	ssize_t n = recv(c->fd, c->in + c->filled, sizeof(c->in) - c->filled, 0);
	if (n <= 0)
		fail("recv");
	c->filled += (size_t)n;
	const char *at = c->in, *end = c->in + c->filled, *next;
	while (at < end && (next = reply_end(at, end))) {
		at = next;
		c->awaited--;
	}
	c->filled = (size_t)(end - at);
	memmove(c->in, at, c->filled);
	if (c->awaited > 0)
		return;
	c->blocks += (uint64_t)options.pipeline;
	note_latency(t, now_ns() - c->sent_ns);
	if (!options.rate)
		send_blocks(t, c);
}

/* With --rate: sends on the connections whose time has come. */
static void send_due(struct thread *t)
{
	uint64_t now = now_ns();
	for (int i = 0; i < t->connection_count; i++)
		if (t->connections[i].awaited == 0 && t->connections[i].due_ns <= now)
			send_blocks(t, &t->connections[i]);
}

static int open_connection(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)options.port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		fail("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;
	struct epoll_event events[64];
	int epoll = epoll_create1(0);
	make_blocks(t);
	t->connections = calloc((size_t)t->connection_count, sizeof(*t->connections));
	for (int i = 0; i < t->connection_count; i++) {
		struct connection *c = &t->connections[i];
		c->fd = open_connection();
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
		epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
		c->due_ns = now_ns();
		send_blocks(t, c);
	}
	uint64_t end = now_ns() + (uint64_t)options.seconds * 1000000000u;
	while (now_ns() < end) {
		int n = epoll_wait(epoll, events, 64, options.rate ? 1 : 100);
		for (int i = 0; i < n; i++)
			receive(t, events[i].data.ptr);
		if (options.rate)
			send_due(t);
	}
	return NULL;
}

/* --- the result --- */

static double percentile_ms(const struct thread *threads, double share)
{
	uint64_t all = 0, seen = 0;
	for (int t = 0; t < options.threads; t++)
		for (int us = 0; us < LATENCY_US_MAX; us++)
			all += threads[t].latencies[us];
	for (int us = 0; us < LATENCY_US_MAX; us++) {
		for (int t = 0; t < options.threads; t++)
			seen += threads[t].latencies[us];
		if ((double)seen >= share * (double)all)
			return us / 1000.0;
	}
	return LATENCY_US_MAX / 1000.0;
}

static void print_result(const struct thread *threads)
{
	uint64_t all = 0, fewest = UINT64_MAX, most = 0, longest_ns = 0;
	for (int i = 0; i < options.threads; i++) {
		const struct thread *t = &threads[i];
		longest_ns = t->longest_ns > longest_ns ? t->longest_ns : longest_ns;
		for (int k = 0; k < t->connection_count; k++) {
			uint64_t blocks = t->connections[k].blocks;
			all += blocks;
			fewest = blocks < fewest ? blocks : fewest;
			most = blocks > most ? blocks : most;
		}
	}
	printf("{\"ops\": %.0f, \"count\": %llu, \"p50.00\": %.3f, \"p99.00\": %.3f, \"p99.90\": %.3f, "
	       "\"longest\": %.3f, \"fewest\": %llu, \"most\": %llu}\n",
	       (double)all / options.seconds, (unsigned long long)all, percentile_ms(threads, .5),
	       percentile_ms(threads, .99), percentile_ms(threads, .999), (double)longest_ns / 1e6,
	       (unsigned long long)fewest, (unsigned long long)most);
}

static enum kind parse_kind(const char *name)
{
	for (int kind = 0; kind < KIND_COUNT; kind++)
		if (strcmp(name, kind_names[kind]) == 0)
			return (enum kind)kind;
	fprintf(stderr, "no such kind: %s\n", name);
	exit(1);
}

static void parse_options(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		const struct {
			const char *name;
			int *number;
		} rows[] = {{"--port", &options.port},
			    {"--threads", &options.threads},
			    {"--connections", &options.connections},
			    {"--pipeline", &options.pipeline},
			    {"--seconds", &options.seconds},
			    {"--rate", &options.rate}};
		for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++)
			if (strcmp(argv[i], rows[r].name) == 0)
				*rows[r].number = atoi(argv[i + 1]);
		if (strcmp(argv[i], "--kind") == 0)
			options.kind = parse_kind(argv[i + 1]);
		if (strcmp(argv[i], "--keys") == 0)
			options.keys = strtoull(argv[i + 1], NULL, 10);
	}
	if (options.port <= 0 || options.threads < 1 || options.connections < options.threads ||
	    options.pipeline < 1 || options.pipeline > BLOCKS_MADE || options.rate < 0 ||
	    options.keys < FEW_NAMES) {
		fprintf(stderr, "blocks --port N: see the top of bench/blocks.c\n");
		exit(1);
	}
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	struct thread *threads = calloc((size_t)options.threads, sizeof(*threads));
	for (int i = 0; i < options.threads; i++) {
		threads[i].random = (uint64_t)i + 1;
		threads[i].connection_count = options.connections / options.threads;
		pthread_create(&threads[i].thread, NULL, thread_main, &threads[i]);
	}
	for (int i = 0; i < options.threads; i++)
		pthread_join(threads[i].thread, NULL);
	print_result(threads);
	return 0;
}
