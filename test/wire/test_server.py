"""What the server says about itself, and what one may tell it: INFO, CONFIG, COMMAND, SLOWLOG,
LATENCY, MEMORY, DEBUG, TIME, LOLWUT, SHUTDOWN."""

import re
import signal
import time

import pytest

import notation
from resp import Error, Map, Status, TIMEOUT_S, Verbatim, encode
from servers import pairs
from table import table
from waiting import until

test_config = table(r"""
## config get
CONFIG GET maxclients                   => {"maxclients": "10000"}
CONFIG GET MAXCLIENTS                   => {"MAXCLIENTS": "10000"}
CONFIG GET nosuch                       => {}
CONFIG GET nosuch*                      => {}
CONFIG GET MAXC?i[e]n*                  => {"maxclients": "10000"}
CONFIG GET proto-max-bulk-le[mn]        => {"proto-max-bulk-len": "536870912"}
CONFIG GET databases maxclients nosuch  => %{"databases": "16", "maxclients": "10000"}
CONFIG GET maxclients maxclien*         => {"maxclients": "10000"}
CONFIG GET requirepass                  => {"requirepass": ""}
CONFIG GET save                         => {"save": ""}
CONFIG GET client-output-buffer-limit   => {"client-output-buffer-limit": "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"}
CONFIG GET                              => -ERR wrong number of arguments for 'config|get' command
## config set
CONFIG SET maxclients 5000              => OK
CONFIG GET maxclients                   => {"maxclients": "5000"}
CONFIG SET proto-max-bulk-len 100mb     => OK
CONFIG GET proto-max-bulk-len           => {"proto-max-bulk-len": "104857600"}
CONFIG SET proto-max-bulk-len 1GB       => OK
CONFIG GET proto-max-bulk-len           => {"proto-max-bulk-len": "1073741824"}
CONFIG SET proto-max-bulk-len 2000k     => OK
CONFIG GET proto-max-bulk-len           => {"proto-max-bulk-len": "2000000"}
CONFIG SET maxmemory-policy allkeys-lru => OK
CONFIG GET maxmemory-policy             => {"maxmemory-policy": "allkeys-lru"}
CONFIG SET timeout 100 tcp-keepalive 60 => OK
CONFIG GET timeout                      => {"timeout": "100"}
CONFIG GET tcp-keepalive                => {"tcp-keepalive": "60"}
CONFIG SET slowlog-log-slower-than -1   => OK
CONFIG SET SLOWLOG-MAX-LEN 10           => OK
CONFIG GET slowlog-max-len              => {"slowlog-max-len": "10"}
CONFIG SET protected-mode no            => OK
CONFIG GET protected-mode               => {"protected-mode": "no"}
CONFIG SET client-output-buffer-limit "normal 100mb 50mb 60" => OK
CONFIG GET client-output-buffer-limit   => {"client-output-buffer-limit": "normal 104857600 52428800 60 slave 268435456 67108864 60 pubsub 33554432 8388608 60"}
CONFIG SET client-query-buffer-limit 2mb => OK
CONFIG GET client-query-buffer-limit    => {"client-query-buffer-limit": "2097152"}
## config set refuses bad values
CONFIG SET                              => -ERR wrong number of arguments for 'config|set' command
CONFIG SET maxclients                   => -ERR wrong number of arguments for 'config|set' command
CONFIG SET maxclients 1 timeout         => -ERR syntax error
CONFIG SET nosuch 1                     => -ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'
CONFIG SET maxclients 100 nosuch 1      => -ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'
CONFIG SET maxclients abc               => -ERR CONFIG SET failed (possibly related to argument 'maxclients') - argument couldn't be parsed into an integer
CONFIG SET maxclients 0                 => -ERR CONFIG SET failed (possibly related to argument 'maxclients') - argument must be between 1 and 4294967295 inclusive
CONFIG SET maxclients -1                => -ERR CONFIG SET failed (possibly related to argument 'maxclients') - argument must be between 1 and 4294967295 inclusive
CONFIG SET maxclients 99999999999999    => -ERR CONFIG SET failed (possibly related to argument 'maxclients') - argument must be between 1 and 4294967295 inclusive
CONFIG SET maxclients ""                => -ERR CONFIG SET failed (possibly related to argument 'maxclients') - argument couldn't be parsed into an integer
CONFIG SET timeout -1                   => -ERR CONFIG SET failed (possibly related to argument 'timeout') - argument must be between 0 and 2147483647 inclusive
CONFIG SET timeout 100 timeout 200      => -ERR CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter
CONFIG SET client-query-buffer-limit abc => -ERR CONFIG SET failed (possibly related to argument 'client-query-buffer-limit') - argument must be a memory value
CONFIG SET client-query-buffer-limit 1zb => -ERR CONFIG SET failed (possibly related to argument 'client-query-buffer-limit') - argument must be a memory value
CONFIG SET client-query-buffer-limit -1 => -ERR CONFIG SET failed (possibly related to argument 'client-query-buffer-limit') - argument must be a memory value
CONFIG SET maxmemory-policy nosuch      => -ERR CONFIG SET failed (possibly related to argument 'maxmemory-policy') - argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction
CONFIG SET appendfsync sometimes        => -ERR CONFIG SET failed (possibly related to argument 'appendfsync') - argument(s) must be one of the following: everysec, always, no
CONFIG SET protected-mode maybe         => -ERR CONFIG SET failed (possibly related to argument 'protected-mode') - argument must be 'yes' or 'no'
CONFIG SET databases 32                 => -ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config
CONFIG SET unixsocket /tmp/x            => -ERR CONFIG SET failed (possibly related to argument 'unixsocket') - can't set immutable config
CONFIG SET enable-debug-command no      => -ERR CONFIG SET failed (possibly related to argument 'enable-debug-command') - can't set immutable config
CONFIG SET dir /tmp/no/such/directory   => -ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config
CONFIG SET client-output-buffer-limit "normal 1 2" => -ERR CONFIG SET failed (possibly related to argument 'client-output-buffer-limit') - Wrong number of arguments in buffer limit configuration.
CONFIG SET client-output-buffer-limit "nosuch 1 2 3" => -ERR CONFIG SET failed (possibly related to argument 'client-output-buffer-limit') - Invalid client class specified in buffer limit configuration.
CONFIG SET client-output-buffer-limit "normal a 2 3" => -ERR CONFIG SET failed (possibly related to argument 'client-output-buffer-limit') - Error in hard, soft or soft_seconds setting in buffer limit configuration.
CONFIG SET proto-max-bulk-len 100       => ~-ERR CONFIG SET failed \(possibly related to argument 'proto-max-bulk-len'\) - argument must be between 1048576 and (9223372036854775807|4294967295) inclusive
CONFIG SET slowlog-max-len -1           => -ERR CONFIG SET failed (possibly related to argument 'slowlog-max-len') - argument must be between 0 and 9223372036854775807 inclusive
CONFIG GET maxclients                   => {"maxclients": "10000"}
CONFIG GET timeout                      => {"timeout": "0"}
## config set changes all or nothing
CONFIG SET timeout 77 maxclients abc    => -ERR CONFIG SET failed (possibly related to argument 'maxclients') - argument couldn't be parsed into an integer
CONFIG GET timeout                      => {"timeout": "0"}
CONFIG SET timeout 77 databases 3       => -ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config
CONFIG GET timeout                      => {"timeout": "0"}
## no string may ask for more memory than there can be [sherd]
CONFIG SET proto-max-bulk-len 9223372036854775807 => -ERR CONFIG SET failed (possibly related to argument 'proto-max-bulk-len') - argument must be between 1048576 and 4294967295 inclusive
CONFIG SET proto-max-bulk-len 4294967295 => OK
SETRANGE k 4294967295 x                 => -ERR string exceeds maximum allowed size (proto-max-bulk-len)
SETBIT k 34359738360 1                  => -ERR bit offset is not an integer or out of range
SETBIT k 34359738359 1                  => 0
STRLEN k                                => 4294967295
DEL k                                   => 1
## limits of replies, none and the largest
CONFIG SET client-output-buffer-limit "" => OK
CONFIG SET client-output-buffer-limit "normal 9223372036854775807 0 0" => OK
CONFIG SET client-output-buffer-limit "slave 1 2 3" => OK
CONFIG GET client-output-buffer-limit   => {"client-output-buffer-limit": "normal 9223372036854775807 0 0 slave 1 2 3 pubsub 33554432 8388608 60"}
## no keyspace notifications, and said so
CONFIG SET notify-keyspace-events ""    => OK
CONFIG GET notify-keyspace-events       => {"notify-keyspace-events": ""}
## no log at all, since 7.2 [sherd]
CONFIG SET loglevel nothing             => OK
CONFIG GET loglevel                     => {"loglevel": "nothing"}
CONFIG SET notify-keyspace-events Ex    => -ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - keyspace notifications are not available in this version
## config resetstat
CONFIG RESETSTAT                        => OK
CONFIG RESETSTAT x                      => -ERR wrong number of arguments for 'config|resetstat' command
CONFIG HELP                             => ~\[\+CONFIG <subcommand> .*\+HELP, [^,]*\]
CONFIG HELP x                           => -ERR wrong number of arguments for 'config|help' command
CONFIG                                  => -ERR wrong number of arguments for 'config' command
CONFIG REWRITE x                        => -ERR wrong number of arguments for 'config|rewrite' command
CONFIG REWRITE                          => -ERR The server is running without a config file
""")

