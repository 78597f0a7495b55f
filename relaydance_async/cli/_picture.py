"""A picture to upload, made of nothing."""

from __future__ import annotations

import struct
import zlib

SIDE = 512


def build_picture() -> bytes:
    """A PNG of a gradient."""
    rows = b"".join(b"\0" + bytes(value for x in range(SIDE) for value in (x // 2, y // 2, 160)) for y in range(SIDE))
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
