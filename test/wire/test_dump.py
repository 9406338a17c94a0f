"""DUMP and RESTORE: each type and encoding there and back between the reference and sherd, payloads of
all versions made by hand, and damaged ones."""

import os
import random
import re
import struct

import pytest

import rdb
import workers
from rdb import listpack, string, strings, ziplist
from resp import Client, Error, Status
from table import table

SCALE = float(os.environ.get("SCALE", "1"))

test_restore = table(r"""
## dump and restore with wrong arguments
DUMP                                    => -ERR wrong number of arguments for 'dump' command
DUMP k x                                => -ERR wrong number of arguments for 'dump' command
DUMP absent                             => nil
RESTORE k 0                             => -ERR wrong number of arguments for 'restore' command
RESTORE k 0 x nonsense                  => -ERR syntax error
RESTORE k 0 x IDLETIME                  => -ERR syntax error
RESTORE k 0 x IDLETIME x                => -ERR value is not an integer or out of range
RESTORE k 0 x IDLETIME -1               => -ERR Invalid IDLETIME value, must be >= 0
RESTORE k 0 x FREQ                      => -ERR syntax error
RESTORE k 0 x FREQ x                    => -ERR value is not an integer or out of range
RESTORE k 0 x FREQ -1                   => -ERR Invalid FREQ value, must be >= 0 and <= 255
RESTORE k 0 x FREQ 256                  => -ERR Invalid FREQ value, must be >= 0 and <= 255
RESTORE k 0 x FREQ 1 IDLETIME 1         => -ERR syntax error
RESTORE k 0 x IDLETIME 1 FREQ 1         => -ERR syntax error
RESTORE k x x                           => -ERR value is not an integer or out of range
RESTORE k -1 x                          => -ERR Invalid TTL value, must be >= 0
RESTORE k 0 ""                          => -ERR DUMP payload version or checksum are wrong
RESTORE k 0 x                           => -ERR DUMP payload version or checksum are wrong
SET k v                                 => OK
RESTORE k x x                           => -BUSYKEY Target key name already exists.
RESTORE k x x REPLACE                   => -ERR value is not an integer or out of range
RESTORE k 0 x REPLACE                   => -ERR DUMP payload version or checksum are wrong
GET k                                   => "v"
## restore and its options
RESTORE k 0 "\x00\xc0\x05\x0a\x00\x63\x2f\x5f\x66\x83\x2f\xb3\x51" => OK
GET k                                   => "5"
TTL k                                   => -1
RESTORE k 100000 "\x00\xc0\x05\x0a\x00\x63\x2f\x5f\x66\x83\x2f\xb3\x51" replace => OK
TTL k                                   => 100
RESTORE k 1 "\x00\xc0\x05\x0a\x00\x63\x2f\x5f\x66\x83\x2f\xb3\x51" REPLACE ABSTTL => OK
EXISTS k                                => 0
RESTORE k 4102444800000 "\x00\xc0\x05\x0a\x00\x63\x2f\x5f\x66\x83\x2f\xb3\x51" ABSTTL => OK
PEXPIRETIME k                           => 4102444800000
RESTORE k 0 "\x00\xc0\x05\x0a\x00\x63\x2f\x5f\x66\x83\x2f\xb3\x51" IDLETIME 1000 REPLACE => OK
OBJECT IDLETIME k                       => 1000
CONFIG SET maxmemory-policy allkeys-lfu => OK
RESTORE k 0 "\x00\xc0\x05\x0a\x00\x63\x2f\x5f\x66\x83\x2f\xb3\x51" FREQ 77 REPLACE => OK
OBJECT FREQ k                           => 77
""")

