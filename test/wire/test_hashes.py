"""Hashes: each command with its options, its limits and its errors; then the expiry of fields, which
the reference server doesn't have."""

import os
import random
import re
import time

import pytest

import servers
import workers
from resp import Client, NIL_ARRAY, NIL_BULK, Status, TIMEOUT_S
from table import table

SCALE = float(os.environ.get("SCALE", "1"))
WRONGTYPE = "-WRONGTYPE Operation against a key holding the wrong kind of value"

test_hashes = table(r"""
## hset and hget
HSET h a 1                              => 1
HSET h a 2 b 3 c ""                     => 2
HGET h a                                => "2"
HGET h c                                => ""
HGET h absent                           => nil
HGET absent a                           => nil
HSET h "" empty "\x00\r\n\xff" "\x00"   => 2
HGET h ""                               => "empty"
HGET h "\x00\r\n\xff"                   => "\x00"
HSET h a 1 a 2 a 3                      => 0
HGET h a                                => "3"
HMSET h a 4 d 5                         => OK
HMGET h a b nosuch d a                  => ["4", "3", nil, "5", "4"]
HMGET absent a b                        => [nil, nil]
HSETNX h a x                            => 0
HSETNX h e x                            => 1
HSETNX new e x                          => 1
HGET h a                                => "4"
HLEN h                                  => 7
HLEN absent                             => 0
HEXISTS h a                             => 1
HEXISTS h nosuch                        => 0
HEXISTS absent a                        => 0
HSTRLEN h ""                            => 5
HSTRLEN h nosuch                        => 0
HSTRLEN absent a                        => 0
TYPE h                                  => +hash
## hash commands with wrong arguments
HSET                                    => -ERR wrong number of arguments for 'hset' command
HSET h                                  => -ERR wrong number of arguments for 'hset' command
HSET h a                                => -ERR wrong number of arguments for 'hset' command
HSET h a 1 b                            => -ERR wrong number of arguments for 'hset' command
HMSET h a                               => -ERR wrong number of arguments for 'hmset' command
HMSET h a 1 b                           => -ERR wrong number of arguments for 'hmset' command
HSETNX h a                              => -ERR wrong number of arguments for 'hsetnx' command
HSETNX h a 1 b                          => -ERR wrong number of arguments for 'hsetnx' command
HGET h                                  => -ERR wrong number of arguments for 'hget' command
HGET h a b                              => -ERR wrong number of arguments for 'hget' command
HMGET h                                 => -ERR wrong number of arguments for 'hmget' command
HGETALL                                 => -ERR wrong number of arguments for 'hgetall' command
HGETALL h x                             => -ERR wrong number of arguments for 'hgetall' command
HDEL h                                  => -ERR wrong number of arguments for 'hdel' command
HLEN h x                                => -ERR wrong number of arguments for 'hlen' command
HEXISTS h                               => -ERR wrong number of arguments for 'hexists' command
HKEYS h x                               => -ERR wrong number of arguments for 'hkeys' command
HVALS h x                               => -ERR wrong number of arguments for 'hvals' command
HSTRLEN h                               => -ERR wrong number of arguments for 'hstrlen' command
HINCRBY h a                             => -ERR wrong number of arguments for 'hincrby' command
HINCRBYFLOAT h a                        => -ERR wrong number of arguments for 'hincrbyfloat' command
HRANDFIELD                              => -ERR wrong number of arguments for 'hrandfield' command
HSCAN h                                 => -ERR wrong number of arguments for 'hscan' command
EXISTS h                                => 0
## hash commands on a value of another type
SET s v                                 => OK
HSET s a 1                              => WRONGTYPE
HSET s a                                => -ERR wrong number of arguments for 'hset' command
HMSET s a 1                             => WRONGTYPE
HSETNX s a 1                            => WRONGTYPE
HGET s a                                => WRONGTYPE
HMGET s a                               => WRONGTYPE
HGETALL s                               => WRONGTYPE
HDEL s a                                => WRONGTYPE
HLEN s                                  => WRONGTYPE
HEXISTS s a                             => WRONGTYPE
HKEYS s                                 => WRONGTYPE
HVALS s                                 => WRONGTYPE
HSTRLEN s a                             => WRONGTYPE
HINCRBY s a 1                           => WRONGTYPE
HINCRBY s a x                           => -ERR value is not an integer or out of range
HINCRBYFLOAT s a 1                      => WRONGTYPE
HINCRBYFLOAT s a x                      => -ERR value is not a valid float
HRANDFIELD s                            => WRONGTYPE
HRANDFIELD s 1                          => WRONGTYPE
HRANDFIELD s 0                          => WRONGTYPE
HRANDFIELD s x                          => -ERR value is not an integer or out of range
HSCAN s 0                               => WRONGTYPE
HSCAN s 0 BAD                           => WRONGTYPE
HSCAN s x                               => -ERR invalid cursor
GET s                                   => "v"
HSET h a 1                              => 1
GET h                                   => WRONGTYPE
INCR h                                  => WRONGTYPE
APPEND h x                              => WRONGTYPE
SETBIT h 0 1                            => WRONGTYPE
SET h v GET                             => WRONGTYPE
HGETALL h                               => {"a": "1"}
SET h v                                 => OK
GET h                                   => "v"
## all of a hash
HGETALL absent                          => {}
HKEYS absent                            => []
HVALS absent                            => []
HSET h a 1 b 2 c x                      => 3
HGETALL h                               => %{"a": "1", "b": "2", "c": "x"}
HKEYS h                                 => %["a", "b", "c"]
HVALS h                                 => %["1", "2", "x"]
## hdel
HSET h a 1 b 2 c 3                      => 3
HDEL h nosuch                           => 0
HDEL h a nosuch a                       => 1
HGETALL h                               => %{"b": "2", "c": "3"}
HDEL h b c d                            => 2
EXISTS h                                => 0
HDEL h b                                => 0
HDEL absent a                           => 0
## hincrby
HINCRBY h a 5                           => 5
HINCRBY h a -7                          => -2
HGET h a                                => "-2"
HSET h t text f 1.5 s " 1" max 9223372036854775807 min -9223372036854775808 z 01 => 6
HINCRBY h t 1                           => -ERR hash value is not an integer
HINCRBY h f 1                           => -ERR hash value is not an integer
HINCRBY h s 1                           => -ERR hash value is not an integer
HINCRBY h z 1                           => -ERR hash value is not an integer
HINCRBY h max 1                         => -ERR increment or decrement would overflow
HINCRBY h min -1                        => -ERR increment or decrement would overflow
HINCRBY h max -9223372036854775808      => -1
HINCRBY h a x                           => -ERR value is not an integer or out of range
HINCRBY h a 1.5                         => -ERR value is not an integer or out of range
HINCRBY h a 9223372036854775808         => -ERR value is not an integer or out of range
HINCRBY h new -9223372036854775808      => -9223372036854775808
## hincrbyfloat
HINCRBYFLOAT h a 1.5                    => "1.5"
HINCRBYFLOAT h a 1.5                    => "3"
HINCRBYFLOAT h a -3.1                   => "-0.1"
HINCRBYFLOAT h b 1e3                    => "1000"
HINCRBYFLOAT h a x                      => -ERR value is not a valid float
HINCRBYFLOAT h a ""                     => -ERR value is not a valid float
HINCRBYFLOAT h a nan                    => -ERR value is not a valid float
HINCRBYFLOAT h a inf                    => -ERR value is NaN or Infinity
HINCRBYFLOAT h a -inf                   => -ERR value is NaN or Infinity
HSET h t text l 1e4932                  => 2
HINCRBYFLOAT h t 1                      => -ERR hash value is not a float
HINCRBYFLOAT h l 1.1e4932               => -ERR increment would produce NaN or Infinity
HGET h l                                => "1e4932"
## hrandfield
HRANDFIELD absent                       => nil
HRANDFIELD absent 5                     => []
HRANDFIELD absent 5 WITHVALUES          => []
HSET h a 1                              => 1
HRANDFIELD h                            => "a"
HRANDFIELD h 0                          => []
HRANDFIELD h 1                          => ["a"]
HRANDFIELD h 5                          => ["a"]
HRANDFIELD h -3                         => ["a", "a", "a"]
HRANDFIELD h 9223372036854775807        => ["a"]
HSET h b 2 c 3                          => 2
HRANDFIELD h                            => ~"[abc]"
HRANDFIELD h 3                          => %["a", "b", "c"]
HRANDFIELD h 2                          => ~\["[abc]", "[abc]"\]
HRANDFIELD h 1 BAD                      => -ERR syntax error
HRANDFIELD h 1 WITHVALUES x             => -ERR syntax error
HRANDFIELD h x                          => -ERR value is not an integer or out of range
HRANDFIELD h 9223372036854775808        => -ERR value is not an integer or out of range
HRANDFIELD h -9223372036854775808       => -ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
HRANDFIELD h 9223372036854775807 WITHVALUES => -ERR value is out of range
HRANDFIELD h -9223372036854775807 WITHVALUES => -ERR value is out of range
HRANDFIELD absent -9223372036854775807  => []
## hrandfield of no bounded length [sherd]
HSET h abcdefgh 1                       => 1
HRANDFIELD h -16777217                  => -ERR value is out of range
HRANDFIELD h -9223372036854775807       => -ERR value is out of range
CONFIG SET proto-max-bulk-len 1mb       => OK
HRANDFIELD h -150000                    => -ERR value is out of range
HRANDFIELD h -60000 WITHVALUES          => -ERR value is out of range
HRANDFIELD h -2                         => ["abcdefgh", "abcdefgh"]
## hrandfield withvalues [resp2]
HSET h a 1                              => 1
HRANDFIELD h 2 WITHVALUES               => ["a", "1"]
HRANDFIELD h -2 withvalues              => ["a", "1", "a", "1"]
## hscan
HSCAN absent 0                          => ["0", []]
HSCAN absent 17                         => ["0", []]
HSCAN absent 0 BAD                      => ["0", []]
HSCAN absent x                          => -ERR invalid cursor
HSET h a 1 b 2 aa 3                     => 3
HSCAN h 0                               => ["0", %["a", "1", "b", "2", "aa", "3"]]
HSCAN h 0 COUNT 1                       => ["0", %["a", "1", "b", "2", "aa", "3"]]
HSCAN h 0 MATCH a*                      => ["0", %["a", "1", "aa", "3"]]
HSCAN h 0 MATCH b COUNT 100             => ["0", ["b", "2"]]
HSCAN h 0 MATCH nosuch                  => ["0", []]
HSCAN h 0 BAD                           => -ERR syntax error
HSCAN h 0 COUNT                         => -ERR syntax error
HSCAN h 0 COUNT 0                       => -ERR syntax error
HSCAN h 0 COUNT x                       => -ERR value is not an integer or out of range
HSCAN h 0 TYPE hash                     => -ERR syntax error
HSCAN h x                               => -ERR invalid cursor
## hscan novalues [sherd]
HSET h a 1 b 2                          => 2
HSCAN h 0 NOVALUES                      => ["0", %["a", "b"]]
HSCAN h 0 MATCH b NOVALUES COUNT 10     => ["0", ["b"]]
HSCAN h 0 NOVALUES x                    => -ERR syntax error
SCAN 0 NOVALUES                         => -ERR syntax error
## keys that are hashes
HSET h a 1 b 2                          => 2
EXPIRE h 1000                           => 1
HSET h c 3                              => 1
TTL h                                   => 990..1000
COPY h copy                             => 1
HSET h a x                              => 0
HGET copy a                             => "1"
TTL copy                                => 990..1000
RENAME h moved                          => OK
HGETALL moved                           => %{"a": "x", "b": "2", "c": "3"}
PERSIST moved                           => 1
MOVE moved 1                            => 1
EXISTS moved                            => 0
SELECT 1                                => OK
HGET moved b                            => "2"
SCAN 0 TYPE hash                        => ["0", ["moved"]]
SCAN 0 TYPE string                      => ["0", []]
DEL moved                               => 1
SELECT 0                                => OK
DBSIZE                                  => 1
## encodings of hashes
HSET h a 1                              => 1
OBJECT ENCODING h                       => "listpack"
HSET h "f"*64 "v"*64                    => 1
OBJECT ENCODING h                       => "listpack"
HSET h a "v"*65                         => 0
OBJECT ENCODING h                       => "hashtable"
HDEL h a                                => 1
OBJECT ENCODING h                       => "hashtable"
HSETNX f "f"*65 v                       => 1
OBJECT ENCODING f                       => "hashtable"
COPY h c                                => 1
OBJECT ENCODING c                       => "hashtable"
HINCRBYFLOAT l a 1e70                   => "10000000000000000000222479489586148259025995410601157579323600873193472"
OBJECT ENCODING l                       => "hashtable"
CONFIG SET hash-max-ziplist-entries 2 hash-max-ziplist-value 3 => OK
CONFIG GET hash-max-listpack-entries    => {"hash-max-listpack-entries": "2"}
CONFIG GET HASH-max-ziplist-value       => {"HASH-max-ziplist-value": "3"}
HSET small a 123 b 1                    => 2
OBJECT ENCODING small                   => "listpack"
HINCRBY small b 1000                    => 1001
OBJECT ENCODING small                   => "hashtable"
HSET few a 1 b 1                        => 2
OBJECT ENCODING few                     => "listpack"
HSET few a 2                            => 0
OBJECT ENCODING few                     => "listpack"
HSET few c 2                            => 1
OBJECT ENCODING few                     => "hashtable"
CONFIG SET hash-max-listpack-entries 512 hash-max-listpack-value 64 => OK
CONFIG SET hash-max-listpack-entries 1 hash-max-ziplist-entries -1 => -ERR CONFIG SET failed (possibly related to argument 'hash-max-ziplist-entries') - argument must be between 0 and 9223372036854775807 inclusive
""".replace("WRONGTYPE\n", WRONGTYPE + "\n"))


