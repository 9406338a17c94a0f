"""Sets: each command with its options, its limits and its errors."""

import os
import random

import pytest

import workers
from resp import Client, Error
from table import table

SCALE = float(os.environ.get("SCALE", "1"))

test_add_remove = table(r"""
## sadd and smembers
SADD s a b c a                          => 3
SADD s a                                => 0
SADD s d a                              => 1
SMEMBERS s                              => set["a", "b", "c", "d"]
SCARD s                                 => 4
TYPE s                                  => +set
SADD s "" "\x00\r\n\xff"                => 2
SMEMBERS s                              => set["a", "b", "c", "d", "", "\x00\r\n\xff"]
SMEMBERS absent                         => set[]
SCARD absent                            => 0
## numbers and what only looks like them
SADD n 1 01 1.0 -0 0 +1 " 1" "1 "       => 8
SADD n 1 01 0                           => 0
SMEMBERS n                              => set["1", "01", "1.0", "-0", "0", "+1", " 1", "1 "]
SISMEMBER n 1                           => 1
SISMEMBER n 001                         => 0
SREM n 01 +1                            => 2
SMEMBERS n                              => set["1", "1.0", "-0", "0", " 1", "1 "]
## integers of each width
SADD i 0 127 128 -1 4095 -4096 32767 -32768 32768 8388607 -8388609 2147483647 => 12
SADD i -2147483648 2147483648 9223372036854775807 -9223372036854775808 => 4
SADD i 9223372036854775807 -32768 127   => 0
SCARD i                                 => 16
SMISMEMBER i 9223372036854775807 -9223372036854775808 -2147483648 8388606 => [1, 1, 1, 0]
SADD i 9223372036854775808              => 1
SISMEMBER i 9223372036854775808         => 1
SISMEMBER i -9223372036854775808        => 1
SCARD i                                 => 17
SMEMBERS i                              => set["0", "127", "128", "-1", "4095", "-4096", "32767", "-32768", "32768", "8388607", "-8388609", "2147483647", "-2147483648", "2147483648", "9223372036854775807", "-9223372036854775808", "9223372036854775808"]
## srem
SADD s a b c 1                          => 4
SREM s a x a                            => 1
SREM s x                                => 0
SREM absent x                           => 0
SREM s 1 01                             => 1
SREM s b c                              => 2
EXISTS s                                => 0
SREM s b                                => 0
SADD i 1 2 300000                       => 3
SREM i x 1.5 2                          => 1
SREM i 1 300000                         => 2
EXISTS i                                => 0
## a set keeps its time to live until it goes
SADD s a b                              => 2
EXPIRE s 1000                           => 1
SADD s c                                => 1
TTL s                                   => 999..1000
SREM s a                                => 1
TTL s                                   => 999..1000
SPOP s 1                                => *
TTL s                                   => 999..1000
SREM s b c                              => 1
SADD s a                                => 1
TTL s                                   => -1
PEXPIREAT s 1                           => 1
SMEMBERS s                              => set[]
SADD s x                                => 1
SMEMBERS s                              => set["x"]
## long members
SADD s "x"*64 "x"*65 "y"*5000           => 3
SADD s "x"*65 "y"*5000                  => 0
SMISMEMBER s "x"*64 "x"*66 "y"*5000     => [1, 0, 1]
SADD s "z"*100000                       => 1
SMEMBERS s                              => set["x"*64, "x"*65, "y"*5000, "z"*100000]
SREM s "z"*100000 "x"*65                => 2
SMEMBERS s                              => set["x"*64, "y"*5000]
## sismember and smismember
SADD s a 1                              => 2
SISMEMBER s a                           => 1
SISMEMBER s 1                           => 1
SISMEMBER s b                           => 0
SISMEMBER absent a                      => 0
SMISMEMBER s a b 1 a                    => [1, 0, 1, 1]
SMISMEMBER absent a b                   => [0, 0]
## smove
SADD a 1 2 x                            => 3
SADD b 3                                => 1
SMOVE a b 1                             => 1
SMOVE a b 1                             => 0
SMOVE a b x                             => 1
SMEMBERS a                              => set["2"]
SMEMBERS b                              => set["3", "1", "x"]
SMOVE a a 2                             => 1
SMOVE a a 3                             => 0
SADD b 2                                => 1
SMOVE a b 2                             => 1
EXISTS a                                => 0
SCARD b                                 => 4
SMOVE absent b x                        => 0
SMOVE b c x                             => 1
SMEMBERS c                              => set["x"]
SET str v                               => OK
SMOVE absent str x                      => 0
SMOVE str b x                           => -WRONGTYPE Operation against a key holding the wrong kind of value
SMOVE b str 3                           => -WRONGTYPE Operation against a key holding the wrong kind of value
SMOVE b str absent                      => -WRONGTYPE Operation against a key holding the wrong kind of value
SMOVE str str x                         => -WRONGTYPE Operation against a key holding the wrong kind of value
SMEMBERS b                              => set["3", "1", "2"]
## what keys in general do to sets
SADD s a 1                              => 2
RENAME s t                              => OK
COPY t u                                => 1
SADD t b                                => 1
SMEMBERS u                              => set["a", "1"]
MOVE u 1                                => 1
SELECT 1                                => OK
SMEMBERS u                              => set["a", "1"]
SELECT 0                                => OK
SET t v                                 => OK
GET t                                   => "v"
SADD w 1                                => 1
GETSET w v                              => -WRONGTYPE Operation against a key holding the wrong kind of value
APPEND w v                              => -WRONGTYPE Operation against a key holding the wrong kind of value
SCAN 0 TYPE set COUNT 100               => ["0", ["w"]]
DEL w                                   => 1
""")

