"""Commands on so many elements that they take turns with others: their replies, what else is served
meanwhile, and how they end when their client goes."""

import os
import time

import pytest

import workers
from resp import Client, Error, NIL_BULK, Status, TIMEOUT_S, encode

SCALE = float(os.environ.get("SCALE", "1"))
COUNT = 20_000                  # elements of a value that takes turns
HALF = COUNT // 2
GIVEN = 16384                   # elements that are given to who waits at once
HUGE = 400_000                  # ... and of one that takes many

FIELDS = [b"f%d" % i for i in range(COUNT)]
VALUES = [b"v%d" % i for i in range(COUNT)]
SCORES = [b"%d" % i for i in range(COUNT)]
PAIRS = [x for pair in zip(FIELDS, VALUES) for x in pair]


def fill(client, *lines, step=2000):
    """Each line is a command, a key and its many arguments, which are sent piece by piece."""
    for name, key, arguments in lines:
        pieces = range(0, len(arguments), step)
        replies = client.pipeline([[name, key] + arguments[i:i + step] for i in pieces])
        assert not [x for x in replies if isinstance(x, Error)]


def fill_all(client):
    fill(client, ("HSET", "{t}h", PAIRS), ("SADD", "{t}s", FIELDS), ("SADD", "{t}half", FIELDS[:HALF]),
         ("RPUSH", "{t}l", FIELDS), ("ZADD", "{t}z", [x for p in zip(SCORES, FIELDS) for x in p]),
         ("ZADD", "{t}zhalf", [x for p in zip(SCORES, FIELDS[:HALF]) for x in p]))


def path_long(server):
    """How many commands have taken turns so far; of the reference there is nothing to tell."""
    lines = [v for k, v in server.info("workers").items() if k.startswith("worker") and "=" in v]
    return sum(int(part.split("=")[1]) for line in lines for part in line.split(",")
               if part.startswith("path_long="))


def wait_for_blocked(server, count):
    deadline = time.monotonic() + TIMEOUT_S
    while server.info("clients")["blocked_clients"] != str(count):
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(.005)


def settled(server):
    """No slot stays held."""
    deadline = time.monotonic() + TIMEOUT_S
    while server.info("workers")["slots_held"] != "0":
        assert time.monotonic() < deadline, "a slot is still held"
        time.sleep(.005)


# --- replies ---

SHOWN = [
    # command, its parts in any order?, expected
    ("HGETALL {t}h", "pairs", PAIRS),
    ("HKEYS {t}h", "any", FIELDS),
    ("HVALS {t}h", "any", VALUES),
    ("HRANDFIELD {t}h %d" % COUNT, "any", FIELDS),
    ("SMEMBERS {t}s", "any", FIELDS),
    ("SRANDMEMBER {t}s %d" % (2 * COUNT), "any", FIELDS),
    ("SUNION {t}s {t}half", "any", FIELDS),
    ("SINTER {t}s {t}half", "any", FIELDS[:HALF]),
    ("SDIFF {t}s {t}half", "any", FIELDS[HALF:]),
    ("SUNION {t}s", "any", FIELDS),
    ("SINTERCARD 2 {t}s {t}half", None, HALF),
    ("LRANGE {t}l 0 -1", None, FIELDS),
    ("LRANGE {t}l 3 -4", None, FIELDS[3:-3]),
    ("LPOS {t}l nothing", None, NIL_BULK),
    ("LPOS {t}l f19999", None, 19999),
    ("LPOS {t}l f7 RANK -1", None, 7),
    ("LPOS {t}l f19998 COUNT 0", None, [19998]),
    ("LINSERT {t}l BEFORE nothing x", None, -1),
    ("LREM {t}l 0 nothing", None, 0),
    ("ZRANGE {t}z 0 -1", None, FIELDS),
    ("ZRANGE {t}z 0 -1 REV", None, FIELDS[::-1]),
    ("ZREVRANGE {t}z 5 -1", None, FIELDS[:-5][::-1]),
    ("ZRANGEBYSCORE {t}z (0 inf", None, FIELDS[1:]),
    ("ZREVRANGEBYSCORE {t}z inf 10", None, FIELDS[10:][::-1]),
    ("ZRANDMEMBER {t}z %d" % COUNT, "any", FIELDS),
    ("ZUNION 2 {t}z {t}zhalf", "any", FIELDS),
    ("ZINTER 2 {t}z {t}zhalf", None, FIELDS[:HALF]),
    ("ZDIFF 2 {t}z {t}zhalf", None, FIELDS[HALF:]),
    ("ZINTERCARD 2 {t}z {t}zhalf", None, HALF),
    ("SORT {t}l ALPHA", None, sorted(FIELDS)),
    ("SORT {t}s ALPHA DESC LIMIT 5 9000", None, sorted(FIELDS)[::-1][5:9005]),
    ("SORT_RO {t}z BY nosort DESC", None, FIELDS[::-1]),
    ("SORT_RO {t}z BY nosort LIMIT 7 9000", None, FIELDS[7:9007]),
    ("SORT {t}l BY none_* DESC", None, sorted(FIELDS)[::-1]),
    ("SORT_RO {t}l BY none_* ALPHA", None, FIELDS),
    ("SORT {t}l BY nosort GET # GET # LIMIT 9 3000", None, [x for f in FIELDS[9:3009] for x in (f, f)]),
]


