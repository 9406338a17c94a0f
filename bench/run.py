#!/usr/bin/python3
"""Measures Sherd beside the reference server and the floor.

All three servers run during the whole measurement; one is loaded at a time, round by round, so that a noisy
machine is noisy for all. Prints medians over the rounds: operations a second, latencies, the server process'
CPU microseconds per request, resident bytes a key, and ratios.

    /usr/bin/python3 bench/run.py [--rounds 5] [--seconds 5] [--workers 2] [--markdown] [--json FILE]
                                  [--scenarios get64,set64,mixed16,mixed1,...] [--idle]

The load comes from memtier_benchmark (-t 2 -c 25 -d 32, a million keys), or from redis-benchmark where that
is missing (then without latencies); requests on several keys and transactions from bench/blocks.c (an operation
is one MGET, MSET or transaction). The floor answers GET and SET alone. The reference server is the one inside Debian's redis-tools.
"""
import argparse
import datetime
import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
KEYS = 1_000_000
IDLE_CONNECTIONS = 10_000
BESIDE_RATE = 2000      # transactions a second in the background: some percent of what a server can do

COLLECTION_KEYS = 100_000


def one_command(command, prefix, called):
    """A scenario of one command, which is not a GET or SET, on many keys or on members of one."""
    return (["--command", command, "--command-key-pattern", "R", "--key-prefix", prefix, "--key-maximum",
             str(COLLECTION_KEYS), "--pipeline", "16"], None, called + ", pipeline 16")