LONG = bytes(range(256)) * 8
VALUES = {
    "number": [["SET", "k", "12345"]],
    "numbers-of-each-size": [["RPUSH", "k"] + [b"%d" % (s * (1 << n)) for n in range(0, 63, 4) for s in (1, -1)]],
    "number-of-64-bits": [["SET", "k", "9223372036854775807"]],
    "no-number": [["SET", "k", "0123"]],
    "empty-string": [["SET", "k", ""]],
    "text": [["SET", "k", "hello"]],
    "text-that-packs": [["SET", "k", b"ab" * 500]],
    "text-that-does-not": [["SET", "k", LONG]],
    "large-text": [["SET", "k", b"0123456789" * 20000]],
    "rope": [["SETRANGE", "k", "100000", "end"], ["SETRANGE", "k", "5", "more"], ["SETRANGE", "k", "200000", "end"]],
    "hyperloglog": [["PFADD", "k"] + ["element:%d" % i for i in range(500)]],
    "geo": [["GEOADD", "k", "13.361389", "38.115556", "Palermo", "15.087269", "37.502669", "Catania"]],
    "list": [["RPUSH", "k", "a", "1", "-1", "12345678901", "", "b" * 70]],
    "long-list": [["RPUSH", "k"] + ["element:%d" % i for i in range(3000)]],
    "list-of-long": [["RPUSH", "k", "a", b"x" * 9000, "b", b"y" * 70000, "1", LONG, LONG]],
    "intset": [["SADD", "k", "1", "-7", "300", "70000"]],
    "wide-intset": [["SADD", "k", "1", "9223372036854775807", "-9223372036854775808"]],
    "large-intset": [["SADD", "k"] + [str(i * 1000003) for i in range(400)]],
    "numbers-as-table": [["SADD", "k"] + [str(i) for i in range(600)]],
    "set": [["SADD", "k", "a", "1", "", "b" * 60]],
    "large-set": [["SADD", "k"] + ["member:%d" % i for i in range(1000)]],
    "set-of-long": [["SADD", "k", b"x" * 5000, LONG]],
    "hash": [["HSET", "k", "a", "1", "1", "b", "", "", "n", "-5"]],
    "hash-of-a-few-kb": [["HSET", "k"] + [x for i in range(100) for x in ("field:%d" % i, "value of %d" % i)]],
    "hash-of-long": [["HSET", "k", "a", b"x" * 100, "b", "c"]],
    "zset": [["ZADD", "k", "1", "a", "-2.5", "b", "inf", "c", "-inf", "d", "1e21", "7", "0", ""]],
    "zset-of-a-few-kb": [["ZADD", "k"] + [x for i in range(100) for x in (str(i / 8), "member number %d" % i)]],
    "large-zset": [["ZADD", "k"] + [x for i in range(1000) for x in (str(i * 7919 % 1000), "m%d" % i)]],
    "zset-of-long": [["ZADD", "k", "1", b"x" * 100, "-0", "y"]],
    "large-hash": [["HSET", "k"] + [x for i in range(2000) for x in (str(i), "v%d" % i)]],
}
READS = {"string": ["GET"], "list": ["LRANGE", "0", "-1"], "set": ["SMEMBERS"], "hash": ["HGETALL"],
         "zset": ["ZRANGE", "0", "-1", "WITHSCORES"]}


def read(client, key="k"):
    kind = str(client.command("TYPE", key))
    if kind == "none":
        return None
    command = READS[kind]
    reply = client.command(command[0], key, *command[1:])
    if kind == "set":
        reply = sorted(reply)
    elif kind == "hash":
        reply = dict(zip(reply[::2], reply[1::2]))
    return kind, reply


@pytest.fixture
def other(pool, reference_usable):
    if not reference_usable:
        pytest.skip("no reference server")
    server = pool.get("reference")
    yield server.connect_unix()
    server.reset()


@pytest.mark.sherd_only
@pytest.mark.parametrize("name", VALUES)
def test_there_and_back(client, other, name):
    for a, b in (client, other), (other, client):
        a.command("DEL", "k")
        b.command("DEL", "k", "copy")
        for command in VALUES[name]:
            assert not isinstance(a.command(*command), Error)
        made = read(a)
        dumped = a.command("DUMP", "k")
        assert b.command("RESTORE", "k", "0", dumped) == Status("OK")
        assert read(b) == made
        assert b.command("RESTORE", "copy", "0", b.command("DUMP", "k")) == Status("OK")
        assert read(b, "copy") == made


SAME_BYTES = ["number", "zset", "number-of-64-bits", "no-number", "empty-string", "text", "text-that-does-not",
              "intset", "wide-intset", "hash", "large-intset"]


