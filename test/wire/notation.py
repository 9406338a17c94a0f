"""How tests write down the replies that they expect, the same for RESP2 and RESP3.

    OK  +PONG             a status                -ERR no such key   an error, to the end of the line
    -"ERR a\\x00 "       an error whose text needs quotes (as one that ends with a space)
    12  100..200          an integer, a range     "a\\r\\n"  "ab"*50   a bulk string
    nil                   $-1, or _ in RESP3      nil[]              *-1, or _ in RESP3
    [1, "a", nil]         an array                %[..]              an array in any order
    {"k": 1}              a map, in RESP2 the flat array of it    %{..}   in any order
    set["a", "b"]         a set in any order, in RESP2 an array
    double 1.5            a double, in RESP2 a bulk string
    true  false           a boolean, in RESP2 1 and 0
    text "a\\n"            a verbatim string (txt), in RESP2 a bulk string
    ~regex                the reply, as this notation writes it, matches; to the end of the line
    *                     anything but an error

`parse(text)` gives a matcher; `matcher.matches(reply, protocol)`. `render(reply)` writes a reply in
this notation (as far as the reply itself tells), so that what a failing test shows can be pasted.
"""

import re

from resp import (Big, Boolean, Double, Error, Map, NIL, NIL_ARRAY, NIL_BULK, Nil, Push, Set,
                  Status, Verbatim, unescape)

SHOWN_BYTES = 300
PRINTABLE = set(range(0x20, 0x7f)) - set(b'"\\')
SHORT = {0x0a: "\\n", 0x0d: "\\r", 0x09: "\\t", 0x22: '\\"', 0x5c: "\\\\"}


def quote(text, cut=SHOWN_BYTES):
    shown = "".join(chr(b) if b in PRINTABLE else SHORT.get(b, "\\x%02x" % b) for b in text[:cut])
    tail = "" if cut is None or len(text) <= cut else "...(%d bytes)" % len(text)
    return '"%s"%s' % (shown, tail)


def render(reply, cut=SHOWN_BYTES):
    """`cut` shortens strings to so many bytes; None doesn't."""
    if isinstance(reply, Status):
        return "OK" if reply.text == b"OK" else "+%s" % reply
    if isinstance(reply, Error):
        plain = reply.text.strip() == reply.text and PRINTABLE.union(b'"\\').issuperset(reply.text)
        return "-" + (str(reply) if plain else quote(reply.text, cut))
    if isinstance(reply, bytes):
        return quote(reply, cut)
    if isinstance(reply, Double):
        return "double %s" % reply
    if isinstance(reply, Boolean):
        return {b"t": "true", b"f": "false"}[reply.text]
    if isinstance(reply, Verbatim):
        return "text " + quote(reply.text[4:], cut)
    if isinstance(reply, Big):
        return "big %s" % reply
    if isinstance(reply, Map):
        return "{%s}" % ", ".join("%s: %s" % (render(k, cut), render(v, cut)) for k, v in reply)
    if isinstance(reply, list):
        name = {Set: "set", Push: "push"}.get(type(reply), "")
        return "%s[%s]" % (name, ", ".join(render(x, cut) for x in reply))
    return repr(reply)


def shorten(text, size=4 * SHOWN_BYTES):
    """For showing long renderings of arrays."""
    return text if len(text) <= size else "%s ...(%d characters)" % (text[:size], len(text))


class Exactly:
    """One reply in RESP2, another in RESP3."""

    def __init__(self, resp2, resp3):
        self.replies = {2: resp2, 3: resp3}

    def matches(self, reply, protocol):
        expected = self.replies[protocol]
        if isinstance(expected, Nil):
            return reply is expected
        return type(reply) is type(expected) and reply == expected


class Between:
    def __init__(self, low, high):
        self.low, self.high = low, high

    def matches(self, reply, protocol):
        return type(reply) is int and self.low <= reply <= self.high


class Anything:
    def matches(self, reply, protocol):
        return not isinstance(reply, Error)


class Regex:
    def __init__(self, text):
        self.regex = re.compile(text, re.S)

    def matches(self, reply, protocol):
        return self.regex.fullmatch(render(reply, cut=None)) is not None


