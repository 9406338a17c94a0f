"""sherd check, export, restore and backup: data directories whole, torn, damaged, and as they were at a time."""

import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

import generator
import servers
from resp import Error, Status
from test_crash import DATA, begin, journals, other_boot, seeded, wait_until_loaded
from test_snapshot import wait_idle
from waiting import until

pytestmark = [pytest.mark.sherd_only, pytest.mark.one_kind]

FINE, WILL_CUT, DAMAGED, FAILED = range(4)
FLIPS = 40 * int(os.environ.get("SCALE", "1"))
DATABASES = 16
# What version 10 of RDB can't say, and what is no write.
LEFT_OUT = {b"DEBUG", b"SHUTDOWN", b"QUIT", b"RESET", b"CLIENT", b"CONFIG", b"MONITOR", b"SUBSCRIBE", b"SAVE",
            b"BGSAVE", b"BGREWRITEAOF", b"HEXPIRE", b"HPEXPIRE", b"HEXPIREAT", b"HPEXPIREAT", b"HSETEX", b"HGETEX"}


class Result:
    def __init__(self, process):
        self.status, self.out, self.err = process.returncode, process.stdout, process.stderr

    def __repr__(self):
        return "status %s\n%s%s" % (self.status, self.out, self.err)


def sherd(*args):
    return Result(subprocess.run([servers.SHERD] + [str(x) for x in args], capture_output=True, text=True,
                                 check=False, timeout=120))


def files(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*"))
            if path.is_file()}


def stop(server, how=signal.SIGTERM):
    server.process.send_signal(how)
    server.process.wait()


def write(kind, start, directory, lines, *options, how=signal.SIGTERM):
    """A run of the server in which these commands are given, by two clients in turns."""
    server = start(kind, ("appendonly", "yes"), ("dir", str(directory)), *options)
    wait_until_loaded(server)
    with server.connect() as one, server.connect() as other:
        for i, line in enumerate(lines):
            reply = (one, other)[i % 2].command(*line)
            assert not isinstance(reply, Error), (line, reply)
    stop(server, how)


def sets(first, last):
    return [["SET", "key:%d" % i, "value:%d" % i] for i in range(first, last)]


def value_of(client, kind, name):
    read = {"string": ["GET"], "list": ["LRANGE", 0, -1], "set": ["SMEMBERS"], "hash": ["HGETALL"],
            "zset": ["ZRANGE", 0, -1, "WITHSCORES"]}[kind]
    value = client.command(read[0], name, *map(str, read[1:]))
    if kind == "set":
        return sorted(value)
    if kind == "zset":  # 7.0 and 7.2 show large scores in different words
        return [(member, float(score)) for member, score in zip(value[::2], value[1::2])]
    return sorted(zip(value[::2], value[1::2])) if kind == "hash" else value


def contents(server):
    """{(database, key): (type, when it expires, value)}"""
    found = {}
    with server.connect() as client:
        for db in range(DATABASES):
            assert client.command("SELECT", str(db)) == Status("OK")
            for name in client.command("KEYS", "*"):
                kind = str(client.command("TYPE", name))
                found[db, name] = (kind, client.command("PEXPIRETIME", name), value_of(client, kind, name))
    return found


def exported(start, path):
    """What the reference server finds in an RDB file."""
    server = start("reference", ("dir", str(path.parent)), ("dbfilename", path.name))
    found = contents(server)
    stop(server, signal.SIGKILL)
    return found


def strings(found):
    return {name.decode(): value.decode() for (_, name), (_, _, value) in found.items()}


@pytest.fixture
def both(reference_usable):
    if not reference_usable:
        pytest.skip("no reference server that can load files")


# The command line


@pytest.mark.parametrize("args, message", [
    (["check"], "Usage: sherd check DIR [--load] [--fix]"),
    (["check", "a", "b"], "Usage: sherd check DIR [--load] [--fix]"),
    (["check", "a", "--rdb", "b"], "Usage: sherd check DIR [--load] [--fix]"),
    (["export", "a"], "Usage: sherd export DIR --rdb FILE [--until TIME]"),
    (["export", "a", "--rdb"], "Usage: sherd export DIR --rdb FILE [--until TIME]"),
    (["export", "a", "--rdb", "b", "--fix"], "Usage: sherd export DIR --rdb FILE [--until TIME]"),
    (["restore", "a", "--to", "b"], "Usage: sherd restore DIR --until TIME --to NEWDIR"),
    (["restore", "a", "--until", "1", "--to", "b", "--else"], "Usage: sherd restore DIR --until TIME --to NEWDIR"),
    (["check", "/nowhere"], "sherd check: Can't open the directory /nowhere: No such file or directory"),
    (["export", "/", "--rdb", "f", "--until", "yesterday"], "sherd export: 'yesterday' is no time"),
    (["export", "/", "--rdb", "f", "--until", "2026-02-31T00:00:00"],
     "sherd export: '2026-02-31T00:00:00' is no time"),
    (["export", "/", "--rdb", "f", "--until", "2026-02-01T00:00:00+1"],
     "sherd export: '2026-02-01T00:00:00+1' is no time"),
    (["export", "/", "--rdb", "f", "--until", "-5"], "sherd export: '-5' is no time"),
])
def test_wrong_arguments(kind, args, message):
    result = sherd(*args)
    assert (result.status, result.out, result.err) == (FAILED, "", message + "\n")


