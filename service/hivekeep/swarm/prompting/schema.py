"""The JSON Schema that constrains a model's answer for a plan.

Responsible for the shape of answers only; values are judged by ``swarm.verification``.
Invariant: every field may be null (in a required table: every cell; not a required choice that has
a place for everything else), and every string and list is bounded.
"""

from __future__ import annotations

from typing import Any

from hivekeep.domain.fields import FieldSpec, FieldType, Plan
from hivekeep.domain.json_schema import object_schema

OTHER = "other"
"""The choice that takes whatever fits no other."""
# A printed amount or date is short; a tight bound stops a small model that starts to repeat itself.
_MAX_LENGTH = {
    FieldType.DATE: 32,
    FieldType.AMOUNT: 32,
    FieldType.NUMBER: 32,
    FieldType.INTEGER: 16,
    FieldType.CURRENCY: 12,
    FieldType.IDENTIFIER: 60,
    FieldType.NAME: 120,
}


_ALONE = frozenset({FieldType.TEXT, FieldType.NAME, FieldType.IDENTIFIER})
_COMPANY = FieldSpec(
    "document_title", FieldType.TEXT, "Title", description="the document's title", max_length=80
)


def asked_about(plan: Plan, fields: tuple[str, ...]) -> list[FieldSpec]:
    """What the first question about ``fields`` asks for, in the plan's order.

    A single value in words is asked for together with the document's title, whose answer nobody
    reads: alone the 1.5B model answers null to what it finds as the second of two.
    """
    chosen = [spec for spec in plan.fields if spec.name in fields]
    alone = len(chosen) == 1 and chosen[0].grounded and chosen[0].type in _ALONE
    # The answers of a plan's examples have no title.
    if not alone or plan.examples or chosen[0].name == _COMPANY.name:
        return chosen
    return [_COMPANY, *chosen]


def answer_schema(plan: Plan, fields: tuple[str, ...] | None = None) -> dict[str, Any]:
    """The schema for ``fields`` of ``plan`` (all of them if ``None``), in the plan's order.

    Dates and amounts are strings copied as printed: a pattern makes small models invent digits,
    and normalising is the verification's work.
    """
    return _object(list(plan.fields) if fields is None else asked_about(plan, fields))


def choice_schema(spec: FieldSpec, candidates: tuple[str, ...]) -> dict[str, Any]:
    """The schema of one field when it is asked again with its possible answers."""
    if candidates:
        return {"enum": [*candidates, None]}
    return _field(spec)


def _object(specs: list[FieldSpec]) -> dict[str, Any]:
    return object_schema({spec.name: _field(spec) for spec in specs})


def _field(spec: FieldSpec) -> dict[str, Any]:
    match spec.type:
        case FieldType.BOOLEAN:
            return {"type": ["boolean", "null"]}
        case FieldType.CHOICE:
            closed = spec.required and OTHER in spec.choices
            return {"enum": [*spec.choices] if closed else [*spec.choices, None]}
        case FieldType.ROWS:
            rows: dict[str, Any] = {
                "type": "array",
                "items": _object(list(spec.columns)),
                "maxItems": spec.max_rows,
            }
            if spec.required:
                # A small model says null, or an empty list, to be rid of a table. Where one is
                # required it has to look at a first row, whose cells may still be null.
                return {**rows, "minItems": 1}
            return {"anyOf": [rows, {"type": "null"}]}
        case _:
            limit = min(spec.max_length, _MAX_LENGTH.get(spec.type, spec.max_length))
            return {"anyOf": [{"type": "string", "maxLength": limit}, {"type": "null"}]}