test_command = table(r"""
## command getkeys
COMMAND GETKEYS GET k                   => ["k"]
COMMAND GETKEYS SET k v NX GET          => ["k"]
COMMAND GETKEYS MSET a 1 b 2            => ["a", "b"]
COMMAND GETKEYS mget a b c              => ["a", "b", "c"]
COMMAND GETKEYS BITOP AND d a b         => ["d", "a", "b"]
COMMAND GETKEYS RENAME a b              => ["a", "b"]
COMMAND GETKEYS COPY a b DB 1           => ["a", "b"]
COMMAND GETKEYS OBJECT ENCODING k       => ["k"]
COMMAND GETKEYS MEMORY USAGE k          => ["k"]
COMMAND GETKEYS DEL a a                 => ["a", "a"]
COMMAND GETKEYS LCS a b LEN             => ["a", "b"]
COMMAND GETKEYS NOSUCH k                => -ERR Invalid command specified
COMMAND GETKEYS OBJECT HELP             => -ERR The command has no key arguments
COMMAND GETKEYS OBJECT NOSUCH k         => -ERR Invalid command specified
COMMAND GETKEYS MSET a                  => -ERR Invalid number of arguments specified for command
COMMAND GETKEYS                         => -ERR wrong number of arguments for 'command|getkeys' command
## command getkeysandflags [resp2]
COMMAND GETKEYSANDFLAGS SET k v         => [["k", [+OW, +update]]]
COMMAND GETKEYSANDFLAGS SET k v GET     => [["k", [+RW, +access, +update]]]
COMMAND GETKEYSANDFLAGS GET k           => [["k", [+RO, +access]]]
COMMAND GETKEYSANDFLAGS MSET a 1 b 2    => [["a", [+OW, +update]], ["b", [+OW, +update]]]
COMMAND GETKEYSANDFLAGS RENAME a b      => [["a", [+RW, +access, +delete]], ["b", [+OW, +update]]]
COMMAND GETKEYSANDFLAGS COPY a b        => [["a", [+RO, +access]], ["b", [+OW, +update]]]
COMMAND GETKEYSANDFLAGS DEL a           => [["a", [+RM, +delete]]]
COMMAND GETKEYSANDFLAGS INCR a          => [["a", [+RW, +access, +update]]]
COMMAND GETKEYSANDFLAGS EXISTS a        => [["a", [+RO]]]
COMMAND GETKEYSANDFLAGS BITFIELD a GET u8 0 => [["a", [+RO, +access]]]
COMMAND GETKEYSANDFLAGS BITFIELD a SET u8 0 1 => [["a", [+RW, +access, +update]]]
## command getkeys of one word [reference]
COMMAND GETKEYS PING                    => -ERR wrong number of arguments for 'command|getkeys' command
COMMAND GETKEYS GET                     => -ERR wrong number of arguments for 'command|getkeys' command
COMMAND GETKEYS FLUSHALL                => -ERR wrong number of arguments for 'command|getkeys' command
COMMAND GETKEYS MSET                    => -ERR wrong number of arguments for 'command|getkeys' command
COMMAND GETKEYSANDFLAGS PING            => -ERR wrong number of arguments for 'command|getkeysandflags' command
COMMAND GETKEYSANDFLAGS NOSUCH          => -ERR wrong number of arguments for 'command|getkeysandflags' command
## command getkeys of one word, a command since 7.2 [sherd]
COMMAND GETKEYS PING                    => -ERR The command has no key arguments
COMMAND GETKEYS GET                     => -ERR Invalid number of arguments specified for command
COMMAND GETKEYS FLUSHALL                => -ERR The command has no key arguments
COMMAND GETKEYS MSET                    => -ERR Invalid number of arguments specified for command
COMMAND GETKEYSANDFLAGS PING            => -ERR The command has no key arguments
COMMAND GETKEYSANDFLAGS NOSUCH          => -ERR Invalid command specified
## command with wrong arguments
COMMAND NOSUCH                          => -ERR unknown subcommand 'NOSUCH'. Try COMMAND HELP.
COMMAND COUNT x                         => -ERR wrong number of arguments for 'command|count' command
COMMAND LIST BAD                        => -ERR syntax error
COMMAND LIST FILTERBY                   => -ERR syntax error
COMMAND LIST FILTERBY BAD x             => -ERR syntax error
COMMAND LIST FILTERBY ACLCAT nosuch     => []
COMMAND LIST FILTERBY MODULE nosuch     => []
COMMAND LIST FILTERBY PATTERN gete*     => ["getex"]
COMMAND LIST FILTERBY PATTERN GETE*     => ["getex"]
COMMAND LIST FILTERBY PATTERN nosuch*   => []
COMMAND LIST FILTERBY PATTERN x FILTERBY PATTERN y => -ERR syntax error
COMMAND INFO nosuch                     => [nil]
COMMAND DOCS nosuch                     => {}
COMMAND HELP                            => ~\[\+\(?no subcommand\)?.*|\[\+COMMAND <subcommand> .*
""")

