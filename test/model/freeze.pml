/*
 * Freezing: a snapshot of the keyspace at one moment, while everybody goes on writing (shard/freeze.h).
 *
 * The story. Two slots, each a root that names a node with an amount. Two workers run two units of work and one,
 * in ticks: a unit adds 4 to one slot (of each worker's own), moves 1 from slot 0 to slot 1 (holding both; or
 * worker 0 holds slot 0 and takes slot 1 later), or exchanges what the slots hold, as RENAME passes a
 * structure on. It holds its slots, loads the epoch, the cut and what is passed, and then changes nodes in
 * place, or puts a copy in the place of a node that the cut froze; it may hold its slots beyond its
 * tick. At the end it makes a record of its effect. Meanwhile the snapshotter cuts, waits for the ticks, and takes slot after slot.
 *
 * Memory is sequentially consistent here, but for one thing that a weaker machine does: what a unit loads
 * when it holds its slots may be loaded while the CAS on the last of them is still under way, between its
 * load and its store. That is what the grace period is for.
 *
 * Abstracted: a node stands for the path to it, and has one word. Readers that aren't the snapshotter
 * (reclaim.pml): memory is gone as soon as the snapshot doesn't keep it. How slots are tried and given back
 * (hold.pml).
 *
 * Invariant. What the snapshotter reads is neither freed nor being changed. The two amounts in the snapshot
 * are such as units on both slots leave them. And the snapshot with the records behind it (those of the new
 * generation, but for what they say was before the cut) gives what stands in memory at the end.
 *
 * Variants; each removes one thing and must fail:
 *  BROKEN_EPOCH_EARLY: a unit loads the epoch before it holds its slots
 *  BROKEN_NO_EXTEND: a unit takes one more slot without a look whether a cut has come
 *  BROKEN_NOW_FIRST: the new epoch is published before the cut
 *  BROKEN_NO_GRACE: the snapshotter doesn't wait for ticks that may have loaded the old epoch
 *  BROKEN_NO_READY: ... nor for units that hold a slot beyond their tick
 *  BROKEN_NO_COPY: a unit after the cut changes frozen nodes in place
 *  BROKEN_NOTE_AFTER: the note of a root is stored after the root is changed
 *  BROKEN_NO_SECOND_LOOK: the snapshotter doesn't look at the note again when it has loaded the root
 *  BROKEN_FREES: what is retired after the cut isn't kept
 *  BROKEN_KEEPS_FIRST: it is kept until the first of the unit's slots is passed
 *  BROKEN_PASSES_EARLY: a slot is said to be passed before it is read
 *  BROKEN_PASSES_ON: what a slot holds goes to another slot as it is, without a copy
 *  BROKEN_NO_PRE: records don't say that they are of before the cut
 */
#define UNITS(me) (2 - (me))
#define ALL_UNITS 3
#define S 1			/* the cut's epoch */
#define NODES (2 + 2 * ALL_UNITS)
#define FRESH(s) (2 + 2 * (me * UNITS(0) + units) + (s))

mtype = { add0, add1, move, exchange };

byte seq[2];
byte root[2];
byte note[2];		/* 0: none; or 1 + the node */
byte amount[NODES];
bit fresh[NODES];	/* born after the cut */
bit torn[NODES];	/* being changed */
bit retired[NODES];
byte keep[NODES];	/* what is retired is kept until so many slots are passed */
byte now = S;
byte cut;
byte passed;
bit online[2], must[2];	/* ticks, and those that the grace period waits for */
mtype tail[ALL_UNITS];
byte tail_len;
byte view[2];
byte finished;

#define FREED(n) (retired[n] && passed >= keep[n])
#define FROZEN(n) (unit_cut != 0 && !fresh[n])

/* The tick ends, with the slots held or not. */
#define GO_OFFLINE online[me] = 0; must[me] = 0

inline take(s)
{
	atomic { seq[s] % 2 == 0; seq[s]++ }
}

/* The unit's last slot, and the epoch. */
inline take_and_load(s)
{
#ifdef BROKEN_EPOCH_EARLY
	epoch = now;
	take(s);
#else
	do
	:: take(s); epoch = now; break
	:: atomic { seq[s] % 2 == 0 -> seen = seq[s]; epoch = now };
		atomic {
			if
			:: seq[s] == seen -> seq[s]++; seen = 0; break
			:: else -> seen = 0
			fi
		}
	od;
#endif
	look(s)
}

/* `s` is the last of the slots held. */
inline look(s)
{
	if
	:: cut != 0 && epoch > cut ->
		atomic {
#ifdef BROKEN_KEEPS_FIRST
			if
			:: first >= passed -> unit_cut = cut; last = first
			:: else
			fi
#else
			if
			:: s >= passed -> unit_cut = cut; last = s
			:: else
			fi
#endif
		}
	:: else
	fi
}

inline retire(n)
{
	d_step {
		retired[n] = 1;
#ifndef BROKEN_FREES
		if
		:: unit_cut != 0 -> keep[n] = last + 1
		:: else
		fi
#endif
	}
}

/* Before the root, which is this node, is changed. */
inline note_root(s, node)
{
	note[s] = (unit_cut != 0 && note[s] == 0 -> 1 + node : note[s])
}

