/*
 * What a worker's writes did, as records of its journal. (persist/segment.h has the files.)
 *
 * An effect is a command that does again what a write did, whatever the time and the luck then: SET
 * with PXAT, SREM for SPOP, DEL for a key that had expired. Unless all slots were held it has its
 * keys in one slot. A unit of work (one command, one EXEC, one slot of the sweep) that has effects
 * makes one record, all of it in the journal of the worker that ran it:
 *
 *	#EP:<epoch>:<unix ms>     when its epoch is newer than that of the record before
 *	#AL:<n>                   when units on all slots were journaled since: n of them up to now
 *	#PRE                      when the unit held its slots before this generation's cut (freeze.h)
 *	#V:<slot>:<n>[,...]       the slots written; it is the n-th unit on that slot in this generation
 *	  or #ALL:<n>:<worker>:<records>[,...]
 *	                          the n-th unit on all slots; how many records of each journal come before it
 *	#SUM:<16 hex digits>      when an argument has JOURNAL_SUM_MIN bytes or more: the CRC-64 (proto/crc64.h)
 *	                          of all bytes of the record behind this line
 *	SELECT, when the database isn't that of the record before
 *	the effect, or MULTI, effects, EXEC
 *
 * Lines that begin with '#' are comments to Redis' tools.
 *
 * Sums. A power loss may take sectors out of the middle of what wasn't synced: zeros stand there
 * then. Those that meet a line, a length or an argument's end make no record. They go unseen only
 * within one argument, which is then no shorter than a sector: a record with such a one has a sum,
 * small ones need none.
 *
 * Order. The records of one slot are in whatever journals, for each write is done by the worker
 * that got it; their numbers say in which order they go. The number is taken while the slot is
 * held, so it is the order in which they happened. A record that touches several slots has a place
 * in the order of each. As units hold all their slots at once there is no circle: who always takes
 * a record whose predecessors are done gets on to the end (persist/merge.h).
 *
 * Epochs. A unit loads the epoch when it holds its slots, so along a slot's numbers epochs don't
 * fall, nor do they in one journal. What epochs are good for: server/flusher.h.
 *
 * Nobody may learn of a write that a killed process would forget. A slot says whose record was its
 * last, and where that ends; journal_saw() notes what a reply has looked at, and server/gate.h
 * keeps the reply until those bytes are written. But a record is good for nothing when one it comes
 * after was never written: so each journal says up to where its records rest on the others
 * (`rests_on`, which has what those rest on as well), and who looks at one of them waits for all
 * that.
 *
 * Generations. A cut (a snapshot's epoch S) begins a new segment in every journal with its first
 * record of an epoch > S; numbers of slots begin again at 1, those of all-slot units at 0. The cut
 * comes between two moments of a unit: when it holds its slots, and when its record is made. What
 * it did is in the snapshot then, but the record in the new segment, marked #PRE, for whoever
 * starts with the snapshot to leave out. In the order of each slot such records come first.
 *
 * A unit on all slots counts the others' records while these stand still, but the end of their
 * ticks doesn't: there a journal may go on to the next generation (journal_follow) between the
 * unit's load of the epoch and its record. So a journal keeps the counts of its last two
 * generations, and the unit takes that of its own.
 *
 * On and off. Journals are switched at an epoch, so that all units on one side of it are journaled
 * and none on the other: `on` says that effects are collected, the span of epochs whether records
 * are made of them.
 *
 * Large effects. What a unit does may take hundreds of megabytes to say (RENAME to another slot,
 * SET of a long string). That keeps its worker from others as little as can be:
 *  - Effects are built piece by piece, with their sum, in the turns of who has any (turn.h). The
 *    unit holds its slots meanwhile, and has no place in any order before its record is made.
 *  - A record is made at once, and in no time: its effects go behind the others as they are,
 *    uncopied.
 *  - It is written over several ticks: journal_due() says how much in this one. Others follow in
 *    the order they were made, for a journal is written from its front only. A part of a record in
 *    a file is what a failed write leaves there as well: `written` is before the record's end, so
 *    no reply tells of it, nor of what came behind; who reads the file takes it for none.
 * What ordinary units append is written in its tick, whatever large ones have left. So a journal
 * grows by these only, whose clients wait for their replies until they are written.
 *
 * Who may touch what: a journal is its worker's; fields with _Atomic are read by any thread. The
 * holder writes the slot's `journaled` and `last_write`; readers under RCU load the latter.
 */
#ifndef SHARD_JOURNAL_H
#define SHARD_JOURNAL_H

#include "proto/slice.h"
#include "shard/chain.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry;
struct keyspace;
struct shard;
struct slot;

/* More shards than this nobody runs; a shard's number fits a byte. */
#define SHARDS_MAX 256

/*
 * An argument of so many bytes makes a record have a sum: a disk's sector, the least that a power
 * loss takes.
 */
#define JOURNAL_SUM_MIN 512

/*
 * Of large effects at least so much is written at the end of a tick, in half a millisecond, and at
 * least this part of what is left: so who asks for more and more, and waits for no reply, makes it
 * no longer than so many ticks' worth.
 */
#define JOURNAL_PIECE_BYTES (512 * 1024)
#define JOURNAL_PIECE_PART  64

/* No epoch. The first is 1. */
#define EPOCH_NONE 0

