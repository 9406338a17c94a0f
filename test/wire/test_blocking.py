"""Commands that wait: BLPOP BRPOP BLMOVE BRPOPLPUSH BLMPOP BZPOPMIN BZPOPMAX BZMPOP, CLIENT UNBLOCK."""

import re
import time

import pytest

from resp import (Client, Closed, Double, Error, NIL, NIL_ARRAY, Status, encode,
                  split_words)
from table import table
from waiting import until

OK, QUEUED = Status("OK"), Status("QUEUED")
WRONGTYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
UNBLOCKED = Error("UNBLOCKED client unblocked via CLIENT UNBLOCK")

# What doesn't wait, or not for long.
test_replies = table(r"""
## blpop, brpop
RPUSH k 1 2 3                           => 3
BLPOP k 0                               => ["k", "1"]
BRPOP k 0                               => ["k", "3"]
BLPOP nosuch k other 0                  => ["k", "2"]
EXISTS k                                => 0
BLPOP k 0.001                           => nil[]
BRPOP k l m 0.001                       => nil[]
BLPOP k k 0.001                         => nil[]
## the first key in the order given
RPUSH a 1                               => 1
RPUSH b 2                               => 1
BLPOP b a 0                             => ["b", "2"]
BLPOP b a 0                             => ["a", "1"]
## blmove, brpoplpush
RPUSH k 1 2 3                           => 3
BLMOVE k l LEFT RIGHT 0                 => "1"
BLMOVE k l right left 0                 => "3"
BRPOPLPUSH k l 0                        => "2"
LRANGE l 0 -1                           => ["2", "3", "1"]
BLMOVE l l left right 0                 => "2"
LRANGE l 0 -1                           => ["3", "1", "2"]
BLMOVE k l left left 0.001              => nil[]
BRPOPLPUSH k l 0.001                    => nil[]
BRPOPLPUSH k k 0.001                    => nil[]
## blmpop
RPUSH k 1 2 3 4 5                       => 5
BLMPOP 0 1 k LEFT                       => ["k", ["1"]]
BLMPOP 0 2 nosuch k RIGHT COUNT 2       => ["k", ["5", "4"]]
BLMPOP 0 1 k left count 10              => ["k", ["2", "3"]]
BLMPOP 0.001 2 k l LEFT                 => nil[]
## bzpopmin, bzpopmax
ZADD z 1 a 2 b 3.5 c                    => 3
BZPOPMIN z 0                            => ["z", "a", double 1]
BZPOPMAX nosuch z 0                     => ["z", "c", double 3.5]
BZPOPMIN z 0                            => ["z", "b", double 2]
EXISTS z                                => 0
BZPOPMIN z 0.001                        => nil[]
BZPOPMAX z y 0.001                      => nil[]
## bzmpop
ZADD z 1 a 2 b 3 c 4 d                  => 4
BZMPOP 0 1 z MIN                        => ["z", [["a", double 1]]]
BZMPOP 0 2 nosuch z MAX COUNT 2         => ["z", [["d", double 4], ["c", double 3]]]
BZMPOP 0 1 z min count 5                => ["z", [["b", double 2]]]
BZMPOP 0.001 1 z MIN                    => nil[]
## of another type
SET s x                                 => OK
ZADD z 1 a                              => 1
RPUSH k 1                               => 1
BLPOP s 0                               => -WRONGTYPE Operation against a key holding the wrong kind of value
BLPOP nosuch z k 0                      => -WRONGTYPE Operation against a key holding the wrong kind of value
BLPOP k s 0                             => ["k", "1"]
RPUSH k 1                               => 1
BLMPOP 0 2 nosuch s LEFT                => -WRONGTYPE Operation against a key holding the wrong kind of value
BLMOVE s k LEFT LEFT 0                  => -WRONGTYPE Operation against a key holding the wrong kind of value
BLMOVE k s LEFT LEFT 0                  => -WRONGTYPE Operation against a key holding the wrong kind of value
BRPOPLPUSH k z 0                        => -WRONGTYPE Operation against a key holding the wrong kind of value
BLMOVE nosuch s LEFT LEFT 0.001         => nil[]
BZPOPMIN k 0                            => -WRONGTYPE Operation against a key holding the wrong kind of value
BZPOPMAX nosuch s z 0                   => -WRONGTYPE Operation against a key holding the wrong kind of value
BZMPOP 0 2 nosuch k MIN                 => -WRONGTYPE Operation against a key holding the wrong kind of value
LRANGE k 0 -1                           => ["1"]
## timeouts that are none
BLPOP k x                               => -ERR timeout is not a float or out of range
BLPOP k ""                              => -ERR timeout is not a float or out of range
BLPOP k nan                             => -ERR timeout is not a float or out of range
BLPOP k " 1"                            => -ERR timeout is not a float or out of range
BRPOP k 1x                              => -ERR timeout is not a float or out of range
BRPOP k -1                              => -ERR timeout is negative
BLPOP k -0.01                           => -ERR timeout is negative
BLPOP k -inf                            => -ERR timeout is negative
BLMOVE k l LEFT LEFT x                  => -ERR timeout is not a float or out of range
BRPOPLPUSH k l -1                       => -ERR timeout is negative
BLMPOP x 1 k LEFT                       => -ERR timeout is not a float or out of range
BLMPOP -1 1 k LEFT                      => -ERR timeout is negative
BZPOPMIN z x                            => -ERR timeout is not a float or out of range
BZPOPMAX z -1                           => -ERR timeout is negative
BZMPOP x 1 z MIN                        => -ERR timeout is not a float or out of range
SET s x                                 => OK
BLPOP s x                               => -ERR timeout is not a float or out of range
## timeouts out of range [sherd]
BLPOP k inf                             => -ERR timeout is out of range
BLPOP k 1e18                            => -ERR timeout is out of range
BLPOP k 9223372036854775                => -ERR timeout is out of range
BLMPOP 1e300 1 k LEFT                   => -ERR timeout is out of range
## a fraction of a millisecond is one
BLPOP k 0.0000001                       => nil[]
BZMPOP 1e-9 1 z MIN                     => nil[]
## syntax
BLPOP k                                 => -ERR wrong number of arguments for 'blpop' command
BRPOP 1                                 => -ERR wrong number of arguments for 'brpop' command
BLMOVE k l LEFT 0                       => -ERR wrong number of arguments for 'blmove' command
BLMOVE k l LEFT LEFT 0 0                => -ERR wrong number of arguments for 'blmove' command
BLMOVE k l UP LEFT x                    => -ERR syntax error
BLMOVE k l LEFT DOWN 0                  => -ERR syntax error
BRPOPLPUSH k l                          => -ERR wrong number of arguments for 'brpoplpush' command
BLMPOP 0 1 k                            => -ERR wrong number of arguments for 'blmpop' command
BLMPOP 0 0 k LEFT                       => -ERR numkeys should be greater than 0
BLMPOP x -1 k LEFT                      => -ERR numkeys should be greater than 0
BLMPOP 0 x k LEFT                       => -ERR numkeys should be greater than 0
BLMPOP 0 2 k LEFT                       => -ERR syntax error
BLMPOP 0 9 k LEFT                       => -ERR syntax error
BLMPOP x 1 k UP                         => -ERR syntax error
BLMPOP 0 1 k LEFT COUNT                 => -ERR syntax error
BLMPOP 0 1 k LEFT COUNT 0               => -ERR count should be greater than 0
BLMPOP 0 1 k LEFT COUNT 1 COUNT 1       => -ERR syntax error
BZPOPMIN z                              => -ERR wrong number of arguments for 'bzpopmin' command
BZPOPMAX z                              => -ERR wrong number of arguments for 'bzpopmax' command
BZMPOP 0 0 z MIN                        => -ERR numkeys should be greater than 0
BZMPOP 0 1 z LEFT                       => -ERR syntax error
BZMPOP 0 1 z MIN COUNT                  => -ERR syntax error
BZMPOP x 1 z MIN COUNT 0                => -ERR count should be greater than 0
## inside a transaction they don't wait
RPUSH k 1                               => 1
MULTI                                   => OK
BLPOP k 0                               => +QUEUED
BLPOP k 0                               => +QUEUED
BRPOP k x                               => +QUEUED
BLMOVE k l LEFT LEFT 0                  => +QUEUED
BRPOPLPUSH k l 0                        => +QUEUED
BLMPOP 0 1 k LEFT                       => +QUEUED
BZPOPMIN z 0                            => +QUEUED
BZPOPMAX z 0                            => +QUEUED
BZMPOP 0 1 z MIN                        => +QUEUED
EXEC                                    => [["k", "1"], nil[], -ERR timeout is not a float or out of range, nil, nil, nil[], nil[], nil[], nil[]]
## client unblock of nobody
CLIENT UNBLOCK 0                        => 0
CLIENT UNBLOCK 123456789                => 0
CLIENT UNBLOCK 123456789 TIMEOUT        => 0
CLIENT UNBLOCK 123456789 error          => 0
CLIENT UNBLOCK x                        => -ERR value is not an integer or out of range
CLIENT UNBLOCK 1 NOW                    => -ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR
CLIENT UNBLOCK                          => -ERR wrong number of arguments for 'client|unblock' command
""")


