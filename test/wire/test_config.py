"""How a server is started: configuration file and command line, what is refused and how it says
so, sockets, permissions, and the limits that are configured."""

import os
import re
import resource
import socket
import stat
import tempfile
import time

import pytest

from resp import Client, Closed, Error, Status, TIMEOUT_S, encode
from servers import free_port, pairs
from test_crash import wait_until_loaded


def refusal(start, kind, *options, **kw):
    """The log of a server that must not start."""
    server = start(kind, *options, wait=False, **kw)
    assert server.wait_exit() not in (0, None), server.log()
    assert server.process.returncode > 0, "it crashed: %s" % server.log()
    return server, server.log()


# Lines of a configuration file that can't be right -> what the message must say beside file and line.
BAD_LINES = {
    "unknown name": ("nosuchoption 1", "(?i)bad directive|unknown"),
    "unknown name without a value": ("nosuchoption", "(?i)bad directive|unknown"),
    "value is missing": ("maxclients", "(?i)argument|value"),
    "too many values": ("maxclients 1 2", "(?i)argument|value"),
    "no integer": ("maxclients abc", "(?i)integer"),
    "integer with a tail": ("timeout 10x", "(?i)integer"),
    "too small": ("maxclients 0", "between 1 and"),
    "too large": ("port 65536", "between 0 and 65535"),
    "negative": ("timeout -1", "between 0 and"),
    "neither yes nor no": ("protected-mode maybe", "'yes' or 'no'"),
    "none of the words": ("maxmemory-policy nosuch", "allkeys-lru"),
    "no memory value": ("client-query-buffer-limit lots", "memory value"),
    "no octal value": ("unixsocketperm 999", "."),
    "unbalanced quotes": ('requirepass "abc', "(?i)quote|unbalanced"),
    "text behind quotes": ('requirepass "abc"def', "(?i)quote|unbalanced"),
    "too few limits": ("client-output-buffer-limit normal 1 2", "(?i)number of arguments|limit"),
    "limits of nobody": ("client-output-buffer-limit nobody 1 2 3", "(?i)client class|nobody"),
}


@pytest.mark.parametrize("line, reason", BAD_LINES.values(), ids=BAD_LINES)
@pytest.mark.one_kind
def test_bad_lines_are_refused(kind, start, line, reason):
    server, log = refusal(start, kind, config="# a comment\ntimeout 5\n\n%s\nport 1\n" % line)
    assert re.search(r"\b4\b", log), "it doesn't say the line's number: %s" % log
    assert line.split()[0] in log, "it doesn't say which option: %s" % log
    assert re.search(reason, log), "it doesn't say why: %s" % log
    if server.is_sherd:
        assert os.path.join(server.directory, "conf") in log, "it doesn't name the file: %s" % log


@pytest.mark.parametrize("name, value", [("maxclients", "abc"), ("nosuchoption", "1"),
                                         ("port", "65536"), ("protected-mode", "maybe")])
@pytest.mark.one_kind
def test_bad_options_are_refused(kind, start, name, value):
    _, log = refusal(start, kind, (name, value))
    assert name in log and value in log, log


@pytest.mark.sherd_only
@pytest.mark.one_kind
@pytest.mark.parametrize("value", ["-1", "many", "100000"])
def test_bad_numbers_of_workers_are_refused(kind, start, value):
    _, log = refusal(start, kind, ("workers", value))
    assert "workers" in log and re.search("between [01] and|integer", log), log


@pytest.mark.one_kind
@pytest.mark.parametrize("arguments, said", [
    (["/no/such/file.conf"], "(?s)/no/such/file.conf.*No such file|No such file.*no/such/file.conf"),
    (["/no/such/file.conf", "--port", "0"], "No such file"),
    (["."], "(?i)directory|config"),
])
def test_unreadable_configuration(kind, start, arguments, said):
    if not kind.startswith("sherd") and arguments == ["."]:
        pytest.skip("the reference takes a directory for an empty file")
    _, log = refusal(start, kind, raw_arguments=arguments)
    assert re.search(said, log), log