test_random_members = table(r"""
## spop
SADD s a                                => 1
SPOP s                                  => "a"
SPOP s                                  => nil
EXISTS s                                => 0
SADD i 17                               => 1
SPOP i                                  => "17"
SADD s a b 3                            => 3
SPOP s 0                                => set[]
SPOP s 3                                => set["a", "b", "3"]
EXISTS s                                => 0
SADD s a b 3                            => 3
SPOP s 10                               => set["a", "b", "3"]
SPOP s 10                               => set[]
SPOP s 0                                => set[]
SPOP absent                             => nil
SADD s a a a                            => 1
SPOP s 9223372036854775807              => set["a"]
## spop with wrong arguments
SPOP s -1                               => -ERR value is out of range, must be positive
SPOP s x                                => -ERR value is out of range, must be positive
SPOP s ""                               => -ERR value is out of range, must be positive
SPOP s 9223372036854775808              => -ERR value is out of range, must be positive
SPOP s 1 2                              => -ERR syntax error
SET str v                               => OK
SPOP str -1                             => -ERR value is out of range, must be positive
SPOP str 0                              => -WRONGTYPE Operation against a key holding the wrong kind of value
## srandmember
SADD s a                                => 1
SRANDMEMBER s                           => "a"
SRANDMEMBER s 1                         => ["a"]
SRANDMEMBER s 0                         => []
SRANDMEMBER s 5                         => ["a"]
SRANDMEMBER s -3                        => ["a", "a", "a"]
SRANDMEMBER absent                      => nil
SRANDMEMBER absent 5                    => []
SRANDMEMBER absent -5                   => []
SRANDMEMBER absent 0                    => []
SADD s b 3                              => 2
SRANDMEMBER s 3                         => %["a", "b", "3"]
SRANDMEMBER s 9223372036854775807       => %["a", "b", "3"]
SRANDMEMBER s                           => ~"(a|b|3)"
SRANDMEMBER s -4                        => [*, *, *, *]
SCARD s                                 => 3
## srandmember with wrong arguments
SADD s a                                => 1
SRANDMEMBER s x                         => -ERR value is not an integer or out of range
SRANDMEMBER s -9223372036854775808      => -ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
SRANDMEMBER s 1 2                       => -ERR syntax error
SET str v                               => OK
SRANDMEMBER str x                       => -ERR value is not an integer or out of range
SRANDMEMBER str 0                       => -WRONGTYPE Operation against a key holding the wrong kind of value
SRANDMEMBER str 1 2                     => -ERR syntax error
## srandmember of no bounded length [sherd]
SADD s abcdefgh                         => 1
CONFIG SET proto-max-bulk-len 1mb       => OK
SRANDMEMBER s -9223372036854775807      => -ERR value is out of range
SRANDMEMBER s -150000                   => -ERR value is out of range
SRANDMEMBER s -2                        => ["abcdefgh", "abcdefgh"]
SRANDMEMBER absent -9223372036854775807 => []
""")