class Sequence:
    """`kind` is what it is in RESP3; in RESP2 everything is an array."""

    def __init__(self, parts, kind=list, ordered=True):
        self.parts, self.kind, self.ordered = parts, kind, ordered

    def matches(self, reply, protocol):
        if type(reply) is not (self.kind if protocol == 3 else list):
            return False
        if len(reply) != len(self.parts):
            return False
        if self.ordered:
            return all(p.matches(r, protocol) for p, r in zip(self.parts, reply))
        left = list(reply)
        for part in self.parts:
            found = [i for i, r in enumerate(left) if part.matches(r, protocol)]
            if not found:
                return False
            del left[found[0]]
        return True


class Pairs:
    def __init__(self, pairs, ordered=True):
        self.pairs, self.ordered = pairs, ordered

    def matches(self, reply, protocol):
        if type(reply) is not (Map if protocol == 3 else list):
            return False
        got = list(reply) if protocol == 3 else list(zip(reply[::2], reply[1::2]))
        if len(got) != len(self.pairs) or protocol == 2 and len(reply) % 2:
            return False
        for key, value in self.pairs:
            found = [i for i, (k, v) in enumerate(got)
                     if key.matches(k, protocol) and value.matches(v, protocol)]
            if not found or self.ordered and found[0] != 0:
                return False
            del got[found[0]]
        return True


TOKEN = re.compile(r"""\s*(?:
	(?P<string>"(?:\\.|[^"\\])*")(?:\*(?P<times>\d+))?
	| (?P<range>-?\d+\.\.-?\d+)
	| double\s+(?P<double>\S+?)(?=[\],}\s]|$)
	| (?P<int>-?\d+)
	| (?P<word>nil\[\]|nil|true|false|OK|text|set|\*)
	| \+(?P<status>[^,\]}]*)
	| -(?P<error>[A-Z][^,\]}]*)
	| (?P<mark>%\[|%\{|[\[\]{},:])
)""", re.X | re.S)
WORDS = {
    "nil": Exactly(NIL_BULK, NIL), "nil[]": Exactly(NIL_ARRAY, NIL), "true": Exactly(1, Boolean("t")),
    "false": Exactly(0, Boolean("f")), "OK": Exactly(Status("OK"), Status("OK")), "*": Anything(),
}


def parse(text):
    text = text.strip()
    if text.startswith("~"):
        return Regex(text[1:].strip())
    if text.startswith('-"'):
        reply = Error(unescape(text[2:-1].encode()))
        return Exactly(reply, reply)
    if text[:1] == "+" or re.match(r"-[A-Z]", text):
        reply = (Status if text[0] == "+" else Error)(text[1:])
        return Exactly(reply, reply)
    parser = Parser(text)
    matcher = parser.value()
    assert not text[parser.at:].strip(), "can't read the expectation %r" % text
    return matcher


class Parser:
    def __init__(self, text):
        self.text, self.at = text, 0

    def token(self):
        match = TOKEN.match(self.text, self.at)
        assert match, "can't read the expectation %r at %d" % (self.text, self.at)
        self.at = match.end()
        return match

    def peek(self, mark):
        match = TOKEN.match(self.text, self.at)
        return match is not None and match.group("mark") == mark

    def value(self):
        found = self.token()
        kind = found.lastgroup if found.lastgroup != "times" else "string"
        text = found.group(kind)
        if kind == "string":
            return self._string(found)
        if kind == "range":
            return Between(*map(int, text.split("..")))
        if kind == "int":
            return Exactly(int(text), int(text))
        if kind == "double":
            return Exactly(text.encode(), Double(text))
        if kind in ("status", "error"):
            reply = (Status if kind == "status" else Error)(text)
            return Exactly(reply, reply)
        if kind == "word" and text == "set":
            self.token()
            return Sequence(self._items("]"), Set, ordered=False)
        if kind == "word" and text == "text":
            inner = self._string(self.token()).replies[2]
            return Exactly(inner, Verbatim(b"txt:" + inner))
        if kind == "word":
            return WORDS[text]
        if text in ("[", "%["):
            return Sequence(self._items("]"), ordered=text == "[")
        assert text in ("{", "%{"), "can't read the expectation %r" % self.text
        return Pairs(self._items("}", pairs=True), ordered=text == "{")

    def _string(self, found):
        text = unescape(found.group("string")[1:-1].encode()) * int(found.group("times") or 1)
        return Exactly(text, text)

    def _items(self, end, pairs=False):
        items = []
        while not self.peek(end):
            item = self.value()
            if pairs:
                assert self.token().group("mark") == ":", self.text
                item = (item, self.value())
            items.append(item)
            if not self.peek(end):
                assert self.token().group("mark") == ",", self.text
        self.token()
        return items