# Values on both sides of every border between forms: fields, and bytes of a value.
SIZES = [(2, 1), (50, 10), (51, 100), (100, 64), (512, 1), (513, 1), (3000, 10), (20, 70000)]


def content(client, key):
    """A hash as everybody reads it, in all the ways there are to read it."""
    flat = client.command("HGETALL", key)
    pairs = dict(zip(flat[::2], flat[1::2]))
    names = client.command("HKEYS", key)
    assert len(flat) == 2 * len(pairs) == 2 * client.command("HLEN", key)
    assert sorted(names) == sorted(pairs)
    assert sorted(client.command("HVALS", key)) == sorted(pairs.values())
    assert client.command("HMGET", key, *names) == [pairs[name] for name in names]
    scanned, cursor = {}, b"0"
    while True:
        cursor, flat = client.command("HSCAN", key, cursor, "COUNT", 7)
        scanned.update(zip(flat[::2], flat[1::2]))
        if cursor == b"0":
            break
    assert scanned == pairs
    return pairs


def test_hashes_of_all_sizes(server):
    with server.connect_unix() as client:
        for count, size in SIZES:
            expected = {b"f%d" % i: (b"%d." % i * size)[:size] for i in range(count)}
            client.command("HSET", "h", *[x for pair in expected.items() for x in pair])
            assert content(client, "h") == expected
            encoding = b"listpack" if count <= 512 and size <= 64 else b"hashtable"
            assert client.command("OBJECT", "ENCODING", "h") == encoding
            assert client.command("COPY", "h", "copy", "REPLACE") == 1
            for name in list(expected)[::2]:
                expected[name] = b"changed"
            client.pipeline([["HSET", "h", name, value] for name, value in expected.items()])
            assert content(client, "h") == expected
            assert client.command("HDEL", "h", *list(expected)[:-1]) == count - 1
            assert content(client, "h") == {list(expected)[-1]: list(expected.values())[-1]}
            assert client.command("HLEN", "copy") == count
            assert client.command("DEL", "h", "copy") == 2


