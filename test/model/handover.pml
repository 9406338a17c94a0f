/*
 * Handovers: what only a snapshot still needs is given to it at once (shard/handover.h).
 *
 * The story. Two slots, each a root that names a block; slot 0 has one key, slot 1 two. Worker 0
 * makes two ticks, worker 1 one. In a tick a worker holds a slot and puts a new entry in the place
 * of a key's. After a cut it notes the root and copies the block before; what it has taken out it
 * lets go of, hands over, or keeps, as its ring of one place is soon full. Or worker 1 is a reader
 * instead: it looks up a key, once, and never looks whether anything has changed, as SCAN does.
 * Meanwhile the snapshotter freezes twice; the first time it may end before any slot, cancelled. It
 * writes what a slot's frozen block has, passes the slot, and then serves what was handed over:
 * writes it, and strikes it out of its frozen block, where the word still leads to it.
 *
 * Abstracted: memory is sequentially consistent here; where the code needs acquire or release a
 * variant does the two steps in the other order. A cut is one step, and so is a unit's change, with
 * its note; no unit outlives its tick (freeze.pml). What a worker may let go of it lets go of that
 * very moment, and it is freed once all have gone offline who were online then (reclaim.pml): if
 * that isn't too early, nothing later is.
 *
 * Invariant. A complete snapshot has each entry that was there at its cut once, and no other one.
 * Nobody looks at an entry or a block that is freed. The reader finds its key. What is served
 * stands in the frozen block of its slot. All that was taken out is let go of, once.
 *
 * Variants; each removes one thing and must fail:
 *  BROKEN_LETS_GO: the worker lets go of what it hands over
 *  BROKEN_NO_STRIKE: what is served isn't struck out
 *  BROKEN_EMPTIES: a word that is struck out becomes empty: a reader that came to the block before
 *      misses a key that was there all the time
 *  BROKEN_LOOKS_AT_STRUCK: a worker that looks whether an entry is in the frozen block looks at the
 *      other entries, too
 *  BROKEN_SERVES_PASSED: what is handed over is served though its slot has been passed
 *  BROKEN_SERVED_FIRST: it is said to be served before it is
 *  BROKEN_NO_GRACE: what was served is freed under readers
 *  BROKEN_END_NO_GRACE: the end doesn't wait before it says that everything is served
 *  BROKEN_END_FORGETS: ... nor says so
 *  BROKEN_TAIL_BEFORE_ITEM: the item is stored after it is pushed
 *  BROKEN_TAIL_BEFORE_NOTE: the note of the root is
 *  BROKEN_OVERRUNS: a full ring takes one more
 *  BROKEN_HANDS_ALL: what came after the cut is handed over, too
 */
#define TICKS(me) (2 - (me))
#define ALL_TICKS 3
#define SLOTS 2
#define SNAPSHOTS 2

/* A slot has a block for each generation, 0 and those after the cuts; a block has two words. */
#define BLOCK(s, generation) ((s) * (SNAPSHOTS + 1) + (generation))
#define GENERATION(b) ((b) % (SNAPSHOTS + 1))
#define BLOCKS BLOCK(SLOTS, 0)
#define WORD(b, key) word[2 * (b) + (key) % 2]
#define STRUCK(b, key) struck[2 * (b) + (key) % 2]
#define SLOT_OF(key) ((key) / 2)
#define KEYS 4		/* key 1 isn't there */
/* Entries: 0 is none; the first ones, by key; then those of the workers' units. */
#define FRESH (1 + KEYS + me * TICKS(0) + ticks)
#define ENTRIES (1 + KEYS + ALL_TICKS)

bit held[SLOTS];
byte root[SLOTS];
byte note[SLOTS];	/* 0: none; or 1 + the block */
byte word[2 * BLOCKS];
bit struck[2 * BLOCKS];
byte now = 1, cut, passed;
byte online, must;	/* who is in a tick; whom the snapshotter waits for */

byte item_entry[2], item_key[2], pushed[2];	/* rings of one place; pushed and not served */

bit due[ENTRIES];	/* were there at the cut, and aren't written */

/* What is retired: kept until so many slots are passed; let go of; who is online since then. */
byte kept[ENTRIES], kept_block[BLOCKS];
bit loose[ENTRIES], loose_block[BLOCKS];
byte readers[ENTRIES], readers_block[BLOCKS];
byte finished;

#define FREED(e) (loose[e] && readers[e] == 0)
#define FREED_BLOCK(b) (loose_block[b] && readers_block[b] == 0)

inline let_go(e)
{
	assert(e != 0 && !loose[e]);
	loose[e] = 1;
	readers[e] = online
}

inline let_go_block(b)
{
	loose_block[b] = 1;
	readers_block[b] = online
}

inline come_online()
{
	online = online | (1 << me)
}

