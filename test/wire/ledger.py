"""A client's book that is kept in keys of all types at once: what any state of the keyspace must agree on.

Entry n of a book is one transaction. It writes n to a string, a list, a hash, a sorted set, a set and a rope (the
points), and besides to all of one larger value: each time that of another family. So a state that existed, and
no other, shows the same n in all points, and for each family what its last entry up to n has written, whole.
Where others empty databases or exchange them, a value may be missing, or of another book's time: what is there must
be of one entry all the same.
"""

import time

from resp import Error, Status

POINTS = ("string", "list", "hash", "zset", "set", "rope")
LIST_KEPT, SET_KEPT, FIELDS, ROPE_LEAVES, LEAF = 30, 40, 300, 32, 4096
WIDE, SMALL, GROUP, BITS = 200, 20, 60, 30
HLL_HEADER = 16             # in which PFCOUNT notes what it has counted
FAR = 4102444800            # seconds: nothing expires on the way
OTHER_DB = 8                # gets copies


def number(n):
    return b"%08d" % n


def same(values, m, what):
    assert values and set(values) == {b"%d" % m}, "%s: %r, not all of %d" % (what, set(values), m)


# Families: name: (write(p, n): commands, read(client, p, m, calm): asserts it is what entry m has written)


def hash_of(count, suffix):
    def write(p, n):
        return [["HSET", p + suffix] + [x for i in range(count) for x in ("f%d" % i, n)]]

    def read(client, p, m, calm):
        values = client.command("HVALS", p + suffix)
        assert len(values) == count
        same(values, m, p + suffix)
    return write, read


def zset_of(count, suffix):
    def write(p, n):
        return [["ZADD", p + suffix] + [x for i in range(count) for x in (n, "%s%d" % (suffix, i))]]

    def read(client, p, m, calm):
        flat = client.command("ZRANGE", p + suffix, "0", "-1", "WITHSCORES")
        assert len(flat) == 2 * count
        same(flat[1::2], m, p + suffix)
    return write, read


def set_of(suffix, member):
    """The members of the entry before go one by one."""
    def write(p, n):
        return [["SREM", p + suffix] + [member(n - len(FAMILIES), i) for i in range(GROUP)],
                ["SADD", p + suffix] + [member(n, i) for i in range(GROUP)]]

    def read(client, p, m, calm):
        found = set(client.command("SMEMBERS", p + suffix))
        wanted = {b"%s" % str(member(m, i)).encode() for i in range(GROUP)}
        assert found == wanted if calm else found >= wanted
    return write, read


def groups_write(p, n):
    return [["ZADD", p + "zg"] + [x for i in range(GROUP) for x in (n, "%d:%d" % (n, i))],
            ["ZREMRANGEBYSCORE", p + "zg", "-inf", "(%d" % n]]


def groups_read(client, p, m, calm):
    flat = client.command("ZRANGE", p + "zg", "0", "-1", "WITHSCORES")
    assert set(flat[::2]) == {b"%d:%d" % (m, i) for i in range(GROUP)}
    same(flat[1::2], m, "groups")


def list_write(p, n):
    return [["RPUSH", p + "l"] + [n] * WIDE, ["LTRIM", p + "l", -3 * WIDE, "-1"],
            ["LSET", p + "l", "0", n]]


def list_read(client, p, m, calm):
    found = client.command("LRANGE", p + "l", "0", "-1")
    same(found[:1] + found[-WIDE:], m, "list")
    if calm:
        turns = [m - i * len(FAMILIES) for i in range(2, -1, -1)]
        assert found[1:] == [b"%d" % t for t in turns if t > 0 for _ in range(WIDE)][1:]


def queue_write(p, n):
    return [["RPUSH", p + "q1"] + ["%d:%d" % (n, i) for i in range(5)],
            ["LMOVE", p + "q1", p + "q2", "LEFT", "RIGHT"], ["RPOPLPUSH", p + "q2", p + "q2"],
            ["LTRIM", p + "q1", "-50", "-1"]]


def queue_read(client, p, m, calm):
    found = client.command("LRANGE", p + "q1", "-4", "-1")
    assert found == [b"%d:%d" % (m, i) for i in range(1, 5)]


def blob_write(p, n):
    return [["SETRANGE", p + "b", "0", number(n) * 12500]]


def blob_read(client, p, m, calm):
    assert client.command("GET", p + "b") == number(m) * 12500


def bits_write(p, n):
    return [["BITFIELD", p + "bits"] + [x for i in range(BITS) for x in ("SET", "u32", "#%d" % (i * 997), n)]]


def bits_read(client, p, m, calm):
    found = client.command("BITFIELD_RO", p + "bits",
                           *[x for i in range(BITS) for x in ("GET", "u32", "#%d" % (i * 997))])
    assert set(found) == {m}


def append_write(p, n):
    return [["APPEND", p + "a", number(n) * 600]]


