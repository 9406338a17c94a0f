"""SCAN: every key that is there from the first call to the last is returned, whatever else
happens meanwhile. Cursors themselves mean nothing; tests never compare them."""

import random

import pytest

from resp import Error
from table import table

test_scan_arguments = table(r"""
## scan of nothing
SCAN 0                                  => ["0", []]
SCAN 0 MATCH * COUNT 100 TYPE string    => ["0", []]
SCAN 0 match * count 1 type STRING      => ["0", []]
## scan of one key
SET k v                                 => OK
SCAN 0 COUNT 1000000                    => ["0", ["k"]]
SCAN 0 COUNT 1000000 MATCH k            => ["0", ["k"]]
SCAN 0 COUNT 1000000 MATCH [j-l]        => ["0", ["k"]]
SCAN 0 COUNT 1000000 MATCH x            => ["0", []]
SCAN 0 COUNT 1000000 TYPE string        => ["0", ["k"]]
SCAN 0 COUNT 1000000 TYPE String        => ["0", ["k"]]
SCAN 0 COUNT 1000000 TYPE list          => ["0", []]
SCAN 0 COUNT 1000000 TYPE nosuchtype    => ["0", []]
SCAN 0 COUNT 1000000 COUNT 2000000      => ["0", ["k"]]
SCAN 0 MATCH x MATCH k COUNT 1000000    => ["0", ["k"]]
SET k v PXAT 1                          => OK
SCAN 0 COUNT 1000000                    => ["0", []]
## scan with a match without wildcards
SET k v                                 => OK
MSET a 1 b 2 "a\\*b" 3                  => OK
SCAN 0 MATCH "a\\*b" COUNT 1000000      => ["0", []]
SCAN 0 MATCH "a\\\\\\*b" COUNT 1000000  => ["0", ["a\\*b"]]
SCAN 0 MATCH {t} COUNT 1000000          => ["0", []]
SET {t} v                               => OK
SET {t}1 v                              => OK
SCAN 0 MATCH {t}* COUNT 1000000         => ["0", %["{t}", "{t}1"]]
## scan with wrong arguments
SCAN                                    => -ERR wrong number of arguments for 'scan' command
SCAN abc                                => -ERR invalid cursor
SCAN 1.5                                => -ERR invalid cursor
SCAN " 0"                               => -ERR invalid cursor
SCAN "0 "                               => -ERR invalid cursor
SCAN 99999999999999999999               => -ERR invalid cursor
SCAN 0 COUNT                            => -ERR syntax error
SCAN 0 COUNT 0                          => -ERR syntax error
SCAN 0 COUNT -1                         => -ERR syntax error
SCAN 0 COUNT abc                        => -ERR value is not an integer or out of range
SCAN 0 COUNT 9223372036854775808        => -ERR value is not an integer or out of range
SCAN 0 MATCH                            => -ERR syntax error
SCAN 0 TYPE                             => -ERR syntax error
SCAN 0 BAD                              => -ERR syntax error
SCAN 0 BAD x                            => -ERR syntax error
SCAN 0 COUNT 10 BAD                     => -ERR syntax error
SCAN 0 NOVALUES                         => -ERR syntax error
""")


def scan(client, *options, between=None, limit=1_000_000):
    """All keys of a full iteration, with repetitions. `between` is called after each step."""
    cursor, found = b"0", []
    for _ in range(limit):
        reply = client.command("SCAN", cursor, *options)
        assert isinstance(reply, list) and len(reply) == 2, reply
        cursor, keys = reply
        found += keys
        if cursor == b"0":
            return found
        if between:
            between()
    raise AssertionError("SCAN doesn't end within %d calls" % limit)


def fill(client, names):
    for at in range(0, len(names), 1000):
        client.command("MSET", *[x for name in names[at:at + 1000] for x in (name, "v")])


@pytest.mark.parametrize("count", [1, 7, 10, 1000, 10 ** 9])
def test_scan_returns_every_key_once(client, count):
    """With nobody writing there are no repetitions either."""
    names = ["key:%d" % i for i in range(1200)] + ["{tag}:%d" % i for i in range(1200)]
    fill(client, names)
    found = scan(client, "COUNT", count)
    assert sorted(found) == sorted(x.encode() for x in names)


def test_scan_filters(client):
    fill(client, ["key:%d" % i for i in range(500)])
    expected = {b"key:%d" % i for i in range(500) if str(i).startswith("1")}
    assert set(scan(client, "MATCH", "key:1*")) == expected
    assert set(scan(client, "MATCH", "key:1*", "TYPE", "string", "COUNT", "3")) == expected
    assert scan(client, "TYPE", "hash") == []
    assert scan(client, "MATCH", "other*") == []


