"""Killed servers: what was told is there after the next start, whole and in order.

Each writer numbers its requests 1, 2, 3, ... and waits for each reply, or sends some at once. Request n writes
n: to one key, to three keys in different slots by MSET, to three by MULTI, or to four collections by MULTI, in
turns. So what is found after a start must be the state after exactly N requests of each writer, with N at
least the last that was acknowledged and at most the last that was sent; and no reader may have seen more.

For a longer run by hand, with other numbers and more rounds, each of which kills a server (50 take a minute or so):

    SEED=7 SCALE=20 pytest test/wire/test_crash.py -k test_killed --servers sherd-2 -rP
"""

import os
import random
import re
import signal
import threading

import pytest

from resp import Closed, Error, Status, encode
from waiting import until

WRITERS = 4
ROUNDS = 3
SCALE = int(os.environ.get("SCALE", "1"))
DATA = "sherd-data"
LAST = 20           # numbers that a collection has
TURNS = 4
SECTOR = 512        # a disk writes it as a whole, or not at all
PAGE = 4096         # so does often the system
LARGE = 20000       # bytes of a value that has pages of its own


def keys_of(writer, n):
    """What request n of a writer writes to."""
    kind = ("collection", "single", "mset", "multi")[n % TURNS]
    parts = {"collection": "lhsz", "single": " "}.get(kind, "abc")
    return ["w%d:%s:%s" % (writer, kind, x) for x in parts]


