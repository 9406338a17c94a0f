/*
 * Reading the parts of a snapshot, or of an increment: into a keyspace, or to see whether they are
 * whole and what they say that they are.
 *
 * One thread, but for those that load.
 */
#ifndef PERSIST_RECOVERY_SNAPSHOT_H
#define PERSIST_RECOVERY_SNAPSHOT_H

#include "persist/recovery.h"

/*
 * Loads a snapshot, or an increment to what has been loaded before: what it replaces goes first.
 * `threads`, `now`: as for recovery_load(). False: error says what is wrong.
 */
bool recovery_load_snapshot(struct recovery *recovery, uint32_t item, struct keyspace *ks,
			    uint32_t threads, int64_t now);

/* Reads all parts and loads nothing: the recovery's files say what came of it. */
void recovery_look_snapshot(struct recovery *recovery, uint32_t item);

#endif
