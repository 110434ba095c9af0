"""Decides how far each stated value of a document can be trusted.

Responsible for the verdict: grounded, derived, judged, absent, or for a person to review; finding
values is ``grounding``'s work.  Invariant: no value is called grounded without evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hivekeep.domain.documents import Document
from hivekeep.domain.fields import FieldSpec, FieldType, Plan
from hivekeep.domain.values import (
    CheckedValue,
    DocumentResult,
    FieldValue,
    RowsValue,
    Scalar,
    ValueStatus,
)
from hivekeep.swarm.verification.associations import LEFT_CELL, LOOSE, Association
from hivekeep.swarm.verification.choosing import clear, labelled
from hivekeep.swarm.verification.dates import names_a_day
from hivekeep.swarm.verification.grounding import Found, locate, says_nothing
from hivekeep.swarm.verification.layout import Span
from hivekeep.swarm.verification.legal_forms import is_run_together
from hivekeep.swarm.verification.mentions import Context
from hivekeep.swarm.verification.relations import check_relations

_MOST_PLACES = 3
_OTHER_PARTIES = frozenset({
    "recipient of goods", "contact", "bank account holder", "other party", "bank",
})  # fmt: skip
_NOT_BEFORE_A_PARTY = ("&", "(c)", "©", "powered by")
_LABEL = "Read beside its label"
_ILLEGIBLE = "Its letters were recognised"
# Below it about every second recognised name had a wrong letter, on the receipts looked at.
_LEGIBLE = 0.97
# A wrong letter in these is noticed by no sum and no calendar.
_LETTER_BY_LETTER = frozenset({FieldType.NAME, FieldType.IDENTIFIER})
_UNGROUNDED = "It was not found in the document."


def check(
    plan: Plan,
    document: Document,
    answer: Mapping[str, Any],
    second: Mapping[str, Any] | None = None,
    confidence: Mapping[str, float] | None = None,
    context: Context | None = None,
) -> DocumentResult:
    """Judge a model's ``answer``; ``second`` holds what it said when asked again, by field.

    A field that ``answer`` does not mention was not asked: the document's labels alone speak.
    ``confidence`` is how sure the model was of what it said last, by field.  ``context`` spares
    reading the document's labels again.
    """
    context = context or Context(plan, document)
    values: list[CheckedValue] = []
    for spec in plan.fields:
        raw = answer.get(spec.name)
        if spec.type is FieldType.ROWS:
            values.append(_rows(context, spec, raw))
        elif second is not None and spec.name in second:
            values.append(_twice(context, spec, raw, second[spec.name]))
        elif spec.name not in answer:
            values.append(_unasked(context, spec))
        else:
            values.append(_once(context, spec, raw))
    values = [_with_confidence(value, confidence or {}) for value in values]
    return check_relations(plan, context, tuple(values))


def alternatives(context: Context, spec: FieldSpec, value: CheckedValue) -> tuple[str, ...]:
    """What the document's labels offer for a field that is in doubt, as printed, best first."""
    if not isinstance(value, FieldValue) or not spec.grounded:
        return ()
    likely = [v for v, score in context.candidates(spec).items() if score >= clear(spec)]
    printed: dict[str, None] = {}
    wanted = [*likely[:4], *([value.value] if value.evidence else [])]
    for mention in context.mentions(spec.type):
        if mention.value in wanted and mention.value not in printed.values():
            printed.setdefault(context.layout.text((mention.span,)), None)
    return tuple(printed)[:6]


def is_doubtful(context: Context, spec: FieldSpec, value: CheckedValue) -> bool:
    """Whether asking the model again could help."""
    if not isinstance(value, FieldValue) or not spec.grounded:
        return False
    if value.status is ValueStatus.NEEDS_REVIEW:
        return not is_illegible(value)
    if value.status is not ValueStatus.ABSENT:
        return False
    likely = [v for v, score in context.candidates(spec).items() if score >= clear(spec)]
    return len(likely) == 1 or (bool(likely) and spec.required)


def is_illegible(value: CheckedValue) -> bool:
    """Whether a value is in doubt for its letters alone, which a model sees no better."""
    return value.status is ValueStatus.NEEDS_REVIEW and value.reason.startswith(_ILLEGIBLE)


