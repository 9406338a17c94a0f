"""Concurrent clients on few keys: what they saw must fit some order of single moments.

    SEED=n repeats the choice of operations (not their timing)
"""

import os
import random
import time

import pytest

import workers
from linear import EMPTY, FOREVER, Op, UNKNOWN, GivenUp, apply, culprit, describe, is_linearizable
from resp import Client, Error, Nil, Status, encode

SEED = int(os.environ.get("SEED") or time.time_ns() % 10 ** 9)
SCALE = float(os.environ.get("SCALE", "1"))
KEYS = ["a", "b", "c", "{t}1", "{t}2"]      # in several shards; the last two in one slot


# The checker itself

def op(client, name, argument, start, end, reply):
    """All on one key; without an argument: None."""
    return Op(client, (name, "k") + ((argument,) if argument is not None else ()), start, end,
              reply)


GOOD = {
    "nothing": [],
    "one after the other": [op(0, "SET", b"x", 0, 1, b"OK"), op(1, "GET", None, 2, 3, b"x")],
    "a read beside a write sees the old": [op(0, "SET", b"x", 0, 9, b"OK"),
                                           op(1, "GET", None, 2, 3, None)],
    "a read beside a write sees the new": [op(0, "SET", b"x", 0, 9, b"OK"),
                                           op(1, "GET", None, 2, 3, b"x")],
    "two writes at once, read in either order": [
        op(0, "SET", b"x", 0, 9, b"OK"), op(1, "SET", b"y", 0, 9, b"OK"),
        op(2, "GET", None, 10, 11, b"x"), op(2, "GET", None, 12, 13, b"x")],
    "increments at once": [op(i, "INCR", None, 0, 9, 3 - i) for i in range(3)],
    "pipelined": [op(0, "SET", b"x", 0, 5, b"OK"), op(0, "GET", None, 0, 6, b"x")],
    "an unanswered write happened": [op(0, "SET", b"x", 0, FOREVER, UNKNOWN),
                                     op(1, "GET", None, 5, 6, b"x")],
    "an unanswered write never happened": [op(0, "SET", b"x", 0, FOREVER, UNKNOWN),
                                           op(1, "GET", None, 5, 6, None)],
    "an unanswered write happened late": [op(0, "SET", b"x", 0, FOREVER, UNKNOWN),
                                          op(1, "GET", None, 5, 6, None),
                                          op(1, "GET", None, 7, 8, b"x")],
    "incr of no number": [op(0, "SET", b"x", 0, 1, b"OK"), op(0, "INCR", None, 2, 3, ValueError)],
}

BAD = {
    "a stale read": [op(0, "SET", b"x", 0, 1, b"OK"), op(1, "GET", None, 2, 3, None)],
    "a value that nobody wrote": [op(0, "SET", b"x", 0, 9, b"OK"), op(1, "GET", None, 2, 3, b"z")],
    "two increments, one result": [op(0, "INCR", None, 0, 9, 1), op(1, "INCR", None, 0, 9, 1)],
    "a lost increment": [op(0, "INCR", None, 0, 9, 1), op(1, "INCR", None, 0, 9, 2),
                         op(0, "GET", None, 10, 11, b"1")],
    "reads go back in time": [op(0, "SET", b"x", 0, 99, b"OK"), op(1, "GET", None, 2, 3, b"x"),
                              op(1, "GET", None, 4, 5, None)],
    "readers disagree about the order": [
        op(0, "SET", b"x", 0, 99, b"OK"), op(1, "SET", b"y", 0, 99, b"OK"),
        op(2, "GET", None, 1, 2, b"x"), op(2, "GET", None, 3, 4, b"y"),
        op(3, "GET", None, 1, 2, b"y"), op(3, "GET", None, 3, 4, b"x")],
    "own pipelined write not seen": [op(0, "SET", b"x", 0, 5, b"OK"), op(0, "GET", None, 0, 6, None)],
    "both set if absent": [op(0, "SETNX", b"x", 0, 9, 1), op(1, "SETNX", b"y", 0, 9, 1)],
    "deleted twice": [op(0, "SET", b"x", 0, 1, b"OK"), op(0, "DEL", None, 2, 9, 1),
                      op(1, "DEL", None, 2, 9, 1)],
    "a lost append": [op(0, "APPEND", b"a", 0, 9, 1), op(1, "APPEND", b"b", 0, 9, 1)],
    "an unanswered write comes and goes": [op(0, "SET", b"x", 0, FOREVER, UNKNOWN),
                                           op(1, "GET", None, 5, 6, b"x"),
                                           op(1, "GET", None, 7, 8, None)],
}


