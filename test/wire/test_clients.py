"""Programs and libraries that people use: redis-py, redis-cli, redis-benchmark, memtier_benchmark."""

import shutil
import subprocess

import pytest

from resp import TIMEOUT_S

redis = pytest.importorskip("redis")


@pytest.fixture
def library(server):
    client = redis.Redis(port=server.port, socket_timeout=TIMEOUT_S)
    yield client
    client.close()


def test_library_strings_and_keys(library):
    assert library.ping()
    assert library.set("k", "v", ex=100) and library.get("k") == b"v"
    assert 98 < library.ttl("k") <= 100
    assert library.set("k", "w", nx=True) is None
    assert library.set("k", "w", get=True) == b"v"
    assert library.mset({"a": 1, "b": 2, "c": 3}) and library.mget("a", "x", "c") == [b"1", None, b"3"]
    assert library.incrby("a", 5) == 6 and library.incrbyfloat("a", 0.5) == 6.5
    assert library.setbit("bits", 7, 1) == 0 and library.bitcount("bits") == 1
    assert library.bitfield("f").set("u8", 0, 255).incrby("u8", 0, 1).execute() == [0, 0]
    assert sorted(library.keys()) == [b"a", b"b", b"bits", b"c", b"f", b"k"]
    assert library.delete("a", "b", "x") == 2 and library.exists("a", "c") == 1
    assert library.rename("c", "d") and library.type("d") == b"string"
    with pytest.raises(redis.ResponseError, match="no such key"):
        library.rename("x", "y")


def test_library_scan_and_pipeline(library):
    with library.pipeline(transaction=False) as pipeline:
        for i in range(500):
            pipeline.set("key:%d" % i, i)
        assert all(pipeline.execute())
    assert {k for k in library.scan_iter("key:*", count=50)} == {b"key:%d" % i for i in range(500)}
    assert library.dbsize() == 500


def test_library_reads_the_servers_own_words(server, library):
    assert library.info()["tcp_port"] == server.port
    assert library.info("commandstats")
    assert library.config_get("maxclients") == {"maxclients": "10000"}
    assert any(x["cmd"] == "client|list" for x in library.client_list())
    assert library.client_info()["db"] == 0
    assert library.command_count() > 50 and library.command()["get"]["arity"] == 2
    assert library.slowlog_len() >= 0 and library.slowlog_get() is not None
    assert library.memory_usage("absent") is None and library.memory_stats()["keys.count"] == 0
    assert len(library.time()) == 2


def run(*command, text=None):
    if shutil.which(command[0]) is None:
        pytest.skip("no %s here" % command[0])
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False,
                          timeout=4 * TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_redis_cli(server):
    port = str(server.port)
    assert run("redis-cli", "-p", port, "SET", "k", "v") == "OK\n"
    assert run("redis-cli", "-p", port, "-3", "GET", "k") == "v\n"
    assert run("redis-cli", "-s", server.path, "GET", "absent") == "\n"
    assert run("redis-cli", "-p", port, text="INCR n\nINCR n\nMGET n k\n") == "1\n2\n2\nv\n"
    assert run("redis-cli", "-p", port, "--scan", "--pattern", "k*") == "k\n"
    assert run("redis-cli", "-p", port, "-x", "SET", "piped", text="text") == "OK\n"
    replies = run("redis-cli", "-p", port, "--pipe", text="".join("SET p%d v\r\n" % i
                                                                  for i in range(5000)))
    assert "errors: 0, replies: 5000" in replies
    run("redis-cli", "-p", port, "--bigkeys")


@pytest.mark.parametrize("pipeline", ["1", "16"])
def test_redis_benchmark(server, pipeline):
    out = run("redis-benchmark", "-p", str(server.port), "-n", "20000", "-c", "20", "-P", pipeline,
              "-r", "1000", "-t", "ping,set,get,incr,mset", "-q")
    assert out.count("requests per second") == 6 and "rror" not in out, out


def test_memtier_benchmark(server):
    out = run("memtier_benchmark", "-p", str(server.port), "-n", "2000", "-t", "2", "-c", "5",
              "--pipeline", "8", "--ratio", "1:10", "--hide-histogram")
    assert "Totals" in out and "error" not in out.lower(), out