def same(how, reply, expected):
    if how == "pairs":
        flat = [x for pair in reply for x in pair] if reply and not isinstance(reply[0], bytes) else reply
        return sorted(zip(flat[::2], flat[1::2])) == sorted(zip(expected[::2], expected[1::2]))
    if how == "any":
        return sorted(reply) == sorted(expected)
    return reply == expected


@pytest.mark.parametrize("resp", [2, 3])
def test_replies(server, resp):
    """The same, whatever comes before and behind them."""
    with server.connect() as client:
        fill_all(client)
        client("HELLO %d" % resp)
        for line, how, expected in SHOWN:
            before, reply, after = client.pipeline(["PING", line, "ECHO x"])
            assert (before, after) == (Status("PONG"), b"x")
            if expected is NIL_BULK:
                assert not reply, line
            else:
                if how:
                    reply = list(reply.items()) if hasattr(reply, "items") else list(reply)
                assert same(how, reply, expected), line


CHANGES = [
    # command, its reply, then commands with their replies
    ("COPY {t}h {t}c", 1, [("HLEN {t}c", COUNT), ("HGET {t}c f19999", b"v19999")]),
    ("COPY {t}s {t}c", 1, [("SCARD {t}c", COUNT), ("SISMEMBER {t}c f5", 1)]),
    ("COPY {t}z {t}c", 1, [("ZCARD {t}c", COUNT), ("ZRANK {t}c f19999", 19999)]),
    ("LREM {t}l 0 f10", 1, [("LLEN {t}l", COUNT - 1), ("LINDEX {t}l 10", b"f11")]),
    ("LINSERT {t}l AFTER f19990 x", COUNT + 1, [("LINDEX {t}l 19991", b"x")]),
    ("SUNIONSTORE {t}c {t}s {t}half", COUNT, [("SCARD {t}c", COUNT)]),
    ("SINTERSTORE {t}c {t}s {t}half", HALF, [("SCARD {t}c", HALF)]),
    ("SDIFFSTORE {t}s {t}s {t}half", HALF, [("SISMEMBER {t}s f0", 0), ("SCARD {t}s", HALF)]),
    ("ZUNIONSTORE {t}c 2 {t}z {t}zhalf", COUNT, [("ZSCORE {t}c f9", b"18"), ("ZCARD {t}c", COUNT)]),
    ("ZINTERSTORE {t}z 2 {t}z {t}zhalf", HALF, [("ZSCORE {t}z f9", b"18"), ("ZCARD {t}z", HALF)]),
    ("ZDIFFSTORE {t}c 2 {t}z {t}zhalf", HALF, [("ZCARD {t}c", HALF)]),
    ("SORT {t}l ALPHA DESC STORE {t}c", COUNT, [("LRANGE {t}c 0 -1", sorted(FIELDS)[::-1])]),
    ("SORT {t}s BY nosort STORE {t}s", COUNT, [("LRANGE {t}s 0 -1", sorted(FIELDS))]),
    ("SORT {t}l BY nosort GET none_* GET # STORE {t}l", 2 * COUNT,
     [("LRANGE {t}l 0 3", [b"", b"f0", b"", b"f1"]), ("LLEN {t}l", 2 * COUNT)]),
    ("ZRANGESTORE {t}c {t}z 0 -1", COUNT, [("ZRANK {t}c f19999", 19999)]),
    ("ZREMRANGEBYRANK {t}z 0 14999", 15000, [("ZRANGE {t}z 0 0", [b"f15000"]), ("ZCARD {t}z", 5000)]),
    ("ZREMRANGEBYSCORE {t}z 5000 9999", 5000, [("ZRANK {t}z f10000", 5000), ("ZCARD {t}z", 15000)]),
]


