/*
 * Loans: transactions over several shards take their slots in ticket order, so nobody waits in a
 * circle.
 *
 * The story. Worker 0 owns slots 0 and 1, worker 1 owns slot 2. Whoever coordinates a transaction
 * takes the ticket mutex, puts LOCK into the mailbox of every participant, its own too, and lets go
 * of the mutex. An owner takes its mail in order. A free slot without waiters is lent at once,
 * otherwise the transaction waits in the slot's FIFO; when all its slots of this shard are lent the
 * owner acknowledges. After the last acknowledgement the coordinator runs, then sends UNLOCK.
 * Whatever else arrives for a lent slot, or for one with waiters, waits in the same FIFO: single
 * operations, and a pair, a command on both slots of worker 0, which queues in both at once. A
 * transaction over ALL closes the shard's gate: it waits until no slot of the shard is lent or has
 * waiters, and what arrives later (not UNLOCK and acknowledgements) stands behind it in the gate's
 * queue, also while that queue is being emptied. An owner serves its queues one item at a time and
 * takes other mail in between.
 *
 * Transaction 0 (worker 0 coordinates) takes slots 0 and 2, transaction 1 (worker 1) slots 0, 1 and
 * 2, transaction 2 (worker 1) ALL. A connection of worker 1 sends OPS operations on slot 0; one on
 * worker 0 sends the pair. Everything starts at any time, in any order.
 *
 * Abstracted: what the work does (only that it takes time), wake-ups (wakeup.pml), seq (seq.pml),
 * failures: from LOCK on a transaction always reaches UNLOCK. A mailbox is a FIFO into which
 * anybody pushes, which wakeup.pml shows it is.
 *
 * Invariant. No two work on a slot at the same time, and a transaction works only on slots lent to
 * it; each slot sees the transactions in the order of their tickets; the operations of a connection
 * take effect on a slot in the order sent; and when nothing can move any more, everything has been
 * done. (Each step uses up a message or an item, so there is no endless run: what doesn't end
 * stands still.)
 *
 * Variants; each removes one thing and must fail:
 *  BROKEN_NO_MUTEX: LOCKs are pushed without the mutex: two owners see two orders, and wait for
 *      each other
 *  BROKEN_OWN_SLOTS_FIRST: the coordinator takes its own slots at once instead of by its mailbox:
 *      the same
 *  BROKEN_IGNORE_WAITERS: a free slot that has waiters is lent or used at once: overtakes
 *  BROKEN_NO_QUEUE: a single operation runs on a lent slot
 *  BROKEN_NEWEST_FIRST: what waits in a slot is served newest first
 *  BROKEN_ACK_EARLY: the owner acknowledges at once, though slots are still to be lent
 *  BROKEN_RUN_EARLY: the coordinator runs after the first acknowledgement
 *  BROKEN_PAIR_ONE_BY_ONE: the pair takes its first slot, and only then queues in its second:
 *      deadlock
 *  BROKEN_GATE_OVERTAKEN: what arrives behind a waiting ALL goes on to slots that are free
 *  BROKEN_GATE_DRAIN: what arrives while the gate's queue is being emptied doesn't stand behind
 *      that queue
 *  BROKEN_GATE_LENT: ALL is granted while a slot of the shard is lent
 *  BROKEN_GATE_WAITERS: ALL is granted while a slot has waiters
 *  BROKEN_GATE_UNLOCK: UNLOCK, too, waits behind a waiting ALL: deadlock
 */
#define WORKERS 2
#define SLOTS 3
#define TRANSACTIONS 3
#define ALL 2		/* the transaction over everything */
#define OPS 2
#define NOBODY 9
#define PAIR_HOLDS 8	/* only with BROKEN_PAIR_ONE_BY_ONE */

#define OWNER(s) ((s) / 2)
#define COORDINATOR(t) ((t) != 0)
#define TAKES(t, s) ((t) != 0 || (s) != 1)

mtype = { LOCK, UNLOCK, OP, PAIR };

chan box[WORKERS] = [12] of { mtype, byte };
chan queue[SLOTS] = [6] of { mtype, byte };
chan gate_queue[WORKERS] = [6] of { mtype, byte };

/* the owner's */
byte lent[SLOTS] = NOBODY;
byte missing[WORKERS * TRANSACTIONS];	/* slots still to be lent */
bit gate[WORKERS];	/* ALL waits or is granted */
bit granted[WORKERS];

/* the coordinators' */
byte acks[TRANSACTIONS];
bit mutex;
byte tickets;

