"""More threads than cores, and everything at once: reads, writes, growth, expiry, FLUSHALL, SWAPDB,
commands over several shards, clients that come and go in the middle of a pipeline.

Nobody checks values here (test_linear.py and test_atomic.py do); what counts is that every reply is
one that may come, that nothing crashes, hangs or, under a sanitizer, is reported, that the counts
are right afterwards, and that the server ends cleanly. Bounded by operation counts.

    SEED=n repeats the choice of operations (not their timing)
"""

import os
import random
import time

import pytest

import generator
import workers
from resp import Client, Closed, Error, Status, TIMEOUT_S, encode

SEED = int(os.environ.get("SEED") or time.time_ns() % 10 ** 9)
SCALE = float(os.environ.get("SCALE", "1"))
NAMES = 400

pytestmark = [pytest.mark.stress, pytest.mark.sherd_only]

# Errors that are an answer; any other is a failure.
EXPECTED_ERRORS = (b"ERR no such key", b"ERR value is not an integer or out of range",
                   b"ERR increment or decrement would overflow",
                   b"ERR source and destination objects are the same")


def checked(replies):
    for reply in replies:
        if isinstance(reply, Error):
            assert reply.text in EXPECTED_ERRORS, reply
    return replies


def name(rng):
    return "key:%d" % rng.randrange(NAMES)


def read(client, rng, serial):
    checked(client.pipeline([["GET", name(rng)] for _ in range(20)] +
                            [["MGET"] + [name(rng) for _ in range(10)], ["RANDOMKEY"],
                             ["EXISTS", name(rng), name(rng)], ["STRLEN", name(rng)],
                             ["TTL", name(rng)], ["GETRANGE", name(rng), 0, 100]]))


def write(client, rng, serial):
    sizes = [0, 5, 50, 500, 5000, 70000]
    checked(client.pipeline([["SET", name(rng), "x" * rng.choice(sizes[:5])] for _ in range(10)] +
                            [["SET", name(rng), serial], ["INCR", name(rng)],
                             ["APPEND", name(rng), "tail"], ["DEL", name(rng)],
                             ["SETRANGE", name(rng), rng.randrange(3000), "middle"],
                             ["GETDEL", name(rng)], ["SETBIT", name(rng), rng.randrange(9000), 1],
                             ["SET", name(rng), "y" * rng.choice(sizes)], ["UNLINK", name(rng)]]))


def grow(client, rng, serial):
    """Fresh keys in bulk, spread over the slots and heaped in one."""
    checked(client.pipeline([["SET", "grow:%d:%d" % (serial, i), "v"] for i in range(100)] +
                            [["SET", "{heap}%d:%d" % (serial, i), "v"] for i in range(50)] +
                            [["DEL"] + ["grow:%d:%d" % (serial - 3, i) for i in range(100)]]))


def expire(client, rng, serial):
    checked(client.pipeline([["SET", name(rng), "v", "PX", rng.randrange(1, 20)]
                             for _ in range(10)] +
                            [["PEXPIRE", name(rng), rng.randrange(1, 30)] for _ in range(10)] +
                            [["GETEX", name(rng), "PX", 5], ["PERSIST", name(rng)],
                             ["PEXPIRE", name(rng), -1]]))


def flush(client, rng, serial):
    checked([client.command(*rng.choice([["FLUSHALL"], ["FLUSHDB"], ["FLUSHALL", "ASYNC"],
                                         ["SWAPDB", 0, 1], ["SWAPDB", 1, 2]]))])
    time.sleep(.005)


def several(client, rng, serial):
    pairs = [x for _ in range(6) for x in (name(rng), serial)]
    checked(client.pipeline([["MSET"] + pairs, ["RENAME", name(rng), name(rng)],
                             ["RENAMENX", name(rng), name(rng)], ["COPY", name(rng), name(rng)],
                             ["BITOP", "XOR", name(rng), name(rng), name(rng)],
                             ["MSETNX"] + pairs, ["DEL"] + pairs[::4],
                             ["MOVE", name(rng), rng.randrange(1, 3)],
                             ["COPY", name(rng), name(rng), "DB", 2, "REPLACE"]]))


def look_around(client, rng, serial):
    checked(client.pipeline(["DBSIZE", "KEYS key:1*", "INFO everything", "CLIENT LIST",
                             "SCAN %d COUNT 200" % rng.randrange(100), "SLOWLOG GET",
                             "CONFIG GET *", "MEMORY STATS", "DEBUG DIGEST", "LATENCY LATEST"]))
    generator.full_scan(client, "COUNT", "500")


