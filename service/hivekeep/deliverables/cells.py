"""What each cell of a workbook holds, decided without any spreadsheet library.

Responsible for turning a checked value into a typed cell with its evidence; not for drawing it.
Invariant: a number or a date becomes one only if the spreadsheet keeps it exactly; otherwise it
stays text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from hivekeep.deliverables.text import cell_text, one_line, plain, shorten
from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.report import DocumentOutcome
from hivekeep.domain.values import (
    CheckedValue,
    Evidence,
    FieldValue,
    RowsValue,
    Scalar,
    ValueStatus,
)

Typed = str | int | Decimal | bool | date | datetime | timedelta | None

DATE_FORMAT = "yyyy-mm-dd"
TIME_FORMAT = "yyyy-mm-dd hh:mm:ss"
DURATION_FORMAT = "[h]:mm:ss"
BOOLEAN_FORMAT = '"TRUE";"TRUE";"FALSE"'
"""Excel shows truth values as words by itself; LibreOffice shows 1 and 0 without this."""
MAX_COMMENT = 900
_MAX_QUOTE = 240
_MAX_EVIDENCE = 3
# A spreadsheet number is an IEEE double; Excel shows and keeps 15 significant digits.
_MAX_DIGITS = 15
_MAX_DECIMALS = 10
# Excel believes in a 29 February 1900, so dates before March 1900 differ between programs.
_FIRST_DATE = date(1900, 3, 1)
_NUMBER = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_NO_DECIMALS = frozenset(
    {
        *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW"),
        *("PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"),
    }
)
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


class Look(StrEnum):
    """How a cell is coloured."""

    PLAIN = "plain"
    OK = "ok"
    REVIEW = "review"
    DERIVED = "derived"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: a typed value and how to show it.

    ``link`` is a ``file:`` URI of a source document, ``place`` a place in this workbook; at most
    one of the two is set, and never from document text.
    """

    value: Typed = None
    number_format: str = "General"
    look: Look = Look.PLAIN
    comment: str = ""
    link: str = ""
    place: str = ""
    wrap: bool = False


def label(spec: FieldSpec) -> str:
    """The heading of a field's column."""
    return one_line(spec.title or spec.name.replace("_", " ").capitalize(), 80)


def text_cell(text: str, look: Look = Look.PLAIN, *, wrap: bool = False) -> Cell:
    """A cell that shows ``text``, never a formula."""
    shown = cell_text(text)
    return Cell(shown, _text_format(shown), look, wrap=wrap)


def value_cell(spec: FieldSpec, value: CheckedValue | None, currency: str = "") -> Cell:
    """The cell of one checked value, with its evidence as comment.

    :param currency: ISO 4217 code that amounts are shown in, or nothing if it is not known.
    """
    if value is None:
        return Cell(look=Look.ABSENT)
    if isinstance(value, RowsValue):
        doubtful = value.status is ValueStatus.NEEDS_REVIEW
        look = look_of(value.status) if value.rows or doubtful else Look.ABSENT
        return Cell(len(value.rows), "0", look, cell_text(value.reason, MAX_COMMENT))
    typed, number_format = typed_value(spec.type, value.value, currency)
    return Cell(
        typed,
        number_format,
        look_of(value.status),
        describe_evidence(value, kept_as_text=_wants_number(spec.type) and isinstance(typed, str)),
        wrap=spec.type is FieldType.PROSE or (isinstance(typed, str) and len(typed) > 40),
    )


def typed_value(kind: FieldType, value: Scalar, currency: str = "") -> tuple[Typed, str]:
    """``value`` as a spreadsheet value and its number format."""
    if value is None or value == "":
        return None, "General"
    if isinstance(value, bool):
        return value, BOOLEAN_FORMAT
    if kind is FieldType.DATE and isinstance(value, str):
        if found := _date(value):
            return found, DATE_FORMAT
    elif _wants_number(kind) and (number := _exact(value)) is not None:
        if kind is FieldType.AMOUNT:
            return number, amount_format(number, currency)
        return number, "0" if kind is FieldType.INTEGER else _number_format(number, 0)
    shown = cell_text(str(value))
    return shown, _text_format(shown)


def amount_format(number: Decimal, currency: str = "") -> str:
    """The number format of an amount; it never hides a digit that the document stated."""
    least = 0 if currency in _NO_DECIMALS else 3 if currency in _THREE_DECIMALS else 2
    pattern = _number_format(number, least)
    # Only a plain code may enter a number format, which is a small language of its own.
    return f"{pattern} [${currency}]" if _CURRENCY.fullmatch(currency) else pattern


