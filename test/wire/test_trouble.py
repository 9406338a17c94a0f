"""Disk trouble: calls on files fail on purpose (DEBUG IO-FAULT, and the environment at the start).

Writes are refused with the reason, reads go on, nothing acknowledged is lost, and when calls work again
service goes on. Writers, readers and what is found after a start: as in test_crash.py.
"""

import os
import re

import pytest

from resp import NIL_BULK, Closed, Error, Status
from test_crash import (DATA, SECTOR, WRITERS, Reader, Writer, begin, check, found, journals, lose_tail, other_boot,
                        seeded, wait_until_loaded)
from waiting import until

SCALE = int(os.environ.get("SCALE", "1"))
ENOSPC = "MISCONF Errors writing to the AOF file: No space left on device"
CALLS = ("open", "write", "sync", "rename", "truncate", "unlink")


def fault(client, *words):
    """Not waiting for the reply: it may be one of those that wait until the disk is well again."""
    client.send(b" ".join(word.encode() for word in ("DEBUG", "IO-FAULT") + words) + b"\r\n")


def mend(server):
    """By a connection of its own: one whose reply waits for the disk isn't listened to."""
    with server.connect() as client:
        assert client.command("DEBUG", "IO-FAULT", "OFF") == Status("OK")


def manifest(directory):
    """Its text; none: there is none yet."""
    path = directory / DATA / "MANIFEST"
    return path.read_text() if path.exists() else ""


def calls(client):
    """{call: how many there were since the last rule}"""
    flat = client.command("DEBUG", "IO-FAULT", "COUNTS")
    return dict(zip(map(bytes.decode, flat[::2]), flat[1::2]))


def info(server):
    """
    INFO persistence. Replies of the moment in which the disk fails wait until it is well again, of whatever
    command: then another connection asks.
    """
    def ask():
        try:
            with server.connect(timeout=1) as client:
                return client.command("INFO", "persistence").decode()
        except TimeoutError:
            return None
    return until(ask, "INFO isn't answered")


def in_trouble(server):
    return "aof_last_write_status:err" in info(server)


def insist(client, *words):
    """Repeats a request for as long as the disk is what it is refused for."""
    replies = []

    def is_answered():
        replies[:] = [client.command(*words)]
        return not (isinstance(replies[0], Error) and str(replies[0]).startswith("MISCONF"))
    until(is_answered, lambda: "%s: %s" % (" ".join(words), replies))
    return replies[0]


def wait_for_writers(writers, goal):
    """Until so many of their requests have been acknowledged."""
    def reached():
        assert all(w.is_alive() for w in writers), [w.problem for w in writers]
        return sum(w.acknowledged for w in writers) >= goal
    until(reached, lambda: "%s of %d requests are acknowledged" % ([w.acknowledged for w in writers], goal))


def kill(server):
    server.process.kill()
    server.process.wait()


