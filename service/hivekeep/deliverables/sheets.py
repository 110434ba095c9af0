"""What stands where in the workbook: its sheets as plain rows of cells.

Responsible for the layout and the wording; not for drawing it.  Invariant: every input of the run
appears exactly once, in the results or among the failures.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from hivekeep.deliverables.cells import (
    DURATION_FORMAT,
    TIME_FORMAT,
    Cell,
    Look,
    currency_of,
    label,
    review_reasons,
    text_cell,
    value_cell,
)
from hivekeep.deliverables.findings import finding_sheets
from hivekeep.deliverables.layout import Column, Sheet
from hivekeep.deliverables.text import file_link, one_line, plain, sheet_name, shown_name
from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.report import DocumentOutcome, Failure, RunReport
from hivekeep.domain.runs import AgentState
from hivekeep.domain.values import FieldValue, RowsValue, ValueStatus

RESULTS = "Results"
FIRST_ROW = 3
"""The first row of data: a title and the headings stand above it."""
_LEGEND = (
    (Look.PLAIN, "No colour", "Found in the document; the comment quotes the place."),
    (Look.REVIEW, "Amber", "Needs review: not confirmed in the document. Check it by hand."),
    (Look.DERIVED, "Blue", "Computed from other values of the document."),
    (Look.ABSENT, "Grey", "The document does not say."),
)


def build_sheets(report: RunReport, zone: tzinfo | None) -> tuple[Sheet, ...]:
    """All sheets of a report; times are shown in ``zone``, ``None`` being the machine's own."""
    taken: set[str] = {"results", "failures", "run", "answer", "overview"}
    done = [outcome for outcome in report.documents if outcome.result is not None]
    tables = {
        spec.name: sheet_name(label(spec), taken)
        for spec in report.fields
        if spec.type is FieldType.ROWS
    }
    lines = [
        _lines(spec, tables[spec.name], report, done)
        for spec in report.fields
        if spec.type is FieldType.ROWS
    ]
    results = (_results(report, done, tables),) if report.documents or not report.tasks else ()
    found = finding_sheets(report, taken)
    return (*found, *results, *lines, _failures(report), _run(report, zone))


def failure_of(outcome: DocumentOutcome) -> Failure:
    """Why an outcome has no result; there is always a reason to give."""
    if outcome.failure is not None:
        return outcome.failure
    if outcome.state is AgentState.CANCELLED:
        what, step = "The run was cancelled before this file was finished.", "Resume the run."
    else:
        what, step = "This file was not finished.", "Resume the run."
    return Failure(reason=outcome.state.value, what=what, next_step=step)


def count_line(report: RunReport) -> str:
    """How the run went, in one line."""
    done = [outcome.result for outcome in report.documents if outcome.result is not None]
    review = sum(result.needs_review for result in done)
    parts = [_count(len(report.documents), "document"), f"{len(done) - review} ok"]
    if report.tasks and not report.documents:
        parts = [_count(len(report.tasks), "task")]
    if review:
        parts.append(f"{review} to review")
    if failed := len(report.documents) - len(done):
        parts.append(f"{failed} failed")
    return ", ".join(parts)


def _results(report: RunReport, done: Sequence[DocumentOutcome], tables: dict[str, str]) -> Sheet:
    noted = any(outcome.notes for outcome in done)
    columns = (
        Column("File"),
        Column("Status"),
        *(Column(label(spec), wide=spec.type is FieldType.PROSE) for spec in report.fields),
        Column("Review", wide=True),
        *((Column("Notes", wide=True),) if noted else ()),
    )
    next_line = dict.fromkeys(tables, FIRST_ROW)
    rows: list[tuple[Cell, ...]] = []
    for outcome in done:
        result = outcome.result
        if result is None:
            continue
        currency = currency_of(report.fields, result.values)
        cells = [_file(outcome.path), _status(needs_review=result.needs_review)]
        for spec in report.fields:
            value = result.get(spec.name)
            cell = value_cell(spec, value, currency)
            if isinstance(value, RowsValue) and value.rows and spec.name in tables:
                place = f"'{_quoted(tables[spec.name])}'!A{next_line[spec.name]}"
                cell = Cell(cell.value, cell.number_format, cell.look, cell.comment, place=place)
                next_line[spec.name] += len(value.rows)
            cells.append(cell)
        look = Look.REVIEW if result.needs_review else Look.PLAIN
        cells.append(text_cell(review_reasons(report.fields, outcome), look, wrap=True))
        if noted:
            cells.append(text_cell("\n".join(outcome.notes), wrap=True))
        rows.append(tuple(cells))
    title = f"{one_line(report.title or report.recipe, 120)}: {count_line(report)}"
    return Sheet(RESULTS, title, columns, tuple(rows))