def currency_of(fields: tuple[FieldSpec, ...], values: tuple[CheckedValue, ...]) -> str:
    """The confirmed currency of a document or of a row, or nothing."""
    for spec, value in zip(fields, values, strict=False):
        if spec.type is FieldType.CURRENCY and isinstance(value, FieldValue):
            sure = value.status in (ValueStatus.GROUNDED, ValueStatus.DERIVED)
            if sure and isinstance(value.value, str) and _CURRENCY.fullmatch(value.value):
                return value.value
    return ""


def look_of(status: ValueStatus) -> Look:
    """The colour for a status."""
    match status:
        case ValueStatus.NEEDS_REVIEW:
            return Look.REVIEW
        case ValueStatus.DERIVED:
            return Look.DERIVED
        case ValueStatus.ABSENT:
            return Look.ABSENT
        case ValueStatus.GROUNDED | ValueStatus.JUDGED:
            return Look.PLAIN


def describe_evidence(value: FieldValue, *, kept_as_text: bool = False) -> str:
    """Where a value comes from, in at most ``MAX_COMMENT`` characters."""
    lines: list[str] = []
    if value.status is ValueStatus.NEEDS_REVIEW:
        lines.append(f"Needs review: {value.reason or 'not confirmed in the document'}")
    elif value.status is ValueStatus.DERIVED:
        lines.append(f"Computed: {value.reason or 'from other values of this document'}")
    elif value.status is ValueStatus.JUDGED:
        lines.append("The model's own wording or choice")
    elif value.reason:
        lines.append(value.reason)
    lines.extend(_quote(evidence) for evidence in value.evidence[:_MAX_EVIDENCE])
    if value.confidence is not None and lines:
        lines.append(f"Confidence {value.confidence:.0%}")
    if kept_as_text:
        lines.append("Kept as text, because a spreadsheet would change it as a number or date")
    return cell_text("\n".join(lines), MAX_COMMENT)


def review_reasons(fields: tuple[FieldSpec, ...], outcome: DocumentOutcome) -> str:
    """Why a person should look at a document, one reason a line."""
    if outcome.result is None:
        return ""
    reasons: list[str] = []
    for spec, value in zip(fields, outcome.result.values, strict=False):
        if value.status is ValueStatus.NEEDS_REVIEW:
            reason = " ".join(plain(value.reason).split()) or "not confirmed in the document"
            reasons.append(f"{label(spec)}: {reason}")
    reasons.extend(" ".join(plain(problem).split()) for problem in outcome.result.problems)
    return "\n".join(dict.fromkeys(reasons))


def _quote(evidence: Evidence) -> str:
    quote = shorten(" ".join(plain(evidence.quote).split()), _MAX_QUOTE)
    where = f" ({one_line(evidence.locator, 80)})" if evidence.locator else ""
    return f"Page {evidence.page}{where}: “{quote}”"


def _text_format(text: str) -> str:
    # Some versions of Excel show #### for a longer text in a cell of the format Text.
    return "@" if 0 < len(text) <= 255 else "General"


def _wants_number(kind: FieldType) -> bool:
    return kind in (FieldType.AMOUNT, FieldType.NUMBER, FieldType.INTEGER, FieldType.DATE)


def _date(value: str) -> date | None:
    try:
        found = date.fromisoformat(value)
    except ValueError:
        return None
    return found if found >= _FIRST_DATE and len(value) == len("2000-01-01") else None


def _exact(value: str | int) -> Decimal | None:
    """The number, or ``None`` if a spreadsheet would not keep every digit of it."""
    if not _NUMBER.fullmatch(str(value)):
        return None
    number = Decimal(value)
    sign, digits, exponent = number.as_tuple()
    significant = "".join(map(str, digits)).strip("0")
    if len(significant) > _MAX_DIGITS or number.adjusted() > _MAX_DIGITS:
        return None
    if int(exponent) < -_MAX_DECIMALS:
        return None
    # "-0" would be shown as a debt.
    return abs(number) if sign and not significant else number


def _number_format(number: Decimal, least: int) -> str:
    exponent = int(number.as_tuple().exponent)
    decimals = max(least, -exponent)
    return "#,##0" + ("." + "0" * decimals if decimals else "")
