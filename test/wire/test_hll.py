"""HyperLogLogs: strings in Redis' format, byte for byte."""

import random

import pytest

from table import table

test_hyperloglogs = table(r"""
## pfadd and pfcount
PFADD h a b c                           => 1
PFADD h a b c                           => 0
PFADD h a b c d                         => 1
PFCOUNT h                               => 4
PFCOUNT h                               => 4
GET h                                   => "HYLL\x01\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\\{\x80Dv\x80P\xb1\x84K\xfb\x80BZ"
STRLEN h                                => 30
TYPE h                                  => +string
OBJECT ENCODING h                       => "raw"
PFADD h                                 => 0
PFADD empty                             => 1
GET empty                               => "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xff"
PFCOUNT empty                           => 0
GET empty                               => "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x7f\xff"
PFCOUNT empty                           => 0
PFADD empty                             => 0
PFADD empty ""                          => 1
PFCOUNT empty                           => 1
PFCOUNT absent                          => 0
EXISTS absent                           => 0
PFCOUNT absent h                        => 4
PFCOUNT h h                             => 4
PFADD g d e f                           => 1
PFCOUNT h g                             => 6
PFCOUNT h g absent empty                => 7
EXPIRE g 100                            => 1
PFADD g x                               => 1
TTL g                                   => 99..100
PFCOUNT g                               => 4
TTL g                                   => 99..100
## pfmerge
PFADD a 1 2 3                           => 1
PFADD b 3 4 5                           => 1
PFMERGE d a b                           => OK
GET d                                   => "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80A\xee\x84H#\x80SQ\x80Mt\x80Q,\x8cC\xf3"
PFCOUNT d                               => 5
GET d                                   => "HYLL\x01\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00A\xee\x84H#\x80SQ\x80Mt\x80Q,\x8cC\xf3"
PFMERGE d                               => OK
GET d                                   => "HYLL\x01\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x80A\xee\x84H#\x80SQ\x80Mt\x80Q,\x8cC\xf3"
PFMERGE new                             => OK
GET new                                 => "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xff"
PFMERGE new absent                      => OK
PFMERGE d absent b                      => OK
PFCOUNT d                               => 5
PFMERGE a a a                           => OK
PFCOUNT a                               => 3
PFDEBUG TODENSE b                       => 1
PFMERGE a b                             => OK
PFDEBUG ENCODING a                      => +dense
STRLEN a                                => 12304
PFCOUNT a                               => 5
EXPIRE a 100                            => 1
PFMERGE a d                             => OK
TTL a                                   => 99..100
## wrong types
SET s text                              => OK
SET e ""                                => OK
HSET h f v                              => 1
PFADD s a                               => -WRONGTYPE Key is not a valid HyperLogLog string value.
PFADD e a                               => -WRONGTYPE Key is not a valid HyperLogLog string value.
PFADD h a                               => -WRONGTYPE Operation against a key holding the wrong kind of value
PFCOUNT s                               => -WRONGTYPE Key is not a valid HyperLogLog string value.
PFCOUNT h                               => -WRONGTYPE Operation against a key holding the wrong kind of value
PFCOUNT absent s                        => -WRONGTYPE Key is not a valid HyperLogLog string value.
PFCOUNT absent h                        => -WRONGTYPE Operation against a key holding the wrong kind of value
PFMERGE d s                             => -WRONGTYPE Key is not a valid HyperLogLog string value.
PFMERGE d h                             => -WRONGTYPE Operation against a key holding the wrong kind of value
PFMERGE s d                             => -WRONGTYPE Key is not a valid HyperLogLog string value.
PFMERGE h d                             => -WRONGTYPE Operation against a key holding the wrong kind of value
EXISTS d                                => 0
PFDEBUG ENCODING s                      => -WRONGTYPE Key is not a valid HyperLogLog string value.
PFDEBUG ENCODING h                      => -WRONGTYPE Operation against a key holding the wrong kind of value
SET long "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xff" => OK
PFADD long                              => 0
SET long "HYLL\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xff" => OK
PFADD long                              => -WRONGTYPE Key is not a valid HyperLogLog string value.
SET long "HYLK\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xff" => OK
PFADD long                              => -WRONGTYPE Key is not a valid HyperLogLog string value.
SET long "HYLL\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xff" => OK
PFADD long                              => -WRONGTYPE Key is not a valid HyperLogLog string value.
## longer than one can be [sherd]
SET k "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80" => OK
SETRANGE k 200000 x                     => 200001
PFADD k a b c                           => -WRONGTYPE Key is not a valid HyperLogLog string value.
PFCOUNT k                               => -WRONGTYPE Key is not a valid HyperLogLog string value.
## corrupted
SET s "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xfe" => OK
PFCOUNT s                               => -INVALIDOBJ Corrupted HLL object detected
PFCOUNT s s                             => -INVALIDOBJ Corrupted HLL object detected
PFMERGE d s                             => -INVALIDOBJ Corrupted HLL object detected
PFMERGE s d                             => -INVALIDOBJ Corrupted HLL object detected
PFADD s a                               => 1
PFDEBUG TODENSE s                       => -INVALIDOBJ Corrupted HLL object detected
PFDEBUG GETREG s                        => -INVALIDOBJ Corrupted HLL object detected
PFDEBUG DECODE s                        => "Z:12711 v:2,1 Z:3671"
PFDEBUG ENCODING s                      => +sparse
SET s "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xff\x00" => OK
PFCOUNT s                               => -INVALIDOBJ Corrupted HLL object detected
PFCOUNT s s                             => -INVALIDOBJ Corrupted HLL object detected
PFMERGE d s                             => -INVALIDOBJ Corrupted HLL object detected
PFDEBUG TODENSE s                       => -INVALIDOBJ Corrupted HLL object detected
SET s "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80" => OK
PFCOUNT s                               => -INVALIDOBJ Corrupted HLL object detected
PFADD s a                               => -INVALIDOBJ Corrupted HLL object detected
PFDEBUG DECODE s                        => ""
SET s "HYLL\x01\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00" => OK
PFCOUNT s                               => 7
PFCOUNT s s                             => -INVALIDOBJ Corrupted HLL object detected
EXISTS d                                => 0
SET full "HYLL\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80" => OK
SETRANGE full 12303 "\x00"              => 12304
PFCOUNT full                            => 0
APPEND full "x"                         => 12305
PFCOUNT full                            => -WRONGTYPE Key is not a valid HyperLogLog string value.
## pfdebug
PFADD h a b c d e f                     => 1
PFDEBUG ENCODING h                      => +sparse
PFDEBUG DECODE h                        => "Z:1646 v:1,1 Z:5645 v:1,1 Z:1143 v:1,1 Z:4274 v:2,1 Z:2445 v:1,1 Z:622 v:1,1 Z:603"
PFDEBUG todense h                       => 1
PFDEBUG TODENSE h                       => 0
PFDEBUG DECODE h                        => -ERR HLL encoding is not sparse
PFDEBUG encoding h                      => +dense
STRLEN h                                => 12304
PFCOUNT h                               => 6
PFDEBUG ENCODING absent                 => -ERR The specified key does not exist
PFDEBUG nosuch h                        => -ERR Unknown PFDEBUG subcommand 'nosuch'
PFDEBUG nosuch absent                   => -ERR The specified key does not exist
PFDEBUG ENCODING                        => -ERR wrong number of arguments for 'pfdebug' command
PFDEBUG ENCODING h h                    => -ERR wrong number of arguments for 'pfdebug' command
PFDEBUG                                 => -ERR wrong number of arguments for 'pfdebug' command
PFSELFTEST x                            => -ERR wrong number of arguments for 'pfselftest' command
PFADD                                   => -ERR wrong number of arguments for 'pfadd' command
PFCOUNT                                 => -ERR wrong number of arguments for 'pfcount' command
PFMERGE                                 => -ERR wrong number of arguments for 'pfmerge' command
## pfadd and hll-sparse-max-bytes
CONFIG SET hll-sparse-max-bytes 20      => OK
PFADD h a                               => 1
PFDEBUG ENCODING h                      => +dense
PFADD h b                               => 1
PFDEBUG ENCODING h                      => +dense
PFADD h c                               => 1
PFDEBUG ENCODING h                      => +dense
CONFIG SET hll-sparse-max-bytes 0       => OK
PFADD g                                 => 1
PFDEBUG ENCODING g                      => +sparse
PFADD g a                               => 1
PFDEBUG ENCODING g                      => +dense
CONFIG GET hll-sparse-max-bytes         => {"hll-sparse-max-bytes": "0"}
CONFIG SET hll-sparse-max-bytes 1kb     => OK
CONFIG GET hll-sparse-max-bytes         => {"hll-sparse-max-bytes": "1024"}
## pfselftest [sherd]
PFSELFTEST                              => OK
""")