# --- waiting clients ---

class Waiter(Client):
    """A client that has sent a command and waits in it."""

    def __init__(self, server, line, resp=2, database=0):
        super().__init__(server.path)
        self.server = server
        self.command("HELLO", resp)
        self.command("SELECT", database)
        self.id = self.command("CLIENT", "ID")
        self.send(encode(split_words(line)))
        # a short timeout may be over before anybody has looked
        until(lambda: self.is_blocked() or self.has_more(.001), "%s doesn't block" % line)

    def is_blocked(self):
        with self.server.connect_unix() as client:
            line = client.command("CLIENT", "LIST", "ID", self.id).decode()
        return re.search(r" flags=\w*b", line) is not None


@pytest.fixture
def block(server):
    """block(line, ...) is a client that waits; all of them are closed in the end."""
    made = []

    def begin(line, **kw):
        made.append(Waiter(server, line, **kw))
        return made[-1]
    yield begin
    for waiter in made:
        waiter.close()
    with server.connect_unix() as client:
        until(lambda: blocked_clients(client) == 0, "closed clients count as blocked")


def blocked_clients(client):
    return int(re.search(rb"blocked_clients:(\d+)", client("INFO clients")).group(1))


@pytest.mark.parametrize("waits, then, reply, left", [
    ("BLPOP k 0", "RPUSH k 1 2 3", [b"k", b"1"], ["LRANGE k 0 -1", [b"2", b"3"]]),
    ("BRPOP k 0", "RPUSH k 1 2 3", [b"k", b"3"], ["LRANGE k 0 -1", [b"1", b"2"]]),
    ("BLPOP k 100", "LPUSH k 1", [b"k", b"1"], ["EXISTS k", 0]),
    ("BLPOP a k b 0", "RPUSH k 1", [b"k", b"1"], ["EXISTS k", 0]),
    ("BLPOP k k k 0", "RPUSH k 1 2", [b"k", b"1"], ["LRANGE k 0 -1", [b"2"]]),
    ("BLMPOP 0 2 j k LEFT COUNT 2", "RPUSH k 1 2 3", [b"k", [b"1", b"2"]],
     ["LRANGE k 0 -1", [b"3"]]),
    ("BLMOVE k l LEFT RIGHT 0", "RPUSH k 1 2", b"1", ["LRANGE l 0 -1", [b"1"]]),
    ("BRPOPLPUSH k l 0", "RPUSH k 1 2", b"2", ["LRANGE l 0 -1", [b"2"]]),
    ("BLMOVE k k LEFT RIGHT 0", "RPUSH k 1 2", b"1", ["LRANGE k 0 -1", [b"2", b"1"]]),
    ("BZPOPMIN z 0", "ZADD z 1 a 2 b", [b"z", b"a", b"1"], ["ZRANGE z 0 -1", [b"b"]]),
    ("BZPOPMAX y z 0", "ZADD z 1 a 2 b", [b"z", b"b", b"2"], ["ZRANGE z 0 -1", [b"a"]]),
    ("BZMPOP 0 1 z MIN COUNT 2", "ZADD z 1 a 2 b 3 c",
     [b"z", [[b"a", b"1"], [b"b", b"2"]]], ["ZRANGE z 0 -1", [b"c"]]),
    ("BZPOPMIN z 0", "ZINCRBY z 5 a", [b"z", b"a", b"5"], ["EXISTS z", 0]),
    ("BLPOP k 0", "RENAME other k", [b"k", b"o"], ["EXISTS k other", 0]),
    ("BLPOP k 0", "RENAMENX other k", [b"k", b"o"], ["EXISTS k other", 0]),
    ("BLPOP k 0", "COPY other k", [b"k", b"o"], ["LRANGE other 0 -1", [b"o"]]),
    ("BLPOP k 0", "LMOVE other k LEFT LEFT", [b"k", b"o"], ["EXISTS k other", 0]),
    ("BLPOP k 0", "RPOPLPUSH other k", [b"k", b"o"], ["EXISTS k other", 0]),
    ("BLPOP k 0", "BLMOVE other k LEFT LEFT 0", [b"k", b"o"], ["EXISTS k other", 0]),
    ("BLPOP k 0", "SORT other ALPHA STORE k", [b"k", b"o"], ["LRANGE other 0 -1", [b"o"]]),
    ("BZPOPMIN z 0", "ZUNIONSTORE z 1 zother", [b"z", b"o", b"1"], ["ZCARD zother", 1]),
    ("BZPOPMIN z 0", "ZRANGESTORE z zother 0 -1", [b"z", b"o", b"1"], ["ZCARD zother", 1]),
    ("BZPOPMIN z 0", "RENAME zother z", [b"z", b"o", b"1"], ["EXISTS z zother", 0]),
])
def test_what_makes_a_key_ready(client, block, waits, then, reply, left):
    client("RPUSH other o")
    client("ZADD zother 1 o")
    waiter = block(waits)
    client(then)
    assert waiter.read() == reply
    assert client(left[0]) == left[1]