@pytest.mark.sherd_only
@pytest.mark.parametrize("policy", ["everysec", "always", "no"])
@pytest.mark.parametrize("rule", ["write ENOSPC 0 0", "short ENOSPC 0 0"])
def test_full_disk(kind, start, tmp_path, policy, rule):
    server = begin(start, kind, tmp_path, policy)
    with server.connect() as admin, server.connect() as early, server.connect() as late:
        assert late.command("SET", "{a}old", "1") == Status("OK")
        assert late.pipeline(["MULTI", "SET {a}multi 1"])[-1] == Status("QUEUED")
        until(lambda: all_committed(server, tmp_path))      # else it may be COMMITS that can't be written, and that first
        assert admin.command("DEBUG", "IO-FAULT", *rule.split()) == Status("OK")
        early.send(b"SET {b}new 2\r\n")
        until(lambda: in_trouble(server))
        # by the worker that has failed, and by others
        assert late.command("EXEC") == Error("EXECABORT Transaction discarded because of: " + ENOSPC)
        assert late.command("SET", "{a}refused", "1") == Error(ENOSPC)
        assert late.command("PING") == Error(ENOSPC)
        assert late.command("GET", "{a}old") == b"1"
        assert late.pipeline(["MULTI", "GET {a}old", "EXEC"])[-1] == [b"1"]
        assert late.pipeline(["MULTI", "SET {a}no 1", "EXEC"])[1:] == [
            Error(ENOSPC), Error("EXECABORT Transaction discarded because of previous errors.")]
        with server.connect() as operator:      # what says nothing of keys waits for nothing
            assert b"cmd=client|list" in operator.command("CLIENT", "LIST")
            assert isinstance(operator.command("SLOWLOG", "GET"), list)
            assert isinstance(operator.command("SAVE"), Error)
            assert isinstance(operator.command("SHUTDOWN", "SAVE"), Error)
        mend(server)
        assert early.read() == Status("OK")
        assert insist(late, "SET", "{a}later", "3") == Status("OK")
        assert not in_trouble(server)
    kill(server)
    server = begin(start, kind, tmp_path, policy)
    with server.connect() as client:
        assert client.command("MGET", "{a}old", "{b}new", "{a}later") == [b"1", b"2", b"3"]
        assert client.command("DBSIZE") == 3


@pytest.mark.sherd_only
def test_not_without_permission(kind, start, tmp_path, monkeypatch):
    """Faults are for who may DEBUG."""
    monkeypatch.setenv("SHERD_IO_FAULT", "any EIO 0 0")
    server = start(kind, ("appendonly", "yes"), ("dir", str(tmp_path)), ("enable-debug-command", "no"))
    wait_until_loaded(server)
    with server.connect() as client:
        reply = client.command("DEBUG", "IO-FAULT", "any", "EIO")
        assert str(reply).startswith("ERR DEBUG command not allowed")
        assert client.command("SET", "k", "v") == Status("OK")


def run_into(server, rng, counts, rule, stop_at):
    """Writers and readers until something has failed, or nothing more will; then the server is killed."""
    writers = [Writer(server, i, counts[i]) for i in range(WRITERS)]
    readers = [Reader(server, rng) for _ in range(2)]
    with server.connect() as admin:
        fault(admin, *rule.split())
        for thread in writers + readers:
            thread.start()
        until(lambda: in_trouble(server) or sum(w.acknowledged for w in writers) - sum(counts) >= stop_at)
    kill(server)
    for thread in writers + readers:
        thread.join()
        assert thread.problem in (None, "refused"), thread.problem
    return writers, readers


@pytest.mark.sherd_only
@pytest.mark.stress
@pytest.mark.parametrize("policy", ["everysec", "always"])
def test_killed_in_trouble(kind, start, tmp_path, policy):
    """Calls fail from some moment on, then the server is killed: all that was acknowledged is there."""
    rng = seeded()
    counts = [0] * WRITERS
    for _ in range(6 * SCALE):
        server = begin(start, kind, tmp_path, policy)
        rule = "%s %s %d 0" % (rng.choice(["any", "short", "write", "sync"]),
                               rng.choice(["EIO", "ENOSPC"]), rng.randrange(200))
        print(rule)
        writers, readers = run_into(server, rng, counts, rule, 1500)
        server = begin(start, kind, tmp_path, policy)
        counts = check(server, writers, readers)
        kill(server)