@pytest.mark.parametrize("history", GOOD.values(), ids=GOOD)
def test_checker_accepts(history):
    assert is_linearizable(history)


@pytest.mark.parametrize("history", BAD.values(), ids=BAD)
def test_checker_refutes(history):
    assert not is_linearizable(history)
    assert culprit(history)


def simulated(rng, clients, length):
    """A history that is linearizable by construction: each operation takes effect at a moment of
    its own between its two times."""
    moments = []
    for client in range(clients):
        now = rng.random()
        for _ in range(length):
            start, moment, end = sorted(now + rng.random() * 5 for _ in range(3))
            name, argument = random_operation(rng)
            moments.append((moment, client, name, argument, start, end))
            now = end
    state, history = EMPTY, []
    for moment, client, name, argument, start, end in sorted(moments, key=lambda x: x[0]):
        one = op(client, name, argument, start, end, None)
        reply, state, _ = apply(client, one.args, state)
        history.append(one._replace(reply=reply))
    return history


def test_checker_on_simulated_histories():
    """Accepts what is right by construction, and refutes it after a read is replaced by a value
    that was never there."""
    for seed in range(30):
        rng = random.Random(seed)
        history = simulated(rng, clients=6, length=40)
        assert is_linearizable(history), seed
        reads = [i for i, x in enumerate(history) if x.args[0] == "GET"]
        spoilt = rng.choice(reads)
        history[spoilt] = history[spoilt]._replace(reply=b"never")
        assert not is_linearizable(history), seed
        assert culprit(history)[-1].reply == b"never", seed


# The server

def random_operation(rng):
    name = rng.choices(["GET", "SET", "INCR", "DEL", "APPEND", "GETSET", "SETNX"],
                       [40, 15, 15, 8, 8, 8, 8])[0]
    argument = None
    if name in ("SET", "GETSET", "SETNX"):
        argument = b"%d" % rng.randrange(10 ** 6) if rng.random() < .6 else rng.randbytes(6)
    elif name == "APPEND":
        argument = b"%d" % rng.randrange(10)
    return name, argument


def plain(reply):
    """As linear.apply() writes it."""
    if isinstance(reply, Nil):
        return None
    if isinstance(reply, Status):
        return reply.text
    if isinstance(reply, Error):
        return ValueError
    return reply


def play(number, address, seed, count, depth, cut):
    """One client: random operations in pipelines of up to `depth`, recorded as (key, Op). With
    `cut` it closes its connection at the end without reading the last replies."""
    rng = random.Random("%s %d" % (seed, number))
    recorded = []
    with Client(address) as client:
        done = 0
        while done < count:
            batch = [(rng.choice(KEYS),) + random_operation(rng)
                     for _ in range(rng.randrange(1, depth + 1))]
            data = b"".join(encode([name, key] + ([argument] if argument is not None else []))
                            for key, name, argument in batch)
            start = time.monotonic_ns()
            client.send(data)
            done += len(batch)
            if cut and done >= count:
                recorded += [(key, op(number, name, argument, start, FOREVER, UNKNOWN))
                             for key, name, argument in batch]
                break
            for key, name, argument in batch:
                reply = plain(client.read())
                recorded.append((key, op(number, name, argument, start, time.monotonic_ns(),
                                         reply)))
    return recorded


