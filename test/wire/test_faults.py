"""Each call on a file failing once, at run time: nothing acknowledged is lost, and service goes on.

A session of work is the same each time: writes, snapshots of all kinds, journals off and on, another appendfsync.
First it is done with no fault, which tells how many calls it makes; then with the n-th of them failing. When the
session has ended, with all its waits, the server is killed, the directory is checked, and the next start must
find what was acknowledged. Of all n a few are tried, by SEED; FAULTS=all tries each.
"""

import os
import subprocess
import time

import pytest

import servers
from resp import NIL_BULK, Error, Status
from test_crash import DATA, begin, other_boot, seeded
from test_trouble import calls, fault, info, kill
from waiting import WAIT_S, until

pytestmark = [pytest.mark.sherd_only, pytest.mark.one_kind]

ALL = os.environ.get("FAULTS") == "all"
SAMPLES = 2     # of each rule; the first takes as long as it takes, others begin within
SAMPLES_S = 3
FINE, WILL_CUT = 0, 1           # what `sherd check` says
# The words of a rule, and which of the counts say how many calls there are for it.
RULES = [("any", "EIO", None), ("short", "ENOSPC", "write"), ("write", "ENOSPC", "write"),
         ("sync", "EIO", "sync"), ("rename", "EIO", "rename")]
KEYS = ["{a}", "{b}", "{c}", "{a}other"]


class Session:
    """One client's work. `told`: what was acknowledged of each key; `sent`: what may be there instead."""

    def __init__(self, server, directory):
        self.server, self.directory = server, directory
        self.client = server.connect(WAIT_S)
        self.n = 0
        self.told, self.sent = {}, {}

    def insist(self, *words):
        """The first reply that is no refusal because of the disk, or of what still goes on."""
        replies = []

        def is_answered():
            replies[:] = [self.client.command(*words)]
            refused = isinstance(replies[0], Error) and (b"MISCONF" in replies[0].text or
                                                         b"in progress" in replies[0].text)
            return not refused
        until(is_answered, lambda: "%s: %s" % (" ".join(map(str, words)), replies))
        return replies[0]

    def write(self):
        """Some slots by one request, and one by another."""
        for keys in KEYS[:3], KEYS[3:]:
            self.n += 1
            self.sent.update({key: self.n for key in keys})
            words = [word for key in keys for word in (key, self.n)]
            assert self.insist("MSET", *words) == Status("OK")
            self.told.update({key: self.n for key in keys})

    def wait_for_saves(self):
        def idle():
            text = info(self.server)
            return "rdb_bgsave_in_progress:0" in text and "aof_rewrite_in_progress:0" in text
        until(idle)

    def save(self, *words):
        """Whether that works or not: what it leaves must be good. Writes go on meanwhile."""
        reply = self.insist(*words)
        assert isinstance(reply, Status), reply
        self.write()
        self.wait_for_saves()

    def last_cut(self):
        """The cut with which the journals have begun that the manifest has as the last; -1: that is no stretch."""
        last = (self.directory / DATA / "MANIFEST").read_text().split("\n")[-3:-1][0].split(" ")
        return int(last[2]) if last[0] == "stretch" and last[-1] == "open" else -1

    def set(self, name, value):
        assert self.insist("CONFIG", "SET", name, value) == Status("OK")

    def journals_off_and_on(self):
        """What was written meanwhile is safe when they are listed again."""
        before = self.last_cut()
        self.set("appendonly", "no")
        until(lambda: "journal_0:" not in info(self.server))
        self.write()
        self.set("appendonly", "yes")
        until(lambda: "journal_0:" in info(self.server) and self.last_cut() > before)

    def run(self, policy):
        other = "everysec" if policy == "always" else "always"
        self.write()
        self.save("BGSAVE")
        self.save("BGREWRITEAOF")
        self.save("BGSAVE", "INCREMENTAL")
        self.set("appendfsync", other)
        self.write()
        self.set("appendfsync", policy)
        self.save("BGREWRITEAOF")
        self.journals_off_and_on()
        self.write()


def look(directory):
    """The statuses of `sherd check` that a killed server may leave."""
    done = subprocess.run([servers.SHERD, "check", str(directory / DATA)], capture_output=True,
                          text=True, check=False, timeout=WAIT_S)
    assert done.returncode in (FINE, WILL_CUT), done.stdout + done.stderr
    return done.returncode


def found(server):
    with server.connect() as client:
        values = dict(zip(KEYS, client.command("MGET", *KEYS)))
        assert client.command("DBSIZE") == len([x for x in values.values() if x is not NIL_BULK])
    return values


def says_always(directory):
    """What the last line of COMMITS says: then a power loss may take nothing that was acknowledged."""
    return b" always " in (directory / DATA / "COMMITS").read_bytes().split(b"\n")[-2]


def attempt(start, kind, directory, policy, rule):
    """A session under that rule, and what it leaves. {call: how many there were}"""
    directory.mkdir()
    server = begin(start, kind, directory, policy)
    session = Session(server, directory)
    with server.connect() as admin:
        fault(admin, *rule)
        assert admin.read() == Status("OK")
        session.run(policy)
        made = calls(admin)
    if policy == "always":
        until(lambda: says_always(directory))
    kill(server)
    if policy == "always":
        other_boot(directory)
    look(directory)
    server = begin(start, kind, directory, policy)
    values = found(server)
    assert values == {key: b"%d" % n for key, n in session.told.items()}
    server.stop()
    assert look(directory) == FINE
    return made


def count(made, what):
    return made[what] if what else sum(made.values())


@pytest.mark.parametrize("policy", ["everysec", "always"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule[0])
def test_each_call_failing(kind, start, tmp_path, policy, rule):
    rng = seeded()
    call, error, counted = rule
    total = count(attempt(start, kind, tmp_path / "none", policy, (call, error, str(2**60))), counted)
    assert total > 5
    end = time.monotonic() + SAMPLES_S
    for n in range(total) if ALL else rng.sample(range(total), SAMPLES):
        if not ALL and time.monotonic() > end:
            break
        directory = tmp_path / str(n)
        print("%s %s %d of %d in %s" % (call, error, n, total, directory))
        attempt(start, kind, directory, policy, (call, error, str(n)))
