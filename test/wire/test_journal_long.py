"""Commands that take turns, journaled: their effects are theirs, though others write meanwhile."""

import signal
import threading

import pytest

from resp import Error, Status
from test_crash import begin
from test_journal_random import contents, differences

ELEMENTS = 40000

LONG = [
    ["LPOP", "list", str(ELEMENTS // 4)],
    ["SPOP", "set", str(ELEMENTS // 2)],
    ["ZPOPMIN", "zset", str(ELEMENTS // 3)],
    ["SUNIONSTORE", "other", "set", "set2"],
    ["COPY", "set", "copied"],
    ["BLMPOP", "0", "1", "list", "LEFT", "COUNT", str(ELEMENTS // 4)],
    ["BZMPOP", "0", "1", "zset", "MAX", "COUNT", str(ELEMENTS // 3)],
    ["ZUNIONSTORE", "union", "2", "zset", "set"],
    ["SORT", "set", "ALPHA", "STORE", "sorted"],
]


def fill(client):
    for at in range(0, ELEMENTS, 1000):
        some = ["m%d" % i for i in range(at, at + 1000)]
        client.pipeline([["RPUSH", "list"] + some, ["SADD", "set"] + some,
                         ["SADD", "set2"] + [x + "y" for x in some],
                         ["ZADD", "zset"] + [w for i, x in enumerate(some) for w in (str(at + i), x)]])


class Others(threading.Thread):
    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.stop = server, False

    def run(self):
        with self.server.connect() as client:
            n = 0
            while not self.stop:
                n += 1
                client.pipeline([["SET", "k%d" % (n % 100), str(n)], ["RPUSH", "q%d" % (n % 10), "x"],
                                 ["MULTI"], ["INCR", "a"], ["INCR", "b"], ["EXEC"]])


@pytest.mark.sherd_only
@pytest.mark.parametrize("within", ["alone", "transaction"])
def test_long_commands(kind, start, tmp_path, within):
    server = begin(start, kind, tmp_path, "everysec")
    others = [Others(server) for _ in range(3)]
    with server.connect() as client:
        fill(client)
        for thread in others:
            thread.start()
        for command in LONG:
            if within == "alone":
                replies = [client.command(*command)]
            else:
                replies = client.pipeline([["MULTI"], ["SET", "before", "1"], command,
                                           ["INCR", "after"], ["EXEC"]])
                assert replies[0] == Status("OK")
            assert not any(isinstance(x, Error) for x in replies)
    for thread in others:
        thread.stop = True
        thread.join()
    before, keys_before = contents(server)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    server = begin(start, kind, tmp_path, "everysec")
    after, keys_after = contents(server)
    assert not differences(keys_before, keys_after)
    assert before == after