test_operations = table(r"""
## sinter
SADD a 1 2 3 x                          => 4
SADD b 2 3 4 x y                        => 5
SADD c 3 x 9                            => 3
SINTER a b c                            => set["3", "x"]
SINTER a                                => set["1", "2", "3", "x"]
SINTER a a                              => set["1", "2", "3", "x"]
SINTER a b absent                       => set[]
SINTER absent                           => set[]
SADD i 1 2 3                            => 3
SADD j 3 4 100000                       => 3
SINTER i j                              => set["3"]
SINTER i a j                            => set["3"]
SET str v                               => OK
SINTER a str                            => -WRONGTYPE Operation against a key holding the wrong kind of value
SINTER absent str                       => -WRONGTYPE Operation against a key holding the wrong kind of value
SINTER str absent                       => -WRONGTYPE Operation against a key holding the wrong kind of value
## sunion
SADD a 1 x                              => 2
SADD b 1 y "z"*100                      => 3
SADD i 1 5 100000                       => 3
SUNION a b i absent                     => set["1", "x", "y", "z"*100, "5", "100000"]
SUNION i i                              => set["1", "5", "100000"]
SUNION i                                => set["1", "5", "100000"]
SUNION absent absent                    => set[]
SET str v                               => OK
SUNION a str                            => -WRONGTYPE Operation against a key holding the wrong kind of value
## sdiff
SADD a 1 2 3 x                          => 4
SADD b 2 x                              => 2
SADD i 3                                => 1
SDIFF a b                               => set["1", "3"]
SDIFF a b i                             => set["1"]
SDIFF a absent                          => set["1", "2", "3", "x"]
SDIFF absent a                          => set[]
SDIFF a                                 => set["1", "2", "3", "x"]
SDIFF a a                               => set[]
SDIFF a b a                             => set[]
SET str v                               => OK
SDIFF absent str                        => -WRONGTYPE Operation against a key holding the wrong kind of value
SDIFF a str                             => -WRONGTYPE Operation against a key holding the wrong kind of value
## the store forms
SADD a 1 2 x                            => 3
SADD b 2 x y                            => 3
SINTERSTORE d a b                       => 2
SMEMBERS d                              => set["2", "x"]
SUNIONSTORE d a b                       => 4
SMEMBERS d                              => set["1", "2", "x", "y"]
SDIFFSTORE d a b                        => 1
SMEMBERS d                              => set["1"]
SDIFFSTORE d a a                        => 0
EXISTS d                                => 0
SDIFFSTORE d a a                        => 0
SINTERSTORE d a absent                  => 0
SUNIONSTORE d absent                    => 0
## the store forms over a source
SADD a 1 2 x                            => 3
SADD b 2 x y                            => 3
SUNIONSTORE a a b                       => 4
SMEMBERS a                              => set["1", "2", "x", "y"]
SINTERSTORE a b a                       => 3
SMEMBERS a                              => set["2", "x", "y"]
SDIFFSTORE a a b                        => 0
EXISTS a                                => 0
SUNIONSTORE b b                         => 3
SMEMBERS b                              => set["2", "x", "y"]
## the store forms over other things
SET d v                                 => OK
SADD a 1 2                              => 2
SUNIONSTORE d a                         => 2
TYPE d                                  => +set
EXPIRE d 1000                           => 1
SUNIONSTORE d a                         => 2
TTL d                                   => -1
SET d v                                 => OK
SINTERSTORE d a absent                  => 0
EXISTS d                                => 0
SET str v                               => OK
SET d v                                 => OK
SUNIONSTORE d a str                     => -WRONGTYPE Operation against a key holding the wrong kind of value
SINTERSTORE d absent str                => -WRONGTYPE Operation against a key holding the wrong kind of value
SDIFFSTORE d str                        => -WRONGTYPE Operation against a key holding the wrong kind of value
GET d                                   => "v"
## sintercard
SADD a 1 2 3 x                          => 4
SADD b 2 3 x y                          => 4
SINTERCARD 2 a b                        => 3
SINTERCARD 1 a                          => 4
SINTERCARD 2 a absent                   => 0
SINTERCARD 1 absent                     => 0
SINTERCARD 2 a b LIMIT 2                => 2
SINTERCARD 2 a b LIMIT 0                => 3
SINTERCARD 2 a b limit 9223372036854775807 => 3
SINTERCARD 2 a b LIMIT 2 LIMIT 1        => 1
## sintercard with wrong arguments
SINTERCARD 0 a                          => -ERR numkeys should be greater than 0
SINTERCARD -1 a                         => -ERR numkeys should be greater than 0
SINTERCARD x a                          => -ERR numkeys should be greater than 0
SINTERCARD 9223372036854775808 a        => -ERR numkeys should be greater than 0
SINTERCARD 2 a                          => -ERR Number of keys can't be greater than number of args
SINTERCARD 9223372036854775807 a        => -ERR Number of keys can't be greater than number of args
SINTERCARD 4294967297 a                 => -ERR Number of keys can't be greater than number of args
SINTERCARD 1 a b                        => -ERR syntax error
SINTERCARD 1 a LIMIT                    => -ERR syntax error
SINTERCARD 1 a LIMIT -1                 => -ERR LIMIT can't be negative
SINTERCARD 1 a LIMIT x                  => -ERR LIMIT can't be negative
SINTERCARD 1 a LIMIT 1 x                => -ERR syntax error
SET str v                               => OK
SINTERCARD 1 str LIMIT x                => -ERR LIMIT can't be negative
SINTERCARD 1 str                        => -WRONGTYPE Operation against a key holding the wrong kind of value
SINTERCARD 2 absent str                 => -WRONGTYPE Operation against a key holding the wrong kind of value
COMMAND GETKEYS SINTERCARD 2 a b LIMIT 1 => ["a", "b"]
COMMAND GETKEYS SINTERCARD 3 a b        => -ERR Invalid arguments specified for command
COMMAND GETKEYS SINTERCARD x a b        => -ERR Invalid arguments specified for command
COMMAND GETKEYSANDFLAGS SINTERCARD 1 a  => [["a", set[+RO, +access]]]
COMMAND GETKEYSANDFLAGS SINTERSTORE d a => [["d", set[+RW, +update]], ["a", set[+RO, +access]]]
""")