def test_databases(client, block):
    here, there = block("BLPOP k 0"), block("BLPOP k 0", database=1)
    client("RPUSH k 1")
    assert here.read() == [b"k", b"1"]
    client("RPUSH k 2")
    assert client("MOVE k 1") == 1
    assert there.read() == [b"k", b"2"]
    there = block("BLPOP k 0", database=1)
    client("RPUSH k 3")
    assert there.is_blocked()
    client("SWAPDB 0 1")
    assert there.read() == [b"k", b"3"]
    there = block("BLPOP k 0", database=1)
    client("RPUSH k 4")
    client("COPY k k DB 1")
    assert there.read() == [b"k", b"4"]


def test_each_protocol_of_its_own(client, block):
    two, three = block("BZPOPMIN z 0"), block("BZPOPMIN z 0", resp=3)
    client("ZADD z 1 a 1.5 b")
    assert two.read() == [b"z", b"a", b"1"]
    assert three.read() == [b"z", b"b", Double("1.5")]


def test_first_in_first_served(client, block):
    waiters = [block("BLPOP k%d k 0" % i) for i in range(6)]
    assert client("RPUSH k 0 1 2") == 3
    assert [x.read() for x in waiters[:3]] == [[b"k", b"%d" % i] for i in range(3)]
    client("RPUSH k4 x")
    assert waiters[4].read() == [b"k4", b"x"]
    client("RPUSH k 3")
    client("RPUSH k 4")
    assert waiters[3].read() == [b"k", b"3"]
    assert waiters[5].read() == [b"k", b"4"]
    assert client("EXISTS k") == 0