@pytest.mark.sherd_only
@pytest.mark.one_kind
@pytest.mark.parametrize("policy", ["everysec", "always"])
def test_start_with_each_call_failing(kind, start, tmp_path, policy, monkeypatch):
    """A start with one failing call ends with a reason or goes well; in neither case data is lost."""
    expected = {}
    n = 0
    while True:
        server = begin(start, kind, tmp_path, policy)
        with server.connect() as client:
            assert {key: client.command("GET", key) for key in expected} == expected
            assert client.command("DBSIZE") == len(expected)
            expected["k%d" % n] = b"%d" % n
            assert client.command("SET", "k%d" % n, str(n)) == Status("OK")
        kill(server)
        tear_last_record(tmp_path)          # so that the next start has something to cut
        expected.pop("k%d" % n)
        monkeypatch.setenv("SHERD_IO_FAULT", "any EIO %d" % n)
        server = start(kind, ("appendonly", "yes"), ("appendfsync", policy), ("dir", str(tmp_path)),
                       wait=False)
        monkeypatch.delenv("SHERD_IO_FAULT")
        made = start_calls(server)
        kill(server)
        if made is not None and made <= n:
            break
        n += 1
    assert n >= 8


def tear_last_record(directory):
    for path, size in journals(directory).items():
        data = path.read_bytes().rstrip(b"\0")
        if data:
            path.write_bytes(data[:-1])


def start_calls(server):
    """How many calls a start has made; None when it ended with a reason."""
    try:
        wait_until_up_and_loaded(server)
        with server.connect() as client:
            return sum(calls(client).values())
    except (OSError, Closed):
        assert server.wait_exit() == 1
        assert "Input/output error" in server.log_tail()
        return None


def wait_until_up_and_loaded(server):
    def is_up():
        if server.process.poll() is not None:
            raise Closed()
        try:
            wait_until_loaded(server)
            return True
        except (OSError, Closed):
            return False
    until(is_up, "it isn't up")


@pytest.mark.sherd_only
@pytest.mark.stress
def test_policy_changes_under_load(kind, start, tmp_path):
    rng = seeded()
    counts = [0] * WRITERS
    for _ in range(2 * SCALE):
        server = begin(start, kind, tmp_path, rng.choice(["everysec", "always", "no"]))
        writers = [Writer(server, i, counts[i]) for i in range(WRITERS)]
        readers = [Reader(server, rng) for _ in range(2)]
        for thread in writers + readers:
            thread.start()
        with server.connect() as admin:
            for goal in range(200, 2000, 200):
                policy = rng.choice(["everysec", "always", "no"])
                assert admin.command("CONFIG", "SET", "appendfsync", policy) == Status("OK")
                wait_for_writers(writers, sum(counts) + goal)
        kill(server)
        for thread in writers + readers:
            thread.join()
            assert not thread.problem, thread.problem
        server = begin(start, kind, tmp_path, "everysec")
        counts = check(server, writers, readers)
        kill(server)


# Power loss


def durable_bytes(server):
    """How much of each of this run's journals is synced, as the server says."""
    lines = re.findall(r"^journal_(\d+):generation=\d+,begin=\d+,written=\d+,durable=(\d+)",
                       info(server), re.M)
    return {int(i): int(n) for i, n in lines}


def durable_lengths(directory, run, durable):
    """The same for its files: {path: bytes}. The generations' follow on each other."""
    lengths = {}
    for path in (directory / DATA).glob("journal-%d-*.aof" % run):
        cut, worker = map(int, path.stem.split("-")[2:])
        lengths[cut, worker] = path
    for cut, worker in sorted(lengths):
        size = len(lengths[cut, worker].read_bytes().rstrip(b"\0"))
        durable[worker], part = max(0, durable[worker] - size), min(size, durable[worker])
        lengths[cut, worker] = lengths[cut, worker], part
    return dict(lengths.values())


def lose(directory, rng, durable):
    """Each journal keeps what is durable, and of the rest some beginning, with or without holes."""
    for path, least in durable.items():
        path.write_bytes(lose_tail(path.read_bytes(), rng, least))


def last_commit(directory):
    """The words of the last whole line of COMMITS; none: there is no line."""
    lines = (directory / DATA / "COMMITS").read_bytes().split(b"\n")[:-1]
    return lines[-1].split() if lines else []


def commits_say_always(directory):
    """Whatever is in the journals counts."""
    return b"always" in last_commit(directory)


