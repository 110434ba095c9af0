"""Reports to render: one like a real run's, and small ones around single values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.report import DocumentOutcome, Failure, RunReport
from hivekeep.domain.runs import AgentState, Usage
from hivekeep.domain.values import (
    CheckedValue,
    DocumentResult,
    Evidence,
    FieldValue,
    RowsValue,
    Scalar,
    ValueStatus,
)

LINES = FieldSpec(
    "lines",
    FieldType.ROWS,
    title="Lines",
    columns=(
        FieldSpec("description", FieldType.TEXT, title="Description"),
        FieldSpec("quantity", FieldType.NUMBER, title="Quantity"),
        FieldSpec("amount", FieldType.AMOUNT, title="Amount"),
    ),
)
FIELDS = (
    FieldSpec("number", FieldType.IDENTIFIER, title="Invoice number"),
    FieldSpec("date", FieldType.DATE, title="Date"),
    FieldSpec("seller", FieldType.NAME, title="Seller"),
    FieldSpec("currency", FieldType.CURRENCY, title="Currency"),
    FieldSpec("net", FieldType.AMOUNT, title="Net"),
    FieldSpec("total", FieldType.AMOUNT, title="Total"),
    FieldSpec("paid", FieldType.BOOLEAN, title="Paid"),
    LINES,
)


def value(
    name: str,
    content: Scalar,
    status: ValueStatus = ValueStatus.GROUNDED,
    *,
    reason: str = "",
    quote: str = "",
    page: int = 1,
) -> FieldValue:
    evidence = (Evidence(0, page, 0, len(quote), quote),) if quote else ()
    if content is None:
        status = ValueStatus.ABSENT
    return FieldValue(name, content, status, evidence, reason)


def outcome(
    path: str, *values: CheckedValue, problems: tuple[str, ...] = (), failure: Failure | None = None
) -> DocumentOutcome:
    return DocumentOutcome(
        path=path,
        sha256="ab" * 32,
        size=1234,
        state=AgentState.FAILED if failure else AgentState.DONE,
        pages=2,
        media_type="application/pdf",
        result=None if failure else DocumentResult(values, problems),
        failure=failure,
        usage=Usage(650, 400, 90),
        seconds=6.5,
    )


def report(
    documents: Sequence[DocumentOutcome], fields: tuple[FieldSpec, ...] = FIELDS
) -> RunReport:
    return RunReport(
        run="7f3a9c21d4e8",
        title="Invoices: inbox",
        recipe="invoices",
        recipe_version="1.2",
        recipe_hash="cd" * 32,
        model="qwen2.5-coder-1.5b-instruct-q4_k_m",
        model_sha256="ef" * 32,
        started=datetime(2026, 11, 24, 8, 0, 5, tzinfo=UTC),
        finished=datetime(2026, 11, 24, 8, 3, 47, tzinfo=UTC),
        fields=fields,
        documents=tuple(documents),
        usage=Usage(12_345, 6_789, 2_345),
        program_version="0.1.0",
    )


def invoice(number: int = 1) -> DocumentOutcome:
    """An invoice on which everything was found, with two lines."""
    return outcome(
        f"/home/me/inbox/Rechnung {number:03d}.pdf",
        value("number", f"RE-2026-{number:04d}", quote=f"Rechnungsnummer: RE-2026-{number:04d}"),
        value("date", "2026-11-03", quote="Rechnungsdatum 03.11.2026"),
        value("seller", "Müller & Söhne GmbH", quote="Müller & Söhne GmbH"),
        value("currency", "EUR", quote="Gesamtbetrag EUR"),
        value("net", "1034.50", quote="Netto 1.034,50"),
        value("total", "1231.06", quote="Gesamtbetrag EUR 1.231,06", page=2),
        value("paid", False, quote="zahlbar bis"),
        RowsValue(
            "lines",
            (
                (
                    value("description", "Beratung", quote="Beratung"),
                    value("quantity", "2.5", quote="2,5"),
                    value("amount", "1000.00", quote="1.000,00"),
                ),
                (
                    value("description", '=HYPERLINK("http://evil")', quote="=HYPERLINK"),
                    value("quantity", "1", quote="1"),
                    value("amount", "34.50", quote="34,50"),
                ),
            ),
            ValueStatus.GROUNDED,
        ),
    )


def doubtful() -> DocumentOutcome:
    """A Chinese invoice with a doubtful total, a computed net amount and no date."""
    return outcome(
        "/home/me/inbox/发票 2026.jpg",
        value("number", "24312000000012345678", quote="发票号码：24312000000012345678"),
        value("date", None),
        value("seller", "上海某某科技有限公司", quote="销售方：上海某某科技有限公司"),
        value("currency", "CNY", quote="人民币"),
        value("net", "1000.00", ValueStatus.DERIVED, reason="Total minus tax."),
        value("total", "1130", ValueStatus.NEEDS_REVIEW, reason="Net and tax do not add up."),
        value("paid", None),
        RowsValue("lines", (), ValueStatus.NEEDS_REVIEW, "The lines do not add up to the total."),
        problems=("net + tax is 1,120.00, not 1,130.00",),
    )


def failed() -> DocumentOutcome:
    """A file that could not be read."""
    return outcome(
        "/home/me/inbox/locked.pdf",
        failure=Failure(
            "encrypted",
            "'locked.pdf' is protected with a password.",
            "Only its owner can open it.",
            "Save it without a password and drop it again.",
        ),
    )


def example() -> RunReport:
    """A run with a bit of everything."""
    return report([invoice(1), invoice(2), doubtful(), failed()])


def one_value(
    kind: FieldType, content: Scalar, status: ValueStatus = ValueStatus.GROUNDED
) -> RunReport:
    """A report of one document with one value."""
    spec = FieldSpec("field", kind, title="Field")
    return report([outcome("/in/a.pdf", value("field", content, status, quote="q"))], (spec,))


def renamed(original: RunReport, **changes: object) -> RunReport:
    """``original`` with some things different."""
    return replace(original, **changes)  # type: ignore[arg-type]