def test_those_of_another_type_wait_on(client, block):
    lists, sets = block("BLPOP k 0"), block("BZPOPMIN k 0")
    second = block("BLPOP k 0")
    client("SET k x")
    assert client("APPEND k y") == 2
    client("DEL k")
    client("ZADD k 1 a 2 b")
    assert sets.read() == [b"k", b"a", b"1"]
    assert lists.is_blocked() and client("ZCARD k") == 1
    client("DEL k")
    client("RPUSH k 1 2")
    assert lists.read() == [b"k", b"1"]
    assert second.read() == [b"k", b"2"]


# --- chains ---

def test_a_chain_of_moves(client, block):
    count = 45
    movers = [block("BLMOVE k%d k%d LEFT RIGHT 0" % (i, i + 1)) for i in range(count)]
    last = block("BLPOP k%d 0" % count)
    client("RPUSH k0 x")
    assert last.read() == [b"k%d" % count, b"x"]
    assert [x.read() for x in movers] == [b"x"] * count
    assert client("DBSIZE") == 0


def test_a_circle_of_moves(client, block):
    movers = [block("BLMOVE k%d k%d LEFT RIGHT 0" % (i, (i + 1) % 3)) for i in range(3)]
    client("RPUSH k0 x")
    assert [x.read() for x in movers] == [b"x"] * 3
    assert client("LRANGE k0 0 -1") == [b"x"]


