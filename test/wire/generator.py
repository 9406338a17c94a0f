"""Random commands from a table, and the rules by which two servers' replies are compared.

A row of COMMANDS is a weight and a template: words in capitals are sent as they are, words in small
letters are kinds of arguments (functions of the random generator, see KINDS).

    kind?  at most once      kind*  up to three times      kind+  one to four times
    a|b    one of them       ( ... ) a group, which may be followed by ? * + as well

Some commands are then spoiled: an argument too many or too few, or one replaced by something odd.
RULES says how the replies of a command are compared where "the same bytes" isn't meant. To take in
another type of value: add rows and kinds, a reader to READERS, and rules where needed.
"""

import re
import time

from resp import Double, Error, Nil, Status, TIMEOUT_S

# What makes an argument

NAMES = [b"a", b"b", b"c", b"d", b"e", b"f", b"{t}1", b"{t}2", b"{t}3", b"key:%d", b"", b"\x00",
         b"\xff\r\n", b"{}x", b"{", b"long" * 100]
INTEGERS = [0, 0, 1, 1, -1, 2, 3, 7, 8, 10, 100, -100, 255, 256, 1023, 65536, -65536, 2 ** 31 - 1,
            2 ** 31, -2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53, 2 ** 63 - 1, 2 ** 63 - 2, -2 ** 63,
            -2 ** 63 + 1, 2 ** 63, -2 ** 63 - 1, 2 ** 64, 10 ** 30]
FLOATS = [b"0", b"1.5", b"-1.5", b"3.0", b"1e3", b"1e-3", b"0.1", b"-0", b"1e17", b"123456.789",
          b"1e308", b"1e4932", b"1e5000", b"inf", b"-inf", b"nan", b"0x1p4", b"1.", b".5", b"1e",
          b" 1", b"1 ", b"", b"abc", b"9223372036854775807", b"17179869185.5"]
# No small positive integer: as a time to live it would make a run depend on its own speed.
ODD = [b"", b"0", b"-1", b"abc", b"1.5", b" 1", b"01", b"+1", b"-0", b"NX", b"EX", b"GET",
       b"\x00", b"\r\n", b"'", b'"', b"9223372036854775807", b"-9223372036854775808",
       b"9223372036854775808", b"x" * 200, b"*", b"[a-", b"\\", b"nan", b"LIMIT", b"DB", b"\xc3\xa4"]
PATTERNS = [b"*", b"a", b"?", b"??", b"[a-c]", b"[^a]", b"key:*", b"*t*", b"{t}?", b"\\a", b"[", b"",
            b"[a", b"*\x00*", b"long*", b"k[e-e]y:[0-9]*", b"**", b"a*b*c", b"[c-a]", b"[\\]]"]


def key(rng):
    name = rng.choice(NAMES)
    return name % rng.randrange(30) if b"%d" in name else name


def value(rng):
    kind = rng.random()
    if kind < .35:
        return b"%d" % integer_value(rng)
    if kind < .45:
        return rng.choice(FLOATS)
    if kind < .80:
        return rng.randbytes(rng.randrange(12))
    if kind < .97:
        return rng.choice([b"x", b"ab", b"\x00", b"0"]) * rng.randrange(120)
    size = rng.choice([500, 4000, 16384, 65535, 65536, 70000])
    return (b"%d." % rng.randrange(10 ** 6) * size)[:size]


def integer_value(rng):
    return rng.choice(INTEGERS) if rng.random() < .4 else rng.randrange(-1000, 1000)


def integer(rng):
    return b"%d" % integer_value(rng)


def small(rng):
    return b"%d" % rng.randrange(-20, 40)


def offset(rng):
    """Where a string is written or a bit set: mostly near, so that strings stay small."""
    if rng.random() < .05:
        return rng.choice([b"-1", b"abc", b"4294967296", b"9223372036854775807", b""])
    return b"%d" % (rng.randrange(100) if rng.random() < .95 else rng.randrange(100_000))


def seconds(rng):
    """From now: far ahead or already past, so that a run's duration makes no difference; and hardly
    ever the same twice, for GT and LT would compare the moments when commands arrived."""
    past = rng.choice([0, -1, -100])
    return b"%d" % (past if rng.random() < .3 else 10 ** 6 + 1000 * rng.randrange(10 ** 6))


def milliseconds(rng):
    past = rng.choice([0, -1, -100])
    return b"%d" % (past if rng.random() < .3 else 10 ** 9 + 10 ** 6 * rng.randrange(10 ** 6))


def at_seconds(rng):
    return b"%d" % rng.choice([33177117420, 33177117421, 4102444800, 1, 0, -5, 33177117420])


def at_milliseconds(rng):
    return b"%d" % rng.choice([33177117420123, 33177117420999, 4102444800500, 1, 0, -5])


def typed_key(prefix):
    """Mostly keys of one type, so that most commands on them do something."""
    def kind(rng):
        return key(rng) if rng.random() < .1 else b"%s%d" % (prefix, rng.randrange(6))
    return kind


def element(rng):
    """A field or member: mostly one of a few, some of each kind of encoding, some long."""
    how = rng.random()
    if how < .6:
        return b"f%d" % rng.randrange(20)
    if how < .75:
        return b"%d" % rng.choice([0, 1, -1, 12, 127, 128, 5000, -32769, 8388608, 2 ** 31, 2 ** 40])
    if how < .9:
        return rng.choice([b"", b"\x00", b"-0", b"01", b"x" * 63, b"x" * 64, b"y" * 65])
    return b"%d" % rng.randrange(700) if how < .97 else rng.choice([b"e" * 200, b"z" * 4000])


