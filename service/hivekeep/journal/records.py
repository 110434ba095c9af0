"""What goes into the journal and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to be appended. ``payload`` is JSON-safe data; ``agent`` is empty for the run."""

    run: str
    kind: str
    payload: dict[str, Any]
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """A durable event. ``at`` is wall-clock time in seconds since the epoch.

    The order of events is that of ``seq``.  Within a run ``at`` never goes back, also when somebody
    sets the clock back, so that no duration is negative.
    """

    seq: int
    run: str
    agent: str
    kind: str
    at: float
    payload: dict[str, Any]