def test_a_move_to_what_is_no_list(client, block):
    first, second = block("BLMOVE k s LEFT LEFT 0"), block("BLPOP k 0")
    client("SET s x")
    assert client("RPUSH k 1") == 1
    assert first.read() == WRONGTYPE
    assert second.read() == [b"k", b"1"]
    assert client("GET s") == b"x"


def test_a_large_element(client, block):
    for size in (100, 5000, 70000, 3000000):
        waiters = [block("BLPOP k 0"), block("BLMOVE k l LEFT LEFT 0"), block("BLMPOP 0 1 k LEFT")]
        client.command("RPUSH", "k", "a" * size, "b" * size, "c" * size)
        assert [x.read() for x in waiters] == [
            [b"k", b"a" * size], b"b" * size, [b"k", [b"c" * size]]]
        assert client("LPOP l") == b"b" * size


# --- transactions ---

def test_served_after_the_transaction(client, block):
    waiter = block("BLPOP k 0")
    assert client.pipeline(["MULTI", "RPUSH k 1", "LPOP k", "EXEC"])[3] == [1, b"1"]
    assert waiter.is_blocked()
    assert client.pipeline(["MULTI", "RPUSH k 1", "SET k x", "DEL k", "LPUSH k 2", "LPUSH k 3",
                            "EXEC"])[6] == [1, OK, 1, 1, 2]
    assert waiter.read() == [b"k", b"3"]
    assert client("LRANGE k 0 -1") == [b"2"]


def test_a_transaction_that_serves_many(client, block):
    waiters = [block("BLPOP k%d l 0" % i) for i in range(8)]
    client.pipeline(["MULTI"] + ["RPUSH k%d %d" % (i, i) for i in reversed(range(8))] + ["EXEC"])
    assert [x.read() for x in waiters] == [[b"k%d" % i, b"%d" % i] for i in range(8)]


def test_served_is_changed_for_who_watches(client, block, server):
    waiter = block("BLMOVE k l LEFT LEFT 0")
    with server.connect() as watcher:
        watcher("WATCH l")
        client("RPUSH k 1")
        assert waiter.read() == b"1"
        watcher.pipeline(["MULTI", "PING"])
        assert watcher("EXEC") is NIL_ARRAY