def element_value(rng):
    how = rng.random()
    if how < .5:
        return b"%d" % integer_value(rng)
    if how < .9:
        return rng.choice([b"", b"abc", b"1.5", b"v" * 20, b"v" * 64])
    return value(rng) if how < .95 else b"v" * rng.choice([65, 300, 1000])


def many_pairs(rng):
    """Enough pairs to cross a limit of number or size at once."""
    count = rng.choice([5, 30, 60, 130, 520])
    start = rng.randrange(3)
    return [x for i in range(start, start + count) for x in (b"%d" % i, b"value:%d" % (i % 7))]


def many_elements(rng):
    count = rng.choice([5, 30, 60, 130, 520])
    start = rng.randrange(3)
    return [b"%d" % i for i in range(start, start + count)]


def few_elements(rng):
    """Long ones, so that a list soon takes another form."""
    return [element(rng) + b"." * rng.choice([0, 0, 100, 400, 1100]) for _ in range(rng.randrange(1, 12))]


def list_index(rng):
    return b"%d" % rng.choice([rng.randrange(-6, 6), rng.randrange(-700, 700)])


def score(rng):
    """Scores that %.17g and the shortest form write the same."""
    how = rng.random()
    if how < .5:
        return b"%d" % rng.randrange(-3, 12)
    if how < .8:
        return b"%r" % (rng.randrange(-4000, 4000) / 8)
    return rng.choice([b"0", b"-0", b"1e3", b"1e21", b"-1e100", b"+inf", b"-inf", b"nan", b"x",
                       b"", b" 1", b"0x10", b"4503599627370497", b"1e400"])


def score_border(rng):
    return rng.choice([b"", b"", b"("]) + score(rng)


def member_border(rng):
    how = rng.random()
    if how < .3:
        return rng.choice([b"-", b"+"])
    return (rng.choice([b"[", b"("]) if how < .97 else b"") + element(rng)


def many_scored(rng):
    count = rng.choice([5, 30, 60, 130, 520])
    start = rng.randrange(3)
    return [x for i in range(start, start + count) for x in (b"%d" % (i * 7 % 50), b"%d" % i)]


def many_same(rng):
    """Members of one score, as lexicographical ranges want them."""
    return [x for member in many_elements(rng) for x in (b"0", member)]


def sources(rng):
    """A number of keys, mostly the right one, with as many keys of sets and sorted sets."""
    keys = [KINDS[rng.choice(["zset", "zset", "zset", "set"])](rng) for _ in range(rng.randrange(1, 4))]
    return [b"%d" % (len(keys) if rng.random() < .95 else rng.randrange(-1, 5))] + keys


def weighted(rng):
    made = sources(rng)
    return made + [b"WEIGHTS"] + [score(rng) for _ in made[1:]]


def longitude(rng):
    return b"%.6f" % rng.uniform(-180, 180) if rng.random() < .95 else rng.choice(
        [b"180", b"-180", b"0", b"181", b"x", b"nan"])


def latitude(rng):
    return b"%.6f" % rng.uniform(-85, 85) if rng.random() < .95 else rng.choice(
        [b"85.05112878", b"-85.05112878", b"0", b"86", b"", b"inf"])


def many_places(rng):
    return [x for member in many_elements(rng)
            for x in (b"%.4f" % rng.uniform(-180, 180), b"%.4f" % rng.uniform(-85, 85), member)]


