"""Keys as such: whether they are there, what they are called, which database they are in."""

import pytest

from resp import Error, Status
from table import table

test_presence = table(r"""
## del and unlink and exists and touch
DEL a                                   => 0
MSET a 1 b 2 c 3                        => OK
EXISTS a                                => 1
EXISTS a b c d                          => 3
EXISTS a a a                            => 3
TOUCH a b d                             => 2
TOUCH a a                               => 2
DEL a d                                 => 1
EXISTS a                                => 0
UNLINK b c d                            => 2
DBSIZE                                  => 0
MSET {t}a 1 {t}b 2                      => OK
DEL {t}a {t}a {t}b                      => 2
MSET a 1 b 2                            => OK
DEL a a                                 => 1
UNLINK b b                              => 1
SET k v PXAT 1                          => OK
DEL k                                   => 0
UNLINK k                                => 0
EXISTS k                                => 0
TOUCH k                                 => 0
SET "\x00" v                            => OK
EXISTS "\x00" ""                        => 1
DEL "\x00"                              => 1
DEL                                     => -ERR wrong number of arguments for 'del' command
UNLINK                                  => -ERR wrong number of arguments for 'unlink' command
EXISTS                                  => -ERR wrong number of arguments for 'exists' command
TOUCH                                   => -ERR wrong number of arguments for 'touch' command
## type
TYPE a                                  => +none
SET a 1                                 => OK
TYPE a                                  => +string
TYPE                                    => -ERR wrong number of arguments for 'type' command
TYPE a b                                => -ERR wrong number of arguments for 'type' command
## dbsize
DBSIZE                                  => 0
MSET a 1 b 2 c 3                        => OK
DBSIZE                                  => 3
DEL b                                   => 1
DBSIZE                                  => 2
SET a 2                                 => OK
DBSIZE                                  => 2
DBSIZE x                                => -ERR wrong number of arguments for 'dbsize' command
## keys
KEYS *                                  => []
MSET one 1 two 2 three 3 four 4         => OK
KEYS *                                  => %["one", "two", "three", "four"]
KEYS t*                                 => %["two", "three"]
KEYS *o*                                => %["one", "two", "four"]
KEYS ????                               => ["four"]
KEYS one                                => ["one"]
KEYS [ot]*                              => %["one", "two", "three"]
KEYS [^ot]*                             => ["four"]
KEYS [a-o]*                             => %["one", "four"]
KEYS x*                                 => []
KEYS ""                                 => []
SET "" v                                => OK
KEYS ""                                 => [""]
MSET a[b 1 a*c 2 a\c 3 "a\x00d" 4       => OK
KEYS a[b                                => []
KEYS "a\\*c"                            => ["a*c"]
KEYS "a\\\\c"                           => ["a\\c"]
KEYS "a\x00*"                           => ["a\x00d"]
KEYS "a\\[b"                            => ["a[b"]
KEYS a?c                                => %["a\\c", "a*c"]
KEYS [a-                                => []
KEYS [z-a]*                             => %["four", "three", "a[b", "two", "a\\c", "a*c", "one", "a\x00d"]
KEYS "[\\]a]*c"                         => %["a\\c", "a*c"]
KEYS []                                 => []
KEYS "a\\"                              => []
SET k v PXAT 1                          => OK
KEYS k                                  => []
KEYS                                    => -ERR wrong number of arguments for 'keys' command
KEYS a b                                => -ERR wrong number of arguments for 'keys' command
## keys with a hash tag
MSET {t}1 a {t}2 b {u}1 c t1 d          => OK
KEYS {t}*                               => %["{t}1", "{t}2"]
KEYS {t}1                               => ["{t}1"]
KEYS *1                                 => %["{t}1", "{u}1", "t1"]
## randomkey
RANDOMKEY                               => nil
SET k v                                 => OK
RANDOMKEY                               => "k"
SET k v PXAT 1                          => OK
RANDOMKEY                               => nil
MSET a 1 b 2                            => OK
RANDOMKEY                               => ~"[ab]"
RANDOMKEY x                             => -ERR wrong number of arguments for 'randomkey' command
""")

