"""Connections that go away in the middle of a transaction, killed or by themselves, and a server that stops
in the middle of many: nothing stays held or watched, and every key can be written.

There is no seed: the operations are fixed, only the timing is random.
"""

import os
import random
import signal

import pytest

import workers
from resp import Client, Closed, Status, encode
from waiting import until

SCALE = float(os.environ.get("SCALE", "1"))
ROUNDS = int(150 * SCALE)
KEYS = ["k%d" % i for i in range(12)]

pytestmark = pytest.mark.stress

# Blocks that hold few or all slots, ask other workers in the middle, and end in every way.
BLOCKS = (
    [["WATCH"] + KEYS[:5], ["MULTI"], ["INCR", "k1"], ["CLIENT", "LIST"], ["INCR", "k2"], ["EXEC"]],
    [["MULTI"], ["INCR", "k3"], ["SLOWLOG", "LEN"], ["CLIENT", "LIST"], ["FLUSHDB"], ["EXEC"]],
    [["WATCH"] + KEYS, ["MULTI"], ["GET", "k3"], ["GET", "k4"], ["EXEC"]],
    [["WATCH"] + KEYS, ["SET", "k5", "1"], ["MULTI"], ["MGET"] + KEYS, ["EXEC"]],
    [["WATCH", "k1", "k2"], ["UNWATCH"], ["WATCH", "k3"], ["MULTI"], ["INCR", "k3"], ["DISCARD"]],
    [["WATCH", "k1", "k2"], ["MULTI"], ["INCR", "k3"]],
    [["MULTI"], ["KEYS", "*"], ["SLOWLOG", "GET"], ["DEBUG", "DIGEST"], ["EXEC"]],
    [["MULTI"], ["MSET"] + [x for key in KEYS for x in (key, "1")], ["CLIENT", "LIST"],
     ["CLIENT", "UNPAUSE"], ["RENAME", "k1", "k2"], ["EXEC"]],
)


def leave(number, address, rounds):
    """Sends blocks and goes, mostly without having read the replies."""
    rng = random.Random(number)
    for _ in range(rounds):
        try:
            with Client(address) as client:
                blocks = [block for _ in range(rng.randrange(1, 4)) for block in rng.choice(BLOCKS)]
                client.send(b"".join(map(encode, blocks)))
                if rng.random() < .5:
                    for _ in range(rng.randrange(len(blocks) + 1)):
                        client.read()
        except (Closed, OSError):
            pass            # somebody has killed it


def kill(number, address, rounds):
    """Closes other connections, its own once in a while."""
    rng = random.Random(number)
    client = Client(address)
    for _ in range(rounds):
        try:
            ids = [int(line.split()[0][3:]) for line in
                   client.command("CLIENT", "LIST").decode().splitlines()]
            client.command("CLIENT", "KILL", "ID", rng.choice(ids), "SKIPME", "no")
        except (Closed, OSError):
            client = Client(address)
    client.close()


def check_free(server):
    if server.is_sherd:
        until(lambda: server.info("workers")["slots_watched"] == "0", "a slot is still watched")
        until(lambda: server.info("workers")["slots_held"] == "0", "a slot is still held")
    with server.connect() as client:
        for i in range(3000):
            assert client.command("SET", "key:%d" % i, "x") == Status("OK")
        assert client.command("MSET", *[x for key in KEYS for x in (key, "5")]) == Status("OK")
        assert client.command("MGET", *KEYS) == [b"5"] * len(KEYS)
        replies = client.pipeline([["WATCH"] + KEYS, ["MULTI"], ["FLUSHALL"], ["DBSIZE"], ["EXEC"]])
        assert replies[-1] == [Status("OK"), 0]


def test_connections_go(server):
    workers.run([(leave, (server.path, ROUNDS))] * 4)
    check_free(server)


def test_connections_are_killed(server):
    workers.run([(leave, (server.path, ROUNDS))] * 3 + [(kill, (server.path, ROUNDS))] * 2)
    check_free(server)


@pytest.mark.sherd_only
@pytest.mark.parametrize("number", range(4))
def test_the_server_stops(start, kind, number):
    server = start(kind)
    clients = [server.connect() for _ in range(12)]
    rng = random.Random(number)
    for client in clients:
        client.send(b"".join(encode(args) for _ in range(60) for args in rng.choice(BLOCKS)))
    if number % 2:
        clients[0].read()
    if number < 2:
        server.process.send_signal(signal.SIGTERM)
    else:
        with server.connect() as admin:
            admin.send(encode(["SHUTDOWN", "NOSAVE"]))
            admin.read_until_closed()
    assert server.wait_exit() == 0, server.log_tail()
    assert server.sanitizer_report() is None
    for client in clients:
        client.close()