KINDS = {
    "zset": typed_key(b"z"), "lexset": lambda rng: b"lex%d" % rng.randrange(4), "score": score,
    "score_border": score_border, "member_border": member_border, "many_scored": many_scored,
    "many_same": many_same, "sources": sources, "weighted": weighted,
    "hash": typed_key(b"h"), "set": typed_key(b"s"), "hll": typed_key(b"hll"),
    "geo": typed_key(b"geo"), "longitude": longitude, "latitude": latitude, "many_places": many_places,
    "distance": lambda rng: b"%.2f" % 10 ** rng.uniform(0, 8) if rng.random() < .97 else rng.choice(
            [b"-1", b"0", b"x", b"inf", b"1e300"]),
    "unit": lambda rng: rng.choice([b"m", b"km", b"KM", b"ft", b"mi"] * 8 + [b"x"]),
    "from": lambda rng: [b"FROMMEMBER", element(rng)] if rng.random() < .4 else
            [b"FROMLONLAT", longitude(rng), latitude(rng)],
    "by": lambda rng: [b"BYRADIUS", KINDS["distance"](rng), KINDS["unit"](rng)] if rng.random() < .5
            else [b"BYBOX", KINDS["distance"](rng), KINDS["distance"](rng), KINDS["unit"](rng)],
    "weight": lambda rng: b"weight:" + element(rng), "weights": lambda rng: b"weights:" + element(rng),
    "by_pattern": lambda rng: rng.choice([b"weight:*", b"weight:*", b"weights:*->f", b"*"]),
    "sort_pattern": lambda rng: rng.choice([b"#", b"weight:*", b"weights:*->f", b"nosuch:*", b"x"]),
    "sparse_bytes": lambda rng: rng.choice([b"3000", b"3000", b"0", b"100", b"12000"]),
    "element": element, "element_value": element_value,
    # large strings, and where to write in them
    "big": typed_key(b"big"), "far": lambda rng: b"%d" % rng.randrange(300_000),
    "huge": lambda rng: b"%x" % rng.getrandbits(1000) * rng.choice([200, 600, 1500]),
    "long": lambda rng: b"e" * rng.choice([300, 5000, 20000]),
    "list": typed_key(b"l"), "list_index": list_index, "few_elements": few_elements,
    "many_pairs": many_pairs, "many_elements": many_elements,
    "key": key, "value": value, "integer": integer, "small": small, "offset": offset,
    "seconds": seconds, "milliseconds": milliseconds, "at_seconds": at_seconds,
    "at_milliseconds": at_milliseconds,
    "float": lambda rng: rng.choice(FLOATS) if rng.random() < .5 else
             b"%.*f" % (rng.randrange(8), rng.uniform(-1000, 1000)),
    "bit": lambda rng: rng.choice([b"0", b"1", b"1", b"0", b"2", b"-1", b""])
           if rng.random() < .1 else rng.choice([b"0", b"1"]),
    "odd": lambda rng: rng.choice(ODD),
    # LCS takes the product of both lengths: its keys are no others, and never long.
    "lcs_key": lambda rng: b"lcs%d" % rng.randrange(4),
    "short_value": lambda rng: bytes(rng.choices(b"abcd\x00", k=rng.randrange(60))),
    "pattern": lambda rng: rng.choice(PATTERNS),
    "database": lambda rng: rng.choice([b"0", b"0", b"0", b"1", b"1", b"2", b"15", b"16", b"-1"]),
    "bits": lambda rng: b"%s%d" % (rng.choice([b"u", b"i"]), rng.choice(
            [1, 2, 4, 5, 7, 8, 8, 16, 31, 32, 63, 64, 65, 0])),
    "bit_offset": lambda rng: rng.choice([b"", b"#"]) + (offset(rng) if rng.random() < .3 else
                                                         b"%d" % rng.randrange(40)),
    # What is popped by chance is another member on each server: all, or nothing.
    "pop_count": lambda rng: rng.choice([b"0", b"100000", b"-1", b"x"]),
    "random_count": lambda rng: rng.choice([b"0", b"1", b"3", b"-3", b"-20", b"1000", b"x"]),
    "text": lambda rng: rng.choice([b"hello", b"", b"\x00\xff", b"a b", b"x" * 300]),
    "name": lambda rng: rng.choice([b"me", b"", b"a b", b"x" * 50, b"\x80"]),
    "command": lambda rng: rng.choice([b"NOSUCH", b"GETT", b"",  b"S ET", b"x" * 150]),
    "whole": lambda rng: [b"SET", b"k", b"v"] if rng.random() < .5 else command(rng),
}

