"""Concurrent clients that read and write several keys at once, by MSET, MGET, RENAME, transactions
and watched transactions, while keys expire and the tables around them grow: what they saw must fit
some order of single moments.

    SEED=n repeats the choice of operations (not their timing)
    SCALE=n makes it n times as long; SECONDS=n goes on for so long, for each layout of keys
"""

import os
import random
import time

import pytest

import workers
from linear import (EMPTY, FOREVER, MS, SLACK, UNKNOWN, GivenUp, Op, apply, culprit, describe,
                    expired, is_linearizable)
from resp import Client, Error, Nil, Status, encode

SEED = int(os.environ.get("SEED") or time.time_ns() % 10 ** 9)
SCALE = float(os.environ.get("SCALE", "1"))
SECONDS = float(os.environ.get("SECONDS", "0"))
CLIENTS = 5
OPERATIONS = 200            # of each, in a round
PADDING = 100               # keys between two
LARGE = "{own%d}large"
LARGE_BYTES = 2_000_000     # counting their bits takes longer than most commands
UNIX_NS = time.time_ns() - time.monotonic_ns()      # once: the wall clock may be set

# With hash tags: what is {tag}anything shares the slot.
LAYOUTS = {
    "one slot": ["{t}1", "{t}2", "{t}3", "{t}4"],
    "many shards": ["{a}", "{b}", "{c}", "{d}"],
    "both": ["{t}1", "{t}2", "{a}1", "{a}2", "{b}"],
}


def now():
    return time.monotonic_ns() + UNIX_NS


# The checker itself

def op(client, text, start, end, reply):
    """`text` is the command's words; a transaction's commands are separated by commas."""
    commands = tuple(tuple(words(command)) for command in text.split(","))
    args = ("EXEC", commands) if "," in text else commands[0]
    return Op(client, args, start, end, reply)


def words(command):
    name, *rest = command.split()
    first_value = {"SET": 1, "MSET": 1}.get(name, len(rest))
    stride = 2 if name == "MSET" else len(rest) or 1
    return [name] + [int(word) if word.isdigit() and (name == "PEXPIREAT" or i == 3) else
                     word.encode() if i >= first_value and i % stride == first_value % stride else
                     word for i, word in enumerate(rest)]


def watched(client, start, end, reply, key="a"):
    """WATCH, and later EXEC of SET b."""
    return [op(client, "WATCH " + key, start, start + 1, b"OK"),
            Op(client, ("EXEC", (("SET", "b", b"won"),)), end - 1, end, reply)]


def spaced(*operations):
    """Operations one after the other, so far apart that they can't be mistaken about the clock."""
    return [Op(client, operation.args, 10 ** 12 + at * MS, 10 ** 12 + at * MS + 1, operation.reply)
            for at, client, operation in operations]


WON = (b"OK",)
DUE = 10 ** 6 + 500         # in ms, of spaced(): at 500


def told(text, reply):
    return op(0, text, 0, 0, reply)


SET_DUE = Op(0, ("SET", "a", b"x", "PXAT", DUE), 0, 0, b"OK")
SET_DUE_TOO = Op(0, ("SET", "b", b"x", "PXAT", DUE), 0, 0, b"OK")

