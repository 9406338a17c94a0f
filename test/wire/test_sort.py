"""SORT and SORT_RO."""

import random

import pytest

from resp import Nil
from table import table

test_sort = table(r"""
## sort lists, sets and sorted sets
RPUSH l 3 1 2 10 -5 1.5 1e2             => 7
SORT l                                  => ["-5", "1", "1.5", "2", "3", "10", "1e2"]
SORT l DESC                             => ["1e2", "10", "3", "2", "1.5", "1", "-5"]
SORT l ASC                              => ["-5", "1", "1.5", "2", "3", "10", "1e2"]
SORT l DESC ASC                         => ["-5", "1", "1.5", "2", "3", "10", "1e2"]
SORT l ALPHA                            => ["-5", "1", "1.5", "10", "1e2", "2", "3"]
SORT l ALPHA DESC                       => ["3", "2", "1e2", "10", "1.5", "1", "-5"]
SORT l LIMIT 1 3                        => ["1", "1.5", "2"]
SORT l LIMIT 0 0                        => []
SORT l LIMIT 0 -1                       => ["-5", "1", "1.5", "2", "3", "10", "1e2"]
SORT l LIMIT -5 2                       => ["-5", "1"]
SORT l LIMIT 5 100                      => ["10", "1e2"]
SORT l LIMIT 7 1                        => []
SORT l LIMIT 100 1                      => []
SORT l LIMIT 2 -7                       => ["1.5", "2", "3", "10", "1e2"]
SORT l DESC LIMIT 1 3                   => ["10", "3", "2"]
SORT_RO l                               => ["-5", "1", "1.5", "2", "3", "10", "1e2"]
SORT_RO l DESC LIMIT 0 2                => ["1e2", "10"]
SORT_RO l ALPHA LIMIT 2 2               => ["1.5", "10"]
SADD s 3 1 2 10                         => 4
SORT s                                  => ["1", "2", "3", "10"]
SORT s DESC LIMIT 0 2                   => ["10", "3"]
SADD t c a b                            => 3
SORT t ALPHA                            => ["a", "b", "c"]
SORT t ALPHA DESC                       => ["c", "b", "a"]
SORT t ALPHA LIMIT 1 1                  => ["b"]
ZADD z 5 1 3 2 1 10                     => 3
SORT z                                  => ["1", "2", "10"]
SORT z DESC                             => ["10", "2", "1"]
SORT z BY nosort                        => ["10", "2", "1"]
SORT z BY nosort DESC                   => ["1", "2", "10"]
SORT z BY nosort LIMIT 1 1              => ["2"]
SORT z BY nosort DESC LIMIT 0 2         => ["1", "2"]
SORT z BY nosort LIMIT 3 1              => []
SORT absent                             => []
SORT_RO absent                          => []
SORT absent ALPHA                       => []
SORT absent BY nosort LIMIT 0 1         => []
SADD numbers 12 120 7 x                 => 4
SORT numbers ALPHA STORE d              => 4
LINSERT d AFTER 12 12.5                 => 5
LPOS d 120                              => 2
DEL d                                   => 1
RPUSH w 5 "" " 7" 0x10 inf -inf 1e-3 "8\x00x" => 8
SORT w                                  => ["-inf", "", "1e-3", "5", " 7", "8\x00x", "0x10", "inf"]
RPUSH d 2 1 2 1 1                       => 5
SORT d                                  => ["1", "1", "1", "2", "2"]
SORT d DESC                             => ["2", "2", "1", "1", "1"]
RPUSH one x                             => 1
SORT one ALPHA                          => ["x"]
RPUSH e b "" a B ab                     => 5
SORT e ALPHA                            => ["", "B", "a", "ab", "b"]
SORT l BY nosort                        => ["3", "1", "2", "10", "-5", "1.5", "1e2"]
SORT l BY nosort DESC                   => ["1e2", "1.5", "-5", "10", "2", "1", "3"]
SORT l BY nosort LIMIT 1 2              => ["1", "2"]
SORT l BY nosort DESC LIMIT 1 2         => ["1.5", "-5"]
SORT l BY nosort DESC LIMIT 6 5         => ["3"]
## sort by and get
RPUSH l 1 2 3 4                         => 4
MSET w_1 30 w_2 10 w_3 20 o_1 one o_2 two o_3 three => OK
SORT l BY w_*                           => ["4", "2", "3", "1"]
SORT l BY w_* DESC                      => ["1", "3", "2", "4"]
SORT l BY w_* LIMIT 1 2                 => ["2", "3"]
SORT l BY w_* GET #                     => ["4", "2", "3", "1"]
SORT l BY w_* GET o_*                   => [nil, "two", "three", "one"]
SORT l BY w_* GET # GET o_* GET nosuch_* => ["4", nil, nil, "2", "two", nil, "3", "three", nil, "1", "one", nil]
SORT l BY w_* GET o_* LIMIT 1 2 DESC    => ["three", "two"]
SORT l GET o_*                          => ["one", "two", "three", nil]
SORT l GET #                            => ["1", "2", "3", "4"]
SORT l GET # GET #                      => ["1", "1", "2", "2", "3", "3", "4", "4"]
SORT l GET noasterisk                   => [nil, nil, nil, nil]
SORT l GET *                            => [nil, nil, nil, nil]
SORT l BY *                             => ["1", "2", "3", "4"]
SORT l BY absent_*                      => ["1", "2", "3", "4"]
SORT l BY absent_* DESC                 => ["4", "3", "2", "1"]
SORT l BY nosort GET o_*                => ["one", "two", "three", nil]
SORT l BY nosort GET # DESC             => ["4", "3", "2", "1"]
SORT l BY w_* BY nosort                 => ["1", "2", "3", "4"]
SORT l BY nosort BY w_*                 => ["1", "2", "3", "4"]
SORT_RO l BY w_* GET o_*                => [nil, "two", "three", "one"]
HSET h_1 f 5 g five                     => 2
HSET h_2 f 1 g one                      => 2
HSET h_3 f 3 g 33                       => 2
SORT l BY h_*->f                        => ["4", "2", "3", "1"]
SORT l BY h_*->f GET h_*->g             => [nil, "one", "33", "five"]
SORT l BY h_*->f GET h_*->nosuch GET #  => [nil, "4", nil, "2", nil, "3", nil, "1"]
SORT l BY h_*->nosuch                   => ["1", "2", "3", "4"]
SORT l BY h_*-> GET h_*                 => [nil, nil, nil, nil]
SORT l GET w_*->f                       => [nil, nil, nil, nil]
SORT l GET h_*                          => [nil, nil, nil, nil]
SORT l BY h_*->g ALPHA                  => ["4", "3", "1", "2"]
SORT l BY o_* ALPHA                     => ["4", "1", "3", "2"]
SORT l BY o_* ALPHA DESC                => ["2", "3", "1", "4"]
SORT l BY w_* ALPHA                     => ["4", "2", "3", "1"]
SET k*y_1 odd                           => OK
SORT l GET k*y_*                        => [nil, nil, nil, nil]
MSET kay_1y_* x k1y_* y                 => OK
SORT l GET k*y_*                        => ["y", nil, nil, nil]
SET w_4 abc                             => OK
SORT l BY w_*                           => -ERR One or more scores can't be converted into double
SORT l BY w_* GET #                     => -ERR One or more scores can't be converted into double
SORT l BY w_* ALPHA                     => ["2", "3", "1", "4"]
SET w_4 ""                              => OK
SORT l BY w_*                           => ["4", "2", "3", "1"]
SET w_4 " 25"                           => OK
SORT l BY w_*                           => ["2", "3", "4", "1"]
SET w_4 "25 "                           => OK
SORT l BY w_*                           => -ERR One or more scores can't be converted into double
SADD s 1 2 3                            => 3
SORT s BY w_* GET o_*                   => ["two", "three", "one"]
SORT s BY h_*->f DESC                   => ["1", "3", "2"]
ZADD z 1 3 2 2 3 1                      => 3
SORT z BY w_* GET o_* GET #             => ["two", "2", "three", "3", "one", "1"]
SORT z BY nosort GET o_*                => ["three", "two", "one"]
SORT absent BY w_* GET o_*              => []
SORT {t}a BY {t}w_*                     => []
## sort and store
RPUSH l 3 1 2                           => 3
SORT l STORE d                          => 3
LRANGE d 0 -1                           => ["1", "2", "3"]
TYPE d                                  => +list
SET s v EX 100                          => OK
SORT l STORE s DESC                     => 3
LRANGE s 0 -1                           => ["3", "2", "1"]
TTL s                                   => -1
SORT l STORE l                          => 3
LRANGE l 0 -1                           => ["1", "2", "3"]
SORT absent STORE d                     => 0
EXISTS d                                => 0
SORT absent STORE d                     => 0
SORT l STORE d LIMIT 5 5                => 0
EXISTS d                                => 0
SORT l LIMIT 1 1 STORE d                => 1
LRANGE d 0 -1                           => ["2"]
MSET o_1 one o_3 three                  => OK
SORT l GET o_* GET # STORE d            => 6
LRANGE d 0 -1                           => ["one", "1", "", "2", "three", "3"]
SORT l BY nosort GET o_* STORE d DESC   => 3
LRANGE d 0 -1                           => ["three", "", "one"]
SADD set c b a 1 10 9                   => 6
SORT set BY nosort STORE d              => 6
LRANGE d 0 -1                           => ["1", "10", "9", "a", "b", "c"]
SORT set BY nosort STORE d DESC LIMIT 0 2 => 2
LRANGE d 0 -1                           => ["c", "b"]
SORT set ALPHA STORE d                  => 6
LRANGE d 0 -1                           => ["1", "10", "9", "a", "b", "c"]
SORT l STORE a STORE b                  => 3
EXISTS a b                              => 1
SORT l STORE STORE STORE c              => 3
EXISTS STORE c                          => 1
ZADD z 1 b 2 a                          => 2
SORT z ALPHA STORE z                    => 2
TYPE z                                  => +list
LRANGE z 0 -1                           => ["a", "b"]
RPUSH big x y z                         => 3
SORT big ALPHA STORE d GET value_* GET value_* => 6
LRANGE d 0 -1                           => ["", "", "", "", "", ""]
SET value_x "a"*5000                    => OK
SORT big ALPHA STORE d GET value_* GET value_* => 6
STRLEN value_x                          => 5000
LLEN d                                  => 6
LINDEX d 1                              => "a"*5000
SET value_x "b"*70000                   => OK
SORT big BY value_* ALPHA               => ["y", "z", "x"]
SORT big BY value_* ALPHA GET value_* LIMIT 0 2 => [nil, nil]
SORT big BY nosort GET value_* STORE d  => 3
## sort with wrong arguments
RPUSH l a b                             => 2
SET s v                                 => OK
HSET h f v                              => 1
SORT                                    => -ERR wrong number of arguments for 'sort' command
SORT_RO                                 => -ERR wrong number of arguments for 'sort_ro' command
SORT l                                  => -ERR One or more scores can't be converted into double
SORT l DESC                             => -ERR One or more scores can't be converted into double
SORT l LIMIT 0 1                        => -ERR One or more scores can't be converted into double
SORT l BY nosort LIMIT 0 1              => ["a"]
SORT l NOSUCH                           => -ERR syntax error
SORT l LIMIT                            => -ERR syntax error
SORT l LIMIT 1                          => -ERR syntax error
SORT l LIMIT x 1                        => -ERR value is not an integer or out of range
SORT l LIMIT 1 x                        => -ERR value is not an integer or out of range
SORT l LIMIT 1 9223372036854775808      => -ERR value is not an integer or out of range
SORT l LIMIT 9223372036854775807 9223372036854775807 => -ERR One or more scores can't be converted into double
SORT l BY                               => -ERR syntax error
SORT l GET                              => -ERR syntax error
SORT l STORE                            => -ERR syntax error
SORT l ALPHA ALPHA                      => ["a", "b"]
SORT_RO l STORE d                       => -ERR syntax error
SORT_RO l ALPHA STORE d                 => -ERR syntax error
SORT s                                  => -WRONGTYPE Operation against a key holding the wrong kind of value
SORT h                                  => -WRONGTYPE Operation against a key holding the wrong kind of value
SORT_RO s                               => -WRONGTYPE Operation against a key holding the wrong kind of value
SORT h NOSUCH                           => -ERR syntax error
SORT h BY w_* GET x_*                   => -WRONGTYPE Operation against a key holding the wrong kind of value
SORT l STORE d                          => -ERR One or more scores can't be converted into double
EXISTS d                                => 0
RPUSH n nan                             => 1
SORT n                                  => -ERR One or more scores can't be converted into double
RPUSH o 1 2 3x                          => 3
SORT o                                  => -ERR One or more scores can't be converted into double
SORT o DESC LIMIT 0 1                   => -ERR One or more scores can't be converted into double
SORT o BY absent_*                      => ["1", "2", "3x"]
## sort in transactions
RPUSH l 2 1 3                           => 3
MSET w_1 3 w_2 2 w_3 1                  => OK
MULTI                                   => OK
SORT l                                  => +QUEUED
SORT l BY w_* GET w_*                   => +QUEUED
SORT_RO l BY w_*                        => +QUEUED
SORT l BY w_* STORE d                   => +QUEUED
LRANGE d 0 -1                           => +QUEUED
SORT l NOSUCH                           => +QUEUED
EXEC                                    => [["1", "2", "3"], ["1", "2", "3"], ["3", "2", "1"], 3, ["3", "2", "1"], -ERR syntax error]
MULTI                                   => OK
SORT_RO l BY w_* DESC                   => +QUEUED
SORT_RO l                               => +QUEUED
EXEC                                    => [["1", "2", "3"], ["1", "2", "3"]]
## where keys of sort are
COMMAND GETKEYS SORT l                  => ["l"]
COMMAND GETKEYS SORT l BY x STORE d     => ["l", "d"]
COMMAND GETKEYS SORT l GET store STORE d DESC STORE e => ["l", "e"]
COMMAND GETKEYS SORT l LIMIT store x BY store STORE d => ["l", "d"]
COMMAND GETKEYS SORT_RO l BY w_*        => ["l"]
COMMAND GETKEYSANDFLAGS SORT l STORE d  => [["l", set[+RO, +access]], ["d", set[+OW, +update]]]
## what is stored has a list's encoding [sherd]
RPUSH l 2 1                             => 2
SORT l STORE d                          => 2
OBJECT ENCODING d                       => "listpack"
SET value_1 "a"*5000                    => OK
SET value_2 "b"*5000                    => OK
SORT l GET value_* STORE d              => 2
OBJECT ENCODING d                       => "quicklist"
## sorting leaves a sorted set as it is, which is a skiplist afterwards there [sherd]
ZADD z 1 b 2 a                          => 2
SORT z ALPHA                            => ["a", "b"]
OBJECT ENCODING z                       => "listpack"
""")