COMMANDS = """
30 SET key value
20 SET key value (NX|XX|GET|KEEPTTL|EX seconds|PX milliseconds|EXAT at_seconds|PXAT at_milliseconds)*
30 GET key
6 GETSET key value
6 GETDEL key
10 GETEX key (PERSIST|EX seconds|PX milliseconds|EXAT at_seconds|PXAT at_milliseconds)?
10 MGET key+
8 MSET (key value)+
5 MSETNX (key value)+
5 SETNX key value
4 SETEX key seconds value
4 PSETEX key milliseconds value
10 APPEND key value
6 STRLEN key
8 SETRANGE key offset value
8 GETRANGE key small small
3 GETRANGE key integer integer
3 SUBSTR key small small
8 INCR key
6 DECR key
10 INCRBY key integer
6 DECRBY key integer
10 INCRBYFLOAT key float
4 SET lcs_key short_value
6 LCS lcs_key lcs_key (LEN|IDX|WITHMATCHLEN|MINMATCHLEN small)*
10 SETBIT key offset bit
6 GETBIT key offset
8 BITCOUNT key (small small (BYTE|BIT)?)?
8 BITPOS key bit (small (small (BYTE|BIT)?)?)?
8 BITOP (AND|OR|XOR) key key+
3 BITOP NOT key key
12 BITFIELD key (GET bits bit_offset|SET bits bit_offset integer|INCRBY bits bit_offset integer|OVERFLOW (WRAP|SAT|FAIL))*
4 BITFIELD_RO key (GET bits bit_offset)*
12 RPUSH list element+
12 LPUSH list element+
1.5 RPUSH list few_elements
1.5 LPUSH list few_elements
1 RPUSH list many_elements
1 LPUSH list many_elements
2 LPUSHX list element+
2 RPUSHX list element+
8 LPOP list
8 RPOP list
4 LPOP list small
4 RPOP list random_count
5 LMPOP (1 list|2 list list|3 list list list) (LEFT|RIGHT) (COUNT small)?
3 BLPOP list+ 0.001
3 BRPOP list+ 0.001
2 BLMPOP 0.001 (1 list|2 list list|3 list list list) (LEFT|RIGHT) (COUNT small)?
3 BLMOVE list list (LEFT|RIGHT) (LEFT|RIGHT) 0.001
2 BRPOPLPUSH list list 0.001
4 LLEN list
6 LINDEX list list_index
6 LRANGE list list_index list_index
4 LPOS list element (RANK list_index|COUNT small|MAXLEN small)*
5 LINSERT list (BEFORE|AFTER) element element
5 LSET list list_index element
5 LREM list list_index element
2 LTRIM list list_index list_index
6 LMOVE list list (LEFT|RIGHT) (LEFT|RIGHT)
3 RPOPLPUSH list list
1 DEL list+
1 COPY list list REPLACE?
1 RENAME list list
1 EXPIRE list seconds
20 HSET hash (element element_value)+
2 HSET hash many_pairs
4 HMSET hash (element element_value)+
6 HSETNX hash element element_value
12 HGET hash element
6 HMGET hash element+
5 HGETALL hash
10 HDEL hash element+
1 HDEL hash many_elements
5 HLEN hash
5 HEXISTS hash element
3 HKEYS hash
3 HVALS hash
4 HSTRLEN hash element
8 HINCRBY hash element integer
8 HINCRBYFLOAT hash element float
3 HRANDFIELD hash (random_count WITHVALUES?)?
4 HSCAN hash 0 (MATCH pattern|COUNT small)*
3 OBJECT ENCODING hash
1 DEL hash+
1 COPY hash hash REPLACE?
1 RENAME hash hash
1 EXPIRE hash seconds
20 SADD set element+
2 SADD set many_elements
10 SREM set element+
1 SREM set many_elements
6 SMOVE set set element
5 SCARD set
6 SISMEMBER set element
5 SMISMEMBER set element+
5 SMEMBERS set
4 SSCAN set 0 (MATCH pattern|COUNT small)*
3 SPOP set pop_count
3 SRANDMEMBER set random_count?
5 SINTER set+
5 SUNION set+
5 SDIFF set+
4 SINTERSTORE set set+
4 SUNIONSTORE set set+
4 SDIFFSTORE set set+
4 SINTERCARD (1 set|2 set set|3 set set set|small set) (LIMIT small)?
3 OBJECT ENCODING set
1 DEL set+
1 COPY set set REPLACE?
1 RENAME set set
1 EXPIRE set seconds
20 ZADD zset (NX|XX|GT|LT|CH)* (score element)+
4 ZADD zset (NX|XX|GT|LT|CH)* INCR score element
3 ZADD zset many_scored
3 ZADD lexset many_same
6 ZADD lexset 0 element
10 ZINCRBY zset score element
10 ZREM zset element+
1 ZREM zset many_elements
8 ZSCORE zset element
4 ZMSCORE zset element+
4 ZCARD zset
6 ZRANK zset element
6 ZREVRANK zset element
6 ZCOUNT zset score_border score_border
6 ZLEXCOUNT lexset member_border member_border
8 ZRANGE zset small small (WITHSCORES|REV)*
8 ZRANGE zset score_border score_border BYSCORE (REV|WITHSCORES|LIMIT small small)*
6 ZRANGE lexset member_border member_border BYLEX (REV|LIMIT small small)*
3 ZRANGE zset small small (BYSCORE|BYLEX|REV|WITHSCORES|LIMIT small small)*
4 ZREVRANGE zset small small WITHSCORES?
6 ZRANGEBYSCORE zset score_border score_border (WITHSCORES|LIMIT small small)*
6 ZREVRANGEBYSCORE zset score_border score_border (WITHSCORES|LIMIT small small)*
4 ZRANGEBYLEX lexset member_border member_border (LIMIT small small)?
4 ZREVRANGEBYLEX lexset member_border member_border (LIMIT small small)?
4 ZRANGESTORE zset zset small small REV?
4 ZRANGESTORE zset zset score_border score_border BYSCORE (REV|LIMIT small small)*
3 ZRANGESTORE lexset lexset member_border member_border BYLEX (REV|LIMIT small small)*
4 ZREMRANGEBYRANK zset small small
3 ZREMRANGEBYSCORE zset score_border score_border
3 ZREMRANGEBYLEX lexset member_border member_border
4 ZPOPMIN zset random_count?
4 ZPOPMAX zset random_count?
4 ZMPOP sources (MIN|MAX) (COUNT random_count)?
3 BZPOPMIN zset+ 0.001
3 BZPOPMAX zset+ 0.001
2 BZMPOP 0.001 sources (MIN|MAX) (COUNT random_count)?
3 ZRANDMEMBER zset (random_count WITHSCORES?)?
4 ZUNION sources (AGGREGATE (SUM|MIN|MAX)|WITHSCORES)*
4 ZINTER weighted (AGGREGATE (SUM|MIN|MAX)|WITHSCORES)*
4 ZDIFF sources WITHSCORES?
4 ZINTERCARD sources (LIMIT small)?
4 ZUNIONSTORE zset weighted (AGGREGATE (SUM|MIN|MAX))?
4 ZINTERSTORE zset sources (AGGREGATE (SUM|MIN|MAX))?
3 ZDIFFSTORE zset sources
4 ZSCAN zset 0 (MATCH pattern|COUNT small)*
3 OBJECT ENCODING zset
1 DEL zset+
1 COPY zset zset REPLACE?
1 RENAME zset zset
1 EXPIRE zset seconds
12 PFADD hll element*
2 PFADD hll many_elements
10 PFCOUNT hll
4 PFCOUNT hll+
4 PFMERGE hll hll+
2 PFDEBUG (ENCODING|TODENSE|DECODE|GETREG) hll
4 GET hll
1 DEL hll+
1 COPY hll hll REPLACE?
1 EXPIRE hll seconds
1 CONFIG SET hll-sparse-max-bytes sparse_bytes
12 GEOADD geo (NX|XX|CH)* (longitude latitude element)+
1 GEOADD geo many_places
4 GEOPOS geo element*
3 GEOHASH geo element*
3 GEODIST geo element element unit?
8 GEOSEARCH geo from by (WITHDIST|WITHCOORD|WITHHASH|COUNT random_count ANY)*
3 GEOSEARCH geo (from|by|ASC|DESC|ANY|COUNT small|odd)*
4 GEOSEARCHSTORE geo geo from by
2 GEORADIUS geo longitude latitude distance unit (WITHDIST|WITHCOORD|WITHHASH)*
2 GEORADIUS geo longitude latitude distance unit STORE geo
2 GEORADIUSBYMEMBER geo element distance unit (WITHDIST|STORE geo|STOREDIST geo)?
1 GEORADIUS_RO geo longitude latitude distance unit (STORE geo)?
1 GEORADIUSBYMEMBER_RO geo element distance unit
2 ZREM geo element+
1 DEL geo+
6 SORT list (DESC|LIMIT small small)*
5 SORT (list|set) ALPHA (DESC|LIMIT small small)* STORE list
3 SORT list BY nosort (DESC|GET sort_pattern|LIMIT small small)*
4 SORT (list|set) BY by_pattern (DESC|GET sort_pattern|LIMIT small small)*
3 SORT (list|set) BY by_pattern (DESC|GET sort_pattern|LIMIT small small)* STORE list
3 SORT_RO list (BY by_pattern|GET sort_pattern|DESC|LIMIT small small)*
2 SORT key (odd|BY|GET|STORE|ALPHA|LIMIT|DESC)*
3 SET weight integer
3 HSET weights f integer
10 DEL key+
5 UNLINK key+
10 EXISTS key+
4 TOUCH key+
6 TYPE key
8 EXPIRE key seconds (NX|XX|GT|LT)*
6 PEXPIRE key milliseconds (NX|XX|GT|LT)*
6 EXPIREAT key at_seconds (NX|XX|GT|LT)*
6 PEXPIREAT key at_milliseconds (NX|XX|GT|LT)*
6 TTL key
4 PTTL key
4 EXPIRETIME key
4 PEXPIRETIME key
6 PERSIST key
6 RENAME key key
6 RENAMENX key key
8 COPY key key (DB database|REPLACE)*
6 MOVE key database
1 SWAPDB database database
3 SELECT database
3 KEYS pattern
3 DBSIZE
2 RANDOMKEY
2 SCAN 0 (MATCH pattern|COUNT small|TYPE (string|list|nosuch))*
6 OBJECT ENCODING key
2 OBJECT REFCOUNT key
2 OBJECT IDLETIME key
1 OBJECT FREQ key
0.3 FLUSHDB (SYNC|ASYNC)?
0.2 FLUSHALL (SYNC|ASYNC)?
2 PING text?
2 ECHO text
1 CLIENT SETNAME name
1 CLIENT GETNAME
0.3 CLIENT ID
0.3 RESET
0.5 HELLO (2|3|4|abc)? (SETNAME name)?
1 MEMORY USAGE key (SAMPLES small)?
0.3 TIME
1 WATCH key+
0.5 UNWATCH
0.3 MULTI
0.5 EXEC
0.3 DISCARD
1 COMMAND GETKEYS whole
1 command odd*
0.5 OBJECT odd key
0.5 CLIENT odd
0.3 CONFIG odd
0.3 AUTH text text?
"""

