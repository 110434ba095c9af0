"""Which fields a document's own labels settle, so that no model need be asked about them.

Responsible for that decision only; the values themselves, with their evidence, are ``checking``'s.
Invariant: a field is settled only by a printed value that no sum contradicts, or because nothing
that is printed could be its value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.values import CheckedValue, DocumentResult, FieldValue, Scalar, ValueStatus
from hivekeep.swarm.verification.checking import check, is_illegible, is_searched
from hivekeep.swarm.verification.mentions import Context
from hivekeep.swarm.verification.relations import in_broken_sums

_SURE = (ValueStatus.GROUNDED, ValueStatus.DERIVED)
# Above it no draft was wrong where the larger model was right (benchmarks/cascade.py).
_CONVINCING = 0.5


def open_fields(context: Context, result: DocumentResult) -> tuple[str, ...]:
    """The fields that a model has to be asked about, given ``result`` from the labels alone."""
    plan = context.plan
    suspect = in_broken_sums(plan, result)
    taken = {
        (spec.type, value.value)
        for spec, value in zip(plan.fields, result.values, strict=True)
        if isinstance(value, FieldValue) and value.status in _SURE
    }
    return tuple(
        spec.name
        for spec, value in zip(plan.fields, result.values, strict=True)
        if spec.name in suspect or not _is_settled(context, spec, value, taken)
    )


def _is_settled(
    context: Context, spec: FieldSpec, value: CheckedValue, taken: set[tuple[FieldType, Scalar]]
) -> bool:
    if not is_searched(spec):
        return False
    if value.status in _SURE or is_illegible(value):
        return True
    return value.status is ValueStatus.ABSENT and not _could_be_printed(context, spec, taken)


def _could_be_printed(
    context: Context, spec: FieldSpec, taken: set[tuple[FieldType, Scalar]]
) -> bool:
    """Whether a value of the field's type is printed that is nothing else's."""
    match spec.type:
        case FieldType.CURRENCY:
            return context.prints_currency
        case FieldType.DATE | FieldType.AMOUNT:
            return any(
                mention.label.score(spec.name) > 0
                or (not mention.label.strength and (spec.type, mention.value) not in taken)
                for mention in context.mentions(spec.type)
            )
        case _:
            return True


def unconvincing(
    context: Context,
    asked: tuple[str, ...],
    draft: Mapping[str, Any],
    confidence: Mapping[str, float],
    *,
    convincing: float = _CONVINCING,
) -> tuple[str, ...]:
    """The fields in ``asked`` that a small model's ``draft`` does not answer convincingly.

    It convinces with a printed value that it was sure of and that no sum contradicts.

    :param convincing: the least probability of a value's tokens.
    """
    plan, document = context.plan, context.layout.document
    said = {name: draft.get(name) for name in asked}
    result = check(plan, document, said, context=context)
    suspect = in_broken_sums(plan, result)
    return tuple(
        value.name
        for value in result.values
        if value.name in asked
        and (
            value.status not in _SURE
            or value.name in suspect
            or confidence.get(value.name, 0.0) < convincing
        )
    )
