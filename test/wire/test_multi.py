"""Transactions: MULTI, EXEC, DISCARD, WATCH, UNWATCH."""

import re

import pytest

import resp
from resp import (Closed, Error, Map, NIL, NIL_ARRAY, NIL_BULK, Status, encode)
from table import table
from waiting import until

OK, QUEUED = Status("OK"), Status("QUEUED")
ABORT = "EXECABORT Transaction discarded because of previous errors."

test_multi = table(r"""
## a transaction
MULTI                                   => OK
SET k 1                                 => +QUEUED
INCR k                                  => +QUEUED
MGET k nosuch                           => +QUEUED
EXEC                                    => [OK, 2, ["2", nil]]
GET k                                   => "2"
## exec of nothing
MULTI                                   => OK
EXEC                                    => []
MULTI                                   => OK
EXEC                                    => []
## exec of reads
MSET {a}1 one {b}1 two {c}1 three       => OK
MULTI                                   => OK
GET {a}1                                => +QUEUED
MGET {a}1 {b}1 {c}1                     => +QUEUED
STRLEN {c}1                             => +QUEUED
GET nosuch                              => +QUEUED
EXEC                                    => ["one", ["one", "two", "three"], 5, nil]
## without multi
EXEC                                    => -ERR EXEC without MULTI
DISCARD                                 => -ERR DISCARD without MULTI
UNWATCH                                 => OK
## arguments
MULTI x                                 => -ERR wrong number of arguments for 'multi' command
EXEC x                                  => -EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command
DISCARD x                               => -ERR wrong number of arguments for 'discard' command
WATCH                                   => -ERR wrong number of arguments for 'watch' command
UNWATCH x                               => -ERR wrong number of arguments for 'unwatch' command
## discard
SET k 1                                 => OK
MULTI                                   => OK
SET k 2                                 => +QUEUED
DISCARD                                 => OK
GET k                                   => "1"
EXEC                                    => -ERR EXEC without MULTI
## nested
MULTI                                   => OK
SET k 1                                 => +QUEUED
MULTI                                   => -ERR MULTI calls can not be nested
SET k 2                                 => +QUEUED
EXEC                                    => [OK, OK]
GET k                                   => "2"
## errors while queueing
SET k 1                                 => OK
MULTI                                   => OK
SET k 2                                 => +QUEUED
NOSUCH a                                => -"ERR unknown command 'NOSUCH', with args beginning with: 'a' "
SET k 3                                 => +QUEUED
EXEC                                    => -EXECABORT Transaction discarded because of previous errors.
GET k                                   => "1"
EXEC                                    => -ERR EXEC without MULTI
MULTI                                   => OK
GET                                     => -ERR wrong number of arguments for 'get' command
EXEC                                    => -EXECABORT Transaction discarded because of previous errors.
MULTI                                   => OK
CLIENT NOSUCH                           => -ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.
EXEC                                    => -EXECABORT Transaction discarded because of previous errors.
MULTI                                   => OK
CLIENT                                  => -ERR wrong number of arguments for 'client' command
EXEC                                    => -EXECABORT Transaction discarded because of previous errors.
MULTI                                   => OK
GET                                     => -ERR wrong number of arguments for 'get' command
DISCARD                                 => OK
MULTI                                   => OK
SET k 4                                 => +QUEUED
EXEC                                    => [OK]
MULTI                                   => OK
EXEC x                                  => -EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command
EXEC                                    => -ERR EXEC without MULTI
MULTI                                   => OK
DISCARD x                               => -ERR wrong number of arguments for 'discard' command
EXEC                                    => -EXECABORT Transaction discarded because of previous errors.
MULTI                                   => OK
WATCH                                   => -ERR wrong number of arguments for 'watch' command
EXEC                                    => -EXECABORT Transaction discarded because of previous errors.
MULTI                                   => OK
MULTI x                                 => -ERR wrong number of arguments for 'multi' command
EXEC                                    => -EXECABORT Transaction discarded because of previous errors.
## errors while running
SET s text                              => OK
MULTI                                   => OK
SET a 1                                 => +QUEUED
INCR s                                  => +QUEUED
SET a 2 NX XX                           => +QUEUED
EXPIRE a notanumber                     => +QUEUED
INCR a                                  => +QUEUED
EXEC                                    => [OK, -ERR value is not an integer or out of range, -ERR syntax error, -ERR value is not an integer or out of range, 2]
GET a                                   => "2"
## errors while reading
SET s text                              => OK
MULTI                                   => OK
GET s                                   => +QUEUED
GETRANGE s x y                          => +QUEUED
GET s                                   => +QUEUED
EXEC                                    => ["text", -ERR value is not an integer or out of range, "text"]
## not allowed inside
SET k 1                                 => OK
MULTI                                   => OK
SET k 2                                 => +QUEUED
SHUTDOWN NOSAVE                         => -ERR Command not allowed inside a transaction
EXEC                                    => -EXECABORT Transaction discarded because of previous errors.
GET k                                   => "1"
## watch inside
MULTI                                   => OK
WATCH k                                 => -ERR WATCH inside MULTI is not allowed
SET k 1                                 => +QUEUED
EXEC                                    => [OK]
## unwatch inside is queued
WATCH k                                 => OK
SET k 1                                 => OK
MULTI                                   => OK
UNWATCH                                 => +QUEUED
SET k 2                                 => +QUEUED
EXEC                                    => nil[]
MULTI                                   => OK
UNWATCH                                 => +QUEUED
EXEC                                    => [OK]
## reset inside [resp2]
WATCH k                                 => OK
SET k 1                                 => OK
MULTI                                   => OK
SET k 2                                 => +QUEUED
RESET                                   => +RESET
EXEC                                    => -ERR EXEC without MULTI
MULTI                                   => OK
GET k                                   => +QUEUED
EXEC                                    => ["1"]
## reset unwatches [resp2]
WATCH k                                 => OK
SET k 1                                 => OK
RESET                                   => +RESET
MULTI                                   => OK
GET k                                   => +QUEUED
EXEC                                    => ["1"]
## select inside
SET k zero                              => OK
MULTI                                   => OK
SELECT 3                                => +QUEUED
SET k three                             => +QUEUED
SELECT 99                               => +QUEUED
GET k                                   => +QUEUED
EXEC                                    => [OK, OK, -ERR DB index is out of range, "three"]
GET k                                   => "three"
SELECT 0                                => OK
GET k                                   => "zero"
## select inside, discarded
MULTI                                   => OK
SELECT 3                                => +QUEUED
DISCARD                                 => OK
SET k zero                              => OK
SELECT 3                                => OK
GET k                                   => nil
## commands of the connection inside
MULTI                                   => OK
PING                                    => +QUEUED
PING x                                  => +QUEUED
ECHO text                               => +QUEUED
CLIENT SETNAME me                       => +QUEUED
CLIENT GETNAME                          => +QUEUED
AUTH a b c                              => +QUEUED
OBJECT HELP                             => +QUEUED
COMMAND GETKEYS GET k                   => +QUEUED
CONFIG GET proto-max-bulk-len           => +QUEUED
EXEC                                    => [+PONG, "x", "text", OK, "me", -ERR syntax error, *, ["k"], {"proto-max-bulk-len": "536870912"}]
## commands that ask all workers inside
SET k 1                                 => OK
MULTI                                   => OK
SET k 2                                 => +QUEUED
CLIENT LIST ID 0                        => +QUEUED
INCR k                                  => +QUEUED
CLIENT UNPAUSE                          => +QUEUED
SLOWLOG RESET                           => +QUEUED
CLIENT KILL ID 999999                   => +QUEUED
CLIENT LIST TYPE nosuch                 => +QUEUED
INCR k                                  => +QUEUED
EXEC                                    => [OK, text "", 3, OK, OK, 0, -ERR Unknown client type 'nosuch', 4]
GET k                                   => "4"
## the whole keyspace inside
MSET {a}1 1 {b}1 1 {c}1 1               => OK
MULTI                                   => OK
DBSIZE                                  => +QUEUED
SET {d}1 1                              => +QUEUED
DBSIZE                                  => +QUEUED
KEYS *                                  => +QUEUED
KEYS {d}*                               => +QUEUED
SCAN 0 COUNT 1000                       => +QUEUED
FLUSHDB                                 => +QUEUED
KEYS *                                  => +QUEUED
RANDOMKEY                               => +QUEUED
DBSIZE                                  => +QUEUED
SET {e}1 1                              => +QUEUED
RANDOMKEY                               => +QUEUED
SWAPDB 0 1                              => +QUEUED
DBSIZE                                  => +QUEUED
SELECT 1                                => +QUEUED
DBSIZE                                  => +QUEUED
FLUSHALL                                => +QUEUED
DBSIZE                                  => +QUEUED
EXEC                                    => [3, OK, 4, %["{a}1", "{b}1", "{c}1", "{d}1"], ["{d}1"], ["0", %["{a}1", "{b}1", "{c}1", "{d}1"]], OK, [], nil, 0, OK, "{e}1", OK, 0, OK, 1, OK, 0]
## several keys inside
MULTI                                   => OK
MSET {a}1 1 {b}1 2                      => +QUEUED
RENAME {a}1 {c}1                        => +QUEUED
EXISTS {a}1 {b}1 {c}1                   => +QUEUED
COPY {c}1 {d}1                          => +QUEUED
MOVE {d}1 5                             => +QUEUED
DEL {b}1 {c}1 {d}1                      => +QUEUED
EXISTS {a}1 {b}1 {c}1 {d}1              => +QUEUED
EXEC                                    => [OK, OK, 2, 1, 1, 2, 0]
## the same key often
MULTI                                   => OK
INCR k                                  => +QUEUED
INCR k                                  => +QUEUED
GET k                                   => +QUEUED
INCR k                                  => +QUEUED
MGET k k k                              => +QUEUED
EXEC                                    => [1, 2, "2", 3, ["3", "3", "3"]]
## large arguments
MULTI                                   => OK
SET k "x"*100000                        => +QUEUED
APPEND k "y"*100000                     => +QUEUED
STRLEN k                                => +QUEUED
EXEC                                    => [OK, 200000, 200000]
GET k                                   => ~"x{300}.*
## odd arguments
MULTI                                   => OK
SET "" ""                               => +QUEUED
SET "\x00" "\r\n"                       => +QUEUED
MGET "" "\x00"                          => +QUEUED
EXEC                                    => [OK, OK, ["", "\r\n"]]
## bits and expiry inside
MULTI                                   => OK
SETBIT b 7 1                            => +QUEUED
BITFIELD b GET u8 0                     => +QUEUED
SET k v EX 100                          => +QUEUED
TTL k                                   => +QUEUED
PERSIST k                               => +QUEUED
TTL k                                   => +QUEUED
EXPIRE k -1                             => +QUEUED
EXISTS k                                => +QUEUED
EXEC                                    => [0, [1], OK, 100, 1, -1, 1, 0]
## COMMAND knows them
COMMAND GETKEYS WATCH a b c             => ["a", "b", "c"]
COMMAND LIST FILTERBY ACLCAT transaction => %["multi", "exec", "discard", "watch", "unwatch"]
""")

