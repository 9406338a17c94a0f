"""Sorted sets: each command with its options, its limits and its errors; then sets of all sizes
against a model. Scores that the reference writes with 17 digits (0.1) stay out of what runs on both."""

import math
import os
import random

import pytest

import workers
from resp import Client, Double, NIL_BULK
from table import table

SCALE = float(os.environ.get("SCALE", "1"))

test_zsets = table(r"""
## zadd and zscore
ZADD z 1 a                              => 1
ZADD z 2 a 3 b -1.5 c                   => 2
ZSCORE z a                              => double 2
ZSCORE z c                              => double -1.5
ZSCORE z absent                         => nil
ZSCORE absent a                         => nil
ZCARD z                                 => 3
ZCARD absent                            => 0
ZADD z 1e3 "" inf "\x00\r\n\xff" -inf 7 => 3
ZMSCORE z "" "\x00\r\n\xff" 7 no a      => [double 1000, double inf, double -inf, nil, double 2]
ZMSCORE absent a b                      => [nil, nil]
ZADD z 1 x 2 x 3 x                      => 1
ZSCORE z x                              => double 3
ZADD z 0x10 hex +5 plus 1e308 big       => 3
ZMSCORE z hex plus                      => [double 16, double 5]
TYPE z                                  => +zset
ZRANGE z 0 -1                           => ["7", "c", "a", "b", "x", "plus", "hex", "", "big", "\x00\r\n\xff"]
## scores
ZADD z 1.5 a 3.0 b 1e21 c -0.25 d 12345678901234568 e => 5
ZMSCORE z a b c d e                     => [double 1.5, double 3, double 1e+21, double -0.25, double 12345678901234568]
ZADD z -0 zero                          => 1
ZSCORE z zero                           => double 0
ZINCRBY z -0 zero                       => double 0
## the shortest text of a score [sherd]
ZADD z 0.1 a 0.30000000000000004 b 3.14159 c 1e-7 d 5e-324 e 1.7976931348623157e308 f => 6
ZMSCORE z a b c d e f                   => [double 0.1, double 0.30000000000000004, double 3.14159, double 1e-7, double 5e-324, double 1.7976931348623157e+308]
ZINCRBY z 0.2 a                         => double 0.30000000000000004
ZADD z 9223372036854775807 a -4611686018427387904 b 1e22 c 1e23 d => 0
ZMSCORE z a b c d                       => [double 9223372036854776000, double -4611686018427388000, double 1e+22, double 1e+23]
## elements of one score are in order of their bytes
ZADD z 0 b 0 a 0 ab 0 "" 0 "\xff" 0 B 0 10 0 9 -0 aa => 9
ZRANGE z 0 -1                           => ["", "10", "9", "B", "a", "aa", "ab", "b", "\xff"]
## zadd with options
ZADD z NX 1 a 2 b                       => 2
ZADD z NX 5 a 3 c                       => 1
ZSCORE z a                              => double 1
ZADD z XX 5 a 9 d                       => 0
ZMSCORE z a d                           => [double 5, nil]
ZADD z XX CH 6 a 9 d                    => 1
ZADD z CH 6 a 1 b 4 d                   => 2
ZADD z GT 5 a 7 b 1 e                   => 1
ZMSCORE z a b e                         => [double 6, double 7, double 1]
ZADD z LT CH 5 a 9 b 1 f                => 2
ZMSCORE z a b f                         => [double 5, double 7, double 1]
ZADD z XX GT CH 4 a 8 b 1 g             => 1
ZADD z xx lt ch 4 a 7 b 1 g             => 2
ZADD z CH CH NX 1 z1                    => 1
ZADD z INCR 2 a                         => double 6
ZADD z INCR 2 new                       => double 2
ZADD z NX INCR 2 a                      => nil
ZADD z XX INCR 2 nosuch                 => nil
ZADD z GT INCR -1 a                     => nil
ZADD z LT INCR -1 a                     => double 5
ZADD z LT INCR 0 a                      => nil
ZADD z XX INCR 0 a                      => double 5
ZADD z INCR CH 1 a                      => double 6
ZADD nokey XX 1 a                       => 0
ZADD nokey XX INCR 1 a                  => nil
EXISTS nokey nosuch                     => 0
## zadd with errors
ZADD                                    => -ERR wrong number of arguments for 'zadd' command
ZADD z 1                                => -ERR wrong number of arguments for 'zadd' command
ZADD z 1 a 2                            => -ERR syntax error
ZADD z NX XX                            => -ERR syntax error
ZADD z NX 1                             => -ERR syntax error
ZADD z NX XX 1 a                        => -ERR XX and NX options at the same time are not compatible
ZADD z GT LT 1 a                        => -ERR GT, LT, and/or NX options at the same time are not compatible
ZADD z GT NX 1 a                        => -ERR GT, LT, and/or NX options at the same time are not compatible
ZADD z NX LT 1 a                        => -ERR GT, LT, and/or NX options at the same time are not compatible
ZADD z NX XX GT INCR 1 a 2 b            => -ERR XX and NX options at the same time are not compatible
ZADD z INCR 1 a 2 b                     => -ERR INCR option supports a single increment-element pair
ZADD z x a                              => -ERR value is not a valid float
ZADD z 1 a nan b                        => -ERR value is not a valid float
ZADD z 1 a "" b                         => -ERR value is not a valid float
ZADD z " 1" a                           => -ERR value is not a valid float
ZADD z "1 " a                           => -ERR value is not a valid float
ZADD z 1e400 a                          => -ERR value is not a valid float
ZADD z BAD 1 a                          => -ERR syntax error
ZADD z BAD 1 a b                        => -ERR value is not a valid float
EXISTS z                                => 0
ZADD z inf a -inf b                     => 2
ZADD z INCR -inf a                      => -ERR resulting score is not a number (NaN)
ZINCRBY z +inf b                        => -ERR resulting score is not a number (NaN)
ZMSCORE z a b                           => [double inf, double -inf]
SET s v                                 => OK
ZADD s 1 a                              => -WRONGTYPE Operation against a key holding the wrong kind of value
ZADD s x a                              => -ERR value is not a valid float
ZADD s XX 1 a                           => -WRONGTYPE Operation against a key holding the wrong kind of value
## zincrby
ZINCRBY z 2 a                           => double 2
ZINCRBY z -3.5 a                        => double -1.5
ZINCRBY z inf b                         => double inf
ZINCRBY z x b                           => -ERR value is not a valid float
ZINCRBY z nx b                          => -ERR syntax error
ZINCRBY z 1                             => -ERR wrong number of arguments for 'zincrby' command
ZINCRBY z 1 a b                         => -ERR wrong number of arguments for 'zincrby' command
ZRANGE z 0 -1                           => ["a", "b"]
## zrem
ZADD z 1 a 2 b 3 c 4 d                  => 4
ZREM z b                                => 1
ZREM z b nosuch a a                     => 1
ZREM absent a                           => 0
ZREM z                                  => -ERR wrong number of arguments for 'zrem' command
ZRANGE z 0 -1                           => ["c", "d"]
ZREM z d c                              => 2
EXISTS z                                => 0
## ranks
ZADD z 1 a 2 b 2 c 3 d                  => 4
ZRANK z a                               => 0
ZRANK z c                               => 2
ZREVRANK z a                            => 3
ZREVRANK z d                            => 0
ZRANK z nosuch                          => nil
ZREVRANK absent a                       => nil
ZRANK z                                 => -ERR wrong number of arguments for 'zrank' command
## ranks with scores [sherd]
ZADD z 1 a 2.5 b                        => 2
ZRANK z b WITHSCORE                     => [1, double 2.5]
ZREVRANK z b withscore                  => [0, double 2.5]
ZRANK z nosuch WITHSCORE                => nil[]
ZRANK absent a WITHSCORE                => nil[]
ZRANK z a WITHSCORES                    => -ERR syntax error
ZREVRANK z a b                          => -ERR syntax error
ZRANK z a WITHSCORE b                   => -ERR wrong number of arguments for 'zrank' command
ZREVRANK z a WITHSCORE b                => -ERR wrong number of arguments for 'zrevrank' command
## sorted set commands on other types
SET s v                                 => OK
ZINCRBY s 1 a                           => -WRONGTYPE Operation against a key holding the wrong kind of value
ZREM s a                                => -WRONGTYPE Operation against a key holding the wrong kind of value
ZSCORE s a                              => -WRONGTYPE Operation against a key holding the wrong kind of value
ZMSCORE s a                             => -WRONGTYPE Operation against a key holding the wrong kind of value
ZCARD s                                 => -WRONGTYPE Operation against a key holding the wrong kind of value
ZRANK s a                               => -WRONGTYPE Operation against a key holding the wrong kind of value
ZREVRANK s a                            => -WRONGTYPE Operation against a key holding the wrong kind of value
ZCOUNT s 1 2                            => -WRONGTYPE Operation against a key holding the wrong kind of value
ZLEXCOUNT s - +                         => -WRONGTYPE Operation against a key holding the wrong kind of value
ZRANGE s 0 -1                           => -WRONGTYPE Operation against a key holding the wrong kind of value
ZREVRANGE s 0 -1                        => -WRONGTYPE Operation against a key holding the wrong kind of value
ZRANGEBYSCORE s 0 1                     => -WRONGTYPE Operation against a key holding the wrong kind of value
ZREVRANGEBYSCORE s 0 1                  => -WRONGTYPE Operation against a key holding the wrong kind of value
ZRANGEBYLEX s - +                       => -WRONGTYPE Operation against a key holding the wrong kind of value
ZREVRANGEBYLEX s - +                    => -WRONGTYPE Operation against a key holding the wrong kind of value
ZRANGESTORE d s 0 1                     => -WRONGTYPE Operation against a key holding the wrong kind of value
ZREMRANGEBYRANK s 0 1                   => -WRONGTYPE Operation against a key holding the wrong kind of value
ZREMRANGEBYSCORE s 0 1                  => -WRONGTYPE Operation against a key holding the wrong kind of value
ZREMRANGEBYLEX s - +                    => -WRONGTYPE Operation against a key holding the wrong kind of value
ZPOPMIN s                               => -WRONGTYPE Operation against a key holding the wrong kind of value
ZPOPMAX s 0                             => -WRONGTYPE Operation against a key holding the wrong kind of value
ZMPOP 1 s MIN                           => -WRONGTYPE Operation against a key holding the wrong kind of value
ZRANDMEMBER s                           => -WRONGTYPE Operation against a key holding the wrong kind of value
ZRANDMEMBER s 0                         => -WRONGTYPE Operation against a key holding the wrong kind of value
ZUNION 2 absent s                       => -WRONGTYPE Operation against a key holding the wrong kind of value
ZINTER 2 absent s                       => -WRONGTYPE Operation against a key holding the wrong kind of value
ZDIFF 1 s                               => -WRONGTYPE Operation against a key holding the wrong kind of value
ZINTERCARD 1 s                          => -WRONGTYPE Operation against a key holding the wrong kind of value
ZUNIONSTORE d 1 s                       => -WRONGTYPE Operation against a key holding the wrong kind of value
ZSCAN s 0                               => -WRONGTYPE Operation against a key holding the wrong kind of value
ZADD z 1 a                              => 1
GET z                                   => -WRONGTYPE Operation against a key holding the wrong kind of value
HGET z a                                => -WRONGTYPE Operation against a key holding the wrong kind of value
SADD z a                                => -WRONGTYPE Operation against a key holding the wrong kind of value
APPEND z a                              => -WRONGTYPE Operation against a key holding the wrong kind of value
## sorted sets as keys
ZADD z 1.5 a 2 b                        => 2
COPY z c                                => 1
ZADD c 9 x                              => 1
RENAME z r                              => OK
ZRANGE r 0 -1 WITHSCORES                => *
ZCARD c                                 => 3
EXPIRE r 1000                           => 1
ZADD r 1 new                            => 1
TTL r                                   => 990..1000
PERSIST r                               => 1
MOVE r 1                                => 1
EXISTS r                                => 0
SELECT 1                                => OK
ZCARD r                                 => 3
SET r v                                 => OK
DEL c                                   => 0
""")

