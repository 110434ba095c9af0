"""Draws sheets of cells as an Excel workbook.

Responsible for all that needs openpyxl; not for what the cells say.  Invariant: text is stored as
text, never as a formula, and the same sheets give the same bytes.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import IO, cast

from openpyxl import Workbook
from openpyxl.cell import Cell as ExcelCell
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.hyperlink import Hyperlink
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from hivekeep.deliverables.cells import Cell, Look
from hivekeep.deliverables.layout import Sheet
from hivekeep.deliverables.sheets import FIRST_ROW
from hivekeep.deliverables.text import looks_like_formula

MAX_LINKS = 65_530
"""Links that Excel accepts in one sheet."""
MAX_ROWS = 1_048_576
_FILLS = {
    Look.OK: PatternFill("solid", fgColor="E2F0D9"),
    Look.REVIEW: PatternFill("solid", fgColor="FFE699"),
    Look.DERIVED: PatternFill("solid", fgColor="DDEBF7"),
    Look.ABSENT: PatternFill("solid", fgColor="F2F2F2"),
}
_LINE = Side(style="thin", color="D9D9D9")
_BORDER = Border(bottom=_LINE)
_TITLE = Font(name="Calibri", bold=True, size=14)
_HEADING = Font(name="Calibri", bold=True, color="FFFFFF", size=11)
_HEADING_FILL = PatternFill("solid", fgColor="305496")
_LINK = Font(name="Calibri", color="0563C1", underline="single", size=11)
_BOLD = Font(name="Calibri", bold=True, size=11)
_LEFT = Alignment(horizontal="left", vertical="top")
_RIGHT = Alignment(horizontal="right", vertical="top", indent=1)
_WRAP = Alignment(horizontal="left", vertical="top", wrap_text=True)
_NARROW, _WIDE = (9, 34), (24, 60)
_LINE_HEIGHT = 15.0
_MAX_LINES = 8
# Fixed, because a zip file's own times would make every copy differ.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_MODIFIED = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*(</dcterms:modified>)")


def write_workbook(
    sheets: Sequence[Sheet], file: IO[bytes], *, title: str, created: datetime
) -> None:
    """Write ``sheets`` to ``file``.

    :param created: timezone-aware; stored as the workbook's time.
    :raises OSError: if ``file`` cannot be written.
    """
    book = Workbook()
    book.remove(book.worksheets[0])
    naive = created.replace(tzinfo=None, microsecond=0)
    book.properties.creator = "Hivekeep"
    book.properties.title = title
    book.properties.created = naive
    for sheet in sheets:
        _draw(book.create_sheet(sheet.name), sheet)
    raw = io.BytesIO()
    book.save(raw)
    stamp = f"{naive:%Y-%m-%dT%H:%M:%SZ}".encode()
    with zipfile.ZipFile(raw) as source, zipfile.ZipFile(file, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "docProps/core.xml":
                data = _MODIFIED.sub(rb"\g<1>" + stamp + rb"\g<2>", data)
            entry = zipfile.ZipInfo(name, _ZIP_TIME)
            target.writestr(entry, data, zipfile.ZIP_DEFLATED)


def _draw(page: Worksheet, sheet: Sheet) -> None:
    _draw_head(page, sheet)
    links = 0
    for number, row in enumerate(sheet.rows[: MAX_ROWS - FIRST_ROW], start=FIRST_ROW):
        lines = 1
        for position, cell in enumerate(row, start=1):
            linked = bool(cell.link or cell.place) and links < MAX_LINKS
            links += linked
            drawn = _cell(page, number, position)
            _fill(drawn, cell, linked=linked)
            drawn.border = _BORDER
            drawn.alignment = _alignment(cell, sheet)
            if cell.wrap and isinstance(cell.value, str):
                wide = sheet.columns[position - 1].wide
                lines = max(lines, _lines(cell.value, (_WIDE if wide else _NARROW)[1]))
        if lines > 1:
            page.row_dimensions[number].height = _LINE_HEIGHT * min(lines, _MAX_LINES)
        if not sheet.headed and row[0].value:
            _cell(page, number, 1).font = _BOLD
    for position, _ in enumerate(sheet.columns, start=1):
        page.column_dimensions[get_column_letter(position)].width = _width(sheet, position - 1)
    _prepare_print(page, sheet)


def _draw_head(page: Worksheet, sheet: Sheet) -> None:
    title = _cell(page, 1, 1)
    _fill(title, Cell(sheet.title), linked=False)
    title.font = _TITLE
    page.row_dimensions[1].height = 22
    page.sheet_view.showGridLines = False
    if not sheet.headed:
        return
    for position, column in enumerate(sheet.columns, start=1):
        heading = _cell(page, 2, position)
        _fill(heading, Cell(column.heading), linked=False)
        heading.font, heading.fill = _HEADING, _HEADING_FILL
        heading.alignment = Alignment(vertical="center", wrap_text=True)
    page.row_dimensions[2].height = 30
    last = get_column_letter(len(sheet.columns))
    page.freeze_panes = f"{get_column_letter(sheet.frozen_columns + 1)}{FIRST_ROW}"
    page.auto_filter.ref = f"A2:{last}{max(FIRST_ROW, FIRST_ROW + len(sheet.rows) - 1)}"


def _cell(page: Worksheet, row: int, column: int) -> ExcelCell:
    # Nothing is ever merged here, which is all that the other type of cell is for.
    return cast("ExcelCell", page.cell(row, column))


def _fill(drawn: ExcelCell, cell: Cell, *, linked: bool) -> None:
    drawn.value = cell.value
    if isinstance(cell.value, str):
        # openpyxl takes "=…" for a formula and "#N/A" for an error unless told otherwise.
        drawn.data_type = "s"
        if looks_like_formula(cell.value):
            drawn.quotePrefix = True
    drawn.number_format = cell.number_format
    if cell.look in _FILLS:
        drawn.fill = _FILLS[cell.look]
    if cell.comment:
        note = Comment(cell.comment, "Hivekeep")
        note.width, note.height = 320, 22 + 18 * min(_lines(cell.comment, 48), 14)
        drawn.comment = note
    if linked:
        drawn.hyperlink = (
            Hyperlink(ref=drawn.coordinate, location=cell.place) if cell.place else cell.link
        )
        drawn.font = _LINK


def _alignment(cell: Cell, sheet: Sheet) -> Alignment:
    if cell.wrap:
        return _WRAP
    number = isinstance(cell.value, (int, Decimal)) and not isinstance(cell.value, bool)
    return _RIGHT if number and sheet.headed else _LEFT


def _lines(text: str, width: int) -> int:
    return sum(1 + len(line) // width for line in text.split("\n"))


def _width(sheet: Sheet, position: int) -> float:
    column = sheet.columns[position]
    least, most = _WIDE if column.wide else _NARROW
    longest = max(
        (len(_shown(row[position])) for row in sheet.rows if row[position].value is not None),
        default=0,
    )
    # The filter's button covers about three characters of a heading.
    heading = len(column.heading) + 3 if sheet.headed else 0
    return float(min(max(least, heading, longest + 2), 80 if not sheet.headed else most))


def _shown(cell: Cell) -> str:
    text = max(str(cell.value).split("\n"), key=len)
    extra = cell.number_format.partition("[$")[2].rstrip("]")
    thousands = len(text) // 3 if cell.number_format.startswith("#,##0") else 0
    return text + extra + " " * (thousands + bool(extra))


def _prepare_print(page: Worksheet, sheet: Sheet) -> None:
    page.page_setup.orientation = "landscape"
    page.page_setup.paperSize = page.PAPERSIZE_A4
    page.page_setup.fitToWidth = 1
    page.page_setup.fitToHeight = 0
    page.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    if sheet.headed:
        page.print_title_rows = "1:2"
