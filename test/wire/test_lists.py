"""Lists: each command with its options, its limits and its errors, in both forms that they have."""

import os
import random

import pytest

import workers
from resp import Client, Status
from table import table

test_push = table(r"""
## push
RPUSH l a                               => 1
RPUSH l b c                             => 3
LPUSH l z y x                           => 6
LRANGE l 0 -1                           => ["x", "y", "z", "a", "b", "c"]
TYPE l                                  => +list
LPUSH l ""                              => 7
LINDEX l 0                              => ""
RPUSH l "\x00\r\n\xff"                  => 8
LINDEX l -1                             => "\x00\r\n\xff"
RPUSH n 0 127 128 -1 4095 4096 -4096 -4097 32767 32768 -32769 8388607 8388608 -8388609 2147483647 2147483648 -2147483649 9223372036854775807 -9223372036854775808 => 19
LRANGE n 0 -1                           => ["0", "127", "128", "-1", "4095", "4096", "-4096", "-4097", "32767", "32768", "-32769", "8388607", "8388608", "-8388609", "2147483647", "2147483648", "-2147483649", "9223372036854775807", "-9223372036854775808"]
RPUSH m 01 +1 -0 " 1" 1.0 9223372036854775808 => 6
LRANGE m 0 -1                           => ["01", "+1", "-0", " 1", "1.0", "9223372036854775808"]
## push with wrong arguments
LPUSH                                   => -ERR wrong number of arguments for 'lpush' command
LPUSH l                                 => -ERR wrong number of arguments for 'lpush' command
RPUSH l                                 => -ERR wrong number of arguments for 'rpush' command
LPUSHX l                                => -ERR wrong number of arguments for 'lpushx' command
RPUSHX l                                => -ERR wrong number of arguments for 'rpushx' command
SET s v                                 => OK
LPUSH s a                               => -WRONGTYPE Operation against a key holding the wrong kind of value
RPUSH s a b                             => -WRONGTYPE Operation against a key holding the wrong kind of value
LPUSHX s a                              => -WRONGTYPE Operation against a key holding the wrong kind of value
RPUSHX s a                              => -WRONGTYPE Operation against a key holding the wrong kind of value
EXISTS l                                => 0
## push to what is there
LPUSHX l a                              => 0
RPUSHX l a b                            => 0
EXISTS l                                => 0
RPUSH l m                               => 1
LPUSHX l b a                            => 3
RPUSHX l y z                            => 5
LRANGE l 0 -1                           => ["a", "b", "m", "y", "z"]
## long elements
RPUSH l a "x"*100000 b                  => 3
LPUSH l "y"*5000                        => 4
LINDEX l 0                              => "y"*5000
LINDEX l 2                              => "x"*100000
LRANGE l 0 -1                           => ["y"*5000, "a", "x"*100000, "b"]
LPOS l "x"*100000                       => 2
LPOS l "x"*99999                        => nil
LINSERT l BEFORE "x"*100000 "z"*2000    => 5
LREM l 0 "x"*100000                     => 1
LRANGE l 0 -1                           => ["y"*5000, "a", "z"*2000, "b"]
LSET l 0 short                          => OK
LSET l -1 "w"*70000                     => OK
LRANGE l 0 -1                           => ["short", "a", "z"*2000, "w"*70000]
LMOVE l l RIGHT LEFT                    => "w"*70000
LMOVE l o LEFT LEFT                     => "w"*70000
LLEN l                                  => 3
LRANGE o 0 -1                           => ["w"*70000]
RPOP o                                  => "w"*70000
EXISTS o                                => 0
""")

