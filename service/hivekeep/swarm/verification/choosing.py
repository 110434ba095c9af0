"""Chooses the one value that a document's labels point at for a field, where there is one.

Responsible for the choice among labelled candidates: by the strength of their labels, by what was
paid, by which comes first; not for reading labels.  Invariant: without a clear label, or with a tie
that nothing breaks, there is no choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.values import Scalar
from hivekeep.swarm.verification.amounts import canonical
from hivekeep.swarm.verification.associations import ABOVE, LEFT_CELL
from hivekeep.swarm.verification.mentions import Context

# The most that a total is rounded by where coins of one cent are no longer made.
_ROUNDING = Decimal("0.05")
_HEAD = 0.5
_FIRST_COUNTS = frozenset({FieldType.IDENTIFIER, FieldType.DATE})


def clear(spec: FieldSpec) -> float:
    """How strong a label has to be to be believed."""
    # The heading of a column of amounts is also that of every line item above the total.
    return LEFT_CELL if spec.type is FieldType.AMOUNT else ABOVE


def labelled(context: Context, spec: FieldSpec) -> Scalar:
    """The one value that the document's own label for ``spec`` points at, ``None`` if none."""
    scores = context.candidates(spec)
    best = max(scores.values(), default=0.0)
    if best < clear(spec):
        return _settled_in_cash(context, scores) if _is_total(spec) else None
    top = [value for value, score in scores.items() if score == best]
    if spec.type is FieldType.AMOUNT:
        return _amount(context, spec, top)
    if len(top) > 1 and spec.type in _FIRST_COUNTS and spec.required:
        return _first(context, spec, top)
    return top[0] if len(top) == 1 else None


def _first(context: Context, spec: FieldSpec, values: list[Scalar]) -> Scalar:
    """What names and dates a document stands at its head; later ones speak of other documents."""
    places = {value: context.places(spec, value)[0][0] for value in values}
    first, second, *_ = sorted(values, key=lambda value: places[value].line)
    line, other = (context.layout.lines[places[value].line] for value in (first, second))
    if line.page != 1 or line.box is None or other.box is None:
        return None
    higher = other.page > 1 or other.box.y0 > line.box.y0 + (line.box.y1 - line.box.y0)
    return first if line.box.y0 < _HEAD and higher else None


def _amount(context: Context, spec: FieldSpec, values: list[Scalar]) -> Scalar:
    paid = context.paid
    printed = {_decimal(mention.value) for mention in context.mentions(FieldType.AMOUNT)}
    numbers = [number for value in values if (number := _decimal(value)) is not None]
    rounded = {
        number + step
        for number in numbers
        for cents in paid
        if 0 < abs(cents) <= _ROUNDING
        for step in (cents, -cents)
        if number + step in printed
    }
    if len(rounded) == 1 and _is_total(spec):
        return canonical(rounded.pop())
    if len(values) == 1:
        return values[0]
    handed = paid.union(numbers)
    change = {amount for amount in paid if abs(amount) > _ROUNDING}
    settled = {
        number
        for number in numbers
        if number in paid or any(one - number in change and one > number > 0 for one in handed)
    }
    if len(settled) == 1 and _is_total(spec):
        return canonical(settled.pop())
    if _is_total(spec) and (after := _after_rounding(context, spec, values)) is not None:
        return after
    surest = context.surest(spec)
    return surest if surest in values else None


def _settled_in_cash(context: Context, scores: Mapping[Scalar, float]) -> Scalar:
    """The one weakly labelled amount that is what was handed over less the change."""
    found = [
        value
        for value, score in scores.items()
        if score > 0
        and (number := _decimal(value)) is not None
        and any(handed > number > 0 and handed - number in context.paid for handed in context.paid)
    ]
    return found[0] if len(found) == 1 else None


def _after_rounding(context: Context, spec: FieldSpec, values: list[Scalar]) -> Scalar:
    """The lower one of two totals that differ by a rounding of cents; ``None`` if there are not."""
    lines = {value: context.places(spec, value)[0][0].line for value in values}
    pairs = [
        (one, two)
        for one in values
        for two in values
        if lines[one] < lines[two]
        and (left := _decimal(one)) is not None
        and (right := _decimal(two)) is not None
        and 0 < abs(left - right) <= _ROUNDING
    ]
    return pairs[0][1] if len(pairs) == 1 else None


def _is_total(spec: FieldSpec) -> bool:
    """Whether the field is what is paid in the end, by the words it is labelled with."""
    return any("grand total" in alias.casefold() for alias in spec.aliases)


def _decimal(value: Scalar) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None