def test_help_names_them(kind):
    text = sherd("--help").out
    for name in ("sherd check DIR", "sherd export DIR", "sherd restore DIR", "sherd backup DIR"):
        assert name in text


def test_no_data(kind, tmp_path):
    result = sherd("check", tmp_path)
    assert result.status == FAILED
    assert result.err == "sherd check: There are no data in %s: no MANIFEST\n" % tmp_path


# Locks


def test_data_of_another_server_are_not_replaced(kind, start, tmp_path):
    """Two servers begin in an empty directory; the second one's data must not take the place of the first one's."""
    first, second = (start(kind, ("dir", str(tmp_path)), ("save", "")) for _ in range(2))
    with first.connect() as client:
        assert client.command("SET", "a", "1") == client.command("SAVE") == Status("OK")
    stop(first, signal.SIGKILL)
    with second.connect() as client:
        assert client.command("SET", "b", "2") == Status("OK")
        assert client.command("SAVE") == Error("ERR")
        assert client.command("GET", "b") == b"2"
    assert "are another server's, and are not replaced" in second.log()
    stop(second, signal.SIGKILL)
    third = start(kind, ("dir", str(tmp_path)))
    wait_until_loaded(third)
    assert [name for _, name in contents(third)] == [b"a"]


def test_in_use(kind, start, tmp_path):
    server = begin(start, kind, tmp_path, "everysec")
    message = "%s is in use by a server, or by another tool\n" % tmp_path
    assert sherd("check", tmp_path).err == "sherd check: " + message
    assert sherd("check", tmp_path, "--fix").err == "sherd check: " + message
    assert sherd("export", tmp_path, "--rdb", tmp_path / "f").err == "sherd export: " + message
    result = sherd("restore", tmp_path, "--until", "1", "--to", tmp_path / "new")
    assert (result.status, result.err) == (FAILED, "sherd restore: " + message)
    assert not (tmp_path / "f").exists() and not (tmp_path / "new").exists()
    second = start(kind, ("appendonly", "yes"), ("dir", str(tmp_path)), wait=False)
    assert second.wait_exit() == 1
    assert "Another process uses the directory sherd-data" in second.log()
    assert "User requested shutdown" not in second.log()
    stop(server, signal.SIGKILL)
    assert sherd("check", tmp_path).status == FINE


# Check


def test_fine(kind, start, tmp_path):
    write(kind, start, tmp_path, sets(0, 20))
    write(kind, start, tmp_path, sets(10, 30))
    before = files(tmp_path)
    result = sherd("check", tmp_path)
    assert result.status == FINE, result
    assert "MANIFEST: fine, 2 items\n" in result.out and result.out.endswith("All is fine.\n")
    records = re.findall(r"^journal-(\d)-\d+-\d.aof: fine, \d+ bytes, (\d+) records$", result.out, re.M)
    assert sum(int(n) for run, n in records if run == "1") == 20 and len(records) == 4
    assert sherd("check", tmp_path / DATA).out == result.out
    assert sherd("check", tmp_path, "--fix").out == result.out
    assert files(tmp_path) == before


def records_of(data):
    """Where each record of a journal ends, as far as sets() goes: SELECT goes with what follows."""
    return [m.end() for m in re.finditer(rb"\*3\r\n\$3\r\nSET\r\n\$\d+\r\n\S+\r\n\$\d+\r\n\S+\r\n", data)]


def test_cut_anywhere(kind, start, tmp_path):
    """Killed while it wrote: what isn't a whole record will be cut off, and is told."""
    rng = seeded()
    whole = tmp_path / "whole"
    whole.mkdir()
    write(kind, start, whole, sets(0, 40), ("workers", "1"), how=signal.SIGKILL)
    for number in range(20):
        copy = tmp_path / str(number)
        shutil.copytree(whole, copy)
        path, = journals(copy)
        data = path.read_bytes()
        at = rng.randrange(1, len(data))
        path.write_bytes(data[:at])
        good = max([x for x in records_of(data) if x <= at], default=0)
        before = files(copy)
        result = sherd("check", copy)
        assert files(copy) == before
        if good == at:
            assert result.status == FINE, result
            continue
        assert result.status == WILL_CUT, result
        assert "%s: a start will cut off %d of %d bytes, from byte %d on: the record is not whole" % (
            path.name, at - good, at, good) in result.out
        # an epoch is known wherever its mark can be read
        assert good == 0 or re.search(r"; written in epoch \d+ \(20\S+Z\) or later", result.out)
        fixed = sherd("check", copy, "--fix")
        assert fixed.status == FINE, fixed
        assert "Cut %s at byte %d: %d bytes are in %s.cut-1 now" % (path.name, good, at - good, path.name) \
            in fixed.out
        assert path.read_bytes() == data[:good]
        assert (copy / DATA / (path.name + ".cut-1")).read_bytes() == data[good:at]
        assert sherd("check", copy).status == FINE
    server = begin(start, kind, copy, "everysec")
    assert len(strings(contents(server))) == len([x for x in records_of(data) if x <= at])