test_memory = table(r"""
## memory
MEMORY USAGE absent                     => nil
SET k v                                 => OK
MEMORY USAGE k                          => 1..1000
SET k "x"*100000                        => OK
MEMORY USAGE k                          => 100000..200000
MEMORY USAGE k SAMPLES 0                => 100000..200000
MEMORY USAGE k SAMPLES 5                => 100000..200000
MEMORY USAGE k SAMPLES -1               => -ERR syntax error
MEMORY USAGE k SAMPLES abc              => -ERR value is not an integer or out of range
MEMORY USAGE k SAMPLES                  => -ERR syntax error
MEMORY USAGE k BAD                      => -ERR syntax error
MEMORY USAGE                            => -ERR wrong number of arguments for 'memory|usage' command
MEMORY PURGE                            => OK
MEMORY PURGE x                          => -ERR wrong number of arguments for 'memory|purge' command
MEMORY DOCTOR x                         => -ERR wrong number of arguments for 'memory|doctor' command
MEMORY STATS x                          => -ERR wrong number of arguments for 'memory|stats' command
MEMORY NOSUCH                           => -ERR unknown subcommand 'NOSUCH'. Try MEMORY HELP.
MEMORY                                  => -ERR wrong number of arguments for 'memory' command
MEMORY HELP                             => ~\[\+MEMORY <subcommand> .*\+HELP, [^,]*\]
""")

test_slowlog_and_latency = table(r"""
## slowlog
CONFIG SET slowlog-log-slower-than -1   => OK
SLOWLOG RESET                           => OK
SLOWLOG LEN                             => 0
SLOWLOG GET                             => []
SLOWLOG GET 10                          => []
SLOWLOG GET -1                          => []
SLOWLOG GET -2                          => -ERR count should be greater than or equal to -1
SLOWLOG GET abc                         => -ERR count should be greater than or equal to -1
SLOWLOG GET 1 2                         => -ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.
SLOWLOG LEN x                           => -ERR wrong number of arguments for 'slowlog|len' command
SLOWLOG RESET x                         => -ERR wrong number of arguments for 'slowlog|reset' command
SLOWLOG NOSUCH                          => -ERR unknown subcommand 'NOSUCH'. Try SLOWLOG HELP.
SLOWLOG                                 => -ERR wrong number of arguments for 'slowlog' command
SLOWLOG HELP                            => ~\[\+SLOWLOG <subcommand> .*\+HELP, [^,]*\]
## latency
LATENCY LATEST                          => []
LATENCY RESET                           => 0
LATENCY RESET nosuch                    => 0
LATENCY HISTOGRAM nosuch                => {}
LATENCY LATEST x                        => -ERR wrong number of arguments for 'latency|latest' command
LATENCY NOSUCH                          => -ERR unknown subcommand 'NOSUCH'. Try LATENCY HELP.
LATENCY                                 => -ERR wrong number of arguments for 'latency' command
LATENCY HELP                            => ~\[\+LATENCY <subcommand> .*\+HELP, [^,]*\]
""")

