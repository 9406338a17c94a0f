/*
 * When a snapshot is due that nobody has asked for just now: what was scheduled, journals that
 * begin with it, a save point (`save`), memory (save-on-memory), journals that have grown
 * (growth.h). After a failure not at once again.
 */
#ifndef SERVER_DUE_H
#define SERVER_DUE_H

#include "server/snapshotter.h"

/* Seconds after a failure before a save point, or what was scheduled, is tried again. */
#define SAVE_RETRY_S 5

/*
 * What is due now; SAVE_NONE: nothing is. Says why in the log. Main thread, with the snapshotter's
 * mutex.
 */
enum save_kind due_find(struct snapshotter *snapshotter);

/* Journals are wished, and can't be used before there is a snapshot. Any thread. */
bool due_journals(const struct server *server);

/* Save points are configured. Any thread. */
bool due_has_points(struct server *server);

#endif
