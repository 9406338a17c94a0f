"""Snapshots: replies beside the reference's, files that Redis reads, one moment for all that is written."""

import os
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest

from resp import NIL_BULK, Closed, Error, Status, encode
from table import table
from waiting import WAIT_S, until

DATA = "sherd-data"
CHECK = "redis-check-rdb"
WRITERS = 4
SCALE = int(os.environ.get("SCALE", "1"))
BUSY = b"rdb_bgsave_in_progress:1", b"aof_rewrite_in_progress:1", b"aof_rewrite_scheduled:1"
BUSY_ERROR = Error("ERR Background save already in progress")

test_replies = table("""
## save
SAVE                                    => OK
SAVE x                                  => -ERR wrong number of arguments for 'save' command
LASTSAVE x                              => -ERR wrong number of arguments for 'lastsave' command
BGREWRITEAOF x                          => -ERR wrong number of arguments for 'bgrewriteaof' command
BGSAVE later                            => -ERR syntax error
BGSAVE SCHEDULE SCHEDULE                => -ERR syntax error

## save points
CONFIG GET save                         => {"save": ""}
CONFIG SET save "900 1 300 10"          => OK
CONFIG GET save                         => {"save": "900 1 300 10"}
CONFIG SET save "900"                   => -ERR CONFIG SET failed (possibly related to argument 'save') - Invalid save parameters
CONFIG SET save "900 x"                 => -ERR CONFIG SET failed (possibly related to argument 'save') - Invalid save parameters
CONFIG SET save "0 1"                   => -ERR CONFIG SET failed (possibly related to argument 'save') - Invalid save parameters
CONFIG SET save "1 -1"                  => -ERR CONFIG SET failed (possibly related to argument 'save') - Invalid save parameters
CONFIG GET save                         => {"save": "900 1 300 10"}
CONFIG SET save ""                      => OK
CONFIG GET save                         => {"save": ""}

## options
CONFIG GET rdbcompression               => {"rdbcompression": "yes"}
CONFIG GET rdbchecksum                  => {"rdbchecksum": "yes"}
CONFIG GET rdb-save-incremental-fsync   => {"rdb-save-incremental-fsync": "yes"}
CONFIG GET stop-writes-on-bgsave-error  => {"stop-writes-on-bgsave-error": "yes"}

## in a transaction [step]
MULTI                                   => OK
SAVE                                    => -ERR Command not allowed inside a transaction
EXEC                                    => -EXECABORT Transaction discarded because of previous errors.

## cancelled [sherd]
BGSAVE CANCEL                           => -ERR Background saving is currently not in progress or scheduled
""")


def wait_idle(client):
    def is_idle():
        text = client.command("INFO", "persistence")
        return not any(word in text for word in BUSY)
    until(is_idle, lambda: client.command("INFO", "persistence").decode(), pause_s=.001)


def persistence(client):
    lines = client.command("INFO", "persistence").decode().split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def test_background(client):
    before = client.command("LASTSAVE")
    assert abs(before - time.time()) < 3600
    assert client.command("BGSAVE") == Status("Background saving started")
    wait_idle(client)
    assert client.command("BGSAVE", "SCHEDULE") == Status("Background saving started")
    wait_idle(client)
    assert before <= client.command("LASTSAVE") <= time.time()
    saves = persistence(client)["rdb_saves"]
    assert client.pipeline(["MULTI", "BGSAVE", "EXEC"])[-1] == [Status("Background saving scheduled")]
    until(lambda: persistence(client)["rdb_saves"] != saves, "no snapshot is made")
    wait_idle(client)
    assert client.command("BGREWRITEAOF") == Status("Background append only file rewriting started")
    wait_idle(client)
    text = client.command("INFO", "persistence")
    assert b"rdb_last_bgsave_status:ok" in text and b"aof_last_bgrewrite_status:ok" in text


def test_changes_are_counted(client):
    def changes():
        return int(persistence(client)["rdb_changes_since_last_save"])
    assert client.command("SAVE") == Status("OK")
    assert changes() == 0
    client.pipeline(["SET a 1", "SET b 2", "DEL a", "GET b"])
    assert changes() == 3
    assert client.command("SAVE") == Status("OK")
    assert changes() == 0


@pytest.mark.parametrize("points,saved", [("", False), ("3600 1", False), ("1 1", True)])
def test_save_points(kind, start, points, saved):
    server = start(kind, ("save", points))
    with server.connect_unix() as client:
        client.command("SET", "k", "v")
        deadline = time.monotonic() + (WAIT_S if saved else 2.5)
        while time.monotonic() < deadline:
            changed = b"rdb_changes_since_last_save:0\r" not in client.command("INFO", "persistence")
            if not changed:
                break
            time.sleep(.02)
        assert changed != saved


# Shutting down