test_debug = table(r"""
## debug
DEBUG                                   => -ERR wrong number of arguments for 'debug' command
DEBUG NOSUCH                            => -ERR unknown subcommand or wrong number of arguments for 'NOSUCH'. Try DEBUG HELP.
DEBUG SLEEP 0                           => OK
DEBUG SLEEP 0.001                       => OK
DEBUG OBJECT absent                     => -ERR no such key
SET k v                                 => OK
DEBUG OBJECT k                          => ~\+Value at:0x[0-9a-f]+ refcount:1 encoding:embstr serializedlength:2 lru:\d+ lru_seconds_idle:\d+
DEBUG SET-ACTIVE-EXPIRE 1               => OK
DEBUG SET-ACTIVE-EXPIRE 0               => OK
DEBUG ERROR "ERR my own"                => -ERR my own
DEBUG ERROR "PREFIX text"               => -PREFIX text
DEBUG HELP                              => ~\[\+DEBUG <subcommand> .*\+HELP, [^,]*\]
## debug populate
DEBUG POPULATE 3                        => OK
DBSIZE                                  => 3
MGET key:0 key:1 key:2                  => ["value:0", "value:1", "value:2"]
DEBUG POPULATE 2 pre                    => OK
GET pre:1                               => "value:1"
DEBUG POPULATE 1 sized 10               => OK
GET sized:0                             => "value:0\x00\x00\x00"
DEBUG POPULATE 1 short 3                => OK
GET short:0                             => "val"
SET key:0 mine                          => OK
DEBUG POPULATE 4                        => OK
GET key:0                               => "mine"
GET key:3                               => "value:3"
DEBUG POPULATE abc                      => -ERR value is out of range, must be positive
DEBUG POPULATE -1                       => -ERR value is out of range, must be positive
DEBUG POPULATE 1 x -1                   => -ERR value is out of range, must be positive
## debug digest
DEBUG DIGEST                            => +0000000000000000000000000000000000000000
DEBUG DIGEST-VALUE absent               => [+0000000000000000000000000000000000000000]
SET k v                                 => OK
DEBUG DIGEST                            => ~\+[0-9a-f]{40}
DEBUG DIGEST-VALUE k absent             => ~\[\+[0-9a-f]{40}, \+0{40}\]
DEL k                                   => 1
DEBUG DIGEST                            => +0000000000000000000000000000000000000000
""")

test_others = table(r"""
## time
TIME                                    => ~\["\d{10}", "\d{1,6}"\]
TIME x                                  => -ERR wrong number of arguments for 'time' command
## shutdown with wrong arguments
SHUTDOWN BAD                            => -ERR syntax error
SHUTDOWN SAVE NOSAVE                    => -ERR syntax error
SHUTDOWN ABORT                          => -ERR No shutdown in progress.
SHUTDOWN ABORT NOW                      => -ERR syntax error
## info with what it doesn't know
INFO nosuch                             => text ""
## lolwut
LOLWUT VERSION abc                      => -ERR value is not an integer or out of range
""")


def test_lolwut(server, client):
    for line in ("LOLWUT", "LOLWUT VERSION 5", "LOLWUT VERSION 6", "lolwut version 99"):
        assert re.search(rb"ver\. 7\.[02]\.\d+\n$", client(line)), line
    client("HELLO 3")
    assert type(client("LOLWUT")) is Verbatim


# INFO

# Names that monitoring tools read, by section.
INFO_FIELDS = {
    "server": "redis_version redis_git_sha1 redis_git_dirty redis_build_id redis_mode os arch_bits "
              "multiplexing_api gcc_version process_id run_id tcp_port server_time_usec "
              "uptime_in_seconds uptime_in_days hz configured_hz lru_clock executable config_file",
    "clients": "connected_clients cluster_connections maxclients client_recent_max_input_buffer "
               "client_recent_max_output_buffer blocked_clients tracking_clients "
               "clients_in_timeout_table",
    "memory": "used_memory used_memory_human used_memory_rss used_memory_rss_human "
              "used_memory_peak used_memory_peak_human used_memory_peak_perc used_memory_overhead "
              "used_memory_startup used_memory_dataset used_memory_dataset_perc "
              "allocator_allocated allocator_active allocator_resident total_system_memory "
              "maxmemory maxmemory_human maxmemory_policy mem_fragmentation_ratio mem_allocator "
              "lazyfree_pending_objects",
    "persistence": "loading rdb_changes_since_last_save rdb_bgsave_in_progress rdb_last_save_time "
                   "rdb_last_bgsave_status aof_enabled aof_rewrite_in_progress",
    "stats": "total_connections_received total_commands_processed instantaneous_ops_per_sec "
             "total_net_input_bytes total_net_output_bytes instantaneous_input_kbps "
             "instantaneous_output_kbps rejected_connections expired_keys evicted_keys "
             "keyspace_hits keyspace_misses pubsub_channels pubsub_patterns latest_fork_usec "
             "total_error_replies total_reads_processed total_writes_processed "
             "expired_stale_perc expired_time_cap_reached_count reply_buffer_shrinks "
             "reply_buffer_expands",
    "replication": "role connected_slaves master_replid master_repl_offset repl_backlog_active",
    "cpu": "used_cpu_sys used_cpu_user used_cpu_sys_children used_cpu_user_children",
    "keyspace": "", "commandstats": "", "errorstats": "",
}
DEFAULT_SECTIONS = ["Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU",
                    "Errorstats", "Keyspace"]


