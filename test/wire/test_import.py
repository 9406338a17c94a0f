"""Moving in from Redis: what the reference server leaves (RDB file, append-only files old and new) is
found, loaded and kept as data of our own; its files stay as they are. What can't be held is refused by
name, or skipped where that is wished; files that are torn or damaged are told of, and crash nobody.
"""

import hashlib
import os
import random
import shutil
import signal
import struct
import time

import pytest

import generator
import rdb
from resp import NIL_BULK, Error, Status, TIMEOUT_S

SEED = int(os.environ.get("SEED", "1"))
SCALE = int(os.environ.get("SCALE", "1"))
LENGTH = 1200
DATABASES = range(16)
AOF_DIR = "appendonlydir"
LEFT_OUT = {b"DEBUG", b"SHUTDOWN", b"QUIT", b"RESET", b"CLIENT", b"CONFIG", b"MONITOR", b"SUBSCRIBE"}
FIRST, LAST = b"REDIS0010", b"\xff" + bytes(8)

pytestmark = [pytest.mark.sherd_only, pytest.mark.usefixtures("needs_reference")]


@pytest.fixture
def needs_reference(reference_usable):
    if not reference_usable:
        pytest.skip("no reference server")


def seeded(number=0):
    print("SEED=%d" % SEED)
    return random.Random("%d %d" % (SEED, number))


def fill(client, rng):
    """Random commands of all kinds, and values of each encoding."""
    commands = [args for args in generator.sequence(rng, LENGTH)
                if args and args[0].upper() not in LEFT_OUT]
    for at in range(0, len(commands), 50):
        client.pipeline(commands[at:at + 50])
    client.command("DISCARD")   # they may end within MULTI
    assert client.command("SELECT", 9) == Status("OK")
    for count, name in ((3, "small"), (700, "large")):
        for i in range(0, count, 50):
            some = range(i, min(i + 50, count))
            client.pipeline([
                ["RPUSH", "list:" + name] + ["element:%d" % x * (1 + x % 9) for x in some],
                ["SADD", "intset:" + name] + ["%d" % (x * 12345) for x in some],
                ["SADD", "set:" + name] + ["member:%d" % x for x in some],
                ["ZADD", "zset:" + name] + [y for x in some for y in ("%d.5" % x, "m%d" % x)],
                ["HSET", "hash:" + name] + [y for x in some for y in ("f%d" % x, "v%d" % x)],
                ["MSET"] + [y for x in some for y in ("string:%s:%d" % (name, x), "v%d" % x)]])
    client.pipeline([["SET", "packed", "ab" * 5000], ["SET", "x" * 3000, "long name"],
                     ["SET", "12345", "67890"], ["SET", "soon", "x", "PXAT", "4102444800123"]])


def digest_of(directory):
    """{path: hash} of Redis' files."""
    found = {}
    for where, _, names in os.walk(directory):
        for name in names:
            if name.endswith((".rdb", ".aof", ".manifest")) and "sherd-data" not in where:
                path = os.path.join(where, name)
                with open(path, "rb") as file:
                    found[path] = hashlib.sha256(file.read()).hexdigest()
    return found


def wait_until_loaded(server):
    deadline = time.monotonic() + 4 * TIMEOUT_S
    with server.connect() as client:
        while isinstance(client.command("DBSIZE"), Error):
            assert time.monotonic() < deadline and server.process.poll() is None, server.log()
            time.sleep(0.005)


def begin(start, kind, directory, *options):
    server = start(kind, ("dir", str(directory)), *options)
    wait_until_loaded(server)
    return server


def refused(start, kind, directory, *options):
    """The log of a server that doesn't start."""
    server = start(kind, ("dir", str(directory)), *options, wait=False)
    assert server.wait_exit(4 * TIMEOUT_S) == 1, server.log()
    return server.log()


def contents(server):
    with server.connect() as client:
        return generator.dump(client, DATABASES)


def without_forms(found):
    """Without what doesn't outlive a snapshot: that a value was once written to in place, or larger."""
    return {where: (kind, b"", expiry, value)
            for where, (kind, _, expiry, value) in found.items()}


