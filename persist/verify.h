/*
 * Whether a journal's records can be what a server has written, as far as can be seen without doing
 * them: each effect a command that there is, with as many arguments as it takes, its keys in the
 * record's slot. Bytes that have changed within a value are not seen.
 *
 * One thread.
 */
#ifndef PERSIST_VERIFY_H
#define PERSIST_VERIFY_H

#include "persist/merge.h"

#include <stdbool.h>

struct verifier;

struct verifier *verifier_new(void);
void verifier_free(struct verifier *verifier);

bool verifier_likes(struct verifier *verifier, const struct merge_record *record);

#endif
