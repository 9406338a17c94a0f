/*
 * Blocking commands: who is served, exactly once, and by whom (shard/blocked.h).
 *
 * The story. Two keys in two slots, each a list (a number of elements). Waiter A wants an element of
 * key 0 or key 1; waiter B, behind it, wants to move one from key 0 to key 1. Each holds both slots and
 * looks; with nothing there it puts itself into its queues, and lets go. Two others push, one to each
 * key: they hold that slot, push, serve who waits, and let go. Serving B takes slot 1 as well: where it is
 * held B stays, and the one who retries comes by later. A letter brings what was taken to the waiter's
 * worker, which at any moment may instead give up (timeout, or its client has gone). Whatever ends it,
 * the worker takes the waiter out of its queues, holding each slot, and frees it.
 *
 * Abstracted: memory is sequentially consistent; a slot is a lock (hold.pml has its seq); trying for a
 * slot again and again is a wait.
 *
 * Invariant. No element is lost or made: pushed is received or still in a list. Who has given up gets
 * nothing, nobody gets two. Nobody waits while there is something for it and all pushes are over. A is
 * served before B. Nothing touches a waiter that is freed.
 *
 * Variants; each removes one thing and must fail:
 *  BROKEN_NO_CAS: a holder looks whether the waiter waits, then claims it
 *  BROKEN_LEAVES_UNASKED: who gives up doesn't ask whether it has been claimed
 *  BROKEN_TAKE_FIRST: the element is taken before the claim
 *  BROKEN_LETS_GO: the slots are let go between looking and waiting
 *  BROKEN_FREE_AT_ONCE: who gives up frees the waiter while it is in queues
 *  BROKEN_FREE_CLAIMED: a client that goes frees the waiter though it has been claimed
 *  BROKEN_FORGETS: nobody retries where the destination was held
 *  BROKEN_CLAIM_FIRST: B is claimed before its destination is held: it can no longer give up
 *  BROKEN_STORES_UNHELD: B's element is put while another holds its destination
 */
#define A 0
#define B 1
#define NONE 0
#define WAITING 1
#define SERVED 2
#define GONE 3

byte held[2];
byte list[2];
byte state[2];
bool place[4]; /* waiter * 2 + key */
bool letter[2];
bool freed[2];
byte got[2];
byte pushed;
byte pushers_done;
bool stalled;

#define TAKE(s) atomic { (held[s] == 0); held[s] = 1 }
#define LEAVE(s) held[s] = 0

/* One CAS away from waiting. */
#ifdef BROKEN_NO_CAS
inline claim(w, to)
{
	ours = (state[w] == WAITING);
	if
	:: ours -> state[w] = to
	:: else
	fi
}
#else
inline claim(w, to)
{
	atomic {
		ours = (state[w] == WAITING);
		if
		:: ours -> state[w] = to
		:: else
		fi
	}
}
#endif

/* Puts one element to a list that is held: what was there is read before. */
inline add(s)
{
	have = list[s];
	list[s] = have + 1
}

/* Serves A with an element of key s, whose slot is held. */
inline serve_a(s)
{
	if
	:: place[A * 2 + s] && list[s] > 0 ->
		assert(!freed[A]);
#ifdef BROKEN_TAKE_FIRST
		list[s] = list[s] - 1;
#endif
		claim(A, SERVED);
		place[A * 2 + s] = false;
		if
		:: ours ->
#ifndef BROKEN_TAKE_FIRST
			list[s] = list[s] - 1;
#endif
			assert(!freed[A]);
			letter[A] = true
		:: else
		fi
	:: else
	fi
}

inline move_b()
{
	list[0] = list[0] - 1;
	add(1);
	assert(!freed[B]);
	letter[B] = true;
	serve_a(1)
}

/* Serves B, whose destination is to be held as well. */
inline serve_b()
{
	if
	:: place[B * 2] && list[0] > 0 ->
		assert(!freed[B]);
		got_slot = false;
#ifdef BROKEN_CLAIM_FIRST
		claim(B, SERVED);
#endif
		atomic {
			if
			:: held[1] == 0 -> held[1] = 1; got_slot = true
			:: else
			fi
		}
		if
#ifdef BROKEN_STORES_UNHELD
		:: true ->
#else
		:: !got_slot ->
#ifndef BROKEN_FORGETS
			stalled = true;
#endif
			skip
		:: got_slot ->
#endif
			claim(B, SERVED);
			place[B * 2] = false;
			if
			:: ours -> move_b()
			:: else
			fi;
			if
			:: got_slot -> LEAVE(1)
			:: else
			fi
		fi
	:: else
	fi
}

proctype pusher(byte s)
{
	byte have;
	bool ours, got_slot;
	TAKE(s);
	add(s);
	pushed++;
	serve_a(s);
	if
	:: s == 0 -> serve_b()
	:: else
	fi;
	LEAVE(s);
	pushers_done++
}

/* The worker that found a destination held. */
proctype retrier()
{
	byte have;
	bool ours, got_slot;
end_retrier:
	do
	:: stalled ->
		TAKE(0);
		stalled = false;
		serve_a(0);
		serve_b();
		LEAVE(0)
	od
}

inline look(w)
{
	if
	:: list[0] > 0 ->
		list[0] = list[0] - 1;
		if
		:: w == A -> got[A]++
		:: else -> add(1); serve_a(1)
		fi;
		found = true
	:: list[0] == 0 && w == A && list[1] > 0 ->
		list[1] = list[1] - 1;
		got[A]++;
		found = true
	:: else
	fi
}

/* A client and its worker. */
proctype client(byte w)
{
	byte have;
	bool ours, found;
	TAKE(0);
	TAKE(1);
	look(w);
#ifdef BROKEN_LETS_GO
	LEAVE(1);
	LEAVE(0);
	TAKE(0);
	TAKE(1);
#endif
	if
	:: !found ->
		state[w] = WAITING;
		place[w * 2] = true;
		place[w * 2 + 1] = (w == A)
	:: else
	fi;
	LEAVE(1);
	LEAVE(0);
	if
	:: found -> goto done
	:: else
	fi;
	if
	:: letter[w] -> goto open
	:: true -> skip /* it gives up */
	fi;
#ifdef BROKEN_LEAVES_UNASKED
	state[w] = GONE;
	ours = true;
#else
	claim(w, GONE);
#endif
	if
	:: ours -> goto clear
	:: else
	fi;
#ifdef BROKEN_FREE_CLAIMED
	freed[w] = true;
	goto done;
#endif
	letter[w];
open:
	if
	:: w == A -> got[A]++
	:: else
	fi;
clear:
#ifndef BROKEN_FREE_AT_ONCE
	TAKE(0);
	place[w * 2] = false;
	LEAVE(0);
	TAKE(1);
	place[w * 2 + 1] = false;
	LEAVE(1);
#endif
	freed[w] = true;
	assert(!(state[w] == GONE && letter[w]));
done:
	skip
}

/* Looks at any moment. */
proctype observer()
{
	atomic {
		(pushers_done == 2 && !stalled && held[0] == 0 && held[1] == 0);
		assert(!(state[A] == WAITING && list[0] + list[1] > 0));
		assert(!(state[B] == WAITING && list[0] > 0))
	}
	atomic {
		(pushers_done == 2 && !stalled && held[0] == 0 && held[1] == 0 &&
		 (state[A] == NONE || state[A] == GONE || freed[A]));
		assert(got[A] <= 1);
		assert(pushed == got[A] + list[0] + list[1])
	}
}

init
{
	atomic {
		run pusher(0); run pusher(1); run retrier(); run client(A); run client(B); run observer()
	}
}