/* Where all journals are: one for the keyspace. Any thread reads. */
struct epochs {
	_Atomic uint64_t now;       /* the flusher alone advances it; loaded by each unit that writes */
	_Atomic uint64_t cut;       /* the generation's: stored before `now` becomes cut + 1 */
	_Atomic uint64_t cut_before; /* ... of the one before it: stored before `cut` */
	_Atomic uint64_t all_units; /* in this generation; written by who holds all slots */
	_Atomic uint64_t all_cut;   /* ... the generation that it counts; the same */
};

/* Which epochs are journaled: those > from and <= until. Stored before `now` gets there. */
struct journal_span {
	_Atomic uint64_t from, until;
};

/* The effects of one unit of work, one after the other. */
struct effects {
	struct chain bytes;
	uint32_t count;
	uint32_t db_first, db; /* the databases that the first and the last are in */
	bool large;            /* an argument has JOURNAL_SUM_MIN bytes or more */
	/* of many bytes the CRC-64 of the first `summed`; in which piece these end, and where */
	uint64_t sum;
	size_t summed;
	struct chain_piece *sum_piece;
	size_t sum_at;
};

/*
 * How many records of one generation a journal has. The generation is stored when `records` is 0,
 * and loaded with acquire: so who finds his own finds its number, not what an older one has left
 * there.
 */
struct journal_count {
	_Atomic uint64_t cut;
	_Atomic uint64_t records;
};

struct journal {
	/* this worker only */
	struct chain buf;    /* records, not yet written: the first perhaps in part */
	size_t large;        /* so many bytes of large effects are among them, at most */
	struct effects unit; /* of the unit going on */
	uint32_t db;        /* the database selected at the end of buf */
	uint32_t counting;  /* in which of the counts */
	uint64_t all_seen;  /* the last #AL written to this segment */
	size_t segment_at;  /* from here on buf belongs to the next segment; SIZE_MAX: nothing does */
	_Atomic bool on;    /* effects are wanted; stored at start and when that changes */
	/* this worker stores, any thread reads */
	_Atomic uint64_t appended;    /* bytes of all records ever */
	_Atomic uint64_t written;     /* ... and of those that a killed process keeps */
	_Atomic uint64_t settled;     /* ... and of those that are safe, with all they rest on (server/gate.h) */
	_Atomic uint64_t epoch;       /* of the last record */
	_Atomic uint64_t epoch_start; /* `appended` before its first record */
	_Atomic uint64_t segment_start; /* `appended` before the generation's first record: stored before `cut` */
	_Atomic uint64_t cut;         /* the generation of the last record */
	struct journal_count counts[2]; /* of that one and of the one before */
	/* up to which byte of each journal its records rest on it: stored before `appended` */
	_Atomic uint64_t rests_on[SHARDS_MAX];
	/* this worker only: up to which byte of each journal replies tell of; 0: of nothing */
	uint64_t saw[SHARDS_MAX];
	bool saw_any;
};

void journal_init(struct journal *journal);
void journal_deinit(struct journal *journal);

/* --- effects: the executing worker, in a unit of work; nothing when the journal is off --- */

/*
 * This command with its arguments, in this database. With many bytes this and effect_state() take
 * turns.
 */
void effect_add(struct journal *journal, uint32_t db, const struct slice *argv, uint32_t argc);

/* "DEL key", and what makes a key as this entry is. */
void effect_remove(struct journal *journal, uint32_t db, struct slice key);
/* "HDEL key field" and its like: a part of a value goes. Nothing when the journal is off. */
void effect_remove_part(struct journal *journal, uint32_t db, const char *name, struct slice key,
			struct slice part);
void effect_state(struct journal *journal, uint32_t db, const struct entry *e);

/*
 * A unit that can't go on now (EXEC while one of its commands waits for an answer) puts its effects
 * by, so that other units may come between. `kept` is empty before, and after the second.
 */
void effects_put_by(struct journal *journal, struct effects *kept);
void effects_take_back(struct journal *journal, struct effects *kept);

/* --- records --- */

/*
 * Ends a unit of work: makes its effects a record. By the holder of the slots (NULL: all), before
 * it releases them. `now`: unix ms, for people who want to go back to a time.
 */
void journal_commit(struct shard *shard, struct slot *const *slots, uint32_t count, int64_t now);

/*
 * The end of a tick: goes on in the generation of now, with or without a record in it. So when a
 * grace period has passed since a cut, and a tick after it, all journals are on its far side.
 */
void journal_follow(struct shard *shard);

/* How many bytes of buf are to be written in this tick. */
size_t journal_due(const struct journal *journal);

/* What came of a write(): `bytes` from the front of buf are in the file. */
void journal_wrote(struct journal *journal, size_t bytes);

/* Journals have been switched off: what is not written is forgotten, as if it were. */
void journal_forget(struct journal *journal);

/* --- looking --- */

/* A reply will tell of any slots: all that was journaled up to now. The executing worker. */
void journal_saw_all(struct shard *shard);

/* A slot's last_write: whose record, and where it ends. 0: none. */
#define JOURNAL_WORKER_SHIFT 48
#define JOURNAL_BYTES_MASK   ((1ull << JOURNAL_WORKER_SHIFT) - 1)

/*
 * Notes that a reply, or a record, will tell of what a slot with this last_write holds. The
 * executing worker.
 */
void journal_saw(struct shard *shard, uint64_t last_write);

#endif
