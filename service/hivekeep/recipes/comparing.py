"""What a recipe found against what its test expects.

Responsible for a comparison that forgives spelling (spaces, case, trailing zeros), never content.
Invariant: a field that the test does not name is not judged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from hivekeep.domain.values import DocumentResult, FieldValue, RowsValue

_LEADING_ZERO = re.compile(r"[-+]?0\d")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference; ``field`` is like ``total`` or ``lines[2].amount``."""

    field: str
    expected: Any
    got: Any


def compare(result: DocumentResult, expect: dict[str, Any]) -> list[Mismatch]:
    """The differences, in the order of ``expect``.

    For a table, ``expect`` holds a list of rows with the columns that matter, or the number of
    rows.
    """
    found: list[Mismatch] = []
    for name, expected in expect.items():
        match result.get(name):
            case FieldValue(value=value):
                if not _same(expected, value):
                    found.append(Mismatch(name, expected, value))
            case RowsValue(rows=rows):
                found += _compare_rows(name, expected, rows)
            case None:
                found.append(Mismatch(name, expected, None))
    return found


def _compare_rows(
    name: str, expected: Any, rows: tuple[tuple[FieldValue, ...], ...]
) -> list[Mismatch]:
    count = len(expected) if isinstance(expected, list) else expected or 0
    found: list[Mismatch] = []
    if count != len(rows):
        found.append(Mismatch(f"{name} (rows)", count, len(rows)))
    if not isinstance(expected, list):
        return found
    for index, (wanted, row) in enumerate(zip(expected, rows, strict=False), start=1):
        if not isinstance(wanted, dict):
            found.append(Mismatch(f"{name}[{index}]", wanted, [cell.value for cell in row]))
            continue
        cells = {cell.name: cell.value for cell in row}
        found += [
            Mismatch(f"{name}[{index}].{column}", value, cells.get(column))
            for column, value in wanted.items()
            if not _same(value, cells.get(column))
        ]
    return found


def _same(expected: Any, got: Any) -> bool:
    if expected is None or got is None:
        return expected is None and got is None
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    first, second = _plain(expected), _plain(got)
    if first == second:
        return True
    one, other = _number(first), _number(second)
    return one is not None and one == other


def _plain(value: Any) -> str:
    return " ".join(str(value).casefold().split())


def _number(text: str) -> Decimal | None:
    # '0012' is an identifier: it differs from '12'.
    if _LEADING_ZERO.match(text):
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