def test_a_transaction_suspended_while_others_push(client, block, server):
    """Whoever looks at all clients in the middle of EXEC doesn't serve what others have made ready."""
    waiter, other = block("BLPOP k 0"), block("BLPOP l 0")
    client.send(b"".join(encode(x.split()) for x in (
        "MULTI", "RPUSH k 1", "CLIENT LIST", "RPUSH k 2", "LPOP k", "EXEC")))
    with server.connect() as pusher:
        pusher("RPUSH l x")
    assert other.read() == [b"l", b"x"]
    replies = [client.read() for _ in range(6)]
    assert replies[5][0] == 1 and replies[5][2:] == [2, b"1"]
    assert waiter.read() == [b"k", b"2"]


# --- other ends than being served ---

def test_timeouts(client, block, server):
    with server.connect() as one:
        before = time.monotonic()
        assert one("BLPOP k l 0.05") is NIL_ARRAY
        assert time.monotonic() - before >= 0.049
        one("HELLO 3")
        assert one("BZPOPMIN k 0.01") is NIL
    waiters = [block("BLPOP k %g" % (0.3 + i / 100)) for i in reversed(range(10))]
    assert [x.read() for x in waiters] == [NIL_ARRAY] * 10
    client("RPUSH k 1")
    assert client("LLEN k") == 1


@pytest.mark.parametrize("how, reply", [
    ("", NIL_ARRAY), ("TIMEOUT", NIL_ARRAY), ("timeout", NIL_ARRAY), ("ERROR", UNBLOCKED)])
@pytest.mark.parametrize("line", ["BLPOP k 0", "BLMOVE k l LEFT LEFT 100", "BZMPOP 0 2 k l MIN"])
def test_client_unblock(client, block, line, how, reply):
    waiter, behind = block(line), block("BLPOP k 0")
    assert client("CLIENT UNBLOCK %d %s" % (waiter.id, how)) == 1
    assert waiter.read() == reply
    assert client("CLIENT UNBLOCK %d %s" % (waiter.id, how)) == 0
    client("RPUSH k 1")
    assert behind.read() == [b"k", b"1"]
    assert waiter("PING") == Status("PONG")


def go(waiter, client, how):
    if how == "close":
        waiter.close()
    elif how == "finish":
        waiter.finish_sending()
        assert waiter.read_until_closed() == b""
    elif how == "kill":
        assert client("CLIENT KILL ID %d" % waiter.id) == 1
        assert waiter.read_until_closed() == b""


@pytest.mark.parametrize("how", ["close", "finish", "kill"])
def test_clients_that_go_are_not_served(client, block, how):
    for line in ("BLPOP j k 0", "BLMOVE k l LEFT LEFT 0", "BLMPOP 100 1 k LEFT"):
        gone, stays = block(line), block("BLPOP k 0")
        go(gone, client, how)
        until(lambda: blocked_clients(client) == 1, "the client that has gone is blocked")
        client("RPUSH k 1")
        assert stays.read() == [b"k", b"1"]
        assert client("EXISTS k l") == 0


def test_a_client_that_goes_with_much_unread(client, block):
    """More behind the command than the server reads: that its client has gone is noticed all the same."""
    gone = block("BLPOP k 0")
    gone.socket.setblocking(False)
    try:
        for _ in range(2000):
            gone.socket.send(encode(["ECHO", "x" * 10000]))
    except BlockingIOError:
        pass
    gone.close()
    until(lambda: blocked_clients(client) == 0, "the client that has gone is blocked")
    client("RPUSH k 1")
    assert client("LLEN k") == 1