# What a store under a watched key does to EXEC: the connection's own commands touch as well.
test_watch = table(r"""
## unchanged
SET k 1                                 => OK
WATCH k                                 => OK
MULTI                                   => OK
SET k 2                                 => +QUEUED
EXEC                                    => [OK]
## changed
SET k 1                                 => OK
WATCH k                                 => OK
SET k 1                                 => OK
MULTI                                   => OK
SET k 2                                 => +QUEUED
EXEC                                    => nil[]
GET k                                   => "1"
## a set in another encoding isn't changed [sherd]
CONFIG SET set-max-intset-entries 3 set-max-listpack-entries 2 => OK
SADD i 1                                => 1
SADD l a                                => 1
WATCH i l                               => OK
SADD i 1 1 1 1                          => 0
SADD l a a a                            => 0
OBJECT ENCODING i                       => "hashtable"
OBJECT ENCODING l                       => "hashtable"
MULTI                                   => OK
SMEMBERS i                              => +QUEUED
SMEMBERS l                              => +QUEUED
EXEC                                    => [set["1"], set["a"]]
WATCH i                                 => OK
SADD i 1 1 2                            => 1
MULTI                                   => OK
EXEC                                    => nil[]
## changed, only reads
SET k 1                                 => OK
WATCH k                                 => OK
SET k 3                                 => OK
MULTI                                   => OK
GET k                                   => +QUEUED
EXEC                                    => nil[]
MULTI                                   => OK
GET k                                   => +QUEUED
EXEC                                    => ["3"]
## changed, exec of nothing
WATCH k                                 => OK
SET k 3                                 => OK
MULTI                                   => OK
EXEC                                    => nil[]
MULTI                                   => OK
EXEC                                    => []
## unchanged, exec of nothing
WATCH k                                 => OK
MULTI                                   => OK
EXEC                                    => []
## changed within the transaction only
WATCH k                                 => OK
MULTI                                   => OK
INCR k                                  => +QUEUED
INCR k                                  => +QUEUED
EXEC                                    => [1, 2]
MULTI                                   => OK
INCR k                                  => +QUEUED
EXEC                                    => [3]
## exec ends it, whatever it says
WATCH k                                 => OK
SET k 1                                 => OK
MULTI                                   => OK
EXEC                                    => nil[]
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
SET k 1                                 => OK
MULTI                                   => OK
NOSUCH                                  => *error
EXEC                                    => -EXECABORT Transaction discarded because of previous errors.
MULTI                                   => OK
EXEC                                    => []
## discard ends it
WATCH k                                 => OK
SET k 1                                 => OK
MULTI                                   => OK
DISCARD                                 => OK
MULTI                                   => OK
EXEC                                    => []
## unwatch ends it
WATCH k                                 => OK
SET k 1                                 => OK
UNWATCH                                 => OK
MULTI                                   => OK
EXEC                                    => []
## an error of exec doesn't
WATCH k                                 => OK
EXEC                                    => -ERR EXEC without MULTI
SET k 1                                 => OK
MULTI                                   => OK
EXEC                                    => nil[]
## several keys, one of them changed
WATCH {a}1 {b}1 {c}1                    => OK
SET {b}1 x                              => OK
MULTI                                   => OK
PING                                    => +QUEUED
EXEC                                    => nil[]
## several keys, another changed
WATCH {a}1 {b}1                         => OK
WATCH {c}1                              => OK
MSET {d}1 x a x                         => OK
MULTI                                   => OK
PING                                    => +QUEUED
EXEC                                    => [+PONG]
## the same key twice
WATCH k k                               => OK
WATCH k                                 => OK
SET k 1                                 => OK
WATCH k                                 => OK
MULTI                                   => OK
EXEC                                    => nil[]
MULTI                                   => OK
EXEC                                    => []
## another database
WATCH k                                 => OK
SELECT 1                                => OK
SET k 1                                 => OK
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
SELECT 0                                => OK
SET k 1                                 => OK
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
SELECT 1                                => OK
WATCH k                                 => OK
SELECT 0                                => OK
SET k 2                                 => OK
SELECT 1                                => OK
MULTI                                   => OK
EXEC                                    => nil[]
## deleted and recreated
SET k 1                                 => OK
WATCH k                                 => OK
DEL k                                   => OK
SET k 1                                 => OK
MULTI                                   => OK
EXEC                                    => nil[]
## a key that isn't there
WATCH k                                 => OK
DEL k                                   => 0
GET k                                   => nil
GETDEL k                                => nil
EXPIRE k 100                            => 0
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
SETNX k 1                               => 1
MULTI                                   => OK
EXEC                                    => nil[]
## writes that change nothing
SET k 5                                 => OK
WATCH k                                 => OK
SETNX k 6                               => 0
SET k 6 NX                              => nil
PERSIST k                               => 0
GETEX k                                 => "5"
RENAMENX k k                            => 0
COPY k k2                               => 1
EXPIRE k 10 XX                          => 0
SETRANGE k 0 ""                         => 1
MSETNX k 6 k3 6                         => 0
INCR other                              => 1
MULTI                                   => OK
EXEC                                    => []
## getex that persists nothing
SET k 5                                 => OK
WATCH k                                 => OK
GETEX k PERSIST                         => "5"
MULTI                                   => OK
EXEC                                    => []
## writes that leave the same
SET k 5                                 => OK
WATCH k                                 => OK
APPEND k ""                             => 1
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
INCRBY k 0                              => 5
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
SETRANGE k 0 5                          => 1
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
INCRBYFLOAT k 0                         => "5"
MULTI                                   => OK
EXEC                                    => nil[]
## other ways to change it
SET k 5                                 => OK
WATCH k                                 => OK
EXPIRE k 1000                           => 1
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
PERSIST k                               => 1
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
GETEX k EX 1000                         => "5"
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
GETEX k PERSIST                         => "5"
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
GETSET k 6                              => "5"
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
GETDEL k                                => "6"
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
SETBIT k 1 1                            => 0
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
BITFIELD k SET u8 0 7                   => [64]
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
EXPIRE k -1                             => 1
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
BITOP OR k other                        => 0
MULTI                                   => OK
EXEC                                    => []
## a long string changed in place
SET k "x"*100000                        => OK
SETRANGE k 10 y                         => 100000
WATCH k                                 => OK
SETRANGE k 10 z                         => 100000
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
APPEND k z                              => 100001
MULTI                                   => OK
EXEC                                    => nil[]
## renamed
SET a 1                                 => OK
WATCH a                                 => OK
RENAME a b                              => OK
MULTI                                   => OK
EXEC                                    => nil[]
WATCH a                                 => OK
RENAME b a                              => OK
MULTI                                   => OK
EXEC                                    => nil[]
WATCH b                                 => OK
RENAME b c                              => -ERR no such key
RENAME a a                              => OK
MULTI                                   => OK
EXEC                                    => []
WATCH a                                 => OK
RENAME a a                              => OK
MULTI                                   => OK
EXEC                                    => []
## copied
SET a 1                                 => OK
WATCH a                                 => OK
COPY a b                                => 1
MULTI                                   => OK
EXEC                                    => []
WATCH b                                 => OK
COPY a b                                => 0
MULTI                                   => OK
EXEC                                    => []
WATCH b                                 => OK
COPY a b REPLACE                        => 1
MULTI                                   => OK
EXEC                                    => nil[]
SELECT 1                                => OK
WATCH a                                 => OK
SELECT 0                                => OK
COPY a a DB 1                           => 1
MULTI                                   => OK
EXEC                                    => nil[]
## moved
SET a 1                                 => OK
WATCH a                                 => OK
MOVE a 1                                => 1
MULTI                                   => OK
EXEC                                    => nil[]
SET a 1                                 => OK
WATCH a                                 => OK
MOVE a 1                                => 0
MULTI                                   => OK
EXEC                                    => []
SELECT 2                                => OK
WATCH a                                 => OK
SELECT 0                                => OK
MOVE a 2                                => 1
MULTI                                   => OK
EXEC                                    => nil[]
## flushed
WATCH k                                 => OK
FLUSHALL                                => OK
FLUSHDB                                 => OK
MULTI                                   => OK
EXEC                                    => []
SET k 1                                 => OK
WATCH k nosuch                          => OK
FLUSHDB                                 => OK
MULTI                                   => OK
EXEC                                    => nil[]
SET k 1                                 => OK
WATCH k                                 => OK
FLUSHALL                                => OK
MULTI                                   => OK
EXEC                                    => nil[]
SET k 1                                 => OK
WATCH other                             => OK
FLUSHALL                                => OK
MULTI                                   => OK
EXEC                                    => []
SET k 1                                 => OK
WATCH k                                 => OK
SELECT 1                                => OK
FLUSHDB                                 => OK
SELECT 0                                => OK
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
SELECT 1                                => OK
FLUSHALL                                => OK
MULTI                                   => OK
EXEC                                    => nil[]
## swapped
SET k 1                                 => OK
WATCH k                                 => OK
SWAPDB 0 1                              => OK
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
SWAPDB 0 1                              => OK
MULTI                                   => OK
EXEC                                    => nil[]
WATCH other                             => OK
SWAPDB 0 1                              => OK
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
SWAPDB 2 3                              => OK
SWAPDB 0 0                              => OK
MULTI                                   => OK
EXEC                                    => []
## many keys
WATCH {t}1 {t}2 {t}3 {t}4 {t}5 {t}6 {t}7 {t}8 {t}9 {u}1 {v}1 {w}1 => OK
SET {t}10 x                             => OK
MULTI                                   => OK
EXEC                                    => []
WATCH {t}1 {t}2 {t}3 {t}4 {t}5 {t}6 {t}7 {t}8 {t}9 {u}1 {v}1 {w}1 => OK
SET {t}8 x                              => OK
MULTI                                   => OK
EXEC                                    => nil[]
## watched key expires
SET k 1 PX 400                          => OK
WATCH k                                 => OK
EXISTS k                                ?=> 0
MULTI                                   => OK
EXEC                                    => nil[]
## watched key expires, only reads
SET k 1 PX 400                          => OK
WATCH k                                 => OK
EXISTS k                                ?=> 0
MULTI                                   => OK
GET other                               => +QUEUED
EXEC                                    => nil[]
## watched key that had expired
DEBUG SET-ACTIVE-EXPIRE 0               => OK
SET k 1 PX 20                           => OK
SET other 1                             => OK
PTTL k                                  ?=> -2
WATCH k                                 => OK
DEBUG SET-ACTIVE-EXPIRE 1               => OK
DBSIZE                                  ?=> 1
MULTI                                   => OK
EXEC                                    => []
## watched key that had expired is flushed
DEBUG SET-ACTIVE-EXPIRE 0               => OK
SET k 1 PX 20                           => OK
PTTL k                                  ?=> -2
WATCH k                                 => OK
FLUSHALL                                => OK
MULTI                                   => OK
PING                                    => +QUEUED
EXEC                                    => [+PONG]
WATCH k                                 => OK
SET k 1                                 => OK
MULTI                                   => OK
EXEC                                    => nil[]
## watched key that had expired is set
DEBUG SET-ACTIVE-EXPIRE 0               => OK
SET k 1 PX 20                           => OK
PTTL k                                  ?=> -2
WATCH k                                 => OK
SET k 1                                 => OK
MULTI                                   => OK
EXEC                                    => nil[]
""".replace("*error", "~-.*").replace("DEL k                                   => OK",
                                      "DEL k                                   => 1"))