/* what the assertions look at */
byte ticket[TRANSACTIONS];
byte last_ticket[SLOTS];
bit busy[SLOTS];	/* somebody works on it */
byte ops_done, pairs_done, transactions_done;

#define FREE(s) (lent[s] == NOBODY)
#ifdef BROKEN_IGNORE_WAITERS
#define AT_ONCE(s) FREE(s)
#else
#define AT_ONCE(s) (FREE(s) && (len(queue[s]) == 0))
#endif

#ifdef BROKEN_GATE_LENT
#define GATE_CLEAR(s) (len(queue[s]) == 0)
#elif defined(BROKEN_GATE_WAITERS)
#define GATE_CLEAR(s) FREE(s)
#else
#define GATE_CLEAR(s) (FREE(s) && (len(queue[s]) == 0))
#endif

#ifdef BROKEN_GATE_DRAIN
#define GATE_SHUT(w) gate[w]
#elif defined(BROKEN_GATE_OVERTAKEN)
#define GATE_SHUT(w) granted[w]
#else
#define GATE_SHUT(w) (gate[w] || (len(gate_queue[w]) > 0))
#endif

inline wait_in(s, what, who)
{
#ifdef BROKEN_NEWEST_FIRST
	queue_newest(s, what, who)
#else
	queue[s]!what(who)
#endif
}

/* Only for the broken variant: with at most three waiters, puts the newest in front. */
inline queue_newest(s, what, who)
{
	left = len(queue[s]);
	queue[s]!what(who);
	do
	:: left > 0 -> queue[s]?other(number); queue[s]!other(number); left--
	:: else -> break
	od
}

inline see_ticket(t, s)
{
	assert(ticket[t] > last_ticket[s]);
	last_ticket[s] = ticket[t]
}

inline take_slot(s, t)
{
	see_ticket(t, s);
	lent[s] = t
}

inline run_op(n)
{
	assert(!busy[0] && !granted[0] && n == ops_done);
	ops_done++
}

inline run_pair()
{
	assert(!busy[0] && !busy[1] && !granted[0]);
	pairs_done++
}

/* One slot's part of a LOCK. */
inline lock_slot(t, s)
{
	if
	:: OWNER(s) == me && TAKES(t, s) ->
		if
		:: AT_ONCE(s) -> take_slot(s, t)
		:: else -> wait_in(s, LOCK, t); missing[me * TRANSACTIONS + t]++
		fi
	:: else
	fi
}

inline lock_slots(t)
{
	lock_slot(t, 0); lock_slot(t, 1); lock_slot(t, 2);
#ifdef BROKEN_ACK_EARLY
	acks[t]++
#else
	if
	:: missing[me * TRANSACTIONS + t] == 0 -> acks[t]++
	:: else
	fi
#endif
}

inline take_back_slot(t, s)
{
	if
	:: OWNER(s) == me && lent[s] == t -> lent[s] = NOBODY
	:: else
	fi
}

inline take_back(t)
{
	if
	:: t == ALL -> gate[me] = 0; granted[me] = 0
	:: else -> take_back_slot(t, 0); take_back_slot(t, 1); take_back_slot(t, 2)
	fi
}

/* Mail for the slots, once it is past the gate. */
inline admit(what, who)
{
	if
	:: what == LOCK && who == ALL -> gate[me] = 1
	:: what == LOCK && who != ALL -> lock_slots(who)
	:: what == OP ->
		if
#ifdef BROKEN_NO_QUEUE
		:: run_op(who)
#else
		:: AT_ONCE(0) -> run_op(who)
		:: else -> wait_in(0, OP, who)
#endif
		fi
	:: what == PAIR ->
		if
		:: AT_ONCE(0) && AT_ONCE(1) -> run_pair()
#ifdef BROKEN_PAIR_ONE_BY_ONE
		:: else -> wait_in(0, PAIR, 0)
#else
		:: else -> wait_in(0, PAIR, 0); wait_in(1, PAIR, 0)
#endif
		fi
	:: what == UNLOCK -> take_back(who)
	fi
}

inline deliver(what, who)
{
	if
#ifdef BROKEN_GATE_UNLOCK
	:: GATE_SHUT(me) && !(what == UNLOCK && who == ALL) -> gate_queue[me]!what(who)
	:: what == UNLOCK && (who == ALL || !GATE_SHUT(me)) -> take_back(who)
#else
	:: GATE_SHUT(me) && what != UNLOCK -> gate_queue[me]!what(who)
	:: what == UNLOCK -> take_back(who)
#endif
	:: !GATE_SHUT(me) && what != UNLOCK -> admit(what, who)
	fi
}