def test_power_loss(kind, start, tmp_path):
    """Behind the last commit everything may be anything: it will be cut off."""
    write(kind, start, tmp_path, sets(0, 40), ("workers", "1"))
    path, = journals(tmp_path)
    size = path.stat().st_size
    with open(path, "ab") as file:
        file.write(b"#EP:999999:1700000000000\r\n#V:0:1\r\ngarbage")
    other_boot(tmp_path)
    result = sherd("check", tmp_path)
    assert result.status == WILL_CUT, result
    assert "from byte %d on: its epoch was not committed; written in epoch 999999" % size in result.out


def flip(path, rng):
    data = bytearray(path.read_bytes())
    at = rng.randrange(len(data))
    data[at] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return at


def within_mark(path, at):
    """The byte is one of a comment: what it says of slots and numbers may be wrong in a way that a later record shows."""
    data = path.read_bytes()
    return data[data.rfind(b"\n", 0, at) + 1:at + 1].startswith(b"#")


def test_damage_anywhere(kind, start, tmp_path):
    """One bit is another: a load doesn't fail that check calls fine, and what is fixed loads."""
    rng = seeded()
    whole = tmp_path / "whole"
    whole.mkdir()
    for run in range(2):
        write(kind, start, whole, [["MSET"] + [x for j in range(3) for x in ("k%d" % rng.randrange(30), "v%d" % i)]
                                   for i in range(25 * run, 25 * run + 25)])
    seen = set()
    for number in range(FLIPS):
        copy = tmp_path / "copy"
        shutil.copytree(whole, copy)
        path = rng.choice([x for x, size in journals(copy).items() if size > 0])
        at = flip(path, rng)
        before = {x: x.read_bytes() for x in journals(copy)}
        result = sherd("check", copy)
        where = "bit of byte %d of %s\n%s" % (at, path.name, result)
        seen.add(result.status)
        if result.status == DAMAGED:
            place = re.search(r"%s: damaged at byte (\d+) of %d" % (path.name, len(before[path])), result.out)
            assert place is None or int(place.group(1)) <= at or within_mark(whole / DATA / path.name, at), where
            fixed = sherd("check", copy, "--fix")
            assert fixed.status == FINE and fixed.out.endswith("All is fine now.\n"), fixed
            for x, data in before.items():
                side = x.with_name(x.name + ".cut-1")
                assert x.read_bytes() + (side.read_bytes() if side.exists() else b"") == data, where
            assert sherd("check", copy).status == FINE, where
        load = sherd("export", copy, "--rdb", tmp_path / "f.rdb")
        assert load.status == 0, (where, load)
        shutil.rmtree(copy)
    assert DAMAGED in seen, seen


def test_refuses_until_fixed(kind, start, tmp_path):
    write(kind, start, tmp_path, sets(0, 50), ("workers", "1"))
    write(kind, start, tmp_path, sets(50, 60), ("workers", "1"))
    path = tmp_path / DATA / "journal-1-0-0.aof"
    data = path.read_bytes()
    ends = records_of(data)
    at = data.index(b"SET", ends[29])
    path.write_bytes(data[:at] + b"SXT" + data[at + 3:])
    place = "journal-1-0-0.aof: damaged at byte %d of %d: this is no effect of a write" % (ends[29], len(data))
    server = start(kind, ("appendonly", "yes"), ("dir", str(tmp_path)), wait=False)
    assert server.wait_exit() == 1
    assert '"sherd check --load" says what is wrong with sherd-data' in server.log()
    result = sherd("check", tmp_path)
    assert result.status == DAMAGED and place in result.out, result
    result = sherd("check", tmp_path, "--fix")
    assert result.status == FINE, result
    assert "Cut journal-2-0-0.aof at byte 0" in result.out      # it follows on what was lost
    server = begin(start, kind, tmp_path, "everysec")
    assert strings(contents(server)) == {"key:%d" % i: "value:%d" % i for i in range(30)}


