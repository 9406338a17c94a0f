"""Is a recorded history of concurrent operations linearizable?

A history is a list of `Op`: who did what, when it was sent, when its reply came and what the reply
was. It is linearizable when each operation can be given one moment between its two times such that
a store that does one thing at a time, touched at those moments, gives just these replies. A
transaction is one operation; a watch says what an EXEC must reply. Where all commands are on one
key each, each key's history can be judged alone, and is sooner done.

The search is Wing and Gong's with memory of where it has been: a point is how many operations of
each client have happened and what the store then holds. An operation may come next when no other
operation that hasn't happened yet ended before it began. The operations of a client happen in the
order in which it sent them, pipelined ones too. An operation without a reply (the connection was
closed) may have happened at any time after it was sent, or never. An operation that fits and
changes nothing is taken at once: if it fits later too, then now is as good.

Expiry: the store's clock stands still until it jumps to when some key is due, at any time from then
on; all keys that are due by then vanish together.
"""

import collections
import re

UNKNOWN = "unknown"         # in place of a reply that never came: no reply is a str
FOREVER = float("inf")
INTEGER = re.compile(rb"0|-?[1-9]\d*")
INCREMENTABLE = range(-2 ** 63, 2 ** 63 - 1)
STATES_MAX = 3_000_000      # a search beyond this is given up loudly
MS = 10 ** 6                # times are in nanoseconds, but due times in milliseconds
SLACK = 2 * MS              # by so much the server's clock may be ahead of ours

# `args` are the words of the command: name and keys are str, values bytes, times int. What MULTI
# queued is ("EXEC", (command, ...)). `start` and `end` are unix times in nanoseconds.
Op = collections.namedtuple("Op", "client args start end reply")

# values: ((key, value, due), ...) sorted, `due` in unix ms or None; clock: the same;
# watches: ((client, keys that it watches, or DIRTY when one of them has changed), ...) sorted
State = collections.namedtuple("State", "values clock watches")
EMPTY = State((), 0, ())
DIRTY = "dirty"


class GivenUp(Exception):
    pass


class Store:
    """A state that can be changed. Replies are ints, bytes, tuples or None as they stand on the
    wire, b"OK" for OK, and ValueError for an error."""

    def __init__(self, state):
        self.keys = {key: (value, due) for key, value, due in state.values}
        self.clock = state.clock
        self.watches = dict(state.watches)
        self.touched = False

    def state(self):
        return State(tuple(sorted((key,) + entry for key, entry in self.keys.items())), self.clock,
                     tuple(sorted(self.watches.items())))

    def touch(self, key):
        self.touched = True
        for client, keys in self.watches.items():
            if key in keys:
                self.watches[client] = DIRTY

    def put(self, key, value, due=None):
        self.keys[key] = value, due
        if due is not None and due <= self.clock:
            del self.keys[key]
        self.touch(key)

    def remove(self, key):
        entry = self.keys.pop(key, None)
        if entry:
            self.touch(key)
        return entry

    def advance(self, clock):
        self.clock = clock
        for key in [key for key, (_, due) in self.keys.items() if due is not None and due <= clock]:
            self.remove(key)

    # The commands

    def run(self, client, args):
        return getattr(self, args[0].lower())(client, *args[1:])

    def get(self, client, key):
        return self.keys.get(key, (None,))[0]

    def mget(self, client, *keys):
        return tuple(self.get(client, key) for key in keys)

    def exists(self, client, *keys):
        return sum(key in self.keys for key in keys)

    def set(self, client, key, value, pxat=None, due=None):
        self.put(key, value, due)
        return b"OK"

    def mset(self, client, *words):
        for key, value in zip(words[::2], words[1::2]):
            self.put(key, value)
        return b"OK"

    def getset(self, client, key, value):
        old = self.get(client, key)
        self.put(key, value)
        return old

    def setnx(self, client, key, value):
        if key in self.keys:
            return 0
        self.put(key, value)
        return 1

    def delete(self, client, *keys):
        return sum(self.remove(key) is not None for key in keys)

    def append(self, client, key, value):
        old, due = self.keys.get(key, (b"", None))
        self.put(key, old + value, due)
        return len(old + value)

    def incr(self, client, key):
        old, due = self.keys.get(key, (b"0", None))
        if not INTEGER.fullmatch(old) or int(old) not in INCREMENTABLE:
            return ValueError
        self.put(key, b"%d" % (int(old) + 1), due)
        return int(old) + 1

    def rename(self, client, key, to):
        if key not in self.keys:
            return ValueError
        if key != to:
            self.put(to, *self.remove(key))
        return b"OK"

    def pexpireat(self, client, key, due):
        if key not in self.keys:
            return 0
        self.put(key, self.keys[key][0], due)
        return 1

    def persist(self, client, key):
        if self.keys.get(key, (None, None))[1] is None:
            return 0
        self.put(key, self.keys[key][0])
        return 1

    def watch(self, client, *keys):
        if self.watches.get(client) != DIRTY:
            self.watches[client] = tuple(sorted({*self.watches.get(client, ()), *keys}))
        return b"OK"

    def unwatch(self, client):
        self.watches.pop(client, None)
        return b"OK"

    def exec(self, client, commands):
        if self.watches.pop(client, None) == DIRTY:
            return None
        return tuple(self.run(client, args) for args in commands)