GOOD = {
    "an MSET is seen": [op(0, "MSET a x b y", 0, 9, b"OK"), op(1, "MGET a b", 1, 2, (None, None)),
                        op(1, "MGET a b", 3, 4, (b"x", b"y"))],
    "a rename": [op(0, "SET a x", 0, 1, b"OK"), op(0, "RENAME a b", 2, 3, b"OK"),
                 op(1, "MGET a b", 4, 5, (None, b"x")), op(1, "RENAME a b", 6, 7, ValueError)],
    "a transaction": [op(0, "INCR a,INCR b,MGET a b", 0, 9, (1, 1, (b"1", b"1"))),
                      op(1, "EXISTS a b", 1, 2, 2)],
    "a watched key stays": watched(0, 0, 9, WON) + [op(1, "SET b x", 3, 4, b"OK")],
    "a watched key changes": watched(0, 0, 9, None) + [op(1, "SET a x", 3, 4, b"OK")],
    "a watched key changes, perhaps before": [op(1, "SET a x", 0, 2, b"OK")] +
                                             watched(0, 0, 9, WON),
    "deleting nothing is no change": watched(0, 0, 9, WON) + [op(1, "DEL a", 3, 4, 0)],
    "one's own change": [op(0, "WATCH a", 0, 1, b"OK"), op(0, "SET a x", 2, 3, b"OK")] +
                        watched(0, 4, 9, None, "b"),
    "unwatched": [op(0, "WATCH a", 0, 1, b"OK"), op(0, "SET a x", 2, 3, b"OK"),
                  op(0, "UNWATCH", 3, 4, b"OK")] + watched(0, 5, 9, WON, "b"),
    "expires": spaced((0, 0, SET_DUE), (480, 1, told("GET a", b"x")),
                      (600, 1, told("GET a", None))),
    "expires late": spaced((0, 0, SET_DUE), (900, 1, told("GET a", b"x"))),
    "a transaction sets what is due": spaced(
        (0, 0, told("SET a x", b"OK")),
        (600, 0, Op(0, ("EXEC", (("PEXPIREAT", "a", DUE), ("GET", "a"))), 0, 0, (1, None)))),
    "a watched key expires": spaced((0, 0, SET_DUE), (1, 0, told("WATCH a", b"OK")),
                                    (900, 0, Op(0, ("EXEC", (("GET", "b"),)), 0, 0, None))),
}

BAD = {
    "half an MSET": [op(0, "MSET a x b y", 0, 9, b"OK"), op(1, "MGET a b", 1, 2, (b"x", None))],
    "an MSET in two steps": [op(0, "MSET a x b y", 0, 9, b"OK"), op(1, "GET a", 1, 2, b"x"),
                             op(1, "GET b", 3, 4, None)],
    "both names": [op(0, "SET a x", 0, 1, b"OK"), op(0, "RENAME a b", 2, 9, b"OK"),
                   op(1, "MGET a b", 3, 4, (b"x", b"x"))],
    "neither name": [op(0, "SET a x", 0, 1, b"OK"), op(0, "RENAME a b", 2, 9, b"OK"),
                     op(1, "EXISTS a b", 3, 4, 0)],
    "readers disagree about two keys": [
        op(0, "SET a x", 0, 9, b"OK"), op(1, "SET b y", 0, 9, b"OK"),
        op(2, "MGET a b", 1, 2, (b"x", None)), op(3, "MGET a b", 1, 2, (None, b"y"))],
    "half a transaction": [op(0, "INCR a,INCR b", 0, 9, (1, 1)),
                           op(1, "MGET b a", 1, 2, (b"1", None))],
    "somebody in a transaction": [op(0, "INCR a,INCR a", 0, 9, (1, 3)), op(1, "INCR a", 0, 9, 2)],
    "a watched change is missed": watched(0, 0, 9, WON) + [op(1, "SET a x", 3, 4, b"OK")],
    "a watched change to the same": [op(1, "SET a x", 0, 1, b"OK")] + watched(0, 2, 9, WON) +
                                    [op(1, "SET a x", 4, 5, b"OK")],
    "nothing watched has changed": watched(0, 0, 9, None) + [op(1, "SET b x", 3, 4, b"OK")],
    "both won": watched(0, 0, 9, WON, "b") + watched(1, 0, 9, WON, "b"),
    "vanishes early": spaced((0, 0, SET_DUE), (400, 1, told("GET a", None))),
    "comes back": spaced((0, 0, SET_DUE), (600, 1, told("GET a", None)),
                         (700, 1, told("GET a", b"x"))),
    "one clock for two keys": spaced((0, 0, SET_DUE), (1, 0, SET_DUE_TOO),
                                     (600, 1, told("GET a", None)), (700, 1, told("GET b", b"x"))),
    "kept by PERSIST": spaced((0, 0, SET_DUE), (1, 0, told("PERSIST a", 1)),
                              (900, 1, told("GET a", None))),
    "a watched key has expired": spaced((0, 0, SET_DUE), (1, 0, told("WATCH a", b"OK")),
                                        (900, 1, told("GET a", None)),
                                        (950, 0, Op(0, ("EXEC", (("GET", "b"),)), 0, 0, (None,)))),
}


@pytest.mark.parametrize("history", GOOD.values(), ids=GOOD)
def test_checker_accepts(history):
    assert is_linearizable(history)


@pytest.mark.parametrize("history", BAD.values(), ids=BAD)
def test_checker_refutes(history):
    assert not is_linearizable(history)
    assert culprit(history)


