"""Journals that have grown are rewritten without being asked, and only then."""

import os
import time

import pytest

from resp import Status
from test_crash import DATA, begin, wait_until_loaded
from test_snapshot import persistence, wait_idle
from test_trouble import fault, mend
from waiting import until

pytestmark = [pytest.mark.sherd_only]

MIN_SIZE = 100000
QUIET_S = 1     # some times as long as it takes the server to look
WRITES = [["SET", "k", "x" * 1000]] * 150       # more than MIN_SIZE in journals, little in a snapshot


def configure(client, percentage, min_size=MIN_SIZE):
    for name, value in ("percentage", percentage), ("min-size", min_size):
        assert client.command("CONFIG", "SET", "auto-aof-rewrite-" + name, str(value)) == Status("OK")


def number(client, name):
    return int(persistence(client)[name])


def stays(client, name):
    """The number is the same after a while."""
    before = number(client, name)
    end = time.monotonic() + QUIET_S
    while time.monotonic() < end:
        assert number(client, name) == before
        time.sleep(.05)
    return True


def bytes_on_disk(directory, prefixes=("snapshot-", "increment-", "journal-")):
    place = os.path.join(directory, DATA)
    return sum(os.path.getsize(os.path.join(place, x)) for x in os.listdir(place) if x.startswith(prefixes))


def check_sizes(client, directory):
    """INFO tells what is there."""
    until(lambda: number(client, "journal_lag_bytes") == 0)
    assert number(client, "aof_current_size") == bytes_on_disk(directory)


def test_rewritten_when_grown(kind, start, tmp_path):
    server = begin(start, kind, tmp_path, "everysec")
    with server.connect() as client:
        configure(client, 100)
        assert number(client, "aof_current_size") == number(client, "aof_base_size") == 0
        client.pipeline(WRITES[:50])
        check_sizes(client, tmp_path)
        assert number(client, "aof_current_size") > 50000 and stays(client, "aof_rewrites")
        assert number(client, "aof_rewrites") == 0
        client.pipeline(WRITES[:60])    # whenever it is begun, not enough for another is left
        until(lambda: number(client, "aof_rewrites") == 1)
        wait_idle(client)
        # what came while it was made stands in journals still
        assert number(client, "aof_base_size") <= number(client, "aof_current_size")
        client.command("BGREWRITEAOF")
        wait_idle(client)
        check_sizes(client, tmp_path)
        size = number(client, "aof_current_size")
        assert size == number(client, "aof_base_size") < 10000
        assert bytes_on_disk(tmp_path, "journal-") == 0
        # far above the percentage, below the least size
        client.pipeline(WRITES[:50])
        assert stays(client, "aof_rewrites")
        # the other way round
        configure(client, 10 ** 9, 0)
        client.pipeline(WRITES)
        assert stays(client, "aof_rewrites") and number(client, "aof_rewrites") == 2
        configure(client, 100)
        until(lambda: number(client, "aof_rewrites") == 3)
        wait_idle(client)
        assert number(client, "aof_current_size") < 10000
        assert stays(client, "aof_rewrites")
    assert "Starting automatic rewriting of AOF on " in server.log()


@pytest.mark.parametrize("saved", [False, True])
def test_what_was_loaded_counts(kind, start, tmp_path, saved):
    server = begin(start, kind, tmp_path, "everysec")
    with server.connect() as client:
        configure(client, 0)
        if saved:
            client.pipeline([["SET", "old", "y" * 3000], ["SAVE"]])
        client.pipeline(WRITES)
        check_sizes(client, tmp_path)
        sizes = number(client, "aof_current_size"), number(client, "aof_base_size")
        assert sizes[0] > 150000 and (sizes[1] > 0) == saved
        assert stays(client, "aof_rewrites") and number(client, "aof_rewrites") == 0
    server.stop()
    server = start(kind, ("appendonly", "yes"), ("dir", str(tmp_path)), ("auto-aof-rewrite-percentage", "0"))
    wait_until_loaded(server)
    with server.connect() as client:
        assert (number(client, "aof_current_size"), number(client, "aof_base_size")) == sizes
        client.command("SET", "new", "1")
        assert client.command("BGSAVE", "INCREMENTAL") == Status("Background saving started")
        wait_idle(client)               # the first one is a whole one
        client.pipeline(WRITES)
        assert client.command("BGSAVE", "INCREMENTAL") == Status("Background saving started")
        wait_idle(client)               # makes nothing smaller
        check_sizes(client, tmp_path)
        assert number(client, "aof_current_size") > 150000 > 10000 > number(client, "aof_base_size")
        sizes = number(client, "aof_current_size"), number(client, "aof_base_size")
    server.stop()
    server = start(kind, ("appendonly", "yes"), ("dir", str(tmp_path)), ("auto-aof-rewrite-percentage", "0"))
    wait_until_loaded(server)
    with server.connect() as client:
        assert (number(client, "aof_current_size"), number(client, "aof_base_size")) == sizes
        configure(client, 100)
        until(lambda: number(client, "aof_rewrites") == 1)
        wait_idle(client)
        check_sizes(client, tmp_path)
        assert number(client, "aof_current_size") < 10000
        assert client.command("MGET", "k", "new") == [b"x" * 1000, b"1"]


def test_without_journals(kind, start, tmp_path):
    """Nothing to rewrite, nothing to tell of; switched on they begin with a snapshot."""
    server = start(kind, ("dir", str(tmp_path)), ("save", ""))
    with server.connect() as client:
        configure(client, 100)
        client.pipeline(WRITES)
        assert "aof_current_size" not in persistence(client) and stays(client, "aof_rewrites")
        assert client.command("CONFIG", "SET", "appendonly", "yes") == Status("OK")
        until(lambda: "aof_current_size" in persistence(client) and number(client, "aof_rewrites") == 1)
        wait_idle(client)
        check_sizes(client, tmp_path)
        client.pipeline(WRITES)
        until(lambda: number(client, "aof_rewrites") == 2)
        wait_idle(client)
        assert number(client, "aof_current_size") < 150000


def test_a_failure_is_not_repeated_at_once(kind, start, tmp_path):
    server = begin(start, kind, tmp_path, "everysec")
    with server.connect() as client:
        client.pipeline(WRITES)
        until(lambda: number(client, "journal_lag_bytes") == 0)
        fault(client, "open", "EIO")
        assert client.read() == Status("OK")
        configure(client, 100)
        until(lambda: persistence(client)["aof_last_bgrewrite_status"] == "err")
        wait_idle(client)
        tried = number(client, "aof_rewrites")
        assert stays(client, "aof_rewrites") and tried == 1
        assert number(client, "aof_rewrites_consecutive_failures") == 1
        mend(server)
        until(lambda: persistence(client)["aof_last_bgrewrite_status"] == "ok")
        wait_idle(client)
        check_sizes(client, tmp_path)
        assert number(client, "aof_current_size") < 10000
        assert number(client, "aof_rewrites_consecutive_failures") == 0
