"""Starts and stops servers for tests: sherd, and the reference server that it must agree with.

The reference is the Redis 7.0 that Debian's redis-tools carries under another name: the binary
decides by its argv[0] whether it is redis-check-rdb or the server.

Each server gets a free port, a Unix socket and a directory of its own. `start()` returns when the
server answers; a server that doesn't come up raises `StartFailure` with its log.
"""

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from resp import Client, Closed, Error, TIMEOUT_S

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHERD = os.path.abspath(os.environ.get("SHERD", os.path.join(ROOT, "build", "sherd")))
REFERENCE = shutil.which("redis-check-rdb")
KINDS = ("reference", "sherd-1", "sherd-2", "sherd-5")
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
REFERENCE_HZ = "500"    # it looks so often whose timeout is over: tests of blocking wait for that
START_ATTEMPTS = 5      # a free port can be taken by somebody else before the server binds it
SHOWN_LOG_BYTES = 6000
SANITIZER = re.compile(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:")


class StartFailure(Exception):
    pass


def free_port(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def is_sherd(kind):
    return kind.startswith("sherd")


def command_line(kind):
    """What to execute for a kind of server, without options: (program, argv)."""
    if is_sherd(kind):
        return SHERD, [SHERD]
    return REFERENCE, ["redis-server"]


def reference_version():
    """(7, 0, 15) or so; None where there is no reference server."""
    if REFERENCE is None:
        return None
    out = subprocess.run(["redis-server", "--version"], executable=REFERENCE,
                         capture_output=True, text=True, check=False).stdout
    version = out.partition("v=")[2].split(" ")[0]
    return tuple(map(int, version.split("."))) if version else None


class Server:
    """`options` are (name, value) pairs over the usual ones; None as a value leaves a usual option
    out. `config` is the text of a configuration file, given as the first argument."""

    def __init__(self, kind, options=(), config=None, raw_arguments=None, prepare=None,
                 directory=None):
        self.kind = kind
        self.name = kind
        self.options = list(options)
        self.config = config
        self.raw_arguments = raw_arguments
        self.prepare = prepare                  # preexec function
        self.directory = directory or tempfile.mkdtemp(prefix="wire-")
        self.owns_directory = directory is None
        self.path = os.path.join(self.directory, "s")
        self.log_path = os.path.join(self.directory, "log")
        self.port = None
        self.process = None
        self.admin = None
        self.baseline = {}

    @property
    def is_sherd(self):
        return is_sherd(self.kind)

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    # Life

    def arguments(self):
        usual = {"port": str(self.port), "bind": "127.0.0.1", "unixsocket": self.path,
                 "dir": self.directory, "save": "", "enable-debug-command": "yes"}
        if self.is_sherd:
            usual["workers"] = self.kind.partition("-")[2]
        else:
            usual["hz"] = REFERENCE_HZ
        for name, value in self.options:
            usual[name] = value
        args = []
        if self.config is not None:
            config_path = os.path.join(self.directory, "conf")
            with open(config_path, "wb") as file:
                file.write(self.config if isinstance(self.config, bytes) else self.config.encode())
            args.append(config_path)
        for name, value in usual.items():
            if value is not None:
                args += ["--" + name] + (value if isinstance(value, list) else [value])
        return args

    def spawn(self):
        """Starts the process and doesn't wait for it."""
        program, argv = command_line(self.kind)
        args = self.arguments() if self.raw_arguments is None else self.raw_arguments
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(argv + args, executable=program, stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL,
                                            cwd=self.directory, preexec_fn=self._prepare)

    def _prepare(self):
        """In the new process: it must not outlive this one, however that ends."""
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if self.prepare:
            self.prepare()

    def start(self):
        for _ in range(START_ATTEMPTS):
            self.port = free_port()
            self.spawn()
            if self._wait_until_up():
                return self
            if b"ddress already in use" not in self.log().encode():
                break
        status = self.stop()
        raise StartFailure("%s didn't start (exit status %s), its log:\n%s" %
                           (self.name, status, self.log()))

    def _wait_until_up(self):
        deadline = time.monotonic() + 2 * TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return False
            try:
                with Client(self.path) as client:
                    if client.command("PING") is not None:
                        return True
            except (OSError, Closed):
                time.sleep(0.005)
        return False

    def wait_exit(self, timeout=TIMEOUT_S):
        return self.process.wait(timeout)

    def stop(self, how=signal.SIGTERM):
        """The exit status; a server that doesn't stop is killed and gives None."""
        if self.admin:
            self.admin.close()
            self.admin = None
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(2 * TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

    def remove(self):
        if self.owns_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    # What tests ask for

    def connect(self, timeout=TIMEOUT_S):
        return Client(self.address, timeout)

    def connect_unix(self, timeout=TIMEOUT_S):
        return Client(self.path, timeout)

    def log(self, offset=0):
        if not os.path.exists(self.log_path):       # shared a directory that is gone
            return ""
        with open(self.log_path, "rb") as file:
            file.seek(offset)
            return file.read().decode("utf-8", "replace")

    def log_tail(self, offset=0):
        return self.log(offset)[-SHOWN_LOG_BYTES:]

    def sanitizer_report(self):
        """What a sanitizer had to say, or None."""
        text = self.log()
        found = SANITIZER.search(text)
        return text[found.start():][:4 * SHOWN_LOG_BYTES] if found else None

    def log_size(self):
        return os.path.getsize(self.log_path)

    def info(self, section="everything"):
        with self.connect_unix() as client:
            text = client.command("INFO", section).decode()
        return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)

    # Sharing one server among tests

    def remember(self):
        self.admin = self.connect_unix()
        self.baseline = pairs(self.admin.command("CONFIG", "GET", "*"))

    def reset(self):
        """Empties all databases and puts the configuration back. Any exception: restart it."""
        if self.process.poll() is not None:
            raise Closed("the server ended with status %s" % self.process.returncode)
        for attempt in (1, 2):
            try:
                replies = self.admin.pipeline(["CLIENT UNPAUSE", "FLUSHALL", "CONFIG GET *",
                                               "DEBUG SET-ACTIVE-EXPIRE 1"])
                break
            except (OSError, Closed):
                if attempt == 2:
                    raise
                self.admin.close()
                self.admin = self.connect_unix()
        failed = [x for x in replies if isinstance(x, Error)]
        if failed:
            raise Closed("can't reset: %s" % failed[0])
        now = pairs(replies[2])
        changed = [(k, v) for k, v in self.baseline.items() if now.get(k) != v]
        for name, value in changed:
            reply = self.admin.command("CONFIG", "SET", name, value)
            if isinstance(reply, Error):
                raise Closed("can't put %s back: %s" % (name.decode(), reply))


def pairs(flat):
    """A dictionary of an array that alternates names and values."""
    return dict(zip(flat[::2], flat[1::2]))