test_names = table(r"""
## rename
RENAME absent b                         => -ERR no such key
SET a 1                                 => OK
RENAME a b                              => OK
EXISTS a                                => 0
GET b                                   => "1"
RENAME b b                              => OK
GET b                                   => "1"
RENAME absent absent                    => -ERR no such key
SET c 3 EX 100                          => OK
RENAME c b                              => OK
GET b                                   => "3"
TTL b                                   => 99..100
DBSIZE                                  => 1
SET d 4                                 => OK
RENAME d b                              => OK
TTL b                                   => -1
MSET {t}a 1 {t}b 2                      => OK
RENAME {t}a {t}b                        => OK
GET {t}b                                => "1"
SET big "x"*100000 EX 100               => OK
RENAME big bigger                       => OK
STRLEN bigger                           => 100000
TTL bigger                              => 99..100
SET e v PXAT 1                          => OK
RENAME e f                              => -ERR no such key
RENAME                                  => -ERR wrong number of arguments for 'rename' command
RENAME a                                => -ERR wrong number of arguments for 'rename' command
RENAME a b c                            => -ERR wrong number of arguments for 'rename' command
## renamenx
RENAMENX absent b                       => -ERR no such key
MSET a 1 b 2                            => OK
RENAMENX a b                            => 0
MGET a b                                => ["1", "2"]
RENAMENX a c                            => 1
MGET a c                                => [nil, "1"]
RENAMENX c c                            => 0
GET c                                   => "1"
MSET {t}a 1 {t}b 2                      => OK
RENAMENX {t}a {t}b                      => 0
RENAMENX {t}a {t}c                      => 1
SET e v PXAT 1                          => OK
RENAMENX b e                            => 1
GET e                                   => "2"
TTL e                                   => -1
SET x 1 EX 100                          => OK
RENAMENX x y                            => 1
TTL y                                   => 99..100
RENAMENX a                              => -ERR wrong number of arguments for 'renamenx' command
RENAMENX a b c                          => -ERR wrong number of arguments for 'renamenx' command
## copy
COPY absent b                           => 0
SET a 1 EX 100                          => OK
COPY a b                                => 1
GET b                                   => "1"
TTL b                                   => 99..100
SET c 3                                 => OK
COPY c b                                => 0
GET b                                   => "1"
COPY c b REPLACE                        => 1
GET b                                   => "3"
TTL b                                   => -1
COPY a a                                => -ERR source and destination objects are the same
COPY a a REPLACE                        => -ERR source and destination objects are the same
COPY a z DB 3                           => 1
EXISTS z                                => 0
SELECT 3                                => OK
GET z                                   => "1"
TTL z                                   => 99..100
COPY z z DB 0                           => 1
COPY z z DB 0                           => 0
COPY z z DB 0 REPLACE                   => 1
COPY z z DB 3                           => -ERR source and destination objects are the same
SELECT 0                                => OK
GET z                                   => "1"
COPY absent z REPLACE                   => 0
EXISTS z                                => 1
SET e v PXAT 1                          => OK
COPY e f                                => 0
COPY a e                                => 1
## copy with wrong arguments
COPY                                    => -ERR wrong number of arguments for 'copy' command
COPY a                                  => -ERR wrong number of arguments for 'copy' command
COPY a b BAD                            => -ERR syntax error
COPY a b DB                             => -ERR syntax error
COPY a b DB 16                          => -ERR DB index is out of range
COPY a b DB -1                          => -ERR DB index is out of range
COPY a b DB abc                         => -ERR value is not an integer or out of range
COPY a b DB 99999999999                 => -ERR value is out of range, value must between -2147483648 and 2147483647
COPY a b REPLACE DB                     => -ERR syntax error
COPY a b replace db 1                   => 0
COPY a b REPLACE REPLACE                => 0
COPY a b DB 1 DB 2                      => 0
""")