test_ranges = table(r"""
## zrange by rank
ZADD z 1 a 2 b 3 c 4 d 5 e              => 5
ZRANGE z 0 -1                           => ["a", "b", "c", "d", "e"]
ZRANGE z 1 2                            => ["b", "c"]
ZRANGE z -2 -1                          => ["d", "e"]
ZRANGE z -100 0                         => ["a"]
ZRANGE z 3 100                          => ["d", "e"]
ZRANGE z 5 10                           => []
ZRANGE z 3 2                            => []
ZRANGE z -1 -2                          => []
ZRANGE z 0 -6                           => []
ZRANGE absent 0 -1                      => []
ZRANGE z 0 -1 REV                       => ["e", "d", "c", "b", "a"]
ZRANGE z 1 2 rev                        => ["d", "c"]
ZRANGE z -9223372036854775808 9223372036854775807 => ["a", "b", "c", "d", "e"]
ZREVRANGE z 0 1                         => ["e", "d"]
ZREVRANGE z -2 -1                       => ["b", "a"]
ZREVRANGE z 4 100                       => ["a"]
ZREVRANGE z 5 100                       => []
ZRANGE z 0 1 LIMIT 0 -1                 => ["a", "b"]
## ranges with scores in RESP2 [resp2]
ZADD z 1 a 2.5 b                        => 2
ZRANGE z 0 -1 WITHSCORES                => ["a", "1", "b", "2.5"]
ZREVRANGE z 0 -1 withscores             => ["b", "2.5", "a", "1"]
ZRANGEBYSCORE z 2 3 WITHSCORES          => ["b", "2.5"]
ZRANDMEMBER z 5 WITHSCORES              => %["a", "1", "b", "2.5"]
ZUNION 1 z WITHSCORES                   => ["a", "1", "b", "2.5"]
ZPOPMIN z                               => ["a", "1"]
ZPOPMAX z 4                             => ["b", "2.5"]
## ranges with scores in RESP3
HELLO 3                                 => *
ZADD z 1 a 2.5 b                        => 2
ZRANGE z 0 -1 WITHSCORES                => ~\[\["a", double 1\], \["b", double 2.5\]\]
ZREVRANGE z 0 -1 withscores             => ~\[\["b", double 2.5\], \["a", double 1\]\]
ZRANGEBYSCORE z 2 3 WITHSCORES          => ~\[\["b", double 2.5\]\]
ZRANDMEMBER z -1 WITHSCORES             => ~\[\["[ab]", double [12.5]+\]\]
ZINTER 1 z WITHSCORES                   => ~\[\["a", double 1\], \["b", double 2.5\]\]
ZSCAN z 0                               => ["0", ["a", "1", "b", "2.5"]]
ZPOPMIN z                               => ~\["a", double 1\]
ZPOPMAX z 4                             => ~\[\["b", double 2.5\]\]
## zrange by score
ZADD z -inf a 1 b 2 c 2 d 3.5 e inf f   => 6
ZRANGEBYSCORE z -inf +inf               => ["a", "b", "c", "d", "e", "f"]
ZRANGEBYSCORE z 1 2                     => ["b", "c", "d"]
ZRANGEBYSCORE z (1 2                    => ["c", "d"]
ZRANGEBYSCORE z 1 (2                    => ["b"]
ZRANGEBYSCORE z (1 (3.5                 => ["c", "d"]
ZRANGEBYSCORE z (-inf (inf              => ["b", "c", "d", "e"]
ZRANGEBYSCORE z 3 1                     => []
ZRANGEBYSCORE z (2 2                    => []
ZRANGEBYSCORE z (2 (2                   => []
ZRANGEBYSCORE z 2 2                     => ["c", "d"]
ZRANGEBYSCORE z 0 5 LIMIT 1 2           => ["c", "d"]
ZRANGEBYSCORE z 0 5 LIMIT 1 -1          => ["c", "d", "e"]
ZRANGE z 0 -1 LIMIT 1 -1                => ["a", "b", "c", "d", "e", "f"]
ZRANGE z 0 1 LIMIT -1 -1                => ["a", "b"]
ZRANGEBYSCORE z 0 5 LIMIT 0 0           => []
ZRANGEBYSCORE z 0 5 LIMIT 4 1           => []
ZRANGEBYSCORE z 0 5 LIMIT -1 1          => []
ZRANGEBYSCORE z 0 5 LIMIT 0 1 LIMIT 1 1 => ["c"]
ZREVRANGEBYSCORE z +inf -inf            => ["f", "e", "d", "c", "b", "a"]
ZREVRANGEBYSCORE z 2 1                  => ["d", "c", "b"]
ZREVRANGEBYSCORE z (2 1                 => ["b"]
ZREVRANGEBYSCORE z 1 2                  => []
ZREVRANGEBYSCORE z inf 1 LIMIT 1 2      => ["e", "d"]
ZREVRANGEBYSCORE z inf 1 LIMIT 4 9      => ["b"]
ZREVRANGEBYSCORE z inf 1 LIMIT 5 9      => []
ZRANGE z 1 (3.5 BYSCORE                 => ["b", "c", "d"]
ZRANGE z (3.5 1 BYSCORE REV             => ["d", "c", "b"]
ZRANGE z 0 inf byscore limit 1 1        => ["c"]
ZRANGE absent 0 1 BYSCORE               => []
ZCOUNT z -inf inf                       => 6
ZCOUNT z (1 3                           => 2
ZCOUNT z 5 1                            => 0
ZCOUNT absent 0 1                       => 0
ZRANGEBYSCORE z "" 1                    => ["b"]
ZRANGEBYSCORE z ( 1                     => ["b"]
ZCOUNT z " 1" 0x2                       => 3
ZCOUNT z 1e400 +inf                     => 1
## zrange by lex
ZADD z 0 "" 0 a 0 aa 0 b 0 c 0 "\xff"   => 6
ZRANGEBYLEX z - +                       => ["", "a", "aa", "b", "c", "\xff"]
ZRANGEBYLEX z [a [b                     => ["a", "aa", "b"]
ZRANGEBYLEX z (a [b                     => ["aa", "b"]
ZRANGEBYLEX z [a (b                     => ["a", "aa"]
ZRANGEBYLEX z - (b                      => ["", "a", "aa"]
ZRANGEBYLEX z ( +                       => ["a", "aa", "b", "c", "\xff"]
ZRANGEBYLEX z [ [                       => [""]
ZRANGEBYLEX z + -                       => []
ZRANGEBYLEX z + +                       => []
ZRANGEBYLEX z - -                       => []
ZRANGEBYLEX z [c [a                     => []
ZRANGEBYLEX z [a [a                     => ["a"]
ZRANGEBYLEX z (a (a                     => []
ZRANGEBYLEX z - + LIMIT 2 2             => ["aa", "b"]
ZREVRANGEBYLEX z + -                    => ["\xff", "c", "b", "aa", "a", ""]
ZREVRANGEBYLEX z [b (a                  => ["b", "aa"]
ZREVRANGEBYLEX z + - LIMIT 1 2          => ["c", "b"]
ZREVRANGEBYLEX z - +                    => []
ZRANGE z [a (c BYLEX                    => ["a", "aa", "b"]
ZRANGE z (c [a BYLEX REV LIMIT 0 2      => ["b", "aa"]
ZLEXCOUNT z - +                         => 6
ZLEXCOUNT z (a +                        => 4
ZLEXCOUNT z [b [a                       => 0
ZLEXCOUNT absent - +                    => 0
## ranges with errors
ZRANGE z 0                              => -ERR wrong number of arguments for 'zrange' command
ZRANGE z a 1                            => -ERR value is not an integer or out of range
ZRANGE z 0 1.5                          => -ERR value is not an integer or out of range
ZRANGE z 0 9223372036854775808          => -ERR value is not an integer or out of range
ZRANGE z 0 1 BAD                        => -ERR syntax error
ZRANGE z 0 1 WITHSCORE                  => -ERR syntax error
ZRANGE z 0 1 LIMIT                      => -ERR syntax error
ZRANGE z 0 1 LIMIT 1                    => -ERR syntax error
ZRANGE z 0 1 LIMIT a 1                  => -ERR value is not an integer or out of range
ZRANGE z 0 1 LIMIT 1 a BAD              => -ERR value is not an integer or out of range
ZRANGE z 0 1 LIMIT 0 1                  => -ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX
ZREVRANGE z 0 1 LIMIT 0 1               => -ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX
ZRANGE z - + BYLEX WITHSCORES           => -ERR syntax error, WITHSCORES not supported in combination with BYLEX
ZRANGEBYLEX z - + WITHSCORES            => -ERR syntax error, WITHSCORES not supported in combination with BYLEX
ZRANGE z 0 1 BYSCORE BYLEX              => -ERR syntax error
ZRANGE z 0 1 REV REV                    => -ERR syntax error
ZREVRANGE z 0 1 REV                     => -ERR syntax error
ZRANGEBYSCORE z 0 1 BYSCORE             => -ERR syntax error
ZRANGEBYSCORE z a 1                     => -ERR min or max is not a float
ZRANGEBYSCORE z 0 1x                    => -ERR min or max is not a float
ZRANGEBYSCORE z ((1 2                   => -ERR min or max is not a float
ZRANGEBYSCORE z [1 2                    => -ERR min or max is not a float
ZRANGEBYSCORE z nan 2                   => -ERR min or max is not a float
ZRANGEBYSCORE z a 1 LIMIT x 1           => -ERR value is not an integer or out of range
ZREVRANGEBYSCORE z 1 a                  => -ERR min or max is not a float
ZRANGE z 1 a BYSCORE                    => -ERR min or max is not a float
ZCOUNT z 1 a                            => -ERR min or max is not a float
ZCOUNT z 1                              => -ERR wrong number of arguments for 'zcount' command
ZRANGEBYLEX z a [b                      => -ERR min or max not valid string range item
ZRANGEBYLEX z [a ""                     => -ERR min or max not valid string range item
ZRANGEBYLEX z -a +                      => -ERR min or max not valid string range item
ZRANGEBYLEX z - ++                      => -ERR min or max not valid string range item
ZREVRANGEBYLEX z b [a                   => -ERR min or max not valid string range item
ZRANGE z 0 -1 BYLEX                     => -ERR min or max not valid string range item
ZLEXCOUNT z 1 2                         => -ERR min or max not valid string range item
ZREMRANGEBYLEX z 1 2                    => -ERR min or max not valid string range item
ZREMRANGEBYSCORE z x 2                  => -ERR min or max is not a float
ZREMRANGEBYRANK z x 2                   => -ERR value is not an integer or out of range
ZREMRANGEBYRANK z 1                     => -ERR wrong number of arguments for 'zremrangebyrank' command
## zrangestore
ZADD z 1 a 2 b 3 c 4 d                  => 4
ZRANGESTORE d z 1 2                     => 2
ZMSCORE d a b c d                       => [nil, double 2, double 3, nil]
ZRANGESTORE d z 0 -1 REV                => 4
ZRANGESTORE d z (1 3 BYSCORE            => 2
ZRANGE d 0 -1                           => ["b", "c"]
ZRANGESTORE d z 3 (1 BYSCORE REV LIMIT 0 1 => 1
ZRANGE d 0 -1                           => ["c"]
ZRANGESTORE z z 0 1                     => 2
ZRANGE z 0 -1                           => ["a", "b"]
ZADD l 0 a 0 b 0 c                      => 3
ZRANGESTORE d l [b + BYLEX              => 2
ZRANGE d 0 -1                           => ["b", "c"]
SET d v EX 100                          => OK
ZRANGESTORE d z 0 0                     => 1
TTL d                                   => -1
ZRANGESTORE d z 5 9                     => 0
EXISTS d                                => 0
SET d v                                 => OK
ZRANGESTORE d absent 0 -1               => 0
EXISTS d                                => 0
ZRANGESTORE d z 0 -1 WITHSCORES         => -ERR syntax error
ZRANGESTORE d z 0 -1 LIMIT 0 1          => -ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX
ZRANGESTORE d z a b                     => -ERR value is not an integer or out of range
ZRANGESTORE d z a b BYSCORE             => -ERR min or max is not a float
ZRANGESTORE d z 0                       => -ERR wrong number of arguments for 'zrangestore' command
## removing ranges
ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g      => 7
ZREMRANGEBYRANK z 0 1                   => 2
ZREMRANGEBYRANK z -1 -1                 => 1
ZREMRANGEBYRANK z 9 10                  => 0
ZREMRANGEBYRANK z 2 1                   => 0
ZRANGE z 0 -1                           => ["c", "d", "e", "f"]
ZREMRANGEBYSCORE z (3 4                 => 1
ZREMRANGEBYSCORE z 9 1                  => 0
ZREMRANGEBYSCORE z 6 +inf               => 1
ZREMRANGEBYRANK absent 0 1              => 0
ZREMRANGEBYSCORE absent 0 1             => 0
ZREMRANGEBYLEX absent - +               => 0
ZREMRANGEBYSCORE z -inf +inf            => 2
EXISTS z                                => 0
ZADD z 0 a 0 b 0 c 0 d                  => 4
ZREMRANGEBYLEX z (a [c                  => 2
ZREMRANGEBYLEX z [x [z                  => 0
ZRANGE z 0 -1                           => ["a", "d"]
ZREMRANGEBYLEX z - +                    => 2
EXISTS z                                => 0
## zpopmin and zpopmax
ZADD z 1 a 2 b 3 c 4 d 5 e              => 5
ZPOPMIN z                               => ["a", double 1]
ZPOPMAX z                               => ["e", double 5]
ZPOPMIN z 0                             => []
ZPOPMIN absent                          => []
ZPOPMAX absent 5                        => []
ZPOPMIN z -1                            => -ERR value is out of range, must be positive
ZPOPMIN z a                             => -ERR value is out of range, must be positive
ZPOPMAX z 1 2                           => -ERR syntax error
ZPOPMIN z a 2                           => -ERR syntax error
ZPOPMIN                                 => -ERR wrong number of arguments for 'zpopmin' command
ZRANGE z 0 -1                           => ["b", "c", "d"]
ZPOPMAX z 2                             => ~\[.*"d".*4.*"c".*3.*\]
ZPOPMIN z 100                           => ~\[.*"b".*2.*\]
EXISTS z                                => 0
## zmpop
ZADD z 1 a 2 b 3 c                      => 3
ZADD y 7 x                              => 1
ZMPOP 2 absent z MIN                    => ["z", [["a", double 1]]]
ZMPOP 3 absent z y MAX COUNT 5          => ["z", [["c", double 3], ["b", double 2]]]
ZMPOP 3 absent z y max count 1          => ["y", [["x", double 7]]]
ZMPOP 2 z y MIN                         => nil[]
EXISTS z y                              => 0
ZMPOP 0 z MIN                           => -ERR numkeys should be greater than 0
ZMPOP a z MIN                           => -ERR numkeys should be greater than 0
ZMPOP -1 z MIN                          => -ERR numkeys should be greater than 0
ZMPOP 1 z                               => -ERR wrong number of arguments for 'zmpop' command
ZMPOP 2 z MIN                           => -ERR syntax error
ZMPOP 1 z BAD                           => -ERR syntax error
ZMPOP 9223372036854775807 z MIN         => -ERR syntax error
ZMPOP 1 z MIN COUNT                     => -ERR syntax error
ZMPOP 1 z MIN COUNT 0                   => -ERR count should be greater than 0
ZMPOP 1 z MIN COUNT a                   => -ERR count should be greater than 0
ZMPOP 1 z MIN COUNT 1 COUNT 1           => -ERR syntax error
ZMPOP 1 z MIN COUNT 0 BAD               => -ERR count should be greater than 0
ZMPOP 1 z MIN BAD 1                     => -ERR syntax error
## zrandmember
ZADD z 1 a                              => 1
ZRANDMEMBER z                           => "a"
ZRANDMEMBER absent                      => nil
ZRANDMEMBER absent 5                    => []
ZRANDMEMBER z 0                         => []
ZRANDMEMBER z 5                         => ["a"]
ZRANDMEMBER z -3                        => ["a", "a", "a"]
ZRANDMEMBER z x                         => -ERR value is not an integer or out of range
ZRANDMEMBER z 1 BAD                     => -ERR syntax error
ZRANDMEMBER z 1 WITHSCORES x            => -ERR syntax error
ZRANDMEMBER z -9223372036854775808      => -ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
ZRANDMEMBER z 9223372036854775807 WITHSCORES => -ERR value is out of range
ZRANDMEMBER z -9223372036854775807 WITHSCORES => -ERR value is out of range
ZRANDMEMBER absent -9223372036854775807 => []
## zrandmember of no bounded length [sherd]
ZADD z 1 abcdefgh                       => 1
ZRANDMEMBER z -16777217                 => -ERR value is out of range
ZRANDMEMBER z -9223372036854775807      => -ERR value is out of range
CONFIG SET proto-max-bulk-len 1mb       => OK
ZRANDMEMBER z -150000                   => -ERR value is out of range
ZRANDMEMBER z -60000 WITHSCORES         => -ERR value is out of range
ZRANDMEMBER z -2                        => ["abcdefgh", "abcdefgh"]
## zscan
ZADD z 1 a 2.5 b 3 c                    => 3
ZSCAN z 0                               => ["0", ["a", "1", "b", "2.5", "c", "3"]]
ZSCAN z 0 MATCH [ab] COUNT 1            => ["0", ["a", "1", "b", "2.5"]]
ZSCAN z 0 MATCH x                       => ["0", []]
ZSCAN absent 0                          => ["0", []]
ZSCAN absent 0 BAD                      => ["0", []]
ZSCAN z x                               => -ERR invalid cursor
ZSCAN z 0 COUNT 0                       => -ERR syntax error
ZSCAN z 0 NOVALUES                      => -ERR syntax error
ZSCAN z 0 TYPE zset                     => -ERR syntax error
ZSCAN z                                 => -ERR wrong number of arguments for 'zscan' command
""")

