"""Hostile text in cells, names and links; and values that a spreadsheet must not bend."""

from __future__ import annotations

import unicodedata
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.deliverables.reports import FIELDS, value

from hivekeep.deliverables.cells import (
    BOOLEAN_FORMAT,
    DATE_FORMAT,
    amount_format,
    currency_of,
    describe_evidence,
    typed_value,
)
from hivekeep.deliverables.text import (
    MAX_CELL,
    cell_text,
    file_link,
    file_name,
    looks_like_formula,
    one_line,
    plain,
    sheet_name,
    shorten,
    shown_name,
    utf16_length,
)
from hivekeep.domain.fields import FieldType
from hivekeep.domain.values import FieldValue, ValueStatus

# Lone surrogates and controls included: that is what file names and broken documents hold.
ANY_TEXT = st.text(st.characters(), max_size=80)
UNLIMITED = st.text(st.characters(), max_size=60).flatmap(
    lambda text: st.sampled_from([text, text * 1_000, "😀" * 20_000 + text])
)


@given(UNLIMITED)
def test_a_cell_holds_only_what_xml_and_excel_can_hold(text: str) -> None:
    shown = cell_text(text)
    assert utf16_length(shown) <= MAX_CELL
    shown.encode("utf-8")
    assert all(character in "\t\n" or ord(character) >= 32 for character in shown)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="_\ufffe\uffff")))
def test_harmless_text_is_shown_as_it_is(text: str) -> None:
    assert plain(text) == text
    assert cell_text(text, 10_000) == text


@given(ANY_TEXT, st.integers(60, 100))
def test_shortened_text_says_so(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert utf16_length(short) <= limit
    assert short == text or "shortened" in short


def test_an_escape_of_excel_is_shown_and_not_decoded() -> None:
    assert cell_text("a_x0041_b") == "a_x005F_x0041_b"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "＝1", "\n=1"])
def test_formulas_are_recognised(text: str) -> None:
    assert looks_like_formula(text)


@given(ANY_TEXT)
def test_a_name_is_one_visible_line(text: str) -> None:
    shown = one_line(text)
    assert not any(
        unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in shown
    )
    assert shown_name("/in/" + text.replace("/", ""))


def test_a_disguised_name_is_spelled_out() -> None:
    assert shown_name("/in/invoice\u202efdp.exe") == "invoice<U+202E>fdp.exe"


@given(st.lists(ANY_TEXT, max_size=8))
def test_sheet_names_are_valid_and_different(wanted: list[str]) -> None:
    taken: set[str] = set()
    names = [sheet_name(text, taken) for text in wanted]
    assert len({name.casefold() for name in names}) == len(names)
    for name in names:
        assert 0 < utf16_length(name) <= 31
        assert not set(name) & set("[]:*?/\\\n\0")
        assert not name.startswith("'")
        assert not name.endswith("'")


@given(ANY_TEXT)
def test_file_names_are_valid_everywhere(wanted: str) -> None:
    name = file_name(wanted)
    assert 0 < len(name.encode()) <= 200
    assert not set(name) & set('<>:"/\\|?*\0\n')
    assert name not in (".", "..")
    assert not name.endswith((" ", "."))
    assert Path(name).name == name


@given(ANY_TEXT)
def test_a_link_is_a_file_link_or_nothing(text: str) -> None:
    link = file_link("/" + text)
    assert link == "" or (link.startswith("file:///") and link.isascii() and len(link) <= 2_079)
    assert file_link("relative/" + text) == ""


@pytest.mark.parametrize(
    ("kind", "content", "typed", "number_format"),
    [
        (FieldType.DATE, "2026-11-03", date(2026, 11, 3), DATE_FORMAT),
        (FieldType.DATE, "1899-12-31", "1899-12-31", "@"),
        (FieldType.DATE, "20261103", "20261103", "@"),
        (FieldType.AMOUNT, "1234.50", Decimal("1234.50"), "#,##0.00 [$EUR]"),
        (FieldType.AMOUNT, "-0.00", Decimal("0.00"), "#,##0.00 [$EUR]"),
        (FieldType.AMOUNT, "0.12345", Decimal("0.12345"), "#,##0.00000 [$EUR]"),
        (FieldType.AMOUNT, "1234567890123456.78", "1234567890123456.78", "@"),
        (FieldType.AMOUNT, "NaN", "NaN", "@"),
        (FieldType.NUMBER, "2.5", Decimal("2.5"), "#,##0.0"),
        (FieldType.INTEGER, 12, Decimal(12), "0"),
        (FieldType.IDENTIFIER, "00123", "00123", "@"),
        (FieldType.IDENTIFIER, "24312000000012345678", "24312000000012345678", "@"),
        (FieldType.BOOLEAN, True, True, BOOLEAN_FORMAT),
        (FieldType.TEXT, "", None, "General"),
        (FieldType.TEXT, None, None, "General"),
    ],
)
def test_values_keep_their_type_and_every_digit(
    kind: FieldType, content: str | int | None, typed: object, number_format: str
) -> None:
    assert typed_value(kind, content, "EUR") == (typed, number_format)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**16)))
def test_a_number_becomes_one_only_if_a_double_keeps_it(number: Decimal) -> None:
    typed, _ = typed_value(FieldType.AMOUNT, str(number))
    if isinstance(typed, Decimal):
        assert Decimal(repr(float(typed))) == number
    else:
        assert typed == str(number)


@pytest.mark.parametrize("currency", ["", "EU", '"];evil', "[$x]", "EURO"])
def test_only_a_plain_currency_code_enters_a_number_format(currency: str) -> None:
    assert amount_format(Decimal("1.00"), currency) == "#,##0.00"


def test_currencies_without_cents() -> None:
    assert amount_format(Decimal(100), "JPY") == "#,##0 [$JPY]"
    assert amount_format(Decimal("1.5"), "KWD") == "#,##0.000 [$KWD]"


def test_a_doubtful_currency_is_not_shown_as_sure() -> None:
    doubtful = value("currency", "EUR", ValueStatus.NEEDS_REVIEW)
    assert currency_of((FIELDS[3],), (doubtful,)) == ""
    assert currency_of((FIELDS[3],), (value("currency", "EUR"),)) == "EUR"


@given(ANY_TEXT, ANY_TEXT)
def test_evidence_is_bounded_and_safe(quote: str, reason: str) -> None:
    found = value("f", "x", ValueStatus.NEEDS_REVIEW, quote=quote * 20, reason=reason * 20)
    text = describe_evidence(found)
    assert utf16_length(text) <= 900
    assert text.startswith("Needs review:")
    text.encode("utf-8")


def test_evidence_names_the_page_and_quotes_the_place() -> None:
    found = value("total", "5.00", quote="Total\n 5,00", page=3)
    assert describe_evidence(found) == "Page 3: “Total 5,00”"
    sure = FieldValue("t", "5", ValueStatus.GROUNDED, found.evidence, confidence=0.93)
    assert describe_evidence(sure).endswith("Confidence 93%")
