"""Large effects: records that take some ticks and many writes to get to the file.

Whatever happens meanwhile, after the next start each is there as a whole or not at all, with all that was
acknowledged before and behind it; and nobody is told of what isn't in the files.
"""

import threading

import pytest

from resp import Closed, Error, Status, encode
from test_crash import Saver, begin, journals, seeded
from test_journal_random import contents, differences
from test_trouble import all_committed, kill, mend
from waiting import until

LARGE = 3 * 1024 * 1024
ELEMENTS = 30000
ELEMENT = "x" * 200
WRITES_MIN = 20         # that a record of twice LARGE takes, and more
ROUNDS = 3
POLICIES = ["everysec", "always"]

pytestmark = pytest.mark.sherd_only


class Counter(threading.Thread):
    """Increments a key of its own; which number was acknowledged."""

    def __init__(self, server, key):
        super().__init__(daemon=True)
        self.server, self.key, self.acknowledged = server, key, 0
        self.stop = False

    def run(self):
        try:
            with self.server.connect() as client:
                while not self.stop:
                    reply = client.command("INCR", self.key)
                    if not isinstance(reply, Error):
                        self.acknowledged = reply
        except (OSError, Closed):
            pass


def count(server, keys):
    counters = [Counter(server, key) for key in keys]
    for counter in counters:
        counter.start()
    until(lambda: all(counter.acknowledged for counter in counters))
    return counters


def end(counters):
    for counter in counters:
        counter.stop = True
        counter.join()


def of_round(n):
    return (b"%d " % n * LARGE)[:LARGE]


def transaction(n):
    return [["MULTI"], ["SET", "{a}large", of_round(n)], ["INCR", "number"],
            ["SET", "{b}large", of_round(n)], ["EXEC"]]


def fill(client, key):
    for at in range(0, ELEMENTS, 1000):
        client.command("RPUSH", key, *[b"%d %s" % (i, ELEMENT.encode()) for i in range(at, at + 1000)])


def lengths(directory):
    return sum(path.stat().st_size for path in journals(directory))


@pytest.mark.parametrize("policy", POLICIES)
def test_killed_within_a_record(kind, start, tmp_path, policy):
    rng = seeded()
    for n in range(1, ROUNDS + 1):
        server = begin(start, kind, tmp_path, policy)
        with server.connect() as client, server.connect() as admin:
            client.pipeline(transaction(n))
            counters = count(server, ["c%d" % i for i in range(3)])
            before = lengths(tmp_path)
            rule = "write KILL %d" % rng.randrange(1, WRITES_MIN)
            end(counters)
            assert admin.command("DEBUG", "IO-FAULT", *rule.split()) == Status("OK")
            told = None
            try:
                told = client.pipeline(transaction(-n))[-1]
            except (OSError, Closed):
                pass
        server.process.wait()
        assert told is None
        assert lengths(tmp_path) - before < 2 * LARGE
        server = begin(start, kind, tmp_path, policy)
        with server.connect() as client:
            assert client.command("MGET", "{a}large", "{b}large") == [of_round(n)] * 2
            assert client.command("GET", "number") == b"%d" % n
            for counter in counters:
                assert int(client.command("GET", counter.key)) >= counter.acknowledged
            assert client.command("DEL", *[counter.key for counter in counters]) == len(counters)
        kill(server)


@pytest.mark.parametrize("policy", POLICIES)
def test_killed_while_others_write(kind, start, tmp_path, policy):
    """By chance anywhere: the record is there or not, what others were told stands."""
    rng = seeded()
    for n in range(1, ROUNDS + 1):
        server = begin(start, kind, tmp_path, policy)
        with server.connect() as client, server.connect() as admin:
            counters = count(server, ["c%d:%d" % (n, i) for i in range(3)])
            number = int(client.command("INCR", "number"))
            rule = "write KILL %d" % rng.randrange(1, 6 * WRITES_MIN)
            admin.send(b"DEBUG IO-FAULT %s\r\n" % rule.encode())
            told = None
            try:
                told = client.pipeline(transaction(n))[-1]
                while client.command("INCR", "last"):
                    pass
            except (OSError, Closed):
                pass
        server.process.wait()
        end(counters)
        server = begin(start, kind, tmp_path, policy)
        with server.connect() as client:
            done = int(client.command("GET", "number")) == number + 1
            assert done or told is None
            first, second = client.command("MGET", "{a}large", "{b}large")
            assert first == second
            assert (first == of_round(n)) == done
            for counter in counters:
                assert int(client.command("GET", counter.key)) >= counter.acknowledged
        kill(server)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("call", ["short", "write"])