test_operations = table(r"""
## zunion and zinter
ZADD x 1 a 2 b 3 c                      => 3
ZADD y 10 b 20 c 30 d                   => 3
ZUNION 2 x y                            => ["a", "b", "c", "d"]
ZINTER 2 x y                            => ["b", "c"]
ZDIFF 2 x y                             => ["a"]
ZDIFF 2 y x                             => ["d"]
ZDIFF 1 x                               => ["a", "b", "c"]
ZDIFF 3 x absent y                      => ["a"]
ZDIFF 2 absent x                        => []
ZDIFF 2 x x                             => []
ZUNION 2 x absent                       => ["a", "b", "c"]
ZUNION 1 absent                         => []
ZINTER 2 x absent                       => []
ZINTERCARD 2 x y                        => 2
ZINTERCARD 2 x y LIMIT 1                => 1
ZINTERCARD 2 x y LIMIT 0                => 2
ZINTERCARD 2 x y LIMIT 1 LIMIT 5        => 2
ZINTERCARD 2 x absent                   => 0
ZUNIONSTORE d 2 x y                     => 4
ZMSCORE d a b c d                       => [double 1, double 12, double 23, double 30]
ZINTERSTORE d 2 x y                     => 2
ZMSCORE d a b c d                       => [nil, double 12, double 23, nil]
ZUNIONSTORE d 2 x y WEIGHTS 2 0.5       => 4
ZMSCORE d a b c d                       => [double 2, double 9, double 16, double 15]
ZUNIONSTORE d 2 x y WEIGHTS 20 1 AGGREGATE MAX => 4
ZMSCORE d a b c d                       => [double 20, double 40, double 60, double 30]
ZINTERSTORE d 2 x y aggregate min       => 2
ZMSCORE d b c                           => [double 2, double 3]
ZINTERSTORE d 2 x y AGGREGATE SUM WEIGHTS -1 1 AGGREGATE MIN => 2
ZMSCORE d b c                           => [double -2, double -3]
ZRANGE d 0 -1                           => ["c", "b"]
ZDIFFSTORE d 2 x y                      => 1
ZSCORE d a                              => double 1
ZUNIONSTORE d 2 x x                     => 3
ZSCORE d c                              => double 6
ZINTERSTORE x 2 x y                     => 2
ZRANGE x 0 -1                           => ["b", "c"]
ZUNIONSTORE x 1 y                       => 3
ZRANGE x 0 -1                           => ["b", "c", "d"]
## results that are not there
ZADD x 1 a                              => 1
SET d v EX 100                          => OK
ZINTERSTORE d 2 x absent                => 0
EXISTS d                                => 0
SET d v EX 100                          => OK
ZUNIONSTORE d 1 x                       => 1
TTL d                                   => -1
TYPE d                                  => +zset
ZDIFFSTORE d 2 x x                      => 0
EXISTS d                                => 0
ZUNIONSTORE d 1 absent                  => 0
## plain sets take part
SADD s a b 5                            => 3
ZADD z 2 b 7 5 9 x                      => 3
ZUNIONSTORE d 2 s z                     => 4
ZMSCORE d a b 5 x                       => [double 1, double 3, double 8, double 9]
ZUNIONSTORE d 2 s z WEIGHTS 10 1        => 4
ZMSCORE d a b 5 x                       => [double 10, double 12, double 17, double 9]
ZINTER 2 s z                            => ["b", "5"]
ZINTER 2 z s                            => ["b", "5"]
ZDIFF 2 s z                             => ["a"]
ZDIFF 2 z s                             => ["x"]
ZINTERCARD 2 s z                        => 2
SADD i 5 6                              => 2
ZINTER 3 i s z                          => ["5"]
ZUNION 1 i                              => ["5", "6"]
## infinity in sums and weights
ZADD x inf a -inf b 0 c                 => 3
ZADD y -inf a inf b 1 c                 => 3
ZUNIONSTORE d 2 x y                     => 3
ZMSCORE d a b c                         => [double 0, double 0, double 1]
ZINTERSTORE d 2 x y                     => 3
ZMSCORE d a b c                         => [double 0, double 0, double 1]
ZUNIONSTORE d 1 x WEIGHTS 0             => 3
ZMSCORE d a b c                         => [double 0, double 0, double 0]
ZUNIONSTORE d 2 y x WEIGHTS inf 1       => 3
ZMSCORE d a b c                         => [double 0, double 0, double inf]
ZINTERSTORE d 2 x y WEIGHTS 1 -1 AGGREGATE MAX => 3
ZMSCORE d a b c                         => [double inf, double -inf, double 0]
## operations with errors
ZUNION 0 x                              => -ERR at least 1 input key is needed for 'zunion' command
ZUNION -1 x                             => -ERR at least 1 input key is needed for 'zunion' command
ZINTERSTORE d 0 x                       => -ERR at least 1 input key is needed for 'zinterstore' command
ZINTERCARD 0 x                          => -ERR at least 1 input key is needed for 'zintercard' command
ZDIFF a x                               => -ERR value is not an integer or out of range
ZDIFFSTORE d 1.5 x                      => -ERR value is not an integer or out of range
ZUNION 3 x y                            => -ERR syntax error
ZUNION 9223372036854775807 x y          => -ERR syntax error
ZUNIONSTORE d 2 x                       => -ERR syntax error
ZUNION 1                                => -ERR wrong number of arguments for 'zunion' command
ZUNIONSTORE d 1                         => -ERR wrong number of arguments for 'zunionstore' command
ZUNION 1 x BAD                          => -ERR syntax error
ZUNION 1 x WEIGHTS                      => -ERR syntax error
ZUNION 2 x y WEIGHTS 1                  => -ERR syntax error
ZUNION 1 x WEIGHTS a                    => -ERR weight value is not a float
ZUNION 1 x WEIGHTS nan                  => -ERR weight value is not a float
ZUNION 1 x AGGREGATE                    => -ERR syntax error
ZUNION 1 x AGGREGATE avg                => -ERR syntax error
ZUNIONSTORE d 1 x WITHSCORES            => -ERR syntax error
ZDIFF 1 x WEIGHTS 1                     => -ERR syntax error
ZDIFF 1 x AGGREGATE SUM                 => -ERR syntax error
ZDIFFSTORE d 1 x WITHSCORES             => -ERR syntax error
ZINTERCARD 1 x LIMIT -1                 => -ERR LIMIT can't be negative
ZINTERCARD 1 x LIMIT a                  => -ERR LIMIT can't be negative
ZINTERCARD 1 x LIMIT                    => -ERR syntax error
ZINTERCARD 1 x WITHSCORES               => -ERR syntax error
ZINTER 1 x LIMIT 1                      => -ERR syntax error
SET s v                                 => OK
ZUNION 1 s BAD                          => -WRONGTYPE Operation against a key holding the wrong kind of value
ZUNIONSTORE s 1 absent                  => 0
EXISTS s                                => 0
""")

