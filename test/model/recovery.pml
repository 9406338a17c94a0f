/*
 * Journals: what was told, and what comes back after a crash (shard/journal.h, server/flusher.h, persist/merge.h).
 *
 * The story. Two workers make units of work on slot 0, slot 1 or both, each in a tick: hold the slots,
 * load the epoch, append a record with the next number of each slot to the worker's journal, say in the slots whose
 * record was the last, let go, write the journal (or fail to). The reply is told when what it has looked
 * at is safe: written, or with appendfsync always durable. A unit may just look. Whoever begins a unit
 * may have been told of all that was told up to then. The flusher closes epochs: the next one begins, a
 * grace period, the journals are synced up to where the closed one ends, then COMMITS has it. At any moment
 * the process is killed, or power is lost: then each journal has lost some of what wasn't written, or synced,
 * and recovery takes record after record whose predecessors on its slots it has taken; after a power
 * loss only epochs in COMMITS, unless its last line says that appendfsync was always.
 *
 * Abstracted: memory is sequentially consistent. A journal's bytes are its records, and a record is whole or isn't
 * there: one that lost its end doesn't parse, nor one that lost a sector of its lines or lengths; within a large
 * argument its sum shows that (journal.h). So the journal ends there, as if what follows were lost, too. All-slot
 * units are units on both slots. Slots are locks (hold.pml). A reader's look is one step (seq.pml).
 *
 * Invariant. After a kill all that was told is there. After a power loss all that stands in a committed epoch
 * is there, and with always in force all that was told. Of whatever is there, all that its maker had been
 * told of is there, too: the state existed.
 *
 * Variants. In the model as it stands appendfsync is everysec.
 *  GOOD_ALWAYS: appendfsync is always
 *  GOOD_SWITCH_ON: it becomes always at any moment
 *  GOOD_SWITCH_OFF: it was always and becomes everysec
 * Each of the others removes one thing and must fail:
 *  BROKEN_OWN_ONLY: a reply waits for its own worker's records, not for those it has looked at
 *  BROKEN_NO_FOLLOW: ... nor for those that these follow on: a record that was never written makes
 *      orphans of all behind it, in whatever journal
 *  BROKEN_TELLS_APPENDED: ... for what is appended, not what is written
 *  BROKEN_TELLS_WRITTEN: with always it waits for what is written
 *  BROKEN_LAST_LATE: a slot says whose record was its last when it has been let go
 *  BROKEN_NUMBER_LATE: numbers are taken, and the record is made, when the slots have been let go
 *  BROKEN_EPOCH_EARLY: the epoch is loaded before the slots are held
 *  BROKEN_NO_GRACE: the flusher doesn't wait for ticks that may have loaded the epoch it closes
 *  BROKEN_COMMITS_FIRST: COMMITS has the epoch before the journals are synced
 *  BROKEN_DURABLE_LATE: how much was written is looked at when it has been synced
 *  BROKEN_NO_LIMIT: after a power loss recovery takes what follows on what is there, whatever its epoch
 *  BROKEN_MARKS: what was made with always is marked in each journal's epochs, not said in COMMITS
 *  BROKEN_SAYS_EARLY: COMMITS says always before what was told by the other rule is durable
 *  BROKEN_RULE_LATE: the rule changes only when COMMITS has said always
 *  BROKEN_RULE_EARLY: ... or before it says no more that it is always
 *  BROKEN_PROMISE_EARLY: always counts as in force before COMMITS says so
 */
#define UNITS(me) (2 - (me))
#define RECORDS 4
#define RECORD(w, i) ((w) * 2 + (i))
#define CLOSINGS 1

#if defined(GOOD_ALWAYS) || defined(BROKEN_TELLS_WRITTEN) || defined(BROKEN_DURABLE_LATE)
#define ALWAYS 1
#elif defined(GOOD_SWITCH_OFF) || defined(BROKEN_RULE_EARLY)
#define ALWAYS 1
#define SWITCHED_OFF
#else
#define ALWAYS 0
#endif
#if defined(GOOD_SWITCH_ON) || defined(BROKEN_RULE_LATE) || defined(BROKEN_SAYS_EARLY)
#define SWITCHED_ON
#elif defined(BROKEN_PROMISE_EARLY) || defined(BROKEN_MARKS)
#define SWITCHED_ON
#endif