def test_what_cant_be_done_again(kind, start, tmp_path):
    """An effect that looks right, and fails: only a load finds it."""
    write(kind, start, tmp_path, [["SADD", "k", "member"], ["SADD", "k", "other"], ["SET", "j", "v"]], ("workers", "1"))
    path, = journals(tmp_path)
    data = path.read_bytes()
    second = data.index(b"SADD", data.index(b"SADD") + 1)
    path.write_bytes(data[:second] + b"HGET" + data[second + 4:])
    error = r"%s at byte \d+: this can't be done again: HGET: " % path.name
    server = start(kind, ("appendonly", "yes"), ("dir", str(tmp_path)), wait=False)
    assert server.wait_exit() == 1 and re.search(error, server.log())
    assert sherd("check", tmp_path).status == FINE
    result = sherd("check", tmp_path, "--load")
    assert result.status == DAMAGED and re.search(error, result.err), result
    assert "%s: damaged at byte " % path.name in result.out and "this is no effect of a write" in result.out
    result = sherd("check", tmp_path, "--load", "--fix")
    assert result.status == FINE and result.out.endswith("All is fine now.\n"), result
    assert sherd("check", tmp_path, "--load").status == FINE
    server = begin(start, kind, tmp_path, "everysec")
    assert contents(server) == {(0, b"k"): ("set", -1, [b"member"])}


def test_missing_journal(kind, start, tmp_path):
    write(kind, start, tmp_path, sets(0, 20), ("workers", "1"))
    path, = journals(tmp_path)
    path.unlink()
    result = sherd("check", tmp_path)
    assert result.status == DAMAGED
    assert "%s: can't be read: No such file or directory\n" % path.name in result.out
    result = sherd("check", tmp_path, "--fix")
    assert result.status == FINE and "Made an empty %s\n" % path.name in result.out


def test_missing_manifest(kind, start, tmp_path):
    write(kind, start, tmp_path, sets(0, 20), ("workers", "1"))
    (tmp_path / DATA / "MANIFEST").unlink()
    message = ("There is no MANIFEST, but a file with data: journal-1-0-0.aof. Without it nobody can tell which files "
               "are the data: go back to a backup")
    assert sherd("check", tmp_path).err == "sherd check: %s\n" % message
    server = start(kind, ("appendonly", "yes"), ("dir", str(tmp_path)), wait=False)
    assert server.wait_exit() == 1 and message in server.log()


def test_damaged_manifest(kind, start, tmp_path):
    write(kind, start, tmp_path, sets(0, 20))
    path = tmp_path / DATA / "MANIFEST"
    path.write_bytes(path.read_bytes().replace(b"stretch 1", b"stretch 2"))
    result = sherd("check", tmp_path, "--fix")
    assert (result.status, result.out) == (
        DAMAGED, "MANIFEST: damaged at line 4\nWithout it nobody can tell which files are the data: go back to a backup.\n")
    result = sherd("export", tmp_path, "--rdb", tmp_path / "f")
    assert (result.status, result.err) == (FAILED, "sherd export: MANIFEST is damaged at line 4\n")


# Snapshots


def with_snapshots(kind, start, directory):
    """Three generations; each has ten more keys."""
    server = start(kind, ("appendonly", "yes"), ("dir", str(directory)), ("generations-to-keep", "3"))
    wait_until_loaded(server)
    with server.connect() as client:
        for generation in range(3):
            for line in sets(10 * generation, 10 * generation + 10):
                client.command(*line)
            assert client.command("SAVE") == Status("OK")
        for line in sets(30, 35):
            client.command(*line)
    stop(server)


def snapshots(directory):
    return sorted((directory / DATA).glob("snapshot-*.rdb"), key=lambda p: int(p.name.split("-")[1]))


def test_snapshots(kind, start, tmp_path, both):
    with_snapshots(kind, start, tmp_path)
    result = sherd("check", tmp_path)
    assert result.status == FINE, result
    parts = {}
    for cut, keys in re.findall(r"^snapshot-(\d+)-\d+.rdb: fine, \d+ bytes, (\d+) keys", result.out, re.M):
        parts[int(cut)] = parts.get(int(cut), 0) + int(keys)
    assert [parts[cut] for cut in sorted(parts)] == [10, 20, 30]
    assert "(of an older generation)" in result.out
    assert sherd("export", tmp_path, "--rdb", tmp_path / "f.rdb").out == "%s: 35 keys\n" % (tmp_path / "f.rdb")
    assert strings(exported(start, tmp_path / "f.rdb")) == {
        "key:%d" % i: "value:%d" % i for i in range(35)}


def test_damaged_snapshot(kind, start, tmp_path):
    """An older generation is a way round; without one nothing can be done, and nothing is."""
    rng = seeded()
    with_snapshots(kind, start, tmp_path)
    last = snapshots(tmp_path)[-1]
    at = flip(last, rng)
    result = sherd("check", tmp_path)
    assert result.status == DAMAGED, (at, result)
    assert re.search(r"%s: damaged at byte \d+ of %d: " % (last.name, last.stat().st_size), result.out), result
    server = start(kind, ("appendonly", "yes"), ("dir", str(tmp_path)), wait=False)
    assert server.wait_exit() == 1 and last.name in server.log()
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / DATA, copy)
    result = sherd("check", tmp_path, "--fix")
    assert result.status == FINE, result
    assert "with its journals, the one before it has the same data" in result.out
    assert (tmp_path / DATA / (last.name + ".cut-1")).exists() and not last.exists()
    assert sherd("export", tmp_path, "--rdb", tmp_path / "f.rdb").out.endswith(": 35 keys\n")
    for path in copy.glob("snapshot-*-0.rdb"):
        path.write_bytes(path.read_bytes()[:-1])
    before = files(copy)
    result = sherd("check", copy, "--fix")
    assert result.status == DAMAGED, result
    assert result.err == ("sherd check: A snapshot is damaged, and what is before it doesn't have the same data: "
                          "nothing was changed\n")
    assert files(copy) == before