test_look = table(r"""
## llen
LLEN l                                  => 0
RPUSH l a b c                           => 3
LLEN l                                  => 3
LLEN                                    => -ERR wrong number of arguments for 'llen' command
LLEN l l                                => -ERR wrong number of arguments for 'llen' command
SET s v                                 => OK
LLEN s                                  => -WRONGTYPE Operation against a key holding the wrong kind of value
## lindex
LINDEX l 0                              => nil
LINDEX l x                              => nil
RPUSH l a b c                           => 3
LINDEX l 0                              => "a"
LINDEX l 2                              => "c"
LINDEX l 3                              => nil
LINDEX l -1                             => "c"
LINDEX l -3                             => "a"
LINDEX l -4                             => nil
LINDEX l 9223372036854775807            => nil
LINDEX l -9223372036854775808           => nil
LINDEX l x                              => -ERR value is not an integer or out of range
LINDEX l 1.0                            => -ERR value is not an integer or out of range
LINDEX l 9223372036854775808            => -ERR value is not an integer or out of range
LINDEX l                                => -ERR wrong number of arguments for 'lindex' command
LINDEX l 0 0                            => -ERR wrong number of arguments for 'lindex' command
SET s v                                 => OK
LINDEX s 0                              => -WRONGTYPE Operation against a key holding the wrong kind of value
LINDEX s x                              => -WRONGTYPE Operation against a key holding the wrong kind of value
## lrange
LRANGE l 0 -1                           => []
RPUSH l a b c d                         => 4
LRANGE l 0 -1                           => ["a", "b", "c", "d"]
LRANGE l 1 2                            => ["b", "c"]
LRANGE l -2 -1                          => ["c", "d"]
LRANGE l -100 100                       => ["a", "b", "c", "d"]
LRANGE l 2 1                            => []
LRANGE l 4 9                            => []
LRANGE l -9 -5                          => []
LRANGE l -1 -2                          => []
LRANGE l -9223372036854775808 9223372036854775807 => ["a", "b", "c", "d"]
LRANGE l 9223372036854775807 -9223372036854775808 => []
LRANGE l 3 3                            => ["d"]
LRANGE l x 1                            => -ERR value is not an integer or out of range
LRANGE l 1 x                            => -ERR value is not an integer or out of range
LRANGE absent x 1                       => -ERR value is not an integer or out of range
LRANGE l 1                              => -ERR wrong number of arguments for 'lrange' command
LRANGE l 1 2 3                          => -ERR wrong number of arguments for 'lrange' command
SET s v                                 => OK
LRANGE s 0 -1                           => -WRONGTYPE Operation against a key holding the wrong kind of value
LRANGE s x -1                           => -ERR value is not an integer or out of range
## lpos
LPOS l a                                => nil
LPOS l a COUNT 0                        => []
RPUSH l a b c 1 2 3 c c                 => 8
LPOS l a                                => 0
LPOS l c                                => 2
LPOS l 3                                => 5
LPOS l 03                               => nil
LPOS l x                                => nil
LPOS l c RANK 1                         => 2
LPOS l c RANK 2                         => 6
LPOS l c RANK 4                         => nil
LPOS l c RANK -1                        => 7
LPOS l c RANK -3                        => 2
LPOS l c RANK -4                        => nil
LPOS l c COUNT 2                        => [2, 6]
LPOS l c COUNT 0                        => [2, 6, 7]
LPOS l c COUNT 1                        => [2]
LPOS l c RANK -1 COUNT 2                => [7, 6]
LPOS l c RANK -2 COUNT 0                => [6, 2]
LPOS l c RANK 2 COUNT 9                 => [6, 7]
LPOS l x COUNT 9                        => []
LPOS l c MAXLEN 1                       => nil
LPOS l c MAXLEN 3                       => 2
LPOS l c MAXLEN 0 COUNT 0               => [2, 6, 7]
LPOS l c MAXLEN 7 COUNT 0               => [2, 6]
LPOS l c MAXLEN 1 RANK -1               => 7
LPOS l a MAXLEN 7 RANK -1               => nil
LPOS l a MAXLEN 8 RANK -1               => 0
LPOS l c rank 2 count 1 maxlen 100      => [6]
LPOS l c RANK 2 RANK 3                  => 7
LPOS l c RANK 9223372036854775807       => nil
LPOS l c RANK -9223372036854775807      => nil
LPOS l c COUNT 9223372036854775807      => [2, 6, 7]
LPOS l c MAXLEN 9223372036854775807     => 2
## lpos with wrong arguments
RPUSH l a b                             => 2
LPOS l                                  => -ERR wrong number of arguments for 'lpos' command
LPOS l a RANK                           => -ERR syntax error
LPOS l a COUNT                          => -ERR syntax error
LPOS l a MAXLEN                         => -ERR syntax error
LPOS l a BAD 1                          => -ERR syntax error
LPOS l a RANK 0                         => -ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list
LPOS l a RANK x                         => -ERR value is not an integer or out of range
LPOS l a COUNT -1                       => -ERR COUNT can't be negative
LPOS l a COUNT x                        => -ERR COUNT can't be negative
LPOS l a MAXLEN -1                      => -ERR MAXLEN can't be negative
LPOS l a MAXLEN x                       => -ERR MAXLEN can't be negative
LPOS l a COUNT 1 RANK                   => -ERR syntax error
LPOS l a COUNT -1 RANK                  => -ERR COUNT can't be negative
LPOS absent a RANK 0                    => -ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list
SET s v                                 => OK
LPOS s a                                => -WRONGTYPE Operation against a key holding the wrong kind of value
LPOS s a COUNT 0                        => -WRONGTYPE Operation against a key holding the wrong kind of value
LPOS s a BAD 1                          => -ERR syntax error
## a rank that has no opposite is refused since 7.2 [sherd]
RPUSH l a                               => 1
LPOS l a RANK -9223372036854775808      => -ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
""")