@pytest.mark.one_kind
@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_configuration_without_permission(kind, start, tmp_path):
    path = tmp_path / "secret.conf"
    path.write_text("port 0\n")
    path.chmod(0)
    _, log = refusal(start, kind, raw_arguments=[str(path)])
    assert "Permission denied" in log and str(path) in log


def test_configuration_file(kind, start):
    """Comments, empty lines, quotes, sizes; and the command line wins over the file."""
    server = start(kind, config="""
# a comment
   # another, indented
maxclients 77
Client-Query-Buffer-Limit 10mb
requirepass "se \\x63ret"
\ttimeout\t300\t
proto-max-bulk-len '2mb'
client-output-buffer-limit normal 10mb 5mb 60
slowlog-max-len 11

slowlog-max-len 12
""")
    with server.connect() as client:
        assert client("PING") == Error("NOAUTH Authentication required.")
        assert client('AUTH "se cret"') == Status("OK")
        got = pairs(client("CONFIG GET maxclients client-query-buffer-limit timeout proto-max-bulk-len "
                           "client-output-buffer-limit slowlog-max-len"))
        assert got == {b"maxclients": b"77", b"client-query-buffer-limit": b"10485760", b"timeout": b"300",
                       b"proto-max-bulk-len": b"2097152", b"slowlog-max-len": b"12",
                       b"client-output-buffer-limit": b"normal 10485760 5242880 60 slave 268435456 "
                       b"67108864 60 pubsub 33554432 8388608 60"}
    server.stop()
    server = start(kind, ("timeout", "20"), config="timeout 10\nmaxclients 55\n")
    with server.connect() as client:
        assert pairs(client("CONFIG GET timeout maxclients")) == {b"timeout": b"20",
                                                                  b"maxclients": b"55"}
        assert client("INFO server").decode().count(
            "config_file:" + os.path.join(server.directory, "conf")) == 1


@pytest.mark.one_kind
def test_configuration_file_with_crlf_and_no_newline_at_its_end(kind, start):
    server = start(kind, config="timeout 10\r\n\r\n# x\r\nmaxclients 55")
    with server.connect() as client:
        assert pairs(client("CONFIG GET timeout maxclients")) == {b"timeout": b"10",
                                                                  b"maxclients": b"55"}


@pytest.mark.one_kind
def test_databases(kind, start):
    server = start(kind, ("databases", "3"))
    with server.connect() as client:
        assert client("SELECT 2") == Status("OK")
        assert client("SELECT 3") == Error("ERR DB index is out of range")
        assert client("CONFIG GET databases") == [b"databases", b"3"]


def test_config_rewrite(kind, start):
    """Keeps comments and what it doesn't have to change; a restart gives the same settings."""
    server = start(kind, config="# my comment\ntimeout 10\nslowlog-max-len 20\n")
    with server.connect() as client:
        client("CONFIG SET timeout 33 maxclients 44")
        assert client("CONFIG REWRITE") == Status("OK")
    path = os.path.join(server.directory, "conf")
    with open(path) as file:
        text = file.read()
    assert "# my comment\n" in text and "timeout 33\n" in text and "slowlog-max-len 20\n" in text
    assert "maxclients 44\n" in text and "timeout 10" not in text
    server.stop()
    server = start(kind, config=text)
    with server.connect() as client:
        assert pairs(client("CONFIG GET timeout maxclients slowlog-max-len")) == {
            b"timeout": b"33", b"maxclients": b"44", b"slowlog-max-len": b"20"}