def as_reference(start, directory, *options):
    """What the reference server itself makes of the files, working on a copy."""
    copy = str(directory) + ".copy"
    shutil.copytree(directory, copy)
    reference = start("reference", ("dir", copy), *options)
    wait_until_loaded(reference)
    found = contents(reference)
    reference.stop()
    return found


def check_import(start, kind, directory, *options):
    """All is there, Redis' files are as before; the next start has the same from files of its own."""
    files = digest_of(directory)
    expected = as_reference(start, directory, *options)
    assert len(expected) > 100
    server = begin(start, kind, directory, *options)
    assert generator.same_dump(expected, contents(server)) == []
    assert "Imported" in server.log()
    server.stop()
    assert digest_of(directory) == files
    again = begin(start, kind, directory, *options)
    assert "Imported" not in again.log()
    assert generator.same_dump(without_forms(expected), without_forms(contents(again))) == []
    again.stop()


# --- what the reference leaves ---

def test_rdb_file(kind, start, tmp_path):
    reference = start("reference")
    with reference.connect() as client:
        fill(client, seeded())
        assert client.command("SAVE") == Status("OK")
    os.mkdir(tmp_path / "data")
    shutil.copy(os.path.join(reference.directory, "dump.rdb"), tmp_path / "data")
    check_import(start, kind, tmp_path / "data")


@pytest.mark.one_kind
def test_rdb_file_with_appendonly(kind, start, tmp_path):
    """Without append-only files it is the RDB file, too; from then on there is a journal."""
    (tmp_path / "dump.rdb").write_bytes(FIRST + b"\0\1k\1v" + LAST)
    for number in range(2):
        server = begin(start, kind, tmp_path, ("appendonly", "yes"), ("appendfsync", "always"))
        with server.connect() as client:
            assert client.command("APPEND", "k", "w") == 2 + number
        server.stop(signal.SIGKILL)


def wait_for_rewrite(client):
    deadline = time.monotonic() + 4 * TIMEOUT_S
    while b"aof_rewrite_in_progress:1" in client.command("INFO", "persistence") or \
            b"aof_rewrite_scheduled:1" in client.command("INFO", "persistence"):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def leave_aof(start, rng, preamble):
    """The directory of a reference server's append-only files."""
    reference = start("reference", ("appendonly", "yes"), ("aof-use-rdb-preamble", preamble))
    with reference.connect() as client:
        fill(client, rng)
        assert not isinstance(client.command("BGREWRITEAOF"), Error)
        wait_for_rewrite(client)
        fill(client, rng)
        client.pipeline([["SELECT", "0"], ["MULTI"], ["SET", "in", "1"], ["INCR", "multi"],
                         ["EXEC"], ["MSET", "a", "1", "b", "2", "c", "3"],
                         ["RENAME", "a", "other"], ["SWAPDB", "3", "5"]])
    reference.stop()
    return os.path.join(reference.directory, AOF_DIR)


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_append_only_files(kind, start, tmp_path, preamble):
    shutil.copytree(leave_aof(start, seeded(), preamble), tmp_path / "data" / AOF_DIR)
    check_import(start, kind, tmp_path / "data", ("appendonly", "yes"))


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_append_only_file_of_old(kind, start, tmp_path, preamble):
    """One file: what the new ones hold, one after the other."""
    directory = leave_aof(start, seeded(1), preamble)
    os.mkdir(tmp_path / "data")
    names = sorted(os.listdir(directory), key=lambda name: ".incr." in name)
    with open(tmp_path / "data" / "old.aof", "wb") as out:
        for name in names:
            if not name.endswith(".manifest"):
                with open(os.path.join(directory, name), "rb") as part:
                    out.write(part.read())
    check_import(start, kind, tmp_path / "data", ("appendonly", "yes"),
                 ("appendfilename", "old.aof"))