test_change = table(r"""
## linsert
LINSERT l BEFORE a b                    => 0
RPUSH l a b a                           => 3
LINSERT l BEFORE a x                    => 4
LINSERT l AFTER a y                     => 5
LINSERT l after b z                     => 6
LINSERT l bEfOrE b 12                   => 7
LRANGE l 0 -1                           => ["x", "a", "y", "12", "b", "z", "a"]
LINSERT l AFTER 12 13                   => 8
LINSERT l BEFORE nosuch 13              => -1
LINSERT l AFTER 012 13                  => -1
LLEN l                                  => 8
LINSERT l AT a b                        => -ERR syntax error
LINSERT absent AT a b                   => -ERR syntax error
LINSERT l BEFORE a                      => -ERR wrong number of arguments for 'linsert' command
LINSERT l BEFORE a b c                  => -ERR wrong number of arguments for 'linsert' command
SET s v                                 => OK
LINSERT s BEFORE a b                    => -WRONGTYPE Operation against a key holding the wrong kind of value
LINSERT s AT a b                        => -ERR syntax error
## lset
LSET l 0 a                              => -ERR no such key
LSET l x a                              => -ERR no such key
RPUSH l a b c                           => 3
LSET l 0 x                              => OK
LSET l -1 12                            => OK
LSET l 1 ""                             => OK
LRANGE l 0 -1                           => ["x", "", "12"]
LSET l 3 a                              => -ERR index out of range
LSET l -4 a                             => -ERR index out of range
LSET l 9223372036854775807 a            => -ERR index out of range
LSET l x a                              => -ERR value is not an integer or out of range
LSET l 1                                => -ERR wrong number of arguments for 'lset' command
LSET l 1 a b                            => -ERR wrong number of arguments for 'lset' command
SET s v                                 => OK
LSET s 0 a                              => -WRONGTYPE Operation against a key holding the wrong kind of value
LSET s x a                              => -WRONGTYPE Operation against a key holding the wrong kind of value
## lrem
LREM l 0 a                              => 0
RPUSH l a b a c a 7 07 7                => 8
LREM l 2 a                              => 2
LRANGE l 0 -1                           => ["b", "c", "a", "7", "07", "7"]
LREM l -1 7                             => 1
LRANGE l 0 -1                           => ["b", "c", "a", "7", "07"]
LREM l 0 nosuch                         => 0
LREM l -9223372036854775807 7           => 1
LREM l 9223372036854775807 07           => 1
LREM l 0 a                              => 1
LREM l 0 b                              => 1
LREM l 0 c                              => 1
EXISTS l                                => 0
RPUSH l a a a b a a a                   => 7
LREM l -4 a                             => 4
LRANGE l 0 -1                           => ["a", "a", "b"]
LREM l x a                              => -ERR value is not an integer or out of range
LREM absent x a                         => -ERR value is not an integer or out of range
LREM l -9223372036854775808 a           => 2
LREM l 9223372036854775808 a            => -ERR value is not an integer or out of range
LREM l 0                                => -ERR wrong number of arguments for 'lrem' command
LREM l 0 a b                            => -ERR wrong number of arguments for 'lrem' command
SET s v                                 => OK
LREM s 0 a                              => -WRONGTYPE Operation against a key holding the wrong kind of value
LREM s x a                              => -ERR value is not an integer or out of range
## ltrim
LTRIM l 0 1                             => OK
EXISTS l                                => 0
RPUSH l a b c d e f                     => 6
LTRIM l 1 -2                            => OK
LRANGE l 0 -1                           => ["b", "c", "d", "e"]
LTRIM l -3 100                          => OK
LRANGE l 0 -1                           => ["c", "d", "e"]
LTRIM l -100 1                          => OK
LRANGE l 0 -1                           => ["c", "d"]
LTRIM l 0 -1                            => OK
LLEN l                                  => 2
LTRIM l 1 0                             => OK
EXISTS l                                => 0
RPUSH l a b                             => 2
LTRIM l 2 3                             => OK
EXISTS l                                => 0
RPUSH l a b                             => 2
LTRIM l -9 -3                           => OK
EXISTS l                                => 0
LTRIM l x 1                             => -ERR value is not an integer or out of range
LTRIM l 1 x                             => -ERR value is not an integer or out of range
LTRIM l 1                               => -ERR wrong number of arguments for 'ltrim' command
LTRIM l 1 2 3                           => -ERR wrong number of arguments for 'ltrim' command
SET s v                                 => OK
LTRIM s 0 -1                            => -WRONGTYPE Operation against a key holding the wrong kind of value
LTRIM s x -1                            => -ERR value is not an integer or out of range
## a time to live stays
RPUSH l a b c d                         => 4
EXPIRE l 1000                           => 1
LPUSH l z                               => 5
RPOP l                                  => "d"
LSET l 0 y                              => OK
LINSERT l AFTER y x                     => 5
LREM l 1 x                              => 1
LTRIM l 0 2                             => OK
LMOVE l l LEFT RIGHT                    => "y"
TTL l                                   => 990..1000
LMOVE l o LEFT RIGHT                    => "a"
TTL o                                   => -1
""")

