"""Spreadsheets: XLSX and XLS.

Responsible for rows of cells with their addresses; not for formats or formulas (the stored results
are read).  Invariant: numbers come out plain and dates as ISO 8601, whatever the sheet shows.
"""

from __future__ import annotations

import io
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from python_calamine import (
    CalamineError,
    CalamineWorkbook,
    PasswordError,
    SheetVisibleEnum,
)

from hivekeep.documents.failures import Reason, failure
from hivekeep.documents.readers.archive import check_archive
from hivekeep.documents.readers.draft import Draft, Source

Cell = int | float | str | bool | time | date | datetime | timedelta
_MIDNIGHT = time()


def read_sheets(draft: Draft, source: Source) -> None:
    """One page for each sheet, one block for each row that is not empty."""
    if source.data.startswith(b"PK"):
        check_archive(draft, source.data)
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(source.data)) as workbook:
            draft.expect_pages(len(workbook.sheets_metadata))
            for sheet in workbook.sheets_metadata:
                draft.next_page()
                if sheet.visible is not SheetVisibleEnum.Visible:
                    draft.note(f"The sheet '{sheet.name}' is hidden; it was read too.")
                _read_sheet(draft, workbook, sheet.name)
    except PasswordError as error:
        raise failure(draft.name, Reason.ENCRYPTED) from error
    except (CalamineError, OSError, ValueError) as error:
        if "password" in str(error).lower():
            raise failure(draft.name, Reason.ENCRYPTED) from error
        raise failure(draft.name, Reason.DAMAGED, why=f"Its reader says: {error}") from error


def _read_sheet(draft: Draft, workbook: CalamineWorkbook, name: str) -> None:
    try:
        sheet = workbook.get_sheet_by_name(name)
    except (CalamineError, ValueError) as error:
        draft.note(f"The sheet '{name}' was not read: {error}")
        return
    if sheet.start is None:
        return
    # iter_rows() begins at row 1 whatever was filled first, but at the first column in use.
    offset = sheet.start[1]
    quoted = name if name.isalnum() else "'" + name.replace("'", "''") + "'"
    for number, row in enumerate(sheet.iter_rows(), 1):
        filled = [index for index, value in enumerate(row) if value != ""]
        if filled:
            first, last = column_name(offset + filled[0]), column_name(offset + filled[-1])
            place = f"{first}{number}:{last}{number}" if first != last else f"{first}{number}"
            draft.row([cell_text(value) for value in row], locator=f"{quoted}!{place}")


def column_name(index: int) -> str:
    """The letters of a column counted from 0: ``A``, ``Z``, ``AA``."""
    name = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, 26)
        name = chr(ord("A") + letter) + name
    return name


def cell_text(value: Cell) -> str:
    """A cell's value as text that any later step reads the same way.

    >>> cell_text(1234.50), cell_text(2e3), cell_text(0.1 + 0.2)
    ('1234.5', '2000', '0.3')
    """
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        # 15 digits are what a spreadsheet keeps and shows.
        plain = f"{Decimal(f'{value:.15g}'):f}"
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == _MIDNIGHT else value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)