test_scan_arguments = table(r"""
## sscan
SADD s a b 3                            => 3
SSCAN s 0                               => ["0", %["a", "b", "3"]]
SSCAN s 0 MATCH [a-b] COUNT 100         => ["0", %["a", "b"]]
SSCAN s 0 MATCH 3                       => ["0", ["3"]]
SSCAN s 0 match * count 1000            => ["0", %["a", "b", "3"]]
SSCAN absent 0                          => ["0", []]
SADD i 3 1 200                          => 3
SSCAN i 0 MATCH 2*                      => ["0", ["200"]]
## sscan with wrong arguments
SADD s a                                => 1
SSCAN s x                               => -ERR invalid cursor
SSCAN s 0 COUNT                         => -ERR syntax error
SSCAN s 0 COUNT 0                       => -ERR syntax error
SSCAN s 0 COUNT x                       => -ERR value is not an integer or out of range
SSCAN s 0 MATCH                         => -ERR syntax error
SSCAN s 0 TYPE set                      => -ERR syntax error
SSCAN absent 0 COUNT x                  => ["0", []]
SSCAN absent x                          => -ERR invalid cursor
SET str v                               => OK
SSCAN str x                             => -ERR invalid cursor
SSCAN str 0 COUNT x                     => -WRONGTYPE Operation against a key holding the wrong kind of value
""")

