#!/usr/bin/python3
"""Does everybody get on when all clients want the same keys?

All clients INCR one key; then all clients MSET the same 8 keys, in different shards. Prints, for sherd and
for the reference server beside it: operations a second, those of the slowest and of the fastest client and how
far they are apart, and the longest time that any client waited for a reply.

    /usr/bin/python3 bench/hotspot.py [--seconds 5] [--workers 2]
"""
import argparse
import os
import shutil

from run import BUILD, Server, blocks

LOADS = {"incr": "INCR of one key", "same": "MSET of the same 8 keys"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    sherd = os.environ.get("SHERD", os.path.join(BUILD, "sherd"))
    servers = []
    row = "%-24s  %-6s  %9s  %8s  %8s  %6s  %10s"
    try:
        servers.append(Server("sherd", [sherd, "--port", "PORT", "--bind", "127.0.0.1", "--save", "",
                                        "--workers", str(args.workers)]))
        servers.append(Server("redis", ["redis-server", "--port", "PORT", "--save", "", "--dir", "DIR"],
                              shutil.which("redis-check-rdb")))
        print(row % ("load", "server", "ops/s", "slowest", "fastest", "spread", "longest ms"))
        for kind, title in LOADS.items():
            for server in servers:
                r = blocks(server, kind, args.seconds)
                spread = r["most"] / r["fewest"] if r["fewest"] else float("inf")
                print(row % (title, server.name, r["ops"], "%.0f" % (r["fewest"] / args.seconds),
                             "%.0f" % (r["most"] / args.seconds), "%.2f" % spread, "%.1f" % r["longest"]))
    finally:
        for server in servers:
            server.stop()


if __name__ == "__main__":
    main()