def test_random_fields(server):
    """Samples hold no field twice, repeated draws hold every field."""
    with server.connect_unix() as client:
        for count in (10, 1000):
            expected = {b"%d" % i: b"v%d" % i for i in range(count)}
            client.command("HSET", "h", *[x for pair in expected.items() for x in pair])
            for wanted in (1, count // 10, count // 2, count - 1, count, 2 * count):
                found = client.command("HRANDFIELD", "h", wanted)
                assert len(set(found)) == len(found) == min(wanted, count)
                assert set(found) <= set(expected)
            flat = client.command("HRANDFIELD", "h", -30 * count, "WITHVALUES")
            assert len(flat) == 60 * count
            assert dict(zip(flat[::2], flat[1::2])) == expected
            client.command("DEL", "h")


# Fields that expire

test_field_expiry = table(r"""
## fields that expire [sherd]
HSET h a 1 b 2 c 3                      => 3
HEXPIRE h 1000 FIELDS 2 a nosuch        => [1, -2]
HTTL h FIELDS 3 a b nosuch              => [990..1000, -1, -2]
HPTTL h FIELDS 2 a b                    => [990000..1000000, -1]
HEXPIREAT h 33177117 FIELDS 1 b         => [2]
HEXPIREAT h 33177117420 FIELDS 1 c      => [1]
HEXPIRETIME h FIELDS 3 a b c            => [1000000000..33177117420, -2, 33177117420]
HPEXPIREAT h 33177117420123 FIELDS 1 c  => [1]
HPEXPIRETIME h FIELDS 1 c               => [33177117420123]
HEXPIRETIME h FIELDS 1 c                => [33177117421]
HPEXPIRE h 1000000 FIELDS 2 a c         => [1, 1]
HPTTL h FIELDS 2 a c                    => [990000..1000000, 990000..1000000]
HPERSIST h FIELDS 3 a nosuch a          => [1, -2, -1]
HTTL h FIELDS 2 a c                     => [-1, 990..1000]
HGETALL h                               => %{"a": "1", "c": "3"}
HLEN h                                  => 2
TTL h                                   => -1
OBJECT ENCODING h                       => "listpackex"
HPERSIST h FIELDS 1 c                   => [1]
OBJECT ENCODING h                       => "listpackex"
## what keeps an expiry and what takes it away [sherd]
HSET h n 1 f 1.5 s x                    => 3
HEXPIRE h 1000 FIELDS 3 n f s           => [1, 1, 1]
HINCRBY h n 5                           => 6
HINCRBYFLOAT h f 1                      => "2.5"
HSETNX h s y                            => 0
HTTL h FIELDS 3 n f s                   => [990..1000, 990..1000, 990..1000]
HSET h n 7                              => 0
HMSET h f 1                             => OK
HTTL h FIELDS 3 n f s                   => [-1, -1, 990..1000]
HDEL h s                                => 1
HSET h s z                              => 1
HTTL h FIELDS 1 s                       => [-1]
HEXPIRE h 1000 FIELDS 1 s               => [1]
EXPIRE h 2000                           => 1
COPY h copy                             => 1
RENAME h moved                          => OK
HTTL moved FIELDS 2 s n                 => [990..1000, -1]
HTTL copy FIELDS 2 s n                  => [990..1000, -1]
HPERSIST moved FIELDS 1 s               => [1]
HTTL copy FIELDS 1 s                    => [990..1000]
TTL copy                                => 1990..2000
## conditions of hexpire [sherd]
HSET h a 1 b 2                          => 2
HEXPIRE h 1000 XX FIELDS 1 a            => [0]
HEXPIRE h 1000 GT FIELDS 1 a            => [0]
HEXPIRE h 1000 LT FIELDS 1 a            => [1]
HEXPIRE h 1000 nx FIELDS 2 a b          => [0, 1]
HEXPIREAT h 33177117420 GT FIELDS 1 a   => [1]
HEXPIREAT h 33177117420 GT FIELDS 1 a   => [0]
HEXPIREAT h 33177117420 LT FIELDS 1 a   => [0]
HEXPIREAT h 33177117419 GT FIELDS 1 a   => [0]
HEXPIREAT h 33177117419 LT FIELDS 1 a   => [1]
HEXPIREAT h 33177117421 xx FIELDS 1 a   => [1]
HEXPIREAT h 1 GT FIELDS 1 a             => [0]
HEXPIREAT h 1 NX FIELDS 1 a             => [0]
HEXPIREAT h 1 LT FIELDS 1 a             => [2]
HEXPIREAT h 1 FIELDS 2 b nosuch         => [2, -2]
EXISTS h                                => 0
## a time that is over [sherd]
HSET h a 1 b 2                          => 2
HEXPIRE h 0 FIELDS 1 a                  => [2]
HGETALL h                               => {"b": "2"}
HPEXPIREAT h 1 FIELDS 2 b b             => [2, -2]
EXISTS h                                => 0
DBSIZE                                  => 0
HEXPIRE h 10 FIELDS 2 a b               => [-2, -2]
HTTL h FIELDS 1 a                       => [-2]
HPERSIST h FIELDS 2 a b                 => [-2, -2]
EXISTS h                                => 0
## expiry of fields with wrong arguments [sherd]
SET s v                                 => OK
HSET h a 1                              => 1
HEXPIRE h 10 FIELDS 1                   => -ERR wrong number of arguments for 'hexpire' command
HTTL h FIELDS 1                         => -ERR wrong number of arguments for 'httl' command
HEXPIRE s x NOFIELDS 1 a                => WRONGTYPE
HTTL s NOFIELDS 1 a                     => WRONGTYPE
HPERSIST s FIELDS 1 a                   => WRONGTYPE
HEXPIRE h x FIELDS 1 a                  => -ERR value is not an integer or out of range
HEXPIRE h -1 FIELDS 1 a                 => -ERR invalid expire time, must be >= 0
HEXPIRE h 70368744177664 FIELDS 1 a     => -ERR invalid expire time in 'hexpire' command
HEXPIRE h 70368744177 FIELDS 1 a        => -ERR invalid expire time in 'hexpire' command
HPEXPIRE h 70368744177663 FIELDS 1 a    => -ERR invalid expire time in 'hpexpire' command
HPEXPIREAT h 70368744177664 FIELDS 1 a  => -ERR invalid expire time in 'hpexpireat' command
HPEXPIREAT h 70368744177663 FIELDS 1 a  => [1]
HEXPIREAT h 9223372036854775807 FIELDS 1 a => -ERR invalid expire time in 'hexpireat' command
HEXPIREAT absent x FIELDS 1 a           => -ERR value is not an integer or out of range
HEXPIRE h 10 BAD FIELDS 1 a             => -ERR Mandatory argument FIELDS is missing or not at the right position
HEXPIRE h 10 NX XX FIELDS 1 a           => -ERR Mandatory argument FIELDS is missing or not at the right position
HEXPIRE h 10 NX FIELDS 1                => -ERR The `numfields` parameter must match the number of arguments
HEXPIRE h 10 FIELDS 0 a                 => -ERR Parameter `numFields` should be greater than 0
HEXPIRE h 10 FIELDS x a                 => -ERR Parameter `numFields` should be greater than 0
HEXPIRE h 10 FIELDS 2 a                 => -ERR The `numfields` parameter must match the number of arguments
HEXPIRE h 10 FIELDS 1 a b               => -ERR The `numfields` parameter must match the number of arguments
HTTL h BAD 1 a                          => -ERR Mandatory argument FIELDS is missing or not at the right position
HTTL h FIELDS 0 a                       => -ERR Number of fields must be a positive integer
HTTL h FIELDS x a                       => -ERR Number of fields must be a positive integer
HTTL absent FIELDS 2 a                  => -ERR The `numfields` parameter must match the number of arguments
HPERSIST h FIELDS -1 a                  => -ERR Number of fields must be a positive integer
HPEXPIRETIME h FIELDS 1 a               => [70368744177663]
## hgetdel [sherd]
HSET h a 1 b 2 c 3                      => 3
HGETDEL h FIELDS 3 a nosuch a           => ["1", nil, nil]
HGETALL h                               => %{"b": "2", "c": "3"}
HGETDEL h fields 2 b c                  => ["2", "3"]
EXISTS h                                => 0
HGETDEL h FIELDS 2 b c                  => [nil, nil]
HGETDEL h BAD 1 a                       => -ERR Mandatory argument FIELDS is missing or not at the right position
HGETDEL h FIELDS 0 a                    => -ERR Number of fields must be a positive integer
HGETDEL h FIELDS 2 a                    => -ERR The `numfields` parameter must match the number of arguments
HGETDEL h FIELDS 1                      => -ERR wrong number of arguments for 'hgetdel' command
SET s v                                 => OK
HGETDEL s FIELDS 1 a                    => WRONGTYPE
HGETDEL s BAD 1 a                       => WRONGTYPE
## hgetex [sherd]
HSET h a 1 b 2 c 3                      => 3
HGETEX h FIELDS 2 a nosuch              => ["1", nil]
HTTL h FIELDS 1 a                       => [-1]
HGETEX h EX 1000 FIELDS 2 a nosuch      => ["1", nil]
HGETEX h px 1000000 FIELDS 1 b          => ["2"]
HGETEX h EXAT 33177117420 FIELDS 1 c    => ["3"]
HTTL h FIELDS 2 a b                     => [990..1000, 990..1000]
HEXPIRETIME h FIELDS 1 c                => [33177117420]
HGETEX h PXAT 33177117420123 FIELDS 1 c => ["3"]
HPEXPIRETIME h FIELDS 1 c               => [33177117420123]
HGETEX h PERSIST FIELDS 3 a nosuch c    => ["1", nil, "3"]
HTTL h FIELDS 3 a b c                   => [-1, 990..1000, -1]
HGETEX h FIELDS 1 b                     => ["2"]
HTTL h FIELDS 1 b                       => [990..1000]
HGETEX h EX 0 FIELDS 2 b b              => ["2", nil]
HGETEX h EXAT 1 FIELDS 2 a c            => ["1", "3"]
EXISTS h                                => 0
HGETEX h EX 10 FIELDS 1 a               => [nil]
HGETEX h EX x FIELDS 1 a                => -ERR value is not an integer or out of range
HGETEX h EX -1 FIELDS 1 a               => -ERR invalid expire time, must be >= 0
HGETEX h PX 70368744177663 FIELDS 1 a   => -ERR invalid expire time in 'hgetex' command
HGETEX h BAD FIELDS 1 a                 => -ERR Mandatory argument FIELDS is missing or not at the right position
HGETEX h EX 10 PX 10 FIELDS 1 a         => -ERR Mandatory argument FIELDS is missing or not at the right position
HGETEX h EX 10 FIELDS                   => -ERR wrong number of arguments for 'hgetex' command
HGETEX h FIELDS 0 a                     => -ERR Number of fields must be a positive integer
HGETEX h PERSIST FIELDS 2 a             => -ERR The `numfields` parameter must match the number of arguments
EXISTS h                                => 0
SET s v                                 => OK
HGETEX s EX x FIELDS 1 a                => WRONGTYPE
## hsetex [sherd]
HSETEX h EX 1000 FIELDS 2 a 1 b 2       => 1
HGETALL h                               => %{"a": "1", "b": "2"}
HTTL h FIELDS 2 a b                     => [990..1000, 990..1000]
HSETEX h KEEPTTL FIELDS 2 a x c y       => 1
HMGET h a c                             => ["x", "y"]
HTTL h FIELDS 3 a b c                   => [990..1000, 990..1000, -1]
HSETEX h FIELDS 1 a z                   => 1
HTTL h FIELDS 2 a b                     => [-1, 990..1000]
HSETEX h FNX EX 10 FIELDS 2 new 1 a 2   => 0
HSETEX h FXX EX 10 FIELDS 2 new 1 a 2   => 0
HMGET h new a                           => [nil, "z"]
HSETEX h fnx exat 33177117420 FIELDS 1 new 1 => 1
HSETEX h PXAT 33177117420123 fxx FIELDS 1 a 2 => 1
HPEXPIRETIME h FIELDS 2 new a           => [33177117420000, 33177117420123]
HSETEX h PX 0 FIELDS 2 a 1 nosuch 2     => 1
HMGET h a nosuch b                      => [nil, nil, "2"]
HSETEX h EXAT 1 FIELDS 3 b 1 c 1 new 1  => 1
EXISTS h                                => 0
HSETEX h FXX FIELDS 1 a 1               => 0
HSETEX h EXAT 1 FIELDS 1 a 1            => 1
EXISTS h                                => 0
HSETEX h EX 10                          => -ERR wrong number of arguments for 'hsetex' command
HSETEX h EX 10 FIELDS 1 a               => -ERR wrong number of arguments for 'hsetex' command
HSETEX h EX 10 FIELDS 1 a b c           => -ERR wrong number of arguments for 'hsetex' command
HSETEX h EX 10 FIELDS 2 a b             => -ERR wrong number of arguments for 'hsetex' command
HSETEX h EX 10 FIELDS 0 a b             => -ERR invalid number of fields
HSETEX h EX 10 FIELDS x a b             => -ERR invalid number of fields
HSETEX h EX 10 PX 10 FIELDS 1 a b       => -ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified
HSETEX h KEEPTTL KEEPTTL FIELDS 1 a b   => -ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified
HSETEX h FNX FXX FIELDS 1 a b           => -ERR Only one of FXX or FNX arguments can be specified
HSETEX h EX x FIELDS 1 a b              => -ERR value is not an integer or out of range
HSETEX h EX -1 FIELDS 1 a b             => -ERR invalid expire time, must be >= 0
HSETEX h EXAT 70368744178 FIELDS 1 a b  => -ERR invalid expire time in 'hsetex' command
HSETEX h FNX FXY FIELDS 1 a b           => -ERR unknown argument: FXY
HSETEX h FNX KEEPTTL a b PX             => -ERR unknown argument: a
HSETEX h FNX FNX FNX FNX                => -ERR Only one of FXX or FNX arguments can be specified
EXISTS h                                => 0
SET s v                                 => OK
HSETEX s EX 10 FIELDS 1 a b             => WRONGTYPE
HSETEX s EX x FIELDS 1 a b              => -ERR value is not an integer or out of range
## fields are gone when their time comes [sherd]
HSET h a 1 b 2 c 3                      => 3
HPEXPIRE h 1 FIELDS 1 a                 => [1]
HGET h a                                ?=> nil
HMGET h a b                             => [nil, "2"]
HEXISTS h a                             => 0
HSTRLEN h a                             => 0
HLEN h                                  => 2
HGETALL h                               => %{"b": "2", "c": "3"}
HKEYS h                                 => %["b", "c"]
HVALS h                                 => %["2", "3"]
HRANDFIELD h 5                          => %["b", "c"]
HSCAN h 0                               => ["0", %["b", "2", "c", "3"]]
HTTL h FIELDS 1 a                       => [-2]
HPERSIST h FIELDS 1 a                   => [-2]
HEXPIRE h 10 FIELDS 1 a                 => [-2]
HDEL h a                                => 0
HSETNX h a new                          => 1
HPEXPIRE h 1 FIELDS 3 a b c             => [1, 1, 1]
EXISTS h                                ?=> 0
TYPE h                                  => +none
HLEN h                                  => 0
HSET h d 4                              => 1
HGETALL h                               => {"d": "4"}
""".replace("WRONGTYPE\n", WRONGTYPE + "\n"))


@pytest.mark.sherd_only
def test_the_sweep_removes_fields(server):
    """What nobody asks for goes all the same: fields in hashes of all sizes, then the hashes."""
    sizes = {b"small": 10, b"large": 3000, b"all": 2000}
    with server.connect_unix() as client:
        for key, size in sizes.items():
            client.command("HSET", key, *[x for i in range(size) for x in (b"%d" % i, b"value")])
            assert client.command("EXPIRE", key, 10000) == 1
        before = expired(client)
        for key, size in sizes.items():
            gone = range(size) if key == b"all" else range(0, size, 2)
            client.command("HPEXPIRE", key, 20, "FIELDS", len(gone), *[b"%d" % i for i in gone])
        deadline = time.monotonic() + TIMEOUT_S
        while client.command("DBSIZE") != 2 or expired(client) < before + 5 + 1500 + 2000:
            assert time.monotonic() < deadline
            time.sleep(.005)
        for key in (b"small", b"large"):
            left = [b"%d" % i for i in range(1, sizes[key], 2)]
            assert sorted(client.command("HKEYS", key)) == sorted(left)
            assert client.command("TTL", key) > 9000
        assert expired(client) == before + 5 + 1500 + 2000


def expired(client):
    stats = client.command("INFO", "stats").decode()
    return int(re.search("expired_subkeys:([0-9]+)", stats)[1])


@pytest.mark.sherd_only
def test_expired_fields_are_nowhere_before_the_sweep(start):
    """Without a sweep they are invisible all the same, and so is a hash that has no other."""
    with start("sherd-2", ("enable-debug-command", "yes")).connect_unix() as client:
        assert client.command("DEBUG", "SET-ACTIVE-EXPIRE", 0) == Status("OK")
        for size in (10, 200, 2000):
            names = [b"%d" % i for i in range(size)]
            client.command("HSET", "h", *[x for name in names for x in (name, b"value")])
            client.command("HPEXPIRE", "h", 1, "FIELDS", size - 1, *names[1:])
            time.sleep(.01)
            assert client.command("HLEN", "h") == 1
            assert client.command("HGETALL", "h") == [b"0", b"value"]
            assert client.command("HRANDFIELD", "h", -5) == [b"0"] * 5
            assert client.command("HRANDFIELD", "h", 5) == [b"0"]
            assert client.command("HMGET", "h", *names) == [b"value"] + [NIL_BULK] * (size - 1)
            assert client.command("HPEXPIRE", "h", 1, "FIELDS", 1, "0") == [1]
            time.sleep(.01)
            assert client.command("HLEN", "h") == 0
            assert client.command("HGETALL", "h") == []
            if size < 256:      # of a larger one only the sweep knows that all has expired
                assert client.command("EXISTS", "h") == 0
            assert client.command("HSET", "h", "1", "new") == 1
            assert client.command("HGETALL", "h") == [b"1", b"new"]
            assert client.command("DEL", "h") == 1


# Writers give all fields of a hash the same value, rename it, let it go: nobody sees two values.

def setters(number, address, names, count):
    rng = random.Random(number)
    with Client(address) as client:
        for i in range(count):
            value = b"%d.%d" % (number, i) * rng.choice([1, 5])
            client.command("HSET", "h", *[x for name in names for x in (name, value)])
            if rng.random() < .2:
                client.command(*rng.choice([["DEL", "h"], ["RENAME", "h", "other"],
                                            ["COPY", "other", "h", "REPLACE"],
                                            ["EXPIRE", "h", 1000], ["HDEL", "h", *names]]))


def readers(number, address, names, count):
    with Client(address) as client:
        for _ in range(count):
            replies = client.pipeline([["HVALS", "h"], ["HMGET", "h", *names], ["HLEN", "h"],
                                       ["HGETALL", "other"], ["HRANDFIELD", "h", 5]])
            assert len(set(replies[0])) <= 1 and len(replies[0]) in (0, len(names))
            assert len(set(replies[1])) == 1
            assert replies[2] in (0, len(names))
            assert len(set(replies[3][1::2])) <= 1 and len(replies[3]) in (0, 2 * len(names))
            assert set(replies[4]) <= set(names) and len(set(replies[4])) == len(replies[4])


@pytest.mark.stress
@pytest.mark.parametrize("size", [4, 60, 1000])
def test_fields_change_at_one_moment(server, size):
    names = [b"f%d" % i for i in range(size)]
    rounds = int(SCALE * 6000 / (10 + size // 4))
    workers.run([(setters, (server.path, names, rounds))] * 2 +
                [(readers, (server.path, names, rounds))] * 3)


# What else is said of hashes

def test_the_older_names_of_limits(start, kind):
    """One option by either name; rewritten under the one of now."""
    server = start(kind, config="hash-max-ziplist-entries 100\nhash-max-ziplist-value 9\n")
    with server.connect_unix() as client:
        assert client.command("CONFIG", "SET", "hash-max-ziplist-value", "12") == Status("OK")
        assert servers.pairs(client.command("CONFIG", "GET", "hash-max-*")) == {
            b"hash-max-listpack-entries": b"100", b"hash-max-ziplist-entries": b"100",
            b"hash-max-listpack-value": b"12", b"hash-max-ziplist-value": b"12"}
        assert client.command("CONFIG", "REWRITE") == Status("OK")
    with open(os.path.join(server.directory, "conf")) as file:
        text = file.read()
    assert "hash-max-listpack-entries 100\n" in text and "hash-max-listpack-value 12\n" in text
    assert "ziplist" not in text


def test_debug_and_memory_of_hashes(start, kind):
    """Equal hashes have equal digests however they came to be; larger ones take more memory."""
    with start(kind, ("enable-debug-command", "yes")).connect_unix() as client:
        all_of_it = [x for i in range(200) for x in (b"f%d" % i, b"value %d" % i)]
        client.command("HSET", "one", *all_of_it)
        client.pipeline([["HSET", "two", *all_of_it[i:i + 2]] for i in range(0, len(all_of_it), 2)][::-1])
        client.command("HSET", "small", *all_of_it[:10])
        client.command("HSET", "copy", *all_of_it[:10], "x", "y" * 2000)
        client.command("HDEL", "copy", "x")
        digests = client.command("DEBUG", "DIGEST-VALUE", "one", "two", "small", "copy", "absent")
        assert digests[0] == digests[1] != digests[2] == digests[3] != digests[4]
        client.command("HSET", "two", "f0", "other")
        assert client.command("DEBUG", "DIGEST-VALUE", "two") != digests[:1]
        told = client.command("DEBUG", "OBJECT", "one").text.decode()
        assert re.search("encoding:listpack serializedlength:[0-9]+ ", told)
        small, large = [client.command("MEMORY", "USAGE", key) for key in ("small", "one")]
        assert 100 < small < 400 and 3000 < large < 30000


@pytest.mark.sherd_only
@pytest.mark.parametrize("size", [10, 2000])
def test_expiring_fields_touch_who_watches(start, size):
    with start("sherd-2", ("enable-debug-command", "yes")).connect_unix() as client:
        client.command("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        client.command("HSET", "h", *[x for i in range(size) for x in (b"%d" % i, b"value")])
        client.command("HPEXPIRE", "h", 1, "FIELDS", 1, "0")
        client.command("WATCH", "h")
        client.command("MULTI")
        client.command("HEXISTS", "h", "1")
        assert client.command("EXEC") == [1]
        client.command("WATCH", "h")
        client.command("DEBUG", "SET-ACTIVE-EXPIRE", 1)
        deadline = time.monotonic() + TIMEOUT_S
        while expired(client) == 0:
            assert time.monotonic() < deadline
            time.sleep(.005)
        client.command("MULTI")
        client.command("HEXISTS", "h", "1")
        assert client.command("EXEC") == NIL_ARRAY