def test_changes(server):
    with server.connect() as client:
        for line, expected, checks in CHANGES:
            client("FLUSHALL")
            fill_all(client)
            assert client(line) == expected, line
            for check, answer in checks:
                assert client(check) == answer, (line, check)


def test_pops(server):
    """What comes out and what stays is all there was."""
    with server.connect() as client:
        fill_all(client)
        popped = client("SPOP {t}s %d" % (COUNT - 5))
        assert sorted(list(popped) + list(client("SMEMBERS {t}s"))) == sorted(FIELDS)
        assert client("LPOP {t}l %d" % HALF) == FIELDS[:HALF]
        assert client("LRANGE {t}l 0 -1") == FIELDS[HALF:]
        popped = client("ZPOPMAX {t}z %d" % HALF)
        assert popped[::2] == FIELDS[HALF:][::-1]
        assert client("ZRANGE {t}z 0 -1") == FIELDS[:HALF]
        assert len(client("HRANDFIELD {t}h -%d" % COUNT)) == COUNT
        assert len(client("ZRANDMEMBER {t}z -%d" % COUNT)) == COUNT
        assert len(client("SRANDMEMBER {t}half -%d" % COUNT)) == COUNT


@pytest.mark.sherd_only
def test_counted(server):
    """Once each, in the statistics, with the hits of one look."""
    with server.connect() as client:
        fill_all(client)
        client("CONFIG RESETSTAT")
        before = path_long(server)
        client("HGETALL {t}h")
        client("LREM {t}l 0 nothing")
        client("SINTER {t}s {t}half")
        client("SORT {t}l ALPHA")
        client("SORT_RO {t}l BY none_* ALPHA")
        client("SORT {t}l BY nosort LIMIT 3 100 STORE {t}c")
        info = server.info()
        assert path_long(server) == before + 5
        for name in ("hgetall", "lrem", "sinter"):
            assert info["cmdstat_" + name].startswith("calls=1,"), name
        assert (info["keyspace_hits"], info["keyspace_misses"]) == ("6", str(COUNT))


@pytest.mark.sherd_only
def test_few_of_many_are_not_long(server):
    with server.connect() as client:
        fill_all(client)
        before = path_long(server)
        for line, reply in (("LPOS {t}l f9 MAXLEN 10", 9), ("LPOS {t}l f10 MAXLEN 10", NIL_BULK),
                            ("LPOS {t}l f19990 RANK -1 MAXLEN 10", 19990),
                            ("LPOS {t}l f19989 RANK -1 MAXLEN 10", NIL_BULK)):
            assert client(line) == reply, line
        assert path_long(server) == before


@pytest.mark.sherd_only
def test_differences_of_many_small_sets_are_not_long(server):
    """Each member is looked up once in all that is taken away; a small first set, once in each large one."""
    with server.connect() as client:
        fill_all(client)
        client.pipeline(["SADD {t}first " + b" ".join(FIELDS[:100]).decode()] +
                        ["SADD {t}s%d f%d" % (i, i) for i in range(300)])
        client("ZUNIONSTORE {t}zfirst 1 {t}first")
        others = ["{t}s%d" % i for i in range(5, 300)]
        before = path_long(server)
        for name, keys in (("SDIFF", ["{t}first"]), ("ZDIFF", [296, "{t}first"]), ("ZDIFF", [296, "{t}zfirst"])):
            assert sorted(client.command(name, *keys, *others)) == sorted(FIELDS[:5])
        assert client.command("SDIFFSTORE", "{t}c", "{t}first", *others) == 5
        assert client.command("ZDIFFSTORE", "{t}c", 296, "{t}zfirst", *others) == 5
        assert client("SDIFF {t}s1 {t}s {t}half") == []
        assert client("ZDIFF 3 {t}s1 {t}z {t}zhalf") == []
        assert path_long(server) == before


