/*
 * Generations: what a snapshot means to the journals and to the manifest.
 *
 * A generation begins with a cut S. The journals go on in new segments (their stretch is in the
 * manifest before anything is written to them), and the keyspace is frozen. When the snapshot's
 * files are complete the manifest gets their line, before that stretch, and loses what stands
 * before the last `generations-to-keep` snapshots, whose files are removed then. Whatever fails on
 * the way: what the manifest lists is the data, all the time.
 *
 * After a manifest could not be written nobody knows which one a power loss will leave: what either
 * of them names stays. What nobody needs is removed when the next snapshot is complete, or at the
 * next start (manifest_tidy). Of snapshots that fail one after the other no stretches stay in which
 * nothing was written, but for the last two.
 *
 * The snapshotter's thread.
 */
#ifndef SERVER_GENERATION_H
#define SERVER_GENERATION_H

#include "persist/manifest.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct server;

/*
 * Brings what CONFIG SET appendonly wishes in force. True: a snapshot is needed for that: journals
 * begin with its cut, and are listed together with it; until then what the manifest lists stays the
 * data. Where that has journals which ended in trouble, and count as far as COMMITS said then,
 * another snapshot comes first, without journals: with these COMMITS would say more.
 */
bool generation_follow(struct server *server);

/*
 * Makes the cut: the keyspace is frozen at *cut, until the caller's freeze_end(). `note`: what is
 * written after it is noted, for an increment. 0 or a negative errno: then nothing is frozen;
 * -ECANCELED when that was wished while it had to wait for the journals.
 */
int generation_begin(struct server *server, const _Atomic bool *cancelled, bool note,
		     uint64_t *cut);

/*
 * The snapshot's files are complete. Waits until the journals up to the cut are synced. The same
 * errors.
 */
int generation_end(struct server *server, const _Atomic bool *cancelled,
		   const struct manifest_item *snapshot);

#endif