test_encodings = table(r"""
## encodings of sorted sets
ZADD z 1 a                              => 1
OBJECT ENCODING z                       => "listpack"
ZADD z 1 "m"*64                         => 1
OBJECT ENCODING z                       => "listpack"
ZADD z 1 "m"*65                         => 1
OBJECT ENCODING z                       => "skiplist"
ZREM z "m"*65                           => 1
OBJECT ENCODING z                       => "skiplist"
ZADD f 1 "m"*65                         => 1
OBJECT ENCODING f                       => "skiplist"
COPY f c                                => 1
OBJECT ENCODING c                       => "skiplist"
ZUNIONSTORE d 1 z                       => 2
OBJECT ENCODING d                       => "listpack"
ZUNIONSTORE d 1 f                       => 1
OBJECT ENCODING d                       => "skiplist"
ZRANGESTORE d z 0 -1                    => 2
OBJECT ENCODING d                       => "listpack"
CONFIG SET zset-max-ziplist-entries 2 zset-max-ziplist-value 3 => OK
CONFIG GET zset-max-listpack-entries    => {"zset-max-listpack-entries": "2"}
ZADD few 1 a 2 b                        => 2
OBJECT ENCODING few                     => "listpack"
ZADD few 3 a 4 b                        => 0
OBJECT ENCODING few                     => "listpack"
ZADD few 5 c                            => 1
OBJECT ENCODING few                     => "skiplist"
ZADD long 1 abc                         => 1
OBJECT ENCODING long                    => "listpack"
ZADD long 1 abcd                        => 1
OBJECT ENCODING long                    => "skiplist"
CONFIG SET zset-max-listpack-entries 128 zset-max-listpack-value 64 => OK
""")