def all_committed(server, directory):
    """COMMITS has all epochs of the journals, and is synced: it is left alone before something else is written."""
    journals = b"".join(path.read_bytes() for path in (directory / DATA).glob("journal-*.aof"))
    epochs = [int(epoch) for epoch in re.findall(rb"#EP:(\d+):", journals)]
    return int(re.search(r"durable_epoch:(\d+)", info(server)).group(1)) >= max(epochs)


@pytest.mark.sherd_only
@pytest.mark.stress
@pytest.mark.parametrize("policies", [["everysec"], ["always"], ["everysec", "always"], ["no", "always"],
                                      ["always", "everysec"]], ids="-".join)
def test_power_loss_where_syncs_end(kind, start, tmp_path, policies):
    """
    From some moment on nothing more is synced, so it is known to the byte what a power loss must leave. With
    always in force that has all that was acknowledged, by whatever policy.
    """
    rng = seeded()
    counts = [0] * WRITERS
    run = 0
    for _ in range(2 * SCALE):
        server = begin(start, kind, tmp_path, policies[0])
        run += 1
        writers = [Writer(server, i, counts[i]) for i in range(WRITERS)]
        goal = rng.randrange(1, 1500)
        for thread in writers:
            thread.start()
        with server.connect() as admin:
            wait_for_writers(writers, sum(counts) + goal)
            for policy in policies[1:]:
                assert admin.command("CONFIG", "SET", "appendfsync", policy) == Status("OK")
                until(lambda: commits_say_always(tmp_path) == (policy == "always"))
            fault(admin, "sync", "EIO", "0", "0")
            until(lambda: in_trouble(server))
            told = [w.acknowledged for w in writers]
            durable = durable_bytes(server)
        assert len(durable) == int(kind.partition("-")[2])
        kill(server)
        for thread in writers:
            thread.join()
            assert thread.problem in (None, "refused"), thread.problem
        lose(tmp_path, rng, durable_lengths(tmp_path, run, durable))
        other_boot(tmp_path)
        server = begin(start, kind, tmp_path, policies[-1])
        run += 1
        counts = check(server, writers, [], least=told if policies[-1] == "always" else counts)
        kill(server)


@pytest.mark.sherd_only
def test_answer_is_a_promise(kind, start, tmp_path):
    """CONFIG SET is answered when what it promises is in force; without journals, and within EXEC, at once."""
    server = begin(start, kind, tmp_path, "no")
    with server.connect() as client:
        for policy in ["always", "everysec", "always", "always", "no"]:
            assert client.pipeline(["CONFIG SET appendfsync " + policy, "SET k 1"]) == [Status("OK")] * 2
            assert commits_say_always(tmp_path) == (policy == "always")
        assert client.pipeline(["MULTI", "CONFIG SET appendfsync always", "EXEC"])[-1] == [Status("OK")]
        until(lambda: commits_say_always(tmp_path))
        switch(server, False)
        assert client.command("CONFIG", "SET", "appendfsync", "no") == Status("OK")


@pytest.mark.sherd_only
def test_always_is_said_last(kind, start, tmp_path):
    """Before COMMITS says always, what was told by the rule before is synced; if it can't be, that isn't said."""
    server = begin(start, kind, tmp_path, "no")
    with server.connect() as client, server.connect() as admin:
        assert client.command("SET", "k", "1") == Status("OK")
        fault(admin, "sync", "EIO", "0", "0")
        assert admin.read() == Status("OK")
        assert client.command("CONFIG", "SET", "appendfsync", "always") == Status("OK")
        until(lambda: "The journals can't be synced" in server.log())
        assert not commits_say_always(tmp_path)
        mend(server)
        assert insist(client, "SET", "k", "2") == Status("OK")
        until(lambda: commits_say_always(tmp_path))
        assert client.command("SET", "k", "3") == Status("OK")
    kill(server)
    other_boot(tmp_path)
    server = begin(start, kind, tmp_path, "everysec")
    with server.connect() as client:
        assert client.command("GET", "k") == b"3"