# name: (memtier options or the kind of bench/blocks.c, or that and what runs beside it, redis-benchmark options, what it is called)
SCENARIOS = {
    "get64": (["--ratio", "0:1", "--pipeline", "64"], ["-t", "get", "-P", "64"], "GET, pipeline 64"),
    "set64": (["--ratio", "1:0", "--pipeline", "64"], ["-t", "set", "-P", "64"], "SET, pipeline 64"),
    "mixed16": (["--ratio", "1:10", "--pipeline", "16"], ["-t", "get", "-P", "16"], "1 SET : 10 GET, pipeline 16"),
    "mget8": ("mget", None, "MGET of 8, pipeline 16"),
    "mset8": ("mset", None, "MSET of 8, pipeline 16"),
    "multi4": ("multi", None, "MULTI of 4 SETs, pipeline 16"),
    "tagged4": ("tagged", None, "the same in one slot, pipeline 16"),
    "single16": ("single", None, "GET and SET on 99 % of the slots, pipeline 16"),
    "beside16": (("single", "few"), None, "the same beside MULTI on 1 % of them"),
    "mixed1": (["--ratio", "1:10", "--pipeline", "1"], ["-t", "get", "-P", "1"], "1 SET : 10 GET, no pipeline"),
    "hset": one_command("HSET __key__ field __data__", "h", "HSET, many small hashes"),
    "hget": one_command("HGET __key__ field", "h", "HGET, many small hashes"),
    "lpush": one_command("LPUSH __key__ __data__", "l", "LPUSH, many lists"),
    "rpop": one_command("RPOP __key__", "l", "RPOP, many lists"),
    "sadd": one_command("SADD __key__ member", "s", "SADD, many small sets"),
    "sismember": one_command("SISMEMBER __key__ member", "s", "SISMEMBER, many small sets"),
    "bigsadd": one_command("SADD set __key__", "m", "SADD, one big set"),
    "bigsismember": one_command("SISMEMBER set __key__", "m", "SISMEMBER, one big set"),
    "zadd": one_command("ZADD __key__ 5 member", "z", "ZADD, many small sorted sets"),
    "zscore": one_command("ZSCORE __key__ member", "z", "ZSCORE, many small sorted sets"),
    "bigzadd": one_command("ZADD zset __key__ __key__", "", "ZADD, one big sorted set"),
    "bigzscore": one_command("ZSCORE zset __key__", "", "ZSCORE, one big sorted set"),
    "bigzrange": one_command("ZRANGE zset __key__ +inf BYSCORE LIMIT 0 10", "", "ZRANGE of 10, one big sorted set"),
}
COMPARED_WITH_FLOOR = ("get64", "set64", "mixed16", "mixed1")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, name, argv, executable=None):
        self.name = name
        self.port = free_port()
        self.dir = tempfile.mkdtemp(prefix="sherd-bench-")
        argv = [a.replace("PORT", str(self.port)).replace("DIR", self.dir) for a in argv]
        self.process = subprocess.Popen(argv, executable=executable, stdout=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.05)
        sys.exit("%s doesn't come up" % name)

    def cpu(self):
        """User and system seconds so far."""
        with open("/proc/%d/stat" % self.process.pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return int(fields[11]) / TICKS_A_SECOND, int(fields[12]) / TICKS_A_SECOND

    def resident(self):
        with open("/proc/%d/statm" % self.process.pid) as f:
            return int(f.read().split()[1]) * PAGE

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


def memtier(server, options, seconds=None):
    """Runs one load. Returns operations a second, their number, and latencies in ms."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        length = ["--test-time", str(seconds)] if seconds else ["-n", "allkeys", "--key-pattern", "P:P"]
        subprocess.run(
            ["memtier_benchmark", "-s", "127.0.0.1", "-p", str(server.port), "-t", "2", "-c", "25", "-d", "32",
             "--key-maximum", str(KEYS), "--hide-histogram", "--json-out-file", out.name] + options + length,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300, check=True)
        with open(out.name) as f:
            totals = json.load(f)["ALL STATS"]["Totals"]
    latency = totals["Percentile Latencies"]
    return totals["Ops/sec"], totals["Count"], {p: latency["p" + p] for p in ("50.00", "99.00", "99.90")}


def redis_benchmark(server, options, seconds):
    count = 200_000 * seconds
    text = subprocess.run(
        ["redis-benchmark", "-p", str(server.port), "-c", "50", "-d", "32", "-r", str(KEYS), "-n", str(count), "-q"]
        + options, capture_output=True, text=True, timeout=300, check=True).stdout
    return float(re.findall(r"([\d.]+) requests per second", text)[-1]), count, {}


def blocks_command(server, kind, seconds, *more):
    return [os.path.join(BUILD, "bench", "blocks"), "--port", str(server.port), "--kind", kind, "--seconds", str(seconds),
            "--keys", str(KEYS), *more]


def blocks(server, kind, seconds):
    """All that bench/blocks.c says, as a dictionary."""
    return json.loads(subprocess.run(blocks_command(server, kind, seconds), capture_output=True, text=True,
                                     timeout=300, check=True).stdout)


def measure_blocks(server, kinds, seconds):
    """The first kind's figures, the second one runs beside it."""
    kind, *beside = [kinds] if isinstance(kinds, str) else kinds
    others = [subprocess.Popen(blocks_command(server, other, seconds + 10, "--rate", str(BESIDE_RATE),
                                              "--threads", "1", "--connections", "8"), stdout=subprocess.DEVNULL)
              for other in beside]
    try:
        if others:
            time.sleep(0.5)     # until they have made their blocks
        result = blocks(server, kind, seconds)
    finally:
        for other in others:
            other.terminate()
            other.wait()
    return result["ops"], result["count"], {name[1:]: ms for name, ms in result.items() if re.match(r"p\d", name)}


def is_blocks(scenario):
    return not isinstance(SCENARIOS[scenario][0], list)


def measure(server, scenario, seconds):
    with_memtier = shutil.which("memtier_benchmark")
    user, system = server.cpu()
    if is_blocks(scenario):
        ops, count, latency = measure_blocks(server, SCENARIOS[scenario][0], seconds)
    elif with_memtier:
        ops, count, latency = memtier(server, SCENARIOS[scenario][0], seconds)
    else:
        ops, count, latency = redis_benchmark(server, SCENARIOS[scenario][1], seconds)
    user_after, system_after = server.cpu()
    return {"ops": ops, "user_us": (user_after - user) * 1e6 / count, "sys_us": (system_after - system) * 1e6 / count,
            **{"p" + p.rstrip("0").rstrip("."): ms for p, ms in latency.items()}}


def load(server):
    """Loads all keys; returns resident bytes a key."""
    before = server.resident()
    if shutil.which("memtier_benchmark"):
        memtier(server, ["--ratio", "1:0", "--pipeline", "64"])
    else:
        redis_benchmark(server, ["-t", "set", "-P", "64"], 10)
    return (server.resident() - before) / KEYS


def idle_bytes(server):
    """Resident bytes of an idle connection that has been used once."""
    before = server.resident()
    connections = []
    for _ in range(IDLE_CONNECTIONS):
        s = socket.create_connection(("127.0.0.1", server.port))
        s.sendall(b"PING\r\n")
        s.recv(64)
        connections.append(s)
    after = server.resident()
    for s in connections:
        s.close()
    return (after - before) / IDLE_CONNECTIONS


def start_servers(servers, workers):
    """Adds each as soon as it runs: whoever has the list can stop it."""
    sherd = os.environ.get("SHERD", os.path.join(BUILD, "sherd"))
    servers.append(Server("sherd", [sherd, "--port", "PORT", "--bind", "127.0.0.1", "--save", "", "--workers", workers,
                                    "--maxclients", str(IDLE_CONNECTIONS + 100)]))
    servers.append(Server("redis", ["redis-server", "--port", "PORT", "--save", "", "--dir", "DIR",
                                    "--maxclients", str(IDLE_CONNECTIONS + 100)],
                          shutil.which("redis-check-rdb")))
    servers.append(Server("floor", [os.path.join(BUILD, "bench", "null_server"), "--port", "PORT",
                                    "--threads", workers]))


def measure_idle(workers):
    """Of fresh servers: with data loaded they have room to spare, which would hide what connections take."""
    servers = []
    try:
        start_servers(servers, workers)
        return {s.name: idle_bytes(s) for s in servers[:2]}
    finally:
        for server in servers:
            server.stop()


def machine():
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    return "%s, %d cores" % (model.group(1) if model else "unknown CPU", os.cpu_count())


def medians(rounds):
    return {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}


def table(results, names, markdown):
    columns = ["load", "server", "ops/s", "x redis", "user us", "sys us", "p50 ms", "p99 ms", "p99.9 ms"]
    rows = []
    for scenario, by_server in results.items():
        base = by_server["redis"]["ops"]
        for name in filter(by_server.get, names):
            m = by_server[name]
            rows.append([SCENARIOS[scenario][2], name, "%.0f" % m["ops"], "%.2f" % (m["ops"] / base),
                         "%.3f" % m["user_us"], "%.3f" % m["sys_us"]]
                        + ["%.2f" % m[p] if p in m else "-" for p in ("p50", "p99", "p99.9")])
    if markdown:
        lines = ["| " + " | ".join(r) + " |" for r in [columns, ["---"] * len(columns)] + rows]
    else:
        widths = [max(len(r[i]) for r in [columns] + rows) for i in range(len(columns))]
        lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths)) for r in [columns] + rows]
    return "\n".join(lines)


