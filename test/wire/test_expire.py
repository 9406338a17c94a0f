"""Expiry: set, ask, take away; exact on reads, and swept in the background."""

import time

from resp import TIMEOUT_S
from table import table

test_expire = table(r"""
## expire and ttl
TTL absent                              => -2
PTTL absent                             => -2
EXPIRETIME absent                       => -2
PEXPIRETIME absent                      => -2
EXPIRE absent 100                       => 0
SET k v                                 => OK
TTL k                                   => -1
PTTL k                                  => -1
EXPIRETIME k                            => -1
PEXPIRETIME k                           => -1
EXPIRE k 100                            => 1
TTL k                                   => 99..100
PTTL k                                  => 95000..100000
PEXPIRE k 50000                         => 1
TTL k                                   => 45..50
EXPIREAT k 33177117420                  => 1
EXPIRETIME k                            => 33177117420
PEXPIRETIME k                           => 33177117420000
PEXPIREAT k 33177117420999              => 1
PEXPIRETIME k                           => 33177117420999
EXPIRETIME k                            => 33177117421
PEXPIREAT k 33177117420499              => 1
EXPIRETIME k                            => 33177117420
GET k                                   => "v"
## expire rounds ttl
SET k v                                 => OK
PEXPIRE k 99600                         => 1
TTL k                                   => 99..100
PEXPIRE k 1000000400                    => 1
TTL k                                   => 1000000
## expire in the past deletes
SET k v                                 => OK
EXPIRE k 0                              => 1
EXISTS k                                => 0
SET k v                                 => OK
EXPIRE k -1                             => 1
EXISTS k                                => 0
SET k v                                 => OK
PEXPIRE k -100                          => 1
GET k                                   => nil
SET k v                                 => OK
EXPIREAT k 1                            => 1
GET k                                   => nil
SET k v                                 => OK
PEXPIREAT k 0                           => 1
GET k                                   => nil
SET k v                                 => OK
EXPIREAT k -5                           => 1
DBSIZE                                  => 0
EXPIRE k -1                             => 0
## expire happens
SET k v                                 => OK
PEXPIRE k 1                             => 1
EXISTS k                                ?=> 0
TTL k                                   => -2
SETEX k 100 w                           => OK
GET k                                   => "w"
## persist
PERSIST absent                          => 0
SET k v                                 => OK
PERSIST k                               => 0
EXPIRE k 100                            => 1
PERSIST k                               => 1
TTL k                                   => -1
PERSIST k                               => 0
SET e v PXAT 1                          => OK
PERSIST e                               => 0
PERSIST                                 => -ERR wrong number of arguments for 'persist' command
PERSIST a b                             => -ERR wrong number of arguments for 'persist' command
## expire nx
SET k v                                 => OK
EXPIRE k 100 NX                         => 1
EXPIRE k 200 NX                         => 0
TTL k                                   => 99..100
PEXPIRE k 200000 nx                     => 0
EXPIREAT k 33177117420 NX               => 0
PEXPIREAT k 33177117420000 NX           => 0
TTL k                                   => 99..100
EXPIRE absent 100 NX                    => 0
## expire xx
SET k v                                 => OK
EXPIRE k 100 XX                         => 0
TTL k                                   => -1
EXPIRE k 100                            => 1
EXPIRE k 200 XX                         => 1
TTL k                                   => 199..200
PEXPIREAT k 33177117420123 XX           => 1
PEXPIRETIME k                           => 33177117420123
## expire gt
SET k v                                 => OK
EXPIRE k 100 GT                         => 0
TTL k                                   => -1
EXPIRE k 100                            => 1
EXPIRE k 50 GT                          => 0
EXPIRE k 200 GT                         => 1
TTL k                                   => 199..200
EXPIREAT k 33177117420 GT               => 1
EXPIREAT k 33177117420 GT               => 0
PEXPIREAT k 33177117420001 GT           => 1
EXPIRE k -1 GT                          => 0
EXISTS k                                => 1
## expire lt
SET k v                                 => OK
EXPIRE k 100 LT                         => 1
EXPIRE k 200 LT                         => 0
EXPIRE k 50 LT                          => 1
TTL k                                   => 49..50
PEXPIREAT k 33177117420000 LT           => 0
EXPIREAT k 33177117420                  => 1
EXPIREAT k 33177117420 LT               => 0
EXPIRE k -1 LT                          => 1
EXISTS k                                => 0
## expire conditions combined
SET k v                                 => OK
EXPIRE k 100 XX GT                      => 0
EXPIRE k 100 XX LT                      => 0
EXPIRE k 100                            => 1
EXPIRE k 200 GT XX                      => 1
EXPIRE k 100 XX LT                      => 1
EXPIRE k 300 GT GT                      => 1
EXPIRE k 100 NX XX                      => -ERR NX and XX, GT or LT options at the same time are not compatible
EXPIRE k 100 NX GT                      => -ERR NX and XX, GT or LT options at the same time are not compatible
EXPIRE k 100 NX LT                      => -ERR NX and XX, GT or LT options at the same time are not compatible
EXPIRE k 100 GT LT                      => -ERR GT and LT options at the same time are not compatible
EXPIRE k 100 XX GT LT                   => -ERR GT and LT options at the same time are not compatible
EXPIRE k 100 NX NX                      => 0
## expire with wrong arguments
SET k v                                 => OK
EXPIRE                                  => -ERR wrong number of arguments for 'expire' command
EXPIRE k                                => -ERR wrong number of arguments for 'expire' command
EXPIRE k abc                            => -ERR value is not an integer or out of range
EXPIRE k 1.5                            => -ERR value is not an integer or out of range
EXPIRE k ""                             => -ERR value is not an integer or out of range
EXPIRE k 9223372036854775808            => -ERR value is not an integer or out of range
EXPIRE k 9223372036854775807            => -ERR invalid expire time in 'expire' command
EXPIRE k -9223372036854775808           => -ERR invalid expire time in 'expire' command
EXPIRE k 9223372036854775               => -ERR invalid expire time in 'expire' command
EXPIRE k -9223372036854776              => -ERR invalid expire time in 'expire' command
EXPIRE absent 9223372036854775807       => -ERR invalid expire time in 'expire' command
EXPIRE absent abc                       => -ERR value is not an integer or out of range
PEXPIRE k 9223372036854775807           => -ERR invalid expire time in 'pexpire' command
PEXPIRE k -9223372036854775808          => 1
EXPIREAT k 9223372036854775807          => -ERR invalid expire time in 'expireat' command
EXPIREAT k abc                          => -ERR value is not an integer or out of range
EXPIRE k 100 BAD                        => -ERR Unsupported option BAD
EXPIRE absent 100 BAD                   => -ERR Unsupported option BAD
EXPIRE k 100 NX BAD                     => -ERR Unsupported option BAD
EXPIRE k abc BAD                        => -ERR Unsupported option BAD
PEXPIRE k                               => -ERR wrong number of arguments for 'pexpire' command
EXPIREAT k                              => -ERR wrong number of arguments for 'expireat' command
PEXPIREAT k                             => -ERR wrong number of arguments for 'pexpireat' command
TTL                                     => -ERR wrong number of arguments for 'ttl' command
TTL a b                                 => -ERR wrong number of arguments for 'ttl' command
PTTL                                    => -ERR wrong number of arguments for 'pttl' command
EXPIRETIME                              => -ERR wrong number of arguments for 'expiretime' command
PEXPIRETIME a b                         => -ERR wrong number of arguments for 'pexpiretime' command
EXISTS k                                => 0
SET k v                                 => OK
PEXPIREAT k 9223372036854775807         => 1
PEXPIRETIME k                           => 9223372036854775807
TTL k                                   => 9223370000000000..9223372036854776
""")

