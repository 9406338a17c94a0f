/*
 * Growth: how much the data take on disk with their journals, and when it is time to make that
 * less.
 *
 * The size is that of all files that the manifest lists from the last whole snapshot on: that, the
 * increments on it, and all journals since. A whole snapshot makes it small again. Journals are
 * counted as they are appended to: what the system hasn't got yet is in it, zeros written ahead
 * (persist/segment.h) are not.
 *
 * The rule is Redis': with journals on a rewrite is due when the size is above
 * auto-aof-rewrite-min-size, and has grown by auto-aof-rewrite-percentage over what it was after
 * the last whole snapshot; the journals written beside it count there, too. After a start that is
 * the snapshot that was loaded, alone.
 */
#ifndef SERVER_GROWTH_H
#define SERVER_GROWTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct server;

/* The loader stores, then the snapshotter; any thread reads. Bytes. */
struct growth {
	_Atomic uint64_t kept; /* of the size: snapshots, and journals of earlier runs */
	_Atomic uint64_t
		from; /* what all journals had appended when this run's share of it began */
	_Atomic uint64_t base; /* the size after the last whole snapshot; 0: there is none */
};

/* What the manifest lists has been loaded. The loader, before journals are on. */
void growth_loaded(struct server *server);

/* A snapshot of so many bytes is complete, and all journals are behind its cut. The snapshotter. */
void growth_saved(struct server *server, uint64_t bytes, bool increment);

uint64_t growth_size(const struct server *server);

/* A rewrite is due; says so in the log. Any thread, while no snapshot is being made. */
bool growth_due(const struct server *server);

#endif
