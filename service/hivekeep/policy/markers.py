"""How a key of the policy combines when several sources state it.

Responsible for the vocabulary only; ``merging`` applies it.  Invariant: every marker combines so
that the result never permits more than any one of its parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class ItemKind(StrEnum):
    """What a list holds; it decides when one item covers another."""

    FOLDER = "folder"
    TYPE = "type"
    NAME = "name"
    HOST = "host"
    RECIPIENT = "recipient"


@dataclass(frozen=True, slots=True)
class Allow:
    """A list of what may be; sources combine to what all of them allow."""

    kind: ItemKind


@dataclass(frozen=True, slots=True)
class Deny:
    """A list of what may not be; sources combine to what any of them denies."""

    kind: ItemKind


@dataclass(frozen=True, slots=True)
class Demand:
    """A list of what has to be; sources combine to what any of them demands."""

    kind: ItemKind


@dataclass(frozen=True, slots=True)
class Lowest:
    """A limit; the lowest counts."""


@dataclass(frozen=True, slots=True)
class Highest:
    """A demand on an amount; the highest counts."""


@dataclass(frozen=True, slots=True)
class Strictest:
    """A choice; the earliest of ``order`` counts."""

    order: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class First:
    """A text that permits nothing; the first source that states it counts."""


Marker = Allow | Deny | Demand | Lowest | Highest | Strictest | First
GRANT = Strictest((False, True))
DUTY = Strictest((True, False))
ASKABLE = Strictest(("deny", "ask", "allow"))
