"""Random commands of all kinds, journaled: after the next start the same is there.

What has been done again is compared by its digest, whole and key by key where it differs. Times to live of
the generator are far ahead or past, so that nothing expires in between.
"""

import os
import random
import signal

import pytest

import generator
from resp import Error, Status
from test_crash import begin, wait_until_loaded

SEED = int(os.environ.get("SEED", "1"))
SCALE = int(os.environ.get("SCALE", "1"))
SEQUENCES = 3 * SCALE
LENGTH = 1500
PIECE = 30
DATABASES = 16
ASKED = 200             # keys looked at in one go
# A server that sleeps, ends or saves is no matter of journals.
LEFT_OUT = {b"DEBUG", b"SHUTDOWN", b"QUIT", b"RESET", b"CLIENT", b"CONFIG", b"MONITOR", b"SUBSCRIBE"}


def pieces(rng, commands):
    """Some of them within MULTI and EXEC."""
    for at in range(0, len(commands), PIECE):
        piece = commands[at:at + PIECE]
        yield [[b"MULTI"]] + piece + [[b"EXEC"]] if rng.random() < .3 else piece


def contents(server):
    """(the digest of all, {(database, key): digest})."""
    keys = {}
    with server.connect() as client:
        whole = client.command("DEBUG", "DIGEST")
        for number in range(DATABASES):
            assert client.command("SELECT", number) == Status("OK")
            names = client.command("KEYS", "*")
            for at in range(0, len(names), ASKED):
                keys.update(contents_of(client, number, names[at:at + ASKED]))
    return whole, keys


def contents_of(client, number, names):
    """The digest, type and expiry of each; in one go, since there may be thousands."""
    asked = [[word, name] for name in names for word in ("TYPE", "PEXPIRETIME")]
    digests, *others = client.pipeline([["DEBUG", "DIGEST-VALUE"] + names] + asked)
    return {(number, name): [digests[i]] + others[2 * i:2 * i + 2] for i, name in enumerate(names)}


def differences(before, after):
    return ["db %d key %r: %r, then %r" % (where + (before.get(where), after.get(where)))
            for where in sorted(set(before) | set(after)) if before.get(where) != after.get(where)]


@pytest.mark.sherd_only
@pytest.mark.parametrize("number", range(SEQUENCES))
def test_the_same_after_a_restart(kind, start, tmp_path, number):
    print("SEED=%d" % SEED)
    rng = random.Random("%d %d" % (SEED, number))
    commands = [args for args in generator.sequence(rng, LENGTH)
                if args and args[0].upper() not in LEFT_OUT]
    server = begin(start, kind, tmp_path, rng.choice(["everysec", "always", "no"]))
    # a list of commands for each start, the first on nothing, the others on what was there
    for part in (commands[:LENGTH // 2], commands[LENGTH // 2:]):
        with server.connect() as client:
            for piece in pieces(rng, part):
                client.pipeline(piece)
        before, keys_before = contents(server)
        server.process.send_signal(rng.choice([signal.SIGTERM, signal.SIGKILL]))
        server.process.wait()
        server = begin(start, kind, tmp_path, rng.choice(["everysec", "always", "no"]))
        after, keys_after = contents(server)
        assert not differences(keys_before, keys_after)
        assert before == after
        assert keys_before, "nothing to compare"


@pytest.mark.sherd_only
def test_longer_than_strings_may_be_by_now(kind, start, tmp_path):
    """The limit was another when they were written."""
    server = begin(start, kind, tmp_path, "no")
    with server.connect() as client:
        assert client.command("CONFIG", "SET", "proto-max-bulk-len", "8mb") == Status("OK")
        replies = client.pipeline([["SET", "s", "x" * 900000], ["APPEND", "s", "y" * 900000],
                                   ["SETRANGE", "range", "3000000", "end"], ["SETBIT", "bit", "40000000", "1"],
                                   ["BITFIELD", "field", "SET", "u8", "40000000", "7"],
                                   ["RPUSH", "list", "z" * 2000000], ["RENAME", "list", "list of another slot"],
                                   ["HSET", "hash", "f", "z" * 2000000], ["RENAME", "hash", "hash of another slot"]])
        assert not [x for x in replies if isinstance(x, Error)]
    before, keys_before = contents(server)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    server = start(kind, ("appendonly", "yes"), ("dir", str(tmp_path)), ("proto-max-bulk-len", "1mb"))
    wait_until_loaded(server)
    after, keys_after = contents(server)
    assert not differences(keys_before, keys_after)
    assert before == after and len(keys_after) == 6