# Ways back


@pytest.mark.sherd_only
@pytest.mark.parametrize("policy", ["everysec", "always", "no"])
def test_failed_sync(kind, start, tmp_path, policy):
    """What a failed sync leaves in doubt is in the next snapshot: then writes go on, with nobody's help."""
    server = begin(start, kind, tmp_path, policy)
    with server.connect() as admin, server.connect() as client:
        assert client.command("SET", "before", "1") == Status("OK")
        if policy != "no":              # else it would be COMMITS that can't be synced
            until(lambda: all_committed(server, tmp_path))
        # all is written that was answered: nothing keeps the reply back, and the rule is in force before the next request
        assert admin.command("DEBUG", "IO-FAULT", "sync", "EIO", "0", "0") == Status("OK")
        client.send(b"SET during 2\r\n")
        if policy == "no":              # syncs come by themselves, but after half a minute
            admin.send(b"CONFIG SET appendfsync always\r\n")
        until(lambda: "The journals can't be synced: Input/output error" in server.log())
        mend(server)
        until(lambda: "the journals begin anew" in server.log())
        during = client.read()          # or it came when files were in doubt already
        assert during == Status("OK") or str(during).startswith("MISCONF") and policy != "always"
        assert insist(client, "SET", "after", "3") == Status("OK")
        assert not in_trouble(server)
    kill(server)
    assert len(list((tmp_path / DATA).glob("journal-1-0-*.aof"))) == 0
    other_boot(tmp_path)                # and what is on the disk is all there is
    server = begin(start, kind, tmp_path, policy)
    with server.connect() as client:
        found_during = b"2" if during == Status("OK") else NIL_BULK
        assert client.command("MGET", "before", "during") == [b"1", found_during]
        if policy == "always":
            assert client.command("GET", "after") == b"3"


# CONFIG SET appendonly


def switch(server, on):
    """Returns when it is in force; what is read then is journaled, or not."""
    with server.connect() as client:
        assert client.command("CONFIG", "SET", "appendonly", "yes" if on else "no") == Status("OK")
    until(lambda: ("journal_0:" in info(server)) == on and
          not (on and "aof_rewrite_in_progress:1" in info(server)))


@pytest.mark.sherd_only
@pytest.mark.parametrize("policy", ["everysec", "always"])
def test_appendonly_at_run_time(kind, start, tmp_path, policy):
    options = ("appendfsync", policy), ("dir", str(tmp_path))
    server = start(kind, *options)
    with server.connect() as client:
        client.command("SET", "before", "1")
        client.command("SET", "changes", "1")
        switch(server, True)
        until(lambda: "stretch" in manifest(tmp_path))
        assert insist(client, "SET", "during", "2") == Status("OK")
        assert client.command("DEL", "changes") == 1
    kill(server)
    server = begin(start, kind, tmp_path, policy)
    with server.connect() as client:
        assert client.command("MGET", "before", "during", "changes") == [b"1", b"2", NIL_BULK]
        switch(server, False)
        assert client.command("SET", "lost", "3") == Status("OK")
        assert client.command("SET", "during", "lost") == Status("OK")
    until(lambda: "open" not in manifest(tmp_path))
    kill(server)
    server = start(kind, *options)      # with appendonly no what is there is loaded all the same
    wait_until_loaded(server)
    with server.connect() as client:
        assert client.command("MGET", "before", "during", "lost") == [b"1", b"2", NIL_BULK]