/* Puts a node with this amount in the place of the root. */
inline replace(s, value)
{
#ifndef BROKEN_NOTE_AFTER
	note_root(s, root[s]);
#endif
	d_step {
		amount[FRESH(s)] = value;
		fresh[FRESH(s)] = (epoch > S);
		old = root[s];
		root[s] = FRESH(s)
	}
#ifdef BROKEN_NOTE_AFTER
	note_root(s, old);
#endif
	retire(old);
	old = 0
}

inline add_in_place(s, difference)
{
	d_step { note_root(s, root[s]); torn[root[s]] = 1 }
	d_step { amount[root[s]] = amount[root[s]] + difference; torn[root[s]] = 0 }
}

inline add(s, difference)
{
	if
#ifndef BROKEN_NO_COPY
	:: !FROZEN(root[s]) -> add_in_place(s, difference)
#else
	:: true -> add_in_place(s, difference)
#endif
	:: me == 1 || FROZEN(root[s]) -> replace(s, amount[root[s]] + difference)
	fi
}

inline exchange_both()
{
	if
#ifndef BROKEN_PASSES_ON
	:: unit_cut == 0 ->
#else
	:: true -> note_root(0, root[0]); note_root(1, root[1]);
#endif
		d_step { old = root[0]; root[0] = root[1]; root[1] = old; old = 0 }
#ifndef BROKEN_PASSES_ON
	:: else ->
		value = amount[root[0]];
		replace(0, amount[root[1]]);
		replace(1, value);
		value = 0
#endif
	fi
}

/* The tick may end while the unit holds its slots. */
inline pause()
{
	if
	:: atomic { GO_OFFLINE }; online[me] = 1
	:: skip
	fi
}

/* The record: in the old generation, or in the new one. */
inline commit()
{
	atomic {
		if
#ifdef BROKEN_NO_PRE
		:: now > S ->
#else
		:: now > S && epoch > S ->
#endif
			tail[tail_len] = kind;
			tail_len++
		:: else
		fi
	}
}

#define LEAVE(s) seq[s] = seq[s] + 1

proctype worker(byte me)
{
	byte units, epoch, seen, unit_cut, first, last, old, value;
	mtype kind;

	do
	:: units == UNITS(me) -> break
	:: else ->
		online[me] = 1;
		if
		:: me == 0 -> kind = add0; take_and_load(0); add(0, 4)
		:: me == 1 -> kind = add1; first = 1; take_and_load(1); add(1, 4)
		:: kind = move; take(0); take_and_load(1); add(0, -1); pause(); add(1, 1)
		:: kind = exchange; take(0); take_and_load(1); exchange_both()
		:: me == 0 -> kind = move; take_and_load(0); pause(); take(1);
#ifndef BROKEN_NO_EXTEND
			if
			:: now != epoch && epoch <= S -> LEAVE(1); kind = add0; add(0, 4)
			:: else -> look(1); add(0, -1); add(1, 1)
			fi
#else
			look(1); add(0, -1); add(1, 1)
#endif
		fi;
		commit();
		if
		:: kind != add1 -> LEAVE(0)
		:: else
		fi;
		if
		:: kind != add0 -> LEAVE(1)
		:: else
		fi;
		d_step {
			GO_OFFLINE;
			units++;
			kind = 0; epoch = 0; unit_cut = 0; first = 0; last = 0
		}
	od;
	finished++
}

/* What stands in the slot's root at the cut. */
inline read_slot(s)
{
#ifndef BROKEN_NO_READY
	seen = seq[s];
	(seen % 2 == 0 || seq[s] != seen);
#endif
#ifdef BROKEN_PASSES_EARLY
	passed = s + 1;
#endif
	node = note[s];
	if
	:: node == 0 ->
		node = root[s] + 1;
#ifndef BROKEN_NO_SECOND_LOOK
		if
		:: note[s] != 0 -> node = note[s]
		:: else
		fi
#endif
	:: else
	fi;
	atomic {
		node--;
		assert(!FREED(node) && !torn[node]);
		view[s] = amount[node];
		seen = 0;
		node = 0
	}
#ifndef BROKEN_PASSES_EARLY
	passed = s + 1
#endif
}

proctype snapshotter()
{
	byte seen, node;
#ifdef BROKEN_NOW_FIRST
	now = S + 1;
	cut = S;
#else
	cut = S;
	now = S + 1;
#endif
#ifndef BROKEN_NO_GRACE
	atomic { must[0] = online[0]; must[1] = online[1] }
	(!must[0] && !must[1]);
#endif
	read_slot(0);
	read_slot(1);
	finished++
}

init
{
	byte at, other;
	atomic {
		root[1] = 1;
		amount[0] = 16;
		amount[1] = 32;
		run worker(0);
		run worker(1);
		run snapshotter()
	}
	(finished == 3);
	assert((view[0] + view[1]) % 4 == 0);
	d_step {
		do
		:: at == tail_len -> break
		:: at < tail_len && tail[at] == add0 -> view[0] = view[0] + 4; at++
		:: at < tail_len && tail[at] == add1 -> view[1] = view[1] + 4; at++
		:: at < tail_len && tail[at] == move -> view[0]--; view[1]++; at++
		:: at < tail_len && tail[at] == exchange ->
			other = view[0]; view[0] = view[1]; view[1] = other; at++
		od
	}
	assert(view[0] == amount[root[0]] && view[1] == amount[root[1]])
}
