"""The parts of a report that are about several documents: overview, tasks, what is missing.

Responsible for their sheets, their Markdown and their JSON; not for those of single documents.
Invariant: every sentence of an overview is shown with its sources, or said to have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hivekeep.deliverables.cells import Cell, Look, currency_of, label, text_cell, value_cell
from hivekeep.deliverables.layout import Column, Sheet
from hivekeep.deliverables.text import file_link, one_line, sheet_name, shown_name
from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.report import RunReport, Source, Statement, TaskOutcome
from hivekeep.domain.values import CheckedValue, RowsValue

NO_SOURCE = "no source was found: check it by hand"
_MOST_SHOWN = 6


def finding_sheets(report: RunReport, taken: set[str]) -> tuple[Sheet, ...]:
    """The sheets of an overview and of a free request's tasks, if there are any.

    :param taken: names of sheets, in lower case, to which those given here are added.
    """
    sheets = []
    if report.tasks:
        sheets.append(_tasks(report))
        sheets += _tables(report, taken)
    if report.overview:
        sheets.append(_overview(report))
    return tuple(sheets)


def place_text(source: Source) -> str:
    """A source as a person names it: the document and the pages."""
    pages = sorted({place.page for place in source.evidence})
    shown = ", ".join(f"p. {page}" for page in pages)
    return f"{shown_name(source.path)} {shown}".strip()


def overview_json(statements: Sequence[Statement]) -> list[dict[str, Any]]:
    """The overview for other programs, each sentence with all its sources."""
    return [
        {
            "text": statement.text,
            "sources": [
                {
                    "path": source.path,
                    "sha256": source.sha256,
                    "evidence": [
                        {"page": e.page, "block": e.block, "quote": e.quote, "locator": e.locator}
                        for e in source.evidence
                    ],
                }
                for source in statement.sources
            ],
        }
        for statement in statements
    ]


def spec_of(report: RunReport, value: CheckedValue) -> FieldSpec:
    """The description of a task's value."""
    for spec in report.task_fields:
        if spec.name == value.name:
            return spec
    return FieldSpec(value.name, FieldType.PROSE)


def task_tables(report: RunReport) -> list[tuple[TaskOutcome, FieldSpec, RowsValue]]:
    """The tables that tasks gave, each with its task and its columns."""
    return [
        (task, spec_of(report, value), value)
        for task in report.tasks
        for value in task.values
        if isinstance(value, RowsValue)
    ]


def _tables(report: RunReport, taken: set[str]) -> list[Sheet]:
    sheets = []
    for task, spec, value in task_tables(report):
        rows = []
        for row in value.rows:
            file, *cells = row
            path = str(file.value)
            name = text_cell(shown_name(path))
            first = Cell(name.value, name.number_format, link=file_link(path))
            currency = currency_of(spec.columns, row)
            shown = (
                value_cell(column, cell, currency)
                for column, cell in zip(spec.columns[1:], cells, strict=False)
            )
            rows.append((first, *shown))
        columns = tuple(Column(label(column)) for column in spec.columns)
        count = f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
        title = f"{one_line(task.goal, 200)}: {count}"
        sheets.append(Sheet(sheet_name(task.id.capitalize(), taken), title, columns, tuple(rows)))
    return sheets


def _overview(report: RunReport) -> Sheet:
    columns = (
        Column("Sentence", wide=True),
        Column("Sources", wide=True),
        Column("First source"),
    )
    rows = []
    for statement in report.overview:
        named = [place_text(source) for source in statement.sources[:_MOST_SHOWN]]
        if len(statement.sources) > _MOST_SHOWN:
            named.append(f"and {len(statement.sources) - _MOST_SHOWN} more")
        look = Look.PLAIN if statement.sources else Look.REVIEW
        quotes = [
            f"{shown_name(source.path)} p. {place.page}: “{one_line(place.quote, 160)}”"
            for source in statement.sources
            for place in source.evidence[:1]
        ]
        sentence = text_cell(statement.text, look, wrap=True)
        rows.append(
            (
                Cell(sentence.value, sentence.number_format, look,
                     one_line("\n".join(quotes), 900), wrap=True),
                text_cell("\n".join(named) or NO_SOURCE, look, wrap=True),
                _link(statement),
            )
        )  # fmt: skip
    return Sheet("Overview", "Overview of all documents", columns, tuple(rows))


def _link(statement: Statement) -> Cell:
    if not statement.sources:
        return Cell()
    path = statement.sources[0].path
    name = text_cell(shown_name(path))
    return Cell(name.value, name.number_format, link=file_link(path))


def _tasks(report: RunReport) -> Sheet:
    columns = (
        Column("Task"),
        Column("Output"),
        Column("Value", wide=True),
        Column("Remark", wide=True),
    )
    rows: list[tuple[Cell, ...]] = []
    for task in report.tasks:
        rows += _task_rows(report, task)
    title = f"Request: {one_line(report.request, 200)}"
    return Sheet("Answer", title, columns, tuple(rows))


def _task_rows(report: RunReport, task: TaskOutcome) -> list[tuple[Cell, ...]]:
    name = text_cell(task.id)
    if task.failure is not None:
        why = text_cell(one_line(task.failure.line, 400), Look.REVIEW, wrap=True)
        return [(name, text_cell(one_line(task.goal, 200)), Cell(), why)]
    rows: list[tuple[Cell, ...]] = []
    for value in task.values:
        spec = spec_of(report, value)
        remark = text_cell(value.reason, wrap=True)
        rows.append((name, text_cell(label(spec)), value_cell(spec, value), remark))
    rows += [
        (name, text_cell("Remark"), text_cell(one_line(line, 400), Look.REVIEW, wrap=True), Cell())
        for line in task.problems
    ]
    rows += [(name, text_cell("File"), text_cell(path, wrap=True), Cell()) for path in task.files]
    return rows