test_pop = table(r"""
## pop
LPOP l                                  => nil
RPOP l                                  => nil
RPUSH l a b c 12 ""                     => 5
LPOP l                                  => "a"
RPOP l                                  => ""
RPOP l                                  => "12"
LPOP l                                  => "b"
RPOP l                                  => "c"
EXISTS l                                => 0
## pop many
LPOP l 1                                => nil[]
LPOP l 0                                => nil[]
RPUSH l a b c d e f                     => 6
LPOP l 0                                => []
LPOP l 1                                => ["a"]
LPOP l 2                                => ["b", "c"]
RPOP l 2                                => ["f", "e"]
RPOP l 100                              => ["d"]
EXISTS l                                => 0
RPUSH l a b                             => 2
LPOP l 9223372036854775807              => ["a", "b"]
EXISTS l                                => 0
## pop with wrong arguments
RPUSH l a                               => 1
LPOP l -1                               => -ERR value is out of range, must be positive
LPOP l x                                => -ERR value is out of range, must be positive
RPOP l -1                               => -ERR value is out of range, must be positive
RPOP l 9223372036854775808              => -ERR value is out of range, must be positive
LPOP absent -1                          => -ERR value is out of range, must be positive
LPOP                                    => -ERR wrong number of arguments for 'lpop' command
LPOP l 1 2                              => -ERR wrong number of arguments for 'lpop' command
RPOP l 1 2                              => -ERR wrong number of arguments for 'rpop' command
SET s v                                 => OK
LPOP s                                  => -WRONGTYPE Operation against a key holding the wrong kind of value
RPOP s 1                                => -WRONGTYPE Operation against a key holding the wrong kind of value
LPOP s 0                                => -WRONGTYPE Operation against a key holding the wrong kind of value
LPOP s x                                => -ERR value is out of range, must be positive
LLEN l                                  => 1
## lmpop
LMPOP 1 l LEFT                          => nil[]
LMPOP 2 l m RIGHT COUNT 2               => nil[]
RPUSH l a b c d                         => 4
RPUSH m 1 2 3                           => 3
LMPOP 1 l LEFT                          => ["l", ["a"]]
LMPOP 2 l m RIGHT                       => ["l", ["d"]]
LMPOP 2 m l right count 2               => ["m", ["3", "2"]]
LMPOP 3 absent l m Left COUNT 100       => ["l", ["b", "c"]]
LMPOP 3 absent l m LEFT COUNT 1         => ["m", ["1"]]
EXISTS l m                              => 0
## lmpop with wrong arguments
RPUSH l a                               => 1
LMPOP                                   => -ERR wrong number of arguments for 'lmpop' command
LMPOP 1 l                               => -ERR wrong number of arguments for 'lmpop' command
LMPOP 0 l LEFT                          => -ERR numkeys should be greater than 0
LMPOP -1 l LEFT                         => -ERR numkeys should be greater than 0
LMPOP x l LEFT                          => -ERR numkeys should be greater than 0
LMPOP 2 l LEFT                          => -ERR syntax error
LMPOP 9 l LEFT                          => -ERR syntax error
LMPOP 9223372036854775807 l LEFT        => -ERR syntax error
LMPOP 1 l UP                            => -ERR syntax error
LMPOP 1 l LEFT COUNT                    => -ERR syntax error
LMPOP 1 l LEFT COUNT 0                  => -ERR count should be greater than 0
LMPOP 1 l LEFT COUNT -1                 => -ERR count should be greater than 0
LMPOP 1 l LEFT COUNT x                  => -ERR count should be greater than 0
LMPOP 1 l LEFT COUNT 1 2                => -ERR syntax error
LMPOP 1 l LEFT COUNT 1 COUNT 2          => -ERR syntax error
LMPOP 1 l LEFT COUNT 0 COUNT 2          => -ERR count should be greater than 0
LMPOP 1 l LEFT BAD 1                    => -ERR syntax error
LMPOP 1 l m LEFT                        => -ERR syntax error
SET s v                                 => OK
LMPOP 2 s l LEFT                        => -WRONGTYPE Operation against a key holding the wrong kind of value
LMPOP 2 l s LEFT                        => ["l", ["a"]]
LMPOP 2 l s LEFT                        => -WRONGTYPE Operation against a key holding the wrong kind of value
""")

