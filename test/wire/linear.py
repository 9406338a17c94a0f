"""Is a recorded history of concurrent operations on one key linearizable?

A history is a list of `Op`: who did what, when it was sent, when its reply came and what the reply
was. It is linearizable when each operation can be given one moment between its two times such that
the key, touched at those moments one after the other, gives just these replies. Keys are
independent: each key's history is judged alone.

The search is Wing and Gong's with memory of where it has been: a state is how many operations of
each client have happened and what the key then holds. An operation may come next when no other
operation that hasn't happened yet ended before it began. The operations of a client on a key happen
in the order in which it sent them, pipelined ones too. An operation without a reply (the connection
was closed) may have happened at any time after it was sent, or never.
"""

import collections
import re

UNKNOWN = "unknown"         # in place of a reply that never came: no reply is a str
FOREVER = float("inf")
INTEGER = re.compile(rb"0|-?[1-9]\d*")
INCREMENTABLE = range(-2 ** 63, 2 ** 63 - 1)
STATES_MAX = 3_000_000      # a search beyond this is given up loudly

Op = collections.namedtuple("Op", "client name argument start end reply")


class GivenUp(Exception):
    pass


def apply(name, argument, state):
    """(the reply, the new state) of one operation; a state is bytes, or None for no such key.
    Replies are ints, bytes or None as they stand on the wire, b"OK" for OK, and ValueError for
    an error."""
    if name == "GET":
        return state, state
    if name == "SET":
        return b"OK", argument
    if name == "GETSET":
        return state, argument
    if name == "SETNX":
        return (0, state) if state is not None else (1, argument)
    if name == "DEL":
        return int(state is not None), None
    if name == "APPEND":
        joined = (state or b"") + argument
        return len(joined), joined
    if name == "INCR":
        if not INTEGER.fullmatch(state or b"0") or int(state or b"0") not in INCREMENTABLE:
            return ValueError, state
        number = int(state or b"0") + 1
        return number, b"%d" % number
    raise AssertionError(name)


def is_linearizable(history, initial=None):
    """Whether there is an order; raises GivenUp when the search grows too large."""
    queues = collections.defaultdict(list)
    for op in history:
        queues[op.client].append(op)
    clients = [queues[client] for client in sorted(queues)]
    needed = tuple(sum(op.reply != UNKNOWN for op in ops) for ops in clients)
    for ops in clients:     # a client whose connection was cut sends nothing afterwards
        known = [op.reply != UNKNOWN for op in ops]
        assert known == sorted(known, reverse=True)

    seen = set()
    stack = [(tuple(0 for _ in clients), initial)]
    while stack:
        positions, state = stack.pop()
        if (positions, state) in seen:
            continue
        seen.add((positions, state))
        if len(seen) > STATES_MAX:
            raise GivenUp("more than %d states" % STATES_MAX)
        if all(at >= need for at, need in zip(positions, needed)):
            return True
        heads = [(i, ops[at]) for i, (ops, at) in enumerate(zip(clients, positions))
                 if at < len(ops)]
        horizon = min(op.end for _, op in heads)
        for i, op in heads:
            if op.start > horizon:
                continue
            reply, after = apply(op.name, op.argument, state)
            if op.reply == UNKNOWN or op.reply == reply:
                stack.append((positions[:i] + (positions[i] + 1,) + positions[i + 1:], after))
    return False


def culprit(history, initial=None):
    """For a history that isn't linearizable: the shortest beginning, by time of reply, that isn't."""
    ordered = sorted(history, key=lambda op: op.end)
    low, high = 0, len(ordered)
    while high - low > 1:
        middle = (low + high) // 2
        cut = ordered[middle - 1].end
        # What had been sent by then may have happened already: without its reply.
        begun = [op if op.end <= cut else op._replace(end=FOREVER, reply=UNKNOWN)
                 for op in history if op.start <= cut]
        low, high = (middle, high) if is_linearizable(begun, initial) else (low, middle)
    return ordered[:high]


def describe(history, last=25):
    """The end of a culprit history, as lines."""
    first = min(op.start for op in history)
    return "\n".join("    client %d  %8.3f..%8.3f ms  %-6s %-20.60r -> %.60r" % (
        op.client, (op.start - first) / 1e6, (op.end - first) / 1e6, op.name, op.argument, op.reply)
        for op in history[-last:])