def saved_files(server):
    names = os.listdir(os.path.join(server.directory, DATA)) \
        if os.path.isdir(os.path.join(server.directory, DATA)) else []
    return [x for x in names if x.startswith("snapshot-")]


@pytest.mark.sherd_only
@pytest.mark.parametrize("points,words,saved", [
    ("", "", False), ("", "SAVE", True), ("", "NOSAVE", False), ("3600 1", "", True),
    ("3600 1", "NOSAVE", False), ("3600 1", "NOW", True), ("3600 1", "FORCE", True)])
def test_shutdown(kind, start, points, words, saved):
    server = start(kind, ("save", points))
    with server.connect_unix() as client:
        client.command("SET", "k", "v")
        with pytest.raises(Closed):
            client.command("SHUTDOWN", *words.split())
    assert server.wait_exit() == 0
    assert bool(saved_files(server)) == saved


@pytest.mark.sherd_only
@pytest.mark.parametrize("points,saved", [("", False), ("3600 1", True)])
def test_terminated(kind, start, points, saved):
    server = start(kind, ("save", points))
    with server.connect_unix() as client:
        client.command("SET", "k", "v")
    server.process.terminate()
    assert server.wait_exit() == 0
    assert bool(saved_files(server)) == saved


@pytest.mark.parametrize("how,saved", [("TERM", True), ("SHUTDOWN", True), ("SHUTDOWN NOSAVE", False)])
@pytest.mark.parametrize("points", ["", "3600 1"])
def test_log_of_the_end(kind, start, points, how, saved):
    """Who wants it, what is done, that it is done; each once."""
    server = start(kind, ("save", points))
    with server.connect_unix() as client:
        client.command("SET", "k", "v")
        if how == "TERM":
            server.process.terminate()
        else:
            client.send(encode(how.split()))
        assert server.wait_exit() == 0
    steps = [("scheduling shutdown", how == "TERM"), ("User requested shutdown...", True),
             ("Saving the final RDB snapshot before exiting", saved and points), ("bye bye", True)]
    log = server.log()
    found = [log.find(text) for text, _ in steps]
    assert [at >= 0 for at in found] == [bool(wanted) for _, wanted in steps], log
    assert sorted(x for x in found if x >= 0) == [x for x in found if x >= 0], log
    assert log.count("User requested shutdown...") == 1


@pytest.mark.sherd_only
@pytest.mark.parametrize("words", ["SHUTDOWN SAVE", "DEBUG RELOAD NOSAVE", "DEBUG RELOAD"])
def test_asked_while_it_ends(kind, start, tmp_path, words):
    """Who asks the snapshotter at any moment of the end is answered, or nobody could wait for that worker."""
    for _ in range(10):
        server = start(kind, ("dir", str(tmp_path)))
        asking = [server.connect_unix() for _ in range(12)]
        server.process.send_signal(signal.SIGTERM)
        try:
            for number, asker in enumerate(asking):
                asker.send(encode(["PING"]) * (number * 16) + encode(words.split()))
        except OSError:
            pass                        # it has ended already
        assert server.wait_exit() == 0
        for asker in asking:
            asker.close()


@pytest.mark.sherd_only
@pytest.mark.parametrize("how", ["TERM", "INT", "SHUTDOWN", "SHUTDOWN SAVE", "SHUTDOWN NOSAVE"])
def test_ended_while_it_loads(kind, start, tmp_path, how):
    """At once, without a snapshot: here it would load for ever, for nobody writes to the pipe that it reads."""
    options = ("save", "3600 1"), ("dir", str(tmp_path)), ("pidfile", str(tmp_path / "pid"))
    server = start(kind, *options)
    with server.connect_unix() as client:
        client.command("SET", "k", "v")
        assert client.command("SAVE") == Status("OK")
    server.process.kill()
    server.process.wait()
    part = tmp_path / DATA / "snapshot-1-0.rdb"
    part.rename(tmp_path / "kept")
    os.mkfifo(part)
    server = start(kind, *options)
    with server.connect_unix() as client:
        assert b"loading:1\r\n" in client.command("INFO", "persistence")
        files = sorted(os.listdir(tmp_path / DATA))
        if how in ("TERM", "INT"):
            server.process.send_signal(getattr(signal, "SIG" + how))
        else:
            client.send(encode(how.split()))
        assert server.wait_exit() == 0
    assert "bye bye" in server.log()
    assert not os.path.exists(server.path) and not (tmp_path / "pid").exists()
    assert sorted(os.listdir(tmp_path / DATA)) == files
    os.replace(tmp_path / "kept", part)
    server = start(kind, *options)
    with server.connect_unix() as client:
        wait_loaded(client)
        assert client.command("GET", "k") == b"v"


# What the files say