test_errors = table(r"""
## sets with wrong arguments
SADD                                    => -ERR wrong number of arguments for 'sadd' command
SADD s                                  => -ERR wrong number of arguments for 'sadd' command
SREM s                                  => -ERR wrong number of arguments for 'srem' command
SMOVE a b                               => -ERR wrong number of arguments for 'smove' command
SMOVE a b c d                           => -ERR wrong number of arguments for 'smove' command
SCARD                                   => -ERR wrong number of arguments for 'scard' command
SCARD a b                               => -ERR wrong number of arguments for 'scard' command
SISMEMBER s                             => -ERR wrong number of arguments for 'sismember' command
SISMEMBER s a b                         => -ERR wrong number of arguments for 'sismember' command
SMISMEMBER s                            => -ERR wrong number of arguments for 'smismember' command
SMEMBERS                                => -ERR wrong number of arguments for 'smembers' command
SMEMBERS a b                            => -ERR wrong number of arguments for 'smembers' command
SSCAN s                                 => -ERR wrong number of arguments for 'sscan' command
SPOP                                    => -ERR wrong number of arguments for 'spop' command
SRANDMEMBER                             => -ERR wrong number of arguments for 'srandmember' command
SINTER                                  => -ERR wrong number of arguments for 'sinter' command
SINTERSTORE d                           => -ERR wrong number of arguments for 'sinterstore' command
SINTERCARD 1                            => -ERR wrong number of arguments for 'sintercard' command
SUNION                                  => -ERR wrong number of arguments for 'sunion' command
SUNIONSTORE d                           => -ERR wrong number of arguments for 'sunionstore' command
SDIFF                                   => -ERR wrong number of arguments for 'sdiff' command
SDIFFSTORE d                            => -ERR wrong number of arguments for 'sdiffstore' command
## sets of another type
SET str v                               => OK
SADD str a                              => -WRONGTYPE Operation against a key holding the wrong kind of value
SREM str a                              => -WRONGTYPE Operation against a key holding the wrong kind of value
SCARD str                               => -WRONGTYPE Operation against a key holding the wrong kind of value
SISMEMBER str a                         => -WRONGTYPE Operation against a key holding the wrong kind of value
SMISMEMBER str a                        => -WRONGTYPE Operation against a key holding the wrong kind of value
SMEMBERS str                            => -WRONGTYPE Operation against a key holding the wrong kind of value
SPOP str                                => -WRONGTYPE Operation against a key holding the wrong kind of value
SPOP str 1                              => -WRONGTYPE Operation against a key holding the wrong kind of value
SRANDMEMBER str                         => -WRONGTYPE Operation against a key holding the wrong kind of value
SRANDMEMBER str -1                      => -WRONGTYPE Operation against a key holding the wrong kind of value
GET str                                 => "v"
""")