@pytest.mark.sherd_only
@pytest.mark.stress
@pytest.mark.parametrize("policy", ["everysec", "always"])
def test_switched_under_load(kind, start, tmp_path, policy):
    """Off and on again while clients write: once on, nothing acknowledged is lost, whenever it was written."""
    rng = seeded()
    counts = [0] * WRITERS
    for _ in range(2 * SCALE):
        server = begin(start, kind, tmp_path, policy)
        writers = [Writer(server, i, counts[i]) for i in range(WRITERS)]
        readers = [Reader(server, rng) for _ in range(2)]
        for thread in writers + readers:
            thread.start()
        for on in (False, True, False, True):
            goal = sum(w.acknowledged for w in writers) + rng.randrange(300)
            wait_for_writers(writers, goal)
            switch(server, on)
        until(lambda: re.search(r"snapshot (\d+) .*\nstretch \d+ \1 ", manifest(tmp_path)),
              lambda: manifest(tmp_path))
        kill(server)
        for thread in writers + readers:
            thread.join()
            assert not thread.problem, thread.problem
        server = begin(start, kind, tmp_path, policy)
        counts = check(server, writers, readers)
        kill(server)


@pytest.mark.sherd_only
def test_off_ends_trouble(kind, start, tmp_path):
    """Who can do without the journals needs no disk."""
    server = begin(start, kind, tmp_path, "everysec")
    with server.connect() as admin, server.connect() as client:
        # nothing has been written: the reply waits for nothing, and the rule is in force before the next request
        assert admin.command("DEBUG", "IO-FAULT", "any", "ENOSPC", "0", "0") == Status("OK")
        client.send(b"SET k v\r\n")
        until(lambda: in_trouble(server))
        switch(server, False)
        assert client.read() == Status("OK")
        assert client.command("SET", "k", "w") == Status("OK")
        mend(server)
        switch(server, True)
        until(lambda: "stretch" in manifest(tmp_path).split("snapshot")[-1])
        assert insist(client, "SET", "l", "x") == Status("OK")
    kill(server)
    server = begin(start, kind, tmp_path, "everysec")
    with server.connect() as client:
        assert client.command("MGET", "k", "l") == [b"w", b"x"]