def info(client, *sections):
    text = client.command("INFO", *sections)
    text = text.text[4:] if isinstance(text, Verbatim) else text
    return dict(line.split(":", 1) for line in text.decode().split("\r\n") if ":" in line)


@pytest.mark.parametrize("section", INFO_FIELDS)
def test_info_section(client, section):
    text = client.command("INFO", section).decode()
    assert text.lower().startswith("# %s\r\n" % section) and text.endswith("\r\n")
    assert text.count("# ") == 1, "one section was asked for"
    missing = [x for x in INFO_FIELDS[section].split() if not re.search("(?m)^%s:" % x, text)]
    assert not missing
    assert info(client, section.upper()).keys() == info(client, section).keys()


def titles(client, *sections):
    return re.findall(r"(?m)^# (\w+)\r$", client.command("INFO", *sections).decode())


def test_info_chooses_sections(client):
    client("SET k v")
    client("NOSUCH")
    usual = titles(client)
    assert [x for x in usual if x in DEFAULT_SECTIONS] == DEFAULT_SECTIONS
    assert "Commandstats" not in usual
    assert titles(client, "default") == usual
    assert set(titles(client, "all")) >= set(usual) - {"Modules"} | {"Commandstats"}
    assert set(titles(client, "everything")) >= set(usual) | {"Commandstats"}
    assert titles(client, "server", "clients") == ["Server", "Clients"]
    assert set(titles(client, "cpu", "nosuch", "default")) == set(usual)
    client("HELLO 3")
    assert type(client("INFO server")) is Verbatim


def test_info_server(server, client):
    fields = info(client, "server")
    version = r"7\.2\.\d+" if server.is_sherd else r"7\.0\.\d+"
    assert re.fullmatch(version, fields["redis_version"])
    assert fields["tcp_port"] == str(server.port) and fields["redis_mode"] == "standalone"
    assert fields["process_id"] == str(server.process.pid)
    assert re.fullmatch("[0-9a-f]{40}", fields["run_id"]) and fields["arch_bits"] == "64"
    assert abs(int(fields["server_time_usec"]) / 1e6 - time.time()) < 60


@pytest.mark.sherd_only
def test_info_of_our_own(server, client):
    assert info(client, "server")["sherd_version"]
    workers = {line.split(":")[0] for line in client("INFO everything").decode().split("\r\n")
               if re.match(r"worker_?\d+:", line)}
    assert len(workers) == int(server.kind.split("-")[1]), "a line for each worker"


def test_info_keyspace(client):
    assert info(client, "keyspace") == {}
    client("MSET a 1 b 2 c 3")
    client("EXPIRE a 1000")
    client("SELECT 9")
    client("SET d 4")
    fields = info(client, "keyspace")
    assert list(fields) == ["db0", "db9"]
    assert re.fullmatch(r"keys=3,expires=1,avg_ttl=\d+", fields["db0"])
    assert fields["db9"] == "keys=1,expires=0,avg_ttl=0"


@pytest.mark.sherd_only
def test_average_ttl_is_that_of_keys_that_expire(client):
    def average(db):
        return int(re.search(r"avg_ttl=(\d+)", info(client, "keyspace")[db]).group(1))

    client.pipeline(["SET forever:%d v" % i for i in range(200)])
    assert average("db0") == 0
    client("SET k v EX 1000")
    assert 900_000 < average("db0") <= 1_000_000
    client("SET l v EX 3000")
    assert 1_900_000 < average("db0") <= 2_000_000
    client.pipeline(["SET many:%d v EX %d" % (i, 5000 + i) for i in range(1000)])
    assert 4_900_000 < average("db0") < 6_000_000
    client("SELECT 9")
    client("SET k v PXAT 9223372036854775807")
    client("SET l v PXAT 9223372036854775807")
    assert average("db9") > 9 * 10 ** 18
    client("FLUSHDB")
    assert "db9" not in info(client, "keyspace")


def test_info_counts_hits_and_misses(client):
    client("CONFIG RESETSTAT")
    client("SET a 1")
    client.pipeline(["GET a", "GET a", "GET x", "MGET a x y", "EXISTS a x", "TTL x", "STRLEN a"])
    fields = info(client, "stats")
    assert (fields["keyspace_hits"], fields["keyspace_misses"]) == ("5", "5")
    client("CONFIG RESETSTAT")
    assert info(client, "stats")["keyspace_hits"] == "0"


def test_info_counts_expired_keys(client):
    client("CONFIG RESETSTAT")
    client.pipeline([["SET", "k%d" % i, "v", "PX", "1"] for i in range(20)])
    deadline = time.monotonic() + TIMEOUT_S
    while info(client, "stats")["expired_keys"] != "20":
        assert time.monotonic() < deadline, info(client, "stats")["expired_keys"]
        time.sleep(.01)


def test_info_commandstats(client):
    client("CONFIG RESETSTAT")
    client.pipeline(["SET a x", "GET a", "GET a", "INCR a", "GET", "CLIENT ID", "NOSUCH"])
    fields = info(client, "commandstats")
    form = r"calls=%d,usec=\d+,usec_per_call=\d+\.\d\d,rejected_calls=%d,failed_calls=%d"
    for name, numbers in (("set", (1, 0, 0)), ("get", (2, 1, 0)), ("incr", (1, 0, 1)),
                          ("client|id", (1, 0, 0))):
        assert re.fullmatch(form % numbers, fields["cmdstat_" + name]), (name, fields)
    assert "cmdstat_nosuch" not in fields and "cmdstat_mget" not in fields


