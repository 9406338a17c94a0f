"""Places in sorted sets: GEOADD, GEOSEARCH and their relatives."""

import random

import pytest

from resp import Double
from table import table

test_places = table(r"""
## geoadd
GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania => 2
GEOADD g 13.361389 38.115556 Palermo    => 0
GEOADD g CH 13.361389 38.2 Palermo      => 1
GEOADD g 13.361389 38.3 Palermo         => 0
GEOADD g NX 13.361389 38.115556 Palermo 1 2 new => 1
GEOADD g XX 13.361389 38.115556 Palermo 1 2 other => 0
GEOADD g XX CH 13.361389 38.115556 Palermo 1 3 new => 1
GEOADD g CH NX ch 1 4 new 1 4 newer     => 1
GEOADD absent XX 1 2 a                  => 0
EXISTS absent                           => 0
ZSCORE g Palermo                        => double 3479099956230698
ZSCORE g Catania                        => double 3479447370796909
ZCARD g                                 => 4
TYPE g                                  => +zset
OBJECT ENCODING g                       => "listpack"
GEOADD e 180 85.05112878 ne -180 -85.05112878 sw 0 0 zero 1e-300 -0 tiny => 4
ZRANGE e 0 -1                           => ["sw", "tiny", "zero", "ne"]
ZMSCORE e ne sw zero tiny               => [double 13510798882111488, double 0, double 3377699720527872, double 3377699720527872]
## geoadd with wrong arguments
GEOADD                                  => -ERR wrong number of arguments for 'geoadd' command
GEOADD g 1 2                            => -ERR wrong number of arguments for 'geoadd' command
GEOADD g NX 1 2                         => -ERR syntax error
GEOADD g 1 2 a 3                        => -ERR syntax error
GEOADD g NX XX 1 2 a                    => -ERR syntax error
GEOADD g NX XX CH CH                    => -ERR syntax error
GEOADD g NX NX NX NX                    => -ERR syntax error
GEOADD g GT 1 2 a                       => -ERR syntax error
GEOADD g x 2 a                          => -ERR value is not a valid float
GEOADD g 1 x a                          => -ERR value is not a valid float
GEOADD g 1 nan a                        => -ERR value is not a valid float
GEOADD g inf 1 a                        => -ERR invalid longitude,latitude pair inf,1.000000
GEOADD g 180.1 1 a                      => -ERR invalid longitude,latitude pair 180.100000,1.000000
GEOADD g 1 85.06 a                      => -ERR invalid longitude,latitude pair 1.000000,85.060000
GEOADD g -181 -91 a                     => -ERR invalid longitude,latitude pair -181.000000,-91.000000
GEOADD g 1 2 a 1 -99.123456789 b        => -ERR invalid longitude,latitude pair 1.000000,-99.123457
GEOADD g 1e300 2 a                      => -ERR invalid longitude,latitude pair 1000000000000000052504760255204420248704468581108159154915854115511802457988908195786371375080447864043704443832883878176942523235360430575644792184786706982848387200926575803737830233794788090059368953234970799945081119038967640880074652742780142494579258788820056842838115669472196386865459400540160.000000,2.000000
GEOADD g 0x10 2 hex                     => 1
SET s v                                 => OK
GEOADD s 1 2 a                          => -WRONGTYPE Operation against a key holding the wrong kind of value
GEOADD s 1 200 a                        => -ERR invalid longitude,latitude pair 1.000000,200.000000
GEOADD s 1 2                            => -ERR wrong number of arguments for 'geoadd' command
EXISTS g                                => 1
## geopos, geohash, geodist
GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania => 2
GEOPOS g Palermo nosuch Catania         => [[double 13.36138933897018433, double 38.11555639549629859], nil[], [double 15.08726745843887329, double 37.50266842333162032]]
GEOPOS g                                => []
GEOPOS absent Palermo x                 => [nil[], nil[]]
GEOPOS absent                           => []
GEOHASH g Palermo nosuch Catania        => ["sqc8b49rny0", nil, "sqdtr74hyu0"]
GEOHASH g                               => []
GEOHASH absent Palermo                  => [nil]
GEODIST g Palermo Catania               => "166274.1516"
GEODIST g Palermo Catania m             => "166274.1516"
GEODIST g Palermo Catania km            => "166.2742"
GEODIST g Palermo Catania KM            => "166.2742"
GEODIST g Palermo Catania ft            => "545518.8700"
GEODIST g Palermo Catania mi            => "103.3182"
GEODIST g Palermo Palermo               => "0.0000"
GEODIST g Palermo nosuch                => nil
GEODIST g nosuch Palermo                => nil
GEODIST absent Palermo Catania          => nil
GEODIST absent Palermo Catania xx       => -ERR unsupported unit provided. please use M, KM, FT, MI
GEODIST g Palermo Catania xx            => -ERR unsupported unit provided. please use M, KM, FT, MI
GEODIST g Palermo Catania m x           => -ERR syntax error
GEODIST g Palermo                       => -ERR wrong number of arguments for 'geodist' command
GEOPOS                                  => -ERR wrong number of arguments for 'geopos' command
GEOHASH                                 => -ERR wrong number of arguments for 'geohash' command
SET s v                                 => OK
GEOPOS s a                              => -WRONGTYPE Operation against a key holding the wrong kind of value
GEOPOS s                                => -WRONGTYPE Operation against a key holding the wrong kind of value
GEOHASH s a                             => -WRONGTYPE Operation against a key holding the wrong kind of value
GEODIST s a b                           => -WRONGTYPE Operation against a key holding the wrong kind of value
GEODIST s a b xx                        => -ERR unsupported unit provided. please use M, KM, FT, MI
GEODIST s a b m x                       => -ERR syntax error
ZADD odd 0 zero -5 minus 0.5 half 1e18 large 4503599627370495 last 4503599627370496 beyond inf inf -inf ninf => 8
GEOPOS odd zero minus half large last beyond inf ninf => [[double -179.99999731779098511, double -85.05112751263942528], [double 180, double 85.0511287799999991], [double -179.99999731779098511, double -85.05112751263942528], [double 180, double 85.0511287799999991], [double 179.99999731779098511, double 85.05112751263942528], [double -179.99999731779098511, double 85.0511287799999991], [double -179.99999731779098511, double -85.05112751263942528], [double 180, double -85.05112751263942528]]
GEOHASH odd zero minus half large last beyond inf ninf => ["00bh0hbj200", "bp05b5048p0", "00bh0hbj200", "bp05b5048p0", "zzpgzgpfxz0", "bp05b5048p0", "00bh0hbj200", "00bh0hbj200"]
GEODIST odd zero minus                  => "18919844.5891"
GEODIST odd half last km                => "18919.8444"
## geosearch
GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 12.758489 38.788135 edge1 17.241510 38.788135 edge2 => 4
GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC => ["Catania", "Palermo"]
GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km ASC => ["Catania", "Palermo", "edge2", "edge1"]
GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km DESC WITHCOORD WITHDIST WITHHASH => [["edge1", "279.7405", 3479273021651468, [double 12.7584877610206604, double 38.78813451624225195]], ["edge2", "279.7403", 3481342659049484, [double 17.24151045083999634, double 38.78813451624225195]], ["Palermo", "190.4424", 3479099956230698, [double 13.36138933897018433, double 38.11555639549629859]], ["Catania", "56.4413", 3479447370796909, [double 15.08726745843887329, double 37.50266842333162032]]]
GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHDIST => [["Catania", "56.4413"], ["Palermo", "190.4424"], ["edge2", "279.7403"], ["edge1", "279.7405"]]
GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km WITHHASH => [["Palermo", 3479099956230698], ["edge1", 3479273021651468], ["Catania", 3479447370796909], ["edge2", 3481342659049484]]
GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km withcoord => [["Palermo", [double 13.36138933897018433, double 38.11555639549629859]], ["edge1", [double 12.7584877610206604, double 38.78813451624225195]], ["Catania", [double 15.08726745843887329, double 37.50266842333162032]], ["edge2", [double 17.24151045083999634, double 38.78813451624225195]]]
GEOSEARCH g FROMMEMBER Palermo BYRADIUS 200 km => ["Palermo", "edge1", "Catania"]
GEOSEARCH g frommember Palermo byradius 200 km asc count 2 => ["Palermo", "edge1"]
GEOSEARCH g FROMMEMBER Palermo BYRADIUS 500 km DESC COUNT 2 => ["edge2", "Catania"]
GEOSEARCH g FROMMEMBER Palermo BYRADIUS 500 km COUNT 2 WITHDIST => [["Palermo", "0.0000"], ["edge1", "91.4007"]]
GEOSEARCH g FROMMEMBER Palermo BYRADIUS 500 km COUNT 2 ANY => ["Palermo", "edge1"]
GEOSEARCH g FROMMEMBER Palermo BYRADIUS 500 km COUNT 1 ANY ASC => ["Palermo"]
GEOSEARCH g FROMMEMBER Palermo BYRADIUS 500 km ANY COUNT 100 => ["Palermo", "edge1", "Catania", "edge2"]
GEOSEARCH g FROMMEMBER Palermo BYRADIUS 0 m => ["Palermo"]
GEOSEARCH g FROMMEMBER Palermo BYBOX 0 0 m => ["Palermo"]
GEOSEARCH g FROMMEMBER Palermo BYRADIUS 100 mi ASC WITHDIST => [["Palermo", "0.0000"], ["edge1", "56.7939"]]
GEOSEARCH g FROMMEMBER Palermo BYRADIUS 1000000 ft ASC WITHDIST => [["Palermo", "0.0000"], ["edge1", "299870.9272"], ["Catania", "545518.8700"]]
GEOSEARCH g FROMMEMBER Palermo BYRADIUS 1e9 km ASC => ["Palermo", "edge1", "Catania", "edge2"]
GEOSEARCH g FROMMEMBER Palermo BYRADIUS inf km ASC => ["Palermo", "edge1", "Catania", "edge2"]
GEOSEARCH g FROMMEMBER Palermo BYBOX inf inf km ASC => ["Palermo", "edge1", "Catania", "edge2"]
GEOSEARCH g FROMLONLAT 100 -60 BYRADIUS 10 km => []
GEOSEARCH g FROMLONLAT 1 2 FROMLONLAT 15 37 BYRADIUS 1 m BYRADIUS 200 km ASC => ["Catania", "Palermo"]
GEOSEARCH absent FROMLONLAT 15 37 BYRADIUS 200 km ASC => []
GEOSEARCH absent FROMMEMBER x BYRADIUS 200 km ASC => []
## geosearch with wrong arguments
GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania => 2
SET s v                                 => OK
GEOSEARCH g FROMLONLAT 1 2 BYRADIUS 3   => -ERR syntax error
GEOSEARCH g FROMMEMBER a FROMLONLAT 1 2 BYRADIUS 3 km => -ERR could not decode requested zset member
GEOSEARCH g FROMMEMBER Palermo FROMLONLAT 1 2 BYRADIUS 3 km => -ERR syntax error
GEOSEARCH g FROMLONLAT 1 2 FROMMEMBER Palermo BYRADIUS 3 km => -ERR syntax error
GEOSEARCH g FROMLONLAT 1 2 BYRADIUS 3 km BYBOX 1 2 km => -ERR syntax error
GEOSEARCH g FROMLONLAT 1 2 BYBOX 1 2 km BYRADIUS 3 km => -ERR syntax error
GEOSEARCH g FROMMEMBER nosuch BYRADIUS 3 km => -ERR could not decode requested zset member
GEOSEARCH g BYRADIUS 3 km ASC DESC      => -ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH
GEOSEARCH g FROMMEMBER Palermo ASC ASC ASC => -ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH
geoSEARCH g BYBOX 3 km km ASC DESC      => -ERR need numeric height
geoSEARCH g BYBOX 3 1 km ASC DESC       => -ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for geoSEARCH
geoSEARCH g FROMMEMBER Palermo ASC ASC DESC => -ERR exactly one of BYRADIUS and BYBOX can be specified for geoSEARCH
GEOSEARCH g FROMLONLAT 1 2 BYRADIUS x km => -ERR need numeric radius
GEOSEARCH g FROMLONLAT 1 2 BYRADIUS -1 km => -ERR radius cannot be negative
GEOSEARCH g FROMLONLAT 1 2 BYRADIUS 1 xx => -ERR unsupported unit provided. please use M, KM, FT, MI
GEOSEARCH g FROMLONLAT 1 2 BYBOX x 1 km => -ERR need numeric width
GEOSEARCH g FROMLONLAT 1 2 BYBOX 1 x km => -ERR need numeric height
GEOSEARCH g FROMLONLAT 1 2 BYBOX -1 1 km => -ERR height or width cannot be negative
GEOSEARCH g FROMLONLAT 1 2 BYBOX 1 -1 km => -ERR height or width cannot be negative
GEOSEARCH g FROMLONLAT 1 2 BYBOX 1 1 xx => -ERR unsupported unit provided. please use M, KM, FT, MI
GEOSEARCH g FROMLONLAT 1 200 BYRADIUS 1 km => -ERR invalid longitude,latitude pair 1.000000,200.000000
GEOSEARCH g FROMLONLAT x 2 BYRADIUS 1 km => -ERR value is not a valid float
GEOSEARCH g FROMLONLAT 1 2 BYRADIUS 1 km COUNT 0 => -ERR COUNT must be > 0
GEOSEARCH g FROMLONLAT 1 2 BYRADIUS 1 km COUNT -1 => -ERR COUNT must be > 0
GEOSEARCH g FROMLONLAT 1 2 BYRADIUS 1 km COUNT x => -ERR value is not an integer or out of range
GEOSEARCH g FROMLONLAT 1 2 BYRADIUS 1 km COUNT => -ERR syntax error
GEOSEARCH g FROMLONLAT 1 2 BYRADIUS 1 km ANY => -ERR the ANY argument requires COUNT argument
GEOSEARCH g FROMLONLAT 1 2 BYRADIUS 1 km STORE x => -ERR syntax error
GEOSEARCH g FROMLONLAT 1 2 BYRADIUS 1 km STOREDIST => -ERR syntax error
GEOSEARCH g FROMLONLAT 1 2 BYRADIUS 1 km NOSUCH => -ERR syntax error
GEOSEARCH s FROMLONLAT 1 2 BYRADIUS 1 km NOSUCH => -WRONGTYPE Operation against a key holding the wrong kind of value
GEOSEARCH absent FROMLONLAT 1 2 BYRADIUS 1 km NOSUCH => -ERR syntax error
GEOSEARCH absent FROMLONLAT 1 2 BYRADIUS 1 km ANY => -ERR the ANY argument requires COUNT argument
GEOSEARCH absent                        => -ERR wrong number of arguments for 'geosearch' command
## geosearchstore
GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 12.758489 38.788135 edge1 17.241510 38.788135 edge2 => 4
GEOSEARCHSTORE d g FROMLONLAT 15 37 BYBOX 400 400 km ASC COUNT 3 => 3
ZRANGE d 0 -1                           => ["Palermo", "Catania", "edge2"]
GEOSEARCHSTORE d g FROMLONLAT 15 37 BYBOX 400 400 km => 4
ZCARD d                                 => 4
OBJECT ENCODING d                       => "listpack"
EXPIRE d 100                            => 1
GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 1 m => 0
EXISTS d                                => 0
SET d v                                 => OK
GEOSEARCHSTORE d g FROMMEMBER Palermo BYRADIUS 100 km STOREDIST => 2
ZRANGE d 0 -1                           => ["Palermo", "edge1"]
ZSCORE d Palermo                        => double 0
GEOSEARCHSTORE g g FROMMEMBER Palermo BYRADIUS 200 km STOREDIST => 3
ZCARD g                                 => 3
GEOSEARCHSTORE d absent FROMMEMBER x BYRADIUS 1 km => 0
EXISTS d                                => 0
GEOSEARCHSTORE d absent FROMMEMBER x BYRADIUS 1 km => 0
GEOSEARCHSTORE d g FROMMEMBER Palermo BYRADIUS 1 km WITHDIST => -ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options
GEOSEARCHSTORE d g FROMMEMBER Palermo BYRADIUS 1 km WITHCOORD => -ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options
geosearchstore d g BYRADIUS 1 km WITHHASH ASC => -ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options
geosearchstore d g BYRADIUS 1 km ASC ASC => -ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for geosearchstore
geosearchstore d g FROMMEMBER Palermo ASC DESC ASC => -ERR exactly one of BYRADIUS and BYBOX can be specified for geosearchstore
geosearchstore d g FROMMEMBER Palermo BYRADIUS 1 km ANY => -ERR the ANY argument requires COUNT argument
GEOSEARCHSTORE d g FROMMEMBER Palermo BYRADIUS 1 km STORE x => -ERR syntax error
GEOSEARCHSTORE d s FROMMEMBER Palermo BYRADIUS => -ERR wrong number of arguments for 'geosearchstore' command
SET s v                                 => OK
GEOSEARCHSTORE d s FROMMEMBER Palermo BYRADIUS 1 km => -WRONGTYPE Operation against a key holding the wrong kind of value
GEOSEARCHSTORE s g FROMMEMBER Palermo BYRADIUS 1 km => 3
TYPE s                                  => +zset
## georadius
GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania => 2
GEORADIUS g 15 37 200 km ASC            => ["Catania", "Palermo"]
GEORADIUS g 15 37 200 km WITHDIST DESC  => [["Palermo", "190.4424"], ["Catania", "56.4413"]]
GEORADIUS g 15 37 200 km WITHCOORD      => [["Palermo", [double 13.36138933897018433, double 38.11555639549629859]], ["Catania", [double 15.08726745843887329, double 37.50266842333162032]]]
GEORADIUS g 15 37 200 km WITHDIST WITHCOORD WITHHASH COUNT 1 => [["Catania", "56.4413", 3479447370796909, [double 15.08726745843887329, double 37.50266842333162032]]]
GEORADIUS_RO g 15 37 200 km ASC         => ["Catania", "Palermo"]
GEORADIUS_RO g 15 37 200 km COUNT 1 ANY => ["Palermo"]
GEORADIUS g 15 37 200 km STORE d        => 2
ZMSCORE d Palermo Catania               => [double 3479099956230698, double 3479447370796909]
ZRANGE d 0 -1                           => ["Palermo", "Catania"]
GEORADIUS g 15 37 200 km STOREDIST d    => 2
ZRANGE d 0 -1                           => ["Catania", "Palermo"]
GEORADIUS g 15 37 200 km STORE a STORE d COUNT 1 => 1
EXISTS a                                => 0
ZCARD d                                 => 1
GEORADIUS g 15 37 200 km STOREDIST a STORE d COUNT 1 => 1
ZRANGE d 0 -1                           => ["Catania"]
GEORADIUS g 15 37 1 m STORE d           => 0
EXISTS d                                => 0
GEORADIUS g 15 37 200 km store STORE    => 2
ZCARD STORE                             => 2
GEORADIUS absent 15 37 200 km           => []
GEORADIUS absent 15 37 200 km STORE STORE => 0
EXISTS STORE                            => 0
GEORADIUS g 15 37 200 km STORE g        => 2
ZCARD g                                 => 2
GEORADIUSBYMEMBER g Palermo 200 km      => ["Palermo", "Catania"]
GEORADIUSBYMEMBER g Palermo 200 km WITHDIST DESC => [["Catania", "166.2742"], ["Palermo", "0.0000"]]
GEORADIUSBYMEMBER_RO g Palermo 200 km ASC COUNT 1 => ["Palermo"]
GEORADIUSBYMEMBER g Palermo 200 km STORE d => 2
ZCARD d                                 => 2
GEORADIUSBYMEMBER absent x y z          => []
GEORADIUSBYMEMBER absent x y z STORE d  => 0
EXISTS d                                => 0
GEORADIUSBYMEMBER absent x y z NOSUCH   => -ERR syntax error
## georadius with wrong arguments
GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania => 2
SET s v                                 => OK
GEORADIUS g 1 2 3                       => -ERR wrong number of arguments for 'georadius' command
GEORADIUS g x 2 3 km                    => -ERR value is not a valid float
GEORADIUS g 1 200 3 km                  => -ERR invalid longitude,latitude pair 1.000000,200.000000
GEORADIUS g 1 2 x km                    => -ERR need numeric radius
GEORADIUS g 1 2 -3 km                   => -ERR radius cannot be negative
GEORADIUS g 1 2 3 xx                    => -ERR unsupported unit provided. please use M, KM, FT, MI
GEORADIUS g 1 2 3 km STORE              => -ERR syntax error
GEORADIUS g 1 2 3 km STORE d WITHDIST   => -ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options
GEORADIUS g 1 2 3 km COUNT 0            => -ERR COUNT must be > 0
GEORADIUS g 1 2 3 km ANY                => -ERR the ANY argument requires COUNT argument
GEORADIUS g 1 2 3 km NOSUCH             => -ERR syntax error
GEORADIUS g 1 2 3 km FROMMEMBER Palermo => -ERR syntax error
GEORADIUS_RO g 1 2 3 km STORE d         => -ERR syntax error
GEORADIUS_RO g 1 2 3 km STOREDIST d     => -ERR syntax error
GEORADIUS s 1 2 3 km                    => -WRONGTYPE Operation against a key holding the wrong kind of value
GEORADIUS s x 2 3 km                    => -WRONGTYPE Operation against a key holding the wrong kind of value
GEORADIUSBYMEMBER g nosuch 3 km         => -ERR could not decode requested zset member
GEORADIUSBYMEMBER g nosuch x km         => -ERR could not decode requested zset member
GEORADIUSBYMEMBER g Palermo x km        => -ERR need numeric radius
GEORADIUSBYMEMBER g Palermo 3 xx        => -ERR unsupported unit provided. please use M, KM, FT, MI
GEORADIUSBYMEMBER g Palermo 3           => -ERR wrong number of arguments for 'georadiusbymember' command
GEORADIUSBYMEMBER s Palermo 3 km        => -WRONGTYPE Operation against a key holding the wrong kind of value
GEORADIUSBYMEMBER_RO g Palermo 3 km STORE d => -ERR syntax error
GEORADIUSBYMEMBER_RO absent Palermo 3 km STORE d => -ERR syntax error
EXISTS d                                => 0
## where keys are
COMMAND GETKEYS GEORADIUS g 1 2 3 km    => ["g"]
COMMAND GETKEYS GEORADIUS g 1 2 3 km WITHDIST STORE d => ["g", "d"]
COMMAND GETKEYS GEORADIUSBYMEMBER g m 3 km STOREDIST d ASC => ["g", "d"]
COMMAND GETKEYS GEOSEARCHSTORE d g FROMMEMBER a BYRADIUS 1 m => ["d", "g"]
COMMAND GETKEYSANDFLAGS GEORADIUS g 1 2 3 km STORE d => [["g", set[+RO, +access]], ["d", set[+OW, +update]]]
""")