/* Within a d_step. */
inline go_offline()
{
	online = online & ~(1 << me);
	must = must & ~(1 << me);
	i = 0;
	do
	:: i == ENTRIES -> break
	:: i < ENTRIES -> readers[i] = readers[i] & ~(1 << me); i++
	od;
	i = 0;
	do
	:: i == BLOCKS -> break
	:: i < BLOCKS -> readers_block[i] = readers_block[i] & ~(1 << me); i++
	od;
	i = 0
}

/* --- workers --- */

/* The root is noted, and a copy stands in the place of a frozen block. Within a d_step. */
inline thaw()
{
	was = root[s];
	if
	:: unit_cut != 0 && GENERATION(was) < unit_cut ->
#ifndef BROKEN_TAIL_BEFORE_NOTE
		note[s] = 1 + was;
#endif
		root[s] = BLOCK(s, unit_cut);
		WORD(root[s], 0) = WORD(was, 0);
		WORD(root[s], 1) = WORD(was, 1);
		if
		:: passed > s -> let_go_block(was)
		:: else -> kept_block[was] = s + 1
		fi
	:: else -> was = (note[s] != 0 -> note[s] - 1 : was)
	fi
}

/* Whether `old` stands in the frozen block: it is told by the word. Within a d_step. */
inline look_for_old()
{
	assert(!FREED_BLOCK(was));
#ifdef BROKEN_LOOKS_AT_STRUCK
	assert(!FREED(WORD(was, 0)) && !FREED(WORD(was, 1)));
#endif
#ifdef BROKEN_HANDS_ALL
	seen = 1
#else
	seen = (WORD(was, key) == old)
#endif
}

#ifdef BROKEN_OVERRUNS
#define FULL false
#else
#define FULL (pushed[me] != 0)
#endif

inline set_item()
{
	item_entry[me] = old;
	item_key[me] = key
}

inline push()
{
#ifdef BROKEN_TAIL_BEFORE_ITEM
	pushed[me]++;
	d_step { set_item() }
#else
	d_step { set_item(); pushed[me]++ }
#endif
#ifdef BROKEN_LETS_GO
	;
	d_step { let_go(old) }
#endif
#ifdef BROKEN_TAIL_BEFORE_NOTE
	;
	note[s] = 1 + was
#endif
}

/* The slot isn't passed, or wasn't a moment ago. */
inline retire_frozen()
{
	d_step { look_for_old() };
	if
	:: seen && !FULL -> push()
	:: atomic { seen && FULL && passed <= s -> kept[old] = s + 1 }
	:: else -> d_step { let_go(old) }
	fi
}

/* What one step is if nothing is wrong. */
#if defined(BROKEN_TAIL_BEFORE_ITEM) || defined(BROKEN_TAIL_BEFORE_NOTE)
#define AT_ONCE
#else
#define AT_ONCE atomic
#endif

inline write_key()
{
	atomic {
		if
		:: !held[0] -> key = 0
		:: !held[1] -> key = 2
		:: !held[1] -> key = 3
		fi;
		d_step {
			come_online();
			s = SLOT_OF(key);
			held[s] = 1;
			epoch = now;
			unit_cut = (cut != 0 && s >= passed -> cut : 0)
		}
	};
	d_step {
		thaw();
		old = WORD(root[s], key);
		WORD(root[s], key) = FRESH;
		if
		:: epoch < now -> due[old] = 0; due[FRESH] = 1
		:: else
		fi
	};
	if
	:: atomic { unit_cut == 0 || passed > s -> d_step { let_go(old) } }
	:: unit_cut != 0 && passed <= s -> AT_ONCE { retire_frozen() }
	fi;
	held[s] = 0
}

/* The reader: looks once, and never whether anything has changed. */
inline read_key()
{
	atomic {
		if
		:: key = 0
		:: key = 2
		fi;
		d_step { come_online(); was = root[SLOT_OF(key)] }
	};
	d_step { assert(!FREED_BLOCK(was)); old = WORD(was, key) };
	assert(old != 0 && !FREED(old))
}

proctype worker(byte me)
{
	byte ticks, key, s, epoch, unit_cut, was, old, i;
	bit seen;

	do
	:: ticks == TICKS(me) -> break
	:: else ->
		if
		:: write_key()
		:: me == 1 -> read_key()
		fi;
		d_step {
			go_offline();
			ticks++;
			key = 0; s = 0; epoch = 0; unit_cut = 0; was = 0; old = 0; seen = 0
		}
	od;
	finished++
}

/* --- the snapshotter --- */

inline grace_period()
{
	must = online;
	(must == 0)
}

/* Within a d_step. */
inline write(e)
{
	assert(due[e] && !FREED(e));
	due[e] = 0
}