def check(server, recorded):
    for key in KEYS:
        history = [x for name, x in recorded if name == key]
        try:
            fine = is_linearizable(history)
        except GivenUp as e:
            pytest.fail("seed %d, key %s: %s" % (SEED, key, e))
        if not fine:
            pytest.fail("seed %d: on %s the history of %s isn't linearizable; its last operations "
                        "by time of reply:\n%s" % (SEED, server.name, key,
                                                   describe(culprit(history))), pytrace=False)


@pytest.mark.stress
@pytest.mark.parametrize("depth", [1, 8], ids=["one by one", "pipelined"])
@pytest.mark.parametrize("round_", range(3))
def test_histories_are_linearizable(server, depth, round_):
    count = int(400 * SCALE)
    jobs = [(play, (server.path, "%d %d" % (SEED, round_), count, depth, number % 3 == 2))
            for number in range(6)]
    check(server, [x for part in workers.run(jobs) for x in part])


def count_up(number, address, count):
    with Client(address) as client:
        for i in range(count):
            assert client.command("INCR", "counter") == i + 1


def watch(number, address, count, commands):
    """Reads until the counter has reached its end: what is seen never gets smaller."""
    seen = 0
    with Client(address) as client:
        while seen < count:
            for reply in client.pipeline(commands):
                value = int((reply[0] if isinstance(reply, list) else reply) or 0)
                assert value >= seen, "saw %d after %d" % (value, seen)
                seen = value


@pytest.mark.stress
def test_reads_never_go_back_in_time(server):
    count = int(3000 * SCALE)
    get, mget = ["GET", "counter"], ["MGET", "counter", "other", "third"]
    workers.run([(count_up, (server.path, count)), (watch, (server.path, count, [get])),
                 (watch, (server.path, count, [get] * 20)), (watch, (server.path, count, [mget])),
                 (watch, (server.path, count, [get, mget, get, mget]))])


def read_own_writes(number, address, seed, count):
    """Keys of its own beside keys that all write: each pipelined read sees the write before it."""
    rng = random.Random("%s %d" % (seed, number))
    with Client(address) as client:
        for serial in range(count):
            keys = ["own:%d:%d" % (number, rng.randrange(50)) for _ in range(rng.randrange(1, 12))]
            commands, expected = [], []
            for i, key in enumerate(keys):
                value = b"%d:%d" % (serial, i)
                commands += [["SET", key, value], ["SET", "common:%d" % rng.randrange(9), value],
                             ["GET", key], ["STRLEN", key], ["MGET", key, key],
                             ["APPEND", key, "+"], ["GET", key], ["DEL", key], ["EXISTS", key]]
                expected += [Status("OK"), Status("OK"), value, len(value), [value, value],
                             len(value) + 1, value + b"+", 1, 0]
            got = client.pipeline(commands)
            for command, wanted, reply in zip(commands, expected, got):
                assert reply == wanted, (command, wanted, reply)


@pytest.mark.stress
def test_everybody_reads_their_own_writes(server):
    workers.run([(read_own_writes, (server.path, SEED, int(60 * SCALE)))] * 5)


def order_of_one_slot(number, address, count):
    """A producer writes x, then y, of one slot; who sees y must see x of the same round."""
    with Client(address) as client:
        for i in range(count):
            if number == 0:
                client.pipeline([["SET", "{s}x", i], ["SET", "{s}y", i]])
            else:
                y, x = client.pipeline([["GET", "{s}y"], ["GET", "{s}x"]])
                assert int(x or 0) >= int(y or 0), (x, y)


@pytest.mark.stress
def test_writes_to_one_slot_take_effect_in_the_order_sent(server):
    workers.run([(order_of_one_slot, (server.path, int(2000 * SCALE)))] * 4)