def place(rng):
    """Anywhere, often at the very borders of the map."""
    how = rng.random()
    if how < .15:
        return [rng.choice(["180", "-180", "0", "179.999999"]),
                rng.choice(["85.05112878", "-85.05112878", "0", "85"])]
    if how < .5:
        return ["%.7f" % rng.uniform(12, 16), "%.7f" % rng.uniform(36, 39)]
    return ["%.7f" % rng.uniform(-180, 180), "%.7f" % rng.uniform(-85.05, 85.05)]


def searches(rng, count):
    """Random searches, without those options that leave the order of equals open."""
    for _ in range(count):
        centre = ["FROMLONLAT"] + place(rng) if rng.random() < .7 else \
                 ["FROMMEMBER", "m%d" % rng.randrange(1000)]
        size = "%.3f" % 10 ** rng.uniform(0, 7.5)
        unit = rng.choice(["m", "m", "km", "ft", "mi"])
        area = ["BYRADIUS", size, unit] if rng.random() < .5 else \
               ["BYBOX", size, "%.3f" % 10 ** rng.uniform(0, 7.5), unit]
        how = rng.choice([[], ["WITHDIST"], ["WITHHASH", "WITHCOORD"], ["COUNT", "7", "ANY"],
                          ["COUNT", "200", "ANY", "WITHDIST"]])
        yield centre + area + how


