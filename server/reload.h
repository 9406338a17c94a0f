/*
 * DEBUG RELOAD and LOADAOF: everything is forgotten, and loaded again from the data directory, as a
 * start would do it: the last snapshot and the journals behind it.
 *
 * Meanwhile writes wait (PAUSE_SHUTDOWN), everybody else hears -LOADING. The journals go on where
 * they were: they and what is in memory say the same. So RELOAD NOSAVE finds what the journals
 * have, too, where Redis goes back to its last RDB file.
 *
 * Watched keys count as touched. The snapshotter's thread.
 */
#ifndef SERVER_RELOAD_H
#define SERVER_RELOAD_H

#include <stdatomic.h>
#include <stdbool.h>

struct server;

/*
 * Writes wait already. False after logging why: nothing was forgotten, or else the server ends with
 * an error, as at a start that finds damage.
 */
bool reload(struct server *server, const _Atomic bool *cancelled);

#endif