@pytest.mark.one_kind
def test_which_one(kind, start, tmp_path):
    """With appendonly yes the append-only files, with no the RDB file."""
    (tmp_path / "dump.rdb").write_bytes(FIRST + b"\0\1k\3rdb" + LAST)
    (tmp_path / "appendonly.aof").write_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nold\r\n")
    for appendonly, value in (("no", b"rdb"), ("yes", b"old")):
        server = begin(start, kind, tmp_path, ("appendonly", appendonly))
        with server.connect() as client:
            assert client.command("GET", "k") == value
        server.stop()
        shutil.rmtree(tmp_path / "sherd-data")
    os.mkdir(tmp_path / AOF_DIR)
    (tmp_path / AOF_DIR / "appendonly.aof.manifest").write_text(
        'file "new.aof" seq 1 type i\n# a comment\nfile gone.aof seq 3 type h\n')
    (tmp_path / AOF_DIR / "new.aof").write_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nnew\r\n")
    server = begin(start, kind, tmp_path, ("appendonly", "yes"))
    with server.connect() as client:
        assert client.command("GET", "k") == b"new"


@pytest.mark.one_kind
def test_expired(kind, start, tmp_path):
    """Those of an RDB file aren't loaded, as by any master."""
    (tmp_path / "dump.rdb").write_bytes(
        FIRST + b"\xfc" + (1000).to_bytes(8, "little") + b"\0\1k\1v\0\1l\1v" + LAST)
    server = begin(start, kind, tmp_path)
    with server.connect() as client:
        assert client.command("KEYS", "*") == [b"l"]
        info = client.command("INFO", "persistence")
        assert b"rdb_last_load_keys_expired:1\r\nrdb_last_load_keys_loaded:1\r\n" in info
    assert "left out: 1 keys that had expired" in server.log()


@pytest.mark.one_kind
def test_interrupted(kind, start, tmp_path):
    """A snapshot of an import that the manifest doesn't list yet is none: all begins anew."""
    (tmp_path / "dump.rdb").write_bytes(FIRST + b"\0\1k\1v" + LAST)
    begin(start, kind, tmp_path, ("appendonly", "no")).stop()
    manifest = tmp_path / "sherd-data" / "MANIFEST"
    text = b"".join(line for line in manifest.read_bytes().splitlines(True)
                    if not line.startswith((b"snapshot", b"end")))
    manifest.write_bytes(text + b"end %016x\n" % rdb.crc64(text))
    server = begin(start, kind, tmp_path, ("appendonly", "no"))
    assert "Imported" in server.log()
    with server.connect() as client:
        assert client.command("KEYS", "*") == [b"k"]


NOT_LOADED = [
    # name, files, appendonly, how many keys are loaded, warnings
    ("newer append-only files", ["dump.rdb", "appendonly.aof"], "no", 1,
     ["appendonly.aof is not loaded, for appendonly is no: it may be newer than what is. "
      "To import it, start with appendonly yes, and without sherd-data"]),
    ("append-only files alone", [AOF_DIR + "/appendonly.aof.manifest"], "no", 0,
     [AOF_DIR + "/appendonly.aof.manifest is not loaded, for appendonly is no: it may be newer than what is. "
      "To import it, start with appendonly yes\n"]),
    ("what is older", ["dump.rdb", "appendonly.aof"], "yes", 2,
     ["dump.rdb is not loaded: appendonly.aof is instead"]),
    ("what was there before", ["dump.rdb", "sherd-data"], "no", 3,
     ["dump.rdb is not loaded: the data are those of sherd-data. To import it, move sherd-data away and start again\n"]),
    ("the same with journals", ["appendonly.aof", "sherd-data"], "yes", 3,
     ["appendonly.aof is not loaded: the data are those of sherd-data. To import it, move sherd-data away and "
      "start again with appendonly yes"]),
]


@pytest.mark.one_kind
@pytest.mark.parametrize("files,appendonly,keys,warnings", [x[1:] for x in NOT_LOADED],
                         ids=[x[0] for x in NOT_LOADED])