@pytest.mark.sherd_only         # the reference looks at as many keys as it is told to
def test_one_call_looks_at_few_keys_with_a_long_pattern(client):
    fill(client, ["k%d" % i for i in range(200)])
    client.command("SADD", "s", *["k%d" % i for i in range(200)])
    pattern = "*[" + "b" * 300_000 + "k]*"
    for line in (["SCAN", "0"], ["SSCAN", "s", "0"]):
        cursor, found = client.command(*line, "MATCH", pattern, "COUNT", "200")
        assert cursor != b"0" and len(found) < 100, line
    assert len(client.command("SCAN", "0", "MATCH", "*[" + "b" * 100 + "k]*", "COUNT", "1000")[1]) == 200
    assert len(set(scan(client, "MATCH", pattern, "COUNT", "1000"))) == 200
    assert len(client.command("KEYS", pattern)) == 200


def test_scan_sees_its_own_database(client):
    fill(client, ["zero:%d" % i for i in range(100)])
    client("SELECT 3")
    fill(client, ["three:%d" % i for i in range(50)])
    assert sorted(scan(client)) == sorted(b"three:%d" % i for i in range(50))
    client("SELECT 0")
    assert len(scan(client)) == 100


def test_scan_skips_expired_keys(client):
    client("DEBUG SET-ACTIVE-EXPIRE 0")
    fill(client, ["stays:%d" % i for i in range(100)])
    client.pipeline([["SET", "goes:%d" % i, "v", "PX", "1"] for i in range(100)])
    while any(client.pipeline([["GET", "goes:%d" % i] for i in range(100)])):
        pass
    assert sorted(scan(client)) == sorted(b"stays:%d" % i for i in range(100))


@pytest.mark.parametrize("cursor", ["1", "17", "123456", "4294967296", "18446744073709551615"])
def test_scan_from_any_cursor_ends(client, cursor):
    """A cursor that we never gave is answered, and the iteration comes to its end."""
    fill(client, ["key:%d" % i for i in range(300)])
    for _ in range(100_000):
        reply = client.command("SCAN", cursor, "COUNT", "100")
        assert not isinstance(reply, Error), reply
        cursor = reply[0]
        if cursor == b"0":
            return
    raise AssertionError("no end")


CHURNS = {
    "growth": dict(stay=2000, start=2000, add=150, remove=0),
    "growth from one key": dict(stay=1, start=1, add=400, remove=0),
    "deletion": dict(stay=500, start=9000, add=0, remove=120),
    "both": dict(stay=1000, start=4000, add=100, remove=100),
}


@pytest.mark.parametrize("tagged", [False, True], ids=["all slots", "one slot"])
@pytest.mark.parametrize("churn", CHURNS.values(), ids=CHURNS)
def test_scan_keeps_what_stays(client, churn, tagged):
    """Between two steps others add and remove keys, so that tables grow and split under the cursor."""
    rng = random.Random("%s %s" % (sorted(churn.items()), tagged))
    name = "{tag}:%s" if tagged else "%s"
    stay = [name % "stay:%d" % i for i in range(churn["stay"])]
    others = [name % "other:%d" % i for i in range(churn["start"])]
    rng.shuffle(others)
    fill(client, stay + others)
    serial = 0

    def between():
        nonlocal serial
        commands = []
        for _ in range(churn["add"] if serial < 20000 else 0):
            commands.append(["SET", name % "new:%d" % serial, "v"])
            serial += 1
        for _ in range(min(churn["remove"], len(others))):
            commands.append(["DEL", others.pop()])
        client.pipeline(commands)
    found = set(scan(client, "COUNT", "50", between=between))
    lost = {x.encode() for x in stay} - found
    assert not lost, "%d of %d keys were not returned: %s" % (len(lost), len(stay),
                                                              sorted(lost)[:5])


def test_scan_while_everything_is_overwritten(client):
    """Overwriting swaps each entry; the keys stay."""
    names = ["key:%d" % i for i in range(1500)]
    fill(client, names)
    rng = random.Random(1)
    def between():
        client.pipeline([["SET", rng.choice(names), "x" * rng.randrange(200)]
                         for _ in range(100)])
    assert set(scan(client, "COUNT", "20", between=between)) == {x.encode() for x in names}


def test_scan_during_flushall_and_refill(client):
    """No promise about which keys, but it ends and returns only keys that were there."""
    names = ["key:%d" % i for i in range(2000)]
    fill(client, names)
    steps = 0

    def between():
        nonlocal steps
        steps += 1
        if steps == 5:
            client("FLUSHALL")
            fill(client, names[:700])
    assert set(scan(client, "COUNT", "10", between=between)) <= {x.encode() for x in names}
