"""Commands on several keys, in several shards, take effect at one moment: nobody sees half.

Each test lets writers change keys in a way that keeps something true, while readers look at it
through commands on several keys. Operation counts are fixed; there is no seed because only the
timing is random.
"""

import os
import random

import pytest

import workers
from resp import NIL_ARRAY, Client, Error, Nil, Status

SCALE = float(os.environ.get("SCALE", "1"))
ROUNDS = int(400 * SCALE)
READS = int(800 * SCALE)
KEYS = ["k%d" % i for i in range(8)]                  # several slots in each of five shards
TAGGED = ["{t}%d" % i for i in range(4)]              # one slot

pytestmark = pytest.mark.stress


def readers(address, look, count=READS, number=3):
    return [(read, (address, look, count))] * number


def read(number, address, look, count):
    with Client(address) as client:
        for i in range(count):
            look(client, i)


def all_equal(values, what):
    assert len({repr(x) for x in values}) == 1, "%s is torn: %r" % (what, values)


def look_equal(client, i):
    if i % 4 == 3:
        for reply in client.pipeline([["MGET"] + KEYS] * 5):
            all_equal(reply, "MGET")
    else:
        all_equal(client.command("MGET", *KEYS), "MGET")


def mset(number, address, count, keys=KEYS):
    with Client(address) as client:
        for i in range(count):
            value = b"%d:%d" % (number, i) + b"x" * (i % 300)
            args = [x for key in keys for x in (key, value)]
            assert client.command("MSET", *args) == Status("OK")


def test_mset(server):
    mset(9, server.path, 1)
    workers.run([(mset, (server.path, ROUNDS))] * 2 + readers(server.path, look_equal))