def test_config_rewrite_by_many_at_once(kind, start):
    comments = ["# comment %d" % i for i in range(20000)]
    server = start(kind, config="\n".join(comments) + "\n")
    clients = [server.connect() for _ in range(8)]
    for i, client in enumerate(clients):
        client.send((encode(["CONFIG", "SET", "timeout", str(1000 + i)]) + encode(["CONFIG", "REWRITE"])) * 8)
    for client in clients:
        assert [client.read() for _ in range(16)] == [Status("OK")] * 16
        client.close()
    with open(os.path.join(server.directory, "conf")) as file:
        lines = file.read().split("\n")
    assert lines[:20000] == comments
    assert len([x for x in lines if x.startswith("timeout 100")]) == 1


@pytest.mark.one_kind
def test_config_rewrite_that_fails(kind, start):
    """The file's directory is gone: an error with the reason, and the server goes on."""
    server = start(kind, config="timeout 10\n")
    with server.connect() as client:
        os.rename(server.directory, server.directory + ".gone")
        try:
            reply = client("CONFIG REWRITE")
        finally:
            os.rename(server.directory + ".gone", server.directory)
        assert isinstance(reply, Error) and b"No such file" in reply.text, reply
        assert client("PING") == Status("PONG")


# The log

def wait_for_log(server, pattern):
    deadline = time.monotonic() + TIMEOUT_S
    while not re.search(pattern, server.log()):
        assert time.monotonic() < deadline, (pattern, server.log())
        time.sleep(0.005)


@pytest.mark.sherd_only
@pytest.mark.one_kind
def test_the_log_says_where_the_server_listens(kind, start):
    server = start(kind, config="timeout 0\n")
    for line in ("Sherd .* starts: 2 workers, process %d, configuration file %s/conf" %
                 (server.process.pid, server.directory),
                 "Listening on 127.0.0.1, port %d" % server.port,
                 "Listening on the Unix socket " + server.path,
                 "Ready to accept connections: port %d" % server.port):
        wait_for_log(server, line)


@pytest.mark.one_kind
def test_the_log_says_ready_when_the_data_are_there(kind, start, tmp_path):
    """Not before; and a server that can't load its data never says it."""
    server = start(kind, ("dir", str(tmp_path)))
    with server.connect() as client:
        client("SET k v")
        client("SAVE")
    server.stop()
    server = start(kind, ("dir", str(tmp_path)), wait=False)
    wait_for_log(server, "Ready to accept connections")
    assert re.search("(?s)DB loaded.*Ready to accept connections", server.log()), server.log()
    server.stop()
    for part in tmp_path.rglob("*.rdb"):
        part.write_bytes(part.read_bytes()[:-9])
    server = start(kind, ("dir", str(tmp_path)), wait=False)
    assert server.process.wait(TIMEOUT_S) == 1
    assert "Ready to accept connections" not in server.log(), server.log()


@pytest.mark.one_kind
def test_the_log_says_who_comes_and_goes(kind, start):
    server = start(kind, ("loglevel", "verbose"))
    with server.connect() as client:
        peer = "%s:%d" % client.socket.getsockname()
        assert client("PING") == Status("PONG")
        wait_for_log(server, "Accepted %s" % peer)
    wait_for_log(server, "Client closed connection .*%s" % peer)
    with server.connect() as client:
        client.send(b"*1\r\nx\r\n")
        client.read_until_closed()
        wait_for_log(server, "Protocol error.*%s:%d" % client.socket.getsockname())
    with server.connect() as client:
        client("CONFIG SET loglevel notice")
        size = server.log_size()
    with server.connect() as client:
        assert client("PING") == Status("PONG")
    assert server.log(size) == ""


@pytest.mark.one_kind
def test_the_log_can_be_moved_away(kind, start, tmp_path):
    path = tmp_path / "log"
    server = start(kind, ("logfile", str(path)), ("loglevel", "verbose"))
    path.rename(tmp_path / "log.1")
    with server.connect() as client:
        peer = "%s:%d" % client.socket.getsockname()
        assert client("PING") == Status("PONG")
    assert ("Accepted " + peer) in path.read_text()
    assert peer not in (tmp_path / "log.1").read_text()