def change_collections(writer, n):
    """List and set have the last numbers, hash and sorted set the last one of each name."""
    of_list, of_hash, of_set, of_zset = keys_of(writer, n)
    name = "n%d" % (n // TURNS % LAST)
    return [["RPUSH", of_list, str(n)], ["LTRIM", of_list, str(-LAST), "-1"],
            ["HSET", of_hash, name, str(n)], ["ZADD", of_zset, str(n), name],
            ["SADD", of_set, str(n)], ["SREM", of_set, str(n - TURNS * LAST)]]


def request(writer, n):
    """The lines of a request; the last one's reply tells how it went."""
    keys = keys_of(writer, n)
    if n % TURNS in (1, 2):
        return [["MSET"] + [word for key in keys for word in (key, str(n))]]
    changes = change_collections(writer, n) if n % TURNS == 0 else [["SET", key, str(n)] for key in keys]
    return [["MULTI"]] + changes + [["EXEC"]]


def state_after(writer, count):
    """{key: value} after so many requests."""
    state = {}
    for n in range(max(1, count - TURNS + 1), count + 1):
        if n % TURNS:
            state.update({key: b"%d" % n for key in keys_of(writer, n)})
            continue
        last = [m for m in range(TURNS, n + 1, TURNS)][-LAST:]
        named = {b"n%d" % (m // TURNS % LAST): b"%d" % m for m in last}
        numbers = [b"%d" % m for m in last]
        state.update(zip(keys_of(writer, n), (numbers, named, set(numbers), named)))
    return state


def state_found(client, writer):
    """The same, as the server has it."""
    strings = [key for n in (1, 2, 3) for key in keys_of(writer, n)]
    state = dict(zip(strings, client.command("MGET", *strings)))
    of_list, of_hash, of_set, of_zset = keys_of(writer, 0)
    replies = client.pipeline([["LRANGE", of_list, "0", "-1"], ["HGETALL", of_hash], ["SMEMBERS", of_set],
                               ["ZRANGE", of_zset, "0", "-1", "WITHSCORES"]])
    state[of_list], state[of_set] = replies[0], set(replies[2])
    state[of_hash], state[of_zset] = (dict(zip(x[::2], x[1::2])) for x in (replies[1], replies[3]))
    return {key: value for key, value in state.items() if value}


def latest(value):
    """The largest number in a value."""
    numbers = value.values() if isinstance(value, dict) else [value] if isinstance(value, bytes) else value
    return max(map(int, numbers))


class Writer(threading.Thread):
    """
    With several connections the requests are done by several workers. Up to `depth` of them are sent at once,
    by one connection, and waited for.
    """

    def __init__(self, server, number, first, connections=1, depth=1):
        super().__init__(daemon=True)
        self.server, self.number = server, number
        self.connections, self.depth = connections, depth
        self.rng = random.Random("%d %d" % (number, first))
        self.sent = self.acknowledged = first
        self.problem = None

    def write(self, client, n, count=1):
        """False: one of them was refused."""
        requests = [request(self.number, m) for m in range(n, n + count)]
        self.sent = n + count - 1
        client.send(b"".join(encode(line) for lines in requests for line in lines))
        for lines in requests:
            replies = [client.read() for _ in lines]
            if any(isinstance(x, Error) for x in replies):
                return False
            self.acknowledged += 1
        return True

    def run(self):
        clients = []
        try:
            clients = [self.server.connect() for _ in range(self.connections)]
            while not self.problem:
                count = self.rng.randrange(1, self.depth + 1)
                if not self.write(self.rng.choice(clients), self.acknowledged + 1, count):
                    self.problem = "refused"
        except (OSError, Closed):
            pass
        for client in clients:
            client.close()


class Reader(threading.Thread):
    """Sees three keys that are written together; remembers the latest."""

    def __init__(self, server, rng):
        super().__init__(daemon=True)
        self.server, self.rng = server, random.Random(rng.random())
        self.seen = [0] * WRITERS
        self.problem = None

    def run(self):
        try:
            with self.server.connect() as client:
                while not self.problem:
                    self.look(client, self.rng.randrange(WRITERS))
        except (OSError, Closed):
            pass

    def look(self, client, writer):
        if self.rng.random() < .3:
            values = self.collections(client, *keys_of(writer, 0))
        else:
            values = client.command("MGET", *keys_of(writer, self.rng.choice([2, 3])))
        if len(set(map(repr, values))) != 1:
            self.problem = "half of a write was seen: %r" % values
        elif isinstance(values[0], bytes):
            self.seen[writer] = max(self.seen[writer], int(values[0]))

    def collections(self, client, of_list, _, of_set, of_zset):
        """The last number of each."""
        found = client.pipeline([["MULTI"], ["LINDEX", of_list, "-1"], ["SMEMBERS", of_set],
                                 ["ZRANGE", of_zset, "-1", "-1", "WITHSCORES"], ["EXEC"]])[-1]
        if not isinstance(found, list) or not isinstance(found[0], bytes):
            return [found]
        return [found[0], max(found[1], key=int), found[2][1]]


def load(server, rng, counts, stop_at, connections=1, depth=1):
    """Writers and readers until `stop_at` requests have been acknowledged; then the server is killed."""
    writers = [Writer(server, i, counts[i], connections, depth) for i in range(WRITERS)]
    readers = [Reader(server, rng) for _ in range(2)]
    for thread in writers + readers:
        thread.start()

    def is_reached():
        assert any(w.is_alive() for w in writers), [w.problem for w in writers]
        return sum(w.acknowledged for w in writers) - sum(counts) >= stop_at
    until(is_reached, lambda: "%s of %d requests are acknowledged" % (
        [w.acknowledged - n for w, n in zip(writers, counts)], stop_at), pause_s=.001)
    server.process.kill()
    server.process.wait()
    for thread in writers + readers:
        thread.join()
        assert not thread.problem, thread.problem
    return writers, readers


def found(server, writer):
    """How many requests of the writer are there; fails when that isn't the state after any number."""
    with server.connect() as client:
        state = state_found(client, writer)
    count = max(map(latest, state.values()), default=0)
    assert state == state_after(writer, count), "writer %d: not the state after %d requests: %r" % (
        writer, count, state)
    return count


def check(server, writers, readers, least=None):
    counts = []
    for w in writers:
        count = found(server, w.number)
        told = w.acknowledged if least is None else least[w.number]
        seen = max(r.seen[w.number] for r in readers) if least is None else 0
        assert max(told, seen) <= count <= w.sent, \
            "writer %d: %d requests found, %d acknowledged, %d seen, %d sent" % (
                w.number, count, told, seen, w.sent)
        counts.append(count)
    return counts


def wait_until_loaded(server):
    with server.connect() as client:
        until(lambda: b"loading:1" not in client.command("INFO", "persistence"), "it is loading")


def begin(start, kind, directory, policy):
    server = start(kind, ("appendonly", "yes"), ("appendfsync", policy), ("dir", str(directory)))
    wait_until_loaded(server)
    return server


def seeded():
    seed = int(os.environ.get("SEED", "1"))
    print("SEED=%d" % seed)
    return random.Random(seed)


class Saver(threading.Thread):
    """Has a snapshot made all the time, and some of them given up."""

    def __init__(self, server, rng):
        super().__init__(daemon=True)
        self.server, self.rng = server, random.Random(rng.random())

    def run(self):
        try:
            with self.server.connect() as client:
                while True:
                    client.command(*self.rng.choice(
                        ["BGSAVE", "BGSAVE INCREMENTAL", "BGSAVE INCREMENTAL", "BGSAVE INCREMENTAL",
                         "BGREWRITEAOF", "SAVE", "BGSAVE CANCEL"]).split())
                    self.rng.random() < .3 and client.command("DEBUG", "SLEEP", "0.01")
        except (OSError, Closed):
            pass


@pytest.mark.sherd_only
@pytest.mark.stress
@pytest.mark.parametrize("policy", ["everysec", "always", "no"])
@pytest.mark.parametrize("saving", [False, True])
def test_killed(kind, start, tmp_path, policy, saving):
    rng = seeded()
    counts = [0] * WRITERS
    rounds = ROUNDS * SCALE
    for _ in range(rounds):
        server = begin(start, kind, tmp_path, policy)
        assert [found(server, i) for i in range(WRITERS)] == counts
        if saving:
            Saver(server, rng).start()
        writers, readers = load(server, rng, counts, rng.randrange(1, 1500), rng.choice([1, 3]),
                                rng.choice([1, 20]))
        server = begin(start, rng.choice([kind, kind, "sherd-%d" % rng.randrange(1, 7)]), tmp_path, policy)
        counts = check(server, writers, readers)
        server.process.send_signal(rng.choice([signal.SIGTERM, signal.SIGKILL]))
        server.process.wait()
    print("%d rounds, %d requests" % (rounds, sum(counts)))


# Waiters


class Pusher(threading.Thread):
    """Pushes numbers."""

    def __init__(self, server, first):
        super().__init__(daemon=True)
        self.server, self.sent, self.acknowledged = server, first, first

    def run(self):
        try:
            with self.server.connect() as client:
                while True:
                    self.sent += 1
                    client.command("RPUSH", "queue", str(self.sent))
                    self.acknowledged = self.sent
        except (OSError, Closed):
            pass


class Mover(threading.Thread):
    """Waits for numbers, and moves them to a key in another slot."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.last = server, 0

    def run(self):
        try:
            with self.server.connect() as client:
                while True:
                    self.last = int(client.command("BLMOVE", "queue", "done", "LEFT", "RIGHT", "0"))
        except (OSError, Closed):
            pass


@pytest.mark.sherd_only
@pytest.mark.stress
@pytest.mark.parametrize("policy", ["everysec", "always"])
def test_killed_while_others_wait(kind, start, tmp_path, policy):
    """Each number is in one of the two lists, once, and in order; what was told is there."""
    rng = seeded()
    count = 0
    for _ in range(ROUNDS * SCALE):
        server = begin(start, kind, tmp_path, policy)
        pusher, movers = Pusher(server, count), [Mover(server) for _ in range(3)]
        for thread in [pusher] + movers:
            thread.start()
        goal = count + rng.randrange(1, 800)

        def is_reached():
            assert pusher.is_alive()
            return pusher.acknowledged >= goal
        until(is_reached, lambda: "%d of %d are acknowledged" % (pusher.acknowledged, goal), pause_s=.001)
        server.process.kill()
        server.process.wait()
        for thread in [pusher] + movers:
            thread.join()
        server = begin(start, kind, tmp_path, policy)
        with server.connect() as client:
            done, queue = (client.command("LRANGE", key, "0", "-1") for key in ("done", "queue"))
        count = len(done) + len(queue)
        assert [int(x) for x in done + queue] == list(range(1, count + 1))
        assert pusher.acknowledged <= count <= pusher.sent
        assert len(done) >= max(mover.last for mover in movers)
        server.process.kill()
        server.process.wait()


# Power loss


def crc64(data):
    """As in RDB files: bit by bit."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x95ac9329ac4bc9b5 if crc & 1 else 0)
    return crc


def other_boot(directory):
    """As if the system had been started again."""
    path = directory / DATA / "MANIFEST"
    text = re.sub(rb"boot \S+", b"boot 00000000-0000-0000-0000-000000000000", path.read_bytes())
    text = text[:text.index(b"end ")]
    path.write_bytes(text + b"end %016x\n" % crc64(text))


def journals(directory):
    return {path: path.stat().st_size for path in (directory / DATA).glob("journal-*.aof")}


def lose_tail(data, rng, least):
    """What is left of a file: it ends somewhere behind `least`, or some sectors there were never written."""
    sectors = [least] + list(range(least // SECTOR * SECTOR + SECTOR, len(data), SECTOR)) + [len(data)]
    if rng.random() < .5:
        return data[:rng.randrange(least, len(data) + 1)]
    first = rng.randrange(len(sectors))
    end = rng.choice([first + 1, first + PAGE // SECTOR, rng.randrange(first, len(sectors))])
    first, end = sectors[first], sectors[min(end, len(sectors) - 1)]
    return data[:first] + b"\0" * (end - first) + data[end:]


def lose_tails(directory, rng, synced):
    """Nothing was synced any more: neither journals nor what COMMITS says of them."""
    for path in journals(directory):
        records = path.read_bytes().rstrip(b"\0")
        path.write_bytes(lose_tail(records, rng, synced.get(path, 0)))
    commits = directory / DATA / "COMMITS"
    commits.write_bytes(commits.read_bytes()[:synced[commits]])


def quiet_lengths(server, directory):
    """Nobody writes: waits until all is durable; how long the files are then."""
    with server.connect() as client:
        until(lambda: b"journal_lag_bytes:0\r\n" in client.command("INFO", "persistence"), "journals lag behind")
    lengths = {path: len(path.read_bytes().rstrip(b"\0")) for path in journals(directory)}
    lengths[directory / DATA / "COMMITS"] = (directory / DATA / "COMMITS").stat().st_size
    return lengths


@pytest.mark.sherd_only
@pytest.mark.parametrize("policy", ["everysec", "always"])
def test_power_loss(kind, start, tmp_path, policy):
    """What was durable at some moment is there; of what came later each writer has a prefix."""
    rng = seeded()
    counts = [0] * WRITERS
    for _ in range(ROUNDS * SCALE):
        server = begin(start, kind, tmp_path, policy)
        with server.connect() as client:
            for i in range(WRITERS):
                writer = Writer(server, i, counts[i])
                for n in range(counts[i] + 1, counts[i] + 4):
                    assert writer.write(client, n)
                counts[i] += 3
        synced = quiet_lengths(server, tmp_path)
        writers, readers = load(server, rng, counts, rng.randrange(1, 1500))
        lose_tails(tmp_path, rng, synced)
        other_boot(tmp_path)
        server = begin(start, kind, tmp_path, policy)
        counts = check(server, writers, readers, least=counts)
        server.process.kill()
        server.process.wait()


def large(n):
    return b"%d %s" % (n, bytes([ord("a") + n % 26]) * LARGE)


@pytest.mark.sherd_only
def test_power_loss_within_values(kind, start, tmp_path):
    """Values of several pages: of what wasn't durable the first few requests are there, whole, and nothing else."""
    rng = seeded()
    count = 0
    for _ in range(4 * ROUNDS * SCALE):
        server = begin(start, kind, tmp_path, "always")
        with server.connect() as first, server.connect() as second:
            def write(n):
                rng.choice([first, second]).command(*rng.choice(
                    [["MSET", "a", large(n), "b", str(n), "c", large(n)],
                     ["MSET", "a", large(n), "b", str(n), "c", large(n), "{a}", large(n)]]))
            write(count)
            synced = quiet_lengths(server, tmp_path)
            last = count + rng.randrange(1, 4)
            for n in range(count + 1, last + 1):
                write(n)
            server.process.kill()
            server.process.wait()
        lose_tails(tmp_path, rng, synced)
        other_boot(tmp_path)
        server = begin(start, kind, tmp_path, "always")
        with server.connect() as client:
            found = client.command("MGET", "a", "b", "c")
        assert count <= int(found[1]) <= last
        count = int(found[1])
        for key, value in zip("ac", found[::2]):
            assert value == large(count), "%s has %d bytes, %d of them zeros" % (key, len(value), value.count(b"\0"))
        server.process.kill()
        server.process.wait()


@pytest.mark.sherd_only
@pytest.mark.parametrize("size,place", [(50, b"$50"), (1000, b"vvv")])
def test_damage_in_the_middle(kind, start, tmp_path, size, place):
    """A journal that was whole, and isn't any more: no start, and a reason with the place."""
    server = begin(start, kind, tmp_path, "everysec")
    with server.connect() as client:
        for i in range(50):
            client.command("SET", "k%d" % i, "v" * size)
    server.process.terminate()
    assert server.process.wait() == 0
    path = max((tmp_path / DATA).glob("journal-1-*.aof"), key=lambda p: p.stat().st_size)
    data = bytearray(path.read_bytes())
    at = data.index(place, len(data) // 2)
    data[at] = ord("x")
    path.write_bytes(data)
    server = start(kind, ("appendonly", "yes"), ("dir", str(tmp_path)), wait=False)
    assert server.wait_exit() == 1
    assert re.search(r"journal-1-0-\d.aof is damaged at byte \d+ of %d" % len(data), server.log())


@pytest.mark.sherd_only
def test_damaged_manifest(kind, start, tmp_path):
    server = begin(start, kind, tmp_path, "everysec")
    server.process.terminate()
    server.process.wait()
    path = tmp_path / DATA / "MANIFEST"
    path.write_bytes(path.read_bytes().replace(b"stretch 1", b"stretch 2"))
    server = start(kind, ("appendonly", "yes"), ("dir", str(tmp_path)), wait=False)
    assert server.wait_exit() == 1
    assert "MANIFEST is damaged at line" in server.log()


@pytest.mark.sherd_only
@pytest.mark.parametrize("appendonly", ["no", "yes"])
def test_lost_manifest(kind, start, tmp_path, appendonly):
    """Nobody knows which files count: no start as if there were none, to write over them."""
    server = start(kind, ("dir", str(tmp_path)), ("save", "3600 1"))
    with server.connect() as client:
        client.command("SET", "k", "v")
    server.process.terminate()
    assert server.process.wait() == 0
    (tmp_path / DATA / "MANIFEST").rename(tmp_path / "kept")
    server = start(kind, ("appendonly", appendonly), ("dir", str(tmp_path)), wait=False)
    assert server.wait_exit() == 1
    assert "There is no MANIFEST, but a file with data: snapshot-1-" in server.log()
    (tmp_path / "kept").rename(tmp_path / DATA / "MANIFEST")
    server = begin(start, kind, tmp_path, "everysec")
    with server.connect() as client:
        assert client.command("GET", "k") == b"v"


@pytest.mark.sherd_only
def test_other_number_of_workers(start, tmp_path):
    rng = seeded()
    expected = {}
    for workers in ("2", "5", "1", "3"):
        server = start("sherd-2", ("appendonly", "yes"), ("dir", str(tmp_path)), ("workers", workers))
        wait_until_loaded(server)
        with server.connect() as client:
            for key, value in expected.items():
                assert client.command("GET", key) == value
            for _ in range(200):
                key, value = "k%d" % rng.randrange(100), b"%d" % rng.random().__hash__()
                expected[key] = value
                assert client.command("SET", key, value) == Status("OK")
        server.process.terminate()
        assert server.process.wait() == 0


@pytest.mark.sherd_only
def test_redis_check_aof_accepts_the_journals(kind, start, tmp_path):
    import subprocess
    server = begin(start, kind, tmp_path, "everysec")
    with server.connect() as client:
        client.pipeline(["SET a 1", "MSET a 1 b 2 c 3", "SELECT 3", "RENAME a b", "SET x y EX 100",
                         "FLUSHALL", "HSET h f v",
                         ["SET", "a", large(1)], ["MSET", "a", large(2), "b", large(3)]])
    server.process.terminate()
    assert server.process.wait() == 0
    for path in journals(tmp_path):
        if path.stat().st_size:
            done = subprocess.run(["redis-check-aof", str(path)], capture_output=True, text=True)
            assert done.returncode == 0 and "is valid" in done.stdout, done.stdout
