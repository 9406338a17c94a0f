"""Incremental snapshots: the same as a whole one, from less.

Random commands of all kinds, with an increment now and then: after a start from the files the same is there,
and nothing else. Then how little they write, and what they are when nothing is known of before.
"""

import glob
import os
import random
import signal
import subprocess

import pytest

import generator
from resp import Status
from test_crash import wait_until_loaded
from test_journal_random import LEFT_OUT, contents, differences, pieces
from test_snapshot import CHECK, DATA, persistence, wait_idle

SEED = int(os.environ.get("SEED", "1"))
SCALE = int(os.environ.get("SCALE", "1"))
LENGTH = 1200
ROUNDS = 4
INCREMENTS_MAX = 256   # behind one snapshot

pytestmark = pytest.mark.sherd_only


def begin(start, kind, directory, appendonly="no"):
    server = start(kind, ("dir", str(directory)), ("appendonly", appendonly))
    wait_until_loaded(server)
    return server


def increment(client):
    assert client.command("BGSAVE", "INCREMENTAL") == Status("Background saving started")
    wait_idle(client)
    assert persistence(client)["rdb_last_bgsave_status"] == "ok"


def files(directory, kind):
    return sorted(glob.glob(os.path.join(str(directory), DATA, kind + "-*.rdb")))


@pytest.mark.parametrize("appendonly", ["no", "yes"])
@pytest.mark.parametrize("number", range(SCALE))
def test_the_same_as_all(kind, start, tmp_path, appendonly, number):
    print("SEED=%d" % SEED)
    rng = random.Random("%d %d %s" % (SEED, number, appendonly))
    server = begin(start, kind, tmp_path, appendonly)
    for turn in range(ROUNDS):
        commands = [args for args in generator.sequence(rng, LENGTH) if args and args[0].upper() not in LEFT_OUT]
        with server.connect() as client:
            for piece in pieces(rng, commands):
                client.pipeline(piece)
            client.command("DISCARD")   # they may end within MULTI
        with server.connect() as client:    # they may have asked for another protocol
            increment(client)
            increments = int(persistence(client)["rdb_increments"])
        assert increments == turn
    assert len(files(tmp_path, "increment")) == (ROUNDS - 1) * len(files(tmp_path, "snapshot"))
    before, keys_before = contents(server)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    server = begin(start, kind, tmp_path, appendonly)
    after, keys_after = contents(server)
    assert not differences(keys_before, keys_after)
    assert before == after
    assert keys_before, "nothing to compare"


@pytest.mark.one_kind
def test_many(kind, start, tmp_path):
    """A chain doesn't get longer and longer: a whole one begins another."""
    server = begin(start, kind, tmp_path)
    with server.connect() as client:
        for n in range(INCREMENTS_MAX + 3):
            client.command("INCR", "n")
            assert client.command("BGSAVE", "INCREMENTAL") == Status("Background saving started")
            wait_idle(client)
        assert persistence(client)["rdb_increments"] == str(INCREMENTS_MAX + 1)
    assert (len(files(tmp_path, "snapshot")), len(files(tmp_path, "increment"))) == (2, 2)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    server = begin(start, kind, tmp_path)
    with server.connect() as client:
        assert client.command("GET", "n") == b"%d" % (INCREMENTS_MAX + 3)


def test_costs_what_changed(kind, start, tmp_path):
    server = begin(start, kind, tmp_path)
    with server.connect() as client:
        client.pipeline([["SET", "key:%d" % i, "v" * 100] for i in range(20000)])
        increment(client)
        client.pipeline([["SET", "key:%d" % i, "w" * 100] for i in range(0, 20000, 200)])
        client.pipeline([["DEL", "key:%d" % i] for i in range(1, 20000, 1000)])
        increment(client)
        info = persistence(client)
        assert info["rdb_increments"] == "1"
    whole = sum(os.path.getsize(path) for path in files(tmp_path, "snapshot"))
    added = files(tmp_path, "increment")
    assert sum(os.path.getsize(path) for path in added) < whole / 20
    for path in added:
        told = subprocess.run([CHECK, path], capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stdout + told.stderr
    server.process.kill()
    server.process.wait()
    with begin(start, kind, tmp_path).connect() as client:
        assert client.command("DBSIZE") == 20000 - 20
        assert client.command("EXISTS", "key:1") == 0
        assert client.command("MGET", "key:0", "key:2") == [b"w" * 100, b"v" * 100]


def test_whole_databases(kind, start, tmp_path):
    server = begin(start, kind, tmp_path)
    with server.connect() as client:
        client.pipeline([["SET", "key:%d" % i, "0"] for i in range(1000)])
        client.pipeline([["SELECT", "5"]] + [["SET", "key:%d" % i, "5"] for i in range(10)])
        increment(client)
        client.command("SWAPDB", "0", "5")
        increment(client)
        client.pipeline([["SELECT", "5"], ["FLUSHDB"], ["SET", "alone", "1"]])
        increment(client)
    server.process.kill()
    server.process.wait()
    with begin(start, kind, tmp_path).connect() as client:
        assert client.command("DBSIZE") == 10
        assert client.pipeline([["SELECT", "5"], ["DBSIZE"], ["GET", "alone"]])[1:] == [1, b"1"]


def test_folded_by_a_whole_one(kind, start, tmp_path):
    server = begin(start, kind, tmp_path)
    with server.connect() as client:
        for value in range(3):
            client.command("SET", "key", value)
            increment(client)
        assert len(files(tmp_path, "increment")) == 2 * len(files(tmp_path, "snapshot"))
        assert client.command("SAVE") == Status("OK")
        assert files(tmp_path, "increment") == []
        client.command("SET", "key", "4")
        increment(client)
        assert len(files(tmp_path, "increment")) == len(files(tmp_path, "snapshot"))
    server.process.kill()
    server.process.wait()
    with begin(start, kind, tmp_path).connect() as client:
        assert client.command("GET", "key") == b"4"