@pytest.mark.sherd_only
def test_too_much_is_refused_at_once(server):
    """What can't be shown isn't begun, however short the elements."""
    with server.connect() as client:
        client.pipeline(["SADD s a b", "HSET h a 1", "ZADD z 1 a"])
        for line in ("SRANDMEMBER s -1000000000000", "HRANDFIELD h -16777216", "ZRANDMEMBER z -16777216"):
            before = path_long(server)
            assert client(line) == Error("ERR value is out of range")
            assert path_long(server) == before, line


def test_transaction(server):
    with server.connect() as client:
        fill_all(client)
        replies = client.pipeline(["MULTI", "SET {t}x 1", "HGETALL {t}h", "LREM {t}l 0 f3", "INCR {t}x",
                                   "COPY {t}s {t}c", "LRANGE {t}l 0 -1", "SCARD {t}c", "HGET {t}x f",
                                   "EXEC", "GET {t}x"])[-2:]
        ok, pairs, removed, two, copied, left, count, wrong = replies[0]
        assert (ok, removed, two, copied, count) == (Status("OK"), 1, 2, 1, COUNT)
        assert same("pairs", pairs, PAIRS) and left == FIELDS[:3] + FIELDS[4:]
        assert isinstance(wrong, Error) and replies[1] == b"2"


def test_nothing_but_reads(server):
    with server.connect() as client:
        fill_all(client)
        pairs, members = client.pipeline(["MULTI", "HGETALL {t}h", "SMEMBERS {t}s", "EXEC"])[-1]
        assert same("pairs", pairs, PAIRS) and sorted(members) == sorted(FIELDS)


@pytest.mark.sherd_only
def test_blocking_pops(server):
    """What is there is popped in turns; who has waited gets what one unit of work gives away, in order."""
    with server.connect() as client, server.connect() as one, server.connect() as two:
        fill_all(client)
        before = path_long(server)
        assert client("BLMPOP 0 2 {t}none {t}l LEFT COUNT %d" % HALF) == [b"{t}l", FIELDS[:HALF]]
        key, popped = client("BZMPOP 0 2 {t}none {t}z MAX COUNT %d" % HALF)
        assert key == b"{t}z" and [x for x, _ in popped] == FIELDS[HALF:][::-1]
        assert path_long(server) == before + 2
        assert (client("LLEN {t}l"), client("ZCARD {t}z")) == (HALF, HALF)
        client("DEL {t}l {t}z")
        fill_all(client)
        for line, then, shown in (("BLMPOP 0 1 {t}w LEFT COUNT 1000000", "RENAME {t}l {t}w", lambda x: x),
                                  ("BZMPOP 0 1 {t}w MIN COUNT 1000000", "RENAME {t}z {t}w",
                                   lambda x: [member for member, _ in x])):
            for waiter in (one, two):
                waiter.send(encode(line.split()))
                wait_for_blocked(server, 1 if waiter is one else 2)
            assert client(then) == Status("OK")
            first, second = shown(one.read()[1]), shown(two.read()[1])
            assert len(first) == GIVEN and first + second == FIELDS
            assert client("EXISTS {t}w") == 0
        settled(server)


# --- others meanwhile ---

def huge(client):
    """A hash whose HGETALL is more than sockets hold: its length in bytes."""
    values = b"x" * 50
    fill(client, ("HSET", "{t}h", [x for i in range(HUGE) for x in (b"%d" % i, values)]))
    return sum(len(b"$%d\r\n%d\r\n" % (len(str(i)), i)) for i in range(HUGE)) + \
        HUGE * len(b"$50\r\n" + values + b"\r\n") + len(b"*%d\r\n" % (2 * HUGE))


def test_others_are_served(server):
    """Other keys, and the key itself, before the client has read its reply."""
    with server.connect() as client, server.connect() as other:
        size = huge(client)
        client.send(encode(["HGETALL", "{t}h"]) + encode(["PING"]))
        for i in range(100):
            assert other("SET other%d v" % i) == Status("OK")
            assert other("GET other%d" % i) == b"v"
            assert other("HGET {t}h 17") == b"x" * 50
        assert other("HSET {t}h 17 y") == 0
        data = client.read_bytes(size)
        assert data.startswith(b"*%d\r\n" % (2 * HUGE)) and data.count(b"x" * 50) == HUGE
        assert client.read() == Status("PONG")