/* The first in the queue of a free slot gets its turn. The pair waits until it is first in both. */
#define PAIR_FIRST(s) ((len(queue[s]) > 0) && queue[s]?[PAIR, 0])
#ifdef BROKEN_PAIR_ONE_BY_ONE
#define SERVABLE(s) (FREE(s) && (len(queue[s]) > 0))
#else
#define SERVABLE(s) \
	(FREE(s) && (len(queue[s]) > 0) && (!PAIR_FIRST(s) || (PAIR_FIRST(1 - s) && FREE(1 - s))))
#endif

inline serve(s)
{
	queue[s]?what(who);
	if
	:: what == OP -> run_op(who)
	:: what == LOCK ->
		take_slot(s, who);
		missing[me * TRANSACTIONS + who]--;
#ifndef BROKEN_ACK_EARLY
		if
		:: missing[me * TRANSACTIONS + who] == 0 -> acks[who]++
		:: else
		fi
#endif
	:: what == PAIR ->
#ifdef BROKEN_PAIR_ONE_BY_ONE
		if
		:: s == 0 -> lent[0] = PAIR_HOLDS; wait_in(1, PAIR, 0)
		:: else -> lent[0] = NOBODY; run_pair()
		fi
#else
		queue[1 - s]?PAIR(_);
		run_pair()
#endif
	fi
}

inline reset() { what = 0; who = 0; other = 0; number = 0; left = 0 }

proctype worker(byte me)
{
	mtype what, other;
	byte who, number, left;
	bit sent;

end:	do
	:: atomic { box[me]?what(who) -> deliver(what, who); reset() }
	:: atomic { me == 0 && SERVABLE(0) -> serve(0); reset() }
	:: atomic { me == 0 && SERVABLE(1) -> serve(1); reset() }
	:: atomic { me == 1 && FREE(2) && (len(queue[2]) > 0) -> serve(2); reset() }
	:: atomic {		/* a connection of worker 0: no mail */
		me == 0 && !sent -> sent = 1; what = PAIR; deliver(what, who); reset()
	   }
	:: atomic {
		gate[me] && !granted[me] &&
		(me == 0 && GATE_CLEAR(0) && GATE_CLEAR(1) || me == 1 && GATE_CLEAR(2)) ->
		granted[me] = 1;
		if
		:: me == 0 -> see_ticket(ALL, 0); see_ticket(ALL, 1)
		:: else -> see_ticket(ALL, 2)
		fi;
		acks[ALL]++
	   }
	:: atomic {
		!gate[me] && (len(gate_queue[me]) > 0) ->
		gate_queue[me]?what(who); admit(what, who); reset()
	   }
	od
}

inline begin_work(t, s)
{
	if
	:: TAKES(t, s) ->
		assert(!busy[s] && (t == ALL || lent[s] == t) && (t != ALL || granted[OWNER(s)]));
		busy[s] = 1
	:: else
	fi
}

inline end_work(t, s)
{
	if
	:: TAKES(t, s) -> busy[s] = 0
	:: else
	fi
}

/* The part of a worker that coordinates transaction t; acknowledgements are counted. */
proctype coordinator(byte me; byte t)
{
	mtype what, other;
	byte who, number, left;

#ifdef BROKEN_NO_MUTEX
	atomic { tickets++; ticket[t] = tickets };
#else
	atomic { !mutex -> mutex = 1; tickets++; ticket[t] = tickets };
#endif
#ifdef BROKEN_OWN_SLOTS_FIRST
	atomic { what = LOCK; who = t; deliver(what, who); reset() };
#else
	box[me]!LOCK(t);
#endif
	box[1 - me]!LOCK(t);
	mutex = 0;
#ifdef BROKEN_RUN_EARLY
	acks[t] > 0;
#else
	acks[t] == WORKERS;
#endif
	d_step { begin_work(t, 0); begin_work(t, 1); begin_work(t, 2) };
	d_step { end_work(t, 0); end_work(t, 1); end_work(t, 2); transactions_done++ };
	box[1 - me]!UNLOCK(t);
	box[me]!UNLOCK(t)
}

proctype connection()
{
	byte n;

	do
	:: n < OPS -> box[0]!OP(n); n++
	:: else -> break
	od
}

init {
	byte t;

	atomic {
		do
		:: t < TRANSACTIONS -> run coordinator(COORDINATOR(t), t); t++
		:: else -> break
		od;
		run worker(0); run worker(1); run connection()
	}
	timeout;
	assert(transactions_done == TRANSACTIONS && ops_done == OPS && pairs_done == 1)
}
