/*
 * The mailbox and its wake-up: no parcel stays in the box of a worker that sleeps.
 *
 * The story. A worker's mailbox is a stack of operations. A sender links a parcel (a chain of
 * several operations, newest first), pushes it with one CAS, and then wakes the receiver only if
 * that one sleeps. The receiver takes all with one exchange and reverses what it took. Before it
 * polls it says so (`sleeping = 1`) and looks into the box once more. Here are SENDERS senders of
 * PARCELS parcels with two operations each, one receiver running libuv's loop (tick in the check
 * phase, timers and the last look before the poll), and an eventfd that the sender writes and the
 * receiver's poll finds readable until the receiver has read it.
 *
 * Memory. Spin is sequentially consistent, so what a weaker machine may do is written out:
 *  - the receiver's plain stores to `sleeping` are delayed, and process `memory` lets them land at any
 *    time; a full fence lands them. A later store replaces a delayed one, as coherence allows;
 *  - without a fence the sender's look at `sleeping` may be answered before its CAS is seen (a CAS
 *    with release order is no barrier for the loads that follow it);
 *  - without release order on the CAS the store of the link may land after it.
 * The mailbox check after the fence needs no delay of its own: delaying the store does the same.
 *
 * Abstracted: no memory is freed or used again. (A CAS that finds an old head again, ABA, is
 * harmless here: the push links to whatever is the head at the moment of the CAS.) What else wakes
 * the receiver, a socket, happens at most WAKES times, so that it can rescue nobody for ever.
 *
 * Invariant. When nothing can move any more, every operation has been taken and no flag that a
 * timer callback set waits for a tick; and each sender's operations are taken in the order in which
 * it sent them.
 *
 * Variants; each removes one thing and must fail:
 *  BROKEN_NO_SENDER_FENCE: the look at `sleeping` overtakes the push: both sides see the old word
 *      of the other
 *  BROKEN_NO_RECEIVER_FENCE: `sleeping = 1` lands after the look into the box: the same from the
 *      other side
 *  BROKEN_LOOK_FIRST: the receiver looks into the box and only then says that it sleeps
 *  BROKEN_NO_LOOK: the receiver doesn't look again: mail that came while it was awake stays
 *  BROKEN_CLEAR_BY_STORE: the sender clears `sleeping` by a store, not by exchange: it may land in
 *      a later sleep
 *  BROKEN_NO_PUSH_RELEASE: the link to the older parcels lands after the CAS: they are lost
 *  BROKEN_CHAIN_ORDER: parcels are linked oldest first: the reversal turns them round
 *  BROKEN_NO_REVERSE: the receiver doesn't reverse
 *  BROKEN_NO_FLAG_LOOK: the last look is at the box only: a timer callback, which libuv 1.44 runs
 *      between tick and poll, sets its flag and the worker polls over it
 */
#define SENDERS 2
#define PARCELS 2
#define OPS (SENDERS * PARCELS * 2)
#define WAKES 1
#define TIMERS 1
#define OP(s, parcel, n) (1 + ((s) * PARCELS + (parcel)) * 2 + (n))
#define SENDER(op) (((op) - 1) / (PARCELS * 2))
#define NUMBER(op) (((op) - 1) % (PARCELS * 2))
#define NONE 3

byte head;		/* the mailbox: 0 or the newest operation */
byte next[OPS + 1];	/* the older operation, 0 at the end */
byte sleeping;
bit fd;			/* the eventfd has been written and not read */
byte late_sleeping = NONE; /* the receiver's delayed store */
byte taken[SENDERS];	/* how many operations of each sender have been taken */
bit due;		/* a timer callback wants a tick; the receiver's own */
bit idle;		/* the receiver is in its poll */

inline land(word, late)
{
	if
	:: late != NONE -> word = late; late = NONE
	:: else
	fi
}

proctype sender(byte me)
{
	byte parcel, old, first, last;
	byte awake = NONE;	/* what the early look at `sleeping` said */
	bit was;

	do
	:: parcel == PARCELS -> break
	:: else ->
		d_step {
#ifdef BROKEN_CHAIN_ORDER
			first = OP(me, parcel, 1);
			last = OP(me, parcel, 0);
#else
			first = OP(me, parcel, 0);
			last = OP(me, parcel, 1);
#endif
			next[last] = first
		}
#ifdef BROKEN_NO_SENDER_FENCE
		if
		:: awake = sleeping
		:: skip
		fi;
#endif
push:		old = head;
#ifndef BROKEN_NO_PUSH_RELEASE
		next[first] = old;
#endif
		atomic {
			if
			:: head == old -> head = last
			:: else -> goto push
			fi
		}
#ifdef BROKEN_NO_PUSH_RELEASE
		next[first] = old;
#endif
		if
		:: awake == NONE -> was = sleeping
		:: else -> was = awake
		fi;
#ifdef BROKEN_CLEAR_BY_STORE
		if
		:: was ->
			if
			:: sleeping = 0; fd = 1
			:: fd = 1; sleeping = 0
			fi
		:: else
		fi;
#else
		if
		:: was ->
			atomic { was = sleeping; sleeping = 0 }
			if
			:: was -> fd = 1
			:: else
			fi
		:: else
		fi;
#endif
		d_step { parcel++; was = 0; awake = NONE; old = 0; first = 0; last = 0 }
	od
}

/* Takes a chain, oldest operation first, and asserts each sender's order. */
inline take_chain()
{
	d_step {
		older = 0;
#ifdef BROKEN_NO_REVERSE
		older = chain;
#else
		do
		:: chain == 0 -> break
		:: else -> op = next[chain]; next[chain] = older; older = chain; chain = op
		od;
#endif
		do
		:: older == 0 -> break
		:: else ->
			assert(NUMBER(older) == taken[SENDER(older)]);
			taken[SENDER(older)]++;
			op = next[older]; next[older] = 0; older = op
		od;
		chain = 0; op = 0
	}
}

active proctype receiver()
{
	byte chain, older, op, wakes, timers;

	do
	::	late_sleeping = 0;	/* on every wake */
		due = 0;
		atomic { chain = head; head = 0; take_chain() }
		if			/* the next turn of the loop: timers */
		:: atomic { timers < TIMERS -> timers++; due = 1 }
		:: skip
		fi;
#ifdef BROKEN_LOOK_FIRST
		if
		:: head != 0 || due -> goto poll_zero
		:: else
		fi;
#endif
		late_sleeping = 1;
#ifndef BROKEN_NO_RECEIVER_FENCE
		atomic { land(sleeping, late_sleeping) }
#endif
#ifndef BROKEN_LOOK_FIRST
		if
#if defined(BROKEN_NO_LOOK)
		:: due -> goto poll_zero
#elif defined(BROKEN_NO_FLAG_LOOK)
		:: head != 0 -> goto poll_zero
#else
		:: head != 0 || due -> goto poll_zero
#endif
		:: else
		fi;
#endif
		idle = 1;
end:		if			/* poll */
		:: fd
		:: atomic { wakes < WAKES -> wakes++ }
		fi;
		idle = 0;
poll_zero:	if			/* I/O callbacks; own delayed stores are seen at once */
		:: fd -> fd = 0
		:: else
		fi
	od
}

active proctype memory()
{
end:	do
	:: atomic { late_sleeping != NONE -> land(sleeping, late_sleeping) }
	od
}

init {
	atomic { run sender(0); run sender(1) }
	timeout;
	assert(idle);
	assert(taken[0] == PARCELS * 2 && taken[1] == PARCELS * 2);
	assert(!due)
}
