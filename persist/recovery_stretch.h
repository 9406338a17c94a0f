/*
 * Going through a stretch: the journals of one item are merged (merge.h) as far as they are good,
 * each record is put to the caller's uses, and what came of each journal is told in the recovery's
 * files.
 *
 * After a power loss epochs beyond the last of COMMITS don't count in an open stretch; the journals
 * of a generation count at all only if what they follow on was synced.
 *
 * One thread, but for those of the replay.
 */
#ifndef PERSIST_RECOVERY_STRETCH_H
#define PERSIST_RECOVERY_STRETCH_H

#include "persist/recovery.h"
#include "persist/replay.h"
#include "persist/times.h"
#include "persist/verify.h"

/* What the records are for. Any may be NULL. */
struct stretch_use {
	struct replay *replay;     /* does them again, but for those that the base has */
	struct times *times;       /* told when their epochs began */
	struct verifier *verifier; /* a record that it doesn't like is damage */
};

/*
 * `base`: the item that the journals follow on; a snapshot of the stretch's cut has what was
 * written before it. False: an effect could not be done again, or a journal is bad: error says so.
 */
bool recovery_stretch(struct recovery *recovery, uint32_t item, uint32_t base,
		      const struct stretch_use *use);

#endif