def test_info_errorstats(client):
    client("CONFIG RESETSTAT")
    client.pipeline(["GET", "NOSUCH", "AUTH a b c", "HELLO 9", "AUTH nosuch x", "DEBUG ERROR 'MINE x'"])
    fields = info(client, "errorstats")
    assert fields["errorstat_ERR"] == "count=3" and fields["errorstat_NOPROTO"] == "count=1"
    assert fields["errorstat_WRONGPASS"] == "count=1"
    assert info(client, "stats")["total_error_replies"] in ("5", "6")


def test_info_counts_commands_and_connections(server, client):
    client("CONFIG RESETSTAT")
    with server.connect() as other:
        other("PING")
        other.pipeline(["GET a"] * 100)
        fields = info(client, "stats", "clients")
        assert int(fields["total_commands_processed"]) >= 101
        assert int(fields["total_connections_received"]) >= 1
        assert int(fields["total_net_input_bytes"]) >= 100 * len(encode(["GET", "a"]))
        assert int(fields["total_net_output_bytes"]) >= 100 * 5
        assert int(fields["connected_clients"]) >= 2


def test_used_memory_follows_the_data(client):
    before = int(info(client, "memory")["used_memory"])
    client.pipeline([["SET", "k%d" % i, "x" * 1000] for i in range(5000)])
    full = int(info(client, "memory")["used_memory"])
    assert full - before > 5000 * 1000
    client("FLUSHALL")
    deadline = time.monotonic() + TIMEOUT_S
    while int(info(client, "memory")["used_memory"]) > before + (full - before) // 2:
        assert time.monotonic() < deadline, "memory isn't given back after FLUSHALL"
        time.sleep(.01)


# COMMAND

def test_command_info(client):
    (entry,) = client("COMMAND INFO get")
    assert entry[:2] == [b"get", 2] and entry[3:6] == [1, 1, 1]
    assert len(entry) == 10
    assert [str(x) for x in entry[2]] == ["readonly", "fast"]
    assert sorted(str(x) for x in entry[6]) == ["@fast", "@read", "@string"]
    assert client("COMMAND INFO set nosuch mget")[2][0] == b"mget"
    assert notation.render(client("COMMAND INFO set nosuch")[1]).startswith("nil")
    (entry,) = client("COMMAND INFO client|id")
    assert entry[0] == b"client|id"
    (entry,) = client("COMMAND INFO config")
    assert {x[0] for x in entry[9]} >= {b"config|get", b"config|set", b"config|resetstat",
                                        b"config|rewrite"}


def test_command_count_and_list(client):
    names = client("COMMAND LIST")
    assert len(set(names)) == len(names)
    assert client("COMMAND COUNT") == len({x for x in names if b"|" not in x})
    assert {x[0] for x in client("COMMAND")} == {x for x in names if b"|" not in x}
    assert {b"get", b"set", b"client", b"bitfield", b"shutdown"} <= set(names)
    strings = set(client("COMMAND LIST FILTERBY ACLCAT string"))
    assert {b"get", b"append", b"lcs"} <= strings and not strings & {b"del", b"ping"}
    assert set(client("COMMAND LIST FILTERBY PATTERN *get*")) >= {b"get", b"mget", b"getset"}


def test_command_docs(client):
    docs = pairs(pairs(client("COMMAND DOCS get"))[b"get"])
    assert docs[b"group"] == b"string" and docs[b"since"] == b"1.0.0"
    assert len(docs[b"summary"]) > 10 and docs[b"complexity"] == b"O(1)"
    (argument,) = docs[b"arguments"]
    assert pairs(argument)[b"name"] == b"key" and pairs(argument)[b"type"] == b"key"
    client("HELLO 3")
    reply = client("COMMAND DOCS set get nosuch")
    assert type(reply) is Map and {k for k, _ in reply} == {b"set", b"get"}
    assert type(reply.get(b"set")) is Map
    everything = client("COMMAND DOCS")
    assert {k for k, _ in everything} == {x for x in client("COMMAND LIST") if b"|" not in x}


# Differences between 7.0 and 7.2 in what COMMAND INFO says.
CHANGED = {(b"command|getkeys", "arity"), (b"command|getkeysandflags", "arity"),
           (b"zrank", "arity"), (b"zrevrank", "arity")}
# Since 7.2 scripts may run these, which then don't wait.
CHANGED |= {(name, "flags") for name in (b"blpop", b"brpop", b"blmove", b"brpoplpush", b"bzpopmin",
                                         b"bzpopmax")}


def without_notes(specs):
    """Notes are prose, and each server's own."""
    return [[x for pair in zip(spec[::2], spec[1::2]) if pair[0] != b"notes" for x in pair]
            for spec in specs]


@pytest.mark.sherd_only
def test_command_table_is_the_references(server, pool, reference_usable):
    """Arity, flags, key positions and categories of every command that both have."""
    if not reference_usable:
        pytest.skip("no reference server")
    with server.connect() as ours, pool.get("reference").connect() as reference:
        names = ours("COMMAND LIST")
        lines = []
        for name in sorted(names):
            one, two = reference.command("COMMAND", "INFO", name)[0], ours.command(
                "COMMAND", "INFO", name)[0]
            if not isinstance(one, list):
                continue
            for label, at in (("name", 0), ("arity", 1), ("flags", 2), ("first key", 3),
                              ("last key", 4), ("step", 5), ("categories", 6), ("key specs", 8)):
                a, b = one[at], two[at]
                if label in ("flags", "categories"):
                    a, b = sorted(map(str, a)), sorted(map(str, b))
                elif label == "key specs":
                    a, b = without_notes(a), without_notes(b)
                if a != b and (name, label) not in CHANGED:
                    lines.append("%s, %s\n    reference: %r\n    ours:      %r" %
                                 (name.decode(), label, a, b))
        assert not lines, "\n".join(lines)


