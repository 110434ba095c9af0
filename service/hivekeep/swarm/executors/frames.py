"""Messages between the daemon and its process that speaks with the cluster: a length, then JSON."""

from __future__ import annotations

import json
import struct
from typing import Any

LENGTH = struct.Struct(">Q")
MOST = 1 << 31


def pack(message: dict[str, Any]) -> bytes:
    """``message`` as bytes."""
    body = json.dumps(message, separators=(",", ":")).encode()
    return LENGTH.pack(len(body)) + body


def unpack(body: bytes) -> dict[str, Any]:
    """What ``pack`` was given."""
    message: dict[str, Any] = json.loads(body)
    return message
