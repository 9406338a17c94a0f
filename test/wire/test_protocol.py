"""RESP on the wire: inline commands, malformed input, and commands cut anywhere."""

import random
import socket
import threading

import pytest

from resp import Client, Closed, Error, NIL_BULK, Status, encode

PONG = b"+PONG\r\n"

# Bytes that we send -> bytes that come back; the connection stays open.
WELL_FORMED = {
    "inline": (b"PING\r\n", PONG),
    "inline with LF only": (b"PING\n", PONG),
    "inline with blanks": (b"  PING  \t \r\n", PONG),
    "inline in any case": (b"pInG\r\n", PONG),
    "inline arguments": (b"ECHO abc\r\n", b"$3\r\nabc\r\n"),
    "inline double quotes": (b'ECHO "a b"\r\n', b"$3\r\na b\r\n"),
    "inline single quotes": (b"ECHO 'a \"b'\r\n", b"$4\r\na \"b\r\n"),
    "inline escapes": (b'ECHO "\\x41\\n\\r\\t\\b\\a\\\\\\"\\q"\r\n', b"$9\r\nA\n\r\t\b\a\\\"q\r\n"),
    "inline bad hex": (b'ECHO "\\xZZ"\r\n', b"$3\r\nxZZ\r\n"),
    "inline escape in single quotes": (b"ECHO 'a\\'b\\n'\r\n", b"$5\r\na'b\\n\r\n"),
    "inline quote inside a word": (b"ECHO a\"b\"\r\n", b"$2\r\nab\r\n"),
    "inline empty argument": (b'ECHO ""\r\n', b"$0\r\n\r\n"),
    "inline nul byte in quotes": (b'ECHO "a\\x00b"\r\n', b"$3\r\na\x00b\r\n"),
    "inline binary": (b"ECHO \xff\xfe\r\n", b"$2\r\n\xff\xfe\r\n"),
    "inline tabs": (b"ECHO\tabc\r\n", b"$3\r\nabc\r\n"),
    "empty lines": (b"\r\n\r\n\n  \r\nPING\r\n", PONG),
    "empty arrays": (b"*0\r\n*-1\r\n*-5\r\nPING\r\n", PONG),
    "array": (b"*1\r\n$4\r\nPING\r\n", PONG),
    "array with an empty bulk": (b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", b"$0\r\n\r\n"),
    "array with CRLF in a bulk": (b"*2\r\n$4\r\nECHO\r\n$4\r\n\r\n\r\n\r\n", b"$4\r\n\r\n\r\n\r\n"),
    "array whose bulks end wrongly": (b"*2\r\n$4\r\nECHOxx$1\r\naxxPING\r\n", b"$1\r\na\r\n" + PONG),
    "inline and arrays mixed": (b"PING\r\n*1\r\n$4\r\nPING\r\nPING\r\n", PONG * 3),
    "an empty command name": (b"*1\r\n$0\r\n\r\n",
                              b"-ERR unknown command '', with args beginning with: \r\n"),
    "an error doesn't end a pipeline": (b"GET\r\nPING\r\n", b"-ERR wrong number of arguments for "
                                        b"'get' command\r\n" + PONG),
    "a long inline command": (b"ECHO " + b"x" * 60000 + b"\r\n", b"$60000\r\n" + b"x" * 60000 +
                              b"\r\n"),
    "a header with LF in place of CR LF's LF": (b"*1\r\r$4\r\rPING\r\n", PONG),
}

# Bytes that we send -> everything that comes before the connection is closed.
ERROR = b"-ERR Protocol error: %s\r\n"
MALFORMED = {
    "array length is no number": (b"*abc\r\n", ERROR % b"invalid multibulk length"),
    "array length is empty": (b"*\r\n", ERROR % b"invalid multibulk length"),
    "array length with a plus": (b"*+1\r\n", ERROR % b"invalid multibulk length"),
    "array length with a zero in front": (b"*01\r\n", ERROR % b"invalid multibulk length"),
    "array length with a blank": (b"* 1\r\n", ERROR % b"invalid multibulk length"),
    "array length with a blank behind": (b"*1 \r\n", ERROR % b"invalid multibulk length"),
    "array length too large": (b"*2147483648\r\n", ERROR % b"invalid multibulk length"),
    "array length beyond 64 bits": (b"*99999999999999999999\r\n",
                                    ERROR % b"invalid multibulk length"),
    "bulk expected, an integer": (b"*1\r\n:1\r\n", ERROR % b"expected '$', got ':'"),
    "bulk expected, a word": (b"*1\r\nPING\r\n", ERROR % b"expected '$', got 'P'"),
    "bulk expected, an array": (b"*2\r\n$3\r\nGET\r\n*1\r\n", ERROR % b"expected '$', got '*'"),
    "bulk expected, an empty line": (b"*1\r\n\r\n", ERROR % b"expected '$', got ' '"),
    "bulk length is no number": (b"*1\r\n$abc\r\n", ERROR % b"invalid bulk length"),
    "bulk length is empty": (b"*1\r\n$\r\n", ERROR % b"invalid bulk length"),
    "bulk length is negative": (b"*1\r\n$-1\r\n", ERROR % b"invalid bulk length"),
    "bulk length with a zero in front": (b"*1\r\n$04\r\nPING\r\n", ERROR % b"invalid bulk length"),
    "bulk length with a blank": (b"*1\r\n$ 4\r\n", ERROR % b"invalid bulk length"),
    "bulk length over the limit": (b"*2\r\n$4\r\nECHO\r\n$536870913\r\n",
                                   ERROR % b"invalid bulk length"),
    "bulk length beyond 64 bits": (b"*1\r\n$99999999999999999999\r\n",
                                   ERROR % b"invalid bulk length"),
    "unbalanced double quotes": (b'ECHO "abc\r\n', ERROR % b"unbalanced quotes in request"),
    "unbalanced single quotes": (b"ECHO 'abc\r\n", ERROR % b"unbalanced quotes in request"),
    "text behind a closing quote": (b'ECHO "a"b\r\n', ERROR % b"unbalanced quotes in request"),
    "text behind a single quote": (b"ECHO 'a'b\r\n", ERROR % b"unbalanced quotes in request"),
    "backslash at the end": (b'ECHO "a\\\r\n', ERROR % b"unbalanced quotes in request"),
    "inline too long": (b"x" * (64 * 1024 + 10), ERROR % b"too big inline request"),
    "array header too long": (b"*" + b"1" * (64 * 1024 + 10), ERROR % b"too big mbulk count string"),
    "bulk header too long": (b"*1\r\n$" + b"1" * (64 * 1024 + 10),
                             ERROR % b"too big bulk count string"),
    "replies before the error": (b"PING\r\nSET k v\r\n*x\r\nPING\r\n",
                                 PONG + b"+OK\r\n" + ERROR % b"invalid multibulk length"),
    "an error in the middle of a command": (
        encode(["SET", "k", "old"]) + b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$-5\r\n",
        b"+OK\r\n" + ERROR % b"invalid bulk length"),
    "an HTTP request": (b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET k v\r\n", b""),
    "an HTTP header": (b"Host: example.org\r\nSET k v\r\n", b""),
}


@pytest.mark.parametrize("sent, expected", WELL_FORMED.values(), ids=WELL_FORMED)
def test_well_formed(client, sent, expected):
    client.send(sent)
    assert client.read_bytes(len(expected)) == expected
    client.send(b"ECHO still-here\r\n")
    assert client.read_bytes(17) == b"$10\r\nstill-here\r\n"[:17]


@pytest.mark.parametrize("sent, expected", MALFORMED.values(), ids=MALFORMED)
def test_malformed(server, sent, expected):
    with server.connect() as client:
        try:
            client.send(sent)
        except OSError:
            pass        # closed while we were sending
        assert client.read_until_closed() == expected
    with server.connect() as client:
        assert client("PING") == Status("PONG")


def test_http_is_logged_once(start, kind):
    server = start(kind)
    for _ in range(5):
        with server.connect() as client:
            client.send(b"POST / HTTP/1.1\r\n")
            assert client.read_until_closed() == b""
    assert server.log().lower().count("possible security attack") == 1


def connections_at_once(server, firsts, seconds):
    """Sends all first parts, each on a connection of its own, then all second parts."""
    clients = [server.connect_unix() for _ in firsts]
    for client, part in zip(clients, firsts):
        if part:
            client.send(part)
    for client, part in zip(clients, seconds):
        if part:
            client.send(part)
    return clients


STREAM = (encode(["ECHO", "first"]) + b"ECHO 'in line'\r\n" + encode(["PING"]) + b"\r\n*0\r\n" +
          encode(["ECHO", "\r\n$5\r\n"]) + encode(["GET", ""]) + b"NOSUCH \"a\\x41\"\r\n" +
          encode(["MGET", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]))


def test_split_at_every_byte(server, client):
    client.send(STREAM + b"QUIT\r\n")
    whole = client.read_until_closed()
    assert whole.startswith(b"$5\r\nfirst\r\n$7\r\nin line\r\n+PONG\r\n")
    positions = range(len(STREAM) + 1)
    clients = connections_at_once(server, [STREAM[:i] for i in positions],
                                  [STREAM[i:] + b"QUIT\r\n" for i in positions])
    for i, other in zip(positions, clients):
        assert other.read_until_closed() == whole, "split after byte %d" % i
        other.close()


def test_one_byte_at_a_time(server, client):
    client.send(STREAM + b"QUIT\r\n")
    whole = client.read_until_closed()
    with server.connect() as other:
        for byte in STREAM + b"QUIT\r\n":
            other.send(bytes([byte]))
        assert other.read_until_closed() == whole


@pytest.mark.parametrize("label", [x for x in MALFORMED if "too long" not in x])
def test_malformed_split_in_two(server, label):
    sent, expected = MALFORMED[label]
    positions = range(1, len(sent))
    clients = connections_at_once(server, [sent[:i] for i in positions], [b""] * len(positions))
    for i, client in zip(positions, clients):
        try:
            client.send(sent[i:])
        except OSError:
            pass        # the first part was wrong already
        assert client.read_until_closed() == expected, "split after byte %d" % i
        client.close()


def test_a_half_command_does_nothing(server, client):
    """However much of it arrived: it is dropped with the connection, and nothing else is."""
    command = encode(["SET", "key", "value"])
    for i in range(len(command)):
        with server.connect_unix() as other:
            other.send(encode(["INCR", "whole"]) + command[:i])
            assert other.read() == i + 1
    assert client("EXISTS key") == 0
    with server.connect_unix() as other:
        other.send(b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$500000000\r\n" + b"x" * 100000)
    assert client("EXISTS key") == 0
    assert client("GET whole") == b"%d" % len(command)


def test_half_close(client):
    """What was sent before the client's end of the stream is answered."""
    client.send(b"".join(encode(["INCR", "n%d" % (i % 7)]) for i in range(210)))
    client.finish_sending()
    data = client.read_until_closed()
    assert data == b"".join(b":%d\r\n" % (i // 7 + 1) for i in range(210))


@pytest.mark.parametrize("depth", [1, 10, 1000, 50000])
def test_pipeline_of_any_depth(client, depth):
    commands = encode(["SET", "k", "v"]) + encode(["GET", "k"]) + encode(["INCR", "n"])
    sender = threading.Thread(target=client.send, args=(commands * depth,))
    sender.start()
    expected = b"".join(b"+OK\r\n$1\r\nv\r\n:%d\r\n" % (i + 1) for i in range(depth))
    assert client.read_bytes(len(expected)) == expected
    sender.join()


def test_pipeline_over_all_shards(client):
    """Own writes are seen, and replies keep the order of the requests, wherever the keys live."""
    rng = random.Random(7)
    commands, expected, state = [], [], {}
    for serial in range(8000):
        key = "k%d" % rng.randrange(300)
        what = rng.randrange(5)
        if what == 0:
            commands.append(["SET", key, serial])
            expected.append(Status("OK"))
            state[key] = serial
        elif what == 1:
            commands.append(["INCR", key])
            state[key] = state.get(key, 0) + 1
            expected.append(state[key])
        elif what == 2:
            commands.append(["DEL", key])
            expected.append(1 if state.pop(key, None) is not None else 0)
        elif what == 3:
            commands.append(["EXISTS", key])
            expected.append(int(key in state))
        else:
            commands.append(["GET", key])
            expected.append(b"%d" % state[key] if key in state else NIL_BULK)
    got = client.pipeline(commands)
    for command, wanted, reply in zip(commands, expected, got):
        assert reply == wanted, (command, wanted, reply)


def test_pipeline_with_commands_on_many_keys_between(client):
    """A command on several keys comes after everything that the connection sent before it."""
    for round_ in range(50):
        keys = ["k%d" % i for i in range(40)]
        commands = [["SET", key, round_] for key in keys] + [["MGET"] + keys, ["DEL"] + keys,
                                                             ["EXISTS"] + keys, ["DBSIZE"]]
        assert client.pipeline(commands)[-4:] == [[b"%d" % round_] * 40, 40, 0, 0]


def test_large_values(client):
    """From just around where values move out of their entries up to 20 MB."""
    for size in (16383, 16384, 32767, 65535, 65536, 65537, 1 << 20, 20_000_000):
        value = random.Random(size).randbytes(size)
        sender = threading.Thread(target=client.send, args=(
            encode(["SET", "k", value]) + encode(["GET", "k"]) + encode(["STRLEN", "k"]) +
            encode(["ECHO", value]),))
        sender.start()
        replies = [client.read() for _ in range(4)]
        sender.join()
        assert replies[0] == Status("OK") and replies[2] == size
        assert replies[1] == value and replies[3] == value


def test_many_arguments(client):
    keys = ["key:%d" % i for i in range(100_000)]
    assert client.command("EXISTS", *keys) == 0
    assert client.command("PING", *keys) == Error("ERR wrong number of arguments for 'ping' command")


def test_the_largest_bulk_is_configurable(server, client):
    client("CONFIG SET proto-max-bulk-len 1mb")
    assert client.command("ECHO", "x" * 1048576) == b"x" * 1048576
    with server.connect() as other:
        other.send(b"*2\r\n$4\r\nECHO\r\n$1048577\r\n")
        assert other.read_until_closed() == ERROR % b"invalid bulk length"


@pytest.mark.sherd_only
def test_a_huge_announcement_takes_no_memory(server, client):
    """Memory is used for bytes that came, not for bytes that were promised."""
    def used():
        return int(server.info("memory")["used_memory"])
    before = used()
    others = [server.connect() for _ in range(50)]
    for other in others:
        other.send(b"*2147483647\r\n$536870912\r\n")
        other.send(b"x" * 10)
    assert client("PING") == Status("PONG")
    assert used() - before < 100 * 1024 * 1024
    for other in others:
        other.close()


def test_random_garbage(server):
    """Nothing that isn't a request stops the server; the seed is in the message."""
    for seed in range(150):
        rng = random.Random(seed)
        data = rng.randbytes(rng.randrange(1, 300))
        if rng.random() < .5:
            data = rng.choice([b"*", b"*1\r\n$", b"*3\r\n$3\r\nSET\r\n", b"$", b'"']) + data
        with server.connect_unix() as client:
            try:
                client.send(data + b"\r\n")
                client.finish_sending()
                client.read_until_closed()
            except OSError:
                pass
    with server.connect() as client:
        assert client("PING") == Status("PONG"), "after random bytes"


def test_disconnect_mid_pipeline(server, client):
    """Clients that go away without reading their replies."""
    for i in range(30):
        other = server.connect_unix()
        other.send(b"".join(encode(["INCR", "n%d" % (j % 11)]) + encode(["GET", "n%d" % j])
                            for j in range(500)))
        if i % 2:
            other.read()
        other.close()
    assert client("PING") == Status("PONG")
    assert all(int(x or 0) <= 30 * 500 for x in client.pipeline(["GET n%d" % i
                                                                 for i in range(11)]))


def test_reset_of_the_tcp_connection(server, client):
    """RST in place of FIN."""
    for _ in range(20):
        with server.connect() as other:
            other.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            other.send(encode(["SET", "k", "x" * 1000]) * 50)
    assert client("PING") == Status("PONG")