setattr(Store, "del", Store.delete)


def apply(client, args, state):
    """(the reply, the new state, whether nobody else can tell the difference)"""
    store = Store(state)
    reply = store.run(client, args)
    return reply, store.state(), not store.touched and args[0] != "WATCH"


def dues(args):
    """The due times that a transaction gives: within it they may have passed already."""
    if args[0] != "EXEC":
        return []
    return [words[-1] for words in args[1] if isinstance(words[-1], int)]


def expired(state, more=()):
    """(when, the state when the clock has come to the next due time, of a key or of `more`);
    (FOREVER, None) when there is none."""
    due = min([due for _, _, due in state.values if due is not None] +
              [due for due in more if due > state.clock], default=None)
    if due is None:
        return FOREVER, None
    store = Store(state)
    store.advance(due)
    return due * MS - SLACK, store.state()


def successors(clients, positions, state):
    """The points that may come next, the likeliest last."""
    heads = [(i, ops[at]) for i, (ops, at) in enumerate(zip(clients, positions)) if at < len(ops)]
    horizon = min(op.end for _, op in heads)
    found = []
    when, after = expired(state, [due for _, op in heads for due in dues(op.args)])
    if when <= horizon:
        found.append((positions, after))
    for i, op in sorted(heads, key=lambda head: -head[1].end):
        if op.start > horizon:
            continue
        reply, after, quiet = apply(op.client, op.args, state)
        if op.reply not in (UNKNOWN, reply):
            continue
        point = positions[:i] + (positions[i] + 1,) + positions[i + 1:], after
        if quiet and op.reply != UNKNOWN:
            return [point]
        found.append(point)
    return found


def is_linearizable(history):
    """Whether there is an order, from an empty store on; raises GivenUp when the search grows too
    large."""
    queues = collections.defaultdict(list)
    for op in history:
        queues[op.client].append(op)
    clients = [queues[client] for client in sorted(queues)]
    needed = tuple(sum(op.reply != UNKNOWN for op in ops) for ops in clients)
    for ops in clients:     # a client whose connection was cut sends nothing afterwards
        known = [op.reply != UNKNOWN for op in ops]
        assert known == sorted(known, reverse=True)

    seen = set()
    stack = [(tuple(0 for _ in clients), EMPTY)]
    while stack:
        point = stack.pop()
        if point in seen:
            continue
        seen.add(point)
        if len(seen) > STATES_MAX:
            raise GivenUp("more than %d states" % STATES_MAX)
        positions, state = point
        if all(at >= need for at, need in zip(positions, needed)):
            return True
        stack += successors(clients, positions, state)
    return False


def culprit(history):
    """For a history that isn't linearizable: its shortest beginning, by time of reply, that isn't."""
    ordered = sorted(history, key=lambda op: op.end)
    low, high = 0, len(ordered)
    while high - low > 1:
        middle = (low + high) // 2
        cut = ordered[middle - 1].end
        # What had been sent by then may have happened already: without its reply.
        begun = [op if op.end <= cut else op._replace(end=FOREVER, reply=UNKNOWN)
                 for op in history if op.start <= cut]
        low, high = (middle, high) if is_linearizable(begun) else (low, middle)
    return ordered[:high]


def shown(what):
    """For people: long values are cut."""
    if isinstance(what, tuple):
        return "(" + ", ".join(map(shown, what)) + ")"
    if isinstance(what, bytes):
        return "%.14r" % what + (".." if len(repr(what)) > 14 else "")
    return what if isinstance(what, str) else repr(what)


def describe(history, last=25):
    """The end of a culprit history, as lines."""
    first = min(op.start for op in history)
    return "\n".join("    client %d  %8.3f..%8.3f ms  %-40s -> %s" % (
        op.client, (op.start - first) / MS, (op.end - first) / MS, shown(op.args), shown(op.reply))
        for op in history[-last:])