def fill(client, rng):
    """Keys of all types and encodings in several databases."""
    lines = []
    for db in (0, 3, 15):
        lines.append(["SELECT", str(db)])
        for i in range(60):
            size = rng.choice([1, 5, 40, 300])
            lines += [["SET", "s%d" % i, rng.choice(["x", "12", "y" * 50, "z" * 30000])],
                      ["RPUSH", "l%d" % i] + ["e%d" % x for x in range(size)],
                      ["SADD", "n%d" % i] + [str(x * 7) for x in range(size)],
                      ["SADD", "m%d" % i] + ["m%d" % x for x in range(size)],
                      ["HSET", "h%d" % i] + [w for x in range(size) for w in ("f%d" % x, "v")],
                      ["ZADD", "z%d" % i] + [w for x in range(size) for w in (str(x / 4), "m%d" % x)]]
        lines += [["PEXPIREAT", "s1", "4102444800000"], ["SETRANGE", "s2", "70000", "far"],
                  ["PFADD", "hll", "a", "b"], ["SETBIT", "bits", "100000", "1"]]
    replies = client.pipeline(lines + [["SELECT", "0"]])
    assert not [x for x in replies if isinstance(x, Error)]


READS = {"string": ["GET"], "list": ["LRANGE", "0", "-1"], "set": ["SMEMBERS"], "hash": ["HGETALL"],
         "zset": ["ZRANGE", "0", "-1", "WITHSCORES"]}


def content(client):
    """{(db, key): (type, value, expiry)}; of sets and hashes sorted."""
    found = {}
    for db in (0, 3, 15):
        client.command("SELECT", str(db))
        for key in client.command("KEYS", "*"):
            kind = client.command("TYPE", key)
            words = READS[str(kind)]
            value = client.command(words[0], key, *words[1:])
            if str(kind) == "hash":
                value = sorted(zip(value[::2], value[1::2]))
            elif str(kind) == "set":
                value = sorted(value)
            found[db, key] = str(kind), value, client.command("PEXPIRETIME", key)
    client.command("SELECT", "0")
    return found


