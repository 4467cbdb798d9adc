"""Small bytes that unpack to gigabytes, for the tests of everything that unpacks; made without unpacking them here."""

from __future__ import annotations

import struct
import zlib


def zeros(mebibytes: int) -> bytes:
    """So many MiB of zeros, deflated a thousand to one: one flushed block, again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * mebibytes + packer.flush()


def forged_zip(name: bytes, deflated: bytes, size: int) -> bytes:
    """A zip file with one member that says it has ``size`` bytes, whatever is in it."""
    shared = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, 0, len(deflated), size, len(name), 0)
    local = b"PK\x03\x04" + shared + name + deflated
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + shared + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    return local + entry + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local), 0)


def forged_png(width: int, height: int, rows: bytes, depth: int = 8, kind: int = 0) -> bytes:
    """A PNG that says it has this size, depth and kind of colours, whatever its ``rows`` are."""
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