test_databases = table(r"""
## select
SET k zero                              => OK
SELECT 1                                => OK
GET k                                   => nil
SET k one                               => OK
SELECT 15                               => OK
DBSIZE                                  => 0
SELECT 0                                => OK
GET k                                   => "zero"
SELECT 16                               => -ERR DB index is out of range
SELECT -1                               => -ERR DB index is out of range
SELECT abc                              => -ERR value is not an integer or out of range
SELECT 99999999999                      => -ERR value is out of range, value must between -2147483648 and 2147483647
SELECT 9223372036854775808              => -ERR value is not an integer or out of range
SELECT ""                               => -ERR value is not an integer or out of range
SELECT                                  => -ERR wrong number of arguments for 'select' command
SELECT 1 2                              => -ERR wrong number of arguments for 'select' command
GET k                                   => "zero"
## move
SET k v EX 100                          => OK
MOVE k 1                                => 1
EXISTS k                                => 0
MOVE k 1                                => 0
SELECT 1                                => OK
GET k                                   => "v"
TTL k                                   => 99..100
SELECT 0                                => OK
SET k w                                 => OK
MOVE k 1                                => 0
GET k                                   => "w"
SELECT 1                                => OK
GET k                                   => "v"
MOVE k 1                                => -ERR source and destination objects are the same
MOVE k 16                               => -ERR DB index is out of range
MOVE k -1                               => -ERR DB index is out of range
MOVE k abc                              => -ERR value is not an integer or out of range
MOVE absent 2                           => 0
MOVE absent 1                           => -ERR source and destination objects are the same
MOVE k                                  => -ERR wrong number of arguments for 'move' command
MOVE k 1 2                              => -ERR wrong number of arguments for 'move' command
SET e v PXAT 1                          => OK
MOVE e 2                                => 0
## swapdb
SET k zero                              => OK
SELECT 1                                => OK
MSET k one l one                        => OK
SWAPDB 0 1                              => OK
GET k                                   => "zero"
DBSIZE                                  => 1
SELECT 0                                => OK
GET k                                   => "one"
DBSIZE                                  => 2
SWAPDB 0 0                              => OK
GET k                                   => "one"
SWAPDB 0 5                              => OK
DBSIZE                                  => 0
SWAPDB 5 0                              => OK
DBSIZE                                  => 2
SET t v EX 100                          => OK
SWAPDB 0 1                              => OK
SELECT 1                                => OK
TTL t                                   => 99..100
SWAPDB                                  => -ERR wrong number of arguments for 'swapdb' command
SWAPDB 0                                => -ERR wrong number of arguments for 'swapdb' command
SWAPDB 0 1 2                            => -ERR wrong number of arguments for 'swapdb' command
SWAPDB a 1                              => -ERR invalid first DB index
SWAPDB 0 b                              => -ERR invalid second DB index
SWAPDB 0 16                             => -ERR DB index is out of range
SWAPDB 16 0                             => -ERR DB index is out of range
SWAPDB -1 0                             => -ERR DB index is out of range
SWAPDB 0 99999999999999                 => -ERR invalid second DB index
## flushdb and flushall
MSET a 1 b 2                            => OK
SELECT 1                                => OK
SET c 3                                 => OK
FLUSHDB                                 => OK
DBSIZE                                  => 0
SELECT 0                                => OK
DBSIZE                                  => 2
FLUSHDB SYNC                            => OK
DBSIZE                                  => 0
SET a 1                                 => OK
FLUSHDB ASYNC                           => OK
DBSIZE                                  => 0
MSET a 1 b 2                            => OK
SELECT 1                                => OK
FLUSHALL                                => OK
SET a 1                                 => OK
SELECT 0                                => OK
DBSIZE                                  => 0
FLUSHALL sync                           => OK
SET a 1                                 => OK
FLUSHALL ASYNC                          => OK
DBSIZE                                  => 0
SELECT 1                                => OK
DBSIZE                                  => 0
SET a 1                                 => OK
FLUSHALL BAD                            => -ERR syntax error
FLUSHALL SYNC ASYNC                     => -ERR syntax error
FLUSHDB BAD                             => -ERR syntax error
FLUSHDB SYNC SYNC                       => -ERR syntax error
GET a                                   => "1"
""")

