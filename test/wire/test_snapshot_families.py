"""Snapshots, increments and rewrites one after the other, while commands of all families run.

Some clients keep books (ledger.py): of each snapshot a server is started, and the books must be as they were at one
moment, not before what was known when it was asked for, not after what was known when it was there. Others
do whatever comes to mind to keys of their own, and to whole databases. When all have ended, the server and what is
loaded of its files must have the same in them, key by key; then it starts again from them, with another
number of workers, and all goes on.

Bounded by numbers of operations. SEED=n repeats the choice of them, not their timing.
"""

import os
import random
import time

import pytest

import generator
import ledger
import rdb
import workers
from resp import Client, Error, Status
from test_crash import wait_until_loaded
from test_journal_random import LEFT_OUT, contents, differences, pieces
from test_snapshot import DATA, persistence, wait_idle

SEED = int(os.environ.get("SEED") or time.time_ns() % 10 ** 9)
SCALE = float(os.environ.get("SCALE", "1"))
PHASES = 2
BOOKS = 2
ENTRIES = 20            # of a book, in each phase; times SCALE
RANDOM = 2              # clients that do anything
COMMANDS = 150          # of each of them, in each phase; times SCALE
SHOTS_MAX = 1           # are looked at, of those of a phase; times SCALE
POPULATED = 3000        # keys beside, so that a snapshot takes a while
BOOKS_DB, SWAPPED_DB, POPULATED_DB = 7, 9, 14
SHAKES = 6              # FLUSHALL, SWAPDB of the books' database; in each phase
OPTIONS = ("enable-debug-command", "yes"), ("stop-writes-on-bgsave-error", "no")

pytestmark = [pytest.mark.stress, pytest.mark.sherd_only]

# What the generator leaves out: Redis 7.0 hasn't it, or what comes of it depends on time or chance.
MORE = """
8 HSET hash (element element_value)+
5 HEXPIRE hash seconds FIELDS 2 element element
4 HPEXPIRE hash 3 FIELDS 1 element
3 HEXPIREAT hash at_seconds FIELDS 1 element
3 HPERSIST hash FIELDS 2 element element
3 HGETDEL hash FIELDS 2 element element
3 HGETEX hash EX seconds FIELDS 1 element
3 HSETEX hash (PX 4|KEEPTTL)? FIELDS 2 element element_value element element_value
2 HINCRBY hash element integer
5 PEXPIRE (key|big|list|set|hash|zset|geo|hll) 3
4 SET key value PX 2
4 SPOP set small?
4 ZPOPMIN zset small?
6 SETRANGE big far value
5 APPEND big (value|huge)
4 SETBIT big far bit
6 BITFIELD big (SET bits far integer|INCRBY bits far integer)+
3 SET big huge
2 GETRANGE big far far
3 (COPY big big REPLACE|RENAME big big|BITOP XOR big big big|BITOP NOT key big)
2 (COPY big key REPLACE|COPY big big DB database REPLACE|MOVE big database|DEL big)
4 (LSET list list_index long|LINSERT list BEFORE element long|RPUSH list long element long)
3 (RPUSH list many_elements|HSET hash many_pairs|SADD set many_elements|ZADD zset many_scored)
3 (COPY (list|hash|set|zset) key DB database REPLACE|MOVE (list|hash|set|zset) database)
"""
ROWS = [(float(weight), generator.parse(template)) for weight, _, template in
        (row.partition(" ") for row in MORE.strip().split("\n"))]
LEFT_OUT_TOO = {b"FLUSHALL", b"HELLO"}      # what is emptied is the shaker's choice


def random_commands(rng, length):
    """The generator's, and as many more of our own now and then."""
    for args in generator.sequence(rng, length):
        if rng.random() < .3:
            yield rng.choices(ROWS, [weight for weight, _ in ROWS])[0][1].generate(rng)
        elif args and args[0].upper() not in LEFT_OUT | LEFT_OUT_TOO:
            yield args


# Clients, each a process


