/*
 * `seq` of a slot: what a reader takes under even, unchanged seqs existed at one moment of its
 * call.
 *
 * The story. Slot 0 holds key a, slot 1 key b. Worker 0 writes both, worker 1 writes slot 1 (`hold`
 * stands for the CAS by which one of them becomes its holder: hold.pml). Every unit of work makes the seqs
 * of all its slots odd, release fence, stores, makes them even again by release stores. Worker 0's
 * units: write a; write a and b together; touch a, which has a time to live (PERSIST: does nothing
 * if a has expired); and grow slot 0, which copies a's word into a new block, publishes that, and
 * from then on writes only there, without a change of seq. Worker 1 writes b. A word names an
 * entry, whose content must have been stored before the word can be read. Beside its word slot 0
 * has a `mark`, who wrote last, a plain store that must belong to what was read with it. The reader
 * makes CALLS calls, one after the other: one key (seq, word, seq), or both keys in either order
 * (all seqs and words, then the clock, then all seqs again). Odd or changed: it doesn't accept;
 * that it then tries again or holds the slots changes nothing here.
 *
 * Memory. Each worker's stores go through a buffer, from which they land one at a time, in any
 * order that is allowed: not before an earlier store to the same cell, not over a release fence,
 * and a release store after all that stand before it. A full fence waits until the buffer is empty.
 * Loads that lack their order are made earlier, in the text of the variant. What lands is seen by
 * all at once, as on x86 and ARMv8.
 *
 * Abstracted: holding itself (hold.pml), reclaim (reclaim.pml), more keys in a slot (the same as
 * more slots), and the overflow of seq. The clock is one word that moves once; at 1 the first entry
 * of a has expired.
 *
 * Invariant. `history` is the list of states that existed: a unit appends one as its last word
 * lands, the clock as it moves. Whatever a call accepts is one of the states between its start and
 * its end. As a call starts after the one before has ended, values never go back in time; and
 * nobody finds alive what somebody has already found expired.
 *
 * The model as it stands has no clock and two units of worker 0; the other half verifies as
 *  GOOD_CLOCK: with the clock, touch instead of grow, and one unit of worker 0
 *
 * Variants; each removes one thing and must fail:
 *  BROKEN_NO_WRITE_FENCE: no release fence after the odd seqs: a plain store of the unit is seen
 *      under the old seq. (The words alone would do without it as long as each of them is a release
 *      store.)
 *  BROKEN_EVEN_RELAXED: the even seq lands before the stores of its unit
 *  BROKEN_WORD_RELAXED: a word lands before the content of its entry
 *  BROKEN_NO_ODD: no odd seq during the unit, only a new even one at its end
 *  BROKEN_SLOT_BY_SLOT: the first slot is even again before the second one is odd: half a
 *      transaction
 *  BROKEN_TABLE_RELAXED: a new block is seen before what was copied into it
 *  BROKEN_OLD_BLOCK: the holder goes on writing in the old block
 *  BROKEN_ACCEPT_ODD: a reader accepts an odd seq if only it doesn't change
 *  BROKEN_SEQ_LOAD_RELAXED: the word is loaded before the first look at seq (which lacks acquire)
 *  BROKEN_NO_READ_FENCE: the last look at seq is made before the word is loaded
 *  BROKEN_NO_RECHECK: no last look
 *  BROKEN_CHECK_EACH: each slot's last look right after its word, not after all words: no common
 *      moment
 *  BROKEN_CLOCK_EARLY: the clock is loaded before the words
 *  BROKEN_CLOCK_LATE: the clock is loaded after the last look
 *  BROKEN_WRITER_CLOCK: a writer loads its clock without a full fence after the odd seq: it keeps
 *      alive what a reader has just found expired
 */
#if defined(BROKEN_CLOCK_EARLY) || defined(BROKEN_CLOCK_LATE) || defined(BROKEN_WRITER_CLOCK)
#define GOOD_CLOCK
#endif
#ifdef GOOD_CLOCK
#define UNITS 1		/* of worker 0; worker 1 has one in any case */
#else
#define UNITS 2
#endif
#define CALLS 2