# The grammar

TOKEN = re.compile(r"[()|]|[?*+](?=\s|$|[)|])|[^\s()|?*+]+")


class Literal:
    def __init__(self, word):
        self.word = word.encode()

    def generate(self, rng):
        return [self.word]


class Kind:
    def __init__(self, function):
        self.function = function

    def generate(self, rng):
        made = self.function(rng)
        return made if isinstance(made, list) else [made]


class Chain:
    def __init__(self, parts):
        self.parts = parts

    def generate(self, rng):
        return [word for part in self.parts for word in part.generate(rng)]


class Choice:
    def __init__(self, options):
        self.options = options

    def generate(self, rng):
        return rng.choice(self.options).generate(rng)


class Repeat:
    TIMES = {"?": [0, 1], "*": [0, 0, 1, 1, 2, 3], "+": [1, 1, 2, 3, 4]}

    def __init__(self, part, how):
        self.part, self.times = part, self.TIMES[how]

    def generate(self, rng):
        return [word for _ in range(rng.choice(self.times)) for word in self.part.generate(rng)]


def parse(template):
    tokens = TOKEN.findall(template)
    assert "".join(tokens) == re.sub(r"\s", "", template), template
    made, rest = parse_choice(tokens)
    assert not rest, template
    return made


def parse_choice(tokens):
    options, parts = [], []
    while tokens and tokens[0] != ")":
        token, tokens = tokens[0], tokens[1:]
        if token == "|":
            options.append(Chain(parts))
            parts = []
        elif token == "(":
            part, tokens = parse_choice(tokens)
            assert tokens[0] == ")"
            tokens = tokens[1:]
            parts.append(part)
        elif token in Repeat.TIMES:
            parts[-1] = Repeat(parts[-1], token)
        else:
            parts.append(Kind(KINDS[token]) if token in KINDS else Literal(token))
    options.append(Chain(parts))
    return (options[0] if len(options) == 1 else Choice(options)), tokens


ROWS = [(float(row.split(" ", 1)[0]), parse(row.split(" ", 1)[1]))
        for row in COMMANDS.strip().split("\n")]
WEIGHTS = [weight for weight, _ in ROWS]
TEMPLATES = [template for _, template in ROWS]
SPOILT = 0.08


def command(rng):
    """One command: a list of byte strings."""
    args = rng.choices(TEMPLATES, WEIGHTS)[0].generate(rng)
    if rng.random() < SPOILT:
        spoil(rng, args)
    same_arity(args)
    if rng.random() < .1:
        args[0] = args[0].lower()
    return args


def same_arity(args):
    """Where 7.2 has changed how many arguments there may be, a number that both refuse or both take: what
    is refused breaks a transaction."""
    if args[0] in (b"ZRANK", b"ZREVRANK"):
        del args[3:]
    elif args[:2] == [b"COMMAND", b"GETKEYS"]:
        args += [b"GET"] * (4 - len(args))


