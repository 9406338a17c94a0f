#!/usr/bin/python3
"""What durability costs, beside the reference server.

Both servers get the same keys. Then, one after the other, a snapshot is taken under full SET load: how much memory
that takes at its peak (shared pages of a forked child counted once), what it does to latencies, and how long it takes;
then one without load; then a start from it. Of sherd also an incremental snapshot after some keys have changed. At
last SET throughput with and without the append-only log, and with appendfsync always; without automatic rewrites, which are
snapshots.

    /usr/bin/python3 bench/persist.py [--keys 5000000] [--rounds 3] [--seconds 3] [--workers 2] [--parts snapshot,log]
"""
import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time

from run import BUILD, Server

VALUE_BYTES = 100
CHANGED_SHARE = 100     # one key of so many is written before the incremental snapshot
SAMPLE_S = 0.1          # to look costs the server time: its pages are counted
POLL_S = 0.02
SNAPSHOT_MAX_S = 300
WARM_MB = 6000          # more than what a round of loads writes
REFERENCE = shutil.which("redis-check-rdb")


def ask(server, *words):
    """One command's reply, as text: for +, : and bulk replies."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=SNAPSHOT_MAX_S) as s:
        s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
        f = s.makefile("rb")
        line = f.readline().decode().rstrip()
        if line[0] != "$":
            return line
        return f.read(int(line[1:])).decode()


def info(server, name):
    """A field of INFO persistence."""
    found = re.search(r"^%s:(.*?)\r?$" % name, ask(server, "INFO", "persistence"), re.M)
    return found.group(1) if found else None


def start(name, argv, executable=None, directory=None):
    """A server that has loaded its data; the seconds that took."""
    began = time.monotonic()
    server = Server(name, argv + (["--dir", directory] if directory else []), executable)
    while True:
        try:
            if info(server, "loading") == "0":
                return server, time.monotonic() - began
        except (OSError, IndexError):
            pass
        time.sleep(0.01)


def sherd_argv(workers, *more):
    sherd = os.environ.get("SHERD", os.path.join(BUILD, "sherd"))
    return [sherd, "--port", "PORT", "--bind", "127.0.0.1", "--workers", str(workers), "--save", "", *more]


def redis_argv(*more):
    return ["redis-server", "--port", "PORT", "--bind", "127.0.0.1", "--save", "", *more]


def memtier(server, keys, *options):
    """All figures of one load; None for a load of nothing."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run(["memtier_benchmark", "-s", "127.0.0.1", "-p", str(server.port), "-t", "2", "-c", "25",
                        "-d", str(VALUE_BYTES), "-R", "--key-maximum", str(keys), "--ratio", "1:0",
                        "--distinct-client-seed", "--hide-histogram", "--json-out-file", out.name, *options],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=SNAPSHOT_MAX_S, check=True)
        with open(out.name) as f:
            totals = json.load(f)["ALL STATS"]["Totals"]
    latency = totals["Percentile Latencies"]
    return {"ops": totals["Ops/sec"], "p99.9": latency["p99.90"], "longest": totals["Max Latency"]}


def processes(server):
    """The server and what it has forked."""
    pid = server.process.pid
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return [pid] + [int(word) for word in f.read().split()]
    except OSError:
        return [pid]


def memory(server):
    """Resident bytes of all of them; what they share counts once."""
    total = 0
    for pid in processes(server):
        try:
            with open("/proc/%d/smaps_rollup" % pid) as f:
                total += int(re.search(r"^Pss:\s*(\d+)", f.read(), re.M).group(1)) * 1024
        except (OSError, AttributeError):
            pass
    return total