@pytest.mark.one_kind
@pytest.mark.parametrize("members", [20, 3000])
def test_same_searches(pool, reference_usable, members):
    """The same members in the same order as the reference finds them."""
    if not reference_usable:
        pytest.skip("needs the reference")
    servers = [pool.get("reference"), pool.get("sherd-2")]
    clients = [server.connect_unix() for server in servers]
    rng = random.Random(members)
    script = [["GEOADD", "g"] + place(rng) + ["m%d" % i] for i in range(members)]
    for search in searches(rng, 600):
        script.append(["GEOSEARCH", "g"] + search)
        if not any(word.startswith("WITH") for word in search):
            script += [["GEOSEARCHSTORE", "d", "g"] + search, ["ZRANGE", "d", "0", "-1"]]
    try:
        for args in script:
            expected, got = [client.command(*args) for client in clients]
            assert got == expected, args
    finally:
        for client, server in zip(clients, servers):
            client.close()
            server.reset()


def test_order_and_count(client):
    """ASC, DESC and COUNT are about the distance."""
    rng = random.Random(5)
    for i in range(500):
        client.command("GEOADD", "g", *place(rng), "m%d" % i)
    search = ["GEOSEARCH", "g", "FROMLONLAT", "14", "37.5", "BYRADIUS", "300", "km", "WITHDIST"]
    everything = client.command(*search)
    nearest = sorted(float(distance) for _, distance in everything)
    assert len(nearest) > 50
    assert [float(x[1]) for x in client.command(*search, "ASC")] == nearest
    assert [float(x[1]) for x in client.command(*search, "DESC")] == nearest[::-1]
    assert [float(x[1]) for x in client.command(*search, "COUNT", "9")] == nearest[:9]
    assert [float(x[1]) for x in client.command(*search, "COUNT", "9", "DESC")] == nearest[::-1][:9]
    some = client.command(*search, "COUNT", "9", "ANY")
    assert len(some) == 9 and all(x in everything for x in some)


def test_coordinates_are_doubles(client):
    """In RESP3 places are two doubles, of as many digits as there are."""
    client("HELLO 3")
    client("GEOADD g 13.361389 38.115556 Palermo")
    assert client("GEOPOS g Palermo") == [[Double("13.36138933897018433"),
                                           Double("38.11555639549629859")]]