test_move = table(r"""
## lmove
LMOVE l m LEFT RIGHT                    => nil
EXISTS m                                => 0
RPUSH l a b c                           => 3
LMOVE l m LEFT RIGHT                    => "a"
LMOVE l m RIGHT LEFT                    => "c"
LRANGE m 0 -1                           => ["c", "a"]
LMOVE l m LEFT LEFT                     => "b"
EXISTS l                                => 0
LRANGE m 0 -1                           => ["b", "c", "a"]
LMOVE m m LEFT RIGHT                    => "b"
LRANGE m 0 -1                           => ["c", "a", "b"]
LMOVE m m right right                   => "b"
LMOVE m m LEFT LEFT                     => "c"
LMOVE m m RIGHT LEFT                    => "b"
LRANGE m 0 -1                           => ["b", "c", "a"]
RPUSH n 12                              => 1
LMOVE n n LEFT RIGHT                    => "12"
LRANGE n 0 -1                           => ["12"]
## lmove with wrong arguments
RPUSH l a                               => 1
SET s v                                 => OK
LMOVE l m LEFT                          => -ERR wrong number of arguments for 'lmove' command
LMOVE l m LEFT RIGHT x                  => -ERR wrong number of arguments for 'lmove' command
LMOVE l m UP RIGHT                      => -ERR syntax error
LMOVE l m LEFT UP                       => -ERR syntax error
LMOVE s m LEFT UP                       => -ERR syntax error
LMOVE s m LEFT RIGHT                    => -WRONGTYPE Operation against a key holding the wrong kind of value
LMOVE l s LEFT RIGHT                    => -WRONGTYPE Operation against a key holding the wrong kind of value
LMOVE absent s LEFT RIGHT               => nil
LLEN l                                  => 1
## rpoplpush
RPOPLPUSH l m                           => nil
RPUSH l a b c                           => 3
RPOPLPUSH l m                           => "c"
RPOPLPUSH l m                           => "b"
LRANGE m 0 -1                           => ["b", "c"]
RPOPLPUSH m m                           => "c"
LRANGE m 0 -1                           => ["c", "b"]
RPOPLPUSH l m                           => "a"
EXISTS l                                => 0
RPOPLPUSH m                             => -ERR wrong number of arguments for 'rpoplpush' command
SET s v                                 => OK
RPOPLPUSH s m                           => -WRONGTYPE Operation against a key holding the wrong kind of value
RPOPLPUSH m s                           => -WRONGTYPE Operation against a key holding the wrong kind of value
RPOPLPUSH absent s                      => nil
LLEN m                                  => 3
""")