def test_not_loaded(kind, start, tmp_path, files, appendonly, keys, warnings):
    """The log says which of the files that are there have not been looked at, and why."""
    set_command = b"*3\r\n$3\r\nSET\r\n$1\r\n%s\r\n$1\r\nv\r\n"
    if "sherd-data" in files:
        server = begin(start, kind, tmp_path, ("appendonly", "yes"))
        with server.connect() as client:
            client("MSET a 1 b 2 c 3")
        server.stop()
    for name, content in (("dump.rdb", FIRST + b"\0\1k\1v" + LAST),
                          ("appendonly.aof", set_command % b"k" + set_command % b"l"),
                          (AOF_DIR + "/appendonly.aof.manifest", b"")):
        if name in files:
            os.makedirs((tmp_path / name).parent, exist_ok=True)
            (tmp_path / name).write_bytes(content)
    server = begin(start, kind, tmp_path, ("appendonly", appendonly))
    with server.connect() as client:
        assert client("DBSIZE") == keys
    log = server.log()
    assert log.count("is not loaded") == len(warnings) and all(x in log for x in warnings), log
    beside = "appendonly is no: the journals have been loaded, but what is written from now on is kept by snapshots only"
    assert (beside in log) == ("sherd-data" in files and appendonly == "no")


@pytest.mark.one_kind
def test_without_manifest(kind, start, tmp_path):
    """Data of our own are never taken for nothing, whatever appendonly says: a first snapshot would replace them."""
    server = begin(start, kind, tmp_path, ("appendonly", "yes"))
    with server.connect() as client:
        client("SET k v")
    server.stop()
    os.remove(tmp_path / "sherd-data" / "MANIFEST")
    for appendonly in "yes", "no":
        log = refused(start, kind, tmp_path, ("appendonly", appendonly))
        assert "There is no MANIFEST, but a file with data: journal-" in log


@pytest.mark.one_kind
def test_killed_before_the_first_snapshot(kind, start, tmp_path):
    """Files that are not listed yet are no data: the next start begins anew, or with all of the snapshot."""
    server = begin(start, kind, tmp_path)
    with server.connect() as client:
        client("DEBUG POPULATE 200000 key 500")
        client.send(b"CONFIG SET appendonly yes\r\nSET k v\r\n")
        deadline = time.monotonic() + TIMEOUT_S
        while not list((tmp_path / "sherd-data").glob("*.tmp")) and time.monotonic() < deadline:
            pass
        server.process.kill()
        server.process.wait()
    server = begin(start, kind, tmp_path, ("appendonly", "yes"))
    with server.connect() as client:
        assert client("DBSIZE") in (0, 200000, 200001)


# --- what can't be held ---

STREAM = bytes([rdb.STREAM_2]) + b"\x01s" + bytes(10)


@pytest.mark.one_kind
def test_unknown_type(kind, start, tmp_path):
    (tmp_path / "dump.rdb").write_bytes(FIRST + STREAM + b"\0\1k\1v" + LAST)
    assert "Can't import: dump.rdb at byte 9: values of this type are not supported, key 's'" in \
        refused(start, kind, tmp_path)
    assert not os.path.exists(tmp_path / "sherd-data" / "MANIFEST")
    server = begin(start, kind, tmp_path, ("import-skip-unknown", "yes"))
    with server.connect() as client:
        assert client.command("KEYS", "*") == [b"k"]
    assert "left out a value of a type that is not supported, key 's'" in server.log()