def damaged_parts(directory, pattern):
    """One part of the last snapshot or increment is damaged."""
    path = max((directory / DATA).glob(pattern), key=lambda p: (int(p.name.split("-")[1]), p.stat().st_size))
    path.write_bytes(path.read_bytes()[:-1])
    return path.name


def test_damaged_snapshot_without_journals(kind, start, tmp_path):
    """What is before it is older, so --fix doesn't take that; restore does, where one asks for it."""
    server = start(kind, ("dir", str(tmp_path)), ("generations-to-keep", "2"))
    with server.connect() as client:
        for i in range(2):
            client.pipeline(sets(10 * i, 10 * i + 10))
            between = int(time.time() * 1000) - 5
            time.sleep(.01)
            assert client.command("SAVE") == Status("OK")
            time.sleep(.01)
    stop(server)
    name = damaged_parts(tmp_path, "snapshot-*")
    before = files(tmp_path / DATA)
    result = sherd("check", tmp_path)
    assert result.status == DAMAGED
    assert ("--fix can't help: what is before the damaged snapshot doesn't have the same data. Go back to a backup;\n"
            "or to an older state, if there is one: \"sherd restore %s --until TIME --to NEWDIR\".\n" % tmp_path) in result.out
    result = sherd("check", tmp_path, "--fix")
    assert result.status == DAMAGED and "doesn't have the same data: nothing was changed" in result.err
    assert files(tmp_path / DATA) == before and name in before
    result = sherd("restore", tmp_path, "--until", between, "--to", tmp_path / "new")
    assert (result.status, result.out) == (FINE, "%s: 10 keys\n" % (tmp_path / "new")), result


def test_damaged_increment(kind, start, tmp_path):
    """With journals it can be done without."""
    server = start(kind, ("appendonly", "yes"), ("dir", str(tmp_path)))
    wait_until_loaded(server)
    with server.connect() as client:
        for i in range(3):
            client.pipeline(sets(10 * i, 10 * i + 10))
            client("BGSAVE INCREMENTAL")
            until(lambda: b"rdb_bgsave_in_progress:0" in client("INFO persistence"), "it isn't saved")
        client.pipeline(sets(30, 35))
    stop(server)
    damaged_parts(tmp_path, "increment-*")
    result = sherd("check", tmp_path)
    assert result.status == DAMAGED
    assert "with its journals, what is before it has the same data" in result.out, result
    result = sherd("check", tmp_path, "--fix")
    assert result.status == FINE, result
    assert sherd("export", tmp_path, "--rdb", tmp_path / "f.rdb").out.endswith(": 35 keys\n")


def test_what_to_do(kind, start, tmp_path):
    """The end of what check says: what a start will do, and what to do."""
    with_snapshots(kind, start, tmp_path)

    def end_of_check(prepare):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(tmp_path / DATA, copy)
        prepare(copy)
        return sherd("check", copy).out.split("keys\n")[-1].split("records\n")[-1].replace(str(copy), "DIR")

    def last_journal(copy):
        return max(copy.glob("journal-*"), key=lambda p: (int(p.name.split("-")[2]), p.stat().st_size))

    def tear(copy):
        path = last_journal(copy)
        path.write_bytes(path.read_bytes()[:-1])

    def spoil(copy):
        path = last_journal(copy)
        path.write_bytes(b"x" + path.read_bytes()[1:])

    def spoil_older(copy):
        path = min(copy.glob("snapshot-*-0.rdb"), key=lambda p: int(p.name.split("-")[1]))
        path.write_bytes(path.read_bytes()[:-1])
    assert end_of_check(lambda copy: None) == "All is fine.\n"
    assert end_of_check(tear).endswith(
        "All is fine but for what was just being written: a start cuts that off, and nobody had been promised it.\n"
        "There is nothing to do.\n")
    assert end_of_check(spoil).endswith(
        "There is damage: a server doesn't start with these data.\n"
        "\"sherd check DIR --fix\" cuts journals at it. What was written later is not loaded then; it is kept in\n"
        "files beside. Make a copy of the directory first.\n")
    assert end_of_check(spoil_older).endswith(
        "What a start loads is fine. What is damaged belongs to an older generation: only going back to that one "
        "fails.\n")
    spoil(tmp_path / DATA)
    result = sherd("restore", tmp_path, "--until", "2100-01-01T00:00:00", "--to", tmp_path / "new")
    assert re.search(r"sherd restore: journal-\S+ is damaged at byte 0, .*: what was written after that is not in "
                     "this state\n", result.err), result