def come_and_go(client, rng, serial):
    """Leaves in the middle: of a command, of a pipeline, of the replies."""
    with Client(client.address) as other:
        data = b"".join(encode(rng.choice([["SET", name(rng), serial], ["GET", name(rng)],
                                           ["MSET", name(rng), 1, name(rng), 2],
                                           ["DEL", name(rng), name(rng), name(rng)],
                                           ["RENAME", name(rng), name(rng)]]))
                        for _ in range(rng.randrange(1, 60)))
        other.send(encode(["PING"]) + (data[:rng.randrange(len(data))] if rng.random() < .5 else data))
        if rng.random() < .5:
            other.receive()


def kill_others(client, rng, serial):
    """Connections of other tests' kind die from outside while their commands are under way."""
    with Client(client.address) as victim:
        number = victim.command("CLIENT", "ID")
        victim.send(b"".join(encode(["INCR", "killed:%d" % i]) for i in range(200)))
        assert client.command("CLIENT", "KILL", "ID", number) == 1


ROLES = {        # role: (how many clients, rounds for each)
    read: (2, 500), write: (2, 500), grow: (1, 200), expire: (1, 400), flush: (1, 60),
    several: (2, 300), look_around: (1, 25), come_and_go: (1, 250), kill_others: (1, 60),
}


def play(number, address, role, rounds):
    rng = random.Random("%d %d" % (SEED, number))
    with Client(address) as client:
        client.address = address
        for serial in range(rounds):
            try:
                role(client, rng, serial)
            except (Closed, BrokenPipeError, ConnectionResetError):
                # A visitor that was cut off; a client of ours must not be.
                assert role is come_and_go or role is kill_others
                assert client.command("PING") == Status("PONG")


def settled(client):
    """Waits until what expired has been swept: the numbers of keys by DBSIZE and by a full SCAN."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        sizes = []
        for database in range(3):
            client.command("SELECT", database)
            found = generator.full_scan(client, "COUNT", "1000")
            assert len(found) == len(set(found)), "SCAN repeats keys in a quiet server"
            sizes.append((client.command("DBSIZE"), len(found), len(client.command("KEYS", "*"))))
        if all(one == two == three for one, two, three in sizes):
            return sizes
        if time.monotonic() > deadline:
            raise AssertionError("(DBSIZE, SCAN, KEYS) of each database: %s" % sizes)


@pytest.mark.parametrize("round_", range(2))
def test_everything_at_once(kind, start, round_):
    server = start(kind)
    # A fork of this process owns no connection of ours.
    workers.run([(play, (server.path, role, int(rounds * SCALE)))
                 for role, (number, rounds) in ROLES.items() for _ in range(number)])
    with server.connect() as client:
        assert client("PING") == Status("PONG")
        settled(client)
        client("FLUSHALL")
        assert settled(client) == [(0, 0, 0)] * 3
        client.send(encode(["SHUTDOWN", "NOSAVE"]))
        assert client.read_until_closed() == b""
    assert server.wait_exit() == 0, server.log_tail()


def idle_connections(number, address, count):
    """Connects, says something, and leaves, many times."""
    for i in range(count):
        with Client(address) as client:
            if i % 3:
                assert client.command("SET", "k%d" % number, i) == Status("OK")


def test_connections_come_and_go(server):
    workers.run([(idle_connections, (server.path, int(400 * SCALE)))] * 4)
    deadline = time.monotonic() + TIMEOUT_S
    while int(server.info("clients")["connected_clients"]) > 2:
        assert time.monotonic() < deadline, "connections of clients that have left remain"


def test_growth_under_readers(server):
    """One slot's table and all slots' tables grow from nothing to many blocks while others read
    every key that is acknowledged: none may be missing for a moment."""
    workers.run([(grow_and_tell, (server.path, int(4000 * SCALE), "%s"))] +
                [(grow_and_tell, (server.path, int(4000 * SCALE), "{t}%s"))] +
                [(never_missing, (server.path, int(4000 * SCALE), pattern))
                 for pattern in ("%s", "{t}%s")] * 2)


def grow_and_tell(number, address, count, pattern):
    with Client(address) as client:
        for at in range(0, count, 10):
            client.pipeline([["SET", pattern % ("key%d" % i), i] for i in range(at, at + 10)])
            # Only now: in one pipeline with them it might take effect before them, elsewhere.
            client.command("SET", "done:" + pattern % "", at + 10)
        client.command("SET", "done:" + pattern % "", count)


def never_missing(number, address, count, pattern):
    rng = random.Random(number)
    with Client(address) as client:
        done = 0
        while done < count:
            done = int(client.command("GET", "done:" + pattern % "") or 0)
            if done:
                wanted = [rng.randrange(done) for _ in range(20)]
                replies = client.pipeline([["GET", pattern % ("key%d" % i)] for i in wanted])
                assert replies == [b"%d" % i for i in wanted]