/* records */
byte slots[RECORDS];		/* 1: slot 0, 2: slot 1, 3: both */
byte number0[RECORDS], number1[RECORDS];
byte epoch_of[RECORDS];
bit marked[RECORDS];
byte knew0[RECORDS], knew1[RECORDS];	/* what its maker may have been told of each slot */

/* journals */
byte appended[2], written[2], durable[2];
byte disk[2];			/* truly durable */
byte epoch_last[2];
bit mark_last[2];
byte epoch_start[2];

byte follows0[2], follows1[2];	/* how much of each journal this one's records follow on */

bit held[2];
byte number[2];			/* of each slot's last record */
byte last_worker[2], last_end[2];

byte now = 1;
byte committed;
bit unlimited = ALWAYS;	/* the last line of COMMITS says so */
bit mark = ALWAYS, rule = ALWAYS, promise = ALWAYS;
bit online[2], must[2];
bit asked;
bit crashed;

/* replies that wait, and what clients know */
bit waiting[2];
byte need0[2], need1[2];
byte tells0[2], tells1[2];
byte told0, told1, promised0, promised1;

#define MAX(a, b) ((a) > (b) -> (a) : (b))
#define ON(s) (kind & (1 << (s)))
#ifdef BROKEN_TELLS_APPENDED
#define SAFE(w) appended[w]
#elif defined(BROKEN_TELLS_WRITTEN)
#define SAFE(w) written[w]
#else
#define SAFE(w) (rule -> durable[w] : written[w])
#endif

#define FREE(s) (!ON(s) || !held[s])

inline hold()
{
	FREE(0) && FREE(1);
	held[0] = held[0] || ON(0);
	held[1] = held[1] || ON(1)
}

inline release()
{
	d_step { held[0] = held[0] && !ON(0); held[1] = held[1] && !ON(1) }
}

/* Notes whose record a slot's last was; the reply tells of it. */
inline look(s)
{
	if
	:: ON(s) ->
#ifndef BROKEN_OWN_ONLY
		if
		:: last_worker[s] == 0 -> need0[me] = MAX(need0[me], last_end[s])
		:: else -> need1[me] = MAX(need1[me], last_end[s])
		fi;
#ifndef BROKEN_NO_FOLLOW
		need0[me] = MAX(need0[me], follows0[last_worker[s]]);
		need1[me] = MAX(need1[me], follows1[last_worker[s]])
#endif
#else
		skip
#endif
	:: else
	fi
}

inline look_both()
{
	d_step {
		look(0);
		look(1);
		tells0[me] = (ON(0) -> number[0] : 0);
		tells1[me] = (ON(1) -> number[1] : 0)
	}
}

inline say_last()
{
	d_step {
		if
		:: ON(0) -> last_worker[0] = me; last_end[0] = appended[me]
		:: else
		fi;
		if
		:: ON(1) -> last_worker[1] = me; last_end[1] = appended[me]
		:: else
		fi
	}
}

/* The record, in the epoch that was loaded. */
inline append()
{
	d_step {
		r = RECORD(me, appended[me]);
		if
		:: epoch != epoch_last[me] ->
			epoch_start[me] = appended[me];
			epoch_last[me] = epoch;
			mark_last[me] = mark
		:: else
		fi;
		slots[r] = kind;
		epoch_of[r] = epoch;
		marked[r] = mark_last[me];
		knew0[r] = knows0;
		knew1[r] = knows1;
		if
		:: ON(0) -> number[0]++; number0[r] = number[0]; tells0[me] = number[0]
		:: else
		fi;
		if
		:: ON(1) -> number[1]++; number1[r] = number[1]; tells1[me] = number[1]
		:: else
		fi;
		follows0[me] = MAX(follows0[me], need0[me]);
		follows1[me] = MAX(follows1[me], need1[me]);
		appended[me]++;
		r = 0
	}
}

