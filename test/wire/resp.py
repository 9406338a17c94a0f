"""A small RESP client for tests: exact bytes go in, typed replies come out.

A library would hide what matters here: whether a nil came as "$-1", "*-1" or "_", whether "OK" was
a status or a string, and where the server closed the connection. So each RESP type has a Python
type of its own, and two replies are equal only when their types are equal too:

    bytes    bulk string        Status   simple string     Error   error (simple or blob)
    int      integer            list     array             NIL, NIL_BULK, NIL_ARRAY
    Map      pairs, in order    Set      Push              Double, Boolean, Big, Verbatim

`Client` talks over TCP or a Unix socket and never waits longer than its timeout.
"""

import os
import re
import socket

TIMEOUT_S = 10 * float(os.environ.get("SLOWNESS", "1"))


class Nil:
    def __init__(self, wire):
        self.wire = wire

    def __repr__(self):
        return {"$-1": "nil", "*-1": "nil[]", "_": "nil"}[self.wire]

    def __bool__(self):
        return False


NIL_BULK, NIL_ARRAY, NIL = Nil("$-1"), Nil("*-1"), Nil("_")


class Text:
    """A reply that is a piece of text with a type of its own."""

    def __init__(self, text):
        self.text = text if isinstance(text, bytes) else text.encode()

    def __eq__(self, other):
        return type(self) is type(other) and self.text == other.text

    def __hash__(self):
        return hash((type(self).__name__, self.text))

    def __str__(self):
        return self.text.decode("utf-8", "backslashreplace")

    def __repr__(self):
        return "%s(%s)" % (type(self).__name__, self)


class Status(Text):
    pass


class Error(Text):
    pass


class Double(Text):
    pass


class Boolean(Text):
    pass


class Big(Text):
    pass


class Verbatim(Text):
    """`text` keeps the format: b"txt:..."."""


class Map(list):
    """A list of (key, value) pairs in the order in which they came."""

    def get(self, name):
        for key, value in self:
            if key == name:
                return value
        raise KeyError(name)


class Set(list):
    pass


class Push(list):
    pass


class Closed(Exception):
    """The server closed the connection."""


class BadReply(Exception):
    """What the server sent isn't RESP."""


TEXTS = {b"+": Status, b"-": Error, b",": Double, b"#": Boolean, b"(": Big}
BULKS = {b"$": bytes, b"=": Verbatim, b"!": Error}
AGGREGATES = {b"*": list, b"~": Set, b">": Push}