def test_mset_pipelined(server):
    mset(9, server.path, 1)

    workers.run([(pipelined_mset, (server.path, ROUNDS // 4))] * 2 +
                readers(server.path, look_equal))


def pipelined_mset(number, address, count):
    with Client(address) as client:
        for i in range(count):
            commands = []
            for j in range(10):
                args = [x for key in KEYS for x in (key, b"%d:%d:%d" % (number, i, j))]
                commands += [["MSET"] + args, ["MGET"] + KEYS, ["INCR", "other%d" % j]]
            for reply in client.pipeline(commands)[1::3]:
                all_equal(reply, "MGET after one's own MSET")


def transactions(number, address, count):
    """Stores the same under all keys, by several commands of one transaction."""
    with Client(address) as client:
        for i in range(count):
            value = b"%d:%d" % (number, i)
            half = len(KEYS) // 2
            replies = client.pipeline(
                [["MULTI"]] + [["SET", key, value] for key in KEYS[:half]] +
                ([["CLIENT", "LIST", "ID", "0"]] if i % 10 == 0 else []) +
                [["MSET"] + [x for key in KEYS[half:] for x in (key, value)], ["MGET"] + KEYS,
                 ["EXEC"]])
            assert replies[-1][-1] == [value] * len(KEYS)


def look_by_transaction(client, i):
    if i % 2:
        look_equal(client, i)
    else:
        extra = [["CLIENT", "ID"]] if i % 4 else []
        reply = client.pipeline([["MULTI"]] + [["GET", key] for key in KEYS] + extra + [["EXEC"]])
        all_equal(reply[-1][:len(KEYS)], "a transaction of reads")


def test_exec(server):
    mset(9, server.path, 1)
    workers.run([(transactions, (server.path, ROUNDS))] * 2 +
                readers(server.path, look_by_transaction))


def count_up(number, address, count):
    """INCR by hand: nobody's is lost."""
    tries = 0
    with Client(address) as client:
        for _ in range(count):
            while True:
                tries += 1
                value = int(client.pipeline([["WATCH", "n"], ["GET", "n"]])[1])
                result = client.pipeline([["MULTI"], ["SET", "n", value + 1], ["INCR", "twin"],
                                          ["EXEC"]])[-1]
                if not isinstance(result, Nil):
                    assert result[0] == Status("OK") and result[1] == value + 1
                    break
    return tries


def test_watch(server):
    with server.connect() as client:
        client.command("MSET", "n", "0", "twin", "0")
        workers.run([(count_up, (server.path, ROUNDS))] * 4)
        assert client.command("MGET", "n", "twin") == [b"%d" % (4 * ROUNDS)] * 2


ACCOUNTS = ["account%d" % i for i in range(6)]
BALANCE = 1000


def transfer(number, address, count):
    """Moves money between two accounts, as often as it takes for each transfer to succeed."""
    rng = random.Random(number)
    with Client(address) as client:
        for _ in range(count):
            done = NIL_ARRAY
            while isinstance(done, Nil):
                one, two = rng.sample(ACCOUNTS, 2)
                values = client.pipeline([["WATCH", one, two], ["GET", one], ["GET", two]])[1:]
                amount = rng.randrange(int(values[0]) + 1)
                done = client.pipeline([["MULTI"], ["SET", one, int(values[0]) - amount],
                                        ["SET", two, int(values[1]) + amount], ["EXEC"]])[-1]
            assert done == [Status("OK")] * 2


def look_at_sum(client, i):
    values = client.command("MGET", *ACCOUNTS) if i % 2 else client.pipeline(
        [["MULTI"]] + [["GET", account] for account in ACCOUNTS] + [["EXEC"]])[-1]
    assert sum(map(int, values)) == BALANCE * len(ACCOUNTS), values
    assert min(map(int, values)) >= 0, values


def test_transfers(server):
    with server.connect_unix() as client:
        client.command("MSET", *[x for account in ACCOUNTS for x in (account, BALANCE)])
        workers.run([(transfer, (server.path, ROUNDS // 2))] * 4 +
                    readers(server.path, look_at_sum))
        look_at_sum(client, 0)


def press(number, address, count):
    """All clients want the same: one key, eight keys, eight keys in one transaction."""
    with Client(address) as client:
        for i in range(count):
            mine = b"%d:%d" % (number, i)
            replies = client.pipeline(
                [["INCR", "hot"], ["MSET"] + [x for key in KEYS for x in (key, mine)],
                 ["MULTI"]] + [["INCR", "total:" + key] for key in KEYS] + [["EXEC"]])
            assert replies[1] == Status("OK")
            all_equal(replies[-1], "a transaction of INCRs")


def test_hot_spot(server):
    """Everybody gets on, and nothing is lost."""
    workers.run([(press, (server.path, ROUNDS))] * 8)
    with server.connect_unix() as client:
        assert client.command("GET", "hot") == b"%d" % (8 * ROUNDS)
        assert client.command("MGET", *["total:" + key for key in KEYS]) == (
            [b"%d" % (8 * ROUNDS)] * len(KEYS))
        values = client.command("MGET", *KEYS)
        all_equal(values, "what the last MSET left")
        assert values[0] in [b"%d:%d" % (number, ROUNDS - 1) for number in range(8)]


def look_all_or_none(client, i):
    if i % 3:
        all_equal(client.command("MGET", *KEYS), "MGET")
    else:
        assert client.command(["EXISTS", "TOUCH"][i % 2], *KEYS) in (0, len(KEYS))


def set_and_delete(number, address, count):
    """All keys come and go together, though two do this at once: values may be either's."""
    with Client(address) as client:
        for i in range(count):
            client.command("MSET", *[x for key in KEYS for x in (key, "same")])
            reply = client.command(["DEL", "UNLINK"][i % 2], *KEYS)
            assert reply in (0, len(KEYS)), "DEL found %r of the keys" % reply


def test_del(server):
    workers.run([(set_and_delete, (server.path, ROUNDS))] * 2 +
                readers(server.path, look_all_or_none))


def claim(number, address, count):
    """Whoever succeeds owns all keys until it deletes them."""
    with Client(address) as client:
        won = 0
        for i in range(count):
            mine = b"%d:%d" % (number, i)
            reply = client.command("MSETNX", *[x for key in KEYS for x in (key, mine)])
            assert reply in (0, 1)
            if reply == 1:
                won += 1
                assert client.command("MGET", *KEYS) == [mine] * len(KEYS)
                assert client.command("DEL", *KEYS) == len(KEYS)
        return won


def test_msetnx(server):
    won = workers.run([(claim, (server.path, ROUNDS))] * 3)
    assert sum(won) > 0
    workers.run([(claim, (server.path, ROUNDS // 4))] * 2 + readers(server.path, look_all_or_none))


def there_and_back(number, address, count, one, two):
    with Client(address) as client:
        client.command("SET", one, "v" * 100)
        for i in range(count):
            assert client.command("RENAME", one, two) == Status("OK")
            one, two = two, one
            if i % 2:
                assert client.command("RENAMENX", one, two) == 1
                one, two = two, one


def look_one_of_two(client, i):
    for one, two in (("k0", "k1"), ("{t}0", "{t}1")):
        assert client.command("EXISTS", one, two) == 1
        found = [x for x in client.command("MGET", one, two) if not isinstance(x, Nil)]
        assert found == [b"v" * 100], found


def test_rename(server):
    with server.connect_unix() as client:
        client.pipeline([["SET", "k0", "v" * 100], ["SET", "{t}0", "v" * 100]])
    workers.run([(there_and_back, (server.path, ROUNDS, "k0", "k1")),
                 (there_and_back, (server.path, ROUNDS, "{t}0", "{t}1"))] +
                readers(server.path, look_one_of_two))


def copy(number, address, count):
    with Client(address) as client:
        for i in range(count):
            client.command("SET", "k0", i)
            assert client.command("COPY", "k0", "k1", "REPLACE") == 1


def look_copy(client, i):
    source, target = client.command("MGET", "k0", "k1")
    assert int(source or 0) - int(target or 0) in (0, 1), (source, target)


def test_copy(server):
    with server.connect_unix() as client:
        client.command("MSET", "k0", 0, "k1", 0)
    workers.run([(copy, (server.path, ROUNDS))] + readers(server.path, look_copy))


def xor(number, address, count):
    """Both sources are always equal, so that their XOR is nothing but zeros."""
    with Client(address) as client:
        for i in range(count):
            if number == 0:
                value = b"%d" % i * 20
                client.command("MSET", "k0", value, "k1", value)
            else:
                client.command("BITOP", "XOR", "k%d" % (2 + number), "k0", "k1")
                result = client.command("GET", "k%d" % (2 + number))
                assert isinstance(result, Nil) or not result.strip(b"\0"), result


def test_bitop(server):
    workers.run([(xor, (server.path, ROUNDS))] * 4)


def swap(number, address, count):
    with Client(address) as client:
        for _ in range(count):
            assert client("SWAPDB 0 1") == Status("OK")


def test_swapdb(server):
    """Each SWAPDB holds all slots, as many as thousands of other writes: a quarter of them will do."""
    with server.connect_unix() as client:
        client.command("MSET", *[x for key in KEYS for x in (key, "zero")])
        client("SELECT 1")
        client.command("MSET", *[x for key in KEYS for x in (key, "one")])
    workers.run([(swap, (server.path, ROUNDS // 4))] * 2 + readers(server.path, look_equal))
    with server.connect_unix() as client:
        values = client.command("MGET", *KEYS)
        client("SELECT 1")
        assert {values[0], client("GET k0")} == {b"zero", b"one"}


def flush(number, address, count):
    with Client(address) as client:
        for i in range(count):
            client.command("MSET", *[x for key in KEYS for x in (key, "same")])
            assert client(["FLUSHALL", "FLUSHDB", "FLUSHALL ASYNC"][i % 3]) == Status("OK")


def test_flush(server):
    """As many rounds as with SWAPDB."""
    workers.run([(flush, (server.path, ROUNDS // 4))] * 2 + readers(server.path, look_all_or_none))


def move(number, address, count):
    """Exactly one of two databases holds the key."""
    with Client(address) as client:
        client("SET k0 v")
        for _ in range(count):
            assert client("MOVE k0 1") == 1
            client("SELECT 1")
            assert client("MOVE k0 0") == 1
            client("SELECT 0")


def test_move(server):
    workers.run([(move, (server.path, ROUNDS))] + [(mset, (server.path, ROUNDS, KEYS[1:]))] * 2)
    with server.connect_unix() as client:
        assert client("GET k0") == b"v"


def deadlock(number, address, count):
    """Every client names the keys in an order of its own."""
    with Client(address) as client:
        keys = KEYS[number % 8:] + KEYS[:number % 8]
        if number % 2:
            keys.reverse()
        for i in range(count):
            replies = client.pipeline([["MSET"] + [x for key in keys for x in (key, i)],
                                       ["RENAME", keys[0], keys[1]], ["BITOP", "OR"] + keys,
                                       ["DEL"] + keys[:3], ["COPY", keys[3], keys[4], "REPLACE"],
                                       ["MSETNX"] + [x for key in keys for x in (key, i)]])
            for reply in replies:
                assert not isinstance(reply, Error) or reply == Error("ERR no such key"), reply


def test_no_deadlock(server):
    workers.run([(deadlock, (server.path, ROUNDS // 2))] * 6)