@pytest.mark.one_kind
@pytest.mark.sherd_only
def test_closed_standard_files(kind, start):
    def close_all():
        for fd in (0, 1, 2):
            os.close(fd)
    server = start(kind, ("loglevel", "verbose"), prepare=close_all)
    with server.connect() as client:
        assert client("PING") == Status("PONG")
    links = [os.readlink("/proc/%d/fd/%d" % (server.process.pid, fd)) for fd in (0, 1, 2)]
    assert links == ["/dev/null"] * 3


# Sockets

def test_port_in_use(kind, start):
    first = start(kind)
    second, log = refusal(start, kind, ("port", str(first.port)))
    assert "ddress already in use" in log and str(first.port) in log, log
    with first.connect() as client:
        assert client("PING") == Status("PONG")


@pytest.mark.one_kind
def test_no_tcp_port(kind, start):
    server = start(kind, ("port", "0"))
    with server.connect_unix() as client:
        assert client("PING") == Status("PONG")
        assert b"tcp_port:0\r\n" in client("INFO server")


def test_pidfile(kind, start, tmp_path):
    path = tmp_path / "pid"
    server = start(kind, ("pidfile", str(path)))
    assert int(path.read_text()) == server.process.pid
    server.process.terminate()
    assert server.process.wait(TIMEOUT_S) == 0
    assert not path.exists()


@pytest.mark.sherd_only
def test_pidfile_that_cannot_be_written(kind, start):
    server = start(kind, ("pidfile", "/nosuch/directory/pid"))
    assert "Failed to write PID file" in server.log()
    with server.connect() as client:
        assert client("PING") == Status("PONG")


def has_ipv6():
    try:
        free_port("::1")
        return True
    except OSError:
        return False


def test_several_addresses(kind, start):
    addresses = ["127.0.0.1", "127.0.0.2"] + (["::1"] if has_ipv6() else [])
    server = start(kind, ("bind", addresses))
    for host in addresses:
        with Client((host, server.port)) as client:
            assert client("PING") == Status("PONG"), host
            shown = "[%s]:%d" if ":" in host else "%s:%d"
            assert (" laddr=" + shown % (host, server.port) + " ").encode() in client("CLIENT INFO")
    with server.connect() as client:
        assert client("CONFIG GET bind") == [b"bind", " ".join(addresses).encode()]


@pytest.mark.one_kind
def test_all_addresses(kind, start):
    server = start(kind, ("bind", None), ("protected-mode", "no"))
    for host in ["127.0.0.1", "127.0.0.9"] + (["::1"] if has_ipv6() else []):
        with Client((host, server.port)) as client:
            assert client("PING") == Status("PONG"), host


@pytest.mark.one_kind
def test_addresses_that_cannot_be_bound(kind, start):
    _, log = refusal(start, kind, ("bind", ["127.0.0.1", "192.0.2.77"]))
    assert "192.0.2.77" in log and "annot assign requested address" in log, log
    server = start(kind, ("bind", ["127.0.0.1", "-192.0.2.77"]))
    with server.connect() as client:
        assert client("PING") == Status("PONG")


@pytest.mark.one_kind
def test_an_optional_address_may_be_missing_whatever_the_log_meets(kind, start, monkeypatch):
    """What the log runs into on its way isn't taken for the reason."""
    monkeypatch.setenv("TZ", ":/nonexistent")
    with start(kind, ("bind", ["127.0.0.1", "-192.0.2.77"])).connect() as client:
        assert client("PING") == Status("PONG")


@pytest.mark.one_kind
@pytest.mark.sherd_only
def test_many_addresses_that_may_be_missing(kind, start):
    many = ["-198.51.100.%d" % (i % 255) for i in range(2000)]
    server = start(kind, ("bind", many + ["127.0.0.1"]))
    with server.connect() as client:
        line = ",".join("bind=" + x for x in many + ["127.0.0.1"])
        assert ("listener0:name=tcp,%s,port=%d\r\n" % (line, server.port)).encode() in client("INFO server")