def test_snapshot_of_another_name(kind, start, tmp_path):
    with_snapshots(kind, start, tmp_path)
    parts = snapshots(tmp_path)
    parts[-1].write_bytes(parts[0].read_bytes())
    result = sherd("check", tmp_path)
    assert result.status == DAMAGED and "it says that it is another file" in result.out, result


# Export


def test_export_of_everything(kind, start, tmp_path, both):
    """Random commands of all types: the reference server reads the file, and has the same."""
    rng = seeded()
    server = begin(start, kind, tmp_path, "everysec")
    with server.connect() as client:
        for args in generator.sequence(rng, 3000):
            if args and args[0].upper() not in LEFT_OUT:
                client.command(*args)
        client.command("SELECT", "7")
        client.command("SET", "late", "x", "PXAT", "4102444800000")
    expected = contents(server)
    stop(server, signal.SIGKILL)
    before = files(tmp_path)
    path = tmp_path / "all.rdb"
    result = sherd("export", tmp_path, "--rdb", path, "--progress")
    assert result.status == 0, result
    assert "loading: 100 %" in result.err and "writing: 100 %" in result.err
    data = path.read_bytes()
    assert data[:9] == b"REDIS0010" and path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    assert files(tmp_path) == before
    path.write_bytes(data)
    found = exported(start, path)
    assert len(expected) > 10 and found[7, b"late"] == ("string", 4102444800000, b"x")
    for where in sorted(set(expected) | set(found)):
        assert found.get(where) == expected.get(where), where


def test_newer_version_where_needed(kind, start, tmp_path):
    write(kind, start, tmp_path, [["HSET", "h", "f", "1"], ["HEXPIRE", "h", "100000", "FIELDS", "1", "f"]])
    result = sherd("export", tmp_path, "--rdb", tmp_path / "f")
    assert result.status == 0 and "7.4 and later read it" in result.out
    assert (tmp_path / "f").read_bytes()[:9] == b"REDIS0012"


@pytest.mark.parametrize("target", ["missing/f.rdb", "."])
def test_export_to_nowhere(kind, start, tmp_path, target):
    write(kind, start, tmp_path, sets(0, 5))
    before = files(tmp_path)
    result = sherd("export", tmp_path, "--rdb", tmp_path / target)
    assert result.status == FAILED and "sherd export: Can't write %s: " % (tmp_path / target) in result.err
    assert files(tmp_path) == before and not list(tmp_path.parent.glob("*.tmp"))


REFUSED = {
    "fifo": "it is not a regular file",
    "folder": "it is a directory",
    "link": "it is a symbolic link, name the file itself",
    "dangling": "it is a symbolic link, name the file itself",
}


@pytest.mark.parametrize("target", sorted(REFUSED))
def test_export_takes_no_place_but_a_file_s(kind, start, tmp_path, target):
    data = tmp_path / "data"
    data.mkdir()
    write(kind, start, data, sets(0, 5))
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nothing")
    before = {x.name: x.lstat()[:3] for x in tmp_path.iterdir()}
    result = sherd("export", data, "--rdb", tmp_path / target)
    assert result.status == FAILED
    assert result.err == "sherd export: Can't write %s: %s\n" % (tmp_path / target, REFUSED[target])
    assert {x.name: x.lstat()[:3] for x in tmp_path.iterdir()} == before
    assert (tmp_path / "file").read_bytes() == b"old"
    assert sherd("export", data, "--rdb", tmp_path / "file").status == 0
    assert (tmp_path / "file").read_bytes()[:5] == b"REDIS"


def test_export_to_standard_output(kind, start, tmp_path, monkeypatch):
    write(kind, start, tmp_path, sets(0, 5))
    monkeypatch.chdir(tmp_path)
    before = files(tmp_path)
    result = sherd("export", tmp_path, "--rdb", "-")
    assert result.status == FAILED and "nothing is written to standard output" in result.err
    assert files(tmp_path) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("tool", ["export", "restore", "backup"])