@pytest.mark.one_kind
def test_unknown_command(kind, start, tmp_path):
    (tmp_path / "appendonly.aof").write_bytes(
        b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n#TS:1\r\n*5\r\n$4\r\nXADD\r\n$1\r\ns\r\n$3\r\n1-1\r\n"
        b"$1\r\na\r\n$1\r\nb\r\n*3\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD\r\n$1\r\nx\r\n"
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n")
    assert "Can't import: appendonly.aof at byte 30: XADD is not supported, key 's'" in \
        refused(start, kind, tmp_path, ("appendonly", "yes"))
    server = begin(start, kind, tmp_path, ("appendonly", "yes"), ("import-skip-unknown", "yes"))
    with server.connect() as client:
        assert client.command("KEYS", "*") == [b"k"]
    assert "left out XADD, which is not supported, key s" in server.log()
    assert "left out FUNCTION" in server.log()


REFUSED = [
    ("a version of Redis to come", "dump.rdb", b"REDIS0013\xff" + bytes(8),
     "dump.rdb at byte 0: RDB version 13 of Redis, which is not known here"),
    ("a version of Valkey to come", "dump.rdb", b"VALKEY081\xff" + bytes(8),
     "dump.rdb at byte 0: RDB version 81 of Valkey, which is not known here"),
    ("... in an append-only file", "appendonly.aof", b"VALKEY081\xff" + bytes(8),
     "appendonly.aof at byte 0: RDB version 81 of Valkey, which is not known here"),
    ("the sum is another", "dump.rdb", FIRST + b"\0\1k\1v\xff12345678",
     "dump.rdb at byte 14: the checksum is another: bytes have changed"),
    ("no end", "dump.rdb", FIRST + b"\0\1k", "dump.rdb at byte 9: the bytes end too early"),
    ("empty", "dump.rdb", b"", "dump.rdb at byte 0: the bytes end too early"),
    ("no RDB file", "dump.rdb", b"something else", "dump.rdb at byte 0: this is no RDB file"),
    ("more databases", "dump.rdb", FIRST + b"\xfe\x10\0\1k\1v" + LAST,
     "dump.rdb at byte 11: there are more databases in it than here, key 'k'"),
    ("no request", "appendonly.aof", b"*1\r\n$4\r\nPI", "at byte 0: the file ends too early"),
    ("nonsense", "appendonly.aof", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\nnonsense",
     "appendonly.aof at byte 27: this is no request"),
    ("arity", "appendonly.aof", b"*2\r\n$3\r\nSET\r\n$1\r\nk\r\n",
     "appendonly.aof at byte 0: ERR wrong number of arguments for 'set' command"),
    ("an error", "appendonly.aof",
     b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n*3\r\n$5\r\nLPUSH\r\n$1\r\nk\r\n$1\r\nv\r\n",
     "appendonly.aof at byte 27: LPUSH: -WRONGTYPE"),
    ("no such database", "appendonly.aof", b"*2\r\n$6\r\nSELECT\r\n$2\r\n16\r\n",
     "appendonly.aof at byte 0: there are more databases in it than here"),
    ("a manifest without a file", AOF_DIR + "/appendonly.aof.manifest", b"file x.aof seq 1 type i\n",
     "Can't read appendonlydir/x.aof: No such file or directory"),
    ("a manifest of nothing", AOF_DIR + "/appendonly.aof.manifest", b"\n",
     "appendonlydir/appendonly.aof.manifest at line 1: it names no file"),
    ("a damaged manifest", AOF_DIR + "/appendonly.aof.manifest",
     b"file x.aof seq 1 type i\nfile y.aof seq", "at line 2: it doesn't say file, seq and type"),
    ("a path", AOF_DIR + "/appendonly.aof.manifest", b"file ../x seq 1 type i\n",
     "at line 1: the file's name must not be a path"),
    ("two bases", AOF_DIR + "/appendonly.aof.manifest",
     b"file x seq 1 type b\nfile y seq 2 type b\n", "at line 2: there is another base"),
    ("not in order", AOF_DIR + "/appendonly.aof.manifest",
     b"file x seq 2 type i\nfile y seq 1 type i\n", "at line 2: the sequence numbers don't rise"),
]


@pytest.mark.one_kind
@pytest.mark.parametrize("name,content,message", [x[1:] for x in REFUSED],
                         ids=[x[0] for x in REFUSED])
def test_refused(kind, start, tmp_path, name, content, message):
    os.makedirs((tmp_path / name).parent, exist_ok=True)
    (tmp_path / name).write_bytes(content)
    log = refused(start, kind, tmp_path, ("appendonly", "no" if name == "dump.rdb" else "yes"),
                  ("aof-load-truncated", "no"))
    assert message in log
    assert not os.path.exists(tmp_path / "sherd-data" / "MANIFEST")


# --- Valkey 9, whose versions and types are its own ---

VALKEY = (b"VALKEY080" + b"\xfa\x0avalkey-ver\x059.0.0" + b"\xfe\0" + b"\0\1k\1v" +
          bytes([rdb.VALKEY_FIELDS]) + b"\1h\2" + rdb.string(b"a") + rdb.string(b"1") + struct.pack("<q", -1) +
          rdb.string(b"b") + rdb.string(b"2") + struct.pack("<q", 4102444800123) + LAST)


@pytest.mark.one_kind
@pytest.mark.parametrize("name", ["dump.rdb", "appendonly.aof"])
def test_valkey(kind, start, tmp_path, name):
    """Its RDB file, and an append-only file that begins with one."""
    aof = name == "appendonly.aof"
    (tmp_path / name).write_bytes(VALKEY + (b"*3\r\n$3\r\nSET\r\n$1\r\nn\r\n$1\r\n1\r\n" if aof else b""))
    server = start(kind, ("dir", str(tmp_path)), ("appendonly", "yes" if aof else "no"))
    wait_until_loaded(server)
    with server.connect() as client:
        assert client.pipeline(["GET k", "HMGET h a b", "HPEXPIRETIME h FIELDS 2 a b", "EXISTS n"]) == [
            b"v", [b"1", b"2"], [-1, 4102444800123], int(aof)]


# --- torn and damaged append-only files ---

def counted(count):
    """The file of a counter, two keys by a transaction each time; and where each of these ends."""
    text, ends = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n", []
    for i in range(1, count + 1):
        number = b"%d" % i
        text += b"*1\r\n$5\r\nMULTI\r\n"
        for key in (b"a", b"b"):
            text += b"*3\r\n$3\r\nSET\r\n$1\r\n%s\r\n$%d\r\n%s\r\n" % (key, len(number), number)
        text += b"*1\r\n$4\r\nEXEC\r\n"
        ends.append(len(text))
    return text, ends


@pytest.mark.one_kind
def test_torn(kind, start, tmp_path):
    """Whole transactions are there, up to where it ends; or, if that isn't wished, nothing is."""
    rng = seeded()
    text, ends = counted(20)
    for number in range(6 * SCALE):
        directory = tmp_path / str(number)
        directory.mkdir()
        size = rng.randrange(24, len(text))
        done = sum(end <= size for end in ends)
        (directory / "appendonly.aof").write_bytes(text[:size])
        server = begin(start, kind, directory, ("appendonly", "yes"))
        with server.connect() as client:
            expected = b"%d" % done if done else NIL_BULK
            assert client.command("MGET", "a", "b") == [expected, expected]
        server.stop()
        left = size - (ends[done - 1] if done else 23)
        assert ("left out the last %d bytes of appendonly.aof" % left in server.log()) == (left > 0)
        if left:
            shutil.rmtree(directory / "sherd-data")
            assert "the file ends too early: with aof-load-truncated yes" in refused(
                start, kind, directory, ("appendonly", "yes"), ("aof-load-truncated", "no"))


@pytest.mark.one_kind
def test_torn_but_not_the_last(kind, start, tmp_path):
    os.mkdir(tmp_path / AOF_DIR)
    (tmp_path / AOF_DIR / "appendonly.aof.manifest").write_text(
        "file a seq 1 type i\nfile b seq 2 type i\n")
    (tmp_path / AOF_DIR / "a").write_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n")
    (tmp_path / AOF_DIR / "b").write_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n")
    assert "appendonlydir/a at byte 0: the file ends too early, and it isn't the last one" in \
        refused(start, kind, tmp_path, ("appendonly", "yes"))


@pytest.mark.one_kind
def test_damaged(kind, start, tmp_path):
    """A byte is another: it starts, or doesn't, and says why; it never crashes."""
    rng = seeded()
    text, _ = counted(5)
    for number in range(8 * SCALE):
        directory = tmp_path / str(number)
        directory.mkdir()
        at = rng.randrange(len(text))
        damaged = text[:at] + bytes([text[at] ^ 1 << rng.randrange(8)]) + text[at + 1:]
        (directory / "appendonly.aof").write_bytes(damaged)
        server = start(kind, ("dir", str(directory)), ("appendonly", "yes"), wait=False)
        deadline = time.monotonic() + 4 * TIMEOUT_S
        while server.process.poll() is None and "DB loaded" not in server.log():
            assert time.monotonic() < deadline, server.log()
            time.sleep(0.005)
        if server.process.poll() is None:
            assert server.stop() == 0
        else:
            assert server.process.wait() == 1 and "Can't import: appendonly.aof at byte" in server.log()