@pytest.mark.one_kind
@pytest.mark.sherd_only
def test_an_address_that_may_be_missing_and_a_log_that_is_full(kind, start):
    server = start(kind, ("bind", ["127.0.0.1", "-192.0.2.77"]), ("logfile", "/dev/full"))
    with server.connect() as client:
        assert client("PING") == Status("PONG")


@pytest.mark.one_kind
@pytest.mark.sherd_only
def test_an_address_that_is_none(kind, start):
    _, log = refusal(start, kind, ("bind", "nosuch.invalid"))
    assert "nosuch.invalid" in log


@pytest.mark.one_kind
def test_unix_socket(kind, start):
    """Its permissions; a stale one is replaced, and it goes away with the server."""
    server = start(kind, ("unixsocketperm", "700"))
    assert stat.S_IMODE(os.stat(server.path).st_mode) == 0o700
    server.process.kill()
    server.wait_exit()
    assert os.path.exists(server.path)
    again = start(kind, ("unixsocketperm", "777"), directory=server.directory)
    assert stat.S_IMODE(os.stat(again.path).st_mode) == 0o777
    with again.connect_unix() as client:
        assert client("PING") == Status("PONG")
    assert again.stop() == 0
    assert not os.path.exists(again.path)


@pytest.mark.one_kind
def test_unix_socket_that_cannot_be_made(kind, start):
    _, log = refusal(start, kind, ("unixsocket", "/no/such/directory/socket"))
    assert "No such file or directory" in log, log
    _, log = refusal(start, kind, ("unixsocket", "/tmp/" + "x" * 200))
    assert log


@pytest.mark.one_kind
def test_directory_that_does_not_exist(kind, start):
    _, log = refusal(start, kind, ("dir", "/no/such/directory"))
    assert "/no/such/directory" in log and "No such file" in log, log


@pytest.mark.one_kind
@pytest.mark.sherd_only
def test_directory_that_is_not_writable(kind, start):
    """Said at the start, with the reason; root may write everywhere, so it becomes nobody."""
    directory = tempfile.mkdtemp(prefix="wire-")
    os.chmod(directory, 0o555)

    def become_nobody():
        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
    try:
        server = start(kind, ("dir", directory), ("unixsocket", None), wait=False,
                       prepare=become_nobody)
        deadline = time.monotonic() + TIMEOUT_S
        while not (directory in server.log() and
                   re.search("(?i)not writable|permission denied", server.log())):
            assert time.monotonic() < deadline, server.log()
            time.sleep(.01)
    finally:
        os.rmdir(directory)


# Limits

def refused(server):
    with server.connect() as client:
        return client.read_until_closed() == b"-ERR max number of clients reached\r\n"


def wait_until_alone(client):
    """Who started the server asked it whether it is up, and may not have been seen leaving yet."""
    deadline = time.monotonic() + TIMEOUT_S
    while b"connected_clients:1\r\n" not in client("INFO clients"):
        assert time.monotonic() < deadline, "somebody else stays connected"


def test_maxclients(kind, start):
    server = start(kind, ("maxclients", "5"))
    clients = [server.connect()]
    try:
        wait_until_alone(clients[0])
        clients += [server.connect() for _ in range(4)]
        for client in clients:
            assert client("PING") == Status("PONG")
        assert refused(server) and refused(server)
        assert b"rejected_connections:2\r\n" in clients[0]("INFO stats")
        clients.pop().close()
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            newcomer = server.connect()
            try:
                assert newcomer("PING") == Status("PONG")
                clients.append(newcomer)
                break
            except (AssertionError, Closed, OSError):
                newcomer.close()
                assert time.monotonic() < deadline, "the place of who left isn't given away"
        assert clients[0]("CONFIG SET maxclients 6") == Status("OK")
        clients.append(server.connect())
        assert clients[-1]("PING") == Status("PONG")
        assert refused(server)
    finally:
        for client in clients:
            client.close()