test_collections = table(r"""
## hashes
HSET k f v                              => *
WATCH k                                 => OK
HSET k f v                              => 0
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
HSET k f w                              => 0
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
HSETNX k f v                            => 0
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
HDEL k g                                => 0
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
HGET k f                                => "w"
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
HINCRBY k n 1                           => 1
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
HDEL k n                                => 1
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
HDEL k f                                => 1
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
HDEL k f                                => 0
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
HSETNX k f v                            => 1
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
HINCRBYFLOAT k x 1                      => "1"
MULTI                                   => OK
EXEC                                    => nil[]
## large hashes
HSET k @FIELDS => *
WATCH k                                 => OK
HSET k f5 v                             => 0
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
HSETNX k f5 v                           => 0
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
HDEL k g                                => 0
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
HGET k f5                               => "v"
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
HINCRBY k n 1                           => 1
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
HDEL k n f6                             => 2
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
HSET k new v                            => 1
MULTI                                   => OK
EXEC                                    => nil[]
## sets
SADD k a b c                            => *
WATCH k                                 => OK
SADD k a                                => 0
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
SADD k d                                => 1
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
SREM k x                                => 0
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
SREM k a                                => 1
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
SMOVE k k2 b                            => 1
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
SMOVE k k2 b                            => 0
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
SMOVE k2 k b                            => 1
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
SPOP k                                  => *
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
SINTERSTORE k nosuch nosuch2            => 0
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
SUNIONSTORE k nosuch                    => 0
MULTI                                   => OK
EXEC                                    => []
## large sets
SADD k @MEMBERS => *
WATCH k                                 => OK
SADD k m3                               => 0
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
SADD k new                              => 1
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
SREM k x                                => 0
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
SREM k m3 m4                            => 2
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
SPOP k                                  => *
MULTI                                   => OK
EXEC                                    => nil[]
WATCH k                                 => OK
SRANDMEMBER k                           => *
MULTI                                   => OK
EXEC                                    => []
WATCH k                                 => OK
SUNIONSTORE k k                         => *
MULTI                                   => OK
EXEC                                    => nil[]
""".replace("@FIELDS", " ".join("f%d v" % i for i in range(700)))
   .replace("@MEMBERS", " ".join("m%d" % i for i in range(700))))