TRANSACTION = 0.02
# The reference's SORT takes a number for too large after another command has met one (a stale errno),
# unless one in between has read a good one.
SORTS = (b"SORT", b"SORT_RO")
NUMBER_READ = [b"INCRBYFLOAT", b"read", b"1"]
TOUCHING_NOTHING = (b"SETBIT", b"BITFIELD")


def transaction(rng):
    """A whole one; some don't end, or watch keys."""
    made = []
    if rng.random() < .4:
        made.append([b"WATCH"] + [key(rng) for _ in range(rng.randrange(1, 4))])
        made += [command(rng) for _ in range(rng.choice([0, 0, 0, 1, 5]))]
    made.append([b"MULTI"])
    made += [command(rng) for _ in range(rng.choice([0, 1, 2, 3, 5, 8, 20]))]
    return made + rng.choice([[[b"EXEC"]]] * 18 + [[[b"DISCARD"]], []])


def sequence(rng, length):
    """So many commands, single ones and transactions. Since 7.2 a bit that is as it was doesn't touch who
    watches it: what may store such bits is left out while a key is watched."""
    made = []
    while len(made) < length:
        made += transaction(rng) if rng.random() < TRANSACTION else [command(rng)]
    made = [x for args in made for x in ([NUMBER_READ, args] if args[0].upper() in SORTS else [args])]
    watching = False
    for i, args in enumerate(made):
        name = args[0].upper()
        watching = name == b"WATCH" or watching and name not in (b"UNWATCH", b"RESET")
        if watching and name in TOUCHING_NOTHING:
            made[i] = [b"PING"]
        if name in (b"EXEC", b"DISCARD") and len(args) == 1:
            watching = False
    return made


def spoil(rng, args):
    """Changes arguments, never the command's name: another command may be one to keep away from."""
    how = rng.randrange(4)
    if how == 0 and len(args) > 1:
        del args[rng.randrange(1, len(args))]
    elif how == 1:
        args.insert(rng.randrange(1, len(args) + 1), rng.choice(ODD))
    elif how == 2:
        args += [rng.choice(ODD)] * rng.randrange(1, 3)
    elif len(args) > 1:
        args[rng.randrange(1, len(args))] = rng.choice(ODD)
    if unsafe(args) or waits_long(args):
        args[:] = [b"PING"]


def expires_soon(args):
    """Which of the servers still sees a key that lives for moments only is chance."""
    if args[0].upper() in (b"EXPIRE", b"PEXPIRE", b"SETEX", b"PSETEX"):
        lives = args[2:3]
    else:
        lives = [life for word, life in zip(args, args[1:]) if word.upper() in (b"EX", b"PX")]
    return any(life.isdigit() and 0 < int(life) < 10 ** 6 for life in lives)


def mixes_scores(args):
    """What lexicographical ranges show of elements with different scores nobody promises."""
    lexical = any(b"LEX" in word.upper() for word in args[:1] + args[4:])
    if args[0].upper() == b"ZADD":
        return any(word.startswith(b"lex") for word in args)
    return lexical and not all(word.startswith(b"lex") for word in args[1:2])


def waits_long(args):
    """A command that waits, and whose timeout isn't the short one of its template any more."""
    if args[0] in (b"BLMPOP", b"BZMPOP"):
        return args[1:2] != [b"0.001"]
    return args[0] in (b"BLPOP", b"BRPOP", b"BLMOVE", b"BRPOPLPUSH", b"BZPOPMIN", b"BZPOPMAX") and (
        args[-1] != b"0.001")


def unsafe(args):
    """Commands whose effect would outlive the test or break the comparison."""
    if mixes_scores(args):
        return True
    if args[0].upper() == b"HELLO":     # since 7.2 a refused one changes nothing
        return True
    if expires_soon(args):
        return True
    if args[0].upper() == b"SPOP" and len(args) == 2:   # by chance
        return True
    return args[0].upper() in (b"CLIENT", b"CONFIG", b"DEBUG", b"COMMAND") and len(args) > 1 and \
        args[1].upper() in (b"", b"KILL", b"REPLY", b"PAUSE", b"SET", b"GET", b"LIST", b"INFO")


# How replies are compared: rule(reference's reply, ours, the command) says whether they agree.
# DBSIZE may count what expired and has not been swept: it is compared at the end of a sequence.

TTL_SLACK_S = 60        # how far apart in time both servers may run a command


def same(reference, ours, args):
    if isinstance(reference, Nil) or isinstance(ours, Nil):
        return reference is ours
    return type(reference) is type(ours) and reference == ours


def same_kind(reference, ours, args):
    if isinstance(reference, Error) or isinstance(ours, Error):
        return same(reference, ours, args)
    return type(reference) is type(ours)


def nil_or_not(reference, ours, args):
    if isinstance(reference, Error) or isinstance(reference, Nil):
        return same(reference, ours, args)
    return type(reference) is type(ours)


def number_or_nil(reference, ours, args):
    """MEMORY USAGE may count what expired and has not been swept."""
    if isinstance(reference, Error) or isinstance(ours, Error):
        return same(reference, ours, args)
    return isinstance(ours, (int, Nil))


def unordered(reference, ours, args):
    if isinstance(reference, list) and isinstance(ours, list):
        return type(reference) is type(ours) and sorted(reference) == sorted(ours)
    return same(reference, ours, args)


def pairs_of(reply):
    """What a map holds, in either protocol's form."""
    return sorted(reply) if reply and isinstance(reply[0], (list, tuple)) else \
        sorted(zip(reply[::2], reply[1::2]))