def test_timeout(kind, start):
    """An idle client is closed; one that does something isn't, nor anybody without a timeout."""
    server = start(kind, ("timeout", "1"))
    with server.connect() as idle, server.connect() as busy:
        idle("PING")
        deadline = time.monotonic() + TIMEOUT_S
        while not idle.has_more(0.02):
            assert busy("PING") == Status("PONG")
            assert time.monotonic() < deadline
        assert idle.read_until_closed() == b""
        assert busy("CONFIG SET timeout 0") == Status("OK")
    with server.connect() as idle:
        idle("PING")
        assert not idle.has_more(1.5)


DENIED = (b"-DENIED Redis is running in protected mode because protected mode is enabled and no "
          b"password is set for the default user.")


def own_address():
    """An address of this machine that is no loopback address, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            address = probe.getsockname()[0]
            return None if address.startswith(("127.", "0.")) else address
        except OSError:
            return None


@pytest.mark.skipif(own_address() is None, reason="only loopback addresses here")
def test_protected_mode(kind, start):
    server = start(kind, ("bind", None))
    with Client((own_address(), server.port)) as client:
        assert client.read_until_closed().startswith(DENIED)
    with server.connect() as local:
        assert local("PING") == Status("PONG")
        assert local("CONFIG SET protected-mode no") == Status("OK")
        with Client((own_address(), server.port)) as client:
            assert client("PING") == Status("PONG")
        local("CONFIG SET protected-mode yes")
        local("CONFIG SET requirepass secret")
        with Client((own_address(), server.port)) as client:
            assert client("PING") == Error("NOAUTH Authentication required.")
            assert client("AUTH secret") == Status("OK")
    with server.connect_unix() as client:
        assert client("AUTH secret") == Status("OK")


@pytest.mark.one_kind
def test_few_file_descriptors(kind, start):
    """With a low limit a server starts all the same, or says why not."""
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    server = start(kind, prepare=limit)
    with server.connect() as client:
        assert client("PING") == Status("PONG")
        assert int(client("CONFIG GET maxclients")[1]) < 100
    assert re.search("(?i)file descriptors|open files|maxclients", server.log())


@pytest.mark.sherd_only
@pytest.mark.one_kind
def test_as_many_clients_as_there_may_be(start):
    """What many workers need for their files is left to them."""
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (250, 250))
    server = start("sherd-12", ("appendonly", "yes"), prepare=limit)
    wait_until_loaded(server)
    with server.connect() as client:
        others = [server.connect() for _ in range(int(client("CONFIG GET maxclients")[1]) - 1)]
        assert all(other("SET k v") == Status("OK") for other in others)
        for _ in range(3):
            assert client("SAVE") == Status("OK")
            assert client("SET k v") == Status("OK")
        for other in others:
            other.close()


@pytest.mark.one_kind
def test_more_clients_than_the_system_has_files_for(kind, start):
    with open("/proc/sys/fs/nr_open") as file:
        too_many = int(file.read()) + 1000      # not even root gets more
    server = start(kind)
    with server.connect() as client:
        reply = client("CONFIG SET timeout 77 maxclients %d" % too_many)
        said = re.fullmatch("ERR CONFIG SET failed .possibly related to argument 'maxclients'. - The "
                            "operating system is not able to handle the specified number of "
                            "clients, try with ([0-9]+)", str(reply))
        assert isinstance(reply, Error) and said, reply
        assert pairs(client("CONFIG GET maxclients timeout")) == {
            b"maxclients": b"10000", b"timeout": b"0"}
        assert 0 < int(said[1]) < too_many
        assert client.command("CONFIG", "SET", "maxclients", said[1]) == Status("OK")