def test_interrupted(kind, start, tmp_path, number, tool):
    """Whenever that is: it is there whole, or nothing is, and the data are as they were."""
    server = begin(start, kind, tmp_path, "no")
    with server.connect() as client:
        for i in range(20):
            client.pipeline([["RPUSH", "list:%d" % (j % 1000), "x" * 20] for j in range(5000)])
        assert tool != "backup" or client.command("SAVE") == Status("OK")
    stop(server)
    before = files(tmp_path / DATA)
    target = tmp_path / "new"
    args = {"export": ["--rdb", str(target)], "restore": ["--until", "4102444800", "--to", str(target)],
            "backup": ["--to", str(target)]}[tool]
    interrupted = 0
    markers = ("copying", "checking") if tool == "backup" else ("loading", "writing")
    for marker in markers * 5:
        process = subprocess.Popen([servers.SHERD, tool, str(tmp_path), "--progress"] + args,
                                   stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        for line in process.stderr:
            if line.startswith(marker):
                break
        process.send_signal(number)
        process.stderr.read()
        status = process.wait()
        process.stderr.close()
        assert status in (0, 130)
        interrupted += status == 130
        assert target.exists() == (status == 0)
        assert {x.name for x in tmp_path.iterdir()} - {"new"} == {DATA}
        if status == 0:         # it was done before it was told
            shutil.rmtree(target) if target.is_dir() else target.unlink()
        if marker == markers[-1] and interrupted:
            break
    assert interrupted > 0
    assert files(tmp_path / DATA) == before


# Going back


def epochs(directory):
    """{epoch: when it began, unix ms} by the journals."""
    found = {}
    for path in journals(directory):
        for epoch, ms in re.findall(rb"^#EP:(\d+):(\d+)", path.read_bytes(), re.M):
            found[int(epoch)] = min(found.get(int(epoch), int(ms)), int(ms))
    return found


def history(kind, start, directory, runs, saves=(), keep=10):
    """Runs of the server, one write in each: run i sets the key `run` to i, among others."""
    for i in range(runs):
        server = start(kind, ("appendonly", "yes"), ("dir", str(directory)), ("generations-to-keep", str(keep)))
        wait_until_loaded(server)
        with server.connect() as client:
            client.command("MSET", "run", str(i), "run:%d" % i, "x")
            if i in saves:
                assert client.command("SAVE") == Status("OK")
        stop(server)


def state(i):
    expected = {"run:%d" % j: "x" for j in range(i + 1)}
    expected["run"] = str(i)
    return expected


def iso(ms, digits=True):
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000))
    return text + (".%03dZ" % (ms % 1000) if digits else "")


@pytest.mark.parametrize("saves", [(), (2,), (1, 3)])
def test_until(kind, start, tmp_path, saves, both):
    """Each known state at its known time, from the generation that has it."""
    history(kind, start, tmp_path, 5, saves)
    times = sorted(epochs(tmp_path).items())
    assert len(times) == 5
    before = files(tmp_path / DATA)
    for i, (epoch, ms) in enumerate(times):
        path = tmp_path / "f.rdb"
        moment = [str(ms), iso(ms)][i % 2]
        result = sherd("export", tmp_path, "--rdb", path, "--until", moment)
        assert result.status == 0, result
        found = re.match(r"The state of epoch (\d+), which began at (\S+Z)", result.err)
        assert found.group(2) == iso(ms)
        # a snapshot's cut begins one, too: perhaps within the same millisecond
        assert epoch <= int(found.group(1)) < ([x for x, _ in times] + [1 << 60])[i + 1]
        assert (i == 4) == ("the next one began" not in result.err)
        assert strings(exported(start, path)) == state(i)
        if i > 0:
            sherd("export", tmp_path, "--rdb", path, "--until", str(ms - 1))
            assert strings(exported(start, path)) == state(i - 1)
    assert files(tmp_path / DATA) == before
    result = sherd("export", tmp_path, "--rdb", path, "--until", str(times[0][1] - 1))
    assert (result.status, result.err) == (
        FAILED, "sherd export: The data go back to %s only\n" % iso(times[0][1]))
    result = sherd("export", tmp_path, "--rdb", path, "--until", "4102444800")
    assert result.status == 0 and strings(exported(start, path)) == state(4)


