/*
 * Faults on purpose: makes calls on files (io.h) fail, so that tests see what comes of it.
 *
 * One rule at a time: "<call> <error> [<skip> [<count>]]". The call is one of open, write, short,
 * sync, rename, truncate, unlink, or any; "short" is a write that takes half of the bytes before it
 * fails. The error is a name like ENOSPC, or KILL: the process is killed before the call. The first
 * `skip` calls of that kind go well (none unless told), the next `count` fail (one unless told; 0:
 * all from then on). Calls are counted from the last rule on, so a test can run something once
 * under a rule that never strikes, and then fail each of its calls in turn.
 *
 * Nothing calls this but DEBUG IO-FAULT, and the server's start when DEBUG is enabled and the
 * environment has FAULT_VARIABLE.
 *
 * Any thread; rules are set by one at a time.
 */
#ifndef PERSIST_FAULT_H
#define PERSIST_FAULT_H

#include "persist/io.h"
#include "proto/slice.h"

#define FAULT_VARIABLE "SHERD_IO_FAULT"
/* Words of a rule. */
#define FAULT_WORDS_MAX 4

/* Sets a rule. False: that is not one, and nothing has changed. */
bool fault_set(const struct slice *words, uint32_t count);

/* The same from one string, its words separated by spaces. */
bool fault_set_text(const char *text);

/* Nothing fails any more. */
void fault_clear(void);

/* A call's name, and how many there were since the last rule was set. */
const char *fault_name(enum io_call call);
uint64_t fault_calls(enum io_call call);

#endif