@pytest.mark.sherd_only
@pytest.mark.one_kind
@pytest.mark.parametrize("name", SAME_BYTES)
def test_same_bytes(client, other, name):
    for command in VALUES[name]:
        client.command(*command)
        other.command(*command)
    assert client.command("DUMP", "k") == other.command("DUMP", "k")
    told = [str(x.command("DEBUG", "OBJECT", "k")) for x in (client, other)]
    sizes = [re.search("serializedlength:([0-9]+)", x)[1] for x in told]
    assert sizes[0] == sizes[1]


@pytest.mark.sherd_only
@pytest.mark.one_kind
@pytest.mark.parametrize("name", VALUES)
def test_same_encoding(client, name):
    """A copy by DUMP and RESTORE is called what it was."""
    for command in VALUES[name]:
        client.command(*command)
    assert client.command("RESTORE", "copy", "0", client.command("DUMP", "k")) == Status("OK")
    encoding = client.command("OBJECT", "ENCODING", "k")
    if name == "rope":
        encoding = b"raw"
    assert client.command("OBJECT", "ENCODING", "copy") == encoding
    assert client.command("DEBUG", "DIGEST-VALUE", "copy") == client.command("DEBUG", "DIGEST-VALUE", "k")


BY_HAND = {
    # name: (type, bytes, what comes out, the version that knows it)
    "string-of-32-bit-length": (rdb.STRING, b"\x80\0\0\0\3abc", ("string", b"abc"), 6),
    "string-of-64-bit-length": (rdb.STRING, b"\x81\0\0\0\0\0\0\0\3abc", ("string", b"abc"), 6),
    "numbers": (rdb.LIST, b"\3\xc0\xff\xc1\x00\x80\xc2\xff\xff\xff\x7f",
                ("list", [b"-1", b"-32768", b"2147483647"]), 6),
    "lzf": (rdb.STRING, b"\xc3\x05\x28\x00a\xe0\x1e\x00", ("string", b"a" * 40), 6),
    "lzf-of-another-length": (rdb.STRING, b"\xc3\x05\x29\x00a\xe0\x1e\x00", None, 6),
    "list": (rdb.LIST, strings(b"a", b"", b"7"), ("list", [b"a", b"", b"7"]), 6),
    "set": (rdb.SET, strings(b"a", b"", b"7"), ("set", [b"", b"7", b"a"]), 6),
    "hash": (rdb.HASH, b"\2" + string(b"a") + string(b"1") + string(b"b") + string(b""),
             ("hash", {b"a": b"1", b"b": b""}), 6),
    "zset": (rdb.ZSET, b"\4" + string(b"a") + b"\x031.5" + string(b"b") + b"\xfe" + string(b"c") + b"\xff" +
             string(b"d") + b"\x0217", ("zset", [b"c", b"-inf", b"a", b"1.5", b"d", b"17", b"b", b"inf"]), 6),
    "zset-2": (rdb.ZSET_2, b"\2" + string(b"a") + struct.pack("<d", 1.5) + string(b"b") + struct.pack("<d", -3),
               ("zset", [b"b", b"-3", b"a", b"1.5"]), 8),
    "zset-ziplist": (rdb.ZSET_ZIPLIST, string(ziplist(b"a", -7, b"b", b"2.5")),
                     ("zset", [b"a", b"-7", b"b", b"2.5"]), 6),
    "zset-listpack": (rdb.ZSET_LISTPACK, string(listpack(b"a", -7, 5, b"2.5", b"c", b"inf")),
                      ("zset", [b"a", b"-7", b"5", b"2.5", b"c", b"inf"]), 10),
    "zset-without-number": (rdb.ZSET, b"\1" + string(b"a") + b"\xfd", None, 6),
    "zset-2-without-number": (rdb.ZSET_2, b"\1" + string(b"a") + b"\xff" * 8, None, 8),
    "zset-member-twice": (rdb.ZSET_2, b"\2" + (string(b"a") + b"\0" * 8) * 2, None, 8),
    "zset-of-no-scores": (rdb.ZSET_LISTPACK, string(listpack(b"a", b"b")), None, 10),
    "zipmap": (rdb.ZIPMAP, string(rdb.zipmap((b"a", b"1", 0), (b"b" * 260, b"x" * 300, 3), (b"", b"", 1))),
               ("hash", {b"a": b"1", b"b" * 260: b"x" * 300, b"": b""}), 6),
    "list-ziplist": (rdb.LIST_ZIPLIST, string(ziplist(b"a", 0, 12, 13, -1, 128, 40000, -8388608, 1 << 30, -1 << 62,
                                                      b"x" * 63, b"y" * 64, b"z" * 20000, b"", b"007", b"5")),
                     ("list", [b"a", b"0", b"12", b"13", b"-1", b"128", b"40000", b"-8388608", b"%d" % (1 << 30),
                               b"%d" % (-1 << 62), b"x" * 63, b"y" * 64, b"z" * 20000, b"", b"007", b"5"]), 6),
    "intset-16": (rdb.INTSET, string(rdb.intset(2, -5, 0, 7)), ("set", [b"-5", b"0", b"7"]), 6),
    "intset-64": (rdb.INTSET, string(rdb.intset(8, -5, 0, 7)), ("set", [b"-5", b"0", b"7"]), 6),
    "hash-ziplist": (rdb.HASH_ZIPLIST, string(ziplist(b"a", 1, 2, b"b")), ("hash", {b"a": b"1", b"2": b"b"}), 6),
    "quicklist": (rdb.QUICKLIST, b"\3" + string(ziplist(b"a", 1)) + string(ziplist()) + string(ziplist(b"b")),
                  ("list", [b"a", b"1", b"b"]), 7),
    "hash-listpack": (rdb.HASH_LISTPACK, string(listpack(b"a", 1, 2, b"b" * 200)),
                      ("hash", {b"a": b"1", b"2": b"b" * 200}), 10),
    "quicklist-2": (rdb.QUICKLIST_2, b"\4\2" + string(listpack(b"a", 1)) + b"\1" + string(b"alone") + b"\1" +
                    string(b"12") + b"\2" + string(listpack(b"b")),
                    ("list", [b"a", b"1", b"alone", b"12", b"b"]), 10),
    "set-listpack": (rdb.SET_LISTPACK, string(listpack(b"a", 1, b"b")), ("set", [b"1", b"a", b"b"]), 11),
    "numbers-as-text": (rdb.SET_LISTPACK, string(listpack(b"1", b"-5", b"b")), ("set", [b"-5", b"1", b"b"]), 11),
    "fields-old": (rdb.FIELDS_OLD, b"\2\0" + string(b"a") + string(b"1") + b"\x81" +
                   struct.pack(">Q", 4102444800000) + string(b"b") + string(b"2"),
                   ("hash", {b"a": b"1", b"b": b"2"}), 12),
    "listpackex-old": (rdb.LISTPACKEX_OLD, string(listpack(b"b", b"2", 4102444800000, b"a", 1, 0)),
                       ("hash", {b"a": b"1", b"b": b"2"}), 12),
    "fields": (rdb.FIELDS, struct.pack("<Q", 4102444800000) + b"\3\0" + string(b"a") + string(b"1") + b"\1" +
               string(b"b") + string(b"2") + b"\3" + string(b"c") + string(b"3"),
               ("hash", {b"a": b"1", b"b": b"2", b"c": b"3"}), 12),
    "listpackex": (rdb.LISTPACKEX, struct.pack("<Q", 4102444800000) +
                   string(listpack(b"b", b"2", 4102444800000, b"a", 1, 0)),
                   ("hash", {b"a": b"1", b"b": b"2"}), 12),
    "valkey-fields": (rdb.VALKEY_FIELDS, b"\4" + string(b"a") + string(b"1") + struct.pack("<q", -1) +
                      string(b"b") + string(b"2") + struct.pack("<q", 4102444800000) +
                      string(b"c") + string(b"3") + struct.pack("<q", (1 << 63) - 1) +
                      string(b"d") + string(b"4") + struct.pack("<q", 0),
                      ("hash", {b"a": b"1", b"b": b"2", b"c": b"3"}), 80),
    "valkey-others": (rdb.LIST, strings(b"a", b"", b"7"), ("list", [b"a", b"", b"7"]), 80),
    # none of these is a value
    "no-elements": (rdb.LIST, b"\0", None, 6),
    "no-members": (rdb.SET, b"\0", None, 6),
    "no-fields": (rdb.HASH, b"\0", None, 6),
    "no-packed-elements": (rdb.LIST_ZIPLIST, string(ziplist()), None, 6),
    "no-nodes": (rdb.QUICKLIST_2, b"\0", None, 10),
    "empty-nodes": (rdb.QUICKLIST_2, b"\1\2" + string(listpack()), None, 10),
    "member-twice": (rdb.SET, strings(b"a", b"b", b"a"), None, 6),
    "field-twice": (rdb.HASH, b"\2" + string(b"a") + string(b"1") + string(b"a") + string(b"2"), None, 6),
    "a-field-without-value": (rdb.HASH_LISTPACK, string(listpack(b"a", b"b", b"c")), None, 10),
    "too-many-elements": (rdb.LIST, b"\x81\xff\xff\xff\xff\xff\xff\xff\xff" + string(b"a"), None, 6),
    "too-long-string": (rdb.STRING, b"\x81\xff\xff\xff\xff\xff\xff\xff\xff" + b"a", None, 6),
    "lzf-too-long": (rdb.STRING, b"\xc3\x05\x80\xff\xff\xff\xff\x04abcde", None, 6),
    "intset-out-of-order": (rdb.INTSET, string(rdb.intset(2, 7, 0)), None, 6),
    "unknown-container": (rdb.QUICKLIST_2, b"\1\3" + string(b"a"), None, 10),
    "unknown-type": (200, b"\1a", None, 6),
    "valkey-fields-of-redis": (rdb.FIELDS, struct.pack("<Q", 1) + b"\1\0" + string(b"a") + string(b"1"), None, 80),
    "fields-of-valkey": (rdb.VALKEY_FIELDS, b"\1" + string(b"a") + string(b"1") + struct.pack("<q", -1), None, 12),
    "beyond-redis": (26, b"\1" + string(b"a") + string(b"1") + struct.pack("<q", -1), None, 12),
    "stream": (rdb.STREAM_2, b"\0" + b"\0" * 8 + b"\0", None, 10),
    "module": (rdb.MODULE_2, b"\x81" + b"\1" * 8 + b"\0", None, 10),
}
TAKEN_BY_REFERENCE = ("stream", "intset-out-of-order", "field-twice", "a-field-without-value",
                      "zset-of-no-scores")


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(server, client, name):
    kind, value, expected, version = BY_HAND[name]
    if not server.is_sherd and (version > 10 or name in TAKEN_BY_REFERENCE):
        return
    client.command("SET", "k", "before")
    reply = client.command("RESTORE", "k", "0", rdb.payload(kind, value, version), "REPLACE")
    if expected is None:
        assert reply == Error("ERR Bad data format")
        assert client.command("GET", "k") == b"before"
    else:
        assert reply == Status("OK")
        assert read(client) == expected