def simulated(rng, keys, clients, length):
    """A history that is linearizable by construction: each operation takes effect at a moment of
    its own between its two times, and keys expire in time."""
    pending = []
    for client in range(clients):
        at = 10 ** 12 + rng.randrange(MS)
        moves = iter(())
        for _ in range(length):
            args = next(moves, None)
            if args is None:
                moves = iter([args for step in random_move(rng, keys, client, lambda: at)
                              for args in step])
                args = next(moves)
            start, moment, end = sorted(at + rng.randrange(5 * MS) for _ in range(3))
            pending.append((moment, Op(client, args, start, end, None)))
            at = end
    state, history = EMPTY, []
    for moment, one in sorted(pending, key=lambda x: x[0]):
        while expired(state)[0] + SLACK <= moment:
            state = expired(state)[1]
        reply, state, _ = apply(one.client, one.args, state)
        history.append(one._replace(reply=reply))
    return history


def test_checker_on_simulated_histories():
    """Accepts what is right by construction; refutes it when an MGET has seen something else."""
    for seed in range(20):
        rng = random.Random(seed)
        history = simulated(rng, ["a", "b", "c"], clients=5, length=50)
        assert is_linearizable(history), seed
        reads = [i for i, x in enumerate(history) if x.args[0] == "MGET"]
        spoilt = rng.choice(reads)
        reply = history[spoilt].reply
        history[spoilt] = history[spoilt]._replace(reply=reply[:-1] + (b"never",))
        assert not is_linearizable(history), seed


# The server

class Values:
    serial = 0


def value(rng, client):
    """Numbers that nobody else writes: who has read one knows which write it saw."""
    Values.serial += 1
    return b"%d" % (client * 10 ** 9 + Values.serial * 1000) + (
        b"" if rng.random() < .7 else b" " + b"x" * rng.randrange(200))


def some(rng, keys):
    return rng.sample(keys, rng.randrange(2, len(keys) + 1))


def due(rng, clock):
    return clock() // MS + rng.randrange(30)


def random_command(rng, keys, client, clock):
    name = rng.choices(["MGET", "GET", "EXISTS", "SET", "MSET", "INCR", "DEL", "RENAME", "SETDUE",
                        "PEXPIREAT", "PERSIST"], [30, 12, 5, 12, 10, 9, 6, 8, 4, 3, 1])[0]
    key = rng.choice(keys)
    if name in ("MGET", "EXISTS"):
        return (name, *some(rng, keys))
    if name == "SET":
        return name, key, value(rng, client)
    if name == "MSET":
        one = value(rng, client)
        return (name, *[word for key in some(rng, keys) for word in (key, one)])
    if name == "DEL":
        return (name, *rng.sample(keys, rng.randrange(1, 3)))
    if name == "RENAME":
        return name, key, rng.choice(keys)
    if name == "SETDUE":
        return "SET", key, value(rng, client), "PXAT", due(rng, clock)
    if name == "PEXPIREAT":
        return name, key, due(rng, clock)
    return name, key


def random_transaction(rng, keys, client, clock):
    if rng.random() < .3:           # the same to all, by single commands
        one = value(rng, client)
        return "EXEC", tuple(("SET", key, one) for key in some(rng, keys))
    if rng.random() < .3:           # reads only
        return "EXEC", tuple(("GET", key) for key in some(rng, keys))
    return "EXEC", tuple(random_command(rng, keys, client, clock)
                         for _ in range(rng.randrange(1, 6)))


def random_move(rng, keys, client, clock):
    """What a client does next: steps, each of them commands that it sends in one write."""
    chance = rng.random()
    if chance < .5:
        return [[random_command(rng, keys, client, clock) for _ in range(rng.choice([1, 1, 2, 4]))]]
    if chance < .75:
        return [[random_transaction(rng, keys, client, clock)]]
    watch = [("WATCH", *rng.sample(keys, rng.randrange(1, 4))), ("MGET", *some(rng, keys))]
    ending = [("UNWATCH",)] if chance > .98 else [random_transaction(rng, keys, client, clock)]
    return [watch + ending] if rng.random() < .3 else [watch, ending]


def padded(keys, number):
    """Something of one's own between every two of these."""
    result = keys[:1]
    for i, key in enumerate(keys[1:]):
        result += ["{own%d}%d:%d" % (number, i, j) for j in range(PADDING)] + [key]
    return result