# A key that had expired when it was watched but isn't removed: logically nothing changes.
test_ghosts = table(r"""
## an expired key comes by swapdb [step]
DEBUG SET-ACTIVE-EXPIRE 0               => OK
SELECT 1                                => OK
SET k 1 PX 20                           => OK
SELECT 0                                => OK
SET other 1                             => OK
WATCH k                                 => OK
SELECT 1                                => OK
OBJECT ENCODING nosuch                  => nil
SELECT 0                                => OK
DEBUG SLEEP 0.05                        => OK
SWAPDB 0 1                              => OK
GET k                                   => nil
MULTI                                   => OK
EXEC                                    => []
## an expired key goes by swapdb [step]
DEBUG SET-ACTIVE-EXPIRE 0               => OK
SET k 1 PX 20                           => OK
DEBUG SLEEP 0.05                        => OK
WATCH k                                 => OK
SWAPDB 0 1                              => OK
MULTI                                   => OK
EXEC                                    => []
## a watched key expires and goes by swapdb [step]
DEBUG SET-ACTIVE-EXPIRE 0               => OK
SET k 1 PX 400                          => OK
WATCH k                                 => OK
DEBUG SLEEP 0.5                         => OK
SWAPDB 0 1                              => OK
MULTI                                   => OK
EXEC                                    => nil[]
""")