@pytest.mark.parametrize("version,refused", [(1, False), (10, False), (13, True), (79, True), (80, False), (81, True), (65535, True)])
def test_versions(server, client, version, refused):
    if not server.is_sherd and version == 80:
        return
    reply = client.command("RESTORE", "k", "0", rdb.payload(rdb.STRING, string(b"x"), version))
    assert (reply == Error("ERR DUMP payload version or checksum are wrong")) == refused


@pytest.mark.sherd_only
def test_fields_keep_their_times(client):
    for few in True, False:
        client.command("DEL", "h", "copy")
        fields = ["field:%d" % i for i in range(3 if few else 200)]
        client.command("HSET", "h", *[x for f in fields for x in (f, "v" * 20)])
        client.command("HPEXPIREAT", "h", "4102444800000", "FIELDS", "2", *fields[1:3])
        client.command("HPEXPIREAT", "h", "4102444800009", "FIELDS", "1", fields[0])
        dumped = client.command("DUMP", "h")
        assert dumped[0] == (rdb.LISTPACKEX if few else rdb.FIELDS) and dumped[-10:-8] == b"\x0c\0"
        assert client.command("RESTORE", "copy", "0", dumped) == Status("OK")
        for key in "h", "copy":
            assert client.command("HPEXPIRETIME", key, "FIELDS", "3", *fields[:3]) == [
                4102444800009, 4102444800000, 4102444800000]
        assert read(client, "copy") == read(client, "h")
        assert client.command("OBJECT", "ENCODING", "copy") == b"listpackex"
        client.command("HPERSIST", "h", "FIELDS", "3", *fields[:3])
        dumped = client.command("DUMP", "h")
        assert dumped[0] == rdb.HASH_LISTPACK and dumped[-10:-8] == b"\x0a\0"
        assert client.command("RESTORE", "copy", "0", dumped, "REPLACE") == Status("OK")
        assert read(client, "copy") == read(client, "h")