@pytest.mark.sherd_only
@pytest.mark.parametrize("how", ["close", "kill", "limit"])
def test_the_client_goes(server, how):
    """In the middle of its reply: nothing stays held."""
    with server.connect() as client, server.connect() as other:
        huge(client)
        if how == "limit":
            other("CONFIG SET client-output-buffer-limit 'normal 1000000 0 0'")
        number = client("CLIENT ID")
        client.send(encode(["HGETALL", "{t}h"]))
        if how == "close":
            client.close()
        elif how == "kill":
            assert other("CLIENT KILL ID %d" % number) == 1
        else:                   # it doesn't read
            deadline = time.monotonic() + TIMEOUT_S
            while other("CLIENT LIST ID %d" % number):
                assert time.monotonic() < deadline, "it wasn't closed"
        assert other("HSET {t}h new 1") == 1
        settled(server)
        assert other("HLEN {t}h") == HUGE + 1


@pytest.mark.sherd_only
def test_the_client_goes_while_it_changes(server):
    """What has begun is done to its end."""
    with server.connect() as client, server.connect() as other:
        fill(client, ("ZADD", "{t}z", [x for i in range(100_000) for x in (b"%d" % i, b"%d" % i)]))
        number = client("CLIENT ID")
        client.send(encode(["ZUNIONSTORE", "{t}c", "1", "{t}z", "WEIGHTS", "2"]))
        other("CLIENT KILL ID %d" % number)
        settled(server)
        assert other("ZCARD {t}c") in (0, 100_000)
        if other("EXISTS {t}c"):
            assert other("ZSCORE {t}c 99999") == b"199998"


@pytest.mark.sherd_only
def test_shutdown_meanwhile(kind, start):
    server = start(kind)
    with server.connect() as client, server.connect() as other:
        huge(client)
        client.send(encode(["HGETALL", "{t}h"]))
        other.send(encode(["SHUTDOWN", "NOSAVE"]))
        assert server.wait_exit() == 0


# --- many at once ---

def write_pairs(number, path, rounds):
    """The first and the last field get the same value, in one command."""
    with Client(path) as client:
        for i in range(rounds):
            value = "%d-%d" % (number, i)
            assert client.command("HSET", "{t}h", FIELDS[0], value, FIELDS[-1], value) == 0
            client.command("ZADD", "{t}z", i, FIELDS[0], i, FIELDS[-1])
            client("SET x%d y" % i)


def read_whole(number, path, rounds):
    for i in range(rounds):
        with Client(path) as client:
            flat = client("HGETALL {t}h")
            pairs = dict(zip(flat[::2], flat[1::2]))
            assert len(pairs) == COUNT and pairs[FIELDS[0]] == pairs[FIELDS[-1]]
            flat = client("ZRANGE {t}z 0 -1 WITHSCORES")
            scores = dict(zip(flat[::2], flat[1::2]))
            assert len(scores) == COUNT and scores[FIELDS[0]] == scores[FIELDS[-1]]
            client.send(encode(["HGETALL", "{t}h"]))    # and goes away


def copy_whole(number, path, rounds):
    name = "{t}copy%d" % number
    with Client(path) as client:
        for i in range(rounds):
            assert client("COPY {t}h %s REPLACE" % name) == 1
            one, other = client("HMGET %s f0 f%d" % (name, COUNT - 1))
            assert one == other
            client("DEL " + name)


@pytest.mark.sherd_only
@pytest.mark.stress
def test_each_is_of_one_moment(server):
    with server.connect() as client:
        fill_all(client)
        client.command("HSET", "{t}h", FIELDS[0], "0", FIELDS[-1], "0")
        client.command("ZADD", "{t}z", 0, FIELDS[0], 0, FIELDS[-1])
    rounds = int(10 * SCALE)
    workers.run([(write_pairs, (server.path, 20 * rounds))] * 2 + [(read_whole, (server.path, rounds))] * 2 +
                [(copy_whole, (server.path, rounds))])
    settled(server)
    assert path_long(server) > 0
