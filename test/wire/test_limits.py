"""Clients that want too much: the server's memory stays bounded, and others don't notice."""

import os
import resource
import socket
import threading
import time

import pytest

from resp import Closed, Error, Status, TIMEOUT_S, encode
from waiting import until

MB = 1 << 20


def resident(server):
    """Bytes of memory that the process occupies."""
    with open("/proc/%d/statm" % server.process.pid) as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def is_listed(client, number):
    return client.command("CLIENT", "LIST", "ID", number) != b""


@pytest.mark.sherd_only
def test_a_client_that_never_reads(kind, start):
    """It asks for 400 MB and reads nothing: that takes no such memory. Then it reads, and gets
    every byte."""
    server = start(kind)
    with server.connect() as client, server.connect() as other:
        client.command("SET", "big", "x" * MB)
        before = resident(server)
        client.send(encode(["GET", "big"]) * 400)
        worst = 0
        for i in range(200):
            assert other.command("INCR", "n") == i + 1
            worst = max(worst, resident(server))
        time.sleep(.2)
        worst = max(worst, resident(server))
        assert worst - before < 100 * MB, "%d MB more" % ((worst - before) // MB)
        reply = b"$%d\r\n" % MB + b"x" * MB + b"\r\n"
        for i in range(400):
            assert client.read_bytes(len(reply)) == reply
        assert client("PING") == Status("PONG")


@pytest.mark.sherd_only
def test_a_client_that_never_reads_small_replies(kind, start):
    """The same with many small replies, through writes that run elsewhere."""
    server = start(kind)
    with server.connect() as client, server.connect() as other:
        before = resident(server)
        count = 2_000_000
        data = b"".join(encode(["GETSET", "k%d" % (i % 100), "v" * 100]) for i in range(1000))

        def send():
            try:
                for _ in range(count // 1000):
                    client.send(data)
            except OSError:     # blocked for longer than a timeout: as it should be
                pass
        client.socket.settimeout(1)
        sender = threading.Thread(target=send)
        sender.start()
        sender.join()
        for i in range(50):
            assert other.command("INCR", "n") == i + 1
        assert resident(server) - before < 100 * MB, "replies of 200 MB are kept in memory"


def test_output_buffer_hard_limit(server, client):
    client.command("SET", "big", "x" * MB)
    client("CONFIG SET client-output-buffer-limit 'normal 4mb 0 0'")
    with server.connect() as greedy:
        number = greedy("CLIENT ID")
        greedy.send(encode(["GET", "big"]) * 60)
        until(lambda: not is_listed(client, number), "it is still connected")
        with pytest.raises((Closed, OSError)):
            greedy.read_bytes(60 * MB)
    assert client("PING") == Status("PONG")


def test_output_buffer_soft_limit(server, client):
    client.command("SET", "big", "x" * MB)
    client("CONFIG SET client-output-buffer-limit 'normal 0 2mb 1'")
    with server.connect() as greedy, server.connect() as patient:
        number = greedy("CLIENT ID")
        # More than the sockets' own buffers take, so that the server is left with over 2 MB.
        greedy.send(encode(["GET", "big"]) * 20)
        assert patient("PING") == Status("PONG")
        until(lambda: not is_listed(client, number), "it is still connected")
        assert patient("PING") == Status("PONG")


def test_output_buffer_limit_spares_who_reads(server, client):
    client.command("SET", "big", "x" * MB)
    client("CONFIG SET client-output-buffer-limit 'normal 8mb 4mb 1'")
    with server.connect() as reader:
        for _ in range(60):
            assert len(reader("GET big")) == MB


@pytest.mark.sherd_only
def test_a_client_that_is_being_closed_is_not_read(kind, start):
    """After a protocol error it is closed as soon as it has read its replies; what it sends
    until then is left where it is."""
    server = start(kind)
    with server.connect() as client, server.connect() as other:
        client.command("SET", "k", "x" * 100000)
        number = str(client("CLIENT ID"))
        while b" omem=0 " in other.command("CLIENT", "LIST", "ID", number):
            client.send(b"GET k\r\n")
        client.send(b"*1\r\nx\r\n")
        before = resident(server)
        taken = 0
        client.socket.settimeout(.2)
        try:
            while taken < 200 * MB:
                taken += client.socket.send(b"x" * MB)
        except OSError:
            pass
        assert taken < 100 * MB
        assert resident(server) < before + 100 * MB


def test_query_buffer_limit(server, client):
    client("CONFIG SET client-query-buffer-limit 1mb")
    with server.connect() as other:
        try:
            other.send(b"*2\r\n$4\r\nECHO\r\n$30000000\r\n")
            for _ in range(28):
                other.send(b"x" * MB)
        except OSError:
            pass
        assert other.read_until_closed() == b""
    with server.connect() as other:
        assert other.command("ECHO", "x" * 500_000) == b"x" * 500_000
    assert client("PING") == Status("PONG")


def test_many_small_requests_are_no_long_one(server, client):
    """More bytes of requests than the limit are on their way before the first reply is read."""
    count, value = 80_000, b"x" * 1000
    client("CONFIG SET client-query-buffer-limit 1mb")
    client.command("SET", "k", value)
    with server.connect() as other:
        other.send(encode(["GET", "k"]) * count)
        reply = b"$1000\r\n%s\r\n" % value
        assert other.read_bytes(count * len(reply)) == reply * count
        assert other("PING") == Status("PONG")


@pytest.mark.parametrize("request_, reply", [(b"PING\r\n", b"+PONG\r\n"),
                                             (encode(["GET", "k"]), b"$1\r\nv\r\n"),
                                             (encode(["SET", "k", "v"]), b"+OK\r\n")],
                         ids=["inline", "GET", "SET"])
def test_a_million_tiny_commands(server, client, request_, reply):
    """In one go; meanwhile others are answered."""
    count = 1_000_000
    client("SET k v")
    with server.connect_unix() as other:
        sender = threading.Thread(target=client.send, args=(request_ * count,))
        sender.start()
        seen = answered = 0
        while seen < count * len(reply):
            data = client.socket.recv(MB)
            assert data == (reply * (len(data) // len(reply) + 2))[seen % len(reply):][:len(data)]
            seen += len(data)
            if answered < 20:
                assert other("PING") == Status("PONG")
                answered += 1
        sender.join()
        assert seen == count * len(reply) and answered > 0


@pytest.mark.one_kind
def test_ten_thousand_connections(kind, start):
    """All are served, idle ones cost little, and all are gone when they leave."""
    count = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 200:
        pytest.skip("only %d file descriptors here" % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        server = start(kind, ("maxclients", str(count + 100)), ("tcp-backlog", "4096"))
        sockets = [socket.create_connection(server.address, TIMEOUT_S) for _ in range(count)]
        for each in sockets:
            each.sendall(b"PING\r\n")
        for each in sockets:
            assert each.recv(100) == b"+PONG\r\n"
        assert int(server.info("clients")["connected_clients"]) >= count
        for each in sockets[::100]:
            each.sendall(b"INCR n\r\n")
        assert sorted(int(x.recv(100)[1:]) for x in sockets[::100]) == list(range(1, 101))
        for each in sockets:
            each.close()
        until(lambda: int(server.info("clients")["connected_clients"]) < 10, "they stay")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.sherd_only
@pytest.mark.one_kind
def test_idle_connections_are_small(server, client):
    """Under 1 KB each, by the server's own count of its memory."""
    def used():
        return int(server.info("memory")["used_memory"])
    with server.connect() as warm:
        warm("PING")
    before = used()
    idle = [server.connect_unix() for _ in range(500)]
    for each in idle:
        assert each("PING") == Status("PONG")
    each_takes = (used() - before) / len(idle)
    for each in idle:
        each.close()
    assert each_takes < 1024, "%d bytes" % each_takes


def said_of_limit(server, said):
    return [x for x in server.log(said).split("\n") if "open files" in x or "descriptors" in x]


@pytest.mark.sherd_only
def test_out_of_file_descriptors(kind, start):
    """Accepting pauses, says so once, and goes on when somebody has left."""
    server = start(kind)
    with server.connect() as client:
        assert client("PING") == Status("PONG")
        with open("/proc/%d/limits" % server.process.pid) as file:
            hard = int([x for x in file if x.startswith("Max open files")][0].split()[4])
        opened = len(os.listdir("/proc/%d/fd" % server.process.pid))
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (opened + 4, hard))
        said = server.log_size()
        others = [server.connect() for _ in range(20)]
        for each in others:
            each.send(b"PING\r\n")
        until(lambda: any(x.has_more(.001) for x in others), "nobody is served")
        until(lambda: said_of_limit(server, said), "it doesn't say so")
        served = [x for x in others if x.has_more(.01)]
        assert 0 < len(served) < 10, "%d of 20 were served with 4 descriptors" % len(served)
        assert client("INCR n") == 1
        time.sleep(.3)
        lines = said_of_limit(server, said)
        assert len(lines) == 1, "it should say so once: %r" % lines
        for each in list(others):       # one leaves, the next is let in, to the last
            if each.has_more(TIMEOUT_S):
                assert each.read() == Status("PONG")
            each.close()
        assert client("INCR n") == 2
        until(lambda: int(server.info("clients")["connected_clients"]) <= 2, "who left stays")
        with server.connect() as again:
            assert again("PING") == Status("PONG")


def test_a_slow_command_does_not_stop_other_connections_for_ever(server, client):
    """KEYS and a full SCAN over many keys beside a client that only wants its PING."""
    client("DEBUG POPULATE 100000")
    with server.connect() as other:
        other.send(encode(["KEYS", "*"]) * 3)
        for _ in range(20):
            assert client("PING") == Status("PONG")
        for _ in range(3):
            assert len(other.read()) == 100_000


def test_errors_are_not_too_long(client):
    """Error texts that repeat what the client sent repeat only a little of it."""
    for args in (["N" * MB], ["NOSUCH", "a" * MB], ["CLIENT", "x" * MB], ["CONFIG", "SET", "y" * MB, "1"]):
        reply = client.command(*args)
        assert isinstance(reply, Error)
    for args in (["N" * MB], ["NOSUCH", "a" * MB], ["CLIENT", "x" * MB]):
        assert len(client.command(*args).text) < 1000


@pytest.mark.sherd_only         # the reference repeats all of it
def test_no_error_is_long(client):
    client("SET k v")
    client("PFADD hll x")
    for args in (["CONFIG", "SET", "y" * MB, "1"], ["CONFIG", "SET", "timeout", "1", "y" * MB, "1"],
                 ["EXPIRE", "k", "1", "y" * MB], ["HELLO", "3", "y" * MB],
                 ["CLIENT", "KILL", "TYPE", "y" * MB], ["CLIENT", "KILL", "USER", "y" * MB],
                 ["CLIENT", "LIST", "TYPE", "y" * MB], ["CLIENT", "SETINFO", "y" * MB, "v"],
                 ["HSETEX", "h", "y" * MB, "FIELDS", "1", "f", "v"], ["DEBUG", "ERROR", "y" * MB],
                 ["PFDEBUG", "y" * MB, "hll"]):
        reply = client.command(*args)
        assert isinstance(reply, Error) and 4096 <= len(reply.text) < 5000, (args[:3], reply)
