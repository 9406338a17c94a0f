/*
 * Holding slots: any worker becomes the holder of free slots by a CAS on each one's seq.
 *
 * The story. Three slots hold amounts whose sum never changes. Worker 0 moves one from slot 0 to slot
 * 2, worker 1 one from slot 2 to slot 0, worker 2 holds ALL slots and only looks: it stores nothing and
 * takes its odd seqs back (seq - 1); when it has them all it makes them quiet, and readers go on. Slots are taken in rising order; at one that is held a worker goes
 * on trying, or gives back what it has and begins again. A reader looks at all slots under RCU: every
 * seq (odd and not quiet: again), every amount, every seq once more.
 *
 * Abstracted: memory is sequentially consistent here; where the code needs acquire or release a
 * variant does the two steps in the other order (seq.pml has the write buffers). Trying for ever is a
 * wait; giving up happens GIVE_UPS times at most for a worker, so that the search ends.
 *
 * Invariant. A slot has one holder; all moves take effect (at the end the amounts are what they must
 * be); worker 2 and the reader never see a sum that wasn't; and everybody gets to the end: no circle of
 * workers waits for each other.
 *
 * Variants; each removes one thing and must fail:
 *  BROKEN_NO_CAS: a look whether seq is even, then a store: two holders
 *  BROKEN_ORDER: worker 1 takes its slots in falling order: two wait for each other
 *  BROKEN_KEEPS: who gives up keeps its first slot
 *  BROKEN_READ_FIRST: the amount is loaded before the slot is held (a CAS without acquire)
 *  BROKEN_EVEN_FIRST: seq is even before the amount is stored (a release store that isn't)
 *  BROKEN_SLOT_BY_SLOT: the first slot is released before the second one is held
 *  BROKEN_TAKES_BACK: who has stored takes its odd seq back: readers see no change
 *  BROKEN_ACCEPT_ODD: a reader doesn't mind an odd seq
 *  BROKEN_NO_RECHECK: ... nor a changed one
 *  BROKEN_QUIET_STORES: who stores makes its slots quiet before
 *  BROKEN_QUIET_FREE: a quiet slot is taken for a free one
 */
#define SLOTS 3
#define MOVES 2
#define GIVE_UPS 1
#define SUM 6
#define QUIET 128

/* what a release makes of the odd seq */
#ifdef BROKEN_TAKES_BACK
#define LANDS(stored) false
#else
#define LANDS(stored) (stored)
#endif

byte seq[SLOTS];
byte amount[SLOTS];
byte holders[SLOTS];
byte finished;

#ifdef BROKEN_NO_CAS
#define CAS(s) (seq[s] % 2 == 0); seq[s]++
#else
#ifdef BROKEN_QUIET_FREE
#define FREE(s) (seq[s] % 2 == 0 || seq[s] >= QUIET)
#else
#define FREE(s) (seq[s] % 2 == 0)
#endif
#define CAS(s) atomic { FREE(s); seq[s]++ }
#endif

/* Slot s is free: it is ours now. */
inline take(s)
{
	CAS(s);
	atomic { holders[s]++; assert(holders[s] == 1) }
}

inline leave(s, stored)
{
	atomic { holders[s]--; seq[s] = (LANDS(stored) -> seq[s] + 1 : seq[s] - 1) % QUIET }
}

inline quiet(s)
{
	seq[s] = seq[s] | QUIET
}

#ifdef BROKEN_KEEPS
#define GIVE_BACK(s) skip
#else
#define GIVE_BACK(s) leave(s, false)
#endif

#ifdef BROKEN_SLOT_BY_SLOT
#define TAKE_SECOND(s) skip
#else
#define TAKE_SECOND(s) take(s)
#endif

/* Takes slots `first` and `second`, with or without giving up in between. */
inline take_both(first, second)
{
	do
	:: take(first);
		if
		:: give_ups < GIVE_UPS && seq[second] % 2 == 1 ->
			give_ups++;
			GIVE_BACK(first)
		:: TAKE_SECOND(second);
			break
		fi
	od
}

/* Moving one from slot `from` to slot `to`. */
inline load_both(from, to)
{
	have_from = amount[from];
	have_to = amount[to]
}

inline store_and_leave(from, to)
{
#ifdef BROKEN_QUIET_STORES
	quiet(from);
	quiet(to);
#endif
#ifdef BROKEN_EVEN_FIRST
	leave(from, true);
	leave(to, true);
#endif
	amount[from] = have_from - 1;
#ifdef BROKEN_SLOT_BY_SLOT
	leave(from, true);
	take(to);
#endif
	amount[to] = have_to + 1;
#ifndef BROKEN_EVEN_FIRST
#ifndef BROKEN_SLOT_BY_SLOT
	leave(from, true);
#endif
	leave(to, true)
#endif
}

proctype up()
{
	byte moves, give_ups, have_from, have_to;
	do
	:: moves < MOVES ->
#ifdef BROKEN_READ_FIRST
		load_both(0, 2);
		take_both(0, 2);
#else
		take_both(0, 2);
		load_both(0, 2);
#endif
		store_and_leave(0, 2);
		moves++
	:: else -> break
	od;
	finished++
}

proctype down()
{
	byte moves, give_ups, have_from, have_to;
	do
	:: moves < MOVES ->
#ifdef BROKEN_ORDER
		take_both(2, 0);
#else
		take_both(0, 2);
#endif
		load_both(2, 0);
		store_and_leave(2, 0);
		moves++
	:: else -> break
	od;
	finished++
}

proctype all()
{
	take(0);
	take(1);
	take(2);
	quiet(0);
	quiet(1);
	quiet(2);
	assert(amount[0] + amount[1] + amount[2] == SUM);
	leave(0, false);
	leave(1, false);
	leave(2, false);
	finished++
}

#ifdef BROKEN_ACCEPT_ODD
#define IDLE(s) true
#else
#define IDLE(s) (s % 2 == 0 || s >= QUIET)
#endif
#ifdef BROKEN_NO_RECHECK
#define SAME(i, s) true
#else
#define SAME(i, s) (seq[i] == s)
#endif

proctype reader()
{
	byte s0, s1, s2, sum;
	s0 = seq[0];
	s1 = seq[1];
	s2 = seq[2];
	sum = amount[0];
	sum = sum + amount[1];
	sum = sum + amount[2];
	if
	:: IDLE(s0) && IDLE(s1) && IDLE(s2) && SAME(0, s0) ->
		if
		:: SAME(1, s1) ->
			if
			:: SAME(2, s2) -> assert(sum == SUM)
			:: else
			fi
		:: else
		fi
	:: else
	fi
}

init
{
	atomic {
		amount[0] = 2;
		amount[1] = 2;
		amount[2] = 2;
		run up(); run down(); run all(); run reader()
	}
	(finished == 3);
	assert(amount[0] == 2 && amount[2] == 2)
}