def check_files(paths):
    """By Redis' tool."""
    program = shutil.which(CHECK)
    for path in paths if program else []:
        done = subprocess.run([CHECK, path], executable=program, capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0 and "RDB looks OK" in done.stdout, done.stdout


def parts(server):
    return [os.path.join(server.directory, DATA, x) for x in sorted(saved_files(server))]


@pytest.mark.sherd_only
@pytest.mark.parametrize("options", [{}, {"rdbcompression": "no"}, {"rdbchecksum": "no"}])
def test_redis_reads_the_files(kind, start, reference_usable, options):
    rng = random.Random(1)
    server = start(kind, *options.items())
    with server.connect_unix() as client:
        fill(client, rng)
        assert client.command("SAVE") == Status("OK")
        expected = content(client)
    paths = parts(server)
    assert len(paths) == int(kind.partition("-")[2])
    assert all(os.stat(path).st_mode & 0o777 == 0o600 for path in paths)
    check_files(paths)
    if not reference_usable:
        return
    found = {}
    for path in paths:
        redis = start("reference", ("dir", os.path.dirname(path)),
                      ("dbfilename", os.path.basename(path)))
        with redis.connect_unix() as client:
            part = content(client)
        redis.stop()
        assert not set(found) & set(part)
        found.update(part)
    assert found == expected


# One moment


class Writer(threading.Thread):
    """
    Request n writes n, and what it has seen of the others just before: to one key, to three in other slots, to
    three by MULTI, in turns.
    """

    def __init__(self, server, number, stop):
        super().__init__(daemon=True)
        self.server, self.number, self.stop = server, number, stop
        self.sent = self.acknowledged = 0
        self.problem = None

    def run(self):
        try:
            with self.server.connect() as client:
                while not self.stop.is_set():
                    self.sent += 1
                    self.write(client, self.sent)
                    self.acknowledged = self.sent
        except Exception as e:                      # pylint: disable=broad-except
            self.problem = repr(e)

    def write(self, client, n):
        seen = client.command("MGET", *["w%d:single" % i for i in range(WRITERS)])
        assert isinstance(seen, list)
        value = "%d:%s" % (n, ",".join(x.split(b":")[0].decode() if isinstance(x, bytes) else "0"
                                       for x in seen))
        keys = request_keys(self.number, n)
        if n % 3:
            assert client.command("MSET", *[w for k in keys for w in (k, value)]) == Status("OK")
        else:
            lines = [["MULTI"]] + [["SET", k, value] for k in keys] + [["EXEC"]]
            assert client.pipeline(lines)[-1] == [Status("OK")] * 3


def request_keys(writer, n):
    if n % 3 == 1:
        return ["w%d:single" % writer]
    return ["w%d:%s:%s" % (writer, "mset" if n % 3 == 2 else "multi", x) for x in "abc"]


def requests_found(client, writer):
    """{n: what it had seen} of the writer's requests; each is whole, or isn't there."""
    found = {}
    for n in (1, 2, 3):
        values = set(client.command("MGET", *request_keys(writer, n)))
        assert len(values) == 1, "half of a request: %r" % values
        value = values.pop()
        if isinstance(value, bytes):
            number, _, seen = value.decode().partition(":")
            assert int(number) % 3 == n % 3
            found[int(number)] = [int(x) for x in seen.split(",")]
    return found


def check_moment(client, flushed):
    """A prefix of each writer's requests, but for what was flushed; nothing without what it had seen."""
    found = [requests_found(client, i) for i in range(WRITERS)]
    last = [max(x, default=0) for x in found]
    for number, requests in enumerate(found):
        expected = set(range(max(1, last[number] - 2), last[number] + 1))
        assert set(requests) <= expected
        if not flushed:
            assert set(requests) == expected, "writer %d: %r" % (number, requests)
        elif requests:
            assert set(requests) == set(range(min(requests), last[number] + 1)), requests
        for seen in requests.values():
            for other, n in enumerate(seen):
                # what a single key said: the others' later requests may be flushed with it
                assert flushed or n <= last[other], \
                    "writer %d saw request %d of writer %d, of which there are %d" % (
                        number, n, other, last[other])
    return last


def copy_snapshot(server, directory):
    shutil.copytree(os.path.join(server.directory, DATA), os.path.join(str(directory), DATA),
                    ignore=shutil.ignore_patterns("LOCK", "journal-*"))


@pytest.mark.sherd_only
@pytest.mark.stress
@pytest.mark.parametrize("flushed", [False, True])
def test_one_moment(kind, start, tmp_path, flushed):
    """Snapshots while everybody writes: each is a state that was."""
    stop = threading.Event()
    server = start(kind)
    writers = [Writer(server, i, stop) for i in range(WRITERS)]
    with server.connect_unix() as client:
        client.command("DEBUG", "POPULATE", "20000")    # so that a snapshot takes some time
        for thread in writers:
            thread.start()
        for i in range(6 * SCALE):
            time.sleep(.05)
            acknowledged = [w.acknowledged for w in writers]
            assert client.command("BGSAVE") == Status("Background saving started")
            if flushed:
                client.command("FLUSHALL")
                client.command("DEBUG", "POPULATE", "5000", "again%d" % i)
            wait_idle(client)
            check_files(parts(server))
            sent = [w.sent for w in writers]
            copy_snapshot(server, tmp_path / str(i))
            copy = start("sherd-3", ("appendonly", "yes"), ("dir", str(tmp_path / str(i))))
            with copy.connect_unix() as other:
                wait_loaded(other)
                last = check_moment(other, flushed)
            copy.stop()
            assert flushed or all(a <= n for a, n in zip(acknowledged, last))
            assert all(n <= s for n, s in zip(last, sent))
            assert not [w.problem for w in writers if w.problem]
    stop.set()
    for thread in writers:
        thread.join()
    assert not [w.problem for w in writers if w.problem]


def wait_loaded(client):
    until(lambda: b"loading:1" not in client.command("INFO", "persistence"), "it is loading", pause_s=.001)


# Leaving


@pytest.mark.sherd_only
@pytest.mark.stress
@pytest.mark.parametrize("how", ["SHUTDOWN SAVE", "SHUTDOWN", "TERM"])
def test_nothing_told_is_lost_at_the_end(kind, start, tmp_path, how):
    """Everybody writes while the server saves and stops: what was acknowledged is in the snapshot."""
    server = start(kind, ("save", "3600 1"), ("dir", str(tmp_path)))
    stop = threading.Event()
    writers = [Writer(server, i, stop) for i in range(WRITERS)]
    with server.connect_unix() as client:
        client.command("DEBUG", "POPULATE", "20000")
        for thread in writers:
            thread.start()
        time.sleep(.2)
        if how == "TERM":
            server.process.terminate()
        else:
            client.send(encode(how.split()))
        assert server.wait_exit() == 0
    for thread in writers:
        thread.join()
    again = start("sherd-3", ("dir", str(tmp_path)))
    with again.connect_unix() as client:
        wait_loaded(client)
        last = check_moment(client, False)
    assert all(w.acknowledged <= n <= w.sent for w, n in zip(writers, last)), \
        [(w.acknowledged, n, w.sent) for w, n in zip(writers, last)]


@pytest.mark.sherd_only
def test_a_shutdown_that_fails(kind, start):
    server = start(kind, ("save", "3600 1"))
    with server.connect_unix() as client, server.connect_unix() as other:
        client.command("SET", "k", "v")
        client.command("DEBUG", "IO-FAULT", "rename", "ENOSPC", "0", "1")
        assert client.command("SHUTDOWN") == Error("ERR Errors trying to SHUTDOWN. Check logs.")
        # it goes on, and waits for nobody
        assert other.command("CONFIG", "SET", "stop-writes-on-bgsave-error", "no") == Status("OK")
        assert other.command("SET", "k", "w") == Status("OK")
        client.command("DEBUG", "IO-FAULT", "rename", "ENOSPC", "0", "1")
        with pytest.raises(Closed):
            client.command("SHUTDOWN", "FORCE")
    assert server.wait_exit() == 0


@pytest.mark.sherd_only
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_after_a_shutdown_that_failed(kind, start, first):
    """It is the first one again, and saves; nobody insists."""
    server = start(kind, ("save", "3600 1"))
    with server.connect_unix() as client:
        client.command("SET", "k", "v")
        client.command("DEBUG", "IO-FAULT", "rename", "ENOSPC", "0", "1")
        server.process.send_signal(first)
        while "Errors trying to shut down" not in server.log():
            time.sleep(.01)
        while persistence(client)["rdb_bgsave_in_progress"] != "0":
            time.sleep(.01)
    server.process.send_signal(signal.SIGINT)
    assert server.wait_exit() == 0
    assert saved_files(server)


@pytest.mark.sherd_only
@pytest.mark.parametrize("rewrite", [False, True])
def test_a_shutdown_that_is_called_off(kind, start, tmp_path, rewrite):
    """Who wanted it is told; another one that comes at once is another one."""
    server = start(kind, ("dir", str(tmp_path)))
    with server.connect_unix() as first, server.connect_unix() as client:
        client.command("DEBUG", "POPULATE", "300000")
        assert client.command("SHUTDOWN", "ABORT") == Error("ERR No shutdown in progress.")
        if rewrite:                     # it is given up
            assert client.command("BGREWRITEAOF") == \
                Status("Background append only file rewriting started")
        first.send(encode(["SHUTDOWN", "SAVE"]))
        until(lambda: "before exiting: started" in server.log(), server.log, pause_s=0)
        client.send(encode(["SHUTDOWN", "ABORT"]) + encode(["SHUTDOWN", "SAVE"]))
        try:
            aborted = client.read()
        except Closed:
            aborted = None
        if aborted == Status("OK"):
            assert first.read() == Error("ERR Errors trying to SHUTDOWN. Check logs.")
            with pytest.raises(Closed):
                client.read()
        else:                           # nobody could call it off any more
            assert aborted in (None, Error("ERR No shutdown in progress."))
    assert server.wait_exit() == 0
    assert list((tmp_path / DATA).glob("snapshot-*.rdb"))


@pytest.mark.sherd_only
@pytest.mark.stress
def test_saves_that_race(kind, start):
    """One of them is made, the others are told that it is."""
    server = start(kind)
    replies = []

    def ask(words):
        with server.connect_unix() as client:
            for _ in range(5 * SCALE):
                reply = BUSY_ERROR
                while reply == BUSY_ERROR:
                    reply = client.command(*words)
                replies.append(reply)
    threads = [threading.Thread(target=ask, args=(words,))
               for words in (["SAVE"], ["SAVE"], ["SAVE"], ["BGSAVE"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(replies) <= {Status("OK"), Status("Background saving started")}, replies
    assert len(replies) == 20 * SCALE


# Trouble

CALLS = 34          # on files, about, that a snapshot in two parts makes, with journals

MISCONF = Error(
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
    "Commands that may modify the data set are disabled, because this instance is configured to report "
    "errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check "
    "the Redis logs for details about the RDB error.")


@pytest.mark.sherd_only
@pytest.mark.parametrize("call", ["open", "write", "short", "sync", "rename"])
def test_a_disk_that_is_full(kind, start, call):
    """Writes are refused from a failure on until a snapshot succeeds; the old one stays."""
    server = start(kind, ("save", "3600 100000"))
    with server.connect_unix() as client:
        client.command("SET", "k", "v")
        assert client.command("SAVE") == Status("OK")
        files = sorted(os.listdir(os.path.join(server.directory, DATA)))
        client.command("DEBUG", "IO-FAULT", call, "ENOSPC", "0", "0")
        assert client.command("BGSAVE") == Status("Background saving started")
        wait_idle(client)
        assert persistence(client)["rdb_last_bgsave_status"] == "err"
        assert client.command("SET", "k", "w") == MISCONF
        assert client.command("PING") == MISCONF
        assert client.pipeline(["MULTI", "SET k w"])[1] == MISCONF
        client.command("DISCARD")
        assert client.command("GET", "k") == b"v"
        assert sorted(os.listdir(os.path.join(server.directory, DATA))) == files
        client.command("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
        assert client.command("SET", "k", "w") == Status("OK")
        client.command("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
        assert client.command("SAVE") == Error("ERR")
        client.command("DEBUG", "IO-FAULT", "OFF")
        client.command("CONFIG", "SET", "save", "")
        assert client.command("SET", "k", "x") == Status("OK")
        client.command("CONFIG", "SET", "save", "3600 100000")
        assert client.command("SET", "k", "y") == MISCONF
        assert client.command("SAVE") == Status("OK")
        assert client.command("SET", "k", "y") == Status("OK")


@pytest.mark.sherd_only
@pytest.mark.parametrize("appendonly", ["no", "yes"])
def test_each_call_fails_in_turn(start, tmp_path, appendonly):
    """Whatever fails while a snapshot is made: killed right after it, the server comes back with all."""
    good = 0
    for nth in range(CALLS):
        directory = tmp_path / str(nth)
        directory.mkdir()
        options = ("appendonly", appendonly), ("dir", str(directory))
        server = start("sherd-2", *options)
        with server.connect_unix() as client:
            wait_loaded(client)
            client.pipeline(["SET a 1", "SAVE", "MSET b 2 c 3", "RPUSH l x y"])
            client.command("DEBUG", "IO-FAULT", "any", "EIO", str(nth), "1")
            reply = client.command("SAVE")
            client.command("DEBUG", "IO-FAULT", "OFF")
            if appendonly == "yes":
                client.command("SET", "d", "4")
        server.process.kill()
        server.process.wait()
        server = start("sherd-3", *options)
        with server.connect_unix() as client:
            wait_loaded(client)
            assert client.command("GET", "a") == b"1"
            if appendonly == "yes" or reply == Status("OK"):
                assert client.command("MGET", "b", "c") == [b"2", b"3"]
                assert client.command("LRANGE", "l", "0", "-1") == [b"x", b"y"]
            assert client.command("SAVE") == Status("OK")
        server.stop()
        good += reply == Status("OK")
    assert good < CALLS - 10        # most of them are the snapshot's


def until_killed(client, words):
    """Whether the server lived to tell how it went."""
    try:
        reply = client.command(*words)
        assert reply in (Status("OK"), Status("Background saving started")), reply
        wait_idle(client)
        return client.command("DEBUG", "IO-FAULT", "OFF") == Status("OK")
    except (Closed, OSError):
        return False


@pytest.mark.sherd_only
def test_each_call_of_the_first_fails(start, tmp_path):
    """What fails in a directory that isn't there yet can be tried again."""
    for nth in range(10 * CALLS):
        place = "dir", str(tmp_path / str(nth))
        (tmp_path / str(nth)).mkdir()
        server = start("sherd-2", place)
        with server.connect_unix() as client:
            client.command("SET", "k", "v")
            client.command("DEBUG", "IO-FAULT", "any", "EIO", str(nth), "1")
            made = client.command("SAVE") == Status("OK")
            client.command("DEBUG", "IO-FAULT", "OFF")
            assert client.command("SAVE") == Status("OK")
        server.process.kill()
        server.process.wait()
        server = start("sherd-2", place)
        with server.connect_unix() as client:
            wait_loaded(client)
            assert client.command("GET", "k") == b"v"
        server.stop()
        if made:
            break
    assert nth > 12


@pytest.mark.sherd_only
@pytest.mark.parametrize("words", ["SAVE", "BGSAVE INCREMENTAL"])
@pytest.mark.parametrize("snapshots", [0, 1, 2])
@pytest.mark.parametrize("appendonly", ["no", "yes"])
def test_killed_at_each_call(start, tmp_path, appendonly, snapshots, words):
    """However far a snapshot has come, the first one, too: the next start finds what was there before, or after."""
    for nth in range(10 * CALLS):
        place = "dir", str(tmp_path / str(nth))
        (tmp_path / str(nth)).mkdir()
        server = start("sherd-2", ("appendonly", appendonly), place)
        with server.connect_unix() as client:
            wait_loaded(client)
            for i in range(snapshots):
                client.pipeline([["SET", "before", str(i)], ["SET", "gone", "1"],
                                 ["BGSAVE", "INCREMENTAL"]])
                wait_idle(client)
            client.pipeline(["MSET before now a 1 b 2", "DEL gone"])
            client.command("DEBUG", "IO-FAULT", "any", "KILL", str(nth))
            done = until_killed(client, words.split())
        server.process.kill()
        server.process.wait()
        server = start("sherd-3", ("appendonly", "yes"), place)
        with server.connect_unix() as client:
            wait_loaded(client)
            found = client.command("MGET", "before", "a", "b", "gone")
            old = [NIL_BULK] * 4 if snapshots == 0 else [b"%d" % (snapshots - 1), NIL_BULK, NIL_BULK, b"1"]
            new = [b"now", b"1", b"2", NIL_BULK]
            assert found == new or found == old and appendonly == "no" and not done
            assert client.command("SAVE") == Status("OK")
        server.stop()
        if done:
            break
    assert nth > 12


@pytest.mark.sherd_only
@pytest.mark.parametrize("keep", [1, 3])
def test_generations(kind, start, keep):
    server = start(kind, ("appendonly", "yes"), ("generations-to-keep", str(keep)))
    with server.connect_unix() as client:
        wait_loaded(client)
        for i in range(5):
            client.command("INCR", "n")
            assert client.command("SAVE") == Status("OK")
    workers = int(kind.partition("-")[2])
    assert len(saved_files(server)) == keep * workers
    names = os.listdir(os.path.join(server.directory, DATA))
    assert len([x for x in names if x.startswith("journal-")]) == keep * workers


@pytest.mark.sherd_only
def test_cancelled(kind, start):
    """A snapshot is given up: nothing is left of it, and that is no failure."""
    server = start(kind)
    with server.connect_unix() as client:
        client.command("DEBUG", "POPULATE", "200000")

        def is_cancelled():
            """Before it was complete, that is."""
            before = sorted(saved_files(server))
            reply = client.pipeline(["BGSAVE", "BGSAVE CANCEL"])[1]
            wait_idle(client)
            assert persistence(client)["rdb_last_bgsave_status"] == "ok"
            return reply == Status("Background saving cancelled") and sorted(saved_files(server)) == before
        until(is_cancelled, lambda: saved_files(server))
        assert client.command("SAVE") == Status("OK")
        until(lambda: persistence(client)["current_cow_size"] == "0", "what it kept isn't freed")


@pytest.mark.sherd_only
@pytest.mark.parametrize("before", ["", "BGREWRITEAOF"])
@pytest.mark.parametrize("words", ["SAVE", "DEBUG RELOAD"])
def test_cancel_leaves_who_waits_alone(kind, start, before, words):
    """What a client waits for is none in the background, whether it is its turn or not."""
    server = start(kind)
    with server.connect_unix() as client, server.connect_unix() as other:
        client.command("DEBUG", "POPULATE", "200000")
        if before:
            assert isinstance(other.command(before), Status)
        client.send(encode(words.split()))
        first = "file rewriting" if before else "Background saving"
        until(lambda: first + ": started" in server.log(), "the first isn't begun")
        assert isinstance(other.command("BGSAVE", "CANCEL"), Error)
        until(lambda: "Background saving: started" in server.log(), "the save isn't begun")
        assert isinstance(other.command("BGSAVE", "CANCEL"), Error)
        assert client.read() == Status("OK")
        assert client.command("DBSIZE") == 200000
        workers = int(kind.partition("-")[2])   # a rewrite that the save overtook may come behind it
        until(lambda: len(saved_files(server)) == workers, lambda: saved_files(server))


# DEBUG RELOAD, LOADAOF


@pytest.mark.sherd_only
@pytest.mark.parametrize("appendonly", ["no", "yes"])
def test_loaded_again(kind, start, appendonly):
    """All types in several databases come back; the journals go on as if nothing had happened."""
    server = start(kind, ("appendonly", appendonly))
    with server.connect_unix() as client:
        wait_loaded(client)
        if appendonly == "no":
            assert isinstance(client.command("DEBUG", "RELOAD", "NOSAVE"), Error)
        assert isinstance(client.command("DEBUG", "RELOAD", "SAVE"), Error)
        fill(client, random.Random(2))
        expected = content(client)
        for words in ["DEBUG RELOAD", "DEBUG RELOAD NOSAVE", "DEBUG RELOAD MERGE NOFLUSH",
                      "DEBUG LOADAOF"]:
            if appendonly == "yes":
                client.command("INCR", "n")
                expected[0, b"n"] = "string", client.command("GET", "n"), -1
            assert client.command(*words.split()) == Status("OK")
            assert content(client) == expected
            assert persistence(client)["rdb_last_load_keys_loaded"] == str(len(expected))
            assert sum(client.command("DBSIZE") for db in (0, 3, 15)
                       if client.command("SELECT", str(db))) == len(expected)
            client.command("SELECT", "0")
    server.process.kill()
    server.process.wait()
    again = start("sherd-3", ("appendonly", appendonly), ("dir", server.directory))
    with again.connect_unix() as client:
        wait_loaded(client)
        assert content(client) == expected


@pytest.mark.sherd_only
def test_not_loaded_again_in_trouble(kind, start):
    """Nobody knows then what the journals' files have: what is in memory stays."""
    server = start(kind, ("appendonly", "yes"), ("appendfsync", "always"))
    with server.connect_unix() as client, server.connect_unix() as other:
        wait_loaded(client)
        client.command("SET", "a", "1")
        assert client.command("DEBUG", "IO-FAULT", "sync", "EIO", "0", "0") == Status("OK")
        other.send(encode(["SET", "b", "2"]))
        until(lambda: "can't be synced" in server.log(), "no trouble")
        asking = [server.connect_unix() for _ in range(2)]
        for number, (asker, words) in enumerate(zip(asking, ["DEBUG RELOAD NOSAVE", "DEBUG LOADAOF"]), 1):
            asker.send(encode(words.split()))
            until(lambda: server.log().count("Can't load sherd-data again") == number, "loaded again")
        assert client.command("GET", "a") == b"1"
        client.command("DEBUG", "IO-FAULT", "OFF")
        for asker in asking:
            assert isinstance(asker.read(), Error)
            asker.close()
        assert other.read() == Status("OK")
        assert client.command("GET", "b") == b"2"


@pytest.mark.sherd_only
@pytest.mark.stress
def test_loaded_again_under_load(kind, start):
    """Nothing is lost, and nobody sees half of it."""
    stop = threading.Event()
    server = start(kind, ("appendonly", "yes"))
    with server.connect_unix() as client:
        wait_loaded(client)
        for i in range(2000):
            client.command("SET", "k%d" % i, "v")
        writers = [PatientWriter(server, i, stop) for i in range(WRITERS)]
        for thread in writers:
            thread.start()
        for words in ["DEBUG RELOAD", "DEBUG LOADAOF", "DEBUG RELOAD NOSAVE"]:
            time.sleep(.1)
            assert client.command(*words.split()) == Status("OK")
        stop.set()
        for thread in writers:
            thread.join()
        assert not [w.problem for w in writers if w.problem]
        last = check_moment(client, False)
        assert last == [w.acknowledged for w in writers]


class PatientWriter(Writer):
    """Asks again when the server is loading."""

    def write(self, client, n):
        while isinstance(client.command("GET", "k1"), Error):
            time.sleep(.002)
        try:
            super().write(client, n)
        except (AssertionError, IndexError, AttributeError):
            self.write(client, n)


@pytest.mark.sherd_only
@pytest.mark.parametrize("appendonly", ["no", "yes"])
def test_loaded_again_from_damage(kind, start, appendonly):
    """A part of the data is neither served nor saved: the server ends, and its files stay."""
    server = start(kind, ("appendonly", appendonly), ("save", "1 1"))
    with server.connect_unix() as client:
        wait_loaded(client)
        client.command("DEBUG", "POPULATE", "1000")
        assert client.command("SAVE") == Status("OK")
        path = os.path.join(server.directory, DATA, saved_files(server)[0])
        with open(path, "rb") as file:
            data = file.read()
        with open(path, "r+b") as file:
            file.seek(len(data) // 2)
            file.write(b"damage")
        assert client.command("DEBUG", "RELOAD", "NOSAVE") == \
            Error("ERR Error trying to load the RDB dump, check server logs.")
    assert server.wait_exit() == 1
    assert "at byte " in server.log()
    with open(path, "rb") as file:
        assert file.read() == data[:len(data) // 2] + b"damage" + data[len(data) // 2 + 6:]


class Asker(threading.Thread):
    """Asks for what only the snapshotter does, again and again; all of it is answered."""

    def __init__(self, server, commands):
        super().__init__(daemon=True)
        self.server, self.commands, self.answered = server, commands, 0

    def run(self):
        with self.server.connect() as client:
            for args in self.commands:
                client.command(*args)
                self.answered += 1


@pytest.mark.sherd_only
@pytest.mark.stress
def test_loaded_again_while_others_ask(kind, start):
    """Workers that ask the snapshotter are not in the way of one that waits for them."""
    server = start(kind, ("appendonly", "yes"))
    with server.connect_unix() as client:
        wait_loaded(client)
        asked = [["DEBUG", "RELOAD"], ["BGSAVE"], ["DEBUG", "LOADAOF"], ["BGSAVE", "SCHEDULE"],
                 ["BGREWRITEAOF"]] * 20
        threads = [Asker(server, asked[i:] + asked[:i]) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [x.answered for x in threads] == [len(asked)] * len(threads)
        assert client.command("PING") == Status("PONG")


@pytest.mark.sherd_only
def test_while_a_rewrite_goes_on(kind, start):
    """SAVE is answered then, too, and an increment that was called off doesn't make it one."""
    server = start(kind)
    with server.connect_unix() as client:
        client.command("BGSAVE", "INCREMENTAL")
        wait_idle(client)
        client.command("DEBUG", "POPULATE", "300000")       # so that the rewrite isn't over when the last request comes
        replies = client.pipeline([["BGREWRITEAOF"], ["MULTI"], ["BGSAVE", "INCREMENTAL"], ["EXEC"],
                                   ["BGSAVE", "CANCEL"], ["SAVE"], ["PING"]])
        assert replies[-2:] == [Status("OK"), Status("PONG")]
        assert replies[4] == Status("Scheduled background saving cancelled")
        wait_idle(client)
        info = persistence(client)
        assert (info["rdb_saves"], info["rdb_increments"]) == ("2", "0")