@pytest.mark.sherd_only
@pytest.mark.one_kind
def test_every_command_is_tested(server):
    """Each command that the server has stands in some wire test."""
    import glob
    import os
    words = set()
    for path in glob.glob(os.path.join(os.path.dirname(__file__), "*.py")):
        with open(path, encoding="utf-8") as file:
            text = file.read().upper()
        words |= set(re.findall(r"[A-Z_]+", text))
        words |= {a + "|" + b for a, b in re.findall(r"([A-Z]+)[ \",]+([A-Z-]+)", text)}
    with server.connect() as client:
        names = {x.decode().upper() for x in client("COMMAND LIST")}
    assert not names - words


# SLOWLOG, LATENCY

def test_slowlog_entries(server):
    with server.connect() as client:
        client("CLIENT SETNAME me")
        client("SLOWLOG RESET")
        client("CONFIG SET slowlog-log-slower-than 0")
        client("SET k v")
        client.command("ECHO", "x" * 200)
        client.command("MGET", *["k%d" % i for i in range(40)])
        client("CONFIG SET slowlog-log-slower-than -1")
        entries = client("SLOWLOG GET")
        by_name = {e[3][0].upper(): e for e in entries}
        number, when, micros, args, address, name = by_name[b"SET"]
        assert type(number) is int and abs(when - time.time()) < 60 and micros >= 0
        assert args == [b"SET", b"k", b"v"] and name == b"me"
        assert address.decode() == "%s:%d" % client.socket.getsockname()
        assert by_name[b"ECHO"][3][1] == b"x" * 128 + b"... (72 more bytes)"
        args = by_name[b"MGET"][3]
        assert len(args) == 32 and args[30] == b"k29" and args[31] == b"... (10 more arguments)"
        ids = [e[0] for e in entries]
        assert ids == sorted(ids, reverse=True) and client("SLOWLOG LEN") == len(entries)
        assert client("SLOWLOG GET 1") == entries[:1]
        assert client("SLOWLOG GET -1") == entries
        assert client("SLOWLOG RESET") == Status("OK")
        assert client("SLOWLOG LEN") == 0


def test_slowlog_is_bounded(client):
    client("SLOWLOG RESET")
    client("CONFIG SET slowlog-max-len 5 slowlog-log-slower-than 0")
    client.pipeline(["PING"] * 50)
    client("CONFIG SET slowlog-log-slower-than -1")
    assert client("SLOWLOG LEN") == 5
    client("CONFIG SET slowlog-max-len 0")
    client("CONFIG SET slowlog-log-slower-than 0")
    client("PING")
    assert client("SLOWLOG LEN") == 0


def test_slowlog_takes_what_is_slow(client):
    client("SLOWLOG RESET")
    client("CONFIG SET slowlog-log-slower-than 200000")
    client("PING")
    client("DEBUG SLEEP 0.25")
    client("CONFIG SET slowlog-log-slower-than -1")
    (entry,) = client("SLOWLOG GET")
    assert entry[2] >= 250000 and entry[3] == [b"DEBUG", b"SLEEP", b"0.25"]


def test_latency_histogram(client):
    client("CONFIG RESETSTAT")
    client.pipeline(["SET k v"] * 5 + ["GET k"] * 3)
    reply = pairs(client("LATENCY HISTOGRAM set get mget"))
    assert set(reply) == {b"set", b"get"}
    histogram = pairs(reply[b"set"])
    assert histogram[b"calls"] == 5
    buckets = pairs(histogram[b"histogram_usec"])
    assert max(buckets.values()) == 5 and list(buckets) == sorted(buckets)
    assert {b"set", b"get"} <= set(pairs(client("LATENCY HISTOGRAM")))
    client("HELLO 3")
    assert type(client("LATENCY HISTOGRAM set")) is Map


def test_latency_tracking_can_be_off(client):
    def measured():
        histogram = pairs(client("LATENCY HISTOGRAM get")).get(b"get")
        return pairs(histogram)[b"calls"] if histogram else 0

    client("CONFIG RESETSTAT")
    client("CONFIG SET latency-tracking no")
    client.pipeline(["GET k"] * 3)
    assert measured() == 0
    assert b"latency_percentiles" not in client("INFO latencystats")
    assert b"cmdstat_get:calls=3," in client("INFO commandstats")
    client("CONFIG SET latency-tracking yes")
    client.pipeline(["GET k"] * 2)
    assert measured() == 2
    assert b"latency_percentiles_usec_get:" in client("INFO latencystats")


# MEMORY, DEBUG

@pytest.mark.sherd_only
def test_populate_is_no_part_of_a_transaction(client):
    client("MULTI")
    client("SET key:0 v")
    assert client("DEBUG POPULATE 5") == Error("ERR Command not allowed inside a transaction")
    assert client("EXEC").text.startswith(b"EXECABORT")
    assert client("DBSIZE") == 0


@pytest.mark.sherd_only
def test_flushed_keys_are_counted_until_they_are_free(client):
    def wait_until_free():
        until(lambda: b"lazyfree_pending_objects:0\r\n" in client("INFO memory"), "not all is freed")

    wait_until_free()
    client("CONFIG RESETSTAT")
    client("DEBUG POPULATE 30000")
    client("FLUSHALL")
    wait_until_free()
    assert b"lazyfreed_objects:30000\r\n" in client("INFO memory")


def test_memory_stats_and_doctor(client):
    client("SET k v")
    stats = pairs(client("MEMORY STATS"))
    for name in (b"peak.allocated", b"total.allocated", b"startup.allocated", b"overhead.total",
                 b"keys.count", b"dataset.bytes", b"dataset.percentage", b"fragmentation"):
        assert name in stats
    assert stats[b"keys.count"] == 1 and stats[b"total.allocated"] > 0
    assert len(client("MEMORY DOCTOR")) > 20
    client("HELLO 3")
    assert type(client("MEMORY STATS")) is Map
    assert type(client("MEMORY DOCTOR")) is Verbatim