def _lines(spec: FieldSpec, name: str, report: RunReport, done: Sequence[DocumentOutcome]) -> Sheet:
    columns = (
        Column("File"),
        Column("Row"),
        *(Column(label(column)) for column in spec.columns),
        Column("Review", wide=True),
    )
    rows: list[tuple[Cell, ...]] = []
    for number, outcome in enumerate(done):
        value = outcome.result.get(spec.name) if outcome.result else None
        if outcome.result is None or not isinstance(value, RowsValue):
            continue
        currency = currency_of(report.fields, outcome.result.values)
        source = text_cell(shown_name(outcome.path))
        place = f"'{RESULTS}'!A{FIRST_ROW + number}"
        for index, row in enumerate(value.rows, start=1):
            rows.append(
                (
                    Cell(source.value, source.number_format, place=place),
                    Cell(index, "0"),
                    *_line_cells(spec, row, currency_of(spec.columns, row) or currency),
                    text_cell(_row_reasons(spec, row), Look.PLAIN, wrap=True),
                )
            )
    title = f"{label(spec)}: {_count(len(rows), 'row')}"
    return Sheet(name, title, columns, tuple(rows), frozen_columns=2)


def _line_cells(spec: FieldSpec, row: Sequence[FieldValue], currency: str) -> list[Cell]:
    padded = [*row, *([None] * len(spec.columns))]
    return [
        value_cell(column, value, currency)
        for column, value in zip(spec.columns, padded, strict=False)
    ]


def _row_reasons(spec: FieldSpec, row: Sequence[FieldValue]) -> str:
    return "\n".join(
        f"{label(column)}: {one_line(value.reason) or 'not confirmed in the document'}"
        for column, value in zip(spec.columns, row, strict=False)
        if value.status is ValueStatus.NEEDS_REVIEW
    )


def _failures(report: RunReport) -> Sheet:
    rows: list[tuple[Cell, ...]] = []
    for outcome in report.documents:
        if outcome.result is None:
            failure = failure_of(outcome)
            parts = (failure.reason, failure.what, failure.why, failure.next_step)
            texts = (
                text_cell(one_line(" ".join(plain(part).split())), wrap=True) for part in parts
            )
            rows.append((_file(outcome.path), *texts))
    columns = (
        Column("File"),
        Column("Reason"),
        Column("What happened", wide=True),
        Column("Why", wide=True),
        Column("What to do", wide=True),
    )
    title = f"{_count(len(rows), 'file')} without a result" if rows else "Every file has a result"
    return Sheet("Failures", title, columns, tuple(rows))


def _run(report: RunReport, zone: tzinfo | None) -> Sheet:
    started, finished = report.started.astimezone(zone), report.finished.astimezone(zone)
    done = [outcome.result for outcome in report.documents if outcome.result is not None]
    review = sum(result.needs_review for result in done)
    facts: list[tuple[str, Cell]] = [
        ("Run", text_cell(report.run)),
        ("Recipe", text_cell(one_line(report.recipe))),
        ("Recipe version", text_cell(one_line(report.recipe_version))),
        ("Recipe SHA-256", text_cell(report.recipe_hash)),
        ("Model", text_cell(one_line(report.model))),
        ("Model SHA-256", text_cell(report.model_sha256)),
        (f"Started ({started:%Z})", _time(started)),
        (f"Finished ({finished:%Z})", _time(finished)),
        ("Duration", Cell(_whole_seconds(report.finished - report.started), DURATION_FORMAT)),
        ("Documents", _number(len(report.documents))),
        ("… ok", _number(len(done) - review)),
        ("… to review", _number(review)),
        ("… failed", _number(len(report.documents) - len(done))),
        ("Pages", _number(sum(outcome.pages for outcome in report.documents))),
        ("Prompt tokens", _number(report.usage.prompt)),
        ("… of them cached", _number(report.usage.cached)),
        ("Completion tokens", _number(report.usage.completion)),
        ("Program", text_cell(f"Hivekeep {one_line(report.program_version)}".strip())),
    ]
    rows = [(text_cell(name), cell) for name, cell in facts]
    if report.plan_note:
        rows.append((text_cell("Plan"), text_cell(one_line(report.plan_note, 400), wrap=True)))
    rows += [
        (text_cell("Missing"), text_cell(one_line(line, 400), Look.REVIEW, wrap=True))
        for line in report.missing
    ]
    rows.append((Cell(), Cell()))
    rows.append((text_cell("Colours"), Cell()))
    rows.extend((text_cell(name, look), text_cell(meaning)) for look, name, meaning in _LEGEND)
    title = f"About this run: {one_line(report.title or report.recipe, 120)}"
    return Sheet("Run", title, (Column("Fact"), Column("Value", wide=True)), tuple(rows), False, 0)


def _file(path: str) -> Cell:
    name = text_cell(shown_name(path))
    return Cell(name.value, name.number_format, comment=one_line(path, 900), link=file_link(path))


def _status(*, needs_review: bool) -> Cell:
    return text_cell("needs review", Look.REVIEW) if needs_review else text_cell("ok", Look.OK)


def _number(value: int) -> Cell:
    return Cell(value, "#,##0")


def _time(value: datetime) -> Cell:
    return Cell(value.replace(tzinfo=None, microsecond=0), TIME_FORMAT)


def _whole_seconds(duration: timedelta) -> timedelta:
    return timedelta(seconds=max(round(duration.total_seconds()), 0))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _quoted(name: str) -> str:
    return name.replace("'", "''")