# Since 7.2 a small set that isn't all integers is a listpack; 7.0 has only the other two.
test_encodings = table(r"""
## encodings of sets [sherd]
SADD s 1 2 3                            => 3
OBJECT ENCODING s                       => "intset"
SADD s x                                => 1
OBJECT ENCODING s                       => "listpack"
SREM s x                                => 1
OBJECT ENCODING s                       => "listpack"
SADD s "y"*64                           => 1
OBJECT ENCODING s                       => "listpack"
SADD s "y"*65                           => 1
OBJECT ENCODING s                       => "hashtable"
SREM s "y"*65                           => 1
OBJECT ENCODING s                       => "hashtable"
COPY s t                                => 1
OBJECT ENCODING t                       => "hashtable"
SUNIONSTORE t s                         => 4
OBJECT ENCODING t                       => "listpack"
SINTERSTORE u s t                       => 4
OBJECT ENCODING u                       => "listpack"
SREM s "y"*64                           => 1
SDIFFSTORE t s absent                   => 3
OBJECT ENCODING t                       => "intset"
## encodings of sets by their limits [sherd]
CONFIG SET set-max-intset-entries 3 set-max-listpack-entries 2 set-max-listpack-value 4 => OK
SADD i 1 2 3                            => 3
OBJECT ENCODING i                       => "intset"
SADD i 4                                => 1
OBJECT ENCODING i                       => "hashtable"
SADD j 1 1 1 1                          => 1
OBJECT ENCODING j                       => "hashtable"
SADD k 1 2                              => 2
SADD k 1 1 1 1                          => 0
OBJECT ENCODING k                       => "hashtable"
SADD l a                                => 1
SADD l bbbb                             => 1
OBJECT ENCODING l                       => "listpack"
SADD l c                                => 1
OBJECT ENCODING l                       => "hashtable"
SADD m a ccccc                          => 2
OBJECT ENCODING m                       => "hashtable"
SADD n 12345                            => 1
OBJECT ENCODING n                       => "intset"
SADD n a                                => 1
OBJECT ENCODING n                       => "hashtable"
SADD o 1234                             => 1
SADD o a                                => 1
OBJECT ENCODING o                       => "listpack"
SMEMBERS n                              => set["12345", "a"]
SMEMBERS o                              => set["1234", "a"]
## encodings of sets in 7.0 [reference]
SADD s 1 2 3                            => 3
OBJECT ENCODING s                       => "intset"
SADD s x                                => 1
OBJECT ENCODING s                       => "hashtable"
""")

# Numbers of members on both sides of what changes how a set is kept: the limits of the encodings (128
# and 512), and some hundred bytes.
SIZES = [1, 2, 60, 127, 128, 129, 250, 511, 512, 513, 1500, 5000]
MEMBERS = {
    "small integers": lambda i: b"%d" % i,
    "large integers": lambda i: b"%d" % (i * 2 ** 40 - 2 ** 50),
    "short": lambda i: b"m%d" % i,
    "long": lambda i: b"m%d" % i + b"x" * (i % 90),
    "mixed": lambda i: b"%d" % i if i % 2 else b"m%d" % i,
}


def encoding(members):
    integers = all(str(int(m)).encode() == m if m.lstrip(b"-").isdigit() else False for m in members)
    if integers and len(members) <= 512:
        return b"intset"
    fits = len(members) <= 128 and all(len(m) <= 64 for m in members)
    return b"listpack" if fits and not integers else b"hashtable"