/* memory cells */
#define SEQ0 0
#define SEQ1 1
#define TABLE 2		/* slot 0: which block */
#define A 3		/* a's word in block 0, and A + 1 in block 1 */
#define B 5
#define MARK 6
#define HOLD 7
#define CONTENT 8	/* of entry e at CONTENT + e */
#define CELLS 12
#define EMPTY 9		/* no entry */

/* of a write buffer: the longest unit and most of another */
#define SIZE 16
#define ROOM(w, n) (buf[w].count + n <= SIZE)

/* how a store is ordered */
#define RELAXED 0
#define RELEASE 1
#define FENCE 2		/* no store: a release fence */
#ifdef BROKEN_EVEN_RELAXED
#define EVEN_ORDER RELAXED
#else
#define EVEN_ORDER RELEASE
#endif
#ifdef BROKEN_WORD_RELAXED
#define WORD_ORDER RELAXED
#else
#define WORD_ORDER RELEASE
#endif
#ifdef BROKEN_TABLE_RELAXED
#define TABLE_ORDER RELAXED
#else
#define TABLE_ORDER RELEASE
#endif

/* what a landing store does to the history */
#define NOTHING 0
#define NEW_A 1
#define NEW_B 2
#define NEW_BOTH 3

byte mem[CELLS];
byte clock;

typedef store { byte cell; byte value; byte order; byte effect }
typedef buffer { store s[SIZE]; byte count }
buffer buf[2];

typedef state { byte a; byte b; bit expired }
state history[UNITS + 3];
byte now;		/* the newest state; the call began in state 0 */
bit calling;
bit finished;		/* the reader has made its calls: nothing more is worth looking at */

byte persisted;		/* the entry that a touch made of one that was alive */
bit missed;		/* some call has found a expired */

inline append(new, what)
{
	if
	:: calling ->
		now++;
		history[now].a = history[now - 1].a;
		history[now].b = history[now - 1].b
	:: else			/* nobody asks for what was */
	fi;
	history[now].a = (what & NEW_A -> new : history[now].a);
	history[now].b = (what & NEW_B -> new : history[now].b);
	history[now].expired = (history[now].a == 0 && clock == 1)
}

/* Store number n of worker w's buffer lands, if it may. */
inline land(w, i)
{
	d_step {
		k = 0;
		do
		:: k < i && buf[w].s[i].order == RELAXED && buf[w].s[k].order != FENCE &&
		   buf[w].s[k].cell != buf[w].s[i].cell -> k++
		:: else -> break
		od;
		if
		:: k == i ->
			if
			:: buf[w].s[i].order != FENCE -> mem[buf[w].s[i].cell] = buf[w].s[i].value
			:: else
			fi;
			if
			:: buf[w].s[i].effect -> append(buf[w].s[i].value, buf[w].s[i].effect)
			:: else
			fi;
			do
			:: k + 1 < buf[w].count ->
				buf[w].s[k].cell = buf[w].s[k + 1].cell;
				buf[w].s[k].value = buf[w].s[k + 1].value;
				buf[w].s[k].order = buf[w].s[k + 1].order;
				buf[w].s[k].effect = buf[w].s[k + 1].effect;
				k++
			:: else -> break
			od;
			buf[w].count--;
			buf[w].s[k].cell = 0;
			buf[w].s[k].value = 0;
			buf[w].s[k].order = 0;
			buf[w].s[k].effect = 0
		:: else
		fi;
		k = 0;
		i = 0
	}
}

active [2] proctype memory()
{
	byte n, k;

end:	do
	:: atomic {
		buf[_pid].count > 0 && !finished;
		do
		:: n + 1 < buf[_pid].count && buf[_pid].s[n].order != FENCE -> n++
		:: break
		od;
		land(_pid, n)
	   }
	od
}

#ifdef GOOD_CLOCK
active proctype time()
{
end:	atomic {
		!finished -> clock = 1;
		if
		:: history[now].a == 0 -> append(0, NOTHING)
		:: else
		fi
	}
}
#endif

