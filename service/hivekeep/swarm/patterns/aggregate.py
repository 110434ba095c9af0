"""What earlier tasks have found, and exact sums over it.

Responsible for the findings of finished tasks as text and as a tool: a model that has to add up two
hundred invoices calls this instead of reading them.  Invariant: a value that is not a number or is
in doubt is never silently part of a sum.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from hivekeep.domain.actions import Label
from hivekeep.domain.errors import ToolError
from hivekeep.domain.provenance import UNKNOWN, Provenance, join_all
from hivekeep.domain.values import CheckedValue, FieldValue, RowsValue, ValueStatus
from hivekeep.tools import EffectClass, Happened, ToolContext, ToolResult, ToolSpec
from hivekeep.tools.spec import Arguments

_MOST_LINES = 400
_MOST_ROWS = 40
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one agent of an earlier task gave; ``values`` is empty if it failed.

    ``provenance`` is that of its name and all its values together.
    """

    task: str
    name: str
    values: tuple[CheckedValue, ...] = ()
    failure: str = ""
    provenance: Provenance = UNKNOWN


class Operation(StrEnum):
    """What can be computed over values."""

    SUM = "sum"
    AVERAGE = "average"
    MIN = "min"
    MAX = "max"
    COUNT = "count"
    LIST = "list"


class AggregateArguments(Arguments):
    """Which output of the earlier tasks, and what to compute over it."""

    field: Annotated[str, Field(min_length=1, max_length=60)]
    # Not the enum itself: pydantic would put it into the schema as a reference.
    operation: Annotated[
        str, Field(json_schema_extra={"enum": [operation.value for operation in Operation]})
    ]


class Aggregate:
    """``aggregate``: sum, average, min, max, count or list over the findings of earlier tasks."""

    spec = ToolSpec(
        name="aggregate",
        description="computes sum, average, min, max, count or list over one field of all results",
        arguments=AggregateArguments,
        effect=EffectClass.READ,
        returns=Label.UNTRUSTED,
    )

    def __init__(self, findings: Sequence[Finding] = ()) -> None:
        self._findings = findings

    async def prepare(self, arguments: AggregateArguments, context: ToolContext) -> dict[str, Any]:  # noqa: ARG002
        """The field and the operation."""
        if arguments.operation not in list(Operation):
            raise ToolError(f"There is no operation '{arguments.operation}'.")
        return {"field": arguments.field, "operation": arguments.operation}

    async def perform(self, prepared: dict[str, Any], context: ToolContext) -> ToolResult:  # noqa: ARG002
        """The result, and which documents are not part of it."""
        text = aggregate(self._findings, prepared["field"], Operation(prepared["operation"]))
        return ToolResult({"result": text}, text, provenance_of_findings(self._findings))

    async def happened(self, prepared: dict[str, Any], context: ToolContext) -> Happened:  # noqa: ARG002
        """Computing changes nothing."""
        return Happened.NO


def provenance_of_findings(findings: Sequence[Finding]) -> Provenance:
    """The provenance of whatever is made from these findings."""
    return join_all(finding.provenance for finding in findings)


def aggregate(findings: Sequence[Finding], field: str, operation: Operation) -> str:
    """One operation over one field of all findings, in words.

    :raises ToolError: if no finding has such a field or nothing can be computed.
    """
    cells: list[tuple[str, FieldValue]] = []
    for finding in findings:
        for value in finding.values:
            cells += [(finding.name, cell) for cell in _cells(value, field)]
    if not cells:
        known = sorted({name for finding in findings for name in _fields(finding)})
        raise ToolError(f"No result has a field '{field}'.", why=f"There are: {', '.join(known)}.")
    if operation is Operation.LIST:
        return "\n".join(f"{name}: {_shown(cell)}" for name, cell in cells[:_MOST_LINES])
    if operation is Operation.COUNT:
        return str(sum(cell.value is not None for _, cell in cells))
    if operation in (Operation.MIN, Operation.MAX) and (days := _days(cells)):
        choose = min if operation is Operation.MIN else max
        name, day = choose(days, key=lambda pair: pair[1])
        return f"{day} in {name}"
    numbers = [(name, number) for name, cell in cells if (number := _number(cell)) is not None]
    left_out = [name for name, cell in cells if _number(cell) is None]
    if not numbers:
        raise ToolError(f"No value of '{field}' is a number that was confirmed.")
    return _computed(operation, numbers) + (
        f" (left out, no confirmed number: {', '.join(left_out[:8])})" if left_out else ""
    )


def findings_text(findings: Sequence[Finding]) -> str:
    """All findings as lines; a value in doubt carries a question mark."""
    lines: list[str] = []
    task = ""
    for finding in findings[:_MOST_LINES]:
        if finding.task != task:
            task = finding.task
            lines.append(f"Results of {task}:")
        if finding.failure:
            lines.append(f"- {finding.name}: no result ({finding.failure})")
            continue
        values = "; ".join(
            f"{value.name} = {_shown(value)}" for value in finding.values if _said(value)
        )
        lines.append(f"- {finding.name}: {values or 'nothing found'}")
    if len(findings) > _MOST_LINES:
        lines.append(f"and {len(findings) - _MOST_LINES} more; aggregate counts them all")
    return "\n".join(lines)


def _computed(operation: Operation, numbers: Sequence[tuple[str, Decimal]]) -> str:
    values = [number for _, number in numbers]
    match operation:
        case Operation.SUM:
            return f"{sum(values, Decimal(0)):f} ({len(values)} values)"
        case Operation.AVERAGE:
            mean = sum(values, Decimal(0)) / len(values)
            return f"{mean.quantize(Decimal('0.0001')).normalize():f} ({len(values)} values)"
        case Operation.MIN:
            name, number = min(numbers, key=lambda pair: pair[1])
        case _:
            name, number = max(numbers, key=lambda pair: pair[1])
    return f"{number:f} in {name}"


def _cells(value: CheckedValue, field: str) -> list[FieldValue]:
    if isinstance(value, RowsValue):
        return [c for row in value.rows for c in row if f"{value.name}.{c.name}" == field]
    return [value] if value.name == field else []


def _fields(finding: Finding) -> list[str]:
    return [value.name for value in finding.values]


def _number(cell: FieldValue) -> Decimal | None:
    if cell.value is None or isinstance(cell.value, bool):
        return None
    if cell.status is ValueStatus.NEEDS_REVIEW:
        return None
    try:
        number = Decimal(str(cell.value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _days(cells: Sequence[tuple[str, FieldValue]]) -> list[tuple[str, str]]:
    """The confirmed dates; ISO dates are ordered like text."""
    return [
        (name, str(cell.value))
        for name, cell in cells
        if cell.status is not ValueStatus.NEEDS_REVIEW and _DAY.fullmatch(str(cell.value))
    ]


def _said(value: CheckedValue) -> bool:
    return bool(value.rows) if isinstance(value, RowsValue) else value.value is not None


def _shown(value: CheckedValue) -> str:
    if isinstance(value, RowsValue):
        rows = ("; ".join(f"{c.name} {c.value}" for c in row) for row in value.rows[:_MOST_ROWS])
        more = len(value.rows) - _MOST_ROWS
        return (
            f"{len(value.rows)} rows: {' / '.join(rows)}{f' and {more} more' if more > 0 else ''}"
        )
    mark = " ?" if value.status is ValueStatus.NEEDS_REVIEW else ""
    return f"{value.value}{mark}"
