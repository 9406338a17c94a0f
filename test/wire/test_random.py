"""Random command sequences against the reference and sherd: every reply must agree, and so must
everything that is stored at the end.

    SEED=n      repeats a run (it is printed by a failure)
    SCALE=n     multiplies the number of commands

A disagreement is reduced to a short sequence that still shows it before it is reported.
"""

import os
import random
import subprocess
import time

import pytest

import generator
import notation
from resp import Closed, encode

SEED = int(os.environ.get("SEED") or time.time_ns() % 10 ** 9)
SCALE = float(os.environ.get("SCALE", "1"))
SEQUENCES = 6
LENGTH = int(8000 * SCALE)
CHUNK_MAX = 120
REDUCING_RUNS = 400
DATABASES = (0, 1, 2, 15)


class Pair:
    """One connection to each of the two servers, which get the same bytes."""

    def __init__(self, reference, ours, protocol):
        self.servers = (reference, ours)
        self.protocol = protocol
        self.clients = []

    def __enter__(self):
        for server in self.servers:
            client = server.connect_unix()
            self.clients.append(client)
            client.command("FLUSHALL")
            if self.protocol == 3:
                client.command("HELLO", "3")
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.close()

    def exchange(self, commands, cuts=()):
        """Sends the commands, the bytes cut at these places; lists of replies."""
        data = b"".join(encode(args) for args in commands)
        for client in self.clients:
            at = 0
            for cut in list(cuts) + [len(data)]:
                client.send(data[at:cut])
                at = cut
        return [[client.read() for _ in commands] for client in self.clients]


def chunks(rng, commands):
    """The commands in portions of random size, with random cuts in the bytes of some."""
    at = 0
    while at < len(commands):
        chunk = commands[at:at + rng.choice([1, 1, 5, 30, rng.randrange(1, CHUNK_MAX)])]
        at += len(chunk)
        size = sum(len(encode(args)) for args in chunk)
        cuts = sorted(rng.randrange(size + 1) for _ in range(rng.choice([0, 0, 1, 4])))
        yield chunk, cuts


def disagreement(reference, ours, protocol, commands, rng=None):
    """The index of the first reply that differs, with both replies; None when all agree. Without
    `rng` every command is sent alone."""
    portions = chunks(rng, commands) if rng else (([args], ()) for args in commands)
    at = 0
    conversation = generator.Conversation()
    with Pair(reference, ours, protocol) as pair:
        for chunk, cuts in portions:
            try:
                replies = pair.exchange(chunk, cuts)
            except (Closed, OSError) as e:
                return at + len(chunk) - 1, None, e
            for args, one, two in zip(chunk, *replies):
                if not conversation.agree(one, two, args):
                    return at, one, two
                at += 1
        for client in pair.clients:
            client.command("DISCARD")
        dumps = [generator.dump(client, DATABASES) for client in pair.clients]
        lines = generator.same_dump(*dumps)
        if lines:
            return at - 1, "what is stored at the end differs:", "\n".join(lines[:10])
        for client in pair.clients:
            client.command("SELECT", 0)
        scans = [sorted(generator.full_scan(client)) for client in pair.clients]
        if scans[0] != scans[1]:
            return at - 1, "a full SCAN", "differs: %r" % scans
    return None


def reduced(reference, ours, protocol, commands):
    """Fewer commands that still disagree when sent one by one; None when that needs a pipeline."""
    runs = 0

    def fails(some):
        nonlocal runs
        runs += 1
        try:
            return disagreement(reference, ours, protocol, some) is not None
        except (OSError, Closed):
            return False
    if not fails(commands):
        return None
    size = len(commands) // 2
    while size and runs < REDUCING_RUNS:
        at = 0
        while at < len(commands) and runs < REDUCING_RUNS:
            rest = commands[:at] + commands[at + size:]
            if rest and fails(rest):
                commands = rest
            else:
                at += size
        size //= 2
    return commands


def shown(reply):
    return reply if isinstance(reply, str) else (
        repr(reply) if isinstance(reply, (Closed, OSError)) else
        notation.shorten(notation.render(reply)))


def words(args):
    return " ".join(notation.quote(arg, 60) for arg in args)


def has_ended(server):
    """After its connection has closed. Who crashes may take a moment to be gone."""
    try:
        server.wait_exit()
    except subprocess.TimeoutExpired:
        return False
    return True


def report(reference, ours, protocol, commands, found):
    index, one, two = found
    lines = ["seed %d, RESP%d, command %d" % (SEED, protocol, index)]

    def add(args, one, two):
        lines.extend(["    command:   " + words(args),
                      "    reference: " + shown(one), "    %s:   %s" % (ours.name, shown(two))])
    add(commands[index], one, two)
    if isinstance(two, (Closed, OSError)) and has_ended(ours):
        return "\n".join(lines + ["%s ended with status %s" % (ours.name, ours.process.returncode)])
    few = reduced(reference, ours, protocol, commands[:index + 1])
    if few is None:
        lines.append("only in a pipeline; the commands before it:")
        few = commands[max(0, index - 20):index + 1]
    else:
        lines.append("reduced to:")
    lines += ["    " + words(args) for args in few]
    again = disagreement(reference, ours, protocol, few)
    if again:
        lines.append("which gives:")
        add(few[again[0]], again[1], again[2])
    return "\n".join(lines)


@pytest.mark.sherd_only
@pytest.mark.parametrize("number", range(SEQUENCES))
def test_random_commands(server, pool, reference_usable, number):
    if not reference_usable:
        pytest.skip("no reference server")
    reference = pool.get("reference")
    rng = random.Random("%d %d" % (SEED, number))
    protocol = 2 + number % 2
    commands = generator.sequence(rng, LENGTH)
    try:
        found = disagreement(reference, server, protocol, commands, rng)
        if found:
            pytest.fail(report(reference, server, protocol, commands, found), pytrace=False)
    finally:
        reference.reset()


def test_the_generator_makes_every_command():
    """No row is unreachable, and the same seed makes the same commands."""
    made = (generator.command(random.Random(i)) for i in range(20000))
    names = {args[0].upper() for args in made}
    missing = {row.split(" ")[1] for row in generator.COMMANDS.strip().split("\n")} - {
        name.decode("latin-1") for name in names} - {"command"}
    assert not missing
    assert generator.command(random.Random(5)) == generator.command(random.Random(5))