# Since 7.2 a list that fits one node is a "listpack": the reference calls all of them "quicklist".
test_encoding = table(r"""
## a list is a quicklist when it outgrows a node [sherd]
RPUSH l a b                             => 2
OBJECT ENCODING l                       => "listpack"
RPUSH l "x"*8000                        => 3
OBJECT ENCODING l                       => "listpack"
RPUSH l "y"*180                         => 4
OBJECT ENCODING l                       => "quicklist"
RPOP l                                  => "y"*180
OBJECT ENCODING l                       => "quicklist"
RPOP l                                  => "x"*8000
OBJECT ENCODING l                       => "listpack"
## a limit of elements [sherd]
CONFIG SET list-max-listpack-size 4     => OK
RPUSH l a b c d                         => 4
OBJECT ENCODING l                       => "listpack"
RPUSH l e                               => 5
OBJECT ENCODING l                       => "quicklist"
LREM l 1 a                              => 1
LPOP l                                  => "b"
OBJECT ENCODING l                       => "quicklist"
LPOP l                                  => "c"
OBJECT ENCODING l                       => "listpack"
RPUSH m "x"*9000                        => 1
OBJECT ENCODING m                       => "quicklist"
CONFIG SET list-max-listpack-size -2    => OK
## each command that makes it larger or smaller [sherd]
RPUSH l a                               => 1
LSET l 0 "x"*9000                       => OK
OBJECT ENCODING l                       => "quicklist"
LSET l 0 a                              => OK
OBJECT ENCODING l                       => "listpack"
LINSERT l BEFORE a "x"*9000             => 2
OBJECT ENCODING l                       => "quicklist"
LMOVE l m LEFT RIGHT                    => "x"*9000
OBJECT ENCODING l                       => "listpack"
OBJECT ENCODING m                       => "quicklist"
RPUSH m b                               => 2
LTRIM m 1 1                             => OK
OBJECT ENCODING m                       => "listpack"
LPUSH m "x"*9000                        => 2
OBJECT ENCODING m                       => "quicklist"
LMPOP 1 m LEFT COUNT 1                  => ["m", ["x"*9000]]
OBJECT ENCODING m                       => "listpack"
## copies and renamed lists
RPUSH l a "x"*2000 b                    => 3
COPY l m                                => 1
RPUSH m c                               => 4
LRANGE l 0 -1                           => ["a", "x"*2000, "b"]
LRANGE m 0 -1                           => ["a", "x"*2000, "b", "c"]
RENAME m n                              => OK
LRANGE n 0 -1                           => ["a", "x"*2000, "b", "c"]
COPY l n REPLACE                        => 1
LLEN n                                  => 3
MOVE n 1                                => 1
SELECT 1                                => OK
LRANGE n 0 -1                           => ["a", "x"*2000, "b"]
SET n v                                 => OK
GET n                                   => "v"
DEL n                                   => 1
SELECT 0                                => OK
DEL l                                   => 1
""")

test_watch = table(r"""
## changes of a small list are seen by those who watch
RPUSH l a b c                           => 3
WATCH l                                 => OK
LREM l 0 nosuch                         => 0
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => [3]
WATCH l                                 => OK
LTRIM l 0 -1                            => OK
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => nil[]
WATCH l                                 => OK
LREM l 1 b                              => 1
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => nil[]
WATCH l                                 => OK
RPOP l 0                                => []
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => [2]
WATCH l                                 => OK
LINSERT l BEFORE nosuch x               => -1
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => [2]
WATCH l                                 => OK
LSET l 0 a                              => OK
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => nil[]
WATCH l                                 => OK
LPUSHX absent x                         => 0
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => [2]
WATCH l                                 => OK
LMOVE l l LEFT LEFT                     => "a"
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => nil[]
WATCH l                                 => OK
RPUSH l z                               => 3
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => nil[]
WATCH l                                 => OK
LPOP l 1                                => ["a"]
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => nil[]
## changes of a large list are seen by those who watch
RPUSH l a b c                           => 3
RPUSH l "x"*3000                        => 4
WATCH l                                 => OK
LREM l 0 nosuch                         => 0
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => [4]
WATCH l                                 => OK
LTRIM l 0 -1                            => OK
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => nil[]
WATCH l                                 => OK
LREM l 1 b                              => 1
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => nil[]
WATCH l                                 => OK
RPOP l 0                                => []
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => [3]
WATCH l                                 => OK
LINSERT l BEFORE nosuch x               => -1
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => [3]
WATCH l                                 => OK
LSET l 0 a                              => OK
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => nil[]
WATCH l                                 => OK
LPUSHX absent x                         => 0
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => [3]
WATCH l                                 => OK
LMOVE l l LEFT LEFT                     => "a"
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => nil[]
WATCH l                                 => OK
RPUSH l z                               => 4
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => nil[]
WATCH l                                 => OK
LPOP l 1                                => ["a"]
MULTI                                   => OK
LLEN l                                  => +QUEUED
EXEC                                    => nil[]
""")


def texts(numbers):
    return [b"%d" % n for n in numbers]


