/*
 * Watched keys: EXEC does nothing if, and only if, one of them has changed since WATCH.
 *
 * The story. Key 0 stands in slot 0 and may expire, key 1 in slot 1. A connection watches both: it
 * holds their slots, puts a watch into each slot's index and notes whether key 0 has expired but is
 * still in its table (a ghost). Meanwhile worker 1 deletes key 0 and stores it, in either order,
 * worker 2 stores key 1, or replaces all of key 0's database by nothing (FLUSHDB) or by another (SWAPDB; key
 * 1 is not in either, and further slots that it holds are left out), the clock comes to when key 0 is due, and the sweep removes it. Whoever
 * stores touches first: that makes the set of watches dirty and takes the watch out of the index;
 * who removes a ghost only ends its being one. Then the connection goes away, ending one watch
 * after the other, or it says EXEC, as a reader (notes both seqs, loads the clock, looks at dirty
 * and at what has expired, reads, looks at the seqs again; in vain: as a holder) or as the holder
 * of both slots. At last the set is freed.
 *
 * Abstracted: memory is sequentially consistent; where the code needs acquire or release a variant
 * does the two steps in the other order (seq.pml has the write buffers, and why a holder loads the
 * clock when it holds the slots). That nobody deadlocks over slots is hold.pml's. `moved` is no
 * part of the code: it is set with each store to a watched key.
 *
 * Invariant. A holder's EXEC runs if and only if nothing has moved and key 0 hasn't expired since
 * WATCH. A reader's EXEC that stands has seen what stood at one moment, at which the same was
 * true; one that replies nil is right. Nobody touches a set that has been freed.
 *
 * Variants; each removes one thing and must fail:
 *  BROKEN_WATCH_UNHELD: WATCH doesn't hold the slots: a writer that found no watch stores after it
 *  BROKEN_EXEC_UNHELD: EXEC holds the slots of its commands alone, not that of watched key 0
 *  BROKEN_DIRTY_EARLY: EXEC looks at dirty before it holds the slots
 *  BROKEN_TOUCH_LATE: a writer touches when it has released the slot
 *  BROKEN_NO_EXPIRED: EXEC looks at dirty alone
 *  BROKEN_NO_GHOST: that an expired key goes is a change, even when it was watched as expired
 *  BROKEN_READ_DIRTY_EARLY: a reader looks at dirty before it notes the seqs
 *  BROKEN_READ_NO_RECHECK: a reader doesn't look at the seqs again
 *  BROKEN_TAKES_BACK: who has stored takes its odd seq back: readers see no change
 *  BROKEN_REPLACE_SILENT: who replaces all keys touches none
 *  BROKEN_REPLACE_ALWAYS: ... touches those that were not there, and won't be
 *  BROKEN_REPLACE_NO_GHOST: ... doesn't note that what comes has expired
 *  BROKEN_CLEAR_UNHELD: a watch is ended without holding its slot: a writer touches a freed set
 */

byte seq[2];
byte value[2];		/* stored under each key; 0: nothing */
bool due;		/* key 0 expires at clock 1 */
bool clock;
bool watched[2];	/* a watch stands in the slot's index */
bool ghost;		/* that of key 0: its entry had expired when it came to be watched */
bool dirty;
bool freed;
bool moved;
byte seen;		/* key 0 when it was watched */

#define EXPIRED(now) (value[0] != 0 && due && now)
#define ALIVE(now) (EXPIRED(now) -> 0 : value[0])
#define CHANGED(now) (moved || ALIVE(now) != seen)

#ifdef BROKEN_NO_EXPIRED
#define FOUND_EXPIRED(now) false
#else
#define FOUND_EXPIRED(now) (!ghost && EXPIRED(now))
#endif

#ifdef BROKEN_TAKES_BACK
#define LANDS(stored) false
#else
#define LANDS(stored) (stored)
#endif

#ifdef BROKEN_NO_GHOST
#define IS_GHOST false
#else
#define IS_GHOST ghost
#endif

inline take(s)
{
	atomic { seq[s] % 2 == 0; seq[s]++ }
}

inline leave(s, stored)
{
	seq[s] = (LANDS(stored) -> seq[s] + 1 : seq[s] - 1)
}

inline touch(k, expired)
{
	if
	:: watched[k] ->
		if
		:: expired && IS_GHOST -> ghost = false
		:: else ->
			atomic { assert(!freed); dirty = true };
			watched[k] = false
		fi
	:: else
	fi
}

/* Stores `new` under key k. */
inline store(k, new)
{
	take(k);
#ifndef BROKEN_TOUCH_LATE
	touch(k, false);
#endif
	atomic {
		value[k] = new;
		if
		:: k == 0 -> due = false
		:: else
		fi;
		moved = true
	}
	leave(k, true);
#ifdef BROKEN_TOUCH_LATE
	touch(k, false);
#endif
}

