"""What a server does when more is asked of it than it can have at once: garbage that is made faster than
it could be freed on the side, memory that a long command elsewhere keeps from being freed, clients that
don't read or go away while they wait."""

import resource
import socket
import threading
import time

import pytest

from resp import Status, TIMEOUT_S, encode
from waiting import WAIT_S, until

MB = 1 << 20


def resident(server):
    """Bytes of memory that the process occupies."""
    with open("/proc/%d/statm" % server.process.pid) as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.sherd_only
@pytest.mark.one_kind
def test_filling_and_flushing(kind, start):
    """Over and over: what was flushed is freed as fast as it is made."""
    server = start(kind)
    keys, rounds = 10_000, 120
    data = b"".join(encode(["SET", "k%d" % i, "v" * 500]) for i in range(keys)) + encode(["FLUSHALL"])
    with server.connect() as client:
        def send():
            for _ in range(rounds):
                client.send(data)
        sender = threading.Thread(target=send)
        sender.start()
        worst = before = resident(server)
        for _ in range(rounds):
            client.read_bytes(5 * (keys + 1))
            worst = max(worst, resident(server))
        sender.join()
    assert worst - before < 300 * MB, "%d MB more, of 600 made" % ((worst - before) // MB)


@pytest.mark.sherd_only
@pytest.mark.one_kind
def test_a_flush_within_a_transaction_waits_as_well(kind, start):
    """Until no more than a million keys of earlier ones are left to be freed."""
    server = start(kind)
    most = 1 << 20
    with server.connect() as client:
        client("DEBUG POPULATE %d" % (most + 10_000))
        client("SELECT 1")
        client("DEBUG POPULATE 10")
        info = client.pipeline(["SELECT 0", "FLUSHDB", "SELECT 1", "MULTI", "FLUSHDB", "EXEC", "INFO memory"])[-1]
        pending = int(info.split(b"lazyfree_pending_objects:")[1].split(b"\r")[0])
        assert 0 < pending <= most + 10
        assert client("DBSIZE") == 0


def served_elsewhere(clients, asked):
    """Those who are answered while others aren't; `asked`: who waits for an answer, kept from call to call."""
    for client in clients:
        if client not in asked:
            client.send(encode(["PING"]))
            asked.append(client)
    served = [x for x in asked if x.has_more(.02)]
    for client in served:
        assert client.read() == Status("PONG")
        asked.remove(client)
    return served if asked else []


@pytest.mark.sherd_only
@pytest.mark.one_kind
def test_reads_go_on_while_no_memory_can_be_freed(kind, start):
    """A worker in a long command may still look at what others have thrown away. They keep that until
    it is done, up to a limit; then writes wait, reads don't."""
    server = start(kind)
    clients = [server.connect() for _ in range(6)]
    busy = clients[0]
    before = resident(server)
    busy.send(encode(["DEBUG", "SLEEP", str(TIMEOUT_S / 4)]))
    asked = []
    until(lambda: len(served_elsewhere(clients[1:], asked)) >= 2, "nobody else is served")
    writer, reader = [x for x in clients[1:] if x not in asked][:2]
    count, size = 1600, 100_000         # few and large: that much is sent long before the other command is done

    def send():
        for i in range(count):
            writer.send(encode(["SET", "k", b"%0*d" % (size, i)]))
    sender = threading.Thread(target=send)
    sender.start()
    worst = 0
    last, waited = None, 0      # what was read last; how many times in a row: the writer is waiting
    deadline = time.monotonic() + WAIT_S
    while not busy.has_more(.01):
        assert time.monotonic() < deadline, "the long command doesn't end"
        assert reader("PING") == Status("PONG")
        now = reader("GET k")
        waited = waited + 1 if now == last else 0
        last = now
        worst = max(worst, resident(server))
    assert waited >= 5, "no reads were answered while writes waited"
    assert worst - before < 200 * MB, "%d MB more" % ((worst - before) // MB)
    writer.read_bytes(5 * count)
    sender.join()
    for client in clients:
        client.close()


def test_timeout_spares_who_reads(server, client):
    """However slowly it takes its reply, and whatever the pause between two requests."""
    client("CONFIG SET timeout 1")
    client.command("SET", "big", "x" * (24 * MB))
    with server.connect() as slow:
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        slow.send(encode(["GET", "big"]))
        got, expected = 0, 24 * MB + len("$25165824\r\n\r\n")
        started = time.monotonic()
        while got < expected:
            if time.monotonic() - started < 4:
                time.sleep(.02)         # some 6 MB a second at most
            data = slow.socket.recv(min(1 << 17, expected - got))
            assert data, "closed after %d bytes" % got
            got += len(data)
            assert client("PING") == Status("PONG")
    client("CONFIG SET timeout 0")


def test_timeout_closes_who_never_reads(server, client):
    client.command("SET", "big", "x" * (8 * MB))
    client("CONFIG SET timeout 1")
    with server.connect() as mute:
        number = mute("CLIENT ID")
        mute.send(encode(["GET", "big"]) * 10)

        def is_gone():
            return client.command("CLIENT", "LIST", "ID", str(number)) == b""
        until(is_gone, "it is still connected")
    client("CONFIG SET timeout 0")


def test_who_leaves_during_a_pause_is_gone(server, client):
    client("CLIENT PAUSE 60000 WRITE")
    others = [server.connect() for _ in range(20)]
    numbers = [each("CLIENT ID") for each in others]
    for each in others[10:]:
        each.send(encode(["SET", "k", "v"]))
    for each in others[:10]:
        each.send(encode(["SET", "k", "v"]))
        each.close()
    time.sleep(.1)
    for each in others[10:]:
        each.close()

    def are_gone():
        return all(client.command("CLIENT", "LIST", "ID", str(x)) == b"" for x in numbers)
    until(are_gone, "they are still connected")
    client("CLIENT UNPAUSE")
    assert client("EXISTS k") == 0


@pytest.mark.sherd_only
def test_one_large_request_leaves_nothing_behind(kind, start):
    server = start(kind)

    def used():
        return int(server.info("memory")["used_memory"])
    with server.connect() as client:
        before = used()
        count = 500_000
        sender = threading.Thread(target=client.send, args=(encode(["DEL"] + ["k"] * count),))
        sender.start()
        assert client.read() == 0
        sender.join()
    until(lambda: used() < before + 4 * MB, "it keeps %d bytes" % (used() - before))


def test_a_list_of_very_many_ids(server, client):
    """In the order and as often as asked for; each id costs a look, not one for each connection."""
    others = [server.connect() for _ in range(300)]
    numbers = [each("CLIENT ID") for each in others]
    asked = [numbers[7], numbers[3], 2**63 - 1, numbers[3], numbers[0]]
    asked += [10**9 + i * 7919 % 200_000 for i in range(200_000)] + [numbers[9]]
    client.send(encode(["CLIENT", "LIST", "ID"] + [str(x) for x in asked]))
    lines = client.read().decode().strip().split("\n")
    listed = [int(x.split()[0].partition("=")[2]) for x in lines]
    assert listed == [numbers[i] for i in (7, 3, 3, 0, 9)]
    assert client.command("CLIENT", "KILL", "ID", str(numbers[5])) == 1
    assert client.command("CLIENT", "KILL", "ID", str(numbers[5])) == 0
    for each in others:
        each.close()


@pytest.mark.sherd_only
def test_stopping_in_a_pause(kind, start):
    """Nothing of who waits is left behind: under the address sanitizer a leak is a bad end."""
    server = start(kind)
    clients = [server.connect() for _ in range(5)]
    clients[0]("CLIENT PAUSE 60000 ALL")
    for each in clients:
        each.send(encode(["GET", "k"]))
    time.sleep(.1)
    assert server.stop() == 0
    for each in clients:
        each.close()


def kept_of(server, client, request, megabytes):
    """Sends a pipeline and reads nothing: bytes of requests and replies that the server keeps."""
    client.socket.settimeout(.5)
    try:
        for _ in range(megabytes):
            client.socket.sendall(request * (MB // len(request)))
    except OSError:
        pass
    client.socket.settimeout(TIMEOUT_S)
    with server.connect() as other:
        other("AUTH secret")
        lines = other.command("CLIENT", "LIST").decode().strip().split("\n")
    fields = [dict(x.partition("=")[::2] for x in line.split()) for line in lines]
    fields = max(fields, key=lambda x: int(x["qbuf"]))
    return int(fields["qbuf"]), int(fields["omem"])


@pytest.mark.sherd_only
@pytest.mark.parametrize("known", [True, False], ids=["known", "stranger"])
def test_a_client_that_asks_and_never_reads(kind, start, known):
    """Its requests are kept up to a limit that is near nothing for who has not given the password."""
    server = start(kind, ("requirepass", "secret"))
    with server.connect() as client:
        if known:
            assert client("AUTH secret") == Status("OK")
        requests, replies = kept_of(server, client, b"GET a\r\n", 100)
        assert requests <= (32 * MB if known else 256 * 1024) + 1
        assert replies <= (2 * MB if known else 32 * 1024)
        assert requests > 64 * 1024
        assert client.read_bytes(5) == (b"$-1\r\n" if known else b"-NOAU")
