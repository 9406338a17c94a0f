"""Many clients in blocking commands on overlapping lists of keys, while others push, time out and leave:
every element is received exactly once or is still in a list, and who came first is served first.

Clients leave by ending their half of the connection, and read what was on its way to them. The
reference drops what it has for a client whose end it sees, so nobody leaves it before the end.

    SEED=n repeats the choice of operations (not their timing)
"""

import os
import random
import resource
import select
import time

import pytest

import workers
from resp import Client, Closed, Error, NIL_ARRAY, TIMEOUT_S, encode
from test_blocking import blocked_clients
from waiting import until

SEED = int(os.environ.get("SEED") or time.time_ns() % 10 ** 9)
SCALE = float(os.environ.get("SCALE", "1"))
CLIENTS = max(40, int(1000 * SCALE))
KEYS = ["k%d" % i for i in range(24)]

pytestmark = [pytest.mark.stress]


@pytest.fixture(autouse=True)
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def some_keys(rng, keys=KEYS):
    return rng.sample(keys, rng.randrange(1, 5))


# --- exactly once ---

def waiting_command(rng):
    how = rng.random()
    keys = some_keys(rng)
    timeout = rng.choice(["0", "0", "0.001", "0.01", "0.05"])
    if how < .6:
        return [rng.choice(["BLPOP", "BRPOP"])] + keys + [timeout]
    if how < .8:
        return ["BLMPOP", timeout, len(keys)] + keys + [rng.choice(["LEFT", "RIGHT"]), "COUNT",
                                                       rng.randrange(1, 4)]
    return ["BLMOVE", keys[0], rng.choice(KEYS), rng.choice(["LEFT", "RIGHT"]), "LEFT", timeout]


def elements_of(reply):
    """What a reply has taken out of a list; what BLMOVE answers has only moved."""
    assert not isinstance(reply, Error), reply
    if reply is NIL_ARRAY or isinstance(reply, bytes):
        return []
    return reply[1] if isinstance(reply[1], list) else [reply[1]]


def connect(address):
    """As many come at once as the server's backlog takes, and more."""
    while True:
        try:
            return Client(address)
        except BlockingIOError:
            time.sleep(0.001)


class Consumer:
    """A client that waits again as soon as it is served, and once in a while leaves."""

    def __init__(self, address, rng):
        self.client = connect(address)
        self.rng = rng
        self.wait()

    def wait(self):
        self.client.send(encode(waiting_command(self.rng)))


def drain(client, found, moved_on):
    """All replies that have come."""
    while True:
        reply = client.decoder.next()
        if reply is None:
            return
        found += elements_of(reply)
        moved_on()


def consume(number, address, count, leaves):
    """Runs many clients at once until all elements are out; in between some leave, and others come.
    Returns what they received."""
    rng = random.Random("%d consume %d" % (SEED, number))
    poll = select.poll()
    found, consumers = [], {}

    def come():
        consumer = Consumer(address, rng)
        consumers[consumer.client.socket.fileno()] = consumer
        poll.register(consumer.client.socket, select.POLLIN)

    def leave(fd):
        """Stops sending; what was on its way to it still comes."""
        consumer = consumers.pop(fd)
        poll.unregister(fd)
        consumer.client.finish_sending()
        try:
            while True:
                drain(consumer.client, found, lambda: None)
                consumer.client.receive()
        except Closed:
            drain(consumer.client, found, lambda: None)
        consumer.client.close()

    for _ in range(count):
        come()
    with connect(address) as control:
        while not control.command("EXISTS", "over"):
            for fd, _ in poll.poll(20):
                consumer = consumers[fd]
                consumer.client.receive()
                drain(consumer.client, found, consumer.wait)
            for fd in rng.sample(list(consumers), rng.randrange(4) if leaves else 0):
                leave(fd)
                come()
    for fd in list(consumers):
        leave(fd)
    return found


def produce(number, address, count):
    rng = random.Random("%d produce %d" % (SEED, number))
    serial = 0
    with connect(address) as client:
        while serial < count:
            commands, pushes = [], rng.randrange(1, 6)
            for _ in range(pushes):
                size = rng.choice([1, 1, 1, 2, 5])
                elements = ["%d:%d" % (number, serial + i) for i in range(size)]
                serial += size
                commands.append([rng.choice(["LPUSH", "RPUSH"]), rng.choice(KEYS)] + elements)
            if rng.random() < .4:
                commands = [["MULTI"]] + commands + [["EXEC"]]
            if rng.random() < .2:
                commands.append(["LMOVE", rng.choice(KEYS), rng.choice(KEYS), "LEFT", "RIGHT"])
            client.send(b"".join(map(encode, commands)))
            for _ in commands:
                reply = client.read()
                assert not isinstance(reply, Error), reply
        client.command("INCR", "produced")
    return ["%d:%d" % (number, i) for i in range(serial)]


