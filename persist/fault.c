/* Faults on purpose (fault.h). */
#include "persist/fault.h"

#include "proto/number.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

static const char *const call_names[IO_CALL_COUNT] = {
	[IO_OPEN] = "open",     [IO_WRITE] = "write",       [IO_SYNC] = "sync",
	[IO_RENAME] = "rename", [IO_TRUNCATE] = "truncate", [IO_UNLINK] = "unlink",
};

/* Instead of an error: the process doesn't live on. No errno is so large. */
#define KILL 4096

static const struct {
	const char *name;
	int number;
} errors[] = {
	{"eio", EIO},     {"enospc", ENOSPC}, {"edquot", EDQUOT}, {"enoent", ENOENT},
	{"erofs", EROFS}, {"emfile", EMFILE}, {"kill", KILL},
};

/* The rule in force. A call that comes while it is being changed may go by the old one in part. */
static struct {
	_Atomic uint32_t calls; /* which may fail: a bit for each */
	_Atomic bool part;      /* a write takes half of it before */
	_Atomic int error;
	_Atomic uint64_t from, to; /* calls from this one on, and before that one */
	_Atomic uint64_t matched;  /* calls of that kind */
	_Atomic uint64_t counts[IO_CALL_COUNT];
} rule;

static int strike(enum io_call call, size_t *len)
{
	atomic_fetch_add(&rule.counts[call], 1);
	if (!(atomic_load(&rule.calls) & 1u << call))
		return 0;
	uint64_t n = atomic_fetch_add(&rule.matched, 1);
	if (n < atomic_load(&rule.from) || n >= atomic_load(&rule.to))
		return 0;
	if (len)
		*len = atomic_load(&rule.part) ? *len / 2 : 0;
	if (atomic_load(&rule.error) == -KILL)
		raise(SIGKILL);
	return atomic_load(&rule.error);
}

/* The bits of the calls that a word means; 0: none. */
static uint32_t find_calls(struct slice word)
{
	if (slice_is(word, "any"))
		return (1u << IO_CALL_COUNT) - 1;
	if (slice_is(word, "short"))
		return 1u << IO_WRITE;
	for (uint32_t i = 0; i < IO_CALL_COUNT; i++)
		if (slice_is(word, call_names[i]))
			return 1u << i;
	return 0;
}

static int find_error(struct slice word)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (slice_is(word, errors[i].name))
			return -errors[i].number;
	return 0;
}

bool fault_set(const struct slice *words, uint32_t count)
{
	uint64_t skip = 0, times = 1;
	uint32_t calls = count < 2 ? 0 : find_calls(words[0]);
	int error = count < 2 ? 0 : find_error(words[1]);
	if (!calls || !error || count > FAULT_WORDS_MAX ||
	    (count > 2 && !number_parse_unsigned(words[2], &skip)) ||
	    (count > 3 && !number_parse_unsigned(words[3], &times)))
		return false;
	fault_clear();
	for (uint32_t i = 0; i < IO_CALL_COUNT; i++)
		atomic_store(&rule.counts[i], 0);
	atomic_store(&rule.matched, 0);
	atomic_store(&rule.part, slice_is(words[0], "short"));
	atomic_store(&rule.error, error);
	atomic_store(&rule.from, skip);
	atomic_store(&rule.to, times == 0 || times > UINT64_MAX - skip ? UINT64_MAX : skip + times);
	atomic_store(&rule.calls, calls);
	atomic_store(&io_fault, strike);
	return true;
}

bool fault_set_text(const char *text)
{
	struct slice words[FAULT_WORDS_MAX + 1];
	uint32_t count = 0;
	while (count <= FAULT_WORDS_MAX) {
		text += strspn(text, " ");
		size_t len = strcspn(text, " ");
		if (len == 0)
			break;
		words[count++] = (struct slice){text, len};
		text += len;
	}
	return fault_set(words, count);
}

void fault_clear(void)
{
	atomic_store(&rule.calls, 0);
}

const char *fault_name(enum io_call call)
{
	return call_names[call];
}

uint64_t fault_calls(enum io_call call)
{
	return atomic_load(&rule.counts[call]);
}