inline write_unit()
{
#ifdef BROKEN_EPOCH_EARLY
	epoch = now;
	atomic { hold(); look_both() };
#else
	atomic { hold(); look_both() };
	epoch = now;
#endif
#ifdef BROKEN_NUMBER_LATE
	release();
	append();
	say_last();
#elif defined(BROKEN_LAST_LATE)
	append();
	release();
	say_last();
#else
	atomic { append(); say_last(); release() };
#endif
	d_step {
		if
		:: me == 0 -> need0[0] = appended[0]
		:: else -> need1[1] = appended[1]
		fi
	}
}

proctype worker(byte me)
{
	byte units, kind, epoch, r, knows0, knows1;

	do
	:: units == UNITS(me) || crashed -> break
	:: else ->
		atomic {
			online[me] = 1;
			waiting[me] = 0;
			need0[me] = 0; need1[me] = 0; tells0[me] = 0; tells1[me] = 0;
			knows0 = told0;
			knows1 = told1;
			if
			:: kind = 1
			:: me == 0 -> kind = 2	/* slots are alike: worker 1 needs but one of them */
			:: kind = 3
			fi
		}
		if
		:: write_unit()
		:: atomic { me == 0 && FREE(0) && FREE(1); look_both() }
		fi;
		if
		:: written[me] = appended[me]
		:: me == 1		/* a write that fails */
		fi;
		d_step {
			waiting[me] = 1;
			online[me] = 0;
			must[me] = 0;
			units++;
			kind = 0; epoch = 0; knows0 = 0; knows1 = 0
		}
	od
}

inline tell(w)
{
	d_step {
		!crashed && waiting[w] && need0[w] <= SAFE(0) && need1[w] <= SAFE(1) ->
		waiting[w] = 0;
		told0 = MAX(told0, tells0[w]);
		told1 = MAX(told1, tells1[w]);
		promised0 = (promise -> MAX(promised0, tells0[w]) : promised0);
		promised1 = (promise -> MAX(promised1, tells1[w]) : promised1)
	}
}

active proctype gate()
{
end:	do
	:: tell(0)
	:: tell(1)
	od
}

/* The syncers, when they are asked. (That the system may sync at any time a power loss knows.) */
active proctype syncers()
{
end:	do
#ifdef BROKEN_DURABLE_LATE
	:: (asked || rule) && !crashed && disk[0] < written[0] -> disk[0] = written[0]; durable[0] = written[0]
	:: (asked || rule) && !crashed && disk[1] < written[1] -> disk[1] = written[1]; durable[1] = written[1]
#else
	:: d_step { (asked || rule) && !crashed && durable[0] < written[0] -> disk[0] = written[0]; durable[0] = written[0] }
	:: d_step { (asked || rule) && !crashed && durable[1] < written[1] -> disk[1] = written[1]; durable[1] = written[1] }
#endif
	od
}

#define END_OF_EPOCH(w) (epoch_last[w] > closing -> epoch_start[w] : appended[w])

/* Closes the epoch: done says whether all of it could be written. */
inline close_epoch()
{
	done = 0;
	closing = now;
	now = closing + 1;
#ifndef BROKEN_NO_GRACE
	d_step { must[0] = online[0]; must[1] = online[1] };
	(!must[0] && !must[1]);
#endif
	end0 = END_OF_EPOCH(0);
	end1 = END_OF_EPOCH(1);
	asked = 1;
#ifdef BROKEN_COMMITS_FIRST
	committed = closing;
#endif
	if
	:: atomic {
		durable[0] >= end0 && durable[1] >= end1 ->
		done = 1; committed = closing; unlimited = mark
	   }
	:: written[0] < end0 || written[1] < end1 || crashed
	fi;
	d_step { end0 = 0; end1 = 0; closing = 0; asked = 0 }
}