def _once(context: Context, spec: FieldSpec, raw: Any) -> FieldValue:
    if not spec.grounded or spec.type in (FieldType.PROSE, FieldType.CHOICE):
        return _judged(spec, raw)
    found = locate(context, spec, raw)
    if found is not None and spec.type is FieldType.BOOLEAN:
        return FieldValue(spec.name, found.value, ValueStatus.JUDGED)
    objection = (found.doubt or _objection(context, spec, found)) if found and found.places else ""
    beside = labelled(context, spec)
    contradicts = spec.type is FieldType.NAME and found is not None and found.value != beside
    if beside is not None and (found is None or not found.places or objection or contradicts):
        return _from_label(context, spec, beside, found)
    if found is None:
        return FieldValue(spec.name, None, ValueStatus.ABSENT)
    return _verdict(context, spec, found, objection)


def _unasked(context: Context, spec: FieldSpec) -> FieldValue:
    beside = labelled(context, spec) if is_searched(spec) else None
    if beside is None:
        return FieldValue(spec.name, None, ValueStatus.ABSENT)
    checked = _verdict(context, spec, Found(beside, context.places(spec, beside)), "")
    return checked if checked.reason else replace(checked, reason=f"{_LABEL}.")


def is_searched(spec: FieldSpec) -> bool:
    """Whether the field's value has to be printed."""
    return spec.grounded and spec.type not in (
        FieldType.PROSE, FieldType.CHOICE, FieldType.BOOLEAN, FieldType.ROWS,
    )  # fmt: skip


def _with_confidence(value: CheckedValue, confidence: Mapping[str, float]) -> CheckedValue:
    # What a label says in place of the model is not the model's to be sure of.
    if not isinstance(value, FieldValue) or value.value is None or _LABEL in value.reason:
        return value
    return replace(value, confidence=confidence.get(value.name))


def _from_label(
    context: Context, spec: FieldSpec, value: Scalar, found: Found | None
) -> FieldValue:
    places = context.places(spec, value)
    said = "did not state it" if found is None else f"said {found.value}"
    checked = _verdict(context, spec, Found(value, places), "")
    return checked if checked.reason else replace(checked, reason=f"{_LABEL}; the model {said}.")


def _twice(context: Context, spec: FieldSpec, raw: Any, again: Any) -> FieldValue:
    first = _once(context, spec, raw)
    other = _once(context, spec, again)
    if other.status is ValueStatus.GROUNDED:
        return other
    if first.status is ValueStatus.GROUNDED:
        return first
    if other.status is ValueStatus.ABSENT:
        # Withdrawn: a value that nothing supports is better left out than shown.
        return first if first.evidence else other
    return other if other.evidence or not first.evidence else first


def _judged(spec: FieldSpec, raw: Any) -> FieldValue:
    if says_nothing(raw):
        return FieldValue(spec.name, None, ValueStatus.ABSENT)
    text = " ".join(str(raw).split())[: spec.max_length] if isinstance(raw, str) else raw
    if spec.type is FieldType.CHOICE and text not in spec.choices:
        return FieldValue(spec.name, None, ValueStatus.ABSENT, reason="Not one of the choices.")
    return FieldValue(spec.name, text, ValueStatus.JUDGED)


def _verdict(context: Context, spec: FieldSpec, found: Found, objection: str) -> FieldValue:
    places = sorted(found.places, key=lambda place: -context.label_at(place[0]).score(spec.name))
    evidence = tuple(
        item for place in places[:_MOST_PLACES] for item in context.layout.evidence(place)
    )
    if not found.places:
        objection = (
            f"It was not found in the document: {found.doubt}." if found.doubt else _UNGROUNDED
        )
    elif found.doubt:
        objection = f"It is printed, but {found.doubt}."
    elif not objection and spec.type in _LETTER_BY_LETTER:
        objection = _illegible(context, places) or _misspelt(spec, found.value)
    status = ValueStatus.NEEDS_REVIEW if objection else ValueStatus.GROUNDED
    return FieldValue(spec.name, found.value, status, evidence, objection)


def _misspelt(spec: FieldSpec, value: Scalar) -> str:
    if spec.type is FieldType.NAME and is_run_together(str(value)):
        return "A space before its legal form is missing."
    return ""


def _illegible(context: Context, places: list[tuple[Span, ...]]) -> str:
    """What speaks against a recognised text, at its most legible place; empty if nothing."""
    document = context.layout.document
    best = max(
        min(
            1.0 if known is None else known
            for span in place
            for known in (document.blocks[context.layout.lines[span.line].block].confidence,)
        )
        for place in places
        if place
    )
    return f"{_ILLEGIBLE} with {best:.0%} certainty only." if best < _LEGIBLE else ""