def test_what_is_sent_behind_waits(client, block):
    waiter = block("BLPOP k 0")
    waiter.send(encode(["SET", "s", "x"]) + encode(["BRPOP", "l", "0"]) + encode(["GET", "s"]))
    assert client("GET s") in (None, client("GET nosuch"))
    client("RPUSH k 1")
    assert [waiter.read(), waiter.read()] == [[b"k", b"1"], OK]
    client("RPUSH l 2")
    assert [waiter.read(), waiter.read()] == [[b"l", b"2"], b"x"]


def test_reply_off(client, block, server):
    with server.connect_unix() as silent:
        number = silent("CLIENT ID")
        silent.send(b"".join(encode(x.split()) for x in (
            "CLIENT REPLY SKIP", "BLPOP k 0", "PING")))
        until(lambda: blocked_clients(client) == 1, "it doesn't block")
        client("RPUSH k 1")
        assert silent.read() == Status("PONG")
        assert silent("CLIENT ID") == number and client("EXISTS k") == 0


def test_a_paused_server_serves_nobody(client, block, server):
    waiter = block("BLPOP k 0")
    with server.connect() as pusher:
        client("CLIENT PAUSE 100000 WRITE")
        pusher.send(encode(["RPUSH", "k", "1"]))
        assert waiter.is_blocked()
        client("CLIENT UNPAUSE")
        assert waiter.read() == [b"k", b"1"]
        assert pusher.read() == 1


def test_shutdown_with_clients_that_wait(kind, start):
    server = start(kind)
    waiters = [Waiter(server, "BLPOP k%d 0" % i) for i in range(20)]
    with server.connect() as client:
        client.send(encode(["SHUTDOWN", "NOSAVE"]))
        assert client.read_until_closed() == b""
    assert [x.read_until_closed() for x in waiters] == [b""] * 20
    assert server.wait_exit() == 0, server.log_tail()
    for waiter in waiters:
        waiter.close()


# --- what is counted ---

def test_counted_when_it_is_over(client, block, server):
    client("CONFIG RESETSTAT")
    client("CONFIG SET slowlog-log-slower-than 400000")
    client("SLOWLOG RESET")
    served, late = block("BLPOP k 0"), block("BLPOP k 0.5")
    error = block("BLPOP k 0")
    client("CLIENT UNBLOCK %d ERROR" % error.id)
    assert [late.read(), error.read()] == [NIL_ARRAY, UNBLOCKED]
    client("RPUSH k 1")
    assert served.read() == [b"k", b"1"]
    stats = server.info("commandstats")["cmdstat_blpop"]
    assert stats.startswith("calls=3,") and stats.endswith(",failed_calls=1"), stats
    usec = int(re.search(r"usec=(\d+)", stats).group(1))
    assert usec < 400000, "time in which it waited is counted"
    assert server.info("errorstats")["errorstat_UNBLOCKED"] == "count=1"
    assert client("SLOWLOG LEN") == 0


@pytest.mark.sherd_only
def test_info_clients(client, block):
    def counts():
        text = client("INFO clients").decode()
        return [int(re.search(name + r":(\d+)", text).group(1)) for name in (
            "blocked_clients", "clients_in_timeout_table", "total_blocking_keys")]
    waiters = [block("BLPOP a b 0"), block("BLPOP b c 100")]
    assert counts() == [2, 1, 3]
    client("RPUSH b 1 2")
    assert [x.read()[0] for x in waiters] == [b"b", b"b"]
    until(lambda: counts() == [0, 0, 0], "places remain in queues")


def test_many_elements_at_once(client):
    """What is there already is popped as a whole, however much it is."""
    client.command("RPUSH", "l", *map(str, range(6000)))
    assert client.command("BLMPOP", "0", "1", "l", "LEFT", "COUNT", "6000") == [
        b"l", [b"%d" % i for i in range(6000)]]
    client.command("ZADD", "z", *(x for i in range(6000) for x in (str(i), "m%d" % i)))
    assert len(client.command("BZMPOP", "0", "1", "z", "MIN", "COUNT", "6000")[1]) == 6000
