"""The report as Markdown, for recipes that write prose.

Responsible for a page a person can read.  Invariant: text from documents and models stays text; it
can make no link, no image, no HTML and no heading.
"""

from __future__ import annotations

import re

from hivekeep.deliverables.cells import label, review_reasons
from hivekeep.deliverables.findings import NO_SOURCE, place_text, spec_of
from hivekeep.deliverables.sheets import count_line, failure_of
from hivekeep.deliverables.text import one_line, plain, shown_name
from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.report import DocumentOutcome, RunReport
from hivekeep.domain.values import FieldValue, RowsValue, ValueStatus

_ACTIVE = re.compile(r"([\\`*_\[\]<>#&|~$!])")
_UNDERLINE = re.compile(r"^([=-])(?=[=\-\s]*$)")
_ADDRESS = re.compile(r"(?i)\b(https?|ftp|mailto|www|javascript|data|file)([:.])")


def has_prose(report: RunReport) -> bool:
    """Whether a recipe's results are meant to be read as text."""
    return bool(report.overview or report.tasks) or any(
        spec.type is FieldType.PROSE for spec in report.fields
    )


def report_markdown(report: RunReport) -> bytes:
    """All prose of a report, document by document."""
    parts = [f"# {escape_line(report.title or report.recipe)}", f"{count_line(report)}."]
    parts.extend(_answers(report))
    parts.extend(_overview(report))
    parts.extend(f"> Missing: {escape_line(line)}" for line in report.missing)
    for outcome in report.documents:
        parts.append(f"## {escape_line(shown_name(outcome.path))}")
        parts.extend(_document(report.fields, outcome))
    parts.append(
        f"---\n\nWritten by Hivekeep {escape_line(report.program_version)} with "
        f"{escape_line(report.model)}, recipe {escape_line(report.recipe)} "
        f"{escape_line(report.recipe_version)}, run {escape_line(report.run)}."
    )
    return ("\n\n".join(part for part in parts if part) + "\n").encode()


def _answers(report: RunReport) -> list[str]:
    """What the tasks of a free request gave."""
    if not report.tasks:
        return []
    parts = [f"> {escape_line(report.request)}", "## Answer"]
    if report.plan_note:
        parts.append(f"The plan: {escape_line(report.plan_note)}.")
    for task in report.tasks:
        if task.failure is not None:
            parts.append(
                f"**{escape_line(task.goal)}**\n\nNo result. {escape_line(task.failure.line)}"
            )
            continue
        lines = [
            f"- {escape_line(label(spec_of(report, value)))}: {escape_line(str(value.value))}"
            + (" (needs review)" if value.status is ValueStatus.NEEDS_REVIEW else "")
            for value in task.values
            if isinstance(value, FieldValue) and value.value is not None
        ]
        lines += [f"- File: {escape_line(path)}" for path in task.files]
        tables = [value for value in task.values if isinstance(value, RowsValue)]
        nothing = [] if tables else ["- nothing found"]
        parts.append(f"**{escape_line(task.goal)}**\n\n" + "\n".join(lines or nothing))
        parts.extend(_table(spec_of(report, value), value) for value in tables)
        parts.extend(f"> {escape_line(line)}" for line in task.problems)
    return parts


def _table(spec: FieldSpec, value: RowsValue) -> str:
    """Rows as a Markdown table; the file is named without its folders."""
    if not value.rows:
        return "No row."
    heads = [escape_line(label(column)) for column in spec.columns]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for file, *cells in value.rows:
        shown = [escape_line(shown_name(str(file.value)))]
        shown += [
            ("" if cell.value is None else escape_line(str(cell.value)))
            + (" (needs review)" if cell.status is ValueStatus.NEEDS_REVIEW else "")
            for cell in cells
        ]
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines)


def _overview(report: RunReport) -> list[str]:
    """The sentences over all documents, each with numbers of its sources, and these below."""
    if not report.overview:
        return []
    numbers: dict[str, int] = {}
    lines = []
    for statement in report.overview:
        marks = [
            str(numbers.setdefault(place_text(source), len(numbers) + 1))
            for source in statement.sources
        ]
        shown = f" ({', '.join(marks)})" if marks else f" ({NO_SOURCE})"
        lines.append(f"- {escape_line(statement.text)}{shown}")
    sources = [f"{number}. {escape_line(place)}" for place, number in numbers.items()]
    return ["## Overview", "\n".join(lines), "**Sources**", "\n".join(sources)]


def escape(text: str) -> str:
    """``text`` as Markdown that shows just that text, with its paragraphs and line breaks."""
    return "\n".join(_escape(line.strip()) for line in plain(text).split("\n"))


def escape_line(text: str) -> str:
    """``text`` as Markdown on one line."""
    return _escape(" ".join(one_line(plain(text).replace("\n", " ")).split()))


def _escape(line: str) -> str:
    safe = _UNDERLINE.sub(r"\\\1", _ACTIVE.sub(r"\\\1", line))
    # A bare address becomes a link in many programs, with what looks like our approval.
    return _ADDRESS.sub("\\1\u2060\\2", safe)


def _document(fields: tuple[FieldSpec, ...], outcome: DocumentOutcome) -> list[str]:
    if outcome.result is None:
        return [f"**No result.** {escape_line(failure_of(outcome).line)}"]
    parts: list[str] = []
    facts: list[str] = []
    for spec in fields:
        value = outcome.result.get(spec.name)
        if not isinstance(value, FieldValue) or value.value is None:
            continue
        if spec.type is FieldType.PROSE:
            parts.append(f"**{escape_line(label(spec))}**\n\n{escape(str(value.value))}")
        else:
            doubt = " (needs review)" if value.status is ValueStatus.NEEDS_REVIEW else ""
            facts.append(f"- {escape_line(label(spec))}: {escape_line(str(value.value))}{doubt}")
    if facts:
        parts.append("\n".join(facts))
    if reasons := review_reasons(fields, outcome):
        lines = "\n".join(f"> {escape_line(reason)}" for reason in reasons.split("\n"))
        parts.append(f"> **To review**\n{lines}")
    return parts
