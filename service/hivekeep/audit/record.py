"""What one audit record says, as plain data and as canonical JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Something to be recorded: who did what, to what, by which rule, with what outcome."""

    actor: str
    action: str
    subject: str = ""
    rule: str = ""
    outcome: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An event as it stands in the log.

    ``time`` is wall-clock seconds since the epoch, ``monotonic`` seconds of the machine's
    monotonic clock, which shows a wall clock that was set back.
    """

    sequence: int
    time: float
    monotonic: float
    actor: str
    action: str
    subject: str
    rule: str
    outcome: str
    detail: dict[str, Any]


def to_bytes(record: AuditRecord) -> bytes:
    """Canonical JSON: sorted keys, no spaces, ASCII (so any file name survives)."""
    return json.dumps(asdict(record), sort_keys=True, separators=(",", ":")).encode("ascii")


def from_bytes(data: bytes) -> AuditRecord:
    """The record that ``to_bytes`` wrote.

    :raises ValueError: if the data is something else.
    """
    try:
        return AuditRecord(**json.loads(data))
    except TypeError as error:
        raise ValueError(str(error)) from error