def append_read(client, p, m, calm):
    found = client.command("GET", p + "a")
    assert found[-4800:] == number(m) * 600
    if calm:
        assert found == b"".join(number(n) * 600 for n in entries_of("append", m))


def hll_write(p, n):
    return [["PFADD", p + "pf"] + ["%d:%d" % (n, i) for i in range(SMALL)],
            ["COPY", p + "pf", p + "pf2", "REPLACE"]]


def hll_read(client, p, m, calm):
    one, other = client.pipeline([["GET", p + "pf"], ["GET", p + "pf2"]])
    assert one[HLL_HEADER:] == other[HLL_HEADER:]
    assert client.command("PFCOUNT", p + "pf2") >= SMALL - 2


def rename_names(p, n):
    names = [p + "x", p + "y"]
    return names[::-1] if n // len(FAMILIES) % 2 else names


def rename_write(p, n):
    old, new = rename_names(p, n)
    return [["RENAME", old, new], ["HSET", new] + [x for i in range(WIDE) for x in ("f%d" % i, n)]]


def rename_read(client, p, m, calm):
    old, new = rename_names(p, m)
    same(client.command("HVALS", new), m, "renamed")
    assert not calm or client.command("EXISTS", old) == 0


def geo_write(p, n):
    place = n % 360 - 180, n % 170 - 85
    return [["GEOADD", p + "g"] + [x for i in range(SMALL) for x in place + (i,)],
            ["GEOSEARCHSTORE", p + "g2", p + "g", "FROMMEMBER", "0", "BYRADIUS", "1", "km"]]


def geo_read(client, p, m, calm):
    found = client.command("ZRANGE", p + "g", "0", "-1", "WITHSCORES")
    assert len(found) == 2 * SMALL and len(set(found[1::2])) == 1
    assert found == client.command("ZRANGE", p + "g2", "0", "-1", "WITHSCORES")


def stores_write(p, n):
    return [["ZUNIONSTORE", p + "zu", "2", p + "zl", p + "zs"], ["SUNIONSTORE", p + "su", p + "s", p + "i"],
            ["SORT", p + "l", "BY", "nosort", "STORE", p + "so"], ["BITOP", "NOT", p + "not", p + "b"]]


def stores_read(client, p, m, calm):
    if not calm or m < len(FAMILIES):
        return
    scores = set(client.command("ZRANGE", p + "zu", "0", "-1", "WITHSCORES")[1::2])
    assert scores == {b"%d" % last("zset wide", m), b"%d" % last("zset small", m)}
    assert client.command("SCARD", p + "su") == 2 * GROUP
    same(client.command("LRANGE", p + "so", "-10", "-1"), last("list", m), "sorted")
    pattern = number(last("blob", m)) * 12500
    assert client.command("GET", p + "not") == bytes(255 - x for x in pattern)


def fields_write(p, n):
    names = ["f%d" % i for i in range(SMALL)]
    return [["HSET", p + "hx"] + [x for name in names for x in (name, n)],
            ["HEXPIREAT", p + "hx", FAR + n, "FIELDS", len(names)] + names]


def fields_read(client, p, m, calm):
    names = ["f%d" % i for i in range(SMALL)]
    same(client.command("HMGET", p + "hx", *names), m, "fields")
    assert set(client.command("HEXPIRETIME", p + "hx", "FIELDS", len(names), *names)) == {FAR + m}


def expire_write(p, n):
    return [["SET", p + "e", n], ["EXPIREAT", p + "e", FAR + n], ["EXPIREAT", p + "hl", FAR + n]]


def expire_read(client, p, m, calm):
    assert client.command("EXPIRETIME", p + "e") == FAR + m
    if calm and m > len(FAMILIES):
        assert client.command("EXPIRETIME", p + "hl") == FAR + m


def other_write(p, n):
    return [["ZADD", p + "o"] + [x for i in range(WIDE) for x in (n, i)],
            ["COPY", p + "o", p + "o", "DB", OTHER_DB, "REPLACE"]]


def other_read(client, p, m, calm):
    found = client.command("ZRANGE", p + "o", "0", "-1", "WITHSCORES")
    same(found[1::2], m, "other")
    if calm:
        replies = client.pipeline([["SELECT", OTHER_DB], ["ZRANGE", p + "o", "0", "-1", "WITHSCORES"]])
        assert replies[1] == found


FAMILIES = {
    "hash wide": hash_of(WIDE, "hl"), "hash small": hash_of(SMALL, "hs"),
    "zset wide": zset_of(WIDE, "zl"), "zset small": zset_of(SMALL, "zs"),
    "set": set_of("s", "{}:{}".format), "intset": set_of("i", lambda n, i: n * 1000 + i),
    "groups": (groups_write, groups_read), "list": (list_write, list_read),
    "queue": (queue_write, queue_read), "blob": (blob_write, blob_read),
    "bits": (bits_write, bits_read), "append": (append_write, append_read),
    "hll": (hll_write, hll_read), "rename": (rename_write, rename_read),
    "geo": (geo_write, geo_read), "stores": (stores_write, stores_read),
    "fields": (fields_write, fields_read), "expire": (expire_write, expire_read),
    "other": (other_write, other_read),
}
NAMES = list(FAMILIES)