/* Nothing is there, or it has expired: nothing is stored, and what expired is the sweep's. */
inline delete_first()
{
	take(0);
	if
	:: ALIVE(clock) != 0 ->
		touch(0, false);
		atomic { value[0] = 0; due = false; moved = true }
		leave(0, true)
	:: else -> leave(0, false)
	fi
}

proctype writer_first()
{
	if
	:: delete_first(); store(0, 2)
	:: store(0, 2); delete_first()
	:: skip
	fi
}

/* All of key 0's database makes way for `new`, which is due at clock 1 under the same name; 0: for nothing. */
inline replace_all(new)
{
	take(0);
	now = clock;
	was_there = value[0] != 0 && !ghost;
	will_be_there = new != 0 && !now;
	if
#ifndef BROKEN_REPLACE_SILENT
#ifdef BROKEN_REPLACE_ALWAYS
	:: watched[0] ->
#else
	:: watched[0] && (was_there || will_be_there) ->
#endif
		atomic { assert(!freed); dirty = true };
		watched[0] = false
#endif
#ifndef BROKEN_REPLACE_NO_GHOST
	:: watched[0] && !was_there && !will_be_there -> ghost = new != 0
#endif
	:: else
	fi;
	atomic {
		moved = moved || will_be_there || ALIVE(now) != 0;
		value[0] = new;
		due = new != 0
	}
	leave(0, true)
}

proctype writer_second()
{
	bool now, was_there, will_be_there;
	if
	:: store(1, 2)
	:: replace_all(0)
	:: replace_all(3)
	:: skip
	fi
}

proctype time()
{
	clock = true
}

proctype sweep()
{
	byte rounds;
	for (rounds : 1 .. 2) {
		take(0);
		if
		:: EXPIRED(clock) ->
			touch(0, true);
			atomic { value[0] = 0; due = false }
			leave(0, true)
		:: else -> leave(0, false)
		fi
	}
}

inline end_watch(k)
{
#ifndef BROKEN_CLEAR_UNHELD
	take(k);
#endif
	watched[k] = false;
#ifndef BROKEN_CLEAR_UNHELD
	leave(k, false)
#endif
}

inline watch_both()
{
#ifndef BROKEN_WATCH_UNHELD
	take(0);
	take(1);
#endif
	now = clock;
	watched[0] = true;
	watched[1] = true;
	atomic {
		ghost = EXPIRED(now);
		seen = ALIVE(now);
		moved = false
	}
#ifndef BROKEN_WATCH_UNHELD
	leave(0, false);
	leave(1, false);
#endif
}

inline exec_as_holder()
{
#ifdef BROKEN_DIRTY_EARLY
	found = dirty;
#endif
#ifndef BROKEN_EXEC_UNHELD
	take(0);
#endif
	take(1);
	now = clock;
#ifndef BROKEN_DIRTY_EARLY
	found = dirty;
#endif
	found = found || FOUND_EXPIRED(now);
	assert(found == CHANGED(now));
	watched[0] = false;
	watched[1] = false;
#ifndef BROKEN_EXEC_UNHELD
	leave(0, false);
#endif
	leave(1, false)
}

/* `stands` says whether its reply does. */
inline exec_as_reader()
{
#ifdef BROKEN_READ_DIRTY_EARLY
	found = dirty;
#endif
	seq0 = seq[0];
	seq1 = seq[1];
	/* the moment, and what is true at it */
	atomic { now = clock; truth = CHANGED(now); value0 = ALIVE(now); value1 = value[1] }
#ifndef BROKEN_READ_DIRTY_EARLY
	found = dirty;
#endif
	found = found || FOUND_EXPIRED(now);
	read0 = ALIVE(now);
	read1 = value[1];
#ifdef BROKEN_READ_NO_RECHECK
	stands = seq0 % 2 == 0 && seq1 % 2 == 0;
#else
	stands = seq0 % 2 == 0 && seq1 % 2 == 0 && seq[0] == seq0;
	stands = stands && seq[1] == seq1;
#endif
	if
	:: stands && found -> assert(CHANGED(clock))
	:: stands && !found -> assert(!truth && read0 == value0 && read1 == value1)
	:: else
	fi
}

proctype connection()
{
	bool now, found, stands, truth;
	byte seq0, seq1, value0, value1, read0, read1;
	watch_both();
	if
	:: exec_as_reader();
		if
		:: stands -> end_watch(0); end_watch(1)
		:: else -> exec_as_holder()
		fi
	:: exec_as_holder()
	:: end_watch(0); end_watch(1)
	fi;
	freed = true
}

init
{
	atomic {
		value[0] = 1;
		value[1] = 1;
		due = true;
		run connection();
		run writer_first();
		run writer_second();
		run time();
		run sweep()
	}
}