def registers(value):
    """Of a dense one."""
    bits = int.from_bytes(value[16:], "little")
    return [bits >> (6 * i) & 63 for i in range(16384)]


# A size of sparse ones, and how many elements: what stays sparse, and what outgrows it on the way.
GROWING = [(3000, 300), (3000, 3000), (16000, 3000), (100, 40), (3000, 40000)]


@pytest.mark.one_kind
@pytest.mark.parametrize("bytes_max,count", GROWING)
def test_same_bytes(pool, reference_usable, bytes_max, count):
    """The same additions and merges leave the same bytes here and there."""
    if not reference_usable:
        pytest.skip("needs the reference")
    servers = [pool.get("reference"), pool.get("sherd-2")]
    clients = [server.connect_unix() for server in servers]
    try:
        rng = random.Random(count)
        script = [["CONFIG", "SET", "hll-sparse-max-bytes", str(bytes_max)]]
        for i in range(0, count, 50):
            key = "hll%d" % rng.randrange(3)
            script.append(["PFADD", key] + [rng.randbytes(rng.randrange(20)) for _ in range(50)])
            script.append(rng.choice([["PFCOUNT", key], ["PFCOUNT", "hll0", "hll1"],
                                      ["PFMERGE", "merged", key], ["GET", "merged"], ["GET", key],
                                      ["PFADD", key, "element%d" % (i % 7)]]))
        for key in ["hll0", "hll1", "hll2", "merged"]:
            script += [["PFDEBUG", "ENCODING", key], ["GET", key], ["PFCOUNT", key], ["GET", key]]
        script.append(["PFMERGE", "all", "hll0", "hll1", "hll2"])
        script += [["GET", "all"], ["PFCOUNT", "all"], ["PFDEBUG", "GETREG", "all"]]
        for args in script:
            expected, got = [client.command(*args) for client in clients]
            assert got == expected, args[:3]
    finally:
        for client, server in zip(clients, servers):
            client.close()
            server.reset()


@pytest.mark.parametrize("count", [100, 5000, 50000])
def test_estimates(client, count):
    """Within six standard deviations of what was added, all of it and the union of halves."""
    half = count // 2
    for start in range(0, count, 1000):
        batch = ["element:%d" % i for i in range(start, min(start + 1000, count))]
        client.command("PFADD", "all", *batch)
        client.command("PFADD", "low" if start < half else "high", *batch)
    for keys in (["all"], ["low", "high"], ["low", "high", "all"]):
        estimate = client.command("PFCOUNT", *keys)
        assert abs(estimate - count) <= max(1, 6 * 1.04 / 128 * count)
    client("PFMERGE low high")
    assert client.command("PFCOUNT", "low") == client.command("PFCOUNT", "all")


def test_registers(client):
    """GETREG shows the registers that the dense string holds."""
    client.command("PFADD", "k", *["element:%d" % i for i in range(3000)])
    shown = client.command("PFDEBUG", "GETREG", "k")
    assert shown == registers(client.command("GET", "k"))
    assert max(shown) > 5