inline put(w, where, what, how, does)
{
	buf[w].s[buf[w].count].cell = where;
	buf[w].s[buf[w].count].value = what;
	buf[w].s[buf[w].count].order = how;
	buf[w].s[buf[w].count].effect = does;
	buf[w].count++
}

inline full_fence(w) { buf[w].count == 0 }

inline release_fence(w)
{
#ifdef BROKEN_NO_WRITE_FENCE
	skip
#else
	if
	:: buf[w].count > 0 -> put(w, 0, 0, FENCE, NOTHING)
	:: else
	fi
#endif
}

inline odd(w, c, s)
{
#ifdef BROKEN_NO_ODD
	skip
#else
	put(w, c, s + 1, RELAXED, NOTHING)
#endif
}

inline even(w, c, s) { put(w, c, s + 2, EVEN_ORDER, NOTHING); s = s + 2 }

proctype worker0()
{
	byte unit, block, seq0, seq1, e;
	bit lives = 1;		/* a has a time to live */
	bit alive;

end:	do
	:: unit == UNITS -> break
	:: atomic {		/* write a */
			unit < UNITS && ROOM(0, 6) -> e = unit + 1;
			odd(0, SEQ0, seq0); release_fence(0);
			put(0, CONTENT + e, 1, RELAXED, NOTHING);
			put(0, MARK, e, RELAXED, NOTHING);
			put(0, A + block, e, WORD_ORDER, NEW_A);
			even(0, SEQ0, seq0);
			lives = 0; unit++
	   }
	:: atomic {		/* write a and b */
			unit < UNITS && mem[HOLD] == 0 && ROOM(0, 11) ->
			mem[HOLD] = 1; seq1 = mem[SEQ1]; e = unit + 1;
#ifdef BROKEN_SLOT_BY_SLOT
			odd(0, SEQ0, seq0); release_fence(0);
			put(0, CONTENT + e, 1, RELAXED, NOTHING);
			put(0, MARK, e, RELAXED, NOTHING);
			put(0, A + block, e, WORD_ORDER, NOTHING);
			even(0, SEQ0, seq0);
			odd(0, SEQ1, seq1); release_fence(0);
			put(0, B, e, WORD_ORDER, NEW_BOTH);
			even(0, SEQ1, seq1);
#else
			odd(0, SEQ0, seq0); odd(0, SEQ1, seq1); release_fence(0);
			put(0, CONTENT + e, 1, RELAXED, NOTHING);
			put(0, MARK, e, RELAXED, NOTHING);
			put(0, A + block, e, WORD_ORDER, NOTHING);
			put(0, B, e, WORD_ORDER, NEW_BOTH);
			even(0, SEQ0, seq0); even(0, SEQ1, seq1);
#endif
			put(0, HOLD, 0, RELEASE, NOTHING);
			lives = 0; unit++
	   }
#ifdef GOOD_CLOCK
	:: atomic {		/* touch a */
			unit < UNITS && lives && ROOM(0, 6) -> odd(0, SEQ0, seq0)
	   }
#ifndef BROKEN_WRITER_CLOCK
end_fence:	full_fence(0);
#else
		atomic { release_fence(0) }
#endif
		alive = (clock == 0);
		atomic {
			if
			:: alive ->
				e = unit + 1; persisted = e;
				put(0, CONTENT + e, 1, RELAXED, NOTHING);
				put(0, MARK, e, RELAXED, NOTHING);
				put(0, A + block, e, WORD_ORDER, NEW_A)
			:: else
			fi;
			even(0, SEQ0, seq0);
			alive = 0; lives = 0; unit++
		}
#else
	:: atomic {		/* grow slot 0; e is always its newest entry */
			unit < UNITS && block == 0 && ROOM(0, 2) ->
			put(0, A + 1, e, RELAXED, NOTHING);
			put(0, TABLE, 1, TABLE_ORDER, NOTHING);
#ifndef BROKEN_OLD_BLOCK
			block = 1;
#endif
			unit++
	   }
#endif
	od
}

