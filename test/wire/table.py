"""Wire tests as text: blocks of commands with the replies that they must give.

    ## get and set
    SET k v                 => OK
    GET k                   => "v"
    # a comment

`table(text)` makes one pytest test out of it, with a case for each block. A case runs twice on
empty databases: in RESP2 one command after the other, and in RESP3 with all commands in one write;
the replies must be the same. Words after the name in brackets change that: `[resp2]` only the
first, `[sherd]` not on the reference server, `[reference]` not on sherd, `[step]` never in one
write, `[tcp]` instead of the Unix socket.

A line `... ?=> reply` is tried again until the reply matches, for what needs time to happen.
"""

import re
import time

import pytest

import notation
from resp import Closed, TIMEOUT_S, encode, split_words

RETRY_S = 0.005


class Line:
    def __init__(self, text):
        command, arrow, expected = re.split(r"\s+(\??=>)\s*", text, maxsplit=1)
        self.text = command
        self.args = split_words(command)
        self.retried = arrow == "?=>"
        self.expected_text = expected.strip()
        self.expected = notation.parse(expected)


class Case:
    def __init__(self, name, flags):
        self.name, self.flags, self.lines = name, flags, []

    def run(self, server):
        stepwise = "step" in self.flags or any(x.retried for x in self.lines)
        problems = self._run(server, 2, pipelined=False)
        if "resp2" not in self.flags:
            server.reset()
            problems += self._run(server, 3, pipelined=not stepwise)
        if problems:
            pytest.fail("%s: %s\n%s" % (server.name, self.name, "\n".join(problems)),
                        pytrace=False)

    def _run(self, server, protocol, pipelined):
        with server.connect() if "tcp" in self.flags else server.connect_unix() as client:
            if protocol == 3:
                client("HELLO 3")
            if pipelined:
                client.send(b"".join(encode(x.args) for x in self.lines))
            problems = []
            for line in self.lines:
                try:
                    reply = self._reply(client, line, protocol, pipelined)
                except (Closed, OSError) as e:
                    return problems + [self._problem(line, protocol, pipelined, repr(e))]
                if not line.expected.matches(reply, protocol):
                    problems.append(self._problem(line, protocol, pipelined,
                                                  notation.shorten(notation.render(reply))))
            return problems

    def _reply(self, client, line, protocol, pipelined):
        if pipelined:
            return client.read()
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            reply = client.command(*line.args)
            if not line.retried or line.expected.matches(reply, protocol):
                return reply
            if time.monotonic() > deadline:
                return reply
            time.sleep(RETRY_S)

    @staticmethod
    def _problem(line, protocol, pipelined, got):
        how = "RESP%d%s" % (protocol, ", all commands in one write" if pipelined else "")
        if got == line.expected_text:
            got += "  (the other protocol's form of it)"
        return "    %s\n        command:  %s\n        expected: %s\n        got:      %s" % (
            how, line.text, line.expected_text, got)


HEADER = re.compile(r"##\s*(?P<name>.*?)\s*(?:\[(?P<flags>[a-z0-9 ]*)\])?\s*$")


def cases(text):
    found = []
    for line in text.split("\n"):
        line = line.strip()
        if line.startswith("##"):
            header = HEADER.match(line)
            found.append(Case(header["name"], (header["flags"] or "").split()))
        elif line and not line.startswith("# "):
            found[-1].lines.append(Line(line))
    names = [x.name for x in found]
    assert len(set(names)) == len(names), "two cases have the same name"
    return found


def table(text):
    params = []
    for case in cases(text):
        marks = []
        if "sherd" in case.flags:
            marks.append(pytest.mark.sherd_only)
        if "reference" in case.flags:
            marks.append(pytest.mark.reference_only)
        params.append(pytest.param(case, id=case.name.replace(" ", "-"), marks=marks))

    @pytest.mark.parametrize("case", params)
    def test(server, case):
        case.run(server)
    return test