def test_full_disk_within_a_record(kind, start, tmp_path, policy, call):
    server = begin(start, kind, tmp_path, policy)
    with server.connect() as client, server.connect() as admin:
        fill(client, "{a}list")
        counters = count(server, ["c%d" % i for i in range(3)])
        for n, skip in enumerate((0, 1, 7, WRITES_MIN)):
            admin.send(b"DEBUG IO-FAULT %s ENOSPC %d 3\r\n" % (call.encode(), skip))
            for words in (["RENAME", "{a}list", "{b}list"], ["SORT", "{b}list", "ALPHA", "STORE", "{c}list"],
                          ["RENAME", "{b}list", "{a}list"], ["SET", "{d}large", of_round(n)]):
                until(lambda: not isinstance(client.command(*words), Error))
            mend(server)
            assert admin.read() == Status("OK")
        end(counters)
    before, keys_before = contents(server)
    kill(server)
    server = begin(start, kind, tmp_path, policy)
    after, keys_after = contents(server)
    assert not differences(keys_before, keys_after)
    assert before == after
    with server.connect() as client:
        assert client.command("LLEN", "{a}list") == client.command("LLEN", "{c}list") == ELEMENTS


@pytest.mark.stress
@pytest.mark.parametrize("policy", POLICIES)
def test_snapshots_meanwhile(kind, start, tmp_path, policy):
    """Cuts fall into effects in the making, and into records half written."""
    rng = seeded()
    server = begin(start, kind, tmp_path, policy)
    with server.connect() as client:
        fill(client, "list0")
    n = 0
    for _ in range(ROUNDS):
        Saver(server, rng).start()
        counters = count(server, ["c%d" % i for i in range(2)])
        with server.connect() as client:
            for _ in range(rng.randrange(2, 8)):
                n += 1
                assert client.command("RENAME", "list%d" % (n - 1), "list%d" % n) == Status("OK")
            client.send(b"RENAME list%d list%d\r\n" % (n, n + 1))
            if rng.random() < .5:
                client.command("PING")
        kill(server)
        end(counters)
        server = begin(start, kind, tmp_path, policy)
        with server.connect() as client:
            n += client.command("EXISTS", "list%d" % (n + 1))
            assert sorted(client.command("KEYS", "list*")) == [b"list%d" % n]
            assert client.command("LLEN", "list%d" % n) == ELEMENTS
            assert client.command("LINDEX", "list%d" % n, "777").startswith(b"777 xxx")
            for counter in counters:
                assert int(client.command("GET", counter.key)) >= counter.acknowledged


@pytest.mark.parametrize("words", [["SPOP", "set", "20000"], ["SET", "other", "y" * LARGE, "GET"]])
def test_nothing_is_told_before(kind, start, tmp_path, words):
    """Not even the first elements of a reply that takes turns."""
    server = begin(start, kind, tmp_path, "everysec")
    with server.connect() as client, server.connect() as admin:
        client.command("SET", "other", "x" * LARGE)
        for at in range(0, ELEMENTS, 1000):
            client.command("SADD", "set", *["m%d" % i for i in range(at, at + 1000)])
        until(lambda: all_committed(server, tmp_path))      # else COMMITS may be what is written first
        assert admin.command("DEBUG", "IO-FAULT", "write", "KILL") == Status("OK")
        client.send(encode(words))
        assert client.read_until_closed() == b""
    server.process.wait()
    server = begin(start, kind, tmp_path, "everysec")
    with server.connect() as client:
        assert client.command("SCARD", "set") == ELEMENTS
        assert client.command("GET", "other") == b"x" * LARGE
