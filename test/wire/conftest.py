"""Fixtures: `server` runs a test against the reference and against sherd with 1, 2 and 5 workers;
`start` gives a test servers of its own.

    pytest test/wire --servers=reference,sherd-2     only these kinds; "own": tests that choose for themselves
    SHERD=path                                       the sherd to test (default: build/sherd)
    SLOWNESS=n                                       multiplies all timeouts (sanitizer builds)
"""

import os

import pytest

import servers
from resp import Closed
from servers import KINDS, Server, is_sherd

NEEDED_VERSION = (7, 0)         # the reference that our expectations are confirmed by
OWN = "own"


def pytest_addoption(parser):
    parser.addoption("--servers", default=",".join(KINDS + (OWN,)),
                     help="comma-separated kinds of servers: %(default)s; " + OWN +
                     ": tests that choose their servers themselves, and run once")


def pytest_configure(config):
    for mark in ("sherd_only: not run against the reference server",
                 "reference_only: a difference that we keep: not run against sherd",
                 "one_kind: run once, against sherd-2 (and the reference)",
                 "stress: concurrency; also run under the sanitizers"):
        config.addinivalue_line("markers", mark)


def selected(config):
    kinds = config.getoption("--servers").split(",")
    unknown = [x for x in kinds if x not in ("reference", OWN) and not is_sherd(x)]
    if unknown:
        raise pytest.UsageError("no such kind of server: %s" % unknown[0])
    return kinds


def selected_kinds(config):
    return [x for x in selected(config) if x != OWN]


def pytest_sessionstart(session):
    if selected(session.config) != ["reference"] and not os.access(servers.SHERD, os.X_OK):
        pytest.exit("%s doesn't exist or isn't executable: build it, or name it by SHERD=path, "
                    "or run with --servers reference" % servers.SHERD, 2)


def pytest_generate_tests(metafunc):
    for fixture in ("server", "kind"):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, selected_kinds(metafunc.config) or [None], indirect=True,
                                 scope="function")


def pytest_collection_modifyitems(config, items):
    """Takes out what isn't meant for a kind of server: no skips, no noise."""
    version = servers.reference_version()
    usable = version is not None and version[:2] == NEEDED_VERSION
    kept, dropped = [], []
    for item in items:
        params = getattr(item, "callspec", None) and item.callspec.params or {}
        kind = params.get("server") or params.get("kind")
        needed = {"server", "kind"} & set(item.fixturenames)
        out = (kind == "reference" and (item.get_closest_marker("sherd_only") or not usable)
               or kind and is_sherd(kind) and item.get_closest_marker("reference_only")
               or kind in ("sherd-1", "sherd-5") and item.get_closest_marker("one_kind")
               or needed and not kind
               or not needed and OWN not in selected(config))
        (dropped if out else kept).append(item)
    items[:] = kept
    if dropped:
        config.hook.pytest_deselected(items=dropped)
    config.reference_note = None if usable else (
        "no Redis %d.%d reference server here (found: %s): only sherd is tested" %
        (NEEDED_VERSION + (version and ".".join(map(str, version)) or "none",)))


def pytest_report_collectionfinish(config):
    return config.reference_note or []


class Pool:
    """The servers that tests share, one of each kind, started when first needed."""

    def __init__(self):
        self.running = {}

    def get(self, kind):
        if kind not in self.running:
            server = Server(kind).start()
            server.remember()
            self.running[kind] = server
        return self.running[kind]

    def drop(self, kind):
        """What was wrong with its end: a list of lines."""
        return end_of(self.running.pop(kind))


def end_of(server, status_expected=(0,)):
    status = server.stop()
    problems = []
    if status not in status_expected:
        problems.append("%s exited with status %s:\n%s" % (server.name, status, server.log_tail()))
    report = server.sanitizer_report()
    if report:
        problems.append("%s:\n%s" % (server.name, report))
    server.remove()
    return problems


@pytest.fixture(scope="session")
def pool():
    shared = Pool()
    yield shared
    problems = [line for kind in list(shared.running) for line in shared.drop(kind)]
    if problems:
        pytest.fail("after all tests:\n" + "\n".join(problems), pytrace=False)


@pytest.fixture(scope="session")
def reference_usable():
    version = servers.reference_version()
    return version is not None and version[:2] == NEEDED_VERSION


@pytest.fixture
def kind(request):
    return request.param


@pytest.fixture
def server(request, pool):
    """A running server with empty databases and its usual configuration."""
    shared = pool.get(request.param)
    request.node.watched = [(shared, shared.log_size())]
    yield shared
    try:
        shared.reset()
    except (OSError, Closed) as e:
        pytest.fail("\n".join(["%s doesn't work any more after this test: %r" % (shared.name, e)] +
                              pool.drop(request.param)), pytrace=False)


@pytest.fixture
def client(server):
    with server.connect_unix() as connection:
        yield connection


@pytest.fixture
def start(request):
    """start(kind, **) starts a server for this test alone; see Server. `wait=False`: only
    spawns it."""
    mine = []
    request.node.watched = getattr(request.node, "watched", [])

    def start_one(kind, *options, wait=True, **kw):
        server = Server(kind, options, **kw)
        mine.append(server)
        request.node.watched.append((server, 0))
        if wait:
            return server.start()
        server.port = servers.free_port()
        server.spawn()
        return server
    yield start_one
    # Killed and refused servers have other statuses than 0; a test that cares asks for itself.
    problems = [line for server in mine for line in end_of(server, range(-64, 256))]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if call.when == "call" and report.failed:
        for server, offset in getattr(item, "watched", []):
            text = server.log_tail(offset)
            if text:
                report.sections.append(("log of " + server.name, text))