PROTOCOL_RESP2 = {"string": b"$11\r\nHello World\r\n", "integer": b":12345\r\n",
                  "double": b"$5\r\n3.141\r\n", "null": b"$-1\r\n",
                  "bignum": b"$37\r\n1234567999999999999999999999999999999\r\n",
                  "array": b"*3\r\n:0\r\n:1\r\n:2\r\n", "set": b"*3\r\n:0\r\n:1\r\n:2\r\n",
                  "map": b"*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n",
                  "verbatim": b"$25\r\nThis is a verbatim\nstring\r\n", "true": b":1\r\n",
                  "false": b":0\r\n"}
PROTOCOL_RESP3 = {"string": b"$11\r\nHello World\r\n", "integer": b":12345\r\n",
                  "double": b",3.141\r\n", "null": b"_\r\n",
                  "bignum": b"(1234567999999999999999999999999999999\r\n",
                  "array": b"*3\r\n:0\r\n:1\r\n:2\r\n", "set": b"~3\r\n:0\r\n:1\r\n:2\r\n",
                  "map": b"%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n",
                  "verbatim": b"=29\r\ntxt:This is a verbatim\nstring\r\n", "true": b"#t\r\n",
                  "false": b"#f\r\n",
                  "attrib": b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n"
                            b"$39\r\nSome real reply following the attribute\r\n",
                  "push": b">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n"
                          b"$40\r\nSome real reply following the push reply\r\n"}


@pytest.mark.parametrize("protocol, replies", [(2, PROTOCOL_RESP2), (3, PROTOCOL_RESP3)])
def test_debug_protocol(client, protocol, replies):
    client.command("HELLO", protocol)
    for name, expected in replies.items():
        client.send(encode(["DEBUG", "PROTOCOL", name]))
        assert client.read_bytes(len(expected)) == expected, name
        assert client("PING") == Status("PONG"), name
    assert isinstance(client("DEBUG PROTOCOL nosuch"), Error)


@pytest.mark.sherd_only
def test_debug_stringmatch_len(client):
    assert client("DEBUG STRINGMATCH-LEN 1000 a*a*a") == 1
    assert client("DEBUG STRINGMATCH-LEN 1000 a*a*b") == 0
    assert client("DEBUG STRINGMATCH-LEN 0 a") == 0
    assert client("DEBUG STRINGMATCH-LEN -1 a") == Error("ERR index out of range")
    assert client("DEBUG STRINGMATCH-LEN 9999999999 a*") == Error("ERR index out of range")


def test_digest_tells_contents_apart(client):
    """Equal contents have equal digests, in whatever order they came; others haven't."""
    client("MSET a 1 b 2 c 3")
    first = client("DEBUG DIGEST")
    client("FLUSHALL")
    client("MSET c 3 b 2")
    assert client("DEBUG DIGEST") != first
    client("SET a 1")
    assert client("DEBUG DIGEST") == first
    client("EXPIRE a 1000")
    assert client("DEBUG DIGEST") != first
    one, two, three = client("DEBUG DIGEST-VALUE b c b")
    assert one == three and one != two


# Without --enable-debug-command, and stopping

def test_debug_is_refused_unless_enabled(kind, start):
    server = start(kind, ("enable-debug-command", "no"))
    with server.connect() as client:
        denied = Error(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to "
            "\"local\", you can run it from a local connection, otherwise you need to set this "
            "option in the configuration file, and then restart the server.")
        for line in ("DEBUG SLEEP 0", "DEBUG SLEEP", "DEBUG NOSUCH", "DEBUG HELP x"):
            assert client(line) == denied, line
        assert client("DEBUG") == Error("ERR wrong number of arguments for 'debug' command")
        client("CONFIG SET requirepass pw")
        with server.connect() as stranger:
            assert stranger("DEBUG SLEEP 0") == denied
            assert stranger("DEBUG NOSUCH") == denied
    server.stop()
    server = start(kind, ("enable-debug-command", "local"))
    with server.connect() as client:
        assert client("DEBUG SLEEP 0") == Status("OK")


@pytest.mark.parametrize("line", ["SHUTDOWN", "SHUTDOWN NOSAVE", "SHUTDOWN NOSAVE NOW FORCE"])
def test_shutdown(kind, start, line):
    server = start(kind)
    with server.connect() as client, server.connect() as other:
        other("SET k v")
        client.send(line.encode() + b"\r\n")
        assert client.read_until_closed() == b""
        assert server.wait_exit() == 0
        assert other.read_until_closed() == b""


@pytest.mark.sherd_only         # the reference has it done at once
@pytest.mark.one_kind
def test_a_second_interrupt_does_not_wait(kind, start):
    """The server is busy for half a minute or more."""
    def cpu_ticks():
        with open("/proc/%d/stat" % server.process.pid) as file:
            return int(file.read().rpartition(")")[2].split()[11])

    server = start(kind)
    with server.connect() as client:
        client.send(encode(["DEBUG", "STRINGMATCH-LEN", str(256 << 10), "*" + "a?" * 500 + "b"]) * 64)
        busy = cpu_ticks() + 10
        until(lambda: cpu_ticks() > busy, server.log)
        server.process.send_signal(signal.SIGINT)
        until(lambda: "Received SIGINT" in server.log(), server.log)
        server.process.send_signal(signal.SIGINT)
        assert server.wait_exit() == 1


@pytest.mark.parametrize("signal_number", [15, 2])
def test_signals_stop_the_server(kind, start, signal_number):
    server = start(kind)
    with server.connect() as client:
        client("SET k v")
        assert server.stop(signal_number) == 0, server.log_tail()
