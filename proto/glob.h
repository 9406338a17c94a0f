/*
 * Glob patterns as KEYS and CONFIG GET know them: * ? [a-z] [^x] \c. The work is bounded by pattern
 * times text, however many '*' there are.
 *
 * As in Redis the empty text fits only the empty pattern, not "*": who lists keys asks first
 * whether the pattern is "*" alone, which means every key.
 */
#ifndef PROTO_GLOB_H
#define PROTO_GLOB_H

#include "proto/slice.h"

/* `ignore_case`: ASCII letters only. */
bool glob_match(struct slice pattern, struct slice text, bool ignore_case);

#endif
