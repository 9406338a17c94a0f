"""RDB's bytes, made by hand: payloads for RESTORE of any type and version."""

import struct

STRING, LIST, SET, ZSET, HASH, ZSET_2, MODULE, MODULE_2 = range(8)
(ZIPMAP, LIST_ZIPLIST, INTSET, ZSET_ZIPLIST, HASH_ZIPLIST, QUICKLIST, STREAM, HASH_LISTPACK,
 ZSET_LISTPACK, QUICKLIST_2, STREAM_2, SET_LISTPACK, STREAM_3, FIELDS_OLD, LISTPACKEX_OLD, FIELDS,
 LISTPACKEX) = range(9, 26)
VALKEY_FIELDS = 22      # in Valkey's version 80

POLYNOMIAL = 0x95ac9329ac4bc9b5


def crc_table():
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return table


TABLE = crc_table()


def crc64(data):
    crc = 0
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc


def payload(kind, value, version=10):
    body = bytes([kind]) + value + struct.pack("<H", version)
    return body + struct.pack("<Q", crc64(body))


def length(n):
    if n < 64:
        return bytes([n])
    if n < 16384:
        return struct.pack(">H", 0x4000 | n)
    return b"\x80" + struct.pack(">I", n)


def string(text):
    return length(len(text)) + text


def strings(*texts):
    return length(len(texts)) + b"".join(map(string, texts))


def listpack_element(x):
    """Numbers as 64-bit ones, which nobody writes but everybody reads."""
    if isinstance(x, int):
        body = b"\xf4" + struct.pack("<q", x)
    elif len(x) < 64:
        body = bytes([0x80 | len(x)]) + x
    else:
        body = b"\xf0" + struct.pack("<I", len(x)) + x
    size = 1 + (len(body) > 127) + (len(body) > 16382) + (len(body) > 2097150)
    back = [len(body) >> 7 * (size - 1 - i) & 127 | (128 if i else 0) for i in range(size)]
    return body + bytes(back)


def listpack(*elements):
    body = b"".join(map(listpack_element, elements))
    return struct.pack("<IH", len(body) + 7, len(elements)) + body + b"\xff"


def ziplist_number(n):
    if 0 <= n <= 12:
        return bytes([0xf1 + n])
    for first, size in ((0xfe, 1), (0xc0, 2), (0xf0, 3), (0xd0, 4), (0xe0, 8)):
        if -1 << 8 * size - 1 <= n < 1 << 8 * size - 1:
            return bytes([first]) + n.to_bytes(size, "little", signed=True)
    raise ValueError(n)


def ziplist(*elements):
    body, before = b"", 0
    for x in elements:
        head = bytes([before]) if before < 254 else b"\xfe" + struct.pack("<I", before)
        if isinstance(x, int):
            one = head + ziplist_number(x)
        elif len(x) < 64:
            one = head + bytes([len(x)]) + x
        elif len(x) < 16384:
            one = head + struct.pack(">H", 0x4000 | len(x)) + x
        else:
            one = head + b"\x80" + struct.pack(">I", len(x)) + x
        body, before = body + one, len(one)
    return struct.pack("<IIH", len(body) + 11, 10 + len(body) - before, len(elements)) + body + b"\xff"


def zipmap(*pairs):
    def size(n):
        return bytes([n]) if n < 254 else b"\xfe" + struct.pack("<I", n)
    body = b"".join(size(len(name)) + name + size(len(value)) + bytes([spare]) + value + b"?" * spare
                    for name, value, spare in pairs)
    return bytes([len(pairs)]) + body + b"\xff"


def intset(width, *numbers):
    return struct.pack("<II", width, len(numbers)) + b"".join(
        n.to_bytes(width, "little", signed=True) for n in numbers)