class Sampler(threading.Thread):
    """The peak of memory while it runs."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.peak, self.stopped = server, 0, threading.Event()
        self.start()

    def run(self):
        while not self.stopped.wait(SAMPLE_S):
            self.peak = max(self.peak, memory(self.server))

    def stop(self):
        self.stopped.set()
        self.join()
        return self.peak


def snapshot(server, *how):
    """Takes one and waits; the seconds it took."""
    began = time.monotonic()
    reply = ask(server, "BGSAVE", *how)
    if not reply.startswith("+"):
        raise SystemExit("%s: BGSAVE answers %s" % (server.name, reply))
    while info(server, "rdb_bgsave_in_progress") != "0":
        time.sleep(POLL_S)
    if info(server, "rdb_last_bgsave_status") != "ok":
        raise SystemExit("%s: the snapshot failed" % server.name)
    return time.monotonic() - began


def under_load(server, keys, seconds, rounds):
    """
    SETs before and during snapshots, which follow one another as long as the load lasts, in turns: the medians, the
    worst of memory.
    """
    load = ["--pipeline", "16", "--key-pattern", "R:R", "--test-time", str(seconds)]
    before, during, took, peaks = [], [], [], []
    for _ in range(rounds):
        before.append(memtier(server, keys, *load))
        data = memory(server)
        sampler = Sampler(server)
        done = threading.Event()
        saving = threading.Thread(target=save_on, args=(server, done, took))
        saving.start()
        during.append(memtier(server, keys, *load))
        done.set()
        saving.join()
        peaks.append((sampler.stop() / data, data))
    result = {"data": max(peaks)[1], "peak": max(peaks)[0], "took": statistics.median(took)}
    for name, rows in ("before", before), ("during", during):
        result[name] = {field: statistics.median(row[field] for row in rows) for field in rows[0]}
    result["ratio"] = statistics.median(d["p99.9"] / b["p99.9"] for b, d in zip(before, during))
    return result


def save_on(server, done, took):
    """One snapshot after the other."""
    while not done.is_set():
        took.append(snapshot(server))


def files_bytes(directory):
    return sum(os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk(directory) for name in names)


def cpu_of(server):
    return sum(server.cpu())


def restart(server, argv, executable):
    """Ends it without saving and starts it again on its files."""
    try:
        ask(server, "SHUTDOWN", "NOSAVE")
    except (OSError, IndexError):
        pass
    server.process.wait()
    again, seconds = start(server.name, argv, executable, server.dir)
    shutil.rmtree(again.dir, ignore_errors=True)
    again.dir = server.dir
    return again, seconds


def snapshots(args):
    kinds = {"sherd": (sherd_argv(args.workers), None), "redis": (redis_argv(), REFERENCE)}
    for name, (argv, executable) in kinds.items():
        directory = tempfile.mkdtemp(prefix="sherd-bench-")
        server, _ = start(name, argv, executable, directory)
        shutil.rmtree(server.dir, ignore_errors=True)
        server.dir = directory
        try:
            memtier(server, args.keys, "--pipeline", "64", "-n", "allkeys", "--key-pattern", "P:P")
            quiet = snapshot(server)
            size = files_bytes(directory)
            r = under_load(server, args.keys, args.seconds * 4, args.rounds)
            final = snapshot(server)
            print("%-6s snapshot of %d keys: %.2f s quiet (%d MB), %.2f s under load, last %.2f s" %
                  (name, args.keys, quiet, size >> 20, r["took"], final))
            print("%-6s memory: %d MB of data, peak %d MB during snapshots: %.2f x" %
                  (name, r["data"] >> 20, int(r["peak"] * r["data"]) >> 20, r["peak"]))
            print("%-6s SET P16 before: %.0f/s, p99.9 %.2f ms, longest %.1f ms; during: %.0f/s, %.2f ms (%.2f x), %.1f ms" %
                  (name, r["before"]["ops"], r["before"]["p99.9"], r["before"]["longest"], r["during"]["ops"],
                   r["during"]["p99.9"], r["ratio"], r["during"]["longest"]))
            if name == "sherd":
                incremental(server, args.keys)
            server, seconds = restart(server, argv, executable)
            keys = int(ask(server, "DBSIZE")[1:])
            print("%-6s load: %d keys in %.2f s, %.2f million a second" % (name, keys, seconds, keys / seconds / 1e6))
        finally:
            server.stop()


def incremental(server, keys):
    """What one costs after a share of the keys has changed, in time, CPU and bytes, beside a full one."""
    snapshot(server, "INCREMENTAL")     # from here on changes are noted
    cpu, size = cpu_of(server), files_bytes(server.dir)
    full = snapshot(server)
    full_cpu = cpu_of(server) - cpu
    size = files_bytes(server.dir)
    memtier(server, keys // CHANGED_SHARE, "--pipeline", "16", "--key-pattern", "P:P", "-n", "allkeys")
    cpu = cpu_of(server)
    took = snapshot(server, "INCREMENTAL")
    took_cpu = cpu_of(server) - cpu
    grown = files_bytes(server.dir) - size
    print("sherd  incremental snapshot after 1/%d changed: %.3f s, %.3f s of CPU, %.1f MB; full %.3f s, %.3f s, %.1f MB: "
          "%.1f %%, %.1f %%, %.1f %%" % (CHANGED_SHARE, took, took_cpu, grown / 1e6, full, full_cpu, size / 1e6,
                                         100 * took / full, 100 * took_cpu / full_cpu, 100 * grown / size))


def warm_page_cache(directory):
    """Touches memory that files will stand in: on a virtual machine the first touch of a page costs more than all the rest."""
    path = os.path.join(directory, "warm")
    piece = bytes(1 << 20)
    with open(path, "wb", buffering=0) as f:
        for _ in range(WARM_MB):
            f.write(piece)
    os.unlink(path)


def logs(args):
    everysec = ["--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"]
    always = everysec + ["--appendfsync", "always"]
    kinds = {
        "sherd": (sherd_argv(args.workers), None),
        "sherd everysec": (sherd_argv(args.workers, *everysec), None),
        "redis everysec": (redis_argv(*everysec), REFERENCE),
        "sherd always": (sherd_argv(args.workers, *always), None),
        "redis always": (redis_argv(*always), REFERENCE),
    }
    servers = {name: start(name, argv + ["--dir", "DIR"], executable)[0] for name, (argv, executable) in kinds.items()}
    rows = {name: [] for name in kinds}
    try:
        for _ in range(args.rounds):
            warm_page_cache(servers["sherd"].dir)
            for name, server in servers.items():
                load = ["--pipeline", "1" if name.endswith("always") else "64", "--key-pattern", "R:R"]
                rows[name].append(memtier(server, 1000000, "--test-time", str(args.seconds), *load)["ops"])
    finally:
        for server in servers.values():
            server.stop()
    for name, ops in rows.items():
        print("%-16s SET, pipeline %2s: %.0f/s" % (name, "1" if name.endswith("always") else "64", statistics.median(ops)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=5000000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--parts", default="snapshot,log")
    args = parser.parse_args()
    if "snapshot" in args.parts:
        snapshots(args)
    if "log" in args.parts:
        logs(args)


if __name__ == "__main__":
    main()