def encode(args):
    """The bytes of a command as clients send it: an array of bulk strings."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        if isinstance(arg, str):
            arg = arg.encode()
        elif not isinstance(arg, bytes):
            arg = str(arg).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(arg), arg))
    return b"".join(parts)


WORD = re.compile(rb"""
	(?P<double>"(?:\\.|[^"\\])*") (?:\*(?P<times>\d+))?
	| '(?P<single>(?:\\'|[^'])*)'
	| (?P<plain>[^\s"']\S*)
""", re.X | re.S)
ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.S)
ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}


def unescape(text):
    def one(match):
        what = match.group(1)
        if what[:1] == b"x" and len(what) == 3:
            return bytes([int(what[1:], 16)])
        return ESCAPES.get(what, what)
    return ESCAPE.sub(one, text)


def split_words(line):
    """The arguments in a line, quoted as in redis-cli; "ab"*3 repeats a string."""
    if isinstance(line, str):
        line = line.encode()
    words, at = [], 0
    line = line.strip()
    while at < len(line):
        match = WORD.match(line, at)
        assert match, "can't split %r at %d" % (line, at)
        if match.group("double"):
            word = unescape(match.group("double")[1:-1]) * int(match.group("times") or 1)
        elif match.group("plain"):
            word = match.group("plain")
        else:
            word = match.group("single").replace(b"\\'", b"'")
        words.append(word)
        at = match.end()
        while at < len(line) and line[at:at + 1].isspace():
            at += 1
    return words


class Decoder:
    """
    Takes bytes in any portions; `next()` answers a reply, or None while one is incomplete: then it goes on where it
    has stopped, within the aggregates that are open.
    """

    def __init__(self):
        self.data = bytearray()
        self.start = self.at = 0        # of the reply, and where it is read on
        self.open = []                  # [type, elements still to come, elements] from the outermost on

    def feed(self, data):
        del self.data[:self.start]
        self.at -= self.start
        self.start = 0
        self.data += data

    def next(self, raw=False):
        """`raw` gives (reply, the bytes it was made of)."""
        reply = None
        while reply is None:
            before = self.at
            try:
                reply = self._put(self._element())
            except IndexError:
                self.at = before
                return None
        start, self.start = self.start, self.at
        return (reply, bytes(self.data[start:self.at])) if raw else reply

    def take(self, count):
        """So many bytes, undecoded; None while there are fewer."""
        if len(self.data) - self.at < count:
            return None
        data = bytes(self.data[self.at:self.at + count])
        self.start = self.at = self.at + count
        return data

    def rest(self):
        return self.take(len(self.data) - self.at)

    def _put(self, element):
        """An element has been read, or an aggregate begun (None): the whole reply, when that is complete."""
        while self.open:
            kind, count, elements = self.open[-1]
            if element is not None:
                elements.append(element)
            if len(elements) < count:
                return None
            self.open.pop()
            element = Map(zip(elements[::2], elements[1::2])) if kind is Map else kind(elements)
        return element

    def _line(self):
        end = self.data.find(b"\r\n", self.at)
        if end < 0:
            raise IndexError
        line = bytes(self.data[self.at:end])
        self.at = end + 2
        return line

    def _element(self):
        """None: it was the beginning of an aggregate."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b":":
            return int(rest)
        if kind in TEXTS:
            return TEXTS[kind](rest)
        if kind in BULKS:
            return self._bulk(kind, int(rest))
        if kind in AGGREGATES:
            if kind == b"*" and rest == b"-1":
                return NIL_ARRAY
            self.open.append((AGGREGATES[kind], int(rest), []))
            return None
        if kind == b"%":
            self.open.append((Map, 2 * int(rest), []))
            return None
        if kind == b"_" and not rest:
            return NIL
        raise BadReply("not RESP: %r" % (line[:100],))

    def _bulk(self, kind, length):
        if length == -1 and kind == b"$":
            return NIL_BULK
        end = self.at + length
        if len(self.data) < end + 2:
            raise IndexError
        if self.data[end:end + 2] != b"\r\n":
            raise BadReply("a bulk string without its end: %r" % bytes(self.data[self.at:end + 2][:100]))
        text = bytes(self.data[self.at:end])
        self.at = end + 2
        return BULKS[kind](text)


class Client:
    """`address` is a path (Unix socket) or (host, port)."""

    def __init__(self, address, timeout=TIMEOUT_S):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.decoder = Decoder()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """Feeds the decoder with what comes next."""
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed("the server closed the connection; not yet decoded: %r" %
                         bytes(self.decoder.data[self.decoder.start:][:200]))
        self.decoder.feed(data)

    def read(self, raw=False):
        while True:
            reply = self.decoder.next(raw)
            if reply is not None:
                return reply
            self.receive()

    def read_bytes(self, count):
        """Exactly `count` bytes, undecoded."""
        while True:
            data = self.decoder.take(count)
            if data is not None:
                return data
            self.receive()

    def command(self, *args):
        self.send(encode(args))
        return self.read()

    def __call__(self, line):
        """client('SET k "a value"') sends the words of the line as one command."""
        return self.command(*split_words(line))

    def pipeline(self, lines):
        """Sends all lines (or lists of arguments) in one write and reads all replies."""
        commands = [split_words(x) if isinstance(x, (str, bytes)) else x for x in lines]
        self.send(b"".join(encode(x) for x in commands))
        return [self.read() for _ in commands]

    def read_until_closed(self):
        """All bytes up to the end of the connection; socket.timeout when it stays open."""
        try:
            while True:
                self.receive()
        except Closed:
            return self.decoder.rest()

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    def has_more(self, seconds):
        """Whether anything (also the end of the connection) arrives within that time."""
        if self.decoder.start < len(self.decoder.data):
            return True
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) is not None
        except socket.timeout:
            return False
        finally:
            self.socket.settimeout(TIMEOUT_S)