proctype worker1()
{
	byte seq1;

end:	atomic {
		mem[HOLD] == 0 -> mem[HOLD] = 1; seq1 = mem[SEQ1];
		odd(1, SEQ1, seq1); release_fence(1);
		put(1, CONTENT + UNITS + 1, 1, RELAXED, NOTHING);
		put(1, B, UNITS + 1, WORD_ORDER, NEW_B);
		even(1, SEQ1, seq1);
		put(1, HOLD, 0, RELEASE, NOTHING)
	}
}

/* The four steps of a read; `ok` falls when the answer can't be accepted. */
inline look(c, s)
{
	s = mem[c];
#ifndef BROKEN_ACCEPT_ODD
	ok = ok && !(s & 1)
#endif
}

inline look_again(c, s)
{
#ifdef BROKEN_NO_RECHECK
	skip
#else
	ok = ok && mem[c] == s
#endif
}

inline read_a()
{
	table = mem[TABLE];
	a = mem[A + table];
	assert(a != EMPTY && (a == 0 || mem[CONTENT + a] == 1));
	mark = mem[MARK]
}

inline read_b()
{
	b = mem[B];
	assert(b == 0 || mem[CONTENT + b] == 1)
}

#if defined(BROKEN_SEQ_LOAD_RELAXED)
#define visit(c, s, read_key) read_key(); look(c, s)
#elif defined(BROKEN_NO_READ_FENCE)
#define visit(c, s, read_key) look(c, s); look_again(c, s); read_key()
#elif defined(BROKEN_CHECK_EACH)
#define visit(c, s, read_key) look(c, s); read_key(); look_again(c, s)
#else
#define visit(c, s, read_key) look(c, s); read_key()
#endif
#if defined(BROKEN_NO_READ_FENCE) || defined(BROKEN_CHECK_EACH)
#define leave(c, s) skip
#else
#define leave(c, s) look_again(c, s)
#endif

/* Asserts that a state of this call answers as we do; wants_a and wants_b say what was asked. */
inline accept(wants_a, wants_b)
{
	d_step {
		if
		:: ok ->
			expired = wants_a && a == 0 && at == 1;
			assert(!wants_a || mark == a);
			do
			:: (!wants_a || (history[i].a == a && history[i].expired == expired)) &&
			   (!wants_b || history[i].b == b) -> break
			:: else -> assert(i < now); i++
			od;
			assert(!(missed && wants_a && a == persisted && persisted != 0));
			missed = missed || expired
		:: else
		fi;
		call++; calling = 0; ok = 1; i = 0;
		s0 = 0; s1 = 0; table = 0; a = 0; b = 0; mark = 0; at = 0; expired = 0;
		history[0].a = history[now].a;
		history[0].b = history[now].b;
		history[0].expired = history[now].expired;
		do
		:: now > 0 ->
			history[now].a = 0; history[now].b = 0; history[now].expired = 0;
			now--
		:: else -> break
		od
	}
}

proctype reader()
{
	byte call, i, s0, s1, table, a, b, mark, at;
	bit ok = 1, expired;

	do
	:: call == CALLS -> finished = 1; break
	:: call < CALLS ->	/* a */
		atomic { calling = 1; at = clock }
		visit(SEQ0, s0, read_a);
		leave(SEQ0, s0);
		accept(1, 0)
	:: call < CALLS ->	/* b */
		calling = 1;
		visit(SEQ1, s1, read_b);
		leave(SEQ1, s1);
		accept(0, 1)
	:: call < CALLS ->	/* both */
		calling = 1;
#ifdef BROKEN_CLOCK_EARLY
		at = clock;
#endif
		if
		:: visit(SEQ0, s0, read_a); visit(SEQ1, s1, read_b)
		:: visit(SEQ1, s1, read_b); visit(SEQ0, s0, read_a)
		fi;
#if !defined(BROKEN_CLOCK_EARLY) && !defined(BROKEN_CLOCK_LATE)
		at = clock;
#endif
		leave(SEQ0, s0);
		leave(SEQ1, s1);
#ifdef BROKEN_CLOCK_LATE
		at = clock;
#endif
		accept(1, 1)
	od
}

init {
	atomic {
		mem[A + 1] = EMPTY;
		run worker0(); run worker1(); run reader()
	}
}