test_object = table(r"""
## object
OBJECT ENCODING absent                  => nil
OBJECT REFCOUNT absent                  => nil
OBJECT IDLETIME absent                  => nil
OBJECT FREQ absent                      => nil
SET k v                                 => OK
OBJECT ENCODING k                       => "embstr"
OBJECT REFCOUNT k                       => 1
OBJECT IDLETIME k                       => 0..1
OBJECT FREQ k                           => -ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.
object encoding k                       => "embstr"
CONFIG SET maxmemory-policy allkeys-lfu => OK
SET l v                                 => OK
OBJECT FREQ l                           => 0..255
OBJECT IDLETIME l                       => -ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.
CONFIG SET maxmemory-policy noeviction  => OK
SET e v PXAT 1                          => OK
OBJECT ENCODING e                       => nil
OBJECT                                  => -ERR wrong number of arguments for 'object' command
OBJECT BAD k                            => -ERR unknown subcommand 'BAD'. Try OBJECT HELP.
OBJECT ENCODING                         => -ERR wrong number of arguments for 'object|encoding' command
OBJECT ENCODING a b                     => -ERR wrong number of arguments for 'object|encoding' command
OBJECT REFCOUNT                         => -ERR wrong number of arguments for 'object|refcount' command
OBJECT IDLETIME                         => -ERR wrong number of arguments for 'object|idletime' command
OBJECT FREQ a b                         => -ERR wrong number of arguments for 'object|freq' command
OBJECT HELP x                           => -ERR wrong number of arguments for 'object|help' command
OBJECT HELP                             => ~\[\+OBJECT <subcommand> .*\+HELP, [^,]*\]
""")


def test_keys_is_exact_with_many_keys(client):
    """More keys than one table block holds, in all databases' tables."""
    names = {b"key:%d" % i for i in range(3000)}
    client.pipeline([["SET", name, "v"] for name in names])
    assert client("DBSIZE") == 3000
    assert sorted(client("KEYS *")) == sorted(names)
    assert sorted(client("KEYS key:1?")) == sorted(b"key:1%d" % i for i in range(10))
    assert {client("RANDOMKEY") for _ in range(20)} <= names
    client.pipeline([["DEL", name] for name in sorted(names)[:1500]])
    assert sorted(client("KEYS *")) == sorted(names)[1500:]
    assert client("DBSIZE") == 1500


def test_randomkey_finds_every_key(client):
    """Each of 20 keys is chosen within 4000 draws: to miss one has odds below 1e-80."""
    names = {b"k%d" % i for i in range(20)}
    client.pipeline([["SET", name, "v"] for name in names])
    assert set(client.pipeline(["RANDOMKEY"] * 4000)) == names


def test_multi_key_commands_with_many_keys(client):
    """Thousands of keys in one command, spread over all shards."""
    names = ["key:%d" % i for i in range(5000)]
    mset = ["MSET"] + [x for name in names for x in (name, "v-" + name)]
    assert client.command(*mset) == Status("OK")
    assert client.command("MGET", *names) == [b"v-" + n.encode() for n in names]
    assert client.command("EXISTS", *names) == 5000
    assert client.command("TOUCH", *names) == 5000
    assert client.command("MSETNX", *mset[1:]) == 0
    assert client.command("UNLINK", *names[:2500]) == 2500
    assert client.command("DEL", *names) == 2500
    assert client("DBSIZE") == 0


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB", "FLUSHALL ASYNC"])
def test_flush_of_many_keys(client, command):
    client("DEBUG POPULATE 20000")
    assert client("DBSIZE") == 20000
    assert client(command) == Status("OK")
    assert client("DBSIZE") == 0
    assert client("KEYS *") == []
    assert not isinstance(client("SET key:1 v"), Error)
    assert client("DBSIZE") == 1