def push_many(client, key, numbers):
    numbers = texts(numbers)
    for at in range(0, len(numbers), 1000):
        client.command("RPUSH", key, *numbers[at:at + 1000])


def test_large(server):
    """Thousands of elements in every place."""
    size = 50_000
    with server.connect_unix() as client:
        push_many(client, "l", range(size))
        assert client("LLEN l") == size
        for index in (0, 1, 777, size // 2, size - 1):
            assert client.command("LINDEX", "l", index) == b"%d" % index
            assert client.command("LINDEX", "l", index - size) == b"%d" % index
            assert client.command("LPOS", "l", index) == index
            assert client.command("LPOS", "l", index, "RANK", -1) == index
        assert client("LRANGE l 20000 20999") == texts(range(20000, 21000))
        assert client("LRANGE l 0 -1") == texts(range(size))
        assert client("LINSERT l AFTER 30000 x") == size + 1
        assert client("LRANGE l 29999 30002") == [b"29999", b"30000", b"x", b"30001"]
        assert client("LSET l 30001 30000") == Status("OK")
        assert client("LREM l -1 30000") == 1
        assert client("LPOP l 25000") == texts(range(25000))
        assert client("RPOP l 10000") == texts(range(size - 1, size - 10001, -1))
        assert client("LTRIM l 5000 -5001") == Status("OK")
        assert client("LRANGE l 0 -1") == texts(range(30000, 35000))
        for _ in range(10):
            client("LMOVE l l LEFT RIGHT")
        assert client("LRANGE l -3 -1") == texts([30007, 30008, 30009])
        assert client("LMPOP 2 absent l RIGHT COUNT 4990")[1][-1] == b"30020"
        assert client("LRANGE l 0 -1") == texts(range(30010, 30020))
        client("LTRIM l 1 0")
        assert client("EXISTS l") == 0


def test_equal_ones(server):
    """LREM where most elements go, from both sides and with limits."""
    with server.connect_unix() as client:
        rng = random.Random(5)
        model = [b"%d" % rng.randrange(4) for _ in range(20_000)]
        for at in range(0, len(model), 1000):
            client.command("RPUSH", "l", *model[at:at + 1000])
        for count, value in ((100, b"1"), (-100, b"2"), (7000, b"3"), (-3000, b"0"), (0, b"1")):
            there = [i for i, x in enumerate(model) if x == value]
            gone = set(there[:count] if count > 0 else there[count:] if count else there)
            assert client.command("LREM", "l", count, value) == len(gone)
            model = [x for i, x in enumerate(model) if i not in gone]
            assert client("LRANGE l 0 -1") == model


def element(rng):
    how = rng.random()
    if how < .5:
        return b"%d" % rng.randrange(-5, 40)
    if how < .9:
        return b"abc"[:rng.randrange(4)] * rng.randrange(1, 40)
    return b"L" * rng.choice([63, 64, 300, 1000, 1023, 1500, 5000, 20000])


class Model:
    """A list as Python has it, changed in the same way as the server's."""

    def __init__(self):
        self.items = []

    def step(self, rng):
        """(command, expected reply)"""
        kind = rng.choice(["push", "push", "push", "pop", "insert", "set", "rem", "range", "index",
                           "rotate", "trim"])
        return getattr(self, kind)(rng)

    def push(self, rng):
        new = [element(rng) for _ in range(rng.randrange(1, 9))]
        if rng.random() < .5:
            self.items[:0] = new[::-1]
            return ["LPUSH", "l"] + new, len(self.items)
        self.items += new
        return ["RPUSH", "l"] + new, len(self.items)

    def pop(self, rng):
        count = rng.randrange(1, 5)
        if rng.random() < .5:
            gone, self.items = self.items[:count], self.items[count:]
            return ["LPOP", "l", count], gone or None
        gone, self.items = self.items[-count:], self.items[:-count]
        return ["RPOP", "l", count], gone[::-1] or None

    def insert(self, rng):
        pivot, new, after = element(rng), element(rng), rng.randrange(2)
        reply = 0 if not self.items else -1
        if pivot in self.items:
            self.items.insert(self.items.index(pivot) + after, new)
            reply = len(self.items)
        return ["LINSERT", "l", ["BEFORE", "AFTER"][after], pivot, new], reply

    def set(self, rng):
        if not self.items:
            return ["LLEN", "l"], 0
        index, new = rng.randrange(-len(self.items), len(self.items)), element(rng)
        self.items[index] = new
        return ["LSET", "l", index, new], Status("OK")

    def rem(self, rng):
        value, count = element(rng), rng.randrange(-3, 4)
        there = [i for i, x in enumerate(self.items) if x == value]
        gone = set(there[:count] if count > 0 else there[count:] if count else there)
        self.items = [x for i, x in enumerate(self.items) if i not in gone]
        return ["LREM", "l", count, value], len(gone)

    def range(self, rng):
        start = rng.randrange(0, len(self.items) + 2)
        stop = start + rng.randrange(30)
        return ["LRANGE", "l", start, stop], self.items[start:stop + 1]

    def index(self, rng):
        index = rng.randrange(len(self.items) + 2)
        return (["LINDEX", "l", index],
                self.items[index] if index < len(self.items) else None)

    def rotate(self, rng):
        if not self.items:
            return ["RPOPLPUSH", "l", "l"], None
        self.items.insert(0, self.items.pop())
        return ["RPOPLPUSH", "l", "l"], self.items[0]

    def trim(self, rng):
        start, rest = (rng.randrange(3), rng.randrange(3)) if rng.random() < .9 else (0, 20)
        keep = self.items[start:len(self.items) - rest]
        reply = Status("OK")
        self.items = keep
        return ["LTRIM", "l", start, -rest - 1], reply


@pytest.mark.parametrize("seed", range(4))
def test_model(server, seed):
    """Random commands on one list, sent in batches, beside a list of Python's own."""
    rng = random.Random(seed)
    model = Model()
    with server.connect_unix() as client:
        for _ in range(60):
            steps = [model.step(rng) for _ in range(40)]
            replies = client.pipeline([command for command, _ in steps])
            for (command, expected), reply in zip(steps, replies):
                if expected is None:
                    assert not reply, command
                else:
                    assert reply == expected, (seed, command)
            assert client("LRANGE l 0 -1") == model.items, seed


# Many at once: pushed, moved about, popped; each element arrives once.

LISTS = ["one", "two", "three", "{t}four", "{t}five"]
SCALE = float(os.environ.get("SCALE", "1"))
ROUNDS = int(60 * SCALE)


def side(rng):
    return rng.choice(["LEFT", "RIGHT"])


def pushing(number, address):
    """Elements with a number of their own; some are large, so that lists take all forms."""
    rng, sent = random.Random(number), []
    with Client(address) as client:
        for at in range(ROUNDS):
            new = [b"%d:%d:%d:" % (number, at, i) + b"." * rng.choice([0, 5, 100, 100, 1500])
                   for i in range(rng.randrange(1, 12))]
            client.command(rng.choice(["LPUSH", "RPUSH"]), rng.choice(LISTS), *new)
            sent += new
    return "sent", sent


def popping(number, address):
    rng, taken = random.Random(number), []
    with Client(address) as client:
        for _ in range(ROUNDS):
            replies = client.pipeline([
                [rng.choice(["LPOP", "RPOP"]), rng.choice(LISTS), rng.randrange(1, 4)],
                [rng.choice(["LPOP", "RPOP"]), rng.choice(LISTS), 1],
                ["LMPOP", 2] + rng.sample(LISTS, 2) + [side(rng), "COUNT", rng.randrange(1, 5)]])
            if replies[2]:
                replies[2] = replies[2][1]
            taken += [x for reply in replies if reply for x in reply]
    return "taken", taken


def moving(number, address):
    rng = random.Random(number)
    with Client(address) as client:
        for _ in range(ROUNDS):
            client.pipeline([["LMOVE", rng.choice(LISTS), rng.choice(LISTS), side(rng), side(rng)]
                             for _ in range(8)])
    return "moved", []


def reading(number, address):
    """No element stands twice in what one command shows."""
    rng = random.Random(number)
    with Client(address) as client:
        for _ in range(ROUNDS):
            for reply in client.pipeline([["LRANGE", rng.choice(LISTS), 0, -1] for _ in range(3)]):
                assert len(set(reply)) == len(reply)
    return "read", []


@pytest.mark.stress
def test_each_element_arrives_once(server):
    jobs = [pushing, popping, moving, reading] * 2
    results = workers.run([(job, (server.path,)) for job in jobs])
    sent = [x for what, items in results if what == "sent" for x in items]
    taken = [x for what, items in results if what == "taken" for x in items]
    with server.connect_unix() as client:
        for name in LISTS:
            taken += client.command("LRANGE", name, 0, -1)
    assert sorted(taken) == sorted(sent)