def unordered_pairs(reference, ours, args):
    if isinstance(reference, list) and isinstance(ours, list):
        return type(reference) is type(ours) and pairs_of(reference) == pairs_of(ours)
    return same(reference, ours, args)


def as_many(reference, ours, args):
    """What is chosen by chance."""
    if isinstance(reference, list) and isinstance(ours, list):
        return type(reference) is type(ours) and len(reference) == len(ours)
    return nil_or_not(reference, ours, args)


def near(slack):
    def rule(reference, ours, args):
        if type(reference) is int and type(ours) is int and reference >= 0 and ours >= 0:
            return abs(reference - ours) <= slack
        return same(reference, ours, args)
    return rule


def idle(reference, ours, args):
    """Small integers are shared objects there, also with keys that were flushed long ago: one may have been
    idle for as long as the server runs. Ours are as old as the sequence at most."""
    if type(reference) is int and type(ours) is int:
        return reference >= 0 and 0 <= ours <= TTL_SLACK_S
    return same(reference, ours, args)


def scan(reference, ours, args):
    """Cursors and portions are each server's own; whole iterations are compared elsewhere."""
    return same_kind(reference, ours, args) and (isinstance(ours, Error) or (
        len(ours) == 2 and ours[0].isdigit() and isinstance(ours[1], list)))


def rank_refused(reference, ours, args):
    """Since 7.2 LPOS refuses the rank that has no opposite."""
    return isinstance(ours, Error) and b"-9223372036854775808" in args or \
        same(reference, ours, args)


def both_refuse(reference, ours, args):
    """The arity of COMMAND GETKEYS is another one since 7.2, so one error stands for another."""
    return isinstance(reference, Error) and isinstance(ours, Error) or same(reference, ours, args)


def scan_packed(reference, ours, args):
    """What one call shows must be the same where both show all at once."""
    if not scan(reference, ours, args) or isinstance(ours, Error):
        return same(reference, ours, args)
    return [args[2], reference[0], ours[0]] != [b"0"] * 3 or \
        sorted(reference[1]) == sorted(ours[1])


def set_encoding(reference, ours):
    """Since 7.2 small sets are listpacks; and what is stored gets the encoding that its own members
    need, even where the reference had more in hand while it made it."""
    return reference == b"hashtable" and ours in (b"listpack", b"intset")


def list_encoding(reference, ours):
    """Since 7.2 lists that fit one node are listpacks."""
    return reference == b"quicklist" and ours == b"listpack"


def sorted_encoding(reference, ours):
    """SORT changes the encoding of a sorted set that it reads, which is no business of a reader."""
    return reference == b"skiplist" and ours == b"listpack"


def encodings(reference, ours, args):
    if list_encoding(reference, ours) or sorted_encoding(reference, ours):
        return True
    if set_encoding(reference, ours) and not args[2].startswith(b"h"):
        return True
    return same(reference, ours, args)


def same_scores(reference, ours, args):
    """The reference writes 17 digits, and all of them before an exponent, where we write the shortest text
    as 7.2 does; and other zeros are negative."""
    if type(reference) is not type(ours) or isinstance(reference, Nil):
        return same(reference, ours, args)
    if isinstance(reference, list):
        return len(reference) == len(ours) and all(
            same_scores(one, two, args) for one, two in zip(reference, ours))
    if reference == ours or not isinstance(reference, (bytes, Double)):
        return reference == ours
    one, two = ([x.text if isinstance(x, Double) else x for x in (reference, ours)])
    return bool(re.fullmatch(rb"-?0|-?\d[\d.]{7,}(e[-+]\d+)?", one)) and float(one) == float(two)


def scored(reply):
    """Members with scores, in either protocol's form."""
    pairs = reply if reply and isinstance(reply[0], list) else zip(reply[::2], reply[1::2])
    return [(member, float(score.text if isinstance(score, Double) else score))
            for member, score in pairs]


def rank_or_score(reference, ours, args):
    """Since 7.2 a fourth argument may be WITHSCORE."""
    return len(args) == 4 and isinstance(reference, Error) or same(reference, ours, args)


def scan_scores(reference, ours, args):
    """A large set's scores are written otherwise than a small one's there: members are compared."""
    def members(reply):
        return [reply[0], reply[1][::2]]
    if isinstance(reference, Error) or isinstance(ours, Error):
        return same(reference, ours, args)
    return scan_packed(members(reference), members(ours), args)


SORT_WORDS = {b"BY": 1, b"GET": 1, b"STORE": 1, b"LIMIT": 2}     # with so many arguments


def sort_options(args):
    """{word: its arguments, of all its uses}"""
    options, at = {}, 2
    while at < len(args):
        word = args[at].upper()
        values = args[at + 1:at + 1 + SORT_WORDS.get(word, 0)]
        options.setdefault(word, []).extend(values)
        at += 1 + len(values)
    return options


def sort_rows(reference, ours, args):
    """The rows that SORT replies are compared in order, unless it wasn't to sort (a BY without a star)
    or sorts by texts that need not exist: where such rows come from a set, their order is chance, and so is
    which of them a LIMIT shows."""
    options = sort_options(args)
    if same(reference, ours, args) or type(reference) is not list or type(ours) is not list:
        return same(reference, ours, args)
    by = options.get(b"BY", [])
    if not any(b"*" not in pattern for pattern in by) and not (by and b"ALPHA" in options):
        return False
    size = max(1, len(options.get(b"GET", [])))

    def rows(reply):
        return sorted(repr(reply[at:at + size]) for at in range(0, len(reply), size))
    return len(reference) == len(ours) and (b"LIMIT" in options or rows(reference) == rows(ours))