@pytest.mark.sherd_only
def test_off_in_trouble_and_on_again(kind, start, tmp_path):
    """
    Journals that ended without a sync count as far as COMMITS said then. It says no more before a snapshot has come
    behind them, however often that fails: else what a power loss takes of them would be damage.
    """
    server = begin(start, kind, tmp_path, "everysec")
    keys = ["{a}%d" % i for i in range(60)]
    with server.connect() as admin, server.connect() as client:
        assert client.command("SET", "k", "1") == Status("OK")
        until(lambda: all_committed(server, tmp_path))
        assert admin.command("DEBUG", "IO-FAULT", "short", "ENOSPC", "0", "0") == Status("OK")
        client.send(b" ".join([b"MSET"] + [b"%s %s" % (key.encode(), b"v" * 40) for key in keys]) + b"\r\n")
        until(lambda: in_trouble(server))
        switch(server, False)
        assert client.read() == Status("OK")
        assert admin.command("DEBUG", "IO-FAULT", "rename", "EIO", "0", "0") == Status("OK")
        assert client.command("CONFIG", "SET", "appendonly", "yes") == Status("OK")
        until(lambda: server.log().count("rewriting: error") == 2)
    kill(server)
    path, = [path for path in journals(tmp_path) if b"{a}0" in path.read_bytes()]
    data = path.read_bytes()
    hole = (data.index(b"{a}0") // SECTOR + 1) * SECTOR     # never synced: that may be gone
    assert hole + SECTOR < len(data)
    path.write_bytes(data[:hole] + b"\0" * SECTOR + data[hole + SECTOR:])
    other_boot(tmp_path)
    server = begin(start, kind, tmp_path, "everysec")
    with server.connect() as client:
        assert client.command("GET", "k") == b"1"
        assert client.command("DBSIZE") == 1


@pytest.mark.sherd_only
@pytest.mark.parametrize("back", [True, False])
def test_missing_directory(kind, start, tmp_path, back):
    server = begin(start, kind, tmp_path, "everysec")
    missing = Error("MISCONF Errors writing to the AOF file: No such file or directory")
    with server.connect() as client:
        assert client.command("SET", "before", "1") == Status("OK")
        (tmp_path / DATA).rename(tmp_path / "elsewhere")
        until(lambda: in_trouble(server))
        assert client.command("SET", "refused", "1") == missing
        assert client.command("GET", "before") == b"1"
        if back:
            (tmp_path / "elsewhere").rename(tmp_path / DATA)
        assert insist(client, "SET", "after", "2") == Status("OK")
        assert ("is begun anew" in server.log()) != back
    kill(server)
    server = begin(start, kind, tmp_path, "everysec")
    with server.connect() as client:
        assert client.command("MGET", "before", "after") == [b"1", b"2"]
        assert client.command("DBSIZE") == 2


def data_files(directory, prefix):
    return sorted(x for x in os.listdir(os.path.join(directory, DATA)) if x.startswith(prefix))


def snapshot_fails(server, client, nth):
    """The nth call from now on, once. False: it had no need of so many."""
    fault(client, "any", "EIO", str(nth), "1")
    assert client.read() == Status("OK")
    reply = client.command("SAVE")
    mend(server)
    until(lambda: not in_trouble(server))
    return reply != Status("OK")


@pytest.mark.sherd_only
@pytest.mark.parametrize("policy", ["everysec", "always"])
def test_failed_snapshots_leave_nothing(kind, start, tmp_path, policy):
    """
    Whichever call it is: no files of journals without anything in them pile up, and the next snapshot takes away
    all others.
    """
    server = begin(start, kind, tmp_path, policy)
    workers, failed, n = int(kind.partition("-")[2]), 0, 0
    with server.connect() as client:
        for nth in range(60):
            written = len([x for x in data_files(tmp_path, "journal-")
                           if os.path.getsize(tmp_path / DATA / x)])
            before = failed
            for _ in range(3):
                failed += snapshot_fails(server, client, nth)
                names = data_files(tmp_path, "journal-")
                # those with something in them, and the two last
                assert len(names) <= (written + 3) * workers, names
            n += 1
            assert insist(client, "SET", "key", str(n)) == Status("OK")
            done = failed == before and nth > 12        # it has no more calls
            if done or nth % 4 == 3:
                assert insist(client, "SAVE") == Status("OK")
                assert len(data_files(tmp_path, "journal-")) == workers
                assert len(os.listdir(tmp_path / DATA)) == 2 * workers + len(["MANIFEST", "COMMITS", "LOCK"])
            if done:
                break
    assert failed > 20
    kill(server)
    server = begin(start, kind, tmp_path, policy)
    assert "files that aren't data" not in server.log()
    with server.connect() as client:
        assert client.command("GET", "key") == b"%d" % n


@pytest.mark.sherd_only
def test_first_snapshots_that_fail_leave_nothing(kind, start, tmp_path):
    """Those that journals begin with: nothing is listed before one of them is complete."""
    server = start(kind, ("dir", str(tmp_path)), ("save", ""))
    workers = int(kind.partition("-")[2])
    with server.connect() as client:
        assert client.command("SET", "key", "0") == Status("OK")
        assert client.command("SAVE") == Status("OK")
        fault(client, "rename", "EIO", "1", "0")
        assert client.read() == Status("OK")
        assert client.command("CONFIG", "SET", "appendonly", "yes") == Status("OK")
        until(lambda: "aof_last_bgrewrite_status:err" in info(server))
        for i in range(5):
            assert str(client.command("SAVE")).startswith("ERR")
            assert insist(client, "SET", "key", str(i)) == Status("OK")
        assert len(data_files(tmp_path, "journal-")) >= workers
        mend(server)
        until(lambda: client.command("SAVE") == Status("OK"))
        assert len(data_files(tmp_path, "journal-")) == workers
        assert client.command("SET", "key", "last") == Status("OK")
    kill(server)
    server = begin(start, kind, tmp_path, "everysec")
    assert "files that aren't data" not in server.log()
    with server.connect() as client:
        assert client.command("GET", "key") == b"last"
