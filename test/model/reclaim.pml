/*
 * Reclaim: what a worker frees, nobody can hold any more.
 *
 * The story. Each of WORKERS workers owns a cell that names an object, and makes TICKS ticks. In a
 * tick it comes online (QSBR), may read a cell, its own or another's, and keep the object until the
 * end of the tick, may put a new object into its own cell and retire the old one on its ring,
 * stamps what is new on the ring (full fence, then `stamp = started + 1`), asks the reclaimer for a
 * period, frees what has `stamp <= completed`, and goes offline. When its ticks are over it
 * sleeps offline until the reclaimer has come far enough, and ticks once more. To ask is to set a
 * flag. The reclaimer, whenever it is set: clears it, `started++`, synchronize_rcu, `completed =
 * started`. synchronize_rcu is liburcu's QSBR on 64 bits: raise the counter, then wait for each
 * reader until its own copy is 0 (offline) or the new value. That it serves several callers in one
 * go changes nothing.
 *
 * Memory. A worker's stores to its cell and to its copy of the counter are delayed, one place for
 * each, and process `memory` lets them land at any time and in any order, but for the release order
 * of the cell; a full fence lands both. The reclaimer's steps are in order, as seq_cst and
 * liburcu's barriers have it.
 *
 * Abstracted: how the reclaimer wakes a worker (wakeup.pml), the byte limits, memory held for a
 * snapshot. Freed objects aren't used again, so that a dead one is seen for what it is.
 *
 * Invariant. No object that a worker holds in its tick is freed; and everything retired is freed in
 * the end.
 *
 * Variants; each removes one thing and must fail:
 *  BROKEN_NO_STAMP_FENCE: `started` is loaded before the new word of the cell lands: the grace
 *      period begins, a reader comes online after that and still finds the old object
 *  BROKEN_STAMP_EARLY: the stamp is loaded before the object is unlinked (at the start of the tick,
 *      or one stamp for what is retired after it in the same tick)
 *  BROKEN_STAMP_CURRENT: the stamp is `started`: a grace period that was already running is taken
 *      for enough
 *  BROKEN_STARTED_LATE: `started` is raised after synchronize_rcu has begun
 *  BROKEN_COMPLETED_EARLY: `completed` is raised before the readers have been waited for
 *  BROKEN_NO_ONLINE_FENCE: a reader's loads overtake its coming online (liburcu's fence)
 *  BROKEN_HOLD_OFFLINE: a worker keeps what it found beyond the end of its tick
 *  BROKEN_WAIT_ONLINE: a worker waits for a grace period inside its tick: each waits for the other
 *  BROKEN_CLEAR_LATE: the flag is cleared after the grace period: what was asked for meanwhile is
 *      forgotten, and its memory never freed
 */
#define WORKERS 2
#define TICKS 2
#define OBJECT(w, n) ((w) * (TICKS + 1) + (n))
#define OBJECTS (WORKERS * (TICKS + 1))
#define NONE 255

/* memory, and the workers' delayed stores */
byte cell[WORKERS];
byte online[WORKERS];	/* liburcu's copies of its counter */
byte late_cell[WORKERS] = NONE;
byte late_online[WORKERS] = NONE;

byte counter = 1;	/* liburcu's */
byte started, completed;
bit wanted;		/* the flag */
bit freed[OBJECTS];

inline land(word, late)
{
	if
	:: late != NONE -> word = late; late = NONE
	:: else
	fi
}

inline full_fence()
{
	atomic { land(online[me], late_online[me]); land(cell[me], late_cell[me]) }
}

active [WORKERS] proctype memory()
{
end:	do
	:: atomic { late_online[_pid] != NONE -> land(online[_pid], late_online[_pid]) }
	:: atomic {
		late_cell[_pid] != NONE && late_online[_pid] == NONE ->
		land(cell[_pid], late_cell[_pid])
	   }
	od
}

active proctype reclaimer()
{
	byte w;

end:	do
	:: wanted ->
#ifndef BROKEN_CLEAR_LATE
		wanted = 0;
#endif
#ifdef BROKEN_STARTED_LATE
		counter++;
		started++;
#else
		started++;
#ifdef BROKEN_COMPLETED_EARLY
		completed = started;
#endif
		counter++;
#endif
		do
		:: w < WORKERS -> (online[w] == 0 || online[w] == counter); w++
		:: else -> w = 0; break
		od;
#ifdef BROKEN_CLEAR_LATE
		atomic { completed = started; wanted = 0 }
#else
		completed = started
#endif
	od
}

inline come_online()
{
	late_online[me] = counter;
#ifndef BROKEN_NO_ONLINE_FENCE
	full_fence()
#endif
}

inline stamp_ring()
{
	if
	:: made > stamped ->
#ifndef BROKEN_NO_STAMP_FENCE
		full_fence();
#endif
#if defined(BROKEN_STAMP_CURRENT)
		stamp = started;
#elif !defined(BROKEN_STAMP_EARLY)
		stamp = started + 1;
#endif
		stamps[stamped] = stamp;
		stamped++;
		wanted = 1
	:: else
	fi
}

inline free_ring()
{
	do
	:: atomic {
		gone < stamped && stamps[gone] <= completed ->
		freed[OBJECT(me, gone)] = 1;
		gone++
	   }
	:: else -> break
	od
}

/* Whatever is held must have lived up to here. */
inline go_offline()
{
#ifdef BROKEN_WAIT_ONLINE
	gone == stamped || stamps[gone] <= completed;
#endif
	atomic {
		full_fence();
#ifndef BROKEN_HOLD_OFFLINE
		assert(held == NONE || !freed[held]);
		held = NONE;
#endif
		late_online[me] = 0
	}
}

proctype worker(byte me)
{
	byte ticks, made, stamped, gone, stamp;
	byte stamps[TICKS];
	byte held = NONE;

	do
	:: ticks == TICKS -> break
	:: else ->
		come_online();
#ifdef BROKEN_HOLD_OFFLINE
		assert(held == NONE || !freed[held]);
#endif
#ifdef BROKEN_STAMP_EARLY
		stamp = started + 1;
#endif
		if
		:: atomic { late_cell[me] == NONE -> held = cell[me] }
		:: atomic { late_cell[me] != NONE -> held = late_cell[me] }
		:: held = cell[1 - me]
		:: skip
		fi;
		if
		:: atomic { made++; late_cell[me] = OBJECT(me, made) }
		:: skip
		fi;
		stamp_ring();
		free_ring();
		go_offline();
		ticks++
	od;
	do
	:: gone == made -> break
	:: else ->
		stamps[gone] <= completed; /* asleep */
		come_online();
		free_ring();
		go_offline()
	od
}

init {
	atomic {
		cell[0] = OBJECT(0, 0);
		cell[1] = OBJECT(1, 0);
		run worker(0);
		run worker(1)
	}
}