FILLED_BY = {"list": "RPUSH", "set": "SADD", "zset": "ZADD"}


def fill(client, type_name, key, elements):
    for at in range(0, len(elements), 200):
        some = elements[at:at + 200]
        if type_name == "zset":
            some = [x for i, element in enumerate(some) for x in (i * 7 % 97, element)]
        client.command(FILLED_BY[type_name], key, *some)


@pytest.mark.parametrize("type_name", sorted(FILLED_BY))
@pytest.mark.parametrize("count", [7, 3000])
def test_against_sorted(client, type_name, count):
    """Large and small ones, by number, as text, by weights all over the slots."""
    rng = random.Random(count)
    elements = [b"%d" % n for n in rng.sample(range(-10 ** 6, 10 ** 6), count)]
    weights = {element: rng.randrange(50) for element in elements}
    fill(client, type_name, "k", elements)
    client.pipeline([["SET", b"weight:" + x, weights[x]] for x in elements])
    numbers = sorted(elements, key=int)
    assert client("SORT k") == numbers
    assert client("SORT_RO k DESC LIMIT 2 3") == numbers[::-1][2:5]
    assert client("SORT k ALPHA") == sorted(elements)
    by_weight = sorted(elements, key=lambda x: (weights[x], x))
    assert client("SORT k BY weight:*") == by_weight
    assert client("SORT k BY weight:* DESC GET # GET weight:* LIMIT 0 5") == [
        x for element in by_weight[::-1][:5] for x in (element, b"%d" % weights[element])]
    assert client("SORT k ALPHA STORE d") == count
    assert client("LRANGE d 0 -1") == sorted(elements)
    assert client("SORT k BY weight:* GET weight:* STORE k") == count
    assert client("LRANGE k 0 -1") == [b"%d" % weights[x] for x in by_weight]


def test_watched(client, server):
    """A key that SORT stores to is changed for who watches it; one that a pattern names isn't."""
    client("RPUSH l 2 1")
    client("SET w_1 1")
    with server.connect_unix() as other:
        for watched, changed in (("w_1 l", False), ("d", True)):
            client("WATCH " + watched)
            other("SORT l BY w_* GET w_* STORE d")
            client("MULTI")
            client("PING")
            assert isinstance(client("EXEC"), Nil) == changed