def unblock(number, address, producers):
    """Unblocks clients by chance until all is produced, then says that it is over."""
    rng = random.Random("%d unblock" % SEED)
    with connect(address) as client:
        last = client.command("CLIENT", "ID")
        while int(client.command("GET", "produced") or 0) < producers:
            last = max(last, client.command("CLIENT", "ID"))
            client.pipeline([["CLIENT", "UNBLOCK", rng.randrange(last + CLIENTS)]
                             for _ in range(10)])
        client.command("SET", "over", "1")
    return []


def test_each_element_once(server):
    producers = 3
    per_process = CLIENTS // 2
    results = workers.run(
        [(consume, (server.path, per_process, server.is_sherd))] * 2 +
        [(produce, (server.path, int(4000 * SCALE) or 100))] * producers +
        [(unblock, (server.path, producers))])
    received = [x.decode() for result in results[:2] for x in result]
    pushed = [x for result in results[2:2 + producers] for x in result]
    with server.connect_unix() as client:
        left = [x.decode() for key in KEYS for x in client.command("LRANGE", key, 0, -1)]
        assert sorted(received + left) == sorted(pushed), "seed %d" % SEED
        assert received, "nobody was served"
        until(lambda: blocked_clients(client) == 0, "clients that have gone are blocked")
        if server.is_sherd:
            until(lambda: b"total_blocking_keys:0\r" in client("INFO clients"),
                     "places remain in queues")


# --- first in, first served ---

def push_to(number, address, keys, count):
    """Numbers the elements of each key; nobody else pushes to it. Returns how many each has got."""
    rng = random.Random("%d push %d" % (SEED, number))
    serial = dict.fromkeys(keys, 0)
    with connect(address) as client:
        for _ in range(count):
            key = rng.choice(keys)
            size = rng.choice([1, 1, 1, 2, 3])
            client.command("RPUSH", key, *range(serial[key], serial[key] + size))
            serial[key] += size
    return serial


def take_away(number, address, clients, leave):
    """Ends the waiting of some clients (and their ids) in every way that still lets them hear what was
    on its way to them: they aren't served, or were before."""
    rng = random.Random("%d away" % SEED)
    with connect(address) as control:
        for client, id_ in clients:
            how = rng.randrange(3)
            if how == 2 and leave:
                client.finish_sending()
            else:
                control.command("CLIENT", "UNBLOCK", id_, ["TIMEOUT", "ERROR"][how % 2])


def last_words(client):
    """The reply of a client that has waited; None: it waits yet, or is closed."""
    try:
        return client.read()
    except (Closed, OSError):
        return None


def test_first_in_first_served(server):
    rng = random.Random("%d order" % SEED)
    waiting, keys_of, ids = [], [], []
    with server.connect_unix() as control:
        for i in range(CLIENTS):
            keys_of.append(some_keys(rng))
            client = Client(server.path)
            ids.append(client.command("CLIENT", "ID"))
            # They come one after the other, so that there is an order.
            client.send(encode(["BLPOP"] + keys_of[i] + ["0"]))
            waiting.append(client)
            until(lambda: blocked_clients(control) == i + 1, "it doesn't block")
        away = rng.sample(range(CLIENTS), CLIENTS // 8)
        parts = [KEYS[i::3] for i in range(3)]
        results = workers.run(
            [(push_to, (server.path, part, CLIENTS // 6)) for part in parts] +
            [(take_away, (server.path, [(waiting[i], ids[i]) for i in away],
                           server.is_sherd))])
        pushed = {key: n for result in results[:3] for key, n in result.items()}
        # Nobody waits any more for what is on its way.
        still = blocked_clients(control)
        replies = []
        for client, id_ in zip(waiting, ids):
            control.command("CLIENT", "UNBLOCK", id_, "ERROR")
            replies.append(last_words(client))
        left = {key: [int(x) for x in control.command("LRANGE", key, 0, -1)] for key in KEYS}
        for client in waiting:
            client.close()
    served = {key: [] for key in KEYS}
    for i, reply in enumerate(replies):
        if isinstance(reply, list):
            served[reply[0].decode()].append((i, int(reply[1])))
    waited_in_vain = {i for i, reply in enumerate(replies)
                      if isinstance(reply, Error) and i not in away}
    assert len(waited_in_vain) <= still <= CLIENTS
    for key in KEYS:
        order = [element for _, element in served[key]]
        assert order == sorted(order), "%s: not in the order in which they came, seed %d" % (key, SEED)
        taken = len(order)
        assert order == list(range(taken)) and left[key] == list(range(taken, pushed[key])), (
            "%s: lost or doubled, seed %d" % (key, SEED))
        if served[key]:
            last = served[key][-1][0]
            passed_over = [i for i in waited_in_vain if i < last and key in keys_of[i]]
            assert not passed_over, "%s: passed over, seed %d" % (key, SEED)
        if left[key]:
            assert not [i for i in waited_in_vain if key in keys_of[i]], (
                "%s: elements are left, and clients that wait for them" % key)