@pytest.mark.parametrize("protocol", (2, 3))
def test_the_null_reply(server, protocol):
    with server.connect() as client:
        client.command("HELLO", protocol)
        client.command("WATCH", "k")
        client.command("SET", "k", "1")
        assert client.command("MULTI") == OK
        assert client.command("EXEC") is (NIL_ARRAY if protocol == 2 else NIL)


@pytest.mark.parametrize("size", (1, 2, 63, 64, 65, 300, 5000))
def test_long_transactions(server, client, size):
    keys = ["k%d" % (i % 300) for i in range(size)]
    replies = client.pipeline([["MULTI"]] + [["INCR", key] for key in keys] + [["EXEC"]])
    assert replies[:-1] == [OK] + [QUEUED] * size
    assert replies[-1] == [i // 300 + 1 for i in range(size)]
    replies = client.pipeline([["MULTI"]] + [["GET", key] for key in keys] + [["EXEC"]])
    assert replies[-1] == [b"%d" % ((size - 1 - i % 300) // 300 + 1) for i in range(size)]


def test_bytes_cut_anywhere(server, client):
    data = b"".join(encode(x) for x in (["MULTI"], ["SET", "{a}", "1"], ["INCR", "{a}"],
                                        ["GETX"], ["EXEC"], ["MULTI"], ["SET", "{b}", "x" * 50],
                                        ["MGET", "{a}", "{b}"], ["EXEC"]))
    for cut in range(1, len(data), 3):
        client.command("FLUSHALL")
        client.send(data[:cut])
        client.send(data[cut:])
        replies = [client.read() for _ in range(9)]
        assert replies[:3] == [OK, QUEUED, QUEUED] and replies[4] == Error(ABORT)
        assert replies[5:] == [OK, QUEUED, QUEUED, [OK, [None, b"x" * 50]]] or \
            replies[8][1][0] is NIL_BULK and replies[8][1][1] == b"x" * 50


def test_inline_commands(server, client):
    client.send(b"MULTI\r\nSET k \"a value\"\r\nGET k\r\nEXEC\r\n")
    assert [client.read() for _ in range(4)] == [OK, QUEUED, QUEUED, [OK, b"a value"]]


# Other connections

def test_nobody_sees_the_queue(server, client):
    with server.connect() as other:
        client.pipeline(["MULTI", "SET k 1", "SET k 2"])
        assert other.command("GET", "k") is NIL_BULK
        assert other.command("SET", "k", "3") == OK
        assert client.command("EXEC") == [OK, OK]
        assert other.command("GET", "k") == b"2"


def test_another_connection_changes_the_key(server, client):
    with server.connect() as other:
        for change in (["SET", "k", "x"], ["DEL", "k"], ["MSET", "k", "1", "l", "1"],
                       ["RENAME", "l", "k"], ["FLUSHDB"]):
            assert client.command("WATCH", "k") == OK
            other.command(*change)
            replies = client.pipeline(["MULTI", "SET k mine", "EXEC"])
            assert replies[:2] == [OK, QUEUED] and replies[2] is NIL_ARRAY, change
            assert client.pipeline(["MULTI", "EXEC"])[1] == []


def test_another_transaction_changes_the_key(server, client):
    with server.connect() as other:
        client.command("WATCH", "k")
        other.pipeline(["MULTI", "SET l 1", "SET k 1", "EXEC"])
        assert client.pipeline(["MULTI", "EXEC"])[1] is NIL_ARRAY
        client.command("WATCH", "k")
        other.pipeline(["MULTI", "SET l 1", "GET k", "EXEC"])
        assert client.pipeline(["MULTI", "EXEC"])[1] == []


def test_changed_after_multi(server, client):
    with server.connect() as other:
        client.pipeline(["WATCH k", "MULTI", "SET k mine"])
        other.command("SET", "k", "theirs")
        assert client.command("EXEC") is NIL_ARRAY
        assert client.command("GET", "k") == b"theirs"


def test_all_watchers_are_told(server):
    clients = [server.connect() for _ in range(20)]
    for i, client in enumerate(clients):
        client.command("WATCH", "k" if i % 2 else "{k}1")
    clients[0].command("SET", "k", "1")
    for i, client in enumerate(clients):
        result = client.pipeline(["MULTI", "PING", "EXEC"])[2]
        assert (result is NIL_ARRAY) if i % 2 else (result == [Status("PONG")])
        client.close()


def test_watching_connections_that_go(server, client):
    for _ in range(10):
        others = [server.connect() for _ in range(5)]
        for other in others:
            other.pipeline(["WATCH k", "WATCH {k}1 l", "MULTI", "SET k 1"])
        for other in others:
            other.close()
        assert client.pipeline(["SET k 2", "SET {k}1 2", "MULTI", "GET k", "EXEC"])[-1] == [b"2"]


def fields(line):
    return dict(x.split("=", 1) for x in line.decode().strip().split(" "))


def test_client_list(server, client):
    assert fields(client.command("CLIENT", "INFO"))["multi"] == "-1"
    with server.connect() as other:
        number = other.command("CLIENT", "ID")

        def look():
            return fields(client.command("CLIENT", "LIST", "ID", number))
        assert (look()["multi"], look()["multi-mem"], look()["flags"]) == ("-1", "0", "N")
        before = int(look()["tot-mem"])
        other.pipeline(["MULTI"])
        assert (look()["multi"], look()["multi-mem"], look()["flags"]) == ("0", "0", "x")
        other.pipeline([["SET", "key", "x" * 30000], ["GET", "key"]])
        assert (look()["multi"], look()["multi-mem"]) == ("2", "30052")
        # not all of it: buffers shrink meanwhile
        assert int(look()["tot-mem"]) > before + 5000
        assert look()["cmd"] == "get"
        other.command("EXEC")
        assert (look()["multi"], look()["multi-mem"], look()["flags"]) == ("-1", "0", "N")
        other.pipeline(["WATCH a b a", "SET a 1"])
        assert look()["flags"] == "d"
        other.pipeline(["MULTI"])
        assert look()["flags"] == "xd"
        other.command("DISCARD")
        assert look()["flags"] == "N"


def test_client_info_inside(server, client):
    client.pipeline(["MULTI", "CLIENT INFO", "CLIENT LIST"])
    for text in client.command("EXEC"):
        line = [x for x in text.split(b"\n") if b"cmd=exec" in x]
        assert len(line) == 1 and fields(line[0])["multi"] == "2" and "x" in fields(line[0])["flags"]


# Limits

@pytest.mark.sherd_only           # since 7.2
def test_queued_bytes_count(server):
    """The queue counts as part of what a connection has sent."""
    with server.connect() as admin, server.connect() as other:
        admin.command("CONFIG", "SET", "client-query-buffer-limit", "1mb")
        other.command("MULTI")
        with pytest.raises((Closed, OSError)):
            for _ in range(100):
                assert other.command("SET", "k", "x" * 50000) == QUEUED
        assert admin.command("EXISTS", "k") == 0
        assert "reached max query buffer length" in server.log()


@pytest.mark.sherd_only
def test_watched_bytes_count(server):
    with server.connect() as admin, server.connect() as other:
        admin.command("CONFIG", "SET", "client-query-buffer-limit", "1mb")
        with pytest.raises((Closed, OSError)):
            for i in range(100):
                assert other.command("WATCH", *["%d:%d" % (i, k) for k in range(1000)]) == OK
        assert admin.command("PING") == Status("PONG")
    until(lambda: server.info("workers")["slots_watched"] == "0", "a slot is still watched")


# CLIENT REPLY

def exchange(server, lines):
    """Everything that comes back, as bytes, up to a PING at the end in a connection with replies on."""
    with server.connect() as client:
        client.send(b"".join(encode(resp.split_words(x)) for x in lines + ["CLIENT REPLY ON",
                                                                           "ECHO end"]))
        data = b""
        while not data.endswith(b"$3\r\nend\r\n"):
            data += client.read_bytes(1)
        return data[:-len(b"+OK\r\n$3\r\nend\r\n")]


@pytest.mark.parametrize("lines,expected", (
    (["CLIENT REPLY OFF", "MULTI", "SET k 1", "GET k", "EXEC"], b""),
    (["CLIENT REPLY SKIP", "MULTI", "SET k 1", "EXEC"], b"+QUEUED\r\n*1\r\n+OK\r\n"),
    (["MULTI", "SET k 1", "CLIENT REPLY SKIP", "EXEC", "ECHO x"],
     b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n"),
    (["MULTI", "SET k 1", "CLIENT REPLY OFF", "GET k", "EXEC", "ECHO x"],
     b"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n"),
    (["CLIENT REPLY OFF", "MULTI", "SET k 1", "CLIENT REPLY ON", "GET k", "EXEC"],
     b"+OK\r\n$1\r\n1\r\n"),
    (["CLIENT REPLY OFF", "MULTI", "GET k", "CLIENT LIST", "EXEC"], b""),
))
def test_client_reply(server, lines, expected):
    assert exchange(server, lines) == expected


# Protocol versions

def test_hello_inside(server):
    with server.connect() as client:
        replies = client.pipeline(["MULTI", "GET nosuch", "HELLO 3", "GET nosuch",
                                   "CONFIG GET maxclients", "HELLO 2", "GET nosuch", "EXEC"])
        first, hello3, second, config, hello2, third = replies[-1]
        assert first is NIL_BULK and second is NIL and third is NIL_BULK
        assert type(hello3) is Map and type(config) is Map and type(hello2) is list
        assert client.command("GET", "nosuch") is NIL_BULK


# Authentication

@pytest.mark.one_kind
def test_noauth_inside(start, kind):
    server = start(kind, ("requirepass", "secret"))
    with server.connect() as client:
        assert client.command("MULTI").text.startswith(b"NOAUTH")
        assert client.command("EXEC") == Error(
            "EXECABORT Transaction discarded because of: NOAUTH Authentication required.")
        assert client.command("AUTH", "secret") == OK
        assert client.pipeline(["MULTI", "AUTH wrong", "AUTH secret", "PING", "EXEC"])[-1] == [
            Error("WRONGPASS invalid username-password pair or user is disabled."), OK,
            Status("PONG")]


# Closing

def test_kill_self_inside(server):
    with server.connect() as client:
        number = client.command("CLIENT", "ID")
        client.pipeline([["MULTI"], ["SET", "k", "1"],
                         ["CLIENT", "KILL", "ID", number, "SKIPME", "no"],
                         ["GET", "k"], ["SET", "k", "2"]])
        client.send(encode(["EXEC"]))
        assert client.read_until_closed() == b"*4\r\n+OK\r\n:1\r\n"
    with server.connect() as client:
        assert client.command("GET", "k") == b"2"


def test_quit_inside(server):
    with server.connect() as client:
        client.pipeline(["MULTI", "SET k 1"])
        client.send(encode(["QUIT"]) + encode(["EXEC"]))
        assert client.read_until_closed() == b"+OK\r\n"
    with server.connect() as client:
        assert client.command("EXISTS", "k") == 0


# Pausing

def test_pause_of_writes(server, client):
    """What writes is held back as it is queued; EXEC is what its queue is."""
    with server.connect() as writer, server.connect() as reader:
        writer.pipeline(["MULTI", "SET k 1"])
        reader.pipeline(["MULTI", "GET k"])
        assert client.command("CLIENT", "PAUSE", "100000", "WRITE") == OK
        reader.send(encode(["EXEC"]))
        reply = reader.read()
        assert reply[0] is NIL_BULK
        writer.send(encode(["EXEC"]))
        reader.command("MULTI")
        reader.send(encode(["SET", "k", "2"]))
        assert not writer.has_more(0.05) and not reader.has_more(0.05)
        assert client.command("CLIENT", "UNPAUSE") == OK
        assert writer.read() == [OK]
        assert reader.read() == QUEUED


# Counting

def stats(client, name):
    text = client.command("INFO", "commandstats").decode()
    found = re.search(r"cmdstat_%s:calls=(\d+),.*rejected_calls=(\d+),failed_calls=(\d+)" % name, text)
    return tuple(map(int, found.groups())) if found else (0, 0, 0)


def test_commandstats(server, client):
    client.command("CONFIG", "RESETSTAT")
    client.pipeline(["MULTI", "SET k x", "INCR k", "GET k", "EXEC"])
    client.pipeline(["MULTI", "GET k", "GET k", "EXEC"])
    client.pipeline(["MULTI", "GET", "EXEC", "EXEC", "MULTI", "STRLEN k", "DISCARD"])
    assert stats(client, "multi") == (4, 0, 0)
    assert stats(client, "exec") == (4, 0, 2)
    assert stats(client, "discard") == (1, 0, 0)
    assert stats(client, "set") == (1, 0, 0)
    assert stats(client, "incr") == (1, 0, 1)
    assert stats(client, "get") == (3, 1, 0)
    assert stats(client, "strlen") == (0, 0, 0)
    errors = client.command("INFO", "errorstats").decode()
    assert "errorstat_ERR:count=3" in errors and "errorstat_EXECABORT:count=1" in errors


def test_commands_processed(server, client):
    def processed():
        text = client.command("INFO", "stats").decode()
        return int(re.search(r"total_commands_processed:(\d+)", text).group(1))
    before = processed()
    client.pipeline(["MULTI", "SET k x", "GET k", "EXEC"])
    between = processed()
    assert between - before == 1 + 4
    client.pipeline(["MULTI", "GET k", "GET k", "EXEC", "WATCH k", "UNWATCH"])
    assert processed() - between == 1 + 6


def test_slowlog(server, client):
    client.pipeline(["CONFIG SET slowlog-log-slower-than 0", "SLOWLOG RESET"])
    client.pipeline(["MULTI", "SET k x", "CLIENT LIST", "EXEC", "MULTI", "GET k", "EXEC"])
    client.command("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    seen = [entry[3] for entry in client.command("SLOWLOG", "GET", "100")][::-1]
    at = seen.index([b"MULTI"])
    assert seen[at:at + 5] == [[b"MULTI"], [b"SET", b"k", b"x"], [b"CLIENT", b"LIST"], [b"MULTI"],
                               [b"GET", b"k"]]


def test_hits_and_misses(server, client):
    def looked():
        text = client.command("INFO", "stats").decode()
        return [int(re.search(r"keyspace_%s:(\d+)" % x, text).group(1)) for x in ("hits", "misses")]
    client.command("SET", "k", "1")
    before = looked()
    client.pipeline(["WATCH k nosuch", "MULTI", "GET k", "GET nosuch", "GET k", "EXEC"])
    assert looked() == [before[0] + 2, before[1] + 1]


# What is held

@pytest.mark.sherd_only
def test_nothing_is_left_held_or_watched(server, client):
    client.pipeline(["WATCH a b c", "MULTI", "SET a 1", "CLIENT LIST", "KEYS *", "EXEC"])
    client.pipeline(["WATCH a b c", "SET a 1", "MULTI", "GET a", "EXEC"])
    client.pipeline(["WATCH a", "MULTI", "FLUSHALL", "EXEC", "WATCH a", "UNWATCH"])
    with server.connect() as other:
        other.command("WATCH", "x", "y", "z")
        assert int(server.info("workers")["slots_watched"]) == 3
    until(lambda: server.info("workers")["slots_watched"] == "0", "a slot is still watched")
    assert server.info("workers")["slots_held"] == "0"


@pytest.mark.sherd_only
def test_transactions_of_reads_hold_nothing(server, client):
    client.pipeline(["MSET {a}1 1 {b}1 2", "WATCH {a}1"])
    before = server.info("stats")
    assert client.pipeline(["MULTI", "GET {a}1", "MGET {a}1 {b}1", "EXEC"])[-1] == [
        b"1", [b"1", b"2"]]
    after = server.info("stats")
    names = ["path_held", "path_held_several", "path_held_all"]
    assert [before[x] for x in names] == [after[x] for x in names]
    assert int(after["path_rcu"]) == int(before["path_rcu"]) + 1