@pytest.mark.sherd_only
@pytest.mark.one_kind
def test_fields_that_expired(client):
    """A hash of which nothing is left is not restored, and takes away what it would replace."""
    client.command("SET", "k", "before")
    value = struct.pack("<Q", 5) + b"\1\1" + string(b"a") + string(b"1")
    assert client.command("RESTORE", "k", "0", rdb.payload(rdb.FIELDS, value, 12), "REPLACE") == Status("OK")
    assert client.command("EXISTS", "k") == 0


@pytest.mark.sherd_only
@pytest.mark.one_kind
@pytest.mark.parametrize("name", [x for x in BY_HAND if len(BY_HAND[x][1]) < 1000])
def test_damaged(client, name):
    """Every prefix, and every byte changed: an error or a value, and the server goes on."""
    kind, value, _, version = BY_HAND[name]
    rng = random.Random(name)
    changed = [value[:i] for i in range(len(value))]
    changed += [value[:i] + bytes([x]) + value[i + 1:] for i in range(len(value))
                for x in {0, 255, value[i] ^ 1, value[i] ^ 128, rng.randrange(256)} if x != value[i]]
    replies = client.pipeline([["RESTORE", "k", "0", rdb.payload(kind, x, version), "REPLACE"] for x in changed])
    assert {str(x) for x in replies} <= {"OK", "ERR Bad data format"}
    assert not isinstance(read(client), Error)
    sound = rdb.payload(kind, value, version)
    damaged = [sound[:i] for i in range(len(sound))]
    damaged += [sound[:i] + bytes([sound[i] ^ 1 << rng.randrange(8)]) + sound[i + 1:] for i in range(len(sound))]
    for reply in client.pipeline([["RESTORE", "k", "0", x, "REPLACE"] for x in damaged]):
        assert reply == Error("ERR DUMP payload version or checksum are wrong")