def requests(number, args, wide):
    """What is sent for an operation; its reply is that to the last one. A wide operation takes its
    time between one key and the next: that's when others should come."""
    name, *rest = args
    if name == "EXEC":
        between = [("BITCOUNT", LARGE % number)] * wide
        return [("MULTI",), *[x for command in rest[0] for x in between + [command]], ("EXEC",)]
    if wide and name in ("MGET", "EXISTS", "DEL"):
        return [(name, *padded(rest, number))]
    if wide and name == "MSET":
        return [(name, *[x for key in padded(rest[::2], number) for x in (
            key.replace("own", "set"), rest[1])])]
    return [args]


def narrowed(args, wide, reply):
    """Without what came for the padding."""
    if wide and isinstance(reply, tuple):
        if args[0] == "EXEC":
            return reply[1::2]
        if args[0] == "MGET":
            return reply[::PADDING + 1]
    return reply


def plain(reply):
    """As linear.Store writes it."""
    if isinstance(reply, list):
        return tuple(map(plain, reply))
    if isinstance(reply, Nil):
        return None
    if isinstance(reply, Status):
        return reply.text
    return ValueError if isinstance(reply, Error) else reply


def send(client, number, step, wide):
    client.send(b"".join(encode(words) for args in step for words in requests(number, args, wide)))


def perform(client, number, step, wide):
    """Sends a step in one write and reads its replies."""
    start = now()
    send(client, number, step, wide)
    done = []
    for args in step:
        for queued in requests(number, args, wide)[:-1]:
            reply = client.read()
            assert reply == Status("OK" if queued == ("MULTI",) else "QUEUED"), (queued, reply)
        reply = narrowed(args, wide, plain(client.read()))
        done.append(Op(number, args, start, now(), reply))
    return done


def play(number, address, seed, keys, count, cut):
    """One client's operations. With `cut` it leaves in the middle of the last step."""
    rng = random.Random("%s %d" % (seed, number))
    history = []
    with Client(address) as client:
        while len(history) < count:
            for step in random_move(rng, keys, number, now):
                history += perform(client, number, step, rng.random() < .5)
        if cut:
            step = random_move(rng, keys, number, now)[0]
            start = now()
            send(client, number, step, False)
            history += [Op(number, args, start, FOREVER, UNKNOWN) for args in step]
    return history


def surround(number, address, seed, keys, count):
    """Makes the tables around the keys grow, with keys that stay and keys that expire."""
    rng = random.Random("%s %d" % (seed, number))
    tags = sorted({key[:key.index("}") + 1] for key in keys})
    with Client(address) as client:
        for i in range(count):
            names = ["%sgrow:%s:%d:%d" % (rng.choice(tags), seed, i, j) for j in range(12)]
            client.pipeline([["SET", name, "v" * rng.randrange(30)] for name in names[:6]] +
                            [["SET", name, "v", "PX", rng.randrange(1, 30)] for name in names[6:]] +
                            [["MGET"] + names, ["DEL"] + names[:3]])
    return []


def check(server, seed, history):
    try:
        fine = is_linearizable(history)
    except GivenUp as e:
        pytest.fail("seed %s: %s" % (seed, e))
    if not fine:
        pytest.fail("seed %s: on %s this history isn't linearizable; its last operations by time "
                    "of reply:\n%s" % (seed, server.name, describe(culprit(history))), pytrace=False)


def play_round(server, layout, seed):
    keys = LAYOUTS[layout]
    with server.connect_unix() as client:
        client("FLUSHALL")
        for number in range(CLIENTS):
            client.command("SET", LARGE % number, "x" * LARGE_BYTES)
    jobs = [(play, (server.path, seed, keys, OPERATIONS, number == 4))
            for number in range(CLIENTS)]
    parts = workers.run(jobs + [(surround, (server.path, seed, keys, OPERATIONS // 5))])
    check(server, seed, [x for part in parts for x in part])


@pytest.mark.stress
@pytest.mark.parametrize("layout", LAYOUTS)
def test_histories_of_several_keys_are_linearizable(server, layout):
    deadline = time.monotonic() + SECONDS
    number = 0
    while number < max(1, 2 * SCALE) or time.monotonic() < deadline:
        play_round(server, layout, "%d %s %d" % (SEED, layout, number))
        number += 1