def _objection(context: Context, spec: FieldSpec, found: Found) -> str:
    """What the labels beside a printed value say against it; empty if nothing."""
    labels = [context.label_at(place[0]) for place in found.places if place]
    if not labels or spec.type is FieldType.CURRENCY:
        return ""
    if spec.type is FieldType.IDENTIFIER and names_a_day(str(found.value)):
        return "It names a day."
    if spec.type is FieldType.NAME:
        if all(_is_cut_off(context, place) for place in found.places):
            return "What is printed before it says that it is something else."
        if all(place and context.is_addressee(spec, place[0]) for place in found.places):
            return "It is printed as an addressee."
        first = min((place[0] for place in found.places if place), key=lambda span: span.line)
        if context.is_brand(spec, first):
            return "Another name in the document's head could be the issuer's."
    best = max(label.score(spec.name) for label in labels)
    if best >= clear(spec):
        return ""
    rivals = [
        value
        for value, score in context.candidates(spec).items()
        if score >= max(clear(spec), best + LOOSE) and value != found.value
    ]
    # A well-known label of the very thing that is asked for is no objection to it.
    own = {spec.name.replace("_", " "), spec.title.lower()}
    other = next((label.other for label in labels if label.other and label.other not in own), "")
    if spec.type in (FieldType.NAME, FieldType.TEXT) and other not in _OTHER_PARTIES:
        return ""
    if best < 0 and all(label.score(spec.name) < 0 for label in labels):
        announced = other or _announced(context, spec, labels)
        if announced:
            return f"It is printed as {announced}."
    if rivals:
        return f"The document's own label points at {rivals[0]}."
    return ""


def _announced(context: Context, spec: FieldSpec, labels: Sequence[Association]) -> str:
    """The other field whose own clear label stands beside every place of a value."""
    if spec.type not in (FieldType.AMOUNT, FieldType.DATE):
        return ""
    if any(abs(label.score(spec.name)) < LEFT_CELL or not label.owners for label in labels):
        return ""
    # What labels an amount may be no amount itself, as "Cash" is; a day's label always is a day's.
    titles = sorted(
        other.title
        for other in context.plan.fields
        if other.name in labels[0].owners
        and (spec.type is FieldType.AMOUNT or other.type is FieldType.DATE)
    )
    return titles[0] if titles else ""


def _is_cut_off(context: Context, place: tuple[Span, ...]) -> bool:
    """Whether a name begins in the middle of a longer one, or names who made the form."""
    if not place:
        return False
    before = context.layout.lines[place[0].line].text[: place[0].start].rstrip().casefold()
    return before.endswith(_NOT_BEFORE_A_PARTY)


def _rows(context: Context, spec: FieldSpec, raw: Any) -> RowsValue:
    rows = [row for row in raw if isinstance(row, Mapping)] if isinstance(raw, list) else []
    # Small models list the sums below a table as further rows of it.
    rows = [row for row in rows if not any(context.names_a_sum(cell) for cell in row.values())]
    checked = tuple(
        tuple(_cell(context, column, row.get(column.name)) for column in spec.columns)
        for row in rows[: spec.max_rows]
    )
    checked = tuple(row for row in checked if any(cell.value is not None for cell in row))
    if not checked:
        return RowsValue(spec.name, (), ValueStatus.ABSENT)
    doubtful = sum(any(c.status is ValueStatus.NEEDS_REVIEW for c in row) for row in checked)
    if doubtful:
        reason = f"{doubtful} of {len(checked)} rows hold values that are not in the document."
        return RowsValue(spec.name, checked, ValueStatus.NEEDS_REVIEW, reason)
    return RowsValue(spec.name, checked, ValueStatus.GROUNDED)


def _cell(context: Context, column: FieldSpec, raw: Any) -> FieldValue:
    if not column.grounded or column.type in (FieldType.PROSE, FieldType.CHOICE):
        return _judged(column, raw)
    found = locate(context, column, raw)
    if found is None:
        return FieldValue(column.name, None, ValueStatus.ABSENT)
    if column.type is FieldType.BOOLEAN:
        return FieldValue(column.name, found.value, ValueStatus.JUDGED)
    value = _verdict(context, column, found, "")
    return replace(value, evidence=value.evidence[:1])
