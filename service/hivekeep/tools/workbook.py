"""A new workbook made of rows that an agent has put together.

Responsible for turning rows of text into a sheet; drawing is ``deliverables``', writing is
``tools.files``'.  Invariant: text stays text, never a formula.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from anyio.to_thread import run_sync
from pydantic import Field

from hivekeep.deliverables.cells import Cell as SheetCell
from hivekeep.deliverables.cells import text_cell, typed_value
from hivekeep.deliverables.layout import Column, Sheet
from hivekeep.domain.actions import Label
from hivekeep.domain.fields import FieldType
from hivekeep.tools.context import ToolContext
from hivekeep.tools.files import NewName, prepare_new_file, was_written, write_new_file
from hivekeep.tools.spec import Arguments, EffectClass, Happened, ToolResult, ToolSpec

# Fixed, so that the same rows give the same bytes and with them the same hash after a crash.
_CREATED = datetime(2000, 1, 1, tzinfo=UTC)

_Cell = Annotated[str, Field(max_length=400)]


class WorkbookArguments(Arguments):
    """A table."""

    name: NewName
    columns: Annotated[list[_Cell], Field(min_length=1, max_length=20)]
    rows: Annotated[list[Annotated[list[_Cell], Field(max_length=20)]], Field(max_length=400)]


class MakeWorkbook:
    """``make_workbook``: a new .xlsx file in the run's output folder."""

    spec = ToolSpec(
        name="make_workbook",
        description="writes a table as a new Excel workbook into the results folder",
        arguments=WorkbookArguments,
        effect=EffectClass.WRITE,
        returns=Label.TRUSTED,
    )

    async def prepare(self, arguments: WorkbookArguments, context: ToolContext) -> dict[str, Any]:
        """The workbook's place, hash and bytes."""
        name = f"{Path(arguments.name).stem or 'table'}.xlsx"
        return await prepare_new_file(name, await run_sync(_render, arguments), context)

    async def perform(self, prepared: dict[str, Any], context: ToolContext) -> ToolResult:  # noqa: ARG002
        """Write it; harmless to repeat."""
        return await write_new_file(prepared)

    async def happened(self, prepared: dict[str, Any], context: ToolContext) -> Happened:  # noqa: ARG002
        """Whether the workbook is there with the content that was meant."""
        return await run_sync(was_written, prepared)


def _render(arguments: WorkbookArguments) -> bytes:
    width = len(arguments.columns)
    rows = tuple(
        tuple(_cell(text) for text in [*row, *[""] * width][:width]) for row in arguments.rows
    )
    # Imported here: a daemon that writes no such table does not load a spreadsheet library.
    from hivekeep.deliverables.workbook import write_workbook

    columns = tuple(Column(heading) for heading in arguments.columns)
    sheet = Sheet("Table", Path(arguments.name).stem, columns, rows)
    file = io.BytesIO()
    write_workbook((sheet,), file, title=sheet.title, created=_CREATED)
    return file.getvalue()


def _cell(text: str) -> SheetCell:
    value, number_format = typed_value(FieldType.NUMBER, text.strip())
    return text_cell(text) if isinstance(value, str) else SheetCell(value, number_format)
