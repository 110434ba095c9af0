"""How far a run is and how long it will still take.

Responsible for arithmetic over a run's record; it reads no clock.  Invariant: an estimate comes
with its uncertainty, and nothing is estimated from fewer than two finished agents.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hivekeep.swarm.events import RunRecord

_LEAST = 2
_RECENT = 60
"""Agents that the pace is taken from; older ones may have met a cold model."""
_SPREAD = 1.64
"""Standard deviations on each side: nine in ten, if the gaps are independent."""


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """Seconds until the run ends: the likely value, and between which it lies nine times in ten."""

    seconds: float
    low: float
    high: float


def time_left(record: RunRecord, now: float) -> TimeLeft | None:
    """The estimate for a run, ``None`` while there is too little to go by."""
    waiting = sum(not agent.state.ended for agent in record.agents.values())
    if record.started is None or record.state.at_rest or not waiting:
        return None
    return estimate(record.agent_ends, waiting, record.started, now)


def estimate(ends: Sequence[float], waiting: int, started: float, now: float) -> TimeLeft | None:
    """From when agents ended, how long the ``waiting`` ones will take.

    Ends come in bursts when agents work side by side; what counts is the mean gap between them and
    how much it varies.  The uncertainty has two parts: that of the mean itself, which scales with
    what is left, and the chance in each gap still to come.
    """
    if len(ends) < _LEAST or waiting <= 0:
        return None
    recent = [max(end, started) for end in sorted(ends)[-_RECENT - 1 :]]
    marks = [started, *recent] if len(ends) <= _RECENT else recent
    gaps = [later - earlier for earlier, later in pairwise(marks)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / max(len(gaps) - 1, 1)
    # The agent that is due next has been worked on since the last one ended.
    passed = max(now - marks[-1], 0.0)
    seconds = max(mean * waiting - min(passed, mean), 0.0)
    doubt = _SPREAD * math.sqrt(variance * waiting + variance / len(gaps) * waiting**2)
    return TimeLeft(seconds, max(seconds - doubt, 0.0), seconds + doubt)


def tokens_per_second(record: RunRecord, now: float) -> float:
    """Tokens of this run, sent and answered, over the time since it started."""
    if record.started is None:
        return 0.0
    until = record.ended or now
    elapsed = until - record.started
    return record.spent.tokens / elapsed if elapsed > 0 else 0.0