/* Of the frozen block, but for what is struck in it. */
inline write_word(key)
{
	if
	:: WORD(block, key) != 0 && !STRUCK(block, key) -> write(WORD(block, key))
	:: else
	fi
}

inline take_slot()
{
	block = (note[s] != 0 -> note[s] - 1 : root[s]);
	d_step {
		assert(!FREED_BLOCK(block));
		write_word(0);
		write_word(1);
		block = 0;
		pass(s + 1)
	}
}

/* Within a d_step, as the last thing that is done in a slot. */
inline pass(count)
{
	passed = count;
	i = 0;
	do
	:: i == ENTRIES -> break
	:: i < ENTRIES && kept[i] != 0 && kept[i] <= passed -> kept[i] = 0; let_go(i); i++
	:: else -> i++
	od;
	i = 0;
	do
	:: i == BLOCKS -> break
	:: i < BLOCKS && kept_block[i] != 0 && kept_block[i] <= passed ->
		kept_block[i] = 0; let_go_block(i); i++
	:: else -> i++
	od;
	i = 0
}

/* Within a d_step: what the worker does as soon as it is told. */
inline say_served(w)
{
	do
	:: pushed[w] == 0 -> break
	:: else ->
#ifndef BROKEN_LETS_GO
		let_go(item_entry[w]);
#ifdef BROKEN_NO_GRACE
		readers[item_entry[w]] = 0;
#endif
#endif
		pushed[w]--
	od;
	item_entry[w] = 0;
	item_key[w] = 0
}

/* Writes an item and strikes it, if its slot isn't passed. Within a d_step. */
inline serve_item(w)
{
	if
#ifndef BROKEN_SERVES_PASSED
	:: SLOT_OF(item_key[w]) < passed
#endif
	:: else ->
		assert(note[SLOT_OF(item_key[w])] != 0);
		block = note[SLOT_OF(item_key[w])] - 1;
		assert(!FREED_BLOCK(block));
		assert(WORD(block, item_key[w]) == item_entry[w] && item_entry[w] != 0);
#if defined(BROKEN_EMPTIES)
		WORD(block, item_key[w]) = 0;
#elif !defined(BROKEN_NO_STRIKE)
		STRUCK(block, item_key[w]) = 1;
#endif
		write(item_entry[w]);
		block = 0
	fi
}

inline serve_ring(w)
{
	if
	:: pushed[w] != 0 ->
#ifdef BROKEN_SERVED_FIRST
		pushed[w]--;
		d_step { serve_item(w); pushed[w]++; say_served(w) }
#else
		d_step { serve_item(w); say_served(w) }
#endif
	:: else
	fi
}

inline serve()
{
	serve_ring(0);
	serve_ring(1)
}

inline freeze_begin()
{
	d_step {
		passed = 0;
		cut = snapshot;
		now = snapshot + 1;
		due[WORD(root[0], 0)] = 1;
		due[WORD(root[1], 2)] = 1;
		due[WORD(root[1], 3)] = 1
	};
	grace_period()
}

inline freeze_end()
{
	d_step { pass(SLOTS); cut = 0 };
#ifndef BROKEN_END_NO_GRACE
	grace_period();
#endif
	d_step {
#ifndef BROKEN_END_FORGETS
		say_served(0);
		say_served(1);
#endif
		note[0] = 0;
		note[1] = 0;
		i = 0;
		do
		:: i == ENTRIES -> break
		:: i < ENTRIES -> due[i] = 0; i++
		od;
		i = 0
	}
}

inline check_complete()
{
	d_step {
		do
		:: i == ENTRIES -> break
		:: i < ENTRIES -> assert(!due[i]); i++
		od;
		i = 0
	}
}

proctype snapshotter()
{
	byte snapshot = 1, s, block, i;

	do
	:: snapshot > SNAPSHOTS -> break
	:: else ->
		freeze_begin();
		do
		:: s == SLOTS -> check_complete(); break
		:: s < SLOTS && snapshot == 1 -> break	/* cancelled */
		:: s < SLOTS ->
			take_slot();
			serve();
			s++
		od;
		s = 0;
		freeze_end();
		snapshot++
	od;
	finished++
}

init
{
	byte i;
	atomic {
		d_step {
			root[0] = BLOCK(0, 0);
			root[1] = BLOCK(1, 0);
			do
			:: i == KEYS -> break
			:: i == 1 -> i++
			:: else -> WORD(root[SLOT_OF(i)], i) = 1 + i; i++
			od;
			i = 0
		};
		run worker(0);
		run worker(1);
		run snapshotter()
	};
	(finished == 3);
	d_step {
		assert(pushed[0] + pushed[1] == 0);
		do
		:: i == ENTRIES -> break
		:: i < ENTRIES -> assert(kept[i] == 0); i++
		od
	}
}
