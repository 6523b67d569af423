"""Small pictures for tests, made by hand."""

from __future__ import annotations

import struct
import zlib

__all__ = ["png"]


def png(red: int = 200, green: int = 30, blue: int = 30, *, side: int = 8) -> bytes:
    """A square of one colour."""
    rows = b"".join(b"\x00" + bytes((red, green, blue)) * side for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(name, data)
        for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
