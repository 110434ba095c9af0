"""Two policies compared key by key: what is added, what is tighter, what is looser.

Responsible for saying which direction a change goes, since that is what an administrator has to
see.  Invariant: a change that permits anything that was not permitted is never called tighter.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hivekeep.policy.markers import Allow, Demand, Deny, First, Highest, Lowest, Marker, Strictest
from hivekeep.policy.merging import covers
from hivekeep.policy.schema import PolicySettings, markers


class Direction(StrEnum):
    """What a change does to what is permitted."""

    TIGHTER = "tighter"
    LOOSER = "looser"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Change:
    """One key that differs."""

    key: str
    before: Any
    after: Any
    direction: Direction


def compare(before: PolicySettings, after: PolicySettings) -> list[Change]:
    """Every key whose value in force differs, in the order of the schema."""
    changes = []
    for key, marker in markers().items():
        section, _, name = key.partition(".")
        first = getattr(getattr(before, section), name)
        second = getattr(getattr(after, section), name)
        if first != second:
            changes.append(Change(key, first, second, direction(marker, first, second)))
    return changes


def direction(marker: Marker, before: Any, after: Any) -> Direction:
    """Which way a value goes; ``None`` sets no limit."""
    tighter, looser = _narrows(marker, before, after), _narrows(marker, after, before)
    if tighter == looser:
        return Direction.OTHER
    return Direction.TIGHTER if tighter else Direction.LOOSER


def _narrows(marker: Marker, outer: Any, inner: Any) -> bool:
    """Whether ``inner`` permits nothing that ``outer`` does not."""
    match marker:
        case Allow(kind):
            if outer is None:
                return True
            return inner is not None and all(any(covers(kind, o, i) for o in outer) for i in inner)
        case Deny(kind):
            return all(any(covers(kind, i, o) for i in inner) for o in outer)
        case Demand():
            return set(outer) <= set(inner)
        case Lowest():
            return outer is None or (inner is not None and inner <= outer)
        case Highest():
            return bool(inner >= outer)
        case Strictest(order):
            return order.index(inner) <= order.index(outer)
        case First():
            return False