def need_programs():
    """Ends with what to do when something that is measured isn't there."""
    floor = os.path.join(BUILD, "bench", "null_server")
    if not os.path.exists(floor):
        sys.exit("%s isn't built. Build it, and all the rest: cd %s && . server/install.sh && "
                 "build_tree %s -Dtests=true" % (floor, ROOT, BUILD))
    if not shutil.which("redis-check-rdb"):
        sys.exit("The reference server is missing: apt-get install redis-tools")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--idle", action="store_true", help="measure idle connections too")
    args = parser.parse_args()
    need_programs()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    idle = measure_idle(str(args.workers)) if args.idle else {}
    servers = []
    try:
        start_servers(servers, str(args.workers))
        bytes_a_key = {s.name: load(s) for s in servers}
        scenarios = args.scenarios.split(",")
        loaded = {sc: [s for s in servers if s.name != "floor" or sc in COMPARED_WITH_FLOOR] for sc in scenarios}
        raw = {scenario: {s.name: [] for s in loaded[scenario]} for scenario in scenarios}
        for number in range(args.rounds):
            for scenario in scenarios:
                for server in loaded[scenario]:
                    raw[scenario][server.name].append(measure(server, scenario, args.seconds))
            print("round %d of %d done" % (number + 1, args.rounds), file=sys.stderr)
    finally:
        for server in servers:
            server.stop()
    results = {sc: {n: medians(r) for n, r in by.items()} for sc, by in raw.items()}
    print("%s, %s; %d workers, medians of %d rounds of %d s" %
          (datetime.date.today(), machine(), args.workers, args.rounds, args.seconds))
    print()
    print(table(results, [s.name for s in servers], args.markdown))
    print()
    if "single16" in results and "beside16" in results:
        print("beside transactions: " + ", ".join(
            "%s %+.1f %%" % (name, 100 * (beside["ops"] / results["single16"][name]["ops"] - 1))
            for name, beside in results["beside16"].items()))
    print("resident bytes a key: sherd %.0f, redis %.0f" % (bytes_a_key["sherd"], bytes_a_key["redis"]))
    for name, size in idle.items():
        print("resident bytes an idle connection: %s %.0f" % (name, size))
    if args.json:
        with open(args.json, "w") as f:
            json.dump({"rounds": raw, "bytes_a_key": bytes_a_key, "idle": idle}, f, indent=1)


if __name__ == "__main__":
    main()