RULES = {
    b"SORT": sort_rows, b"SORT_RO": sort_rows,
    b"SMEMBERS": unordered, b"SINTER": unordered, b"SUNION": unordered, b"SDIFF": unordered,
    b"SSCAN": scan_packed, b"SRANDMEMBER": as_many, b"SPOP": unordered, b"OBJECT ENCODING": encodings,
    b"HGETALL": unordered_pairs, b"HKEYS": unordered, b"HVALS": unordered, b"HRANDFIELD": as_many,
    b"LPOS": rank_refused, b"HSCAN": scan_packed, b"ZSCAN": scan_scores,
    b"ZRANDMEMBER": as_many, b"ZRANK": rank_or_score, b"ZREVRANK": rank_or_score,
    b"KEYS": unordered, b"RANDOMKEY": nil_or_not, b"SCAN": scan, b"TTL": near(TTL_SLACK_S),
    b"PTTL": near(1000 * TTL_SLACK_S), b"EXPIRETIME": near(TTL_SLACK_S),
    b"PEXPIRETIME": near(1000 * TTL_SLACK_S), b"TIME": same_kind, b"HELLO": same_kind,
    b"MEMORY USAGE": number_or_nil, b"CLIENT ID": same_kind, b"OBJECT IDLETIME": idle,
    # Small integers are shared objects there, depending on how they came to be.
    b"OBJECT REFCOUNT": nil_or_not, b"OBJECT HELP": same_kind, b"CLIENT HELP": same_kind, b"CONFIG HELP": same_kind,
    b"COMMAND GETKEYS": both_refuse, b"DBSIZE": same_kind,
}

RULES.update({name: same_scores for name in (
    b"ZADD", b"ZINCRBY", b"ZSCORE", b"ZMSCORE", b"ZRANGE", b"ZREVRANGE", b"ZRANGEBYSCORE",
    b"ZREVRANGEBYSCORE", b"ZPOPMIN", b"ZPOPMAX", b"ZMPOP", b"BZPOPMIN",
    b"BZPOPMAX", b"BZMPOP", b"ZUNION", b"ZINTER", b"ZDIFF")})


def agree(reference, ours, args):
    name = args[0].upper()
    rule = RULES.get(name) or RULES.get(b" ".join(args[:2]).upper()) or same
    return rule(reference, ours, args)


class Conversation:
    """Knows which commands are queued, for each part of what EXEC replies has a rule of its own."""

    def __init__(self):
        self.queue = []

    def agree(self, reference, ours, args):
        name, queue = args[0].upper(), self.queue
        if name == b"EXEC" or reference == Status("RESET"):
            self.queue = []
        if name == b"EXEC" and type(reference) is list and type(ours) is list:
            return len(reference) == len(ours) == len(queue) and \
                all(map(agree, reference, ours, queue))
        if reference == Status("QUEUED"):
            self.queue.append(args)
            return ours == reference
        if name in (b"MULTI", b"DISCARD") and reference == Status("OK"):
            self.queue = []
        return agree(reference, ours, args)


# Reading a whole server back

READERS = {
    Status("zset"): (lambda key: ["ZRANGE", key, "0", "-1", "WITHSCORES"], scored),
    Status("string"): (lambda key: ["GET", key], lambda reply: reply),
    Status("list"): (lambda key: ["LRANGE", key, "0", "-1"], lambda reply: reply),
    Status("hash"): (lambda key: ["HGETALL", key], pairs_of),
    Status("set"): (lambda key: ["SMEMBERS", key], sorted),
}


def wait_for_size(client, size):
    """DBSIZE counts expired keys until they are swept."""
    deadline = time.monotonic() + TIMEOUT_S
    while client.command("DBSIZE") != size:
        assert time.monotonic() < deadline, "DBSIZE %s, but %d keys" % (client.command("DBSIZE"),
                                                                        size)


def dump(client, databases):
    """{(database, key): (type, encoding, expiry, value)} of everything."""
    found = {}
    for number in databases:
        assert client.command("SELECT", number) == Status("OK")
        keys = client.command("KEYS", "*")
        wait_for_size(client, len(keys))
        for name in keys:
            kind, encoding, expiry = client.pipeline([["TYPE", name], ["OBJECT", "ENCODING", name],
                                                      ["PEXPIRETIME", name]])
            reader, comparable = READERS[kind]
            content = comparable(client.command(*reader(name)))
            found[number, name] = (kind, encoding, expiry, content)
    return found


def same_dump(reference, ours):
    """The differences of two dumps, as lines."""
    lines = []
    expiry_near = near(1000 * TTL_SLACK_S)
    for where in sorted(set(reference) | set(ours)):
        one, two = reference.get(where), ours.get(where)
        if one is None or two is None or one[0] != two[0] or one[3] != two[3] or \
                not expiry_near(one[2], two[2], None) or one[1] != two[1] and not (
                    list_encoding(one[1], two[1]) or sorted_encoding(one[1], two[1]) or
                    one[0] == Status("set") and set_encoding(one[1], two[1])):
            lines.append("db %d key %r\n    reference: %.300r\n    ours:      %.300r" %
                         (where + (one, two)))
    return lines


def full_scan(client, *options):
    """The keys of a whole iteration."""
    cursor, found = b"0", []
    while True:
        cursor, keys = client.command("SCAN", cursor, *options)
        found += keys
        if cursor == b"0":
            return found