@pytest.mark.parametrize("kind_of_member", MEMBERS)
@pytest.mark.parametrize("size", SIZES)
def test_sizes(server, kind_of_member, size):
    """Filled one by one, asked about, and emptied in another order."""
    members = [MEMBERS[kind_of_member](i) for i in range(size)]
    rng = random.Random(size)
    with server.connect_unix() as client:
        shuffled = rng.sample(members, size)
        assert client.pipeline([["SADD", "s", m] for m in shuffled]) == [1] * size
        assert client.command("SCARD", "s") == size
        assert sorted(client.command("SMEMBERS", "s")) == sorted(members)
        assert client.command("SMISMEMBER", "s", *members, b"no", b"-77") == [1] * size + [0, 0]
        if server.name != "reference":
            assert client.command("OBJECT", "ENCODING", "s") == encoding(members)
        assert client.command("SUNIONSTORE", "copy", "s") == size
        assert client.command("SDIFF", "s", "copy") == []
        half = shuffled[size // 2:]
        assert client.command("SREM", "s", *half, b"no") == len(half)
        assert sorted(client.command("SMEMBERS", "s") or []) == sorted(shuffled[:size // 2])
        assert sorted(client.command("SDIFF", "copy", "s")) == sorted(half)
        assert client.command("SINTERCARD", 2, "s", "copy") == size // 2
        assert sorted(client.command("SUNION", "s", "copy")) == sorted(members)
        popped = client.command("SPOP", "copy", size // 3)
        left = client.command("SMEMBERS", "copy")
        assert sorted(popped + left) == sorted(members) and len(popped) == size // 3
        assert sorted(client.command("SPOP", "s", size)) == sorted(shuffled[:size // 2])
        assert client.command("EXISTS", "s") == 0


@pytest.mark.parametrize("size", [1, 10, 128, 129, 600, 3000])
def test_full_scan(server, size):
    members = {b"member:%d" % i for i in range(size)}
    with server.connect_unix() as client:
        client.command("SADD", "s", *members)
        for options in ([], ["COUNT", 1], ["COUNT", 1000], ["MATCH", "member:*"]):
            found, cursor = [], b"0"
            while True:
                cursor, some = client.command("SSCAN", "s", cursor, *options)
                found += some
                if cursor == b"0":
                    break
            assert set(found) == members


@pytest.mark.parametrize("stay, others", [(20, 2000), (1500, 40), (1500, 1500)])
def test_scan_keeps_what_stays(server, stay, others):
    """Between two steps others are added and removed, so that the set changes its form and its
    table grows, splits and shrinks under the cursor."""
    rng = random.Random(stay)
    members = {b"stays:%d" % i for i in range(stay)}
    with server.connect_unix() as client:
        client.command("SADD", "s", *members)
        for _ in range(4):
            found, cursor = set(), b"0"
            while True:
                cursor, some = client.command("SSCAN", "s", cursor, "COUNT", rng.choice([1, 10, 100]))
                found |= set(some)
                if cursor == b"0":
                    break
                start = rng.randrange(others)
                client.command(rng.choice(["SADD", "SREM"]), "s",
                               *[b"goes:%d" % i for i in range(start, start + others)])
            assert members <= found


@pytest.mark.parametrize("size", [5, 200, 2000])
def test_random_members_are_members(server, size):
    members = {b"%d" % i for i in range(size)}
    with server.connect_unix() as client:
        client.command("SADD", "s", *members)
        for count in (1, 2, size // 2, size - 1, size, size + 1):
            some = client.command("SRANDMEMBER", "s", count)
            assert len(some) == len(set(some)) == min(count, size) and set(some) <= members
            some = client.command("SRANDMEMBER", "s", -count)
            assert len(some) == count and set(some) <= members
        assert client.command("SCARD", "s") == size


@pytest.mark.parametrize("size", [8, 8 * 40])
@pytest.mark.parametrize("command", [["SRANDMEMBER", "s"], ["SRANDMEMBER", "s", 1],
                                     ["SRANDMEMBER", "s", 3], ["SRANDMEMBER", "s", -3], ["SPOP", "s"]])
def test_every_member_has_its_chance(server, size, command):
    """Each comes up, and none all the time: 40 draws a member; a member that is as likely as others
    stays away with a chance of e^-40."""
    members = [b"%d" % i for i in range(size)]
    seen = {}
    with server.connect_unix() as client:
        client.command("SADD", "s", *members)
        for _ in range(40 * size // 100 + 1):
            replies = client.pipeline([command] * 100 if command[0] != "SPOP" else
                                      [command, ["SADD", "s", *members]] * 100)
            for reply in replies:
                for member in reply if isinstance(reply, list) else [reply]:
                    if isinstance(member, bytes):
                        seen[member] = seen.get(member, 0) + 1
    assert set(seen) == set(members)
    assert max(seen.values()) < 20 * sum(seen.values()) / size


def test_moves_keep_the_number(server):
    """Members moved about between sets of all kinds are never lost and never doubled."""
    rng = random.Random(7)
    keys = ["a", "b", "c", "{t}d"]
    with server.connect_unix() as client:
        members = [b"%d" % i for i in range(300)] + [b"m%d" % i for i in range(300)]
        client.command("SADD", "a", *members)
        moved = client.pipeline([["SMOVE", *rng.choices(keys, k=2), rng.choice(members)]
                                 for _ in range(4000)])
        assert not any(isinstance(x, Error) for x in moved) and sum(moved) > 500
        assert sum(client.pipeline([["SCARD", k] for k in keys])) == len(members)
        assert client.command("SINTERCARD", 2, "a", "b") == 0
        assert sorted(client.command("SUNION", *keys)) == sorted(members)


# Writers move members about while readers look: nobody sees one twice, or not at all.

HOMES = ["a", "b", "c", "{t}d"]


def movers(number, address, members, count):
    rng = random.Random(number)
    with Client(address) as client:
        for _ in range(count):
            moves = [["SMOVE", *rng.sample(HOMES, 2), rng.choice(members)] for _ in range(20)]
            assert set(client.pipeline(moves)) <= {0, 1}


def onlookers(number, address, members, count):
    rng = random.Random(number)
    with Client(address) as client:
        for _ in range(count):
            assert sorted(client.command("SUNION", *HOMES)) == members
            assert client.command("SINTERCARD", 2, *rng.sample(HOMES, 2)) == 0
            one, two = rng.sample(HOMES, 2)
            both = client.pipeline([["SDIFF", one, two], ["SRANDMEMBER", one, 5], ["SPOP", one, 0]])
            assert set(both[0] + both[1]) <= set(members)
            assert len(set(both[1])) == len(both[1])


@pytest.mark.stress
@pytest.mark.parametrize("size", [8, 60, 700])
def test_members_move_at_one_moment(server, size):
    members = sorted([b"%d" % i for i in range(size // 2)] + [b"m%d" % i for i in range(size // 2)])
    with server.connect_unix() as client:
        client.command("SADD", HOMES[0], *members)
    rounds = int(SCALE * 3000 / (10 + size // 4))
    workers.run([(movers, (server.path, members, rounds))] * 2 +
                [(onlookers, (server.path, members, rounds))] * 3)
    with server.connect_unix() as client:
        assert sum(client.pipeline([["SCARD", x] for x in HOMES])) == len(members)


def changers(number, address, count):
    """Each has members of its own in one set, and knows which of them are in it."""
    rng = random.Random(number)
    mine, present = [b"%d:%d" % (number, i) for i in range(400)], set()
    with Client(address) as client:
        for _ in range(count):
            some = set(rng.sample(mine, rng.randrange(1, 60)))
            if rng.random() < .5:
                assert client.command("SADD", "big", *some) == len(some - present)
                present |= some
            else:
                assert client.command("SREM", "big", *some) == len(some & present)
                present -= some
            assert client.command("SMISMEMBER", "big", *mine) == [x in present for x in mine]
            found = client.command("SMEMBERS", "big")
            assert len(set(found)) == len(found)
            assert {x for x in found if x.startswith(b"%d:" % number)} == present


@pytest.mark.stress
def test_one_set_for_all(server):
    """What one has added or removed is so for all its later reads, from whatever worker."""
    workers.run([(changers, (server.path, int(150 * SCALE)))] * 4)