def last(name, n):
    """The last entry up to n of that family; 0: none yet."""
    return max(0, n - (n - NAMES.index(name)) % len(NAMES))


def entries_of(name, n):
    return [m for m in range(1, n + 1) if NAMES[m % len(NAMES)] == name]


# Points


def points_write(p, n):
    return [["SET", p + "string", n], ["RPUSH", p + "list", n], ["LTRIM", p + "list", -LIST_KEPT, "-1"],
            ["HSET", p + "hash", "f%d" % (n % FIELDS), n], ["ZADD", p + "zset", n, "m%d" % (n % FIELDS)],
            ["SADD", p + "set", n], ["SREM", p + "set", n - SET_KEPT],
            ["SETRANGE", p + "rope", n % ROPE_LEAVES * LEAF, number(n)]]


def points_read(client, p, n):
    """That entry n is the last one in all of them."""
    at = n % ROPE_LEAVES * LEAF
    found = client.pipeline([["LINDEX", p + "list", "-1"], ["HGET", p + "hash", "f%d" % (n % FIELDS)],
                             ["ZRANGE", p + "zset", "-1", "-1", "WITHSCORES"], ["SMEMBERS", p + "set"],
                             ["GETRANGE", p + "rope", at, at + 7]])
    text = b"%d" % n
    assert found[:2] == [text, text] and found[4] == number(n), "entry %d: %r" % (n, found)
    assert found[2] == [b"m%d" % (n % FIELDS), text]
    assert max(map(int, found[3])) == n


def points_read_all(client, p, n):
    """That they are what n entries make of nothing."""
    kept = range(max(1, n - LIST_KEPT + 1), n + 1)
    assert client.command("LRANGE", p + "list", "0", "-1") == [b"%d" % m for m in kept]
    kept = range(max(1, n - SET_KEPT + 1), n + 1)
    assert set(map(int, client.command("SMEMBERS", p + "set"))) == set(kept)
    kept = {b"%d" % (m % FIELDS): b"%d" % m for m in range(1, n + 1)}
    flat = client.command("HGETALL", p + "hash")
    assert dict(zip(flat[::2], flat[1::2])) == {b"f" + k: m for k, m in kept.items()}
    flat = client.command("ZRANGE", p + "zset", "0", "-1", "WITHSCORES")
    assert dict(zip(flat[::2], flat[1::2])) == {b"m" + k: m for k, m in kept.items()}
    rope = client.command("GET", p + "rope")
    for m in range(max(1, n - ROPE_LEAVES + 1), n + 1):
        at = m % ROPE_LEAVES * LEAF
        assert rope[at:at + 8] == number(m)


# Books


def prefix(book):
    return "book%d:" % book


def write_entry(client, book, n):
    """All replies are a transaction's; what others have emptied may leave nothing to rename. Asks again while the
    journals can't be written."""
    p = prefix(book)
    name = NAMES[n % len(NAMES)]
    commands = points_write(p, n) + [["SET", p + "tag:" + name, n]] + FAMILIES[name][0](p, n)
    replies = client.pipeline([["MULTI"]] + commands + [["EXEC"]])
    while any(is_refused(x) for x in replies):
        assert isinstance(replies[-1], Error)
        time.sleep(.005)
        replies = client.pipeline([["MULTI"]] + commands + [["EXEC"]])
    assert replies[0] == Status("OK") and isinstance(replies[-1], list), replies[-1]
    problems = [x for x in replies[-1] if isinstance(x, Error) and x.text != b"ERR no such key"]
    assert not problems, problems


def is_refused(reply):
    return isinstance(reply, Error) and reply.text.startswith(b"MISCONF Errors writing to the AOF file")


def last_entry(client, book):
    return int(client.command("GET", prefix(book) + "string") or 0)


def check_book(client, book, db, calm):
    """The last entry in that database; 0: nothing. `calm`: nobody but its keeper has touched it."""
    p = prefix(book)
    client.command("SELECT", db)
    n = last_entry(client, book)
    if n == 0:
        assert client.command("EXISTS", *[p + point for point in POINTS]) == 0
        return 0
    points_read(client, p, n)
    if calm:
        points_read_all(client, p, n)
    for i, (name, (_, read)) in enumerate(FAMILIES.items()):
        client.command("SELECT", db)
        m = int(client.command("GET", p + "tag:" + name) or 0)
        assert m == last(name, n) if calm else m <= n and (m == 0 or m % len(NAMES) == i), (name, m, n)
        if m > 0:
            read(client, p, m, calm)
    return n
