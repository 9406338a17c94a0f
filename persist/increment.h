/*
 * Applying an increment (persist/snapshot.h): first all that its keys take the place of goes, here;
 * then they are loaded as those of any RDB file (persist/load.h).
 *
 * One thread; nobody else uses the keyspace.
 */
#ifndef PERSIST_INCREMENT_H
#define PERSIST_INCREMENT_H

#include "proto/slice.h"
#include "shard/keyspace.h"

/*
 * Removes what the part with these bytes replaces. False: *error says what is wrong with it, at
 * *offset.
 */
bool increment_clear(struct keyspace *ks, struct slice bytes, const char **error, uint64_t *offset);

#endif