# Members and scores of every kind of packed element, and large ones.
MEMBERS = {
    "short": lambda i: b"m%d" % i,
    "numbers": lambda i: b"%d" % (i - 50),
    "64 bytes": lambda i: b"%064d" % i,
    "65 bytes": lambda i: b"%065d" % i,
    "of all lengths": lambda i: b"%d" % i + b"x" * (i * 37 % 300),
}
SIZES = [1, 2, 30, 60, 128, 129, 700, 3000]


def by_order(scores):
    return sorted(scores, key=lambda member: (scores[member], member))


def number(reply):
    return float(reply.text if isinstance(reply, Double) else reply)


def content(client, key):
    flat = client.command("ZRANGE", key, 0, -1, "WITHSCORES")
    return list(zip(flat[::2], map(number, flat[1::2])))


@pytest.mark.parametrize("kind_of_member", MEMBERS)
@pytest.mark.parametrize("size", SIZES)
def test_sizes(server, kind_of_member, size):
    """Filled one by one in any order, asked in all ways, and emptied."""
    rng = random.Random(size)
    scores = {MEMBERS[kind_of_member](i): rng.choice([i, i / 8, -i, 5, i * 1e15])
              for i in range(size)}
    with server.connect_unix() as client:
        shuffled = rng.sample(list(scores), size)
        assert client.pipeline([["ZADD", "z", repr(scores[m]), m] for m in shuffled]) == [1] * size
        order = by_order(scores)
        assert content(client, "z") == [(m, scores[m]) for m in order]
        fits = size <= 128 and all(len(m) <= 64 for m in scores)
        assert client.command("OBJECT", "ENCODING", "z") == (b"listpack" if fits else b"skiplist")
        assert client.command("ZREVRANGE", "z", 0, -1) == order[::-1]
        some = [rng.randrange(size) for _ in range(20)]
        assert client.pipeline([["ZRANK", "z", order[i]] for i in some]) == some
        assert client.pipeline([["ZREVRANK", "z", order[i]] for i in some]) == \
            [size - 1 - i for i in some]
        assert client.command("ZRANGE", "z", size // 2, size // 2 + 9) == \
            order[size // 2:size // 2 + 10]
        low, high = sorted(rng.choices(list(scores.values()), k=2))
        within = [m for m in order if low <= scores[m] < high]
        border = ["(" + repr(high), repr(low)]
        assert client.command("ZREVRANGEBYSCORE", "z", *border) == within[::-1]
        assert client.command("ZRANGE", "z", *border, "BYSCORE", "REV", "LIMIT", 1, 7) == \
            within[::-1][1:8]
        assert client.command("ZRANGEBYSCORE", "z", *border[::-1], "LIMIT", 2, 5) == within[2:7]
        assert client.command("ZCOUNT", "z", *border[::-1]) == len(within)
        assert client.command("COPY", "z", "copy") == 1
        changed = shuffled[:size // 2]
        for member in changed:
            scores[member] = rng.choice([0, -scores[member], 1e17])
        client.command("ZADD", "z", 0, order[0], *[x for m in changed
                                                   for x in (repr(scores[m]), m)])
        scores.setdefault(order[0], 0)
        if order[0] not in changed:
            scores[order[0]] = 0
        order = by_order(scores)
        assert content(client, "z") == [(m, scores[m]) for m in order]
        assert client.command("ZREMRANGEBYRANK", "z", 1, size // 3) == len(order[1:size // 3 + 1])
        left = order[:1] + order[size // 3 + 1:]
        assert client.command("ZRANGE", "z", 0, -1) == left
        assert client.command("ZDIFF", 2, "copy", "z") is not None
        assert client.command("ZINTERCARD", 2, "z", "copy") == len(left)
        assert client.command("ZUNIONSTORE", "u", 2, "z", "copy", "AGGREGATE", "MIN") == size
        gone = rng.sample(left, len(left) // 2)
        if gone:
            assert client.command("ZREM", "z", *gone, b"no") == len(gone)
        left = [m for m in left if m not in set(gone)]
        popped = client.command("ZPOPMAX", "z", 3)
        assert popped[::2] == left[::-1][:3]
        assert client.command("ZREMRANGEBYSCORE", "z", "-inf", "inf") == len(left[:-3])
        assert client.command("EXISTS", "z") == 0
        assert client.command("ZCARD", "copy") == size


@pytest.mark.parametrize("size", [40, 128, 129, 2500])
def test_lex(server, size):
    rng = random.Random(size)
    members = sorted({b"%d" % rng.randrange(10 ** 6) for _ in range(size)})
    with server.connect_unix() as client:
        client.command("ZADD", "z", *[x for m in members for x in ("0", m)])
        for _ in range(20):
            low, high = sorted([b"%d" % rng.randrange(10 ** 6), rng.choice(members)])
            within = [m for m in members if low <= m < high]
            assert client.command("ZRANGEBYLEX", "z", b"[" + low, b"(" + high) == within
            assert client.command("ZREVRANGEBYLEX", "z", b"(" + high, b"[" + low, "LIMIT", 1, 3) == \
                within[::-1][1:4]
            assert client.command("ZLEXCOUNT", "z", b"[" + low, b"(" + high) == len(within)
        assert client.command("ZREMRANGEBYLEX", "z", b"[" + low, b"(" + high) == len(within)
        assert client.command("ZRANGE", "z", 0, -1) == [m for m in members if m not in within]


@pytest.mark.parametrize("size", [1, 10, 128, 129, 600, 3000])
def test_full_scan(server, size):
    scores = {b"member:%d" % i: float(i) for i in range(size)}
    with server.connect_unix() as client:
        client.command("ZADD", "z", *[x for m in scores for x in (scores[m], m)])
        for options in ([], ["COUNT", 1], ["COUNT", 1000], ["MATCH", "member:*"]):
            found, cursor = {}, b"0"
            while True:
                cursor, flat = client.command("ZSCAN", "z", cursor, *options)
                found.update(zip(flat[::2], map(float, flat[1::2])))
                if cursor == b"0":
                    break
            assert found == scores


@pytest.mark.parametrize("size", [5, 200, 2000])
def test_random_members(server, size):
    """Samples hold no member twice, repeated draws only members, and all of them."""
    scores = {b"%d" % i: i / 2 for i in range(size)}
    with server.connect_unix() as client:
        client.command("ZADD", "z", *[x for m in scores for x in (scores[m], m)])
        for count in (1, 2, size // 2, size - 1, size, size + 1):
            some = client.command("ZRANDMEMBER", "z", count)
            assert len(some) == len(set(some)) == min(count, size) and set(some) <= set(scores)
        flat = client.command("ZRANDMEMBER", "z", -40 * size, "WITHSCORES")
        assert len(flat) == 80 * size
        assert dict(zip(flat[::2], map(number, flat[1::2]))) == scores


@pytest.mark.parametrize("sizes", [(3, 40, 2), (300, 5, 2000), (1000, 1000, 1000)], ids=str)
def test_operations_like_a_model(server, sizes):
    """Sorted sets and a plain set, small and large, with weights and each aggregate."""
    rng = random.Random(sizes[0])
    names = [b"m%d" % i for i in range(max(sizes) * 5 // 4)]
    sources = [{m: float(rng.randrange(-50, 50)) for m in rng.sample(names, size)}
               for size in sizes]
    weights = [2.0, -1.0, 0.5]
    sources[2] = dict.fromkeys(sources[2], 1.0)
    with server.connect_unix() as client:
        for name, scores in zip("xy", sources):
            client.command("ZADD", name, *[x for m in scores for x in (scores[m], m)])
        client.command("SADD", "s", *sources[2])
        keys = [3, "x", "y", "s"]
        both = set(sources[0]) & set(sources[1]) & set(sources[2])
        for word, function in (("SUM", math.fsum), ("MIN", min), ("MAX", max)):
            def expect(members):
                found = {m: function([w * s[m] for w, s in zip(weights, sources) if m in s])
                         for m in members}
                return [(m, found[m]) for m in by_order(found)]
            options = ["WEIGHTS", *weights, "AGGREGATE", word]
            union = expect(set().union(*sources))
            assert client.command("ZUNIONSTORE", "d", *keys, *options) == len(union)
            assert content(client, "d") == union
            assert client.command("ZUNION", *keys, *options) == [m for m, _ in union]
            inter = expect(both)
            assert client.command("ZINTER", *keys, *options) == [m for m, _ in inter]
            assert client.command("ZINTERSTORE", "d", *keys, *options) == len(inter)
            assert content(client, "d") == inter
        left = {m: s for m, s in sources[0].items() if m not in sources[1] and m not in sources[2]}
        assert client.command("ZDIFFSTORE", "d", *keys) == len(left)
        assert content(client, "d") == [(m, left[m]) for m in by_order(left)]
        assert client.command("ZINTERCARD", *keys) == len(both)
        assert client.command("ZINTERCARD", *keys, "LIMIT", 2) == min(2, len(both))


def test_long_members(server):
    """Members of any length, as plain sets and strings have them."""
    with server.connect_unix() as client:
        members = [b"%d" % i + b"x" * size for i, size in enumerate([300, 70_000, 1_000_000])]
        assert client.command("ZADD", "z", *[x for i, m in enumerate(members) for x in (i, m)]) == 3
        assert client.command("ZRANGE", "z", 0, -1) == members
        assert client.command("ZINCRBY", "z", 5, members[0]) in (b"5", Double(b"5"))
        assert client.command("ZRANGE", "z", 0, -1) == members[1:] + members[:1]
        assert client.command("ZREM", "z", *members) == 3
        assert client.command("ZSCORE", "z", members[0]) is NIL_BULK


# Who watches a sorted set is told of every change, and of nothing else.

QUIET = """
ZADD z 1 a                              => 0
ZADD z NX 9 a                           => 0
ZADD z XX 9 nosuch                      => 0
ZADD z GT 0 a                           => 0
ZADD z INCR NX 9 a                      => nil
ZINCRBY z 0 a                           => double 1
ZREM z nosuch                           => 0
ZREMRANGEBYRANK z 10000 20000           => 0
ZREMRANGEBYSCORE z 1e9 2e9              => 0
ZPOPMIN z 0                             => []
ZRANGESTORE other z 0 0                 => 1
ZINTERSTORE other 2 z nosuch            => 0
ZRANGE z 0 0                            => ["a"]
"""
LOUD = """
ZADD z 1.5 a                            => 0
ZADD z 7 new                            => 1
ZINCRBY z 1 a                           => double 2.5
ZREM z a                                => 1
ZREMRANGEBYRANK z 0 0                   => 1
ZREMRANGEBYSCORE z 3 3                  => 1
ZPOPMAX z                               => *
ZMPOP 2 nosuch z MIN                    => *
ZUNIONSTORE z 1 z                       => 1..1000
ZRANGESTORE z z 0 1                     => 2
ZREMRANGEBYRANK z 0 -1                  => 2
ZUNIONSTORE z 1 other                   => 0
ZADD z 1 a                              => 1
ZINTERSTORE z 2 z nosuch                => 0
"""


def watched(fill):
    lines = fill.split("\n")
    for text, told in ((QUIET, "[1]"), (LOUD, "nil[]")):
        for line in text.strip().split("\n"):
            quiet = told == "[1]" or line.startswith("ZUNIONSTORE z 1 other")
            lines += ["WATCH z => OK", line, "MULTI => OK", "EXISTS absent z => +QUEUED",
                      "EXEC => " + ("~\\[[01]\\]" if quiet else "nil[]")]
    return "\n".join(lines)


test_watch = table("## changes of a small sorted set are seen by those who watch\n" +
                   watched("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h => 8") +
                   "\n## changes of a large sorted set are seen by those who watch\n" +
                   watched("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h => 8\nZADD z %s => 100" %
                           " ".join("%d %s%d" % (i + 100, "m" * 30, i) for i in range(100))))


# Writers give all members scores from one row of numbers, rename the set, let it go: nobody sees two rows.

def setters(number, address, members, count):
    rng = random.Random(number)
    with Client(address) as client:
        for i in range(count):
            first = (number + 2 * i) * 10 ** 6
            client.command("ZADD", "z", *[x for k, m in enumerate(members) for x in (first + k, m)])
            if rng.random() < .2:
                client.command(*rng.choice([
                    ["DEL", "z"], ["RENAME", "z", "other"], ["COPY", "other", "z", "REPLACE"],
                    ["EXPIRE", "z", 1000], ["ZREMRANGEBYRANK", "z", 0, -1], ["ZREM", "z", *members],
                    ["ZUNIONSTORE", "z", 1, "other"], ["ZRANGESTORE", "other", "z", 0, -1]]))


def readers(number, address, members, count):
    middle = len(members) // 2
    with Client(address) as client:
        for _ in range(count):
            ranked, backwards, one, scores, size, low, few, rank = client.pipeline([
                ["ZRANGE", "z", 0, -1, "WITHSCORES"], ["ZREVRANGE", "z", 0, -1],
                ["ZRANGE", "z", middle, middle], ["ZMSCORE", "z", *members], ["ZCARD", "z"],
                ["ZRANGE", "other", "-inf", "inf", "BYSCORE", "LIMIT", 0, 3],
                ["ZRANDMEMBER", "z", 5], ["ZRANK", "z", members[middle]]])
            assert ranked[::2] in ([], members) and backwards in ([], members[::-1])
            assert one in ([], [members[middle]]) and size in (0, len(members))
            rows = {int(float(x)) - k for k, x in enumerate(ranked[1::2])}
            assert len(rows) <= 1
            assert all(x is NIL_BULK for x in scores) or \
                len({int(float(x)) - k for k, x in enumerate(scores)}) == 1
            assert low in ([], members[:3]) and rank in (middle, NIL_BULK)
            assert set(few) <= set(members) and len(set(few)) == len(few)


@pytest.mark.stress
@pytest.mark.parametrize("size", [4, 60, 1000])
def test_scores_change_at_one_moment(server, size):
    members = [b"m%04d" % i for i in range(size)]
    rounds = int(SCALE * 6000 / (10 + size // 4))
    workers.run([(setters, (server.path, members, rounds))] * 2 +
                [(readers, (server.path, members, rounds))] * 3)