class Crowd:
    """What the processes share: how many still write, and how long the books are."""

    def __init__(self):
        self.writing = workers.CONTEXT.Value("i", BOOKS + RANDOM)
        self.sent = workers.CONTEXT.Array("q", BOOKS)
        self.told = workers.CONTEXT.Array("q", BOOKS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """A writer has ended, well or not: who waits for all of them must see it."""
        with self.writing.get_lock():
            self.writing.value -= 1


def keep_book(_, address, crowd, book, count):
    with crowd, Client(address) as client:
        client.command("SELECT", BOOKS_DB)
        for _ in range(count):
            crowd.sent[book] += 1
            ledger.write_entry(client, book, crowd.sent[book])
            crowd.told[book] = crowd.sent[book]


def do_anything(number, address, crowd, seed, count):
    rng = random.Random("%s %d" % (seed, number))
    with crowd, Client(address) as client:
        for piece in pieces(rng, list(random_commands(rng, count))):
            client.pipeline(piece)
        client.command("DISCARD")


def shake(number, address, crowd, seed, count):
    """Whole databases go, or change places, the books' too."""
    rng = random.Random("%s %d" % (seed, number))
    with Client(address) as client:
        for i in range(count):
            time.sleep(.02)
            words = rng.choice([["FLUSHALL"], ["FLUSHALL", "ASYNC"], ["SWAPDB", BOOKS_DB, SWAPPED_DB],
                                ["SWAPDB", SWAPPED_DB, BOOKS_DB], ["SWAPDB", BOOKS_DB, "0"], ["FLUSHDB"]])
            reply = client.command(*words)
            assert reply == Status("OK") or ledger.is_refused(reply)
            if rng.random() < .5:
                populate(client, "again%d" % i)


def populate(client, prefix):
    replies = client.pipeline([["SELECT", POPULATED_DB], ["DEBUG", "POPULATE", POPULATED, prefix],
                               ["SELECT", BOOKS_DB]])
    assert not [x for x in replies if isinstance(x, Error) and not ledger.is_refused(x)]


KINDS = [["BGSAVE", "INCREMENTAL"]] * 7 + [["BGSAVE"], ["BGREWRITEAOF"]]


def take_one(client, rng):
    """A snapshot of some kind, which may be given up or fail."""
    how = rng.random()
    if how < .15:
        call = rng.choice(["open", "write", "short", "sync", "rename"])
        client.command("DEBUG", "IO-FAULT", call, rng.choice(["EIO", "ENOSPC"]), rng.randrange(6), 1)
    reply = client.command(*rng.choice(KINDS))
    assert isinstance(reply, Status), reply
    if how > .85:
        client.command("BGSAVE", "CANCEL")
    wait_idle(client)
    client.command("DEBUG", "IO-FAULT", "OFF")


def snapshots_of(directory):
    """What the manifest says, but for journals: what is copied of it."""
    try:
        with open(os.path.join(directory, DATA, "MANIFEST"), "rb") as file:
            lines = file.read().splitlines(keepends=True)
    except FileNotFoundError:
        return b""
    return b"".join(x for x in lines if not x.startswith((b"stretch ", b"end ")))


def copy_snapshot(directory, path):
    """Links to the snapshot's files and its increments'."""
    data, copy = os.path.join(directory, DATA), os.path.join(path, DATA)
    os.makedirs(copy)
    for name in os.listdir(data):
        if name.endswith(".rdb"):
            os.link(os.path.join(data, name), os.path.join(copy, name))
    kept = snapshots_of(directory)
    with open(os.path.join(copy, "MANIFEST"), "wb") as file:
        file.write(kept + b"end %016x\n" % rdb.crc64(kept))


def take_snapshots(_, address, crowd, seed, directory, target):
    """
    Until nobody writes any more. Copies the files each time, by links; [(path, [told before], [sent until
    then])] of those that were taken.
    """
    rng = random.Random(seed)
    shots = []
    least = [0] * BOOKS
    with Client(address) as client:
        while not shots or crowd.writing.value > 0:
            told, before = list(crowd.told), snapshots_of(directory)
            take_one(client, rng)
            if snapshots_of(directory) != before:
                least = told
            elif not shots:
                continue
            path = os.path.join(target, "%03d" % len(shots))
            copy_snapshot(directory, path)
            shots.append((path, least, list(crowd.sent)))
    return shots


# What is looked at


def load_copy(start, path):
    server = start("sherd-3", ("dir", path), ("appendonly", "yes"))
    wait_until_loaded(server)
    return server


def check_books(server, calm):
    """The last entry of each book, in the books' database and those it may have been in."""
    with server.connect() as client:
        return [max(ledger.check_book(client, book, db, calm) for db in
                    ([BOOKS_DB] if calm else [BOOKS_DB, SWAPPED_DB, 0])) for book in range(BOOKS)]


def check_shot(start, shot, calm):
    path, least, most = shot
    copy = load_copy(start, path)
    found = check_books(copy, calm)
    assert all(n <= b for n, b in zip(found, most)), (found, most)
    assert not calm or all(a <= n for a, n in zip(least, found)), (least, found)
    copy.stop()


def chosen(rng, shots):
    """Some of them, the last one always."""
    most = max(1, int(SHOTS_MAX * SCALE))
    return shots if len(shots) <= most else rng.sample(shots[:-1], most - 1) + [shots[-1]]


def check_quiet(start, server, directory, path):
    """What is loaded from an increment is what is there; returns that."""
    with server.connect() as client:
        client.command("BGSAVE", "INCREMENTAL")
        wait_idle(client)
        assert persistence(client)["rdb_last_bgsave_status"] == "ok"
    copy_snapshot(directory, path)
    copy = load_copy(start, path)
    there = contents(server)
    compare(there, contents(copy))
    copy.stop()
    return there


def compare(before, after):
    assert not differences(before[1], after[1])
    assert before[0] == after[0]


def start_again(start, server, before, kind, directory, appendonly):
    """Killed; from what is in the files now, which is what was there before."""
    server.process.kill()
    server.process.wait()
    again = begin(start, kind, directory, appendonly)
    compare(before, contents(again))
    return again


def begin(start, kind, directory, appendonly):
    server = start(kind, ("dir", directory), ("appendonly", appendonly), *OPTIONS)
    wait_until_loaded(server)
    return server


@pytest.mark.parametrize("calm", [True, False])
def test_all_families(kind, start, tmp_path, calm):
    """`calm`: nobody touches the books but those who keep them, so all of them is known."""
    print("SEED=%d" % SEED)
    rng = random.Random("%d %s" % (SEED, calm))
    appendonly = "no" if calm else "yes"
    directory = str(tmp_path / "data")
    os.mkdir(directory)
    server = begin(start, kind, directory, appendonly)
    crowd = Crowd()
    with server.connect() as client:
        populate(client, "first")
    for phase in range(PHASES):
        address, seed, target = server.address, rng.random(), tmp_path / str(phase)
        crowd.writing.value = BOOKS + RANDOM
        jobs = [(take_snapshots, (address, crowd, seed, directory, str(target)))]
        jobs += [(keep_book, (address, crowd, book, int(ENTRIES * SCALE))) for book in range(BOOKS)]
        jobs += [(do_anything, (address, crowd, seed, int(COMMANDS * SCALE)))] * RANDOM
        jobs += [] if calm else [(shake, (address, crowd, seed, SHAKES))]
        shots = workers.run(jobs)[0]
        for shot in chosen(rng, shots):
            check_shot(start, shot, calm)
        time.sleep(.05)     # what lives for moments is gone
        found = check_books(server, calm)
        assert not calm or found == list(crowd.sent)
        there = check_quiet(start, server, directory, str(tmp_path / ("quiet%d" % phase)))
        server = start_again(start, server, there, rng.choice(["sherd-1", "sherd-2", "sherd-4", kind]),
                             directory, appendonly)
    server.stop()
