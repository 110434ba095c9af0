"""Raw pixels as a PNG file, without a picture library.

Responsible for the few chunks a viewer needs (ISO/IEC 15948); the daemon imports no parser and no
imaging library, and a reader process that was taken over can hand on nothing but pixels.
"""

from __future__ import annotations

import struct
import zlib

from hivekeep.documents.wire import Pixels

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR = {1: 0, 3: 2}


def png(pixels: Pixels) -> bytes:
    """The picture as PNG: grey or RGB, 8 bits, no filter."""
    stride = pixels.width * pixels.channels
    rows = b"".join(
        b"\0" + pixels.data[start : start + stride]
        for start in range(0, stride * pixels.height, stride)
    )
    head = struct.pack(
        ">IIBBBBB", pixels.width, pixels.height, 8, _COLOUR[pixels.channels], 0, 0, 0
    )
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", head),
            _chunk(b"IDAT", zlib.compress(rows, 3)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