active proctype flusher()
{
	byte closings, closing, end0, end1;
	bit done;

#ifdef SWITCHED_ON
#ifndef BROKEN_RULE_LATE
	rule = 1;
#endif
#ifdef BROKEN_PROMISE_EARLY
	promise = 1;
#endif
#ifdef BROKEN_SAYS_EARLY
	unlimited = 1;
#endif
	mark = 1;
	close_epoch();
	if
	:: done -> rule = 1; promise = 1
	:: else
	fi
#else
#ifdef SWITCHED_OFF
	promise = 0;
	mark = 0;
#ifdef BROKEN_RULE_EARLY
	rule = 0;
#endif
	close_epoch();
	if
	:: done -> rule = 0
	:: else
	fi;
	closings++;
#endif
	do
	:: closings == CLOSINGS || crashed -> break
	:: closings < CLOSINGS && !crashed -> close_epoch(); closings++
	od
#endif
}

#if defined(BROKEN_NO_LIMIT)
#define BEYOND(r) false
#elif defined(BROKEN_MARKS)
#define BEYOND(r) (power && epoch_of[r] > committed && !marked[r])
#else
#define BEYOND(r) (power && epoch_of[r] > committed && !unlimited)
#endif
#define AT_TURN(r) ((!(slots[r] & 1) || number0[r] == got0 + 1) && (!(slots[r] & 2) || number1[r] == got1 + 1))

inline take_all(w)
{
	do
	:: taken[w] == kept[w] -> break
	:: taken[w] < kept[w] ->
		r = RECORD(w, taken[w]);
		if
		:: BEYOND(r) || !AT_TURN(r) -> break
		:: else ->
			got0 = got0 + (slots[r] & 1);
			got1 = got1 + (slots[r] >> 1);
			taken[w]++
		fi
	od
}

/* What its maker knew is there; what was committed is there. */
inline check(w)
{
	i = 0;
	do
	:: i == appended[w] -> break
	:: i < taken[w] ->
		r = RECORD(w, i);
		assert(knew0[r] <= got0 && knew1[r] <= got1);
		i++
	:: i < appended[w] && i >= taken[w] ->
		assert(epoch_of[RECORD(w, i)] > committed);
		i++
	od
}

/* The end: all runs that come here are one. */
inline forget()
{
	crashed = 1;
	i = 0;
	do
	:: i == RECORDS -> break
	:: else ->
		slots[i] = 0; number0[i] = 0; number1[i] = 0; epoch_of[i] = 0; marked[i] = 0;
		knew0[i] = 0; knew1[i] = 0;
		i++
	od;
	i = 0;
	do
	:: i == 2 -> break
	:: else ->
		appended[i] = 0; written[i] = 0; durable[i] = 0; disk[i] = 0; follows0[i] = 0; follows1[i] = 0;
		epoch_last[i] = 0; mark_last[i] = 0; epoch_start[i] = 0; number[i] = 0; last_worker[i] = 0;
		last_end[i] = 0; need0[i] = 0; need1[i] = 0; tells0[i] = 0; tells1[i] = 0; waiting[i] = 0;
		kept[i] = 0; taken[i] = 0;
		i++
	od;
	told0 = 0; told1 = 0; promised0 = 0; promised1 = 0; committed = 0; unlimited = 0;
	power = 0; i = 0; r = 0; got0 = 0; got1 = 0
}

proctype crash()
{
	bit power;
	byte i, r, got0, got1;
	byte kept[2], taken[2];

	atomic {
		if
		:: power = 0; kept[0] = written[0]; kept[1] = written[1]
		:: power = 1; kept[0] = disk[0]; kept[1] = disk[1]
		fi;
		do
		:: kept[0] < appended[0] -> kept[0]++
		:: break
		od;
		do
		:: kept[1] < appended[1] -> kept[1]++
		:: break
		od;
		d_step {
			take_all(0); take_all(1); take_all(0); take_all(1); take_all(0);
			assert(power || (told0 <= got0 && told1 <= got1));
			assert(promised0 <= got0 && promised1 <= got1);
			check(0);
			check(1);
			forget()
		}
	}
}

init
{
	atomic {
		run worker(0);
		run worker(1);
		run crash()
	}
}