test_writes_and_ttl = table(r"""
## which writes keep the time
SET k 1 EX 100                          => OK
INCR k                                  => 2
TTL k                                   => 99..100
APPEND k 0                              => 2
TTL k                                   => 99..100
SETRANGE k 0 5                          => 2
TTL k                                   => 99..100
SETBIT k 100 1                          => 0
TTL k                                   => 99..100
RENAME k l                              => OK
TTL l                                   => 99..100
COPY l m                                => 1
TTL m                                   => 99..100
MOVE l 1                                => 1
SELECT 1                                => OK
TTL l                                   => 99..100
SELECT 0                                => OK
GETSET m x                              => *
TTL m                                   => -1
EXPIRE m 100                            => 1
SET m y                                 => OK
TTL m                                   => -1
EXPIRE m 100                            => 1
MSET m z                                => OK
TTL m                                   => -1
EXPIRE m 100                            => 1
DEL m                                   => 1
SET m n                                 => OK
TTL m                                   => -1
## a large value keeps its time and content
SET k "v"*200000 EX 100                 => OK
EXPIRE k 200                            => 1
STRLEN k                                => 200000
TTL k                                   => 199..200
PERSIST k                               => 1
STRLEN k                                => 200000
GETRANGE k 199998 200001                => "vv"
""")


def test_expired_keys_are_swept(server, client):
    """DBSIZE counts an expired key until it is swept; nobody reads these, so the sweep must do it."""
    client.pipeline([["SET", "k%d" % i, "v", "PX", "1"] for i in range(500)])
    client("SET stays v")
    deadline = time.monotonic() + TIMEOUT_S
    while client("DBSIZE") != 1:
        assert time.monotonic() < deadline, "%s still counts %d keys" % (server.name,
                                                                         client("DBSIZE"))
        time.sleep(0.01)
    assert client("KEYS *") == [b"stays"]


def test_no_sweep_when_switched_off(client):
    """Expired keys are misses all the same, though they are still counted."""
    client("DEBUG SET-ACTIVE-EXPIRE 0")
    client.pipeline([["SET", "k%d" % i, "v", "PX", "1"] for i in range(50)])
    deadline = time.monotonic() + TIMEOUT_S
    while any(client.pipeline([["GET", "k%d" % i] for i in range(50)])):
        assert time.monotonic() < deadline
    assert client("EXISTS k1 k2 k3") == 0
    assert client("KEYS *") == []


def test_the_sweep_spares_what_was_set_anew(client):
    """Keys that expired and were then set again, or persisted in time, must stay."""
    for round_ in range(20):
        client.pipeline([["SET", "k%d" % i, "v", "PX", "2"] for i in range(100)])
        client.pipeline([["SET", "k%d" % i, "w%d" % round_] for i in range(100)])
    time.sleep(0.3)
    assert client.pipeline([["GET", "k%d" % i] for i in range(100)]) == [b"w19"] * 100
    assert client("DBSIZE") == 100
