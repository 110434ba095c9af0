"""Finds a stated value in the document and brings it into its normal form.

Responsible for one value at a time: normal form, where it is printed, and what speaks against it;
what follows for the whole document is ``check``'s decision.  Invariant: a value is found only if
its own characters, read in one of their possible ways, are printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.values import Scalar
from hivekeep.swarm.verification.amounts import canonical, parse_amount
from hivekeep.swarm.verification.currencies import find_currencies, parse_currency
from hivekeep.swarm.verification.dates import parse_date
from hivekeep.swarm.verification.layout import Span
from hivekeep.swarm.verification.mentions import Context
from hivekeep.swarm.verification.text import (
    allowed_errors,
    collapse,
    find_exact,
    find_squeezed,
    squeeze,
    squeeze_mapped,
)

# Beyond this many comparisons a fuzzy search is not worth its time.
_MOST_CELLS = 2_000_000
_NOTHING = frozenset({"", "null", "none", "n/a", "-", "--"})
_TRUE = frozenset({"true", "yes", "ja", "oui", "sí", "si", "是", "1"})


@dataclass(frozen=True, slots=True)
class Found:
    """A value in normal form; ``places`` are its occurrences, each a tuple of spans."""

    value: Scalar
    places: tuple[tuple[Span, ...], ...] = ()
    doubt: str = ""


def says_nothing(raw: Any) -> bool:
    """Whether a model's answer means that the document does not say it."""
    return raw is None or (isinstance(raw, str) and raw.strip().casefold() in _NOTHING)


def locate(context: Context, spec: FieldSpec, raw: Any) -> Found | None:
    """Where ``raw`` stands; ``None`` if it says nothing, no ``places`` if it is not printed."""
    if says_nothing(raw):
        return None
    match spec.type:
        case FieldType.BOOLEAN:
            return Found(raw if isinstance(raw, bool) else str(raw).casefold() in _TRUE)
        case FieldType.DATE:
            return _date(context, str(raw))
        case FieldType.AMOUNT | FieldType.NUMBER | FieldType.INTEGER:
            return _number(context, spec, str(raw))
        case FieldType.CURRENCY:
            return _currency(context, str(raw))
        case _:
            return _text(context, spec, str(raw))


def _date(context: Context, raw: str) -> Found | None:
    mention = parse_date(raw)
    if mention is None:
        return Found(collapse(raw)[:40], doubt="it is not one calendar day")
    printed = [m for m in context.mentions(FieldType.DATE) if _is_day(m.value, mention.days)]
    if printed:
        stated = mention.resolve(context.order)
        # The document's own reading of the same characters wins over the model's.
        same = [m for m in printed if stated and m.value == stated.isoformat()] or printed
        value = same[0].value
        return Found(value, tuple((m.span,) for m in same if m.value == value))
    day = mention.resolve(context.order)
    if day is None:
        return Found(collapse(raw)[:40], doubt="day and month cannot be told apart")
    return Found(day.isoformat())


def _is_day(value: Scalar, days: frozenset[Any]) -> bool:
    return any(day.isoformat() == value for day in days)


def _number(context: Context, spec: FieldSpec, raw: str) -> Found | None:
    mention = parse_amount(raw)
    if mention is None:
        return Found(collapse(raw)[:40], doubt="it is not one number")
    kind = FieldType.NUMBER
    # JSON output is often written with a point whatever the document does.
    values = {canonical(value) for value in mention.values}
    printed = [m for m in context.mentions(kind) if m.value in values]
    if not printed:
        values = {canonical(-value) for value in mention.values}
        printed = [m for m in context.mentions(kind) if m.value in values]
    resolved = mention.resolve(context.style)
    if printed:
        preferred = canonical(resolved) if resolved is not None else ""
        value = next((m.value for m in printed if m.value == preferred), printed[0].value)
        places = tuple((m.span,) for m in printed if m.value == value)
        return Found(_as_type(spec, str(value)), places)
    if resolved is None:
        return Found(collapse(raw)[:40], doubt="its decimal mark cannot be told")
    return Found(_as_type(spec, canonical(resolved)))


def _as_type(spec: FieldSpec, value: str) -> Scalar:
    if spec.type is FieldType.AMOUNT:
        return value
    number = Decimal(value)
    if spec.type is FieldType.INTEGER:
        return int(number)
    return format(number.normalize(), "f")


def _currency(context: Context, raw: str) -> Found | None:
    codes = parse_currency(raw)
    if not codes:
        return Found(collapse(raw)[:20], doubt="it is not a currency")
    code = context.settle_currency(codes) or (
        context.currency if context.currency in codes else None
    )
    places = [
        (Span(line.index, mention.start, mention.end),)
        for line in context.layout.lines
        for mention in find_currencies(line.text)
        if (code or codes[0]) in mention.codes
    ]
    if code is None:
        return Found(codes[0], tuple(places[:5]), doubt=f"the symbol may also mean {codes[-1]}")
    return Found(code, tuple(places[:5]))


def _text(context: Context, spec: FieldSpec, raw: str) -> Found | None:
    value = collapse(raw)[: spec.max_length]
    if not any(char.isalnum() for char in value):
        return None
    folded = context.layout.folded
    spans = find_exact(value, folded) or find_squeezed(value, folded)
    literal = bool(spans)
    if not spans and spec.type is not FieldType.IDENTIFIER:
        spans = _fuzzy(context, value)
    places = tuple(context.layout.spans(start, end) for start, end in spans[:20])
    if places and literal:
        # What is printed, not how the model spelled it.
        value = context.layout.text(places[0])[: spec.max_length]
    doubt = context.not_a_name(value) if spec.type is FieldType.NAME else ""
    return Found(value, places, doubt)


def _fuzzy(context: Context, value: str) -> list[tuple[int, int]]:
    """The best place of a long text with few reading errors (Sellers, 1980)."""
    wanted = squeeze(value)
    limit = allowed_errors(len(wanted))
    squeezed = squeeze_mapped(context.layout.folded)
    if not limit or len(wanted) * len(squeezed.text) > _MOST_CELLS:
        return []
    costs = list(range(len(wanted) + 1))
    begins = [0] * (len(wanted) + 1)
    best: tuple[int, int, int] | None = None
    for at, char in enumerate(squeezed.text):
        previous, before = 0, at
        costs[0], begins[0] = 0, at + 1
        for row, other in enumerate(wanted, start=1):
            old, old_begin = costs[row], begins[row]
            options = (
                (previous + (char != other), before),
                (old + 1, old_begin),
                (costs[row - 1] + 1, begins[row - 1]),
            )
            costs[row], begins[row] = min(options, key=lambda option: option[0])
            previous, before = old, old_begin
        if costs[-1] <= limit and (best is None or costs[-1] < best[0]):
            best = (costs[-1], begins[-1], at)
    if best is None or best[1] > best[2]:
        return []
    first, last = squeezed.at[best[1]], squeezed.at[best[2]]
    return [context.layout.folded.original(first, last + 1)]
