"""maxmemory with the policy noeviction: what may need more memory is refused while too much is used, all else
goes on; and save-on-memory, which makes a snapshot when memory comes to a part of it."""

import time

import pytest

from resp import Error, NIL_BULK, Status
from table import table
from waiting import until

MB = 1 << 20
OOM = Error("OOM command not allowed when used memory > 'maxmemory'.")
EVICTION = ("ERR CONFIG SET failed (possibly related to argument 'maxmemory-policy') - eviction is not available in "
            "this version: with a maxmemory, maxmemory-policy must be noeviction")

test_refused = table(r"""
## what may need memory is refused, the rest isn't
SET k v                                 => OK
RPUSH list a b                          => 2
CONFIG SET maxmemory 1                  => OK
CONFIG GET maxmemory                    => {"maxmemory": "1"}
SET k w                                 => -OOM command not allowed when used memory > 'maxmemory'.
RPUSH list c                            => -OOM command not allowed when used memory > 'maxmemory'.
APPEND k x                              => -OOM command not allowed when used memory > 'maxmemory'.
GET                                     => -ERR wrong number of arguments for 'get' command
SET k                                   => -ERR wrong number of arguments for 'set' command
GET k                                   => "v"
EXPIRE k 100                            => 1
LPOP list                               => "a"
PING                                    => +PONG
DEL k                                   => 1
CONFIG SET maxmemory 0                  => OK
SET k w                                 => OK
## within a transaction
CONFIG SET maxmemory 1                  => OK
MULTI                                   => OK
GET k                                   => -OOM command not allowed when used memory > 'maxmemory'.
EXEC                                    => -EXECABORT Transaction discarded because of previous errors.
MULTI                                   => OK
DISCARD                                 => OK
CONFIG SET maxmemory 0                  => OK
## values
CONFIG SET maxmemory 100mb              => OK
CONFIG GET maxmemory                    => {"maxmemory": "104857600"}
CONFIG SET maxmemory 1GB                => OK
CONFIG GET maxmemory                    => {"maxmemory": "1073741824"}
CONFIG SET maxmemory lots               => -ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value
CONFIG SET maxmemory -1                 => -ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value
CONFIG SET maxmemory 0                  => OK
""")


def used(client):
    return int(client("INFO memory").split(b"used_memory:")[1].split(b"\r")[0])


def test_at_exec(server, client):
    """It is what is queued that counts, and the memory of now."""
    with server.connect() as other:
        assert client.pipeline(["MULTI", "GET k", "SET k v"])[2] == Status("QUEUED")
        other("CONFIG SET maxmemory 1")
        assert client("EXEC") == Error("EXECABORT Transaction discarded because of: " + str(OOM))
        assert client("GET k") is NIL_BULK
        other("CONFIG SET maxmemory 0")
        client.pipeline(["MULTI", "GET k", "DEL k"])
        other("CONFIG SET maxmemory 1")
        assert client("EXEC") == [NIL_BULK, 0]
        other("CONFIG SET maxmemory 0")


def test_info(client):
    client("CONFIG SET maxmemory 100mb")
    info = client("INFO memory")
    client("CONFIG SET maxmemory 0")
    assert b"\r\nmaxmemory:104857600\r\nmaxmemory_human:100.00M\r\nmaxmemory_policy:noeviction\r\n" in info
    assert b"\r\nmaxmemory:0\r\nmaxmemory_human:0B\r\n" in client("INFO memory")


@pytest.mark.one_kind
def test_filling_up(kind, start):
    """Writes are refused when the limit is reached, soon after, and no sooner; deleting makes room again."""
    server = start(kind)
    with server.connect() as client:
        limit = used(client) + 30 * MB
        assert client.command("CONFIG", "SET", "maxmemory", limit) == Status("OK")
        stored, reply = 0, Status("OK")
        while reply == Status("OK") and stored < 1000:
            reply = client.command("SET", "k%d" % stored, "v" * (MB // 2))
            stored += reply == Status("OK")
        assert reply == OOM
        assert used(client) > limit - MB        # what it was to be filled with is gone again
        assert stored >= 40             # the value that is on its way is counted, too
        assert client("DBSIZE") == stored
        assert client.command("STRLEN", "k0") == MB // 2
        for i in range(stored - 10):    # what went beyond the limit, and more
            assert client.command("DEL", "k%d" % i) == 1
        until(lambda: client("SET k v") == Status("OK"), "deleting made no room")
        client("FLUSHALL")


@pytest.mark.sherd_only
@pytest.mark.one_kind
def test_policies(kind, start):
    """The others promise eviction."""
    server = start(kind, ("maxmemory", "1gb"))
    with server.connect() as client:
        assert client("CONFIG SET maxmemory-policy allkeys-lru") == Error(EVICTION)
        assert client("CONFIG GET maxmemory-policy")[1] == b"noeviction"
        assert client("CONFIG SET maxmemory 0 maxmemory-policy allkeys-lru") == Status("OK")
        assert client("CONFIG SET maxmemory 1gb") == Error(EVICTION)
        assert client("CONFIG GET maxmemory")[1] == b"0"
        assert client("CONFIG SET maxmemory 1gb maxmemory-policy noeviction") == Status("OK")
    server = start(kind, ("maxmemory", "1gb"), ("maxmemory-policy", "volatile-ttl"), wait=False)
    assert server.wait_exit() == 1
    assert "maxmemory-policy must be noeviction" in server.log()


@pytest.mark.sherd_only
@pytest.mark.one_kind
def test_save_on_memory(kind, start):
    """One snapshot each time that memory comes to that much, and has been below."""
    server = start(kind, ("save-on-memory", "50"))
    with server.connect() as client:
        def saves():
            return int(client("INFO persistence").split(b"rdb_saves:")[1].split(b"\r")[0])

        def fill(megabytes):        # in small portions, for what is on its way counts, too
            for i in range(megabytes):
                client.pipeline([["SET", "%d:%d" % (i, j), "v" * (MB // 16)] for j in range(16)])
        base = used(client)
        client.command("CONFIG", "SET", "maxmemory", 2 * base + 40 * MB)    # from 20 MB more on
        fill(10)
        assert saves() == 0
        fill(30)
        until(lambda: saves() == 1, "no snapshot was made")
        assert "Memory has come to 50% of maxmemory. Saving..." in server.log()
        fill(31)                                    # still above: no reason for another
        assert saves() == 1

        def once_more():
            client("FLUSHALL")
            time.sleep(.2)                      # it is looked at ten times a second
            fill(30)
            time.sleep(.2)
            return saves() >= 2                     # one for each time, however late
        until(once_more, "no second snapshot was made")