def test_until_seconds(kind, start, tmp_path):
    history(kind, start, tmp_path, 1)
    (_, ms), = epochs(tmp_path).items()
    for text, good in ((str(ms // 1000), ms % 1000 == 0), (str(ms // 1000 + 1), True),
                       (iso(ms + 1000, False), True), (iso(ms + 1000, False) + "Z", True)):
        result = sherd("export", tmp_path, "--rdb", tmp_path / "f", "--until", text)
        assert (result.status == 0) == good, (text, result)


def test_older_generations_are_gone(kind, start, tmp_path):
    history(kind, start, tmp_path, 3, saves=(1,), keep=1)
    result = sherd("export", tmp_path, "--rdb", tmp_path / "f", "--until", "1000")
    assert result.status == FAILED
    earliest = re.fullmatch(r"sherd export: The data go back to (\S+) only\n", result.err).group(1)
    assert sherd("export", tmp_path, "--rdb", tmp_path / "f", "--until", earliest).status == 0


def test_until_cuts_always_too(kind, start, tmp_path):
    """Epochs that a power loss doesn't take are taken back all the same."""
    for i in range(3):
        write(kind, start, tmp_path, [["SET", "run", str(i)]], ("appendfsync", "always"))
    times = sorted(epochs(tmp_path).items())
    new = tmp_path / "new"
    assert sherd("restore", tmp_path, "--until", times[1][1], "--to", new).status == 0
    server = begin(start, kind, new, "everysec")
    assert strings(contents(server)) == {"run": "1"}


def test_restore(kind, start, tmp_path):
    history(kind, start, tmp_path, 4, saves=(1,))
    before = files(tmp_path / DATA)
    times = sorted(epochs(tmp_path).items())
    for i, (_, ms) in enumerate(times):
        new = tmp_path / ("new-%d" % i)
        if i % 2:
            new.mkdir()
        result = sherd("restore", tmp_path, "--until", ms, "--to", new)
        assert result.status == 0, result
        assert result.out == "%s: %d keys\n" % (new, i + 2)
        assert sherd("check", new).status == FINE
        assert {oct(x.stat().st_mode & 0o777) for x in (new / DATA).iterdir()} == {"0o600"}
        for _ in range(2):
            server = begin(start, kind, new, "everysec")
            assert strings(contents(server)) == state(i)
            stop(server)
    assert files(tmp_path / DATA) == before
    result = sherd("restore", tmp_path, "--until", times[0][1], "--to", tmp_path / "new-0")
    assert (result.status, result.err) == (
        FAILED, "sherd restore: Can't write %s: Directory not empty\n" % (tmp_path / "new-0"))
    result = sherd("restore", tmp_path, "--until", "1", "--to", tmp_path / "none")
    assert result.status == FAILED and not (tmp_path / "none").exists()


# Copies beside a running server


def test_backup(kind, start, tmp_path):
    """It has what the last snapshot has, and the increments behind it, not what was written later."""
    server = begin(start, kind, tmp_path, "everysec")
    new = tmp_path / "new"
    result = sherd("backup", tmp_path, "--to", new)
    assert (result.status, result.err) == (
        FAILED, "sherd backup: There is no snapshot in %s yet: BGSAVE makes one\n" % tmp_path)
    assert not new.exists()
    with server.connect() as client:
        for i, how in enumerate([["SAVE"], ["BGSAVE", "INCREMENTAL"], ["BGSAVE", "INCREMENTAL"]]):
            client.command("MSET", "run", str(i), "run:%d" % i, "x")
            wait_idle(client)
            assert isinstance(client.command(*how), Status)
            wait_idle(client)
        client.command("SET", "run", "later")
        before = files(tmp_path / DATA)
        result = sherd("backup", tmp_path / DATA, "--to", new)
        assert result.status == FINE, result
        assert re.fullmatch(re.escape(str(new)) + r": the data of 20\S+Z, \d+ bytes in \d+ files\n", result.out)
        assert files(tmp_path / DATA) == before
        assert client.command("GET", "run") == b"later"
    assert {oct(x.stat().st_mode & 0o777) for x in (new / DATA).iterdir()} == {"0o600"}
    assert sherd("check", new, "--load").status == FINE
    for policy in ("no", "everysec"):
        copy = begin(start, kind, new, policy)
        assert strings(contents(copy)) == state(2)
        stop(copy)
    assert sherd("backup", new, "--to", tmp_path).err == (
        "sherd backup: Can't write %s: Directory not empty\n" % tmp_path)


def test_backups_while_snapshots_replace_each_other(kind, start, tmp_path):
    """Each is of one moment, though the files that one begins with may be gone the moment after."""
    server = start(kind, ("dir", str(tmp_path)), ("save", ""))
    over = threading.Event()

    def work():
        with server.connect() as client:
            i = 0
            while not over.is_set():
                i += 1
                client.pipeline([["MSET"] + [w for key in "abcdef" for w in (key, str(i))], ["BGSAVE"]])
    with server.connect() as client:
        assert client.command("SAVE") == Status("OK")
    thread = threading.Thread(target=work)
    thread.start()
    try:
        for i in range(10):
            result = sherd("backup", tmp_path, "--to", tmp_path / str(i))
            assert result.status == FINE, result
    finally:
        over.set()
        thread.join()
    seen = []
    for i in range(10):
        values = strings(contents(begin(start, kind, tmp_path / str(i), "no")))
        assert len(set(values.values())) <= 1 and len(values) in (0, 6)
        seen.append(int(values.get("a", "0")))
    assert seen == sorted(seen)


def test_backup_of_damage(kind, start, tmp_path):
    """The copy is looked at: what isn't whole is no backup."""
    write(kind, start, tmp_path, sets(0, 50) + [["SAVE"]])
    path = snapshots(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    result = sherd("backup", tmp_path, "--to", tmp_path / "new")
    assert result.status == FAILED and "%s is damaged at byte" % path.name in result.err
    path.unlink()
    result = sherd("backup", tmp_path, "--to", tmp_path / "new")
    assert (result.status, result.err) == (FAILED, "sherd backup: Can't read %s in %s: No such file or directory\n" %
                                           (path.name, tmp_path))
    assert not (tmp_path / "new").exists()