# Values that change while they are dumped

ELEMENTS = 600
FORMS = {
    # what the n-th state is made by, from any state before
    "hash": lambda n: [["HSET", "k"] + [x for i in range(ELEMENTS) for x in ("f%d" % i, str(n))]],
    "small-hash": lambda n: [["HSET", "k"] + [x for i in range(20) for x in ("f%d" % i, str(n))]],
    "zset": lambda n: [["ZADD", "k"] + [x for i in range(ELEMENTS) for x in (str(n), "m%d" % i)]],
    "set": lambda n: [["MULTI"], ["DEL", "k"], ["SADD", "k"] + ["%d:%d" % (n, i) for i in range(ELEMENTS)], ["EXEC"]],
    "list": lambda n: [["MULTI"], ["DEL", "k"], ["RPUSH", "k"] + ["%d:%d" % (n, i) for i in range(ELEMENTS)], ["EXEC"]],
}


def changers(number, address, form, rounds):
    with Client(address) as client:
        for n in range(rounds):
            client.pipeline(FORMS[form](10 * n + number))


def dumpers(number, address, form, rounds):
    """Every payload is one state, whole."""
    copy = "copy:%d" % number
    with Client(address) as client:
        for _ in range(rounds):
            dumped = client.command("DUMP", "k")
            if not dumped:
                continue
            assert client.command("RESTORE", copy, "0", dumped, "REPLACE") == Status("OK")
            kind, value = read(client, copy)
            if kind == "hash":
                states, count = set(value.values()), len(value)
            elif kind == "zset":
                states, count = set(value[1::2]), len(value) // 2
            else:
                states, count = {x.partition(b":")[0] for x in value}, len(set(value))
            assert len(states) == 1 and count == (20 if form == "small-hash" else ELEMENTS)


@pytest.mark.stress
@pytest.mark.parametrize("form", FORMS)
def test_dumped_at_one_moment(server, form):
    rounds = int(SCALE * (2000 if form == "small-hash" else 80))
    workers.run([(changers, (server.path, form, rounds))] * 2 + [(dumpers, (server.path, form, rounds))] * 2)
