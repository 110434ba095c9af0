"""Extracted values with their evidence and how far they can be trusted.

A value's normal form is JSON-safe: text as is, dates as ISO 8601 ``YYYY-MM-DD``, amounts and
numbers as decimal strings with a point (``"1234.50"``), integers as ``int``, currencies as ISO 4217
codes, booleans as ``bool``.  ``None`` always means "the document does not say".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from hivekeep.domain.provenance import UNKNOWN, Provenance

Scalar = str | int | bool | None


class ValueStatus(StrEnum):
    """How far a value can be trusted."""

    GROUNDED = "grounded"
    """Found in the document's blocks; ``evidence`` says where."""
    DERIVED = "derived"
    """Computed by us from grounded values (for example a missing net amount)."""
    JUDGED = "judged"
    """The model's own wording or choice, by design not searched for in the document."""
    NEEDS_REVIEW = "needs_review"
    """Stated but not confirmed; ``reason`` says why.  A person has to look."""
    ABSENT = "absent"
    """Null: the document does not say."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a value was found: characters ``start`` to ``end`` of block ``block`` on ``page``."""

    block: int
    page: int
    start: int
    end: int
    quote: str
    locator: str = ""


@dataclass(frozen=True, slots=True)
class FieldValue:
    """One checked value. ``confidence`` is from 0 to 1 where it is known.

    ``provenance`` says whose words it is made of; it is no part of what makes two values equal.
    """

    name: str
    value: Scalar
    status: ValueStatus
    evidence: tuple[Evidence, ...] = ()
    reason: str = ""
    confidence: float | None = None
    provenance: Provenance | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class RowsValue:
    """A checked table: each row is a tuple of values in the order of the field's columns.

    ``provenance`` is that of the table and of all its cells.
    """

    name: str
    rows: tuple[tuple[FieldValue, ...], ...]
    status: ValueStatus
    reason: str = ""
    provenance: Provenance | None = field(default=None, compare=False)


CheckedValue = FieldValue | RowsValue


def provenance_of(value: CheckedValue | None) -> Provenance:
    """Whose words a value is made of; what was kept without saying so counts as untrusted."""
    return UNKNOWN if value is None or value.provenance is None else value.provenance


@dataclass(frozen=True, slots=True)
class DocumentResult:
    """What one sub-agent hands back: a checked value per field of the plan, in the plan's order."""

    values: tuple[CheckedValue, ...]
    problems: tuple[str, ...] = ()

    def get(self, name: str) -> CheckedValue | None:
        """The value called ``name``, or ``None`` if the plan has no such field."""
        return next((value for value in self.values if value.name == name), None)

    @property
    def needs_review(self) -> bool:
        """Whether a person should look at any value of this document."""
        return bool(self.problems) or any(
            value.status is ValueStatus.NEEDS_REVIEW for value in self.values
        )
